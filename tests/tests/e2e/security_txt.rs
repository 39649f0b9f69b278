//! Whom to tell of a vulnerability: the application's word first, the configuration's where it has none.

use anteroom::clock::Clock;
use e2e::app::App;
use e2e::client::{BOTH, Client};
use e2e::gate::{Files, Gate, POLICY, Setup};
use e2e::process;
use serde_json::json;

const PATH: &str = "/.well-known/security.txt";
const TEXT: &str = "security_txt: { contact: [\"mailto:security@clinic.example\", \"https://clinic.example/report\"], \
                    expires: 2099-06-30, policy: [\"https://clinic.example/policy\"], preferred_languages: [en, de] }\n";
const SERVED: &str = "Contact: mailto:security@clinic.example\nContact: https://clinic.example/report\n\
                      Policy: https://clinic.example/policy\nPreferred-Languages: en, de\n\
                      Expires: 2099-06-30T00:00:00Z\n";

fn setup(route: &str) -> Setup {
    let policy = POLICY.replace("routes:\n", &format!("routes:\n{route}"));
    Setup { policy, more: TEXT.to_owned(), ..Setup::default() }
}

/// An application with this status for everything.
fn app(status: &'static str) -> App {
    App::start(move |exchange| {
        exchange.read_body();
        exchange.answer(status, "content-type: text/plain\r\n", "the application's")
    })
}

#[tokio::test]
async fn the_configurations_text_is_served_where_the_application_has_none() {
    let public = "  known: { path: \"/.well-known/**\", methods: { GET: public } }\n";
    let closed = "  known: { path: \"/.well-known/**\", methods: { \"*\": authenticated } }\n";
    let posted = "  known: { path: \"/.well-known/**\", methods: { POST: public } }\n";
    for (route, status, ours, asked) in [
        ("", "200 OK", true, false),
        (closed, "200 OK", true, false),
        (posted, "200 OK", true, false),
        (public, "404 Not Found", true, true),
        (public, "200 OK", false, true),
        (public, "403 Forbidden", false, true),
    ] {
        let gate = Gate::start(setup(route), app(status));
        for protocol in BOTH {
            let case = format!("{protocol:?} {route} {status}");
            let mut client = Client::open(&gate, protocol).await;
            let before = gate.app.count();
            let answer = client.ask("GET", PATH, &[]).await;
            assert_eq!(answer.text(), if ours { SERVED } else { "the application's" }, "{case}");
            assert_eq!(gate.app.count() > before, asked, "{case}");
            let event = gate.files.event(answer.id());
            assert_eq!((&event["decision"], &event["status"]), (&json!("allow"), &json!(answer.status.as_u16())));
            if ours {
                assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/plain; charset=utf-8"));
                let head = client.ask("HEAD", PATH, &[]).await;
                assert_eq!((head.status.as_u16(), head.body.len()), (200, 0), "{case}");
                assert_eq!(head.header("content-length"), SERVED.len().to_string(), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn without_one_and_past_its_day_nothing_is_served() {
    let gate = Gate::plain();
    let answer = Client::open(&gate, BOTH[0]).await.ask("GET", PATH, &[]).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "NO_ROUTE"));

    let (before, after) = (4_086_460_799, 4_086_460_800); // around the first second of 2099-06-30
    for (now, status) in [(before, 200), (after, 404)] {
        let gate = Gate::start(Setup { clock: Clock::manual(now * 1_000), ..setup("") }, App::plain());
        let mut client = Client::open(&gate, BOTH[1]).await;
        assert_eq!(client.ask("GET", PATH, &[]).await.status.as_u16(), status);
        assert_eq!(client.ask("POST", PATH, &[]).await.code(), "NO_ROUTE");
    }
}

#[test]
fn check_refuses_a_text_past_its_day_or_against_the_standard() {
    for (text, says) in [
        ("{ contact: [\"mailto:a@b.example\"], expires: 2024-06-30 }", "past its day"),
        ("{ contact: [\"mailto:a@b.example\"], expires: 2024-06-31 }", "is no day"),
        ("{ contact: [], expires: 2099-06-30 }", "is empty"),
        ("{ contact: [\"a@b.example\"], expires: 2099-06-30 }", "cannot stand under `Contact`"),
        ("{ contact: [\"https://a.example/x\\ny\"], expires: 2099-06-30 }", "cannot stand under `Contact`"),
        ("{ contact: [\"https://a.example\"], policy: [\"http://a.example\"], expires: 2099-06-30 }", "under `Policy`"),
        ("{ contact: [\"https://a.example\"] }", "expires"),
        ("{ contact: [\"https://a.example\"], preferred_languages: [\"en, de\"], expires: 2099-06-30 }", "no language"),
    ] {
        let setup = Setup { more: format!("security_txt: {text}\n"), ..Setup::default() };
        let files = Files::write(&setup, "127.0.0.1:3000".parse().unwrap());
        let said = process::run(files.root(), &["check", "--config", "config.yaml"]);
        assert!(said.err.contains(says), "{text}: {said:?}");
        let starts = anteroom::config::prepare(&files.path("config.yaml")).is_ok();
        assert_eq!(starts, says == "past its day", "a day that has come keeps no gate from starting: {text}");
    }
}
