"""Figures for metrics, and a check that the database accepts writes."""

from __future__ import annotations

import math
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from shutil import disk_usage
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, and_, bindparam, case, func, not_, or_, select, text

from controller.models.alarm import (
    BREAKER,
    REMEDIATION_STOPPED,
    UNREACHABLE,
    AlarmSource,
    AlertRefusal,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.errors import StoreError
from controller.models.incident import gravest
from controller.models.metrics import RECORD_WRITABLE, Figures, Spreads, added_up, counted, joined, sums_and_states
from controller.models.process import Process, ProcessRole
from controller.models.rule import ProposalState
from controller.models.run import JobState, Outcome, RunState
from controller.models.waiting import COUNTED, WaitCode
from controller.store.alarms.alarm_rows import STANDING, alarm_tenants, alarms
from controller.store.alarms.alarms import escalations, refused_alerts
from controller.store.alarms.concerns import CONCERNS
from controller.store.alarms.incident_rows import OPEN_INCIDENT, incidents
from controller.store.alarms.repairs import repairs
from controller.store.alarms.reports import reports
from controller.store.alarms.rules import proposals
from controller.store.database import epochs
from controller.store.database.columns import Instant
from controller.store.database.queries import INSERTS, Insert
from controller.store.database.repository import M_co, Repository, reads, writes
from controller.store.database.transaction import Database, Tx
from controller.store.incidents.notices import deliveries
from controller.store.incidents.on_call import failing, unacknowledged
from controller.store.jobs.processes import listed, observations, workers
from controller.store.jobs.run_rows import ACTIVE, jobs, runs
from controller.store.network.collections import collections, totals
from controller.store.network.devices import devices, healths
from controller.store.network.holds import switches
from controller.store.network.leases import leases
from controller.store.network.plans import changes, plans
from controller.store.runs.claims import CLAIMABLE
from controller.store.runs.runs import counted_waits

#: Counters begin at 0: a counter that appears with its first event would hide that event from ``increase()``.
_OUTCOMES: Figures = {(outcome.value,): 0.0 for outcome in Outcome}
_ENDS = [state.value for state in RunState if state.terminal]
_RUNS_ENDED: Figures = {(state,): 0.0 for state in _ENDS}
_REFUSED: Figures = {(reason.value,): 0.0 for reason in AlertRefusal}
_PROPOSALS: Figures = {(state.value,): 0.0 for state in ProposalState}
_GRAVE = [one for one in PerceivedSeverity if one is not PerceivedSeverity.CLEARED]
#: Probable causes with series of their own, and the name of all others.
MOST_CAUSES, OTHER_CAUSE = 100, "other"
#: The most incidents, roots and symptoms with series of their own, of each.
MOST_SERIES = 5000
_STAND = (
    select(
        *(alarms.c.incident, alarms.c.severity, alarms.c.station, alarms.c.object, alarms.c.probable_cause),
        *(alarms.c.root, alarms.c.id, alarms.c.shelved_until),
    )
    .where(STANDING)
    .order_by(alarms.c.number)
)
_CONCERNED = (
    select(alarm_tenants.c.alarm, alarm_tenants.c.tenant)
    .join(alarms, alarms.c.id == alarm_tenants.c.alarm)
    .where(STANDING, CONCERNS)
)
_OPEN_INCIDENTS = select(incidents).where(OPEN_INCIDENT).order_by(incidents.c.number)
#: Since when the plan of the run under way that waits for that longest has to be judged (``Runs.unjudged``).
_UNJUDGED = select(func.min(runs.c.judge_from)).where(
    runs.c.state.in_(ACTIVE), runs.c.judge_from <= bindparam("now", type_=Instant())
)
#: Who knows of an incident: nobody yet; somebody; somebody who works on it.
_KNOWN_TO = ("new", "acknowledged", "taken")
#: What becomes of collected periods: see ``store.measurements.StoredPeriods``; late ones are counted there too.
_PERIODS = ("new", "repeated", "replaced", "conflicting", "refused", "late")
#: Quantiles of the age of health checks, and of performance data.
_QUANTILES = (0.5, 0.95, 1.0)
#: Seconds between two checks for room on the database's disk; the bytes that an SQLite database has to have left.
_ROOM_AGAIN, _LEAST_ROOM = 5.0, 1 << 20
#: Makes PostgreSQL ask its disk for new blocks, which are given back with the transaction.
_ROOM = text("CREATE TEMPORARY TABLE minka_room ON COMMIT DROP AS SELECT n FROM generate_series(1, 20000) AS n")


class Status(Repository[M_co]):
    """Figures over the record, and whether it accepts writes."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._durations = Durations()
        #: When there was room on the database's disk, on the monotonic clock.
        self._roomy: float | None = None

    @reads
    def figures(self, tx: Tx) -> dict[str, Figures]:
        """Gauges and counters over the record, by metric and label values (``controller.models.metrics``).

        Outcomes, ended runs, roles and other closed sets are 0 if they did not occur.
        """
        # Jobs that wait for people, windows or another job's device do not wait for a worker.
        ready = select(func.min(jobs.c.ready)).join(runs, runs.c.id == jobs.c.run)
        ready = ready.join(leases, leases.c.station == jobs.c.station).where(CLAIMABLE)
        oldest = tx.execute(ready, {"now": tx.now}).scalar()
        unjudged = tx.execute(_UNJUDGED, {"now": tx.now}).scalar()
        away = and_(jobs.c.deferred.is_not(None), jobs.c.state != JobState.DONE.value)
        found: dict[str, Figures] = {
            "minka_database_up": {(tx.dialect,): 1.0},
            "minka_runs": _grouped(tx, runs.c.state),
            "minka_runs_ended_total": _RUNS_ENDED | _grouped(tx, runs.c.state, where=runs.c.state.in_(_ENDS)),
            "minka_jobs": _grouped(tx, jobs.c.state),
            "minka_jobs_ended_total": _OUTCOMES | _grouped(tx, jobs.c.outcome, where=jobs.c.outcome.is_not(None)),
            "minka_jobs_away": {(): _counted(tx, away)},
            "minka_oldest_claimable_job_age_seconds": {(): _seconds_since(oldest, tx.now)},
            "minka_oldest_unjudged_run_age_seconds": {(): _seconds_since(unjudged, tx.now)},
            "minka_alarms": _alarms(tx),
            **_incidents(tx),
            "minka_repairs_started_total": _grouped(tx, repairs.c.rule),
            "minka_health_age_seconds": _health_ages(tx),
            "minka_stations_adopted": {(): _counted(tx, devices.c.adopted.is_not(None))},
            "minka_alarms_escalated_total": {(): _counted(tx, escalations.c.alarm.is_not(None))},
            "minka_calls_unacknowledged": unacknowledged(tx),
            "minka_deliveries_failing": _failing(tx),
            "minka_alerts_refused_total": _REFUSED | _refused(tx),
            "minka_automatic_repair_stopped": _repair_stopped(tx),
            "minka_record_in_doubt": {(): float(epochs.noted(tx.connection, tx.evidence, tx.notes)[1])},
            "minka_leases": _leases(tx),
            **_waiting(tx),
            "minka_reports": _reports(tx),
            "minka_proposals": _PROPOSALS | _grouped(tx, proposals.c.state),
            **_collections(tx),
        }
        return found | _processes(processes := listed(tx)) | _starts(tx, processes) | _states(tx, processes)

    @reads
    def spreads(self, tx: Tx) -> dict[str, Spreads]:
        """Histograms, and counters of what processes counted: by metric and label values.

        Durations of runs and the like are worked out from the record. Measurements of processes are added up over all
        that live and all that ended.
        """
        contents = tx.execute(select(observations.c.content)).scalars().all()
        return joined(self._durations.read(tx), added_up(contents))

    @writes
    def check_writable(self, tx: Tx) -> None:
        """Return if a write would be committed now; leaves no change. Raises StoreError."""
        tx.execute(_probe(tx.dialect), {"name": "write-probe", "on": True})
        # A row that is replaced by one of its size needs no room, so a full disk takes it.
        now = tx.clock.monotonic()
        if self._roomy is None or now - self._roomy >= _ROOM_AGAIN:
            _check_room(tx)
            self._roomy = now


def _seconds_since(moment: datetime | None, now: datetime) -> float:
    """For how long something waits, 0 if nothing does."""
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())


@cache  # each second
def _probe(dialect: str) -> Insert:
    row = INSERTS[dialect](switches)
    return row.on_conflict_do_update(index_elements=["name"], set_={"on": not_(switches.c["on"])})


def _check_room(tx: Tx) -> None:
    """Check that the database's disk has room for more than is on it. Raises StoreError, or the database's error."""
    if tx.dialect == "postgresql":
        tx.execute(_ROOM)
        return
    file = tx.connection.engine.url.database
    if file and file != ":memory:" and disk_usage(Path(file).parent).free < _LEAST_ROOM:
        raise StoreError(f"the disk of the database is full: {Path(file).parent}")


def _collections(tx: Tx) -> dict[str, Figures]:
    """Counts of what collections of performance data brought; age and completeness of that data."""
    found: dict[str, Figures] = {
        "minka_collection_periods_total": {(kind,): 0.0 for kind in _PERIODS},
        "minka_collection_files_refused_total": {},
        "minka_collection_failures_total": {},
    }
    for row in tx.execute(select(totals)):
        found[f"minka_collection_{row.kind}_total"][row.reason,] = float(row.number)
    followed = tx.execute(select(collections.c.newest, collections.c.since, collections.c.missing)).all()
    ages = sorted(max(0.0, (tx.now - (row.newest or row.since)).total_seconds()) for row in followed)
    return found | {
        "minka_collection_stations": {(): float(len(followed))},
        "minka_collection_age_seconds": _quantiles(ages),
        "minka_collection_missing_periods": {(): float(sum(row.missing for row in followed))},
    }


def _refused(tx: Tx) -> Figures:
    return {(row.reason,): float(row.number) for row in tx.execute(select(refused_alerts))}


def _health_ages(tx: Tx) -> Figures:
    """Seconds since the last check of adopted stations, or since their adoption before the first check: by quantile."""
    seen = select(func.coalesce(healths.c.at, devices.c.adopted)).select_from(
        devices.outerjoin(healths, healths.c.station == devices.c.station)
    )
    times = tx.execute(seen.where(devices.c.adopted.is_not(None))).scalars()
    ages = sorted(max(0.0, (tx.now - at).total_seconds()) for at in times)
    return _quantiles(ages)


def _quantiles(ages: Sequence[float]) -> Figures:
    """Quantiles of sorted ages."""
    return {(f"{share:g}",): ages[math.ceil(share * len(ages)) - 1] for share in _QUANTILES if ages}


def _repair_stopped(tx: Tx) -> Figures:
    row = tx.execute(select(switches).where(switches.c.name == REMEDIATION_STOPPED)).one_or_none()
    by = None if row is None or not row.on else "breaker" if row.by == BREAKER else "people"
    return {(who,): float(who == by) for who in ("breaker", "people")}


def _alarms(tx: Tx) -> Figures:
    """Alarms by state, severity and probable cause.

    Sources may invent causes. The first ``MOST_CAUSES`` on record keep their names, so that a later cause never removes
    a series; all others share one name.
    """
    first = select(alarms.c.probable_cause).group_by(alarms.c.probable_cause)
    named = first.order_by(func.min(alarms.c.number)).limit(MOST_CAUSES).subquery()
    known = alarms.c.probable_cause.in_(select(named.c.probable_cause))
    return _grouped(tx, alarms.c.state, alarms.c.severity, case((known, alarms.c.probable_cause), else_=OTHER_CAUSE))


def _incidents(tx: Tx) -> dict[str, Figures]:
    """Open incidents by severity and by who knows of them, the oldest ones by name, and the oldest roots and symptoms.

    Also those of each tenant, by its most severe alarm.
    """
    stand: dict[str, set[tuple[str, PerceivedSeverity]]] = defaultdict(set)
    stand_of: dict[tuple[str, str], set[tuple[str, PerceivedSeverity]]] = defaultdict(set)
    roots: Figures = {}
    symptoms: Figures = {}
    tenants: dict[str, list[str]] = defaultdict(list)
    for row in tx.execute(_CONCERNED):
        tenants[row.alarm].append(row.tenant)
    for row in tx.execute(_STAND):
        alarm = row.probable_cause, PerceivedSeverity(row.severity)
        stand[row.incident].add(alarm)
        for tenant in tenants[row.id] if row.incident else ():
            stand_of[row.incident, tenant].add(alarm)
        if _calls_people(tx, row) and len(roots) < MOST_SERIES:
            roots[row.incident, row.station, row.object, row.probable_cause] = 1.0
        if row.root and len(symptoms) < MOST_SERIES:
            # Alerts use the class of a station also for a router as a whole.
            named = ObjectClass.STATION.value if row.probable_cause == UNREACHABLE else row.object
            symptoms[row.incident, row.station, named, row.probable_cause] = 1.0
    counts: Figures = {(one.value, state): 0.0 for one in _GRAVE for state in _KNOWN_TO}
    named_ones: Figures = {}
    for row in tx.execute(_OPEN_INCIDENTS):
        state = "taken" if row.owner else "acknowledged" if row.acknowledged else "new"
        how_grave = gravest(stand[row.id]).value
        counts[how_grave, state] += 1
        if len(named_ones) < MOST_SERIES:
            named_ones[row.id, row.station, row.probable_cause, how_grave, state] = 1.0
    of_tenants: Figures = {}
    for (_, tenant), found in stand_of.items():
        labels = tenant, gravest(found).value
        of_tenants[labels] = of_tenants.get(labels, 0.0) + 1
    return {
        "minka_tenant_incidents": of_tenants,
        "minka_incidents": counts,
        "minka_incident_info": named_ones,
        "minka_incident_root": roots,
        "minka_incident_symptom": symptoms,
    }


def _calls_people(tx: Tx, row: Row[Any]) -> bool:
    """Whether a standing alarm is a root of an incident of which people are told: nobody shelved it."""
    return bool(row.incident) and not row.root and (row.shelved_until is None or row.shelved_until <= tx.now)


def _leases(tx: Tx) -> Figures:
    held = leases.c.incarnation.is_not(None)
    left = and_(leases.c.incarnation.is_(None), leases.c.transaction.is_not(None))
    return {("held",): _counted(tx, held), ("to-recover",): _counted(tx, left)}


def _waiting(tx: Tx) -> dict[str, Figures]:
    """Runs under way that wait, by what they wait for, and for how long the one does that has waited longest."""
    since: dict[tuple[str, WaitCode], datetime] = {}
    for run, wait in counted_waits(tx):
        for code in wait.codes:
            key = (run, code.counted)
            since[key] = min(since.get(key, wait.since), wait.since)
    oldest = {code: min((at for (_, one), at in since.items() if one is code), default=None) for code in COUNTED}
    return {
        "minka_runs_waiting": {(code.value,): float(sum(one is code for _, one in since)) for code in COUNTED},
        "minka_oldest_waiting_run_age_seconds": {
            (code.value,): _seconds_since(at, tx.now) for code, at in oldest.items()
        },
    }


def _failing(tx: Tx) -> Figures:
    """Messages to people that were tried and are not delivered, by kind. One on its first way does not count."""
    found: Figures = {("call",): failing(tx)}
    for kind, table, done, one in (
        ("escalation", escalations, "notified", (escalations.c.alarm, escalations.c.number)),
        ("notice", deliveries, "sent", (deliveries.c.message, deliveries.c.to)),
    ):
        failed = or_(table.c.attempts > 1, and_(table.c.attempts == 1, not_(table.c.claimed)))
        messages = select(*one).where(table.c[done].is_(None), failed).distinct().subquery()
        found[kind,] = float(tx.execute(select(func.count()).select_from(messages)).scalar_one())
    return found


def _starts(tx: Tx, processes: Iterable[Process]) -> dict[str, Figures]:
    """How often processes that are listed were started under their name, and how many live under it now."""
    names = {(one.role.value, one.instance) for one in processes}
    starts = _grouped(tx, workers.c.role, workers.c.name, where=workers.c.name.in_({name for _, name in names}))
    living = Counter((one.role.value, one.instance) for one in processes if one.up)
    return {
        "minka_process_starts_total": {key: number for key, number in starts.items() if key in names},
        "minka_process_instances": {key: float(living[key]) for key in names},
    }


def _reports(tx: Tx) -> Figures:
    counts: Figures = {(source.value,): 0.0 for source in AlarmSource}
    query = select(reports.c.source, func.sum(reports.c.count).label("reported")).group_by(reports.c.source)
    return counts | {(str(row.source),): float(row.reported) for row in tx.execute(query)}


def _states(tx: Tx, processes: Iterable[Process]) -> dict[str, Figures]:
    """Figures that living processes report of themselves."""
    measured = select(workers.c.role, workers.c.name, observations.c.content)
    measured = measured.join(observations, observations.c.incarnation == workers.c.id).where(workers.c.alive)
    found: dict[str, Figures] = {}
    for row in tx.execute(measured.order_by(workers.c.number)):
        for metric, figures in sums_and_states(row.content)[1].items():
            own = found.setdefault(metric, {})
            own.update({(row.role, row.name, *labels): float(value) for labels, value in figures.items()})
    # What was so at the last heartbeat says nothing once they stay away, as where the database takes no writes.
    heard = {(one.role.value, one.instance) for one in processes if one.up}
    writable = found.pop(RECORD_WRITABLE, {})
    return found | {RECORD_WRITABLE: {labels: value for labels, value in writable.items() if labels[:2] in heard}}


def _grouped(tx: Tx, *columns: ColumnElement[Any], where: ColumnElement[bool] | None = None) -> Figures:
    query = select(*columns, func.count()).group_by(*columns)
    rows = tx.execute(query if where is None else query.where(where))
    return {tuple(row[:-1]): float(row[-1]) for row in rows}


def _processes(processes: Iterable[Process]) -> dict[str, Figures]:
    """Figures of processes. If several share a name, the worst counts, and the sum of their sessions."""
    up: Figures = {}
    ready: Figures = {}
    sessions: Figures = {}
    by_role: Figures = {(role.value,): 0.0 for role in ProcessRole}
    for one in processes:
        name = one.role.value, one.instance
        up[name] = min(up.get(name, 1.0), float(one.up))
        ready[name] = min(ready.get(name, 1.0), float(one.ready))
        if one.up:
            sessions[name] = sessions.get(name, 0.0) + one.sessions
        by_role[one.role.value,] += one.ready
    return {
        "minka_process_up": up,
        "minka_process_ready": ready,
        "minka_processes_ready": by_role,
        "minka_sessions": sessions,
    }


def _counted(tx: Tx, where: ColumnElement[bool]) -> float:
    return float(tx.execute(select(func.count()).where(where)).scalar_one())


#: Procedures with series of their own, and the name of all others.
MOST_PROCEDURES, OTHER_PROCEDURE = 50, "other"
_ENDED = [state.value for state in RunState if state.terminal]
_RUNS = select(runs.c.id, runs.c.procedure, runs.c.state, runs.c.started, runs.c.finished)
_JOBS = select(jobs.c.run, jobs.c.wave, jobs.c.state, jobs.c.outcome, jobs.c.started, jobs.c.finished)
_SIZES = select(changes.c.plan, func.count().label("devices")).group_by(changes.c.plan)
_PROCEDURES = select(runs.c.procedure).group_by(runs.c.procedure).order_by(func.min(runs.c.number))

_Sums = dict[str, Spreads]


class _Counted(NamedTuple):
    """What was counted already: plans, and runs that ended, which do not change any more."""

    runs: frozenset[str] = frozenset()
    plans: frozenset[str] = frozenset()
    sums: Mapping[str, Spreads] = {}


class Durations:
    """Histograms over the record. Each process counts ended runs once, and from then on only new ones."""

    def __init__(self) -> None:
        self._counted = _Counted()
        self._lock = threading.Lock()

    def read(self, tx: Tx) -> _Sums:
        """The histograms by metric and label values."""
        with self._lock:
            ended = tx.execute(_RUNS.where(runs.c.state.in_(_ENDED))).all()
            planned = frozenset(tx.execute(select(plans.c.id)).scalars())
            before, over = self._counted, frozenset(row.id for row in ended)
            if not (before.runs <= over and before.plans <= planned):  # The record is another one, as after a restore.
                before = _Counted()
            named = frozenset(tx.execute(_PROCEDURES.limit(MOST_PROCEDURES)).scalars())
            fresh = [row for row in ended if row.id not in before.runs]
            sizes = _plan_sizes(tx, planned - before.plans)
            self._counted = _Counted(over, planned, joined(before.sums, _of_runs(tx, fresh, named), sizes))
            active = tx.execute(_RUNS.where(runs.c.state.in_(ACTIVE))).all()
            return joined(self._counted.sums, _of_runs(tx, active, named))


def _plan_sizes(tx: Tx, fresh: Collection[str]) -> _Sums:
    found = {row.plan: row.devices for row in tx.rows(_SIZES, changes.c.plan, fresh)} if fresh else {}
    return {"minka_plan_devices": {(): counted("minka_plan_devices", (found.get(plan, 0) for plan in fresh))}}


def _of_runs(tx: Tx, of: Sequence[Row[Any]], named: Collection[str]) -> _Sums:
    """Durations of runs that ended, of their waves in which all jobs ended, and of those jobs."""
    procedures = {row.id: row.procedure if row.procedure in named else OTHER_PROCEDURE for row in of}
    took: dict[str, dict[tuple[str, ...], list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in of:
        if row.started is not None and row.finished is not None:
            labels = procedures[row.id], row.state
            took["minka_run_duration_seconds"][labels].append((row.finished - row.started).total_seconds())
    waves: dict[tuple[str, int], list[Row[Any]]] = defaultdict(list)
    for job in tx.rows(_JOBS, jobs.c.run, procedures) if procedures else ():
        waves[job.run, job.wave].append(job)
        if job.started is not None and job.finished is not None:
            seconds = (job.finished - job.started).total_seconds()
            took["minka_job_duration_seconds"][job.outcome or "",].append(seconds)
    for (run, _), members in waves.items():
        if (seconds := _wave_seconds(members)) is not None:
            took["minka_wave_duration_seconds"][procedures[run],].append(seconds)
    return {metric: {key: counted(metric, values) for key, values in by.items()} for metric, by in took.items()}


def _wave_seconds(members: Iterable[Row[Any]]) -> float | None:
    """From the beginning of its first job to the end of its last; None if one has not ended, or none ever began."""
    began = [job for job in members if job.started is not None]
    if not began or any(job.state != JobState.DONE.value or job.finished is None for job in began):
        return None
    return float((max(job.finished for job in began) - min(job.started for job in began)).total_seconds())
