//! What a header can say: algorithms, key ids, keys of its own, demands, types.

use anteroom::authn::TokenFault::{
    Algorithm, Critical, Header, KeyAlgorithm, Parts, Signature, Type, UnknownKey, UnnamedKey,
};
use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};
use aws_lc_rs::signature::Ed25519KeyPair;
use serde_json::json;

use super::{Forger, Key, Table, b64, head, payload, pem, signed, with_secret};

impl Forger {
    /// `none`, and everything that is no algorithm of ours.
    pub(super) fn algorithms(&self, table: &mut Table) {
        let claims = b64(payload(json!({})));
        let tag = self.headed(&head("EdDSA", "ed")).rsplit_once('.').unwrap().1.to_owned();
        for alg in ["none", "None", "NONE", "nOnE", "none ", " none", "no\u{0}ne", ""] {
            let header = b64(json!({ "alg": alg, "kid": "ed" }).to_string());
            table.add(format!("alg {alg:?} without a signature"), format!("{header}.{claims}."), Parts);
            table.add(format!("alg {alg:?} in two parts"), format!("{header}.{claims}"), Parts);
            table.add(format!("alg {alg:?} with a stolen signature"), format!("{header}.{claims}.{tag}"), Algorithm);
        }
        let unknown = [
            "eddsa",
            "EDDSA",
            "rs256",
            "Rs256",
            "RS256 ",
            "RS256\u{0}",
            "RS1",
            "ES256K",
            "ES512",
            "Ed448",
            "ML-DSA-44",
            "dir",
            "RSA-OAEP",
            "PBES2-HS256+A128KW",
            "HS256/64",
            "SHA256",
            "RS256,none",
            "https://issuer.example/alg",
        ];
        for alg in unknown {
            table.add(format!("alg {alg:?}"), self.headed(&head(alg, "ed")), Algorithm);
        }
        for alg in ["null", "1", "true", "[]", "[\"EdDSA\"]", "{\"alg\":\"EdDSA\"}"] {
            table.add(format!("alg is {alg}"), self.headed(&format!(r#"{{"alg":{alg},"kid":"ed"}}"#)), Header("alg"));
        }
        table.add("no alg", self.headed(r#"{"kid":"ed","typ":"JWT"}"#), Header("alg"));
        table.add("Alg for alg", self.headed(r#"{"Alg":"EdDSA","kid":"ed"}"#), Header("alg"));
    }

    /// A public key as a secret, and one key's token for another's.
    pub(super) fn confusion(&self, table: &mut Table) {
        for (key, kid) in [(&self.rsa, "rsa"), (&self.ec, "ec"), (&self.ed, "ed")] {
            let (der, jwk) = (key.public_der(), key.jwk(kid));
            let secrets = [
                ("PEM", pem(&der, "\n").into_bytes()),
                ("PEM with a line end", format!("{}\n", pem(&der, "\n")).into_bytes()),
                ("PEM with CR LF", pem(&der, "\r\n").into_bytes()),
                ("DER", der),
                ("raw public key", key.public().to_vec()),
                ("JWK", jwk.to_string().into_bytes()),
                ("JWK's first number", jwk.get("n").or(jwk.get("x")).unwrap().to_string().into_bytes()),
                ("key set", self.key_set().to_string().into_bytes()),
                ("kid", kid.as_bytes().to_vec()),
                ("nothing", Vec::new()),
            ];
            for (name, secret) in secrets {
                let name = format!("HS256 by the {name} of `{kid}`");
                table.add(&name, with_secret(HMAC_SHA256, &secret, &head("HS256", kid)), KeyAlgorithm);
                table.add(name + ", no kid", with_secret(HMAC_SHA256, &secret, r#"{"alg":"HS256"}"#), UnknownKey);
            }
            let pem = pem(&key.public_der(), "\n").into_bytes();
            table.add(format!("HS384, `{kid}`"), with_secret(HMAC_SHA384, &pem, &head("HS384", kid)), KeyAlgorithm);
            table.add(format!("HS512, `{kid}`"), with_secret(HMAC_SHA512, &pem, &head("HS512", kid)), KeyAlgorithm);
        }
        for (alg, kid) in [
            ("RS256", "ec"),
            ("RS256", "ed"),
            ("ES256", "rsa"),
            ("ES256", "ed"),
            ("EdDSA", "rsa"),
            ("EdDSA", "ec"),
            ("ES384", "ec"),
            ("PS256", "rsa"),
            ("RS384", "rsa"),
            ("RS512", "rsa"),
            ("PS512", "rsa"),
        ] {
            let key = match alg {
                "EdDSA" => &self.ed,
                "ES256" | "ES384" => &self.ec,
                _ => &self.rsa,
            };
            table.add(format!("{alg} under `{kid}`"), signed(key, &head(alg, kid), &payload(json!({}))), KeyAlgorithm);
        }
        let text = format!("{}.{}", b64(head("RS256", "rsa")), b64(payload(json!({}))));
        for other in ["PS256", "RS384"] {
            let tag = b64(self.rsa.rsa(other, text.as_bytes()));
            table.add(format!("RS256 that was signed as {other}"), format!("{text}.{tag}"), Signature);
        }
    }

    /// Ids that point elsewhere, or nowhere.
    pub(super) fn key_ids(&self, table: &mut Table) {
        let long = "k".repeat(256);
        let unknown = [
            "Ed",
            "ed ",
            " ed",
            "ed\u{0}",
            "ed\n",
            "e",
            "rsa,ed",
            "keys/0",
            "0",
            "../../../../dev/null",
            "/proc/self/environ",
            "..\\..\\windows\\win.ini",
            "file:///dev/null",
            "https://evil.example/jwks#ed",
            "ed' OR '1'='1",
            "x' UNION SELECT 'k';-- ",
            "ed|true",
            "; cat /etc/passwd",
            "$(id)",
            "{{7*7}}",
            "*",
            "ed)(kid=*",
            "\u{ff45}\u{ff44}",
            &long,
        ];
        for kid in unknown {
            let name = format!("kid {:?}", kid.chars().take(24).collect::<String>());
            table.add(&name, self.headed(&head("EdDSA", kid)), UnknownKey);
            table.add(name + " by an empty secret", with_secret(HMAC_SHA256, b"", &head("HS256", kid)), UnknownKey);
        }
        table.add("kid of 257 bytes", self.headed(&head("EdDSA", &"k".repeat(257))), Header("kid"));
        for kid in ["\"\"", "null", "1", "true", "[\"ed\"]", "{\"kid\":\"ed\"}"] {
            table.add(
                format!("kid is {kid}"),
                self.headed(&format!(r#"{{"alg":"EdDSA","kid":{kid}}}"#)),
                Header("kid"),
            );
        }
    }

    /// Keys and certificates that the token brings along (CVE-2018-0114), or says where to find.
    pub(super) fn keys_inside(&self, table: &mut Table) {
        let theirs = Key::Ed(Ed25519KeyPair::generate().unwrap());
        let jwk = theirs.jwk("ed");
        let brought = [
            ("jwk", json!({ "jwk": jwk })),
            ("jwk set", json!({ "jwks": { "keys": [jwk] } })),
            ("jku", json!({ "jku": "https://evil.example/jwks" })),
            ("jku of a name that begins as ours", json!({ "jku": "https://issuer.example@evil.example/jwks" })),
            ("jku with dots", json!({ "jku": "https://issuer.example/../evil/jwks" })),
            ("jku of a file", json!({ "jku": "file:///tmp/jwks" })),
            ("jku within", json!({ "jku": "http://127.0.0.1:9900/jwks" })),
            ("x5u", json!({ "x5u": "https://evil.example/x5u" })),
            ("x5c", json!({ "x5c": [b64(theirs.public_der())] })),
            ("x5t", json!({ "x5t": b64([0; 20]), "x5t#S256": b64([0; 32]) })),
            (
                "all of them",
                json!({ "jwk": jwk, "jku": "https://evil.example/", "x5u": "https://evil.example/", "x5c": ["AAAA"] }),
            ),
        ];
        for (name, members) in brought {
            let mut header = json!({ "alg": "EdDSA", "kid": "ed", "typ": "JWT" });
            for (member, value) in members.as_object().unwrap() {
                header[member] = value.clone();
            }
            let claims = payload(json!({}));
            table.add(format!("{name} of a stranger"), signed(&theirs, &header.to_string(), &claims), Signature);
            header["kid"] = json!("theirs");
            table.add(format!("{name}, unknown kid"), signed(&theirs, &header.to_string(), &claims), UnknownKey);
            header.as_object_mut().unwrap().remove("kid");
            table.add(format!("{name}, no kid"), signed(&theirs, &header.to_string(), &claims), UnnamedKey);
        }
    }

    /// Extensions that whoever does not know them must refuse (RFC 7515, 4.1.11), and unencoded payloads (RFC 7797).
    pub(super) fn demands(&self, table: &mut Table) {
        let demands = [
            r#""crit":["exp"],"exp":9999999999"#,
            r#""crit":["https://evil.example/x"]"#,
            r#""crit":[]"#,
            r#""crit":"exp""#,
            r#""crit":null"#,
            r#""crit":{}"#,
            r#""crit":[1]"#,
            r#""crit":["alg"]"#,
            r#""crit":["crit"]"#,
            r#""crit":["b64"],"b64":false"#,
            r#""crit":["b64"],"b64":true"#,
            r#""b64":false"#,
            r#""b64":true"#,
            r#""b64":"false""#,
        ];
        for demand in demands {
            table.add(
                format!("a header with {demand}"),
                self.headed(&format!(r#"{{"alg":"EdDSA","kid":"ed",{demand}}}"#)),
                Critical,
            );
        }
        let plain = format!("{}.{}", b64(r#"{"alg":"EdDSA","kid":"ed","crit":["b64"],"b64":false}"#), "the plain text");
        let tag = b64(self.ed.sign(plain.as_bytes()));
        table.add("a payload that is not encoded", format!("{plain}.{tag}"), Critical);
    }

    /// Signed by the same issuer for something else.
    pub(super) fn types(&self, table: &mut Table) {
        let others = [
            "",
            " JWT",
            "JWT ",
            "JWT;charset=utf-8",
            "application/",
            "text/jwt",
            "JWE",
            "JOSE+JSON",
            "id+jwt",
            "logout+jwt",
            "dpop+jwt",
            "secevent+jwt",
            "oauth-authz-req+jwt",
            "token-introspection+jwt",
            "entity-statement+jwt",
            "kb+jwt",
            "rt+jwt",
            "at+jwt+x",
            "application/application/jwt",
            "jwt\u{0}",
        ];
        for typ in others {
            let header = json!({ "alg": "EdDSA", "kid": "ed", "typ": typ }).to_string();
            table.add(format!("typ {typ:?}"), self.headed(&header), Type);
        }
        for typ in ["null", "1", "[\"JWT\"]", "{}"] {
            let header = format!(r#"{{"alg":"EdDSA","kid":"ed","typ":{typ}}}"#);
            table.add(format!("typ is {typ}"), self.headed(&header), Header("typ"));
        }
    }
}
