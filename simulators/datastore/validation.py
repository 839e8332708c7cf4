"""Checks of a whole configuration before its commit (RFC 7950 §8.3.3, §15)."""

from __future__ import annotations

import re

from lxml import etree

from simulators.datastore.errorpaths import Place, path_namespaces, path_text
from simulators.datastore.errors import RpcError
from simulators.datastore.render import fill_defaults, render_bare
from simulators.datastore.schema import Branch, Kind, Must, Node, Schema, Value

#: A slash without a step before it is the root, which is <data> in our documents.
_ROOT = re.compile(r"(?<![\w\])*.\-/])/(?=[\w*])")
_CURRENT = re.compile(r"current\(\s*\)")


def violations(schema: Schema, root: Branch) -> list[RpcError]:
    """Return all violations in document order; must statements come last, since they need a document."""
    check = _Check()
    check.children(schema.root, root, ())
    return check.errors + _broken_musts(schema, root, check.bound)


class _Check:
    """A walk over a tree that collects errors and the instances that must statements bind."""

    def __init__(self) -> None:
        self.errors: list[RpcError] = []
        self.bound: list[tuple[Place, ...]] = []

    def children(self, node: Node, branch: Branch, places: tuple[Place, ...]) -> None:
        for child, value in zip(node.children, branch, strict=True):
            if child.config:
                self._child(child, value, places)

    def _child(self, node: Node, value: Value, places: tuple[Place, ...]) -> None:
        if node.kind is Kind.LEAF:
            if value is None and node.mandatory:
                self._report("data-missing", f"{node.name} is mandatory", (*places, (node, None)), None)
            elif value is not None and node.musts:
                self.bound.append((*places, (node, None)))
        elif node.kind is Kind.CONTAINER:
            if value is not None or not node.presence:
                self._branch(node, node.blank if value is None else value, (*places, (node, None)))
        else:
            self._count(node, len(value or ()), (*places, (node, None)))
            if node.kind is Kind.LIST:
                for entry in value or ():
                    self._branch(node, entry, (*places, (node, entry)))

    def _branch(self, node: Node, branch: Branch, places: tuple[Place, ...]) -> None:
        if node.musts:
            self.bound.append(places)
        self.children(node, branch, places)

    def _count(self, node: Node, count: int, places: tuple[Place, ...]) -> None:
        if count < node.min_elements:
            message = f"{count} {node.name}, at least {node.min_elements} needed"
            self._report("operation-failed", message, places, "too-few-elements")
        if node.max_elements is not None and count > node.max_elements:
            message = f"{count} {node.name}, at most {node.max_elements} allowed"
            self._report("operation-failed", message, places, "too-many-elements")

    def _report(self, tag: str, message: str, places: tuple[Place, ...], app_tag: str | None) -> None:
        self.errors.append(_error(tag, message, places, app_tag))


def _broken_musts(schema: Schema, root: Branch, bound: list[tuple[Place, ...]]) -> list[RpcError]:
    if not bound:
        return []
    tree = etree.fromstring(f"<data>{render_bare(schema.root, fill_defaults(schema.root, root))}</data>")
    return [
        _error("operation-failed", must.message, places, must.app_tag)
        for places in bound
        for must in places[-1][0].musts
        if not _holds(must, _element_at(tree, places))
    ]


def _holds(must: Must, element: etree._Element) -> bool:
    expression = _ROOT.sub("/data/", _CURRENT.sub("$current", must.expression))
    return bool(element.xpath(f"boolean({expression})", current=[element]))


def _element_at(tree: etree._Element, places: tuple[Place, ...]) -> etree._Element:
    element = tree
    for node, entry in places:
        element = next(child for child in element.iterchildren(node.name) if entry is None or _is(child, node, entry))
    return element


def _is(element: etree._Element, node: Node, entry: Branch) -> bool:
    keys = [node.children[index] for index in node.keys]
    return all((element.findtext(key.name) or "") == entry[key.index] for key in keys)


def _error(tag: str, message: str, places: tuple[Place, ...], app_tag: str | None) -> RpcError:
    return RpcError(tag, message, path=path_text(places), namespaces=path_namespaces(places), app_tag=app_tag)
