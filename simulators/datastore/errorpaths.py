"""error-path texts: XPath with the modules' prefixes (RFC 6241 §4.3, RFC 7950 §9.13)."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from simulators.datastore.schema import Branch, Kind, Node

#: A node and its list entry, None where the entry isn't meant or the node is no list.
Place = tuple[Node, Branch | None]


def path_text(places: Iterable[Place]) -> str:
    """Write a path of nodes and list entries."""
    return "".join(f"/{node.prefix}:{node.name}" + _predicates(node, entry) for node, entry in places)


def path_namespaces(places: Iterable[Place]) -> dict[str, str]:
    """Namespaces of the prefixes in a path."""
    return {node.prefix: node.namespace for node, _ in places}


def places_of(root: Node, tree: etree._Element, element: etree._Element) -> list[Place]:
    """The places from the root of a document down to an element, as far as the schema knows them."""
    chain = [element, *element.iterancestors()]
    chain = chain[: chain.index(tree)] if tree in chain else chain
    places: list[Place] = []
    node = root
    for step in reversed(chain):
        child = node.by_tag.get(str(step.tag))
        if child is None:
            break
        places.append((child, _keys_of(child, step)))
        node = child
    return places


def _keys_of(node: Node, element: etree._Element) -> Branch | None:
    if node.kind is not Kind.LIST:
        return None
    values = [element.findtext(node.children[index].tag) for index in node.keys]
    return None if None in values else tuple(values)


def _predicates(node: Node, entry: Branch | None) -> str:
    if entry is None:
        return ""
    return "".join(
        f"[{key.prefix}:{key.name}={_quoted(entry[key.index])}]" for key in (node.children[i] for i in node.keys)
    )


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"
