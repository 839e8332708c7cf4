"""Statements on record: each version with its files, whose digests are on the audit trail."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from typing import Any

from sqlalchemy import Column, Index, Integer, LargeBinary, Row, String, Table, UniqueConstraint, and_, func, select

from controller.models.errors import NotFoundError
from controller.models.packing import packed, unpacked
from controller.models.statement import IssuedStatement, Statement, StatementForm, StatementKind, StatementProof
from controller.performance.statements import digest_of, files_of
from controller.ports.store import Page, StatementFilter, Statements, Sync
from controller.store import audit_chain
from controller.store.audit_chain import audit
from controller.store.columns import Instant, long_text, metadata, string
from controller.store.repository import SqlRepository, reads, writes
from controller.store.transaction import Tx

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

#: Action of the audit row with the digests of a statement's files.
ISSUED = "statement.issued"
_FILES = select(statement_files.c.statement, statement_files.c.form, statement_files.c.digest)


class SqlStatements(SqlRepository, Statements[Sync]):
    """Repository of statements."""

    @writes
    def issue(self, tx: Tx, draft: Statement, by: str, reason: str) -> IssuedStatement:
        tx.guard(f"statement:{draft.kind}:{draft.tenant}:{draft.month}")
        latest = self._latest(tx, draft.kind, draft.tenant, draft.month)
        if latest is not None and unpacked(Statement, latest.content).says_as(draft):
            return self._noun(tx, latest)
        version = latest.version + 1 if latest else 1
        made = draft.model_copy(update={"version": version, "issued": tx.now, "reason": reason})
        row = {"id": made.id, "kind": made.kind.value, "tenant": made.tenant, "month": made.month, "version": version}
        row |= {"issued": tx.now, "by": by, "reason": reason, "content": packed(made)}
        tx.execute(statements.insert().values(row))
        files = files_of(made)
        digests = {form: digest_of(content) for form, content in files.items()}
        rows = [
            {"digest": digests[form], "statement": made.id, "form": form.value, "content": zlib.compress(content)}
            for form, content in files.items()
        ]
        tx.execute(statement_files.insert(), rows)
        tx.note(by, ISSUED, made.id, reason=reason, **{form.value: digest for form, digest in digests.items()})
        return self._noun(tx, tx.execute(select(statements).where(statements.c.id == made.id)).one())

    @reads
    def page(
        self, tx: Tx, page: Page, like: StatementFilter | None = None, kinds: Collection[StatementKind] | None = None
    ) -> tuple[int, list[IssuedStatement]]:
        wanted = like or StatementFilter()
        chosen = [statements.c[name] == value for name, value in wanted._asdict().items() if value is not None]
        if kinds is not None:
            chosen.append(statements.c.kind.in_([kind.value for kind in kinds]))
        total = tx.execute(select(func.count()).select_from(statements).where(*chosen)).scalar_one()
        newest = select(statements).where(*chosen).order_by(statements.c.number.desc())
        rows = tx.execute(newest.limit(page.limit).offset(page.offset)).all()
        return total, [self._noun(tx, row) for row in rows]

    @reads
    def get(
        self, tx: Tx, kind: StatementKind, tenant: str, month: str, version: int | None = None
    ) -> tuple[IssuedStatement, Statement]:
        row = self._latest(tx, kind, tenant, month, version)
        if row is None:
            which = "" if version is None else f" version {version} of"
            raise NotFoundError(f"there is no{which} {kind} statement of {tenant} for {month}")
        return self._noun(tx, row), unpacked(Statement, row.content)

    @reads
    def file(self, tx: Tx, statement: str, form: StatementForm) -> bytes:
        of = and_(statement_files.c.statement == statement, statement_files.c.form == form.value)
        content = tx.execute(select(statement_files.c.content).where(of)).scalar()
        if content is None:
            raise NotFoundError(f"there is no statement {statement}")
        return zlib.decompress(content)

    @reads
    def proof(self, tx: Tx, digest: str, tenant: str | None = None) -> StatementProof:
        known = tx.execute(_FILES.where(statement_files.c.digest == digest)).one_or_none()
        row = known and tx.execute(select(statements).where(statements.c.id == known.statement)).one()
        if known is None or row is None or tenant not in (None, row.tenant):
            raise NotFoundError("no issued statement has this file")
        form = StatementForm(known.form)
        noted = tx.execute(select(audit).where(audit.c.action == ISSUED, audit.c.object == row.id)).all()
        number, hash_, wrong = 0, "", "it is missing"
        for one in noted:
            number, hash_, wrong = one.id, one.hash, audit_chain.wrong_in(tx.connection, one, tx.evidence.keys)
            if not wrong and audit_chain.as_noun(one).detail.get(form.value) != digest:
                wrong = "it has another digest"
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
