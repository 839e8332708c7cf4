"""Shipped actions on a station's equipment: restarts, remote repairs, and acknowledgements of its alarms.

Each proposes operations. The engine puts them on record, sends them once, and verifies them by reading back. They
change no configuration, so there is nothing to undo.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from controller.assurance.station_alarms import ListReports, problem_of, records_by_problem
from controller.inventory.source import suggest
from controller.models.alarm import PerceivedSeverity
from controller.models.equipment import (
    Equipment,
    LicenceState,
    Operation,
    OperationKind,
    PowerSource,
    SlotState,
    UnitState,
)
from controller.models.errors import ConflictError, NotFoundError
from controller.models.health import ServiceState
from controller.models.network import CellId, DeviceKind, Noun
from controller.models.sharing import ActionClass
from controller.nrm.profiles import cells, link_state, links
from controller.nrm.profiles.alarm_list import list_in
from controller.nrm.tree import Observed
from controller.playbook.actions.configuration import ChangeOutput, NoInputs, taken_with
from controller.playbook.actions.state import endpoint_name, unlocked
from controller.playbook.language.registry import Context, DeviceAccess, Proposal, ServiceLoss, action

#: User of acknowledgements that no person asked for.
_OURSELVES = "minka"


class EquipmentState(Noun):
    """A station's equipment as it says itself."""

    units: tuple[UnitState, ...] = Field(description="Its units: `name`, `kind`, `state`, `cells`, `restarted`.")
    slots: tuple[SlotState, ...] = Field(
        description="Its software: `name`, `status`, `version`, `active`, `running`, `writable`."
    )
    version: str = Field(description="Version of the software that runs.")
    power: PowerSource = Field(description="`MAINS` or `BATTERY`.")
    licence: LicenceState = Field(description="`VALID` or `MISSING`.")


class UnitChoice(Noun):
    """One radio unit."""

    unit: str = Field(default="", max_length=64, description="The unit by its name, as in `ru-1`.")
    cell: str = Field(default="", max_length=64, description="Or one of its cells.")
    seconds: float = Field(default=120, gt=0, le=3600, description="Seconds to wait until it has started again.")

    @model_validator(mode="after")
    def _one_is_named(self) -> Self:
        if not (self.unit or self.cell):
            raise ValueError("no radio unit is named: give unit, as in ru-1, or cell, one of its cells")
        return self


class Restart(Noun):
    """How to restart."""

    seconds: float = Field(default=600, gt=0, le=3600, description="Seconds to wait until it has started again.")
    on_battery: bool = Field(default=False, description="Restart even on battery; a station may not come back then.")


class RecordChoice(Noun):
    """Which records of the station's list of alarms."""

    alarm: str = Field(
        default="", max_length=64, description="Those of this alarm, as in `a-1f2e3d4c5b`; else all that are over."
    )


class Acknowledgement(Noun):
    """What was acknowledged."""

    changed: bool = Field(description="Whether there was anything to acknowledge.")
    records: tuple[str, ...] = Field(description="Ids of the records, as the station gives them.")


class Interruption(Noun):
    """What the restart interrupts."""

    changed: bool = Field(description="Always true.")
    cells: tuple[CellId, ...] = Field(description="Unlocked cells of ours that are interrupted; they must come back.")
    endpoints: tuple[str, ...] = Field(description="Core links of ours that were up before.")


async def _with_unit(context: Context, given: UnitChoice) -> ServiceLoss | None:
    return await taken_with(context, _unit(context.station, await context.equipment(), given).cells)


async def with_station(context: Context, _: object) -> ServiceLoss | None:
    """The service of a whole station."""
    return await taken_with(context, None)


@action("read-equipment", DeviceAccess.READS)
async def read_equipment(context: Context, _: NoInputs) -> EquipmentState:
    """Read units, software, power and licence of the station as they are now."""
    seen = await context.equipment()
    version = seen.running.version if seen.running else ""
    return EquipmentState(units=seen.units, slots=seen.slots, version=version, power=seen.power, licence=seen.licence)


@action("reset-radio-unit", DeviceAccess.CHANGES, devices=DeviceKind.STATION, takes=_with_unit, restarts=True)
async def reset_radio_unit(context: Context, given: UnitChoice) -> Proposal[Interruption]:
    """Restart one radio unit: its cells are off the air for a while. That it restarted is read back."""
    seen = await context.equipment()
    unit = _unit(context.station, seen, given)
    if unit.restarted is None:
        raise ConflictError(f"{unit.name} of {context.station} does not say when it started: no reset could be proven")
    said = await _interrupted(context, await context.read(), unit.cells)
    kind, since = OperationKind.RESET_UNIT, unit.restarted
    return Proposal(None, said, (Operation(kind=kind, subject=unit.name, since=since, seconds=given.seconds),))


@action(
    "restart-station",
    DeviceAccess.CHANGES,
    devices=DeviceKind.STATION,
    takes=with_station,
    takes_all=True,
    restarts=True,
)
async def restart_station(context: Context, given: Restart) -> Proposal[Interruption]:
    """Restart the station: all its cells are off the air for a while, and sessions to it end.

    That it started again is read back from its own record of its start. Nobody may hold its configuration lock, and it
    must not run on battery.
    """
    seen = await context.equipment()
    said = await _interrupted(context, await context.read(), None)
    return Proposal(None, said, (reset(context.station, seen, given.seconds, on_battery=given.on_battery),))


@action("reload-licence", DeviceAccess.CHANGES, consent=ActionClass.RESTORE, devices=DeviceKind.STATION)
async def reload_licence(context: Context, _: NoInputs) -> Proposal[ChangeOutput]:
    """Let the station fetch its licence again; it must be valid afterwards."""
    await context.ledger()
    missing = (await context.equipment()).licence != "VALID"
    operations = (Operation(kind=OperationKind.RELOAD_LICENCE, seconds=60),) if missing else ()
    return Proposal(None, ChangeOutput(changed=missing), operations)


@action("acknowledge-alarm", DeviceAccess.CHANGES, consent=None, devices=DeviceKind.STATION)
async def acknowledge_alarm(context: Context, given: RecordChoice) -> Proposal[Acknowledgement]:
    """Acknowledge records of the station's AlarmList: those of an alarm, or all that are over, which then leave it.

    Its records are no configuration: nothing of ours on the station changes, and service does not. That it shows them
    acknowledged is read back.
    """
    ledger, observed = await context.ledger(), await context.read()
    path = list_in(observed.tree)
    if observed.records is None or not path:
        raise ConflictError(f"{context.station} keeps no list of alarms, or it is locked or disabled")
    if given.alarm:
        alarm = await context.alarm(given.alarm)
        if alarm.station != context.station:
            raise NotFoundError(f"alarm {alarm.id} is not of {context.station}")
        found = records_by_problem(ListReports.of(context.station, observed, context.clock.now(), ledger))
        chosen = [record for problem, record in found if problem == problem_of(alarm)]
        user = alarm.acknowledged_by
    else:
        chosen = [record for record in observed.records if record.severity is PerceivedSeverity.CLEARED]
        user = ""
    records = tuple(record.id for record in chosen if record.id and not record.acknowledged_by)
    said = Acknowledgement(changed=bool(records), records=records)
    kind, user = OperationKind.ACKNOWLEDGE, user or _OURSELVES
    operation = Operation(kind=kind, subject=path, seconds=60, records=records, user=user) if records else None
    return Proposal(None, said, (operation,) if operation else ())


def reset(station: str, seen: Equipment, seconds: float, *, slot: str = "", on_battery: bool = False) -> Operation:
    """The restart of a station, after which it must run from ``slot`` if one is given.

    Raises:
        ConflictError: It runs on battery, or does not say when it started last.
    """
    if seen.restarted is None:
        raise ConflictError(f"{station} does not say when it started: no restart could be proven")
    if seen.power == "BATTERY" and not on_battery:
        raise ConflictError(f"{station} runs on battery: it might not come back from a restart")
    return Operation(kind=OperationKind.RESET, subject=slot, since=seen.restarted, seconds=seconds)


def _unit(station: str, seen: Equipment, given: UnitChoice) -> UnitState:
    radios = [unit for unit in seen.units if unit.kind == "radio-unit"]
    found = [unit for unit in radios if given.unit in ("", unit.name) and (not given.cell or given.cell in unit.cells)]
    if len(found) != 1:
        names = [unit.name for unit in radios]
        hint = (not given.cell and suggest(given.unit, names)) or f"it has {', '.join(names) or 'none'}"
        raise NotFoundError(f"{station} has no radio unit {_named(given)}; {hint}")
    return found[0]


def _named(given: UnitChoice) -> str:
    unit, cell = repr(given.unit) if given.unit else "", f"of cell {given.cell!r}" if given.cell else ""
    return f"{unit} {cell}".strip()


async def _interrupted(context: Context, observed: Observed, names: tuple[str, ...] | None) -> Interruption:
    """The interruption by a restart of all cells, or of these."""
    ledger = await context.ledger()
    return Interruption(
        changed=True,
        cells=tuple(
            entry.cell
            for entry in cells(observed.tree)
            if entry.path in ledger and unlocked(observed, entry.path) and (names is None or entry.cell in names)
        ),
        endpoints=tuple(
            endpoint_name(link.path)
            for link in links(observed.tree)
            if link.path in ledger and link_state(observed, link.path) is ServiceState.UP
        ),
    )


EQUIPMENT = (read_equipment, reset_radio_unit, restart_station, reload_licence, acknowledge_alarm)
