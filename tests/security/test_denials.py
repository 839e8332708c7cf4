"""Whoever is denied something is on record, and can't fill the record with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from controller.api.services import UNAUTHENTICATED, UnauthenticatedRequests
from controller.models.errors import StoreAwayError
from controller.models.people import Role
from controller.models.run import AuditRow
from controller.models.settings import Settings
from controller.ports.clock import VirtualClock
from controller.store import Page, Store, open_store
from controller.store.audit.audit import EACH
from controller.worker.scheduler import schedule
from tests.security.app_requests import ask
from tests.support.callers import admit
from tests.unit.api.bench import ApiBench, open_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ApiBench]:
    async with open_bench(tmp_path) as made:
        admit(made.store, "token-of-rosa", "rosa", Role.TENANT_VIEWER, "bitel")
        admit(made.store, "token-of-eva", "eva", Role.HOST_VIEWER)
        yield made


def denied(bench: ApiBench, actor: str) -> list[AuditRow]:
    rows = bench.store.audit.page(Page(limit=1000))[1]
    return [row for row in reversed(rows) if (row.actor, row.action) == (actor, "access.denied")]


def number(rows: list[AuditRow]) -> int:
    return sum(int(row.detail.get("count", "1")) for row in rows)


@pytest.mark.parametrize(
    ("who", "method", "path", "status", "needed"),
    [
        ("rosa", "GET", "/v1/alarms/a-{}", 404, "read"),
        ("rosa", "POST", "/v1/runs/r-{}/cancel", 404, "run"),
        ("eva", "POST", "/v1/runs/r-{}/cancel", 403, "run"),
    ],
)
async def test_a_flood_of_what_is_not_ones_own_is_on_record_as_a_flood(
    bench: ApiBench, who: str, method: str, path: str, status: int, needed: str
) -> None:
    for index in range(EACH + 15):
        answer = await ask(bench.app, method, path.format(index), f"token-of-{who}")
        assert answer.status == status
    each = denied(bench, who)
    assert [row.object for row in each] == [f"{method} {path.format(index)}" for index in range(EACH)]
    assert all(row.detail == {"permission": needed} for row in each)


async def test_unauthenticated_requests_are_counted_all_together(bench: ApiBench) -> None:
    for index in range(40):
        answer = await ask(bench.app, "GET", f"/v1/alarms/a-{index}", ("", "guess", "not.a.token")[index % 3])
        assert answer.status == 401
    await bench.app.state.services.unauthenticated.settle(bench.store)
    rows = denied(bench, UNAUTHENTICATED)
    assert (len(rows) <= 2, number(rows)) == (True, 40)
    assert rows[-1].object == "GET /v1/alarms/a-39"
    assert await ask(bench.app, "GET", "/healthz", "")
    assert number(denied(bench, UNAUTHENTICATED)) == 40


class Pauses(VirtualClock):
    """Says when somebody sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """See ``Clock.sleep``."""
        self.asleep.set()
        await super().sleep(seconds)

    async def on(self, seconds: float) -> None:
        """Move on, until what wakes up sleeps again."""
        self.asleep.clear()
        await self.advance(seconds)
        await asyncio.wait_for(self.asleep.wait(), 30)


async def test_unauthenticated_requests_cost_a_write_now_and_then(bench: ApiBench) -> None:
    requests, clock = UnauthenticatedRequests(), Pauses()
    requests.refused("GET /1", bench.store, clock)
    await clock.on(0)
    assert number(denied(bench, UNAUTHENTICATED)) == 1
    for _ in range(3):
        before = number(denied(bench, UNAUTHENTICATED))
        for index in range(100):
            requests.refused(f"GET /{index}", bench.store, clock)
        await clock.advance(9.9)
        assert number(denied(bench, UNAUTHENTICATED)) == before
        await clock.on(0.1)
        assert denied(bench, UNAUTHENTICATED)[-1].detail == {"count": "100"}
    requests.refused("GET /2", bench.store, clock)
    await requests.settle(bench.store)
    assert [row.detail.get("count") for row in denied(bench, UNAUTHENTICATED)] == [None, "100", "100", "100", None]


async def test_unauthenticated_requests_are_not_forgotten_while_the_database_is_away(bench: ApiBench) -> None:
    requests, clock = UnauthenticatedRequests(), Pauses()

    def away(*_: Any) -> None:
        raise StoreAwayError

    with patch.object(bench.store.audit, "deny", away):
        requests.refused("GET /0", bench.store, clock)
        await clock.on(0)
        requests.refused("GET /1", bench.store, clock)
        await clock.on(10)
    await clock.on(10)
    assert [row.detail for row in denied(bench, UNAUTHENTICATED)] == [{"count": "2"}]
    await requests.settle(bench.store)


def summed_up(store: Store) -> list[AuditRow]:
    """Rows that stand for several denials; the scheduler may write others at its start."""
    return [row for row in store.audit.page(Page(limit=1000))[1] if "count" in row.detail]


async def test_the_scheduler_sums_up_what_is_over(tmp_path: Path) -> None:
    settings, stop = Settings(home=tmp_path), asyncio.Event()
    with closing(open_store(settings.database, VirtualClock())) as store:
        for index in range(EACH + 7):
            store.audit.deny("rosa", "bitel", "read", f"GET /v1/alarms/a-{index}")
        working = asyncio.create_task(schedule(settings, "scheduler", stop))
        try:
            async with asyncio.timeout(60):
                while not (found := summed_up(store)):
                    await asyncio.sleep(0.05)
        finally:
            stop.set()
            await working
    assert [(row.object, row.detail["count"]) for row in found] == [(f"GET /v1/alarms/a-{EACH + 6}", "7")]
