//! People who come to a page that asks who they are, where the application signs them in itself: they are sent to its page.
//!
//! Decides that only a navigation is ever redirected, where no credential came or its time is over; whoever is refused for
//! something else would only come back, and sees a page with a link. Whoever comes back again and again is told so, and sent no
//! more.

use http::Uri;
use http::header::{HeaderMap, HeaderValue};
use policy::{Demand, Denial, Found, Policy};

use super::answer::Offer;
use super::canonical;
use super::decide::Request;
use super::form::Fields;
use super::login::Came;
use super::trail::Trail;
use crate::authn::TokenFault;
use crate::login::cookies::Names;
use crate::login::{Begun, Count, ReturnPath};
use crate::rejection::Rejection;
use crate::sign_in_page::SignInPage;
use crate::telemetry::log;

/// What becomes of a request that was refused; `came` where it is a navigation.
pub(super) fn instead(
    page: &SignInPage,
    names: &Names,
    trail: &Trail,
    came: Option<&Came>,
    rejection: Rejection,
) -> (Rejection, Option<Begun>, Offer) {
    let Some(came) = came else { return (rejection, None, Offer::Page(page.target().as_str().to_owned())) };
    let now = trail.started.unix_seconds();
    let count = Count::of(names, came.cookies(), now);
    let address = page.leading_to(&came.back());
    if count.is_some_and(Count::is_loop) && leads_on(&rejection) {
        log::sign_in_loop(trail, rejection.code());
        return (rejection, None, Offer::PageAgain(address));
    }
    match begin(&address, count, names, now).filter(|_| leads_on(&rejection)) {
        Some(begun) => (Rejection::SignIn(Box::new(rejection)), Some(begun), Offer::Nothing),
        None => (rejection, None, Offer::Page(address)),
    }
}

/// Whether signing in is what lacks, and all.
pub(super) fn leads_on(rejection: &Rejection) -> bool {
    matches!(rejection, Rejection::Denied(Denial::NoCredential) | Rejection::Token(TokenFault::Expired))
}

fn begin(address: &str, count: Option<Count>, names: &Names, now: u64) -> Option<Begun> {
    let location = HeaderValue::from_str(address).ok()?;
    Some(Begun { location, cookie: Count::one_more(count, names, now)? })
}

/// Whether the policy lets everybody see this page.
pub(crate) fn is_public(policy: &Policy, page: &ReturnPath) -> bool {
    let target = page.as_str().parse::<Uri>().ok().and_then(|uri| canonical::target(&uri).ok());
    let Some((path, query)) = target else { return false };
    let request = Request { headers: &HeaderMap::new(), query: query.as_deref(), form: &Fields::none() };
    match policy.find("GET", &path, &request) {
        Found::Route(found) => matches!(found.demand(), Demand::Public),
        Found::MethodNotAllowed { .. } | Found::NoRoute | Found::Unclear(_) => false,
    }
}
