"""Which tenants lose service for good by a change, and in which cells."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from controller.models.outage import FOR_GOOD, NO_OUTAGE
from controller.nrm.profiles import administrative_leaf, broadcast_plmn, cells, is_link, rat_of
from controller.nrm.tree import Tree, is_below
from controller.plan.withdrawal import withdrawn
from tests.unit.plan.samples import FREELY, LTE_CELL, network, only_change, plan, view

THREE = network(("alfa", "beta", "gamma"))
SEEN = view(THREE)
OWNERS = {path: entry.owners for path, entry in SEEN.ledger.items()}
BOTH = ("L1", "N1")


def tree() -> dict[str, dict[str, Any]]:
    assert SEEN.observed is not None
    return {path: dict(leaves) for path, leaves in SEEN.observed.tree.items()}


def without(before: Tree, *gone: str) -> Tree:
    return {path: leaves for path, leaves in before.items() if not any(is_below(path, one) for one in gone)}


def owned(tenant: str) -> list[str]:
    return [path for path, owners in OWNERS.items() if owners == (tenant,)]


def test_a_removal_takes_a_tenant_out_of_its_cells_and_no_other() -> None:
    count = Counter(owner for owners in OWNERS.values() for owner in owners)["gamma"]
    made = only_change(plan(network(), {"S1": SEEN}, replace(FREELY, remove={"gamma": count})))
    assert made.withdrawn == {"gamma": BOTH}
    assert (made.outage_of("gamma"), made.outage_of("alfa"), made.outage) == (FOR_GOOD, NO_OUTAGE, NO_OUTAGE)


def test_one_cell_without_its_plmn_is_lost_and_the_other_is_not() -> None:
    gone = [path for path in owned("gamma") if broadcast_plmn(path) and is_below(path, LTE_CELL)]
    assert gone
    assert withdrawn(tree(), without(tree(), *gone), OWNERS) == {"gamma": ("L1",)}


def test_one_slice_of_a_plmn_that_stays_takes_nothing() -> None:
    paths = [path for path in owned("gamma") if broadcast_plmn(path) and not is_below(path, LTE_CELL)]
    assert len(paths) > 1, "both halves of the cell broadcast it"
    assert withdrawn(tree(), without(tree(), paths[0]), OWNERS) == {}


def test_all_core_links_of_a_technology_that_go_take_the_cells_of_that_technology() -> None:
    links = [path for path in owned("beta") if is_link(path)]
    lte = [path for path in links if rat_of(path) == "LTE"]
    assert withdrawn(tree(), without(tree(), *lte), OWNERS) == {"beta": ("L1",)}
    assert withdrawn(tree(), without(tree(), *links), OWNERS) == {"beta": BOTH}
    shared = OWNERS | {next(path for path in OWNERS if is_link(path) and path not in links): ("host",)}
    assert "L1" not in withdrawn(tree(), without(tree(), *links), shared).get("beta", ()), "the host's link serves it"


@pytest.mark.parametrize(("state", "lost"), [("LOCKED", ("N1",)), ("UNLOCKED", BOTH)])
def test_a_cell_that_serves_nobody_is_lost_by_nobody(state: str, lost: tuple[str, ...]) -> None:
    before = tree()
    before[LTE_CELL][administrative_leaf(LTE_CELL)] = state
    gone = [path for path in owned("gamma") if broadcast_plmn(path)]
    assert withdrawn(before, without(before, *gone), OWNERS) == {"gamma": lost}


def test_a_cell_that_goes_is_lost_by_all_on_it() -> None:
    lost = withdrawn(tree(), without(tree(), LTE_CELL), OWNERS)
    assert lost == dict.fromkeys(("alfa", "beta", "gamma"), ("L1",))
    assert {entry.cell for entry in cells(tree())} == {*BOTH}


def test_what_is_not_ours_is_lost_by_nobody_that_we_know() -> None:
    gone = [path for path in tree() if broadcast_plmn(path)]
    assert withdrawn(tree(), without(tree(), *gone), {}) == {}
