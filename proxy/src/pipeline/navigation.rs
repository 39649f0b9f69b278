//! Does a person go somewhere, or does a page ask by itself?
//!
//! Decides by what browsers say and pages cannot choose (Fetch Metadata), and for those too old to say anything by what they
//! ask for.

use http::Method;
use http::header::{ACCEPT, HeaderMap, HeaderName};

use super::cross_site::Sent;

const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const BY_SCRIPT: HeaderName = HeaderName::from_static("x-requested-with");

/// Whether a person goes to a page.
pub(super) fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && is_by_person(headers)
}

/// Whether a person goes somewhere, be it by a form, and is to see a page: a browser that says so, or one too old to say
/// anything that asks for a page. What is fetched ahead nobody may ever see.
pub(super) fn is_by_person(headers: &HeaderMap) -> bool {
    if headers.contains_key(PURPOSE) {
        return false;
    }
    match (Sent::of(headers, &MODE), Sent::of(headers, &DEST), Sent::of(headers, &SITE)) {
        (Sent::Absent, Sent::Absent, Sent::Absent) => {
            let asks_for_page = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
            asks_for_page.is_some_and(|accept| accept.contains("text/html")) && !headers.contains_key(BY_SCRIPT)
        }
        (Sent::Once("navigate"), Sent::Once("document" | "iframe" | "frame"), _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn navigates(method: Method, lines: &[(&'static str, &'static str)]) -> bool {
        is_navigation(&method, &headers(lines))
    }

    #[test]
    fn only_a_person_who_goes_somewhere_navigates() {
        let document = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("accept", "*/*")];
        assert!(navigates(Method::GET, &document) && navigates(Method::HEAD, &document));
        assert!(navigates(Method::GET, &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")]));
        assert!(navigates(Method::GET, &[("accept", "text/html,*/*;q=0.8")]));
        let ahead = [document[0], document[1], ("sec-purpose", "prefetch;prerender")];
        for (method, lines) in [
            (Method::POST, &document[..]),
            (Method::GET, &ahead),
            (Method::GET, &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), ("accept", "text/html")]),
            (Method::GET, &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")]),
            (Method::GET, &[("sec-fetch-mode", "websocket"), ("sec-fetch-dest", "websocket")]),
            (Method::GET, &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "object")]),
            (Method::GET, &[("sec-fetch-mode", "navigate"), ("accept", "text/html")]),
            (Method::GET, &[("sec-fetch-dest", "document"), ("accept", "text/html")]),
            (Method::GET, &[("sec-fetch-site", "none"), ("accept", "text/html")]),
            (Method::GET, &[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")]),
            (Method::GET, &[("accept", "text/html"), ("sec-purpose", "prefetch")]),
            (Method::GET, &[("accept", "application/json")]),
            (Method::GET, &[("accept", "text/event-stream")]),
            (Method::GET, &[]),
        ] {
            assert!(!navigates(method.clone(), lines), "{method} {lines:?}");
        }
        assert!(is_by_person(&headers(&document)), "a form is sent by a person too");
    }
}
