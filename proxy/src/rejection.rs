//! Every way in which a request ends early: one closed list, one reason code each.
//!
//! It decides what a client is told and never what happened: the finer reason (`detail`) goes into the log only.

use http::StatusCode;
use policy::Denial;

use crate::authn::TokenFault;

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
    /// The policy says no.
    Denied(Denial),
    /// Too many requests; holds whole seconds until one more fits.
    Limited(u64),
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
}

/// What a code means, as the manual lists it.
#[derive(Clone, Copy, Debug)]
pub struct CodeEntry {
    /// The stable reason code.
    pub code: &'static str,
    /// The HTTP status, or statuses, it comes with.
    pub status: &'static str,
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
            Rejection::Token(fault) => fault.code(),
            Rejection::Denied(denial) => denial.code(),
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
            Rejection::TooLarge(Oversize::Headers) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Rejection::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Rejection::NoRoute => StatusCode::NOT_FOUND,
            Rejection::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Rejection::Token(fault) => StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::UNAUTHORIZED),
            Rejection::Denied(denial) => StatusCode::from_u16(denial.status()).unwrap_or(StatusCode::FORBIDDEN),
            Rejection::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Rejection::Overloaded | Rejection::NotRecorded => StatusCode::SERVICE_UNAVAILABLE,
            Rejection::AppDown(_) | Rejection::AppInvalid(_) => StatusCode::BAD_GATEWAY,
            Rejection::AppTimeout => StatusCode::GATEWAY_TIMEOUT,
            Rejection::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What the client is told: fixed text, nothing of the request, nothing of the inside.
    pub fn public(&self) -> &'static str {
        match self {
            Rejection::Token(fault) => fault.public(),
            Rejection::Denied(denial) => denial.public(),
            Rejection::BadFraming(_) => "the body of the request cannot be read in one way only",
            Rejection::BadPath(_) => "the address of the request cannot be read in one way only",
            Rejection::BadHeader(_) => "a header of the request cannot be read in one way only",
            Rejection::BadHost(_) => "the host of the request is not served here",
            Rejection::TooLarge(_) => "a part of the request is too large",
            Rejection::Misdirected => "the connection was opened for another host",
            Rejection::NoRoute => "there is nothing at this address",
            Rejection::MethodNotAllowed(_) => "the address does not take this method",
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
            | Rejection::AppDown(detail)
            | Rejection::AppInvalid(detail) => (*detail).to_owned(),
            Rejection::TooLarge(Oversize::Body) => "body over `limits.body`".to_owned(),
            Rejection::TooLarge(Oversize::Target) => "request target over 16 KiB".to_owned(),
            Rejection::TooLarge(Oversize::Headers) => "headers over `limits.headers`".to_owned(),
            Rejection::Token(fault) => fault.detail(),
            Rejection::Denied(denial) => denial.detail(),
            Rejection::Misdirected
            | Rejection::NoRoute
            | Rejection::MethodNotAllowed(_)
            | Rejection::Limited(_)
            | Rejection::Overloaded
            | Rejection::AppTimeout
            | Rejection::NotRecorded
            | Rejection::Internal => String::new(),
        }
    }

    /// Whether the client, rather than the gate or the application, is why: such a request counts as refused.
    pub fn is_refusal(&self) -> bool {
        self.status().is_client_error()
    }
}
