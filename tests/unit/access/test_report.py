from __future__ import annotations

from typing import Any

import pytest

from controller.access.report import _span, markdown
from controller.access.timeline import TimelineEntry

AT = "2026-10-05T12:30:15.123456Z"


def report(**given: Any) -> dict[str, Any]:
    """The report of an incident that is open and of which nothing more is known."""
    root = {"probable_cause": "cell-off-air", "station": "S1", "object": "S1/L1"}
    return {
        "id": "inc-1",
        "root": root,
        "state": "open",
        "severity": "MAJOR",
        "opened": AT,
        "closed": None,
        "cells": [],
        "people": 12000,
        "minutes": [],
        "agreements": [],
        "runs": [],
        "alarms": [],
        "comments": [],
    } | given


def row_of(text: str, name: str) -> str:
    (found,) = (line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return found.split(" | ", 1)[1].removesuffix(" |")


@pytest.mark.parametrize(
    ("until", "told"),
    [
        (AT, "2026-10-05 12:30:15 UTC"),
        ("2026-10-05T12:31:16.5Z", "2026-10-05 12:30:15 to 2026-10-05 12:31:16 UTC"),
    ],
)
def test_an_entry_of_some_time_tells_its_first_and_its_last_second(until: str, told: str) -> None:
    entry = TimelineEntry(AT, until, actor="check", action="alarm.reported", objects={}, words="", detail={})
    assert _span(entry) == told


def test_the_first_cells_are_named_and_the_others_counted() -> None:
    cells = [f"S1/L{number}" for number in range(1, 26)]
    assert row_of(markdown(report(cells=cells)), "Cells") == f"25: {', '.join(cells[:20])} and 5 more"
    assert row_of(markdown(report(cells=cells[:20])), "Cells") == f"20: {', '.join(cells[:20])}"
    assert row_of(markdown(report()), "Cells") == "none"


def test_a_long_table_says_how_many_rows_it_leaves_out() -> None:
    comments = [{"at": AT, "by": "ana", "text": f"note {number}"} for number in range(207)]
    text = markdown(report(comments=comments))
    assert "note 199 |" in text
    assert "note 200 |" not in text
    assert "\n… and 7 more\n" in text
    assert "more" not in markdown(report(comments=comments[:200]))


def test_facts_are_those_of_the_incident() -> None:
    text = markdown(report(flaps=3, acknowledged=AT, acknowledged_by="ana", owner="eva", taken=AT, merged_into="inc-0"))
    assert text.startswith("# Incident inc-1: cell-off-air\n")
    expected = {
        "Root": "cell-off-air of S1 S1/L1",
        "Opened": "2026-10-05 12:30:15 UTC",
        "Closed": "not yet",
        "Part of incident": "inc-0",
        "Came again": "3",
        "People": "12,000",
        "Acknowledged": "ana, 2026-10-05 12:30:15 UTC",
        "Taken over": "eva, 2026-10-05 12:30:15 UTC",
    }
    assert {name: row_of(text, name) for name in expected} == expected


def test_the_state_of_the_station_is_counted() -> None:
    links = [{"state": "up"}, {"state": "up"}, {"state": "unknown"}]
    health = {"at": AT, "cells": {"L1": "up", "L2": "down", "L3": "unknown"}, "links": links}
    said = "1 of 3 cells on air, 2 of 3 core links up, checked 2026-10-05 12:30:15 UTC"
    assert row_of(markdown(report(health=health)), "Device now") == said


def test_why_this_root_is_the_first_reason_on_the_timeline() -> None:
    def said(**detail: str) -> dict[str, Any]:
        return {"at": AT, "actor": "minka", "action": "incident.opened", "object": "inc-1", "detail": detail}

    text = markdown(report(timeline=[said(), said(why="power went first"), said(why="later")]))
    assert row_of(text, "Why this root") == "power went first"
    assert row_of(markdown(report(timeline=[said()])), "Why this root") == "no alarm explains it"
    assert "Why this root" not in markdown(report())


def test_of_a_run_its_times_and_steps_are_told() -> None:
    change = {"cell": "L1", "tenant": "alfa", "what": "PLMN", "before": "", "after": "716-10"}
    step = {"name": "lock", "state": "done", "outcome": None, "detail": "", "diff": [change]}
    device = {"station": "S1", "outcome": None, "detail": "away", "diff": [], "steps": [step]}
    run = {"id": "r-1", "procedure": "cycle-cell", "state": "running", "started": None, "finished": None}
    text = markdown(report(runs=[run | {"devices": [device], "before": ["S1/L1", "S1/L2"], "after": ["S1/L2"]}]))
    for line in (
        "### r-1: cycle-cell, running",
        "From never to now.",
        "In service before: S1/L1, S1/L2",
        "In service after: S1/L2; not any more: S1/L1",
        "S1 not done: away",
        "| L1 | alfa | PLMN |  | 716-10 |",
        "| lock | done |  |  |",
    ):
        assert f"\n{line}\n" in text
    unread = markdown(report(runs=[run | {"devices": [], "before": [], "after": None}]))
    assert "In service after" not in unread


def test_minutes_are_those_of_each_tenant_and_agreement() -> None:
    minutes = {
        "tenant": "alfa",
        "lost": 1234.56,
        "planned": 2,
        "own_work": 0,
        "own_core": 4.5,
        "outside": 3,
        "unseen": 0.25,
        "people": 5000,
    }
    agreement = {"agreement": "a1", "availability_percent": 99.5, "used": 7, "allowed": 216}
    text = markdown(report(minutes=minutes, agreements=[agreement]))
    names = "Tenant", "Lost", "Planned work", "Own core work", "Own core lost", "Outside the contract", "Not seen"
    header = f"| {' | '.join(names)} | People-minutes |"
    assert header in text
    assert "| alfa | 1,234.6 | 2.0 | 0.0 | 4.5 | 3.0 | 0.2 | 5,000 |" in text
    assert "| a1 | 99.5 % | 7.0 | 216.0 |" in text
    assert markdown(report(minutes=[minutes], agreements=[agreement])) == text
