"""A record, stations in memory and workers in virtual time, with a database that may go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from controller.drivers.fake import FakeDevice, FakeDevices
from controller.models.errors import StoreError
from controller.models.network import network_digest
from controller.models.run import Job, RunState, Strategy
from controller.ports.clock import VirtualClock
from controller.ports.queue import FakeWakeups
from controller.runs.loop import WorkerLoop
from controller.runs.procedures import Tools
from controller.store import AsyncStore, NewJob, Page, Store, open_store
from tests.support.launch import prepared
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import STATION, TARGET, add_tenant

T = TypeVar("T")


class FlakyStore(AsyncStore):
    """A store in memory, without a thread.

    Attributes:
        away: Whether calls raise StoreError without taking place.
        lose: Calls that still take place although their answer is lost.
        thawed: Calls wait for it before they take place.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.store = store
        self.away = False
        self.lose = 0
        self.thawed = asyncio.Event()
        self.thawed.set()

    async def call(self, work: Callable[[Store], T]) -> T:
        await asyncio.sleep(0)
        await self.thawed.wait()
        if self.away:
            raise StoreError
        result = work(self.store)
        if self.lose:
            self.lose -= 1
            raise StoreError("the answer was lost")
        return result


class WorkerBench:
    """A record, a station and workers."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = open_store("sqlite://", self.clock)
        self.devices = FakeDevices(self.clock)
        self.scenario = add_tenant()
        self.device: FakeDevice = self.devices.add(STATION, samples.PROFILES, self.scenario.before.tree)
        self.wakeups = FakeWakeups()
        self.store.networks.save(samples.network(), network_digest(samples.network()), "ana")
        self.store.plans.save(self.scenario.plan, "ana")

    def submit(self) -> str:
        jobs = [NewJob(0, STATION)]
        return self.store.runs.create(prepared(self.scenario.plan, "apply", Strategy(), jobs, actor="ana")).id

    def worker(self, store: FlakyStore | None = None, name: str = "w") -> WorkerLoop:
        tools = Tools(store or FlakyStore(self.store), self.devices, self.clock, lambda _network, _station: TARGET)
        return WorkerLoop(name, tools, self.wakeups)

    @asynccontextmanager
    async def working(self, worker: WorkerLoop) -> AsyncIterator[asyncio.Event]:
        stop = asyncio.Event()
        task = asyncio.create_task(worker.run(stop))
        await self.clock.advance(0)
        try:
            yield stop
        finally:
            stop.set()
            for _ in range(400):
                if task.done():
                    break
                await self.clock.advance(1)
            await task

    async def advance(self, seconds: float, step: float = 0.25) -> None:
        for _ in range(int(seconds / step)):
            await self.clock.advance(step)

    def job(self, run: str) -> Job:
        (job,) = self.store.runs.jobs(run)
        return job

    def assert_succeeded(self, run: str) -> None:
        assert self.store.runs.get(run).state is RunState.SUCCEEDED
        assert self.device.running == self.scenario.after
        assert set(self.store.ledger.find()[STATION]) == {node.path for node in self.scenario.change.gained}
        assert self.store.audit.verify() is None
        _, rows = self.store.audit.page(Page(1000))
        assert sum(row.action == "job.finished" for row in rows) == 1
