"""A whole controller in one process: workers that die, freeze and lose their database, on stations in memory.

Time jumps, nothing waits, and nothing here is left to chance, so that what went wrong goes wrong again.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from controller.drivers.fake import FakeDevices, FakeSession
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.protocols import DeviceSession
from controller.drivers.target import DeviceTarget
from controller.models.errors import StoreError
from controller.ports.clock import Clock, VirtualClock
from controller.ports.queue import FakeWakeups
from controller.runs.loop import WorkerLoop
from controller.runs.planning.planner import Planner
from controller.runs.planning.validity import Validity
from controller.runs.procedures import Tools
from controller.runs.sweeper import Sweeper
from controller.store import AsyncStore, Store, open_store
from controller.store.database.columns import metadata
from tests.unit.plan import samples

T = TypeVar("T")
#: Turns of the loop at one moment, after which something goes round in circles; some hundreds are usual.
_MOMENTS = 5_000


class BenchClock(VirtualClock):
    """Virtual time that moves on as soon as nobody has anything to do."""

    async def advance(self, seconds: float) -> None:
        target = self._elapsed + seconds
        await _idle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, waiter = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, due)
            if not waiter.done():
                waiter.set_result(None)
                await _idle()
        self._elapsed = target


async def _idle() -> None:
    """Let everything that can run do so; nothing on a bench waits for threads or sockets."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    for _ in range(_MOMENTS):
        if not loop._ready:  # type: ignore[attr-defined]
            return
        await asyncio.sleep(0)
    raise AssertionError(f"no time passes, but something is always done: {asyncio.all_tasks()}")


@cache
def _shared_store() -> Store:
    """Always the same store, emptied: making one takes longer than many runs do."""
    return open_store("sqlite://", VirtualClock())


def empty_store(clock: Clock) -> Store:
    """A store without rows. There is only one bench at a time."""
    store = _shared_store()
    with store.database.engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    store.database.clock = clock
    return store


@dataclass
class Life:
    """What may happen to a process.

    Attributes:
        skew: How wrong its wall clock is, in seconds.
        dead: It was killed: nothing that it still wants to do takes place.
        hung: It vanished without closing its connections.
        away: Calls of the database fail.
        lose: Calls of the database that take place although their answer is lost.
    """

    name: str
    skew: float = 0.0
    dead: bool = False
    hung: bool = False
    away: bool = False
    lose: int = 0
    thawed: asyncio.Event = field(default_factory=asyncio.Event)

    async def live(self) -> None:
        """Go on, if and when it may."""
        await self.thawed.wait()
        if self.dead:
            raise asyncio.CancelledError


class _Clock:
    """A process's Clock: it stands while the process is frozen, and its time of day may be wrong."""

    def __init__(self, clock: BenchClock, life: Life) -> None:
        self._clock, self._life = clock, life

    def now(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._life.skew)

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        await self._life.live()

    def pause(self, seconds: float) -> None:
        self._clock.pause(seconds)


class _Store(AsyncStore):
    """A process's store."""

    def __init__(self, store: Store, life: Life) -> None:
        super().__init__(store)
        self._life = life

    async def call(self, work: Callable[[Store], T]) -> T:
        await asyncio.sleep(0)
        await self._life.live()
        if self._life.away:
            raise StoreError("the database is away")
        result = work(self._store)
        if self._life.lose:
            self._life.lose -= 1
            raise StoreError("the answer was lost")
        return result


class _Session:
    """A process's session: no request leaves a process that is frozen or dead."""

    def __init__(self, session: FakeSession, life: Life) -> None:
        self._session, self._life = session, life

    def __getattr__(self, name: str) -> object:
        attribute = getattr(self._session, name)
        if name in ("session_id", "capabilities"):
            return attribute

        async def call(*args: object, **kwargs: object) -> object:
            await self._life.live()
            result = await attribute(*args, **kwargs)
            await self._life.live()
            return result

        return call


class _Devices:
    """A process's ``Devices``."""

    def __init__(self, devices: FakeDevices, life: Life) -> None:
        self._devices, self._life = devices, life

    @asynccontextmanager
    async def session(self, target: DeviceTarget) -> AsyncIterator[DeviceSession]:
        await self._life.live()
        async with self._devices.session(target) as session:
            assert isinstance(session, FakeSession)
            try:
                yield _Session(session, self._life)  # type: ignore[misc]
            finally:
                session._hung |= self._life.hung


@dataclass
class Process:
    """A worker or scheduler that runs."""

    life: Life
    stop: asyncio.Event
    task: asyncio.Task[None]


class FaultBench:
    """Record, stations, and the processes that work on them."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = BenchClock()
        self.store = empty_store(self.clock)
        self.devices = FakeDevices(self.clock)
        self.processes: dict[str, Process] = {}
        #: Processes that were asked to end and may take their time.
        self.leaving: list[Process] = []
        self._names = itertools.count(1)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out on the loop of the bench."""
        return self.loop.run_until_complete(work)

    def advance(self, seconds: float) -> None:
        """Let time pass; a process that ended by an error is an error of ours."""
        self.do(self.clock.advance(seconds))
        for process in (*self.processes.values(), *self.leaving):
            if process.task.done():
                process.task.result()
                assert process.stop.is_set(), f"{process.life.name} ended by itself"
        self.leaving = [process for process in self.leaving if not process.task.done()]

    # --------------------------------------------------------------- processes

    def start_worker(self, skew: float = 0.0, capacity: int = 10) -> str:
        """Start a worker; its name."""
        life = Life(f"w{next(self._names)}", skew)
        clock, store = _Clock(self.clock, life), _Store(self.store, life)
        devices = _Devices(self.devices, life)
        tools = Tools(store, devices, clock, lambda _network, station: target(station))  # type: ignore[arg-type]
        worker = WorkerLoop(life.name, tools, FakeWakeups(), capacity=capacity)
        self._start(life, worker.run)
        return life.name

    def start_scheduler(self) -> str:
        """Start a scheduler; its name."""
        life = Life(f"s{next(self._names)}")
        clock, store = _Clock(self.clock, life), _Store(self.store, life)
        sweeper = Sweeper(store, FakeWakeups(), clock, reminds=True)
        planner = Planner(store, self.devices, clock, lambda _network, station: target(station))
        validity = Validity(planner, clock)

        async def schedule(stop: asyncio.Event) -> None:
            while not stop.is_set():
                with suppress(StoreError):  # as rounds do
                    await validity.step()
                await sweeper.sweep()
                await clock.sleep(5)

        self._start(life, schedule)
        return life.name

    def _start(self, life: Life, run: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
        async def begin() -> None:
            life.thawed.set()
            stop = asyncio.Event()
            self.processes[life.name] = Process(life, stop, asyncio.create_task(run(stop)))
            await self.clock.advance(0)

        self.do(begin())

    def kill(self, name: str, *, hung: bool = False) -> None:
        """kill -9; ``hung`` is a host that vanished, so that the stations keep its sessions."""
        process = self.processes.pop(name)
        process.life.dead, process.life.hung = True, hung
        process.life.thawed.set()
        process.task.cancel()

        async def die() -> None:
            await asyncio.gather(process.task, return_exceptions=True)

        self.do(die())

    def ask_to_end(self, name: str) -> None:
        """SIGTERM."""
        process = self.processes.pop(name)
        process.stop.set()
        self.leaving.append(process)

    def close(self) -> None:
        """Kill whoever is left."""
        self.processes |= {f"leaving {index}": process for index, process in enumerate(self.leaving)}
        for name in tuple(self.processes):
            self.kill(name)
        self.loop.close()


def target(station: str) -> DeviceTarget:
    """Where a station is."""
    return NetconfTarget(station, samples.PROFILES, "127.0.0.1", 830, "ssh-ed25519 AAAA", "minka", "device")
