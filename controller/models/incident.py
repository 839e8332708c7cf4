"""Incidents: what people see of alarms that have one root."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pydantic import AwareDatetime, computed_field

from controller.models.alarm import ObjectClass, PerceivedSeverity
from controller.models.enums import IncidentState as IncidentState  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.network import Noun

#: Times that an incident was opened again from which on it counts as flapping.
_FLAPS = 2


def worst(severities: Iterable[PerceivedSeverity]) -> PerceivedSeverity:
    """The gravest of them, INDETERMINATE of none."""
    order = list(PerceivedSeverity)
    return min(severities, key=order.index, default=PerceivedSeverity.INDETERMINATE)


class Incident(Noun):
    """A fault with all that follows from it. It belongs to its root, and has all alarms that follow from that.

    What is said of alarms is said of those that stand; where the incident is over, of all that it ever had.

    Attributes:
        root: Id of the alarm that the others follow from; where the same fault came again, of the latest.
        station: Of the root, as are ``object``, ``object_class``, ``tenant``, ``probable_cause`` and
            ``specific_problem``: what failed.
        opened: When its first alarm stood.
        changed: When an alarm last came or went.
        closed: When no alarm stood any more; None while one does.
        acknowledged: When somebody first said that people know of it, None if nobody did.
        owner: Who took it over, an empty string where nobody has it.
        taken: When that was.
        merged_into: Id of the incident that it became part of, since its root follows from that one's.
        flaps: How often the same fault came again within the quiet time after it was over.
        standing: Alarms that stand.
        severity: The worst of them.
        cells: Cells that suffer, as ``station/cell``, sorted.
        tenants: Tenants that are concerned, sorted.
        people: Population of the sites of these cells.
        losing: Tenants from which one of its alarms takes service away, sorted.
    """

    id: str
    root: str
    station: str
    object: str
    object_class: ObjectClass
    tenant: str
    probable_cause: str
    specific_problem: str
    opened: AwareDatetime
    changed: AwareDatetime
    closed: AwareDatetime | None = None
    acknowledged: AwareDatetime | None = None
    acknowledged_by: str = ""
    owner: str = ""
    taken: AwareDatetime | None = None
    merged_into: str = ""
    flaps: int = 0
    standing: int = 0
    severity: PerceivedSeverity = PerceivedSeverity.INDETERMINATE
    cells: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    people: int = 0
    losing: tuple[str, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def state(self) -> IncidentState:
        """Where it is in its life."""
        if self.merged_into:
            return IncidentState.MERGED
        return IncidentState.OPEN if self.closed is None else IncidentState.CLOSED

    @computed_field  # type: ignore[prop-decorator]
    @property
    def flapping(self) -> bool:
        """Whether its fault comes and goes."""
        return self.flaps >= _FLAPS


class IncidentFilter(Noun):
    """Which incidents are asked for; of what is empty all.

    Attributes:
        states: Where none is given all but those that became part of another one.
        stations: Those with an alarm of one of these.
        tenants: Those that concern one of these.
        causes: Probable causes of their roots.
        since: Only those that changed since then.
        owner: Only those that this person has taken over.
    """

    states: tuple[IncidentState, ...] = ()
    stations: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    since: AwareDatetime | None = None
    owner: str = ""


class TenantMinutes(Noun):
    """Cell-minutes without service of one tenant: each minute of each of its cells.

    Attributes:
        lost: Those that the host owes.
        planned: Those in which a run that the tenant was notified of interrupted it.
        own_work: Those in which the tenant worked on its own core, and had announced that.
        outside: Those of incidents whose root has a cause that the tenant's agreement leaves out of the contract.
        unseen: Those in which the station could not be reached, so that nobody knows.
        people: Minutes lost times people: those of a site are shared evenly among the tenant's cells there.
    """

    tenant: str
    lost: float
    planned: float = 0
    own_work: float = 0
    outside: float = 0
    unseen: float = 0
    people: int = 0


class AgreementMinutes(Noun):
    """Cell-minutes that an agreement lost in the month so far, and those that it allows in the whole month.

    Attributes:
        used: Those that the host owes, with those for which cells were locked outside of the agreement's windows.
        restore_hours: Within which a fault is to be over.
        left: Of the allowed minutes, negative where more is used.
        share: What of the allowed minutes is used, 1 for all.
        burn_rate: How many times as fast they are used as would use up all of them in the month.
    """

    agreement: str
    tenant: str
    availability_percent: float
    restore_hours: float
    used: float
    allowed: float
    left: float
    share: float
    burn_rate: float


class Rank(NamedTuple):
    """Which of the open incidents comes first: 1 is the first. ``why`` says it in a line."""

    rank: int
    why: str
