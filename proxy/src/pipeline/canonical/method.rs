//! The method that the application will run: the request's own, or the one that it names where the configuration allows that.
//!
//! Decides by all the places where frameworks look for another method. One form can be allowed, and is then read as those
//! frameworks read it that are strictest; whatever else could override the method is refused.

use http::Method;
use http::header::HeaderMap;

use super::{fold_alike, form_decoded, is_spelling_of, loose_pairs};
use crate::rejection::Rejection;
use crate::runtime::MethodOverride;

/// Header names by which frameworks let a client change the method that was judged.
const HEADERS: [&str; 4] = ["x-http-method-override", "x-http-method", "x-method-override", "x-http-methodoverride"];

/// The header that can be allowed: what Rack, Symfony, Laravel and Express read.
const HEADER: &str = "x-http-method-override";

/// The parameter that can be allowed.
const PARAMETER: &str = "_method";

/// What a POST can become. The others are left alone by some frameworks and run by others.
const EFFECTIVE: [Method; 3] = [Method::PUT, Method::PATCH, Method::DELETE];

/// The method that the application will run.
///
/// # Errors
/// `BAD_HEADER` and `BAD_PATH` for an override that is not allowed, stands twice or in another spelling, or makes something
/// of the request that two frameworks would see as two methods.
pub(crate) fn effective(
    allowed: MethodOverride,
    method: &Method,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Method, Rejection> {
    let in_header = overrides(headers, allowed == MethodOverride::Header)?;
    let in_query = named(query.unwrap_or_default(), allowed == MethodOverride::Query).map_err(Rejection::BadPath)?;
    let made = match (in_header, in_query) {
        (None, None) => return Ok(method.clone()),
        (Some(name), _) => become_of(method, name).map_err(Rejection::BadHeader)?,
        (None, Some(name)) => become_of(method, name).map_err(Rejection::BadPath)?,
    };
    Ok(made)
}

/// The one header that overrides, if there is one.
fn overrides(headers: &HeaderMap, allowed: bool) -> Result<Option<&str>, Rejection> {
    let mut found = headers.iter().filter(|(name, _)| HEADERS.iter().any(|one| fold_alike(one, name.as_str())));
    let Some((name, value)) = found.next() else { return Ok(None) };
    if !allowed || name.as_str() != HEADER || found.next().is_some() {
        return Err(Rejection::BadHeader("method override in a header"));
    }
    value.to_str().map(Some).map_err(|_| Rejection::BadHeader("method override that is not text"))
}

/// The one parameter that overrides, if there is one.
fn named(pairs: &str, allowed: bool) -> Result<Option<&str>, &'static str> {
    let is_override = |name: &str| form_decoded(name).is_none_or(|name| is_method_override(&name));
    let mut found = loose_pairs(pairs).filter(|pair| is_override(pair.name));
    let Some(pair) = found.next() else { return Ok(None) };
    if !allowed || pair.name != PARAMETER || pair.unclear || found.next().is_some() {
        return Err("method override in the query");
    }
    Ok(Some(pair.value))
}

/// What a request with this method becomes by naming another one.
pub(crate) fn become_of(method: &Method, name: &str) -> Result<Method, &'static str> {
    if method != Method::POST {
        return Err("method override on another method than POST");
    }
    // Forms write it in lower case, and every framework reads it so.
    let is_named = |one: &Method| one.as_str() == name || one.as_str().to_ascii_lowercase() == name;
    let made = EFFECTIVE.into_iter().find(is_named);
    made.ok_or("method override that names neither PUT nor PATCH nor DELETE")
}

/// Whether a parameter's name could be read as `_method`: PHP makes it of `.method` and ` method`, others of `_method[]`
/// and `_method[0]`.
pub(crate) fn is_method_override(name: &str) -> bool {
    let marked = !name.trim_start_matches([' ', '+']).starts_with(|first: char| first.is_alphanumeric());
    let spaced = name.starts_with([' ', '+']) && name.trim_start().starts_with('_');
    is_spelling_of(name, PARAMETER) && (marked || spaced)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn of(allowed: MethodOverride, method: &Method, headers: &[(&str, &str)], query: &str) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        effective(allowed, method, &map, Some(query)).ok().map(|method| method.to_string())
    }

    const SPELLINGS: [&str; 13] = [
        "_method=PUT",
        "_method[0]=PUT",
        "_method[x][y]=PUT",
        "%EF%BB%BF_method=PUT",
        "%20_method=PUT",
        ".method=PUT",
        "[_method]=PUT",
        "_method[]=PUT",
        "a;_method=PUT",
        "x=1&%5fmethod=PUT",
        "_METHOD=PUT",
        "_Method=PUT",
        "%ff=1",
    ];

    #[test]
    fn nothing_overrides_a_method_unless_it_is_allowed() {
        let refuse = |headers: &[(&str, &str)], query: &str| of(MethodOverride::Refuse, &Method::POST, headers, query);
        assert_eq!(refuse(&[("x-own", "PUT")], "m=_method&method=PUT").as_deref(), Some("POST"));
        for name in ["x-http-method-override", "x-http-method", "x-method-override", "x_http_method_override"] {
            assert_eq!(refuse(&[(name, "PUT")], ""), None, "{name}");
        }
        for query in SPELLINGS {
            assert_eq!(refuse(&[], query), None, "{query}");
        }
    }

    #[test]
    fn the_header_counts_where_it_is_allowed_and_nothing_else_does() {
        let header = |headers: &[(&str, &str)], query: &str| of(MethodOverride::Header, &Method::POST, headers, query);
        assert_eq!(header(&[], "").as_deref(), Some("POST"));
        for made in ["PUT", "PATCH", "DELETE"] {
            assert_eq!(header(&[(HEADER, made)], "").as_deref(), Some(made));
            assert_eq!(header(&[(HEADER, &made.to_lowercase())], "").as_deref(), Some(made));
        }
        for made in ["Put", "GET", "HEAD", "POST", "OPTIONS", "CONNECT", "TRACE", "", " ", "PUT,DELETE", "PURGE"] {
            assert_eq!(header(&[(HEADER, made)], ""), None, "{made:?}");
        }
        assert_eq!(header(&[(HEADER, "PUT"), (HEADER, "PUT")], ""), None);
        assert_eq!(header(&[(HEADER, "PUT"), ("x-method-override", "PUT")], ""), None);
        assert_eq!(header(&[("x-http-method", "PUT")], ""), None);
        assert_eq!(header(&[("x_http_method_override", "PUT")], ""), None);
        assert_eq!(header(&[(HEADER, "PUT")], "_method=PUT"), None);
        assert_eq!(of(MethodOverride::Header, &Method::GET, &[(HEADER, "DELETE")], ""), None);
    }

    #[test]
    fn the_parameter_counts_where_it_is_allowed_and_nothing_else_does() {
        let query = |headers: &[(&str, &str)], query: &str| of(MethodOverride::Query, &Method::POST, headers, query);
        assert_eq!(query(&[], "a=b&_method=DELETE").as_deref(), Some("DELETE"));
        for bad in SPELLINGS.into_iter().skip(1).chain([
            "_method=PUT;a",
            "_method=PUT&_method=PUT",
            "_method=get",
            "_method",
            "_method=P%55T",
        ]) {
            assert_eq!(query(&[], bad), None, "{bad}");
        }
        assert_eq!(query(&[(HEADER, "PUT")], ""), None);
        assert_eq!(of(MethodOverride::Query, &Method::GET, &[], "_method=DELETE"), None);
    }
}
