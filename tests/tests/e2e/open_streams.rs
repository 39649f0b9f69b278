//! What is open when a session or credential ends: WebSockets, streams of events and long polls are cut, and a change of the
//! policy decides them again.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anteroom::clock::Clock;
use e2e::app::{After, App};
use e2e::client::{BOTH, Client, Protocol};
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

/// A question that the application does not answer for now.
struct Poll(tokio::task::JoinHandle<(u16, String)>);

impl Poll {
    async fn open(gate: &Gate, token: &str, protocol: Protocol) -> Self {
        let (mut client, token) = (Client::open(gate, protocol).await, token.to_owned());
        Self(tokio::spawn(async move {
            let answer = client.get("/api/things/poll", &token).await;
            (answer.status.as_u16(), answer.code())
        }))
    }

    fn waits(&self) -> bool {
        !self.0.is_finished()
    }

    /// Waits for the answer: its status and its code.
    async fn ends(self) -> (u16, String) {
        soon("the poll", self.0).await.unwrap()
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// One of each kind that can be open with one token: a WebSocket, a stream of events, and a long poll by either protocol.
struct Kinds {
    socket: Socket,
    events: Events,
    polls: Vec<Poll>,
}

impl Kinds {
    async fn open(gate: &Gate, token: &str) -> Self {
        let socket = Socket::open(gate, "/me", token).await;
        let events = Events::open(gate, "/api/things/events", token, Protocol::Http2).await;
        let mut polls = Vec::new();
        for protocol in BOTH {
            polls.push(Poll::open(gate, token, protocol).await);
        }
        are_open(gate, 4.0).await;
        Self { socket, events, polls }
    }

    async fn live(&mut self) -> bool {
        self.events.lives().await && self.socket.lives().await && self.polls.iter().all(Poll::waits)
    }

    /// Waits for the end of each, for this reason; a poll is told it by this code.
    async fn end(mut self, gate: &Gate, reason: &str, code: &str) {
        let began = Instant::now();
        self.socket.ends().await;
        self.events.ends().await;
        for poll in self.polls {
            assert_eq!(poll.ends().await, (401, code.to_owned()), "{reason}");
        }
        assert!(began.elapsed() < SECOND, "{reason}: {:?}", began.elapsed());
        assert_eq!(gate.metric("anteroom_streams_cut_total", &[("reason", reason)]), 4.0);
    }
}

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
    let poll = Poll::open(&gate, &mine, Protocol::Http2).await;
    are_open(&gate, 6.0).await;
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let bearer = format!("Bearer {}", token(&gate, "s-1", now, "t-9"));
    assert_eq!(client.ask("POST", "/.anteroom/logout", &[("authorization", &bearer)]).await.status, 204);
    let began = Instant::now();
    assert!(socket.ends().await < SECOND);
    for events in &mut events {
        assert!(events.ends().await < SECOND);
    }
    assert_eq!(poll.ends().await, (401, "SESSION_ENDED".to_owned()));
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert!(spared.lives().await, "another session goes on");
    are_open(&gate, 1.0).await;
    assert_eq!(gate.metric("anteroom_streams_cut_total", &[("reason", "ended")]), 5.0);
}

#[tokio::test]
async fn what_is_open_ends_with_the_token_the_idle_time_and_a_revocation() {
    for (more, seconds, reason, code) in [
        ("", 3_631, "credential", "TOKEN_EXPIRED"),
        ("session: { idle: 15m }\n", 900, "idle", "SESSION_ENDED"),
        ("session: { absolute: 20m }\n", 1_200, "absolute", "SESSION_ENDED"),
    ] {
        let (gate, now) = gate(more);
        let token = token(&gate, "s-1", now, "t-1");
        let mut open = Kinds::open(&gate, &token).await;
        gate.clock().advance(Duration::from_secs(seconds - 5));
        assert!(open.live().await, "{reason}");
        gate.clock().advance(Duration::from_secs(6));
        open.end(&gate, reason, code).await;
    }
    let (gate, now) = gate("");
    let token = token(&gate, "s-1", now, "t-1");
    let open = Kinds::open(&gate, &token).await;
    let said = e2e::process::run(
        gate.files.root(),
        &["revoke", "--control", "control.sock", "--issuer", "https://issuer.example/", "--subject", "ada.example"],
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    open.end(&gate, "revoked", "SESSION_ENDED").await;
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
    // What is demanded of sessions from now on counts for what is open already, on the route that demands it.
    swap(&narrow.replace("path: /me, methods", "path: /me, session: { absolute: 30m }, methods"), 3.0);
    gate.clock().advance(Duration::from_secs(1_795));
    assert!(events.lives().await && kept.lives().await, "its time is not over");
    gate.clock().advance(Duration::from_secs(6));
    assert!(kept.ends().await < 2 * SECOND);
    assert!(events.lives().await, "another route demands nothing");
    assert_eq!(gate.metric("anteroom_streams_cut_total", &[("reason", "absolute")]), 1.0);
}

#[tokio::test]
async fn idle_time_that_a_configuration_begins_to_demand_counts_for_what_is_open() {
    let (gate, now) = gate("");
    let mut open = Kinds::open(&gate, &token(&gate, "s-1", now, "t-1")).await;
    gate.clock().advance(Duration::from_secs(600));
    let written = std::fs::read_to_string(gate.files.path("config.yaml")).unwrap();
    gate.files.put("config.yaml", &format!("{written}session: {{ idle: 15m }}\n"));
    gate.running.as_ref().unwrap().reloads().ask();
    until("the configuration to be swapped", || {
        (gate.metric("anteroom_reload_total", &[("result", "done")]) == 1.0).then_some(())
    });
    gate.clock().advance(Duration::from_secs(295));
    assert!(open.live().await, "nothing was done for less than 15 minutes");
    gate.clock().advance(Duration::from_secs(6));
    open.end(&gate, "idle", "SESSION_ENDED").await;
}
