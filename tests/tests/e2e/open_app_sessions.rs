//! What is open in a session of the application: it ends when the application signs its owner out, however it does, when it knows
//! somebody else by that session or gives no answer, and when nobody waited for the answer that said so.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::app::{After, App, Exchange};
use e2e::client::{Client, Protocol};
use e2e::gate::{Gate, Setup};
use e2e::raw::Raw;
use e2e::until;
use serde_json::{Value, json};

use crate::open_again::{manual, passes, were_cut};
use crate::open_streams::Socket;
use crate::session_name;
use crate::websocket::echoes;

/// Who is signed in by which session, and whether the application says so.
#[derive(Clone, Default)]
struct Sessions {
    who: Arc<Mutex<BTreeMap<String, Value>>>,
    fails: Arc<AtomicBool>,
    /// Whether the gate has hung up on the one who waits.
    left: Arc<AtomicBool>,
    /// Whether the slow answer may end.
    ends: Arc<AtomicBool>,
}

fn person(id: &str, roles: &[&str]) -> Value {
    json!({ "user": { "id": id, "clinic": "a", "roles": roles } })
}

impl Sessions {
    fn set(&self, session: &str, who: Value) {
        self.who.lock().unwrap().insert(session.to_owned(), who);
    }

    fn serve(&self, exchange: &mut Exchange) -> After {
        let cookies = exchange.seen.header("cookie").unwrap_or_default().to_owned();
        let own = cookies.split("; ").find_map(|pair| pair.strip_prefix("sid=")).unwrap_or_default().to_owned();
        if exchange.seen.header("upgrade") == Some("websocket") {
            return echoes(exchange, b"");
        }
        exchange.read_body();
        match exchange.seen.target() {
            "/api/whoami" if self.fails.load(Ordering::Acquire) => exchange.answer("500 No", "", ""),
            "/api/whoami" => match self.who.lock().unwrap().get(&own) {
                Some(who) => exchange.answer("200 OK", "content-type: application/json\r\n", &who.to_string()),
                None => exchange.answer("401 Unauthorized", "", ""),
            },
            "/open/logout" => {
                self.who.lock().unwrap().remove(&own);
                exchange.answer("200 OK", "set-cookie: sid=; Max-Age=0; Path=/\r\n", "")
            }
            "/open/silently" => {
                self.who.lock().unwrap().remove(&own);
                exchange.answer("200 OK", "", "")
            }
            "/open/last" => {
                self.who.lock().unwrap().remove(&own);
                let head =
                    "HTTP/1.1 200 OK\r\nset-cookie: sid=; Max-Age=0; Path=/\r\ntransfer-encoding: chunked\r\n\r\n";
                exchange.send(format!("{head}4\r\ngood\r\n"));
                until("the end", || self.ends.load(Ordering::Acquire).then_some(()));
                exchange.send("3\r\nbye\r\n0\r\n\r\n");
                After::Keep
            }
            "/open/slowly" => {
                self.who.lock().unwrap().remove(&own);
                self.left.store(exchange.until_closed(), Ordering::Release);
                After::Close
            }
            _ => exchange.answer("200 OK", "", "ok"),
        }
    }
}

const SESSION: &str = ", session: { cookies: [sid], whoami: { path: /api/whoami, \
                       claims: { subject: /user/id, tenant: /user/clinic, roles: /user/roles } } }";

fn gate() -> (Gate, Sessions) {
    let sessions = Sessions::default();
    sessions.set("s-ada", person("ada.example", &["provider"]));
    sessions.set("s-eve", person("eve.example", &["provider"]));
    let served = sessions.clone();
    let app = App::start(move |exchange| served.serve(exchange));
    (Gate::start(Setup { app: SESSION.to_owned(), clock: manual().0, ..Setup::default() }, app), sessions)
}

async fn open(gate: &Gate, path: &str, session: &str) -> Socket {
    Socket::open_with(gate, path, &format!("cookie: sid={session}\r\norigin: https://clinic.example")).await
}

async fn post(gate: &Gate, path: &str, session: &str) {
    let cookie = format!("sid={session}");
    let own = [("cookie", cookie.as_str()), ("origin", "https://clinic.example")];
    assert_eq!(Client::open(gate, Protocol::Http1).await.ask("POST", path, &own).await.status, 200);
}

#[tokio::test]
async fn signing_out_on_a_public_page_ends_what_is_open_however_long_nothing_was_asked() {
    let (gate, sessions) = gate();
    let (mut ada, mut eve) = (open(&gate, "/me", "s-ada").await, open(&gate, "/me", "s-eve").await);
    // What the application said is not known any more, and nobody asks it on a public page.
    sessions.fails.store(true, Ordering::Release);
    passes(&gate, 40).await;
    assert!(ada.lives().await && eve.lives().await);
    post(&gate, "/open/logout", "s-ada").await;
    assert!(ada.ends().await < Duration::from_millis(500));
    assert_eq!(were_cut(&gate, "ended"), 1.0);
    assert!(eve.lives().await, "another's goes on");
}

#[tokio::test]
async fn signing_out_that_leaves_the_cookie_alone_ends_what_is_open() {
    let (gate, _sessions) = gate();
    let (mut ada, mut eve) = (open(&gate, "/me", "s-ada").await, open(&gate, "/me", "s-eve").await);
    passes(&gate, 2).await;
    post(&gate, "/open/silently", "s-ada").await;
    passes(&gate, 2).await;
    ada.ends().await;
    assert_eq!(were_cut(&gate, "ended"), 1.0);
    assert!(eve.lives().await, "another's goes on");
}

#[tokio::test]
async fn what_the_application_knows_of_the_session_counts_for_what_is_open() {
    let (gate, sessions) = gate();
    sessions.set("s-bob", person("bob.example", &["provider"]));
    let mut shut = open(&gate, "/me", "s-ada").await;
    let mut exchanged = open(&gate, "/me", "s-eve").await;
    let mut less = open(&gate, "/api/things/ws", "s-bob").await;
    let mut stays = open(&gate, "/me", "s-bob").await;
    passes(&gate, 20).await;
    sessions.who.lock().unwrap().remove("s-ada");
    sessions.set("s-eve", person("mallory.example", &["provider"]));
    sessions.set("s-bob", person("bob.example", &["front_desk"]));
    passes(&gate, 5).await;
    assert!(shut.lives().await && exchanged.lives().await && less.lives().await, "its word is remembered for a while");
    passes(&gate, 15).await;
    shut.ends().await;
    exchanged.ends().await;
    less.ends().await;
    assert!(stays.lives().await, "what may still be goes on");
    assert_eq!((were_cut(&gate, "ended"), were_cut(&gate, "policy")), (2.0, 1.0));
    // It is asked as often as it is remembered, whatever is open, and no more.
    let asked = || gate.app.seen().iter().filter(|seen| seen.target() == "/api/whoami").count();
    let before = asked();
    let _second = open(&gate, "/me", "s-bob").await;
    passes(&gate, 28).await;
    passes(&gate, 4).await;
    assert_eq!(asked(), before + 1);
}

#[tokio::test]
async fn an_application_that_gives_no_answer_ends_what_is_open_after_a_minute() {
    let (gate, sessions) = gate();
    let mut socket = open(&gate, "/me", "s-ada").await;
    passes(&gate, 2).await;
    sessions.fails.store(true, Ordering::Release);
    passes(&gate, 80).await;
    assert!(socket.lives().await);
    passes(&gate, 12).await;
    socket.ends().await;
    assert_eq!(were_cut(&gate, "app"), 1.0);
}

#[tokio::test]
async fn the_name_in_the_record_ends_one_of_a_persons_sessions() {
    let (gate, sessions) = gate();
    sessions.set("s-ada-2", person("ada.example", &["provider"]));
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let mut ask = async |session: &str| client.ask("GET", "/me", &[("cookie", &format!("sid={session}"))]).await;
    let mut names = Vec::new();
    for session in ["s-ada", "s-ada", "s-ada-2"] {
        names.push(session_name::name_of(&gate, &ask(session).await));
    }
    assert!(names[0] == names[1] && names[1] != names[2], "{names:?}");
    let (mut one, mut other) = (open(&gate, "/me", "s-ada").await, open(&gate, "/me", "s-ada-2").await);
    let said = session_name::end(&gate, &names[0]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(one.ends().await < Duration::from_secs(1));
    assert_eq!(were_cut(&gate, "revoked"), 1.0);
    assert_eq!(ask("s-ada").await.code(), "SESSION_ENDED");
    assert_eq!(ask("s-ada-2").await.status, 200);
    assert!(other.lives().await);
}

#[tokio::test]
async fn whoever_hangs_up_after_signing_out_is_signed_out() {
    let (gate, sessions) = gate();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let own = [("cookie", "sid=s-ada")];
    assert_eq!(client.ask("GET", "/me", &own).await.status, 200);
    let mut raw = Raw::open(&gate).await;
    raw.send(
        "POST /open/slowly HTTP/1.1\r\nhost: clinic.example\r\ncookie: sid=s-ada\r\norigin: https://clinic.example\r\n\
         content-length: 0\r\n\r\n",
    )
    .await;
    until("the sign-out", || (gate.app.last().target() == "/open/slowly").then_some(()));
    drop(raw);
    until("the gate to hang up", || sessions.left.load(Ordering::Acquire).then_some(()));
    assert_eq!(client.ask("GET", "/me", &own).await.code(), "NO_CREDENTIAL");
}

#[tokio::test]
async fn the_answer_that_signs_out_arrives_however_slowly() {
    let (gate, sessions) = gate();
    let mut socket = open(&gate, "/me", "s-ada").await;
    let own = [("cookie", "sid=s-ada"), ("origin", "https://clinic.example")];
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let last = tokio::spawn(async move { client.ask("POST", "/open/last", &own).await });
    assert!(socket.ends().await < Duration::from_secs(1));
    passes(&gate, 4).await;
    sessions.ends.store(true, Ordering::Release);
    assert_eq!(e2e::soon("the answer", last).await.unwrap().text(), "goodbye");
    assert_eq!(were_cut(&gate, "ended"), 1.0);
}
