"""The NETCONF server of one station: its profile, datastores, sessions, notifications and injected faults."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from lxml import etree

from simulators.clock import Clock
from simulators.datastore import Access, Config, ModuleInfo, Schema
from simulators.elements import Make
from simulators.equipment.alarms import Alarm
from simulators.equipment.configuration import check_cells
from simulators.equipment.equipment import Equipment
from simulators.equipment.managed_element import check_alarm_list
from simulators.history import EventKind, History, Origin
from simulators.netconf import capabilities, notifications
from simulators.netconf.datastores import Confirmation, Datastores, RunningChange
from simulators.netconf.faults import Fault, Faults
from simulators.netconf.notifications import Notification, ReplayLog, Subscription, Termination
from simulators.netconf.profiles import Profile

_log = logging.getLogger(__name__)
_PERSIST_ID = "{urn:ietf:params:xml:ns:netconf:base:1.0}persist-id"
#: Number of notifications of a storm, and their o-ran-fm fault-id.
STORM, STORM_FAULT_ID = 1000, 1999


@dataclass(slots=True)
class Counts:
    """Messages of a session, or of all sessions of a station."""

    in_rpcs: int = 0
    in_bad_rpcs: int = 0
    out_rpc_errors: int = 0
    out_notifications: int = 0


@dataclass(slots=True)
class Statistics:
    """Sessions and messages of a station since it started."""

    started: datetime
    counts: Counts
    in_bad_hellos: int = 0
    in_sessions: int = 0
    dropped_sessions: int = 0


class Transport(StrEnum):
    """The transport of a session (RFC 6022, identities of transport)."""

    SSH = "netconf-ssh"
    TLS = "netconf-tls"


class SessionHandle(Protocol):
    """What a server needs of its sessions."""

    origin: Origin
    transport: Transport
    since: datetime
    counts: Counts
    subscription: Subscription | None

    def drop(self, reason: Termination = Termination.DROPPED, killed_by: int | None = None) -> None:
        """Drop the session at once."""

    def notify(self, notification: Notification) -> None:
        """Send a notification if the client wants it."""


class Device(Protocol):
    """What a server needs of its station."""

    id: str
    clock: Clock
    schema: Schema
    history: History
    equipment: Equipment
    revision: int

    def running_changed(self, change: RunningChange) -> bool:
        """Apply a running configuration; return whether anything has changed."""


class Server:
    """The NETCONF server of a station.

    Args:
        device: The station.
        factory: Its factory configuration.
        profile: Its capabilities and habits.
        delays: Seconds that an operation takes, by name.
        seed: Decides whether faults with a probability strike.
    """

    __slots__ = (
        *("_delays", "_sessions_so_far", "clock", "datastores", "device", "equipment", "faults", "history", "profile"),
        *("replay", "schema", "sessions", "statistics"),
    )

    def __init__(
        self, device: Device, factory: Config, profile: Profile, delays: Mapping[str, float], seed: str
    ) -> None:
        self.device = device
        self.clock = device.clock
        self.schema = device.schema
        self.history = device.history
        self.equipment = device.equipment
        self.faults = Faults(f"{seed}/{device.id}")
        self.sessions: dict[int, SessionHandle] = {}
        self.statistics = Statistics(self.clock.now(), Counts())
        self._delays = delays
        self._sessions_so_far = 0
        self._take_on(profile)
        self.datastores = Datastores(factory, self.clock, profile, self.faults, self)

    # -------------------------------------------------------------------- profile

    def change_profile(self, profile: Profile) -> None:
        """Use another profile from now on; the station has to restart with it."""
        for kind in self.profile.faults:
            self.faults.remove(kind)
        self.datastores.restart()
        self.datastores.change_profile(profile)
        self._take_on(profile)

    def _take_on(self, profile: Profile) -> None:
        self.profile = profile
        self.equipment.alarms.sources = profile.alarms
        self.equipment.performance.by_position = profile.files.by_position
        for kind in sorted(profile.faults):
            self.faults.inject(Fault(kind, count=None))
        self.replay = ReplayLog(profile.replay, self.clock.now()) if profile.replay else None

    @property
    def modules(self) -> tuple[ModuleInfo, ...]:
        """Its YANG modules."""
        return capabilities.modules_of_station(self.schema.modules, self.profile)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The capabilities in its hello."""
        return capabilities.of_station(self.modules, self.profile)

    def access_of(self, user: str) -> Access | None:
        """Rights of a user; None means everything."""
        return self.profile.access.get(user)

    def delay(self, operation: etree._Element, name: str) -> float:
        """Seconds that an operation takes; 0 for a token without a pending commit, which is refused at once."""
        seconds = self._delays.get(name, 0.0)
        if not seconds:
            return seconds
        token = operation.findtext(_PERSIST_ID)
        return seconds if token is None or self.datastores.waits_under(token) else 0.0

    # ------------------------------------------------------------------- sessions

    @property
    def full(self) -> bool:
        """Whether it has no room for another session."""
        return len(self.sessions) >= self.profile.max_sessions

    def next_session_id(self) -> int:
        """A session id that this station never used."""
        self._sessions_so_far += 1
        return self._sessions_so_far

    def session_opened(self, session: SessionHandle) -> None:
        """Add a session."""
        self.sessions[session.origin.session] = session
        self.statistics.in_sessions += 1
        self.history.record(EventKind.SESSION_OPENED, session.origin)
        self.notify(lambda: notifications.session_start(session.origin))

    def session_closed(self, session: SessionHandle, reason: Termination, killed_by: int | None = None) -> None:
        """Remove a session and release its locks."""
        self.sessions.pop(session.origin.session, None)
        self.statistics.dropped_sessions += reason is not Termination.CLOSED
        self.history.record(EventKind.SESSION_CLOSED, session.origin, reason=reason.value)
        self.datastores.session_ended(session.origin.session)
        self.notify(lambda: notifications.session_end(session.origin, reason, killed_by))

    def drop_sessions(self) -> None:
        """Drop all sessions at once."""
        for session in list(self.sessions.values()):
            session.drop()

    # ------------------------------------------------- what its datastores need

    def check_writes(self, origin: Origin, before: Config, after: Config) -> None:
        """Refuse a change that the user may not make, or that the radio can't make now.

        Raises:
            RpcError: access-denied or in-use; unknown-element or operation-not-supported for the AlarmList.
        """
        check_alarm_list(after, self.device.id, self.profile.alarms)
        if self.profile.strict:
            check_cells(before, after)
        access = self.access_of(origin.user)
        if access is not None:
            access.check_writes(before.changes(after, deep=True))

    def confirmation(self, event: Confirmation, origin: Origin, timeout: int | None) -> None:
        """Notify of an event of a confirmed commit."""
        self.notify(lambda: notifications.confirmed_commit(event, origin, timeout))

    def running_changed(self, change: RunningChange) -> None:
        """Let the station apply a running configuration, and notify of the change."""
        if self.device.running_changed(change):
            self.notify(lambda: notifications.config_change(change))

    # -------------------------------------------------------------- notifications

    def notify(self, make: Make) -> None:
        """Send a notification to all subscribers, and keep it for replay; made only if needed."""
        if self.replay is None and not any(session.subscription for session in self.sessions.values()):
            return
        notification = Notification(self.clock.now(), make())
        if self.replay is not None:
            self.replay.add(notification)
        for session in list(self.sessions.values()):
            try:
                session.notify(notification)
            except Exception:  # noqa: BLE001 (a bug met for one subscriber must touch neither the others nor the cause)
                _log.exception("session %d of %s met a bug: dropped", session.origin.session, self.device.id)
                session.drop()

    def storm(self) -> None:
        """Send a thousand notifications at once."""
        now = self.clock.now()
        alarm = Alarm(STORM_FAULT_ID, "battery", (), "WARNING", "battery charge unknown", now)
        content = alarm.notification_element(now, is_cleared=False)
        for _ in range(STORM):
            self.notify(lambda: content)
