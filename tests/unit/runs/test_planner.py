"""Reading many stations: none of what was read is kept, since all together would take too much room."""

from __future__ import annotations

import gc

import pytest

from controller.plan import StationView
from controller.runs.planning.planner import Planner
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import TARGET, InstantStore, TransactionBench, add_tenant


def _views() -> int:
    return sum(isinstance(one, StationView) for one in gc.get_objects())


async def test_no_more_views_are_there_than_stations_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.runs.planning.planner._PARALLEL", 2)
    bench = TransactionBench(add_tenant())
    planner = Planner(InstantStore(bench.store), bench.devices, bench.clock, lambda _network, _station: TARGET)
    gc.collect()
    before = _views()

    async def count(_station: str, view: StationView) -> int:
        assert view.observed is not None
        return _views() - before

    found = await planner.each(samples.network(), [f"S{number}" for number in range(6)], count)
    assert list(found) == [f"S{number}" for number in range(6)]
    assert max(found.values()) <= 2
