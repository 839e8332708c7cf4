"""Where an entry of a list ordered by the user goes (RFC 7950 §7.7.9, §7.8.6)."""

from __future__ import annotations

import re

from lxml import etree

from simulators.datastore.errors import YANG_NS
from simulators.datastore.schema import Kind, Node, Value

INSERT = f"{{{YANG_NS}}}insert"
KEY = f"{{{YANG_NS}}}key"
VALUE = f"{{{YANG_NS}}}value"

_PREDICATE = re.compile(r"""\[\s*(?:[\w.-]+:)?([\w.-]+)\s*=\s*(?:'([^']*)'|"([^"]*)")\s*\]""")


class InsertionError(Exception):
    """An attribute that is missing or can't be followed; ``attribute`` is its name in Clark notation."""

    def __init__(self, attribute: str, message: str, app_tag: str | None = None, *, tag: str = "bad-attribute") -> None:
        super().__init__(message)
        self.attribute = attribute
        self.app_tag = app_tag
        self.tag = tag


def insertion_point(node: Node, items: tuple[Value, ...], element: etree._Element, insert: str) -> int:
    """Return the index at which the element's entry goes into the items.

    Raises:
        InsertionError: an unknown word, a malformed reference, or one to an entry that is absent.
    """
    if insert == "first":
        return 0
    if insert == "last":
        return len(items)
    if insert not in ("before", "after"):
        raise InsertionError(INSERT, f"{insert!r} is none of first, last, before, after")
    at = _entry_at(node, items, element) if node.kind is Kind.LIST else _value_at(node, items, element)
    return at if insert == "before" else at + 1


def _entry_at(node: Node, items: tuple[Value, ...], element: etree._Element) -> int:
    text = element.get(KEY)
    if text is None:
        raise InsertionError(KEY, "insert before or after needs the attribute key", tag="missing-attribute")
    given = {name: single or double for name, single, double in _PREDICATE.findall(text)}
    keys = [node.children[index] for index in node.keys]
    if _PREDICATE.sub("", text).strip() or set(given) != {key.name for key in keys}:
        raise InsertionError(KEY, f"{text!r} does not name the keys {', '.join(key.name for key in keys)}")
    at = node.position(items, tuple(_canonical(key, given[key.name], KEY) for key in keys))
    if at is None:
        raise InsertionError(KEY, f"there is no other entry {text}", "missing-instance")
    return at


def _value_at(node: Node, items: tuple[Value, ...], element: etree._Element) -> int:
    text = element.get(VALUE)
    if text is None:
        raise InsertionError(VALUE, "insert before or after needs the attribute value", tag="missing-attribute")
    value = _canonical(node, text, VALUE)
    if value not in items:
        raise InsertionError(VALUE, f"there is no other value {text!r}", "missing-instance")
    return items.index(value)


def _canonical(node: Node, text: str, attribute: str) -> str:
    assert node.type is not None
    try:
        return node.type.canonical(text)
    except ValueError as error:
        raise InsertionError(attribute, f"{node.name}: {error}") from error
