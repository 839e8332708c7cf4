"""How long devices may hold an unconfirmed commit, and whether a window allows that; known up front. Pure.

A device's timer must outlast the slowest of its group, since the first ones wait until the last one is prepared.
``strategy.parallel`` devices are prepared at once, rank after rank, so a group takes as many rounds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from controller.intent.windows import common_opening
from controller.models.approval import RunConstraints, StationConstraints
from controller.models.errors import InputError
from controller.models.run import LONGEST_TIMER, Policy, Strategy
from controller.store import NewJob


def fitted(strategy: Strategy, jobs: Sequence[NewJob], constraints: RunConstraints, now: datetime) -> Strategy:
    """The strategy with its timer, after a check of windows. Raises the errors of ``timed`` and ``check_windows``."""
    strategy = timed(strategy, jobs)
    check_windows(strategy, jobs, constraints, now)
    return strategy


def timed(strategy: Strategy, jobs: Iterable[NewJob]) -> Strategy:
    """The strategy with the timer that its largest group needs; a person's own choice remains.

    Raises:
        InputError: No timer is long enough.
    """
    if strategy.policy is Policy.STATION or strategy.confirm_timeout is not None:
        return strategy
    groups = _groups(strategy, jobs).values()
    rounds = max((_rounds(group, strategy) for group in groups), default=1)
    chosen = strategy.timer(rounds)
    if chosen > LONGEST_TIMER:
        raise InputError(
            f"devices that are decided together need {rounds} rounds, and {chosen} s until the last one is prepared; "
            f"a station holds a commit for {LONGEST_TIMER} s at most: more at once, smaller waves, or policy unit"
        )
    return strategy.model_copy(update={"confirm_timeout": chosen})


def check_windows(strategy: Strategy, jobs: Iterable[NewJob], constraints: RunConstraints, now: datetime) -> None:
    """Check that all members of a group may work at the same time.

    If a single station has no window that is long enough, its run waits and says so.

    Raises:
        InputError: The windows of a group are never open together for as long as its timer.
    """
    if strategy.policy is Policy.STATION:
        return
    seconds = strategy.timer()

    @cache
    def fits(bound: frozenset[StationConstraints]) -> bool:
        calendars = {(calendar, ZoneInfo(one.timezone)) for one in bound for calendar in one.calendars}
        return common_opening(calendars, now, seconds) is not None

    for (wave, unit), group in _groups(strategy, jobs).items():
        bound = frozenset(one for job in group if (one := constraints.of(job.station)) is not None)
        if not fits(bound) and all(fits(frozenset({one})) for one in bound):
            raise InputError(
                f"the windows of {f'unit {unit}' if unit else f'wave {wave}'} are never open together for {seconds} s "
                "within two weeks, and it is decided as a whole: smaller waves, or policy unit or station"
            )


def confirm_budget(members: int) -> float:
    """Seconds that every timer of a group must leave at its confirmation, so that all learn of it and confirm."""
    return 10.0 + 0.02 * members


def _groups(strategy: Strategy, jobs: Iterable[NewJob]) -> Mapping[tuple[int, str], Sequence[NewJob]]:
    """Jobs that are decided together, by wave and unit (empty for the whole wave)."""
    groups: dict[tuple[int, str], list[NewJob]] = {}
    for job in jobs:
        groups.setdefault((job.wave, job.unit if strategy.policy is Policy.UNIT else ""), []).append(job)
    return groups


def _rounds(group: Sequence[NewJob], strategy: Strategy) -> int:
    ranks = Counter(job.rank for job in group)
    # Devices that were away are prepared before others of their rank.
    twice = len(ranks) if strategy.patience else 0
    return twice + sum(math.ceil(count / strategy.parallel) for count in ranks.values())
