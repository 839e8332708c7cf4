"""A system whose site in Ollantaytambo has a managed router."""

from __future__ import annotations

import csv
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from controller.inventory.load import load_network
from controller.models.facts import HOST_OWNED
from controller.models.network import Network, network_digest
from controller.models.plan import Change, Edit, Op, Phase, PhaseKind, Plan
from controller.models.run import Job, Run, RunState, Strategy
from controller.nrm.fingerprint import fingerprint
from controller.nrm.inverse import invert
from controller.nrm.profiles.router import ROUTER as ROOT
from controller.plan import seal
from controller.runs.planning.planner import PlanRequest
from controller.store import RunRequest
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.history import NO_SESSION, EventKind, Origin
from simulators.network import read_network
from simulators.routers.config import RouterConfig
from simulators.routers.factory import Provisioning
from simulators.routers.router import Router
from simulators.station import StationSettings
from tests.integration.alarms.system import TINY, until
from tests.integration.playbooks.system import PlaybookSystem
from tests.support.frr import Frr
from tests.support.launch import submit

#: A station, its router, and a station without one.
STATION, ROUTER, ALONE = "T-LTE-1", "R-OLLANTA", "T-LTE-2"
SITE = f"{STATION}|{ROUTER}"


class RouterSystem(PlaybookSystem):
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
        self.store.networks.save(network, network_digest(network), "ana")
        return network

    async def plan(self, selector: str = STATION, **remove: int) -> Plan:
        return await self.planner.plan(PlanRequest(selector, remove=remove), "ana")

    async def plan_of(self, *edits: Edit) -> Plan:
        """A plan of just these edits of the router, whatever the network files say."""
        digest, network = self.store.networks.get()
        observed = (await self.planner.views(network, [ROUTER]))[ROUTER].observed
        assert observed is not None
        paths = [edit.path for edit in edits]
        change = Change(
            station=ROUTER,
            phases=(Phase(kind=PhaseKind.EDIT, edits=edits, inverse=invert(ROOT, observed.tree, edits, {})),),
            diff=(),
            touched=(),
            fingerprint=fingerprint(ROOT, observed.tree, paths),
            reverts=observed.reverts(1),
        )
        plan = seal(
            created=self.clock.now(), network=network.header.id, network_digest=digest, selector="", changes=[change]
        )
        self.store.plans.save(plan, "ana")
        return plan

    async def apply(self, plan: Plan, **strategy: Any) -> tuple[Run, dict[str, Job]]:
        """Apply a plan to its end."""
        run = self.begin(plan, **strategy)
        jobs = await self.end(run)
        return self.store.runs.get(run), jobs

    def begin(self, plan: Plan, **strategy: Any) -> str:
        """Begin to apply a plan; the run's id."""
        asked = Strategy(**{"canary": 0, "check_timeout": 10, "confirm_timeout": 60, **strategy})
        return submit(self.store, self.wakeups, RunRequest(plan=plan, actor="ana", strategy=asked)).id

    async def end(self, run: str) -> dict[str, Job]:
        """Wait for a run's end; its jobs by device."""

        async def done() -> bool:
            return self.store.runs.get(run).state.terminal

        await until(f"{run} ends", done)
        return {job.station: job for job in self.store.runs.jobs(run)}

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
async def open_router_system(
    folder: Path,
    provisioning: Provisioning = Provisioning.BARE,
    fields: Mapping[str, str] = MappingProxyType({}),
    *,
    adopted: bool = True,
) -> AsyncIterator[RouterSystem]:
    """A system whose devices are adopted as they come; ``fields`` of the router besides those of the simulator."""
    async with AsyncExitStack() as stack:
        fleet = Fleet(
            read_network(TINY), FleetSettings(stations=StationSettings(settle_seconds=0.1), routers=provisioning)
        )
        await stack.enter_async_context(fleet)
        shutil.copytree(TINY, folder / "network")
        fleet.write_routers(folder / "network" / "routers.csv")
        yield await _moved_in(folder, stack, fleet, fields, "*" if adopted else "")


@asynccontextmanager
async def open_frr_system(folder: Path, router: Frr, fields: Mapping[str, str]) -> AsyncIterator[RouterSystem]:
    """A system of one simulated station, whose site has FRRouting for a router; both are adopted."""
    async with AsyncExitStack() as stack:
        fleet = Fleet(read_network(TINY), FleetSettings(only=[STATION], stations=StationSettings(settle_seconds=0.1)))
        await stack.enter_async_context(fleet)
        shutil.copytree(TINY, folder / "network")
        own = {"uplink": "up0", "downlink": "down0", **router.fields()}
        yield await _moved_in(folder, stack, fleet, {**own, **fields}, STATION)


async def _moved_in(
    folder: Path, stack: AsyncExitStack, fleet: Fleet, fields: Mapping[str, str], adopted: str
) -> RouterSystem:
    system = RouterSystem(folder, stack, fleet)
    fleet.write_endpoints(folder / "endpoints.csv")
    _add(folder / "network" / "routers.csv", fields)
    system.load_without()
    if adopted:
        await system.planner.adopt(adopted, "ana")
    await system.work()
    return system


def _add(path: Path, fields: Mapping[str, str]) -> None:
    with path.open(newline="") as file:
        rows = [{**row, **fields} for row in csv.DictReader(file)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def merge(node: str, before: dict[str, str], after: dict[str, str]) -> Edit:
    """Leaves of a node of the router that change."""
    return Edit(op=Op.MERGE, path=f"/Router[{ROUTER}]/{node}", before=before, after=after, owners=HOST_OWNED)


def drop(node: str) -> Edit:
    """A node of the router that goes."""
    return Edit(op=Op.DELETE, path=f"/Router[{ROUTER}]/{node}", owners=HOST_OWNED)


def same(one: RouterConfig, other: RouterConfig) -> bool:
    """Whether two configurations say the same."""
    return (one.vrfs, one.routes, one.interfaces) == (other.vrfs, other.routes, other.interfaces)
