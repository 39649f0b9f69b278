//! Between admitting and routing: the method that a form names, where `app.method_override` is `form`.
//!
//! Decides by the beginning of the body alone, up to 64 KiB, and holds it for the application, which gets it byte for byte.
//! It reads nothing for a caller whom no provider vouches for, nothing that is no plain form, and no more of it than its
//! `_method`; the rest is looked at as it passes, so that no second one follows. Multipart forms are not read: another
//! method in one of them is refused.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::admit::Understood;
use super::canonical::method;
use super::identify;
use super::trail::Trail;
use crate::rejection::Rejection;
use crate::runtime::{MethodOverride, Runtime};
use crate::server::Connection;
use crate::shared::Shared;
use crate::upstream::body::Arriving;
use crate::upstream::watch::Finder;

/// How much of a form is looked at, in bytes, and one piece more: a `_method` further behind is refused.
const MOST: usize = 64 * 1024;
/// How many forms are held at once, over all workers: 16 MiB of them.
pub(crate) const ROOM: usize = 256;
/// How long a client may take for the beginning of a form.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the method that a form names.
///
/// # Errors
/// `OVERLOADED` where too many forms are held already; `BAD_FRAMING` where it stops arriving, or names a method in another
/// spelling or none that a POST may become.
pub(super) async fn read(
    shared: &Shared,
    runtime: &Runtime,
    connection: &Connection,
    understood: Understood,
    trail: &mut Trail,
) -> Result<Understood, Rejection> {
    let mut understood = understood;
    let parts = &understood.parts;
    let named = runtime.reading.method_override == MethodOverride::Form && parts.method == Method::POST;
    if !named || understood.body.is_end() || !is_plain_form(&parts.headers) {
        return Ok(understood);
    }
    // ORDER: the body is asked for only once the caller is known; a token that was verified now is remembered for later.
    let sent = (&parts.headers, understood.pressed);
    if !identify::is_known(shared, runtime, connection, sent, trail) {
        return Ok(understood);
    }
    let room = Arc::clone(&shared.forms).try_acquire_owned().map_err(|_| Rejection::Overloaded)?;
    let found = timeout(PATIENCE, beginning(&mut understood.body, room)).await;
    if let Some(name) = found.map_err(|_| Rejection::BadFraming("the body stopped arriving"))?? {
        understood.method = method::become_of(&understood.parts.method, &name).map_err(Rejection::BadFraming)?;
        understood.excused = true;
        trail.method = super::admit::named_method(&understood.method);
    }
    Ok(understood)
}

/// Holds the beginning of a body until its `_method` is known, if it has one.
async fn beginning(body: &mut Arriving, room: OwnedSemaphorePermit) -> Result<Option<String>, Rejection> {
    body.keep_room(room);
    let mut finder = Finder::default();
    let mut size = 0;
    while size < MOST {
        let Some(frame) = body.rest_mut().frame().await else { return finder.end().map_err(Rejection::BadFraming) };
        let frame = frame.map_err(|_| Rejection::BadFraming("the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        let found = finder.finds(&data).map_err(Rejection::BadFraming)?;
        body.hold(data);
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn is_plain_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") && !headers.contains_key(CONTENT_ENCODING)
}
