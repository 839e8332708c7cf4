"""Of each place the latest evaluation is on record."""

from __future__ import annotations

from datetime import timedelta

from controller.performance.kpi_evaluation import IndicatorValues, KpiEvaluation
from controller.performance.kpis import Level
from controller.ports.clock import VirtualClock
from controller.store import Store

HOUR = timedelta(hours=1)


def test_the_latest_evaluation_of_each_place_is_kept_until_it_is_forgotten(store: Store, clock: VirtualClock) -> None:
    now = clock.now()
    said = IndicatorValues({"retainability": 0.5, "users": 12.0}, {"retainability": 1.25})
    first = KpiEvaluation(
        level=Level.STATION,
        of="S1",
        end=now,
        whole=said,
        tenants={"alfa": IndicatorValues({"retainability": 0.25})},
        cells={"L1": IndicatorValues({"retainability": 1.0})},
    )
    region = KpiEvaluation(level=Level.REGION, of="r", end=now - HOUR, whole=said)
    verdicts = {"users": {"judged": 2, "too-few": 0, "unmeasured": 1}}
    network = KpiEvaluation(level=Level.NETWORK, of="*", end=now - HOUR, verdicts=verdicts)
    second = first.model_copy(update={"of": "S2", "end": now - HOUR})
    store.kpi_evaluations.put([first, region, network, second])
    store.kpi_evaluations.put([])
    assert store.kpi_evaluations.stations(None, now - 2 * HOUR) == [first, second]
    assert store.kpi_evaluations.stations(["S2", "S9"], now - 2 * HOUR) == [second]
    assert store.kpi_evaluations.stations(None, now - HOUR) == [first], "after that time, not at it"
    assert store.kpi_evaluations.places() == [network, region]
    # A newer one takes its place; an older one, as of a listener that was slow, does not.
    newer = second.model_copy(update={"end": now, "whole": IndicatorValues()})
    store.kpi_evaluations.put([newer, first.model_copy(update={"end": now - HOUR, "whole": IndicatorValues()})])
    assert store.kpi_evaluations.stations(None, now - 2 * HOUR) == [first, newer]
    store.kpi_evaluations.forget(now)
    assert store.kpi_evaluations.stations(None, now - 2 * HOUR) == [first, newer]
    assert store.kpi_evaluations.places() == []
