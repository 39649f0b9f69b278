//! What a watch finds in bodies that readers take apart in two ways.

use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::Watch;
use super::tests::{FORM, found, watch};

#[test]
fn a_part_that_is_read_in_two_ways_is_seen() {
    let kind = "multipart/form-data; boundary=X";
    let plain = "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--X--\r\n";
    assert!(!found(kind, plain.as_bytes()));
    for twisted in [
        plain.replace("\r\n", "\r"),
        plain.replace("\r\n", "\n"),
        plain.replace("\"a\"\r\n", "\"a\"\r"),
        plain.replace("\"a\"\r\n", "\"a\"\n"),
        plain.replace("b\r\n--X", "b\r--X"),
        plain.replace("b\r\n--X", "b\n--X"),
        plain.replace("b\r\n--X", "b--X"),
        plain.replacen("--X\r\n", "--X\r", 1),
        plain.replacen("--X\r\n", "--X\n", 1),
        plain.replacen("--X\r\n", "--X \r\n", 1),
        plain.replacen("--X\r\n", "--Xy\r\n", 1),
        plain.replacen("--X\r\n", "y--X\r\n", 1),
        plain.replacen("--X\r\n", "--X--y\r\n", 1),
        plain.replace("Content", " Content"),
        plain.replace("Content", "y\r\nContent"),
        plain.replace("Content", "X: y\nContent"),
        plain.replace("Content", "X: y\rContent"),
        plain.replace("Content", "Content-Disposition: form-data\r\nContent"),
        plain.replace("Disposition:", "Disposition :"),
    ] {
        assert!(found(kind, twisted.as_bytes()), "{}", twisted.escape_debug());
    }
    for parameters in [
        "name*0=c; name*1=linic",
        "name*0*=UTF-8''c; name*1*=linic",
        "name*=UTF-8''b",
        "name=\"a\"; name=\"b\"",
        "name=\"a\"; NAME=\"b\"",
        "name=\"a\\\"\"",
        "name=\"a",
        "name=\"a\"b",
        "name='a'",
        "name=a\"b\"",
        "name=",
        "name =\"a\"",
        "name",
        "names=\"a\"",
        "name=\"a\0b\"",
        "name=\"a%00b\"",
        "filename=\"a\\\"",
        "filename=\"; name=clinic\"",
        "name=\"=?utf-8?Q?_=6dethod?=\"",
        "name=\"a\"\r\nX: Content-Disposition: form-data; name=_method junk",
        "name=\"a\"\r\nX: name=_method junk",
        "name=\"a\"\r\nContent-Type: text/plain; x=content-disposition:; name=b",
    ] {
        assert!(found(kind, plain.replace("name=\"a\"", parameters).as_bytes()), "{parameters:?}");
    }
}

#[test]
fn a_line_that_php_would_cut_in_two_is_seen() {
    let kind = "multipart/form-data; boundary=X";
    for (length, seen) in [(2_048, false), (2_049, true), (5_120, true)] {
        let line = format!("X-Pad: {}", "a".repeat(length - 7));
        let body = format!("--X\r\n{line}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--X--\r\n");
        assert_eq!(found(kind, body.as_bytes()), seen, "{length}");
    }
}

#[test]
fn ordinary_parts_pass() {
    let line = "------WebKitFormBoundary7MA4YWxkTrZu0gW";
    let kind = "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW";
    for head in [
        "Content-Disposition: form-data; name=\"a\"",
        "content-disposition: form-data; name=a",
        "Content-Disposition: form-data; name=\"files[]\"; filename=\"caf\u{e9}.txt\"\r\nContent-Type: text/plain; charset=utf-8",
        "Content-Disposition: form-data; name=\"a\"; filename=\"say \\\"hi\\\"; x.txt\"",
        "Content-Disposition: form-data; name=\"a %22b%22\"; filename=\"\"",
        "Content-Disposition: form-data; name=\"a\"; filename*=UTF-8''caf%C3%A9.txt",
        "Content-Disposition: form-data; filename=C:\\dir\\b.txt; name=\"a\"",
        "Content-Type: application/http\r\nContent-ID: <1@b>",
        "Content-Length: 4\r\nContent-Disposition: attachment;name=\"a\";",
    ] {
        for content in
            ["", "b", "\r\n", "\r\n--", "------WebKit\rname=\"_method\"\n------WebKitForm\r\n-", "\0\x01\r\r\n\n"]
        {
            let body = format!("{line}\r\n{head}\r\n\r\n{content}\r\n{line}--\r\n");
            assert!(!found(kind, body.as_bytes()), "{head} {content:?}");
            assert!(!found(kind, format!("preamble\r\n{body}\r\n").as_bytes()), "{head} {content:?}");
        }
    }
}

#[test]
fn a_name_that_holds_a_nul_is_seen() {
    for body in ["_method%00x=DELETE", "clinic%00x=b", "clinic\0x=b", "a%00=b", "a\0b=c", "a=b&\0=c"] {
        assert!(found(FORM, body.as_bytes()), "{body:?}");
    }
    assert!(!found(FORM, b"a=b%00c&d=\0"));
    assert!(found(FORM, format!("_method%00{}=PUT", "x".repeat(3_000)).as_bytes()), "a long one");
    assert!(found("application/json", b"{\"a\\u0000\": 1}"));
    // What has no type may be no form at all.
    assert!(!found("", b"\x89PNG\0\0=b"));
    for body in ["_method%00x=DELETE", "clinic\0x=b", "cli\0nic=b"] {
        assert!(found("", body.as_bytes()), "{body:?}");
    }
}

#[test]
fn a_long_name_that_begins_as_one_of_them_is_seen() {
    for (start, filler) in [("_method[", "x"), ("clinic[", "x"), ("clinic.", "x"), ("[clinic]", "x"), ("[", "[")] {
        assert!(found(FORM, format!("{start}{}=b", filler.repeat(3_000)).as_bytes()), "{start}");
    }
}

#[test]
fn the_end_of_a_body_ends_its_last_name() {
    let ended = |kind: &str, body: &str| {
        let mut watch = watch(kind, &["clinic"]);
        assert!(!watch.finds(body.as_bytes()), "{body}");
        watch.finds_at_end()
    };
    for body in ["clinic", "a=b&clinic", "_method", "a%00"] {
        assert!(ended(FORM, body), "{body}");
    }
    for body in ["", "a", "a=clinic", "a=b&"] {
        assert!(!ended(FORM, body), "{body}");
    }
    let kind = "multipart/form-data; boundary=X";
    let head = "Content-Disposition: form-data; name=\"a\"";
    for body in ["--X", "--X\r", "--X\r\nA: b", &format!("--X\r\n{head}\r\n"), "--X-"] {
        assert!(ended(kind, body), "{body}");
    }
    for body in ["", "--X--", "--X--\r\n", "--X--\r\n\r\n", &format!("--X\r\n{head}\r\n\r\nb")] {
        assert!(!ended(kind, body), "{body}");
    }
    assert!(!ended("application/json", "{\"clinic\""));
}

#[test]
fn a_type_that_is_none_is_refused_where_a_form_matters() {
    for kind in ["", " ", ";", "form", "/", "a/", "/b", "a/b/c", "a b/c", ", application/x-www-form-urlencoded"] {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(kind))].into_iter().collect();
        assert!(Watch::new(&headers, true, Vec::new()).is_err(), "{kind:?}");
        assert!(Watch::new(&headers, false, Vec::new()).is_ok(), "{kind:?}: nothing is watched for");
    }
}

#[test]
fn json_in_wider_letters_is_seen() {
    let text = "{\"_method\":\"DELETE\"}";
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
    for body in [wide, big] {
        assert!(found("application/json", &body));
    }
    assert!(!found("application/json", b"{\"a\": \"b\"}"));
}

#[test]
fn a_part_without_a_name_is_named_by_nothing_else() {
    for head in [
        "Content-ID: _method",
        "Content-ID: <_method>",
        "Content-Disposition: form-data\r\nContent-ID: _method",
        "Content-Disposition: form-data; filename=\"_method\"",
        "Content-Type: _method",
        "Content-Type: text/plain\r\nContent-Id:clinic",
    ] {
        for kind in ["form-data", "related", "mixed"] {
            let body = format!("--X\r\n{head}\r\n\r\nDELETE\r\n--X--\r\n");
            assert!(found(&format!("multipart/{kind}; boundary=X"), body.as_bytes()), "{kind} {head}");
        }
    }
    let image = "--X\r\nContent-Type: application/dicom\r\nContent-ID: <1@pacs.example>\r\n\r\nDICM\r\n--X--\r\n";
    assert!(!found("multipart/related; type=\"application/dicom\"; boundary=X", image.as_bytes()));
}
