"""A database that lost commits is noticed by whoever saw them, and nothing begins there until a person has decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from controller.models.alarm import RECORD_DOUBTED
from controller.models.enums import RecordChoice
from controller.models.errors import ConflictError, NotClearedError
from controller.models.run import JournalStep, RunState
from controller.ports.clock import VirtualClock
from controller.store import Page, Store, Transition, open_store
from controller.store.alarms import doubts
from controller.store.database import audit_chain
from controller.store.database.audit_chain import DECIDED, Note
from controller.store.database.evidence import HEAD_FILE, AuditKey, AuditKeys, Evidence, Head
from tests.support.records import LAST_NUMBER, make_entry, start_run, stations

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


def test_whoever_looks_finds_a_doubt_and_puts_nothing_on_record(machines: tuple[Store, Store], tmp_path: Path) -> None:
    """Looks of ``minka record show`` and ``minka audit verify`` are checks, and no part of what they check."""
    store, _ = machines
    start_run(store, stations(1))
    assert (store.integrity.look().doubt, store.integrity.look().settles) == ("", None)
    _lose(store, store.audit.head().number - 1)
    before, kept = store.audit.head(), (tmp_path / "one" / HEAD_FILE).read_bytes()
    looked = store.integrity.look()
    assert store.audit.head() == before
    assert store.alarms.page(Page())[1] == []
    assert (tmp_path / "one" / HEAD_FILE).read_bytes() == kept
    assert looked == store.integrity.check() == store.integrity.look()
    assert "the audit trail ends at row" in looked.doubt
    assert store.audit.head() != before
    store.integrity.decide(RecordChoice.RECORD, "ana", "INC-77")
    assert (store.integrity.look().epoch, store.integrity.look().doubt) == (1, "")


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


# ------------------------------------------------------- somebody who can write to the database, and to nothing else


def _run(store: Store, *statements: str) -> None:
    """Do so in one transaction, beside all processes."""
    with store.database.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _cut(left: int) -> tuple[str, str]:
    return (
        f"DELETE FROM audit WHERE id > {left}",
        f"UPDATE audit_head SET last = {left}, hash = (SELECT hash FROM audit WHERE id = {left})",
    )


def _decide(number: int) -> str:
    now = "'2026-12-02 09:00:00.000000'"
    values = f"{number}, 'x', {now}, {now}, 'database'"
    return f"INSERT INTO doubts (number, reason, since, decided, choice) VALUES ({values})"


@pytest.fixture
def watched(machines: tuple[Store, Store]) -> Store:
    """A process that saw thirty rows, and knows the last of them."""
    store, _ = machines
    for number in range(30):
        store.audit.append("ana", "did", str(number))
    assert not store.integrity.check().doubt
    return store


@pytest.mark.parametrize("keys", [None, AuditKeys(), AuditKeys((AuditKey.new(1),))], ids=["none", "plain", "other key"])
def test_a_decision_that_nobody_made_hides_no_cut(watched: Store, tmp_path: Path, keys: AuditKeys | None) -> None:
    known = watched.database.evidence.newest()
    _run(watched, *_cut(known.number - 20), _decide(999))
    if keys is not None:
        note = Note(watched.database.clock.now(), "ana", DECIDED, "record", {"epoch": "999"})
        with watched.database.engine.begin() as connection:
            audit_chain.append(connection, [note], keys)
    assert watched.audit.head().epoch == 0
    assert watched.status.figures()["minka_record_in_doubt"] == {(): 1.0}
    watched.audit.append("ana", "did", "more")
    assert "no audit row proves decision 999" in watched.integrity.check().doubt
    begun = Evidence(_KEYS, tmp_path / "one").newest()
    assert (begun.epoch, begun.number, begun.hash) == (0, known.number, known.hash)
    assert begun.doubt, "the next start knows of it too"
    assert watched.claims.take(watched.processes.register("w"), 1) == []
    assert watched.integrity.decide(RecordChoice.RECORD, "ana", "INC-77").doubt == ""
    watched.audit.append("ana", "did", "more")
    assert not watched.integrity.check().doubt
    assert watched.database.evidence.newest().epoch == watched.audit.head().epoch > 999


def test_a_decision_that_nobody_made_hides_no_cut_from_an_anchor(watched: Store) -> None:
    anchor = watched.audit.head()
    _run(watched, *_cut(anchor.number - 20))
    rows = audit_chain.audit
    for detail in ("{}", '{"epoch": "x"}', '{"epoch": "999"}', "[", "5"):
        forged = update(rows).where(rows.c.id == 1).values(action=DECIDED, object="record", detail=detail)
        with watched.database.engine.begin() as connection:
            connection.execute(forged)
        found = watched.audit.verify_anchors([anchor])
        assert found is not None
        assert found.number == anchor.number


def test_a_decision_that_somebody_put_into_the_future_excuses_no_drift(watched: Store, clock: VirtualClock) -> None:
    names = ("S1", "S2", "S3")
    assert watched.integrity.check_drift(dict.fromkeys(names, clock.now())).doubt
    watched.integrity.decide(RecordChoice.RECORD, "ana", "INC-77")
    _run(watched, "UPDATE doubts SET decided = '2099-01-01 00:00:00.000000'")
    clock.pause(60)
    assert "S1 and 2 more differ" in watched.integrity.check_drift(dict.fromkeys(names, clock.now())).doubt


def test_a_doubt_whose_number_somebody_made_up_can_be_decided(watched: Store) -> None:
    now = "'2026-12-02 09:00:00.000000'"
    _run(watched, f"INSERT INTO doubts (number, reason, since) VALUES (9300000000000, 'x', {now})")
    _run(watched, "INSERT INTO leases (station, fence, recovers, owed) VALUES ('S1', 7, FALSE, 0)")
    assert not watched.integrity.decide(RecordChoice.RECORD, "ana", "INC-77").doubt
    with watched.database.engine.connect() as connection:
        fence = connection.execute(text("SELECT fence FROM leases")).scalar_one()
    assert 1_000_000 < fence < 2**40


@pytest.mark.parametrize("open_", [True, False])
def test_a_doubt_whose_number_somebody_made_up_keeps_no_later_one_off(watched: Store, open_: bool) -> None:
    _run(watched, _decide(LAST_NUMBER))
    if open_:
        _run(watched, "UPDATE doubts SET decided = NULL, choice = NULL")
        assert watched.integrity.decide(RecordChoice.RECORD, "ana", "INC-77").epoch == 1
    before = watched.audit.head().epoch
    _run(watched, *_cut(watched.audit.head().number - 1))
    assert "the audit trail ends at row" in watched.integrity.check().doubt
    assert watched.integrity.decide(RecordChoice.RECORD, "ana", "INC-78").epoch == before + 1
    watched.audit.append("ana", "did", "more")
    assert not watched.integrity.check().doubt


def test_a_doubt_that_somebody_ends_in_the_database_goes_on(watched: Store) -> None:
    _lose(watched, watched.audit.head().number - 1)
    reason = watched.integrity.check().doubt
    assert reason
    _run(watched, "UPDATE doubts SET decided = since, choice = 'record'")
    assert watched.integrity.check().doubt == reason
    assert watched.status.figures()["minka_record_in_doubt"] == {(): 1.0}
    assert watched.integrity.decide(RecordChoice.RECORD, "ana", "INC-77").epoch == 2


def _decided_elsewhere(store: Store, folder: Path, keys: AuditKeys) -> None:
    """Rows are lost, and a person decides by a process on another machine, which alone noticed."""
    folder.mkdir()
    last = store.audit.head()
    _run(store, *_cut(last.number - 3))
    anchors = [Head(last.epoch, last.number, last.hash)]
    with closing(
        open_store(
            store.database.engine.url.render_as_string(hide_password=False),
            store.database.clock,
            evidence=lambda _store: Evidence(keys, folder, anchors),
        )
    ) as other:
        assert other.integrity.check().doubt
        assert other.integrity.decide(RecordChoice.RECORD, "ana", "INC-77").epoch == 1


def test_a_decision_is_proved_once_by_whoever_did_not_see_it(
    watched: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _decided_elsewhere(watched, tmp_path / "three", _KEYS)
    asked: list[str] = []
    keys_for = Evidence.keys_for

    def counted(evidence: Evidence, key: str) -> AuditKeys:
        asked.append(key)
        return keys_for(evidence, key)

    monkeypatch.setattr(Evidence, "keys_for", counted)
    assert watched.status.figures()["minka_record_in_doubt"] == {(): 0.0}
    assert watched.audit.head().epoch == 1
    assert not watched.integrity.check().doubt
    watched.audit.append("ana", "did", "more")
    assert not watched.integrity.check().doubt
    assert len(asked) == 1
    _run(watched, *_cut(watched.audit.head().number - 1))
    assert watched.integrity.check().doubt, "rows since the decision count"


@pytest.mark.parametrize("added", [True, False])
def test_a_decision_signed_with_a_newer_key_is_proved_by_the_file_of_keys(
    watched: Store, tmp_path: Path, added: bool
) -> None:
    """Processes sign with a new key from their next start on, and this one began before."""
    newer = AuditKeys((*_KEYS.keys, AuditKey.new(watched.audit.head().number)))
    evidence = watched.database.evidence
    watched.database.evidence = Evidence(
        evidence.keys, tmp_path / "one", read_keys=lambda: newer if added else evidence.keys
    )
    _decided_elsewhere(watched, tmp_path / "three", newer)
    assert bool(watched.integrity.check().doubt) is not added
    assert watched.database.evidence.keys == _KEYS


def test_an_audit_row_of_a_decision_that_was_changed_proves_nothing(watched: Store, tmp_path: Path) -> None:
    _decided_elsewhere(watched, tmp_path / "three", _KEYS)
    rows = audit_chain.audit
    with watched.database.engine.begin() as connection:
        changed = select(rows.c.id).where(rows.c.action == DECIDED)
        connection.execute(update(rows).where(rows.c.id.in_(changed)).values(actor="eva"))
    assert "no audit row proves decision 1" in watched.integrity.check().doubt


def test_a_machine_that_knows_nothing_takes_the_epoch_of_the_database(watched: Store, tmp_path: Path) -> None:
    """Also where the key is lost that signed the decision."""
    _decided_elsewhere(watched, tmp_path / "three", AuditKeys((AuditKey.new(1),)))
    (tmp_path / "four").mkdir()
    watched.database.evidence = Evidence(_KEYS, tmp_path / "four")
    assert not watched.integrity.check().doubt
    watched.audit.append("ana", "did", "more")
    assert watched.database.evidence.newest().epoch == 1


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ("UPDATE audit SET hash = 'é' || hash, actor = 'eve' WHERE id = 3", 3),
        ("UPDATE audit SET previous = 'é' WHERE id = 3", 3),
        ("UPDATE audit SET key = 'é' WHERE id = 3", 3),
        ("INSERT INTO audit_head SELECT 'other', last, hash FROM audit_head", 31),
    ],
)
def test_what_nobody_can_have_written_is_named(watched: Store, tampering: str, broken: int) -> None:
    _run(watched, tampering)
    found = watched.audit.verify()
    assert found is not None
    assert found.number == broken


def test_a_time_that_can_not_be_read_is_named_and_so_is_a_row_missing_before_it(watched: Store) -> None:
    never = "infinity" if watched.database.engine.dialect.name == "postgresql" else "never"
    _run(watched, f"UPDATE audit SET at = '{never}' WHERE id IN (7, 9)")
    found = watched.audit.verify()
    assert found is not None
    assert (found.number, found.reason) == (7, "it can't be read: it was changed")
    _run(watched, "DELETE FROM audit WHERE id = 5")
    found = watched.audit.verify()
    assert found is not None
    assert (found.number, found.reason) == (5, "it is missing")


def test_a_second_head_stops_no_writing(watched: Store) -> None:
    _run(watched, "INSERT INTO audit_head SELECT 'a', last, hash FROM audit_head")
    watched.audit.append("ana", "did", "more")
    assert watched.audit.head().number == 31
    assert not watched.integrity.check().doubt
