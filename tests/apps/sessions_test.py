#!/usr/bin/env python3
"""Sessions in a real browser: two tabs that only poll are logged off on time, and a WebSocket dies with a logout in another tab."""

import base64
import hashlib
import http.server
import os
import secrets
import sys
import threading
import time

from browser import Browser
from gate import Checks, Gate, Place, section, until

HERE = os.path.dirname(os.path.abspath(__file__))
HOST = "ward.clinic.example"
IDLE = 5  # seconds, as in sessions/gate/config.yaml

PAGE = """<!doctype html><title>Ward</title><link rel="stylesheet" href="/style.css"><h1>Ward</h1><script src="/page.js"></script>"""
# What the page notes is when things happened, by the clock of the machine.
SCRIPT = """
window.seen = { polls: 0, refused: null, left: [] };
const timer = setInterval(async () => {
  const answer = await fetch('/news');
  seen.polls += 1;
  if (answer.status === 200) seen.left.push(Number(answer.headers.get('x-session-remaining')));
  if (answer.status !== 200 && !seen.refused) {
    seen.refused = { at: Date.now(), status: answer.status, code: (await answer.json()).code };
    clearInterval(timer);
  }
}, 150);
window.listen = () => {
  const socket = new WebSocket(`wss://${location.host}/calls`);
  socket.onmessage = () => { seen.heard = Date.now(); };
  socket.onclose = (event) => { seen.closed = { at: Date.now(), code: event.code }; };
};
"""


class App(http.server.BaseHTTPRequestHandler):
    """The application."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/calls":
            return self.calls()
        kind, text = {"/": ("text/html", PAGE), "/page.js": ("text/javascript", SCRIPT)}.get(self.path, ("text/plain", "ok"))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def calls(self):
        """A WebSocket that says one thing and then holds on until the other side lets go."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"),
                            ("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"\x81\x05hello")
        while self.rfile.read(1):
            pass
        self.close_connection = True

    def log_message(self, *_):
        pass


def main():
    checks = Checks("sessions")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), App) as app, Place() as place:
        app.daemon_threads = True
        threading.Thread(target=app.serve_forever, daemon=True).start()
        gate = Gate(place, f"{HERE}/sessions/gate", app.server_port, HOST)
        gate.run()
        with Browser(place, gate) as browser:
            first = browser.tab()
            browser.open("/style.css")
            second = browser.tab(new=True)
            browser.open("/style.css")
            idle(checks, gate, browser, (first, second))
            leaving(checks, gate, browser, (first, second))
        app.shutdown()
    return checks.end()


def sign_in(gate, browser, tabs):
    """A new session, with the page in both tabs; gives when the last page was asked for, in seconds."""
    token = gate.token("grace.example", org_id="north-clinic", roles=["nurse"], sid=secrets.token_hex(8), auth_time=int(time.time()))
    browser.cookie("__session", token)
    for tab in tabs:
        browser.tab(tab)
        began = time.time()
        browser.open("/")
        until("the page to poll", lambda: browser.run("return window.seen && seen.polls > 0"))
    return began


def idle(checks, gate, browser, tabs):
    section("two tabs that only poll")
    began = sign_in(gate, browser, tabs)
    browser.tab(tabs[0])
    while time.time() < began + IDLE - 1:
        time.sleep(0.1)  # what is tried is that time passes
    active = browser.run("const at = Date.now(); return fetch('/chart').then(() => at)") / 1000
    seen = []
    for tab in tabs:
        browser.tab(tab)
        until("the end of the session", lambda: browser.run("return seen.refused"))
        seen.append(browser.run("return seen"))
    after = [one["refused"]["at"] / 1000 - active for one in seen]
    checks.that("a script is told why", {(one["refused"]["status"], one["refused"]["code"]) for one in seen} == {(401, "SESSION_ENDED")}, seen)
    # Whole seconds count, and the tab in the background may poll once in a second only.
    checks.that(f"what one tab does keeps both, and polling keeps neither: logged off on time ({after} s)",
                all(IDLE - 1 <= one <= IDLE + 2.5 for one in after), after)
    checks.that("both polled until then", all(one["polls"] >= 3 for one in seen), seen)
    checks.that("and saw the time run out", all(min(one["left"]) <= 1 and max(one["left"]) <= IDLE for one in seen), seen)
    browser.tab(tabs[0])
    browser.open("/")
    checks.that("a page says so too", "SESSION_ENDED" in browser.text(), browser.text())


def leaving(checks, gate, browser, tabs):
    section("a WebSocket, and a logout in another tab")
    sign_in(gate, browser, tabs)
    browser.tab(tabs[0])
    browser.run("listen()")
    until("a word over the WebSocket", lambda: browser.run("return seen.heard"))
    checks.that("it is open", browser.run("return seen.closed") is None)
    browser.tab(tabs[1])
    out = browser.run("""const at = Date.now();
        return fetch('/.anteroom/logout', {method: 'POST'}).then(answer => ({at, status: answer.status}))""")
    checks.that("logged out", out["status"] == 204, out)
    browser.tab(tabs[0])
    closed = until("the WebSocket to close", lambda: browser.run("return seen.closed"))
    took = closed["at"] - out["at"]
    checks.that(f"it closes within a second ({took} ms)", 0 <= took < 1000, (closed, out))
    checks.that("without a word of goodbye, since the gate reads no frames", closed["code"] == 1006, closed)
    checks.that("no cookie is left", not browser.cookies(), browser.cookies())
    browser.open("/")
    checks.that("and nobody is signed in", "NO_CREDENTIAL" in browser.text(), browser.text())


if __name__ == "__main__":
    sys.exit(main())
