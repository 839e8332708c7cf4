"""Five stations on PostgreSQL and Redis, for faults that need more than one of something."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.faults.world import FIVE, brought_up
from tests.support.controller import Plant, plant, temporary_folder
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="module")
def five(postgres: PostgresServer) -> Iterator[Plant]:
    """A plant whose five stations are adopted and carry the network."""
    with temporary_folder() as folder, plant(folder, "servers", FIVE, postgres) as made:
        brought_up(made)
        yield made
