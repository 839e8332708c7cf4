"""What a version of a network changes against another one: by kind, with counts and the first names."""

from __future__ import annotations

from typing import Any

from controller.inventory.differences import NAMES, Objects, differences
from controller.inventory.parse import KINDS
from controller.models.network import Network
from tests.unit.intent.test_checks import Draft, sound

NOTHING = Objects(count=0, names=())


def between(before: Draft, now: Draft) -> dict[str, tuple[Any, ...]]:
    """Names by kind: added, changed, removed."""
    found = differences(Network.model_validate(before), Network.model_validate(now))
    return {one.kind: (one.added.names, one.changed.names, one.removed.names) for one in found}


def test_objects_are_told_by_the_names_that_the_files_give_them() -> None:
    now = sound()
    now["header"]["name"] = "Renamed"
    now["cells"][0]["pci"] += 100
    now["cells"].append(now["cells"][1] | {"id": "nr-2", "local_id": 2})
    del now["tenants"][2]
    now["agreements"][1]["shares"][0]["min"] = 15
    now["neighbours"] = [{"station": "S1", "cell": "lte", "neighbour_station": "S2", "neighbour_cell": "lte"}]
    assert between(sound(), now) == {
        "network": ((), ("example",), ()),
        "cells": (("S1/nr-2",), ("S1/lte",), ()),
        "tenants": ((), (), ("c",)),
        "agreements": ((), ("b-deal",), ()),
        "neighbours": (("S1/lte/S2/lte",), (), ()),
    }


def test_equal_versions_differ_in_nothing() -> None:
    assert between(sound(), sound()) == {}


def test_of_many_objects_the_first_are_named_and_all_are_counted() -> None:
    now = sound()
    now["regions"] += [{"id": f"r-{n:02}", "name": "R"} for n in range(NAMES + 5)]
    (one,) = differences(Network.model_validate(sound()), Network.model_validate(now))
    assert (one.added.count, one.changed, one.removed) == (NAMES + 5, NOTHING, NOTHING)
    assert one.added.names == tuple(f"r-{n:02}" for n in range(NAMES))


def test_every_kind_of_object_is_compared() -> None:
    """A kind that network files get is told of too: it is compared by the name that they give it."""
    assert {"header", *KINDS} - {"network"} == set(Network.model_fields)
