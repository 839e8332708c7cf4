"""Fingerprints: whether anything changed that a change edits, or that its checks read.

What a fingerprint covers is named by paths: the path of an entry covers it with all below it
(an absent entry is covered too: it must stay absent), ``<entry>/<leaf>`` covers one leaf. What a
station makes itself inside a cell is not covered, but what anybody puts beside the root is. Only
configuration counts, in its canonical form: a leaf at its default equals an absent one, and order
counts in lists that are ordered by user only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import orjson

from controller.models.plan import Fingerprint
from controller.nrm.diff import effective, settled
from controller.nrm.schema import NodeSpec, self_made, spec_of
from controller.nrm.tree import LeafName, Leaves, Path, Tree, Value, Writers, written_by


def fingerprint(root: NodeSpec, tree: Tree, paths: Iterable[Path]) -> Fingerprint:
    """Fingerprint of the smallest set of ``paths`` that covers all of them."""
    covered = smallest(paths)
    return Fingerprint(paths=covered, digest=_digest(root, tree, covered))


def matches(root: NodeSpec, tree: Tree, expected: Fingerprint) -> bool:
    """Whether a tree still has this fingerprint."""
    return _digest(root, tree, expected.paths) == expected.digest


def differences(
    root: NodeSpec, seen: Tree, expected: Tree, paths: Iterable[Path], writers: Writers = MappingProxyType({})
) -> tuple[str, ...]:
    """Where two trees differ within ``paths``, in words: ``<path> tac: 7 (written by kubectl-edit) instead of 8``.

    A cell that should shut down and is locked does not differ: it has finished shutting down.
    """
    if seen == expected and list(seen) == list(expected):
        return ()
    covered = smallest(paths)
    mine, theirs = _extract(root, seen, covered), _extract(root, expected, covered)
    found = []
    for path in sorted({*mine, *theirs}):
        here, there = mine.get(path), theirs.get(path)
        if here == there:
            continue
        if here is None or there is None:
            found.append(f"{path}: {'missing' if here is None else 'unexpected'}")
            continue
        found.extend(
            f"{path} {name}: {_said(root, path, name, here)}{written_by(writers, path, name)} instead of "
            f"{_said(root, path, name, there)}"
            for name in sorted({*here, *there})
            if not settled(root, path, name, there.get(name), here.get(name))
        )
    if not found and _orders(root, mine) != _orders(root, theirs):
        found.append("the order of a list that is ordered by user")
    return tuple(found)


def _said(root: NodeSpec, path: Path, name: LeafName, leaves: Leaves) -> str:
    """A leaf in words; an absent one shows its default."""
    spec = spec_of(root, path)
    leaf = spec.leaf_by_name.get(name) if spec else None
    return _text(leaves.get(name, leaf.default if leaf else None))


def smallest(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Paths, sorted, without those that another one covers."""
    wanted = set(paths)
    return tuple(sorted(path for path in wanted if not any(above in wanted for above in _ancestors(path))))


def _ancestors(path: Path) -> Iterable[Path]:
    at = path.rfind("/")
    while at > 0:
        yield path[:at]
        at = path.rfind("/", 0, at)


def _digest(root: NodeSpec, tree: Tree, paths: tuple[Path, ...]) -> str:
    entries = _extract(root, tree, paths)
    form = [paths, sorted(entries.items()), _orders(root, entries)]
    return hashlib.sha256(orjson.dumps(form, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _extract(root: NodeSpec, tree: Tree, paths: tuple[Path, ...]) -> dict[Path, dict[LeafName, Value]]:
    """Covered entries with their covered leaves; an absent entry has no item."""
    entire = {path for path in paths if path.endswith("]")}
    leaves: dict[Path, set[LeafName]] = {}
    for path in paths:
        if path not in entire:
            entry, _, leaf = path.rpartition("/")
            leaves.setdefault(entry, set()).add(leaf)
    found: dict[Path, dict[LeafName, Value]] = {}
    for path, values in tree.items():
        above = path[: path.rindex("/")]
        if path in entire or (above in entire and (path.startswith(root.around) or not self_made(root, path))):
            entire.add(path)  # with all below it, which comes later in the tree
            found[path] = effective(root, path, values)
        elif path in leaves:
            found[path] = {k: v for k, v in effective(root, path, values).items() if k in leaves[path]}
    return found


def _orders(root: NodeSpec, entries: Mapping[Path, Any]) -> list[Path]:
    """Covered entries of user-ordered lists, in device order, list by list."""
    ordered = [path for path in entries if (spec := spec_of(root, path)) is not None and spec.user_ordered]
    return sorted(ordered, key=lambda path: path[: path.rindex("[")])


def _text(value: Value | None) -> str:
    return "nothing" if value is None else value if isinstance(value, str) else " ".join(value)
