"""Who may call, and what was done: a part of ``Store``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from controller.models.run import AuditRow

if TYPE_CHECKING:
    from controller.ports.store import Page


class PeopleRecords(Protocol):
    """Tokens and the audit trail; a part of ``Store``."""

    def add_token(self, digest: str, name: str) -> None:
        """Keep the SHA-256 of an API token."""
        ...

    def token_name(self, digest: str) -> str | None:
        """Owner of a token by its SHA-256."""
        ...

    def audit(self, actor: str, action: str, target: str, detail: Mapping[str, str] | None = None) -> None:
        """Append an audit row of its own, for acts that change no other state."""
        ...

    def audit_rows(self, page: Page) -> tuple[int, list[AuditRow]]:
        """Total and one page of audit rows, newest first."""
        ...

    def verify_audit(self) -> int | None:
        """Number of the first audit row that was changed, removed or cut off; None if the chain is whole."""
        ...
