"""The faults of equipment, links and people: one row each, with alarm, effect and true cure.

Whether a remedy helps, how long it takes and how long a fault lasts is drawn once per fault from the
seed, so that the same fault of the same seed always behaves in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

MINUTE, HOUR = 60.0, 3600.0
#: Bounds of a duration in seconds, between which one is drawn.
Span = tuple[float, float]
AT_ONCE: Span = (0.0, 0.0)

#: o-ran-fm fault ids from 1000 on are for vendors to give.
CORE_LINK_DOWN = 1001
CELL_OUT_OF_SERVICE = 1002
LICENCE_MISSING = 1003
WRONG_SOFTWARE = 1004
USER_PLANE_DOWN = 1005
MAINS_LOST = 1006


class Place(StrEnum):
    """The kind of object that a fault strikes."""

    CELL = "cell"
    UNIT = "unit"
    STATION = "station"
    TENANT = "tenant"


class Service(StrEnum):
    """How much a cell still serves."""

    FULL = "full"
    DEGRADED = "degraded"
    SLEEPING = "sleeping"
    """On air, by all that the station says, but nobody gets through."""
    OFF = "off"


class Remedy(StrEnum):
    """A remedy that may cure a fault."""

    LOCK_UNLOCK = "lock-unlock"
    RESET_UNIT = "reset-unit"
    RESTART = "restart"
    RECREATE_LINK = "recreate-link"
    RELOAD_LICENCE = "reload-licence"
    ACTIVATE_SOFTWARE = "activate-software"
    VISIT = "visit"


@dataclass(frozen=True, slots=True)
class AlarmKind:
    """The content of an alarm (o-ran-fm; ids up to 999 are those of o-ran-alarm-id).

    Attributes:
        source: Name of the faulty object; empty for the place that the fault strikes.
        type: Alarm type by TS 28.532, as in EQUIPMENT_ALARM.
        problem: Specific problem, the same for all stages of a fault; by default the text.
    """

    fault_id: int
    severity: str
    text: str
    cause: str
    type: str = "EQUIPMENT_ALARM"
    repair: str = ""
    source: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """The effect of a fault from ``after`` seconds on, until the next stage.

    Attributes:
        cells: Affected cell classes; all if empty.
        dark: Whether the whole station has no power.
    """

    alarm: AlarmKind | None = None
    service: Service = Service.FULL
    after: Span = AT_ONCE
    cells: tuple[str, ...] = ()
    dark: bool = False


@dataclass(frozen=True, slots=True)
class Cure:
    """A remedy, with the probability that it helps and the seconds that it takes."""

    by: Remedy
    chance: float = 1.0
    takes: Span = AT_ONCE


@dataclass(frozen=True, slots=True)
class NetworkFaultKind:
    """A kind of fault; one that ``lasts`` ends by itself after a while drawn from that span."""

    name: str
    place: Place
    stages: tuple[Stage, ...]
    cures: tuple[Cure, ...] = ()
    lasts: Span | None = None

    def to_json(self) -> dict[str, Any]:
        """The kind as JSON carries it."""
        return {
            "fault": self.name,
            "place": self.place.value,
            "alarms": [stage.alarm.fault_id for stage in self.stages if stage.alarm is not None],
            "cures": {cure.by.value: cure.chance for cure in self.cures},
            "ends_by_itself": self.lasts is not None,
        }


_SYNC_CELLS = ("NRCellDU", "EUtranCellTDD")
_VISIT = Cure(Remedy.VISIT)
#: Cause, type, repair, source and specific problem of both stages of a mains failure: one alarm that gets worse.
_MAINS = ("commercialPowerFailure", "ENVIRONMENTAL_ALARM", "call the power company", "power", "mains lost")
#: The same of both stages of a power supply unit that fails.
_SUPPLY = (
    "powerSupplyFailure",
    "EQUIPMENT_ALARM",
    "replace the power supply unit",
    "psu-1",
    "power supply unit failed",
)

_ROWS = (
    NetworkFaultKind(
        "cell-down",
        Place.CELL,
        (Stage(service=Service.OFF),),
        (Cure(Remedy.LOCK_UNLOCK, 0.7), Cure(Remedy.RESET_UNIT, 0.9), Cure(Remedy.RESTART, 0.95), _VISIT),
    ),
    NetworkFaultKind(
        "sleeping-cell",
        Place.CELL,
        (Stage(service=Service.SLEEPING),),
        (Cure(Remedy.LOCK_UNLOCK, 0.8), Cure(Remedy.RESET_UNIT, 0.9), Cure(Remedy.RESTART, 0.98), _VISIT),
    ),
    NetworkFaultKind(
        "radio-unit-lost",
        Place.UNIT,
        (Stage(service=Service.OFF),),
        (Cure(Remedy.RESET_UNIT, 0.6, (20.0, 90.0)), Cure(Remedy.RESTART, 0.7), _VISIT),
    ),
    NetworkFaultKind(
        "interface-unit",
        Place.UNIT,
        (Stage(AlarmKind(30, "MAJOR", "interface unit failed", "equipmentMalfunction", repair="replace the unit")),),
        (_VISIT,),
    ),
    NetworkFaultKind(
        "vswr",
        Place.UNIT,
        (
            Stage(
                AlarmKind(9, "MAJOR", "VSWR above limit", "transmitterProblem", repair="visit antenna and feeder"),
                Service.DEGRADED,
            ),
        ),
        (_VISIT,),
    ),
    NetworkFaultKind(
        "sfp",
        Place.UNIT,
        (
            Stage(
                AlarmKind(29, "CRITICAL", "SFP of fronthaul failed", "lossOfSignal", repair="replace the SFP"),
                Service.OFF,
            ),
        ),
        (Cure(Remedy.RESET_UNIT, 0.3, (20.0, 90.0)), _VISIT),
    ),
    NetworkFaultKind(
        "sync-lost",
        Place.STATION,
        (
            Stage(
                AlarmKind(17, "MAJOR", "external time source lost: holdover", "timingProblem", source="sync"),
            ),
            Stage(
                AlarmKind(18, "CRITICAL", "unit out of synchronization", "timingProblem", source="sync"),
                Service.OFF,
                after=(1 * HOUR, 4 * HOUR),
                cells=_SYNC_CELLS,
            ),
        ),
        (Cure(Remedy.RESTART, 0.3, (60.0, 300.0)), _VISIT),
        lasts=(2 * HOUR, 24 * HOUR),
    ),
    NetworkFaultKind(
        "high-temperature",
        Place.UNIT,
        (
            Stage(
                AlarmKind(1, "MINOR", "high temperature", "temperatureUnacceptable", "ENVIRONMENTAL_ALARM"),
                Service.DEGRADED,
            ),
            Stage(
                AlarmKind(2, "CRITICAL", "overheating: unit off", "temperatureUnacceptable", "ENVIRONMENTAL_ALARM"),
                Service.OFF,
                after=(30 * MINUTE, 3 * HOUR),
            ),
        ),
        (Cure(Remedy.LOCK_UNLOCK, 0.5, (5 * MINUTE, 20 * MINUTE)), _VISIT),
        lasts=(1 * HOUR, 8 * HOUR),
    ),
    NetworkFaultKind(
        "fan",
        Place.STATION,
        (Stage(AlarmKind(5, "MINOR", "fan broken", "coolingFanFailure", source="fan-1", repair="replace the fan")),),
        (_VISIT,),
    ),
    NetworkFaultKind(
        "mains-failure",
        Place.STATION,
        (
            Stage(AlarmKind(MAINS_LOST, "MAJOR", "mains lost: on battery", *_MAINS)),
            Stage(
                AlarmKind(MAINS_LOST, "CRITICAL", "mains lost: battery empty", *_MAINS),
                Service.OFF,
                after=(2 * HOUR, 6 * HOUR),
                dark=True,
            ),
        ),
        (_VISIT,),
        lasts=(30 * MINUTE, 12 * HOUR),
    ),
    NetworkFaultKind(
        "power-supply",
        Place.STATION,
        (
            Stage(AlarmKind(26, "MAJOR", "power supply unit failed: no reserve", *_SUPPLY)),
            Stage(
                AlarmKind(26, "CRITICAL", "power supply unit failed: no power", *_SUPPLY),
                Service.OFF,
                after=(1 * HOUR, 6 * HOUR),
                dark=True,
            ),
        ),
        (_VISIT,),
    ),
    NetworkFaultKind(
        "core-link-down",
        Place.TENANT,
        (Stage(),),
        (Cure(Remedy.RECREATE_LINK, 0.8), Cure(Remedy.RESTART, 0.5), _VISIT),
    ),
    NetworkFaultKind("core-links-down", Place.STATION, (Stage(),), (_VISIT,), lasts=(10 * MINUTE, 4 * HOUR)),
    NetworkFaultKind(
        "licence-gone",
        Place.STATION,
        (
            Stage(
                AlarmKind(
                    *(LICENCE_MISSING, "CRITICAL", "licence missing", "licenceMissing", "PROCESSING_ERROR_ALARM"),
                    repair="reload the licence",
                    source="licence",
                ),
                Service.OFF,
            ),
        ),
        (Cure(Remedy.RELOAD_LICENCE, 0.85, (5.0, 30.0)), _VISIT),
    ),
    NetworkFaultKind(
        "wrong-software",
        Place.STATION,
        (
            Stage(
                AlarmKind(
                    *(WRONG_SOFTWARE, "MAJOR", "unexpected software", "softwareError", "PROCESSING_ERROR_ALARM"),
                    repair="activate the right software",
                    source="software",
                ),
                Service.DEGRADED,
            ),
        ),
        (Cure(Remedy.ACTIVATE_SOFTWARE), _VISIT),
    ),
    # Faults that wait for the next software operation, and end with it.
    NetworkFaultKind("download-fails", Place.STATION, (Stage(),)),
    NetworkFaultKind("wrong-checksum", Place.STATION, (Stage(),)),
    NetworkFaultKind("install-fails", Place.STATION, (Stage(),)),
    NetworkFaultKind("activation-fails", Place.STATION, (Stage(),)),
    NetworkFaultKind("boot-fails", Place.STATION, (Stage(),)),
    # Somebody puts the last but one configuration back; nothing of it is left but the configuration.
    NetworkFaultKind("configuration-reverted", Place.STATION, (Stage(),), lasts=AT_ONCE),
)

#: All network faults by name.
NETWORK_FAULTS: Mapping[str, NetworkFaultKind] = MappingProxyType({row.name: row for row in _ROWS})

CELL_ALARM = AlarmKind(
    CELL_OUT_OF_SERVICE, "CRITICAL", "cell is out of service", "cellUnavailable", "QUALITY_OF_SERVICE_ALARM"
)
LINK_ALARM = AlarmKind(
    CORE_LINK_DOWN, "MAJOR", "core link is down", "lossOfSignal", "COMMUNICATIONS_ALARM", "re-create the end point"
)
USER_PLANE_ALARM = AlarmKind(
    USER_PLANE_DOWN,
    "MAJOR",
    "user plane is down",
    "lossOfSignal",
    "COMMUNICATIONS_ALARM",
    "repair the way to the core",
)
