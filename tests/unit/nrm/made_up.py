"""A profile whose names share nothing with those that are shipped: only its roles tell the engine what to do with it.

It is the LTE profile with every name of nodes, keys and leaves spelled otherwise, so that whatever the engine makes of
a station under one profile must be what it makes of it under the other, but for names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from controller.models.network import PROFILE_RATS, Network
from controller.nrm.profiles import PROFILES, lookup, register
from controller.nrm.profiles.base import Output, Profile, StationFacts
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import Leaves, Path
from tests.unit.plan import samples

NAME = "made-up"
_LTE = PROFILES["lte-28658"]
_STEP = re.compile(r"/(?!ManagedElement\b)(\w+)(?=\[)")


def other(name: str) -> str:
    """A name, spelled otherwise."""
    return f"x{name[::-1]}"


def renamed(path: Path) -> Path:
    """A path of the LTE profile as the made-up one has it."""
    return _STEP.sub(lambda step: f"/{other(step[1])}", path)


def leaves(found: Leaves) -> Leaves:
    """Leaves of the LTE profile as the made-up one has them."""
    return {other(name): value for name, value in found.items()}


def _node(spec: NodeSpec) -> NodeSpec:
    return replace(
        spec,
        name=other(spec.name),
        namespace="urn:example:made-up",
        keys=tuple(map(other, spec.keys)),
        key_normalisers={other(key): normalise for key, normalise in spec.key_normalisers.items()},
        leaves=tuple(replace(leaf, name=other(leaf.name)) for leaf in spec.leaves),
        children=tuple(map(_node, spec.children)),
    )


def _render(facts: StationFacts, element: Path, out: Output) -> None:
    lte = Output(out.station)
    _LTE.render(facts, element, lte)
    out.tree |= {renamed(path): dict(leaves(found)) for path, found in lte.tree.items()}
    out.owners |= {renamed(path): owners for path, owners in lte.owners.items()}
    out.findings += lte.findings


PROFILE = Profile(
    name=NAME,
    rat=_LTE.rat,
    functions=tuple(map(_node, _LTE.functions)),
    links=_LTE.links,
    render=_render,
    cell_path=lambda element, cell, band: renamed(_LTE.cell_path(element, cell, band)),
)


@contextmanager
def known() -> Iterator[None]:
    """Make the profile known meanwhile."""
    tables: tuple[dict[str, Any], ...] = (PROFILES, PROFILE_RATS, lookup._NODES, lookup._CELL_STEPS)
    before = [dict(table) for table in tables]
    register(PROFILE)
    yield
    for table, content in zip(tables, before, strict=True):
        table.clear()
        table.update(content)


def network(profile: str, *tenants: str, pci: int = 0, max_share: int = 80) -> Network:
    """Two stations of one LTE cell each, in one tracking area."""
    whole = samples.network(tenants)
    made = whole.model_dump(mode="json")
    stations = [station | {"profiles": [profile]} for station in made["stations"]]
    cells = [cell | ({"pci": pci} if pci else {}) for cell in made["cells"] if cell["rat"] == "LTE"]
    shares = [{"dedicated": 5, "min": 20, "max": max_share}]
    agreements = [agreement | {"shares": shares} for agreement in made["agreements"]]
    return Network.model_validate(made | {"stations": stations, "cells": cells, "agreements": agreements})
