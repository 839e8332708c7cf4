"""The state below a station's managed element: itself, its AlarmList, its measurement jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lxml import etree

from simulators import elements
from simulators.datastore import Config, Path, RpcError, State
from simulators.datastore.errors import NETCONF_NS
from simulators.elements import timestamp
from simulators.equipment.alarms import AlarmList, Alarms, AlarmSources

ME_NS = "urn:3gpp:sa5:_3gpp-common-managed-element"
#: Function class → the word for it in managedElementTypeList (TS 28.622).
_TYPES = {"ENBFunction": "ENB", "GNBCUCPFunction": "GNBCUCP", "GNBCUUPFunction": "GNBCUUP", "GNBDUFunction": "GNBDU"}
ALARM_LIST = "1"
#: Identity of a gNB's only user plane unit (gNBCUUPId, TS 28.541).
USER_PLANE_UNIT = "1"


def managed_element_state(running: Config, station: str, alarms: Alarms, version: str) -> State:
    """The state of the managed element, its AlarmList and its PerfMetricJobs; ``version`` is that of its software."""
    element: Path = (("ManagedElement", station),)
    known = running.schema.root.by_name["ManagedElement"].by_name
    own: Path = (*element, "attributes")
    alarm_list = _alarm_list(station)
    values: dict[Path, Any] = {
        (*own, "managedElementTypeList"): [word for name, word in _TYPES.items() if name in known],
        (*own, "vendorName"): "Minka",
        (*own, "swVersion"): version,
    }
    if running.get(alarm_list) is not None:
        values |= {(*alarm_list, name): value for name, value in _alarm_list_state(alarms)}
    own_functions = running.get(element)
    if own_functions is not None and "GNBCUUPFunction" in known:
        for unit in own_functions.entries("GNBCUUPFunction"):
            values[*element, ("GNBCUUPFunction", *unit.keys), "attributes", "gNBCUUPId"] = USER_PLANE_UNIT
    for job in jobs_of(running, station):
        values[*job, "attributes", "operationalState"] = "ENABLED"
    return State.of(running.schema, values)


def _alarm_list_state(alarms: Alarms) -> Iterator[tuple[str, Any]]:
    records = [record.to_state() for record in alarms.records]
    yield "operationalState", "ENABLED"
    yield "numOfAlarmRecords", str(len(records))
    if alarms.modified is not None:
        yield "lastModification", timestamp(alarms.modified)
    if records:
        yield "alarmRecords", records


def alarm_list_of(config: Config, station: str) -> tuple[bool, dict[str, bool]]:
    """Whether the AlarmList is unlocked, and into which records managers wrote, with whether they acknowledged them."""
    attributes = config.get(_alarm_list(station))
    if attributes is None:
        return False, {}
    records = attributes.entries("alarmRecords")
    written = {record.keys[0]: record.leaf("ackState") == "ACKNOWLEDGED" for record in records}
    return attributes.leaf("administrativeState") == "UNLOCKED", written


def check_alarm_list(config: Config, station: str, sources: AlarmSources) -> None:
    """Refuse what managers may not do with the AlarmList: create it, clear a record.

    Raises:
        RpcError: unknown-element where the vendor has none, operation-not-supported.
    """
    attributes = config.get(_alarm_list(station))
    if attributes is None:
        return
    if sources.alarm_list is AlarmList.MISSING:
        raise RpcError("unknown-element", "there is no AlarmList", info={"bad-element": "AlarmList"})
    for record in attributes.entries("alarmRecords"):
        if record.leaf("perceivedSeverity") is not None:
            raise RpcError("operation-not-supported", f"alarm {record.keys[0]:.40} is cleared by the station alone")


def with_alarm_list(config: Config, station: str, sources: AlarmSources) -> Config:
    """The configuration with the AlarmList that the vendor's stations come with, or without any."""
    if sources.alarm_list is AlarmList.MISSING:
        return config.without_entry(_alarm_list(station)[:-1])
    if config.get(_alarm_list(station)) is not None:
        return config
    element = elements.root(ME_NS, "ManagedElement")
    elements.leaf(element, "id", station)
    alarm_list = elements.node(element, "AlarmList")
    elements.leaf(alarm_list, "id", ALARM_LIST)
    elements.node(alarm_list, "attributes")
    top = etree.Element(f"{{{NETCONF_NS}}}config")
    top.append(element)
    return config.edit(top)


def with_locked_alarm_list(config: Config, station: str) -> Config:
    """The configuration with the AlarmList locked."""
    return config.with_leaf(_alarm_list(station), "administrativeState", "LOCKED")


def without_records(config: Config, station: str, names: Iterable[str]) -> Config:
    """The configuration without what was written into some records."""
    for name in sorted(names):
        config = config.without_entry((*_alarm_list(station), ("alarmRecords", name)))
    return config


def _alarm_list(station: str) -> Path:
    return ("ManagedElement", station), ("AlarmList", ALARM_LIST), "attributes"


def jobs_of(running: Config, station: str) -> Iterator[Path]:
    """Paths of the unlocked measurement jobs of a station."""
    element = running.get((("ManagedElement", station),))
    for job in () if element is None else element.entries("PerfMetricJob"):
        attributes = job.child("attributes")
        if attributes is not None and attributes.leaf("administrativeState") == "UNLOCKED":
            yield ("ManagedElement", station), ("PerfMetricJob", *job.keys)
