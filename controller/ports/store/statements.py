"""Statements on record."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    def issue(self, draft: Statement, by: str, reason: str, *, anew: bool = False) -> IssuedStatement:
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
        ...

    @method
    def take_back(self, files: Mapping[StatementForm, bytes], note: str, by: str) -> IssuedStatement:
        """Put a statement on record again that was issued on a record that was lost, by its files and signed note.

        Args:
            files: The JSON, and others that this version of Minka would make another way.
            note: The signed note about them.
            by: Who gives them.

        Raises:
            InputError: The note is not signed by a key of this record, or a file is not one of its files.
            ConflictError: Another statement of that name is on record.
        """
        ...

    @method
    def note(self, statement: str) -> str:
        """The signed note about the files of a statement, by the statement's id. Raises NotFoundError."""
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
