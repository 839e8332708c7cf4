"""The record itself: whether it is in doubt, and a person's decision."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.concurrency import run_in_threadpool

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body
from controller.models.enums import RecordChoice
from controller.models.people import Permission, Person
from controller.models.record import RecordState

router = Router(prefix="/v1/record", tags=["record"])


class RecordDecision(Body):
    """Whether the record or the devices are right where they differ, and why."""

    choice: RecordChoice
    reason: str = Field(min_length=1)


class RecordOutcome(Body):
    """The result: stations whose ledger changed, and stations on hold because they could not be read."""

    state: RecordState
    taken: tuple[str, ...] = ()
    on_hold: tuple[str, ...] = ()


@router.get("")
def show(backend: Backend, _: Annotated[Person, needs(Permission.OVERSEE)]) -> RecordState:
    """Whether the database is the newest known record; while that is in doubt, nothing starts on stations."""
    return backend.store.integrity.look()


@router.post("/decision")
async def decide(
    asked: RecordDecision, backend: Backend, who: Annotated[Person, needs(Permission.OVERRIDE)]
) -> RecordOutcome:
    """End the doubt. ``record``: what is on record and differs is drift. ``devices``: what they carry was applied.

    For ``record`` nodes that are not on record stay on the stations, unknown, until these are adopted again.
    For ``devices`` all adopted stations are read; unreadable ones get a hold. It is refused (409) where stations differ
    from the record before it ``settles``: a commit that nobody confirmed may be taken back until then.
    """
    read = backend.clock.now()
    carried, unread = await backend.planner.carried() if asked.choice is RecordChoice.DEVICES else ([], [])
    decide_record = backend.store.integrity.decide
    state = await run_in_threadpool(decide_record, asked.choice, who.name, asked.reason, carried, unread, read)
    return RecordOutcome(state=state, taken=tuple(one.station for one in carried), on_hold=tuple(unread))
