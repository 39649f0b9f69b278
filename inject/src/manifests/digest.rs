//! The digest of the configuration that a pod reads, where its ConfigMaps are among the manifests.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::Document;

/// The ConfigMaps among the manifests: namespace, name, and what they hold, keys in order.
pub(super) struct Configs(Vec<(Option<String>, String, String)>);

/// Finds the ConfigMaps.
pub(super) fn configs(documents: &[Document]) -> Configs {
    let mut found = Vec::new();
    for document in documents {
        for object in document.objects() {
            let place = document.place(&object, 0);
            if let Some(value) = document.value.pointer(&object).filter(|_| place.kind == "ConfigMap") {
                let parts = ["data", "binaryData"].map(|key| sorted(value.get(key)));
                found.push((place.namespace, place.name, format!("{parts:?}")));
            }
        }
    }
    Configs(found)
}

fn sorted(data: Option<&Value>) -> BTreeMap<&str, String> {
    let entries = data.and_then(Value::as_object).into_iter().flatten();
    entries.map(|(key, value)| (key.as_str(), value.to_string())).collect()
}

impl Configs {
    /// The digest over both ConfigMaps; none where neither is among the manifests.
    pub(super) fn digest(
        &self,
        namespace: Option<&str>,
        config: &str,
        policies: &str,
        sha256: &dyn Fn(&[u8]) -> String,
    ) -> Option<String> {
        let near = |other: &Option<String>| other.is_none() || namespace.is_none() || other.as_deref() == namespace;
        let find =
            |wanted: &str| self.0.iter().find(|(other, name, _)| name == wanted && near(other)).map(|one| &one.2);
        let found = [find(config), find(policies)];
        found.iter().any(Option::is_some).then(|| sha256(format!("{found:?}").as_bytes()))
    }
}
