"""How a pod lives: the order at its start and its end, a Job, a crash, IPv6 alone, names, ways around the gate."""

import os
import sys
import threading
import time

from kubelet import podman
from subject import RESTRICTED, ROOT, binary, charted, everyday, people, secret
from world import holds, metrics, status

sys.path.insert(0, f"{ROOT}/tests/kubernetes")

from injector_pods import refused_by_restricted  # noqa: E402
from webhook import Webhook  # noqa: E402


def everyday_holds(gate, tokens):
    """P2's everyday: what is let in, what is not, and all of it on the record."""
    for method, path, headers, body, wanted in everyday(tokens):
        got = gate.ask(method, path, body=body, headers=headers)
        holds(f"{method} {path} gets {wanted}", got.status == wanted, (got.status, got.text[:200]))
        holds("it is on the record", gate.event(got)["status"] == wanted)


def start_and_stop(world):
    """The order at the start, the rights while it runs, the order at the end, and a request that was on its way."""
    gate = world.gate("start")
    workload = world.app("serve")
    asks = {"name": "migrate", "image": world.images["app"], "args": ["ask", "http://127.0.0.1:9900/readyz"], "securityContext": RESTRICTED}
    workload["spec"]["template"]["spec"]["initContainers"] = [asks]
    with world.pod("start", gate.objects(world.injected(workload))) as pod:
        pod.start().until_ready()
        ready = pod.at("ready")
        holds("the sidecar, then the init container, then the app",
              pod.order(("started", "anteroom"), ("started up", "anteroom"), ("started", "migrate"), ("exited 0", "migrate"), ("started", "app"), ("ready", "")))
        tokens = people(gate.behind(pod))
        everyday_holds(gate, tokens)
        rights = [status(pod, "anteroom", key)[0] for key in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Uid", "Gid")]
        holds("no rights, nor a way to new ones", rights == ["0" * 16, "0" * 16, "1", "2", "65532", "65532"], rights)
        mounts = [line.split() for line in open(f"/proc/{pod.container('anteroom').pid}/mounts")]
        writable = sorted(mount[1] for mount in mounts if "rw" in mount[3].split(",") and mount[1].startswith(("/etc/anteroom", "/run", "/var")))
        holds("the root is read-only", all("ro" in mount[3].split(",") for mount in mounts if mount[1] == "/"))
        holds("the socket's and the record's folders alone can be written", writable == ["/run/anteroom", "/var/lib/anteroom/audit"], writable)
        resident = int(status(pod, "anteroom", "VmRSS")[0])
        answers = []
        slow = threading.Thread(target=lambda: answers.append(gate.ask("GET", "/api/prescriptions?wait=8", tokens["ada"])))
        slow.start()
        time.sleep(0.3)
        pod.leave()
        slow.join()
        holds("hooks at once, SIGTERM to the app, and to the sidecar at last",
              pod.order(("deleted", ""), ("preStop", "anteroom"), ("preStop done", "app"), ("SIGTERM", "app"), ("stopped 0", "app"),
                        ("SIGTERM", "anteroom"), ("stopped 0", "anteroom"), ("gone", "")))
        holds("a request of 8 s that was on its way ends well", answers[0].status == 200, answers[0].status)
        took = pod.at("gone") - pod.at("deleted")
        holds("all within the pod's grace period", took < pod.grace, took)
    return f"ready after {ready:.1f} s, gone after {took:.1f} s of {pod.grace}, {resident / 1024:.1f} MiB resident, a request of 8 s outlived the end"


def chart(world):
    """Example P2 out of the chart, its record on a volume of its own: killed, started again, replaced; the record goes on."""
    gate = world.gate("chart")
    made = charted(gate.place, gate, world.image, world.images["app"])
    with world.pod("chart", made) as pod:
        pod.start().until_ready()
        gate.behind(pod)
        tokens = people(gate)
        everyday_holds(gate, tokens)
        first = len(gate.record())
        podman("kill", "-s", "KILL", pod.container("anteroom").id)
        pod.until("the gate to be started again", lambda: pod.container("anteroom").restarts == 1 and pod.routes[-1][1] and pod.ready)
        back = pod.at("ready") - pod.at("exited 137", "anteroom")
        everyday_holds(gate, tokens)
        second = len(gate.record())
    with world.pod("chart", made) as pod:  # the same name: the next pod of the StatefulSet
        pod.start().until_ready()
        everyday_holds(gate.behind(pod), tokens)
        events = gate.record()
    holds("each life added to the record", 0 < first < second < len(events), (first, second, len(events)))
    places = [event["seq"] for event in events if event["origin"] == events[-1]["origin"]]
    holds("no place of the order is missing or taken twice", places == list(range(places[0], places[0] + len(places))), places)
    return f"ready {back:.1f} s after SIGKILL, {len(events)} events in order through three lives"


def webhook(world):
    """A pod that nobody but the webhook has touched: patched in answer to an API server's question, and restricted."""
    gate = world.gate("webhook")
    work = world.app("serve")
    one = {**work["spec"]["template"], "apiVersion": "v1", "kind": "Pod"}
    one["metadata"] = {**one["metadata"], "name": "app", "namespace": "clinic", "labels": {"anteroom.dev/inject": "true"}}
    server = Webhook(binary(), gate.place.path("hook"), ["injector", "serve", "--image", world.image, f"--tls={gate.place.path('hook')}/tls"])
    try:
        patched = server.ask(one)
        holds("the pod is injected", isinstance(patched, dict) and patched != one, patched)
        holds("and is left alone when asked again", server.ask(patched) == patched)
    finally:
        holds("the webhook ends in order", server.end() == 0)
    holds("it is restricted", refused_by_restricted(patched) == [], refused_by_restricted(patched))
    with world.pod("webhook", gate.objects(patched)) as pod:
        pod.start().until_ready()
        ready = pod.at("ready")
        everyday_holds(gate.behind(pod), people(gate))
    return f"ready after {ready:.1f} s, everyday judged and on the record"


def job(world):
    """A Job ends although the gate would run for ever."""
    gate = world.gate("job")
    with world.pod("job", gate.objects(world.injected(world.app("job", "http://127.0.0.1:9900/readyz", "2", kind="Job", probed=False)))) as pod:
        pod.start()
        code = pod.complete()
        holds("the Job succeeds", code == 0, code)
        holds("the gate ends well, after it", pod.order(("completed", ""), ("SIGTERM", "anteroom"), ("stopped 0", "anteroom")))
        took = pod.at("gone") - pod.at("completed")
    return f"succeeded, and the pod was gone {took:.1f} s later"


def ipv6(world):
    """A pod with IPv6 alone, the app on 127.0.0.1 and on ::1."""
    said = []
    for address, url in (("127.0.0.1", "http://127.0.0.1:3000"), ("::1", "http://[::1]:3000")):
        gate = world.gate(f"ipv6-{len(said)}")
        gate.settings["app"]["url"] = url
        with world.pod(f"ipv6-{len(said)}", gate.objects(world.injected(world.app("serve", address))), v6=True) as pod:
            pod.start().until_ready()
            everyday_holds(gate.behind(pod), people(gate))
            said.append(f"app on {address}: ready after {pod.at('ready'):.1f} s")
    return ", ".join(said)


def exposed(world):
    """An app on 0.0.0.0 is found; one on loopback is not; and the redirect closes the way around the gate."""
    gate = world.gate("exposed")
    tokens = people(gate)
    wide, narrow = world.injected(world.app("serve", "0.0.0.0")), world.injected(world.app("serve"))
    closed = world.injected(world.app("serve", "0.0.0.0"))
    redirect = {"name": "anteroom-redirect", "image": world.image, "args": ["redirect", "--ports", "3000"],
                "securityContext": {**RESTRICTED, "runAsNonRoot": False, "runAsUser": 0, "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}}
    closed["spec"]["template"]["spec"]["initContainers"].append(redirect)
    found = {}
    for name, workload in (("0.0.0.0", wide), ("loopback", narrow), ("redirected", closed)):
        with world.pod(f"exposed-{len(found)}", gate.objects(workload)) as pod:
            pod.start().until_ready()
            want = 1.0 if name == "0.0.0.0" else 0.0
            pod.until("the look at the app's port", lambda: metrics(pod).get("anteroom_app_exposed") == want, 12)
            found[name] = outside(pod.ip)
            everyday_holds(gate.behind(pod), tokens)
            if name == "redirected":
                asked = gate.ask("GET", "/api/pharmacies", host=None)
                gate.port = 3000
                got = gate.ask("GET", "/api/prescriptions?page=2", tokens["ada"], headers={"Host": f"{gate.host}:8443"})
                gate.port = 8443
                holds("the app's port leads to the gate", (asked.status, got.status) == (401, 200), (asked.status, got.status, got.text[:200]))
                peer = gate.event(got)["peer"]
                holds("the client's address is kept", peer.startswith("10."), peer)
    holds("around the gate", found == {"0.0.0.0": "answered", "loopback": "refused", "redirected": "not answered"}, found)
    return "0.0.0.0: found, loopback: refused, redirected: what comes to the app's port is judged by the gate"


def outside(ip):
    """What a client that goes around the gate gets of the app's port."""
    import http.client
    connection = http.client.HTTPConnection(ip, 3000, timeout=3)
    try:
        connection.request("GET", "/api/prescriptions")
        return "answered" if connection.getresponse().status == 200 else "not answered"
    except ConnectionRefusedError:
        return "refused"
    except (OSError, http.client.HTTPException):
        return "not answered"
    finally:
        connection.close()


def names(world):
    """The issuer's name is asked of DNS, by the static binary, in a pod without a resolver's files."""
    host = f"issuer-{world.suffix}"
    gate = world.gate("names")
    gate.command("dev", "certs", "--out", gate.place.path("issuer"), host)
    provider = next(iter(gate.settings["providers"].values()))
    provider["jwks"] = {"url": f"https://{host}:8444/jwks.json", "ca": "/etc/anteroom/keys/ca.crt", "private": ["10.0.0.0/8", "fd77::/16"]}

    def read(path):
        with open(gate.place.path(path), "rb") as file:
            return file.read()
    files = {"tls.crt": read("issuer/tls.crt"), "tls.key": read("issuer/tls.key"), "jwks.json": read("gate/keys/jwks.json")}
    issuer = world.app("issue", "/files", "8444", port=8444, probed=False)
    spec = issuer["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "files", "secret": {"secretName": "issuer"}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "files", "mountPath": "/files"}]
    objects = gate.objects(world.injected(world.app("serve")))
    objects[-1] = secret("anteroom-keys", {"ca.crt": read("issuer/ca.crt"), "pseudonym": read("gate/keys/pseudonym")})
    with world.pod("issuer", [issuer, secret("issuer", files)]) as other, world.pod("names", objects) as pod:
        other.start()
        pod.start().until_ready()
        pod.until("the issuer's keys", lambda: any(name.startswith("anteroom_provider_keys{") and value > 0 for name, value in metrics(pod).items()))
        everyday_holds(gate.behind(pod), people(gate))
    return f"keys fetched from https://{host}:8444 over verified TLS"
