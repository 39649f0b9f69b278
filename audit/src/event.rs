//! The form of one audit event, version 1: which fields a line holds, in which order, and how long each may be.
//!
//! Decides the names, the nesting and the bounds. Never looks at a clock, a file or a request, and never decides what
//! a caller may know: a `patient` and a `session` are keyed pseudonyms and a `route` a template before they come here.
//!
//! Within one version fields may be added, and a reader passes over those that it does not know; a field that goes
//! away or changes its meaning makes a new version.

mod clip;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use clip::clip;

use crate::stamp;

/// The version of the form, the field `v`.
pub const VERSION: u8 = 1;

/// The longest line that is ever written, in bytes, its newline included. The bounds of the fields add up to less.
pub const LINE_MAX: usize = 24 * 1024;

/// The bound of origin and replica, which are checked when the record is opened and never cut.
pub(crate) const ORIGIN_MAX: usize = 512;

/// What a line tells of. Later kinds (`intent`, `end`) join here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A request was answered: status, decision and facts.
    #[default]
    Answer,
    /// Refused requests beyond those that are recorded one by one: [`Counted`] says how many.
    Denials,
}

/// How the deciding route was held to its policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A denial ends the request.
    Enforce,
    /// A denial is recorded and the request passes.
    Observe,
}

/// What was decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The request passed.
    Allow,
    /// The request was refused; `code` says why.
    Deny,
    /// The request passed in observe mode; `code` says why it would have been refused.
    Observe,
}

/// What became of the application's own error (5xx).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppError {
    /// The client got an answer of the gate's own in its place.
    Masked,
    /// The client got it; it would have been masked, had that not been observed only.
    Observed,
    /// The client got it: the route lets it pass, or it is no page but a stream or a gRPC status.
    Passed,
}

/// Who asked, as the verified credential says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Actor {
    /// The issuer of the credential.
    pub iss: String,
    /// The subject that the issuer gave the person or the machine.
    pub sub: String,
    /// The session as a keyed pseudonym (`hs:…`), never the name that the issuer gave it; absent where the credential names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The roles held in the active tenant; at most 64 are recorded.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The client program that the credential was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The authentication factors, where the credential names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factors: Option<Factors>,
}

/// The factors that a credential claims.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Factors {
    /// Authentication methods in the issuer's words (RFC 8176 names where it uses them); at most 16 are recorded.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Seconds between the authentication and the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u64>,
}

/// How the tenant that a request named stands to the tenant of its principal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantFact {
    /// They are the same.
    Same,
    /// The request named another one.
    Other,
    /// The request named none.
    None,
}

/// What the decision rested on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Facts {
    /// The tenant of the request against the tenant of the principal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantFact>,
    /// Whether the record asked for is the principal's own, where the policy asks that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<bool>,
}

/// Refusals that share one event: same code, same network or same actor, within one minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Counted {
    /// How many requests it stands for; at least 1.
    pub requests: u64,
    /// The time in which they came, in whole seconds, rounded up.
    pub seconds: u64,
    /// How many leading bits of `peer` they have in common; 0: they came from many networks.
    pub prefix: u8,
}

/// An event as the request's side knows it. The record adds the id, the origin, the sequence number and the replica.
///
/// A text that is longer than its bound is cut at the bound, ends in `…`, and marks the event `clipped`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// When it happened, in milliseconds since 1970-01-01 UTC.
    pub at: u64,
    /// What the line tells of.
    pub kind: Kind,
    /// The id of the request, the same in the answer, the log and the record. At most 128 bytes.
    pub request: String,
    /// The trace id of W3C Trace Context. At most 64 bytes.
    pub trace: Option<String>,
    /// Who asked; absent where nobody was identified.
    pub actor: Option<Actor>,
    /// The active tenant. At most 256 bytes.
    pub tenant: Option<String>,
    /// The patient as a keyed pseudonym (`hp:…`), never the identifier itself. At most 128 bytes.
    pub patient: Option<String>,
    /// The id of the route in the policy. At most 256 bytes.
    pub rule: Option<Arc<str>>,
    /// The act that the route demands. At most 256 bytes.
    pub act: Option<Arc<str>>,
    /// The method, one space, and the template of the route (`GET /api/patients/{patient}`); where no route matched,
    /// the path with every segment taken out. Never a path as it was sent. At most 2,048 bytes.
    pub route: Option<Arc<str>>,
    /// The hash of the policy set that decided (`sha256:…`). At most 128 bytes.
    pub policy: Arc<str>,
    /// How the route was held to its policy.
    pub mode: Mode,
    /// What was decided.
    pub decision: Decision,
    /// The stable reason code, where something was or would have been refused. At most 64 bytes.
    pub code: Option<Cow<'static, str>>,
    /// What the decision rested on.
    pub facts: Option<Facts>,
    /// The status of the answer; absent where the request ended before there was one.
    pub status: Option<u16>,
    /// What became of the application's own error, where it answered with one.
    pub app_error: Option<AppError>,
    /// The address of the client; of [`Kind::Denials`], that of their network.
    pub peer: IpAddr,
    /// What one event of [`Kind::Denials`] stands for.
    pub counted: Option<Counted>,
}

/// One line of the record. The order of the fields is their order in the line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// The version of the form.
    pub v: u8,
    /// A ULID: the time of the event and 80 random bits.
    pub id: String,
    /// When it happened: RFC 3339, UTC, milliseconds.
    pub at: String,
    /// What the line tells of.
    pub kind: Kind,
    /// The id of the request.
    pub request: String,
    /// The trace id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The log that the event belongs to; `seq` counts within it.
    pub origin: Arc<str>,
    /// The place in the origin's order: from 1, without gaps as long as nothing was lost.
    pub seq: u64,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// The active tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The patient as a keyed pseudonym.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
    /// The id of the route in the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<str>>,
    /// The act that the route demands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Arc<str>>,
    /// Method and route template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Arc<str>>,
    /// The hash of the policy set that decided.
    pub policy: Arc<str>,
    /// How the route was held to its policy.
    pub mode: Mode,
    /// What was decided.
    pub decision: Decision,
    /// The stable reason code; `null` where nothing was refused.
    pub code: Option<Cow<'static, str>>,
    /// What the decision rested on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// The status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What became of the application's own error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_error: Option<AppError>,
    /// The address of the client.
    pub peer: IpAddr,
    /// What one event of [`Kind::Denials`] stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
    /// The replica that answered.
    pub replica: Arc<str>,
    /// The request ended before its answer was recorded: the client went, or the request failed inside the proxy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aborted: bool,
    /// A text was longer than its bound and was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clipped: bool,
}

/// What the record adds to a draft.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) origin: Arc<str>,
    pub(crate) replica: Arc<str>,
    pub(crate) seq: u64,
    pub(crate) random: [u8; 10],
    pub(crate) aborted: bool,
}

impl Event {
    /// Puts the stamp on the draft and cuts every text to its bound, so that the line fits [`LINE_MAX`].
    pub(crate) fn stamped(mut draft: Draft, stamp: Stamp) -> Self {
        let clipped = clip(&mut draft);
        Self {
            v: VERSION,
            id: stamp::ulid(draft.at, stamp.random),
            at: stamp::rfc3339(draft.at),
            kind: draft.kind,
            request: draft.request,
            trace: draft.trace,
            origin: stamp.origin,
            seq: stamp.seq,
            actor: draft.actor,
            tenant: draft.tenant,
            patient: draft.patient,
            rule: draft.rule,
            act: draft.act,
            route: draft.route,
            policy: draft.policy,
            mode: draft.mode,
            decision: draft.decision,
            code: draft.code,
            facts: draft.facts,
            status: draft.status,
            app_error: draft.app_error,
            peer: draft.peer,
            counted: draft.counted,
            replica: stamp.replica,
            aborted: stamp.aborted,
            clipped,
        }
    }
}

impl Event {
    /// Appends the event and a newline. The bytes before the newline are the leaf of a later log.
    pub(crate) fn append_line(&self, lines: &mut Vec<u8>) {
        let start = lines.len();
        // Writing these types into memory does not fail; were it to, a half line must not stand before the next one.
        if serde_json::to_writer(&mut *lines, self).is_err() {
            lines.truncate(start);
            return;
        }
        lines.push(b'\n');
    }
}

/// A line's head, for those who only need its place.
#[derive(Deserialize)]
pub(crate) struct Head<'a> {
    #[serde(borrow)]
    pub(crate) origin: Cow<'a, str>,
    pub(crate) seq: u64,
}

#[cfg(test)]
mod tests;
