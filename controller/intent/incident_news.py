"""Notices about an incident to a side: when it began, grew, goes on in another one, is told no more, is over. Pure.

A side gets notices about the incident and not about each of its alarms. They contain only its own cells, and only
alarms that concern it. An incident is over for a side when nothing of it stands that concerns the side, wherever it is
part of now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from controller.intent.impact import Sharing
from controller.models.alarm import Alarm, AlarmState, PerceivedSeverity, is_worse
from controller.models.approval import Notice, NoticeKind
from controller.models.enums import IncidentState
from controller.models.incident import DARK, Incident, gravest, is_dark
from controller.models.many import first_names
from controller.models.scalars import HOST

#: How long new changes are held back, so that a root and its symptoms become one message.
HOLD_OFF = timedelta(seconds=20)
#: The shortest time between two messages to a side that an incident grew.
PAUSE = timedelta(seconds=60)
#: The shortest time from a message to a side until another one that only says that the incident is less grave: it may
#: become worse again.
EASED = timedelta(minutes=5)
#: Cells that a text names at most.
_NAMED = 8
_SEVERITIES = list(PerceivedSeverity)


class SideNews(NamedTuple):
    """News about an incident for one side.

    Attributes:
        cells: Affected cells of the side, sorted.
        stations: Stations of these cells; for the host those of all alarms; sorted.
        since: When it began for that side.
        what: Probable cause of the root.
        doing: What is being done about it, in words.
        text: All of it for people.
        tenants: For the host, tenants whom its alarms concern, sorted; a tenant reads of no other.
    """

    kind: NoticeKind
    cells: tuple[str, ...]
    stations: tuple[str, ...]
    since: datetime
    what: str
    severity: PerceivedSeverity
    doing: str
    text: str
    tenants: tuple[str, ...] = ()


#: Kinds after which a side expects more news of the incident itself.
TELLING = (NoticeKind.INCIDENT_RAISED, NoticeKind.INCIDENT_UPDATED)


def news(
    incident: Incident,
    standing: Sequence[Alarm],
    sharing: Sharing,
    side: str,
    last: Notice | None,
    elsewhere: Sequence[Alarm] = (),
    over: Sequence[Alarm] = (),
    tried: Collection[str] = (),
) -> SideNews | None:
    """News for a side; None if there is nothing new.

    Args:
        incident: As it is now.
        standing: Its alarms that stand.
        sharing: Who shares which cell today.
        side: The host, or a tenant.
        last: What the side was last notified of, None if nothing.
        elsewhere: Alarms that stand and were part of it, and are part of another incident now.
        over: Alarms that were part of it when they ended; needed only if there are some elsewhere.
        tried: Alarms of which a repair ended without curing them, by id.
    """
    known = last if last is not None and last.kind in TELLING else None
    mine = of_side(standing, side, sharing)
    if incident.state is not IncidentState.OPEN or not mine:
        if known is None:
            return None
        if onward := of_side(elsewhere, side, sharing):
            return _continued(known, onward, _really_over(over, onward, known, side), sharing, side)
        return _ended(known) if _covers(sharing, known, side) else _withdrawn(known)
    now = _state(incident, mine, sharing, side, known, tried)
    if known is None:
        again = last is not None and last.kind is NoticeKind.INCIDENT_CONTINUED
        return now._replace(kind=NoticeKind.INCIDENT_UPDATED) if again else now
    grew = bool(set(now.cells) - set(known.cells)) or now.what != known.what
    if not (grew or now.severity is not known.severity or now.doing != known.doing):
        return None
    return now._replace(kind=NoticeKind.INCIDENT_UPDATED)


def not_before(found: SideNews, last: Notice | None) -> datetime | None:
    """The earliest time of news about an incident that a side knows; None where it need not wait for an earlier notice.

    What is only less grave than a side knows waits for longer than what grew, so that an incident that becomes better
    and worse again in between is no news.
    """
    if found.kind is not NoticeKind.INCIDENT_UPDATED or last is None or last.kind not in TELLING:
        return None
    same = set(found.cells) <= set(last.cells) and (found.what, found.doing) == (last.what, last.doing)
    eased = same and last.severity is not None and is_worse(last.severity, found.severity)
    return last.at + (EASED if eased else PAUSE)


def of_side(alarms: Iterable[Alarm], side: str, sharing: Sharing) -> list[Alarm]:
    """Those of these alarms that a side is notified of."""
    return [one for one in alarms if side == HOST or (side in one.tenants and sharing.tells(one, side))]


def _state(
    incident: Incident,
    mine: Sequence[Alarm],
    sharing: Sharing,
    side: str,
    known: Notice | None,
    tried: Collection[str],
) -> SideNews:
    """An incident as a side sees it that some of its alarms concern, and as it knows it already."""
    first = min(mine, key=lambda one: (one.id != incident.root, _SEVERITIES.index(one.severity), one.order))
    causes = [alarm.probable_cause for alarm in mine]
    cells = _cells(mine, sharing, side)
    since = min(alarm.raised for alarm in mine)
    severity = gravest((alarm.probable_cause, alarm.severity) for alarm in mine)
    doing = _doing(incident, first, tried)
    dark = f"{DARK}; " if is_dark(causes) else ""
    where = _where(mine, cells, side)
    was = f", was {known.severity.value}" if known is not None and known.severity not in (None, severity) else ""
    text = f"{first.probable_cause} ({severity.value}{was}) since {since:%Y-%m-%d %H:%M} UTC{where}; {dark}{doing}"
    stations = _stations(mine, cells, side)
    return SideNews(
        kind=NoticeKind.INCIDENT_RAISED,
        cells=cells,
        stations=stations,
        since=since,
        what=first.probable_cause,
        severity=severity,
        doing=doing,
        text=text,
        tenants=_concerned(mine, side),
    )


def _where(mine: Sequence[Alarm], cells: Sequence[str], side: str) -> str:
    """Where an incident is: the cells that suffer; without any the devices and objects, for the host alone."""
    if cells or side != HOST:
        return f" at {first_names(cells, _NAMED)}" if cells else ""
    names = sorted({" ".join(dict.fromkeys(filter(None, (one.station, one.object)))) for one in mine})
    return f" at {first_names(names, _NAMED)}"


def _stations(mine: Iterable[Alarm], cells: Iterable[str], side: str) -> tuple[str, ...]:
    found = {cell.partition("/")[0] for cell in cells}
    return tuple(sorted(found | {one.station for one in mine if side == HOST and one.station}))


def _concerned(alarms: Iterable[Alarm], side: str) -> tuple[str, ...]:
    """Tenants whom alarms concern, for the host alone; sorted."""
    return tuple(sorted({tenant for alarm in alarms for tenant in alarm.tenants})) if side == HOST else ()


def _cells(alarms: Iterable[Alarm], sharing: Sharing, side: str) -> tuple[str, ...]:
    """Cells of a side that suffer from alarms, sorted."""
    suffering = {cell for alarm in alarms for cell in alarm.cells}
    return tuple(sorted(suffering)) if side == HOST else sharing.tenants_at(suffering).get(side, ())


def _doing(incident: Incident, first: Alarm, tried: Collection[str]) -> str:
    if first.state is AlarmState.REPAIRING:
        return "a repair is under way"
    if first.state is AlarmState.ESCALATED:
        return "people see to it"
    if incident.owner or incident.acknowledged is not None or first.acknowledged is not None:
        return "people know of it"
    if first.id in tried:
        return "a repair was tried and did not cure it"
    return "nobody has begun yet"


def _really_over(over: Iterable[Alarm], onward: Iterable[Alarm], known: Notice, side: str) -> list[Alarm]:
    """Alarms of a side that ended since it was told of the incident, without faults that stand again elsewhere."""
    stands = {(one.station, one.object, one.probable_cause) for one in onward}
    since = known.since or known.at
    return [
        one
        for one in over
        if side in (HOST, *one.tenants)
        and one.cleared is not None
        and one.cleared >= since
        and (one.station, one.object, one.probable_cause) not in stands
    ]


def _covers(sharing: Sharing, known: Notice, side: str) -> bool:
    """Whether an agreement in force still covers some of the cells that a side was told of."""
    if side == HOST:
        return True
    if known.cells:
        return side in sharing.tenants_at(known.cells)
    return any(one.tenant == side for one in sharing.in_force)


def _continued(known: Notice, onward: Sequence[Alarm], over: Sequence[Alarm], sharing: Sharing, side: str) -> SideNews:
    """An incident of which something stands for a side, all of it in other incidents."""
    others = first_names(sorted({alarm.incident for alarm in onward}), _NAMED)
    if not over:
        return _last(NoticeKind.INCIDENT_CONTINUED, known, f"is not over: it is part of incident {others} now")
    # What still suffers is not among the cells of what ended.
    ended = set(_cells(over, sharing, side)) - set(_cells(onward, sharing, side))
    first = min(over, key=lambda one: (one.probable_cause != known.what, one.order))
    only = known.model_copy(
        update={
            "what": first.probable_cause,
            "cells": tuple(sorted(ended)),
            "stations": _stations(over, sorted(ended), side),
            "since": min(alarm.raised for alarm in over),
            "tenants": _concerned(over, side),
        }
    )
    said = f"is over, but not all that came with it: that goes on as incident {others}"
    return _last(NoticeKind.INCIDENT_CONTINUED, only, said)


def _withdrawn(known: Notice) -> SideNews:
    """An incident whose cells the side shares no longer: whether it is over is not told."""
    said = "is no longer told: no agreement in force covers its cells; that says nothing about whether it is over"
    return _last(NoticeKind.INCIDENT_WITHDRAWN, known, said)


def _ended(known: Notice) -> SideNews:
    """An incident of which nothing stands any more for a side."""
    return _last(NoticeKind.INCIDENT_CLEARED, known, "is over")


def _last(kind: NoticeKind, known: Notice, said: str) -> SideNews:
    since = known.since or known.at
    severity = known.severity or PerceivedSeverity.INDETERMINATE
    text = f"{known.what} {said}; it began {since:%Y-%m-%d %H:%M} UTC"
    return SideNews(kind, known.cells, known.stations, since, known.what, severity, "", text, known.tenants)
