"""Evaluates the injector's policies as an API server would: variables, validations and mutations of one policy, over cel-python.

Typed objects (`Object.spec.volumes{name: …}`) and JSONPatch values are not in generic CEL: they are read as maps, which is what
the API server makes of them before it applies them.
"""

import copy
import json
import re

import celpy

from webhook import apply

TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[A-Za-z_][\w.]*|\s+|.', re.S)


def plain(expression):
    """Typed objects as maps."""
    made, stack, key = [], [], False
    tokens = TOKEN.findall(expression)
    for place, token in enumerate(tokens):
        following = next((one for one in tokens[place + 1 :] if not one.isspace()), "")
        if re.fullmatch(r"(Object|JSONPatch)(\.\w+)*", token) and following == "{":
            stack.append("message soon")
            continue
        if token in "{[(" and token:
            if token == "{" and stack and stack[-1] == "message soon":
                stack[-1], key = "message", True
            else:
                stack.append(token)
                key = False
        elif token in "}])":
            stack.pop()
            key = False
        elif token == ",":
            key = bool(stack) and stack[-1] == "message"
        elif not token.isspace():
            if key and re.fullmatch(r"\w+", token) and following == ":":
                token = json.dumps(token)
            key = False
        made.append(token)
    return "".join(made)


ENVIRONMENT = celpy.Environment()
PROGRAMS = {}


def evaluate(expression, context):
    if expression not in PROGRAMS:
        PROGRAMS[expression] = ENVIRONMENT.program(ENVIRONMENT.compile(plain(expression)))
    return PROGRAMS[expression].evaluate({name: celpy.json_to_cel(value) for name, value in context.items()})


def python_of(value):
    """As JSON has it; a boolean of CEL is a number to Python."""
    if isinstance(value, dict):
        return {str(key): python_of(one) for key, one in value.items()}
    if isinstance(value, list):
        return [python_of(one) for one in value]
    for kind, made in ((celpy.celtypes.BoolType, bool), (celpy.celtypes.StringType, str), (celpy.celtypes.IntType, int)):
        if isinstance(value, kind):
            return made(value)
    raise TypeError(f"no JSON: {value!r}")


def context_of(policy, pod, data):
    """What the expressions of a policy see; variables may use those before them."""
    context = {"object": pod, "params": {"data": data}, "variables": {}}
    for one in policy["spec"].get("variables", []):
        context["variables"][one["name"]] = python_of(evaluate(one["expression"], context))
    return context


def refusals(policy, pod, data):
    """The messages of a ValidatingAdmissionPolicy about a pod."""
    context = context_of(policy, pod, data)
    return [one["message"] for one in policy["spec"]["validations"] if not evaluate(one["expression"], context)]


def mutated(policy, pod, data):
    """The pod as a MutatingAdmissionPolicy leaves it."""
    pod = copy.deepcopy(pod)
    if not all(evaluate(one["expression"], {"object": pod}) for one in policy["spec"]["matchConditions"]):
        return pod
    for mutation in policy["spec"]["mutations"]:
        context = context_of(policy, pod, data)
        if mutation["patchType"] == "ApplyConfiguration":
            merge(pod, python_of(evaluate(mutation["applyConfiguration"]["expression"], context)))
        else:
            for operation in python_of(evaluate(mutation["jsonPatch"]["expression"], context)):
                apply(pod, operation)
    return pod


def merge(into, what):
    """A server-side apply, as far as containers go: lists of named things are merged by their names."""
    for key, value in what.items():
        if isinstance(value, dict):
            merge(into.setdefault(key, {}), value)
        elif isinstance(value, list):
            for one in value:
                merge(next(old for old in into[key] if old["name"] == one["name"]), one)
        else:
            into[key] = value
