"""An account of service under an agreement: each second of each cell in one column, and what the host owes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from controller.intent.observation import Proof, Unobserved
from controller.intent.times import Times, seconds, union
from controller.models.incident import AgreementMinutes
from controller.models.network import Agreement


class Parts(NamedTuple):
    """Times without service of a tenant in a cell, divided by who is responsible.

    Attributes:
        lost: Times that the host owes.
        planned: Times in which a run took the cell away from the tenant.
        own_work: Times in which the tenant worked on its own core.
        own_core: Times in which the tenant's own core was lost.
        outside: Times with a cause outside of the contract.
        unseen: Times of unknown state, in which Minka looked and got no answer.
    """

    lost: Times = ()
    planned: Times = ()
    own_work: Times = ()
    own_core: Times = ()
    outside: Times = ()
    unseen: Times = ()


NOTHING_LOST = Parts()


class CellSeconds(NamedTuple):
    """Seconds of a shared cell: each is in one column only, and together they are all.

    Attributes:
        unobserved: In which nobody looked.
        not_applied: In which Minka had not put all PLMNs of the agreement into the cell, by its own record.
        locked: In which the host had locked the cell outside of the agreement's windows, or a diverged run left it so.
        in_window: In which it had locked the cell as the agreement allows, or as a run that the tenant was told of.
        served: All others.
    """

    lost: float = 0.0
    planned: float = 0.0
    own_work: float = 0.0
    own_core: float = 0.0
    outside: float = 0.0
    unseen: float = 0.0
    unobserved: float = 0.0
    not_applied: float = 0.0
    locked: float = 0.0
    in_window: float = 0.0
    served: float = 0.0

    @property
    def proved(self) -> float:
        """Those of which it is known that the host owes nothing."""
        return sum(self) - self.lost - self.locked - self.unseen - self.unobserved - self.not_applied


#: A cell, pool or function with how much of it a tenant had, and when it had just that.
Bought = dict[tuple[str, float], Times]


@dataclass(slots=True)
class AgreedService:
    """Service under an agreement in a span of time, and the part that was lost.

    Attributes:
        held: Seconds until now in which the agreement was in force and a cell carried its PLMNs, or it reached none.
        seconds: How long each cell (``station/cell``) was shared under it until now.
        carried: For how much of that each cell carried its PLMNs, by Minka's record.
        guaranteed: Percents of PRBs that each cell guaranteed in that time, as agreed at most.
        cores: Cores of each pool that its tenant had bought until now.
        gbps: Gbit/s of pools, in the same way.
        functions: Functions that its tenant had bought as such, each as one.
        allowed: Cell-seconds that may be lost in the whole span, were all of it delivered.
        forgone: The part of these that falls to times that were not delivered.
        parts: Times without service of the tenant, of cells that had such times.
        locked: Times in which cells were locked outside of the agreement's windows, which are not in ``parts``.
        left_locked: The part of these that diverged runs left behind, whatever windows say.
        in_window: Other times in which they were locked, which are not in ``parts`` either.
        unobserved: Times until now in which nobody looked at a cell's station, by the reason, that are counted nowhere
            else.
        not_applied: Times until now in which a cell did not carry its PLMNs, that are counted nowhere else: without
            those of cells of which Minka knew nothing.
        borne: Those unseen times that the host bears by the agreement.
        proofs: How it is known whether cells served, for times in which no check read that.
        served: Times of these in which they did.
        missing: Times of ``parts`` in which checks saw that cells lacked a PLMN that had been delivered.
    """

    held: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    carried: dict[str, float] = field(default_factory=dict)
    guaranteed: Bought = field(default_factory=dict)
    cores: Bought = field(default_factory=dict)
    gbps: Bought = field(default_factory=dict)
    functions: Bought = field(default_factory=dict)
    allowed: float = 0.0
    forgone: float = 0.0
    parts: dict[str, Parts] = field(default_factory=dict)
    locked: dict[str, Times] = field(default_factory=dict)
    left_locked: dict[str, Times] = field(default_factory=dict)
    in_window: dict[str, Times] = field(default_factory=dict)
    unobserved: dict[str, dict[Unobserved, Times]] = field(default_factory=dict)
    not_applied: dict[str, Times] = field(default_factory=dict)
    borne: dict[str, Times] = field(default_factory=dict)
    proofs: dict[str, dict[Proof, Times]] = field(default_factory=dict)
    served: dict[str, Times] = field(default_factory=dict)
    missing: dict[str, Times] = field(default_factory=dict)

    def buy(self, agreement: Agreement, times: Times) -> None:
        """Add the capacity that an agreement buys of pools for some time."""
        for pool in {one.pool for one in agreement.capacity}:
            there = [one for one in agreement.capacity if one.pool == pool]
            extend(self.cores, (pool, sum(one.cores for one in there)), times)
            extend(self.gbps, (pool, sum(one.gbps for one in there)), times)
        for function, number in Counter(agreement.functions).items():
            extend(self.functions, (function, number), times)

    def undelivered(self, cell: str) -> float:
        """Seconds of a cell that were not applied, or in which Minka did not know its station: there was no service."""
        unknown = (times for reason, times in self.unobserved.get(cell, {}).items() if reason in UNCOLLECTED)
        return seconds(self.not_applied.get(cell, ())) + sum(map(seconds, unknown))

    def lengths(self, cell: str) -> CellSeconds:
        """Seconds of a cell, each in one column only."""
        unobserved = sum(map(seconds, self.unobserved.get(cell, {}).values()))
        others = (seconds(one.get(cell, ())) for one in (self.not_applied, self.locked, self.in_window))
        found = [*map(seconds, self.parts.get(cell, NOTHING_LOST)), unobserved, *others]
        return CellSeconds._make([*found, self.seconds.get(cell, 0.0) - sum(found)])

    @property
    def total(self) -> CellSeconds:
        """Cell-seconds, each in one column only."""
        every = [self.lengths(cell) for cell in self.seconds]
        return CellSeconds._make(map(sum, zip(*every, strict=True))) if every else CellSeconds()

    @property
    def reasons(self) -> dict[Unobserved, float]:
        """Cell-seconds in which nobody looked, by the reason."""
        found = dict.fromkeys(Unobserved, 0.0)
        for by_reason in self.unobserved.values():
            for reason, times in by_reason.items():
                found[reason] += seconds(times)
        return found

    @property
    def lost_time(self) -> timedelta:
        """Time of cells that the host owes: lost, of cells it locked, and unseen that it bears; exactly."""
        every = chain(self.locked.values(), self.borne.values(), (parts.lost for parts in self.parts.values()))
        return sum((until - since for times in every for since, until in times), timedelta())

    @property
    def lost(self) -> float:
        """The same in cell-seconds."""
        return self.lost_time.total_seconds()


#: Reasons of which nothing of the station was collected either.
UNCOLLECTED = frozenset((Unobserved.NO_NETWORK, Unobserved.NOT_ADOPTED))

K = TypeVar("K")


def extend(found: dict[K, Times], key: K, times: Iterable[tuple[datetime, datetime]]) -> None:
    """Add times of a cell, or of a proof; none leave no entry behind."""
    if both_of := union([*found.get(key, ()), *times]):
        found[key] = both_of


class AgreedFigures(NamedTuple):
    """Cell-seconds under an agreement so far.

    Attributes:
        owed: That the host owes (``AgreedService.lost``).
        unseen: In which Minka looked and got no answer.
        reasons: In which nobody looked, by the reason.
        not_applied: In which cells did not carry its PLMNs, by Minka's record.
        forgone: Of what it allows to lose, the part that falls to the latter, and to stations that Minka did not know.
        seconds: All.
    """

    owed: float = 0.0
    unseen: float = 0.0
    reasons: Mapping[Unobserved, float] = MappingProxyType({})
    not_applied: float = 0.0
    forgone: float = 0.0
    seconds: float = 0.0

    @classmethod
    def of(cls, service: AgreedService) -> AgreedFigures:
        """Those of a service."""
        total = service.total
        every = sum(service.seconds.values())
        return cls(service.lost, total.unseen, service.reasons, total.not_applied, service.forgone, every)

    def plus(self, other: AgreedFigures) -> AgreedFigures:
        """Both together."""
        reasons = {one: self.reasons.get(one, 0.0) + other.reasons.get(one, 0.0) for one in Unobserved}
        return AgreedFigures(
            owed=self.owed + other.owed,
            unseen=self.unseen + other.unseen,
            reasons=reasons,
            not_applied=self.not_applied + other.not_applied,
            forgone=self.forgone + other.forgone,
            seconds=self.seconds + other.seconds,
        )


def agreement_minutes(one: Agreement, found: AgreedFigures, may_lose: float, elapsed: float) -> AgreementMinutes:
    """An agreement's account of a month.

    Args:
        one: The agreement.
        found: What it came to so far.
        may_lose: Cell-seconds that the agreement allows for the whole month, were all of it delivered.
        elapsed: Part of the month that is over, from 0 to 1.
    """
    used, allowed = found.owed / 60, (may_lose - found.forgone) / 60
    share = used / allowed if allowed else float(used > 0)
    unobserved = {str(reason): round(length / 60, 1) for reason, length in found.reasons.items()}
    return AgreementMinutes(
        agreement=one.id,
        tenant=one.tenant,
        availability_percent=one.sla.availability_percent,
        restore_hours=one.sla.restore_hours,
        used=round(used, 1),
        allowed=round(allowed, 1),
        left=round(allowed - used, 1),
        share=round(share, 4),
        burn_rate=round(share / elapsed, 4) if elapsed else 0.0,
        unseen=round(found.unseen / 60, 1),
        unobserved=round(sum(found.reasons.values()) / 60, 1),
        reasons=unobserved,
        not_applied=round(found.not_applied / 60, 1),
        unproved_allowed=round(found.seconds / 60 * one.sla.unproved_percent / 100, 1),
    )
