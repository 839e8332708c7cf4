"""Public warnings (TS 23.041): while one runs, nothing in its area takes cells off the air.

A warning is a set of freezes, one for each place of its area, that bind what interrupts service.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Path
from pydantic import AwareDatetime, Field

from controller.api.auth import Router, needs
from controller.api.routes.freezes import check_target
from controller.api.services import Backend, Body, Listing
from controller.models.approval import Freeze
from controller.models.errors import ConflictError, InputError
from controller.models.people import Permission, Person
from controller.runs.approval.clearance import reassess

router = Router(prefix="/v1/warnings", tags=["freezes"])

#: A warning that nobody ends must not keep work from a network permanently.
LONGEST = timedelta(days=7)
#: Id of a warning, as its source calls it.
WarningId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class PublicWarning(Body):
    """Where a public warning runs, until when, and what it is about."""

    area: tuple[str, ...] = Field(min_length=1, max_length=1000, description="Each network, region:<id> or site:<id>.")
    ends: AwareDatetime = Field(description=f"At most {LONGEST.days} days ahead; a longer one is sent again.")
    text: str = Field(min_length=1, max_length=2000)


@router.put("/{warning}", status_code=200)
def warn(
    warning: WarningId, asked: PublicWarning, backend: Backend, who: Annotated[Person, needs(Permission.WARN)]
) -> Listing[Freeze]:
    """Announce a public warning, or what became of it: while it runs, nothing in its area interrupts service.

    The same again changes nothing, so that a source may repeat it.
    """
    now = backend.clock.now()
    if not now < asked.ends <= now + LONGEST:
        raise ConflictError(f"ends: a warning ends after now, and within {LONGEST.days} days; send it again then")
    network = backend.store.networks.get()[1]
    for target in asked.area:
        if target.startswith("tenant:"):
            raise InputError(f"area: {target} is no place; right is network, region:<id> or site:<id>")
        check_target(network, target)
    area = tuple(dict.fromkeys(asked.area))
    put = backend.store.freezes.warn(warning, area, now, asked.ends, who.name, asked.text)
    reassess(backend.store, backend.clock, backend.wakeups)
    return Listing(count=len(put), next=None, results=put)


@router.delete("/{warning}", status_code=204)
def end_warning(warning: WarningId, backend: Backend, who: Annotated[Person, needs(Permission.WARN)]) -> None:
    """End a public warning."""
    backend.store.freezes.end_warning(warning, who.name)
    reassess(backend.store, backend.clock, backend.wakeups)
