"""Comparing leaves: what counts as wanted although it reads otherwise."""

from __future__ import annotations

import pytest

from controller.nrm.diff import Difference, LeafDifference, diff, plmn_part, settled
from controller.nrm.fingerprint import differences
from controller.nrm.profiles import cells, links, root_spec
from controller.nrm.schema import LeafSpec, NodeSpec
from controller.nrm.tree import Tree
from tests.unit.plan import samples

#: A list that users order, of entries with a leaf that has a default, and one without.
ORDERED = NodeSpec("B", "urn:b", user_ordered=True, leaves=(LeafSpec("plain"), LeafSpec("quiet", default="1")))
ROOT = NodeSpec("A", "urn:a", children=(ORDERED, NodeSpec("Given", "urn:a", given={"x": "1"})))
TOP, B1, B2 = "/A[1]", "/A[1]/B[1]", "/A[1]/B[2]"


def test_only_shutting_down_ends_by_itself_and_only_locked() -> None:
    root, tree = root_spec(samples.PROFILES), samples.carrying(samples.network()).tree
    cell, link = cells(tree)[0].path, links(tree)[0].path
    name = "administrativeState"
    assert settled(root, cell, name, "SHUTTINGDOWN", "LOCKED")
    assert settled(root, cell, name, "SHUTTINGDOWN", None), "LOCKED is a cell's default"
    assert not settled(root, cell, name, "SHUTTINGDOWN", "UNLOCKED")
    assert not settled(root, cell, name, "LOCKED", "SHUTTINGDOWN")
    assert not settled(root, cell, "tac", "SHUTTINGDOWN", "LOCKED")
    assert not settled(root, link, name, "SHUTTINGDOWN", None), "UNLOCKED is a link's default"
    assert not settled(root, cell, name, "UNLOCKED", "LOCKED"), "a cell that nobody unlocked"
    assert not settled(root, cell, "tac", "7", "8")
    assert settled(root, cell, "tac", "7", "7")


@pytest.mark.parametrize(
    ("seen", "wanted", "found"),
    [
        ({B1: {}}, {B1: {}}, Difference((), {}, ())),
        ({}, {B1: {}}, Difference((B1,), {}, ())),
        ({B1: {}}, {}, Difference((), {}, (B1,))),
        (
            {B1: {"plain": "1"}},
            {B1: {"plain": "2"}},
            Difference((), {B1: LeafDifference({"plain": "1"}, {"plain": "2"})}, ()),
        ),
        ({B1: {}}, {B1: {"plain": "2"}}, Difference((), {B1: LeafDifference({}, {"plain": "2"})}, ())),
        ({B1: {"quiet": "2"}}, {B1: {}}, Difference((), {B1: LeafDifference({"quiet": "2"}, {})}, ())),
        # Without a default, and wanted by nobody, a leaf is not managed.
        ({B1: {"plain": "2"}}, {B1: {}}, Difference((), {}, ())),
        ({B1: {"quiet": "1"}}, {B1: {}}, Difference((), {}, ())),
        # What comes with the device is missed by nobody; what no schema knows is compared by nobody.
        ({}, {"/A[1]/Given[1]": {"x": "1"}}, Difference((), {}, ())),
        ({"/A[1]/Odd[1]": {"x": "1"}}, {"/A[1]/Odd[1]": {"x": "2"}}, Difference((), {}, ())),
    ],
)
def test_a_difference_says_what_is_missing_what_changed_and_what_is_left(
    seen: Tree, wanted: Tree, found: Difference
) -> None:
    assert diff(ROOT, {TOP: {}, **seen}, {TOP: {}, **wanted}) == found
    assert found.is_empty is (found == Difference((), {}, ()))


def test_the_part_of_a_plmn_is_what_its_slices_share() -> None:
    cell = "/ManagedElement[1,2]/NRCellDU[n,1]"
    parts = {plmn_part(f"{cell}/pLMNInfoList[{keys}]") for keys in ("716,15,FFFFFF,1", "716,15,0000D1,2", "716,15")}
    assert len(parts) == 1
    assert parts.isdisjoint(
        plmn_part(f"{cell}/pLMNInfoList[{keys}]") for keys in ("716,1", "716,06,FFFFFF,1", "15,716")
    )


@pytest.mark.parametrize(
    ("seen", "expected", "found"),
    [
        ({TOP: {}}, {TOP: {}}, ()),
        ({B1: {"plain": "7"}}, {B1: {"plain": "8"}}, (f"{B1} plain: 7 instead of 8",)),
        ({B1: {"plain": ("a", "b")}}, {B1: {}}, (f"{B1} plain: a b instead of nothing",)),
        (
            {B1: {"quiet": "1"}},
            {B1: {"quiet": "2", "plain": "x"}},
            (f"{B1} plain: nothing instead of x", f"{B1} quiet: 1 instead of 2"),
        ),
        ({B1: {}}, {B1: {}, B2: {}}, (f"{B2}: missing",)),
        ({B1: {}, B2: {}}, {B2: {}}, (f"{B1}: unexpected",)),
        ({B1: {}, B2: {"plain": "1"}}, {B2: {"plain": "2"}}, (f"{B1}: unexpected", f"{B2} plain: 1 instead of 2")),
        ({B1: {}, B2: {}}, {B2: {}, B1: {}}, ("the order of a list that is ordered by user",)),
        # What is not covered may differ.
        ({B1: {}, "/C[1]": {}}, {B1: {}}, ()),
    ],
)
def test_differences_are_told_in_words(seen: Tree, expected: Tree, found: tuple[str, ...]) -> None:
    assert differences(ROOT, {TOP: {}, **seen}, {TOP: {}, **expected}, [TOP]) == found
