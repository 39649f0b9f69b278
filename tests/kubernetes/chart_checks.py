"""What tests/kubernetes/chart holds the charts to: the shape of the pod, what Helm must refuse, and that alerts, dashboard, metrics
and runbooks speak of the same things.
"""

import json
import os
import re

OURS = {
    "anteroom-config": "/etc/anteroom/config",
    "anteroom-policies": "/etc/anteroom/policies",
    "anteroom-tls": "/etc/anteroom/tls",
    "anteroom-keys": "/etc/anteroom/keys",
    "anteroom-lists": "/etc/anteroom/lists",
    "anteroom-run": "/run/anteroom",
    "anteroom-audit": "/var/lib/anteroom/audit",
}
CONTRACT = {"golden": ["minimal", "demo", "login", "per-pod", "own-chart"]}
# Where the chart keeps what is known of sessions: in the volume of the record.
STATE = f"{OURS['anteroom-audit']}/sessions"
# Metrics of Prometheus itself, of kubelet and of kube-state-metrics.
THEIRS = {"up", "container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "kube_pod_container_status_restarts_total"}

# values file, words, what is said
REFUSED = [
    ("minimal", ["--set", "anteroom.config.app.hots={a.example}"], "hots"),
    ("minimal", ["--set", "anteroom.confg.app=1"], "confg"),
    ("minimal", ["--set", "replica=2"], "replica"),
    ("minimal", ["--set", "anteroom.config.rollout.csrf=on"], "csrf"),
    ("minimal", ["--set-json", "anteroom.config.rollout.csrf=true"], "csrf"),
    ("minimal", ["--set-json", 'anteroom.policies={"a.yaml":{"apiVersion":"anteroom.dev/v1","kind":"Policy","metadata":{"name":"a"},"route":{}}}'], "route"),
    ("minimal", ["--set", "anteroom.policies.notes\\.txt.a=1"], "notes.txt"),
    ("minimal", ["--set", "anteroom.config.listen.https=0.0.0.0:80"], "listen"),
    ("minimal", ["--set", "anteroom.mode=sidecar"], "native"),
    ("minimal", ["--set", "anteroom.tls.source=letsencrypt"], "selfSigned"),
    ("minimal", ["--set", "anteroom.image.repository="], "name the repository"),
    ("minimal", ["--set", "anteroom.image.digest=latest"], "pattern|match"),
    ("minimal", ["--set", "app.image.repository="], "name your application's image"),
    ("minimal", ["--set", "app.image.tag="], "say which"),
    ("minimal", ["--set", "app.demo=true"], "sample clinic, or an image of yours"),
    ("minimal", ["--set", "anteroom.existingConfigMap=x"], "say one of the two"),
    ("minimal", ["--set", "anteroom.config=null"], "write the gate's configuration|anteroom.config"),
    ("minimal", ["--set", "anteroom.policies=null"], "without a rule everything is closed|anteroom.policies"),
    ("existing", ["--set", "anteroom.rollout=restart"], "nobody here sees a ConfigMap"),
    ("claim", ["--set", "replicas=2"], "one process writes to one record"),
    ("demo", ["--set", "replicas=2"], "one replica"),
    ("claim", ["--set", "anteroom.audit.claim="], "name the PersistentVolumeClaim"),
    ("cert-manager", ["--set", "anteroom.tls.certManager.issuerRef.name="], "name the issuer"),
    ("cert-manager", ["--set-json", "anteroom.tls.certManager.issuerRef={}"], "name the issuer|issuerRef"),
    ("cert-manager", ["--set-json", "anteroom.tls.certManager.issuerRef=null"], "name the issuer"),
    ("own-chart", ["--set", "replicaCount=3,anteroom.audit.storage=claim,anteroom.audit.claim=c"], "one process writes to one record"),
    ("own-chart", ["--set", "autoscaling.enabled=true,anteroom.audit.storage=claim,anteroom.audit.claim=c"], "one process writes to one record"),
    ("own-chart", ["--set", "anteroom.audit.storage=perPod"], "is for a StatefulSet"),
    ("pinned", ["--set", "extraContainers[0].name=anteroom"], "is taken"),
    ("pinned", ["--set", "extraContainers[0].name=app"], "is taken"),
    ("pinned", ["--set", "extraInitContainers[0].name=anteroom-redirect"], "is taken"),
    ("pinned", ["--set", "extraInitContainers[0].name=beside"], "is taken"),
    ("pinned", ["--set", "extraContainers[0].ports[0].containerPort=9900"], "is a port of the gate"),
    ("pinned", ["--set", "extraContainers[0].volumeMounts[0].name=nothing"], "there is no volume `nothing`"),
    ("pinned", ["--set", "app.volumeMounts[0].name=nothing"], "there is no volume `nothing`"),
    ("pinned", ["--set", "app.volumeMounts[0].name=anteroom-tls"], "the sidecar's alone"),
    ("pinned", ["--set", "volumes[0].name=tmp"], "stands twice|there is no volume"),
    ("minimal", ["--set", "anteroom.app.port=8443"], "a port of the gate itself"),
    ("minimal", ["--set", "anteroom.config.app.url=http://10.0.0.9:3000"], "with a loopback address"),
    ("minimal", ["--set", "anteroom.config.app.url=http://127.0.0.1:9900"], "a port of the gate itself"),
    ("minimal", ["--set", "anteroom.config.app.hosts={https://clinic.example}"], "is not a name"),
    ("minimal", ["--set", "anteroom.config.app.hosts={*.clinic.example}"], "is not a name"),
    ("p2", ["--set", "anteroom.keys.secret="], "say which Secret"),
    ("login", ["--set", "anteroom.keys.secret="], "below /etc/anteroom/keys; say which Secret holds them"),
    ("login", ["--set", "anteroom.lists.configMap="], "below /etc/anteroom/lists; say which ConfigMap or Secret"),
    ("login", ["--set", "anteroom.lists.secret=x"], "a ConfigMap or a Secret, not both"),
    ("login", ["--set", "replicas=2"], "config.session speaks of sessions"),
    ("login", ["--set", "replicas=2", "--set-json", "anteroom.config.session=null"], "config.app.session speaks of sessions"),
    ("login", ["--set", "replicas=2", "--set-json", "anteroom.config.session=null", "--set-json", "anteroom.config.app.session=null"], "providers.staff.login speaks"),
    ("login", ["--set", "anteroom.config.session.idel=15m"], "idel"),
    ("sessions", ["--set", "anteroom.sessionsPerPod=refuse"], "config.session speaks of sessions"),
    ("sessions", ["--set", "anteroom.sessionsPerPod=refuse", "--set-json", "anteroom.config.session=null"], "roles.provider.session speaks of sessions"),
    ("sessions", ["--set", "anteroom.sessionsPerPod=yes"], "refuse"),
    ("own-chart", ["--set", "replicaCount=3,anteroom.config.session.idle=15m"], "config.session speaks of sessions"),
    ("minimal", ["--set", "anteroom.audit.size=1G"], "pattern|match"),
    ("minimal", ["--set", "anteroom.config.drain.deadline=1d"], "is not a number and s, m or h"),
    ("gateway", ["--set", "anteroom.config.app.hosts={a.example,b.example}"], "one host"),
    ("monitoring", ["--set", "monitoring.rules.runbooks=runbooks.md#"], "runbooks"),
    ("monitoring", ["--set", "monitoring.rules.without={AnteroomNone}"], "there is no alert"),
    ("pinned", ["--set", "app.probes.readiness.httpGet.port=web"], "give the port as a number"),
    ("minimal", ["--kube-version", "1.28.0"], "1.29"),
]

# values file, words, what the notes say, what they do not say
NOTES = [
    ("minimal", [], ["404 NO_ROUTE"], ["A TRIAL", "SHUT OUT"]),
    ("demo", [], ["A TRIAL"], []),
    ("per-pod", [], ["3 pods allow 3 times as much"], ["SESSIONS"]),
    ("login", [], ["rollout status"], ["Sessions go with the pod", "SESSIONS"]),
    ("login", ["--set", "anteroom.audit.storage=emptyDir"], ["Sessions go with the pod as well (config.session)", "`perPod` keeps them"], ["SESSIONS ARE"]),
    ("sessions", [], ["SESSIONS ARE ONE POD'S OWN", "2 pods allow 2 times"], []),
    ("existing", [], ["rollout status"], ["SESSIONS"]),
    ("existing", ["--set", "replicas=2"], ["SESSIONS ARE ONE POD'S OWN"], []),
    ("minimal", ["--set", "monitoring.podMonitor.enabled=true"], ["PROMETHEUS IS SHUT OUT"], []),
    ("minimal", ["--set", "monitoring.podMonitor.enabled=true,networkPolicy.enabled=false"], [], ["SHUT OUT"]),
    ("monitoring", [], ["rollout status"], ["SHUT OUT"]),
    ("minimal", ["--set", "ingress.enabled=true"], ["THE INGRESS HAS NO ANNOTATIONS", "all clients share one address"], []),
    ("minimal", ["--set", "ingress.enabled=true,ingress.className=nginx"], ["does not verify the gate's certificate"], ["NO ANNOTATIONS"]),
    ("ingress", [], ["rollout status"], ["does not verify", "NO ANNOTATIONS", "client_address"]),
    ("minimal", ["--set", "service.type=LoadBalancer"], ["right where the balancer leaves"], []),
    ("load-balancer", [], ["rollout status"], ["client_address"]),
    ("pinned", ["--set", "anteroom.app.port=3001"], ["The startup probe asks port 3000, and the gate sends requests to port 3001"], []),
    ("pinned", [], ["rollout status"], ["probe asks port"]),
]


class Faults:
    """Expectations, counted; what does not hold is said at once."""

    def __init__(self):
        self.held, self.broken = 0, 0

    def that(self, what, holds, said=""):
        if holds:
            self.held += 1
        else:
            self.broken += 1
            print(f"FAIL {what}" + (f"\n{said.strip()}" if said else ""))
        return bool(holds)

    def end(self):
        print(f"chart: {self.held} of {self.held + self.broken} held")
        return 1 if self.broken else 0


def contract(name, made, faults):
    """What injection, the image and the operator's commands rely on."""
    pods = [one["spec"]["template"] for one in made if one["kind"] in ("Deployment", "StatefulSet")]
    faults.that(f"{name}: one workload", len(pods) == 1)
    for one in made:
        faults.that(f"{name}: {one['metadata']['name']} fits", len(one["metadata"]["name"]) <= 63)
    for template in pods:
        spec = template["spec"]
        first = [one for one in spec.get("initContainers") or [] if not one["name"].startswith("anteroom-")]
        native = name != "container"
        faults.that(f"{name}: where the sidecar stands", [one["name"] for one in first][:1] == (["anteroom"] if native else []))
        gate = next(one for one in [*first, *spec["containers"]] if one["name"] == "anteroom")
        faults.that(f"{name}: native or not", gate.get("restartPolicy") == ("Always" if native else None))
        faults.that(f"{name}: ports", [(one["name"], one["containerPort"]) for one in gate["ports"]] == [("anteroom", 8443), ("anteroom-health", 9900)])
        faults.that(f"{name}: arguments", gate["args"] == ["run", "--config", "/etc/anteroom/config/config.yaml"])
        faults.that(f"{name}: drain", gate["lifecycle"]["preStop"]["exec"]["command"] == ["/anteroom", "drain"])
        for probe, path in (("startupProbe", "/startedz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/livez")):
            faults.that(f"{name}: {probe}", gate[probe]["httpGet"] == {"path": path, "port": "anteroom-health"})
        claims = [one["metadata"]["name"] for workload in made if workload["kind"] == "StatefulSet"
                  for one in workload["spec"]["volumeClaimTemplates"]]
        volumes = {one["name"]: one for one in spec["volumes"]}
        for volume in (one for one in spec["volumes"] if one["name"] in OURS and "secret" in one):
            faults.that(f"{name}: the sidecar's user can read {volume['name']}", volume["secret"]["defaultMode"] & 0o004)
        for mount in gate["volumeMounts"]:
            if mount["name"] in OURS:
                faults.that(f"{name}: {mount['name']}", mount["mountPath"] == OURS[mount["name"]] and "subPath" not in mount)
            faults.that(f"{name}: there is a volume {mount['name']}", mount["name"] in volumes or mount["name"] in claims)
        for container in [*spec["containers"], *first]:
            if container is not gate:
                mounts = {one["name"] for one in container.get("volumeMounts", [])}
                faults.that(f"{name}: {container['name']} mounts nothing of the gate", not mounts & set(OURS))
        for container in [gate, *[one for one in spec.get("initContainers") or [] if one["name"].startswith("anteroom-trial-")]]:
            context = container["securityContext"]
            faults.that(f"{name}: {container['name']} is restricted", context["runAsNonRoot"] and context["readOnlyRootFilesystem"]
                        and not context["allowPrivilegeEscalation"] and context["capabilities"] == {"drop": ["ALL"]}
                        and context["seccompProfile"] == {"type": "RuntimeDefault"})
            faults.that(f"{name}: {container['name']} may have memory and any CPU", list(container["resources"]["limits"]) == ["memory"])
        for one in made:
            if one["kind"] == "ConfigMap" and (session := re.search(r"(?m)^session:\n((?: .*\n)+)", one["data"].get("config.yaml", ""))):
                faults.that(f"{name}: what is known of sessions is kept beside the record", f"  state: {STATE}\n" in session[1], session[1])
        maps = {one["metadata"]["name"] for one in made if one["kind"] == "ConfigMap"}
        if name != "existing":
            named = {volumes[volume]["configMap"]["name"] for volume in ("anteroom-config", "anteroom-policies")}
            faults.that(f"{name}: the ConfigMaps that are mounted are there", named <= maps, str(named - maps))
        app = next(one for one in spec["containers"] if one["name"] in ("app", "portal"))
        if name == "own-chart":
            probes = next(one["value"] for one in gate["env"] if one["name"] == "ANTEROOM_APP_PROBES")
            asked = app["readinessProbe"]["httpGet"]
            faults.that(f"{name}: the gate knows the probe that is asked", asked == {"path": "/app-health/portal/readyz", "port": 9900} and "readyz" in json.loads(probes)["portal"])
        faults.that(f"{name}: the application goes on for ten seconds", app["lifecycle"]["preStop"] == {"sleep": {"seconds": 10}})
        faults.that(f"{name}: there is time to leave", spec["terminationGracePeriodSeconds"] >= 40)
        if name != "own-chart":
            faults.that(f"{name}: no token", spec["automountServiceAccountToken"] is False)
    for one in made:
        if one["kind"] == "Service" and not one["metadata"]["name"].endswith("-health"):
            faults.that(f"{name}: the Service points at the gate", [port["targetPort"] for port in one["spec"]["ports"]] == [8443])
        if one["kind"] in ("Service", "NetworkPolicy"):
            faults.that(f"{name}: {one['kind']} {one['metadata']['name']} says numbers of ports", named_ports(one) == [])


def named_ports(one):
    """Where an object leads to a port by its name, which is not looked up among native sidecars before Kubernetes 1.33."""
    if one["kind"] == "Service":
        ports = [port.get("targetPort") for port in one["spec"]["ports"]]
    else:
        ports = [port["port"] for way in ("ingress", "egress") for rule in one["spec"].get(way) or [] for port in rule.get("ports", [])]
    return [port for port in ports if not isinstance(port, int)]


def worked_example(root, faults):
    """What the library's README shows is what was rendered."""
    shown = open(f"{root}/tests/kubernetes/own-chart/templates/deployment.yaml").read()
    faults.that("the README of anteroom-lib shows the Deployment of own-chart", f"```yaml\n{shown}```" in open(f"{root}/helm/anteroom-lib/README.md").read())


def ingress(root, yaml, everything, faults):
    """What the chart writes for ingress-nginx is what docs/in-front.md has, and was tested."""
    shown = next(yaml.safe_load_all(open(f"{root}/docs/examples/front/kubernetes/ingress-nginx.yaml")))["metadata"]["annotations"]
    made = next(one for one in everything["ingress"] if one["kind"] == "Ingress")["metadata"]["annotations"]
    faults.that("the Ingress of the chart is that of docs/in-front.md", made == shown, f"{made}\n{shown}")


def exprs(root, yaml):
    """Every expression of alerts and dashboard, with where it stands."""
    for group in yaml.safe_load(open(f"{root}/helm/anteroom/files/alerts.yaml"))["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in json.load(open(f"{root}/helm/anteroom/files/dashboard.json"))["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def watched(root, place, yaml, check, faults):
    """The dashboard's queries, as rules, so that promtool reads them."""
    rules = [{"record": "panel", "expr": expr.replace("$__rate_interval", "5m").replace("$__range", "1h")} for _, expr in exprs(root, yaml)]
    for number, rule in enumerate(rules):
        rule["record"] = f"panel:{number}"
    yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}, open(f"{place}/dashboard.yaml", "w"))
    done = check(f"{place}/dashboard.yaml")
    faults.that("the dashboard's queries are queries", done.returncode == 0, done.stdout + done.stderr)


def names_of_metrics(root, yaml, faults):
    """Each metric that is asked for is one that the gate has, or a known one of somebody else."""
    documented = set(re.findall(r"(?m)^\| `(\w+)` \|", open(f"{root}/docs/metrics.md").read()))
    faults.that("the page of metrics is read", len(documented) > 20)
    for where, expr in exprs(root, yaml):
        bare = re.sub(r'"[^"]*"', "", re.sub(r"\{[^}]*\}", "", expr))
        bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
        for name in set(re.findall(r"\b[a-z][a-z0-9]*_[a-z0-9_]+\b", bare)) | ({"up"} & set(re.findall(r"\w+", bare))):
            if name in ("histogram_quantile", "predict_linear", "label_replace", "count_values", "label_join", "__rate_interval"):
                continue
            known = re.sub(r"_(bucket|sum|count)$", "", name) in documented or name in documented or name in THEIRS
            faults.that(f"{where}: `{name}` is a metric", known)


def links(root, yaml, faults):
    """Each alert has a runbook, and each runbook an alert."""
    path = f"{root}/docs/kubernetes/runbooks.md"
    books = set(re.findall(r"(?m)^## (Anteroom\w+)$", open(path).read())) if os.path.exists(path) else set()
    alerts = {rule["alert"] for group in yaml.safe_load(open(f"{root}/helm/anteroom/files/alerts.yaml"))["groups"] for rule in group["rules"]}
    faults.that("a runbook for each alert and no other", books == alerts, f"{sorted(books ^ alerts)}")
    versions = {json.loads(one) if one.startswith('"') else one for file in ("anteroom", "anteroom-lib")
                for one in re.findall(r"(?m)^(?:version|appVersion): (\S+)$", open(f"{root}/helm/{file}/Chart.yaml").read())}
    versions |= set(re.findall(r'(?m)^version = "(.*)"$', open(f"{root}/Cargo.toml").read()))
    versions |= set(re.findall(r'(?s)define "anteroom.version" -}}\n(\S+)\n', open(f"{root}/helm/anteroom-lib/templates/_names.tpl").read()))
    faults.that("one version everywhere", len(versions) == 1, str(versions))


def no_booleans(root, faults):
    """No word that a value may be is one that YAML takes for a boolean."""
    def words(node):
        if isinstance(node, dict):
            yield from (one for one in [*node.get("enum", []), node.get("const")] if isinstance(one, str)) if not isinstance(node.get("enum"), dict) else ()
            for value in node.values():
                yield from words(value)
        elif isinstance(node, list):
            for value in node:
                yield from words(value)

    for chart in ("anteroom", "anteroom-lib"):
        found = {one for one in words(json.load(open(f"{root}/helm/{chart}/values.schema.json")))}
        faults.that(f"{chart}: no value is taken for a boolean", found and not found & {"on", "off", "yes", "no", "y", "n", "true", "false"}, str(found))
