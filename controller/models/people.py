"""People: who may act, on whose side, in what role."""

from __future__ import annotations

from enum import StrEnum

from controller.models.scalars import HOST, Noun


class Role(StrEnum):
    """What a person may do. The last two are a tenant's own people, all others the host's."""

    HOST_VIEWER = "host-viewer"
    NOC_ENGINEER = "noc-engineer"
    APPROVER = "approver"
    ADMINISTRATOR = "administrator"
    TENANT_VIEWER = "tenant-viewer"
    TENANT_APPROVER = "tenant-approver"


class Person(Noun):
    """Who calls.

    Attributes:
        name: Name on the audit trail.
        tenant: Id of the tenant whose person this is; empty for the host's.
    """

    name: str
    role: Role
    tenant: str = ""

    @property
    def side(self) -> str:
        """Whose side the person is on: a tenant's id, or ``host``."""
        return self.tenant or HOST
