//! Everything that judges a request, compiled: immutable, loaded once a request, swapped whole.
//!
//! It decides nothing by itself. What outlives a change of configuration (limits, keys, the record) is in
//! [`crate::shared`] instead.

mod browsers;
mod reading;
mod rollout;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use certs::ClientTrust;
use http::{HeaderName, HeaderValue};
use policy::{Policy, RouteCache, TenantId};
use redact::PseudonymKey;
use rustls::ServerConfig;

use crate::app_session::AppSession;
use crate::authn::{self, Callers, KeyStore, MetadataStore};
use crate::directory::Directory;
use crate::exposed::OnExposed;
use crate::limits::Quota;
use crate::login::Login;
use crate::login::cookies::Names;
use crate::network::Networks;
use crate::pace::LeastRate;
use crate::pipeline::canonical;
use crate::sign_in_page::SignInPage;
use crate::upstream::AppTarget;
pub use browsers::{Browsers, CookieRules, Cors, Exception, Prefix, Renamed};
pub use reading::{MethodOverride, Reading, UnclearHeaders};
pub use rollout::{Rollout, Stages};
pub use sessions::{Paths, SessionRules};

/// What runs, as opposed to what was written.
#[derive(Debug)]
pub struct Runtime {
    /// Who may do what.
    pub policy: Policy,
    /// `sha256:` and 64 hexadecimal digits over the policy files: what the record says it was judged by.
    pub policy_digest: Arc<str>,
    /// 48 bits made of the configuration, the policies and the file of a directory, not of the keys and certificates that they name: replicas of the
    /// same number go by the same rules.
    pub number: u64,
    /// The application.
    pub app: AppTarget,
    /// The session that it keeps by itself; `None` where its cookies pass as they are.
    pub app_session: Option<AppSession>,
    /// Its own page to sign in; `None` where nobody is sent to one.
    pub sign_in: Option<SignInPage>,
    /// What becomes of it when the application can be reached around the gate.
    pub exposed: OnExposed,
    /// The public names, in lower case.
    pub hosts: Vec<String>,
    /// Who may vouch for a caller, in the order of their names.
    pub providers: Vec<Provider>,
    /// Who is who by the certificate of a connection; `None` where certificates prove nobody.
    pub callers: Option<Callers>,
    /// Who is what in which tenant; `None` where tokens say it.
    pub directory: Option<Arc<Directory>>,
    /// The headers that tell the application who is asking.
    pub identity: IdentityHeaders,
    /// The headers of every answer.
    pub answer_headers: AnswerHeaders,
    /// What browsers are held to.
    pub browsers: Browsers,
    /// What is demanded of sessions beside the policies.
    pub sessions: SessionRules,
    /// How requests are read that two readers could see in two ways.
    pub reading: Reading,
    /// Whom to tell of a vulnerability, where the application does not say.
    pub security_txt: Option<SecurityTxt>,
    /// How far the controls are rolled out.
    pub stages: Stages,
    /// Whose word on a client's address counts.
    pub client_address: ClientAddress,
    /// What a client may ask.
    pub limits: Bounds,
    /// Turns patients into pseudonyms; without it the record names none.
    pub pseudonym_key: Option<PseudonymKey>,
    /// How the gate leaves.
    pub drain: DrainTimes,
}

impl Runtime {
    /// Whether `host` (lower case, with a port if one was sent) is one of the public names. A name that was configured
    /// without a port stands for every port.
    pub fn serves(&self, host: &str) -> bool {
        self.hosts.iter().any(|name| name == host || name == canonical::without_port(host))
    }

    /// The provider that signs people in, with its login; at most one does.
    pub fn login(&self) -> Option<(&Provider, &Arc<Login>)> {
        self.providers.iter().find_map(|provider| Some((provider, provider.login.as_ref()?)))
    }

    /// The names of the cookies that are the gate's own, where it sets some.
    pub(crate) fn own_cookies(&self) -> Option<&Names> {
        let login = self.login().map(|(_, login)| login.names());
        login.or_else(|| self.sign_in.as_ref().map(SignInPage::names))
    }

    /// The pseudonym of a patient of a tenant, where there is a key for it.
    pub fn pseudonym(&self, tenant: Option<&TenantId>, patient: &str) -> Option<String> {
        let key = self.pseudonym_key.as_ref()?;
        Some(key.pseudonym(tenant.map_or("", TenantId::as_str), patient))
    }
}

/// What handshakes go by: swapped whole where anything of it has changed, and used from the next handshake on. The key of
/// the tickets lives in it, so no session outlives the certificates, authorities and lists that it began under.
#[derive(Debug)]
pub struct Shown {
    /// Certificates, keys and tickets.
    pub tls: Arc<ServerConfig>,
    /// Whose certificates are believed when clients show one; `None` where none is asked for.
    pub trust: Option<Arc<ClientTrust>>,
    /// The certificates' names and last seconds, in the order of the configuration.
    pub certificates: Vec<CertificateNote>,
    /// SHA-256 over all that it was made of.
    pub digest: [u8; 32],
}

/// What is told about a certificate.
#[derive(Clone, Debug)]
pub struct CertificateNote {
    /// The names that it is for.
    pub names: Vec<String>,
    /// The last second of its validity, in Unix time.
    pub not_after: i64,
}

/// How the gate leaves, counted from the moment that readiness falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainTimes {
    /// How long everyone is still served as before.
    pub delay: Duration,
    /// When what is still open is cut; later than the delay.
    pub deadline: Duration,
}

/// One issuer of tokens.
#[derive(Debug)]
pub struct Provider {
    /// What its tokens must say.
    pub authn: authn::Provider,
    /// Its keys as they are now.
    pub keys: Arc<KeyStore>,
    /// Its metadata as it is now; `None` where it is not fetched.
    pub metadata: Option<Arc<MetadataStore>>,
    /// Where its tokens are looked for, in this order.
    pub places: Vec<Place>,
    /// The family of cookies that hold tokens of it as well ([`is_of_family`]): nobody judges them, and they go no further.
    pub siblings: Option<&'static str>,
    /// How it signs people in, where it does.
    pub login: Option<Arc<Login>>,
}

/// Whose word on a client's address counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAddress {
    /// Nobody's: the client is the peer of the connection.
    Peer,
    /// A header of named senders.
    Header {
        /// Which one.
        header: ForwardingHeader,
        /// Those who are believed.
        sent_by: Networks,
    },
    /// The PROXY protocol, demanded of named senders and read from nobody else.
    ProxyProtocol {
        /// Those who are believed.
        sent_by: Networks,
    },
}

/// A header that carries addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Who vouches for a caller.
#[derive(Clone, Copy, Debug)]
pub enum Voucher<'r> {
    /// The issuer of the token that came with the request.
    Token(&'r Provider),
    /// The provider by which the gate signed the caller in; the number of the login.
    Login(&'r Provider, u64),
    /// The certificate of the connection.
    Certificate,
    /// The application itself, of its own session; the number of the settings by which it was asked.
    AppSession(u64),
}

impl<'r> Voucher<'r> {
    /// The provider that vouches; a certificate and the application are none that anyone could be sent to for factors.
    pub fn provider(self) -> Option<&'r authn::Provider> {
        match self {
            Voucher::Token(provider) | Voucher::Login(provider, _) => Some(&provider.authn),
            Voucher::Certificate | Voucher::AppSession(_) => None,
        }
    }

    /// Whether the application may read the credential too.
    pub fn forwards(self) -> bool {
        match self {
            Voucher::Token(provider) => provider.authn.forwards_credential(),
            Voucher::Login(..) | Voucher::Certificate | Voucher::AppSession(_) => false,
        }
    }

    /// Whether it is the application itself.
    pub fn is_app_session(self) -> bool {
        matches!(self, Voucher::AppSession(_))
    }

    /// Whether it is the certificate of the connection.
    pub fn is_certificate(self) -> bool {
        matches!(self, Voucher::Certificate)
    }
}

/// A place where a token may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A request header.
    Header(HeaderName),
    /// A cookie that holds the token.
    Cookie(String),
    /// A cookie, whole or in pieces, that holds the token or a session around it.
    CookieChunks(String),
}

impl Place {
    /// Whether it is a cookie of this family.
    pub fn is_cookie_of(&self, family: &str) -> bool {
        match self {
            Place::Header(_) => false,
            Place::Cookie(name) | Place::CookieChunks(name) => is_of_family(name, family),
        }
    }
}

/// Whether a cookie is of a family: of its name, or of one that adds `_` and more to it.
pub fn is_of_family(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// The names under which the application is told who is asking.
#[derive(Clone, Debug)]
pub struct IdentityHeaders {
    /// Carries the tenant.
    pub tenant: HeaderName,
    /// Carries the subject.
    pub subject: HeaderName,
    /// Carries the roles.
    pub roles: HeaderName,
    /// Carries the request id.
    pub request: HeaderName,
    /// Carries the issuer; `None` where the application is not told.
    pub issuer: Option<HeaderName>,
}

impl IdentityHeaders {
    /// All of them: nobody else sets a header of such a name.
    pub fn all(&self) -> impl Iterator<Item = &HeaderName> {
        [&self.tenant, &self.subject, &self.roles, &self.request].into_iter().chain(&self.issuer)
    }

    /// Whether a header name, folded as [`canonical::folded`] does, could be read as one of ours.
    pub fn is_reserved(&self, folded: &str) -> bool {
        self.all().any(|name| name.as_str() == folded)
    }
}

/// The headers of every answer.
#[derive(Clone, Debug)]
pub struct AnswerHeaders {
    /// Set in place of what the application says.
    pub replaced: Vec<(HeaderName, HeaderValue)>,
    /// Taken out of what the application says.
    pub removed: Vec<HeaderName>,
    /// Set beside what the application says.
    pub appended: Vec<(HeaderName, HeaderValue)>,
    /// Whether browsers are asked to report what a content policy blocks.
    pub reports: bool,
    /// What may be kept of an answer to a known caller, where its route does not say.
    pub cache: RouteCache,
    /// Carries the request id.
    pub request: HeaderName,
}

/// Whom to tell of a vulnerability (RFC 9116).
#[derive(Clone, Debug)]
pub struct SecurityTxt {
    /// What is served.
    pub text: Arc<str>,
    /// From when on it is not served any more, in Unix time.
    pub expires: u64,
}

impl SecurityTxt {
    /// Whether it is served at `now`, in Unix seconds.
    pub fn holds(&self, now: u64) -> bool {
        now < self.expires
    }
}

/// What a client may ask.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// All header names and values together, in bytes.
    pub headers: u64,
    /// A body, in bytes.
    pub body: u64,
    /// Requests of one address.
    pub per_address: Quota,
    /// Refused requests of one address.
    pub refused_per_address: Quota,
    /// Open connections, over all workers.
    pub connections: usize,
    /// Open connections of one address.
    pub connections_per_address: usize,
    /// New connections of one address.
    pub new_connections_per_address: Quota,
    /// Handshakes at once, over all workers.
    pub handshakes: usize,
    /// How long one may take.
    pub handshake_time: Duration,
    /// How long the head of a request may take, and the silence between two.
    pub head_time: Duration,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// Requests at once, over all workers.
    pub requests: usize,
    /// How fast a client has to send and to take.
    pub least_rate: LeastRate,
}
