"""Indicators: ``python -m tests.benchmarks.bench_kpis [STATIONS …]``.

All shipped indicators of a quarter of an hour of the whole of ``peru``, each for each station and for each tenant; then
what the check for sleeping cells does with it. In memory: ``bench_measurements`` reads the record. Ten times as many
stations take ten times as long.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from datetime import timedelta

from controller.models.measurement import Measured, Period
from controller.models.shipped import shipped
from controller.performance.comparison import figure
from controller.performance.kpis import EVERYBODY, Subscribers, Tally
from controller.performance.silence import uses
from controller.performance.vocabulary import measured
from tests.benchmarks.bench_measurements import BEGIN, STATIONS, Watch, simulated, sites
from tests.support.definitions import load_kpis

QUARTER = timedelta(minutes=15)
TENANTS = [Subscribers(frozenset({f"999-0{number}"})) for number in range(1, 5)]


def periods(number: int) -> Iterator[Measured]:
    """One period of each station; cells are copies of those of the twin."""
    kinds = []
    for station, values in zip(("T-LTE-1", "T-NR-1"), simulated(), strict=True):
        (one,) = measured(station, [Period(job="1", begin=BEGIN, end=BEGIN + QUARTER, values=values)]).periods
        kinds.append(next(iter(one.cells.values())))
    dice = random.Random(1)
    for station, cells in sites(number):
        found = {str(cell): kinds[dice.random() < 0.1] for cell in range(cells)}
        yield Measured.model_construct(
            station=station, begin=BEGIN, seconds=900, covered=900.0, suspect=False, cells=found
        )


def run(number: int) -> None:
    """All indicators of so many stations."""
    kpis = load_kpis(shipped("playbooks/kpis"))
    print(f"{number} stations, {sum(cells for _, cells in sites(number))} cells, {len(kpis)} indicators")
    stations, tenants, asleep = (
        Watch(what, number) for what in ("each station", "each of 4 tenants", "sleeping cells")
    )
    whole = {(kpi.name, place): Tally(kpi) for kpi in kpis for place in range(len(TENANTS))}
    used, judged = 0, 0
    for period in periods(number):
        with stations.on():
            for kpi in kpis:
                tally = Tally(kpi)
                tally.add(period, EVERYBODY)
                judged += not figure(kpi, tally, BEGIN, BEGIN + QUARTER).why
        with tenants.on():
            for kpi in kpis:
                for place, who in enumerate(TENANTS):
                    whole[kpi.name, place].add(period, who)
        with asleep.on():
            used += len(uses([period], BEGIN))
    for watch in (stations, tenants, asleep):
        watch.tell()
    known = sum(not figure(tally.kpi, tally, BEGIN, BEGIN + QUARTER).why for tally in whole.values())
    print(f"  judged: {judged} of stations, {known} of tenants; {used} cells looked at")


if __name__ == "__main__":
    for wanted in map(int, sys.argv[1:] or [str(STATIONS)]):
        run(wanted)
