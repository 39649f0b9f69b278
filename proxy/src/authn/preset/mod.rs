//! What is known of a kind of provider, so that naming it is enough: where its keys are, what its tokens look like, and
//! which of their claims tell the truth about what.
//!
//! A [`Preset`] fills in what the configuration leaves out, and holds tokens to rules that no key can switch off: which
//! kind of token it is, and what of it must never count. It never loosens what is written, and knows nobody's keys.

mod auth0;
mod clerk;
mod cognito;
mod entra;
mod firebase;
mod generic;
mod issuer;
mod keycloak;
mod okta;
mod supabase;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::factors::FactorRule;
use super::fault::TokenFault;
use super::provider::Provider;

/// What a token says.
type Claims = Map<String, Value>;

/// A kind of provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Auth0: access tokens of an API.
    Auth0,
    /// Clerk: session tokens.
    Clerk,
    /// Amazon Cognito: tokens of a user pool.
    Cognito,
    /// Microsoft Entra ID: access tokens of one directory, version 1 or 2.
    Entra,
    /// Firebase Authentication and Identity Platform: ID tokens.
    Firebase,
    /// Keycloak: access tokens of a realm.
    Keycloak,
    /// Okta: access tokens of a custom authorization server.
    Okta,
    /// Supabase Auth: access tokens, and the session in a cookie.
    Supabase,
    /// Any other issuer of JWTs: nothing is filled in but what the standards say.
    #[default]
    Generic,
}

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// An access token: made to be shown to an API.
    Access,
    /// An ID token: made for the program that asked for it.
    Id,
}

impl TokenKind {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            TokenKind::Access => "access",
            TokenKind::Id => "id",
        }
    }
}

/// A cookie that a provider's own library keeps the token in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KnownCookie {
    /// The token as it is.
    Plain(String),
    /// In pieces or whole, the token or a session around it.
    Chunks(String),
}

/// Whom the tokens of a kind of provider are for.
#[derive(Clone, Copy, Debug)]
pub enum KnownAudience {
    /// It has to be written; the text says what.
    Written(&'static str),
    /// It follows from the issuer.
    OfIssuer(fn(&str) -> Option<String>),
    /// Such tokens name none: `clients` take its place.
    OfClient,
}

/// Who may have asked for a token.
#[derive(Clone, Copy, Debug)]
pub enum KnownClients {
    /// Tokens do not say.
    Untold,
    /// They say it in the first of these claims that is there; it is looked at where `clients` is written.
    Told(&'static [&'static str]),
    /// They say it of programs of others alone, in the first of these claims that is there: such a program has to be listed, and
    /// a token without it is of the owner's own pages.
    OfOthers(&'static [&'static str]),
    /// They say it, and it has to be checked; the text says what to write.
    Demanded(&'static [&'static str], &'static str),
}

impl KnownClients {
    /// The claims that say it.
    pub fn claims(self) -> &'static [&'static str] {
        match self {
            KnownClients::Untold => &[],
            KnownClients::Told(claims) | KnownClients::OfOthers(claims) | KnownClients::Demanded(claims, _) => claims,
        }
    }
}

/// How a provider is asked for an authentication context.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    /// By `acr_values` (OpenID Connect Core 1.0, 3.1.2.1; RFC 9470).
    ByValue,
    /// By the claim `acrs`, which the token is to have: Entra knows no other way. Holds where its directory signs people in, by
    /// the issuer.
    ByClaim(fn(&str) -> Option<SignInPlace<'_>>),
}

/// Where a directory of Entra signs people in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignInPlace<'i> {
    /// The directory's id.
    pub realm: &'i str,
    /// The address that clients begin at.
    pub address: String,
}

/// What a provider's own sign-out is told, beside our name there (OpenID Connect RP-Initiated Logout 1.0, section 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignOut {
    /// The field with the address to come back to.
    pub back: &'static str,
    /// Whether it needs an ID token of the person (`id_token_hint`), and answers with an error without one.
    pub hint: bool,
}

impl SignOut {
    /// As the standard has it.
    pub const STANDARD: Self = Self { back: "post_logout_redirect_uri", hint: false };
}

/// What the ID tokens are with which a provider signs people in for another program, such as the gate.
#[derive(Clone, Copy, Debug)]
pub enum IdTokens {
    /// Good for a login.
    Of {
        /// Claims that its other tokens have at the top, and these never.
        lacks: &'static [&'static str],
        /// How they show factors.
        factors: FactorRule,
    },
    /// It has no place where another program could have people signed in; the text says what to do.
    Nowhere(&'static str),
}

/// What is known of all providers of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// What people call it.
    pub title: &'static str,
    /// The forms of its issuers, for people.
    pub issuers: &'static str,
    /// Whether it has one of these forms; if not, what to do.
    pub check_issuer: fn(&str) -> Result<(), &'static str>,
    /// The address of its keys.
    pub keys: fn(&str) -> Option<String>,
    /// Whom its tokens are for.
    pub audience: KnownAudience,
    /// Who may have asked for them.
    pub clients: KnownClients,
    /// The algorithms that it signs with; empty: those of its keys.
    pub algorithms: &'static [Algorithm],
    /// The values of `typ`.
    pub types: &'static [&'static str],
    /// How far its clock may be from ours, in seconds.
    pub leeway_s: u64,
    /// The cookie that the token may be in, beside the header.
    pub cookie: fn(&str) -> Option<KnownCookie>,
    /// The cookie of this name, and those that add `_` and more to it, hold tokens too: nobody judges them, so they go no
    /// further.
    pub siblings: Option<&'static str>,
    /// Where the tenant stands.
    pub tenant: Option<&'static str>,
    /// The claim of a tenant that people pick themselves, of all that they belong to, when they ask for a token: roles that
    /// stand elsewhere in it are not those of this tenant.
    pub picked: Option<&'static str>,
    /// What to write where that is not known.
    pub tenant_hint: &'static str,
    /// Where the roles stand.
    pub roles: Option<&'static str>,
    /// Where the session stands.
    pub session: Option<&'static str>,
    /// Where the token's own name stands.
    pub credential: &'static str,
    /// What people can write about themselves: no claim below it may decide anything.
    pub own_words: &'static [&'static str],
    /// What they can write as well, unless whoever runs the provider forbids it, which no token shows: names of claims, and how
    /// they begin where a name ends in a colon.
    pub writable: &'static [&'static str],
    /// How it shows factors.
    pub factors: FactorRule,
    /// Values of its `acr` that prove two factors.
    pub two_factors: &'static [&'static str],
    /// How it is asked for a context.
    pub asked: Asked,
    /// Values of `acr` that look as if they did, and prove nothing.
    pub empty_contexts: &'static [&'static str],
    /// What its own sign-out is told.
    pub sign_out: SignOut,
    /// What its ID tokens are to a login.
    pub id_tokens: IdTokens,
    /// The kinds of tokens that it tells apart; empty: it has one kind only.
    pub kinds: &'static [TokenKind],
    /// Which kind a token is.
    kind: fn(&Claims) -> Option<TokenKind>,
    /// What no token may be that somebody shows.
    refuse: fn(&Claims, &Provider) -> Result<(), &'static str>,
    /// What none may say of its person, wherever it comes from.
    never: fn(&Claims, &Provider) -> Result<(), &'static str>,
}

impl Preset {
    /// Every one, in the order of their names; the one for all others last.
    pub const ALL: [Preset; 9] = [
        Preset::Auth0,
        Preset::Clerk,
        Preset::Cognito,
        Preset::Entra,
        Preset::Firebase,
        Preset::Keycloak,
        Preset::Okta,
        Preset::Supabase,
        Preset::Generic,
    ];

    /// What is known of it.
    pub fn profile(self) -> &'static Profile {
        match self {
            Preset::Auth0 => &auth0::PROFILE,
            Preset::Clerk => &clerk::PROFILE,
            Preset::Cognito => &cognito::PROFILE,
            Preset::Entra => &entra::PROFILE,
            Preset::Firebase => &firebase::PROFILE,
            Preset::Keycloak => &keycloak::PROFILE,
            Preset::Okta => &okta::PROFILE,
            Preset::Supabase => &supabase::PROFILE,
            Preset::Generic => &generic::PROFILE,
        }
    }

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Auth0 => "auth0",
            Preset::Clerk => "clerk",
            Preset::Cognito => "cognito",
            Preset::Entra => "entra",
            Preset::Firebase => "firebase",
            Preset::Keycloak => "keycloak",
            Preset::Okta => "okta",
            Preset::Supabase => "supabase",
            Preset::Generic => "generic",
        }
    }
}

/// Holds a token whose signature, issuer and audience are good to the rules of its provider, before any claim of it counts.
///
/// # Errors
/// A token that is bound to a key, was asked for by a stranger, is of another kind, or must never count.
pub(super) fn check(claims: &Claims, provider: &Provider) -> Result<(), TokenFault> {
    // A bound token without its proof is a stolen one for all that we know (RFC 7800, RFC 8705, RFC 9449).
    if claims.contains_key("cnf") {
        return Err(TokenFault::Rule("it is bound to a key (`cnf`), and no proof of that key is checked here"));
    }
    let profile = provider.preset().profile();
    (profile.never)(claims, provider).map_err(TokenFault::Rule)?;
    // What the gate has fetched itself for a client of its own is no stranger's.
    if !provider.is_shown() {
        return Ok(());
    }
    if !may_ask(client(claims, profile, provider), profile, provider) {
        return Err(TokenFault::Rule("who asked for it is none of the provider's `clients`"));
    }
    if !profile.kinds.is_empty() {
        match (profile.kind)(claims) {
            Some(kind) if provider.kinds().contains(&kind) => {}
            Some(TokenKind::Id) => return Err(TokenFault::Rule("it is an ID token, and `kinds` lists none")),
            Some(TokenKind::Access) => return Err(TokenFault::Rule("it is an access token, and `kinds` lists none")),
            None => return Err(TokenFault::Rule("it is neither an access token nor an ID token")),
        }
    }
    (profile.refuse)(claims, provider).map_err(TokenFault::Rule)
}

/// What a token says of who asked for it; of another form than a text, it is nobody who is listed.
fn client<'c>(claims: &'c Claims, profile: &Profile, provider: &Provider) -> Option<&'c Value> {
    // Cognito's ID tokens name the client as their audience.
    if provider.preset() == Preset::Cognito && (profile.kind)(claims) == Some(TokenKind::Id) {
        return claims.get("aud");
    }
    profile.clients.claims().iter().find_map(|name| claims.get(*name))
}

/// Whether who asked for a token may.
fn may_ask(client: Option<&Value>, profile: &Profile, provider: &Provider) -> bool {
    let listed = |client: &Value| client.as_str().is_some_and(|name| provider.clients().iter().any(|one| one == name));
    match profile.clients {
        KnownClients::OfOthers(_) => client.is_none_or(listed),
        KnownClients::Untold | KnownClients::Told(_) | KnownClients::Demanded(..) => {
            provider.clients().is_empty() || client.is_some_and(listed)
        }
    }
}

/// A claim that is a text and not empty.
fn text<'c>(claims: &'c Claims, name: &str) -> Option<&'c str> {
    claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Whether any of these claims is there, whatever it says.
fn any(claims: &Claims, names: &[&str]) -> bool {
    names.iter().any(|name| claims.contains_key(*name))
}

/// Nothing of its own to refuse.
fn nothing(_: &Claims, _: &Provider) -> Result<(), &'static str> {
    Ok(())
}

/// Tokens of which there is one kind.
fn one_kind(_: &Claims) -> Option<TokenKind> {
    None
}

/// No cookie.
fn no_cookie(_: &str) -> Option<KnownCookie> {
    None
}

#[cfg(test)]
mod tests;
