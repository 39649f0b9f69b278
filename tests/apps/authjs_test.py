#!/usr/bin/env python3
"""Auth.js (NextAuth) as the only login: the gate asks it whose the session is that it has encrypted (`app.session.whoami`)."""

import json
import os
import secrets
import sys
import urllib.parse

import packages
from django_test import Visitor
from gate import Checks, Gate, Place, free_port, section

HERE = os.path.dirname(os.path.abspath(__file__))
HOST = "ward.clinic.example"
SESSION = "__Secure-authjs.session-token"


class Person(Visitor):
    """Somebody in front of a browser."""

    def auth(self, action, **fields):
        """Sends a form of Auth.js."""
        fields["csrfToken"] = self.get("/api/auth/csrf").json()["csrfToken"]
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.gate.origin, "Sec-Fetch-Site": "same-origin",
                   "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        return self.ask("POST", f"/api/auth/{action}", urllib.parse.urlencode(fields), headers)

    def sign_in(self, name, password):
        return self.auth("callback/credentials", name=name, password=password)

    @property
    def session(self):
        """The names of the session's cookies that it has."""
        return sorted(name for name, value in self.cookies.items() if name.startswith(SESSION) and value)


def start(place, modules, password, padding=0):
    port = free_port()
    env = {"PORT": str(port), "MODULES": modules, "PASSWORD": password, "AUTH_SECRET": secrets.token_urlsafe(32), "PADDING": str(padding)}
    place.serve("authjs", port, [packages.system("node", "nodejs"), f"{HERE}/authjs/server.mjs"], env)
    return port


def main():
    checks = Checks("authjs")
    modules = packages.node(f"{packages.CACHE}/authjs", f"{HERE}/authjs/package.json")
    password = secrets.token_urlsafe(16)
    with Place() as place:
        gate = Gate(place, f"{HERE}/authjs", start(place, modules, password), HOST).run()
        drive(checks, gate, password)
        text = str(gate.record()) + open(place.path("gate.log")).read()
        checks.that("no password in record and log", password not in text)
    with Place() as place:
        gate = Gate(place, f"{HERE}/authjs", start(place, modules, password, 5000), HOST).run()
        in_pieces(checks, gate, password)
    return checks.end()


def drive(checks, gate, password):
    section("a session in one cookie")
    ada = Person(gate)
    checks.refused("nobody is signed in", ada.get("/ward"), 401, "NO_CREDENTIAL")
    sent = ada.get("/ward", **{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"})
    checks.that("who goes there is sent to its page", (sent.status, sent.headers.get("location")) ==
                (303, "/api/auth/signin?callbackUrl=%2Fward"), (sent.status, sent.headers))
    page = ada.get(sent.headers["location"])
    checks.that("which is Auth.js's own", (page.status, "/api/auth/callback/credentials" in page.text) == (200, True), page.status)
    checks.that("Auth.js knows nobody", ada.get("/api/auth/session").text == "null")
    ada.sign_in("ada", "wrong")
    checks.that("a wrong password makes no session", ada.session == [], ada.session)
    checks.passes("signs in", ada.sign_in("ada", password), 302)
    got = ada.get("/ward")
    checks.that("the ward", (got.status, ada.session) == (200, [SESSION]), (got.status, got.code, ada.session))
    event = gate.event(got)
    actor = event["actor"]
    checks.that("the record names the person as Auth.js does", (actor["iss"], actor["sub"], actor["roles"], event["tenant"]) ==
                (f"app:{HOST}", "u-ada", ["manager"], "north-clinic"), event)
    before = dict(ada.cookies)
    ada.get("/api/auth/session")
    checks.that("Auth.js writes the cookie anew each time that its page asks", ada.cookies[SESSION] != before[SESSION])
    checks.passes("the new one", ada.get("/ward"))
    guess = Person(gate)
    guess.cookies[SESSION] = "eyJhbGciOiJkaXIifQ..a.b.c"
    checks.refused("one that Auth.js cannot open is nobody's", guess.get("/ward"), 401, "NO_CREDENTIAL")
    checks.passes("signs out", ada.auth("signout"), 302)
    checks.that("Auth.js takes its cookie back", ada.session == [], ada.session)
    ada.cookies = dict(before)
    checks.passes("a copy of it is good as long as Auth.js believes it", ada.get("/ward"))
    checks.passes("signs out at the gate", ada.ask("POST", "/.anteroom/logout", None, {"Sec-Fetch-Site": "same-origin"}), 204)
    ada.cookies = dict(before)
    checks.refused("which ends every copy", ada.get("/ward"), 401, "SESSION_ENDED")


def in_pieces(checks, gate, password):
    section("a session in pieces")
    ada = Person(gate)
    checks.passes("signs in", ada.sign_in("ada", password), 302)
    checks.that("the session is in pieces", ada.session == [f"{SESSION}.0", f"{SESSION}.1"], ada.session)
    checks.refused("a cookie in pieces is none that the gate is told of", ada.get("/ward"), 401, "NO_CREDENTIAL")


if __name__ == "__main__":
    sys.exit(main())
