"""Whose turn it is among runs whose stations are decided together.

Such a station is held while others of its group are prepared. So no two groups that share a station may be under way at
once, or each could hold what the other waits for until their timers run out. The first that may begin goes first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, select

from controller.models.approval import Clearance
from controller.models.run import JobState, Policy, Strategy
from controller.ports.approvals import Clearances
from controller.store.encoding import rows_of
from controller.store.tables import jobs
from controller.store.transaction import Tx

#: Stations that are not done, by wave; and the waves in which something has begun.
_Waves = tuple[dict[int, list[str]], set[int]]


def waiting_for_others(tx: Tx, rows: Sequence[Row[Any]], said: Mapping[str, Clearances]) -> dict[str, Clearances]:
    """What is to be said of runs that have to wait for another's stations, instead of what was said.

    Args:
        tx: The transaction.
        rows: Active runs, oldest first, with ``id`` and ``strategy``.
        said: What was said of each.
    """
    grouped = [row.id for row in rows if _policy(row) is not Policy.STATION]
    if len(grouped) < 2:
        return {}
    waves = _waves(tx, grouped)
    holders = {
        station: run
        for run in grouped
        for wave, names in waves[run][0].items()
        if wave in waves[run][1]
        for station in names
    }
    found: dict[str, Clearances] = {}
    for run in grouped:
        left, begun = waves[run]
        # The next wave as well: it may be opened before anybody looks again.
        for wave in [wave for wave in sorted(left)[:2] if wave not in begun]:
            clash = next((name for name in left[wave] if holders.get(name, run) != run), None)
            if clash is not None:
                why = f"run {holders[clash]} works on {clash} and others that are decided together"
                found[run] = {**found.get(run, said[run]), **{name: _also(said[run], name, why) for name in left[wave]}}
            elif not any(said[run][name].blocked for name in left[wave] if name in said[run]):
                holders |= dict.fromkeys(left[wave], run)
    return found


def _policy(row: Row[Any]) -> Policy:
    return Strategy.model_validate_json(row.strategy).policy


def _waves(tx: Tx, runs: Sequence[str]) -> Mapping[str, _Waves]:
    found: dict[str, _Waves] = {run: (defaultdict(list), set()) for run in runs}
    query = select(jobs.c.run, jobs.c.wave, jobs.c.station, jobs.c.state, jobs.c.started).order_by(jobs.c.station)
    for row in rows_of(tx, query, jobs.c.run, runs):
        left, begun = found[row.run]
        if row.state != JobState.DONE.value:
            left[row.wave].append(row.station)
        if row.started is not None:
            begun.add(row.wave)
    return found


def _also(said: Clearances, station: str, why: str) -> Clearance:
    """What was said of a station, and that it waits for another run."""
    known = said.get(station, Clearance())
    return Clearance("; ".join(filter(None, (known.blocked, why))), closes=known.closes)
