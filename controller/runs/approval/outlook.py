"""What a run waits for, before it is accepted and after; for people."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from controller.models.approval import Outlook, RunConstraints
from controller.models.run import Strategy
from controller.ports.store import ClearanceInput, Store
from controller.runs.approval.clearance import clearances, unmet


def outlook(store: Store, constraints: RunConstraints, strategy: Strategy, now: datetime) -> Outlook:
    """What a run under these constraints would wait for if it were accepted now."""
    standing = ClearanceInput(
        requester="",
        seconds=strategy.timer(),
        constraints=constraints,
        votes=tuple(store.approvals.votes(constraints.subject)),
        notified=dict.fromkeys(constraints.tenants, now),
        holds=tuple(store.holds.find(now)),
        freezes=tuple(store.freezes.find(now)),
    )
    return outlook_of(standing, now)


def outlook_of(standing: ClearanceInput, now: datetime) -> Outlook:
    """What a run waits for."""
    constraints, override = standing.constraints, standing.override
    found = clearances(standing, now).values()
    return Outlook(
        subject=constraints.subject,
        requirements=constraints.requirements,
        missing=tuple(unmet(standing)),
        votes=standing.votes,
        tenants=constraints.tenants,
        waits=dict(Counter(one.blocked for one in found if one.blocked)),
        open_inputs=constraints.open_inputs,
        overridden=f"by {override.by}: {override.reason}" if override else "",
    )
