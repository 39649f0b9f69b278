//! Presets at a gate that serves: cookies as the libraries set them, two providers at once, and tokens without an audience.

use anteroom::dev_key::DevKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::app::App;
use e2e::client::{BOTH, Client, HOST, Protocol};
use e2e::gate::{Gate, Setup};
use e2e::issuer::Issuer;
use e2e::process::Served;
use serde_json::{Map, Value, json};

use super::OURS;

const SUPABASE: &str = "preset: supabase
issuer: https://abcdefghij.supabase.co/auth/v1
claims: { tenant: /app_metadata/clinic }";
const CLERK: &str = "preset: clerk\nissuer: https://clerk.clinic.example\nclients: [https://clinic.example]";
const COGNITO: &str = "preset: cognito
issuer: https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE
clients: [web]
claims: { bindings: \"cognito:groups\" }";

/// A gate with the provider `keys` beside the one of all tests, which reads the header alone.
fn gate(keys: &str) -> Gate {
    Gate::start(setup(keys), App::plain())
}

fn setup(keys: &str) -> Setup {
    let lines: Vec<String> = keys.lines().map(|line| format!("    {line}")).collect();
    let provider = format!(
        "claims: {{ tenant: org_id, roles: roles }}\n    tenants: any\n  row:\n{}\n    tenants: any",
        lines.join("\n")
    );
    Setup { provider, ..Setup::default() }
}

fn signed(gate: &Gate, claims: Value) -> String {
    signed_by(gate.issuer(), claims)
}

fn signed_by(issuer: &Issuer, claims: Value) -> String {
    let mut all: Map<String, Value> = claims.as_object().unwrap().clone();
    all.insert("iat".to_owned(), json!(issuer.now));
    all.insert("exp".to_owned(), json!(issuer.now + 600));
    issuer.sign(&all)
}

fn supabase(gate: &Gate) -> String {
    signed(
        gate,
        json!({
            "iss": "https://abcdefghij.supabase.co/auth/v1", "aud": "authenticated", "sub": "ada.example",
            "role": "authenticated", "aal": "aal1", "session_id": "s1",
            "app_metadata": { "clinic": "a", "roles": ["provider"] }, "user_metadata": { "note": "x".repeat(2_000) },
        }),
    )
}

fn clerk(gate: &Gate, subject: &str) -> String {
    signed(
        gate,
        json!({
            "iss": "https://clerk.clinic.example", "sub": subject, "azp": "https://clinic.example", "sid": "sess_1",
            "sts": "active", "o": { "id": "a", "rol": "provider" }, "fva": [1, -1],
        }),
    )
}

#[tokio::test]
async fn a_session_of_supabase_in_pieces_is_believed_and_goes_no_further() {
    let gate = gate(&format!("{SUPABASE}\n{OURS}"));
    let session =
        json!({ "access_token": supabase(&gate), "refresh_token": "secret", "user": { "id": "ada.example" } });
    let value = format!("base64-{}", URL_SAFE_NO_PAD.encode(session.to_string()));
    let pieces: Vec<&str> = value.as_bytes().chunks(3_180).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
    assert!(pieces.len() > 1);
    let name = "sb-abcdefghij-auth-token";
    let cookie = |numbers: &[usize]| {
        let own: Vec<String> = numbers.iter().map(|number| format!("{name}.{number}={}", pieces[*number])).collect();
        format!("theme=dark; {}; {name}-code-verifier=v", own.join("; "))
    };
    let all: Vec<usize> = (0..pieces.len()).collect();
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let answer = client.ask("GET", "/me", &[("cookie", &cookie(&all))]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let seen = gate.app.last();
        assert_eq!(seen.header("x-user-id"), Some("ada.example"));
        assert_eq!(seen.header("cookie"), Some("theme=dark; sb-abcdefghij-auth-token-code-verifier=v"));
        let gap = client.ask("GET", "/me", &[("cookie", &cookie(&all[1..]))]).await;
        assert_eq!((gap.status.as_u16(), gap.code().as_str()), (401, "TOKEN_INVALID"));
        let mixed = format!("{name}={value}; {}", cookie(&all));
        let mixed = client.ask("GET", "/me", &[("cookie", &mixed)]).await;
        assert_eq!((mixed.status.as_u16(), mixed.code().as_str()), (401, "TOKEN_INVALID"));
    }
    // What proves nobody goes no further either.
    let mut client = Client::open(&gate, Protocol::Http1).await;
    assert_eq!(client.ask("GET", "/open/x", &[("cookie", &cookie(&all[1..]))]).await.status, 200);
    assert_eq!(gate.app.last().header("cookie"), Some("theme=dark; sb-abcdefghij-auth-token-code-verifier=v"));
}

#[tokio::test]
async fn the_cookie_of_clerk_is_believed_and_its_siblings_go_no_further() {
    for (forwards, kept) in [("false", ""), ("true", "__session={}; ")] {
        let gate = gate(&format!("{CLERK}\n{OURS}\nforward_credential: {forwards}"));
        let (ada, eve) = (clerk(&gate, "ada.example"), clerk(&gate, "eve.example"));
        let mut client = Client::open(&gate, Protocol::Http1).await;
        let cookie = format!("__session={ada}; __session_aB3dE5gH={eve}; __client_uat=1; __session__0=x");
        let answer = client.ask("GET", "/me", &[("cookie", &cookie)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let seen = gate.app.last();
        assert_eq!(seen.header("x-user-id"), Some("ada.example"));
        let expected = format!("{}__client_uat=1", kept.replace("{}", &ada));
        assert_eq!(seen.header("cookie"), Some(expected.as_str()), "forward_credential: {forwards}");
    }
}

#[tokio::test]
async fn a_cookie_of_clerk_with_a_suffix_can_be_the_one_that_counts() {
    let place = "token: [{ cookie: __session_aB3dE5gH }]\nforward_credential: true";
    let gate = gate(&format!("{CLERK}\n{OURS}\n{place}"));
    let (ada, eve) = (clerk(&gate, "ada.example"), clerk(&gate, "eve.example"));
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let cookie = format!("__session={eve}; __session_aB3dE5gH={ada}; __session_other={eve}; __sessions=1");
    let answer = client.ask("GET", "/me", &[("cookie", &cookie)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = gate.app.last();
    assert_eq!(seen.header("x-user-id"), Some("ada.example"));
    assert_eq!(seen.header("cookie"), Some(format!("__session_aB3dE5gH={ada}; __sessions=1").as_str()));
}

#[tokio::test]
async fn what_was_not_judged_never_reaches_the_application() {
    let gate = gate(&format!("{CLERK}\n{OURS}\nforward_credential: true"));
    let (ada, eve) = (clerk(&gate, "ada.example"), clerk(&gate, "eve.example"));
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let (header, cookie) = (format!("Bearer {ada}"), format!("__session={eve}; theme=dark"));
    let answer = client.ask("GET", "/me", &[("authorization", &header), ("cookie", &cookie)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = gate.app.last();
    assert_eq!((seen.header("authorization"), seen.header("cookie")), (Some(header.as_str()), Some("theme=dark")));
}

#[tokio::test]
async fn an_encrypted_cookie_is_refused() {
    let keys = "preset: auth0\nissuer: https://clinic.eu.auth0.com/\naudience: [api]\ntoken: [{ cookie: __session }]";
    let gate = gate(&format!("{keys}\n{OURS}"));
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for cookie in ["__session__0=abc; __session__1=def", "__session=aaa.bbb.ccc.ddd.eee"] {
        let answer = client.ask("GET", "/me", &[("cookie", cookie)]).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "TOKEN_INVALID"), "{cookie}");
    }
}

#[tokio::test]
async fn an_access_token_of_cognito_needs_no_audience() {
    let gate = gate(&format!("{COGNITO}\n{OURS}"));
    let claims = json!({
        "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE", "sub": "ada.example", "client_id": "web",
        "token_use": "access", "auth_time": gate.issuer().now, "cognito:groups": ["a:provider"],
    });
    let mut client = Client::open(&gate, Protocol::Http2).await;
    assert_eq!(client.get("/me", &signed(&gate, claims.clone())).await.status, 200);
    let seen = gate.app.last();
    assert_eq!((seen.header("x-tenant-id"), seen.header("x-user-roles")), (Some("a"), Some("provider")));
    let mut other = claims;
    other["client_id"] = json!("other");
    let answer = client.get("/me", &signed(&gate, other)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "TOKEN_INVALID"));
}

#[tokio::test]
async fn a_provider_that_is_down_does_not_touch_the_other() {
    // Nothing listens at port 1.
    let gate = gate(&format!(
        "{CLERK}\njwks: {{ url: \"https://127.0.0.1:1/keys\", private: [127.0.0.0/8] }}\nalgorithms: [ES256]"
    ));
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for _ in 0..3 {
        assert_eq!(client.get("/me", &gate.issuer().ada()).await.status, 200);
        let down = client.get("/me", &clerk(&gate, "eve.example")).await;
        assert_eq!((down.status.as_u16(), down.code().as_str()), (503, "PROVIDER_DOWN"));
        let by_cookie = format!("__session={}", clerk(&gate, "eve.example"));
        let header = format!("Bearer {}", gate.issuer().ada());
        let both = client.ask("GET", "/me", &[("authorization", &header), ("cookie", &by_cookie)]).await;
        assert_eq!(both.status, 200, "the header is judged alone");
    }
    // One provider's key proves nothing of the other's people.
    let stranger = DevKey::generate().unwrap();
    let claims = gate.issuer().claims("ada.example", "a", &["provider"]);
    let answer = client.get("/me", &stranger.sign(gate.issuer().key.kid(), &claims).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "TOKEN_INVALID"));
}

#[tokio::test]
async fn the_log_says_once_a_token_that_groups_did_not_fit() {
    let directory = "11111111-2222-3333-4444-555555555555";
    let issuer = format!("https://login.microsoftonline.com/{directory}/v2.0");
    for claims in ["bindings: groups", "roles: groups"] {
        let keys = format!("preset: entra\nissuer: {issuer}\naudience: [api]\nclaims: {{ {claims} }}\n{OURS}");
        let served = Served::start(setup(&keys), App::plain());
        let token = signed_by(
            &served.files.issuer,
            json!({
                "iss": issuer, "aud": "api", "sub": "ada.example", "tid": directory, "ver": "2.0", "azpacr": "0",
                "scp": "records", "_claim_names": { "groups": "src1" },
                "_claim_sources": { "src1": { "endpoint": "https://graph.example/groups" } },
            }),
        );
        let mut client = Client::open_at(served.https, &served.files.ca, Protocol::Http1, HOST).await;
        for _ in 0..3 {
            assert_eq!(client.get("/api/patients/p1/records/r1", &token).await.status, 403);
        }
        let said = |served: &Served| {
            let lines = served.log().into_iter().filter(|line| line["message"] == "a token proves less than it says");
            lines.collect::<Vec<_>>()
        };
        let lines = e2e::until("the line", || Some(said(&served)).filter(|lines| !lines.is_empty()));
        assert_eq!((lines.len(), &lines[0]["provider"]), (1, &json!("row")), "{lines:?}");
        assert!(lines[0]["detail"].as_str().unwrap().contains("too many groups"), "{lines:?}");
    }
}
