"""What a new token may open, and until when: never more, nor longer, than the token in use."""

from __future__ import annotations

from datetime import UTC, datetime

from controller.access.roles import ROLES, may, permissions, words
from controller.models.errors import ConflictError
from controller.models.people import Permission, Person, Role, Token

#: Scope of a token, None for all that its owner's role gives.
Scopes = tuple[Permission, ...] | None


def grant(caller: Person, owner: Person, asked: Scopes) -> Scopes:
    """The scope of a token that the caller makes for the owner: what the token in use and the owner's role both open.

    Raises:
        ConflictError: More was asked for than the caller can give.
    """
    limit = permissions(caller) & ROLES[owner.role]
    if asked is None:
        asked = tuple(limit)
        if caller.scopes is None and limit == ROLES[owner.role]:
            return None
    if not limit.issuperset(asked):
        missing = words(set(asked) - limit)
        raise ConflictError(f"a token of {owner.name} can't have {missing}; it can have {words(limit)}")
    return tuple(permission for permission in Permission if permission in asked)


def end(caller: Person, asked: datetime | None, *, said: bool) -> datetime | None:
    """The end of a token that the caller makes: as asked, or by default no later than that of the token in use.

    Raises:
        ConflictError: The end asked for is later than that of the token in use.
    """
    if caller.ends is None or (asked is not None and asked <= caller.ends):
        return asked
    if said:
        raise ConflictError(
            f"a token can't outlive the one that makes it, which ends {_words(caller.ends)}: "
            "ask for fewer days, or name no number of days, so that it ends then too"
        )
    return caller.ends


def may_manage(caller: Person, owner: str) -> bool:
    """Whether somebody may list, make and end the tokens of a user: their own, or all with ``people``."""
    return caller.name == owner or may(caller, Permission.PEOPLE)


def check_renewal(caller: Person, owner: Role, old: Token) -> None:
    """Check that the token in use opens all that a token opens which it rotates, and lives as long.

    Raises:
        ConflictError: The old token opens more, or lives longer.
    """
    if more := _more(caller, owner, old):
        raise ConflictError(f"the token {old.id} opens {more}, and the one in use does not, so it can't renew it")
    if caller.ends is not None and (old.expires is None or old.expires > caller.ends):
        lives = f"lives until {_words(old.expires)}" if old.expires else "has no end"
        raise ConflictError(
            f"the token {old.id} {lives} and the one in use ends {_words(caller.ends)}, so it can't renew it: "
            "use one that lives as long"
        )


def check_end(caller: Person, owner: Role, going: Token) -> None:
    """Check that the token in use opens all that a token opens which it ends.

    Raises:
        ConflictError: It opens less.
    """
    if more := _more(caller, owner, going):
        raise ConflictError(f"the token {going.id} opens {more}, and the one in use does not, so it can't end it")


def _more(caller: Person, owner: Role, token: Token) -> str:
    """What a token opens that the one in use does not, in words."""
    opened = ROLES[owner] if token.scopes is None else ROLES[owner] & frozenset(token.scopes)
    return words(opened - permissions(caller))


def _words(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
