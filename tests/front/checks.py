"""What is asked of every front. Each function is one row of the table in docs/in-front.md; it ends quietly where all is well,
raises `Broken` where it is not, and `NotForThis` where the front cannot do such a thing."""

import contextlib
import hashlib
import http.client
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import threading
import time

from client import CLIENT, Load, Visitor, events, resets, stalled, told, upload, websocket
from packages import CACHE, python
from gate import Place, until
from stage import CLINIC, GATES, HERE, HOSTS, PORTAL, Front, certificates

SPOOFED = {"X-Forwarded-For": "198.51.100.66", "Forwarded": "for=198.51.100.66", "X-Real-Ip": "198.51.100.66", "X-Tenant-Id": "evil"}


class Broken(Exception):
    """What was expected did not come."""


class NotForThis(Exception):
    """A front of this kind has no such thing."""


def must(what, holds, got=None):
    if not holds:
        raise Broken(f"{what}: {got!r}" if got is not None else what)


class Scene:
    """A front that runs between its clients and two gates."""

    def __init__(self, kind, front, pair, long):
        self.kind, self.front, self.pair, self.long = kind, front, pair, long
        self.ca = f"{pair.certificates.gates if kind.passes else pair.certificates.front}/ca.crt"

    def visitor(self, host=CLINIC, front=None):
        return Visitor((front or self.front).port, self.ca, host)

    @contextlib.contextmanager
    def another(self, changes=(), authority=None, pair=None, files=None):
        """The same front with a change, for one check."""
        with Place() as place:
            kind = self.kind
            if files:
                kind = type(kind)(**{**kind.__dict__, "files": files})
            yield Front(place, kind, pair or self.pair, changes, authority)


def tls_on_both_sides(scene):
    with scene.visitor().tls() as tls:
        must("TLS 1.3 to the front", tls.version() == "TLSv1.3", tls.version())
    status, said = scene.visitor().ask("GET", "/who")
    must("an answer", status == 200, (status, said))
    got = scene.visitor().curl("/who")
    must("an answer over HTTP/2", isinstance(got, list) and got[0][:2] == ("200", "2"), got)
    must("no handshake with the gates failed", (ok := scene.pair.metric("anteroom_tls_handshakes_total", result="ok")) > 0, ok)


def the_clients_address(scene):
    for headers in ({}, SPOOFED):
        status, said = scene.visitor().ask("GET", "/who", headers=headers)
        must("an answer", status == 200, (status, said))
        must("the application is told the client's address, whatever the client says", told(said) == [["x-forwarded-for", CLIENT]], told(said))
        must("no identity of a client's own", "evil" not in str(said), said)
    seen = {event["peer"] for gate in scene.pair.gates for event in gate.record() if event.get("rule") == "who"}
    must("the record too", seen == {CLIENT}, seen)


def credentials(scene):
    token = scene.pair.token()
    for _ in range(4):  # both gates
        status, said = scene.visitor().ask("GET", "/mine", headers={"Authorization": f"Bearer {token}"}, kept=False)
        must("a token passes", status == 200 and ["x-tenant-id", "a"] in said["headers"], (status, said))
    status, said = scene.visitor().ask("GET", "/mine")
    must("none does not", status == 401 and said["code"] == "NO_CREDENTIAL", (status, said))


def several_hosts(scene):
    kept = [scene.visitor(host) for host in HOSTS]
    for turn in range(12):
        status, said = kept[turn // 2 % 2].ask("GET", "/who")
        must("two hosts each twice in turn", status == 200, (turn, status, said))
        must("`Host` as it came", ["host", HOSTS[turn // 2 % 2]] in said["headers"], said)
    got = scene.visitor().curl("/who", hosts=[*HOSTS] * 3)
    must("over HTTP/2 too", isinstance(got, list) and [one[0] for one in got] == ["200"] * 6, got)


def verified(scene):
    if scene.kind.passes:
        raise NotForThis("the client verifies it")
    before = scene.pair.metric("anteroom_tls_handshakes_total", result="by_the_client")
    with scene.another(authority=scene.pair.certificates.wrong) as front:
        status, said = scene.visitor(front=front).ask("GET", "/who")
        must("a certificate of another authority", status in (0, 500, 502, 503, 504) and "app" not in said, (status, said))
    after = scene.pair.metric("anteroom_tls_handshakes_total", result="by_the_client")
    must("the gate counts it", after > before or scene.kind.verifies_late, (before, after))
    with other_name(scene.pair), scene.another() as front:
        status, said = scene.visitor(front=front).ask("GET", "/who")
        must("a certificate for another name", status in (0, 500, 502, 503, 504) and "app" not in said, (status, said))


@contextlib.contextmanager
def other_name(pair):
    """The gates show a certificate of the right authority for another name."""
    def show(*names):
        done = [gate.metric("anteroom_reload_total", result="done") for gate in pair.gates]
        certificates(pair.certificates.gates, *names)
        for gate in pair.gates:
            for name in ("tls.crt", "tls.key"):
                shutil.copy(f"{pair.certificates.gates}/{name}", f"{gate.folder}/tls/{name}")
        until("the reload", lambda: all(gate.metric("anteroom_reload_total", result="done") > one for gate, one in zip(pair.gates, done)))

    show("other.example")
    try:
        yield
    finally:
        show(*HOSTS)


def nobody_goes_around(scene):
    if scene.kind.passes:
        raise NotForThis("clients reach the gate as they are")
    around = Visitor(scene.pair.https, f"{scene.pair.certificates.gates}/ca.crt", CLINIC, GATES[0])
    try:
        around.ask("GET", "/who", headers=SPOOFED)
        raise Broken("the gate answers a client without the front's certificate")
    except (ssl.SSLError, ConnectionError):
        pass
    except Broken as broken:
        status, said = around.ask("GET", "/who", headers=SPOOFED)
        must("refused", status == 0, (str(broken), status, said))
    count = scene.pair.metric("anteroom_tls_handshakes_total", result="no_certificate")
    must("the gate counts it", count > 0, count)


def own_header(scene):
    """A client that writes a PROXY header of its own gets nothing by it."""
    if not scene.kind.passes:
        raise NotForThis("the front ends TLS")
    with socket.create_connection(("127.0.0.1", scene.front.port), 5, source_address=(CLIENT, 0)) as raw:
        raw.sendall(b"PROXY TCP4 198.51.100.66 127.0.0.1 1 443\r\n")
        context = ssl.create_default_context(cafile=scene.ca)
        try:
            context.wrap_socket(raw, server_hostname=CLINIC)
            raise Broken("a PROXY header of the client's own was taken")
        except (ssl.SSLError, ConnectionError):
            pass


def websockets(scene):
    for host in HOSTS:
        said = websocket(scene.visitor(host))
        must("what was said comes back", said == b"is anybody there?", said)


def events_at_once(scene):
    name = os.urandom(4).hex()
    connection, answer, first = events(scene.visitor(), name)
    must("the first event is here before the second one happens", first == b"data: first\n\n", (answer.status, first))
    scene_go(scene, name)
    must("and then the second one", b"second" in answer.read())
    connection.close()


def scene_go(scene, name):
    """Lets the streams of one name go on, at both applications."""
    visitor = scene.visitor()
    reached = set()

    def both():
        reached.add(str(visitor.ask("POST", f"/go/{name}", "now", kept=False)[1]))
        return len(reached) == 2

    until("both applications to be told", both)


def uploads(scene):
    # The gate that has the upload must be the one that is asked how much it has: one gate leaves the choice to none.
    size = (1024 if scene.long else 128) << 20
    name = os.urandom(4).hex()
    status, said, streamed = upload(scene.visitor(), name, size)
    digest = hashlib.sha256()
    for _ in range(size >> 20):
        digest.update(bytes(1 << 20))
    must("all of it arrives", status == 200 and said == {"bytes": size, "sha256": digest.hexdigest()}, (status, said))
    must("piece by piece: the application has the first MiB before the second one is sent", streamed)
    must("the front did not hold it in memory", scene.front.memory() < 700, scene.front.memory())
    written = sum(one.stat().st_size for one in pathlib.Path(scene.front.place.folder).rglob("*") if one.is_file())
    must("nor on disk", written < 10 << 20, written)


def downloads(scene):
    status, said = scene.visitor().ask("GET", "/large/64")
    must("64 MiB arrive", status == 200 and len(said) == 64 << 20, (status, len(said)))


def a_neighbour_who_is_slow(scene):
    name = os.urandom(4).hex()
    connection, answer, first = events(scene.visitor(), name)
    must("a stream that waits", first == b"data: first\n\n", first)
    slow = [stalled(scene.visitor()) for _ in range(20)]
    worst = 0
    for _ in range(20):
        began = time.monotonic()
        status, said = scene.visitor().ask("GET", "/who")
        must("others are served meanwhile", status == 200, (status, said))
        worst = max(worst, time.monotonic() - began)
        time.sleep(0.2)
    must("and soon", worst < 2, worst)
    until("the gates to let go of who says nothing more", lambda: scene.pair.metric("http_server_active_requests") == 0)
    for tls in slow:
        tls.close()
    scene_go(scene, name)
    must("a stream of another client is still there", b"second" in answer.read())
    connection.close()


def a_neighbour_who_hangs_up(scene):
    """Hundreds of times a second, over HTTP/2: a front that shares HTTP/2 connections to the gate among clients would have the
    gate end them for all."""
    name = os.urandom(4).hex()
    waiting = [events(scene.visitor(), name) for _ in range(6)]
    attackers = [threading.Thread(target=resets, args=(scene.visitor(), 3), daemon=True) for _ in range(2)]
    load = Load(scene.visitor(), posts_kept=not scene.kind.passes)
    for one in (*attackers, load):
        one.start()
    for one in attackers:
        one.join()
    load.over = True
    load.join()
    must("others are served meanwhile", load.count > 5 and not load.bad, (load.count, load.bad[:3]))
    scene_go(scene, name)
    for connection, answer, _ in waiting:
        try:
            rest = answer.read()
        except (OSError, http.client.HTTPException) as error:
            rest = repr(error).encode()
        must("their streams stay", b"second" in rest, rest)
        connection.close()


def a_gate_leaves(scene):
    loads = [Load(scene.visitor(HOSTS[number % 2]), posts_kept=not scene.kind.passes) for number in range(4)]
    for load in loads:
        load.start()
    time.sleep(1)
    leaving = scene.pair.gates[0]
    leaving.process.terminate()
    leaving.process.wait(20)
    time.sleep(1)
    after = len(loads[0].apps)
    time.sleep(0.5)
    rest = set(loads[0].apps[after + 1:])
    leaving.run()
    back = time.monotonic()
    until("the front to come back to the gate", lambda: scene.visitor().ask("GET", "/who", kept=False)[1].get("app") == "app-1")
    took = time.monotonic() - back
    for load in loads:
        load.over = True
    for load in loads:
        load.join()
    bad = [one for load in loads for one in load.bad]
    must("the gate ended well", leaving.process.poll() is None)
    must("who comes later is served by the other gate", rest == {"app-2"}, rest)
    must(f"no request of {sum(load.count for load in loads)} failed", not bad, (len(bad), bad[:4]))
    must("the front comes back soon", took < 12, took)


def a_gate_dies(scene):
    """SIGKILL: what was under way is lost, what comes then is not."""
    dying = scene.pair.gates[0]
    dying.process.kill()
    dying.process.wait()
    try:
        time.sleep(2.5)  # two health checks
        visitor = scene.visitor()
        got = [visitor.ask("GET", "/who", kept=False)[0] for _ in range(20)]
        must("the other gate serves", got == [200] * 20, got)
    finally:
        dying.run()
        until("the front to come back to the gate", lambda: scene.visitor().ask("GET", "/who", kept=False)[1].get("app") == "app-1")


def grpc(scene, pair_of):
    if not scene.kind.grpc:
        raise NotForThis("as over any connection" if scene.kind.passes else "not by this file")
    interpreter = python(f"{CACHE}/grpc", "grpc", "grpcio")
    pair = pair_of("grpc")
    with scene.another(scene.kind.for_grpc, pair=pair, files=scene.kind.grpc) as front:
        done = subprocess.run([interpreter, f"{HERE}/grpc_call.py", str(front.port), scene.ca, CLINIC, pair.token()], capture_output=True, text=True, timeout=60)
        must("calls, trailers and statuses pass", done.returncode == 0, done.stderr[-400:])


def without_the_line(scene):
    """What the manual says goes wrong without a line, does."""
    if not scene.kind.several:
        raise NotForThis("nothing of the kind")
    with scene.another(changes=scene.kind.several) as front:
        kept = [scene.visitor(host, front) for host in HOSTS]
        got = [kept[turn // 2 % 2].ask("GET", "/who")[0] for turn in range(12)]
        must("with a name, several hosts on kept connections are 421", 421 in got and 200 in got, got)
        alone = [kept[0].ask("GET", "/who", kept=False)[0] for _ in range(3)]
    with scene.another(changes=scene.kind.several) as front:
        visitor = scene.visitor(front=front)
        alone = [visitor.ask("GET", "/who")[0] for _ in range(12)]
        must("one host alone is well", alone == [200] * 12, alone)


def idle_connections(scene):
    """The front closes its idle connections before the gate does: nothing is sent into a connection that just ends."""
    if scene.kind.passes:
        raise NotForThis("the client's connection")
    if scene.kind.keeps:
        raise NotForThis(scene.kind.keeps)
    for _ in range(6):
        scene.visitor().ask("GET", "/who", kept=False)
    time.sleep(23)
    left = scene.pair.metric("anteroom_connections")
    must("none is left after 23 s", left == 0, left)


ROWS = [
    ("TLS 1.3 on both sides, HTTP/1.1 and HTTP/2", tls_on_both_sides),
    ("the gate's certificate verified: authority and name", verified),
    ("two hosts, no 421", several_hosts),
    ("the client's address; what the client says itself is not believed", the_clients_address),
    ("nobody goes around: the front's own certificate", nobody_goes_around),
    ("a PROXY header of the client's own is refused", own_header),
    ("tokens pass", credentials),
    ("WebSockets", websockets),
    ("events at once", events_at_once),
    ("gRPC", grpc),
    ("uploads piece by piece, 1 GiB", uploads),
    ("downloads, 64 MiB", downloads),
    ("clients that stall do not hold up others", a_neighbour_who_is_slow),
    ("clients that hang up again and again do not either", a_neighbour_who_hangs_up),
    ("a gate leaves under load: no request fails", a_gate_leaves),
    ("a gate dies: the other one serves", a_gate_dies),
    ("idle connections end before the gate ends them", idle_connections),
    ("without the lines for several hosts: 421", without_the_line),
]
LONG = {idle_connections, a_neighbour_who_is_slow, a_neighbour_who_hangs_up, a_gate_leaves, a_gate_dies, grpc, without_the_line}
