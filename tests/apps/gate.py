"""A gate, run as a user runs it: the built binary, a folder with its files, an application behind it.

Shared by the real applications (tests/apps), the scenarios (examples/*/scenario) and the benchmark (bench/run). Python's
standard library only. Every process that is started here is ended here, by its id.
"""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 30  # seconds, the longest wait for anything
VERBOSE = "VERBOSE" in os.environ


def binary():
    """The gate's binary: $ANTEROOM, or the newest one that was built here."""
    if "ANTEROOM" in os.environ:
        return os.path.abspath(os.environ["ANTEROOM"])
    target = os.environ.get("CARGO_TARGET_DIR", f"{ROOT}/target")
    built = [path for kind in ("release", "debug") if os.path.exists(path := f"{target}/{kind}/anteroom")]
    if not built:
        raise SystemExit("no anteroom binary: run `cargo build -p anteroom`, or name one in $ANTEROOM")
    return max(built, key=os.path.getmtime)


def free_port():
    """A port on loopback that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(what, ask, patience=PATIENCE):
    """Asks until there is an answer."""
    end = time.monotonic() + patience
    while not (answer := ask()):
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(0.05)
    return answer


def listens(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def factors(*methods, age=10):
    """What a token says of how its owner signed in (RFC 8176), and how many seconds ago."""
    return {"amr": list(methods), "auth_time": int(time.time()) - age}


def signed_in(names, name, *methods):
    """What an action of Auth0 adds under `names`: how somebody signed in, when, and in which session."""
    return {f"{names}{claim}": value for claim, value in {**factors(*methods), "session": f"of-{name}"}.items()}


class Place(contextlib.AbstractContextManager):
    """A folder of its own and the processes that run in it; both end with it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="anteroom-apps-")
        self.processes = []

    def __exit__(self, failed, *_):
        for name, process in reversed(self.processes):
            self.end(process, signals=2 if name == "gate" else 1)
            if failed:
                log = open(f"{self.folder}/{name}.log", errors="replace").read()
                print(f"--- the end of {name}'s log ---\n{log[-4000:]}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def start(self, name, command, env=None, cwd=None):
        """Starts a process; what it says goes to a file."""
        with open(self.path(f"{name}.log"), "w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=cwd or self.folder,
                                       env={**os.environ, **(env or {})}, start_new_session=True)
        self.processes.append((name, process))
        return process

    def serve(self, name, port, command, env=None, cwd=None):
        """Starts a server and waits until it listens."""
        process = self.start(name, command, env, cwd)

        def up():
            if process.poll() is not None:
                raise SystemExit(f"{name} ended at once:\n{open(self.path(f'{name}.log')).read()}")
            return listens(port)

        until(f"{name} to listen", up)
        return process

    @staticmethod
    def end(process, signals=1):
        """Ends a process and what it has started (its own process group). A second signal ends a drain at once."""
        for left in reversed(range(signals)):
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.5 if left else 10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Answer:
    """What came back."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The gate's reason code, where the gate answered by itself."""
        if self.headers.get("content-type") == "application/problem+json":
            return self.json()["code"]
        return None


class Gate:
    """A gate that runs: the files of `source`, with three addresses and nothing else changed."""

    def __init__(self, place, source, app_port, host, workers=None):
        self.place, self.host, self.binary = place, host, binary()
        self.address, self.port, self.health = "127.0.0.1", free_port(), free_port()
        self.folder = place.path("gate")
        shutil.copytree(source, self.folder, ignore=shutil.ignore_patterns("README.md", "scenario*", "site", "*.pyc"))
        self.config, self.audit = f"{self.folder}/config.yaml", f"{self.folder}/audit"
        text = open(self.config).read()
        for key, value in (("url", f"http://127.0.0.1:{app_port}"), ("https", f"127.0.0.1:{self.port}"),
                           ("health", f"127.0.0.1:{self.health}")):
            text, found = re.subn(rf"(?m)^  {key}: .*$", f'  {key}: "{value}"', text)
            assert found == 1, f"{self.config}: {found} lines `  {key}:`"
        if workers:
            text += f"workers: {workers}\n"
        found = {key: re.search(rf"(?m)^    {key}: \[?([^\s\]]+)", text) for key in ("issuer", "audience")}
        # Without a provider nobody asks for them.
        self.issuer, self.audience = (found[key][1] if found[key] else "nobody" for key in ("issuer", "audience"))
        with open(self.config, "w") as file:
            file.write(text)
        self.command("dev", "certs", "--out", f"{self.folder}/tls", host, "127.0.0.1")
        self.ca = f"{self.folder}/tls/ca.crt"
        self.context = ssl.create_default_context(cafile=self.ca)
        self.token("nobody")  # makes the keys
        with open(f"{self.folder}/keys/pseudonym", "wb") as file:
            file.write(os.urandom(32))
        self.command("check", "--config", self.config)
        self.process = None

    def run(self, prefix=()):
        self.process = self.place.serve("gate", self.port, [*prefix, self.binary, "run", "--config", self.config])
        return self

    def command(self, *arguments):
        """Runs a command of the binary to its end."""
        done = subprocess.run([self.binary, *arguments], capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode != 0:
            raise SystemExit(f"anteroom {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def token(self, subject, expires="1h", audience=None, **claims):
        """A token of the development issuer, whose key set the gate reads from `keys/jwks.json`."""
        arguments = []
        for name, value in claims.items():
            arguments += ["--claim", f"{name}={json.dumps(value)}"]
        return self.command("dev", "token", "--keys", f"{self.folder}/keys", "--issuer", self.issuer, "--audience",
                            audience or self.audience, "--subject", subject, "--expires", expires, *arguments)

    @property
    def origin(self):
        return f"https://{self.host}:{self.port}"

    def ask(self, method, path, token=None, body=None, headers=None, host=None):
        """One request over a connection of its own, by Python's own client: HTTP/1.1."""
        raw = socket.create_connection((self.address, self.port), PATIENCE)
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=PATIENCE)
        connection.sock = self.context.wrap_socket(raw, server_hostname=self.host)
        headers = dict(headers or {})
        headers.setdefault("Host", host or f"{self.host}:{self.port}")
        if token:
            headers.setdefault("Authorization", f"Bearer {token}")
        try:
            try:
                connection.request(method, path, body, headers)
            except OSError:
                pass  # refused before all of the body was sent: the answer may be there all the same
            try:
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                return Answer(0, {}, f"no answer: {error}".encode())
            got = answer.read()
            # Repeated headers (Set-Cookie) stand with a line feed between, which no header can hold.
            named = {}
            for name, value in answer.getheaders():
                name = name.lower()
                named[name] = f"{named[name]}\n{value}" if name in named else value
            return Answer(answer.status, named, got)
        finally:
            connection.close()

    def curl(self, path, token=None, *arguments):
        """One request by curl, which speaks HTTP/2 here and asks before it sends a large body (`Expect`)."""
        head, body = self.place.path("curl.head"), self.place.path("curl.body")
        auth = ["--header", f"Authorization: Bearer {token}"] if token else []
        command = ["curl", "--silent", "--show-error", "--cacert", self.ca, "--resolve", f"{self.host}:{self.port}:{self.address}",
                   "--max-time", "60", "--dump-header", head, "--output", body, "--write-out", "%{http_code} %{http_version}",
                   *auth, *arguments, f"{self.origin}{path}"]
        open(body, "w").close()
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"curl {path}: exit {done.returncode}: {done.stderr}")
        status, version = done.stdout.split()
        blocks = [block for block in open(head).read().replace("\r", "").split("\n\n") if block]
        pairs = (line.split(":", 1) for line in blocks[-1].split("\n")[1:])
        answer = Answer(int(status), {name.lower(): value.strip() for name, value in pairs}, open(body, "rb").read())
        answer.version = version
        return answer

    def record(self):
        """The record so far, every whole line."""
        events = []
        for name in sorted(os.listdir(self.audit)):
            if name.endswith(".jsonl"):
                with open(f"{self.audit}/{name}") as lines:
                    events += [json.loads(line) for line in lines if line.endswith("\n")]
        return events

    def event(self, answer):
        """The event of a request."""
        request = answer.headers["x-request-id"]
        found = until("the event of a request", lambda: [one for one in self.record() if one.get("request") == request])
        return found[-1]


def section(title):
    """Says what comes next."""
    if VERBOSE:
        print(title)


class Checks:
    """Expectations, counted; what does not hold is said at once, what holds where $VERBOSE is set."""

    def __init__(self, name):
        self.name, self.held, self.broken = name, 0, []

    def that(self, what, holds, got=None):
        if holds:
            self.held += 1
            if VERBOSE:
                print(f"  ok    {what}")
        else:
            self.broken.append(what)
            print(f"  FAIL  {what}" + ("" if got is None else f": got {got!r}"))
        return bool(holds)

    def passes(self, what, answer, status=200):
        return self.that(what, answer.status == status and answer.code is None,
                         (answer.status, answer.code, answer.text[:300]))

    def refused(self, what, answer, status, code):
        return self.that(f"{what}: {status} {code}", (answer.status, answer.code) == (status, code),
                         (answer.status, answer.code, answer.text[:300]))

    def end(self):
        total = self.held + len(self.broken)
        print(f"{self.name}: {self.held} of {total} held")
        for what in self.broken:
            print(f"  broken: {what}")
        return 1 if self.broken else 0
