"""What is run in pods: example P2 and Orthanc, as `anteroom inject` and the chart put the gate beside them."""

import base64
import copy
import os
import shutil
import subprocess
import sys

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, f"{ROOT}/tests/apps")

from gate import Gate, binary, signed_in  # noqa: E402

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
        """Certificates of another authority, which clients trust from now on beside the old one; returns their folder."""
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
        made = [workload] if workload else []
        return [*made, config_map("anteroom-config", {"config.yaml": yaml.safe_dump(self.settings, sort_keys=False)}),
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
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "data": {key: base64.b64encode(value).decode() for key, value in files.items()}}


def app(image, *arguments, port=3000, kind="Deployment", probed=True, volumes=(), **more):
    """The workload of somebody who has not heard of the gate. The kubelet asks it at its own port."""
    container = {"name": "app", "image": image, "args": list(arguments), "ports": [{"containerPort": port, "name": "http"}],
                 "securityContext": copy.deepcopy(RESTRICTED),
                 "volumeMounts": [{"name": name, "mountPath": path} for name, path in volumes]}
    if probed:
        container["readinessProbe"] = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 2}
    spec = {"containers": [container], "volumes": [{"name": name, "emptyDir": {}} for name, _ in volumes], **more}
    template = {"metadata": {"labels": {"app": "app"}, "annotations": {"anteroom.dev/keys": "anteroom-keys"}}, "spec": spec}
    work = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "app"}, "spec": {"template": template}}
    if kind == "Job":
        work["apiVersion"], spec["restartPolicy"] = "batch/v1", "Never"
    else:
        work["spec"].update(replicas=1, selector={"matchLabels": {"app": "app"}})
    return work


def injected(workload, image, **annotations):
    """What `anteroom inject` makes of it."""
    workload = copy.deepcopy(workload)
    named = {f"anteroom.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
    workload["spec"]["template"]["metadata"]["annotations"].update(named)
    done = subprocess.run([binary(), "inject", "--all", "--image", image, "-f", "-"], input=yaml.safe_dump(workload),
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"anteroom inject: {done.stderr}")
    return yaml.safe_load(done.stdout)


def charted(place, gate, image, application):
    """What the chart makes of example P2, by the values that stand beside it."""
    chart = place.path("helm")
    shutil.copytree(f"{ROOT}/helm", chart, ignore=shutil.ignore_patterns("charts"))
    values = {"app": {"image": dict(zip(("repository", "tag"), application.rsplit(":", 1))), "args": ["serve"],
                      "probes": {"readiness": {"httpGet": {"path": "/healthz", "port": 3000}, "periodSeconds": 2}}},
              "anteroom": {"image": dict(zip(("repository", "tag"), image.rsplit(":", 1)))}}
    with open(place.path("values.yaml"), "w") as file:
        yaml.safe_dump(values, file)
    for command in (["dependency", "update", f"{chart}/anteroom"],
                    ["template", "clinic", f"{chart}/anteroom", "--values", f"{chart}/anteroom/ci/p2.yaml", "--values", file.name]):
        done = subprocess.run(["helm", *command], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"helm {command[0]}: {done.stderr}")
    made = [one for one in yaml.safe_load_all(done.stdout) if one and "helm.sh/hook" not in one["metadata"].get("annotations", {})]
    named = dict(zip(("anteroom-tls", "anteroom-keys"), ("anteroom-tls", "rx-router-keys")))
    for one in gate.objects(None):
        if one and one["metadata"]["name"] in named:
            one["metadata"]["name"] = named[one["metadata"]["name"]]
            made.append(one)
    return made


def people(gate):
    """Tokens of P2's people."""
    licensed = {f"{NAMES}roles": ["provider"], f"{NAMES}npi": "1234567893"}
    return {"ada": gate.token("auth0|ada", org_id="org_a", **licensed, **signed_in(NAMES, "ada", "pwd", "otp")),
            "pat": gate.token("auth0|pat", org_id="org_a", **{f"{NAMES}roles": ["patient"], f"{NAMES}patient": "p1"},
                              **signed_in(NAMES, "pat", "pwd"))}


def everyday(tokens):
    """Requests of P2's everyday, with the status that each gets: what is let in, and what is not."""
    ada, pat = ({"Authorization": f"Bearer {tokens[name]}"} for name in ("ada", "pat"))
    return [("GET", "/api/prescriptions?page=2", ada, None, 200), ("GET", "/api/prescriptions/rx-7", ada, None, 200),
            ("POST", "/api/prescriptions", {**ada, "Content-Type": "application/json"}, b'{"drug": "amoxicillin"}' * 40, 200),
            ("GET", "/api/patients/p1/prescriptions", pat, None, 200), ("GET", "/api/patients/p2/prescriptions", pat, None, 403)]


def allowed(tokens):
    """Those of them that are let in: whoever is refused all the time is limited soon."""
    return [one for one in everyday(tokens) if one[-1] == 200]
