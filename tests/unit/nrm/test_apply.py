"""Edits of a tree in memory: what a device would refuse is refused, and the tree stays as it was."""

from __future__ import annotations

import pytest

from controller.models.errors import DeviceRefusedError
from controller.models.plan import Edit, Op
from controller.nrm.apply import apply_edits
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Tree

ROOT = root_spec(("lte-28658",))
ELEMENT = "/ManagedElement[S1]"
ENB = f"{ELEMENT}/ENBFunction[1]"
CELL = f"{ENB}/EUtranCellFDD[L1]"
TREE: Tree = {ELEMENT: {}, ENB: {}, CELL: {}, f"{CELL}/plmnIdList[716,06]": {}}


def create(path: str, after_sibling: str | None = None) -> Edit:
    return Edit(op=Op.CREATE, path=path, after_sibling=after_sibling, owners=("host",))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (create(ENB), "data-exists"),
        (create(f"{ENB}/EUtranCellFDD[L2]/plmnIdList[716,06]"), "data-missing: there is no .*L2.$"),
        (create(f"{ENB}/Nothing[1]"), "unknown-element"),
        (create(f"{CELL}/plmnIdList[716,10]", f"{CELL}/plmnIdList[716,15]"), "missing-instance"),
        (Edit(op=Op.DELETE, path=f"{CELL}/plmnIdList[716,10]", owners=("host",)), "data-missing"),
        (Edit(op=Op.MERGE, path=f"{ENB}/EUtranCellFDD[L2]", after={"tac": "1"}, owners=("host",)), "data-missing"),
    ],
)
def test_what_a_device_would_refuse_is_refused(edit: Edit, reason: str) -> None:
    before = dict(TREE)
    with pytest.raises(DeviceRefusedError, match=reason):
        apply_edits(ROOT, TREE, [edit])
    assert before == TREE


def test_the_first_of_all_stands_below_nothing() -> None:
    assert apply_edits(ROOT, {}, [create(ELEMENT), create(ENB)]) == {ELEMENT: {}, ENB: {}}


def test_an_entry_goes_behind_its_sibling_or_first() -> None:
    first, last = f"{CELL}/plmnIdList[716,15]", f"{CELL}/plmnIdList[716,10]"
    made = apply_edits(ROOT, TREE, [create(last, f"{CELL}/plmnIdList[716,06]"), create(first, "")])
    assert [path for path in made if path.startswith(f"{CELL}/")] == [first, f"{CELL}/plmnIdList[716,06]", last]
