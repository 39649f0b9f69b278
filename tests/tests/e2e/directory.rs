//! Who is what in which tenant, kept by whoever runs the gate: in a file, and behind an address.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anteroom::clock::Clock;
use e2e::app::App;
use e2e::backend::{At, Backend, answer};
use e2e::client::{Answer, Client, Protocol};
use e2e::gate::{Files, Gate, Setup};
use e2e::until;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::watch;

/// A policy in which clinic `d` demands two factors.
fn policy() -> String {
    format!("{}tenants: {{ d: {{ mfa: required }} }}\n", e2e::gate::POLICY)
}

pub(crate) const PEOPLE: &str = "apiVersion: anteroom.dev/v1
kind: Directory
subjects:
  clinic:
    ada.example: { a: [provider] }
    eve.example: { a: [front_desk], b: [provider], d: [provider] }
    gone.example: {}
";

pub(crate) fn listed(more: &str) -> Setup {
    Setup {
        policy: policy(),
        more: format!("directory: {{ file: people.yaml{more} }}\n"),
        files: vec![("people.yaml", PEOPLE.to_owned())],
        ..Setup::default()
    }
}

/// What became of a request: the code, or the tenant and the roles that the application was told.
fn came(gate: &Gate, answer: &Answer) -> String {
    if answer.status != 200 {
        return answer.code();
    }
    let seen = gate.app.last();
    let told = |name| seen.header(name).unwrap_or("-").to_owned();
    format!("{} {}", told("x-tenant-id"), told("x-user-roles"))
}

#[tokio::test]
async fn no_directory_makes_a_provider_speak_for_a_tenant_that_is_not_its() {
    let mut setup = listed("");
    // No claim says which tenant a caller is of: the directory does.
    setup.provider = "tenants: [b]\n    claims: { npi: npi }".to_owned();
    let gate = Gate::start(setup, App::plain());
    let mut client = Client::open(&gate, Protocol::Http2).await;
    for (subject, expected) in [("eve.example", "b provider"), ("ada.example", "NO_TENANT")] {
        let token = gate.issuer().token(subject, "z", &["provider"]);
        let bearer = format!("Bearer {token}");
        let answer = client.ask("GET", "/me", &[("authorization", &bearer)]).await;
        assert_eq!(came(&gate, &answer), expected, "{subject}");
    }
}

#[tokio::test]
async fn the_directory_counts_and_the_token_does_not() {
    let gate = Gate::start(listed(""), App::plain());
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let record = "/api/patients/1/records/7";
    for (subject, clinic, path, expected) in [
        ("ada.example", None, "/me", "a provider"),
        ("ada.example", None, record, "a provider"),
        ("ada.example", Some("z"), record, "TENANT_MISMATCH"),
        ("eve.example", Some("a"), record, "a front_desk"),
        ("eve.example", Some("b"), record, "b provider"),
        ("eve.example", Some("c"), record, "TENANT_MISMATCH"),
        ("eve.example", Some("d"), record, "STEP_UP"),
        ("eve.example", None, record, "NO_TENANT"),
        ("eve.example", None, "/me", "NO_TENANT"),
        ("eve.example", None, "/api/clinics/b/labs", "b provider"),
        ("eve.example", None, "/api/clinics/a/labs", "NOT_GRANTED"),
        ("eve.example", None, "/open/x", "- -"),
        ("ada.example", None, "/open/x", "a provider"),
        ("gone.example", None, "/me", "NO_TENANT"),
        ("gone.example", None, "/open/x", "- -"),
        ("stranger.example", None, "/me", "NO_TENANT"),
        ("Ada.example", None, "/me", "NO_TENANT"),
    ] {
        // What the token says would let everybody in, everywhere.
        let token = gate.issuer().token(subject, "z", &["provider", "admin"]);
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(clinic.map(|clinic| ("x-clinic", clinic)));
        let answer = client.ask("GET", path, &headers).await;
        assert_eq!(came(&gate, &answer), expected, "{subject} {clinic:?} {path}");
    }
}

#[tokio::test]
async fn the_record_has_the_roles_of_the_tenant_that_is_meant() {
    let gate = Gate::start(listed(""), App::plain());
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let bearer = format!("Bearer {}", gate.issuer().token("eve.example", "z", &["admin"]));
    for (clinic, tenant, roles) in [
        ("b", json!("b"), json!(["provider"])),
        ("a", json!("a"), json!(["front_desk"])),
        ("c", json!(null), json!([])),
    ] {
        let headers = [("authorization", bearer.as_str()), ("x-clinic", clinic)];
        let answer = client.ask("GET", "/api/patients/1/records/7", &headers).await;
        let event = gate.files.event(answer.id());
        assert_eq!((&event["tenant"], &event["actor"]["roles"]), (&tenant, &roles), "{event}");
        assert_eq!(event["actor"]["sub"], "eve.example");
    }
}

#[tokio::test]
async fn what_is_not_listed_can_be_left_to_the_token() {
    let gate = Gate::start(listed(", when_missing: token"), App::plain());
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let issuer = gate.issuer();
    let stranger = client.get("/me", &issuer.token("stranger.example", "z", &["front_desk"])).await;
    assert_eq!(came(&gate, &stranger), "z front_desk");
    let ada = client.get("/me", &issuer.token("ada.example", "z", &["front_desk"])).await;
    assert_eq!(came(&gate, &ada), "a provider");
    let gone = client.get("/me", &issuer.token("gone.example", "z", &["front_desk"])).await;
    assert_eq!(came(&gate, &gone), "NO_TENANT", "listed with nothing is nothing");
}

#[tokio::test]
async fn a_changed_file_is_seen_and_a_bad_one_changes_nothing() {
    let gate = Gate::start(listed(""), App::plain());
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let token = gate.issuer().token("ada.example", "a", &["provider"]);
    assert_eq!(came(&gate, &client.get("/me", &token).await), "a provider");
    let reloads = || gate.shared().reloads.status();
    let number = || gate.metric("anteroom_configuration_number", &[]);
    let before = number();
    let changed = PEOPLE.replace("ada.example: { a: [provider] }", "ada.example: { b: [front_desk] }");
    gate.files.put("people.yaml", &changed);
    until("the change", || (reloads().done == 1).then_some(()));
    assert_eq!(came(&gate, &client.get("/me", &token).await), "b front_desk");
    assert_ne!(number(), before, "replicas that go by another file have another number");
    gate.files.put("people.yaml", &PEOPLE.replace("[provider]", "[\"provider,admin\"]"));
    let failure = until("the refusal", || reloads().failure.clone());
    assert!(
        failure.faults.iter().all(|fault| fault.contains("people.yaml:") && !fault.contains("admin")),
        "{failure:?}"
    );
    assert_eq!(came(&gate, &client.get("/me", &token).await), "b front_desk", "the last good one stays");
    assert_eq!(gate.metric("anteroom_directory_subjects", &[]), 3.0);
}

/// A directory behind an address that knows `ada.example`, says nothing or nonsense where it is told to, and counts.
pub(crate) struct Service {
    _backend: Backend,
    address: String,
    asked: Arc<AtomicUsize>,
    hangs: watch::Sender<bool>,
    pub(crate) fails: Arc<AtomicBool>,
    /// What it says of her.
    pub(crate) says: Arc<Mutex<Value>>,
}

impl Service {
    fn start(files: &Files) -> Self {
        let read = |name: &str| std::fs::read(files.path(name)).unwrap();
        let pair = certs::load_pair(&read("tls/tls.crt"), &read("tls/tls.key")).unwrap();
        let tls = certs::server_config(vec![pair]).unwrap();
        let (asked, hangs, fails) =
            (Arc::<AtomicUsize>::default(), watch::Sender::new(false), Arc::<AtomicBool>::default());
        let says = Arc::new(Mutex::new(json!({ "a": ["provider"], "b": ["front_desk"] })));
        let told = (Arc::clone(&asked), hangs.subscribe(), Arc::clone(&fails), Arc::clone(&says));
        let backend = Backend::start(At::Tls(tls), Protocol::Http1, move |request| {
            let (asked, mut hangs, fails) = (Arc::clone(&told.0), told.1.clone(), Arc::clone(&told.2));
            let says = told.3.lock().unwrap().clone();
            async move {
                asked.fetch_add(1, Ordering::AcqRel);
                let key = request.headers().get("authorization").map(|value| value.as_bytes().to_vec());
                let form = String::from_utf8(request.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
                hangs.wait_for(|hangs| !hangs).await.unwrap();
                if fails.load(Ordering::Acquire) || key.as_deref() != Some(b"Bearer of-the-directory") {
                    return answer(500, &[], "no");
                }
                let known = form == "provider=clinic&issuer=https%3A%2F%2Fissuer.example%2F&subject=ada.example";
                let says = if known { says } else { json!(null) };
                answer(200, &[], json!({ "bindings": says }).to_string())
            }
        });
        let address = format!("https://{}/bindings", backend.address.unwrap());
        Self { _backend: backend, address, asked, hangs, fails, says }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Acquire)
    }
}

/// A gate that asks a service.
fn asking() -> (Gate, Service) {
    asking_for(App::plain(), Setup::default().clock)
}

/// The same, before this application and by this clock.
pub(crate) fn asking_for(app: App, clock: Clock) -> (Gate, Service) {
    before(app, clock, "", "")
}

/// A gate that asks a service, before this application, with more of `app` and more lines of the configuration.
pub(crate) fn before(app: App, clock: Clock, of_app: &str, more: &str) -> (Gate, Service) {
    let files = vec![("directory.key", "Bearer of-the-directory\n".to_owned())];
    let setup = Setup { files, clock, app: of_app.to_owned(), more: more.to_owned(), ..Setup::default() };
    let files = Files::write(&setup, app.address);
    let service = Service::start(&files);
    let config = std::fs::read_to_string(files.path("config.yaml")).unwrap();
    let section = format!(
        "directory: {{ url: \"{}\", ca: ca.pem, private: [127.0.0.0/8], authorization: {{ file: directory.key }} }}\n",
        service.address
    );
    files.put("config.yaml", &format!("{config}{section}"));
    (Gate::start_with(files, app, setup.clock), service)
}

#[tokio::test]
async fn a_service_is_asked_once_about_a_subject() {
    let (gate, service) = asking();
    let mut clients = [Client::open(&gate, Protocol::Http1).await, Client::open(&gate, Protocol::Http2).await];
    let bearer = format!("Bearer {}", gate.issuer().token("ada.example", "z", &["admin"]));
    for _ in 0..5 {
        for client in &mut clients {
            for (clinic, expected) in [("a", "a provider"), ("b", "b front_desk"), ("c", "TENANT_MISMATCH")] {
                let headers = [("authorization", bearer.as_str()), ("x-clinic", clinic)];
                let answer = client.ask("GET", "/api/patients/1/records/7", &headers).await;
                assert_eq!(came(&gate, &answer), expected);
            }
        }
    }
    assert_eq!(service.asked(), 1);
    let stranger = gate.issuer().token("stranger.example", "z", &["admin"]);
    assert_eq!(clients[0].get("/me", &stranger).await.code(), "NO_TENANT");
    assert_eq!(gate.metric("anteroom_directory_lookups_total", &[("result", "listed")]), 1.0);
    assert_eq!(gate.metric("anteroom_directory_lookups_total", &[("result", "unlisted")]), 1.0);

    // Another file changes, and what the service said is not forgotten.
    gate.files.put("policies/policy.yaml", &format!("{}\n# another text\n", e2e::gate::POLICY));
    until("a reload", || (gate.shared().reloads.status().done == 1).then_some(()));
    let headers = [("authorization", bearer.as_str()), ("x-clinic", "b")];
    let answer = clients[1].ask("GET", "/api/patients/1/records/7", &headers).await;
    assert_eq!(came(&gate, &answer), "b front_desk");
    assert_eq!(service.asked(), 2);
}

#[tokio::test]
async fn a_service_that_is_down_stops_those_it_must_and_nobody_else() {
    let (gate, service) = asking();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let ada = format!("Bearer {}", gate.issuer().token("ada.example", "z", &["admin"]));
    let ask_ada = [("authorization", ada.as_str()), ("x-clinic", "a")];
    assert_eq!(client.ask("GET", "/api/patients/1/records/7", &ask_ada).await.status, 200);

    service.fails.store(true, Ordering::Release);
    let eve = gate.issuer().token("eve.example", "a", &["provider"]);
    let answer = client.get("/me", &eve).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "PROVIDER_DOWN"));
    assert_eq!(answer.header("retry-after"), "5");
    assert_eq!(client.get("/open/x", &eve).await.status, 200, "a public page is for everyone");
    assert_eq!(gate.app.last().header("x-tenant-id"), None);
    assert_eq!(client.ask("GET", "/api/patients/1/records/7", &ask_ada).await.status, 200, "the last answer counts");
    assert_eq!(gate.metric("anteroom_directory_lookups_total", &[("result", "failed")]), 1.0, "asked once in a while");
    let event = gate.files.event(answer.id());
    assert_eq!((&event["code"], &event["decision"]), (&json!("PROVIDER_DOWN"), &json!("deny")));
    assert_eq!(event["actor"]["roles"], json!([]), "what the token says of roles is not the record's");

    // One that does not answer at all holds up those who wait for it, on no worker anybody else.
    service.fails.store(false, Ordering::Release);
    service.hangs.send_replace(true);
    let mut waiting = tokio::task::JoinSet::new();
    for at in 0..20 {
        let token = gate.issuer().token(&format!("subject-{at}"), "a", &["provider"]);
        let mut client = Client::open(&gate, Protocol::Http1).await;
        waiting.spawn(async move { client.get("/me", &token).await });
    }
    until("the calls", || (service.asked() >= 2 + 16).then_some(()));
    let began = Instant::now();
    let waits = gate.issuer().token("subject-0", "a", &["provider"]);
    assert_eq!(client.get("/open/x", &waits).await.status, 200, "a public page does not wait for long");
    assert_eq!(gate.app.last().header("x-tenant-id"), None);
    for _ in 0..50 {
        let mut client = Client::open(&gate, Protocol::Http2).await;
        assert_eq!(client.ask("GET", "/api/patients/1/records/7", &ask_ada).await.status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(service.asked(), 2 + 16, "no more than sixteen at once");
    service.hangs.send_replace(false);
    for answer in waiting.join_all().await {
        assert_eq!(answer.code(), "NO_TENANT", "nobody knows them");
    }
    assert_eq!(service.asked(), 2 + 20);
}

#[test]
fn a_directory_that_could_mean_nothing_is_refused() {
    let setup = Setup {
        files: vec![("people.yaml", PEOPLE.to_owned()), ("key", "Bearer x\n\n".to_owned())],
        ..Setup::default()
    };
    let files = Files::write(&setup, "127.0.0.1:1".parse().unwrap());
    let config = std::fs::read_to_string(files.path("config.yaml")).unwrap();
    let faults = |section: &str, people: &str| {
        files.put("config.yaml", &format!("{config}directory: {section}\n"));
        files.put("people.yaml", people);
        match anteroom::config::prepare(&files.path("config.yaml")) {
            Ok(_) => "right".to_owned(),
            Err(faults) => policy::render(&faults.diagnostics, &faults.sources, false),
        }
    };
    let file = "{ file: people.yaml }";
    assert_eq!(faults(file, PEOPLE), "right");
    assert_eq!(faults("{ url: 'https://hr.example/x', ca: ca.pem, max_age: 30s }", PEOPLE), "right");
    for (section, said) in [
        ("{}", "neither `file` nor `url`"),
        ("{ file: people.yaml, url: 'https://hr.example/' }", "there is a `file` too"),
        ("{ file: nothing.yaml }", "cannot read"),
        ("{ file: people.yaml, max_age: 5m }", "`max_age` goes with `url`"),
        ("{ file: people.yaml, ca: ca.pem }", "`ca` goes with `url`"),
        ("{ file: people.yaml, private: [10.0.0.0/8] }", "`private` goes with `url`"),
        ("{ file: people.yaml, authorization: { file: key } }", "`authorization` goes with `url`"),
        ("{ file: people.yaml, providers: [] }", "speaks for nobody"),
        ("{ file: people.yaml, providers: [clinics] }", "there is no provider `clinics`"),
        ("{ file: people.yaml, when_missing: allow }", "`token`"),
        ("{ file: people.yaml, when_down: allow }", "when_down"),
        ("{ url: 'http://hr.example/' }", "only `https://` is called"),
        ("{ url: 'https://127.0.0.1/' }", "`private` does not list its network"),
        ("{ url: 'https://hr.example/', ca: ca.pem, private: [0.0.0.0/0] }", "every address"),
        ("{ url: 'https://hr.example/', ca: ca.pem, max_age: 9s }", "is not between `10s` and `1d`"),
        ("{ url: 'https://hr.example/', ca: ca.pem, max_age: 2d }", "is not between `10s` and `1d`"),
        ("{ url: 'https://hr.example/', ca: ca.pem, authorization: { file: key } }", "one line of 1 to 4096 ASCII"),
        ("{ url: 'https://hr.example/', ca: people.yaml }", "directory"),
    ] {
        let found = faults(section, PEOPLE);
        assert!(found.contains(said), "{section}: {found}");
    }
    for (from, to, said) in [
        ("kind: Directory", "kind: Policy", "`Directory`"),
        ("subjects:", "people:", "unknown"),
        ("  clinic:", "  clinics:", "does not speak for a provider `clinics`"),
        ("{ a: [provider] }", "{ 'a b': [provider] }", "no name for a tenant"),
        ("{ a: [provider] }", "{ a: provider }", "list"),
        ("{ a: [provider] }", "{ a: [provider, provider] }", "stands twice"),
        ("{ a: [provider] }", "{ a: ['x,y'] }", "is no role"),
        ("{ a: [provider] }", "{ a: [x], a: [y] }", "duplicate"),
        ("{ a: [provider] }", "", "ada.example"),
        ("gone.example: {}", "ada.example: {}", "duplicate"),
        ("gone.example: {}", "' gone': {}", "is no subject"),
    ] {
        assert!(PEOPLE.contains(from), "{from}");
        let found = faults(file, &PEOPLE.replacen(from, to, 1));
        assert!(found.contains(said), "{to}: {found}");
    }
    let many: String = (0..300).map(|at| format!("t{at}: [], ")).collect();
    assert!(
        faults(file, &PEOPLE.replace("{ a: [provider] }", &format!("{{ {many} }}"))).contains("more than 256 tenants")
    );
}

#[test]
fn explain_asks_the_directory_as_a_request_does() {
    let setup = listed("");
    let files = Files::write(&setup, "127.0.0.1:1".parse().unwrap());
    let config = files.path("config.yaml");
    let explained = |arguments: &[&str]| {
        let always = ["explain", "--config", config.to_str().unwrap(), "--format", "json"];
        let said = e2e::process::run(files.root(), &[&always, arguments].concat());
        let told: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
        let asked = told["steps"].as_array().unwrap().iter().any(|step| step["step"] == "directory");
        (told["code"].as_str().unwrap_or("allow").to_owned(), asked)
    };
    let token = |subject| {
        files.put("token", &files.issuer.token(subject, "z", &["provider"]));
        "token".to_owned()
    };
    let record = "GET /api/patients/1/records/7";
    let came = |code: &str, asked| (code.to_owned(), asked);
    assert_eq!(explained(&[record, "--token", &token("ada.example")]), came("allow", true));
    assert_eq!(explained(&[record, "--token", &token("eve.example")]), came("NO_TENANT", true));
    assert_eq!(explained(&[record, "--token", &token("stranger.example")]), came("NO_TENANT", true));
    let claims = json!({ "sub": "ada.example", "org_id": "z", "roles": [] }).to_string();
    assert_eq!(explained(&[record, "--claims", &claims]), came("allow", true));
    let someone = ["--as-binding", "a=provider", "--as-binding", "b=front_desk", "--header"];
    assert_eq!(explained(&[&[record][..], &someone, &["x-clinic: b"]].concat()), came("allow", false));
    assert_eq!(explained(&[&[record][..], &someone, &["x-clinic: c"]].concat()), came("TENANT_MISMATCH", false));
}
