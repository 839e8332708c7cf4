"""``minka device show``: what is on record of one station."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from controller.cli import device, functions
from controller.cli.errors import FAILED, CliError
from controller.cli.output import out, when
from tests.unit.cli.test_showing import Api

KPIS = [
    {"name": "accessibility", "title": "Accessibility", "unit": "%"},
    {"name": "retainability", "title": "Abnormal releases per hour of use", "unit": "1/h"},
]
END = "2026-01-05T10:00:00Z"
#: As it is shown, in the time zone of the machine.
AT = when(END)
WORSE = "worse than usual by 1.8 tolerances"
COLLECTION = {"newest": END, "missing": 0, "failures": 0, "reason": ""}
JUDGED = {"until": END, "values": {"accessibility": 98.765, "retainability": 3.25, "users": 12}}
DEVICE = {"station": "S1", "site": "s", "region": "r", "profiles": ["lte-28658"], "health": None, "retired": None}


def test_entries_stand_below_those_that_contain_them_and_no_path_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = "/ManagedElement[PE-CUS-0145]/ENBFunction[1]/EUtranCellFDD[B28-1]"
    tree = {cell: {"tac": "16013", "kinds": ["a" * 50, "b" * 40]}, f"{cell}/plmnIdList[716,06]": {}}
    live = {"tree": tree | {"/ManagedElement[PE-CUS-0145]/AlarmList[1]": {}}, "state": {cell: {"cellState": "ACTIVE"}}}
    monkeypatch.setattr(device, "client", lambda: Api({"/v1/devices/PE-CUS-0145/config": live}))
    device.get("PE-CUS-0145")
    assert f"{cell}/plmnIdList[716,06]" in capsys.readouterr().out.split()
    monkeypatch.setattr(out, "_force_terminal", True)
    monkeypatch.setattr(out, "width", 80)
    monkeypatch.setenv("MINKA_PAGER", "")
    device.get("PE-CUS-0145")
    assert capsys.readouterr().out.splitlines() == [
        "/ManagedElement[PE-CUS-0145]",
        "  ENBFunction[1]",
        "    EUtranCellFDD[B28-1]",
        f"        tac=16013 kinds={'a' * 50},",
        f"        {'b' * 40} (cellState)=ACTIVE",
        "      plmnIdList[716,06]",
        "  AlarmList[1]",
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("plmnIdLst", "did you mean 'plmnIdList'?"),
        ("plmnIdLst[716,06]", "did you mean 'plmnIdList'?"),
        ("zzz", "its entries are EUtranCellFDD, ManagedElement, plmnIdList"),
    ],
)
def test_a_filter_that_no_entry_meets_is_refused_with_the_names_that_there_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, hint: str
) -> None:
    tree: dict[str, Any] = {"/ManagedElement[S1]/EUtranCellFDD[B28-1]/plmnIdList[716,06]": {}}
    live = {"tree": tree, "state": {}}
    monkeypatch.setattr(device, "client", lambda: Api({"/v1/devices/S1/config": live}))
    with pytest.raises(CliError) as refused:
        device.get("S1", text)
    assert str(refused.value) == f"--filter {text!r}: no entry of S1 has this in its path; {hint}"
    assert refused.value.status == FAILED
    device.get("S1", text, as_json=True)
    assert json.loads(capsys.readouterr().out)["tree"] == {}, "a program asks whether there is one"


def test_foreign_elements_that_were_agreed_to_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for beside in ([], ["ran1", "ran2"]):
        said = DEVICE | {"adopted": END, "applied": END, "beside": beside}
        monkeypatch.setattr(device, "client", lambda said=said: Api({"/v1/devices/S1": said}))
        device.show("S1")
        shown = capsys.readouterr().out
        assert ("beside it, as agreed: ManagedElement=ran1, ManagedElement=ran2" in shown) is bool(beside)


@pytest.mark.parametrize(
    ("more", "lines"),
    [
        ({"collection": COLLECTION, "indicators": None}, [f"performance data: until {AT}"]),
        ({"collection": COLLECTION | {"newest": None}, "indicators": None}, ["performance data: none yet"]),
        (
            {"collection": COLLECTION | {"missing": 2}, "indicators": None},
            [f"performance data: until {AT}, 2 periods of the last day missing"],
        ),
        (
            {"collection": COLLECTION | {"failures": 1, "reason": "unreachable"}, "indicators": None},
            [f"performance data: until {AT}; 1 failure in a row: unreachable"],
        ),
        (
            {
                "collection": None,
                "indicators": JUDGED | {"degradations": {"accessibility": 0.0, "retainability": 1.75}},
            },
            [
                "performance data: none is collected of it",
                f"indicators until {AT}: Abnormal releases per hour of use 3.25 1/h, {WORSE}; Accessibility 98.77 %",
            ],
        ),
        # To a tenant's people all is told that there is of their own part.
        (
            {"indicators": {"until": JUDGED["until"], "values": {"retainability": 0.5}}},
            [f"indicators until {AT}: Abnormal releases per hour of use 0.5 1/h"],
        ),
        (
            {"indicators": {"until": JUDGED["until"], "values": {}}},
            [f"indicators until {AT}: none could be judged"],
        ),
        ({"indicators": None}, []),
    ],
)
def test_a_station_is_shown_with_what_it_measures(
    more: dict[str, Any], lines: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Api:
        def get(self, _path: str) -> Any:
            return DEVICE | more

        def all(self, path: str) -> Any:
            assert path == "/v1/kpis"
            return KPIS

    monkeypatch.setattr(device, "client", Api)
    device.show("S1")
    assert capsys.readouterr().out.splitlines() == [
        "S1: site s, region r, lte-28658",
        *lines,
        "not checked yet",
    ]


def test_a_tenant_without_an_agreement_in_force_is_told_why_a_station_has_no_health(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Api:
        def get(self, _path: str) -> Any:
            return {name: value for name, value in DEVICE.items() if name != "retired"}

        def all(self, _path: str) -> Any:
            return KPIS

    monkeypatch.setattr(device, "client", Api)
    device.show("S1")
    assert capsys.readouterr().out.splitlines()[-1] == (
        "not checked yet, or no agreement of yours is in force here today"
    )


def test_drift_says_which_run_holds_a_device_that_differs(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"cell": "", "tenant": "bitel", "what": "S1 link bitel-mme", "before": "present", "after": "–"}
    held = {"run": "r-1", "procedure": "apply", "requested_by": "ana", "state": "running", "waits": ""}
    waits = held | {"run": "r-2", "waits": "waits for its group"}
    differing = {"S1": [row], "S2": [row], "S3": [row]}
    said = {"stations": differing | {"S4": []}, "unread": {}, "not_adopted": 0, "runs": {"S1": held, "S2": waits}}
    device._show_drift(said, differing)
    lines = capsys.readouterr().out
    assert "3 of 4 devices differ; a run holds 2 of them" in lines
    until = "until it ends there, what differs may be its own unfinished change"
    assert f"S1: run r-1 (apply) of ana holds it (running); {until}" in lines
    assert f"S2: run r-2 (apply) of ana holds it (running: waits for its group); {until}" in lines
    device._show_drift(said | {"runs": {}}, differing)
    assert "hold" not in capsys.readouterr().out


def test_nothing_good_is_said_of_a_station_that_was_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    """Its locks and its drift are unknown, or those of its last read; never "no" and 0 as if somebody had looked."""
    health: dict[str, Any] = {"reachable": False, "at": END, "read": None, "links": [], "locked": [], "drift": 0}
    health["cells"] = {"L1": "unknown", "L2": "unknown"}
    lines = shown_cells(capsys, health)
    assert lines == [["L1", "unknown", "unknown"], ["L2", "unknown", "unknown"]]
    assert str(device._drift(health)) == ""
    before = health | {"read": END, "locked": ["L2"], "drift": 2}
    lines = shown_cells(capsys, before)
    assert lines == [["L1", "unknown", "unknown"], ["L2", "unknown", "yes when last read"]]
    assert [str(device._drift(before | more)) for more in ({}, {"drift": 0}, {"reachable": True})] == ["2?", "0?", "2"]
    assert device._drift({name: value for name, value in before.items() if name != "drift"}) == ""


def test_who_locked_a_cell_stands_below_its_state(capsys: pytest.CaptureFixture[str]) -> None:
    health = {"reachable": True, "at": END, "links": [], "locked": ["L2"], "cells": {"L1": "up", "L2": "down"}}
    words = "ana locked cell L2 by run r-1 (relock)"
    holder = {"words": words, "at": END, "outcome": None, "reason": "INC-7"}
    for more, said in (
        ({}, f"{words}; it began {when(END)}; reason: INC-7"),
        ({"outcome": "succeeded"}, f"{words}; reason: INC-7"),
        ({"outcome": "succeeded", "reason": ""}, words),
        ({"at": None, "reason": ""}, words),
    ):
        device._show(DEVICE | {"health": health, "lock_holders": {"L2": holder | more}}, {})
        assert said in capsys.readouterr().out.splitlines()


def test_a_state_in_an_unknown_word_is_shown_as_unknown_with_that_word(capsys: pytest.CaptureFixture[str]) -> None:
    link = {
        "tenant": "alfa",
        "kind": "S1C",
        "path": "/x/EP_S1C[alfa-1]",
        "state": "unknown",
        "odd": "operationalState ''",
    }
    health = {"reachable": True, "at": END, "links": [link], "locked": [], "cells": {"L1": "unknown", "L2": "unknown"}}
    cells = shown_cells(capsys, health | {"odd": {"L1": "cellState 'on'"}})
    assert cells == [["L1", "unknown (cellState 'on')", "no"], ["L2", "unknown", "no"]]
    device._show(DEVICE | {"health": health}, {})
    assert "unknown (operationalState '')" in capsys.readouterr().out


def shown_cells(capsys: pytest.CaptureFixture[str], health: dict[str, Any]) -> list[list[str]]:
    """The table of cells that ``device show`` prints."""
    device._show(DEVICE | {"health": health}, {})
    lines = capsys.readouterr().out.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("cell"))
    return [re.split(r"\s{2,}", line.strip()) for line in lines[begin + 1 : begin + 3]]


@pytest.mark.parametrize("seen", [None, END])
def test_a_pool_and_a_function_that_nobody_read_are_not_shown_as_without_fault(seen: str | None) -> None:
    said = str(functions._wrong({"seen": seen}, ""))
    assert said == ("" if seen else "not read yet")
