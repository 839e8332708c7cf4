"""Which secrets devices may get: names of the server's settings, each for devices in certain networks only.

Network files and requests contain names only. The server's settings define the secret behind a name, and where it may
be sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated

from pydantic import Field, IPvAnyNetwork

from controller.models.errors import InputError
from controller.models.scalars import Credential, Identifier, Noun, Reference, Username


class ManagementDefaults(Noun):
    """How stations are reached, unless their endpoint says otherwise."""

    username: Username = "minka"
    credential: Credential = "device"
    client_certificate: Credential = "device-certificate"


def literal(address: str) -> IPv4Address | IPv6Address | None:
    """The IP address that a text states; None for a host name."""
    try:
        return ip_address(address)
    except ValueError:
        return None


class DeviceCredential(Noun):
    """A secret for devices: its reference, and the management networks of devices that may get it.

    Attributes:
        actions: Actions of playbooks that may get it as an input, on devices in those networks.
    """

    reference: Reference
    networks: Annotated[tuple[IPvAnyNetwork, ...], Field(min_length=1)]
    actions: tuple[Identifier, ...] = ()

    def serves(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether a device at this address may get it."""
        return any(address in network for network in self.networks)


class Credentials(Noun):
    """All secrets for devices, by name."""

    credentials: Annotated[dict[Identifier, DeviceCredential], Field(min_length=1)]

    def named(self, name: str) -> DeviceCredential:
        """The credential of a name.

        Raises:
            InputError: There is no such name.
        """
        found = self.credentials.get(name)
        if found is None:
            raise InputError(f"the server's settings have no credential {name!r}; {self.choices}")
        return found

    @property
    def references(self) -> tuple[str, ...]:
        """References to all secrets."""
        return tuple(one.reference for one in self.credentials.values())

    @property
    def choices(self) -> str:
        """All names, for people."""
        return f"MINKA_CREDENTIALS has {', '.join(sorted(self.credentials))}"

    def check(self, name: str, address: str) -> None:
        """Check that a device at an IP address may get the secret of a name.

        Raises:
            InputError: There is no such name, or it is not for that address.
        """
        at, found = literal(address), self.named(name)
        if at is None or not found.serves(at):
            raise InputError(f"{address} is outside of the networks of credential {name!r}: {words(found.networks)}")

    @property
    def for_actions(self) -> tuple[str, ...]:
        """Names of those that an action may get."""
        return tuple(sorted(name for name, one in self.credentials.items() if one.actions))

    def check_action(self, name: str, action: str) -> None:
        """Check that an action may get the secret of a name.

        Raises:
            InputError: There is no such name, or it is not for that action.
        """
        actions = self.named(name).actions
        if action not in actions:
            served = ", ".join(actions) or "none"
            raise InputError(f"credential {name!r} is not for the action {action}; its actions are {served}")


def words(networks: Iterable[IPv4Network | IPv6Network]) -> str:
    """Networks in words."""
    return ", ".join(map(str, networks))


_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_DEFAULTS: Mapping[str, str] = {
    "device": "env:MINKA_DEVICE_PASSWORD",
    "device-certificate": "env:MINKA_DEVICE_CERTIFICATE",
    "pool-authority": "env:MINKA_POOL_AUTHORITY",
    "pool-token": "env:MINKA_POOL_TOKEN",
}
#: The credentials if the settings name none: for devices simulated on this machine.
LOOPBACK_ONLY = Credentials(
    credentials={
        name: DeviceCredential(reference=reference, networks=_LOOPBACK) for name, reference in _DEFAULTS.items()
    }
)
