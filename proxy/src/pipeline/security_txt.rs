//! `/.well-known/security.txt`, where the configuration has one and the application has none.
//!
//! Decides whose answer it is. Where a public route leads to the application, it is asked first, and only its 404 is
//! replaced. Where a route asks who is there, or no route leads anywhere, the gate answers by itself: whoever looks for
//! this text is no user. A text past its day is not served at all.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use policy::{Demand, Found};

use super::admit::Understood;
use super::decide::Request as Asked;
use super::form::Fields;
use super::record;
use super::trail::Trail;
use crate::rejection::Rejection;
use crate::runtime::Runtime;
use crate::shared::Shared;
use crate::upstream::body::AnswerBody;

/// Where it stands (RFC 9116, section 3).
const PATH: &str = "/.well-known/security.txt";

/// The text that a request would get, if it is for it.
fn text<'r>(runtime: &'r Runtime, method: &Method, path: &str, now: u64) -> Option<&'r str> {
    let asked = path == PATH && matches!(*method, Method::GET | Method::HEAD);
    let text = runtime.security_txt.as_ref().filter(|text| asked && text.holds(now))?;
    Some(&text.text)
}

/// Whether the gate answers without the application.
pub(super) fn is_ours(runtime: &Runtime, method: &Method, path: &str, now: u64) -> bool {
    if text(runtime, method, path, now).is_none() {
        return false;
    }
    // Whatever a query would pick, the text is the same for everyone.
    let plain = Asked { headers: &HeaderMap::new(), query: None, form: &Fields::none() };
    match runtime.policy.find(method.as_str(), path, &plain) {
        Found::Route(found) => !matches!(found.demand(), Demand::Public),
        Found::MethodNotAllowed { .. } | Found::NoRoute => true,
        Found::Unclear(_) => false,
    }
}

/// The answer with its place in the record; `None` where it is not the gate that answers.
///
/// # Errors
/// `NOT_RECORDED` where there is no place.
pub(super) fn answer(
    shared: &Shared,
    runtime: &Runtime,
    understood: &Understood,
    trail: &mut Trail,
) -> Result<Option<Response<AnswerBody>>, Rejection> {
    let (method, now) = (&understood.method, trail.started.unix_seconds());
    let Some(text) = text(runtime, method, &understood.path, now) else { return Ok(None) };
    if !is_ours(runtime, method, &understood.path, now) {
        trail.security_txt = true;
        return Ok(None);
    }
    trail.template = Some(PATH.into());
    record::reserve(shared, trail)?;
    Ok(Some(whole(text, method)))
}

/// What stands in place of the application's 404.
pub(super) fn instead(runtime: &Runtime, answer: Response<AnswerBody>, trail: &Trail) -> Response<AnswerBody> {
    let missing = trail.security_txt && answer.status() == StatusCode::NOT_FOUND;
    match (&runtime.security_txt, missing) {
        (Some(text), true) => {
            whole(&text.text, if trail.method == Some("HEAD") { &Method::HEAD } else { &Method::GET })
        }
        (Some(_) | None, _) => answer,
    }
}

fn whole(text: &str, method: &Method) -> Response<AnswerBody> {
    let body = if *method == Method::HEAD { String::new() } else { text.to_owned() };
    let mut answer = Response::new(AnswerBody::whole(body));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    answer
}
