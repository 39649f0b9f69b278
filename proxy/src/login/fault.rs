//! Why a sign-in by the gate, or the session that came of it, is not believed.
//!
//! Decides what kind of fault it is, and whether signing in anew may help. Never says to the client more than its kind.

use std::fmt;

/// A fault of a sign-in or of its session. `Display` is the detail for the log; it holds nothing that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoginFault {
    /// The session's cookie does not open: changed, of another gate, or sealed by a key that is gone.
    Unreadable,
    /// The session has reached its lifetime.
    Over,
    /// The provider does not renew the session any more.
    NotRenewed,
    /// The session could not be renewed for too long.
    Stale,
    /// The browser shows no sign-in under way that belongs to the provider's answer.
    NoAttempt,
    /// The provider's answer has been used before.
    Used,
    /// The provider's answer cannot be read in one way only.
    Answer(&'static str),
    /// The answer is of another issuer (RFC 9207).
    Issuer,
    /// The provider ended the sign-in with an error.
    Refused,
    /// The provider does not take the code, or our name.
    NoExchange(&'static str),
    /// The ID token is not for this sign-in.
    IdToken(&'static str),
    /// The session does not fit into a cookie.
    TooLarge,
    /// The provider cannot be asked.
    Down(&'static str),
}

/// What the client may know of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoginClass {
    /// It proves nobody.
    Invalid,
    /// Its time has passed.
    Expired,
    /// The provider cannot be asked.
    Down,
}

impl LoginFault {
    /// Its kind.
    pub fn class(self) -> LoginClass {
        match self {
            LoginFault::Over | LoginFault::NotRenewed => LoginClass::Expired,
            LoginFault::Stale | LoginFault::Down(_) => LoginClass::Down,
            LoginFault::Unreadable
            | LoginFault::NoAttempt
            | LoginFault::Used
            | LoginFault::Answer(_)
            | LoginFault::Issuer
            | LoginFault::Refused
            | LoginFault::NoExchange(_)
            | LoginFault::IdToken(_)
            | LoginFault::TooLarge => LoginClass::Invalid,
        }
    }

    /// Whether it is the session that ended, rather than a sign-in that failed: then a browser is sent to sign in anew.
    pub fn is_of_session(self) -> bool {
        match self {
            LoginFault::Unreadable | LoginFault::Over | LoginFault::NotRenewed => true,
            LoginFault::Stale
            | LoginFault::NoAttempt
            | LoginFault::Used
            | LoginFault::Answer(_)
            | LoginFault::Issuer
            | LoginFault::Refused
            | LoginFault::NoExchange(_)
            | LoginFault::IdToken(_)
            | LoginFault::TooLarge
            | LoginFault::Down(_) => false,
        }
    }

    /// What a person in front of a browser is told, where there is more to say than the code: fixed text.
    pub fn advice(self) -> Option<&'static str> {
        match self {
            LoginFault::NoAttempt | LoginFault::Used => Some(
                "This browser has no sign-in under way that the answer is for: it was used before, it gave way to one in \
                 another tab, it began in another browser, or this browser's cookies are blocked.",
            ),
            LoginFault::Refused => Some("The service that signs people in ended the sign-in."),
            LoginFault::Unreadable
            | LoginFault::Over
            | LoginFault::NotRenewed
            | LoginFault::Stale
            | LoginFault::Answer(_)
            | LoginFault::Issuer
            | LoginFault::NoExchange(_)
            | LoginFault::IdToken(_)
            | LoginFault::TooLarge
            | LoginFault::Down(_) => None,
        }
    }
}

impl fmt::Display for LoginFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoginFault::Unreadable => out.write_str("login: the session's cookie does not open"),
            LoginFault::Over => out.write_str("login: the session has reached its lifetime"),
            LoginFault::NotRenewed => out.write_str("login: the provider renews the session no more"),
            LoginFault::Stale => out.write_str("login: the session could not be renewed for too long"),
            LoginFault::NoAttempt => out.write_str("login: the browser has no sign-in under way with this `state`"),
            LoginFault::Used => out.write_str("login: this `state` has been used before"),
            LoginFault::Answer(what) => write!(out, "login: the provider's answer: {what}"),
            LoginFault::Issuer => out.write_str("login: `iss` of the answer is not the provider's issuer"),
            LoginFault::Refused => out.write_str("login: the provider answered with an error"),
            LoginFault::NoExchange(what) => write!(out, "login: no token for the code: {what}"),
            LoginFault::IdToken(what) => write!(out, "login: the ID token: {what}"),
            LoginFault::TooLarge => out.write_str("login: the session does not fit into a cookie of 4,000 bytes"),
            LoginFault::Down(what) => write!(out, "login: the provider cannot be asked: {what}"),
        }
    }
}
