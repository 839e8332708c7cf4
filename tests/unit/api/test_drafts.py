"""Drafts of statements take turns: many of one tenant keep no other waiting, and none keeps the host waiting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controller.api.drafts import Drafts, Wanted
from controller.models.statement import StatementKind
from controller.ports.clock import VirtualClock


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Wanted, asyncio.Event]]:
    """Drafts in the order in which their work began, each with the event that ends it."""
    found: list[tuple[Wanted, asyncio.Event]] = []

    async def run_sync(_: Any, _database: str, _now: Any, wanted: Wanted, **_rest: Any) -> Wanted:
        ends = asyncio.Event()
        found.append((wanted, ends))
        await ends.wait()
        return wanted

    monkeypatch.setattr("anyio.to_process.run_sync", run_sync)
    return found


def wanted(side: str, kind: StatementKind = StatementKind.SLA) -> Wanted:
    return Wanted(side, kind, side or "alfa", "2026-10")


async def test_a_tenant_with_many_questions_has_one_under_way_and_others_come_between(
    begun: list[tuple[Wanted, asyncio.Event]],
) -> None:
    drafts, clock = Drafts(), VirtualClock()
    asked = [wanted("alfa", kind) for kind in StatementKind] + [wanted("beta"), wanted(""), wanted("alfa")]
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(drafts.get(one, "sqlite://", clock)) for one in asked]
    order: list[Wanted] = []
    while len(order) < len(set(asked)):
        while not begun:
            await asyncio.sleep(0)
        sides = [one.side for one, _ in begun]
        assert sides.count("") <= 1
        assert len([side for side in sides if side]) <= 1, "tenants take turns"
        one, ends = begun.pop(0)
        order.append(one)
        ends.set()
        for _ in range(20):
            await asyncio.sleep(0)
    assert await asyncio.gather(*tasks) == asked
    assert order.index(wanted("beta")) <= 2, "after one draft of alfa, and the host's"
    assert len(order) == len(set(asked)), "who asks for the same shares it"
