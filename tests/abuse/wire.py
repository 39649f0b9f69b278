"""HTTP/2 in raw bytes, and connections that do as they are told. Python's standard library only."""

import socket
import ssl

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def setting(number, value):
    return number.to_bytes(2, "big") + value.to_bytes(4, "big")


def integer(value, bits, first):
    """RFC 7541, 5.1."""
    top = (1 << bits) - 1
    if value < top:
        return bytes((first | value,))
    out, value = [first | top], value - top
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes((*out, value))


def text(value):
    return integer(len(value), 7, 0) + value


def literal(name, value, first=0x00):
    """A field with a new name: not indexed (0x00), or put into the table (0x40)."""
    return bytes((first,)) + text(name) + text(value)


def request(method=b"GET", path=b"/page", host=b"localhost", more=()):
    """A header block that touches no table."""
    block = b"\x82" if method == b"GET" else b"\x83" if method == b"POST" else b"\x02" + text(method)
    block += b"\x87" + b"\x04" + text(path) + b"\x01" + text(host)
    return block + b"".join(literal(name, value) for name, value in more)


def opening(*settings):
    return PREFACE + frame(SETTINGS, 0, 0, b"".join(setting(*one) for one in settings))


def context(protocol="http/1.1"):
    """A client that takes any certificate: it attacks a gate on this machine, whose certificate is made for the run."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.set_alpn_protocols([protocol])
    return made


def hello():
    """A ClientHello as it goes over the wire, which can be sent again and again."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = context("h2").wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        one.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def tcp(port, source, patience=10):
    one = socket.socket()
    one.settimeout(patience)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    one.bind((source, 0))
    one.connect(("127.0.0.1", port))
    return one
