//! The answer as the client gets it: the strict headers on every one, ours and the application's.
//!
//! Decides headers and the form of our own errors. It never says more about a refusal than its code and its fixed text.

use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{Method, Request, Response, StatusCode};
use serde_json::json;

use super::cache::{self, Audience};
use super::canonical;
use crate::authn::TokenFault;
use crate::login::{AGAIN, LOGIN, LoginFault, ReturnPath};
use crate::outbound::encode_form;
use crate::rejection::Rejection;
use crate::request_id::RequestId;
use crate::runtime::AnswerHeaders;
use crate::sessions::life::Fault;
use crate::upstream::body::AnswerBody;

/// What clients are told of a limit that they ran into (draft-ietf-httpapi-ratelimit-headers-10).
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What a caller is asked for whose session has ended (RFC 9470): to sign in now. To be told that the token is invalid would
/// make clients renew it, which does not help.
const SIGN_IN_AGAIN: &str = "Bearer error=\"insufficient_user_authentication\", \
    error_description=\"the session has ended\", max_age=\"0\"";

/// What an application's server tells about itself; nobody outside needs it.
const TELLTALE: [&str; 6] =
    ["server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version", "x-runtime", "x-generator"];

/// What a page says beside the refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// No more.
    Nothing,
    /// Where to sign in, if that may help, and this page to come back to.
    SignIn(ReturnPath),
    /// The application's own page to sign in, if that may help, by this address of this host.
    Page(String),
    /// The same, to a browser that was sent there several times.
    PageAgain(String),
    /// That signing in has not helped several times.
    Loop,
}

/// The form that an answer of our own takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// A person in front of a browser asks, who gets a page rather than a problem document.
    page: bool,
    /// `HEAD`: the head of the answer, with the length of a body that must not follow (RFC 9110, section 9.3.2). HTTP/2
    /// does not leave it out by itself.
    head_only: bool,
}

impl Form {
    /// What `request` asks for.
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
        Self {
            page: accept.is_some_and(|accept| accept.contains("text/html")),
            head_only: *request.method() == Method::HEAD,
        }
    }
}

/// Takes out of the application's answer what is for one hop only and what tells of its inside.
pub(super) fn clean(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(http::header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    let fixed = canonical::HOP_BY_HOP.into_iter().chain(TELLTALE).map(HeaderName::from_static);
    for name in named.into_iter().chain(fixed) {
        headers.remove(name);
    }
}

/// Sets the strict headers. A content policy of the application stays beside ours: a browser enforces both.
pub(super) fn seal(headers: &mut HeaderMap, strict: &AnswerHeaders, id: RequestId, audience: Audience) {
    cache::limit(headers, audience);
    for name in &strict.removed {
        headers.remove(name);
    }
    for (name, value) in &strict.replaced {
        headers.insert(name.clone(), value.clone());
    }
    for (name, value) in &strict.appended {
        headers.append(name.clone(), value.clone());
    }
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(strict.request.clone(), value);
    }
}

/// Our own answer to a request that ended early: a problem document (RFC 9457), or a page for a browser.
pub(super) fn rejection(rejection: &Rejection, id: RequestId, form: Form, offer: &Offer) -> Response<AnswerBody> {
    let status = rejection.status();
    let says =
        Says { status, text: rejection.public(), code: Some(rejection.code()), id, more: more(rejection, offer) };
    let mut answer = says.answer(form);
    let headers = answer.headers_mut();
    let (name, value) = match rejection {
        Rejection::MethodNotAllowed(allow) => (ALLOW, HeaderValue::from_str(allow).ok()),
        Rejection::Limited(full) => {
            for (name, value) in [(RATE_LIMIT_POLICY, full.policy_field()), (RATE_LIMIT, full.field())] {
                if let Ok(value) = HeaderValue::try_from(value) {
                    headers.insert(name, value);
                }
            }
            (RETRY_AFTER, Some(HeaderValue::from(full.seconds())))
        }
        Rejection::DirectoryDown(_) | Rejection::Overloaded | Rejection::NotRecorded => {
            (RETRY_AFTER, Some(HeaderValue::from_static("5")))
        }
        Rejection::Token(fault) => (WWW_AUTHENTICATE, fault.challenge().map(HeaderValue::from_static)),
        Rejection::Session(_) => (WWW_AUTHENTICATE, Some(HeaderValue::from_static(SIGN_IN_AGAIN))),
        Rejection::Denied(_) => {
            (WWW_AUTHENTICATE, (status == StatusCode::UNAUTHORIZED).then(|| HeaderValue::from_static("Bearer")))
        }
        Rejection::StepUp(_, challenge) => (WWW_AUTHENTICATE, Some(challenge.clone())),
        Rejection::BadFraming(_)
        | Rejection::BadPath(_)
        | Rejection::BadHeader(_)
        | Rejection::BadHost(_)
        | Rejection::TooLarge(_)
        | Rejection::Misdirected
        | Rejection::NoRoute
        | Rejection::CrossSite(_)
        | Rejection::LogoutToken(_)
        | Rejection::AppDown(_)
        | Rejection::AppTimeout
        | Rejection::AppInvalid(_)
        | Rejection::SignIn(_)
        | Rejection::Internal => return answer,
    };
    if let Some(value) = value {
        headers.insert(name, value);
    }
    answer
}

/// What stands in place of the application's own error: its status, and nothing of what it said. It has no reason code,
/// since nothing was refused: whoever finds none in a problem document knows that the application failed.
pub(super) fn app_failed(status: StatusCode, id: RequestId, form: Form) -> Response<AnswerBody> {
    Says { status, text: "the application failed on this request", code: None, id, more: String::new() }.answer(form)
}

/// What an answer of our own says.
struct Says {
    status: StatusCode,
    text: &'static str,
    code: Option<&'static str>,
    id: RequestId,
    /// More of a page, as HTML.
    more: String,
}

/// What a page says beside a refusal, as HTML: fixed texts, and one link at most.
fn more(rejection: &Rejection, offer: &Offer) -> String {
    let advice = match rejection {
        Rejection::Session(Fault::Replaced) => Some(REPLACED),
        Rejection::Session(_) => Some(ENDED),
        Rejection::Token(TokenFault::Login(fault)) => fault.advice(),
        _ => None,
    };
    let advice = advice.map(|advice| format!("<p>{advice}</p>\n")).unwrap_or_default();
    let unknown = rejection.status() == StatusCode::UNAUTHORIZED;
    match offer {
        Offer::SignIn(back) => {
            let link = sign_in(rejection, back).map(|link| format!("<p>{link}</p>\n")).unwrap_or_default();
            advice + &link
        }
        Offer::Page(address) if unknown => advice + &page_link(rejection, address),
        Offer::PageAgain(address) if unknown => format!("{advice}<p>{SENT}</p>\n{}", page_link(rejection, address)),
        Offer::Loop if unknown => format!("{advice}<p>{LOOP}</p>\n"),
        Offer::Nothing | Offer::Loop | Offer::Page(_) | Offer::PageAgain(_) => advice,
    }
}

/// The link to where people sign in, which leads back to where they were; `None` where that would not help.
fn sign_in(rejection: &Rejection, back: &ReturnPath) -> Option<String> {
    let (again, text) = match rejection {
        Rejection::Session(Fault::Replaced) => (None, "Sign in again"),
        // Whose time was up is not let in again by what the provider remembers.
        Rejection::Session(_) => (Some(AGAIN.to_owned()), "Sign in again"),
        Rejection::Token(TokenFault::Login(LoginFault::NoAttempt | LoginFault::Used)) => (None, "Sign in again"),
        // To load the page again would not help: what the provider sent the browser back with counts once.
        Rejection::Token(TokenFault::Login(LoginFault::Down(_))) => (None, "Try again"),
        _ if rejection.status() == StatusCode::UNAUTHORIZED => (None, "Sign in"),
        _ => return None,
    };
    // INVARIANT: nothing that is encoded so has a meaning in HTML.
    let to = (*back != ReturnPath::root()).then(|| encode_form(&[("to", back.as_str())]));
    let query: Vec<String> = again.into_iter().chain(to).collect();
    let sign = if query.is_empty() { "" } else { "?" };
    Some(format!("<a href=\"{LOGIN}{sign}{}\">{text}</a>", query.join("&amp;")))
}

/// The link to where the application signs people in.
fn page_link(rejection: &Rejection, address: &str) -> String {
    let text = if matches!(rejection, Rejection::Session(_)) { "Sign in again" } else { "Sign in" };
    // INVARIANT: nothing else in it has a meaning in HTML: such a page is no page, and the way back is encoded.
    format!("<p><a href=\"{}\">{text}</a></p>\n", address.replace('&', "&amp;"))
}

/// What is told of a session that has ended.
const ENDED: &str = "You are signed out here: nothing was done for too long, the time of your sign-in was up, or it was ended, \
    by signing out or by the service that signs people in.";

/// What is told of a session that the same browser has replaced.
const REPLACED: &str = "This browser has signed in again since it asked for this page. Load the page again.";

/// What is told to a browser that was sent to the application's page several times.
const SENT: &str = "This browser was sent to sign in several times within a minute: by several pages that were opened at once, or \
    because what you sign in to is not known here. If you have signed in since and see this again, the browser may not keep the \
    cookies of this site.";

/// What is told of a loop.
const LOOP: &str = "You have signed in several times within a minute, and were refused each time. This browser may not keep \
    the cookies of this site, a clock may be wrong, or your sign-in does not show what is asked for here. Wait a minute \
    before you try again.";

impl Says {
    fn answer(&self, form: Form) -> Response<AnswerBody> {
        let (kind, text) = match form.page {
            true => ("text/html; charset=utf-8", self.page()),
            false => ("application/problem+json", self.problem()),
        };
        let length = HeaderValue::from(text.len());
        let mut answer = Response::new(AnswerBody::whole(if form.head_only { String::new() } else { text }));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_LENGTH, length);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    fn problem(&self) -> String {
        let mut problem = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.text,
        });
        if let Some(members) = problem.as_object_mut() {
            members.extend(self.code.map(|code| ("code".to_owned(), code.into())));
            members.insert("request".to_owned(), self.id.to_string().into());
        }
        problem.to_string()
    }

    /// A page without script, style sheet or image; everything in it is ours or encoded, so nothing needs escaping.
    fn page(&self) -> String {
        let Self { status, text, code, id, more } = self;
        let (number, reason) = (status.as_u16(), status.canonical_reason().unwrap_or("Error"));
        let told = match code {
            Some(code) => format!(
                "<p>This request was not let through: {text}.</p>\n\
                 <p>Reason code <strong><code>{code}</code></strong>, request <code>{id}</code>. \
                 Whoever runs this service can look it up by these two.</p>"
            ),
            None => format!(
                "<p>This did not work: {text}.</p>\n\
                 <p>Request <code>{id}</code>. Whoever runs this service can look it up by that.</p>"
            ),
        };
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{number} {reason}</title>\n\
             <h1>{number} {reason}</h1>\n{told}\n{more}</html>\n"
        )
    }
}
