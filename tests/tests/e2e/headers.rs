//! What the application is told, and what nobody but the gate can tell it.

use e2e::app::{App, Seen};
use e2e::client::{BOTH, Client, Protocol};
use e2e::gate::{Gate, Setup};
use e2e::raw::Raw;
use e2e::wire::{self, Ended, Wire};
use e2e::{soon, until};

/// Spellings under which some reader would take a header for the tenant's.
const SPELLINGS: [&str; 12] = [
    "X-Tenant-Id",
    "x-tenant-id",
    "X-TENANT-ID",
    "X_Tenant_Id",
    "x_tenant_id",
    "X-Tenant_Id",
    "x.tenant.id",
    "X-Tenant.Id",
    "x~tenant~id",
    "x|tenant|id",
    "x!tenant'id",
    "X*Tenant-Id",
];

/// A gate that takes unclear names out, where others refuse the request.
fn stripping() -> Gate {
    Gate::start(Setup { app: ", unclear_headers: strip".to_owned(), ..Setup::default() }, App::plain())
}

/// The headers that the gate alone may set.
const OURS: [&str; 4] = ["x-tenant-id", "x-user-id", "x-user-roles", "x-request-id"];

fn told(seen: &Seen, tenant: Option<&str>, case: &str) {
    assert_eq!(seen.header("x-tenant-id"), tenant, "{case}:\n{}", seen.head);
    assert_eq!(seen.header("x-user-id"), tenant.map(|_| "ada.example"), "{case}:\n{}", seen.head);
    assert_eq!(seen.header("x-user-roles"), tenant.map(|_| "provider"), "{case}:\n{}", seen.head);
    assert!(seen.header("x-request-id").is_some_and(|id| id != "evil"), "{case}:\n{}", seen.head);
    assert!(!seen.head.contains("evil"), "{case}:\n{}", seen.head);
    assert_eq!(seen.trailers, "", "{case}");
}

#[tokio::test]
async fn no_spelling_of_the_tenant_passes_on_http_1() {
    let gate = stripping();
    let token = gate.issuer().ada();
    let mut raw = Raw::open(&gate).await;
    for spelling in SPELLINGS {
        for (path, credential, tenant) in [
            ("/me", format!("authorization: Bearer {token}\r\n"), Some("a")),
            ("/open/x", String::new(), None),
            ("/api/watched/p1", String::new(), None),
        ] {
            let case = format!("{spelling} on {path}");
            let copies = format!("{spelling}: evil\r\n{spelling}: evil, a\r\n");
            let head = format!("GET {path} HTTP/1.1\r\nhost: clinic.example\r\n{credential}{copies}\r\n");
            let answer = raw.ask(head).await.unwrap();
            assert_eq!(answer.status(), 200, "{case}");
            told(&gate.app.last(), tenant, &case);
        }
    }
    for name in OURS {
        let credential =
            format!("authorization: Bearer {token}\r\n{name}: evil\r\n{}: evil\r\n", name.replace('-', "_"));
        raw.ask(format!("GET /me HTTP/1.1\r\nhost: clinic.example\r\n{credential}\r\n")).await.unwrap();
        told(&gate.app.last(), Some("a"), name);
    }
}

#[tokio::test]
async fn no_spelling_of_the_tenant_passes_on_http_2() {
    let gate = stripping();
    let bearer = format!("Bearer {}", gate.issuer().ada());
    for spelling in SPELLINGS {
        for (path, credential, tenant) in [("/me", true, Some("a")), ("/open/x", false, None)] {
            let mut fields = wire::get(path.as_bytes());
            if credential {
                fields.push((b"authorization", bearer.as_bytes()));
            }
            fields.extend([(spelling.as_bytes(), &b"evil"[..]), (spelling.as_bytes(), &b"a"[..])]);
            let count = gate.app.count();
            let mut wire = Wire::open(&gate).await;
            let ended = wire.ask(&fields).await;
            // HTTP/2 knows no upper case: such a request is malformed and answered by a reset.
            if spelling.bytes().any(|byte| byte.is_ascii_uppercase()) {
                assert!(matches!(ended, Ended::Reset | Ended::Closed), "{spelling}: {ended:?}");
                assert_eq!(gate.app.count(), count, "{spelling}");
            } else {
                assert_eq!(ended, Ended::Answered(b"ok".to_vec()), "{spelling}");
                told(&gate.app.last(), tenant, spelling);
            }
        }
    }
}

/// CVE-2025-64484, CVE-2026-40575: a name that servers read as another one.
#[tokio::test]
async fn a_name_that_servers_read_as_another_is_refused() {
    let gate = Gate::plain();
    for spelling in
        SPELLINGS.into_iter().chain(["x_own", "x.own"]).filter(|name| name.contains(['_', '.', '~', '|', '!', '*']))
    {
        let head = format!("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\n{spelling}: a\r\n\r\n");
        let answer = Raw::open(&gate).await.ask(head).await.unwrap();
        assert_eq!((answer.status(), answer.code().as_str()), (400, "BAD_HEADER"), "{spelling}");
        let mut fields = wire::get(b"/open/x");
        let lower = spelling.to_ascii_lowercase();
        fields.push((lower.as_bytes(), b"a"));
        assert_eq!(Wire::open(&gate).await.ask(&fields).await.code(), "BAD_HEADER", "{spelling}");
    }
    assert_eq!(gate.app.count(), 0);
}

#[tokio::test]
async fn a_header_that_may_stand_once_stands_once() {
    let gate = Gate::plain();
    let (cross, own) = ("https://evil.example", "https://clinic.example");
    for (name, one, other) in [
        ("origin", own, cross),
        ("origin", own, own),
        ("sec-fetch-site", "same-origin", "cross-site"),
        ("referer", own, cross),
        ("content-type", "text/plain", "application/x-www-form-urlencoded"),
        ("authorization", "Bearer a", "Bearer b"),
        ("if-modified-since", "a", "b"),
        ("range", "bytes=0-1", "bytes=2-3"),
        ("traceparent", "a", "b"),
    ] {
        let head = format!("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\n{name}: {one}\r\n{name}: {other}\r\n\r\n");
        let answer = Raw::open(&gate).await.ask(head).await.unwrap();
        assert_eq!((answer.status(), answer.code().as_str()), (400, "BAD_HEADER"), "{name}");
        let mut fields = wire::get(b"/open/x");
        fields.extend([(name.as_bytes(), one.as_bytes()), (name.as_bytes(), other.as_bytes())]);
        assert_eq!(Wire::open(&gate).await.ask(&fields).await.code(), "BAD_HEADER", "{name}");
    }
    for joined in ["Bearer a, Bearer b", "Basic YTpi, Bearer b", "Bearer a,b"] {
        let answer = Client::open(&gate, Protocol::Http1).await.ask("GET", "/me", &[("authorization", joined)]).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "BAD_HEADER"), "{joined}");
    }
    assert_eq!(gate.app.count(), 0);
}

/// CVE-2026-47774: HTTP/2 may bring cookies in pieces; each is counted, in number and in bytes.
#[tokio::test]
async fn pieces_of_cookies_are_counted() {
    let gate = Gate::plain();
    for (size, count, fits) in [(4, 200, true), (4, 201, false), (400, 100, false)] {
        let piece = format!("a={}", "b".repeat(size - 2));
        let mut fields = wire::get(b"/open/x");
        fields.extend(vec![(&b"cookie"[..], piece.as_bytes()); count]);
        let before = gate.app.count();
        let ended = Wire::open(&gate).await.ask(&fields).await;
        assert_eq!(ended == Ended::Answered(b"ok".to_vec()), fits, "{size} {count}: {ended:?}");
        assert_eq!(gate.app.count() - before, usize::from(fits), "{size} {count}");
    }
    assert_eq!(gate.app.last().all("cookie").len(), 1, "and joined to one");
}

/// CVE-2025-48865: what is named in `Connection` is removed, and never one of ours.
#[tokio::test]
async fn naming_our_headers_in_connection_takes_none_away() {
    let gate = Gate::plain();
    let token = gate.issuer().ada();
    let mut raw = Raw::open(&gate).await;
    for named in ["X-Tenant-Id", "x-tenant-id, x-user-id, x-user-roles, x-request-id", "close, X-Tenant-Id"] {
        let head = format!(
            "GET /me HTTP/1.1\r\nhost: clinic.example\r\nauthorization: Bearer {token}\r\nX-Tenant-Id: evil\r\n\
             connection: {named}\r\n\r\n"
        );
        let mut once = Raw::open(&gate).await;
        assert_eq!(once.ask(head).await.unwrap().status(), 200, "{named}");
        told(&gate.app.last(), Some("a"), named);
    }
    let head = format!(
        "GET /me HTTP/1.1\r\nhost: clinic.example\r\nauthorization: Bearer {token}\r\ncookie: theme=dark\r\n\
         connection: keep-alive, x-own, host, cookie, authorization, x-forwarded-for, x-forwarded-proto\r\n\
         x-own: hop\r\nx-kept: yes\r\n\r\n"
    );
    assert_eq!(raw.ask(head).await.unwrap().status(), 200);
    let seen = gate.app.last();
    told(&seen, Some("a"), "many");
    assert_eq!((seen.header("x-own"), seen.header("x-kept")), (None, Some("yes")));
    assert_eq!((seen.header("host"), seen.header("cookie")), (Some("clinic.example"), Some("theme=dark")));
    assert_eq!((seen.header("x-forwarded-for"), seen.header("x-forwarded-proto")), (Some("127.0.0.1"), Some("https")));
}

#[tokio::test]
async fn no_header_arrives_after_the_body() {
    let gate = Gate::plain();
    let token = gate.issuer().ada();
    let mut raw = Raw::open(&gate).await;
    let head = format!(
        "POST /me HTTP/1.1\r\nhost: clinic.example\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\n\
         trailer: X-Tenant-Id\r\n\r\n4\r\nbody\r\n0\r\nX-Tenant-Id: evil\r\nX_Tenant_Id: evil\r\n\r\n"
    );
    assert_eq!(raw.ask(head).await.unwrap().status(), 200);
    let seen = until("the body to be read", || Some(gate.app.last()).filter(|seen| !seen.body.is_empty()));
    assert_eq!(seen.body, b"body");
    told(&seen, Some("a"), "HTTP/1.1");
    assert_eq!(seen.header("trailer"), None);

    let bearer = format!("Bearer {token}");
    let mut wire = Wire::open(&gate).await;
    let mut fields = wire::get(b"/me");
    fields[0] = (b":method", b"POST");
    fields.push((b"authorization", bearer.as_bytes()));
    let stream = wire.start(&fields, false).await;
    wire.data(stream, b"more", false).await;
    wire.trailers(stream, &[(b"x-tenant-id", b"evil")]).await;
    assert_eq!(soon("the answer", wire.end_of(stream)).await, Ended::Answered(b"ok".to_vec()));
    let seen = until("the body to be read", || Some(gate.app.last()).filter(|seen| seen.body == b"more"));
    told(&seen, Some("a"), "HTTP/2");
}

#[tokio::test]
async fn nobody_else_says_where_a_request_came_from() {
    let gate = Gate::plain();
    let family = [
        ("forwarded", "for=198.51.100.1;host=evil.example"),
        ("x-forwarded", "198.51.100.1"),
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-scheme", "http"),
        ("x-forwarded-server", "evil.example"),
        ("x-forwarded-ssl", "off"),
        ("x-forwarded-uri", "/evil"),
        ("x-forwarded-path", "/evil"),
        ("x-forwarded-method", "DELETE"),
        ("x-forwarded-user", "evil"),
        ("x-forwarded-email", "evil"),
        ("x-forwarded-groups", "evil"),
        ("x-forwarded-preferred-username", "evil"),
        ("x-forwarded-access-token", "evil"),
        ("x-forwarded-client-cert", "evil"),
        ("x-forwarded-tls-client-cert", "evil"),
        ("x-forwarded-unheard-of", "evil"),
        ("x-real-ip", "198.51.100.1"),
        ("x-client-ip", "198.51.100.1"),
        ("true-client-ip", "198.51.100.1"),
        ("x-original-url", "/evil"),
        ("x-original-uri", "/evil"),
        ("x-rewrite-url", "/evil"),
        ("x-original-host", "evil.example"),
        ("x-host", "evil.example"),
    ];
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for path in ["/open/x", "/me"] {
            let bearer = format!("Bearer {}", gate.issuer().ada());
            let mut headers = vec![("authorization", bearer.as_str())];
            headers.extend(family);
            assert_eq!(client.ask("GET", path, &headers).await.status, 200);
            let seen = gate.app.last();
            assert!(!seen.head.contains("evil") && !seen.head.contains("198.51.100.1"), "{}", seen.head);
            assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
            assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
            assert_eq!(seen.header("x-forwarded-host"), Some("clinic.example"));
            assert_eq!(seen.header("host"), Some("clinic.example"));
            let left: Vec<_> =
                family.iter().filter(|(name, _)| !seen.all(name).is_empty()).map(|(name, _)| *name).collect();
            assert!(
                left.iter().all(|name| matches!(
                    name.replace('_', "-").as_str(),
                    "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-proto"
                )),
                "{left:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_method_cannot_be_changed_behind_the_gate() {
    let gate = Gate::plain();
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for name in ["x-http-method-override", "X-HTTP-Method", "x-method-override", "x_http_method_override"] {
            let answer = client.ask("GET", "/open/x", &[(name, "DELETE")]).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "BAD_HEADER"), "{name}");
        }
        let answer = client.ask("GET", "/open/x?_method=DELETE", &[]).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "BAD_PATH"));
    }
    assert_eq!(gate.app.count(), 0);
}

#[tokio::test]
async fn hop_by_hop_headers_end_here_and_all_others_travel() {
    let gate = Gate::plain();
    let mut raw = Raw::open(&gate).await;
    let head = "GET /open/x?a=1 HTTP/1.1\r\nHost: Clinic.Example:8443\r\nConnection: keep-alive, te\r\nTE: trailers\r\n\
                Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic YTpi\r\n\
                Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nExpect: 100-continue\r\n\
                Accept: text/plain;q=0.5, */*\r\nX-Kept: one\r\nX-Kept: two\r\nUser-Agent: tester/1\r\n\
                Accept-Encoding: gzip\r\nIf-None-Match: \"7\"\r\nRange: bytes=0-1\r\n\r\n";
    let answer = raw.ask(head).await.unwrap();
    assert_eq!(answer.status(), 200);
    let seen = gate.app.last();
    for gone in ["te", "keep-alive", "proxy-connection", "proxy-authorization", "upgrade", "expect", "trailer"] {
        assert_eq!(seen.all(gone), Vec::<&str>::new(), "{gone}:\n{}", seen.head);
    }
    assert_eq!(seen.header("accept"), Some("text/plain;q=0.5, */*"));
    assert_eq!(seen.all("x-kept"), ["one", "two"]);
    assert_eq!(seen.header("user-agent"), Some("tester/1"));
    assert_eq!(seen.header("accept-encoding"), Some("gzip"));
    assert_eq!(seen.header("if-none-match"), Some("\"7\""));
    assert_eq!(seen.header("range"), Some("bytes=0-1"));
    assert_eq!(seen.header("host"), Some("clinic.example:8443"), "the port stays");
    assert_eq!(seen.header("x-forwarded-host"), Some("clinic.example:8443"));
    assert_eq!(seen.target(), "/open/x?a=1");
    assert!(seen.line().ends_with(" HTTP/1.1"));
}

#[tokio::test]
async fn the_names_are_those_of_the_configuration() {
    let headers = "{ identity: { tenant: X-Clinic-Code, subject: X-Who, roles: X-As, request: X-Trace-Code } }";
    let app = ", unclear_headers: strip".to_owned();
    let gate = Gate::start(Setup { headers: headers.to_owned(), app, ..Setup::default() }, App::plain());
    let bearer = format!("Bearer {}", gate.issuer().ada());
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let sent = [("authorization", bearer.as_str()), ("x_clinic_code", "evil"), ("x-who", "evil"), ("X-As", "evil")];
    let answer = client.ask("GET", "/me", &sent).await;
    assert_eq!(answer.status, 200);
    let seen = gate.app.last();
    assert!(!seen.head.contains("evil"), "{}", seen.head);
    assert_eq!(seen.header("x-clinic-code"), Some("a"));
    assert_eq!((seen.header("x-who"), seen.header("x-as")), (Some("ada.example"), Some("provider")));
    assert_eq!(seen.header("x-trace-code"), Some(answer.header("x-trace-code")));
    assert!(seen.all("x-tenant-id").is_empty());
}

#[tokio::test]
async fn cookies_are_text_in_any_language_on_both_protocols_and_whatever_reads_them() {
    let cookie_token = "token: [{ cookie: tok }]\n    claims: { tenant: org_id, roles: roles }";
    let header_token = "token: [{ header: authorization }]\n    claims: { tenant: org_id, roles: roles }";
    let renaming = "cookies: { prefix: { sid: __Host- } }\n";
    let own_session = ", session: { cookies: [sid] }";
    for (provider, more, app) in [
        (header_token, "", ""),
        ("", "", ""),
        (cookie_token, "", ""),
        ("", renaming, ""),
        ("", "", own_session),
        (cookie_token, renaming, own_session),
    ] {
        let mut setup = Setup { more: more.to_owned(), app: app.to_owned(), ..Setup::default() };
        if !provider.is_empty() {
            setup.provider = provider.to_owned();
        }
        let gate = Gate::start(setup, App::plain());
        let token = gate.issuer().ada();
        let bearer = format!("Bearer {token}");
        let in_cookie = provider.contains("tok }");
        let credential = if in_cookie { format!("tok={token}") } else { "a=1".to_owned() };
        let seen = |case: &str| {
            let last = gate.app.last();
            assert_eq!(last.header("x-user-id"), Some("ada.example"), "{case}");
            // The application reads bytes as letters, one by one.
            let bytes = last.header("cookie").unwrap_or_default().chars().map(|letter| u8::try_from(letter).unwrap());
            String::from_utf8(bytes.collect()).unwrap().replace("a=1; ", "")
        };
        let case = format!("{provider} {more} {app}");
        let head = |cookie: &[u8]| {
            let mut head = b"GET /me HTTP/1.1\r\nhost: clinic.example\r\n".to_vec();
            if !in_cookie {
                head.extend_from_slice(format!("authorization: {bearer}\r\n").as_bytes());
            }
            head.extend_from_slice(format!("cookie: {credential}; ").as_bytes());
            [&head[..], cookie, b"\r\n\r\n"].concat()
        };
        let answer = Raw::open(&gate).await.ask(head("name=Zoë; b=2".as_bytes())).await.unwrap();
        assert_eq!((answer.status(), seen(&case).as_str()), (200, "name=Zoë; b=2"), "{case}");
        let answer = Raw::open(&gate).await.ask(head(b"name=Zo\xeb")).await.unwrap();
        assert_eq!((answer.status(), answer.code().as_str()), (400, "BAD_HEADER"), "{case}");

        let fields = |cookies: [&'static [u8]; 2]| {
            let mut fields = wire::get(b"/me");
            if !in_cookie {
                fields.push((&b"authorization"[..], bearer.as_bytes()));
            }
            fields.push((b"cookie", credential.as_bytes()));
            fields.extend(cookies.map(|one| (&b"cookie"[..], one)));
            fields
        };
        let ended = Wire::open(&gate).await.ask(&fields(["name=Zoë".as_bytes(), b"b=2"])).await;
        assert!(matches!(ended, Ended::Answered(_)), "{case}: {ended:?}");
        assert_eq!(seen(&case), "name=Zoë; b=2", "{case}");
        let before = gate.app.count();
        let refused = Wire::open(&gate).await.ask(&fields([b"name=Zo\xeb", b"b=2"])).await;
        assert_eq!((refused.code().as_str(), gate.app.count()), ("BAD_HEADER", before), "{case}");
    }
}
