"""One HTTP/2 connection to the gate, in raw frames, and what can be expected of it."""

import os
import socket
import ssl
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "abuse"))
from wire import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, PRIORITY, RST_STREAM,  # noqa: E402
                  SETTINGS, WINDOW_UPDATE, frame, literal, setting, text)

PATIENCE = 2.0  # seconds for what must come
PADDED, PRIORITISED = 8, 0x20
NO_ERROR, PROTOCOL, INTERNAL, FLOW_CONTROL, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE, REFUSED, CANCEL, COMPRESSION = range(10)
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, INITIAL_WINDOW, MAX_FRAME = 1, 2, 3, 4, 5
CODES = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
         "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"]
NAMES = {0: "DATA", 1: "HEADERS", 2: "PRIORITY", 3: "RST_STREAM", 4: "SETTINGS", 6: "PING", 7: "GOAWAY", 8: "WINDOW_UPDATE"}


class Failed(Exception):
    """What was expected did not come."""


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload

    @property
    def code(self):
        at = 4 if self.kind == GOAWAY else 0
        return int.from_bytes(self.payload[at:at + 4], "big")

    def __str__(self):
        said = f"{NAMES.get(self.kind, self.kind)} on {self.stream}"
        return f"{said} {CODES[self.code] if self.code < len(CODES) else self.code}" if self.kind in (GOAWAY, RST_STREAM) else said


class Connection:
    def __init__(self, port, context, handshake=True):
        raw = socket.create_connection(("127.0.0.1", port), 10)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = context.wrap_socket(raw, server_hostname="localhost")
        if self.sock.selected_alpn_protocol() != "h2":
            raise Failed("h2 was not negotiated")
        self.data, self.closed, self.last, self.settings = b"", False, None, {}
        if handshake:
            self.send(PREFACE + frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW, 65535)))
            self.expect(lambda one: one.kind == SETTINGS and not one.flags & ACK, "the server's SETTINGS")
            payload = self.last.payload
            self.settings = {int.from_bytes(payload[at:at + 2], "big"): int.from_bytes(payload[at + 2:at + 6], "big")
                             for at in range(0, len(payload), 6)}
            self.send(frame(SETTINGS, ACK, 0))
            self.expect(lambda one: one.kind == SETTINGS and one.flags & ACK, "an acknowledgement of SETTINGS")

    def close(self):
        self.sock.close()

    def send(self, data):
        try:
            self.sock.settimeout(5)
            self.sock.sendall(data)
        except OSError:
            pass  # ended by the gate: the reader will see it

    def next(self, end):
        """The next frame; None: the connection was ended; Failed: nothing came in time."""
        while True:
            if len(self.data) >= 9:
                size = int.from_bytes(self.data[:3], "big")
                if len(self.data) >= 9 + size:
                    head, payload, self.data = self.data[:9], self.data[9:9 + size], self.data[9 + size:]
                    return Frame(head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, payload)
            if self.closed:
                return None
            left = end - time.monotonic()
            if left <= 0:
                raise Failed(f"nothing came in time (last: {self.last})")
            self.sock.settimeout(left)
            try:
                more = self.sock.recv(65536)
            except TimeoutError:
                continue
            except (OSError, ssl.SSLError):
                more = b""
            self.closed = not more
            self.data += more

    def expect(self, right, what, closed=False):
        """Reads until the right frame comes, or, where that will do, the end of the connection."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                one = self.next(end)
            except Failed as failed:
                raise Failed(f"expected {what}: {failed}") from None
            if one is None:
                if closed:
                    return None
                raise Failed(f"expected {what}: the connection was ended (last: {self.last})")
            self.last = one
            if right(one):
                return one

    # What h2spec's cases expect.

    def ends(self):
        self.expect(lambda _: False, "the end of the connection", closed=True)

    def connection_error(self, *codes):
        named = " or ".join(CODES[code] for code in codes)
        self.expect(lambda one: one.kind == GOAWAY and one.code in codes, f"a connection error {named}", closed=True)

    def stream_error(self, *codes):
        named = " or ".join(CODES[code] for code in codes)
        self.expect(lambda one: one.kind in (GOAWAY, RST_STREAM) and one.code in codes, f"a stream error {named}", closed=True)

    def answered(self, stream=1):
        self.expect(lambda one: one.kind == HEADERS and one.stream == stream, f"HEADERS on {stream}")

    def over(self, stream=1):
        """The stream's answer is complete."""
        self.expect(lambda one: one.kind in (HEADERS, DATA) and one.flags & END_STREAM, f"the end of stream {stream}")

    def body(self, length=None):
        got = self.expect(lambda one: one.kind == DATA, "DATA")
        if length is not None and len(got.payload) != length:
            raise Failed(f"DATA of {len(got.payload)} bytes, not {length}")

    def pong(self, data):
        self.expect(lambda one: one.kind == PING and one.flags & ACK and one.payload == data, "an answer to PING")

    def acknowledged(self):
        self.expect(lambda one: one.kind == SETTINGS and one.flags & ACK, "an acknowledgement of SETTINGS")

    def pong_or_end(self, data):
        self.expect(lambda one: one.kind == GOAWAY or one.kind == PING and one.payload == data, "an answer to PING", closed=True)
