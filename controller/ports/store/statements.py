"""Statements on record."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Protocol

from controller.models.statement import IssuedStatement, Statement, StatementForm, StatementKind, StatementProof
from controller.ports.store.repository import M_co, Page, Repository, method


class StatementFilter(NamedTuple):
    """Which statements are wanted; None for any."""

    kind: StatementKind | None = None
    tenant: str | None = None
    month: str | None = None


class Statements(Repository[M_co], Protocol[M_co]):
    """Statements of what tenants got in months, in versions: each is kept as it was issued, and never changes."""

    @method
    def issue(self, draft: Statement, by: str, reason: str) -> IssuedStatement:
        """Put a statement on record as the next version, with the digests of its files on the audit trail.

        Returns the latest version if the draft is equal.
        """
        ...

    @method
    def page(
        self, page: Page, like: StatementFilter | None = None, kinds: Collection[StatementKind] | None = None
    ) -> tuple[int, list[IssuedStatement]]:
        """Total and one page of statements, newest first; only of these kinds if given."""
        ...

    @method
    def get(
        self, kind: StatementKind, tenant: str, month: str, version: int | None = None
    ) -> tuple[IssuedStatement, Statement]:
        """A version of a statement, the latest by default. Raises NotFoundError."""
        ...

    @method
    def file(self, statement: str, form: StatementForm) -> bytes:
        """A file of a statement, by the statement's id, as it was issued. Raises NotFoundError."""
        ...

    @method
    def proof(self, digest: str, tenant: str | None = None) -> StatementProof:
        """The statement of a file, by the file's SHA-256, and whether the audit row matches; of all tenants or one.

        Raises:
            NotFoundError: No such file was issued.
        """
        ...
