//! How sure is it that the caller is who the credential says: what factors it shows, and what a policy demands of them.
//!
//! A factor is a kind of proof, not a method: two passwords are one factor, a password and a code are two. What is not
//! known for certain counts for nothing: an unknown word, a word that says how somebody was judged rather than what was
//! proved (`rba`, `geo`, `wia`, `mca`), a presence test (`user`). It reads no token; its maker bounds the lists.

use std::fmt;

/// How a caller proved to be who it is, and when, as the credential says it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Factors {
    /// Methods as in RFC 8176 (`pwd`, `otp`, `hwk`), in the order of the credential.
    pub methods: Vec<String>,
    /// When, in Unix seconds (`auth_time`). Never the time at which the credential was issued: a refreshed one is new,
    /// and the proof behind it is old.
    pub at: Option<u64>,
    /// What the credential's `acr` proves by the configuration of its provider, whatever the methods.
    pub vouched: Vouched,
    /// How far ahead of ours the provider's clock may be, in seconds.
    pub leeway_s: u64,
}

/// What an authentication context (`acr`) proves at one provider.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Vouched {
    /// Nothing: the configuration does not list it.
    #[default]
    Nothing,
    /// Two factors.
    TwoFactors,
    /// Two factors, one of which cannot be phished.
    PhishingResistant,
}

/// The kinds of proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Know,
    Have,
    Are,
}

/// What a method of RFC 8176 proves; `None` for what proves no factor, or is not known. Words are compared as they are.
fn kind(method: &str) -> Option<Kind> {
    Some(match method {
        "pwd" | "pin" | "kba" => Kind::Know,
        // `pop` is a key in hardware or software, a possession either way.
        "otp" | "sms" | "tel" | "hwk" | "swk" | "sc" | "pop" => Kind::Have,
        "face" | "fpt" | "iris" | "retina" | "vbm" => Kind::Are,
        _ => return None,
    })
}

/// What a method of RFC 8176 proves, in words; `None` for what proves no factor, or is not known.
#[must_use]
pub fn proves(method: &str) -> Option<&'static str> {
    kind(method).map(|kind| match kind {
        Kind::Know => "something known",
        Kind::Have => "something had",
        Kind::Are => "something that one is",
    })
}

impl Factors {
    /// Whether two factors of different kinds are shown, or the provider says so (`mfa`, or a listed `acr`).
    #[must_use]
    pub fn are_two(&self) -> bool {
        let kinds: Vec<Kind> = self.methods.iter().filter_map(|method| kind(method)).collect();
        let apart = kinds.first().is_some_and(|first| kinds.iter().any(|kind| kind != first));
        apart || self.has("mfa") || self.vouched >= Vouched::TwoFactors
    }

    /// Whether one of them cannot be phished: a key in hardware or a smart card (`hwk`, `sc`), or a listed `acr`.
    ///
    /// RFC 8176 has no word for it. `swk` and `pop` do not count: they also stand for keys of apps that approve whatever
    /// page asks. A provider whose passkeys are such keys says it by its `acr`.
    #[must_use]
    pub fn resist_phishing(&self) -> bool {
        self.has("hwk") || self.has("sc") || self.vouched >= Vouched::PhishingResistant
    }

    fn has(&self, word: &str) -> bool {
        self.methods.iter().any(|method| method == word)
    }

    /// Whether they are what is demanded at `now`, in Unix seconds.
    pub(crate) fn meet(&self, needed: Assurance, now: u64) -> Result<(), StepUp> {
        let lacks = |lack| Err(StepUp { needed, lack });
        if !self.are_two() {
            return lacks(Lack::SecondFactor);
        }
        if needed.phishing_resistant && !self.resist_phishing() {
            return lacks(Lack::PhishingResistance);
        }
        let Some(within_s) = needed.within_s else { return Ok(()) };
        match self.at {
            None => lacks(Lack::Time),
            Some(at) if at > now.saturating_add(self.leeway_s) => lacks(Lack::Future),
            Some(at) if now.saturating_sub(at) > within_s => lacks(Lack::Stale),
            Some(_) => Ok(()),
        }
    }
}

/// What a role or an act demands of the factors: two of them, and perhaps more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Assurance {
    pub(crate) within_s: Option<u64>,
    pub(crate) phishing_resistant: bool,
}

impl Assurance {
    /// Both: demands add up, and the shorter age counts.
    pub(crate) fn and(self, other: Self) -> Self {
        let within_s = match (self.within_s, other.within_s) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        Self { within_s, phishing_resistant: self.phishing_resistant || other.phishing_resistant }
    }

    /// The most seconds that may have passed since the caller proved it; `None` for any number.
    #[must_use]
    pub fn within_s(&self) -> Option<u64> {
        self.within_s
    }

    /// Whether one of the factors must be one that cannot be phished.
    #[must_use]
    pub fn phishing_resistant(&self) -> bool {
        self.phishing_resistant
    }
}

impl fmt::Display for Assurance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("two factors")?;
        if self.phishing_resistant {
            f.write_str(", one that cannot be phished")?;
        }
        match self.within_s {
            Some(seconds) => write!(f, ", at most {seconds} s ago"),
            None => Ok(()),
        }
    }
}

/// What the factors fall short of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StepUp {
    /// All that is demanded.
    pub needed: Assurance,
    /// The first part of it that is missing.
    pub lack: Lack,
}

/// What is missing of a demand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lack {
    /// A second factor.
    SecondFactor,
    /// A factor that cannot be phished.
    PhishingResistance,
    /// The time at which the factors were shown.
    Time,
    /// A time that is not in the future.
    Future,
    /// A time that is recent enough.
    Stale,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecondFactor => "the credential shows no two factors",
            Self::PhishingResistance => "the credential shows no factor that cannot be phished",
            Self::Time => "the credential does not say when the factors were shown (`auth_time`)",
            Self::Future => "`auth_time` lies in the future",
            Self::Stale => "the factors were shown too long ago",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_800_000_000;

    fn of(methods: &[&str]) -> Factors {
        Factors { methods: methods.iter().map(|one| (*one).to_owned()).collect(), ..Factors::default() }
    }

    #[test]
    fn two_factors_are_two_kinds_of_proof() {
        for two in [
            &["pwd", "otp"][..],
            &["otp", "pwd"],
            &["mfa"],
            &["pwd", "mfa"],
            &["hwk", "pin"],
            &["hwk", "user", "fpt"],
            &["swk", "face"],
            &["sc", "pin"],
            &["pop", "pin"],
            &["pwd", "sms"],
            &["pwd", "tel"],
            &["kba", "otp"],
            &["pwd", "vbm"],
            &["pwd", "iris"],
            &["retina", "otp"],
            &["geo", "pwd", "x", "otp"],
        ] {
            assert!(of(two).are_two(), "{two:?}");
        }
        for one in [
            &[][..],
            &["pwd"],
            &["otp"],
            &["hwk", "user"],
            &["pwd", "pin"],
            &["pwd", "kba"],
            &["otp", "sms"],
            &["hwk", "otp", "swk"],
            &["face", "fpt"],
            &["pwd", "user"],
            &["pwd", "geo", "rba", "wia", "mca"],
            &["pwd", "OTP"],
            &["pwd", "otp "],
            &["pwd otp"],
            &["MFA"],
            &["", "unheard-of", "pwd"],
        ] {
            assert!(!of(one).are_two(), "{one:?}");
        }
    }

    #[test]
    fn a_key_in_hardware_cannot_be_phished() {
        for yes in [&["hwk"][..], &["sc", "pin"], &["hwk", "user", "fpt"]] {
            assert!(of(yes).resist_phishing(), "{yes:?}");
        }
        for no in [&["pwd", "otp"][..], &["swk", "pin"], &["pop", "face"], &["mfa"], &["phr"], &["fido"], &[]] {
            assert!(!of(no).resist_phishing(), "{no:?}");
        }
    }

    #[test]
    fn a_context_that_is_listed_stands_for_methods() {
        let by = |vouched| Factors { vouched, ..Factors::default() };
        assert!(!by(Vouched::Nothing).are_two());
        assert!(by(Vouched::TwoFactors).are_two() && !by(Vouched::TwoFactors).resist_phishing());
        assert!(by(Vouched::PhishingResistant).are_two() && by(Vouched::PhishingResistant).resist_phishing());
    }

    #[test]
    fn what_is_missing_is_said_in_order() {
        let needed = Assurance { within_s: Some(300), phishing_resistant: true };
        let lack = |methods: &[&str], at| {
            Factors { at, leeway_s: 30, ..of(methods) }.meet(needed, NOW).err().map(|short| short.lack)
        };
        assert_eq!(lack(&["hwk"], Some(NOW)), Some(Lack::SecondFactor));
        assert_eq!(lack(&["pwd", "otp"], None), Some(Lack::PhishingResistance));
        assert_eq!(lack(&["hwk", "pin"], None), Some(Lack::Time));
        assert_eq!(lack(&["hwk", "pin"], Some(NOW + 31)), Some(Lack::Future));
        assert_eq!(lack(&["hwk", "pin"], Some(u64::MAX)), Some(Lack::Future));
        assert_eq!(lack(&["hwk", "pin"], Some(NOW + 30)), None);
        assert_eq!(lack(&["hwk", "pin"], Some(NOW - 300)), None);
        assert_eq!(lack(&["hwk", "pin"], Some(NOW - 301)), Some(Lack::Stale));
        assert_eq!(lack(&["hwk", "pin"], Some(0)), Some(Lack::Stale));
        assert_eq!(of(&["pwd", "otp"]).meet(Assurance::default(), NOW), Ok(()), "any age, and none");
    }

    #[test]
    fn demands_add_up() {
        let age = |within_s, phishing_resistant| Assurance { within_s, phishing_resistant };
        assert_eq!(age(None, false).and(age(Some(5), false)), age(Some(5), false));
        assert_eq!(age(Some(9), true).and(age(Some(5), false)), age(Some(5), true));
        assert_eq!(age(Some(5), false).and(age(None, true)), age(Some(5), true));
        assert_eq!(age(Some(300), true).to_string(), "two factors, one that cannot be phished, at most 300 s ago");
    }

    const WORDS: [&str; 12] =
        ["pwd", "pin", "kba", "otp", "hwk", "swk", "sc", "fpt", "user", "mfa", "geo", "unheard-of"];

    proptest! {
        #[test]
        fn fewer_factors_never_prove_more(
            shown in prop::sample::subsequence(WORDS.to_vec(), 0..6), lost in any::<prop::sample::Index>(),
            within in prop::option::of(0_u64..600), phishing_resistant in any::<bool>(), age in 0_u64..900,
        ) {
            let needed = Assurance { within_s: within, phishing_resistant };
            let all = Factors { at: Some(NOW - age), ..of(&shown) };
            let mut fewer = all.clone();
            if !fewer.methods.is_empty() {
                fewer.methods.remove(lost.index(all.methods.len()));
            }
            let timeless = Factors { at: None, ..all.clone() };
            for less in [fewer, timeless] {
                prop_assert!(all.meet(needed, NOW).is_ok() || less.meet(needed, NOW).is_err());
            }
        }

        #[test]
        fn a_stricter_demand_never_lets_more_pass(
            shown in prop::sample::subsequence(WORDS.to_vec(), 0..6), age in prop::option::of(0_u64..900),
            one in (prop::option::of(0_u64..600), any::<bool>()), two in (prop::option::of(0_u64..600), any::<bool>()),
        ) {
            let factors = Factors { at: age.map(|age| NOW - age), ..of(&shown) };
            let demand = |(within_s, phishing_resistant)| Assurance { within_s, phishing_resistant };
            let (one, two) = (demand(one), demand(two));
            let each = factors.meet(one, NOW).is_ok() && factors.meet(two, NOW).is_ok();
            prop_assert_eq!(each, factors.meet(one.and(two), NOW).is_ok());
        }
    }
}
