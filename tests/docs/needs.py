"""Which permissions a command needs: those of the routes that it calls, as its source says."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from controller.api.app import api_routes
from controller.models.people import Permission

#: Methods of ``controller.cli.client.Client`` and what they send.
_VERBS = {"get": "GET", "all": "GET", "events": "GET", "post": "POST", "put": "PUT", "delete": "DELETE"}
_VERBS |= {"get_file": "GET", "post_file": "POST"}
_ANYTHING = "[^/]+"
_OPERATIONS = [(verb, route.path, route.permission) for route in api_routes() for verb in route.methods or ()]

#: Text of a name, as a pattern, where it is known.
Texts = Mapping[str, str]


def needs(command: Any) -> list[Permission]:
    """Permissions of the routes that a command may call, in the order of their table."""
    found = set()
    for verb, path in _calls(inspect.unwrap(command.callback), {}, ()):
        known = [permission for sent, route, permission in _OPERATIONS if sent == verb and _may_be(path, route)]
        assert known, f"{command.name} calls {verb} {path}, which no route answers"
        found |= set(known)
    return [permission for permission in Permission if permission in found]


def _may_be(path: str, route: str) -> bool:
    """Whether a pattern of paths has one of a route, with anything in place of its parameters or with what it names."""
    named = re.sub(r"\\(.)", r"\1", path)
    return bool(
        re.fullmatch(path, re.sub(r"{\w+}", "x", route)) or re.fullmatch(re.sub(r"{\w+}", _ANYTHING, route), named)
    )


def _calls(function: Callable[..., Any], texts: Texts, above: tuple[object, ...]) -> Iterator[tuple[str, str]]:
    """Method and pattern of the path of each call of a function, and of those of the command line that it calls."""
    if function in above:
        return
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    known = dict(texts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            text = _text(node.value, known)
            if text is not None:
                known[node.targets[0].id] = text
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _of_call(node, function, known, above)


def _of_call(
    node: ast.Call, function: Callable[..., Any], known: Texts, above: tuple[object, ...]
) -> Iterator[tuple[str, str]]:
    """A call of the API itself, or what functions of the command line call that are called here or print the answer."""
    if isinstance(node.func, ast.Attribute) and node.func.attr in _VERBS and node.args:
        path = _text(node.args[0], known)
        if path is not None and path.startswith("/v1"):
            yield _VERBS[node.func.attr], path
    else:
        for name in (node.func, *_writers(node)):
            called = _called(name, function.__globals__)
            if inspect.isfunction(called) and called.__module__.startswith("controller.cli."):
                bound = _bound(called, node, known) if name is node.func else {}
                yield from _calls(called, bound, (*above, function))


def _writers(call: ast.Call) -> list[ast.expr]:
    """What ``print_answer`` calls, which prints the answer for people."""
    if not (isinstance(call.func, ast.Name) and call.func.id == "print_answer"):
        return []
    writer = call.args[1]
    return [writer.args[0] if isinstance(writer, ast.Call) else writer]  # partial(…) has arguments beside the answer


def _called(name: ast.expr, known: Mapping[str, Any]) -> Any:
    """What a name means, or an attribute of a module."""
    if isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name):
        module = known.get(name.value.id)
        return getattr(module, name.attr, None) if inspect.ismodule(module) else None
    return known.get(name.id) if isinstance(name, ast.Name) else None


def _bound(called: Callable[..., Any], call: ast.Call, known: Texts) -> dict[str, str]:
    names = list(inspect.signature(called).parameters)
    given = [*zip(names, call.args, strict=False), *((one.arg, one.value) for one in call.keywords if one.arg)]
    return {name: text for name, value in given if (text := _text(value, known)) is not None}


def _text(node: ast.expr, known: Texts) -> str | None:
    """An expression's text as a pattern; None for what is no text that could be told."""
    if isinstance(node, ast.Constant):
        return re.escape(node.value) if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.IfExp):
        both = (_text(node.body, known), _text(node.orelse, known))
        return None if None in both else f"({both[0]}|{both[1]})"
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.FormattedValue) else part for part in node.values)
        return "".join(_text(part, known) or _ANYTHING for part in parts)
    return None
