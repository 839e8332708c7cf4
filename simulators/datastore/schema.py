"""The node table of a station's YANG modules, and the values that instances take in it.

A value is

- of a leaf: its canonical text,
- of a leaf-list: a tuple of such texts,
- of a container or list entry (a *branch*): a tuple with the value of each child node, in the order
  of ``Node.children``, None for an absent one,
- of a list: a tuple of branches.

Nested tuples of strings are immutable and compared and hashed in C; unchanged parts are shared
between all configurations that were edited from one another; and the garbage collector stops
tracking them, so that thousands of stations cost no collector time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulators.datastore.leaftypes import LeafType

#: A value as above; its shape follows from the node.
Value = Any
#: Value of a container or list entry.
Branch = tuple[Value, ...]


class Kind(Enum):
    """Kind of a data node."""

    CONTAINER = "container"
    LIST = "list"
    LEAF = "leaf"
    LEAF_LIST = "leaf-list"


@dataclass(frozen=True, slots=True)
class Must:
    """A must statement; the expression is free of prefixes, as are the trees it is evaluated on."""

    expression: str
    message: str
    app_tag: str


@dataclass(eq=False, slots=True, repr=False)
class Node:
    """One data node of the schema. Nodes are compared by identity and never change once compiled."""

    name: str
    namespace: str
    prefix: str
    kind: Kind
    config: bool
    parent: Node | None
    presence: bool = False
    user_ordered: bool = False
    mandatory: bool = False
    min_elements: int = 0
    max_elements: int | None = None
    default: str | None = None
    type: LeafType | None = None
    musts: tuple[Must, ...] = ()
    children: tuple[Node, ...] = ()
    keys: tuple[int, ...] = ()
    index: int = 0
    by_name: dict[str, Node] = field(default_factory=dict)
    by_tag: dict[str, Node] = field(default_factory=dict)
    blank: Branch = ()
    start: str = ""
    end: str = ""

    def __repr__(self) -> str:
        return f"<Node {self.prefix}:{self.name}>"

    @property
    def tag(self) -> str:
        """Name in Clark notation, as lxml writes it."""
        return f"{{{self.namespace}}}{self.name}"

    @property
    def is_key(self) -> bool:
        """Whether the node is a key leaf of its list."""
        return self.parent is not None and self.index in self.parent.keys

    @property
    def is_branch(self) -> bool:
        """Whether instances have children: a container or list."""
        return self.kind is Kind.CONTAINER or self.kind is Kind.LIST

    def adopt(self, children: list[Node]) -> None:
        """Take the children, key leaves first in the order of the key statement."""
        self.children = tuple(children)
        self.by_name = {child.name: child for child in children}
        self.by_tag = {child.tag: child for child in children}
        self.blank = (None,) * len(children)
        for index, child in enumerate(children):
            child.index = index
            xmlns = "" if child.namespace == self.namespace else f' xmlns="{child.namespace}"'
            child.start = f"<{child.name}{xmlns}>"
            child.end = f"</{child.name}>"

    def key_of(self, entry: Branch) -> tuple[str, ...]:
        """Return the key values of a list entry."""
        return tuple(entry[index] for index in self.keys)

    def position(self, entries: tuple[Branch, ...], keys: tuple[str, ...]) -> int | None:
        """Return where the entry with these keys stands in a list, None when it is absent."""
        for position, entry in enumerate(entries):
            if all(entry[index] == key for index, key in zip(self.keys, keys, strict=True)):
                return position
        return None


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """A YANG module of a station, for hello, yang-library and get-schema.

    ``implemented`` is False for modules that only lend types and groupings. ``deviations`` names the modules that
    deviate this one.
    """

    name: str
    revision: str
    namespace: str
    features: tuple[str, ...]
    source_path: Path
    implemented: bool
    deviations: tuple[str, ...]


@dataclass(eq=False, frozen=True)
class Schema:
    """All data nodes and modules of a kind of station."""

    root: Node
    modules: tuple[ModuleInfo, ...]

    @cached_property
    def namespaces(self) -> frozenset[str]:
        """Namespaces of all modules."""
        return frozenset(module.namespace for module in self.modules)
