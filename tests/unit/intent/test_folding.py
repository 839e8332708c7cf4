"""Reports in whatever order and number become the same alarms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.intent import folding
from controller.intent.folding import Fold, Folded, Room, digest, fold, folded, identity, in_order, in_pieces, placed
from controller.models.alarm import DIVERGED, AlarmReport, AlarmSource, AlarmState, PerceivedSeverity, RecordedReport
from tests.support.records import START, replayed

MAJOR, MINOR, CLEARED = PerceivedSeverity.MAJOR, PerceivedSeverity.MINOR, PerceivedSeverity.CLEARED


def report(severity: PerceivedSeverity, at: int, station: str = "A", text: str = "", body: str = "") -> AlarmReport:
    return AlarmReport(
        station=station,
        object="station",
        probable_cause="x",
        severity=severity,
        text=text,
        source="alertmanager",
        at=START + timedelta(seconds=at),
        body=body,
    )


REPORTS = st.builds(
    report, st.sampled_from([MAJOR, MINOR, CLEARED]), st.integers(0, 6), st.sampled_from("AB"), st.sampled_from("xy")
)
BATCHES = st.lists(st.lists(REPORTS, max_size=8), max_size=5)


class Record:
    """What the store keeps: the newest alarms, and reports with what became of them."""

    def __init__(self, room: Room | None = None) -> None:
        self.room = room
        self.alarms: dict[str, Folded] = {}
        self.reports: dict[str, RecordedReport] = {}
        self._ids = (f"a-{number}" for number in count())

    def take(self, reports: Iterable[AlarmReport]) -> Fold:
        batch = list(reports)
        received = in_order(map(digest, batch), batch)
        newest = {identity(one.alarm): one for one in self.alarms.values()}
        heard = {
            one.digest: self.alarms[self.reports[one.digest].alarm] for one in received if one.digest in self.reports
        }
        made = fold(received, newest, heard, lambda: next(self._ids), self.room)
        self.alarms |= made.touched
        for one in received:
            self._keep(one.digest, one.report, one.count, made.after[one.digest].id)
        return made

    def _keep(self, name: str, report: AlarmReport, number: int, alarm: str) -> None:
        if known := self.reports.get(name):
            self.reports[name] = known.model_copy(update={"count": known.count + number})
            return
        self.reports[name] = RecordedReport(
            number=len(self.reports),
            digest=name,
            alarm=alarm,
            received=START,
            last=START,
            count=number,
            skewed=False,
            report=report,
        )


def plain(alarms: Iterable[Folded], *without: str) -> list[dict[str, object]]:
    return sorted((one.alarm.model_dump(exclude={"id", *without}) for one in alarms), key=repr)


@given(BATCHES)
def test_alarms_folded_from_the_record_are_those_that_were_folded_live(batches: list[list[AlarmReport]]) -> None:
    record = Record()
    for batch in batches:
        record.take(batch)
    again = {now.alarm.id: now.alarm for _, now in replayed(record.reports.values())}
    assert again == {name: one.alarm for name, one in record.alarms.items()}


@given(st.lists(REPORTS, max_size=12), st.data())
def test_a_batch_makes_the_same_alarms_in_any_order(batch: list[AlarmReport], data: st.DataObject) -> None:
    one, other = Record(), Record()
    one.take(batch)
    other.take(data.draw(st.permutations(batch)))
    assert plain(one.alarms.values()) == plain(other.alarms.values())


@given(BATCHES, st.data())
def test_what_comes_again_counts_and_changes_nothing(batches: list[list[AlarmReport]], data: st.DataObject) -> None:
    once, often = Record(), Record()
    repeated = 0
    for index, batch in enumerate(batches):
        once.take(batch)
        before = [one for earlier in batches[: index + 1] for one in earlier]
        again = data.draw(st.lists(st.sampled_from(before), max_size=3)) if before else []
        often.take([*batch, *again])
        repeated += len(again)
    assert plain(once.alarms.values(), "count") == plain(often.alarms.values(), "count")
    assert once.reports.keys() == often.reports.keys()
    received = sum(map(len, batches))
    for record, number in ((once, received), (often, received + repeated)):
        assert sum(one.count for one in record.reports.values()) == number
        assert sum(one.alarm.count for one in record.alarms.values()) == number


def _splits(batch: list[AlarmReport], cuts: list[int]) -> Iterator[list[AlarmReport]]:
    for start, end in zip([0, *cuts], [*cuts, len(batch)], strict=True):
        yield batch[start:end]


@given(st.lists(REPORTS, max_size=10, unique_by=lambda one: (one.station, one.at)), st.data())
def test_in_the_end_the_same_faults_stand_whatever_came_when(batch: list[AlarmReport], data: st.DataObject) -> None:
    mixed = data.draw(st.permutations(batch))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(mixed)), max_size=3)))
    one, other = Record(), Record()
    one.take(batch)
    for part in _splits(mixed, cuts):
        other.take(part)

    def standing(record: Record) -> list[tuple[object, ...]]:
        found = [alarm.alarm for alarm in record.alarms.values() if alarm.alarm.cleared is None]
        return sorted((alarm.station, alarm.severity, alarm.text, alarm.changed) for alarm in found)

    assert standing(one) == standing(other)


def test_of_reports_of_one_moment_those_that_clear_come_first_so_that_no_fault_is_lost() -> None:
    for batch in ([report(MAJOR, 1), report(CLEARED, 1)], [report(CLEARED, 1), report(MAJOR, 1)]):
        record = Record()
        record.take(batch)
        assert sorted(one.alarm.state.value for one in record.alarms.values()) == ["cleared", "raised"]


def test_a_storm_of_one_report_is_one_row_and_one_step() -> None:
    record = Record()
    made = record.take([report(MAJOR, 1)] * 5000)
    assert len(made.acts) == len(record.reports) == 1
    (alarm,) = record.alarms.values()
    assert alarm.alarm.count == 5000


def test_a_repeated_body_counts_for_the_alarm_that_it_raised_though_that_is_over() -> None:
    record = Record()
    first = report(MAJOR, 1, body="first")
    for one in (first, report(CLEARED, 2), report(MAJOR, 3)):
        record.take([one])
    record.take([first.model_copy(update={"at": START + timedelta(seconds=9)})])
    assert [(one.alarm.count, one.alarm.state.value) for one in record.alarms.values()] == [
        (3, "cleared"),
        (1, "raised"),
    ]


def test_a_body_is_another_report_where_it_means_another_fault() -> None:
    one = report(MAJOR, 1, body="words")
    assert digest(one) == digest(report(MINOR, 2, text="later", body="words"))
    for other in ({"tenant": "claro"}, {"probable_cause": "y"}, {"source": "check"}, {"body": "other"}):
        assert digest(one) != digest(AlarmReport.model_validate(one.model_dump() | other))


@pytest.mark.parametrize(
    ("seconds", "at", "skewed"),
    [(0, 0, False), (-86_000, -86_000, False), (30, 0, False), (90, 0, True), (-87_000, 0, True), (-9e8, 0, True)],
)
def test_a_clock_that_is_far_off_orders_nothing(seconds: float, at: float, skewed: bool) -> None:
    said = START + timedelta(seconds=seconds)
    taken = placed(said, START, timedelta(days=1))
    assert taken == START + timedelta(seconds=at)
    assert report(MAJOR, 0).model_copy(update={"at": taken, "source_time": said}).skewed is skewed


def test_each_time_that_a_fault_stands_has_its_own_begin_and_end() -> None:
    record = Record()

    def take(severity: PerceivedSeverity, at: int, seen: int | None) -> tuple[int | None, int | None]:
        when = None if seen is None else START + timedelta(seconds=seen)
        record.take([report(severity, at).model_copy(update={"seen": when})])
        (only,) = (one.alarm for one in record.alarms.values())
        times = (None if one is None else int((one - START).total_seconds()) for one in (only.seen, only.ended))
        return next(times), next(times)

    assert take(MAJOR, 10, 3) == (3, None)
    (name,) = record.alarms
    folded = record.alarms[name]
    record.alarms[name] = replace(folded, alarm=folded.alarm.model_copy(update={"state": AlarmState.REPAIRING}))
    assert take(CLEARED, 20, 17) == (3, 17)
    assert take(MAJOR, 30, 28) == (28, None)
    assert take(MINOR, 35, 33) == (28, None), "it is worse or better, and stands since then"
    assert take(CLEARED, 40, None) == (28, None)


def test_a_station_that_diverged_again_suffers_in_further_cells_and_in_any_where_nobody_knows_which() -> None:
    def diverged(at: int, *cells: str) -> AlarmReport:
        told = {"probable_cause": DIVERGED, "source": AlarmSource.CHECK, "cells": cells}
        return report(MAJOR, at).model_copy(update=told)

    known: Folded | None = None
    told = []
    for one in (diverged(0, "A/1"), diverged(1, "A/1"), diverged(2, "A/2"), diverged(3)):
        known, _ = folded(known, one, lambda: "a-1")
        told.append(known.alarm.cells)
    assert told == [("A/1",), ("A/1",), ("A/1", "A/2"), ()]


@pytest.mark.parametrize(("told", "stands_since"), [(15, 20), (20, 20), (30, 30)])
def test_a_fault_that_a_person_cleared_stands_again_from_the_later_of_both(told: int, stands_since: int) -> None:
    """What was known before the person cleared it does not make it stand before that."""
    known, _ = folded(None, report(MAJOR, 10), lambda: "a-1")
    over = {"state": AlarmState.CLEARED, "cleared": START + timedelta(seconds=20), "cleared_by": "ana"}
    cleared = replace(known, alarm=known.alarm.model_copy(update=over))
    again, action = folded(cleared, report(MINOR, told), lambda: "a-2")
    assert (action, again.alarm.id, again.alarm.state) == ("alarm.returned", "a-1", AlarmState.RAISED)
    assert (again.alarm.cleared, again.alarm.cleared_by) == (None, "")
    since = START + timedelta(seconds=stands_since)
    assert (again.alarm.changed, again.alarm.seen) == (since, since)
    assert again.reported == START + timedelta(seconds=told)


# -------------------------------------------------- a fault that comes and goes


def flaps(number: int, begin: int = 0) -> list[AlarmReport]:
    """A fault that comes and goes so often."""
    severities = (MAJOR, CLEARED) * number
    return [report(severity, begin + at, body=str(begin + at)) for at, severity in enumerate(severities)]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_fault_that_comes_and_goes_makes_no_more_alarms_than_there_is_room_for(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "MOST_TOLD", 5)
    record, acts, told = Record(Room(START)), 0, [*flaps(50), report(MINOR, 200)]
    for start in range(0, len(told), size):
        made = record.take(told[start : start + size])
        of_last = [action for _, action, alarm, _ in made.acts if alarm.id == "a-4"]
        assert len(of_last) <= 2
        acts += len(made.acts)
    # Nothing is lost: all are counted, and the fault stands as it was told last.
    assert record.alarms.keys() == {f"a-{number}" for number in range(5)}
    assert sum(one.alarm.count for one in record.alarms.values()) == len(told) == len(record.reports)
    last = record.alarms["a-4"].alarm
    assert (last.state, last.severity, last.cleared) == (AlarmState.RAISED, MINOR, None)
    assert acts < len(told) or size == 1
    # Its clear is not dropped.
    record.take([report(CLEARED, 201)])
    assert record.alarms["a-4"].alarm.state is AlarmState.CLEARED


def test_what_returns_after_more_than_a_day_or_was_repaired_is_a_new_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MOST_TOLD", 0)
    now, _ = folded(None, report(MAJOR, 0), lambda: "a-1")
    over, _ = folded(now, report(CLEARED, 1), lambda: "a-2")
    repaired = replace(over, alarm=over.alarm.model_copy(update={"state": AlarmState.REPAIRED}))
    old = replace(over, recorded=START - timedelta(seconds=1))
    of_none = replace(over, alarm=over.alarm.model_copy(update={"station": ""}))
    ids = [
        folded(one, report(MAJOR, 2, one.alarm.station), lambda: "a-2", Room(START))[0].alarm.id
        for one in (over, replace(over, recorded=START), old, repaired, of_none)
    ]
    assert ids == ["a-1", "a-1", "a-2", "a-2", "a-2"]


def test_people_who_were_told_of_a_fault_that_comes_and_goes_are_not_told_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folding, "MOST_TOLD", 0)
    now, _ = folded(None, report(MAJOR, 0), lambda: "a-1")
    told = replace(now, alarm=now.alarm.model_copy(update={"state": AlarmState.ESCALATED}))
    over, _ = folded(told, report(CLEARED, 1), lambda: "a-2")
    back, action = folded(over, report(MINOR, 2), lambda: "a-2", Room(START))
    assert (action, back.alarm.id, back.alarm.state, back.stands) == (
        *("alarm.returned", "a-1"),
        *(AlarmState.ESCALATED, True),
    )
    assert (back.alarm.severity, back.alarm.raised) == (MINOR, now.alarm.raised)


def test_a_shelved_fault_that_comes_and_goes_stays_shelved_unless_it_is_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MOST_TOLD", 0)
    now, _ = folded(None, report(MINOR, 0), lambda: "a-1")
    shelved = {"shelved_until": START + timedelta(hours=1), "shelved_severity": MINOR}
    over, _ = folded(replace(now, alarm=now.alarm.model_copy(update=shelved)), report(CLEARED, 1), lambda: "a-2")
    for severity, stays in ((MINOR, True), (MAJOR, False)):
        back, _ = folded(over, report(severity, 2), lambda: "a-2", Room(START))
        assert (back.alarm.id, back.alarm.is_shelved(START + timedelta(seconds=3))) == ("a-1", stays)


def test_an_alarm_that_changes_again_and_again_within_a_batch_makes_few_rows_of_the_trail() -> None:
    record = Record()
    made = record.take([report((MAJOR, MINOR)[at % 2], at, body=str(at)) for at in range(100)])
    assert len(made.acts) == folding.MOST_ACTS
    first, *_, last = (row.at for *_, row in made.acts)
    assert (first, last) == (START, START + timedelta(seconds=99))


@given(st.lists(REPORTS, max_size=30), st.integers(1, 7))
def test_pieces_of_a_call_fold_into_the_same_alarms_as_all_at_once(batch: list[AlarmReport], most: int) -> None:
    whole, cut = Record(), Record()
    whole.take(batch)
    pieces = in_pieces(batch, most)
    assert sorted(place for piece in pieces for place in piece) == list(range(len(batch)))
    for piece in pieces:
        assert len(piece) <= most
        cut.take([batch[place] for place in piece])
    assert plain(cut.alarms.values()) == plain(whole.alarms.values())


def test_a_device_names_no_more_than_so_many_faults_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MOST_TOLD", 1)
    monkeypatch.setattr(folding, "MOST_READ", 2)

    def taken(source: AlarmSource, real: Iterable[str] = (), known: Iterable[str] = ()) -> list[bool]:
        made_up = [
            report(MAJOR, 0).model_copy(update={"source": source, "specific_problem": f"p{one}"}) for one in range(4)
        ]
        names = [identity(one) for one in made_up]
        record = {"A": {names[int(one)]: source for one in known}}
        return folding.admitted(made_up, record, [names[int(one)] for one in real])

    assert taken(AlarmSource.VES) == [True, False, False, False]
    assert taken(AlarmSource.ORAN_FM) == taken(AlarmSource.ALARM_LIST) == [True, True, False, False]
    assert taken(AlarmSource.CHECK) == [True] * 4
    assert taken(AlarmSource.ORAN_FM, real="3", known="2") == [True, False, True, True]
