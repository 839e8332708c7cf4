"""The same tests on the embedded shape and on PostgreSQL with Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.minka import ROOT
from tests.support.postgres import PostgresServer, shared_postgres
from tests.support.process_system import ProcessSystem, process_system, temporary_folder

PERU_MINI = ROOT / "deploy" / "networks" / "peru-mini"
SERVERS = pytest.param("servers", marks=pytest.mark.needs("initdb", "redis-server"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with shared_postgres(tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="module", params=["embedded", SERVERS])
def running(request: pytest.FixtureRequest) -> Iterator[ProcessSystem]:
    """A system for all tests of a file, which go from factory stations to an applied network in order."""
    server = request.getfixturevalue("postgres") if request.param == "servers" else None
    with temporary_folder() as folder, process_system(folder, request.param, PERU_MINI, server, listener=True) as made:
        yield made
