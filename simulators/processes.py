"""Runs a fleet until SIGTERM, in this process or in several that share the stations and the schemas.

The processes are forked once everything that they share exists. Each ends when its parent ends, for whatever reason.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from simulators.clock import Clock, RealClock
from simulators.control.app import serve_control
from simulators.control.server import serve_front
from simulators.datastore import PROFILE_MODULES, load_schema
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.fleet.inventory import Endpoint, Exports, TlsEndpoint
from simulators.network import SimulatedNetwork

#: Seconds for a process to end its sessions.
_GOOD_BYE = 20.0
#: Number of open files beside those of stations.
_RESERVE = 500


class FleetProcessError(Exception):
    """A process of the fleet could not start, or has ended by itself."""


@dataclass(frozen=True, slots=True)
class FleetPart:
    """The part of a fleet in one process."""

    pid: int
    control: str
    endpoints: tuple[Endpoint, ...]
    tls_endpoints: tuple[TlsEndpoint, ...]


@dataclass(frozen=True, slots=True)
class _Process:
    process: BaseProcess
    line: Connection


def share_schemas(network: SimulatedNetwork) -> None:
    """Compile the schemas of all stations before processes are forked, so that there is one copy of each."""
    for profiles in {station.profiles for station in network.stations}:
        load_schema(name for profile in profiles for name in PROFILE_MODULES[profile])


def shares(stations: Sequence[str], processes: int) -> list[Sequence[str]]:
    """The stations in as many shares, none of them empty."""
    count = min(processes, len(stations))
    return [stations[number::count] for number in range(count)]


def check_open_files(stations: int, processes: int, listeners: int, limit: int) -> None:
    """Check that every process can open all listeners of its stations and a session with each.

    Raises:
        ValueError: it can't; the message gives the number of processes needed.
    """
    each = listeners + 1
    if -(-stations // processes) * each + _RESERVE > limit:
        wanted = -(-stations * each // (limit - _RESERVE))
        raise ValueError(f"{stations} stations need {wanted} processes: the system grants each {limit} open files")


@dataclass(frozen=True, slots=True)
class SharedFleet:
    """The fleet that processes share: its network, settings and clock."""

    network: SimulatedNetwork
    settings: FleetSettings
    clock: Clock

    def part(self, stations: Collection[str]) -> Fleet:
        """The fleet of some of its stations."""
        return Fleet(self.network, replace(self.settings, only=stations), self.clock)


@contextmanager
def started(whole: SharedFleet, portions: Sequence[Sequence[str]]) -> Iterator[list[FleetPart]]:
    """Start a process for each portion and wait until all listen; they end with the context.

    Raises:
        FleetProcessError: one of them could not start.
    """
    running: list[_Process] = []
    # Memory stays shared with the processes as long as no garbage collection writes to it.
    gc.collect()
    gc.freeze()
    try:
        for portion in portions:
            running.append(_start(whole, portion, [other.line for other in running]))
        yield [_part_of(process) for process in running]
    finally:
        for process in running:
            process.line.close()
        for process in running:
            process.process.join(_GOOD_BYE)
            if process.process.is_alive():
                process.process.kill()
                process.process.join()
        gc.unfreeze()


@asynccontextmanager
async def controlled(parts: Sequence[FleetPart], host: str, port: int) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """One control interface over all processes; gives its URL, and an event that is set when one has ended.

    Raises:
        ValueError: the host is not on loopback.
    """
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    sentinels = [child.sentinel for child in multiprocessing.active_children() if child.pid in {p.pid for p in parts}]
    for sentinel in sentinels:
        loop.add_reader(sentinel, ended.set)
    owners = {endpoint.station: part.control for part in parts for endpoint in part.endpoints}
    try:
        async with serve_front(owners, host, port) as url:
            yield url, ended
    finally:
        for sentinel in sentinels:
            loop.remove_reader(sentinel)


def _start(whole: SharedFleet, portion: Sequence[str], inherited: Sequence[Connection]) -> _Process:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(whole, portion, theirs, [*inherited, ours]), daemon=True)
    process.start()
    theirs.close()
    return _Process(process, ours)


def _part_of(process: _Process) -> FleetPart:
    try:
        said = process.line.recv()
    except EOFError:
        raise FleetProcessError("a process of the fleet has ended while it started") from None
    if isinstance(said, FleetPart):
        return said
    raise FleetProcessError(str(said))


def _work(whole: SharedFleet, portion: Sequence[str], line: Connection, inherited: Sequence[Connection]) -> None:
    """Body of a process: runs its fleet until the pipe to the starting process is closed."""
    for other in inherited:
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends SIGINT to all; the starting process decides
    try:
        asyncio.run(_serve(whole, portion, line))
    except (OSError, ValueError) as error:
        line.send(str(error))


async def _serve(whole: SharedFleet, portion: Sequence[str], line: Connection) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    async with whole.part(portion) as fleet, serve_control(fleet) as url:
        pid = multiprocessing.current_process().pid
        assert pid is not None
        line.send(FleetPart(pid, url, tuple(fleet.endpoints()), tuple(fleet.tls_endpoints())))
        loop.add_reader(line.fileno(), stop.set)
        await stop.wait()
        loop.remove_reader(line.fileno())


def run(
    network: SimulatedNetwork,
    settings: FleetSettings,
    *,
    processes: int,
    control: tuple[str, int],
    exports: Exports,
    clock: Clock | None = None,
) -> None:
    """Run the fleet until SIGTERM or Ctrl-C.

    Args:
        network: The network with its stations.
        settings: Settings of the fleet.
        processes: Number of processes that share the stations.
        control: Address and port of the control interface.
        exports: Files to write when all of them listen.
        clock: Source of time; None means real time.

    Raises:
        FleetProcessError: a process could not start, or has ended by itself.
        ScenarioError: the scenario can't be played.
        ValueError: the stations can't be served so.
        OSError: an address can't be listened on, or a file can't be written.
    """
    if processes > 1 and any((settings.scenario, settings.history, settings.routers, settings.pools and network.pools)):
        raise ValueError("a scenario, a history, routers and pools need all stations in one process")
    limit = _allow_open_files()
    whole = SharedFleet(network, settings, clock or RealClock())
    stations = list(settings.only or [station.id for station in network.stations])
    if processes == 1:
        check_open_files(len(stations), 1, 1, limit)
        asyncio.run(_run_here(whole, stations, control, exports))
        return
    check_open_files(len(stations), processes, 1 + (exports.tls_endpoints is not None), limit)
    share_schemas(network)
    with started(whole, shares(stations, processes)) as parts:
        asyncio.run(_run_parts(parts, control, exports, settings.seed or network.id))


def _allow_open_files() -> int:
    """Raise the limit of open files as far as the system grants: each listener and session needs one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


async def _run_here(whole: SharedFleet, stations: Sequence[str], control: tuple[str, int], exports: Exports) -> None:
    async with AsyncExitStack() as stack:
        stop = await stack.enter_async_context(until_stopped())
        fleet = await stack.enter_async_context(whole.part(stations))
        url = await stack.enter_async_context(serve_control(fleet, *control))
        routers = [fleet.router_endpoint(router) for router in fleet.routers]
        pools = [fleet.pool_endpoint(pool) for pool in fleet.pools]
        exports.write(fleet.endpoints(), fleet.tls_endpoints(), fleet.seed, routers, pools)
        _say_ready(len(fleet.stations), url, **({"pools": len(pools)} if pools else {}))
        await stop.wait()


async def _run_parts(parts: Sequence[FleetPart], control: tuple[str, int], exports: Exports, seed: str) -> None:
    async with AsyncExitStack() as stack:
        stop = await stack.enter_async_context(until_stopped())
        url, ended = await stack.enter_async_context(controlled(parts, *control))
        ssh = sorted((endpoint for part in parts for endpoint in part.endpoints), key=lambda one: one.station)
        tls = sorted((endpoint for part in parts for endpoint in part.tls_endpoints), key=lambda one: one.station)
        exports.write(ssh, tls, seed)
        _say_ready(len(ssh), url, processes=[part.pid for part in parts])
        waits = [asyncio.ensure_future(event.wait()) for event in (stop, ended)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if ended.is_set() and not stop.is_set():
            raise FleetProcessError("a process of the fleet has ended by itself")


def _say_ready(endpoints: int, control: str, **more: object) -> None:
    ready = {"ready": True, "endpoints": endpoints, "control": control, "pid": os.getpid(), **more}
    print(json.dumps(ready), file=sys.stdout, flush=True)


@asynccontextmanager
async def until_stopped() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
