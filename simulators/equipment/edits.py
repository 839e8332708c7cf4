"""Edits that a station makes to its own configuration."""

from __future__ import annotations

from lxml import etree

from simulators.datastore import Config, Path

_BASE = "{urn:ietf:params:xml:ns:netconf:base:1.0}"


def leaf_edit(config: Config, path: Path, name: str, value: str) -> etree._Element:
    """The ``<config>`` that sets one leaf of the container or list entry at a path."""
    top, element = _open(config, path)
    etree.SubElement(element, f"{{{etree.QName(element).namespace}}}{name}").text = value
    return top


def entry_removal(config: Config, path: Path) -> etree._Element:
    """The ``<config>`` that removes the list entry at a path."""
    top, element = _open(config, path)
    element.set(f"{_BASE}operation", "remove")
    return top


def _open(config: Config, path: Path) -> tuple[etree._Element, etree._Element]:
    """A ``<config>`` with the elements down to a path, and the last of them."""
    top = element = etree.Element(f"{_BASE}config")
    node = config.schema.root
    for step in path:
        node = node.by_name[step if isinstance(step, str) else step[0]]
        element = etree.SubElement(element, node.tag)
        keys = () if isinstance(step, str) else step[1:]
        for index, key in zip(node.keys, keys, strict=True):
            etree.SubElement(element, node.children[index].tag).text = key
    return top, element
