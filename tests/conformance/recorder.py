"""An application that keeps what it got, byte by byte, and reads it as strictly as HTTP/1.1 can be read.

Whatever a lax reader could take for something else than a strict one does is a fault, and a fault is the gate's: it sent it.
"""

import re
import socket
import threading

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
LINE = re.compile(rb"(%s) (/[!-~]*|\*) HTTP/1\.1" % TOKEN)
FIELD = re.compile(rb"(%s):[ \t]*((?:[!-~\x80-\xff](?:[ \t!-~\x80-\xff]*[!-~\x80-\xff])?)?)[ \t]*" % TOKEN)
BODY = b"recorded: the application answers each request with these bytes, and nothing else\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(BODY)


class Fault(Exception):
    """What was sent can be read in two ways."""


class Request:
    def __init__(self, method, target, fields):
        self.method, self.target, self.fields, self.body = method, target, fields, b""


def head(block):
    """A request's head, without the empty line at its end."""
    first, *lines = block.split(b"\r\n")
    line = LINE.fullmatch(first)
    if not line:
        raise Fault(f"request line {first!r}")
    fields = []
    for one in lines:
        field = FIELD.fullmatch(one)
        if not field:
            raise Fault(f"field {one!r}")
        fields.append((field[1].lower(), field[2]))
    names = [name for name, _ in fields]
    if names.count(b"host") != 1:
        raise Fault(f"{names.count(b'host')} Host fields")
    if names.count(b"content-length") + names.count(b"transfer-encoding") > 1:
        raise Fault("a body that is framed twice")
    for name in names:
        if name.replace(b"_", b"-") in (b"content-length", b"transfer-encoding", b"host") and b"_" in name:
            raise Fault(f"a look-alike: {name!r}")
    return Request(line[1], line[2], fields)


def message(data):
    """The first request in `data` and what follows it; None while it is not complete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if re.search(rb"(?<!\r)\n|\r(?!\n|$)", data):
            raise Fault("a bare CR or LF")
        return None
    request, rest = head(data[:end]), data[end + 4:]
    fields = dict(request.fields)
    if b"transfer-encoding" in fields:
        if fields[b"transfer-encoding"] != b"chunked":
            raise Fault(f"transfer-encoding {fields[b'transfer-encoding']!r}")
        while True:
            at = rest.find(b"\r\n")
            if at < 0:
                return None
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", rest[:at]):
                raise Fault(f"chunk size {rest[:at]!r}")
            size, rest = int(rest[:at], 16), rest[at + 2:]
            if size == 0:
                break
            if len(rest) < size + 2:
                return None
            if rest[size:size + 2] != b"\r\n":
                raise Fault("a chunk without an end")
            request.body, rest = request.body + rest[:size], rest[size + 2:]
        while True:  # trailers
            at = rest.find(b"\r\n")
            if at < 0:
                return None
            if at == 0:
                return request, rest[2:]
            field = FIELD.fullmatch(rest[:at])
            if not field or field[1].lower() in (b"host", b"content-length", b"transfer-encoding"):
                raise Fault(f"trailer {rest[:at]!r}")
            rest = rest[at + 2:]
    length = fields.get(b"content-length", b"0")
    if not re.fullmatch(rb"[0-9]{1,15}", length):
        raise Fault(f"content-length {length!r}")
    if len(rest) < int(length):
        return None
    request.body = rest[:int(length)]
    return request, rest[int(length):]


class Recorder:
    """Listens on loopback; `take` gives what came since it was last asked."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.server.getsockname()[1]
        self.lock, self.requests, self.faults = threading.Lock(), [], []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            one, _ = self.server.accept()
            threading.Thread(target=self.serve, args=(one,), daemon=True).start()

    def serve(self, one):
        data = b""
        with one:
            while True:
                try:
                    more = one.recv(65536)
                except OSError:
                    return
                if not more:
                    return
                data += more
                try:
                    while got := message(data):
                        request, data = got
                        with self.lock:
                            self.requests.append(request)
                        one.sendall(ANSWER + (b"" if request.method == b"HEAD" else BODY))
                except Fault as fault:
                    with self.lock:
                        self.faults.append(f"{fault} in {data[:200]!r}")
                    return
                except OSError:
                    return

    def take(self):
        with self.lock:
            requests, faults = self.requests, self.faults
            self.requests, self.faults = [], []
        return requests, faults
