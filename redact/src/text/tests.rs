use super::*;
use proptest::prelude::*;

const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ";

#[test]
fn every_pattern_compiles() {
    assert!(PATTERNS.is_some());
}

#[test]
fn what_is_found_goes() {
    for (given, shown) in [
        (format!("bad token {JWT}, try again"), "bad token {}, try again"),
        ("Authorization: Bearer abc.def-1 extra".into(), "Authorization: {}"),
        ("sent Bearer abc123def to app".into(), "sent Bearer {} to app"),
        ("Basic YWxhZGRpbjpvcGVu".into(), "Basic {}"),
        (r#"Digest username="jane", response="17""#.into(), "Digest {}"),
        ("password=hunter2&x=1".into(), "password={}&x={}"),
        (r#"{"password":"hunt\"er2","mrn":482913,"n":1}"#.into(), r#"{"password":"{}","mrn":{},"n":1}"#),
        (r#"{\"api_key\":\"k17\",\"n\":1}"#.into(), r#"{\"api_key\":\"{}\",\"n\":1}"#),
        (r#"{"session":{"id":5,"a":["}"]},"n":1}"#.into(), r#"{"session":{},"n":1}"#),
        ("client_secret = 'a b c' rest".into(), "client_secret = '{}' rest"),
        ("userPassword: s3cret!, rest".into(), "userPassword: {} rest"),
        ("user_ssn=123456789 x".into(), "user_ssn={} x"),
        ("password%3Dhunter2".into(), "password%3D{}"),
        ("Cookie: sid=abc; theme=dark".into(), "Cookie: {}"),
        ("set-cookie: a.b=1".into(), "set-cookie: {}"),
        ("cookie: no sid".into(), "cookie: {}"),
        ("a -----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY----- b".into(), "a {} b"),
        ("-----BEGIN EC PRIVATE KEY-----\nMIIB".into(), "{}"),
        ("mail from jane.doe+x@clinic.example.".into(), "mail from {}."),
        ("jane%40clinic.example and jörg%2540clinic.example".into(), "{} and {}"),
        ("see https://jane:pw@clinic.example/p/17?n=jane#top.".into(), "see https://{}@clinic.example/p/{}?n={}#{}."),
        ("GET /api/patients/4711/x?name=jane HTTP/1.1".into(), "GET /api/patients/{}/x?name={} HTTP/1.1"),
        ("?name=jane&born=1970".into(), "?name={}&born={}"),
        ("SSN 123-45-6789, card 4111 1111 1111 1111 5".into(), "SSN {}, card {} 5"),
        ("to DE89 3704 0044 0532 0130 00 now".into(), "to {} now"),
        ("NPI 1234567893, MRN: 00482913, patient no. P-17".into(), "NPI {}, MRN: {} patient no. {}"),
        ("call +1 (212) 555-0100 or 212-555-0100 or (212) 555-0100".into(), "call {} or {} or {}"),
        ("key sk_live_abcdefgh and AKIAABCDEFGHIJKLMNOP".into(), "key {} and {}"),
        ("opaque dGhpcyBpcyBhIGNhbmFyeSB0b2tlbg17".into(), "opaque {}"),
        ("line\r\nforged \u{1b}[31m \u{202e}x".into(), "line\u{fffd}\u{fffd}forged \u{fffd}[31m \u{fffd}x"),
    ] {
        assert_eq!(text(&given), shown, "{given}");
    }
}

/// What an operator needs to read is left as it is.
#[test]
fn ordinary_messages_stay() {
    for message in [
        "",
        "listening on 127.0.0.1:8443 and [::1]:8443 with 2 workers",
        "peer 203.0.113.9:51234 closed the connection after 1.5 s",
        "request 7f3a91c2d4e5f60718293a4b5c6d7e8f answered 200 in 12.5 ms",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736, policy sha256:9d2c6c1e8b7f",
        "2026-11-21T20:44:46.123Z denied: NOT_GRANTED by rule records (act records.read)",
        "TOKEN_EXPIRED: the token expired 17 s ago",
        "bearer token missing, basic auth is off, Basic authentication refused",
        "token: expired",
        "session: not found",
        "authorization: missing",
        "fetched 3 keys from https://id.clinic.example/.well-known/jwks.json in 80 ms",
        "reloaded /etc/anteroom/config.yaml and /etc/anteroom/policies/records.yaml",
        "GET /api/patients/{patient}/records/** matched",
        "GET /api/v2/records HTTP/1.1",
        "content type application/json; charset=utf-8, TLS_AES_128_GCM_SHA256, X25519MLKEM768",
        "iat 1795293886, exp 1795294886123, 1073741824 bytes, offset +02:00",
        "audit queue 17/4096, 512MiB, 99.9%, 3.14",
        "upstream 10.0.0.7:3000 refused: Connection refused (os error 111)",
        "Grüße, 诊所, 🏥",
    ] {
        assert_eq!(text(message), message);
        assert!(matches!(text(message), Cow::Borrowed(_)));
    }
}

#[test]
fn long_text_is_cut() {
    let long = "word ".repeat(10_000);
    let shown = text(&long);
    assert!(shown.len() <= TEXT_MAX && shown.ends_with("word…"), "{}", shown.len());
    let solid = "x=1&".repeat(10_000);
    assert!(text(&solid).len() <= TEXT_MAX);
}

/// Many kinds of text that could make a careless pattern slow; each must end while one waits.
#[test]
fn hard_texts_end() {
    for part in ["a@", "eyJ", "1 ", "-----BEGIN ", "\\\"", "password=", "\"token\":{", "://", "/?&=", "%40", "AB12"] {
        let hard = part.repeat(TEXT_MAX / part.len());
        assert!(text(&hard).len() <= TEXT_MAX);
    }
}

/// Secrets, each with the part of it that must not be seen.
fn secret() -> impl Strategy<Value = (String, String)> {
    let same = |text: String| (text.clone(), text);
    prop_oneof![
        Just(same(JWT.into())),
        "[A-Za-z0-9]{6}".prop_map(|part| (format!("eyJhbGciOiJub25lIn0.eyJ{part}Y2FuYXJ5.{part}"), part)),
        "[a-z]{3,9}x[0-9]{2}".prop_map(|name| (format!("{name}@clinic.example"), name)),
        "[a-z]{3,9}x[0-9]{2}".prop_map(|name| (format!("{name}%40clinic.example"), name)),
        "[1-8][0-9]{2}-[0-9]{2}-[0-9]{4}".prop_map(same),
        Just(same("4111 1111 1111 1111".into())),
        Just(same("GB29NWBK60161331926819".into())),
        "[a-z0-9]{8,20}".prop_map(move |key| same(format!("sk_live_{key}"))),
        "[A-Z]{8}[a-z]{8}[0-9]{8}".prop_map(same),
        "[A-Za-z]{2,5}[0-9]{3}[A-Za-z]{2,5}q".prop_map(|token| (format!("Bearer {token}"), token)),
    ]
}

/// Any word at all, in a place that makes it a secret.
fn placed() -> impl Strategy<Value = (String, String)> {
    let name = prop_oneof![
        Just("password"),
        Just("passwd"),
        Just("client_secret"),
        Just("access_token"),
        Just("refreshToken"),
        Just("id-token"),
        Just("X-Api-Key"),
        Just("apikey"),
        Just("sessionId"),
        Just("ssn"),
        Just("dob"),
        Just("mrn"),
        Just("user_mrn"),
        Just("date_of_birth"),
        Just("first_name"),
        Just("PASSWORD"),
    ];
    let place = prop_oneof![
        Just("N=V"),
        Just("N: V"),
        Just("N = 'V'"),
        Just("N=\"V\""),
        Just("{\"N\":\"V\"}"),
        Just("{\"N\": [\"a\", \"V\"]}"),
        Just("{\\\"N\\\":\\\"V\\\"}"),
        Just("/x?N=V"),
        Just("/x?a=b&n=V&c=d"),
        Just("https://h.example/x?q=V"),
        Just("Cookie: a=b; s=V"),
        Just("set-cookie: V=1; Path=/"),
        Just("Authorization: V x V"),
        Just("postgres://app:V@db/x"),
        Just("a&b=V"),
        Just("N%3DV"),
    ];
    // Never one of the words that stay after a colon.
    (name, place, "[a-zA-Z0-9!.*-]{4,20}qzq")
        .prop_map(|(name, place, value)| (place.replace('N', name).replace('V', &value), value))
}

fn around() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,8} ", "[ ,;(\"'\n\t>]{1,2}", "\\PC{0,12}[ \n]"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_canary_survives((given, canary) in prop_oneof![secret(), placed()], before in around(), after in around()) {
        // What follows is set apart, as in any message.
        let message = format!("{before}{given} {after}");
        let shown = text(&message);
        prop_assert!(!shown.contains(&canary), "{} -> {}", message, shown);
    }

    #[test]
    fn twice_is_once_and_nothing_controls(input in r#"(eyJhbGciOiJ|\.|Bearer |password|=|:|"|\\|'|\{|\}|\[|\]|@|%40|/|\?|&|[0-9]{1,5}|[ -]|\+|[A-Za-z]{1,4}|cookie|-----BEGIN PRIVATE KEY|mrn|://|\n|,|\PC){0,60}"#) {
        let once = text(&input);
        prop_assert!(once.len() <= TEXT_MAX);
        prop_assert!(!once.chars().any(char::is_control));
        let twice = text(&once);
        prop_assert_eq!(&twice, &once);
        prop_assert!(matches!(twice, Cow::Borrowed(_)));
    }

    #[test]
    fn any_text_at_all(input in any::<String>()) {
        let once = text(&input);
        prop_assert_eq!(text(&once), once.as_ref());
    }
}
