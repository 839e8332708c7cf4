"""Playbooks: list, show, run, dry-run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Header
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Contracts, Listing, Paging, cut
from controller.inventory.source import Report
from controller.models.approval import Contract
from controller.models.people import Permission, Person
from controller.models.run import OnHold, Run
from controller.observe.webhook import HttpWebhook
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.context import ActionServices
from controller.playbook.engine.preparation import DryRun, PlaybookPreparation
from controller.playbook.language.library import Library
from controller.playbook.language.playbook import Playbook
from controller.ports.store import RunRequest, Store
from controller.runs.launch import Launcher
from controller.store import AsyncSqlStore

router = Router(prefix="/v1/playbooks", tags=["playbooks"])

T = TypeVar("T")


class PlaybookSummary(Body):
    """A playbook in a list; ``problems`` where it can't be used."""

    name: str
    description: str = ""
    parameters: list[str] = []
    problems: list[str] = []


class PlaybookView(Body):
    """One playbook with its text."""

    digest: str
    text: str
    playbook: Playbook


class PlaybookParameters(Body):
    """Parameters by name, as texts or plain values."""

    parameters: dict[str, str | int | bool] = {}
    on_hold: OnHold | None = Field(
        default=None, description="Leave out stations under a hold, or refuse the run; null: as the playbook says."
    )


class NewPlaybookRun(PlaybookParameters):
    """Parameters, and why; the reasons are kept on record. ``overtake`` lets it go before a paused run."""

    reason: str = ""
    contracts: tuple[Contract, ...] = Contracts
    overtake: bool = False


class _Threaded(AsyncSqlStore):
    """The store as seen from the server's loop."""

    async def call(self, work: Callable[[Store], T]) -> T:
        return await run_in_threadpool(work, self._store)


def library(backend: Backend) -> Library:
    """The playbooks of the settings' folder."""
    return Library(backend.settings.playbooks, registry())


def preparation(backend: Backend) -> PlaybookPreparation:
    """What prepares runs of them."""
    webhook = HttpWebhook(backend.settings.notify_url)
    sources = tuple(backend.settings.software_sources.split())
    store, kpis = _Threaded(backend.store), backend.settings.kpis
    services = ActionServices(store, backend.planner, webhook, backend.clock, sources=sources, kpis=kpis)
    return PlaybookPreparation(services, library(backend))


def launcher(backend: Backend) -> Launcher:
    """What starts runs."""
    return Launcher(_Threaded(backend.store), backend.planner, backend.wakeups, preparation(backend))


Playbooks = Annotated[Library, Depends(library)]
Preparation = Annotated[PlaybookPreparation, Depends(preparation)]
Launch = Annotated[Launcher, Depends(launcher)]


@router.get("")
def playbooks(
    books: Playbooks, paging: Paging, _: Annotated[Person, needs(Permission.OVERSEE)]
) -> Listing[PlaybookSummary]:
    """Playbooks by name; one that can't be used names its problems."""
    return cut([_summary(books, name) for name in books.names()], paging)


def _summary(books: Library, name: str) -> PlaybookSummary:
    report = Report()
    loaded = books.read(name, report)
    if loaded is None:
        return PlaybookSummary(name=name, problems=[str(problem) for problem in report.problems])
    return PlaybookSummary(
        name=name, description=loaded.playbook.description, parameters=list(loaded.playbook.parameters)
    )


@router.get("/{name}")
def show(name: str, books: Playbooks, _: Annotated[Person, needs(Permission.OVERSEE)]) -> PlaybookView:
    """One playbook, with its parameters and its text."""
    loaded = books.load(name)
    return PlaybookView(digest=loaded.digest, text=loaded.text, playbook=loaded.playbook)


@router.post("/{name}/dry-run")
async def dry_run(
    name: str, given: PlaybookParameters, playbooks: Preparation, who: Annotated[Person, needs(Permission.PLAN)]
) -> DryRun:
    """What a run would do: plan, waves, reach, each station's steps, and what would refuse it. Changes nothing."""
    return await playbooks.dry_run(
        RunRequest(playbook=name, parameters=given.parameters, on_hold=given.on_hold, actor=who.name)
    )


@router.post("/{name}/runs", status_code=202)
async def run(
    name: str,
    asked: NewPlaybookRun,
    launch: Launch,
    who: Annotated[Person, needs(Permission.RUN)],
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> Run:
    """Accept a run. The same Idempotency-Key of yours returns the same run; with other parameters it is a conflict."""
    return await launch.start(
        RunRequest(
            playbook=name,
            parameters=asked.parameters,
            on_hold=asked.on_hold,
            actor=who.name,
            reason=asked.reason,
            key=idempotency_key,
            asker=who,
            contracts=asked.contracts,
            overtake=asked.overtake,
        )
    )
