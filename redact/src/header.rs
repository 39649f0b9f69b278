//! A header's value, as far as it may be shown.
//!
//! Decides by the name: only names that are known to carry no secret and no person are shown at all.

use std::borrow::Cow;

use crate::{MARK, target, text};

/// Headers whose value is shown, cleaned like any text.
const SHOWN: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "keep-alive",
    "last-modified",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "referrer-policy",
    "retry-after",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-websocket-version",
    "server",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "x-content-type-options",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-frame-options",
];

/// Headers whose value is an address.
const ADDRESSES: &[&str] = &["content-location", "location", "referer"];

/// Headers that name the scheme of a credential, which may be shown.
const CREDENTIALS: &[&str] = &["authorization", "proxy-authorization"];
const SCHEMES: &[&str] = &["Basic", "Bearer", "Digest", "DPoP", "Negotiate"];

/// The value of a header as it may be shown. The name is compared without regard to case.
///
/// Of a credential the scheme stays (`Bearer {}`); of an address what [`target`] leaves; of a header that is not known
/// to be harmless nothing.
pub fn header<'v>(name: &str, value: &'v str) -> Cow<'v, str> {
    let among = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    if among(SHOWN) {
        text(value)
    } else if among(ADDRESSES) {
        Cow::Owned(text(&target(value)).into_owned())
    } else if among(CREDENTIALS) {
        let word = value.split(' ').next().unwrap_or_default();
        let scheme = SCHEMES.iter().find(|scheme| scheme.eq_ignore_ascii_case(word) && word.len() < value.len());
        scheme.map_or(Cow::Borrowed(MARK), |scheme| Cow::Owned(format!("{scheme} {MARK}")))
    } else {
        Cow::Borrowed(MARK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_name() {
        for (name, value, shown) in [
            ("Authorization", "bearer abc.def", "Bearer {}"),
            ("authorization", "Secret123", "{}"),
            ("Authorization", "Bearer", "{}"),
            ("Cookie", "a=b; c=d", "{}"),
            ("Set-Cookie", "sid=1; Path=/", "{}"),
            ("X-Patient", "jane", "{}"),
            ("X-Api-Key", "k", "{}"),
            ("Content-Type", "application/json; charset=utf-8", "application/json; charset=utf-8"),
            ("User-Agent", "curl/8.5.0", "curl/8.5.0"),
            ("X-Forwarded-For", "203.0.113.9, 2001:db8::7", "203.0.113.9, 2001:db8::7"),
            ("Referer", "https://clinic.example/p/17?q=jane", "https://clinic.example/p/{}?q={}"),
            ("Location", "patients/17?q=jane", "patients/{}?q={}"),
        ] {
            assert_eq!(header(name, value), shown, "{name}: {value}");
        }
    }

    proptest! {
        #[test]
        fn idempotent(name in r"authorization|cookie|location|host|x-any", value in r"(bearer |basic |[a-z0-9/?=&@. ]|\PC){0,40}") {
            let once = header(&name, &value);
            prop_assert_eq!(header(&name, &once), once.as_ref());
        }
    }
}
