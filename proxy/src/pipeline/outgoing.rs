//! The head of a request as the application gets it.
//!
//! Decides which headers go through. It never lets one pass that a client could have used to speak with the gate's
//! voice: every spelling of the headers that we set is removed before ours are set, so there is exactly one of each.

use std::fmt::{Display, Write as _};

use bytes::BytesMut;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue};
use policy::{Identity, Passage};

use super::canonical::{HOP_BY_HOP, is_folded};
use super::identify::Caller;
use super::token_cookies;
use super::trail::Trail;
use crate::cookie_pairs::{self, Pair};
use crate::rejection::Rejection;
use crate::runtime::{Place, Runtime};
use crate::telemetry::trace;

/// What a client could use to be taken for a trusted proxy, beside the whole family of `X-Forwarded-…`, members that
/// nobody has heard of included (CVE-2026-40575). Ours are set anew; the others stay away.
const FORWARDING: [&str; 17] = [
    "x-azure-clientip",
    "x-appengine-user-ip",
    "x-proxyuser-ip",
    "x-envoy-external-address",
    "forwarded",
    "forwarded-for",
    "cf-connecting-ip",
    "fastly-client-ip",
    "proxy-client-ip",
    "wl-proxy-client-ip",
    "x-real-ip",
    "x-client-ip",
    "client-ip",
    "true-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-original-forwarded-for",
];

/// Headers that some servers and frameworks believe: the address or host that was asked for, an identity that a proxy has
/// proved, a step that was done already.
const BELIEVED: [&str; 25] = [
    "x-waws-unencoded-url",
    "x-unproxied-url",
    "x-http-path-override",
    "front-end-https",
    "x-url-scheme",
    "x-original-url",
    "x-rewrite-url",
    "x-original-uri",
    "x-original-host",
    "x-original-method",
    "x-host",
    "x-http-host-override",
    "remote-user",
    "x-remote-user",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-amzn-oidc-data",
    "x-amzn-oidc-identity",
    "x-amzn-oidc-accesstoken",
    "x-middleware-subrequest",
    "http2-settings",
    // CGI makes `HTTP_PROXY` of it (CVE-2016-5385).
    "proxy",
    "x-accel-redirect",
    "x-sendfile",
];

/// Families that carry a client's certificate, or what a proxy has found of it, from one hop to the next: our certificate
/// checks are not the application's, and a header never is a certificate (RFC 9440 included).
const CERTIFICATES: [&str; 15] = [
    "ssl-client",
    "x-ssl",
    "x-client-cert",
    "x-client-verify",
    "x-client-dn",
    "x-client-certificate",
    "client-cert",
    "x-forwarded-client-cert",
    "x-forwarded-tls-client-cert",
    "x-arr-clientcert",
    "x-amzn-mtls",
    "x-tls-client",
    "tls-client",
    "cf-client-cert",
    "x-mtls",
];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Takes out what the application must not believe or get, and says what it is told of the caller and the way here.
///
/// # Errors
/// `BAD_HEADER` for cookies that cannot be read in one way, and for what no header can hold.
pub(super) fn rewrite(
    headers: &mut HeaderMap,
    runtime: &Runtime,
    (caller, passage): (Option<&Caller<'_>>, &Passage),
    host: &str,
    trail: &Trail,
) -> Result<(), Rejection> {
    strip_credentials(headers, runtime, caller)?;
    strip(headers, runtime);
    let mut written = Written::to(headers);
    set_identity(&mut written, runtime, passage.identity(), trail)?;
    set_forwarding(&mut written, host, trail)?;
    trace::pass_on(headers, trail.trace.as_ref());
    // The length is said anew by what is really there, once and in one spelling.
    headers.remove(CONTENT_LENGTH);
    Ok(())
}

/// Removes what is meant for this hop only, and what only a gate may say.
fn strip(headers: &mut HeaderMap, runtime: &Runtime) {
    let goes = |name: &str| {
        HOP_BY_HOP.contains(&name)
            || speaks_for_a_gate(name)
            || runtime.identity.is_reserved(name)
            // A second spelling of a header is one that a CGI-like reader cannot tell from the first.
            || !is_folded(name)
    };
    let gone: Vec<HeaderName> = headers.keys().filter(|name| goes(name.as_str())).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
    headers.remove(EXPECT);
}

/// Whether a header of this name would be taken for the word of a proxy that is trusted.
pub(crate) fn speaks_for_a_gate(name: &str) -> bool {
    FORWARDING.contains(&name)
        || name.starts_with("x-forwarded")
        || BELIEVED.contains(&name)
        || CERTIFICATES.iter().any(|family| name.starts_with(family))
}

/// Takes credentials out: a token that the gate has judged is no business of the application, unless the provider says so. One
/// that was not judged never gets there, whoever it belongs to: the application would obey somebody else than the gate.
fn strip_credentials(headers: &mut HeaderMap, runtime: &Runtime, caller: Option<&Caller<'_>>) -> Result<(), Rejection> {
    let kept = caller.filter(|caller| caller.voucher.forwards()).and_then(|caller| caller.place);
    let is_kept = |pair: Pair<'_>| kept.is_some_and(|kept| token_cookies::is_judged(pair, kept));
    for place in runtime.providers.iter().flat_map(|provider| &provider.places).filter(|place| Some(*place) != kept) {
        match place {
            Place::Header(name) => drop(headers.remove(name)),
            Place::Cookie(_) | Place::CookieChunks(_) => {}
        }
    }
    // Where somebody is proved, no other credential goes beside: one that no provider reads here may still be the application's.
    if caller.is_some() && !kept.is_some_and(|kept| matches!(kept, Place::Header(name) if *name == AUTHORIZATION)) {
        headers.remove(AUTHORIZATION);
    }
    let ours = runtime.own_cookies();
    let is_ours = |pair: Pair<'_>| ours.is_some_and(|names| names.all().any(|ours| ours == pair.name().trim()));
    let is_a_token = |pair: Pair<'_>| runtime.providers.iter().any(|provider| token_cookies::resembles(pair, provider));
    cookie_pairs::retain(headers, |pair| !is_ours(pair) && (is_kept(pair) || !is_a_token(pair)))?;
    Ok(cookie_pairs::join(headers)?)
}

/// Headers that the gate writes. Their values stand in one buffer, since each is copied once more where the request could be
/// sent again.
struct Written<'h> {
    headers: &'h mut HeaderMap,
    buffer: BytesMut,
}

impl<'h> Written<'h> {
    /// What the values of most requests take, in bytes: the id of the request, tenant, subject, issuer, roles, host twice, address.
    const USUAL: usize = 256;

    fn to(headers: &'h mut HeaderMap) -> Self {
        Self { headers, buffer: BytesMut::with_capacity(Self::USUAL) }
    }

    /// Sets a header to these parts, one behind the other, in place of any that came.
    fn set<'p>(&mut self, name: &HeaderName, parts: impl IntoIterator<Item = &'p str>) -> Result<(), Rejection> {
        for part in parts {
            self.buffer.extend_from_slice(part.as_bytes());
        }
        self.end(name)
    }

    /// Sets a header to what `value` displays.
    fn show(&mut self, name: &HeaderName, value: impl Display) -> Result<(), Rejection> {
        // INVARIANT: the buffer grows, and what is displayed here has no fault of its own.
        write!(self.buffer, "{value}").map_err(|_| Rejection::Internal)?;
        self.end(name)
    }

    fn end(&mut self, name: &HeaderName) -> Result<(), Rejection> {
        // A subject is any text without control characters; beyond ASCII it stands in UTF-8.
        let value = HeaderValue::from_maybe_shared(self.buffer.split().freeze());
        self.headers.insert(name, value.map_err(|_| Rejection::BadHeader("a value that no header can hold"))?);
        Ok(())
    }
}

fn set_identity(
    written: &mut Written<'_>,
    runtime: &Runtime,
    identity: Option<&Identity>,
    trail: &Trail,
) -> Result<(), Rejection> {
    let names = &runtime.identity;
    written.show(&names.request, trail.id)?;
    let Some(identity) = identity else { return Ok(()) };
    written.set(&names.tenant, [identity.tenant().as_str()])?;
    written.set(&names.subject, [identity.subject()])?;
    if let Some(name) = &names.issuer {
        written.set(name, [identity.issuer()])?;
    }
    let comma = |at: usize| if at == 0 { "" } else { "," };
    let roles = identity.roles().iter().enumerate();
    written.set(&names.roles, roles.flat_map(|(at, role)| [comma(at), role.as_str()]))
}

fn set_forwarding(written: &mut Written<'_>, host: &str, trail: &Trail) -> Result<(), Rejection> {
    written.set(&HOST, [host])?;
    written.show(&X_FORWARDED_FOR, trail.peer.to_canonical())?;
    written.set(&X_FORWARDED_HOST, [host])?;
    written.headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
    Ok(())
}
