"""One simulated base station: its datastores, radio, alarms, sessions, faults and history."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from lxml import etree

from simulators import elements
from simulators.clock import Clock
from simulators.datastore import PROFILE_MODULES, Config, ModuleInfo, Schema, State, load_schema
from simulators.datastore.errors import NETCONF_NS, RpcError, RpcErrors
from simulators.datastore.xmltext import document_of
from simulators.equipment.alarms import Alarm
from simulators.equipment.equipment import POWER_ON, Life
from simulators.equipment.managed_element import ALARM_LIST
from simulators.faults import Fault, FaultKind, Faults
from simulators.history import Event, EventKind, History
from simulators.netconf import capabilities
from simulators.netconf import notifications as changes
from simulators.netconf.datastores import ITSELF, NO_SESSION, Confirmation, Datastores, Origin, RunningChange
from simulators.netconf.notifications import Notified, ReplayLog, Subscription
from simulators.netconf.profiles import STANDARD, Profile
from simulators.netconf.statistics import Counts, Statistics, Termination
from simulators.network import Core, StationRecord, Surroundings

_BASE = "{urn:ietf:params:xml:ns:netconf:base:1.0}"
_ME_NS = "urn:3gpp:sa5:_3gpp-common-managed-element"
#: Earlier running configurations that a station can be put back to.
REMEMBERED = 50
#: Notifications of a storm, and the o-ran-fm fault-id that they are about.
STORM, STORM_FAULT_ID = 1000, 1999


@dataclass(frozen=True, slots=True)
class Quirks:
    """How a station speaks NETCONF, and how slow it is.

    Attributes:
        profile: Its capabilities and habits.
        settle_seconds: Until a cell is on air after it was unlocked, or a core link up after its creation.
        boot_seconds: Until a station takes sessions again after a restart, and its cells begin to settle.
        delays: Seconds that an operation takes, by name (``edit-config``, ``commit``, ``get`` …); a commit or cancel
            for a token under which nothing waits is refused before any work.
    """

    profile: Profile = STANDARD
    settle_seconds: float = 1.0
    boot_seconds: float = 0.0
    delays: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


class SessionHandle(Protocol):
    """What a station needs of its sessions."""

    origin: Origin
    since: datetime
    counts: Counts
    subscription: Subscription | None

    def drop(self, reason: Termination = Termination.DROPPED, killed_by: int | None = None) -> None:
        """End the session without a word."""

    def notify(self, notified: Notified) -> None:
        """Send a notification if the client wants it."""


class Observer(Protocol):
    """Who wants to know what happens on stations."""

    def happened(self, station: str, event: Event) -> None:
        """An event was written into a history."""

    def alarmed(self, station: str, alarm: Alarm, raised: bool, when: datetime) -> None:
        """An alarm was raised or cleared."""


class UnknownRevisionError(Exception):
    """The station does not remember such a revision of its running configuration."""


class Station:
    """A station; everything in it happens at once and in order, only its sessions wait."""

    def __init__(
        self,
        record: StationRecord,
        cores: tuple[Core, ...],
        clock: Clock,
        quirks: Quirks,
        around: Surroundings | None = None,
    ) -> None:
        self.id = record.id
        self.clock = clock
        self.quirks = quirks
        self.profile = quirks.profile
        self.schema: Schema = load_schema(name for profile in record.profiles for name in PROFILE_MODULES[profile])
        around = around or Surroundings(cores)
        self.faults = Faults(f"{around.seed}/{record.id}")
        self.history = History()
        self.sessions: dict[int, SessionHandle] = {}
        self._sessions_so_far = 0
        self.statistics = Statistics(clock.now(), Counts())
        self.replay: ReplayLog | None = None
        self._take_on(quirks.profile)
        self.revision = 0
        factory = _factory(self.schema, record.id)
        self._revisions: deque[tuple[int, Config]] = deque([(0, factory)], maxlen=REMEMBERED)
        self.datastores = Datastores(factory, clock, self.profile, self)
        self.observers: tuple[Observer, ...] = ()
        self.life = Life(self, record, around, quirks.settle_seconds)
        self.life.radio.follow(factory)

    # ------------------------------------------------------------- sessions

    @property
    def modules(self) -> tuple[ModuleInfo, ...]:
        """Its YANG modules."""
        return capabilities.modules_of_station(self.schema.modules, self.profile)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What a hello says."""
        return capabilities.of_station(self.modules, self.profile)

    @property
    def full(self) -> bool:
        """Whether it takes no further session."""
        return len(self.sessions) >= self.profile.max_sessions

    def next_session_id(self) -> int:
        """A session id that this station never used."""
        self._sessions_so_far += 1
        return self._sessions_so_far

    def session_opened(self, session: SessionHandle) -> None:
        """Take a session on."""
        self.sessions[session.origin.session] = session
        self.statistics.in_sessions += 1
        self.record(EventKind.SESSION_OPENED, session.origin)
        if self._listened:
            self.notify(changes.session_start(session.origin))

    def session_closed(self, session: SessionHandle, reason: Termination, killed_by: int | None = None) -> None:
        """Forget a session and what it held."""
        self.sessions.pop(session.origin.session, None)
        self.statistics.dropped_sessions += reason is not Termination.CLOSED
        self.record(EventKind.SESSION_CLOSED, session.origin, reason=reason.value)
        self.datastores.session_ended(session.origin.session)
        if self._listened:
            self.notify(changes.session_end(session.origin, reason, killed_by))

    # -------------------------------------------------- a life after this one

    @property
    def kept(self) -> Config:
        """The configuration that a power cut leaves."""
        return self.datastores.kept

    def kept_text(self) -> str:
        """The same as XML."""
        return f'<config xmlns="{NETCONF_NS}">{self.kept.to_text()}</config>'

    def come_up(self, text: str) -> None:
        """Start with what was left of an earlier life. Raises ValueError: it does not fit this station."""
        try:
            config = Config.from_xml(self.schema, text.encode())
            config.validate()
        except (RpcError, RpcErrors) as error:
            raise ValueError(str(error)) from error
        self.datastores.come_up(config)

    # -------------------------------------------------------------- reading

    def state(self) -> State:
        """State below the configuration."""
        return self.life.state()

    @property
    def alarms(self) -> Iterable[Alarm]:
        """Active alarms."""
        return self.life.book.active

    def summary(self) -> dict[str, Any]:
        """The station at a glance."""
        return {
            "station": self.id,
            "revision": self.revision,
            "sessions": len(self.sessions),
            "awaiting_confirmation": self.datastores.awaiting_confirmation,
            "faults": len(self.faults.list()),
            "up": not self.life.down,
            **self.life.summary(),
            "counts": {kind.value: count for kind, count in sorted(self.history.counts.items())},
        }

    # -------------------------------------------------- what sessions report

    def operation_name(self, operation: etree._Element) -> str:
        """The name by which delays and faults know an operation."""
        name = etree.QName(operation).localname
        if name == "commit" and operation.find(f"{_BASE}confirmed") is None and self.datastores.awaiting_confirmation:
            return "confirm"
        return name

    def seconds_for(self, operation: etree._Element, name: str) -> float:
        """How long an operation takes here, in seconds."""
        token = operation.findtext(f"{_BASE}persist-id")
        if token is not None and not self.datastores.waits_under(token.strip()):
            return 0.0
        return self.quirks.delays.get(name, 0.0)

    def edited(self, origin: Origin, config: etree._Element) -> None:
        """An edit of the candidate was accepted."""
        self.record(EventKind.EDITED, origin, operations=dict(_operations([config])))

    def confirmed(self, origin: Origin) -> None:
        """A pending commit was confirmed."""
        self.record(EventKind.CONFIRMED, origin, revision=self.revision)

    def record(self, kind: EventKind, origin: Origin, **detail: Any) -> None:
        """Write an event into the history."""
        event = Event(self.clock.now(), kind, origin.session, origin.user, MappingProxyType(detail))
        self.history.add(event)
        for observer in self.observers:
            observer.happened(self.id, event)

    # ---------------------------------------------- what people do to it

    def foreign_edits(self, configs: Iterable[str]) -> None:
        """Foreign edits as XML text, as faults carry them."""
        for config in configs:
            self.foreign_edit(etree.fromstring(config))

    def foreign_edit(self, config: etree._Element, user: str = "technician") -> None:
        """Change running behind everybody's back: with a ``<config>`` element, or a single top-level one.

        Raises:
            RpcError, RpcErrors: the edit does not fit.
        """
        edited = self.datastores.running.edit(document_of(config), "merge")
        edited.validate()
        self.datastores.overwrite(edited, Origin(NO_SESSION, user))

    def revert(self, revision: int, user: str = "technician") -> None:
        """Put an earlier running configuration back, behind everybody's back.

        Raises:
            UnknownRevisionError: it is not among those remembered.
        """
        for known, config in self._revisions:
            if known == revision:
                self.datastores.overwrite(config, Origin(NO_SESSION, user))
                return
        raise UnknownRevisionError(f"{self.id} does not remember revision {revision}")

    def break_link(self, wanted: str, *, curable: bool = True) -> tuple[str, ...]:
        """Break core links by tenant or end point id; return their names.

        Raises:
            UnknownLinkError: no configured link fits.
        """
        names = self.life.radio.break_link(wanted, curable=curable)
        self.record(EventKind.LINK_BROKEN, ITSELF, links=list(names))
        return names

    def restore_link(self, wanted: str) -> tuple[str, ...]:
        """Take the fault away from core links; return the names of those that were broken.

        Raises:
            UnknownLinkError: no configured link fits.
        """
        names = self.life.radio.restore_link(wanted)
        self.links_healed(names)
        return names

    def restart(self, cause: str = POWER_ON) -> None:
        """Start anew: sessions, locks and unconfirmed commits are gone, cells come on air again after the boot."""
        self.fall_silent()
        self.datastores.restart()
        self.record(EventKind.RESTARTED, ITSELF, cause=cause)
        if self.quirks.boot_seconds:
            self.clock.call_later(self.quirks.boot_seconds, lambda: self._come_up(cause))
        else:
            self._come_up(cause)

    def become(self, profile: Profile) -> None:
        """Restart with other NETCONF software: its sessions are gone, its configuration stays."""
        for kind in self.profile.faults:
            self.faults.forget(kind)
        self.datastores.restart()
        self.datastores.adopt(profile)
        self._take_on(profile)
        self.restart()

    def _take_on(self, profile: Profile) -> None:
        self.profile = profile
        for kind in sorted(profile.faults):
            self.faults.inject(Fault(kind, count=None))
        self.replay = ReplayLog(profile.replay, self.clock.now()) if profile.replay else None

    def fall_silent(self) -> None:
        """Lose power: sessions are gone, and no connection is taken."""
        self.life.power(False)
        for session in list(self.sessions.values()):
            session.drop()

    def _come_up(self, cause: str) -> None:
        if self.life.dark:
            return
        self.life.power(True, cause)
        self.record(EventKind.UP_AGAIN, ITSELF, cause=cause)

    # ------------------------------------------------------- consequences

    def has_habit(self, kind: FaultKind) -> bool:
        """Whether the station does this wrong now."""
        return bool(self.faults.take((kind,)))

    def confirm_seconds(self, asked: int) -> float:
        """How long a confirmed commit waits for its confirmation: as long as asked, or less."""
        early = self.faults.take((FaultKind.REVERT_EARLY,))
        return min((asked, *(fault.seconds for fault in early)))

    def check_writes(self, origin: Origin, before: Config, after: Config) -> None:
        """Refuse a change that the user may not make, or that the radio can't make now.

        Raises:
            RpcError: access-denied or in-use.
        """
        if self.profile.strict:
            self.life.check(before, after)
        access = self.profile.access.get(origin.user)
        if access is not None:
            access.check_writes(before.changes(after, deep=True))

    def confirmation(self, event: Confirmation, origin: Origin, timeout: int | None) -> None:
        """Something happened to a confirmed commit."""
        if self._listened:
            self.notify(changes.confirmed_commit(event, origin, timeout))

    def storm(self) -> None:
        """Send a thousand notifications at once."""
        alarm = Alarm(STORM_FAULT_ID, "battery", (), "WARNING", "battery charge unknown", self.clock.now())
        content = alarm.notification_element(self.clock.now(), is_cleared=False)
        for _ in range(STORM):
            self.notify(content)

    def running_changed(self, change: RunningChange) -> None:
        """Take on a running configuration, and tell whoever wants to know."""
        cured = self.life.follow(change)
        if change.before == change.after and not cured:
            return
        self.revision += 1
        self._revisions.append((self.revision, change.after))
        self.record(
            EventKind.RUNNING_CHANGED,
            change.origin,
            cause=change.cause.value,
            revision=self.revision,
            edits=len(change.edits),
            operations=dict(_operations(change.edits)),
        )
        self.links_healed(cured)
        if self._listened:
            self.notify(changes.config_change(change))

    def links_healed(self, names: tuple[str, ...]) -> None:
        """Broken links were cured."""
        if names:
            self.record(EventKind.LINK_CURED, ITSELF, links=list(names))

    def alarm_changed(self, alarm: Alarm, raised: bool) -> None:
        """An alarm was raised or cleared: tell whoever wants to know."""
        kind = EventKind.ALARM_RAISED if raised else EventKind.ALARM_CLEARED
        self.record(kind, ITSELF, source=alarm.source, text=alarm.text)
        if self._listened:
            self.notify(alarm.notification_element(self.clock.now(), is_cleared=not raised))
        for observer in self.observers:
            observer.alarmed(self.id, alarm, raised, self.clock.now())

    @property
    def _listened(self) -> bool:
        """Whether a notification would be sent or kept."""
        return self.replay is not None or any(session.subscription for session in self.sessions.values())

    def notify(self, content: etree._Element) -> None:
        """Send a notification to all subscribers, and keep it for replay."""
        notified = Notified(self.clock.now(), content)
        if self.replay is not None:
            self.replay.add(notified)
        for session in list(self.sessions.values()):
            session.notify(notified)


def _factory(schema: Schema, station: str) -> Config:
    """What a station comes with: its own name, an empty list of alarms, and nothing else."""
    element = elements.root(_ME_NS, "ManagedElement")
    elements.leaf(element, "id", station)
    attributes = elements.node(element, "attributes")
    elements.leaf(attributes, "userLabel", station)
    elements.leaf(attributes, "priorityLabel", "1")
    listing = elements.node(element, "AlarmList")
    elements.leaf(listing, "id", ALARM_LIST)
    elements.node(listing, "attributes")
    return Config.from_xml(schema, element)


def _operations(edits: Iterable[etree._Element]) -> Counter[str]:
    """How often each operation is named in edits."""
    return Counter(
        str(operation) for edit in edits for element in edit.iter() if (operation := element.get(f"{_BASE}operation"))
    )
