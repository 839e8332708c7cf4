"""The VES event listener (7.2.1): faults, heartbeats and registrations from network functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

import orjson
import structlog
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from controller.api.auth import Router, needs
from controller.api.problems import VES_HEADERS, ves_refusal
from controller.api.services import Backend, Services
from controller.assurance.health import OWN_CAUSES, as_told
from controller.assurance.station_alarms import heartbeat_report, report_of_fault
from controller.intent.folding import MOST_TOLD, placed
from controller.intent.impact import real_faults
from controller.models.alarm import Alarm, AlarmReport, AlarmSource, AlertRefusal
from controller.models.errors import InputError, NotFoundError, StoreError
from controller.models.many import first_names
from controller.models.network import DeviceKind, Network
from controller.models.people import Permission, Person
from controller.models.run import LedgerEntry
from controller.models.untrusted_json import HostileJsonError, parse_json
from controller.models.ves import VesEvent
from controller.nrm.tree import Path
from controller.store import Store

log = structlog.get_logger()
router = Router(prefix="/eventListener/v7", tags=["webhooks"])

#: Most errors of a call that its refusal names.
_SHOWN = 10
#: Most events of one call.
_MOST = 10_000
#: Events are sent as they happen: an older time stamp shows a wrong clock.
_OLDEST = timedelta(days=1)
#: Seconds between heartbeats if a device gives none, and the bounds of what it may give.
_INTERVAL, _SHORTEST, _LONGEST = 60.0, 1.0, 86_400.0
#: Most characters to keep of each field of a registration.
_LETTERS = 200


class _One(BaseModel):
    model_config = ConfigDict(extra="forbid")

    event: VesEvent


class _Batch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    eventList: list[VesEvent]  # noqa: N815 - as the specification calls it


@router.post("", status_code=202)
async def publish_event(
    request: Request, backend: Backend, who: Annotated[Person, needs(Permission.WEBHOOK)]
) -> Response:
    """Accept one event (`publishAnyEvent`). 202 means that it is on record; after 503 the source sends it again."""
    return await _published(_One, request, backend, who.name)


@router.post("/eventBatch", status_code=202)
async def publish_batch(
    request: Request, backend: Backend, who: Annotated[Person, needs(Permission.WEBHOOK)]
) -> Response:
    """Accept a batch of events (`publishEventBatch`). The answer comes when all are on record.

    Long calls are taken in by pieces: what is on record when a call fails counts as repeated when it comes again.

    Events of unknown sources are counted; the call is refused only if there are no others.
    """
    return await _published(_Batch, request, backend, who.name)


async def _published(form: type[_One | _Batch], request: Request, backend: Services, by: str) -> Response:
    if (encoding := request.headers.get("content-encoding", "identity")) != "identity":
        return ves_refusal(400, f"Content-Encoding: {encoding[:_LETTERS]}: only plain JSON is accepted")
    try:
        body = await request.body()
        async with backend.intake.turn():
            found = await run_in_threadpool(_read, form, body, backend)
        if not isinstance(found, str):
            beyond = await _taken_in(backend, found)
            found.refused[AlertRefusal.TOO_MANY.value] += beyond
    except HTTPException as error:
        return ves_refusal(error.status_code)
    except StoreError as error:
        log.warning("ves.store_unavailable", reason=error.message)
        return ves_refusal(503)
    except InputError as error:
        return ves_refusal(400, error.message)
    if isinstance(found, str):
        return ves_refusal(400, found)
    if found.refused.total():
        log.warning("ves.refused", by=by, refused=dict(+found.refused))
    if found.events and found.refused[AlertRefusal.TOO_MANY.value] == found.events:
        most = f"no more than {MOST_TOLD} faults of a source that stand or are of the last day"
        return ves_refusal(400, f"event.faultFields: {most}; faults that were told before go on being taken")
    if found.events and found.refused[AlertRefusal.UNKNOWN_STATION.value] == found.events:
        return ves_refusal(400, "event.commonEventHeader.sourceName: not in the network files")
    return Response(status_code=202, headers=VES_HEADERS)


async def _taken_in(backend: Services, found: _Read) -> int:
    """Put the events of a call on record: its faults together with those of other calls, and then all others.

    A call that fails between them comes again: it is answered once all are on record.

    Returns the number of faults that are too many.
    """
    beyond = 0
    if found.reports or found.refused:
        taken = await backend.intake.report(backend.take_reports, found.reports, found.refused, found.real)
        beyond = taken.count(None)
    if found.beats or found.registered or found.ready or found.changed:
        await run_in_threadpool(_keep, backend, found)
    return beyond


def _read(form: type[_One | _Batch], body: bytes, backend: Services) -> _Read | str:
    """The events of a call, or the wrong part of the message that refuses the call as a whole."""
    try:
        content = parse_json(body)
        message = form.model_validate(content)
    except HostileJsonError as error:
        return f"the body: {error}"
    except ValidationError as error:
        return _where(error)
    events = [message.event] if isinstance(message, _One) else message.eventList
    if len(events) > _MOST:
        return f"eventList: more than {_MOST} events"
    places = ["event"] if isinstance(message, _One) else [f"eventList.{number}" for number in range(len(events))]
    lacking = [
        f"{place}.{one.common_event_header.domain}Fields: missing"
        for place, one in zip(places, events, strict=True)
        if _lacks_block(one)
    ]
    if lacking:
        return first_names(lacking, _SHOWN, "; ")
    if AlarmSource.VES not in backend.settings.sources:
        return _Read()
    sent = [content["event"]] if isinstance(message, _One) else content["eventList"]
    return _read_events(backend, [*zip(events, sent, strict=True)])


def _where(error: ValidationError) -> str:
    """All errors with their places, the first few in words; it repeats no values."""
    found = [
        f"{'.'.join(str(part) for part in one['loc'])[:200]}: {one['msg'][:200]}"
        for one in error.errors(include_input=False, include_url=False)
    ]
    return first_names(found, _SHOWN, "; ")


def _lacks_block(event: VesEvent) -> bool:
    domain = event.common_event_header.domain
    blocks = {
        "fault": event.fault_fields,
        "pnfRegistration": event.pnf_registration_fields,
        "stndDefined": event.stnd_defined_fields,
    }
    return domain in blocks and blocks[domain] is None


@dataclass
class _Read:
    """The content of the events of a call.

    Attributes:
        real: Faults that are never too many (``controller.intent.impact.real_faults``).
        ready: Stations that have new measurement files.
        changed: Stations whose list of alarms changed, or was rebuilt.
    """

    events: int = 0
    reports: list[AlarmReport] = field(default_factory=list)
    real: frozenset[str] = frozenset()
    beats: dict[str, float | None] = field(default_factory=dict)
    registered: dict[str, dict[str, str]] = field(default_factory=dict)
    ready: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)


def _read_events(backend: Services, events: Sequence[tuple[VesEvent, object]]) -> _Read:
    store, now = backend.store, backend.clock.now()
    network = _network(store)
    sources = {event.common_event_header.source_name for event, _ in events}
    managed = {name for name in sources if network is not None and network.manages(name)}
    faulty = {one.common_event_header.source_name for one, _ in events if one.fault_fields is not None} & managed
    ledger, standing = store.ledger.find(sorted(faulty)), store.alarms.standing(sorted(faulty))
    healths = store.healths.find(faulty)
    found = _Read(len(events))
    for event, sent in events:
        header = event.common_event_header
        device = header.source_name
        if network is None or device not in managed:
            found.refused[AlertRefusal.UNKNOWN_STATION.value] += 1
        elif header.domain == "fault":
            report = _report(event, sent, now, ledger.get(device, {}), standing, network.device_kinds[device])
            found.reports.append(as_told(report, healths.get(device)))
        elif header.domain == "heartbeat":
            fields = event.heartbeat_fields
            interval = None if fields is None else min(max(fields.heartbeat_interval, _SHORTEST), _LONGEST)
            found.beats[device] = interval
        elif header.domain == "pnfRegistration":
            found.registered[device] = _registration(event)
        elif event.stnd_defined_fields is not None and event.stnd_defined_fields.files_ready:
            found.ready.add(device)
        elif event.stnd_defined_fields is not None and event.stnd_defined_fields.alarms_changed:
            found.changed.add(device)
        else:
            found.refused[AlertRefusal.UNREAD_DOMAIN.value] += 1
    found.real = real_faults(network, found.reports, OWN_CAUSES)
    return found


def _report(
    event: VesEvent,
    sent: object,
    now: datetime,
    ledger: Mapping[Path, LedgerEntry],
    standing: Sequence[Alarm],
    kind: DeviceKind,
) -> AlarmReport:
    header, fault = event.common_event_header, event.fault_fields
    assert fault is not None
    at = placed(header.source_time, now, _OLDEST)
    report = report_of_fault(header.source_name, header.event_id, fault, at, ledger, standing, kind)
    words = orjson.dumps(sent, option=orjson.OPT_SORT_KEYS).decode()
    return report.model_copy(update={"source_time": header.source_time, "body": words})


def _registration(event: VesEvent) -> dict[str, str]:
    fields = event.pnf_registration_fields
    assert fields is not None
    content = fields.model_dump(exclude={"additional_fields"}, exclude_defaults=True)
    return {name: str(value)[:_LETTERS] for name, value in content.items()}


def _keep(backend: Services, found: _Read) -> None:
    returned, hurried = backend.store.transaction(_kept, found, backend.clock.now())
    if returned:
        backend.wakeups.wake_scheduler()
    if hurried:
        backend.wakeups.wake_collectors()


def _kept(store: Store, found: _Read, now: datetime) -> tuple[list[Alarm], list[str]]:
    _, network = store.networks.get()
    back = store.heartbeats.beat(found.beats, _INTERVAL)
    for device, fields in sorted(found.registered.items()):
        store.heartbeats.register(device, fields)
    store.healths.ask(found.changed)
    returned = [heartbeat_report(one, now, network.kind_of(one), lost=False) for one in back]
    return store.alarms.report_all(returned), store.collections.hurry(found.ready)


def _network(store: Store) -> Network | None:
    """The network, None before one is loaded."""
    try:
        return store.networks.get()[1]
    except NotFoundError:
        return None
