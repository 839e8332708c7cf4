"""Writes values as XML text, in the four modes of with-defaults (RFC 6243 §3)."""

from __future__ import annotations

import re
from typing import Literal
from xml.sax import saxutils

from simulators.datastore.errors import DEFAULT_NS
from simulators.datastore.schema import Branch, Kind, Node, Value

WithDefaults = Literal["explicit", "report-all", "trim", "report-all-tagged"]

_SPECIAL = re.compile("[&<>\r]")
_TAG = f' xmlns:wd="{DEFAULT_NS}" wd:default="true"'


class _Default(str):
    """A value that nobody set; only these are defaults in the basic mode explicit (RFC 6243 §2.3.3)."""

    __slots__ = ()


def escape(text: str) -> str:
    """Escape text for XML; a carriage return too, since parsers read a bare one as a newline."""
    return saxutils.escape(text, {"\r": "&#13;"}) if _SPECIAL.search(text) else text


def render(node: Node, branch: Branch, with_defaults: WithDefaults = "explicit") -> str:
    """Write the children of a branch. Defaults must have been filled in for the report-all modes."""
    parts: list[str] = []
    _write(node, branch, with_defaults, parts)
    return "".join(parts)


def render_bare(node: Node, branch: Branch) -> str:
    """Write the children of a branch without namespaces, for must expressions."""
    parts: list[str] = []
    for child, value in _instances(node, branch):
        text = render_bare(child, value) if child.is_branch else escape(value)
        parts.append(f"<{child.name}>{text}</{child.name}>")
    return "".join(parts)


def fill_defaults(node: Node, branch: Branch) -> Branch:
    """Set each configurable leaf that is absent and has a default, also in containers without presence."""
    return tuple(_filled(child, value) for child, value in zip(node.children, branch, strict=True))


def _filled(node: Node, value: Value) -> Value:
    if not node.config:
        return value
    if node.kind is Kind.LEAF:
        return _Default(node.default) if value is None and node.default is not None else value
    if node.kind is Kind.LIST:
        return value and tuple(fill_defaults(node, entry) for entry in value)
    if node.kind is Kind.CONTAINER and (value is not None or not node.presence):
        filled = fill_defaults(node, node.blank if value is None else value)
        return filled if filled != node.blank or value is not None else None
    return value


def _instances(node: Node, branch: Branch) -> list[tuple[Node, Value]]:
    """Children with each of their instances."""
    instances: list[tuple[Node, Value]] = []
    for child, value in zip(node.children, branch, strict=True):
        if value is None:
            continue
        if child.kind is Kind.LEAF or child.kind is Kind.CONTAINER:
            instances.append((child, value))
        else:
            instances.extend((child, item) for item in value)
    return instances


def _write(node: Node, branch: Branch, with_defaults: WithDefaults, parts: list[str]) -> None:
    for child, value in zip(node.children, branch, strict=True):
        if value is None:
            continue
        if child.kind is Kind.LEAF:
            parts.append(_leaf(child, value, with_defaults))
        elif child.kind is Kind.LEAF_LIST:
            parts.extend(_leaf(child, item, with_defaults) for item in value)
        else:
            for entry in (value,) if child.kind is Kind.CONTAINER else value:
                parts.append(child.start)
                _write(child, entry, with_defaults, parts)
                parts.append(child.end)


def _leaf(node: Node, value: str, with_defaults: WithDefaults) -> str:
    if with_defaults == "trim" and value == node.default:
        return ""
    if with_defaults == "report-all-tagged" and isinstance(value, _Default):
        return f"{node.start[:-1]}{_TAG}>{escape(value)}{node.end}"
    return f"{node.start}{escape(value)}{node.end}"
