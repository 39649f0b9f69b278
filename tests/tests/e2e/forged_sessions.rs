//! Names of sessions that nobody has given out, of each kind that a client can make up: however many come, no session begins or
//! ends by them, and the memory of the gate stays within a bound.
//!
//! `ANTEROOM_FORGED` says how many; `./test long` sends a million.

use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::app::App;
use e2e::client::{HOST, connect, tls};
use e2e::gate::{Setup, metric};
use e2e::op::{COOKIE, Op};
use e2e::process::Served;
use e2e::raw::Raw;
use serde_json::json;
use tokio::task::JoinSet;

/// How many there are in all where nobody says.
const NUMBER: usize = 6_000;
/// By how many MiB the most memory that a gate has ever held may grow, however many come: less than the table of sessions would
/// take if a million got in. Of fewer the counts tell.
const GROWN: u64 = 8;
/// Connections of a gate, each of which is kept.
const CONNECTIONS: usize = 8;
/// Requests that are sent at once on each.
const AT_ONCE: usize = 16;

/// What a client makes up, by its number.
struct Forgery {
    what: &'static str,
    make: fn(&Served, usize) -> String,
    status: u16,
}

fn random<const N: usize>() -> String {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).unwrap();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of a session of its own, with a signature that is none.
fn token(gate: &Served, kid: &str, number: usize) -> String {
    let issuer = &gate.files.issuer;
    let mut claims = issuer.claims("ada.example", "a", &["provider"]);
    claims.extend([("sid", "s"), ("jti", "t")].map(|(name, of)| (name.to_owned(), json!(format!("{of}-{number}")))));
    claims.insert("auth_time".to_owned(), json!(issuer.now));
    let head = json!({ "alg": "ES256", "typ": "JWT", "kid": kid });
    let [head, claims] = [head.to_string(), json!(claims).to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{head}.{claims}.{}", random::<64>())
}

fn known(gate: &Served, number: usize) -> String {
    token(gate, gate.files.issuer.key.kid(), number)
}

/// A logout token for a session of its own, with a signature that is none.
fn logout_token(gate: &Served, number: usize) -> String {
    let now = gate.files.issuer.now;
    let claims = json!({
        "iss": e2e::issuer::ISSUER, "aud": "client-7", "iat": now, "exp": now + 120, "jti": format!("l-{number}"),
        "sid": format!("s-{number}"), "sub": format!("subject-{number}.example"),
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    let head = json!({ "alg": "ES256", "typ": "logout+jwt", "kid": gate.files.issuer.key.kid() });
    let [head, claims] = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    format!("{head}.{claims}.{}", random::<64>())
}

/// Somebody who carries many clients sends it, so that the connection is not counted as one that is refused too often.
fn request(line: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nhost: {HOST}\r\nx-forwarded-for: 192.0.2.7\r\n{headers}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

const OWN: &str = "origin: https://clinic.example\r\ncookie: ";

/// Before a gate that believes tokens, signs people in by itself, and binds the application's cookies.
const FORGERIES: [Forgery; 9] = [
    Forgery {
        what: "a token with a bad signature",
        make: |gate, number| request("GET /me", &format!("authorization: Bearer {}", known(gate, number)), ""),
        status: 401,
    },
    Forgery {
        what: "a token of a key that nobody knows",
        make: |gate, number| {
            request("GET /me", &format!("authorization: Bearer {}", token(gate, &random::<8>(), number)), "")
        },
        status: 401,
    },
    Forgery {
        what: "no token at all",
        make: |_, _| request("GET /me", &format!("authorization: Bearer {}", random::<300>()), ""),
        status: 401,
    },
    Forgery {
        what: "a token in a cookie, on a page for everybody",
        make: |gate, number| request("GET /quiet", &format!("cookie: __session={}", known(gate, number)), ""),
        status: 200,
    },
    Forgery {
        what: "a cookie of ours",
        make: |_, _| request("GET /me", &format!("cookie: {COOKIE}={}", random::<300>()), ""),
        status: 401,
    },
    Forgery { what: "a cookie of the application", make: |_, _| with_cookie("GET /me"), status: 401 },
    Forgery {
        what: "a cookie of the application, on a page for everybody",
        make: |_, _| with_cookie("GET /quiet"),
        status: 200,
    },
    Forgery {
        what: "a logout with a token that has a bad signature",
        make: |gate, number| {
            request("POST /.anteroom/logout", &format!("authorization: Bearer {}", known(gate, number)), "")
        },
        status: 401,
    },
    Forgery {
        what: "a logout token with a bad signature",
        make: |gate, number| {
            let form = "content-type: application/x-www-form-urlencoded";
            let body = format!("logout_token={}", logout_token(gate, number));
            request("POST /.anteroom/backchannel-logout", form, &body)
        },
        status: 400,
    },
];

/// Before a gate that asks the application whose a cookie is.
const UNKNOWN: [Forgery; 3] = [
    Forgery { what: "a cookie that the application does not know", make: |_, _| with_cookie("GET /me"), status: 401 },
    Forgery {
        what: "a cookie that the application does not know, on a page for everybody",
        make: |_, _| with_cookie("GET /quiet"),
        status: 200,
    },
    Forgery {
        what: "a logout with a cookie that the application does not know",
        make: |_, _| request("POST /.anteroom/logout", &format!("{OWN}sid={}", random::<16>()), ""),
        status: 401,
    },
];

fn with_cookie(line: &str) -> String {
    request(line, &format!("cookie: sid={}", random::<16>()), "")
}

async fn open(gate: &Served) -> Raw {
    Raw::over(connect(gate.https, tls(&gate.files.ca, &[b"http/1.1"]), HOST).await.unwrap())
}

/// Sends so many of each, over few connections, and looks that each is answered as it should.
async fn send(gate: &Arc<Served>, forgeries: &'static [Forgery], from: usize, each: usize) {
    let mut sending = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let gate = Arc::clone(gate);
        sending.spawn(async move {
            let mut raw = open(&gate).await;
            for forgery in forgeries {
                let numbers: Vec<usize> = (from..from + each).skip(connection).step_by(CONNECTIONS).collect();
                for some in numbers.chunks(AT_ONCE) {
                    let requests: String = some.iter().map(|number| (forgery.make)(&gate, *number)).collect();
                    assert!(raw.send(requests).await, "{}", forgery.what);
                    for _ in some {
                        let answer = raw.answer().await.expect("the connection is kept");
                        assert_eq!(answer.status(), forgery.status, "{}: {}", forgery.what, answer.head);
                    }
                }
            }
        });
    }
    sending.join_all().await;
}

fn sessions(gate: &Served) -> f64 {
    metric(gate.health, "anteroom_sessions", &[])
}

/// Nothing of what came has begun or ended anything.
fn nothing_is_kept(gate: &Served) {
    for name in ["sessions", "revocations", "streams", "sessions_ended_total", "sessions_refused_total"] {
        assert_eq!(metric(gate.health, &format!("anteroom_{name}"), &[]), 0.0, "{name}");
    }
}

/// Sends so many of all kinds, and looks what the gate has made of them.
async fn flood(gate: &Arc<Served>, forgeries: &'static [Forgery], number: usize) {
    let each = number / forgeries.len();
    // What a gate takes once, for whoever comes, is taken before.
    send(gate, forgeries, 0, 200).await;
    let before = gate.process.peak();
    send(gate, forgeries, 200, each).await;
    let grown = gate.process.peak().saturating_sub(before) / (1024 * 1024);
    assert!(grown <= GROWN, "{} of each: {grown} MiB more", each);
    nothing_is_kept(gate);
}

/// How many of the million, or whatever is asked for, a gate gets that has so many of all kinds.
fn share(kinds: usize) -> usize {
    let all = std::env::var("ANTEROOM_FORGED").map_or(NUMBER, |number| number.parse().unwrap());
    all * kinds / (FORGERIES.len() + UNKNOWN.len())
}

fn setup(setup: Setup, app: &str, session: &str) -> Setup {
    let limits = "{ per_address: { rate: 1000000/s, burst: 1000000 }, \
                  refused_per_address: { rate: 1000000/s, burst: 1000000 } }";
    Setup {
        limits: limits.to_owned(),
        app: format!(", session: {{ cookies: [sid]{app} }}"),
        log: "error".to_owned(),
        more: format!(
            "client_address: {{ header: {{ name: x-forwarded-for, sent_by: [127.0.0.1] }} }}\n\
             session: {{ idle: 15m{session} }}\n"
        ),
        ..setup
    }
}

#[tokio::test]
async fn no_session_begins_or_ends_by_a_forged_one_and_memory_stays_within_a_bound() {
    let op = Op::start();
    let logout = ", backchannel_logout: { clinic: { audience: [client-7] } }";
    let gate = Arc::new(Served::start(setup(op.setup(""), "", logout), App::plain()));
    flood(&gate, &FORGERIES, share(FORGERIES.len())).await;
    // A good one begins a session, and an unknown cookie beside it none.
    let claims = json!({ "sid": "s-1", "auth_time": gate.files.issuer.now });
    let bearer = format!("authorization: Bearer {}", gate.files.issuer.changed(claims));
    let mut client = open(&gate).await;
    for number in 0..100 {
        let both = format!("{bearer}\r\ncookie: sid=unknown-{number}");
        assert_eq!(client.ask(request("GET /me", &both, "")).await.unwrap().status(), 200);
    }
    assert_eq!(sessions(&gate), 1.0);
}

#[tokio::test]
async fn none_begins_or_ends_by_a_cookie_that_the_application_does_not_know() {
    let whoami = ", whoami: { path: /api/whoami, claims: { subject: id, tenant: clinic } }";
    let app = App::start(|exchange| {
        exchange.read_body();
        match (exchange.seen.target(), exchange.seen.header("cookie")) {
            ("/api/whoami", Some("sid=ada")) => {
                exchange.answer("200 OK", "content-type: application/json\r\n", r#"{"id":"ada.example","clinic":"a"}"#)
            }
            ("/api/whoami", _) => exchange.answer("401 Unauthorized", "", ""),
            _ => exchange.answer("200 OK", "", "ok"),
        }
    });
    let gate = Arc::new(Served::start(setup(Setup::default(), whoami, ""), app));
    flood(&gate, &UNKNOWN, share(UNKNOWN.len())).await;
    let good = request("GET /me", "cookie: sid=ada", "");
    assert_eq!(open(&gate).await.ask(good).await.unwrap().status(), 200);
    assert!(sessions(&gate) > 0.0);
}
