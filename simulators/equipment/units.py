"""Units, synchronisation, power and licence of a station, as minka-equipment and o-ran-operations show them.

Nothing of it is stored: it follows from the cells, the faults that the station has and the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lxml import etree

from simulators.elements import leaf, node, root
from simulators.equipment.alarms import timestamp
from simulators.equipment.fault_kinds import Place, Service
from simulators.equipment.faults import Trouble

if TYPE_CHECKING:
    from simulators.station import Station

EQUIPMENT_NS = "urn:minka:equipment"
OPERATIONS_NS = "urn:o-ran:operations:1.0"
#: Degrees Celsius of a unit that is well, and of one that is too hot.
_WARM, _HOT = 41, 83


def equipment(station: Station) -> etree._Element:
    """The ``equipment`` container."""
    troubles = list(station.life.open_troubles)
    top = root(EQUIPMENT_NS, "equipment")
    units: dict[str, list[str]] = {}
    for status in station.life.radio.cells:
        units.setdefault(status.survey.unit, []).append(status.survey.id)
    _unit(top, "bbu-1", "baseband", "enabled", _WARM, ())
    for name in sorted(units):
        hot = _has(troubles, "high-temperature", name)
        _unit(top, name, "radio-unit", _condition(troubles, name), _HOT if hot else _WARM, units[name])
        restarted = station.life.unit_restarts.get(name, station.life.restarted)
        leaf(top[-1], "last-restart", timestamp(restarted))
    _unit(top, "fan-1", "fan", "disabled" if _has(troubles, "fan") else "enabled", None, ())
    leaf(top, "sync-state", _sync(troubles))
    charge = _charge(troubles, station.clock.monotonic())
    leaf(top, "power-source", "MAINS" if charge is None else "BATTERY")
    leaf(top, "battery-charge", str(100 if charge is None else charge))
    leaf(top, "licence", "MISSING" if _has(troubles, "licence-gone") else "VALID")
    leaf(top, "supervision", station.life.supervised)
    return top


def operational_info(station: Station) -> etree._Element:
    """The ``operational-info`` container."""
    top = root(OPERATIONS_NS, "operational-info")
    state = node(top, "operational-state")
    leaf(state, "restart-cause", station.life.restart_cause)
    leaf(state, "restart-datetime", timestamp(station.life.restarted))
    leaf(state, "current-datetime", timestamp(station.clock.now()))
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


def _condition(troubles: list[Trouble], unit: str) -> str:
    services = {t.stage.service for t in troubles if t.fault.place is Place.UNIT and t.target == unit}
    if Service.OFF in services:
        return "disabled"
    return "degraded" if Service.DEGRADED in services else "enabled"


def _has(troubles: list[Trouble], name: str, target: str = "") -> bool:
    return any(True for _ in _named(troubles, name, target))


def _named(troubles: list[Trouble], name: str, target: str = "") -> Iterator[Trouble]:
    return (t for t in troubles if t.fault.name == name and t.target == target)


def _sync(troubles: list[Trouble]) -> str:
    lost = next(_named(troubles, "sync-lost"), None)
    if lost is None:
        return "LOCKED"
    return "HOLDOVER" if lost.stage is lost.fault.stages[0] else "FREERUN"


def _charge(troubles: list[Trouble], now: float) -> int | None:
    """Percent left in the battery, None while there is mains: it is empty when the last stage begins."""
    lost = next(_named(troubles, "mains-failure"), None)
    if lost is None:
        return None
    return max(round(100 * (1 - (now - lost.since) / lost.begins[-1])), 0)
