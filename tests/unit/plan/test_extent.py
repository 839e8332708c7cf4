"""What a plan comes to, judged by the devices before and after it."""

from __future__ import annotations

import pytest

from controller.models.network import Network
from controller.models.plan import Change, Changes, PhaseKind
from controller.plan import PlanOptions, StationView, administrative_state_change, undo_change
from controller.plan.extent import extent
from tests.unit.plan.samples import FREELY, PROFILES, apply, carrying, factory, network, plan, view

TWO, THREE = network(), network(("alfa", "beta", "gamma"))


def populated(net: Network) -> Network:
    sites = tuple(one.model_copy(update={"population": 1000 + index}) for index, one in enumerate(net.sites))
    return net.model_copy(update={"sites": sites})


def retuned(net: Network) -> Network:
    """Its LTE cells with other PCIs, for which they are locked."""
    cells = [one.model_copy(update={"pci": one.pci + 3} if one.rat == "LTE" else {}) for one in net.cells]
    return net.model_copy(update={"cells": tuple(cells)})


@pytest.mark.parametrize(
    ("before", "after", "remove", "locks"),
    [(TWO, THREE, "", 0), (THREE, TWO, "gamma", 0), (TWO, retuned(TWO), "", 2)],
    ids=["a tenant comes", "a tenant goes", "cells are retuned"],
)
def test_an_extent_counts_what_differs_on_the_devices(before: Network, after: Network, remove: str, locks: int) -> None:
    wanted = populated(after)
    views = {station: view(before, station) for station in ("S1", "S2")}
    count = sum(remove in entry.owners for one in views.values() for entry in one.ledger.values())
    made = plan(wanted, views, PlanOptions(max_share=1.0, remove={remove: count} if remove else {}))
    came = {change.station: apply(wanted, change, views[change.station]) for change in made.changes}
    added, changed, removed = (sum(figures) for figures in zip(*_differences(views, came), strict=True))
    said = extent(made, wanted)
    assert (said.added, said.changed, said.removed, said.cells_locked) == (added, changed, removed, locks)
    assert said.people == 2001
    assert added + changed + removed > 0


def _differences(before: dict[str, StationView], after: dict[str, StationView]) -> list[tuple[int, int, int]]:
    """Nodes that are new, differ and are gone, by station."""
    found = []
    for station, view_after in after.items():
        there, here = before[station].observed, view_after.observed
        assert there is not None
        assert here is not None
        both = there.tree.keys() & here.tree.keys()
        differ = sum(there.tree[path] != here.tree[path] for path in both)
        found.append((len(here.tree.keys() - there.tree.keys()), differ, len(there.tree.keys() - here.tree.keys())))
    return found


def test_what_leaves_the_ledger_only_is_not_removed() -> None:
    """As where an undo gives nodes back that were on the device before."""
    views = {"S1": view(THREE)}
    count = sum("gamma" in entry.owners for entry in views["S1"].ledger.values())
    made = plan(TWO, views, PlanOptions(max_share=1.0, remove={"gamma": count}))
    (change,) = made.changes
    lost = (*change.lost, "/ManagedElement[S1]")
    more = made.model_copy(update={"changes": Changes.of([change.model_copy(update={"lost": lost})])})
    assert extent(more, TWO).removed == extent(made, TWO).removed == count


def test_locks_that_an_undo_puts_on_or_takes_off_are_no_nothing() -> None:
    """As of the playbooks that lock and unlock cells, whose undoing edits nothing else."""
    cells = [cell.id for cell in TWO.cells_by_station["S1"]]
    owners = {path: owned.owners for path, owned in view(TWO).ledger.items()}
    before, none = carrying(TWO), plan(TWO, {"S1": view(TWO)}, FREELY)
    locking = administrative_state_change("S1", PROFILES, before, cells, owners, "LOCKED")
    assert locking is not None
    locked = apply(TWO, locking, view(TWO)).observed
    assert locked is not None
    back = undo_change(PROFILES, locking, locked)

    def counted(change: Change) -> tuple[int, int]:
        said = extent(none.model_copy(update={"changes": Changes.of([change])}), TWO)
        assert (said.added, said.changed, said.removed) == (0, 0, 0)
        return said.cells_locked, said.cells_unlocked

    assert counted(locking) == (len(cells), 0)
    assert counted(back) == (0, len(cells))
    # Undoing the undo locks them again.
    assert counted(undo_change(PROFILES, back, before)) == (len(cells), 0)


@pytest.mark.parametrize("before", [TWO, None], ids=["cells are retuned", "cells are new"])
def test_cells_that_a_plan_locks_itself_or_makes_are_not_counted_as_unlocked(before: Network | None) -> None:
    views = {"S1": view(before) if before else factory()}
    made = plan(retuned(TWO), views, FREELY)
    (change,) = made.changes
    assert PhaseKind.UNLOCK in [phase.kind for phase in change.phases]
    assert extent(made, TWO).cells_unlocked == 0


def test_an_empty_plan_comes_to_nothing() -> None:
    made = plan(TWO, {"S1": view(TWO)}, FREELY)
    assert set(extent(made, populated(TWO)).model_dump().values()) == {0}
