"""One wrong value is one line, with the file and line where it stands, however many cells suffer from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import httpx
import pytest

from controller.cli.client import refused
from controller.cli.groups import problem_lines
from controller.cli.main import _message
from controller.models.errors import NetworkFilesError, Problem
from tests.support.minka import ROOT, minka

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
