//! What came out of a decision: the verdict, why, and what the record keeps of it.
//!
//! Holds results only. A [`Passage`] is made nowhere but in [`decide`](crate::decide).

use crate::assurance::StepUp;
use crate::decide::Passage;
use crate::expr::Unanswered;
use crate::facts::Place;
use crate::tenant::{Disagreement, Homeless, TenantId};
use std::sync::Arc;

/// The answer to one request, and what it rests on.
#[derive(Debug)]
#[must_use = "a request may go on only with the passage that the verdict holds"]
pub struct Decision {
    /// May it pass?
    pub verdict: Verdict,
    /// For the record.
    pub basis: Basis,
}

/// May this request pass?
#[derive(Debug)]
pub enum Verdict {
    /// It may.
    Granted(Passage),
    /// It would have been denied; the route is only observed, so it passes.
    Observed(Passage, Denial),
    /// It may not.
    Denied(Denial),
}

/// What a decision looked at, for the record. Of the request's own texts it holds the patient alone, which is to be
/// pseudonymised before it is written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Basis {
    /// The tenant that the caller acts for.
    pub tenant: Option<TenantId>,
    /// The roles that the caller holds in it.
    pub roles: Arc<[String]>,
    /// How the request's tenant stands to the caller's.
    pub tenant_fact: TenantFact,
    /// The patient that the route's place names, as the request spells it.
    pub patient: Option<String>,
    /// Whether a scope other than `tenant` holds; `None` when none had to be asked.
    pub own: Option<bool>,
    /// The roles that grant the act here, in the order of the policy.
    pub granted_by: Vec<Arc<str>>,
}

/// How the tenant that a request is about stands to the caller's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TenantFact {
    /// Every declared place that the request fills names the caller's tenant.
    Same,
    /// One names another, or more than one thing.
    Other,
    /// There is no tenant to compare with.
    #[default]
    None,
}

impl TenantFact {
    /// The word in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Other => "other",
            Self::None => "none",
        }
    }
}

/// Why a request may not pass. The client sees [`code`](Self::code), [`status`](Self::status) and
/// [`public`](Self::public); [`detail`](Self::detail) is for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Denial {
    /// The method needs a credential and the request brings none. The caller signs in.
    NoCredential,
    /// The caller is of no tenant, or of several, none of which the request names. The operator looks at the tenant claim
    /// of the provider, or at the places of the route.
    NoTenant(Homeless),
    /// The request is about a tenant that is not the caller's. The caller switches tenants or mends the link.
    TenantMismatch(Disagreement),
    /// A role that the caller holds, the act or the tenant demands stronger or more recent factors. The caller signs in again.
    StepUp(StepUp),
    /// No role that the caller holds grants the act. An administrator grants a role.
    NotGranted {
        /// The act.
        act: Arc<str>,
    },
    /// A role grants the act, but not on this record. Nothing to do but to ask someone who may.
    NotOwn(NotOwn),
    /// The route's `when:` does not hold. The operator's policy says what it asks for.
    Condition {
        /// Why it has no answer; `None` when the answer is no.
        cause: Option<Unanswered>,
    },
}

/// Why no scope under which the act is granted holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotOwn {
    /// The place of the patient says more than one thing.
    Unclear(Place),
    /// This scope was the last to be asked, and is false or has no answer.
    Scope {
        /// Its name.
        name: Arc<str>,
        /// Why it has no answer; `None` when the answer is no.
        cause: Option<Unanswered>,
    },
}

/// A reason code of this crate, as the manual lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code {
    /// The stable word: the same in the answer, the log, the metrics and the record.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// All that the client is told.
    pub public: &'static str,
    /// What to do about it, for the manual.
    pub advice: &'static str,
}

const NO_CREDENTIAL: Code = Code {
    code: "NO_CREDENTIAL",
    status: 401,
    public: "sign in to continue",
    advice: "Send a credential in one of the places that the provider lists, or make the method `public`.",
};
const NO_TENANT: Code = Code {
    code: "NO_TENANT",
    status: 403,
    public: "it is not known for which clinic this is",
    advice: "Look at the provider's tenant claim: it is missing, null, empty or no tenant's name in this credential, or \
             one that `tenants` of the provider does not list. A caller of several tenants has to name one of them in a place that the route lists under `resource.tenant`; \
             the log says which it is.",
};
const TENANT_MISMATCH: Code = Code {
    code: "TENANT_MISMATCH",
    status: 403,
    public: "this belongs to another clinic",
    advice: "A place listed under the route's `resource.tenant` names a tenant that is not the caller's, or two \
             different ones; sign in for that tenant, or mend the request.",
};
const STEP_UP: Code = Code {
    code: "STEP_UP",
    status: 401,
    public: "sign in again with a second factor",
    advice: "A role that the caller holds, the act or the tenant demands factors (`mfa`) that the credential does not show, \
             or that were shown too long ago; the challenge says which (RFC 9470), and the log what is missing. The client sends \
             the caller to sign in with its `acr_values` (at Entra its `claims`) and `max_age`.",
};
const NOT_GRANTED: Code = Code {
    code: "NOT_GRANTED",
    status: 403,
    public: "your role does not allow this",
    advice: "No role held by the caller lists the act under `can`; grant the role, or add the act to one.",
};
const NOT_OWN: Code = Code {
    code: "NOT_OWN",
    status: 403,
    public: "your role does not allow this on this record",
    advice: "The caller's roles grant the act under a scope that does not hold here, such as another person's record, \
             or that reads something the request or the credential lacks; the log names it.",
};
const CONDITION: Code = Code {
    code: "CONDITION",
    status: 403,
    public: "a condition for this is not met",
    advice: "The route's `when` is false, or reads something that is missing or of another type; the log names it.",
};

/// Every reason code that a decision can give, in the order in which decisions ask.
#[must_use]
pub fn codes() -> [Code; 7] {
    [NO_CREDENTIAL, NO_TENANT, TENANT_MISMATCH, STEP_UP, NOT_GRANTED, NOT_OWN, CONDITION]
}

impl Denial {
    fn entry(&self) -> Code {
        match self {
            Self::NoCredential => NO_CREDENTIAL,
            Self::NoTenant(_) => NO_TENANT,
            Self::TenantMismatch(_) => TENANT_MISMATCH,
            Self::StepUp(_) => STEP_UP,
            Self::NotGranted { .. } => NOT_GRANTED,
            Self::NotOwn(_) => NOT_OWN,
            Self::Condition { .. } => CONDITION,
        }
    }

    /// The stable word, the same in the answer, the log, the metrics and the record.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.entry().code
    }

    /// The HTTP status: 401 or 403.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.entry().status
    }

    /// All that the client is told: a fixed text, whatever the request.
    #[must_use]
    pub fn public(&self) -> &'static str {
        self.entry().public
    }

    /// The finer reason, for the log: names of the policy, never anything that the request or the credential says.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::NoCredential => "the method needs a credential".to_owned(),
            Self::NoTenant(homeless) => homeless.to_string(),
            Self::TenantMismatch(disagreement) => disagreement.to_string(),
            Self::StepUp(short) => format!("{}; demanded are {}", short.lack, short.needed),
            Self::NotGranted { act } => format!("no role held grants `{act}`"),
            Self::NotOwn(NotOwn::Unclear(place)) => format!("`{place}` occurs more than once or cannot be read"),
            Self::NotOwn(NotOwn::Scope { name, cause: None }) => format!("scope `{name}` does not hold"),
            Self::NotOwn(NotOwn::Scope { name, cause: Some(cause) }) => {
                format!("scope `{name}` has no answer: {cause}")
            }
            Self::Condition { cause: None } => "`when` does not hold".to_owned(),
            Self::Condition { cause: Some(cause) } => format!("`when` has no answer: {cause}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_one_word_with_one_status_and_a_plain_text() {
        let mut seen = Vec::new();
        for one in codes() {
            assert!(one.code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{}", one.code);
            assert!(matches!(one.status, 401 | 403));
            assert!(!one.public.is_empty() && !one.public.ends_with('.') && !one.public.contains('`'));
            assert!(one.advice.ends_with('.'));
            assert!(!seen.contains(&one.code));
            seen.push(one.code);
        }
    }
}
