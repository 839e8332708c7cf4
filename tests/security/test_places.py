"""No tenant takes so much that others have to wait."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.api import app, guard
from controller.api.auth import digest
from controller.api.guard import ALL_AT_ONCE, LIMIT, MOST, MOST_OPEN, STRANGERS
from controller.api.views import LiveConfig, TenantView
from controller.models.network import Network
from controller.models.people import Role
from controller.nrm.tree import Observed
from controller.runs.planning.planner import Planner
from controller.store import Page
from controller.store.people import people
from tests.security.app_requests import ask
from tests.support.callers import ADMINISTRATOR, admit
from tests.unit.api.bench import TINY, ApiBench, files_of, open_bench

CALLERS = (("rosa", "andes"), ("raul", "andes"), ("tom", "condor"))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ApiBench]:
    async with open_bench(tmp_path) as made:
        await made.client.put("/v1/network", json={"files": files_of(TINY)})
        for name, tenant in CALLERS:
            admit(made.store, f"token-of-{name}", name, Role.TENANT_VIEWER, tenant)
        yield made


async def status(bench: ApiBench, name: str) -> int:
    return (await ask(bench.app, "GET", "/v1/me", f"token-of-{name}")).status


async def test_streams_of_one_tenant_leave_room_for_others(bench: ApiBench) -> None:
    streams = [
        asyncio.create_task(ask(bench.app, "GET", "/v1/alarms/events", "token-of-rosa", until=b"never"))
        for _ in range(MOST + 1)
    ]
    try:
        (refused,), going_on = await asyncio.wait(streams, timeout=50, return_when=asyncio.FIRST_COMPLETED)
        for answer in (refused.result(), await ask(bench.app, "GET", "/v1/me", "token-of-raul")):
            assert (answer.status, answer.problem["type"]) == (429, "urn:minka:error:too-many-requests")
            assert (b"retry-after", b"5") in answer.headers
        assert await status(bench, "tom") == 200
        assert (await bench.client.get("/v1/me")).status_code == 200
        left = going_on.pop()
        left.cancel()
        await asyncio.wait([left])
        assert await status(bench, "raul") == 200
    finally:
        for stream in streams:
            stream.cancel()
        await asyncio.wait(streams)


async def test_people_do_not_fill_the_record_with_tokens(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "MOST", 5)
    async with bench.with_token("token-of-rosa") as rosa:
        # One she has.
        made = [(await rosa.post("/v1/tokens", json={})).json()["token"]["id"] for _ in range(3)]
        assert (await rosa.post(f"/v1/tokens/{made[0]}/rotate", json={})).status_code == 201
        # Revoking makes no room: the rows are there.
        assert (await rosa.delete(f"/v1/tokens/{made[1]}")).status_code == 204
        before = bench.store.audit.page(Page())[0]
        for path in ("/v1/tokens", f"/v1/tokens/{made[2]}/rotate"):
            answer = await rosa.post(path, json={})
            assert (answer.status_code, "5 tokens within a day" in answer.json()["detail"]) == (409, True)
        assert bench.store.audit.page(Page())[0] == before
    assert (await bench.client.post("/v1/tokens", json={"owner": "tom"})).status_code == 201


async def test_requests_of_all_tenants_are_worked_on_in_turns(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    working, most, go = 0, 0, threading.Event()
    usual = TenantView.alarms

    def slow(self: TenantView, *given: Any) -> Any:
        nonlocal working, most
        working += 1
        most = max(most, working)
        go.wait(20)
        working -= 1
        return usual(self, *given)

    monkeypatch.setattr(TenantView, "alarms", slow)
    asked = [
        asyncio.create_task(ask(bench.app, "GET", "/v1/alarms", f"token-of-{name}"))
        for name in ("rosa", "raul", "tom") * 4
    ]
    async with asyncio.timeout(30):
        while working < ALL_AT_ONCE:
            await asyncio.sleep(0.05)
    assert (await bench.client.get("/v1/me")).status_code == 200, "the host waits for nobody"
    go.set()
    assert {(await one).status for one in asked} == {200}
    assert most == ALL_AT_ONCE
    assert working == 0
    assert await status(bench, "tom") == 200


async def test_the_openapi_document_is_rendered_for_nobody(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = app.openapi()
    monkeypatch.setattr(app, "openapi", lambda: pytest.fail("it was rendered again"))
    answer = await bench.anonymous.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == rendered


async def test_requests_without_a_token_are_bounded_by_path(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    usual = app._document_bytes
    monkeypatch.setattr(app, "_document_bytes", lambda: go.wait(50) and usual())
    asked = [asyncio.create_task(ask(bench.app, "GET", "/openapi.json", "")) for _ in range(MOST_OPEN + 1)]
    try:
        (refused,), _ = await asyncio.wait(asked, timeout=50, return_when=asyncio.FIRST_COMPLETED)
        answer = refused.result()
        assert (answer.status, answer.problem["type"]) == (429, "urn:minka:error:too-many-requests")
        assert (b"retry-after", b"1") in answer.headers
        assert (await ask(bench.app, "GET", "/healthz", "")).status == 200, "probes have their own room"
        assert (await bench.client.get("/v1/me")).status_code == 200
        assert await status(bench, "tom") == 200
    finally:
        go.set()
    assert sorted([(await one).status for one in asked]) == [200] * MOST_OPEN + [429]
    assert (await ask(bench.app, "GET", "/openapi.json", "")).status == 200


async def test_tokens_that_somebody_makes_up_hold_up_nobody_who_is_known(
    bench: ApiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, usual = threading.Event(), bench.store.tokens.bearer
    known = {digest(f"token-of-{name}") for name, _ in CALLERS}

    def slow(shown: str) -> Any:
        return usual(shown) if shown in known else go.wait(50) and usual(shown)

    monkeypatch.setattr(bench.store.tokens, "bearer", slow)
    assert await status(bench, "tom") == 200
    monkeypatch.setattr(guard, "_PATIENCE", 0.2)
    asked = [asyncio.create_task(ask(bench.app, "GET", "/v1/me", f"made-up-{n}")) for n in range(STRANGERS + 1)]
    try:
        (refused,), _ = await asyncio.wait(asked, timeout=50, return_when=asyncio.FIRST_COMPLETED)
        for answer in (refused.result(), await ask(bench.app, "GET", "/v1/me", "token-of-rosa")):
            assert (answer.status, answer.problem["type"]) == (429, "urn:minka:error:too-many-requests")
        assert (await ask(bench.app, "GET", "/v1/me", "")).status == 401
        assert await status(bench, "tom") == 200
    finally:
        go.set()
    assert sorted([(await one).status for one in asked]) == [401] * STRANGERS + [429]
    assert await status(bench, "rosa") == 200


async def test_a_token_that_was_valid_takes_no_more_than_its_look_ups(
    bench: ApiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither while it is valid, nor after it was revoked."""
    go, usual, waiting = threading.Event(), bench.store.tokens.bearer, 0
    busy = digest("token-of-rosa")

    def slow(shown: str) -> Any:
        nonlocal waiting
        if shown == busy:
            waiting += 1
            go.wait(50)
        return usual(shown)

    for name in ("rosa", "tom"):
        assert await status(bench, name) == 200
    monkeypatch.setattr(guard, "_PATIENCE", 0.2)
    monkeypatch.setattr(bench.store.tokens, "bearer", slow)
    asked = [asyncio.create_task(ask(bench.app, "GET", "/v1/me", "token-of-rosa")) for _ in range(3 * STRANGERS)]
    async with asyncio.timeout(50):
        while sum(task.done() for task in asked) < STRANGERS:
            await asyncio.sleep(0.05)
    assert {task.result().status for task in asked if task.done()} == {429}
    assert waiting == 2 * STRANGERS
    assert await status(bench, "tom") == 200
    for token in bench.store.tokens.find("rosa"):
        bench.store.tokens.revoke(token.id, ADMINISTRATOR)
    go.set()
    assert {(await task).status for task in asked} == {401, 429}
    waiting = 0
    go.clear()
    asked = [asyncio.create_task(ask(bench.app, "GET", "/v1/me", "token-of-rosa")) for _ in range(2 * STRANGERS)]
    async with asyncio.timeout(50):
        while sum(task.done() for task in asked) < STRANGERS:
            await asyncio.sleep(0.05)
    assert waiting == STRANGERS, "a refused token is nobody's any more"
    go.set()
    for task in asked:
        await task


@pytest.mark.parametrize("path", ["/healthz\n", "/open\tapi.json", "/healthz?", "/readyz#"])
async def test_a_path_that_only_looks_open_needs_a_token(bench: ApiBench, path: str) -> None:
    assert (await ask(bench.app, "GET", path, "")).status == 401


async def test_a_streams_readings_take_turns(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    working, most, readings = 0, 0, 0
    usual = TenantView.alarms

    def slow(self: TenantView, *given: Any) -> Any:
        nonlocal working, most, readings
        working, readings = working + 1, readings + 1
        most = max(most, working)
        time.sleep(0.05)
        working -= 1
        return usual(self, *given)

    monkeypatch.setattr(TenantView, "alarms", slow)
    streams = [
        asyncio.create_task(ask(bench.app, "GET", "/v1/alarms/events", f"token-of-{name}", until=b"never"))
        for name in ("rosa", "tom")
    ]
    try:
        async with asyncio.timeout(50):
            while readings < 8:
                assert (await ask(bench.app, "GET", "/v1/alarms", "token-of-raul")).status == 200
    finally:
        for stream in streams:
            stream.cancel()
        await asyncio.wait(streams)
    assert most == ALL_AT_ONCE
    assert await status(bench, "tom") == 200


async def test_a_tenant_that_reads_a_device_leaves_its_turn_until_the_device_answers(
    bench: ApiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, go, working, most = 0, asyncio.Event(), 0, 0

    async def read(self: Planner, network: Network, station: str, *, beside: bool = False) -> Observed:
        nonlocal reads
        reads += 1
        await go.wait()
        return Observed({})

    def disclosed(self: TenantView, station: str, observed: Observed) -> LiveConfig:
        nonlocal working, most
        working += 1
        most = max(most, working)
        time.sleep(0.05)
        working -= 1
        return LiveConfig(station=station, tree={}, state={}, unknown=())

    monkeypatch.setattr(Planner, "read", read)
    monkeypatch.setattr(TenantView, "_disclosed_config", disclosed)
    asked = [
        asyncio.create_task(ask(bench.app, "GET", "/v1/devices/T-LTE-1/config", f"token-of-{name}"))
        for name in ("rosa", "tom", "raul", "tom")
    ]
    async with asyncio.timeout(50):
        while reads < 2:  # one of each tenant: those of a tenant share it
            await asyncio.sleep(0.05)
    assert await status(bench, "rosa") == 200
    assert await status(bench, "tom") == 200
    go.set()
    assert {(await one).status for one in asked} == {200}
    assert most == ALL_AT_ONCE


async def test_one_tenant_does_not_take_all_turns(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    usual = TenantView.alarms
    monkeypatch.setattr(TenantView, "alarms", lambda self, *given: go.wait(20) and usual(self, *given))
    asked = [asyncio.create_task(ask(bench.app, "GET", "/v1/alarms", "token-of-rosa")) for _ in range(10)]
    await asyncio.sleep(0.1)
    assert await asyncio.wait_for(status(bench, "tom"), 10) == 200
    go.set()
    assert {(await one).status for one in asked} == {200}


async def test_no_tenant_sends_bodies_as_large_as_network_files(bench: ApiBench) -> None:
    answer = await ask(bench.app, "PUT", "/v1/network", "token-of-rosa", body=b" " * (LIMIT + 1))
    assert (answer.status, answer.problem["type"]) == (413, "urn:minka:error:too-large")
