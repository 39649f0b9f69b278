"""Clients of a front: HTTP/1.1 that is kept open, HTTP/2 by curl, WebSockets, streams, and clients that behave badly."""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
import time

from wire import END_HEADERS, END_STREAM, HEADERS, RST_STREAM, frame, opening, request

CLIENT = "127.0.0.66"  # where every client comes from; fronts and gates have other addresses
PATIENCE = 15


class Visitor:
    """A client of one host: what it connects to, and whose certificate it believes."""

    def __init__(self, port, ca, host, address="127.0.0.1"):
        self.port, self.ca, self.host, self.address, self.connection = port, ca, host, address, None

    def tls(self, protocol="http/1.1", certificate=None):
        context = ssl.create_default_context(cafile=self.ca)
        context.set_alpn_protocols([protocol])
        if certificate:
            context.load_cert_chain(*certificate)
        raw = socket.create_connection((self.address, self.port), PATIENCE, source_address=(CLIENT, 0))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(raw, server_hostname=self.host)

    def open(self, certificate=None):
        connection = http.client.HTTPConnection(self.host)
        connection.sock = self.tls(certificate=certificate)
        connection.auto_open = False
        return connection

    def ask(self, method, path, body=None, headers=None, kept=True):
        """A request on the kept connection, or on a new one: status, JSON or text. An error is the status 0."""
        fresh = not (kept and self.connection and self.connection.sock)
        if fresh:
            self.close()
            self.connection = self.open()
        try:
            self.connection.request(method, path, body, {"Host": self.host, **(headers or {})})
            answer = self.connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not fresh and method == "GET" and isinstance(error, (http.client.RemoteDisconnected, ConnectionError)):
                return self.ask(method, path, body, headers)  # as every browser does
            return 0, repr(error)
        with contextlib.suppress(ValueError):
            return answer.status, json.loads(data)
        return answer.status, data.decode(errors="replace")

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def curl(self, path, *arguments, hosts=None):
        """Requests over HTTP/2, one for each host, on one connection where curl may: a list of (status, version, JSON)."""
        urls = [f"https://{host}:{self.port}{path}" for host in hosts or [self.host]]
        command = ["curl", "-sS", "--http2", "--interface", CLIENT, "--cacert", self.ca, "--max-time", "30", "-w", "\n%{http_code} %{http_version}\n"]
        for host in hosts or [self.host]:
            command += ["--resolve", f"{host}:{self.port}:{self.address}"]
        done = subprocess.run([*command, *arguments, *urls], capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line]
        return [(*lines[at + 1].split(), lines[at]) for at in range(0, len(lines) - 1, 2)] or done.stderr


def told(answer):
    """What the application was told of the client: every header that could say so."""
    return [[name, value] for name, value in answer["headers"] if "forwarded-for" in name or name in ("forwarded", "x-real-ip")]


def websocket(visitor):
    """Says something over a WebSocket; what comes back."""
    with visitor.tls() as tls:
        key = base64.b64encode(os.urandom(16)).decode()
        tls.sendall((f"GET /socket HTTP/1.1\r\nHost: {visitor.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     f"Origin: https://{visitor.host}\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        file = tls.makefile("rb")
        head = b""
        while not head.endswith(b"\r\n\r\n") and (line := file.readline()):
            head += line
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        if b" 101 " not in head.split(b"\r\n")[0] or accept not in head:
            return head
        mask, data = b"abcd", b"is anybody there?"
        tls.sendall(bytes((0x81, 0x80 | len(data))) + mask + bytes(one ^ mask[at % 4] for at, one in enumerate(data)))
        length = file.read(2)[1]
        return file.read(length)


def events(visitor, name):
    """A stream of events, read up to the first one: the connection, and the bytes of the event."""
    connection = visitor.open()
    connection.request("GET", f"/events/{name}", headers={"Host": visitor.host})
    answer = connection.getresponse()
    return connection, answer, answer.readline() + answer.readline()


def upload(visitor, name, size, first=1 << 20):
    """An upload that waits after its first MiB until the application has it: what the application said, and whether it had it."""
    connection = visitor.open()
    connection.putrequest("PUT", f"/upload/{name}", skip_host=True)
    for header, value in (("Host", visitor.host), ("Content-Length", size), ("Content-Type", "application/octet-stream")):
        connection.putheader(header, str(value))
    connection.endheaders()
    piece = bytes(first)
    connection.send(piece)
    watcher, streamed, end = Visitor(visitor.port, visitor.ca, visitor.host), False, time.monotonic() + 4
    while not streamed and time.monotonic() < end:
        streamed = watcher.ask("GET", f"/received/{name}", kept=False)[1]["bytes"] >= first // 2
        time.sleep(0.05)
    watcher.close()
    for _ in range(size // first - 1):
        connection.send(piece)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"{}"), streamed


def stalled(visitor):
    """An upload that begins and then says nothing more."""
    tls = visitor.tls()
    tls.sendall(f"PUT /upload/stalled HTTP/1.1\r\nHost: {visitor.host}\r\nContent-Length: 100000\r\n\r\nand then".encode())
    return tls


def resets(visitor, seconds):
    """Asks over HTTP/2 and hangs up at once, hundreds of times a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), visitor.tls("h2") as tls:  # the front may end the connection: then the next one
            tls.settimeout(0.001)
            tls.sendall(opening())
            for stream in range(1, 800, 2):
                tls.sendall(frame(HEADERS, END_STREAM | END_HEADERS, stream, request(path=b"/events/reset", host=visitor.host.encode())))
                time.sleep(0.0005)  # the front has passed it on by then, and most often there is no answer yet
                tls.sendall(frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big")))
                with contextlib.suppress(TimeoutError, ssl.SSLWantReadError):
                    tls.recv(65536)
                if time.monotonic() > end:
                    break


class Load(threading.Thread):
    """Asks without a pause, GET and POST in turn, until it is told to stop; keeps what was not 200."""

    def __init__(self, visitor, posts_kept):
        super().__init__(daemon=True)
        self.visitor, self.posts_kept, self.count, self.bad, self.apps, self.over = visitor, posts_kept, 0, [], [], False

    def run(self):
        while not self.over:
            for method, path, body in (("GET", "/who", None), ("POST", "/form", "a=b")):
                began = time.monotonic()
                try:
                    status, answer = self.visitor.ask(method, path, body, kept=method == "GET" or self.posts_kept)
                except OSError as error:
                    status, answer = 0, repr(error)
                self.count += 1
                if status == 200:
                    self.apps.append(answer["app"])
                else:
                    self.bad.append((method, status, str(answer)[:200], round(time.monotonic() - began, 2)))
            time.sleep(0.01)
        self.visitor.close()
