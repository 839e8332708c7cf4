"""People: who may act, on whose side, in what role, and what there is to be permitted."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import AwareDatetime, model_validator

from controller.models.enums import Permission as Permission  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.enums import Role as Role  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.scalars import HOST, Identifier, Noun, Username


class _Sided(Noun):
    """A role, and the tenant if it is one of a tenant's people."""

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
    """Who calls.

    Attributes:
        name: Name on the audit trail.
        tenant: Id of the tenant whose person this is; empty for the host's.
        scopes: What the token in use is cut down to; None for all that the role may do.
        ends: When the token in use ends; None for one that does not, and for whoever signed in at a provider.
        token: Id of the token in use; empty for whoever signed in at a provider.
        issuer: The identity provider where the person signed in; empty for whoever calls with a token of ours.
    """

    name: Username
    scopes: tuple[Permission, ...] | None = None
    ends: AwareDatetime | None = None
    token: str = ""
    issuer: str = ""

    @property
    def side(self) -> str:
        """Whose side the person is on: a tenant's id, or ``host``."""
        return self.tenant or HOST


class User(_Sided):
    """A person, or a program, that has API tokens. Users are never removed, since the audit trail names them.

    Attributes:
        disabled: Since when no token of theirs opens anything; None while they do.
        issuer: The identity provider where they sign in, which also says their role; empty for users of our own.
    """

    name: Username
    issuer: str = ""
    created: AwareDatetime
    disabled: AwareDatetime | None = None


class Token(Noun):
    """An API token as it is listed; its secret is shown once, when it is made.

    Attributes:
        scopes: What it is cut down to; None for all that its owner's role gives, now and later.
        maker: Who made it, and so may know its secret. Of one that its owner made with a token that somebody else had
            made for them, that is the other still.
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
