//! The application's session cookie beside a proved caller: it passes for the one whom it was set for, and for no other.

use e2e::app::App;
use e2e::client::{Answer, BOTH, Client, Protocol};
use e2e::gate::{Files, Gate, OTHER, Setup};
use e2e::raw::Raw;
use e2e::wire::{self, Ended, Wire};
use serde_json::json;

/// An application that sets the cookie that the request names in `x-set`.
fn setting() -> App {
    App::start(|exchange| {
        exchange.read_body();
        let set = exchange.seen.header("x-set").map(|line| format!("set-cookie: {line}\r\n")).unwrap_or_default();
        let status = if exchange.seen.target() == "/open/broken" { "500 Internal Server Error" } else { "200 OK" };
        exchange.answer(status, &set, "ok")
    })
}

fn gate(more: &str) -> Gate {
    let setup = Setup { app: ", session: { cookies: [sid, remember] }".to_owned(), ..Setup::default() };
    Gate::start(Setup { more: more.to_owned(), ..setup }, setting())
}

/// Asks with a token, a cookie and a cookie to be set, each where there is one.
async fn ask(client: &mut Client, path: &str, token: &str, cookie: &str, set: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let all = [("authorization", bearer.as_str()), ("cookie", cookie), ("x-set", set)];
    let sent: Vec<_> = all.into_iter().filter(|(_, value)| !value.is_empty() && *value != "Bearer ").collect();
    client.ask("GET", path, &sent).await
}

fn refused(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "TOKEN_INVALID"));
}

/// What the application got for a cookie.
fn got(gate: &Gate) -> Option<String> {
    gate.app.last().header("cookie").map(str::to_owned)
}

#[tokio::test]
async fn it_passes_for_the_one_whom_it_was_set_for_alone() {
    let gate = gate("");
    let (ada, eve) = (gate.issuer().ada(), gate.issuer().token("eve.example", "a", &["provider"]));
    for (protocol, cookie) in BOTH.into_iter().zip(["sid=first", "sid=second"]) {
        let mut client = Client::open(&gate, protocol).await;
        let set = ask(&mut client, "/me", &ada, "", &format!("{cookie}; Path=/app")).await;
        assert!(set.header("set-cookie").starts_with(cookie), "{protocol:?}");
        let own = ask(&mut client, "/me", &ada, &format!("theme=dark; {cookie}"), "").await;
        assert_eq!((own.status.as_u16(), got(&gate)), (200, Some(format!("theme=dark; {cookie}"))));

        let before = gate.app.count();
        let stolen = ask(&mut client, "/me", &eve, cookie, "").await;
        refused(&stolen);
        assert_eq!(gate.app.count(), before, "nothing of it reached the application");
        let away = "sid=; Max-Age=0; Path=/app; Secure; HttpOnly; SameSite=Lax";
        assert_eq!(stolen.header("set-cookie"), away, "her browser lets go of it");
        assert_eq!(ask(&mut client, "/me", &eve, "", "").await.status, 200, "and her next request passes");

        // On a public page nobody is refused, and the cookie stays at the gate.
        let public = ask(&mut client, "/open/x", &eve, cookie, "").await;
        assert_eq!((public.status.as_u16(), got(&gate)), (200, None));
        assert_eq!(gate.app.last().header("x-user-id"), Some("eve.example"));
        // Where nobody is proved, the application's word alone counts.
        assert_eq!(ask(&mut client, "/open/x", "", cookie, "").await.status, 200);
        assert_eq!((got(&gate).as_deref(), gate.app.last().header("x-user-id")), (Some(cookie), None));
        assert_eq!(ask(&mut client, "/me", "", cookie, "").await.code(), "NO_CREDENTIAL");
        // Once more beside a bad token, which proves nobody.
        refused(&ask(&mut client, "/me", &gate.issuer().forged(), cookie, "").await);
    }
}

#[tokio::test]
async fn a_browser_lets_go_of_it_where_it_lives() {
    let gate = gate("");
    let (ada, eve) = (gate.issuer().ada(), gate.issuer().token("eve.example", "a", &["provider"]));
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let away = |path: &str| format!("sid=; Max-Age=0; Path={path}; Secure; HttpOnly; SameSite=Lax");
    // Without a `Path` it lives beside what was asked for.
    let below = "/api/patients/p1/records/1";
    ask(&mut client, below, &ada, "", "sid=below").await;
    let stolen = ask(&mut client, below, &eve, "sid=below", "").await;
    refused(&stolen);
    assert_eq!(stolen.header("set-cookie"), away("/api/patients/p1/records"));
    // Two of the name come from two places, and nobody can say which of them is the right one.
    ask(&mut client, "/me", &ada, "", "sid=mine; Path=/app").await;
    let twice = ask(&mut client, "/me", &ada, "sid=mine; sid=tossed", "").await;
    refused(&twice);
    let lines: Vec<_> = twice.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    let domain = |path: &str| away(path).replace("; Secure", "; Domain=clinic.example; Secure");
    let everywhere = [away("/app"), away("/"), domain("/"), away("/me"), domain("/me")];
    assert_eq!(lines, everywhere);
}

#[tokio::test]
async fn one_whose_setting_was_not_seen_is_taken_out_and_never_bound_by_being_used() {
    let gate = gate("");
    let ada = gate.issuer().ada();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for _ in 0..3 {
        let answer = ask(&mut client, "/me", &ada, "sid=older; theme=dark; remember=me", "").await;
        assert_eq!((answer.status.as_u16(), got(&gate).as_deref()), (200, Some("theme=dark")));
    }
    // Set while nobody was known: a planted one, or the session of a page before the sign-in.
    ask(&mut client, "/open/x", "", "", "sid=planted").await;
    ask(&mut client, "/open/x", &gate.issuer().forged(), "", "sid=unproved").await;
    for cookie in ["sid=planted", "sid=unproved"] {
        assert_eq!(ask(&mut client, "/me", &ada, cookie, "").await.status, 200);
        assert_eq!(got(&gate), None, "{cookie}");
    }
    // The application then sets another one, which is hers.
    ask(&mut client, "/me", &ada, "sid=planted", "sid=new").await;
    ask(&mut client, "/me", &ada, "sid=new", "").await;
    assert_eq!(got(&gate).as_deref(), Some("sid=new"));
    // With an error, too, which is replaced and keeps its cookie.
    assert_eq!(ask(&mut client, "/open/broken", &ada, "", "sid=of-an-error").await.status, 500);
    ask(&mut client, "/me", &ada, "sid=of-an-error; remember=x", "").await;
    assert_eq!(got(&gate).as_deref(), Some("sid=of-an-error"));
}

#[tokio::test]
async fn another_tenant_and_another_issuers_namesake_are_other_people() {
    let mut setup = Setup { app: ", session: { cookies: [sid, remember] }".to_owned(), ..Setup::default() };
    setup.provider.push_str(OTHER);
    let gate = Gate::start(setup, setting());
    let here = gate.issuer().ada();
    let elsewhere = gate.issuer().token("ada.example", "b", &["provider"]);
    let namesake = gate.issuer().changed(json!({ "iss": "https://other.example/", "aud": "other" }));
    let mut client = Client::open(&gate, Protocol::Http2).await;
    ask(&mut client, "/me", &here, "", "sid=north").await;
    for (number, other) in [&elsewhere, &namesake].into_iter().enumerate() {
        // It is let in, as somebody: with the cookie alone it is not.
        assert_eq!(ask(&mut client, "/me", other, "", "").await.status, 200, "{number}");
        let before = gate.app.count();
        refused(&ask(&mut client, "/me", other, "sid=north", "").await);
        assert_eq!(gate.app.count(), before, "{number}");
        // A cookie that the application hands out twice stays with the first.
        ask(&mut client, "/me", other, "", "sid=north").await;
        refused(&ask(&mut client, "/me", other, "sid=north", "").await);
        // On a page for everybody, it stays at the gate.
        assert_eq!(ask(&mut client, "/open/x", other, "sid=north", "").await.status, 200, "{number}");
        assert_eq!(got(&gate), None, "{number}");
    }
    // The same the other way round.
    ask(&mut client, "/me", &namesake, "", "sid=south").await;
    assert_eq!(ask(&mut client, "/me", &namesake, "sid=south", "").await.status, 200);
    assert_eq!(got(&gate).as_deref(), Some("sid=south"));
    refused(&ask(&mut client, "/me", &here, "sid=south", "").await);
    // Other roles are the same person.
    let promoted = gate.issuer().token("ada.example", "a", &["front_desk"]);
    for token in [&promoted, &here] {
        assert_eq!(ask(&mut client, "/me", token, "sid=north", "").await.status, 200);
        assert_eq!(got(&gate).as_deref(), Some("sid=north"));
    }
}

#[tokio::test]
async fn signing_out_at_the_application_ends_it() {
    let gate = gate("");
    let ada = gate.issuer().ada();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for end in
        ["sid=; Path=/", "sid=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/", "sid=deleted; Max-Age=0"]
    {
        ask(&mut client, "/me", &ada, "", "sid=mine").await;
        ask(&mut client, "/me", &ada, "sid=mine", end).await;
        assert_eq!(got(&gate).as_deref(), Some("sid=mine"), "{end}");
        // A copy of it is worth nothing any more.
        ask(&mut client, "/me", &ada, "sid=mine", "").await;
        assert_eq!(got(&gate), None, "{end}");
    }
}

#[tokio::test]
async fn twice_one_name_is_refused_and_look_alikes_never_pass() {
    let gate = gate("");
    let ada = gate.issuer().ada();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    ask(&mut client, "/me", &ada, "", "sid=mine").await;
    let before = gate.app.count();
    for cookie in ["sid=mine; sid=mine", "sid=mine; sid=foreign", "sid=a; theme=dark; sid=b"] {
        refused(&ask(&mut client, "/me", &ada, cookie, "").await);
    }
    assert_eq!(gate.app.count(), before);
    let bearer = format!("Bearer {ada}");
    // HTTP/2 may send each cookie by itself.
    let mut wire = Wire::open(&gate).await;
    let fields = |cookies: &[&'static [u8]]| {
        let mut fields = wire::get(b"/me");
        fields.push((&b"authorization"[..], bearer.clone().leak().as_bytes()));
        fields.extend(cookies.iter().map(|one| (&b"cookie"[..], *one)));
        fields
    };
    assert_eq!(wire.ask(&fields(&[b"theme=dark", b"sid=mine"])).await, Ended::Answered(b"ok".to_vec()));
    assert_eq!(got(&gate).as_deref(), Some("theme=dark; sid=mine"));
    assert_ne!(wire.ask(&fields(&[b"sid=mine", b"sid=foreign"])).await, Ended::Answered(b"ok".to_vec()));
    for odd in [
        "SID=foreign",
        "s%69d=foreign",
        "sid =foreign",
        "\"sid\"=foreign",
        "sid[]=foreign",
        "x=1 sid=foreign",
        "x=\"a, sid=foreign\"",
        "sid",
    ] {
        for token in [ada.as_str(), ""] {
            let path = if token.is_empty() { "/open/x" } else { "/me" };
            let answer = ask(&mut client, path, token, &format!("{odd}; sid=mine; theme=dark"), "").await;
            assert_eq!((answer.status.as_u16(), got(&gate).as_deref()), (200, Some("sid=mine; theme=dark")), "{odd}");
        }
    }
    // Another spelling of a value is another cookie, however an application reads it.
    for value in ["sid=\"mine\"", "sid=%6dine", "sid=mine ,x", "sid=MINE"] {
        ask(&mut client, "/me", &ada, value, "").await;
        assert_eq!(got(&gate), None, "{value}");
    }
}

#[tokio::test]
async fn a_prefix_is_the_browsers_alone() {
    let gate = gate("cookies: { prefix: { sid: __Host- } }\n");
    let (ada, eve) = (gate.issuer().ada(), gate.issuer().token("eve.example", "a", &["provider"]));
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let set = ask(&mut client, "/me", &ada, "", "sid=mine; Path=/app; Domain=clinic.example").await;
    assert!(set.header("set-cookie").starts_with("__Host-sid=mine; "));
    ask(&mut client, "/me", &ada, "__Host-sid=mine", "").await;
    assert_eq!(got(&gate).as_deref(), Some("sid=mine"));
    let stolen = ask(&mut client, "/me", &eve, "__Host-sid=mine", "").await;
    refused(&stolen);
    assert_eq!(stolen.header("set-cookie"), "__Host-sid=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax");
}

#[tokio::test]
async fn a_websocket_does_not_open_with_anothers_cookie() {
    let gate = gate("");
    let (ada, eve) = (gate.issuer().ada(), gate.issuer().token("eve.example", "a", &["provider"]));
    let mut client = Client::open(&gate, Protocol::Http1).await;
    ask(&mut client, "/me", &ada, "", "sid=mine").await;
    let before = gate.app.count();
    let head = format!(
        "GET /me HTTP/1.1\r\nhost: clinic.example\r\norigin: https://clinic.example\r\nauthorization: Bearer {eve}\r\n\
         cookie: sid=mine\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let answer = Raw::open(&gate).await.ask(head).await.unwrap();
    assert_eq!((answer.status(), answer.code().as_str()), (401, "TOKEN_INVALID"));
    assert_eq!(gate.app.count(), before);
}

#[tokio::test]
async fn the_record_says_who_was_refused_and_nothing_of_the_cookie() {
    let gate = gate("");
    let (ada, eve) = (gate.issuer().ada(), gate.issuer().token("eve.example", "a", &["provider"]));
    let mut client = Client::open(&gate, Protocol::Http1).await;
    ask(&mut client, "/me", &ada, "", "sid=canary-4711").await;
    let stolen = ask(&mut client, "/me", &eve, "sid=canary-4711", "").await;
    let event = gate.files.event(stolen.id());
    assert_eq!((&event["code"], &event["actor"]["sub"]), (&json!("TOKEN_INVALID"), &json!("eve.example")));
    assert!(gate.files.record().iter().all(|event| !event.to_string().contains("canary")));
}

#[test]
fn what_could_mean_two_things_is_refused() {
    let cases = [
        ("cookies: []", "names 0 cookies"),
        ("cookies: [a, b, c, d, e, f, g, h, i]", "names 9 cookies"),
        ("cookies: [\"a b\"]", "`a b` is no name of a cookie"),
        ("cookies: [my_id, my.id]", "take `my_id` and `my.id` for one cookie"),
        ("cookies: [__session]", "provider `clinic` reads its token from `__session`"),
        ("cookies: [__Host-sid]", "is what browsers call the application's `sid`"),
        ("cookies: [sid], whoami: { path: who, claims: { subject: id, tenant: org } }", "`who` is no path"),
        ("cookies: [sid], whoami: { path: /a/../b, claims: { subject: id, tenant: org } }", "`/a/../b` is no path"),
        ("cookies: [sid], whoami: { path: /.anteroom/x, claims: { subject: id, tenant: org } }", "is no path"),
        ("cookies: [sid], whoami: { path: /who, claims: { tenant: org } }", "nothing says who a caller is"),
        ("cookies: [sid], whoami: { path: /who, claims: { subject: id } }", "nothing says which tenant"),
        (
            "cookies: [sid], whoami: { path: /who, claims: { subject: /user/email, tenant: org } }",
            "`email` can be somebody else's one day",
        ),
        (
            "cookies: [sid], whoami: { path: /who, claims: { subject: userName, tenant: org } }",
            "`userName` can be somebody else's one day",
        ),
        ("cookies: [sid], whoami: { path: /who, claims: { subject: id, tenant: org }, tenant: a }", "said twice"),
        ("cookies: [sid], whoami: { path: /who, claims: { subject: id }, tenant: \"a b\" }", "`a b` is no name"),
        ("cookies: [sid], whoami: { path: /who, claims: { subject: /a~2, tenant: org } }", "`/a~2` names nothing"),
        (
            "cookies: [sid], whoami: { path: /who, claims: { subject: id, tenant: org, \"a-b\": x } }",
            "`a-b` is no name",
        ),
        ("cookies: [sid], whoami: { path: /who, claims: { subject: id, tenant: org }, remember: 6m }", "at most `5m`"),
        ("cookies: [sid], whoami: { path: /who, claims: { subject: id, tenant: org }, remember: 0s }", "at most `5m`"),
        ("cookies: [sid], whoami: { path: /who, claims: { subject: id, tenant: org }, url: x }", "url"),
    ];
    for (session, fault) in cases {
        let more = "cookies: { prefix: { sid: __Host- } }\n".to_owned();
        let setup = Setup { app: format!(", session: {{ {session} }}"), more, ..Setup::default() };
        let files = Files::write(&setup, "127.0.0.1:3000".parse().unwrap());
        let text = files.faults();
        assert!(text.contains(fault), "{session}: {text}");
    }
}
