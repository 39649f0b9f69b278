//! The little HTTP that the demo's own servers need: serve a listener, read a bounded body, answer, fill a page.
//!
//! Decides nothing about who may see what. The gate shares none of this code: what is judged there must not depend on
//! what is convenient here.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// The most connections that one of the demo's servers holds; further ones are closed at once.
const MAX_CONNECTIONS: usize = 256;
/// The largest request body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// The largest request head, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// How long a client may take for a handshake, a request head or a body.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const JSON: &str = "application/json";
pub(super) const CSS: &str = "text/css; charset=utf-8";

/// A body that is at hand, or one that goes on for as long as the record does.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;
pub(super) type Answer = Response<Body>;

/// The connection is closed without an answer.
#[derive(Debug)]
pub(super) struct HangUp;

impl fmt::Display for HangUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the application closed the connection")
    }
}

impl std::error::Error for HangUp {}

/// Serves `listener` until the task is dropped: HTTP/1.1 in clear, or what ALPN agreed on over TLS.
pub(super) async fn serve<S, F>(listener: TcpListener, tls: Option<TlsAcceptor>, service: S)
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Answer, HangUp>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: some will be free again soon.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (tls, service) = (tls.clone(), service.clone());
        tokio::spawn(async move {
            match tls {
                None => http1_connection(stream, service).await,
                Some(acceptor) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
                        match stream.get_ref().1.alpn_protocol() {
                            Some(b"h2") => http2_connection(stream, service).await,
                            Some(_) | None => http1_connection(stream, service).await,
                        }
                    }
                }
            }
            drop(permit);
        });
    }
}

async fn http1_connection<I, S, F>(stream: I, service: S)
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Answer, HangUp>> + 'static,
{
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service_fn(service))
        .await;
    // A client that went away is nobody's news in a demo.
    drop(served);
}

async fn http2_connection<I, S, F>(stream: I, service: S)
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Answer, HangUp>> + Send + 'static,
{
    let served = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .max_header_list_size(32 * 1024)
        .serve_connection(TokioIo::new(stream), service_fn(service))
        .await;
    drop(served);
}

/// The whole body of a request, at most 64 KiB and within ten seconds; else the status to answer with.
#[expect(clippy::disallowed_methods, reason = "behind `Limited`, as the ban asks")]
pub(super) async fn body_of(request: Request<Incoming>) -> Result<Bytes, StatusCode> {
    let whole = Limited::new(request.into_body(), MAX_BODY).collect();
    match tokio::time::timeout(PATIENCE, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

pub(super) fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(UnsyncBoxBody::new(Full::new(body.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    answer(status, JSON, value.to_string())
}

/// `303 See Other`: what a form post is answered with.
pub(super) fn see_other(path: &str) -> Answer {
    let mut answer = answer(StatusCode::SEE_OTHER, HTML, "");
    if let Ok(value) = HeaderValue::from_str(path) {
        answer.headers_mut().insert(LOCATION, value);
    }
    answer
}

/// `template` with each `{{name}}` replaced by its value, in one pass: what is put in is never looked at again.
/// A name without a value leaves nothing.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        page.push_str(before);
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            page.push_str(value);
        }
        rest = behind;
    }
    page.push_str(rest);
    page
}

/// Text that is safe between tags and inside quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// The first field `name` of a form body or a query, decoded. `None` where it is absent or not UTF-8.
pub(super) fn field(form: &str, name: &str) -> Option<String> {
    form.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        if decoded(key)? == name { decoded(value) } else { None }
    })
}

/// `application/x-www-form-urlencoded` text, decoded; a `%` that starts no escape stands for itself.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        bytes.push(match (first, hex_pair(behind)) {
            (b'%', Some((value, after))) => {
                rest = after;
                value
            }
            (b'+', _) => b' ',
            (other, _) => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The byte that two hexadecimal digits name, and what follows them.
fn hex_pair(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], after) = bytes.split_first_chunk::<2>()?;
    let value = char::from(high).to_digit(16)? * 16 + char::from(low).to_digit(16)?;
    Some((u8::try_from(value).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_field_is_decoded_once() {
        assert_eq!(field("a=1&note=rest+and%20tea%2521&note=2", "note").as_deref(), Some("rest and tea%21"));
        assert_eq!(field("note=100%", "note").as_deref(), Some("100%"));
        assert_eq!(field("note=%zz%e4%bd%a0", "note").as_deref(), Some("%zz\u{4f60}"));
        assert_eq!(field("note=%ff", "note"), None);
        assert_eq!(field("notes=1", "note"), None);
        assert_eq!(field("", "note"), None);
    }

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        assert_eq!(fill("<{{a}}|{{b}}|{{c}}>", &[("a", "{{b}}"), ("b", "2")]), "<{{b}}|2|>");
        assert_eq!(fill("an open {{ stays", &[]), "an open {{ stays");
    }

    #[test]
    fn markup_in_data_is_text() {
        assert_eq!(escape("<b a=\"1\" c='2'>&"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;");
    }
}
