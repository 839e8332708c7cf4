"""Playbooks: list, show, run, dry-run."""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import Header
from pydantic import Field

from controller.api.auth import Router, needs
from controller.api.launch import Launch, Playbooks, Preparation
from controller.api.services import Body, Contracts, Listing, Paging, cut
from controller.inventory.source import Report
from controller.models.approval import Contract
from controller.models.people import Permission, Person
from controller.models.run import OnHold, Run
from controller.playbook.engine.preparation import DryRun
from controller.playbook.language.library import Library
from controller.playbook.language.playbook import Playbook
from controller.store import RunRequest

router = Router(prefix="/v1/playbooks", tags=["playbooks"])

T = TypeVar("T")


class PlaybookSummary(Body):
    """A playbook in a list; ``problems`` says why it can't be used."""

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
    """Parameters by name, as texts or plain values, and the reason of the run, which its texts may show."""

    parameters: dict[str, str | int | bool] = {}
    expect_stations: int | None = Field(
        default=None,
        ge=0,
        description="Number of devices that the run touches, if that is more than the configured share of the network.",
    )
    on_hold: OnHold | None = Field(
        default=None, description="Leave out stations under a hold, or refuse the run; null: as the playbook says."
    )
    reason: str = ""


class NewPlaybookRun(PlaybookParameters):
    """Parameters, and reasons for the record. ``overtake`` lets the run start before a paused one."""

    contracts: tuple[Contract, ...] = Contracts
    overtake: bool = False


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
        RunRequest(
            playbook=name,
            parameters=given.parameters,
            expect_stations=given.expect_stations,
            on_hold=given.on_hold,
            actor=who.name,
            reason=given.reason,
        )
    )


@router.post("/{name}/runs", status_code=202)
async def run(
    name: str,
    asked: NewPlaybookRun,
    launch: Launch,
    who: Annotated[Person, needs(Permission.RUN)],
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> Run:
    """Start a run. Your same Idempotency-Key returns the same run, and with other parameters a conflict."""
    return await launch.start(
        RunRequest(
            playbook=name,
            parameters=asked.parameters,
            expect_stations=asked.expect_stations,
            on_hold=asked.on_hold,
            actor=who.name,
            reason=asked.reason,
            key=idempotency_key,
            asker=who,
            contracts=asked.contracts,
            overtake=asked.overtake,
        )
    )
