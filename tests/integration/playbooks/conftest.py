"""Fixtures of playbook tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.playbooks.system import PlaybookSystem, open_system


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[PlaybookSystem]:
    async with open_system(tmp_path) as made:
        yield made
