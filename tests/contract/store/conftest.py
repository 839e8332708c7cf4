"""The same tests on SQLite in memory (the shipped fake), SQLite in a file, and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.pool import QueuePool

from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from tests.support.postgres import PostgresServer, shared_postgres

POSTGRES = pytest.param("postgres", marks=pytest.mark.needs("initdb"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The session's PostgreSQL."""
    with shared_postgres(tmp_path_factory) as server:
        yield server


def _url(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    if kind == "postgres":
        with request.getfixturevalue("postgres").emptied() as url:
            yield url
    else:
        yield "sqlite://" if kind == "memory" else f"sqlite:///{folder / 'minka.sqlite3'}"


@pytest.fixture(params=["memory", "file", POSTGRES])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Any database."""
    yield from _url(request.param, tmp_path, request)


@pytest.fixture(params=["file", POSTGRES])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that several processes can share."""
    yield from _url(request.param, tmp_path, request)


@pytest.fixture
def clock() -> VirtualClock:
    """Time that stands still."""
    return VirtualClock()


@pytest.fixture
def store(url: str, clock: VirtualClock) -> Iterator[Store]:
    """A fresh store."""
    with closing(open_store(url, clock)) as opened:
        # A hundred threads that take turns at its connections do so for longer on a busy machine.
        assert isinstance(opened.database.engine.pool, QueuePool)
        opened.database.engine.pool._timeout = 60
        yield opened
