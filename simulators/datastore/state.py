"""State data (config false): a tree of the shape of a configuration, laid over it in ``<get>``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lxml import etree

from simulators.datastore.edit import Edit, Operation
from simulators.datastore.instance import Path, Step, child_node
from simulators.datastore.schema import Branch, Kind, Node, Schema, Value
from simulators.datastore.xmltext import document_of

#: Text of a leaf, texts of a leaf-list, or mappings of names to these: one for a container, several for a list.
StateValue = str | Sequence[Any] | Mapping[str, Any]


class State:
    """An immutable tree of state; keys of configured lists in it say where the state belongs.

    State of a list entry that the configuration lacks is left out of replies, unless the entry holds nodes
    that could be configured: then the station made it by itself, as it does alarm records.
    """

    __slots__ = ("root", "schema")

    def __init__(self, schema: Schema, root: Branch) -> None:
        self.schema = schema
        self.root = root

    @classmethod
    def of(cls, schema: Schema, values: Mapping[Path, StateValue]) -> State:
        """Build state from paths, each ending with the name of the node that is set.

        Raises:
            KeyError: the schema has no such node.
            TypeError: a value has the wrong shape, as text for a list.
            ValueError: a text is not of the leaf's type.
        """
        return cls(schema, _built(schema.root, values.items()))

    @classmethod
    def from_xml(cls, schema: Schema, xml: etree._Element | bytes) -> State:
        """Build state from a document, as ``Config.from_xml`` but with config-false nodes.

        Raises:
            RpcError: the document does not fit the schema.
        """
        return cls(schema, Edit(schema, document_of(xml), allow_state=True).apply(schema.root.blank, Operation.MERGE))

    def merged(self, other: State) -> State:
        """Merge both; the other one wins where both have a value, and replaces lists without keys."""
        return State(self.schema, _union(self.schema.root, self.root, other.root))


def overlay(node: Node, config: Branch, state: Branch) -> Branch:
    """Lay state over the configuration of a branch."""
    return tuple(
        _overlaid(child, ours, theirs) for child, ours, theirs in zip(node.children, config, state, strict=True)
    )


def _overlaid(node: Node, config: Value, state: Value) -> Value:
    if state is None:
        return config
    if not node.config:
        return state
    if node.kind is Kind.CONTAINER:
        if config is None and node.presence:
            return None
        merged = overlay(node, node.blank if config is None else config, state)
        return merged if merged != node.blank or node.presence else None
    if node.kind is Kind.LIST:
        by_keys = {node.key_of(entry): entry for entry in state}
        shown = [overlay(node, entry, by_keys.pop(node.key_of(entry), node.blank)) for entry in config or ()]
        return tuple(shown + [entry for entry in by_keys.values() if _made_by_station(node, entry)]) or None
    return state if config is None else config


def _made_by_station(node: Node, entry: Branch) -> bool:
    """Whether the station made an entry that nobody configured: it has more than state nodes."""
    return any(
        child.config and not child.is_branch and not child.is_key and value is not None
        for child, value in zip(node.children, entry, strict=True)
    )


def _union(node: Node, first: Branch, second: Branch) -> Branch:
    return tuple(_united(child, a, b) for child, a, b in zip(node.children, first, second, strict=True))


def _united(node: Node, first: Value, second: Value) -> Value:
    if first is None or second is None:
        return first if second is None else second
    if node.kind is Kind.CONTAINER:
        return _union(node, first, second)
    if node.kind is Kind.LIST and node.keys:
        entries = {node.key_of(entry): entry for entry in first}
        for entry in second:
            known = entries.get(node.key_of(entry))
            entries[node.key_of(entry)] = entry if known is None else _union(node, known, entry)
        return tuple(entries.values())
    return second


def _built(node: Node, values: Iterable[tuple[Path, StateValue]], keys: tuple[str, ...] = ()) -> Branch:
    """A branch with these values at paths below it; a list is set whole or entry by entry."""
    branch = [*keys, *node.blank[len(keys) :]]
    deeper: dict[Step, list[tuple[Path, StateValue]]] = {}
    for path, value in values:
        if len(path) == 1:
            child = child_node(node, _name(path[0]))
            branch[child.index] = _value(child, value)
        else:
            deeper.setdefault(path[0], []).append((path[1:], value))
    for step, below in deeper.items():
        child = child_node(node, _name(step))
        if child.kind is Kind.CONTAINER:
            branch[child.index] = _built(child, below)
        else:
            branch[child.index] = (*(branch[child.index] or ()), _built(child, below, _keys(child, step)))
    return tuple(branch)


def _name(step: Step) -> str:
    return step if isinstance(step, str) else step[0]


def _keys(node: Node, step: Step) -> tuple[str, ...]:
    if node.kind is not Kind.LIST or isinstance(step, str) or len(step) != len(node.keys) + 1:
        raise KeyError(f"{step} is no container and no list entry with its {len(node.keys)} keys")
    return tuple(_text(node.children[index], key) for index, key in zip(node.keys, step[1:], strict=True))


def _value(node: Node, value: StateValue) -> Value:
    if node.kind is Kind.LEAF:
        return _text(node, value)
    if node.kind is Kind.LEAF_LIST:
        return tuple(_text(node, item) for item in _sequence(node, value)) or None
    if node.kind is Kind.CONTAINER:
        return _branch(node, value)
    return tuple(_branch(node, item) for item in _sequence(node, value)) or None


def _text(node: Node, value: object) -> str:
    if node.type is None or not isinstance(value, str):
        raise TypeError(f"{node.name} takes text, not {value!r}")
    return node.type.canonical(value)


def _sequence(node: Node, value: StateValue) -> Sequence[Any]:
    if isinstance(value, str | Mapping):
        raise TypeError(f"{node.name} takes a sequence, not {value!r}")
    return value


def _branch(node: Node, value: object) -> Branch:
    if not isinstance(value, Mapping):
        raise TypeError(f"{node.name} takes a mapping, not {value!r}")
    for name in value:
        child_node(node, name)
    return tuple(_value(child, value[child.name]) if child.name in value else None for child in node.children)
