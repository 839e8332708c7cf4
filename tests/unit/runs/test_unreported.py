"""Stations that do not tell whether cells serve or core links work, as most do that follow the official modules."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest

from controller.models.plan import WaitFor
from controller.models.run import Outcome, Strategy
from controller.nrm.tree import Observed
from controller.runs.transaction.checks import SILENT_SECONDS, unmet
from tests.unit.runs.transaction_bench import QUICK, UNSAFE, Scenario, TransactionBench, add_tenant, retune

LINKS = {"EP_S1C", "EP_NgC", "EP_NgU"}
CELLS = {"EUtranCellFDD", "NRCellDU"}


@pytest.mark.parametrize("scenario", [add_tenant(), add_tenant(UNSAFE)], ids=["confirmed", "inverse"])
async def test_a_tenant_comes_to_a_station_that_tells_no_states_of_links(scenario: Scenario) -> None:
    bench = TransactionBench(scenario, Strategy())
    bench.device.unreported = LINKS
    begun = bench.clock.monotonic()
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert result.detail.startswith("not checked, since their state is not reported: ")
    assert "EP_S1C[gamma" in result.detail
    assert bench.clock.monotonic() - begun < 1, "it waited for what the station never tells"
    bench.assert_settled(result)


async def test_what_is_reported_still_counts() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.device.unreported = {"EP_NgC", "EP_NgU"}
    bench.break_link()
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "link-up" in result.detail
    assert "EP_Ng" not in result.detail
    bench.assert_settled(result)


async def test_cells_are_locked_and_unlocked_where_nothing_is_reported_of_them() -> None:
    bench = TransactionBench(retune(), Strategy())
    bench.device.unreported = LINKS | CELLS
    result = await bench.work()
    assert (result.outcome, result.detail) == (
        Outcome.SUCCEEDED,
        "the station reports no states: cells and core links were not checked",
    )
    bench.assert_settled(result)


@pytest.mark.parametrize("told", [False, True])
async def test_a_first_bring_up_waits_little_where_nothing_is_reported_at_all_and_long_where_something_is(
    told: bool,
) -> None:
    """There is nothing yet by which to know the station, so its silence afterwards has to tell."""
    bench = TransactionBench(retune(), Strategy())
    root, cell = "/ManagedElement[S1]", bench.scenario.change.checks[0].path
    tree = {root: {}, cell: {"administrativeState": "UNLOCKED"}}
    seen = Observed(tree, {root: {"swVersion": "1"}, **({cell: {"other": "1"}} if told else {})})
    session = SimpleNamespace(read=AsyncMock(return_value=seen))
    begun = bench.clock.monotonic()
    wanted = [WaitFor(kind="cell-on-air", path=cell)]
    missing, _ = await unmet(cast("Any", session), wanted, (), seen, bench.clock, 60)
    assert missing == ""
    assert bench.clock.monotonic() - begun >= (60 if told else SILENT_SECONDS)
    assert bench.clock.monotonic() - begun < (65 if told else SILENT_SECONDS + 5)
