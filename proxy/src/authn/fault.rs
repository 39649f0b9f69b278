//! Why a token is not believed.
//!
//! Decides the stable code, the status and the challenge of each fault. Never says to the client more than RFC 6750
//! needs; the finer reason is for the log, and holds nothing of the token.

use std::fmt;

use certs::ClientFault;

use super::certificate::CertificateFault;
use super::json::JsonFault;
use crate::app_session::AppSessionFault;
use crate::login::{LoginClass, LoginFault};

/// A part of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenPart {
    /// The first.
    Header,
    /// The second: the claims.
    Payload,
    /// The third.
    Signature,
}

impl fmt::Display for TokenPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenPart::Header => "header",
            TokenPart::Payload => "payload",
            TokenPart::Signature => "signature",
        })
    }
}

/// Why a token is refused. `Display` is the detail for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenFault {
    /// Longer than [`MAX_TOKEN`](super::MAX_TOKEN).
    TooLong,
    /// Five parts: an encrypted token (JWE), which only the app can read.
    Encrypted,
    /// Not three parts that are all there.
    Parts,
    /// A part is not canonical base64url without padding.
    Encoding(TokenPart),
    /// Header or payload is not an acceptable JSON object.
    Json(TokenPart, JsonFault),
    /// A header member of the wrong type or size.
    Header(&'static str),
    /// `crit` or `b64` is there: the token wants rules that we do not follow.
    Critical,
    /// `alg` is unknown, `none`, or not allowed by the provider.
    Algorithm,
    /// The key that the token names is not for the token's `alg`.
    KeyAlgorithm,
    /// `typ` is not one that the provider issues for access.
    Type,
    /// No key of that `kid`, or none that fits.
    UnknownKey,
    /// No `kid`, and more than one key fits.
    AmbiguousKey,
    /// No `kid`, and the one key that fits has not signed it.
    UnnamedKey,
    /// The signature is not the key's.
    Signature,
    /// `iss` is not the provider's, exactly.
    Issuer,
    /// `aud` names none of ours.
    Audience,
    /// A claim that is needed is missing, of the wrong type or out of range.
    Claim(&'static str),
    /// A rule of the provider's kind; the text is for the log, and holds nothing of the token.
    Rule(&'static str),
    /// The cookies that hold the token do not make one; the text is for the log.
    Cookies(&'static str),
    /// `exp` has passed.
    Expired,
    /// `nbf` lies in the future.
    NotYet,
    /// `iat` lies in the future.
    IssuedLater,
    /// There are no keys to check with: never fetched, too old, or all withdrawn.
    NoKeys,
    /// There is no token, and the connection's certificate proves nobody.
    Certificate(CertificateFault),
    /// The application's own session cookie stands in the way.
    AppSession(AppSessionFault),
    /// There is no token, and a sign-in by the gate, or its session, proves nobody.
    Login(LoginFault),
}

impl From<LoginFault> for TokenFault {
    fn from(fault: LoginFault) -> Self {
        TokenFault::Login(fault)
    }
}

/// What the client may know of a fault.
enum Class {
    Invalid,
    Expired,
    NoKeys,
}

impl TokenFault {
    fn class(self) -> Class {
        match self {
            TokenFault::Expired | TokenFault::Certificate(CertificateFault::Judged(ClientFault::Expired)) => {
                Class::Expired
            }
            TokenFault::NoKeys | TokenFault::AppSession(AppSessionFault::Unvouched(_)) => Class::NoKeys,
            TokenFault::Login(fault) => match fault.class() {
                LoginClass::Invalid => Class::Invalid,
                LoginClass::Expired => Class::Expired,
                LoginClass::Down => Class::NoKeys,
            },
            TokenFault::TooLong
            | TokenFault::Encrypted
            | TokenFault::Parts
            | TokenFault::Encoding(_)
            | TokenFault::Json(..)
            | TokenFault::Header(_)
            | TokenFault::Critical
            | TokenFault::Algorithm
            | TokenFault::KeyAlgorithm
            | TokenFault::Type
            | TokenFault::UnknownKey
            | TokenFault::AmbiguousKey
            | TokenFault::UnnamedKey
            | TokenFault::Signature
            | TokenFault::Issuer
            | TokenFault::Audience
            | TokenFault::Claim(_)
            | TokenFault::Rule(_)
            | TokenFault::Cookies(_)
            | TokenFault::NotYet
            | TokenFault::IssuedLater
            | TokenFault::Certificate(_)
            | TokenFault::AppSession(AppSessionFault::Repeated | AppSessionFault::Unclear | AppSessionFault::Foreign) => {
                Class::Invalid
            }
        }
    }

    /// The stable reason code.
    pub fn code(self) -> &'static str {
        match self.class() {
            Class::Invalid => "TOKEN_INVALID",
            Class::Expired => "TOKEN_EXPIRED",
            Class::NoKeys => "PROVIDER_DOWN",
        }
    }

    /// The HTTP status: 401, or 503 where the fault is not the caller's.
    pub fn status(self) -> u16 {
        match self.class() {
            Class::Invalid | Class::Expired => 401,
            Class::NoKeys => 503,
        }
    }

    /// What the client is told: fixed text, nothing of the inside.
    pub fn public(self) -> &'static str {
        match self.class() {
            Class::Invalid => "the token is not valid",
            Class::Expired => "the token has expired",
            Class::NoKeys => "sign-in cannot be checked at the moment",
        }
    }

    /// What whoever runs the gate can do, for the manual.
    pub fn remedy(self) -> &'static str {
        match self.class() {
            Class::Invalid => {
                "Look up the finer reason in the log by the request id: a wrong `iss`, `aud`, `typ` or `alg`, an unknown \
                 key, a bad signature; or, without a token, a client certificate that is not believed or names nobody, \
                 or a [sign-in](login.md) that the gate could not finish; or the app's session cookie beside it belongs to \
                 somebody else ([app-login](app-login.md)). The caller signs in anew."
            }
            Class::Expired => {
                "The caller fetches a new token; if it happens at once, compare the clocks of both sides."
            }
            Class::NoKeys => {
                "The provider's keys were never fetched, or the last good ones are older than `last_good`, or the provider publishes \
                 none that can be used, or the directory of subjects does not answer: `anteroom status` shows the error of the last attempt. Or a [sign-in](login.md) could not \
                 ask the provider, or the application gave no answer to `app.session.whoami`: the log says why."
            }
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750, 3); none where a new token would not help.
    pub fn challenge(self) -> Option<&'static str> {
        match self.class() {
            Class::Invalid => Some(r#"Bearer error="invalid_token", error_description="the token is not valid""#),
            Class::Expired => Some(r#"Bearer error="invalid_token", error_description="the token has expired""#),
            Class::NoKeys => None,
        }
    }

    /// The finer reason, for the log only; it holds nothing of the token.
    pub fn detail(self) -> String {
        self.to_string()
    }

    /// Whether it may be another key that is meant, one that the provider has published since: worth a fetch.
    pub(crate) fn may_be_for_a_newer_key(self) -> bool {
        matches!(self, TokenFault::UnknownKey | TokenFault::AmbiguousKey | TokenFault::UnnamedKey)
    }

    /// Whether the very same text can never be accepted by the same provider, whatever the time and the keys.
    pub(crate) fn is_malformed(self) -> bool {
        matches!(
            self,
            TokenFault::Encrypted
                | TokenFault::Parts
                | TokenFault::Encoding(_)
                | TokenFault::Json(..)
                | TokenFault::Header(_)
                | TokenFault::Critical
                | TokenFault::Algorithm
                | TokenFault::Type
        )
    }
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenFault::TooLong => f.write_str("the token is too long"),
            TokenFault::Encrypted => f.write_str("the token is encrypted (JWE), only its recipient can read it"),
            TokenFault::Parts => f.write_str("the token does not have three parts"),
            TokenFault::Encoding(part) => write!(f, "the {part} is not canonical base64url"),
            TokenFault::Json(part, fault) => write!(f, "the {part} is {fault}"),
            TokenFault::Header(name) => write!(f, "header member `{name}` has the wrong type or size"),
            TokenFault::Critical => f.write_str("the header demands an extension (`crit` or `b64`)"),
            TokenFault::Algorithm => f.write_str("`alg` is not allowed by the provider"),
            TokenFault::KeyAlgorithm => f.write_str("`alg` does not fit the key that `kid` names"),
            TokenFault::Type => f.write_str("`typ` is not the one of an access token"),
            TokenFault::UnknownKey => f.write_str("no key of the provider has this `kid` and fits"),
            TokenFault::AmbiguousKey => f.write_str("no `kid`, and several keys fit"),
            TokenFault::UnnamedKey => f.write_str("no `kid`, and the signature is not that of the one key that fits"),
            TokenFault::Signature => f.write_str("the signature does not verify"),
            TokenFault::Issuer => f.write_str("`iss` is not the provider's issuer"),
            TokenFault::Audience => f.write_str("`aud` names none of the provider's audiences"),
            TokenFault::Claim(name) => write!(f, "claim `{name}` is missing, of the wrong type or out of range"),
            TokenFault::Rule(reason) | TokenFault::Cookies(reason) => f.write_str(reason),
            TokenFault::Expired => f.write_str("`exp` has passed"),
            TokenFault::NotYet => f.write_str("`nbf` lies in the future"),
            TokenFault::IssuedLater => f.write_str("`iat` lies in the future"),
            TokenFault::NoKeys => {
                f.write_str("the provider's keys were never fetched, are too old, or are all withdrawn")
            }
            TokenFault::Certificate(fault) => fault.fmt(f),
            TokenFault::AppSession(fault) => fault.fmt(f),
            TokenFault::Login(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for TokenFault {}
