"""What a station shows below its managed element: itself, its list of alarms, its measurement jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from simulators.datastore import Config, Path, State
from simulators.elements import timestamp
from simulators.equipment.alarms import Alarms

#: Function class → the word for it in managedElementTypeList (TS 28.622).
_TYPES = {"ENBFunction": "ENB", "GNBCUCPFunction": "GNBCUCP", "GNBCUUPFunction": "GNBCUUP", "GNBDUFunction": "GNBDU"}
ALARM_LIST = "1"


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
        _, written = alarm_list_of(running, station)
        values |= {(*alarm_list, name): value for name, value in _alarm_list_state(alarms, written)}
    for job in jobs_of(running, station):
        values[*job, "attributes", "operationalState"] = "ENABLED"
    return State.of(running.schema, values)


def _alarm_list_state(alarms: Alarms, written: Mapping[str, str | None]) -> Iterator[tuple[str, Any]]:
    records = list(alarms.records)
    yield "operationalState", "ENABLED"
    yield "numOfAlarmRecords", str(len(records))
    if alarms.modified is not None:
        yield "lastModification", timestamp(alarms.modified)
    if records:
        yield "alarmRecords", [record.to_state(written.get(record.id) == "ACKNOWLEDGED") for record in records]


def alarm_list_of(config: Config, station: str) -> tuple[bool, dict[str, str | None]]:
    """Whether the AlarmList is unlocked, and the ackState that managers wrote into records."""
    attributes = config.get(_alarm_list(station))
    if attributes is None:
        return False, {}
    written = {record.keys[0]: record.leaf("ackState") for record in attributes.entries("alarmRecords")}
    return attributes.leaf("administrativeState") == "UNLOCKED", written


def without_records(config: Config, station: str, names: Iterable[str]) -> Config:
    """The configuration without what was written into some records."""
    for name in sorted(names):
        config = config.without_entry((*_alarm_list(station), ("alarmRecords", name)))
    return config


def _alarm_list(station: str) -> Path:
    return ("ManagedElement", station), ("AlarmList", ALARM_LIST), "attributes"


def jobs_of(running: Config, station: str) -> Iterator[Path]:
    """Where the unlocked measurement jobs of a station stand."""
    element = running.get((("ManagedElement", station),))
    for job in () if element is None else element.entries("PerfMetricJob"):
        attributes = job.child("attributes")
        if attributes is not None and attributes.leaf("administrativeState") == "UNLOCKED":
            yield ("ManagedElement", station), ("PerfMetricJob", *job.keys)
