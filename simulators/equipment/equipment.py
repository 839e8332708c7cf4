"""The equipment of one station: radio, alarms, network faults, software, supervision, performance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Protocol

from simulators.clock import Clock
from simulators.datastore import Config, Path, RpcError, State
from simulators.elements import Make
from simulators.equipment.alarms import Alarm, AlarmList, Alarms, Detector
from simulators.equipment.configuration import ConfiguredCell, ConfiguredLink, cells_of
from simulators.equipment.fault_kinds import Place, Remedy, Service, Stage
from simulators.equipment.faults import NetworkFault, NetworkFaults, UnknownFaultError, fault_kind
from simulators.equipment.file_faults import FileFaults
from simulators.equipment.files import FileHabits, MeasurementFiles
from simulators.equipment.managed_element import (
    alarm_list_of,
    managed_element_state,
    with_locked_alarm_list,
    without_records,
)
from simulators.equipment.performance import KEPT, Performance
from simulators.equipment.radio import CentralUnitLink, Radio
from simulators.equipment.software import Software
from simulators.equipment.supervision import Supervised, Supervision
from simulators.history import EventKind, History
from simulators.network import StationRecord, Surroundings

#: Mean seconds that a user stays in a cell that is shutting down, and the longest wait for the last one.
STAY, MAX_STAY = 30.0, 600.0
#: Seconds between the reply to a reset and the restart.
RESET_DELAY = 1.0
#: Kinds of restart by o-ran-operations.
POWER_ON, ASKED_FOR = "POWER-ON", "MPLANE-TRIGGERED-RESTART"

#: Called with the station when the state of its cells and links may have changed.
Follower = Callable[[str], None]
#: Called with each alarm that was raised (true) or cleared, with its station and the time.
AlarmListener = Callable[[str, Alarm, bool, datetime], None]


class Management(Protocol):
    """What equipment needs of the station's management: its configuration, and notifications."""

    @property
    def running(self) -> Config:
        """The running configuration."""

    def overwrite(self, config: Config) -> None:
        """Change running as the station itself does."""

    def notify(self, make: Make) -> None:
        """Send a notification, made only if somebody listens."""

    def lose_power(self) -> None:
        """End all sessions, and stop the equipment."""

    def restart(self, cause: str) -> None:
        """End all sessions, and start again."""

    def revert(self, revision: int) -> None:
        """Restore an earlier running configuration."""

    @property
    def revision(self) -> int:
        """How often running has changed."""


class Equipment:
    """The equipment of one station, beside its management.

    Attributes:
        down: Whether it has no power, or is starting.
        unit_restarts: Start times of radio units that restarted after their station.
        listeners: Called with each alarm that is raised or cleared.
        followers: Called when the state of cells and links may have changed.
        central: Its central unit, if it is a DU whose central unit is another endpoint.
    """

    __slots__ = (
        *("_carries", "_clock", "_history", "_management", "_record", "_state", "_state_key", "alarms", "down"),
        *("_file_faults", "_seed"),
        *(
            "central",
            "faults",
            "followers",
            "listeners",
            "performance",
            "radio",
            "restart_cause",
            "restarted",
            "software",
            "supervision",
        ),
        "unit_restarts",
    )

    def __init__(
        self,
        record: StationRecord,
        around: Surroundings,
        clock: Clock,
        settle_seconds: float,
        history: History,
        management: Management,
        remembers: int = KEPT,
    ) -> None:
        self._record = record
        self._carries = None if around.transport is None else around.transport.carries
        self._clock = clock
        self._history = history
        self._management = management
        self._seed = around.seed
        self._file_faults: FileFaults | None = None
        self._state: State | None = None
        self._state_key: tuple[object, ...] = ()
        self.listeners: tuple[AlarmListener, ...] = ()
        self.followers: tuple[Follower, ...] = ()
        self.central: CentralUnitLink | None = None
        self.down = False
        self.restart_cause = POWER_ON
        self.restarted: datetime = clock.now()
        self.unit_restarts: dict[str, datetime] = {}
        self.alarms = Alarms()
        self.faults = NetworkFaults(f"{around.seed}/{record.id}", clock, self._fault_changed)
        self.software = Software(clock, self.faults, history, management.notify)
        self.supervision = Supervision(clock, management.notify, self._supervision_changed)
        self.radio = Radio(record, around.cores, clock, settle_seconds, self)
        self.performance = Performance(record, around, clock, self.radio, remembers)

    # ------------------------------------------------------- what the radio needs

    def service_of(self, cell: ConfiguredCell) -> Service:
        """A cell's service under its faults and supervision."""
        if self.supervision.state is Supervised.LOST:
            return Service.OFF
        if self.central is not None and cell.cell_class == "NRCellDU" and not self.central.serves(cell):
            return Service.OFF
        return self.faults.service_of(cell.cell_class, cell.id, cell.unit)

    def usage_of(self, cell: ConfiguredCell) -> str:
        """IDLE, ACTIVE or BUSY after the traffic of the present period."""
        return self.performance.usage(cell)

    def carries(self, link: ConfiguredLink) -> float:
        """The part of the addresses at the far end of a link that packets reach, from 0 to 1."""
        if self._carries is None or not link.far:
            return 1.0
        return sum(self._carries(self._record, link.tenant, address) for address in link.far) / len(link.far)

    def reaches_stations(self) -> bool:
        """Whether packets reach other stations: X2 is no tenant's, and takes the same way."""
        return self._carries is None or self._carries(self._record, "", "")

    def radio_changed(self) -> None:
        """Record the present state, and tell followers."""
        self._state = None
        above = None if self.central is None else self.central.configuration()
        self.performance.note(self._management.running, self.software.version, above)
        for follower in self.followers:
            follower(self._record.id)

    def alarm_changed(self, alarm: Alarm, raised: bool) -> None:
        """Raise or clear an alarm, and tell listeners."""
        now = self._clock.now()
        if raised:
            self.alarms.raise_(alarm)
        else:
            self.alarms.clear(alarm, now)
            if self.alarms.listed:
                self._clock.call_later(0.0, self._tidy_alarm_list)
        self._state = None
        kind = EventKind.ALARM_RAISED if raised else EventKind.ALARM_CLEARED
        self._history.record(kind, source=alarm.source, text=alarm.text)
        if self.alarms.sources.notifies(alarm):
            self._management.notify(lambda: alarm.notification_element(now, is_cleared=not raised))
        for listener in self.listeners:
            listener(self._record.id, alarm, raised, now)

    # --------------------------------------------------------------- configuration

    def follow(self, config: Config, stages: Iterable[Config]) -> tuple[str, ...]:
        """Apply a new running configuration; return the names of broken links that it cured.

        Args:
            config: The configuration.
            stages: The candidates on the way to it.
        """
        followed = self.radio.follow(config, stages)
        self._state = None
        self._follow_alarm_list(config)
        for cell in followed.unlocked:
            self.faults.attempt(Remedy.LOCK_UNLOCK, [cell.id, cell.unit])
        for fault in [fault for fault in self.faults if fault.links]:
            if not self.radio.links_broken.intersection(fault.links):
                self.faults.end(fault, Remedy.RECREATE_LINK)
        for cell in followed.closing:
            seconds = min(STAY * math.log1p(self.performance.users(cell)), MAX_STAY)
            self._clock.call_later(seconds, lambda path=cell.path: self._lock(path))  # type: ignore[misc]
        return followed.cured

    def _lock(self, path: Path) -> None:
        """Lock a cell that was shutting down, since its last user has left."""
        running = self._management.running
        cell = next((cell for cell in cells_of(running) if cell.path == path), None)
        if cell is not None and cell.administrative == "SHUTTINGDOWN":
            self._history.record(EventKind.SHUT_DOWN, cell=cell.name)
            self._management.overwrite(running.with_leaf(path, "administrativeState", "LOCKED"))

    def _follow_alarm_list(self, config: Config) -> None:
        """Apply what managers write into the alarm list; remove cleared and acknowledged records (TS 28.623)."""
        unlocked, written = alarm_list_of(config, self._record.id)
        locks_itself = unlocked and self.alarms.sources.alarm_list is AlarmList.LOCKED
        now = self._clock.now()
        self.alarms.list_records(unlocked and not locks_itself, now)
        self.alarms.acknowledge(written, now)
        if written or locks_itself:
            self._clock.call_later(0.0, self._tidy_alarm_list)

    def _tidy_alarm_list(self) -> None:
        """Remove records that are cleared and acknowledged, with what managers wrote into them."""
        running, station = self._management.running, self._record.id
        unlocked, written = alarm_list_of(running, station)
        self.alarms.remove_done(self._clock.now())
        self._state = None
        tidied = without_records(running, station, written.keys() - {record.id for record in self.alarms.records})
        if unlocked and self.alarms.sources.alarm_list is AlarmList.LOCKED:
            tidied = with_locked_alarm_list(tidied, station)
        if tidied is not running:
            self._management.overwrite(tidied)

    def _rebuild_alarm_list(self) -> None:
        """Rebuild the alarm list, without what managers wrote into the old records."""
        running, station = self._management.running, self._record.id
        _, written = alarm_list_of(running, station)
        if written:
            self._management.overwrite(without_records(running, station, written))
        self.alarms.rebuild_records(self._clock.now())

    # ------------------------------------------------------------------------ files

    @property
    def file_faults(self) -> FileFaults:
        """Faults of its measurement files."""
        if self._file_faults is None:
            self._file_faults = FileFaults(f"{self._seed}/{self._record.id}", self._clock)
        return self._file_faults

    def files(self, habits: FileHabits) -> MeasurementFiles:
        """Its measurement files, as a vendor's stations write them."""
        return MeasurementFiles(self._record.id, self._clock, self.performance, habits, self.file_faults)

    # -------------------------------------------------------------- network faults

    def begin_fault(self, name: str, target: str = "", seed: str | None = None) -> NetworkFault:
        """Begin a network fault.

        Raises:
            UnknownFaultError: there is no such fault, or no such cell, unit or tenant here.
        """
        kind = fault_kind(name)
        if kind.place is not Place.STATION:
            target = self._target(kind.place, target)
        elif target:
            raise UnknownFaultError(f"{name} strikes the station, not {target}")
        return self.faults.begin(name, target, seed, self._record.reserves.get(name))

    def _target(self, place: Place, target: str) -> str:
        """The cell, unit or tenant named, the first one if none is."""
        cells = [status.configured for status in self.radio.cells]
        if place is Place.CELL:
            names = [cell.id for cell in cells]
        elif place is Place.UNIT:
            names = sorted({cell.unit for cell in cells})
        else:
            names = sorted({name for name in self.radio.tenants_linked if name})
        if not names or (target and target not in names):
            raise UnknownFaultError(f"{self._record.id} has no {place.value} {target}".rstrip())
        return target or names[0]

    def _fault_changed(self, fault: NetworkFault, before: Stage | None, now: Stage | None) -> None:
        kind = EventKind.NETWORK_FAULT if now is not None else EventKind.NETWORK_FAULT_ENDED
        self._history.record(kind, id=fault.id, fault=fault.kind.name, target=fault.target)
        self._change_alarm(fault, before, now)
        if before is None:
            self._begin_effect(fault)
        elif now is None:
            self._end_effect(fault)
        dark = self.faults.dark
        if dark and (before is None or not before.dark):
            self._management.lose_power()
        elif not dark and before is not None and before.dark:
            self._management.restart(POWER_ON)
        self.radio.refresh()

    def _change_alarm(self, fault: NetworkFault, before: Stage | None, now: Stage | None) -> None:
        """Clear the alarm of the stage that ended, and raise that of the one that began."""
        old = None if before is None else before.alarm
        new = None if now is None else now.alarm
        if old is not None and (new is None or new.fault_id != old.fault_id):
            for alarm in [a for a in self.alarms.active if a.key == (old.fault_id, old.source or fault.target)]:
                self.alarm_changed(alarm, False)
        if new is not None and new != old:
            names = tuple(
                cell.configured.distinguished_name
                for cell in self.radio.cells
                if fault.kind.place is Place.STATION or fault.target in (cell.configured.id, cell.configured.unit)
            )
            element, of_unit = f"ManagedElement={self._record.id}", fault.kind.place is Place.UNIT
            alarm = Alarm.of(
                *(new, new.source or fault.target, names or (element,), self._clock.now()),
                object=f"{element},RadioUnit={fault.target}" if of_unit else element,
                teller=Detector.RADIO_UNIT if of_unit else Detector.BASE_STATION,
            )
            self.alarm_changed(alarm, True)

    def _begin_effect(self, fault: NetworkFault) -> None:
        name = fault.kind.name
        if name == "core-link-down":
            fault.links = self.break_link(fault.target, curable=Remedy.RECREATE_LINK in fault.helps)
        elif name == "core-links-down":
            self.radio.connected = False
        elif name == "wrong-software":
            self.software.leave_wrong_build()
        elif name == "configuration-reverted":
            self._management.revert(max(self._management.revision - 1, 0))

    def _end_effect(self, fault: NetworkFault) -> None:
        name = fault.kind.name
        if name == "core-link-down":
            self._record_cure(self.radio.cure(fault.links))
        elif name == "core-links-down":
            self.radio.connected = not self.faults.has(name)
        elif name == "wrong-software":
            self.software.restore_build()

    def break_link(self, wanted: str, *, curable: bool = True) -> tuple[str, ...]:
        """Break core links by tenant or end point id; return their names.

        Args:
            wanted: The tenant, or the id of an end point.
            curable: Whether deleting the end point and creating it again helps.

        Raises:
            UnknownLinkError: no configured link fits.
        """
        names = self.radio.break_link(wanted, curable=curable)
        self._history.record(EventKind.LINK_BROKEN, links=list(names))
        return names

    def restore_link(self, wanted: str) -> tuple[str, ...]:
        """Clear the fault of core links; return the names of those that were broken.

        Raises:
            UnknownLinkError: no configured link fits.
        """
        names = self.radio.restore_link(wanted)
        self._record_cure(names)
        return names

    def _record_cure(self, names: tuple[str, ...]) -> None:
        if names:
            self._history.record(EventKind.LINK_CURED, links=list(names))

    # ------------------------------------------------------------- start and stop

    def power_off(self) -> None:
        """Stop."""
        self.down = True
        self.radio.power(False)
        self.supervision.stop()
        self.software.stopped()

    def power_on(self, cause: str = POWER_ON) -> None:
        """Start, for a cause in the words of o-ran-operations."""
        self.down = False
        self.restart_cause, self.restarted = cause, self._clock.now()
        self.unit_restarts.clear()
        new_build = self.software.started()
        if self.alarms.sources.alarm_list is AlarmList.REBUILT:
            self._rebuild_alarm_list()
        self.radio.power(True)
        self.faults.attempt(Remedy.RESTART, asked=cause == ASKED_FOR)
        if new_build:
            self.faults.attempt(Remedy.ACTIVATE_SOFTWARE)

    def begin_anew(self, version: str) -> None:
        """Run new software of this version, without the alarms and slots of the software before."""
        self.alarms.rebuild_records(self._clock.now())
        self.software.begin_anew(version)
        self._state = None

    # ------------------------------------------------------------------ operations

    def reset_later(self) -> None:
        """Restart after the reply went out (o-ran-operations reset)."""
        self._clock.call_later(RESET_DELAY, lambda: self._management.restart(ASKED_FOR))

    def reset_unit(self, name: str) -> None:
        """Restart a radio unit.

        Raises:
            RpcError: there is no such unit.
        """
        cells = [status.configured for status in self.radio.cells if status.configured.unit == name]
        if not cells:
            raise RpcError("invalid-value", f"no unit {name!r:.40}", info={"bad-element": "name"})
        self._history.record(EventKind.REMEDY, remedy=Remedy.RESET_UNIT.value, target=name)
        self.unit_restarts[name] = self._clock.now()
        self.radio.reset(cells)
        self.faults.attempt(Remedy.RESET_UNIT, [name, *(cell.id for cell in cells)])

    def reload_licence(self) -> None:
        """Install the licence again."""
        self._history.record(EventKind.REMEDY, remedy=Remedy.RELOAD_LICENCE.value, target="")
        self.faults.attempt(Remedy.RELOAD_LICENCE)

    def _supervision_changed(self, lost: bool) -> None:
        if lost:
            self._history.record(EventKind.SUPERVISION_LOST)
        self.radio.refresh()

    # ----------------------------------------------------------------------- state

    def state(self) -> State:
        """State below the configuration."""
        running = self._management.running
        key = self.performance.period_begin(), self.software.slots, running
        if self._state is None or key != self._state_key:
            self.radio.forget_state()
            own = managed_element_state(running, self._record.id, self.alarms, self.software.version)
            self._state = self.radio.state().merged(own)
            self._state_key = key
        return self._state

    def summary(self) -> dict[str, Any]:
        """A summary of cells, links and faults."""
        alarms = len(tuple(self.alarms.active))
        return {"up": not self.down, **self.radio.summary(), "alarms": alarms, "network_faults": len(self.faults)}
