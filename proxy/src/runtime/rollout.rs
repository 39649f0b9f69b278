//! How far each control is rolled out that may break an application which did without it.
//!
//! It decides nothing by itself. Framing, TLS, which headers are believed, tenants and the record have no stage: they are
//! never waived.

use crate::telemetry::controls::Control;

/// How far one control is rolled out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rollout {
    /// It decides, says what it would have done, and lets pass.
    Observe,
    /// It acts.
    #[default]
    Enforce,
}

/// The stage of every control that has one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stages {
    /// The attributes of the application's cookies.
    pub cookies: Rollout,
    /// The check of unsafe requests and WebSockets from other sites.
    pub csrf: Rollout,
    /// The content policy.
    pub csp: Rollout,
    /// How long browsers remember to use TLS only.
    pub hsts: Rollout,
    /// The masking of the application's own errors.
    pub errors: Rollout,
    /// The limits on how often one may ask.
    pub limits: Rollout,
    /// The limit on the size of a body.
    pub body: Rollout,
}

impl Stages {
    /// The stage of `control`.
    pub(crate) fn of(&self, control: Control) -> Rollout {
        match control {
            Control::Cookies => self.cookies,
            Control::Csrf => self.csrf,
            Control::Csp => self.csp,
            Control::Hsts => self.hsts,
            Control::Errors => self.errors,
            Control::Limits => self.limits,
            Control::Body => self.body,
        }
    }
}
