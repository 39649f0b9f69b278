"""What is tried of pods, one function each. It returns what was measured, in a few words; what does not hold is an error."""

import http.client
import os
import socket
import ssl
import threading
import time

from kubelet import Pod
from load import Balancer, Load
from subject import P2, P2_HOST, PodGate, app, everyday, people, with_sidecar

GRACE = 40  # seconds, what the contract of the pod says


def holds(what, is_so, got=None):
    if not is_so:
        raise AssertionError(f"{what}" + ("" if got is None else f": got {got!r}"))


class World:
    """What every scenario needs: images, networks and a folder."""

    def __init__(self, place, gate_image, images, network, network6):
        self.place, self.gate_image, self.images = place, gate_image, images
        self.network, self.network6, self.suffix = network, network6, str(os.getpid())
        self.claims = place.path("claims")
        os.makedirs(self.claims, exist_ok=True)

    def gate(self, name, source=P2, host=P2_HOST, port=3000, **settings):
        place = Folder(self.place.path(name))
        return PodGate(place, source, port, host, **settings)

    def pod(self, name, objects, **more):
        network = self.network6 if more.get("v6") else self.network
        return Pod(f"{name}-{self.suffix}", objects, network, claims=self.claims, **more)

    def injected(self, workload, **more):
        return with_sidecar(workload, self.gate_image, **more)

    def app(self, *arguments, **more):
        return app(self.images["app"], *arguments, **more)


class Folder:
    """A folder of one scenario."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)


def metrics(pod):
    connection = http.client.HTTPConnection(pod.ip, 9900, timeout=5)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")}


def inside(pod, name, key):
    """A field of /proc/PID/status of a container's first process."""
    return next(line.split()[1:] for line in open(f"/proc/{pod.container(name).pid}/status") if line.startswith(f"{key}:"))


def cgroup(pod, name, controller, *files):
    """The first of these files that there is in a container's cgroup, version 1 or 2, as a number."""
    for line in open(f"/proc/{pod.container(name).pid}/cgroup"):
        _, controllers, path = line.strip().split(":", 2)
        folder = f"/sys/fs/cgroup{path}" if not controllers else f"/sys/fs/cgroup/{controllers}{path}"
        if controller in controllers.split(",") or not controllers:
            for file in files:
                if os.path.exists(f"{folder}/{file}"):
                    return int(open(f"{folder}/{file}").read())
    return None


def start_and_stop(world):
    """Order at the start, rights while it runs, order at the end, and a request that was on its way."""
    gate = world.gate("start")
    workload = world.app("serve")
    workload["spec"]["initContainers"] = [{"name": "migrate", "image": world.images["app"],
                                           "args": ["ask", "http://127.0.0.1:9900/readyz"], "securityContext": workload["spec"]["containers"][0]["securityContext"]}]
    with world.pod("start", gate.objects(world.injected(workload))) as pod:
        pod.start().until_ready()
        ready = pod.at("ready")
        holds("the sidecar, then the init container, then the app",
              pod.order(("started", "anteroom"), ("started up", "anteroom"), ("started", "migrate"), ("exited 0", "migrate"), ("started", "app"), ("ready", "")),
              pod.story())
        tokens = people(gate.behind(pod))
        for method, path, headers, body, status in everyday(tokens):
            got = gate.ask(method, path, body=body, headers=headers)
            holds(f"{method} {path}", got.status == status, (got.status, got.text[:200]))
            holds("it is on the record", gate.event(got)["status"] == status)
        holds("no rights, no new ones, seccomp, uid",
              (inside(pod, "anteroom", "CapEff"), inside(pod, "anteroom", "NoNewPrivs"), inside(pod, "anteroom", "Seccomp"),
               inside(pod, "anteroom", "Uid")[0]) == (["0000000000000000"], ["1"], ["2"], "65532"), inside(pod, "anteroom", "Uid"))
        root = next(line.split()[3] for line in open(f"/proc/{pod.container('anteroom').pid}/mounts") .read().splitlines()
                    if line.split()[1] == "/")
        holds("the root is read-only", root.split(",")[0] == "ro", root)
        rss = int(inside(pod, "anteroom", "VmRSS")[0])
        slow = {}

        def long_request():
            slow["answer"] = gate.ask("GET", "/api/prescriptions?wait=13", tokens["ada"])
        thread = threading.Thread(target=long_request)
        thread.start()
        time.sleep(0.3)
        pod.leave()
        thread.join()
        holds("hooks at once, then SIGTERM to the app, then to the sidecar",
              pod.order(("deleted", ""), ("preStop done", "anteroom"), ("preStop done", "app"), ("SIGTERM", "app"), ("stopped 0", "app"), ("SIGTERM", "anteroom"), ("stopped 0", "anteroom")),
              pod.story())
        took = pod.at("gone") - pod.at("deleted")
    return f"ready in {ready:.1f} s, gone in {took:.1f} s, {rss} KiB resident; a request of 13 s over the end: {slow['answer'].status}"
