//! Characters that some reader takes for others: a page under `/admin` may be found by `/ａｄｍｉｎ`, `/ádmin` or `/admin`
//! with a space behind it that nobody sees.
//!
//! Decides what is left of a text when all of that is taken off: case, marks, forms, and what is not seen. Python's
//! `normalize("NFKC")` and `strip()`, transliteration into ASCII, and the collations of databases each do a part of it. It
//! never says what a path is; two texts with the same rest are look-alikes, and that is all. Letters of other scripts that
//! only look the same to the eye (a Cyrillic `а`) no reader takes for each other, and they stay what they are.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What is read as the text before it, in lower case: by compatibility (NFKD of Unicode 14), or a Latin letter with any mark.
const READ_AS: [(&str, &str); 52] = [
    ("-", "﹣‐‑‒–—―−"),
    (".", "․﹒"),
    ("0", "⁰₀⓪🯰"),
    ("1", "¹₁①🯱"),
    ("2", "²₂②🯲"),
    ("3", "³₃③🯳"),
    ("4", "⁴₄④🯴"),
    ("5", "⁵₅⑤🯵"),
    ("6", "⁶₆⑥🯶"),
    ("7", "⁷₇⑦🯷"),
    ("8", "⁸₈⑧🯸"),
    ("9", "⁹₉⑨🯹"),
    ("_", "︳︴﹍﹎﹏"),
    ("a", "ªàáâãäåāăąǎǟǡǻȁȃȧᴀᴬᵃᶏḁẚạảấầẩẫậắằẳẵặₐⓐⱥ🄰"),
    ("b", "ƀƃɓʙᴮᵇᵬᶀḃḅḇℬⓑꞗ🄱"),
    ("c", "çćĉċčƈȼɕᴄᶜḉℂℭⅽⓒꞓꞔꟲ𝼝🄫🄲"),
    ("d", "ďđƌȡɖɗᴅᴰᵈᵭᶁᶑḋḍḏḑḓⅅⅆⅾⓓꟈ🄳"),
    ("e", "èéêëēĕėęěȅȇȩɇᴇᴱᵉᶒḕḗḙḛḝẹẻẽếềểễệₑℯℰⅇⓔⱸꬴ🄴"),
    ("f", "ƒᵮᶂᶠḟℱⓕꜰꞙꟳ🄵"),
    ("g", "ĝğġģǥǧǵɠɢᴳᵍᶃḡℊⓖꞡ🄶"),
    ("h", "ĥħȟɦʜʰᴴḣḥḧḩḫẖₕℋℌℍℎⓗⱨꞕ🄷"),
    ("i", "ìíîïĩīĭįİıǐȉȋɨɪᴵᵢᶖḭḯỉịⁱℐℑℹⅈⅰⓘ𝼚🄸"),
    ("j", "ĵǰɉʝʲᴊᴶⅉⓙⱼ🄹"),
    ("k", "ķƙǩᴋᴷᵏᶄḱḳḵₖⓚⱪꝁꝃꝅꞣ🄺"),
    ("l", "ĺļľŀłƚȴɫɬɭʟˡᴸᶅḷḹḻḽₗℒℓⅼⓛⱡꝉꞎꬷꬸꬹ𝼑𝼓🄻"),
    ("m", "ɱᴍᴹᵐᵯᶆḿṁṃₘℳⅿⓜꬺ🄼"),
    ("n", "ñńņňƞǹȵɲɳɴᴺᵰᶇṅṇṉṋⁿₙℕⓝꞑꞥꬻ🄽"),
    ("o", "ºòóôõöøōŏőƟơǒǫǭǿȍȏȫȭȯȱᴏᴼᵒṍṏṑṓọỏốồổỗộớờởỡợₒℴⓞⱺꝋꝍ𝼛🄾"),
    ("p", "ƥᴘᴾᵖᵱᵽᶈṕṗₚℙⓟꝑꝓꝕ🄿"),
    ("q", "ɋʠℚⓠꝗꝙꞯꟴ𐞥🅀"),
    ("r", "ŕŗřȑȓɍɼɽɾʀʳᴿᵣᵲᵳᶉṙṛṝṟℛℜℝⓡꞧꭉ𝼖🄬🅁"),
    ("s", "śŝşšſșȿʂˢᵴᶊṡṣṥṧṩẛẜẝₛⓢꜱꞩꟊ𝼞🅂"),
    ("t", "ţťŧƫƭțȶʈᴛᵀᵗᵵṫṭṯṱẗₜⓣⱦ𝼉🅃"),
    ("u", "ùúûüũūŭůűųưǔǖǘǚǜȕȗᴜᵁᵘᵤᶙṳṵṷṹṻụủứừửữựⓤꞹꭎꭒ🅄"),
    ("v", "ʋᴠᵛᵥᶌṽṿⅴⓥⱱⱴⱽꝟ🅅"),
    ("w", "ŵʷᴡᵂẁẃẅẇẉẘⓦⱳ🅆"),
    ("x", "ˣᶍẋẍₓⅹⓧꭖꭗꭘꭙ🅇"),
    ("y", "ýÿŷƴȳɏʏʸẏẙỳỵỷỹỿⓨꭚ🅈"),
    ("z", "źżžƶȥɀʐʑᴢᵶᶎᶻẑẓẕℤℨⓩⱬ🅉"),
    ("ss", "ß"),
    ("ae", "æǣǽ"),
    ("ij", "ĳ"),
    ("dz", "ǆǳ"),
    ("lj", "ǉ"),
    ("nj", "ǌ"),
    ("ff", "ﬀ"),
    ("fi", "ﬁ"),
    ("fl", "ﬂ"),
    ("ffi", "ﬃ"),
    ("ffl", "ﬄ"),
    ("st", "ﬅﬆ"),
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
    for letter in text.chars().flat_map(char::to_lowercase) {
        match u32::from(letter) {
            0..=0x7f => out.push(letter),
            code if is_unseen(code) => {}
            _ if letter.is_whitespace() => out.push(' '),
            // Full-width forms of ASCII, in its order.
            code @ 0xff01..=0xff5e => out.push(ascii(0x21, code - 0xff01)),
            // Mathematical alphabets, one after the other, each with capitals and small letters; and digits.
            code @ 0x1d400..=0x1d6a3 => out.push(ascii(u32::from(b'a'), (code - 0x1d400) % 26)),
            code @ 0x1d7ce..=0x1d7ff => out.push(ascii(u32::from(b'0'), (code - 0x1d7ce) % 10)),
            _ => match PLAIN.get(&letter) {
                Some(plain) => out.push_str(plain),
                None => out.push(letter),
            },
        }
    }
    out
}

fn ascii(first: u32, place: u32) -> char {
    char::from_u32(first.saturating_add(place))
        .map_or(char::REPLACEMENT_CHARACTER, |letter| letter.to_ascii_lowercase())
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
