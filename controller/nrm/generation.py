"""The generation of a station: the fence of its last change, kept on the station itself.

Profiles declare the leaf that carries it. It reveals that a newer record existed than one restored from a backup. It is
written in the same edit as a change, and is no part of the tree: plans, differences and fingerprints ignore it.
"""

from __future__ import annotations

import re

from controller.models.plan import Edit, Op
from controller.models.scalars import HOST
from controller.nrm.schema import LeafSpec, NodeSpec
from controller.nrm.tree import Observed, Path, child

#: It includes the station's name, so that a copied configuration does not count.
_TEXT = re.compile(r"minka ([^ ]+) ([0-9]{1,18})")


def generation_of(root: NodeSpec, observed: Observed, station: str) -> int:
    """The generation that a station carries; 0 if it carries none."""
    found = _TEXT.fullmatch(_text(root, observed, station))
    return int(found[2]) if found and found[1] == station else 0


def generation_edit(root: NodeSpec, observed: Observed, station: str, generation: int) -> tuple[Edit, ...]:
    """The edit that writes a generation into a station; none if no node can carry it, or it has a foreign value."""
    leaf, path, text = _carrier(root), _path(root, station), _text(root, observed, station)
    if leaf is None or path not in observed.tree or (text and not _TEXT.fullmatch(text)):
        return ()
    after = f"minka {station} {generation}"
    return (Edit(op=Op.MERGE, path=path, after={leaf.name: after}, owners=(HOST,)),)


def _carrier(root: NodeSpec) -> LeafSpec | None:
    return next((leaf for leaf in root.leaves if leaf.carrier), None)


def _path(root: NodeSpec, station: str) -> Path:
    return child("", root.name, station)


def _text(root: NodeSpec, observed: Observed, station: str) -> str:
    leaf = _carrier(root)
    value = "" if leaf is None else observed.state.get(_path(root, station), {}).get(leaf.name, "")
    return value if isinstance(value, str) else ""
