"""HTTP/1.1: the request corpora of gunicorn, of llhttp (Node's parser) and of aiohttp, sent as the bytes that they are.

A case that its suite calls invalid must be refused, or its connection ended, and no request of it may reach the
application whole; one that it calls valid must reach it whole, or be refused for a stricter rule that stands in
`STRICTER`. Whatever reaches the application is read back by a strict reader (recorder.py).

Most cases name no host that the gate serves and would be refused for that alone. So each is sent with `Host: localhost`
put in the place of its own, or added; cases about Host and the form of the target are sent as they are, too.
"""

import os
import re
import socket
import ssl
import time

import aiohttp_cases

QUIET = 0.25  # seconds without a byte, after which a case is over


class Case:
    def __init__(self, suite, name, data, verdict, whole=0, why=""):
        self.suite, self.name, self.data, self.verdict, self.whole, self.why = suite, name, data, verdict, whole, why


# --- gunicorn: tests/requests/{valid,invalid}/*.http, with a .py beside each


def gunicorn(folder):
    for verdict in ("valid", "invalid"):
        place = f"{folder}/tests/requests/{verdict}"
        for name in sorted(os.listdir(place)):
            if name.endswith(".http"):
                said = open(f"{place}/{name[:-5]}.py").read()
                data = open(f"{place}/{name}", "rb").read().replace(b"\n", b"").replace(b"\\r\\n", b"\r\n")
                data = data.replace(b"\\0", b"\0").replace(b"\\n", b"\n").replace(b"\\t", b"\t")
                data = re.sub(rb"\\x([0-9A-Fa-f]{2})", lambda found: bytes((int(found[1], 16),)), data)
                yield Case("gunicorn", f"{verdict}/{name[:-5]}", data, *reading(verdict, said, name))


# Settings of gunicorn under which a case is what it is called; without them a gate may go either way.
OPTIONS = ("limit_request_line", "limit_request_fields", "limit_request_field_size", "forwarded_allow_ips", "permit_", "tolerate_",
           "header_map", "strip_header_spaces", "casefold_http_method", "proxy_protocol")


def reading(verdict, said, name):
    settings = [option for option in OPTIONS if re.search(rf"set\(['\"]{option}", said)]
    if verdict == "invalid":
        # Limits of gunicorn's own, and what it refuses only when told to.
        own = "Limit" in said or settings and settings != ["proxy_protocol"] and "header_map" not in settings
        if own or "InvalidSchemeHeaders" in said:
            return "either", 0, "by a setting or limit of gunicorn's own"
        return "invalid", 0, ""
    if settings:
        return "either", 0, "by a setting of gunicorn's own: " + ", ".join(settings)
    return "valid", max(1, said.count('"method"') or said.count("'method'")), ""


# --- llhttp: test/request/*.md, the text in ```http, what its parser saw in ```log


def llhttp(folder):
    for page in sorted(os.listdir(folder)):
        if not page.endswith(".md"):
            continue
        text = open(f"{folder}/{page}", encoding="utf-8").read()
        title, number = "", 0
        parts = re.finditer(r"^#+ ([^\n]+)$|<!-- meta=(\{.*?\}) -->\n```http\n((?:(?!```).)*?)\n?```\n+(?:[^`]*\n)?```log\n(.*?)```", text, re.M | re.S)
        for part in parts:
            if part[1]:
                title = part[1]
                continue
            kind = re.search(r'"type":\s*"([^"]+)"', part[2])[1]
            if "pause" in part[2] or "skipBody" in part[2]:
                continue  # the same requests as elsewhere, for its interface
            number += 1
            name = f"{page[:-3]}/{number} {title}"
            yield Case("llhttp", name, unescaped(part[3]), *seen(kind, part[4]))


def unescaped(text):
    """Line ends of the page are CR LF; what is escaped stands for itself."""
    data = re.sub(rb"\\(\r\n|\r|\n)", b"", text.encode().replace(b"\n", b"\r\n"))
    named = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"f": b"\f"}
    return re.sub(rb"\\x([0-9A-Fa-f]{2})|\\([nrtf])", lambda found: bytes((int(found[1], 16),)) if found[1] else named[found[2]], data)


def seen(kind, log):
    whole = log.count("message complete")
    if re.search(r'span\[protocol\]="(?!HTTP")', log) or "span[version]" not in log and "error" not in log and whole:
        return "either", whole, "it is not HTTP/1"
    error = re.search(r"error code=(\d+)", log)
    if kind.startswith("request-lenient"):
        return "either", whole, "llhttp takes it only when told to be lenient"
    if error and error[1] not in ("21", "22", "23", "24"):  # those are pauses
        return "invalid", whole, ""
    if "pause" in log.lower() or error:
        return "either", whole, "an upgrade or CONNECT"
    if not whole or "finish=2" in log:
        return "invalid", whole, "it is never complete"
    return "valid", whole, ""


# --- aiohttp: what its tests of the parser expect to be refused


def aiohttp(path):
    for name, data in aiohttp_cases.cases(path):
        yield Case("aiohttp", name, data, "invalid", 1 if "after_close" in name else 0)


# --- sending


def served(data):
    """The same with a host that the gate serves: in the place of its own, or added."""
    lead = re.match(rb"(?:\r?\n)*", data)[0]
    head, blank, rest = data[len(lead):].partition(b"\r\n\r\n")
    if not blank:
        head, rest = data, b""
    hosts = re.findall(rb"(?im)^host:[^\r\n]*\r?$", head)
    if len(hosts) == 1:
        head = re.sub(rb"(?im)^host:[^\r\n]*", b"Host: localhost", head, count=1)
    elif not hosts:
        line, crlf, fields = head.partition(b"\r\n")
        if not crlf:
            if not blank:
                return data
            fields = b""
        head = line + b"\r\nHost: localhost" + (b"\r\n" + fields if fields else b"")
        if not blank and data.endswith(b"\r\n") and not head.endswith(b"\r\n"):
            head += b"\r\n"
    # Requests that follow on the same connection.
    rest = re.sub(rb"(?m)^((?:GET|POST|PUT|DELETE|HEAD) \S+ HTTP/1\.1)\r$(?!\nHost)", rb"\1\r\nHost: localhost\r", rest)
    return lead + head + blank + rest


def send(port, context, data):
    """What comes back until the gate ends the connection, or has said nothing for a while: then it waits for more."""
    raw = socket.create_connection(("127.0.0.1", port), 10)
    one = context.wrap_socket(raw, server_hostname="localhost")
    got = b""
    try:
        try:
            one.sendall(data)
        except OSError:
            pass
        one.settimeout(QUIET)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            more = one.recv(65536)
            if not more:
                break
            got += more
    except OSError:
        pass
    finally:
        one.close()
    return got


def answers(got):
    """(status, reason code) of each answer."""
    found = []
    for part in re.split(rb"(?=HTTP/1\.[01] \d{3})", got):
        if part.startswith(b"HTTP/1."):
            # JSON, or a page for whoever asks for HTML.
            code = re.search(rb'"code":\s*"(\w+)"|>\s*([A-Z]+_[A-Z_]+)\s*<', part)
            found.append((int(part[9:12]), (code[1] or code[2]).decode() if code else ""))
    return [one for one in found if one[0] >= 200]


# Valid, and refused all the same, for a rule that the manual states: reason code (or status) and the rule.
STRICTER = {
    "BAD_PATH": "the target can be read in two ways",
    "BAD_HOST": "the host is not served, or the target is in absolute form",
    "BAD_HEADER": "a field that may stand once is repeated, or a name that two readers read in two ways",
    "BAD_FRAMING": "the body is framed in a way that another reader could read differently",
    "TOO_LARGE": "over a limit of the gate",
    "METHOD_NOT_ALLOWED": "a method that no route can name",
    "CROSS_SITE": "a post with a cookie and neither Origin nor Sec-Fetch-Site",
    "NO_ROUTE": "a target that no route can name",
}


# Valid to a lax reader: RFC 3986 has no place for these in a URI.
NO_URI = ("gunicorn valid/014", "llhttp uri/1 Quotes in URI")


def run(gate, recorder, folders):
    context = ssl.create_default_context(cafile=gate.ca)
    context.set_alpn_protocols(["http/1.1"])
    cases = [*gunicorn(folders["gunicorn"]), *llhttp(folders["llhttp"]), *aiohttp(folders["aiohttp"])]
    scores, failed, stricter = {}, [], []
    for case in cases:
        as_it_is, ours = [case.data], [served(case.data)]
        sent = ours if case.verdict != "invalid" else as_it_is if "host_header" in case.name else as_it_is + ours
        for data in dict.fromkeys(sent):
            recorder.take()
            got = send(gate.port, context, data)
            time.sleep(0.02)  # the connection is closed now; what was held back for more must not go out
            requests, faults = recorder.take()
            wrong, rule = judge(case, answers(got), requests, faults)
            if wrong:
                failed.append((case, f"{wrong}; sent {data[:300]!r}, got {got[:120]!r}"))
                break
            if rule:
                stricter.append((case, rule))
        else:
            held = scores.setdefault(case.suite, [0, 0])
            held[0] += 1
        scores.setdefault(case.suite, [0, 0])[1] += 1
    return scores, failed, stricter


def judge(case, said, requests, faults):
    """(what is wrong, the stricter rule)"""
    if faults:
        return f"the application got something ambiguous: {faults[0]}", None
    if case.verdict == "invalid":
        if len(requests) > case.whole:
            return f"{len(requests)} requests reached the application, {case.whole} should ({requests[-1].method!r} {requests[-1].target!r})", None
        return None, None
    good = [one for one in said if one[0] == 200]
    refusals = [one for one in said if one[0] != 200]
    if len(requests) > len(good) or len(good) > max(case.whole, 1) and case.verdict == "valid":
        return f"{len(requests)} requests at the application, {len(good)} answers", None
    if case.verdict == "either":
        return None, None
    if refusals:
        status, code = refusals[0]
        if f"{case.suite} {case.name}" in NO_URI and status == 400:
            return None, (status, "BAD_PATH")
        return (None, (status, code)) if code in STRICTER else (f"refused with {status} {code}", None)
    if len(good) == case.whole:
        return None, None
    return f"{len(good)} answers, not {case.whole}", None

