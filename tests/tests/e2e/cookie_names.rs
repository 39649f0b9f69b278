//! Cookies that the browser knows with a prefix and the application without.

use e2e::app::App;
use e2e::client::{BOTH, Client};
use e2e::gate::{Files, Gate, Setup};
use e2e::raw::Raw;
use e2e::wire::{self, Ended, Wire};

const PREFIXED: &str = "cookies: { prefix: { session: __Host-, __session: __Host-, remember: __Secure- }, \
                        exceptions: { remember: [http_only] } }\n";

/// An application that sets these cookies.
fn setting(lines: &'static str) -> App {
    App::start(move |exchange| {
        exchange.read_body();
        exchange.answer("200 OK", lines, "ok")
    })
}

fn gate(app: App) -> Gate {
    Gate::start(Setup { more: PREFIXED.to_owned(), ..Setup::default() }, app)
}

#[tokio::test]
async fn the_browser_sees_one_name_and_the_application_the_other() {
    let gate = gate(setting(
        "set-cookie: session=a=b; Path=/app; Domain=clinic.example\r\nset-cookie: session=; Max-Age=0; Path=/app\r\n\
         set-cookie: remember=1; Path=/app\r\nset-cookie: theme=dark\r\n",
    ));
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let answer = client.ask("GET", "/open/x", &[("cookie", "__Host-session=a=b; theme=dark")]).await;
        let lines: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
        let expected = [
            "__Host-session=a=b; HttpOnly; SameSite=Lax; Path=/; Secure",
            "__Host-session=; Max-Age=0; HttpOnly; SameSite=Lax; Path=/; Secure",
            "__Secure-remember=1; Path=/app; SameSite=Lax; Secure",
            "theme=dark; Secure; HttpOnly; SameSite=Lax",
        ];
        assert_eq!(lines, expected, "{protocol:?}");
        assert_eq!(gate.app.last().header("cookie"), Some("session=a=b; theme=dark"));
    }
}

#[tokio::test]
async fn a_planted_cookie_does_not_reach_the_application() {
    let gate = gate(App::plain());
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for (sent, got) in [
            ("session=evil", None),
            ("session=evil; __Host-session=mine", Some("session=mine")),
            ("__Host-session=mine; session=evil; se%73sion=evil; SESSION=evil", Some("session=mine")),
            ("remember=evil; x=1", Some("x=1")),
        ] {
            let answer = client.ask("GET", "/open/x", &[("cookie", sent)]).await;
            assert_eq!((answer.status.as_u16(), gate.app.last().header("cookie")), (200, got), "{sent}");
        }
        let twice = client.ask("GET", "/open/x", &[("cookie", "__Host-session=mine; __Host-session=evil")]).await;
        assert_eq!((twice.status.as_u16(), twice.code().as_str()), (400, "BAD_HEADER"));
    }
    // HTTP/2 may send each cookie by itself.
    let mut wire = Wire::open(&gate).await;
    let mut fields = wire::get(b"/open/x");
    fields.extend([(&b"cookie"[..], &b"session=evil"[..]), (b"cookie", b"__Host-session=mine"), (b"cookie", b"x=1")]);
    assert_eq!(wire.ask(&fields).await, Ended::Answered(b"ok".to_vec()));
    assert_eq!(gate.app.last().header("cookie"), Some("session=mine; x=1"));
}

#[tokio::test]
async fn a_token_in_such_a_cookie_counts_under_the_browsers_name_alone() {
    let gate = gate(App::plain());
    let token = gate.issuer().ada();
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let planted = client.ask("GET", "/me", &[("cookie", &format!("__session={token}"))]).await;
        assert_eq!((planted.status.as_u16(), planted.code().as_str()), (401, "NO_CREDENTIAL"));
        let own = client.ask("GET", "/me", &[("cookie", &format!("__Host-__session={token}; theme=dark"))]).await;
        assert_eq!(own.status, 200);
        let seen = gate.app.last();
        assert_eq!((seen.header("x-user-id"), seen.header("cookie")), (Some("ada.example"), Some("theme=dark")));
        let crossing = [("cookie", &*format!("__Host-__session={token}")), ("origin", "https://evil.example")];
        assert_eq!(client.ask("POST", "/me", &crossing).await.code(), "CROSS_SITE", "a browser sends it by itself");
    }
}

#[tokio::test]
async fn while_cookies_are_observed_the_prefix_is_kept_all_the_same() {
    let more = format!("{PREFIXED}rollout: {{ cookies: observe }}\n");
    let gate = Gate::start(Setup { more, ..Setup::default() }, setting("set-cookie: session=a; Path=/app\r\n"));
    let mut raw = Raw::open(&gate).await;
    let answer = raw.ask("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\n\r\n").await.unwrap();
    assert_eq!(answer.header("set-cookie"), "__Host-session=a; Path=/; Secure");
    assert_eq!(gate.metric("anteroom_observed_total", &[("control", "cookies")]), 1.0);
}

#[test]
fn names_that_mean_two_things_are_refused() {
    for (cookies, fault) in [
        ("{ prefix: { __Host-session: __Host- } }", "`__Host-session` cannot get a prefix"),
        ("{ prefix: { \"a b\": __Host- } }", "`a b` cannot get a prefix"),
        ("{ prefix: { my_id: __Host-, my.id: __Secure- } }", "take `my.id` and `my_id` for one cookie"),
        ("{ prefix: { session: __Host } }", "__Host"),
    ] {
        let setup = Setup { more: format!("cookies: {cookies}\n"), ..Setup::default() };
        let files = Files::write(&setup, "127.0.0.1:3000".parse().unwrap());
        let faults = anteroom::config::prepare(&files.path("config.yaml")).unwrap_err();
        let text = policy::render(&faults.diagnostics, &faults.sources, false);
        assert!(text.contains(fault), "{cookies}: {text}");
    }
    let provider = "token: [{ cookie: __Host-session }]\n    claims: { tenant: org_id, roles: roles }".to_owned();
    let setup = Setup { provider, more: "cookies: { prefix: { session: __Host- } }\n".to_owned(), ..Setup::default() };
    let files = Files::write(&setup, "127.0.0.1:3000".parse().unwrap());
    let faults = anteroom::config::prepare(&files.path("config.yaml")).unwrap_err();
    assert!(faults.diagnostics.iter().any(|one| one.code == "cookie"), "{:?}", faults.diagnostics);
}
