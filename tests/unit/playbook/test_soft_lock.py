"""A cell that shuts down locks itself, at any moment, and that is nobody's foreign edit."""

from __future__ import annotations

import pytest

from controller.models.plan import Edit, Op
from controller.models.run import Outcome
from controller.nrm.profiles import cells
from tests.unit.playbook.test_takeover import LOOK, Stage
from tests.unit.runs.transaction_bench import Interrupter

SHUT = "  - {name: shut, action: soft-lock-cell, with: {cells: ['L1']}}\n"
FAIL = "  - {name: fail, action: read-state, checks: ['{{ output.cells_on_air > 90 }}']}\n"


def become(stage: Stage, state: str) -> None:
    """The shutting cell becomes something else behind the controller's back."""
    if stage.lock != "SHUTTINGDOWN":
        return
    path = next(entry.path for entry in cells(stage.bench.device.running) if entry.cell == "L1")
    edit = Edit(op=Op.MERGE, path=path, after={"administrativeState": state}, owners=("host",))
    stage.bench.device.foreign_edit([edit])


@pytest.mark.parametrize("skip", range(8))
async def test_it_may_lock_itself_before_any_read(skip: int) -> None:
    stage = Stage(SHUT + LOOK)
    stage.bench.act("read", lambda: become(stage, "LOCKED"), skip=skip)
    result = await stage.work(stage.bench.claim(), Interrupter())
    stage.settled(result, Outcome.SUCCEEDED, stage.lock)
    assert stage.lock in ("LOCKED", "SHUTTINGDOWN")


async def test_somebody_who_unlocks_it_meanwhile_is_seen() -> None:
    stage = Stage(SHUT)
    stage.bench.act("read", lambda: become(stage, "UNLOCKED"), skip=3)
    result = await stage.work(stage.bench.claim(), Interrupter())
    assert not result.outcome.good
    assert stage.lock == "UNLOCKED"


@pytest.mark.parametrize("meanwhile", ["SHUTTINGDOWN", "LOCKED"])
async def test_undone_from_either_state(meanwhile: str) -> None:
    stage = Stage(SHUT + FAIL)
    stage.bench.act("read", lambda: become(stage, meanwhile), skip=5)
    result = await stage.work(stage.bench.claim(), Interrupter())
    stage.settled(result, Outcome.ROLLED_BACK, "UNLOCKED")


async def test_a_cell_that_is_gone_keeps_nobody_waiting_for_its_users() -> None:
    stage = Stage("  - {name: left, action: wait-until, with: {condition: cells-locked, cells: ['L1'], seconds: 5}}\n")
    gone = [path for path in stage.bench.device.running if "EUtranCellFDD[L1]" in path]
    stage.bench.device.foreign_edit([Edit(op=Op.DELETE, path=min(gone, key=len), owners=("host",))])
    result = await stage.work(stage.bench.claim(), Interrupter())
    assert result.outcome.good, result
