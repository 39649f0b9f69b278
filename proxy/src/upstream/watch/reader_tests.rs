//! What a reader finds in forms, byte by byte and whole alike, and what the watch makes of the same forms behind it.

use std::collections::BTreeMap;

use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use proptest::prelude::*;

use super::tests::FORM;
use super::{Reader, Watch};

const WANTED: [&str; 3] = ["action", "do[x]", "page"];
const PARTS: &str = "multipart/form-data; boundary=X";

fn headers(kind: &str) -> HeaderMap {
    [(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap())].into_iter().collect()
}

fn reader(kind: &str, method: bool) -> Reader {
    Reader::new(&headers(kind), WANTED.map(str::to_owned).to_vec(), method).unwrap()
}

type Found = Result<BTreeMap<String, String>, &'static str>;

fn read(kind: &str, body: &[u8], step: usize) -> Found {
    let mut reader = reader(kind, true);
    for piece in body.chunks(step.max(1)) {
        if reader.takes(piece)? {
            return Ok(reader.found());
        }
    }
    reader.ends()
}

/// Whether the watch behind a reader, which begins anew, stops the form.
fn is_stopped(kind: &str, body: &[u8], found: &BTreeMap<String, String>) -> bool {
    let watch = Watch::new(&headers(kind), true, WANTED.map(str::to_owned).to_vec()).unwrap();
    let mut watch = watch.excusing(found.keys().cloned().collect());
    watch.finds(body) || watch.finds_at_end()
}

/// What is found, however the form comes in pieces; `None` where it is refused, by the reader or behind it.
fn found(kind: &str, body: impl AsRef<[u8]>) -> Option<String> {
    let body = body.as_ref();
    let judged = [body.len(), 1].map(|step| read(kind, body, step).ok().filter(|one| !is_stopped(kind, body, one)));
    let [whole, slow] = judged;
    assert_eq!(whole, slow, "{}", body.escape_ascii());
    Some(whole?.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "))
}

#[test]
fn a_plain_form_says_what_its_fields_say_and_no_two_readers_differ() {
    for (body, said) in [
        ("", ""),
        ("a=b&c", ""),
        ("action=delete", "action=delete"),
        ("a=b&action=delete&c=d", "action=delete"),
        ("%61ction=del%65te&c=d", "action=delete"),
        ("action=a+b%26", "action=a b&"),
        ("action", "action="),
        ("action=", "action="),
        ("action==x", "action==x"),
        ("do%5Bx%5D=y&_method=put&page=%C3%BC", "_method=put do[x]=y page=\u{fc}"),
        ("a=b;c=d&action=x", "action=x"),
    ] {
        assert_eq!(found(FORM, body).as_deref(), Some(said), "{body}");
    }
    for refused in [
        "action=a&action=b",
        "action=a&action=a",
        "action[]=a",
        "action%5B%5D=a",
        "action[0]=a",
        "action.x=a",
        "Action=a",
        "+action=a",
        "%20action=a",
        "action%00=a",
        "action%00x=a",
        "a\0=b",
        "action=a%00",
        "action=%ff",
        "action=%zz",
        "action=%",
        "a=b;action=c",
        "action=c;a=b",
        "a;b&page=x;&",
        "action=x]=a",
        "action=x&a=\u{fc}",
        "do[y]=a&do=b&do[x][y]=c",
        "do.x=a",
        "%ffaction=a",
        "\u{feff}action=a",
        "_method[]=put",
        "%5fmethod=put",
        "_METHOD=put",
    ] {
        assert_eq!(found(FORM, refused), None, "{refused}");
    }
    let behind = |count: usize| found(FORM, format!("{}action=x", "a&".repeat(count)));
    assert_eq!((behind(500), behind(600)), (Some("action=x".to_owned()), None), "PHP drops what stands behind 1,000");
    let long = |name: &str| found(FORM, format!("{name}{}&page=b", "x".repeat(3_000)));
    assert_eq!(long("a="), Some("page=b".to_owned()));
    assert_eq!(long("a"), Some("page=b".to_owned()));
    assert_eq!((long("action="), long("action[")), (None, None));
}

/// A form in parts with these heads and contents.
fn parts(fields: &[(&str, &str)]) -> String {
    let part = |(head, content): &(&str, &str)| format!("--X\r\n{head}\r\n\r\n{content}\r\n");
    format!("{}--X--\r\n", fields.iter().map(part).collect::<String>())
}

const ACTION: &str = "Content-Disposition: form-data; name=\"action\"";
const FILE: &str = "Content-Disposition: form-data; name=\"a\"; filename=\"b.txt\"\r\nContent-Type: text/plain";

#[test]
fn a_form_in_parts_says_what_its_fields_say() {
    for (body, said) in [
        (parts(&[(FILE, "b")]), ""),
        (parts(&[(ACTION, "delete")]), "action=delete"),
        (parts(&[(FILE, "b\r\n"), (ACTION, "delete"), (FILE, "c")]), "action=delete"),
        (parts(&[(ACTION, "a+b%26\r\n--\r\n-")]), "action=a+b%26\r\n--\r\n-"),
        (parts(&[(ACTION, "")]), "action="),
        (
            parts(&[(&ACTION.replace('"', ""), "x"), (&ACTION.replace("action", "_method"), "put")]),
            "_method=put action=x",
        ),
        (parts(&[(&format!("{ACTION}\r\nContent-Type: text/plain; charset=\"UTF-8\""), "\u{fc}")]), "action=\u{fc}"),
        (parts(&[(&format!("Content-Transfer-Encoding: 8bit\r\n{ACTION}"), "x")]), "action=x"),
        (parts(&[(ACTION, "x")]).trim_end().to_owned(), "action=x"),
    ] {
        assert_eq!(found(PARTS, &body).as_deref(), Some(said), "{}", body.escape_debug());
    }
}

#[test]
fn parts_that_two_readers_read_in_two_ways_are_refused() {
    let plain = parts(&[(FILE, "b"), (ACTION, "delete")]);
    assert!(found(PARTS, &plain).is_some());
    for head in [
        format!("{ACTION}; filename=\"\""),
        format!("{ACTION}; filename=x"),
        format!("{ACTION}; filename*=UTF-8''x"),
        format!("{ACTION}; x=y"),
        format!("{ACTION};"),
        format!("{ACTION}\r\n{ACTION}"),
        format!("{ACTION}\r\nContent-Type: text/plain; charset=utf-16"),
        format!("{ACTION}\r\nContent-Type: text/plain; charset=utf-7"),
        format!("{ACTION}\r\nContent-Type: application/octet-stream"),
        format!("{ACTION}\r\nContent-Type: multipart/mixed; boundary=Y"),
        format!("{ACTION}\r\nContent-Transfer-Encoding: base64"),
        format!("{ACTION}\r\nContent-Transfer-Encoding: quoted-printable"),
        format!("{ACTION}\r\nContent-Encoding: gzip"),
        format!("{ACTION}\r\nContent-Length: 2"),
        format!("{ACTION}\r\nX: name=action"),
        ACTION.replace("form-data", "attachment"),
        ACTION.replace("name", "name*"),
        ACTION.replace("name", "name*0"),
        ACTION.replace("\"action\"", "'action'"),
        ACTION.replace("action", "Action"),
        ACTION.replace("action", "action[]"),
        ACTION.replace("action", " action"),
        ACTION.replace("action", "%61ction"),
        ACTION.replace("action", "action%00"),
        ACTION.replace("action", "\\action"),
        ACTION.replace("; name", ";\r\n name"),
        "Content-Disposition: form-data; name=\"a\"; filename=\"x; name=action\"".to_owned(),
        "Content-ID: action".to_owned(),
    ] {
        assert_eq!(found(PARTS, plain.replace(ACTION, &head)), None, "{}", head.escape_debug());
    }
    for (twisted, what) in [
        (plain.replace("\r\n", "\n"), "line feeds alone"),
        (format!("x\r\n{plain}"), "a preamble"),
        (format!("\r\n{plain}"), "an empty preamble"),
        (plain.replace("--X--\r\n", ""), "no end"),
        (plain.replace("\r\n--X--\r\n", ""), "no end in a field"),
        (plain.replace("--X--\r\n", "--X\r\n"), "another part, and none"),
        (format!("{plain}{ACTION}\r\n\r\nview"), "a field behind the end"),
        (plain.replace("delete\r\n--X--", "--X--"), "no line end before the boundary"),
        (plain.replace("delete", "delete\0"), "a NUL"),
        (plain.replace("delete", &"x".repeat(3_000)), "a long one"),
        (plain.replace("delete", "--X"), "the boundary"),
        (parts(&[(ACTION, "a"), (ACTION, "a")]), "twice"),
        (plain.replace("--X", "--Y"), "another boundary"),
        (String::new(), "nothing"),
    ] {
        assert_eq!(found(PARTS, &twisted), None, "{what}");
    }
    let many: Vec<_> = std::iter::repeat_n((FILE, ""), 600).chain([(ACTION, "x")]).collect();
    assert_eq!(found(PARTS, parts(&many)), None);
    let latin = plain.replace("delete", "\u{fc}");
    assert_eq!(found(&format!("{PARTS}; charset=iso-8859-1"), latin), None);
}

#[test]
fn what_is_no_form_is_read_by_nobody() {
    let new = |headers: &HeaderMap| Reader::new(headers, vec!["action".to_owned()], false).err();
    for kind in [
        "text/plain",
        "application/json",
        "application/xml",
        "multipart/mixed; boundary=X",
        "multipart/related; boundary=X",
        "multipart/form-data",
        "multipart/form-data; boundary=X; boundary=Y",
        "multipart/form-data; boundary*=X",
        "multipart/form-data; x-boundary=Y; boundary=X",
        "multipart/form-data; boundary=X,Y",
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded, multipart/form-data; boundary=X",
        "x-application/x-www-form-urlencoded",
        "",
    ] {
        assert!(new(&headers(kind)).is_some(), "{kind}");
    }
    assert!(new(&HeaderMap::new()).is_some());
    let mut twice = headers(FORM);
    twice.append(CONTENT_TYPE, HeaderValue::from_static(PARTS));
    assert!(new(&twice).is_some());
    let mut coded = headers(FORM);
    coded.append(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    assert_eq!(new(&coded), None);
    assert_eq!(new(&headers("Application/X-WWW-Form-Urlencoded ;charset=UTF-8")), None);
    coded.append(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert!(new(&coded).is_some());
    assert!(Watch::new(&coded, true, Vec::new()).is_err(), "the second coding counts too");
}

/// PHP drops what follows a part without a name, Werkzeug the whole form for one without a disposition or without its end.
#[test]
fn a_form_of_which_readers_drop_what_was_judged_is_refused() {
    let field = format!("--X\r\n{ACTION}\r\n\r\nview\r\n");
    assert_eq!(found(PARTS, format!("{field}--X--\r\n")).as_deref(), Some("action=view"));
    for head in [
        "Content-Disposition: form-data",
        "Content-Disposition: form-data; name=\"\"",
        "X: y",
        "Content-Disposition: attachment; name=\"a\"",
    ] {
        let other = format!("--X\r\n{head}\r\n\r\nb\r\n");
        assert_eq!(found(PARTS, format!("{other}{field}--X--\r\n")), None, "{head}, before");
        assert_eq!(found(PARTS, format!("{field}{other}--X--\r\n")), None, "{head}, behind");
    }
    let unended = format!("{field}--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb");
    let judged = BTreeMap::from([("action".to_owned(), "view".to_owned())]);
    assert!(is_stopped(PARTS, unended.as_bytes(), &judged));
}

#[test]
fn what_comes_once_more_behind_it_is_seen() {
    let watch = |kind: &str, body: &str, excused: &[&str]| {
        let watch = Watch::new(&headers(kind), true, vec!["action".to_owned(), "page".to_owned()]).unwrap();
        watch.excusing(excused.iter().map(|one| (*one).to_owned()).collect()).finds(body.as_bytes())
    };
    assert!(!watch(FORM, "a=b&action=view&c=d", &["action"]));
    for body in [
        "action=view&action=delete",
        "action=view&page=x",
        "action=view&action[]=x",
        "action=view&Action=x&",
        "Action=view&",
    ] {
        assert!(watch(FORM, body, &["action"]), "{body}");
    }
    assert!(!watch(PARTS, &parts(&[(ACTION, "view")]), &["action"]));
    assert!(watch(PARTS, &parts(&[(ACTION, "view"), (ACTION, "delete")]), &["action"]));
    assert!(watch(FORM, "_method=put&_method=put", &["_method"]));
    assert!(!watch(FORM, "_method=put&a=b", &["_method"]));
}

proptest! {
    /// Both take a form apart alike: what one has read, the other excuses.
    #[test]
    fn what_a_reader_has_read_the_watch_lets_pass(
        body in "((action|%61ction|page|a|do\\[x\\]|_method)?[=&;%\\[\\]+a0-9]{0,6}){0,4}",
    ) {
        if let Ok(found) = read(FORM, body.as_bytes(), body.len()) && found.len() < WANTED.len() {
            prop_assert!(!is_stopped(FORM, body.as_bytes(), &found), "{}", body);
        }
    }

    /// A reader that takes the first, the last or any of a name finds nothing else than what was judged.
    #[test]
    fn a_loose_reader_of_what_passes_finds_what_was_judged(
        body in "(action|Action|%61ction|action\\[\\]|a|page|_method)?(=(view|delete|%00|;)?)?([&;](action|a|page| action|action\\.x)?(=(view|delete)?)?){0,4}",
        split in 1_usize..8,
    ) {
        let Ok(found) = read(FORM, body.as_bytes(), split) else { return Ok(()) };
        if is_stopped(FORM, body.as_bytes(), &found) {
            return Ok(());
        }
        for pair in body.split(['&', ';']) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = name.replace("%61", "a");
            if name.to_lowercase().trim().split(['[', '.']).next() == Some("action") {
                prop_assert_eq!(found.get("action").map(String::as_str), Some(value), "{}", body);
            }
        }
    }
}
