"""Fixtures of playbook tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.playbooks.house import PlaybookHouse, open_house


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[PlaybookHouse]:
    async with open_house(tmp_path) as made:
        yield made
