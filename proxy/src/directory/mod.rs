//! Who is what in which tenant, as whoever runs the gate keeps it: a directory of subjects, in a file or behind an address.
//!
//! Decides the bindings of every caller of a provider that it speaks for; what a token says of tenants and roles counts for
//! nothing then. It never says who somebody is: it is asked about a subject that was proved. A subject that it does not
//! know has no binding, unless the configuration says that the token's hold; and one about whom it cannot be asked is
//! refused, never taken for unknown.

mod answer;
mod kept;
mod listed;
mod service;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use policy::{Bindings, Principal};
use tokio::runtime::Handle;

use crate::outbound::Fault;
pub use answer::AnswerFault;
pub use kept::Holds;
pub use listed::Listed;
pub use service::{Service, ServiceStatus, Settings};

/// The most tenants of one subject is [`Bindings::MOST`]; these are the most roles in one of them.
pub const MOST_ROLES: usize = 64;

/// A directory, and for whom it speaks.
#[derive(Debug)]
pub struct Directory {
    providers: Vec<String>,
    missing: WhenMissing,
    source: Source,
}

/// Where subjects are looked up.
#[derive(Debug)]
pub enum Source {
    /// In a file, which was read with the configuration.
    File(Listed),
    /// At a service, which is asked about one subject at a time.
    Service(Arc<Service>),
}

/// What becomes of a subject that the directory does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenMissing {
    /// It is of no tenant.
    Deny,
    /// It is what its token says.
    Token,
}

/// What the directory says of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is this, and nothing else.
    Listed(Bindings),
    /// It is not known.
    Unlisted,
}

/// What the directory says of one subject, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What it says.
    pub said: Said,
    /// How long that counts; `None`: until there is another directory.
    pub holds: Option<Holds>,
}

/// Why the directory says nothing. `Display` is fit for the log and the status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// The call failed.
    Call(Fault),
    /// What came is no answer.
    Answer(AnswerFault),
    /// Too many subjects, or too many requests, wait for it at once.
    Busy,
    /// The gate leaves.
    Leaving,
}

impl fmt::Display for Down {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Down::Call(fault) => fault.fmt(out),
            Down::Answer(fault) => fault.fmt(out),
            Down::Busy => out.write_str("too many wait for it at once"),
            Down::Leaving => out.write_str("the gate leaves"),
        }
    }
}

impl std::error::Error for Down {}

impl Directory {
    /// A directory that speaks for the callers of `providers`.
    pub fn new(providers: Vec<String>, missing: WhenMissing, source: Source) -> Self {
        Self { providers, missing, source }
    }

    /// Whether it speaks for the callers of this provider.
    pub fn speaks_for(&self, provider: &str) -> bool {
        self.providers.iter().any(|one| one == provider)
    }

    /// What it says of a caller, at `now` (monotone). A service is asked on `background`, and for no longer than 10 seconds;
    /// whoever waits for it holds up nobody else.
    ///
    /// # Errors
    /// Where a service has to be asked and cannot be.
    pub async fn ask(&self, principal: &Principal, now: Duration, background: &Handle) -> Result<Told, Down> {
        match &self.source {
            Source::File(listed) => Ok(listed.told(principal)),
            Source::Service(service) => service.ask(principal, now, background).await,
        }
    }

    /// What counts of a caller at `now` (monotone), for whoever cannot wait. Where a service has said nothing that does, or it is
    /// time to hear it again, it is asked meanwhile on `background`.
    pub fn recall(&self, principal: &Principal, now: Duration, background: &Handle) -> Option<Told> {
        match &self.source {
            Source::File(listed) => Some(listed.told(principal)),
            Source::Service(service) => service.recall(principal, now, background),
        }
    }

    /// How old an answer may be that counts.
    pub fn max_age(&self) -> Duration {
        match &self.source {
            Source::File(_) => Duration::MAX,
            Source::Service(service) => service.max_age(),
        }
    }

    /// The caller by what the directory says.
    pub fn bound(&self, principal: &Principal, said: Said) -> Principal {
        let bindings = match (said, self.missing) {
            (Said::Listed(bindings), _) => bindings,
            (Said::Unlisted, WhenMissing::Deny) => Bindings::none(),
            (Said::Unlisted, WhenMissing::Token) => principal.bindings.clone(),
        };
        Principal { bindings, ..principal.clone() }
    }

    /// Where it looks subjects up.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Keeps what `before` knows, where both ask the same service in the same way.
    pub(crate) fn adopt(&mut self, before: Option<&Directory>) {
        if let (Source::Service(ours), Some(Source::Service(theirs))) = (&self.source, before.map(Directory::source))
            && ours.is_as(theirs)
        {
            self.source = Source::Service(Arc::clone(theirs));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use policy::{Binding, Factors, SignIn, TenantId};

    use super::*;

    pub(super) fn caller(subject: &str) -> Principal {
        Principal {
            issuer: "https://id.example/".into(),
            provider: "clinic".to_owned(),
            subject: subject.into(),
            client: None,
            bindings: Bindings::one(TenantId::parse("z"), vec!["admin".to_owned()]),
            claims: BTreeMap::new(),
            factors: Factors::default(),
            sign_in: SignIn::default(),
        }
    }

    fn directory(missing: WhenMissing) -> Directory {
        let mut listed = Listed::default();
        let tenant = TenantId::parse("a").unwrap();
        let bindings = Bindings::of(vec![Binding::new(tenant, vec!["member".to_owned()])]).unwrap();
        listed.add("clinic", "ada.example", bindings);
        listed.add("clinic", "gone.example", Bindings::none());
        Directory::new(vec!["clinic".to_owned()], missing, Source::File(listed))
    }

    #[tokio::test]
    async fn what_is_listed_counts_and_the_token_does_not() {
        for missing in [WhenMissing::Deny, WhenMissing::Token] {
            let directory = directory(missing);
            let bound = async |subject: &str| {
                let who = caller(subject);
                let told = directory.ask(&who, Duration::ZERO, &Handle::current()).await.unwrap();
                let bindings = directory.bound(&who, told.said).bindings;
                bindings.iter().map(|one| format!("{} {}", one.tenant(), one.roles().join(","))).collect::<Vec<_>>()
            };
            assert_eq!(bound("ada.example").await, ["a member"]);
            assert!(bound("gone.example").await.is_empty(), "listed with nothing is nothing");
            for stranger in ["ada", "Ada.example", "ada.example ", ""] {
                let held = bound(stranger).await;
                assert_eq!(
                    held,
                    if missing == WhenMissing::Token { vec!["z admin"] } else { Vec::new() },
                    "{stranger}"
                );
            }
        }
    }

    #[test]
    fn it_speaks_for_its_providers_alone() {
        let directory = directory(WhenMissing::Deny);
        assert!(directory.speaks_for("clinic"));
        assert!(!directory.speaks_for("Clinic") && !directory.speaks_for("devices") && !directory.speaks_for(""));
        let mut other = caller("ada.example");
        other.provider = "other".to_owned();
        let Source::File(listed) = directory.source() else { panic!() };
        assert!(listed.find("other", "ada.example").is_none(), "a subject is one provider's");
    }
}
