"""Statements on record: versions that nobody changes, each file's digest on the audit trail."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from controller.models.errors import NotFoundError
from controller.models.statement import Column, Sheet, Statement, StatementForm, StatementKind
from controller.performance.statements import digest_of, files_of
from controller.ports.store import Page, StatementFilter
from controller.store import SqlStore


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


def test_what_differs_is_the_next_version_and_each_stays_as_it_was_issued(store: SqlStore) -> None:
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
def test_what_was_not_issued_is_not_found(store: SqlStore, version: int | None) -> None:
    with pytest.raises(NotFoundError, match="sla statement of bitel for 2026-10"):
        store.statements.get(StatementKind.SLA, "bitel", "2026-10", version)
    with pytest.raises(NotFoundError, match="there is no statement x"):
        store.statements.file("x", StatementForm.CSV)
    with pytest.raises(NotFoundError, match="no issued statement has this file"):
        store.statements.proof("0" * 64)


def test_a_proof_is_the_row_of_the_audit_trail_and_holds_only_while_that_is_as_written(store: SqlStore) -> None:
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
        connection.execute(text("DELETE FROM audit WHERE id = :id"), {"id": proof.row})
    assert store.statements.proof(digest).wrong == "it is missing"
