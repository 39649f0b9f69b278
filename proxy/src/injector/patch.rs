//! What changed between two versions of a pod, as a JSON patch (RFC 6902).
//!
//! Decides how to say it so that nothing of others is touched: an entry that is new in a list of named things (containers,
//! volumes, variables) is inserted at its place, and its neighbours are not written anew. Every patch is applied again here
//! before it leaves: one that does not lead to exactly what was wanted is none.

use std::collections::HashSet;

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::{Map, Value};

/// The patch that makes `after` of `before`; `None` where none could be found that does exactly that.
pub(super) fn between(before: &Value, after: &Value) -> Option<Patch> {
    let mut found = Vec::new();
    compare(&PointerBuf::new(), before, after, &mut found);
    let mut made = before.clone();
    // INVARIANT: whoever applies the patch has what was judged.
    json_patch::patch(&mut made, &found).ok()?;
    (made == *after).then_some(Patch(found))
}

fn compare(at: &PointerBuf, before: &Value, after: &Value, found: &mut Vec<PatchOperation>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => maps(at, old, new, found),
        (Value::Array(old), Value::Array(new)) if keeps_its_order(old, new) => lists(at, old, new, found),
        _ => found.push(PatchOperation::Replace(ReplaceOperation { path: at.clone(), value: after.clone() })),
    }
}

fn maps(at: &PointerBuf, old: &Map<String, Value>, new: &Map<String, Value>, found: &mut Vec<PatchOperation>) {
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        found.push(PatchOperation::Remove(RemoveOperation { path: below(at, key) }));
    }
    for (key, value) in new {
        let path = below(at, key);
        match old.get(key) {
            Some(before) => compare(&path, before, value, found),
            None => found.push(PatchOperation::Add(AddOperation { path, value: value.clone() })),
        }
    }
}

/// Lists of named things of which none is gone: new ones are inserted from the front on, so that the places behind are those
/// of the new list already.
fn lists(at: &PointerBuf, old: &[Value], new: &[Value], found: &mut Vec<PatchOperation>) {
    let mut rest = old.iter().peekable();
    for (place, value) in new.iter().enumerate() {
        let path = below(at, &place.to_string());
        match rest.next_if(|before| name(before) == name(value)) {
            Some(before) => compare(&path, before, value, found),
            None => found.push(PatchOperation::Add(AddOperation { path, value: value.clone() })),
        }
    }
}

/// Whether every entry has a name of its own, and the old ones all stand in the new list, in their order.
fn keeps_its_order(old: &[Value], new: &[Value]) -> bool {
    let distinct = |list: &[Value]| {
        let mut seen = HashSet::new();
        list.iter().all(|one| name(one).is_some_and(|name| seen.insert(name)))
    };
    let mut rest = new.iter();
    distinct(old) && distinct(new) && old.iter().all(|one| rest.any(|other| name(other) == name(one)))
}

fn name(entry: &Value) -> Option<&str> {
    entry.get("name").and_then(Value::as_str)
}

fn below(at: &PointerBuf, key: &str) -> PointerBuf {
    let mut path = at.clone();
    path.push_back(key);
    path
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn written(before: &Value, after: &Value) -> Value {
        serde_json::to_value(between(before, after).unwrap()).unwrap()
    }

    #[test]
    fn a_sidecar_in_front_leaves_its_neighbours_alone() {
        let before = json!({"spec": {"initContainers": [{"name": "a"}, {"name": "b", "image": "x"}]}});
        let after =
            json!({"spec": {"initContainers": [{"name": "anteroom"}, {"name": "a"}, {"name": "b", "image": "y"}]}});
        assert_eq!(
            written(&before, &after),
            json!([
                {"op": "add", "path": "/spec/initContainers/0", "value": {"name": "anteroom"}},
                {"op": "replace", "path": "/spec/initContainers/2/image", "value": "y"},
            ])
        );
    }

    #[test]
    fn a_list_that_was_absent_is_added_whole_and_keys_are_escaped() {
        let after = json!({"annotations": {"anteroom.dev/in~jected": "1"}, "volumes": [{"name": "v"}]});
        assert_eq!(
            written(&json!({"annotations": {}}), &after),
            json!([
                {"op": "add", "path": "/annotations/anteroom.dev~1in~0jected", "value": "1"},
                {"op": "add", "path": "/volumes", "value": [{"name": "v"}]},
            ])
        );
    }

    #[test]
    fn what_is_the_same_needs_nothing_and_other_lists_are_replaced() {
        assert_eq!(written(&json!({"a": [1]}), &json!({"a": [1]})), json!([]));
        assert_eq!(
            written(&json!({"a": [1, 2]}), &json!({"a": [2]})),
            json!([{"op": "replace", "path": "/a", "value": [2]}])
        );
        let twice = json!([{"name": "a"}, {"name": "a"}, {"name": "b"}]);
        let (before, after) = (json!({"l": [{"name": "a"}]}), json!({"l": twice}));
        assert_eq!(written(&before, &after), json!([{"op": "replace", "path": "/l", "value": twice}]));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-c/~]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            let named = ("[a-d]", inner.clone()).prop_map(|(name, inner)| json!({"name": name, "x": inner}));
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(named, 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-c/~]{0,2}", inner), 0..4)
                    .prop_map(|all| Value::Object(all.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn there_is_always_a_patch_and_it_leads_there(before in any_json(), after in any_json()) {
            let patch = between(&before, &after);
            prop_assert!(patch.is_some());
            let mut made = before;
            json_patch::patch(&mut made, &patch.unwrap()).unwrap();
            prop_assert_eq!(made, after);
        }
    }
}
