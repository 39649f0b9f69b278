//! Routes that a form picks: what it says, in whatever pieces it comes, is what is judged and what the application gets.

use e2e::app::App;
use e2e::client::{BOTH, Client, HOST, Protocol, body, whole};
use e2e::gate::{Gate, Setup};
use e2e::raw::Raw;
use e2e::until;
use e2e::wire::{Ended, Wire};

pub(crate) const POLICY: &str = r#"apiVersion: anteroom.dev/v1
kind: Policy
metadata: { name: legacy }
roles:
  provider: { can: { pages.*: tenant } }
  front_desk: { can: { pages.list: tenant, pages.view: tenant } }
routes:
  list: { path: /admin.php, methods: { GET: pages.list, POST: pages.list } }
  view: { path: /admin.php, form: { action: view }, methods: { POST: pages.view } }
  delete: { path: /admin.php, form: { action: delete }, methods: { POST: pages.delete, DELETE: pages.delete } }
  all: { path: /admin.php, form: { action: delete, "which[]": all }, methods: { POST: pages.purge } }
  login: { path: /index.php, query: { page: in }, form: { option: login }, methods: { POST: public } }
  save: { path: /index.php, query: { page: users }, form: { option: save }, methods: { POST: pages.save } }
  show: { path: /index.php, query: { page: show }, methods: { GET: public, POST: public } }
  beat: { path: /ajax, form: { action: beat }, methods: { POST: authenticated } }
  beat_by_query: { path: /ajax, query: { action: beat }, methods: { GET: authenticated, POST: authenticated } }
  wide: { path: '/**', methods: { "*": public } }
"#;

pub(crate) fn gate(app: &str) -> Gate {
    Gate::start(Setup { policy: POLICY.to_owned(), app: app.to_owned(), ..Setup::default() }, App::plain())
}

pub(crate) const PLAIN: &str = "application/x-www-form-urlencoded";
const PARTS: &str = "multipart/form-data; boundary=X";

/// Posts, and tells the code; `ok` where the application got the whole body. What is refused never got there whole.
pub(crate) async fn post(
    gate: &Gate,
    protocol: Protocol,
    target: &str,
    headers: &[(&str, &str)],
    text: &str,
) -> String {
    let before = gate.app.count();
    let mut client = Client::open(gate, protocol).await;
    let request =
        headers.iter().fold(client.request("POST", target), |request, (name, value)| request.header(*name, *value));
    // Whoever is still sending may be cut off before the answer arrives.
    let Ok(answer) = client.head(request.body(body(text.to_owned())).unwrap()).await else { return "cut".to_owned() };
    let answer = whole(answer).await.unwrap();
    if answer.status == 200 {
        until("the whole body", || (gate.app.last().body == text.as_bytes()).then_some(()));
        return "ok".to_owned();
    }
    let seen = gate.app.seen().split_off(before);
    assert!(seen.iter().all(|one| one.body.len() < text.len()), "{target} {text}");
    answer.code()
}

/// A form in parts.
fn parts(fields: &[(&str, &str)]) -> String {
    let part = |(name, value): &(&str, &str)| {
        format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    format!("{}--X--\r\n", fields.iter().map(part).collect::<String>())
}

/// The same fields as browsers write them in a plain form.
fn pairs(fields: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| {
        format!("{}={}", name.replace('[', "%5B").replace(']', "%5D"), value.replace(' ', "+").replace('\r', "%0D"))
    };
    fields.iter().map(pair).collect::<Vec<_>>().join("&")
}

#[tokio::test]
async fn the_form_picks_the_route_in_both_forms_of_forms() {
    let gate = gate("");
    let ada = format!("Bearer {}", gate.issuer().ada());
    let front = format!("Bearer {}", gate.issuer().token("x", "a", &["front_desk"]));
    let long = "x".repeat(70_000);
    for (target, fields, provider, front_desk, anonymous) in [
        ("/admin.php", &[("a", "b")][..], "ok", "ok", "NO_CREDENTIAL"),
        ("/admin.php", &[("action", "list")], "ok", "ok", "NO_CREDENTIAL"),
        ("/admin.php", &[("action", "view"), ("id", "7")], "ok", "ok", "NO_CREDENTIAL"),
        ("/admin.php", &[("id", "7"), ("action", "delete")], "ok", "NOT_GRANTED", "NO_CREDENTIAL"),
        ("/admin.php", &[("which[]", "all"), ("action", "delete")], "ok", "NOT_GRANTED", "NO_CREDENTIAL"),
        ("/admin.php", &[("action", "delete"), ("text", long.as_str())], "ok", "NOT_GRANTED", "NO_CREDENTIAL"),
        ("/admin.php", &[("action", "DELETE")], "NO_ROUTE", "NO_ROUTE", "NO_CREDENTIAL"),
        ("/admin.php", &[("action", "delete ")], "NO_ROUTE", "NO_ROUTE", "NO_CREDENTIAL"),
        ("/admin.php", &[("action", "view"), ("action", "delete")], "BAD_FRAMING", "BAD_FRAMING", "NO_CREDENTIAL"),
        ("/admin.php", &[("Action", "delete")], "BAD_FRAMING", "BAD_FRAMING", "NO_CREDENTIAL"),
        ("/admin.php", &[("action[]", "delete")], "BAD_FRAMING", "BAD_FRAMING", "NO_CREDENTIAL"),
        ("/admin.php", &[("which", "all")], "BAD_FRAMING", "BAD_FRAMING", "NO_CREDENTIAL"),
        ("/admin.php?action=delete", &[("a", "b")], "BAD_PATH", "BAD_PATH", "NO_CREDENTIAL"),
        ("/admin.php?action=delete", &[("action", "view")], "BAD_PATH", "BAD_PATH", "NO_CREDENTIAL"),
        ("/admin.php?action[]=delete", &[("action", "view")], "BAD_PATH", "BAD_PATH", "NO_CREDENTIAL"),
        ("/index.php?page=in", &[("option", "login"), ("password", "secret")], "ok", "ok", "ok"),
        ("/index.php?page=in", &[("option", "logon")], "NO_ROUTE", "NO_ROUTE", "NO_ROUTE"),
        ("/index.php?page=users", &[("option", "save")], "ok", "NOT_GRANTED", "NO_CREDENTIAL"),
        ("/index.php?page=users", &[("option", "login")], "NO_ROUTE", "NO_ROUTE", "NO_ROUTE"),
        ("/index.php?page=show", &[("a", "b")], "ok", "ok", "ok"),
        ("/index.php?page=show", &[("page", "users")], "BAD_FRAMING", "BAD_FRAMING", "BAD_FRAMING"),
        ("/ajax", &[("action", "beat")], "ok", "ok", "NO_CREDENTIAL"),
        ("/ajax?action=beat", &[("a", "b")], "ok", "ok", "NO_CREDENTIAL"),
        ("/ajax?action=beat", &[("action", "beat")], "BAD_PATH", "BAD_PATH", "NO_CREDENTIAL"),
        ("/ajax", &[("action", "other")], "NO_ROUTE", "NO_ROUTE", "NO_CREDENTIAL"),
        ("/other", &[("action", "delete")], "ok", "ok", "ok"),
    ] {
        for (kind, body) in [(PLAIN, pairs(fields)), (PARTS, parts(fields))] {
            for protocol in BOTH {
                for (token, code) in [(&ada, provider), (&front, front_desk), (&String::new(), anonymous)] {
                    let sent = [("content-type", kind), ("authorization", token.as_str())];
                    let sent = if token.is_empty() { &sent[..1] } else { &sent };
                    let came = post(&gate, protocol, target, sent, &body).await;
                    let start = body.get(..60).unwrap_or(&body);
                    let cut = came == "cut" && code != "ok" && body.len() > 10_000;
                    assert!(came == code || cut, "{target} {start} {protocol:?}: {came}, not {code}");
                }
            }
        }
    }
    let sent = [("content-type", PLAIN), ("authorization", front.as_str())];
    let answer = Client::open(&gate, Protocol::Http1).await.post("POST", "/admin.php", &sent, "action=delete").await;
    let event = gate.files.event(answer.id());
    assert_eq!((event["rule"].as_str(), event["route"].as_str()), (Some("delete"), Some("POST /admin.php")));
    // A preflight has no form, and is recorded under its route.
    let asked = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    let answer = Client::open(&gate, Protocol::Http1).await.ask("OPTIONS", "/admin.php", &asked).await;
    assert_eq!((answer.code().as_str(), &gate.files.event(answer.id())["rule"]), ("CROSS_SITE", &"list".into()));
    // Without a form its fields are absent.
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for (method, target, code) in
        [("GET", "/admin.php", ""), ("POST", "/admin.php", ""), ("GET", "/admin.php?action=delete", "BAD_PATH")]
    {
        let answer = client.ask(method, target, &[("authorization", &ada)]).await;
        assert_eq!((answer.code().as_str(), answer.status == 200), (code, code.is_empty()), "{method} {target}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_clear_form_passes_nowhere_where_a_form_picks_the_route() {
    let gate = gate("");
    let ada = format!("Bearer {}", gate.issuer().ada());
    let json = "{\"action\":\"delete\"}";
    for protocol in BOTH {
        for (target, headers, body, code) in [
            ("/admin.php", &[("content-type", "application/json")][..], json, "BAD_HEADER"),
            ("/admin.php", &[("content-type", "text/plain")], "action=delete", "BAD_HEADER"),
            ("/admin.php", &[("content-type", "application/xml")], "<a/>", "BAD_HEADER"),
            ("/admin.php", &[], "action=delete", "BAD_HEADER"),
            ("/admin.php", &[("content-type", "multipart/mixed; boundary=X")], "--X--\r\n", "BAD_HEADER"),
            ("/admin.php", &[("content-type", "multipart/form-data")], "--X--\r\n", "BAD_HEADER"),
            (
                "/admin.php",
                &[("content-type", "multipart/form-data; boundary=X; boundary=Y")],
                "--X--\r\n",
                "BAD_HEADER",
            ),
            ("/admin.php", &[("content-type", &format!("{PLAIN}; charset=utf-16"))], "a=b", "BAD_HEADER"),
            ("/admin.php", &[("content-type", PLAIN), ("content-encoding", "gzip")], "a=b", "BAD_HEADER"),
            (
                "/admin.php",
                &[("content-type", PLAIN), ("content-encoding", "identity"), ("content-encoding", "gzip")],
                "a=b",
                "BAD_HEADER",
            ),
            // Where the query leaves nothing for a form to pick, other bodies pass, and are watched.
            ("/index.php?page=show", &[("content-type", "application/json")], "{\"a\":1}", "ok"),
            ("/index.php?page=show", &[("content-type", "application/json")], "{\"option\":1}", "BAD_FRAMING"),
            ("/other", &[("content-type", "application/json")], json, "ok"),
        ] {
            let sent: Vec<_> = headers.iter().copied().chain([("authorization", ada.as_str())]).collect();
            assert_eq!(post(&gate, protocol, target, &sent, body).await, code, "{target} {headers:?}");
        }
        for method in ["PUT", "PATCH", "DELETE"] {
            let sent = [("content-type", PLAIN), ("authorization", ada.as_str())];
            let answer = Client::open(&gate, protocol).await.post(method, "/admin.php", &sent, "action=delete").await;
            assert_eq!(answer.code(), "BAD_FRAMING", "{method}");
        }
    }
}

#[tokio::test]
async fn a_form_that_comes_byte_by_byte_is_judged_as_a_whole_one() {
    let gate = gate("");
    let front = format!("Bearer {}", gate.issuer().token("x", "a", &["front_desk"]));
    let line =
        |more: &str| format!("POST /admin.php HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {front}\r\n{more}\r\n\r\n");
    for (kind, body, status) in [
        (PLAIN, pairs(&[("id", "7"), ("action", "view")]), 200),
        (PLAIN, pairs(&[("id", "7"), ("action", "delete"), ("x", "y")]), 403),
        (PARTS, parts(&[("id", "7"), ("action", "view")]), 200),
        (PARTS, parts(&[("action", "delete"), ("x", "y")]), 403),
    ] {
        let mut raw = Raw::open(&gate).await;
        raw.send(line(&format!("Content-Type: {kind}\r\nContent-Length: {}", body.len()))).await;
        for byte in body.bytes() {
            raw.send([byte]).await;
        }
        let answer = raw.answer().await.unwrap();
        assert_eq!(answer.status(), status, "{body}");
        let mut raw = Raw::open(&gate).await;
        raw.send(line(&format!("Content-Type: {kind}\r\nTransfer-Encoding: chunked"))).await;
        for byte in body.bytes() {
            raw.send([b"1\r\n", &[byte][..], b"\r\n"].concat()).await;
        }
        raw.send("0\r\n\r\n").await;
        assert_eq!(raw.answer().await.unwrap().status(), status, "{body} in chunks");

        let mut wire = Wire::open(&gate).await;
        let fields: Vec<(&[u8], &[u8])> = vec![
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", HOST.as_bytes()),
            (b":path", b"/admin.php"),
            (b"content-type", kind.as_bytes()),
            (b"authorization", front.as_bytes()),
        ];
        let stream = wire.start(&fields, false).await;
        for byte in body.bytes() {
            wire.data(stream, &[byte], false).await;
        }
        wire.data(stream, b"", true).await;
        let ended = wire.end_of(stream).await;
        match status {
            200 => assert!(matches!(ended, Ended::Answered(_)) && ended.code().is_empty(), "{body}: {ended:?}"),
            _ => assert_eq!(ended.code(), "NOT_GRANTED", "{body}"),
        }
        if status == 200 {
            until("the whole body", || (gate.app.last().body == body.as_bytes()).then_some(()));
        }
    }
}

#[tokio::test]
async fn what_follows_the_part_that_was_read_makes_no_other_request() {
    let gate = gate("");
    let front = format!("Bearer {}", gate.issuer().token("x", "a", &["front_desk"]));
    let filler = pairs(&[("text", "x".repeat(90_000).as_str())]);
    for body in [
        format!("action=view&{filler}&action=delete"),
        format!("action=view&{filler}&action[]=delete"),
        format!("action=view&{filler};action=delete"),
        format!("action=view&which%5B%5D=one&{filler}&%61ction=delete&z=1"),
        format!("{filler}&action=delete"),
        format!("{filler}&action=view"),
    ] {
        for chunked in [false, true] {
            let before = gate.app.count();
            let mut raw = Raw::open(&gate).await;
            let length = if chunked {
                "Transfer-Encoding: chunked".to_owned()
            } else {
                format!("Content-Length: {}", body.len())
            };
            raw.send(format!(
                "POST /admin.php HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {front}\r\nContent-Type: {PLAIN}\r\n{length}\r\n\r\n"
            ))
            .await;
            if chunked {
                raw.send(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())).await;
            } else {
                raw.send(&body).await;
            }
            if let Some(answer) = raw.answer().await {
                assert_eq!((answer.status(), answer.code().as_str()), (400, "BAD_FRAMING"));
            }
            until("the application to be rid of it", || {
                let seen = gate.app.seen().split_off(before);
                seen.iter().all(|one| !String::from_utf8_lossy(&one.body).contains("delete")).then_some(())
            });
            assert!(gate.app.seen().split_off(before).iter().all(|one| one.body.len() < body.len()));
        }
    }
}

#[tokio::test]
async fn a_form_is_asked_for_once_it_may_be_read_and_an_oversize_one_never() {
    let setup = Setup { policy: POLICY.to_owned(), limits: "{ body: 1KiB }".to_owned(), ..Setup::default() };
    let gate = Gate::start(setup, App::plain());
    let ada = gate.issuer().ada();
    let head = |target: &str, token: &str, length: usize| {
        let token = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        format!(
            "POST {target} HTTP/1.1\r\nHost: {HOST}\r\n{token}Content-Type: {PLAIN}\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    for (target, token, length, status) in [
        ("/admin.php", ada.as_str(), 13, 100),
        ("/index.php?page=in", "", 13, 100),
        ("/admin.php", "", 13, 401),
        ("/admin.php", "no.token.at-all", 13, 401),
        ("/admin.php", ada.as_str(), 2_000, 413),
        ("/index.php?page=in", "", 2_000, 413),
    ] {
        let mut raw = Raw::open(&gate).await;
        let answer = raw.ask(head(target, token, length)).await.unwrap();
        assert_eq!(answer.status(), status, "{target} {length}");
        if status == 100 {
            let answer = raw.ask(if token.is_empty() { "option=login&" } else { "action=delete" }).await.unwrap();
            assert_eq!(answer.status(), 200, "{target}");
        }
    }
}

#[tokio::test]
async fn the_method_and_the_route_are_read_of_one_form() {
    let gate = gate(", method_override: form");
    let ada = format!("Bearer {}", gate.issuer().ada());
    for (fields, code) in [
        (&[("_method", "delete"), ("action", "delete")][..], "ok"),
        (&[("action", "delete"), ("_method", "delete")], "ok"),
        (&[("action", "view"), ("_method", "delete")], "METHOD_NOT_ALLOWED"),
        (&[("action", "delete"), ("_method", "get")], "BAD_FRAMING"),
        (&[("action", "delete"), ("_METHOD", "delete")], "BAD_FRAMING"),
    ] {
        for (kind, body) in [(PLAIN, pairs(fields)), (PARTS, parts(fields))] {
            let sent = [("content-type", kind), ("authorization", ada.as_str())];
            for protocol in BOTH {
                assert_eq!(post(&gate, protocol, "/admin.php", &sent, &body).await, code, "{body}");
            }
        }
    }
    let sent = [("content-type", PARTS), ("authorization", ada.as_str())];
    let body = parts(&[("action", "delete"), ("_method", "delete")]);
    let answer = Client::open(&gate, Protocol::Http2).await.post("POST", "/admin.php", &sent, body).await;
    assert_eq!(gate.files.event(answer.id())["route"], "DELETE /admin.php");
}
