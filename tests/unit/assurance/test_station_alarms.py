from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from controller.assurance.station_alarms import (
    Listed,
    ListReports,
    listed,
    missed_alarms,
    report_of,
    report_of_record,
)
from controller.drivers.netconf.active_alarms import ALARM_NOTIF, decode_alarm
from controller.models.alarm import (
    ActiveAlarm,
    Alarm,
    AlarmRecord,
    AlarmReport,
    AlarmSource,
    AlarmState,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.run import LedgerEntry
from controller.nrm.profiles.alarm_list import decode_records
from controller.nrm.tree import Observed

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


def test_a_name_longer_than_any_is_no_object_though_it_ends_like_one() -> None:
    near, far = (
        report_of_record("A", record(object=f"DC={'x' * letters},EP_S1C=claro-1"), AT, LEDGER) for letters in (9, 990)
    )
    assert (near.object, far.object_class) == (LINK, ObjectClass.STATION)
    assert far.object == f"DC={'x' * 990},EP_S1C"


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


def of_radio(found: Mapping[AlarmSource, Listed]) -> Listed:
    """What o-ran-fm lists."""
    return found[AlarmSource.ORAN_FM]


def said(before: tuple[ActiveAlarm, ...], now: tuple[ActiveAlarm, ...], *ours: Alarm) -> list[tuple[str, str]]:
    first, second = (
        listed(ListReports.of("A", Observed({}, alarms=one), at, LEDGER))
        for one, at in ((before, FIRST), (now, SECOND))
    )
    reports = missed_alarms(first, second, FIRST, SECOND, ours)
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
    seen = Observed({}, alarms=(dead,))
    assert [made.probable_cause for made in of_radio(listed(ListReports.of("A", seen, AT, LEDGER))).values()] == [
        "cell-off-air"
    ]
    assert of_radio(listed(ListReports.of("A", seen, AT, LEDGER), {"1"})) == {}
    ours = standing(dead)
    assert ours.probable_cause == "cell-off-air"
    none = listed(ListReports.of("A", Observed({}), AT, LEDGER))
    assert [made.severity.value for made in missed_alarms(none, none, FIRST, SECOND, [ours])] == ["CLEARED"]
    assert missed_alarms(none, none, FIRST, SECOND, [ours], {"1"}) == [], "it is checked itself"


def test_core_links_are_looked_at_themselves() -> None:
    assert of_radio(listed(ListReports.of("A", Observed({}, alarms=(DOWN,)), AT, LEDGER))) == {}
    assert said((DOWN,), (DOWN,)) == []


# ------------------------------------------------------------------------ AlarmList

ME = "urn:3gpp:sa5:_3gpp-common-managed-element"
ELEMENT = "ManagedElement=A"
DU = "/ManagedElement[A]/GNBDUFunction[1]"
S1C, CELL_1 = f"{ELEMENT},ENBFunction=1,EP_S1C=claro-1", f"{ELEMENT},ENBFunction=1,EUtranCellFDD=1"


def record(**values: str) -> AlarmRecord:
    known: dict[str, Any] = {
        "id": "a-1",
        "object": ELEMENT,
        "type": "EQUIPMENT_ALARM",
        "cause": "powerProblem",
        "problem": "mains lost",
    }
    severity = PerceivedSeverity(values.pop("severity", "MAJOR"))
    return AlarmRecord(**known | {"text": "on battery"} | values, severity=severity)


def made_of(**values: str) -> AlarmReport:
    return report_of_record("A", record(**values), AT, LEDGER)


def test_a_record_keeps_the_stations_words_and_its_cause_is_none_of_our_own() -> None:
    made = made_of()
    assert (made.object, made.object_class, made.tenant) == ("station", ObjectClass.STATION, "")
    assert (made.probable_cause, made.specific_problem, made.text) == ("3gpp-power-problem", "mains lost", "on battery")
    assert (made.severity, made.source, made.at) == (PerceivedSeverity.MAJOR, AlarmSource.ALARM_LIST, AT)
    assert made_of(cause="cell-off-air").probable_cause == "3gpp-cell-off-air"


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("lossOfSignal", "3gpp-loss-of-signal"),
        ("Loss Of Signal", "3gpp-loss-of-signal"),
        ("dTE-DCEInterfaceError", "3gpp-d-te-dceinterface-error"),
        ("351", "3gpp-351"),
        ("", "3gpp-indeterminate"),
        ("\u202e!", "3gpp-indeterminate"),
        ("x" * 1000, "3gpp-" + "x" * 59),
    ],
)
def test_probable_causes_are_spelled_so_that_rules_can_name_them(words: str, cause: str) -> None:
    assert made_of(cause=words).probable_cause == cause


@pytest.mark.parametrize(
    ("name", "found", "kind"),
    [
        (CELL_1, CELL, ObjectClass.CELL),
        (f"SubNetwork=south,{CELL_1}", CELL, ObjectClass.CELL),
        (r'SubNetwork="a,b",ENBFunction=1,EUtranCellFDD=1', CELL, ObjectClass.CELL),
        (r"Rack=a\,EUtranCellFDD=1",) * 2 + (ObjectClass.STATION,),
        ('Rack="a,EUtranCellFDD=1"',) * 2 + (ObjectClass.STATION,),
        ('Rack="a,EUtranCellFDD=1',) * 2 + (ObjectClass.STATION,),
        ("ENBFunction=1,EUtranCellFDD=1", CELL, ObjectClass.CELL),
        (f"{ELEMENT},GNBDUFunction=1,NRSectorCarrier=7", f"{DU}/NRSectorCarrier[7]", "carrier"),
        (f"{ELEMENT},SectorEquipmentFunction=ru", "/ManagedElement[A]/SectorEquipmentFunction[ru]", "radio-unit"),
        (f"SubNetwork=south,{ELEMENT}", "station", ObjectClass.STATION),
        ("", "station", ObjectClass.STATION),
        ("fan-1", "fan-1", ObjectClass.STATION),
        ("ManagedElement=B,ENBFunction=1,EUtranCellFDD=1",) * 2 + (ObjectClass.STATION,),
    ],
)  # fmt: skip
def test_the_object_of_a_record_is_the_node_that_its_name_means(name: str, found: str, kind: str) -> None:
    made = made_of(object=name)
    assert (made.object, made.object_class.value) == (found, kind)


def test_what_our_own_check_finds_is_the_same_fault() -> None:
    down = made_of(object=S1C)
    assert (down.object, down.tenant, down.probable_cause, down.specific_problem) == (
        LINK,
        "claro",
        "core-link-down",
        "",
    )
    dead = made_of(object=CELL_1, severity="CRITICAL")
    assert (dead.object, dead.probable_cause, dead.specific_problem) == (CELL, "cell-off-air", "")
    for other in (made_of(object=S1C, severity="MINOR"), made_of(object=CELL_1)):
        assert (other.probable_cause, other.specific_problem) == ("3gpp-power-problem", "mains lost")


def in_list(*records: AlarmRecord) -> Mapping[AlarmSource, Listed]:
    return listed(ListReports.of("A", Observed({}, records=records), AT, LEDGER))


def news(before: Mapping[AlarmSource, Listed], now: Mapping[AlarmSource, Listed], *ours: Alarm) -> list[str]:
    return [one.severity.value for one in missed_alarms(before, now, FIRST, SECOND, ours)]


def listed_alarm(**values: str) -> Alarm:
    made = made_of(**values).model_dump(exclude={"at"})
    when = AT - timedelta(seconds=60)
    return Alarm(**made, id="a-1", state=AlarmState.RAISED, raised=when, changed=when)


def test_two_reads_of_a_list_decide() -> None:
    warning = record(severity="WARNING")
    assert news(in_list(), in_list(warning)) == []
    assert news(in_list(warning), in_list(warning)) == ["WARNING"]
    assert news(in_list(warning), in_list(), listed_alarm(severity="WARNING")) == []
    assert news(in_list(), in_list(), listed_alarm(severity="WARNING")) == ["CLEARED"], "warnings clear in a list"


def test_a_locked_list_means_nothing() -> None:
    locked = listed(ListReports.of("A", Observed({}), AT, LEDGER))
    assert AlarmSource.ALARM_LIST not in locked
    for before, now in ((locked, locked), (locked, in_list()), (in_list(), locked)):
        assert news(before, now, listed_alarm()) == []


def test_a_list_that_was_built_anew_tells_of_the_same_faults() -> None:
    again = record(id="b-77")
    assert news(in_list(record()), in_list(again), listed_alarm()) == []


def test_a_cleared_record_is_over_though_nobody_acknowledged_it() -> None:
    over = record(severity="CLEARED")
    assert news(in_list(over), in_list(over), listed_alarm()) == ["CLEARED"]
    assert news(in_list(over), in_list(over)) == []


def test_of_records_of_one_fault_the_worst_counts() -> None:
    both = (record(severity="MAJOR"), record(id="a-2", severity="MINOR", type="OTHER"))
    assert [one.severity.value for one in in_list(*both)[AlarmSource.ALARM_LIST].values()] == ["MAJOR"]


def test_each_list_clears_its_own_and_not_what_the_other_one_still_tells() -> None:
    dead = ActiveAlarm("1002", "EUtranCellFDD=1", PerceivedSeverity.CRITICAL, "dead", stated=PerceivedSeverity.CRITICAL)
    ours = listed_alarm(object=CELL_1, severity="CRITICAL")
    seen = listed(ListReports.of("A", Observed({}, alarms=(dead,), records=()), AT, LEDGER))
    assert news(seen, seen, ours) == []
    assert news(in_list(), in_list(), ours, standing()) == ["CLEARED", "CLEARED"]
    without = listed(ListReports.of("A", Observed({}), AT, LEDGER))
    assert news(without, without, listed_alarm(), standing()) == ["CLEARED"], "only the one of o-ran-fm"


def test_a_fault_that_a_station_tells_in_both_ways_is_one_alarm() -> None:
    again = record(text=FAN.text, problem="a fan", cause="coolingFanFailure")
    both = Observed({}, alarms=(FAN,), records=(again,))
    found = listed(ListReports.of("A", both, AT, LEDGER))
    assert [one.probable_cause for one in of_radio(found).values()] == ["o-ran-fault-26"]
    assert found[AlarmSource.ALARM_LIST] == {}
    alone = listed(ListReports.of("A", both, AT, LEDGER), sources={AlarmSource.ALARM_LIST})[AlarmSource.ALARM_LIST]
    assert [one.probable_cause for one in alone.values()] == ["3gpp-cooling-fan-failure"]
    two = Observed({}, alarms=(FAN,), records=(again, replace(again, id="a-2", problem="another fan")))
    (other,) = listed(ListReports.of("A", two, AT, LEDGER))[AlarmSource.ALARM_LIST].values()
    assert other.specific_problem == "another fan", "o-ran-fm tells of one of them"


def test_the_same_words_about_two_nodes_are_two_faults() -> None:
    degraded = ActiveAlarm("1002", "EUtranCellFDD=1", PerceivedSeverity.MINOR, "degraded")
    records = (record(object=f"{ELEMENT},ENBFunction=1,EUtranCellFDD=2", text="degraded", severity="MINOR"),)
    found = listed(ListReports.of("A", Observed({}, alarms=(degraded,), records=records), AT, LEDGER))
    assert [len(one) for one in found.values()] == [1, 1]
    mute = listed(
        ListReports.of("A", Observed({}, alarms=(replace(FAN, text=""),), records=(record(text=""),)), AT, LEDGER)
    )
    assert [len(one) for one in mute.values()] == [1, 1], "no words prove nothing"


def xml(state: str = "<administrativeState>UNLOCKED</administrativeState>", records: str = "") -> etree._Element:
    return etree.fromstring(
        f'<ManagedElement xmlns="{ME}"><id>A</id><AlarmList><id>1</id><attributes>{state}{records}</attributes>'
        "</AlarmList></ManagedElement>"
    )


def test_records_are_read_in_the_words_of_the_module() -> None:
    text = """<alarmRecords><alarmId>a-7</alarmId><objectInstance>ManagedElement=A</objectInstance>
      <notificationId>3</notificationId><alarmRaisedTime>2031-01-01T00:00:00Z</alarmRaisedTime>
      <alarmType>PHYSICAL_VIOLATIONu</alarmType><probableCause>enclosureDoorOpen</probableCause>
      <specificProblem>door</specificProblem><perceivedSeverity>INDETERMINATE</perceivedSeverity>
      <additionalText> the door \n is open</additionalText><ackState>ACKNOWLEDGED</ackState>
      <ackUserId>ana</ackUserId></alarmRecords>"""
    (read,) = decode_records(xml(records=text)) or ()
    assert read == AlarmRecord(
        *("a-7", "ManagedElement=A", "PHYSICAL_VIOLATIONu", "enclosureDoorOpen", "door"),
        *(PerceivedSeverity.INDETERMINATE, "the door is open", "ana", datetime(2031, 1, 1, tzinfo=UTC)),
    )


def test_a_time_of_a_record_that_is_none_is_not_known() -> None:
    times = "<alarmRaisedTime>{}</alarmRaisedTime><alarmClearedTime>{}</alarmClearedTime>"
    text = f"<alarmRecords><alarmId>a-7</alarmId>{times}</alarmRecords>"
    (read,) = decode_records(xml(records=text.format("soon", "2031-01-01T02:00:00.25+02:00"))) or ()
    assert (read.raised, read.cleared) == (None, datetime(2031, 1, 1, microsecond=250_000, tzinfo=UTC))


@pytest.mark.parametrize(
    "state",
    [
        "",
        "<administrativeState>LOCKED</administrativeState>",
        "<administrativeState>SHUTTINGDOWN</administrativeState>",
        "<administrativeState>UNLOCKED</administrativeState><operationalState>DISABLED</operationalState>",
        "<administrativeState>UNLOCKED</administrativeState><operationalState>disabled</operationalState>",
    ],
)
def test_a_list_that_is_not_kept_is_unknown(state: str) -> None:
    assert decode_records(xml(state)) is None
    assert decode_records(etree.fromstring(f'<ManagedElement xmlns="{ME}"/>')) is None
    assert decode_records(xml()) == ()


@pytest.mark.parametrize(("name", "known"), [("a  7 ", "a  7 "), ("x" * 1001, "")])
def test_an_id_is_kept_as_it_is_or_not_at_all(name: str, known: str) -> None:
    """It is written back, and another one would be another record."""
    (read,) = decode_records(xml(records=f"<alarmRecords><alarmId>{name}</alarmId></alarmRecords>")) or ()
    assert read.id == known


def test_a_flood_of_long_records_is_bounded_and_the_worst_are_kept() -> None:
    one = "<alarmRecords><alarmId>{}</alarmId><perceivedSeverity>{}</perceivedSeverity></alarmRecords>"
    many = "".join(one.format(number, "MINOR") for number in range(10_000)) + one.format("last", "CRITICAL")
    read = decode_records(xml(records=many)) or ()
    assert (len(read), read[0].id) == (1000, "last")
    (long,) = (
        decode_records(xml(records=f"<alarmRecords><additionalText>{'x' * 1_000_000}</additionalText></alarmRecords>"))
        or ()
    )
    assert len(long.text) == 1000


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("commercialPowerFailure", "mains-lost"),
        ("Commercial Power Failure", "mains-lost"),
        ("batteryDischarging", "on-battery"),
        ("lowBatteryThreshold", "on-battery"),
        ("powerProblem", "3gpp-power-problem"),
        ("powerSupplyFailure", "3gpp-power-supply-failure"),
        ("rectifierFailure", "3gpp-rectifier-failure"),
        ("batteryFailure", "3gpp-battery-failure"),
    ],
)
def test_only_words_of_the_mains_and_the_battery_are_lost_mains(words: str, cause: str) -> None:
    made = made_of(cause=words)
    assert (made.probable_cause, made.specific_problem) == (
        cause,
        "mains lost" if cause.startswith("3gpp") else "",
    )
    part = made_of(cause=words, object=f"{ELEMENT},RadioUnit=ru-1")
    assert part.probable_cause.startswith("3gpp-"), "a part without power is not the site"


def test_an_external_input_goes_before_the_list() -> None:
    lost = record(cause="commercialPowerFailure")
    by_list = {AlarmSource.ALARM_LIST: {("station", "mains-lost", "")}}
    told = listed(ListReports.of("A", Observed({}, records=(lost,)), AT, LEDGER))
    assert {source: set(found) for source, found in told.items() if found} == by_list
    wired = listed(ListReports.of("A", Observed({}, records=(lost,)), AT, LEDGER), wired={"mains-lost": ""})
    assert not any(wired.values())
    other = listed(ListReports.of("A", Observed({}, records=(lost,)), AT, LEDGER), wired={"on-battery": ""})
    assert {source: set(found) for source, found in other.items() if found} == by_list
