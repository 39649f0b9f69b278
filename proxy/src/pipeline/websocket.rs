//! WebSockets over HTTP/1.1 (RFC 6455) and over HTTP/2 (RFC 8441): the one upgrade that passes.
//!
//! On HTTP/2 a WebSocket is an extended CONNECT, one stream among others. It is judged as the GET that it would be on
//! HTTP/1.1, and asked of the application in that form, with a key of our own.
//!
//! Decides whether a request asks for one in the one way that the standard knows, and whether the application's `101`
//! answers that very request. What asks in another way is refused or, where it names no WebSocket, loses its `Upgrade`
//! and is an ordinary request. It never lets bytes through behind an upgrade that one side believes in and the other
//! does not: the way opens only when the application has proved, by the hash of the key, that it means to.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;

use super::cross_site::Sent;
use crate::rejection::Rejection;
use crate::request_id::RequestId;
use crate::sessions::open::Held;
use crate::upstream::Tunnel;
use crate::upstream::body::AnswerBody;

/// What RFC 6455, section 1.3, has both sides append to the key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request for a WebSocket, with what the application must answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handshake {
    accept: String,
    asked: Asked,
    offered: Offered,
}

/// How a client asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// On HTTP/1.1, with its key.
    Upgrade,
    /// On HTTP/2, where none is needed (RFC 8441, section 5); this is the key that we ask the application with.
    Connect(String),
    /// On HTTP/2, with a key all the same: a proxy, whose own client on HTTP/1.1 waits for the answer to it.
    ConnectWithKey,
}

/// What a client would speak in its WebSocket, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Offered {
    protocols: Vec<String>,
    extensions: Vec<String>,
}

impl Offered {
    fn of(headers: &HeaderMap) -> Self {
        let named = |name| {
            let all = named(headers, name).into_iter().flatten();
            all.filter(|one| !one.is_empty()).map(str::to_owned).collect()
        };
        Self { protocols: named(&SEC_WEBSOCKET_PROTOCOL), extensions: named(&SEC_WEBSOCKET_EXTENSIONS) }
    }

    /// Whether an answer takes up nothing but what was offered: one protocol, and each extension once (RFC 6455, section
    /// 4.1). A client may hold the one that was not for nothing; who reads along between the two may not.
    fn holds(&self, answer: &HeaderMap) -> bool {
        let (Some(protocols), Some(extensions)) =
            (named(answer, &SEC_WEBSOCKET_PROTOCOL), named(answer, &SEC_WEBSOCKET_EXTENSIONS))
        else {
            return false;
        };
        let known = |one: &&str| self.extensions.iter().any(|offered| offered == one);
        let once = |one: &&str| extensions.iter().filter(|other| *other == one).count() == 1;
        protocols.len() <= 1
            && protocols.iter().all(|one| self.protocols.iter().any(|offered| offered == one))
            && extensions.iter().all(|one| known(one) && once(one))
    }
}

/// The names in a list, without their parameters; `None` where it is no text. A quoted comma, which no parameter may hold,
/// makes a name that nobody knows.
fn named<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Vec<&'a str>> {
    let mut all = Vec::new();
    for line in headers.get_all(name) {
        let each = line.to_str().ok()?.split(',').map(str::trim).filter(|one| !one.is_empty());
        all.extend(each.filter_map(|one| one.split(';').next()).map(str::trim_end));
    }
    Some(all)
}

/// Marks a request for a WebSocket that came as an extended CONNECT.
#[derive(Clone, Copy, Debug)]
struct ExtendedConnect;

/// Turns an extended CONNECT for a WebSocket (RFC 8441, section 4) into the GET that it stands for; any other request, a
/// CONNECT for another protocol included, stays as it is.
pub(super) fn as_get<B>(request: &mut Request<B>) {
    let named = request.extensions().get::<Protocol>().is_some_and(|protocol| protocol.as_str() == "websocket");
    if request.version() == Version::HTTP_2 && *request.method() == Method::CONNECT && named {
        *request.method_mut() = Method::GET;
        request.extensions_mut().insert(ExtendedConnect);
    }
}

/// Whether a request asks for a WebSocket.
///
/// # Errors
/// `BAD_HEADER` where it does, but not as RFC 6455, section 4.2.1, wants it; `BAD_FRAMING` where it has a body.
pub(super) fn asked(parts: &Parts, has_body: bool, id: RequestId) -> Result<Option<Handshake>, Rejection> {
    let (method, version, headers) = (&parts.method, parts.version, &parts.headers);
    if parts.extensions.get::<ExtendedConnect>().is_some() {
        return asked_by_connect(headers, id).map(Some);
    }
    let named = matches!(Sent::of(headers, &UPGRADE), Sent::Once(name) if name.eq_ignore_ascii_case("websocket"));
    if version != Version::HTTP_11 || !named || !connection_names_upgrade(headers) {
        return Ok(None);
    }
    if *method != Method::GET {
        return Err(Rejection::BadHeader("a WebSocket is asked for with GET"));
    }
    if has_body {
        return Err(Rejection::BadFraming("a request for a WebSocket has no body"));
    }
    check_version(headers)?;
    match Sent::of(headers, &SEC_WEBSOCKET_KEY) {
        Sent::Once(key) if is_key(key) => {
            Ok(Some(Handshake { accept: accept(key), asked: Asked::Upgrade, offered: Offered::of(headers) }))
        }
        Sent::Once(_) | Sent::Absent | Sent::Unclear => Err(NO_KEY),
    }
}

const NO_KEY: Rejection = Rejection::BadHeader("`Sec-WebSocket-Key` is not one key of 16 bytes");

fn is_key(key: &str) -> bool {
    STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16)
}

/// On HTTP/2 no key is needed, and there is nothing that belongs to a body.
fn asked_by_connect(headers: &HeaderMap, id: RequestId) -> Result<Handshake, Rejection> {
    check_version(headers)?;
    if headers.contains_key(CONTENT_LENGTH) {
        return Err(Rejection::BadFraming("a request for a WebSocket has no body"));
    }
    let (accept, asked) = match Sent::of(headers, &SEC_WEBSOCKET_KEY) {
        Sent::Once(key) if is_key(key) => (accept(key), Asked::ConnectWithKey),
        Sent::Once(_) | Sent::Unclear => return Err(NO_KEY),
        Sent::Absent => {
            // It has to be another one for each handshake, and no more: it proves that the answer is one to this request.
            let key = STANDARD.encode(id.bytes());
            (accept(&key), Asked::Connect(key))
        }
    };
    Ok(Handshake { accept, asked, offered: Offered::of(headers) })
}

fn check_version(headers: &HeaderMap) -> Result<(), Rejection> {
    if Sent::of(headers, &SEC_WEBSOCKET_VERSION) == Sent::Once("13") {
        return Ok(());
    }
    Err(Rejection::BadHeader("`Sec-WebSocket-Version` is not 13"))
}

fn connection_names_upgrade(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("upgrade"))
}

fn accept(key: &str) -> String {
    // The standard's choice of hash; nothing here rests on its strength.
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(GUID);
    STANDARD.encode(context.finish())
}

/// Asks the application, on a head whose hop-by-hop headers were removed.
pub(super) fn ask(headers: &mut HeaderMap, handshake: &Handshake) -> Result<(), Rejection> {
    announce(headers);
    if let Asked::Connect(key) = &handshake.asked {
        let key = HeaderValue::from_str(key).map_err(|_| Rejection::Internal)?;
        headers.insert(SEC_WEBSOCKET_KEY, key);
    }
    Ok(())
}

/// Names the upgrade on a head whose hop-by-hop headers were removed: towards the application, and back in its answer.
pub(super) fn announce(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Joins both ends where the application switched protocols; any other answer stays as it is. The tunnel travels with
/// the answer, so that an answer that is withheld opens nothing. `open` goes where the bytes do.
///
/// # Errors
/// `APP_INVALID` for a `101` that nobody asked for, or that does not answer this request.
pub(super) fn join(
    answer: &mut Response<AnswerBody>,
    handshake: Option<&Handshake>,
    client: Option<OnUpgrade>,
    idle: std::time::Duration,
    open: Option<Held>,
) -> Result<(), Rejection> {
    let by_connect = handshake.is_some_and(|handshake| handshake.asked != Asked::Upgrade);
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        // On HTTP/2 any 2xx would open what the application has not agreed to (RFC 8441, section 5).
        return if by_connect && answer.status().is_success() {
            Err(Rejection::AppInvalid("it answers a request for a WebSocket as an ordinary one"))
        } else {
            answer.body_mut().hold(open);
            Ok(())
        };
    }
    let app = answer.extensions_mut().remove::<OnUpgrade>();
    let (Some(handshake), Some(client), Some(app)) = (handshake, client, app) else {
        return Err(Rejection::AppInvalid("it switched protocols, and nobody asked for that"));
    };
    if !handshake.is_met_by(answer.headers()) {
        return Err(Rejection::AppInvalid("its `101` does not answer this request for a WebSocket"));
    }
    if !handshake.offered.holds(answer.headers()) {
        return Err(Rejection::AppInvalid("its `101` takes up a protocol or an extension that was not offered"));
    }
    if by_connect {
        *answer.status_mut() = StatusCode::OK;
        for name in [CONTENT_LENGTH, TRANSFER_ENCODING] {
            answer.headers_mut().remove(name);
        }
        if handshake.asked != Asked::ConnectWithKey {
            answer.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
        }
    }
    answer.extensions_mut().insert(Tunnel::new(client, app, idle, open));
    Ok(())
}

impl Handshake {
    /// RFC 6455, section 4.1, as a client checks it.
    fn is_met_by(&self, headers: &HeaderMap) -> bool {
        let once = |name: &HeaderName, expected: fn(&str, &str) -> bool, value: &str| match Sent::of(headers, name) {
            Sent::Once(sent) => expected(sent, value),
            Sent::Absent | Sent::Unclear => false,
        };
        once(&UPGRADE, str::eq_ignore_ascii_case, "websocket")
            && connection_names_upgrade(headers)
            && once(&SEC_WEBSOCKET_ACCEPT, |sent, value| sent == value, &self.accept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_id::RequestIds;

    /// The example of RFC 6455, section 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn head(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn request() -> HeaderMap {
        head(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ])
    }

    fn of(headers: &HeaderMap) -> Result<Option<Handshake>, Rejection> {
        with(Method::GET, Version::HTTP_11, headers, false)
    }

    fn with(
        method: Method,
        version: Version,
        headers: &HeaderMap,
        has_body: bool,
    ) -> Result<Option<Handshake>, Rejection> {
        let (mut parts, ()) = Request::new(()).into_parts();
        (parts.method, parts.version, parts.headers) = (method, version, headers.clone());
        asked(&parts, has_body, RequestIds::new(1).next())
    }

    #[test]
    fn the_example_of_the_standard_is_understood() {
        assert_eq!(
            of(&request()).unwrap(),
            Some(Handshake { accept: ACCEPT.to_owned(), asked: Asked::Upgrade, offered: Offered::default() })
        );
    }

    #[test]
    fn what_asks_for_something_else_is_an_ordinary_request() {
        for (name, value) in [
            ("upgrade", "h2c"),
            ("upgrade", "websocket, h2c"),
            ("upgrade", "websocket2"),
            ("connection", "keep-alive"),
            ("connection", "upgrades"),
        ] {
            let mut headers = request();
            headers.insert(name, HeaderValue::from_static(value));
            assert_eq!(of(&headers).unwrap(), None, "{name}: {value}");
        }
        for version in [Version::HTTP_10, Version::HTTP_2] {
            assert_eq!(with(Method::GET, version, &request(), false).unwrap(), None);
        }
        let mut twice = request();
        twice.append(UPGRADE, HeaderValue::from_static("websocket"));
        assert_eq!(of(&twice).unwrap(), None);
    }

    #[test]
    fn what_asks_for_it_in_another_way_is_refused() {
        for (name, value) in [
            ("sec-websocket-version", "8"),
            ("sec-websocket-version", "13, 8"),
            ("sec-websocket-key", ""),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ"),
            ("sec-websocket-key", "c2hvcnQ="),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZSBhbmQgbW9yZQ=="),
        ] {
            let mut headers = request();
            headers.insert(name, HeaderValue::from_static(value));
            assert!(of(&headers).is_err(), "{name}: {value}");
        }
        for name in ["sec-websocket-version", "sec-websocket-key"] {
            let mut without = request();
            without.remove(name);
            assert!(of(&without).is_err(), "without {name}");
            let mut twice = request();
            let value = twice[name].clone();
            twice.append(name, value);
            assert!(of(&twice).is_err(), "{name} twice");
        }
        assert!(with(Method::POST, Version::HTTP_11, &request(), false).is_err());
        assert!(with(Method::GET, Version::HTTP_11, &request(), true).is_err());
    }

    #[test]
    fn only_the_answer_to_this_request_counts() {
        let handshake = Handshake { accept: ACCEPT.to_owned(), asked: Asked::Upgrade, offered: Offered::default() };
        let good = head(&[("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", ACCEPT)]);
        assert!(handshake.is_met_by(&good));
        for (name, value) in
            [("connection", "close"), ("upgrade", "h2c"), ("sec-websocket-accept", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")]
        {
            let mut bad = good.clone();
            bad.insert(name, HeaderValue::from_static(value));
            assert!(!handshake.is_met_by(&bad), "{name}: {value}");
            bad.remove(name);
            assert!(!handshake.is_met_by(&bad), "without {name}");
        }
    }

    #[test]
    fn nothing_is_taken_up_that_was_not_offered() {
        let mut asked = request();
        for (name, value) in [
            ("sec-websocket-protocol", "chat, superchat"),
            ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits, x-a"),
        ] {
            asked.append(name, HeaderValue::from_static(value));
        }
        let offered = of(&asked).unwrap().unwrap().offered;
        for (name, value, holds) in [
            ("sec-websocket-protocol", "chat", true),
            ("sec-websocket-protocol", "Chat", false),
            ("sec-websocket-protocol", "chat, superchat", false),
            ("sec-websocket-protocol", "v2", false),
            ("sec-websocket-protocol", "", true),
            ("sec-websocket-extensions", "permessage-deflate; server_max_window_bits=10", true),
            ("sec-websocket-extensions", "x-a,permessage-deflate", true),
            ("sec-websocket-extensions", "permessage-deflate, permessage-deflate", false),
            ("sec-websocket-extensions", "x-webkit-deflate-frame", false),
            ("sec-websocket-extensions", ";permessage-deflate", false),
            ("sec-websocket-extensions", "x-a; b=\"c, x-b\"", false),
        ] {
            assert_eq!(offered.holds(&head(&[(name, value)])), holds, "{name}: {value}");
            assert_eq!(Offered::default().holds(&head(&[(name, value)])), value.is_empty(), "{name}: {value}");
        }
        assert!(!offered.holds(&head(&[("sec-websocket-protocol", "chat"), ("sec-websocket-protocol", "chat")])));
    }
}
