"""A real browser: Debian's Chromium, driven by ChromeDriver over the WebDriver protocol (W3C). Standard library only."""

import base64
import contextlib
import hashlib
import json
import os
import subprocess
import urllib.error
import urllib.request

from gate import free_port, until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's own name for a reference to an element


class Browser(contextlib.AbstractContextManager):
    """A browser window that takes the gate's host for this machine, and its key for a trusted one."""

    def __init__(self, place, gate, width=1100, height=760, trusts=()):
        self.place, self.gate = place, gate
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.downloads = place.path("downloads")
        os.makedirs(self.downloads, exist_ok=True)
        # HOME: nothing of a user's own profile is read or written.
        place.serve("chromedriver", port, ["chromedriver", f"--port={port}"], env={"HOME": place.folder})
        arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            f"--user-data-dir={place.path('profile')}", f"--window-size={width},{height}",
            f"--host-resolver-rules=MAP {gate.host} 127.0.0.1",
            # Not `ignore all errors`: this one public key is trusted, and those of `trusts`, and no other.
            f"--ignore-certificate-errors-spki-list={','.join(map(pin, [f'{gate.folder}/tls/tls.crt', *trusts]))}",
        ]
        options = {"binary": "/usr/bin/chromium", "args": arguments,
                   "prefs": {"download.default_directory": self.downloads, "download.prompt_for_download": False,
                             "profile.password_manager_leak_detection": False}}
        self.session = None
        made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = made["sessionId"]

    def __exit__(self, *_):
        with contextlib.suppress(OSError, AssertionError):
            self.call("DELETE", "")

    def call(self, method, path, body=None):
        inside = f"/session/{self.session}" if self.session else ""
        data = None if method in ("GET", "DELETE") else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + inside + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise AssertionError(f"browser: {value['error']}: {value['message'][:500]}") from None

    def open(self, path):
        self.call("POST", "/url", {"url": self.gate.origin + path})

    def cookie(self, name, value):
        """Gives the browser a cookie; it has to be on a page of the host already."""
        self.call("POST", "/cookie", {"cookie": {"name": name, "value": value, "secure": True, "httpOnly": True,
                                                 "sameSite": "Lax"}})

    def cookies(self):
        return {one["name"]: one for one in self.call("GET", "/cookie")}

    def tab(self, handle=None, new=False):
        """Goes to a tab: this one, or a new one; gives the one that it is in."""
        if new:
            handle = self.call("POST", "/window/new", {"type": "tab"})["handle"]
        if handle:
            self.call("POST", "/window", {"handle": handle})
        return self.call("GET", "/window")

    def find(self, selector):
        """The first element of a CSS selector; waits for it."""
        def ask():
            found = self.call("POST", "/elements", {"using": "css selector", "value": selector})
            return found[0][ELEMENT] if found else None
        return until(f"`{selector}` on {self.url()}", ask)

    def count(self, selector):
        return len(self.call("POST", "/elements", {"using": "css selector", "value": selector}))

    def click(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click")

    def type(self, selector, text):
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self):
        return self.run("return document.body ? document.body.innerText : ''")

    def says(self, words):
        return until(f"`{words}` on {self.url()}", lambda: words in self.text())

    def url(self):
        return self.call("GET", "/url")

    def title(self):
        return self.call("GET", "/title")

    def troubles(self):
        """What the browser complained about since it was last asked: refused scripts, failed requests."""
        return [one["message"] for one in self.call("POST", "/se/log", {"type": "browser"}) if one["level"] == "SEVERE"]

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def downloaded(self, suffix):
        """The path of the finished download with this suffix; waits for it."""
        def ask():
            names = [name for name in os.listdir(self.downloads) if name.endswith(suffix)]
            return os.path.join(self.downloads, names[0]) if names else None
        return until(f"a download `*{suffix}`", ask)


def pin(certificate):
    """The SHA-256 of the public key in a certificate, as browsers write it."""
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"],
                         check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=key, check=True, capture_output=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()
