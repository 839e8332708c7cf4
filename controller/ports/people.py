"""Who may call, and what was done: a part of ``Store``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from controller.models.people import Permission, Person, Token, User
from controller.models.run import AuditRow

if TYPE_CHECKING:
    from controller.ports.store import Page


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to keep: the SHA-256 of its secret in hex, whose it is, and what it opens until when."""

    digest: str
    owner: str
    label: str = ""
    scopes: tuple[Permission, ...] | None = None
    expires: datetime | None = None


class PeopleRecords(Protocol):
    """Users, tokens and the audit trail; a part of ``Store``."""

    def add_user(self, person: Person, actor: str) -> User:
        """Put a user on record. Raises ConflictError if the name is taken."""
        ...

    def set_user(self, person: Person, actor: str, *, disabled: bool = False) -> User:
        """Change a user's role and tenant, disable or enable them; their tokens follow at once.

        Raises:
            NotFoundError: There is no such user.
            ConflictError: No administrator would be left.
        """
        ...

    def users(self) -> list[User]:
        """All users by name."""
        ...

    def user(self, name: str) -> User:
        """A user. Raises NotFoundError."""
        ...

    def add_token(self, new: NewToken, actor: str) -> Token:
        """Keep a token. Raises NotFoundError if its owner is no user, ConflictError if disabled."""
        ...

    def ensure_token(self, new: NewToken, owner: Person) -> None:
        """Keep a token and its owner if they are not on record yet; whatever is there stays as it is."""
        ...

    def tokens(self, owner: str | None = None) -> list[Token]:
        """Tokens, those of one owner if given, oldest first."""
        ...

    def token(self, token_id: str) -> Token:
        """A token by id. Raises NotFoundError."""
        ...

    def revoke_token(self, token_id: str, actor: str) -> None:
        """End a token for good, now. Revoking it again changes nothing. Raises NotFoundError."""
        ...

    def rotate_token(self, token_id: str, digest: str, until: datetime, actor: str) -> Token:
        """A token like the old one, with its whole lifetime before it; the old one ends at ``until`` or before.

        Raises:
            NotFoundError: There is no such token.
            ConflictError: It is revoked or expired.
        """
        ...

    def signed_in(self, person: Person, issuer: str, subject: str) -> Person:
        """Somebody whom an identity provider vouches for, put on record as a user, with the role as of now.

        Raises:
            SignInError: The name is that of a user of our own or of somebody else at the provider, or disabled.
        """
        ...

    def bearer(self, digest: str) -> Person | None:
        """Whose token has this SHA-256: None if nobody's, or if it or its owner is not in force. Notes its use."""
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
