"""Fixtures of router tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.routers.system import RouterSystem, open_router_system


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[RouterSystem]:
    async with open_router_system(tmp_path) as made:
        yield made
