"""One simulated base station: its equipment, its NETCONF server, and its history."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from simulators import elements
from simulators.clock import Clock
from simulators.datastore import PROFILE_MODULES, Config, Schema, load_schema
from simulators.datastore.errors import NETCONF_NS, RpcError, RpcErrors
from simulators.elements import Make
from simulators.equipment.equipment import POWER_ON, Equipment
from simulators.equipment.managed_element import ME_NS, with_alarm_list
from simulators.equipment.performance import KEPT
from simulators.history import ITSELF, NO_SESSION, EventKind, History, Origin
from simulators.netconf.datastores import Cause, RunningChange, named_operations
from simulators.netconf.profiles import STANDARD, Profile
from simulators.netconf.server import Server
from simulators.network import Core, StationRecord, Surroundings

#: Number of earlier running configurations that a station can restore.
REMEMBERED = 50


@dataclass(frozen=True, slots=True)
class StationSettings:
    """Settings of a station: its NETCONF profile and its delays.

    Attributes:
        profile: Its capabilities and habits.
        settle_seconds: Seconds until an unlocked cell is on air, or a created core link is up.
        boot_seconds: Seconds until a station accepts sessions after a restart, and its cells begin to settle.
        remembers: Number of state changes of cells and links that it remembers: its counters go back so far.
        delays: Seconds that an operation takes, by name (``edit-config``, ``commit``, ``get`` …); a commit or cancel
            for a token under which nothing waits is refused before any work.
    """

    profile: Profile = STANDARD
    settle_seconds: float = 1.0
    boot_seconds: float = 0.0
    remembers: int = KEPT
    delays: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


class UnknownRevisionError(Exception):
    """The station does not remember such a revision of its running configuration."""


class Station:
    """A station; its operations take effect at once and in order, and only sessions wait.

    Attributes:
        boot_seconds: Seconds that a restart takes.
        present: Whether the station exists; a virtual station exists while pods of its function are ready.
        revision: How often its running configuration has changed.
        faults: Faults injected into its NETCONF server; those of its equipment are ``equipment.faults``.
    """

    def __init__(
        self,
        record: StationRecord,
        cores: tuple[Core, ...],
        clock: Clock,
        settings: StationSettings,
        around: Surroundings | None = None,
    ) -> None:
        self.id = record.id
        self.clock = clock
        self.schema: Schema = load_schema(name for profile in record.profiles for name in PROFILE_MODULES[profile])
        around = around or Surroundings(cores)
        self.history = History(record.id, clock)
        self.revision = 0
        self.present = True
        self.boot_seconds = settings.boot_seconds
        factory = self._factory(settings.profile)
        self._revisions: deque[tuple[int, Config]] = deque([(0, factory)], maxlen=REMEMBERED)
        self.equipment = Equipment(
            record, around, clock, settings.settle_seconds, self.history, self, settings.remembers
        )
        self.server = Server(self, factory, settings.profile, settings.delays, around.seed)
        self.datastores = self.server.datastores
        self.faults = self.server.faults
        self.equipment.radio.follow(factory)

    def summary(self) -> dict[str, Any]:
        """A summary of the station."""
        return {
            "station": self.id,
            "revision": self.revision,
            "sessions": len(self.server.sessions),
            "awaiting_confirmation": self.datastores.awaiting_confirmation,
            "faults": len(self.faults),
            **self.equipment.summary(),
            "counts": {kind.value: count for kind, count in sorted(self.history.counts.items())},
        }

    # ----------------------------------------------------------- configuration

    @property
    def running(self) -> Config:
        """The running configuration."""
        return self.datastores.running

    def running_changed(self, change: RunningChange) -> bool:
        """Apply a running configuration; return whether anything has changed."""
        cured = self.equipment.follow(change.after, change.stages)
        if change.before == change.after and not cured:
            return False
        self.revision += 1
        self._revisions.append((self.revision, change.after))
        self.history.record(
            EventKind.RUNNING_CHANGED,
            change.origin,
            cause=change.cause.value,
            revision=self.revision,
            edits=len(change.edits),
            operations=dict(named_operations(change.edits)),
        )
        if cured:
            self.history.record(EventKind.LINK_CURED, links=list(cured))
        return True

    def overwrite(self, config: Config) -> None:
        """Change running as the station itself does."""
        self.datastores.overwrite(config, ITSELF, Cause.STATION)

    def revert(self, revision: int, user: str = "technician") -> None:
        """Restore an earlier running configuration, without a session.

        Raises:
            UnknownRevisionError: it is not among those remembered.
        """
        for known, config in self._revisions:
            if known == revision:
                self.datastores.overwrite(config, Origin(NO_SESSION, user))
                return
        raise UnknownRevisionError(f"{self.id} does not remember revision {revision}")

    def notify(self, make: Make) -> None:
        """Send a notification to all subscribers; it is made only if there are any."""
        self.server.notify(make)

    @property
    def saved(self) -> Config:
        """The configuration after a power cut."""
        return self.datastores.saved

    def saved_text(self) -> str:
        """That configuration as XML."""
        return f'<config xmlns="{NETCONF_NS}">{self.saved.to_text()}</config>'

    def load_saved(self, text: str) -> None:
        """Start with the configuration of an earlier run. Raises ValueError if it does not fit this station."""
        try:
            config = with_alarm_list(Config.from_xml(self.schema, text.encode()), self.id, self.server.profile.alarms)
            config.validate()
        except (RpcError, RpcErrors) as error:
            raise ValueError(str(error)) from error
        self.datastores.load_saved(config)

    # ------------------------------------------------------------ start and stop

    def restart(self, cause: str = POWER_ON) -> None:
        """Start again: sessions, locks and unconfirmed commits are gone, cells come on air again after the boot."""
        self.lose_power()
        self.datastores.restart()
        self.history.record(EventKind.RESTARTED, cause=cause)
        if self.boot_seconds:
            self.clock.call_later(self.boot_seconds, lambda: self._start(cause))
        else:
            self._start(cause)

    def lose_power(self) -> None:
        """Stop: end all sessions, and accept no connections."""
        self.equipment.power_off()
        self.server.drop_sessions()

    def _start(self, cause: str) -> None:
        if self.present and not self.equipment.faults.dark:
            self.equipment.power_on(cause)
            self.history.record(EventKind.UP_AGAIN, cause=cause)

    def terminate(self) -> None:
        """Remove the pod of its function, with all its state. The radio units stay, but serve nobody."""
        self.present = False
        self.lose_power()
        self.history.record(EventKind.TERMINATED)

    def instantiate(self, version: str) -> None:
        """Start with a ready pod of its function: factory configuration, and the software of the pod's image."""
        self.present = True
        self.datastores.reset(self._factory(self.server.profile))
        self.equipment.begin_anew(version)
        self.history.record(EventKind.INSTANTIATED, version=version)
        self._start(POWER_ON)

    def _factory(self, profile: Profile) -> Config:
        """The factory configuration: only its name and the AlarmList of its profile."""
        element = elements.root(ME_NS, "ManagedElement")
        elements.leaf(element, "id", self.id)
        attributes = elements.node(element, "attributes")
        elements.leaf(attributes, "userLabel", self.id)
        elements.leaf(attributes, "priorityLabel", "1")
        return with_alarm_list(Config.from_xml(self.schema, element), self.id, profile.alarms)

    def change_profile(self, profile: Profile) -> None:
        """Restart with other software: sessions end, and the configuration stays, except for the AlarmList."""
        self.server.change_profile(profile)
        fitting = with_alarm_list(self.running, self.id, profile.alarms)
        if fitting != self.running:
            self.datastores.load_saved(fitting)
        self.restart()
