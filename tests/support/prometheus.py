"""Prometheus and Alertmanager with the shipped configuration, on loopback and in a hurry."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.conftest import find_program
from tests.support.ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"


@contextmanager
def monitoring(folder: Path, api: str, scrapes: str, alerts: str) -> Iterator[tuple[str, str]]:
    """URLs of Prometheus and Alertmanager that watch an API (``host:port``), each with its token; they answer."""
    prometheus = f"127.0.0.1:{free_port()}"
    with (
        alertmanager(folder, api, alerts) as manager,
        _prometheus(folder, _prometheus_file(folder, api, manager, scrapes), prometheus),
    ):
        _wait_for(f"http://{prometheus}/-/ready", folder)
        yield f"http://{prometheus}", f"http://{manager}"


@contextmanager
def alertmanager(folder: Path, api: str, token: str) -> Iterator[str]:
    """Address (``host:port``) of a running Alertmanager that sends alerts to an API."""
    address = f"127.0.0.1:{free_port()}"
    with _server(
        folder,
        "prometheus-alertmanager",
        f"--config.file={_alertmanager_file(folder, api, token)}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ):
        _wait_for(f"http://{address}/-/ready", folder)
        yield address


@contextmanager
def _prometheus(folder: Path, file: Path, address: str) -> Iterator[None]:
    with _server(
        folder,
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={address}",
    ):
        yield


def _prometheus_file(folder: Path, api: str, alertmanager: str, token: str) -> Path:
    """The shipped configuration with other addresses and intervals."""
    config = _load(DEPLOY / "prometheus" / "prometheus.yml")
    # A scrape may take as long as the interval: many seconds of CPU are asked for beside it on a busy machine.
    config["global"] = {"scrape_interval": "4s", "evaluation_interval": "1s"}
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [api]
    (folder / "metrics-token").write_text(token, encoding="utf-8")
    config["scrape_configs"][0]["authorization"]["credentials_file"] = str(folder / "metrics-token")
    rules = _load(DEPLOY / "prometheus" / "rules" / "minka.yml")
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                rule["for"] = "1s"
    (folder / "rules").mkdir()
    _save(folder / "rules" / "minka.yml", rules)
    return _save(folder / "prometheus.yml", config)


def _alertmanager_file(folder: Path, api: str, token: str) -> Path:
    config = _load(DEPLOY / "alertmanager" / "alertmanager.yml")
    config["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    (folder / "token").write_text(token, encoding="utf-8")
    (minka,) = (one for one in config["receivers"] if one["name"] == "minka")
    (hook,) = minka["webhook_configs"]
    hook["url"] = hook["url"].replace("127.0.0.1:8470", api)
    hook["http_config"]["authorization"]["credentials_file"] = str(folder / "token")
    return _save(folder / "alertmanager.yml", config)


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def _save(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@contextmanager
def _server(folder: Path, program: str, *options: str) -> Iterator[None]:
    found = find_program(program)
    assert found is not None
    with (folder / f"{program}.log").open("wb") as output:
        process = subprocess.Popen([found, *options], stdout=output, stderr=output, cwd=folder)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(url: str, folder: Path, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(httpx.HTTPError):
            if httpx.get(url, timeout=2).is_success:
                return
        time.sleep(0.1)
    logs = "\n".join(path.read_text(errors="replace")[-3000:] for path in folder.glob("*.log"))
    raise AssertionError(f"{url} does not answer\n{logs}")
