"""Applying a plan with the whole engine: claims, journal, safe transactions, ledger, audit, on SQLite.

    python -m tests.benchmarks.bench_apply [STATIONS]

Stations run in a process of their own, so CPU and memory are the controller's alone. The baseline in the
same run is the bare work on the same stations over the same sessions: read, edit, commit, nothing else.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from controller.drivers.devices import AllDevices
from controller.drivers.registry import target_of
from controller.inventory.load import load_network
from controller.models.network import Network, network_digest
from controller.models.plan import Change, Plan
from controller.models.run import Strategy
from controller.ports.clock import SystemClock
from controller.ports.queue import FakeWakeups
from controller.ports.secrets import FakeSecrets
from controller.runs.loop import WorkerLoop
from controller.runs.planning.planner import Planner, PlanRequest
from controller.runs.procedures import Tools
from controller.store import LoopStore, RunRequest, Store, open_store
from tests.support.launch import submit

_LOCALITIES = Path(__file__).parents[2] / "deploy" / "networks" / "peru-localities.csv"
_AT_ONCE = 500


@contextmanager
def _stations(network: Path, endpoints: Path) -> Iterator[None]:
    """Simulated stations without settling time, so that the controller's own cost shows."""
    command = [sys.executable, "-m", "simulators", "up", "--network", str(network), "--port-base", "21000"]
    command += ["--endpoints-out", str(endpoints), "--control", "127.0.0.1:0", "--settle-seconds", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert process.stdout is not None
    json.loads(process.stdout.readline())
    try:
        yield
    finally:
        process.terminate()
        process.wait()


class _Meter:
    """Wall seconds and this process's CPU seconds of one part."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def row(self, what: str, count: int) -> float:
        """Print one row; returns CPU ms per station."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        per = 1000 * cpu / count
        print(f"{what:<34}{wall:8.1f} s {count / wall:8.0f} stations/s {per:8.2f} CPU ms/station")
        return per


async def _bare(network: Network, plan: Plan, devices: AllDevices) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(change: Change) -> None:
        async with gate, devices.session(target_of(network, change.station)) as session:
            await session.read()
            await session.edit(change.phases[0].edits)
            await session.commit()
            await session.edit(change.phases[0].inverse)
            await session.commit()

    await asyncio.gather(*map(one, plan.changes))


async def _apply(store: Store, loop_store: LoopStore, devices: AllDevices, plan: Plan) -> None:
    clock, wakeups = SystemClock(), FakeWakeups()
    worker = WorkerLoop("bench", Tools(loop_store, devices, clock, target_of), wakeups, capacity=_AT_ONCE)
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    strategy = Strategy(canary=0, wave_size=100_000, parallel=_AT_ONCE)
    run = submit(store, wakeups, RunRequest(plan=plan, actor="bench", strategy=strategy))
    while not store.runs.get(run.id).state.terminal:
        await clock.sleep(0.2)
    counts = store.runs.get(run.id).counts
    stop.set()
    await task
    if counts != {"succeeded": len(plan.changes)}:
        raise SystemExit(f"not all stations succeeded: {counts}")


async def _measure(folder: Path, network: Network) -> None:
    count = len(network.stations)
    store = open_store(f"sqlite:///{folder / 'bench.sqlite3'}")
    loop_store, devices = LoopStore(store), AllDevices(FakeSecrets({"device": "minka-sim"}))
    planner = Planner(loop_store, devices, SystemClock(), target_of)
    store.networks.save(network, network_digest(network), "bench")
    meter = _Meter()
    await planner.adopt("*", "bench")
    meter.row("adopt (opens all sessions)", count)
    meter = _Meter()
    plan = await planner.plan(PlanRequest(expect_stations=count), "bench")
    meter.row("plan on warm sessions", count)
    meter = _Meter()
    await _bare(network, plan, devices)
    bare = meter.row("bare read, 2 × (edit, commit), warm", count)
    meter = _Meter()
    await _apply(store, loop_store, devices, plan)
    safe = meter.row("the whole safe run, warm", count)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"the safe run costs {safe / bare:.1f} times the CPU of the bare work; peak memory {peak:.0f} MB")
    await devices.close()
    await loop_store.close()
    store.close()


def main(count: int) -> None:
    """Generate a network, start its stations, measure."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = ["--stations", str(count), "--seed", "716", "--localities", str(_LOCALITIES), str(folder / "net")]
        subprocess.run([sys.executable, "-m", "simulators.generate", *words], check=True, stdout=subprocess.DEVNULL)
        endpoints = folder / "endpoints.csv"
        with _stations(folder / "net", endpoints):
            asyncio.run(_measure(folder, load_network(folder / "net", endpoints=endpoints)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
