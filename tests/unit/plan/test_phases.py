"""Which cells must be locked for an edit, how long it lasts, and what goes only when others have come."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from controller.models.outage import FOR_GOOD, NO_OUTAGE, UNTIL_UNLOCKED, Outage, OutageKind
from controller.models.plan import Edit, Op, Phase, PhaseKind
from controller.nrm.profiles import root_spec
from controller.nrm.schema import Mutability, NodeSpec
from controller.nrm.tree import Path, Tree
from controller.plan.phases import (
    Locks,
    find_locks,
    link_waits,
    make_before_break,
    outage_of,
    outage_seconds,
    was_failed,
)
from tests.unit.plan.samples import LTE, LTE_CELL, NR_CELL, PROFILES, carrying, network

ROOT = root_spec(PROFILES)
DU = NR_CELL.rpartition("/")[0]
CARRIER = f"{DU}/NRSectorCarrier[N1]"
CU_HALF = "/ManagedElement[S1]/GNBCUCPFunction[1]/NRCellCU[N1]"
LINK = f"{LTE}/EP_S1C[alfa-mme]"
CELLS = (LTE_CELL, NR_CELL)
NAMED = {NR_CELL: {"nRSectorCarrierRef": ("ManagedElement=S1,GNBDUFunction=1,NRSectorCarrier=N1",)}}
TREE: Tree = carrying(network(), edit={**NAMED, CARRIER: {}}).tree


def edit(op: Op, path: Path, *leaves: str, owners: tuple[str, ...] = ("alfa",), **more: Any) -> Edit:
    return Edit(op=op, path=path, after=dict.fromkeys(leaves, "1"), owners=owners, **more)


@pytest.mark.parametrize(
    ("made", "locked", "restarts"),
    [
        (edit(Op.MERGE, LTE_CELL, "pci"), [LTE_CELL], False),
        (edit(Op.MERGE, LTE_CELL, "pci", "userLabel"), [LTE_CELL], False),
        (edit(Op.MERGE, LTE_CELL, before={"pci": "1"}), [LTE_CELL], False),
        (edit(Op.MERGE, LTE_CELL, "userLabel"), [], False),
        # A carrier concerns the cells that name it, be they called like it or not; one that none names, none.
        (edit(Op.MERGE, CARRIER, "configuredMaxTxPower"), [NR_CELL], False),
        (edit(Op.MERGE, f"{DU}/NRSectorCarrier[X]", "configuredMaxTxPower"), [], False),
        # No cell leaves the air without having been locked, whatever goes.
        (edit(Op.DELETE, NR_CELL), [NR_CELL], False),
        (edit(Op.DELETE, LTE), list(CELLS), False),
        (edit(Op.DELETE, f"{LTE_CELL}/plmnIdList[716,02]"), [], False),
        # The PLMN of a global node id is taken over at a restart.
        (edit(Op.CREATE, f"{LTE}/pLMNId[716,02]"), list(CELLS), True),
        (edit(Op.DELETE, f"{LTE}/pLMNId[716,01]"), list(CELLS), True),
        (edit(Op.CREATE, f"{LTE.replace('[1]', '[2]')}/pLMNId[716,02]"), [], False),
        (edit(Op.CREATE, f"{LTE}/Odd[1]"), [], False),
    ],
)
def test_what_an_edit_needs_locked(made: Edit, locked: list[Path], restarts: bool) -> None:
    assert find_locks(ROOT, TREE, [made]) == Locks(tuple(locked), tuple(locked), restarts)


def test_what_concerns_the_other_half_of_a_cell_locks_that_cell() -> None:
    """As in a profile whose CU part of a cell bears no change on air."""

    def graver(node: NodeSpec) -> NodeSpec:
        mutability = Mutability.LOCKED if node.name == "NRCellCU" else node.mutability
        return replace(node, children=tuple(map(graver, node.children)), mutability=mutability)

    twice = {**TREE, NR_CELL.replace("[N1]", "[N0]"): TREE[NR_CELL], NR_CELL.replace("[N1]", "[N2]"): TREE[NR_CELL]}
    assert find_locks(graver(ROOT), twice, [edit(Op.DELETE, CU_HALF)]).cells == (NR_CELL,)


def test_only_cells_that_are_unlocked_are_locked_by_us() -> None:
    for state in ("LOCKED", "SHUTTINGDOWN"):
        tree = {**TREE, LTE_CELL: {**TREE[LTE_CELL], "administrativeState": state}}
        assert find_locks(ROOT, tree, [edit(Op.DELETE, LTE)]) == Locks(CELLS, (NR_CELL,), restarts=False)


def test_cells_that_get_another_identity_are_locked_with_the_others_in_their_order() -> None:
    found = find_locks(ROOT, TREE, [edit(Op.MERGE, NR_CELL, "nRPCI")], [LTE_CELL])
    assert found == Locks(CELLS, CELLS, restarts=False)


@pytest.mark.parametrize(
    ("locks", "made", "seconds"),
    [
        (Locks(CELLS, CELLS, restarts=True), edit(Op.MERGE, LTE_CELL, "pci"), 180),
        (Locks(CELLS, CELLS, restarts=False), edit(Op.MERGE, LTE_CELL, "pci"), 8),
        # A cell that is locked anyway is out of service for no longer.
        (Locks(CELLS, (), restarts=False), edit(Op.MERGE, LTE_CELL, "pci"), 0),
        (Locks((), (), restarts=False), edit(Op.MERGE, LINK, "remoteAddress"), 5),
        (Locks((), (), restarts=False), edit(Op.CREATE, f"{LINK}/localAddress[10.9.9.9,9]"), 5),
        (Locks((), (), restarts=False), edit(Op.DELETE, f"{LINK}/localAddress[10.9.9.9,9]"), 5),
        # A link that is made again had nobody, nor has a PLMN that joins one.
        (Locks((), (), restarts=False), edit(Op.CREATE, f"{LTE}/EP_S1C[x]/localAddress[10.9.9.9,9]"), 0),
        (Locks((), (), restarts=False), edit(Op.CREATE, f"{LINK}/servedPlmnList[716,09]"), 0),
        (Locks((), (), restarts=False), edit(Op.CREATE, f"{LTE}/EP_S1C[x]"), 0),
        (Locks((), (), restarts=False), edit(Op.CREATE, f"{LTE}/pLMNId[716,09]"), 0),
    ],
)
def test_how_long_the_worst_cell_or_link_is_out(locks: Locks, made: Edit, seconds: int) -> None:
    assert outage_seconds(ROOT, TREE, [made], locks) == seconds


def phase(kind: PhaseKind, *edits: Edit) -> Phase:
    return Phase(kind=kind, edits=edits, inverse=())


LOCK_L, LOCK_N = edit(Op.MERGE, LTE_CELL, "administrativeState"), edit(Op.MERGE, NR_CELL, "administrativeState")
WORK, GOES, COMES = edit(Op.MERGE, LTE, "eNBName"), edit(Op.DELETE, LTE), edit(Op.CREATE, LTE_CELL)


@pytest.mark.parametrize(
    ("phases", "seconds", "outage"),
    [
        ([phase(PhaseKind.LOCK, LOCK_L), phase(PhaseKind.EDIT, WORK), phase(PhaseKind.UNLOCK, LOCK_L)], 8, "about 8 s"),
        ([phase(PhaseKind.LOCK, LOCK_L, LOCK_N), phase(PhaseKind.UNLOCK, LOCK_N)], 8, "until unlocked"),
        ([phase(PhaseKind.LOCK, LOCK_L)], 2, "until unlocked"),
        ([phase(PhaseKind.UNLOCK, LOCK_L), phase(PhaseKind.LOCK, LOCK_L)], 0, "until unlocked"),
        (
            [phase(PhaseKind.LOCK, LOCK_L, LOCK_N), phase(PhaseKind.EDIT, GOES), phase(PhaseKind.UNLOCK, LOCK_N)],
            8,
            "for good",
        ),
        (
            [phase(PhaseKind.LOCK, LOCK_L), phase(PhaseKind.EDIT, GOES, COMES), phase(PhaseKind.UNLOCK, LOCK_L)],
            8,
            "about 8 s",
        ),
        ([phase(PhaseKind.UNLOCK, LOCK_L)], 5, "none"),
        # What was off the air before loses nothing.
        ([phase(PhaseKind.EDIT, GOES)], 0, "none"),
        ([phase(PhaseKind.EDIT, WORK)], 5, "about 5 s"),
        ([], 5, "none"),
    ],
)
def test_how_an_outage_ends(phases: list[Phase], seconds: int, outage: str) -> None:
    found = outage_of(phases, seconds)
    assert str(found) == outage
    assert found.interrupts is (outage != "none")
    assert found.is_open is (outage in ("until unlocked", "for good"))


def test_the_worst_outage_of_several() -> None:
    short, long, unknown = Outage.timed(2), Outage.timed(900), Outage(kind=OutageKind.UNKNOWN)
    order = [NO_OUTAGE, short, long, unknown, UNTIL_UNLOCKED, FOR_GOOD]
    assert all(Outage.worst(pair) == max(pair, key=order.index) for pair in permutations(order, 2))
    assert (Outage.worst([]), Outage.timed(0)) == (NO_OUTAGE, NO_OUTAGE)


def test_links_go_once_others_of_their_owners_are_up_and_nothing_else_waits() -> None:
    comes, goes = edit(Op.CREATE, f"{LTE}/EP_S1C[new]", "remoteAddress"), edit(Op.DELETE, LINK)
    others = [
        edit(Op.DELETE, f"{LTE}/EP_S1C[beta-mme]", owners=("beta",)),
        edit(Op.DELETE, f"{LTE_CELL}/plmnIdList[716,01]"),
        edit(Op.MERGE, f"{LTE}/EP_S1C[other]", "userLabel"),
    ]
    assert make_before_break(ROOT, [goes, *others, comes]) == ([*others, comes], [goes])
    assert make_before_break(ROOT, [goes, *others]) == ([goes, *others], [])
    cell = edit(Op.CREATE, f"{LTE_CELL}/plmnIdList[716,09]")
    assert make_before_break(ROOT, [goes, cell]) == ([goes, cell], [])


def test_links_that_come_unlocked_are_waited_for() -> None:
    state = "administrativeState"
    link, locked = (
        Edit(op=Op.CREATE, path=f"{LTE}/EP_S1C[{name}]", after={state: name}, owners=("alfa", "beta"))
        for name in ("UNLOCKED", "LOCKED")
    )
    rest = (edit(Op.MERGE, LINK, "remoteAddress"), edit(Op.DELETE, LINK), edit(Op.CREATE, LTE_CELL))
    (wait,) = link_waits(ROOT, [link, locked, *rest])
    assert (wait.kind, wait.path, wait.tenant) == ("link-up", link.path, "alfa, beta")


@pytest.mark.parametrize(
    ("leaves", "disabled", "failed"),
    [({}, False, False), ({}, True, True), ({"administrativeState": "LOCKED"}, True, False), (None, True, False)],
)
def test_a_cell_failed_where_it_is_unlocked_and_off_air(
    leaves: dict[str, str] | None, disabled: bool, failed: bool
) -> None:
    observed = carrying(network(), edit={LTE_CELL: leaves})
    if disabled and LTE_CELL in observed.state:
        observed.state[LTE_CELL]["operationalState"] = "DISABLED"  # type: ignore[index]
    assert was_failed(observed, LTE_CELL) is failed
