"""Two dozen stations under one record, which is backed up and restored, in time that jumps."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import event

from controller.assurance.checker import Checker
from controller.bootstrap import open_record
from controller.drivers.fake import SAFE, FakeDevices
from controller.drivers.registry import target_of
from controller.drivers.target import DeviceTarget
from controller.inventory.load import load_network
from controller.models.alarm import AlarmSource
from controller.models.network import Network, network_digest
from controller.models.run import RunState, Strategy
from controller.models.settings import Settings
from controller.nrm.tree import Tree
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.context import ActionServices
from controller.playbook.engine.job import PlaybookProcedure, procedures
from controller.playbook.engine.preparation import PlaybookPreparation
from controller.playbook.language.library import Library
from controller.ports.clock import VirtualClock
from controller.ports.notifier import FakeNotifier
from controller.ports.queue import FakeWakeups
from controller.ports.webhook import FakeWebhook
from controller.remediation.breaker import Breaker
from controller.remediation.guards import Limits
from controller.remediation.remediator import Remediator
from controller.runs.launch import Launcher
from controller.runs.loop import WorkerLoop
from controller.runs.planning.planner import Planner, PlanRequest
from controller.runs.procedures import Tools
from controller.store import Page, RunRequest, Store
from tests.support.definitions import load_rules
from tests.support.launch import submit
from tests.support.rules import promote
from tests.unit.runs.worker_bench import FlakyStore

ROOT = Path(__file__).parents[3]
TINY = ROOT / "tests" / "fixtures" / "networks" / "tiny"
NAMES = tuple(f"T-LTE-{number}" for number in range(101, 125))
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE6STW6vldRaE7aNw0HdPuAFe/t8RF5wzbUQq/DV9izA"
_FACTORY = {"dnPrefix": "DC=minka", "priorityLabel": "1"}


def _files(folder: Path) -> Path:
    """The tiny network with two dozen stations of their own."""
    files = Path(shutil.copytree(TINY, folder / "network"))
    rows: dict[str, list[str]] = {"stations": [], "cells": [], "endpoints": []}
    for index, name in enumerate(NAMES, start=1):
        rows["stations"].append(f"{name},ollanta,lte-28658,10.99.1.{index},{2000 + index},20,,")
        rows["cells"].append(f"{name},1,LTE,1,B28,9410,27410,10,{100 + index},101,999-01")
        rows["endpoints"].append(f"{name},127.20.1.{index},8300,{_KEY}")
    for kind, added in rows.items():
        with (files / f"{kind}.csv").open("a", encoding="utf-8") as file:
            file.writelines(f"{row}\n" for row in added)
    (files / "routers.csv").unlink()
    return files


#: The shipped playbooks.
LIBRARY = Library.in_folder(ROOT / "playbooks", registry())


class RestoreBench:
    """Record, stations and all that works on them.

    Attributes:
        notified: What people were notified of.
        carries: Whether stations carry their generation.
    """

    def __init__(self, folder: Path, *, carries: bool = False) -> None:
        self._folder = folder
        self.carries = carries
        self._files = _files(folder)
        self.clock = VirtualClock(datetime(2026, 6, 1, tzinfo=UTC))
        self.settings = Settings(home=folder / "home", rules=ROOT / "playbooks" / "rules")
        self.settings.home.mkdir()
        self.devices = FakeDevices(self.clock)
        self.notified = FakeNotifier()
        self.start()

    @property
    def loop(self) -> FlakyStore:
        return FlakyStore(self.store)

    @property
    def planner(self) -> Planner:
        return Planner(self.loop, self.devices, self.clock, target_of)

    @property
    def _world(self) -> ActionServices:
        return ActionServices(self.loop, self.planner, FakeWebhook(), self.clock)

    async def begin(self) -> None:
        """Stations as the factory made them are adopted, and carry the network."""
        await self.adopt()
        await self.apply()

    async def adopt(self) -> None:
        """Stations as the factory made them are adopted."""
        self.load()
        for name in NAMES:
            self.devices.add(name, ("lte-28658",), {f"/ManagedElement[{name}]": _FACTORY}, SAFE)
        await self.planner.adopt("*", "ana")

    def load(self, *, address: str = "") -> None:
        """Load the network files, perhaps with another address of a tenant's core."""
        if address:
            tenants = self._files / "tenants.yaml"
            text = tenants.read_text(encoding="utf-8")
            tenants.write_text(re.sub(r"10\.42\.0\.\d+", address, text), encoding="utf-8")
        network = load_network(self._files)
        self.store.networks.save(network, network_digest(network), "ana")

    async def submit(self, parallel: int = 500) -> str:
        """Ask for a run that brings all stations to the network files."""
        plan = await self.planner.plan(PlanRequest(selector="site=ollanta", expect_stations=len(NAMES)), "ana")
        assert len(plan.changes) == len(NAMES), (plan.unplanned, plan.findings[:3])
        strategy = Strategy(canary=0, wave_size=len(NAMES), parallel=parallel)
        return submit(self.store, FakeWakeups(), RunRequest(plan=plan, actor="ana", strategy=strategy)).id

    async def apply(self) -> None:
        """Bring all stations to the network files."""
        await self.end(await self.submit())

    async def end(self, run: str) -> None:
        """Work until a run has ended well."""
        async with self.at_work():
            for _ in range(800):
                if self.store.runs.get(run).state.terminal:
                    break
                await self.clock.advance(0.25)
        assert self.store.runs.get(run).state is RunState.SUCCEEDED, self.store.runs.jobs(run)[0]

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """A worker, for as long as the block runs."""

        def target(network: Network, station: str) -> DeviceTarget:
            return replace(target_of(network, station), carries=self.carries)

        of = procedures(PlaybookProcedure(self._world, registry()))
        tools = Tools(self.loop, self.devices, self.clock, target, procedure_of=of)
        stop = asyncio.Event()
        task = asyncio.create_task(WorkerLoop("w", tools, FakeWakeups()).run(stop))
        await self.clock.advance(0)
        try:
            yield
        finally:
            stop.set()
            while not task.done():
                await self.clock.advance(1)
            await task

    async def look(self, names: Sequence[str] = NAMES) -> None:
        """A listener begins, looks at stations once, and ends."""
        checker = Checker(self.loop, self.planner, self.clock, frozenset(AlarmSource))
        network = self.store.networks.get()[1]
        await checker.record([await checker.check(network, name) for name in names])

    async def live(self, seconds: int) -> None:
        """Worker, listener and scheduler do what they do."""
        checker = Checker(self.loop, self.planner, self.clock, frozenset(AlarmSource))
        rules = load_rules(self.settings.rules)
        promote(self.store, rules)
        playbooks = PlaybookPreparation(self._world, lambda _: LIBRARY, registry())
        remediator = Remediator(
            self.loop,
            Checker(self.loop, self.planner, self.clock, ()),
            Launcher(self.loop, self.planner, FakeWakeups(), playbooks),
            self.notified,
            self.clock,
            lambda _: rules,
            breaker=Breaker(limit=len(NAMES)),
            limits=Limits(len(NAMES), len(NAMES), len(NAMES), len(NAMES), 100),
        )
        async with self.at_work():
            network = self.store.networks.get()[1]
            for second in range(seconds):
                if second % 10 == 0:
                    await checker.record([await checker.check(network, name) for name in NAMES])
                self.store.integrity.check()
                await remediator.step()
                for _ in range(4):
                    await self.clock.advance(0.25)
            with suppress(asyncio.CancelledError):
                await remediator.settle()

    # ----------------------------------------------------------------- restore

    def back_up(self) -> Path:
        """A copy of the database."""
        copy = self._folder / "backup.sqlite3"
        with closing(sqlite3.connect(self._database)) as live, closing(sqlite3.connect(copy)) as kept:
            live.backup(kept)
        return copy

    def restore(self, copy: Path) -> None:
        """Stop all, put the copy in the database's place, and start."""
        self.store.close()
        self._put(copy)
        self.start()

    def start(self) -> None:
        """Open the record that is there; no test cuts the power, so that no commit need wait for the disk."""
        self.store: Store = open_record(self.settings, self.clock, "up")
        self.store.database.engine.dispose()
        event.listen(self.store.database.engine, "connect", lambda made, _: made.execute("PRAGMA synchronous = OFF"))

    def fail_over(self, copy: Path) -> None:
        """Under running processes: connections drop, and lead to a database that lost commits."""
        self.store.database.engine.dispose()
        self._put(copy)

    def _put(self, copy: Path) -> None:
        for end in ("-wal", "-shm"):
            Path(f"{self._database}{end}").unlink(missing_ok=True)
        shutil.copy(copy, self._database)

    @property
    def _database(self) -> Path:
        return self.settings.home / "minka.sqlite3"

    # ------------------------------------------------------------------- looks

    def carried(self) -> dict[str, Tree]:
        """What all stations carry."""
        return {name: self.devices[name].running for name in NAMES}

    def changes(self) -> int:
        """Changes of all stations so far."""
        return sum(len(self.devices[name].history) for name in NAMES)

    def actions(self) -> list[str]:
        """What is on the audit trail, oldest first."""
        return [row.action for row in self.store.audit.page(Page(100_000))[1]][::-1]
