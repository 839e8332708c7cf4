"""How far a run reaches, and what refuses it: limits on both sides, several tenants, few and many reasons. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from controller.models.errors import InputError, PlanRefusedError
from controller.models.plan import Change
from controller.models.run import Hold, LedgerBefore, Outcome
from controller.plan import seal
from controller.playbook.engine.plan_section import (
    AGAIN,
    drifted_again,
    expected_stations,
    in_parameters,
)
from controller.playbook.engine.reach import Reach, beyond_tenant, holds_on, reach, refusals
from controller.playbook.language.parameters import Parameter, ParameterType
from controller.playbook.language.playbook import PlanSection, ReachLimits, removals
from controller.playbook.language.registry import ServiceLoss
from controller.store import EndedJob
from tests.support.records import make_change
from tests.unit.plan import samples

NET = samples.network(("alfa", "beta"))
LEDGER = {"S1": samples.ledger(NET)}


def change(station: str, touched: tuple[str, ...] = (), interrupted: tuple[str, ...] = ()) -> Change:
    return make_change(station).model_copy(update={"touched": touched, "interrupted": interrupted})


def test_a_run_without_a_plan_reaches_the_tenants_of_the_ledger_and_one_with_it_those_of_the_plan() -> None:
    without = reach(NET, ["S1"], None, LEDGER)
    assert (without.stations, without.cells, without.tenants) == (1, 2, ("alfa", "beta"))
    changes = [change("S1", ("beta",), ("alfa",))]
    made = seal(created=samples.NOW, network="t", network_digest="d", selector="*", changes=changes)
    assert reach(NET, ["S1"], made, LEDGER).tenants == ("alfa", "beta"), "whom it touches and whom it interrupts"
    only = seal(created=samples.NOW, network="t", network_digest="d", selector="*", changes=[change("S1", ("beta",))])
    assert reach(NET, ["S1"], only, LEDGER).tenants == ("beta",)


def test_a_run_reaches_the_cells_that_its_steps_take_where_all_say_so() -> None:
    (first, _) = (cell.id for cell in NET.cells_by_station["S1"])
    one = ServiceLoss(serving=frozenset({(first, "alfa")}), cells=frozenset({first}))
    assert reach(NET, ["S1"], None, LEDGER, {"S1": one}) == reach(NET, ["S1"], None, LEDGER).model_copy(
        update={"cells": 1, "tenants": ("alfa",)}
    )
    of_host = ServiceLoss(cells=frozenset({first}))
    assert (reach(NET, ["S1"], None, LEDGER, {"S1": of_host}).cells, of_host.tenants) == (1, frozenset())
    any_of_them = one | ServiceLoss(idle=frozenset({(first, "beta")}))
    assert any_of_them.cells is None
    assert reach(NET, ["S1"], None, LEDGER, {"S1": any_of_them}) == reach(NET, ["S1"], None, LEDGER)
    made = seal(created=samples.NOW, network="t", network_digest="d", selector="*", changes=[change("S1", ("beta",))])
    bound = reach(NET, ["S1"], made, LEDGER, {"S1": one})
    assert (bound.cells, bound.tenants) == (2, ("beta",)), "a plan may change more than its steps take"


def test_of_two_stations_each_is_reached_as_far_as_its_own_steps_take_it() -> None:
    first, second = (NET.cells_by_station[station][0].id for station in ("S1", "S2"))
    one, other = (
        ServiceLoss(serving=frozenset({(cell, tenant)}), cells=frozenset({cell}))
        for cell, tenant in ((first, "alfa"), (second, "beta"))
    )
    both = reach(NET, ["S1", "S2"], None, LEDGER, {"S1": one, "S2": other})
    assert (both.stations, both.cells, both.tenants) == (2, 2, ("alfa", "beta"))
    some = reach(NET, ["S1", "S2"], None, LEDGER, {"S1": one})
    assert (some.cells, some.tenants) == (3, ("alfa",)), "all cells of the other one, where nobody has any node"
    turned = reach(NET, ["S1", "S2"], None, LEDGER, {"S2": other})
    assert (turned.cells, turned.tenants) == (3, ("alfa", "beta"))


@pytest.mark.parametrize("what", ["stations", "cells", "tenants", "people"])
def test_a_limit_refuses_what_is_beyond_it_and_not_what_is_at_it(what: str) -> None:
    reached = Reach(stations=3, cells=3, tenants=("a", "b", "c"), people=3)
    assert refusals(ReachLimits.model_validate({f"max_{what}": 3}), reached) == []
    assert refusals(ReachLimits(), reached) == []
    (said,) = refusals(ReachLimits.model_validate({f"max_{what}": 2}), reached)
    assert said == f"it reaches 3 {what}, and guards.max_{what} is 2"


def test_a_plan_of_one_tenant_may_touch_that_one_only() -> None:
    def plan(*changes: Change) -> list[str]:
        made = seal(created=samples.NOW, network="t", network_digest="d", selector="*", changes=changes)
        return beyond_tenant(made, "alfa")

    assert plan(change("S1", ("alfa",)), change("S2", ("alfa",), ("beta",))) == []
    said = plan(change("S1", ("alfa", "beta")), change("S2", ("alfa",)), change("S3", ("gamma",)))
    assert said == [
        "S1: the plan touches nodes of beta, and not only of alfa",
        "S3: the plan touches nodes of gamma, and not only of alfa",
        "first apply what the network files change for beta, gamma, or load them without it",
    ]


@pytest.mark.parametrize(("others", "more"), [(1, 0), (5, 0), (6, 1), (9, 4)])
def test_five_reasons_are_named_and_the_others_counted(others: int, more: int) -> None:
    changes = [change(f"S{number}", (f"tenant-{number}",)) for number in range(others)]
    made = seal(created=samples.NOW, network="t", network_digest="d", selector="*", changes=changes)
    *found, way_out = beyond_tenant(made, "alfa")
    assert way_out.startswith("first apply")
    assert len(found) == min(others, 5) + bool(more)
    assert (found[-1] == f"and {more} more reasons") is bool(more)


def test_a_hold_on_a_station_is_a_reason_and_one_elsewhere_is_none() -> None:
    hold = Hold(id="h-1", target="S1", by="ana", reason="rigger", created=samples.NOW)
    (said,) = holds_on(NET, ["S1"], [hold])
    assert said.startswith("S1: hold on S1 by ana")
    assert holds_on(NET, ["S1"], []) == holds_on(NET, ["S1"], [hold.model_copy(update={"target": "S9"})]) == []


# ------------------------------------------------------------------- the section plan


def section(**more: str) -> PlanSection:
    return PlanSection.model_validate(more)


def numbers(*names: str, kind: ParameterType = ParameterType.INT) -> dict[str, Parameter]:
    return {name: Parameter(type=kind, description="x") for name in names}


def test_a_refusal_says_which_parameters_would_allow_it_where_there_is_one() -> None:
    said = PlanRefusedError(remove={"bitel": 102}, expect_stations=3)
    both = section(remove="{{ owner }}={{ nodes }}", expect_stations="{{ stations }}")
    known = numbers("nodes", "stations", "owner")
    text = known | numbers("owner", kind=ParameterType.STRING)
    assert in_parameters(both, text, said) == " (nodes=102 stations=3)"
    assert in_parameters(both, known, said) == " (stations=3)", "which of two numbers would it be?"
    of_two = PlanRefusedError(remove={"bitel": 102, "entel": 3})
    assert in_parameters(both, text, of_two) == "", "nor of two owners"
    assert in_parameters(section(remove="bitel=1"), text, said) == ""


@pytest.mark.parametrize(
    ("given", "found"), [(3, 3), ("12", 12), (None, None), (True, InputError), ("x", InputError), (1.5, InputError)]
)
def test_an_expected_number_is_a_number(given: object, found: object) -> None:
    asked = section(expect_stations="{{ n }}")
    if found is InputError:
        with pytest.raises(InputError, match="is not a number of devices"):
            expected_stations(asked, {"n": given})  # type: ignore[dict-item]
    else:
        assert expected_stations(asked, {"n": given}) == found  # type: ignore[dict-item]
    assert expected_stations(section(), {}) is None


def test_nodes_to_remove_name_owner_and_number() -> None:
    assert removals("bitel=102 host=3") == {"bitel": 102, "host": 3}
    assert removals("") == {}
    assert removals("bitel=?") == {"bitel": -1}, "it asks for the number, and is refused with it"
    for wrong in ("bitel", "=3", "bitel=", "bitel=-1", "bitel=x", "bitel=1=2"):
        with pytest.raises(InputError, match="does not name owner and number of nodes, as in bitel=102"):
            removals(wrong)
    assert timedelta(days=1) == AGAIN, "as the docs and the playbook repair-drift say"


@pytest.mark.parametrize(
    ("ended", "values", "said"),
    [
        ({"procedure": "repair-drift"}, {"again": False}, True),
        ({"procedure": "repair-drift"}, {"again": None}, True),
        ({"procedure": "repair-drift"}, {"again": True}, False),
        ({"procedure": "restore-config"}, {"again": False}, False),
        ({"procedure": "repair-drift", "station": "S2"}, {"again": False}, False),
    ],
)
async def test_a_node_that_drifts_again_is_repaired_only_where_that_is_asked_for(
    ended: dict[str, str], values: dict[str, bool | None], said: bool
) -> None:
    done = EndedJob(
        run="r-1",
        procedure=ended["procedure"],
        cause="person",
        job="j",
        station="S1",
        finished=samples.NOW,
        outcome=Outcome.SUCCEEDED,
        changes=(make_change(ended.get("station", "S1")),),
        before=LedgerBefore(),
    )
    asked: list[tuple[list[str], timedelta]] = []

    async def ended_jobs(stations: list[str], since: datetime) -> list[EndedJob]:
        asked.append((stations, samples.NOW - since))
        return [done]

    clock = SimpleNamespace(now=lambda: samples.NOW)
    services: Any = SimpleNamespace(clock=clock, store=SimpleNamespace(runs=SimpleNamespace(ended_jobs=ended_jobs)))
    plan = seal(created=samples.NOW, network="t", network_digest="d", selector="*", changes=[make_change("S1")])
    repairs = section(source="applied", again="{{ again }}")
    found = await drifted_again(services, repairs, values, "repair-drift", plan)
    assert len(found) == said
    assert all(one.startswith("S1: ") and "drifted again since run r-1" in one for one in found)
    assert asked == ([] if values["again"] else [(["S1"], timedelta(days=1))])
    assert await drifted_again(services, section(), values, "repair-drift", plan) == [], (
        "a plan of files repairs nothing"
    )
