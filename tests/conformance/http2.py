"""HTTP/2 and HPACK: the cases of h2spec (its list, by section and title), written anew as raw frames over TLS.

The expectations are those of RFC 9113 and RFC 7541, read as h2spec reads them: where a connection error is due, an ended
connection will do; where a stream error is due, a connection error of the same code will do.
"""

import ssl
import time

from h2wire import (ACK, CANCEL, COMPRESSION, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, FLOW_CONTROL, FRAME_SIZE, GOAWAY,
                    HEADERS, INITIAL_WINDOW, MAX_FRAME, MAX_STREAMS, PADDED, PING, PREFACE, PRIORITISED, PRIORITY, PROTOCOL, REFUSED,
                    RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, Connection, Failed, frame, literal, setting, text)

CASES = []
DONE = END_STREAM | END_HEADERS
METHOD, POST, SCHEME, PATH, AUTHORITY = b"\x82", b"\x83", b"\x87", b"\x84", b"\x41" + text(b"localhost")
GET = METHOD + SCHEME + PATH + AUTHORITY
PUT = POST + SCHEME + PATH + AUTHORITY
DUMMY = literal(b"x-dummy", b"d" * 100)
PING_DATA = b"h2-suite"
NAME, VALUE, OTHER = b"\x87\xb5\x05\xb1\x61\xcc\x5a\x93", b"\x84\x9c\x48\xac\xa4", b"\x85\xf2\xb2\x4a\x84\xff"  # Huffman: user-agent, h2spec, x-test


def case(section, title, preface=True):
    def add(run):
        CASES.append((section, title, preface, run))
        return run
    return add


def headers(block=GET, flags=DONE, stream=1):
    return frame(HEADERS, flags, stream, block)


def priority(stream, on=0, weight=255, exclusive=False):
    return frame(PRIORITY, 0, stream, (on | exclusive << 31).to_bytes(4, "big") + bytes((weight,)))


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def window(stream, by):
    return frame(WINDOW_UPDATE, 0, stream, by.to_bytes(4, "big"))


def ping(data=PING_DATA, flags=0, stream=0):
    return frame(PING, flags, stream, data)


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(setting(*pair) for pair in pairs))


def simple(section, title, sent, then, *what):
    """A case that sends bytes and expects one thing."""
    CASES.append((section, title, True, lambda one: (one.send(sent), getattr(one, then)(*what))))


# --- generic/1 to 5: what has to work

simple("generic/1", "Sends a client connection preface", ping(), "pong", PING_DATA)
simple("generic/2", "Sends a PRIORITY frame on idle stream", priority(1) + ping(), "pong", PING_DATA)
simple("generic/2", "Sends a WINDOW_UPDATE frame on half-closed (remote) stream",
       settings((INITIAL_WINDOW, 0)) + headers() + window(1, 1), "body")
simple("generic/2", "Sends a PRIORITY frame on half-closed (remote) stream",
       settings((INITIAL_WINDOW, 0)) + headers() + priority(1) + window(1, 1), "body")
simple("generic/2", "Sends a RST_STREAM frame on half-closed (remote) stream", headers() + reset(1) + ping(), "pong_or_end", PING_DATA)


@case("generic/2", "Sends a PRIORITY frame on closed stream")
def _(one):
    one.send(headers())
    one.over()
    one.send(priority(1) + ping())
    one.pong(PING_DATA)


for title, body in (("Sends a DATA frame", frame(DATA, END_STREAM, 1, b"test")),
                    ("Sends multiple DATA frames", frame(DATA, 0, 1, b"test") + frame(DATA, END_STREAM, 1, b"test")),
                    ("Sends a DATA frame with padding", frame(DATA, END_STREAM | PADDED, 1, b"\x06test" + bytes(6)))):
    simple("generic/3.1", title, headers(PUT, END_HEADERS) + body, "answered")
simple("generic/3.2", "Sends a HEADERS frame", headers(), "answered")
simple("generic/3.2", "Sends a HEADERS frame with padding", headers(b"\x06" + GET + bytes(6), DONE | PADDED), "answered")
simple("generic/3.2", "Sends a HEADERS frame with priority", headers(b"\x80\0\0\0\xff" + GET, DONE | PRIORITISED), "answered")
simple("generic/3.3", "Sends a PRIORITY frame with priority 1", priority(1, weight=0) + headers(), "answered")
simple("generic/3.3", "Sends a PRIORITY frame with priority 256", priority(1, weight=255) + headers(), "answered")
simple("generic/3.3", "Sends a PRIORITY frame with stream dependency", priority(3, on=1) + headers(), "answered")
simple("generic/3.3", "Sends a PRIORITY frame with exclusive", priority(1, exclusive=True) + headers(), "answered")
simple("generic/3.3", "Sends a PRIORITY frame for an idle stream, then send a HEADER frame for a lower stream ID", priority(3) + headers(), "answered")
simple("generic/3.4", "Sends a RST_STREAM frame", headers() + reset(1) + ping(), "pong_or_end", PING_DATA)
simple("generic/3.5", "Sends a SETTINGS frame", settings((MAX_STREAMS, 100)), "acknowledged")
simple("generic/3.7", "Sends a PING frame", ping(), "pong", PING_DATA)
simple("generic/3.8", "Sends a GOAWAY frame", frame(GOAWAY, 0, 0, bytes(8)) + ping(), "pong_or_end", PING_DATA)
simple("generic/3.9", "Sends a WINDOW_UPDATE frame with stream ID 0", settings((INITIAL_WINDOW, 0)) + window(0, 1) + ping(), "pong", PING_DATA)
simple("generic/3.9", "Sends a WINDOW_UPDATE frame with stream ID 1", settings((INITIAL_WINDOW, 0)) + headers() + window(1, 1), "body", 1)
simple("generic/3.10", "Sends a CONTINUATION frame", headers(GET[:3], END_STREAM) + frame(CONTINUATION, END_HEADERS, 1, GET[3:]), "answered")
simple("generic/3.10", "Sends multiple CONTINUATION frames", headers(GET[:3], END_STREAM) + frame(CONTINUATION, 0, 1, AUTHORITY)
       + frame(CONTINUATION, END_HEADERS, 1, DUMMY), "answered")
simple("generic/4", "Sends a GET request", headers(), "answered")
simple("generic/4", "Sends a HEAD request", headers(b"\x02" + text(b"HEAD") + SCHEME + PATH + AUTHORITY), "answered")
simple("generic/4", "Sends a POST request", headers(PUT, END_HEADERS) + frame(DATA, END_STREAM, 1, b"test"), "answered")
simple("generic/4", "Sends a POST request with trailers", headers(PUT + literal(b"trailer", b"x-test"), END_HEADERS) + frame(DATA, 0, 1, b"test")
       + headers(literal(b"x-test", b"ok")), "answered")
# The name is literal for "indexed name" too, as in h2spec.
simple("generic/5", "Sends a indexed header field representation", headers(GET + literal(b"x-test", b"h2spec", 0x40) + b"\xbe"), "answered")
for kind, first in (("with incremental indexing", b"\x40"), ("without indexing", b"\x00"), ("never indexed", b"\x10")):
    for title, field in (("indexed name", text(b"user-agent") + text(b"h2spec")), ("indexed name (with Huffman coding)", NAME + VALUE),
                         ("new name", text(b"x-test") + text(b"h2spec")), ("new name (with Huffman coding)", OTHER + VALUE)):
        simple("generic/5", f"Sends a literal header field {kind} - {title}", headers(GET + first + field), "answered")
simple("generic/5", "Sends a dynamic table size update", headers(b"\x20" + GET), "answered")
simple("generic/5", "Sends multiple dynamic table size update", headers(b"\x20\x3f\xe1\x1f" + GET), "answered")

# --- http2/3 and 4


@case("http2/3.5", "Sends client connection preface", preface=False)
def _(one):
    one.send(PREFACE + settings((INITIAL_WINDOW, 65535)))
    first = one.expect(lambda _: True, "SETTINGS as the first frame")
    if first.kind != SETTINGS or first.flags & ACK:
        raise Failed(f"the first frame is {first}")


@case("http2/3.5", "Sends invalid connection preface", preface=False)
def _(one):
    one.send(b"INVALID CONNECTION PREFACE\r\n\r\n")
    one.ends()


simple("http2/4.1", "Sends a frame with unknown type", frame(0xFF, 0, 0, b"unknown") + ping(), "pong", PING_DATA)
simple("http2/4.1", "Sends a frame with undefined flag", ping(flags=0x16), "pong", PING_DATA)
simple("http2/4.1", "Sends a frame with reserved field bit", ping(stream=0x80000000), "pong", PING_DATA)
simple("http2/4.2", "Sends a DATA frame with 2^14 octets in length", headers(PUT, END_HEADERS) + frame(DATA, END_STREAM, 1, bytes(16384)), "answered")


@case("http2/4.2", "Sends a large size DATA frame that exceeds the SETTINGS_MAX_FRAME_SIZE")
def _(one):
    one.send(headers(PUT, END_HEADERS) + frame(DATA, END_STREAM, 1, bytes(one.settings.get(MAX_FRAME, 16384) + 1)))
    one.stream_error(FRAME_SIZE)


@case("http2/4.2", "Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE")
def _(one):
    one.send(headers(GET + literal(b"x-test", b"a" * (one.settings.get(MAX_FRAME, 16384) + 1))))
    one.connection_error(FRAME_SIZE)


simple("http2/4.3", "Sends invalid header block fragment", frame(HEADERS, DONE, 1, b"\x40"), "connection_error", COMPRESSION)
simple("http2/4.3", "Sends a PRIORITY frame while sending the header blocks", headers(GET, 0) + priority(1)
       + frame(CONTINUATION, END_HEADERS, 1, DUMMY), "connection_error", PROTOCOL)
simple("http2/4.3", "Sends a HEADERS frame to another stream while sending the header blocks", headers(GET, 0) + headers(stream=3)
       + frame(CONTINUATION, END_HEADERS, 1, DUMMY), "connection_error", PROTOCOL)

# --- http2/5

simple("http2/5.1", "idle: Sends a DATA frame", frame(DATA, END_STREAM, 1, b"test"), "connection_error", PROTOCOL)
simple("http2/5.1", "idle: Sends a RST_STREAM frame", reset(1), "connection_error", PROTOCOL)
simple("http2/5.1", "idle: Sends a WINDOW_UPDATE frame", window(1, 100), "connection_error", PROTOCOL)
simple("http2/5.1", "idle: Sends a CONTINUATION frame", frame(CONTINUATION, END_HEADERS, 1, GET), "connection_error", PROTOCOL)
simple("http2/5.1", "half closed (remote): Sends a DATA frame", headers() + frame(DATA, END_STREAM, 1, b"test"), "stream_error", STREAM_CLOSED)
simple("http2/5.1", "half closed (remote): Sends a HEADERS frame", headers() + headers(), "stream_error", STREAM_CLOSED)
simple("http2/5.1", "half closed (remote): Sends a CONTINUATION frame", headers() + frame(CONTINUATION, END_HEADERS, 1, GET),
       "stream_error", STREAM_CLOSED, PROTOCOL)
OPEN = headers(GET, END_HEADERS) + reset(1)
simple("http2/5.1", "closed: Sends a DATA frame after sending RST_STREAM frame", OPEN + frame(DATA, END_STREAM, 1, b"test"), "stream_error", STREAM_CLOSED)
simple("http2/5.1", "closed: Sends a HEADERS frame after sending RST_STREAM frame", OPEN + headers(), "stream_error", STREAM_CLOSED)
simple("http2/5.1", "closed: Sends a CONTINUATION frame after sending RST_STREAM frame", OPEN + frame(CONTINUATION, END_HEADERS, 1, DUMMY),
       "stream_error", STREAM_CLOSED, PROTOCOL)
for title, sent, codes in (("DATA", frame(DATA, END_STREAM, 1, b"test"), (STREAM_CLOSED,)), ("HEADERS", headers(), (STREAM_CLOSED,)),
                           ("CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, DUMMY), (STREAM_CLOSED, PROTOCOL))):
    @case("http2/5.1", f"closed: Sends a {title} frame")
    def _(one, sent=sent, codes=codes):
        one.send(headers())
        one.over()
        one.send(sent)
        one.connection_error(*codes)

simple("http2/5.1.1", "Sends even-numbered stream identifier", headers(stream=2), "connection_error", PROTOCOL)
simple("http2/5.1.1", "Sends stream identifier that is numerically smaller than previous", headers(stream=5) + headers(stream=3),
       "connection_error", PROTOCOL)


@case("http2/5.1.2", "Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded")
def _(one):
    most = one.settings.get(MAX_STREAMS)
    if most is None:
        raise Failed("no limit is advertised")
    one.send(settings((INITIAL_WINDOW, 0)) + b"".join(headers(stream=1 + 2 * n) for n in range(most + 1)))
    one.stream_error(PROTOCOL, REFUSED)


simple("http2/5.3.1", "Sends HEADERS frame that depends on itself", headers(b"\0\0\0\1\xff" + GET, DONE | PRIORITISED), "stream_error", PROTOCOL)
simple("http2/5.3.1", "Sends PRIORITY frame that depend on itself", priority(2, on=2), "stream_error", PROTOCOL)
simple("http2/5.4.1", "Sends an invalid PING frame for connection close", frame(PING, 0, 3, bytes(8)), "ends")
simple("http2/5.4.1", "Sends an invalid PING frame to receive GOAWAY frame", frame(PING, 0, 3, bytes(8)), "connection_error", PROTOCOL)
simple("http2/5.5", "Sends an unknown extension frame", frame(0x16, 0, 0, bytes(8)) + ping(), "pong", PING_DATA)
simple("http2/5.5", "Sends an unknown extension frame in the middle of a header block", headers(GET, END_STREAM) + frame(0x16, 0, 0, bytes(8))
       + frame(CONTINUATION, END_HEADERS, 1, DUMMY), "connection_error", PROTOCOL)

# --- http2/6

simple("http2/6.1", "Sends a DATA frame with 0x0 stream identifier", frame(DATA, END_STREAM, 0, b"test"), "connection_error", PROTOCOL)
simple("http2/6.1", 'Sends a DATA frame on the stream that is not in "open" or "half-closed (local)" state',
       headers() + frame(DATA, END_STREAM, 1, b"test"), "stream_error", STREAM_CLOSED)
simple("http2/6.1", "Sends a DATA frame with invalid pad length", headers(PUT, END_HEADERS) + frame(DATA, END_STREAM | PADDED, 1, b"\x10test"),
       "connection_error", PROTOCOL)
simple("http2/6.2", "Sends a HEADERS frame without the END_HEADERS flag, and a PRIORITY frame", headers(GET, 0) + priority(1),
       "connection_error", PROTOCOL)
simple("http2/6.2", "Sends a HEADERS frame to another stream while sending a HEADERS frame", headers(GET, 0) + headers(stream=3),
       "connection_error", PROTOCOL)
simple("http2/6.2", "Sends a HEADERS frame with 0x0 stream identifier", headers(stream=0), "connection_error", PROTOCOL)
simple("http2/6.2", "Sends a HEADERS frame with invalid pad length", headers(b"\xff" + GET, DONE | PADDED), "connection_error", PROTOCOL)
simple("http2/6.3", "Sends a PRIORITY frame with 0x0 stream identifier", priority(0), "connection_error", PROTOCOL)
simple("http2/6.3", "Sends a PRIORITY frame with a length other than 5 octets", frame(PRIORITY, 0, 1, b"\x80\0\0\1"), "stream_error", FRAME_SIZE)
simple("http2/6.4", "Sends a RST_STREAM frame with 0x0 stream identifier", reset(0), "connection_error", PROTOCOL)
simple("http2/6.4", "Sends a RST_STREAM frame on a idle stream", reset(1), "connection_error", PROTOCOL)
simple("http2/6.4", "Sends a RST_STREAM frame with a length other than 4 octets", headers(PUT, END_HEADERS) + frame(RST_STREAM, 0, 1, bytes(3)),
       "connection_error", FRAME_SIZE)
simple("http2/6.5", "Sends a SETTINGS frame with ACK flag and payload", frame(SETTINGS, ACK, 0, b"\0"), "connection_error", FRAME_SIZE)
simple("http2/6.5", "Sends a SETTINGS frame with a stream identifier other than 0x0", frame(SETTINGS, 0, 1, setting(MAX_STREAMS, 100)),
       "connection_error", PROTOCOL)
simple("http2/6.5", "Sends a SETTINGS frame with a length other than a multiple of 6 octets", frame(SETTINGS, 0, 0, bytes(3)),
       "connection_error", FRAME_SIZE)
simple("http2/6.5.2", "SETTINGS_ENABLE_PUSH (0x2): Sends the value other than 0 or 1", settings((ENABLE_PUSH, 2)), "connection_error", PROTOCOL)
simple("http2/6.5.2", "SETTINGS_INITIAL_WINDOW_SIZE (0x4): Sends the value above the maximum flow control window size",
       settings((INITIAL_WINDOW, 1 << 31)), "connection_error", FLOW_CONTROL)
simple("http2/6.5.2", "SETTINGS_MAX_FRAME_SIZE (0x5): Sends the value below the initial value", settings((MAX_FRAME, 16383)),
       "connection_error", PROTOCOL)
simple("http2/6.5.2", "SETTINGS_MAX_FRAME_SIZE (0x5): Sends the value above the maximum allowed frame size", settings((MAX_FRAME, 1 << 24)),
       "connection_error", PROTOCOL)
simple("http2/6.5.2", "Sends a SETTINGS frame with unknown identifier", settings((0xFF, 1)) + ping(), "pong", PING_DATA)


@case("http2/6.5.3", "Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE")
def _(one):
    one.send(settings((INITIAL_WINDOW, 100), (INITIAL_WINDOW, 1)))
    one.acknowledged()
    one.send(headers())
    one.body(1)


simple("http2/6.5.3", "Sends a SETTINGS frame without ACK flag", settings((ENABLE_PUSH, 0)), "acknowledged")
simple("http2/6.7", "Sends a PING frame", ping(), "pong", PING_DATA)


@case("http2/6.7", "Sends a PING frame with ACK")
def _(one):
    one.send(ping(b"unasked!", ACK) + ping())
    got = one.expect(lambda frame: frame.kind == PING, "an answer to the second PING")
    if got.payload != PING_DATA or not got.flags & ACK:
        raise Failed("the first PING, an answer itself, was answered")


simple("http2/6.7", "Sends a PING frame with a stream identifier field value other than 0x0", ping(stream=1), "connection_error", PROTOCOL)
simple("http2/6.7", "Sends a PING frame with a length field value other than 8", ping(bytes(6)), "connection_error", FRAME_SIZE)
simple("http2/6.8", "Sends a GOAWAY frame with a stream identifier other than 0x0", frame(GOAWAY, 0, 1, bytes(8)), "connection_error", PROTOCOL)
simple("http2/6.9", "Sends a WINDOW_UPDATE frame with a flow control window increment of 0", window(0, 0), "connection_error", PROTOCOL)
simple("http2/6.9", "Sends a WINDOW_UPDATE frame with a flow control window increment of 0 on a stream", headers(PUT, END_HEADERS) + window(1, 0),
       "stream_error", PROTOCOL)
simple("http2/6.9", "Sends a WINDOW_UPDATE frame with a length other than 4 octets", frame(WINDOW_UPDATE, 0, 0, bytes(3)),
       "connection_error", FRAME_SIZE)
simple("http2/6.9.1", "Sends SETTINGS frame to set the initial window size to 1 and sends HEADERS frame",
       settings((INITIAL_WINDOW, 1)) + headers(), "body", 1)
MOST = (1 << 31) - 1
simple("http2/6.9.1", "Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1", window(0, MOST) * 2,
       "connection_error", FLOW_CONTROL)
simple("http2/6.9.1", "Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream",
       headers(PUT, END_HEADERS) + window(1, MOST) * 2, "stream_error", FLOW_CONTROL)


@case("http2/6.9.2", "Changes SETTINGS_INITIAL_WINDOW_SIZE after sending HEADERS frame")
def _(one):
    one.send(settings((INITIAL_WINDOW, 0)))
    one.acknowledged()
    one.send(headers() + settings((INITIAL_WINDOW, 1)))
    one.body(1)


@case("http2/6.9.2", "Sends a SETTINGS frame for window size to be negative")
def _(one):
    one.send(settings((INITIAL_WINDOW, 3)))
    one.acknowledged()
    one.send(headers())
    one.body(3)
    one.send(settings((INITIAL_WINDOW, 2)))
    one.acknowledged()
    one.send(window(1, 2))
    one.body(1)


simple("http2/6.9.2", "Sends a SETTINGS_INITIAL_WINDOW_SIZE settings with an exceeded maximum window size value",
       settings((INITIAL_WINDOW, 1 << 31)), "connection_error", FLOW_CONTROL)
simple("http2/6.10", "Sends multiple CONTINUATION frames preceded by a HEADERS frame", headers(GET, END_STREAM)
       + frame(CONTINUATION, 0, 1, DUMMY) + frame(CONTINUATION, END_HEADERS, 1, literal(b"x-other", b"d")), "answered")
simple("http2/6.10", "Sends a CONTINUATION frame followed by any frame other than CONTINUATION", headers(PUT, 0)
       + frame(CONTINUATION, 0, 1, DUMMY) + frame(DATA, END_STREAM, 1, b"test"), "connection_error", PROTOCOL)
simple("http2/6.10", "Sends a CONTINUATION frame with 0x0 stream identifier", headers(GET, END_STREAM) + frame(CONTINUATION, END_HEADERS, 0, DUMMY),
       "connection_error", PROTOCOL)
simple("http2/6.10", "Sends a CONTINUATION frame preceded by a HEADERS frame with END_HEADERS flag", headers(PUT, END_HEADERS)
       + frame(CONTINUATION, END_HEADERS, 1, DUMMY), "connection_error", PROTOCOL)
simple("http2/6.10", "Sends a CONTINUATION frame preceded by a CONTINUATION frame with END_HEADERS flag", headers(PUT, 0)
       + frame(CONTINUATION, END_HEADERS, 1, DUMMY) * 2, "connection_error", PROTOCOL)
simple("http2/6.10", "Sends a CONTINUATION frame preceded by a DATA frame", headers(PUT, END_HEADERS) + frame(DATA, 0, 1, b"test")
       + frame(CONTINUATION, END_HEADERS, 1, DUMMY), "connection_error", PROTOCOL)

# --- http2/7 and 8

simple("http2/7", "Sends a GOAWAY frame with unknown error code", frame(GOAWAY, 0, 0, bytes(4) + b"\0\0\0\xff") + ping(), "pong_or_end", PING_DATA)
simple("http2/7", "Sends a RST_STREAM frame with unknown error code", headers(PUT, END_HEADERS) + reset(1, 0xFF) + ping(), "pong", PING_DATA)
simple("http2/8.1", "Sends a second HEADERS frame without the END_STREAM flag", headers(PUT, END_HEADERS) + frame(DATA, 0, 1, b"test")
       + headers(literal(b"x-test", b"ok"), END_HEADERS), "stream_error", PROTOCOL)
for section, title, block in (
    ("8.1.2", "Sends a HEADERS frame that contains the header field name in uppercase letters", GET + literal(b"X-TEST", b"ok")),
    ("8.1.2.1", "Sends a HEADERS frame that contains a unknown pseudo-header field", literal(b":test", b"ok") + GET),
    ("8.1.2.1", "Sends a HEADERS frame that contains the pseudo-header field defined for response", literal(b":status", b"200") + GET),
    ("8.1.2.1", "Sends a HEADERS frame that contains a pseudo-header field that appears in a header block after a regular header field",
     METHOD + SCHEME + AUTHORITY + literal(b"x-test", b"ok") + PATH),
    ("8.1.2.2", "Sends a HEADERS frame that contains the connection-specific header field", GET + literal(b"connection", b"keep-alive")),
    ("8.1.2.2", 'Sends a HEADERS frame that contains the TE header field with any value other than "trailers"',
     GET + literal(b"trailers", b"test") + literal(b"te", b"trailers, deflate")),
    ("8.1.2.3", 'Sends a HEADERS frame with empty ":path" pseudo-header field', METHOD + SCHEME + b"\x04" + text(b"") + AUTHORITY),
    ("8.1.2.3", 'Sends a HEADERS frame that omits ":method" pseudo-header field', SCHEME + PATH + AUTHORITY),
    ("8.1.2.3", 'Sends a HEADERS frame that omits ":scheme" pseudo-header field', METHOD + PATH + AUTHORITY),
    ("8.1.2.3", 'Sends a HEADERS frame that omits ":path" pseudo-header field', METHOD + SCHEME + AUTHORITY),
    ("8.1.2.3", 'Sends a HEADERS frame with duplicated ":method" pseudo-header field', METHOD + GET),
    ("8.1.2.3", 'Sends a HEADERS frame with duplicated ":scheme" pseudo-header field', SCHEME + GET),
    ("8.1.2.3", 'Sends a HEADERS frame with duplicated ":path" pseudo-header field', PATH + GET),
):
    simple(f"http2/{section}", title, headers(block), "stream_error", PROTOCOL)
simple("http2/8.1.2.1", "Sends a HEADERS frame that contains a pseudo-header field as trailers", headers(PUT, END_HEADERS)
       + frame(DATA, 0, 1, b"test") + headers(METHOD), "stream_error", PROTOCOL)
LENGTH = headers(PUT + literal(b"content-length", b"1"), END_HEADERS)
simple("http2/8.1.2.6", 'Sends a HEADERS frame with the "content-length" header field which does not equal the DATA frame payload length',
       LENGTH + frame(DATA, END_STREAM, 1, b"test"), "stream_error", PROTOCOL)
simple("http2/8.1.2.6", 'Sends a HEADERS frame with the "content-length" header field which does not equal the sum of the multiple DATA frames payload length',
       LENGTH + frame(DATA, 0, 1, b"test") + frame(DATA, END_STREAM, 1, b"test"), "stream_error", PROTOCOL)
simple("http2/8.2", "Sends a PUSH_PROMISE frame", headers() + frame(5, END_HEADERS, 1, b"\0\0\0\3" + GET), "connection_error", PROTOCOL)

# --- hpack

for section, title, block in (
    ("2.3.3", "Sends a indexed header field representation with invalid index", GET + b"\xc6"),
    ("2.3.3", "Sends a literal header field representation with invalid index", GET + b"\x0f\x37" + text(b"empty")),
    ("4.2", "Sends a dynamic table size update at the end of header block", GET + b"\x21"),
    ("5.2", "Sends a Huffman-encoded string literal representation with padding longer than 7 bits", GET + b"\x00" + text(b"x-test") + b"\x85\x9c\x48\xac\xa4\xff"),
    ("5.2", "Sends a Huffman-encoded string literal representation padded by zero", GET + b"\x00" + text(b"x-test") + b"\x81\x20"),
    ("5.2", "Sends a Huffman-encoded string literal representation containing the EOS symbol", GET + b"\x00" + text(b"x-test") + b"\x84\xff\xff\xff\xff"),
    ("6.1", "Sends a indexed header field representation with index 0", GET + b"\x80"),
    ("6.3", "Sends a dynamic table size update larger than the value of SETTINGS_HEADER_TABLE_SIZE", b"\x3f\xe1\xff\x03" + GET),
):
    simple(f"hpack/{section}", title, headers(block), "connection_error", COMPRESSION)


def run(gate):
    """The failed cases, and how many there are."""
    context = ssl.create_default_context(cafile=gate.ca)
    context.set_alpn_protocols(["h2"])
    failed = []
    for section, title, preface, check in CASES:
        one = None
        try:
            one = Connection(gate.port, context, preface)
            check(one)
        except Failed as why:
            failed.append((section, title, str(why)))
        except OSError as why:
            failed.append((section, title, f"{type(why).__name__}: {why}"))
        finally:
            if one:
                one.close()
        time.sleep(0.005)
    return failed, len(CASES)
