"""What every front is tested between: certificates, two gates with a small application each, and the front's own file.

The files that the manual shows (docs/examples/front) are used as they are, but for addresses, ports and one folder: what
`placed` replaces, and nothing else.
"""

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.request

from gate import ROOT, Gate, Place, binary, free_port, until

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = f"{ROOT}/docs/examples/front"
CLINIC, PORTAL = HOSTS = "clinic.example", "portal.example"
GATES = "127.0.0.7", "127.0.0.8"

# The tests ask fast and send much; a gate that leaves does so within seconds. Nothing else differs from the page.
MORE = """
limits:
  body: 2GiB
  per_address: { rate: 100000/s, burst: 100000 }
  new_connections_per_address: { rate: 10000/s, burst: 100000 }
  least_rate: { per_second: 1KiB, grace: 3s }
drain: { delay: 3s, deadline: 8s }
"""


def placed(text, folder, front_port=443, gate_port=8443, health_port=9900):
    """A file of the manual, on this machine."""
    for old, new in (("10.0.0.5", "127.0.0.1"), ("10.0.0.7", GATES[0]), ("10.0.0.8", GATES[1]), ("/etc/front/", f"{folder}/")):
        text = text.replace(old, new)
    ports = {"443": front_port, "8443": gate_port, "9900": health_port}
    return re.sub(r"\b(443|8443|9900)\b", lambda found: str(ports[found[0]]), text)


def free_on_both():
    """A port that is free on the addresses of both gates."""
    while True:
        port = free_port()
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind((GATES[0], port))
                other.bind((GATES[1], port))
                return port
            except OSError:
                continue


def certificates(folder, *names):
    """An authority (kept, if it is there) and a certificate of it: ca.crt, tls.crt, tls.key."""
    subprocess.run([binary(), "dev", "certs", "--out", folder, *names], check=True, capture_output=True)


def for_a_client(folder):
    """The same for a client: the front, as the gates see it."""
    os.mkdir(folder)
    with open(f"{folder}/extensions", "w") as file:
        file.write("extendedKeyUsage = clientAuth\nsubjectAltName = DNS:front.example\nbasicConstraints = critical, CA:false\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for command in (["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=fronts", "-days", "2"],
                    ["req", *key, "-keyout", "tls.key", "-out", "csr", "-subj", "/CN=front"],
                    ["x509", "-req", "-in", "csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "tls.crt", "-days", "2",
                     "-extfile", "extensions"]):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)


class Certificates:
    """Three authorities: of the front as browsers see it, of the gates, and of the front as the gates see it."""

    def __init__(self, place):
        self.front, self.gates, self.client, self.wrong = (place.path(name) for name in ("front-ca", "gate-ca", "client-ca", "wrong-ca"))
        certificates(self.front, *HOSTS)
        certificates(self.gates, *HOSTS)
        certificates(self.wrong, *HOSTS)
        for_a_client(self.client)

    def lay_out(self, folder, authority=None):
        """The files of /etc/front."""
        for name, source in (("tls.crt", f"{self.front}/tls.crt"), ("tls.key", f"{self.front}/tls.key"), ("client.crt", f"{self.client}/tls.crt"),
                             ("client.key", f"{self.client}/tls.key"), ("gate-ca.crt", f"{authority or self.gates}/ca.crt")):
            shutil.copy(source, f"{folder}/{name}")
        for name in ("tls", "client"):
            with open(f"{folder}/{name}.pem", "w") as file:
                file.write(open(f"{folder}/{name}.crt").read() + open(f"{folder}/{name}.key").read())


class Backend(Gate):
    """One of the two gates, with its application."""

    def __init__(self, place, address, source, app_port, host):
        super().__init__(place, source, app_port, host)
        self.address = address

    def settle(self, https, health, authority):
        text = open(self.config).read()
        text = text.replace(f"127.0.0.1:{self.port}", f"{self.address}:{https}").replace(f"127.0.0.1:{self.health}", f"{self.address}:{health}")
        self.port, self.health = https, health
        with open(self.config, "w") as file:
            file.write(text)
        for name in ("tls.crt", "tls.key"):
            shutil.copy(f"{authority}/{name}", f"{self.folder}/tls/{name}")
        self.command("check", "--config", self.config)
        return self

    def run(self, prefix=()):
        self.process = self.place.start("gate", [*prefix, self.binary, "run", "--config", self.config])
        until(f"the gate at {self.address}", lambda: self.process.poll() is not None or self.ready())
        if self.process.poll() is not None:
            raise SystemExit(f"the gate ended at once:\n{open(self.place.path('gate.log')).read()}")
        return self

    def ready(self):
        try:
            return urllib.request.urlopen(f"http://{self.address}:{self.health}/readyz", timeout=5).status == 200
        except OSError:
            return False

    def metric(self, name, **labels):
        """The sum of a metric over all labels but these."""
        text = urllib.request.urlopen(f"http://{self.address}:{self.health}/metrics", timeout=5).read().decode()
        lines = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.split()[-1]) for line in lines if all(f'{key}="{value}"' in line for key, value in labels.items()))


class Pair:
    """Two gates of one kind (`gate.yaml`, `gate-tcp.yaml`), each with an application."""

    def __init__(self, stack, made, kind, grpc=None):
        self.certificates, self.https, self.health, self.gates = made, free_on_both(), free_on_both(), []
        for number, address in enumerate(GATES, 1):
            place = stack.enter_context(Place())
            app = free_port()
            server = [grpc, f"{HERE}/../apps/grpc/server.py", str(app)] if grpc else [sys.executable, f"{HERE}/app.py", str(app), f"app-{number}"]
            place.serve("app", app, server)
            gate = Backend(place, address, self.source(place, kind, grpc), app, CLINIC)
            self.gates.append(gate.settle(self.https, self.health, made.gates))
        shutil.copy(f"{self.gates[0].folder}/keys/jwks.json", f"{self.gates[1].folder}/keys/jwks.json")
        for gate in self.gates:
            gate.run()

    def source(self, place, kind, grpc):
        source = place.path("source")
        os.makedirs(f"{source}/keys")
        text = placed(open(f"{FILES}/{kind}").read(), source) + MORE
        if grpc:
            text = text.replace("\n  hosts:", "\n  protocol: http2\n  hosts:")
        with open(f"{source}/config.yaml", "w") as file:
            file.write(text)
        shutil.copytree(f"{HERE}/policies", f"{source}/policies")
        shutil.copy(f"{self.certificates.client}/ca.crt", f"{source}/keys/front-ca.pem")
        return source

    def metric(self, name, **labels):
        return sum(gate.metric(name, **labels) for gate in self.gates if gate.process.poll() is None)

    def token(self):
        """A token that both gates believe: they have one key set."""
        return self.gates[0].token("ada", org_id="a", roles=["provider"])


class Front:
    """A front that runs with its file, and maybe a change of it that a test wants."""

    def __init__(self, place, kind, pair, changes=(), authority=None):
        self.place, self.kind, self.pair, self.port = place, kind, pair, free_port()
        folder = place.path("etc")
        os.mkdir(folder)
        pair.certificates.lay_out(folder, authority)
        texts = ""
        for name in kind.files:
            source = f"{FILES}/{name}" if os.path.exists(f"{FILES}/{name}") else f"{HERE}/{name}"
            text = open(source).read()
            texts += text
            for old, new in changes:
                text = text.replace(old, new)
            with open(f"{folder}/{name}", "w") as file:
                file.write(placed(text, folder, self.port, pair.https, pair.health))
        assert all(old in texts for old, _ in changes), f"{kind.files} have not all of {changes}"
        self.process = place.serve(kind.name, self.port, kind.command(folder), cwd=folder)
        until(f"{kind.name} to speak TLS", self.speaks_tls)  # some listen before they have read their certificate

    def speaks_tls(self):
        made = self.pair.certificates
        context = ssl.create_default_context(cafile=f"{made.gates if self.kind.passes else made.front}/ca.crt")
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as raw, context.wrap_socket(raw, server_hostname=CLINIC):
                return True
        except OSError:
            return False

    def memory(self):
        """The most memory that its processes had, in MiB."""
        most = 0
        for pid in os.listdir("/proc"):
            try:
                if pid.isdigit() and os.getsid(int(pid)) == self.process.pid:
                    found = re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status").read())
                    most += int(found[1]) if found else 0
            except OSError:
                continue
        return most / 1024
