//! Which known name was meant, and how names are listed in a message.

use crate::diagnostic::quoted;

/// Names longer than this are not compared: nobody mistypes them into something shorter.
const LONGEST: usize = 100;
/// The most names that a message lists.
const MOST: usize = 24;

/// The known name that `word` most likely stands for: the same but for case and separators, or a few letters off.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > LONGEST {
        return None;
    }
    let folded = fold(word);
    let allowed = (folded.chars().count() / 3).max(1);
    known
        .into_iter()
        .filter(|name| name.len() <= LONGEST)
        .map(|name| (strsim::damerau_levenshtein(&folded, &fold(name)), name))
        .filter(|(distance, name)| *distance <= allowed && *distance < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// `a`, `b` and `c`, with `last` as the word before the last one; at most 24 of them.
pub(crate) fn list<'k>(words: impl IntoIterator<Item = &'k str>, last: &str) -> String {
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    if words.len() > MOST {
        let shown: Vec<String> = words.into_iter().take(MOST).collect();
        return format!("{}, …", shown.join(", "));
    }
    match words.split_last() {
        Some((end, rest)) if !rest.is_empty() => format!("{} {last} {end}", rest.join(", ")),
        Some((only, _)) => only.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_a_slip_away() {
        let known = ["path", "methods", "resource", "apiVersion", "when_down", "mode"];
        assert_eq!(nearest("metods", known), Some("methods"));
        assert_eq!(nearest("method", known), Some("methods"));
        assert_eq!(nearest("apiversion", known), Some("apiVersion"));
        assert_eq!(nearest("when-down", known), Some("when_down"));
        assert_eq!(nearest("ptah", known), Some("path"));
        assert_eq!(nearest("timeout", known), None);
        assert_eq!(nearest("x", known), None);
        assert_eq!(nearest(&"m".repeat(5000), known), None);
    }

    #[test]
    fn names_are_listed() {
        assert_eq!(list(["a"], "or"), "`a`");
        assert_eq!(list(["a", "b", "c"], "or"), "`a`, `b` or `c`");
        assert_eq!(list([], "or"), "");
        assert!(list(std::iter::repeat_n("a", 30), "or").ends_with("`a`, …"));
    }
}
