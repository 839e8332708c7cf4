"""Devices: sessions to devices, in terms of device trees and edits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar, cast, runtime_checkable

from lxml import etree

from controller.drivers.target import DeviceTarget
from controller.models.behaviour import FollowUp
from controller.models.equipment import Equipment, Operation
from controller.models.errors import DeviceRefusedError
from controller.models.measurement import Period
from controller.models.plan import Edit
from controller.nrm.tree import Observed, Path, Tree

__all__ = [
    "CHANGED",
    "Candidate",
    "Capabilities",
    "Check",
    "ConfirmedCommit",
    "DeviceFiles",
    "DeviceSession",
    "Devices",
    "DevicesOf",
    "Equipped",
    "FileServing",
    "Locks",
    "ManagedElements",
    "Measuring",
    "Notification",
    "Notifying",
    "Observed",
    "RemoteFile",
    "Startup",
    "confirmed_commit",
    "elements_beside",
    "equipped",
    "locks",
    "managed_elements",
    "measuring",
    "plain_name",
    "read_candidate",
    "session_id",
    "startup",
]

#: The targets of one kind.
T_contra = TypeVar("T_contra", bound=DeviceTarget, contravariant=True)
#: Raises if nothing more may be sent.
Check = Callable[[], Awaitable[None]]
#: Name of a notification that says only that something changed, or may have changed.
CHANGED = "{urn:minka:devices}changed"
#: The longest name of a file, in characters.
_LONGEST_NAME = 255


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
    """One session to one device, as all kinds offer it: it reads and edits.

    The protocols below are for what the sessions of some kinds offer besides; a session has no method that its kind can
    only refuse. ``Capabilities`` tell which of it a device of that kind has.

    Every method raises ``SessionLostError`` if the session ended or no answer came in time, ``DeviceRefusedError`` for
    rpc-errors (warnings are logged, never raised), and ``DeviceBusyError`` for lock-denied and in-use.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the device offers."""
        ...

    async def discard(self) -> None:
        """Forget edits that were not committed: set the candidate back to running if the device has one."""
        ...

    async def read(self) -> Observed:
        """Read managed nodes of running with their state, and active alarms, in one ``get``."""
        ...

    async def edit(self, edits: Sequence[Edit]) -> None:
        """Send one edit-config with ``default-operation none`` and explicit operations only.

        A device that tries edits (``Observed.tries``) refuses a wrong edit here, and changes nothing before the commit.
        """
        ...

    async def commit(self, check: Check | None = None) -> None:
        """Let edits take effect that have not; on a NETCONF device without a candidate they took effect at once.

        Args:
            check: Called before each further request of the commit; if it raises, the commit ends there.
        """
        ...


class ConfirmedCommit(Protocol):
    """A session with commits that the device takes back by itself unless they are confirmed in time."""

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


class Locks(Protocol):
    """A session by which others are locked out, and whose id tells them by whom."""

    @property
    def session_id(self) -> str:
        """The NETCONF session id from the device's hello."""
        ...

    async def lock(self) -> None:
        """Lock the candidate (and running where it is writable and the device permits both), or running alone."""
        ...

    async def unlock(self) -> None:
        """Release what ``lock`` took."""
        ...

    async def kill(self, session_id: str) -> None:
        """Kill a session of ours that did not end; only for session ids of our own journal."""
        ...

    async def abandon(self) -> None:
        """Close the transport at once, without close-session: the device then discards edits and unlocks by itself."""
        ...


class Candidate(Protocol):
    """A session to a device that may keep edits which are not committed yet."""

    async def read_candidate(self) -> Tree:
        """Read managed nodes of the candidate, or of running on a device without one."""
        ...


class Startup(Protocol):
    """A session to a device that may start with another configuration than the one it runs."""

    async def copy_to_startup(self) -> None:
        """Copy running to startup."""
        ...


class Equipped(Protocol):
    """A session that tells of the device's units and software, and operates on them."""

    async def equipment(self) -> Equipment:
        """Read units, software and start time of the station; values that it does not report are empty."""
        ...

    async def operate(self, operation: Operation) -> str:
        """Send an operation; returns why the station does not begin it, empty if it does. The answer proves nothing.

        An acknowledgement is an edit of alarm records that is committed at once; the caller holds the lock.
        """
        ...


class Measuring(Protocol):
    """A session that tells what the device measures."""

    async def measurements(self) -> tuple[Period, ...]:
        """The latest complete period of each of its measurement jobs."""
        ...


class ManagedElements(Protocol):
    """A session to a device that has managed elements, which may be of other ids than its own."""

    async def elements_beside(self) -> tuple[Path, ...]:
        """Managed elements of other ids than the station's own, as nodes that the profile does not know.

        ``read`` asks for the station's own only, unless that is not there; this is for those who decide by it.
        """
        ...


def confirmed_commit(session: DeviceSession) -> ConfirmedCommit:
    """The session, which has to have confirmed commits.

    Raises:
        DeviceRefusedError: Its kind has none.
    """
    if not _offers(session, "commit_confirmed", "confirm", "cancel"):
        raise DeviceRefusedError("the device has no confirmed commit", tag="invalid-value")
    return cast("ConfirmedCommit", session)


def locks(session: DeviceSession) -> Locks | None:
    """The session, if it can lock others out."""
    return cast("Locks", session) if _offers(session, "session_id", "lock", "unlock", "kill", "abandon") else None


def startup(session: DeviceSession) -> Startup | None:
    """The session, if its device has a startup configuration."""
    offers = session.capabilities.startup and _offers(session, "copy_to_startup")
    return cast("Startup", session) if offers else None


def equipped(session: DeviceSession) -> Equipped | None:
    """The session, if it tells of equipment and operates on it."""
    return cast("Equipped", session) if _offers(session, "equipment", "operate") else None


def measuring(session: DeviceSession) -> Measuring | None:
    """The session, if it tells what its device measures."""
    return cast("Measuring", session) if _offers(session, "measurements") else None


def managed_elements(session: DeviceSession) -> ManagedElements | None:
    """The session, if its device has managed elements."""
    return cast("ManagedElements", session) if _offers(session, "elements_beside") else None


def _offers(session: DeviceSession, *methods: str) -> bool:
    """Whether a session has methods, also one that stands before another session and passes on what it asks for."""
    return all(hasattr(session, method) for method in methods)


def session_id(session: DeviceSession) -> str:
    """See ``Locks.session_id``; empty where sessions can't be told apart."""
    known = locks(session)
    return "" if known is None else known.session_id


async def read_candidate(session: DeviceSession) -> Tree:
    """See ``Candidate.read_candidate``; running where a session begins without any edits."""
    if _offers(session, "read_candidate"):
        return await cast("Candidate", session).read_candidate()
    return (await session.read()).tree


async def elements_beside(session: DeviceSession) -> tuple[Path, ...]:
    """See ``ManagedElements.elements_beside``; none where the device has no managed elements."""
    known = managed_elements(session)
    return () if known is None else await known.elements_beside()


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


class DevicesOf(Protocol[T_contra]):
    """Opens sessions to devices of one kind of target, and keeps some open for later use."""

    def session(self, target: T_contra) -> AbstractAsyncContextManager[DeviceSession]:
        """A session for the caller alone; an open one if there is one.

        Raises on entering: UnreachableError, HostKeyError, AuthenticationError, SessionLostError.
        A session that fails in the body is closed, not reused.
        """
        ...

    def aside(self, target: T_contra) -> AbstractAsyncContextManager[DeviceSession]:
        """A session to read a device with, although another caller may keep the device's session for long.

        Raises the errors of ``session``.
        """
        ...

    async def close(self) -> None:
        """Close all sessions."""
        ...


@runtime_checkable
class FileServing(Protocol[T_contra]):
    """Fetches measurement files of devices of one kind of target."""

    def files(self, target: T_contra) -> AbstractAsyncContextManager[DeviceFiles]:
        """The folder of a station's measurement files, even if another caller has the station's session.

        Raises on entering the errors of ``session``, and DeviceRefusedError if the station serves no files.
        """
        ...


@runtime_checkable
class Notifying(Protocol[T_contra]):
    """Follows what devices of one kind of target tell by themselves."""

    def notifications(
        self, target: T_contra, since: datetime | None = None, listening: Callable[[], None] | None = None
    ) -> AsyncIterator[Notification]:
        """Subscribe on a session of its own, and yield notifications until that session ends.

        Args:
            target: The device.
            since: A time of the device's clock. Notifications since then come first (replay); devices that can't
                replay them refuse.
            listening: Called when the subscription is accepted.

        Raises the errors of ``session`` on entering, DeviceRefusedError if the device refuses the subscription, and
        SessionLostError when the session ends: it never stops without an error.
        """
        ...


class Devices(DevicesOf[DeviceTarget], FileServing[DeviceTarget], Notifying[DeviceTarget], Protocol):
    """Devices of all kinds; refuses files and notifications of devices whose kind has none (DeviceRefusedError)."""
