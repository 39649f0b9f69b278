//! Applications that write their session cookie anew in every answer: all its values are one session, with one clock and one end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anteroom::clock::Clock;
use e2e::app::{After, App};
use e2e::client::{Client, Protocol};
use e2e::gate::{Gate, Setup};

const LOGOUT: &str = "/.anteroom/logout";

/// An application that writes `sid=NUMBER.ID` anew in each answer, and believes every value of a session for as long as that lasts.
/// `x-user` signs in on `/open/login`; `x-set` is set as it is.
fn app() -> App {
    let people: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let count = AtomicUsize::new(100);
    App::start(move |exchange| {
        exchange.read_body();
        if exchange.seen.target() == "/me?wait" {
            exchange.until_closed();
            return After::Close;
        }
        let number = count.fetch_add(1, Ordering::AcqRel);
        let cookie = exchange.seen.header("cookie").unwrap_or_default().to_owned();
        let value = |name: &str| {
            cookie.split("; ").find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
        };
        let id = value("sid").and_then(|sid| Some(sid.split_once('.')?.1.to_owned()));
        let mut people = people.lock().unwrap();
        match exchange.seen.target().to_owned().as_str() {
            "/api/whoami" => {
                // Somebody with a cookie that keeps people signed in is known by that alone.
                let by_itself = value("remember").map(|_| "ada.example".to_owned());
                match id.and_then(|id| people.get(&id).cloned()).or(by_itself) {
                    Some(who) => {
                        let text = format!(r#"{{"id":"{who}"}}"#);
                        exchange.answer("200 OK", "content-type: application/json\r\n", &text)
                    }
                    None => exchange.answer("401 Unauthorized", "", ""),
                }
            }
            target => {
                let user = exchange.seen.header("x-user").map(str::to_owned);
                let id = match (target, user) {
                    // Nobody's session goes on under the same number, as in applications that do not exchange it.
                    ("/open/login", Some(user)) => {
                        let id = id.unwrap_or_else(|| format!("i{number}"));
                        people.insert(id.clone(), user);
                        id
                    }
                    ("/open/logout", _) => {
                        people.remove(&id.unwrap_or_default());
                        format!("i{number}")
                    }
                    _ => id.unwrap_or_else(|| format!("i{number}")),
                };
                let set = exchange.seen.header("x-set").map_or(format!("sid={number}.{id}; Path=/"), str::to_owned);
                exchange.answer("200 OK", &format!("set-cookie: {set}\r\n"), "ok")
            }
        }
    })
}

fn gate(sessions: &str, clock: Clock) -> Gate {
    let whoami = "whoami: { path: /api/whoami, claims: { subject: /id }, tenant: a }";
    Gate::start(
        Setup {
            app: format!(", session: {{ cookies: [sid, remember], {whoami} }}"),
            more: format!("session: {{ clear: []{sessions} }}\n"),
            clock,
            ..Setup::default()
        },
        app(),
    )
}

fn still() -> Clock {
    Clock::manual(e2e::issuer::Issuer::new().now * 1_000)
}

/// A browser with the one cookie.
struct Jar {
    client: Client,
    sid: String,
}

impl Jar {
    async fn new(gate: &Gate) -> Self {
        Self { client: Client::open(gate, Protocol::Http1).await, sid: String::new() }
    }

    /// What comes of a request: 200, or the code.
    async fn ask(&mut self, method: &str, path: &str, more: &[(&str, &str)]) -> String {
        let cookie = format!("sid={}", self.sid);
        let mut headers = vec![("origin", "https://clinic.example")];
        if !self.sid.is_empty() {
            headers.push(("cookie", &cookie));
        }
        headers.extend(more);
        let answer = self.client.ask(method, path, &headers).await;
        for line in answer.headers.get_all("set-cookie") {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            self.sid = pair.strip_prefix("sid=").map_or(self.sid.clone(), str::to_owned);
        }
        if answer.status.is_success() { answer.status.as_u16().to_string() } else { answer.code() }
    }

    async fn me(&mut self) -> String {
        self.ask("GET", "/me", &[]).await
    }

    async fn sign_in(&mut self, who: &str) {
        assert_eq!(self.ask("POST", "/open/login", &[("x-user", who)]).await, "200");
    }
}

#[tokio::test]
async fn no_new_value_makes_a_session_last_longer() {
    let gate = gate(", idle: 10m, absolute: 1h", still());
    let mut ada = Jar::new(&gate).await;
    ada.sign_in("ada.example").await;
    for _ in 0..6 {
        assert_eq!(ada.me().await, "200");
        gate.clock().advance(Duration::from_secs(9 * 60));
    }
    // Through pages for everybody and forms, too.
    for (method, path) in [("GET", "/open/x"), ("POST", "/open/x"), ("POST", "/me")] {
        assert_eq!(ada.ask(method, path, &[]).await, "200");
    }
    let kept = ada.sid.clone();
    gate.clock().advance(Duration::from_secs(6 * 60));
    assert_eq!(ada.me().await, "SESSION_ENDED", "it began an hour ago");
    assert_eq!(ada.sid, "", "the browser lets go of it");
    for _ in 0..2 {
        ada.sid.clone_from(&kept);
        assert_eq!(ada.me().await, "SESSION_ENDED");
    }
    // A page for everybody does not see it, so it makes nothing new of it.
    ada.sid = kept;
    ada.ask("POST", "/open/x", &[]).await;
    assert_eq!(gate.app.last().header("cookie"), None);
    // Who signs in again has a new session.
    ada.sign_in("ada.example").await;
    assert_eq!(ada.me().await, "200");
    gate.clock().advance(Duration::from_secs(9 * 60));
    let silent = ada.sid.clone();
    assert_eq!(ada.ask("GET", "/open/x", &[]).await, "200");
    gate.clock().advance(Duration::from_secs(2 * 60));
    assert_eq!(
        ada.me().await,
        "SESSION_ENDED",
        "a page for everybody is no activity, and its new value no new session"
    );
    ada.sid = silent;
    assert_eq!(ada.me().await, "SESSION_ENDED");
}

#[tokio::test]
async fn the_end_of_one_value_is_the_end_of_all() {
    let gate = gate("", Clock::system());
    let (mut ada, mut other) = (Jar::new(&gate).await, Jar::new(&gate).await);
    ada.sign_in("ada.example").await;
    other.sign_in("ada.example").await;
    let mut values = vec![ada.sid.clone()];
    for path in ["/open/x", "/me", "/me", "/open/x", "/me"] {
        assert_eq!(ada.ask("GET", path, &[]).await, "200");
        values.push(ada.sid.clone());
    }
    assert_eq!(other.me().await, "200");
    // One that the application reads like them, and that it never set.
    values.push(format!("7.{}", ada.sid.split_once('.').unwrap().1));
    assert_eq!(ada.ask("POST", LOGOUT, &[]).await, "204");
    let before = gate.app.seen().iter().filter(|seen| seen.target() == "/me").count();
    for value in values {
        ada.sid.clone_from(&value);
        assert_eq!(ada.me().await, "SESSION_ENDED", "{value}");
        ada.sid.clone_from(&value);
        assert_eq!(ada.ask("GET", "/open/x", &[]).await, "200");
        assert_eq!(gate.app.last().header("cookie"), None, "{value}");
    }
    assert_eq!(gate.app.seen().iter().filter(|seen| seen.target() == "/me").count(), before);
    assert_eq!(other.me().await, "200", "another browser of hers goes on");
    ada.sid.clear();
    ada.sign_in("ada.example").await;
    assert_eq!(ada.me().await, "200", "and so does she, signed in again");
}

#[tokio::test]
async fn whoever_signs_in_where_another_one_was_has_a_new_session() {
    let gate = gate(", idle: 10m", still());
    let mut browser = Jar::new(&gate).await;
    for who in ["ada.example", "eve.example", "ada.example", "eve.example"] {
        browser.sign_in(who).await;
        assert_eq!(browser.me().await, "200", "{who}");
        assert_eq!(gate.app.last().header("x-user-id"), Some(who));
        gate.clock().advance(Duration::from_secs(60));
        assert_eq!(browser.ask("POST", "/open/logout", &[]).await, "200");
        // The application says that the new value is nobody's.
        assert_eq!(browser.me().await, "NO_CREDENTIAL");
        gate.clock().advance(Duration::from_secs(20 * 60));
    }
}

#[tokio::test]
async fn an_open_stream_goes_on_while_its_cookie_is_written_anew_and_ends_with_the_session() {
    let gate = gate("", Clock::system());
    let mut ada = Jar::new(&gate).await;
    ada.sign_in("ada.example").await;
    assert_eq!(ada.me().await, "200");
    let mut waits = Jar::new(&gate).await;
    waits.sid.clone_from(&ada.sid);
    let waiting = tokio::spawn(async move { waits.ask("GET", "/me?wait", &[]).await });
    let open = async {
        while gate.metric("anteroom_streams", &[]) != 1.0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    e2e::soon("the stream", open).await;
    for _ in 0..3 {
        assert_eq!(ada.me().await, "200");
    }
    assert!(!waiting.is_finished());
    assert_eq!(ada.ask("POST", LOGOUT, &[]).await, "204");
    assert_eq!(e2e::soon("its end", waiting).await.unwrap(), "SESSION_ENDED");
}

#[tokio::test]
async fn the_first_cookie_alone_says_whose_a_session_is() {
    let gate = gate("", Clock::system());
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for garbage in ["x1", "x2"] {
        let cookie = format!("sid={garbage}; remember=r");
        assert_eq!(client.ask("GET", "/me", &[("cookie", &cookie)]).await.code(), "NO_CREDENTIAL");
        assert_eq!(gate.app.last().header("cookie"), Some(format!("sid={garbage}").as_str()));
    }
    // On a public page the application sees all of them, and exchanges them.
    client.ask("GET", "/open/x", &[("cookie", "sid=x1; remember=r")]).await;
    assert_eq!(gate.app.last().header("cookie"), Some("sid=x1; remember=r"));
}

#[tokio::test]
async fn a_cookie_of_somebody_is_not_washed_by_being_exchanged() {
    let gate = gate("", Clock::system());
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let ada = format!("Bearer {}", gate.issuer().ada());
    let line = |value: &str| format!("{value}; Path=/; HttpOnly; Secure; SameSite=Lax");
    for (own, washed) in [("sid=1.s", "sid=2.s"), ("remember=r", "sid=3.s"), ("sid=1.s", "remember=t")] {
        let (set, anew) = (line(own), line(washed));
        client.ask("GET", "/me", &[("authorization", &ada), ("x-set", &set)]).await;
        // Without the token, on pages for everybody: by itself, and twice over.
        assert_eq!(client.ask("GET", "/open/x", &[("cookie", own), ("x-set", &anew)]).await.status, 200);
        assert_eq!(gate.app.last().header("cookie"), Some(own));
        let twice = format!("{own}; {own}");
        client.ask("GET", "/open/x", &[("cookie", &twice), ("x-set", &anew)]).await;
        assert_eq!(gate.app.last().header("cookie"), None, "{twice}");
        client
            .ask(
                "POST",
                "/open/login",
                &[
                    ("cookie", "sid=9.s"),
                    ("x-user", "ada.example"),
                    ("x-set", "a=b"),
                    ("origin", "https://clinic.example"),
                ],
            )
            .await;
        assert_eq!(client.ask("GET", "/me", &[("cookie", washed)]).await.code(), "NO_CREDENTIAL", "{washed}");
        // Beside her token it is hers, and nobody else's.
        client.ask("GET", "/me", &[("authorization", &ada), ("cookie", washed)]).await;
        assert_eq!(gate.app.last().header("cookie"), Some(washed));
    }
}
