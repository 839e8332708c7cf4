"""Alarms: list and follow; the remediation switch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

import structlog
from fastapi import Depends, Query, Request
from pydantic import AwareDatetime, Field

from controller.access.disclosure import TenantAlarm
from controller.api.auth import Router, needs, while_admitted
from controller.api.services import LOOK_SECONDS, Backend, Body, Listing, Paging, listing
from controller.api.sse import EventStream, event, keep_alive
from controller.api.views import AlarmView, Seen, View
from controller.models.alarm import REMEDIATION_STOPPED, AlarmFilter, AlarmState, PerceivedSeverity
from controller.models.errors import StoreError
from controller.models.people import Permission, Person
from controller.ports.store import Page
from controller.remediation.breaker import resume

log = structlog.get_logger()
router = Router(prefix="/v1", tags=["alarms"])

#: Alarms that a follower is told of: the newest ones.
_FOLLOWED = Page(limit=1000)
#: Seconds of silence after which a sign of life is sent.
_SILENCE = 15.0


#: Values of a query parameter that may come several times; more of them than that nobody asks for.
_Words = Annotated[list[str] | None, Query(max_length=100)]


class Switch(Body):
    """Whether automatic repair is to be stopped, and why."""

    stopped: bool
    reason: str = Field(default="", max_length=2000)


class Remediation(Switch):
    """Whether automatic repair is stopped: since when, by whom (``breaker``: by itself) and why.

    More than ``limit`` repairs within ``minutes`` stop it.
    """

    since: AwareDatetime | None = None
    by: str = ""
    limit: int
    minutes: float


async def asked_for(  # one for each query parameter
    state: Annotated[list[AlarmState] | None, Query()] = None,
    station: _Words = None,
    tenant: _Words = None,
    object: Annotated[  # its name in the query
        list[str] | None, Query(description="Whole, or the end of a path, as in EUtranCellFDD[1].", max_length=100)
    ] = None,
    cause: _Words = None,
    severity: Annotated[list[PerceivedSeverity] | None, Query()] = None,
    since: Annotated[AwareDatetime | None, Query(description="Only alarms that changed since then.")] = None,
    roots: Annotated[bool, Query(description="Only alarms that follow from no other.")] = False,
    root: Annotated[str, Query(description="Only alarms that follow from this one.", max_length=100)] = "",
) -> AlarmFilter:
    """Which alarms; each may be given several times, and of what is not given all are meant."""
    return AlarmFilter(
        states=tuple(state or ()),
        stations=tuple(station or ()),
        tenants=tuple(tenant or ()),
        objects=tuple(object or ()),
        causes=tuple(cause or ()),
        severities=tuple(severity or ()),
        since=since,
        roots=roots,
        root=root,
    )


@router.get("/alarms")
def alarms(
    seen: Seen,
    paging: Paging,
    _: Annotated[Person, needs(Permission.LOOK)],
    like: Annotated[AlarmFilter, Depends(asked_for)],
) -> Listing[AlarmView | TenantAlarm]:
    """Alarms, newest first."""
    total, found = seen.alarms(paging, like)
    return listing(total, found, paging)


@router.get("/alarms/events", status_code=200, response_class=EventStream)
async def events(request: Request, seen: Seen, _: Annotated[Person, needs(Permission.LOOK)]) -> EventStream:
    """Server-sent events: each alarm as it is now, then each change of one."""
    return EventStream(while_admitted(request, _follow(seen)))


async def _follow(seen: View) -> AsyncIterator[str]:
    sent: dict[str, str] = {}
    silent = 0.0
    while True:
        found = sent
        try:
            found = await seen.shared("alarms", partial(_events, seen))
        except StoreError as error:
            log.warning("alarms.follow_waits", reason=error.message)
        # Each by itself or 1000 at once, one piece: every piece is a turn of the loop, which all callers share.
        news = "" if found is sent else "".join(text for alarm, text in found.items() if sent.get(alarm) != text)
        sent = found
        if news:
            yield news
        silent = 0.0 if news else silent + LOOK_SECONDS
        if silent >= _SILENCE:
            yield keep_alive()
            silent = 0.0
        await seen.clock.sleep(LOOK_SECONDS)


def _events(seen: View) -> dict[str, str]:
    """What tells of each of the newest alarms as it is now, by id, the oldest first."""
    return {alarm.id: event("alarm", alarm) for alarm in reversed(seen.alarms(_FOLLOWED)[1])}


@router.get("/alarms/{alarm_id}")
def show(alarm_id: str, seen: Seen, _: Annotated[Person, needs(Permission.LOOK)]) -> AlarmView | TenantAlarm:
    """One alarm, with what its repair waits for."""
    return seen.alarm(alarm_id)


@router.get("/remediation")
def remediation(backend: Backend, _: Annotated[Person, needs(Permission.OVERSEE)]) -> Remediation:
    """Whether automatic repair is stopped, since when, by whom and why."""
    state, limits = backend.store.switches.get(REMEDIATION_STOPPED), backend.settings
    return Remediation(
        stopped=state.on,
        since=state.since,
        by=state.by,
        reason=state.reason,
        limit=limits.repair_limit,
        minutes=limits.repair_limit_minutes,
    )


@router.put("/remediation")
def switch(asked: Switch, backend: Backend, who: Annotated[Person, needs(Permission.STOP)]) -> Remediation:
    """Stop or resume all automatic repair. Repairs under way finish.

    What the breaker stopped is resumed here too.
    """
    if asked.stopped:
        backend.store.switches.set(REMEDIATION_STOPPED, True, who.name, asked.reason)
    else:
        resume(backend.store, backend.clock.now(), who.name, asked.reason)
    return remediation(backend, who)
