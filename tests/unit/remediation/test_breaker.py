from __future__ import annotations

from controller.models.alarm import REMEDIATION_STOPPED, TOO_MANY_REPAIRS, AlarmState
from controller.models.settings import Settings
from controller.remediation.breaker import Breaker, resume
from controller.store import Page
from tests.unit.remediation.bench import Bench, tiny

STATIONS = [station.id for station in tiny().stations]


def storm(bench: Bench, number: int) -> None:
    """So many links break at once."""
    for n in range(number):
        bench.breaks(f"/EP_S1C[{n} {bench.clock.now()}]", STATIONS[n % len(STATIONS)])


async def test_what_is_wrong_in_a_hundred_places_at_once_is_stopped_and_reported_once(bench: Bench) -> None:
    storm(bench, 100)
    schedulers = bench.scheduler(breaker=Breaker(20, 10)), bench.scheduler(breaker=Breaker(20, 10))
    for _ in range(3):
        await bench.round(*schedulers)
        bench.work()
    assert len(bench.runs()) == 20
    state = bench.store.switches.get(REMEDIATION_STOPPED)
    assert (state.on, state.by, state.reason) == (
        True,
        "breaker",
        "20 automatic repairs began within 10 min: something larger is wrong",
    )
    ((alarm, reason),) = bench.people.sent
    assert (alarm.probable_cause, alarm.station, alarm.state) == (TOO_MANY_REPAIRS, "", AlarmState.ESCALATED)
    assert reason == state.reason
    _, waiting = bench.store.alarms.page(Page(limit=1000), [AlarmState.RAISED])
    assert {one.note for one in waiting} == {f"waits: automatic repair is stopped by breaker: {reason}"}
    assert [row.actor for row in bench.store.audit.page(Page(limit=1000))[1] if row.action == "switch.set"] == [
        "breaker"
    ]


async def test_a_person_resumes_and_the_count_begins_anew(bench: Bench) -> None:
    storm(bench, 7)
    scheduler = bench.scheduler(breaker=Breaker(3, 10))
    for began in (3, 6, 7):
        await bench.round(scheduler)
        await bench.round(scheduler)
        bench.work()
        assert len(bench.runs()) == began
        resume(bench.store, bench.clock.now(), "ana", "looked at it")
        assert not bench.store.switches.is_on(REMEDIATION_STOPPED)
    await bench.round(scheduler)
    assert len(bench.people.sent) == 2, "it stopped twice"
    raised = [one for one in bench.store.alarms.page(Page(limit=1000))[1] if one.probable_cause == TOO_MANY_REPAIRS]
    assert len(raised) == 2
    assert all(one.cleared for one in raised)


async def test_repairs_that_come_one_after_the_other_stop_nothing(bench: Bench) -> None:
    scheduler = bench.scheduler(breaker=Breaker(3, 10))
    for n in range(12):
        bench.breaks(f"/EP_S1C[{n}]")
        await bench.round(scheduler, seconds=249)
        bench.work()
        await bench.round(scheduler, seconds=1)
    assert len(bench.runs()) == 12
    assert not bench.store.switches.is_on(REMEDIATION_STOPPED)


def test_the_breakers_limits_are_those_of_the_settings() -> None:
    settings = Settings()
    assert Breaker() == Breaker(settings.repair_limit, settings.repair_limit_minutes) == Breaker(20, 10)
