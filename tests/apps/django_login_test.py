#!/usr/bin/env python3
"""Django's own login as the only one: the gate asks Django whose a session is (`app.session.whoami`)."""

import secrets
import sys

from browser import Browser
from django_test import HERE, HOST, Visitor, start
from gate import Checks, Gate, Place, free_port, section


def main():
    checks = Checks("django-login")
    with Place() as place:
        port = free_port()
        gate = Gate(place, f"{HERE}/django-login", port, HOST)
        password = secrets.token_urlsafe(16)
        start(place, port, password)
        gate.run()
        drive(checks, gate, password)
        in_a_browser(checks, place, gate, password)
        text = str(gate.record()) + open(place.path("gate.log")).read()
        checks.that("no password in record and log", password not in text)
    return checks.end()


def drive(checks, gate, password):
    section("by a client")
    nobody = Visitor(gate)
    checks.refused("nobody is signed in", nobody.get("/admin/"), 401, "NO_CREDENTIAL")
    checks.passes("the login page is for everyone", nobody.get("/admin/login/"))
    visitor = Visitor(gate)
    checks.passes("signs in to Django", visitor.login(password), 302)
    got = visitor.get("/admin/")
    checks.that("the admin", got.status == 200 and "Site administration" in got.text, (got.status, got.code))
    event = gate.event(got)
    actor = event["actor"]
    checks.that("the record names the person as Django does", (actor["iss"], actor["sub"], actor["roles"], event["tenant"]) ==
                (f"app:{HOST}", "1", ["manager"], "north-clinic"), event)
    checks.refused("two factors are more than a password of Django shows", visitor.get("/admin/letters/letter/1/delete/"), 401, "STEP_UP")
    checks.refused("what no route names stays closed", visitor.get("/admin/auth/user/"), 404, "NO_ROUTE")
    checks.refused("whoami is no page of the gate's", visitor.get("/whoami/"), 404, "NO_ROUTE")
    guess = Visitor(gate)
    guess.cookies["sessionid"] = "0123456789abcdefghijklmnopqrstuv"
    checks.refused("a session that Django does not know", guess.get("/admin/"), 401, "NO_CREDENTIAL")
    kept = dict(visitor.cookies)
    checks.passes("signs out", visitor.post("/admin/logout/", {}, page="/admin/"))
    visitor.cookies = kept
    checks.refused("the cookie that was kept opens nothing, at once", visitor.get("/admin/"), 401, "NO_CREDENTIAL")


def in_a_browser(checks, place, gate, password):
    section("in a browser")
    with Browser(place, gate) as browser:
        browser.open("/admin/login/?next=/admin/")
        browser.type("#id_username", "ada")
        browser.type("#id_password", password)
        browser.click("input[type=submit]")
        browser.says("Site administration")
        checks.that("signed in", "/admin/" in browser.url())
        browser.open("/admin/letters/letter/")
        browser.says("Letter 03")
        browser.open("/admin/")
        browser.click("#logout-form button")
        browser.says("Logged out")
        browser.open("/admin/")
        checks.that("signed out", "NO_CREDENTIAL" in browser.text(), browser.text())


if __name__ == "__main__":
    sys.exit(main())
