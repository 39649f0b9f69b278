//! What a pod with the sidecar must not have, as a ValidatingAdmissionPolicy.
//!
//! Decides what counts as the sidecar (its image, its own entrypoint, its arguments) and what would lead around it. The guard
//! asks it of every pod of an enforced namespace, the companion of the mutating policy of every pod that asked.

use inject::{Ports, names};

use super::{ANNOTATIONS, block, entry};

/// The guard: one policy for pods that are created, one for containers that are put into running pods.
pub(super) fn guard() -> String {
    let mut text = policy("anteroom-guard", true, CREATE, "pods", &validations());
    let ephemeral = [(
        "false".to_owned(),
        "an ephemeral container reaches the app beside the sidecar; debug in a namespace that is not enforced"
            .to_owned(),
    )];
    text.push_str("---\n");
    text.push_str(&policy("anteroom-guard-ephemeral", false, UPDATE, "pods/ephemeralcontainers", &ephemeral));
    text
}

/// What the mutating policy could not inject is refused: it cannot say no itself.
pub(super) fn companion() -> String {
    let mut asked = validations();
    let known: Vec<String> = names::ANNOTATIONS.iter().map(|name| format!("\"{name}\"")).collect();
    asked.push((
        format!("variables.annotations.all(k, !k.startsWith(\"anteroom.dev/\") || k in [\n  {}])", known.join(",\n  ")),
        "an annotation under anteroom.dev/ is none of ours".to_owned(),
    ));
    asked.push((
        format!("!(\"{0}\" in variables.annotations) || variables.annotations[\"{0}\"] == \"native\"", names::MODE),
        "a policy injects in mode `native` only; use the webhook".to_owned(),
    ));
    format!("---\n{}", policy("anteroom-injector", true, CREATE, "pods", &asked))
}

/// A binding to the namespaces that are enforced.
pub(super) fn binding(name: &str, paramref: &str) -> String {
    format!(
        "---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {{ name: {name} }}\nspec:\n  \
         policyName: {name}\n  validationActions: [Deny]\n{paramref}  matchResources:\n    \
         namespaceSelector: {{ matchLabels: {{ anteroom.dev/enforce: \"true\" }} }}\n"
    )
}

const CREATE: &str = "CREATE";
const UPDATE: &str = "UPDATE";

/// An expression that must hold, and what is said where it does not.
type Validation = (String, String);

const CONTAINERS: &str = "object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : [])";
const SIDECARS: &str = "object.spec.containers.filter(c, c.name == \"anteroom\") +\n(has(object.spec.initContainers)\n  \
                        ? object.spec.initContainers.filter(c, c.name == \"anteroom\" && has(c.restartPolicy) && c.restartPolicy == \"Always\")\n  \
                        : [])";
const OTHERS: &str = "variables.containers.filter(c, c.name != \"anteroom\")";

fn validations() -> Vec<Validation> {
    let volumes: Vec<String> = names::VOLUMES.iter().map(|name| format!("\"{name}\"")).collect();
    let volumes = volumes.join(", ");
    let Ports { https, health } = Ports::default();
    let args = names::ARGS.map(|word| format!("\"{word}\"")).join(", ");
    let args = format!("[{args}]");
    let all: [(String, &str); 11] = [
        (
            "size(variables.sidecars) == 1".to_owned(),
            "this namespace lets pods in only with the sidecar: label the pod template anteroom.dev/inject: \"true\"",
        ),
        (
            "variables.sidecars.all(c, c.image == params.data.repository ||\n  c.image.startsWith(params.data.repository + \":\") || \
             c.image.startsWith(params.data.repository + \"@\"))"
                .to_owned(),
            "the container `anteroom` is of another image than the sidecar's",
        ),
        (
            format!("variables.sidecars.all(c, !has(c.command) && has(c.args) &&\n  c.args == {args})"),
            "the container `anteroom` does something else than to serve",
        ),
        (
            "!has(object.spec.hostNetwork) || !object.spec.hostNetwork".to_owned(),
            "a pod in the host's network cannot be protected by a sidecar",
        ),
        (
            "variables.containers.all(c, !has(c.ports) || c.ports.all(p, !has(p.hostPort) || p.hostPort == 0))".to_owned(),
            "a hostPort leads around the sidecar",
        ),
        (
            format!(
                "variables.sidecars.all(c, !has(c.ports) || c.ports.all(p, p.containerPort in [{https}, {health}])) &&\n\
                 variables.others.all(c, !has(c.ports) || c.ports.all(p, !has(p.name) || !(p.name in [\"{}\", \"{}\"])))",
                names::PORT,
                names::HEALTH_PORT
            ),
            "the names of the sidecar's ports are those of its own ports alone",
        ),
        (
            "variables.sidecars.all(c, has(c.volumeMounts) &&\n  \
             c.volumeMounts.all(m, !has(m.subPath) && !has(m.subPathExpr) && m.mountPath != \"/\" && !m.mountPath.startsWith(\"/anteroom\")) &&\n  \
             c.volumeMounts.exists(m, m.mountPath == \"/etc/anteroom/config\" && m.name == \"anteroom-config\") &&\n  \
             c.volumeMounts.exists(m, m.mountPath == \"/etc/anteroom/policies\" && m.name == \"anteroom-policies\"))"
                .to_owned(),
            "the container `anteroom` is given other files than the sidecar's",
        ),
        (
            "has(object.spec.volumes) && object.spec.volumes.all(v,\n  \
             !(v.name in [\"anteroom-config\", \"anteroom-policies\"]) || has(v.configMap) ||\n  \
             (has(v.projected) && has(v.projected.sources) && v.projected.sources.all(s, has(s.configMap))))"
                .to_owned(),
            "the sidecar's configuration and policies are ConfigMaps, which no container can write",
        ),
        (
            format!("variables.others.all(c, !has(c.volumeMounts) || c.volumeMounts.all(m, !(m.name in [{volumes}])))"),
            "the sidecar's volumes are the sidecar's alone",
        ),
        (
            format!(
                "variables.others.all(c, !has(c.ports) || c.ports.all(p, (has(p.protocol) && p.protocol != \"TCP\") ||\n  \
                 !(p.containerPort in [{https}, {health}])))"
            ),
            "the app uses a port of the sidecar's",
        ),
        (
            "!has(object.spec.os) || object.spec.os.name != \"windows\"".to_owned(),
            "there is no sidecar for Windows",
        ),
    ];
    all.into_iter().map(|(expression, message)| (expression, message.to_owned())).collect()
}

fn policy(name: &str, about_pods: bool, operation: &str, resource: &str, validations: &[Validation]) -> String {
    let params = if about_pods { "  paramKind: { apiVersion: v1, kind: ConfigMap }\n" } else { "" };
    let mut text = format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{ name: {name} }}\nspec:\n{params}  \
         failurePolicy: Fail\n  matchConstraints:\n    resourceRules:\n      \
         - {{ apiGroups: [\"\"], apiVersions: [v1], operations: [{operation}], resources: [{resource}] }}\n"
    );
    if about_pods {
        text.push_str("  variables:\n");
        for (name, expression) in
            [("annotations", ANNOTATIONS), ("containers", CONTAINERS), ("sidecars", SIDECARS), ("others", OTHERS)]
        {
            text.push_str(&entry("name", name, expression, 4));
        }
    }
    text.push_str("  validations:\n");
    for (expression, message) in validations {
        let expression = block("expression", expression, 6);
        text.push_str(&format!("    - {}", expression.trim_start()));
        text.push_str(&format!(
            "      message: {}\n      reason: Forbidden\n",
            serde_json::Value::from(message.as_str())
        ));
    }
    text
}
