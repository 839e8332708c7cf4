"""Tables on terminals of any width: ids are whole, what matters less goes first, and long output has a pager."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.cli.output import manner, out
from controller.cli.plan_view import show_lines
from controller.cli.tables import Column, table
from controller.ports.clock import SystemClock
from tests.support.minka import minka
from tests.unit.cli.test_commands import ALL

KEPT = Path(__file__).with_name("tables")
WIDTHS = (80, 100, 120, 160)
AT, LATER = "2026-11-26T02:14:07Z", "2026-11-26T03:14:07Z"
HEALTH: dict[str, Any] = {
    "reachable": True,
    "at": AT,
    "cells": {"B28-1": "up", "B4-1": "unknown"},
    "drift": 3,
    "locked": [],
}
HEALTH |= {"links": [{"state": "up"}, {"state": "down"}]}
DARK: dict[str, Any] = {"reachable": False, "links": [{"state": "unknown"}, {"state": "unknown"}]}
DEVICE = {"region": "cusco", "profiles": ["lte-28658", "nr-28541"], "adopted": AT, "retired": None, "health": HEALTH}
COUNTS = {"succeeded": 12, "rolled-back": 1, "pending": 1180}
RUN: dict[str, Any] = {
    "state": "running",
    "procedure": "move-tenant-to-dedicated-carrier",
    "plan": "42327bc0ca30",
    "waves": 24,
}
RUN |= {"cause": "alarm:a-5d2f9cb1", "requested_by": "core-link-down", "created": AT, "wave": 3, "counts": COUNTS}
WAIT = {"what": "approval by 1 of bitel (rosa, eva) to reduce", "since": AT, "stations": 1180}
RUN["waits_for"] = [WAIT | {"who": "its approvers: minka approve"}]
ALARM: dict[str, Any] = {
    "state": "repairing",
    "severity": "CRITICAL",
    "object": "/ManagedElement[1]/GNBDUFunction[1]/NRCellDU[N78-1]",
}
ALARM |= {"tenants": ["bitel", "entel"], "cells": ["PE-CUS-0145/N78-1"]}
ALARM |= {"tenant": "", "probable_cause": "core-link-down", "count": 3, "raised": AT, "run": "r-c7cbe25074"}
ALARM |= {"note": "waits for a person: the rule's repair was refused twice, as its run r-c7cbe25074 says", "text": ""}
LADDER = [{"playbook": "recreate-core-endpoint"}, {"playbook": "", "ask": "", "ticket": "see to the core link"}]
LISTS: dict[str, list[dict[str, Any]]] = {
    "device list": [{"station": f"PE-CUS-014{n}", **DEVICE} for n in range(2)]
    + [{"station": "PE-CUS-0150", **DEVICE, "health": HEALTH | DARK}],
    "runs": [
        {"id": "r-21748f9c95", **RUN},
        {"id": "r-c7cbe25074", **RUN, "state": "succeeded", "cause": "person", "waits_for": []},
    ],
    "plans list": [
        {"id": "42327bc0ca30", "created": AT, "selector": "region=cusco|puno,rat=NR,station=PE-CUS-*,tenant=entel"}
        | {"stations": 1180, "unchanged": 12, "unplanned": 3, "findings": 4}
    ],
    "alarms list": [{"id": "a-5d2f9cb1", "station": "PE-CUS-0145", **ALARM}],
    "incidents list": [
        {"id": "i-5d2f9cb1e0", "state": "open", "root": "a-5d2f9cb1e0", "severity": "CRITICAL", "opened": AT, "rank": 2}
        | {"station": "", "object": "microwave-cusco-13", "probable_cause": "backhaul-down", "people": 14200}
        | {"tenants": ["andes", "bitel", "entel"], "standing": 41, "cells": ["PE-CUS-0145/N78-1"] * 120, "owner": "ana"}
        | {"flapping": True, "because": "14,200 people, 3 tenants, SLA of andes at 82 %"},
        {"id": "i-c7cbe25074", "state": "open", "root": "a-c7cbe25074", "severity": "MAJOR", "opened": AT, "rank": 3}
        | {"station": "PE-CUS-0145", "object": "/ManagedElement[1]/ENBFunction[1]/EP_S1C[bitel-mme-1]", "people": 870}
        | {"probable_cause": "core-link-down", "tenants": ["bitel"], "standing": 1, "cells": ["PE-CUS-0145/B28-1"]}
        | {"owner": "", "flapping": False, "because": "870 people, 1 tenant"},
    ],
    "hold list": [
        {"id": "h-1f2e3d4c", "target": "PE-CUS-0145/N78-1", "by": "ana", "created": AT, "until": LATER}
        | {"reason": "rigger on the mast until the harness is back in the car, call 555 0100 before lifting it"}
    ],
    "freeze list": [
        {"id": "f-1f2e3d4c", "target": "region:cusco", "by": "ana", "begins": AT, "ends": LATER}
        | {
            "warning": "",
            "reason": "Inti Raymi: the whole region is full of people until the morning after the last day",
        }
    ],
    "rules list": [
        {"name": "core-link-down", "mode": "ask", "changed": False, "scopes": {"region:cusco": "auto"}, "warnings": []}
        | {"content": {"match": {"causes": ["core-link-down", "user-plane-down"]}, "ladder": LADDER}}
        | {"record": {"observed": 41, "successes": 17, "failures": 1, "lower_bound": 0.74}}
    ],
    "oncall list": [
        {"alarm": "a-5d2f9cb1e0", "side": "host", "kind": "page", "number": 2, "contact": "manager", "duty": "nights"}
        | {"message": "m-1f2e3d4c5b", "escalation": 1}
        | {"instead_of": "ana", "at": AT, "sent": AT, "next": LATER, "used_up": False}
        | {"acknowledged": AT, "acknowledged_by": "manager"}
    ],
    "remediation list": [
        {"id": "p-1f2e3d4c5b", "state": "failed", "rule": "core-link-down", "alarm": "a-5d2f9cb1", "at": AT}
        | {"station": "PE-CUS-0145", "playbook": "recreate-core-endpoint", "run": "r-c7cbe25074", "by": "ana"}
        | {"reason": "the run succeeded, yet the alarm stands", "obstacle": ""}
    ],
    "kpi list": [
        {
            "name": "accessibility",
            "category": "accessibility",
            "unit": "%",
            "better": "higher",
            "title": "Accessibility",
        }
        | {"levels": ["cell", "station", "region", "network"]}
        | {"source": "TS 32.450 §6.1.1 (E-RAB accessibility), TS 28.554 §6.2.4 (partial DRB accessibility)"},
        {"name": "retainability", "category": "retainability", "unit": "1/h", "better": "lower"}
        | {"title": "Abnormal releases per hour of use", "source": "TS 32.450 §6.2.1, TS 28.554 §6.5.2"}
        | {"levels": ["cell", "station", "region", "network", "tenant"]},
    ],
    "measurements list": [
        {"station": "PE-CUS-0145", "newest": AT, "tried": AT, "due": LATER, "missing": 0, "failures": 0, "reason": ""},
        {"station": "PE-CUS-0146", "newest": None, "tried": AT, "due": LATER, "missing": 96, "failures": 41}
        | {"reason": "unreachable"},
    ],
    "measurements silences": [
        {"cell": "PE-CUS-0145/LTE1", "days": 1, "quietest": 212.0, "known": 14, "obstacle": None},
        {"cell": "PE-CUS-0146/LTE1", "days": 7, "quietest": 1.0, "known": 12, "obstacle": None},
        {"cell": "PE-CUS-0147/NR1", "days": None, "quietest": None, "known": 0, "obstacle": "not-counted"},
    ],
    "report list": [
        {"id": "sla-entel-2026-10-v2", "kind": "sla", "tenant": "entel", "month": "2026-10", "version": 2, "latest": 2}
        | {"issued": AT, "by": "ana", "reason": "the mains alarm of PE-CUS-0145 came a day late", "digests": {}}
    ],
    "works list": [
        {"id": "w-1f2e3d4c", "tenant": "entel", "nodes": ["entel-mme-1", "entel-mme-2", "entel-amf-1"], "by": "eva"}
        | {"begins": AT, "ends": LATER, "created": AT, "cancelled": None}
        | {"reason": "release 9 of the MME, one node after the other, with the supplier on the line all night"}
    ],
    "audit": [
        {"id": 104233, "at": AT, "actor": "ana", "action": "run.accepted", "object": "r-21748f9c95"}
        | {"detail": {"plan": "42327bc0ca30", "procedure": "apply", "stations": "1180", "reason": "CHG-1042"}}
    ],
    "notices": [
        {"id": "n-9f8e7d6c", "at": AT, "tenant": "entel", "kind": "planned", "run": "r-21748f9c95", "incident": ""}
        | {
            "begins": LATER,
            "stations": ["PE-CUS-0145"],
            "text": "work on 1 station of yours, service is away for up to 40 s",
        }
    ],
    "token list": [
        {"id": "t-5a1c77e0", "owner": "ana", "label": "prometheus of the second site", "scopes": ["metrics", "read"]}
        | {"created": AT, "expires": LATER, "used": AT, "revoked": None}
    ],
    "pool list": [
        {"pool": "edge-cusco-2", "where": "edge", "region": "cusco", "nodes": [{}, {}, {}], "spare_nodes": 1}
        | {
            "used": [72, 144, 36, 9],
            "capacity": [64, 256, 64, 8],
            "sides": {"entel": {"bought_cores": 16}},
            "functions": ["DU-1"],
            "wrong": ["node-lost", "pool-full"],
            "seen": AT,
            "closed": "hold on edge-cusco-2 by rosa: new servers",
        },
    ],
    "function list": [
        {"function": "DU-CUS-0145", "kind": "vdu", "package": "acme-du-24", "version": "24.2.1", "owner": "host"}
        | {"stations": 1, "running": ["edge-cusco-1"], "pool": "edge-cusco-2", "wrong": [], "seen": AT},
        {"function": "UP-ENTEL-1", "kind": "vcu-up", "package": "acme-up-24", "version": "24.2.1", "owner": "entel"}
        | {"stations": 50, "running": [], "pool": "", "faults": ["ready nowhere; edge-cusco-1: 0 of 1 pods are ready"]}
        | {"wrong": [], "seen": AT},
        {"function": "CU-CUS-0145", "kind": "vcu-cp", "package": "acme-cu-24", "version": "24.2.1", "owner": "host"}
        | {"stations": 1, "running": [], "pool": "edge-cusco-2", "wrong": [], "seen": None},
    ],
    "user list": [{"name": "rosa", "role": "tenant-approver", "tenant": "bitel", "created": AT, "disabled": LATER}],
    "playbook list": [
        {"name": "move-tenant-to-dedicated-carrier", "parameters": ["tenant", "agreement", "region", "window"]}
        | {"problems": [], "description": "Move a tenant from shared carriers to one of its own. Reversible."}
    ],
    "questions": [
        {"id": "r-21748f9c95/ask/PE-CUS-0145", "choices": ["yes", "no"], "default": "no", "until": LATER}
        | {"text": "is the rigger of PE-CUS-0145 off the mast and the gate locked?", "answer": "", "by": ""}
    ],
}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setattr(out, "_force_terminal", True)
    monkeypatch.setattr(out, "width", 80)
    monkeypatch.setattr(manner, "wide", False)
    monkeypatch.setenv("MINKA_PAGER", "")
    monkeypatch.setattr(SystemClock, "now", lambda _: datetime.fromisoformat(LATER))
    monkeypatch.setenv("TZ", "America/Lima")
    time.tzset()
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


def shown(terminal: pytest.MonkeyPatch, name: str, width: int, *options: str) -> str:
    page = {"count": len(LISTS[name]), "next": None, "results": LISTS[name]}

    def answer(_transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        beside = request.url.path == "/v1/definitions"
        return httpx.Response(200, json={"left_out": {}, "differ": [], "unread": ""} if beside else page)

    terminal.setattr(httpx.HTTPTransport, "handle_request", answer)
    terminal.setattr(out, "width", width)
    result = minka(*options, *name.split(" "))
    assert (result.status, result.err) == (0, "")
    return "".join(line.rstrip() + "\n" for line in result.out.splitlines())


def test_every_list_is_here() -> None:
    assert {name for name in ALL if name.endswith("list")} <= LISTS.keys()


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_as_they_were(terminal: pytest.MonkeyPatch, name: str) -> None:
    """Regenerate with MINKA_REGENERATE=1, and read what changed."""
    parts = {width: shown(terminal, name, width) for width in WIDTHS}
    file = KEPT / f"{name.replace(' ', '-')}.txt"
    text = "".join(f"-- {width} columns\n{part}" for width, part in parts.items())
    if os.environ.get("MINKA_REGENERATE"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


#: Lists that a limit may cut, and what each has to be told beside.
CUT: dict[str, tuple[str, ...]] = {
    name: () for name, command in ALL.items() if any(option.name == "limit" for option in command.params)
}
CUT["kpi show"] = ("accessibility",)
#: What no list of ``LISTS`` is.
SINGLE: dict[str, Any] = {
    "evidence heads": {"issued": AT, "size": 7},
    "kpi show": {
        "of": "PE-CUS-0145",
        "points": [],
        "figure": {"value": None, "low": None, "high": None, "sample": 0, "cells": 1, "why": "nothing counted"},
    },
}
SERIES: dict[str, Any] = {
    "kpi": {"title": "Accessibility", "unit": "%", "source": "TS 32.450", "better": "higher"},
    "level": "station",
    "tenant": "",
    "begin": AT,
    "end": LATER,
    "seconds": 3600,
}


@pytest.mark.parametrize("name", CUT)
def test_a_list_that_its_limit_cuts_says_how_many_more_there_are(terminal: pytest.MonkeyPatch, name: str) -> None:
    """For people below the table; beside JSON on standard error, so that programs read the same list."""
    row = SINGLE.get(name) or LISTS[name][0]

    def answer(_transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        limit, offset = int(request.url.params["limit"]), int(request.url.params["offset"])
        shown = min(limit, 2, 7 - offset)  # pages may be shorter than what is asked for
        following = offset + shown if offset + shown < 7 else None
        return httpx.Response(200, json=SERIES | {"count": 7, "next": following, "results": [row] * shown})

    terminal.setattr(httpx.HTTPTransport, "handle_request", answer)
    words = [*name.split(" "), *CUT[name], "--limit"]
    said = minka(*words, "3")
    assert (said.status, said.err) == (0, "")
    assert "and 4 more: --limit 7" in said.out.splitlines()
    told = minka(*words, "3", "--json")
    assert "more" not in told.out.replace('"more"', "")
    if name != "kpi show":  # its JSON has the count
        assert (len(json.loads(told.out)), told.err) == (3, "and 4 more: --limit 7\n")
    assert "--limit" not in minka(*words, "7").out


@pytest.mark.parametrize("name", LISTS)
def test_nothing_is_wider_than_the_terminal_and_no_id_is_broken(terminal: pytest.MonkeyPatch, name: str) -> None:
    for width in WIDTHS:
        said = shown(terminal, name, width)
        assert all(len(line) <= width for line in said.splitlines()), said
        for row in LISTS[name]:
            assert str(next(iter(row.values()))) in said
    everything = shown(terminal, name, 80, "--wide")
    assert "no room" not in everything
    assert "no room" not in shown(terminal, name, 300)


#: What tells rows of lists apart, beside the id: another value for each such field.
TELLING: dict[str, dict[str, Any]] = {
    "alarms list": {
        "object": "/ManagedElement[1]/GNBDUFunction[1]/NRCellDU[N78-2]",
        "tenants": ["claro"],
        "raised": LATER,
        "station": "PE-CUS-0146",
        "severity": "MAJOR",
        "symptoms": 12,
        "root": "a-0a1b2c3d4e",
    },
    "incidents list": {"tenants": ["claro"], "opened": LATER, "severity": "MAJOR", "people": 7, "owner": "eva"},
    "remediation list": {
        "station": "PE-CUS-0146",
        "reason": "the guard refused",
        "at": LATER,
        "playbook": "cycle-cell",
    },
    "oncall list": {"side": "claro", "contact": "eva", "duty": "days", "acknowledged_by": "eva"},
    "runs": {"created": LATER, "procedure": "apply", "plan": "0a1b2c3d4e5f", "requested_by": "eva"},
    "audit": {"object": "r-0a1b2c3d4e", "detail": {"reason": "CHG-7"}, "at": LATER, "actor": "eva"},
    "plans list": {"created": LATER, "selector": "region=puno", "unplanned": 0},
    "notices": {"at": LATER, "text": "the work is over", "begins": AT, "tenant": "claro"},
    "hold list": {"reason": "the gate is open", "by": "eva", "until": AT},
    "freeze list": {"reason": "census", "by": "eva", "begins": LATER, "warning": "tsunami-17"},
    "device list": {"region": "puno", "adopted": None},
    "rules list": {"content": {"match": {"causes": ["cell-off-air"]}, "ladder": LADDER[:1]}},
    "function list": {"kind": "vcu-cp", "version": "25.1.0", "owner": "claro"},
    "pool list": {"region": "puno", "closed": "a hold"},
    "works list": {"nodes": ["entel-mme-3"], "reason": "a new rack", "by": "rosa"},
    "questions": {"text": "is the gate locked?", "until": AT, "answer": "yes"},
    "report list": {"reason": "", "by": "eva"},
    "token list": {"label": "", "owner": "eva", "expires": AT, "scopes": ["plan"]},
    "measurements list": {"reason": "not reachable"},
    "measurements silences": {"days": 3, "obstacle": "few-connections"},
}


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, fields in TELLING.items() for field in fields])
def test_what_tells_rows_apart_is_never_dropped(terminal: pytest.MonkeyPatch, name: str, field: str) -> None:
    """At 80 columns rows that differ in it look different; many columns compete in rows as full as these."""
    first = LISTS[name][0]
    assert first.get(field) != TELLING[name][field]
    terminal.setitem(LISTS, name, [first, first])
    alike = shown(terminal, name, 80)
    terminal.setitem(LISTS, name, [first, first | {field: TELLING[name][field]}])
    assert _rows(shown(terminal, name, 80)) != _rows(alike)


def _rows(said: str) -> str:
    """A table without the line that names columns without room."""
    return said.partition("no room for")[0]


def test_what_is_the_same_in_all_rows_and_has_no_room_is_said_once(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.setattr(out, "width", 40)
    columns = (Column("id"), Column("where", 1, tells=True), Column("why", 2, tells=True), Column("no", 3))
    rows = [("r-1", "w" * 38, "the mast", "-"), ("r-2", "w" * 38, "the gate", "-")]
    table(columns, rows)
    assert capsys.readouterr().out.splitlines() == [
        "id   why       no",
        "r-1  the mast  -",
        "r-2  the gate  -",
        "in all rows: where:",
        "w" * 38,
    ]
    table(columns, [rows[0], ("r-2", "x" * 38, "the mast", "-")])
    said = capsys.readouterr().out.splitlines()
    assert said[:5] == ["id   why       no", "r-1  the mast  -", "  where:", "  " + "w" * 38, "r-2  the mast  -"]


def test_a_column_without_room_is_not_named_below_a_row_in_which_it_has_nothing(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a plan that makes what was not there before."""
    terminal.setattr(out, "width", 40)
    columns = (Column("what"), Column("before", 1, tells=True), Column("after"))
    rows = [("w" * 17, "–", "a" * 17), ("w" * 17, "b" * 10, "a" * 17)]
    table(columns, rows)
    said = capsys.readouterr().out
    assert "–" not in said
    assert said.splitlines()[2:] == [f"{'w' * 17}  {'a' * 17}", f"  before: {'b' * 10}"]
    table(columns, [rows[0], rows[0]])
    assert capsys.readouterr().out.splitlines()[1:] == [f"{'w' * 17}  {'a' * 17}"] * 2


def test_a_table_without_rows_keeps_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    table(("id",), [], "Closed")
    table(("id",), [])
    assert capsys.readouterr().out.splitlines() == ["Closed", "none", "none"]


def test_the_column_that_matters_least_goes_first(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = (Column("id"), Column("middle", 2), Column("last", 1), Column("why", prose=True))
    rows = [("r-21748f9c95" * 2, "m" * 20, "l" * 20, "words " * 10)]
    told = {80: "middle", 60: "middle, last"}
    for width, missing in told.items():
        terminal.setattr(out, "width", width)
        table(columns, rows)
        assert f"no room for: {missing} (minka --wide …, or --json)" in " ".join(capsys.readouterr().out.split())


def test_an_id_wider_than_the_terminal_is_whole(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table(("station", Column("detail", prose=True)), [("PE-CUS-0145" * 12, "a b c " * 9)])
    assert "PE-CUS-0145" * 12 in capsys.readouterr().out


def test_a_digest_in_a_sentence_is_broken_where_the_terminal_ends(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.setattr(out, "width", 80)
    columns = ("station", "step", Column("what", prose=True))
    table(columns, [("edge-1, BBU-1, T-LTE-1", "configure the virtual station", f"image sha256:{'7' * 64}, cores 8")])
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert said.count("7") == 64


def test_a_change_of_an_image_shows_both_digests(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.setattr(out, "width", 80)
    images = {"before": f"registry.example/du@sha256:{'7' * 64}", "after": f"registry.example/du@sha256:{'8' * 64}"}
    show_lines([("DU-LIM-0032", {"cell": "", "tenant": "host", "what": "deployment on pool edge-1: image", **images})])
    said = capsys.readouterr().out
    assert "before" in said
    assert max(map(len, said.splitlines())) <= 80
    assert (said.count("7"), said.count("8")) == (64, 64)


def test_without_a_terminal_all_columns_are_there_and_no_line_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    table((Column("id"), Column("detail", 1, prose=True)), [("r-1", "words " * 900)])
    assert len(capsys.readouterr().out.splitlines()) == 2


def long(count: int) -> None:
    table(("id", "what"), [(f"r-{number}", "x") for number in range(count)])


@pytest.mark.parametrize(("options", "paged"), [((), True), (("--no-pager",), False)])
def test_what_is_longer_than_the_terminal_has_a_pager(
    terminal: pytest.MonkeyPatch, tmp_path: Path, options: tuple[str, ...], paged: bool
) -> None:
    pager = tmp_path / "pager"
    pager.write_text(f'#!/bin/sh\necho "$LESS" > {shlex.quote(str(tmp_path))}/less\ncat > {tmp_path}/page\n')
    pager.chmod(0o755)
    terminal.setenv("MINKA_PAGER", str(pager))
    terminal.delenv("LESS", raising=False)
    terminal.setattr(out, "height", 12)
    few = shown(terminal, "runs", 160, *options)
    assert "r-21748f9c95" in few
    assert not (tmp_path / "page").exists()
    terminal.setitem(LISTS, "runs", LISTS["runs"] * 10)
    many = shown(terminal, "runs", 160, *options)
    assert ("r-21748f9c95" in many) is not paged
    assert (tmp_path / "page").exists() is paged
    if paged:
        assert (tmp_path / "page").read_text().count("r-21748f9c95") == 10
        assert (tmp_path / "less").read_text() == "FRX\n"


def test_without_a_pager_it_is_printed(terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.setenv("MINKA_PAGER", "/nowhere/less -R")
    terminal.setattr(out, "height", 10)
    terminal.setattr(manner, "pager", True)
    table(("id", "what"), [(f"r-{number}", "x") for number in range(50)])
    assert "r-49" in capsys.readouterr().out
