"""Who may call, and what was done: a part of ``Store``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from controller.models.audit import AuditAnchor, AuditBreak
from controller.models.people import Permission, Person, Token, User
from controller.models.run import AuditRow

if TYPE_CHECKING:
    from controller.ports.store import Page


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which rows of the audit trail are wanted; None for any.

    Attributes:
        actor: Who did it.
        action: What was done; with ``*`` at its end, all that begins so.
        object: To what; likewise.
        since: Not before.
        until: Before.
    """

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    since: datetime | None = None
    until: datetime | None = None


#: All of it.
EVERYTHING = AuditQuery()


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to keep: the SHA-256 of its secret in hex, whose it is, and what it opens until when.

    Attributes:
        made_with: Id of the token that it is made with; empty where that is none of ours.
    """

    digest: str
    owner: str
    label: str = ""
    scopes: tuple[Permission, ...] | None = None
    expires: datetime | None = None
    made_with: str = ""


@dataclass(frozen=True, slots=True)
class SignIn:
    """A token of an identity provider, whose word was verified.

    Attributes:
        issuer: The provider.
        subject: Who it is about, to the provider and for good.
        issued: When it was issued.
        ends: When it ends.
        digest: SHA-256 of the token in hex.
    """

    issuer: str
    subject: str
    issued: datetime
    ends: datetime
    digest: str


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
        """Keep a token.

        Raises:
            NotFoundError: Its owner is no user.
            ConflictError: The owner is disabled, or got 100 tokens within a day; the token in use was revoked.
        """
        ...

    def ensure_token(self, new: NewToken, owner: Person) -> None:
        """Keep a token and its owner if they are not on record yet; whatever is there stays as it is."""
        ...

    def only_token(self, new: NewToken, owner: Person) -> Token | None:
        """Keep a token, if it is not on record, and end all others of the same owner and label.

        Returns:
            The token as it is on record; None, and nothing changes, if it is over or its owner is disabled.
        """
        ...

    def tokens(self, owner: str | None = None) -> list[Token]:
        """Tokens, those of one owner if given, oldest first. Raises NotFoundError if there is no such user."""
        ...

    def token(self, token_id: str) -> Token:
        """A token by id. Raises NotFoundError."""
        ...

    def revoke_token(self, token_id: str, by: Person, *, with_made: bool = False) -> None:
        """End a token for good, now. Revoking it again changes nothing.

        Args:
            token_id: The token.
            by: Who revokes it.
            with_made: Whether to end all that were made with it too, and with those.

        Raises:
            NotFoundError: There is no such token.
            ConflictError: It opens more than the token in use. Or tokens of others were made with it, which ``by`` may
                not end.
        """
        ...

    def rotate_token(self, token_id: str, digest: str, until: datetime, by: Person) -> Token:
        """A token like the old one; the old one ends at ``until`` or before.

        The new one has the old one's whole lifetime before it, but ends with the token in use of ``by`` at the latest.

        Raises:
            NotFoundError: There is no such token.
            ConflictError: It is revoked or expired, or its owner got 100 tokens within a day; the token in use was
                revoked.
        """
        ...

    def signed_in(self, person: Person, sign_in: SignIn) -> Person:
        """Somebody whom an identity provider vouches for, put on record as a user, with the role of the newest token.

        Raises:
            SignInError: The token was signed out with, or is older than the one that told another role, or none. Or the
                name is that of a user of our own or of somebody else at the provider, or disabled.
        """
        ...

    def role_lost(self, sign_in: SignIn) -> None:
        """Put on record that the provider gives somebody no role any more: older tokens of theirs open nothing."""
        ...

    def sign_out(self, sign_in: SignIn) -> None:
        """Put on record that a token of the provider opens nothing any more."""
        ...

    def bearer(self, digest: str) -> Person | None:
        """Whose token has this SHA-256: None if nobody's, or if it or its owner is not in force. Notes its use."""
        ...

    def audit(self, actor: str, action: str, target: str, detail: Mapping[str, str] | None = None) -> None:
        """Append an audit row of its own, for acts that change no other state."""
        ...

    def deny(self, actor: str, side: str, permission: str, asked: str, times: int = 1) -> None:
        """Put on record that somebody asked for what is not theirs.

        Of what one caller on one side was denied for want of one permission within an hour, the first 20 calls get an
        audit row each. The others are counted, and get one row with their number, the last of what was asked, and its
        time, once the hour is over.

        Args:
            actor: Who asked.
            side: The tenant whose person that is; empty for the host's.
            permission: What the request needed; empty where that is not the point.
            asked: What was asked for.
            times: Requests that this call is about.
        """
        ...

    def sum_up_denials(self) -> None:
        """Write the rows of counts whose hour is over; nothing where there are none. Any process may, at any time."""
        ...

    def audit_rows(self, page: Page, wanted: AuditQuery = EVERYTHING) -> tuple[int, list[AuditRow]]:
        """Total and one page of the audit rows that are wanted, newest first."""
        ...

    def verify_audit(self) -> AuditBreak | None:
        """The first audit row that was changed, removed or cut off; None if the chain is whole."""
        ...

    def verify_anchors(self, anchors: Iterable[AuditAnchor]) -> AuditBreak | None:
        """The first audit row that is missing, or another one than was anchored; None if all are there.

        Anchors from before a person's decision that an older record is right are passed over.
        """
        ...

    def audit_head(self) -> AuditAnchor:
        """The newest audit row, to be told to somebody outside of the database."""
        ...
