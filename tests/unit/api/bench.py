"""The API in process: real routes, a real SQLite store, fake devices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
from fastapi import FastAPI

from controller.api.auth import ensure_webhook_token
from controller.api.services import Services
from controller.bootstrap import put_first_definitions
from controller.drivers.fake import FakeDevices
from controller.drivers.registry import target_of
from controller.models.settings import Settings
from controller.observe.exposition import exposition
from controller.ports.clock import SystemClock
from controller.ports.queue import FakeWakeups
from controller.runs.planning.importer import Importer
from controller.runs.planning.planner import Planner
from controller.store import LoopStore, Store, open_store
from tests.support.apps import app_with
from tests.support.callers import admit

TOKEN, WEBHOOK_TOKEN = "token-of-ana", "token-of-alertmanager"
NETWORKS = Path(__file__).parents[3] / "deploy" / "networks"
TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"


@dataclass
class ApiBench:
    """The API and what is behind it; ``client`` has a token, ``anonymous`` has none."""

    app: FastAPI
    store: Store
    devices: FakeDevices
    wakeups: FakeWakeups
    client: httpx.AsyncClient
    anonymous: httpx.AsyncClient

    def with_token(self, token: str) -> httpx.AsyncClient:
        return _client(self.app, {"Authorization": f"Bearer {token}"})


def _client(app: FastAPI, headers: dict[str, str]) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://minka", headers=headers)


def files_of(directory: Path) -> dict[str, str]:
    """Network files as they are uploaded."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(directory.iterdir())}


@asynccontextmanager
async def open_bench(folder: Path, database: str = "") -> AsyncIterator[ApiBench]:
    clock = SystemClock()
    store = open_store(database or f"sqlite:///{folder / 'minka.sqlite3'}", clock)
    settings = Settings(home=folder, database_url=database)
    put_first_definitions(store, settings)
    admit(store, TOKEN)
    ensure_webhook_token(WEBHOOK_TOKEN, store, clock)
    loop_store, devices, wakeups = LoopStore(store), FakeDevices(clock), FakeWakeups()
    services = Services(
        settings=settings,
        store=store,
        devices=devices,
        planner=Planner(loop_store, devices, clock, target_of),
        importer=Importer(loop_store, devices, clock),
        wakeups=wakeups,
        clock=clock,
        exposition=partial(exposition, store, clock),
    )
    app = app_with(services)
    async with _client(app, {"Authorization": f"Bearer {TOKEN}"}) as client, _client(app, {}) as anonymous:
        yield ApiBench(app, store, devices, wakeups, client, anonymous)
    await app.state.services.unauthenticated.settle(store)
    await loop_store.close()
    store.close()
