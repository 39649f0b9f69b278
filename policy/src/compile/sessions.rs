//! Sessions: what roles and routes demand of them.

use super::Written;
use crate::de::Spanned;
use crate::diagnostic::Diagnostic;
use crate::session::{SessionCharge, SessionTerms};
use crate::units::Period;
use std::time::Duration;

/// The longest idle time, and the longest life.
const LONGEST_IDLE: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST_LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What the roles demand of the sessions of those who hold them.
pub(super) fn charges(written: &Written<'_>, faults: &mut Vec<Diagnostic>) -> Vec<SessionCharge> {
    let mut charges = Vec::new();
    for (name, role) in &written.roles {
        let Some(said) = &role.session else { continue };
        let terms = terms(said.idle, said.absolute, faults);
        charges.push(SessionCharge { role: name.value.as_str().into(), terms });
    }
    charges
}

/// What a role or a route says, in whole seconds.
pub(super) fn terms(
    idle: Option<Spanned<Period>>,
    absolute: Option<Spanned<Period>>,
    faults: &mut Vec<Diagnostic>,
) -> SessionTerms {
    SessionTerms { idle_s: seconds(idle, LONGEST_IDLE, faults), absolute_s: seconds(absolute, LONGEST_LIFE, faults) }
}

fn seconds(written: Option<Spanned<Period>>, most: Duration, faults: &mut Vec<Diagnostic>) -> Option<u64> {
    let written = written?;
    let length = written.value.0;
    if length.as_secs() == 0 || length.subsec_nanos() != 0 || length > most {
        let message = format!("`{}` is no length for a session", written.value);
        let help = format!("whole seconds, at least `1s` and at most `{}`", Period(most));
        faults.push(Diagnostic::error("range", written.span, message).help(help));
    }
    Some(length.as_secs())
}
