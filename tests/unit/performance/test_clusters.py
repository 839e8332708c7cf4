"""Attempts of one hour that share their fate make no alarm, and a true loss is found as soon as before."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest

from controller.models.measurement import Measured
from controller.performance.comparison import Clustering, figure
from controller.performance.kpi_evaluation import DAYS
from controller.performance.kpis import Kpi, Statistic, Tally, tally
from tests.support.clustered import BEGIN, KPI, World, hour
from tests.support.soak import SOAK

#: Stations, and hours that are judged of each: a week of a region in a soak.
STATIONS, HOURS = (600, 168) if SOAK else (40, 14)
DROPS = KPI.model_copy(update={"name": "drops", "better": "lower", "statistic": Statistic.RATE})


def clustered(kpi: Kpi, hours: Iterable[Measured]) -> Tally:
    """Counts of hours, each of them a cluster."""
    whole = Tally(kpi)
    for one in hours:
        whole.merge(tally(kpi, [one]).as_cluster())
    return whole


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.03])
@pytest.mark.parametrize("mean", [0.005, 0.015])
def test_hours_whose_attempts_share_their_fate_make_no_alarm(mean: float, spread: float) -> None:
    found = World(7, STATIONS, HOURS, mean, spread).alarms()
    print(f"mean {mean}, spread {spread}: {len(found)} false alarms of {STATIONS} stations in {HOURS} hours")
    assert len(found) <= 10 * STATIONS * HOURS / (3100 * 168)


@pytest.mark.parametrize(("spread", "lost", "within"), [(0.0, 0.1, 4), (0.01, 0.2, 4), (0.03, 0.25, 5)])
def test_a_true_loss_is_found_within_hours(spread: float, lost: float, within: int) -> None:
    world = World(11, 30, HOURS, 0.01, spread, lost)
    found = world.alarms()
    assert len(found) == len(world.sizes)
    assert sum(found.values()) / len(found) <= within, sorted(found.values())


@pytest.mark.parametrize("spread", [0.01, 0.03])
def test_clusters_are_estimated_from_the_hours_of_all_stations(spread: float) -> None:
    """The moments of the draw are the estimate, within a fifth."""
    world, whole = World(3, 250, HOURS, 0.02, spread), Clustering()
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
