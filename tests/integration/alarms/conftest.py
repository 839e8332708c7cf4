"""One system for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.alarms.system import LocalSystem, open_system


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[LocalSystem]:
    async with open_system(tmp_path) as made:
        yield made


@pytest.fixture
async def notified(tmp_path: Path) -> AsyncIterator[LocalSystem]:
    """A system whose stations have no AlarmList: they notify of all their alarms (o-ran-fm)."""
    async with open_system(tmp_path, profile="oran-fm-only") as made:
        yield made
