//! Signing people in for an application that cannot (OpenID Connect Core 1.0, authorization code flow with PKCE).
//!
//! Decides when an answer of the provider is a sign-in, what session comes of it, and how long it holds. All that is kept
//! of a person is kept by the browser, sealed; the gate itself remembers only which answers were used. Which requests are
//! sent here, the pipeline decides (`pipeline/login.rs`); what a session may do, the policy.

mod answer;
mod attempt;
mod begin;
pub mod cookies;
mod count;
mod exchange;
mod fault;
mod renew;
mod return_path;
mod seal;
mod session;
mod sign_out;
mod token_endpoint;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};

pub use answer::Answer;
pub use attempt::Ask;
use attempt::Purpose;
pub use begin::Begun;
pub use cookies::Names;
pub(crate) use count::Count;
pub use exchange::{Finished, Signed};
pub use fault::{LoginClass, LoginFault};
pub use renew::{Logins, Renewed};
pub use return_path::ReturnPath;
pub use seal::{MAX_KEYS, SealFault, SealKeys};
pub use session::Session;
pub use sign_out::{EndSession, Leaving, Logout};
use token_endpoint::TokenEndpoint;

use crate::authn::{self, KeyStore, MetadataStore, SignOut};
use crate::clock::Now;
use crate::made_of::MadeOf;
use crate::outbound::Endpoint;

/// Where people are brought to sign in; `to` in the query is where they come back to.
pub const LOGIN: &str = "/.anteroom/login";
/// What in the query of [`LOGIN`] asks them to sign in again, whatever the provider remembers.
pub const AGAIN: &str = "prompt=login";
/// Where the provider sends them back to.
pub const CALLBACK: &str = "/.anteroom/callback";

/// A secret that is never shown.
#[derive(Clone)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// Keeps a secret.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ClientSecret")
    }
}

/// The provider's addresses, as far as the configuration writes them; what it leaves out, the provider's metadata says.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// Where browsers are sent to.
    pub authorize: Option<String>,
    /// Where codes become tokens.
    pub token: Option<Endpoint>,
    /// Where browsers are sent to sign out.
    pub end_session: EndSession,
}

/// What the provider may ask of a person, whatever it remembers (`prompt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// To sign in again.
    Login,
    /// To agree.
    Consent,
    /// To pick an account.
    SelectAccount,
}

impl Prompt {
    fn as_str(self) -> &'static str {
        match self {
            Prompt::Login => "login",
            Prompt::Consent => "consent",
            Prompt::SelectAccount => "select_account",
        }
    }
}

/// How a client shows its secret to the token endpoint (OpenID Connect Core 1.0, section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// In `Authorization` (`client_secret_basic`).
    Basic,
    /// In the form (`client_secret_post`).
    Post,
}

impl ClientAuth {
    /// The one to choose of those that a provider's metadata names; it takes the first where it names none that we know.
    fn of(methods: &[String]) -> Self {
        let named = |name: &str| methods.iter().any(|method| method == name);
        if named("client_secret_post") && !named("client_secret_basic") { Self::Post } else { Self::Basic }
    }
}

/// What a login was configured with.
#[derive(Debug)]
pub struct LoginSettings {
    /// Our name at the provider.
    pub client_id: String,
    /// What proves it; `None`: a public client, which has PKCE alone.
    pub client_secret: Option<ClientSecret>,
    /// How that is shown; `None`: as the provider's metadata says.
    pub client_auth: Option<ClientAuth>,
    /// The scopes that are asked for, with spaces between.
    pub scopes: String,
    /// What is asked of people each time.
    pub prompt: Option<Prompt>,
    /// The provider's addresses that are written.
    pub endpoints: Endpoints,
    /// What the provider's own sign-out is told.
    pub sign_out: SignOut,
    /// The names of the cookies.
    pub names: Names,
    /// What seals them.
    pub keys: SealKeys,
    /// How long a session holds.
    pub lifetime: Duration,
    /// How long a sign-in may take.
    pub attempt: Duration,
    /// How often the provider is asked to vouch for a session again; `None`: never.
    pub renew: Option<Duration>,
    /// The names at the top of ID tokens that the configuration reads.
    pub mapped: BTreeSet<String>,
    /// What ID tokens must say: the provider's settings with our name as the audience.
    pub id_tokens: authn::Provider,
}

/// What a sign-in or a renewal goes by, beside the settings.
#[derive(Clone, Copy, Debug)]
pub struct Asks<'a> {
    /// What the process remembers.
    pub logins: &'a Logins,
    /// The provider's keys.
    pub store: &'a Arc<KeyStore>,
    /// What the provider says about itself, where that is asked.
    pub metadata: Option<&'a MetadataStore>,
    /// The cookies of the browser.
    pub headers: &'a HeaderMap,
    /// The time.
    pub now: Now,
}

/// A provider's login, ready to sign people in.
#[derive(Debug)]
pub struct Login {
    settings: LoginSettings,
    /// What sealed texts are bound to, beside their purpose.
    bound_to: String,
    generation: u64,
}

impl Login {
    /// A login of these settings.
    pub fn new(settings: LoginSettings) -> Self {
        let (provider, cookie) = (&settings.id_tokens, &settings.names.session);
        // INVARIANT: what was sealed for another provider, issuer, client or cookie never opens. None of these holds a line
        // end, so no two lists of them make one text.
        let bound_to = format!("{}\n{}\n{}\n{cookie}", provider.name(), provider.issuer(), settings.client_id);
        let renew = settings.renew.map_or(0, |every| every.as_secs());
        let numbers = [provider.generation(), settings.keys.number(), renew].map(u64::to_be_bytes);
        let generation = MadeOf::all([bound_to.as_bytes(), numbers.as_flattened()]);
        let generation = generation.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        Self { settings, bound_to, generation }
    }

    /// Another number with every change of what makes a cookie a session of this login: the provider's settings, the client,
    /// the cookie, the keys that seal it, and how often the provider is asked.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The names of its cookies.
    pub fn names(&self) -> &Names {
        &self.settings.names
    }

    /// Where browsers are sent to sign in.
    fn authorize(&self, asks: &Asks<'_>) -> Result<String, LoginFault> {
        let told = || asks.metadata?.current(asks.now.monotone)?.authorization_endpoint.clone();
        let address = self.settings.endpoints.authorize.clone().or_else(told);
        address.ok_or(LoginFault::Down("its metadata names no `authorization_endpoint`, or was never fetched"))
    }

    /// Where codes become tokens.
    fn token(&self, asks: &Asks<'_>) -> Result<TokenEndpoint, LoginFault> {
        let told = asks.metadata.and_then(|store| store.current(asks.now.monotone));
        let written = self.settings.endpoints.token.clone();
        let address = written.or_else(|| told.as_ref()?.token_endpoint.clone());
        let address =
            address.ok_or(LoginFault::Down("its metadata names no `token_endpoint`, or was never fetched"))?;
        let methods = told.as_ref().map(|told| &*told.token_endpoint_auth_methods).unwrap_or_default();
        Ok(TokenEndpoint { address, auth: self.settings.client_auth.unwrap_or(ClientAuth::of(methods)) })
    }

    fn open(&self, purpose: Purpose, text: &str) -> Option<Vec<u8>> {
        self.settings.keys.open(&self.about(purpose), text)
    }

    fn seal(&self, purpose: Purpose, plain: &[u8]) -> Option<String> {
        self.settings.keys.seal(&self.about(purpose), plain)
    }

    fn about(&self, purpose: Purpose) -> String {
        format!("anteroom {} 1\n{}", purpose.name(), self.bound_to)
    }

    /// The text of the session's cookie, where one is sent.
    ///
    /// # Errors
    /// [`LoginFault::Unreadable`] where it stands there twice.
    pub fn shown<'h>(&self, headers: &'h HeaderMap) -> Result<Option<&'h str>, LoginFault> {
        cookies::find(headers, &self.names().session).map_err(|_| LoginFault::Unreadable)
    }

    /// The session in the text of its cookie, at `now` in Unix seconds.
    ///
    /// # Errors
    /// [`LoginFault::Unreadable`], [`LoginFault::Over`].
    pub fn session(&self, text: &str, now: u64) -> Result<Session, LoginFault> {
        let plain = self.open(Purpose::Session, text).ok_or(LoginFault::Unreadable)?;
        Session::read(&plain, now)
    }

    /// The first second from which on the provider has to have vouched for a session anew, or from which on it is over.
    pub fn holds_until(&self, session: &Session) -> u64 {
        let renewed =
            self.settings.renew.map(|every| session.renewed.saturating_add(every.as_secs().saturating_mul(2)));
        renewed.map_or(session.ends, |until| until.min(session.ends))
    }

    /// The cookie of a session.
    fn cookie(&self, session: &Session, now: u64) -> Result<HeaderValue, LoginFault> {
        let plain = serde_json::to_vec(session).map_err(|_| LoginFault::TooLarge)?;
        let text = self.seal(Purpose::Session, &plain).ok_or(LoginFault::Down("no randomness"))?;
        let name = &self.names().session;
        cookies::set(name, &text, session.ends.saturating_sub(now)).ok_or(LoginFault::TooLarge)
    }
}

#[cfg(test)]
mod tests;
