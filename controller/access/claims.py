"""Turns the claims of an identity provider into a person with a role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from controller.models.errors import InputError, SignInError
from controller.models.people import Person, Role

#: Bytes of an answer of an identity provider that are read; its keys have some kilobytes.
LARGEST_ANSWER = 1 << 20


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
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")):
        raise InputError(f"{address!r} is not an https address")
    return address


def parse_grants(text: str) -> tuple[Grant, ...]:
    """Parse grants such as ``noc=noc-engineer`` and ``bitel-ops=tenant-approver:bitel``.

    Raises:
        InputError: A word is not a grant, names an unknown role, or its role and tenant don't go together.
    """
    found = []
    for word in text.split():
        group, _, rest = word.partition("=")
        role, _, tenant = rest.partition(":")
        try:
            grant = Grant(group, Role(role), tenant)
            Person(name="x", role=grant.role, tenant=tenant)
        except ValueError as error:  # pydantic's ValidationError is a ValueError
            raise InputError(f"{word!r} is not group=role or group=role:tenant") from error
        found.append(grant)
    return tuple(found)


def person_of(claims: Mapping[str, Any], grants: Sequence[Grant], name_claim: str, groups_claim: str) -> Person:
    """The person whom verified claims name; the first grant that matches gives the role.

    Raises:
        SignInError: A claim is missing or malformed, an e-mail address is not verified, or no group gives a role.
    """
    name, groups = claims.get(name_claim), claims.get(groups_claim)
    if name_claim == "email" and claims.get("email_verified") is not True:
        raise SignInError("the identity provider did not verify the e-mail address")
    if isinstance(groups, str):
        groups = groups.split()
    if not isinstance(groups, list):
        raise SignInError(f"the identity provider names no {groups_claim}")
    grant = next((grant for grant in grants if grant.group in groups), None)
    if grant is None:
        raise SignInError(f"no role belongs to any of the {groups_claim} that the identity provider names")
    try:
        return Person(name=name, role=grant.role, tenant=grant.tenant)
    except ValidationError as error:
        raise SignInError(f"{name_claim} of the identity provider is not a valid name here") from error
