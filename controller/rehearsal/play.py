"""Plays a day on a twin: faults begin, technicians come, and something answers the alarms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from controller.rehearsal.day import FLAP, FLAPS, Cause, Day
from controller.rehearsal.people import Word
from controller.rehearsal.truth import Demand, Outages, StruckFault, Watch, demand_of
from controller.rehearsal.twin import make_fleet
from simulators.clock import VirtualClock
from simulators.datastore import Config
from simulators.equipment.configuration import cells_of
from simulators.equipment.fault_kinds import Remedy
from simulators.equipment.faults import UnknownFaultError
from simulators.fleet.fleet import Fleet
from simulators.network import SimulatedNetwork
from simulators.station import Station

#: Begin of every day: midnight in Peru, on a Tuesday.
BEGINS = datetime(2026, 9, 1, 5, tzinfo=UTC)
#: Seconds for stations to come on air, and then for the controller to know them, before the day begins.
WARM_UP, DAY_BEGINS = 60.0, 600.0


@dataclass
class Stage:
    """A twin on which a day is played, with what is recorded there.

    Attributes:
        clock: All time; the day begins at ``DAY_BEGINS`` of its seconds.
    """

    network: SimulatedNetwork
    clock: VirtualClock
    fleet: Fleet
    outages: Outages
    watch: Watch
    local: datetime
    #: Whether each fault that some remedy cures is cured as it begins, which nobody can do better.
    at_best: bool = False
    #: By rule, number of successful and failed repairs.
    rules: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: What people were told, the earliest first.
    words: list[Word] = field(default_factory=list)
    not_struck: list[str] = field(default_factory=list)

    def now(self) -> float:
        """Seconds since the day began."""
        return self.clock.monotonic() - DAY_BEGINS


def set_up(
    network: SimulatedNetwork, configs: Sequence[Mapping[str, Config]], whole: Mapping[str, Demand] | None
) -> Stage:
    """A healthy twin. ``whole`` is the demand everywhere, if it is known already."""
    clock = VirtualClock(BEGINS)
    fleet = make_fleet(network, clock, *configs)
    clock.advance(WARM_UP)
    local = BEGINS.replace(hour=19)  # any moment will do, if it is always the same
    outages = Outages(fleet, local, whole or demand_of(fleet, local))
    return Stage(network, clock, fleet, outages, Watch(fleet, outages), local)


def begin(stage: Stage, day: Day) -> None:
    """Schedule all faults of a day."""
    stage.outages.end = stage.clock.monotonic() + day.hours * 3600
    for cause in day.causes:
        stage.clock.call_later(cause.at, partial(_begin, stage, day.seed, cause))


def _begin(stage: Stage, seed: str, cause: Cause) -> None:
    transport = stage.fleet.transport
    if cause.kind == "cut":
        transport.cut(cause.target)
        stage.clock.call_later(cause.lasts, partial(_restore, stage, transport.restore, cause.target))
    elif cause.kind == "lost-core":
        transport.lose_core(cause.target)
        stage.clock.call_later(cause.lasts, partial(_restore, stage, transport.restore_core, cause.target))
    else:
        for name in cause.stations:
            _strike(stage, seed, cause, stage.fleet.stations[name])
        return
    one = StruckFault(cause.id, cause.kind, "", cause.target, stage.clock.monotonic())
    stage.watch.strikes(one)
    stage.clock.call_later(cause.lasts, partial(_over, one, stage))


def _restore(stage: Stage, end: Callable[[str], None], target: str) -> None:
    end(target)
    stage.outages.explain()


def _over(one: StruckFault, stage: Stage) -> None:
    one.ended, one.how = stage.clock.monotonic(), "itself"


def _strike(stage: Stage, seed: str, cause: Cause, station: Station) -> None:
    one = StruckFault(cause.id, cause.kind, station.id, cause.target, stage.clock.monotonic())
    if cause.kind == "flapping":
        tenant = min(station.equipment.radio.tenants_linked)
        one.target = tenant
        _flap(stage, station, tenant, FLAPS)
        stage.watch.strikes(one)
        stage.clock.call_later(cause.lasts, partial(_over, one, stage))
        return
    if cause.kind == "configuration-reverted":
        one.before = station.running
    try:
        fault = station.equipment.begin_fault(cause.kind, cause.target, f"{seed}/{cause.id}")
    except UnknownFaultError as error:
        stage.not_struck.append(f"{cause.kind} at {station.id}: {error}")
        return
    if one.before is None:
        one.fault, one.target = fault, fault.target
        one.remote = frozenset(fault.helps) - {Remedy.VISIT}
    elif station.running == one.before:
        return  # there was nothing to put back
    stage.watch.strikes(one)
    stage.clock.call_later(cause.visit, partial(_visit, stage, one))
    if stage.at_best and one.curable:
        _undo(station, one)
        one.how = "remedy"


def _flap(stage: Stage, station: Station, tenant: str, left: int) -> None:
    if not left:
        return
    station.equipment.break_link(tenant, curable=False)
    stage.clock.call_later(FLAP[0], partial(_mend_link, station, tenant))
    stage.clock.call_later(sum(FLAP), partial(_flap, stage, station, tenant, left - 1))


def _mend_link(station: Station, tenant: str) -> None:
    station.equipment.restore_link(tenant)


def _visit(stage: Stage, one: StruckFault) -> None:
    """A technician comes and cures the fault, if it is still there."""
    if one.ended is not None:
        return
    station = stage.fleet.stations[one.station]
    stage.watch.visiting = True
    try:
        _undo(station, one)
    finally:
        stage.watch.visiting = False


def _undo(station: Station, one: StruckFault) -> None:
    if one.fault is not None:
        station.equipment.faults.end(one.fault)
    elif one.before is not None:
        station.datastores.load_saved(one.before)


def earlier(config: Config) -> Config:
    """A station's configuration before its latest change: one PLMN less in its first cell, if it has several."""
    for cell in cells_of(config):
        attributes = config.get(cell.path)
        entries = list(attributes.entries(cell.plmns)) if attributes is not None else []
        if len(entries) > 1:
            return config.without_entry((*cell.path, (cell.plmns, *entries[-1].keys)))
    return config
