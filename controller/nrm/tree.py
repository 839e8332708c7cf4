"""Device trees: the managed nodes of one device as a flat, keyed, ordered mapping.

A tree maps the path of every list entry (a managed object or an entry of an attribute list) to
its leaves. Paths read like ``/ManagedElement[PE-CUS-0042]/ENBFunction[1]/EUtranCellFDD[1]/plmnIdList[716,15]``:
names without namespaces (the profile's schema knows them), keys in the schema's order, each key
percent-encoded where it holds one of ``/ [ ] , %``. The ``attributes`` container of 3GPP classes
is not part of the path, since every class has it; the schema puts it back on the wire. What stands at the top of
the data tree beside the root has a path of its own (``/NRNetwork[minka]``): it does not go with the root.

The order of entries in the mapping is the order on the device; it matters for lists that are
ordered by user, and only there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

from controller.models.alarm import LETTERS, ActiveAlarm, AlarmRecord
from controller.models.behaviour import TRUSTED, Behaviour
from controller.models.cloud import ClusterState
from controller.models.errors import DeviceRefusedError
from controller.models.many import first_names

#: Path of a list entry, canonical text form.
Path = str
#: Leaf name, relative to the entry.
LeafName = str
#: Canonical text of a leaf's value; a tuple for a leaf-list.
Value = str | tuple[str, ...]
Leaves = Mapping[LeafName, Value]
#: A device tree. Keys of list entries are in the path and never repeated among the leaves.
Tree = Mapping[Path, Leaves]
#: Who else wrote leaves, by path of the entry and leaf (``Observed.writers``).
Writers = Mapping[Path, Mapping[LeafName, str]]


def child(parent: Path, name: str, *keys: str) -> Path:
    """Path of the entry ``name[keys]`` below ``parent`` (an empty string is the root)."""
    return f"{parent}/{name}[{_encoded(keys)}]"


#: What is escaped in a distinguished name, and how: characters by which it ends or is quoted, and spaces at the ends.
_ESCAPED, _BEHIND = re.compile(r'[,\\"]|\A | \Z'), r"\\\g<0>"
#: What makes a distinguished name one that is not only cut at its commas.
_SPECIAL = re.compile(r'[\\"]')
#: A relative name whose id is quoted (RFC 2253 §4); any other, up to the next comma that is not escaped.
_QUOTED = re.compile(r'([^=,\\"]*)=\s*"([^"\\]*(?:\\.[^"\\]*)*)"\s*(,|\Z)', re.DOTALL)
_UNQUOTED = re.compile(r"([^,\\]*(?:\\.?[^,\\]*)*)(,|\Z)", re.DOTALL)
#: What stands for something else in an id: bytes of UTF-8, or a special character (RFC 4514 §3).
_PAIR = re.compile(r'((?:\\[0-9A-Fa-f]{2})+)|\\([,+"\\<>;=# ])')
_SAFE = " !\"#$&'()*+-.:;<=>?@\\^_`{|}~"
#: A key in which nothing is encoded, as nearly all are. To look takes little longer than to remember, and keeps nothing
#: of what others say.
_is_plain = re.compile(r"[ -$&-+\-.0-Z\\^-~]*").fullmatch
#: Most characters of a key, and of a name that is only shown: a path is repeated in all paths below it.
LONGEST_KEY = 255
#: Most characters of a distinguished name, or of a path that others give as an object: as many as an alarm keeps of any
#: text. A longer one is no object.
LONGEST_NAME = LETTERS


def _encoded(keys: tuple[str, ...]) -> str:
    if len(keys) == 1 and _is_plain(keys[0]):  # as nearly always
        return keys[0]
    return ",".join([key if _is_plain(key) else quote(key, safe=_SAFE) for key in keys])


def name_of(path: Path) -> str:
    """Distinguished name of the object at a path (TS 32.300); special characters of a key are escaped (RFC 4514)."""
    return name_with(_names_of(path))


def name_with(names: Iterable[tuple[str, str]]) -> str:
    """The distinguished name with these classes and ids; the reverse of ``names_in``."""
    return ",".join(f"{kind}={_ESCAPED.sub(_BEHIND, key)}" for kind, key in names)


def names_in(distinguished_name: str) -> tuple[tuple[str, str], ...]:
    """Class and id of each object that a distinguished name leads through (TS 32.300, RFC 4514), from the top.

    A comma that is escaped or quoted is part of its id. A part without ``=`` is a class without an id. Where a
    quotation has no end nobody knows where the id ends: then the name is none, and this is empty.
    """
    if not _SPECIAL.search(distinguished_name):  # as nearly always
        parts = (part.partition("=") for part in distinguished_name.split(","))
        return tuple((kind.strip(), key.strip()) for kind, _, key in parts)
    found: list[tuple[str, str]] = []
    at, separator = 0, ","
    while separator:
        if quoted := _QUOTED.match(distinguished_name, at):
            (kind, key, separator), at = quoted.groups(), quoted.end()
        elif unquoted := _UNQUOTED.match(distinguished_name, at):
            (part, separator), at = unquoted.groups(), unquoted.end()
            kind, _, key = part.partition("=")
            key = _without_spaces(key)
            if key.startswith('"'):
                return ()
        found.append((kind.strip(), _PAIR.sub(_meant, key)))
    return tuple(found)


def _without_spaces(key: str) -> str:
    """An id as it is written, without spaces around it; one that is escaped belongs to it."""
    key = key.lstrip()
    bare = key.rstrip()
    ends_escaped = bare != key and (len(bare) - len(bare.rstrip("\\"))) % 2
    return key[: len(bare) + 1] if ends_escaped else bare


def _meant(pair: re.Match[str]) -> str:
    if pair[2]:
        return pair[2]
    try:
        return bytes.fromhex(pair[1].replace("\\", "")).decode()
    except UnicodeDecodeError:
        return pair[0]


def leads_to(distinguished_name: str, path: Path) -> bool:
    """Whether a distinguished name, which may begin above what the device knows, is that of the object at a path."""
    names = _names_of(path)
    return names_in(distinguished_name)[-len(names) :] == names


def leads_through(distinguished_name: str, path: Path) -> bool:
    """Whether a distinguished name, which may begin above, is that of the object at a path or of one below it."""
    names, all_names = _names_of(path), names_in(distinguished_name)
    return any(all_names[at : at + len(names)] == names for at in range(len(all_names)))


def _names_of(path: Path) -> tuple[tuple[str, str], ...]:
    return tuple((name, keys[0]) for name, keys in steps(path))


def path_of(distinguished_name: str) -> Path:
    """Path of the object with a distinguished name (TS 32.300), below its managed element; empty if it names none.

    Objects above the managed element (``SubNetwork``) are in no tree, nor is one whose name ``is_too_long``.
    """
    known = _short_names_in(distinguished_name)
    start = next((at for at, (kind, key) in enumerate(known) if kind == "ManagedElement" and key), None)
    if start is None or not all(kind.isidentifier() and key for kind, key in known[start:]):
        return ""
    return "".join(child("", kind, key) for kind, key in known[start:])


def _short_names_in(distinguished_name: str) -> tuple[tuple[str, str], ...]:
    """Its names, as ``names_in``; none if it ``is_too_long``."""
    if len(distinguished_name) > LONGEST_NAME:
        return ()
    names = names_in(distinguished_name)
    return () if len(distinguished_name) > LONGEST_KEY and _has_long_part(names) else names


def is_too_long(distinguished_name: str) -> bool:
    """Whether a distinguished name, or a key in it, is longer than that of any object."""
    if len(distinguished_name) <= LONGEST_KEY:
        return False
    return len(distinguished_name) > LONGEST_NAME or _has_long_part(names_in(distinguished_name))


def _has_long_part(names: Iterable[tuple[str, str]]) -> bool:
    return any(len(key or kind) > LONGEST_KEY for kind, key in names)


def written_by(writers: Writers, path: Path, name: LeafName) -> str:
    """Who else wrote a leaf, as it stands in brackets behind the value; empty where nobody is known."""
    writer = writers.get(path, {}).get(name)
    return f" (written by {writer})" if writer else ""


def parent(path: Path) -> Path:
    """Path of the enclosing entry; empty at the top."""
    return path[: path.rindex("/")]


def step(path: Path) -> tuple[str, tuple[str, ...]]:
    """Name and keys of the last entry of a path."""
    name, _, keys = path[path.rindex("/") + 1 : -1].partition("[")
    return name, _decoded(keys)


def steps(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Names and keys from the top down."""
    for part in path.split("/")[1:]:
        name, _, keys = part[:-1].partition("[")
        yield name, _decoded(keys)


def _decoded(keys: str) -> tuple[str, ...]:
    return tuple(map(unquote, keys.split(","))) if "%" in keys else tuple(keys.split(","))


def class_of(path: Path) -> str:
    """Name of the last entry of a path."""
    at = path.rindex("/") + 1
    return path[at : path.index("[", at)]


#: Most nodes of a device, and most characters of all their paths: devices are not trusted.
MOST_NODES, MOST_LETTERS = 50_000, 8 << 20


@dataclass(slots=True)
class NodeCount:
    """Counts the nodes of a device while they are read."""

    device: str
    nodes: int = 0
    letters: int = 0

    def add(self, path: Path) -> None:
        """Count a node.

        Raises:
            DeviceRefusedError: There are more than any device has.
        """
        self.nodes += 1
        self.letters += len(path)
        if self.nodes > MOST_NODES or self.letters > MOST_LETTERS:
            raise DeviceRefusedError(
                f"{self.device} lists more than {MOST_NODES} nodes, or {MOST_LETTERS} characters of their names"
            )


def shortened(name: str) -> str:
    """A device's name for a node, as it is shown."""
    return name if len(name) <= LONGEST_KEY else f"{name[:LONGEST_KEY]}…"


def within_root(path: Path) -> Path:
    """A path without its first step, which people know already; one at the top of the data tree as it is."""
    return path.partition("]/")[2] or path


def nodes_named(paths: Iterable[Path]) -> str:
    """The first few of these paths below their root, each once, for people."""
    return first_names(list(dict.fromkeys(map(within_root, paths))))


def is_below(path: Path, ancestor: Path) -> bool:
    """Whether ``path`` is ``ancestor`` or lies below it."""
    return path == ancestor or path.startswith(ancestor + "/")


def shared(tree: Tree, before: Tree) -> Tree:
    """The same tree, sharing equal parts with an earlier one to save memory."""
    if list(tree) != list(before):
        return tree
    return {path: old if old == new else new for (path, old), new in zip(before.items(), tree.values(), strict=True)}


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Observed:
    """What a device reports of itself.

    Attributes:
        tree: Managed configuration nodes, in device order, canonical values.
        state: Read-only leaves (operational and cell states …) by the path of their entry.
        unknown: Paths or qualified names of nodes below managed nodes that the profile does not know.
        spelled: Keys as the device writes them, of entries where that is not the canonical form (``sd`` as 00:00:d1):
            an edit must name the entry by its own spelling.
        alarms: Its active alarms, where it lists them.
        records: Its AlarmList; None where it has none, or does not keep it (locked or disabled): what it then lists,
            and what it does not, means nothing.
        lacks: Names of nodes below the managed element that it can't have, since it lacks a feature of its module; of
            leaves of such nodes as ``GNBCUCPFunction/intrasystemANRManagementSwitch``.
        dark: Paths of what could not be read, with all below it, and why: nobody knows whether it is there.
        writers: Leaves that somebody else wrote, by the path of their entry, and who did; where the device tells.
        tries: Whether it says beforehand which edits it would refuse (``DeviceSession.edit``).
        cluster: Nodes and pods of a pool; None of all else.
        behaviour: Whether its confirmed commit can be trusted, as far as that is known; see ``reverts``.
        inputs: Its external inputs by name, and whether the circuit of each is open; those that it does not tell are
            missing.
    """

    tree: Tree
    state: Tree = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    spelled: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)
    alarms: tuple[ActiveAlarm, ...] = ()
    records: tuple[AlarmRecord, ...] | None = None
    tries: bool = False
    behaviour: Behaviour = TRUSTED
    lacks: frozenset[str] = frozenset()
    dark: Mapping[Path, str] = field(default_factory=dict)
    writers: Writers = field(default_factory=dict)
    cluster: ClusterState | None = None
    inputs: Mapping[str, bool] = field(default_factory=dict)

    def reverts(self, phases: int) -> bool:
        """Whether it takes a change with this number of phases back by itself where nobody confirms."""
        return self.behaviour.guards(phases)

    def unseen(self, *paths: Path) -> str:
        """Why it is unknown whether an entry exists, for one such entry; empty if all is known."""
        if not self.dark:  # as nearly always
            return ""
        return next((reason for path in paths for dark, reason in self.dark.items() if is_below(path, dark)), "")


def with_unknown(seen: Observed, others: Iterable[str]) -> Observed:
    """A reading with further nodes that the profile does not know; the same object if it has them all."""
    unknown = tuple(dict.fromkeys((*seen.unknown, *others)))
    return seen if unknown == seen.unknown else replace(seen, unknown=unknown)
