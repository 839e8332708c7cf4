"""A database that lost commits is noticed by whoever saw them, and nothing begins there until a person has decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from controller.models.alarm import RECORD_DOUBTED
from controller.models.enums import RecordChoice
from controller.models.errors import ConflictError, NotClearedError
from controller.models.run import JournalStep, RunState
from controller.ports.clock import VirtualClock
from controller.store import Page, Store, Transition, open_store
from controller.store.alarms import doubts
from controller.store.database.evidence import AuditKey, AuditKeys, Evidence, Head
from tests.support.records import make_entry, start_run, stations

_KEYS = AuditKeys((AuditKey.new(1),))


@pytest.fixture
def machines(shared_url: str, clock: VirtualClock, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """Processes on two machines, with one database."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with (
        closing(open_store(shared_url, clock, evidence=lambda _store: Evidence(_KEYS, tmp_path / "one"))) as one,
        closing(open_store(shared_url, clock, evidence=lambda _store: Evidence(_KEYS, tmp_path / "two"))) as two,
    ):
        yield one, two


def _lose(store: Store, left: int) -> None:
    """The database is as it was when its audit trail had so many rows, as far as that can be told."""
    head = f"UPDATE audit_head SET last = {left}, hash = (SELECT hash FROM audit WHERE id = {left})"
    statements = (f"DELETE FROM audit WHERE id > {left}", head, "DELETE FROM doubts", "DELETE FROM escalations")
    with store.database.engine.begin() as connection:
        for statement in (
            *statements,
            *(f"DELETE FROM {table}" for table in ("incident_alarms", "incidents", "alarms")),
        ):
            connection.execute(text(statement))


def test_lost_commits_let_nothing_begin_until_a_person_decides(machines: tuple[Store, Store]) -> None:
    store, _ = machines
    run, waiting = start_run(store, stations(3), waves=2), start_run(store, stations(1), salt="two")
    worker = store.processes.register("w")
    claim = store.claims.take(worker, 1)[0]
    _lose(store, store.audit.head().number - 1)
    assert store.claims.take(worker, 10) == []
    with pytest.raises(NotClearedError, match="in doubt"):
        store.journal.append(make_entry(claim, 0, JournalStep.READ), claim, begins=True)
    with pytest.raises(ConflictError, match="in doubt"):
        start_run(store, stations(1), salt="three")
    assert store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=1)) is None
    assert "the audit trail ends at row" in store.integrity.check().doubt
    (alarm,) = store.alarms.page(Page())[1]
    assert alarm.probable_cause == RECORD_DOUBTED
    assert [one.alarm for one in store.escalations.pending()] == [alarm.id]
    # What ends something still may.
    assert store.runs.advance(waiting.id, lambda _run, _jobs: Transition(RunState.CANCELLED, cancel_rest=True))
    state = store.integrity.decide(RecordChoice.RECORD, "ana", "INC-77")
    assert (state.epoch, state.doubt) == (1, "")
    assert store.claims.take(worker, 10)
    assert store.alarms.get(alarm.id).cleared is not None
    assert store.incidents.get(alarm.incident).closed is not None
    assert store.audit.verify() is None


def test_people_are_told_once_of_a_doubt_that_several_processes_notice_at_once(
    machines: tuple[Store, Store],
) -> None:
    for store in machines:  # each of them found no doubt on record, and gave it this number
        store.database.run(lambda tx: doubts._open(tx, 1, "it is older"))
    _, rows = machines[0].audit.page(Page())
    assert [row.action for row in rows if row.action in ("record.doubted", "alarm.escalated")] == [
        "alarm.escalated",
        "record.doubted",
    ]
    assert len(machines[0].escalations.pending()) == 1


def test_one_that_went_on_from_older_rows_is_another_one(machines: tuple[Store, Store]) -> None:
    """As many rows were written since as were lost, by somebody who knew nothing of these."""
    store, other = machines
    for number in range(5):
        store.audit.append("ana", "did", str(number))
    _lose(store, 3)
    for number in range(7):
        other.audit.append("eva", "did", str(number))
    assert other.integrity.check().doubt == ""
    assert "row 5 of the audit trail differs" in store.integrity.check().doubt
    assert store.audit.verify() is None


def test_a_doubt_and_a_decision_bind_all_machines(machines: tuple[Store, Store]) -> None:
    store, other = machines
    start_run(store, stations(1))
    store.audit.append("ana", "did", "1")
    _lose(store, store.audit.head().number - 1)
    assert store.integrity.check().doubt
    assert other.claims.take(other.processes.register("w"), 1) == []
    other.integrity.decide(RecordChoice.DEVICES, "ana", "INC-77")
    assert store.integrity.check().doubt == ""
    assert store.claims.take(store.processes.register("w"), 1)
    with pytest.raises(ConflictError, match="nothing to decide"):
        store.integrity.decide(RecordChoice.RECORD, "ana", "late")


def test_a_doubt_outlives_another_restore_and_a_decision_is_not_forgotten(machines: tuple[Store, Store]) -> None:
    store, _ = machines
    for number in range(3):
        store.audit.append("ana", "did", str(number))
    _lose(store, 2)
    assert store.integrity.check().doubt
    _lose(store, 1)
    assert store.integrity.check().doubt
    store.integrity.decide(RecordChoice.RECORD, "ana", "INC-77")
    store.audit.append("ana", "did", "more")
    _lose(store, 1)
    assert "decision 1" in store.integrity.check().doubt
    assert store.integrity.decide(RecordChoice.RECORD, "ana", "INC-78").epoch == 2


def test_stations_last_checked_before_a_decision_raise_no_doubt_again(
    machines: tuple[Store, Store], clock: VirtualClock
) -> None:
    store, _ = machines
    before = clock.now()
    names = ("S1", "S2", "S3")
    assert not store.integrity.check_drift(dict.fromkeys(names[:2], before)).doubt
    assert store.integrity.check_drift(dict.fromkeys(names, before)).doubt
    clock.pause(60)
    store.integrity.decide(RecordChoice.RECORD, "ana", "INC-77")
    decided = clock.now()
    assert not store.integrity.check_drift(dict.fromkeys((*names, "S4"), before)).doubt
    clock.pause(60)
    mixed = dict.fromkeys(names, before) | dict.fromkeys(("S4", "S5"), clock.now())
    assert not store.integrity.check_drift(mixed).doubt
    assert not store.integrity.check_drift(dict.fromkeys(names, decided)).doubt, "the decision saw that check"
    assert "S4 and 2 more differ" in store.integrity.check_drift(mixed | {"S6": clock.now()}).doubt


def test_fences_leap_past_those_of_an_earlier_decision_that_was_lost(machines: tuple[Store, Store]) -> None:
    """The same backup is restored twice: stations may carry fences that the first decision led to."""
    store, _ = machines
    store.devices.adopt("S1", [], "n", "ana")
    store.audit.append("ana", "did", "1")
    left = store.audit.head().number - 1
    fences = []
    for _ in range(3):
        _lose(store, left)
        with store.database.engine.begin() as connection:
            connection.execute(text("DELETE FROM leases"))
        assert store.integrity.check().doubt
        store.integrity.decide(RecordChoice.RECORD, "ana", "INC-77")
        with store.database.engine.connect() as connection:
            fences.append(connection.execute(text("SELECT fence FROM leases WHERE station = 'S1'")).scalar_one())
    assert fences[0] < fences[1] < fences[2]


def test_the_fence_of_a_lease_that_a_dead_worker_holds_grows_with_the_next_claim(
    machines: tuple[Store, Store],
) -> None:
    """A worker of the backup holds it at the decision: it may still live, and keeps its fence; who follows does not."""
    store, _ = machines
    store.devices.adopt("S1", [], "n", "ana")
    worker = store.processes.register("w")
    start_run(store, ["S1"])
    (claim,) = store.claims.take(worker, 1)
    store.audit.append("ana", "did", "1")
    _lose(store, store.audit.head().number - 1)
    assert store.integrity.check().doubt
    store.integrity.decide(RecordChoice.RECORD, "ana", "INC-77")
    store.journal.append(make_entry(claim, 0, JournalStep.READ), claim, begins=True)
    lost_one = claim.fence + 1000
    assert not store.integrity.check_fences({"S1": lost_one}).doubt, "what the lost record knew was decided"
    assert store.processes.declare_dead(worker, 0)
    (taken,) = store.claims.take(store.processes.register("w"), 1)
    assert taken.recovers
    assert taken.fence > lost_one
    assert not store.integrity.check_fences({"S1": lost_one}).doubt
    store.claims.release(taken, "put back", keep_transaction=True)
    (again,) = store.claims.take(taken.incarnation, 1)
    assert again.fence == taken.fence + 1, "it leaps once"


def test_anchors_from_before_a_decision_need_not_hold_and_later_ones_must(machines: tuple[Store, Store]) -> None:
    store, _ = machines
    for number in range(3):
        store.audit.append("ana", "did", str(number))
    before = store.audit.head()
    _lose(store, 2)
    store.integrity.check()
    store.integrity.decide(RecordChoice.RECORD, "ana", "INC-77")
    after = store.audit.head()
    assert (before.epoch, after.epoch) == (0, 1)
    assert store.audit.verify_anchors([before, after]) is None
    _lose(store, after.number - 1)
    assert store.audit.verify_anchors([after]) is not None


@pytest.mark.parametrize("reads", [lambda store: store.status.figures(), lambda store: store.audit.head()])
def test_what_others_commit_while_one_only_reads_raises_no_doubt(
    shared_url: str, clock: VirtualClock, tmp_path: Path, reads: Callable[[Store], object]
) -> None:
    class Busy(Evidence):
        """Somebody else commits whenever this one looks at what is known."""

        def newest(self) -> Head:
            other.audit.append("ana", "test.note", "x")
            return super().newest()

    with (
        closing(open_store(shared_url, clock, evidence=lambda _store: Evidence(_KEYS, tmp_path))) as other,
        closing(open_store(shared_url, clock, evidence=lambda _store: Evidence(_KEYS, tmp_path))) as one,
    ):
        other.audit.append("ana", "test.note", "x")
        one.database.evidence.__class__ = Busy
        reads(one)
        assert not other.integrity.check().doubt
