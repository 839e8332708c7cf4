"""A fleet in several processes, each with a share of the stations and all with the same schemas in memory.

The processes are forked when everything that they share is there. Each ends when the one that started
them does, however that comes about.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from simulators.control.app import serve_control
from simulators.control.front import serve_front
from simulators.datastore import PROFILE_MODULES, load_schema
from simulators.fleet.fleet import Fleet
from simulators.fleet.inventory import Endpoint, TlsEndpoint
from simulators.fleet.story import Story
from simulators.network import SimulatedNetwork

#: Makes the fleet of some stations, by id, and what happens to it beside sessions.
Making = Callable[[Sequence[str]], tuple[Fleet, Story]]

#: Seconds for a process to end its sessions.
_GOOD_BYE = 20.0
#: Open files beside those of stations.
_RESERVE = 500


class FleetProcessError(Exception):
    """A process of the fleet could not start, or has ended by itself."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one process has."""

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
    """See that every process can open all listeners of its stations and a session with each.

    Raises:
        ValueError: it can't; the message says how many processes it takes.
    """
    each = listeners + 1
    if -(-stations // processes) * each + _RESERVE > limit:
        wanted = -(-stations * each // (limit - _RESERVE))
        raise ValueError(f"{stations} stations need {wanted} processes: the system grants each {limit} open files")


@contextmanager
def started(make: Making, portions: Sequence[Sequence[str]]) -> Iterator[list[Part]]:
    """Processes for the portions, all of them listening; they end with the context.

    Raises:
        FleetProcessError: one of them could not start.
    """
    running: list[_Process] = []
    # What is there by now is shared for good if no collection writes to it.
    gc.collect()
    gc.freeze()
    try:
        for portion in portions:
            running.append(_start(make, portion, [other.line for other in running]))
        yield [_told(process) for process in running]
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
async def controlled(parts: Sequence[Part], host: str, port: int) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """One control interface over all processes; gives its URL, and an event that tells that one has ended.

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


def _start(make: Making, portion: Sequence[str], inherited: Sequence[Connection]) -> _Process:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(make, portion, theirs, [*inherited, ours]), daemon=True)
    process.start()
    theirs.close()
    return _Process(process, ours)


def _told(process: _Process) -> Part:
    try:
        said = process.line.recv()
    except EOFError:
        raise FleetProcessError("a process of the fleet has ended while it started") from None
    if isinstance(said, Part):
        return said
    raise FleetProcessError(str(said))


def _work(make: Making, portion: Sequence[str], line: Connection, inherited: Sequence[Connection]) -> None:
    """Body of a process: its fleet runs until the line to the starting process is closed."""
    for other in inherited:
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the starting process decides
    try:
        asyncio.run(_serve(make, portion, line))
    except (OSError, ValueError) as error:
        line.send(str(error))


async def _serve(make: Making, portion: Sequence[str], line: Connection) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    fleet, story = make(portion)
    async with fleet, serve_control(fleet) as url, story.told():
        pid = multiprocessing.current_process().pid
        assert pid is not None
        line.send(Part(pid, url, tuple(fleet.endpoints()), tuple(fleet.tls_endpoints())))
        loop.add_reader(line.fileno(), stop.set)
        await stop.wait()
        loop.remove_reader(line.fileno())
