"""What watching a whole network costs the listener besides reading: judging and recording health.

python -m tests.benchmarks.bench_health
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.assurance.checker import Check, Checker
from controller.drivers.fake import FakeDevices
from controller.drivers.target import DeviceTarget
from controller.intent import compile_intent
from controller.inventory.load import load_network
from controller.models.alarm import AlarmSource
from controller.models.network import Network, network_digest
from controller.nrm.profiles import links, render, root_spec
from controller.nrm.tree import Observed
from controller.plan import adopted_nodes
from controller.ports.clock import SystemClock
from controller.runs.planning.planner import Planner
from controller.store import LoopStore, open_store

PERU = Path(__file__).parents[2] / "deploy" / "networks" / "peru"
#: Stations recorded together: what comes in within half a second at 3,100 stations every 30 seconds.
BATCH = 52


def _unused(_network: Network, _station: str) -> DeviceTarget:
    raise NotImplementedError


async def measure(folder: Path) -> None:
    """Measure and print."""
    clock = SystemClock()
    network = load_network(PERU)
    store = open_store(f"sqlite:///{folder / 'minka.sqlite3'}", clock)
    loop_store = LoopStore(store)
    digest = network_digest(network)
    store.networks.save(network, digest, "bench")
    planner = Planner(loop_store, FakeDevices(clock), clock, _unused)
    names = [station.id for station in network.stations]
    for name in names:
        store.devices.adopt(name, (), digest, "bench")
    checks = await _healthy(planner, network, names, store.devices.adopt, digest, clock)
    checker = Checker(loop_store, planner, clock, frozenset(AlarmSource))
    for title in ("first time", "again"):
        began, wall = time.process_time(), time.perf_counter()
        for start in range(0, len(checks), BATCH):
            await checker.record(checks[start : start + BATCH])
        spent, passed = time.process_time() - began, time.perf_counter() - wall
        print(f"judge and record {len(checks)} stations, {title:<11} {spent:6.2f} CPU s {passed:6.2f} s")
    drifting = sum(health.drift > 0 for health in store.healths.find().values())
    print(f"{drifting} of them drift, which is none if the bench is right")
    await loop_store.close()
    store.close()


async def _healthy(
    planner: Planner,
    network: Network,
    names: list[str],
    adopt: Callable[..., None],
    digest: str,
    clock: SystemClock,
) -> list[Check]:
    """Checks of stations that carry just what they should; their nodes enter the ledger."""

    intent = await asyncio.to_thread(compile_intent, network, clock.now().date(), names)
    checks = []
    for name in names:
        profiles = network.station_by_id[name].profiles
        rendered = render(profiles, intent.facts[name])
        state = {link.path: {"operationalState": "ENABLED"} for link in links(rendered.tree)}
        observed = Observed(dict(rendered.tree), state, ())
        adopt(name, adopted_nodes(root_spec(profiles), rendered, observed), digest, "bench")
        checks.append(Check(name, clock.now(), observed))
    return checks


def main() -> None:
    """Run it in a temporary folder."""
    with TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
