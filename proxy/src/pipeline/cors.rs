//! Pages of other sites: which may ask, answered by the list in the configuration alone (Fetch, section 3.3).
//!
//! Decides preflights, before anyone is identified and whatever the route says, and the `Access-Control-*` headers of
//! every answer: those of the application never leave, so what it allows by itself allows nothing. It never grants a
//! request anything: what the list lets through is judged like any other.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use http::{Method, Response, StatusCode};

use super::cross_site::Sent;
use crate::rejection::Rejection;
use crate::runtime::Cors;
use crate::upstream::body::AnswerBody;

/// The answer to a preflight; `None` where the request is none.
///
/// # Errors
/// `CROSS_SITE` for an origin, a method or a header that is not on the list, and where there is no list.
pub(super) fn preflight(
    cors: Option<&Cors>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<Response<AnswerBody>>, Rejection> {
    let asks = headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if *method != Method::OPTIONS || !asks {
        return Ok(None);
    }
    let cors = cors.ok_or(Rejection::CrossSite("a preflight, and `cors` lists no origin"))?;
    check(cors, headers).map_err(Rejection::CrossSite)?;
    let mut answer = Response::new(AnswerBody::Whole(None));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let allowed = answer.headers_mut();
    allowed.insert(ACCESS_CONTROL_ALLOW_METHODS, cors.allow_methods.clone());
    if let Some(names) = &cors.allow_headers {
        allowed.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    allowed.insert(ACCESS_CONTROL_MAX_AGE, cors.max_age.clone());
    Ok(Some(answer))
}

fn check(cors: &Cors, headers: &HeaderMap) -> Result<(), &'static str> {
    match Sent::of(headers, &ORIGIN) {
        Sent::Once(origin) if cors.lists(origin) => {}
        Sent::Once(_) | Sent::Absent => return Err("a preflight of an origin that `cors.origins` does not list"),
        Sent::Unclear => return Err("a preflight with more than one `Origin`"),
    }
    let method = match Sent::of(headers, &ACCESS_CONTROL_REQUEST_METHOD) {
        Sent::Once(method) => method,
        Sent::Absent | Sent::Unclear => return Err("a preflight with more than one method"),
    };
    if !cors.methods.iter().any(|one| one.as_str() == method) {
        return Err("a preflight for a method that `cors.methods` does not list");
    }
    let listed = |name: &str| cors.headers.iter().any(|one| one.as_str().eq_ignore_ascii_case(name));
    for line in headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
        let names = line.to_str().map_err(|_| "a preflight for headers that are no text")?;
        if !names.split(',').map(str::trim).filter(|name| !name.is_empty()).all(listed) {
            return Err("a preflight for a header that `cors.headers` does not list");
        }
    }
    Ok(())
}

/// The origin of a request, where it is on the list.
pub(super) fn listed_origin(cors: Option<&Cors>, headers: &HeaderMap) -> Option<HeaderValue> {
    match Sent::of(headers, &ORIGIN) {
        Sent::Once(origin) if cors?.lists(origin) => headers.get(ORIGIN).cloned(),
        Sent::Once(_) | Sent::Absent | Sent::Unclear => None,
    }
}

/// Takes out what the application says about other sites.
pub(super) fn strip(headers: &mut HeaderMap) {
    let theirs: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
    for name in theirs {
        headers.remove(name);
    }
}

/// Lets a page of a listed `origin` read the answer, and tells caches that it differs by origin.
pub(super) fn dress(headers: &mut HeaderMap, cors: Option<&Cors>, origin: Option<HeaderValue>) {
    let Some(cors) = cors else { return };
    let varies =
        headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if !varies.map(str::trim).any(|name| name == "*" || name.eq_ignore_ascii_case("origin")) {
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    let Some(origin) = origin else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if cors.credentials {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    if let Some(names) = &cors.expose_headers {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTAL: (&str, &str) = ("origin", "https://portal.example");

    fn cors() -> Cors {
        Cors {
            origins: vec!["https://portal.example".to_owned()],
            methods: vec![Method::GET, Method::PUT],
            headers: vec![HeaderName::from_static("content-type")],
            credentials: true,
            allow_methods: HeaderValue::from_static("GET, PUT"),
            allow_headers: Some(HeaderValue::from_static("content-type")),
            expose_headers: Some(HeaderValue::from_static("etag")),
            max_age: HeaderValue::from_static("600"),
        }
    }

    fn head(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn asked(pairs: &[(&'static str, &'static str)]) -> Result<Option<Response<AnswerBody>>, Rejection> {
        preflight(Some(&cors()), &Method::OPTIONS, &head(pairs))
    }

    #[test]
    fn only_a_preflight_is_answered() {
        let put = ("access-control-request-method", "PUT");
        for (method, pairs) in [
            (Method::GET, &[PORTAL, put][..]),
            (Method::OPTIONS, &[PORTAL]),
            (Method::OPTIONS, &[put]),
            (Method::OPTIONS, &[]),
        ] {
            assert!(preflight(Some(&cors()), &method, &head(pairs)).unwrap().is_none(), "{method} {pairs:?}");
        }
        let answer = asked(&[PORTAL, put]).unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(answer.headers()["access-control-allow-methods"], "GET, PUT");
        assert_eq!(answer.headers()["access-control-allow-headers"], "content-type");
        assert_eq!(answer.headers()["access-control-max-age"], "600");
    }

    #[test]
    fn what_is_not_on_the_list_is_refused() {
        let put = ("access-control-request-method", "PUT");
        let names = |value| ("access-control-request-headers", value);
        for fine in [&[PORTAL, put, names("content-type")][..], &[PORTAL, put, names("Content-Type, ")], &[PORTAL, put]]
        {
            assert!(asked(fine).unwrap().is_some(), "{fine:?}");
        }
        for bad in [
            &[("origin", "https://evil.example"), put][..],
            &[("origin", "https://portal.example:8443"), put],
            &[("origin", "http://portal.example"), put],
            &[("origin", "null"), put],
            &[PORTAL, ("origin", "https://portal.example"), put],
            &[PORTAL, ("access-control-request-method", "DELETE")],
            &[PORTAL, ("access-control-request-method", "put")],
            &[PORTAL, put, put],
            &[PORTAL, put, names("x-other")],
            &[PORTAL, put, names("content-type"), names("x-other")],
        ] {
            assert!(matches!(asked(bad), Err(Rejection::CrossSite(_))), "{bad:?}");
        }
        let none = preflight(None, &Method::OPTIONS, &head(&[PORTAL, put]));
        assert!(matches!(none, Err(Rejection::CrossSite(_))));
    }

    #[test]
    fn the_application_has_no_say_and_ours_goes_to_listed_origins_only() {
        let mut answer = head(&[
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-private-network", "true"),
            ("vary", "accept-encoding"),
        ]);
        strip(&mut answer);
        assert_eq!(answer.len(), 1);
        let cors = cors();
        dress(&mut answer, Some(&cors), None);
        let varies: Vec<_> = answer.get_all(VARY).iter().collect();
        assert_eq!(varies, ["accept-encoding", "origin"]);
        assert_eq!(answer.get(ACCESS_CONTROL_ALLOW_ORIGIN), None);
        let origin = listed_origin(Some(&cors), &head(&[PORTAL]));
        dress(&mut answer, Some(&cors), origin);
        assert_eq!(answer.get_all(VARY).iter().count(), 2);
        assert_eq!(answer["access-control-allow-origin"], "https://portal.example");
        assert_eq!(answer["access-control-allow-credentials"], "true");
        assert_eq!(answer["access-control-expose-headers"], "etag");
        assert_eq!(listed_origin(Some(&cors), &head(&[("origin", "https://evil.example")])), None);
        assert_eq!(listed_origin(None, &head(&[PORTAL])), None);
    }
}
