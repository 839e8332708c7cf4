"""The rules of planning one station, one example each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from controller.models.network import ActionClass, Network
from controller.models.outage import NO_OUTAGE, Outage
from controller.models.plan import Change, Edit, Op, PhaseKind, Plan
from controller.models.run import LedgerBefore, LedgerEntry, Outcome
from controller.nrm.apply import apply_edits, siblings
from controller.nrm.fingerprint import differences, matches
from controller.nrm.profiles import is_reserved, root_spec
from controller.nrm.tree import Leaves, Observed, Path, Tree, Value, child, name_of
from controller.plan import PlanOptions, StationView, adopted_nodes, applied, drifted_nodes, open_plmns_change
from controller.plan.drift import drift
from controller.plan.maintenance import removal_plan
from controller.plan.phases import LINK_SECONDS, RESTART_SECONDS, Locks, outage_seconds
from controller.plan.rows import entry_name
from controller.plan.undo import undo_change
from controller.runs.approval.consent import effect_of
from controller.runs.planning.undo import undo_station
from controller.runs.transaction.effects import effects
from controller.store import EndedJob
from tests.unit.plan.samples import (
    FREELY,
    LTE,
    LTE_CELL,
    NR_CELL,
    PROFILES,
    apply,
    carrying,
    factory,
    ledger,
    network,
    only_change,
    plan,
    rendered,
    states,
    view,
)

TWO = network()
THREE = network(("alfa", "beta", "gamma"))
GAMMA = "716,03"


def kinds(change: Change) -> list[PhaseKind]:
    return [phase.kind for phase in change.phases]


def codes(made: Plan) -> list[str]:
    return [finding.code for finding in made.findings]


# ------------------------------------------------------------------- additions


def test_a_new_tenant_is_one_live_edit_of_its_own_nodes() -> None:
    change = only_change(plan(THREE, {"S1": view(TWO)}))
    assert kinds(change) == [PhaseKind.EDIT]
    assert {owner for edit in change.phases[0].edits for owner in edit.owners} == {"gamma"}
    assert change.touched == ("gamma",)
    assert change.interrupted == ()
    assert not change.outage.interrupts
    assert {check.tenant for check in change.checks if check.kind == "link-up"} == {"gamma"}
    assert {check.path for check in change.checks if check.kind == "cell-on-air"} == {LTE_CELL, NR_CELL}
    assert {node.owners for node in change.gained} == {("gamma",)}


def test_new_plmns_append_and_existing_ones_keep_their_order() -> None:
    before = view(TWO)
    after = apply(THREE, only_change(plan(THREE, {"S1": before})), before)
    assert after.observed
    order = siblings(after.observed.tree, f"{LTE_CELL}/plmnIdList[716,01]")
    assert [path[-7:-1] for path in order] == ["716,01", "716,02", GAMMA]


def test_a_factory_station_gets_its_cells_locked_and_then_unlocked() -> None:
    change = only_change(plan(TWO, {"S1": factory()}))
    assert kinds(change) == [PhaseKind.EDIT, PhaseKind.UNLOCK]
    created = {edit.path: edit.after for edit in change.phases[0].edits}
    assert created[LTE_CELL]["administrativeState"] == "LOCKED"
    assert [wait.kind for wait in change.phases[1].wait] == ["cell-on-air", "cell-on-air"]
    assert not change.outage.interrupts
    assert {check.path for check in change.checks if check.kind == "cell-on-air"} == {LTE_CELL, NR_CELL}


def test_a_new_cell_under_a_hold_stays_locked() -> None:
    options = replace(FREELY, under_hold=frozenset({"S1/L1"}))
    made = plan(TWO, {"S1": factory()}, options)
    change = only_change(made)
    assert [edit.path for edit in change.phases[1].edits] == [NR_CELL]
    assert LTE_CELL not in {check.path for check in change.checks}
    assert "hold" in codes(made)


def test_equal_stations_have_no_change() -> None:
    made = plan(TWO, {"S1": view(TWO)})
    assert made.is_empty
    assert made.unchanged == ("S1",)


# ------------------------------------------------------------------ lock phases


def test_a_carrier_change_locks_edits_and_unlocks() -> None:
    change = only_change(plan(TWO, {"S1": view(TWO, edit={LTE_CELL: {"tac": "9"}})}))
    assert kinds(change) == [PhaseKind.LOCK, PhaseKind.EDIT, PhaseKind.UNLOCK]
    lock, edit, unlock = change.phases
    assert [wait.kind for wait in lock.wait] == ["cell-off-air"]
    assert [wait.kind for wait in unlock.wait] == ["cell-on-air"]
    assert edit.edits[0].before == {"tac": "9"}
    assert edit.edits[0].after == {"tac": "7"}
    assert {each.path for phase in change.phases for each in phase.edits} == {LTE_CELL}
    assert change.touched == ()
    assert change.interrupted == ("alfa", "beta")
    assert change.outage.seconds > 0
    assert {check.tenant for check in change.checks if check.kind == "link-up"} == {"alfa", "beta"}
    assert LTE_CELL in change.fingerprint.paths


def test_a_cell_that_somebody_locked_is_edited_but_stays_locked() -> None:
    before = view(TWO, edit={LTE_CELL: {"tac": "9", "administrativeState": "LOCKED"}})
    made = plan(TWO, {"S1": before})
    change = only_change(made)
    assert kinds(change) == [PhaseKind.EDIT]
    assert LTE_CELL not in {check.path for check in change.checks}
    assert change.interrupted == ()
    assert "foreign-lock" in codes(made)


def test_a_shutting_down_cell_is_not_touched_by_what_needs_a_lock() -> None:
    before = view(TWO, edit={LTE_CELL: {"tac": "9", "administrativeState": "SHUTTINGDOWN"}})
    why = plan(TWO, {"S1": before}).unplanned["S1"]
    assert "cell-shutting-down" in why
    assert "somebody locked cell L1 outside of Minka" in why
    by = "ana locked cell L1 by run r-1 (own), which is under way (running)"
    made = plan(TWO, {"S1": replace(before, holders={"L1": by})})
    assert by in made.unplanned["S1"]
    assert "outside of Minka" not in made.unplanned["S1"]
    assert [one.code for one in made.findings if by in one.message] == ["cell-shutting-down", "locked-by-run"]


def test_administrative_state_alone_is_no_difference() -> None:
    assert plan(TWO, {"S1": view(TWO, edit={LTE_CELL: {"administrativeState": "LOCKED"}})}).is_empty


def test_a_cell_that_failed_before_is_neither_waited_for_nor_checked() -> None:
    before = view(TWO, edit={LTE_CELL: {"tac": "9"}})
    assert before.observed
    failed = replace(
        before, observed=Observed(before.observed.tree, states(PROFILES, before.observed.tree, [LTE_CELL]))
    )
    change = only_change(plan(TWO, {"S1": failed}))
    assert change.phases[2].wait == ()
    assert LTE_CELL not in {check.path for check in change.checks}


@pytest.mark.parametrize("options", [PlanOptions(automatic=True), PlanOptions(automatic=False)])
def test_automatic_plans_keep_off_foreign_locks_and_holds(options: PlanOptions) -> None:
    locked = view(TWO, edit={NR_CELL: {"administrativeState": "LOCKED"}, LTE_CELL: {"tac": "9"}})
    held = replace(options, under_hold=frozenset({"S1"}))
    drifted = view(TWO, edit={LTE_CELL: {"tac": "9"}})
    assert ("S1" in plan(TWO, {"S1": locked}, options).unplanned) is options.automatic
    assert ("S1" in plan(TWO, {"S1": drifted}, held).unplanned) is options.automatic
    assert not plan(TWO, {"S1": drifted}, options).unplanned


# ------------------------------------------------------------- user order, keys


def test_another_plmn_in_first_place_is_an_operation_of_its_own() -> None:
    before = view(TWO, edit={f"{LTE_CELL}/plmnIdList[716,01]": None, f"{LTE_CELL}/plmnIdList[716,02]": {}})
    not_ours = replace(before, ledger={})
    made = plan(TWO, {"S1": not_ours})
    assert made.unplanned["S1"].startswith("primary-plmn-change")
    assert "primary-plmn-change" in codes(made)


@pytest.mark.parametrize("cell", [f"{LTE_CELL}/plmnIdList[716,01]", f"{NR_CELL}/pLMNInfoList[716,01,000001,1]"])
def test_a_vanished_primary_of_ours_goes_back_to_first_place(cell: Path) -> None:
    before = view(TWO, edit={cell: None})
    after = apply(TWO, only_change(plan(TWO, {"S1": before})), before)
    assert after.observed
    assert siblings(after.observed.tree, cell)[0] == cell


#: A station that carries another PLMN in its global eNB id than the files say, as after adoption.
_OTHER: Mapping[Path, Leaves | None] = {f"{LTE}/pLMNId[716,01]": None, f"{LTE}/pLMNId[716,02]": {}}


def _adopted_with_another_identity(edit: Mapping[Path, Leaves | None]) -> StationView:
    before = view(TWO, edit={**_OTHER, **edit})
    return replace(before, ledger={path: node for path, node in before.ledger.items() if "/pLMNId[" not in path})


def test_a_node_plmn_on_air_stays_and_is_ours_as_it_is() -> None:
    before = _adopted_with_another_identity({})
    made = plan(TWO, {"S1": before})
    assert made.is_empty
    assert "identity-stays" in codes(made)
    before = _adopted_with_another_identity({LTE: {"eNBName": "x"}})
    change = only_change(plan(TWO, {"S1": before}))
    assert (change.outage, change.interrupted) == (NO_OUTAGE, ())
    gained = {node.path for node in change.gained}
    assert f"{LTE}/pLMNId[716,02]" in gained
    assert f"{LTE}/pLMNId[716,01]" not in gained
    after = apply(TWO, change, before)
    assert plan(TWO, {"S1": after}).is_empty


def test_a_node_plmn_changes_where_identities_may_and_the_restart_is_said() -> None:
    before = _adopted_with_another_identity({})
    change = only_change(plan(TWO, {"S1": before}, replace(FREELY, identities=True)))
    assert kinds(change) == [PhaseKind.LOCK, PhaseKind.EDIT, PhaseKind.UNLOCK]
    assert change.outage == Outage.timed(RESTART_SECONDS)
    assert change.interrupted == ("alfa", "beta")
    after = apply(TWO, change, before)
    assert after.observed
    assert f"{LTE}/pLMNId[716,01]" in after.observed.tree
    assert plan(TWO, {"S1": after}).is_empty


def test_a_node_plmn_that_somebody_changed_stays_drift_and_is_not_ours() -> None:
    before = view(TWO, edit={**_OTHER, LTE: {"eNBName": "x"}})
    change = only_change(plan(TWO, {"S1": before}))
    assert not any("/pLMNId[" in node.path for node in change.gained)
    assert not any("/pLMNId[" in path for path in change.lost)
    assert before.observed
    assert f"{LTE}/pLMNId[716,01]" in drifted_nodes(root_spec(PROFILES), applied(before.ledger), before.observed)


def _led_by_beta() -> Network:
    """The same network whose cells have the primary PLMN of beta."""
    return TWO.model_copy(
        update={
            "header": TWO.header.model_copy(update={"host_plmn": "716-01"}),
            "cells": tuple(cell.model_copy(update={"primary_plmn": "716-02"}) for cell in TWO.cells),
        }
    )


@pytest.mark.parametrize(
    "lacking", [(), (f"{LTE_CELL}/plmnIdList[716,02]", f"{NR_CELL}/pLMNInfoList[716,02,000002,1]")]
)
def test_a_primary_plmn_changes_on_locked_cells_where_identities_may(lacking: tuple[Path, ...]) -> None:
    beta, before = _led_by_beta(), view(TWO, edit=dict.fromkeys(lacking))
    before = replace(before, ledger={path: node for path, node in before.ledger.items() if path not in lacking})
    assert plan(beta, {"S1": before}).unplanned["S1"].startswith("primary-plmn-change")
    change = only_change(plan(beta, {"S1": before}, replace(FREELY, identities=True)))
    edit = [PhaseKind.EDIT] * (2 + bool(lacking))
    assert kinds(change) == [PhaseKind.LOCK, *edit, PhaseKind.UNLOCK]
    assert {edit.path for edit in change.phases[0].edits} == {LTE_CELL, NR_CELL}
    assert {*change.touched, *change.interrupted} == {"alfa", "beta"}
    assert 0 < change.outage.seconds < RESTART_SECONDS
    assert change.removes == {}
    assert ("cell L1: primary PLMN", "716-01", "716-02") in {(r.what, r.before, r.after) for r in change.diff}
    after = apply(beta, change, before)
    assert after.observed
    for entry in (f"{LTE_CELL}/plmnIdList[716,02]", f"{NR_CELL}/pLMNInfoList[716,02,000002,1]"):
        assert siblings(after.observed.tree, entry)[0] == entry
        assert after.ledger[entry].first
        assert not after.ledger[entry.replace("716,02,000002", "716,01,000001").replace("716,02", "716,01")].first
    assert drifted_nodes(root_spec(PROFILES), applied(after.ledger), after.observed) == ()
    assert plan(beta, {"S1": after}).is_empty
    assert effect_of(change).asks == {("alfa", ActionClass.INTERRUPT), ("beta", ActionClass.INTERRUPT)}


def test_a_changed_primary_plmn_is_undone_to_the_same_order() -> None:
    before = view(TWO)
    change = only_change(plan(_led_by_beta(), {"S1": before}, replace(FREELY, identities=True)))
    after = apply(TWO, change, before)
    assert after.observed
    assert before.observed
    back = undo_change(PROFILES, change, after.observed)
    assert kinds(back) == [PhaseKind.LOCK, PhaseKind.EDIT, PhaseKind.EDIT, PhaseKind.UNLOCK]
    undone = apply(TWO, back, after)
    assert undone.observed
    for entry in (f"{LTE_CELL}/plmnIdList[716,01]", f"{NR_CELL}/pLMNInfoList[716,01,000001,1]"):
        assert siblings(undone.observed.tree, entry) == siblings(before.observed.tree, entry)
    assert drifted_nodes(root_spec(PROFILES), applied(before.ledger), undone.observed) == ()


def test_what_a_changed_primary_plmn_amounts_to_follows_from_the_order() -> None:
    before = view(TWO)
    change = only_change(plan(_led_by_beta(), {"S1": before}, replace(FREELY, identities=True)))
    after = apply(TWO, change, before)
    assert before.observed
    assert after.observed
    total = effects(root_spec(PROFILES), change.phases)
    assert (total.before_holds(before.observed.tree), total.after_holds(before.observed.tree)) == (True, False)
    assert (total.before_holds(after.observed.tree), total.after_holds(after.observed.tree)) == (False, True)


def test_an_unknown_plmn_in_first_place_is_not_moved() -> None:
    edit: dict[Path, Leaves | None] = {f"{LTE_CELL}/plmnIdList[716,01]": None, f"{LTE_CELL}/plmnIdList[716,02]": None}
    there = view(TWO, edit=edit)
    assert there.observed
    lists: dict[Path, Leaves] = {f"{LTE_CELL}/plmnIdList[{plmn}]": {} for plmn in ("999,99", "716,01", "716,02")}
    odd = replace(there, observed=replace(there.observed, tree={**there.observed.tree, **lists}))
    made = plan(TWO, {"S1": odd}, replace(FREELY, identities=True))
    assert made.unplanned["S1"].startswith("primary-plmn-change")


# ---------------------------------------------------- identities of tenants' own

#: Tenant beta has a tracking area and an identity of its own on both stations.
OWN = network(
    own_cells=[
        {"tenant": "beta", "station": f"S{n}", "cell": cell, "tac": 900, "node_id": 69 + n, "local_id": 5} | length
        for n in (1, 2)
        for cell, length in (("L1", {"node_id_length": 20}), ("N1", {"node_id_length": 24}))
    ]
)
OWN_LTE = f"{LTE_CELL}/cellAccessInfoList[716,02]"
OWN_DU = f"{NR_CELL.rpartition('/')[0]}/OperatorDU[beta]"
OWN_NR = f"{OWN_DU}/NROperatorCellDU[N1]"


def test_a_tenant_with_an_identity_of_its_own_is_one_live_edit_of_its_own_nodes() -> None:
    change = only_change(plan(OWN, {"S1": view(network(("alfa",)))}))
    assert kinds(change) == [PhaseKind.EDIT]
    assert (change.touched, change.interrupted) == (("beta",), ())
    made = {edit.path: edit for edit in change.phases[0].edits}
    assert {edit.owners for edit in made.values()} == {("beta",)}
    assert f"{LTE_CELL}/plmnIdList[716,02]" not in made
    assert made[OWN_LTE].after == {"tac": "900", "cellId": str(70 * 256 + 5)}
    assert made[OWN_DU].after.items() >= {"gNBId": "70", "gNBIdLength": "24"}.items()
    assert made[OWN_NR].after.items() >= {"nRTAC": "900", "cellLocalId": "5", "administrativeState": "UNLOCKED"}.items()
    assert f"{OWN_NR}/pLMNInfoList[716,02,000002,1]" in made
    assert f"{NR_CELL}/pLMNInfoList[716,02,000002,1]" not in made


def test_a_tenant_moves_to_an_identity_of_its_own_and_back_and_that_is_no_removal() -> None:
    before = view(TWO)
    change = only_change(plan(OWN, {"S1": before}))
    assert change.removes == {}
    assert change.touched == ("beta",)
    assert not any("alfa" in edit.owners or "host" in edit.owners for edit in change.phases[0].edits)
    after = apply(OWN, change, before)
    assert after.observed
    assert (
        not {f"{LTE_CELL}/plmnIdList[716,02]", f"{NR_CELL}/pLMNInfoList[716,02,000002,1]"} & after.observed.tree.keys()
    )
    assert plan(OWN, {"S1": after}).is_empty
    back = only_change(plan(TWO, {"S1": after}))
    assert back.removes == {}
    returned = apply(TWO, back, after)
    assert returned.observed
    assert not {OWN_LTE, OWN_DU, OWN_NR} & returned.observed.tree.keys()
    assert plan(TWO, {"S1": returned}).is_empty


def test_only_what_the_same_tenants_put_on_air_elsewhere_moves() -> None:
    """While beta moves, a PLMN that is another's as well stays, and so does one that nothing asks for any more."""
    shared, left = f"{LTE_CELL}/plmnIdList[716,02]", f"{LTE_CELL}/plmnIdList[716,03]"
    before = view(THREE)
    both = {**before.ledger, shared: before.ledger[shared].model_copy(update={"owners": ("alfa", "beta")})}
    for known, stays in ((before.ledger, {left}), (both, {left, shared})):
        made = plan(OWN, {"S1": replace(before, ledger=known)})
        gone = {edit.path for edit in only_change(made).phases[0].edits if edit.op is Op.DELETE}
        assert gone & {shared, left} == {shared, left} - stays
        assert only_change(made).removes == {}


def test_an_own_identity_that_nothing_asks_for_stays() -> None:
    made = plan(network(("alfa",)), {"S1": view(OWN)})
    assert made.is_empty
    assert "orphan" in codes(made)
    gone = plan(network(("alfa",)), {"S1": view(OWN)}, replace(FREELY, remove={"beta": 16}))
    assert OWN_DU in {edit.path for edit in only_change(gone).phases[0].edits}


def test_an_own_identity_on_air_is_never_changed_but_its_tracking_area_is() -> None:
    assert plan(OWN, {"S1": view(OWN, edit={OWN_LTE: {"cellId": "1"}})}).unplanned["S1"].startswith("create-only")
    assert plan(OWN, {"S1": view(OWN, edit={OWN_NR: {"gNBId": "1"}})}).unplanned["S1"].startswith("create-only")
    change = only_change(plan(OWN, {"S1": view(OWN, edit={OWN_LTE: {"tac": "1"}, OWN_NR: {"nRTAC": "1"}})}))
    assert change.touched == ("beta",)
    assert {edit.path for edit in change.phases[0].edits} == {OWN_LTE, OWN_NR}


def test_a_create_only_leaf_is_refused() -> None:
    made = plan(TWO, {"S1": view(TWO, edit={LTE_CELL: {"cellLocalId": "9"}})})
    assert made.unplanned["S1"].startswith("create-only")


def test_a_moved_vlan_replaces_the_address_and_removes_nothing() -> None:
    link = f"{LTE}/EP_S1C[alfa-mme]"
    before = view(TWO, edit={f"{link}/localAddress[10.0.0.1,101]": None, f"{link}/localAddress[10.0.0.1,999]": {}})
    change = only_change(plan(TWO, {"S1": before}))
    assert [(edit.op, edit.path[-12:]) for edit in change.phases[0].edits] == [
        (Op.DELETE, "10.0.0.1,999]"[-12:]),
        (Op.CREATE, "10.0.0.1,101]"[-12:]),
    ]
    assert change.removes == {}
    assert [(row.before, row.after) for row in change.diff] == [("10.0.0.1 999", "10.0.0.1 101")]
    assert plan(TWO, {"S1": apply(TWO, change, before)}).is_empty


# ----------------------------------------------------------- removals, unknowns


def test_nothing_disappears_by_itself() -> None:
    made = plan(TWO, {"S1": view(THREE)})
    assert made.is_empty
    assert [f.tenant for f in made.findings if f.code == "orphan"] == ["gamma"]


USER_PLANE = "/ManagedElement[S1]/GNBCUUPFunction[1]/pLMNInfoList"


def test_the_user_plane_serves_who_is_on_air_and_a_tenant_that_goes_goes_from_there() -> None:
    arrives = only_change(plan(THREE, {"S1": view(TWO)}))
    assert f"{USER_PLANE}[{GAMMA},000003,1]" in [edit.path for edit in arrives.phases[0].edits]
    goes = plan(TWO, {"S1": view(THREE)}, replace(FREELY, remove={"gamma": 14}))
    edits = only_change(goes).phases[0].edits
    assert [edit.op for edit in edits if edit.path.startswith(USER_PLANE)] == [Op.DELETE]
    assert [edit.owners for edit in edits if edit.path.startswith(USER_PLANE)] == [("gamma",)]


BEARERS = network(
    ("alfa",),
    agreements=[
        {
            "id": "alfa-all",
            "tenant": "alfa",
            "scope": {"everywhere": True},
            "shares": [{"resource": kind, "dedicated": 5, "min": 20, "max": 80} for kind in ("RRC", "DRB")],
            "validity": {"start": "2024-01-01"},
        }
    ],
)
USERS = "/ManagedElement[S1]/GNBCUCPFunction[1]/NRCellCU[N1]/RRMPolicyRatio[alfa-rrc]"
RADIO_BEARERS = "/ManagedElement[S1]/GNBCUUPFunction[1]/RRMPolicyRatio[alfa-drb]"


def _misplaced(foreign: str = "") -> StationView:
    """Shares of users and of bearers below the DU's half of the cell; those with ``foreign`` in the path not by us."""
    now = view(BEARERS)
    assert now.observed is not None

    def old(path: str) -> str:
        for policy in (USERS, RADIO_BEARERS):
            path = path.replace(policy, f"{NR_CELL}{policy[policy.rindex('/') :]}")
        return path

    ledger = {old(path): entry.model_copy(update={"path": old(path)}) for path, entry in now.ledger.items()}
    ledger = {path: entry for path, entry in ledger.items() if not (foreign and foreign in path)}
    tree = {old(path): leaves for path, leaves in now.observed.tree.items()}
    return StationView(replace(now.observed, tree=tree), True, ledger)


def test_shares_of_ours_at_the_wrong_place_move_and_nobody_loses_anything() -> None:
    before = _misplaced()
    made = plan(BEARERS, {"S1": before})
    change = only_change(made)
    assert kinds(change) == [PhaseKind.EDIT]
    edits = change.phases[0].edits
    gone = {f"{NR_CELL}/RRMPolicyRatio[alfa-{kind}]" for kind in ("rrc", "drb")}
    assert {edit.path for edit in edits if edit.op is Op.DELETE} == gone
    assert {edit.path for edit in edits if edit.op is Op.CREATE} >= {USERS, RADIO_BEARERS}
    assert change.removes == {}
    assert "orphan" not in codes(made)
    assert effect_of(change).asks == frozenset()
    after = apply(BEARERS, change, before)
    assert after.ledger.keys() == ledger(BEARERS).keys()
    assert plan(BEARERS, {"S1": after}).is_empty


def test_a_share_that_gets_less_where_it_moves_is_a_reduction() -> None:
    before = _misplaced()
    assert before.observed is not None
    old = f"{NR_CELL}/RRMPolicyRatio[alfa-drb]"
    tree = {**before.observed.tree, old: {**before.observed.tree[old], "rRMPolicyMinRatio": "30"}}
    raised = replace(before, observed=replace(before.observed, tree=tree))
    assert effect_of(only_change(plan(BEARERS, {"S1": raised}))).asks == frozenset(), "by hand, and not by agreement"
    applied = before.ledger[old].model_copy(update={"leaves": {**before.ledger[old].leaves, "rRMPolicyMinRatio": "30"}})
    more = replace(raised, ledger={**before.ledger, old: applied})
    assert effect_of(only_change(plan(BEARERS, {"S1": more}))).asks == {("alfa", ActionClass.REDUCE)}


def _sliced(*parts: tuple[list[dict[str, Any]], int]) -> Network:
    """Alfa with two slices, and an agreement for each of these parts of them, with this minimum of PRBs."""
    slices = [{"sst": 1, "sd": "000001"}, {"sst": 2}]
    tenants = [one.model_dump(mode="json") for one in network().tenants]
    tenants[0]["slices"] = slices
    agreements = [
        {
            "id": f"alfa-{number}",
            "tenant": "alfa",
            "scope": {"everywhere": True, "rats": ["LTE", "NR"] if not number else ["NR"]},
            "slices": some,
            "shares": [{"min": least}],
            "validity": {"start": "2024-01-01"},
        }
        for number, (some, least) in enumerate(parts)
    ]
    return Network.model_validate(network().model_dump(mode="json") | {"agreements": agreements, "tenants": tenants})


@pytest.mark.parametrize(("least", "asks"), [(20, set()), (10, {("alfa", ActionClass.REDUCE)})])
def test_a_share_that_is_split_by_slices_becomes_one_policy_for_each(
    least: int, asks: set[tuple[str, ActionClass]]
) -> None:
    one, other = {"sst": 1, "sd": "000001"}, {"sst": 2}
    whole, split = _sliced(([one, other], 20)), _sliced(([one], 20), ([other], least))
    before = view(whole)
    made = plan(split, {"S1": before})
    change = only_change(made)
    edits = {
        edit.path: edit.op for edit in change.phases[0].edits if edit.path.startswith(f"{NR_CELL}/RRMPolicyRatio[")
    }
    assert edits.pop(f"{NR_CELL}/RRMPolicyRatio[alfa-prb]") is Op.DELETE
    assert {path.split("/")[4] for path in edits} == {"RRMPolicyRatio[alfa-prb-1-000001]", "RRMPolicyRatio[alfa-prb-2]"}
    assert set(edits.values()) == {Op.CREATE}
    assert effect_of(change).asks == asks
    assert dict(change.removes) == {}
    assert plan(split, {"S1": apply(split, change, before)}).is_empty


def test_a_share_at_the_wrong_place_that_is_not_ours_stays() -> None:
    made = plan(BEARERS, {"S1": _misplaced(foreign="alfa-drb")})
    deleted = [edit.path for edit in only_change(made).phases[0].edits if edit.op is Op.DELETE]
    assert deleted == [f"{NR_CELL}/RRMPolicyRatio[alfa-rrc]"]
    assert "unknown-node" in codes(made)


def test_a_share_at_the_wrong_place_that_nothing_asks_for_any_more_stays() -> None:
    made = plan(network(("alfa",)), {"S1": _misplaced()})
    assert "orphan" in codes(made)
    assert all(edit.op is not Op.DELETE for edit in only_change(made).phases[0].edits)


def test_a_named_removal_deletes_ledger_nodes_and_nothing_else() -> None:
    before = view(THREE)
    count = sum("gamma" in entry.owners for entry in before.ledger.values())
    change = only_change(plan(TWO, {"S1": before}, replace(FREELY, remove={"gamma": count})))
    assert change.removes == {"gamma": count}
    assert set(change.lost) == {path for path, entry in before.ledger.items() if entry.owners == ("gamma",)}
    after = apply(TWO, change, before)
    assert after.observed
    assert before.observed
    assert after.observed.tree == carrying(TWO).tree
    assert after.ledger == ledger(TWO)


def test_a_node_with_something_unreadable_below_is_not_deleted() -> None:
    link = f"{LTE}/EP_S1C[gamma-mme]"
    before = view(THREE)
    assert before.observed
    opaque = replace(before, observed=replace(before.observed, unknown=(f"{link}/{{urn:x}}secret",)))
    # The link stays, and the address and PLMN that it can't be without.
    count = sum("gamma" in entry.owners for entry in before.ledger.values()) - 3
    change = only_change(plan(TWO, {"S1": opaque}, replace(FREELY, remove={"gamma": count})))
    assert link not in {edit.path for edit in change.phases[0].edits}


def test_the_primary_can_not_be_removed_from_under_a_cell() -> None:
    net = network(("beta",))
    before = view(TWO)
    made = plan(net, {"S1": before}, replace(FREELY, remove={"alfa": 0}))
    assert "S1" in made.unplanned


def test_an_unknown_plmn_on_air_is_warned_of_and_left_alone() -> None:
    foreign = f"{LTE_CELL}/plmnIdList[999,99]"
    before = view(TWO, edit={foreign: {}})
    made = plan(TWO, {"S1": before})
    assert made.is_empty
    loud = [f for f in made.findings if f.code == "unknown-plmn-on-air"]
    assert [(f.station, f.cell, f.severity) for f in loud] == [("S1", "L1", "warning")]
    assert "999-99" in loud[0].message


def test_an_unknown_plmn_in_a_locked_cell_is_a_quiet_finding() -> None:
    edit = {f"{LTE_CELL}/plmnIdList[999,99]": {}, LTE_CELL: {"administrativeState": "LOCKED"}}
    found = codes(plan(TWO, {"S1": view(TWO, edit=edit)}))
    assert "unknown-node" in found
    assert "unknown-plmn-on-air" not in found


def test_a_ledger_node_that_vanished_is_created_again() -> None:
    share = f"{LTE_CELL}/plmnRadioShareList[716,02]"
    change = only_change(plan(TWO, {"S1": view(TWO, edit={share: None})}))
    assert [(edit.op, edit.path) for edit in change.phases[0].edits] == [(Op.CREATE, share)]


def test_a_leaf_at_its_default_equals_an_absent_one() -> None:
    spec_default = {f"{LTE_CELL}/plmnIdList[716,02]": {"cellReservedForOperatorUse": "false"}}
    assert plan(TWO, {"S1": view(TWO, edit=spec_default)}).is_empty


# --------------------------------------------------------------- left out, exact


def test_stations_that_are_not_ours_or_not_reached_are_left_out() -> None:
    made = plan(
        TWO,
        {
            "S1": replace(factory(), adopted=False),
            "S2": replace(view(TWO, "S2"), observed=None, unreachable="no route"),
        },
    )
    assert made.unplanned == {"S1": "not adopted: observe-only", "S2": "unreachable: no route"}
    assert made.observed_only == ("S1",)


def test_phases_and_their_inverses_are_exact() -> None:
    before = view(THREE, edit={LTE_CELL: {"tac": "9"}})
    count = sum("gamma" in entry.owners for entry in before.ledger.values())
    change = only_change(plan(TWO, {"S1": before}, replace(FREELY, remove={"gamma": count})))
    assert before.observed
    root, tree, seen = root_spec(PROFILES), before.observed.tree, []
    for phase in change.phases:
        seen.append(tree)
        tree = apply_edits(root, tree, phase.edits)
    for phase, earlier in zip(reversed(change.phases), reversed(seen), strict=True):
        tree = apply_edits(root, tree, phase.inverse)
        assert tree == earlier
        assert siblings(tree, f"{LTE_CELL}/plmnIdList[716,01]") == siblings(earlier, f"{LTE_CELL}/plmnIdList[716,01]")


# ----------------------------------------------------------------- reservations

RESERVED = "cellReservedForOperatorUse"


def test_a_tenant_that_is_tested_comes_reserved_and_all_others_stay_open() -> None:
    testing = replace(FREELY, reserved=True)
    before = view(TWO)
    change = only_change(plan(THREE, {"S1": before}, testing))
    plmn = f"{LTE_CELL}/plmnIdList[{GAMMA}]"
    assert {edit.path for edit in change.phases[0].edits if RESERVED in edit.after} == {plmn}
    after = apply(THREE, change, before)
    assert after.observed
    assert [path for path in after.observed.tree if is_reserved(after.observed.tree, path)] == [plmn]
    # It is what we applied, so no drift; files that are applied later leave it so, and say it.
    kept = plan(THREE, {"S1": after})
    assert kept.is_empty
    assert not drifted_nodes(root_spec(PROFILES), applied(after.ledger), after.observed)
    (said,) = [finding.message for finding in kept.findings if finding.code == "plmn-reserved"]
    assert "716-03 is reserved for operator use" in said
    # Once it is open, another reservation is drift, which plans correct.
    opening = open_plmns_change("S1", PROFILES, after.observed, "gamma", after.ledger)
    assert opening is not None
    assert [(row.before, row.after) for row in opening.diff] == [("true", "false")]
    # What is somebody else's stays reserved, whoever reserved it.
    both = Observed({**after.observed.tree, f"{LTE_CELL}/plmnIdList[716,02]": {RESERVED: "true"}})
    assert open_plmns_change("S1", PROFILES, both, "gamma", after.ledger) == opening
    opened = apply(THREE, opening, after)
    assert opened.observed
    assert open_plmns_change("S1", PROFILES, opened.observed, "gamma", opened.ledger) is None
    closed = replace(opened, observed=after.observed)
    assert drifted_nodes(root_spec(PROFILES), applied(opened.ledger), after.observed) == (plmn,)
    corrected = apply(THREE, only_change(plan(THREE, {"S1": closed}, testing)), closed)
    assert corrected.observed
    assert corrected.observed.tree == opened.observed.tree


def test_what_the_field_reserved_stays_so_when_it_is_adopted() -> None:
    plmn = f"{LTE_CELL}/plmnIdList[716,02]"
    found = carrying(TWO, edit={plmn: {RESERVED: "true"}})
    nodes = {node.path: node for node in adopted_nodes(root_spec(PROFILES), rendered(TWO), found)}
    assert nodes[plmn].leaves == {RESERVED: "true"}
    entries = {path: LedgerEntry(station="S1", **dict(node)) for path, node in nodes.items()}
    made = plan(TWO, {"S1": StationView(found, adopted=True, ledger=entries)})
    assert made.is_empty
    assert "plmn-reserved" in codes(made)


def test_a_reservation_goes_with_a_plmn_that_gets_a_tracking_area_of_its_own() -> None:
    identity = {"cell": "L1", "tenant": "beta", "tac": 70, "node_id_length": 20, "local_id": 1}
    moved = network(own_cells=[{"station": f"S{n}", "node_id": 9 + n, **identity} for n in (1, 2)])
    for reserved in (True, False):
        found = view(TWO, edit={f"{LTE_CELL}/plmnIdList[716,02]": {RESERVED: "true"} if reserved else {}})
        change = only_change(plan(moved, {"S1": found}, replace(FREELY, reserved=True)))
        made = {edit.path: edit.after for phase in change.phases for edit in phase.edits if edit.op is Op.CREATE}
        assert (RESERVED in made[f"{LTE_CELL}/cellAccessInfoList[716,02]"]) is reserved


# ------------------------------------------------------------------- neighbours

#: Cells of S1 list those of S2; the way back is nobody's.
LISTED = [
    {"station": "S1", "cell": cell, "neighbour_station": "S2", "neighbour_cell": cell, "handover": cell == "L1"}
    for cell in ("L1", "N1")
]
CU_CELL = NR_CELL.replace("GNBDUFunction[1]/NRCellDU", "GNBCUCPFunction[1]/NRCellCU")
LTE_RELATION, NR_RELATION = f"{LTE_CELL}/EUtranRelation[S2.L1]", f"{CU_CELL}/NRCellRelation[S2.N1]"
FREQUENCY_RELATION = f"{CU_CELL}/NRFreqRelation[629952]"
NR_NETWORK = "/NRNetwork[minka]"
FREQUENCY = f"{NR_NETWORK}/NRFrequency[629952]"
LTE_NETWORK = "/EUtraNetwork[minka]"
EXTERNAL_ENB = f"{LTE_NETWORK}/ExternalENBFunction[S2]"
EXTERNAL_LTE = f"{EXTERNAL_ENB}/ExternalEUtranCellFDD[L1]"
EXTERNAL_GNB = f"{NR_NETWORK}/ExternalGNBCUCPFunction[S2]"
EXTERNAL_NR = f"{EXTERNAL_GNB}/ExternalNRCellCU[N1]"
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
#: What S1 gets to know of S2.
AROUND = {NR_NETWORK, FREQUENCY, LTE_NETWORK, EXTERNAL_ENB, EXTERNAL_LTE, EXTERNAL_GNB, EXTERNAL_NR}
#: Where a relation to a frequency starts: idle users stay where they are.
THRESHOLDS = {
    "qRxLevMin": "-140",
    "threshXHighP": "62",
    "threshXHighQ": "31",
    "threshXLowP": "62",
    "threshXLowQ": "31",
    "tReselectionNR": "1",
    "tReselectionNRSfHigh": "100",
    "tReselectionNRSfMedium": "100",
}
#: What ANR made itself.
FOUND: dict[Path, Leaves | None] = {
    f"{LTE_CELL}/EUtranRelation[17]": {"adjacentCell": "ManagedElement=X,ENBFunction=1,EUtranCellFDD=9"},
    f"{LTE}/EP_X2C[17]": {"remoteAddress": "10.0.0.9"},
    f"{LTE}/EP_X2C[17]/localAddress[10.0.0.1,9]": {},
    f"{CU_CELL}/NRCellRelation[17]": {"adjacentNRCellRef": "ManagedElement=X,GNBCUCPFunction=1,NRCellCU=9"},
}


def test_listed_neighbours_are_one_live_edit_of_the_host_and_found_ones_stay() -> None:
    before = view(TWO, edit=FOUND)
    made = plan(network(neighbours=LISTED), {"S1": before})
    change = only_change(made)
    assert (kinds(change), change.touched, change.interrupted) == ([PhaseKind.EDIT], (), ())
    assert not {"unknown-node", "orphan"} & set(codes(made))
    assert {edit.path: edit.after for edit in change.phases[0].edits} == {
        LTE_RELATION: {"adjacentCell": name_of(EXTERNAL_LTE), "isRemoveAllowed": "false"},
        NR_RELATION: {
            "adjacentNRCellRef": name_of(EXTERNAL_NR),
            "nRFreqRelationRef": "ManagedElement=S1,GNBCUCPFunction=1,NRCellCU=N1,NRFreqRelation=629952",
            "isRemoveAllowed": "false",
            "isHOAllowed": "false",
        },
        FREQUENCY_RELATION: {"nRFrequencyRef": "NRNetwork=minka,NRFrequency=629952", **THRESHOLDS},
        NR_NETWORK: {"priorityLabel": "1"},
        FREQUENCY: {"absoluteFrequencySSB": "629952", "sSBSubCarrierSpacing": "30", "priorityLabel": "1"},
        LTE_NETWORK: {"priorityLabel": "1"},
        EXTERNAL_ENB: {"eNBId": "2", "priorityLabel": "1"},
        EXTERNAL_LTE: {
            "eNBId": "2",
            "cellLocalId": "1",
            "pci": "2",
            "plmnIdList": ("716-01",),
            "earfcnDL": "9285",
            "earfcnUL": "27285",
            "priorityLabel": "1",
        },
        EXTERNAL_GNB: {"gNBId": "2", "gNBIdLength": "24", "pLMNId": ("716-01",), "priorityLabel": "1"},
        EXTERNAL_NR: {
            "cellLocalId": "1",
            "nRPCI": "2",
            "pLMNIdList": ("716-01",),
            "priorityLabel": "1",
            "nRFrequencyRef": name_of(FREQUENCY),
        },
    }
    after = apply(network(neighbours=LISTED), change, before)
    assert after.observed
    assert FOUND.keys() < after.observed.tree.keys()
    assert after.ledger.keys() == ledger(network(neighbours=LISTED)).keys()


def test_a_neighbour_that_is_no_longer_listed_goes_by_name_only() -> None:
    before = view(network(neighbours=LISTED), edit=FOUND)
    kept = plan(TWO, {"S1": before})
    assert kept.is_empty
    assert "orphan" in codes(kept)
    change = only_change(plan(TWO, {"S1": before}, replace(FREELY, remove={"host": 10})))
    gone = [edit.path for edit in change.phases[0].edits if edit.op is Op.DELETE]
    assert {*gone} | AROUND == {LTE_RELATION, NR_RELATION, FREQUENCY_RELATION} | AROUND
    assert gone.index(LTE_RELATION) < gone.index(LTE_NETWORK)
    after = apply(TWO, change, before)
    assert after.observed
    assert not dangling(after.observed.tree)
    assert AROUND.isdisjoint(after.observed.tree)


@pytest.mark.parametrize(
    ("key", "escaped"), [("a", "a"), ("a,b", r"a\,b"), ("a,NRFrequency=x", r"a\,NRFrequency=x"), ('"a', r"\"a")]
)
def test_a_relation_goes_with_the_frequency_that_the_cell_knows_already(key: str, escaped: str) -> None:
    theirs = f"{CU_CELL}/NRFreqRelation[auto-7]"
    other: dict[Path, Leaves | None] = {"/NRNetwork[1]": {}}

    def made(ssb: str) -> dict[Path, Leaves]:
        frequency = {child("/NRNetwork[1]", "NRFrequency", key): {"absoluteFrequencySSB": ssb}}
        reference = f"SubNetwork=peru,NRNetwork=1,NRFrequency={escaped}"
        named = {theirs: {"nRFrequencyRef": reference, "qRxLevMin": "-120"}}
        there = view(TWO, edit={**FOUND, **other, **frequency, **named})
        found = plan(network(neighbours=LISTED), {"S1": there})
        assert not {"unknown-node", "orphan"} & set(codes(found))
        return {edit.path: edit.after for edit in only_change(found).phases[0].edits}

    same = made("629952")
    assert same.keys() == {LTE_RELATION, NR_RELATION} | AROUND - {FREQUENCY}
    assert same[EXTERNAL_NR]["nRFrequencyRef"] == f"NRNetwork=1,NRFrequency={escaped}"
    reference = "ManagedElement=S1,GNBCUCPFunction=1,NRCellCU=N1,NRFreqRelation=auto-7"
    assert same[NR_RELATION]["nRFreqRelationRef"] == reference
    assert made("630048").keys() == {LTE_RELATION, NR_RELATION, FREQUENCY_RELATION} | AROUND


def test_an_external_cell_of_ours_follows_the_frequency_of_the_files_and_its_relation_to_a_frequency_stays() -> None:
    cells = [cell.model_dump() for cell in network(neighbours=LISTED).cells]
    for cell in cells:
        if (cell["station"], cell["id"]) == ("S2", "N1"):
            cell["ssb_arfcn"] = 630048
    there = view(network(neighbours=LISTED), edit=FOUND)
    change = only_change(plan(network(neighbours=LISTED, cells=cells), {"S1": there}))
    edits = {edit.path: edit for phase in change.phases for edit in phase.edits}
    assert edits[EXTERNAL_NR].after["nRFrequencyRef"] == "NRNetwork=minka,NRFrequency=630048"
    assert FREQUENCY_RELATION not in edits


def test_a_station_that_takes_no_frequencies_gets_no_relation_that_would_name_one() -> None:
    there = view(TWO, edit=FOUND)
    assert there.observed
    lacking = replace(there, observed=replace(there.observed, lacks=frozenset({"NRNetwork", "NRFrequency"})))
    found = plan(network(neighbours=LISTED), {"S1": lacking})
    assert {edit.path for edit in only_change(found).phases[0].edits} == {
        *(LTE_RELATION, LTE_NETWORK, EXTERNAL_ENB, EXTERNAL_LTE)
    }
    (told,) = [one.message for one in found.findings if one.code == "not-offered" and one.cell == "N1"]
    why = "the cell has none to that frequency, and the station takes no frequencies"
    assert told == f"cell S1/N1: its relation S2.N1 was left out: {why}"


def dangling(tree: Tree) -> set[str]:
    """Distinguished names in a tree that lead to nothing in it, though they are names of the station's own objects."""
    station, names = "ManagedElement=S1,", {name_of(path) for path in tree}
    led = {str(value) for leaves in tree.values() for name, value in leaves.items() if name in _REFERENCES}
    return {one for one in led - names if one.startswith((station, "NRNetwork=", "EUtraNetwork="))}


_REFERENCES = ("adjacentCell", "adjacentNRCellRef", "nRFreqRelationRef", "nRFrequencyRef")
#: What an element manager made of S2 under names of its own.
THEIRS: dict[Path, Leaves | None] = {
    "/EUtraNetwork[7]": {"priorityLabel": "1"},
    "/EUtraNetwork[7]/ExternalENBFunction[a]": {"eNBId": "2", "priorityLabel": "1"},
    "/EUtraNetwork[7]/ExternalENBFunction[a]/ExternalEUtranCellFDD[b]": {
        "eNBId": "2",
        "cellLocalId": "1",
        "pci": "2",
        "plmnIdList": ("716-01", "716-02"),
        "priorityLabel": "1",
        "earfcnDL": "9285",
        "earfcnUL": "27285",
    },
    "/NRNetwork[7]": {"priorityLabel": "1"},
    "/NRNetwork[7]/ExternalGNBCUCPFunction[a]": {
        "gNBId": "2",
        "gNBIdLength": "24",
        "pLMNId": ("716-01",),
        "priorityLabel": "1",
    },
}


def test_what_the_station_knows_of_the_neighbour_already_is_named_and_not_made_twice() -> None:
    """Of the eNB the station knows the cell, of the gNB another one."""
    net = network(neighbours=LISTED)
    before = view(TWO, edit={**FOUND, **THEIRS})
    change = only_change(plan(net, {"S1": before}))
    edits = {edit.path: edit.after for edit in change.phases[0].edits}
    made_below = "/NRNetwork[7]/ExternalGNBCUCPFunction[a]/ExternalNRCellCU[N1]"
    assert edits.keys() == {LTE_RELATION, NR_RELATION, FREQUENCY_RELATION, NR_NETWORK, FREQUENCY, made_below}
    assert edits[LTE_RELATION]["adjacentCell"] == "EUtraNetwork=7,ExternalENBFunction=a,ExternalEUtranCellFDD=b"
    assert edits[NR_RELATION]["adjacentNRCellRef"] == name_of(made_below)
    after = apply(net, change, before)
    assert after.observed
    assert not dangling(after.observed.tree)
    again = plan(net, {"S1": after})
    assert again.is_empty
    assert not {"orphan", "unknown-node"} & set(codes(again))
    # Taken back by name, ours goes and theirs stays.
    gone = only_change(plan(TWO, {"S1": after}, replace(FREELY, remove={"host": len(edits)})))
    left = apply(TWO, gone, after).observed
    assert left
    assert before.observed
    assert left.tree.keys() == before.observed.tree.keys()


#: The NR cell of S2 as an element manager made it, with a frequency of its own.
THEIR_NR = "/NRNetwork[7]/ExternalGNBCUCPFunction[a]/ExternalNRCellCU[b]"
THEIR_FREQUENCY = "/NRNetwork[7]/NRFrequency[f]"
THEIR_LTE = "/EUtraNetwork[7]/ExternalENBFunction[a]/ExternalEUtranCellFDD[b]"
KNOWN_NR: dict[Path, Leaves | None] = {
    THEIR_NR: {
        "cellLocalId": "1",
        "nRPCI": "2",
        "pLMNIdList": ("716-01",),
        "nRFrequencyRef": "SubNetwork=peru,NRNetwork=7,NRFrequency=f",
    },
    THEIR_FREQUENCY: {"absoluteFrequencySSB": "629952", "sSBSubCarrierSpacing": "30"},
}


@pytest.mark.parametrize(
    ("path", "leaves", "said"),
    [
        pytest.param(THEIR_LTE, {}, None, id="as the files say"),
        pytest.param(THEIR_LTE, {"pci": "3"}, "pci is 3, and by the network files 2", id="PCI"),
        pytest.param(THEIR_LTE, {"earfcnDL": "9310"}, "earfcnDL is 9310, and by the network files 9285", id="EARFCN"),
        pytest.param(THEIR_LTE, {"earfcnUL": None}, "earfcnUL is nothing, and by the network files 27285", id="none"),
        pytest.param(THEIR_LTE, {"eNBId": "9"}, "eNBId is 9, and by the network files 2", id="node id of a cell"),
        pytest.param(THEIR_LTE, {"plmnIdList": ("716-09",)}, None, id="PLMNs are the station's to keep up"),
        pytest.param(THEIR_NR, {"nRPCI": "503"}, "nRPCI is 503, and by the network files 2", id="NR PCI"),
        pytest.param(
            THEIR_NR,
            {"nRFrequencyRef": "NRNetwork=7,NRFrequency=gone"},
            "nRFrequencyRef is NRNetwork=7,NRFrequency=gone (SSB unknown), "
            "and by the network files one with SSB 629952",
            id="a frequency that is not there",
        ),
        pytest.param(
            THEIR_FREQUENCY,
            {"absoluteFrequencySSB": "630048"},
            "nRFrequencyRef is SubNetwork=peru,NRNetwork=7,NRFrequency=f (SSB 630048), "
            "and by the network files one with SSB 629952",
            id="channel",
        ),
        pytest.param(
            THEIR_FREQUENCY,
            {"sSBSubCarrierSpacing": "15"},
            "sSBSubCarrierSpacing is 15, and by the network files 30",
            id="subcarrier spacing",
        ),
        pytest.param(
            THEIR_FREQUENCY,
            {"sSBSubCarrierSpacing": None},
            "sSBSubCarrierSpacing is nothing, and by the network files 30",
            id="no subcarrier spacing",
        ),
    ],
)
def test_an_external_cell_of_somebody_else_that_differs_from_the_files_is_told_of_and_left_alone(
    path: Path, leaves: dict[str, Value | None], said: str | None
) -> None:
    there = {**FOUND, **THEIRS, **KNOWN_NR}
    changed = {name: value for name, value in {**(there[path] or {}), **leaves}.items() if value is not None}
    before = view(TWO, edit={**there, path: changed})
    found = plan(network(neighbours=LISTED), {"S1": before})
    edits = {edit.path: edit.after for edit in only_change(found).phases[0].edits}
    assert not {THEIR_LTE, THEIR_NR, THEIR_FREQUENCY} & edits.keys()
    assert edits[LTE_RELATION]["adjacentCell"] == name_of(THEIR_LTE)
    assert edits[NR_RELATION]["adjacentNRCellRef"] == name_of(THEIR_NR)
    told = [one for one in found.findings if one.code == "external-differs"]
    at = THEIR_NR if "absoluteFrequencySSB" in leaves else path
    message = (
        f"S1: {name_of(at)} is not ours and stays as it is, and neighbour relations of ours lead to it: its {said}"
    )
    assert [(one.station, one.message) for one in told] == ([("S1", message)] if said else [])
    # It stands for as long as it differs, not only while something is changed.
    after = apply(network(neighbours=LISTED), only_change(found), before)
    again = plan(network(neighbours=LISTED), {"S1": after})
    assert again.is_empty
    assert [one for one in again.findings if one.code == "external-differs"] == told


def test_of_two_external_cells_of_one_identity_the_one_that_the_files_describe_is_named() -> None:
    wrong = THEIR_LTE.replace("[b]", "[a-first]")
    there = {**THEIRS, wrong: {**(THEIRS[THEIR_LTE] or {}), "pci": "400"}}
    found = plan(network(neighbours=LISTED), {"S1": view(TWO, edit={**FOUND, **dict(sorted(there.items()))})})
    edits = {edit.path: edit.after for edit in only_change(found).phases[0].edits}
    assert edits[LTE_RELATION]["adjacentCell"] == name_of(THEIR_LTE)
    assert "external-differs" not in codes(found)


def test_a_frequency_of_somebody_else_with_another_subcarrier_spacing_is_told_of() -> None:
    there = {
        **FOUND,
        **THEIRS,
        **KNOWN_NR,
        THEIR_FREQUENCY: {"absoluteFrequencySSB": "629952", "sSBSubCarrierSpacing": "15"},
    }
    del there[THEIR_NR]
    theirs = {f"{CU_CELL}/NRFreqRelation[auto-7]": {"nRFrequencyRef": name_of(THEIR_FREQUENCY)}}
    found = plan(network(neighbours=LISTED), {"S1": view(TWO, edit={**there, **theirs})})
    (told,) = [one.message for one in found.findings if one.code == "external-differs"]
    assert told.startswith(f"S1: {name_of(THEIR_FREQUENCY)} is not ours")
    assert told.endswith("its sSBSubCarrierSpacing is 15, and by the network files 30")


def test_the_spacing_of_their_frequency_is_told_of_where_ours_is_on_the_station_too() -> None:
    net = network(neighbours=LISTED)
    theirs = {"/NRNetwork[7]": {}, THEIR_FREQUENCY: {"absoluteFrequencySSB": "629952", "sSBSubCarrierSpacing": "15"}}
    cell = {**rendered(net).tree[EXTERNAL_NR], "nRFrequencyRef": f"SubNetwork=peru,{name_of(THEIR_FREQUENCY)}"}
    found = plan(net, {"S1": replace(view(net), observed=carrying(net, edit={**theirs, EXTERNAL_NR: cell}))})
    assert found.is_empty
    (told,) = [one.message for one in found.findings if one.code == "external-differs"]
    assert told.startswith(f"S1: {name_of(THEIR_FREQUENCY)} is not ours")
    assert told.endswith("its sSBSubCarrierSpacing is 15, and by the network files 30")


def test_a_frequency_that_the_field_let_our_frequency_relation_lead_to_is_told_of() -> None:
    net = network(neighbours=LISTED)
    theirs = {"/NRNetwork[7]": {}, THEIR_FREQUENCY: {"absoluteFrequencySSB": "630048", "sSBSubCarrierSpacing": "30"}}
    moved = {**rendered(net).tree[FREQUENCY_RELATION], "nRFrequencyRef": name_of(THEIR_FREQUENCY)}
    found = plan(net, {"S1": replace(view(net), observed=carrying(net, edit={**theirs, FREQUENCY_RELATION: moved}))})
    (told,) = [one.message for one in found.findings if one.code == "external-differs"]
    assert told.endswith("its absoluteFrequencySSB is 630048, and by the network files 629952")


def test_a_new_frequency_relation_leads_to_the_frequency_that_the_station_has() -> None:
    net = network(neighbours=LISTED)
    other = {"/NRNetwork[7]/NRFrequency[e]": {"absoluteFrequencySSB": "629952", "sSBSubCarrierSpacing": "15"}}
    before = view(TWO, edit={**FOUND, **THEIRS, **other, **KNOWN_NR})
    change = only_change(plan(net, {"S1": before}))
    edits = {edit.path: edit.after for edit in change.phases[0].edits}
    assert edits.keys() == {LTE_RELATION, NR_RELATION, FREQUENCY_RELATION}, "no frequency and no network of ours"
    assert edits[FREQUENCY_RELATION]["nRFrequencyRef"] == name_of(THEIR_FREQUENCY), "the one with the spacing"
    after = apply(net, change, before)
    again = plan(net, {"S1": after})
    assert again.is_empty
    assert not {"orphan", "external-differs"} & set(codes(again))


def test_an_external_cell_of_ours_follows_the_channel_of_the_files() -> None:
    net = network(neighbours=LISTED)
    before = view(net)
    # In the field somebody let it name another frequency.
    other = {"/NRNetwork[7]": {}, THEIR_FREQUENCY: {"absoluteFrequencySSB": "630048"}}
    cell = {**rendered(net).tree[EXTERNAL_NR], "nRFrequencyRef": name_of(THEIR_FREQUENCY)}
    there = replace(before, observed=carrying(net, edit={**other, EXTERNAL_NR: cell}))
    (edit,) = only_change(plan(net, {"S1": there})).phases[0].edits
    assert (edit.path, edit.op, edit.after) == (EXTERNAL_NR, Op.MERGE, {"nRFrequencyRef": name_of(FREQUENCY)})
    # Another one of the same channel is as good.
    same = {**other, THEIR_FREQUENCY: {"absoluteFrequencySSB": "629952"}}
    assert plan(net, {"S1": replace(before, observed=carrying(net, edit={**same, EXTERNAL_NR: cell}))}).is_empty


def test_another_gnb_with_the_number_of_the_neighbour_is_not_taken_for_it() -> None:
    """Ids of gNBs are unique within their PLMN."""
    other = {**(THEIRS["/NRNetwork[7]/ExternalGNBCUCPFunction[a]"] or {}), "pLMNId": ("716-09",)}
    before = view(TWO, edit={**THEIRS, "/NRNetwork[7]/ExternalGNBCUCPFunction[a]": other})
    change = only_change(plan(network(neighbours=LISTED), {"S1": before}))
    assert {EXTERNAL_GNB, EXTERNAL_NR} <= {edit.path for edit in change.phases[0].edits}


def test_an_external_cell_stays_while_a_relation_that_anr_made_names_it() -> None:
    anr = f"{CU_CELL}/NRCellRelation[18]"
    before = view(network(neighbours=LISTED), edit={anr: {"adjacentNRCellRef": name_of(EXTERNAL_NR)}})
    found = plan(TWO, {"S1": before}, replace(FREELY, remove={"host": 6}))
    left = apply(TWO, only_change(found), before).observed
    assert left
    assert not dangling(left.tree)
    assert {anr, NR_NETWORK, FREQUENCY, EXTERNAL_GNB, EXTERNAL_NR} <= left.tree.keys()
    assert {NR_RELATION, LTE_RELATION, LTE_NETWORK}.isdisjoint(left.tree)
    told = "\n".join(one.message for one in found.findings if one.code == "removal-blocked")
    assert "N1 was not removed, since 1 entry that stays names it: neighbour relation 18" in told
    assert "frequency 629952 was not removed, since 1 entry that stays names it: external cell N1" in told
    # With its cell the relation goes, and nothing is held any more.
    assert before.observed
    all_of_it = removal_plan("S1", PROFILES, before.observed, before.ledger).change
    assert all_of_it is not None
    emptied = apply(TWO, all_of_it, before).observed
    assert emptied
    assert emptied.tree.keys() == {"/ManagedElement[S1]"}


#: What somebody else put into what we made around the station: an entry, one deeper down, and one of a class that
#: the profile does not know.
PUT: dict[Path, Leaves | None] = {
    f"{NR_NETWORK}/NRFrequency[field]": {"absoluteFrequencySSB": "630048"},
    f"{EXTERNAL_ENB}/ExternalEUtranCellFDD[field]": {"cellLocalId": "7", "pci": "9"},
}
UNKNOWN = f"{LTE_NETWORK}/{{urn:vendor}}EUtranFrequency[1800]"
UNKNOWN_IN_WORDS = "{urn:vendor}EUtranFrequency 1800"
HOLDS = "was not removed, since it holds"


@pytest.mark.parametrize("by_undo", [False, True], ids=["by its plan", "by undo"])
def test_what_others_put_into_our_containers_stays_and_they_with_it(by_undo: bool) -> None:
    net = network(neighbours=LISTED)
    came = only_change(plan(net, {"S1": view(TWO, edit=FOUND)}))
    carried = apply(net, came, view(TWO, edit=FOUND))
    assert carried.observed
    there: dict[Path, Leaves] = {**carried.observed.tree, **{path: leaves or {} for path, leaves in PUT.items()}}
    seen = replace(carried.observed, tree=there, unknown=(UNKNOWN,))
    before = replace(carried, observed=seen)
    if by_undo:
        done = EndedJob("r-1", "apply", "person", "j", "S1", SINCE, Outcome.SUCCEEDED, (came,), _absent(net), "")
        made = undo_station(PROFILES, done, (), before)
        assert made.change is not None, made.reason
        change, findings = made.change, made.findings
    else:
        orphans = plan(TWO, {"S1": before}).orphans
        assert orphans is not None
        assert orphans.remove == {"host": 7}, "what it tells to name is accepted"
        found = plan(TWO, {"S1": before}, replace(FREELY, remove={"host": 7}))
        change, findings = only_change(found), found.findings
    after = apply(TWO, change, before)
    assert after.observed
    kept = {NR_NETWORK, LTE_NETWORK, EXTERNAL_ENB}
    around = {path for path in after.observed.tree if path.startswith(("/NRNetwork", "/EUtraNetwork"))}
    assert around == {*PUT, *kept}
    assert all(after.observed.tree[path] == leaves for path, leaves in PUT.items())
    assert kept <= after.ledger.keys(), "they stay ours, so that they go once they are empty"
    assert change.removes == {"host": 7}
    told = sorted(one.message for one in findings if one.code == "removal-blocked")
    assert told == [
        f"S1: LTE network around it minka {HOLDS} 2 nodes that are not ours: external cell field, {UNKNOWN_IN_WORDS}",
        f"S1: NR network around it minka {HOLDS} 1 node that is not ours: frequency field",
        f"S1: external eNB S2 {HOLDS} 1 node that is not ours: external cell field",
    ]
    # Somebody adds one more after the plan was made: it is not carried out.
    more = {**seen.tree, f"{EXTERNAL_GNB}/ExternalNRCellCU[late]": {}}
    assert matches(root_spec(PROFILES), seen.tree, change.fingerprint)
    assert not matches(root_spec(PROFILES), more, change.fingerprint)


@pytest.mark.parametrize(
    "naming",
    [
        {f"{CU_CELL}/NRCellRelation[18]": {"adjacentNRCellRef": name_of(EXTERNAL_NR)}},
        {f"{CU_CELL}/NRCellRelation[18]": {"adjacentNRCellRef": f"SubNetwork=peru,{name_of(EXTERNAL_NR)}"}},
    ],
    ids=["a relation", "a relation, by its full name"],
)
def test_an_undo_leaves_what_an_entry_that_stays_names_and_takes_the_rest(naming: dict[Path, Leaves]) -> None:
    net = network(neighbours=LISTED)
    came = only_change(plan(net, {"S1": view(TWO, edit=FOUND)}))
    carried = apply(net, came, view(TWO, edit=FOUND))
    assert carried.observed
    before = replace(carried, observed=replace(carried.observed, tree={**carried.observed.tree, **naming}))
    done = EndedJob("r-1", "apply", "person", "j", "S1", SINCE, Outcome.SUCCEEDED, (came,), _absent(net), "")
    made = undo_station(PROFILES, done, (), before)
    assert made.change is not None, made.reason
    after = apply(TWO, made.change, before)
    assert after.observed
    assert not dangling(after.observed.tree)
    kept = {NR_NETWORK, FREQUENCY, EXTERNAL_GNB, EXTERNAL_NR}
    around = {path for path in after.observed.tree if path.startswith(("/NRNetwork", "/EUtraNetwork"))}
    assert around == kept, "the cell, its frequency, and what they stand in"
    assert kept <= after.ledger.keys(), "they stay ours, so that a plan removes them by name once nothing names them"
    assert made.change.removes == {"host": 6}
    told = [one.message for one in made.findings if one.code == "removal-blocked"]
    assert len(told) == len(kept)
    assert any(
        one.endswith("was not removed, since 1 entry that stays names it: neighbour relation 18") for one in told
    )
    assert any(one.endswith("since 1 entry that stays names it: external cell N1") for one in told), "the frequency"


def test_an_undo_that_could_take_nothing_says_who_names_what() -> None:
    net = network(neighbours=LISTED)
    without = view(net, edit={FREQUENCY: None})
    came = only_change(plan(net, {"S1": without}))
    assert [edit.path for phase in came.phases for edit in phase.edits] == [FREQUENCY]
    carried = apply(net, came, without)
    assert carried.observed
    done = EndedJob(
        "r-1", "apply", "person", "j", "S1", SINCE, Outcome.SUCCEEDED, (came,), LedgerBefore(absent=(FREQUENCY,)), ""
    )
    made = undo_station(PROFILES, done, (), carried)
    assert made.change is None
    assert made.reason.startswith("entries that stay name all that it would take away, NRFrequency[629952]: ")
    assert "NRFreqRelation[629952]" in made.reason
    assert "ExternalNRCellCU[N1]" in made.reason
    assert "; take what is to go out of the network files, load them, and run: minka plan S1 " in made.reason


def _absent(net: Network) -> LedgerBefore:
    return LedgerBefore(absent=tuple(path for path in ledger(net) if path not in ledger(TWO)))


def test_what_the_station_made_inside_a_cell_goes_with_it_and_is_named_and_counted() -> None:
    anr = {f"{CU_CELL}/NRCellRelation[{number}]": {"adjacentNRCellRef": "X"} for number in (17, 18)}
    before = view(TWO, edit={**anr})
    assert before.observed
    gone = removal_plan("S1", PROFILES, before.observed, before.ledger)
    (told,) = [one.message for one in gone.findings if one.code == "goes-along"]
    assert "2 nodes inside it that are not ours: " in told
    assert told.endswith("neighbour relation 17, neighbour relation 18")


def test_a_neighbour_with_another_pci_is_known_by_it_live() -> None:
    """Users would be handed over to a cell that nobody finds; PLMNs that the station learned of stay."""
    net = network(neighbours=LISTED)
    known = ("716-01", "716-02")
    learned = {EXTERNAL_LTE: {**rendered(net).tree[EXTERNAL_LTE], "priorityLabel": "1", "plmnIdList": known}}
    before = view(net, edit=learned)
    assert plan(net, {"S1": before}).is_empty
    cells = tuple(cell.model_copy(update={"pci": 77}) if cell.name == "S2/L1" else cell for cell in net.cells)
    change = only_change(plan(net.model_copy(update={"cells": cells}), {"S1": before}))
    assert (kinds(change), change.interrupted) == ([PhaseKind.EDIT], ())
    assert [(edit.path, edit.op, edit.after) for edit in change.phases[0].edits] == [
        (EXTERNAL_LTE, Op.MERGE, {"pci": "77"})
    ]
    (row,) = change.diff
    assert (row.what, row.before, row.after) == ("external cell L1: PCI", "2", "77")


def test_a_station_that_takes_no_external_cells_gets_relations_to_cells_in_their_own_stations() -> None:
    there = view(TWO, edit=FOUND)
    assert there.observed
    lacking = replace(there, observed=replace(there.observed, lacks=frozenset({"EUtraNetwork", "ExternalNRCellCU"})))
    found = plan(network(neighbours=LISTED), {"S1": lacking})
    edits = {edit.path: edit.after for edit in only_change(found).phases[0].edits}
    assert edits[LTE_RELATION]["adjacentCell"] == "ManagedElement=S2,ENBFunction=1,EUtranCellFDD=L1"
    assert edits[NR_RELATION]["adjacentNRCellRef"] == "ManagedElement=S2,GNBCUCPFunction=1,NRCellCU=N1"
    assert {EXTERNAL_LTE, EXTERNAL_NR, LTE_NETWORK}.isdisjoint(edits)
    assert "not-offered" in codes(found)


def test_anr_is_switched_live_where_files_say_so_and_stays_where_they_say_nothing() -> None:
    def said(anr: bool | None) -> Network:
        header = network().header.model_copy(update={"anr": anr})
        return network().model_copy(update={"header": header})

    cu = "/ManagedElement[S1]/GNBCUCPFunction[1]"
    on = {"intrasystemANRManagementSwitch": "true", "intersystemANRManagementSwitch": "true"}
    before = carrying(said(None), edit={cu: {**rendered(said(None)).tree[cu], **on}})
    there = replace(view(said(None)), observed=before)
    assert plan(said(None), {"S1": there}).is_empty
    change = only_change(plan(said(False), {"S1": there}))
    assert (kinds(change), change.touched) == ([PhaseKind.EDIT], ())
    edits = {edit.path: edit.after for edit in change.phases[0].edits}
    assert edits == {LTE: {"intraANRSwitch": "false", "iRATANRSwitch": "false"}, cu: dict.fromkeys(on, "false")}
    lacking = frozenset({"GNBCUCPFunction/intrasystemANRManagementSwitch", "ENBFunction/iRATANRSwitch"})
    made = plan(said(False), {"S1": replace(there, observed=replace(before, lacks=lacking))})
    edits = {edit.path: edit.after for edit in only_change(made).phases[0].edits}
    assert edits == {LTE: {"intraANRSwitch": "false"}, cu: {"intersystemANRManagementSwitch": "false"}}
    (told,) = [one.message for one in made.findings if one.code == "not-offered"]
    left_out = "ENBFunction/iRATANRSwitch, GNBCUCPFunction/intrasystemANRManagementSwitch"
    assert told == f"S1 does not offer {left_out}, which was left out"


def test_what_anr_finds_or_drops_makes_no_plan_stale_and_is_no_drift() -> None:
    """Neither the fingerprint of a cell that is locked covers it, nor is it a finding or a row of drift."""
    net = network(neighbours=LISTED)
    before = view(net, edit=FOUND | {LTE_CELL: {"tac": "9"}})
    change = only_change(plan(net, {"S1": before}))
    assert LTE_CELL in change.fingerprint.paths
    later = carrying(net, edit={LTE_CELL: {"tac": "9"}, f"{LTE_CELL}/EUtranRelation[18]": {"adjacentCell": "Y"}})
    assert matches(root_spec(PROFILES), later.tree, change.fingerprint)
    assert not matches(root_spec(PROFILES), carrying(net).tree, change.fingerprint)
    assert drift(root_spec(PROFILES), rendered(net), view(net, edit=FOUND)) == ()
    lost = view(net, edit={LTE_RELATION: None})
    (row,) = drift(root_spec(PROFILES), rendered(net), lost)
    assert (row.cell, row.what) == ("L1", "neighbour relation S2.L1")


def test_a_cell_is_removed_with_all_that_anr_found_for_it() -> None:
    alone = network(("alfa",))
    only_nr = alone.model_copy(update={"cells": tuple(cell for cell in alone.cells if cell.name != "S1/L1")})
    before = view(alone, edit=FOUND)
    # The cell, its PLMN and share; the link with its address and PLMN.
    made = plan(only_nr, {"S1": before}, replace(FREELY, remove={"host": 1, "alfa": 5}))
    assert LTE_CELL in {edit.path for phase in only_change(made).phases for edit in phase.edits if edit.op is Op.DELETE}
    assert "removal-blocked" not in codes(made)


def test_an_lte_cell_becomes_the_anchor_of_an_nr_cell() -> None:
    row = {"station": "S1", "cell": "L1", "neighbour_station": "S1", "neighbour_cell": "N1", "handover": False}
    (edit,) = only_change(plan(network(neighbours=[row]), {"S1": view(TWO)})).phases[0].edits
    assert (edit.path, edit.after) == (
        f"{LTE_CELL}/NRCellRelation[S1.N1]",
        {
            "adjacentNRCellRef": "ManagedElement=S1,GNBCUCPFunction=1,NRCellCU=N1",
            "isRemoveAllowed": "false",
            "isHOAllowed": "false",
            "isENDCAllowed": "true",
        },
    )


# ---------------------------------------------------------------- small rules


@pytest.mark.parametrize(
    ("path", "leaf", "seconds"),
    [
        (f"{LTE}/EP_S1C[alfa-mme]", "remoteAddress", LINK_SECONDS),
        (f"{LTE}/EP_S1C[alfa-mme]", "userLabel", 0),
        (LTE_CELL, "userLabel", 0),
    ],
)
def test_a_link_is_out_where_its_end_moves_and_by_no_other_change(path: Path, leaf: str, seconds: int) -> None:
    edit = Edit(op=Op.MERGE, path=path, before={leaf: "a"}, after={leaf: "b"}, owners=("alfa",))
    assert outage_seconds(root_spec(PROFILES), {path: {leaf: "a"}}, [edit], Locks((), (), restarts=False)) == seconds


def test_a_function_is_named_without_its_number_and_all_else_with_it() -> None:
    root = root_spec(PROFILES)
    named = {
        name: entry_name(root, f"{LTE}{below}") for name, below in (("function", ""), ("cell", "/EUtranCellFDD[1]"))
    }
    assert "1" not in named["function"]
    assert named["cell"].endswith(" 1")


def test_each_difference_is_named_not_only_the_first() -> None:
    before = rendered(TWO).tree
    label = {**before[LTE_CELL], "tac": "8"}
    seen = {path: leaves for path, leaves in before.items() if path != LTE} | {LTE_CELL: label}
    found = differences(root_spec(PROFILES), seen, before, [LTE])
    assert found == (f"{LTE}: missing", f"{LTE_CELL} tac: 8 instead of 7")
