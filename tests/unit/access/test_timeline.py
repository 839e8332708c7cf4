"""The time line of an incident: what happened to many alarms alike is one entry, what people say never."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from controller.access.timeline import joined, neighbours_of, parts_of

AT = datetime(2026, 12, 1, 6, 30, tzinfo=UTC)


def row(action: str, about: str, seconds: int, actor: str = "check", **detail: str) -> dict[str, Any]:
    return {
        "at": (AT + timedelta(seconds=seconds)).isoformat(),
        "actor": actor,
        "action": action,
        "object": about,
        "detail": detail,
    }


def storm(number: int) -> list[dict[str, Any]]:
    """A cut: alarms of many stations, each with an incident of its own, which all merge into that of the link."""
    ids = [f"a-{n:03}" for n in range(number)]
    rows = []
    for n, name in enumerate(ids):
        rows.append(row("alarm.raised", name, 2 * n, cause="station-unreachable", object="station"))
        rows.append(row("incident.opened", f"i{name[1:]}", 2 * n, "correlation", station=f"S-{n}", why="no alarm"))
    rows.append(row("alarm.raised", "a-link", 2 * number, cause="backhaul-down"))
    rows += [row("alarm.follows", name, 2 * number, "correlation", cause="backhaul-down") for name in ids]
    return rows


def test_a_hundred_alarms_that_are_alike_are_four_entries() -> None:
    stations = {f"a-{n:03}": f"S-{n}" for n in range(100)}
    found = joined(storm(100), stations)
    assert [(one.action, one.what, one.words) for one in found] == [
        ("alarm.raised", "100 alarms (S-0, S-1, S-2 and 97 more)", "station-unreachable"),
        ("incident.opened", "100 incidents (S-0, S-1, S-2 and 97 more)", "no alarm"),
        ("alarm.raised", "a-link", "backhaul-down"),
        ("alarm.follows", "100 alarms (S-0, S-1, S-2 and 97 more)", "backhaul-down"),
    ]
    assert (found[0].at, found[0].until) == (AT.isoformat(), (AT + timedelta(seconds=198)).isoformat())
    assert found[1].detail == {"why": "no alarm"}
    assert sum(one.rows for one in found) == len(storm(100))


def test_what_happens_again_much_later_is_an_entry_of_its_own() -> None:
    """A cut in the morning and one at noon are two, whatever they have in common."""
    rows = [row("alarm.raised", f"a-{n}", seconds, cause="x") for n, seconds in enumerate((0, 60, 20_000, 20_060))]
    assert [one.what for one in joined(rows, {})] == ["2 alarms (a-0, a-1)", "2 alarms (a-2, a-3)"]


def test_five_minutes_between_two_rows_are_one_entry_and_more_are_two() -> None:
    rows = [row("alarm.raised", f"a-{n}", seconds, cause="x") for n, seconds in enumerate((0, 300, 601, 901))]
    assert [one.what for one in joined(rows, {})] == ["2 alarms (a-0, a-1)", "2 alarms (a-2, a-3)"]


def test_an_alarm_that_comes_and_goes_is_counted() -> None:
    rows = [row(f"alarm.{what}", "a-1", n * 10) for n, what in enumerate(["raised", "cleared"] * 4)]
    assert [(one.action, one.what) for one in joined(rows, {})] == [
        *(("alarm.raised", "a-1 4 times"), ("alarm.cleared", "a-1 4 times")),
    ]


def test_what_people_say_and_other_reasons_stay_apart() -> None:
    said = [row("comment.added", "i-1", n, "ana", text="on my way") for n in range(2)]
    shelved = [row("alarm.shelved", f"a-{n}", n, "ana", reason=why) for n, why in enumerate(("rain", "rain", "snow"))]
    assert [(one.what, one.words) for one in joined([*said, *shelved], {})] == [
        *(("i-1", "on my way"), ("i-1", "on my way"), ("2 alarms (a-0, a-1)", "rain"), ("a-2", "snow")),
    ]


def test_acts_that_set_something_else_are_never_one() -> None:
    """Repair stopped and resumed, a rule that asks and then acts, holds with different ends."""
    rows = [
        *(row("switch.set", "remediation-stopped", n, "ana", on=on) for n, on in enumerate(("on", "off", "on"))),
        *(row("rule.mode-set", "r", n, "ana", mode=mode, scope="x") for n, mode in enumerate(("ask", "act"))),
        *(row("hold.put", f"S{n}", n, "ana", reason="rain", until=until) for n, until in enumerate("112")),
        *(row("freeze.put", "network", n, "ana", reason="y", begins="1", ends=ends) for n, ends in enumerate("23")),
    ]
    assert [(one.action, one.rows, one.sets) for one in joined(rows, {})] == [
        ("switch.set", 2, {"on": "on"}),
        ("switch.set", 1, {"on": "off"}),
        ("rule.mode-set", 1, {"mode": "ask", "scope": "x"}),
        ("rule.mode-set", 1, {"mode": "act", "scope": "x"}),
        ("hold.put", 2, {"until": "1"}),
        ("hold.put", 1, {"until": "2"}),
        ("freeze.put", 1, {"begins": "1", "ends": "2"}),
        ("freeze.put", 1, {"begins": "1", "ends": "3"}),
    ]


def test_incidents_beside_an_incident_are_named_once_with_the_reason() -> None:
    apart = [
        row("incident.kept-apart", "i-1", second, "correlation", beside=f"i-{other}", why="S3 stood before it")
        for second, other in enumerate((2, 2, 3))
    ]
    story = {"timeline": [row("incident.opened", "i-1", 0, "correlation", why="no alarm"), *apart]}
    assert neighbours_of(story) == ["i-2: S3 stood before it", "i-3: S3 stood before it"]
    assert neighbours_of({**story, "id": "i-2"}) == ["i-3: S3 stood before it"], "nothing stands beside itself"
    merged = row("incident.merged", "i-3", 9, "correlation", into="i-1")
    within = {"id": "i-1", "timeline": [*story["timeline"], merged]}
    assert neighbours_of(within) == ["i-2: S3 stood before it"], "what is part of it now does not stand beside it"
    assert neighbours_of({}) == [], "a tenant has no time line"


def test_an_incident_includes_what_was_merged_into_it_and_not_split_off_again() -> None:
    merged = [row("incident.merged", f"i-{n}", n, "correlation", into=into) for n, into in ((2, "i-1"), (3, "i-1"))]
    elsewhere = row("incident.merged", "i-4", 4, "correlation", into="i-9")
    story = {"id": "i-1", "timeline": [*merged, elsewhere]}
    assert parts_of(story) == ["i-2", "i-3"]
    split = row("incident.split", "i-2", 5, "ana")
    assert parts_of({**story, "timeline": [*story["timeline"], split]}) == ["i-3"]
    again = row("incident.merged", "i-2", 6, "correlation", into="i-1")
    assert parts_of({**story, "timeline": [*story["timeline"], split, again]}) == ["i-3", "i-2"]


def test_a_row_that_nobody_can_read_is_told_by_its_id() -> None:
    unreadable: dict[str, Any] = {"id": 7, "at": None, "actor": "", "action": "", "object": "", "detail": {}}
    found = joined([row("alarm.raised", "a-1", 0), unreadable, row("alarm.cleared", "a-1", 9)], {})
    assert [(one.at != "", one.action, one.what) for one in found] == [
        (True, "alarm.raised", "a-1"),
        (False, "unreadable", "row 7"),
        (True, "alarm.cleared", "a-1"),
    ]
