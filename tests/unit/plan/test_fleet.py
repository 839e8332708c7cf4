"""Planning many stations: what is refused, what is left out, and how plans are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from controller.cli.plan import allow_words
from controller.models.errors import InputError, PlanRefusedError
from controller.models.facts import Finding, Severity
from controller.models.network import network_digest
from controller.plan import (
    Outline,
    Planning,
    PlanOptions,
    StationView,
    check_removals,
    compare,
    make_plan,
    plan_digest,
    plan_from_json,
    plan_to_json,
    render_text,
)
from controller.plan.fleet import check_changes, check_share
from controller.playbook.engine.plan_section import in_parameters
from controller.playbook.language.parameters import Parameter, ParameterType
from controller.playbook.language.playbook import PlanSection
from tests.unit.plan.samples import FREELY, LTE_CELL, NOW, apply, factory, intent, network, plan, view

TWO = network()
THREE = network(("alfa", "beta", "gamma"))
BOTH = {station: view(TWO, station) for station in ("S1", "S2")}


def test_a_refusal_tells_the_numbers_of_all_owners_at_once() -> None:
    made = plan(THREE, BOTH, FREELY).changes
    gone = [Outline.of(change.model_copy(update={"removes": {"beta": 2, "gamma": 3}})) for change in made]
    with pytest.raises(PlanRefusedError) as refused:
        check_removals(gone, {"alfa": 1})
    said = refused.value.message
    assert (
        "removes no nodes of alfa: the network files still ask for them, or there are none; else leave alfa out; "
        in said
    )
    allow = {"remove": refused.value.remove, "expect_stations": refused.value.expect_stations}
    assert allow_words(allow) == f" (--remove beta={2 * len(gone)} --remove gamma={3 * len(gone)})"
    check_removals(gone, {"beta": 2 * len(gone), "gamma": 3 * len(gone)})


def test_a_refusal_tells_all_that_is_to_be_named() -> None:
    views = {station: view(THREE, station) for station in ("S1", "S2")}
    count = sum("gamma" in entry.owners for v in views.values() for entry in v.ledger.values())
    with pytest.raises(PlanRefusedError) as refused:
        plan(TWO, views, PlanOptions(max_share=0.1, remove={"gamma": 1}))
    assert (refused.value.remove, refused.value.expect_stations) == ({"gamma": count}, 2)
    allow = {"remove": refused.value.remove, "expect_stations": refused.value.expect_stations}
    assert allow_words(allow) == f" (--remove gamma={count} --expect 2)"
    section = PlanSection(remove="gamma=${{ nodes }}", expect_stations="${{ stations }}")
    numbers = {name: Parameter(type=ParameterType.INT, description="A number.") for name in ("nodes", "stations")}
    assert in_parameters(section, numbers, refused.value) == f" (nodes={count} stations=2)"
    assert plan(TWO, views, PlanOptions(max_share=0.1, remove={"gamma": count}, expect_stations=2)).changes


def test_a_station_that_loses_nodes_keeps_no_way_from_those_beside_it() -> None:
    """Ways are a router's: what a station loses is its own."""
    beside = network(stations=[one.model_dump() | {"site": "site-1"} for one in TWO.stations])
    planning = Planning(beside, intent(beside), FREELY)
    planning.add("S1", view(THREE, "S1"))
    assert planning.behind == frozenset()


def test_removal_needs_the_exact_count_and_says_it() -> None:
    views = {station: view(THREE, station) for station in ("S1", "S2")}
    count = sum("gamma" in entry.owners for v in views.values() for entry in v.ledger.values())
    with pytest.raises(PlanRefusedError) as refused:
        plan(TWO, views, replace(FREELY, remove={"gamma": 1}))
    assert f"gamma={count}" in refused.value.message
    assert f"remove {count} nodes of gamma on 2 devices, but 1 were named" in refused.value.message
    with pytest.raises(
        PlanRefusedError, match=f"remove {count} nodes of gamma on 2 devices, but {count + 1} were named"
    ):
        plan(TWO, views, replace(FREELY, remove={"gamma": count + 1}))
    made = plan(TWO, views, replace(FREELY, remove={"gamma": count}))
    assert made.removals == {"gamma": count}
    with pytest.raises(PlanRefusedError, match=r"removes no nodes of gamma: .*leave gamma out"):
        plan(TWO, BOTH, replace(FREELY, remove={"gamma": 4}))
    assert plan(TWO, BOTH, replace(FREELY, remove={"gamma": 0})).removals == {}


@pytest.mark.parametrize("share", [0.1, 1.0])
@pytest.mark.parametrize("gone", [("gamma",), ("beta", "gamma")])
def test_a_plan_tells_what_to_name_so_that_orphans_go(gone: tuple[str, ...], share: float) -> None:
    """The request that it tells is accepted as it is, and nothing is orphaned afterwards."""
    some, less = network(("alfa", "beta", "gamma")), network({"alfa", "beta", "gamma"}.difference(gone))
    views = {station: view(some, station) for station in ("S1", "S2")}
    theirs = {owner: _nodes_of(owner, views) for owner in gone}
    asked = PlanOptions(max_share=share, identities=True)
    made = plan(less, views, asked)
    assert made.orphans is not None
    assert (made.is_empty, made.orphans.nodes, made.orphans.devices) == (True, theirs, 2)
    assert (made.orphans.remove, made.orphans.expect_stations) == (theirs, 2 if share < 1 else None)
    expected = made.orphans.expect_stations
    removal = plan(less, views, replace(asked, remove=made.orphans.remove, expect_stations=expected))
    assert (removal.removals, removal.orphans) == (theirs, None)
    left = {change.station: apply(less, change, views[change.station]) for change in removal.changes}
    assert plan(less, left, asked).orphans is None
    assert plan_from_json(plan_to_json(made)) == made
    assert b'"orphans"' not in plan_to_json(removal)


def test_orphans_of_one_tenant_are_told_where_another_ones_go() -> None:
    """The request names both: what goes already, and what else may."""
    views = {station: view(THREE, station) for station in ("S1", "S2")}
    less = network(("alfa",))
    gamma, beta = _nodes_of("gamma", views), _nodes_of("beta", views)
    asked = replace(FREELY, remove={"gamma": gamma}, identities=True)
    made = plan(less, views, asked)
    assert made.orphans is not None
    assert (made.orphans.nodes, made.orphans.remove) == ({"beta": beta}, {"beta": beta, "gamma": gamma})
    assert plan(less, views, replace(asked, remove=made.orphans.remove)).removals == made.orphans.remove


def test_nothing_is_orphaned_on_a_station_that_is_only_observed_or_out_of_service() -> None:
    here = view(THREE)
    assert plan(TWO, {"S1": replace(here, adopted=False)}).orphans is None
    assert plan(TWO, {"S1": replace(here, retired=NOW)}).orphans is None


def _nodes_of(owner: str, views: Mapping[str, StationView]) -> int:
    return sum(owner in entry.owners for one in views.values() for entry in one.ledger.values())


def test_a_plan_for_much_of_the_network_needs_its_number_named() -> None:
    with pytest.raises(PlanRefusedError, match=r"2 of 2 devices, more than 50%.*expect 2 devices"):
        plan(THREE, BOTH, PlanOptions())
    assert len(plan(THREE, BOTH, PlanOptions(expect_stations=2)).changes) == 2
    with pytest.raises(PlanRefusedError, match="touches 2 devices, but 1 were expected"):
        plan(THREE, BOTH, PlanOptions(expect_stations=1))
    away = replace(view(TWO), observed=None, unreachable="no answer")
    with pytest.raises(PlanRefusedError, match=r"2 were expected \(left out: S2: unreachable: no answer\): find out"):
        plan(THREE, {"S1": view(TWO), "S2": away}, PlanOptions(expect_stations=2))
    assert len(plan(THREE, {"S1": view(TWO)}, PlanOptions()).changes) == 1


def test_contract_errors_keep_their_station_out_only() -> None:
    cells = [cell.model_copy(update={"tac": 65534} if cell.name == "S1/L1" else {}) for cell in THREE.cells]
    broken = THREE.model_copy(update={"cells": tuple(cells)})
    made = plan(broken, BOTH)
    assert made.unplanned["S1"].startswith("contract error tac-range: ")
    assert "more)" not in made.unplanned["S1"]
    assert [change.station for change in made.changes] == ["S2"]


def test_of_several_contract_errors_the_first_is_told() -> None:
    error = Finding("tac-range", Severity.ERROR, "TAC 1", "S1", "L1")
    made = make_plan(THREE, "", replace(intent(THREE), findings=(error, error)), BOTH, FREELY, NOW)
    assert made.unplanned == {"S1": "contract error tac-range: TAC 1 (and 1 more)"}


def test_a_station_that_left_the_files_is_a_finding() -> None:
    made = plan(TWO, {"S9": factory("S9")})
    assert made.unplanned == {"S9": "not in the network files"}
    assert "station-not-in-network" in {finding.code for finding in made.findings}
    assert {finding.kind for finding in made.findings} == {TWO.kind_of("S9")}


def test_a_station_for_which_nothing_is_agreed_any_more_keeps_what_it_has() -> None:
    bare = TWO.model_copy(update={"cells": ()})
    made = plan(bare, {"S1": BOTH["S1"]})
    assert made.is_empty
    assert {finding.tenant for finding in made.findings if finding.code == "orphan"} == {"alfa", "beta", "host"}


def test_equal_content_has_an_equal_id_whenever_it_was_made() -> None:
    first = plan(THREE, BOTH)
    views: dict[str, StationView] = dict(reversed(list(BOTH.items())))
    later = make_plan(THREE, network_digest(THREE), intent(THREE), views, FREELY, NOW + timedelta(days=1))
    assert later.id == first.id
    assert later.created != first.created
    assert plan(THREE, {"S1": BOTH["S1"]}).id != first.id


def test_plans_survive_json_and_tampering_shows() -> None:
    made = plan(THREE, BOTH)
    text = plan_to_json(made)
    assert plan_from_json(text) == made
    assert orjson.loads(text)["id"] == made.id == plan_digest(made)[:12]
    assert text == orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    with pytest.raises(InputError, match="altered"):
        plan_from_json(text.replace(b'"80"', b'"81"'))
    for name in (b"id", b"digest"):
        with pytest.raises(InputError, match="altered"):
            plan_from_json(text.replace(b'"%b":"%b' % (name, made.id.encode()), b'"%b":"%b' % (name, b"0" * 12)))
    with pytest.raises(InputError, match="format 2"):
        plan_from_json(text.replace(b'"format":1', b'"format":2'))
    for broken in (b"{", b"[]", b"{}", text.replace(b'"selector":', b'"selektor":')):
        with pytest.raises(InputError, match="no plan"):
            plan_from_json(broken)


def test_comparison_names_what_differs() -> None:
    one, two = (
        plan(THREE, BOTH),
        plan(THREE, {"S1": BOTH["S1"], "S2": view(TWO, "S2", {LTE_CELL.replace("S1", "S2"): {"tac": "9"}})}),
    )
    assert compare(one, one) == ()
    found = compare(one, two)
    assert {difference.station for difference in found} == {"S2"}
    assert {difference.only_in for difference in found} == {two.id}
    assert any("TAC: 9 → 7" in difference.text for difference in found)
    left_out = compare(one, plan(THREE, {**BOTH, "S2": replace(BOTH["S2"], adopted=False)}))
    assert any("left out: not adopted" in difference.text for difference in left_out)


def test_an_empty_plan_says_so() -> None:
    made = plan(TWO, BOTH)
    assert made.is_empty
    assert render_text(made) == ()


def test_rows_are_plain_words() -> None:
    rows = {
        (row.cell, row.tenant, row.what): (row.before, row.after)
        for row in render_text(plan(THREE, {"S1": BOTH["S1"]}))
    }
    assert rows["L1", "gamma", "PLMN 716-03"] == ("–", "broadcast")
    assert rows["L1", "gamma", "radio share 716-03"] == ("–", "dedicated % 5, minimum % 20, maximum % 80")
    assert rows["", "gamma", "S1 link gamma-mme"][1].startswith(
        "MME address 10.3.0.0; local address and VLAN 10.0.0.1 103"
    )
    locked = plan(TWO, {"S1": view(TWO, edit={LTE_CELL: {"tac": "9"}})})
    assert [(row.what, row.before, row.after) for row in render_text(locked)] == [
        ("cell L1: administrative state", "UNLOCKED", "LOCKED for about 8 s, then as before"),
        ("cell L1: TAC", "9", "7"),
    ]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"created": "x"}, "this is no plan: created: no such time"),
        ({"format": 99}, "plans of format 99 can't be read here, only format 1"),
        ({"selector": "S9"}, "was altered: its content does not have the digest that it names"),
        ({"id": "0"}, "was altered"),
        (None, "it does not name its format"),
    ],
)
def test_what_is_no_plan_of_ours_is_refused_and_named(changed: dict[str, object] | None, why: str) -> None:
    whole = orjson.loads(plan_to_json(plan(THREE, BOTH)))
    with pytest.raises(InputError, match=re.escape(why)):
        plan_from_json(orjson.dumps([] if changed is None else whole | changed))


def outlines(*stations: str, **removes: int) -> list[Outline]:
    return [Outline(station, removes, creates=True, deletes=bool(removes)) for station in stations]


@pytest.mark.parametrize(
    ("count", "options", "refused"),
    [
        (0, PlanOptions(max_share=0.0), False),
        (1, PlanOptions(max_share=0.0), False),
        (2, PlanOptions(max_share=0.0), True),
        (2, PlanOptions(max_share=0.99), True),
        (2, PlanOptions(max_share=1.0), False),
        # The number that is named is the one that counts, not the share.
        (2, PlanOptions(max_share=0.0, expect_stations=2), False),
        (2, PlanOptions(max_share=1.0, expect_stations=1), True),
        (1, PlanOptions(max_share=1.0, expect_stations=2), True),
        (0, PlanOptions(expect_stations=0), False),
        (0, PlanOptions(expect_stations=1), True),
    ],
)
def test_a_plan_touches_no_more_than_its_share_or_the_number_named(
    count: int, options: PlanOptions, refused: bool
) -> None:
    with pytest.raises(PlanRefusedError) if refused else nullcontext():
        check_share(TWO, ("S1", "S2")[:count], options)


def test_a_refusal_names_some_of_the_routers_that_are_left_out() -> None:
    with pytest.raises(PlanRefusedError) as refused:
        check_removals(outlines("S1", "S2", beta=2), {"beta": -1}, ["r1", "r2", "r3", "r4"])
    assert refused.value.message == (
        "the plan would remove 4 nodes of beta on 2 devices, but 0 were named: to allow it, name beta=4; "
        "r1; r2; r3; and 1 more"
    )


@pytest.mark.parametrize("named", [-1, 1])
def test_what_is_named_and_not_removed_is_refused(named: int) -> None:
    with pytest.raises(PlanRefusedError, match="the plan removes no nodes of beta"):
        check_removals(outlines("S1"), {"beta": named})


def test_all_that_is_wrong_with_a_plan_is_told_at_once() -> None:
    with pytest.raises(PlanRefusedError) as refused:
        check_changes(TWO, outlines("S1", "S2", beta=1), PlanOptions(max_share=0.1))
    removals, share = refused.value.message.split("; ")
    assert "name beta=2" in removals
    assert "expect 2 devices" in share
