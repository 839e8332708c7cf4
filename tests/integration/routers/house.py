"""A house whose site in Ollantaytambo has a managed router."""

from __future__ import annotations

import csv
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from controller.inventory.load import load_network
from controller.models.network import Network
from controller.models.plan import Plan
from controller.models.run import Job, Run, RunState, Strategy
from controller.plan import network_digest
from controller.runs.planner import PlanRequest
from controller.runs.submit import submit
from simulators.fleet import Fleet
from simulators.history import EventKind
from simulators.network import read_network
from simulators.routers.config import RouterConfig
from simulators.routers.factory import Provisioning
from simulators.routers.router import Router
from simulators.station import Quirks
from simulators.transactions import NO_SESSION, Origin
from tests.integration.alarms.house import TINY, until
from tests.integration.playbooks.house import PlaybookHouse

#: A station, its router, and a station without one.
STATION, ROUTER, ALONE = "T-LTE-1", "R-OLLANTA", "T-LTE-2"
SITE = f"{STATION}|{ROUTER}"


class RouterHouse(PlaybookHouse):
    """Everything but processes, with one router."""

    @property
    def router(self) -> Router:
        return self.fleet.routers[ROUTER]

    router_origin = Origin(NO_SESSION, "technician")

    def network(self, gone: Iterable[str] = ()) -> Network:
        """The network files, without some agreements."""
        network = load_network(self.folder / "network", endpoints=self.folder / "endpoints.csv")
        return network.model_copy(update={"agreements": tuple(a for a in network.agreements if a.id not in gone)})

    def load_without(self, *gone: str) -> Network:
        """Make the network without some agreements current."""
        network = self.network(gone)
        self.store.save_network(network, network_digest(network), "ana")
        return network

    async def plan(self, selector: str = STATION, **remove: int) -> Plan:
        return await self.planner.plan(PlanRequest(selector, remove=remove), "ana")

    async def apply(self, plan: Plan, **strategy: Any) -> tuple[Run, dict[str, Job]]:
        """Apply a plan to its end."""
        run = self.begin(plan, **strategy)
        jobs = await self.end(run)
        return self.store.run(run), jobs

    def begin(self, plan: Plan, **strategy: Any) -> str:
        """Begin to apply a plan; the run's id."""
        asked = Strategy(**{"canary": 0, "check_timeout": 10, "confirm_timeout": 60, **strategy})
        return submit(self.store, self.doorbell, plan, actor="ana", strategy=asked).id

    async def end(self, run: str) -> dict[str, Job]:
        """Wait for a run's end; its jobs by device."""

        async def done() -> bool:
            return self.store.run(run).state.terminal

        await until(f"{run} ends", done)
        return {job.station: job for job in self.store.jobs(run)}

    async def carry(self, *gone: str) -> None:
        """Bring the site to the network files without some agreements."""
        self.load_without(*gone)
        plan = await self.plan()
        if not plan.is_empty:
            run, jobs = await self.apply(plan)
            assert run.state is RunState.SUCCEEDED, jobs

    def lines(self) -> list[str]:
        """Configuration lines that the router took, in order."""
        events = self.router.history.events(EventKind.RUNNING_CHANGED)
        return [str(event.detail["line"]) for event in events]


@asynccontextmanager
async def open_router_house(
    folder: Path,
    provisioning: Provisioning = Provisioning.BARE,
    fields: Mapping[str, str] = MappingProxyType({}),
    *,
    adopted: bool = True,
) -> AsyncIterator[RouterHouse]:
    """A house whose devices are adopted as they come; ``fields`` of the router besides those of the simulator."""
    async with AsyncExitStack() as stack:
        fleet = Fleet(read_network(TINY), default_quirks=Quirks(settle_seconds=0.1), routers=provisioning)
        await stack.enter_async_context(fleet)
        house = RouterHouse(folder, stack, fleet)
        shutil.copytree(TINY, folder / "network")
        fleet.write_endpoints(folder / "endpoints.csv")
        fleet.write_routers(folder / "network" / "routers.csv")
        _add(folder / "network" / "routers.csv", fields)
        house.load_without()
        if adopted:
            await house.planner.adopt("*", "ana")
        await house.work()
        yield house


def _add(path: Path, fields: Mapping[str, str]) -> None:
    with path.open(newline="") as file:
        rows = [{**row, **fields} for row in csv.DictReader(file)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def same(one: RouterConfig, other: RouterConfig) -> bool:
    """Whether two configurations say the same."""
    return (one.vrfs, one.routes, one.interfaces) == (other.vrfs, other.routes, other.interfaces)
