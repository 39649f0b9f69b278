#!/usr/bin/env python3
"""The well-behaved client: signed in, eight connections that it keeps, one request after the other with a pause between.

usage: visitor.py PORT CA TOKEN; then a line `SECONDS` on its standard input for each round, answered by one line of JSON.
"""

import json
import socket
import ssl
import sys
import time

PAUSE = 0.004
CONNECTIONS = 8


class Visitor:
    def __init__(self, port, ca, token):
        self.port = port
        self.context = ssl.create_default_context(cafile=ca)
        self.context.set_alpn_protocols(["http/1.1"])
        self.ask = (f"GET /records/p1 HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {token}\r\n\r\n").encode()
        self.kept = [None] * CONNECTIONS

    def connect(self):
        raw = socket.create_connection(("127.0.0.1", self.port), 20)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(raw, server_hostname="localhost")

    def once(self, connection):
        connection.sendall(self.ask)
        got = b""
        while b"\r\n\r\n" not in got:
            more = connection.recv(65536)
            if not more:
                raise OSError(f"closed after {got[:80]!r}")
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        status = head.split(b" ", 2)[1]
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        while len(body) < length:
            more = connection.recv(65536)
            if not more:
                raise OSError("closed in the body")
            body += more
        if status != b"200":
            raise OSError(f"status {status.decode()}: {body[:120]!r}")

    def round(self, seconds):
        """Times of requests on kept connections, and of those that open a new one first; what went wrong."""
        kept, opened, failed, turn = [], [], [], 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            turn += 1
            place = turn % CONNECTIONS
            fresh = turn % 50 == 0 or self.kept[place] is None
            began = time.monotonic()
            try:
                if fresh:
                    if self.kept[place]:
                        self.kept[place].close()
                    self.kept[place] = self.connect()
                self.once(self.kept[place])
                (opened if fresh else kept).append(time.monotonic() - began)
            except (OSError, StopIteration, ValueError) as error:
                failed.append(f"{'new' if fresh else 'kept'} connection: {error}")
                self.kept[place] = None
            time.sleep(PAUSE)
        return {"kept": sorted(kept), "opened": sorted(opened), "failed": failed}


def main():
    visitor = Visitor(int(sys.argv[1]), sys.argv[2], sys.argv[3])
    for line in sys.stdin:
        print(json.dumps(visitor.round(float(line))), flush=True)


if __name__ == "__main__":
    main()
