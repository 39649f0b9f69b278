//! JSON as an expression in CEL, in the types of a MutatingAdmissionPolicy (`Object.spec.initContainers{…}`).
//!
//! Decides the spelling. Values that stand for a setting become the expression that the setting is read by; a value that
//! merely holds one is a fault, since nothing would fill it in. It knows nothing of pods but which of their fields are maps.

use serde_json::Value;

/// Fields whose keys are names of the user's, not of the API.
const MAPS: [&str; 5] = ["annotations", "labels", "limits", "nodeSelector", "requests"];
/// Words that no field can be written as.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// What stands for a setting, and how the setting is read.
pub(super) type Filled<'a> = [(Value, &'a str)];

/// `value` as an expression of the type `kind`, its further lines indented by `depth` steps.
///
/// # Errors
/// Something that has no spelling.
pub(super) fn expression(value: &Value, kind: &str, filled: &Filled<'_>, depth: usize) -> Result<String, String> {
    if let Some((_, expression)) = filled.iter().find(|(sentinel, _)| sentinel == value) {
        return Ok((*expression).to_owned());
    }
    match value {
        Value::Null => Err(format!("{kind} holds a null")),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::String(text) => literal(text, filled),
        Value::Array(items) => {
            let items: Result<Vec<String>, String> =
                items.iter().map(|item| expression(item, kind, filled, depth + 1)).collect();
            Ok(within('[', &items?, ']', depth))
        }
        Value::Object(fields) => {
            let is_map = MAPS.iter().any(|name| kind.rsplit('.').next() == Some(name));
            let mut entries = Vec::new();
            for (name, field) in fields {
                let below = expression(field, &format!("{kind}.{name}"), filled, depth + 1)?;
                let is_word =
                    name.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !RESERVED.contains(&name.as_str());
                entries.push(match (is_map, is_word) {
                    (true, _) => format!("{}: {below}", literal(name, filled)?),
                    (false, true) => format!("{name}: {below}"),
                    (false, false) => return Err(format!("`{name}` of {kind} cannot be written in CEL")),
                });
            }
            Ok(format!("{}{}", if is_map { "" } else { kind }, within('{', &entries, '}', depth)))
        }
    }
}

fn literal(text: &str, filled: &Filled<'_>) -> Result<String, String> {
    if filled.iter().any(|(sentinel, _)| sentinel.as_str().is_some_and(|sentinel| text.contains(sentinel))) {
        return Err("a setting stands inside of another text".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("a text holds a control character".to_owned());
    }
    // What JSON escapes, CEL escapes alike.
    serde_json::to_string(text).map_err(|fault| fault.to_string())
}

/// Entries on one line where they are short, else one line each.
fn within(open: char, entries: &[String], close: char, depth: usize) -> String {
    let line = entries.join(", ");
    if line.len() <= 90 && !line.contains('\n') {
        return format!("{open}{line}{close}");
    }
    let inner = "  ".repeat(depth + 1);
    let lines: Vec<String> = entries.iter().map(|entry| format!("{inner}{entry}")).collect();
    format!("{open}\n{}\n{}{close}", lines.join(",\n"), "  ".repeat(depth))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_becomes_typed_objects_maps_and_settings() {
        let value = json!({
            "name": "a\"b",
            "resources": { "requests": { "cpu": "CPU" } },
            "ports": [{ "containerPort": 8443 }],
            "securityContext": { "runAsNonRoot": true },
        });
        let filled = [(json!("CPU"), "params.data.cpu")];
        assert_eq!(
            expression(&value, "Object.c", &filled, 0).unwrap(),
            "Object.c{\n  name: \"a\\\"b\",\n  resources: Object.c.resources{requests: {\"cpu\": params.data.cpu}},\n  \
             ports: [Object.c.ports{containerPort: 8443}],\n  \
             securityContext: Object.c.securityContext{runAsNonRoot: true}\n}"
        );
    }

    #[test]
    fn what_has_no_spelling_is_a_fault() {
        let filled = [(json!("CPU"), "x")];
        for bad in
            [json!({"a": null}), json!({"a-b": 1}), json!({"namespace": 1}), json!({"a": "1CPU"}), json!({"a": "\n"})]
        {
            assert!(expression(&bad, "Object", &filled, 0).is_err(), "{bad}");
        }
    }
}
