"""Equipment, software and operations on the wire."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lxml import etree

from controller.drivers.netconf.equipment import (
    decode_equipment,
    encode_operation,
    equipment_filter,
    event_of,
    refusal_of,
)
from controller.models.equipment import Equipment, Operation, OperationKind, SlotState, SoftwareEvent, UnitState
from controller.models.untrusted import moment
from controller.nrm import namespaces as ns

NOON = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
TOLD = f"""<data>
  <equipment xmlns="{ns.EQUIPMENT}"><power-source> BATTERY </power-source><licence>VALID</licence>
    <unit><name>ru-1</name><class>radio-unit</class><oper-state>degraded</oper-state><cell> L1 </cell><cell>L2</cell>
      <last-restart>2026-06-15T12:00:00Z</last-restart></unit>
    <unit><name>fan</name></unit>
  </equipment>
  <operational-info xmlns="{ns.ORAN_OPERATIONS}"><operational-state>
    <current-datetime>2026-06-15T13:00:00+01:00</current-datetime>
    <restart-datetime>2026-06-15T12:00:00</restart-datetime></operational-state></operational-info>
  <software-inventory xmlns="{ns.ORAN_SOFTWARE}">
    <software-slot><name>a</name><status>VALID</status><active>true</active><running>true</running>
      <access>READ_ONLY</access><build-version>1.0</build-version></software-slot>
    <software-slot><name>b</name><status>EMPTY</status><active>false</active><running>false</running>
      <access>READ_WRITE</access></software-slot>
  </software-inventory></data>"""


def test_a_station_tells_its_units_slots_and_clock() -> None:
    assert decode_equipment(etree.fromstring(TOLD)) == Equipment(
        restarted=NOON,
        now=NOON,
        units=(
            UnitState(name="ru-1", kind="radio-unit", state="degraded", cells=("L1", "L2"), restarted=NOON),
            UnitState(name="fan"),
        ),
        slots=(
            SlotState(name="a", status="VALID", version="1.0", active=True, running=True, writable=False),
            SlotState(name="b", status="EMPTY"),
        ),
        power="BATTERY",
        licence="VALID",
    )
    assert decode_equipment(etree.Element("data")) == Equipment()


def test_what_is_read_is_asked_for() -> None:
    assert [element.tag for element in equipment_filter()] == [child.tag for child in etree.fromstring(TOLD)]


@pytest.mark.parametrize(
    ("kind", "children"),
    [
        (OperationKind.RESET, []),
        (OperationKind.RESET_UNIT, ["name"]),
        (OperationKind.RELOAD_LICENCE, []),
        (OperationKind.DOWNLOAD, ["remote-file-path"]),
        (OperationKind.INSTALL, ["slot-name"]),
        (OperationKind.ACTIVATE, ["slot-name"]),
    ],
)
def test_an_operation_names_what_it_is_about(kind: OperationKind, children: list[str]) -> None:
    element = encode_operation(Operation(kind=kind, subject="x", seconds=1))
    assert etree.QName(element).localname == kind
    assert [(etree.QName(child).localname, child.text) for child in element] == [(name, "x") for name in children]
    assert len({etree.QName(node).namespace for node in element.iter()}) == 1


def test_an_installation_names_its_files() -> None:
    element = encode_operation(Operation(kind=OperationKind.INSTALL, subject="b", files=("one", "two"), seconds=1))
    assert [child.text for child in element] == ["b", "one", "two"]


@pytest.mark.parametrize(
    ("status", "message", "refusal"),
    [
        ("FAILED", "slot is in use", "slot is in use"),
        ("FAILED", "", "it gave no reason"),
        ("STARTED", "slot is in use", ""),
        ("", "", ""),
    ],
)
def test_a_station_refuses_where_its_status_says_so(status: str, message: str, refusal: str) -> None:
    text = f"<status>{status}</status><error-message>{message}</error-message>"
    assert refusal_of(etree.fromstring(f'<rpc-reply xmlns="{ns.ORAN_SOFTWARE}">{text}</rpc-reply>')) == refusal


@pytest.mark.parametrize(
    ("name", "subject", "kind"),
    [
        ("download-event", "file-name", OperationKind.DOWNLOAD),
        ("install-event", "slot-name", OperationKind.INSTALL),
        ("activation-event", "slot-name", OperationKind.ACTIVATE),
    ],
)
def test_notifications_of_software_are_its_events(name: str, subject: str, kind: OperationKind) -> None:
    text = f"<{subject}> b </{subject}><status>COMPLETED</status>"
    content = etree.fromstring(f'<event xmlns="{ns.ORAN_SOFTWARE}">{text}</event>')
    event = SoftwareEvent(kind=kind, subject="b", status="COMPLETED", message="", at=NOON)
    assert event_of(f"{{{ns.ORAN_SOFTWARE}}}{name}", content, NOON) == event
    assert event_of(name, content, NOON) is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-06-15T12:00:00Z", NOON),
        (" 2026-06-15T14:00:00+02:00 ", NOON),
        ("2026-06-15T12:00:00", NOON),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_a_time_without_offset_is_taken_for_utc(text: str | None, at: datetime | None) -> None:
    assert moment(text) == at
