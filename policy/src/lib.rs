//! May this request pass, and why?
//!
//! A policy is what people write and review: roles and the acts that they can do, and routes that demand acts. This
//! crate reads it, finds everything that is wrong with it, and decides requests by it.
//!
//! 1. **Read.** [`read`] turns one YAML file into a [`RawPolicy`]: every fault of its form in one go, each with its
//!    place and a hint ([`Diagnostic`], [`render`]). The same reader serves other files of the product.
//! 2. **Compile.** [`compile`] makes one [`Policy`] of all files, or reports every fault of their meaning: a scope that
//!    nobody defined, an act that no route demands, two routes for one path, a condition that could never be answered.
//!    What it lets through needs no second look when a request arrives.
//! 3. **Find.** [`Policy::find`] gives the one route for a method, a path and what the query and the form say: the most specific path
//!    wins, and it alone is asked for the method. No route, no entry.
//! 4. **Decide.** [`decide`] looks at the match and the [`Facts`], in one order: who is asking, for which tenant, with
//!    which factors, by which role, on whose record, under which condition. It answers with a [`Passage`], which nothing else can make and
//!    which forwarding consumes, or with a [`Denial`] that has one stable [`code`](Denial::code).
//!
//! Whatever has no answer is a denial: a missing claim, a value of another type, a place that occurs twice, a role that
//! no policy names, a tenant that is null. The tenants that a caller may act for are known before the request is looked at;
//! what it says about one can contradict them or pick one of several, never add one. Roles are held in one tenant each.
//!
//! It is pure: it opens no file, asks no clock, reads no environment and speaks no HTTP. What it needs is an argument, so
//! a decision can be repeated, explained and tested anywhere.
//!
//! ```
//! use policy::{Bindings, Facts, Factors, Found, Occurs, Principal, RawPolicy, RequestFacts, SignIn, Sources, TenantId, Verdict};
//!
//! let mut sources = Sources::default();
//! let file = sources.add("records.yaml", r"
//! apiVersion: anteroom.dev/v1
//! kind: Policy
//! metadata: { name: records }
//! roles:
//!   provider: { can: { records.read: tenant } }
//! routes:
//!   records:
//!     path: /api/patients/{patient}/records/**
//!     resource: { patient: path.patient, tenant: [header.x-clinic] }
//!     methods: { GET: records.read }
//! ");
//! let shown = |faults: Vec<policy::Diagnostic>| policy::render(&faults, &sources, false);
//! let raw: RawPolicy = policy::read(&sources, file).map_err(shown)?;
//! let policy = policy::compile(&[(file, raw)]).map_err(shown)?;
//!
//! // Someone of clinic `a` who holds the role asks for a record.
//! let provider = Principal {
//!     issuer: "https://id.example/".into(),
//!     provider: "clinic".into(),
//!     subject: "user-1".into(),
//!     client: None,
//!     bindings: Bindings::one(TenantId::parse("a"), vec!["provider".into()]),
//!     claims: Default::default(),
//!     factors: Factors::default(),
//!     sign_in: SignIn::default(),
//! };
//! struct Clinic(&'static str);
//! impl RequestFacts for Clinic {
//!     fn header(&self, name: &str) -> Occurs<'_> {
//!         if name == "x-clinic" { Occurs::Once(self.0.into()) } else { Occurs::Absent }
//!     }
//!     fn query(&self, _: &str) -> Occurs<'_> {
//!         Occurs::Absent
//!     }
//!     fn form(&self, _: &str) -> Occurs<'_> {
//!         Occurs::Absent
//!     }
//! }
//! let Found::Route(found) = policy.find("GET", "/api/patients/p1/records/7", &Clinic("a")) else { return Err("no route".into()) };
//! let ask = |request: &Clinic| {
//!     let (peer, now) = ([203, 0, 113, 9].into(), 1_800_000_000);
//!     policy::decide(&found, &Facts { method: "GET", request, principal: Some(&provider), peer, now }).verdict
//! };
//!
//! let Verdict::Granted(passage) = ask(&Clinic("a")) else { return Err("denied".into()) };
//! assert_eq!(passage.identity().map(|one| one.tenant().as_str()), Some("a"));
//!
//! // The same person, naming another clinic.
//! let Verdict::Denied(denial) = ask(&Clinic("b")) else { return Err("granted".into()) };
//! assert_eq!((denial.code(), denial.status()), ("TENANT_MISMATCH", 403));
//! # Ok::<(), String>(())
//! ```
#![deny(clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        reason = "tests may"
    )
)]

mod assurance;
mod bindings;
mod case;
mod compile;
mod de;
mod decide;
mod decision;
mod diagnostic;
mod dispatch;
mod explain;
mod expr;
mod facts;
mod folded;
mod letters;
mod principal;
mod raw;
mod reading;
mod roles;
mod route;
#[cfg(test)]
mod sample;
mod schema;
mod session;
mod span;
mod template;
mod tenant;
mod tree;
pub mod units;
mod words;
mod write;

pub use assurance::{Assurance, Factors, Lack, StepUp, Vouched};
pub use bindings::{Binding, Bindings};
pub use case::{Came, Case, cases, uncovered};
pub use compile::{Policy, compile};
pub use de::{Spanned, read};
pub use decide::{Identity, Passage, decide};
pub use decision::{Basis, Code, Decision, Denial, NotOwn, TenantFact, Verdict, codes};
pub use diagnostic::{Diagnostic, Severity, render, to_json};
pub use dispatch::FormAsked;
pub use explain::{Outcome, Step, StepName, Trace, explain};
pub use expr::Unanswered;
pub use facts::{Facts, Occurs, Place, RequestFacts};
pub use principal::{Claim, Principal, SignIn};
pub use raw::{
    ActAudit, ApiVersion, Kind, Mode, Per, RawAct, RawCase, RawClaim, RawFactors, RawLimit, RawMetadata, RawMfa,
    RawMfaTerms, RawMfaWord, RawNobody, RawPolicy, RawResource, RawRole, RawRoleSession, RawRoute, RawRouteSession,
    RawSomebody, RawTenant, RawWho, RouteAudit, RouteCache, RouteErrors, WordOrMap,
};
pub use reading::PathForm;
pub use roles::{Act, ActLimit};
pub use route::{Demand, Found, Match, Route};
pub use schema::{check_tree, schema_of};
pub use session::SessionTerms;
pub use span::{FileId, Sources, Span};
pub use tenant::{Disagreement, Homeless, TenantId};
pub use tree::{Key, Node, NodeValue, parse_tree};
pub use write::to_yaml;
