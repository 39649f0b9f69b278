//! What is refused, and what stays as it is.

use super::*;

#[test]
fn a_plain_path_is_itself() {
    for plain in
        ["/", "/a", "/a/", "/a/b.c/~d", "/a:b@c", "/a%20b", "/%C3%A9", "/a!$&'()*+,=b", "/a..b/...", "/.well-known/x"]
    {
        assert_eq!(path(plain).as_deref(), Ok(plain));
    }
}

#[test]
fn unreserved_escapes_are_decoded_and_the_others_folded() {
    assert_eq!(path("/%61%2d%7E/%c3%a9").as_deref(), Ok("/a-~/%C3%A9"));
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for ambiguous in [
        "",
        "a",
        "*",
        "//",
        "//a",
        "/a//b",
        "/a//",
        "/.",
        "/..",
        "/a/../b",
        "/a/.",
        "/%2e%2e/a",
        "/a/%2E",
        "/.%2e/a",
        "/a%5cb",
        "/a\\b",
        "/a%00b",
        "/a%0ab",
        "/a%7f",
        "/a;b/..;/c",
        "/..;x",
        "/a/.;x",
        "/a%2F..",
        "/a%2F%2e%2e%2fb",
        "/..%2Fb;x",
        "/a%3bb",
        "/a%3Bb",
        "/a%",
        "/a%4",
        "/a%zz",
        "/%c0%af",
        "/%ff",
        "/%ed%a0%80",
        "/a b",
        "/a\tb",
        "/a#b",
        "/a?b",
        "/é",
        "/a|b",
        "/a\"b",
        "/a{b}",
        "/a^b",
        "/a`b",
        "/a<b>",
    ] {
        assert!(path(ambiguous).is_err(), "{ambiguous:?}");
    }
}

#[test]
fn what_a_route_can_allow_is_kept_for_the_policy_to_judge() {
    for (raw, kept) in [("/a%2fb", "/a%2Fb"), ("/a%25", "/a%25"), ("/a;j%73=1", "/a;js=1"), ("/a%252fb", "/a%252fb")] {
        assert_eq!(path(raw).as_deref(), Ok(kept));
    }
}

proptest::proptest! {
    #[test]
    fn normalising_twice_is_normalising_once(raw in "(/|%[0-9a-fA-F]{2}|[a-z.;%~]){0,12}") {
        if let Ok(once) = path(&raw) {
            proptest::prop_assert_eq!(path(&once), Ok(once.clone()));
        }
    }
}

#[test]
fn a_query_is_kept_but_must_be_well_formed() {
    for fine in ["", "a=b&c=d", "a[]=1", "q=%20+x", "a=b;c", "filter={\"a\":1}", "next=/a?b", "m=_method"] {
        assert_eq!(check_query(fine), Ok(()), "{fine:?}");
    }
    for bad in ["a=%", "a=%0", "a=%zz", "a=%00", "a b", "a#b", "é", "%ff=1"] {
        assert!(check_query(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn the_port_is_cut_from_names_and_addresses() {
    assert_eq!(without_port("a.example:8443"), "a.example");
    assert_eq!(without_port("a.example"), "a.example");
    assert_eq!(without_port("[::1]:8443"), "[::1]");
    assert_eq!(without_port("[::1]"), "[::1]");
}

#[test]
fn a_folded_name_is_what_cgi_makes_of_it() {
    assert_eq!(folded("X_Tenant.Id"), "x-tenant-id");
    let names = ["X_Tenant.Id", "x-tenant-id", "x-tenant-ids", "xtenant-id", "é_a", "--_a", ""];
    for (one, other) in names.iter().flat_map(|one| names.iter().map(move |other| (*one, *other))) {
        assert_eq!(fold_alike(one, other), folded(one) == folded(other) && one.len() == other.len(), "{one} {other}");
    }
}

fn head(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)))
        .collect()
}

#[test]
fn a_host_stands_once_and_agrees_with_the_authority() {
    let origin = Uri::from_static("/a");
    let full = Uri::from_static("https://clinic.example/a");
    let one = head(&[("host", "Clinic.Example:443")]);
    assert_eq!(host(&origin, Version::HTTP_11, &one).unwrap(), "clinic.example:443");
    assert_eq!(host(&full, Version::HTTP_2, &HeaderMap::new()).unwrap(), "clinic.example");
    assert!(host(&full, Version::HTTP_11, &HeaderMap::new()).is_err());
    assert!(host(&full, Version::HTTP_2, &one).is_err());
    assert!(host(&origin, Version::HTTP_11, &HeaderMap::new()).is_err());
    let mut two = one.clone();
    two.append(HOST, http::HeaderValue::from_static("other.example"));
    assert!(host(&origin, Version::HTTP_11, &two).is_err());
    for bad in ["a:", "a:x", "a:99999", "a:80:80", "[::1]:", "", "a b", "user@host", "a/b", "a?b", "a#b", "a\\b", "a,b"]
    {
        let value = http::HeaderValue::from_str(bad).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(HOST, value);
        assert!(host(&origin, Version::HTTP_11, &headers).is_err(), "{bad:?}");
    }
}

#[test]
fn headers_are_limited_in_bytes() {
    let sized = |limit| check_headers(&head(&[("x-a", "0123456789")]), Version::HTTP_11, limit, UnclearHeaders::Refuse);
    assert!(sized(13).is_ok());
    assert!(matches!(sized(12), Err(Rejection::TooLarge(Oversize::Headers))));
}

#[test]
fn a_body_ends_in_one_place() {
    let framed = |pairs| check_headers(&head(pairs), Version::HTTP_11, 1_000, UnclearHeaders::Refuse);
    assert!(framed(&[("transfer-encoding", "Chunked")]).is_ok());
    assert!(framed(&[("content-length", "3")]).is_ok());
    for bad in [
        &[("transfer-encoding", "gzip, chunked")][..],
        &[("transfer-encoding", "chunked, chunked")],
        &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
    ] {
        assert!(matches!(framed(bad), Err(Rejection::BadFraming(_))), "{bad:?}");
    }
}
