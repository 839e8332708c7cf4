"""Indicators in the terminal: one line each with its course, within 80 columns."""

from __future__ import annotations

from typing import Any

import pytest

from controller.cli import kpis, output
from controller.cli.kpis import sparkline

BEGIN, END = "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z"


def points(*values: float | None) -> list[dict[str, Any]]:
    """One an hour."""
    return [
        {"begin": f"2026-01-05T{hour:02}:00:00Z", "value": value, "sample": 1}
        for hour, value in enumerate(values)
        if value is not None
    ]


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        (range(8), "▁▂▃▄▅▆▇█················"),
        ((5, None, 5), "▅·▅·····················"),
        ((), ""),
        ([0] * 23 + [100], "▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█"),
    ],
)
def test_a_course_has_a_bar_for_each_part_of_the_time(values: Any, bars: str) -> None:
    assert sparkline(points(*values), BEGIN, END) == bars


def test_a_course_of_many_points_is_that_of_their_means() -> None:
    assert sparkline(points(*range(24)), BEGIN, END, width=4) == "▁▃▆█"


def _figure(value: float | None, why: str = "") -> dict[str, Any]:
    known = value is not None
    fields = {"kpi": "accessibility", "unit": "%", "value": value, "low": 98.1 if known else None, "pooled": ""}
    return {
        **fields,
        "high": 99.2 if known else None,
        "sample": 12345,
        "cells": 3,
        "why": why,
        "begin": BEGIN,
        "end": END,
    }


class _Api:
    """Answers in pages of one."""

    def get(self, path: str, *, offset: int, limit: int, **asked: Any) -> Any:
        assert path == "/v1/kpis/accessibility"
        assert asked["level"] == "station"
        results = [
            {"of": "PE-CUS-0145", "figure": _figure(98.765), "points": points(97.5, 99)},
            {"of": "PE-CUS-0150", "figure": _figure(None, "only 40 attempts, and 100 are needed"), "points": []},
            {"of": "PE-CUS-0151", "figure": _figure(98.765), "points": []},
        ]
        kpi = {"title": "Accessibility", "unit": "%", "source": "TS 32.450 §6.1.1", "better": "higher"}
        head = {"kpi": kpi, "level": "station", "tenant": "", "begin": BEGIN, "end": END, "seconds": 3600, "count": 3}
        return {**head, "next": offset + 1 if offset < 2 else None, "results": results[offset : offset + 1]}


@pytest.fixture
def _answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kpis, "client", _Api)


@pytest.mark.usefixtures("_answers")
def test_a_line_fits_a_narrow_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output.out, "_width", 80)
    monkeypatch.setattr(type(output.out), "is_terminal", True)
    monkeypatch.setattr(output.manner, "pager", False)
    kpis.show("accessibility", limit=2)
    said = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in said), said
    (line,) = (one for one in said if "PE-CUS-0145" in one)
    assert "98.77" in line
    assert "▁█······················" in line
    assert "only 40 attempts" in " ".join(said)
    assert said[-1] == "and 1 more: --limit 3"


@pytest.mark.usefixtures("_answers")
def test_all_pages_are_one_answer_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    kpis.show("accessibility", as_csv=True)
    assert capsys.readouterr().out.splitlines() == [
        "kpi,unit,of,begin,value,sample",
        "accessibility,%,PE-CUS-0145,2026-01-05T00:00:00Z,97.5,1",
        "accessibility,%,PE-CUS-0145,2026-01-05T01:00:00Z,99,1",
    ]
