"""Processes show that they live, and whether their rounds come through."""

from __future__ import annotations

import asyncio
from contextlib import closing

from controller.models.process import Process, ProcessRole
from controller.observe.presence import Presence
from controller.observe.rounds import Rounds
from controller.ports.clock import VirtualClock
from controller.store import Page, open_store
from tests.support.quick_stores import DirectStore


async def test_a_process_is_on_record_while_it_lives_and_no_longer() -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        presence = Presence(DirectStore(store), ProcessRole.SCHEDULER, "one", sessions=lambda: 7)
        async with presence.shown(clock):
            await clock.advance(60)
            assert store.processes.find() == [Process(ProcessRole.SCHEDULER, "one", up=True, sessions=7)]
        assert store.processes.find() == []
        assert [row.action for row in store.audit.page(Page())[1]] == ["worker.stopped", "worker.started"]


async def test_one_that_was_taken_for_dead_comes_back() -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        presence = Presence(DirectStore(store), ProcessRole.LISTENER, "one", sessions=lambda: 0)
        async with presence.shown(clock):
            await clock.advance(2)
            (first,) = store.processes.alive()
            assert store.processes.declare_dead(first.id, first.counter)
            await clock.advance(5)
            (second,) = store.processes.alive()
            assert second.id != first.id
            assert store.processes.find() == [Process(ProcessRole.LISTENER, "one", up=True)]


async def test_rounds_that_hang_or_fail_are_late_and_others_are_not() -> None:
    clock = VirtualClock()
    broken = True

    async def hang() -> None:
        await asyncio.Event().wait()

    async def fail() -> None:
        if broken:
            raise ZeroDivisionError

    async def work() -> None:
        pass

    rounds = Rounds(clock)
    for name, round_ in (("hangs", hang), ("fails", fail), ("works", work)):
        rounds.start(name, round_, 1)
    await clock.advance(30)
    assert list(rounds.late) == []
    await clock.advance(5)
    assert list(rounds.late) == ["hangs", "fails"]
    broken = False
    await clock.advance(5)
    assert list(rounds.late) == ["hangs"]
    await rounds.stop()
