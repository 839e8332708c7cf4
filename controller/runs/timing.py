"""How long devices may hold a commit unconfirmed, chosen up front. Pure.

A device's timer must outlast the slowest of its group: those that are prepared first wait until the last one
is. ``strategy.parallel`` devices are prepared at once, rank after rank, so a group takes as many rounds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from controller.models.errors import InputError
from controller.models.run import LONGEST_TIMER, Policy, Strategy
from controller.ports.store import NewJob


def timed(strategy: Strategy, jobs: Iterable[NewJob]) -> Strategy:
    """The strategy with the timer that its largest group needs; a person's own choice stays.

    Raises:
        InputError: No timer is long enough.
    """
    if strategy.policy is Policy.STATION or strategy.confirm_timeout is not None:
        return strategy
    groups: dict[tuple[int, str], list[NewJob]] = {}
    for job in jobs:
        groups.setdefault((job.wave, job.unit if strategy.policy is Policy.UNIT else ""), []).append(job)
    rounds = max((_rounds(group, strategy.parallel) for group in groups.values()), default=1)
    chosen = strategy.timer(rounds)
    if chosen > LONGEST_TIMER:
        raise InputError(
            f"what is decided together needs {rounds} rounds, and {chosen} s until the last device is prepared; "
            f"a station holds a commit for {LONGEST_TIMER} s at most: more at once, smaller waves, or policy unit"
        )
    return strategy.model_copy(update={"confirm_timeout": chosen})


def confirm_budget(members: int) -> float:
    """Seconds that every timer of a group must leave when it is confirmed: all must hear of it and confirm."""
    return 10.0 + 0.02 * members


def _rounds(group: Sequence[NewJob], parallel: int) -> int:
    ranks = Counter(job.rank for job in group)
    return sum(math.ceil(count / parallel) for count in ranks.values())
