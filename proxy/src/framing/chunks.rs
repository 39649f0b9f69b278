//! A body in chunks (RFC 9112, section 7.1), byte for byte.
//!
//! Decides where it ends. A size is 1 to 16 hexadecimal digits and nothing else: extensions, which nobody uses but
//! smugglers, are refused, as is a line end that is not CRLF. Trailers must be headers, and there are few of them; those of a
//! request must not say where it ends or where it goes. It never holds a byte back: what came before a fault was in order.

use super::Fault;
use super::fields::is_token;

/// The most digits of a size: with more it would not fit into 64 bits.
const DIGITS: u8 = 16;
/// The most trailers.
const TRAILERS: u16 = 64;
/// The most bytes of all trailers: fewer than hyper takes.
const TRAILER_BYTES: u16 = 8 * 1024;

/// What no trailer of a request may be, in whatever spelling (RFC 9110, section 6.5.1): a reader that merges trailers into
/// headers would find another message, or another addressee.
const HEAD_ONLY: [&[u8]; 14] = [
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"expect",
    b"host",
    b"keep-alive",
    b"max-forwards",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
];
/// The most bytes of one of those names.
const LONGEST: usize = b"transfer-encoding".len();

/// The beginning of a trailer's name, in lower case and with `-` for `_`: enough of it to know those of [`HEAD_ONLY`].
#[derive(Clone, Copy, Debug, Default)]
struct Name {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Name {
    fn add(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
        }
        self.length = self.length.saturating_add(1);
    }

    /// A longer one is none of them.
    fn is_head_only(&self) -> bool {
        self.bytes.get(..self.length).is_some_and(|name| HEAD_ONLY.contains(&name))
    }
}

/// Where in the chunks we are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunks {
    place: Place,
    trailers: u16,
    trailer_bytes: u16,
    /// The name of the trailer that is being read; none where any may stand.
    name: Option<Name>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Size {
        digits: u8,
        size: u64,
    },
    SizeFeed(u64),
    Data(u64),
    DataReturn,
    DataFeed,
    /// The start of a line behind the last chunk.
    Line,
    Name,
    Value,
    ValueFeed,
    EndFeed,
    Over,
}

/// What became of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All were taken, and there is more to come.
    More,
    /// The body ended behind the bytes that were taken.
    Over,
    /// The byte behind those that were taken does not belong there.
    Bad(Fault),
}

impl Chunks {
    /// Before the first chunk of a request.
    pub(super) fn of_request() -> Self {
        Self { name: Some(Name::default()), ..Self::of_answer() }
    }

    /// Before the first chunk of an answer. What of its trailers passes is judged behind us.
    pub(super) fn of_answer() -> Self {
        Self { place: Place::Size { digits: 0, size: 0 }, trailers: 0, trailer_bytes: 0, name: None }
    }

    /// Takes what it can of `bytes`, and says how many those were.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, Step) {
        let mut at = 0;
        loop {
            if let Place::Data(left) = self.place {
                let here = bytes.len().saturating_sub(at);
                let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(here);
                at += skipped;
                match left.saturating_sub(skipped as u64) {
                    0 => self.place = Place::DataReturn,
                    left => self.place = Place::Data(left),
                }
            }
            let Some(byte) = bytes.get(at) else { return (at, Step::More) };
            match self.step(*byte) {
                Ok(Place::Over) => {
                    self.place = Place::Over;
                    return (at + 1, Step::Over);
                }
                Ok(place) => self.place = place,
                Err(fault) => return (at, Step::Bad(fault)),
            }
            at += 1;
        }
    }

    /// Where one byte, which is none of the data, leads to.
    fn step(&mut self, byte: u8) -> Result<Place, Fault> {
        match (self.place, byte) {
            (Place::Size { digits, size }, b'\r') if digits > 0 => Ok(Place::SizeFeed(size)),
            (Place::Size { digits, size }, _) => {
                let digit = char::from(byte).to_digit(16).filter(|_| digits < DIGITS).ok_or(Fault::ChunkSize)?;
                Ok(Place::Size { digits: digits + 1, size: size << 4 | u64::from(digit) })
            }
            (Place::SizeFeed(0), b'\n') => Ok(Place::Line),
            (Place::SizeFeed(size), b'\n') => Ok(Place::Data(size)),
            (Place::SizeFeed(_), _) => Err(Fault::ChunkSize),
            (Place::DataReturn, b'\r') => Ok(Place::DataFeed),
            (Place::DataFeed, b'\n') => Ok(Place::Size { digits: 0, size: 0 }),
            (Place::DataReturn | Place::DataFeed, _) => Err(Fault::ChunkEnd),
            (Place::Line, b'\r') => Ok(Place::EndFeed),
            (Place::EndFeed, b'\n') => Ok(Place::Over),
            (Place::Line | Place::Name | Place::Value | Place::ValueFeed, _) => self.trailer(byte),
            (Place::Data(_) | Place::EndFeed | Place::Over, _) => Err(Fault::ChunkEnd),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<Place, Fault> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES {
            return Err(Fault::Trailers);
        }
        match (self.place, byte) {
            (Place::Line, _) if is_token(byte) => {
                self.trailers += 1;
                self.name = self.name.map(|_| Name::default());
                self.name.iter_mut().for_each(|name| name.add(byte));
                if self.trailers > TRAILERS { Err(Fault::Trailers) } else { Ok(Place::Name) }
            }
            (Place::Name, b':') if self.name.is_some_and(|name| name.is_head_only()) => Err(Fault::HeadOnly),
            (Place::Name, b':') => Ok(Place::Value),
            (Place::Name, _) if is_token(byte) => {
                self.name.iter_mut().for_each(|name| name.add(byte));
                Ok(Place::Name)
            }
            (Place::Value, b'\r') => Ok(Place::ValueFeed),
            (Place::Value, _) if byte == b'\t' || (byte >= 0x20 && byte != 0x7f) => Ok(Place::Value),
            (Place::ValueFeed, b'\n') => Ok(Place::Line),
            _ => Err(Fault::Trailer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> (usize, Step) {
        let found = Chunks::of_request().take(text.as_bytes());
        // Byte for byte it is the same.
        let mut chunks = Chunks::of_request();
        let mut taken = 0;
        for byte in text.as_bytes().chunks(1) {
            let (one, step) = chunks.take(byte);
            taken += one;
            if step != Step::More {
                assert_eq!((taken, step), found, "{text:?}");
                return found;
            }
        }
        assert_eq!((taken, Step::More), found, "{text:?}");
        found
    }

    #[test]
    fn it_ends_behind_the_last_chunk_and_its_trailers() {
        for body in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "3\r\n\r\n0\r\n0000\r\n\r\n",
            "00000000000000a\r\n0123456789\r\n0\r\n\r\n",
            "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\nx-sum: 1\r\ny:\r\n\r\n",
        ] {
            assert_eq!(whole(&format!("{body}GET")), (body.len(), Step::Over), "{body:?}");
        }
        assert_eq!(whole("3\r\nab"), (5, Step::More));
        assert_eq!(whole("ffffffffffffffff\r\nab"), (20, Step::More));
    }

    #[test]
    fn what_two_readers_take_for_two_things_is_refused() {
        for (body, fault) in [
            ("\r\n", Fault::ChunkSize),
            (" 3\r\n", Fault::ChunkSize),
            ("3 \r\n", Fault::ChunkSize),
            ("3\t\r\n", Fault::ChunkSize),
            ("+3\r\n", Fault::ChunkSize),
            ("-3\r\n", Fault::ChunkSize),
            ("0x3\r\n", Fault::ChunkSize),
            ("1_0\r\n", Fault::ChunkSize),
            ("3;a=b\r\n", Fault::ChunkSize),
            ("3;\r\n", Fault::ChunkSize),
            ("g\r\n", Fault::ChunkSize),
            ("3\n", Fault::ChunkSize),
            ("3\rx", Fault::ChunkSize),
            ("00000000000000003\r\n", Fault::ChunkSize),
            ("3\r\nabcd\r\n", Fault::ChunkEnd),
            ("3\r\nabc\n", Fault::ChunkEnd),
            ("3\r\nabc\r0", Fault::ChunkEnd),
            ("0\r\n\rx", Fault::ChunkEnd),
            ("0\r\n\n", Fault::Trailer),
            ("0\r\nno colon\r\n\r\n", Fault::Trailer),
            ("0\r\n: b\r\n\r\n", Fault::Trailer),
            ("0\r\na : b\r\n\r\n", Fault::Trailer),
            ("0\r\na: b\r\n c\r\n\r\n", Fault::Trailer),
            ("0\r\na: b\nc: d\r\n\r\n", Fault::Trailer),
            ("0\r\na: \0\r\n\r\n", Fault::Trailer),
            ("0\r\nGET / HTTP/1.1\r\n\r\n", Fault::Trailer),
        ] {
            assert_eq!(whole(body).1, Step::Bad(fault), "{body:?}");
        }
        for name in ["Content-Length", "content_length", "transfer-encoding", "HOST", "te", "trailer", "Upgrade"] {
            let body = format!("0\r\na: b\r\n{name}: 5\r\n\r\n");
            assert_eq!(whole(&body).1, Step::Bad(Fault::HeadOnly), "{body:?}");
            // Those of an answer are judged elsewhere.
            assert_eq!(Chunks::of_answer().take(body.as_bytes()), (body.len(), Step::Over));
        }
        for name in ["hos", "hosts", "x-host", "transfer-encoding-x", "tee", "grpc-status"] {
            let body = format!("0\r\n{name}: 5\r\n\r\n");
            assert_eq!(whole(&body), (body.len(), Step::Over));
        }
        assert_eq!(whole(&format!("0\r\n{}\r\n", "a:b\r\n".repeat(65))).1, Step::Bad(Fault::Trailers));
        assert_eq!(whole(&format!("0\r\na: {}\r\n\r\n", "b".repeat(9_000))).1, Step::Bad(Fault::Trailers));
    }
}
