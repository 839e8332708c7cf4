"""Targets of routers: a command line over SSH."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from controller.drivers.target import Addressed, DeviceTarget
from controller.models.credentials import ManagementDefaults
from controller.models.network import Network, Router


@dataclass(frozen=True, slots=True)
class CliTarget(DeviceTarget):
    """How to reach a router.

    Attributes:
        host_key: OpenSSH public key line without comment; the only key accepted.
        credential: Name of the secret for login, never the secret itself.
        enable_credential: Name of its enable secret; empty if a login is privileged already.
    """

    speaks: ClassVar[str] = "a command line"

    address: str
    port: int
    host_key: str
    username: str
    credential: str
    enable_credential: str = ""

    @property
    def addresses(self) -> tuple[Addressed, ...]:
        """See ``DeviceTarget.addresses``: its own."""
        return (self,)

    @property
    def credentials(self) -> tuple[str, ...]:
        """Names of the secrets that a session needs."""
        return tuple(filter(None, (self.credential, self.enable_credential)))

    @classmethod
    def of(cls, router: Router, defaults: ManagementDefaults) -> CliTarget:
        """The target of a router; the network's management defaults fill in what its row leaves out."""
        names = router.credentials(defaults)
        return cls(
            device=router.id,
            profiles=(router.platform,),
            address=router.address,
            port=router.port,
            host_key=router.host_key or "",
            username=router.username or defaults.username,
            credential=names["credential"],
            enable_credential=names.get("enable_credential", ""),
        )


def router_target(network: Network, router: str) -> CliTarget:
    """The target of a router of the network files."""
    return CliTarget.of(network.router_by_id[router], network.header.management)
