//! From text to words, signs and values.
//!
//! Knows no grammar. Whatever it does not know is a fault with its place.

use super::{Fault, quoted};
use std::ops::Range;

/// A word, a sign or a value, with its place.
pub(super) type Placed = (Token, Range<usize>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Int(u64),
    Text(String),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// What a piece of text that fits nowhere was probably meant to be.
pub(super) fn unexpected(text: &str, range: Range<usize>) -> Fault {
    let found = quoted(text.get(range.clone()).unwrap_or_default());
    let fault = Fault::new(range, format!("{found} does not belong here"));
    match found.as_str() {
        "`=`" => fault.help("`==` compares"),
        "`&`" => fault.help("`&&` is the and"),
        "`|`" => fault.help("`||` is the or"),
        "`and`" | "`or`" | "`not`" => fault.help("write `&&`, `||` and `!`"),
        "`+`" | "`-`" | "`*`" | "`/`" | "`%`" => fault.help("conditions do not calculate"),
        "`?`" | "`:`" => fault.help("there is no `?:`; write it with `&&` and `||`"),
        "`[`" => fault.help("a value has no parts in brackets; write `principal.claims.name`"),
        "`{`" | "`}`" => fault.help("conditions have no maps"),
        _ => fault,
    }
}

const SIGNS: [&str; 28] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", ".", "-", "+", "*", "/", "%", "?", ":",
    "{", "}", "=", "&", "|", ";",
];

/// The tokens of a text; the last one is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, Fault> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t', '\n', '\r']);
    while let Some(first) = rest.chars().next() {
        let start = text.len() - rest.len();
        let (token, after) = if first.is_ascii_alphabetic() || first == '_' {
            let (word, after) = split(rest, |c| c.is_ascii_alphanumeric() || c == '_');
            (Token::Word(word.to_owned()), after)
        } else if first.is_ascii_digit() {
            number(rest, start)?
        } else if first == '"' || first == '\'' {
            string(rest, first, start)?
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            (Token::Sign(sign), rest.strip_prefix(sign).unwrap_or_default())
        } else {
            return Err(unexpected(text, start..start + first.len_utf8()));
        };
        found.push((token, start..text.len() - after.len()));
        rest = after.trim_start_matches([' ', '\t', '\n', '\r']);
    }
    found.push((Token::End, text.len()..text.len()));
    Ok(found)
}

/// The longest beginning of `text` of which every character is `fits`, and what follows it.
fn split(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !fits(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn number(rest: &str, start: usize) -> Result<(Token, &str), Fault> {
    let (digits, after) = split(rest, |c| c.is_ascii_digit());
    let (whole, _) = split(rest, |c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    let plain = digits.len() == whole.len() && (digits == "0" || !digits.starts_with('0'));
    match digits.parse() {
        Ok(number) if plain => Ok((Token::Int(number), after)),
        _ => Err(Fault::new(start..start + whole.len(), format!("{} is no whole number", quoted(whole)))
            .help("decimal digits alone, up to 64 bits")),
    }
}

fn string(rest: &str, quote: char, start: usize) -> Result<(Token, &str), Fault> {
    let open =
        || Err(Fault::new(start..start + rest.len(), "the text has no end").help(format!("close it with {quote}")));
    let mut read = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\n' | '\r' => return open(),
            '\\' => match chars.next().map(|(_, escaped)| escaped) {
                Some(escaped @ ('\\' | '\'' | '"')) => read.push(escaped),
                _ => {
                    return Err(Fault::new(start + at..start + at + 2, "this escape is not known")
                        .help("`\\\\`, `\\'` and `\\\"` are"));
                }
            },
            _ if c == quote => {
                let after = rest.get(at + 1..).unwrap_or_default();
                // Three quotes would begin CEL's other kind of text.
                if after.starts_with(['"', '\'']) {
                    return Err(Fault::new(start..start + at + 2, "a text ends and another begins"));
                }
                return Ok((Token::Text(read), after));
            }
            _ => read.push(c),
        }
    }
    open()
}
