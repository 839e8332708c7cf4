"""What Minka writes is its owner's alone, whatever the umask was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli.processes import make_private


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0o000)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_all_that_is_made_is_private(tmp_path: Path) -> None:
    home = tmp_path / "state" / "home"
    make_private(home)
    (home / "logs").mkdir()
    (home / "logs" / "api.log").touch()
    assert [mode(path) for path in (home, home / "logs", home / "logs" / "api.log")] == [0o700, 0o700, 0o600]


def test_what_an_older_version_made_becomes_private(tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    (home / "spool").mkdir(parents=True)
    for path in (home / "minka.sqlite3", outside):
        path.touch(mode=0o644)
    (home / "link").symlink_to(outside)
    make_private(home)
    assert [mode(path) for path in (home, home / "spool", home / "minka.sqlite3")] == [0o700, 0o700, 0o600]
    assert mode(outside) == 0o644
