"""The shipped configuration of Prometheus and Alertmanager, checked by their own tools."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

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


@pytest.mark.needs("amtool")
@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (("alertname=MinkaProcessDown", "severity=critical"), "people"),
        # A controller that is dead would take these and do nothing.
        (("alertname=MinkaCoreLinkDown", "station=A", "severity=major"), "minka,people"),
        (("alertname=MinkaConfigurationDrift", "station=A", "severity=warning"), "minka,people"),
    ],
)
def test_every_alert_reaches_people_without_minka(labels: tuple[str, ...], receivers: str) -> None:
    file = "alertmanager/alertmanager.yml"
    words = ["amtool", "config", "routes", "test", f"--config.file={file}", *labels]
    done = subprocess.run(words, cwd=DEPLOY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == receivers
    config = yaml.safe_load((DEPLOY / file).read_text(encoding="utf-8"))
    ways = {one["name"]: one.keys() - {"name"} for one in config["receivers"]}
    assert ways == {"people": {"email_configs"}, "minka": {"webhook_configs"}}
