//! The form of a token: its parts, their base64url, their JSON.

use anteroom::authn::JsonFault::{Duplicate, Syntax, TooDeep, TooMany};
use anteroom::authn::TokenFault::{self, Encoding, Encrypted, Json, Parts, TooLong};
use anteroom::authn::{MAX_TOKEN, TokenPart};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::json;

use super::{Forger, Table, b64, head, payload, signed_parts};

const HEADER: TokenFault = Encoding(TokenPart::Header);
const PAYLOAD: TokenFault = Encoding(TokenPart::Payload);
const SIGNATURE: TokenFault = Encoding(TokenPart::Signature);

/// Another way to write a text.
type Spelling<'a> = &'a dyn Fn(&str) -> Vec<u8>;

/// `text` with spaces behind its first brace until its length leaves this rest in threes: then the last letter of its
/// base64 has bits that mean nothing.
fn loose(text: &str, rest: usize) -> String {
    let mut text = text.to_owned();
    while text.len() % 3 != rest {
        text.insert(1, ' ');
    }
    text
}

/// The same value to a decoder that does not look at the bits that are left over.
fn other_bits(part: &str) -> String {
    let (front, last) = part.split_at(part.len() - 1);
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = letters.find(last).unwrap() + 1;
    format!("{front}{}", &letters[next..=next])
}

impl Forger {
    /// More or fewer than three of them, and other ways to write a signature.
    pub(super) fn parts(&self, table: &mut Table) {
        let good = self.headed(&head("EdDSA", "ed"));
        let [header, claims, tag] = *good.split('.').collect::<Vec<_>>() else { panic!("three parts") };
        let jwe = format!(
            "{}.{}.{}.{}.{}",
            b64(r#"{"alg":"dir","enc":"A256GCM"}"#),
            "",
            b64([1; 12]),
            b64([2; 40]),
            b64([3; 16])
        );
        let flattened = json!({ "protected": header, "payload": claims, "signature": tag }).to_string();
        let general =
            json!({ "payload": claims, "signatures": [{ "protected": header, "signature": tag }] }).to_string();
        for (name, token, fault) in [
            ("nothing", String::new(), Parts),
            ("one dot", ".".to_owned(), Parts),
            ("two dots", "..".to_owned(), Parts),
            ("one part", header.to_owned(), Parts),
            ("no signature", format!("{header}.{claims}"), Parts),
            ("an empty signature", format!("{header}.{claims}."), Parts),
            ("a detached payload", format!("{header}..{tag}"), Parts),
            ("an empty header", format!(".{claims}.{tag}"), Parts),
            ("a dot before", format!(".{good}"), Parts),
            ("a dot behind", format!("{good}."), Parts),
            ("four parts", format!("{good}.{tag}"), Parts),
            ("five parts", format!("{good}.{tag}.{tag}"), Encrypted),
            ("six parts", format!("{good}.{tag}.{tag}.{tag}"), Parts),
            ("an encrypted token", jwe, Encrypted),
            ("four dots", "....".to_owned(), Encrypted),
            ("JSON, flattened", flattened.clone(), Parts),
            ("JSON, general", general.clone(), Parts),
            ("JSON, encoded", b64(&flattened), Parts),
            ("an encoded dot", format!("{header}%2E{claims}.{tag}"), Parts),
            ("a wide dot", format!("{header}\u{ff0e}{claims}.{tag}"), Parts),
            ("two tokens", format!("{good},{good}"), Encrypted),
            ("quoted", format!("\"{good}\""), HEADER),
            ("a scheme within", format!("Bearer {good}"), HEADER),
            ("a name before it", format!("token={good}"), HEADER),
        ] {
            table.add(name, token, fault);
        }
        let nested = signed_parts(&self.ed, &b64(r#"{"alg":"EdDSA","kid":"ed","typ":"JWT","cty":"JWT"}"#), &b64(&good));
        table.add("a token in a token", nested, Json(TokenPart::Payload, Syntax));
        let long = |length: usize| format!("{}.{claims}.{tag}", "a".repeat(length - claims.len() - tag.len() - 2));
        table.add("one byte too long", long(MAX_TOKEN + 1), TooLong);
        let claims = payload(json!({ "note": "x".repeat(MAX_TOKEN) }));
        table.add("too long, and well signed", self.says(&claims), TooLong);
        let names: serde_json::Map<_, _> = (0..5_000).map(|number| (format!("c{number}"), json!(0))).collect();
        table.add("five thousand claims", self.says(&payload(names.into())), TooLong);
    }

    /// One value has one spelling.
    pub(super) fn base64(&self, table: &mut Table) {
        let (header, claims) = (loose(&head("EdDSA", "ed"), 1), loose(&payload(json!({})), 1));
        let good = self.ed(&header, &claims);
        let [front, middle, tag] = *good.split('.').collect::<Vec<_>>() else { panic!("three parts") };
        let sign = |header: &str, claims: &str| signed_parts(&self.ed, header, claims);
        for (name, change) in [
            ("padded", &(|part: &str| format!("{part}==")) as &dyn Fn(&str) -> String),
            ("padded once", &|part| format!("{part}=")),
            ("with other bits at its end", &other_bits),
            ("with a space behind", &|part| format!("{part} ")),
            ("with a space before", &|part| format!(" {part}")),
            ("with a space inside", &|part| format!("{} {}", &part[..8], &part[8..])),
            ("with a line end", &|part| format!("{part}\n")),
            ("with a tab inside", &|part| format!("{}\t{}", &part[..8], &part[8..])),
            ("with a NUL", &|part| format!("{part}\u{0}")),
            ("with a letter too many", &|part| format!("{part}AAA")),
            ("with an escaped letter", &|part| format!("%{:02X}{}", part.as_bytes()[0], &part[1..])),
            ("with a plus", &|part| format!("+{}", &part[1..])),
            ("with a slash", &|part| format!("/{}", &part[1..])),
            ("with a star", &|part| format!("{part}*")),
            ("with a letter of another alphabet", &|part| format!("{part}\u{455}")),
        ] {
            table.add(format!("a header {name}"), sign(&change(front), middle), HEADER);
            table.add(format!("a payload {name}"), sign(front, &change(middle)), PAYLOAD);
            table.add(format!("a signature {name}"), format!("{front}.{middle}.{}", change(tag)), SIGNATURE);
        }
        // Letters that only one of the two alphabets has.
        let plain = loose(&payload(json!({ "note": "\u{bf}\u{ff}\u{fe}???>>>" })), 0);
        assert!(STANDARD.encode(&plain).contains(['+', '/']) && !STANDARD.encode(&plain).contains('='));
        table.add("a payload in the other alphabet", sign(front, &STANDARD.encode(&plain)), PAYLOAD);
        table.add("a header in the other alphabet, padded", sign(&STANDARD.encode(&header), middle), HEADER);
        table.add("a payload with its padding", sign(front, &URL_SAFE.encode(&claims)), PAYLOAD);
        table.add(
            "a header in hex",
            sign(&header.bytes().map(|one| format!("{one:02x}")).collect::<String>(), middle),
            {
                // Hex letters are letters of base64 too, and what they spell is no JSON.
                Json(TokenPart::Header, Syntax)
            },
        );
    }

    /// Two readers must not read two things.
    pub(super) fn json(&self, table: &mut Table) {
        let (good_head, good) = (head("EdDSA", "ed"), payload(json!({})));
        let in_head = |fault| Json(TokenPart::Header, fault);
        let in_payload = |fault| Json(TokenPart::Payload, fault);
        for (name, first) in [
            ("alg", r#""alg":"none","#),
            ("kid", r#""kid":"rsa","#),
            ("typ", r#""typ":"at+jwt","#),
            ("an escaped alg", r#""\u0061lg":"none","#),
            ("a member of a member", r#""x":{"y":1,"y":2},"#),
        ] {
            table.add(
                format!("{name} twice"),
                self.headed(&good_head.replacen('{', &format!("{{{first}"), 1)),
                in_head(Duplicate),
            );
        }
        for name in ["iss", "sub", "aud", "exp", "nbf", "iat", "org_id", "roles"] {
            let twice = good.replacen('{', &format!(r#"{{"{name}":1,"#), 1);
            table.add(format!("{name} twice"), self.says(&twice), in_payload(Duplicate));
        }
        let escaped = good.replacen('{', r#"{"\u0073ub":"eve.example","#, 1);
        table.add("an escaped sub beside sub", self.says(&escaped), in_payload(Duplicate));
        let within = good.replacen('{', r#"{"realm_access":{"roles":[],"roles":["admin"]},"#, 1);
        table.add("a claim within a claim twice", self.says(&within), in_payload(Duplicate));
        for (name, open, close) in [("lists", "[", "]"), ("objects", "{\"a\":", "}")] {
            for depth in [17, 500] {
                let deep = format!("{}0{}", open.repeat(depth), close.repeat(depth));
                let (header, claims) = (
                    good_head.replacen('{', &format!("{{\"x\":{deep},"), 1),
                    good.replacen('{', &format!("{{\"x\":{deep},"), 1),
                );
                table.add(format!("{depth} {name} deep in the header"), self.headed(&header), in_head(TooDeep));
                table.add(format!("{depth} {name} deep in the payload"), self.says(&claims), in_payload(TooDeep));
            }
        }
        let many = |number: usize| format!("{{\"x\":[{}0],", "0,".repeat(number));
        table.add("a header of too many values", self.headed(&good_head.replacen('{', &many(64), 1)), in_head(TooMany));
        table.add("a payload of too many values", self.says(&good.replacen('{', &many(4_096), 1)), in_payload(TooMany));
        self.no_json(table, &good_head, &good);
    }

    /// What some readers take for JSON.
    fn no_json(&self, table: &mut Table, header: &str, claims: &str) {
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let bytes = |first: &[u8], text: &str| [first, text.as_bytes()].concat();
        let inside = |letters: &[u8], text: &str| {
            let (front, back) = text.split_at(text.len() - 1);
            [front.as_bytes(), b",\"x\":\"", letters, b"\"", back.as_bytes()].concat()
        };
        let forms: [(&str, Spelling<'_>); 24] = [
            ("a byte order mark", &|text| bytes(b"\xef\xbb\xbf", text)),
            ("UTF-16", &|text| wide(text)),
            ("a NUL behind", &|text| bytes(text.as_bytes(), "\u{0}")),
            ("a NUL before", &|text| bytes(b"\0", text)),
            ("an overlong letter", &|text| inside(b"\xc0\xaf", text)),
            ("half a letter", &|text| inside(b"\xe2\x82", text)),
            ("half a pair", &|text| inside(b"\xed\xa0\x80", text)),
            ("half a pair, escaped", &|text| inside(br"\ud800", text)),
            ("a raw line end in a text", &|text| inside(b"\n", text)),
            ("an unknown escape", &|text| inside(br"\x41", text)),
            ("two objects", &|text| bytes(text.as_bytes(), text)),
            ("something behind", &|text| bytes(text.as_bytes(), "x")),
            ("a comma behind", &|text| bytes(text.as_bytes(), ",")),
            ("a comma at the end", &|text| text.replacen('}', ",}", 1).into_bytes()),
            ("a comment", &|text| text.replacen('{', "{/**/", 1).into_bytes()),
            ("apostrophes", &|text| text.replace('"', "'").into_bytes()),
            ("a name without quotes", &|text| text.replacen('{', "{x:1,", 1).into_bytes()),
            ("a list", &|text| format!("[{text}]").into_bytes()),
            ("a text", &|text| json!(text).to_string().into_bytes()),
            ("a number", &|_| b"1".to_vec()),
            ("null", &|_| b"null".to_vec()),
            ("no end", &|text| text.as_bytes()[..text.len() - 1].to_vec()),
            ("a leading zero", &|text| text.replacen('{', "{\"x\":01,", 1).into_bytes()),
            ("a number that is none", &|text| text.replacen('{', "{\"x\":NaN,", 1).into_bytes()),
        ];
        for (name, form) in forms {
            let signed = |header: &[u8], claims: &[u8]| signed_parts(&self.ed, &b64(header), &b64(claims));
            let of_header = signed(&form(header), claims.as_bytes());
            table.add(format!("a header with {name}"), of_header, Json(TokenPart::Header, Syntax));
            let of_payload = signed(header.as_bytes(), &form(claims));
            table.add(format!("a payload with {name}"), of_payload, Json(TokenPart::Payload, Syntax));
        }
    }
}
