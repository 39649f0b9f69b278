#!/usr/bin/env python3
"""Django's admin behind the gate: its own login, CSRF check, forms, pages, uploads, by a client and in a browser."""

import http.cookies
import json
import os
import re
import secrets
import sys
import time
import urllib.parse

from browser import Browser
from gate import Checks, Gate, Place, factors, free_port, section, until
from orthanc_test import keep

HERE = os.path.dirname(os.path.abspath(__file__))
HOST = "letters.clinic.example"
PYTHON = os.path.join(os.environ.get("APPS_CACHE", os.path.expanduser("~/.cache/anteroom-tests")), "django", "bin", "python")


def main():
    checks = Checks("django")
    with Place() as place:
        port = free_port()
        gate = Gate(place, f"{HERE}/django", port, HOST)
        password = secrets.token_urlsafe(16)
        site = start(place, port, password)
        gate.run()
        drive(checks, place, gate, password)
        checks.that("Django is still the one that was started", site.poll() is None)
    return checks.end()


def start(place, port, password):
    """The site with its database, a superuser and 25 letters."""
    site = f"{HERE}/django/site"
    os.mkdir(place.path("data"))
    with open(place.path("data", "secret"), "w") as file:
        file.write(secrets.token_urlsafe(48))
    env = {"SITE_DATA": place.path("data"), "DJANGO_SUPERUSER_PASSWORD": password, "PYTHONDONTWRITEBYTECODE": "1",
           "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": site, "HOME": place.folder}
    letters = ("import datetime\nfrom letters.models import Letter\n"
               "Letter.objects.bulk_create(Letter(patient=f'P-{n:04}', subject=f'Letter {n:02}',"
               " sent=datetime.date(2026, 11, 1 + n % 20)) for n in range(1, 26))\n")
    for arguments in (["migrate", "--run-syncdb", "--verbosity", "0"], ["collectstatic", "--noinput", "--verbosity", "0"],
                      ["createsuperuser", "--noinput", "--username", "ada", "--email", "ada@clinic.example"],
                      ["shell", "--verbosity", "0", "-c", letters]):
        process = place.start("manage", [PYTHON, f"{site}/manage.py", *arguments], env, site)
        if process.wait(60) != 0:
            raise SystemExit(f"manage.py {arguments[0]}:\n" + open(place.path("manage.log")).read())
    return place.serve("django", port, [PYTHON, "-m", "gunicorn", "--workers", "1", "--threads", "4", "--bind",
                                        f"127.0.0.1:{port}", "wsgi:application"], env, site)


class Visitor:
    """A client that keeps cookies, as a browser does, and sends what a browser sends with a form."""

    def __init__(self, gate, session=None):
        self.gate, self.cookies = gate, {}
        if session:
            self.cookies["__session"] = session

    def ask(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.gate.ask(method, path, None, body, headers)
        for line in answer.headers.get("set-cookie", "").split("\n"):
            for name, morsel in http.cookies.SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return answer

    def get(self, path, **headers):
        return self.ask("GET", path, headers=headers)

    def post(self, path, fields, files=None, origin=None, referer=None, site="same-origin", page=None):
        """Sends the form of a page (left out: of `path`): with its hidden token, Origin, Referer and Sec-Fetch-Site."""
        fields = {"csrfmiddlewaretoken": self.form_token(page or path), **fields}
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        if origin is not False:
            headers["Origin"] = origin or self.gate.origin
        if referer is not False:
            headers["Referer"] = referer or self.gate.origin + path
        if files is None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return self.ask("POST", path, urllib.parse.urlencode(fields), headers)
        boundary = "the-boundary"
        body = b""
        for name, value in fields.items():
            body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, (file, data) in files.items():
            body += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n'
                     "Content-Type: application/pdf\r\n\r\n").encode() + data + b"\r\n"
        headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
        return self.ask("POST", path, body + f"--{boundary}--\r\n".encode(), headers)

    def form_token(self, path):
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(path).text)
        return found[1] if found else "none"

    def login(self, password):
        return self.post("/admin/login/?next=/admin/", {"username": "ada", "password": password})


def drive(checks, place, gate, password):
    here = {"org_id": "north-clinic"}
    desk = gate.token("ada.example", **here, roles=["front_desk"])
    reader = gate.token("grace.example", **here, roles=["reader"])
    manager = gate.token("edsger.example", **here, roles=["manager"], **factors("pwd", "otp"))
    hasty = gate.token("edsger.example", **here, roles=["manager"], **factors("pwd"))
    stranger = gate.token("eve.example", org_id="south-clinic", roles=["manager"], **factors("pwd", "otp"))

    section("its own login")
    nobody = Visitor(gate)
    checks.refused("without the clinic's session not even the login page", nobody.get("/admin/login/"), 401, "NO_CREDENTIAL")
    checks.refused("nor with another clinic's", Visitor(gate, stranger).get("/admin/login/"), 403, "NOT_OWN")
    visitor = Visitor(gate, desk)
    got = visitor.get("/admin/")
    checks.passes("Django sends who is not signed in to its login", got, 302)
    checks.that("to a path of its own", got.headers["location"].startswith("/admin/login/"), got.headers["location"])
    got = visitor.post("/admin/login/", {"username": "ada", "password": "wrong"})
    checks.that("a wrong password", got.status == 200 and "Please enter the correct" in got.text, (got.status, got.code))
    got = visitor.login(password)
    checks.passes("the right one", got, 302)
    cookie = next((line.lower() for line in got.headers.get("set-cookie", "").split("\n") if line.startswith("sessionid=")), "")
    checks.that("Django's cookie, which it marks for any connection, leaves for TLS alone",
                all(word in cookie for word in ("secure", "httponly", "samesite")), cookie.split(";")[1:])
    checks.that("the admin", (got := visitor.get("/admin/")).status == 200 and "Site administration" in got.text, got.status)
    checks.that("Django's cookie came through", "sessionid" in visitor.cookies, list(visitor.cookies))

    section("its CSRF check, with TLS ended in front of it")
    path = "/admin/letters/letter/add/"
    letter = {"patient": "P-0100", "subject": "By hand", "sent": "2026-11-21"}
    checks.passes("a form with Origin", visitor.post(path, letter, {}), 302)
    checks.passes("a form with Referer alone, as old browsers send it",
                  visitor.post(path, {**letter, "subject": "By Referer"}, {}, origin=False), 302)
    got = visitor.post(path, letter, {}, origin="https://evil.example", referer="https://evil.example/", site="cross-site")
    checks.that("a form from another site is refused, by the gate or by Django", got.status == 403, (got.status, got.code))
    got = visitor.ask("POST", path, urllib.parse.urlencode(letter), {"Content-Type": "application/x-www-form-urlencoded",
                      "Origin": gate.origin, "Referer": gate.origin + path, "Sec-Fetch-Site": "same-origin"})
    checks.that("a form without Django's token is refused by Django", got.status == 403 and got.code is None, (got.status, got.code))

    section("pages, search, upload, download")
    got = visitor.get("/admin/letters/letter/?p=2")
    checks.that("the second page of a list", got.status == 200 and "Letter 11" in got.text and "Letter 09" not in got.text)
    got = visitor.get("/admin/letters/letter/?q=Letter+07&o=-1.2")
    checks.that("a search with an order", got.status == 200 and "Letter 07" in got.text and "Letter 08" not in got.text, got.status)
    got = visitor.get("/admin/letters/letter/?_changelist_filters=q%3DLetter%26p%3D2&e=1")
    checks.that("a query within a query", got.status in (200, 302) and got.code is None, (got.status, got.code))
    scan = b"%PDF-1.4\n" + os.urandom(3 << 20)
    got = visitor.post(path, {**letter, "subject": "Scanned"}, {"scan": ("a letter (1).pdf", scan)})
    checks.passes("an upload of 3 MiB", got, 302)
    number = re.findall(r"/letters/(\d+)/file", visitor.get("/admin/letters/letter/?q=Scanned").text)[0]
    got = visitor.get(f"/letters/{number}/file")
    checks.that("the same bytes come back", got.status == 200 and got.body == scan, (got.status, len(got.body)))
    checks.that("as an attachment", "attachment" in got.headers.get("content-disposition", ""), got.headers)
    css = visitor.get("/static/admin/css/base.css", Range="bytes=0-99")
    checks.that("a range of a file", css.status == 206 and len(css.body) == 100, (css.status, len(css.body)))
    whole = visitor.get("/static/admin/css/base.css")
    again = visitor.get("/static/admin/css/base.css", **{"If-Modified-Since": whole.headers["last-modified"]})
    checks.that("not modified", again.status == 304 and not again.body, again.status)
    got = visitor.post(path, {**letter, "subject": "Too big"}, {"scan": ("big.pdf", bytes(21 << 20))})
    checks.refused("an upload over the limit", got, 413, "TOO_LARGE")

    section("what does not pass, whatever Django would say")
    admin = Visitor(gate, desk)
    admin.cookies.update(visitor.cookies)
    got = admin.ask("GET", f"/admin/letters/letter/{number}/delete/")
    checks.refused("a superuser of Django whose role at the gate may not remove", got, 403, "NOT_GRANTED")
    got = admin.ask("POST", "/admin/letters/letter/", "action=delete_selected", {"Sec-Fetch-Site": "same-origin", "Origin": gate.origin})
    checks.refused("nor by a bulk action", got, 403, "NOT_GRANTED")
    checks.refused("nor see accounts", admin.get("/admin/auth/user/"), 403, "NOT_GRANTED")
    got = Visitor(gate, reader).ask("POST", path, "a=b", {"Sec-Fetch-Site": "same-origin", "Origin": gate.origin})
    checks.refused("a reader writes", got, 403, "NOT_GRANTED")
    del admin.cookies["__session"]
    checks.refused("Django's session alone", admin.get("/admin/letters/letter/"), 401, "NO_CREDENTIAL")
    admin.cookies["__session"] = desk
    for gone in ("/admin/doc/", "/api/letters", "/admin/letters/letter", "/.env", "/media/scans/a.pdf"):
        checks.refused(f"GET {gone}", admin.get(gone), 404, "NO_ROUTE")
    checks.refused("a disguised method", admin.ask("POST", "/admin/letters/letter/add/", "", {"X-HTTP-Method-Override": "DELETE"}), 400, "BAD_HEADER")
    checks.refused("a manager who signed in with a password alone", Visitor(gate, hasty).get("/admin/auth/user/"), 401, "STEP_UP")
    others(checks, gate, visitor, reader, stranger, password)
    admin = Visitor(gate, manager)
    checks.passes("a manager signs in to Django as well", admin.login(password), 302)
    got = admin.post(f"/admin/letters/letter/{number}/delete/", {"post": "yes"})
    checks.passes("a manager removes", got, 302)
    checks.passes("a manager sees accounts", admin.get("/admin/auth/user/"))

    page(checks, place, gate, password, manager, hasty, stranger)

    section("its login has no limit of its own; the gate has")
    tired = Visitor(gate, gate.token("mallory.example", **here, roles=["reader"]))
    began, guesses = time.monotonic(), 0
    while guesses < 100:
        got = tired.ask("POST", "/admin/login/", "username=ada&password=guess",
                        {"Origin": gate.origin, "Sec-Fetch-Site": "same-origin"})
        if got.code == "LIMITED":
            break
        guesses += 1
    grown = int((time.monotonic() - began) / 2) + 1  # one more every two seconds
    checks.that("30 guesses, then no more", got.code == "LIMITED" and 30 <= guesses <= 30 + grown, (guesses, grown, got.code))
    checks.that("it says when to come back", int(got.headers.get("retry-after", 0)) >= 1, got.headers)

    section("the record")
    text = json.dumps(gate.record()) + open(place.path("gate.log")).read()
    for canary in (password, "P-0100", "By hand", "Letter+07", "eyJ", visitor.cookies["sessionid"], "a letter"):
        checks.that(f"no `{canary if canary != password else 'password'}` in record and log", canary not in text)


def others(checks, gate, owner, reader, stranger, password):
    section("Django's session beside another person's token")
    stolen = owner.cookies["sessionid"]
    for who, token in (("a colleague", reader), ("another clinic", stranger)):
        thief = Visitor(gate, token)
        thief.cookies["sessionid"] = stolen
        got = thief.get("/admin/letters/letter/")
        checks.refused(f"{who} with a stolen cookie", got, 401, "TOKEN_INVALID")
        checks.that("the browser is told to let go of it", "sessionid=; Max-Age=0; Path=/;" in got.headers["set-cookie"], got.headers)
    checks.passes("its owner goes on", owner.get("/admin/letters/letter/"))
    planted = Visitor(gate, reader)
    planted.cookies["sessionid"] = "0123456789abcdefghijklmnopqrstuv"
    got = planted.get("/admin/letters/letter/")
    checks.that("one that Django did not set here never reaches Django", (got.status, got.code) == (302, None), (got.status, got.code))
    leaver = Visitor(gate, reader)
    checks.passes("a colleague signs in to Django", leaver.login(password), 302)
    checks.passes("and sees letters", leaver.get("/admin/letters/letter/"))
    kept = dict(leaver.cookies)
    checks.passes("signs out of Django", leaver.post("/admin/logout/", {}, page="/admin/password_change/"))
    leaver.cookies = kept
    checks.passes("the cookie that was kept opens nothing", leaver.get("/admin/letters/letter/"), 302)


def page(checks, place, gate, password, manager, hasty, stranger):
    section("in a browser")
    with Browser(place, gate) as browser:
        browser.open("/admin/")
        checks.that("without a session a refusal with its code", "NO_CREDENTIAL" in browser.text(), browser.text())
        browser.cookie("__session", stranger)
        browser.open("/admin/")
        checks.that("another clinic's session is refused", "NOT_OWN" in browser.text(), browser.text())
        browser.cookie("__session", hasty)
        browser.open("/admin/")
        checks.that("a manager without a second factor is sent to sign in again", "STEP_UP" in browser.text(), browser.text())
        browser.cookie("__session", manager)
        browser.troubles()
        browser.open("/admin/")
        browser.type("#id_username", "ada")
        browser.type("#id_password", password)
        browser.click("input[type=submit]")
        browser.says("Site administration")
        checks.that("signed in", "/admin/" in browser.url())
        browser.open("/admin/letters/letter/")
        browser.says("Letter 03")
        browser.click(".paginator a[href*='p=2']")
        browser.says("Letter 12")
        checks.that("the second page", "p=2" in browser.url(), browser.url())
        keep(place, browser, "django.png", checks)
        browser.open("/admin/letters/letter/add/")
        browser.type("#id_patient", "P-0200")
        browser.type("#id_subject", "From a browser")
        browser.click(".datetimeshortcuts a")  # `Today`: made by a script of the page
        scan = place.path("scan.pdf")
        with open(scan, "wb") as file:
            file.write(b"%PDF-1.4\n" + os.urandom(200_000))
        browser.type("#id_scan", scan)
        browser.click("input[name=_save]")
        browser.says("was added successfully")
        checks.that("a form with a file, sent by the browser", True)
        browser.type("#searchbar", "From a browser")
        browser.click("#changelist-search input[type=submit]")
        browser.says("1 result")
        browser.click(".field-file a")
        path = browser.downloaded(".pdf")
        until("the whole download", lambda: os.path.getsize(path) == os.path.getsize(scan))
        checks.that("the file, downloaded by the browser, is the same", open(path, "rb").read() == open(scan, "rb").read())
        checks.that("the browser had nothing refused or failed", not (bad := browser.troubles()), bad)
        browser.open("/admin/letters/letter/add/")
        with open(place.path("big.pdf"), "wb") as file:
            file.write(bytes(21 << 20))
        browser.type("#id_scan", place.path("big.pdf"))
        browser.run("document.querySelectorAll('[required]').forEach(one => one.required = false)")
        browser.click("input[name=_save]")
        browser.says("TOO_LARGE")
        checks.that("an upload over the limit ends on a page that says so", True)
        browser.open("/admin/")
        browser.click("#logout-form button")
        browser.says("Logged out")
        checks.that("signed out of Django", "sessionid" not in browser.cookies(), list(browser.cookies()))


if __name__ == "__main__":
    sys.exit(main())
