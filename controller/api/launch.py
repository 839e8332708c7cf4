"""The launcher of runs for routes, and the preparation of playbook runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from controller.api.services import Backend
from controller.bootstrap import ThreadedStore, action_services, webhook_of
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.preparation import PlaybookPreparation
from controller.playbook.in_force import library_in_force
from controller.playbook.language.library import Library
from controller.runs.launch import Launcher


def library(backend: Backend) -> Library:
    """The playbooks that are in force."""
    return library_in_force(backend.store)


def preparation(backend: Backend) -> PlaybookPreparation:
    """The preparation of playbook runs."""
    services = action_services(
        ThreadedStore(backend.store),
        backend.planner,
        webhook_of(backend.settings),
        backend.clock,
        backend.settings,
        channels=backend.channels,
        credentials=backend.credentials,
    )
    return PlaybookPreparation(services, library_in_force, registry())


def launcher(backend: Backend) -> Launcher:
    """The launcher of runs."""
    return Launcher(ThreadedStore(backend.store), backend.planner, backend.wakeups, preparation(backend))


Playbooks = Annotated[Library, Depends(library)]
Preparation = Annotated[PlaybookPreparation, Depends(preparation)]
Launch = Annotated[Launcher, Depends(launcher)]
