"""Whether the record takes writes: what a process finds, for how long that holds, and how others get to know."""

from __future__ import annotations

import re
import threading
from contextlib import closing, suppress

from controller.models.errors import StoreError
from controller.models.metrics import RECORD_WRITABLE, Observations
from controller.models.process import ProcessRole
from controller.models.record import Writable
from controller.observe.exposition import exposition
from controller.observe.presence import Presence
from controller.observe.write_probe import WriteProbe
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from tests.support.quick_stores import DirectStore
from tests.support.waiting import until


class Disk:
    """A database whose disk may be full, or that hangs."""

    def __init__(self) -> None:
        self.full = False
        self.answers = threading.Event()
        self.answers.set()

    def check(self) -> None:
        """See ``Status.check_writable``."""
        assert self.answers.wait(60)
        if self.full:
            raise StoreError("the disk is full")


async def _found(probe: WriteProbe) -> Writable:
    """What it finds by one try."""
    with suppress(StoreError):
        await probe.look()
    return probe.state


async def test_what_was_found_holds_until_the_next_try_and_not_for_ever() -> None:
    clock, disk = VirtualClock(), Disk()
    probe = WriteProbe(disk.check, clock)
    assert probe.figures()["unknown",] == 1, "nobody tried"
    assert await _found(probe) is Writable.YES
    disk.full = True
    for _ in range(10):
        assert await _found(probe) is Writable.NO
        await clock.advance(10)
        assert probe.state is Writable.NO
    disk.full = False
    assert await _found(probe) is Writable.YES
    assert probe.figures() == {("yes",): 1, ("no",): 0, ("unknown",): 0}
    await clock.advance(40)
    assert probe.state is Writable.UNKNOWN
    assert probe.figures() == {("yes",): 0, ("no",): 0, ("unknown",): 1}


async def test_a_try_that_does_not_end_is_unknown_and_keeps_nobody_waiting() -> None:
    clock, disk = VirtualClock(), Disk()
    probe = WriteProbe(disk.check, clock)
    async with probe.kept_up():
        await until(lambda: probe.state is Writable.YES)
        disk.answers.clear()
        await clock.advance(60)
        assert probe.state is Writable.UNKNOWN
        disk.answers.set()
        await until(lambda: probe.state is Writable.YES)


async def test_it_tries_again_after_a_failure_and_after_an_error_of_ours() -> None:
    failing: list[Exception] = [StoreError("the disk is full"), ZeroDivisionError()]

    def check() -> None:
        if failing:
            raise failing.pop(0)

    clock = VirtualClock()
    probe = WriteProbe(check, clock)
    async with probe.kept_up():
        await until(lambda: probe.state is Writable.NO)
        for left in (0, 0):
            await clock.advance(10)
            await until(lambda left=left: len(failing) == left)  # type: ignore[misc]
        await until(lambda: probe.state is Writable.YES)


def _shown(store: Store, presence: Presence | None = None) -> dict[tuple[str, str], str]:
    """The state by role and instance, as Prometheus reads it."""
    own = {} if presence is None else {"own": presence.states}
    page = exposition(store, store.database.clock, **own).decode()  # type: ignore[arg-type]
    found = re.findall(rf"^{RECORD_WRITABLE}{{(.*)}} 1\.0$", page, re.MULTILINE)
    labels = [dict(re.findall(r'(\w+)="([^"]*)"', one)) for one in found]
    states = {(one["role"], one["instance"]): one["state"] for one in labels}
    assert len(states) == len(labels), "one state each"
    return states


async def test_each_process_says_what_it_finds_and_a_silent_one_nothing() -> None:
    clock, disk = VirtualClock(), Disk()
    with closing(open_store("sqlite://", clock)) as store:
        probes, presences = {}, {}
        for role in (ProcessRole.API, ProcessRole.SCHEDULER):
            probes[role] = WriteProbe(disk.check, clock)
            observations = Observations()
            observations.watch(RECORD_WRITABLE, probes[role].figures)
            presences[role] = Presence(DirectStore(store), role, "a", sessions=lambda: 0, observations=observations)
        api, scheduler = presences[ProcessRole.API], presences[ProcessRole.SCHEDULER]
        await api.beat()
        await scheduler.beat()
        assert _shown(store, api) == {("api", "a"): "unknown", ("scheduler", "a"): "unknown"}
        for role, probe in probes.items():
            await probe.look()
            await presences[role].beat()
        assert _shown(store, api) == {("api", "a"): "yes", ("scheduler", "a"): "yes"}
        disk.full = True
        for probe in probes.values():
            assert await _found(probe) is Writable.NO
        # No heartbeat is taken any more: the process that serves the page says it all the same.
        assert _shown(store, api) == {("api", "a"): "no", ("scheduler", "a"): "yes"}
        await clock.advance(20)
        assert _shown(store, api) == {("api", "a"): "no"}
        assert _shown(store) == {}
        await scheduler.beat()
        assert _shown(store, api) == {("api", "a"): "no", ("scheduler", "a"): "no"}
