"""Filters of plain elements: subtrees (RFC 6241 §6) and XPath (§8.9)."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass

from lxml import etree

from simulators.datastore import RpcError, Schema
from simulators.datastore.schema import Kind, Node


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


#: Limits of a client's expression, since all stations of a process share its time.
_MAX_LENGTH = 2000
_MAX_WALKS = 6


@dataclass(frozen=True, slots=True)
class XPathFilter:
    """A compiled expression whose root is the conceptual root of all data."""

    expression: etree.XPath

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
        if len(text) > _MAX_LENGTH or text.count("//") + text.count("::") > _MAX_WALKS:
            raise _bad_expression("it is too costly")
        namespaces = {prefix: uri for prefix, uri in element.nsmap.items() if prefix is not None}
        try:
            found = cls(etree.XPath(text, namespaces=namespaces))
            # Unknown prefixes, functions and variables show only when it is evaluated.
            found.evaluate(etree.Element("data"))
        except (etree.XPathError, ValueError) as error:
            raise _bad_expression(str(error)) from error
        return found

    def evaluate(self, top: etree._Element) -> object:
        """The result on a tree of its own."""
        return self.expression(etree.ElementTree(top))

    def matches(self, content: etree._Element) -> bool:
        """Whether a notification is wanted."""
        return bool(self.evaluate(deepcopy(content)))

    def select(self, tops: Iterable[etree._Element], schema: Schema) -> list[etree._Element]:
        """Copies of what is selected, with ancestors and the keys of their lists.

        Raises:
            RpcError: bad-attribute when the expression gives no nodes.
        """
        chosen = []
        for top in map(deepcopy, tops):
            result = self.evaluate(top)
            if not isinstance(result, list):
                raise _bad_expression("it selects no nodes")
            wanted = {_owner(item) for item in result}
            if wanted:
                around = {ancestor for element in wanted for ancestor in element.iterancestors()}
                _prune(top, schema.root, wanted, around)
                chosen.append(top)
        return chosen


def _owner(item: object) -> etree._Element:
    """The selected element, or that of the selected text or attribute."""
    if isinstance(item, etree._Element):
        return item
    element: etree._Element = item.getparent()  # type: ignore[attr-defined]
    return element


def _prune(
    element: etree._Element, parent: Node | None, wanted: set[etree._Element], around: set[etree._Element]
) -> None:
    if element in wanted:
        return
    node = None if parent is None else parent.by_tag.get(str(element.tag))
    keys = {node.children[index].tag for index in node.keys} if node is not None and node.kind is Kind.LIST else set()
    for child in list(element):
        if child in wanted or child in around:
            _prune(child, node, wanted, around)
        elif child.tag not in keys:
            element.remove(child)


def _bad_expression(reason: str) -> RpcError:
    info = {"bad-attribute": "select", "bad-element": "filter"}
    return RpcError("bad-attribute", f"select: {reason}", type="protocol", info=info)
