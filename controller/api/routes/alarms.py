"""Alarms: list, follow and acknowledge."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Annotated

import structlog
from fastapi import Depends, Query, Request
from pydantic import AwareDatetime, Field
from starlette.concurrency import run_in_threadpool

from controller.access.disclosure import TenantAlarm
from controller.api.auth import Router, needs, while_admitted
from controller.api.launch import Launch
from controller.api.services import Backend, Body, Listing, Paging, Services, cut, listing
from controller.api.sse import EventStream, event, follow
from controller.api.views import AlarmView, CallerView, View
from controller.assurance.station_alarms import ListReports, problem_of, records_by_problem
from controller.models.alarm import (
    Alarm,
    AlarmFilter,
    AlarmSource,
    AlarmState,
    PerceivedSeverity,
    RecordedReport,
)
from controller.models.dispatch import DispatchPack
from controller.models.errors import ConflictError, DeviceError, NotFoundError
from controller.models.people import Permission, Person
from controller.models.scalars import HOST, Moment
from controller.remediation.dispatch import dispatch_pack
from controller.runs.launch import Launcher
from controller.store import Page, RunRequest, Store

log = structlog.get_logger()
router = Router(prefix="/v1", tags=["alarms"])

#: Most alarms to send to a follower: the newest ones.
_FOLLOWED = Page(limit=1000)
#: An alarm that people have forgotten must not stay hidden.
LONGEST_SHELVING = timedelta(days=7)

#: Values of a repeatable query parameter.
_Words = Annotated[list[str] | None, Query(max_length=100)]


async def asked_for(  # one for each query parameter
    state: Annotated[
        list[AlarmState] | None,
        Query(
            description="`raised`: alarms that stand, also while they are repaired and after they were escalated, as "
            "active alarms of X.733 and TS 28.111; `repairing`, `escalated`: those of them alone; `cleared`, "
            "`repaired`: those that are over."
        ),
    ] = None,
    station: _Words = None,
    tenant: _Words = None,
    object: Annotated[  # its name in the query
        list[str] | None, Query(description="Whole, or the end of a path, as in EUtranCellFDD[1].", max_length=100)
    ] = None,
    cause: _Words = None,
    severity: Annotated[list[PerceivedSeverity] | None, Query()] = None,
    since: Annotated[Moment | None, Query(description="Only alarms that changed since this time.")] = None,
    standing: Annotated[
        bool | None,
        Query(
            description="Only alarms that are not over; false: also those that are. Left out, `escalated` selects only "
            "what still stands, and all else also what is over."
        ),
    ] = None,
    roots: Annotated[
        bool,
        Query(description="Only roots: alarms that follow from no other. Tenants are not told roots, and get all."),
    ] = False,
    root: Annotated[str, Query(description="Only symptoms of this alarm.", max_length=100)] = "",
    shelved: Annotated[bool | None, Query(description="Only shelved alarms, or only others.")] = None,
    acknowledged: Annotated[bool | None, Query(description="Only acknowledged alarms, or only others.")] = None,
) -> AlarmFilter:
    """A filter of alarms; each parameter may be repeated, and one that is left out does not filter."""
    return AlarmFilter(
        states=tuple(state or ()),
        stations=tuple(station or ()),
        tenants=tuple(tenant or ()),
        objects=tuple(object or ()),
        causes=tuple(cause or ()),
        severities=tuple(severity or ()),
        since=since,
        standing=standing,
        roots=roots,
        root=root,
        shelved=shelved,
        acknowledged=acknowledged,
    )


@router.get("/alarms")
def alarms(
    seen: CallerView,
    paging: Paging,
    _: Annotated[Person, needs(Permission.READ)],
    like: Annotated[AlarmFilter, Depends(asked_for)],
) -> Listing[AlarmView | TenantAlarm]:
    """Alarms: those that stand first, the gravest first; for the host with what follows from them. Then the newest."""
    total, found = seen.alarms(paging, like)
    return listing(total, found, paging)


@router.get("/alarms/events", status_code=200, response_class=EventStream)
async def events(request: Request, seen: CallerView, _: Annotated[Person, needs(Permission.READ)]) -> EventStream:
    """Server-sent events: each alarm as it is now, then each change."""
    return EventStream(
        while_admitted(request, follow(seen, "alarms", partial(_events, seen), request.state.turn.another))
    )


def _events(seen: View) -> dict[str, str]:
    """Events of the newest alarms as they are now, by id, the oldest first."""
    return {alarm.id: event("alarm", alarm) for alarm in reversed(seen.alarms(_FOLLOWED, newest=True)[1])}


@router.get("/alarms/{alarm_id}")
def show(alarm_id: str, seen: CallerView, _: Annotated[Person, needs(Permission.READ)]) -> AlarmView | TenantAlarm:
    """One alarm, with what its repair waits for."""
    return seen.alarm(alarm_id)


@router.get("/alarms/{alarm_id}/dispatch")
def dispatch(alarm_id: str, backend: Backend, _: Annotated[Person, needs(Permission.OVERSEE)]) -> DispatchPack:
    """What a person sent to a site for an alarm has to know: place, unit, part, what was tried, holds."""
    return backend.store.transaction(dispatch_pack, alarm_id, backend.clock.now())


class ReportView(Body):
    """A report as received, with its time by the source's clock (`source_time`) and by ours, and how often it came.

    `skewed` says that the source's clock was wrong, so that the time of receipt counts.
    """

    number: int
    source: AlarmSource
    severity: PerceivedSeverity
    text: str
    at: AwareDatetime
    source_time: AwareDatetime | None
    received: AwareDatetime
    last: AwareDatetime
    count: int
    skewed: bool
    digest: str
    body: str


@router.get("/alarms/{alarm_id}/reports")
def reports(
    alarm_id: str, backend: Backend, paging: Paging, _: Annotated[Person, needs(Permission.OVERSEE)]
) -> Listing[ReportView]:
    """The newest thousand reports of an alarm that are still on record, oldest first."""
    backend.store.alarms.get(alarm_id)
    return cut([_report(one) for one in backend.store.reports.of_alarm(alarm_id, _FOLLOWED.limit)], paging)


def _report(one: RecordedReport) -> ReportView:
    noted, report = one.model_dump(exclude={"report", "alarm"}), one.report
    names = ("source", "severity", "text", "at", "source_time", "body")
    return ReportView.model_validate(noted | {name: getattr(report, name) for name in names})


class Acknowledgement(Body):
    """An acknowledged alarm, and the run that acknowledges it at its station; empty if that lists no such alarm."""

    alarm: AlarmView
    run: str = ""


@router.post("/alarms/{alarm_id}/acknowledge", status_code=202)
async def acknowledge(
    alarm_id: str, seen: CallerView, backend: Backend, launch: Launch, who: Annotated[Person, needs(Permission.RUN)]
) -> Acknowledgement:
    """Acknowledge an alarm: on record, and at its station if the AlarmList of the station has it.

    The first acknowledgement stays on record. If the station can't be read, it gets nothing: acknowledge again.
    """
    store = backend.store
    alarm = await run_in_threadpool(store.transaction, _acknowledged, alarm_id, who.name)
    run = await _acknowledge_there(backend, launch, alarm, who)
    view = await run_in_threadpool(seen.alarm, alarm_id)
    return Acknowledgement(alarm=AlarmView.model_validate(view.model_dump()), run=run)


def _acknowledged(store: Store, alarm_id: str, by: str) -> Alarm:
    """An alarm that somebody of the host acknowledged, with the calls about it."""
    store.calls.acknowledge(alarm_id, HOST, by)
    return store.alarms.acknowledge(alarm_id, by, actor=by)


async def _acknowledge_there(backend: Services, launch: Launcher, alarm: Alarm, who: Person) -> str:
    """Id of the run that acknowledges an alarm at its station; empty if there is nothing to acknowledge."""
    try:
        _, network = await run_in_threadpool(backend.store.networks.get)
        observed = await backend.planner.read(network, alarm.station)
    except (DeviceError, NotFoundError):
        return ""
    ledger = await run_in_threadpool(backend.store.ledger.find, [alarm.station])
    reports = ListReports.of(alarm.station, observed, backend.clock.now(), ledger.get(alarm.station, {}))
    records = records_by_problem(reports)
    if all(problem != problem_of(alarm) or record.acknowledged_by for problem, record in records):
        return ""
    given = {"station": alarm.station, "alarm": alarm.id}
    # It changes nothing that a paused run depends on.
    run = await launch.start(
        RunRequest(playbook="acknowledge-alarm", parameters=given, actor=who.name, asker=who, overtake=True)
    )
    return run.id


class Shelving(Body):
    """Until when an alarm is shelved, and why."""

    until: Moment = Field(description=f"At most {LONGEST_SHELVING.days} days ahead; shelve it again then.")
    reason: str = Field(min_length=1, max_length=2000)


class Unshelving(Body):
    """Why a shelved alarm comes back now."""

    reason: str = Field(default="", max_length=2000)


@router.post("/alarms/{alarm_id}/shelve")
def shelve(
    alarm_id: str, asked: Shelving, seen: CallerView, backend: Backend, who: Annotated[Person, needs(Permission.STOP)]
) -> AlarmView:
    """Shelve an alarm for a while (ISA-18.2): nobody is called for it, and no rule repairs it.

    It is still counted and listed. It comes back at the end, or as soon as it becomes worse.
    """
    now = backend.clock.now()
    if not now < asked.until <= now + LONGEST_SHELVING:
        raise ConflictError(f"until: has to be after now, and within {LONGEST_SHELVING.days} days")
    backend.store.alarms.shelve(alarm_id, asked.until, who.name, asked.reason)
    return AlarmView.model_validate(seen.alarm(alarm_id).model_dump())


@router.post("/alarms/{alarm_id}/unshelve")
def unshelve(
    alarm_id: str, asked: Unshelving, seen: CallerView, backend: Backend, who: Annotated[Person, needs(Permission.STOP)]
) -> AlarmView:
    """Bring a shelved alarm back now."""
    backend.store.alarms.unshelve(alarm_id, who.name, asked.reason)
    return AlarmView.model_validate(seen.alarm(alarm_id).model_dump())


class Clearing(Body):
    """Why a person clears an alarm."""

    reason: str = Field(min_length=1, max_length=2000)


@router.post("/alarms/{alarm_id}/clear")
def clear(
    alarm_id: str, asked: Clearing, seen: CallerView, backend: Backend, who: Annotated[Person, needs(Permission.RUN)]
) -> AlarmView:
    """Clear an alarm that its source can't clear: a notified warning, a lost source, an unreadable device.

    It comes back if its source reports it again. An alarm that its source clears is refused: shelve it instead.
    """

    def decide(store: Store) -> None:
        alarm = store.alarms.get(alarm_id)
        device = store.devices.find([alarm.station]).get(alarm.station)
        read = device is not None and device.adopted is not None
        if kept := alarm.kept_by(enabled=alarm.source in backend.settings.sources, read=read):
            raise ConflictError(f"{alarm_id} can't be cleared by a person: {kept}")
        store.alarms.clear(alarm_id, who.name, asked.reason)

    backend.store.transaction(decide)
    return AlarmView.model_validate(seen.alarm(alarm_id).model_dump())
