"""Five stations on PostgreSQL and Redis, for faults that need more than one of something."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.faults.five_stations import FIVE, brought_up
from tests.support.postgres import PostgresServer
from tests.support.process_system import ProcessSystem, process_system, temporary_folder


@pytest.fixture(scope="module")
def five(postgres: PostgresServer) -> Iterator[ProcessSystem]:
    """A system whose five stations are adopted and carry the network."""
    with temporary_folder() as folder, process_system(folder, "servers", FIVE, postgres) as made:
        brought_up(made)
        yield made
