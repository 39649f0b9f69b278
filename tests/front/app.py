#!/usr/bin/env python3
"""The small application behind the gates: says what it was told, takes uploads, sends events. Usage: app.py PORT NAME"""

import base64
import collections
import hashlib
import http.server
import json
import sys
import threading

PATIENCE = 20  # seconds until events go on by themselves
RECEIVED = collections.Counter()  # bytes of each upload so far
GO = collections.defaultdict(threading.Event)


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    name = ""

    def log_message(self, *_):
        pass

    def say(self, body, kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def pieces(self):
        """The body, piece by piece."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self.rfile.read1(min(left, 1 << 18))
            if not piece:
                self.close_connection = True
                return
            left -= len(piece)
            yield piece

    def do_POST(self):
        size = sum(len(piece) for piece in self.pieces())
        if self.path.startswith("/go/"):
            GO[self.path.split("/")[-1]].set()
        self.say({"app": self.name, "bytes": size})

    def do_PUT(self):
        upload, digest = self.path.split("/")[-1], hashlib.sha256()
        for piece in self.pieces():
            digest.update(piece)
            RECEIVED[upload] += len(piece)
        self.say({"bytes": RECEIVED[upload], "sha256": digest.hexdigest()})

    def do_GET(self):
        kind, _, rest = self.path.lstrip("/").partition("/")
        if kind == "received":
            self.say({"bytes": RECEIVED[rest]})
        elif kind == "events":
            self.events(rest)
        elif kind == "large":
            self.say(b"x" * (int(rest) << 20), "application/octet-stream")
        elif kind == "socket":
            self.socket()
        else:
            self.say({"app": self.name, "headers": [[name.lower(), value] for name, value in self.headers.items()]})

    def events(self, name):
        """One event at once, the other one when somebody says so."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"data: first\n\n")
        GO[name].wait(PATIENCE)
        self.wfile.write(b"data: second\n\n")
        self.close_connection = True

    def socket(self):
        """Sends back what comes over a WebSocket (small frames)."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while head := self.rfile.read(2):
            mask, data = self.rfile.read(4), self.rfile.read(head[1] & 127)
            self.wfile.write(bytes((head[0], len(data))) + bytes(one ^ mask[at % 4] for at, one in enumerate(data)))
            if head[0] & 15 == 8:
                break
        self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    App.name = sys.argv[2]
    Server(("127.0.0.1", int(sys.argv[1])), App).serve_forever()
