"""People: who may act, on whose side, in what role, and what there is to be permitted."""

from __future__ import annotations

from enum import StrEnum

from pydantic import model_validator

from controller.models.scalars import HOST, Identifier, Noun


class Role(StrEnum):
    """What a person may do. The last two are a tenant's own people, all others the host's."""

    HOST_VIEWER = "host-viewer"
    NOC_ENGINEER = "noc-engineer"
    APPROVER = "approver"
    ADMINISTRATOR = "administrator"
    TENANT_VIEWER = "tenant-viewer"
    TENANT_APPROVER = "tenant-approver"

    @property
    def of_tenant(self) -> bool:
        """Whether it is a role of a tenant's own people."""
        return self in (Role.TENANT_VIEWER, Role.TENANT_APPROVER)


class Permission(StrEnum):
    """What a route needs, a role gives, and a token's scope may be cut down to."""

    LOOK = "look"
    OVERSEE = "oversee"
    PLAN = "plan"
    RUN = "run"
    STOP = "stop"
    APPROVE = "approve"
    OVERRIDE = "override"
    NETWORK = "network"
    PEOPLE = "people"
    TOKENS = "tokens"
    METRICS = "metrics"
    WEBHOOK = "webhook"


class Person(Noun):
    """Who calls.

    Attributes:
        name: Name on the audit trail.
        tenant: Id of the tenant whose person this is; empty for the host's.
        scopes: What the token in use is cut down to; None for all that the role may do.
    """

    name: str
    role: Role
    tenant: Identifier | str = ""
    scopes: tuple[Permission, ...] | None = None

    @model_validator(mode="after")
    def _one_side(self) -> Person:
        if self.role.of_tenant != bool(self.tenant):
            raise ValueError(
                f"the role {self.role} needs a tenant" if self.role.of_tenant else f"the role {self.role} has no tenant"
            )
        return self

    @property
    def side(self) -> str:
        """Whose side the person is on: a tenant's id, or ``host``."""
        return self.tenant or HOST
