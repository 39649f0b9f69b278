//! Where a credential may stand and how it may be written there: a good token anywhere else, or in any other way, is none.

use e2e::client::{BOTH, Client};
use e2e::gate::Gate;
use e2e::raw::Raw;

#[tokio::test]
async fn a_token_in_a_query_is_not_looked_at() {
    let gate = Gate::plain();
    let token = gate.issuer().ada();
    for protocol in BOTH {
        for name in ["access_token", "token", "id_token", "jwt", "bearer_token", "authorization", "__session"] {
            let mut client = Client::open(&gate, protocol).await;
            let answer = client.ask("GET", &format!("/me?{name}={token}"), &[]).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "NO_CREDENTIAL"), "{name}");
        }
    }
    assert_eq!(gate.app.count(), 0);
}

#[tokio::test]
async fn a_token_in_a_body_is_not_looked_at() {
    let gate = Gate::plain();
    let token = gate.issuer().ada();
    let mut client = Client::open(&gate, BOTH[0]).await;
    for (kind, text) in [
        ("application/x-www-form-urlencoded", format!("access_token={token}")),
        ("application/x-www-form-urlencoded", format!("__session={token}&token={token}")),
        ("application/json", format!(r#"{{"access_token":"{token}"}}"#)),
        ("application/jwt", token.clone()),
        ("text/plain", format!("Authorization: Bearer {token}")),
    ] {
        let answer = client.post("POST", "/me", &[("content-type", kind)], text).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "NO_CREDENTIAL"), "{kind}");
    }
    assert_eq!(gate.app.count(), 0);
}

#[tokio::test]
async fn a_token_in_another_header_is_not_looked_at() {
    let gate = Gate::plain();
    let token = gate.issuer().ada();
    let bearer = format!("Bearer {token}");
    for protocol in BOTH {
        for (name, value) in [
            ("proxy-authorization", &bearer),
            ("x-authorization", &bearer),
            ("x-access-token", &token),
            ("x-auth-token", &token),
            ("x-amzn-oidc-data", &token),
            ("x-goog-iap-jwt-assertion", &token),
            ("cf-access-jwt-assertion", &token),
            ("x-forwarded-access-token", &token),
            ("www-authenticate", &bearer),
            ("cookie", &format!("session={token}")),
            ("cookie", &format!("__SESSION={token}")),
            ("cookie", &format!("__session_x={token}")),
            ("cookie", &format!("%5F_session={token}")),
            ("set-cookie", &format!("__session={token}")),
        ] {
            let mut client = Client::open(&gate, protocol).await;
            let answer = client.ask("GET", "/me", &[(name, value)]).await;
            let got = (answer.status.as_u16(), answer.code());
            let refused = matches!((got.0, got.1.as_str()), (401, "NO_CREDENTIAL") | (400, "BAD_HEADER"));
            assert!(refused, "{name}: {got:?}");
        }
    }
    assert_eq!(gate.app.count(), 0);
}

#[tokio::test]
async fn the_scheme_is_bearer_and_one_token_follows() {
    let gate = Gate::plain();
    let token = gate.issuer().ada();
    let ask = async |value: &str| {
        let head = format!("GET /me HTTP/1.1\r\nhost: clinic.example\r\nauthorization: {value}\r\n\r\n");
        Raw::open(&gate).await.ask(head).await.unwrap()
    };
    // RFC 9110, 11.1 and 11.4: a scheme has no case, and one or more spaces follow.
    for good in
        [format!("Bearer {token}"), format!("bearer {token}"), format!("BEARER {token}"), format!("Bearer   {token}")]
    {
        assert_eq!(ask(&good).await.status(), 200, "{good}");
    }
    let passed = gate.app.count();
    for bad in [
        token.clone(),
        format!("Bearer{token}"),
        format!("Bearer:{token}"),
        format!("Bearer: {token}"),
        format!("Bearer={token}"),
        format!("Bearer\t{token}"),
        format!("Bearer \t{token}"),
        format!("Bearer \"{token}\""),
        format!("Bearer '{token}'"),
        format!("Bearer <{token}>"),
        format!("Bearer token={token}"),
        format!("Bearer token=\"{token}\""),
        format!("Bearer Bearer {token}"),
        format!("Bearer {token},"),
        format!("Bearer {token};"),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer x {token}"),
        format!("Bearer, {token}"),
        format!("Basic YTpi, Bearer {token}"),
        format!("Basic {token}"),
        format!("DPoP {token}"),
        format!("Token {token}"),
        format!("JWT {token}"),
        format!("Negotiate {token}"),
        format!("Digest {token}"),
        format!("Bear er {token}"),
        format!("\"Bearer\" {token}"),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer null".to_owned(),
        "Bearer undefined".to_owned(),
        String::new(),
    ] {
        let answer = ask(&bad).await;
        // A comma makes two of it, of which one cannot be told to count.
        let expected = if bad.contains(',') { (400, "BAD_HEADER") } else { (401, "TOKEN_INVALID") };
        assert_eq!((answer.status(), answer.code().as_str()), expected, "{bad}");
    }
    assert_eq!(gate.app.count(), passed);
}

#[tokio::test]
async fn a_line_that_is_folded_or_twice_there_is_refused_unread() {
    let gate = Gate::plain();
    let token = gate.issuer().ada();
    for lines in [
        format!("authorization: Bearer\r\n {token}\r\n"),
        format!("authorization: Bearer {token}\r\nauthorization: Basic YTpi\r\n"),
        format!("authorization: Basic YTpi\r\nauthorization: Bearer {token}\r\n"),
        format!("authorization: Bearer {token}\r\nAUTHORIZATION: Bearer {token}\r\n"),
        format!("authorization : Bearer {token}\r\n"),
        format!("authorization: Bearer {token}\nx: y\r\n"),
        format!("authorization: Bearer {token}\0\r\n"),
    ] {
        let answer =
            Raw::open(&gate).await.ask(format!("GET /me HTTP/1.1\r\nhost: clinic.example\r\n{lines}\r\n")).await;
        assert_eq!(answer.unwrap().status(), 400, "{lines}");
    }
    assert_eq!(gate.app.count(), 0);
}
