//! Forms as they are sent (`application/x-www-form-urlencoded`).
//!
//! Decides nothing: it writes what it is given so that it is read as the same again.

use std::fmt::Write as _;

/// A text as it stands in a form: letters, digits and `*-._` as they are, a space as `+`, every other byte as `%XX`. So are
/// a client's name and secret written for HTTP Basic too (RFC 6749, 2.3.1).
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            other => {
                // Writing to a `String` cannot fail.
                let _written = write!(encoded, "%{other:02X}");
            }
        }
    }
    encoded
}

/// Fields as a form, in the given order.
pub fn encode_form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_read_as_something_else_is_encoded() {
        assert_eq!(encode("aZ09*-._"), "aZ09*-._");
        assert_eq!(encode("a b&c=d+e%f/?é\r\n~"), "a+b%26c%3Dd%2Be%25f%2F%3F%C3%A9%0D%0A%7E");
        assert_eq!(encode_form(&[("code", "a&b=c"), ("x y", "")]), "code=a%26b%3Dc&x+y=");
        assert_eq!(encode_form(&[]), "");
    }
}
