"""Notices about an incident to a side: when it began, when it grew, goes on in another one, and is over. Pure.

A side gets notices about the incident and not about each of its alarms. They contain only its own cells, and only
alarms that concern it. An incident is over for a side when nothing of it stands that concerns the side, wherever it is
part of now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from controller.models.alarm import Alarm, AlarmState, PerceivedSeverity, is_worse
from controller.models.approval import Notice, NoticeKind
from controller.models.enums import IncidentState
from controller.models.incident import Incident, gravest, is_dark
from controller.models.many import first_names
from controller.models.scalars import HOST

#: How long new changes are held back, so that a root and its symptoms become one message.
HOLD_OFF = timedelta(seconds=20)
#: The shortest time between two messages to a side that an incident grew.
PAUSE = timedelta(seconds=60)
#: Cells that a text names at most.
_NAMED = 8
_SEVERITIES = list(PerceivedSeverity)


class SideNews(NamedTuple):
    """News about an incident for one side.

    Attributes:
        cells: Affected cells of the side, sorted.
        since: When it began for that side.
        what: Probable cause of the root.
        doing: What is being done about it, in words.
        text: All of it for people.
    """

    kind: NoticeKind
    cells: tuple[str, ...]
    since: datetime
    what: str
    severity: PerceivedSeverity
    doing: str
    text: str


#: Those of these cells that each tenant shares (``controller.intent.impact.Sharing.tenants_at``).
CellsOf = Callable[[Iterable[str]], Mapping[str, tuple[str, ...]]]


#: Kinds after which a side expects more news of the incident itself.
TELLING = (NoticeKind.INCIDENT_RAISED, NoticeKind.INCIDENT_UPDATED)


def news(
    incident: Incident,
    standing: Sequence[Alarm],
    cells_of: CellsOf,
    side: str,
    last: Notice | None,
    elsewhere: Sequence[Alarm] = (),
) -> SideNews | None:
    """News for a side; None if there is nothing new.

    Args:
        incident: As it is now.
        standing: Its alarms that stand.
        cells_of: Who shares which cell.
        side: The host, or a tenant.
        last: What the side was last notified of, None if nothing.
        elsewhere: Alarms that stand and were part of it, and are part of another incident now.
    """
    known = last if last is not None and last.kind in TELLING else None
    mine = of_side(standing, side)
    if incident.state is not IncidentState.OPEN or not mine:
        onward = sorted({alarm.incident for alarm in of_side(elsewhere, side)})
        return None if known is None else _ended(incident, known, onward)
    now = _state(incident, mine, cells_of, side)
    if known is None:
        again = last is not None and last.kind is NoticeKind.INCIDENT_CONTINUED
        return now._replace(kind=NoticeKind.INCIDENT_UPDATED) if again else now
    grew = bool(set(now.cells) - set(known.cells)) or now.what != known.what
    worse = known.severity is None or is_worse(now.severity, known.severity)
    if not (grew or worse or now.doing != known.doing):
        return None
    return now._replace(kind=NoticeKind.INCIDENT_UPDATED)


def of_side(alarms: Iterable[Alarm], side: str) -> list[Alarm]:
    """Those of these alarms that concern a side."""
    return [alarm for alarm in alarms if side in (HOST, *alarm.tenants)]


def _state(incident: Incident, mine: Sequence[Alarm], cells_of: CellsOf, side: str) -> SideNews:
    """An incident as a side sees it that some of its alarms concern."""
    first = min(mine, key=lambda one: (one.id != incident.root, _SEVERITIES.index(one.severity), one.raised, one.id))
    suffering = {cell for alarm in mine for cell in alarm.cells}
    causes = [alarm.probable_cause for alarm in mine]
    cells = tuple(sorted(suffering if side == HOST else cells_of(suffering).get(side, ())))
    since = min(alarm.raised for alarm in mine)
    severity = gravest((alarm.probable_cause, alarm.severity) for alarm in mine)
    doing = _doing(incident, first)
    dark = "the station can't be reached any more, and is taken to serve nobody; " if is_dark(causes) else ""
    where = f" at {first_names(cells, _NAMED)}" if cells else ""
    text = f"{first.probable_cause} ({severity.value}) since {since:%Y-%m-%d %H:%M} UTC{where}; {dark}{doing}"
    return SideNews(NoticeKind.INCIDENT_RAISED, cells, since, first.probable_cause, severity, doing, text)


def _doing(incident: Incident, first: Alarm) -> str:
    if first.state is AlarmState.REPAIRING:
        return "a repair is under way"
    if first.state is AlarmState.ESCALATED:
        return "people see to it"
    if incident.owner or incident.acknowledged is not None or first.acknowledged is not None:
        return "people know of it"
    return "nobody has begun yet"


def _ended(incident: Incident, known: Notice, onward: Sequence[str]) -> SideNews:
    """An incident of which nothing stands any more for a side, at least not in itself."""
    since = known.since or known.at
    kind, said = NoticeKind.INCIDENT_CLEARED, "is over"
    if onward:
        kind = NoticeKind.INCIDENT_CONTINUED
        said = f"is not over: it is part of incident {first_names(onward, _NAMED)} now"
        if not incident.merged_into:
            said = f"is over, but not all that came with it: that goes on as incident {first_names(onward, _NAMED)}"
    text = f"{known.what} {said}; it began {since:%Y-%m-%d %H:%M} UTC"
    severity = known.severity or PerceivedSeverity.INDETERMINATE
    return SideNews(kind, known.cells, since, known.what, severity, "", text)
