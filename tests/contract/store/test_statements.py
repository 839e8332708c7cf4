"""Statements on record: versions that nobody changes, each file's digest on the audit trail."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from controller.models.enums import RecordChoice
from controller.models.errors import ConflictError, InputError, NotFoundError
from controller.models.evidence import StatementNote
from controller.models.signed_note import SigningKey
from controller.models.statement import Column, IssuedStatement, Sheet, Statement, StatementForm, StatementKind
from controller.performance.statements import digest_of, files_of, statement_of
from controller.ports.clock import VirtualClock
from controller.store import Page, StatementFilter, Store
from controller.store.database.evidence import Evidence, SigningKeys, add_signing_key
from tests.support.records import LAST_NUMBER, forge_row


def draft(value: float = 1.5, tenant: str = "bitel") -> Statement:
    sheet = Sheet(name="cells", title="Cells", columns=(Column(name="lost", unit="s"),), rows=((value,),))
    return Statement(
        kind=StatementKind.SLA,
        tenant=tenant,
        tenant_name="Bitel",
        network="peru",
        network_name="Perú",
        month="2026-10",
        timezone="America/Lima",
        begin=datetime(2026, 10, 1, 5, tzinfo=UTC),
        end=datetime(2026, 11, 1, 5, tzinfo=UTC),
        sheets=(sheet,),
    )


@pytest.fixture
def clock() -> VirtualClock:
    """After the month."""
    return VirtualClock(datetime(2026, 11, 3, tzinfo=UTC))


def sign_with(store: Store, folder: Path) -> None:
    """Sign from now on with a new key, and keep the newest audit row in a folder."""
    add_signing_key(folder / "signing-keys", "host.example")
    signing = SigningKeys.kept_in(folder / "signing-keys", "host.example", used=True)
    store.database.evidence = Evidence(folder=folder, signing=signing)


def test_what_differs_is_the_next_version_and_each_stays_as_it_was_issued(store: Store) -> None:
    first = store.statements.issue(draft(), "ana", "")
    assert store.statements.issue(draft(), "ben", "again") == first
    second = store.statements.issue(draft(2), "ben", "an alarm came late")
    assert (first.version, second.version, second.by, second.reason) == (1, 2, "ben", "an alarm came late")
    issued, content = store.statements.get(StatementKind.SLA, "bitel", "2026-10", 1)
    assert (issued, content.sheets) == (first.model_copy(update={"latest": 2}), draft().sheets)
    assert store.statements.get(StatementKind.SLA, "bitel", "2026-10")[0] == second
    for form, file in files_of(content).items():
        assert store.statements.file(first.id, form) == file
        assert first.digests[form] == digest_of(file)
    other = store.statements.issue(draft(tenant="entel"), "ana", "")
    assert store.statements.page(Page(limit=2)) == (3, [other, second])
    assert store.statements.page(Page(), StatementFilter(tenant="entel")) == (1, [other])


@pytest.mark.parametrize("version", [None, 1])
def test_what_was_not_issued_is_not_found(store: Store, version: int | None) -> None:
    with pytest.raises(NotFoundError, match="sla statement of bitel for 2026-10"):
        store.statements.get(StatementKind.SLA, "bitel", "2026-10", version)
    with pytest.raises(NotFoundError, match="there is no statement x"):
        store.statements.file("x", StatementForm.CSV)
    with pytest.raises(NotFoundError, match="no issued statement has this file"):
        store.statements.proof("0" * 64)


def test_a_proof_is_the_row_of_the_audit_trail_and_holds_only_while_that_is_as_written(store: Store) -> None:
    store.audit.append("ana", "before", "x")
    issued = store.statements.issue(draft(), "ana", "")
    digest = issued.digests[StatementForm.HTML]
    alone = store.statements.proof(digest)
    store.audit.append("ana", "after", "x")
    proof = store.statements.proof(digest)
    assert proof == alone
    assert (proof.statement, proof.form, proof.wrong) == (issued, StatementForm.HTML, "")
    assert store.statements.proof(digest, "bitel") == proof
    with pytest.raises(NotFoundError):
        store.statements.proof(digest, "entel")
    with store.database.engine.begin() as connection:
        connection.execute(text("UPDATE audit SET actor = 'eve' WHERE id = :id"), {"id": proof.row})
    assert store.statements.proof(digest).wrong == "it was changed"
    with store.database.engine.begin() as connection:
        connection.execute(text("UPDATE audit SET detail = '[' WHERE id = :id"), {"id": proof.row})
    assert store.statements.proof(digest).wrong == "it was changed"
    with store.database.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit WHERE id = :id"), {"id": proof.row})
    assert store.statements.proof(digest).wrong == "it is missing"


def test_a_proof_holds_beside_rows_that_somebody_made_up(store: Store) -> None:
    issued = store.statements.issue(draft(), "ana", "")
    digest = issued.digests[StatementForm.HTML]
    proof = store.statements.proof(digest)
    for number in (proof.row + 1, LAST_NUMBER):
        forge_row(store, "statement.issued", issued.id, number)
    assert store.statements.proof(digest) == proof
    assert proof.wrong == ""


def test_a_proof_needs_no_head_of_the_trail_but_the_row_after_its_own(store: Store) -> None:
    if store.database.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite keeps a text that is none")
    issued = store.statements.issue(draft(), "ana", "")
    store.audit.append("ana", "after", "x")
    with store.database.engine.begin() as connection:
        connection.execute(text("UPDATE audit_head SET hash = CAST(x'ff' AS TEXT)"))
    assert store.statements.proof(issued.digests[StatementForm.HTML]).wrong == ""


def test_an_issued_statement_is_signed_and_its_note_names_its_files(store: Store, tmp_path: Path) -> None:
    unsigned = store.statements.issue(draft(), "ana", "")
    with pytest.raises(NotFoundError, match="was not signed"):
        store.statements.note(unsigned.id)
    sign_with(store, tmp_path)
    issued = store.statements.issue(draft(2), "ana", "late")
    note, key = StatementNote.read(store.statements.note(issued.id), store.trail.public_keys())
    assert (note.id, note.issued, note.digests) == (issued.id, issued.issued, issued.digests)
    assert key.name == "host.example"


def restored(store: Store, tmp_path: Path) -> tuple[IssuedStatement, dict[StatementForm, bytes], str]:
    """A record on which a statement was issued, and which was then restored from before; what others kept of it."""
    sign_with(store, tmp_path)
    issued = store.statements.issue(draft(), "ana", "")
    kept = {form: store.statements.file(issued.id, form) for form in StatementForm}, store.statements.note(issued.id)
    with store.database.engine.begin() as connection:
        for table in ("statements", "statement_files"):
            connection.execute(text(f"DELETE FROM {table}"))
        connection.execute(text("DELETE FROM audit WHERE action = 'statement.issued'"))
        last = "(SELECT max(id) FROM audit)"
        head = f"UPDATE audit_head SET last = {last}, hash = (SELECT hash FROM audit WHERE id = {last})"
        connection.execute(text(head))
    assert store.integrity.check().doubt
    return issued, *kept


def test_after_a_restore_what_was_issued_comes_back_by_its_files_and_is_not_issued_again(
    store: Store, tmp_path: Path, clock: VirtualClock
) -> None:
    issued, files, note = restored(store, tmp_path)
    with pytest.raises(ConflictError, match="nothing is issued until a person decides which record is right"):
        store.statements.issue(draft(), "eve", "")
    store.integrity.decide(RecordChoice.RECORD, "ana", "the backup of the night")
    with pytest.raises(ConflictError, match=r"may have been issued before the record was\s+restored"):
        store.statements.issue(draft(3), "eve", "")
    back = store.statements.take_back({StatementForm.JSON: files[StatementForm.JSON]}, note, "ana")
    assert (back.id, back.issued, back.digests) == (issued.id, issued.issued, issued.digests)
    assert store.statements.take_back(files, note, "ana") == back, "twice is once"
    for form, content in files.items():
        assert store.statements.file(back.id, form) == content
        assert store.statements.proof(digest_of(content)).wrong == ""
    assert store.statements.note(back.id) == note
    with pytest.raises(ConflictError, match="may have been issued before the record"):
        store.statements.issue(draft(3), "ana", "corrected")  # there may have been a version 2
    clock.pause(1)
    assert store.statements.issue(draft(3), "ana", "corrected", anew=True).version == 2
    assert store.statements.issue(draft(4), "ana", "corrected again").version == 3, "that one is of this record"
    assert [one.version for one in store.statements.page(Page())[1]] == [3, 2, 1]
    assert store.audit.verify() is None


def test_a_settlement_after_a_restore_asks_for_those_that_it_corrects(
    store: Store, tmp_path: Path, clock: VirtualClock
) -> None:
    restored(store, tmp_path)
    store.integrity.decide(RecordChoice.RECORD, "ana", "the backup of the night")

    def settlement(month: int, value: float = 1.5) -> Statement:
        begin, end = (
            datetime(2026 + (one - 1) // 12, (one - 1) % 12 + 1, 1, 5, tzinfo=UTC) for one in (month, month + 1)
        )
        update = {"kind": StatementKind.SETTLEMENT, "month": f"{begin:%Y-%m}", "begin": begin, "end": end}
        return draft(value).model_copy(update=update)

    clock.pause(40 * 86400)
    with pytest.raises(ConflictError, match="a settlement statement of bitel for 2026-10 may have been issued"):
        store.statements.issue(settlement(11), "ana", "")
    store.statements.issue(settlement(9), "ana", "", anew=True)
    store.statements.issue(settlement(8), "ana", "", anew=True)
    store.statements.issue(settlement(10), "ana", "", anew=True)
    assert store.statements.issue(settlement(11), "ana", "").version == 1, "all that it corrects is of this record"


def test_nothing_is_taken_back_where_nothing_was_lost(store: Store, tmp_path: Path) -> None:
    sign_with(store, tmp_path)
    issued = store.statements.issue(draft(), "ana", "")
    files = {StatementForm.JSON: store.statements.file(issued.id, StatementForm.JSON)}
    with pytest.raises(ConflictError, match="the record was not restored since"):
        store.statements.take_back(files, store.statements.note(issued.id), "eve")


@pytest.mark.parametrize(("column", "value"), [("by", "eve"), ("reason", "mine"), ("issued", "2026-10-30 01:02:03")])
def test_who_issued_it_when_and_why_is_proved_too(store: Store, column: str, value: str) -> None:
    issued = store.statements.issue(draft(), "ana", "late")
    digest = issued.digests[StatementForm.CSV]
    assert store.statements.proof(digest).wrong == ""
    with store.database.engine.begin() as connection:
        connection.execute(text(f'UPDATE statements SET "{column}" = :value'), {"value": value})
    assert store.statements.proof(digest).wrong == "it has another time, person or reason"


def test_a_person_may_say_that_none_was_issued(store: Store, tmp_path: Path) -> None:
    _, files, note = restored(store, tmp_path)
    store.integrity.decide(RecordChoice.RECORD, "ana", "the backup of the night")
    assert store.statements.issue(draft(3), "ana", "", anew=True).version == 1
    with pytest.raises(ConflictError, match="another sla-bitel-2026-10-v1 is on record"):
        store.statements.take_back(files, note, "ana")


def test_only_what_was_signed_here_comes_back(store: Store, tmp_path: Path) -> None:
    _, files, note = restored(store, tmp_path)
    store.integrity.decide(RecordChoice.RECORD, "ana", "the backup of the night")
    changed = files[StatementForm.JSON].replace(b"1.5", b"9.5")
    stranger = SigningKey("host.example", bytes(32))
    forged = StatementNote(
        "sla-bitel-2026-10-v1", datetime(2026, 11, 2, tzinfo=UTC), dict.fromkeys(StatementForm, "0" * 64)
    )
    for given, with_note, says in (
        ({StatementForm.JSON: changed}, note, "is not sla-bitel-2026-10-v1 as it was issued"),
        ({StatementForm.JSON: files[StatementForm.CSV]}, note, "the file given as json is another one"),
        (
            {StatementForm.JSON: files[StatementForm.JSON]},
            stranger.sign(forged.text),
            "none of the given keys signed it",
        ),
        ({StatementForm.JSON: files[StatementForm.JSON]}, "a note\n", "not a signed note"),
    ):
        with pytest.raises(InputError, match=says):
            store.statements.take_back(given, with_note, "eve")
    assert store.statements.page(Page()) == (0, [])


def test_the_statement_of_a_json_file_is_the_one_that_was_issued() -> None:
    made = draft().model_copy(update={"version": 3, "issued": datetime(2026, 11, 2, tzinfo=UTC), "rules": ("a rule",)})
    assert statement_of(files_of(made)[StatementForm.JSON]) == made
    for odd in (b"", b"[]", b"{}", b'{"sheets": 3}', b'{"id": 1, "sheets": {"a": {}}}', b"\xff"):
        with pytest.raises(InputError, match="no statement as JSON"):
            statement_of(odd)
