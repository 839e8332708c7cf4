"""When Minka looked at stations, and why it did not look at other times."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select

from controller.intent.observation import Observation
from controller.intent.times import Times, union
from controller.models.health import OBSERVED_AFTER
from controller.models.process import ProcessRole
from controller.store.database.transaction import Tx
from controller.store.jobs.processes import workers
from controller.store.network.devices import CHECKED, adoptions, lasted_times, observed_times
from controller.store.network.versions import network_history

#: A process may have run for so long after its last heartbeat on record.
_BEAT = timedelta(seconds=15)
_OBSERVED = select(observed_times)
_FIRST = select(observed_times.c.station, func.min(observed_times.c.since).label("since")).group_by(
    observed_times.c.station
)
_RAN = select(workers.c.role, workers.c.begun, workers.c.seen).where(workers.c.seen > workers.c.begun)
_LOADED = select(func.min(network_history.c.since))


def observation_during(tx: Tx, begin: datetime, end: datetime) -> Observation:
    """What was looked at between two times, until now at most."""
    rows = [
        (row.station, row.since, row.until)
        for row in tx.execute(_OBSERVED.where(observed_times.c.until > begin, observed_times.c.since < end))
    ]
    first = {row.station: row.since for row in tx.execute(_FIRST)}
    for row in tx.execute(CHECKED):
        first.setdefault(row.station, row.since)
        if row.at > begin and row.since < end:
            # Checks still go on.
            rows.append((row.station, row.since, tx.now if tx.now - row.at <= OBSERVED_AFTER else row.at))
    checked: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    edges: dict[str, set[datetime]] = defaultdict(set)
    for station, since, until in rows:
        checked[station].append((since, until))
        edges[station].update((since, until))
    ran = [(row.role, (row.begun, min(row.seen + _BEAT, tx.now))) for row in tx.execute(_RAN)]
    # A check proves that a process ran.
    proved = [one for times in checked.values() for one in times]
    listened = [times for role, times in ran if role == ProcessRole.LISTENER.value]
    loaded = tx.execute(_LOADED).scalar()
    return Observation(
        checked={station: union(times) for station, times in checked.items()},
        first=first,
        adopted=_adopted(tx, begin, end),
        running=union([*listened, *proved]),
        taking=union([*(times for _, times in ran), *proved]),
        loaded=loaded,
        edges={station: frozenset(times) for station, times in edges.items()},
        lasted=_lasted(tx, begin, end),
    )


def _adopted(tx: Tx, begin: datetime, end: datetime) -> dict[str, Times]:
    """When each station was adopted."""
    found: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    lasted = or_(adoptions.c.until.is_(None), adoptions.c.until > begin)
    for row in tx.execute(select(adoptions).where(lasted, adoptions.c.since < end)):
        # One that lasts reaches to the end asked for: who asks may have read the clock later than the transaction.
        found[row.station].append((row.since, row.until or max(tx.now, end)))
    return {station: union(times) for station, times in found.items()}


def _lasted(tx: Tx, begin: datetime, end: datetime) -> dict[tuple[str, str], Times]:
    """When faults stood by the lists of their stations."""
    found: dict[tuple[str, str], list[tuple[datetime, datetime]]] = defaultdict(list)
    for row in tx.execute(select(lasted_times).where(lasted_times.c.until > begin, lasted_times.c.since < end)):
        found[row.station, row.object].append((row.since, row.until))
    return {key: union(times) for key, times in found.items()}
