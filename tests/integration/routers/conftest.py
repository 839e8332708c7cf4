"""Fixtures of router tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.routers.house import RouterHouse, open_router_house


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[RouterHouse]:
    async with open_router_house(tmp_path) as made:
        yield made
