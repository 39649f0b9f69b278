//! `tenants` of a provider: for which tenants it may speak. As written, and compiled.
//!
//! Decides that each of several providers says it, so that a token of one speaks for tenants of another only where that is
//! written down. It never guesses: what is left out is all only where there is no other provider.

use std::borrow::Cow;
use std::fmt;

use policy::{Spanned, TenantId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Faulty;
use super::claims::named;
use super::raw::RawProvider;

/// The most tenants that a provider may list.
const MOST_TENANTS: usize = 1_024;
/// The word for all of them.
const ANY: &str = "any";

/// The tenants that a provider may speak for, as written.
#[derive(Clone, Debug)]
pub enum RawTenants {
    /// All that its tokens name, those of other providers too.
    Any,
    /// These.
    Listed(Vec<Spanned<String>>),
}

impl Serialize for RawTenants {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            RawTenants::Any => serializer.serialize_str(ANY),
            RawTenants::Listed(listed) => listed.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RawTenants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TenantsVisitor)
    }
}

struct TenantsVisitor;

impl<'de> Visitor<'de> for TenantsVisitor {
    type Value = RawTenants;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tenants, or the word `any`")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<RawTenants, E> {
        if word == ANY { Ok(RawTenants::Any) } else { Err(E::invalid_value(Unexpected::Str(word), &self)) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RawTenants, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(RawTenants::Listed)
    }
}

impl JsonSchema for RawTenants {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "RawTenants".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let listed = Vec::<String>::json_schema(generator);
        json_schema!({ "oneOf": [{ "type": "string", "const": ANY }, listed] })
    }
}

/// Each of several providers says for which tenants it speaks: by `tenant`, by `tenants`, or by leaving it to a directory
/// (`bound_elsewhere`), whose owner says it of every subject.
pub(super) fn check_are_said(raw: &RawProvider, bound_elsewhere: bool, faults: &mut Faulty<'_>) {
    if raw.tenant.is_some() || raw.tenants.is_some() || bound_elsewhere {
        return;
    }
    let message = "nothing says which tenants this provider may speak for, and it is not the only one";
    let hint = "list them, as in `tenants: [clinic-a]`, or write `tenants: any` where its tokens may name those of the other \
                providers too";
    faults.at(raw.issuer.span, "tenant", message, hint);
}

/// The tenants that the provider may speak for; `Some(None)` where that is all.
pub(super) fn tenants(raw: &RawProvider, faults: &mut Faulty<'_>) -> Option<Option<Vec<TenantId>>> {
    let written = match &raw.tenants {
        None | Some(RawTenants::Any) => return Some(None),
        Some(RawTenants::Listed(written)) => written,
    };
    if written.is_empty() || written.len() > MOST_TENANTS {
        let message = format!("`tenants` has {} entries, and may have 1 to {MOST_TENANTS}", written.len());
        faults.at(raw.issuer.span, "tenant", message, "write `tenants: any` where it speaks for all that it names");
        return None;
    }
    let listed: Option<Vec<TenantId>> = written.iter().map(|one| named(one, faults)).collect();
    let listed = listed?;
    if let Some(any) = written.iter().find(|one| one.value == ANY) {
        let message = format!("a tenant is called `{ANY}` here, and it is the only one of that name that counts");
        faults.warn(
            any.span,
            "tenant",
            message,
            "write `tenants: any`, without brackets, for all that the tokens name",
        );
    }
    if let Some(fixed) = raw.tenant.as_ref().filter(|fixed| !listed.iter().any(|one| one.as_str() == fixed.value)) {
        let hint = "add it there, or take `tenants` out";
        faults.at(fixed.span, "tenant", format!("`{}` is not one of `tenants`", fixed.value), hint);
        return None;
    }
    Some(Some(listed))
}
