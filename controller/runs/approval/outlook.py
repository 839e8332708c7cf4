"""What a run waits for, before it is accepted and after; for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from controller.access.votes import is_approved, unanswered
from controller.models.approval import Outlook, RunConstraints
from controller.models.many import first_names
from controller.models.run import Strategy
from controller.runs.approval.clearance import clearances, further_clearance, unmet
from controller.store import ClearanceInput, Clearances, Store

#: Why a station can't begin although nothing binds it.
_BUSY = "another run works there"


class LateStep(NamedTuple):
    """The last step of a run that may interrupt service at a station, where others may wait before it.

    Attributes:
        step: Its name.
        after: Names of the steps that may wait before it.
        seconds: How long these wait at most, together; None where that is not known.
    """

    step: str
    after: tuple[str, ...]
    seconds: float | None


NONE_LATE: Mapping[str, LateStep] = MappingProxyType({})


def outlook(
    store: Store,
    constraints: RunConstraints,
    strategy: Strategy,
    now: datetime,
    late: Mapping[str, LateStep] = NONE_LATE,
) -> Outlook:
    """What a run under these constraints would wait for if it were accepted now.

    Args:
        store: The record.
        constraints: Those of the run.
        strategy: Its strategy.
        now: The time.
        late: Steps that may come much later than the beginning, by station.
    """
    votes = tuple(store.approvals.votes(constraints.subject))
    open_ones = [one for one in constraints.requirements if not is_approved(one, votes, "")]
    standing = ClearanceInput(
        requester="",
        seconds=strategy.timer(),
        constraints=constraints,
        votes=votes,
        notified=dict.fromkeys(constraints.tenants, now),
        holds=tuple(store.holds.find(now)),
        freezes=tuple(store.freezes.find(now)),
        unanswered=store.approvals.unanswerable(open_ones, ""),
    )
    found = clearances(standing, now)
    busy = [one for one in store.claims.busy(constraints.stations) if one in found and not found[one].reasons]
    seen = outlook_of(standing, now)
    waits = {**seen.waits, **({_BUSY: len(busy)} if busy else {})}
    return seen.model_copy(update={"waits": waits, "between": _between(standing, found, late, now)})


def outlook_of(standing: ClearanceInput, now: datetime) -> Outlook:
    """What a run waits for."""
    constraints, override = standing.constraints, standing.override
    found = clearances(standing, now).values()
    return Outlook(
        subject=constraints.subject,
        requirements=constraints.requirements,
        missing=tuple(one.words for one in unmet(standing)),
        unanswered=tuple(unanswered(standing.unanswered)),
        votes=standing.votes,
        tenants=constraints.tenants,
        waits=dict(Counter(one.blocked for one in found if one.reasons)),
        open_inputs=constraints.open_inputs,
        overridden=f"by {override.by}: {override.reason}" if override else "",
    )


def _between(
    standing: ClearanceInput, found: Clearances, late: Mapping[str, LateStep], now: datetime
) -> dict[str, int]:
    """Number of stations where a step may come after its window, or in a freeze, by the reason for which it waits.

    A station that begins at a time that nobody knows tells nothing.
    """
    reasons: Counter[str] = Counter()
    then = {now: found}
    for station, one in late.items():
        begins = found[station].until if found[station].reasons else now
        if begins is None:
            continue
        if begins not in then:
            then[begins] = clearances(standing, begins)
        closes = then[begins][station].closes
        latest = closes if one.seconds is None else begins + timedelta(seconds=one.seconds)
        why = further_clearance(standing, station, latest).blocked if latest is not None else ""
        if why:
            most = "after a time that is not known" if one.seconds is None else f"up to {one.seconds:g} s later"
            reasons[f"step {one.step!r} may come {most}, after {first_names(one.after)}: {why}"] += 1
    return dict(reasons)
