"""Units, synchronisation, power and licence of a station, as its modules show them.

Nothing of it is stored: it follows from the cells, the faults that the station has and the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from lxml import etree

from simulators.elements import leaf, node, root, timestamp
from simulators.equipment.equipment import Equipment
from simulators.equipment.fault_kinds import Place, Service
from simulators.equipment.faults import NetworkFault

EQUIPMENT_NS = "urn:minka:equipment"
OPERATIONS_NS = "urn:o-ran:operations:1.0"
EXTERNALIO_NS = "urn:o-ran:external-io:1.0"
#: Inputs of a station that tell of its site's power. Their circuits are closed while all is well.
_INPUTS = ("mains", "battery")
#: Degrees Celsius of a healthy unit, and of one that is too hot.
_WARM, _HOT = 41, 83


def equipment_state(equipment: Equipment, now: float) -> etree._Element:
    """The ``equipment`` container."""
    faults = list(equipment.faults)
    top = root(EQUIPMENT_NS, "equipment")
    units: dict[str, list[str]] = {}
    for status in equipment.radio.cells:
        units.setdefault(status.configured.unit, []).append(status.configured.id)
    _unit(top, "bbu-1", "baseband", "enabled", _WARM, ())
    for name in sorted(units):
        hot = _has(faults, "high-temperature", name)
        _unit(top, name, "radio-unit", _condition(faults, name), _HOT if hot else _WARM, units[name])
        restarted = equipment.unit_restarts.get(name, equipment.restarted)
        leaf(top[-1], "last-restart", timestamp(restarted))
        leaf(top[-1], "silent-seconds", str(_silence(faults, name, now)))
    _unit(top, "fan-1", "fan", "disabled" if _has(faults, "fan") else "enabled", None, ())
    leaf(top, "sync-state", _sync(faults))
    charge = _charge(faults, now)
    leaf(top, "power-source", "MAINS" if charge is None else "BATTERY")
    leaf(top, "battery-charge", str(100 if charge is None else charge))
    leaf(top, "licence", "MISSING" if _has(faults, "licence-gone") else "VALID")
    leaf(top, "supervision", equipment.supervision.state.value)
    return top


def operational_info(equipment: Equipment, now: datetime) -> etree._Element:
    """The ``operational-info`` container."""
    top = root(OPERATIONS_NS, "operational-info")
    state = node(top, "operational-state")
    leaf(state, "restart-cause", equipment.restart_cause)
    leaf(state, "restart-datetime", timestamp(equipment.restarted))
    leaf(state, "current-datetime", timestamp(now))
    return top


def external_io(equipment: Equipment) -> etree._Element:
    """The ``external-io`` container: both inputs are open while the station runs on its battery."""
    lost = _has(list(equipment.faults), "mains-failure")
    top = root(EXTERNALIO_NS, "external-io")
    for port, name in enumerate(_INPUTS, start=1):
        entry = node(top, "input")
        leaf(entry, "name", name)
        leaf(entry, "port-in", str(port))
        leaf(entry, "line-in", "true" if lost else "false")
    return top


def _unit(
    top: etree._Element, name: str, kind: str, condition: str, degrees: int | None, cells: list[str] | tuple[()]
) -> None:
    unit = node(top, "unit")
    leaf(unit, "name", name)
    leaf(unit, "class", kind)
    leaf(unit, "oper-state", condition)
    if degrees is not None:
        leaf(unit, "temperature", str(degrees))
    for cell in sorted(cells):
        leaf(unit, "cell", cell)


def _condition(faults: list[NetworkFault], unit: str) -> str:
    services = {fault.stage.service for fault in faults if fault.kind.place is Place.UNIT and fault.target == unit}
    if Service.OFF in services:
        return "disabled"
    return "degraded" if Service.DEGRADED in services else "enabled"


def _silence(faults: list[NetworkFault], unit: str, now: float) -> int:
    """Seconds since the latest sign of life of a unit, which is lost, or whose fronthaul is."""
    lost = (fault for name in ("radio-unit-lost", "sfp") for fault in _named(faults, name, unit))
    return int(max((now - fault.since for fault in lost), default=0))


def _has(faults: list[NetworkFault], name: str, target: str = "") -> bool:
    return any(True for _ in _named(faults, name, target))


def _named(faults: list[NetworkFault], name: str, target: str = "") -> Iterator[NetworkFault]:
    return (fault for fault in faults if fault.kind.name == name and fault.target == target)


def _sync(faults: list[NetworkFault]) -> str:
    lost = next(_named(faults, "sync-lost"), None)
    if lost is None:
        return "LOCKED"
    return "HOLDOVER" if lost.stage is lost.kind.stages[0] else "FREERUN"


def _charge(faults: list[NetworkFault], now: float) -> int | None:
    """Percent left in the battery, None while there is mains: it is empty when the last stage begins."""
    lost = next(_named(faults, "mains-failure"), None)
    if lost is None:
        return None
    return max(round(100 * (1 - (now - lost.since) / lost.begins[-1])), 0)
