"""Alarms: list and follow; the remediation switch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import structlog
from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool

from controller.access.told import TenantAlarm
from controller.api.auth import Router, needs, while_admitted
from controller.api.services import Backend, Body, Listing, Paging, listing
from controller.api.sse import EventStream, event, keep_alive
from controller.api.views import Seen, View
from controller.models.alarm import REMEDIATION_STOPPED, Alarm, AlarmState
from controller.models.errors import StoreError
from controller.models.people import Permission, Person
from controller.ports.store import Page

log = structlog.get_logger()
router = Router(prefix="/v1", tags=["alarms"])

#: Alarms that a follower is told of: the newest ones.
_FOLLOWED = Page(limit=1000)
#: Seconds between two looks for changed alarms, and of silence after which a sign of life is sent.
_LOOK, _SILENCE = 0.5, 15.0


class Switch(Body):
    """Whether automatic repair is stopped."""

    stopped: bool


@router.get("/alarms")
def alarms(
    seen: Seen,
    paging: Paging,
    _: Annotated[Person, needs(Permission.LOOK)],
    state: Annotated[list[AlarmState] | None, Query()] = None,
) -> Listing[Alarm | TenantAlarm]:
    """Alarms, newest first."""
    total, found = seen.alarms(paging, state)
    return listing(total, found, paging)


@router.get("/alarms/events", status_code=200, response_class=EventStream)
async def events(request: Request, seen: Seen, _: Annotated[Person, needs(Permission.LOOK)]) -> EventStream:
    """Server-sent events: each alarm as it is now, then again whenever it changes."""
    return EventStream(while_admitted(request, _follow(seen)))


async def _follow(seen: View) -> AsyncIterator[str]:
    told: dict[str, Alarm | TenantAlarm] = {}
    silent = 0.0
    while True:
        try:
            _, found = await run_in_threadpool(seen.alarms, _FOLLOWED)
        except StoreError as error:
            log.warning("alarms.follow_waits", reason=error.message)
            found = list(told.values())[::-1]
        news = [alarm for alarm in reversed(found) if told.get(alarm.id) != alarm]
        told = {alarm.id: alarm for alarm in reversed(found)}
        for alarm in news:
            yield event("alarm", alarm)
        silent = 0.0 if news else silent + _LOOK
        if silent >= _SILENCE:
            yield keep_alive()
            silent = 0.0
        await seen.clock.sleep(_LOOK)


@router.get("/alarms/{alarm_id}")
def show(alarm_id: str, seen: Seen, _: Annotated[Person, needs(Permission.LOOK)]) -> Alarm | TenantAlarm:
    """One alarm."""
    return seen.alarm(alarm_id)


@router.get("/remediation")
def remediation(backend: Backend, _: Annotated[Person, needs(Permission.OVERSEE)]) -> Switch:
    """Whether automatic repair is stopped."""
    return Switch(stopped=backend.store.switch(REMEDIATION_STOPPED))


@router.put("/remediation")
def switch(asked: Switch, backend: Backend, who: Annotated[Person, needs(Permission.STOP)]) -> Switch:
    """The kill switch: stop or resume all automatic repair. Repairs under way reach their end."""
    backend.store.set_switch(REMEDIATION_STOPPED, asked.stopped, who.name)
    return asked
