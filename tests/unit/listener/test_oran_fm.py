from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lxml import etree

from controller.listener.oran_fm import ALARM_NOTIF, report_of
from controller.models.alarm import AlarmReport, PerceivedSeverity
from controller.models.run import LedgerEntry

AT = datetime(2026, 1, 1, tzinfo=UTC)
LINK = "/ManagedElement[A]/ENBFunction[1]/EP_S1C[claro-1]"
LEDGER = {LINK: LedgerEntry(station="A", path=LINK, owners=("claro",))}


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
    return report_of("A", element, AT, LEDGER.items())


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


@pytest.mark.parametrize("source", ["EP_S1C=entel-1", "EP_NgC=claro-1", "Fan=1", "", "EP_S1C"])
def test_everything_else_is_about_the_station_and_keeps_its_words(source: str) -> None:
    made = report(fault_source=source, fault_id="26")
    assert (made.object, made.probable_cause, made.specific_problem) == ("station", "o-ran-fault-26", source)
    assert made.tenant == ""


def test_an_unknown_severity_is_indeterminate() -> None:
    assert report(fault_severity="AWFUL").severity is PerceivedSeverity.INDETERMINATE
