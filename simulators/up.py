"""Running a fleet until told to stop, in this process or in several."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from simulators.control.app import serve_control
from simulators.fleet.inventory import Exports
from simulators.network import SimulatedNetwork
from simulators.processes import (
    FleetProcessError,
    Making,
    Part,
    check_open_files,
    controlled,
    share_schemas,
    shares,
    started,
)


def run(
    make: Making,
    network: SimulatedNetwork,
    only: Sequence[str],
    processes: int,
    control: tuple[str, int],
    exports: Exports,
    seed: str,
) -> None:
    """Run the fleet until SIGTERM or Ctrl-C.

    Args:
        make: Makes the fleet of some stations and its story.
        network: Where they come from.
        only: Ids of the stations to start; none given means all.
        processes: How many share them.
        control: Address and port of the control interface.
        exports: Files to write when all of them listen.
        seed: Seed of the certificates to write.

    Raises:
        FleetProcessError: a process could not start, or has ended by itself.
        ValueError: the stations can't be served so.
        OSError: an address can't be listened on, or a file can't be written.
    """
    limit = _allow_open_files()
    stations = list(only) or [station.id for station in network.stations]
    if processes == 1:
        check_open_files(len(stations), 1, 1, limit)
        asyncio.run(_run_here(make, stations, control, exports, seed))
        return
    check_open_files(len(stations), processes, 1 + (exports.tls_endpoints is not None), limit)
    share_schemas(network)
    with started(make, shares(stations, processes)) as parts:
        asyncio.run(_run_parts(parts, control, exports, seed))


def _allow_open_files() -> int:
    """Each listener and each session is an open file: take all that the system grants."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


async def _run_here(
    make: Making, stations: Sequence[str], control: tuple[str, int], exports: Exports, seed: str
) -> None:
    async with AsyncExitStack() as stack:
        stop = await stack.enter_async_context(_until_told())
        fleet, story = make(stations)
        await stack.enter_async_context(fleet)
        url = await stack.enter_async_context(serve_control(fleet, *control))
        routers = [fleet.router_endpoint(router) for router in fleet.routers]
        exports.write(fleet.endpoints(), fleet.tls_endpoints(), seed, routers)
        _say_ready(len(stations), url)
        await stack.enter_async_context(story.told())
        await stop.wait()


async def _run_parts(parts: Sequence[Part], control: tuple[str, int], exports: Exports, seed: str) -> None:
    async with AsyncExitStack() as stack:
        stop = await stack.enter_async_context(_until_told())
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
async def _until_told() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
