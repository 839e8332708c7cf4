"""The shipped configuration of Prometheus and Alertmanager, checked by their own tools."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support import http
from tests.support.prometheus import alertmanager
from tests.support.waiting import until

DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.mark.needs("promtool")
@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", "--syntax-only", "prometheus/prometheus.yml"),
        ("check", "rules", "--lint-fatal", "prometheus/rules/minka.yml"),
        ("test", "rules", "prometheus/tests/minka.yml", "prometheus/tests/hours.yml"),
    ],
)
def test_prometheus(words: tuple[str, ...]) -> None:
    # A fifth of its work would be to collect garbage.
    env = {**os.environ, "GOGC": "800"}
    done = subprocess.run(["promtool", *words], cwd=DEPLOY, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


#: An alert about what happened within a window, which stands for as long as the window.
_HAPPENED = re.compile(r"(sum( by \([a-z, ]+\))? ?\()?increase\([^()]+\[\w+\]\)\)? > \d+")


def test_what_may_not_hold_in_a_moment_keeps_firing_unless_it_is_an_alarm() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus/rules/minka.yml").read_text(encoding="utf-8"))
    alerts = [one for group in rules["groups"] for one in group["rules"] if "alert" in one]
    at_once = {"MinkaSymptom", "MinkaDown"}
    at_once |= {one["alert"] for one in alerts if "probable_cause" in one.get("labels", {})}
    happened = {one["alert"] for one in alerts if _HAPPENED.fullmatch(one["expr"].strip())}
    assert {"MinkaCoreLinkDown", "MinkaStationUnreachable"} < at_once
    assert {"MinkaRunFailed", "MinkaCallsRefused"} < happened
    keeps = {one["alert"] for one in alerts if one.get("keep_firing_for") == "5m"}
    assert keeps == {one["alert"] for one in alerts} - at_once - happened


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
        (("alertname=MinkaSymptom", "station=A", "incident=i-1"), "nobody"),
        # Minka said it itself, and would refuse it.
        (("alertname=MinkaMainsLost", "station=A", "incident=i-1", "severity=major"), "people"),
        (("alertname=MinkaIncidentCritical", "station=A", "incident=i-1", "severity=critical"), "people"),
        (("alertname=MinkaBackhaulDown", "incident=i-1", "severity=critical"), "people"),
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
    assert ways == {"people": {"email_configs"}, "minka": {"webhook_configs"}, "nobody": set()}


@pytest.mark.needs("prometheus-alertmanager")
async def test_what_follows_from_a_root_is_inhibited_and_nothing_else(tmp_path: Path) -> None:
    link = {"station": "A", "object": "/x", "probable_cause": "core-link-down"}
    unreachable = {"station": "A", "object": "station", "probable_cause": "station-unreachable"}
    fire = [
        {"alertname": "MinkaSymptom", "incident": "i-1", **link},
        {"alertname": "MinkaSymptom", "incident": "i-1", **unreachable},
        {"alertname": "MinkaCoreLinkDown", "tenant": "claro", "severity": "major", **link},
        {"alertname": "MinkaCoreLinkDown", "tenant": "entel", "severity": "major", **link, "object": "/y"},
        {"alertname": "MinkaStationUnreachable", "severity": "major", **unreachable},
        {"alertname": "MinkaStationUnreachable", "severity": "major", **unreachable, "station": "B"},
        {"alertname": "MinkaEscalated", "severity": "major"},
        {"alertname": "OfSomebodyElse", **link},
    ]
    with alertmanager(tmp_path, "127.0.0.1:1", "secret") as address:
        url = f"http://{address}/api/v2/alerts"

        def kept_back() -> list[dict[str, str]]:
            return [one["labels"] for one in http.get(url).json() if one["status"]["inhibitedBy"]]

        http.post(url, json=[{"labels": labels} for labels in fire]).raise_for_status()
        await until(lambda: len(http.get(url).json()) == len(fire) and len(kept_back()) > 1)
        assert sorted(kept_back(), key=str) == sorted((fire[2], fire[4]), key=str)
