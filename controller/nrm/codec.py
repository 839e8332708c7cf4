"""Device trees on the wire: the filter that reads them and the replies that carry them.

Trees are canonical: values are normalised (``sd``, decimals, numbers, addresses, blanks) and
leaves at their default are left out, so that devices with ``explicit``, ``trim`` and ``report-all``
defaults (RFC 6243) give equal trees. Writing is the business of ``controller.nrm.encode``, whose
``encode_edit`` is offered here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lxml import etree

from controller.models.errors import DeviceRefusedError
from controller.nrm import namespaces as ns
from controller.nrm.active_alarms import decode_alarms
from controller.nrm.encode import encode_edit
from controller.nrm.schema import LeafSpec, NodeSpec
from controller.nrm.tree import LeafName, Observed, Path, Value

__all__ = ["decode", "encode_edit", "read_filter"]


def _everything(_namespace: str) -> bool:
    return True


def read_filter(root: NodeSpec, station: str, offers: Callable[[str], bool] = _everything) -> etree._Element:
    """Content of a subtree filter (RFC 6241 §6) for all that the profiles manage on a station.

    Args:
        root: Schema of the station.
        station: Its name.
        offers: Whether the station has the module of a namespace. One that denies even the ManagedElement is not
            believed, and asked for everything.
    """
    believed = offers if offers(root.namespace) else _everything
    element = etree.Element(root.tag, nsmap=ns.as_default(root.namespace))
    etree.SubElement(element, f"{{{root.namespace}}}id").text = station
    etree.SubElement(element, f"{{{root.namespace}}}attributes")
    for function in root.children:
        if not believed(function.namespace):
            continue
        etree.SubElement(element, function.tag, nsmap=ns.as_default(function.namespace))
    return element


def decode(root: NodeSpec, data: etree._Element | bytes, station: str) -> Observed:
    """Read the ``<data>`` of a reply (or the whole reply, or a ManagedElement).

    A station that does not have the ManagedElement reads as an empty tree; ManagedElements of
    other names are listed as unknown.

    Raises:
        DeviceRefusedError: The bytes are no well-formed XML.
    """
    reader = _Reader()
    parsed = _parsed(data)
    for element in _managed_elements(parsed, root.tag):
        if (element.findtext(f"{{{root.namespace}}}id") or "").strip() == station:
            reader.entry(root, element, "")
        else:
            reader.mark_unknown("", element)
    unknown = tuple(dict.fromkeys(reader.unknown))
    return Observed(reader.tree, reader.state, unknown, reader.spelled, decode_alarms(parsed))


def _parsed(data: etree._Element | bytes) -> etree._Element:
    if not isinstance(data, bytes):
        return data
    # Devices are not trusted: no entities, no files, no network.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise DeviceRefusedError(f"the device answered with malformed XML: {error}") from error


def _managed_elements(element: etree._Element, tag: str) -> list[etree._Element]:
    if element.tag == tag:
        return [element]
    if element.tag == f"{{{ns.NETCONF}}}rpc-reply":
        found = element.find(f"{{{ns.NETCONF}}}data")
        return [] if found is None else found.findall(tag)
    return element.findall(tag)


@dataclass(slots=True)
class _Reader:
    tree: dict[Path, dict[LeafName, Value]] = field(default_factory=dict)
    state: dict[Path, dict[LeafName, Value]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    spelled: dict[Path, tuple[str, ...]] = field(default_factory=dict)

    def entry(self, spec: NodeSpec, element: etree._Element, above: Path) -> None:
        """Read one list entry with all below it."""
        nodes, tags = list(element), spec.key_order
        rest = nodes[len(tags) :]
        written = [node.text or "" for node in nodes[: len(tags)]]
        if [node.tag for node in nodes[: len(tags)]] != tags:
            # RFC 7950 §7.8.5 wants keys first and in order; not every server does it.
            written = [element.findtext(tag) or "" for tag in tags]
            rest = [node for node in nodes if node.tag not in spec.key_tags]
        named = spec.named(tuple(written))
        path = f"{above}/{named[0]}" if named else ""
        if named is None or path in self.tree:
            # A key is missing; or two spellings of one, as in sd 0000d1 and 0000D1: we can only speak of the first.
            self.mark_unknown(above, element)
            return
        self.tree[path] = {}
        if named[1]:
            self.spelled[path] = named[1]
        if not rest:  # nothing but keys, as most entries
            return
        if spec.attributes:
            self._beside_attributes(spec, rest, path)
        else:
            self._nodes(spec, rest, path)

    def _beside_attributes(self, spec: NodeSpec, nodes: list[etree._Element], path: Path) -> None:
        """Nodes of a 3GPP class but its keys: attributes, and contained objects."""
        for node in nodes:
            tag = node.tag
            below = spec.child_by_tag.get(tag)
            if tag == spec.attributes_tag:
                self._nodes(spec, node, path)
            elif below is not None and not below.in_attributes:
                self.entry(below, node, path)
            else:
                self.mark_unknown(path, node)

    def _nodes(self, spec: NodeSpec, nodes: Iterable[etree._Element], path: Path) -> None:
        """Attributes: leaves, and lists that stand among them."""
        leaf_by_tag, child_by_tag = spec.leaf_by_tag, spec.child_by_tag
        for node in nodes:
            tag = node.tag
            leaf = leaf_by_tag.get(tag)
            if leaf is not None:
                self._leaf(leaf, leaf.entry.read(node) if leaf.entry else node.text or "", path)
                continue
            below = child_by_tag.get(tag)
            if below is not None and below.in_attributes == spec.attributes:
                self.entry(below, node, path)
            else:
                self.mark_unknown(path, node)

    def _leaf(self, leaf: LeafSpec, text: str, path: Path) -> None:
        value = leaf.normalise(text)
        leaves = self.state.setdefault(path, {}) if leaf.state or leaf.carrier else self.tree[path]
        if leaf.leaf_list:
            leaves[leaf.name] = (*leaves.get(leaf.name, ()), value)
        elif value != leaf.default:
            leaves[leaf.name] = value

    def mark_unknown(self, above: Path, element: etree._Element) -> None:
        """List a node that the profile does not know, with its id if it has one; a comment is no node."""
        if not isinstance(element.tag, str):
            return
        name = etree.QName(element)
        identity = (element.findtext(f"{{{name.namespace}}}id") or "").strip()
        self.unknown.append(f"{above}/{{{name.namespace}}}{name.localname}{f'[{identity}]' if identity else ''}")
