//! Certificates that will soon be over, told in the log before they are.
//!
//! Decides when that is worth a line: a week before, when they are shown first and then every twelve hours. Metrics and
//! `status` show the time at any moment. It never changes what is shown: an expired certificate is still the only one.

use std::time::Duration;

use crate::clock::Now;
use crate::runtime::Shown;

/// How long before its end a certificate is spoken of, in seconds.
pub(crate) const SOON_S: i64 = 7 * 24 * 60 * 60;
/// The pause between two times.
const PAUSE: Duration = Duration::from_secs(12 * 60 * 60);

/// What was told last.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    told: Option<([u8; 32], Duration)>,
}

/// One thing that will be over, or is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ending {
    /// What, in words.
    pub(crate) what: String,
    /// The seconds that are left; none: it is over.
    pub(crate) left_s: i64,
}

impl Expiry {
    /// What is to be told now: everything that ends soon, or nothing while it was told lately.
    pub(crate) fn due(&mut self, shown: &Shown, now: Now) -> Vec<Ending> {
        let told = self.told.filter(|(digest, _)| *digest == shown.digest);
        if told.is_some_and(|(_, at)| now.monotone.saturating_sub(at) < PAUSE) {
            return Vec::new();
        }
        let found = endings(shown, now.unix_seconds());
        if !found.is_empty() {
            self.told = Some((shown.digest, now.monotone));
        }
        found
    }
}

fn endings(shown: &Shown, now: u64) -> Vec<Ending> {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let certificates = shown.certificates.iter().map(|one| Ending {
        what: format!("the certificate for {}", one.names.join(", ")),
        left_s: one.not_after.saturating_sub(now),
    });
    // Lists are renewed often and late; only one that is over is worth a line.
    let lists = shown.trust.iter().filter_map(|trust| trust.lists_until()).map(|until| Ending {
        what: "the CRL, and with it every client certificate,".to_owned(),
        left_s: until.saturating_sub(now),
    });
    certificates.filter(|one| one.left_s < SOON_S).chain(lists.filter(|one| one.left_s < 0)).collect()
}

/// One line for each.
pub(crate) fn tell(endings: &[Ending]) {
    for Ending { what, left_s } in endings {
        if *left_s < 0 {
            tracing::error!(target: "anteroom", detail = format!("{what} has expired"), "expired");
        } else {
            let days = left_s / (24 * 60 * 60);
            let detail = format!("{what} ends in {days} days");
            tracing::warn!(target: "anteroom", detail, seconds = *left_s, "a certificate ends soon");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use certs::dev::{DevCa, Validity};

    use super::*;
    use crate::runtime::CertificateNote;

    const DAY: u64 = 24 * 60 * 60;

    fn shown(digest: u8, ends: &[u64]) -> Shown {
        let valid = Validity { not_before: 0, not_after: 4_000_000_000 };
        let issued = DevCa::generate(valid).unwrap().issue(&["clinic.example"], valid).unwrap();
        let pair = certs::load_pair(issued.cert_pem.as_bytes(), issued.key_pem.as_bytes()).unwrap();
        let note = |end: &u64| CertificateNote { names: vec!["clinic.example".to_owned()], not_after: *end as i64 };
        Shown {
            tls: certs::server_config(vec![pair]).unwrap(),
            trust: None::<Arc<certs::ClientTrust>>,
            certificates: ends.iter().map(note).collect(),
            digest: [digest; 32],
        }
    }

    fn at(seconds: u64) -> Now {
        Now { unix_ms: seconds * 1_000, monotone: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_certificate_is_spoken_of_in_its_last_week_twice_a_day() {
        let mut expiry = Expiry::default();
        let shown = shown(1, &[100 * DAY, 30 * DAY]);
        assert_eq!(expiry.due(&shown, at(23 * DAY)), []);
        let first = expiry.due(&shown, at(23 * DAY + 1));
        assert_eq!(first.len(), 1, "only the one of the two");
        assert_eq!(first[0].left_s, 7 * 24 * 60 * 60 - 1);
        assert_eq!(expiry.due(&shown, at(23 * DAY + 2)), []);
        assert_eq!(expiry.due(&shown, at(23 * DAY + 1 + DAY / 2)).len(), 1);
        assert_eq!(expiry.due(&shown, at(31 * DAY))[0].left_s, -24 * 60 * 60);
    }

    #[test]
    fn another_set_is_told_at_once() {
        let mut expiry = Expiry::default();
        assert_eq!(expiry.due(&shown(1, &[DAY]), at(1)).len(), 1);
        assert_eq!(expiry.due(&shown(2, &[DAY]), at(2)).len(), 1);
        assert_eq!(expiry.due(&shown(2, &[DAY]), at(3)), []);
    }
}
