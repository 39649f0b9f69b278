//! `providers.NAME.login`: signing people in for an application that cannot. As written, and compiled.
//!
//! Decides what would make a login unsafe (a cookie that others could set, an address without TLS, keys that are none) and
//! refuses it. It asks the provider nothing.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use policy::Spanned;
use policy::units::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id_tokens;
use super::raw::{RawPlace, RawProvider};
use crate::authn::{self, ProviderSettings, SignOut};
use crate::config::compile::{Faulty, period};
use crate::config::raw::{RawConfig, RawFile, seconds};
use crate::config::reach::reach;
use crate::login::cookies::PREFIX;
use crate::login::{ClientAuth, ClientSecret, EndSession, Endpoints, Login, LoginSettings, Names, Prompt, SealKeys};
use crate::outbound::{Endpoint, EndpointFault};
use crate::pipeline::canonical;

/// The longest lifetime of a session.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The longest time that a sign-in may take.
const ATTEMPT: Duration = Duration::from_secs(60 * 60);
/// The least and the longest time between two renewals.
const SOONEST: Duration = Duration::from_secs(60);
/// The longest name of a cookie, and of a client, in bytes.
const COOKIE: usize = 64;
const CLIENT: usize = 256;
/// What is written for no place to sign out at.
const NOWHERE: &str = "none";
/// The most scopes.
const SCOPES: usize = 32;

/// Signing people in by this provider, for an application that cannot: OpenID Connect, authorization code with PKCE. The
/// provider must know `https://HOST/.anteroom/callback` as a redirect address, for each of `app.hosts`. One provider of a
/// configuration can have it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawLogin {
    /// The gate's name at the provider.
    pub client_id: Spanned<String>,
    /// The secret that goes with it. Left out: a public client, which PKCE alone protects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<RawFile>,
    /// How the secret is shown at the token endpoint. Left out: as the provider's metadata says, and `client_secret_basic` where it
    /// takes both or says nothing. Providers that are set to one way for each client refuse the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<Spanned<RawClientAuth>>,
    /// The scopes that are asked for; `openid` is one of them.
    #[serde(default = "openid")]
    pub scopes: Spanned<Vec<String>>,
    /// Where browsers are sent to sign in. Left out: where the provider's metadata says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<Spanned<String>>,
    /// Where the gate turns codes into tokens. Left out: where the provider's metadata says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<Spanned<String>>,
    /// Where browsers are sent to sign out at the provider, or `none`: signing out then ends the gate's session alone. Left out:
    /// where the provider's metadata says, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_session_endpoint: Option<Spanned<String>>,
    /// Whether that place is shown the ID token (`id_token_hint`), for providers that lead nobody back without it. It is kept in a
    /// sealed cookie of its own, if it fits. Left out: where the preset is one that needs it (`okta`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_hint: Option<Spanned<bool>>,
    /// A PEM file with the authorities that may sign the certificate of `token_endpoint`. Left out: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Spanned<String>>,
    /// Networks that are not public, in which `token_endpoint` may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub private: Vec<Spanned<String>>,
    /// The name of the session's cookie, and the beginning of those beside it. It begins with `__Host-`.
    #[serde(default = "cookie")]
    pub cookie: Spanned<String>,
    /// A file with the keys that seal the cookies, one a line, each 64 hexadecimal digits: the first seals, and all open, so
    /// that a new one is put first and an old one taken out a `lifetime` later.
    pub keys: RawFile,
    /// How long a session holds, however busy it is: at most `7d`.
    #[serde(default = "eight_hours")]
    pub lifetime: Spanned<Period>,
    /// How long a sign-in at the provider may take, at most `1h`; whoever comes back later begins anew.
    #[serde(default = "ten_minutes")]
    pub attempt: Spanned<Period>,
    /// How often the provider is asked to vouch for a session again, by a refresh token: `1m` at least. When it refuses, the
    /// session ends; when it is silent for twice this time, nobody passes until it answers. Left out: a sign-in holds for its
    /// `lifetime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew: Option<Spanned<Period>>,
    /// What the provider asks of a person each time, whatever it remembers. Left out: what it thinks fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<RawPrompt>,
}

/// How a client shows its secret (`client_auth`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawClientAuth {
    /// In the header `Authorization`.
    ClientSecretBasic,
    /// In the form.
    ClientSecretPost,
}

/// What a provider asks of a person (`prompt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawPrompt {
    /// To sign in again.
    Login,
    /// To agree.
    Consent,
    /// To pick an account.
    SelectAccount,
}

fn openid() -> Spanned<Vec<String>> {
    Spanned::unplaced(vec!["openid".to_owned()])
}

fn cookie() -> Spanned<String> {
    Spanned::unplaced(format!("{PREFIX}anteroom"))
}

fn eight_hours() -> Spanned<Period> {
    Spanned::unplaced(seconds(8 * 60 * 60))
}

fn ten_minutes() -> Spanned<Period> {
    Spanned::unplaced(seconds(10 * 60))
}

/// The files that it names.
pub(in crate::config) fn files(raw: &RawLogin) -> impl Iterator<Item = &str> {
    let secret = raw.client_secret.as_ref().map(|secret| &secret.file);
    [Some(&raw.keys.file), secret, raw.ca.as_ref()].into_iter().flatten().map(|name| name.value.as_str())
}

/// One provider of a configuration signs people in: an application has one way in.
pub(super) fn check_is_one(config: &RawConfig, faults: &mut Faulty<'_>) {
    let mut logins = config.providers.iter().filter_map(|(name, one)| Some((name, one.login.as_ref()?)));
    let Some((first, login)) = logins.next() else { return };
    for (_, another) in logins {
        let message = format!("`{first}` signs people in already");
        faults.at(another.client_id.span, "login", message, "keep one; a provider can offer several ways by itself");
    }
    let names = Names::of(&login.cookie.value);
    let is_ours = |name: &str| names.all().any(|ours| ours == name);
    let prefixed = config.cookies.prefix.keys().filter(|app| is_ours(&format!("{PREFIX}{}", app.value)));
    let own = config.app.session.iter().flat_map(|session| &session.cookies.value).filter(|name| is_ours(&name.value));
    for span in prefixed.chain(own).map(|name| name.span) {
        let message = "this cookie is the one of `login`, and never the application's";
        faults.at(span, "login", message, "choose another `login.cookie`, or another name for the application's");
    }
    for place in config.providers.values().flat_map(|one| one.token.iter().flatten()) {
        if let RawPlace::Cookie(name) | RawPlace::CookieChunks(name) = &place.value
            && names.all().any(|ours| ours.starts_with(name.as_str()))
        {
            faults.at(place.span, "login", format!("`{name}` is a cookie of `login`"), "choose another `login.cookie`");
        }
    }
}

pub(super) fn compile(
    raw: &RawLogin,
    provider: &RawProvider,
    (settings, discovered): (&ProviderSettings, bool),
    faults: &mut Faulty<'_>,
) -> Option<Arc<Login>> {
    let client_id = client_id(&raw.client_id, faults);
    let client_secret = raw.client_secret.as_ref().map(|secret| client_secret(secret, faults));
    if let (Some(auth), None) = (&raw.client_auth, &raw.client_secret) {
        let hint = "add `client_secret`, or take it out: a public client shows nothing";
        faults.at(auth.span, "login", "`client_auth` says how a secret is shown, and there is none", hint);
    }
    let scopes = scopes(&raw.scopes, faults);
    let endpoints = endpoints(raw, provider.preset.profile().sign_out.back, discovered, faults);
    let names = names(&raw.cookie, faults);
    let keys = faults.file(&raw.keys.file).and_then(|text| {
        let keys = SealKeys::read(text);
        let hint = "make one with `openssl rand -hex 32`";
        keys.map_err(|fault| faults.at(raw.keys.file.span, "login", fault.to_string(), hint)).ok()
    });
    let lifetime = period(&raw.lifetime, LIFETIME, faults);
    let attempt = period(&raw.attempt, ATTEMPT, faults);
    let renew = raw.renew.as_ref().map(|renew| renewal(renew, faults));
    let client_id = client_id?;
    // What is wrong with the settings is said where they are judged.
    let id_tokens = authn::Provider::new(settings.clone()).ok()?.of_login(&client_id);
    Some(Arc::new(Login::new(LoginSettings {
        client_id,
        client_secret: match client_secret {
            Some(secret) => Some(secret?),
            None => None,
        },
        client_auth: raw.client_auth.as_ref().map(|auth| match auth.value {
            RawClientAuth::ClientSecretBasic => ClientAuth::Basic,
            RawClientAuth::ClientSecretPost => ClientAuth::Post,
        }),
        scopes: scopes?,
        prompt: raw.prompt.map(|prompt| match prompt {
            RawPrompt::Login => Prompt::Login,
            RawPrompt::Consent => Prompt::Consent,
            RawPrompt::SelectAccount => Prompt::SelectAccount,
        }),
        endpoints: endpoints?,
        sign_out: sign_out(raw, provider, faults),
        names: names?,
        keys: keys?,
        lifetime: lifetime?,
        attempt: attempt?,
        renew: match renew {
            Some(renew) => Some(renew?),
            None => None,
        },
        mapped: id_tokens::mapped(provider),
        id_tokens,
    })))
}

fn client_id(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<String> {
    let id = &written.value;
    if id.is_empty() || id.len() > CLIENT || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        let hint = format!("1 to {CLIENT} visible ASCII characters, as the provider shows it");
        faults.at(written.span, "login", format!("`{id}` is no name of a client"), &hint);
        return None;
    }
    Some(id.clone())
}

fn client_secret(written: &RawFile, faults: &mut Faulty<'_>) -> Option<ClientSecret> {
    let text = std::str::from_utf8(faults.file(&written.file)?).unwrap_or_default();
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() || text.len() > 1_024 || text.chars().any(char::is_control) {
        let hint = "the file holds the secret alone, as the provider shows it";
        faults.at(written.file.span, "login", "this is no client secret", hint);
        return None;
    }
    Some(ClientSecret::new(text))
}

fn scopes(written: &Spanned<Vec<String>>, faults: &mut Faulty<'_>) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    let list = &written.value;
    if list.len() > SCOPES || list.iter().any(|one| one.is_empty() || !one.bytes().all(plain)) {
        let hint = "a list such as `[openid, offline_access]`";
        faults.at(written.span, "login", "these are no scopes", hint);
        return None;
    }
    if !list.iter().any(|one| one == "openid") {
        let hint = "without it the provider sends no ID token, and nobody has signed in";
        faults.at(written.span, "login", "`openid` is not among the scopes", hint);
        return None;
    }
    Some(list.join(" "))
}

/// The addresses that are written; those that are not have to be in the provider's metadata.
fn endpoints(raw: &RawLogin, back: &str, discovered: bool, faults: &mut Faulty<'_>) -> Option<Endpoints> {
    for (key, written) in [("authorization", &raw.authorization_endpoint), ("token", &raw.token_endpoint)] {
        if written.is_none() && !discovered {
            let message = format!("nothing says where the `{key}_endpoint` is");
            let hint = "write it, or leave out `jwks` and `secret`: the provider's metadata then says where its keys are, and this";
            faults.at(raw.client_id.span, "login", message, hint);
        }
    }
    if raw.token_endpoint.is_none() {
        let places = [("ca", raw.ca.as_ref()), ("private", raw.private.first())];
        for (key, written) in places.into_iter().filter_map(|(key, place)| Some((key, place?))) {
            let hint = "take it out: what the metadata names goes by `discovery`";
            faults.at(written.span, "login", format!("`{key}` is for `token_endpoint` only"), hint);
        }
    }
    let authorize = match &raw.authorization_endpoint {
        Some(written) => for_browsers(written, &AT_SIGN_IN, "", faults).map(Some),
        None => Some(None),
    };
    let end_session = match &raw.end_session_endpoint {
        None => Some(EndSession::Told),
        Some(written) if written.value == NOWHERE => Some(EndSession::Nowhere),
        Some(written) => {
            let ours = ["client_id", "id_token_hint", back];
            for_browsers(written, &ours, ", or `none` to sign people out here alone", faults).map(EndSession::At)
        }
    };
    let token = match &raw.token_endpoint {
        Some(written) => token_endpoint(raw, written, faults).map(Some),
        None => Some(None),
    };
    Some(Endpoints { authorize: authorize?, token: token?, end_session: end_session? })
}

/// What the provider's own sign-out is told.
fn sign_out(raw: &RawLogin, provider: &RawProvider, faults: &mut Faulty<'_>) -> SignOut {
    let known = provider.preset.profile().sign_out;
    if let (Some(hint), Some(nowhere)) = (&raw.id_token_hint, &raw.end_session_endpoint)
        && nowhere.value == NOWHERE
    {
        let message =
            "`id_token_hint` is for the provider's sign-out, and `end_session_endpoint: none` leads nobody there";
        faults.at(hint.span, "login", message, "take one of the two out");
    }
    SignOut { hint: raw.id_token_hint.as_ref().map_or(known.hint, |written| written.value), ..known }
}

fn token_endpoint(raw: &RawLogin, written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<Endpoint> {
    let reach = reach(&raw.private, faults)?;
    let ca = match &raw.ca {
        Some(ca) => Some(faults.file(ca)?),
        None => None,
    };
    let made = Endpoint::new(&written.value, ca, &reach).map_err(|fault| {
        let (span, hint) = match (&fault, &raw.ca) {
            (EndpointFault::Trust(_), Some(ca)) => (ca.span, "it holds the authorities in PEM"),
            (EndpointFault::Trust(_), None) => (written.span, "name the authorities with `ca: FILE`"),
            (EndpointFault::Unlisted, _) => (written.span, "list its network in `private`"),
            (EndpointFault::NotHttps | EndpointFault::Decorated, _) => {
                (written.span, "tokens travel over verified TLS only: write `https://…`")
            }
        };
        faults.at(span, "login", fault.to_string(), hint);
    });
    made.ok()
}

/// What the gate says in the address that people sign in at, some of it only where more is asked of them.
const AT_SIGN_IN: [&str; 12] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "acr_values",
    "claims",
];

/// An address that browsers are sent to, to which the gate adds the fields `ours`; `or` is what else may be written there.
fn for_browsers(written: &Spanned<String>, ours: &[&str], or: &str, faults: &mut Faulty<'_>) -> Option<String> {
    let query = written.value.split_once('?').map_or("", |(_, query)| query);
    let names = query.split('&').filter_map(|pair| canonical::form_decoded(pair.split('=').next()?));
    // RFC 6749, section 3.1: no parameter more than once.
    if let Some(name) = names.into_iter().find(|name| ours.contains(&name.as_str())) {
        let message = format!("the gate says `{name}` itself, and a provider may read either of the two");
        faults.at(written.span, "login", message, "take it out of the address");
        return None;
    }
    let uri = written.value.parse::<Uri>().ok().filter(|_| !written.value.contains(['#', '@']));
    if uri.is_some_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some_and(|host| !host.is_empty())) {
        return Some(written.value.clone());
    }
    let message = format!("`{}` is no address that a browser could be sent to", written.value);
    faults.at(written.span, "login", message, &format!("people sign in over TLS only: write `https://…`{or}"));
    None
}

fn names(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<Names> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let name = &written.value;
    let own = name.strip_prefix(PREFIX).is_some_and(|own| !own.is_empty() && own.bytes().all(token));
    if !own || name.len() > COOKIE {
        let hint = format!("it begins with `{PREFIX}`, so that no other site can set it, as in `{PREFIX}anteroom`");
        faults.at(written.span, "login", format!("`{name}` is no name for a session's cookie"), &hint);
        return None;
    }
    Some(Names::of(name))
}

fn renewal(written: &Spanned<Period>, faults: &mut Faulty<'_>) -> Option<Duration> {
    let every = period(written, LIFETIME, faults)?;
    if every < SOONEST {
        let message = format!("`{}` is less than `{}`", written.value, Period(SOONEST));
        faults.at(written.span, "range", message, "each renewal holds up a request");
        return None;
    }
    Some(every)
}
