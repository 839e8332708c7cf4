"""The AlarmList of a managed element (TS 28.622, module _3gpp-common-fm): its node, its records on the wire. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest

from lxml import etree

from controller.models.alarm import LETTERS, AlarmRecord, PerceivedSeverity
from controller.models.untrusted import moment
from controller.nrm import namespaces as ns
from controller.nrm.schema import LeafSpec, NodeSpec
from controller.nrm.tree import LONGEST_NAME, Path, Tree, class_of, steps

#: Feature of the managed element's module; without it there is no such list.
FM_FEATURE = "FmUnderManagedElement"
#: The alarms of a station, on record at the station while it is unlocked. Unlike cells it carries no service, so its
#: administrative state is configuration like any other: planned, compared and repaired.
ALARM_LIST = NodeSpec(
    "AlarmList",
    ns.MANAGED_ELEMENT,
    leaves=(
        LeafSpec("administrativeState", default="LOCKED", label="administrative state"),
        LeafSpec("operationalState", state=True),
        LeafSpec("numOfAlarmRecords", state=True),
        LeafSpec("lastModification", state=True),
    ),
    given={"administrativeState": "UNLOCKED"},
    feature=FM_FEATURE,
    apart=("alarmRecords",),
    watches=True,
    label="list of alarms",
)


#: Most records that are read, the worst first: stations are not trusted.
MOST_RECORDS = 1000
_ME = f"{{{ns.MANAGED_ELEMENT}}}"
_WORST_FIRST = {severity.value: place for place, severity in enumerate(PerceivedSeverity)}


def decode_records(managed_element: etree._Element) -> tuple[AlarmRecord, ...] | None:
    """The AlarmList of a managed element; see ``Observed.records``.

    A list is LOCKED by default (module _3gpp-common-fm), and then follows the alarms no longer.
    """
    attributes = managed_element.find(f"{_ME}AlarmList/{_ME}attributes")
    if attributes is None or _word(attributes, "administrativeState") != "UNLOCKED":
        return None
    if _word(attributes, "operationalState") not in ("", "ENABLED"):  # DISABLED, or what no specification has
        return None
    found = attributes.iterfind(f"{_ME}alarmRecords")
    return tuple(map(_record, nsmallest(MOST_RECORDS, found, key=_rank)))


def _rank(record: etree._Element) -> int:
    return _WORST_FIRST.get(_word(record, "perceivedSeverity"), _WORST_FIRST["INDETERMINATE"])


def _record(element: etree._Element) -> AlarmRecord:
    acknowledged = _word(element, "ackState") == "ACKNOWLEDGED"
    return AlarmRecord(
        id=_key(element),
        object=_word(element, "objectInstance", LONGEST_NAME + 1),  # so that a longer one is none
        type=_word(element, "alarmType"),
        cause=_word(element, "probableCause"),
        problem=_word(element, "specificProblem"),
        severity=PerceivedSeverity.of(_word(element, "perceivedSeverity")),
        text=_word(element, "additionalText"),
        acknowledged_by=(_word(element, "ackUserId") or "somebody") if acknowledged else "",
        raised=moment(_word(element, "alarmRaisedTime")),
        cleared=moment(_word(element, "alarmClearedTime")),
    )


def _key(record: etree._Element) -> str:
    """Its id as the station writes it, since it is written back; None if it is too long."""
    key = record.findtext(f"{_ME}alarmId") or ""
    return key if len(key) <= LETTERS else ""


def _word(element: etree._Element, name: str, most: int = LETTERS) -> str:
    return " ".join((element.findtext(f"{_ME}{name}") or "")[:most].split())


def list_in(tree: Tree) -> Path:
    """Path of a station's list of alarms; empty if it has none."""
    return next((path for path in tree if class_of(path) == ALARM_LIST.name), "")


def encode_acknowledgement(path: Path, records: Iterable[str], user: str) -> etree._Element:
    """The ``<config>`` that acknowledges records of the list at a path.

    They may stand in no datastore of configuration before somebody writes into them: the entry is merged, not only
    its leaves.
    """
    config = etree.Element(f"{{{ns.NETCONF}}}config", nsmap={"nc": ns.NETCONF})
    container = config
    for name, (key,) in steps(path):
        container = etree.SubElement(container, f"{_ME}{name}", nsmap=ns.as_default(ns.MANAGED_ELEMENT))
        _add(container, "id", key)
    attributes = etree.SubElement(container, f"{_ME}attributes")
    for record in records:
        entry = etree.SubElement(attributes, f"{_ME}alarmRecords")
        entry.set(f"{{{ns.NETCONF}}}operation", "merge")
        _add(entry, "alarmId", record)
        _add(entry, "ackUserId", user)
        _add(entry, "ackSystemId", "minka")
        _add(entry, "ackState", "ACKNOWLEDGED")
    return config


def _add(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, f"{_ME}{name}").text = text
