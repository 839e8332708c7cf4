from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from controller.assurance.oran_fm import listed, missed_alarms, report_of
from controller.models.alarm import (
    ActiveAlarm,
    Alarm,
    AlarmReport,
    AlarmSource,
    AlarmState,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.run import LedgerEntry
from controller.nrm.active_alarms import ALARM_NOTIF, decode_alarm

AT = datetime(2026, 1, 1, tzinfo=UTC)
LINK = "/ManagedElement[A]/ENBFunction[1]/EP_S1C[claro-1]"
CELL = "/ManagedElement[A]/ENBFunction[1]/EUtranCellFDD[1]"
LEDGER = {
    LINK: LedgerEntry(station="A", path=LINK, owners=("claro",)),
    CELL: LedgerEntry(station="A", path=CELL, owners=("claro", "entel")),
}


def report(**leaves: str) -> AlarmReport:
    known = {
        "fault-id": "1001",
        "fault-source": "EP_S1C=claro-1",
        "fault-severity": "MAJOR",
        "is-cleared": "false",
        "fault-text": "core link is down",
        "event-time": "1999-01-01T00:00:00Z",
    }
    element = etree.Element(ALARM_NOTIF)
    for name, value in (known | {name.replace("_", "-"): value for name, value in leaves.items()}).items():
        etree.SubElement(element, f"{{urn:o-ran:fm:1.0}}{name}").text = value
    return report_of("A", decode_alarm(element), AT, LEDGER)


def test_a_core_link_is_the_object_that_our_own_check_names() -> None:
    made = report()
    assert (made.object, made.tenant, made.probable_cause, made.specific_problem) == (
        LINK,
        "claro",
        "core-link-down",
        "",
    )
    assert (made.severity, made.text, made.source) == (PerceivedSeverity.MAJOR, "core link is down", "oran-fm")


def test_our_clock_orders_reports_not_the_stations() -> None:
    assert report().at == AT


def test_a_cleared_fault_clears() -> None:
    assert report(is_cleared="true").severity is PerceivedSeverity.CLEARED


@pytest.mark.parametrize("source", ["EP_S1C=entel-1", "EP_NgC=claro-1", "Fan=1", "", "EP_S1C", "ru-1"])
def test_everything_else_is_about_what_the_station_names_and_keeps_its_words(source: str) -> None:
    made = report(fault_source=source, fault_id="26")
    assert (made.object, made.probable_cause, made.specific_problem) == (source or "station", "o-ran-fault-26", source)
    assert made.tenant == ""


def test_a_cell_is_named_by_its_path() -> None:
    made = report(fault_source="EUtranCellFDD=1", fault_id="1002")
    assert (made.object, made.probable_cause, made.specific_problem) == (CELL, "o-ran-fault-1002", "EUtranCellFDD=1")
    assert made.tenant == "", "it is shared"
    assert made.object_class is ObjectClass.CELL


@pytest.mark.parametrize("cleared", ["true", "false"])
def test_a_cell_that_is_totally_out_of_service_is_the_fault_that_our_own_check_finds(cleared: str) -> None:
    made = report(fault_source="EUtranCellFDD=1", fault_id="1002", fault_severity="CRITICAL", is_cleared=cleared)
    assert (made.object, made.probable_cause, made.specific_problem) == (CELL, "cell-off-air", "")
    assert (made.severity is PerceivedSeverity.CLEARED) is (cleared == "true")


@pytest.mark.parametrize(
    ("source", "fault", "found"),
    [
        ("ru-1", "30", ObjectClass.RADIO_UNIT),
        ("ru-1", "9", ObjectClass.RADIO_UNIT),
        ("ru-1", "29", ObjectClass.PORT),
        ("software", "1004", ObjectClass.STATION),
        ("", "26", ObjectClass.STATION),
        ("EP_S1C=nobody", "1001", ObjectClass.CORE_LINK),
        ("EUtranCellFDD=9", "1002", ObjectClass.CELL),
        ("ru-1", "odd", ObjectClass.STATION),
    ],
)
def test_the_class_of_what_failed_follows_from_source_and_fault(source: str, fault: str, found: ObjectClass) -> None:
    assert report(fault_source=source, fault_id=fault).object_class is found


def test_the_cells_that_suffer_are_those_that_the_station_names() -> None:
    names = (
        "ManagedElement=A,ENBFunction=1,EUtranCellFDD=1",
        "SubNetwork=x,ManagedElement=A,GNBDUFunction=1,NRCellDU=n",
    )
    element = etree.Element(ALARM_NOTIF)
    for name in (*names, "ManagedElement=A", "no name", ""):
        affected = etree.SubElement(element, "{urn:o-ran:fm:1.0}affected-objects")
        etree.SubElement(affected, "{urn:o-ran:fm:1.0}name").text = name
    assert report_of("A", decode_alarm(element), AT, LEDGER).cells == ("A/1", "A/n")


def test_an_unknown_severity_is_indeterminate() -> None:
    assert report(fault_severity="AWFUL").severity is PerceivedSeverity.INDETERMINATE


# ------------------------------------------------------------------------ lists

FAN = ActiveAlarm("26", "Fan=1", PerceivedSeverity.MAJOR, "fan stands still")
OTHER = ActiveAlarm("27", "Door=1", PerceivedSeverity.MINOR, "door is open")
DOWN = ActiveAlarm("1001", "EP_S1C=claro-1", PerceivedSeverity.MAJOR, "core link is down")
#: When the first of two reads was begun, and the second.
FIRST, SECOND = AT, AT + timedelta(seconds=2)


def standing(alarm: ActiveAlarm = FAN, source: AlarmSource = AlarmSource.ORAN_FM, seconds: float = -60) -> Alarm:
    """An alarm of ours that last changed so many seconds after the first read."""
    when = AT + timedelta(seconds=seconds)
    report = report_of("A", alarm, when, LEDGER).model_dump(exclude={"at", "source"})
    return Alarm(**report, id="a-1", source=source, state=AlarmState.RAISED, raised=when, changed=when)


def said(before: tuple[ActiveAlarm, ...], now: tuple[ActiveAlarm, ...], *ours: Alarm) -> list[tuple[str, str]]:
    lists = (listed("A", before, FIRST, LEDGER), listed("A", now, SECOND, LEDGER))
    reports = missed_alarms(*lists, FIRST, SECOND, ours)
    assert {(report.at, report.source) for report in reports} <= {(SECOND, AlarmSource.ORAN_FM)}
    return [(report.specific_problem, report.severity.value) for report in reports]


def test_what_two_lists_name_is_raised_though_no_notification_came() -> None:
    assert said((FAN,), (FAN, OTHER)) == [("Fan=1", "MAJOR")]
    assert said((), (FAN,)) == [], "its notification may be under way"
    assert said((FAN,), (FAN,), standing()) == [], "it is known"


def test_another_severity_is_news() -> None:
    worse = replace(FAN, severity=PerceivedSeverity.CRITICAL)
    assert said((worse,), (worse,), standing()) == [("Fan=1", "CRITICAL")]


def test_what_no_list_names_any_more_is_cleared() -> None:
    assert said((OTHER,), (), standing()) == [("Fan=1", "CLEARED")]
    assert said((), (FAN,), standing()) == []
    assert said((FAN,), (), standing()) == [], "one list is no proof"


@pytest.mark.parametrize("seconds", [0, 1, 60])
def test_what_was_raised_after_the_first_read_is_not_cleared_by_it(seconds: float) -> None:
    assert said((), (), standing(seconds=seconds)) == []


def test_only_what_a_station_would_list_is_cleared() -> None:
    warning = replace(FAN, severity=PerceivedSeverity.WARNING)
    drift = standing().model_copy(update={"probable_cause": "configuration-drift", "specific_problem": ""})
    others = drift.model_copy(update={"source": AlarmSource.CHECK})
    assert said((), (), standing(warning), standing(source=AlarmSource.ALERTMANAGER), others, standing(DOWN)) == []


def test_a_cell_off_air_is_listed_where_its_station_tells_its_state_in_no_other_way() -> None:
    dead = ActiveAlarm("1002", "EUtranCellFDD=1", PerceivedSeverity.CRITICAL, "dead", stated=PerceivedSeverity.CRITICAL)
    assert [made.probable_cause for made in listed("A", (dead,), AT, LEDGER).values()] == ["cell-off-air"]
    assert listed("A", (dead,), AT, LEDGER, {"1"}) == {}
    ours = standing(dead)
    assert ours.probable_cause == "cell-off-air"
    assert [made.severity.value for made in missed_alarms({}, {}, FIRST, SECOND, [ours])] == ["CLEARED"]
    assert missed_alarms({}, {}, FIRST, SECOND, [ours], {"1"}) == [], "it is checked itself"


def test_core_links_are_looked_at_themselves() -> None:
    assert listed("A", (DOWN,), AT, LEDGER) == {}
    assert said((DOWN,), (DOWN,)) == []
