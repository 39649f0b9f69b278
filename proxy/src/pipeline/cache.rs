//! What may be kept of an answer, and by whom.
//!
//! Decides `Cache-Control` of the application's answers. Health data is kept by nobody. An answer of a route that asks who
//! is there is kept by nobody either, unless the route or the configuration says `private`; then the caller's own browser
//! may keep what the application allows. On a public route the application's word holds, but for one thing: an answer to a
//! known caller is never for a cache that others share.

use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue};
use policy::RouteCache;

/// Words for caches of one kind alone (RFC 9213, and what came before it), which pass over `Cache-Control`. A shared cache
/// that believed one of them would keep what is not for it.
fn is_targeted(name: &str) -> bool {
    name.ends_with("cdn-cache-control") || matches!(name, "surrogate-control" | "x-accel-expires" | "edge-control")
}

/// Who the answer is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Everyone: a public route, and nobody is known to ask.
    #[default]
    Everyone,
    /// A known caller of a public route.
    Known,
    /// Whoever the route lets in, with what may be kept of it.
    Admitted(RouteCache),
    /// Health data.
    Health,
}

/// Sets what may be kept of an answer for `audience`.
pub(super) fn limit(headers: &mut HeaderMap, audience: Audience) {
    if audience == Audience::Everyone {
        return;
    }
    while let Some(name) = headers.keys().find(|name| is_targeted(name.as_str())).cloned() {
        headers.remove(name);
    }
    let value = match audience {
        Audience::Everyone => return,
        Audience::Health | Audience::Admitted(RouteCache::NoStore) => HeaderValue::from_static("no-store"),
        Audience::Admitted(RouteCache::Private) if !headers.contains_key(CACHE_CONTROL) => {
            // Without a word of the application browsers guess how long; here they ask each time.
            HeaderValue::from_static("private, no-cache")
        }
        Audience::Admitted(RouteCache::Private) | Audience::Known => private(headers),
    };
    headers.insert(CACHE_CONTROL, value);
}

/// The application's word, for the caller's browser alone.
fn private(headers: &HeaderMap) -> HeaderValue {
    if !headers.contains_key(CACHE_CONTROL) {
        return HeaderValue::from_static("private");
    }
    let mut said = vec!["private"];
    for line in headers.get_all(CACHE_CONTROL) {
        // What cannot be read may say anything.
        let Ok(line) = line.to_str() else { return HeaderValue::from_static("no-store") };
        // A quoted list of fields would be cut in pieces, each of which says something else.
        if line.contains('"') {
            return HeaderValue::from_static("no-store");
        }
        said.extend(line.split(',').map(str::trim).filter(|one| !one.is_empty() && !is_for_shared_caches(one)));
    }
    HeaderValue::from_str(&said.join(", ")).unwrap_or(HeaderValue::from_static("no-store"))
}

fn is_for_shared_caches(directive: &str) -> bool {
    let name = directive.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(name.as_str(), "public" | "private" | "s-maxage" | "proxy-revalidate")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_STORE: Audience = Audience::Admitted(RouteCache::NoStore);
    const PRIVATE: Audience = Audience::Admitted(RouteCache::Private);

    fn kept(audience: Audience, said: &[&'static str]) -> String {
        let mut headers: HeaderMap =
            said.iter().map(|value| (CACHE_CONTROL, HeaderValue::from_static(value))).collect();
        headers.insert("cdn-cache-control", HeaderValue::from_static("public, max-age=600"));
        headers.insert("surrogate-control", HeaderValue::from_static("max-age=600"));
        limit(&mut headers, audience);
        assert_eq!(headers.contains_key("cdn-cache-control"), audience == Audience::Everyone);
        assert_eq!(headers.contains_key("surrogate-control"), audience == Audience::Everyone);
        let values: Vec<_> = headers.get_all(CACHE_CONTROL).iter().map(|value| value.to_str().unwrap()).collect();
        values.join(" | ")
    }

    #[test]
    fn the_public_of_an_application_never_wins_where_someone_is_known() {
        let immutable = "public, max-age=31536000, immutable";
        for (audience, said, expected) in [
            (Audience::Everyone, &[][..], ""),
            (Audience::Everyone, &[immutable], immutable),
            (Audience::Known, &[], "private"),
            (Audience::Known, &[immutable], "private, max-age=31536000, immutable"),
            (Audience::Known, &["PUBLIC , S-MaxAge=5", "no-cache"], "private, no-cache"),
            (Audience::Known, &["no-store"], "private, no-store"),
            (Audience::Known, &["private=\"x, public\", max-age=5"], "no-store"),
            (PRIVATE, &[], "private, no-cache"),
            (PRIVATE, &[immutable], "private, max-age=31536000, immutable"),
            (PRIVATE, &["private, max-age=60"], "private, max-age=60"),
            (NO_STORE, &[immutable], "no-store"),
            (NO_STORE, &[], "no-store"),
            (Audience::Health, &["private, max-age=60", "public"], "no-store"),
        ] {
            assert_eq!(kept(audience, said), expected, "{audience:?} {said:?}");
        }
    }
}
