"""Comparing leaves: what counts as wanted although it reads otherwise."""

from __future__ import annotations

from controller.nrm.diff import settled
from controller.nrm.profiles import cells, links, root_spec
from tests.unit.plan import samples


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
