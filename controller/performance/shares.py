"""Shares of radio resources: agreed shares compared with tenants' use, and shortfalls. Pure.

What a tenant used of a cell is counted by slice on NR (TS 28.552 §5.1.1.2.5). On LTE nothing counts PRBs by PLMN
(TS 32.425 §4.5): there a tenant's part of the cell's volume stands for its part of the PRBs that were used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from controller.intent.agreed_terms import Era
from controller.models.sharing import RadioShare, ResourceType
from controller.performance.kpis import CounterQuery, Subscribers
from controller.performance.volume import DOWN, UP

USED, AVAILABLE, TOTAL, CONGESTED = "RRU.PrbUsedDl", "RRU.PrbAvailDl", "RRU.PrbTotDl", "RRU.PrbCongestionDl"
#: Number of queries about all tenants of a cell together.
_OF_CELL = 5
_DOWN = (ResourceType.PRB, ResourceType.PRB_DL)
#: Percentage points below a guaranteed minimum that count as no shortfall, since shares are whole percent.
_NEAR = 1.0


class Terms(NamedTuple):
    """A tenant's agreed share of a cell's PRBs, in percent."""

    least: float
    most: float


def terms_of(era: Era, cell: str) -> dict[str, Terms]:
    """The agreed downlink PRB share of each tenant of a cell (``station/cell``)."""
    found: dict[str, Terms] = {}
    for tenant in era.sharing.tenants_at([cell]):
        shares = [share for one in era.sharing.agreements_at(cell, tenant) for share in one.shares]
        down: Sequence[RadioShare] = [share for share in shares if share.resource in _DOWN]
        found[tenant] = Terms(max((s.min for s in down), default=0), max((s.max for s in down), default=100))
    return found


def wanted(tenants: Mapping[str, Subscribers]) -> tuple[CounterQuery, ...]:
    """Queries that are needed about a cell."""
    own = (CounterQuery(counter, who) for who in tenants.values() for counter in (USED, DOWN))
    return (*(CounterQuery(counter) for counter in (CONGESTED, TOTAL, AVAILABLE, DOWN, UP)), *own)


class Use(NamedTuple):
    """Use of a cell in a period.

    Attributes:
        congested: Percent of the time in which it was.
        total: Percent of its PRBs downlink that all used; None where it does not count them.
        carried: Megabits, both ways.
        used: Percent of its PRBs downlink by tenant; of those of which it can be said.
    """

    congested: float
    total: float | None
    carried: float
    used: dict[str, float]


def use_of(amounts: Sequence[float | None], tenants: Iterable[str]) -> Use:
    """Use of a cell by these tenants, from the results of ``wanted``."""
    congested, total, available, down, up = amounts[:_OF_CELL]
    used = {}
    for place, name in enumerate(tenants):
        prbs, own = amounts[_OF_CELL + 2 * place : _OF_CELL + 2 * place + 2]
        if available and prbs is not None:
            used[name] = 100 * prbs / available
        elif total is not None:
            used[name] = total * (own or 0.0) / down if down else 0.0
    return Use(congested or 0.0, total, (down or 0.0) + (up or 0.0), used)


def jain(values: Iterable[float]) -> float | None:
    """Jain's fairness index (R. Jain et al., DEC-TR-301, 1984): 1 if all are equal, 1/n if one has all."""
    known = list(values)
    squares = math.fsum(value * value for value in known)
    return math.fsum(known) ** 2 / (len(known) * squares) if squares else None


@dataclass(slots=True)
class CellUse:
    """Tenants' use of a cell over periods.

    Attributes:
        used: Percent of PRBs by tenant, one value for each period in which it can be said.
        congested: Percent of each period in which the cell was congested.
        short: Periods with congestion in which a tenant used less than its minimum while another one used more than
            its own, by tenant.
        fairness: Jain's index of use by guaranteed minimum, of periods with congestion.
    """

    used: dict[str, list[float]] = field(default_factory=dict)
    congested: list[float] = field(default_factory=list)
    short: dict[str, int] = field(default_factory=dict)
    fairness: list[float] = field(default_factory=list)

    def add(self, use: Use, terms: Mapping[str, Terms]) -> None:
        """Add a period, for the tenants with agreed shares."""
        self.congested.append(use.congested)
        known = {name: value for name, value in use.used.items() if name in terms}
        for name, value in known.items():
            self.used.setdefault(name, []).append(value)
        if not use.congested:
            return
        over = {name for name, value in known.items() if value > terms[name].least}
        for name, value in known.items():
            if value < terms[name].least - _NEAR and over - {name}:
                self.short[name] = self.short.get(name, 0) + 1
        fair = jain(value / terms[name].least for name, value in known.items() if terms[name].least)
        if fair is not None:
            self.fairness.append(fair)


def mean(values: Sequence[float]) -> float:
    """Their mean; 0 if there is none."""
    return math.fsum(values) / len(values) if values else 0.0
