//! `rollout`: how far each control is rolled out that may break an application. As written, and compiled.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::runtime::{Rollout, Stages};

/// How far the controls are rolled out that may break an application which did without them.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRollout {
    /// The attributes of the application's cookies.
    pub cookies: RawStage,
    /// The refusal of requests that pages of other sites send with a person's cookies.
    pub csrf: RawStage,
    /// The content policy in `headers.csp.enforce`: observed, browsers only report what it would block.
    pub csp: RawStage,
    /// `Strict-Transport-Security`: observed, browsers remember it for five minutes, and for this name alone.
    pub hsts: RawStage,
    /// The masking of the application's own errors (5xx).
    pub errors: RawStage,
    /// `limits.per_address`, `limits.refused_per_address` and the limits of acts.
    pub limits: RawStage,
    /// `limits.body`.
    pub body: RawStage,
}

/// How far one control is rolled out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawStage {
    /// It decides, counts and logs what it would have done, and lets pass.
    Observe,
    /// It acts.
    #[default]
    Enforce,
}

impl RawStage {
    pub(super) fn stage(self) -> Rollout {
        match self {
            RawStage::Observe => Rollout::Observe,
            RawStage::Enforce => Rollout::Enforce,
        }
    }
}

impl RawRollout {
    pub(super) fn stages(self) -> Stages {
        let Self { cookies, csrf, csp, hsts, errors, limits, body } = self;
        Stages {
            cookies: cookies.stage(),
            csrf: csrf.stage(),
            csp: csp.stage(),
            hsts: hsts.stage(),
            errors: errors.stage(),
            limits: limits.stage(),
            body: body.stage(),
        }
    }
}
