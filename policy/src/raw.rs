//! A policy file as it is written: every key that exists, its place kept where a fault may have to point at it.
//!
//! Nothing is checked here but the form; [`compile`](crate::compile) says what it means.

mod case;
mod mfa;
mod session;
mod word;

use crate::de::Spanned;
use crate::reading::PathForm;
use crate::units::Rate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use case::{RawCase, RawClaim, RawFactors, RawNobody, RawSomebody, RawWho};
pub use mfa::{RawMfa, RawMfaTerms, RawMfaWord};
pub use session::{RawRoleSession, RawRouteSession};
pub use word::WordOrMap;

/// A map that keeps the place of each of its keys.
pub(crate) type Named<T> = BTreeMap<Spanned<String>, T>;

/// A policy: who may do what.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Policy")]
pub struct RawPolicy {
    /// The version of this form.
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// What the file is.
    pub kind: Kind,
    /// What the file is called.
    pub metadata: RawMetadata,
    /// Whether the routes of this file deny (`enforce`) or only record that they would have (`observe`).
    #[serde(default)]
    pub mode: Mode,
    /// Roles by name, as the provider spells them. They add up; what no role can, nobody may.
    #[serde(default)]
    pub roles: Named<RawRole>,
    /// Conditions under which a role can do something, by name, in CEL. `tenant` is built in.
    #[serde(default)]
    pub scopes: Named<Spanned<String>>,
    /// What tenants demand of those who act for them, by their names as the provider spells them.
    #[serde(default)]
    pub tenants: Named<RawTenant>,
    /// What holds for an act on every route to it. The key is an act, or a group such as `records.*`.
    #[serde(default)]
    pub acts: Named<RawAct>,
    /// Routes by name. The name is the rule's id; the most specific path wins, and a tie is an error.
    #[serde(default)]
    pub routes: Named<RawRoute>,
    /// Tests by name, which `anteroom test` runs: a request, and what should come out.
    #[serde(default)]
    pub tests: Named<RawCase>,
}

/// The version of the form of a policy file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first one.
    #[serde(rename = "anteroom.dev/v1")]
    V1,
}

/// What a policy file says it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
pub enum Kind {
    /// A policy.
    Policy,
}

/// What a policy file is called.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawMetadata {
    /// A name that no other policy file has.
    pub name: Spanned<String>,
}

/// How far a rule is rolled out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// What it denies does not pass.
    #[default]
    Enforce,
    /// What it would deny is recorded and passes, but for a disagreement about the tenant.
    Observe,
}

/// A role.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRole {
    /// What it can do: an act, or a group such as `records.*`, and the scope that it holds in: `tenant`, or a name
    /// under `scopes`.
    #[serde(default)]
    pub can: Named<Spanned<String>>,
    /// Which factors whoever holds it must have shown, whatever they do: `required`, `phishing_resistant`, or a map.
    #[serde(default)]
    pub mfa: Option<RawMfa>,
    /// How long the sessions of those who hold it may be silent, and how long they may last, whatever they do.
    #[serde(default)]
    pub session: Option<RawRoleSession>,
}

/// What a tenant demands.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTenant {
    /// Which factors whoever acts for it must have shown, whatever they do: `required`, `phishing_resistant`, or a map.
    pub mfa: RawMfa,
}

/// What holds for an act.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAct {
    /// Whether it shows or changes health information of a person: its answers are then kept by no cache.
    #[serde(default)]
    pub phi: Option<bool>,
    /// Whether the record must be safe on disk before the answer leaves.
    #[serde(default)]
    pub audit: Option<ActAudit>,
    /// How often it may be done.
    #[serde(default)]
    pub limit: Option<RawLimit>,
    /// Which factors the caller must have shown for it: `required`, `phishing_resistant`, or a map.
    #[serde(default)]
    pub mfa: Option<RawMfa>,
}

/// How an act is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActAudit {
    /// The answer waits until its record is on disk.
    Strict,
    /// The answer does not wait.
    Normal,
}

/// How often an act may be done.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawLimit {
    /// Whose requests are counted together.
    pub per: Per,
    /// How many in which time, such as `60/m`.
    pub rate: Rate,
    /// How many at once; as many as the rate counts where it is left out.
    #[serde(default)]
    pub burst: Option<Spanned<u32>>,
}

/// Whose requests a limit counts together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Those of one caller.
    Subject,
    /// Those of one client address.
    Address,
}

/// A route: a path, and what each method on it demands.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRoute {
    /// The path, with `{name}` for one segment and `**` at the end for any number.
    pub path: Spanned<String>,
    /// Parameters of the query that a request must have for this route, each once and with exactly this value: for one
    /// path that does many things, such as `/index.php?page=edit`. Of the routes of a path the one that asks for most is
    /// taken.
    #[serde(default)]
    pub query: Named<Spanned<String>>,
    /// Fields of a form that a POST must have for this route, each once and with exactly this value, as with `query`: for
    /// one path that does what its form says, such as `action=delete`. The beginning of the form is read for it before the
    /// decision; what is no form is refused on such a path.
    #[serde(default)]
    pub form: Named<Spanned<String>>,
    /// Odd forms of the path that the application of this route needs and reads as it is said here: `encoded_slash`,
    /// `encoded_percent`, `path_parameters`, `dotted_names`. All others are refused.
    #[serde(default)]
    pub allow: Vec<PathForm>,
    /// What each method demands: `public`, `authenticated` or an act. `*` is every method that is not listed; `GET`
    /// covers `HEAD`.
    pub methods: Named<Spanned<String>>,
    /// Where the request names what it is about.
    #[serde(default)]
    pub resource: Option<RawResource>,
    /// A condition for every method, in CEL.
    #[serde(default)]
    pub when: Option<Spanned<String>>,
    /// `enforce` or `observe` for this route alone.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// What it demands of the caller's session, and whether its requests are activity in it.
    #[serde(default)]
    pub session: Option<RawRouteSession>,
    /// `none` leaves what passes here out of the record.
    #[serde(default)]
    pub audit: Option<RouteAudit>,
    /// What becomes of the application's own pages for its errors (5xx): `mask` replaces them, `pass` lets them leave.
    #[serde(default)]
    pub errors: RouteErrors,
    /// What a browser may keep of answers to known callers: `no_store` or `private`. Left out: as the configuration says.
    #[serde(default)]
    pub cache: Option<RouteCache>,
}

/// Where a request names what it is about: `path.NAME`, `header.NAME` or `query.NAME`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawResource {
    /// The place of the patient's identifier.
    #[serde(default)]
    pub patient: Option<Spanned<String>>,
    /// The places that name a tenant, `claim` for the credential. All that are present must agree.
    #[serde(default)]
    pub tenant: Vec<Spanned<String>>,
}

/// Whether a route is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouteAudit {
    /// It is not.
    None,
}

/// What becomes of the application's own pages for its errors (5xx).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouteErrors {
    /// They are replaced by an answer that says nothing of the inside.
    #[default]
    Mask,
    /// They leave as they are.
    Pass,
}

/// What may be kept of an answer to a known caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouteCache {
    /// Nothing, by nobody.
    NoStore,
    /// What the application allows, by the caller's own browser alone.
    Private,
}
