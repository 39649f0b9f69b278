"""The malformed requests that stand in aiohttp's own tests of its parser (tests/test_http_parser.py).

They stand there as expressions in functions. Each function is read, not run: where it feeds its parser under
`pytest.raises` with one of the errors for malformed messages, the expression is evaluated, from constants alone, for each
of its parameters. What cannot be had so is left out.
"""

import ast
import itertools

ERRORS = {"BadHttpMessage", "BadStatusLine", "InvalidHeader", "TransferEncodingError", "ContentLengthError", "InvalidURLError", "BadHttpMethod"}
SAFE = (ast.Constant, ast.BinOp, ast.Add, ast.Mod, ast.Mult, ast.Name, ast.Load, ast.JoinedStr, ast.FormattedValue, ast.Tuple, ast.List,
        ast.Call, ast.Attribute)


def value(node, names):
    """The value of an expression of constants and known names; None: it has other things in it."""
    for one in ast.walk(node):
        if not isinstance(one, SAFE) or isinstance(one, ast.Name) and one.id not in names:
            return None
        if isinstance(one, ast.Call) and not (isinstance(one.func, ast.Attribute) and one.func.attr in ("encode", "join")):
            return None
        if isinstance(one, ast.Attribute) and one.attr not in ("encode", "join"):
            return None
    try:
        return eval(compile(ast.Expression(node), "aiohttp", "eval"), {"__builtins__": {}}, dict(names))
    except (TypeError, ValueError, AttributeError):
        return None


def parameters(function):
    """Each choice of parameters, as names and values."""
    choices = []
    for one in function.decorator_list:
        if not (isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "parametrize"):
            continue
        named = value(one.args[0], {})
        if not named or not isinstance(one.args[1], (ast.List, ast.Tuple)):
            return
        named = [name.strip() for name in named.split(",")] if isinstance(named, str) else list(named)
        rows = []
        for row in one.args[1].elts:
            if isinstance(row, ast.Call) and row.args and getattr(row.func, "attr", "") == "param":
                got = [value(arg, {}) for arg in row.args]
            else:
                got = value(row, {})
                got = [got] if len(named) == 1 else list(got or [])
            if len(got) == len(named) and None not in got:
                rows.append(dict(zip(named, got)))
        choices.append(rows)
    for row in itertools.product(*choices):
        yield {name: got for part in row for name, got in part.items()}


def raising(node):
    """Whether a `with` expects one of the errors."""
    for item in node.items:
        call = item.context_expr
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "raises" and call.args:
            named = {getattr(one, "attr", "") for one in ast.walk(call.args[0])}
            if named & ERRORS:
                return True
    return False


def cases(path):
    """(name, bytes) of each malformed request."""
    tree = ast.parse(open(path, encoding="utf-8").read())
    for function in tree.body:
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) or "parser" not in {one.arg for one in function.args.args}:
            continue
        for number, names in enumerate(parameters(function), 1):
            for node in function.body:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    names[node.targets[0].id] = value(node.value, names)
                    names = {name: got for name, got in names.items() if got is not None}
                elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id in names:
                    more = value(node.value, names)
                    names.pop(node.target.id) if more is None else names.update({node.target.id: names[node.target.id] + more})
                elif isinstance(node, ast.With) and raising(node):
                    for call in ast.walk(node):
                        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "feed_data" and call.args:
                            data = value(call.args[0], names)
                            if isinstance(data, bytes) and data:
                                yield f"{function.name} {number}", data
