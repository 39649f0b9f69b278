//! What a directory service answers about one subject, read in one way only.
//!
//! `{"bindings": {"clinic-a": ["provider"], "clinic-b": []}}` is somebody, `{"bindings": null}` nobody who is known. Anything
//! else is no answer: a member that is not known could say that somebody was locked out.

use std::fmt;

use policy::{Binding, Bindings, TenantId};
use serde_json::{Map, Value};

use super::{MOST_ROLES, Said};
use crate::authn::{JsonFault, is_role, json_object};

/// The most values that an answer may hold, over all depths.
const MOST_VALUES: usize = 2_048;

/// Why what came is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// No JSON object in one reading.
    Json(JsonFault),
    /// No member `bindings`, or one beside it.
    Members,
    /// `bindings` is neither null nor an object of lists of texts.
    Form,
    /// A name that is none for a tenant.
    Tenant,
    /// A text that is no role, a role twice, or too many of them.
    Role,
    /// More tenants than one subject can have.
    TooMany,
}

impl fmt::Display for AnswerFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnswerFault::Json(fault) => write!(out, "the answer: {fault}"),
            AnswerFault::Members => out.write_str("the answer has other members than `bindings`"),
            AnswerFault::Form => out.write_str("`bindings` is neither null nor an object of lists of roles"),
            AnswerFault::Tenant => out.write_str("a name in `bindings` is none for a tenant"),
            AnswerFault::Role => write!(out, "a list in `bindings` holds no roles, one twice, or over {MOST_ROLES}"),
            AnswerFault::TooMany => write!(out, "`bindings` holds over {} tenants", Bindings::MOST),
        }
    }
}

/// Reads an answer.
pub(super) fn read(body: &[u8]) -> Result<Said, AnswerFault> {
    let mut members = json_object(body, MOST_VALUES).map_err(AnswerFault::Json)?;
    let bindings = members.shift_remove("bindings").ok_or(AnswerFault::Members)?;
    if !members.is_empty() {
        return Err(AnswerFault::Members);
    }
    match bindings {
        Value::Null => Ok(Said::Unlisted),
        Value::Object(tenants) => listed(&tenants).map(Said::Listed),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(AnswerFault::Form),
    }
}

fn listed(tenants: &Map<String, Value>) -> Result<Bindings, AnswerFault> {
    let mut bindings = Vec::new();
    for (name, roles) in tenants {
        let tenant = TenantId::parse(name).ok_or(AnswerFault::Tenant)?;
        let listed = roles.as_array().ok_or(AnswerFault::Form)?;
        let mut roles: Vec<String> = Vec::new();
        for role in listed {
            let role = role.as_str().ok_or(AnswerFault::Form)?;
            if !is_role(role) || roles.len() == MOST_ROLES || roles.iter().any(|one| one == role) {
                return Err(AnswerFault::Role);
            }
            roles.push(role.to_owned());
        }
        bindings.push(Binding::new(tenant, roles));
    }
    Bindings::of(bindings).ok_or(AnswerFault::TooMany)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_somebody_or_nobody() {
        let said = read(br#"{"bindings": {"b": ["member"], "a": ["provider", "Front Desk"], "c": []}}"#).unwrap();
        let Said::Listed(bindings) = said else { panic!("{said:?}") };
        let told: Vec<_> = bindings.iter().map(|one| format!("{} {}", one.tenant(), one.roles().join(","))).collect();
        assert_eq!(told, ["a provider,Front Desk", "b member", "c "]);
        assert_eq!(read(br#"{"bindings": {}}"#), Ok(Said::Listed(Bindings::none())));
        assert_eq!(read(br#"{"bindings": null}"#), Ok(Said::Unlisted));
    }

    #[test]
    fn anything_else_is_no_answer() {
        let many = |count: usize| (0..count).map(|at| format!(r#""t{at}": []"#)).collect::<Vec<_>>().join(",");
        let roles = |count: usize| (0..count).map(|at| format!(r#""r{at}""#)).collect::<Vec<_>>().join(",");
        for (body, fault) in [
            (String::new(), AnswerFault::Json(JsonFault::Syntax)),
            ("null".to_owned(), AnswerFault::Json(JsonFault::Syntax)),
            ("[]".to_owned(), AnswerFault::Json(JsonFault::Syntax)),
            ("<html>".to_owned(), AnswerFault::Json(JsonFault::Syntax)),
            (r#"{"bindings": {}} "x""#.to_owned(), AnswerFault::Json(JsonFault::Syntax)),
            (r#"{"bindings": {}, "bindings": {}}"#.to_owned(), AnswerFault::Json(JsonFault::Duplicate)),
            (r#"{"bindings": {"a": [], "a": ["admin"]}}"#.to_owned(), AnswerFault::Json(JsonFault::Duplicate)),
            ("{}".to_owned(), AnswerFault::Members),
            (r#"{"Bindings": {}}"#.to_owned(), AnswerFault::Members),
            (r#"{"bindings": {"a": []}, "disabled": true}"#.to_owned(), AnswerFault::Members),
            (r#"{"bindings": []}"#.to_owned(), AnswerFault::Form),
            (r#"{"bindings": "a"}"#.to_owned(), AnswerFault::Form),
            (r#"{"bindings": false}"#.to_owned(), AnswerFault::Form),
            (r#"{"bindings": {"a": "admin"}}"#.to_owned(), AnswerFault::Form),
            (r#"{"bindings": {"a": null}}"#.to_owned(), AnswerFault::Form),
            (r#"{"bindings": {"a": ["admin", 1]}}"#.to_owned(), AnswerFault::Form),
            (r#"{"bindings": {"": ["admin"]}}"#.to_owned(), AnswerFault::Tenant),
            (r#"{"bindings": {"a b": ["admin"]}}"#.to_owned(), AnswerFault::Tenant),
            (r#"{"bindings": {"a": ["x,admin"]}}"#.to_owned(), AnswerFault::Role),
            (r#"{"bindings": {"a": [""]}}"#.to_owned(), AnswerFault::Role),
            (r#"{"bindings": {"a": ["x", "x"]}}"#.to_owned(), AnswerFault::Role),
            (format!(r#"{{"bindings": {{"a": [{}]}}}}"#, roles(MOST_ROLES + 1)), AnswerFault::Role),
            (format!(r#"{{"bindings": {{{}}}}}"#, many(Bindings::MOST + 1)), AnswerFault::TooMany),
        ] {
            assert_eq!(read(body.as_bytes()), Err(fault), "{}", body.get(..60).unwrap_or(&body));
        }
        assert!(read(format!(r#"{{"bindings": {{{}}}}}"#, many(Bindings::MOST)).as_bytes()).is_ok());
        assert!(read(format!(r#"{{"bindings": {{"a": [{}]}}}}"#, roles(MOST_ROLES)).as_bytes()).is_ok());
    }
}
