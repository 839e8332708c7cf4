"""Warnings about the network as a whole stand in plans of the devices that they concern; of others they are counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from controller.intent import compile_intent
from controller.models.network import Network
from controller.plan import PlanOptions, StationView, make_plan, plan_from_json, plan_to_json
from tests.unit.intent.test_checks import TODAY, Draft, sound
from tests.unit.plan.samples import NOW


def apart() -> Draft:
    """S1 stands here, S2 in another region; tenants a and b are on both, c has no agreement."""
    draft = sound()
    draft["regions"].append({"id": "there", "name": "There"})
    draft["sites"].append(draft["sites"][0] | {"id": "shore", "region": "there"})
    draft["stations"][1]["site"] = "shore"
    return draft


def _agreement(draft: Draft, scope: dict[str, Any], **changes: Any) -> None:
    draft["agreements"].append(draft["agreements"][1] | {"id": "b-more", "scope": scope} | changes)


def _expired(draft: Draft) -> None:
    _agreement(draft, {"regions": ["there"]}, validity={"start": "2020-01-01", "end": "2021-01-01"})


def _no_such_band(draft: Draft) -> None:
    _agreement(draft, {"regions": ["there"], "bands": ["B1"]})


def _small_link(draft: Draft) -> None:
    links = [("core", "fibre", 10_000, None), ("far", "satellite", 20, "core"), ("near", "fibre", 900, "core")]
    draft["backhaul"] = [
        {"id": name, "kind": kind, "capacity_mbps": mbps, "parent": parent} for name, kind, mbps, parent in links
    ]
    for site, link in zip(draft["sites"], ("near", "far"), strict=True):
        site["backhaul"] = link


def _link_above(draft: Draft) -> None:
    """No station stands at the link that is too small: the traffic of S2 comes from below."""
    _small_link(draft)
    draft["backhaul"][1]["parent"] = "hub"
    draft["backhaul"][1]["capacity_mbps"] = 900
    draft["backhaul"].append({"id": "hub", "kind": "microwave", "capacity_mbps": 50, "parent": "core"})


def _same_vlan(draft: Draft) -> None:
    for agreement in draft["agreements"]:
        agreement["scope"] = {"sites": ["shore"]}
    draft["tenants"][1]["core"]["vlan"] = draft["tenants"][0]["core"]["vlan"]
    _agreement(draft, {"stations": ["S1"]}, tenant="c")  # a third tenant is here, so that the cells here have a PLMN


def _unknown_neighbour(draft: Draft) -> None:
    draft["neighbours"] = [{"station": "S2", "cell": "lte", "neighbour_station": "S9", "neighbour_cell": "lte"}]


ELSEWHERE = {
    "agreement-expired": _expired,
    "agreement-matches-nothing": _no_such_band,
    "backhaul-capacity": _small_link,
    "vlan-used-twice": _same_vlan,
    "neighbour-dangling": _unknown_neighbour,
}


def told(draft: Draft, *devices: str) -> tuple[set[str], int]:
    made = compile_intent(Network.model_validate(draft), TODAY, devices)
    return {one.code for one in made.findings if one.severity == "warning"}, made.elsewhere


@pytest.mark.parametrize(("code", "spoil"), [*ELSEWHERE.items(), ("backhaul-capacity", _link_above)])
def test_a_warning_stands_where_a_station_is_that_it_concerns(code: str, spoil: Callable[[Draft], object]) -> None:
    draft = apart()
    spoil(draft)
    here, others = told(draft, "S1")
    assert (code not in here, others) == (True, 1)
    for devices in (("S2",), ("S1", "S2")):
        there, others = told(draft, *devices)
        assert (code in there, others) == (True, 0)


def _of_nowhere(draft: Draft) -> None:
    _agreement(draft, {"regions": ["atlantis"]})


def _at_a_station_of_nowhere(draft: Draft) -> None:
    own = {"tenant": "b", "station": "S9", "cell": "lte", "tac": 9, "node_id": 9, "node_id_length": 20, "local_id": 1}
    draft["own_cells"] = [own]


def _of_all(draft: Draft) -> None:
    _agreement(draft, {"everywhere": True}, validity={"start": "2020-01-01", "end": "2021-01-01"})


@pytest.mark.parametrize(("spoil", "codes"), [(_of_nowhere, 2), (_of_all, 1), (_at_a_station_of_nowhere, 1)])
def test_a_warning_that_may_concern_any_device_stands_in_every_plan(
    spoil: Callable[[Draft], object], codes: int
) -> None:
    """A region that no file has may be meant to be any."""
    draft = apart()
    spoil(draft)
    here, others = told(draft, "S1")
    assert (len(here - told(apart(), "S1")[0]), others) == (codes, 0)


def test_for_a_pool_all_warnings_are_told() -> None:
    """No station is behind it by the files: any agreement may have bought a part of it."""
    draft = apart()
    _expired(draft)
    draft["pools"] = [
        {"id": "edge", "where": "edge", "region": "here", "address": "e", "authority": "ca", "credential": "token"}
    ]
    found, others = told(draft, "edge")
    assert ("agreement-expired" in found, others) == (True, 0)


def test_a_plan_has_the_number_of_other_warnings_and_keeps_it() -> None:
    draft = apart()
    _expired(draft)
    network = Network.model_validate(draft)
    made = {
        name: make_plan(
            network, "", compile_intent(network, TODAY, [name]), {name: StationView(None, False)}, PlanOptions(), NOW
        )
        for name in ("S1", "S2")
    }
    assert {name: one.elsewhere for name, one in made.items()} == {"S1": 1, "S2": 0}
    assert b'"elsewhere"' not in plan_to_json(made["S2"])
    assert plan_from_json(plan_to_json(made["S1"])) == made["S1"]
