"""What each role may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controller.models.people import Permission, Person, Role

_P = Permission
_TENANT = frozenset({_P.READ, _P.METRICS, _P.TOKENS})
_HOST = frozenset({_P.READ, _P.OVERSEE, _P.METRICS, _P.TOKENS})

#: Role → what it may do. A tenant's people see only what is disclosed to their tenant (``controller.access``).
#: Loading network files is the administrator's, since agreements, and with them consents, stand in them.
ROLES: Mapping[Role, frozenset[Permission]] = {
    Role.HOST_VIEWER: _HOST,
    Role.NOC_ENGINEER: frozenset((*_HOST, _P.PLAN, _P.RUN, _P.STOP, _P.WEBHOOK, _P.WARN, _P.COMMENT, _P.ON_CALL)),
    Role.APPROVER: frozenset((*_HOST, _P.STOP, _P.APPROVE, _P.OVERRIDE, _P.COMMENT, _P.PROMOTE)),
    Role.ADMINISTRATOR: frozenset(_P),
    Role.TENANT_VIEWER: _TENANT,
    Role.TENANT_APPROVER: frozenset((*_TENANT, _P.APPROVE, _P.ANNOUNCE, _P.COMMENT, _P.ON_CALL)),
}


def permissions(person: Person) -> frozenset[Permission]:
    """What a person may do with the token in use."""
    allowed = ROLES[person.role]
    return allowed if person.scopes is None else allowed & frozenset(person.scopes)


def may(person: Person, permission: Permission) -> bool:
    """Whether a person may do something with the token in use."""
    return permission in permissions(person)


def lacking(person: Person, permission: Permission) -> str:
    """Why a person of the host may not do something with the token in use, and who gives them the permission, how."""
    lacks = f"this needs the permission {permission}, which the token of {person.name} lacks"
    if permission in ROLES[person.role]:
        way = f"minka token new --owner {person.name} --scope {permission}"
        return f"{lacks}: the role {person.role} has it, so you or an administrator can make a token with it: {way}"
    able = [role for role, given in ROLES.items() if permission in given and Permission.OVERSEE in given]
    roles = f"{lacks}, since its role is {person.role}: the permission is of {' and '.join(able)}"
    if person.issuer:
        return f"{roles}; the identity provider at {person.issuer} says who has such a role"
    return f"{roles}; an administrator can give you such a role: minka user role {person.name} {able[0]}"


def words(found: Iterable[Permission]) -> str:
    """Permissions in words, in the order of their table."""
    chosen = frozenset(found)
    return ", ".join(permission for permission in Permission if permission in chosen)
