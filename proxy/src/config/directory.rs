//! `directory`: who is what in which tenant, kept by whoever runs the gate. As written, and compiled.
//!
//! Decides what makes a directory unsafe or empty of sense, and refuses it: two sources, a service that is not asked over
//! `https`, a provider that nobody configured. It opens nothing.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use policy::units::Period;
use policy::{FileId, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::Faulty;
use super::people::{self, RawPeople};
use super::raw::{RawConfig, RawFile, seconds};
use super::reach::reach;
use crate::directory::{Directory, Service, Settings, Source, WhenMissing};
use crate::made_of::MadeOf;
use crate::outbound::{Endpoint, EndpointFault};

/// How long an answer may count.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest value of `Authorization`, in bytes.
const AUTHORIZATION: usize = 4 * 1024;

/// Who is what in which tenant: instead of what tokens say. Exactly one of `file` and `url`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawDirectory {
    /// A file that lists the subjects, at most 1 MiB; `anteroom schema directory` has its form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Spanned<String>>,
    /// An `https` address that is asked about one subject at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Spanned<String>>,
    /// With `url`: a PEM file with the authorities that may sign its certificate. Left out: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Spanned<String>>,
    /// With `url`: networks of addresses that are not public and may be called for it. Left out: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub private: Vec<Spanned<String>>,
    /// With `url`: a file that holds the value of `Authorization`, such as `Bearer …`. Left out: none is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Spanned<RawFile>>,
    /// With `url`: how old an answer may be that counts, `10s` to `24h`; from half of that on it is renewed. Left out: `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Spanned<Period>>,
    /// The providers whose callers it speaks for. Left out: all of `providers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub providers: Option<Spanned<Vec<Spanned<String>>>>,
    /// What becomes of a subject that it does not know.
    #[serde(default)]
    pub when_missing: RawWhenMissing,
}

/// What becomes of a subject that the directory does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawWhenMissing {
    /// It is of no tenant, whatever its token says.
    #[default]
    Deny,
    /// It is what its token says.
    Token,
}

impl RawDirectory {
    /// Whether it alone says which tenants the callers of this provider are of.
    pub(super) fn alone_speaks_for(&self, provider: &str) -> bool {
        let speaks = self.providers.as_ref().is_none_or(|list| list.value.iter().any(|one| one.value == provider));
        speaks && matches!(self.when_missing, RawWhenMissing::Deny)
    }
}

/// The directory; `None` where there is none, or where it has faults.
pub(super) fn compile(
    config: &RawConfig,
    people: Option<&(FileId, RawPeople)>,
    faults: &mut Faulty<'_>,
) -> Option<Arc<Directory>> {
    let written = config.directory.as_ref()?;
    let raw = &written.value;
    let before = faults.found.len();
    let providers = providers(raw, config, faults);
    if providers.is_empty() {
        faults.at(written.span, "directory", "the directory speaks for nobody", "it is about callers of `providers`");
    }
    let source = match (&raw.file, &raw.url) {
        (Some(file), None) => {
            alone(raw, faults);
            match people {
                Some((_, people)) => Some(Source::File(people::compile(people, &providers, faults))),
                None => {
                    faults.at(file.span, "file", "the directory was not read", "name it once more");
                    None
                }
            }
        }
        (None, Some(url)) => {
            service(raw, url, faults).map(|settings| Source::Service(Arc::new(Service::new(settings))))
        }
        (Some(_), Some(url)) => {
            faults.at(url.span, "directory", "there is a `file` too", "keep one");
            None
        }
        (None, None) => {
            faults.at(written.span, "directory", "there is neither `file` nor `url`", "add `file: people.yaml`");
            None
        }
    };
    let missing = match raw.when_missing {
        RawWhenMissing::Deny => WhenMissing::Deny,
        RawWhenMissing::Token => WhenMissing::Token,
    };
    let sound = faults.found.len() == before;
    source.filter(|_| sound).map(|source| Arc::new(Directory::new(providers, missing, source)))
}

fn providers(raw: &RawDirectory, config: &RawConfig, faults: &mut Faulty<'_>) -> Vec<String> {
    let Some(listed) = &raw.providers else { return config.providers.keys().cloned().collect() };
    for name in listed.value.iter().filter(|name| !config.providers.contains_key(&name.value)) {
        let message = format!("there is no provider `{}`", name.value);
        faults.at(name.span, "directory", message, "name those of `providers`");
    }
    listed.value.iter().map(|name| name.value.clone()).collect()
}

/// What only a service has.
fn alone(raw: &RawDirectory, faults: &mut Faulty<'_>) {
    let spans = [
        ("ca", raw.ca.as_ref().map(|ca| ca.span)),
        ("private", raw.private.first().map(|network| network.span)),
        ("authorization", raw.authorization.as_ref().map(|file| file.span)),
        ("max_age", raw.max_age.as_ref().map(|age| age.span)),
    ];
    for (key, span) in spans {
        let Some(span) = span else { continue };
        faults.at(span, "directory", format!("`{key}` goes with `url`, and this is a file"), "take it out");
    }
}

fn service(raw: &RawDirectory, url: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<Settings> {
    let reach = reach(&raw.private, faults);
    let ca = match &raw.ca {
        Some(ca) => Some(faults.file(ca)?),
        None => None,
    };
    let authorization = match &raw.authorization {
        Some(file) => Some(authorization(file, faults)?),
        None => None,
    };
    let max_age = raw.max_age.as_ref().map_or(Some(seconds(600).0), |written| age(written, faults))?;
    let endpoint = match Endpoint::new(&url.value, ca, &reach?) {
        Ok(endpoint) => endpoint,
        Err(fault) => {
            let (span, hint) = match (&fault, &raw.ca) {
                (EndpointFault::NotHttps | EndpointFault::Decorated, _) => {
                    (url.span, "write it as `https://hr.clinic.example/bindings`")
                }
                (EndpointFault::Unlisted, _) => (url.span, "add its network: `private: [10.0.0.0/8]`"),
                (EndpointFault::Trust(_), Some(ca)) => (ca.span, "it holds the authorities in PEM"),
                (EndpointFault::Trust(_), None) => (url.span, "name the authorities with `ca: FILE`"),
            };
            faults.at(span, "directory", fault.to_string(), hint);
            return None;
        }
    };
    let mut made_of = MadeOf::begin();
    made_of.add(url.value.as_bytes()).add(ca.unwrap_or_default()).add(&max_age.as_millis().to_be_bytes());
    made_of.add(authorization.as_ref().map_or(&[], |value| value.as_bytes()));
    for network in &raw.private {
        made_of.add(network.value.as_bytes());
    }
    Some(Settings { endpoint, authorization, max_age, digest: made_of.end() })
}

fn authorization(file: &Spanned<RawFile>, faults: &mut Faulty<'_>) -> Option<HeaderValue> {
    let bytes = faults.file(&file.value.file)?;
    let line = bytes.strip_suffix(b"\n").map_or(bytes, |line| line.strip_suffix(b"\r").unwrap_or(line));
    let fits = (1..=AUTHORIZATION).contains(&line.len()) && line.trim_ascii().len() == line.len();
    let value = HeaderValue::from_bytes(line).ok().filter(|_| fits && line.is_ascii());
    let Some(mut value) = value else {
        let message = format!("it is not one line of 1 to {AUTHORIZATION} ASCII characters");
        faults.at(file.value.file.span, "secret", message, "it holds the value alone, such as `Bearer …`");
        return None;
    };
    value.set_sensitive(true);
    Some(value)
}

fn age(written: &Spanned<Period>, faults: &mut Faulty<'_>) -> Option<Duration> {
    let age = written.value.0;
    if (SHORTEST..=LONGEST).contains(&age) {
        return Some(age);
    }
    let (least, most) = (Period(SHORTEST), Period(LONGEST));
    let message = format!("`{}` is not between `{least}` and `{most}`", written.value);
    faults.at(written.span, "range", message, "a role that is taken away counts for that long");
    None
}
