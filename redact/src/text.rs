//! Free text without credentials and identifiers.
//!
//! Decides how often the patterns are applied: until they find nothing more, so that what is given back would be given
//! back unchanged. A text that does not come to rest within a few rounds is withheld whole.

use std::borrow::Cow;

use crate::pattern::{PATTERNS, Pattern};
use crate::{MARK, clean};

/// The longest text that is given back, in bytes; a longer one is cut, and ends in `…`.
pub const TEXT_MAX: usize = 16 * 1024;
const ROUNDS: usize = 8;

/// The text with `{}` for every credential and identifier that is found in it, and U+FFFD for every control character.
///
/// Found are: credentials after their scheme, by their form (JWT, issuers' keys, PEM private keys, long mixtures of
/// letters and digits) and by the name before them; cookies; e-mail addresses; the values of queries and the segments
/// of paths that [`target`](crate::target) takes out; social security, card, account, provider and telephone numbers.
/// Network addresses and times stay.
pub fn text(input: &str) -> Cow<'_, str> {
    let Some(patterns) = PATTERNS.as_ref() else { return Cow::Borrowed(MARK) };
    let mut shown = Cow::Borrowed(input);
    for _ in 0..ROUNDS {
        match round(patterns, &shown) {
            None => return shown,
            Some(changed) => shown = Cow::Owned(changed),
        }
    }
    Cow::Borrowed(MARK)
}

/// One round; `None` if nothing was found.
fn round(patterns: &[Pattern], text: &str) -> Option<String> {
    let cut = clean::cut(text, TEXT_MAX);
    let mut shown = clean::controls(&cut).into_owned();
    for pattern in patterns {
        if let Cow::Owned(changed) = pattern.apply(&shown) {
            shown = changed;
        }
    }
    let shown = clean::cut(&shown, TEXT_MAX);
    (shown != text).then(|| shown.into_owned())
}

#[cfg(test)]
mod tests;
