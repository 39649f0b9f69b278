//! What is open when a session or credential ends: WebSockets, streams of events and long polls are cut, and a change of the
//! policy decides them again.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anteroom::clock::Clock;
use e2e::app::{After, App};
use e2e::client::{Client, Protocol};
use e2e::gate::{Gate, POLICY, Setup};
use e2e::raw::Raw;
use e2e::{soon, until};
use http_body_util::BodyExt as _;

use crate::sessions::token;
use crate::websocket::{echoes, masked, plain};

/// Echoes frames of WebSockets, streams events without an end, keeps a poll waiting, and answers the rest.
pub(crate) fn app() -> App {
    App::start(|exchange| {
        if exchange.seen.header("upgrade") == Some("websocket") {
            return echoes(exchange, b"");
        }
        if ["events", "labs"].iter().any(|end| exchange.seen.target().ends_with(end)) {
            exchange.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
            while exchange.send("8\r\ndata: 1\n\r\n") {
                std::thread::sleep(Duration::from_millis(20));
            }
            return After::Close;
        }
        if exchange.seen.target().ends_with("poll") {
            exchange.until_closed();
            return After::Close;
        }
        exchange.read_body();
        exchange.answer("200 OK", "", "ok")
    })
}

pub(crate) fn gate(more: &str) -> (Gate, u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let setup = Setup { more: more.to_owned(), clock: Clock::manual(now * 1_000), ..Setup::default() };
    (Gate::start(setup, app()), now)
}

/// A WebSocket that carries frames.
pub(crate) struct Socket(Raw);

impl Socket {
    pub(crate) async fn open(gate: &Gate, path: &str, token: &str) -> Self {
        Self::open_with(gate, path, &format!("authorization: Bearer {token}")).await
    }

    /// With this credential.
    pub(crate) async fn open_with(gate: &Gate, path: &str, credential: &str) -> Self {
        let mut raw = Raw::open(gate).await;
        let asked = format!(
            "GET {path} HTTP/1.1\r\nhost: clinic.example\r\n{credential}\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let answer = raw.ask(asked).await.unwrap();
        assert_eq!(answer.status(), 101, "{}", answer.head);
        let mut socket = Self(raw);
        assert!(socket.lives().await);
        socket
    }

    pub(crate) async fn lives(&mut self) -> bool {
        self.0.send(masked(b"ping")).await && self.0.bytes(6).await == plain(b"ping")
    }

    /// Waits for its end.
    pub(crate) async fn ends(&mut self) -> Duration {
        let began = Instant::now();
        assert_eq!(self.0.bytes(1).await, b"", "nothing more is said");
        began.elapsed()
    }
}

/// A stream of events that has begun.
struct Events(hyper::body::Incoming);

impl Events {
    async fn open(gate: &Gate, path: &str, token: &str, protocol: Protocol) -> Self {
        let mut client = Client::open(gate, protocol).await;
        let request = client.request("GET", path).header("authorization", format!("Bearer {token}"));
        let head = client.head(request.body(e2e::client::body("")).unwrap()).await.unwrap();
        assert_eq!(head.status(), 200);
        let mut body = head.into_body();
        assert!(soon("an event", body.frame()).await.unwrap().is_ok());
        // The connection ends with its sender.
        tokio::spawn(async move {
            tokio::time::sleep(e2e::PATIENCE).await;
            drop(client);
        });
        Self(body)
    }

    /// Waits for its end, which is a broken one.
    async fn ends(&mut self) -> Duration {
        let began = Instant::now();
        let broken = async {
            loop {
                match self.0.frame().await {
                    Some(Ok(_)) => {}
                    Some(Err(_)) => return true,
                    None => return false,
                }
            }
        };
        assert!(soon("the end of the events", broken).await, "it does not look whole");
        began.elapsed()
    }

    async fn lives(&mut self) -> bool {
        for _ in 0..30 {
            if !matches!(soon("an event", self.0.frame()).await, Some(Ok(_))) {
                return false;
            }
        }
        true
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// Waits until so many are open, and lets the test's other tasks run.
async fn are_open(gate: &Gate, number: f64) {
    let waiting = async {
        while gate.metric("anteroom_streams", &[]) != number {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("all to be open", waiting).await;
}

#[tokio::test]
async fn what_is_open_dies_within_a_second_of_logging_out() {
    let (gate, now) = gate("session: { idle: 15m }\n");
    let (mine, other) = (token(&gate, "s-1", now, "t-1"), token(&gate, "s-2", now, "t-2"));
    let mut socket = Socket::open(&gate, "/me", &mine).await;
    let mut spared = Socket::open(&gate, "/me", &other).await;
    let mut events = [
        Events::open(&gate, "/api/things/events", &mine, Protocol::Http1).await,
        Events::open(&gate, "/api/things/events", &mine, Protocol::Http2).await,
        // A page for everyone shows what is the caller's as well.
        Events::open(&gate, "/open/events", &mine, Protocol::Http2).await,
    ];
    let polling = tokio::spawn({
        let (mut client, token) = (Client::open(&gate, Protocol::Http2).await, mine.clone());
        async move { client.get("/api/things/poll", &token).await }
    });
    are_open(&gate, 6.0).await;
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let bearer = format!("Bearer {}", token(&gate, "s-1", now, "t-9"));
    assert_eq!(client.ask("POST", "/.anteroom/logout", &[("authorization", &bearer)]).await.status, 204);
    let began = Instant::now();
    assert!(socket.ends().await < SECOND);
    for events in &mut events {
        assert!(events.ends().await < SECOND);
    }
    let poll = soon("the poll", polling).await.unwrap();
    assert_eq!((poll.status.as_u16(), poll.code().as_str()), (401, "SESSION_ENDED"));
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert!(spared.lives().await, "another session goes on");
    are_open(&gate, 1.0).await;
    assert_eq!(gate.metric("anteroom_streams_cut_total", &[("reason", "ended")]), 5.0);
}

#[tokio::test]
async fn what_is_open_ends_with_the_token_the_idle_time_and_a_revocation() {
    for (more, seconds, reason) in [
        ("", 3_631, "credential"),
        ("session: { idle: 15m }\n", 900, "idle"),
        ("session: { absolute: 20m }\n", 1_200, "absolute"),
    ] {
        let (gate, now) = gate(more);
        let token = token(&gate, "s-1", now, "t-1");
        let mut socket = Socket::open(&gate, "/me", &token).await;
        let mut events = Events::open(&gate, "/api/things/events", &token, Protocol::Http2).await;
        gate.clock().advance(Duration::from_secs(seconds - 5));
        assert!(events.lives().await && socket.lives().await, "{reason}");
        gate.clock().advance(Duration::from_secs(6));
        assert!(socket.ends().await < SECOND && events.ends().await < SECOND, "{reason}");
        assert_eq!(gate.metric("anteroom_streams_cut_total", &[("reason", reason)]), 2.0);
    }
    let (gate, now) = gate("");
    let token = token(&gate, "s-1", now, "t-1");
    let mut socket = Socket::open(&gate, "/me", &token).await;
    let said = e2e::process::run(
        gate.files.root(),
        &["revoke", "--control", "control.sock", "--issuer", "https://issuer.example/", "--subject", "ada.example"],
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(socket.ends().await < SECOND);
    assert_eq!(gate.metric("anteroom_streams_cut_total", &[("reason", "revoked")]), 1.0);
}

#[tokio::test]
async fn another_policy_decides_what_is_open_again() {
    let (gate, now) = gate("");
    let ada = token(&gate, "s-1", now, "t-1");
    let mut kept = Socket::open(&gate, "/me", &ada).await;
    let mut events = Events::open(&gate, "/api/clinics/a/labs", &ada, Protocol::Http2).await;
    let mut gone = Events::open(&gate, "/api/things/events", &ada, Protocol::Http2).await;
    let swap = |policy: &str, done: f64| {
        gate.files.put("policies/policy.yaml", policy);
        gate.running.as_ref().unwrap().reloads().ask();
        until("the policy to be swapped", || {
            (gate.metric("anteroom_reload_total", &[("result", "done")]) >= done).then_some(())
        });
    };
    // The same in other words: everything goes on.
    swap(&format!("{POLICY}\n# nothing else\n"), 1.0);
    assert!(kept.lives().await && events.lives().await && gone.lives().await);
    // `things` is for nobody who is a provider any more.
    let narrow = POLICY.replace("methods: { \"*\": labs.read } }", "methods: { \"*\": rx.sign } }");
    let narrow = narrow
        .replace("labs.read: tenant, rx.sign: tenant }", "labs.read: tenant } }\n  signer: { can: { rx.sign: tenant }");
    assert_ne!(narrow, POLICY);
    swap(&narrow, 2.0);
    assert!(gone.ends().await < 2 * SECOND);
    assert!(kept.lives().await && events.lives().await, "what may still be goes on");
    assert_eq!(gate.metric("anteroom_streams_cut_total", &[("reason", "policy")]), 1.0);
    // Idle time that is demanded from now on counts for what is open already.
    swap(&narrow.replace("path: /me, methods", "path: /me, session: { absolute: 1h }, methods"), 3.0);
    assert!(kept.lives().await);
}
