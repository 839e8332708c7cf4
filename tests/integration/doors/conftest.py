"""One embedded controller with the stations of peru-mini for all tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.minka import ROOT, Embedded, embedded

PERU_MINI = ROOT / "deploy" / "networks" / "peru-mini"
#: Password of the stations; must never be seen anywhere.
CANARY = "canary-2f9c41d7-password"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with embedded(tmp_path_factory.mktemp("up"), PERU_MINI, 24, MINKA_DEVICE_PASSWORD=CANARY) as running:
        yield running
