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

#: Earlier running configurations that a station can be put back to.
REMEMBERED = 50


@dataclass(frozen=True, slots=True)
class StationSettings:
    """How a station speaks NETCONF, and how slow it is.

    Attributes:
        profile: Its capabilities and habits.
        settle_seconds: Until a cell is on air after it was unlocked, or a core link up after its creation.
        boot_seconds: Until a station takes sessions again after a restart, and its cells begin to settle.
        remembers: Changes of what cells and links do that it remembers: its counters go back so far.
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
    """A station; everything in it happens at once and in order, only its sessions wait.

    Attributes:
        boot_seconds: Seconds that a restart takes.
        present: Whether there is such a station; one that is made of functions is there while their pods are.
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
        """The station at a glance."""
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
        """Take on a running configuration; return whether anything has changed."""
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
        """Send a notification to whoever subscribed; it is made only if somebody has."""
        self.server.notify(make)

    @property
    def saved(self) -> Config:
        """The configuration that a power cut leaves."""
        return self.datastores.saved

    def saved_text(self) -> str:
        """The same as XML."""
        return f'<config xmlns="{NETCONF_NS}">{self.saved.to_text()}</config>'

    def load_saved(self, text: str) -> None:
        """Start with what an earlier run left. Raises ValueError: it does not fit this station."""
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
        """Stop: sessions are gone, and no connection is taken."""
        self.equipment.power_off()
        self.server.drop_sessions()

    def _start(self, cause: str) -> None:
        if self.present and not self.equipment.faults.dark:
            self.equipment.power_on(cause)
            self.history.record(EventKind.UP_AGAIN, cause=cause)

    def terminate(self) -> None:
        """The pod of its function is gone, and all that was in it. Its radio units stay, and serve nobody."""
        self.present = False
        self.lose_power()
        self.history.record(EventKind.TERMINATED)

    def instantiate(self, version: str) -> None:
        """A pod of its function is ready: it comes from the factory, with the software of the pod's image."""
        self.present = True
        self.datastores.reset(self._factory(self.server.profile))
        self.equipment.begin_anew(version)
        self.history.record(EventKind.INSTANTIATED, version=version)
        self._start(POWER_ON)

    def _factory(self, profile: Profile) -> Config:
        """What it comes with: its own name and the AlarmList of its profile, and nothing else."""
        element = elements.root(ME_NS, "ManagedElement")
        elements.leaf(element, "id", self.id)
        attributes = elements.node(element, "attributes")
        elements.leaf(attributes, "userLabel", self.id)
        elements.leaf(attributes, "priorityLabel", "1")
        return with_alarm_list(Config.from_xml(self.schema, element), self.id, profile.alarms)

    def change_profile(self, profile: Profile) -> None:
        """Restart with other software: its sessions are gone, its configuration stays, but for the AlarmList."""
        self.server.change_profile(profile)
        fitting = with_alarm_list(self.running, self.id, profile.alarms)
        if fitting != self.running:
            self.datastores.load_saved(fitting)
        self.restart()
