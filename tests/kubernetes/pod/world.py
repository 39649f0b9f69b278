"""What every scenario needs: the image of the gate, those of applications, networks, and ways to look into a pod."""

import http.client
import os
import subprocess

from kubelet import Pod, podman
from subject import P2, P2_HOST, PodGate, app, injected


def holds(what, is_so, got=None):
    if not is_so:
        raise AssertionError(what if got is None else f"{what}: got {got}")


class Folder:
    """A folder of one scenario."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)


class World:
    """Networks of this run; names that no other run has."""

    def __init__(self, place, image, images):
        self.place, self.image, self.images, self.suffix = place, image, images, str(os.getpid())
        self.claims = place.path("claims")
        os.makedirs(self.claims)
        self.networks = {False: f"anteroom-pods-{self.suffix}", True: f"anteroom-pods6-{self.suffix}"}

    def __enter__(self):
        podman("network", "create", self.networks[False])
        # An address of nobody (RFC 4193), another one for each run; IPv6 alone.
        number = f"{os.getpid():08x}"
        podman("network", "create", "--ipv6", "--subnet", f"fd77:{number[:4]}:{number[4:]}::/64", self.networks[True])
        return self

    def __exit__(self, *_):
        left = podman("pod", "ps", "-q", "--filter", f"label=run={self.suffix}", check=False).split()
        if left:
            podman("pod", "rm", "-f", "-t", 0, *left, check=False)
        for name in self.networks.values():
            podman("network", "rm", "-f", name, check=False)

    def folder(self, name):
        return Folder(self.place.path(name))

    def gate(self, name, source=P2, host=P2_HOST, port=3000, **settings):
        return PodGate(self.folder(name), source, port, host, **settings)

    def pod(self, name, objects, v6=False, **more):
        return Pod(f"{name}-{self.suffix}", objects, self.networks[v6], run=self.suffix, v6=v6, claims=self.claims, **more)

    def app(self, *arguments, **more):
        return app(self.images["app"], *arguments, **more)

    def injected(self, workload, **annotations):
        return injected(workload, self.image, **annotations)


def metrics(pod):
    connection = http.client.HTTPConnection(pod.ip, 9900, timeout=5)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")}


def status(pod, name, key):
    """A line of /proc/PID/status of a container's first process."""
    return next(line.split()[1:] for line in open(f"/proc/{pod.container(name).pid}/status") if line.startswith(f"{key}:"))


def cgroup(pod, name, controller, *files):
    """The first of these files that a container's cgroup has (version 1 or 2), as a number."""
    for line in open(f"/proc/{pod.container(name).pid}/cgroup"):
        _, controllers, path = line.strip().split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        folder = f"/sys/fs/cgroup/{controllers}{path}" if controllers else f"/sys/fs/cgroup{path}"
        for file in files:
            if os.path.exists(f"{folder}/{file}"):
                return int(open(f"{folder}/{file}").read())
    return None


def shown(pod, host):
    """The certificate that the gate of a pod shows, as PEM."""
    address = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
    said = subprocess.run(["openssl", "s_client", "-connect", f"{address}:8443", "-servername", host], input="", capture_output=True,
                          text=True, timeout=10).stdout
    return said[said.find("-----BEGIN"):said.find("-----END")]
