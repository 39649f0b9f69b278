//! The end of a session: by logging out, by the provider, by hand and by a file; for every worker, and after a restart.

use std::time::{Duration, Instant};

use anteroom::sessions::ends::SHARE;
use e2e::app::App;
use e2e::client::{BOTH, Client, HOST, Protocol};
use e2e::gate::{Gate, POLICY, Setup};
use e2e::process::{self, Process, Served, binary};
use e2e::{PATIENCE, until};
use serde_json::{Value, json};

use crate::sessions::{gate, token};

const OWN: (&str, &str) = ("origin", "https://clinic.example");

/// Connections until both workers have some.
async fn crowd(gate: &Gate) -> Vec<Client> {
    let mut clients = Vec::new();
    for number in 0..16 {
        clients.push(Client::open(gate, BOTH[number % 2]).await);
    }
    clients
}

/// What all of them are answered.
async fn codes(clients: &mut [Client], token: &str) -> Vec<String> {
    let mut codes = Vec::new();
    for client in clients {
        codes.push(client.get("/me", token).await.code());
    }
    codes.dedup();
    codes
}

#[tokio::test]
async fn logging_out_ends_the_session_everywhere_and_clears_the_browser() {
    let (gate, now) = gate("session: { idle: 15m, after_logout: /goodbye }\n", POLICY);
    let mut clients = crowd(&gate).await;
    let (mine, renewed, other) =
        (token(&gate, "s-1", now, "t-1"), token(&gate, "s-1", now, "t-2"), token(&gate, "s-2", now, "t-3"));
    assert_eq!(codes(&mut clients, &mine).await, [""]);
    let cookie = format!("__session={mine}; other=1");
    let ours = [("cookie", cookie.as_str()), OWN];
    let foreign = [("cookie", cookie.as_str()), ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    let forged = clients[0].ask("POST", "/.anteroom/logout", &foreign).await;
    assert_eq!((forged.code().as_str(), forged.header("clear-site-data")), ("CROSS_SITE", ""));
    let bare = clients[0].ask("POST", "/.anteroom/logout", &foreign[1..]).await;
    assert_eq!((bare.code().as_str(), bare.header("clear-site-data")), ("CROSS_SITE", ""), "without cookies too");
    assert_eq!(clients[0].ask("GET", "/.anteroom/logout", &ours).await.status, 405);
    assert_eq!(codes(&mut clients, &renewed).await, [""], "nothing has ended yet");

    let answer = clients[1].ask("POST", "/.anteroom/logout", &ours).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("clear-site-data"), "\"cache\", \"cookies\", \"storage\"");
    assert_eq!(answer.header("set-cookie"), "__session=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax");
    let event = gate.files.event(answer.id());
    assert_eq!(event["route"], "POST /.anteroom/logout");
    assert_eq!((&event["actor"]["sub"], &event["decision"]), (&json!("ada.example"), &json!("allow")));
    for token in [&mine, &renewed] {
        assert_eq!(codes(&mut clients, token).await, ["SESSION_ENDED"], "both workers, remembered or not");
    }
    assert_eq!(codes(&mut clients, &other).await, [""], "another session is another session");
    assert_eq!(gate.metric("anteroom_sessions_ended_total", &[("by", "logout")]), 1.0);
    // A browser that goes to a page is told to forget, a script is not: it does not show what the browser keeps.
    let page = [("cookie", cookie.as_str()), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let page = clients[0].ask("GET", "/me", &page).await;
    assert_eq!((page.status.as_u16(), page.header("clear-site-data").is_empty()), (401, false));
    assert_eq!(clients[0].get("/me", &mine).await.header("clear-site-data"), "");
    // Nobody may ever see what is fetched ahead, so it must not take away what an open page still needs.
    let ahead = [("cookie", cookie.as_str()), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let ahead = [&ahead[..], &[("sec-purpose", "prefetch;prerender")]].concat();
    let ahead = clients[0].ask("GET", "/me", &ahead).await;
    assert_eq!((ahead.status.as_u16(), ahead.header("clear-site-data")), (401, ""));

    // A form of a page leads on; and whoever has no good credential gets the browser cleared all the same.
    let theirs = format!("__session={other}");
    let form = [("cookie", theirs.as_str()), OWN, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let answer = clients[0].ask("POST", "/.anteroom/logout", &form).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/goodbye"));
    let bad = clients[0].ask("POST", "/.anteroom/logout", &[("cookie", "__session=nonsense"), OWN]).await;
    assert_eq!((bad.code().as_str(), bad.header("clear-site-data").is_empty()), ("TOKEN_INVALID", false));
    assert_eq!(gate.app.seen().iter().filter(|seen| seen.target().starts_with("/.anteroom")).count(), 0);
}

#[tokio::test]
async fn a_credential_without_a_session_ends_by_its_own_name_or_not_at_all() {
    let (gate, _) = gate("session: {}\n", POLICY);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let named = gate.issuer().changed(json!({ "jti": "t-1" }));
    let bearer = format!("Bearer {named}");
    assert_eq!(client.ask("POST", "/.anteroom/logout", &[("authorization", &bearer)]).await.status, 204);
    assert_eq!(client.get("/me", &named).await.code(), "SESSION_ENDED");
    let nameless = gate.issuer().ada();
    let bearer = format!("Bearer {nameless}");
    let answer = client.ask("POST", "/.anteroom/logout", &[("authorization", &bearer)]).await;
    assert_eq!(answer.code(), "SESSION_ENDED", "it does not say that it was done");
    assert_eq!(client.get("/me", &nameless).await.status, 200);
}

#[tokio::test]
async fn whoever_logs_out_without_end_fills_a_share_and_ends_with_all_that_names_no_session() {
    let (gate, now) = gate("session: {}\n", POLICY);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let token =
        |sub: &str, jti: &str, at: u64| gate.issuer().changed(json!({ "sub": sub, "jti": jti, "auth_time": at }));
    let out = async |client: &mut Client, token: &str| {
        let bearer = format!("Bearer {token}");
        client.ask("POST", "/.anteroom/logout", &[("authorization", &bearer)]).await.status.as_u16()
    };
    let kept = token("eve.example", "kept", now - 10);
    for number in 0..SHARE {
        assert_eq!(out(&mut client, &token("eve.example", &number.to_string(), now - 10)).await, 204, "{number}");
    }
    assert_eq!(client.get("/me", &kept).await.status, 200, "up to there each has ended for itself");
    let beyond = token("eve.example", "beyond", now - 10);
    assert_eq!(out(&mut client, &beyond).await, 204);
    for ended in [&beyond, &kept, &token("eve.example", "unseen", now)] {
        assert_eq!(client.get("/me", ended).await.code(), "SESSION_ENDED");
    }
    assert_eq!(client.get("/me", &token("eve.example", "later", now + 1)).await.status, 200, "a later sign-in");
    assert_eq!(gate.metric("anteroom_revocations", &[]), (SHARE + 1) as f64);
    // Nobody else feels any of it.
    let (other, mine) = (token("bob.example", "other", now - 10), token("bob.example", "mine", now - 10));
    assert_eq!(out(&mut client, &mine).await, 204);
    assert_eq!(
        (client.get("/me", &mine).await.code().as_str(), client.get("/me", &other).await.status.as_u16()),
        ("SESSION_ENDED", 200)
    );
}

#[tokio::test]
async fn without_the_section_there_is_nothing_to_ask() {
    let (gate, now) = gate("", POLICY);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let bearer = format!("Bearer {}", token(&gate, "s-1", now - 90_000, "t-1"));
    for (method, path) in
        [("POST", "/.anteroom/logout"), ("GET", "/.anteroom/session"), ("POST", "/.anteroom/backchannel-logout")]
    {
        assert_eq!(client.ask(method, path, &[("authorization", &bearer)]).await.code(), "NO_ROUTE", "{path}");
    }
    assert_eq!(client.ask("GET", "/me", &[("authorization", &bearer)]).await.status, 200);
}

/// A logout token with changed claims.
fn said(gate: &Gate, now: u64, changes: Value) -> String {
    let mut claims = json!({
        "aud": "client-7", "iat": now, "exp": now + 120, "jti": "l-1", "sub": null, "roles": null, "org_id": null,
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    gate.issuer().changed(claims)
}

#[tokio::test]
async fn a_provider_ends_one_session_or_all_of_a_subject() {
    let session = "session: { backchannel_logout: { clinic: { audience: [client-7] } } }\n";
    let (gate, now) = gate(session, POLICY);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let path = "/.anteroom/backchannel-logout";
    let (one, two) = (token(&gate, "s-1", now - 10, "t-1"), token(&gate, "s-2", now - 10, "t-2"));
    for bad in [
        format!("logout_token={one}"),
        format!("logout_token={}", said(&gate, now, json!({ "sid": "s-1", "nonce": "n" }))),
        format!("logout_token={}", said(&gate, now, json!({ "sid": "s-1", "aud": "https://api.clinic.example" }))),
        format!("logout_token={}", gate.issuer().forged()),
        "logout_token=".to_owned(),
        "nothing=1".to_owned(),
    ] {
        let answer = client.post("POST", path, &form, bad.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "TOKEN_INVALID"), "{bad}");
    }
    assert_eq!(client.post("POST", path, &[], "logout_token=x").await.code(), "BAD_HEADER");
    assert_eq!(client.get("/me", &one).await.status, 200);

    let token = format!("logout_token={}", said(&gate, now, json!({ "sid": "s-1" })));
    let answer = client.post("POST", path, &form, token.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"));
    assert_eq!(gate.files.event(answer.id())["route"], "POST /.anteroom/backchannel-logout");
    assert_eq!(client.get("/me", &one).await.code(), "SESSION_ENDED");
    assert_eq!(client.get("/me", &two).await.status, 200);
    // Whoever signs in later is let in, also when the same token is sent once more.
    gate.clock().advance(Duration::from_secs(20));
    assert_eq!(client.post("POST", path, &form, token).await.status, 200);
    let again = crate::sessions::token(&gate, "s-1", now + 15, "t-3");
    assert_eq!(client.get("/me", &again).await.status, 200);
    let all = format!("logout_token={}", said(&gate, now + 20, json!({ "sub": "ada.example" })));
    assert_eq!(client.post("POST", path, &form, all).await.status, 200);
    for token in [&two, &again] {
        assert_eq!(client.get("/me", token).await.code(), "SESSION_ENDED");
    }
    assert_eq!(client.get("/me", &gate.issuer().token("bob.example", "a", &["provider"])).await.status, 200);
}

#[tokio::test]
async fn a_logout_token_that_is_sent_again_ends_nothing_more() {
    let session = "session: { idle: 1h, backchannel_logout: { clinic: { audience: [client-7] } } }\n";
    let (gate, now) = gate(session, POLICY);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let path = "/.anteroom/backchannel-logout";
    let first = format!("logout_token={}", said(&gate, now, json!({ "sid": "s-1" })));
    assert_eq!(client.post("POST", path, &form, first.clone()).await.status, 200);
    gate.clock().advance(Duration::from_secs(20));
    let since = token(&gate, "s-1", now + 15, "t-1");
    assert_eq!(client.get("/me", &since).await.status, 200);
    // The same, and with another signature: whoever has one can make others of it, or the provider has signed anew.
    for again in [first, format!("logout_token={}", said(&gate, now, json!({ "sid": "s-1", "unread": "x" })))] {
        let answer = client.post("POST", path, &form, again).await;
        assert_eq!(answer.status, 200, "it is done: a provider that has missed our answer has nothing to mend");
        assert_eq!(gate.files.event(answer.id())["status"], 200);
        assert_eq!(client.get("/me", &since).await.status, 200);
    }
    assert_eq!(gate.metric("anteroom_sessions_ended_total", &[("by", "provider")]), 1.0);
    // A name that the provider gives twice keeps nobody in.
    let other = format!("logout_token={}", said(&gate, now + 20, json!({ "sid": "s-1" })));
    assert_eq!(client.post("POST", path, &form, other).await.status, 200);
    assert_eq!(client.get("/me", &since).await.code(), "SESSION_ENDED");
}

#[tokio::test]
async fn credentials_without_a_session_end_with_any_of_their_subject() {
    let session = "session: { backchannel_logout: { clinic: { audience: [client-7] } } }\n";
    let (gate, now) = gate(session, POLICY);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let nameless = |changes: Value| gate.issuer().changed(changes);
    let (one, two) = (token(&gate, "s-1", now - 10, "t-1"), token(&gate, "s-2", now - 10, "t-2"));
    let (told, untold) = (nameless(json!({ "auth_time": now - 10 })), nameless(json!({ "jti": "t-3" })));
    let bob = gate.issuer().token("bob.example", "a", &["provider"]);
    for token in [&one, &two, &told, &untold, &bob] {
        assert_eq!(client.get("/me", token).await.status, 200);
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let said = format!("logout_token={}", said(&gate, now, json!({ "sid": "s-1", "sub": "ada.example" })));
    assert_eq!(client.post("POST", "/.anteroom/backchannel-logout", &form, said).await.status, 200);
    for (token, code) in
        [(&one, "SESSION_ENDED"), (&told, "SESSION_ENDED"), (&untold, "SESSION_ENDED"), (&two, ""), (&bob, "")]
    {
        assert_eq!(client.get("/me", token).await.code(), code);
    }
    assert_eq!(client.get("/me", &nameless(json!({ "auth_time": now + 1 }))).await.status, 200, "signed in since");
    assert_eq!(gate.metric("anteroom_sessions_ended_total", &[("by", "provider")]), 1.0);
}

#[tokio::test]
async fn a_provider_with_another_name_for_sessions_ends_all_of_a_subject() {
    let claims = |more: &str| Setup {
        provider: format!(
            "token: [{{ header: authorization }}, {{ cookie: __session }}]\n    claims: {{ tenant: org_id, roles: roles, {more} }}"
        ),
        more: "session: { backchannel_logout: { clinic: { audience: [client-7] } } }\n".to_owned(),
        ..Setup::default()
    };
    let prepare = |setup: &Setup| {
        let files = e2e::gate::Files::write(setup, "127.0.0.1:1".parse().unwrap());
        anteroom::config::prepare(&files.path("config.yaml"))
    };
    let warned = prepare(&claims("session: session_id")).unwrap().warnings;
    assert!(warned.iter().any(|one| one.message.contains("every session of the subject")), "{warned:?}");
    assert!(prepare(&claims("session: session_id, subject: oid")).is_err(), "nothing of it names what there is here");

    let gate = Gate::start(claims("session: session_id"), App::plain());
    let now = gate.issuer().now;
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let path = "/.anteroom/backchannel-logout";
    let of = |session: &str| gate.issuer().changed(json!({ "session_id": session, "auth_time": now - 10 }));
    let nobody = format!("logout_token={}", said(&gate, now, json!({ "sid": "s-1" })));
    let answer = client.post("POST", path, &form, nobody).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "TOKEN_INVALID"), "it would end nothing");
    assert_eq!(client.get("/me", &of("x-1")).await.status, 200);
    let all = format!("logout_token={}", said(&gate, now, json!({ "sid": "s-1", "sub": "ada.example" })));
    assert_eq!(client.post("POST", path, &form, all).await.status, 200);
    for session in ["x-1", "x-2"] {
        assert_eq!(client.get("/me", &of(session)).await.code(), "SESSION_ENDED");
    }
}

#[tokio::test]
async fn a_revoked_subject_is_out_on_every_worker_within_a_second() {
    let (gate, now) = gate("", POLICY);
    let mut clients = crowd(&gate).await;
    let ada = token(&gate, "s-1", now - 10, "t-1");
    let bob = gate.issuer().token("bob.example", "a", &["provider"]);
    assert_eq!(codes(&mut clients, &ada).await, [""], "remembered by now");
    let root = gate.files.root().to_owned();
    let revoke = |more: &[&str]| {
        let all =
            [&["revoke", "--control", "unix:control.sock", "--issuer", "https://issuer.example/"][..], more].concat();
        process::run(&root, &all)
    };
    let said = revoke(&["--subject", "ada.example"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let began = Instant::now();
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&told["revoked"], &told["survives_restart"]), (&json!("subject"), &json!(false)));
    assert!(told["back"].as_str().unwrap().contains("auth_time"), "{told}");
    assert_eq!(codes(&mut clients, &ada).await, ["SESSION_ENDED"]);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(codes(&mut clients, &bob).await, [""]);
    // The provider's clock may be ahead by its leeway, so a sign-in that is dated so may be one of before.
    let ahead = token(&gate, "s-1", now + 30, "t-2");
    assert_eq!(codes(&mut clients, &ahead).await, ["SESSION_ENDED"]);
    gate.clock().advance(Duration::from_secs(31));
    assert_eq!(codes(&mut clients, &ahead).await, ["SESSION_ENDED"], "time does not make it a later one");
    assert_eq!(codes(&mut clients, &token(&gate, "s-1", now + 31, "t-3")).await, [""], "signed in since");
    for (what, name, claims) in [
        ("--session", "s-7", json!({ "sub": "bob.example", "sid": "s-7", "auth_time": now })),
        ("--token", "t-7", json!({ "sub": "bob.example", "jti": "t-7", "auth_time": now + 4 })),
    ] {
        let one = gate.issuer().changed(claims);
        assert_eq!(codes(&mut clients, &one).await, [""], "{what}");
        assert_eq!(revoke(&[what, name, "--for", "1h"]).code, Some(0));
        assert_eq!(codes(&mut clients, &one).await, ["SESSION_ENDED"], "{what}");
    }
    assert_eq!(codes(&mut clients, &bob).await, [""]);
    for bad in [&["--subject", "a", "--token", "b"][..], &[], &["--subject", "a", "--for", "2y"]] {
        assert_eq!(revoke(bad).code, Some(2), "{bad:?}");
    }
    let slip = process::run(
        &root,
        &["revoke", "--control", "unix:control.sock", "--issuer", "https://issuer.example", "--subject", "bob.example"],
    );
    assert_eq!(slip.code, Some(1), "{slip:?}");
    assert!(slip.err.contains("nothing here has this issuer"), "{slip:?}");
}

const LIST: &str = "apiVersion: anteroom.dev/v1\nkind: Revocations\nrevoked:\n";

#[tokio::test]
async fn a_file_revokes_within_a_second_and_a_bad_one_changes_nothing() {
    let files = vec![("revoked.yaml", format!("{LIST}  []\n"))];
    let more = "session: { revoked: revoked.yaml }\n".to_owned();
    let gate = Gate::start(Setup { more, files, ..Setup::default() }, App::plain());
    let mut clients = crowd(&gate).await;
    let ada = gate.issuer().ada();
    assert_eq!(codes(&mut clients, &ada).await, [""]);
    let entry = "- { issuer: 'https://issuer.example/', subject: ada.example, until: 2099-01-01 }\n";
    let began = Instant::now();
    gate.files.put("revoked.yaml", &format!("{LIST}{entry}"));
    while clients[0].get("/me", &ada).await.status == 200 {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(codes(&mut clients, &ada).await, ["SESSION_ENDED"]);
    gate.files.put("revoked.yaml", &format!("{LIST}- {{ issuer: 'https://issuer.example/' }}\n"));
    until("the bad file to be told", || {
        (gate.metric("anteroom_sessions_failed", &[("file", "revoked")]) > 0.0).then_some(())
    });
    assert_eq!(codes(&mut clients, &ada).await, ["SESSION_ENDED"], "the last good one stays");
    gate.files.put("revoked.yaml", &format!("{LIST}  []\n"));
    until("the list to be empty", || (gate.metric("anteroom_revocations", &[]) == 0.0).then_some(()));
    assert_eq!(codes(&mut clients, &ada).await, [""]);
}

#[tokio::test]
async fn what_has_ended_stays_ended_when_the_gate_is_killed() {
    let more = "session: { idle: 1h, state: state }\n".to_owned();
    let mut gate = Served::start(Setup { more, ..Setup::default() }, App::plain());
    let now = gate.files.issuer.now;
    let of = |gate: &Served, sid: &str, at: u64| {
        gate.files.issuer.changed(json!({ "sid": sid, "auth_time": at, "jti": sid }))
    };
    let (ended, lives) = (of(&gate, "s-1", now - 5), of(&gate, "s-2", now - 5));
    let mut client = Client::open_at(gate.https, &gate.files.ca, Protocol::Http2, HOST).await;
    for token in [&ended, &lives] {
        assert_eq!(client.get("/me", token).await.status, 200);
    }
    let bearer = format!("Bearer {ended}");
    assert_eq!(client.ask("POST", "/.anteroom/logout", &[("authorization", &bearer)]).await.status, 204);
    gate.process.signal("KILL");
    gate.process.end();

    let mut command = std::process::Command::new(binary());
    let root = gate.files.root().to_owned();
    command.current_dir(&root).args(["run", "--config", "config.yaml"]);
    let mut process = Process::start_as(&mut command);
    let https = process.found("the gate to serve", |out| {
        let lines = out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let told = lines.into_iter().find(|line| line["message"] == "serving")?;
        told["address"].as_str()?.parse().ok()
    });
    let mut client = Client::open_at(https, &gate.files.ca, Protocol::Http2, HOST).await;
    assert_eq!(client.get("/me", &ended).await.code(), "SESSION_ENDED");
    assert_eq!(client.get("/me", &of(&gate, "s-1", now - 4)).await.code(), "SESSION_ENDED", "signed in before the end");
    assert_eq!(client.get("/me", &lives).await.status, 200);
    // A sign-in counts from the second behind the end on.
    let since = of(&gate, "s-1", now + 30);
    let began = Instant::now();
    while client.get("/me", &since).await.status != 200 {
        assert!(began.elapsed() < PATIENCE, "signed in since");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let second = process::run(&root, &["run", "--config", "config.yaml"]);
    assert_ne!(second.code, Some(0), "one folder is for one process");
}
