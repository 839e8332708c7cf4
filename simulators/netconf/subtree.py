"""Subtree filtering of plain elements (RFC 6241 §6), for notifications and state outside the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

from lxml import etree


def select(content: Iterable[etree._Element], selector: etree._Element) -> list[etree._Element]:
    """Return copies of what the children of ``selector`` select."""
    chosen = []
    for element in content:
        for wanted in selector:
            selected = _select(element, wanted) if _matches(element, wanted) else None
            if selected is not None:
                chosen.append(selected)
                break
    return chosen


def _matches(element: etree._Element, wanted: etree._Element) -> bool:
    if not isinstance(element.tag, str) or not isinstance(wanted.tag, str):
        return False
    name, other = etree.QName(element), etree.QName(wanted)
    # A filter node without namespace matches any namespace (RFC 6241 §6.2.1).
    if name.localname != other.localname or (other.namespace is not None and name.namespace != other.namespace):
        return False
    return all(element.get(attribute) == value for attribute, value in wanted.items())


def _select(element: etree._Element, wanted: etree._Element) -> etree._Element | None:
    if len(wanted) == 0:
        text = (wanted.text or "").strip()
        return deepcopy(element) if not text or text == (element.text or "").strip() else None
    tests = [node for node in wanted if len(node) == 0 and (node.text or "").strip()]
    if not all(any(_matches(child, test) and _select(child, test) is not None for child in element) for test in tests):
        return None
    if len(tests) == len(wanted):
        return deepcopy(element)
    kept = select(element, wanted)
    if not kept:
        return None
    copy = deepcopy(element)
    copy[:] = kept
    return copy
