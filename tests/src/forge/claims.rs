//! What a payload can say: times, issuers, audiences, subjects.

use anteroom::authn::JsonFault::Syntax;
use anteroom::authn::TokenFault::{Audience, Claim, Expired, IssuedLater, Issuer, Json, NotYet};
use anteroom::authn::TokenPart;
use serde_json::json;

use super::{Forger, NOW, Table, payload, payload_with};
use crate::issuer::{AUDIENCE, ISSUER};

impl Forger {
    /// A time is a number of seconds between 1970 and 9999, and nothing else (CVE-2026-25537).
    pub(super) fn times(&self, table: &mut Table) {
        let milliseconds = (NOW * 1_000).to_string();
        for name in ["exp", "nbf", "iat"] {
            let quoted = format!("\"{}\"", NOW + 300);
            let wrong = [
                quoted.as_str(),
                "\"\"",
                "\"never\"",
                "\"1e12\"",
                "null",
                "true",
                "false",
                "[]",
                "[1795000300]",
                "{}",
                "-1",
                "-1.5",
                "-1795000300",
                "253402300800",
                &milliseconds,
                "9007199254740993",
                "9223372036854775807",
                "18446744073709551615",
                "18446744073709551616",
                "-9223372036854775808",
                "1e30",
                "1e308",
                "-1e308",
            ];
            for value in wrong {
                table.add(format!("{name} is {value}"), self.says(&payload_with(name, value)), Claim(name));
            }
            for value in
                ["NaN", "Infinity", "-Infinity", "1e999", "+1", "0x7fffffff", "1_000", "01", "1.", ".5", "1e", "١"]
            {
                let fault = Json(TokenPart::Payload, Syntax);
                table.add(format!("{name} is {value}"), self.says(&payload_with(name, value)), fault);
            }
        }
        table.add("no exp", self.says(&payload(json!({ "exp": null }))), Claim("exp"));
        table.add("EXP for exp", self.says(&payload(json!({ "exp": null, "EXP": NOW + 300 }))), Claim("exp"));
        for past in ["0", "-0", "0.0", "0e9", "1", "1.79e9", "1e9"] {
            table.add(format!("exp is {past}"), self.says(&payload_with("exp", past)), Expired);
        }
        for (name, value, fault) in [
            ("exp", NOW - 30, Expired),
            ("nbf", NOW + 31, NotYet),
            ("nbf", 253_402_300_799, NotYet),
            ("iat", NOW + 31, IssuedLater),
            ("iat", 253_402_300_799, IssuedLater),
        ] {
            table.add(format!("{name} is {value}"), self.says(&payload(json!({ name: value }))), fault);
        }
        table.add("exp is a fraction too old", self.says(&payload_with("exp", &format!("{}.99", NOW - 31))), Expired);
    }

    /// `iss`, `aud` and `sub` are ours to the letter.
    pub(super) fn names(&self, table: &mut Table) {
        let issuers = [
            json!(null),
            json!(""),
            json!("https://issuer.example"),
            json!("https://issuer.example//"),
            json!("https://ISSUER.example/"),
            json!("HTTPS://issuer.example/"),
            json!("http://issuer.example/"),
            json!("https://issuer.example:443/"),
            json!("https://issuer.example/realms/other"),
            json!("https://issuer.example/?"),
            json!("https://issuer.example/#"),
            json!("https://issuer.example/ "),
            json!(" https://issuer.example/"),
            json!("https://issuer.example/\u{0}"),
            json!("https://issuer.example.evil.example/"),
            json!("https://evil.example/https://issuer.example/"),
            json!("https://user@issuer.example/"),
            json!("https://issuer.ex\u{430}mple/"),
            json!("https://other.example/"),
            json!([ISSUER]),
            json!([ISSUER, "https://other.example/"]),
            json!({ "iss": ISSUER }),
            json!(1),
            json!(true),
        ];
        for iss in issuers {
            table.add(format!("iss is {iss}"), self.says(&payload(json!({ "iss": iss }))), Issuer);
        }
        let audiences = [
            json!(null),
            json!(""),
            json!([]),
            json!("https://other.example"),
            json!(["https://other.example"]),
            json!(1),
            json!(true),
            json!({}),
            json!({ AUDIENCE: true }),
            json!([AUDIENCE, 1]),
            json!([AUDIENCE, null]),
            json!([[AUDIENCE]]),
            json!([{ "aud": AUDIENCE }]),
            json!(AUDIENCE.to_uppercase()),
            json!(format!("{AUDIENCE}/")),
            json!(format!("{AUDIENCE}.evil.example")),
            json!(&AUDIENCE[..20]),
            json!(format!("{AUDIENCE} https://other.example")),
            json!(format!("{AUDIENCE},https://other.example")),
            json!(format!("{AUDIENCE}\u{0}")),
            json!(format!(" {AUDIENCE}")),
            json!("*"),
            json!("https://*.clinic.example"),
            json!(".*"),
        ];
        for aud in audiences {
            table.add(format!("aud is {aud}"), self.says(&payload(json!({ "aud": aud }))), Audience);
        }
        let subjects = [
            json!(null),
            json!(""),
            json!(" "),
            json!(" ada.example"),
            json!("ada.example "),
            json!("ada\u{0}"),
            json!("ada\r\nX-Tenant-Id: b"),
            json!("ada\u{7f}"),
            json!("ada\u{85}"),
            json!("x".repeat(257)),
            json!(7),
            json!(true),
            json!(["ada.example"]),
            json!({ "sub": "ada.example" }),
        ];
        for sub in subjects {
            let name = format!("sub is {}", sub.to_string().chars().take(40).collect::<String>());
            table.add(name, self.says(&payload(json!({ "sub": sub }))), Claim("sub"));
        }
    }
}
