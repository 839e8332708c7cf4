"""Statements of a month: ``python -m tests.benchmarks.bench_statements [--outages N]``.

The network is ``peru`` (3,100 stations, 11,388 cells, four tenants). On record are a month of days of all stations,
as simulated stations count, hours of its last day, the year before by the month, and outages of cells. Printed are CPU
seconds of each kind of statement for the largest tenant, worked out and issued with its files, and memory.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from sqlalchemy import text

from controller.api.statements import draft
from controller.bootstrap import collect_rarely
from controller.inventory.load import load_network
from controller.models.alarm import AlarmReport, AlarmSource, ObjectClass, PerceivedSeverity
from controller.models.measurement import DAY, HOUR, MONTH, Measured, Period, Subject, Values
from controller.models.network import Network, Rat, network_digest
from controller.models.statement import StatementForm, StatementKind
from controller.performance.rollups import span_of
from controller.performance.vocabulary import measured
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from simulators.clock import VirtualClock as StationClock
from simulators.equipment.performance import PERIOD
from tests.benchmarks.bench_measurements import four_tenants
from tests.support.definitions import put_in_force
from tests.support.observed import observe
from tests.unit.simulators.equipment.stations import lively, nr_station

KPIS = Path(__file__).parents[2] / "playbooks" / "kpis"
PERU = Path(__file__).parents[2] / "deploy" / "networks" / "peru"
BEGIN, DAYS = datetime(2026, 10, 1, 5, tzinfo=UTC), 31
TENANT, ASKED = "movistar", "2026-10"
PLMN = {"999-01": "716-06", "999-02": "716-10", "999-03": "716-15", "999-04": "716-17"}


def counted() -> dict[Rat, dict[str, Values]]:
    """What an LTE and an NR cell count in a day, for the four tenants."""
    found = {}
    for rat, make in ((Rat.LTE, lively), (Rat.NR, nr_station)):
        clock = StationClock()
        station = make(clock)
        clock.advance(2 * PERIOD)
        one = station.equipment.performance.measure()
        period = Period(job="1", begin=one.begin, end=one.end, values=four_tenants(one.values))
        cells = measured(station.id, [period]).periods[0].cells
        found[rat] = {name: _renamed(values) for name, values in next(iter(cells.values())).items()}
    return found


def _renamed(values: Values) -> Values:
    return {
        Subject(PLMN.get(one.plmn, one.plmn), one.qos, one.slice): value * 96 + one.qos for one, value in values.items()
    }


def fill(store: Store, network: Network) -> None:
    """A month of days of all stations, hours of its last day, and a year of months: copies of the first day."""
    templates = counted()
    for start in range(0, len(network.stations), 200):
        store.measurements.put(
            Measured(
                station=station.id,
                begin=BEGIN,
                seconds=DAY,
                covered=DAY,
                cells={cell.id: templates[cell.rat] for cell in network.cells_by_station[station.id]},
            )
            for station in network.stations[start : start + 200]
        )
    columns = "rolled, seconds, covered, suspect, differed, layout, content"
    chosen = f"SELECT station, :at, :level, {columns} FROM measurements WHERE begin = :of AND level = {DAY}"
    copy = f"INSERT INTO measurements (station, begin, level, {columns}) {chosen}"
    last = BEGIN + timedelta(days=DAYS - 1)
    spans = [(DAY, BEGIN + timedelta(days=day)) for day in range(1, DAYS)]
    spans += [(HOUR, last + timedelta(hours=hour)) for hour in range(24)]
    spans += [(MONTH, span_of(BEGIN - timedelta(days=30 * back), MONTH, network.zone)[0]) for back in range(1, 13)]
    form = "%Y-%m-%d %H:%M:%S.%f"
    with store.database.engine.begin() as connection:
        for level, at in spans:
            connection.execute(text(copy), {"at": at.strftime(form), "level": level, "of": BEGIN.strftime(form)})


def strike(store: Store, network: Network, number: int) -> None:
    """Outages of cells, spread over the month."""
    dice = random.Random(7)
    cells = [cell.name for cell in network.cells]
    each = number // DAYS + 1
    for day in range(DAYS):
        begin = BEGIN + timedelta(days=day)
        chosen = dice.sample(cells, each)
        spans = [(cell, dice.uniform(0, 40_000), dice.uniform(60, 30_000)) for cell in chosen]
        for severity, later in ((PerceivedSeverity.MAJOR, 0), (PerceivedSeverity.CLEARED, 1)):
            store.alarms.report_all(
                [
                    AlarmReport(
                        station=cell.partition("/")[0],
                        object=cell,
                        object_class=ObjectClass.CELL,
                        probable_cause="cell-off-air",
                        source=AlarmSource.CHECK,
                        severity=severity,
                        at=begin + timedelta(seconds=since + later * length),
                    )
                    for cell, since, length in spans
                ]
            )


def main(number: int) -> None:
    """Fill the record, and issue each kind of statement."""
    clock = VirtualClock(start=BEGIN + timedelta(days=DAYS + 2))
    network = load_network(PERU)
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(open_store(f"sqlite:///{folder}/minka.sqlite3", clock)) as store,
    ):
        store.networks.save(network, network_digest(network), "ana")
        put_in_force(store)
        fill(store, network)
        names = [one.id for one in network.stations]
        observe(store, names, BEGIN - timedelta(days=40), BEGIN + timedelta(days=DAYS + 2))
        strike(store, network, number)
        with store.database.engine.connect() as connection:
            rows = connection.execute(text("SELECT count(*) FROM measurements")).scalar_one()
        print(f"{len(network.stations)} stations, {len(network.cells)} cells, {rows:,} days, {number:,} outages")
        collect_rarely()  # as processes do
        for kind in StatementKind:
            began = time.process_time()
            made = draft(store, clock.now(), kind, TENANT, ASKED)
            worked = time.process_time() - began
            issued = store.statements.issue(made, "ana", "")
            whole = time.process_time() - began
            sizes = {form.value: len(store.statements.file(issued.id, form)) // 1024 for form in StatementForm}
            memory = getrusage(RUSAGE_SELF).ru_maxrss / 1024
            print(f"  {kind:<12} {worked:6.2f} s, issued in {whole:6.2f} s, {memory:5.0f} MiB, KiB {sizes}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[sys.argv.index("--outages") + 1]) if "--outages" in sys.argv else 3000)
