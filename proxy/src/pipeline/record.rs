//! Steps 4 and 6: nothing passes that cannot be recorded, and an answer to a strict act leaves after its record.
//!
//! Decides only whether the record can be kept. What is recorded is the trail.

use http::Response;

use super::decide::Permitted;
use super::trail::{Known, Trail};
use crate::clock::Now;
use crate::denials::{Noted, Refused};
use crate::rejection::Rejection;
use crate::shared::Shared;
use crate::upstream::body::AnswerBody;

/// A permitted request that is sure to be recorded: its place stands in the trail.
#[derive(Debug)]
pub(super) struct Recorded<'r>(pub(super) Permitted<'r>);

/// Makes room in the record before anything reaches the application.
///
/// # Errors
/// `NOT_RECORDED` where there is none.
pub(super) fn before<'r>(
    shared: &Shared,
    permitted: Permitted<'r>,
    trail: &mut Trail,
) -> Result<Recorded<'r>, Rejection> {
    reserve(shared, trail)?;
    Ok(Recorded(permitted))
}

/// Makes room in the record for one request.
///
/// # Errors
/// `NOT_RECORDED` where there is none.
pub(super) fn reserve(shared: &Shared, trail: &mut Trail) -> Result<(), Rejection> {
    if !trail.unrecorded {
        let mut slot = shared.record.reserve().map_err(|_| Rejection::NotRecorded)?;
        name_session(shared, trail);
        // A client that hangs up ends this request at any point from here on; it is then recorded as aborted.
        slot.arm(trail.draft(trail.started.unix_ms, None, None));
        trail.slot = Some(slot);
    }
    Ok(())
}

/// Names the caller's session, once for all events of a request.
pub(super) fn name_session(shared: &Shared, trail: &mut Trail) {
    if let Some(actor) = &mut trail.actor {
        actor.name_session(&shared.sessions);
    }
}

/// Records the answer; on a strict act its head waits until the record is on disk.
///
/// # Errors
/// `NOT_RECORDED` where a strict act's record could not be written: the application's answer is then withheld.
pub(super) async fn after(
    answer: Response<AnswerBody>,
    trail: &mut Trail,
    now: Now,
) -> Result<Response<AnswerBody>, Rejection> {
    if let Some(slot) = trail.slot.take() {
        let written = slot.write(trail.draft(now.unix_ms, Some(answer.status().as_u16()), None));
        if trail.strict {
            written.durable().await.map_err(|_| Rejection::NotRecorded)?;
        }
    }
    Ok(answer)
}

/// Records a request that ended early; on a strict act its head waits too. Where it is only counted, the answer and the log
/// carry the id of the event that counts it. False where it could not be recorded.
pub(super) async fn refusal(shared: &Shared, trail: &mut Trail, rejection: &Rejection, now: Now) -> bool {
    name_session(shared, trail);
    let draft = |trail: &Trail| trail.draft(now.unix_ms, Some(rejection.status().as_u16()), Some(rejection.code()));
    let slot = match trail.slot.take() {
        // It was permitted before: that is recorded for itself, whatever came of it.
        Some(slot) => slot,
        None => {
            let (actor, policy) = (trail.actor.as_ref().map(Known::name), &trail.policy);
            let refused = Refused { code: rejection.code(), actor, peer: trail.peer, policy };
            match shared.denials.note(&shared.record, &shared.ids, now, &refused, || draft(trail)) {
                Ok(Noted::Single(slot)) => slot,
                Ok(Noted::Counted(id)) => {
                    trail.id = id;
                    return true;
                }
                Err(_) => return false,
            }
        }
    };
    let written = slot.write(draft(trail));
    if trail.strict { written.durable().await.is_ok() } else { true }
}
