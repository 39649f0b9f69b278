//! The application's own login, vouched for by the application itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anteroom::clock::Clock;
use e2e::app::{After, App, Exchange};
use e2e::client::{Answer, BOTH, Client, Protocol};
use e2e::gate::{Gate, Setup};
use serde_json::{Value, json};

/// Who is signed in by which session.
type Sessions = Arc<Mutex<BTreeMap<String, Value>>>;

const ADA: &str = r#"{"user":{"id":"ada.example","clinic":"a","roles":["provider"],"npi":"17"}}"#;

fn sessions() -> Sessions {
    Arc::new(Mutex::new(BTreeMap::from([
        ("s-ada".to_owned(), serde_json::from_str(ADA).unwrap()),
        ("s-7".to_owned(), json!({ "user": { "id": 7, "clinic": "a", "roles": "front_desk" } })),
        ("s-none".to_owned(), json!({ "user": null })),
        ("s-null".to_owned(), Value::Null),
    ])))
}

fn session(exchange: &Exchange) -> Option<String> {
    let cookies = exchange.seen.header("cookie")?.to_owned();
    cookies.split("; ").find_map(|pair| pair.strip_prefix("sid=").map(str::to_owned))
}

/// An application with sessions, a whoami, and a sign-out that drops the session.
fn app(sessions: &Sessions) -> App {
    let sessions = Arc::clone(sessions);
    App::start(move |exchange| {
        exchange.read_body();
        if exchange.seen.target() == "/me?wait" {
            exchange.until_closed();
            return After::Close;
        }
        let own = session(exchange);
        let mut sessions = sessions.lock().unwrap();
        match exchange.seen.target().to_owned().as_str() {
            "/api/whoami" => match own.and_then(|own| sessions.get(&own).cloned()) {
                Some(who) => exchange.answer("200 OK", "content-type: application/json\r\n", &who.to_string()),
                None => exchange.answer("401 Unauthorized", "", ""),
            },
            "/open/logout" => {
                sessions.remove(&own.unwrap_or_default());
                exchange.answer("200 OK", "set-cookie: sid=; Max-Age=0; Path=/\r\n", "")
            }
            "/open/silently" => {
                sessions.remove(&own.unwrap_or_default());
                exchange.answer("200 OK", "", "")
            }
            "/open/login" => {
                sessions.insert(own.unwrap_or_default(), serde_json::from_str(ADA).unwrap());
                exchange.answer("200 OK", "", "")
            }
            _ => exchange.answer("200 OK", "", "ok"),
        }
    })
}

const SESSION: &str = ", session: { cookies: [sid], whoami: { path: /api/whoami, \
                       claims: { subject: /user/id, tenant: /user/clinic, roles: /user/roles, npi: /user/npi } } }";

fn gate(app: App) -> Gate {
    Gate::start(Setup { app: SESSION.to_owned(), ..Setup::default() }, app)
}

async fn with(client: &mut Client, path: &str, cookie: &str) -> Answer {
    client.ask("GET", path, &[("cookie", cookie)]).await
}

fn questions(gate: &Gate) -> usize {
    gate.app.seen().iter().filter(|seen| seen.target() == "/api/whoami").count()
}

#[tokio::test]
async fn whom_the_application_knows_is_known() {
    let gate = gate(app(&sessions()));
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let answer = with(&mut client, "/me", "theme=dark; sid=s-ada").await;
        assert_eq!(answer.status, 200, "{protocol:?}");
        let seen = gate.app.last();
        let told = ["x-user-id", "x-tenant-id", "x-user-roles", "cookie"].map(|name| seen.header(name));
        assert_eq!(told, ["ada.example", "a", "provider", "theme=dark; sid=s-ada"].map(Some));
        let event = gate.files.event(answer.id());
        assert_eq!(event["actor"]["iss"], "app:clinic.example");
        assert_eq!((&event["actor"]["sub"], &event["tenant"]), (&json!("ada.example"), &json!("a")));
        assert_eq!(event["actor"].get("factors"), None, "its login proves no factors");
    }
    assert_eq!(questions(&gate), 1, "it is asked once, whatever the worker");
    let asked = gate.app.seen().into_iter().find(|seen| seen.target() == "/api/whoami").unwrap();
    assert_eq!(asked.line(), "GET /api/whoami HTTP/1.1");
    let mut names: Vec<&str> = asked.headers().into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["accept", "accept-encoding", "cookie", "host", "user-agent", "x-forwarded-host", "x-forwarded-proto"],
        "nothing of the request but its cookie"
    );
    assert_eq!((asked.header("cookie"), asked.header("host")), (Some("sid=s-ada"), Some("clinic.example")));
    // What it says goes into roles, conditions and tenants as of a token.
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let own = [("cookie", "sid=s-ada"), ("origin", "https://clinic.example")];
    assert_eq!(client.ask("POST", "/api/rx/1/sign", &own).await.status, 200);
    assert_eq!(with(&mut client, "/api/patients/p1/records/1", "sid=s-7").await.status, 200);
    let denied = client.ask("POST", "/api/patients/p1/records/1", &[("cookie", "sid=s-7"), own[1]]).await;
    assert_eq!(denied.code(), "NOT_GRANTED");
    let elsewhere = [("cookie", "sid=s-7"), ("x-clinic", "b")];
    assert_eq!(client.ask("GET", "/api/patients/p1/records/1", &elsewhere).await.code(), "TENANT_MISMATCH");
    // A browser sends the cookie whoever's page asks.
    let crossing = [("cookie", "sid=s-ada"), ("origin", "https://evil.example")];
    assert_eq!(client.ask("POST", "/me", &crossing).await.code(), "CROSS_SITE");
}

#[tokio::test]
async fn whom_it_does_not_know_is_nobody() {
    let gate = gate(app(&sessions()));
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for cookie in ["sid=unknown", "sid=s-none", "sid=s-null", "sid=", "theme=dark", "SID=s-ada"] {
        let answer = with(&mut client, "/me", cookie).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "NO_CREDENTIAL"), "{cookie}");
        assert_eq!(with(&mut client, "/open/x", cookie).await.status, 200, "{cookie}");
        assert_eq!(gate.app.last().header("x-user-id"), None);
    }
    let twice = with(&mut client, "/me", "sid=s-ada; sid=s-7").await;
    assert_eq!((twice.status.as_u16(), twice.code().as_str()), (401, "TOKEN_INVALID"));
    let away = "sid=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax";
    assert!(twice.headers.get_all("set-cookie").iter().any(|line| line == away), "the browser lets go of both");
    for status in ["302 Found\r\nlocation: /login", "403 Forbidden", "401 Unauthorized", "303 See Other\r\nlocation: /"]
    {
        gate.app.follow(move |exchange| exchange.answer(status, "", ""));
        let answer = with(&mut client, "/me", &format!("sid={}", status.len())).await;
        assert_eq!(answer.code(), "NO_CREDENTIAL", "{status}");
    }
}

#[tokio::test]
async fn what_is_no_answer_lets_nobody_in() {
    let gate = gate(App::plain());
    let json = "content-type: application/json\r\n";
    let cases: Vec<(&str, String, String)> = vec![
        ("500 Internal Server Error", json.to_owned(), ADA.to_owned()),
        ("404 Not Found", json.to_owned(), ADA.to_owned()),
        ("201 Created", json.to_owned(), ADA.to_owned()),
        ("304 Not Modified", String::new(), String::new()),
        ("200 OK", String::new(), ADA.to_owned()),
        ("200 OK", "content-type: text/html\r\n".to_owned(), ADA.to_owned()),
        ("200 OK", format!("{json}content-encoding: gzip\r\n"), ADA.to_owned()),
        ("200 OK", format!("{json}{json}"), ADA.to_owned()),
        ("200 OK", json.to_owned(), format!("{ADA}x")),
        ("200 OK", json.to_owned(), format!("[{ADA}]")),
        ("200 OK", json.to_owned(), r#"{"user":{"id":"ada.example","id":"eve.example","clinic":"a"}}"#.to_owned()),
        ("200 OK", json.to_owned(), r#"{"user":{"id":["ada.example"],"clinic":"a"}}"#.to_owned()),
        ("200 OK", json.to_owned(), format!("{}{}", " ".repeat(65 * 1024), ADA)),
        ("200 OK", json.to_owned(), format!(r#"{{"a":{}1{}}}"#, "[".repeat(40), "]".repeat(40))),
    ];
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for (number, (status, headers, body)) in cases.into_iter().enumerate() {
        let case = format!("{status} {headers} {:.60}", body.trim());
        gate.app.follow(move |exchange| {
            if exchange.seen.target() == "/api/whoami" {
                exchange.answer(status, &headers, &body)
            } else {
                exchange.answer("200 OK", "", "ok")
            }
        });
        let answer = with(&mut client, "/me", &format!("sid=n{number}")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "PROVIDER_DOWN"), "{case}");
        assert_eq!(gate.app.last().target(), "/api/whoami", "{case}");
        // It is not remembered, and on a public page the caller is nobody.
        assert_eq!(with(&mut client, "/open/x", &format!("sid=n{number}")).await.status, 200, "{case}");
        assert_eq!(gate.app.last().header("x-user-id"), None, "{case}");
    }
    gate.app.follow(|_| After::Close);
    assert_eq!(with(&mut client, "/me", "sid=s-ada").await.code(), "PROVIDER_DOWN", "it hangs up");
    gate.app.follow(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{");
        After::Close
    });
    assert_eq!(with(&mut client, "/me", "sid=s-ada").await.code(), "PROVIDER_DOWN", "half an answer");
}

#[tokio::test]
async fn signing_out_at_the_application_ends_it_at_once() {
    let sessions = sessions();
    let gate = gate(app(&sessions));
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let mut other = Client::open(&gate, Protocol::Http2).await;
    assert_eq!(with(&mut client, "/me", "sid=s-ada").await.status, 200);
    assert_eq!(with(&mut client, "/open/logout", "sid=s-ada").await.status, 200);
    for client in [&mut client, &mut other] {
        assert_eq!(with(client, "/me", "sid=s-ada").await.code(), "NO_CREDENTIAL", "a copy of the cookie too");
    }
    // A sign-in that keeps the cookie counts at once, and so does a sign-out that does not take it back.
    let own = [("cookie", "sid=s-ada"), ("origin", "https://clinic.example")];
    assert_eq!(client.ask("POST", "/open/login", &own).await.status, 200);
    assert_eq!(with(&mut client, "/me", "sid=s-ada").await.status, 200);
    assert_eq!(client.ask("POST", "/open/silently", &own).await.status, 200);
    assert_eq!(with(&mut client, "/me", "sid=s-ada").await.code(), "NO_CREDENTIAL");
}

#[tokio::test]
async fn signing_out_at_the_application_cuts_what_is_open_and_nothing_of_others() {
    let sessions = sessions();
    sessions.lock().unwrap().insert("s-eve".to_owned(), json!({ "user": { "id": "eve.example", "clinic": "a" } }));
    let gate = gate(app(&sessions));
    let mut waits = Vec::new();
    for cookie in ["sid=s-ada", "sid=s-eve"] {
        let mut client = Client::open(&gate, Protocol::Http2).await;
        waits.push(tokio::spawn(async move { with(&mut client, "/me?wait", cookie).await.code() }));
    }
    let both = async {
        while gate.metric("anteroom_streams", &[]) != 2.0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    e2e::soon("both to be open", both).await;
    let mut client = Client::open(&gate, Protocol::Http1).await;
    assert_eq!(with(&mut client, "/open/logout", "sid=s-ada").await.status, 200, "the answer itself arrives");
    let (ada, eve) = (waits.remove(0), waits.remove(0));
    assert_eq!(e2e::soon("the end of hers", ada).await.unwrap(), "SESSION_ENDED");
    assert!(!eve.is_finished(), "another's goes on");
    eve.abort();
}

#[tokio::test]
async fn an_answer_is_remembered_for_its_time() {
    let sessions = sessions();
    let now = e2e::issuer::Issuer::new().now;
    let setup = Setup { app: SESSION.to_owned(), clock: Clock::manual(now * 1_000), ..Setup::default() };
    let gate = Gate::start(setup, app(&sessions));
    let mut client = Client::open(&gate, Protocol::Http1).await;
    with(&mut client, "/me", "sid=s-ada").await;
    sessions.lock().unwrap().clear();
    gate.clock().advance(Duration::from_secs(29));
    assert_eq!((with(&mut client, "/me", "sid=s-ada").await.status.as_u16(), questions(&gate)), (200, 1));
    gate.clock().advance(Duration::from_secs(1));
    assert_eq!((with(&mut client, "/me", "sid=s-ada").await.code().as_str(), questions(&gate)), ("NO_CREDENTIAL", 2));
    assert_eq!((with(&mut client, "/me", "sid=s-ada").await.code().as_str(), questions(&gate)), ("NO_CREDENTIAL", 2));
    gate.clock().advance(Duration::from_secs(5));
    with(&mut client, "/me", "sid=s-ada").await;
    assert_eq!(questions(&gate), 3, "that it is nobody is believed for five seconds");
}

#[tokio::test]
async fn a_crowd_asks_once_and_whoever_hangs_up_takes_nothing_away() {
    let (sessions, gone) = (sessions(), std::sync::mpsc::channel::<()>());
    let (go, wait) = (gone.0, Mutex::new(gone.1));
    let gate = gate(app(&sessions));
    gate.app.follow(move |exchange| {
        if exchange.seen.target() == "/api/whoami" {
            wait.lock().unwrap().recv().unwrap();
            return exchange.answer("200 OK", "content-type: application/json\r\n", ADA);
        }
        exchange.answer("200 OK", "", "ok")
    });
    let mut first = Client::open(&gate, Protocol::Http1).await;
    {
        let mut asking = std::pin::pin!(with(&mut first, "/me", "sid=s-ada"));
        let early = tokio::time::timeout(Duration::from_millis(200), &mut asking).await;
        assert!(early.is_err(), "the application has not answered yet");
    }
    drop(first);
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..20 {
        let mut client = Client::open(&gate, BOTH[number % 2]).await;
        crowd.spawn(async move { with(&mut client, "/me", "sid=s-ada").await.status.as_u16() });
    }
    go.send(()).unwrap();
    let answers = e2e::soon("the crowd", crowd.join_all()).await;
    assert_eq!((answers, questions(&gate)), (vec![200; 20], 1));
}

#[tokio::test]
async fn a_busy_page_goes_on_and_no_sign_out_is_overtaken() {
    let (say, said) = std::sync::mpsc::channel::<bool>();
    let said = Mutex::new(said);
    let gate = gate(App::start(move |exchange| {
        exchange.read_body();
        if exchange.seen.target() != "/api/whoami" {
            return exchange.answer("200 OK", "", "ok");
        }
        match said.lock().unwrap().recv().unwrap() {
            true => exchange.answer("200 OK", "content-type: application/json\r\n", ADA),
            false => exchange.answer("401 Unauthorized", "", ""),
        }
    }));
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(Client::open(&gate, Protocol::Http2).await);
    }
    let me = |mut client: Client| tokio::spawn(async move { with(&mut client, "/me", "sid=s-ada").await });
    let first = me(clients.remove(0));
    let asked = async {
        while questions(&gate) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    e2e::soon("the question", asked).await;
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let own = [("cookie", "sid=s-ada"), ("origin", "https://clinic.example")];
    assert_eq!(client.ask("POST", "/open/x", &own).await.status, 200);
    let second = me(clients.remove(0));
    say.send(true).unwrap();
    assert_eq!(e2e::soon("the first", first).await.unwrap().status, 200, "true of a moment after it was asked");
    // Whoever asks behind what may have signed her out does not believe the word to an older question.
    say.send(false).unwrap();
    assert_eq!(e2e::soon("the second", second).await.unwrap().code(), "NO_CREDENTIAL");
    assert_eq!(questions(&gate), 2);
}

#[tokio::test]
async fn a_token_goes_before_it_and_keeps_the_cookie_out() {
    let gate = gate(app(&sessions()));
    let token = gate.issuer().token("eve.example", "a", &["front_desk"]);
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let bearer = format!("Bearer {token}");
    let both = [("authorization", bearer.as_str()), ("cookie", "sid=s-ada")];
    assert_eq!(client.ask("GET", "/me", &both).await.status, 200);
    let seen = gate.app.last();
    assert_eq!((seen.header("x-user-id"), seen.header("cookie")), (Some("eve.example"), None));
    assert_eq!(questions(&gate), 0);
    // A bad token is not made good by a session.
    let forged = format!("Bearer {}", gate.issuer().forged());
    let both = [("authorization", forged.as_str()), ("cookie", "sid=s-ada")];
    assert_eq!(client.ask("GET", "/me", &both).await.code(), "TOKEN_INVALID");
    assert_eq!(questions(&gate), 0);
}

#[tokio::test]
async fn an_address_that_has_used_up_its_refusals_makes_the_application_work_no_more() {
    let limits = "{ refused_per_address: { rate: 1/h, burst: 3 } }".to_owned();
    let gate = Gate::start(Setup { app: SESSION.to_owned(), limits, ..Setup::default() }, app(&sessions()));
    let mut client = Client::open(&gate, Protocol::Http1).await;
    assert_eq!(with(&mut client, "/me", "sid=s-ada").await.status, 200);
    for guess in 0..20 {
        let answer = with(&mut client, "/me", &format!("sid=guess{guess}")).await;
        assert!(answer.status.is_client_error());
    }
    assert!(questions(&gate) <= 5, "{}", questions(&gate));
    // Whoever was known goes on, also when it is time to ask anew.
    let own = [("cookie", "sid=s-ada"), ("origin", "https://clinic.example")];
    assert_eq!(client.ask("POST", "/me", &own).await.status, 200);
    let before = questions(&gate);
    assert_eq!((with(&mut client, "/me", "sid=s-ada").await.status.as_u16(), questions(&gate)), (200, before + 1));
}
