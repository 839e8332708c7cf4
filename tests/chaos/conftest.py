"""A system of four stations on PostgreSQL and Redis, to break things in. MINKA_SOAK=1 breaks them for longer."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterator

import pytest

from tests.support.minka import ROOT
from tests.support.postgres import PostgresServer, shared_postgres
from tests.support.process_system import ProcessSystem, process_system, temporary_folder
from tests.support.soak import SOAK

TINY = ROOT / "tests" / "fixtures" / "networks" / "tiny"
#: Fixed, except in a soak; MINKA_SEED plays one again.
SEED = int(os.environ.get("MINKA_SEED", secrets.randbits(32) if SOAK else 7))


def pytest_report_header() -> str:
    """Name the seed, so that what chance brought to light can be had again."""
    return f"chaos: MINKA_SEED={SEED}"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with shared_postgres(tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="module")
def system(postgres: PostgresServer) -> Iterator[ProcessSystem]:
    """The system, its stations adopted and carrying the network."""
    with temporary_folder() as folder, process_system(folder, "servers", TINY, postgres) as made:
        made.load(TINY)
        made.call("POST", "/devices/adopt", {"selector": "*"})
        run = made.apply(made.plan())
        assert made.ended(run).counts == {"succeeded": 4}, made.store.runs.jobs(run)
        yield made


@pytest.fixture
def chance() -> random.Random:
    """Chance by the seed that the report's header names."""
    return random.Random(SEED)
