//! `anteroom explain --token` without a request: what a token proves, or why it proves nothing.
//!
//! The verdict is that of the functions that judge tokens at a gate; the words around it come from what the token says of
//! itself. Never prints the token, its signature or its subject.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use policy::{Factors, Outcome, Principal, Vouched};

use crate::authn::{self, Check, MAX_TOKEN, Outline, TokenFault};
use crate::pipeline::explain::{End, Explained, Told};
use crate::rejection::Rejection;
use crate::runtime::{Provider, Runtime};

/// The most that is read of a token's file, in bytes: more than a token may have, so that a longer one is refused as such.
const MOST: u64 = 4 * MAX_TOKEN as u64;

/// The token in a file, or on standard input where that is `-`; without a line end behind it.
///
/// # Errors
/// Fit for users.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(MOST).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text))
    };
    // The name is not repeated: who gives the token itself in the place of a file shall not find it in a log.
    read.map_err(|error| format!("cannot read the file that `--token` names (`-` is standard input): {error}"))?;
    let token = text.strip_suffix('\n').unwrap_or(&text);
    let token = token.strip_suffix('\r').unwrap_or(token);
    if token.is_empty() { Err("the file that `--token` names holds no token".to_owned()) } else { Ok(token.to_owned()) }
}

/// What a token proves at `now`, by the provider that was named or else by the one that its `iss` names.
pub(super) fn explain(runtime: &Runtime, named: Option<&Provider>, token: &str, now: u64) -> Explained {
    let outline = Outline::of(token);
    let mut told = Explained { steps: Vec::new(), end: End::Allowed, rule: None };
    let provider = match judge_of(runtime, named, &outline) {
        Ok((provider, why)) => {
            let says = format!("`{}`, {why}", provider.authn.name());
            told.steps.push(step("provider", says));
            provider
        }
        Err(says) => {
            told.steps.push(Told { name: "provider", outcome: Outcome::Ended, says });
            told.end = End::Refused(Rejection::Token(TokenFault::Issuer));
            return told;
        }
    };
    let judged = provider.keys.just_fetched().and_then(|keys| {
        let verified = authn::verify(token, &provider.authn, &keys, now)?;
        Ok((authn::principal(&verified, &provider.authn)?, verified.lifetime().expires))
    });
    let seen = Seen { token, outline: &outline, provider, now };
    let ended = judged.as_ref().err().and_then(|fault| Check::of(*fault));
    for check in Check::ALL.into_iter().take_while(|check| Some(*check) != ended) {
        told.steps.push(step(check.as_str(), seen.passed(check)));
    }
    match judged {
        Ok((principal, expires)) => {
            told.steps.extend(proved(&principal, expires, now));
            if runtime.directory.is_some() {
                told.steps.push(step("directory", "roles are kept there: with a request it is asked too".to_owned()));
            }
        }
        Err(fault) => {
            let name = ended.map_or("token", Check::as_str);
            told.steps.push(Told { name, outcome: Outcome::Ended, says: seen.failed(fault) });
            told.end = End::Refused(Rejection::Token(fault));
        }
    }
    told
}

fn step(name: &'static str, says: String) -> Told {
    Told { name, outcome: Outcome::Passed, says }
}

/// Who judges it, and why. A token that cannot be read fails by whichever does.
fn judge_of<'r>(
    runtime: &'r Runtime,
    named: Option<&'r Provider>,
    outline: &Outline,
) -> Result<(&'r Provider, &'static str), String> {
    let by_issuer = runtime.providers.iter().find(|one| outline.text("iss") == Some(one.authn.issuer()));
    match (named, by_issuer, runtime.providers.as_slice()) {
        (Some(provider), _, _) => Ok((provider, "as you say")),
        (None, Some(provider), _) => Ok((provider, "whose issuer `iss` names")),
        (None, None, [only]) => Ok((only, "the only one")),
        (None, None, [first, ..]) if outline.text("iss").is_none() => Ok((first, "since `iss` names none")),
        (None, None, all) => {
            let known: Vec<String> = all.iter().map(|one| format!("`{}`", one.authn.issuer())).collect();
            Err(format!("`iss` is {}, and no provider's; there are {}", outline.claim("iss"), known.join(", ")))
        }
    }
}

/// A token before its judge.
struct Seen<'a> {
    token: &'a str,
    outline: &'a Outline,
    provider: &'a Provider,
    now: u64,
}

impl Seen<'_> {
    /// What a check saw that the token has passed.
    fn passed(&self, check: Check) -> String {
        let outline = self.outline;
        match check {
            Check::Keys => format!("{} to check with", self.provider.keys.status().keys),
            Check::Form => format!("three parts, {} bytes", self.token.len()),
            Check::Header => format!("it demands nothing; `kid` is {}", outline.header("kid")),
            Check::Algorithm => format!("`alg` is {}", outline.header("alg")),
            Check::Encoding => "payload and signature are base64url in its one spelling".to_owned(),
            Check::Type => format!("`typ` is {}", outline.header("typ")),
            Check::Key => "one key is meant, and it is for this `alg`".to_owned(),
            Check::Signature => "it is that key's".to_owned(),
            Check::Payload => "one JSON object, with no name twice".to_owned(),
            Check::Issuer => format!("`iss` is {}, exactly", outline.claim("iss")),
            Check::Audience => format!("`aud` is {}", outline.claim("aud")),
            Check::Rules => "what is demanded of this kind of provider's tokens holds".to_owned(),
            Check::Times => {
                let from = outline.time("nbf").or(outline.time("iat")).map(|from| format!("from {} ", clock(from)));
                let until = outline.time("exp").map(|until| format!("until {}", clock(until)));
                format!("valid {}{}", from.unwrap_or_default(), until.unwrap_or_default())
            }
            Check::Claims => "the caller has a name, which is not shown here".to_owned(),
        }
    }

    /// Why a check failed: the fault as the log has it, and what it looked at.
    fn failed(&self, fault: TokenFault) -> String {
        let detail = fault.detail();
        match self.about(fault) {
            Some(more) => format!("{detail}: {more}"),
            None => detail,
        }
    }

    fn about(&self, fault: TokenFault) -> Option<String> {
        let (outline, authn) = (self.outline, &self.provider.authn);
        Some(match fault {
            TokenFault::TooLong => format!("more than {MAX_TOKEN} bytes"),
            TokenFault::Parts if self.token.contains(' ') => "give the token alone, without `Bearer`".to_owned(),
            TokenFault::Algorithm => {
                format!("it is {}{}", outline.header("alg"), taken(authn.algorithms().iter().map(ToString::to_string)))
            }
            TokenFault::Type => {
                let types = if authn.types().is_empty() { vec!["jwt", "at+jwt"] } else { texts(authn.types()) };
                format!("it is {}{}", outline.header("typ"), taken(types.into_iter().map(ToOwned::to_owned)))
            }
            TokenFault::KeyAlgorithm | TokenFault::AmbiguousKey => {
                format!("`alg` is {}, `kid` is {}", outline.header("alg"), outline.header("kid"))
            }
            TokenFault::UnknownKey => self.unknown_key(),
            TokenFault::Signature | TokenFault::UnnamedKey => "it was changed, or another key has signed it".to_owned(),
            TokenFault::Issuer => self.issuer(),
            TokenFault::Audience => {
                let ours = taken(texts(authn.audience()).into_iter().map(ToOwned::to_owned));
                format!("it is {}{ours}", outline.claim("aud"))
            }
            TokenFault::Expired => self.when("exp"),
            TokenFault::NotYet => self.when("nbf"),
            TokenFault::IssuedLater => self.when("iat"),
            TokenFault::Claim(name @ ("exp" | "nbf" | "iat")) => format!("it is {}", outline.claim(name)),
            TokenFault::Parts
            | TokenFault::Encrypted
            | TokenFault::Encoding(_)
            | TokenFault::Json(..)
            | TokenFault::Header(_)
            | TokenFault::Critical
            | TokenFault::Claim(_)
            | TokenFault::Rule(_)
            | TokenFault::Cookies(_)
            | TokenFault::NoKeys
            | TokenFault::Certificate(_)
            | TokenFault::AppSession(_)
            | TokenFault::Login(_) => return None,
        })
    }

    fn issuer(&self) -> String {
        let ours = self.provider.authn.issuer();
        let slash = match self.outline.text("iss") {
            Some(theirs) if theirs.trim_end_matches('/') == ours.trim_end_matches('/') => {
                "; the slash at the end counts"
            }
            Some(_) | None => "",
        };
        format!("it is {}, and the provider's is `{ours}`{slash}", self.outline.claim("iss"))
    }

    fn unknown_key(&self) -> String {
        let status = self.provider.keys.status();
        let mut text = format!(
            "`kid` is {}, `alg` is {}; keys that are held: {}",
            self.outline.header("kid"),
            self.outline.header("alg"),
            status.keys
        );
        for skipped in status.skipped {
            let name = skipped.kid.map_or_else(|| format!("number {}", skipped.index), |kid| format!("`{kid}`"));
            text.push_str(&format!("; key {name} is not used, since {}", skipped.reason));
        }
        text
    }

    /// A time beside the one that it is asked for.
    fn when(&self, name: &str) -> String {
        let Some(time) = self.outline.time(name) else { return format!("it is {}", self.outline.claim(name)) };
        let apart = span(self.now.abs_diff(time));
        let side = if time <= self.now { "ago" } else { "ahead" };
        format!("it is {}, {apart} {side}", clock(time))
    }
}

/// What a believed token proves.
fn proved(principal: &Principal, expires: u64, now: u64) -> Vec<Told> {
    let tenants: Vec<String> = principal
        .bindings
        .iter()
        .map(|one| match one.roles() {
            [] => format!("`{}` without a role", one.tenant()),
            roles => format!("`{}` as {}", one.tenant(), quoted(roles)),
        })
        .collect();
    let tenants =
        if tenants.is_empty() { "none, so whatever needs one is `NO_TENANT`".to_owned() } else { tenants.join("; ") };
    let sign_in = &principal.sign_in;
    let session = if sign_in.session.is_some() { "its session has a name" } else { "its session has no name" };
    let id = if sign_in.credential.is_some() { "the token has an id" } else { "the token has no id" };
    vec![
        step("lifetime", format!("{} more", span(expires.saturating_sub(now)))),
        step("tenants", tenants),
        step("factors", factors(&principal.factors, now)),
        step("sign-in", format!("{session}; {id}")),
    ]
}

/// Which factors count, and by what.
fn factors(factors: &Factors, now: u64) -> String {
    let two = match (factors.are_two(), factors.resist_phishing()) {
        (true, true) => "two, one that cannot be phished",
        (true, false) => "two, none that cannot be phished",
        (false, _) => "not two",
    };
    let methods: Vec<String> = factors
        .methods
        .iter()
        .map(|one| match (one.as_str(), policy::proves(one)) {
            (_, Some(kind)) => format!("`{one}` is {kind}"),
            ("mfa", None) => "`mfa` is the provider's word for two".to_owned(),
            (_, None) => format!("`{}` counts for nothing", one.escape_debug()),
        })
        .collect();
    let methods = if methods.is_empty() { "no method is named".to_owned() } else { methods.join(", ") };
    let context = match factors.vouched {
        Vouched::Nothing => "no listed context",
        Vouched::TwoFactors => "a context that is listed for two",
        Vouched::PhishingResistant => "a context that is listed as phishing-resistant",
    };
    let age = match factors.at {
        None => "when is not said, so no age is met".to_owned(),
        Some(at) if at > now => format!("{} ahead", span(at.saturating_sub(now))),
        Some(at) => format!("{} ago", span(now.saturating_sub(at))),
    };
    format!("{two}: {methods}; {context}; {age}")
}

fn texts(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

fn quoted(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().map(|one| format!("`{}`", one.escape_debug())).collect();
    quoted.join(", ")
}

/// What would be taken, where that is a list.
fn taken(list: impl Iterator<Item = String>) -> String {
    let list: Vec<String> = list.map(|one| format!("`{one}`")).collect();
    if list.is_empty() { String::new() } else { format!(", and taken are {}", list.join(", ")) }
}

fn clock(seconds: u64) -> String {
    audit::rfc3339(seconds.saturating_mul(1_000))
}

/// A time span in its two largest units.
fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (size, unit) in UNITS {
        let number = left.checked_div(size).unwrap_or_default();
        left = left.saturating_sub(number.saturating_mul(size));
        if number > 0 {
            parts.push(format!("{number} {unit}"));
        }
    }
    parts.truncate(2);
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        for (seconds, told) in
            [(0, "0 s"), (59, "59 s"), (60, "1 min"), (252, "4 min 12 s"), (3_601, "1 h 1 s"), (90_061, "1 d 1 h")]
        {
            assert_eq!(span(seconds), told);
        }
    }
}
