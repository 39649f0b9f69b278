//! `session`: how long sessions last, what is told of them and what ends them. As written, and compiled.
//!
//! Decides which demands make sense. It opens nothing: the file of revocations was read before, and the state directory is
//! opened when the gate starts.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use policy::units::Period;
use policy::{Diagnostic, Policy, SessionTerms, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::Faulty;
use super::raw::RawConfig;
use super::revoked;
use crate::authn;
use crate::pipeline::{is_reserved, speaks_for_a_gate};
use crate::runtime::{AnswerHeaders, IdentityHeaders, Paths, Provider, SessionRules};
use crate::sessions::SessionFiles;
use crate::sessions::life::FirstSeen;

/// The most paths under `background`.
const MOST_PATHS: usize = 256;

/// Sessions: how long they last, what is told of them, and what ends them.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawSession {
    /// After how long without activity a session ends, on every route that asks who is there: `1s` to `24h`. Roles and
    /// routes can demand less. Left out: only where they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Spanned<Period>>,
    /// How long after the sign-in a session ends, whatever is done in it: `1s` to `365d`. Roles and routes can demand less.
    /// Left out: only where they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absolute: Option<Spanned<Period>>,
    /// Paths whose requests are no activity, as pages send them by themselves: `/api/heartbeat`, or all below one,
    /// `/api/poll/**`. Streams of events and WebSockets never are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub background: Vec<Spanned<String>>,
    /// From when the idle time of a session counts that this gate has not seen yet: `sign_in`, or `now` for people who sign
    /// in elsewhere long before they come here.
    pub first_seen: RawFirstSeen,
    /// The name of a header that tells pages how many seconds are left, on answers to known callers. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Spanned<String>>,
    /// The path of this host that a browser is sent to after logging out. Left out: `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_logout: Option<Spanned<String>>,
    /// What a browser is told to forget when its session has ended (`Clear-Site-Data`); `[]` for nothing.
    #[serde(default = "everything")]
    pub clear: Vec<RawCleared>,
    /// Providers that end sessions by calling `/.anteroom/backchannel-logout` (OpenID Connect Back-Channel Logout), by their
    /// names under `providers`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub backchannel_logout: BTreeMap<Spanned<String>, RawBackchannel>,
    /// A file of revocations, which is looked at four times a second. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Spanned<String>>,
    /// A folder for what has to survive a restart, for this process alone; it is made where it is missing. Left out: nothing
    /// survives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Spanned<String>>,
}

/// How a session is taken that was never seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawFirstSeen {
    /// Its idle time counts from its sign-in, where the credential tells it.
    #[default]
    SignIn,
    /// Its idle time counts from its first request.
    Now,
}

/// What a browser forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawCleared {
    /// What it keeps of pages.
    Cache,
    /// Cookies, those of all hosts of the registered domain.
    Cookies,
    /// What pages have stored.
    Storage,
}

fn everything() -> Vec<RawCleared> {
    vec![RawCleared::Cache, RawCleared::Cookies, RawCleared::Storage]
}

/// A provider that ends sessions.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawBackchannel {
    /// The `aud` of its logout tokens, mostly the client's id. Left out: that of the provider.
    pub audience: Vec<Spanned<String>>,
}

/// Whether sessions that the application alone vouches for survive a restart, behind which only their own lives tell those that began
/// after a logout from those that it has ended.
fn outlive_their_cookies(raw: &RawSession, config: &RawConfig) -> bool {
    let vouches = config.app.session.as_ref().is_some_and(|session| session.whoami.is_some());
    vouches && raw.state.is_some()
}

/// The rules, and the files that belong to them.
pub(super) fn compile(
    config: &RawConfig,
    policy: Option<&Policy>,
    providers: &[Provider],
    names: (Option<&IdentityHeaders>, Option<&AnswerHeaders>),
    faults: &mut Faulty<'_>,
) -> (SessionRules, SessionFiles) {
    let reads = policy.into_iter().flat_map(Policy::routes).flat_map(policy::Route::headers);
    let mut reads: Vec<HeaderName> = reads.filter_map(|name| HeaderName::try_from(name).ok()).collect();
    reads.sort_by(|one, two| one.as_str().cmp(two.as_str()));
    reads.dedup();
    let in_policy = policy.is_some_and(Policy::demands_of_sessions);
    let Some(raw) = &config.session else {
        // Whoever is signed in here can sign out here.
        let offered = providers.iter().any(|provider| provider.login.is_some());
        let clear = offered.then(|| cleared(&everything())).flatten();
        let rules = SessionRules { offered, kept: in_policy, clear, reads, ..SessionRules::default() };
        return (rules, SessionFiles::default());
    };
    let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
    let terms = SessionTerms {
        idle_s: raw.idle.as_ref().and_then(|written| seconds(written, hours(24), faults)),
        absolute_s: raw.absolute.as_ref().and_then(|written| seconds(written, hours(365 * 24), faults)),
    };
    let rules = SessionRules {
        offered: true,
        terms,
        kept: in_policy || terms.demand() || outlive_their_cookies(raw, config),
        background: background(&raw.background, faults),
        first_seen: match raw.first_seen {
            RawFirstSeen::SignIn => FirstSeen::SignIn,
            RawFirstSeen::Now => FirstSeen::Now,
        },
        header: raw.header.as_ref().and_then(|written| header(written, names, faults)),
        after_logout: after_logout(raw.after_logout.as_ref(), faults),
        clear: cleared(&raw.clear),
        told_by: told_by(raw, config, providers, faults),
        reads,
    };
    let revoked = raw.revoked.as_ref().and_then(|written| {
        let path = faults.base.join(&written.value);
        match revoked::read(faults.file(written)?) {
            Ok(list) => Some((path, list)),
            Err(reason) => {
                let hint = "see the page on sessions of the manual for its form";
                faults.at(
                    written.span,
                    "revoked",
                    format!("`{}` is no list of revocations: {reason}", written.value),
                    hint,
                );
                None
            }
        }
    });
    let state = raw.state.as_ref().map(|folder| faults.base.join(&folder.value));
    (rules, SessionFiles { state, revoked })
}

/// Whole seconds.
fn seconds(written: &Spanned<Period>, most: Duration, faults: &mut Faulty<'_>) -> Option<u64> {
    let length = written.value.0;
    if length.as_secs() > 0 && length.subsec_nanos() == 0 && length <= most {
        return Some(length.as_secs());
    }
    let message = format!("`{}` is no length for a session", written.value);
    let help = format!("whole seconds, at least `1s` and at most `{}`", Period(most));
    faults.at(written.span, "range", message, &help);
    None
}

fn background(written: &[Spanned<String>], faults: &mut Faulty<'_>) -> Vec<Paths> {
    if let Some(one) = written.get(MOST_PATHS) {
        let hint = "use `/**`, or `session: { background: true }` on a route";
        faults.at(one.span, "session", format!("more than {MOST_PATHS} paths"), hint);
    }
    let mut paths = Vec::new();
    for one in written {
        let (path, below) = match one.value.strip_suffix("**") {
            Some(start) => (start, true),
            None => (one.value.as_str(), false),
        };
        let plain = path.starts_with('/') && !path.contains(['*', '?', '#', '{', ' ']) && !path.contains("//");
        if !plain || (below && (!path.ends_with('/') || path == "/")) {
            let hint = "write a path such as `/api/heartbeat`, or all below one: `/api/poll/**`";
            faults.at(one.span, "session", format!("`{}` is no path", one.value), hint);
            continue;
        }
        paths.push(if below { Paths::Below(path.to_owned()) } else { Paths::One(path.to_owned()) });
    }
    paths
}

fn header(
    written: &Spanned<String>,
    (identity, answers): (Option<&IdentityHeaders>, Option<&AnswerHeaders>),
    faults: &mut Faulty<'_>,
) -> Option<HeaderName> {
    let free = |name: &HeaderName| {
        name.as_str().starts_with("x-")
            && !speaks_for_a_gate(name.as_str())
            && identity.is_none_or(|identity| !identity.is_reserved(name.as_str()))
            && answers.is_none_or(|answers| answers.replaced.iter().all(|(taken, _)| taken != name))
    };
    let name = HeaderName::try_from(written.value.to_ascii_lowercase()).ok().filter(free);
    if name.is_none() {
        let hint = "a name of its own that begins with `X-`, such as `X-Session-Remaining`";
        faults.at(written.span, "session", format!("`{}` cannot tell what is left", written.value), hint);
    }
    name
}

/// A path of this host: neither another host (`//`) nor what a browser reads as one (`/\`).
fn after_logout(written: Option<&Spanned<String>>, faults: &mut Faulty<'_>) -> Option<HeaderValue> {
    let Some(written) = written else { return Some(HeaderValue::from_static("/")) };
    let path = &written.value;
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if path.starts_with('/') && !path.starts_with("//") && plain && path.len() <= 1024 && !is_reserved(path) {
        return HeaderValue::from_str(path).ok();
    }
    let hint = "a path of the application, such as `/goodbye`";
    faults.at(written.span, "session", format!("`{path}` is no path of the application"), hint);
    None
}

fn cleared(kinds: &[RawCleared]) -> Option<HeaderValue> {
    let word = |kind: &RawCleared| match kind {
        RawCleared::Cache => "\"cache\"",
        RawCleared::Cookies => "\"cookies\"",
        RawCleared::Storage => "\"storage\"",
    };
    let words: Vec<&str> = kinds.iter().map(word).collect();
    HeaderValue::from_str(&words.join(", ")).ok().filter(|value| !value.is_empty())
}

fn told_by(
    raw: &RawSession,
    config: &RawConfig,
    providers: &[Provider],
    faults: &mut Faulty<'_>,
) -> Vec<authn::Provider> {
    let mut told = Vec::new();
    for (name, more) in &raw.backchannel_logout {
        let Some(provider) = providers.iter().find(|one| one.authn.name() == name.value) else {
            // One that is at fault itself has said so.
            if !config.providers.contains_key(&name.value) {
                let hint = "name one that stands under `providers`";
                faults.at(name.span, "session", format!("there is no provider `{}`", name.value), hint);
            }
            continue;
        };
        names(name, &provider.authn, faults);
        let audience = more.audience.iter().map(|one| one.value.clone()).collect();
        match provider.authn.for_logout(audience) {
            Ok(judge) => told.push(judge),
            Err(fault) => faults.at(name.span, "session", fault.to_string(), "leave `audience` out for the provider's"),
        }
    }
    told
}

/// Whether logout tokens name sessions and subjects as the provider's other tokens do: by `sid` and `sub`.
fn names(name: &Spanned<String>, provider: &authn::Provider, faults: &mut Faulty<'_>) {
    if provider.names_sid() {
        return;
    }
    let (what, hint) = ("tokens of it name sessions by another claim than `sid`", "`claims: { session: sid }`");
    if provider.names_sub() {
        let message = format!("{what}: what it ends is every session of the subject");
        let help = format!("where its tokens have one: {hint}");
        faults.found.push(Diagnostic::warning("session", name.span, message).help(help));
    } else {
        let message = format!("{what}, and subjects by another than `sub`: it could end nothing");
        faults.at(name.span, "session", message, &format!("where its tokens have one: {hint}; or leave it out here"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_covers_itself_or_all_below_it() {
        let below = Paths::Below("/api/poll/".to_owned());
        assert!(below.hold("/api/poll/") && below.hold("/api/poll/a/b") && !below.hold("/api/poll"));
        assert!(Paths::One("/a".to_owned()).hold("/a") && !Paths::One("/a".to_owned()).hold("/a/"));
    }

    #[test]
    fn what_is_forgotten_is_written_as_browsers_read_it() {
        assert_eq!(cleared(&everything()).unwrap(), "\"cache\", \"cookies\", \"storage\"");
        assert_eq!(cleared(&[]), None);
    }
}
