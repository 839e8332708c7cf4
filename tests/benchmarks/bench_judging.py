"""What the listener makes of measurements: ``python -m tests.benchmarks.bench_judging [STATIONS …]``.

An hour of all stations is worked out from its quarters, as the scheduler does; then the listener looks for cells that
sleep, and judges all indicators of the hour for metrics and alarms, against the same hours of a week before. Cells are
spread over stations as in ``peru``, and four tenants share each. Rows are copies of those of a few stations, which are
written as they are in life; reading and all else is what a controller does.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import text

from controller.assurance.measured_faults import _SPREAD, _TOGETHER, MeasuredFaults
from controller.models.health import Health, ServiceState
from controller.models.measurement import HOUR, QUARTER, Measured, Period, Values
from controller.models.network import Network, network_digest
from controller.models.shipped import shipped
from controller.performance.vocabulary import measured
from controller.ports.clock import VirtualClock
from controller.store import LoopStore, Store, open_store
from tests.benchmarks.bench_measurements import STATIONS, Watch, simulated, sites
from tests.support.definitions import load_kpis

#: End of the hour that is judged.
END = datetime(2026, 10, 9, 15, tzinfo=UTC)
HOURS = [END - timedelta(days=day, hours=hour) for day, hour in product(range(8), range(1, 5))]
QUARTERS = [END - timedelta(minutes=15 * number) for number in range(1, 5)]
#: Stations that are judged to the last one; of more only those of some rounds.
_WHOLE, _ROUNDS = 10_000, 2
#: Number of cells of stations some of whose cells sleep.
_ASLEEP = 12
_STALE = "INSERT INTO stale_measurements (level, begin, station, due) VALUES (:level, :begin, :station, :due)"
_COPY = (
    "INSERT INTO measurements SELECT :station, level, begin, rolled, seconds, covered, suspect, differed, layout,"
    " content FROM measurements WHERE station = :like AND level <= :level"
)


def files(number: int) -> Network:
    """The network files: every station open to four tenants."""
    named, cell = sites(number), {"rat": "LTE", "band": "B28", "arfcn_dl": 9410, "arfcn_ul": 27410}
    cell |= {"bandwidth_mhz": 10, "tac": 1, "primary_plmn": "999-01"}
    tenants = range(1, 5)
    content: dict[str, Any] = {
        "header": {"id": "n", "name": "N", "country": "PE", "timezone": "America/Lima"},
        "regions": [{"id": f"r-{one}", "name": "R"} for one in range(26)],
        "sites": [
            {"id": name.lower(), "name": name, "region": f"r-{at % 26}", "latitude": -at / 9000, "longitude": at % 70}
            for at, (name, _) in enumerate(named)
        ],
        "stations": [
            {"id": name, "site": name.lower(), "profiles": ["lte-28658"], "transport_address": "10.0.0.1", "enb_id": at}
            for at, (name, _) in enumerate(named)
        ],
        "cells": [
            cell | {"station": name, "id": str(one), "local_id": one, "pci": one}
            for name, cells in named
            for one in range(cells)
        ],
        "tenants": [{"id": f"t-{n}", "name": "T", "plmns": [f"999-0{n}"], "core": {"vlan": 10 + n}} for n in tenants],
        "agreements": [
            {"id": f"a-{n}", "tenant": f"t-{n}", "scope": {"everywhere": True}, "validity": {"start": "2020-01-01"}}
            | {"shares": [{"min": 20, "max": 60}]}
            for n in tenants
        ],
    }
    return Network.model_validate(content)


def used() -> dict[str, Values]:
    """What a cell of the twin counts in a quarter of an hour."""
    period = Period(job="1", begin=END, end=END + timedelta(minutes=15), values=simulated()[0])
    (found,) = measured("T-LTE-1", [period]).periods
    return found.cells["1"]


def template(busy: dict[str, Values], cells: int) -> Iterator[Measured]:
    """What a station of so many cells counted; half of those of large ones nobody used in the last hour."""
    quiet = {name: dict.fromkeys(values, 0.0) for name, values in busy.items()}
    for begin, seconds in (*((at, QUARTER) for at in QUARTERS), *((at, HOUR) for at in HOURS[1:])):
        silent = quiet if cells == _ASLEEP and begin >= END - timedelta(hours=1) else busy
        found = {str(one): silent if one % 2 else busy for one in range(cells)}
        yield Measured.model_construct(
            station=f"like-{cells}", begin=begin, seconds=seconds, covered=float(seconds), suspect=False, cells=found
        )


def judged_of(number: int) -> int:
    """How many stations of so many are judged: the first ones by id."""
    return number if number <= _WHOLE else _ROUNDS * _TOGETHER * (1 + number // (_TOGETHER * _SPREAD))


def _adopted(store: Store, stations: list[str], digest: str) -> None:
    for station in stations:
        store.devices.adopt(station, (), digest, "bench")


def filled(store: Store, number: int) -> None:
    """A record in which all of it was measured, and nothing of it judged."""
    network = files(number)
    digest = network_digest(network)
    store.networks.save(network, digest, "bench")
    named = sites(number)
    healths = [
        Health(station=name, at=END, reachable=True, cells={str(one): ServiceState.UP for one in range(cells)})
        for name, cells in named
    ]
    for at in range(0, number, 1000):
        store.transaction(_adopted, [name for name, _ in named[at : at + 1000]], digest)
        store.healths.save(healths[at : at + 1000])
    busy = used()
    for cells in {cells for _, cells in named}:
        store.measurements.put(template(busy, cells))
    due = {"level": HOUR, "begin": "2026-10-09 14:00:00.000000", "due": "2026-10-09 15:00:00.000000"}
    with store.database.engine.begin() as connection:
        # What is not judged here needs no history, unless it sleeps.
        levels = [
            HOUR if at < judged_of(number) or cells == _ASLEEP else QUARTER for at, (_, cells) in enumerate(named)
        ]
        rows = [
            {"station": name, "like": f"like-{cells}", "level": level}
            for (name, cells), level in zip(named, levels, strict=True)
        ]
        connection.execute(text(_COPY), rows)
        connection.execute(text("DELETE FROM stale_measurements"))
        connection.execute(text("DELETE FROM measurements WHERE station LIKE 'like-%'"))
        connection.execute(text(_STALE), [due | {"station": name} for name, _ in named])


async def run(number: int) -> None:
    """All of it for so many stations."""
    clock = VirtualClock(start=END)
    kpis = load_kpis(shipped("playbooks/kpis"))
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(open_store(f"sqlite:///{Path(folder) / 'minka.sqlite3'}", clock)) as store,
    ):
        print(f"{number} stations, {sum(cells for _, cells in sites(number))} cells, {len(kpis)} indicators")
        filled(store, number)
        worked_out, asleep = Watch("hour worked out", number), Watch("look for sleeping cells", number)
        some = judged_of(number)
        judged = Watch("hour judged" if some == number else "hour judged, of some of them", some)
        clock.pause(1300)
        with worked_out.on():
            while store.measurements.roll_up(clock.now()):
                pass
        worked_out.tell()
        loop_store = LoopStore(store)
        faults = MeasuredFaults(loop_store, clock, lambda _: kpis)
        # Ten minutes after the hour's end it is not judged yet, but for the one before, of which nothing is there.
        faults._latest[HOUR] = END - timedelta(hours=1)
        with asleep.on():
            await faults.round()
        asleep.tell()
        clock.pause(1200)
        # Some stations are judged before: what a process keeps of one hour must not make the next one slower.
        earlier = MeasuredFaults(loop_store, clock, lambda _: kpis, alarms=False)
        earlier._latest[QUARTER] = faults._latest[QUARTER] = END + timedelta(minutes=30)
        await earlier.round()
        with judged.on():
            while len(store.kpi_evaluations.stations(None, END - timedelta(hours=1))) < some:
                await faults.round()
        judged.tell()
        alarms = len(store.alarms.standing())
        print(
            f"  {alarms} alarms; {len(store.kpi_evaluations.stations(None, END - timedelta(hours=1)))} stations judged"
        )
        await loop_store.close()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    for wanted in map(int, sys.argv[1:] or [str(STATIONS)]):
        asyncio.run(run(wanted))
