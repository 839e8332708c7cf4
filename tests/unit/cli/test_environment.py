"""Variables of the environment: what means nothing is refused, by whatever command, and nothing is chosen silently."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from controller.models.environment import OTHERS, check_environment
from controller.models.errors import InputError
from controller.models.settings import Settings
from tests.support.minka import minka

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("MINKA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MINKA_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("role", ["api", "worker", "listener", "scheduler"])
def test_a_misspelt_setting_is_refused_by_name_and_no_database_is_made(role: str, tmp_path: Path) -> None:
    said = minka(role, env={"MINKA_DATABSE_URL": "postgresql://minka@db/minka"})
    assert (said.status, said.err.count("\n")) == (2, 1)
    assert "MINKA_DATABSE_URL is no setting of Minka: did you mean MINKA_DATABASE_URL?" in said.err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("role", ["api", "worker", "listener", "scheduler"])
def test_a_process_that_is_started_alone_chooses_no_database(role: str, tmp_path: Path) -> None:
    said = minka(role)
    assert said.status == 2
    assert f"minka {role} needs MINKA_DATABASE_URL" in said.err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("words", [("runs",), ("up",), ("audit", "new-key")])
def test_every_command_that_reads_settings_refuses_a_misspelt_one(words: tuple[str, ...]) -> None:
    said = minka(*words, env={"MINKA_API_PROT": "8471"})
    assert (said.status, "did you mean MINKA_API_PORT?" in said.err) == (2, True)


def test_the_log_of_a_process_begins_with_what_it_works_with(capfd: pytest.CaptureFixture[str]) -> None:
    env = {"MINKA_DATABASE_URL": "postgresql://minka:secret@127.0.0.1:9/minka?password=secret", "MINKA_API_PORT": "0"}
    with patch("controller.api.process.serve", side_effect=InputError("enough")):
        said = minka("api", env=env)
    (line,) = [line for line in (said.err + capfd.readouterr().err).splitlines() if "process.begun" in line]
    assert "secret" not in line
    for part in ("version", '"postgresql://127.0.0.1:9/minka"', '"minka-spool://"', os.environ["MINKA_HOME"]):
        assert part in line


def test_what_kubernetes_sets_for_services_and_what_secrets_are_called_is_no_mistake() -> None:
    environment = {
        **dict.fromkeys(("MINKA_SERVICE_HOST", "MINKA_SERVICE_PORT", "MINKA_SERVICE_PORT_HTTP", "MINKA_PORT"), "x"),
        **dict.fromkeys(("MINKA_PORT_8470_TCP", "MINKA_PORT_8470_TCP_PROTO", "MINKA_PORT_8470_TCP_ADDR"), "x"),
        **dict.fromkeys(("MINKA_WEB_SERVICE_HOST", "MINKA_WEB_SERVICE_PORT", "MINKA_WEB_PORT_80_TCP_PORT"), "x"),
        **dict.fromkeys(OTHERS, "x"),
        **{f"MINKA_{name.upper()}": "x" for name in Settings.model_fields},
        "MINKA_SECRET_OF_OURS": "x",
        "OTHER": "x",
    }
    check_environment(environment, ["env:MINKA_SECRET_OF_OURS", "file:/x"])
    for wrong in ("MINKA_API_SERVICE_PORT", "MINKA_SECRET_OF_THEIRS", "MINKA_PORT_8470_TCP_X", "minka_databse_url"):
        with pytest.raises(InputError, match=wrong):
            check_environment({**environment, wrong: "x"}, ["env:MINKA_SECRET_OF_OURS"])


def test_secrets_that_the_file_of_credentials_refers_to_are_known(tmp_path: Path) -> None:
    file = tmp_path / "credentials.yaml"
    file.write_text("credentials:\n  lab: {reference: 'env:MINKA_LAB', networks: [10.0.0.0/8]}\n", encoding="utf-8")
    env = {"MINKA_LAB": "x", "MINKA_CREDENTIALS": str(file), "MINKA_DEVICE_PASSWORD": "x"}
    assert "needs MINKA_DATABASE_URL" in minka("worker", env=env).err
    assert "MINKA_LABB is no setting" in minka("worker", env={**env, "MINKA_LABB": "x"}).err
    assert "MINKA_LAB is no setting" in minka("worker", env={"MINKA_LAB": "x"}).err


def test_a_service_called_minka_api_changes_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_API_PORT", "tcp://10.96.0.7:8470")
    assert Settings().api_port == 8470


@pytest.mark.parametrize(("host", "url"), [("::1", "http://[::1]:8470"), ("127.0.0.1", "http://127.0.0.1:8470")])
def test_the_api_is_found_at_any_kind_of_address(host: str, url: str) -> None:
    assert Settings(api_host=host).url == url


def test_every_variable_that_is_no_setting_is_documented() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    assert {name for name in OTHERS if name not in text} == set()
