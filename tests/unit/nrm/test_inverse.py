"""The places that an inverse names: those only where an entry that is appended would stand elsewhere."""

from __future__ import annotations

from itertools import chain, combinations

import pytest

from controller.models.plan import Edit, Op
from controller.nrm.apply import apply_edits
from controller.nrm.inverse import invert
from controller.nrm.profiles import render, root_spec
from controller.nrm.tree import Path, parent
from tests.unit.nrm import samples
from tests.unit.nrm.samples import BOTH, LTE_CELLS, NR_CELLS, STATION

ROOT = root_spec(BOTH)
TREE = render(BOTH, samples.station_facts(LTE_CELLS + NR_CELLS)).tree
FDD = f"/ManagedElement[{STATION}]/ENBFunction[1]/EUtranCellFDD[B28-1]"
PLMNS = [path for path in TREE if parent(path) == FDD and "/plmnIdList[" in path]
REMOVALS = list(chain.from_iterable(combinations(PLMNS, count) for count in range(1, len(PLMNS) + 1)))


def delete(path: Path) -> Edit:
    return Edit(op=Op.DELETE, path=path, before=dict(TREE[path]), owners=("host",))


@pytest.mark.parametrize("gone", REMOVALS, ids=lambda gone: "+".join(str(PLMNS.index(path)) for path in gone))
def test_it_names_a_place_only_before_an_entry_that_stayed(gone: tuple[Path, ...]) -> None:
    edits = [delete(path) for path in gone]
    inverse = invert(ROOT, TREE, edits, {})
    last = max((PLMNS.index(path) for path in PLMNS if path not in gone), default=-1)
    placed = {edit.path for edit in inverse if edit.after_sibling is not None}
    assert placed == {path for path in gone if PLMNS.index(path) < last}
    back = [path for path in apply_edits(ROOT, apply_edits(ROOT, TREE, edits), inverse) if path in PLMNS]
    assert back == PLMNS


def test_a_cell_comes_back_with_its_lists_without_places() -> None:
    inverse = invert(ROOT, TREE, [delete(FDD)], {})
    assert [edit.path for edit in inverse if edit.path in PLMNS] == PLMNS
    assert {edit.after_sibling for edit in inverse} == {None}
