"""Devices: sessions to devices, in terms of device trees and edits."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, assert_never

from lxml import etree

from controller.models.behaviour import FollowUp
from controller.models.cloud import Pool
from controller.models.credentials import ManagementDefaults
from controller.models.equipment import Equipment, Operation
from controller.models.errors import NotFoundError
from controller.models.measurement import Period
from controller.models.network import DeviceKind, Endpoint, Network, PerformanceData, Router
from controller.models.plan import Edit
from controller.nrm.profiles.function import PROFILE as FUNCTION_PROFILE
from controller.nrm.profiles.pool import PROFILE as POOL_PROFILE
from controller.nrm.profiles.pool import namespace_of
from controller.nrm.tree import Observed, Path, Tree

__all__ = [
    "CHANGED",
    "Capabilities",
    "Check",
    "DeviceFiles",
    "DeviceSession",
    "DeviceTarget",
    "Devices",
    "Notification",
    "Observed",
    "PoolTarget",
    "RemoteFile",
    "plain_name",
    "target_of",
]

#: Raises if nothing more may be sent.
Check = Callable[[], Awaitable[None]]
#: Name of a notification that says only that something changed, or may have changed.
CHANGED = "{urn:minka:devices}changed"
#: The longest name of a file, in characters.
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class PoolTarget:
    """How to reach the Kubernetes API of a pool.

    Attributes:
        station: Id of the pool.
        path: Path below which the API is; empty for all of an address.
        authority: Name of the certificates of the authority that vouches for its certificate.
        certificate: The only certificate accepted, as in ``DeviceTarget``; empty for any that the authority vouches
            for.
        credential: Name of the bearer token; empty where our certificate is enough.
        client_certificate: Name of our certificate and its private key; empty where the token is enough.
    """

    station: str
    address: str
    port: int
    authority: str
    certificate: str = ""
    credential: str = ""
    client_certificate: str = ""
    path: str = ""

    @property
    def credentials(self) -> tuple[str, ...]:
        """Names of the secrets that a session needs."""
        return tuple(filter(None, (self.authority, self.credential, self.client_certificate)))

    @classmethod
    def of(cls, pool: Pool) -> PoolTarget:
        """The target of a pool's API."""
        return cls(
            station=pool.id,
            address=pool.address,
            port=pool.port,
            authority=pool.authority,
            certificate=pool.certificate or "",
            credential=pool.credential or "",
            client_certificate=pool.client_certificate or "",
            path=pool.path or "",
        )

    @classmethod
    def of_ims(cls, pool: Pool) -> PoolTarget | None:
        """The target of a pool's O2 IMS; None if the pool has none."""
        if pool.ims_address is None or pool.ims_credential is None:
            return None
        return cls(
            station=f"{pool.id} (O2 IMS)",
            address=pool.ims_address,
            port=pool.ims_port,
            authority=pool.ims_authority or pool.authority,
            credential=pool.ims_credential,
        )


@dataclass(frozen=True, slots=True)
class DeviceTarget:
    """How to reach a device, and which protocol it speaks.

    Attributes:
        host_key: OpenSSH public key line without comment; the only key accepted over SSH.
        credential: Name of the secret for login, never the secret itself; empty over TLS.
        profiles: Names of the profiles that describe its nodes.
        transport: ``ssh`` (RFC 6242), ``tls`` (RFC 7589), ``cli``: a router's command line over SSH, or ``kubernetes``:
            the APIs of ``pools``, where address, port and credentials are those of each pool.
        certificate: Over TLS the only certificate accepted, ``sha256:`` and its fingerprint; empty for any
            that the authority vouches for.
        authority: Name of the authority's certificates; empty where the fingerprint is enough.
        client_certificate: Name of our certificate and its private key.
        call_home: Whether the station connects to us (RFC 8071); then we never connect to it, and over TLS ``address``
            is only the name for which an authority has to vouch.
        carries: Whether changes write their generation on it (``controller.nrm.generation``).
        enable_credential: Name of a router's enable secret; empty if a login is privileged already.
        file_port: Port of its file server (SFTP), which has the same host key and login.
        folder: Folder of its measurement files there; empty if it serves none.
        pools: Pools that a function may run on, or the pool itself.
        namespace: Namespace of a function on its pools.
        ims: The O2 IMS of a pool, if it has one.
    """

    station: str
    address: str
    port: int
    host_key: str
    username: str
    credential: str
    profiles: tuple[str, ...]
    transport: Literal["ssh", "tls", "cli", "kubernetes"] = "ssh"
    certificate: str = ""
    authority: str = ""
    client_certificate: str = ""
    call_home: bool = False
    enable_credential: str = ""
    carries: bool = False
    file_port: int = 0
    folder: str = ""
    pools: tuple[PoolTarget, ...] = ()
    namespace: str = ""
    ims: PoolTarget | None = None

    @property
    def credentials(self) -> tuple[str, ...]:
        """Names of the secrets that a session needs."""
        return tuple(filter(None, (self.credential, self.client_certificate, self.authority, self.enable_credential)))

    @property
    def identification(self) -> tuple[str, ...]:
        """By what a device that calls home is known, and by what we are known to it."""
        name = self.address if self.transport == "tls" else ""
        known_by = (self.transport, name, self.host_key, self.certificate, self.authority)
        return (*known_by, self.username, self.credential, self.client_certificate)

    @property
    def identity(self) -> str:
        """Digest of that by which the device is accepted: another key, certificate or authority is another device."""
        name = self.address if self.transport == "tls" else ""
        known_by = (self.transport, name, self.host_key, self.certificate, self.authority)
        return hashlib.sha256("\n".join(known_by).encode()).hexdigest()[:16]

    @classmethod
    def at(
        cls,
        endpoint: Endpoint,
        defaults: ManagementDefaults,
        profiles: Sequence[str],
        performance: PerformanceData | None = None,
    ) -> DeviceTarget:
        """The target of a station at an endpoint; the network's defaults fill in what the endpoint leaves out."""
        names = endpoint.credentials(defaults)
        files = performance if endpoint.transport == "ssh" else None
        return cls(
            station=endpoint.station,
            address=endpoint.certified_name if endpoint.transport == "tls" else endpoint.address or "",
            port=endpoint.port,
            host_key=endpoint.host_key or "",
            username=endpoint.username or defaults.username,
            credential=names.get("credential", ""),
            profiles=tuple(profiles),
            transport=endpoint.transport,
            certificate=endpoint.certificate or "",
            authority=names.get("authority", ""),
            client_certificate=names.get("client_certificate", ""),
            call_home=endpoint.call_home,
            file_port=(endpoint.file_port or files.file_port or endpoint.port) if files else 0,
            folder=(endpoint.folder or files.folder) if files else "",
        )

    @classmethod
    def of_router(cls, router: Router, defaults: ManagementDefaults) -> DeviceTarget:
        """The target of a router; the network's management defaults fill in what its row leaves out."""
        names = router.credentials(defaults)
        return cls(
            station=router.id,
            address=router.address,
            port=router.port,
            host_key=router.host_key or "",
            username=router.username or defaults.username,
            credential=names["credential"],
            profiles=(router.platform,),
            transport="cli",
            enable_credential=names.get("enable_credential", ""),
        )

    @classmethod
    def on_pools(cls, device: str, profile: str, pools: Sequence[Pool], namespace: str = "") -> DeviceTarget:
        """The target of a function on the pools that it may run on, or of a pool."""
        return cls(
            station=device,
            address="",
            port=0,
            host_key="",
            username="",
            credential="",
            profiles=(profile,),
            transport="kubernetes",
            pools=tuple(map(PoolTarget.of, pools)),
            namespace=namespace,
        )


def target_of(network: Network, station: str) -> DeviceTarget:
    """The target of a device; the network's management defaults fill in what its row leaves out.

    Raises:
        NotFoundError: The network has no such station, or no endpoint for it.
    """
    kind = network.kind_of(station)
    match kind:
        case DeviceKind.STATION:
            endpoint = network.endpoint_by_station.get(station)
            known = network.station_by_id.get(station)
            if endpoint is None or known is None:
                raise NotFoundError(
                    f"the network has no management endpoint for station {station!r}: give it a row in endpoints.csv, "
                    "and load both (minka network load DIRECTORY --endpoints FILE)"
                )
            return DeviceTarget.at(endpoint, network.header.management, known.profiles, network.header.performance)
        case DeviceKind.ROUTER:
            return DeviceTarget.of_router(network.router_by_id[station], network.header.management)
        case DeviceKind.FUNCTION:
            pools = [network.pool_by_id[pool] for pool in network.delays.pools_asked[station]]
            namespace = namespace_of(network.function_by_id[station].side)
            return DeviceTarget.on_pools(station, FUNCTION_PROFILE, pools, namespace)
        case DeviceKind.POOL:
            pool = network.pool_by_id[station]
            return replace(DeviceTarget.on_pools(station, POOL_PROFILE, [pool]), ims=PoolTarget.of_ims(pool))
        case _:
            assert_never(kind)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Capabilities of a device that transactions depend on, from its hello and its list of modules.

    ``confirmed_commit`` means with persist (1.1). ``trustworthy`` is false for releases with known errors in it; they
    are taken back by the stored inverse instead. ``atomic`` is false if a refused edit may take effect in part.
    ``timed_reload`` protects only edits that could cut the connection to the device, since it restarts the device:
    ``commit_confirmed``, ``confirm`` and ``cancel`` then work with the reload. ``software`` identifies the server's
    software by what it announces: servers with the same value behave alike. It is empty if there is nothing to learn
    about them. All capabilities are known after the session's first read.
    """

    candidate: bool
    confirmed_commit: bool
    writable_running: bool
    startup: bool
    validate: bool
    trustworthy: bool = True
    atomic: bool = True
    timed_reload: bool = False
    software: str = ""

    @property
    def safe_commit(self) -> bool:
        """Whether confirmed commit is reliable enough as the safety net."""
        return self.candidate and self.confirmed_commit and self.trustworthy


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification of a device (RFC 5277).

    Attributes:
        at: The device's event time; None if it is not valid.
        name: Qualified name of its content, as in ``{urn:o-ran:fm:1.0}alarm-notif``.
        content: Its content as sent, an element of that name.
    """

    station: str
    at: datetime | None
    name: str
    content: etree._Element


class DeviceSession(Protocol):
    """One session to one device.

    Every method raises ``SessionLostError`` if the session ended or no answer came in time, ``DeviceRefusedError`` for
    rpc-errors (warnings are logged, never raised), and ``DeviceBusyError`` for lock-denied and in-use.
    """

    @property
    def session_id(self) -> str:
        """The NETCONF session id from the device's hello."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the device offers."""
        ...

    async def lock(self) -> None:
        """Lock the candidate (and running where it is writable and the device permits both), or running alone."""
        ...

    async def unlock(self) -> None:
        """Release what ``lock`` took."""
        ...

    async def discard(self) -> None:
        """Set the candidate back to running; does nothing on devices without a candidate."""
        ...

    async def read(self) -> Observed:
        """Read managed nodes of running with their state, and active alarms, in one ``get``."""
        ...

    async def elements_beside(self) -> tuple[Path, ...]:
        """Managed elements of other ids than the station's own, as nodes that the profile does not know.

        ``read`` asks for the station's own only, unless that is not there; this is for those who decide by it.
        """
        ...

    async def read_candidate(self) -> Tree:
        """Read managed nodes of the candidate."""
        ...

    async def edit(self, edits: Sequence[Edit]) -> None:
        """Send one edit-config with ``default-operation none`` and explicit operations only.

        A device that tries edits (``Observed.tries``) refuses a wrong edit here, and changes nothing before the commit.
        """
        ...

    async def commit(self, check: Check | None = None) -> None:
        """Send a plain commit; does nothing on devices without a candidate.

        Args:
            check: Called before each further request of the commit; if it raises, the commit ends there.
        """
        ...

    async def commit_confirmed(self, persist: str, timeout: int, follow_up: FollowUp | None = None) -> None:  # noqa: ASYNC109 - the device's timer
        """Send a confirmed commit with ``persist``, or one that follows up the pending one with the same token.

        Args:
            persist: The persist token, stored before this call.
            timeout: Seconds until the device reverts by itself.
            follow_up: How the server expects a reference to the pending one; None if none is pending.
        """
        ...

    async def confirm(self, persist: str) -> None:
        """Confirming commit of the pending confirmed commit with this token."""
        ...

    async def cancel(self, persist: str) -> None:
        """Cancel the pending confirmed commit with this token."""
        ...

    async def equipment(self) -> Equipment:
        """Read units, software and start time of the station; values that it does not report are empty."""
        ...

    async def measurements(self) -> tuple[Period, ...]:
        """The latest complete period of each of its measurement jobs."""
        ...

    async def operate(self, operation: Operation) -> str:
        """Send an operation; returns why the station does not begin it, empty if it does. The answer proves nothing.

        An acknowledgement is an edit of alarm records that is committed at once; the caller holds the lock.
        """
        ...

    async def copy_to_startup(self) -> None:
        """Copy running to startup, if the device has one."""
        ...

    async def kill(self, session_id: str) -> None:
        """Kill a session of ours that did not end; only for session ids of our own journal."""
        ...

    async def abandon(self) -> None:
        """Close the transport at once, without close-session: the device then discards edits and unlocks by itself."""
        ...


class RemoteFile(NamedTuple):
    """A file as a station lists it: name, bytes, and when it was written, in seconds since 1970 by its own clock."""

    name: str
    size: int
    written: int


def plain_name(name: str) -> bool:
    """Whether a name is that of a file in a folder: no path, no control characters."""
    return 0 < len(name) <= _LONGEST_NAME and "/" not in name and name not in (".", "..") and name.isprintable()


class DeviceFiles(Protocol):
    """The folder of a station's measurement files."""

    async def list(self, most: int) -> tuple[RemoteFile, ...]:
        """Its files, by name.

        Raises:
            OversizedError: There are more than ``most``.
            FileGoneError, DeviceRefusedError, SessionLostError: There is no such folder, or the station does not
                answer.
        """
        ...

    async def fetch(self, name: str, most: int) -> bytes:
        """The content of a file.

        Raises:
            OversizedError: It holds more than ``most`` bytes; the part that came is dropped.
            FileGoneError: It does not exist any more.
            DeviceRefusedError, SessionLostError: The station refuses, or did not answer in time.
        """
        ...


class Devices(Protocol):
    """Opens sessions, and keeps some open for later use."""

    def session(self, target: DeviceTarget) -> AbstractAsyncContextManager[DeviceSession]:
        """A session for the caller alone; an open one if there is one.

        Raises on entering: UnreachableError, HostKeyError, AuthenticationError, SessionLostError.
        A session that fails in the body is closed, not reused.
        """
        ...

    def aside(self, target: DeviceTarget) -> AbstractAsyncContextManager[DeviceSession]:
        """A session to read a station with, although another caller may keep the station's session for long.

        Raises the errors of ``session``.
        """
        ...

    def files(self, target: DeviceTarget) -> AbstractAsyncContextManager[DeviceFiles]:
        """The folder of a station's measurement files, even if another caller has the station's session.

        Raises on entering the errors of ``session``, and DeviceRefusedError if the station serves no files.
        """
        ...

    def notifications(
        self, target: DeviceTarget, since: datetime | None = None, listening: Callable[[], None] | None = None
    ) -> AsyncIterator[Notification]:
        """Subscribe on a session of its own, and yield notifications until that session ends.

        Args:
            target: The station.
            since: A time of the station's clock. Notifications since then come first (replay); stations that can't
                replay them refuse.
            listening: Called when the subscription is accepted.

        Raises the errors of ``session`` on entering, DeviceRefusedError if the device refuses the subscription, and
        SessionLostError when the session ends: it never stops without an error.
        """
        ...

    async def close(self) -> None:
        """Close all sessions."""
        ...
