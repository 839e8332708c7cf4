"""Equipment, software and operations of stations on the wire (o-ran-operations, o-ran-software-management). Pure.

Units, power and licence have no common model: those of ``urn:minka:equipment`` are shaped like RFC 8348.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from lxml import etree

from controller.models.equipment import (
    Equipment,
    Operation,
    OperationKind,
    SlotState,
    SoftwareEvent,
    UnitState,
)
from controller.models.untrusted import moment, natural
from controller.nrm import namespaces as ns

_NAMESPACES = {
    OperationKind.RESET: ns.ORAN_OPERATIONS,
    OperationKind.RESET_UNIT: ns.EQUIPMENT,
    OperationKind.RELOAD_LICENCE: ns.EQUIPMENT,
    OperationKind.DOWNLOAD: ns.ORAN_SOFTWARE,
    OperationKind.INSTALL: ns.ORAN_SOFTWARE,
    OperationKind.ACTIVATE: ns.ORAN_SOFTWARE,
}
#: The input that names the object of an operation.
_SUBJECT = {
    OperationKind.RESET_UNIT: "name",
    OperationKind.DOWNLOAD: "remote-file-path",
    OperationKind.INSTALL: "slot-name",
    OperationKind.ACTIVATE: "slot-name",
}
#: Notifications by name: their operation, and the leaf with its object.
_EVENTS = {
    f"{{{ns.ORAN_SOFTWARE}}}download-event": (OperationKind.DOWNLOAD, "file-name"),
    f"{{{ns.ORAN_SOFTWARE}}}install-event": (OperationKind.INSTALL, "slot-name"),
    f"{{{ns.ORAN_SOFTWARE}}}activation-event": (OperationKind.ACTIVATE, "slot-name"),
}


def encode_operation(operation: Operation) -> etree._Element:
    """The content of the operation's ``<rpc>``."""
    namespace = _NAMESPACES[operation.kind]
    element = etree.Element(f"{{{namespace}}}{operation.kind}", nsmap=ns.as_default(namespace))
    if name := _SUBJECT.get(operation.kind):
        etree.SubElement(element, f"{{{namespace}}}{name}").text = operation.subject
    for file in operation.files:
        etree.SubElement(element, f"{{{namespace}}}file-names").text = file
    return element


def refusal_of(reply: etree._Element) -> str:
    """Why a station did not begin an operation although it answered without an error; empty if it began."""
    if reply.findtext(f"{{{ns.ORAN_SOFTWARE}}}status") != "FAILED":
        return ""
    return reply.findtext(f"{{{ns.ORAN_SOFTWARE}}}error-message") or "it gave no reason"


def equipment_filter() -> list[etree._Element]:
    """Content of a subtree filter (RFC 6241 §6) for all that ``decode_equipment`` reads."""
    tops = (
        (ns.EQUIPMENT, "equipment"),
        (ns.ORAN_OPERATIONS, "operational-info"),
        (ns.ORAN_SOFTWARE, "software-inventory"),
    )
    return [etree.Element(f"{{{namespace}}}{name}", nsmap=ns.as_default(namespace)) for namespace, name in tops]


def decode_equipment(data: etree._Element) -> Equipment:
    """Read the ``<data>`` of a reply; values that a station does not have are empty."""
    state = f"{{{ns.ORAN_OPERATIONS}}}operational-info/{{{ns.ORAN_OPERATIONS}}}operational-state"
    own = f"{{{ns.EQUIPMENT}}}equipment"
    return Equipment(
        restarted=moment(data.findtext(f"{state}/{{{ns.ORAN_OPERATIONS}}}restart-datetime")),
        now=moment(data.findtext(f"{state}/{{{ns.ORAN_OPERATIONS}}}current-datetime")),
        units=tuple(_units(data)),
        slots=tuple(_slots(data)),
        power=_text(data, f"{own}/{{{ns.EQUIPMENT}}}power-source"),
        licence=_text(data, f"{own}/{{{ns.EQUIPMENT}}}licence"),
    )


def event_of(name: str, content: etree._Element, at: datetime | None) -> SoftwareEvent | None:
    """A notification as an event of software; None for any other."""
    if name not in _EVENTS:
        return None
    kind, subject = _EVENTS[name]
    texts = (_text(content, f"{{{ns.ORAN_SOFTWARE}}}{leaf}") for leaf in (subject, "status", "error-message"))
    named, status, message = texts
    return SoftwareEvent(kind=kind, subject=named, status=status, message=message, at=at)


def _units(data: etree._Element) -> Iterator[UnitState]:
    prefix = f"{{{ns.EQUIPMENT}}}"
    for unit in data.iterfind(f"{prefix}equipment/{prefix}unit"):
        yield UnitState(
            name=_text(unit, f"{prefix}name"),
            kind=_text(unit, f"{prefix}class"),
            state=_text(unit, f"{prefix}oper-state"),
            cells=tuple((cell.text or "").strip() for cell in unit.iterfind(f"{prefix}cell")),
            restarted=moment(unit.findtext(f"{prefix}last-restart")),
            silent=natural(_text(unit, f"{prefix}silent-seconds")),
        )


def _slots(data: etree._Element) -> Iterator[SlotState]:
    prefix = f"{{{ns.ORAN_SOFTWARE}}}"
    for slot in data.iterfind(f"{prefix}software-inventory/{prefix}software-slot"):
        yield SlotState(
            name=_text(slot, f"{prefix}name"),
            status=_text(slot, f"{prefix}status"),
            version=_text(slot, f"{prefix}build-version"),
            active=_text(slot, f"{prefix}active") == "true",
            running=_text(slot, f"{prefix}running") == "true",
            writable=_text(slot, f"{prefix}access") != "READ_ONLY",
        )


def _text(element: etree._Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
