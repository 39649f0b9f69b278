//! A sign-in under way: what the browser has to show again when it comes back from the provider.
//!
//! Decides which of the sign-ins of one browser an answer belongs to, and which gives way to one more. Each has a cookie of
//! its own, so that tabs do not get into each other's way, and there are at most [`ATTEMPTS`]. Nothing of it is kept here.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::Login;
use super::cookies::{self, ATTEMPTS};
use super::return_path::ReturnPath;

/// How long a browser keeps an attempt, in seconds: far longer than it is good for, so that a person who stayed too long at
/// the provider is known, and begins anew rather than with an error.
pub(super) const KEPT: u64 = 24 * 60 * 60;

/// What is asked of the provider beyond a sign-in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ask {
    /// The field that asks for contexts, and what it says: `acr_values`, or what the provider understands in its place.
    pub contexts: Option<(&'static str, String)>,
    /// How old the authentication may be, in seconds.
    pub max_age: Option<u64>,
    /// To sign in again, whatever the provider remembers.
    pub again: bool,
}

/// A sign-in under way, as it is sealed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attempt {
    /// Binds the provider's answer to this browser.
    #[serde(rename = "s")]
    pub state: String,
    /// Binds the ID token to this sign-in.
    #[serde(rename = "n")]
    pub nonce: String,
    /// Shows the provider that the code is ours (RFC 7636).
    #[serde(rename = "v")]
    pub verifier: String,
    /// The host that it began on.
    #[serde(rename = "h")]
    pub host: String,
    /// Where it leads back to.
    #[serde(rename = "b")]
    pub back: ReturnPath,
    /// When it began, in Unix seconds.
    #[serde(rename = "a")]
    pub at: u64,
    /// How many of this browser came before it, as far as it shows them: a second can hold several.
    #[serde(rename = "o")]
    pub order: u32,
    /// How old the authentication may be, where that was asked for.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u64>,
    /// Whether the person was to sign in anew.
    #[serde(rename = "g", default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// Whether factors were asked for.
    #[serde(rename = "f", default, skip_serializing_if = "std::ops::Not::not")]
    pub stepping: bool,
}

impl Attempt {
    /// A new one; `None` where the system gives no randomness.
    pub(super) fn new(host: &str, back: ReturnPath, ask: &Ask, now: u64) -> Option<Self> {
        Some(Self {
            state: random::<24>()?,
            nonce: random::<24>()?,
            verifier: random::<32>()?,
            host: host.to_owned(),
            back,
            at: now,
            order: 0,
            max_age: ask.max_age,
            again: ask.again,
            stepping: ask.max_age.is_some() || ask.contexts.is_some(),
        })
    }

    /// What the provider holds the verifier to (RFC 7636, section 4.2, `S256`).
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.as_bytes()))
    }
}

/// `N` random bytes as text.
pub(super) fn random<const N: usize>() -> Option<String> {
    drawn::<N>().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

/// `N` random bytes.
pub(super) fn drawn<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).ok().map(|()| bytes)
}

/// The attempts of a browser, by their places; a place that is empty or does not open is `None`.
pub(super) fn of_browser(login: &Login, headers: &HeaderMap) -> [Option<Attempt>; ATTEMPTS] {
    let mut places = login.names().attempts.iter();
    std::array::from_fn(|_| {
        let text = cookies::find(headers, places.next()?).ok()??;
        serde_json::from_slice(&login.open(Purpose::Attempt, text)?).ok()
    })
}

/// What a sealed text is for: one can never be taken for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// A sign-in under way.
    Attempt,
    /// A session.
    Session,
    /// What renews a session.
    Renewal,
    /// What signs a person out at the provider.
    IdToken,
}

impl Purpose {
    pub(super) fn name(self) -> &'static str {
        match self {
            Purpose::Attempt => "attempt",
            Purpose::Session => "session",
            Purpose::Renewal => "renewal",
            Purpose::IdToken => "id-token",
        }
    }
}

/// The place for one more and its order: that of the oldest or, by `lot`, one that is free. Tabs that a browser opens at the same
/// moment all show what it had before; the first free place would be the place of each of them, and the last to come would have it.
pub(super) fn place(attempts: &[Option<Attempt>; ATTEMPTS], lot: usize) -> (usize, u32) {
    let order = |attempt: &Option<Attempt>| attempt.as_ref().map_or(0, |attempt| attempt.order);
    let free: Vec<usize> = (0..).zip(attempts).filter(|(_, one)| one.is_none()).map(|(place, _)| place).collect();
    let oldest = || (0..).zip(attempts).min_by_key(|(_, attempt)| order(attempt)).map(|(place, _)| place);
    let chosen = lot.checked_rem(free.len()).and_then(|at| free.get(at).copied());
    let place = chosen.or_else(oldest).unwrap_or(0);
    (place, attempts.iter().map(order).max().unwrap_or(0).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_is_of_its_own_and_the_challenge_is_a_digest() {
        let new = || Attempt::new("clinic.example", ReturnPath::root(), &Ask::default(), 7).unwrap();
        let (one, two) = (new(), new());
        assert!(one.state != two.state && one.nonce != two.nonce && one.verifier != two.verifier);
        assert!(one.verifier.len() >= 43, "RFC 7636, section 4.1");
        // RFC 7636, appendix B.
        let known = Attempt { verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned(), ..one };
        assert_eq!(known.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn the_oldest_gives_way() {
        let of = |order| Some(Attempt { order, ..Attempt::new("h", ReturnPath::root(), &Ask::default(), 0).unwrap() });
        assert_eq!(place(&[None, None, None, None], 0), (0, 1));
        assert_eq!(place(&[of(5), None, of(6), None], 0), (1, 7));
        assert_eq!(place(&[of(5), of(3), of(6), of(4)], 0), (1, 7));
    }

    #[test]
    fn the_lot_picks_one_of_the_free_places_alone() {
        let of = |order| Some(Attempt { order, ..Attempt::new("h", ReturnPath::root(), &Ask::default(), 0).unwrap() });
        let places = |attempts: &[Option<Attempt>; ATTEMPTS]| [0, 1, 2, 3, 255].map(|lot| place(attempts, lot).0);
        assert_eq!(places(&[None, None, None, None]), [0, 1, 2, 3, 3]);
        assert_eq!(places(&[of(5), None, of(6), None]), [1, 3, 1, 3, 3]);
        assert_eq!(places(&[of(5), of(3), of(6), of(4)]), [1; 5]);
    }
}
