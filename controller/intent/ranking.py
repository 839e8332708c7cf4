"""Which incident comes first: contracts at risk, then people, then tenants, then age. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from controller.models.incident import AgreementMinutes, Incident, Rank

#: Share of what an agreement allows from which on it is at risk.
AT_RISK = 0.8


class _Risk(NamedTuple):
    """How near an agreement is to be broken, and the words for it."""

    share: float
    words: str


def ranked(incidents: Sequence[Incident], agreements: Iterable[AgreementMinutes], at: datetime) -> dict[str, Rank]:
    """The rank of each open incident by id.

    An agreement is at risk where an incident takes service away from its tenant, and the month's minutes are nearly
    used up, or the time within which a fault is to be over is nearly gone.

    Args:
        incidents: Open ones.
        agreements: What they lost this month.
        at: Now.
    """
    by_tenant: dict[str, list[AgreementMinutes]] = {}
    for agreement in agreements:
        by_tenant.setdefault(agreement.tenant, []).append(agreement)
    risks = {
        one.id: _worst(one, [a for tenant in one.losing for a in by_tenant.get(tenant, ())], at) for one in incidents
    }
    ordered = sorted(incidents, key=lambda one: _order(one, risks[one.id]))
    return {one.id: Rank(number, _why(number, one, risks[one.id])) for number, one in enumerate(ordered, 1)}


def _order(one: Incident, risk: _Risk) -> tuple[object, ...]:
    percent = round(risk.share * 100) if risk.share >= AT_RISK else 0
    return (-percent, -one.people, -len(one.tenants), one.opened, one.id)


def _worst(one: Incident, agreements: Iterable[AgreementMinutes], at: datetime) -> _Risk:
    hours = (at - one.opened).total_seconds() / 3600
    risks = [_Risk(0.0, "")]
    for a in agreements:
        risks.append(_Risk(a.share, f"SLA of {a.tenant} at {a.share:.0%}".replace("%", " %")))
        if (share := hours / a.restore_hours) >= AT_RISK:
            risks.append(_Risk(share, f"{hours:.0f} of {a.restore_hours:g} h in which to restore {a.tenant}"))
    return max(risks, key=lambda risk: (risk.share, risk.words))


def _why(rank: int, one: Incident, risk: _Risk) -> str:
    people = f"{one.people:,} people" if one.people != 1 else "1 person"
    tenants = f"{len(one.tenants)} tenant{'' if len(one.tenants) == 1 else 's'}"
    return f"rank {rank}: {', '.join(filter(None, (people, tenants, risk.words)))}"
