"""An identity provider that nobody here wrote (npm's `oidc-provider`), run as a process, and a person who signs in with it.

Standard library only. See provider.mjs for what it can be told.
"""

import base64
import hashlib
import html.parser
import http.client
import http.cookies
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "apps"))

import packages  # noqa: E402
from gate import PATIENCE, binary, free_port, listens, until  # noqa: E402

HOST = "localhost"


class Provider:
    """The provider: its certificate is of an authority of its own. `clients`, `accounts` and the rest: see provider.mjs."""

    def __init__(self, place, clients, accounts, port=None, name="provider", **settings):
        self.place, self.name, self.port, self.control = place, name, port or free_port(), free_port()
        self.issuer, self.audience = f"https://{HOST}:{self.port}", settings.pop("audience", "https://api.clinic.example")
        self.folder = place.path(name)
        made = subprocess.run([binary(), "dev", "certs", "--out", self.folder, HOST, "127.0.0.1"], capture_output=True, text=True)
        if made.returncode != 0:
            raise SystemExit(made.stderr)
        self.ca, self.certificate = f"{self.folder}/ca.crt", f"{self.folder}/tls.crt"
        self.settings = {
            "port": self.port, "control": self.control, "issuer": self.issuer, "certificate": self.certificate,
            "key": f"{self.folder}/tls.key", "audience": self.audience, "clients": clients, "accounts": accounts, **settings,
        }
        self.process = None

    def run(self):
        modules = packages.node(f"{packages.CACHE}/identity", f"{HERE}/package.json")
        settings = f"{self.folder}/settings.json"
        with open(settings, "w") as file:
            json.dump(self.settings, file)
        # By a shell, so that the settings, which hold passwords, come on standard input.
        command = ["sh", "-c", 'exec node "$0" "$1" < "$2"', f"{HERE}/provider.mjs", modules, settings]
        self.process = self.place.serve(self.name, self.control, command)
        until("the provider to listen", lambda: listens(self.port))
        return self

    def steer(self, act, **query):
        """Asks the control endpoint: see `steer` in provider.mjs."""
        query = f"?{urllib.parse.urlencode(query)}" if query else ""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.control}/{act}{query}", timeout=PATIENCE) as answer:
            return json.load(answer)

    def state(self):
        return self.steer("state")


def client(name, *redirects, **more):
    """A public client, as OpenID Connect registers one."""
    return {"client_id": name, "redirect_uris": list(redirects), "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], **more}


class Form(html.parser.HTMLParser):
    """The fields of a page's form."""

    def __init__(self, text):
        super().__init__()
        self.action, self.fields = None, {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.action = attributes.get("action")
        elif tag == "input" and "name" in attributes:
            self.fields[attributes["name"]] = attributes.get("value") or ""


class Person:
    """Someone with a browser of their own, without the browser: cookies, redirects and forms."""

    def __init__(self, provider, name, password=None, code=None):
        account = provider.settings["accounts"][name]
        self.provider, self.name = provider, name
        self.answers = {"login": name, "password": password or account["password"], "code": code or account.get("code")}
        self.cookies = {}
        self.context = ssl.create_default_context(cafile=provider.ca)

    def ask(self, method, url, fields=None):
        """One request to the provider; gives status, headers and text."""
        to = urllib.parse.urlsplit(url)
        connection = http.client.HTTPSConnection(HOST, self.provider.port, timeout=PATIENCE)
        connection.sock = self.context.wrap_socket(socket.create_connection(("127.0.0.1", self.provider.port), PATIENCE), server_hostname=HOST)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        body = None
        if fields is not None:
            headers["Content-Type"], body = "application/x-www-form-urlencoded", urllib.parse.urlencode(fields)
        connection.request(method, f"{to.path}?{to.query}" if to.query else to.path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        for line in answer.headers.get_all("set-cookie") or []:
            for name, morsel in http.cookies.SimpleCookie(line).items():
                self.cookies[name] = morsel.value
                if not morsel.value:
                    del self.cookies[name]
        connection.close()
        return answer.status, answer.headers, text

    def follow(self, url):
        """Goes where the provider sends, filling in its pages, until it sends elsewhere: there."""
        method, fields = "GET", None
        for _ in range(20):
            status, headers, text = self.ask(method, url, fields)
            method, fields = "GET", None
            if status in (302, 303):
                url = urllib.parse.urljoin(url, headers["location"])
                if not url.startswith(self.provider.issuer + "/"):
                    return url
            elif status == 200 and (form := Form(text)).fields:
                method, fields = "POST", {name: self.answers.get(name) or value for name, value in form.fields.items()}
                if form.action:
                    url = urllib.parse.urljoin(url, form.action)
                if "logout" in text:
                    fields["logout"] = "yes"
            else:
                raise AssertionError(f"{method} {url}: {status}: {text[:500]}")
        raise AssertionError(f"no end of it at {url}")

    def sign_in(self, client, **asked):
        """Authorization code with PKCE; gives what the token endpoint answers."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        redirect = next(one for one in self.provider.settings["clients"] if one["client_id"] == client)["redirect_uris"][0]
        state = secrets.token_urlsafe(16)
        query = urllib.parse.urlencode({
            "client_id": client, "response_type": "code", "redirect_uri": redirect, "scope": "openid", "state": state,
            "code_challenge": challenge, "code_challenge_method": "S256", **asked})
        back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.follow(f"{self.provider.issuer}/auth?{query}")).query))
        if back.get("state") != state or "code" not in back:
            raise AssertionError(f"no code: {back}")
        return self.tokens(client_id=client, grant_type="authorization_code", code=back["code"], redirect_uri=redirect,
                           code_verifier=verifier)

    def refresh(self, client, token):
        return self.tokens(client_id=client, grant_type="refresh_token", refresh_token=token)

    def tokens(self, **fields):
        status, _, text = self.ask("POST", f"{self.provider.issuer}/token", fields)
        if status != 200:
            raise AssertionError(f"token endpoint: {status}: {text}")
        return json.loads(text)


def claims(token):
    """What a token says, unproved."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
