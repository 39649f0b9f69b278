use http::header::{COOKIE, HeaderValue};
use serde_json::json;

use super::*;
use crate::authn::{
    ClaimMap, ClaimPath, Contexts, FactorRule, Preset, Provider, ProviderSettings, SessionSource, TenantSource,
};
use crate::outbound::Reach;

fn provider(name: &str) -> ProviderSettings {
    let claims = ClaimMap {
        tenant: ClaimPath::parse("org").map(TenantSource::Claim),
        roles: ClaimPath::parse("roles"),
        ..ClaimMap::default()
    };
    ProviderSettings {
        name: name.to_owned(),
        issuer: "https://issuer.example/".into(),
        preset: Preset::Generic,
        audience: vec!["web".to_owned()],
        clients: Vec::new(),
        kinds: Vec::new(),
        allow_anonymous: false,
        tenants: None,
        factors: FactorRule::Standard,
        algorithms: Vec::new(),
        types: Vec::new(),
        leeway_s: 30,
        claims,
        contexts: Contexts::default(),
        forward_credential: false,
        generation: 0,
    }
}

pub(super) fn settings() -> LoginSettings {
    LoginSettings {
        client_id: "web".to_owned(),
        client_secret: Some(ClientSecret::new("hush")),
        client_auth: None,
        scopes: "openid".to_owned(),
        prompt: None,
        endpoints: Endpoints {
            authorize: Some("https://issuer.example/authorize?tenant=a".to_owned()),
            token: Endpoint::new("https://issuer.example/token", None, &Reach::public()).ok(),
            end_session: EndSession::At("https://issuer.example/end".to_owned()),
        },
        sign_out: SignOut::STANDARD,
        names: Names::of("__Host-a"),
        keys: SealKeys::read("0a1b".repeat(16).as_bytes()).unwrap(),
        lifetime: Duration::from_secs(3_600),
        attempt: Duration::from_secs(600),
        renew: None,
        mapped: BTreeSet::new(),
        id_tokens: Provider::new(provider("clinic")).unwrap(),
    }
}

fn asks<'a>(logins: &'a Logins, store: &'a Arc<KeyStore>, headers: &'a HeaderMap) -> Asks<'a> {
    Asks { logins, store, metadata: None, headers, now: Now { unix_ms: 7_000, monotone: Duration::ZERO } }
}

pub(super) fn session() -> Session {
    let claims = json!({ "sub": "ada.example", "org": "a", "roles": ["provider"], "sid": "theirs", "auth_time": 90 });
    let claims = claims.as_object().unwrap().clone();
    Session { id: "ours".to_owned(), begun: 100, ends: 200, renewed: 100, stepped: false, claims }
}

#[test]
fn a_session_goes_by_the_name_that_the_gate_gave_it() {
    let login = Login::new(settings());
    let line = login.cookie(&session(), 100).unwrap();
    let line = line.to_str().unwrap();
    assert!(line.ends_with("Max-Age=100") && !line.contains("ada") && !line.contains("ours"));
    let value = line.split_once('=').unwrap().1.split(';').next().unwrap();
    let read = login.session(value, 199).unwrap();
    assert_eq!(read, session());
    assert_eq!(login.session(value, 200), Err(LoginFault::Over));
    let principal = read.principal(&login.settings.id_tokens).unwrap();
    assert_eq!((&*principal.subject, principal.provider.as_str()), ("ada.example", "clinic"));
    assert_eq!(principal.sign_in.session.as_deref(), Some("ours"), "never what the provider or a client says");
    assert_eq!((principal.sign_in.at, principal.sign_in.expires), (Some(90), Some(200)));
    let mut later = session();
    later.claims.insert("auth_time".to_owned(), json!(150));
    let principal = later.principal(&login.settings.id_tokens).unwrap();
    assert_eq!((principal.sign_in.at, principal.factors.at), (Some(100), Some(100)), "never newer than the session");
}

#[test]
fn what_is_sealed_for_one_purpose_or_provider_opens_for_no_other() {
    let login = Login::new(settings());
    let text = login.seal(Purpose::Session, b"x").unwrap();
    assert!(login.open(Purpose::Session, &text).is_some());
    assert!(login.open(Purpose::Attempt, &text).is_none() && login.open(Purpose::Renewal, &text).is_none());
    let changes: [fn(&mut LoginSettings); 4] = [
        |other| other.client_id = "api".to_owned(),
        |other| other.names = Names::of("__Host-b"),
        |other| other.keys = SealKeys::read("0b1c".repeat(16).as_bytes()).unwrap(),
        |other| other.id_tokens = Provider::new(provider("other")).unwrap(),
    ];
    for change in changes {
        let mut other = settings();
        change(&mut other);
        assert!(Login::new(other).open(Purpose::Session, &text).is_none());
    }
}

#[test]
fn an_attempt_has_a_place_of_its_own_and_the_address_keeps_its_query() {
    let login = Login::new(settings());
    let ask = Ask { contexts: Some(("acr_values", "a b".to_owned())), max_age: Some(300), again: false };
    let (logins, store) = (Logins::default(), Arc::new(KeyStore::awaiting(Duration::from_secs(60))));
    let none = HeaderMap::new();
    let begun = login.begin("clinic.example", ReturnPath::root(), &ask, &asks(&logins, &store, &none)).unwrap();
    let location = begun.location.to_str().unwrap();
    assert!(location.starts_with("https://issuer.example/authorize?tenant=a&response_type=code&"), "{location}");
    assert!(location.ends_with("&acr_values=a%20b&max_age=300") || location.ends_with("&acr_values=a+b&max_age=300"));
    assert!(!begun.cookie.to_str().unwrap().contains("clinic"), "sealed");
    let pair = begun.cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
    let place = |cookie: &str| login.names().attempts.iter().position(|name| cookie.starts_with(&format!("{name}=")));
    let first = place(&pair).unwrap();
    let shown = HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(pair).unwrap())]);
    let next =
        login.begin("clinic.example", ReturnPath::root(), &Ask::default(), &asks(&logins, &store, &shown)).unwrap();
    let second = place(next.cookie.to_str().unwrap()).unwrap();
    assert_ne!(first, second, "the first is kept");
}

#[test]
fn another_client_cookie_key_or_time_is_another_login() {
    let number = |change: fn(&mut LoginSettings)| {
        let mut settings = settings();
        change(&mut settings);
        Login::new(settings).generation()
    };
    let changes: [fn(&mut LoginSettings); 6] = [
        |other| other.client_id = "api".to_owned(),
        |other| other.names = Names::of("__Host-b"),
        |other| other.keys = SealKeys::read("0b1c".repeat(16).as_bytes()).unwrap(),
        |other| {
            other.keys = SealKeys::read(format!("{}\n{}", "0a1b".repeat(16), "0b1c".repeat(16)).as_bytes()).unwrap()
        },
        |other| other.renew = Some(Duration::from_secs(60)),
        |other| other.id_tokens = Provider::new(ProviderSettings { generation: 1, ..provider("clinic") }).unwrap(),
    ];
    let mut numbers: Vec<u64> = changes.into_iter().map(number).collect();
    numbers.extend([number(|_| {}), number(|same| same.lifetime = Duration::from_secs(1))]);
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), changes.len() + 1);
}

#[test]
fn a_renewal_keeps_what_the_sign_in_told_and_is_of_the_same_person_and_session() {
    let mut nested = provider("clinic");
    nested.claims.session = SessionSource::Claim(ClaimPath::parse("/ext/sid").unwrap());
    let (plain, nested) = (Provider::new(provider("clinic")).unwrap(), Provider::new(nested).unwrap());
    let renewed = |before: serde_json::Value, told: serde_json::Value, provider: &Provider| {
        let session = Session { claims: before.as_object().unwrap().clone(), ..session() };
        let renewed = session.renewed(told.as_object().unwrap().clone(), provider, 150)?;
        assert_eq!((renewed.renewed, renewed.begun, renewed.ends, renewed.id.as_str()), (150, 100, 200, "ours"));
        Some(serde_json::Value::Object(renewed.claims))
    };
    let before = json!({ "sub": "ada.example", "sid": "theirs", "auth_time": 90, "roles": ["a"] });
    let kept = json!({ "sub": "ada.example", "sid": "theirs", "auth_time": 90, "roles": ["b"] });
    for told in [
        json!({ "sub": "ada.example", "roles": ["b"] }),
        json!({ "sub": "ada.example", "roles": ["b"], "sid": "theirs", "auth_time": 140 }),
        json!({ "sub": "ada.example", "roles": ["b"], "sid": 7 }),
    ] {
        assert_eq!(renewed(before.clone(), told.clone(), &plain), Some(kept.clone()), "{told}");
    }
    for told in [
        json!({ "sub": "eve.example", "sid": "theirs" }),
        json!({ "sub": "ada.example", "sid": "another" }),
        json!({ "sid": "theirs", "auth_time": 90 }),
        json!({ "sub": "ada.example", "sid": "theirs", "auth_time": "90" }),
    ] {
        assert_eq!(renewed(before.clone(), told.clone(), &plain), None, "{told}");
    }
    let before = json!({ "sub": "ada.example", "ext": { "sid": "theirs" } });
    let told = json!({ "sub": "ada.example", "ext": { "team": 1 } });
    let kept = json!({ "sub": "ada.example", "ext": { "team": 1, "sid": "theirs" } });
    assert_eq!(renewed(before.clone(), told, &nested), Some(kept));
    assert_eq!(renewed(before, json!({ "sub": "ada.example", "ext": "text" }), &nested), None, "no room for it");
}

#[test]
fn a_secret_is_shown_as_the_provider_takes_it() {
    for (methods, expected) in [
        (&["client_secret_basic"][..], ClientAuth::Basic),
        (&["client_secret_post", "client_secret_basic", "private_key_jwt"], ClientAuth::Basic),
        (&["private_key_jwt", "client_secret_post"], ClientAuth::Post),
        (&["none"], ClientAuth::Basic),
        (&[], ClientAuth::Basic),
    ] {
        let methods: Vec<String> = methods.iter().map(|one| (*one).to_owned()).collect();
        assert_eq!(ClientAuth::of(&methods), expected, "{methods:?}");
    }
}
