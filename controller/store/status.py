"""Figures for metrics, and whether the database accepts writes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, not_, select

from controller.models.alarm import (
    BREAKER,
    REMEDIATION_STOPPED,
    UNREACHABLE,
    AlertRefusal,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.incident import worst
from controller.models.process import Process, ProcessRole
from controller.models.run import JobState, Outcome, RunState
from controller.ports.store import Status, Sync
from controller.store import epochs
from controller.store.alarms import STANDING, alarms, escalations, refused_alerts, repairs
from controller.store.claims import CLAIMABLE
from controller.store.collections import collections, totals
from controller.store.devices import devices, healths
from controller.store.holds import switches
from controller.store.incident_rows import OPEN_INCIDENT, incidents
from controller.store.leases import leases
from controller.store.processes import listed
from controller.store.repository import SqlRepository, reads, writes
from controller.store.run_rows import jobs, runs
from controller.store.transaction import Tx

#: Counters begin at 0: one that came with its first event would hide that event from ``increase()``.
_OUTCOMES: dict[tuple[str, ...], float] = {(outcome.value,): 0.0 for outcome in Outcome}
_ENDS = [state.value for state in RunState if state.terminal]
_RUNS_ENDED: dict[tuple[str, ...], float] = {(state,): 0.0 for state in _ENDS}
_REFUSED: dict[tuple[str, ...], float] = {(reason.value,): 0.0 for reason in AlertRefusal}
#: Probable causes with series of their own, and what all others are called.
MOST_CAUSES, OTHER_CAUSE = 100, "other"
#: Incidents, and symptoms, with series of their own.
MOST_SERIES = 5000
_STAND = (
    select(
        alarms.c.incident, alarms.c.severity, alarms.c.station, alarms.c.object, alarms.c.probable_cause, alarms.c.root
    )
    .where(STANDING)
    .order_by(alarms.c.number)
)
_OPEN_INCIDENTS = select(incidents).where(OPEN_INCIDENT).order_by(incidents.c.number)
#: Who knows of an incident: nobody yet; somebody; who sees to it.
_KNOWN_TO = ("new", "acknowledged", "taken")
#: What becomes of periods that are collected: see ``ports.store.measurements.Taken``; late ones are counted there too.
_PERIODS = ("new", "repeated", "replaced", "conflicting", "refused", "late")
#: Quantiles of the age of health, and of performance data.
_QUANTILES = (0.5, 0.95, 1.0)


class SqlStatus(SqlRepository, Status[Sync]):
    """Counts over the record."""

    @reads
    def figures(self, tx: Tx) -> dict[str, dict[tuple[str, ...], float]]:
        # What waits for people, windows or the device of another job waits for no worker.
        ready = select(func.min(jobs.c.ready)).join(runs, runs.c.id == jobs.c.run)
        ready = ready.join(leases, leases.c.station == jobs.c.station).where(CLAIMABLE)
        oldest = tx.execute(ready, {"now": tx.now}).scalar()
        age = 0.0 if oldest is None else max(0.0, (tx.now - oldest).total_seconds())
        found: dict[str, dict[tuple[str, ...], float]] = {
            "runs": _grouped(tx, runs.c.state),
            "runs_ended": _RUNS_ENDED | _grouped(tx, runs.c.state, where=runs.c.state.in_(_ENDS)),
            "jobs": _grouped(tx, jobs.c.state),
            "outcomes": _OUTCOMES | _grouped(tx, jobs.c.outcome, where=jobs.c.outcome.is_not(None)),
            "jobs_away": {(): _counted(tx, and_(jobs.c.deferred.is_not(None), jobs.c.state != JobState.DONE.value))},
            "oldest_claimable_seconds": {(): age},
            "alarms": _alarms(tx),
            **_incidents(tx),
            "repairs": _grouped(tx, repairs.c.rule),
            "health_age_seconds": _health_ages(tx),
            "devices_adopted": {(): _counted(tx, devices.c.adopted.is_not(None))},
            "escalated": {(): float(tx.execute(select(func.count()).select_from(escalations)).scalar_one())},
            "alerts_refused": _REFUSED | _refused(tx),
            "repair_stopped": _repair_stopped(tx),
            **_collections(tx),
            "record_in_doubt": {(): float(bool(epochs.doubt_of(tx.connection, tx.evidence)[0]))},
        }
        return found | _processes(listed(tx))

    @writes
    def check_writable(self, tx: Tx) -> None:
        row = tx.insert(switches).values({"name": "write-probe", "on": True})
        tx.execute(row.on_conflict_do_update(index_elements=["name"], set_={"on": not_(switches.c["on"])}))


def _collections(tx: Tx) -> dict[str, dict[tuple[str, ...], float]]:
    """What collections of performance data brought, and how old and how full what they brought is."""
    found: dict[str, dict[tuple[str, ...], float]] = {
        "collection_periods": {(kind,): 0.0 for kind in _PERIODS},
        "collection_files_refused": {},
        "collection_failures": {},
    }
    for row in tx.execute(select(totals)):
        found[f"collection_{row.kind}"][row.reason,] = float(row.number)
    followed = tx.execute(select(collections.c.newest, collections.c.since, collections.c.missing)).all()
    ages = sorted(max(0.0, (tx.now - (row.newest or row.since)).total_seconds()) for row in followed)
    return found | {
        "collection_stations": {(): float(len(followed))},
        "collection_age_seconds": _quantiles(ages),
        "collection_gaps": {(): float(sum(row.missing for row in followed))},
    }


def _refused(tx: Tx) -> dict[tuple[str, ...], float]:
    return {(row.reason,): float(row.number) for row in tx.execute(select(refused_alerts))}


def _health_ages(tx: Tx) -> dict[tuple[str, ...], float]:
    """Seconds since adopted stations were looked at, or adopted where nobody looked yet: by quantile."""
    seen = select(func.coalesce(healths.c.at, devices.c.adopted)).select_from(
        devices.outerjoin(healths, healths.c.station == devices.c.station)
    )
    times = tx.execute(seen.where(devices.c.adopted.is_not(None))).scalars()
    ages = sorted(max(0.0, (tx.now - at).total_seconds()) for at in times)
    return _quantiles(ages)


def _quantiles(ages: Sequence[float]) -> dict[tuple[str, ...], float]:
    """Quantiles of ages in order."""
    return {(f"{share:g}",): ages[math.ceil(share * len(ages)) - 1] for share in _QUANTILES if ages}


def _repair_stopped(tx: Tx) -> dict[tuple[str, ...], float]:
    row = tx.execute(select(switches).where(switches.c.name == REMEDIATION_STOPPED)).one_or_none()
    by = None if row is None or not row.on else "breaker" if row.by == BREAKER else "people"
    return {(who,): float(who == by) for who in ("breaker", "people")}


def _alarms(tx: Tx) -> dict[tuple[str, ...], float]:
    """Alarms by state, severity and probable cause.

    Whoever reports alarms invents causes: the first ``MOST_CAUSES`` that came keep their names, so that no later one
    takes the name of one from a series, and all others are one.
    """
    first = select(alarms.c.probable_cause).group_by(alarms.c.probable_cause)
    named = first.order_by(func.min(alarms.c.number)).limit(MOST_CAUSES).subquery()
    known = alarms.c.probable_cause.in_(select(named.c.probable_cause))
    return _grouped(tx, alarms.c.state, alarms.c.severity, case((known, alarms.c.probable_cause), else_=OTHER_CAUSE))


def _incidents(tx: Tx) -> dict[str, dict[tuple[str, ...], float]]:
    """Open incidents by severity and by who knows of them, the oldest of them by name, and the oldest symptoms."""
    gravest: dict[str, PerceivedSeverity] = {}
    symptoms: dict[tuple[str, ...], float] = {}
    for row in tx.execute(_STAND):
        severity = PerceivedSeverity(row.severity)
        gravest[row.incident] = worst((severity, gravest.get(row.incident, severity)))
        if row.root and len(symptoms) < MOST_SERIES:
            # Alerts call a router as a whole a station, too.
            named = ObjectClass.STATION.value if row.probable_cause == UNREACHABLE else row.object
            symptoms[row.incident, row.station, named, row.probable_cause] = 1.0
    grave = [one for one in PerceivedSeverity if one is not PerceivedSeverity.CLEARED]
    counts: dict[tuple[str, ...], float] = {(one.value, state): 0.0 for one in grave for state in _KNOWN_TO}
    named_ones: dict[tuple[str, ...], float] = {}
    for row in tx.execute(_OPEN_INCIDENTS):
        state = "taken" if row.owner else "acknowledged" if row.acknowledged else "new"
        how_grave = gravest.get(row.id, PerceivedSeverity.INDETERMINATE).value
        counts[how_grave, state] += 1
        if len(named_ones) < MOST_SERIES:
            named_ones[row.id, row.station, row.probable_cause, how_grave, state] = 1.0
    return {"incidents": counts, "incident_info": named_ones, "symptoms": symptoms}


def _grouped(
    tx: Tx, *columns: ColumnElement[Any], where: ColumnElement[bool] | None = None
) -> dict[tuple[str, ...], float]:
    query = select(*columns, func.count()).group_by(*columns)
    rows = tx.execute(query if where is None else query.where(where))
    return {tuple(row[:-1]): float(row[-1]) for row in rows}


def _processes(processes: Iterable[Process]) -> dict[str, dict[tuple[str, ...], float]]:
    """Figures of processes. Of several that share a name the worst counts, and all their sessions."""
    up: dict[tuple[str, ...], float] = {}
    ready: dict[tuple[str, ...], float] = {}
    sessions: dict[tuple[str, ...], float] = {}
    by_role: dict[tuple[str, ...], float] = {(role.value,): 0.0 for role in ProcessRole}
    for one in processes:
        name = one.role.value, one.instance
        up[name] = min(up.get(name, 1.0), float(one.up))
        ready[name] = min(ready.get(name, 1.0), float(one.ready))
        if one.up:
            sessions[name] = sessions.get(name, 0.0) + one.sessions
        by_role[one.role.value,] += one.ready
    return {"process_up": up, "process_ready": ready, "processes_ready": by_role, "sessions": sessions}


def _counted(tx: Tx, where: ColumnElement[bool]) -> float:
    return float(tx.execute(select(func.count()).where(where)).scalar_one())
