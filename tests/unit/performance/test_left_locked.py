"""A cell that a diverged run left locked is lost to all tenants, in statements, budgets and metrics alike."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.api.statements import draft
from controller.drivers.fake import FaultKind
from controller.intent.agreed_terms import month_of
from controller.models.health import Health
from controller.models.network import network_digest
from controller.models.run import Outcome
from controller.models.statement import StatementKind
from controller.observe.exposition import exposition
from controller.store import JobResult
from tests.support.observed import observe
from tests.unit.intent.test_outages import network
from tests.unit.performance.test_volume import rows
from tests.unit.runs.test_diverged import _ends
from tests.unit.runs.transaction_bench import QUICK, STATION, UNSAFE, TransactionBench, new_world, retune


@pytest.fixture
async def bench() -> TransactionBench:
    """A run locked L1, was refused, and so was its way back. No agreement has windows."""
    made = TransactionBench(retune(UNSAFE), QUICK, new_world())
    version = network(restore_hours=1)
    made.store.networks.save(version, network_digest(version), "ana")
    _, later = month_of(version, made.clock.now())
    made.clock.pause((later + timedelta(days=9) - made.clock.now()).total_seconds())
    begin, end = month_of(version, made.clock.now())
    observe(made.store, ("S1", "S2"), begin - timedelta(days=40), end + timedelta(days=40), version)
    _look(made)
    made.fault("edit", FaultKind.REFUSE, skip=1, times=2)
    assert (await made.work()).outcome is Outcome.DIVERGED
    _look(made, "L1")
    return made


def _look(bench: TransactionBench, *locked: str) -> None:
    bench.store.healths.save([Health(station=STATION, at=bench.clock.now(), reachable=True, locked=locked)])


def _sheets(bench: TransactionBench, tenant: str) -> dict[str, list[dict[str, Any]]]:
    """Its tables, after the whole record was counted anew; budget and metrics say the same."""
    now = bench.clock.now()
    month = f"{now.astimezone(network().zone):%Y-%m}"
    made = draft(bench.store, now, StatementKind.SLA, tenant, month)
    found: dict[str, list[dict[str, Any]]] = {
        name: [{**row} for row in rows(made, name)] for name in ("agreements", "cells", "outages")
    }
    (promise,) = found["agreements"]
    bench.store.incidents.count_agreements()
    (budget,) = bench.store.incidents.agreements(tenant)
    assert budget.used == pytest.approx(promise["locked"] + promise["lost"], abs=0.1)
    assert budget.left == pytest.approx(promise["left"], abs=0.1)
    (line,) = [
        one
        for one in exposition(bench.store, bench.clock).decode().splitlines()
        if one.startswith("minka_agreement_outage_seconds{") and f'tenant="{tenant}"' in one
    ]
    assert float(line.rpartition(" ")[2]) == pytest.approx(60 * budget.used)
    return found


@pytest.mark.parametrize("tenant", ["alfa", "beta"])
async def test_it_is_owed_until_it_ends_though_no_window_binds_the_host(bench: TransactionBench, tenant: str) -> None:
    bench.clock.pause(7200)
    assert _sheets(bench, tenant)["agreements"][0]["locked"] == 120
    _ends(bench, JobResult(Outcome.REFUSED, "somebody holds the lock"))
    bench.clock.pause(3600)
    _look(bench)
    bench.clock.pause(600)
    found = _sheets(bench, tenant)
    (promise,) = found["agreements"]
    assert (promise["locked"], promise["in_window"], promise["lost"], promise["restored_late"]) == (180, 0, 0, 1)
    assert {row["cell"]: row["locked"] for row in found["cells"] if row["locked"]} == {"S1/L1": 180 * 60}
    (outage,) = found["outages"]
    assert (outage["part"], outage["cause"], outage["seconds"]) == ("locked", "station-diverged", 180 * 60)


async def test_a_lock_by_hand_after_it_is_as_the_agreement_allows(bench: TransactionBench) -> None:
    bench.clock.pause(3600)
    _look(bench)
    bench.clock.pause(600)
    _look(bench, "L1")
    bench.clock.pause(1800)
    (promise,) = _sheets(bench, "beta")["agreements"]
    assert (promise["locked"], promise["in_window"]) == (60, 30)
    assert {row["cause"] for row in _sheets(bench, "beta")["outages"]} == {"locked", "station-diverged"}


async def test_it_ends_with_the_alarm_that_the_station_diverged(bench: TransactionBench) -> None:
    """Everything but the state of the cell is back: it is told no more that anything is wrong there."""
    bench.clock.pause(3600)
    _ends(bench, JobResult(Outcome.UNCHANGED, restored=True))
    bench.clock.pause(1800)
    (promise,) = _sheets(bench, "beta")["agreements"]
    assert (promise["locked"], promise["in_window"]) == (60, 30)


async def test_a_lock_from_the_month_before_goes_on(bench: TransactionBench) -> None:
    """The lock that ended in the month before was the run's; the one of this month is not."""
    bench.clock.pause(timedelta(days=2).total_seconds())
    _look(bench)
    bench.clock.pause(timedelta(days=40).total_seconds())
    _look(bench, "L1")
    bench.clock.pause(1800)
    (promise,) = _sheets(bench, "beta")["agreements"]
    assert (promise["locked"], promise["in_window"]) == (0, 30)
