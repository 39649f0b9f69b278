use serde_json::json;

use super::*;
use crate::outbound::Reach;

const ISSUER: &str = "https://issuer.example/realms/clinic";

fn at() -> Endpoint {
    let ca = certs::dev::DevCa::generate(crate::outbound::stage::VALID).unwrap();
    Endpoint::new(&address_of(ISSUER), Some(ca.ca_pem().as_bytes()), &Reach::public()).unwrap()
}

fn document() -> Value {
    json!({
        "issuer": ISSUER,
        "jwks_uri": "https://keys.example/jwks",
        "authorization_endpoint": "https://issuer.example/authorize?tenant=a",
        "token_endpoint": "https://issuer.example/token",
        "end_session_endpoint": "https://issuer.example/logout",
        "code_challenge_methods_supported": ["plain", "S256"],
        "authorization_response_iss_parameter_supported": true,
        "id_token_signing_alg_values_supported": ["none", "HS256"],
        "unknown": { "deep": [1, 2, 3] },
    })
}

fn read(document: &Value) -> Result<Metadata, MetadataFault> {
    Metadata::read(document.to_string().as_bytes(), ISSUER, &at())
}

#[test]
fn the_address_follows_from_the_issuer() {
    assert_eq!(address_of("https://a.example"), "https://a.example/.well-known/openid-configuration");
    assert_eq!(address_of("https://a.example/"), "https://a.example/.well-known/openid-configuration");
    assert_eq!(address_of(ISSUER), "https://issuer.example/realms/clinic/.well-known/openid-configuration");
}

#[test]
fn a_document_is_read() {
    let metadata = read(&document()).unwrap();
    assert_eq!(metadata.keys.url(), "https://keys.example/jwks");
    assert_eq!(metadata.token_endpoint.unwrap().url(), "https://issuer.example/token");
    assert_eq!(metadata.authorization_endpoint.as_deref(), Some("https://issuer.example/authorize?tenant=a"));
    assert_eq!(metadata.end_session_endpoint.as_deref(), Some("https://issuer.example/logout"));
    assert_eq!(metadata.token_endpoint_auth_methods, ["client_secret_basic"]);
    assert_eq!(metadata.code_challenge_methods, ["plain", "S256"]);
    assert!(metadata.names_issuer && metadata.revocation_endpoint.is_none());
}

#[test]
fn a_document_of_somebody_else_is_refused() {
    let others = [
        json!("https://issuer.example/realms/clinic/"),
        json!("https://issuer.example/realms/Clinic"),
        json!("http://issuer.example/realms/clinic"),
        json!("https://issuer.example/realms/{tenantid}"),
        json!(""),
        json!(null),
        json!([ISSUER]),
    ];
    for issuer in others {
        let mut document = document();
        document["issuer"] = issuer.clone();
        assert_eq!(read(&document).err(), Some(MetadataFault::Issuer), "{issuer}");
    }
    let mut none = document();
    none.as_object_mut().unwrap().remove("issuer");
    assert_eq!(read(&none).err(), Some(MetadataFault::Issuer));
}

#[test]
fn keys_may_not_be_inside_nor_in_the_clear() {
    let addresses = [
        json!("http://keys.example/jwks"),
        json!("https://10.0.0.1/jwks"),
        json!("https://[::1]/jwks"),
        json!("https://169.254.169.254/latest/meta-data"),
        json!("https://user@keys.example/jwks"),
        json!("//keys.example/jwks"),
        json!("jwks"),
        json!("file:///etc/keys"),
        json!(7),
        json!(null),
    ];
    for address in addresses {
        let mut document = document();
        document["jwks_uri"] = address.clone();
        assert_eq!(read(&document).err(), Some(MetadataFault::Keys), "{address}");
        document["jwks_uri"] = json!("https://keys.example/jwks");
        for name in ["token_endpoint", "revocation_endpoint"] {
            document[name] = address.clone();
            let metadata = read(&document).unwrap();
            assert!(metadata.token_endpoint.is_none() || name != "token_endpoint", "{address}");
            assert!(metadata.revocation_endpoint.is_none(), "{address}");
        }
    }
}

#[test]
fn pages_are_https_and_plain() {
    for address in
        ["http://a.example/", "javascript:alert(1)", "https://a@b.example/", "https://b.example/#x", "/x", ""]
    {
        let mut document = document();
        document["authorization_endpoint"] = json!(address);
        document["end_session_endpoint"] = json!(address);
        let metadata = read(&document).unwrap();
        assert_eq!((metadata.authorization_endpoint, metadata.end_session_endpoint), (None, None), "{address}");
    }
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    let twice = format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"https://a.example/","jwks_uri":"https://b.example/"}}"#);
    let refused = |text: &[u8]| Metadata::read(text, ISSUER, &at()).err();
    assert_eq!(refused(twice.as_bytes()), Some(MetadataFault::Json(JsonFault::Duplicate)));
    assert_eq!(refused(b"<html>"), Some(MetadataFault::Json(JsonFault::Syntax)));
    assert_eq!(refused(b""), Some(MetadataFault::Json(JsonFault::Syntax)));
}
