//! What a token says of itself, and the order in which that is judged: for telling a person why one is refused.
//!
//! It proves nothing: whatever stands here is what the token claims. What it shows is cut and escaped, and holds neither
//! the token nor its signature. Never used to let anybody in.

use serde_json::{Map, Value};

use super::fault::{TokenFault, TokenPart};
use super::jwt::{MAX_TOKEN, Parts, decoded};

/// The longest text of a token that is shown, in characters.
const MAX_SHOWN: usize = 80;

/// The checks of a token, in the order in which they are made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Check {
    /// There are keys to check with.
    Keys,
    /// Its length and its parts.
    Form,
    /// The header can be read, and demands nothing.
    Header,
    /// `alg` is one that the provider may use.
    Algorithm,
    /// Payload and signature have their one spelling.
    Encoding,
    /// `typ` is one for access.
    Type,
    /// Which key it means, and whether that is for its `alg`.
    Key,
    /// The signature.
    Signature,
    /// The payload can be read.
    Payload,
    /// `iss`.
    Issuer,
    /// `aud`.
    Audience,
    /// What is demanded of the tokens of this kind of provider.
    Rules,
    /// `exp`, `nbf` and `iat`.
    Times,
    /// The claim that names the caller, and whatever else has to be there.
    Claims,
}

impl Check {
    /// All of them, in order.
    pub const ALL: [Check; 14] = [
        Check::Keys,
        Check::Form,
        Check::Header,
        Check::Algorithm,
        Check::Encoding,
        Check::Type,
        Check::Key,
        Check::Signature,
        Check::Payload,
        Check::Issuer,
        Check::Audience,
        Check::Rules,
        Check::Times,
        Check::Claims,
    ];

    /// One word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Check::Keys => "keys",
            Check::Form => "form",
            Check::Header => "header",
            Check::Algorithm => "algorithm",
            Check::Encoding => "encoding",
            Check::Type => "type",
            Check::Key => "key",
            Check::Signature => "signature",
            Check::Payload => "payload",
            Check::Issuer => "issuer",
            Check::Audience => "audience",
            Check::Rules => "rules",
            Check::Times => "times",
            Check::Claims => "claims",
        }
    }

    /// The one that a fault comes from; `None` where it is no fault of a token.
    pub fn of(fault: TokenFault) -> Option<Self> {
        Some(match fault {
            TokenFault::NoKeys => Check::Keys,
            TokenFault::TooLong | TokenFault::Encrypted | TokenFault::Parts | TokenFault::Cookies(_) => Check::Form,
            TokenFault::Encoding(TokenPart::Header)
            | TokenFault::Json(TokenPart::Header | TokenPart::Signature, _)
            | TokenFault::Header(_)
            | TokenFault::Critical => Check::Header,
            TokenFault::Algorithm => Check::Algorithm,
            TokenFault::Encoding(TokenPart::Payload | TokenPart::Signature) => Check::Encoding,
            TokenFault::Type => Check::Type,
            TokenFault::KeyAlgorithm | TokenFault::UnknownKey | TokenFault::AmbiguousKey => Check::Key,
            TokenFault::Signature | TokenFault::UnnamedKey => Check::Signature,
            TokenFault::Json(TokenPart::Payload, _) => Check::Payload,
            TokenFault::Issuer => Check::Issuer,
            TokenFault::Audience => Check::Audience,
            TokenFault::Rule(_) => Check::Rules,
            TokenFault::Expired
            | TokenFault::NotYet
            | TokenFault::IssuedLater
            | TokenFault::Claim("exp" | "nbf" | "iat") => Check::Times,
            TokenFault::Claim(_) => Check::Claims,
            TokenFault::Certificate(_) | TokenFault::AppSession(_) | TokenFault::Login(_) => return None,
        })
    }
}

/// The members of a token, unproved.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Outline {
    /// What can be read of a token; of one that cannot be read, nothing.
    pub fn of(token: &str) -> Self {
        if token.len() > MAX_TOKEN {
            return Self::default();
        }
        let Ok(parts) = Parts::split(token) else { return Self::default() };
        let read = |part, which| {
            let bytes = decoded(part, which).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        Self {
            header: read(parts.header, TokenPart::Header).unwrap_or_default(),
            claims: read(parts.payload, TokenPart::Payload).unwrap_or_default(),
        }
    }

    /// A member of the header, fit for a terminal.
    pub fn header(&self, name: &str) -> String {
        shown(self.header.get(name))
    }

    /// A claim, fit for a terminal.
    pub fn claim(&self, name: &str) -> String {
        shown(self.claims.get(name))
    }

    /// A claim that is a time, in Unix seconds.
    pub fn time(&self, name: &str) -> Option<u64> {
        self.claims.get(name).and_then(Value::as_f64).filter(|time| (0.0..1e12).contains(time)).map(floored)
    }

    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the caller has checked the range")]
fn floored(seconds: f64) -> u64 {
    seconds.floor() as u64
}

/// A value of a token for a terminal: cut, and without anything that a terminal could obey.
fn shown(value: Option<&Value>) -> String {
    match value {
        None => "not there".to_owned(),
        Some(Value::String(text)) => {
            let escaped: String = text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
            let more = if text.chars().count() > MAX_SHOWN { ".." } else { "" };
            format!("`{escaped}{more}`")
        }
        Some(Value::Array(list)) if list.iter().all(Value::is_string) && list.len() <= 8 => {
            let texts: Vec<String> = list.iter().map(|one| shown(Some(one))).collect();
            if texts.is_empty() { "an empty list".to_owned() } else { texts.join(", ") }
        }
        Some(Value::Array(list)) => format!("a list of {}", list.len()),
        Some(Value::Object(_)) => "an object".to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(truth)) => truth.to_string(),
        Some(Value::Null) => "null".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::authn::signing::Maker;

    #[test]
    fn what_is_shown_is_cut_and_cannot_steer_a_terminal() {
        let shown = |value: Value| shown(Some(&value));
        assert_eq!(shown(json!("a\u{1b}[2J\r\n`b")), "`a\\u{1b}[2J\\r\\n`b`");
        assert_eq!(shown(json!("x".repeat(1_000))).len(), MAX_SHOWN + 4);
        assert_eq!(shown(json!(["a", "b"])), "`a`, `b`");
        assert_eq!(shown(json!(["a", 1])), "a list of 2");
        assert_eq!(shown(json!({ "a": 1 })), "an object");
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        for token in ["", "a.b.c", "....", &"x".repeat(MAX_TOKEN + 1)] {
            let outline = Outline::of(token);
            assert_eq!(
                (outline.header("alg"), outline.claim("iss"), outline.time("exp")),
                ("not there".to_owned(), "not there".to_owned(), None)
            );
        }
        let good = Outline::of(&Maker::ed25519().token("EdDSA", "e", json!({ "exp": 17.5 })));
        assert_eq!((good.header("kid"), good.time("exp")), ("`e`".to_owned(), Some(17)));
        assert_eq!(Outline::of(&Maker::ed25519().token("EdDSA", "e", json!({ "exp": -1 }))).time("exp"), None);
    }

    #[test]
    fn the_checks_are_listed_in_their_order() {
        assert!(Check::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
