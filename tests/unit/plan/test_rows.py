"""Changes and plans in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from controller.models.many import first_names
from controller.models.outage import Outage
from controller.models.plan import Change, Edit, Op
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Leaves, Path
from controller.plan.document import compare, seal
from controller.plan.rows import contents, describe, entry_name, leaf_texts
from tests.unit.plan.samples import LTE, LTE_CELL, NOW, NR_CELL, PROFILES, network, only_change, plan, view

ROOT = root_spec(PROFILES)
LINK = f"{LTE}/EP_S1C[alfa-mme]"
CHANGE = only_change(plan(network(("alfa", "beta", "gamma")), {"S1": view(network())}))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"{LTE_CELL}/plmnIdList[716,10]", "PLMN 716-10"),
        (f"{NR_CELL}/pLMNInfoList[716,10,FFFFFF,1]", "PLMN and slice 716-10 slice 1"),
        (f"{NR_CELL}/pLMNInfoList[716,10,0000D1,2]", "PLMN and slice 716-10 slice 2-0000D1"),
        (LINK, "S1 link alfa-mme"),
        (f"{LINK}/localAddress[10.0.0.1,101]", "local address and VLAN 10.0.0.1 101"),
        (f"{LTE}/Odd[1,2]", "Odd 1 2"),
        (LTE, "eNB"),
        (LTE.replace("[1]", "[2]"), "eNB 2"),
    ],
)
def test_an_entry_is_named_by_its_label_and_keys(path: Path, name: str) -> None:
    assert entry_name(ROOT, path) == name


@pytest.mark.parametrize(
    ("path", "leaves", "words"),
    [
        (f"{LTE_CELL}/plmnRadioShareList[716,10]", {"minRatio": "20", "maxRatio": "60"}, "minimum % 20, maximum % 60"),
        (f"{LTE_CELL}/plmnRadioShareList[716,10]", {}, "present"),
        (f"{LTE_CELL}/plmnIdList[716,10]", {}, "broadcast"),
        # What has no label, what locks, and what no profile knows is left out.
        (LTE_CELL, {"priorityLabel": "1", "administrativeState": "LOCKED", "odd": "1", "tac": "7"}, "TAC 7"),
        (f"{LTE}/Odd[1]", {"odd": "1"}, "present"),
    ],
)
def test_an_entry_is_told_by_the_leaves_that_have_a_label(path: Path, leaves: Leaves, words: str) -> None:
    assert contents(ROOT, path, leaves) == words


@pytest.mark.parametrize(
    ("path", "before", "after", "texts"),
    [
        (LTE_CELL, {"tac": "7"}, {"tac": "8"}, [("cell L1: TAC", "7", "8")]),
        (LTE_CELL, {"tac": "7"}, {}, [("cell L1: TAC", "7", "–")]),
        (LTE_CELL, {}, {"priorityLabel": "2"}, [("cell L1: priorityLabel", "–", "2")]),
        (
            f"{LTE_CELL}/plmnRadioShareList[716,10]",
            {},
            {"maxRatio": "60"},
            [("radio share 716-10: maximum %", "100", "60")],
        ),
        (
            NR_CELL,
            {"nRSectorCarrierRef": ("a", "b")},
            {"nRSectorCarrierRef": ("b",)},
            [("cell N1: nRSectorCarrierRef", "a b", "b")],
        ),
    ],
)
def test_a_leaf_that_is_not_there_shows_its_default(
    path: Path, before: Leaves, after: Leaves, texts: list[tuple[str, str, str]]
) -> None:
    assert leaf_texts(ROOT, path, before, after) == texts


def edit(op: Op, path: Path, **leaves: Any) -> Edit:
    return Edit(op=op, path=path, owners=("alfa",), **leaves)


def rows(*edits: Edit, replaced: Mapping[Path, Path] | None = None) -> list[tuple[str, str, str]]:
    return [(row.what, row.before, row.after) for row in describe(ROOT, edits, replaced or {})]


def test_addresses_and_plmns_are_told_with_the_link_that_comes_with_them() -> None:
    address, served = (
        edit(Op.CREATE, f"{LINK}/localAddress[10.0.0.1,101]"),
        edit(Op.CREATE, f"{LINK}/servedPlmnList[716,01]"),
    )
    link = edit(Op.CREATE, LINK, after={"remoteAddress": "10.1.0.0"})
    assert rows(link, address, served) == [
        (
            "S1 link alfa-mme",
            "–",
            "MME address 10.1.0.0; local address and VLAN 10.0.0.1 101; served PLMN 716-01",
        )
    ]
    assert rows(served) == [("S1 link alfa-mme: served PLMN 716-01", "–", "present")]
    assert rows(edit(Op.DELETE, LINK, before={"remoteAddress": "10.1.0.0"})) == [
        ("S1 link alfa-mme", "MME address 10.1.0.0", "–")
    ]


def test_what_a_new_cell_broadcasts_has_a_row_of_its_own() -> None:
    share = f"{LTE_CELL}/plmnRadioShareList[716,01]"
    made = [edit(Op.CREATE, path) for path in (LTE_CELL, f"{LTE_CELL}/plmnIdList[716,01]", share)]
    assert [what for what, *_ in rows(*made)] == ["cell L1", "PLMN 716-01", "radio share 716-01"]


def test_what_takes_anothers_place_is_one_row() -> None:
    old, new = (f"{LINK}/localAddress[10.0.0.1,{vlan}]" for vlan in (101, 102))
    assert rows(edit(Op.DELETE, old), edit(Op.CREATE, new), replaced={new: old}) == [
        ("S1 link alfa-mme: local address and VLAN", "10.0.0.1 101", "10.0.0.1 102")
    ]


def test_of_many_names_three_are_told() -> None:
    assert [first_names("abcde"[:count]) for count in (0, 1, 3, 4, 5)] == [
        "",
        "a",
        "a, b, c",
        "a, b, c and 1 more",
        "a, b, c and 2 more",
    ]


# ----------------------------------------------------------------- whole plans


def sealed(*changes: Change) -> Any:
    return seal(
        created=NOW,
        network="test",
        network_digest="",
        selector="",
        changes=changes,
        unchanged=[],
        unplanned={},
    )


def test_the_same_edits_on_another_state_of_a_station_differ() -> None:
    other = CHANGE.model_copy(update={"outage": Outage.timed(CHANGE.outage.seconds + 1)})
    found = compare(sealed(CHANGE), sealed(other))
    assert [(one.station, one.only_in) for one in found] == [("S1", "both")]
    assert compare(sealed(CHANGE), sealed(CHANGE)) == ()
    rest, one = sealed(), sealed(CHANGE)
    assert (
        {found.only_in for found in compare(rest, one)} == {found.only_in for found in compare(one, rest)} == {one.id}
    )
    assert len(compare(rest, one)) == len(CHANGE.diff)


def test_a_row_about_how_a_cell_relates_to_others_says_so() -> None:
    listed = [{"station": "S1", "cell": one, "neighbour_station": "S2", "neighbour_cell": one} for one in ("L1", "N1")]
    change = only_change(plan(network(neighbours=listed), {"S1": view(network())}))
    assert {(row.what, row.elsewhere) for row in change.diff} >= {("neighbour relation S2.L1", True)}
    assert all(row.elsewhere == row.what.startswith(("neighbour", "relation to")) for row in change.diff)
