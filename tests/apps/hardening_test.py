#!/usr/bin/env python3
"""The steps of docs/kubernetes/hardening.md, walked with the Django site: watch, read, write rules, enforce one file at a time."""

import collections
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time

from django_test import HERE, HOST, Visitor, start
from gate import ROOT, VERBOSE, Checks, Gate, Place, factors, free_port, section, until

OBSERVED = """
rollout: { cookies: observe, csrf: observe, csp: observe, hsts: observe, errors: observe, limits: observe, body: observe }
"""
PAGE = f"{ROOT}/docs/kubernetes/hardening.md"


def of_the_page(mark):
    """The text of the page's block behind the line that ends with these words."""
    rest = open(PAGE).read().split(mark, 1)[1]
    return rest.split("```", 2)[1].split("\n", 1)[1]


class Walk:
    """The gate with the files of the moment, and what it has written since the last look."""

    def __init__(self, place, port):
        source = place.path("source")
        shutil.copytree(f"{HERE}/django", source, ignore=shutil.ignore_patterns("site", "policies", "requirements.txt"))
        os.mkdir(f"{source}/policies")
        text = open(f"{source}/config.yaml").read().replace("\nlisten:\n", "\nlisten:\n  control: unix:control.sock\n")
        # This site has one login of Django's, which all share: its cookie is nobody's.
        text, found = re.subn(r"(?m)^  session: .*\n", "", text)
        assert found == 1, text
        with open(f"{source}/config.yaml", "w") as file:
            file.write(text + OBSERVED)
        with open(f"{source}/policies/draft.yaml", "w") as file:
            file.write(of_the_page("`policies/draft.yaml`:"))
        self.rules = open(f"{HERE}/django/policies/letters.yaml").read() + "\ntests:\n" + of_the_page("with tests:").split("tests:\n", 1)[1]
        self.gate, self.seen = Gate(place, source, port, HOST), 0
        self.gate.run()

    def status(self):
        return json.loads(self.gate.command("status", "--control", f"{self.gate.folder}/control.sock"))

    def change(self, what):
        """Changes the files, as a ConfigMap would, and waits until they are taken."""
        done = self.status()["reload"]["done"]
        what()
        said = self.gate.command("check", "--config", self.gate.config)
        until("the reload", lambda: self.status()["reload"]["done"] > done)
        return said

    def policy(self, text):
        def write():
            with open(f"{self.gate.folder}/policies/letters.yaml", "w") as file:
                file.write(text)
        return self.change(write)

    def record(self):
        """(rule, decision, code, status) of what was recorded since the last look, with counts."""
        time.sleep(0.3)
        events = self.gate.record()
        new, self.seen = events[self.seen:], len(events)
        found = collections.Counter((event.get("rule"), event["decision"], event["code"], event.get("status")) for event in new)
        if VERBOSE:
            for (rule, decision, code, status), count in sorted(found.items(), key=str):
                print(f"   {count} {rule or '':9} {decision:8} {code or '':14} {status}")
        return found


def week(gate, password, desk=None, manager=None):
    """What people and one script do with the site: how often which status came back."""
    visitor, codes = Visitor(gate, desk), collections.Counter()

    def seen(answer):
        codes[answer.status, answer.code] += 1
        return answer

    for path in ("/admin/", "/admin/login/"):
        seen(visitor.get(path))
    seen(visitor.login(password))
    for path in ("/admin/", "/static/admin/css/base.css", "/admin/letters/letter/?p=2", "/admin/letters/letter/?q=Letter+07"):
        seen(visitor.get(path))
    seen(visitor.post("/admin/letters/letter/add/", {"patient": "P-0100", "subject": "Week", "sent": "2026-11-21"}, {}))
    number = re.findall(r"/letters/letter/(\d+)/change", seen(visitor.get("/admin/letters/letter/?q=Week")).text)[0]
    for path in (f"/admin/letters/letter/{number}/change/", "/favicon.ico", "/"):
        seen(visitor.get(path))
    boss = Visitor(gate, manager)
    boss.cookies.update({name: value for name, value in visitor.cookies.items() if name != "__session"})
    seen(boss.get("/admin/auth/user/"))
    seen(boss.post(f"/admin/letters/letter/{number}/delete/", {"post": "yes"}))
    seen(Visitor(gate).get("/letters/3/file"))  # the script at night
    return codes


def refused(record):
    return {(rule, decision, code) for rule, decision, code, _ in record if decision != "allow"}


def main():
    checks = Checks("hardening")
    with Place() as place:
        port, password = free_port(), secrets.token_urlsafe(16)
        start(place, port, password)
        walk = Walk(place, port)
        gate, here = walk.gate, {"org_id": "north-clinic"}

        section("2 and 3: watch, and read")
        before = week(gate, password)
        checks.that("everything passes", not any(code for _, code in before), before)
        checks.that("nobody sends a token yet", refused(walk.record()) == {(rule, "observe", "NO_CREDENTIAL") for rule in ("rest", "start")})
        checks.that("status says what only observes", walk.status()["observed"] == ["rest", "start"], walk.status()["observed"])
        checks.that("and what cookies lack", walk.status()["rollout"]["cookies"]["would_have"] > 3, walk.status()["rollout"])

        section("4 and 5: rules that observe")
        said = walk.policy(walk.rules.replace("metadata: { name: letters }\n", "metadata: { name: letters }\nmode: observe\n"))
        checks.that("the page shows what `check` says", said.splitlines()[0] in open(PAGE).read(), said)
        tests = gate.command("test", "--config", gate.config)
        checks.that("the tests of the page hold", tests.endswith("tests: 4, failed: 0"), tests)
        desk = gate.token("ada.example", **here, roles=["front_desk"])
        once = gate.token("edsger.example", **here, roles=["manager"], **factors("pwd"))
        again = week(gate, password, desk, once)
        checks.that("everything passes still", again == before, again)
        expected = {("accounts", "observe", "STEP_UP"), ("remove", "observe", "STEP_UP"), ("file", "observe", "NO_CREDENTIAL")}
        checks.that("whom the rules would have stopped", refused(got := walk.record()) == expected, got)
        said = gate.command("explain", "--config", gate.config, "GET /admin/auth/user/", "--as-role", "manager", "--tenant", "north-clinic", "--amr", "pwd")
        checks.that("`explain` says why", "allowed, because that is only observed; else 401 STEP_UP" in said, said)

        section("6: the rules are enforced, the draft is left")
        walk.policy(walk.rules)
        twice = gate.token("edsger.example", **here, roles=["manager"], **factors("pwd", "otp"))
        got = week(gate, password, desk, twice)
        checks.that("only the script is stopped", [one for one in got if one[1]] == [(401, "NO_CREDENTIAL")], got)
        checks.that("as the record says", refused(got := walk.record()) == {("file", "deny", "NO_CREDENTIAL")}, got)
        checks.that("status says what is left", walk.status()["observed"] == ["rest", "start"], walk.status()["observed"])

        section("7: the draft is taken away")
        said = walk.change(lambda: os.remove(f"{gate.folder}/policies/draft.yaml"))
        checks.that("the page shows what `check` says", said.splitlines()[0] in open(PAGE).read(), said)
        week(gate, password, desk, twice)
        checks.that("what nobody named is closed", (None, "deny", "NO_ROUTE") in refused(got := walk.record()), got)
        strict = subprocess.run([gate.binary, "test", "--strict", "--config", gate.config], capture_output=True)
        checks.that("`test --strict` asks for a test of each route", strict.returncode == 1, strict.returncode)

        section("8: one control")
        text = open(gate.config).read()

        def enforce():
            with open(gate.config, "w") as file:
                file.write(text.replace("cookies: observe", "cookies: enforce"))

        walk.change(enforce)
        visitor = Visitor(gate, desk)
        visitor.get("/admin/login/")
        cookies = visitor.login(password).headers["set-cookie"].split("\n")
        checks.that("cookies get what they lack", len(cookies) == 2 and all("Secure" in one and "HttpOnly" in one for one in cookies), len(cookies))
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
