"""What phases amount to, what of an inverse is left to do, and what was lost besides."""

from __future__ import annotations

import pytest

from controller.models.plan import Edit, Op, Phase, PhaseKind
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Observed, Tree
from controller.runs.transaction.effects import effects, unfinished, vanished

ROOT = root_spec(("lte-28658",))
PATH = "/ManagedElement[S1]/A[1]"


def edit(op: Op, before: dict[str, str] | None = None, after: dict[str, str] | None = None) -> Edit:
    return Edit(op=op, path=PATH, before=before or {}, after=after or {}, owners=("host",))


def merge(before: dict[str, str], after: dict[str, str]) -> Edit:
    return edit(Op.MERGE, before, after)


CREATE = edit(Op.CREATE, after={"a": "1", "b": "2"})
DELETE = edit(Op.DELETE, before={"a": "1"})


@pytest.mark.parametrize(
    ("inverse", "tree", "left"),
    [
        pytest.param(CREATE, {}, CREATE, id="gone"),
        # Read from a device, equal values are not the same objects.
        pytest.param(edit(Op.CREATE, after={"a": "10"}), {PATH: {"a": str(10)}}, None, id="there"),
        pytest.param(
            CREATE, {PATH: {"a": "9", "b": "2"}}, merge({"a": "9"}, {"a": "1"}), id="there with another value"
        ),
        pytest.param(
            CREATE, {PATH: {"a": "0", "b": "2"}}, merge({"a": "0"}, {"a": "1"}), id="there with a lower value"
        ),
        pytest.param(CREATE, {PATH: {"a": "1"}}, merge({}, {"b": "2"}), id="there without a leaf"),
        pytest.param(
            CREATE, {PATH: {"a": "1", "b": "2", "c": "3"}}, merge({"c": "3"}, {}), id="there with a leaf more"
        ),
        pytest.param(DELETE, {PATH: {"a": "1"}}, DELETE, id="still there"),
        pytest.param(DELETE, {}, None, id="deleted already"),
        pytest.param(merge({"a": "1"}, {"a": "2"}), {}, None, id="nothing to merge into"),
        pytest.param(merge({"a": "1"}, {"a": "2"}), {PATH: {"a": "2", "c": "3"}}, None, id="merged already"),
        pytest.param(
            merge({"a": "1", "b": "1"}, {"a": "2", "b": "2"}),
            {PATH: {"a": "2", "b": "1", "c": "3"}},
            merge({"b": "1"}, {"b": "2"}),
            id="merged in part",
        ),
        pytest.param(merge({"a": "1"}, {}), {PATH: {"a": "1"}}, merge({"a": "1"}, {}), id="a leaf still there"),
    ],
)
def test_what_is_done_already_is_not_done_again(inverse: Edit, tree: Tree, left: Edit | None) -> None:
    assert unfinished(ROOT, [inverse], tree) == (() if left is None else (left,))


def test_a_leaf_at_its_default_is_as_if_it_were_absent() -> None:
    cell = "/ManagedElement[S1]/ENBFunction[1]/EUtranCellFDD[1]"
    lock = Edit(
        op=Op.MERGE,
        path=cell,
        before={"administrativeState": "UNLOCKED"},
        after={"administrativeState": "LOCKED"},
        owners=("host",),
    )
    assert unfinished(ROOT, [lock], {cell: {}}) == ()
    assert unfinished(ROOT, [lock], {cell: {"administrativeState": "UNLOCKED"}}) == (lock,)


# ------------------------------------------------------------------ net effects

ROOT = root_spec(("lte-28658",))
CELL = "/ManagedElement[S1]/ENBFunction[1]/EUtranCellFDD[L1]"
PLMN = f"{CELL}/plmnIdList[716,01]"


def phases(*edits: Edit, inverse: tuple[Edit, ...] = ()) -> list[Phase]:
    return [Phase(kind=PhaseKind.EDIT, edits=(one,), inverse=inverse) for one in edits]


def at(path: str, op: Op, before: dict[str, str] | None = None, after: dict[str, str] | None = None) -> Edit:
    return Edit(op=op, path=path, before=before or {}, after=after or {}, owners=("host",))


def holds(made: list[Phase], tree: Tree) -> tuple[bool, bool]:
    """Whether a tree is as before all the phases, and as after them."""
    total = effects(ROOT, made)
    return total.before_holds(tree), total.after_holds(tree)


def test_what_is_changed_twice_was_as_it_was_before_the_first_and_is_as_after_the_last() -> None:
    made = phases(at(CELL, Op.MERGE, {"tac": "1"}, {"tac": "2"}), at(CELL, Op.MERGE, {"tac": "2"}, {"tac": "3"}))
    assert [holds(made, {CELL: {"tac": tac}}) for tac in "123"] == [(True, False), (False, False), (False, True)]
    back = phases(at(CELL, Op.MERGE, {"tac": "1"}, {"tac": "2"}), at(CELL, Op.MERGE, {"tac": "2"}, {"tac": "1"}))
    assert [holds(back, {CELL: {"tac": tac}}) for tac in "12"] == [(True, True), (False, False)]
    # Leaves that it does not edit tell nothing, nor does an entry elsewhere.
    assert holds(made, {CELL: {"tac": "1", "pci": "9"}, PLMN: {}}) == (True, False)


def test_what_is_made_was_not_there_and_is_as_it_was_made() -> None:
    made = phases(at(CELL, Op.CREATE, after={"tac": "1"}))
    assert holds(made, {}) == (True, False)
    assert holds(made, {CELL: {"tac": "1"}}) == (False, True)
    assert holds(made, {CELL: {"tac": "2"}}) == (False, False)
    changed = [*made, *phases(at(CELL, Op.MERGE, {"tac": "1"}, {"tac": "2"}))]
    assert holds(changed, {CELL: {"tac": "2"}}) == (False, True)
    gone = [*made, *phases(at(CELL, Op.DELETE, {"tac": "1"}))]
    assert (holds(gone, {}), holds(gone, {CELL: {"tac": "1"}})) == ((True, True), (False, False))


def test_what_is_deleted_was_there_with_all_that_went_with_it() -> None:
    tree: Tree = {CELL: {"tac": "1"}, PLMN: {}}
    inverse = (at(CELL, Op.CREATE, after={"tac": "1"}), at(PLMN, Op.CREATE))
    made = phases(at(CELL, Op.DELETE, {"tac": "1"}), inverse=inverse)
    assert holds(made, tree) == (True, False)
    assert holds(made, {}) == (False, True)
    assert holds(made, {CELL: {"tac": "2"}}) == (False, False)
    again = [*made, *phases(*inverse)]
    assert holds(again, tree) == (True, True)
    assert holds(again, {CELL: {"tac": "1"}}) == (False, False)
    other = [*made, *phases(at(CELL, Op.CREATE, after={"tac": "7"}))]
    assert holds(other, {CELL: {"tac": "1"}}) == (True, False)
    assert holds(other, {CELL: {"tac": "7"}}) == (False, True)


@pytest.mark.parametrize("state", ["SHUTTINGDOWN", "LOCKED"])
def test_a_cell_that_was_told_to_shut_down_may_be_locked_meanwhile(state: str) -> None:
    leaf = "administrativeState"
    made = phases(at(CELL, Op.MERGE, {leaf: "UNLOCKED"}, {leaf: "SHUTTINGDOWN"}))
    assert holds(made, {CELL: {leaf: state}}) == (False, True)
    locks = phases(at(CELL, Op.MERGE, {leaf: "UNLOCKED"}, {leaf: "LOCKED"}))
    assert holds(locks, {CELL: {leaf: state}})[1] is (state == "LOCKED")


def test_what_is_gone_that_nobody_deleted_is_counted_and_named() -> None:
    carried = [f"{CELL}/plmnIdList[716,0{n}]" for n in range(5)]
    assert vanished(carried, [], Observed({path: {} for path in carried})) == ""
    said = vanished(carried, phases(at(carried[0], Op.DELETE)), Observed({}))
    assert said.startswith("4 of 5 nodes are gone from the device, and nobody asked for that: ")
    assert said.endswith(f": {', '.join(carried[1:4])} and 1 more")
    assert vanished(carried, phases(at(CELL, Op.DELETE)), Observed({})) == "", "they went with what holds them"
    assert vanished(carried, phases(at(CELL, Op.MERGE)), Observed({})).startswith("5 of 5")
