//! Did a page of ours ask, or one of another site that uses what the browser sends by itself (CSRF)?
//!
//! Decides that of every request that could change something, and of every WebSocket, by what browsers say and pages
//! cannot choose: `Sec-Fetch-Site` and `Origin`. A request that says neither is refused: every browser that is still
//! supported says at least one. It never asks for a token in a form, and it never looks at requests that carry nothing
//! that a browser sends by itself.

use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, ORIGIN};
use http::request::Parts;

use super::identify::Identified;
use super::trail::Trail;
use crate::rejection::Rejection;
use crate::runtime::{Place, Rollout, Runtime};
use crate::shared::Shared;
use crate::telemetry::log;
use crate::telemetry::metrics::Control;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How often a header occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent<'a> {
    Absent,
    Once(&'a str),
    /// More than once, or no text.
    Unclear,
}

impl<'a> Sent<'a> {
    /// The header `name` of `headers`.
    pub(super) fn of(headers: &'a HeaderMap, name: &HeaderName) -> Self {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Sent::Absent,
            (Some(value), None) => value.to_str().map_or(Sent::Unclear, Sent::Once),
            (Some(_), Some(_)) => Sent::Unclear,
        }
    }
}

/// Lets a request pass that no other site has sent.
///
/// # Errors
/// `CROSS_SITE`, unless the control is observed: then the trail says so, and the request passes.
pub(super) fn check<'r>(
    shared: &Shared,
    runtime: &Runtime,
    identified: Identified<'r>,
    trail: &mut Trail,
) -> Result<Identified<'r>, Rejection> {
    let admitted = &identified.admitted;
    let place = identified.caller.as_ref().and_then(|caller| caller.place);
    let certified = identified.caller.as_ref().is_some_and(|caller| caller.voucher.is_certificate());
    let asked = Asked { parts: &admitted.parts, host: &admitted.host, websocket: admitted.websocket.is_some() };
    let judged = verdict(runtime, &asked, place, certified);
    match (judged, runtime.browsers.csrf) {
        (Ok(()), _) => {}
        (Err(detail), Rollout::Enforce) => return Err(Rejection::CrossSite(detail)),
        (Err(detail), Rollout::Observe) => {
            trail.crossed = true;
            shared.metrics.observed(Control::Csrf);
            log::observed(trail, Control::Csrf, detail);
        }
    }
    Ok(identified)
}

/// What is asked.
pub(super) struct Asked<'a> {
    pub(super) parts: &'a Parts,
    pub(super) host: &'a str,
    pub(super) websocket: bool,
}

/// Whether a page of another site may have sent this, and by what that is seen. `place` is where the token stood;
/// `certified`: it is the connection's certificate that proves the caller.
pub(super) fn verdict(
    runtime: &Runtime,
    asked: &Asked<'_>,
    place: Option<&Place>,
    certified: bool,
) -> Result<(), &'static str> {
    let Asked { parts, host, websocket } = *asked;
    let headers = &parts.headers;
    // A page cannot set the header of a token on a request to another site unless a preflight allows it.
    let shown = matches!(place, Some(Place::Header(_)));
    // A browser shows its certificate to every page's requests. A machine does so too, and says nothing of sites: what
    // names neither is none of a browser.
    let of_browser = headers.contains_key(ORIGIN) || headers.contains_key(SEC_FETCH_SITE);
    let by_itself = is_sent_by_itself(headers) || (certified && of_browser);
    let ambient = websocket || (!parts.method.is_safe() && by_itself);
    if shown || !ambient {
        return Ok(());
    }
    let with_cookies =
        |origin: &str| runtime.browsers.cors.as_ref().is_some_and(|it| it.credentials && it.lists(origin));
    let trusts = |origin: &str| runtime.is_own_origin(origin, host) || with_cookies(origin);
    if websocket {
        return judge_websocket(Sent::of(headers, &ORIGIN), trusts);
    }
    judge(Sent::of(headers, &SEC_FETCH_SITE), Sent::of(headers, &ORIGIN), trusts)
}

/// Whether a request carries what browsers send without being asked: cookies, and passwords of HTTP that they remember.
fn is_sent_by_itself(headers: &HeaderMap) -> bool {
    let bearer = |text: &[u8]| text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
    headers.contains_key(COOKIE) || headers.get_all(AUTHORIZATION).iter().any(|value| !bearer(value.as_bytes()))
}

/// An `Origin` that is named decides; without one, and for the `null` that browsers write where a page hides its address,
/// what the browser says of the two sites does.
fn judge(site: Sent<'_>, origin: Sent<'_>, trusts: impl Fn(&str) -> bool) -> Result<(), &'static str> {
    match origin {
        Sent::Unclear => return Err("more than one `Origin`"),
        Sent::Once(origin) if trusts(origin) => return Ok(()),
        Sent::Once(origin) if origin != "null" => return Err("`Origin` is another site"),
        Sent::Once(_) | Sent::Absent => {}
    }
    match site {
        // `none`: the person asked, no page did.
        Sent::Once("same-origin" | "none") => Ok(()),
        // Another name of the same registered domain is another application.
        Sent::Once("same-site") => Err("`Sec-Fetch-Site` says same-site, and no `Origin` is listed"),
        Sent::Once(_) => Err("`Sec-Fetch-Site` says another site"),
        Sent::Unclear => Err("more than one `Sec-Fetch-Site`"),
        Sent::Absent if origin == Sent::Absent => Err("neither `Sec-Fetch-Site` nor `Origin`"),
        Sent::Absent => Err("`Origin` is hidden, and no `Sec-Fetch-Site` says whose"),
    }
}

/// Every browser names the origin of a WebSocket (RFC 6455, section 4.1), and not all send `Sec-Fetch-Site` with it.
fn judge_websocket(origin: Sent<'_>, trusts: impl Fn(&str) -> bool) -> Result<(), &'static str> {
    match origin {
        Sent::Once(origin) if trusts(origin) => Ok(()),
        Sent::Once(_) => Err("a WebSocket from another site"),
        Sent::Absent => Err("a WebSocket without `Origin`"),
        Sent::Unclear => Err("a WebSocket with more than one `Origin`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(origin: &str) -> bool {
        origin == "https://clinic.example"
    }

    #[test]
    fn every_pair_of_site_and_origin_has_its_verdict() {
        let sites = [
            Sent::Absent,
            Sent::Once("same-origin"),
            Sent::Once("none"),
            Sent::Once("same-site"),
            Sent::Once("cross-site"),
            Sent::Once("Same-Origin"),
            Sent::Unclear,
        ];
        let passes = |origin| sites.map(|site| judge(site, origin, ours).is_ok());
        let all = [true; 7];
        let own_only = [false, true, true, false, false, false, false];
        assert_eq!(passes(Sent::Once("https://clinic.example")), all);
        assert_eq!(passes(Sent::Absent), own_only);
        assert_eq!(passes(Sent::Once("null")), own_only);
        assert_eq!(passes(Sent::Once("https://evil.example")), [false; 7]);
        assert_eq!(passes(Sent::Once("http://clinic.example")), [false; 7]);
        assert_eq!(passes(Sent::Unclear), [false; 7]);
    }

    #[test]
    fn a_websocket_needs_an_origin_that_is_ours() {
        assert!(judge_websocket(Sent::Once("https://clinic.example"), ours).is_ok());
        for origin in [Sent::Absent, Sent::Unclear, Sent::Once("null"), Sent::Once("https://evil.example")] {
            assert!(judge_websocket(origin, ours).is_err(), "{origin:?}");
        }
    }

    #[test]
    fn cookies_and_remembered_passwords_are_sent_by_themselves() {
        let head = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(HeaderName::from_static(name), http::HeaderValue::from_static(value))])
        };
        for (name, value) in [("cookie", "a=b"), ("authorization", "Basic YTpi"), ("authorization", "Negotiate a")] {
            assert!(is_sent_by_itself(&head(name, value)), "{name}: {value}");
        }
        for (name, value) in [("authorization", "bearer abc"), ("x-api-key", "abc"), ("accept", "*/*")] {
            assert!(!is_sent_by_itself(&head(name, value)), "{name}: {value}");
        }
    }
}
