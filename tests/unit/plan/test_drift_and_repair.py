"""Drift, adoption, and the repair of a core link."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from controller.models.errors import NotFoundError, PlanRefusedError
from controller.models.facts import Severity
from controller.models.network import Network
from controller.models.plan import PhaseKind
from controller.nrm.apply import apply_edits
from controller.nrm.diff import plmn_part
from controller.nrm.fingerprint import matches
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Observed, parent
from controller.plan import (
    PlanOptions,
    StationPlan,
    adopted_nodes,
    applied,
    carried_nodes,
    displaced_primaries,
    drift,
    drifted_nodes,
    ledger_nodes,
    plan_station,
    recreate_endpoints_change,
)
from controller.plan.edits import first_entries
from controller.plan.inputs import StationView
from controller.runs.transaction.effects import effects
from tests.unit.plan.samples import LTE, LTE_CELL, NR_CELL, PROFILES, carrying, ledger, network, rendered, view

TWO = network()
ROOT = root_spec(PROFILES)
LINK = f"{LTE}/EP_S1C[alfa-mme]"


def test_a_station_as_it_should_be_has_no_drift() -> None:
    assert drift(ROOT, rendered(TWO), view(TWO)) == ()
    assert drift(ROOT, rendered(TWO), replace(view(TWO), observed=None)) == ()


def test_what_was_applied_names_plmns_on_air_in_the_order_of_intent_and_not_of_their_numbers() -> None:
    three = network(("alfa", "beta", "gamma")).model_dump()
    for tenant, plmns in zip(three["tenants"], (["716-01"], ["716-09", "716-08"], ["716-00"]), strict=True):
        slices = [{"sst": sst, "sd": sd} for sst, sd in ((1, "000002"), (2, "000001"))]
        tenant |= {"plmns": plmns, "slices": slices}
    for agreement in three["agreements"]:
        agreement["shares"] = [{"dedicated": 0, "min": 0, "max": 80}]
    net = Network.model_validate(three)
    wanted, known = rendered(net).tree, applied(dict(sorted(ledger(net).items()))).tree
    lists = ("/plmnIdList[", "/pLMNInfoList[")
    on_air = [[plmn_part(path) for path in tree if any(one in path for one in lists)] for tree in (wanted, known)]
    first, then = (list(dict.fromkeys(order)) for order in on_air)
    assert first == then == ["716,01", "716,08", "716,09", "716,00"]


def _beta_first(there: StationView, by: tuple[str, str] = ("716,02", "716,02,000002,1")) -> StationView:
    """What a foreign client leaves that puts another PLMN first in the lists of both cells (RFC 6020 §7.8.6)."""
    assert there.observed
    seen = there.observed.tree
    paths = (f"{LTE_CELL}/plmnIdList[{by[0]}]", f"{NR_CELL}/pLMNInfoList[{by[1]}]")
    moved = {path: seen.get(path, {}) for path in paths}
    tree = {**moved, **{path: leaves for path, leaves in seen.items() if path not in moved}}
    return replace(there, observed=replace(there.observed, tree=tree))


def test_another_primary_plmn_is_drift_with_the_way_back() -> None:
    """It forms the global cell identity, so that no repair changes it: a person has to."""
    there = _beta_first(view(TWO))
    assert there.observed
    known = applied(there.ledger)
    assert set(drifted_nodes(ROOT, known, there.observed)) == {
        f"{LTE_CELL}/plmnIdList[716,01]",
        f"{NR_CELL}/pLMNInfoList[716,01,000001,1]",
    }
    after = "716-01; change-primary-plmn puts it first"
    assert {(one.cell, one.what, one.before, one.after) for one in drift(ROOT, known, there)} == {
        ("L1", "cell L1: primary PLMN", "716-02", after),
        ("N1", "cell N1: primary PLMN", "716-02", after),
    }


def test_a_primary_plmn_behind_one_of_nobody_waits_until_that_has_gone() -> None:
    there = _beta_first(view(TWO), ("999,99", "999,99,000001,1"))
    rows = {(one.what, one.before, one.after) for one in drift(ROOT, applied(there.ledger), there)}
    assert ("cell L1: primary PLMN", "999-99", "716-01; once 999-99, which is not ours, is gone") in rows


def _repaired(there: StationView) -> StationPlan:
    """What a repair plans for the station."""
    return plan_station("S1", PROFILES, applied(there.ledger), there, PlanOptions(automatic=True))


def test_a_repair_leaves_a_displaced_primary_plmn_where_it_is_and_brings_back_all_else() -> None:
    share = f"{LTE_CELL}/plmnRadioShareList[716,02]"
    there = _beta_first(view(TWO, edit={LTE: {"eNBName": "x"}, share: None}))
    made = _repaired(there)
    assert made.change is not None
    (phase,) = made.change.phases
    assert (phase.kind, {edit.path for edit in phase.edits}) == (PhaseKind.EDIT, {LTE, share}), "nothing is locked"
    assert [(one.code, one.severity, one.cell, one.message) for one in made.findings] == [
        (
            "primary-plmn-change",
            Severity.WARNING,
            cell,
            f"S1: {name}: 716-02 stands first where the primary 716-01 has to; change-primary-plmn puts it first",
        )
        for cell, name in (("L1", "PLMN 716-01"), ("N1", "PLMN and slice 716-01 slice 1-000001"))
    ]
    assert there.observed
    after = replace(there.observed, tree=apply_edits(ROOT, there.observed.tree, phase.edits))
    known = applied(there.ledger)
    assert displaced_primaries(ROOT, known, after) == displaced_primaries(ROOT, known, there.observed) != ()
    assert drifted_nodes(ROOT, known, after, repairable=True) == ()
    assert len(drifted_nodes(ROOT, known, after)) == 2, "it is drift all the same"


@pytest.mark.parametrize(
    ("by", "way"),
    [
        (("716,02", "716,02,000002,1"), "716-02 stands first .*; change-primary-plmn puts it first"),
        (("999,99", "999,99,000001,1"), "a person first has to take 999-99, which is not ours, off the station"),
    ],
)
def test_a_repair_of_a_displaced_primary_plmn_alone_says_who_puts_it_first(by: tuple[str, str], way: str) -> None:
    made = _repaired(_beta_first(view(TWO), by))
    assert made.change is None
    assert re.fullmatch(f"primary-plmn-change: PLMN 716-01: .*{way}", made.reason), made.reason


def test_a_plan_by_the_files_is_still_refused_where_a_primary_plmn_is_displaced() -> None:
    there = _beta_first(view(TWO, edit={LTE_CELL: {"tac": "9"}}))
    made = plan_station("S1", PROFILES, rendered(TWO), there, PlanOptions())
    assert made.change is None
    assert made.reason.startswith("primary-plmn-change: PLMN 716-01: 716-02 would stand first")


def test_the_place_of_a_primary_plmn_that_is_missing_is_no_drift_of_its_own() -> None:
    gone = f"{LTE_CELL}/plmnIdList[716,01]"
    there = view(TWO, edit={gone: None})
    assert there.observed
    assert drifted_nodes(ROOT, applied(there.ledger), there.observed) == (gone,)


def test_a_station_that_is_adopted_with_another_primary_plmn_has_no_drift() -> None:
    """What the files say of it was never applied."""
    there = _beta_first(view(TWO))
    assert there.observed
    ledger = {node.path: node for node in adopted_nodes(ROOT, rendered(TWO), there.observed)}
    assert f"{LTE_CELL}/plmnIdList[716,01]" in ledger
    assert drifted_nodes(ROOT, applied(ledger), there.observed) == ()


def test_drift_lists_missing_changed_unknown_and_orphaned_nodes() -> None:
    share = f"{LTE_CELL}/plmnRadioShareList[716,02]"
    edit = {
        LTE_CELL: {"tac": "9", "administrativeState": "LOCKED"},
        share: None,
        f"{NR_CELL}/pLMNInfoList[999,99,FFFFFF,1]": {},
        f"{LTE_CELL}/plmnIdList[716,03]": {},
        f"{LINK}/localAddress[10.0.0.1,101]": None,
        f"{LINK}/localAddress[10.0.0.1,999]": {},
    }
    mine = view(TWO, edit=edit)
    three = ledger(network(("alfa", "beta", "gamma")))
    seen = replace(mine, ledger={**mine.ledger, **{p: e for p, e in three.items() if "plmnIdList[716,03]" in p}})
    rows = {(row.what, row.before, row.after) for row in drift(ROOT, rendered(TWO), seen)}
    assert rows == {
        ("cell L1: TAC", "9", "7"),
        ("radio share 716-02", "–", "dedicated % 5, minimum % 20, maximum % 80"),
        ("PLMN and slice 999-99 slice 1", "broadcast", "unknown, left alone"),
        ("PLMN 716-03", "broadcast", "nothing asks for it"),
        ("S1 link alfa-mme: local address and VLAN 10.0.0.1 101", "–", "present"),
        ("S1 link alfa-mme: local address and VLAN 10.0.0.1 999", "present", "–"),
    }
    assert mine.observed
    assert set(drifted_nodes(ROOT, rendered(TWO), mine.observed)) == {
        LTE_CELL,
        share,
        f"{LINK}/localAddress[10.0.0.1,101]",
    }


def test_adoption_takes_what_is_wanted_and_there() -> None:
    seen = carrying(TWO, edit={f"{LTE_CELL}/plmnIdList[999,99]": {}, LINK: None})
    paths = {node.path for node in adopted_nodes(ROOT, rendered(TWO), seen)}
    assert paths == {path for path in rendered(TWO).tree if not path.startswith(LINK)}


def test_adoption_leaves_out_what_differs() -> None:
    seen = carrying(TWO, edit={LTE_CELL: {**rendered(TWO).tree[LTE_CELL], "tac": "999"}})
    wanted = rendered(TWO)
    ours = {node.path: node for node in adopted_nodes(ROOT, wanted, seen)}
    assert ours.keys() == set(wanted.tree) - {LTE_CELL}
    assert drifted_nodes(ROOT, applied(ours), seen) == ()


@pytest.mark.parametrize("changed", [{"owners": ("beta",)}, {"leaves": {"tac": "9"}}, {"first": True}, None])
def test_the_ledger_gains_only_what_it_does_not_say_already(changed: dict[str, object] | None) -> None:
    """Where it differs in owners, leaves or place, or says nothing of the node."""
    wanted, seen = rendered(TWO), carrying(TWO)
    known = {node.path: node for node in carried_nodes(ROOT, wanted, {}, seen)[0]}
    assert known.keys() == ledger(TWO).keys()
    assert carried_nodes(ROOT, wanted, known, seen) == ((), ())
    assert not list(ledger_nodes(ROOT, wanted, ledger(TWO)))
    for mine in (known, {path: entry.node for path, entry in ledger(TWO).items()}):
        other = {path: node for path, node in mine.items() if path != LTE_CELL}
        if changed:
            other[LTE_CELL] = mine[LTE_CELL].model_copy(update=changed)
        (node,) = carried_nodes(ROOT, wanted, other, seen)[0] if mine is known else ledger_nodes(ROOT, wanted, other)
        cell = mine[LTE_CELL]
        assert (node.path, node.owners, node.leaves, node.first) == (LTE_CELL, cell.owners, cell.leaves, cell.first)


def test_what_the_station_lost_leaves_the_ledger_and_what_nobody_asked_for_stays_nobodys() -> None:
    known = {node.path: node for node in carried_nodes(ROOT, rendered(TWO), {}, carrying(TWO))[0]}
    seen = carrying(TWO, edit={LINK: None, f"{LTE_CELL}/plmnIdList[999,99]": {}})
    lost = tuple(path for path in known if path.startswith(LINK))
    assert carried_nodes(ROOT, rendered(TWO), known, seen) == ((), lost)


def test_what_was_applied_is_the_ledger_with_parents_and_primaries_first() -> None:
    wanted, mine = rendered(TWO), view(TWO).ledger
    backwards = applied(dict(reversed(list(mine.items()))))
    assert (backwards.tree, backwards.owners) == (wanted.tree, wanted.owners)
    assert first_entries(ROOT, backwards.tree) == first_entries(ROOT, wanted.tree)
    seen: set[str] = {""}
    for path in backwards.tree:
        assert parent(path) in seen
        seen.add(path)


def test_a_link_is_deleted_and_created_again_as_it_was() -> None:
    seen = carrying(TWO)
    change = recreate_endpoints_change("S1", PROFILES, seen, {LINK: ("alfa",)})
    first, second = change.phases
    without = apply_edits(ROOT, seen.tree, first.edits)
    assert set(seen.tree) - set(without) == {path for path in seen.tree if path.startswith(LINK)}
    assert apply_edits(ROOT, without, second.edits) == seen.tree
    assert apply_edits(ROOT, without, first.inverse) == seen.tree
    assert apply_edits(ROOT, seen.tree, second.inverse) == without
    assert [(check.kind, check.path, check.tenant) for check in change.checks] == [("link-up", LINK, "alfa")]
    assert matches(ROOT, seen.tree, change.fingerprint)
    # What came back with the entry was there before, so that a change that was taken back is known for it.
    assert effects(ROOT, change.phases).before_holds(seen.tree)
    assert effects(ROOT, change.phases).after_holds(seen.tree)
    assert not effects(ROOT, change.phases).before_holds(apply_edits(ROOT, without, second.edits[:1]))
    assert change.touched == ("alfa",)
    assert change.outage.seconds
    assert not change.gained
    assert not change.lost


def test_only_core_links_that_nobody_locked_are_recreated() -> None:
    with pytest.raises(NotFoundError):
        recreate_endpoints_change("S1", PROFILES, carrying(TWO), {LTE_CELL: ("alfa",)})
    nobodys = f"{LTE}/Nobodys[1]"
    with pytest.raises(NotFoundError, match="S1 has no core link"):
        recreate_endpoints_change("S1", PROFILES, Observed({nobodys: {}}), {nobodys: ("alfa",)})
    with pytest.raises(NotFoundError):
        recreate_endpoints_change("S1", PROFILES, Observed({}), {LINK: ("alfa",)})
    locked = carrying(TWO, edit={LINK: {"administrativeState": "LOCKED"}})
    with pytest.raises(PlanRefusedError):
        recreate_endpoints_change("S1", PROFILES, locked, {LINK: ("alfa",)})
