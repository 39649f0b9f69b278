//! Step 3: may this caller do this?
//!
//! Asks the policy, notes what it said, and takes the request from the caller's own limit where the act has one. The
//! decision itself is `policy::decide`; nothing here can turn it around.

use std::borrow::Cow;

use aws_lc_rs::digest;
use http::HeaderMap;
use policy::{Demand, Denial, Facts, Occurs, Passage, Per, RequestFacts, Verdict};

use super::admit::Admitted;
use super::canonical;
use super::form::Fields;
use super::identify::{Caller, Identified};
use super::observe;
use super::step_up;
use super::trail::Trail;
use crate::limits::Quota;
use crate::login::Ask;
use crate::rejection::Rejection;
use crate::runtime::{Runtime, Voucher};
use crate::shared::Shared;
use crate::telemetry::controls::Control;
use crate::upstream::watch::MOST_FIELDS;

/// A request that may pass.
#[derive(Debug)]
pub(super) struct Permitted<'r> {
    pub(super) admitted: Admitted<'r>,
    pub(super) caller: Option<Caller<'r>>,
    pub(super) passage: Passage,
}

/// Decides.
///
/// # Errors
/// Every denial of the policy, and `LIMITED` by the act's own limit.
pub(super) fn passage<'r>(
    shared: &Shared,
    runtime: &Runtime,
    identified: Identified<'r>,
    trail: &mut Trail,
) -> Result<Permitted<'r>, Rejection> {
    let Identified { admitted, caller } = identified;
    let decision = {
        let facts = Facts {
            method: admitted.method.as_str(),
            request: &Request {
                headers: &admitted.parts.headers,
                query: admitted.query.as_deref(),
                form: &admitted.form,
            },
            principal: caller.as_ref().map(|caller| caller.principal.as_ref()),
            peer: trail.peer,
            now: trail.started.unix_seconds(),
        };
        policy::decide(&admitted.found, &facts)
    };
    trail.decided(&decision.basis, |patient| runtime.pseudonym(decision.basis.tenant.as_ref(), patient));
    let passage = match decision.verdict {
        Verdict::Granted(passage) => passage,
        Verdict::Observed(passage, denial) => {
            trail.observed = Some(denial);
            passage
        }
        Verdict::Denied(denial) => {
            trail.ask = asks(&denial, caller.as_ref(), trail);
            return Err(refused(denial, caller.as_ref()));
        }
    };
    if let Demand::Act(act) = admitted.found.demand()
        && let Some(limit) = act.limit()
    {
        // ORDER: only what may pass is counted, so that nobody uses up an allowance by being denied.
        let who = who(limit.per, act.name(), caller.as_ref(), trail);
        let quota = Quota::of(limit.rate, limit.burst);
        if let Err(full) = shared.limits.take_act(who, quota, trail.started.monotone) {
            observe::ends(shared, runtime, trail, Control::Limits, Rejection::Limited(full))?;
        }
    }
    Ok(Permitted { admitted, caller, passage })
}

/// How long someone who came back from the provider without the factors is not sent there again, in seconds.
const NOT_AGAIN: u64 = 120;

/// What to ask the provider for, where the gate signed the caller in and the factors fall short; nothing of someone who has
/// just come back from being asked.
fn asks(denial: &Denial, caller: Option<&Caller<'_>>, trail: &Trail) -> Option<Ask> {
    let (Denial::StepUp(short), Voucher::Login(provider, _)) = (denial, caller?.voucher) else { return None };
    let now = trail.started.unix_seconds();
    if trail.stepped.is_some_and(|at| now.saturating_sub(at) < NOT_AGAIN) {
        return None;
    }
    let contexts = step_up::field(short.needed, &provider.authn);
    Some(Ask { contexts: Some(contexts), max_age: short.needed.within_s(), again: false })
}

/// A denial as the client gets it: a demand of factors with what to ask the caller's provider for.
pub(super) fn refused(denial: Denial, caller: Option<&Caller<'_>>) -> Rejection {
    if let (Denial::StepUp(short), Some(caller)) = (&denial, caller) {
        let challenge = step_up::challenge(short.needed, caller.voucher.provider());
        return Rejection::StepUp(denial, challenge);
    }
    Rejection::Denied(denial)
}

/// 128 bits of a digest over the act and the one who asks; a request without an identity counts for its address.
pub(super) fn who(per: Per, act: &str, caller: Option<&Caller<'_>>, trail: &Trail) -> u128 {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(act.as_bytes());
    match (per, caller) {
        (Per::Subject, Some(caller)) => {
            for part in [&*caller.principal.issuer, &*caller.principal.subject] {
                context.update(&[0]);
                context.update(part.as_bytes());
            }
        }
        (Per::Subject, None) | (Per::Address, _) => {
            context.update(&[1]);
            context.update(trail.peer.to_canonical().to_string().as_bytes());
        }
    }
    context.finish().as_ref().iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}

/// What the policy may look up in a request.
pub(super) struct Request<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) query: Option<&'a str>,
    pub(super) form: &'a Fields,
}

impl RequestFacts for Request<'_> {
    fn header(&self, name: &str) -> Occurs<'_> {
        // Any spelling that an application could read as this header counts as an occurrence of it.
        let mut values = self.headers.iter().filter(|(key, _)| canonical::fold_alike(key.as_str(), name));
        match (values.next(), values.next()) {
            (None, _) => Occurs::Absent,
            (Some((_, value)), None) => {
                value.to_str().map_or(Occurs::Repeated, |text| Occurs::Once(Cow::Borrowed(text)))
            }
            (Some(_), Some(_)) => Occurs::Repeated,
        }
    }

    fn query(&self, name: &str) -> Occurs<'_> {
        let mut found = Occurs::Absent;
        for pair in canonical::loose_pairs(self.query.unwrap_or_default()) {
            // A name or value that cannot be decoded could be read as anything.
            let Some(key) = canonical::form_decoded(pair.name) else { return Occurs::Repeated };
            if !canonical::is_spelling_of(&key, name) {
                continue;
            }
            found = match (found, canonical::form_decoded(pair.value)) {
                // Another spelling is this parameter to some readers and none to others: `[clinic]`, ` clinic`, `Clinic`.
                (Occurs::Absent, Some(value)) if key == name && !pair.unclear => Occurs::Once(Cow::Owned(value)),
                _ => return Occurs::Repeated,
            };
        }
        let many = || self.query.is_some_and(|query| query.split(['&', ';']).count() > MOST_FIELDS);
        // PHP, Express and Node leave out those behind 1,000, and run all the same.
        if found != Occurs::Absent && many() { Occurs::Repeated } else { found }
    }

    fn form(&self, name: &str) -> Occurs<'_> {
        self.form.occurs(name)
    }
}
