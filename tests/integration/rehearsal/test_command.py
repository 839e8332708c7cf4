"""``minka rules rehearse``, as a person enters it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from controller.cli.remediation import rules

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"


def test_a_day_is_rehearsed_and_told_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_HOME", str(tmp_path))
    words = ["rehearse", "--network", str(TINY), "--seed", "1", "--hours", "0.1", "--times", "0", "--json"]
    try:
        said = CliRunner().invoke(rules, words)
    finally:
        structlog.reset_defaults()
    assert said.exit_code == 0, said.output
    (day,) = json.loads(said.stdout)
    assert (day["seed"], [one["way"] for one in day["ways"]]) == ("1", ["nothing", "script", "minka"])
    assert len({one["incidents"] for one in day["ways"]}) == 1
