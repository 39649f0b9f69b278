//! What browsers are held to: the application's cookies, pages of other sites, streams of events.

use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::app::{After, App};
use e2e::client::{BOTH, Client, Protocol, body};
use e2e::gate::{Gate, POLICY, Setup};
use http_body_util::BodyExt as _;
use serde_json::json;

const OWN: &str = "https://clinic.example";
const PORTAL: &str = "https://portal.example";
const EVIL: &str = "https://evil.example";

fn with(more: &str) -> Setup {
    Setup { more: more.to_owned(), ..Setup::default() }
}

/// What a request carries to show who asks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Carries {
    Nothing,
    AppCookie,
    Session,
    Bearer,
    BearerAndCookie,
    Basic,
}

impl Carries {
    const ALL: [Carries; 6] = [
        Carries::Nothing,
        Carries::AppCookie,
        Carries::Session,
        Carries::Bearer,
        Carries::BearerAndCookie,
        Carries::Basic,
    ];

    fn headers(self, token: &str) -> Vec<(&'static str, String)> {
        let bearer = ("authorization", format!("Bearer {token}"));
        let own = ("cookie", "OHSESSID=7".to_owned());
        match self {
            Carries::Nothing => vec![],
            Carries::AppCookie => vec![own],
            Carries::Session => vec![("cookie", format!("OHSESSID=7; __session={token}"))],
            Carries::Bearer => vec![bearer],
            Carries::BearerAndCookie => vec![bearer, own],
            Carries::Basic => vec![("authorization", "Basic YTpi".to_owned())],
        }
    }

    /// Whether a browser would have sent it without the page's doing.
    fn by_itself(self) -> bool {
        match self {
            Carries::AppCookie | Carries::Session | Carries::Basic => true,
            Carries::Nothing | Carries::Bearer | Carries::BearerAndCookie => false,
        }
    }
}

/// Every combination of what is carried, `Sec-Fetch-Site`, `Origin` and method has one verdict, on both protocols.
#[tokio::test]
async fn only_pages_of_ours_change_something_with_what_browsers_send_by_themselves() {
    let cors = format!("cors: {{ origins: [{PORTAL}], credentials: true }}\n");
    let gate = Gate::start(with(&cors), App::plain());
    let token = gate.issuer().ada();
    let sites = [None, Some("same-origin"), Some("none"), Some("same-site"), Some("cross-site")];
    let origins = [
        None,
        Some(OWN),
        Some("https://other.example"),
        Some(PORTAL),
        Some("null"),
        Some(EVIL),
        Some("http://clinic.example"),
        Some("https://clinic.example:9999"),
    ];
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for carries in Carries::ALL {
            for site in sites {
                for origin in origins {
                    for method in ["GET", "POST", "DELETE"] {
                        let mut headers = carries.headers(&token);
                        headers.extend(site.map(|site| ("sec-fetch-site", site.to_owned())));
                        headers.extend(origin.map(|origin| ("origin", origin.to_owned())));
                        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                        let before = gate.app.count();
                        let answer = client.ask(method, "/open/x", &headers).await;
                        let trusted = [Some(OWN), Some("https://other.example"), Some(PORTAL)].contains(&origin);
                        let own_page = matches!(site, Some("same-origin" | "none"));
                        let hidden = matches!(origin, None | Some("null"));
                        let passes = method == "GET" || !carries.by_itself() || trusted || (own_page && hidden);
                        let case = format!("{protocol:?} {carries:?} {site:?} {origin:?} {method}");
                        let expected = if passes { (200, "") } else { (403, "CROSS_SITE") };
                        assert_eq!((answer.status.as_u16(), answer.code().as_str()), expected, "{case}");
                        assert_eq!(gate.app.count() - before, usize::from(passes), "{case}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_session_that_another_site_uses_is_refused_recorded_and_counted_as_that() {
    let gate = Gate::plain();
    let cookie = format!("__session={}", gate.issuer().ada());
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let crossing = [("cookie", cookie.as_str()), ("origin", EVIL), ("sec-fetch-site", "cross-site")];
    let answer = client.ask("POST", "/me", &crossing).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "CROSS_SITE"));
    assert!(!answer.text().contains("evil"), "{}", answer.text());
    let event = gate.files.event(answer.id());
    assert_eq!(
        (&event["code"], &event["decision"], &event["rule"]),
        (&json!("CROSS_SITE"), &json!("deny"), &json!("me"))
    );
    assert_eq!(event["actor"]["sub"], "ada.example", "whose session was used stands in the record");
    assert_eq!(gate.metric("anteroom_requests_total", &[("code", "CROSS_SITE"), ("decision", "deny")]), 1.0);
    assert_eq!(gate.app.count(), 0);
    let own = [("cookie", cookie.as_str()), ("origin", OWN), ("sec-fetch-site", "same-origin")];
    assert_eq!(client.ask("POST", "/me", &own).await.status, 200);
}

#[tokio::test]
async fn a_name_without_a_port_is_port_443_and_the_requests_own_port_is_ours_too() {
    let gate = Gate::plain();
    let port = gate.https.port();
    let mut raw = e2e::raw::Raw::open(&gate).await;
    let mut post = async |origin: String| {
        let head = format!(
            "POST /open/x HTTP/1.1\r\nhost: clinic.example:{port}\r\ncookie: a=b\r\norigin: {origin}\r\n\
             content-length: 0\r\n\r\n"
        );
        raw.ask(head).await.unwrap().status()
    };
    assert_eq!(post(format!("https://clinic.example:{port}")).await, 200);
    assert_eq!(post("https://clinic.example".to_owned()).await, 200);
    assert_eq!(post(format!("https://clinic.example:{}", port ^ 1)).await, 403);
    assert_eq!(post("https://clinic.example.evil.example".to_owned()).await, 403);
}

#[tokio::test]
async fn while_observed_other_sites_pass_and_it_is_on_the_record() {
    let gate = Gate::start(with("rollout: { csrf: observe }\n"), App::plain());
    let cookie = format!("__session={}", gate.issuer().ada());
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let answer = client.ask("POST", "/me", &[("cookie", cookie.as_str()), ("origin", EVIL)]).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (200, String::new()));
    let event = gate.files.event(answer.id());
    let said = (&event["code"], &event["decision"], &event["mode"], &event["status"]);
    assert_eq!(said, (&json!("CROSS_SITE"), &json!("observe"), &json!("observe"), &json!(200)));
    assert_eq!(gate.metric("anteroom_observed_total", &[("control", "csrf")]), 1.0);
    assert_eq!(gate.metric("anteroom_requests_total", &[("code", "CROSS_SITE"), ("decision", "observe")]), 1.0);
    let control = gate.files.path("control.sock");
    let status = e2e::process::run(gate.files.root(), &["status", "--control", control.to_str().unwrap()]);
    assert!(status.out.contains("csrf"), "{status:?}");
    let preflight = [("origin", EVIL), ("access-control-request-method", "POST")];
    assert_eq!(client.ask("OPTIONS", "/me", &preflight).await.code(), "CROSS_SITE", "the list is never observed only");
}

/// An application that sets these cookies.
fn setting(cookies: &'static [&'static str]) -> App {
    App::start(|exchange| {
        exchange.read_body();
        let lines: String = cookies.iter().map(|line| format!("set-cookie: {line}\r\n")).collect();
        exchange.answer("200 OK", &lines, "ok")
    })
}

const COOKIES: [&str; 6] = [
    "PHPSESSID=r2t5uvjq; path=/",
    "csrftoken=kJ8; expires=Wed, 21-Oct-2026 07:28:00 GMT; Path=/; SameSite=Lax",
    "__Host-right=1; Path=/; Secure; HttpOnly; SameSite=Strict",
    "embed=1; Path=/; SameSite=None",
    "nameless",
    "last=;max-age=0;",
];

async fn cookies(gate: &Gate, protocol: Protocol) -> Vec<String> {
    let answer = Client::open(gate, protocol).await.ask("GET", "/open/x", &[]).await;
    assert_eq!(answer.status, 200);
    answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn cookies_get_what_the_application_forgot() {
    let gate = Gate::start(with("cookies: { exceptions: { csrftoken: [http_only] } }\n"), setting(&COOKIES));
    for protocol in BOTH {
        let expected = [
            "PHPSESSID=r2t5uvjq; path=/; Secure; HttpOnly; SameSite=Lax",
            "csrftoken=kJ8; expires=Wed, 21-Oct-2026 07:28:00 GMT; Path=/; SameSite=Lax; Secure",
            "__Host-right=1; Path=/; Secure; HttpOnly; SameSite=Strict",
            "embed=1; Path=/; SameSite=None; Secure; HttpOnly",
            "last=;max-age=0; Secure; HttpOnly; SameSite=Lax",
        ];
        assert_eq!(cookies(&gate, protocol).await, expected, "{protocol:?}");
    }
    assert_eq!(gate.metric("anteroom_observed_total", &[]), 0.0);
}

#[tokio::test]
async fn while_observed_cookies_pass_as_they_are_and_are_counted() {
    let gate = Gate::start(with("rollout: { cookies: observe }\n"), setting(&COOKIES));
    assert_eq!(cookies(&gate, Protocol::Http2).await, COOKIES.map(|line| line.trim_end().to_owned()));
    assert_eq!(gate.metric("anteroom_observed_total", &[("control", "cookies")]), 1.0);
    let right = Gate::start(with("rollout: { cookies: observe }\n"), setting(&COOKIES[2..3]));
    assert_eq!(cookies(&right, Protocol::Http2).await.len(), 1);
    assert_eq!(right.metric("anteroom_observed_total", &[("control", "cookies")]), 0.0);
}

/// An application that allows everyone everything.
fn lax() -> App {
    App::start(|exchange| {
        exchange.read_body();
        let everything = "access-control-allow-origin: *\r\naccess-control-allow-credentials: true\r\n\
                          access-control-allow-methods: DELETE\r\naccess-control-expose-headers: *\r\n\
                          vary: Accept-Encoding\r\n";
        exchange.answer("200 OK", everything, "ok")
    })
}

const LIST: &str = "cors: { origins: [https://portal.example, \"https://lab.example:8443\"], methods: [GET, PUT], \
                    headers: [Content-Type, authorization], expose: [etag], max_age: 5m }\n";

#[tokio::test]
async fn preflights_are_answered_by_the_list_alone() {
    let gate = Gate::start(with(LIST), lax());
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for path in ["/me", "/open/x", "/api/patients/p1/records/7", "/no/such/place"] {
            let asked = [
                ("origin", PORTAL),
                ("access-control-request-method", "PUT"),
                ("access-control-request-headers", "authorization,content-type"),
            ];
            let answer = client.ask("OPTIONS", path, &asked).await;
            assert_eq!(answer.status, 204, "{protocol:?} {path}");
            let said = [
                ("access-control-allow-origin", PORTAL),
                ("access-control-allow-methods", "GET, PUT"),
                ("access-control-allow-headers", "content-type, authorization"),
                ("access-control-max-age", "300"),
                ("access-control-allow-credentials", ""),
                ("vary", "origin"),
            ];
            for (name, value) in said {
                assert_eq!(answer.header(name), value, "{protocol:?} {path} {name}");
            }
            assert_ne!(answer.header("strict-transport-security"), "");
            let event = gate.files.event(answer.id());
            assert_eq!((&event["decision"], &event["status"]), (&json!("allow"), &json!(204)));
        }
        for (origin, method, headers) in [
            (EVIL, "GET", ""),
            ("null", "GET", ""),
            ("https://lab.example", "GET", ""),
            ("http://portal.example", "GET", ""),
            (OWN, "GET", ""),
            (PORTAL, "POST", ""),
            (PORTAL, "GET", "x-other"),
        ] {
            let mut asked = vec![("origin", origin), ("access-control-request-method", method)];
            asked.extend(Some(("access-control-request-headers", headers)).filter(|_| !headers.is_empty()));
            let answer = client.ask("OPTIONS", "/open/x", &asked).await;
            let case = format!("{protocol:?} {origin} {method} {headers}");
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "CROSS_SITE"), "{case}");
            assert_eq!(answer.header("access-control-allow-methods"), "", "{case}");
            assert_eq!(gate.files.event(answer.id())["rule"], "open", "{case}");
        }
    }
    assert_eq!(gate.app.count(), 0, "no preflight reaches the application");
    let mut client = Client::open(&gate, Protocol::Http1).await;
    assert_eq!(client.ask("OPTIONS", "/open/x", &[("origin", EVIL)]).await.status, 200, "and this one is none");
}

#[tokio::test]
async fn what_the_application_says_of_other_sites_never_leaves() {
    for (more, credentials) in [
        ("", None),
        (LIST, Some("")),
        ("cors: { origins: [https://portal.example], credentials: true }\n", Some("true")),
    ] {
        let gate = Gate::start(with(more), lax());
        let mut client = Client::open(&gate, Protocol::Http2).await;
        let portal = client.ask("GET", "/open/x", &[("origin", PORTAL)]).await;
        let evil = client.ask("GET", "/open/x", &[("origin", EVIL)]).await;
        let none = client.ask("GET", "/open/x", &[]).await;
        let denied = client.ask("GET", "/me", &[("origin", PORTAL)]).await;
        assert_eq!((portal.status.as_u16(), evil.status.as_u16(), denied.status.as_u16()), (200, 200, 401));
        for answer in [&portal, &denied] {
            assert_eq!(answer.header("access-control-allow-origin"), credentials.map_or("", |_| PORTAL), "{more}");
            assert_eq!(answer.header("access-control-allow-credentials"), credentials.unwrap_or(""), "{more}");
        }
        for answer in [&evil, &none] {
            let named = answer.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
            assert_eq!(named, None, "{more}");
        }
        for answer in [&portal, &evil, &none] {
            let varies: Vec<_> = answer.headers.get_all("vary").iter().collect();
            let expected = if more.is_empty() { vec!["Accept-Encoding"] } else { vec!["Accept-Encoding", "origin"] };
            assert_eq!(varies, expected, "{more}");
        }
    }
    let gate = Gate::start(with(LIST), lax());
    let answer = Client::open(&gate, Protocol::Http1).await.ask("GET", "/open/x", &[("origin", PORTAL)]).await;
    assert_eq!(answer.header("access-control-expose-headers"), "etag");
}

#[tokio::test]
async fn without_a_list_no_preflight_is_answered() {
    let policy = POLICY.replace("routes:\n", "routes:\n  wide: { path: /wide, methods: { OPTIONS: public } }\n");
    let gate = Gate::start(Setup { policy, ..Setup::default() }, lax());
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let asked = [("origin", PORTAL), ("access-control-request-method", "PUT")];
    let answer = client.ask("OPTIONS", "/wide", &asked).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "CROSS_SITE"));
    assert_eq!(client.ask("OPTIONS", "/wide", &[]).await.status, 200);
}

#[tokio::test]
async fn who_ran_into_a_limit_is_told_which_and_when_to_come_back() {
    let act = "  labs.read: { limit: { per: subject, rate: 2/m, burst: 1 } }\n";
    let setup = Setup { policy: POLICY.replace("acts:\n", &format!("acts:\n{act}")), ..Setup::default() };
    let gate = Gate::start(setup, App::plain());
    let token = gate.issuer().ada();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let first = client.get("/api/labs", &token).await;
    assert_eq!((first.status.as_u16(), first.header("ratelimit")), (200, ""));
    let second = client.get("/api/labs", &token).await;
    assert_eq!((second.status.as_u16(), second.code().as_str()), (429, "LIMITED"));
    let seconds: u64 = second.header("retry-after").parse().unwrap();
    assert!((25..=30).contains(&seconds), "{seconds}");
    assert_eq!(second.header("ratelimit-policy"), "\"act\";q=1;w=30");
    assert_eq!(second.header("ratelimit"), format!("\"act\";r=0;t={seconds}"));

    let limits = "{ per_address: { rate: 1/m, burst: 2 }, refused_per_address: { rate: 1/m, burst: 1 } }".to_owned();
    let gate = Gate::start(Setup { limits, ..Setup::default() }, App::plain());
    let mut client = Client::open(&gate, Protocol::Http1).await;
    assert_eq!(client.ask("GET", "/no/such/place", &[]).await.status, 404);
    let refused = client.ask("GET", "/no/such/place", &[]).await;
    assert_eq!(refused.header("ratelimit-policy"), "\"refused\";q=1;w=60");
    let address = client.ask("GET", "/open/x", &[]).await;
    assert_eq!(address.header("ratelimit-policy"), "\"address\";q=2;w=120");
}

/// An application that sends one event when it is asked, and the next ones when it is told.
fn events() -> (App, std::sync::mpsc::SyncSender<&'static str>) {
    let (tell, told) = std::sync::mpsc::sync_channel::<&'static str>(8);
    let told = std::sync::Mutex::new(told);
    let app = App::start(move |exchange| {
        exchange.read_body();
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        exchange.send(format!("{head}{}", chunk("data: first\n\n")));
        while let Ok(text) = told.lock().unwrap().recv_timeout(Duration::from_millis(20)) {
            exchange.send(chunk(text));
        }
        exchange.until_closed();
        After::Close
    });
    (app, tell)
}

#[tokio::test]
async fn an_event_arrives_before_its_stream_ends_and_a_client_that_leaves_ends_it() {
    for protocol in BOTH {
        let (app, tell) = events();
        tell.send(": a comment\n\n").unwrap();
        let gate = Gate::start(Setup::default(), app);
        let mut client = Client::open(&gate, protocol).await;
        let request = client.request("GET", "/open/events").header("accept", "text/event-stream");
        let mut answer = client.head(request.body(body(Bytes::new())).unwrap()).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut text = String::new();
        while !text.contains("comment") {
            let frame = e2e::soon("an event", answer.frame()).await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
        assert_eq!(text, "data: first\n\n: a comment\n\n", "{protocol:?}");
        drop((answer, client));
        let alone = tokio::task::spawn_blocking(move || gate.app.until_alone());
        e2e::soon("the application to be left alone", alone).await.unwrap();
    }
}

#[tokio::test]
async fn a_silent_stream_ends_with_the_idle_limit() {
    let (app, _tell) = events();
    let gate = Gate::start(Setup { timeouts: "{ idle: 500ms }".to_owned(), ..Setup::default() }, app);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let started = Instant::now();
    let request = client.request("GET", "/open/events").body(body(Bytes::new())).unwrap();
    let answer = client.head(request).await.unwrap();
    assert!(e2e::client::whole(answer).await.is_err(), "a stream that was cut does not look whole");
    assert!(started.elapsed() >= Duration::from_millis(450), "{:?}", started.elapsed());
    let alone = tokio::task::spawn_blocking(move || gate.app.until_alone());
    e2e::soon("the application to be left alone", alone).await.unwrap();
}
