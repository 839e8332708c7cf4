"""Of each place the latest judgement is on record."""

from __future__ import annotations

from datetime import timedelta

from controller.performance.judgement import IndicatorValues, Judgement
from controller.performance.kpis import Level
from controller.ports.clock import VirtualClock
from controller.store import Store

HOUR = timedelta(hours=1)


def test_the_latest_judgement_of_each_place_is_kept_until_it_is_forgotten(store: Store, clock: VirtualClock) -> None:
    now = clock.now()
    said = IndicatorValues({"retainability": 0.5, "users": 12.0}, {"retainability": 1.25})
    first = Judgement(
        level=Level.STATION,
        of="S1",
        end=now,
        whole=said,
        tenants={"alfa": IndicatorValues({"retainability": 0.25})},
        cells={"L1": IndicatorValues({"retainability": 1.0})},
    )
    region = Judgement(level=Level.REGION, of="r", end=now - HOUR, whole=said)
    verdicts = {"users": {"judged": 2, "too-few": 0, "unmeasured": 1}}
    network = Judgement(level=Level.NETWORK, of="*", end=now - HOUR, verdicts=verdicts)
    second = first.model_copy(update={"of": "S2", "end": now - HOUR})
    store.judgements.put([first, region, network, second])
    store.judgements.put([])
    assert store.judgements.stations(None, now - 2 * HOUR) == [first, second]
    assert store.judgements.stations(["S2", "S9"], now - 2 * HOUR) == [second]
    assert store.judgements.stations(None, now - HOUR) == [first], "after that time, not at it"
    assert store.judgements.places() == [network, region]
    # A newer one takes its place; an older one, as of a listener that was slow, does not.
    newer = second.model_copy(update={"end": now, "whole": IndicatorValues()})
    store.judgements.put([newer, first.model_copy(update={"end": now - HOUR, "whole": IndicatorValues()})])
    assert store.judgements.stations(None, now - 2 * HOUR) == [first, newer]
    store.judgements.forget(now)
    assert store.judgements.stations(None, now - 2 * HOUR) == [first, newer]
    assert store.judgements.places() == []
