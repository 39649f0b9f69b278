//! `grpc`: one call of `grpc.health.v1.Health/Check` over HTTP/2 in clear, by hand: the messages have one field each.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::call;

/// The longest answer, in bytes.
const ANSWER: usize = 4 * 1024;
/// `SERVING`, as the first field of the answer.
const SERVING: [u8; 2] = [0x08, 1];

/// Asks for the health of `service`. `name` is the pod's own.
pub(super) async fn ask(port: u16, service: &str, name: &str) -> Result<(), &'static str> {
    let stream = call::connect(port).await?;
    let request = Request::post(format!("http://{name}:{port}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, call::USER_AGENT)
        .body(Full::new(Bytes::from(question(service))))
        .map_err(|_| "cannot be asked by gRPC")?;
    let handshake = http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|_| "speaks no HTTP/2")?;
    let driven = call::drive(connection);
    let answer = sender.send_request(request).await.map_err(|_| "speaks no HTTP/2")?;
    let (head, body) = answer.into_parts();
    #[expect(clippy::disallowed_methods, reason = "behind `Limited`")]
    let body = Limited::new(body, ANSWER).collect().await.map_err(|_| "broke its answer off")?;
    drop(driven);
    let trailers = body.trailers().cloned().unwrap_or_default();
    judge(&head.headers, &trailers, &body.to_bytes())
}

/// The call was done, and says that it serves.
fn judge(headers: &HeaderMap, trailers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
    // An answer without a body may say it in its head.
    let status = trailers.get("grpc-status").or_else(|| headers.get("grpc-status"));
    match status.map(http::HeaderValue::as_bytes) {
        Some(b"0") => {}
        Some(b"5") => return Err("does not know the service"),
        Some(b"12") => return Err("has no `grpc.health.v1.Health`"),
        Some(_) => return Err("ended the call with an error"),
        None => return Err("speaks no gRPC"),
    }
    let message = body.split_first_chunk::<5>();
    match message {
        // Not compressed, and of the length that it says.
        Some(([0, length @ ..], message)) if u32::from_be_bytes(*length).try_into() == Ok(message.len()) => {
            if message == SERVING { Ok(()) } else { Err("is not serving") }
        }
        Some(_) | None => Err("answered what is no gRPC"),
    }
}

/// The question, framed.
fn question(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        // Two bytes of length hold what the configuration takes.
        let length = service.len();
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        match u8::try_from(length >> 7) {
            Ok(0) => message.push(low),
            Ok(high) => message.extend([low | 0x80, high]),
            Err(_) => return Vec::new(),
        }
        message.extend(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or_default();
    [&[0][..], &length.to_be_bytes(), &message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([("grpc-status".parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn questions_are_framed() {
        assert_eq!(question(""), [0; 5]);
        assert_eq!(question("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = question(&"x".repeat(200));
        assert_eq!((long.len(), &long[4..8]), (5 + 3 + 200, &[203, 0x0a, 0xc8, 1][..]));
    }

    #[test]
    fn only_serving_is_well() {
        let none = HeaderMap::new();
        let serving = [0, 0, 0, 0, 2, 8, 1];
        assert_eq!(judge(&none, &status("0"), &serving), Ok(()));
        assert!(judge(&none, &none, &serving).is_err());
        assert!(judge(&none, &status("0"), &[0, 0, 0, 0, 2, 8, 2]).is_err());
        assert!(judge(&none, &status("0"), &[0, 0, 0, 0, 0]).is_err());
        assert!(judge(&none, &status("0"), &[1, 0, 0, 0, 2, 8, 1]).is_err());
        assert!(judge(&none, &status("0"), &[0, 0, 0, 0, 9, 8, 1]).is_err());
        for (code, why) in [("5", "service"), ("12", "grpc.health"), ("14", "error")] {
            assert!(judge(&status(code), &none, &[]).unwrap_err().contains(why));
        }
    }
}
