"""``minka rules rehearse``, as a person enters it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from controller.cli.remediation import rules
from controller.models.errors import InputError
from controller.rehearsal import report

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
    assert (day["seed"], [one["way"] for one in day["ways"]]) == (
        "1",
        ["nothing", "script", "guarded", "minka", "best"],
    )
    assert len({one["incidents"] for one in day["ways"]}) == 1


def test_rules_that_are_wrong_are_named_before_anything_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINKA_HOME", str(tmp_path))
    monkeypatch.setattr(report, "provisioned", None)
    rule = "name: a\ndescription: d\nmatch: {causes: [x]}\nladder:\n  - playbook: reboot\n"
    (tmp_path / "a.yaml").write_text(rule, encoding="utf-8")
    try:
        said = CliRunner().invoke(rules, ["rehearse", "--network", str(TINY), "--rules", str(tmp_path)])
    finally:
        structlog.reset_defaults()
    assert isinstance(said.exception, InputError)
    assert said.exception.message == "rules/a.yaml:5: rule.ladder[0].playbook: there is no playbook 'reboot'"
