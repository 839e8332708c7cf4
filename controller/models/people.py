"""People: names, sides, roles and permissions."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import AwareDatetime, model_validator

from controller.models.enums import Permission as Permission  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.enums import Role as Role  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.scalars import HOST, Identifier, Noun, Username


class _Sided(Noun):
    """A role, with the tenant if it is a role of a tenant's people."""

    role: Role
    tenant: Identifier | Literal[""] = ""

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if self.role.of_tenant and not self.tenant:
            raise ValueError(f"the role {self.role} needs a tenant")
        if self.tenant and not self.role.of_tenant:
            raise ValueError(f"the role {self.role} is the host's and has no tenant")
        return self


class Person(_Sided):
    """The person or program that calls.

    Attributes:
        name: Name on the audit trail.
        tenant: Id of the person's tenant; empty for the host's people.
        scopes: Permissions that the token in use is limited to; None for all of the role.
        ends: When the token in use ends; None if it does not, or if the person signed in at a provider.
        token: Id of the token in use; empty if the person signed in at a provider.
        issuer: The identity provider where the person signed in; empty if a token of ours is in use.
    """

    name: Username
    scopes: tuple[Permission, ...] | None = None
    ends: AwareDatetime | None = None
    token: str = ""
    issuer: str = ""

    @property
    def side(self) -> str:
        """The person's side: a tenant's id, or ``host``."""
        return self.tenant or HOST


class User(_Sided):
    """A person, or a program, that has API tokens. Users are never removed, since the audit trail names them.

    Attributes:
        disabled: Since when all their tokens are refused; None if they are not.
        issuer: The identity provider where they sign in, which also says their role; empty for users of our own.
    """

    name: Username
    issuer: str = ""
    created: AwareDatetime
    disabled: AwareDatetime | None = None


class Token(Noun):
    """An API token in a list; its secret is shown only once, when it is made.

    Attributes:
        scopes: Permissions that it is limited to; None for all of its owner's role, now and later.
        maker: Who made it, and so may know its secret. If its owner made it with a token that somebody else made, then
            that other person.
        expires: When it ends; None for never.
        used: When it was last used, to the minute.
        revoked: When it was revoked.
    """

    id: str
    owner: Username
    label: str
    scopes: tuple[Permission, ...] | None
    created: AwareDatetime
    expires: AwareDatetime | None
    used: AwareDatetime | None
    revoked: AwareDatetime | None
    maker: str = ""
