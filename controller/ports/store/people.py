"""Users, their tokens, and their sign-ins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controller.models.people import Permission, Person, Token, User
from controller.ports.store.repository import M_co, Repository, method


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to keep: the SHA-256 of its secret in hex, its owner, its scopes and its end.

    Attributes:
        made_with: Id of the token that it is made with; empty if that is none of ours.
    """

    digest: str
    owner: str
    label: str = ""
    scopes: tuple[Permission, ...] | None = None
    expires: datetime | None = None
    made_with: str = ""


@dataclass(frozen=True, slots=True)
class SignIn:
    """A verified token of an identity provider.

    Attributes:
        issuer: The provider.
        subject: The provider's permanent identifier of the person.
        issued: When it was issued.
        ends: When it ends.
        digest: SHA-256 of the token in hex.
    """

    issuer: str
    subject: str
    issued: datetime
    ends: datetime
    digest: str


class Users(Repository[M_co], Protocol[M_co]):
    """People and programs that may use Minka."""

    @method
    def add(self, person: Person, actor: str) -> User:
        """Put a user on record. Raises ConflictError if the name is taken."""
        ...

    @method
    def change(self, person: Person, actor: str, *, disabled: bool = False) -> User:
        """Change a user's role and tenant, disable or enable a user; their tokens follow at once.

        Raises:
            NotFoundError: There is no such user.
            ConflictError: No administrator would be left.
        """
        ...

    @method
    def find(self) -> list[User]:
        """All users by name."""
        ...

    @method
    def get(self, name: str) -> User:
        """A user. Raises NotFoundError."""
        ...


class Tokens(Repository[M_co], Protocol[M_co]):
    """API tokens of users."""

    @method
    def add(self, new: NewToken, actor: str) -> Token:
        """Keep a token.

        Raises:
            NotFoundError: Its owner is no user.
            ConflictError: The owner is disabled or got 100 tokens within a day, or the token in use was revoked.
        """
        ...

    @method
    def ensure(self, new: NewToken, owner: Person) -> None:
        """Keep a token and its owner if they are not on record yet; existing ones stay as they are."""
        ...

    @method
    def keep_only(self, new: NewToken, owner: Person) -> Token | None:
        """Keep a token if it is not on record, and end all others with the same owner and label.

        Returns:
            The token as it is on record; None, without any change, if it has ended or its owner is disabled.
        """
        ...

    @method
    def find(self, owner: str | None = None) -> list[Token]:
        """Tokens, oldest first; only those of one owner if given. Raises NotFoundError if there is no such user."""
        ...

    @method
    def get(self, token_id: str) -> Token:
        """A token by id. Raises NotFoundError."""
        ...

    @method
    def revoke(self, token_id: str, by: Person, *, with_made: bool = False) -> None:
        """End a token permanently, now. Repeating it changes nothing.

        Args:
            token_id: The token.
            by: Who revokes it.
            with_made: Whether to end also all tokens that were made with it, directly or indirectly.

        Raises:
            NotFoundError: There is no such token.
            ConflictError: It permits more than the token in use, or tokens of others were made with it that ``by`` may
                not end.
        """
        ...

    @method
    def rotate(self, token_id: str, digest: str, until: datetime, by: Person) -> Token:
        """Replace a token by a new one like it; the old one ends at ``until`` or before.

        The new one has the full lifetime of the old one, but ends with the token that ``by`` uses at the latest.

        Raises:
            NotFoundError: There is no such token.
            ConflictError: It is revoked or expired, or its owner got 100 tokens within a day; the token in use was
                revoked.
        """
        ...

    @method
    def bearer(self, digest: str) -> Person | None:
        """The owner of the token with this SHA-256; None if there is no such token in force. Records the use."""
        ...


class SignIns(Repository[M_co], Protocol[M_co]):
    """People who sign in at an identity provider."""

    @method
    def accept(self, person: Person, sign_in: SignIn) -> Person:
        """Put somebody on record as a user for whom an identity provider vouches, with the role of the newest token.

        Raises:
            SignInError: The token was signed out, or is older than one that gave another role or none. Or the name
                belongs to a user of our own, to somebody else at the provider, or to a disabled user.
        """
        ...

    @method
    def withdraw_role(self, sign_in: SignIn) -> None:
        """Put on record that the provider gives somebody no role any more: their older tokens become invalid."""
        ...

    @method
    def end(self, sign_in: SignIn) -> None:
        """Put on record that a token of the provider is invalid from now on."""
        ...
