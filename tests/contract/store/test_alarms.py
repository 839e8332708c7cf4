from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, time, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import event, update

from controller.access.disclosure import TenantAlarm
from controller.models.alarm import (
    CONFIGURATION_LOST,
    CORE_LINK_DOWN,
    Alarm,
    AlarmFilter,
    AlarmNote,
    AlarmReport,
    AlarmState,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.errors import NotFoundError
from controller.models.health import Health
from controller.models.incident import IncidentFilter, IncidentState
from controller.models.network import Network, network_digest
from controller.models.waiting import WaitCode
from controller.ports.clock import VirtualClock
from controller.store import Page, Store, open_store
from controller.store.alarms.alarm_rows import alarms
from tests.support.postgres import PostgresServer
from tests.support.records import START, forge_row
from tests.unit.plan import samples

MAJOR, CRITICAL, CLEARED = PerceivedSeverity.MAJOR, PerceivedSeverity.CRITICAL, PerceivedSeverity.CLEARED
SIDES = ("alfa", "beta")


def report(severity: PerceivedSeverity, at: int, station: str = "A", text: str = "") -> AlarmReport:
    return AlarmReport(
        station=station,
        object=f"/ManagedElement[{station}]",
        tenant="entel",
        probable_cause="core-link-down",
        severity=severity,
        text=text,
        source="check",
        at=START + timedelta(seconds=at),
    )


def only(store: Store) -> Alarm:
    total, (alarm,) = store.alarms.page(Page())
    assert total == 1
    return alarm


def test_an_escalated_alarm_that_is_over_is_found_only_where_that_is_asked_for(store: Store) -> None:
    fault = AlarmReport(station="S1", object="S1/L1", probable_cause="x", severity=MAJOR, source="check", at=START)
    alarms = [store.alarms.report(fault.model_copy(update={"object": name})) for name in ("S1/L1", "S1/N1")]
    for one in alarms:
        assert store.alarms.escalate(one, "nothing helped", actor="remediation")
    over = fault.model_copy(update={"object": "S1/N1", "severity": CLEARED, "at": START + timedelta(minutes=1)})
    assert store.alarms.report(over).state is AlarmState.ESCALATED
    stands, ended = alarms[0].id, alarms[1].id

    def found(**like: Any) -> list[str]:
        return [one.id for one in store.alarms.page(Page(), None, AlarmFilter(**like))[1]]

    assert found(states=(AlarmState.ESCALATED,)) == [stands]
    assert found(states=(AlarmState.ESCALATED, AlarmState.CLEARED)) == [stands]
    assert found(states=(AlarmState.ESCALATED,), standing=False) == [stands, ended]
    assert found() == [stands, ended]


def test_reports_of_one_fault_are_one_alarm(store: Store) -> None:
    first = store.alarms.report(report(MAJOR, 1, text="down"))
    again = store.alarms.report(report(CRITICAL, 2, text="still down"))
    other = store.alarms.report(report(MAJOR, 1, station="B"))
    assert (first.state, first.severity, first.raised, first.count) == (
        AlarmState.RAISED,
        MAJOR,
        START + timedelta(seconds=1),
        1,
    )
    assert (again.id, again.severity, again.text, again.count, again.raised) == (
        first.id,
        CRITICAL,
        "still down",
        2,
        first.raised,
    )
    assert store.alarms.page(Page()) == (2, [again, other])
    assert store.alarms.get(again.id) == again
    with pytest.raises(NotFoundError):
        store.alarms.get("a-none")


def test_a_clearing_report_clears_and_a_newer_fault_is_a_new_alarm(store: Store) -> None:
    first = store.alarms.report(report(MAJOR, 1))
    cleared = store.alarms.report(report(CLEARED, 2))
    assert (cleared.id, cleared.state, cleared.severity) == (first.id, AlarmState.CLEARED, MAJOR)
    assert cleared.cleared == START + timedelta(seconds=2)
    second = store.alarms.report(report(MAJOR, 3))
    assert second.id != first.id
    assert store.alarms.page(Page(), [AlarmState.RAISED]) == (1, [second])


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_events_count_by_their_own_time_in_whatever_order_they_come(store: Store, order: tuple[int, ...]) -> None:
    # Raised at 1, worse at 2, cleared at 3: however they arrive, in the end nothing stands.
    events = {1: report(MAJOR, 1), 2: report(CRITICAL, 2), 3: report(CLEARED, 3)}
    for at in order:
        store.alarms.report(events[at])
    assert store.alarms.page(Page(), [AlarmState.RAISED, AlarmState.REPAIRING])[0] == 0
    alarm = only(store)
    assert (alarm.state, alarm.count) == (AlarmState.CLEARED, 3)


def test_an_older_report_never_overrides_a_newer_one(store: Store) -> None:
    store.alarms.report(report(MAJOR, 5, text="newer"))
    store.alarms.report(report(CRITICAL, 4, text="older"))
    store.alarms.report(report(CLEARED, 3))
    alarm = only(store)
    assert (alarm.state, alarm.severity, alarm.text, alarm.count) == (AlarmState.RAISED, MAJOR, "newer", 3)


def test_a_clearing_report_alone_is_kept_as_cleared(store: Store) -> None:
    alarm = store.alarms.report(report(CLEARED, 5))
    assert alarm.state is AlarmState.CLEARED
    assert store.alarms.report(report(MAJOR, 4)).id == alarm.id
    assert only(store).state is AlarmState.CLEARED
    assert store.alarms.report(report(MAJOR, 6)).state is AlarmState.RAISED


def test_a_clear_during_repair_is_for_the_verifier_to_judge(store: Store) -> None:
    alarm = store.alarms.report(report(MAJOR, 1))
    moved = store.alarms.move(alarm, AlarmState.REPAIRING, actor="rule", run="r-1", note="rebuild")
    assert moved is not None
    assert (moved.state, moved.run, moved.note) == (AlarmState.REPAIRING, "r-1", "rebuild")
    cleared = store.alarms.report(report(CLEARED, 2))
    assert (cleared.state, cleared.cleared) == (AlarmState.REPAIRING, START + timedelta(seconds=2))
    raised_again = store.alarms.report(report(MAJOR, 3))
    assert (raised_again.id, raised_again.cleared) == (alarm.id, None)
    assert store.alarms.move(cleared, AlarmState.REPAIRED, actor="rule") is None, "it was raised again meanwhile"
    done = store.alarms.move(store.alarms.report(report(CLEARED, 4)), AlarmState.REPAIRED, actor="rule")
    assert done is not None
    assert (done.state, done.cleared, done.run) == (AlarmState.REPAIRED, START + timedelta(seconds=4), "r-1")


def test_a_move_happens_only_from_the_state_it_was_decided_on(store: Store, clock: VirtualClock) -> None:
    alarm = store.alarms.report(report(MAJOR, 1))
    for seen in ({"state": AlarmState.REPAIRING}, {"run": "r-2"}, {"cleared": START}):
        assert store.alarms.move(alarm.model_copy(update=seen), AlarmState.REPAIRED, actor="rule") is None
        assert store.alarms.escalate(alarm.model_copy(update=seen), "broken", actor="rule") is None
    assert only(store) == alarm
    clock.pause(10)
    repaired = store.alarms.move(alarm, AlarmState.REPAIRED, actor="rule")
    assert repaired is not None
    assert repaired.cleared == clock.now()
    # Alertmanager repeats what began before the repair until it notices; that is no new fault.
    assert store.alarms.report(report(MAJOR, 1)).id == alarm.id
    assert only(store).state is AlarmState.REPAIRED
    with pytest.raises(NotFoundError):
        store.alarms.move(alarm.model_copy(update={"id": "a-none"}), AlarmState.REPAIRED, actor="rule")


def test_what_is_noted_in_alarms_is_no_change_of_them(store: Store) -> None:
    seen = [store.alarms.report(report(MAJOR, 1, name)) for name in ("a", "b", "c")]
    store.alarms.move(seen[2], AlarmState.ESCALATED, actor="remediation")
    head, _ = store.alarms.changes(None)
    waits = AlarmNote.waiting("its turn", WaitCode.HOLD)
    noted = [(seen[0], waits), (seen[1], waits), (seen[2], AlarmNote("too late"))]
    assert store.alarms.note(noted, actor="remediation") == []
    known = [store.alarms.get(one.id) for one in seen]
    assert [one.noted for one in known] == [waits, waits, AlarmNote("")]
    assert [one.awaits for one in known] == ["its turn", "its turn", ""]
    rows = [row for row in store.audit.page(Page())[1] if row.action == "alarm.noted"]
    assert {(row.object, row.detail["note"]) for row in rows} == {(one.id, "waits: its turn") for one in seen[:2]}
    assert store.alarms.changes(head)[1] == []
    gone = store.alarms.move(known[0], AlarmState.RAISED, actor="remediation", note="waits: for nothing")
    assert gone is not None
    assert gone.noted == AlarmNote("waits: for nothing"), "another note takes the wait with it"


@pytest.mark.needs("initdb")
def test_a_note_waits_for_nobody_who_changes_the_alarm(postgres: PostgresServer, clock: VirtualClock) -> None:
    with postgres.emptied() as url, closing(open_store(url, clock)) as store:
        busy, free = (store.alarms.report(report(MAJOR, 1, name)) for name in ("busy", "free"))
        with store.database.engine.begin() as other:
            other.execute(update(alarms).where(alarms.c.id == busy.id).values(count=7))
            assert store.alarms.note([(busy, AlarmNote("x")), (free, AlarmNote("x"))], actor="ana", patient=False) == [
                busy.id
            ]
        assert [store.alarms.get(one.id).note for one in (busy, free)] == ["", "x"]


def test_an_escalated_alarm_takes_in_repeats_until_it_is_cleared(store: Store) -> None:
    alarm = store.alarms.report(report(MAJOR, 1))
    store.alarms.escalate(alarm, "broken", actor="rule")
    assert store.alarms.report(report(MAJOR, 2)).id == alarm.id
    cleared = store.alarms.report(report(CLEARED, 3))
    assert (cleared.state, cleared.cleared) == (AlarmState.ESCALATED, START + timedelta(seconds=3))
    assert store.alarms.report(report(MAJOR, 4)).id != alarm.id


def test_repairs_are_counted_by_rule_object_and_time(store: Store, clock: VirtualClock) -> None:
    store.repairs.record("rebuild", "/x", "a-1", "r-1")
    clock.pause(60)
    store.repairs.record("rebuild", "/x", "a-1", "r-2")
    store.repairs.record("rebuild", "/y", "a-2", "r-3")
    assert store.repairs.count("rebuild", "/x", START) == 2
    assert store.repairs.count("rebuild", "/x", START + timedelta(seconds=1)) == 1
    assert store.repairs.count("other", "/x", START) == 0
    assert store.repairs.count_all(START) == 3
    assert store.repairs.count_all(START + timedelta(seconds=1)) == 2


def test_many_reports_are_taken_together_and_answered_in_order(store: Store) -> None:
    reports = [report(MAJOR, 1, "B"), report(MAJOR, 1, "A"), report(CLEARED, 2, "B")]
    taken = store.alarms.report_all(reports)
    assert [(alarm.station, alarm.state) for alarm in taken] == [
        ("B", AlarmState.RAISED),
        ("A", AlarmState.RAISED),
        ("B", AlarmState.CLEARED),
    ]
    assert store.alarms.report_all([]) == []


def test_standing_alarms_are_those_that_take_in_reports(store: Store) -> None:
    kept = [store.alarms.report(report(MAJOR, 1, station)) for station in ("A", "B", "C", "D")]
    store.alarms.escalate(kept[1], "broken", actor="x")
    store.alarms.escalate(kept[2], "broken", actor="x")
    store.alarms.report(report(CLEARED, 2, "C"))
    store.alarms.report(report(CLEARED, 2, "D"))
    assert [alarm.station for alarm in store.alarms.standing()] == ["A", "B"]
    assert [alarm.station for alarm in store.alarms.standing(["B", "C"])] == ["B"]


def test_changes_of_alarms_are_asked_for_since_the_last_ones(store: Store) -> None:
    kept = [store.alarms.report(report(MAJOR, 1, station)) for station in ("A", "B", "C")]
    store.alarms.report(report(CLEARED, 2, "C"))
    head, standing = store.alarms.changes(None)
    assert standing == [kept[0].id, kept[1].id]
    assert store.alarms.changes(head) == (head, [])
    store.alarms.report(report(MAJOR, 3, "A"))  # it only counts up
    assert store.alarms.changes(head)[1] == []
    store.alarms.move(kept[0], AlarmState.RAISED, actor="x", note="waits")
    store.alarms.report(report(CLEARED, 4, "B"))
    new = store.alarms.report(report(MAJOR, 4, "D"))
    later, changed = store.alarms.changes(head)
    assert sorted(changed) == sorted([kept[0].id, kept[1].id, new.id])
    assert store.alarms.changes(later) == (later, [])
    # The record is older than what was known: all that stand are looked at again.
    assert store.alarms.changes(later + 1) == (later, [kept[0].id, new.id])


def test_a_row_that_somebody_made_up_behind_the_end_of_the_trail_hides_no_change_of_an_alarm(store: Store) -> None:
    forge_row(store, "did", "x")
    head, _ = store.alarms.changes(None)
    assert head == store.audit.head().number
    new = store.alarms.report(report(MAJOR, 1, "A"))
    assert store.alarms.changes(head)[1] == [new.id]


def test_alarms_of_two_tenants_on_one_object_are_two(store: Store) -> None:
    theirs = {"object": "station", "probable_cause": "core-link-down"}
    one, other = (report(MAJOR, 1).model_copy(update=theirs | {"tenant": tenant}) for tenant in ("entel", "claro"))
    first, second = store.alarms.report_all([one, other])
    assert (first.id != second.id, first.tenant, second.tenant) == (True, "entel", "claro")
    store.alarms.report(report(CLEARED, 9).model_copy(update=theirs | {"tenant": "entel"}))
    assert store.alarms.get(first.id).state is AlarmState.CLEARED
    assert store.alarms.get(second.id) == second


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_late_report_changes_nothing_whatever_came_between(store: Store, order: tuple[int, ...]) -> None:
    events = [report(CLEARED, 1), report(CRITICAL, 2, text="two"), report(MAJOR, 3, text="three")]
    events.append(report(CRITICAL, 4, text="newest"))
    for index in order:
        store.alarms.report(events[index])
    (alarm,) = store.alarms.page(Page(), [AlarmState.RAISED])[1]
    assert (alarm.severity, alarm.text, alarm.changed) == (CRITICAL, "newest", START + timedelta(seconds=4))


def test_a_late_health_is_dropped(store: Store) -> None:
    newer, older = (
        Health(station="A", at=START + timedelta(seconds=at), reachable=at == 5, reason="") for at in (5, 3)
    )
    store.healths.save([newer])
    store.healths.save([older])
    assert store.healths.find(["A"])["A"] == newer


def test_a_batch_is_the_same_as_one_report_after_the_other_in_the_order_of_their_times(store: Store) -> None:
    dice = random.Random(7)
    names = [PerceivedSeverity(name) for name in ("MAJOR", "CRITICAL", "CLEARED")]
    batch = [report(dice.choice(names), at, dice.choice("ABC"), str(at)) for at in range(60)]
    one_by_one = {one.text: store.alarms.report(one) for one in batch}
    elsewhere = [one.model_copy(update={"tenant": "claro"}) for one in batch]
    halves = elsewhere[:25], elsewhere[25:]
    together: dict[str, Alarm] = {}
    for half in halves:
        mixed = dice.sample(half, len(half))
        together |= zip((one.text for one in mixed), store.alarms.report_all(mixed), strict=True)
    assert {text: _plain(alarm) for text, alarm in together.items()} == {
        text: _plain(alarm) for text, alarm in one_by_one.items()
    }
    kept = {alarm.id: _plain(alarm) for alarm in store.alarms.page(Page(limit=1000))[1]}
    assert [kept[together[one.text].id] for one in batch] == [kept[one_by_one[one.text].id] for one in batch]


def _plain(alarm: Alarm) -> dict[str, object]:
    # What stands only within a batch has no incident.
    return alarm.model_dump(exclude={"id", "tenant", "tenants", "incident"})


def test_a_batch_takes_as_many_statements_whatever_its_size(store: Store) -> None:
    def statements(reports: list[AlarmReport]) -> int:
        found: list[str] = []

        def count(_c: object, _cursor: object, statement: str, *_: object) -> None:
            found.append(statement)

        event.listen(store.database.engine, "before_cursor_execute", count)
        store.alarms.report_all(reports, {"no-station": 1})
        event.remove(store.database.engine, "before_cursor_execute", count)
        return len(found)

    for severity, at in ((MAJOR, 1), (CRITICAL, 2), (CLEARED, 3)):
        few = statements([report(severity, at, f"few-{n}") for n in range(2)])
        many = statements([report(severity, at, f"many-{n}") for n in range(2000)])
        assert many == few <= 20
    assert store.status.figures()["minka_alerts_refused_total"]["no-station",] == 6


# ------------------------------------------------------------------ escalations


def test_an_escalation_goes_on_record_with_its_alarms_state(store: Store, clock: VirtualClock) -> None:
    alarm = store.alarms.report(report(MAJOR, 1))
    escalated = store.alarms.escalate(alarm, "broken", actor="rule")
    assert escalated is not None
    assert (escalated.state, escalated.note, escalated.escalated) == (AlarmState.ESCALATED, "broken", clock.now())
    assert store.alarms.escalate(alarm, "again", actor="rule") is None
    (one,) = store.escalations.pending()
    assert (one.alarm, one.reason, one.at, one.key) == (alarm.id, "broken", clock.now(), f"escalate-{alarm.id}")


def test_an_escalation_is_claimed_once_and_reported_once(store: Store) -> None:
    store.alarms.escalate(store.alarms.report(report(MAJOR, 1)), "broken", actor="rule")
    (seen,) = store.escalations.pending()
    claimed = store.escalations.claim(seen)
    assert claimed is not None
    assert store.escalations.claim(seen) is None
    assert store.escalations.pending() == [claimed]
    head, _ = store.alarms.changes(None)
    store.escalations.release(claimed, "the webhook is away")
    assert store.alarms.changes(head)[1] == []
    (free,) = store.escalations.pending()
    assert (free.claimed, free.attempts) == (False, 1)
    again = store.escalations.claim(free)
    assert again is not None
    taken_over = store.escalations.claim(again)
    assert taken_over is not None
    store.escalations.release(again, "somebody else has taken it over")
    rows = [row for row in store.audit.page(Page())[1] if row.action == "alarm.people-not-notified"]
    assert [row.detail["reason"] for row in rows] == ["the webhook is away"]
    assert store.escalations.pending() == [taken_over], (
        "a claim that was taken over is not given back by its old holder"
    )
    store.escalations.delivered(taken_over)
    store.escalations.delivered(again)
    assert store.escalations.pending() == []
    assert store.escalations.claim(taken_over) is None
    told = [row for row in store.audit.page(Page())[1] if row.action == "alarm.people-notified"]
    assert [row.detail["attempts"] for row in told] == ["3"]


def test_each_escalation_of_an_alarm_has_a_key_of_its_own(store: Store) -> None:
    alarm = store.alarms.report(report(MAJOR, 1))
    first = store.alarms.escalate(alarm, "broken", actor="rule")
    assert first is not None
    repairing = store.alarms.move(first, AlarmState.REPAIRING, actor="rule", run="r-2")
    assert repairing is not None
    assert store.alarms.escalate(repairing, "broken again", actor="rule") is not None
    keys = [one.key for one in store.escalations.pending()]
    assert keys == [f"escalate-{alarm.id}", f"escalate-{alarm.id}-2"]


def _shared(store: Store, *, until: str | None = None) -> None:
    """A network of S1 and S2 that alfa, and beta until a day, share everywhere."""
    content = samples.network(("alfa", "beta")).model_dump(mode="json")
    content["agreements"][1]["validity"] |= {"end": until}
    network = Network.model_validate(content)
    store.networks.save(network, network_digest(network), "ana")


def _told(store: Store, alarm: Alarm, tenant: str = "beta") -> TenantAlarm:
    """An alarm as a tenant is told of it."""
    return TenantAlarm.of(store.tenants.alarm(tenant, alarm.id))


def _without_lte(store: Store) -> None:
    """The same, where beta shares NR cells only."""
    content = samples.network(("alfa", "beta")).model_dump(mode="json")
    content["agreements"][1]["scope"] = {"cells": ["S1/N1", "S2/N1"]}
    network = Network.model_validate(content)
    store.networks.save(network, network_digest(network), "ana")


def _of(store: Store, tenant: str) -> list[str]:
    return [alarm.id for alarm in store.tenants.alarms(tenant, Page())[1]]


async def _notices(store: Store, clock: VirtualClock, tenant: str) -> list[tuple[str, str]]:
    """Kinds and incidents of what a tenant was told once it is time for that."""
    await clock.advance(20)
    store.notices.write()
    return [(one.kind.value, one.incident) for one in reversed(store.notices.page(Page(), tenant)[1])]


async def test_tenants_are_notified_of_incidents_that_concern_them_when_they_begin_and_are_over(
    store: Store, clock: VirtualClock
) -> None:
    _shared(store)
    shared = AlarmReport(
        station="S1", object="ru-1", probable_cause="x", severity=MAJOR, source="oran-fm", at=START, cells=("S1/L1",)
    )
    own = shared.model_copy(update={"object": "station", "tenant": "beta", "cells": ()})
    first, second, third = store.alarms.report_all([shared, shared, own])
    assert (first.id, first.cells, first.tenants) == (second.id, ("S1/L1",), ("alfa", "beta"))
    assert (third.cells, third.tenants) == (("S1/L1", "S1/N1"), ("beta",))
    assert store.alarms.get(first.id) == second
    assert (_of(store, "alfa"), _of(store, "beta")) == ([first.id], [third.id, first.id])
    with pytest.raises(NotFoundError):
        store.tenants.alarm("alfa", third.id)
    told = store.tenants.alarm("beta", third.id)
    assert {name: getattr(told, name) for name in Alarm.model_fields} == dict(third)
    assert [one.id for one in store.alarms.page(Page(), None, AlarmFilter(tenants=("alfa",)))[1]] == [first.id]
    raised = [("incident-raised", one.incident) for one in (first, third)]
    assert await _notices(store, clock, "alfa") == raised[:1]
    assert sorted(await _notices(store, clock, "beta")) == sorted(raised)
    store.alarms.report(shared.model_copy(update={"severity": CLEARED, "at": clock.now()}))
    assert [one.id for one in store.alarms.page(Page(), None, AlarmFilter(standing=True))[1]] == [third.id]
    moved = store.alarms.move(store.alarms.get(third.id), AlarmState.CLEARED, actor="remediation")
    assert moved is not None
    cleared = [("incident-cleared", one.incident) for one in (first, third)]
    assert await _notices(store, clock, "alfa") == raised[:1] + cleared[:1]
    assert sorted(await _notices(store, clock, "beta")) == sorted(raised + cleared)


async def test_who_begins_to_share_the_cells_of_an_alarm_that_stands_is_notified_of_it(
    store: Store, clock: VirtualClock
) -> None:
    _shared(store, until="2025-01-01")
    fault = AlarmReport(station="S1", object="S1/L1", probable_cause="x", severity=MAJOR, source="check", at=START)
    alarm = store.alarms.report(fault)
    assert (alarm.tenants, _of(store, "beta")) == (("alfa",), [])
    store.alarms.reassess(["S1"])
    assert store.alarms.get(alarm.id) == alarm
    assert await _notices(store, clock, "beta") == []
    _shared(store)
    assert store.alarms.get(alarm.id).tenants == ("alfa", "beta")
    assert _of(store, "beta") == [alarm.id]
    raised = [("incident-raised", alarm.incident)]
    assert await _notices(store, clock, "beta") == await _notices(store, clock, "alfa") == raised


async def test_who_leaves_the_cells_of_an_alarm_that_stands_is_not_told_that_it_is_over(
    store: Store, clock: VirtualClock
) -> None:
    _shared(store)
    fault = AlarmReport(station="S1", object="S1/L1", probable_cause="x", severity=MAJOR, source="check", at=START)
    alarm = store.alarms.report(fault)
    raised, withdrawn = (("incident-raised", alarm.incident), ("incident-withdrawn", alarm.incident))
    assert await _notices(store, clock, "beta") == [raised]
    _shared(store, until="2025-01-01")
    store.alarms.reassess(["S1"])
    assert await _notices(store, clock, "beta") == [raised, withdrawn]
    store.alarms.report(fault.model_copy(update={"severity": CLEARED, "at": clock.now()}))
    assert await _notices(store, clock, "beta") == [raised, withdrawn], "it was told no more"
    assert await _notices(store, clock, "alfa") == [raised, ("incident-cleared", alarm.incident)]


async def test_an_alarm_changes_for_a_tenant_when_it_is_told_otherwise(store: Store, clock: VirtualClock) -> None:
    _shared(store)
    shared = AlarmReport(
        station="S1", object="S1/L1", probable_cause="x", severity=MAJOR, text="slow", source="check", at=clock.now()
    )
    own = shared.model_copy(update={"object": "station", "tenant": "beta"})
    ids = [alarm.id for alarm in store.alarms.report_all([shared, own])]
    changed = [("alfa", ids[0]), ("beta", ids[0]), ("beta", ids[1])]

    async def seen_to_change(act: Callable[[], object]) -> list[tuple[str, str]]:
        """For whom which alarm changes by an act, which is a minute later."""
        await clock.advance(60)
        act()
        now, since = clock.now(), AlarmFilter(since=clock.now())
        found = [(tenant, name) for tenant, name in changed if store.tenants.alarm(tenant, name).changed == now]
        listed = {tenant: [one.id for one in store.tenants.alarms(tenant, Page(), since)[1]] for tenant in SIDES}
        assert {(tenant, name) for tenant, names in listed.items() for name in names} == set(found)
        wanted = IncidentFilter(since=clock.now())
        open_ = {tenant: store.tenants.incidents(tenant, Page(), wanted)[0] for tenant in SIDES}
        assert open_ == {tenant: len({name for one, name in found if one == tenant}) for tenant in SIDES}
        return found

    def says(report: AlarmReport, **more: object) -> Callable[[], object]:
        return lambda: store.alarms.report(report.model_copy(update={"at": clock.now(), **more}))

    def every() -> list[Alarm]:
        return store.alarms.standing()

    assert (
        await seen_to_change(
            lambda: store.alarms.note([(one, AlarmNote.waiting("x")) for one in every()], actor="rule")
        )
        == []
    )
    assert (
        await seen_to_change(lambda: store.alarms.shelve(ids[0], clock.now() + timedelta(hours=1), "ana", "known"))
        == []
    )
    assert await seen_to_change(lambda: store.alarms.unshelve(ids[0], "ana", "over")) == []
    assert await seen_to_change(lambda: store.alarms.acknowledge(ids[0], "ana", actor="ana")) == []
    assert await seen_to_change(says(shared, text="gamma is slow")) == []
    assert await seen_to_change(says(own, text="slower")) == changed[2:]
    assert await seen_to_change(says(shared, text="gamma is slow", severity=CRITICAL)) == changed[:2]
    repairing = (store.alarms.get(ids[1]), AlarmState.REPAIRING)
    assert await seen_to_change(lambda: store.alarms.move(*repairing, actor="rule", run="r-1")) == changed[2:]
    assert await seen_to_change(says(shared, severity=CLEARED)) == changed[:2]


async def test_an_alarm_changes_for_a_tenant_whom_it_begins_to_concern_and_for_no_other(
    store: Store, clock: VirtualClock
) -> None:
    _shared(store, until="2025-01-01")
    fault = AlarmReport(station="S1", object="S1/L1", probable_cause="x", severity=MAJOR, source="check", at=START)
    alarm = store.alarms.report(fault)
    await clock.advance(60)
    _shared(store)
    store.alarms.reassess(["S1"])
    assert store.tenants.alarm("alfa", alarm.id).changed == START
    assert store.tenants.alarm("beta", alarm.id).changed == clock.now()
    joined = _told(store, alarm)
    await clock.advance(60)
    _shared(store, until="2025-01-01")
    assert store.alarms.get(alarm.id).tenants == ("alfa",)
    assert store.tenants.alarm("alfa", alarm.id).changed == START
    left = _told(store, alarm)
    # Its agreement ended before it was told of the alarm at all.
    at = joined.changed
    assert left == joined.model_copy(update={"until": at, "changed": at})


async def test_who_leaves_a_cell_is_told_of_its_alarm_as_it_was_then(store: Store, clock: VirtualClock) -> None:
    _shared(store)
    fault = AlarmReport(station="S1", object="S1/L1", probable_cause="x", severity=MAJOR, source="check", at=START)
    alarm = store.alarms.report(fault)
    await clock.advance(60)
    before, left = _told(store, alarm), clock.now()
    _without_lte(store)
    told = _told(store, alarm)
    assert told == before.model_copy(update={"until": left, "changed": left})
    assert _told(store, alarm, "alfa").until is None
    other = store.alarms.report(fault.model_copy(update={"object": "S1/N1"}))

    def asked(tenant: str) -> list[list[str]]:
        """Alarms found by what changes later."""
        filters: list[dict[str, Any]] = [
            *({"states": (state,)} for state in AlarmState),
            *({"severities": (one,)} for one in (MAJOR, CRITICAL)),
            {"standing": True},
            {"since": clock.now()},
        ]
        pages = (store.tenants.alarms(tenant, Page(), AlarmFilter(**like))[1] for like in filters)
        return [[one.id for one in found] for found in pages]

    incidents = IncidentFilter(states=(IncidentState.OPEN,)), IncidentFilter(states=(IncidentState.CLOSED,))
    changes: tuple[Callable[[], object], ...] = (
        lambda: store.alarms.report(fault.model_copy(update={"severity": CRITICAL, "at": clock.now()})),
        lambda: store.alarms.move(store.alarms.get(alarm.id), AlarmState.REPAIRING, actor="rule", run="r-1"),
        lambda: store.alarms.report(fault.model_copy(update={"severity": CLEARED, "at": clock.now()})),
        lambda: store.alarms.move(store.alarms.get(alarm.id), AlarmState.REPAIRED, actor="rule"),
    )
    for change in changes:
        await clock.advance(60)
        was, of_alfa = asked("beta"), asked("alfa")
        change()
        assert _told(store, alarm) == told
        assert asked("beta") == was
        assert list(map(TenantAlarm.of, store.tenants.incident("beta", alarm.incident))) == [told]
        assert asked("alfa") != of_alfa
    found = [[name for name, _ in store.tenants.incidents("beta", Page(), like)[1]] for like in incidents]
    assert found == [[other.incident], [alarm.incident]]
    assert store.alarms.page(Page(), None, AlarmFilter(tenants=("beta",)))[1] == [store.alarms.get(other.id)]


async def test_who_leaves_the_cells_of_its_own_link_keeps_what_it_was_told_whoever_looks_later(
    store: Store, clock: VirtualClock
) -> None:
    _shared(store)
    fault = AlarmReport(
        station="S1", object="EP_S1C=m", probable_cause="x", severity=MAJOR, source="check", at=START, tenant="beta"
    )
    alarm = store.alarms.report(fault)
    before = _told(store, alarm)
    assert before.cells == ("S1/L1",)
    await clock.advance(60)
    _without_lte(store)
    left = before.model_copy(update={"until": clock.now(), "changed": clock.now()})
    assert _told(store, alarm) == left
    await clock.advance(60)
    store.alarms.reassess(["S1"])
    assert _told(store, alarm) == left
    _shared(store)
    assert (_told(store, alarm).until, _told(store, alarm).cells) == (None, ("S1/L1",)), "it came back"
    _without_lte(store)
    left = left.model_copy(update={"until": clock.now(), "changed": clock.now()})
    await clock.advance(60)
    store.alarms.report(fault.model_copy(update={"severity": CLEARED, "at": clock.now()}))
    assert _told(store, alarm) == left


@pytest.mark.parametrize("until", ["2025-01-01", None])
def test_what_fails_of_a_tenants_own_after_its_agreement_ended_is_not_told(store: Store, until: str | None) -> None:
    """Its links may stand there still; that they fail is state of a station where no agreement is in force."""
    _shared(store, until=until)
    link = _link("beta")
    alarm = store.alarms.report(link)
    told = [] if until else [alarm.id]
    assert _of(store, "beta") == told
    assert [name for name, _ in store.tenants.incidents("beta", Page(), IncidentFilter())[1]] == [
        alarm.incident for _ in told
    ]
    store.alarms.reassess(["S1"])
    assert _of(store, "beta") == told
    _shared(store)
    assert _of(store, "beta") == [alarm.id], "an agreement that is in force tells of what stands"


class _Moving(VirtualClock):
    """Time passes at each reading."""

    def now(self) -> datetime:
        """See ``Clock.now``."""
        self.pause(0.001)
        return super().now()


def test_when_a_tenant_left_does_not_depend_on_how_many_alarms_others_have() -> None:
    store = open_store("sqlite://", _Moving())
    _shared(store)
    fault = AlarmReport(station="S1", object="S1/L1", probable_cause="x", severity=MAJOR, source="check", at=START)
    causes = [fault.model_copy(update={"probable_cause": f"x{number}"}) for number in range(5)]
    alarms = store.alarms.report_all(causes)
    _without_lte(store)
    ((until, changed),) = {(told.until, told.changed) for told in (_told(store, one) for one in alarms)}
    assert until == changed
    _shared(store)
    assert len({_told(store, one).changed for one in alarms}) == 1
    store.close()


async def test_who_comes_back_is_told_of_what_stands_and_of_nothing_that_ended_meanwhile(
    store: Store, clock: VirtualClock
) -> None:
    _shared(store)
    fault = AlarmReport(station="S1", object="S1/L1", probable_cause="x", severity=MAJOR, source="check", at=START)
    stands, ends = store.alarms.report_all([fault, fault.model_copy(update={"probable_cause": "y"})])
    await clock.advance(60)
    _without_lte(store)
    told = _told(store, ends)
    await clock.advance(60)
    news = {"severity": CLEARED, "at": clock.now(), "probable_cause": "y"}
    store.alarms.report(fault.model_copy(update=news))
    store.alarms.report(fault.model_copy(update={"severity": CRITICAL, "at": clock.now()}))
    await clock.advance(60)
    _shared(store)
    assert _told(store, ends) == told
    back = _told(store, stands)
    assert (back.severity, back.until, back.changed, back.cells) == (CRITICAL, None, clock.now(), ("S1/L1",))


async def test_an_agreement_that_ends_by_its_date_ends_at_midnight_whoever_looks(
    store: Store, clock: VirtualClock
) -> None:
    day = START.date()
    _shared(store, until=day.isoformat())
    fault = AlarmReport(station="S1", object="S1/L1", probable_cause="x", severity=MAJOR, source="check", at=START)
    alarm = store.alarms.report(fault)
    before = _told(store, alarm)
    zone = store.networks.get()[1].zone
    midnight = datetime.combine(day + timedelta(days=1), time(), zone)
    await clock.advance((midnight - clock.now()).total_seconds() + 7)
    assert _told(store, alarm) == before, "nobody looked yet"
    store.alarms.report(fault.model_copy(update={"severity": CLEARED, "at": clock.now()}))
    told = _told(store, alarm)
    assert told == before.model_copy(update={"until": midnight, "changed": midnight})


async def test_who_leaves_one_of_several_cells_is_told_on_of_the_others(store: Store, clock: VirtualClock) -> None:
    _shared(store)
    fault = AlarmReport(station="S1", object="station", probable_cause="x", severity=MAJOR, source="check", at=START)
    alarm = store.alarms.report(fault)
    await clock.advance(60)
    _without_lte(store)
    told = _told(store, alarm)
    assert (told.cells, told.until, told.changed) == (("S1/N1",), None, clock.now())
    await clock.advance(60)
    store.alarms.report(fault.model_copy(update={"severity": CLEARED, "at": clock.now()}))
    told = _told(store, alarm)
    assert (told.cells, told.until, told.cleared) == (("S1/L1", "S1/N1"), None, clock.now())


@pytest.mark.parametrize("others", [None, 82, 90, 110, 121])
async def test_the_time_of_a_notice_tells_nothing_of_what_others_suffer_of_the_incident(
    clock: VirtualClock, others: int | None
) -> None:
    """A station loses its configuration, of which alfa and beta get notices; then links of each are found down."""
    lost = AlarmReport(
        station="S1", object="station", probable_cause=CONFIGURATION_LOST, severity=MAJOR, source="check", at=START
    )
    reports = {0: lost, 100: _link("alfa")} | ({} if others is None else {others: _link("beta")})
    with closing(open_store("sqlite://", clock)) as store:
        _shared(store)
        began = clock.now()
        for second in range(150):
            if second in reports:
                store.alarms.report(reports[second].model_copy(update={"at": clock.now()}))
            store.notices.write()
            await clock.advance(1)
        assert len(store.incidents.open()) == 1
        told = [(one.kind, (one.at - began).total_seconds()) for one in store.notices.page(Page(), "alfa")[1]]
    assert told == [("incident-updated", 120), ("incident-raised", 20)]


def _link(tenant: str) -> AlarmReport:
    return AlarmReport(
        station="S1",
        object=f"/ManagedElement[S1]/ENBFunction[1]/EP_S1C[{tenant}-mme]",
        object_class=ObjectClass.CORE_LINK,
        tenant=tenant,
        probable_cause=CORE_LINK_DOWN,
        severity=CRITICAL,
        source="check",
        at=START,
    )


def test_an_alarm_is_acknowledged_once_by_whoever_was_first(store: Store) -> None:
    alarm = store.alarms.report(report(MAJOR, 1))
    assert (alarm.acknowledged, alarm.acknowledged_by) == (None, "")
    first = store.alarms.acknowledge(alarm.id, "ana", actor="ana")
    assert first.acknowledged is not None
    assert store.alarms.acknowledge(alarm.id, "technician", actor="alarm-list") == first
    worse = store.alarms.report(report(CRITICAL, 2))
    assert (worse.state, worse.acknowledged_by, only(store)) == (AlarmState.RAISED, "ana", worse)
    rows = [row for row in store.audit.page(Page())[1] if row.action == "alarm.acknowledged"]
    assert [(row.actor, row.object, row.detail) for row in rows] == [("ana", alarm.id, {"by": "ana"})]
    store.alarms.report(report(CLEARED, 3))
    assert store.alarms.report(report(MAJOR, 4)).acknowledged is None, "it is another one"
    with pytest.raises(NotFoundError):
        store.alarms.acknowledge("a-0", "ana", actor="ana")


def test_a_tenant_gets_its_alarms_by_severity_and_what_is_over_behind_them(store: Store) -> None:
    _shared(store)
    fault = AlarmReport(
        station="S1", object="ru-0", probable_cause="x", severity=CRITICAL, source="oran-fm", at=START, cells=("S1/L1",)
    )
    severities = (CRITICAL, MAJOR, CRITICAL, MAJOR)
    found = [
        store.alarms.report(fault.model_copy(update={"object": f"ru-{number}", "severity": severity}))
        for number, severity in enumerate(severities)
    ]
    store.alarms.report(fault.model_copy(update={"severity": CLEARED, "at": START + timedelta(seconds=1)}))
    over, major, critical, newest = (one.id for one in found)
    assert _of(store, "alfa") == [critical, newest, major, over]
    assert [one.id for one in store.tenants.alarms("alfa", Page(2, 1))[1]] == [newest, major]
    in_time = store.tenants.alarms("alfa", Page(), newest=True)[1]
    assert [one.id for one in in_time] == [newest, critical, major, over]
