"""The settings' part of an identity provider: an address for which nobody else can answer, and roles by group."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from controller.models.errors import InputError
from controller.models.people import Person, Role

#: What a sign-in asks the identity provider for (OpenID Connect Core §5.4).
SCOPE = "openid profile email"


@dataclass(frozen=True, slots=True)
class Grant:
    """The role that members of an identity provider's group get, and the tenant if it is a tenant's role."""

    group: str
    role: Role
    tenant: str = ""


def private(address: str) -> str:
    """Return the address if nobody on the way can answer in its place: https, or this machine.

    Raises:
        InputError: It is neither.
    """
    try:
        parts = urlsplit(address)
    except ValueError:  # as of a bracket that nothing closes
        parts = urlsplit("")
    here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if not here and not (parts.scheme == "https" and parts.hostname):
        raise InputError(f"{address!r} is not an https address, as in https://id.example.net")
    return address


def parse_grants(text: str) -> tuple[Grant, ...]:
    """Parse grants such as ``noc=noc-engineer`` and ``bitel-ops=tenant-approver:bitel``.

    Raises:
        InputError: A word is not a grant, names an unknown role, or its role and tenant don't go together; or a group
            is named twice, of which only the first would ever count.
    """
    found: dict[str, Grant] = {}
    for word in text.split():
        group, _, rest = word.partition("=")
        role, _, tenant = rest.partition(":")
        try:
            grant = Grant(group, Role(role), tenant)
            Person(name="x", role=grant.role, tenant=tenant)
        except ValueError as error:  # pydantic's ValidationError is a ValueError
            raise InputError(f"{word!r} {_form(role)}") from error
        if not group or group in found:
            reason = f"names the group {group} again" if group else "names no group"
            raise InputError(f"{word!r} {reason}: one role for each group, as in noc=noc-engineer")
        found[group] = grant
    return tuple(found.values())


def _form(role: str) -> str:
    """The form that would be right for a role; all of them where it is none."""
    right = "is not group=role or group=role:tenant, as in noc=noc-engineer ops=tenant-approver:bitel"
    if role not in set(Role):
        return f"{right}; the roles are {', '.join(Role)}"
    side = (
        "a tenant's: a tenant's id belongs behind it" if Role(role).of_tenant else "the host's: no tenant belongs to it"
    )
    return f"{right}; {role} is {side}"
