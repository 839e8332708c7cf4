"""What a run waits for, for people to see: before it is accepted, and after."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from controller.models.approval import Outlook, RunTerms
from controller.models.run import Strategy
from controller.ports.store import Standing, Store
from controller.runs.approval.clearance import clearances, unmet


def outlook(store: Store, terms: RunTerms, strategy: Strategy, now: datetime) -> Outlook:
    """What a run under these terms would wait for, were it accepted now."""
    standing = Standing(
        requester="",
        seconds=strategy.timer(),
        terms=terms,
        votes=tuple(store.approvals.votes(terms.subject)),
        told=dict.fromkeys(terms.tenants, now),
        holds=tuple(store.holds.find(now)),
        freezes=tuple(store.freezes.find(now)),
    )
    return outlook_of(standing, now)


def outlook_of(standing: Standing, now: datetime) -> Outlook:
    """What a run waits for."""
    terms, override = standing.terms, standing.override
    found = clearances(standing, now).values()
    return Outlook(
        subject=terms.subject,
        requirements=terms.requirements,
        missing=tuple(unmet(standing)),
        votes=standing.votes,
        tenants=terms.tenants,
        waits=dict(Counter(one.blocked for one in found if one.blocked)),
        overridden=f"by {override.by}: {override.reason}" if override else "",
    )
