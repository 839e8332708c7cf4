"""The living half of a station: radio, alarms, troubles, software, supervision, traffic."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lxml import etree

from simulators.clock import Clock
from simulators.datastore import Config, Path, RpcError, State
from simulators.equipment.alarms import Alarm, AlarmBook
from simulators.equipment.configuration import CellSurvey, LinkSurvey, cells_of
from simulators.equipment.edits import leaf_edit
from simulators.equipment.fault_kinds import Place, Remedy, Service, Stage
from simulators.equipment.faults import Trouble, Troubles, UnknownFaultError, fault_named
from simulators.equipment.managed_element import alarm_list_of, lists_state, without_records
from simulators.equipment.performance import Observation
from simulators.equipment.radio import Radio, RadioSite
from simulators.equipment.software import FACTORY_SLOTS, Slot, Software
from simulators.equipment.supervision import Supervision
from simulators.history import EventKind
from simulators.netconf.datastores import ITSELF, Cause, RunningChange
from simulators.network import StationRecord, Surroundings

if TYPE_CHECKING:
    from simulators.station import Station

#: Mean seconds that a user stays in a cell that is shutting down, and after which nobody is waited for.
STAY, PATIENCE = 30.0, 600.0
#: Seconds between the reply to a reset and the restart.
RESET_DELAY = 1.0
#: Kinds of restart, in the words of o-ran-operations.
POWER_ON, ASKED_FOR = "POWER-ON", "MPLANE-TRIGGERED-RESTART"


class Life(RadioSite):
    """What goes on in one station. Parts that nothing happened to don't exist yet."""

    __slots__ = (
        *("_ground", "_record", "_seed", "_software", "_state", "_state_key", "_station", "_supervision", "_troubles"),
        *("book", "clock", "down", "observation", "radio", "restart_cause", "restarted", "unit_restarts"),
    )

    def __init__(self, station: Station, record: StationRecord, around: Surroundings, settle_seconds: float) -> None:
        self._station = station
        self._record = record
        self._ground = around.ground
        self._seed = f"{around.seed}/{record.id}"
        self.clock: Clock = station.clock
        self._software: Software | None = None
        self._supervision: Supervision | None = None
        self._troubles: Troubles | None = None
        self._state: State | None = None
        self._state_key: tuple[object, ...] = ()
        self.book = AlarmBook()
        self.down = False
        self.restart_cause = POWER_ON
        self.restarted: datetime = self.clock.now()
        #: When radio units started that did so after their station.
        self.unit_restarts: dict[str, datetime] = {}
        self.radio = Radio(record, around.cores, self.clock, settle_seconds, self)
        self.observation = Observation(record, around, self.clock, self.radio)

    # ----------------------------------------------- what the radio asks and tells

    def service_of(self, cell: CellSurvey) -> Service:
        """What faults and supervision leave of a cell's service."""
        if self._supervision is not None and self._supervision.lost:
            return Service.OFF
        if self._troubles is None:
            return Service.FULL
        return self._troubles.service_of(cell.cell_class, cell.id, cell.unit)

    def usage_of(self, cell: CellSurvey) -> str:
        """IDLE, ACTIVE or BUSY after the traffic of the present period."""
        return self.observation.usage(cell)

    def carries(self, link: LinkSurvey) -> bool:
        """Whether the ground carries packets to the far end of a link."""
        return self._ground is None or self._ground.carries(self._record, link.tenant, link.remote)

    def alarm_changed(self, alarm: Alarm, raised: bool) -> None:
        """Write an alarm down and tell whoever listens."""
        now = self.clock.now()
        if raised:
            self.book.raise_(alarm)
        else:
            self.book.clear(alarm, now)
            if self.book.listed:
                self.clock.call_later(0.0, self._tidy_records)
        self._state = None
        self._station.alarm_changed(alarm, raised)

    def radio_changed(self) -> None:
        """Note what holds from now on."""
        self._state = None
        self.observation.note(self._station.datastores.running)

    # ----------------------------------------------------------- configuration

    def check(self, before: Config, after: Config) -> None:
        """Refuse a change of carrier or tracking area of a cell that stays unlocked (strict stations).

        Raises:
            RpcError: in-use, for the first such cell.
        """
        now = {cell.path: cell for cell in cells_of(before)}
        for cell in cells_of(after):
            known = now.get(cell.path)
            changed = known is not None and (known.carrier, known.tac) != (cell.carrier, cell.tac)
            if known is not None and changed and known.unlocked and cell.unlocked:
                message = f"{cell.name} is unlocked: lock it before its carrier or tracking area is changed"
                raise RpcError("in-use", message)

    def follow(self, change: RunningChange) -> tuple[str, ...]:
        """Take on a new running configuration; return the names of broken links that it cured."""
        followed = self.radio.follow(change.after, change.stages)
        self._state = None
        self._follow_lists(change.after)
        if self._troubles is not None:
            for cell in followed.unlocked:
                self._troubles.attempt(Remedy.LOCK_UNLOCK, [cell.id, cell.unit])
            for trouble in [trouble for trouble in self._troubles if trouble.links]:
                if not self.radio.links_broken.intersection(trouble.links):
                    self._troubles.end(trouble)
        for cell in followed.closing:
            self._drain(cell)
        return followed.cured

    def _drain(self, cell: CellSurvey) -> None:
        """Lock a cell that is shutting down when its last user left, or after a time."""
        seconds = min(STAY * math.log1p(self.observation.users(cell)), PATIENCE)
        self.clock.call_later(seconds, lambda: self._shut(cell.path))

    def _shut(self, path: Path) -> None:
        running = self._station.datastores.running
        cell = next((cell for cell in cells_of(running) if cell.path == path), None)
        if cell is None or cell.administrative != "SHUTTINGDOWN":
            return
        self._station.record(EventKind.SHUT_DOWN, ITSELF, cell=cell.name)
        self._overwrite(running.edit(leaf_edit(running, path, "administrativeState", "LOCKED")))

    def _overwrite(self, config: Config) -> None:
        self._station.datastores.overwrite(config, ITSELF, Cause.STATION)

    def _follow_lists(self, config: Config) -> None:
        """Obey what managers say about the alarm list; records cleared and acknowledged go (TS 28.532)."""
        listed, written = alarm_list_of(config, self._station.id)
        self.book.list_(listed, self.clock.now())
        if written:
            self.clock.call_later(0.0, self._tidy_records)

    def _tidy_records(self) -> None:
        """Remove records that are cleared and acknowledged, with what managers wrote into them."""
        running = self._station.datastores.running
        _, written = alarm_list_of(running, self._station.id)
        self.book.forget(frozenset(name for name, state in written.items() if state == "ACKNOWLEDGED"))
        self._state = None
        tidied = without_records(
            running, self._station.id, written.keys() - {record.id for record in self.book.records}
        )
        if tidied is not running:
            self._overwrite(tidied)

    # ---------------------------------------------------------------- troubles

    @property
    def troubles(self) -> Troubles:
        """The network faults of the station."""
        if self._troubles is None:
            self._troubles = Troubles(self._seed, self.clock, self._trouble_changed)
        return self._troubles

    @property
    def open_troubles(self) -> Iterable[Trouble]:
        """The network faults that the station has now."""
        return () if self._troubles is None else self._troubles

    @property
    def dark(self) -> bool:
        """Whether there is no power to start with."""
        return self._troubles is not None and self._troubles.dark

    def begin_fault(self, name: str, target: str = "", seed: str | None = None) -> Trouble:
        """Let a network fault begin.

        Raises:
            UnknownFaultError: there is no such fault, or no such cell, unit or tenant here.
        """
        found = fault_named(name)
        if found.place is not Place.STATION:
            target = self._target(found.place, target)
        elif target:
            raise UnknownFaultError(f"{name} strikes the station, not {target}")
        return self.troubles.begin(name, target, seed)

    def _target(self, place: Place, target: str) -> str:
        """The cell, unit or tenant named, the first one if none is."""
        cells = [status.survey for status in self.radio.cells]
        if place is Place.CELL:
            names = [cell.id for cell in cells]
        elif place is Place.UNIT:
            names = sorted({cell.unit for cell in cells})
        else:
            names = sorted({name for name in self.radio.tenants_linked if name})
        if not names or (target and target not in names):
            raise UnknownFaultError(f"{self._station.id} has no {place.value} {target}".rstrip())
        return target or names[0]

    def _trouble_changed(self, trouble: Trouble, before: Stage | None, now: Stage | None) -> None:
        kind = EventKind.NETWORK_FAULT if now is not None else EventKind.NETWORK_FAULT_ENDED
        self._station.record(kind, ITSELF, id=trouble.id, fault=trouble.fault.name, target=trouble.target)
        self._alarm_of_stage(trouble, before, now)
        if before is None:
            self._begin(trouble)
        elif now is None:
            self._end(trouble)
        dark = self.troubles.dark
        if dark and (before is None or not before.dark):
            self._station.fall_silent()
        elif not dark and before is not None and before.dark:
            self._station.restart(POWER_ON)
        self.radio.refresh()

    def _alarm_of_stage(self, trouble: Trouble, before: Stage | None, now: Stage | None) -> None:
        old = None if before is None else before.alarm
        new = None if now is None else now.alarm
        if old is not None and (new is None or new.fault_id != old.fault_id):
            for alarm in [a for a in self.book.active if a.key == (old.fault_id, old.source or trouble.target)]:
                self.alarm_changed(alarm, False)
        if new is not None and new != old:
            names = tuple(
                cell.survey.distinguished_name
                for cell in self.radio.cells
                if trouble.fault.place is Place.STATION or trouble.target in (cell.survey.id, cell.survey.unit)
            )
            element = f"ManagedElement={self._station.id}"
            alarm = Alarm.of(new, new.source or trouble.target, names or (element,), self.clock.now())
            self.alarm_changed(alarm, True)

    def _begin(self, trouble: Trouble) -> None:
        name = trouble.fault.name
        if name == "core-link-down":
            curable = Remedy.RECREATE_LINK in trouble.helps
            trouble.links = self._station.break_link(trouble.target, curable=curable)
        elif name == "core-links-down":
            self.radio.connected = False
        elif name == "wrong-software":
            self.software.confuse()
        elif name == "configuration-reverted":
            self._station.revert(max(self._station.revision - 1, 0))

    def _end(self, trouble: Trouble) -> None:
        name = trouble.fault.name
        if name == "core-link-down":
            self._station.links_healed(self.radio.heal(trouble.links))
        elif name == "core-links-down":
            self.radio.connected = self.troubles.has(name) is None
        elif name == "wrong-software":
            self.software.mend()

    def take_trouble(self, name: str) -> bool:
        """Whether a fault of this name waits; it is over with that."""
        return self._troubles is not None and self._troubles.take(name)

    def try_remedy(self, remedy: Remedy, targets: Iterable[str] | None = None) -> None:
        """Try a remedy on the troubles of the station."""
        if self._troubles is not None:
            self._troubles.attempt(remedy, targets)

    # ------------------------------------------------------------ start and stop

    def power(self, on: bool, cause: str = POWER_ON) -> None:
        """Lose power, or come up."""
        self.down = not on
        if not on:
            self.radio.power(False)
            if self._supervision is not None:
                self._supervision.stop()
                self._supervision = None
            if self._software is not None:
                self._software.stopped()
            return
        self.restart_cause, self.restarted = cause, self.clock.now()
        self.unit_restarts.clear()
        new_build = self._software is not None and self._software.started()
        self.radio.power(True)
        self.try_remedy(Remedy.RESTART)
        if new_build:
            self.try_remedy(Remedy.ACTIVATE_SOFTWARE)

    def reset_later(self) -> None:
        """Restart after the reply went out (o-ran-operations reset)."""
        self.clock.call_later(RESET_DELAY, lambda: self._station.restart(ASKED_FOR))

    def reset_unit(self, name: str) -> None:
        """Restart a radio unit.

        Raises:
            RpcError: there is no such unit.
        """
        cells = [status.survey for status in self.radio.cells if status.survey.unit == name]
        if not cells:
            raise RpcError("invalid-value", f"no unit {name!r:.40}", info={"bad-element": "name"})
        self._station.record(EventKind.REMEDY, ITSELF, remedy=Remedy.RESET_UNIT.value, target=name)
        self.unit_restarts[name] = self.clock.now()
        self.radio.reset(cells)
        self.try_remedy(Remedy.RESET_UNIT, [name, *(cell.id for cell in cells)])

    def reload_licence(self) -> None:
        """Install the licence again."""
        self._station.record(EventKind.REMEDY, ITSELF, remedy=Remedy.RELOAD_LICENCE.value, target="")
        self.try_remedy(Remedy.RELOAD_LICENCE)

    # --------------------------------------------------- software, supervision

    @property
    def software(self) -> Software:
        """The software of the station."""
        if self._software is None:
            self._software = Software(self)
        return self._software

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Its software slots."""
        return FACTORY_SLOTS if self._software is None else self._software.slots

    def notify(self, content: etree._Element) -> None:
        """Send a notification."""
        self._station.notify(content)

    def software_event(self, **detail: str) -> None:
        """Write into the history."""
        self._station.record(EventKind.SOFTWARE, ITSELF, **detail)

    @property
    def supervision(self) -> Supervision:
        """The watchdog."""
        if self._supervision is None:
            self._supervision = Supervision(self.clock, self._station.notify, self._supervision_changed)
        return self._supervision

    @property
    def supervised(self) -> str:
        """OFF, KEPT or LOST."""
        if self._supervision is None:
            return "OFF"
        return "LOST" if self._supervision.lost else "KEPT"

    def _supervision_changed(self, lost: bool) -> None:
        if lost:
            self._station.record(EventKind.SUPERVISION_LOST, ITSELF)
        self.radio.refresh()

    # ------------------------------------------------------------ what is told

    def state(self) -> State:
        """State below the configuration."""
        key = self.observation.period_begin(), self.slots, self._station.datastores.running
        if self._state is None or key != self._state_key:
            self.radio.forget_state()
            own = lists_state(self._station, self)
            self._state = self.radio.state().merged(own)
            self._state_key = key
        return self._state

    def summary(self) -> dict[str, Any]:
        """What there is and what works."""
        troubles = 0 if self._troubles is None else len(self._troubles)
        return {**self.radio.summary(), "alarms": len(tuple(self.book.active)), "troubles": troubles}
