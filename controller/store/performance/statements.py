"""Statements on record: each version with its files, whose digests are on the audit trail."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Column, Index, Integer, LargeBinary, Row, String, Table, UniqueConstraint, and_, func, select

from controller.models.errors import AbsentError, ConflictError, InputError
from controller.models.evidence import StatementNote
from controller.models.packing import packed, unpacked
from controller.models.run import AuditRow
from controller.models.statement import (
    CORRECTED_MONTHS,
    IssuedStatement,
    Statement,
    StatementForm,
    StatementKind,
    StatementProof,
)
from controller.performance.statements import digest_of, files_of, statement_of
from controller.store.alarms.doubts import doubted
from controller.store.audit.trail_log import known_keys, signing_key
from controller.store.database import audit_chain
from controller.store.database.audit_chain import audit
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.repository import M_co, Page, Repository, reads, writes
from controller.store.database.transaction import Tx


class StatementFilter(NamedTuple):
    """Which statements are wanted; None for any."""

    kind: StatementKind | None = None
    tenant: str | None = None
    month: str | None = None


statements = Table(
    "statements",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    string("kind"),
    string("tenant"),
    string("month"),
    Column("version", Integer, nullable=False),
    Column("issued", Instant, nullable=False),
    string("by"),
    long_text("reason"),
    Column("content", LargeBinary, nullable=False),
    # The signed note about its files; empty if nothing was signed then.
    long_text("note"),
    UniqueConstraint("kind", "tenant", "month", "version"),
)

#: Files of statements as they were issued, compressed.
statement_files = Table(
    "statement_files",
    metadata,
    Column("digest", String, primary_key=True),
    string("statement"),
    string("form"),
    Column("content", LargeBinary, nullable=False),
    Index("ix_statement_files_statement", "statement"),
)

#: Actions of the audit row with the digests of a statement's files: as it was issued; as its files came back after a
#: restore.
ISSUED, TAKEN_BACK = "statement.issued", "statement.taken-back"
_FILES = select(statement_files.c.statement, statement_files.c.form, statement_files.c.digest)


class Statements(Repository[M_co]):
    """Statements of what tenants got in months, in versions: each is kept as it was issued, and never changes."""

    @writes
    def issue(self, tx: Tx, draft: Statement, by: str, reason: str, *, anew: bool = False) -> IssuedStatement:
        """Put a statement on record as the next version, signed, with the digests of its files on the audit trail.

        Returns the latest version if the draft is equal.

        Args:
            draft: The statement.
            by: Who issues it.
            reason: Why a further version is issued.
            anew: A person says that none was issued on a record that was lost.

        Raises:
            ConflictError: The record is in doubt; or a version, or a settlement of a month that it corrects, may have
                been issued before the record was restored; or the key that signs is missing.
        """
        tx.guard(f"statement:{draft.kind}:{draft.tenant}:{draft.month}")
        if doubt := doubted(tx):
            raise ConflictError(f"nothing is issued until a person decides which record is right: {doubt}")
        latest = self._latest(tx, draft.kind, draft.tenant, draft.month)
        if latest is not None and unpacked(Statement, latest.content).says_as(draft):
            return self._noun(tx, latest)
        if not anew:
            self._check_not_lost(tx, draft)
        version = latest.version + 1 if latest else 1
        # To the second, as the note says it.
        issued = tx.now.replace(microsecond=0)
        made = draft.model_copy(update={"version": version, "issued": issued, "reason": reason})
        files, key = files_of(made), signing_key(tx)
        signed = StatementNote(made.id, issued, {form: digest_of(content) for form, content in files.items()})
        return self._put(tx, made, files, key.sign(signed.text) if key else "", by, ISSUED)

    @writes
    def take_back(self, tx: Tx, files: Mapping[StatementForm, bytes], note: str, by: str) -> IssuedStatement:
        """Put a statement on record again that was issued on a record that was lost, by its files and signed note.

        Args:
            files: The JSON, and others that this version of Minka would make another way.
            note: The signed note about them.
            by: Who gives them.

        Raises:
            InputError: The note is not signed by a key of this record, or a file is not one of its files.
            ConflictError: Another statement of that name is on record.
        """
        signed, _ = StatementNote.read(note, known_keys(tx))
        if doubt := doubted(tx):
            raise ConflictError(f"nothing is taken back until a person decides which record is right: {doubt}")
        decided = _decided(tx)
        if decided is None or signed.issued > decided:
            raise ConflictError(f"the record was not restored since {signed.id} was issued: nothing of it was lost")
        for form, content in files.items():
            if signed.form_of(content) is not form:
                raise InputError(f"the file given as {form} is another one of {signed.id}")
        made = statement_of(files[StatementForm.JSON])
        if (made.id, made.issued) != (signed.id, signed.issued):
            raise InputError(f"the file says that it is {made.id}, and its note is about {signed.id}")
        given = {**files_of(made), **files}
        for form, digest in signed.digests.items():
            if digest_of(given[form]) != digest:
                raise InputError(
                    f"this version of Minka makes another {form} of {made.id}: give the file as it was issued"
                )
        known = tx.execute(select(statements).where(statements.c.id == made.id)).one_or_none()
        if known is None:
            return self._put(tx, made, given, note, by, TAKEN_BACK)
        if self._noun(tx, known).digests != signed.digests:
            raise ConflictError(f"another {made.id} is on record: two were issued, and people must decide between them")
        return self._noun(tx, known)

    @reads
    def note(self, tx: Tx, statement: str) -> str:
        """The signed note about the files of a statement, by the statement's id. Raises AbsentError."""
        note: str | None = tx.execute(select(statements.c.note).where(statements.c.id == statement)).scalar()
        if not note:
            raise AbsentError(f"{statement} was not signed" if note == "" else f"there is no statement {statement}")
        return note

    def _check_not_lost(self, tx: Tx, draft: Statement) -> None:
        """Check that nothing that counts here can have been issued on a record that was lost.

        That is a version of the same statement and, of a settlement, those of the months that it corrects.

        Raises:
            ConflictError: The record was restored after such a month was over, and nothing was issued of it since.
        """
        decided = _decided(tx)
        if decided is None:
            return
        for month, end in _months(draft):
            latest = self._latest(tx, draft.kind, draft.tenant, month)
            if end <= decided and (latest is None or latest.issued <= decided):
                raise ConflictError(
                    f"a {draft.kind} statement of {draft.tenant} for {month} may have been issued before the record "
                    f"was restored ({decided:%Y-%m-%d %H:%M} UTC), and is not on record: take its files back with "
                    "`minka report take-back`, or say with --anew that there was no other one"
                )

    def _put(
        self, tx: Tx, made: Statement, files: Mapping[StatementForm, bytes], note: str, by: str, action: str
    ) -> IssuedStatement:
        row: dict[str, Any] = {
            "id": made.id,
            "kind": made.kind.value,
            "tenant": made.tenant,
            "month": made.month,
            "by": by,
        }
        row |= {"version": made.version, "issued": made.issued, "reason": made.reason, "content": packed(made)}
        tx.execute(statements.insert().values(row | {"note": note}))
        digests = {form.value: digest_of(content) for form, content in files.items()}
        rows = [
            {"digest": digests[form], "statement": made.id, "form": form, "content": zlib.compress(content)}
            for form, content in files.items()
        ]
        tx.execute(statement_files.insert(), rows)
        tx.note(by, action, made.id, reason=made.reason, issued=made.issued, **digests)
        return self._noun(tx, tx.execute(select(statements).where(statements.c.id == made.id)).one())

    @reads
    def page(
        self, tx: Tx, page: Page, like: StatementFilter | None = None, kinds: Collection[StatementKind] | None = None
    ) -> tuple[int, list[IssuedStatement]]:
        """Total and one page of statements, newest first; only of these kinds if given."""
        wanted = like or StatementFilter()
        chosen = [statements.c[name] == value for name, value in wanted._asdict().items() if value is not None]
        if kinds is not None:
            chosen.append(statements.c.kind.in_([kind.value for kind in kinds]))
        total = tx.execute(select(func.count()).select_from(statements).where(*chosen)).scalar_one()
        # By when they were issued: one that was taken back has the newest row.
        newest = select(statements).where(*chosen).order_by(statements.c.issued.desc(), statements.c.number.desc())
        rows = tx.execute(newest.limit(page.limit).offset(page.offset)).all()
        return total, [self._noun(tx, row) for row in rows]

    @reads
    def get(
        self, tx: Tx, kind: StatementKind, tenant: str, month: str, version: int | None = None
    ) -> tuple[IssuedStatement, Statement]:
        """A version of a statement, the latest by default. Raises AbsentError."""
        row = self._latest(tx, kind, tenant, month, version)
        if row is None:
            which = "" if version is None else f" version {version} of"
            raise AbsentError(f"there is no{which} {kind} statement of {tenant} for {month}")
        return self._noun(tx, row), unpacked(Statement, row.content)

    @reads
    def file(self, tx: Tx, statement: str, form: StatementForm) -> bytes:
        """A file of a statement, by the statement's id, as it was issued. Raises AbsentError."""
        of = and_(statement_files.c.statement == statement, statement_files.c.form == form.value)
        content = tx.execute(select(statement_files.c.content).where(of)).scalar()
        if content is None:
            raise AbsentError(f"there is no statement {statement}")
        return zlib.decompress(content)

    @reads
    def proof(self, tx: Tx, digest: str, tenant: str | None = None) -> StatementProof:
        """The statement of a file, by the file's SHA-256, and whether the audit row matches; of all tenants or one.

        Raises:
            AbsentError: No such file was issued to the tenant. Who has a file may ask; the answer tells no more of it.
        """
        known = tx.execute(_FILES.where(statement_files.c.digest == digest)).one_or_none()
        row = known and tx.execute(select(statements).where(statements.c.id == known.statement)).one()
        if known is None or row is None or tenant not in (None, row.tenant):
            raise AbsentError("no issued statement has this file")
        form = StatementForm(known.form)
        about = and_(audit_chain.NUMBERED, audit.c.action.in_([ISSUED, TAKEN_BACK]), audit.c.object == row.id)
        noted = tx.execute(select(audit.c.id).where(about).order_by(audit.c.id)).scalars().all()
        # The last one that is as it was written; rows that others made beside it count for nothing.
        intact = audit_chain.intact(tx.connection, noted, tx.evidence.keys)
        number = intact[-1].id if intact else max(noted, default=0)
        one = audit_chain.rows_of(tx.connection, [number]).get(number)
        if one is None:
            hash_, wrong = "", audit_chain.UNREAD if noted else "it is missing"
        else:
            hash_, wrong = one.hash, audit_chain.wrong_in(tx.connection, one, tx.evidence.keys)
            wrong = wrong or _other_than(audit_chain.as_noun(one), row, form, digest)
        return StatementProof(statement=self._noun(tx, row), form=form, row=number, hash=hash_, wrong=wrong)

    def _latest(
        self, tx: Tx, kind: StatementKind, tenant: str, month: str, version: int | None = None
    ) -> Row[Any] | None:
        of = and_(statements.c.kind == kind.value, statements.c.tenant == tenant, statements.c.month == month)
        newest = select(statements).where(of).order_by(statements.c.version.desc()).limit(1)
        return tx.execute(newest if version is None else newest.where(statements.c.version == version)).one_or_none()

    def _noun(self, tx: Tx, row: Row[Any]) -> IssuedStatement:
        newest = self._latest(tx, StatementKind(row.kind), row.tenant, row.month)
        files = tx.execute(_FILES.where(statement_files.c.statement == row.id))
        return IssuedStatement(
            id=row.id,
            kind=row.kind,
            tenant=row.tenant,
            month=row.month,
            version=row.version,
            latest=newest.version if newest else row.version,
            issued=row.issued,
            by=row.by,
            reason=row.reason,
            digests={StatementForm(one.form): one.digest for one in files},
        )


def _decided(tx: Tx) -> datetime | None:
    """When a person last decided which of two records is right; None if never."""
    return audit_chain.decided_at(tx.connection, tx.evidence)


def _other_than(said: AuditRow, row: Row[Any], form: StatementForm, digest: str) -> str:
    """What a statement on record says otherwise than its row on the audit trail; empty if nothing."""
    detail = said.detail
    if detail.get(form.value) != digest:
        return "it has another digest"
    known = (said.actor, detail.get("reason", ""), detail.get("issued"))
    return "" if known == (row.by, row.reason, str(row.issued)) else "it has another time, person or reason"


def _months(draft: Statement) -> Iterator[tuple[str, datetime]]:
    """The months on whose statements of its kind one rests, each with its end.

    These are its own, those that it corrects, and those that may have corrected the same ones.
    """
    yield draft.month, draft.end
    if draft.kind is not StatementKind.SETTLEMENT:
        return
    end = draft.begin.astimezone(ZoneInfo(draft.timezone))
    for _ in range(CORRECTED_MONTHS):
        before = end - timedelta(days=1)
        yield f"{before:%Y-%m}", end
        end = before.replace(day=1)
    begin = draft.end.astimezone(ZoneInfo(draft.timezone))
    for _ in range(CORRECTED_MONTHS - 1):
        end = (begin + timedelta(days=31)).replace(day=1)
        yield f"{begin:%Y-%m}", end
        begin = end
