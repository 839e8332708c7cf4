"""The launcher of runs for routes, and the preparation of playbook runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends
from starlette.concurrency import run_in_threadpool

from controller.api.services import Backend
from controller.observe.webhook import HttpWebhook
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.context import ActionServices
from controller.playbook.engine.preparation import PlaybookPreparation
from controller.playbook.in_force import library_in_force
from controller.playbook.language.library import Library
from controller.ports.store import Store
from controller.runs.launch import Launcher
from controller.store import AsyncSqlStore

T = TypeVar("T")


class _Threaded(AsyncSqlStore):
    """The asynchronous store for the server's loop."""

    async def call(self, work: Callable[[Store], T]) -> T:
        return await run_in_threadpool(work, self._store)


def library(backend: Backend) -> Library:
    """The playbooks that are in force."""
    return library_in_force(backend.store)


def preparation(backend: Backend) -> PlaybookPreparation:
    """The preparation of playbook runs."""
    webhook = HttpWebhook(backend.settings.notify_url)
    sources = tuple(backend.settings.software_sources.split())
    services = ActionServices(
        _Threaded(backend.store),
        backend.planner,
        webhook,
        backend.clock,
        channels=backend.channels,
        sources=sources,
        credentials=backend.credentials,
    )
    return PlaybookPreparation(services, library_in_force, registry())


def launcher(backend: Backend) -> Launcher:
    """The launcher of runs."""
    return Launcher(_Threaded(backend.store), backend.planner, backend.wakeups, preparation(backend))


Playbooks = Annotated[Library, Depends(library)]
Preparation = Annotated[PlaybookPreparation, Depends(preparation)]
Launch = Annotated[Launcher, Depends(launcher)]
