"""The cell-site router of a site, as network files describe it."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated

from pydantic import Field, model_validator

from controller.models.credentials import ManagementDefaults
from controller.models.scalars import (
    Credential,
    HostAddress,
    HostKey,
    Identifier,
    InterfaceAddress,
    InterfaceName,
    Noun,
    Platform,
    StationId,
    Username,
)


class Router(Noun):
    """The cell-site router of a site; it is managed once its host key is known.

    On ``uplink`` it hangs on the backhaul, on ``downlink`` are the stations of its site. A router with a
    second way to the backhaul has it on ``standby``.
    """

    id: StationId
    site: Identifier
    address: HostAddress
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    platform: Platform = "cisco_ios"
    host_key: HostKey | None = None
    username: Username | None = None
    credential: Credential | None = None
    enable_credential: Credential | None = Field(
        None, description="Name of the secret of enable, where a login does not come privileged."
    )
    uplink: InterfaceName = "GigabitEthernet0/0/0"
    downlink: InterfaceName = "GigabitEthernet0/0/1"
    standby: InterfaceName | None = None
    station_side: InterfaceAddress | None = Field(
        None,
        description="Address towards the stations, the same in each tenant's VRF; "
        "else the first free one of the smallest network that holds them.",
    )
    gateway: IPv4Address | None = Field(None, description="Next hop of its own management traffic over the uplink.")
    standby_gateway: IPv4Address | None = Field(None, description="The same over the standby.")

    def credentials(self, defaults: ManagementDefaults) -> dict[str, str]:
        """Names of the credentials that a session takes, by field."""
        enable = {"enable_credential": self.enable_credential} if self.enable_credential else {}
        return {"credential": self.credential or defaults.credential, **enable}

    @model_validator(mode="after")
    def _ports(self) -> Router:
        ports = [port for port in (self.uplink, self.downlink, self.standby) if port is not None]
        if len(set(ports)) != len(ports):
            raise ValueError("uplink, downlink and standby must be different ports")
        if self.standby_gateway is not None and (self.standby is None or self.gateway is None):
            raise ValueError("standby_gateway needs standby and gateway")
        return self
