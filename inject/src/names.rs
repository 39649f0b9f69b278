//! The names that people write and that other tools look for: labels, annotations, ports, volumes.

/// Label of a pod template: `"true"` asks for the gate, `"false"` refuses it.
pub const INJECT: &str = "anteroom.dev/inject";
/// Annotation set on what was injected: the version that did it.
pub const INJECTED: &str = "anteroom.dev/injected";
/// Annotation set where the configuration is known: its digest, so that a change starts new pods.
pub const CONFIG_HASH: &str = "anteroom.dev/config-hash";
/// Annotation of Kubernetes: the container that `kubectl logs` and `exec` take.
pub const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// Annotation: the ConfigMap with `config.yaml`.
pub const CONFIG: &str = "anteroom.dev/config";
/// Annotation: the ConfigMap with the policies, one file a key.
pub const POLICIES: &str = "anteroom.dev/policies";
/// Annotation: the Secret with `tls.crt` and `tls.key`.
pub const TLS: &str = "anteroom.dev/tls";
/// Annotation: the Secret with the other keys; none is mounted without it.
pub const KEYS: &str = "anteroom.dev/keys";
/// Annotation: the app's port that Services point at, by number or by name.
pub const APP_PORT: &str = "anteroom.dev/app-port";
/// Annotation: ports of the app that Services may reach around the gate, by number or by name, parted by commas.
pub const KEEP_PORTS: &str = "anteroom.dev/keep-ports";
/// Annotation: where the app listens, `loopback` or `pod`.
pub const APP_ADDRESS: &str = "anteroom.dev/app-address";
/// Annotation: `native` or `container`.
pub const MODE: &str = "anteroom.dev/mode";
/// Annotation: the image of the gate.
pub const IMAGE: &str = "anteroom.dev/image";
/// Annotation: the CPU that the gate asks for.
pub const CPU_REQUEST: &str = "anteroom.dev/cpu-request";
/// Annotation: the memory that the gate asks for.
pub const MEMORY_REQUEST: &str = "anteroom.dev/memory-request";
/// Annotation: the most memory that the gate may have.
pub const MEMORY_LIMIT: &str = "anteroom.dev/memory-limit";
/// Annotation: the size of the volume of the record.
pub const AUDIT_SIZE: &str = "anteroom.dev/audit-size";

/// Every annotation of ours that a pod template may carry. Any other under `anteroom.dev/` is refused.
pub const ANNOTATIONS: [&str; 15] = [
    CONFIG,
    POLICIES,
    TLS,
    KEYS,
    APP_PORT,
    KEEP_PORTS,
    APP_ADDRESS,
    MODE,
    IMAGE,
    CPU_REQUEST,
    MEMORY_REQUEST,
    MEMORY_LIMIT,
    AUDIT_SIZE,
    INJECTED,
    CONFIG_HASH,
];

/// The container.
pub const CONTAINER: &str = "anteroom";
/// What it is started with.
pub const ARGS: [&str; 3] = ["run", "--config", "/etc/anteroom/config/config.yaml"];
/// The port on which the gate serves. Services take its number: the name of a port of an init container that keeps running
/// is looked up by newer clusters alone (Kubernetes issue 127958).
pub const PORT: &str = "anteroom";
/// The port of probes and metrics.
pub const HEALTH_PORT: &str = "anteroom-health";

/// The volume with the configuration.
pub const CONFIG_VOLUME: &str = "anteroom-config";
/// The volume with the policies.
pub const POLICIES_VOLUME: &str = "anteroom-policies";
/// The volume with certificate and key.
pub const TLS_VOLUME: &str = "anteroom-tls";
/// The volume with other keys.
pub const KEYS_VOLUME: &str = "anteroom-keys";
/// The volume with the control socket.
pub const RUN_VOLUME: &str = "anteroom-run";
/// The volume with the record.
pub const AUDIT_VOLUME: &str = "anteroom-audit";

/// Every volume of ours. No container of the app may mount one.
pub const VOLUMES: [&str; 6] = [CONFIG_VOLUME, POLICIES_VOLUME, TLS_VOLUME, KEYS_VOLUME, RUN_VOLUME, AUDIT_VOLUME];

/// The variable in which the gate finds the app's probes, as JSON.
pub const APP_PROBES: &str = "ANTEROOM_APP_PROBES";
/// The variable in which the gate finds the pod's addresses.
pub const POD_IPS: &str = "ANTEROOM_POD_IPS";
