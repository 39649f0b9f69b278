//! The demo's servers over real sockets. The gate itself is a stand-in here: the real one is tested end to end.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::Value;

use super::client::{Target, Told, send};
use super::tries::{Expect, Group, Try};
use super::*;

const SCRIPT: DemoArgs = DemoArgs { what: None, json: true, port: None };

async fn stage() -> (Stage, Place) {
    let place = Place::make().unwrap();
    let stage = Stage::set(&SCRIPT, &place, Clock::system()).await.unwrap();
    (stage, place)
}

/// A request that no list holds.
fn ask(method: &'static str, path: &'static str, headers: &[(&'static str, &str)], body: Option<&str>) -> Try {
    Try {
        name: "ask",
        title: "a question",
        group: Group::In,
        persona: None,
        method,
        path,
        headers: headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        body: body.map(str::to_owned),
        repeat: 1,
        expect: Expect { status: 200, code: None },
        printed: false,
    }
}

impl Stage {
    async fn app(&self, one: Try) -> Told {
        send(&Target::App(self.console.app), &one, None).await.unwrap()
    }

    async fn page(&self, one: Try) -> Told {
        let port: u16 = self.console.authority.rsplit(':').next().unwrap().parse().unwrap();
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        send(&Target::Gate(at, self.console.connector.clone()), &one, None).await.unwrap()
    }
}

fn header<'a>(told: &'a Told, name: &str) -> &'a str {
    told.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

fn listed(told: &Told) -> usize {
    serde_json::from_str::<Value>(&told.body).unwrap()["patients"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_old_application_believes_what_it_is_told() {
    let (stage, _place) = stage().await;
    let everybody = stage.app(ask("GET", "/api/patients", &[], None)).await;
    assert_eq!((everybody.status, listed(&everybody)), (200, 8), "no clinic named, no filter");
    let hillside = stage.app(ask("GET", "/api/patients", &[("x-tenant-id", "hillside")], None)).await;
    assert_eq!(listed(&hillside), 4);
    let by_path = stage.app(ask("GET", "/api/clinics/hillside/patients", &[("x-tenant-id", "harbour")], None)).await;
    assert_eq!(listed(&by_path), 4, "the path wins over the caller's clinic");
    let guessed = stage.app(ask("GET", "/api/patients/p-201", &[("x-tenant-id", "harbour")], None)).await;
    assert_eq!(guessed.status, 404);
}

#[tokio::test]
async fn the_old_application_leaks() {
    let (stage, _place) = stage().await;
    let page = stage.app(ask("GET", "/patients", &[], None)).await;
    assert!(header(&page, "server").starts_with("HarbourHTTPd/"));
    assert!(header(&page, "x-powered-by").starts_with("ClinicScript/"));
    let cookie = header(&page, "set-cookie");
    assert!(cookie.starts_with("OHSESSID=") && !cookie.contains("Secure") && !cookie.contains("HttpOnly"));
    let trace = stage.app(ask("GET", "/debug/error", &[], None)).await;
    assert_eq!(trace.status, 500);
    assert!(trace.body.contains("Otto Fixture"));
    let seen = stage.app(ask("GET", "/debug/headers", &[("x-user-roles", "admin")], None)).await;
    assert!(seen.body.contains("[\"x-user-roles\",\"admin\"]"));
    let crash = send(&Target::App(stage.console.app), &ask("GET", "/crash", &[], None), None).await;
    assert!(crash.unwrap_err().contains("without an answer"));
}

#[tokio::test]
async fn notes_and_signatures_are_kept_under_the_name_that_was_told() {
    let (stage, _place) = stage().await;
    let ada = [("x-tenant-id", "harbour"), ("x-user-id", "clinic|ada"), ("content-type", "application/json")];
    let added = stage.app(ask("POST", "/api/patients/p-101/records", &ada, Some(r#"{"note":"<b>hm</b>"}"#))).await;
    assert_eq!(added.status, 201);
    assert!(added.body.contains(r#""by":"clinic|ada""#));
    let posted = stage.app(ask("POST", "/patients/p-101/records", &ada[..2], Some("note=by+form%21"))).await;
    assert_eq!((posted.status, header(&posted, "location")), (303, "/patients/p-101"));
    let page = stage.app(ask("GET", "/patients/p-101", &ada[..2], None)).await;
    assert!(page.body.contains("by form!") && page.body.contains("&lt;b&gt;hm") && !page.body.contains("<b>hm"));
    assert!(page.body.contains("you are <b>clinic|ada</b>"));
    let signed = stage.app(ask("POST", "/api/prescriptions/rx-1/sign", &ada[..2], None)).await;
    assert!(signed.body.contains(r#""signed_by":"clinic|ada""#));
    let broken = stage.app(ask("POST", "/api/patients/p-101/records", &ada, Some("{"))).await;
    assert_eq!(broken.status, 400);
    let long = "x".repeat(70 * 1024);
    let long =
        send(&Target::App(stage.console.app), &ask("POST", "/api/patients/p-101/records", &ada, Some(&long)), None)
            .await;
    assert!(long.map_or(true, |told| told.status == 413), "a body has a limit");
}

#[tokio::test]
async fn every_page_of_the_clinic_is_filled() {
    let (stage, _place) = stage().await;
    for path in [
        "/",
        "/patients",
        "/patients?q=otto",
        "/patients/p-101",
        "/patients/p-101/records/1",
        "/nothing",
        "/debug/error",
    ] {
        let page = stage.app(ask("GET", path, &[], None)).await;
        assert!(page.body.contains("Old Harbour") && !page.body.contains("{{"), "{path}");
    }
    let found = stage.app(ask("GET", "/patients?q=OTTO", &[], None)).await;
    assert!(found.body.contains("Otto Fixture") && !found.body.contains("Testy"));
}

#[tokio::test]
async fn the_page_names_everything_and_runs_nothing_inline() {
    let (stage, _place) = stage().await;
    let page = stage.page(ask("GET", "/", &[], None)).await;
    assert_eq!(page.status, 200);
    assert!(header(&page, "content-security-policy").starts_with("default-src 'none'; script-src 'self';"));
    for inline in ["<style", "style=", " onclick", "javascript:", "<script>", "{{", "http-equiv"] {
        assert!(!page.body.contains(inline), "{inline}");
    }
    for one in &stage.console.tries {
        assert!(page.body.contains(&format!("data-try=\"{}\"", one.name)), "{}", one.name);
    }
    for one in &personas::PERSONAS {
        assert!(page.body.contains(one.name), "{}", one.name);
    }
    for (path, kind) in
        [("/console.css", "text/css"), ("/console.js", "text/javascript"), ("/mark.svg", "image/svg+xml")]
    {
        let asset = stage.page(ask("GET", path, &[], None)).await;
        assert!(asset.status == 200 && header(&asset, "content-type").starts_with(kind), "{path}");
        assert!(!asset.body.contains("https://") || path == "/mark.svg", "{path} asks nobody else");
    }
}

#[tokio::test]
async fn other_sites_and_other_names_get_nothing() {
    let (stage, _place) = stage().await;
    let rebound = stage.page(ask("GET", "/", &[("host", "rebound.example")], None)).await;
    assert_eq!(rebound.status, 421);
    for foreign in [("origin", "https://other.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let told = stage.page(ask("POST", "/sign-in", &[foreign], Some("persona=admin"))).await;
        assert_eq!(told.status, 403, "{foreign:?}");
        assert_eq!(header(&told, "set-cookie"), "");
    }
    assert_eq!(stage.page(ask("POST", "/try/unheard-of", &[], None)).await.status, 404);
    assert_eq!(stage.page(ask("POST", "/try/no-route", &[], None)).await.status, 503, "the gate is not open yet");
}

#[tokio::test]
async fn a_chosen_persona_is_signed_in_and_out() {
    let (stage, _place) = stage().await;
    let origin = format!("https://{}", stage.console.authority);
    let chosen = stage.page(ask("POST", "/sign-in", &[("origin", &origin)], Some("persona=admin"))).await;
    assert_eq!((chosen.status, header(&chosen, "location")), (303, "/"));
    let cookie = header(&chosen, "set-cookie").split(';').next().unwrap().to_owned();
    let page = stage.page(ask("GET", "/", &[("cookie", &cookie)], None)).await;
    assert!(page.body.contains("This browser is <strong>Addy Minh-Sample</strong>"));
    assert_eq!(page.body.matches("aria-pressed=\"true\"").count(), 1);
    let out = stage.page(ask("POST", "/sign-out", &[("cookie", &cookie)], None)).await;
    assert!(header(&out, "set-cookie").starts_with("__session=; "));
}

#[tokio::test]
async fn the_provider_publishes_its_key_over_tls() {
    let (stage, place) = stage().await;
    let discovered = stage.page(ask("GET", "/.well-known/openid-configuration", &[], None)).await;
    let discovered: Value = serde_json::from_str(&discovered.body).unwrap();
    assert_eq!(discovered["issuer"], stage.console.issuer.url());
    assert_eq!(discovered["jwks_uri"], format!("{}/jwks.json", stage.console.issuer.url()));
    let keys = stage.page(ask("GET", "/jwks.json", &[], None)).await;
    let keys: Value = serde_json::from_str(&keys.body).unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    assert!(keys["keys"][0].get("d").is_none(), "nothing private");
    let written: BTreeSet<String> = std::fs::read_dir(place.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected = [
        "as",
        "ca.pem",
        "config.yaml",
        "directory.yaml",
        "login.key",
        "policies",
        "pseudonym.key",
        "revoked.yaml",
        "tls",
    ];
    assert_eq!(written.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_try_shows_the_gates_answer_and_the_applications() {
    let (stage, place) = stage().await;
    let listener = listener(None).await.unwrap();
    let gate = local(&listener).unwrap();
    let tls = Place::make().and_then(|other| certificates(&other, Clock::system().now().unix_seconds())).unwrap();
    // The page's own certificate authority does not vouch for this one.
    let pair = |name: &str| std::fs::File::open(place.path(name)).and_then(std::io::read_to_string).unwrap();
    let pair = certs::load_pair(pair("tls/tls.crt").as_bytes(), pair("tls/tls.key").as_bytes()).unwrap();
    let acceptor = TlsAcceptor::from(certs::server_config(vec![pair]).unwrap());
    tokio::spawn(web::serve(listener, Some(acceptor), |_| async {
        Ok(web::answer(StatusCode::UNAUTHORIZED, "application/problem+json", r#"{"code":"NO_CREDENTIAL"}"#))
    }));
    stage.console.gate.set(gate).unwrap();
    let told = stage.page(ask("POST", "/try/no-credential", &[], None)).await;
    let told: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(told["gate"]["status"], 401);
    assert_eq!(told["expect"]["code"], "NO_CREDENTIAL");
    assert_eq!(told["bare"]["status"], 200, "the application alone lets everybody in");
    assert!(told["curl"].as_str().unwrap().starts_with("curl -i --cacert ca.pem https://localhost:"));
    let one = ask("GET", "/", &[], None);
    let distrusted = send(&Target::Gate(gate, tls.connector), &one, None).await;
    assert!(distrusted.unwrap_err().starts_with("no TLS"), "verification is real");
}

#[tokio::test]
async fn the_configuration_is_filled_and_quoted() {
    let (stage, place) = stage().await;
    let text = std::fs::File::open(place.path("config.yaml")).and_then(std::io::read_to_string).unwrap();
    assert!(!text.contains("{{"));
    assert!(text.contains("https: \"127.0.0.1:0\"") && text.contains("health: \"127.0.0.1:0\""));
    assert!(text.contains(&format!("url: \"http://{}\"", stage.console.app)));
    assert!(text.contains(&format!("issuer: \"{}\"", stage.console.issuer.url())));
}

#[tokio::test]
async fn a_port_that_is_taken_is_refused_by_name_and_otherwise_passed_over() {
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let place = Place::make().unwrap();
    let args = DemoArgs { what: None, json: true, port: Some(port) };
    let refused = Stage::set(&args, &place, Clock::system()).await.map(|_| ()).unwrap_err();
    assert!(refused.to_string().starts_with(&format!("cannot listen on port {port}: ")), "{refused}");
    assert_ne!(local(&listener(Some(port)).await.unwrap()).unwrap().port(), port);
}

#[tokio::test]
async fn what_is_tried_without_the_gate_stays_out_of_the_clinic() {
    let (stage, _place) = stage().await;
    let json = [("content-type", "application/json")];
    let write = ask("POST", "/api/patients/p-101/records", &json, Some(r#"{"note":"bare"}"#));
    assert_eq!(send(&Target::App(stage.console.bare), &write, None).await.unwrap().status, 201);
    let records = stage.app(ask("GET", "/api/patients/p-101/records", &[], None)).await;
    assert!(!records.body.contains("bare"));
}

#[test]
fn what_runs_in_the_demo_passes_the_check_without_a_warning() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_stage, place) = runtime.block_on(stage());
    match crate::config::prepare(&place.path("config.yaml")) {
        Ok(plan) => assert!(plan.warnings.is_empty(), "{}", policy::render(&plan.warnings, &plan.sources, false)),
        Err(faults) => panic!("{}", policy::render(&faults.diagnostics, &faults.sources, false)),
    }
}
