"""What all tests share: programs of the operating system, and what happens where they are missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from glob import glob

import pytest


def find_program(name: str) -> str | None:
    """Path of a program on PATH, in /usr/sbin or among PostgreSQL's binaries."""
    found = shutil.which(name) or shutil.which(f"/usr/sbin/{name}")
    if found:
        return found
    candidates = sorted(glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return candidates[-1] if candidates else None


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Skip tests whose programs are missing, except in CI, where that is a failure."""
    if os.environ.get("CI") == "true":
        return
    for item in items:
        for mark in item.iter_markers("needs"):
            missing = [program for program in mark.args if find_program(program) is None]
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(missing)}: see tests/install-programs.sh"))
