//! What an application reads in its own way: odd forms of a path, parameters that pick the page, other methods in a POST.
//! Each is refused unless it is allowed by name, and then what it becomes is judged.

use e2e::app::App;
use e2e::client::{BOTH, Client, Protocol};
use e2e::gate::{Gate, Setup};
use serde_json::json;

use super::forms::post;

const POLICY: &str = r#"apiVersion: anteroom.dev/v1
kind: Policy
metadata: { name: legacy }
roles:
  provider: { can: { pages.*: tenant, notes.write: tenant } }
  patient: { can: { notes.read: own } }
scopes: { own: resource.patient == principal.claims.patient }
routes:
  index: { path: /index.php, methods: { GET: public } }
  edit: { path: /index.php, query: { page: edit }, methods: { GET: pages.edit, POST: pages.edit } }
  delete: { path: /index.php, query: { page: edit, do: delete }, methods: { POST: pages.delete } }
  notes: { path: /notes, methods: { POST: public, PUT: notes.write } }
  odd:
    path: '/odd/{patient}'
    resource: { patient: path.patient }
    methods: { GET: notes.read }
    allow: [encoded_slash, encoded_percent, path_parameters]
  secret: { path: /odd/p1/secret, methods: { GET: pages.edit } }
  wide: { path: '/**', methods: { "*": public } }
"#;

fn gate(app: &str) -> Gate {
    started(POLICY, app)
}

fn started(policy: &str, app: &str) -> Gate {
    Gate::start(Setup { policy: policy.to_owned(), app: app.to_owned(), ..Setup::default() }, App::plain())
}

/// Asks, and tells the code; `ok` where the application answered.
async fn ask(gate: &Gate, protocol: Protocol, line: &str, headers: &[(&str, &str)]) -> String {
    let (method, target) = line.split_once(' ').unwrap();
    let before = gate.app.count();
    let answer = Client::open(gate, protocol).await.ask(method, target, headers).await;
    let passed = answer.status == 200;
    assert_eq!(gate.app.count() - before, usize::from(passed), "{line}");
    if passed { "ok".to_owned() } else { answer.code() }
}

#[tokio::test]
async fn an_odd_form_arrives_as_it_was_sent_and_is_judged_as_the_application_reads_it() {
    // A reader that splits at an encoded slash would come to the widest route.
    let wide = gate("");
    assert_eq!(ask(&wide, Protocol::Http1, "GET /odd/p1%2Fx", &[]).await, "BAD_PATH");
    assert_eq!(ask(&wide, Protocol::Http1, "GET /odd/p1;x=1", &[]).await, "NO_CREDENTIAL");
    let gate = started(&POLICY.replace("'/**'", "'/wide/**'"), "");
    for (path, patient, code) in [
        ("/odd/p1", "p1", "ok"),
        ("/odd/p1;jsessionid=7F", "p1", "ok"),
        ("/odd/p1;jsessionid=7F", "p1;jsessionid=7F", "NOT_OWN"),
        ("/odd/p1%2Fx", "p1/x", "ok"),
        ("/odd/p1%2Fx", "p1", "NOT_OWN"),
        ("/odd/5%25", "5%", "ok"),
        ("/odd/5%25", "5", "NOT_OWN"),
        ("/odd/p1%2Fsecret", "p1/secret", "BAD_PATH"),
        ("/odd/p1%2FSECRET", "p1/SECRET", "BAD_PATH"),
        ("/odd/p1%252Fx", "p1%2Fx", "BAD_PATH"),
        ("/odd/..;/odd/p1", "p1", "BAD_PATH"),
        ("/odd/..%2Fodd%2Fp1", "p1", "BAD_PATH"),
        ("/odd/p1%3Bx", "p1", "BAD_PATH"),
        ("/odd/p1%5Cx", "p1\\x", "BAD_PATH"),
        ("/wide/p1;x", "p1", "BAD_PATH"),
        ("/wide/p1%2Fx", "p1", "BAD_PATH"),
        ("/wide/p1%25", "p1", "BAD_PATH"),
    ] {
        let token = gate.issuer().changed(json!({ "roles": ["patient"], "patient": patient }));
        let bearer = format!("Bearer {token}");
        for protocol in BOTH {
            let came = ask(&gate, protocol, &format!("GET {path}"), &[("authorization", &bearer)]).await;
            assert_eq!(came, code, "{path} {protocol:?}");
            if code == "ok" {
                assert_eq!(gate.app.last().target(), path);
            }
        }
    }
}

#[tokio::test]
async fn the_query_picks_the_route_and_what_is_ambiguous_picks_none() {
    let gate = gate("");
    let bearer = format!("Bearer {}", gate.issuer().ada());
    for (line, anonymous, provider) in [
        ("GET /index.php", "ok", "ok"),
        ("GET /index.php?page=view", "ok", "ok"),
        ("GET /index.php?page=edit", "NO_CREDENTIAL", "ok"),
        ("GET /index.php?%70age=%65dit", "NO_CREDENTIAL", "ok"),
        ("POST /index.php?x=1&page=edit", "NO_CREDENTIAL", "ok"),
        ("POST /index.php?do=delete&page=edit", "NO_CREDENTIAL", "ok"),
        ("GET /index.php?do=delete&page=edit", "METHOD_NOT_ALLOWED", "METHOD_NOT_ALLOWED"),
        ("POST /index.php", "METHOD_NOT_ALLOWED", "METHOD_NOT_ALLOWED"),
        ("GET /index.php?page=view&page=edit", "BAD_PATH", "BAD_PATH"),
        ("GET /index.php?page=edit&page=view", "BAD_PATH", "BAD_PATH"),
        ("GET /index.php?page[]=edit", "BAD_PATH", "BAD_PATH"),
        ("GET /index.php?page[0]=edit", "BAD_PATH", "BAD_PATH"),
        ("GET /index.php?page[$ne]=view", "BAD_PATH", "BAD_PATH"),
        ("GET /index.php?page[x]=edit&page=view", "BAD_PATH", "BAD_PATH"),
        ("GET /index.php?Page=edit", "BAD_PATH", "BAD_PATH"),
        ("GET /index.php?+page=edit", "BAD_PATH", "BAD_PATH"),
        ("GET /index.php?p.age=edit", "BAD_PATH", "BAD_PATH"),
        ("GET /index.php?x=1;page=edit", "BAD_PATH", "BAD_PATH"),
        ("GET /index.php?page=edit;x=1", "BAD_PATH", "BAD_PATH"),
        ("GET /index.php?page=%ff", "BAD_PATH", "BAD_PATH"),
        ("GET /index.php?page=EDIT", "NO_ROUTE", "NO_ROUTE"),
        ("GET /index.php?page=edit+", "NO_ROUTE", "NO_ROUTE"),
        ("GET /index.php?page=edit.php", "NO_ROUTE", "NO_ROUTE"),
        ("GET /index.php/?page=edit", "NO_ROUTE", "NO_ROUTE"),
        ("GET /index.php/x?page=edit", "NO_ROUTE", "NO_ROUTE"),
        ("GET /INDEX.PHP?page=edit", "NO_ROUTE", "NO_ROUTE"),
        ("GET /other?page=edit", "ok", "ok"),
    ] {
        for protocol in BOTH {
            assert_eq!(ask(&gate, protocol, line, &[]).await, anonymous, "{line} {protocol:?}");
            let came = ask(&gate, protocol, line, &[("authorization", &bearer)]).await;
            assert_eq!(came, provider, "{line} {protocol:?}");
        }
    }
    let many = format!("GET /index.php?{}page=edit", "x&".repeat(1_100));
    assert_eq!(ask(&gate, Protocol::Http1, &many, &[]).await, "BAD_PATH", "PHP leaves out what stands behind 1,000");
    let answer = Client::open(&gate, Protocol::Http1).await.ask("GET", "/index.php?page=edit", &[]).await;
    let event = gate.files.event(answer.header("x-request-id"));
    assert_eq!((event["rule"].as_str(), event["route"].as_str()), (Some("edit"), Some("GET /index.php")));
}

const OVERRIDE: &str = "x-http-method-override";

#[tokio::test]
async fn the_one_override_that_is_allowed_is_judged_as_what_it_makes() {
    for (app, target, header) in [
        (", method_override: header", "/notes", Some((OVERRIDE, "PUT"))),
        (", method_override: query", "/notes?_method=PUT", None),
    ] {
        let gate = gate(app);
        let bearer = format!("Bearer {}", gate.issuer().ada());
        let line = format!("POST {target}");
        for protocol in BOTH {
            assert_eq!(ask(&gate, protocol, "POST /notes", &[]).await, "ok", "a POST stays one");
            let sent: Vec<_> = header.into_iter().collect();
            assert_eq!(ask(&gate, protocol, &line, &sent).await, "NO_CREDENTIAL", "{app}");
            let sent: Vec<_> = header.into_iter().chain([("authorization", bearer.as_str())]).collect();
            assert_eq!(ask(&gate, protocol, &line, &sent).await, "ok", "{app}");
            let seen = gate.app.last();
            assert_eq!(seen.line(), format!("POST {target} HTTP/1.1"));
            assert_eq!(seen.all(OVERRIDE), header.iter().map(|(_, value)| *value).collect::<Vec<_>>());
            let delete = line.replace("PUT", "DELETE");
            let sent: Vec<_> = header.iter().map(|(name, _)| (*name, "DELETE")).collect();
            assert_eq!(ask(&gate, protocol, &delete, &sent).await, "METHOD_NOT_ALLOWED", "{app}");
            let get = line.replace("POST", "GET");
            let sent: Vec<_> = header.into_iter().collect();
            assert!(ask(&gate, protocol, &get, &sent).await.starts_with("BAD_"), "{app}");
        }
        // The record holds what the application runs.
        let sent: Vec<_> = header.into_iter().collect();
        let answer = Client::open(&gate, Protocol::Http1).await.ask("POST", target, &sent).await;
        assert_eq!(gate.files.event(answer.header("x-request-id"))["route"], "PUT /notes");
        // A page of another site gains nothing by it.
        let cookie = format!("__session={}", gate.issuer().ada());
        let foreign = [("cookie", cookie.as_str()), ("origin", "https://evil.example")];
        let sent: Vec<_> = header.into_iter().chain(foreign).collect();
        assert_eq!(ask(&gate, Protocol::Http1, &line, &sent).await, "CROSS_SITE", "{app}");
    }
}

#[tokio::test]
async fn every_other_override_is_refused_whichever_is_allowed() {
    for app in ["", ", method_override: refuse", ", method_override: header", ", method_override: query"] {
        let gate = gate(app);
        for protocol in BOTH {
            for name in ["x-http-method", "x-method-override"] {
                assert_eq!(ask(&gate, protocol, "POST /notes", &[(name, "PUT")]).await, "BAD_HEADER", "{app} {name}");
            }
            for query in [
                "_method[]=PUT",
                "_method[0]=PUT",
                "_METHOD=PUT",
                "+_method=PUT",
                "a=1;_method=PUT",
                "_method=Put",
                "_method=GET",
            ] {
                let came = ask(&gate, protocol, &format!("POST /notes?{query}"), &[]).await;
                assert_eq!(came, "BAD_PATH", "{app} {query}");
            }
            for value in ["Put", "GET", "CONNECT", "PUT, PUT", ""] {
                assert_eq!(
                    ask(&gate, protocol, "POST /notes", &[(OVERRIDE, value)]).await,
                    "BAD_HEADER",
                    "{app} {value}"
                );
            }
            let twice = [(OVERRIDE, "PUT"), (OVERRIDE, "PUT")];
            assert_eq!(ask(&gate, protocol, "POST /notes", &twice).await, "BAD_HEADER", "{app}");
        }
    }
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test]
async fn no_body_makes_another_request_of_it() {
    let part = "--b\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nPUT\r\n--b--\r\n";
    let long = format!("{}&_method=PUT", "a=b&".repeat(20_000));
    for protocol in BOTH {
        let gate = gate("");
        for (kind, body) in [
            ("application/x-www-form-urlencoded", "_method=PUT"),
            ("application/x-www-form-urlencoded", "title=x&%5fmethod=PUT"),
            ("application/x-www-form-urlencoded; charset=utf-8", "_method[]=PUT"),
            ("application/x-www-form-urlencoded", long.as_str()),
            ("multipart/form-data; boundary=b", part),
            ("application/json", "{\"_method\": \"PUT\"}"),
        ] {
            let came = post(&gate, protocol, "/notes", &[("content-type", kind)], body).await;
            assert!(came == "BAD_FRAMING" || (came == "cut" && body.len() > 10_000), "{kind} {protocol:?}: {came}");
            assert!(
                gate.app.seen().iter().all(|seen| !String::from_utf8_lossy(&seen.body).contains("method")),
                "{kind}"
            );
        }
        assert_eq!(post(&gate, protocol, "/notes", &[], "_method=PUT").await, "BAD_FRAMING");
        for (kind, body) in [
            ("application/x-www-form-urlencoded", "title=_method&text=a"),
            ("text/plain", "_method=PUT"),
            ("application/json", "{\"note\": {\"_method\": 1}}"),
        ] {
            assert_eq!(post(&gate, protocol, "/notes", &[("content-type", kind)], body).await, "ok", "{kind} {body}");
        }
        for kind in ["application/x-www-form-urlencoded; charset=utf-16", "multipart/form-data"] {
            assert_eq!(post(&gate, protocol, "/notes", &[("content-type", kind)], "a=b").await, "BAD_HEADER", "{kind}");
        }
        let gzip = [FORM, ("content-encoding", "gzip")];
        assert_eq!(post(&gate, protocol, "/notes", &gzip, "a=b").await, "BAD_HEADER");
    }
    // What picked the route stands in the query alone.
    let gate = gate("");
    let bearer = format!("Bearer {}", gate.issuer().ada());
    let sent = [FORM, ("authorization", bearer.as_str())];
    for (body, code) in [("text=a", "ok"), ("page=delete", "BAD_FRAMING"), ("do[]=delete", "BAD_FRAMING")] {
        assert_eq!(post(&gate, Protocol::Http1, "/index.php?page=edit", &sent, body).await, code, "{body}");
    }
}

#[tokio::test]
async fn the_method_of_a_form_is_judged_where_it_is_allowed_and_the_form_arrives_as_it_was() {
    let gate = gate(", method_override: form");
    let bearer = format!("Bearer {}", gate.issuer().ada());
    let front = format!("Bearer {}", gate.issuer().token("x", "a", &["front_desk"]));
    let long = format!("_method=put&{}", "a=b&".repeat(20_000));
    let late = format!("{}_method=put", "a=b&".repeat(20_000));
    for protocol in BOTH {
        for (body, provider, front_desk) in [
            ("text=a", "ok", "ok"),
            ("_method=put&text=a", "ok", "NOT_GRANTED"),
            ("text=a&_method=PUT", "ok", "NOT_GRANTED"),
            (long.as_str(), "ok", "NOT_GRANTED"),
            ("_method=delete", "METHOD_NOT_ALLOWED", "METHOD_NOT_ALLOWED"),
            ("_method=put&_method=delete", "BAD_FRAMING", "BAD_FRAMING"),
            ("_method=put&text=a;_method=delete", "BAD_FRAMING", "BAD_FRAMING"),
            ("_method=Put", "BAD_FRAMING", "BAD_FRAMING"),
            ("_method=get", "BAD_FRAMING", "BAD_FRAMING"),
            ("_method", "BAD_FRAMING", "BAD_FRAMING"),
            ("%5fmethod=put", "BAD_FRAMING", "BAD_FRAMING"),
            ("_method[]=put", "BAD_FRAMING", "BAD_FRAMING"),
            (late.as_str(), "BAD_FRAMING", "BAD_FRAMING"),
        ] {
            for (token, code) in [(&bearer, provider), (&front, front_desk)] {
                let came = post(&gate, protocol, "/notes", &[FORM, ("authorization", token)], body).await;
                let start = body.get(..20).unwrap_or(body);
                assert!(
                    came == code || (came == "cut" && code != "ok" && body.len() > 10_000),
                    "{start} {protocol:?}: {came}"
                );
            }
        }
        // Of a caller whom nobody knows it is read where the path has something for such callers.
        assert_eq!(post(&gate, protocol, "/notes", &[FORM], "_method=put").await, "NO_CREDENTIAL");
        assert_eq!(post(&gate, protocol, "/notes", &[FORM], "_method=put&_method=put").await, "BAD_FRAMING");
        let part = "--b\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nPUT\r\n--b--\r\n";
        let parts = ("content-type", "multipart/form-data; boundary=b");
        assert_eq!(post(&gate, protocol, "/notes", &[parts, ("authorization", &bearer)], part).await, "ok");
        assert_eq!(post(&gate, protocol, "/notes", &[parts, ("authorization", &front)], part).await, "NOT_GRANTED");
        assert_eq!(post(&gate, protocol, "/notes", &[FORM], "text=a").await, "ok");
        assert_eq!(ask(&gate, protocol, "POST /notes?_method=PUT", &[]).await, "BAD_PATH");
        assert_eq!(ask(&gate, protocol, "POST /notes", &[(OVERRIDE, "PUT")]).await, "BAD_HEADER");
    }
    let sent = [FORM, ("authorization", bearer.as_str())];
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let answer = client.post("POST", "/notes", &sent, "_method=put&text=a").await;
    assert_eq!(gate.files.event(answer.header("x-request-id"))["route"], "PUT /notes");
    let seen = gate.app.last();
    assert_eq!((seen.line(), seen.header("content-length")), ("POST /notes HTTP/1.1", Some("18")));
}
