"""Cells that people lock, unlock and shut down."""

from __future__ import annotations

import re

import pytest

from controller.models.errors import ConflictError, NotFoundError
from controller.models.outage import NO_OUTAGE, UNTIL_UNLOCKED
from controller.models.plan import Change, Op, PhaseKind
from controller.nrm.apply import apply_edits
from controller.nrm.fingerprint import matches
from controller.nrm.profiles import administrative_state, cell_of, root_spec
from controller.nrm.tree import Observed
from controller.plan.maintenance import AdministrativeState, administrative_state_change, removal_plan, removed_nodes
from tests.unit.plan.samples import LTE, LTE_CELL, NR_CELL, PROFILES, carrying, ledger, network

TWO = network()
ME = "/ManagedElement[S1]"
ROOT = root_spec(PROFILES)
OWNERS = {path: entry.owners for path, entry in ledger(TWO).items()}


def switched(
    final: AdministrativeState, *names: str, lte: str = "UNLOCKED", nr: str = "UNLOCKED", ours: bool = True
) -> Change | None:
    edit = {LTE_CELL: {"administrativeState": lte}, NR_CELL: {"administrativeState": nr}}
    owners = OWNERS if ours else {path: owner for path, owner in OWNERS.items() if path != LTE_CELL}
    return administrative_state_change("S1", PROFILES, carrying(TWO, edit=edit), names or None, owners, final)


def paths(change: Change | None) -> list[str]:
    return [] if change is None else [edit.path for phase in change.phases for edit in phase.edits]


@pytest.mark.parametrize(
    ("final", "state", "there"),
    [
        ("LOCKED", "UNLOCKED", False),
        ("LOCKED", "SHUTTINGDOWN", False),
        ("LOCKED", "LOCKED", True),
        ("UNLOCKED", "LOCKED", False),
        ("UNLOCKED", "UNLOCKED", True),
        ("SHUTTINGDOWN", "UNLOCKED", False),
        ("SHUTTINGDOWN", "LOCKED", True),
        ("SHUTTINGDOWN", "SHUTTINGDOWN", True),
    ],
)
def test_a_cell_is_switched_unless_it_is_there_already(final: AdministrativeState, state: str, there: bool) -> None:
    change = switched(final, "L1", lte=state)
    assert paths(change) == ([] if there else [LTE_CELL])
    if change is None:
        return
    (phase,) = change.phases
    (edit,) = phase.edits
    assert (edit.op, edit.before, edit.after) == (
        Op.MERGE,
        {"administrativeState": state},
        {"administrativeState": final},
    )
    before = carrying(TWO, edit={LTE_CELL: {"administrativeState": state}}).tree
    after = apply_edits(ROOT, before, phase.edits)
    assert administrative_state(after, LTE_CELL) == final
    assert administrative_state(apply_edits(ROOT, after, phase.inverse), LTE_CELL) == state
    assert matches(ROOT, before, change.fingerprint)
    assert not matches(ROOT, after, change.fingerprint)
    (line,) = change.diff
    assert (line.what, line.before, line.after) == ("cell L1: administrative state", state, final)


def test_a_change_waits_for_what_it_brings_about() -> None:
    kinds = {"LOCKED": PhaseKind.LOCK, "UNLOCKED": PhaseKind.UNLOCK, "SHUTTINGDOWN": PhaseKind.LOCK}
    waits = {"LOCKED": ["cell-off-air"], "UNLOCKED": ["cell-on-air"], "SHUTTINGDOWN": []}
    for final, kind in kinds.items():
        change = switched(final, "L1", lte="LOCKED" if final == "UNLOCKED" else "UNLOCKED")  # type: ignore[arg-type]
        assert change is not None
        (phase,) = change.phases
        assert phase.kind is kind
        assert [wait.kind for wait in phase.wait] == [wait.kind for wait in change.checks] == waits[final]
        assert all(wait.path == LTE_CELL for wait in phase.wait)
        assert change.outage == (NO_OUTAGE if final == "UNLOCKED" else UNTIL_UNLOCKED)
        assert (change.touched, change.interrupted) == ((), ("alfa", "beta"))


def test_who_is_on_other_cells_only_is_not_interrupted() -> None:
    owners = {path: found for path, found in OWNERS.items() if cell_of(path) != "L1" or "beta" not in found}
    change = administrative_state_change("S1", PROFILES, carrying(TWO), ["L1"], owners, "LOCKED")
    assert change is not None
    assert change.interrupted == ("alfa",)


def test_without_a_selection_all_cells_of_ours_are_switched_and_by_an_empty_one_none() -> None:
    assert administrative_state_change("S1", PROFILES, carrying(TWO), (), OWNERS, "LOCKED") is None
    assert paths(switched("LOCKED")) == [LTE_CELL, NR_CELL]
    assert paths(switched("LOCKED", lte="LOCKED")) == [NR_CELL]
    assert paths(switched("LOCKED", ours=False)) == [NR_CELL]
    assert paths(switched("LOCKED", "N1")) == [NR_CELL]


def test_who_shuts_a_cell_down_is_not_overruled() -> None:
    with pytest.raises(ConflictError, match="somebody else is shutting cell L1 of S1 down"):
        switched("UNLOCKED", lte="SHUTTINGDOWN")
    assert paths(switched("UNLOCKED", "N1", lte="SHUTTINGDOWN", nr="LOCKED")) == [NR_CELL]


def test_a_run_of_ours_that_shuts_a_cell_down_is_named() -> None:
    seen = carrying(TWO, edit={LTE_CELL: {"administrativeState": "SHUTTINGDOWN"}})
    said = "ana locked cell L1 by run r-1 (own), which is under way (running)"
    with pytest.raises(ConflictError, match=f"^{re.escape(f'cell L1 of S1 is shutting down: {said}')}$"):
        administrative_state_change("S1", PROFILES, seen, ["L1"], OWNERS, "UNLOCKED", holders={"L1": said})


def test_cells_that_are_not_there_or_not_ours_are_named() -> None:
    with pytest.raises(NotFoundError, match="S1 has no cell L9; it has L1, N1"):
        switched("LOCKED", "L1", "L9")
    with pytest.raises(ConflictError, match="cell L1 of S1 is not ours"):
        switched("LOCKED", "N1", "L1", ours=False)


def test_a_station_out_of_service_keeps_its_root_and_what_is_not_ours() -> None:
    foreign = f"{LTE_CELL}/plmnIdList[999,99]"
    identity = f"{LTE}/pLMNId[716,01]"  # the eNB can't be without
    seen, known = carrying(TWO, edit={foreign: {}}), ledger(TWO)
    made = removal_plan("S1", PROFILES, seen, known)
    assert made.change is not None
    tree = seen.tree
    for phase in made.change.phases:
        tree = apply_edits(ROOT, tree, phase.edits)
    assert set(tree) == {ME, LTE, identity, LTE_CELL, foreign}
    assert made.change.gained == ()
    assert made.change.lost == tuple(sorted({*known} - {LTE, identity, LTE_CELL}))
    assert removed_nodes("S1", PROFILES, seen, known) == {*made.change.lost}
    stays = {path: entry for path, entry in known.items() if path in {ME, LTE, identity, LTE_CELL}}
    assert removal_plan("S1", PROFILES, Observed(tree), stays).change is None
    assert removed_nodes("S1", PROFILES, Observed(tree), stays) == frozenset()
    assert made.change.phases[0].kind is PhaseKind.LOCK
    # What somebody else made there is no business of ours: it does not enter the ledger by going out of it.
    unknown = removal_plan("S1", PROFILES, seen, {path: entry for path, entry in known.items() if path != ME})
    assert unknown.change is not None
    assert ME not in unknown.change.lost


def test_a_station_that_carries_nothing_of_ours_needs_no_change() -> None:
    assert removal_plan("S1", PROFILES, Observed({ME: {}}), {}).change is None
