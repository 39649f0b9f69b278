//! The traps of tokens, one by one, with keys made here.

use serde_json::json;

use super::*;
use crate::authn::signing::{
    AUDIENCE, ISSUER, Maker, NOW, SECRET, b64, claims, der_signature, provider, set_of, settings,
};
use crate::authn::{Preset, Provider, ProviderSettings, TokenKind};

fn fault(token: &str, keys: &KeySet) -> TokenFault {
    verify(token, &provider(), keys, NOW).expect_err(token)
}

#[test]
fn every_algorithm_is_verified() {
    let (rsa, p256, p384, ed) = (Maker::rsa(), Maker::p256(), Maker::p384(), Maker::ed25519());
    let keys = set_of(&[rsa.jwk("r"), p256.jwk("p"), p384.jwk("q"), ed.jwk("e")]);
    let rsa_algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    let signed = rsa_algorithms.map(|algorithm| rsa.token(algorithm, "r", json!({}))).into_iter().chain([
        p256.token("ES256", "p", json!({})),
        p384.token("ES384", "q", json!({})),
        ed.token("EdDSA", "e", json!({})),
        ed.token("Ed25519", "e", json!({})),
    ]);
    for token in signed {
        let verified = verify(&token, &provider(), &keys, NOW).unwrap();
        assert_eq!(verified.claims()["sub"], "user|1");
        assert_eq!(verified.lifetime(), Lifetime { not_before: Some(NOW - 60), expires: NOW + 300 });
        // Another last letter with the same leading bits would be the same signature to a lax decoder.
        let (front, last) = token.split_at(token.len() - 2);
        for other in ["AA", "__", "Aw"] {
            if other != last {
                assert!(verify(&format!("{front}{other}"), &provider(), &keys, NOW).is_err(), "{token}");
            }
        }
    }
}

#[test]
fn a_secret_verifies_hmac_only() {
    let maker = Maker::Secret(SECRET.to_vec());
    let keys = KeySet::from_secret(SECRET).unwrap();
    for algorithm in ["HS256", "HS384", "HS512"] {
        assert!(verify(&maker.token(algorithm, "any", json!({})), &provider(), &keys, NOW).is_ok());
    }
    let other = Maker::Secret(b"another secret, also of thirty-two bytes or more".to_vec());
    assert_eq!(fault(&other.token("HS256", "any", json!({})), &keys), TokenFault::Signature);
    assert_eq!(fault(&Maker::p256().token("ES256", "any", json!({})), &keys), TokenFault::UnknownKey);
}

#[test]
fn a_public_key_is_never_a_secret() {
    let rsa = Maker::rsa();
    let jwk = rsa.jwk("r");
    let keys = set_of(std::slice::from_ref(&jwk));
    let modulus = jwk["n"].as_str().unwrap().to_owned();
    let public_texts = [modulus.clone().into_bytes(), jwk.to_string().into_bytes(), base64_decoded(&modulus)];
    for public in public_texts {
        let forged = Maker::Secret(public).token("HS256", "r", json!({}));
        assert_eq!(fault(&forged, &keys), TokenFault::KeyAlgorithm);
    }
    let unnamed = Maker::Secret(modulus.into_bytes()).token_of(r#"{"alg":"HS256"}"#, &claims(json!({})).to_string());
    assert_eq!(fault(&unnamed, &keys), TokenFault::UnknownKey);
}

fn base64_decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[test]
fn the_header_cannot_choose_another_algorithm_than_the_keys() {
    let (rsa, p256) = (Maker::rsa(), Maker::p256());
    let mut only_ps = rsa.jwk("ps");
    only_ps["alg"] = json!("PS256");
    let keys = set_of(&[only_ps, p256.jwk("p")]);
    assert!(verify(&rsa.token("PS256", "ps", json!({})), &provider(), &keys, NOW).is_ok());
    assert_eq!(fault(&rsa.token("RS256", "ps", json!({})), &keys), TokenFault::KeyAlgorithm);
    assert_eq!(fault(&rsa.token("RS256", "p", json!({})), &keys), TokenFault::KeyAlgorithm);
    assert_eq!(fault(&p256.token("ES384", "p", json!({})), &keys), TokenFault::KeyAlgorithm);
}

#[test]
fn the_provider_may_allow_less_than_the_key() {
    let ed = Maker::ed25519();
    let keys = set_of(&[ed.jwk("e")]);
    let narrow = Provider::new(crate::authn::ProviderSettings { algorithms: vec![Algorithm::Es256], ..settings() });
    let token = ed.token("EdDSA", "e", json!({}));
    assert_eq!(verify(&token, &narrow.unwrap(), &keys, NOW).unwrap_err(), TokenFault::Algorithm);
}

#[test]
fn none_is_refused_in_every_spelling() {
    let ed = Maker::ed25519();
    let keys = set_of(&[ed.jwk("e")]);
    let payload = b64(claims(json!({})).to_string());
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = b64(json!({ "alg": alg, "kid": "e" }).to_string());
        assert_eq!(fault(&format!("{header}.{payload}."), &keys), TokenFault::Parts, "{alg}");
        assert_eq!(fault(&format!("{header}.{payload}"), &keys), TokenFault::Parts, "{alg}");
        assert_eq!(fault(&format!("{header}.{payload}.AAAA"), &keys), TokenFault::Algorithm, "{alg}");
    }
}

#[test]
fn the_form_is_strict() {
    let ed = Maker::ed25519();
    let keys = set_of(&[ed.jwk("e")]);
    let good = ed.token("EdDSA", "e", json!({}));
    let [header, payload, signature] = *good.split('.').collect::<Vec<_>>() else { panic!() };
    let cases = [
        (String::new(), TokenFault::Parts),
        ("..".to_owned(), TokenFault::Parts),
        (format!("{good}."), TokenFault::Parts),
        (format!("{good}.AAAA"), TokenFault::Parts),
        (format!("{header}..{signature}"), TokenFault::Parts),
        (format!("{good}.AAAA.AAAA"), TokenFault::Encrypted),
        (format!(" {good}"), TokenFault::Encoding(TokenPart::Header)),
        (format!("{good}\n"), TokenFault::Encoding(TokenPart::Signature)),
        (format!("{header}.{payload}.{signature}=="), TokenFault::Encoding(TokenPart::Signature)),
        (format!("{header}.{payload}==.{signature}"), TokenFault::Encoding(TokenPart::Payload)),
        (
            format!("{header}.{payload}.{}", signature.replace(['-', '_'], "+")),
            TokenFault::Encoding(TokenPart::Signature),
        ),
        (format!("{}.{payload}.{signature}", "a".repeat(MAX_TOKEN)), TokenFault::TooLong),
    ];
    for (token, expected) in cases {
        let got = verify(&token, &provider(), &keys, NOW).map(|_| ());
        let unchanged = token == good;
        assert!(unchanged || got == Err(expected) || got == Err(TokenFault::Signature), "{token}: {got:?}");
    }
    // 64 bytes are 86 letters, the last of which has four unused bits.
    let loose = format!("{header}.{payload}.{}", &signature[..85]);
    let last = signature.chars().last().unwrap();
    for other in ('A'..='Z').filter(|letter| *letter != last) {
        assert!(verify(&format!("{loose}{other}"), &provider(), &keys, NOW).is_err());
    }
}

#[test]
fn headers_with_demands_or_doubles_are_refused() {
    let ed = Maker::ed25519();
    let keys = set_of(&[ed.jwk("e")]);
    let payload = claims(json!({})).to_string();
    let deep = format!(r#"{{"alg":"EdDSA","kid":"e","x":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    let long = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, "k".repeat(MAX_KID + 1));
    let duplicate = TokenFault::Json(TokenPart::Header, crate::authn::JsonFault::Duplicate);
    let cases = [
        (r#"{"alg":"EdDSA","kid":"e","crit":["exp"],"exp":1}"#, TokenFault::Critical),
        (r#"{"alg":"EdDSA","kid":"e","crit":[]}"#, TokenFault::Critical),
        (r#"{"alg":"EdDSA","kid":"e","b64":true}"#, TokenFault::Critical),
        (r#"{"alg":"EdDSA","kid":"e","crit":["b64"],"b64":false}"#, TokenFault::Critical),
        (r#"{"alg":"none","kid":"e","alg":"EdDSA"}"#, duplicate),
        (r#"{"alg":"EdDSA","kid":"e","\u0061lg":"none"}"#, duplicate),
        (&deep, TokenFault::Json(TokenPart::Header, crate::authn::JsonFault::TooDeep)),
        (r#"{"kid":"e"}"#, TokenFault::Header("alg")),
        (r#"{"alg":["EdDSA"],"kid":"e"}"#, TokenFault::Header("alg")),
        (r#"{"alg":"EdDSA","kid":1}"#, TokenFault::Header("kid")),
        (r#"{"alg":"EdDSA","kid":""}"#, TokenFault::Header("kid")),
        (&long, TokenFault::Header("kid")),
        (r#"{"alg":"EdDSA","kid":"e","typ":1}"#, TokenFault::Header("typ")),
        (r#"[{"alg":"EdDSA","kid":"e"}]"#, TokenFault::Json(TokenPart::Header, crate::authn::JsonFault::Syntax)),
    ];
    for (header, expected) in cases {
        assert_eq!(fault(&ed.token_of(header, &payload), &keys), expected, "{header}");
    }
}

#[test]
fn an_unknown_kid_is_unknown_whatever_it_says() {
    let ed = Maker::ed25519();
    let keys = set_of(&[ed.jwk("e")]);
    for kid in ["E", "e ", "../../dev/null", "e' OR '1'='1", "https://evil.example/jwks", "\u{0}"] {
        assert_eq!(fault(&ed.token("EdDSA", kid, json!({})), &keys), TokenFault::UnknownKey, "{kid}");
    }
}

#[test]
fn keys_inside_the_token_are_not_looked_at() {
    let (ours, theirs) = (Maker::ed25519(), Maker::ed25519());
    let keys = set_of(&[ours.jwk("e")]);
    let header = json!({
        "alg": "EdDSA", "kid": "e", "jwk": theirs.jwk("e"), "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example/x5u", "x5c": ["AAAA"],
    });
    let forged = theirs.token_of(&header.to_string(), &claims(json!({})).to_string());
    assert_eq!(fault(&forged, &keys), TokenFault::Signature);
    let unnamed = json!({ "alg": "EdDSA", "jwk": theirs.jwk("e") });
    let forged = theirs.token_of(&unnamed.to_string(), &claims(json!({})).to_string());
    assert_eq!(fault(&forged, &keys), TokenFault::UnnamedKey);
}

#[test]
fn without_kid_exactly_one_key_must_fit() {
    let (one, two, ec) = (Maker::ed25519(), Maker::ed25519(), Maker::p256());
    let token = one.token_of(r#"{"alg":"EdDSA"}"#, &claims(json!({})).to_string());
    assert!(verify(&token, &provider(), &set_of(&[one.jwk("a"), ec.jwk("p")]), NOW).is_ok());
    assert_eq!(fault(&token, &set_of(&[one.jwk("a"), two.jwk("b")])), TokenFault::AmbiguousKey);
    assert_eq!(fault(&token, &set_of(&[ec.jwk("p")])), TokenFault::UnknownKey);
}

#[test]
fn typ_tells_access_tokens_from_others() {
    let ed = Maker::ed25519();
    let keys = set_of(&[ed.jwk("e")]);
    let payload = claims(json!({})).to_string();
    let token = |typ: &str| ed.token_of(&format!(r#"{{"alg":"EdDSA","kid":"e"{typ}}}"#), &payload);
    for typ in ["", r#","typ":"JWT""#, r#","typ":"jwt""#, r#","typ":"at+jwt""#, r#","typ":"application/AT+JWT""#] {
        assert!(verify(&token(typ), &provider(), &keys, NOW).is_ok(), "{typ}");
    }
    for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt", "", "application/", "JWT "] {
        assert_eq!(fault(&token(&format!(r#","typ":"{typ}""#)), &keys), TokenFault::Type, "{typ}");
    }
    let only = crate::authn::ProviderSettings { types: vec!["AT+jwt".to_owned()], ..settings() };
    let strict = Provider::new(only).unwrap();
    assert!(verify(&token(r#","typ":"at+jwt""#), &strict, &keys, NOW).is_ok());
    for typ in ["", r#","typ":"JWT""#] {
        assert_eq!(verify(&token(typ), &strict, &keys, NOW).unwrap_err(), TokenFault::Type, "{typ}");
    }
}

#[test]
fn ecdsa_signatures_have_one_form() {
    let signed = format!("{}.{}", b64(r#"{"alg":"ES256","kid":"der"}"#), b64(claims(json!({})).to_string()));
    let (jwk, der) = der_signature(signed.as_bytes());
    let keys = set_of(&[jwk]);
    assert_eq!(fault(&format!("{signed}.{}", b64(der)), &keys), TokenFault::Signature);
    assert_eq!(fault(&format!("{signed}.{}", b64([0; 64])), &keys), TokenFault::Signature);
    assert_eq!(fault(&format!("{signed}.{}", b64([0; 63])), &keys), TokenFault::Signature);
}

#[test]
fn the_issuer_is_exact() {
    let ed = Maker::ed25519();
    let keys = set_of(&[ed.jwk("e")]);
    let wrong = [
        json!(null),
        json!("https://issuer.example"),
        json!("https://ISSUER.example/"),
        json!("https://issuer.example/ "),
        json!([ISSUER]),
        json!({ "iss": ISSUER }),
        json!(123),
        json!(true),
    ];
    for iss in wrong {
        assert_eq!(fault(&ed.token("EdDSA", "e", json!({ "iss": iss })), &keys), TokenFault::Issuer, "{iss}");
    }
}

#[test]
fn the_audience_is_ours() {
    let ed = Maker::ed25519();
    let keys = set_of(&[ed.jwk("e")]);
    for aud in [json!(AUDIENCE), json!([AUDIENCE]), json!(["https://userinfo.example", AUDIENCE])] {
        assert!(verify(&ed.token("EdDSA", "e", json!({ "aud": aud })), &provider(), &keys, NOW).is_ok(), "{aud}");
    }
    let wrong = [
        json!(null),
        json!("https://other.example"),
        json!([]),
        json!(["https://other.example"]),
        json!([AUDIENCE, 1]),
        json!([[AUDIENCE]]),
        json!(1),
        json!({ AUDIENCE: true }),
        json!(format!("{AUDIENCE},x")),
    ];
    for aud in wrong {
        assert_eq!(fault(&ed.token("EdDSA", "e", json!({ "aud": aud })), &keys), TokenFault::Audience, "{aud}");
    }
}

#[test]
fn times_are_numbers_in_range() {
    let ed = Maker::ed25519();
    let keys = set_of(&[ed.jwk("e")]);
    let payload = |name: &str, value: &str| {
        let mut claims = claims(json!({}));
        claims[name] = json!("HERE");
        claims.to_string().replace("\"HERE\"", value)
    };
    let header = r#"{"alg":"EdDSA","kid":"e"}"#;
    for name in ["exp", "nbf", "iat"] {
        for value in
            ["\"9999999999\"", "\"\"", "null", "-1", "-1.5", "1e30", "253402300800", "1e308", "true", "[1]", "{}"]
        {
            let got = fault(&ed.token_of(header, &payload(name, value)), &keys);
            assert!(matches!(got, TokenFault::Claim(one) if one == name), "{name} {value}: {got:?}");
        }
        let got = fault(&ed.token_of(header, &payload(name, "1e999")), &keys);
        assert!(matches!(got, TokenFault::Json(..)), "{got:?}");
        let got = fault(&ed.token_of(header, &payload(name, "NaN")), &keys);
        assert!(matches!(got, TokenFault::Json(..)), "{got:?}");
    }
    assert_eq!(fault(&ed.token("EdDSA", "e", json!({ "exp": null })), &keys), TokenFault::Claim("exp"));
    let unbounded = json!({ "nbf": null, "iat": null, "exp": NOW as f64 + 300.75 });
    let verified = verify(&ed.token("EdDSA", "e", unbounded), &provider(), &keys, NOW).unwrap();
    assert_eq!(verified.lifetime(), Lifetime { not_before: None, expires: NOW + 300 });
}

#[test]
fn duplicate_claims_are_refused() {
    let ed = Maker::ed25519();
    let keys = set_of(&[ed.jwk("e")]);
    let good = claims(json!({})).to_string();
    let double = good.replacen('{', r#"{"exp":9999999999,"#, 1);
    let nested = good.replacen('{', r#"{"app":{"role":"a","role":"b"},"#, 1);
    for payload in [double, nested] {
        let got = fault(&ed.token_of(r#"{"alg":"EdDSA","kid":"e"}"#, &payload), &keys);
        assert_eq!(got, TokenFault::Json(TokenPart::Payload, crate::authn::JsonFault::Duplicate));
    }
}

#[test]
fn time_is_compared_with_the_leeway() {
    let ed = Maker::ed25519();
    let keys = set_of(&[ed.jwk("e")]);
    let judged = |changes| verify(&ed.token("EdDSA", "e", changes), &provider(), &keys, NOW).map(|_| ());
    let cases = [
        (json!({ "exp": NOW - 29 }), Ok(())),
        (json!({ "exp": NOW - 30 }), Err(TokenFault::Expired)),
        (json!({ "exp": 0 }), Err(TokenFault::Expired)),
        (json!({ "nbf": NOW + 30 }), Ok(())),
        (json!({ "nbf": NOW + 31 }), Err(TokenFault::NotYet)),
        (json!({ "iat": NOW + 30 }), Ok(())),
        (json!({ "iat": NOW + 31 }), Err(TokenFault::IssuedLater)),
        (json!({ "exp": MAX_TIME, "iat": 0 }), Ok(())),
    ];
    for (changes, expected) in cases {
        assert_eq!(judged(changes.clone()), expected, "{changes}");
    }
}

#[test]
fn an_expired_forgery_is_a_forgery() {
    let (ours, theirs) = (Maker::ed25519(), Maker::ed25519());
    let keys = set_of(&[ours.jwk("e")]);
    let got = fault(&theirs.token("EdDSA", "e", json!({ "exp": NOW - 3_600 })), &keys);
    assert_eq!(got, TokenFault::Signature);
    assert_eq!((got.code(), got.status()), ("TOKEN_INVALID", 401));
    assert!(got.challenge().unwrap().starts_with(r#"Bearer error="invalid_token""#));
}

#[test]
fn the_issuer_that_a_token_claims_can_be_read() {
    let ed = Maker::ed25519();
    assert_eq!(unverified_issuer(&ed.token("EdDSA", "e", json!({}))).as_deref(), Some(ISSUER));
    for iss in [json!(null), json!([ISSUER]), json!(1)] {
        assert_eq!(unverified_issuer(&ed.token("EdDSA", "e", json!({ "iss": iss }))), None);
    }
    for token in ["", "a", "a.b.c", "e30.e30.AA", "..", &"x".repeat(MAX_TOKEN + 1)] {
        assert_eq!(unverified_issuer(token), None, "{token}");
    }
}

#[test]
fn a_token_fetched_by_the_gate_itself_is_not_one_that_anybody_shows() {
    let maker = Maker::ed25519();
    let keys = set_of(&[maker.jwk("e")]);
    let shown = ProviderSettings { preset: Preset::Auth0, kinds: vec![TokenKind::Access], ..settings() };
    let shown = Provider::new(shown).unwrap();
    let fetched = shown.of_login("web");
    let id = maker.token("EdDSA", "e", json!({ "aud": "web", "nonce": "n" }));
    assert!(verify(&id, &fetched, &keys, NOW).is_ok());
    assert_eq!(verify(&id, &shown, &keys, NOW).err(), Some(TokenFault::Audience));
    let access = maker.token("EdDSA", "e", json!({}));
    assert_eq!(verify(&access, &fetched, &keys, NOW).err(), Some(TokenFault::Audience));
    assert_ne!(shown.generation(), fetched.generation(), "what is remembered of one is not of the other");
    let bound = maker.token("EdDSA", "e", json!({ "aud": "web", "cnf": {} }));
    assert!(matches!(verify(&bound, &fetched, &keys, NOW), Err(TokenFault::Rule(_))));
}
