#!/usr/bin/env python3
"""The attackers: opens the connections of one attack, lets them do what it says, and watches how they end.

usage: crowd.py NAME PORT SECONDS COUNT SEED; prints `ready` and how many connections stand when all were tried, and at the end
one line of JSON

It ends by itself after SECONDS, goes to loopback alone, and comes from addresses of loopback other than the visitor's
(127.SEED.x.y), unless the attack is to share it.
"""

import json
import resource
import select
import ssl
import statistics
import sys
import time

import wire
from attacks import ATTACKS


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
            sock = wire.tcp(self.port, self.attack.source or f"127.{self.seed}.{n // 250}.{1 + n % 250}")
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
        print(f"ready {len(self.open)}", flush=True)
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
