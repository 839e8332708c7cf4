"""The pages of guarantees, threats and requirements name every fault, and only tests that there are."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.support.minka import ROOT

PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
THREATS = (ROOT / "THREAT_MODEL.md").read_text(encoding="utf-8")
SHARING = (ROOT / "docs" / "reference" / "ts-32-130.md").read_text(encoding="utf-8")
#: Numbers of the faults that the engine and its doors are held to.
FAULTS = {*range(1, 25), *range(28, 32), 33, 34, 38, *range(40, 65)}
ROWS = {int(row[1]): row[2] for row in re.finditer(r"^\| (\d+) \|(.*)\|$", PAGE, re.MULTILINE)}
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::[^`]+)?)`", PAGE + THREATS + SHARING)))


@cache
def names_in(file: str) -> frozenset[str]:
    """Names of a file's test functions."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    found = (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(name for name in found if name.startswith("test_"))


def exists(name: str) -> bool:
    """Whether there is such a test, and such a case of it where one is named."""
    file, _, test = name.partition("::")
    if not (ROOT / file).is_file():
        return False
    function, _, case = test.rstrip("]").partition("[")
    if function and function not in names_in(file):
        return False
    return not case or f'"{case}"' in (ROOT / file).read_text(encoding="utf-8")


def test_every_fault_is_there_once_with_its_tests() -> None:
    assert set(ROWS) == FAULTS
    for number, row in ROWS.items():
        assert len(row.split(" | ")) == 3, number
        assert "`tests/" in row, f"fault {number} names no test"


def test_every_threat_names_its_tests() -> None:
    rows = THREATS[THREATS.index("## STRIDE") : THREATS.index("## Outside")].splitlines()
    threats = [row for row in rows if row.startswith("| ")][2:]
    assert len(threats) > 10
    assert not [row for row in threats if "`tests/" not in row]


def test_every_requirement_of_network_sharing_that_is_met_names_its_test() -> None:
    rows = [line.split(" | ") for line in SHARING.splitlines() if line.startswith("| R")][1:]
    assert len(rows) >= 8
    assert not [row for row in rows if (row[3] != "no") != ("`tests/" in row[4])]


@pytest.mark.parametrize("name", NAMED)
def test_every_test_that_is_named_exists(name: str) -> None:
    assert exists(name), name


def test_a_test_that_does_not_exist_would_be_found() -> None:
    assert not exists("tests/chaos/test_workers.py::test_nothing")
    assert not exists("tests/chaos/test_workers.py::test_killed[in its sleep]")
    assert not exists("tests/chaos/test_nothing.py")
    assert exists("tests/chaos/test_workers.py::test_killed[before the edit]")
