"""What the scenarios of examples/ share: a stand-in of the application, and a table of who asks for what and what comes of it."""

import contextlib
import http.server
import json
import os
import re
import threading

from gate import Checks, Gate, Place


class Stub(http.server.BaseHTTPRequestHandler):
    """The application's stand-in: says what it was told of the caller."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def behind_the_gate(folder, host):
    """The stand-in, and a gate with the files of an example before it; its policy tests have held then."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub) as stub, Place() as place:
        threading.Thread(target=stub.serve_forever, daemon=True).start()
        gate = Gate(place, folder, stub.server_port, host)
        print(gate.command("test", "--strict", "--config", gate.config))
        yield gate.run()
        stub.shutdown()


def routes(folder):
    """The ids of all routes of the policies."""
    found = set()
    for name in os.listdir(f"{folder}/policies"):
        text = open(f"{folder}/policies/{name}").read()
        section = re.search(r"(?ms)^routes:\n(.*?)(?=^\S|\Z)", text)
        found |= set(re.findall(r"(?m)^  (\w+):", section[1])) if section else set()
    return found


def table(checks, gate, folder, tokens, tenants, requests, quiet=("health",)):
    """Sends each request of the table: rule, who, method, path, headers, and the reason code of the refusal or None. Looks at
    what the application was told and at the record (but of `quiet` rules); each route has to let somebody in."""
    allowed = set()
    for rule, who, method, path, headers, code in requests:
        spoofed = {"X-Tenant-Id": "org_evil", "X-User-Roles": "forged_admin", **headers}
        got = gate.ask(method, path, tokens[who], b"{}" if method in ("POST", "PUT", "PATCH") else None, spoofed)
        what = f"{who:8} {method:6} {path} {headers or ''}".rstrip()
        if code:
            checks.that(f"{what}: {code}", got.code == code, (got.status, got.code))
        elif checks.that(f"{what}: allowed", got.status == 200 and got.code is None, (got.status, got.code)):
            allowed.add(rule)
            told = got.json()
            checks.that("    and the application was told who asks, and nothing that the client made up",
                        told.get("x-tenant-id") == tenants[who] and "forged_admin" not in (told.get("x-user-roles") or "")
                        and "authorization" not in told, told)
        if rule not in quiet:
            event = gate.event(got)
            checks.that("    and it is on the record", (event.get("rule"), event.get("code")) == (rule, code), event)
    checks.that("every route lets someone in", allowed == routes(folder), routes(folder) ^ allowed)


__all__ = ["Checks", "behind_the_gate", "routes", "table"]
