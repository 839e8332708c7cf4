"""Precedence among runs whose stations are decided together.

Such a station stays reserved while others of its group are prepared. So two groups that share a station may not be
under way at once: each could hold what the other waits for, until their timers run out. The first that may begin goes
first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, select

from controller.models.approval import Clearance
from controller.models.run import JobState, Policy, Strategy
from controller.ports.store import Clearances
from controller.store.run_rows import jobs
from controller.store.transaction import Tx

#: A wave, a round of it, and the unit that begins anew by itself, empty otherwise.
_Key = tuple[int, int, str]
#: Stations that are not done by what they are decided with, and what of that has begun.
_Waves = tuple[dict[_Key, list[str]], set[_Key]]


def waiting_for_others(tx: Tx, rows: Sequence[Row[Any]], said: Mapping[str, Clearances]) -> dict[str, Clearances]:
    """What is to be said of runs that have to wait for another's stations, instead of what was said.

    Args:
        tx: The transaction.
        rows: Active runs, oldest first, with ``id`` and ``strategy``.
        said: What was said of each.
    """
    policies = {row.id: policy for row in rows if (policy := _policy(row)) is not Policy.STATION}
    grouped = list(policies)
    if len(grouped) < 2:
        return {}
    waves = _waves(tx, policies)
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
        # The next wave as well: it may be opened before the next round. And all that begins anew.
        soon = [*sorted(wave for wave in left if wave[1]), *sorted(wave for wave in left if not wave[1])[:2]]
        for wave in [wave for wave in soon if wave not in begun]:
            clash = next((name for name in left[wave] if holders.get(name, run) != run), None)
            if clash is not None:
                why = f"run {holders[clash]} works on {clash} and others that are decided together"
                found[run] = {**found.get(run, said[run]), **{name: _also(said[run], name, why) for name in left[wave]}}
            elif not any(said[run][name].blocked for name in left[wave] if name in said[run]):
                holders |= dict.fromkeys(left[wave], run)
    return found


def _policy(row: Row[Any]) -> Policy:
    return Strategy.model_validate_json(row.strategy).policy


def _waves(tx: Tx, policies: Mapping[str, Policy]) -> Mapping[str, _Waves]:
    found: dict[str, _Waves] = {run: (defaultdict(list), set()) for run in policies}
    columns = (jobs.c.run, jobs.c.wave, jobs.c.round, jobs.c.unit, jobs.c.station, jobs.c.state, jobs.c.started)
    query = select(*columns).order_by(jobs.c.station)
    for row in tx.rows(query, jobs.c.run, policies):
        left, begun = found[row.run]
        alone = row.round and policies[row.run] is Policy.UNIT
        key = (row.wave, row.round, row.unit if alone else "")
        if row.state != JobState.DONE.value:
            left[key].append(row.station)
        if row.started is not None:
            begun.add(key)
    return found


def _also(said: Clearances, station: str, why: str) -> Clearance:
    """What was said of a station, and that it waits for another run."""
    known = said.get(station, Clearance())
    return Clearance("; ".join(filter(None, (known.blocked, why))), closes=known.closes)
