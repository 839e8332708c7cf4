"""What a token may be given."""

from __future__ import annotations

from controller.access.roles import ROLES, may, permissions, words
from controller.models.errors import ConflictError
from controller.models.people import Permission, Person, Role

#: Scope of a token, None for all that its owner's role gives.
Scopes = tuple[Permission, ...] | None


def grant(caller: Person, owner: Person, asked: Scopes) -> Scopes:
    """The scope of a token that the caller makes for the owner; one's own never opens more than the token in use.

    Raises:
        ConflictError: More was asked for than there is to give.
    """
    own = caller.name == owner.name
    limit = permissions(caller) if own else ROLES[owner.role]
    if asked is None:
        return caller.scopes if own else None
    if not limit.issuperset(asked):
        missing = words(set(asked) - limit)
        raise ConflictError(f"a token of {owner.name} can't have {missing}; what it can have is {words(limit)}")
    return tuple(permission for permission in Permission if permission in asked)


def may_manage(caller: Person, owner: str) -> bool:
    """Whether somebody may list, make and end the tokens of a user: their own, or all with ``people``."""
    return caller.name == owner or may(caller, Permission.PEOPLE)


def may_renew(caller: Person, owner: Role, scopes: Scopes) -> bool:
    """Whether rotating a token hands the caller nothing that the token in use does not open already."""
    opened = ROLES[owner] if scopes is None else ROLES[owner] & frozenset(scopes)
    return may(caller, Permission.PEOPLE) or permissions(caller) >= opened
