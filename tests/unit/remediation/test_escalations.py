from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from controller.models.alarm import PAGE, TICKET, Alarm, AlarmState, PerceivedSeverity
from controller.models.dispatch import DispatchPack
from controller.models.errors import NotTakenError, StoreError
from controller.models.health import ServiceState
from controller.ports.notifier import FakeNotifier
from controller.store import Page
from tests.unit.remediation.bench import Bench, tiny


class Refusing(FakeNotifier):
    """Takes nothing for the first calls; then it is as slow as told."""

    def __init__(self, refusals: int = 0, turns: int = 0) -> None:
        super().__init__()
        self.refusals, self.turns, self.calls = refusals, turns, 0

    async def escalate(self, alarm: Alarm, reason: str, key: str, dispatch: DispatchPack, kind: str = PAGE) -> None:
        self.calls += 1
        if self.calls <= self.refusals:
            raise NotTakenError("503")
        for _ in range(self.turns):
            await asyncio.sleep(0)
        await super().escalate(alarm, reason, key, dispatch, kind)


async def test_two_schedulers_escalate_what_stays_broken_once_and_nothing_that_one_of_them_repairs(
    bench: Bench,
) -> None:
    stations = [station.id for station in tiny().stations]
    alarms = [bench.breaks(f"/EP_S1C[{n}]", stations[n % len(stations)]) for n in range(60)]
    incurable = {alarm.id for alarm in alarms[::4]}
    schedulers = bench.scheduler(), bench.scheduler()
    for seconds in (1, 5, 5, 60, 1, 1):
        await bench.round(*schedulers, seconds=seconds)
        bench.work(incurable)
    ended = {alarm.id: bench.alarm(alarm).state for alarm in alarms}
    assert {one for one, state in ended.items() if state is AlarmState.ESCALATED} == incurable
    assert Counter(ended.values()) == {AlarmState.REPAIRED: 45, AlarmState.ESCALATED: 15}
    assert len(bench.runs()) == 60
    assert Counter(alarm.id for alarm, _ in bench.people.sent) == dict.fromkeys(incurable, 1)
    assert len(set(bench.people.keys)) == 15


async def test_an_alarm_that_clears_while_it_is_judged_is_not_escalated(bench: Bench) -> None:
    alarm = bench.breaks()
    scheduler = bench.scheduler()
    await bench.round(scheduler)
    bench.work({alarm.id})
    await bench.clock.advance(100)
    seen = bench.alarm(alarm)
    bench.heals(alarm)
    assert await scheduler._escalate(seen, "it stands") >= 0
    assert bench.alarm(alarm).state is AlarmState.REPAIRING
    await bench.round(scheduler)
    assert bench.alarm(alarm).state is AlarmState.REPAIRED
    assert bench.people.sent == []


async def test_people_who_can_not_be_reached_are_notified_later_and_once(bench: Bench) -> None:
    people = Refusing(refusals=3)
    _escalated(bench)
    schedulers = bench.scheduler(people), bench.scheduler(people)
    for _ in range(60):
        await bench.round(*schedulers, seconds=1)
    assert (people.calls, len(people.sent)) == (4, 1)
    assert bench.store.escalations.pending() == []


async def test_pauses_between_tries_double_from_a_second_to_a_minute(bench: Bench) -> None:
    people = Refusing(refusals=10)
    _escalated(bench)
    scheduler = bench.scheduler(people)
    tried = []
    for second in range(250):
        before = people.calls
        await bench.round(scheduler, seconds=1)
        tried += [second] * (people.calls - before)
    assert [later - sooner for sooner, later in pairwise(tried)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_a_page_waits_for_no_ticket_though_none_of_these_is_taken(bench: Bench) -> None:
    class Hanging(FakeNotifier):
        """Never ends a ticket."""

        async def escalate(self, alarm: Alarm, reason: str, key: str, dispatch: DispatchPack, kind: str = PAGE) -> None:
            if kind == TICKET:
                await ended.wait()
            await super().escalate(alarm, reason, key, dispatch, kind)

    ended, people = asyncio.Event(), Hanging()
    scheduler = bench.scheduler(people)
    for number in range(40):
        _escalated(bench, f"/fan[{number}]", TICKET, PerceivedSeverity.CRITICAL)
    await scheduler.step()
    page = _escalated(bench, "/cell", PAGE, PerceivedSeverity.MINOR)
    await scheduler.step()
    for _ in range(1000):
        await asyncio.sleep(0)
    assert people.keys == [f"escalate-{page.id}"], "tickets are under way, as many as may be, and more wait"
    ended.set()
    for _ in range(2):
        await bench.round(scheduler)
    assert Counter(people.kinds) == {PAGE: 1, TICKET: 40}


async def test_a_page_is_tried_though_tickets_were_just_not_taken(bench: Bench) -> None:
    class OnlyPages(FakeNotifier):
        """Takes no tickets."""

        async def escalate(self, alarm: Alarm, reason: str, key: str, dispatch: DispatchPack, kind: str = PAGE) -> None:
            if kind == TICKET:
                raise NotTakenError("503")
            await super().escalate(alarm, reason, key, dispatch, kind)

    people = OnlyPages()
    scheduler = bench.scheduler(people)
    for number in range(3):
        _escalated(bench, f"/fan[{number}]", TICKET)
    for _ in range(30):
        await bench.round(scheduler, seconds=1)
    _escalated(bench, "/cell")
    await bench.round(scheduler, seconds=1)
    assert people.kinds == [PAGE]


async def test_a_scheduler_that_dies_with_a_claim_is_followed_by_another_after_a_while(bench: Bench) -> None:
    alarm = _escalated(bench)
    (untold,) = bench.store.escalations.pending()
    assert bench.store.escalations.claim(untold), "by the one that dies"
    successor = bench.scheduler()
    for _ in range(50):
        await bench.round(successor, seconds=1)
    assert bench.people.sent == [], "its call may still be under way"
    for _ in range(20):
        await bench.round(successor, seconds=1)
    assert bench.people.keys == [f"escalate-{alarm.id}"]
    assert bench.store.escalations.pending() == []


async def test_a_post_that_could_not_be_noted_is_noted_later_and_not_repeated(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    _escalated(bench)
    scheduler = bench.scheduler()

    def away(*_: object) -> None:
        raise StoreError

    monkeypatch.setattr(bench.store.escalations, "delivered", away)
    await bench.round(scheduler)
    assert len(bench.store.escalations.pending()) == 1
    monkeypatch.undo()
    await bench.round(scheduler)
    assert bench.store.escalations.pending() == []
    assert len(bench.people.sent) == 1


def _escalated(
    bench: Bench, path: str = "/x", kind: str = PAGE, severity: PerceivedSeverity = PerceivedSeverity.MAJOR
) -> Alarm:
    """An alarm of which people are to be told."""
    alarm = bench.report(path, "no-rule-answers-this", severity)
    escalated = bench.store.alarms.escalate(alarm, "why", actor="remediation", kind=kind)
    assert escalated is not None
    return escalated


async def test_a_link_whose_station_does_not_tell_is_not_repaired(bench: Bench) -> None:
    """Somebody else says that it is down: no repair could be verified, so that people are asked at once."""
    bench.checker.state = ServiceState.UNKNOWN
    alarm = bench.breaks()
    scheduler = bench.scheduler()
    for _ in range(20):
        await bench.round(scheduler)
    ended = bench.store.alarms.get(alarm.id)
    assert (ended.state, ended.run) == (AlarmState.ESCALATED, "")
    assert "does not report whether the link is up" in ended.note
    assert bench.store.runs.page(Page(10)) == (0, [])
