"""A dry run shows reach, order, steps, agreement and what it waits for; the same on many stations is one line."""

from __future__ import annotations

from typing import Any

import pytest

from controller.cli.playbook import show_rehearsal


def rehearsal(stations: int, says: str = "nothing to change on {}", **more: Any) -> dict[str, Any]:
    reach = {"stations": stations, "cells": stations * 3, "people": 70, "tenants": ["bitel"]}
    outlook = {"requirements": [], "votes": [], "tenants": [], "waits": {}, "overridden": ""}
    step = {"step": "bring the tenant", "action": "apply-intent", "fails": False, "diff": []}
    previews = [
        {"station": f"S{n:02}", "wave": n, "rank": 0, "steps": [{**step, "says": says.format(f"S{n:02}", n)}]}
        for n in range(stations)
    ]
    made = {
        "playbook": "move",
        "reach": reach,
        "plan": "",
        "stations": previews,
        "left_out": {},
        "refused": [],
        "findings": [],
    }
    return made | {"outlook": outlook, "strategy": {"policy": "unit", "canary": 1, "stop_after": 1, "soak": 60}} | more


@pytest.mark.parametrize("every", [False, True])
def test_what_is_the_same_on_many_stations_is_one_line(capsys: pytest.CaptureFixture[str], every: bool) -> None:
    show_rehearsal(rehearsal(50), every=every)
    said = capsys.readouterr().out
    assert said.count("bring the tenant") == (50 if every else 1)
    assert ("nothing to change on S07" in said) is every
    assert ("50 devices (S00 … S49)  bring the tenant  apply-intent  nothing to change on …" in said) is not every
    assert ("--all" in said) is not every
    assert "  wave 39: S39\n  … and 10 more waves\n" in said


def test_a_dry_run_counts_warnings_about_other_devices(capsys: pytest.CaptureFixture[str]) -> None:
    show_rehearsal(rehearsal(1, elsewhere=2))
    said = "2 other contract warnings concern none of these devices; all of them: minka network check DIRECTORY\n"
    assert said in capsys.readouterr().out


def test_a_run_that_failures_do_not_stop_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show_rehearsal(rehearsal(3, strategy={"policy": "station", "canary": 1, "stop_after": 1_000_000, "soak": 0}))
    assert "order: each station on its own; no failure stops it\n" in capsys.readouterr().out


def test_a_run_that_would_fail_says_where_it_ends_and_who_might_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    said = rehearsal(2)
    said["stations"][1]["steps"][0] |= {"fails": True, "says": "would fail now: 13 nodes can go: name nodes=13"}
    show_rehearsal(said)
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "who has to agree: nobody else by what is known; once step 'bring the tenant' on S01 fails no more, "
        "tenants within its reach may have to: bitel"
    ) in shown
    assert "only the person who asks for it" not in shown
    assert (
        "no window, freeze or hold is in the way, but as it is it would end at step 'bring the tenant' on S01" in shown
    )
    assert "could begin now" not in shown
    show_rehearsal(rehearsal(2, refused=["hold on S01"]))
    shown = " ".join(capsys.readouterr().out.split())
    assert "who has to agree: not known, since it would be refused; within its reach: bitel" in shown


def test_stations_of_which_a_step_says_another_thing_stay_apart(capsys: pytest.CaptureFixture[str]) -> None:
    show_rehearsal(rehearsal(40, "minimum %: 20 → {1}"))
    assert capsys.readouterr().out.count("bring the tenant") == 40


def test_only_the_wave_of_the_canary_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    strategy = {"policy": "unit", "stop_after": 1, "soak": 0}
    show_rehearsal(rehearsal(3, strategy={**strategy, "canary": 1, "canary_wave": 1}))
    assert "  wave 0: S00\n  canary: S01\n  wave 2: S02\n" in capsys.readouterr().out
    show_rehearsal(rehearsal(3, strategy={**strategy, "canary": 0}))
    assert "  wave 0: S00\n  wave 1: S01\n  wave 2: S02\n" in capsys.readouterr().out


def test_what_comes_behind_others_of_its_wave_stands_behind_them(capsys: pytest.CaptureFixture[str]) -> None:
    said = rehearsal(1)
    first, router = said["stations"][0], {**said["stations"][0], "station": "R00", "rank": 1}
    finding = {"severity": "warning", "code": "orphan", "message": "3 nodes of bitel stay"}
    show_rehearsal({**said, "stations": [router, first], "findings": [finding, {**finding, "severity": "info"}]})
    shown = capsys.readouterr().out
    assert "  wave 0: S00\n  wave 0, then: R00\n" in shown
    rows = [line.split()[0] for line in shown.splitlines() if "bring the tenant" in line]
    assert rows == ["S00", "R00"]
    assert shown.count("warning 3 nodes of bitel stay") == 1


def test_reach_order_and_who_has_to_agree_are_always_there(capsys: pytest.CaptureFixture[str]) -> None:
    show_rehearsal(rehearsal(1))
    said = capsys.readouterr().out
    assert "move reaches 1 device, 3 cells, 70 people; bitel" in said
    assert "order: unit by unit; stops after 1 failure; each wave stands for 60 s\n  wave 0: S00\n" in said
    assert "who has to agree: only the person who asks for it" in said
    assert "no window, freeze or hold is in the way: it could begin now" in said
    outlook = {
        "requirements": [
            {"side": "bitel", "agreement": "b-1", "action": "reduce", "stations": 3}
            | {"consent": "approval", "lead_hours": 0, "needed": 2, "approvers": ["rosa"]}
            | {"sign_in": True, "clauses": ["7.2"], "outage": {"kind": "for-good", "seconds": 0}}
            | {"stands_for": "", "off_air": None}
        ],
        "votes": [],
        "tenants": ["bitel"],
        "waits": {"window opens 2026-11-28 23:00 (America/Lima)": 3},
        "overridden": "",
    }
    show_rehearsal(rehearsal(3, outlook=outlook, refused=["a guard"], left_out={"S09": "not adopted"}))
    said = capsys.readouterr().out
    assert "  canary: S00\n  wave 1: S01\n  wave 2: S02\n" in said
    assert (
        "bitel (b-1): reduce on 3 devices, outage for good: approval by 2 of rosa, signed in at the identity provider"
        in said
    )
    assert ", or of host by clause 7.2" in said
    assert "waits on 3 devices: window opens" in said
    assert "it could begin now" not in said
    assert "may wait" not in said
    assert "would be refused: a guard" in said
    assert "left out S09: not adopted" in said


def test_a_run_that_may_wait_between_its_steps_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    said = rehearsal(3)
    said["outlook"]["between"] = {"step 'other' may come up to 900 s later, after ask: window opens 23:00": 2}
    show_rehearsal(said)
    assert (
        "may wait on 2 devices: step 'other' may come up to 900 s later, after ask: window opens 23:00\n"
        "no window, freeze or hold is in the way: it could begin now, and then may have to wait\n"
    ) in capsys.readouterr().out


def test_an_expression_that_asks_for_all_cells_is_shown_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    asks = {"file": "own.yaml", "step": "back", "input": "cells", "expression": "{{ before.dark }}", "stations": 2}
    said = rehearsal(2)
    said["outlook"]["open_inputs"] = [asks | {"why": "before.dark is known only after step 'look' (read-state)"}]
    show_rehearsal(said)
    assert (
        "  all cells count on 2 devices: own.yaml, step 'back', cells: {{ before.dark }}\n"
        "    before.dark is known only after step 'look' (read-state)\n"
    ) in capsys.readouterr().out


def test_few_lines_that_are_alike_are_one_line_with_their_number(capsys: pytest.CaptureFixture[str]) -> None:
    show_rehearsal(rehearsal(24))
    said = capsys.readouterr().out
    assert said.count("bring the tenant") == 1
    assert "24 devices (S00 … S23)  bring the tenant" in said
    show_rehearsal(rehearsal(24), every=True)
    assert capsys.readouterr().out.count("bring the tenant") == 24
    show_rehearsal(rehearsal(2))
    assert capsys.readouterr().out.count("bring the tenant") == 2


def test_what_takes_steps_back_stands_once_for_all_devices_the_last_step_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = rehearsal(4)
    assert "taken back" not in (show_rehearsal(said) or capsys.readouterr().out)
    for one in said["stations"]:
        one["steps"].append({**one["steps"][0], "step": "lock", "undo": f"unlock-cell of {one['station']}"})
        one["steps"][0]["undo"] = "the inverse of its change"
    said["stations"][0]["steps"][1]["undo"] = ""
    show_rehearsal(said)
    assert (
        "if a later step fails, what was done is taken back, the last step first:\n"
        "  lock on S01, S02, S03: unlock-cell of …\n"
        "  bring the tenant on 4 devices (S00 … S03): the inverse of its change\n"
    ) in capsys.readouterr().out
