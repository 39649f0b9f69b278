//! What a watch finds in bodies, whole and byte by byte alike.

use http::HeaderValue;

use super::*;

pub(super) fn watch(kind: &str, others: &[&str]) -> Watch {
    let mut headers = HeaderMap::new();
    if !kind.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
    }
    Watch::new(&headers, true, others.iter().map(|one| (*one).to_owned()).collect()).unwrap()
}

/// Whether it is found, whole and byte by byte alike.
pub(super) fn found(kind: &str, body: &[u8]) -> bool {
    let whole = watch(kind, &["clinic"]).finds(body);
    let mut slow = watch(kind, &["clinic"]);
    assert_eq!(body.iter().any(|byte| slow.finds(&[*byte])), whole, "{}", body.escape_ascii());
    whole
}

pub(super) const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn a_form_that_makes_another_request_is_seen() {
    for body in [
        "_method=DELETE",
        "a=b&_method=put",
        "a=b&%5fmethod=PUT",
        "_method[]=PUT",
        "_method[0]=PUT",
        "%5B_method%5D=PUT",
        "&_method=PUT",
        "a=b;_method=PUT",
        "+_method=PUT",
        "\u{feff}_method=PUT",
        "%EF%BB%BF_method=PUT",
        "%ff_method=PUT",
        "_method%00x=PUT",
        ".method=PUT",
        "_METHOD=PUT",
        "clinic=b",
        "a=b&clinic[x]=b",
        "Clinic=b",
    ] {
        assert!(found(FORM, body.as_bytes()), "{body}");
        assert!(found("", body.as_bytes()), "{body} without a type");
        assert!(found("Application/X-WWW-Form-URLEncoded ; charset=\"UTF-8\"", body.as_bytes()), "{body}");
        assert!(!found("text/plain", body.as_bytes()), "{body}");
    }
    for body in
        ["a=_method", "method=PUT", "_methods=PUT", "a=b&c=d", "", "=", "&&", "{\"a\": 1}", "clinics=b", "a=clinic"]
    {
        assert!(!found(FORM, body.as_bytes()), "{body}");
    }
    assert!(!found(FORM, &[b'x'; 5_000]), "a long name is none of ours");
    assert!(found(FORM, &b"%20".repeat(1_000)), "one that could still become ours is refused");
}

#[test]
fn a_part_that_makes_another_request_is_seen() {
    let kind = "multipart/form-data; boundary=\"X y\"";
    let body = |head: &str| {
        format!(
            "--X y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--X y\r\n{head}\r\n\r\nPUT\r\n--X y--\r\n"
        )
    };
    for head in [
        "Content-Disposition: form-data; name=\"_method\"",
        "content-disposition: form-data; name=_method",
        "Content-Disposition: form-data; name='_method'",
        "Content-Disposition: form-data; NAME = \"_method[]\"",
        "Content-Disposition: form-data; name*=utf-8''%5fmethod",
        "Content-Disposition: form-data; name=\"a\"; name=\"_method\"",
        "Content-Disposition: form-data;\r\n name=\"_method\"",
        "Content-Disposition: form-data; name=\"\\_method\"",
        "Content-Disposition: form-data; name=\"clinic\"",
    ] {
        assert!(found(kind, body(head).as_bytes()), "{head}");
    }
    for head in [
        "Content-Disposition: form-data; name=\"method\"",
        "Content-Disposition: form-data; name=\"a\"; filename=\"b.txt\"",
        "Content-Disposition: form-data; name=\"a\"\r\n\r\nname=\"_method\"",
    ] {
        assert!(!found(kind, body(head).as_bytes()), "{head}");
    }
    assert!(found(kind, format!("--X y\r\n{}", "a: b\r\n".repeat(3_000)).as_bytes()), "a head without an end");
}

#[test]
fn a_key_that_makes_another_request_is_seen() {
    for body in [
        "{\"_method\":\"PUT\"}",
        "{\"a\": {\"b\": [1, \"}\"]}, \"_method\" : \"PUT\"}",
        "{\"\\u005fmethod\": 1}",
        "{\"\\u005Fm\\u0065thod\": 1}",
        "\u{feff}{\"_method\": 1}",
        "{\"a\": \"\\\"\", \"_method\": 1}",
        "{\"clinic\": \"b\"}",
    ] {
        assert!(found("application/json", body.as_bytes()), "{body}");
        assert!(found("application/vnd.api+json; charset=utf-8", body.as_bytes()), "{body}");
    }
    for body in [
        "{\"a\": \"_method\"}",
        "{\"a\": {\"_method\": 1}}",
        "[{\"_method\": 1}]",
        "{\"method\": 1}",
        "\"_method\"",
        "[]",
        "",
        "{\"a\": \"\\\", \\\"_method\\\": 1\"}",
    ] {
        assert!(!found("application/json", body.as_bytes()), "{body}");
    }
}

#[test]
fn a_form_whose_names_cannot_be_seen_is_refused() {
    let new = |pairs: &[(http::HeaderName, &str)]| {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        Watch::new(&headers.collect(), true, Vec::new())
    };
    for kind in [
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded; Charset=\"ibm037\"",
        "application/json; charset=utf-16le",
        "multipart/form-data",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=",
    ] {
        assert!(new(&[(CONTENT_TYPE, kind)]).is_err(), "{kind}");
    }
    assert!(new(&[(CONTENT_TYPE, FORM), (CONTENT_ENCODING, "gzip")]).is_err());
    assert!(new(&[(CONTENT_TYPE, FORM), (CONTENT_ENCODING, "identity")]).is_ok());
    assert!(new(&[(CONTENT_TYPE, "application/json"), (CONTENT_ENCODING, "gzip")]).is_ok());
    assert!(Watch::new(&HeaderMap::new(), false, Vec::new()).is_ok());
}
