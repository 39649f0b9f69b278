//! A thousand planted identifiers and credentials, in every position of a request, with the log at `trace`: none of them
//! comes out where it must not.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use e2e::app::{After, App};
use e2e::client::{Client, HOST, connect, tls};
use e2e::gate::{Setup, probe};
use e2e::process::{Served, run};
use e2e::raw::Raw;
use e2e::wire::{self, Wire};
use e2e::{soon, until};
use serde_json::{Value, json};

/// No needle is shorter than this, in bytes.
const BEGINNING: usize = 8;

/// Makes up identifiers, and remembers what of each must not be found.
#[derive(Default)]
struct Planter {
    needles: Vec<String>,
}

impl Planter {
    /// One more identifier, of the next kind. Any of them can stand in a path, a query or a header.
    fn plant(&mut self) -> String {
        let number = self.needles.len();
        let (text, needle) = match number % 8 {
            0 => (format!("canary{number:05}@mail.example"), format!("canary{number:05}")),
            1 => (format!("9{:02}-7{}-{:04}", number / 100 % 100, number % 10, number), String::new()),
            2 => (format!("MRN77{number:06}"), String::new()),
            3 => (format!("Zanzi{number:05}Fixture"), String::new()),
            4 => {
                let part = URL_SAFE_NO_PAD.encode(format!("{{\"sub\":\"jwt-canary-{number:05}\"}}"));
                (format!("eyJhbGciOiJFUzI1NiJ9.{part}.c2lnbmF0dXJl{number:05}"), part)
            }
            5 => (format!("sk_live_{:032x}", 0x00c0_ffee_0000_u64 + number as u64), String::new()),
            6 => (format!("2b1f0c3e-77aa-4c1d-9e00-{:012x}", 0xca_4a00_0000_u64 + number as u64), String::new()),
            _ => (format!("+1-555-77{number:05}"), format!("555-77{number:05}")),
        };
        self.needles.push(if needle.is_empty() { text.clone() } else { needle });
        text
    }

    /// One more, of letters, digits and `-` alone: for host names, methods and header names.
    fn plain(&mut self) -> String {
        let text = format!("planted-{:05}-here", self.needles.len());
        self.needles.push(text.clone());
        text
    }

    /// Nothing planted stands in `text`, in any case of its letters.
    fn is_clean(&self, what: &str, text: &str) {
        let text = text.to_ascii_lowercase();
        // By their beginnings: thousands of needles in megabytes would take minutes one by one.
        let mut beginnings: HashMap<&[u8], Vec<String>> = HashMap::new();
        let needles: Vec<String> = self.needles.iter().map(|needle| needle.to_ascii_lowercase()).collect();
        for needle in &needles {
            beginnings.entry(&needle.as_bytes()[..BEGINNING]).or_default().push(needle.clone());
        }
        for (at, beginning) in text.as_bytes().windows(BEGINNING).enumerate() {
            let Some(likely) = beginnings.get(beginning) else { continue };
            if let Some(needle) = likely.iter().find(|needle| text.as_bytes()[at..].starts_with(needle.as_bytes())) {
                let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
                panic!("`{needle}` in {what}:\n{}", text[line..].lines().next().unwrap());
            }
        }
    }

    /// How much of what was planted stands in `text`.
    fn count_in(&self, text: &str) -> usize {
        self.needles.iter().filter(|needle| text.contains(needle.as_str())).count()
    }
}

/// A request over HTTP/1.1 with an identifier in one position, as bytes.
fn requests(planter: &mut Planter, good: &str) -> Vec<Vec<u8>> {
    let head = |line: &str, headers: &str| format!("{line} HTTP/1.1\r\nhost: {HOST}\r\n{headers}\r\n").into_bytes();
    let bearer = format!("authorization: Bearer {good}\r\n");
    let mut all = Vec::new();
    for _ in 0..4 {
        for kind in 0..8 {
            // Each position sees each kind.
            while planter.needles.len() % 8 != kind {
                let one = planter.plant();
                all.push(head("GET /me", &format!("x-filler: {one}\r\n")));
            }
            let mut put = |make: &dyn Fn(&str) -> Vec<u8>| all.push(make(&planter.plant()));
            put(&|v| head(&format!("GET /api/patients/{v}/records/7"), &bearer));
            put(&|v| head(&format!("GET /api/patients/p1/records/{v}"), ""));
            put(&|v| head(&format!("GET /open/{v}/x"), ""));
            put(&|v| head(&format!("GET /{v}"), ""));
            put(&|v| head(&format!("GET /open/../{v}"), ""));
            put(&|v| head(&format!("GET /open/{v}%zz"), ""));
            put(&|v| head(&format!("GET /open/{v};x"), ""));
            put(&|v| head(&format!("GET /me?email={v}"), ""));
            put(&|v| head(&format!("GET /open/x?{v}=1"), ""));
            put(&|v| head(&format!("GET /api/labs?clinic={v}"), &bearer));
            put(&|v| head(&format!("GET /open/garbage/{v}"), ""));
            put(&|v| head(&format!("GET /open/hang-up/{v}"), ""));
            put(&|v| head(&format!("GET https://{v}@{HOST}/open/x"), ""));
            put(&|v| head(&format!("GET https://{HOST}/me?{v}"), ""));
            put(&|v| head(&format!("GE T /{v}"), ""));
            put(&|v| head("GET /me", &format!("x-note: {v}\r\n")));
            put(&|v| head("GET /me", &format!("user-agent: {v}\r\nreferer: https://x.example/{v}?token={v}\r\n")));
            put(&|v| head("GET /me", &format!("cookie: theme={v}; other={v}\r\n")));
            put(&|v| head("GET /me", &format!("cookie: __session={v}\r\n")));
            put(&|v| head("GET /me", &format!("cookie: __session=x; __session={v}\r\n")));
            put(&|v| head("POST /open/x", &format!("cookie: a=b\r\norigin: {v}\r\nsec-fetch-site: {v}\r\n")));
            put(&|v| head("OPTIONS /open/x", &format!("origin: {v}\r\naccess-control-request-method: {v}\r\n")));
            put(&|v| {
                let key = "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
                let asked = format!("connection: upgrade\r\nupgrade: websocket\r\n{key}");
                head("GET /open/chat", &format!("{asked}origin: https://{v}\r\nsec-websocket-protocol: {v}\r\n"))
            });
            put(&|v| head("GET /me", &format!("authorization: Bearer {v}\r\n")));
            put(&|v| head("GET /me", &format!("authorization: {v}\r\n")));
            put(&|v| head("GET /me", &format!("authorization: Bearer a\r\nauthorization: Bearer {v}\r\n")));
            put(&|v| head("GET /api/patients/p1/records", &format!("{bearer}x-clinic: {v}\r\n")));
            put(&|v| head("GET /api/watched/p1", &format!("x-clinic: {v}\r\n")));
            put(&|v| head("GET /me", &format!("traceparent: 00-{v}-00f067aa0ba902b7-01\r\n")));
            put(&|v| head("GET /me", &format!("accept: text/html;{v}\r\nx-request-id: {v}\r\nx-tenant-id: {v}\r\n")));
            put(&|v| head("GET /me", &format!("x-forwarded-for: {v}\r\nforwarded: for={v}\r\n")));
            put(&|v| head("GET /me", &format!("x-http-method-override: {v}\r\n")));
            put(&|v| head("GET /me", &format!("content-type: a/b\r\ncontent-type: {v}\r\n")));
            put(&|v| head("GET /me", &format!("broken {v}\r\n")));
            put(&|v| head("GET /me", &format!("x-note: \u{1}{v}\r\n")));
            put(&|v| head("POST /me", &format!("content-length: {}\r\n\r\n{v}", v.len() + 2)));
            put(&|v| head("POST /open/x", &format!("transfer-encoding: chunked\r\n\r\n0\r\nx-late: {v}\r\n")));
            put(&|v| head("POST /open/x", &format!("transfer-encoding: {v}\r\n")));
            put(&|v| head("POST /open/x", &format!("content-length: {v}\r\n")));
            put(&|v| head("POST /open/x", &format!("transfer-encoding: chunked\r\n\r\n{v}\r\n")));
        }
    }
    for _ in 0..20 {
        let mut put = |make: &dyn Fn(&str) -> Vec<u8>| all.push(make(&planter.plain()));
        put(&|v| format!("GET / HTTP/1.1\r\nhost: {v}.example\r\n\r\n").into_bytes());
        put(&|v| head(&format!("{} /open/x", v.to_ascii_uppercase()), ""));
        put(&|v| head("GET /me", &format!("x-{v}: 1\r\n{v}: 2\r\nconnection: {v}\r\n")));
        let basic = STANDARD.encode(format!("user{}:basic-canary", planter.needles.len()));
        planter.needles.push(basic.clone());
        all.push(head("GET /me", &format!("authorization: Basic {basic}\r\n")));
    }
    all
}

/// Tokens whose every claim holds an identifier; some are good.
fn tokens(planter: &mut Planter, served: &Served) -> Vec<String> {
    let issuer = &served.files.issuer;
    let mut all = Vec::new();
    for _ in 0..12 {
        let claims = |planter: &mut Planter| {
            json!({
                "sub": planter.plant(), "org_id": planter.plain(), "roles": ["provider", planter.plant()],
                "patient": planter.plant(), "npi": planter.plant(), "email": planter.plant(), "name": planter.plant(),
                "azp": planter.plain(),
            })
        };
        all.push(issuer.changed(claims(planter)));
        let mut bad = claims(planter);
        bad["exp"] = json!(1);
        all.push(issuer.changed(bad));
        let mut bad = claims(planter);
        bad["aud"] = json!(planter.plant());
        all.push(issuer.changed(bad));
        let mut bad = claims(planter);
        bad["iss"] = json!(planter.plant());
        all.push(issuer.changed(bad));
        let payload = issuer.claims("ada.example", "a", &[]);
        all.push(issuer.key.sign(&planter.plant(), &payload).unwrap());
        all.push(issuer.unsigned(&planter.plant()));
    }
    // The tokens themselves are secrets: their payloads and signatures.
    for token in &all {
        planter.needles.extend(token.split('.').skip(1).filter(|part| part.len() > 20).map(str::to_owned));
    }
    all
}

#[test]
#[should_panic(expected = "`mrn77000002` in a text:")]
fn what_is_planted_would_be_found() {
    let mut planter = Planter::default();
    (0..16).for_each(|_| drop(planter.plant()));
    planter.is_clean("a text", "first line\nsecond with mRn77000002 in it");
}

#[tokio::test]
async fn nothing_that_goes_in_comes_out() {
    plant_and_look("trace", 1).await;
}

#[tokio::test]
async fn nothing_comes_out_at_any_other_level() {
    for level in ["debug", "info", "warn", "error"] {
        plant_and_look(level, 11).await;
    }
}

/// Sends every `share`-th of the requests to a gate that logs at `level`, and looks everywhere.
async fn plant_and_look(level: &str, share: usize) {
    let whole = share == 1;
    let app = App::start(|exchange| {
        exchange.read_body();
        let target = exchange.seen.target().to_owned();
        if target.starts_with("/open/garbage/") {
            exchange.send(format!("HTTP/1.1 nonsense {target}\r\nx: {target}\r\n\r\n"));
            return After::Close;
        }
        if target.starts_with("/open/hang-up/") { After::Close } else { exchange.answer("200 OK", "", "ok") }
    });
    let limits = "{ per_address: { rate: 100000/s, burst: 1000000 }, \
                  refused_per_address: { rate: 100000/s, burst: 1000000 }, body: 1KiB }";
    let setup = Setup { log: level.to_owned(), limits: limits.to_owned(), ..Setup::default() };
    let mut served = Served::start(setup, app);
    let (https, ca) = (served.https, served.files.ca.clone());
    let mut planter = Planter::default();
    let good = served.files.issuer.ada();
    let mut told = Vec::new();

    // HTTP/1.1, a connection as long as it lives.
    let dial = async || Raw::over(connect(https, tls(&ca, &[b"http/1.1"]), HOST).await.unwrap());
    let mut raw = dial().await;
    for request in requests(&mut planter, &good).into_iter().step_by(share) {
        if !raw.send(&request).await {
            raw = dial().await;
            raw.send(&request).await;
        }
        match raw.answer().await {
            Some(answer) if answer.status() >= 400 => {
                told.push(format!("{}{}", answer.head, String::from_utf8_lossy(&answer.body)));
                if answer.header("connection") == "close" {
                    raw = dial().await;
                }
            }
            Some(_) => {}
            None => raw = dial().await,
        }
    }

    // A reload while requests come, and one that is refused: its faults are told without what the file holds.
    served.process.signal("HUP");
    let policy = planter.plant();
    served.files.put("policies/planted.yaml", &format!("apiVersion: anteroom.dev/v1\nkind: {policy}\n"));
    served.process.signal("HUP");
    let health = served.health;
    let failed = until("the refused reload", || {
        let text = probe(health, "/metrics");
        text.contains("anteroom_reload_failed 1").then_some(text)
    });
    planter.is_clean("the metrics of a refused reload", &failed);

    // HTTP/2, where heads take other ways through the libraries.
    for _ in 0..4usize.div_ceil(share) {
        let values: Vec<String> = (0..8).map(|_| planter.plant()).collect();
        for value in &values {
            let paths = [
                format!("/me?{value}"),
                format!("/{value}"),
                format!("/open/{value}\u{0}"),
                format!("/open/garbage/{value}"),
            ];
            for path in &paths {
                let mut wire = Wire::over(connect(https, tls(&ca, &[b"h2"]), HOST).await.unwrap()).await;
                let mut fields = wire::get(path.as_bytes());
                fields.push((b"x-note", value.as_bytes()));
                fields.push((b"cookie", value.as_bytes()));
                if let wire::Ended::Answered(body) = wire.ask(&fields).await {
                    told.push(String::from_utf8_lossy(&body).into_owned());
                }
            }
            for (at, name) in [":method", ":scheme", ":authority", "BAD-NAME", "connection", "te"].iter().enumerate() {
                let mut wire = Wire::over(connect(https, tls(&ca, &[b"h2"]), HOST).await.unwrap()).await;
                let mut fields = wire::get(b"/open/x");
                match at {
                    0..=2 => fields[at].1 = value.as_bytes(),
                    _ => fields.push((name.as_bytes(), value.as_bytes())),
                }
                if let wire::Ended::Answered(body) = wire.ask(&fields).await {
                    told.push(String::from_utf8_lossy(&body).into_owned());
                }
            }
        }
    }

    // Tokens, in both places, on both protocols.
    for token in tokens(&mut planter, &served).into_iter().step_by(share) {
        for protocol in e2e::client::BOTH {
            let mut client = Client::open_at(https, &ca, protocol, HOST).await;
            for path in ["/me", "/api/patients/p1/records", "/api/rx/9/sign", "/nowhere"] {
                for (name, value) in
                    [("authorization", format!("Bearer {token}")), ("cookie", format!("__session={token}"))]
                {
                    let answer =
                        client.ask(if path.ends_with("sign") { "POST" } else { "GET" }, path, &[(name, &value)]).await;
                    if !answer.status.is_success() {
                        told.push(format!("{:?}{}", answer.headers, answer.text()));
                    }
                }
            }
        }
    }

    // The name in the handshake.
    for _ in 0..20 {
        let name = format!("{}.example", planter.plain());
        assert!(connect(https, tls(&ca, &[b"h2"]), &name).await.is_err());
    }
    assert!(planter.needles.len() >= 1_000, "{}", planter.needles.len());
    assert!(told.len() >= 800 / share, "{} refusals", told.len());

    // The application saw what was let through: these needles can be found.
    let seen: String = served.app.seen().iter().map(|seen| seen.head.as_str()).collect();
    assert!(planter.count_in(&seen) > 100 / share, "{}", planter.count_in(&seen));

    planter.is_clean("an answer of ours", &told.join("\n"));
    let metrics = tokio::task::spawn_blocking(move || probe(health, "/metrics")).await.unwrap();
    planter.is_clean("the metrics", &metrics);
    for path in ["/readyz", "/livez", "/startedz", &format!("/{}", planter.plant())] {
        planter.is_clean("a probe", &probe(health, path));
    }
    let control = served.files.path("control.sock");
    let status = run(served.files.root(), &["status", "--control", control.to_str().unwrap()]);
    assert_eq!(status.code, Some(0), "{}", status.err);
    planter.is_clean("the status", &status.out);

    served.process.signal("TERM");
    assert_eq!(soon("its end", async { served.process.end() }).await.code(), Some(0));
    let (out, err) = (served.process.out(), served.process.err());
    assert!(!whole || out.lines().count() > 1_000, "the log says something");
    assert!(level == "error" || out.contains(&format!("\"level\":\"{}\"", if whole { "debug" } else { level })));
    planter.is_clean("the log", &out);
    planter.is_clean("standard error", &err);

    let record = served.files.record();
    let told = |event: &Value| event["counted"]["requests"].as_u64().unwrap_or(1);
    assert!(record.iter().map(told).sum::<u64>() > 1_000 / share as u64);
    let mut told_of = Vec::new();
    let mut rest = Vec::new();
    for mut event in record {
        if let Some(actor) = event["actor"].as_object_mut() {
            told_of.extend(["sub", "roles", "client"].iter().filter_map(|name| actor.remove(*name)));
        }
        if let Some(event) = event.as_object_mut() {
            event.remove("tenant");
        }
        rest.push(event.to_string());
    }
    let told_of: String = told_of.iter().map(Value::to_string).collect();
    assert!(planter.count_in(&told_of) > 30 / share, "who asked stands there");
    planter.is_clean("the record", &rest.join("\n"));
}
