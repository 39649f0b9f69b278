#!/usr/bin/env python3
"""Django's admin with a login of the gate in front, by a provider that nobody here wrote (npm's `oidc-provider`), in a browser:
sign in, use it, show a second factor, sign out, be silent for too long; and never go round in circles. Django has its own login
behind it, whose cookie is bound to who signed in before: it is nobody else's, and ends with that sign-in."""

import os
import re
import secrets
import shutil
import sys
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "identity"))

from browser import Browser  # noqa: E402
from django_test import HOST, Visitor, start  # noqa: E402
from gate import Checks, Gate, Place, free_port, section, until  # noqa: E402
from provider import Person, Provider, client  # noqa: E402

CLIENT, COOKIE = "letters-web", "__Host-anteroom"
PEOPLE = {
    "grace.example": {"password": "of grace", "claims": {"org_id": "north-clinic", "roles": ["reader"]}},
    "joan.example": {"password": "of joan", "claims": {"org_id": "north-clinic", "roles": ["reader"]}},
    "edsger.example": {"password": "of edsger", "code": "271828", "claims": {"org_id": "north-clinic", "roles": ["manager"]}},
}
NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
SESSION = "session: { first_seen: now, after_logout: /admin/, idle: 15m }\n"


def main():
    checks = Checks("login")
    with Place() as place:
        port = free_port()
        password, secret = secrets.token_urlsafe(16), secrets.token_urlsafe(24)
        provider = Provider(place, [], PEOPLE, ask_logout="without-hint")
        gate = Gate(place, source(place, provider, secret), port, HOST)
        provider.settings["clients"] = [client(
            CLIENT, f"{gate.origin}/.anteroom/callback", client_secret=secret, token_endpoint_auth_method="client_secret_basic",
            post_logout_redirect_uris=[f"{gate.origin}/admin/"])]
        provider.run()
        start(place, port, password)
        gate.run()
        with Browser(place, gate, trusts=[provider.certificate]) as browser:
            drive(checks, place, gate, provider, browser, password)
    return checks.end()


def source(place, provider, secret):
    """The files of Django's gate, with a login in place of tokens that come by themselves."""
    folder = place.path("source")
    shutil.copytree(f"{HERE}/django", folder)
    os.makedirs(f"{folder}/keys", exist_ok=True)
    for name, text in (("client-secret", secret), ("login", secrets.token_hex(32))):
        with open(f"{folder}/keys/{name}", "w") as file:
            file.write(text)
    text = open(f"{folder}/config.yaml").read()
    login = (f"    issuer: {provider.issuer}\n    audience: [https://letters.clinic.example]\n    token: []\n"
             "    claims: { tenant: org_id, roles: roles }\n"
             f"    discovery: {{ ca: {provider.ca}, private: [127.0.0.0/8, \"::1\"] }}\n"
             f"    login: {{ client_id: {CLIENT}, client_secret: {{ file: keys/client-secret }}, keys: {{ file: keys/login }}, "
             f"id_token_hint: true }}\n")
    text, found = re.subn(r"(?ms)^    issuer: .*?^\n", login + "\n", text, count=1)
    assert found == 1
    # Browsers hold where a form leads in the end to the page's policy: signing out leads to the provider.
    text = text.replace("form-action 'self'", f"form-action 'self' {provider.issuer}")
    with open(f"{folder}/config.yaml", "w") as file:
        file.write(text + SESSION)
    return folder


def sign_in(browser, name):
    browser.type("#login", name)
    browser.type("#password", PEOPLE[name]["password"])
    browser.click("#go")


def visitor(gate, provider, name):
    """Somebody with a client of their own, who has signed in at the gate."""
    one = Visitor(gate)
    sent = one.get("/admin/", **NAVIGATES)
    back = urllib.parse.urlsplit(Person(provider, name).follow(sent.headers["location"]))
    one.get(f"{back.path}?{back.query}", **NAVIGATES)
    return one


def drive(checks, place, gate, provider, browser, password):
    section("signing in")
    browser.open("/static/admin/css/base.css")
    status = browser.run("return fetch('/admin/', {redirect: 'manual'}).then(answer => answer.status)")
    checks.that("a script gets 401 and is sent nowhere", status == 401, status)
    browser.open("/admin/letters/letter/?p=2")
    checks.that("a person is sent to the provider", browser.url().startswith(provider.issuer), browser.url())
    sign_in(browser, "grace.example")
    browser.says("Django administration")
    checks.that("and comes back to the very page, which Django has its own login before",
                browser.url().startswith(f"{gate.origin}/admin/login/?next=/admin/letters/letter/%3Fp%3D2"), browser.url())
    cookies = browser.cookies()
    flags = {name: cookies[COOKIE].get(name) for name in ("httpOnly", "secure", "sameSite", "path")}
    checks.that("the session's cookie has its flags", flags == {"httpOnly": True, "secure": True, "sameSite": "Lax", "path": "/"}, flags)
    checks.that("no script sees it", COOKIE not in browser.run("return document.cookie"))
    checks.that("nothing is left of the sign-in", not [name for name in cookies if "attempt" in name], list(cookies))

    section("using it")
    browser.type("#id_username", "ada")
    browser.type("#id_password", password)
    browser.click("input[type=submit]")
    browser.says("Letter 12")
    checks.that("the second page, behind both logins", "p=2" in browser.url(), browser.url())
    browser.open("/admin/auth/user/")
    browser.says("NOT_GRANTED")
    checks.that("what the role may not is refused, and nobody is sent round", browser.url().startswith(gate.origin), browser.url())

    section("the cookie of Django beside somebody else")
    kept = {name: cookie["value"] for name, cookie in browser.cookies().items()}
    joan = visitor(gate, provider, "joan.example")
    login = joan.get("/admin/")
    checks.that("she is signed in here, and not in Django", (login.status, login.headers.get("location")) == (302, "/admin/login/?next=/admin/"),
                (login.status, login.code))
    joan.cookies["sessionid"] = kept["sessionid"]
    stolen = joan.get("/admin/")
    checks.refused("a stolen session of Django", stolen, 401, "TOKEN_INVALID")
    checks.that("her browser is told to let go of it", "sessionid=; Max-Age=0; Path=/" in stolen.headers.get("set-cookie", ""), stolen.headers)
    checks.passes("without it she goes on, to Django's login", joan.get("/admin/"), 302)
    thief = Visitor(gate)
    thief.cookies["sessionid"] = kept["sessionid"]
    checks.refused("and by itself it is nobody", thief.get("/admin/"), 401, "NO_CREDENTIAL")
    browser.open("/admin/")
    browser.says("Site administration")
    checks.that("its owner has noticed nothing", True)

    section("signing out")
    sign_out(browser)
    until("the provider's page", lambda: browser.url().startswith(provider.issuer) and browser.count("#password"))
    checks.that("of the provider as well: it asks for a password again", True)
    checks.that("the provider has no session left", provider.state()["sessions"] <= 1, provider.state())
    event = [one for one in gate.record() if one.get("route") == "POST /.anteroom/logout"]
    checks.that("it is on the record", len(event) == 1 and event[0]["actor"]["sub"] == "grace.example", event)

    copies = Visitor(gate)
    copies.cookies = dict(kept)
    checks.refused("copies of both cookies are worth nothing", copies.get("/admin/"), 401, "SESSION_ENDED")
    grace = visitor(gate, provider, "grace.example")
    grace.cookies["sessionid"] = kept["sessionid"]
    again = grace.get("/admin/")
    checks.that("nor does Django's session go on behind the next sign-in of the same person",
                (again.status, again.headers.get("location")) == (302, "/admin/login/?next=/admin/"), (again.status, again.code))

    section("a second factor on the way")
    sign_in(browser, "edsger.example")
    browser.type("#code", PEOPLE["edsger.example"]["code"])
    browser.click("#go")
    browser.says("Django administration")
    checks.that("a manager is asked for it and comes back", browser.url().startswith(f"{gate.origin}/admin/login/"), browser.url())
    browser.type("#id_username", "ada")
    browser.type("#id_password", password)
    browser.click("input[type=submit]")
    browser.says("Site administration")
    browser.open("/admin/auth/user/")
    browser.says("Select user to change")
    checks.that("and sees accounts", True)
    steps = [one for one in gate.record() if one.get("code") == "STEP_UP"]
    checks.that("the gate asked once", [one["status"] for one in steps] == [303], steps)

    section("being silent for too long")
    text = open(gate.config).read()
    with open(gate.config, "w") as file:
        file.write(text.replace("idle: 15m", "idle: 3s"))
    until("the new configuration", lambda: "reloaded" in open(place.path("gate.log")).read())
    browser.open("/admin/")
    time.sleep(4)  # what is tried is that time passes
    browser.open("/admin/")
    browser.says("SESSION_ENDED")
    checks.that("a page says so", browser.url() == f"{gate.origin}/admin/", browser.url())
    browser.click("a[href^='/.anteroom/login?prompt=login']")
    until("the provider's page", lambda: browser.url().startswith(provider.issuer) and browser.count("#password"))
    checks.that("what the provider remembers does not let anybody in again", True)

    section("the record and the log")
    text = "".join(open(f"{gate.audit}/{name}").read() for name in os.listdir(gate.audit)) + open(place.path("gate.log")).read()
    for canary in ("code=", "state=", "eyJ", "of grace", "271828"):
        checks.that(f"no `{canary}` in record and log", canary not in text)


def sign_out(browser):
    """A button of a page, as the manual has it."""
    browser.run("""const form = document.createElement('form');
        form.method = 'post'; form.action = '/.anteroom/logout'; document.body.append(form); form.submit();""")


if __name__ == "__main__":
    sys.exit(main())
