//! Characters that some reader takes for others: a page under `/admin` may be found by `/ａｄｍｉｎ`, `/ádmin` or `/admin`
//! with a space behind it that nobody sees.
//!
//! Decides what is left of a text when all of that is taken off: case, marks, forms, and what is not seen. Python's
//! `normalize("NFKC")` and `strip()`, transliteration into ASCII, and the collations of databases each do a part of it. It
//! never says what a path is; two texts with the same rest are look-alikes, and that is all. Letters of other scripts that
//! only look the same to the eye (a Cyrillic `а`) no reader takes for each other, and they stay what they are.

use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_normalization::char::decompose_compatible;

/// What is read as the text before it, in lower case: a dash, or a Latin letter with any mark that Unicode does not take apart.
const READ_AS: [(&str, &str); 30] = [
    ("-", "‐‒–—―−"),
    ("a", "ᴀᶏẚⱥ"),
    ("b", "ƀƃɓʙᵬᶀꞗ"),
    ("c", "ƈȼɕᴄꞓꞔ𝼝"),
    ("d", "đƌȡɖɗᴅᵭᶁᶑꟈ"),
    ("e", "ɇᴇᶒⱸꬴ"),
    ("f", "ƒᵮᶂꜰꞙ"),
    ("g", "ǥɠɢᶃꞡ"),
    ("h", "ħɦʜⱨꞕ"),
    ("i", "ıɨɪᶖ𝼚"),
    ("j", "ɉʝᴊ"),
    ("k", "ƙᴋᶄⱪꝁꝃꝅꞣ"),
    ("l", "ŀłƚȴɫɬɭʟᶅⱡꝉꞎꬷꬸꬹ𝼑𝼓"),
    ("m", "ɱᴍᵯᶆꬺ"),
    ("n", "ƞȵɲɳɴᵰᶇꞑꞥꬻ"),
    ("o", "øƟᴏⱺꝋꝍ𝼛"),
    ("p", "ƥᴘᵱᵽᶈꝑꝓꝕ"),
    ("q", "ɋʠꝗꝙꞯ"),
    ("r", "ɍɼɽɾʀᵲᵳᶉꞧꭉ𝼖"),
    ("s", "ȿʂᵴᶊẜẝꜱꞩꟊ𝼞"),
    ("t", "ŧƫƭȶʈᴛᵵⱦ𝼉"),
    ("u", "ᴜᶙꞹꭎꭒ"),
    ("v", "ʋᴠᶌⱱⱴꝟ"),
    ("w", "ᴡⱳ"),
    ("x", "ᶍꭖꭗꭘꭙ"),
    ("y", "ƴɏʏỿꭚ"),
    ("z", "ƶȥɀʐʑᴢᵶᶎⱬ"),
    ("ss", "ß"),
    ("ae", "æ"),
    ("oe", "œ"),
];

/// Made by the first path that is not all ASCII.
static PLAIN: LazyLock<HashMap<char, &str>> =
    LazyLock::new(|| READ_AS.iter().flat_map(|(plain, odd)| odd.chars().map(|one| (one, *plain))).collect());

/// The loosest reading of a text.
pub(crate) fn plain(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let begin = out.len();
        decompose_compatible(letter, |part| out.extend(part.to_lowercase().flat_map(read_as)));
        // Letters of other scripts stay whole.
        if !out.get(begin..).is_some_and(str::is_ascii) {
            out.truncate(begin);
            out.extend(letter.to_lowercase().flat_map(read_as));
        }
    }
    out
}

/// What a small letter is read as.
fn read_as(letter: char) -> impl Iterator<Item = char> {
    let code = u32::from(letter);
    let (one, many) = if is_unseen(code) {
        (None, "")
    } else if code > 0x7f && letter.is_whitespace() {
        (Some(' '), "")
    } else {
        match PLAIN.get(&letter) {
            Some(plain) => (None, *plain),
            None => (Some(letter), ""),
        }
    };
    one.into_iter().chain(many.chars())
}

/// What leaves no sign of its own: controls, soft hyphens, marks on the letter before, joiners, signs of direction, fillers,
/// selectors and tags (`Default_Ignorable_Code_Point`, and the blocks of combining marks).
fn is_unseen(code: u32) -> bool {
    matches!(
        code,
        0x80..=0x84 | 0x86..=0x9f | 0xad | 0x300..=0x36f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f
            | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0x20d0..=0x20ff
            | 0x3164 | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb | 0x1bca0..=0x1bca3
            | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_some_reader_takes_for_ascii_is_read_as_that() {
        for odd in [
            "ADMIN",
            "ａｄｍｉｎ",
            "ＡＤＭＩＮ",
            "ádmin",
            "a\u{301}dmin",
            "ad\u{ad}min",
            "ad\u{200b}min",
            "\u{feff}admin",
            "\u{202e}admin\u{202c}",
            "𝐚𝐝𝐦𝐢𝐧",
            "𝔸𝔻𝕄𝕀ℕ",
            "ⓐⓓⓜⓘⓝ",
            "ᵃᵈᵐⁱⁿ",
            "admın",
            "ADMİN",
            "a\u{e0064}dmin",
            "a\u{fe0f}dmin",
        ] {
            assert_eq!(plain(odd), "admin", "{odd:?}");
        }
        for (odd, expected) in [
            ("admin\u{a0}", "admin "),
            ("my\u{3000}page", "my page"),
            ("ﬁle", "file"),
            ("Straße", "strasse"),
            ("\u{212a}ey", "key"),
            ("new．json", "new.json"),
            ("７", "7"),
            ("𝟕", "7"),
            ("ſet", "set"),
            ("adm㏌", "admin"),
            ("admin…", "admin..."),
            ("page⑫", "page12"),
            ("№ⅳ", "noiv"),
            ("🄰dm𝚤n", "admin"),
        ] {
            assert_eq!(plain(odd), expected, "{odd:?}");
        }
    }

    #[test]
    fn other_scripts_stay_what_they_are() {
        for text in ["аdmin", "報告", "отчёт", "αβγ", "संख्या", "😀"] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn the_table_names_each_character_once_and_no_ascii() {
        let all: Vec<char> = READ_AS.iter().flat_map(|(_, odd)| odd.chars()).collect();
        assert_eq!(all.len(), PLAIN.len());
        assert!(all.iter().all(|one| !one.is_ascii() && !is_unseen(u32::from(*one))));
    }
}
