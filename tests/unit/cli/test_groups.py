"""One wrong value is one line, with the file and line where it stands, however many cells suffer from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.cli.client import refused
from controller.cli.groups import finding_lines, problem_lines, source_of
from controller.cli.main import _message
from controller.models.device_kinds import DeviceKind
from controller.models.errors import NetworkFilesError, Problem
from controller.models.facts import Finding, Severity
from tests.support.minka import ROOT, minka
from tests.unit.plan import samples

PERU_MINI = ROOT / "deploy" / "networks" / "peru-mini"


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PERU_MINI, tmp_path / "network"))


def test_a_wrong_share_of_one_agreement_is_few_lines_with_its_source(network: Path) -> None:
    file = network / "agreements.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("dedicated: 10", "dedicated: 99", 1), encoding="utf-8")
    line = 1 + text[: text.index("- id:")].count("\n")
    said = minka("network", "check", str(network))
    assert said.status == 1
    errors = [one for one in said.out.splitlines() if one.startswith("error: ")]
    assert 0 < len(errors) < 10
    order = next(one for one in errors if "(share-order)" in one)
    assert order.startswith(f"error: agreements.yaml:{line}: cell ")
    assert "the same on " in order
    assert all(f"agreements.yaml:{line}" in one for one in errors)
    every = minka("network", "check", str(network), "--json").json["findings"]
    assert sum(one["severity"] == "error" for one in every) > 20
    assert all(f"agreements.yaml:{line}" in one["source"] for one in every if one["severity"] == "error")


def _finding(station: str, message: str, **said: Any) -> Finding:
    return Finding("pool-oversold", Severity.WARNING, message, station, **said)


SOURCES = {"a-1": "agreements.yaml:3", "a-2": "agreements.yaml:9", "S1": "stations.csv:2", "pool edge": "pools.csv:4"}


@pytest.mark.parametrize("kind", DeviceKind)
def test_devices_of_findings_are_counted_by_their_kind_whatever_the_message_begins_with(kind: DeviceKind) -> None:
    several = [_finding(name, f"router {name} or whatever it is: full", kind=kind) for name in ("X", "Y")]
    (line,) = finding_lines(several, {})
    assert line.endswith(f"; the same on 2 {kind.value}s in all (pool-oversold)")


def test_the_source_of_a_finding_is_that_of_its_fields_whatever_its_message_names() -> None:
    station, pool = network_kinds()
    assert source_of(_finding("S1", "S1: a-1 is named, and so is S2", kind=station), SOURCES) == "stations.csv:2"
    assert source_of(_finding("edge", "sold twice", kind=pool), SOURCES) == "pools.csv:4"
    assert source_of(_finding("", "a function", subject="S1"), SOURCES) == "stations.csv:2"
    both = _finding("S1", "none is named", agreement="a-2", agreements=("a-2", "a-1"), kind=station)
    assert source_of(both, SOURCES) == "agreements.yaml:9, agreements.yaml:3"
    assert len(finding_lines([both, _finding("S1", "none is named", agreements=("a-1",), kind=station)], {})) == 2


def network_kinds() -> tuple[DeviceKind, DeviceKind]:
    """The kinds of a station and of a pool."""
    kinds = samples.virtual().device_kinds
    return kinds["S1"], kinds[next(iter(samples.virtual().pool_by_id))]


PROBLEMS = (
    *tuple(
        Problem("cells.csv", number + 2, f"cells[S/{number}].pci", "x", "not a whole number") for number in range(1000)
    ),
    Problem("sites.csv", 2, "sites[x].lat", "91", "too large", "at most 90"),
)


def test_problems_with_the_same_field_are_one_line() -> None:
    assert problem_lines(PROBLEMS) == [
        "cells.csv:2: cells[S/0].pci = 'x': not a whole number (and 999 more like it)",
        "sites.csv:2: sites[x].lat = '91': too large; at most 90",
    ]
    kinds = [Problem("x.yaml", number, f"x.f{number}", "", "wrong") for number in range(100)]
    assert problem_lines(kinds)[-1] == "… and 60 more of other kinds; all of them: --json"


def test_so_are_those_that_the_api_answers() -> None:
    from controller.api.problems import problem_of

    answer = problem_of(NetworkFilesError(PROBLEMS))
    said = _message(refused(httpx.Response(422, json=json.loads(bytes(answer.body)))))
    assert len(said.splitlines()) == 2
    assert said.startswith("cells.csv:2: cells[S/0].pci = 'x'")
