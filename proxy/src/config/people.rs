//! The file of a directory: who is what in which tenant. As written, and compiled.
//!
//! Decides whether each entry can mean something. What it says of people stands in no message: messages go to the log.

use std::collections::BTreeMap;

use policy::{Binding, Bindings, Spanned, TenantId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::compile::Faulty;
use super::raw::ApiVersion;
use crate::authn::{is_name, is_role};
use crate::directory::{Listed, MOST_ROLES};

/// A directory of subjects: who is what in which tenant.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Directory")]
pub struct RawPeople {
    /// The version of this form.
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// What the file is.
    pub kind: PeopleKind,
    /// Subjects by the name of their provider in the configuration, then as its tokens spell them. Each has the tenants that
    /// it is of, and in each the roles that it holds there: a list, empty for none.
    pub subjects: BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Tenants>>,
}

/// Tenants, each with the roles held in it.
type Tenants = BTreeMap<Spanned<String>, Vec<Spanned<String>>>;

/// What a directory's file says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum PeopleKind {
    /// A directory.
    Directory,
}

/// The subjects of a file; `providers` are those that the directory speaks for.
pub(super) fn compile(raw: &RawPeople, providers: &[String], faults: &mut Faulty<'_>) -> Listed {
    let mut listed = Listed::default();
    for (provider, subjects) in &raw.subjects {
        if !providers.contains(&provider.value) {
            let message = format!("the directory does not speak for a provider `{}`", provider.value);
            faults.at(provider.span, "directory", message, "name one of `providers` in the configuration");
        }
        for (subject, tenants) in subjects {
            if !is_name(&subject.value) {
                let hint = "1 to 256 bytes without control characters and outer spaces, as its tokens spell it";
                faults.at(subject.span, "directory", "this is no subject", hint);
            }
            listed.add(&provider.value, &subject.value, bindings(subject, tenants, faults));
        }
    }
    listed
}

fn bindings(subject: &Spanned<String>, tenants: &Tenants, faults: &mut Faulty<'_>) -> Bindings {
    let mut bindings = Vec::new();
    for (name, roles) in tenants {
        let Some(tenant) = TenantId::parse(&name.value) else {
            faults.at(name.span, "directory", "this is no name for a tenant", TenantId::RULE);
            continue;
        };
        let mut held: Vec<String> = Vec::new();
        for role in roles {
            if !is_role(&role.value) {
                let hint = "1 to 128 bytes without commas and control characters";
                faults.at(role.span, "directory", "this is no role", hint);
            } else if held.contains(&role.value) {
                faults.at(role.span, "directory", "this role stands twice", "once is enough");
            } else if held.len() == MOST_ROLES {
                let message = format!("there are more than {MOST_ROLES} roles in one tenant");
                faults.at(role.span, "range", message, "write fewer");
                break;
            }
            held.push(role.value.clone());
        }
        bindings.push(Binding::new(tenant, held));
    }
    Bindings::of(bindings).unwrap_or_else(|| {
        let message = format!("this subject is of more than {} tenants", Bindings::MOST);
        faults.at(subject.span, "range", message, "write fewer");
        Bindings::none()
    })
}
