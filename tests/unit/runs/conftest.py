"""Tests of the engine: logs are off, since thousands of transactions go wrong here."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from tests.unit.runs.worker_bench import WorkerBench


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
async def bench() -> AsyncIterator[WorkerBench]:
    made = WorkerBench()
    yield made
    made.store.close()
