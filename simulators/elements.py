"""Small XML elements, each child in the namespace of its parent, and their content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import cast

from lxml import etree

#: Makes an element when it is needed.
Make = Callable[[], etree._Element]


def root(namespace: str, name: str, prefixes: Mapping[str, str] = MappingProxyType({})) -> etree._Element:
    """An element that makes its namespace the default one."""
    nsmap = cast("dict[str, str]", {None: namespace, **prefixes})
    return etree.Element(f"{{{namespace}}}{name}", nsmap=nsmap)


def node(parent: etree._Element, name: str) -> etree._Element:
    """Add a child."""
    return etree.SubElement(parent, f"{{{etree.QName(parent).namespace}}}{name}")


def leaf(parent: etree._Element, name: str, text: str) -> None:
    """Add a child with text."""
    node(parent, name).text = text


def timestamp(when: datetime) -> str:
    """A date-and-time of RFC 6991 in UTC."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
