"""One wave over a whole network: the safe run against Nornir's bare work on the same stations in the same run.

    python -m tests.benchmarks.bench_wave [--full | --safe STATIONS | STATIONS]

A wave of 500 and the whole ``peru`` (3,100), or so many stations; ``--full`` measures ours at 1,000, 3,100 and 10,000,
to show how cost grows, ``--safe`` the safe run on warm sessions alone. The first safe run waits for a probe of the
stations' software, which later ones know, as networks do. The stations carry their configuration already; what is
applied is one tenant's radio share. They answer slowly (``DELAYS``) and run in two processes. Each client runs
in a process of its own, so that its CPU (user and system, all threads) and memory stand alone. Nornir works in 50
threads with stock ncclient and does get, edit, commit and nothing else. Our bare work is the same. The whole safe run
is a worker's as ``minka worker`` makes it, with its own settings (``MINKA_CAPACITY``), on SQLite: claims, journal,
lock, three reads, confirmed commit, checks, confirm, ledger, audit. Cold means that the sessions are opened within the
measured time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from lxml import etree

from controller.bootstrap import collect_rarely, parts
from controller.drivers.devices import AllDevices
from controller.drivers.netconf.codec import encode_edit, read_filter
from controller.drivers.netconf.session import NetconfSession
from controller.drivers.protocols import DeviceSession
from controller.drivers.registry import target_of
from controller.intent import compile_intent
from controller.inventory.load import load_network
from controller.models.network import Network, network_digest
from controller.models.plan import Change, Plan
from controller.models.process import ProcessRole
from controller.models.run import Strategy
from controller.models.settings import Settings
from controller.nrm.profiles import root_spec
from controller.plan import PlanOptions, StationView, make_plan, plan_from_json, plan_to_json
from controller.ports.clock import SystemClock
from controller.ports.queue import FakeWakeups
from controller.runs.planning.planner import Planner, PlanRequest
from controller.store import LoopStore, RunRequest, Store, open_store
from simulators.fleet.fleet import FleetSettings
from simulators.fleet.inventory import Exports
from simulators.network import read_network
from simulators.processes import run as run_fleet
from simulators.station import StationSettings
from tests.benchmarks.bench_device import nornir
from tests.support.launch import submit
from tests.support.secrets import LocalSecrets

#: Seconds that a station takes, a confirming commit as any other.
DELAYS = {"get": 0.1, "edit-config": 0.2, "commit": 1.0, "confirm": 1.0}
#: Stations at once: as many as a worker takes.
_AT_ONCE = Settings().capacity
#: Ids in one selector, which has an end.
_NAMED = 25
_FLEET_PROCESSES = 2
_NETWORKS = Path(__file__).parents[2] / "deploy" / "networks"
#: What changes in the first agreement. Less than before would wait for the tenant's approval.
_BEFORE, _AFTER = "dedicated: 10", "dedicated: 11"
_PASSWORD = "minka-sim"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a client took: seconds of wall and CPU, and its memory at the peak in MB."""

    wall: float
    cpu: float
    memory: float


class _Meter:
    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> Figures:
        """From the beginning until now."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return Figures(wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


class Scene:
    """The files of one size: the network before and after the change, endpoints, record, plan.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.endpoints = folder / "endpoints.csv"
        self.plan = folder / "plan.json"

    def network(self, *, changed: bool) -> Network:
        """The network as agreed before or after."""
        return load_network(self.folder / ("after" if changed else "before"), endpoints=self.endpoints)

    def read_plan(self) -> Plan:
        """What is to be changed."""
        return plan_from_json(self.plan.read_bytes())

    @property
    def settings(self) -> Settings:
        """A worker's own, but for where things are, and for patience: stations and clients share a machine."""
        return Settings(home=self.folder, database_url=f"sqlite:///{self.folder / 'record.sqlite3'}", rpc_timeout=300)

    def store(self) -> Store:
        """The record."""
        return open_store(self.settings.database)


# ------------------------------------------------------------------------- stations


def serve(scene: Scene) -> None:
    """Run the stations until SIGTERM."""
    network = read_network(scene.folder / "before")
    settings = StationSettings(settle_seconds=0, delays=DELAYS)

    run_fleet(
        network,
        FleetSettings(stations=settings),
        processes=_FLEET_PROCESSES,
        control=("127.0.0.1", 0),
        exports=Exports(scene.endpoints),
    )


@contextmanager
def stations(scene: Scene) -> Iterator[None]:
    """The stations in processes of their own."""
    command = [sys.executable, "-m", __spec__.name, "serve", str(scene.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            json.loads(process.stdout.readline())
            yield
        finally:
            process.terminate()


def write_network(folder: Path, count: int) -> None:
    """Network files before and after the change."""
    before, after = folder / "before", folder / "after"
    if count == 3100:
        shutil.copytree(_NETWORKS / "peru", before)
    else:
        localities = str(_NETWORKS / "peru-localities.csv")
        words = ["--stations", str(count), "--seed", "716", "--localities", localities, str(before)]
        subprocess.run([sys.executable, "-m", "simulators.generate", *words], check=True, stdout=subprocess.DEVNULL)
    shutil.copytree(before, after)
    agreements = (after / "agreements.yaml").read_text(encoding="utf-8")
    assert _BEFORE in agreements
    (after / "agreements.yaml").write_text(agreements.replace(_BEFORE, _AFTER, 1), encoding="utf-8")


# ------------------------------------------------------------------- preparations

Work = Callable[[DeviceSession, str], Awaitable[None]]


def _devices() -> AllDevices:
    """Sessions that wait for long: simulators and clients share a machine, which may have other work too."""
    return AllDevices(LocalSecrets(), rpc_timeout=300, connect_timeout=300)


async def _at_all(devices: AllDevices, network: Network, stations: Iterable[str], work: Work) -> None:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(station: str) -> None:
        async with turns, devices.session(target_of(network, station)) as session:
            await work(session, station)

    await asyncio.gather(*(one(station) for station in stations))


async def prepare(scene: Scene) -> None:
    """Bring the stations to the network as agreed before, adopt them, and plan the change."""
    store, devices = scene.store(), _devices()
    loop_store = LoopStore(store)
    before, after = scene.network(changed=False), scene.network(changed=True)
    planner = Planner(loop_store, devices, SystemClock(), target_of)
    names = sorted(station.id for station in before.stations)
    store.networks.save(before, network_digest(before), "bench")
    for start in range(0, len(names), _AT_ONCE):
        part = names[start : start + _AT_ONCE]
        await _fill(before, devices, part)
        for at in range(0, len(part), _NAMED):
            await planner.adopt("|".join(part[at : at + _NAMED]), "bench")
    store.networks.save(after, network_digest(after), "bench")
    plan = await planner.plan(PlanRequest(expect_stations=len(names)), "bench")
    scene.plan.write_bytes(plan_to_json(plan))
    await devices.close()
    await loop_store.close()
    store.close()


async def _fill(network: Network, devices: AllDevices, stations: Sequence[str]) -> None:
    views: dict[str, StationView] = {}

    async def look(session: DeviceSession, station: str) -> None:
        views[station] = StationView(await session.read(), True, {})

    await _at_all(devices, network, stations, look)
    clock = SystemClock()
    intent = compile_intent(network, clock.now().date(), stations)
    plan = make_plan(network, "", intent, views, PlanOptions(expect_stations=len(stations)), clock.now())
    changes = {change.station: change for change in plan.changes}

    async def bring(session: DeviceSession, station: str) -> None:
        for phase in changes[station].phases:
            await session.edit(phase.edits)
            await session.commit()

    await _at_all(devices, network, changes, bring)


# ------------------------------------------------------------------------- clients


async def bare(scene: Scene, *, warm: bool, back: bool = False) -> Figures:
    """Get, edit, commit by our client; the reply is parsed and not decoded, as with stock ncclient."""
    network, devices = scene.network(changed=True), _devices()
    changes = {change.station: change for change in scene.read_plan().changes}

    async def work(session: DeviceSession, station: str) -> None:
        assert isinstance(session, NetconfSession)
        await session._data(len, *read_filter(session._root, station))
        for phase in changes[station].phases:
            await session.edit(phase.inverse if back else phase.edits)
            await session.commit()

    if warm:
        await _at_all(devices, network, changes, _look)
    meter = _Meter()
    await _at_all(devices, network, changes, work)
    if not warm:
        await devices.close()
    figures = meter.read()
    await devices.close()
    return figures


async def _look(session: DeviceSession, _station: str) -> None:
    await session.read()


def hand_in(scene: Scene) -> None:
    """Ask for the run once a line comes, as the API does in another process than the worker's; print its id."""
    store, plan = scene.store(), scene.read_plan()
    count = len(plan.changes)
    strategy = Strategy(canary=0, wave_size=count, parallel=count, confirm_timeout=900)
    print("ready", flush=True)
    if sys.stdin.readline():
        print(submit(store, FakeWakeups(), RunRequest(plan=plan, actor="bench", strategy=strategy)).id, flush=True)
    store.close()


async def safe(scene: Scene, *, warm: bool) -> Figures:
    """A run of the engine, from when it is asked for to its terminal state; memory and CPU are the worker's."""
    words = [sys.executable, "-m", __spec__.name, "hand-in", str(scene.folder)]
    asking = await asyncio.create_subprocess_exec(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert asking.stdin is not None
    assert asking.stdout is not None
    await asking.stdout.readline()
    async with parts(scene.settings, ProcessRole.WORKER) as made:
        _, network = made.store.networks.get()
        if warm:
            await _at_all(made.devices, network, [station.id for station in network.stations], _look)
        worker, stop = made.worker_loop("bench"), asyncio.Event()
        task = asyncio.create_task(worker.run(stop))
        meter = _Meter()
        asking.stdin.write(b"\n")
        run = (await asking.stdout.readline()).decode().strip()
        worker.wake(run)
        while not (seen := await made.loop_store.runs.get(run)).state.terminal:
            if seen.waits:
                raise SystemExit(f"the run waits: {seen.waits}")
            await made.clock.sleep(0.2)
        figures = meter.read()
        stop.set()
        await task
        await asking.wait()
        if seen.counts != {"succeeded": len(network.stations)}:
            ended = ((str(job.outcome), job.detail.replace(job.station, "…")) for job in made.store.runs.jobs(run))
            raise SystemExit(f"not all stations succeeded: {Counter(ended).most_common(5)}")
        return figures


def others(scene: Scene) -> Figures:
    """Nornir with stock ncclient; what it sends is encoded beforehand."""
    network = scene.network(changed=True)
    requests = {change.station: _encoded(network, change) for change in scene.read_plan().changes}
    endpoints = [endpoint.model_dump() for endpoint in network.endpoints if endpoint.station in requests]
    meter = _Meter()
    nornir(endpoints, requests.__getitem__)
    return meter.read()


def _encoded(network: Network, change: Change) -> tuple[etree._Element, list[str]]:
    root = root_spec(network.station_by_id[change.station].profiles)
    configs = [etree.tostring(encode_edit(root, phase.edits), encoding="unicode") for phase in change.phases]
    return read_filter(root, change.station)[0], configs


_SAFE = "ours, the whole safe run, warm"
_PROBED = f"{_SAFE}, with a probe"
#: The first safe run on a record probes the software of the stations, which all have the same; later ones know it.
CLIENTS: dict[str, Callable[[Scene], Figures]] = {
    "Nornir, stock ncclient, 50 threads": others,
    "ours, bare, cold": lambda scene: asyncio.run(bare(scene, warm=False)),
    "ours, bare, warm": lambda scene: asyncio.run(bare(scene, warm=True)),
    _PROBED: lambda scene: asyncio.run(safe(scene, warm=True)),
    "ours, the whole safe run, cold": lambda scene: asyncio.run(safe(scene, warm=False)),
    _SAFE: lambda scene: asyncio.run(safe(scene, warm=True)),
}
_NORNIR, *_OURS = CLIENTS


# --------------------------------------------------------------------------- report


def _process(scene: Scene, *words: str) -> str:
    command = [sys.executable, "-m", __spec__.name, words[0], str(scene.folder), *words[1:]]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "MINKA_DEVICE_PASSWORD": _PASSWORD}
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout


def measure(count: int, clients: Sequence[str]) -> None:
    """One size: each client in turn, the stations put back after each."""
    with tempfile.TemporaryDirectory() as name:
        scene = Scene(Path(name))
        write_network(scene.folder, count)
        with stations(scene):
            _process(scene, "prepare")
            print(f"one wave of {count} stations that take {', '.join(f'{v:g} s to {k}' for k, v in DELAYS.items())}")
            base: Figures | None = None
            for client in clients:
                figures = Figures(**json.loads(_process(scene, "client", client)))
                _process(scene, "back")
                base = figures if client == _NORNIR else base
                print(_row(client, count, figures, base), flush=True)


def _row(client: str, count: int, figures: Figures, base: Figures | None) -> str:
    times = "" if base is None else f" ({base.wall / figures.wall:4.1f} times as fast)"
    return (
        f"  {client:44}{figures.wall:7.1f} s {count / figures.wall:5.0f} stations/s{times}, "
        f"{1000 * figures.cpu / count:6.2f} ms CPU a station, peak {figures.memory:4.0f} MB"
    )


def main(arguments: list[str]) -> None:
    """Dispatch to the role of this process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    match arguments:
        case ["serve", folder]:
            serve(Scene(Path(folder)))
        case ["prepare", folder]:
            asyncio.run(prepare(Scene(Path(folder))))
        case ["hand-in", folder]:
            hand_in(Scene(Path(folder)))
        case ["client", folder, name]:
            collect_rarely()
            print(json.dumps(asdict(CLIENTS[name](Scene(Path(folder))))))
        case ["back", folder]:
            asyncio.run(bare(Scene(Path(folder)), warm=False, back=True))
        case ["--full"]:
            _measure_all((1000, 3100, 10_000), _OURS)
        case ["--safe", *counts]:
            _measure_all(map(int, counts), [_PROBED, _SAFE])
        case _:
            _measure_all(map(int, arguments or ["500", "3100"]), list(CLIENTS))


def _measure_all(counts: Iterable[int], clients: Sequence[str]) -> None:
    for count in counts:
        measure(count, clients)


if __name__ == "__main__":
    main(sys.argv[1:])
