"""A system with a worker that knows playbooks, and the API that starts them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from controller.inventory.load import load_network
from controller.models.alarm import AlarmSource
from controller.models.network import Network, network_digest
from controller.models.run import Job, Run, RunState
from controller.models.step import StepRecord
from controller.nrm.tree import Leaves
from controller.playbook.engine.preparation import DryRun
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.history import EventKind
from simulators.network import read_network
from simulators.station import StationSettings
from tests.integration.alarms.system import TINY, LocalSystem, Playbooks, until
from tests.support.callers import ADMINISTRATOR, admit, agree_by_contract

#: What a station's history holds of changes, as opposed to sessions and reads.
CHANGES = (EventKind.EDITED, EventKind.RUNNING_CHANGED, EventKind.CONFIRMED, EventKind.RESTARTED)


class PlaybookSystem(LocalSystem):
    """Everything but processes; playbooks are the shipped ones and those of a folder of the test."""

    def __init__(self, folder: Path, stack: AsyncExitStack, fleet: Fleet) -> None:
        super().__init__(folder, stack, fleet, frozenset(AlarmSource), 2.0)
        self.folder = folder
        admit(self.store, "token-of-ana")

    def attend(self, rounds: Coroutine[Any, Any, None]) -> None:
        """Do something beside the test until the system closes."""
        self._stack.push_async_callback(self._end, asyncio.create_task(rounds))

    async def replace_worker(self) -> None:
        """Let the worker die on the spot, declare it dead, and start another one."""
        self.worker.cancel()
        await asyncio.gather(self.worker, return_exceptions=True)
        while living := self.store.processes.alive():
            for one in living:
                self.store.processes.declare_dead(
                    one.id, one.counter
                )  # not if a heartbeat that was under way came in between
        await self.work()

    def own(self, **content: Any) -> Playbooks:
        """Playbooks of the test's own: one by the name ``own``."""
        folder = self.folder / "own"
        folder.mkdir(exist_ok=True)
        whole = {"name": "own", "description": "A playbook of a test.", **content}
        (folder / "own.yaml").write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
        return self.playbooks(folder)

    async def dry_run(
        self, name: str, playbooks: Playbooks | None = None, /, *, expect: Any = None, **given: Any
    ) -> DryRun:
        return await (playbooks or self.playbooks()).dry_run(name, given, expect=expect)

    async def run(self, name: str, playbooks: Playbooks | None = None, /, *, expect: Any = None, **given: Any) -> Run:
        """Run a playbook to its end."""
        run = await (playbooks or self.playbooks()).start(name, given, asker=ADMINISTRATOR, expect=expect)
        agree_by_contract(self.store, self.clock, run)

        async def done() -> bool:
            return self.store.runs.get(run.id).state.terminal

        await until(f"run of {name} ends", done)
        return self.store.runs.get(run.id)

    async def succeeds(self, name: str, playbooks: Playbooks | None = None, /, **given: Any) -> Run:
        run = await self.run(name, playbooks, **given)
        assert run.state is RunState.SUCCEEDED, self.store.runs.jobs(run.id)
        return run

    def job(self, run: Run, station: str) -> Job:
        return next(job for job in self.store.runs.jobs(run.id) if job.station == station)

    def steps(self, run: Run, station: str) -> list[StepRecord]:
        return self.store.steps.find(self.job(run, station).id)

    def load(self, **changes: Mapping[str, Any]) -> None:
        """Make another version of the network files current: agreements by id, with fields replaced, None removes."""
        network = load_network(TINY, endpoints=self.folder / "endpoints.csv")
        kept = []
        for agreement in network.agreements:
            change = changes.get(agreement.id.replace("-", "_"), {})
            if change is not None:
                kept.append(type(agreement).model_validate({**agreement.model_dump(mode="json"), **change}))
        made = network.model_copy(update={"agreements": tuple(kept)})
        self.store.networks.save(made, network_digest(made), "ana")

    def load_files(self, change: Callable[[Network], Network]) -> None:
        """Make other network files current."""
        made = change(load_network(TINY, endpoints=self.folder / "endpoints.csv"))
        self.store.networks.save(made, network_digest(made), "ana")

    async def of_others(self, tenant: str) -> dict[str, dict[str, Leaves]]:
        """Nodes on each station that are not this tenant's."""
        _, network = self.store.networks.get()
        views = await self.planner.views(network, self.fleet.stations)
        found: dict[str, dict[str, Leaves]] = {}
        for station, view in views.items():
            assert view.observed is not None
            theirs = {path for path, entry in view.ledger.items() if entry.owners == (tenant,)}
            found[station] = {path: leaves for path, leaves in view.observed.tree.items() if path not in theirs}
        return found

    def changes(self) -> dict[str, int]:
        """How much was changed on each station so far."""
        stations = self.fleet.stations
        return {name: sum(stations[name].history.counts[kind] for kind in CHANGES) for name in stations}


@asynccontextmanager
async def open_system(
    folder: Path, without: str = "", files: Callable[[Network], Network] | None = None
) -> AsyncIterator[PlaybookSystem]:
    """A system whose stations are adopted and carry the network files, less one agreement if named, or else as made."""
    async with AsyncExitStack() as stack:
        fleet = Fleet(read_network(TINY), FleetSettings(stations=StationSettings(settle_seconds=0.1)))
        await stack.enter_async_context(fleet)
        system = PlaybookSystem(folder, stack, fleet)
        endpoints = folder / "endpoints.csv"
        fleet.write_endpoints(endpoints)
        await system.adopt(endpoints)
        if without:
            system.load(**{without.replace("-", "_"): None})  # type: ignore[arg-type]
        if files is not None:
            system.load_files(files)
        await system.work()
        await system.provision()
        yield system
