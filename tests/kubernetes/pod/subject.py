"""What is run in pods: example P2 and Orthanc, with the sidecar in their pod as docs/kubernetes says."""

import copy
import os
import sys

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, f"{ROOT}/tests/apps")

from gate import Gate, factors  # noqa: E402

P2, P2_HOST = f"{ROOT}/examples/p2-prescription-router", "api.rx-router.example"
ORTHANC, ORTHANC_HOST = f"{ROOT}/tests/apps/orthanc", "images.hospital.example"
NAMES = "https://rx-router.example/"
RESTRICTED = {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
              "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}


class PodGate(Gate):
    """The gate's files as they are in a pod, and the way to a gate that runs there."""

    def __init__(self, place, source, app_port, host, **settings):
        super().__init__(place, source, app_port, host)
        config = yaml.safe_load(open(self.config))
        config["listen"] = {"https": "[::]:8443", "health": "[::]:9900", "control": "unix:/run/anteroom/control.sock"}
        config["tls"]["certificates"] = [{"directory": "/etc/anteroom/tls"}]
        for provider in config["providers"].values():
            provider["jwks"] = {"file": "/etc/anteroom/keys/jwks.json"}
        config["redact"]["pseudonym_key"]["file"] = "/etc/anteroom/keys/pseudonym"
        config["policies"] = "/etc/anteroom/policies"
        config["audit"] = {"directory": "/var/lib/anteroom/audit", "size": "64MiB"}
        config.update(settings)
        self.settings, self.port = config, 8443
        self.policies = {name: open(f"{self.folder}/policies/{name}").read() for name in sorted(os.listdir(f"{self.folder}/policies"))}

    def renew(self, name):
        """New certificates of the same authority's kind; returns the context that trusts them and the old ones."""
        folder = self.place.path(name)
        self.command("dev", "certs", "--out", folder, self.host, "127.0.0.1")
        self.context.load_verify_locations(f"{folder}/ca.crt")
        return folder

    def objects(self, workload, tls=None):
        """The workload and everything that its sidecar mounts."""
        def read(path):
            with open(path, "rb") as file:
                return file.read()
        tls = tls or f"{self.folder}/tls"
        return [workload, config_map("anteroom-config", {"config.yaml": yaml.safe_dump(self.settings, sort_keys=False)}),
                config_map("anteroom-policies", self.policies),
                secret("anteroom-tls", {name: read(f"{tls}/{name}") for name in ("tls.crt", "tls.key")}),
                secret("anteroom-keys", {name: read(f"{self.folder}/keys/{name}") for name in ("jwks.json", "pseudonym")})]

    def behind(self, pod):
        """Asks the gate of this pod from now on, and reads the record in its volume."""
        self.address, self.audit = pod.ip, pod.volumes.path("anteroom-audit")
        return self


def config_map(name, files):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": files}


def secret(name, files):
    import base64
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "data": {key: base64.b64encode(value).decode() for key, value in files.items()}}


def app(image, *arguments, port=3000, volumes=(), **more):
    """A pod template with an application alone: the `workload` of somebody who has not heard of the gate."""
    container = {"name": "app", "image": image, "args": list(arguments), "ports": [{"containerPort": port, "name": "http"}],
                 "securityContext": copy.deepcopy(RESTRICTED), "volumeMounts": [{"name": name, "mountPath": path} for name, path in volumes]}
    if port == 3000:
        container["readinessProbe"] = {"exec": {"command": ["python3", "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}))"]}, "periodSeconds": 2}
    container.update(more.pop("container", {}))
    spec = {"containers": [container], "volumes": [{"name": name, "emptyDir": {}} for name, _ in volumes], **more}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app", "labels": {"app": "app"}}, "spec": spec}


def with_sidecar(pod, image, memory="128Mi", cpu=None):
    pod = copy.deepcopy(pod)
    spec = pod["spec"]
    limits = {"memory": memory, **({"cpu": cpu} if cpu else {})}
    mounts = {"config": "/etc/anteroom/config", "policies": "/etc/anteroom/policies", "tls": "/etc/anteroom/tls",
              "keys": "/etc/anteroom/keys", "run": "/run/anteroom", "audit": "/var/lib/anteroom/audit"}
    writes = ("run", "audit")

    def asks(path, period, failures):
        return {"httpGet": {"path": path, "port": "anteroom-health"}, "periodSeconds": period, "failureThreshold": failures}
    sidecar = {
        "name": "anteroom", "image": image, "restartPolicy": "Always", "args": ["run", "--config", "/etc/anteroom/config/config.yaml"],
        "ports": [{"name": "anteroom", "containerPort": 8443}, {"name": "anteroom-health", "containerPort": 9900}],
        "env": [{"name": "ANTEROOM_POD_IPS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}}],
        "startupProbe": asks("/startedz", 1, 120), "readinessProbe": asks("/readyz", 2, 2), "livenessProbe": asks("/livez", 10, 6),
        "lifecycle": {"preStop": {"exec": {"command": ["/anteroom", "drain"]}}},
        "securityContext": {**copy.deepcopy(RESTRICTED), "runAsUser": 65532, "runAsGroup": 65532},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": limits},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": f"anteroom-{name}", "mountPath": path, "readOnly": name not in writes} for name, path in mounts.items()],
    }
    spec["initContainers"] = [sidecar, *spec.get("initContainers", [])]
    spec["volumes"] = [*spec.get("volumes", []),
                       {"name": "anteroom-config", "configMap": {"name": "anteroom-config"}},
                       {"name": "anteroom-policies", "configMap": {"name": "anteroom-policies"}},
                       {"name": "anteroom-tls", "secret": {"secretName": "anteroom-tls", "defaultMode": 0o440, "optional": False}},
                       {"name": "anteroom-keys", "secret": {"secretName": "anteroom-keys", "defaultMode": 0o440, "optional": False}},
                       {"name": "anteroom-run", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
                       {"name": "anteroom-audit", "emptyDir": {"sizeLimit": "1Gi"}}]
    spec.setdefault("securityContext", {})["fsGroup"] = 65532
    for one in spec["containers"]:
        one.setdefault("lifecycle", {}).setdefault("preStop", {"sleep": {"seconds": 10}})
    spec["terminationGracePeriodSeconds"] = max(40, spec.get("terminationGracePeriodSeconds", 30))
    return pod


def people(gate):
    """Tokens of P2's people."""
    licensed = {f"{NAMES}roles": ["provider"], f"{NAMES}npi": "1234567893"}
    return {"ada": gate.token("auth0|ada", org_id="org_a", **licensed, **factors("pwd", "otp")),
            "pat": gate.token("auth0|pat", org_id="org_a", **{f"{NAMES}roles": ["patient"], f"{NAMES}patient": "p1"})}


def everyday(tokens):
    """Requests of P2's everyday, with the status that each gets: what is let in, and what is not."""
    ada, pat = ({"Authorization": f"Bearer {tokens[name]}"} for name in ("ada", "pat"))
    return [("GET", "/api/prescriptions?page=2", ada, None, 200), ("GET", "/api/prescriptions/rx-7", ada, None, 200),
            ("POST", "/api/prescriptions", {**ada, "Content-Type": "application/json"}, b'{"drug": "amoxicillin"}' * 40, 200),
            ("GET", "/api/patients/p1/prescriptions", pat, None, 200), ("GET", "/api/patients/p2/prescriptions", pat, None, 403)]
