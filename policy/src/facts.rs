//! All that a decision may look at, and the places in a request where a route finds its resource.
//!
//! A decision asks for single headers and parameters by name; it never holds the request, and it cannot read more
//! than the policy names.

use crate::principal::Principal;
use crate::route::Match;
use crate::words::nearest;
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

/// What a request says in one place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Occurs<'a> {
    /// Nothing.
    Absent,
    /// One value.
    Once(Cow<'a, str>),
    /// More than one value, or one that cannot be read in one way only (not UTF-8, a bad escape).
    Repeated,
}

/// The request, as far as a policy may ask it.
pub trait RequestFacts {
    /// The header of this name. `name` is lower case; the request's own spelling does not matter. Two lines of one
    /// header are [`Occurs::Repeated`], equal values too.
    fn header(&self, name: &str) -> Occurs<'_>;

    /// The query parameter of this name, decoded. Two of one name are [`Occurs::Repeated`], equal values too.
    fn query(&self, name: &str) -> Occurs<'_>;

    /// The field of this name in the form that is the body, decoded. [`Occurs::Repeated`] where there is a body that was
    /// not read for it, too.
    fn form(&self, name: &str) -> Occurs<'_>;
}

/// Everything that one decision may look at.
pub struct Facts<'a> {
    /// The effective method, upper case.
    pub method: &'a str,
    /// The one canonical request.
    pub request: &'a dyn RequestFacts,
    /// Who asks; `None` without a credential.
    pub principal: Option<&'a Principal>,
    /// The client's address.
    pub peer: IpAddr,
    /// The time, in Unix seconds.
    pub now: u64,
}

impl<'a> Facts<'a> {
    /// What stands in `place`. The credential's claim is compared as itself, so as a place of the request it is
    /// absent.
    pub(crate) fn at<'m: 'a>(&self, place: &Place, found: &'m Match<'_>) -> Occurs<'a> {
        match place {
            Place::Claim => Occurs::Absent,
            Place::Path(name) => found.param(name).map_or(Occurs::Absent, |value| Occurs::Once(Cow::Borrowed(value))),
            Place::Header(name) => self.request.header(name),
            Place::Query(name) => self.request.query(name),
        }
    }
}

/// The person whose record a request is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Patient<'a> {
    /// The route declares no place, or the request leaves it empty.
    Unnamed,
    /// The identifier, as the request spells it.
    Named(Cow<'a, str>),
    /// The place says more than one thing.
    Unclear(Place),
}

impl Patient<'_> {
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Unnamed | Self::Unclear(_) => None,
        }
    }
}

/// Reads the patient from where the route says. An empty value names nobody, so that it can equal no one's claim.
pub(crate) fn patient<'a>(found: &'a Match<'_>, facts: &Facts<'a>) -> Patient<'a> {
    let Some(place) = found.route().patient_place() else { return Patient::Unnamed };
    match facts.at(place, found) {
        Occurs::Absent => Patient::Unnamed,
        Occurs::Once(name) if name.is_empty() => Patient::Unnamed,
        Occurs::Once(name) => Patient::Named(name),
        Occurs::Repeated => Patient::Unclear(place.clone()),
    }
}

/// Where in a request something is named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// `claim`: the credential's own tenant.
    Claim,
    /// `path.NAME`: a `{NAME}` of the route's path.
    Path(String),
    /// `header.NAME`, lower case.
    Header(String),
    /// `query.NAME`.
    Query(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim => f.write_str("claim"),
            Self::Path(name) => write!(f, "path.{name}"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Query(name) => write!(f, "query.{name}"),
        }
    }
}

/// Headers that belong to one connection (RFC 9110, section 7.6.1): what they say is not about the resource.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// Headers that the sidecar writes or strips itself, or that carry a credential.
const OURS: [&str; 10] = [
    "authorization",
    "cookie",
    "forwarded",
    "host",
    "x-original-url",
    "x-request-id",
    "x-rewrite-url",
    "x-tenant-id",
    "x-user-id",
    "x-user-roles",
];

/// A place as it is written: what is wrong with it, and what to write.
pub(crate) struct PlaceFault {
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Place {
    /// Reads a place; `params` are the names in the route's path.
    pub(crate) fn parse(text: &str, params: &[String]) -> Result<Self, PlaceFault> {
        let fault = |message: &str, help: String| Err(PlaceFault { message: message.to_owned(), help });
        if text == "claim" {
            return Ok(Self::Claim);
        }
        let Some((kind, name)) = text.split_once('.') else {
            return fault("is no place", "write `claim`, `path.NAME`, `header.NAME` or `query.NAME`".to_owned());
        };
        match kind {
            "path" if params.iter().any(|param| param == name) => Ok(Self::Path(name.to_owned())),
            "path" => match nearest(name, params.iter().map(String::as_str)) {
                Some(near) => fault("names nothing in the route's path", format!("did you mean `path.{near}`?")),
                None => fault("names nothing in the route's path", format!("the path needs a segment `{{{name}}}`")),
            },
            "header" => header(name),
            "query" if parameter_name(name) => Ok(Self::Query(name.to_owned())),
            "query" => fault(
                "is no name of a query parameter",
                "1 to 64 letters, digits, `_`, `-`, `.`, `[` and `]`".to_owned(),
            ),
            _ => fault("is no place", "write `claim`, `path.NAME`, `header.NAME` or `query.NAME`".to_owned()),
        }
    }
}

fn header(name: &str) -> Result<Place, PlaceFault> {
    let fault = |message: &str, help: String| Err(PlaceFault { message: message.to_owned(), help });
    let lower = name.to_ascii_lowercase();
    if name.contains('_') {
        return fault("has a `_`, which servers read as `-`", format!("write `header.{}`", lower.replace('_', "-")));
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(known) {
        return fault("is no name of a header", "1 to 64 lower-case letters, digits and `-`".to_owned());
    }
    if name != lower {
        return fault("is not in lower case", format!("write `header.{lower}`"));
    }
    if HOP_BY_HOP.contains(&name) {
        return fault("is a header of the connection, not of the request", "use a header of your own".to_owned());
    }
    if OURS.contains(&name) || name.starts_with("x-forwarded-") {
        return fault("is a header that the sidecar keeps for itself", "use a header of your own".to_owned());
    }
    Ok(Place::Header(lower))
}

pub(crate) fn parameter_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Result<String, String> {
        Place::parse(text, &["patient".to_owned()])
            .map(|place| place.to_string())
            .map_err(|fault| format!("{}; {}", fault.message, fault.help))
    }

    #[test]
    fn a_place_reads_back_as_it_was_written() {
        for good in ["claim", "path.patient", "header.x-clinic", "query.patient_id", "query.filter[patient]"] {
            assert_eq!(place(good).as_deref(), Ok(good));
        }
    }

    #[test]
    fn a_bad_place_says_what_to_write() {
        for (bad, said) in [
            ("path", "write `claim`, `path.NAME`"),
            ("body.patient", "write `claim`, `path.NAME`"),
            ("path.pateint", "did you mean `path.patient`?"),
            ("path.clinic", "needs a segment `{clinic}`"),
            ("header.X-Clinic", "write `header.x-clinic`"),
            ("header.x_clinic", "write `header.x-clinic`"),
            ("header.x clinic", "is no name of a header"),
            ("header.", "is no name of a header"),
            ("header.connection", "of the connection"),
            ("header.te", "of the connection"),
            ("header.x-tenant-id", "keeps for itself"),
            ("header.x-forwarded-host", "keeps for itself"),
            ("header.authorization", "keeps for itself"),
            ("query.", "query parameter"),
            ("query.a b", "query parameter"),
        ] {
            let fault = place(bad).unwrap_err();
            assert!(fault.contains(said), "{bad}: {fault}");
        }
    }
}
