//! The question to the application: whose are these cookies?
//!
//! Decides what counts as its answer: 200 with one JSON object of bounded size says it; 401, 403 and a redirect say that it
//! is nobody. Everything else is no answer, and nobody is let in by it. It sends the session's cookies and nothing else of
//! the request, and passes on nothing of the answer, so that a page cannot make it ask for anything.

use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::answer::Reads;
use crate::authn::json;
use crate::rejection::Rejection;
use crate::upstream::body::{AnswerBody, BodyFate, RequestBody};
use crate::upstream::{self, AppTarget, Pool, Trailers};

/// How long the whole of it may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest answer, in bytes.
const MOST: usize = 64 * 1024;
/// The most values in it, of all depths together.
const MOST_VALUES: usize = 4_096;

/// How the application is asked.
#[derive(Clone, Debug)]
pub(crate) struct Whoami {
    /// Path and query.
    pub(crate) target: Uri,
    /// One of the public names, since applications look at it.
    pub(crate) host: HeaderValue,
    /// Where in the answer everything stands.
    pub(crate) reads: Reads,
    /// How long its word is remembered.
    pub(crate) remember: Duration,
    /// Another number with every change of these settings.
    pub(crate) generation: u64,
}

/// Asks. `None`: the application says that it is nobody.
///
/// # Errors
/// Why there is no answer that can be read, in words for the log.
pub(super) async fn ask(
    target: &AppTarget,
    pool: &Pool,
    whoami: &Whoami,
    cookies: &str,
) -> Result<Option<Map<String, Value>>, &'static str> {
    let request = request(whoami, cookies)?;
    let asked = async {
        let sent = upstream::send(target, pool, request, &BodyFate::default(), Trailers::Dropped).await;
        let answer = sent.map_err(|rejection| why(&rejection))?;
        read(answer).await
    };
    timeout(PATIENCE, asked).await.unwrap_or(Err("no answer in time"))
}

fn request(whoami: &Whoami, cookies: &str) -> Result<Request<RequestBody>, &'static str> {
    let mut request = Request::new(RequestBody::Empty);
    *request.uri_mut() = whoami.target.clone();
    let headers = request.headers_mut();
    headers.insert(HOST, whoami.host.clone());
    headers.insert(COOKIE, HeaderValue::try_from(cookies).map_err(|_| "the cookie cannot stand in a header")?);
    let fixed = |name, value| (name, HeaderValue::from_static(value));
    headers.extend([
        fixed(ACCEPT, "application/json"),
        fixed(ACCEPT_ENCODING, "identity"),
        fixed(USER_AGENT, concat!("anteroom/", env!("CARGO_PKG_VERSION"))),
        // Without it, applications that demand TLS redirect.
        fixed(HeaderName::from_static("x-forwarded-proto"), "https"),
    ]);
    headers.insert(HeaderName::from_static("x-forwarded-host"), whoami.host.clone());
    Ok(request)
}

async fn read(answer: Response<AnswerBody>) -> Result<Option<Map<String, Value>>, &'static str> {
    let (head, mut body) = answer.into_parts();
    match head.status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Ok(None),
        status if status.is_redirection() && status != StatusCode::NOT_MODIFIED => return Ok(None),
        _ => return Err("the status is none of 200, 401, 403 and those of redirects"),
    }
    if !is_json(&head.headers) {
        return Err("the answer is not `application/json` in no content coding");
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| "the answer ended early")?.into_data() else { continue };
        if bytes.len() + data.len() > MOST {
            return Err("the answer is over 64 KiB");
        }
        bytes.extend_from_slice(&data);
    }
    // What Auth.js says of nobody, in the place of an object.
    if bytes.trim_ascii() == b"null" {
        return Ok(None);
    }
    json::object(&bytes, MOST_VALUES).map(Some).map_err(|_| "the answer is not one JSON object with each name once")
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next(), types.next()) else { return false };
    let essence = one.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let plain = headers.get_all(CONTENT_ENCODING).iter().all(|one| one.as_bytes().eq_ignore_ascii_case(b"identity"));
    essence.eq_ignore_ascii_case("application/json") && plain
}

fn why(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::AppDown(why) | Rejection::AppInvalid(why) => why,
        Rejection::AppTimeout => "no answer in time",
        Rejection::Overloaded => "no room for one more connection to the application",
        Rejection::BadFraming(_)
        | Rejection::BadPath(_)
        | Rejection::BadHeader(_)
        | Rejection::BadHost(_)
        | Rejection::TooLarge(_)
        | Rejection::Misdirected
        | Rejection::NoRoute
        | Rejection::MethodNotAllowed(_)
        | Rejection::Token(_)
        | Rejection::Session(_)
        | Rejection::SignIn(_)
        | Rejection::LogoutToken(_)
        | Rejection::Denied(_)
        | Rejection::StepUp(..)
        | Rejection::CrossSite(_)
        | Rejection::Limited(_)
        | Rejection::DirectoryDown(_)
        | Rejection::NotRecorded
        | Rejection::Internal => "the question could not be sent",
    }
}
