"""One bench for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.remediation.bench import Bench, open_bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A record and what schedulers on it are made of."""
    with open_bench() as made:
        yield made
