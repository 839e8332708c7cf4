"""Performance data: ``python -m tests.benchmarks.bench_measurements [--postgres] [STATIONS]``.

One period of 3,100 stations × 4 tenants, as simulated stations write it, through parser, vocabulary and store; then the
rest of the hour, and the hour and the day are worked out, and read. Cells are spread over stations as in ``peru``.
Printed are seconds, memory, and what a station takes in a year on each level. Of more stations there is one period.
"""

from __future__ import annotations

import gzip
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from sqlalchemy import text

from controller.models.measurement import DAY, HOUR, QUARTER, Measured
from controller.performance.files import read_file
from controller.performance.vocabulary import measured
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from simulators.clock import VirtualClock as StationClock
from simulators.equipment.measurements import measurement_file
from simulators.equipment.performance import PERIOD, Period, Values
from tests.support.postgres import postgres_server
from tests.unit.simulators.equipment.stations import lively, nr_station

STATIONS = 3100
#: Stations of ``peru`` by their number of cells.
CELLS = {2: 1630, 3: 386, 4: 259, 6: 545, 9: 236, 12: 40, 15: 4}
#: Stations whose periods are put at once, as a worker does.
BATCH = 100
BEGIN = datetime(2026, 10, 1, 5, tzinfo=UTC)  # midnight in Lima
QUARTERS = timedelta(seconds=QUARTER)


class Watch:
    """Adds up the seconds of parts of the work, and the processor's seconds in this process."""

    def __init__(self, what: str, number: int) -> None:
        self._what, self._number, self._seconds, self._cpu = what, number, 0.0, 0.0

    @contextmanager
    def on(self) -> Iterator[None]:
        """Count the body."""
        start, cpu = time.perf_counter(), time.process_time()
        yield
        self._seconds += time.perf_counter() - start
        self._cpu += time.process_time() - cpu

    def tell(self) -> None:
        """Print the rate, and the most memory so far."""
        memory, each = getrusage(RUSAGE_SELF).ru_maxrss / 1024, 1000 * self._cpu / self._number
        row = f"{self._number:>7} in {self._seconds:7.2f} s, CPU {self._cpu:7.2f} s ({each:.1f} ms)  {memory:5.0f} MiB"
        print(f"  {self._what:<44} {row}", flush=True)


def four_tenants(values: Values) -> Values:
    """The same cells for four tenants instead of two: what is counted by PLMN or slice is there twice."""
    pairs = (("999-01", "999-03"), ("999-02", "999-04"), ("0000A1", "0000C1"), ("0000B1", "0000D1"))

    def other(name: str) -> str:
        for old, new in pairs:
            name = name.replace(old, new)
        return name

    return {
        cell: {raw: value for name, value in counters.items() for raw in dict.fromkeys((name, other(name)))}
        for cell, counters in values.items()
    }


def simulated() -> tuple[Values, Values]:
    """What an LTE and an NR cell of the twin count in a period."""
    found = []
    for make in (lively, nr_station):
        clock = StationClock()
        station = make(clock)
        clock.advance(2 * PERIOD)
        found.append(four_tenants(station.equipment.performance.measure().values))
    return found[0], found[1]


def file_of(station: str, cells: int, templates: tuple[Values, Values], begin: datetime) -> bytes:
    """A file of one period of a station; a tenth of the cells is NR."""
    dice = random.Random(f"{station}{begin}")
    values: Values = {}
    for number in range(1, cells + 1):
        for name, counters in templates[number % 10 == 0].items():
            mine = ",".join((f"ManagedElement={station}", *name.split(",")[1:])).rpartition("=")[0]
            values[f"{mine}={number}"] = {raw: round(v * dice.uniform(0.5, 1.5), 6) for raw, v in counters.items()}
    return measurement_file(station, "24.2.1", [Period(begin, begin + QUARTERS, values, suspect=False)])


def sites(number: int) -> list[tuple[str, int]]:
    """Stations with how many cells each has."""
    spread = [cells for cells, count in CELLS.items() for _ in range(count)]
    return [(f"PE-{index:05}", spread[index * 7919 % len(spread)]) for index in range(number)]


def ingest(store: Store, files: Sequence[tuple[str, bytes]]) -> None:
    """Files through parser, vocabulary and store."""
    batch: list[Measured] = []
    for station, content in files:
        found = measured(station, read_file(f"{station}.xml.gz", [content]))
        assert not found.unknown
        batch += found.periods
    store.measurements.put(batch)


def size_of(store: Store, level: int) -> float:
    """Bytes of a row of a level with its keys, without layouts and indices."""
    columns = "length(content) + length(layout) + length(station) + 40"
    statement = f"SELECT avg({columns}) FROM measurements WHERE level = {level}"
    with store.database.engine.connect() as connection:
        return float(connection.execute(text(statement)).scalar_one())


def disk_of(store: Store) -> int:
    """Bytes of the whole table with its indices."""
    with store.database.engine.connect() as connection:
        if store.database.engine.dialect.name == "postgresql":
            return int(connection.execute(text("SELECT pg_total_relation_size('measurements')")).scalar_one())
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        return int(pages * connection.execute(text("PRAGMA page_size")).scalar_one())


def run(url: str, number: int) -> None:
    """A period of all stations and again, the rest of their hour, the hour and the day."""
    clock = VirtualClock(start=BEGIN + timedelta(days=1, hours=2))
    templates, stations = simulated(), sites(number)
    first, again = Watch("files parsed, mapped and put", number), Watch("the same again, which changes nothing", number)
    worked_out, reading = Watch("hours and days worked out", number), Watch("periods read", number)
    with closing(open_store(url, clock)) as store:
        before, packed = disk_of(store), 0
        for begin in (BEGIN + quarter * QUARTERS for quarter in range(4)):
            for at in range(0, number, BATCH):
                batch = stations[at : at + BATCH]
                files = [(name, gzip.compress(file_of(name, cells, templates, begin), 1)) for name, cells in batch]
                packed += sum(len(content) for _, content in files)
                for watch in (first, again) if begin == BEGIN else ():
                    with watch.on():
                        ingest(store, files)
                if begin != BEGIN:
                    ingest(store, files)
            if begin == BEGIN:
                first.tell()
                again.tell()
                print(f"  a file has {packed / number:,.0f} bytes in gzip")
                taken = (disk_of(store) - before) / number
                print(f"  a period takes {taken:,.0f} bytes on disk with its keys and indices")
            if number > STATIONS:
                break
        with worked_out.on():
            while store.measurements.roll_up(clock.now()):
                pass
        worked_out.tell()
        with reading.on():
            assert sum(1 for _ in store.measurements.read(BEGIN, BEGIN + QUARTERS, QUARTER)) == number
        reading.tell()
        for level, name in ((QUARTER, "quarter"), (HOUR, "hour"), (DAY, "day")):
            year = 365 * DAY // level
            size = size_of(store, level)
            print(f"  {name:<8} {size:7,.0f} bytes a row, {size * year / 2**20:8.2f} MiB per station and year")


def main(postgres: bool, number: int) -> None:
    """Run on SQLite, and on PostgreSQL if wanted."""
    with tempfile.TemporaryDirectory() as folder:
        print(f"SQLite, {number:,} stations")
        run(f"sqlite:///{Path(folder) / 'minka.sqlite3'}", number)
    if postgres:
        with postgres_server(durable=True) as server, server.database() as url:
            print(f"PostgreSQL, {number:,} stations")
            run(url, number)


if __name__ == "__main__":
    main("--postgres" in sys.argv, next((int(word) for word in sys.argv[1:] if word.isdigit()), STATIONS))
