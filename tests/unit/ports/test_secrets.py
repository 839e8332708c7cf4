"""Secrets by reference: what is found, and that errors name references only."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.models.errors import InputError
from controller.ports.secrets import EnvironmentSecrets, FakeSecrets


def test_variables_and_files_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MINKA_X", "from variable")
    (tmp_path / "x").write_text("from file\n")
    secrets = EnvironmentSecrets()
    assert secrets.resolve("env:MINKA_X").get_secret_value() == "from variable"
    assert secrets.resolve(f"file:{tmp_path / 'x'}").get_secret_value() == "from file"
    assert "from" not in repr(secrets.resolve("env:MINKA_X"))


@pytest.mark.parametrize("reference", ["env:MINKA_NOT_SET", "file:/nowhere", "plain", "", "vault:x", "file:/"])
def test_a_reference_that_leads_nowhere_is_named(reference: str) -> None:
    with pytest.raises(InputError, match="leads nowhere"):
        EnvironmentSecrets().resolve(reference)
    with pytest.raises(InputError, match="leads nowhere"):
        FakeSecrets({"env:X": "x"}).resolve(reference)


def test_a_file_that_is_no_text_does_not_leak_into_the_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"secret-\xff")
    with pytest.raises(InputError, match="can't be read") as caught:
        EnvironmentSecrets().resolve(f"file:{tmp_path / 'x'}")
    assert caught.value.__context__ is None
    assert "secret-" not in str(caught.value)
