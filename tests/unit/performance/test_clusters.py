"""Attempts of one hour that share their fate make no alarm, and a true loss is found as soon as before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from controller.models.measurement import HOUR, Measured, Subject
from controller.performance.comparison import Clustering, VerdictKind, figure
from controller.performance.judgement import DAYS, POOLS, Comparison, Hour
from controller.performance.kpis import Kpi, Statistic, Tally, tally
from tests.support.soak import SOAK
from tests.unit.plan import samples

#: Stations, and hours that are judged of each: a week of a region in a soak.
STATIONS, HOURS = (600, 168) if SOAK else (40, 14)
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
DROPS = KPI.model_copy(update={"name": "drops", "better": "lower", "statistic": Statistic.RATE})


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


def clustered(kpi: Kpi, hours: Iterable[Measured]) -> Tally:
    """Counts of hours, each of them a cluster."""
    whole = Tally(kpi)
    for one in hours:
        whole.merge(tally(kpi, [one]).as_cluster())
    return whole


class World:
    """Stations whose share of failures is drawn for each hour from a beta distribution (``spread`` 0: it is the same).

    Args:
        lost: Share of the attempts that fail beside, from the first hour that is judged on.
    """

    def __init__(self, seed: int, stations: int, mean: float, spread: float, lost: float = 0.0) -> None:
        self.random = random = Random(seed)
        self.sizes = [200 + random.expovariate(1 / 300) for _ in range(stations)]
        self.mean, self.spread, self.lost = mean, spread, lost
        self.hours = [{at: self.draw(size, at) for at in self.times()} for size in self.sizes]

    def times(self) -> Iterator[datetime]:
        return (BEGIN + timedelta(hours=number) for number in range(24 * DAYS + HOURS))

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
        for number in range(HOURS):
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


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.03])
@pytest.mark.parametrize("mean", [0.005, 0.015])
def test_hours_whose_attempts_share_their_fate_make_no_alarm(mean: float, spread: float) -> None:
    found = World(7, STATIONS, mean, spread).alarms()
    print(f"mean {mean}, spread {spread}: {len(found)} false alarms of {STATIONS} stations in {HOURS} hours")
    assert len(found) <= 10 * STATIONS * HOURS / (3100 * 168)


@pytest.mark.parametrize(("spread", "lost", "within"), [(0.0, 0.1, 4), (0.01, 0.2, 4), (0.03, 0.25, 5)])
def test_a_true_loss_is_found_within_hours(spread: float, lost: float, within: int) -> None:
    world = World(11, 30, 0.01, spread, lost)
    found = world.alarms()
    assert len(found) == len(world.sizes)
    assert sum(found.values()) / len(found) <= within, sorted(found.values())


@pytest.mark.parametrize("spread", [0.01, 0.03])
def test_clusters_are_estimated_from_the_hours_of_all_stations(spread: float) -> None:
    """The moments of the draw are the estimate, within a fifth."""
    world, whole = World(3, 250, 0.02, spread), Clustering()
    for hours in world.hours:
        alike = [one for at, one in hours.items() if at.hour == 9][:DAYS]
        whole += Clustering.of(KPI, [tally(KPI, [one]) for one in alike])
    assert list(whole.correlations) == [pytest.approx(spread, rel=0.2)]


def test_a_cluster_makes_an_interval_as_wide_as_that_of_its_effective_sample() -> None:
    """Kish: n attempts in clusters of m with correlation c are worth n / (1 + c (m - 1)) independent ones."""
    hours = [hour(BEGIN + timedelta(hours=number), 401, 400) for number in range(3)]
    together = figure(KPI, clustered(KPI, hours), BEGIN, BEGIN, correlations=(0.02,))
    few = [hour(BEGIN, 3 * 401 / 9, 3 * 400 / 9)]
    alone = figure(KPI, tally(KPI, few), BEGIN, BEGIN, correlations=(0.0,))
    assert together.low == pytest.approx(alone.low)
    assert together.high == pytest.approx(alone.high)
    assert together.sample == 3 * 401, "the sample itself stays what it is"


def test_a_rate_is_worth_less_by_the_events_of_each_hour() -> None:
    """The variance of a negative binomial count of mean m is m (1 + c m)."""
    hours = [hour(BEGIN + timedelta(hours=number), 7200, 20) for number in range(2)]
    together = figure(DROPS, clustered(DROPS, hours), BEGIN, BEGIN, correlations=(0.1,))
    alone = figure(DROPS, tally(DROPS, [hour(BEGIN, 14400 / 3, 40 / 3)]), BEGIN, BEGIN)
    assert [together.low, together.high] == [pytest.approx(alone.low), pytest.approx(alone.high)]


def test_a_station_that_failed_for_an_hour_dulls_no_other() -> None:
    calm = [hour(BEGIN + timedelta(days=day), 400, 396 + day % 2) for day in range(7)]
    failed = [*calm[:6], hour(BEGIN + timedelta(days=6), 400, 100)]
    own = Clustering.of(KPI, [tally(KPI, [one]) for one in failed])
    assert own.correlations[0] > 0.3
    assert own.capped.correlations[0] == pytest.approx(0.1)
    steady = Clustering.of(KPI, [tally(KPI, [one]) for one in calm])
    assert steady.among(own.capped) == own.capped.correlations, "no less than all together show"
    assert own.among(steady)[0] == pytest.approx(own.correlations[0] / 2), "its own few hours count for half"


def test_a_station_that_makes_up_any_number_of_attempts_dulls_no_other() -> None:
    def of(size: float) -> Clustering:
        days = [hour(BEGIN + timedelta(days=day), size, size * (0.98 + 0.01 * (day % 2))) for day in range(7)]
        return Clustering.of(KPI, [tally(KPI, [one]) for one in days]).capped

    honest = Clustering()
    for _ in range(1000):
        honest += of(400)
    made_up = Clustering.of(KPI, [tally(KPI, [hour(BEGIN, 1e12, n * 5e11)]) for n in range(2)]).capped
    assert made_up.correlations[0] == pytest.approx(0.1)
    assert (honest + made_up).correlations[0] <= honest.correlations[0] + 0.002


def test_nothing_is_known_of_clusters_of_less_than_two_hours() -> None:
    one = Clustering.of(KPI, [tally(KPI, [hour(BEGIN, 400, 390)]), Tally(KPI)])
    assert one.correlations == (0.0,)
    assert Clustering.of(KPI, []) + one == one
    assert (Clustering() + one).among(Clustering()) == (0.0,)
