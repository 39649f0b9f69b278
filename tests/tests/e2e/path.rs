//! One reading of a path: what could be read in two ways is refused, and what is judged is what is sent.

use e2e::client::{BOTH, Client};
use e2e::gate::Gate;
use e2e::raw::Raw;
use e2e::wire::{self, Ended, Wire};

/// Paths that two readers would take for two things, below an open route so that the path alone is why they fail.
const AMBIGUOUS: [&[u8]; 56] = [
    b"/open/../me",
    b"/open/..",
    b"/open/.",
    b"/open/./x",
    b"/open/x/..",
    b"/open/%2e%2e/me",
    b"/open/%2E%2E/me",
    b"/open/.%2e/me",
    b"/open/%2e/x",
    b"/open/..%2fme",
    b"/open/%2e%2e%2fme",
    b"/open/x%2fy",
    b"/open/x%2Fy",
    b"/open/x%5cy",
    b"/open/x%5C..%5Cy",
    b"/open/x\\y",
    b"/open/..\\me",
    b"/open//x",
    b"//open/x",
    b"///open/x",
    b"/open/x//",
    b"//evil.example/open/x",
    b"/open/x;y",
    b"/open/x;jsessionid=1",
    b"/open/..;/me",
    b"/open/x%3by",
    b"/open/x%3By",
    b"/open/x%00",
    b"/open/%00/x",
    b"/open/x%0a",
    b"/open/x%0d%0ax-tenant-id:b",
    b"/open/x%1f",
    b"/open/x%7f",
    b"/open/x%25",
    b"/open/%252e%252e/me",
    b"/open/x%252fy",
    b"/open/x%",
    b"/open/x%2",
    b"/open/x%zz",
    b"/open/x%u002e",
    b"/open/%c0%ae%c0%ae/me",
    b"/open/%c0%af",
    b"/open/%ff",
    b"/open/%ed%a0%80",
    b"/open/x\ty",
    b"/open/x\"y",
    b"/open/x<y>",
    b"/open/x^y",
    b"/open/x`y",
    b"/open/{x}",
    b"/open/x|y",
    b"/open/\xc3\xa9",
    b"/open/\xff",
    b"/open/x\x7fy",
    b"/open/x?a=%",
    b"/open/x?a=%00",
];

fn shown(path: &[u8]) -> String {
    path.escape_ascii().to_string()
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused_on_http_1() {
    let gate = Gate::plain();
    for path in AMBIGUOUS {
        let mut raw = Raw::open(&gate).await;
        let head = [b"GET ", path, b" HTTP/1.1\r\nhost: clinic.example\r\n\r\n"].concat();
        let answer = raw.ask(head).await.expect("an answer");
        assert_eq!(answer.status(), 400, "{}", shown(path));
        assert!(answer.code() == "BAD_PATH", "{}: {}", shown(path), answer.code());
        assert_eq!(gate.app.count(), 0, "{} reached the application", shown(path));
    }
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused_on_http_2() {
    let gate = Gate::plain();
    for path in AMBIGUOUS {
        let mut wire = Wire::open(&gate).await;
        let ended = wire.ask(&wire::get(path)).await;
        assert!(
            matches!(ended, Ended::Reset | Ended::Closed) || ended.code() == "BAD_PATH",
            "{}: {ended:?}",
            shown(path)
        );
        assert_eq!(gate.app.count(), 0, "{} reached the application", shown(path));
    }
}

#[tokio::test]
async fn heads_that_are_no_requests_of_ours_are_refused() {
    let gate = Gate::plain();
    for head in [
        "GET open/x HTTP/1.1\r\nhost: clinic.example\r\n\r\n",
        "GET ?a=b HTTP/1.1\r\nhost: clinic.example\r\n\r\n",
        "GET * HTTP/1.1\r\nhost: clinic.example\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: clinic.example\r\n\r\n",
        "CONNECT clinic.example:443 HTTP/1.1\r\nhost: clinic.example:443\r\n\r\n",
        "GET /open/x HTTP/1.1\r\n\r\n",
        "GET /open/x HTTP/1.0\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nhost:\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nhost: clinic.example\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nhost: other.example\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nhost: clinic.example, other.example\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nhost: user@clinic.example\r\n\r\n",
        "GET https://other.example/open/x HTTP/1.1\r\nhost: clinic.example\r\n\r\n",
        "GET https://clinic.example/open/x HTTP/1.1\r\n\r\n",
        "GET https://user@clinic.example/open/x HTTP/1.1\r\nhost: clinic.example\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nhost : clinic.example\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nx-a: 1\r\n folded: 2\r\n\r\n",
        "GET  /open/x HTTP/1.1\r\nhost: clinic.example\r\n\r\n",
        "GET /open/x  HTTP/1.1\r\nhost: clinic.example\r\n\r\n",
        "GET /open/x HTTP/1.2\r\nhost: clinic.example\r\n\r\n",
        "GET /open/x\r\nhost: clinic.example\r\n\r\n",
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: +3\r\n\r\nabc",
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: -1\r\n\r\nabc",
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: 3, 3\r\n\r\nabc",
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding: gzip\r\n\r\nabc",
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut raw = Raw::open(&gate).await;
        let answer = raw.ask(head).await;
        let status = answer.as_ref().map_or(0, e2e::raw::RawAnswer::status);
        assert_eq!(status, 400, "{head:?}: {answer:?}");
        assert_eq!(gate.app.count(), 0, "{head:?} reached the application");
    }
}

#[tokio::test]
async fn what_is_judged_is_what_is_sent() {
    let gate = Gate::plain();
    let cases = [
        ("/", "/"),
        ("/open/x", "/open/x"),
        ("/open/", "/open/"),
        ("/open/x/", "/open/x/"),
        ("/open", "/open"),
        ("/open/%61%2d%7Eb", "/open/a-~b"),
        ("/%6fpen/x", "/open/x"),
        ("/open/a%20b", "/open/a%20b"),
        ("/open/%c3%a9", "/open/%C3%A9"),
        ("/open/a%3ab", "/open/a%3Ab"),
        ("/open/a:b@c!$&'()*+,=d", "/open/a:b@c!$&'()*+,=d"),
        ("/open/a..b/...", "/open/a..b/..."),
        ("/open/.well-known/x.json", "/open/.well-known/x.json"),
        ("/open/x?a=1&a=2&b", "/open/x?a=1&a=2&b"),
        ("/open/x?", "/open/x?"),
        ("/open/x?q=%e9%2F..%2f+%25", "/open/x?q=%e9%2F..%2f+%25"),
        ("/open/x?next=/me/../x//y;z", "/open/x?next=/me/../x//y;z"),
        ("/open/x??a=?b", "/open/x??a=?b"),
    ];
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for (sent, expected) in cases {
            let answer = client.ask("GET", sent, &[]).await;
            assert_eq!(answer.status, 200, "{protocol:?} {sent}: {}", answer.code());
            assert_eq!(gate.app.last().target(), expected, "{protocol:?} {sent}");
        }
    }
}

#[tokio::test]
async fn a_fragment_is_never_judged_and_never_sent() {
    let gate = Gate::plain();
    for path in [&b"/open/x#y"[..], b"/open/x#/../me", b"/open/x?#y", b"/me#/open/x"] {
        let head = [b"GET ", path, b" HTTP/1.1\r\nhost: clinic.example\r\n\r\n"].concat();
        assert_eq!(Raw::open(&gate).await.ask(head).await.unwrap().code(), "BAD_PATH");
    }
    assert_eq!(gate.app.count(), 0);
    // On HTTP/2 the library takes it away before we see it.
    for path in [&b"/open/x#y"[..], b"/open/x#/../me", b"/open/x?#y"] {
        let ended = Wire::open(&gate).await.ask(&wire::get(path)).await;
        assert_eq!(ended, Ended::Answered(b"ok".to_vec()));
        assert_eq!(gate.app.last().target().trim_end_matches('?'), "/open/x");
    }
}

#[tokio::test]
async fn an_encoded_name_picks_the_same_rule() {
    let gate = Gate::plain();
    let mut raw = Raw::open(&gate).await;
    for path in ["/me", "/%6de", "/%6D%65"] {
        let answer = raw.ask(format!("GET {path} HTTP/1.1\r\nhost: clinic.example\r\n\r\n")).await.unwrap();
        assert_eq!((answer.status(), answer.code().as_str()), (401, "NO_CREDENTIAL"), "{path}");
    }
}

#[tokio::test]
async fn what_is_too_long_is_refused_by_its_name() {
    let gate = Gate::plain();
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let answer = client.ask("GET", &format!("/open/{}", "x".repeat(17 * 1024)), &[]).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (414, "TOO_LARGE"), "{protocol:?}");
        let mut client = Client::open(&gate, protocol).await;
        let long = "x".repeat(31 * 1024);
        assert_eq!(client.ask("GET", "/open/x", &[("x-long", &long)]).await.status, 200, "{protocol:?}");
    }
    let count = gate.app.count();
    for head in [
        format!("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nx-long: {}\r\n\r\n", "x".repeat(40 * 1024)),
        format!("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\n{}\r\n", "x-many: x\r\n".repeat(300)),
    ] {
        let answer = Raw::open(&gate).await.ask(head).await.expect("an answer");
        assert_eq!((answer.status(), answer.code().as_str()), (431, "TOO_LARGE"));
    }
    assert_eq!(gate.app.count(), count);
}
