//! What the record calls a session: one name for all its events, which tells nobody else anything, and by which whoever runs the
//! gate ends that session and no other.

use std::time::Duration;

use e2e::app::App;
use e2e::client::{Answer, BOTH, Client, HOST, Protocol};
use e2e::gate::{Gate, POLICY, Setup};
use e2e::process::{self, Said, Served};
use e2e::until;
use serde_json::{Value, json};

use crate::open_streams::{Socket, gate as open_gate};
use crate::sessions::{gate, token};

/// What the record calls the session of a request that was answered so.
pub(crate) fn name_of(gate: &Gate, answer: &Answer) -> String {
    name(&gate.files.event(answer.id()))
}

fn name(event: &Value) -> String {
    event["actor"]["session"].as_str().unwrap_or_else(|| panic!("no session in {event}")).to_owned()
}

/// Ends a session by that name.
pub(crate) fn end(gate: &Gate, name: &str) -> Said {
    process::run(gate.files.root(), &["revoke", "--control", "control.sock", "--session", name])
}

#[tokio::test]
async fn all_events_of_a_session_have_one_name_and_those_of_another_have_another() {
    let (gate, now) = gate("session: { idle: 15m }\n", POLICY);
    let mut names = Vec::new();
    for (number, sid) in ["sid-of-one", "sid-of-one", "sid-of-two"].into_iter().enumerate() {
        let token = token(&gate, sid, now, &format!("t-{number}"));
        for protocol in BOTH {
            let mut client = Client::open(&gate, protocol).await;
            // Let pass, refused, and public.
            for (path, status) in [("/me", 200), ("/api/clinics/b/labs", 403), ("/open/x", 200)] {
                let answer = client.get(path, &token).await;
                assert_eq!(answer.status.as_u16(), status, "{path}");
                names.push((sid, name_of(&gate, &answer)));
            }
        }
    }
    let of = |sid: &str| {
        let mut of: Vec<_> = names.iter().filter(|(one, _)| *one == sid).map(|(_, name)| name.clone()).collect();
        of.dedup();
        assert_eq!(of.len(), 1, "{of:?}");
        of.remove(0)
    };
    let (one, other) = (of("sid-of-one"), of("sid-of-two"));
    assert_ne!(one, other);
    let digits = one.strip_prefix("hs:").unwrap();
    assert!(digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
    // Where the credential names no session, there is none.
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let answer = client.get("/me", &gate.issuer().ada()).await;
    let event = gate.files.event(answer.id());
    assert_eq!((&event["actor"]["sub"], &event["actor"]["session"]), (&json!("ada.example"), &Value::Null));
    // The events of its end have it as well: logging out, and what is refused since.
    let bearer = format!("Bearer {}", token(&gate, "sid-of-one", now, "t-9"));
    for (method, path) in [("POST", "/.anteroom/logout"), ("GET", "/me")] {
        let answer = client.ask(method, path, &[("authorization", &bearer)]).await;
        assert_eq!(name_of(&gate, &answer), one, "{path}");
    }
    assert!(!gate.files.record().iter().any(|event| event.to_string().contains("sid-of")), "its name at the provider");
}

#[tokio::test]
async fn what_the_provider_says_of_a_session_stands_under_its_name() {
    let (gate, now) = gate("session: { backchannel_logout: { clinic: { audience: [client-7] } } }\n", POLICY);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let expected = name_of(&gate, &client.get("/me", &token(&gate, "s-1", now - 10, "t-1")).await);
    let told = gate.issuer().changed(json!({
        "aud": "client-7", "iat": now, "exp": now + 120, "jti": "l-1", "sub": "ada.example", "sid": "s-1",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    }));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = client.post("POST", "/.anteroom/backchannel-logout", &form, format!("logout_token={told}")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(name_of(&gate, &answer), expected);
}

#[tokio::test]
async fn the_name_in_the_record_ends_that_session_on_every_worker_and_no_other() {
    let (gate, now) = open_gate("");
    let (one, renewed) = (token(&gate, "s-1", now - 10, "t-1"), token(&gate, "s-1", now - 10, "t-2"));
    let other = token(&gate, "s-2", now - 10, "t-3");
    let mut clients = Vec::new();
    for number in 0..16 {
        clients.push(Client::open(&gate, BOTH[number % 2]).await);
    }
    let (mut open, mut theirs) = (Socket::open(&gate, "/me", &one).await, Socket::open(&gate, "/me", &other).await);
    let name = name_of(&gate, &clients[0].get("/me", &one).await);
    let said = end(&gate, &name);
    assert_eq!(said.code, Some(0), "{said:?}");
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["revoked"], "session");
    assert!(open.ends().await < Duration::from_secs(1));
    assert_eq!(gate.metric("anteroom_streams_cut_total", &[("reason", "revoked")]), 1.0);
    for client in &mut clients {
        for token in [&one, &renewed] {
            assert_eq!(client.get("/me", token).await.code(), "SESSION_ENDED");
        }
        assert_eq!(client.get("/me", &other).await.status, 200, "the same person elsewhere");
    }
    assert!(theirs.lives().await);
    let since = token(&gate, "s-1", now + 61, "t-4");
    gate.clock().advance(Duration::from_secs(61));
    assert_eq!(clients[0].get("/me", &since).await.status, 200, "signed in since");
}

#[tokio::test]
async fn a_name_that_stands_for_nothing_here_says_so() {
    let (gate, now) = gate("", POLICY);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let one = token(&gate, "s-1", now - 10, "t-1");
    let name = name_of(&gate, &client.get("/me", &one).await);
    let last = if name.ends_with('0') { "1" } else { "0" };
    let mistyped = format!("{}{last}", &name[..42]);
    let said = end(&gate, &mistyped);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("no session goes by this name here"), "{said:?}");
    let issuer = ["--issuer", "https://issuer.example/"];
    let revoke =
        |more: &[&str]| process::run(gate.files.root(), &[&["revoke", "--control", "control.sock"][..], more].concat());
    // Half of it is not taken for what the provider calls a session.
    for bad in [vec!["--session", &name[..20]], [&["--session", &name[..20]][..], &issuer].concat()] {
        let said = revoke(&bad);
        assert!(said.code == Some(2) && said.err.contains("40 of the digits"), "{said:?}");
    }
    for bad in [["--session", "s-1"], ["--subject", &name], ["--token", "t-1"]] {
        let said = revoke(&bad);
        assert!(said.code == Some(2) && said.err.contains("`--issuer` is missing"), "{said:?}");
    }
    assert_eq!(client.get("/me", &one).await.status, 200, "nothing has ended");
    assert_eq!(revoke(&[&["--session", &name][..], &issuer].concat()).code, Some(0), "an issuer beside it is no harm");
    assert_eq!(client.get("/me", &one).await.code(), "SESSION_ENDED");
}

#[tokio::test]
async fn a_list_for_many_gates_ends_it_where_the_key_is_the_same() {
    let list = |entry: &str| format!("apiVersion: anteroom.dev/v1\nkind: Revocations\nrevoked: [{entry}]\n");
    let start = |key: &str| {
        let files = vec![("revoked.yaml", list("")), ("pseudonym.key", key.repeat(32))];
        let more = "session: { revoked: revoked.yaml, state: state }\n".to_owned();
        Gate::start(Setup { files, more, ..Setup::default() }, App::plain())
    };
    let (one, replica, other) = (start("ours "), start("ours "), start("theirs "));
    let mut names = Vec::new();
    for gate in [&one, &replica, &other] {
        let mut client = Client::open(gate, Protocol::Http2).await;
        let answer = client.get("/me", &token(gate, "s-1", gate.issuer().now - 10, "t-1")).await;
        names.push(name_of(gate, &answer));
    }
    assert_eq!(names[0], names[1], "with one key for pseudonyms");
    assert_ne!(names[0], names[2]);
    for gate in [&replica, &other] {
        gate.files.put("revoked.yaml", &list(&format!("{{ session: '{}', until: 2099-01-01 }}", names[0])));
    }
    until("the list to count", || (replica.metric("anteroom_revocations", &[]) == 1.0).then_some(()));
    let status = |gate: &Gate| {
        let said = process::run(gate.files.root(), &["status", "--control", "control.sock"]);
        serde_json::from_str::<Value>(&said.out).unwrap()["sessions"].clone()
    };
    until("the other gate to say so", || (status(&other)["revoked_unknown"] == 1).then_some(()));
    assert_eq!(status(&replica)["revoked_unknown"], 0);
    assert_eq!(end(&other, &names[0]).code, Some(1));
    for (gate, code) in [(&one, ""), (&replica, "SESSION_ENDED"), (&other, "")] {
        let mut client = Client::open(gate, Protocol::Http2).await;
        assert_eq!(client.get("/me", &token(gate, "s-1", gate.issuer().now - 10, "t-2")).await.code(), code);
    }
}

#[tokio::test]
async fn it_stays_ended_and_keeps_its_name_when_the_gate_is_killed() {
    let more = "session: { state: state }\n".to_owned();
    let mut gate = Served::start(Setup { more, ..Setup::default() }, App::plain());
    let now = gate.files.issuer.now;
    let of =
        |gate: &Served, sid: &str| gate.files.issuer.changed(json!({ "sid": sid, "auth_time": now - 5, "jti": sid }));
    let mut client = Client::open_at(gate.https, &gate.files.ca, Protocol::Http2, HOST).await;
    let mut names = Vec::new();
    for sid in ["s-1", "s-2"] {
        let answer = client.get("/me", &of(&gate, sid)).await;
        names.push(name(&gate.files.event(answer.id())));
    }
    let said = process::run(gate.files.root(), &["revoke", "--control", "control.sock", "--session", &names[0]]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["survives_restart"], true);
    gate.process.signal("KILL");
    gate.process.end();
    let Served { files, app, health, .. } = gate;
    let gate = Served::start_with(files, app, health);
    let mut client = Client::open_at(gate.https, &gate.files.ca, Protocol::Http2, HOST).await;
    for (sid, expected, code) in [("s-1", &names[0], "SESSION_ENDED"), ("s-2", &names[1], "")] {
        let answer = client.get("/me", &of(&gate, sid)).await;
        assert_eq!(answer.code(), code, "{sid}");
        assert_eq!(&name(&gate.files.event(answer.id())), expected);
    }
}
