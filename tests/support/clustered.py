"""Stations whose attempts of one hour share their fate, as a drawn world: a share of failures for each hour.

The shares are drawn from a beta distribution, so that the intraclass correlation of the attempts is known, and what a
judge says of them is compared with what was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

from controller.models.measurement import HOUR, Measured, Subject
from controller.performance.comparison import VerdictKind
from controller.performance.kpi_evaluation import DAYS, POOLS, Comparison, Hour
from controller.performance.kpis import Kpi
from tests.unit.plan import samples

BEGIN = datetime(2026, 10, 1, tzinfo=UTC)
NETWORK = samples.network()
KPI = Kpi(
    name="setups",
    title="Set-ups",
    category="accessibility",
    description="Share of connections that are set up.",
    formula="100 * RRC.ConnEstabSucc / RRC.ConnEstabAtt",
    source="a test",
    unit="%",
    better="higher",
    statistic="share",
    minimum=100,
    levels=["station"],
    watched=True,
)


def hour(at: datetime, attempts: float, good: float, covered: float = 3600) -> Measured:
    counts = {"RRC.ConnEstabAtt": {Subject(): attempts}, "RRC.ConnEstabSucc": {Subject(): good}}
    return Measured(station="S1", begin=at, seconds=HOUR, covered=covered, cells={"L1": counts})


def failures(random: Random, attempts: int, share: float) -> int:
    """A binomial number, by the distances between failures."""
    if share <= 0:
        return 0
    found, at = 0, 0
    while (at := at + 1 + int(math.log(1 - random.random()) / math.log1p(-share))) <= attempts:
        found += 1
    return found


class World:
    """Stations whose share of failures is drawn for each hour from a beta distribution (``spread`` 0: it is the same).

    Args:
        judged: Number of hours that are judged, after a week of history.
        lost: Share of the attempts that fail beside, from the first hour that is judged on.
    """

    def __init__(self, seed: int, stations: int, judged: int, mean: float, spread: float, lost: float = 0.0) -> None:
        self.random = random = Random(seed)
        self.sizes = [200 + random.expovariate(1 / 300) for _ in range(stations)]
        self.number, self.mean, self.spread, self.lost = judged, mean, spread, lost
        self.hours = [{at: self.draw(size, at) for at in self.times()} for size in self.sizes]

    def times(self) -> Iterator[datetime]:
        return (BEGIN + timedelta(hours=number) for number in range(24 * DAYS + self.number))

    def draw(self, size: float, at: datetime) -> Measured:
        attempts = int(size * (1 + 0.4 * math.sin(at.hour / 24 * math.tau)))
        share = self.mean
        if self.spread:
            sizes = 1 / self.spread - 1
            share = self.random.betavariate(self.mean * sizes, (1 - self.mean) * sizes)
        bad = failures(self.random, attempts, share)
        if at >= BEGIN + timedelta(days=DAYS):
            bad += failures(self.random, attempts - bad, self.lost)
        return hour(at, attempts, attempts - bad)

    def judged(self) -> Iterator[tuple[int, int, Comparison]]:
        """Station, number of the hour, and how it compares."""
        earlier: list[Hour] = []
        for number in range(self.number):
            end = BEGIN + timedelta(days=DAYS, hours=number + 1)
            judge = Hour([KPI], [], NETWORK, end, [one.sums for one in earlier])
            wanted = [
                end - timedelta(days=day, hours=back) for day in range(DAYS + 1) for back in range(1, max(POOLS) + 1)
            ]
            for station, hours in enumerate(self.hours):
                _, found = judge.take("S1", [hours[at] for at in wanted if at in hours])
                yield station, number, found[KPI.name]
            earlier = [judge]

    def alarms(self) -> dict[int, int]:
        """Number of hours until each station was worse twice, of different hours."""
        since: dict[int, datetime] = {}
        found: dict[int, int] = {}
        for station, number, compared in self.judged():
            if compared.verdict.kind is not VerdictKind.WORSE:
                since.pop(station, None)
            elif compared.begin >= since.setdefault(station, BEGIN + timedelta(days=DAYS, hours=number + 1)):
                found.setdefault(station, number + 1)
        return found
