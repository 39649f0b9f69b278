//! Step 2b: what is the caller in which tenant?
//!
//! Decides whether the token or the directory says so. It never finds out who the caller is, and a directory that cannot be
//! asked makes nobody's token count: the request is refused, or on a public page its caller is of no tenant.

use std::sync::Arc;
use std::time::Duration;

use policy::{Binding, Bindings, Demand, Principal};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::identify::{Caller, Identified};
use super::trail::Trail;
use crate::authn::KeyId;
use crate::directory::{Directory, Down, Holds, Said};
use crate::outbound::Fault;
use crate::rejection::Rejection;
use crate::runtime::Runtime;
use crate::shared::Shared;

/// How long a public page waits for a directory: it is for everyone, and no reason to keep anybody waiting.
const PUBLIC: Duration = Duration::from_secs(1);

/// What has to hold on for what a caller opens, beside the voucher.
#[derive(Debug, Default)]
pub(super) struct Grounds {
    /// The key that signed the token.
    pub(super) key: Option<KeyId>,
    /// What a directory has said; `None` where none was asked.
    pub(super) bound: Option<Bound>,
}

/// A caller, of whom a directory says what that is in which tenant.
#[derive(Debug)]
pub(super) struct Bound {
    /// Who was proved.
    pub(super) proved: Arc<Principal>,
    /// How long the directory's word counts.
    pub(super) holds: Option<Holds>,
    /// Whether it has said anything: not on a public page while it is down.
    said: bool,
}

impl Grounds {
    /// Whether the tenants are known.
    pub(super) fn are_placed(&self) -> bool {
        self.bound.as_ref().is_none_or(|bound| bound.said)
    }
}

/// Gives the caller what the directory says, where it speaks for the caller's provider.
///
/// # Errors
/// `PROVIDER_DOWN` where it has to be asked and cannot be.
pub(super) async fn caller<'r>(
    shared: &Shared,
    runtime: &Runtime,
    identified: Identified<'r>,
    trail: &mut Trail,
) -> Result<Identified<'r>, Rejection> {
    let Identified { admitted, caller } = identified;
    let Some(caller) = caller else { return Ok(Identified { admitted, caller: None }) };
    let Some(directory) = speaking(runtime, &caller.principal) else {
        return Ok(Identified { admitted, caller: Some(caller) });
    };
    let background = shared.background.get().cloned().unwrap_or_else(Handle::current);
    let asking = told(runtime, directory, &caller.principal, trail.started.monotone, &background);
    let asked = match admitted.found.demand() {
        Demand::Public => timeout(PUBLIC, asking).await.unwrap_or(Err(Down::Call(Fault::Timeout))),
        Demand::Authenticated | Demand::Act(_) => asking.await,
    };
    let now = trail.started.monotone;
    let (principal, holds, down) = match asked {
        Ok((principal, holds)) => (principal, holds, None),
        // What is open is looked at again at once.
        Err(down) => (of_no_tenant(&caller.principal), Some(Holds { renew: now, until: now }), Some(down)),
    };
    // The roles in the token count for nothing, so they are not what the record says of the caller.
    if let Some(actor) = &mut trail.actor {
        actor.holds(&principal.bindings.only().map(Binding::roles_shared).unwrap_or_default());
    }
    let said = down.is_none();
    match (down, admitted.found.demand()) {
        (Some(down), Demand::Authenticated | Demand::Act(_)) => return Err(Rejection::DirectoryDown(down)),
        (Some(_), Demand::Public) | (None, _) => {}
    }
    let bound = Some(Bound { proved: caller.principal, holds, said });
    let caller = Caller { principal: Arc::new(principal), grounds: Grounds { bound, ..caller.grounds }, ..caller };
    Ok(Identified { admitted, caller: Some(caller) })
}

/// The directory, where it speaks for this caller's provider.
pub(super) fn speaking<'r>(runtime: &'r Runtime, principal: &Principal) -> Option<&'r Directory> {
    runtime.directory.as_deref().filter(|one| one.speaks_for(&principal.provider))
}

/// The caller by what the directory says, and how long that counts.
pub(super) async fn told(
    runtime: &Runtime,
    directory: &Directory,
    principal: &Principal,
    now: Duration,
    background: &Handle,
) -> Result<(Principal, Option<Holds>), Down> {
    let told = directory.ask(principal, now, background).await?;
    Ok((within(runtime, directory, principal, told.said), told.holds))
}

/// The caller by what the directory said, as far as the provider may speak for the tenants at all.
pub(super) fn within(runtime: &Runtime, directory: &Directory, principal: &Principal, said: Said) -> Principal {
    let mut principal = directory.bound(principal, said);
    let provider = runtime.providers.iter().find(|one| one.authn.name() == principal.provider);
    principal.bindings = provider.map_or_else(Bindings::none, |one| one.authn.within(&principal.bindings));
    principal
}

/// The caller where the directory does not say anything.
pub(super) fn of_no_tenant(principal: &Principal) -> Principal {
    Principal { bindings: Bindings::none(), ..principal.clone() }
}
