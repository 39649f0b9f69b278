"""Whether what a framework executed is what the gate judged.

Decides on facts alone: the rule and the method are those of the gate's own record, the rest is what was sent. It never
asks what should have been refused: a refusal is always right here, but for the ordinary requests.
"""

import json
import re
import urllib.parse

TENANT, SUBJECT, ROLES = "a", "front", "front_desk"

# Which handlers a rule of the policy stands for, by the method that was judged. `rest` is the wide rule: it stands for
# no handler that has a rule of its own.
HANDLERS = {
    "open": {"GET": {"open"}, "POST": {"open"}},
    "list": {"GET": {"list"}},
    "item": {"GET": {"show"}, "POST": {"update"}},
    "rest": {None: {"root"}},
    "home": {"GET": {"root"}},
    "front": {"GET": {"root"}},
}
ROUTES = ((r"/open(/.*)?", "open"), (r"/items", "list"), (r"/items/([^/]+)", "item"))
READS_CLINIC = ("list", "item")

# What the gate leaves to the application: it cannot know it, or it knows it too late. Each is in docs/frameworks.md, with
# what to do about it there.
LEFT = {
    "a suffix of the last `{name}`": lambda spelling, kind, read: kind == "id" and written_id(spelling).startswith(f"{read}."),
    "a refusal while the body passes": lambda spelling, kind, read: kind == "record" and spelling.body and read == "deny",
}


def left(spelling, found):
    """The entries of LEFT that explain all the ways in which lines differ; `None` where one way has no explanation."""
    names = [next((name for name, holds in LEFT.items() if holds(spelling, kind, read)), None) for kind, read in found]
    return None if None in names else set(names)


def flat(value):
    """Every text in what a framework read, however it is nested."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, (list, tuple)):
        return [text for one in value for text in flat(one)]
    return [] if value is None else [str(value)]


def path_of(spelling):
    """The path of a request target as it was sent, without the query."""
    path = re.sub(r"^[a-zA-Z]+://[^/?#]*", "", spelling.target)
    return path.partition("?")[0].partition("#")[0]  # the gate cuts a fragment off before it judges and forwards


def written_id(spelling):
    last = path_of(spelling).rpartition("/")[2]
    return urllib.parse.unquote(last, errors="replace")


def written_rule(spelling):
    """The rule that an exact reader finds, for requests that no gate has judged."""
    for pattern, rule in ROUTES:
        if re.fullmatch(pattern, path_of(spelling)) and "/../" not in spelling.target:
            return rule
    return "rest"


def compare(spelling, rule, line, behind_gate):
    """The ways in which one executed line differs from what was judged: kind and what was read instead."""
    method = spelling.method
    judged = "GET" if method == "HEAD" else method
    handlers = HANDLERS.get(rule, {})
    if line["handler"] not in (handlers.get(judged) or handlers.get(None) or set()):
        yield "handler", f"{line['method']} {line['handler']}"
    if line["method"] != method and not (method == "HEAD" and line["method"] == "GET"):
        yield "method", line["method"]
    if rule == "item" and line["id"] is not None and line["id"] != written_id(spelling):
        yield "id", line["id"]
    if rule in READS_CLINIC:
        for kind in ("query", "clinic", "merged"):
            other = [text for text in flat(line.get(kind)) if text != TENANT]
            if other:
                yield {"query": "parameter", "clinic": "header", "merged": "body"}[kind], other[0]
    if behind_gate:
        for kind, expected in (("tenant", TENANT), ("user", SUBJECT), ("roles", ROLES)):
            got = flat(line.get(kind))
            if not got or any(text != expected for text in got):
                yield "identity", f"{kind} {got}"


class Log:
    """What an application says that it executed."""

    def __init__(self, path):
        open(path, "w").close()
        self.path, self.offset = path, 0

    def since(self):
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            read = file.read()
        self.offset += len(read)
        return [json.loads(line) for line in read.decode(errors="replace").splitlines() if line]
