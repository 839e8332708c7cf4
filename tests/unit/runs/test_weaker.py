"""Stations whose confirmed commit can't be trusted are known as such before anybody agrees to a change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.ports.devices import Capabilities
from controller.ports.fake_devices import SAFE
from controller.runs.planning.planner import Planner
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import STATION, TARGET, UNSAFE, InstantStore, TransactionBench, add_tenant


@pytest.mark.parametrize("capabilities", [SAFE, UNSAFE, replace(SAFE, trustworthy=False)])
async def test_a_reading_tells_whether_the_station_reverts_by_itself(capabilities: Capabilities) -> None:
    bench = TransactionBench(add_tenant(capabilities))
    planner = Planner(InstantStore(bench.store), bench.devices, bench.clock, lambda _network, _station: TARGET)
    assert (await planner.read(samples.network(), STATION)).reverts is capabilities.safe_commit


@pytest.mark.parametrize("reverts", [True, False])
def test_a_plan_names_it(reverts: bool) -> None:
    view = samples.view(samples.network())
    assert view.observed is not None
    seen = replace(view, observed=replace(view.observed, reverts=reverts))
    plan = samples.plan(samples.network(("alfa", "beta", "gamma")), {STATION: seen})
    assert samples.only_change(plan).reverts is reverts
