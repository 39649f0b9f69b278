"""Pods for the injector: such as are injected, such as are refused, and what the restricted profile of Pod Security says of one."""

import copy

RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
PLAIN = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "records", "namespace": "clinic", "labels": {"app": "records", "anteroom.dev/inject": "true"}},
    "spec": {
        "containers": [
            {"name": "app", "image": "records:7", "ports": [{"containerPort": 8080, "protocol": "TCP"}], "securityContext": RESTRICTED}
        ],
        "terminationGracePeriodSeconds": 30,
    },
}
DISK = {"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}}
TOKEN = {"name": "kube-api-access-x", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"path": "token"}}]}}
HTTP = {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "timeoutSeconds": 2}


def pod(metadata=None, container=None, **spec):
    one = copy.deepcopy(PLAIN)
    for key, value in (metadata or {}).items():
        one["metadata"].setdefault(key, {}).update(value)
    one["spec"]["containers"][0].update(container or {})
    one["spec"].update(copy.deepcopy(spec))
    return one


def second(**more):
    return {"name": "helper", "image": "helper:1", "securityContext": RESTRICTED, **more}


def annotated(**values):
    return {"annotations": {f"anteroom.dev/{name.replace('_', '-')}": value for name, value in values.items()}}


# What both the webhook and the policy inject alike.
ALIKE = {
    "plain": pod(volumes=[DISK]),
    "of a service account": pod(volumes=[TOKEN, DISK]),
    "init containers": pod(volumes=[DISK], initContainers=[second(name="migrate"), second(name="mesh", restartPolicy="Always")]),
    "no init containers": pod(volumes=[DISK], initContainers=[]),
    "a Job's": pod(volumes=[DISK], restartPolicy="Never"),
    "two containers": pod(volumes=[DISK], containers=[*PLAIN["spec"]["containers"], second()]),
    "a hook": pod(container={"lifecycle": {"preStop": {"exec": {"command": ["sleep", "3"]}}}}, volumes=[DISK]),
    "another hook": pod(container={"lifecycle": {"postStart": {"exec": {"command": ["true"]}}}}, volumes=[DISK]),
    "no grace period": pod(volumes=[DISK], terminationGracePeriodSeconds=0),
    "a long grace period": pod(volumes=[DISK], terminationGracePeriodSeconds=600),
    "a default container": pod({"annotations": {"kubectl.kubernetes.io/default-container": "other"}}, volumes=[DISK]),
    "other names": pod(annotated(config="c", policies="p", tls="t", keys="k", image="registry.example/anteroom:2"), volumes=[DISK]),
    "other amounts": pod(annotated(cpu_request="1", memory_request="1Gi", memory_limit="2Gi", audit_size="10Gi"), volumes=[DISK]),
    "other words": pod(annotated(app_port="8080", mode="native", app_address="pod"), volumes=[DISK]),
    "probes by exec": pod(container={"livenessProbe": {"exec": {"command": ["true"]}}}, volumes=[DISK]),
}

# What the webhook injects and the policy injects otherwise.
WEBHOOK = {
    "a probe": pod(container={"readinessProbe": HTTP, "livenessProbe": {"tcpSocket": {"port": 8080}}}),
    "a group": pod(securityContext={"fsGroup": 2000}),
    "no volumes": pod(),
    "a disk and a probe": pod(container={"startupProbe": HTTP}, volumes=[DISK]),
}

# What neither lets in: what the webhook says, and what the policies say.
REFUSED = {
    "host network": (pod(hostNetwork=True, volumes=[DISK]), "hostNetwork", "host's network"),
    "host port": (pod(container={"ports": [{"containerPort": 8080, "hostPort": 80, "protocol": "TCP"}]}), "host", "hostPort"),
    "a port of ours": (pod(container={"ports": [{"containerPort": 8443, "protocol": "TCP"}]}), "8443", "port of the sidecar"),
    "an unknown annotation": (pod(annotated(confg="c")), "anteroom.dev/confg", "none of ours"),
    "Windows": (pod(os={"name": "windows"}), "Windows", "Windows"),
}


def refused_by_restricted(one):
    """What the profile `restricted` of the Pod Security Standards says against a pod."""
    said, spec = [], one["spec"]
    of_pod = spec.get("securityContext", {})
    said += [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    said += [f"volume {one['name']}" for one in spec.get("volumes", []) if not allowed & set(one)]
    for container in spec["containers"] + spec.get("initContainers", []):
        context = {**{key: of_pod[key] for key in ("runAsNonRoot", "runAsUser", "seccompProfile") if key in of_pod}, **container.get("securityContext", {})}
        held = {
            "privileged": not context.get("privileged"),
            "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is False,
            "runAsNonRoot": context.get("runAsNonRoot") is True,
            "runAsUser": context.get("runAsUser") != 0,
            "seccompProfile": context.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "drop": "ALL" in context.get("capabilities", {}).get("drop", []),
            "add": set(context.get("capabilities", {}).get("add", [])) <= {"NET_BIND_SERVICE"},
            "hostPort": not any(port.get("hostPort") for port in container.get("ports", [])),
            "probe host": not any("host" in probe.get("httpGet", {}) for key, probe in container.items() if key.endswith("Probe")),
        }
        said += [f"{container['name']}: {what}" for what, is_so in held.items() if not is_so]
    return said
