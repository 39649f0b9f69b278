//! A request that could be sent a second time.
//!
//! Decides nothing but whether there is one: with a body there is none, for what has passed of it is gone.

use http::{Method, Request};

use super::body::RequestBody;

/// The head of a request without a body.
#[derive(Debug)]
pub(super) struct Again(Request<()>);

impl Again {
    /// A copy of `request`, where it has no body.
    pub(super) fn of(request: &Request<RequestBody>) -> Option<Self> {
        if !request.body().is_empty() {
            return None;
        }
        let mut copy = Request::new(());
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        *copy.headers_mut() = request.headers().clone();
        Some(Self(copy))
    }

    /// Whether it may be sent again even where the application could have acted on it (RFC 9110, section 9.2.1).
    pub(super) fn is_safe(&self) -> bool {
        matches!(*self.0.method(), Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// The same request once more.
    pub(super) fn request(&self) -> Request<RequestBody> {
        let mut copy = Request::new(RequestBody::Empty);
        *copy.method_mut() = self.0.method().clone();
        *copy.uri_mut() = self.0.uri().clone();
        *copy.version_mut() = self.0.version();
        *copy.headers_mut() = self.0.headers().clone();
        copy
    }
}
