"""The report of a shift."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query, Response

from controller.access.shift_report import html, markdown
from controller.api.auth import Router, needs
from controller.api.shift import LONGEST, ShiftReport, shift_report
from controller.api.views import CallerView
from controller.intent.shifts import Period, changes_of_shift, current_shift, last_shift
from controller.models.errors import InputError
from controller.models.network import Network
from controller.models.people import Permission, Person
from controller.models.scalars import Moment

router = Router(prefix="/v1/shift-report", tags=["incidents"])

_FORMS: dict[int | str, dict[str, Any]] = {
    200: {"content": {media: {"schema": {"type": "string"}} for media in ("text/markdown", "text/html")}}
}


@router.get("", responses=_FORMS)
def report(
    seen: CallerView,
    who: Annotated[Person, needs(Permission.READ)],
    since: Annotated[Moment | None, Query(description="Begin; by default that of the shift.")] = None,
    until: Annotated[Moment | None, Query(description="End, after `since`; by default now.")] = None,
    shift: Annotated[
        Literal["last", "current"], Query(description="The last shift that is over, or the one under way.")
    ] = "last",
    format: Annotated[  # its name
        Literal["json", "md", "html"], Query(description="JSON, or Markdown or HTML for people.")
    ] = "json",
) -> ShiftReport:
    """What opened, closed, stands, is shelved, waits, was promised and changed; a tenant gets what concerns it."""
    period = _period(seen.network()[1], seen.clock.now(), seen.shifts, since, until, shift)
    found = shift_report(seen, who, period)
    if format == "json":
        return found
    plain = found.model_dump(mode="json")
    if format == "md":
        return Response(markdown(plain), media_type="text/markdown; charset=utf-8")  # type: ignore[return-value]
    saved = {"Content-Disposition": 'attachment; filename="shift.html"'}
    return Response(html(plain), media_type="text/html; charset=utf-8", headers=saved)  # type: ignore[return-value]


def _period(
    network: Network, now: datetime, shifts: str, since: datetime | None, until: datetime | None, shift: str
) -> Period:
    """The time that the report covers.

    Raises:
        InputError: It ends before it begins, begins ahead, or is too long.
    """
    if since is None:
        if until is not None:
            raise InputError("until: give since too, or neither for the last shift")
        chosen = current_shift if shift == "current" else last_shift
        return chosen(now, changes_of_shift(shifts), network.zone)
    end = min(until or now, now)
    if since >= (until or now):
        raise InputError("since: has to be before until, and in the past")
    if since >= end:
        raise InputError("since: is ahead; a report covers what has been")
    if end - since > LONGEST:
        raise InputError(f"since: a report covers at most {LONGEST.days} days: begin later, or end earlier")
    return since, end
