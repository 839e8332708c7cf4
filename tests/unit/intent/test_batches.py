"""What follows from a batch of reports is a function of the batch and the record, and of nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from datetime import timedelta
from itertools import count
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.intent.batches import RecordedAlarms, TakenIn, links_of, take_in
from controller.intent.folding import MOST_TOLD, Folded, Received, Room, digest, identity, in_order, takes_in
from controller.intent.impact import Sharing
from controller.models.alarm import CONFIGURATION_DRIFT, Alarm, AlarmReport, AlarmSource, AlarmState, PerceivedSeverity
from tests.unit.intent.test_impact import AT, LINK, LTE_CELL, NR_CELL, network
from tests.unit.plan import samples

MAJOR, MINOR, CLEARED = PerceivedSeverity.MAJOR, PerceivedSeverity.MINOR, PerceivedSeverity.CLEARED
SHARING = Sharing(network(), samples.DAY)
BOTH = ("alfa", "beta")


def report(
    managed_object: str = LTE_CELL, severity: PerceivedSeverity = MAJOR, at: int = 0, **more: Any
) -> AlarmReport:
    known = {"probable_cause": "x", "source": "check", "station": "S1", "at": AT + timedelta(seconds=at)}
    return AlarmReport(**known | {"object": managed_object, "severity": severity} | more)


def received(*reports: AlarmReport) -> list[Received]:
    return in_order(map(digest, reports), reports)


def record(*alarms: Folded, heard: Sequence[AlarmReport] = (), **more: Any) -> RecordedAlarms:
    """A record of these alarms, each the newest of its fault, in which reports were heard before."""
    newest = {identity(one.alarm): one.alarm.id for one in alarms}
    known: dict[str, Any] = {"room": Room(AT - timedelta(days=1)), "sharing": SHARING} | more
    return RecordedAlarms(
        alarms={one.alarm.id: one for one in alarms},
        newest=newest,
        repeated={digest(one): newest[identity(one)] for one in heard},
        **known,
    )


def taken(known: RecordedAlarms, *reports: AlarmReport) -> TakenIn:
    ids = count(1)
    return take_in(received(*reports), known, lambda: f"n-{next(ids)}")


def on_record(*reports: AlarmReport, **more: Any) -> Folded:
    """The one alarm of these reports, as it is on record."""
    (made,) = taken(record(**more), *reports).alarms.values()
    return Folded(made.alarm.model_copy(update={"id": "a-1"}), made.reported, recorded=AT)


def test_a_new_alarm_concerns_those_who_share_its_cell_and_is_news() -> None:
    found = taken(record(), report())
    (one,) = found.alarms.values()
    assert (one.new, one.alarm.cells, one.alarm.tenants) == (True, ("S1/L1",), BOTH)
    assert [(alarm, tuple(impact.tenants)) for alarm, impact in found.begun] == [(one.alarm, BOTH)]
    assert (found.news, found.changes, found.reached, found.renewed) == ([one.alarm], [], [], [])
    assert [(act.source, act.action, act.alarm, act.detail) for act in found.acts] == [
        ("check", "alarm.raised", "n-1", {"object": LTE_CELL, "cause": "x"})
    ]


def test_without_a_network_an_alarm_concerns_the_tenant_that_it_names() -> None:
    found = taken(record(sharing=None), report(tenant="alfa"), report(NR_CELL))
    assert {(alarm.object, *impact.tenants) for alarm, impact in found.begun} == {(LTE_CELL, "alfa")}
    assert {one.alarm.cells for one in found.alarms.values()} == {()}


def test_a_fault_of_management_concerns_no_tenant() -> None:
    found = taken(record(), report(probable_cause=CONFIGURATION_DRIFT))
    assert (found.begun, [one.alarm.tenants for one in found.alarms.values()]) == ([], [()])


def test_owners_of_a_core_link_are_asked_for_unless_the_report_names_its_tenant() -> None:
    of_nobody, of_alfa, of_a_cell = report(LINK), report(LINK, tenant="alfa"), report()
    drift = report(LINK, probable_cause=CONFIGURATION_DRIFT)
    assert links_of(received(of_alfa, of_a_cell, drift)) == set()
    (link,) = links_of(received(of_nobody, of_alfa, of_a_cell, drift))
    assert link[0] == "S1"
    found = taken(record(owners={link: ("beta",)}), of_nobody)
    assert [tuple(impact.tenants) for _, impact in found.begun] == [("beta",)]


def test_a_severity_that_changed_is_news_for_the_sides_of_the_incident_and_no_other_news() -> None:
    known = on_record(report())
    known = Folded(known.alarm.model_copy(update={"incident": "i-1"}), known.reported, recorded=AT)
    found = taken(record(known), report(severity=MINOR, at=5))
    assert (found.regraded, found.news, found.begun) == (["i-1"], [], [])
    assert [(was.severity, now.severity) for was, now in found.changes] == [(MAJOR, MINOR)]


def test_an_alarm_that_is_cleared_is_news_and_one_that_comes_and_goes_within_a_batch_is_none() -> None:
    found = taken(record(on_record(report())), report(severity=CLEARED, at=5))
    assert [(one.id, one.state) for one in found.news] == [("a-1", AlarmState.CLEARED)]
    assert taken(record(), report(), report(severity=CLEARED, at=5)).news == []


def test_an_alarm_that_names_other_functions_is_reached_as_it_was_and_as_it_is() -> None:
    found = taken(record(on_record(report())), report(at=5, functions=("du-1",)))
    assert [one.functions for one in found.reached] == [(), ("du-1",)]
    assert [(one.was.functions, one.now.functions, tuple(one.impact.tenants)) for one in found.renewed] == [
        ((), ("du-1",), BOTH)
    ]


def test_a_report_that_was_received_before_is_counted_and_is_no_news() -> None:
    known = on_record(report())
    found = taken(record(known, heard=[report()]), report(), report())
    assert [one.alarm.count for one in found.alarms.values()] == [known.alarm.count + 2]
    assert (found.news, found.acts, found.begun, found.regraded) == ([], [], [], [])


def test_an_answer_is_the_alarm_after_its_report_with_the_root_and_incident_on_record_now() -> None:
    first, second = report(), report(severity=MINOR, at=5)
    found = taken(record(), first, second)
    placed = found.alarms["n-1"].alarm.model_copy(update={"incident": "i-1", "root": "a-9"})
    answers = found.answers([digest(second), digest(first)], {"n-1": placed})
    assert [(one.severity, one.incident, one.root) for one in answers] == [(MINOR, "i-1", "a-9"), (MAJOR, "i-1", "a-9")]


def test_where_there_is_no_room_a_fault_that_returns_is_its_last_alarm_and_the_room_stays_as_it_was() -> None:
    known = on_record(report(), report(severity=CLEARED, at=5))
    made = Counter({("S1", AlarmSource("check")): MOST_TOLD})
    full = record(known, room=Room(AT - timedelta(days=1), made))
    assert list(taken(full, report(at=9)).alarms) == ["a-1"]
    assert list(taken(record(known), report(at=9)).alarms) == ["n-1"]
    assert made == {("S1", "check"): MOST_TOLD}


OBJECTS = st.sampled_from([LTE_CELL, NR_CELL, LINK, "station", "S1/unknown"])
REPORTS = st.builds(
    report,
    OBJECTS,
    st.sampled_from([MAJOR, MINOR, CLEARED]),
    st.integers(0, 5),
    tenant=st.sampled_from(["", "alfa"]),
    source=st.sampled_from(["check", "alertmanager"]),
    functions=st.sampled_from([(), ("du-1",)]),
    probable_cause=st.sampled_from(["x", CONFIGURATION_DRIFT]),
)
BATCHES = st.lists(REPORTS, max_size=8)


@given(BATCHES, BATCHES, st.booleans(), st.randoms(use_true_random=False))
def test_equal_batches_and_records_give_equal_effects_whatever_else_is_on_record(
    earlier: list[AlarmReport], batch: list[AlarmReport], with_network: bool, random: Random
) -> None:
    more: dict[str, Any] = {"sharing": SHARING if with_network else None}
    before = taken(record(**more), *earlier)
    old = (one.alarm.model_copy(update={"id": f"a{one.alarm.id}"}) for one in before.alarms.values())
    kept = {identity(one): Folded(one, one.changed, recorded=AT) for one in old}
    known = record(*kept.values(), heard=earlier, **more)
    held = deepcopy((known.alarms, known.newest, known.repeated, known.room))
    found = taken(known, *batch)

    assert (known.alarms, known.newest, known.repeated, known.room) == held
    assert taken(known, *batch) == found
    others = [on_record(report("ru-1", station="S2", at=place, probable_cause=f"p{place}")) for place in range(3)]
    others = [Folded(one.alarm.model_copy(update={"id": f"z-{n}"}), one.reported) for n, one in enumerate(others)]
    shuffled = random.sample(batch, len(batch))
    assert taken(record(*others, *kept.values(), heard=earlier, **more), *shuffled) == found

    _hold_together(known, batch, found)


def _hold_together(known: RecordedAlarms, batch: list[AlarmReport], found: TakenIn) -> None:
    """Each effect is one of an alarm that the batch touches, and what was raised or cleared is all the news."""
    assert found.after.keys() == {digest(one) for one in batch}
    assert {one.id for one in found.after.values()} == found.alarms.keys()
    faults = {identity(one) for one in batch}
    assert {identity(one.alarm) for one in found.alarms.values()} <= faults
    standing = Counter(identity(one.alarm) for one in found.alarms.values() if takes_in(one.alarm))
    assert set(standing.values()) <= {1}
    new = {name for name, one in found.alarms.items() if one.new}
    assert new == found.alarms.keys() - known.alarms.keys()
    assert {alarm.id for alarm, _ in found.begun} <= new
    assert {now.id for _, now in found.changes} == found.alarms.keys() - new
    assert {one.now.id for one in found.renewed} <= {one.id for one in found.reached} <= found.alarms.keys() - new
    stood = {name for name, one in known.alarms.items() if one.alarm.cleared is None}
    stands = {name for name, one in found.alarms.items() if one.alarm.cleared is None}
    assert {one.id for one in found.news} == (stood & found.alarms.keys()) ^ stands
    for alarm, impact in found.begun:
        assert known.sharing is None or alarm.probable_cause == CONFIGURATION_DRIFT or alarm.cells == impact.cells
    assert {act.alarm for act in found.acts} <= found.alarms.keys()
    answers = found.answers([digest(one) for one in batch], {})
    assert [identity(one) for one in answers] == [identity(one) for one in batch]
    assert all(_placed(one) == _placed(found.alarms[one.id].alarm) for one in answers)


def _placed(one: Alarm) -> tuple[object, ...]:
    return one.cells, one.tenants, one.root, one.incident
