"""Collection of performance data: ``python -m tests.benchmarks.bench_collection [--postgres] [STATIONS]``.

The first stations of ``peru`` (all 3,100 unless said otherwise), with their cells and tenants, run in a process of
their own and write a measurement file for each period. One worker collects over SSH: first it connects, then its
sessions are warm, then a tenth of the stations is dark; each time all are due at once. Printed are the seconds until
all is on record, the processor's seconds on either side, and the worker's memory.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from resource import RLIMIT_NOFILE, RUSAGE_SELF, getrlimit, getrusage, setrlimit

import structlog

from controller.assurance.collection import Collector
from controller.bootstrap import collect_rarely
from controller.drivers.devices import AllDevices
from controller.drivers.registry import target_of
from controller.inventory.load import load_network
from controller.models.collection import Collection
from controller.models.network import Endpoint, Network, PerformanceData, network_digest
from controller.ports.clock import SystemClock
from controller.rehearsal.twin import provisioned
from controller.store import LoopStore, open_store
from simulators.clock import VirtualClock
from simulators.connections import Outage
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.network import read_network
from simulators.station import StationSettings
from tests.support.postgres import postgres_server
from tests.support.secrets import LocalSecrets

PERU = Path(__file__).parents[2] / "deploy" / "networks" / "peru"
#: Seconds after the end of a period at which it is collected.
SETTLED = 120.0
PERIOD = 900.0


class LateClock(SystemClock):
    """The machine's clock, some time off."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        """Time of day, UTC."""
        return super().now() + self.ahead


def cut(network: Network, number: int) -> Network:
    """Its first stations, as if there were no others."""
    stations = network.stations[:number]
    names = {station.id for station in stations}
    cells = tuple(cell for cell in network.cells if cell.station in names)
    own = tuple(one for one in network.own_cells if one.station in names)
    header = network.header.model_copy(update={"performance": PerformanceData()})
    update = {"header": header, "stations": stations, "cells": cells, "own_cells": own, "routers": (), "neighbours": ()}
    return network.model_copy(update=update)


def serve(number: int, pipe: Connection) -> None:
    """The stations' process: tells where they are, then moves their time on, or darkens some, as it is told."""
    asyncio.run(_serve(number, pipe))


async def _serve(number: int, pipe: Connection) -> None:
    network, twin = cut(load_network(PERU), number), read_network(PERU)
    clock = VirtualClock()
    configs = provisioned(network, twin, clock.now().date())
    settings = FleetSettings(only=[*configs], stations=StationSettings(settle_seconds=1, boot_seconds=60))
    setrlimit(RLIMIT_NOFILE, (getrlimit(RLIMIT_NOFILE)[1],) * 2)
    async with Fleet(twin, settings, clock) as fleet:
        for name, config in configs.items():
            fleet.stations[name].datastores.load_saved(config)
        clock.advance(PERIOD + SETTLED)
        pipe.send([fleet.endpoint(name) for name in configs])
        collect_rarely()
        while (asked := await asyncio.to_thread(pipe.recv)) is not None:
            if asked != "used":
                for name in asked:
                    fleet.transport.connections[name].cut(Outage.SILENCE)
                clock.advance(PERIOD)
            used = getrusage(RUSAGE_SELF)
            pipe.send((clock.now(), used.ru_utime + used.ru_stime))


@contextmanager
def stations(number: int) -> Iterator[tuple[Connection, Network]]:
    """Stations in a process of their own, and the network with their addresses."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(number, there), daemon=True)
    process.start()
    ends = here.recv()
    network = cut(load_network(PERU), number)
    endpoints = tuple(
        Endpoint(station=station.id, address=end.address, port=end.port, host_key=end.host_key)
        for station, end in zip(network.stations, ends, strict=True)
    )
    try:
        yield here, network.model_copy(update={"endpoints": endpoints})
    finally:
        here.send(None)
        process.join(10)
        process.kill()


async def bench(pipe: Connection, network: Network, url: str) -> None:
    """Collect three periods and say how that went."""
    clock = LateClock()
    names = [station.id for station in network.stations]
    with closing(open_store(url, clock)) as store:
        record = LoopStore(store)
        store.networks.save(network, network_digest(network), "bench")
        devices = AllDevices(LocalSecrets(device="env:MINKA_DEVICE_PASSWORD"))
        collector = Collector("bench", record, devices, clock, target_of)
        collect_rarely()
        for what, dark in (("connects", []), ("warm", []), ("a tenth dark", names[::10])):
            now, used = await _ask(pipe, dark)
            clock.ahead += now - clock.now()
            store.collections.follow(dict.fromkeys(names, now))
            store.collections.hurry(names)
            began, cpu = time.perf_counter(), time.process_time()
            wanted = len(names) - len(dark)
            while _done(store.collections.find().values(), now) < wanted:
                await collector.step()
                collector.work.clear()
                await asyncio.wait({asyncio.ensure_future(collector.work.wait())}, timeout=0.5)
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            _, after = await _ask(pipe, "used")
            memory = getrusage(RUSAGE_SELF).ru_maxrss / 1024
            cost = f"CPU {cpu:6.1f} s ({1000 * cpu / wanted:.1f} ms each)  stations' CPU {after - used:6.1f} s"
            print(f"{what:>12}: {wanted} stations in {seconds:6.1f} s  {cost}  {memory:5.0f} MiB", flush=True)
        figures = store.status.figures()["minka_collection_periods_total"]
        print(", ".join(f"{number:.0f} {outcome}" for (outcome,), number in figures.items() if number), flush=True)
        await collector.close()
        await devices.close()
        await record.close()


async def _ask(pipe: Connection, what: list[str] | str) -> tuple[datetime, float]:
    """Move the stations' time on by a period, some of them dark; their time then, and the seconds that they used."""
    pipe.send(what)
    told: tuple[datetime, float] = await asyncio.to_thread(pipe.recv)
    return told


def _done(found: Iterable[Collection], since: datetime) -> int:
    return sum(one.tried is not None and one.tried >= since and not one.reason for one in found)


def main(arguments: list[str]) -> None:
    """Run it on SQLite, and on PostgreSQL if asked to."""
    os.environ["MINKA_DEVICE_PASSWORD"] = "minka-sim"
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    number = int(next((one for one in arguments if one.isdigit()), "3100"))
    with ExitStack() as ends:
        pipe, network = ends.enter_context(stations(number))
        if "--postgres" in arguments:
            url = ends.enter_context(ends.enter_context(postgres_server()).database())
        else:
            url = f"sqlite:///{ends.enter_context(tempfile.TemporaryDirectory())}/minka.sqlite3"
        setrlimit(RLIMIT_NOFILE, (getrlimit(RLIMIT_NOFILE)[1],) * 2)
        asyncio.run(bench(pipe, network, url))


if __name__ == "__main__":
    main(sys.argv[1:])
