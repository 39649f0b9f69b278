//! Calls to a TLS server of our own, well behaved and not.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::exchange::{MAX_HEADERS, judged};
use super::stage::{Stage, VALID, answer, loopback};
use super::*;

const CAP: usize = 64 * 1024;

async fn get(endpoint: &Endpoint) -> Result<Reply, Fault> {
    endpoint.get("application/json", HeaderMap::new(), CAP).await
}

#[tokio::test]
async fn an_answer_is_read_whole() {
    let stage = Stage::start(answer("200 OK\r\ncache-control: max-age=60", "{}")).await;
    let reply = get(&stage.endpoint("/keys?v=1")).await.unwrap();
    assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, b"{}".as_slice()));
    assert_eq!(reply.headers.get("cache-control").unwrap(), "max-age=60");
    let request = stage.request();
    assert!(request.starts_with("GET /keys?v=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains(&format!("host: {}\r\n", stage.address)), "{request}");
    for (bytes, status) in [(answer("404 Not Found", "no"), 404), (answer("400 Bad Request", "{}"), 400)] {
        stage.say(bytes);
        let reply = get(&stage.endpoint("/")).await.unwrap();
        assert_eq!(reply.status, status);
        assert_eq!(reply.ok(), Err(Fault::Status(status)));
    }
}

#[tokio::test]
async fn a_form_is_sent_with_its_authorization() {
    let stage = Stage::start(answer("200 OK", "{}")).await;
    let fields = [("grant_type", "authorization_code"), ("code", "a&b")];
    let basic = HeaderValue::from_static("Basic Y2xpbmlj");
    stage.endpoint("/token").post_form(&fields, Some(basic), CAP).await.unwrap();
    let request = stage.request();
    assert!(request.starts_with("POST /token HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/x-www-form-urlencoded\r\n"), "{request}");
    assert!(request.contains("authorization: Basic Y2xpbmlj\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\ngrant_type=authorization_code&code=a%26b"), "{request}");
}

#[tokio::test]
async fn chunks_and_an_end_by_closing_are_read() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n";
    let stage = Stage::start(chunked.into()).await;
    assert_eq!(get(&stage.endpoint("/")).await.unwrap().body, "onetwo");
    stage.say("HTTP/1.1 200 OK\r\n\r\nonetwo".into());
    assert_eq!(get(&stage.endpoint("/")).await.unwrap().body, "onetwo");
}

#[tokio::test]
async fn bad_answers_are_refused() {
    let stage = Stage::start(Vec::new()).await;
    let long = " ".repeat(CAP + 1);
    let redirect = |status: &str| answer(&format!("{status}\r\nlocation: https://{}/other", stage.address), "{}");
    let endless = [b"HTTP/1.1 200 OK\r\n".as_slice(), &b"x: y\r\n".repeat(MAX_HEADERS + 1), b"\r\n"].concat();
    let cases = [
        (redirect("301 Moved"), Fault::Redirect(301)),
        (redirect("302 Found"), Fault::Redirect(302)),
        (redirect("307 Temporary"), Fault::Redirect(307)),
        (redirect("308 Permanent"), Fault::Redirect(308)),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec(), Fault::Redirect(304)),
        (answer("200 OK\r\ncontent-encoding: gzip", "{}"), Fault::Encoded),
        (answer("200 OK\r\ncontent-encoding: identity\r\ncontent-encoding: br", "{}"), Fault::Encoded),
        (answer("200 OK", &long), Fault::TooLarge(CAP)),
        (format!("HTTP/1.1 200 OK\r\n\r\n{long}").into_bytes(), Fault::TooLarge(CAP)),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec(), Fault::Http),
        (b"SSH-2.0-x\r\n".to_vec(), Fault::Http),
        (Vec::new(), Fault::Http),
        (endless, Fault::Http),
    ];
    for (bytes, expected) in cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        stage.say(bytes);
        assert_eq!(get(&stage.endpoint("/")).await.err(), Some(expected), "{shown}");
    }
}

#[tokio::test]
async fn unchanged_is_an_answer_to_a_condition_alone() {
    let stage = Stage::start(b"HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n".to_vec()).await;
    let mut condition = HeaderMap::new();
    condition.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"a\""));
    let reply = stage.endpoint("/").get("application/json", condition, CAP).await.unwrap();
    assert_eq!(reply.status, StatusCode::NOT_MODIFIED);
    assert!(stage.request().contains("if-none-match: \"a\"\r\n"));
}

#[tokio::test]
async fn only_the_right_certificate_is_believed() {
    let (one, other) = (Stage::start(Vec::new()).await, Stage::start(Vec::new()).await);
    let stranger = Endpoint::new(&one.url("/"), Some(other.ca.ca_pem().as_bytes()), &loopback()).unwrap();
    assert_eq!(get(&stranger).await.err(), Some(Fault::Tls));
    let elsewhere = Stage::named(&["issuer.example"], answer("200 OK", "{}")).await;
    assert_eq!(get(&elsewhere.endpoint("/")).await.err(), Some(Fault::Tls));
}

#[tokio::test]
async fn an_address_that_is_not_listed_is_not_even_connected_to() {
    let stage = Stage::named(&["localhost", "127.0.0.1"], answer("200 OK", "{}")).await;
    let ca = stage.ca.ca_pem();
    let named = format!("https://localhost:{}/", stage.address.port());
    let outside = Endpoint::new(&named, Some(ca.as_bytes()), &Reach::public()).unwrap();
    assert_eq!(get(&outside).await.err(), Some(Fault::Unlisted));
    assert_eq!(stage.asked(), 0);
    let inside = Endpoint::new(&named, Some(ca.as_bytes()), &loopback()).unwrap();
    assert_eq!(get(&inside).await.unwrap().status, StatusCode::OK);
    let literal = Endpoint::new(&stage.url("/"), Some(ca.as_bytes()), &Reach::public());
    assert_eq!(literal.err(), Some(EndpointFault::Unlisted));
    assert_eq!(outside.at(&stage.url("/")).err(), Some(EndpointFault::Unlisted));
    assert_eq!(get(&inside.at(&stage.url("/other")).unwrap()).await.unwrap().status, StatusCode::OK);
    assert!(stage.request().starts_with("GET /other "));
}

#[test]
fn one_bad_address_spoils_a_name() {
    let some = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<std::net::SocketAddr>>();
    let judge = |texts: &[&str]| judged(some(texts).into_iter(), &Reach::public()).map(|all| all.len());
    assert_eq!(judge(&["1.1.1.1:443", "[2606:4700::1]:443"]), Ok(2));
    assert_eq!(judge(&["1.1.1.1:443", "10.0.0.1:443"]), Err(Fault::Unlisted));
    assert_eq!(judge(&["1.1.1.1:443", "[::ffff:127.0.0.1]:443"]), Err(Fault::Unlisted));
    assert_eq!(judge(&[]), Err(Fault::Resolve));
    assert_eq!(judge(&["1.1.1.1:443"; 50]), Ok(6));
}

#[tokio::test]
async fn a_plain_port_and_a_closed_one_are_faults() {
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    let ca = certs::dev::DevCa::generate(VALID).unwrap();
    let endpoint = Endpoint::new(&format!("https://{address}/"), Some(ca.ca_pem().as_bytes()), &loopback()).unwrap();
    let serving = async {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    };
    let (called, ()) = tokio::join!(get(&endpoint), serving);
    assert_eq!(called.err(), Some(Fault::Tls));
    drop(plain);
    assert_eq!(get(&endpoint).await.err(), Some(Fault::Connect));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let ca = certs::dev::DevCa::generate(VALID).unwrap();
    let endpoint = Endpoint::new(&format!("https://{address}/"), Some(ca.ca_pem().as_bytes()), &loopback()).unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(get(&endpoint).await.err(), Some(Fault::Timeout));
    assert!(began.elapsed() <= std::time::Duration::from_secs(10));
}

#[test]
fn addresses_are_https_and_plain() {
    let ca = certs::dev::DevCa::generate(VALID).unwrap();
    let read = |url: &str| {
        let made = Endpoint::new(url, Some(ca.ca_pem().as_bytes()), &loopback());
        made.map(|endpoint| (endpoint.host.clone(), endpoint.port, endpoint.url()))
    };
    let plain = |host: &str, port, url: &str| Ok((host.to_owned(), port, url.to_owned()));
    let url = "https://issuer.example/keys";
    assert_eq!(read(url), plain("issuer.example", 443, url));
    assert_eq!(read("https://issuer.example"), plain("issuer.example", 443, "https://issuer.example/"));
    assert_eq!(read("https://[::1]:8443/keys"), plain("::1", 8443, "https://[::1]:8443/keys"));
    let long = format!("https://issuer.example/{}", "a".repeat(MAX_URL));
    for url in
        ["http://issuer.example/keys", "issuer.example", "/keys", "", "https://", "https:///keys", "file:///etc", &long]
    {
        assert_eq!(read(url), Err(EndpointFault::NotHttps), "{url}");
    }
    for url in ["https://user:word@issuer.example/", "https://issuer.example/#x"] {
        assert_eq!(read(url), Err(EndpointFault::Decorated), "{url}");
    }
    for url in ["https://10.0.0.1/", "https://[fd00::1]/", "https://169.254.169.254/latest/"] {
        assert_eq!(read(url), Err(EndpointFault::Unlisted), "{url}");
    }
    let empty = Endpoint::new("https://a.example/", Some(b""), &Reach::public());
    assert!(matches!(empty.err(), Some(EndpointFault::Trust(_))));
}
