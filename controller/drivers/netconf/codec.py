"""Device trees on the wire: the filter that reads them, replies that contain them, and edits that change them.

Trees are canonical: values are normalised (``sd``, decimals, numbers, addresses, blanks) and
leaves at their default are left out, so that devices with ``explicit``, ``trim`` and ``report-all``
defaults (RFC 6243) give equal trees. Edits are the ``<config>`` of one edit-config with ``default-operation none``:
containers carry no operation; create, merge and delete stand on the smallest nodes (RFC 6241 §7.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lxml import etree

from controller.drivers.netconf.active_alarms import decode_alarms
from controller.drivers.netconf.external_io import decode_inputs
from controller.drivers.netconf.markup import MalformedXmlError, parse_xml
from controller.models.errors import DeviceRefusedError
from controller.models.plan import Edit, Op
from controller.nrm import namespaces as ns
from controller.nrm.profiles.alarm_list import decode_records
from controller.nrm.schema import LeafSpec, NodeSpec
from controller.nrm.tree import LONGEST_KEY, LeafName, NodeCount, Observed, Path, Value, parent, shortened, step


class Offers(Protocol):
    """Whether a station has the module of a namespace, and optionally a feature of it."""

    def __call__(self, namespace: str, feature: str = "") -> bool:
        """See the class."""
        ...


def _everything(namespace: str, feature: str = "") -> bool:
    """All modules, without features that only some stations have."""
    return bool(namespace) and not feature


def read_filter(root: NodeSpec, station: str, offers: Offers = _everything) -> list[etree._Element]:
    """Content of a subtree filter (RFC 6241 §6) for all that the profiles manage on a station.

    Args:
        root: Schema of the station.
        station: Its name.
        offers: What the station has. One that denies even the ManagedElement is not believed, and asked for everything.
    """
    believed = offers if offers(root.namespace) else _everything
    element = etree.Element(root.tag, nsmap=ns.as_default(root.namespace))
    etree.SubElement(element, f"{{{root.namespace}}}id").text = station
    etree.SubElement(element, f"{{{root.namespace}}}attributes")
    for function in root.children:
        if believed(function.namespace, function.feature):
            etree.SubElement(element, function.tag, nsmap=ns.as_default(function.namespace))
    beside = (node for node in root.beside if believed(node.namespace, node.feature))
    return [element, *(etree.Element(node.tag, nsmap=ns.as_default(node.namespace)) for node in beside)]


def elements_filter(root: NodeSpec) -> etree._Element:
    """Content of a subtree filter for the ids of all ManagedElements, whatever their names are."""
    element = etree.Element(root.tag, nsmap=ns.as_default(root.namespace))
    etree.SubElement(element, f"{{{root.namespace}}}id")
    return element


def decode(root: NodeSpec, data: etree._Element | bytes, station: str, *, trims: bool = False) -> Observed:
    """Read the ``<data>`` of a reply (or the whole reply, or a ManagedElement).

    A station that does not have the ManagedElement reads as a tree of what stands beside it only, if anything does;
    ManagedElements of other names are listed as unknown.

    Args:
        root: Schema of the station.
        data: The reply.
        station: Name of its ManagedElement.
        trims: Whether the server leaves out states that have their default (RFC 6243, basic mode ``trim``).

    Raises:
        DeviceRefusedError: The bytes are no well-formed XML, or the nodes are more than any station has.
    """
    reader = _Reader(NodeCount(station))
    parsed = _parsed(data)
    records = None
    for element in _top(parsed, root.tag):
        if (element.findtext(f"{{{root.namespace}}}id") or "").strip() == station:
            reader.entry(root, element, "")
            records = decode_records(element)
        else:
            reader.mark_unknown("", element)
    for beside in root.beside:
        for entry in _top(parsed, beside.tag):
            reader.entry(beside, entry, "")
    reader.finish()
    unknown = tuple(dict.fromkeys(reader.unknown))
    beside_it = _content(parsed)
    alarms, inputs = decode_alarms(beside_it), decode_inputs(beside_it, trims=trims)
    return Observed(reader.tree, reader.state, unknown, reader.spelled, alarms, records, inputs=inputs)


def _parsed(data: etree._Element | bytes) -> etree._Element:
    if not isinstance(data, bytes):
        return data
    try:
        return parse_xml(data)
    except MalformedXmlError as error:
        raise DeviceRefusedError(f"the device answered with malformed XML: {error}") from error


def _content(element: etree._Element) -> etree._Element:
    """The ``<data>`` of a whole reply; any other element itself."""
    if element.tag != f"{{{ns.NETCONF}}}rpc-reply":
        return element
    found = element.find(f"{{{ns.NETCONF}}}data")
    return etree.Element("data") if found is None else found


def _top(element: etree._Element, tag: str) -> list[etree._Element]:
    return [element] if element.tag == tag else _content(element).findall(tag)


@dataclass(slots=True)
class _Reader:
    count: NodeCount
    tree: dict[Path, dict[LeafName, Value]] = field(default_factory=dict)
    state: dict[Path, dict[LeafName, Value]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    spelled: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    #: Values of leaf-lists by the path of their entry: each is made whole once.
    lists: dict[tuple[Path, LeafName], tuple[LeafSpec, list[str]]] = field(default_factory=dict)

    def entry(self, spec: NodeSpec, element: etree._Element, above: Path) -> None:
        """Read one list entry with all below it."""
        rest: Iterator[etree._Element] = iter(element)
        written = []
        for tag in spec.key_order:
            node = next(rest, None)
            if node is None or node.tag != tag:
                # RFC 7950 §7.8.5 requires keys first and in order; not every server does that.
                written = [element.findtext(key) or "" for key in spec.key_order]
                rest = iter([node for node in element if node.tag not in spec.key_tags])
                break
            written.append(node.text or "")
        named = spec.named(tuple(written)) if all(len(text) <= LONGEST_KEY for text in written) else None
        path = f"{above}/{named[0]}" if named else ""
        if named is None or path in self.tree:
            # A key is missing or too long; or two spellings of one, as in sd 0000d1 and 0000D1: we can only speak of
            # the first.
            self.mark_unknown(above, element)
            return
        self.count.add(path)
        self.tree[path] = {}
        if named[1]:
            self.spelled[path] = named[1]
        if spec.attributes:
            self._beside_attributes(spec, rest, path)
        else:
            self._nodes(spec, rest, path)

    def _beside_attributes(self, spec: NodeSpec, nodes: Iterable[etree._Element], path: Path) -> None:
        """Nodes of a 3GPP class but its keys: attributes, and contained objects."""
        for node in nodes:
            tag = node.tag
            if tag == spec.attributes_tag:
                self._nodes(spec, node, path)
            elif (below := spec.child_by_tag.get(tag)) is not None and not below.in_attributes:
                self.entry(below, node, path)
            elif (leaf := spec.leaf_by_tag.get(tag)) is not None and leaf.beside:
                self._leaf(leaf, node.text or "", path)
            elif (spec.holds_others or not spec.self_made) and (leaf is None or not leaf.doubled):
                self.mark_unknown(path, node)

    def _nodes(self, spec: NodeSpec, nodes: Iterable[etree._Element], path: Path) -> None:
        """Attributes: leaves, and lists that stand among them."""
        plain, leaf_by_tag, child_by_tag = spec.plain_by_tag, spec.leaf_by_tag, spec.child_by_tag
        leaves = self.tree[path]
        for node in nodes:
            tag = node.tag
            if tag in plain:  # as most of them
                name, normalise, default, as_state = plain[tag]
                value = normalise(node.text or "")
                if value != default:
                    (self.state.setdefault(path, {}) if as_state else leaves)[name] = value
                continue
            leaf = leaf_by_tag.get(tag)
            if leaf is not None:
                self._leaf(leaf, leaf.entry.read(node) if leaf.entry else node.text or "", path)
                continue
            below = child_by_tag.get(tag)
            if below is not None and below.in_attributes == spec.attributes:
                self.entry(below, node, path)
            elif tag not in spec.apart_tags and not spec.self_made:
                self.mark_unknown(path, node)

    def _leaf(self, leaf: LeafSpec, text: str, path: Path) -> None:
        value = leaf.normalise(text)
        leaves = self.state.setdefault(path, {}) if leaf.state or leaf.carrier else self.tree[path]
        if leaf.leaf_list:
            leaves.setdefault(leaf.name, ())
            self.lists.setdefault((path, leaf.name), (leaf, []))[1].append(value)
        elif value != leaf.default:
            leaves[leaf.name] = value

    def mark_unknown(self, above: Path, element: etree._Element) -> None:
        """List a node that the profile does not know, with its id if it has one; a comment is no node."""
        if not isinstance(element.tag, str):
            return
        name = etree.QName(element)
        identity = (element.findtext(f"{{{name.namespace}}}id") or "").strip()
        tag = f"{{{name.namespace}}}{name.localname}"
        path = f"{above}/{shortened(tag)}{f'[{shortened(identity)}]' if identity else ''}"
        self.count.add(path)
        self.unknown.append(path)

    def finish(self) -> None:
        """Put the values of each leaf-list in their place, all at once."""
        for (path, name), (leaf, values) in self.lists.items():
            leaves = self.state[path] if leaf.state or leaf.carrier else self.tree[path]
            leaves[name] = tuple(sorted(values)) if leaf.unordered else tuple(values)


# ----------------------------------------------------------------------- edits


_OPERATION = f"{{{ns.NETCONF}}}operation"
_INSERT = f"{{{ns.YANG}}}insert"
_KEY = f"{{{ns.YANG}}}key"


def encode_edit(
    root: NodeSpec, edits: Sequence[Edit], spelled: Mapping[Path, tuple[str, ...]] | None = None
) -> etree._Element:
    """Merge edits of one station into the ``<config>`` of one edit-config.

    Entries below a created or deleted entry share its operation. New entries of user-ordered
    lists follow the order of the edits unless they name a sibling. ``spelled`` holds the keys of
    existing entries as the device writes them (``Observed.spelled``).

    Raises:
        ValueError: The edits contradict each other, or name what the profile does not know.
    """
    writer = _Writer(root, edits, spelled or {})
    for edit in edits:
        writer.write(edit)
    return writer.config


class _Writer:
    def __init__(self, root: NodeSpec, edits: Sequence[Edit], spelled: Mapping[Path, tuple[str, ...]]) -> None:
        # Prefixes for yang:key, which names the keys of a sibling; elements themselves need none.
        self._prefixes = _user_ordered_prefixes(root) if any(edit.after_sibling for edit in edits) else {}
        nsmap = {
            **ns.as_default(ns.NETCONF),
            "nc": ns.NETCONF,
            "yang": ns.YANG,
            **{prefix: namespace for namespace, prefix in self._prefixes.items()},
        }
        self.config = etree.Element(f"{{{ns.NETCONF}}}config", nsmap=nsmap)
        self._root = root
        self._spelled = spelled
        self._open: dict[Path, tuple[NodeSpec, etree._Element]] = {}
        if len({edit.path for edit in edits}) != len(edits):
            raise ValueError("two edits of one entry in one edit-config")
        #: Entries that are created or deleted with all below them.
        self._whole = {edit.path: edit.op for edit in edits if edit.op in {Op.CREATE, Op.DELETE}}

    def write(self, edit: Edit) -> None:
        """Write one edit."""
        above = self._op_above(edit.path)
        if above is Op.DELETE and edit.op is Op.DELETE:
            return
        if above is Op.DELETE or (above is Op.CREATE and edit.op is not Op.CREATE):
            raise ValueError(f"{edit.op} of {edit.path} contradicts the {above} above it")
        spec, element = self._entry(edit.path)
        if edit.after_sibling is not None:
            self._place(edit, spec, element)
        if edit.op is Op.MERGE:
            self._merge(edit, spec, element)
            return
        if edit.op is Op.CREATE:
            for name in _known(spec, edit.after):
                self._leaf(spec, element, name, edit.after[name], None)
        if above is not Op.CREATE:
            element.set(_OPERATION, edit.op)

    def _op_above(self, path: Path) -> Op | None:
        """Operation of the nearest ancestor that is created or deleted."""
        while self._whole and (path := parent(path)) != "":
            if path in self._whole:
                return self._whole[path]
        return None

    def _entry(self, path: Path) -> tuple[NodeSpec, etree._Element]:
        """The element of an entry, made with its keys and everything above it when first asked for."""
        if path in self._open:
            return self._open[path]
        name, keys = step(path)
        above = parent(path)
        if above:
            above_spec, container = self._entry(above)
            spec = above_spec.child_by_name.get(name)
            if spec is not None and spec.in_attributes:
                container = _attributes(above_spec, container)
        else:
            container = self.config
            spec = self._root.top_by_name.get(name)
        if spec is None or len(keys) != len(spec.keys):
            raise ValueError(f"the profile knows no {path}")
        nsmap = None if above and above_spec.namespace == spec.namespace else ns.as_default(spec.namespace)
        element = etree.SubElement(container, spec.tag, nsmap=nsmap)
        for key, value in zip(spec.keys, self._spelled.get(path, keys), strict=True):
            etree.SubElement(element, f"{{{spec.namespace}}}{key}").text = value
        self._open[path] = spec, element
        return spec, element

    def _place(self, edit: Edit, spec: NodeSpec, element: etree._Element) -> None:
        """Set the place of an entry in its user-ordered list (RFC 7950 §7.8.6)."""
        sibling = edit.after_sibling
        if not spec.user_ordered or edit.op is not Op.CREATE:
            raise ValueError(f"{edit.op} of {edit.path} has no place to choose")
        if not sibling:
            element.set(_INSERT, "first")
            return
        name, keys = step(sibling)
        if parent(sibling) != parent(edit.path) or name != spec.name:
            raise ValueError(f"{sibling} is no sibling of {edit.path}")
        element.set(_INSERT, "after")
        prefix = self._prefixes[spec.namespace]
        written = zip(spec.keys, self._spelled.get(sibling, keys), strict=True)
        predicates = (f"[{prefix}:{key}={_quoted(value)}]" for key, value in written)
        element.set(_KEY, "".join(predicates))

    def _merge(self, edit: Edit, spec: NodeSpec, element: etree._Element) -> None:
        names = _known(spec, {**edit.before, **edit.after})
        for name in names:
            before, after = edit.before.get(name), edit.after.get(name)
            if spec.leaf_by_name[name].leaf_list:
                self._merge_list(spec, element, name, before or (), after or ())
            elif after is None:
                self._leaf(spec, element, name, before or "", Op.DELETE)
            else:
                self._leaf(spec, element, name, after, Op.MERGE)

    def _merge_list(self, spec: NodeSpec, element: etree._Element, name: str, before: Value, after: Value) -> None:
        gone = tuple(value for value in before if value not in after)
        new = tuple(value for value in after if value not in before)
        self._leaf(spec, element, name, gone, Op.DELETE)
        self._leaf(spec, element, name, new, Op.MERGE)

    def _leaf(self, spec: NodeSpec, element: etree._Element, name: str, value: Value, op: Op | None) -> None:
        leaf = spec.leaf_by_name[name]
        container = _attributes(spec, element) if spec.attributes and not leaf.beside else element
        for place in (container, element) if leaf.doubled else (container,):
            for text in (value,) if isinstance(value, str) else value:
                node = _sub_leaf(place, spec, leaf)
                if leaf.entry is None:
                    node.text = text
                else:
                    leaf.entry.write(node, text)
                if op is not None:
                    node.set(_OPERATION, op)


def _sub_leaf(container: etree._Element, spec: NodeSpec, leaf: LeafSpec) -> etree._Element:
    if not leaf.namespace:
        return etree.SubElement(container, f"{{{spec.namespace}}}{leaf.name}")
    return etree.SubElement(container, f"{{{leaf.namespace}}}{leaf.name}", nsmap=ns.as_default(leaf.namespace))


def _attributes(spec: NodeSpec, element: etree._Element) -> etree._Element:
    """The ``attributes`` container of an entry, right behind the keys."""
    if not spec.attributes:
        return element
    tag = f"{{{spec.namespace}}}attributes"
    found = element.find(tag)
    if found is None:
        found = element.makeelement(tag)
        element.insert(len(spec.keys), found)
    return found


def _known(spec: NodeSpec, leaves: dict[LeafName, Value]) -> list[LeafName]:
    """The names in the order of the schema.

    Raises:
        ValueError: The profile does not know one of them.
    """
    if strange := leaves.keys() - spec.leaf_by_name.keys():
        raise ValueError(f"{spec.name} has no {', '.join(sorted(strange))}")
    return [name for name in spec.leaf_by_name if name in leaves]


def _user_ordered_prefixes(root: NodeSpec) -> dict[str, str]:
    namespaces = dict.fromkeys(node.namespace for node in root.walk() if node.user_ordered)
    return {namespace: f"k{number}" for number, namespace in enumerate(namespaces, 1)}


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"
