"""Subtree filters on values (RFC 6241 §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree

from simulators.datastore.schema import Branch, Kind, Node, Value


@dataclass(frozen=True, slots=True)
class _Filter:
    """One element of a filter.

    ``text`` makes it a content match; no text and no children a selection; children a containment.
    ``impossible`` marks an attribute match: our data has no attributes, so it holds nowhere.
    """

    namespace: str | None
    name: str
    text: str | None
    children: tuple[_Filter, ...]
    impossible: bool

    def names(self, node: Node) -> bool:
        """Namespace selection; an element without namespace asks for any."""
        return self.name == node.name and self.namespace in (None, node.namespace)

    @property
    def whole(self) -> bool:
        """All siblings are wanted: a selection, or nothing but content matches."""
        return all(child.text is not None for child in self.children)

    def matches(self, node: Node, branch: Branch) -> bool:
        """Whether all content matches among the children hold in a branch."""
        return not self.impossible and all(
            any(_content_equal(leaf, branch[leaf.index], child) for leaf in node.children if child.names(leaf))
            for child in self.children
            if child.text is not None
        )


def select(root: Node, branch: Branch, filter_element: etree._Element) -> Branch:
    """Return what a ``<filter>`` selects of a tree; an empty filter selects nothing."""
    return _chosen(root, branch, [_compile(child) for child in filter_element.iterchildren(tag=etree.Element)])


def _compile(element: etree._Element) -> _Filter:
    children = tuple(_compile(child) for child in element.iterchildren(tag=etree.Element))
    text = (element.text or "").strip()
    namespace, _, name = element.tag.rpartition("}")
    return _Filter(
        namespace[1:] or None,
        name,
        text if text and not children else None,
        children,
        bool(element.attrib),
    )


def _content_equal(node: Node, value: Value, wanted: _Filter) -> bool:
    if wanted.impossible or value is None or node.type is None or wanted.text is None:
        return False
    try:
        text = node.type.canonical(wanted.text)
    except ValueError:
        # An invalid value never matches.
        return False
    return text in value if node.kind is Kind.LEAF_LIST else text == value


def _chosen(node: Node, branch: Branch, filters: Sequence[_Filter]) -> Branch:
    """Values of the children that one of several filters selects."""
    return tuple(
        None if value is None else _child(child, value, [wanted for wanted in filters if wanted.names(child)])
        for child, value in zip(node.children, branch, strict=True)
    )


def _child(node: Node, value: Value, filters: Sequence[_Filter]) -> Value:
    if not filters:
        return None
    if node.kind is Kind.LEAF:
        return value if any(_leaf_wanted(node, value, wanted) for wanted in filters) else None
    if node.kind is Kind.LEAF_LIST:
        return tuple(item for item in value if any(_leaf_wanted(node, (item,), wanted) for wanted in filters)) or None
    if node.kind is Kind.CONTAINER:
        return _branch(node, value, filters)
    entries = (_branch(node, entry, filters) for entry in value)
    return tuple(entry for entry in entries if entry is not None) or None


def _leaf_wanted(node: Node, value: Value, wanted: _Filter) -> bool:
    if wanted.text is None:
        return not wanted.impossible and not wanted.children
    return _content_equal(node, value, wanted)


def _branch(node: Node, branch: Branch, filters: Sequence[_Filter]) -> Branch | None:
    """A container or list entry, or None when no filter selects any of it."""
    active = [wanted for wanted in filters if wanted.text is None and wanted.matches(node, branch)]
    if any(wanted.whole for wanted in active):
        return branch
    chosen = _chosen(node, branch, [child for wanted in active for child in wanted.children])
    if chosen == node.blank:
        return None
    # Key leaves identify the entry, so they are always included (RFC 6241 §6.2.5).
    return node.key_of(branch) + chosen[len(node.keys) :]
