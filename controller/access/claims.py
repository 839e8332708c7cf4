"""Turns the claims of an identity provider into a person with a role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from controller.models.errors import SignInError
from controller.models.identity import Grant
from controller.models.people import Person

#: Bytes of an answer of an identity provider that are read; its keys have some kilobytes.
LARGEST_ANSWER = 1 << 20


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
