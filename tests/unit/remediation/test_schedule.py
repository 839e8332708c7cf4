"""Schedules of who is on call: what is refused, and who is called when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from controller.inventory.definitions import read_definitions
from controller.inventory.source import Report
from controller.models.alarm import PAGE, TICKET, PerceivedSeverity
from controller.models.definitions import DefinitionFiles, DefinitionKind, Definitions
from controller.models.errors import InputError
from controller.models.on_call import Call, HandOver
from controller.remediation.definitions import check, left_out
from controller.remediation.schedule import DAYS, OnCall, Schedule, follow, parse_schedules, strange_contacts
from controller.remediation.schema import COMMITTED_SCHEDULE, render_schedule_schema

CRITICAL, MAJOR, MINOR = PerceivedSeverity.CRITICAL, PerceivedSeverity.MAJOR, PerceivedSeverity.MINOR
LIMA = ZoneInfo("America/Lima")
GOOD = """\
side: host
on_call:
  - name: day
    days: [mon, tue, wed, thu, fri]
    hours: 08:00-18:00
    contacts: [noc, manager]
    repeat_minutes: 10
  - name: night
    hours: 22:00-06:00
    days: [fri]
    severities: [CRITICAL]
    kinds: [page]
    contacts: [riders]
    repeat_minutes: 5
    calls: 1
  - name: otherwise
    contacts: [noc]
"""


def problems(text: str, **others: str) -> list[str]:
    report = Report()
    parse_schedules({"rules/oncall/host.yaml": text, **others}, report)
    return [str(one) for one in report.problems]


def schedule(text: str = GOOD) -> Schedule:
    report = Report()
    ((found, _),) = parse_schedules({"host.yaml": text}, report)
    assert report.problems == []
    return found


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("hours: 08:00-18:00", "hours: 8-18", 5, "on_call[0].hours", "as in 22:00-06:00"),
        ("hours: 08:00-18:00", "hours: 25:00-18:00", 5, "on_call[0].hours", "as in 22:00-06:00"),
        ("hours: 08:00-18:00", "hours: 08:00-08:00", 5, "on_call[0].hours", "leave it out for the whole day"),
        ("days: [fri]", "days: [friday]", 10, "on_call[1].days", "'fri'"),
        ("severities: [CRITICAL]", "severities: [GRAVE]", 11, "on_call[1].severities", "CRITICAL"),
        ("repeat_minutes: 10", "repeat_minutes: 0", 7, "on_call[0].repeat_minutes", "1"),
        ("    repeat_minutes: 10\n", "", 3, "on_call[0]", "several contacts need repeat_minutes"),
        ("contacts: [riders]", "contacts: []", 13, "on_call[1].contacts", "at least one"),
        ("name: night", "name: day", 8, "on_call[1].name", "a name of its own"),
        ("side: host", "side: [host]", 1, "side", ""),
        ("    days: [mon, tue, wed, thu, fri]\n    hours: 08:00-18:00\n", "", 3, "on_call[0]", "put it last"),
        (
            "  - name: otherwise\n",
            "  - name: otherwise\n    kinds: [page]\n",
            17,
            "on_call[2].kinds",
            "a last duty without",
        ),
        ("contacts: [noc]\n", "contact: [noc]\n", 17, "on_call[2]", "contacts"),
    ],
)
def test_each_error_names_file_line_and_field_and_says_what_is_right(
    old: str, new: str, line: int, field: str, words: str
) -> None:
    found = problems(GOOD.replace(old, new, 1))
    assert len(found) == 1, found
    assert f"rules/oncall/host.yaml:{line}" in found[0]
    assert field in found[0]
    assert words in found[0]


@pytest.mark.parametrize("text", ["", "- a", "side: host", "!!python/object:os.system {}", "a: &a [*a]", "on_call: {}"])
def test_what_is_no_schedule_is_refused(text: str) -> None:
    assert problems(text)


def test_the_committed_schema_is_that_of_schedules() -> None:
    words = "run: python -m controller.remediation.schema"
    assert COMMITTED_SCHEDULE.read_text(encoding="utf-8") == render_schedule_schema(), words


def test_the_schedule_of_the_docs_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "on-call.md").read_text(encoding="utf-8")
    text = page.partition("```yaml\n")[2].partition("```")[0]
    assert [one.name for one in schedule(text).on_call] == ["night", "otherwise"]
    (tmp_path / "oncall").mkdir()
    (tmp_path / "oncall" / "host.yaml").write_text(text)
    read = read_definitions(tmp_path, tmp_path, tmp_path)
    assert (read.of(DefinitionKind.ON_CALL), read.of(DefinitionKind.RULE)) == ({"rules/oncall/host.yaml": text}, {})
    check(read)
    wrong = DefinitionFiles({"rules/oncall/host.yaml": text.replace("side: host", "side: [host]")})
    with pytest.raises(InputError, match=r"rules/oncall/host\.yaml:1"):
        check(wrong)
    assert list(left_out(Definitions(1, "", "ana", "", NOW, wrong))) == ["rules/oncall/host.yaml"]


def test_a_side_has_one_schedule() -> None:
    (found,) = problems(GOOD, **{"rules/oncall/other.yaml": GOOD})
    assert "rules/oncall/other.yaml:1" in found
    assert "rules/oncall/host.yaml is the schedule of host already" in found


def test_a_tenant_may_have_nobody_on_call_at_times() -> None:
    text = GOOD.replace("side: host", "side: bitel").replace("  - name: otherwise\n    contacts: [noc]\n", "")
    assert problems(text) == []


@pytest.mark.parametrize(
    ("day", "time", "severity", "kind", "duty"),
    [
        ("mon", "07:59", CRITICAL, PAGE, "otherwise"),
        ("mon", "08:00", CRITICAL, PAGE, "day"),
        ("mon", "17:59", MINOR, TICKET, "day"),
        ("mon", "18:00", CRITICAL, PAGE, "otherwise"),
        ("sat", "12:00", CRITICAL, PAGE, "otherwise"),
        ("fri", "21:59", CRITICAL, PAGE, "otherwise"),
        ("fri", "22:00", CRITICAL, PAGE, "night"),
        ("sat", "05:59", CRITICAL, PAGE, "night"),
        ("sat", "06:00", CRITICAL, PAGE, "otherwise"),
        ("fri", "05:59", CRITICAL, PAGE, "otherwise"),
        ("sat", "22:00", CRITICAL, PAGE, "otherwise"),
        ("fri", "23:00", MAJOR, PAGE, "otherwise"),
        ("fri", "23:00", CRITICAL, TICKET, "otherwise"),
    ],
)
def test_the_first_duty_that_answers_counts(
    day: str, time: str, severity: PerceivedSeverity, kind: str, duty: str
) -> None:
    at = datetime.fromisoformat(f"2026-12-{7 + DAYS.index(day):02}T{time}")
    found = schedule().duty(at, severity, kind)
    assert found is not None
    assert (at.weekday(), found.name) == (DAYS.index(day), duty)


def on(text: str = GOOD, contacts: str = "noc manager riders", **handed: str) -> OnCall:
    overs = {
        one: HandOver(
            id="o-1", side="host", contact=one, to=to, since=NOW, until=NOW + timedelta(hours=9), by="ana", reason="ill"
        )
        for one, to in handed.items()
    }
    return OnCall(schedule(text), contacts.split(), overs, lambda at: at.astimezone(LIMA))


#: Monday, 09:00 in Lima.
NOW = datetime(2026, 12, 7, 14, 0, tzinfo=UTC)
FIRST = Call(alarm="a-1", escalation=1, side="host", number=0, duty="", place=0, nth=0, contact="", at=NOW)


def played(who: OnCall, begin: datetime = NOW, severity: PerceivedSeverity = CRITICAL) -> list[tuple[str, int]]:
    """Contacts that are called where nobody acknowledges, each with the minutes since the escalation."""
    found, before, now = [], None, begin
    while (call := follow(who, severity, FIRST, before, now)) is not None:
        found.append((call.contact, int((now - begin).total_seconds() // 60)))
        assert call.number == len(found)
        if call.next is None:
            break
        before, now = call, call.next
    return found


def test_each_contact_is_called_again_and_then_the_next_one_in_the_zone_of_the_network() -> None:
    assert played(on()) == [("noc", 0), ("noc", 10), ("manager", 20), ("manager", 30)]
    assert played(on(), NOW - timedelta(hours=2)) == [("noc", 0)], "07:00 in Lima: the last duty, which repeats nothing"


def test_another_duty_begins_with_its_own_first_contact() -> None:
    text = GOOD.replace(
        "    contacts: [noc]\n", "    contacts: [riders, manager]\n    repeat_minutes: 7\n    calls: 1\n"
    )
    late = datetime(2026, 12, 7, 22, 45, tzinfo=UTC)  # 17:45
    assert played(on(text), late) == [("noc", 0), ("noc", 10), ("riders", 20), ("manager", 27)]


@pytest.mark.parametrize(
    ("handed", "called"),
    [
        ({"noc": "riders"}, ["riders", "riders", "manager", "manager"]),
        ({"noc": "riders", "riders": "manager"}, ["manager"] * 4),
        ({"noc": "manager", "manager": "noc"}, ["manager", "manager", "noc", "noc"]),
        ({"noc": "gone"}, ["noc", "noc", "manager", "manager"]),
    ],
)
def test_who_handed_over_is_not_called(handed: dict[str, str], called: list[str]) -> None:
    assert [contact for contact, _ in played(on(**handed))] == called


def test_who_handed_over_is_named() -> None:
    call = follow(on(noc="riders"), CRITICAL, FIRST, None, NOW)
    assert call is not None
    assert (call.contact, call.instead_of) == ("riders", "noc")


def test_contacts_that_the_network_files_do_not_have_are_passed_over_and_told() -> None:
    who = on(contacts="manager")
    assert played(who) == [("manager", 0), ("manager", 10)]
    assert played(on(contacts="")) == []
    (noc, riders, last) = strange_contacts(who.schedule, who.contacts)
    assert "duty day: contact 'noc' is not in the network files of host" in noc
    assert ("riders" in riders, "otherwise" in last) == (True, True)
