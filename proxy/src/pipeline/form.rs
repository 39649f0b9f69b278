//! Between admitting and routing: what a form says that picks the route, and the method that it names where
//! `app.method_override` is `form`.
//!
//! Decides by the beginning of the body alone, up to 64 KiB, and holds it for the application, which gets it byte for byte.
//! It reads nothing where no route asks, and nothing for a caller whom no provider vouches for, unless a route of the path is
//! there for such callers. The rest of the body is looked at as it passes, so that nothing follows of what was read, or
//! looked for.

mod written;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, Version};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use policy::{Denial, Occurs, Per};
use tokio::time::timeout;

use super::admit::Understood;
use super::canonical::method;
use super::decide;
use super::identify;
use super::trail::Trail;
use crate::places::{Bounds, Sender};
use crate::rejection::{Oversize, Rejection};
use crate::runtime::{MethodOverride, Rollout, Runtime};
use crate::server::Connection;
use crate::shared::Shared;
use crate::upstream::Pool;
use crate::upstream::body::Arriving;
use crate::upstream::watch::Reader;
pub(super) use written::Written;

/// How much of a form is looked at, in bytes, and one piece more: what counts and stands further behind is refused.
const MOST: usize = 64 * 1024;
/// How many forms are held at once, over all workers: 64 KiB of each, and one piece more.
pub(crate) const HELD: Bounds = Bounds { all: 256, strangers: 128, caller: 16, site: 16, network: 32 };
/// How long a client may take for the beginning of a form.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the fields of a form say that a policy asks for.
#[derive(Debug, Default)]
pub(super) struct Fields(Option<BTreeMap<String, String>>);

impl Fields {
    /// They say nothing: there is no form, or none of the routes asks.
    pub(super) fn none() -> Self {
        Self(Some(BTreeMap::new()))
    }

    /// What was read, and the method among it.
    fn read(found: BTreeMap<String, String>) -> (Self, Option<String>) {
        let mut found = found;
        let named = found.remove("_method");
        (Self(Some(found)), named)
    }

    /// What the field of this name says. Everything is unclear of a form that was not read.
    pub(super) fn occurs(&self, name: &str) -> Occurs<'_> {
        match &self.0 {
            None => Occurs::Repeated,
            Some(fields) => fields.get(name).map_or(Occurs::Absent, |value| Occurs::Once(Cow::Borrowed(value))),
        }
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flat_map(BTreeMap::keys)
    }
}

/// Reads what a form says, where the routes of its path ask for it.
///
/// # Errors
/// `OVERLOADED` where too many forms are held already; `BAD_HEADER` for a body that is no form and `BAD_FRAMING` for one that
/// says what counts in two ways, stops arriving, or names a method that no POST becomes; `TOO_LARGE`; and where the routes
/// are for known callers alone, whatever is wrong with the caller.
pub(super) async fn read(
    shared: &Shared,
    runtime: &Runtime,
    pool: &Pool,
    connection: &Connection,
    understood: Understood,
    trail: &mut Trail,
) -> Result<Understood, Rejection> {
    let mut understood = understood;
    if understood.body.is_end() {
        return Ok(understood);
    }
    let is_post = understood.parts.method == Method::POST;
    let overrides = runtime.reading.method_override == MethodOverride::Form && is_post;
    let asked = understood.form_asked(runtime);
    let picks = !asked.fields.is_empty();
    let decides = asked.decides;
    let reader = match Reader::new(&understood.parts.headers, asked.fields, overrides) {
        Ok(reader) if is_post && (picks || overrides) => reader,
        // INVARIANT: where a form could pick the route, no body passes of which it is not known what an application would
        // find in it.
        Err(reason) if decides => return Err(Rejection::BadHeader(reason)),
        Ok(_) if decides => {
            return Err(Rejection::BadFraming("a body of another method than POST, where forms pick the route"));
        }
        Ok(_) | Err(_) => {
            understood.form = Fields::none();
            return Ok(understood);
        }
    };
    if understood.body.size().lower() > runtime.limits.body && runtime.stages.body == Rollout::Enforce {
        return Err(Rejection::TooLarge(Oversize::Body));
    }
    // ORDER: the body is asked for only once the caller is known, or nobody has to be; a token that was verified now is
    // remembered for later.
    let sent = (&understood.parts.headers, understood.pressed);
    let sender = match identify::known(shared, runtime, pool, connection, sent, trail).await {
        Ok(Some(caller)) => Sender::Known(decide::who(Per::Subject, "", Some(&caller), trail)),
        Ok(None) | Err(_) if asked.open => Sender::Stranger(trail.peer),
        known if picks => {
            trail.shape = Some(redact::shape(&understood.path));
            return Err(known.err().unwrap_or(Rejection::Denied(Denial::NoCredential)));
        }
        Ok(None) | Err(_) => {
            understood.form = Fields::none();
            return Ok(understood);
        }
    };
    let Some(place) = shared.forms.take(sender) else {
        let stranger = matches!(sender, Sender::Stranger(_));
        if picks || !stranger {
            return Err(Rejection::Overloaded);
        }
        // Nothing was read: a method that it names is refused as it passes.
        understood.form = Fields::none();
        return Ok(understood);
    };
    understood.body.keep_place(place);
    let on_http2 = understood.parts.version == Version::HTTP_2;
    let found = timeout(PATIENCE, beginning(&mut understood.body, reader, on_http2)).await;
    let (fields, named) = Fields::read(found.map_err(|_| Rejection::BadFraming("the body stopped arriving"))??);
    understood.excused = fields.names().cloned().collect();
    understood.form = fields;
    if let Some(name) = named {
        understood.method = method::become_of(&understood.parts.method, &name).map_err(Rejection::BadFraming)?;
        understood.excused.push("_method".to_owned());
        trail.method = super::admit::named_method(&understood.method);
    }
    Ok(understood)
}

/// Holds the beginning of a body until all is known that is looked for, if it is there.
async fn beginning(body: &mut Arriving, reader: Reader, on_http2: bool) -> Result<BTreeMap<String, String>, Rejection> {
    let mut reader = reader;
    let mut size = 0;
    while size < MOST {
        let Some(frame) = body.rest_mut().frame().await else {
            // What a reset cut short is no whole form, even where the client calls it no error.
            if on_http2 && !body.rest_mut().is_end_stream() {
                return Err(Rejection::BadFraming("the body ended early"));
            }
            return reader.ends().map_err(Rejection::BadFraming);
        };
        let frame = frame.map_err(|_| Rejection::BadFraming("the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        let done = reader.takes(&data).map_err(Rejection::BadFraming)?;
        body.hold(&data);
        if done {
            // Where that was all of it, what stands behind is known too, and refused before anything is passed on.
            if body.rest_mut().is_end_stream() {
                return reader.ends().map_err(Rejection::BadFraming);
            }
            break;
        }
    }
    Ok(reader.found())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_is_unclear() {
        assert_eq!(Fields::default().occurs("action"), Occurs::Repeated);
        assert_eq!(Fields::none().occurs("action"), Occurs::Absent);
    }
}
