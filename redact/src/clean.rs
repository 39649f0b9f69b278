//! Characters that must not stand in a line of log: they forge lines, move the cursor, or hide and turn round text.
//!
//! Decides by the character alone. Each becomes U+FFFD, so that the reader sees that something was there.

use std::borrow::Cow;

/// What a control character becomes. It also ends a line for the patterns, as the newline did that it stands for.
pub(crate) const REPLACEMENT: char = '\u{fffd}';

/// C0 and C1 controls, line and paragraph separators, zero-width and bidirectional formatting, tags.
fn forbidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text without characters that may forge or hide; every other kind of space becomes the plain one.
pub(crate) fn controls(text: &str) -> Cow<'_, str> {
    let plain = |letter: char| match letter {
        _ if forbidden(letter) => REPLACEMENT,
        _ if letter.is_whitespace() => ' ',
        _ => letter,
    };
    if text.chars().any(|letter| plain(letter) != letter) {
        Cow::Owned(text.chars().map(plain).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// The beginning of the text, at most `bound` bytes together with a closing `…`.
///
/// Ends before the last word where one is near, since half of an identifier is not recognised as one.
pub(crate) fn cut(text: &str, bound: usize) -> Cow<'_, str> {
    const MARK: &str = "…";
    const WORD: usize = 1024;
    if text.len() <= bound {
        return Cow::Borrowed(text);
    }
    let room = text.floor_char_boundary(bound.saturating_sub(MARK.len()));
    let kept = text.get(..room).unwrap_or_default();
    let word = kept.rfind(char::is_whitespace).filter(|end| kept.len() - end < WORD);
    Cow::Owned(kept.get(..word.unwrap_or(room)).unwrap_or_default().to_owned() + MARK)
}
