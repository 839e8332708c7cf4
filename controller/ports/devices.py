"""Devices: sessions to base stations, in terms of device trees and edits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from lxml import etree

from controller.models.behaviour import FollowUp
from controller.models.cloud import Pool
from controller.models.credentials import ManagementDefaults
from controller.models.equipment import Equipment, Operation
from controller.models.errors import NotFoundError
from controller.models.measurement import Period
from controller.models.network import Endpoint, Network, PerformanceData, Router
from controller.models.plan import Edit
from controller.nrm.profiles.function import PROFILE as FUNCTION_PROFILE
from controller.nrm.profiles.pool import PROFILE as POOL_PROFILE
from controller.nrm.profiles.pool import namespace_of
from controller.nrm.tree import Observed, Tree

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

#: Raises where nothing more may be sent.
Check = Callable[[], Awaitable[None]]
#: Name of a notification that says no more than that something changed, or may have.
CHANGED = "{urn:minka:devices}changed"
#: Letters of a file's name at most.
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class PoolTarget:
    """How to reach the Kubernetes API of a pool.

    Attributes:
        station: Id of the pool.
        authority: Name of the certificates of the authority that vouches for its certificate.
        certificate: The only one accepted, as of ``DeviceTarget``; empty for any that the authority vouches for.
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

    @property
    def credentials(self) -> tuple[str, ...]:
        """Names of the secrets that a session takes."""
        return tuple(filter(None, (self.authority, self.credential, self.client_certificate)))

    @classmethod
    def of(cls, pool: Pool) -> PoolTarget:
        """The API of a pool."""
        return cls(
            station=pool.id,
            address=pool.address,
            port=pool.port,
            authority=pool.authority,
            certificate=pool.certificate or "",
            credential=pool.credential or "",
            client_certificate=pool.client_certificate or "",
        )

    @classmethod
    def of_ims(cls, pool: Pool) -> PoolTarget | None:
        """The O2 IMS of a pool, if it has one."""
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
    """How to reach a station and how it speaks.

    Attributes:
        host_key: OpenSSH public key line without comment; the only one accepted over SSH.
        credential: Name of the secret to log in with, never the secret; empty over TLS.
        profiles: Names of the profiles that describe its nodes.
        transport: ``ssh`` (RFC 6242), ``tls`` (RFC 7589), ``cli``: a router's command line over SSH, or ``kubernetes``:
            the APIs of ``pools``, where address, port and credentials are those of each pool.
        certificate: Over TLS the only certificate accepted, ``sha256:`` and its fingerprint; empty for any
            that the authority vouches for.
        authority: Name of the authority's certificates; empty where the fingerprint is enough.
        client_certificate: Name of our certificate and its private key.
        call_home: Whether the station connects to us (RFC 8071) and is never connected to.
        carries: Whether changes leave their generation on it (``controller.nrm.generation``).
        enable_credential: Name of a router's enable secret; empty where a login comes privileged.
        file_port: Port of its file server (SFTP), where host key and log-in are the same.
        folder: Folder there of its measurement files; empty where it serves none.
        pools: Pools that a function may be on, or the pool itself.
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
        """Names of the secrets that a session takes."""
        return tuple(filter(None, (self.credential, self.client_certificate, self.authority, self.enable_credential)))

    @classmethod
    def at(
        cls,
        endpoint: Endpoint,
        defaults: ManagementDefaults,
        profiles: Sequence[str],
        performance: PerformanceData | None = None,
    ) -> DeviceTarget:
        """The station at an endpoint, with the network's defaults where that is silent."""
        names = endpoint.credentials(defaults)
        files = performance if endpoint.transport == "ssh" else None
        return cls(
            station=endpoint.station,
            address=endpoint.address or "",
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
        """A router, with the network's management defaults where its row is silent."""
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
        """A function on the pools that it may be on, or a pool."""
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
    """Target of a device: of a station its endpoint, with the network's management defaults where that is silent.

    Raises:
        NotFoundError: The network has no such station, or no endpoint for it.
    """
    if (pool := network.pool_by_id.get(station)) is not None:
        return replace(DeviceTarget.on_pools(station, POOL_PROFILE, [pool]), ims=PoolTarget.of_ims(pool))
    if (function := network.function_by_id.get(station)) is not None:
        pools = [network.pool_by_id[pool] for pool in network.pools_asked[station]]
        return DeviceTarget.on_pools(station, FUNCTION_PROFILE, pools, namespace_of(function.side))
    router = network.router_by_id.get(station)
    if router is not None:
        return DeviceTarget.of_router(router, network.header.management)
    endpoint = network.endpoint_by_station.get(station)
    known = network.station_by_id.get(station)
    if endpoint is None or known is None:
        raise NotFoundError(f"the network has no management endpoint for station {station!r}")
    return DeviceTarget.at(endpoint, network.header.management, known.profiles, network.header.performance)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the device said in its hello and of its modules, as far as transactions care.

    ``confirmed_commit`` means with persist (1.1); ``trustworthy`` is false for releases that are
    known to get it wrong, which then run with the stored inverse. ``atomic`` is false where a refused edit may
    leave a part of itself. ``timed_reload`` is a net for edits that could cut the way to the device and for nothing
    else, since it lets the device restart: ``commit_confirmed``, ``confirm`` and ``cancel`` then mean that.
    ``software`` names the server's software by what it announces: servers of one name behave alike. It is empty where
    nothing is to be learned about them. All of it is known once the session has read.
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
        """Whether confirmed commit can be the safety net."""
        return self.candidate and self.confirmed_commit and self.trustworthy


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification of a device (RFC 5277).

    Attributes:
        at: The device's event time; None where it can't be read.
        name: Qualified name of its content, as in ``{urn:o-ran:fm:1.0}alarm-notif``.
        content: Its content as sent, an element of that name.
    """

    station: str
    at: datetime | None
    name: str
    content: etree._Element


class DeviceSession(Protocol):
    """One session to one device.

    Every method raises ``SessionLostError`` when the session ended or no answer came in time,
    ``DeviceRefusedError`` for rpc-errors (warnings are logged, never raised) and
    ``DeviceBusyError`` for lock-denied and in-use.
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
        """Set the candidate back to running; nothing on devices without a candidate."""
        ...

    async def read(self) -> Observed:
        """Managed nodes of running with their state, and active alarms, in one ``get``."""
        ...

    async def read_candidate(self) -> Tree:
        """Managed nodes of the candidate."""
        ...

    async def edit(self, edits: Sequence[Edit]) -> None:
        """Send one edit-config, ``default-operation none``, explicit operations only.

        A device that tries edits (``Observed.tries``) refuses here what it would refuse, and changes nothing before the
        commit.
        """
        ...

    async def commit(self, check: Check | None = None) -> None:
        """Plain commit; nothing on devices without a candidate.

        Args:
            check: Called before each request after the first that it takes; where it raises, the commit ends there.
        """
        ...

    async def commit_confirmed(self, persist: str, timeout: int, follow_up: FollowUp | None = None) -> None:  # noqa: ASYNC109 - the device's timer
        """Confirmed commit with ``persist``, or one that follows up the pending one of the same token.

        Args:
            persist: The persist token, stored before this call.
            timeout: Seconds until the device reverts by itself.
            follow_up: How the server wants the pending one named; None where none is pending.
        """
        ...

    async def confirm(self, persist: str) -> None:
        """Confirming commit of the pending confirmed commit with this token."""
        ...

    async def cancel(self, persist: str) -> None:
        """Cancel the pending confirmed commit with this token."""
        ...

    async def equipment(self) -> Equipment:
        """What the station is made of: units, software, when it started; empty where it does not say."""
        ...

    async def measurements(self) -> tuple[Period, ...]:
        """The latest full period of each of its measurement jobs."""
        ...

    async def operate(self, operation: Operation) -> str:
        """Send an operation; return why the station does not begin it, empty if it does. The answer proves nothing.

        An acknowledgement is an edit of alarm records, committed at once; whoever asks for it has the lock.
        """
        ...

    async def copy_to_startup(self) -> None:
        """Copy running to startup where there is one; nothing elsewhere."""
        ...

    async def kill(self, session_id: str) -> None:
        """Kill a session of ours that did not end; only for ids that our journal holds."""
        ...

    async def abandon(self) -> None:
        """Close the transport at once, without close-session: the device discards and unlocks by itself."""
        ...


class RemoteFile(NamedTuple):
    """A file as a station lists it: name, bytes, and when it was written, in seconds since 1970 by its own clock."""

    name: str
    size: int
    written: int


def plain_name(name: str) -> bool:
    """Whether a name is that of a file in a folder and of nothing else: no path, no control characters."""
    return 0 < len(name) <= _LONGEST_NAME and "/" not in name and name not in (".", "..") and name.isprintable()


class DeviceFiles(Protocol):
    """The folder of a station's measurement files."""

    async def list(self, most: int) -> tuple[RemoteFile, ...]:
        """Files in it, by name.

        Raises:
            OversizedError: There are more than ``most``.
            FileGoneError, DeviceRefusedError, SessionLostError: There is no such folder, or no answer.
        """
        ...

    async def fetch(self, name: str, most: int) -> bytes:
        """What a file holds.

        Raises:
            OversizedError: It holds more than ``most`` bytes; what came of it is dropped.
            FileGoneError: It is not there any more.
            DeviceRefusedError, SessionLostError: The station does not give it, or no answer came in time.
        """
        ...


class Devices(Protocol):
    """Opens sessions, keeps warm ones."""

    def session(self, target: DeviceTarget) -> AbstractAsyncContextManager[DeviceSession]:
        """A session for the caller alone; a warm one if there is one.

        Raises on entering: UnreachableError, HostKeyError, AuthenticationError, SessionLostError.
        A session that failed in the body is closed, not reused.
        """
        ...

    def aside(self, target: DeviceTarget) -> AbstractAsyncContextManager[DeviceSession]:
        """A session to read a station with, although somebody else may have its session for long.

        Raises as ``session`` does.
        """
        ...

    def files(self, target: DeviceTarget) -> AbstractAsyncContextManager[DeviceFiles]:
        """The folder of a station's measurement files, whoever has its session.

        Raises on entering what ``session`` raises, and DeviceRefusedError where it serves none.
        """
        ...

    def notifications(
        self, target: DeviceTarget, since: datetime | None = None, listening: Callable[[], None] | None = None
    ) -> AsyncIterator[Notification]:
        """Subscribe on a session of its own and yield what comes, until that session ends.

        Args:
            target: The station.
            since: By the station's clock: what it notified from then on comes first (replay); stations that
                don't remember refuse.
            listening: Called once the subscription stands.

        Raises what ``session`` raises on entering, DeviceRefusedError if the device refuses the
        subscription, and SessionLostError when the session ends: it never just stops.
        """
        ...

    async def close(self) -> None:
        """Close all sessions."""
        ...
