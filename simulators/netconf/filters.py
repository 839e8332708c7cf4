"""Filters of plain elements: subtrees (RFC 6241 §6) and XPath (§8.9)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass

from lxml import etree

from simulators.datastore import RpcError, Schema
from simulators.datastore.schema import Kind, Node
from simulators.netconf.xpath import MAX_COST, TooCostlyError, Type, XPath, XPathError, document

#: Most elements of a filter: each is compared with what there is, in the time of all stations of a process.
MAX_FILTER = 2000


def read_subtree(selector: etree._Element) -> etree._Element:
    """Read a subtree filter.

    Raises:
        RpcError: too-big.
    """
    size = sum(1 for _ in selector.iterdescendants(tag=etree.Element))
    if size > MAX_FILTER:
        message = f"a filter of {size} elements; at most {MAX_FILTER} are taken"
        raise RpcError("too-big", message, type="protocol", info={"bad-element": "filter"})
    return selector


def select(
    content: Iterable[etree._Element], selector: etree._Element, schema: Schema | None = None
) -> list[etree._Element]:
    """Copies of what the children of ``selector`` select; with a schema, lists keep their keys (RFC 6241 §6.2.5)."""
    return _chosen(content, list(selector), None if schema is None else schema.root)


def _chosen(
    content: Iterable[etree._Element], filters: Sequence[etree._Element], parent: Node | None
) -> list[etree._Element]:
    """What the filters select together: several may be about one element."""
    chosen = []
    for element in content:
        wanted = [each for each in filters if _matches(element, each)]
        selected = _selected(element, wanted, None if parent is None else parent.by_tag.get(str(element.tag)))
        if selected is not None:
            chosen.append(selected)
    return chosen


def _matches(element: etree._Element, wanted: etree._Element) -> bool:
    if not isinstance(element.tag, str) or not isinstance(wanted.tag, str):
        return False
    name, other = etree.QName(element), etree.QName(wanted)
    # A filter node without namespace matches any namespace (RFC 6241 §6.2.1).
    if name.localname != other.localname or (other.namespace is not None and name.namespace != other.namespace):
        return False
    return all(element.get(attribute) == value for attribute, value in wanted.items())


def _selected(element: etree._Element, wanted: list[etree._Element], node: Node | None) -> etree._Element | None:
    """A copy of the element with what any of the filters selects of it."""
    active = [each for each in wanted if _holds(element, each)]
    if any(all(_content(child) for child in each) for each in active):
        return deepcopy(element)
    kept = _chosen(element, [child for each in active for child in each], node) if active else []
    if not kept:
        return None
    keys = _keys(node)
    missing = [child for child in element if child.tag in keys and all(child.tag != one.tag for one in kept)]
    copy = deepcopy(element)
    copy[:] = [*map(deepcopy, missing), *kept]
    return copy


def _content(wanted: etree._Element) -> bool:
    """Whether it is a content match node."""
    return len(wanted) == 0 and bool((wanted.text or "").strip())


def _holds(element: etree._Element, wanted: etree._Element) -> bool:
    """Whether an element has the content that a filter for it asks for."""
    if _content(wanted):
        return (wanted.text or "").strip() == (element.text or "").strip()
    tests = [child for child in wanted if _content(child)]
    return all(any(_matches(child, test) and _holds(child, test) for child in element) for test in tests)


def _keys(node: Node | None) -> frozenset[str]:
    """The tags of a list's keys."""
    if node is None or node.kind is not Kind.LIST:
        return frozenset()
    return frozenset(node.children[index].tag for index in node.keys)


#: Nodes that the filter of a subscription may visit in one notification.
_MATCH_COST = 20_000


@dataclass(frozen=True, slots=True)
class XPathFilter:
    """An expression about all data, whose top-level nodes stand under one root (RFC 6241 §8.9)."""

    expression: XPath

    @classmethod
    def of(cls, element: etree._Element) -> XPathFilter:
        """Read a ``<filter type="xpath">``; its prefixes are those in scope at the element.

        Raises:
            RpcError: missing-attribute without ``select``, bad-attribute if that is no expression that we evaluate.
        """
        text = element.get("select")
        if text is None:
            info = {"bad-attribute": "select", "bad-element": "filter"}
            raise RpcError("missing-attribute", "an xpath filter needs select", type="protocol", info=info)
        namespaces = {prefix: uri for prefix, uri in element.nsmap.items() if prefix is not None}
        try:
            return cls(XPath.of(text, namespaces))
        except XPathError as error:
            raise _bad_expression("bad-attribute", str(error)) from error

    def matches(self, content: etree._Element) -> bool:
        """Whether a notification is wanted: nodes are found in it, or the value is true.

        Raises:
            TooCostlyError: it takes more time than a subscriber may have.
        """
        return self.expression.holds(document([content]), _MATCH_COST)

    def select(self, tops: Iterable[etree._Element], schema: Schema) -> list[etree._Element]:
        """Copies of what is selected, with ancestors and the keys of their lists (RFC 6241 §8.9.5.1).

        Raises:
            RpcError: invalid-value when the expression gives no nodes; resource-denied when it is too costly.
        """
        if self.expression.type is not Type.NODES:
            raise _bad_expression("invalid-value", f"it gives a {self.expression.type}, and no node-set")
        copies = [deepcopy(top) for top in tops]
        try:
            found = self.expression.evaluate(document(copies))
        except TooCostlyError as error:
            raise _bad_expression("resource-denied", f"it visits more than {MAX_COST} nodes") from error
        if any(node.element is None for node in found):
            return copies  # the root has all
        wanted = {node.element for node in found}
        around = {ancestor for element in wanted for ancestor in element.iterancestors()}
        for top in copies:
            _prune(top, schema.root, wanted, around)
        return [top for top in copies if top in wanted or top in around]


def _prune(
    element: etree._Element, parent: Node | None, wanted: set[etree._Element], around: set[etree._Element]
) -> None:
    if element in wanted:
        return
    node = None if parent is None else parent.by_tag.get(str(element.tag))
    keys = _keys(node)
    for child in list(element):
        if child in wanted or child in around:
            _prune(child, node, wanted, around)
        elif child.tag not in keys:
            element.remove(child)


def _bad_expression(tag: str, reason: str) -> RpcError:
    info = {"bad-attribute": "select", "bad-element": "filter"}
    return RpcError(tag, f"select: {reason}", type="protocol", info=info)
