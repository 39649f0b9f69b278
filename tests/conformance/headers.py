"""The headers of every kind of answer, graded: what `anteroom demo` shows, each of its refusals and errors included."""

import contextlib
import json
import os
import select
import signal
import http.client
import ssl
import subprocess
import time
import urllib.parse

GRADE = "A+"
# CSP evaluator: findings of these ranks (HIGH, SYNTAX, MEDIUM) count; what is weaker is advice.
WORST_RANK = 30


@contextlib.contextmanager
def demo(binary, folder):
    """A demo that runs, and what it says of itself."""
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/demo.log", "w") as log:
        process = subprocess.Popen([binary, "demo", "--json"], stdout=subprocess.PIPE, stderr=log, cwd=folder, text=True,
                                   start_new_session=True)
    try:
        if not select.select([process.stdout], [], [], 30)[0]:
            raise SystemExit("the demo did not start")
        yield json.loads(process.stdout.readline())
    finally:
        for _ in range(2):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
        if process.poll() is None:
            process.kill()
            process.wait()


def ask(context, url, method, path, headers, body):
    connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=20, context=context)
    try:
        try:
            connection.request(method, path, body, headers)
        except OSError:
            pass  # refused before all of the body was sent: the answer may be there all the same
        got = connection.getresponse()
        return got.status, [[name.lower(), value] for name, value in got.getheaders()], got.read().decode(errors="replace")
    finally:
        connection.close()


def answers(shown):
    url = urllib.parse.urlsplit(shown["https"])
    context = ssl.create_default_context(cafile=shown["ca"])
    for one in shown["try"]:
        headers = dict(one["headers"])
        if one["persona"]:
            headers["authorization"] = f"Bearer {shown['personas'][one['persona']]['token']}"
        for _ in range(one["repeat"]):
            status, got, body = ask(context, url, one["method"], one["path"], headers, one["body"])
        preflight = ask(context, url, "OPTIONS", one["path"], {"access-control-request-method": "GET", "origin": "https://http-observatory.security.mozilla.org"}, None)
        time.sleep(0.25)  # refusals have an allowance, which is not what is looked at here
        yield {"name": f"{one['name']} ({status}{' ' + one['expect']['code'] if one['expect']['code'] else ''})", "url": f"{shown['https']}{one['path']}",
               "status": status, "headers": got, "body": body, "preflight": {"status": preflight[0], "headers": preflight[1]},
               "expected": one["expect"]["status"]}


def run(place, binary, here, modules):
    """(kinds of answers that hold, all, what is wrong)"""
    with demo(binary, place.path("demo")) as shown:
        all_answers = list(answers(shown))
    # A bare answer, as from a server that knows nothing of this: the graders must see the difference.
    bare = {"name": "bare", "url": all_answers[0]["url"], "status": 200, "headers": [["content-type", "text/html"]], "body": "", "preflight": None,
            "expected": 200}
    all_answers.append(bare)
    done = subprocess.run(["node", f"{here}/observatory.mjs", modules], input=json.dumps(all_answers), capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise SystemExit(f"observatory.mjs: {done.stderr[-2000:]}")
    wrong = []
    grades = json.loads(done.stdout)
    control = grades.pop()
    all_answers.pop()
    if control["grade"] in ("A", "A-", "A+", "B", "B+"):
        raise SystemExit(f"the Observatory gives a bare answer {control['grade']}")
    for answer, grade in zip(all_answers, grades, strict=True):
        why = [] if grade["grade"] == GRADE else [f"grade {grade['grade']} ({grade['score']}): {', '.join(grade['failed'])}"]
        why += [f"CSP {one['severity']}: {one['directive']} {one['value'] or ''} {one['text']}" for one in grade["csp"] if one["rank"] <= WORST_RANK]
        if not any(name == "content-security-policy" for name, _ in answer["headers"]):
            why.append("no Content-Security-Policy")
        if answer["status"] != answer["expected"]:
            why.append(f"status {answer['status']}, not {answer['expected']}")
        if why:
            wrong.append((grade["name"], "; ".join(why)))
    return len(grades) - len(wrong), len(grades), wrong
