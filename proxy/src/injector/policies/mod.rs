//! Policies that Kubernetes runs itself: one that injects without a webhook, one that refuses pods without the sidecar.
//!
//! Decides what of an injection a policy can say. Both are made from what [`inject::inject`] does to a pod, so that they
//! cannot say something else than the webhook: where it changes what is not known here, nothing is printed and a test fails.
//! A policy cannot read the app's probes into one text, nor judge every annotation: what it cannot do is refused by its
//! companion, or stands in the manual.

mod cel;
mod refusals;

use inject::{AppAddress, Asked, Mode, Outcome, Quantity, Settings, names};
use serde_json::{Value, json};

use self::cel::expression;

/// The files of the chart that are made here: their paths in the repository, and their texts.
///
/// # Errors
/// Where an injection holds what no policy can say.
pub fn files() -> Result<[(&'static str, String); 2], String> {
    Ok([
        ("helm/anteroom-injector/files/mutating-policy.yaml", format!("{MADE}{}", injecting()?)),
        ("helm/anteroom-injector/files/guard.yaml", format!("{MADE}{}", refusals::guard())),
    ])
}

const MADE: &str = "# Made from the code by `cargo run -p e2e --bin manual`. Do not edit.\n";

/// A setting, as it stands in the policy's parameters and in a pod's annotations.
struct Setting {
    /// The key of the ConfigMap, which is the name of the variable too.
    key: &'static str,
    /// The annotation that goes before it.
    annotation: &'static str,
    /// What stands for it while the policy is made.
    sentinel: &'static str,
}

const SETTINGS: [Setting; 9] = [
    Setting { key: "image", annotation: names::IMAGE, sentinel: "setting.image" },
    Setting { key: "config", annotation: names::CONFIG, sentinel: "setting.config" },
    Setting { key: "policies", annotation: names::POLICIES, sentinel: "setting.policies" },
    Setting { key: "tls", annotation: names::TLS, sentinel: "setting.tls" },
    Setting { key: "cpuRequest", annotation: names::CPU_REQUEST, sentinel: "70001m" },
    Setting { key: "memoryRequest", annotation: names::MEMORY_REQUEST, sentinel: "70002Mi" },
    Setting { key: "memoryLimit", annotation: names::MEMORY_LIMIT, sentinel: "70003Mi" },
    Setting { key: "keys", annotation: names::KEYS, sentinel: KEYS },
    Setting { key: "auditSize", annotation: names::AUDIT_SIZE, sentinel: "70004Mi" },
];
const KEYS: &str = "setting.keys";
const APP_SLEEP: u16 = 7_001;
const DRAIN: u16 = 17_001;

/// The policies that inject, the parameters and the bindings, for `kubectl apply`.
///
/// # Errors
/// Settings that a policy cannot follow; fit for users.
pub fn mutating(settings: &Settings, namespace: &str) -> Result<String, String> {
    let usual = Settings::new(settings.image.clone(), settings.version.clone());
    if settings.mode != Mode::Native {
        return Err("a policy injects in mode `native` only".to_owned());
    }
    if settings.user != usual.user || settings.ports != usual.ports || settings.resources.cpu_limit.is_some() {
        return Err("a policy leaves user, ports and CPU limit of the sidecar as they are by default: use the webhook"
            .to_owned());
    }
    let resources = &settings.resources;
    let data = [
        settings.image.as_str(),
        &settings.names.config,
        &settings.names.policies,
        &settings.names.tls,
        resources.cpu_request.as_str(),
        resources.memory_request.as_str(),
        resources.memory_limit.as_str(),
        settings.names.keys.as_deref().unwrap_or_default(),
        settings.audit_size.as_str(),
    ];
    let mut params = configmap("anteroom-injector", namespace);
    for (setting, value) in SETTINGS.iter().zip(data) {
        params.push_str(&format!("  {}: {}\n", setting.key, json!(value)));
    }
    params.push_str(&format!("  appSleep: \"{}\"\n  grace: \"{}\"\n", settings.app_sleep, settings.grace()));
    params.push_str(&format!("  repository: {}\n", json!(repository(&settings.image))));
    let selected = match settings.asked {
        Asked::ByLabel => format!("matchLabels: {{ {}: \"true\" }}", names::INJECT),
        Asked::ByDefault => {
            format!("matchExpressions: [{{ key: {}, operator: NotIn, values: [\"false\"] }}]", names::INJECT)
        }
    };
    let bindings = format!(
        "---\napiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicyBinding\nmetadata: {{ name: anteroom-injector }}\n\
         spec:\n  policyName: anteroom-injector\n{paramref}{matching}---\n\
         apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {{ name: anteroom-injector }}\n\
         spec:\n  policyName: anteroom-injector\n  validationActions: [Deny]\n{paramref}{matching}",
        paramref = paramref("anteroom-injector", namespace),
        matching = format_args!(
            "  matchResources:\n    namespaceSelector: {{ matchLabels: {{ anteroom.dev/injection: enabled }} }}\n    objectSelector: {{ {selected} }}\n"
        ),
    );
    Ok(format!("{params}---\n{}{bindings}", injecting()?))
}

/// The guard, its parameter and its bindings, for `kubectl apply`. Other images than those of `repository` are no sidecar.
pub fn guard(repository: &str, allow_ephemeral: bool, namespace: &str) -> String {
    let mut text = configmap("anteroom-guard", namespace);
    text.push_str(&format!("  repository: {}\n---\n{}", json!(repository), refusals::guard()));
    text.push_str(&refusals::binding("anteroom-guard", &paramref("anteroom-guard", namespace)));
    if !allow_ephemeral {
        text.push_str(&refusals::binding("anteroom-guard-ephemeral", ""));
    }
    text
}

/// An image without its tag and digest.
fn repository(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or(image);
    match name.rsplit_once(':') {
        // A colon before a slash is a port's.
        Some((repository, tag)) if !tag.contains('/') => repository,
        Some(_) | None => name,
    }
}

fn configmap(name: &str, namespace: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name}, namespace: {} }}\ndata:\n", json!(namespace))
}

fn paramref(name: &str, namespace: &str) -> String {
    format!("  paramRef: {{ name: {name}, namespace: {}, parameterNotFoundAction: Deny }}\n", json!(namespace))
}

/// The policy that injects, and its companion that refuses what could not be injected.
fn injecting() -> Result<String, String> {
    let parts = Parts::of_an_injection()?;
    let mut text = String::from(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicy\nmetadata: { name: anteroom-injector }\nspec:\n  \
         paramKind: { apiVersion: v1, kind: ConfigMap }\n  failurePolicy: Fail\n  reinvocationPolicy: IfNeeded\n  matchConstraints:\n    \
         resourceRules:\n      - { apiGroups: [\"\"], apiVersions: [v1], operations: [CREATE], resources: [pods] }\n  matchConditions:\n",
    );
    text.push_str(&entry("name", "not-yet", NOT_YET, 4));
    text.push_str("  variables:\n");
    text.push_str(&entry("name", "annotations", ANNOTATIONS, 4));
    for Setting { key, annotation, .. } in SETTINGS {
        let read = format!(
            "\"{annotation}\" in variables.annotations ? variables.annotations[\"{annotation}\"] : params.data.{key}"
        );
        text.push_str(&entry("name", key, &read, 4));
    }
    text.push_str(&entry("name", "volumes", &parts.volumes, 4));
    text.push_str(&entry("name", "sidecar", &parts.sidecar, 4));
    text.push_str("  mutations:\n    - patchType: ApplyConfiguration\n      applyConfiguration:\n");
    text.push_str(&block("expression", &parts.sleep, 8));
    text.push_str("    - patchType: JSONPatch\n      jsonPatch:\n");
    text.push_str(&block("expression", &parts.patch, 8));
    text.push_str(&refusals::companion());
    Ok(text)
}

const NOT_YET: &str = "!object.spec.containers.exists(c, c.name == \"anteroom\") &&\n(!has(object.spec.initContainers) || \
                       !object.spec.initContainers.exists(c, c.name == \"anteroom\"))";
pub(super) const ANNOTATIONS: &str = "has(object.metadata.annotations) ? object.metadata.annotations : {}";

/// What an injection does, as expressions.
struct Parts {
    sidecar: String,
    volumes: String,
    sleep: String,
    patch: String,
}

impl Parts {
    fn of_an_injection() -> Result<Self, String> {
        let (plain, with_keys) = (injected(false)?, injected(true)?);
        let mut filled: Vec<(Value, String)> =
            SETTINGS.iter().map(|one| (json!(one.sentinel), format!("variables.{}", one.key))).collect();
        filled.push((json!(APP_SLEEP), "int(params.data.appSleep)".to_owned()));
        let filled: Vec<(Value, &str)> = filled.iter().map(|(value, text)| (value.clone(), text.as_str())).collect();

        let volumes =
            either(list(&plain, "/spec/volumes")?, list(&with_keys, "/spec/volumes")?, "Object.spec.volumes", &filled)?;
        let kind = "Object.spec.initContainers";
        let mounts = "/spec/initContainers/0/volumeMounts";
        let mounts =
            either(list(&plain, mounts)?, list(&with_keys, mounts)?, &format!("{kind}.volumeMounts"), &filled)?;
        let mut sidecar = plain.pointer("/spec/initContainers/0").cloned().ok_or("there is no sidecar")?;
        const MOUNTS: &str = "setting.mounts";
        sidecar.as_object_mut().ok_or("the sidecar is no map")?.insert("volumeMounts".to_owned(), json!(MOUNTS));
        let mut in_sidecar = filled.clone();
        in_sidecar.push((json!(MOUNTS), &mounts));
        let sidecar = expression(&sidecar, kind, &in_sidecar, 0)?;

        let lifecycle = plain.pointer("/spec/containers/0/lifecycle").ok_or("the app does not sleep")?;
        let lifecycle = expression(lifecycle, "Object.spec.containers.lifecycle", &filled, 2)?;
        let sleep = format!(
            "Object{{spec: Object.spec{{containers:\n  object.spec.containers\n    .filter(c, int(params.data.appSleep) > 0 && \
             (!has(c.lifecycle) || !has(c.lifecycle.preStop)))\n    .map(c, Object.spec.containers{{name: c.name, lifecycle: {lifecycle}}})\n}}}}"
        );
        let version =
            plain.pointer("/metadata/annotations").and_then(|all| all.get(names::INJECTED)).ok_or("no version")?;
        let annotation = |name: &str, value: &str| {
            let path = format!("/metadata/annotations/{}", name.replace('~', "~0").replace('/', "~1"));
            format!("JSONPatch{{op: \"add\", path: \"{path}\", value: {value}}}")
        };
        let patch = [
            "(has(object.metadata.annotations) ? [] : [JSONPatch{op: \"add\", path: \"/metadata/annotations\", value: {}}])".to_owned(),
            format!("[{}]", annotation(names::INJECTED, &version.to_string())),
            format!(
                "(\"{0}\" in variables.annotations ? [] : [{1}])",
                names::DEFAULT_CONTAINER,
                annotation(names::DEFAULT_CONTAINER, "object.spec.containers[0].name")
            ),
            "(has(object.spec.volumes) ? [] : [JSONPatch{op: \"add\", path: \"/spec/volumes\", value: []}])".to_owned(),
            "variables.volumes.map(v, JSONPatch{op: \"add\", path: \"/spec/volumes/-\", value: v})".to_owned(),
            "(has(object.spec.initContainers) ? [] : [JSONPatch{op: \"add\", path: \"/spec/initContainers\", value: []}])".to_owned(),
            "[JSONPatch{op: \"add\", path: \"/spec/initContainers/0\", value: variables.sidecar}]".to_owned(),
            "((has(object.spec.terminationGracePeriodSeconds) ? object.spec.terminationGracePeriodSeconds : 30) < int(params.data.grace)\n  \
             ? [JSONPatch{op: \"add\", path: \"/spec/terminationGracePeriodSeconds\", value: int(params.data.grace)}] : [])"
                .to_owned(),
        ];
        Ok(Self { sidecar, volumes, sleep, patch: patch.join(" +\n") })
    }
}

/// What becomes of a pod whose volumes the group must not be set for: the one form that every pod can have.
fn injected(keys: bool) -> Result<Value, String> {
    let mut settings = Settings::new("setting.image", env!("CARGO_PKG_VERSION"));
    settings.asked = Asked::ByDefault;
    settings.app_address = AppAddress::Pod;
    settings.names.config = "setting.config".to_owned();
    settings.names.policies = "setting.policies".to_owned();
    settings.names.tls = "setting.tls".to_owned();
    settings.names.keys = keys.then(|| KEYS.to_owned());
    let quantity = |text: &str| Quantity::parse(text).ok_or_else(|| format!("`{text}` is no quantity"));
    settings.resources.cpu_request = quantity("70001m")?;
    settings.resources.memory_request = quantity("70002Mi")?;
    settings.resources.memory_limit = quantity("70003Mi")?;
    settings.audit_size = quantity("70004Mi")?;
    settings.app_sleep = APP_SLEEP;
    settings.drain = DRAIN;
    let disk = json!({ "name": "disk", "persistentVolumeClaim": { "claimName": "disk" } });
    let before =
        json!({ "metadata": {}, "spec": { "containers": [{ "name": "app", "image": "app" }], "volumes": [disk] } });
    let Outcome::Injected(done) = inject::inject(&before, &settings) else {
        return Err("the plainest pod is not injected".to_owned());
    };
    let mut after = done.template;
    // INVARIANT: what is known of here is all there is. What is new in an injection has to be said by the policies too.
    let mut rest = after.clone();
    let known = [
        ("/metadata", "annotations"),
        ("/spec", "initContainers"),
        ("/spec", "volumes"),
        ("/spec", "terminationGracePeriodSeconds"),
        ("/spec/containers/0", "lifecycle"),
    ];
    for (at, key) in known {
        rest.pointer_mut(at)
            .and_then(Value::as_object_mut)
            .and_then(|map| map.remove(key))
            .ok_or_else(|| format!("no {at}/{key}"))?;
    }
    let annotations = after.pointer("/metadata/annotations").and_then(Value::as_object).ok_or("no annotations")?;
    let plain = json!({ "metadata": {}, "spec": { "containers": [{ "name": "app", "image": "app" }] } });
    let alone = list(&after, "/spec/initContainers")?.len() == 1;
    let grace = after.pointer("/spec/terminationGracePeriodSeconds") == Some(&json!(settings.grace()));
    if rest != plain
        || !alone
        || !grace
        || annotations.keys().any(|key| ![names::INJECTED, names::DEFAULT_CONTAINER].contains(&key.as_str()))
    {
        return Err(format!("an injection does what no policy says: {rest}"));
    }
    let volumes = after.pointer_mut("/spec/volumes").and_then(Value::as_array_mut).ok_or("no volumes")?;
    volumes.retain(|volume| volume.get("name") != Some(&json!("disk")));
    Ok(after)
}

fn list<'v>(of: &'v Value, at: &str) -> Result<&'v [Value], String> {
    of.pointer(at).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| format!("no list at {at}"))
}

/// A list of which some entries are there only where the pod names a Secret with keys.
fn either(plain: &[Value], with_keys: &[Value], kind: &str, filled: &cel::Filled<'_>) -> Result<String, String> {
    let mut runs: Vec<(bool, Vec<Value>)> = Vec::new();
    for value in with_keys {
        let always = plain.contains(value);
        match runs.last_mut() {
            Some((last, run)) if *last == always => run.push(value.clone()),
            Some(_) | None => runs.push((always, vec![value.clone()])),
        }
    }
    let mut parts = Vec::new();
    for (always, run) in runs {
        let text = expression(&Value::Array(run), kind, filled, 0)?;
        parts.push(if always { text } else { format!("(variables.keys == \"\" ? [] : {text})") });
    }
    Ok(parts.join(" + "))
}

/// An entry of a list with a name and an expression.
fn entry(label: &str, name: &str, text: &str, indent: usize) -> String {
    format!("{}- {label}: {name}\n{}", " ".repeat(indent), block("expression", text, indent + 2))
}

/// A key whose value stands in lines below it.
fn block(key: &str, text: &str, indent: usize) -> String {
    let lines = text.lines().map(|line| format!("{}  {line}\n", " ".repeat(indent)));
    format!("{}{key}: |-\n{}", " ".repeat(indent), lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_an_image_without_tag_and_digest() {
        for image in ["r.example:5000/anteroom", "r.example:5000/anteroom:1.0", "r.example:5000/anteroom:1.0@sha256:00"]
        {
            assert_eq!(repository(image), "r.example:5000/anteroom");
        }
    }

    #[test]
    fn every_setting_is_in_the_policy_and_no_sentinel_is_left() {
        let text = injecting().unwrap();
        for setting in SETTINGS {
            assert!(text.contains(&format!("variables.{}", setting.key)), "{}", setting.key);
            assert!(!text.contains(setting.sentinel), "{}", setting.sentinel);
        }
        assert!(
            !text.contains("setting.") && !text.contains(&DRAIN.to_string()) && !text.contains(&APP_SLEEP.to_string())
        );
    }

    #[test]
    fn settings_that_a_policy_cannot_follow_are_refused() {
        let settings = Settings::new("r/a:1", "1");
        assert!(mutating(&settings, "n").unwrap().contains("repository: \"r/a\""));
        assert!(mutating(&Settings { mode: Mode::Container, ..settings.clone() }, "n").is_err());
        assert!(mutating(&Settings { user: None, ..settings }, "n").is_err());
    }
}
