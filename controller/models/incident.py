"""Incidents: alarms that have one root, as people see them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pydantic import AwareDatetime, computed_field

from controller.models.alarm import SUPPLY_CAUSES, UNREACHABLE, ObjectClass, PerceivedSeverity
from controller.models.enums import IncidentState as IncidentState  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.network import Noun
from controller.models.scalars import DerivingNoun

#: Number of re-openings from which an incident counts as flapping.
_FLAPS = 2
#: Number of re-openings from which an incident chatters (ISA-18.2): so often that its source is rather broken, or what
#: it tells of comes and goes for good, and people have to know of it however short each time is.
CHATTERS = 10


def worst(severities: Iterable[PerceivedSeverity]) -> PerceivedSeverity:
    """The worst severity; INDETERMINATE if there is none."""
    order = list(PerceivedSeverity)
    return min(severities, key=order.index, default=PerceivedSeverity.INDETERMINATE)


def gravest(alarms: Iterable[tuple[str, PerceivedSeverity]]) -> PerceivedSeverity:
    """Severity of alarms of one incident, by their causes and severities; INDETERMINATE if there is none.

    It is the worst of theirs; and critical where a station that lost its mains can't be reached any more: its battery
    may be empty, so that it serves nobody.
    """
    found = list(alarms)
    return PerceivedSeverity.CRITICAL if is_dark(cause for cause, _ in found) else worst(one for _, one in found)


#: Of a station that lost its mains and can't be reached any more, for people.
DARK = "the station can't be reached any more since its mains failed, and may serve nobody"


def is_dark(causes: Iterable[str]) -> bool:
    """Whether a station that lost its mains can't be reached any more, by the causes of an incident's alarms."""
    known = set(causes)
    return UNREACHABLE in known and bool(known & SUPPLY_CAUSES)


class Loss(Noun):
    """Service that alarms take away from a tenant (``controller.intent.lost_service.losses``).

    Attributes:
        since: Since when, by when these alarms were raised: of core links, the last one of them that is needed; the
            fault may have begun earlier.
        cells: Cells without service that the tenant shares, as ``station/cell``, sorted.
    """

    since: AwareDatetime
    cells: tuple[str, ...]

    @classmethod
    def together(cls, losses: Iterable[Loss]) -> Loss | None:
        """The loss by all of these; None if there are none."""
        every = list(losses)
        if not every:
            return None
        cells = {cell for one in every for cell in one.cells}
        return cls(since=min(one.since for one in every), cells=tuple(sorted(cells)))


class Suspect(DerivingNoun):
    """A place where a fault may be, if what is known does not tell it from others.

    Attributes:
        kind: ``station`` for the equipment at a site, ``backhaul`` for a link, with the node at its lower end.
        name: The device, or the end of the link away from the core: a site, or a node of the backhaul.
        above: The other end of the link; empty for equipment, and where the network files have none.
        tells: What shows that it is here, or not, in words.
    """

    kind: ObjectClass
    name: str
    above: str = ""
    tells: str

    @property
    def words(self) -> str:
        """The place in words."""
        if self.kind is not ObjectClass.BACKHAUL:
            return f"the equipment of {self.name}"
        return f"the link between {self.name} and {self.above}" if self.above else f"the link above {self.name}"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def line(self) -> str:
        """The place, with what tells whether it is there."""
        return f"{self.words}: it is if {self.tells}"


class Incident(DerivingNoun):
    """A fault with all that follows from it: its root, and all alarms that follow from the root.

    Fields about alarms cover the standing ones; of a closed incident, all that it ever had.

    Attributes:
        root: Id of the alarm that the others follow from; the latest one if the fault came again.
        station: Station of the root; ``object``, ``object_class``, ``tenant``, ``probable_cause`` and
            ``specific_problem`` are the root's too.
        opened: When its first alarm began.
        changed: When an alarm last came or went.
        closed: When its last alarm ended; None while one stands.
        acknowledged: When somebody first acknowledged it; None if nobody did.
        owner: Who works on it; empty if nobody does.
        taken: When the owner took it.
        merged_into: Id of the incident that it became part of, since its root follows from that one's root.
        flaps: How often the fault came again within the quiet time after it was over.
        standing: Alarms that stand.
        severity: Their severity (``gravest``).
        cells: Affected cells, as ``station/cell``, sorted.
        tenants: Tenants that are concerned, sorted.
        people: Population of the sites of these cells.
        losing: Tenants from which these take service away, with their losses.
        silent: Cells of a station that can't be reached any more since its mains failed, sorted: nobody knows whether
            they serve.
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
    losing: dict[str, Loss] = {}
    silent: tuple[str, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def state(self) -> IncidentState:
        """Its state."""
        if self.merged_into:
            return IncidentState.MERGED
        return IncidentState.OPEN if self.closed is None else IncidentState.CLOSED

    @computed_field  # type: ignore[prop-decorator]
    @property
    def flapping(self) -> bool:
        """Whether its fault comes and goes."""
        return self.flaps >= _FLAPS


class IncidentFilter(Noun):
    """Which incidents are wanted; an empty field matches all.

    Attributes:
        states: If empty, all except merged incidents.
        stations: Only those with an alarm of one of these.
        tenants: Only those that concern one of these.
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
    """Cell-minutes of one tenant without service: each minute counts for each of its cells.

    Attributes:
        lost: Minutes that the host owes.
        planned: Minutes in which a run interrupted the tenant, after a notice.
        own_work: Minutes of announced work of the tenant on its own core.
        own_core: Minutes in which the tenant's own core nodes were lost.
        outside: Minutes of incidents whose root has a cause outside of the contract.
        unseen: Minutes in which the station could not be reached, so that nobody knows.
        people: Lost minutes times people; a site's people are divided evenly among the tenant's cells there.
    """

    tenant: str
    lost: float
    planned: float = 0
    own_work: float = 0
    own_core: float = 0
    outside: float = 0
    unseen: float = 0
    people: int = 0


class AgreementMinutes(Noun):
    """Cell-minutes that an agreement lost so far in the month, and that it allows for the whole month.

    What it allows falls with each minute that was not applied, that was before the first network, or in which the
    station was not adopted: nothing that was not delivered can be lost.

    Attributes:
        used: Minutes that the host owes, including those of cells locked outside of the agreement's windows, and
            unseen ones that it bears.
        restore_hours: Hours within which a fault has to be repaired.
        left: Allowed minutes that are left; negative if more are used.
        unseen: Minutes so far in which Minka looked and got no answer.
        unobserved: Minutes so far in which nobody looked; they are neither used nor proved to be served.
        reasons: The latter by the reason (``controller.intent.observation.Unobserved``).
        not_applied: Minutes so far in which cells did not carry its PLMNs, by Minka's own record; neither used nor
            served.
        unproved_allowed: Minutes so far that may be unseen, unobserved or not applied before no promise is called kept.
        share: Used part of the allowed minutes; 1 is all.
        burn_rate: Rate of use, as a multiple of the rate that would use up exactly all of them in the month.
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
    unseen: float = 0
    unobserved: float = 0
    reasons: dict[str, float] = {}
    not_applied: float = 0
    unproved_allowed: float = 0


class Rank(NamedTuple):
    """Order of open incidents: 1 is the most urgent. ``because`` gives the reason in a line, without the rank."""

    rank: int
    because: str

    @property
    def why(self) -> str:
        """The rank with its reason; empty if it has none."""
        return f"rank {self.rank}: {self.because}" if self.because else ""
