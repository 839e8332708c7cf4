"""A cell that shuts down locks itself, at any moment, and that is nobody's foreign edit."""

from __future__ import annotations

import pytest

from controller.models.plan import Edit, Op
from controller.models.run import Outcome
from controller.nrm.profiles import cells
from tests.unit.playbook.test_takeover import LOOK, PlaybookBench

SHUT = "  - {name: shut, action: soft-lock-cell, with: {cells: ['L1']}}\n"
FAIL = "  - {name: fail, action: read-state, checks: ['{{ output.cells_on_air > 90 }}']}\n"


def become(bench: PlaybookBench, state: str) -> None:
    """The shutting cell becomes something else behind the controller's back."""
    if bench.lock != "SHUTTINGDOWN":
        return
    path = next(entry.path for entry in cells(bench.device.running) if entry.cell == "L1")
    edit = Edit(op=Op.MERGE, path=path, after={"administrativeState": state}, owners=("host",))
    bench.device.foreign_edit([edit])


@pytest.mark.parametrize("skip", range(8))
async def test_it_may_lock_itself_before_any_read(skip: int) -> None:
    bench = PlaybookBench(SHUT + LOOK)
    bench.act("read", lambda: become(bench, "LOCKED"), skip=skip)
    result = await bench.work()
    bench.settled(result, Outcome.SUCCEEDED, bench.lock)
    assert bench.lock in ("LOCKED", "SHUTTINGDOWN")


async def test_somebody_who_unlocks_it_meanwhile_is_seen() -> None:
    bench = PlaybookBench(SHUT)
    bench.act("read", lambda: become(bench, "UNLOCKED"), skip=3)
    result = await bench.work()
    assert result.outcome is not None
    assert not result.outcome.good
    assert bench.lock == "UNLOCKED"


@pytest.mark.parametrize("meanwhile", ["SHUTTINGDOWN", "LOCKED"])
async def test_undone_from_either_state(meanwhile: str) -> None:
    bench = PlaybookBench(SHUT + FAIL)
    bench.act("read", lambda: become(bench, meanwhile), skip=5)
    result = await bench.work()
    bench.settled(result, Outcome.ROLLED_BACK, "UNLOCKED")


async def test_a_cell_that_is_gone_keeps_nobody_waiting_for_its_users() -> None:
    bench = PlaybookBench(
        "  - {name: left, action: wait-until, with: {condition: cells-locked, cells: ['L1'], seconds: 5}}\n"
    )
    gone = [path for path in bench.device.running if "EUtranCellFDD[L1]" in path]
    bench.device.foreign_edit([Edit(op=Op.DELETE, path=min(gone, key=len), owners=("host",))])
    result = await bench.work()
    assert result.outcome is not None
    assert result.outcome.good, result


WRITTEN = SHUT.replace("with: {cells: ['L1']}}", "with: {cells: ['L1']}, register: shut, undo: %s}")
UNLOCK = "{action: unlock-cell, with: {cells: '{{ shut.cells }}'}}"


@pytest.mark.parametrize("meanwhile", ["SHUTTINGDOWN", "LOCKED"])
async def test_a_written_undo_unlocks_what_the_step_shut_down_also_before_the_last_user_has_left(
    meanwhile: str,
) -> None:
    bench = PlaybookBench(WRITTEN % UNLOCK + FAIL)
    bench.act("read", lambda: become(bench, meanwhile), skip=5)
    result = await bench.work()
    bench.settled(result, Outcome.ROLLED_BACK, "UNLOCKED")


async def test_a_later_step_may_unlock_what_an_earlier_one_shut_down_and_nothing_that_somebody_else_did() -> None:
    reopen = "  - {name: reopen, action: unlock-cell, with: {cells: ['L1']}}\n"
    bench = PlaybookBench(SHUT + reopen)
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "UNLOCKED")
    bench = PlaybookBench(reopen)
    path = next(entry.path for entry in cells(bench.device.running) if entry.cell == "L1")
    shut = Edit(op=Op.MERGE, path=path, after={"administrativeState": "SHUTTINGDOWN"}, owners=("host",))
    bench.device.foreign_edit([shut])
    result = await bench.work()
    assert result.outcome is Outcome.REFUSED
    assert "somebody else is shutting cell L1 of S1 down" in result.detail
