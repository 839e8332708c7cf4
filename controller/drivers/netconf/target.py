"""Targets of stations: NETCONF over SSH (RFC 6242) or TLS (RFC 7589), connected to or calling home (RFC 8071)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from controller.drivers.target import Addressed, DeviceTarget
from controller.models.credentials import ManagementDefaults
from controller.models.errors import NotFoundError
from controller.models.network import Endpoint, Network, PerformanceData


@dataclass(frozen=True, slots=True)
class NetconfTarget(DeviceTarget):
    """How to reach a station.

    Attributes:
        host_key: OpenSSH public key line without comment; the only key accepted over SSH.
        credential: Name of the secret for login, never the secret itself; empty over TLS.
        transport: ``ssh`` or ``tls``.
        certificate: Over TLS the only certificate accepted, ``sha256:`` and its fingerprint; empty for any
            that the authority vouches for.
        authority: Name of the authority's certificates; empty where the fingerprint is enough.
        client_certificate: Name of our certificate and its private key.
        call_home: Whether the station connects to us (RFC 8071); then we never connect to it, and over TLS ``address``
            is only the name for which an authority has to vouch.
        file_port: Port of its file server (SFTP), which has the same host key and login.
        folder: Folder of its measurement files there; empty if it serves none.
    """

    speaks: ClassVar[str] = "NETCONF"

    address: str
    port: int
    host_key: str
    username: str
    credential: str
    transport: Literal["ssh", "tls"] = "ssh"
    certificate: str = ""
    authority: str = ""
    client_certificate: str = ""
    call_home: bool = False
    file_port: int = 0
    folder: str = ""

    @property
    def addresses(self) -> tuple[Addressed, ...]:
        """See ``DeviceTarget.addresses``: its own."""
        return (self,)

    @property
    def credentials(self) -> tuple[str, ...]:
        """Names of the secrets that a session needs."""
        return tuple(filter(None, (self.credential, self.client_certificate, self.authority)))

    @property
    def serves_files(self) -> bool:
        """See ``DeviceTarget.serves_files``."""
        return bool(self.folder)

    @property
    def identification(self) -> tuple[str, ...]:
        """By what a station that calls home is known, and by what we are known to it."""
        return (*self._known_by, self.username, self.credential, self.client_certificate)

    @property
    def identity(self) -> str:
        """See ``DeviceTarget.identity``: another key, certificate or authority is another device."""
        return hashlib.sha256("\n".join(self._known_by).encode()).hexdigest()[:16]

    @property
    def _known_by(self) -> tuple[str, ...]:
        name = self.address if self.transport == "tls" else ""
        return self.transport, name, self.host_key, self.certificate, self.authority

    @classmethod
    def at(
        cls,
        endpoint: Endpoint,
        defaults: ManagementDefaults,
        profiles: Sequence[str],
        performance: PerformanceData | None = None,
    ) -> NetconfTarget:
        """The target of a station at an endpoint; the network's defaults fill in what the endpoint leaves out."""
        names = endpoint.credentials(defaults)
        files = performance if endpoint.transport == "ssh" else None
        return cls(
            device=endpoint.station,
            profiles=tuple(profiles),
            address=endpoint.certified_name if endpoint.transport == "tls" else endpoint.address or "",
            port=endpoint.port,
            host_key=endpoint.host_key or "",
            username=endpoint.username or defaults.username,
            credential=names.get("credential", ""),
            transport=endpoint.transport,
            certificate=endpoint.certificate or "",
            authority=names.get("authority", ""),
            client_certificate=names.get("client_certificate", ""),
            call_home=endpoint.call_home,
            file_port=(endpoint.file_port or files.file_port or endpoint.port) if files else 0,
            folder=(endpoint.folder or files.folder) if files else "",
        )


def station_target(network: Network, station: str) -> NetconfTarget:
    """The target of a station of the network files.

    Raises:
        NotFoundError: The network has no such station, or no endpoint for it.
    """
    endpoint = network.endpoint_by_station.get(station)
    known = network.station_by_id.get(station)
    if endpoint is None or known is None:
        raise NotFoundError(
            f"the network has no management endpoint for station {station!r}: give it a row in endpoints.csv, "
            "and load both (minka network load DIRECTORY --endpoints FILE)"
        )
    return NetconfTarget.at(endpoint, network.header.management, known.profiles, network.header.performance)
