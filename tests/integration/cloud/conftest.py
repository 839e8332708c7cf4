"""Pools for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.cloud.system import Pools, running


@pytest.fixture
async def pools() -> AsyncIterator[Pools]:
    async with running() as found:
        yield found
