"""The shipped configuration of Prometheus and Alertmanager, checked by their own tools."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.mark.needs("promtool")
@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", "--syntax-only", "prometheus/prometheus.yml"),
        ("check", "rules", "--lint-fatal", "prometheus/rules/minka.yml"),
        ("test", "rules", "prometheus/tests/minka.yml"),
    ],
)
def test_prometheus(words: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *words], cwd=DEPLOY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.needs("amtool")
def test_alertmanager() -> None:
    words = ["amtool", "check-config", "alertmanager/alertmanager.yml"]
    done = subprocess.run(words, cwd=DEPLOY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
