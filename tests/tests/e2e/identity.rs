//! Who is asking: every way to be nobody, and the two ways to be someone.

use anteroom::dev_key::DevKey;
use e2e::app::App;
use e2e::client::{Answer, BOTH, Client, Protocol};
use e2e::gate::{Gate, Setup};
use e2e::raw::Raw;
use serde_json::json;

fn refused(answer: &Answer, code: &str, case: &str) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, code), "{case}");
    assert!(answer.header("www-authenticate").starts_with("Bearer"), "{case}: {:?}", answer.headers);
}

#[tokio::test]
async fn a_good_token_is_believed_in_the_header_and_in_the_cookie() {
    let gate = Gate::plain();
    let token = gate.issuer().ada();
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        assert_eq!(client.get("/me", &token).await.status, 200);
        let cookie = format!("theme=dark; __session={token}; OHSESSID=7");
        assert_eq!(client.ask("GET", "/me", &[("cookie", &cookie)]).await.status, 200);
        let seen = gate.app.last();
        assert_eq!(seen.header("x-user-id"), Some("ada.example"));
        assert_eq!(seen.header("x-tenant-id"), Some("a"));
        assert_eq!(seen.header("x-user-roles"), Some("provider"));
    }
}

#[tokio::test]
async fn nobody_is_told_to_sign_in() {
    let gate = Gate::plain();
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        refused(&client.ask("GET", "/me", &[]).await, "NO_CREDENTIAL", "no credential");
        refused(&client.ask("GET", "/me", &[("cookie", "theme=dark")]).await, "NO_CREDENTIAL", "other cookies");
    }
    assert_eq!(gate.app.count(), 0);
}

#[tokio::test]
async fn bad_tokens_prove_nobody() {
    let gate = Gate::plain();
    let issuer = gate.issuer();
    let now = issuer.now;
    let key = &issuer.key;
    let good = issuer.ada();
    let half = good.rsplit_once('.').unwrap().0.to_owned();
    let set = key.key_set();
    let mut cases = vec![
        ("forged", issuer.forged(), "TOKEN_INVALID"),
        ("tampered", issuer.tampered(), "TOKEN_INVALID"),
        ("signature cut off", half.clone(), "TOKEN_INVALID"),
        ("signature empty", format!("{half}."), "TOKEN_INVALID"),
        ("one letter more", format!("{good}A"), "TOKEN_INVALID"),
        ("padded", format!("{good}=="), "TOKEN_INVALID"),
        ("four parts", format!("{good}.x"), "TOKEN_INVALID"),
        ("no token at all", "nonsense".to_owned(), "TOKEN_INVALID"),
        (
            "unknown kid",
            DevKey::generate()
                .map(|other| other.sign(other.kid(), &issuer.claims("ada.example", "a", &[])).unwrap())
                .unwrap(),
            "TOKEN_INVALID",
        ),
        ("HS256 with the public key, PEM", issuer.confused(key.public_pem().as_bytes()), "TOKEN_INVALID"),
        ("HS256 with the public point", issuer.confused(key.public_point()), "TOKEN_INVALID"),
        ("HS256 with the key set", issuer.confused(set.to_string().as_bytes()), "TOKEN_INVALID"),
        ("HS256 with a coordinate", issuer.confused(set["keys"][0]["x"].as_str().unwrap().as_bytes()), "TOKEN_INVALID"),
        ("HS256 with nothing", issuer.confused(b""), "TOKEN_INVALID"),
        ("expired", issuer.changed(json!({ "exp": now - 120 })), "TOKEN_EXPIRED"),
        ("expired long ago", issuer.changed(json!({ "exp": 1 })), "TOKEN_EXPIRED"),
        ("wrong audience", issuer.changed(json!({ "aud": "https://other.example" })), "TOKEN_INVALID"),
        ("audience list without ours", issuer.changed(json!({ "aud": ["https://other.example"] })), "TOKEN_INVALID"),
        ("audience as a prefix", issuer.changed(json!({ "aud": "https://api.clinic.example/x" })), "TOKEN_INVALID"),
        ("wrong issuer", issuer.changed(json!({ "iss": "https://other.example/" })), "TOKEN_INVALID"),
        ("issuer without its slash", issuer.changed(json!({ "iss": "https://issuer.example" })), "TOKEN_INVALID"),
        ("not yet valid", issuer.changed(json!({ "nbf": now + 600 })), "TOKEN_INVALID"),
        ("issued later", issuer.changed(json!({ "iat": now + 600 })), "TOKEN_INVALID"),
    ];
    for spelling in ["none", "None", "NONE", "nOnE", ""] {
        cases.push(("alg none", issuer.unsigned(spelling), "TOKEN_INVALID"));
        let signature = good.rsplit_once('.').unwrap().1;
        cases.push(("alg none with a signature", issuer.unsigned(spelling) + signature, "TOKEN_INVALID"));
    }
    for (name, value) in [
        ("exp", json!(null)),
        ("exp", json!((now + 3_600).to_string())),
        ("exp", json!(-1)),
        ("exp", json!(1e30)),
        ("exp", json!(true)),
        ("nbf", json!("x")),
        ("nbf", json!(now.to_string())),
        ("iss", json!(null)),
        ("iss", json!(["https://issuer.example/"])),
        ("aud", json!(null)),
        ("aud", json!({ "https://api.clinic.example": true })),
        ("sub", json!(null)),
        ("sub", json!(7)),
    ] {
        let mut changes = serde_json::Map::new();
        changes.insert(name.to_owned(), value);
        cases.push(("a claim of the wrong form", issuer.changed(changes.into()), "TOKEN_INVALID"));
    }
    let (mut first, mut second) =
        (Client::open(&gate, Protocol::Http1).await, Client::open(&gate, Protocol::Http2).await);
    for (case, token, code) in &cases {
        for client in [&mut first, &mut second] {
            refused(&client.get("/me", token).await, code, case);
            refused(&client.ask("GET", "/me", &[("cookie", &format!("__session={token}"))]).await, code, case);
        }
    }
    assert_eq!(gate.app.count(), 0, "none of it reached the application");
    assert_eq!(first.get("/me", &good).await.status, 200);
    let list = issuer.changed(json!({ "aud": ["https://other.example", "https://api.clinic.example"] }));
    assert_eq!(first.get("/me", &list).await.status, 200, "one audience of several is enough");
}

#[tokio::test]
async fn the_first_place_that_is_filled_is_judged_alone() {
    let gate = Gate::plain();
    let (good, bad) = (gate.issuer().ada(), gate.issuer().forged());
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for header in [format!("Bearer {bad}"), "Bearer ".to_owned(), "Basic YWRhOng=".to_owned(), good.clone()] {
        let both = [("authorization", header.as_str()), ("cookie", &format!("__session={good}"))];
        refused(&client.ask("GET", "/me", &both).await, "TOKEN_INVALID", &header);
    }
    let both = [("authorization", format!("Bearer {good}")), ("cookie", format!("__session={bad}"))];
    let both = both.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(client.ask("GET", "/me", &both).await.status, 200);
    assert_eq!(gate.app.last().header("cookie"), None, "the other credential stays away from the application too");
}

#[tokio::test]
async fn no_cookie_of_another_provider_spoils_a_token_in_a_header() {
    let more = "claims: { tenant: org_id, roles: roles }
    tenants: any
  legacy:
    issuer: https://old.clinic.example
    audience: [clinic]
    token: [{ cookie: old_session }, { cookie_chunks: old_pieces }]
    tenant: a
    jwks: { file: jwks.json }";
    let gate = Gate::start(Setup { provider: more.to_owned(), ..Setup::default() }, App::plain());
    let issuer = gate.issuer();
    let old = issuer.changed(json!({ "iss": "https://old.clinic.example", "aud": "clinic" }));
    let (good, bad) = (format!("Bearer {}", issuer.ada()), format!("Bearer {}", issuer.forged()));
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let twice = format!("old_session={old}; theme=dark; old_session={old}");
        for cookie in
            [&twice, "theme=dark; old_session.0=x", "old_pieces.1=x; theme=dark", "old_pieces=base64-x; theme=dark"]
        {
            let both = [("authorization", good.as_str()), ("cookie", cookie)];
            let answer = client.ask("GET", "/me", &both).await;
            assert_eq!(answer.status, 200, "{cookie}: {answer:?}");
            assert_eq!(gate.app.last().header("cookie"), Some("theme=dark"));
            refused(&client.ask("GET", "/me", &both[1..]).await, "TOKEN_INVALID", cookie);
        }
        // Nor does a good one make up for what stands in the header.
        let cookie = format!("old_session={old}");
        assert_eq!(client.ask("GET", "/me", &[("cookie", &cookie)]).await.status, 200);
        for header in [&bad, "Basic YWRhOng="] {
            let both = [("authorization", header), ("cookie", &cookie)];
            refused(&client.ask("GET", "/me", &both).await, "TOKEN_INVALID", header);
        }
    }
}

#[tokio::test]
async fn two_cookies_of_one_name_prove_nobody() {
    let gate = Gate::plain();
    let (good, bad) = (gate.issuer().ada(), gate.issuer().forged());
    for (first, second) in [(&good, &bad), (&bad, &good), (&good, &good)] {
        let mut client = Client::open(&gate, Protocol::Http1).await;
        let line = format!("__session={first}; __session={second}");
        refused(&client.ask("GET", "/me", &[("cookie", &line)]).await, "TOKEN_INVALID", "one line");
        let (one, two) = (format!("__session={first}"), format!("__session={second}"));
        let mut split = Client::open(&gate, Protocol::Http2).await;
        refused(&split.ask("GET", "/me", &[("cookie", &one), ("cookie", &two)]).await, "TOKEN_INVALID", "two lines");
    }
    assert_eq!(gate.app.count(), 0);
}

#[tokio::test]
async fn two_authorizations_are_refused_unread() {
    let gate = Gate::plain();
    let good = gate.issuer().ada();
    let head = format!(
        "GET /me HTTP/1.1\r\nhost: clinic.example\r\nauthorization: Bearer {good}\r\nAuthorization: Bearer {good}\r\n\r\n"
    );
    let answer = Raw::open(&gate).await.ask(head).await.unwrap();
    assert_eq!((answer.status(), answer.code().as_str()), (400, "BAD_HEADER"));
}

#[tokio::test]
async fn http_2_may_send_cookies_in_pieces_and_the_app_gets_one() {
    let gate = Gate::plain();
    let session = format!("__session={}", gate.issuer().ada());
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let pieces = [("cookie", "theme=dark"), ("cookie", session.as_str()), ("cookie", "OHSESSID=7")];
    assert_eq!(client.ask("GET", "/me", &pieces).await.status, 200);
    assert_eq!(gate.app.last().header("cookie"), Some("theme=dark; OHSESSID=7"));
}

#[tokio::test]
async fn the_credential_stays_at_the_gate() {
    let gate = Gate::plain();
    let token = gate.issuer().ada();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    client.get("/me", &token).await;
    assert_eq!(gate.app.last().header("authorization"), None);
    client.ask("GET", "/me", &[("cookie", &format!("theme=dark; __session={token}; OHSESSID=7; empty"))]).await;
    assert_eq!(gate.app.last().header("cookie"), Some("theme=dark; OHSESSID=7; empty"));
    client.ask("GET", "/me", &[("cookie", &format!("__session={token}"))]).await;
    assert_eq!(gate.app.last().header("cookie"), None);
    // On a public page too, and where it proves nobody.
    let both = [("authorization", "Bearer nonsense"), ("cookie", "__session=nonsense; theme=dark")];
    assert_eq!(client.ask("GET", "/open/x", &both).await.status, 200);
    let seen = gate.app.last();
    assert_eq!((seen.header("authorization"), seen.header("cookie")), (None, Some("theme=dark")));
    assert!(gate.app.seen().iter().all(|seen| !seen.head.contains(&token)));
}

/// Readers of cookies that part them at blanks, undo escapes or pass over case would find another person's token.
#[tokio::test]
async fn no_cookie_that_could_be_taken_for_the_token_goes_further() {
    let mut setup = Setup::default();
    setup.provider.push_str("\n    forward_credential: true");
    let gates = [(Gate::plain(), false), (Gate::start(setup, App::plain()), true)];
    for (gate, forwards) in gates {
        let (ada, eve) = (gate.issuer().ada(), gate.issuer().token("eve.example", "a", &["provider"]));
        let mut client = Client::open(&gate, Protocol::Http1).await;
        let mut passed = 0;
        for name in [
            "x=1 __session",
            "x=1 __session ",
            "__session ",
            "__SESSION",
            "%5f_session",
            "\"__session\"",
            "__session[]",
            "__session.0",
            "x=1 __session.0 ",
            "..session",
            "x=1,__session",
        ] {
            let planted = format!("theme=dark; {name}={ada}");
            let sent = [("authorization", format!("Bearer {eve}")), ("cookie", planted.clone())];
            let sent: Vec<_> = sent.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(client.ask("GET", "/me", &sent).await.status, 200, "{name}");
            let seen = gate.app.last();
            assert_eq!(
                (seen.header("x-user-id"), seen.header("cookie")),
                (Some("eve.example"), Some("theme=dark")),
                "{name}"
            );
            let own = format!("__session={eve}");
            let answer = client.ask("GET", "/me", &[("cookie", &format!("{planted}; {own}"))]).await;
            // A reader that takes it for a piece, or for a second one, finds no token at all.
            match answer.status.as_u16() {
                200 => {
                    let kept = if forwards { format!("theme=dark; {own}") } else { "theme=dark".to_owned() };
                    assert_eq!(gate.app.last().header("cookie"), Some(kept.as_str()), "{name}");
                    passed += 1;
                }
                _ => assert_eq!(answer.code(), "TOKEN_INVALID", "{name}"),
            }
        }
        assert!(passed > 5, "{passed}");
    }
}

#[tokio::test]
async fn an_application_that_reads_the_token_itself_gets_it() {
    let mut setup = Setup::default();
    setup.provider.push_str("\n    forward_credential: true");
    let gate = Gate::start(setup, App::plain());
    let token = gate.issuer().ada();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    client.get("/me", &token).await;
    assert_eq!(gate.app.last().header("authorization"), Some(format!("Bearer {token}").as_str()));
    let cookie = format!("theme=dark; __session={token}");
    client.ask("GET", "/me", &[("cookie", &cookie)]).await;
    assert_eq!(gate.app.last().header("cookie"), Some(cookie.as_str()));
    // One that proves nobody does not travel on.
    assert_eq!(client.get("/open/x", &gate.issuer().forged()).await.status, 200);
    assert_eq!(gate.app.last().header("authorization"), None);
}

#[tokio::test]
async fn a_subject_with_odd_letters_cannot_break_a_header() {
    let gate = Gate::plain();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for sub in ["ada\r\nX-Tenant-Id: b", "ada\u{0}", "ada\n"] {
        let token = gate.issuer().changed(json!({ "sub": sub }));
        let answer = client.get("/me", &token).await;
        assert!(answer.status.is_client_error(), "{sub:?}: {}", answer.status);
    }
    assert_eq!(gate.app.count(), 0);
    for roles in [json!(["provider", "a,b", "x\r\ny: z", "", 7]), json!("provider"), json!(null)] {
        let token = gate.issuer().changed(json!({ "roles": roles }));
        let answer = client.get("/me", &token).await;
        if answer.status == 200 {
            let seen = gate.app.last();
            assert!(matches!(seen.header("x-user-roles"), Some("provider" | "") | None), "{roles}: {}", seen.head);
        }
    }
}

#[tokio::test]
async fn a_token_that_expires_is_refused_when_it_does_although_it_was_remembered() {
    let setup = Setup::default();
    let now = e2e::issuer::Issuer::new().now;
    let gate = Gate::start(Setup { clock: anteroom::clock::Clock::manual(now * 1_000), ..setup }, App::plain());
    let token = gate.issuer().changed(json!({ "exp": now + 60 }));
    let mut client = Client::open(&gate, Protocol::Http1).await;
    assert_eq!(client.get("/me", &token).await.status, 200);
    gate.clock().advance(std::time::Duration::from_secs(59));
    assert_eq!(client.get("/me", &token).await.status, 200);
    gate.clock().advance(std::time::Duration::from_secs(62));
    refused(&client.get("/me", &token).await, "TOKEN_EXPIRED", "after its time and the leeway");
}
