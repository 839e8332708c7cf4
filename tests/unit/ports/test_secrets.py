"""Secrets by reference: what is found, that errors name references only, and that none is Minka's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.models.errors import InputError
from controller.models.settings import Settings
from controller.ports.secrets import EnvironmentSecrets


@pytest.fixture
def secrets(tmp_path: Path) -> EnvironmentSecrets:
    return EnvironmentSecrets(tmp_path / "home")


def test_variables_and_files_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, secrets: EnvironmentSecrets
) -> None:
    monkeypatch.setenv("MINKA_X", "from variable")
    (tmp_path / "x").write_text("from file\n")
    assert secrets.resolve("env:MINKA_X").get_secret_value() == "from variable"
    assert secrets.resolve(f"file:{tmp_path / 'x'}").get_secret_value() == "from file"
    assert "from" not in repr(secrets.resolve("env:MINKA_X"))


@pytest.mark.parametrize("reference", ["env:MINKA_NOT_SET", "file:/nowhere", "plain", "", "vault:x", "file:/"])
def test_a_reference_that_leads_nowhere_is_named(secrets: EnvironmentSecrets, reference: str) -> None:
    with pytest.raises(InputError, match="leads nowhere"):
        secrets.resolve(reference)


def test_a_file_that_is_no_text_does_not_leak_into_the_error(tmp_path: Path, secrets: EnvironmentSecrets) -> None:
    (tmp_path / "x").write_bytes(b"secret-\xff")
    with pytest.raises(InputError, match="can't be read") as caught:
        secrets.resolve(f"file:{tmp_path / 'x'}")
    assert caught.value.__context__ is None
    assert "secret-" not in str(caught.value)


@pytest.mark.parametrize("name", [*(f"MINKA_{name.upper()}" for name in Settings.model_fields), "PGPASSWORD"])
def test_no_setting_of_minkas_own_is_a_secret(
    monkeypatch: pytest.MonkeyPatch, secrets: EnvironmentSecrets, name: str
) -> None:
    monkeypatch.setenv(name, "own")
    for reference in (f"env:{name}", f"env:{name.lower()}"):
        with pytest.raises(InputError, match="is a setting of Minka's own"):
            secrets.resolve(reference)


def test_no_file_of_minkas_own_is_a_secret(tmp_path: Path, secrets: EnvironmentSecrets) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "token").write_text("own")
    (tmp_path / "link").symlink_to(home / "token")
    (tmp_path / "folder").symlink_to(home)
    found = [home / "token", tmp_path / "x/../home/token", tmp_path / "link", tmp_path / "folder/token"]
    (tmp_path / "x").mkdir()
    for path in (*found, "/proc/self/environ", "/proc/1/environ", "/dev/stdin", "/sys/kernel/notes"):
        with pytest.raises(InputError, match="leads into MINKA_HOME"):
            secrets.resolve(f"file:{path}")


def test_what_settings_refer_to_is_no_secret_of_devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RELAY", "own")
    (tmp_path / "keys").write_text("own")
    (tmp_path / "link").symlink_to(tmp_path / "keys")
    references = ["env:RELAY", f"file:{tmp_path / 'keys'}"]
    assert EnvironmentSecrets(tmp_path / "home").resolve("env:RELAY").get_secret_value() == "own"
    devices = EnvironmentSecrets(tmp_path / "home", ["", *references])
    for reference in (*references, f"file:{tmp_path / 'link'}"):
        with pytest.raises(InputError, match="of Minka's own"):
            devices.resolve(reference)
