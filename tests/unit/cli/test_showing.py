"""Objects of the network, runs, steps and playbooks as commands show them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from controller.cli import (
    alarms,
    approvals,
    definitions,
    incidents,
    network,
    plan,
    playbook,
    processes,
    remediation,
    runs,
)
from controller.cli.errors import CliError
from controller.cli.listed import Listed
from controller.models.enums import RuleMode
from simulators.cli import app as simulators_app

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"


class Api:
    """Answers what it was given."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    def get(self, path: str, **_: Any) -> Any:
        return self._answers[path]

    def put(self, path: str, _body: Any) -> Any:
        return self._answers[path]

    def post(self, path: str, _body: Any) -> Any:
        return self._answers[path]

    def all(self, path: str, limit: int | None = None, **_: Any) -> Listed:
        return Listed(self._answers[path])


IN_FORCE: dict[str, Any] = {
    "number": 3,
    "digest": "0123456789abcdef",
    "by": "ana",
    "reason": "CHG-7",
    "at": "2026-01-02T03:04:05Z",
    "files": {"rules/a.yaml": "1", "playbooks/p.yaml": "2", "kpis/k.yaml": "3"},
    "left_out": {},
    "differ": [],
    "unread": "",
}


def test_objects_of_a_network_are_words_and_not_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = {
        "id": "a-1",
        "scope": {"everywhere": False, "regions": ["cusco", "puno"], "bands": []},
        "shares": [{"resource": "PRB", "min": 5}, {"resource": "PRB", "min": 0}],
        "validity": {"start": "2024-01-01", "end": None},
        "approvers": [],
    }
    monkeypatch.setattr(network, "client", lambda: Api({"/v1/network/agreements": [agreement]}))
    network.show("agreements")
    said = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert [[word.strip() for word in line if word.strip()] for line in said] == [
        ["agreements: 1"],
        ["id", "scope", "shares", "validity"],
        ["a-1", "regions=cusco|puno", "resource=PRB min=5; resource=PRB min=0", "start=2024-01-01"],
    ]
    monkeypatch.setattr(network, "client", lambda: Api({"/v1/network/routers": []}))
    network.show("routers")
    assert capsys.readouterr().out == "routers: 0\nnone\n"


def test_who_shares_a_cell_is_said_with_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants = [
        {"tenant": "bitel", "agreed": ["716-15"], "configured": []},
        {"tenant": "claro", "agreed": ["716-10"], "configured": ["716-10"]},
        {"tenant": "entel", "agreed": [], "configured": ["716-17"]},
    ]
    cell = {"station": "S1", "cell": "L1", "rat": "LTE", "band": "B28", "primary_plmn": "716-10"}
    answer = [cell | {"tenants": tenants}, cell | {"cell": "L2", "tenants": []}]
    monkeypatch.setattr(network, "client", lambda: Api({"/v1/network/sharing": answer}))
    network.sharing()
    first, second = (line.split("  ") for line in capsys.readouterr().out.splitlines()[2:])
    said = "bitel 716-15 (716-15 not configured), claro 716-10, entel 716-17 (no agreement)"
    assert [word.strip() for word in first if word.strip()] == ["S1/L1", "LTE", "B28", "716-10", said]
    assert second[-1].strip() == "nobody"


def test_devices_that_left_the_files_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = {"name": "Tiny", "digest": "abc", "changed": True, "counts": {"stations": 3}}
    for abandoned, told in (([], ""), ([f"S-{number:02}" for number in range(12)], "S-08, S-09 and 2 more")):
        loaded = said | {"abandoned": abandoned, "out_of_reach": [], "warnings": [], "differences": []}
        monkeypatch.setattr(network, "client", lambda: Api({"/v1/network": loaded}))  # noqa: B023
        network.load(tmp_path)
        err = capsys.readouterr().err
        assert told in err
        assert bool(err) == bool(abandoned) == ("terminate-function on functions" in err)


def test_devices_that_these_files_put_out_of_reach_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = {"name": "Tiny", "digest": "abc", "changed": True, "counts": {}, "abandoned": [], "warnings": []}
    said["differences"] = []
    lost = [f"S-{number:02}" for number in range(12)]
    monkeypatch.setattr(network, "client", lambda: Api({"/v1/network": said | {"out_of_reach": lost}}))
    network.load(tmp_path)
    err = capsys.readouterr().err
    assert "12 devices that could be reached before have no endpoint in these files: S-00, S-01" in err
    assert "S-09 and 2 more" in err
    assert "--endpoints or --routers" in err


def test_what_files_change_against_the_version_before_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    none = {"count": 0, "names": []}
    some = {"count": 12, "names": [f"S-{number:02}" for number in range(10)]}
    one = {"count": 1, "names": ["a-deal"]}
    said = {"name": "Tiny", "digest": "abc", "changed": True, "counts": {}, "abandoned": [], "warnings": []}
    said |= {
        "out_of_reach": [],
        "differences": [
            {"kind": "agreements", "added": none, "changed": one, "removed": none},
            {"kind": "own_cells", "added": some, "changed": none, "removed": one},
        ],
    }
    monkeypatch.setattr(network, "client", lambda: Api({"/v1/network": said}))
    network.load(tmp_path)
    assert capsys.readouterr().out.endswith(
        "against the version before:\n"
        "  agreements: 1 changed (a-deal)\n"
        "  own cells: 12 added (S-00, S-01, S-02 and 9 more); 1 removed (a-deal)\n"
    )


def test_contract_errors_of_loaded_files_are_named_and_are_no_success(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = {"name": "Tiny", "digest": "abc", "changed": True, "counts": {}, "abandoned": [], "warnings": []}
    said["out_of_reach"] = said["differences"] = []
    monkeypatch.setattr(network, "client", lambda: Api({"/v1/network": said}))
    shutil.copytree(TINY, tmp_path / "tiny")
    network.load(tmp_path / "tiny")
    assert capsys.readouterr().err == ""
    agreements = tmp_path / "tiny" / "agreements.yaml"
    agreements.write_text(agreements.read_text().replace("min: 20, max: 80", "min: 90, max: 95"))
    with pytest.raises(typer.Exit) as ended:
        network.load(tmp_path / "tiny")
    assert ended.value.exit_code == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].endswith("plans leave out what they are about")
    assert len(lines) > 1
    with pytest.raises(typer.Exit):
        network.load(tmp_path / "tiny", as_json=True)
    assert json.loads(capsys.readouterr().out)["contract_errors"] == lines[:-1]


def test_contract_warnings_of_loaded_files_are_named_and_are_a_success(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = {"name": "Peru", "digest": "abc", "changed": True, "counts": {}, "abandoned": [], "warnings": []}
    said["differences"] = []
    monkeypatch.setattr(network, "client", lambda: Api({"/v1/network": said | {"out_of_reach": []}}))
    shipped = Path("deploy/networks/peru-mini")
    network.load(shipped)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ")
    assert line.endswith("(backhaul-capacity)")
    with pytest.raises(typer.Exit) as ended:
        network.load(shipped, as_json=True)
    assert ended.value.exit_code == 0
    assert json.loads(capsys.readouterr().out)["contract_warnings"] == [line]


def test_ports_for_simulators_want_a_network_to_simulate() -> None:
    with pytest.raises(typer.BadParameter, match="--sim DIRECTORY"):
        processes.up(sim_ports=9000)


def test_help_shows_the_element_of_a_foreign_edit() -> None:
    shown = CliRunner().invoke(simulators_app, ["fault", "inject", "--help"], env={"COLUMNS": "200"}).output
    assert "<config>" in shown


def test_a_run_names_its_playbook_or_its_plan(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for procedure, said in (("relock", "run r-1 of playbook relock: failed"), ("apply", "run r-1 of plan p-1: failed")):
        run = {"id": "r-1", "procedure": procedure, "plan": "p-1", "state": "failed", "reason": None}
        monkeypatch.setattr(runs, "client", lambda run=run: Api({"/v1/runs/r-1": run, "/v1/runs/r-1/jobs": []}))
        runs.show("r-1")
        assert capsys.readouterr().out.startswith(said)


def test_a_run_says_who_asked_for_what_and_why_it_stopped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = {"id": "r-1", "procedure": "relock", "plan": "p-1", "state": "stopped", "reason": "CHG-1", "waves": 1}
    run |= {"requested_by": "ana", "created": "2026-11-25T13:00:00Z", "cause": "alarm:a-1", "halted": "the soak failed"}
    run |= {"outdated": "2026-11-25T14:00:00Z"}
    run |= {"parameters": {"cell": "[B28-1]", "station": "S", "left_out": None}}
    outlook: dict[str, Any] = {"requirements": [], "votes": [], "tenants": [], "waits": {}, "overridden": ""}
    answers = {"": run, "/jobs": [], "/decisions": [], "/outlook": outlook}
    monkeypatch.setattr(runs, "client", lambda: Api({f"/v1/runs/r-1{path}": said for path, said in answers.items()}))
    runs.show("r-1")
    state, reason, asked, outdated, stopped, _ = capsys.readouterr().out.splitlines()
    assert (state, reason) == ("run r-1 of playbook relock: stopped", "reason: CHG-1")
    assert outdated.startswith(
        "outdated: part of its plan does not follow from the network files and agreements since 2026"
    )
    assert asked.startswith("asked for by ana at 2026-11-2")
    assert asked.endswith(", for alarm:a-1: cell=[B28-1], station=S")
    assert stopped == "stopped: the soak failed"


def test_a_yes_that_is_not_enough_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    vote = {"choice": "approve", "person": "eva", "side": "host", "reason": "", "contracts": [], "gone": False}
    vote |= {"token": "", "maker": ""}
    asked = {"side": "bitel", "agreement": "", "action": "reduce", "stations": 2, "consent": "approval", "needed": 1}
    asked |= {"approvers": [], "sign_in": False, "clauses": ["7.3"], "outage": {"kind": "none", "seconds": 0}}
    asked |= {"stands_for": "", "off_air": None}
    contract = {"agreement": "bitel-sierra", "clause": "7.4"}
    others = vote | {"token": "t-1", "maker": "noc", "contracts": [contract], "gone": True, "reason": "unpaid"}
    waits = {"run": "r-1", "requirements": [asked], "votes": [vote, others]}
    for waiting, more in (
        (
            [waits],
            ["still waits for approval:", "  bitel: reduce on 2 devices: approval by 1, or of host by clause 7.3"],
        ),
        ([], []),
    ):
        answers = {"/v1/runs/r-1/approve": vote, "/v1/approvals": waiting}
        monkeypatch.setattr(approvals, "client", lambda answers=answers: Api(answers))
        approvals.approve("r-1")
        lines = capsys.readouterr().out.splitlines()
        assert lines[:3] == ["r-1: approve by eva of host", *more]
        assert not more or lines[3:] == [
            "  eva of host: yes",
            (
                "  eva of host, with token t-1 made by noc, who may not vote any more: yes (bitel-sierra, clause 7.4) "
                "(reason: unpaid)"
            ),
        ]


UNTIL_UNLOCKED = {"kind": "until-unlocked", "seconds": 0}
ASKED: dict[str, Any] = {
    "side": "bitel",
    "agreement": "",
    "action": "interrupt",
    "stations": 1,
    "consent": "approval",
    "needed": 1,
    "approvers": [],
    "sign_in": False,
    "clauses": [],
    "outage": UNTIL_UNLOCKED,
    "stands_for": "",
}


def test_an_approver_reads_what_would_be_done_where(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, every = ({"cells": cells, "count": count, "of": 6, "open": False} for cells, count in ((["S1/1"], 1), ([], 6)))
    row = {"cell": "1", "tenant": "bitel", "what": "share", "before": "80", "after": "70"}
    asked = {
        "run": "r-1",
        "created": "2026-11-25T13:00:00Z",
        "requested_by": "ana",
        "reason": "CHG-1",
        "procedure": "lock-cell",
        "parameters": {"cell": "1", "left_out": None},
        "stations": [f"S{number}" for number in range(1, 10)],
        "steps": [
            {"name": "lock", "action": "lock-cell", "consent": "interrupt", "outage": UNTIL_UNLOCKED, "off_air": one}
        ],
        "requirements": [ASKED | {"off_air": one}, ASKED | {"off_air": every}],
        "votes": [],
        "parts": [
            {"station": "S1", "outage": {"kind": "timed", "seconds": 30}, "diff": [row]},
            {"station": "S2", "outage": {"kind": "none", "seconds": 0}, "diff": []},
        ],
    }
    monkeypatch.setattr(approvals, "client", lambda: Api({"/v1/approvals/r-1": asked}))
    approvals.approvals("r-1")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:6] == [
        "  lock-cell cell=1 on S1, S2, S3, S4, S5, S6, S7, S8 and 1 more",
        "  step lock: lock-cell (consent: interrupt, outage until unlocked, off the air: 1 of 6 cells: S1/1)",
        "  bitel: interrupt on 1 device, outage until unlocked, off the air: 1 of 6 cells: S1/1: approval by 1",
        "  bitel: interrupt on 1 device, outage until unlocked, off the air: all 6 cells: approval by 1",
        "  S1: out of service about 30 s",
    ]
    asked["parts"] = []
    approvals.approvals("r-1")
    assert capsys.readouterr().out.splitlines() == lines[:5], "a playbook without a plan has no rows, and not none"


def test_steps_are_shown_as_they_were_done(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    done: dict[str, Any] = {
        "action": "x",
        "state": "done",
        "outcome": None,
        "attempt": 1,
        "detail": "",
        "inputs": {},
        "output": {},
    }
    names = (("one", False), ("one", True), ("two", False), ("two", True), ("three", False))
    found = [done | {"name": name, "undo": undo} for name, undo in names]
    monkeypatch.setattr(playbook, "client", lambda: Api({"/v1/runs/r-1/steps/S": found}))
    playbook.steps("r-1", "S")
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split("  ")[0] for line in lines] == ["one", "two", "three", "undo of two", "undo of one"]
    values = {"inputs": {"cells": ["N1"], "none": None, "text": "Go?"}, "output": {"changed": False, "long": "x" * 999}}
    found[:] = [done | {"name": "one", "undo": False} | values]
    playbook.steps("r-1", "S")
    said = capsys.readouterr().out
    assert 'cells=["N1"]; text=Go?' in said
    assert f"changed=false; long={'x' * 200}… (--json)" in said
    assert "none=" not in said


def test_two_numbers_for_one_fact_are_refused() -> None:
    """The last one would count otherwise, and nobody would hear of it."""
    assert [plan.one_expectation(given) for given in (None, [], [3], [3, 3])] == [None, None, 3, 3]
    with pytest.raises(CliError, match="--expect 3 and --expect 5 can't both be"):
        plan.one_expectation([5, 3])
    assert plan._removals(["bitel=3", "bitel=3", "host=1"]) == {"bitel": 3, "host": 1}
    with pytest.raises(CliError, match="--remove bitel=4: --remove bitel=3 says otherwise"):
        plan._removals(["bitel=3", "bitel=4"])


def test_lists_show_whole_sentences(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"name": "own", "parameters": [], "problems": [], "description": "Let stations download\nit. Then more."}
    monkeypatch.setattr(playbook, "client", lambda: Api({"/v1/playbooks": [one], "/v1/definitions": IN_FORCE}))
    playbook.list_()
    assert "Let stations download it.\n" in capsys.readouterr().out.replace(" \n", "\n")


def test_repair_that_stopped_itself_says_since_when_and_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"stopped": True, "since": "2026-01-02T03:04:05Z", "by": "breaker", "reason": "20 began within 10 min"}
    said |= {"limit": 20, "minutes": 10.0, "rules": 29, "left_out": {"rules/a.yaml": "rules/a.yaml:3: rule.laddr: no"}}
    monkeypatch.setattr(remediation, "client", lambda: Api({"/v1/remediation": said}))
    remediation.status()
    printed = capsys.readouterr()
    first, second, third, fourth = printed.out.splitlines()
    assert (fourth, printed.err) == ("29 rules in force", "left out: rules/a.yaml:3: rule.laddr: no\n")
    assert first == "automatic repair is stopped"
    assert second.endswith("by breaker: 20 began within 10 min")
    assert third == "it stops itself with more than 20 repairs within 10 min"


ALARM = {
    "id": "a-1",
    "station": "S-1",
    "object": "/ManagedElement[S-1]/ENBFunction[1]/EUtranCellFDD[2]",
    "tenant": "",
    "cells": ["S-1/2"],
    "tenants": ["bitel", "entel"],
    "probable_cause": "cell-off-air",
    "severity": "CRITICAL",
    "text": "cell is out of service",
    "state": "repairing",
    "raised": "2026-01-02T03:04:05Z",
    "cleared": None,
    "count": 2,
    "run": "r-1",
    "note": "cell-down",
    "waits_for": [
        {
            "what": "approval by 1 of entel",
            "since": "2026-01-02T03:05:00Z",
            "who": "its approvers",
            "stations": 1,
        }
    ],
}


def test_alarms_name_their_object_and_what_their_repair_waits_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"by": "eva", "side": "entel", "to": [], "at": "2026-11-26T12:00:00Z", "text": "our users complain"}
    answers = {"/v1/alarms": [ALARM], "/v1/alarms/a-1": ALARM, "/v1/alarms/a-1/comments": [said]}
    monkeypatch.setattr(alarms, "client", lambda: Api(answers))
    alarms.list_alarms()
    listed = capsys.readouterr().out
    assert "EUtranCellFDD[2]" in listed
    assert "approval by 1 of entel on 1 device, since" in listed
    assert "(its approvers)" in listed
    alarms.show_alarm("a-1")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].endswith("eva (entel): our users complain")
    shown = {line[:18].strip(): line[18:].strip() for line in lines}
    assert shown["object"] == ALARM["object"]
    assert (shown["cells"], shown["tenants"]) == ("S-1/2", "bitel, entel")
    assert shown["state"] == "repairing"
    assert shown["waits"].startswith("approval by 1 of entel on 1 device, since")
    assert "cleared" not in shown


RULE: dict[str, Any] = {
    "name": "core-link-down",
    "description": "Re-create the endpoint of a link that is down.",
    "mode": "observe",
    "scopes": {"region:cusco": "auto"},
    "changed": False,
    "digest": "d1",
    "warnings": ["core-link-down.yaml:5: rule.match.tenants[0] = 'condro': no such tenant"],
    "record": {"observed": 12, "refused": 2, "healed": 3, "successes": 4, "failures": 1, "lower_bound": 0.376},
    "grants": [{"scope": "region:cusco", "mode": "auto", "at": "2026-01-02T03:04:05Z", "by": "ana", "reason": "CHG-7"}],
    "content": {
        "match": {"causes": ["core-link-down"], "objects": [], "follows": False},
        "ladder": [
            {"playbook": "recreate-core-endpoint", "parameters": {"station": "x"}, "ask": "", "ticket": "", "page": ""},
            {"playbook": None, "parameters": {}, "ask": "", "ticket": "Go there", "page": ""},
        ],
        "guards": {"settle_seconds": 30, "max_cells": None, "interrupts": False},
        "verify": {"within_seconds": 300},
        "trust": {"threshold": 0.3},
    },
}


def test_a_rule_is_shown_with_its_ladder_its_mode_and_its_record(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"/v1/rules": [RULE], "/v1/rules/core-link-down": RULE, "/v1/definitions": IN_FORCE}
    monkeypatch.setattr(remediation, "client", lambda: Api(answers))
    remediation.list_rules()
    remediation.show_rule("core-link-down")
    printed = capsys.readouterr()
    assert printed.err.split() == RULE["warnings"][0].split() * 2
    text = " ".join(printed.out.split())
    for words in (
        "observe, auto for region cusco",
        "4 of 5",
        "rung 1 recreate-core-endpoint station=x",
        "rung 2 ticket Go there",
        "by ana: CHG-7",
        "observed 12 alarms, of which a guard refused 2 and 3 cleared without it",
        "38% at least, with 95 % confidence",
        "settle seconds 30, interrupts no",
        "a rule acts by itself (auto) once a person lets it: minka rules promote RULE --mode auto",
    ):
        assert words in text


def test_files_that_are_left_out_or_not_in_force_are_said_beside_rules_and_playbooks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "rules/core-link-down.yaml:4: rule.laddr: no such field; did you mean 'ladder'?"
    in_force = IN_FORCE | {"left_out": {"rules/core-link-down.yaml": [wrong]}, "differ": ["playbooks/own.yaml"]}
    answers = {"/v1/rules": [], "/v1/playbooks": [], "/v1/definitions": in_force}
    for module in (remediation, playbook, definitions):
        monkeypatch.setattr(module, "client", lambda: Api(answers))
    said = {}
    for name, command in (("rules", remediation.list_rules), ("playbook", playbook.list_), ("all", definitions.show)):
        command()
        said[name] = " ".join(capsys.readouterr().err.split())
    other = "the folders of the API have other files than those in force: playbooks/own.yaml;"
    other += " to put them in force: minka definitions load"
    assert said == {"rules": f"left out: {wrong}", "playbook": other, "all": f"left out: {wrong} {other}"}


def test_files_are_put_in_force_for_the_version_that_was_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []

    class Loads(Api):
        def put(self, path: str, body: Any) -> Any:
            sent.append(body)
            return super().get(path) | {"changed": ["rules/a.yaml"], "observing": ["a"]}

    for name in ("rules", "playbooks", "kpis"):
        (tmp_path / name).mkdir()
    (tmp_path / "rules" / "a.yaml").write_text("name: a")
    (tmp_path / "rules" / "b.yaml").write_text("name: b")
    monkeypatch.setattr(definitions, "client", lambda: Loads({"/v1/definitions": IN_FORCE}))
    folders = tmp_path / "rules", tmp_path / "playbooks", tmp_path / "kpis"
    definitions.load("CHG-8", *folders)
    texts = {"rules/a.yaml": "name: a", "rules/b.yaml": "name: b"}
    assert sent == [{"files": texts, "reason": "CHG-8", "replaces": "0123456789abcdef"}]
    printed = capsys.readouterr()
    assert printed.out.splitlines()[:4] == [
        "against version 3, which is in force:",
        "  kpis: 1 removed (k.yaml)",
        "  playbooks: 1 removed (p.yaml)",
        "  rules: 1 added (b.yaml); 1 changed (a.yaml)",
    ]
    assert "observing until promoted again: a" in printed.err
    (tmp_path / "rules" / "b.yaml").write_bytes(b"\xff")
    with pytest.raises(CliError, match=r"rules/b.yaml: .*not UTF-8"):
        definitions.load("CHG-8", *folders)


def test_to_demote_a_rule_lets_it_do_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"/v1/rules/core-link-down": RULE, "/v1/rules/core-link-down/mode": RULE}
    monkeypatch.setattr(remediation, "client", lambda: Api(answers))
    remediation.demote("core-link-down", "CHG-8", RuleMode.ASK, "cusco")
    for mode, region in ((RuleMode.ASK, None), (RuleMode.AUTO, None), (RuleMode.AUTO, "cusco")):
        with pytest.raises(CliError, match="`minka rules promote` lets a rule do more"):
            remediation.demote("core-link-down", "CHG-8", mode, region)


def _alarm(number: int, **more: Any) -> dict[str, Any]:
    """An alarm as the API tells it."""
    at = "2026-11-26T02:14:07Z"
    known = {"id": f"a-{number}", "state": "raised", "severity": "MAJOR", "station": f"S{number}", "tenants": ["bitel"]}
    known |= {"tenant": "", "cells": [], "probable_cause": "core-link-down", "specific_problem": "", "text": ""}
    return known | {"object": "EP_S1C[1]", "raised": at, "changed": at, "symptoms": 0, "root": "", "count": 1} | more


class Alarms(Api):
    """An API with alarms; remembers what it was asked."""

    def __init__(self, *found: dict[str, Any]) -> None:
        super().__init__({})
        self.found, self.asked = found, list[dict[str, Any]]()

    def all(self, path: str, limit: int | None = None, **asked: Any) -> Listed:
        assert path == "/v1/alarms"
        self.asked.append({name: value for name, value in asked.items() if value not in (None, [])})
        of = asked.get("root")
        found = [one for one in self.found if one["root"] == of or not (of or (asked.get("roots") and one["root"]))]
        return Listed(found[:limit], 0 if limit is None else max(0, len(found) - limit))


def test_alarms_that_stand_are_listed_with_their_symptoms_folded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Alarms(_alarm(1, symptoms=2), _alarm(2, root="a-1"), _alarm(3, root="a-1"), _alarm(4))
    monkeypatch.setattr(alarms, "client", lambda: api)

    def listed(**options: Any) -> list[str]:
        alarms.list_alarms(**options)
        return [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()[1:]]

    assert listed() == ["a-1", "a-4", "2 symptoms below their roots: minka alarms list --symptoms"]
    assert api.asked == [{"roots": True, "standing": True}]
    assert listed(symptoms=True) == ["a-1", "└ a-2", "└ a-3", "a-4"]
    assert api.asked[1:] == [{"roots": True, "standing": True}, {"root": "a-1", "standing": True}]
    # Who asks for a station gets its symptoms, too: their root may be elsewhere.
    api.found = (_alarm(2, root="a-1"), _alarm(3, root="a-1"))
    assert listed(station=["S2"]) == ["a-2", "a-3"]
    assert api.asked[-1] == {"station": ["S2"], "standing": True}
    # The limit binds the symptoms of each root, too.
    api.found = (_alarm(1, symptoms=2, gravest="CRITICAL"), _alarm(2, root="a-1"), _alarm(3, root="a-1"))
    assert listed(symptoms=True, limit=1)[-1] == "of a-1, and 1 more: --limit 2 (minka alarms list --root a-1)"
    alarms.list_alarms()
    assert "MAJOR, in all CRITICAL" in capsys.readouterr().out
    # What is over is shown where it is asked for.
    listed(state=["cleared"])
    assert api.asked[-1] == {"state": ["cleared"]}
    listed(state=["escalated"], every=True)
    assert api.asked[-1] == {"state": ["escalated"], "standing": False}
    api.found = (
        _alarm(1) | {"state": "escalated", "cleared": "2026-06-15T00:00:00Z"},
        _alarm(2) | {"state": "escalated"},
    )
    alarms.list_alarms(every=True)
    assert [line.split("  ")[1] for line in capsys.readouterr().out.splitlines()[1:]] == [
        "escalated, over",
        "escalated",
    ]
    listed(every=True)
    assert api.asked[-1] == {"standing": False}


def test_a_list_tells_what_is_shelved_announced_or_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelved = {"shelved": True, "shelved_by": "ana", "shelved_until": "2026-11-26T12:00:00Z", "shelved_reason": "parts"}
    left = {"id": "a-4", "until": "2026-07-29T12:00:00Z"}
    found = [ALARM | {"id": "a-2"} | shelved, ALARM | {"id": "a-3", "announced": "w-1"}, ALARM | left]
    monkeypatch.setattr(alarms, "client", lambda: Api({"/v1/alarms": found}))
    alarms.list_alarms()
    _, first, second, third = capsys.readouterr().out.splitlines()
    assert first.split()[:2] == ["a-2", "shelved"]
    assert third.split()[:2] == ["a-4", "left"]
    assert f"{ALARM['state']} until " in third
    assert "when it ceased to concern you" in third
    assert "shelved by ana until" in first
    assert second.split()[:2] == ["a-3", "announced"]
    assert "announced work w-1" in second


ROOT: dict[str, Any] = ALARM | {
    "id": "a-2",
    "object": "radio",
    "station": "",
    "probable_cause": "backhaul-down",
    "symptoms": 2,
}
INCIDENT: dict[str, Any] = {
    "id": "i-2",
    "state": "open",
    "flapping": True,
    "flaps": 3,
    "severity": "CRITICAL",
    "root": "a-2",
    "station": "",
    "object": "radio",
    "probable_cause": "backhaul-down",
    "opened": "2026-01-02T03:04:05Z",
    "closed": None,
    "changed": "2026-01-02T03:04:05Z",
    "cells": ["S-1/1", "S-1/2"],
    "people": 14200,
    "tenants": ["bitel", "entel"],
    "rank": 2,
    "why": "rank 2, in whatever words",
    "because": "14,200 people, 2 tenants, SLA of bitel at 82 %",
    "merged_into": "",
    "owner": "ben",
    "acknowledged": "2026-01-02T03:06:05Z",
    "acknowledged_by": "ana",
    "taken": "2026-01-02T03:07:05Z",
    "standing": 2,
    "path": ["core", "backhaul-down: radio (root)", "1 station", "2 cells"],
    "alarms": [ALARM, ROOT],
    "minutes": [
        {
            "tenant": "bitel",
            "lost": 1200.0,
            "planned": 3.5,
            "own_work": 0.0,
            "own_core": 0.0,
            "outside": 7.0,
            "unseen": 40.0,
            "people": 90000,
        }
    ],
    "agreements": [
        {"agreement": "bitel-sierra", "tenant": "bitel", "availability_percent": 99.5, "restore_hours": 8}
        | {"used": 1771.2, "allowed": 2160.0, "left": 388.8, "share": 0.82, "burn_rate": 1.64}
        | {"unseen": 40.0, "unobserved": 1200.5, "not_applied": 4320.0}
    ],
    "comments": [{"by": "ben", "side": "host", "to": ["bitel"], "at": "2026-01-02T03:08:05Z", "text": "a digger"}],
    "timeline": [
        {"id": 7, "at": "2026-01-02T03:05:05Z", "actor": "correlation", "action": "incident.grew", "object": "i-2"}
        | {"detail": {"alarms": "a-1", "why": "cell-off-air follows from a-2"}}
    ],
}


def test_an_incident_is_a_page_with_its_way_repair_minutes_and_reasons(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    link, other = (f"/ManagedElement[S-1]/ENBFunction[1]/EP_S1C[{name}]" for name in ("bitel-mme-1", "entel-mme-1"))
    repair: dict[str, Any] = {
        "id": "r-1",
        "procedure": "recreate-core-endpoint",
        "state": "succeeded",
        "requested_by": "rule:x",
    }
    repair |= {"started": "2026-01-02T03:06:05Z", "finished": "2026-01-02T03:06:09Z", "alarm": "a-1", "devices": []}
    repair |= {"before": ["1", "2", other], "after": ["1", link, other]}
    answers = {"/v1/incidents/i-2": INCIDENT, "/v1/incidents/i-2/report": {"runs": [repair]}}
    monkeypatch.setattr(incidents, "client", lambda: Api(answers))
    incidents.show("i-2")
    text = capsys.readouterr().out
    lines = text.splitlines()
    shown = {line[:10].strip(): line[10:].strip() for line in lines}
    assert shown["incident"] == "i-2 flapping, CRITICAL"
    assert shown["failed"] == "backhaul-down of radio"
    assert shown["suffers"] == "2 cells, 14,200 people"
    assert shown["rank"] == "2: 14,200 people, 2 tenants, SLA of bitel at 82 %"
    assert shown["path"] == "core > backhaul-down: radio (root) > 1 station > 2 cells"
    assert shown["root"] == "a-2, from which 2 alarms that stand follow"
    assert shown["repair"].startswith("approval by 1 of entel on 1 device, since")
    assert shown["run"].startswith("r-1 recreate-core-endpoint succeeded, from ")
    assert shown["before"] == "2 cells and 1 core link in service"
    assert shown["after"] == "1 cell and 2 core links in service; again: EP_S1C[bitel-mme-1]; not any more: 2"
    assert shown["owner"].startswith("ben since")
    assert "bitel   1,200.0  3.5      0.0       0.0       7.0      40.0    90,000" in text
    assert "bitel-sierra  99.5 %        1,771.2  2,160.0  388.8  82 %   1.64       40.0    1,200.5     4,320.0" in text
    assert lines[-2].endswith("ben (host) to bitel: a digger")
    assert lines[-1].endswith("correlation incident.grew i-2 cell-off-air follows from a-2")


@pytest.mark.parametrize(
    ("alarm", "cause", "short"),
    [
        ({"probable_cause": "other-alert", "specific_problem": "DiskFull"}, "DiskFull", "station"),
        ({"probable_cause": "other-alert", "specific_problem": ""}, "other-alert", "station"),
        ({"probable_cause": "o-ran-fault-26", "specific_problem": "mains"}, "o-ran-fault-26", "station"),
        (
            {"probable_cause": "x", "object": "ManagedElement=X,GNBDUFunction=9,NRCellDU=7"},
            "x",
            "NRCellDU=7",
        ),
        ({"probable_cause": "x", "object": "rack 1, unit=2"}, "x", "rack 1, unit=2"),
        ({"probable_cause": "x", "object": r"Rack=a\,b,Unit=2"}, "x", r"Rack=a\,b,Unit=2"),
        ({"probable_cause": "x", "object": "/ManagedElement[1]/EP_S1C[a]"}, "x", "EP_S1C[a]"),
    ],
)
def test_an_alarm_in_short_is_named_by_what_tells_it_from_others(alarm: dict[str, str], cause: str, short: str) -> None:
    one = {"object": "station"} | alarm
    assert (alarms.cause_of(one), alarms.object_in_short(one)) == (cause, short)


def test_a_tenant_is_shown_its_part_of_an_incident(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ("id", "state", "severity", "opened", "changed", "closed", "cells", "people", "standing", "agreements")
    told = {name: INCIDENT[name] for name in kept} | {"root": ROOT, "alarms": [ROOT], "comments": []}
    monkeypatch.setattr(incidents, "client", lambda: Api({"/v1/incidents/i-2": told | {"minutes": None}}))
    incidents.show("i-2")
    text = capsys.readouterr().out
    assert "backhaul-down of radio" in text
    assert "bitel-sierra" in text
    assert "people-minutes" not in text


def test_files_are_loaded_beside_those_of_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "network").mkdir()
    (tmp_path / "network" / "network.yaml").write_text("network: {}\n")
    more, same = tmp_path / "edge.yaml", tmp_path / "network.yaml"
    more.write_text("pools: []\n")
    same.write_text("pools: []\n")
    sent: list[dict[str, Any]] = []

    class PutRequests:
        def put(self, _path: str, body: dict[str, Any]) -> dict[str, Any]:
            sent.append(body)
            said = {"name": "N", "digest": "0" * 64, "changed": True, "counts": {}, "warnings": [], "abandoned": []}
            said["differences"] = []
            return said | {"out_of_reach": []}

    monkeypatch.setattr(network, "client", PutRequests)
    network.load(tmp_path / "network", added=[more])
    assert sent[0]["files"] == {"network.yaml": "network: {}\n", "edge.yaml": "pools: []\n"}
    with pytest.raises(CliError, match=r"network\.yaml has the name of a file of .*: rename one of them"):
        network.load(tmp_path / "network", added=[same])


def test_what_a_reading_found_stands_beside_how_the_job_ended() -> None:
    job = {"state": "done", "detail": "What the station carries could not be read back.", "found": None}
    assert runs._detail(job) == job["detail"]
    at = "2026-01-02T03:04:05Z"
    said = {found: runs._detail(job | {"found": found, "found_at": at}) for found in ("planned", "before")}
    assert said["planned"].startswith(f"{job['detail']} Read at ")
    assert said["planned"].endswith(": it carries the state that was planned.")
    assert said["before"].endswith(": it carries the state of before the run.")
    assert runs._detail({"state": "ready", "blocked": "hold", "detail": "x"}) == "hold"


def test_an_approval_that_nobody_may_give_names_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    words = "approval by 1 of wayra to reduce: fewer users of wayra than that may give it now"
    outlook: dict[str, Any] = {"requirements": [], "tenants": [], "waits": {}, "overridden": ""}
    approvals.show_outlook(outlook | {"unanswered": [words]})
    said = " ".join(capsys.readouterr().out.split())
    host, tenant = "minka user add NAME --role approver", "minka user add NAME --role tenant-approver --tenant TENANT"
    ways = f"add an approver of the host: {host} add an approver of a tenant: {tenant}"
    assert f"nobody can answer {words} {ways}" in said
    approvals.show_outlook(outlook | {"unanswered": []})
    assert capsys.readouterr().out == ""


def test_what_a_run_comes_to_is_said_once_the_progress_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal both would stand in one line."""
    said: list[str] = []

    @contextmanager
    def working(_text: str, **_: Any) -> Iterator[None]:
        said.append("begins")
        yield
        said.append("is gone")

    monkeypatch.setattr(plan, "working", working)
    monkeypatch.setattr(plan, "show_extent", lambda *_: said.append("comes to"))
    monkeypatch.setattr(plan, "client", lambda: Api({"/v1/plans/p-1/outlook": {"extent": {}}}))
    plan._show_extent_of("p-1")
    assert said == ["begins", "is gone", "comes to"]


@pytest.mark.parametrize(
    ("made", "status"),
    [
        ({"unplanned": {}}, 0),
        ({"unplanned": {"S1": "in whatever words"}}, 1),
        ({"unplanned": {"S1": "in whatever words"}, "observed_only": ["S1"]}, 0),
        ({"unplanned": {"S1": "words", "S2": "words"}, "observed_only": ["S1"], "orphans": {"S3": 1}}, 1),
        ({"unplanned": {}, "orphans": {"S3": 1}}, 11),
        ({"unplanned": {"S1": "words"}, "changes": [{}]}, 10),
    ],
)
def test_a_plan_of_what_could_not_be_read_is_no_proof_of_sameness(made: dict[str, Any], status: int) -> None:
    assert plan._status_of({"changes": []} | made) == status
