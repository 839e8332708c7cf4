"""One function decides whether an answer is printed as JSON or for people: ``print_answer``."""

from __future__ import annotations

import ast
from pathlib import Path

import controller.cli

#: Functions that decide by themselves, and why.
EXCEPTIONS = {
    "alarms.list_alarms": "asks for other alarms as JSON",
    "approvals.approve": "asks for more only for people",
    "follow.follow": "asks for more only as JSON",
    "network.load": "ends with a status in either form",
    "output.print_answer": "is that function",
    "remediation.rehearse": "prints for people as it goes, and JSON at the end",
}


def test_one_function_chooses_between_json_and_text() -> None:
    found = {
        f"{path.stem}.{function.name}"
        for path in Path(controller.cli.__file__).parent.glob("*.py")
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.If) and _asks_for_json(node.test)
    }
    assert sorted(found) == sorted(EXCEPTIONS), "print both forms by print_answer, print_result, print_lines or records"


def _asks_for_json(test: ast.expr) -> bool:
    """Whether a condition holds ``as_json``; ``not as_json``, for what people alone see or are asked, is no choice."""
    if isinstance(test, ast.BoolOp):
        return any(map(_asks_for_json, test.values))
    return isinstance(test, ast.Name) and test.id == "as_json"
