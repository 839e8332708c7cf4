"""Playbooks on stations that are decided together: all gates are passed together, and what fails takes all back."""

from __future__ import annotations

import random

import pytest

from controller.drivers.fake import Fault, FaultKind
from controller.inventory.source import Report
from controller.models.network import Network, network_digest
from controller.models.plan import LedgerNode
from controller.models.run import GateChoice, Outcome, Policy, RunState, Strategy
from controller.models.step import RunPlaybook
from controller.nrm.profiles import administrative_state, cells
from controller.nrm.tree import Observed
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.context import ActionServices
from controller.playbook.engine.job import PlaybookProcedure
from controller.playbook.language.library import parse
from controller.ports.webhook import FakeWebhook
from controller.runs.planning.planner import Planner
from controller.runs.procedures import Tools
from tests.support.soak import SOAK
from tests.unit.plan import samples
from tests.unit.runs.group_bench import GroupBench, Mortal, unit
from tests.unit.runs.transaction_bench import retune

HEAD = "name: own\ndescription: A playbook.\ntargets: '*'\nsteps:\n"
LOCK = "  - {name: lock, action: lock-cell, with: {cells: ['L1']}}\n"
LOCK_A = LOCK.replace("}}", "}, when: \"{{ target.station == 'A' }}\"}")
UNLOCK = "  - {name: unlock, action: unlock-cell, with: {cells: ['L1']}}\n"
NOT_B = "  - {name: look, action: read-state, checks: [\"{{ target.station != 'B' }}\"]}\n"
LONG = NOT_B.replace("]}", "], retries: 9, retry_seconds: 3600}")
#: Where software comes from.
SOURCES = ("sftp://10.0.0.1/",)
WAVE = Strategy(policy=Policy.WAVE, check_timeout=1, confirm_timeout=60, canary=0)


def network() -> Network:
    base = samples.network()
    station, site_cells = base.stations[0], base.cells
    return base.model_copy(
        update={
            "stations": tuple(station.model_copy(update={"id": name}) for name in "AB"),
            "cells": tuple(cell.model_copy(update={"station": name}) for name in "AB" for cell in site_cells),
            "endpoints": (),
        }
    )


def procedure(tools: Tools) -> PlaybookProcedure:
    planner = Planner(tools.store, tools.devices, tools.clock, tools.target_of)
    planner.read = lambda _network, station, **_: _read(tools, station)  # type: ignore[method-assign]
    return PlaybookProcedure(
        ActionServices(tools.store, planner, FakeWebhook(), tools.clock, sources=SOURCES), registry()
    )


async def _read(tools: Tools, station: str) -> Observed:
    async with tools.devices.session(tools.target_of(network(), station)) as session:
        return await session.read()


def group_of(steps: str, strategy: Strategy = WAVE) -> GroupBench:
    report = Report()
    loaded = parse(HEAD + steps, "own.yaml", registry(), report)
    assert loaded is not None, report.problems
    used = RunPlaybook(name="own", digest=loaded.digest, text=loaded.text)
    bench = GroupBench(
        [*unit("A"), *unit("B")], strategy, scenario=retune(), network=network(), procedure=procedure, playbook=used,
        bound=bool(strategy.patience),
    )  # fmt: skip
    for name in "AB":
        nodes = [LedgerNode(path=path, owners=("host",)) for path in bench[name].running]
        bench.store.devices.adopt(name, nodes, network_digest(bench.network), "ana")
    return bench


def locks(bench: GroupBench) -> dict[str, str]:
    bench.clock.pause(4000)
    found = {}
    for name in "AB":
        running = bench[name].running
        path = next(entry.path for entry in cells(running) if entry.cell == "L1")
        found[name] = administrative_state(running, path)
        assert not bench[name].pending
        assert not bench[name].lock_holder
    assert bench.store.audit.verify() is None
    assert not bench.store.claims.busy("AB")
    return found


def gates(bench: GroupBench) -> list[tuple[int, GateChoice]]:
    return sorted((one.gate, one.choice) for one in bench.store.gates.decisions([(bench.run, 0)]))


async def test_each_change_is_decided_together_and_the_end_too() -> None:
    bench = group_of(LOCK)
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED
    assert locks(bench) == {"A": "LOCKED", "B": "LOCKED"}
    assert gates(bench) == [(0, GateChoice.CONFIRM), (1, GateChoice.CONFIRM)]


async def test_what_fails_after_a_change_takes_it_back_everywhere() -> None:
    bench = group_of(LOCK + NOT_B)
    await bench.work()
    assert bench.outcomes() == {"A": Outcome.WITHDRAWN, "B": Outcome.ROLLED_BACK}
    assert locks(bench) == {"A": "UNLOCKED", "B": "UNLOCKED"}


async def test_who_has_nothing_to_change_passes_with_the_others() -> None:
    bench = group_of(LOCK_A + UNLOCK)
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED
    assert locks(bench) == {"A": "UNLOCKED", "B": "UNLOCKED"}
    assert gates(bench) == [(0, GateChoice.CONFIRM), (1, GateChoice.CONFIRM), (2, GateChoice.CONFIRM)]


async def test_a_change_that_fails_on_one_is_confirmed_on_none() -> None:
    bench = group_of(LOCK)
    bench["B"].faults.append(Fault("edit", FaultKind.REFUSE))
    await bench.work()
    assert bench.outcomes() == {"A": Outcome.WITHDRAWN, "B": Outcome.FAILED_SAFE}
    assert locks(bench) == {"A": "UNLOCKED", "B": "UNLOCKED"}


async def test_a_cancel_cuts_a_long_wait_and_what_was_done_is_undone() -> None:
    bench = group_of(LOCK + LONG)
    shift = bench.shift(Mortal())
    begun = bench.clock.monotonic()

    def cancel() -> None:
        bench.store.runs.cancel(bench.run, "ana")

    bench.after(60, cancel)
    assert await shift
    assert bench.clock.monotonic() - begun < 120
    assert bench.state() is RunState.CANCELLED
    assert set(bench.outcomes().values()) == {Outcome.WITHDRAWN}
    assert locks(bench) == {"A": "UNLOCKED", "B": "UNLOCKED"}


@pytest.mark.parametrize("steps", [LOCK + NOT_B, LOCK_A])
async def test_killed_at_many_calls(steps: str) -> None:
    life = Mortal()
    assert await group_of(steps).shift(life)
    chance = random.Random(steps)
    for at in range(1, len(life.calls) + 1, 1 if SOAK else 12):
        bench = group_of(steps)
        await bench.work(Mortal(at, chance.random() < 0.5, chance.random() < 0.5))
        failing = "look" in steps
        expected = {"A": "UNLOCKED", "B": "UNLOCKED"} if failing else {"A": "LOCKED", "B": "UNLOCKED"}
        assert locks(bench) == expected, (at, bench.store.runs.jobs(bench.run))


@pytest.mark.parametrize("policy", list(Policy))
async def test_one_that_was_away_passes_all_gates_later(policy: Policy) -> None:
    """By itself, from its first step on; the other one waits for it at none of them."""
    bench = group_of(LOCK + UNLOCK, WAVE.model_copy(update={"policy": policy, "patience": 15}))
    bench["B"].unreachable = "no route"
    bench.after(10, lambda: setattr(bench["B"], "unreachable", ""))
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED
    first, second = (bench.job(name) for name in "AB")
    assert first.finished is not None
    assert second.started is not None
    assert first.finished < second.started
    assert [step.outcome for step in bench.store.steps.find(second.id)] == [Outcome.SUCCEEDED] * 2
    rounds = {one.round for one in bench.store.gates.decisions([(bench.run, 0)]) if one.choice is GateChoice.CONFIRM}
    assert rounds == (set() if policy is Policy.STATION else {0, 1})
