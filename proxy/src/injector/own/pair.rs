//! The injector's own certificate, as it stands in its Secret, and what is due with it at a moment.
//!
//! Decides when a certificate is renewed, when the new one is shown, and when the old authority is forgotten. Each
//! certificate has an authority of its own whose key is thrown away once it has signed, so that nobody can sign another. A
//! pure part: it knows no socket, and the time is an argument.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certs::dev::{DevCa, Validity};
use certs::{CertError, CertifiedPair};
use serde_json::{Map, Value, json};

/// How long a certificate lives, in days.
const LIFE_DAYS: u32 = 90;
/// How long before its end it is renewed, in seconds.
const RENEW_BEFORE: i64 = 30 * 86_400;
/// How long the old authority stays believed once its successor is shown, in seconds: longer than any replica takes to
/// notice.
const FORGET_AFTER: i64 = 86_400;
/// How long the API server must have been told of a new authority before its certificate is shown, in seconds.
pub(super) const ANNOUNCED_FOR: u64 = 300;

/// The keys of the Secret.
const KEYS: [&str; 5] = ["ca.crt", "tls.crt", "tls.key", "next.crt", "next.key"];

/// A certificate with its key.
#[derive(Clone)]
struct Pair {
    cert: String,
    key: String,
    read: CertifiedPair,
}

/// What the Secret holds: the authorities to believe, the first of them that of the certificate that is shown.
#[derive(Clone)]
pub(super) struct Stored {
    bundle: String,
    current: Pair,
    next: Option<Pair>,
}

/// What is due.
#[derive(Debug)]
pub(super) enum Due {
    /// Nothing: it stays as it is.
    Nothing,
    /// This is to be written.
    Write(Stored),
    /// The next certificate is to be shown, once its authority has been announced for [`ANNOUNCED_FOR`].
    Show(Stored),
}

impl fmt::Debug for Stored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Stored")
            .field("current", &self.current.read)
            .field("next", &self.next.is_some())
            .finish_non_exhaustive()
    }
}

impl Pair {
    fn new(cert: String, key: String) -> Result<Self, CertError> {
        let read = certs::load_pair(cert.as_bytes(), key.as_bytes())?;
        Ok(Self { cert, key, read })
    }

    /// A pair by an authority of its own, and the authority's certificate.
    fn issue(name: &str, now: u64) -> Result<(Self, String), CertError> {
        let validity = Validity::days(now, LIFE_DAYS);
        let ca = DevCa::named(&format!("Anteroom injector, since {now}"), validity)?;
        let issued = ca.issue(&[name], validity)?;
        Ok((Self::new(issued.cert_pem, issued.key_pem)?, ca.ca_pem().to_owned()))
    }
}

impl Stored {
    /// A first certificate for the DNS name `name`.
    ///
    /// # Errors
    /// A name that none can be issued for.
    pub(super) fn first(name: &str, now: u64) -> Result<Self, CertError> {
        let (current, bundle) = Pair::issue(name, now)?;
        Ok(Self { bundle, current, next: None })
    }

    /// What the data of a Secret say; `None` where that is nothing that can be shown for `name`.
    pub(super) fn read(data: &Map<String, Value>, name: &str) -> Option<Self> {
        let text = |key: &str| {
            let bytes = STANDARD.decode(data.get(key)?.as_str()?).ok()?;
            String::from_utf8(bytes).ok()
        };
        let pair =
            |cert: &str, key: &str| Pair::new(text(cert)?, text(key)?).ok().filter(|pair| pair.read.covers(name));
        let bundle = text("ca.crt")?;
        certs::client_config(Some(bundle.as_bytes())).ok()?;
        Some(Self { bundle, current: pair("tls.crt", "tls.key")?, next: pair("next.crt", "next.key") })
    }

    /// Puts this into the data of a Secret, beside what else is there.
    pub(super) fn write(&self, data: &mut Map<String, Value>) {
        let next = self.next.as_ref();
        let texts = [
            Some(&self.bundle),
            Some(&self.current.cert),
            Some(&self.current.key),
            next.map(|next| &next.cert),
            next.map(|next| &next.key),
        ];
        for (key, text) in KEYS.into_iter().zip(texts) {
            match text {
                Some(text) => drop(data.insert(key.to_owned(), json!(STANDARD.encode(text)))),
                None => drop(data.remove(key)),
            }
        }
    }

    /// The authorities to believe, as PEM.
    pub(super) fn bundle(&self) -> &str {
        &self.bundle
    }

    /// What is shown.
    pub(super) fn shown(&self) -> &CertifiedPair {
        &self.current.read
    }

    /// What is due at `now` (Unix seconds).
    ///
    /// # Errors
    /// A name that no certificate can be issued for.
    pub(super) fn due(&self, name: &str, now: u64) -> Result<Due, CertError> {
        let at = i64::try_from(now).unwrap_or(i64::MAX);
        let left = self.current.read.not_after().saturating_sub(at);
        match &self.next {
            Some(next) if next.read.not_after() > at => {
                let promoted = Self { bundle: reversed(&self.bundle), current: next.clone(), next: None };
                // What has ended already is believed by nobody: there is nothing to wait for.
                return Ok(if left <= 0 { Due::Write(promoted) } else { Due::Show(promoted) });
            }
            Some(_) | None => {}
        }
        if left <= 0 {
            return Self::first(name, now).map(Due::Write);
        }
        if left < RENEW_BEFORE {
            let (next, authority) = Pair::issue(name, now)?;
            let bundle = format!("{}\n{authority}", first_of(&self.bundle).trim_end());
            return Ok(Due::Write(Self { bundle, next: Some(next), ..self.clone() }));
        }
        // Certificates begin an hour before they are made.
        let age = at.saturating_sub(self.current.read.not_before()).saturating_sub(3_600);
        if certificates(&self.bundle).count() > 1 && age > FORGET_AFTER {
            return Ok(Due::Write(Self { bundle: first_of(&self.bundle), ..self.clone() }));
        }
        Ok(Due::Nothing)
    }
}

const END: &str = "-----END CERTIFICATE-----";

/// The certificates of a bundle, as texts.
fn certificates(bundle: &str) -> impl DoubleEndedIterator<Item = &str> {
    let whole = bundle.split_inclusive(END).filter(|one| one.ends_with(END));
    whole.map(str::trim).collect::<Vec<_>>().into_iter()
}

fn first_of(bundle: &str) -> String {
    certificates(bundle).next().map(|one| format!("{one}\n")).unwrap_or_default()
}

/// The newest authority first.
fn reversed(bundle: &str) -> String {
    certificates(bundle).rev().map(|one| format!("{one}\n")).collect()
}

/// The data of a Secret that holds `stored` alone.
pub(super) fn data_of(stored: &Stored) -> Map<String, Value> {
    let mut data = Map::new();
    stored.write(&mut data);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "anteroom-injector.anteroom-system.svc";
    const NOW: u64 = 1_800_000_000;
    const DAY: u64 = 86_400;

    fn written(due: Due) -> Stored {
        match due {
            Due::Write(stored) => stored,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_other_keys_stay() {
        let first = Stored::first(NAME, NOW).unwrap();
        let mut data = Map::new();
        data.insert("note".to_owned(), json!("eA=="));
        first.write(&mut data);
        assert_eq!(data.keys().collect::<Vec<_>>(), ["note", "ca.crt", "tls.crt", "tls.key"]);
        let again = Stored::read(&data, NAME).unwrap();
        assert_eq!(again.bundle(), first.bundle());
        assert!(Stored::read(&data, "another.name.svc").is_none());
        assert!(matches!(again.due(NAME, NOW + DAY).unwrap(), Due::Nothing));
        assert!(Stored::read(&Map::new(), NAME).is_none());
        data.insert("tls.key".to_owned(), json!("!"));
        assert!(Stored::read(&data, NAME).is_none());
    }

    #[test]
    fn the_next_is_announced_then_shown_and_the_old_authority_forgotten() {
        let first = Stored::first(NAME, NOW).unwrap();
        assert!(matches!(first.due(NAME, NOW + 60 * DAY - 1).unwrap(), Due::Nothing));
        let renewal = NOW + 60 * DAY + 1;
        let announced = written(first.due(NAME, renewal).unwrap());
        assert_eq!(announced.shown().not_after(), first.shown().not_after(), "the old one is still shown");
        assert_eq!(certificates(announced.bundle()).count(), 2, "both authorities are believed");
        let Due::Show(shown) = announced.due(NAME, renewal + 1).unwrap() else { panic!("the next is to be shown") };
        assert!(shown.shown().not_after() > first.shown().not_after());
        assert_eq!(certificates(shown.bundle()).count(), 2, "replicas may still show the old one");
        assert!(matches!(shown.due(NAME, renewal + DAY).unwrap(), Due::Nothing));
        let alone = written(shown.due(NAME, renewal + DAY + 2).unwrap());
        assert_eq!(certificates(alone.bundle()).count(), 1);
        assert!(announced.bundle().contains(alone.bundle().trim()) && !first.bundle().contains(alone.bundle().trim()));
        let mut data = data_of(&announced);
        shown.write(&mut data);
        assert!(!data.contains_key("next.key"), "its key is gone from the Secret");
    }

    #[test]
    fn what_has_ended_is_replaced_at_once() {
        let first = Stored::first(NAME, NOW).unwrap();
        let fresh = written(first.due(NAME, NOW + 91 * DAY).unwrap());
        assert!(fresh.shown().not_after() > first.shown().not_after() && fresh.next.is_none());
        let announced = written(first.due(NAME, NOW + 61 * DAY).unwrap());
        let promoted = written(announced.due(NAME, NOW + 91 * DAY).unwrap());
        assert_eq!(promoted.shown().not_after(), i64::try_from(NOW + (61 + 90) * DAY).unwrap());
    }

    #[test]
    fn keys_are_not_shown() {
        let told = format!("{:?}", Stored::first(NAME, NOW).unwrap());
        assert!(!told.contains("PRIVATE") && !told.contains("BEGIN"), "{told}");
    }
}
