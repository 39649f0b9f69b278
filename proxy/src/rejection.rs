//! Every way in which a request ends early: one closed list, one reason code each.
//!
//! It decides what a client is told and never what happened: the finer reason (`detail`) goes into the log only.

use http::{HeaderValue, StatusCode};
use policy::{Assurance, Denial, Lack, StepUp};

use crate::authn::TokenFault;
use crate::directory::Down;
use crate::limits::Full;
use crate::login::LoginFault;
use crate::sessions::life::Fault as SessionFault;

/// Why a request was refused, or why its answer was withheld.
#[derive(Debug)]
pub enum Rejection {
    /// The body or its framing cannot be read in one way only.
    BadFraming(&'static str),
    /// The path or query cannot be read in one way only.
    BadPath(&'static str),
    /// A header cannot be read in one way only.
    BadHeader(&'static str),
    /// `Host` is missing, repeated, malformed, or none of `app.hosts`.
    BadHost(&'static str),
    /// A part of the request is over its limit.
    TooLarge(Oversize),
    /// The TLS connection was opened for another name (RFC 9110, section 15.5.20).
    Misdirected,
    /// No rule names the path.
    NoRoute,
    /// The rule of this path does not name the method; holds the value of `Allow`.
    MethodNotAllowed(String),
    /// The credential does not prove who is asking.
    Token(TokenFault),
    /// The session behind the credential does not last, and a later sign-in is needed.
    Session(SessionFault),
    /// A provider's token for ending sessions is not believed.
    LogoutToken(TokenFault),
    /// What the caller is in which tenant cannot be asked for at the moment.
    DirectoryDown(Down),
    /// The policy says no.
    Denied(Denial),
    /// The policy demands stronger or more recent factors; holds its denial and the challenge.
    StepUp(Denial, HeaderValue),
    /// The browser is sent to sign in, for what is held here.
    SignIn(Box<Rejection>),
    /// A page of another site asked, or a preflight that the list does not answer.
    CrossSite(&'static str),
    /// Too many requests; holds the limit, and the time until one more fits.
    Limited(Full),
    /// The gate has more to do than it can.
    Overloaded,
    /// The application cannot be reached, or hung up before it answered.
    AppDown(&'static str),
    /// The application did not answer in time.
    AppTimeout,
    /// The application's answer is not HTTP.
    AppInvalid(&'static str),
    /// The request, or its answer, cannot be recorded.
    NotRecorded,
    /// A fault of our own while serving this one request.
    Internal,
}

/// What was too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// The body.
    Body,
    /// The request target.
    Target,
    /// The headers.
    Headers,
    /// The number of headers.
    Lines,
}

/// What a code means, as the manual lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeEntry {
    /// The stable reason code.
    pub code: &'static str,
    /// The HTTP statuses it comes with.
    pub statuses: Vec<u16>,
    /// What the client is told.
    pub meaning: &'static str,
    /// What whoever runs the gate, or calls it, can do.
    pub remedy: &'static str,
}

impl Rejection {
    /// The stable reason code: the same in the answer, the log, the metrics and the record.
    pub fn code(&self) -> &'static str {
        match self {
            Rejection::BadFraming(_) => "BAD_FRAMING",
            Rejection::BadPath(_) => "BAD_PATH",
            Rejection::BadHeader(_) => "BAD_HEADER",
            Rejection::BadHost(_) => "BAD_HOST",
            Rejection::TooLarge(_) => "TOO_LARGE",
            Rejection::Misdirected => "MISDIRECTED",
            Rejection::NoRoute => "NO_ROUTE",
            Rejection::MethodNotAllowed(_) => "METHOD_NOT_ALLOWED",
            Rejection::Token(fault) | Rejection::LogoutToken(fault) => fault.code(),
            Rejection::Session(_) => "SESSION_ENDED",
            Rejection::DirectoryDown(_) => TokenFault::NoKeys.code(),
            Rejection::Denied(denial) | Rejection::StepUp(denial, _) => denial.code(),
            Rejection::SignIn(why) => why.code(),
            Rejection::CrossSite(_) => "CROSS_SITE",
            Rejection::Limited(_) => "LIMITED",
            Rejection::Overloaded => "OVERLOADED",
            Rejection::AppDown(_) => "APP_DOWN",
            Rejection::AppTimeout => "APP_TIMEOUT",
            Rejection::AppInvalid(_) => "APP_INVALID",
            Rejection::NotRecorded => "NOT_RECORDED",
            Rejection::Internal => "INTERNAL",
        }
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Rejection::BadFraming(_) | Rejection::BadPath(_) | Rejection::BadHeader(_) | Rejection::BadHost(_) => {
                StatusCode::BAD_REQUEST
            }
            Rejection::TooLarge(Oversize::Body) => StatusCode::PAYLOAD_TOO_LARGE,
            Rejection::TooLarge(Oversize::Target) => StatusCode::URI_TOO_LONG,
            Rejection::TooLarge(Oversize::Headers | Oversize::Lines) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Rejection::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Rejection::NoRoute => StatusCode::NOT_FOUND,
            Rejection::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Rejection::Token(fault) => StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::UNAUTHORIZED),
            Rejection::Session(_) => StatusCode::UNAUTHORIZED,
            // OpenID Connect Back-Channel Logout, section 2.8, where it is the caller's fault.
            Rejection::LogoutToken(fault) if fault.status() == 401 => StatusCode::BAD_REQUEST,
            Rejection::LogoutToken(_) => StatusCode::SERVICE_UNAVAILABLE,
            Rejection::Denied(denial) | Rejection::StepUp(denial, _) => {
                StatusCode::from_u16(denial.status()).unwrap_or(StatusCode::FORBIDDEN)
            }
            Rejection::SignIn(_) => StatusCode::SEE_OTHER,
            Rejection::CrossSite(_) => StatusCode::FORBIDDEN,
            Rejection::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Rejection::DirectoryDown(_) | Rejection::Overloaded | Rejection::NotRecorded => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Rejection::AppDown(_) | Rejection::AppInvalid(_) => StatusCode::BAD_GATEWAY,
            Rejection::AppTimeout => StatusCode::GATEWAY_TIMEOUT,
            Rejection::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What the client is told: fixed text, nothing of the request, nothing of the inside.
    pub fn public(&self) -> &'static str {
        match self {
            Rejection::Token(fault) | Rejection::LogoutToken(fault) => fault.public(),
            Rejection::Session(_) => "the session has ended: sign in again",
            Rejection::DirectoryDown(_) => TokenFault::NoKeys.public(),
            Rejection::Denied(denial) | Rejection::StepUp(denial, _) => denial.public(),
            Rejection::SignIn(why) => why.public(),
            Rejection::BadFraming(_) => "where the request ends cannot be read in one way only",
            Rejection::BadPath(_) => "the address of the request cannot be read in one way only",
            Rejection::BadHeader(_) => "a header of the request cannot be read in one way only",
            Rejection::BadHost(_) => "the host of the request is not served here",
            Rejection::TooLarge(_) => "a part of the request is too large",
            Rejection::Misdirected => "the connection was opened for another host",
            Rejection::NoRoute => "there is nothing at this address",
            Rejection::MethodNotAllowed(_) => "the address does not take this method",
            Rejection::CrossSite(_) => "the request comes from a page of another site",
            Rejection::Limited(_) => "too many requests",
            Rejection::Overloaded => "the service has too much to do",
            Rejection::AppDown(_) => "the application cannot be reached",
            Rejection::AppTimeout => "the application did not answer in time",
            Rejection::AppInvalid(_) => "the application gave no valid answer",
            Rejection::NotRecorded => "the request cannot be recorded, so it is not served",
            Rejection::Internal => "the service failed on this request",
        }
    }

    /// The finer reason, for the log only.
    pub fn detail(&self) -> String {
        match self {
            Rejection::BadFraming(detail)
            | Rejection::BadPath(detail)
            | Rejection::BadHeader(detail)
            | Rejection::BadHost(detail)
            | Rejection::CrossSite(detail)
            | Rejection::AppDown(detail)
            | Rejection::AppInvalid(detail) => (*detail).to_owned(),
            Rejection::SignIn(why) => why.detail(),
            Rejection::TooLarge(Oversize::Body) => "body over `limits.body`".to_owned(),
            Rejection::TooLarge(Oversize::Target) => "request target over 16 KiB".to_owned(),
            Rejection::TooLarge(Oversize::Headers) => "headers over `limits.headers`".to_owned(),
            Rejection::TooLarge(Oversize::Lines) => "more than 100 headers".to_owned(),
            Rejection::Token(fault) | Rejection::LogoutToken(fault) => fault.detail(),
            Rejection::Session(fault) => fault.detail().to_owned(),
            Rejection::DirectoryDown(down) => format!("the directory of subjects: {down}"),
            Rejection::Denied(denial) | Rejection::StepUp(denial, _) => denial.detail(),
            Rejection::Limited(full) => format!("limit `{}`", full.limit),
            Rejection::Misdirected
            | Rejection::NoRoute
            | Rejection::MethodNotAllowed(_)
            | Rejection::Overloaded
            | Rejection::AppTimeout
            | Rejection::NotRecorded
            | Rejection::Internal => String::new(),
        }
    }

    /// What to do about it, as the manual says.
    pub fn remedy(&self) -> Option<&'static str> {
        codes().into_iter().find(|entry| entry.code == self.code()).map(|entry| entry.remedy)
    }

    /// Whether the client, rather than the gate or the application, is why: such a request counts as refused.
    pub fn is_refusal(&self) -> bool {
        self.status().is_client_error()
    }
}

/// Every code that a request can end with, in the order of [`Rejection`], each once.
pub fn codes() -> Vec<CodeEntry> {
    let mut codes: Vec<CodeEntry> = Vec::new();
    for one in std::iter::successors(Some(Rejection::BadFraming("")), next).flat_map(entries) {
        match codes.iter_mut().find(|known| known.code == one.code) {
            Some(known) => {
                let new = one.statuses.into_iter().filter(|status| !known.statuses.contains(status));
                known.statuses.extend(new.collect::<Vec<_>>());
            }
            None => codes.push(one),
        }
    }
    codes
}

/// The variant after this one. A new variant does not compile until it has its place here.
fn next(one: &Rejection) -> Option<Rejection> {
    Some(match one {
        Rejection::BadFraming(_) => Rejection::BadPath(""),
        Rejection::BadPath(_) => Rejection::BadHeader(""),
        Rejection::BadHeader(_) => Rejection::BadHost(""),
        Rejection::BadHost(_) => Rejection::TooLarge(Oversize::Body),
        Rejection::TooLarge(Oversize::Body) => Rejection::TooLarge(Oversize::Target),
        Rejection::TooLarge(Oversize::Target) => Rejection::TooLarge(Oversize::Headers),
        Rejection::TooLarge(Oversize::Headers) => Rejection::TooLarge(Oversize::Lines),
        Rejection::TooLarge(Oversize::Lines) => Rejection::Misdirected,
        Rejection::Misdirected => Rejection::NoRoute,
        Rejection::NoRoute => Rejection::MethodNotAllowed(String::new()),
        Rejection::MethodNotAllowed(_) => Rejection::Token(TokenFault::Parts),
        Rejection::Token(_) => Rejection::LogoutToken(TokenFault::Parts),
        Rejection::LogoutToken(_) => Rejection::Session(SessionFault::Ended),
        Rejection::Session(_) => Rejection::DirectoryDown(Down::Busy),
        Rejection::DirectoryDown(_) => Rejection::Denied(Denial::NoCredential),
        Rejection::Denied(denial) => Rejection::StepUp(denial.clone(), HeaderValue::from_static("Bearer")),
        Rejection::StepUp(denial, _) => Rejection::SignIn(Box::new(Rejection::Denied(denial.clone()))),
        Rejection::SignIn(_) => Rejection::CrossSite(""),
        Rejection::CrossSite(_) => Rejection::Limited(Full::sample()),
        Rejection::Limited(_) => Rejection::Overloaded,
        Rejection::Overloaded => Rejection::AppDown(""),
        Rejection::AppDown(_) => Rejection::AppTimeout,
        Rejection::AppTimeout => Rejection::AppInvalid(""),
        Rejection::AppInvalid(_) => Rejection::NotRecorded,
        Rejection::NotRecorded => Rejection::Internal,
        Rejection::Internal => return None,
    })
}

/// The codes of one variant: those of all token faults and of all denials stand for one each.
fn entries(one: Rejection) -> Vec<CodeEntry> {
    let remedy = match &one {
        Rejection::Token(_) => {
            // One of each class that a client can tell apart.
            let faults = [TokenFault::Parts, TokenFault::Expired, TokenFault::NoKeys];
            return faults.map(|fault| entry(&Rejection::Token(fault), fault.remedy())).to_vec();
        }
        Rejection::LogoutToken(_) => {
            let faults = [TokenFault::Parts, TokenFault::Expired];
            return faults.map(|fault| entry(&Rejection::LogoutToken(fault), fault.remedy())).to_vec();
        }
        Rejection::Session(_) => {
            "Nothing was done for the idle time of the session, its sign-in is longer ago than it may last, somebody logged out, \
             its browser has signed in anew, or it was revoked; or the credential names no session where its time is limited. The log says which. The caller \
             signs in again: a renewed token of the same sign-in does not help ([sessions](sessions.md))."
        }
        // Its code is one of those of tokens.
        Rejection::DirectoryDown(_) => return Vec::new(),
        Rejection::Denied(_) => {
            return policy::codes()
                .map(|code| CodeEntry {
                    code: code.code,
                    statuses: vec![code.status],
                    meaning: code.public,
                    remedy: code.advice,
                })
                .to_vec();
        }
        Rejection::BadFraming(_) => {
            "The body ended early, stopped arriving, or the request is framed in two ways (a length beside chunks, a bare \
             line feed, a folded header, bytes behind a request for a WebSocket): look at the client, or at the proxy in \
             front of the gate. Or the body names another method, or a parameter that the policy reads from the query. The \
             log says which; the connection is closed."
        }
        Rejection::BadPath(_) => {
            "The path or query holds what two readers could take for two things (`//`, dot segments, `;`, an encoded \
             slash, a method override, two of a parameter that a rule reads); the log names it. The client sends it in its \
             plain form, or the route allows it by name ([policies](policies.md#routes))."
        }
        Rejection::BadHeader(_) => {
            "A header that may stand once is repeated, is no text, overrides the method, has a name that servers read as \
             another (`app.unclear_headers`), or names a form that cannot be looked into; or the word of a sender that \
             `client_address` names is no address. The log names which."
        }
        Rejection::BadHost(_) => "Add the name to `app.hosts`, or mend the client's `Host`.",
        Rejection::TooLarge(_) => {
            "413: the body is over `limits.body`. 431: the headers are over `limits.headers`, or there are more than 100, \
             which is fixed. 414: the request target is over 16 KiB, which is fixed."
        }
        Rejection::Misdirected => {
            "The connection was opened for one host and used for another: the client opens one for each. A certificate \
             that covers both invites browsers to do this."
        }
        Rejection::NoRoute => "No rule names the path, so it is closed: add a route to a policy if it should be open.",
        Rejection::MethodNotAllowed(_) => {
            "The most specific route does not list the method; `Allow` says which it lists. A less specific route is \
             never asked instead."
        }
        // It stands among the denials.
        Rejection::StepUp(..) => return Vec::new(),
        // And so do these, but for the status: a browser is sent to the provider.
        Rejection::SignIn(_) => {
            let step_up = StepUp { needed: Assurance::default(), lack: Lack::SecondFactor };
            let tokens = [TokenFault::Login(LoginFault::Unreadable), TokenFault::Login(LoginFault::Over)];
            let denials = [Denial::NoCredential, Denial::StepUp(step_up)].map(Rejection::Denied);
            let all = denials.into_iter().chain(tokens.map(Rejection::Token));
            return all.map(|why| entry(&Rejection::SignIn(Box::new(why)), "")).collect();
        }
        Rejection::CrossSite(_) => {
            "A page of another site sent a request that could change something with a person's cookies, opened a \
             WebSocket, or asked for a preflight; the log says by what it was seen. A site of yours belongs in \
             `app.hosts` or `cors.origins`; a client that is no browser sends its token in a header. See \
             [browsers](browsers.md)."
        }
        Rejection::Limited(_) => {
            "Come back after `Retry-After` seconds. It is the address' limit (`limits.per_address`), its allowance of \
             refused requests (`limits.refused_per_address`), or the act's own `limit`."
        }
        Rejection::Overloaded => {
            "There are `limits.requests` already, or no room for one more connection to the application: come back \
             later, or give it more. Or there is no place for one more sign-in at the provider, of which one address has 16."
        }
        Rejection::AppDown(_) => {
            "Nothing listens at `app.url`, or it hung up before it answered: look at the application."
        }
        Rejection::AppTimeout => {
            "No answer within `app.timeouts.response`: look at the application, or raise the limit for slow pages."
        }
        Rejection::AppInvalid(_) => {
            "The application's answer is no HTTP/1.1 that can be read in one way only, or its head is over 64 KiB or 200 \
             lines; the log names it."
        }
        Rejection::NotRecorded => {
            "The record is full, or its disk refuses: `anteroom status` and the metrics of the record say which. Nothing \
             passes until there is room."
        }
        Rejection::Internal => {
            "A fault of the gate on this one request: report it with the log line of the request id."
        }
    };
    vec![entry(&one, remedy)]
}

fn entry(one: &Rejection, remedy: &'static str) -> CodeEntry {
    CodeEntry { code: one.code(), statuses: vec![one.status().as_u16()], meaning: one.public(), remedy }
}

#[cfg(test)]
#[path = "rejection_tests.rs"]
mod tests;
