"""Numbered cases: network files and a day in, facts and findings out.

To write the expected files again after a wanted change: MINKA_REGENERATE=1 pytest tests/conformance/intent
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from controller.intent import compile_intent
from controller.inventory.load import load_network
from controller.models.facts import Fact, Finding
from controller.models.network import Snssai

CASES = sorted(path for path in Path(__file__).parent.glob("[0-9][0-9]-*") if path.is_dir())


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Snssai) else value


def _lines(items: Iterable[Fact | Finding]) -> str:
    """A JSON array with one object a line, so that differences read well."""
    rows = [
        {"type": type(item).__name__} | {field.name: _plain(getattr(item, field.name)) for field in fields(item)}
        for item in items
    ]
    return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n" if rows else "[]\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_intent(case: Path) -> None:
    as_of = date.fromisoformat((case / "as-of.txt").read_text(encoding="utf-8").strip())
    intent = compile_intent(load_network(case / "network"), as_of)
    got = {
        case / "facts.json": _lines(fact for facts in intent.facts.values() for fact in facts),
        case / "findings.json": _lines(intent.findings),
    }
    for path, text in got.items():
        if os.environ.get("MINKA_REGENERATE"):
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text


def test_there_are_cases() -> None:
    assert len(CASES) >= 10
