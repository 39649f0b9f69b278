//! Trace context (W3C, level 1): which trace a request belongs to, and whether we report our part of it.
//!
//! Decides what of a client's `traceparent` and `tracestate` reaches the application. A client names a trace, and may ask
//! not to be traced; it can never ask to be traced more often than our own share: whether a span is reported is drawn by
//! us, from a number that no client chooses. A header that is malformed is dropped, and `tracestate` falls with it.

use std::fmt;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use policy::units::Share;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The longest `tracestate` that is passed on, in characters over all of its lines (the least that the specification wants).
const STATE_LIMIT: usize = 512;
/// The flag that says that a caller may have recorded its part.
const SAMPLED: u8 = 1;
/// The flag that says that the trace id is random (level 2).
const RANDOM: u8 = 2;

/// The id of a trace, never all zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceId([u8; 16]);

/// The id of a span, never all zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanId([u8; 8]);

impl TraceId {
    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl SpanId {
    pub(crate) fn bytes(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// How the call to the application went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppCall {
    /// How long after the request's start it began.
    pub(crate) after: Duration,
    /// How long the head of the answer took.
    pub(crate) took: Duration,
    /// The status that the application answered with, or the code that the request ended with.
    pub(crate) outcome: Result<u16, &'static str>,
}

/// The trace that a request belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    /// Its id.
    pub(crate) id: TraceId,
    /// The caller's span, where the client sent one.
    pub(crate) parent: Option<SpanId>,
    flags: u8,
    state: Option<HeaderValue>,
    /// Our part in it; none while the gate exports no traces.
    own: Option<Own>,
}

/// Our part in a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own {
    /// The span of the request.
    pub(crate) server: SpanId,
    /// The span of the call to the application: what the application hangs its own below.
    pub(crate) client: SpanId,
    /// Whether the two are reported.
    pub(crate) sampled: bool,
}

impl Trace {
    /// The trace of a request: the client's where it names one well, a new one where this request is drawn, else none.
    ///
    /// `share` is how many requests are reported, none where nothing is exported: a client's trace then goes through as it
    /// is. `draw` is spread evenly over all numbers. `random` fills bytes, and says whether it could.
    pub(crate) fn begin(
        headers: &HeaderMap,
        share: Option<Share>,
        draw: u64,
        random: impl Fn(&mut [u8]) -> bool,
    ) -> Option<Self> {
        let incoming = Incoming::read(headers);
        let drawn = share.is_some_and(|share| is_drawn(share, draw));
        let Some(incoming) = incoming else {
            if !drawn {
                return None;
            }
            let own = Own::new(true, &random)?;
            return Some(Self { id: TraceId(bytes(&random)?), parent: None, flags: 0, state: None, own: Some(own) });
        };
        let sampled = drawn && incoming.flags & SAMPLED != 0;
        let own = share.and_then(|_| Own::new(sampled, &random));
        let Incoming { id, span, flags } = incoming;
        Some(Self { id, parent: Some(span), flags, state: state(headers), own })
    }

    /// Our part, where it is reported.
    pub(crate) fn reported(&self) -> Option<Own> {
        self.own.filter(|own| own.sampled)
    }

    /// What the application gets as `traceparent`.
    fn traceparent(&self) -> Option<HeaderValue> {
        let (span, flags) = match (self.own, self.parent) {
            (Some(own), _) => (own.client, self.flags & RANDOM | u8::from(own.sampled)),
            (None, Some(parent)) => (parent, self.flags),
            (None, None) => return None,
        };
        HeaderValue::try_from(format!("00-{}-{span}-{flags:02x}", self.id)).ok()
    }
}

/// Sets the trace context that the application gets, in place of what the client sent.
pub(crate) fn pass_on(headers: &mut HeaderMap, trace: Option<&Trace>) {
    headers.remove(TRACEPARENT);
    headers.remove(TRACESTATE);
    let Some((trace, parent)) = trace.and_then(|trace| Some((trace, trace.traceparent()?))) else { return };
    headers.insert(TRACEPARENT, parent);
    if let Some(state) = &trace.state {
        headers.insert(TRACESTATE, state.clone());
    }
}

/// Whether a number that is spread over all numbers falls into a share of them.
fn is_drawn(share: Share, draw: u64) -> bool {
    let bound = (u128::from(share.millionths()) << 64) / 1_000_000;
    u128::from(draw) < bound
}

impl Own {
    fn new(sampled: bool, random: &impl Fn(&mut [u8]) -> bool) -> Option<Self> {
        Some(Self { server: SpanId(bytes(random)?), client: SpanId(bytes(random)?), sampled })
    }
}

/// Random bytes that are not all zero.
fn bytes<const N: usize>(random: &impl Fn(&mut [u8]) -> bool) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    (random(&mut bytes) && bytes != [0; N]).then_some(bytes)
}

/// A well-formed `traceparent`.
struct Incoming {
    id: TraceId,
    span: SpanId,
    flags: u8,
}

impl Incoming {
    /// Reads it, where it stands once, in version 00, and is well formed.
    fn read(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next()?.to_str().ok()?;
        let mut fields = value.split('-');
        let (version, trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        if version != "00" || fields.next().is_some() || values.next().is_some() {
            return None;
        }
        let id = TraceId(hexadecimal::<16>(trace)?);
        let span = SpanId(hexadecimal::<8>(span)?);
        let [flags] = hexadecimal::<1>(flags)?;
        (id.0 != [0; 16] && span.0 != [0; 8]).then_some(Self { id, span, flags })
    }
}

/// Exactly `N` bytes in lower-case hexadecimal digits.
fn hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    let lower = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    if text.len() != 2 * N || !text.bytes().all(lower) {
        return None;
    }
    let number = u128::from_str_radix(text, 16).ok()?;
    let bytes = number.to_be_bytes();
    bytes.last_chunk::<N>().copied()
}

/// The `tracestate` as one line, where it is text and no longer than [`STATE_LIMIT`].
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut joined = String::new();
    for value in headers.get_all(TRACESTATE) {
        let value = value.to_str().ok()?.trim();
        if value.len() > STATE_LIMIT || joined.len() > STATE_LIMIT {
            return None;
        }
        if !joined.is_empty() && !value.is_empty() {
            joined.push(',');
        }
        joined.push_str(value);
    }
    if joined.is_empty() || joined.len() > STATE_LIMIT {
        return None;
    }
    HeaderValue::try_from(joined).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const ALL: Share = Share::percent(100);

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn begin(lines: &[(&'static str, &str)], share: Option<Share>, draw: u64) -> Option<Trace> {
        let filled = |bytes: &mut [u8]| {
            bytes.fill(7);
            true
        };
        Trace::begin(&headers(lines), share, draw, filled)
    }

    fn passed(trace: Option<&Trace>) -> (String, String) {
        let mut sent = headers(&[("traceparent", "junk"), ("tracestate", "junk=1")]);
        pass_on(&mut sent, trace);
        let of = |name| sent.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        (of("traceparent"), of("tracestate"))
    }

    #[test]
    fn only_a_well_formed_trace_is_taken() {
        assert_eq!(
            begin(&[("traceparent", GOOD)], None, 0).unwrap().id.to_string(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        for bad in [
            "",
            "00",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            let trace = begin(&[("traceparent", bad), ("tracestate", "a=1")], None, 0);
            assert!(trace.is_none(), "{bad:?}");
            assert_eq!(passed(trace.as_ref()), (String::new(), String::new()));
        }
        assert!(begin(&[("traceparent", GOOD), ("traceparent", GOOD)], None, 0).is_none());
    }

    #[test]
    fn without_an_exporter_a_trace_goes_through_as_it_is() {
        let trace = begin(&[("traceparent", GOOD), ("tracestate", "a=1"), ("tracestate", "b=2")], None, 0).unwrap();
        assert!(trace.reported().is_none());
        assert_eq!(passed(Some(&trace)), (GOOD.to_owned(), "a=1,b=2".to_owned()));
        assert!(begin(&[], None, 0).is_none());
    }

    #[test]
    fn with_an_exporter_the_application_hangs_below_our_span() {
        let trace = begin(&[("traceparent", GOOD)], Some(ALL), u64::MAX).unwrap();
        let own = trace.reported().unwrap();
        assert_eq!(trace.parent.unwrap().to_string(), "00f067aa0ba902b7");
        assert_eq!(passed(Some(&trace)).0, format!("00-{}-{}-01", trace.id, own.client));
        let new = begin(&[], Some(ALL), u64::MAX).unwrap();
        assert_eq!((new.parent, new.id.to_string()), (None, "07".repeat(16)));
        assert_eq!(passed(Some(&new)).0, format!("00-{}-{}-01", "07".repeat(16), "07".repeat(8)));
    }

    #[test]
    fn a_client_is_never_traced_more_often_than_others() {
        let (half, drawn, missed) = (Some(Share::percent(50)), u64::MAX / 2, u64::MAX / 2 + 1);
        assert!(begin(&[("traceparent", GOOD)], half, drawn).unwrap().reported().is_some());
        let trace = begin(&[("traceparent", GOOD)], half, missed).unwrap();
        assert!(trace.reported().is_none());
        assert!(passed(Some(&trace)).0.ends_with("-00"), "nor can it make the application trace it");
        assert!(begin(&[], half, missed).is_none());
        let declined = GOOD.replace("-01", "-00");
        assert!(begin(&[("traceparent", &declined)], Some(ALL), 0).unwrap().reported().is_none());
        assert!(begin(&[], Some(Share::NONE), 0).is_none());
        let random = GOOD.replace("-01", "-fe");
        assert!(passed(begin(&[("traceparent", &random)], half, 0).as_ref()).0.ends_with("-02"));
    }

    #[test]
    fn the_state_is_bounded() {
        let long = format!("a={}", "x".repeat(510));
        let of = |lines: &[&str]| {
            let mut all = vec![("traceparent", GOOD)];
            all.extend(lines.iter().map(|line| ("tracestate", *line)));
            passed(begin(&all, None, 0).as_ref()).1
        };
        assert_eq!(of(&[&long]), long);
        for bad in [&[long.as_str(), "b=1"][..], &[&format!("{long}x")], &[""], &["caf\u{e9}=1"]] {
            assert_eq!(of(bad), "", "{bad:?}");
        }
    }

    #[test]
    fn without_randomness_a_trace_goes_through_as_it_is() {
        let none = |_: &mut [u8]| false;
        let trace = Trace::begin(&headers(&[("traceparent", GOOD)]), Some(ALL), 0, none).unwrap();
        assert_eq!(passed(Some(&trace)).0, GOOD);
        assert!(Trace::begin(&headers(&[]), Some(ALL), 0, none).is_none());
    }
}
