"""The wheel holds all that Minka reads: installed alone, in an empty folder, it does its work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.minka import ROOT, environment, wait_until_up
from tests.support.ports import free_ports

STATIONS = 24
STATION = "PE-CUS-0145"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the wheel's packages; the dependencies are those of this Python."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheels, packages = tmp_path / "wheels", tmp_path / "packages"
    subprocess.run([*pip, "wheel", "--no-build-isolation", "--no-deps", "-w", str(wheels), str(ROOT)], check=True)
    (wheel,) = wheels.iterdir()
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(packages), str(wheel)], check=True)
    return packages


def test_an_installed_wheel_works_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    empty, ports = tmp_path / "empty", free_ports(STATIONS + 2)
    empty.mkdir()
    env = {**os.environ, **environment(empty / "home", ports), "PYTHONPATH": str(installed)}

    def words(*more: str) -> list[str]:
        return [sys.executable, "-m", "controller.cli", *more]

    def minka(*more: str) -> str:
        done = subprocess.run(words(*more), cwd=empty, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    code = "import controller; print(controller.__file__)"
    where = subprocess.run([sys.executable, "-c", code], cwd=empty, env=env, capture_output=True, text=True, check=True)
    assert Path(where.stdout.strip()).is_relative_to(installed)
    simulators = ["--sim-ports", str(ports + 2), "--sim-control", f"127.0.0.1:{ports + 1}"]
    log = empty / "up.log"
    with log.open("w") as output:
        up = subprocess.Popen(
            words("up", "--sim", "peru-mini", *simulators), cwd=empty, env=env, stdout=output, stderr=output
        )
    try:
        wait_until_up(up, log)
        assert "24 stations" in minka(
            "network", "load", "peru-mini", "--endpoints", str(empty / "home" / "endpoints.csv")
        )
        assert "add-slice" in minka("playbook", "list")
        minka("device", "adopt", STATION)
        plan = json.loads(minka("plan", STATION, "--json"))
        assert json.loads(minka("apply", plan["id"], "--json"))["state"] == "succeeded"
        document = httpx.get(f"http://127.0.0.1:{ports}/openapi.json", timeout=300)
        assert document.json()["info"]["title"] == "Minka"
        assert "succeeded" in minka("playbook", "run", "audit-drift", f"where={STATION}", "--reason", "CHG-1")
    finally:
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0, log.read_text(encoding="utf-8")
