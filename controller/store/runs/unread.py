"""Jobs that diverged since nobody could read their devices back, and what a later reading found there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Row, and_, bindparam, exists, or_, select, update

from controller.intent.interruptions import reached
from controller.models.alarm import DIVERGED, Alarm, AlarmReport, AlarmSource, ObjectClass, PerceivedSeverity
from controller.models.claim import Reading, UnreadJob
from controller.models.ended_job import EndedJob
from controller.models.many import first_names
from controller.models.packing import unpacked
from controller.models.plan import Change
from controller.models.run import (
    TIMER_LAG,
    Decision,
    FoundState,
    GateChoice,
    JournalStep,
    LedgerBefore,
    Outcome,
    Policy,
    Run,
)
from controller.nrm.tree import Path
from controller.store.alarms.alarm_rows import alarms, as_alarm
from controller.store.alarms.alarms import escalate
from controller.store.alarms.doubts import doubted
from controller.store.alarms.receiving import take_reports
from controller.store.database.transaction import Tx
from controller.store.jobs.decisions import load_decisions
from controller.store.jobs.divergences import unresolved
from controller.store.jobs.ended_jobs import ended_jobs, ledger_before
from controller.store.jobs.journal import journal, unpacked_names
from controller.store.jobs.run_rows import jobs, load_runs, run_playbooks, runs
from controller.store.jobs.steps import as_step, steps
from controller.store.network.devices import note_applied
from controller.store.network.leases import leases
from controller.store.network.ledger import LedgerChange, change_ledger, changed_later, news_in
from controller.store.network.plans import changes
from controller.store.network.versions import current_network

#: Stations that count as diverged.
STANDING = select(alarms).where(
    alarms.c.probable_cause == DIVERGED, alarms.c.source == AlarmSource.CHECK.value, alarms.c.cleared.is_(None)
)
_OF_PLAYBOOK = exists(select(run_playbooks.c.run).where(run_playbooks.c.run == jobs.c.run))
_IS_OPEN = and_(jobs.c.unread, jobs.c.outcome == Outcome.DIVERGED.value, jobs.c.found.is_(None))
#: For how long what was sent and had no effect that showed is looked for by readings.
_WATCHED = timedelta(days=7)
_IN_VAIN = or_(jobs.c.unseen, jobs.c.unanswered)
_KNOWN_END = jobs.c.outcome.in_(
    [one.value for one in (Outcome.SUCCEEDED, Outcome.FAILED_SAFE, Outcome.ROLLED_BACK, Outcome.WITHDRAWN)]
)
_CAME = and_(_IN_VAIN, jobs.c.found == FoundState.LATE.value)
_UNSEEN = (
    select(jobs.c.id, jobs.c.station, jobs.c.finished, runs.c.plan, _OF_PLAYBOOK.label("of_playbook"))
    .join(runs, runs.c.id == jobs.c.run)
    .where(
        _IN_VAIN,
        _KNOWN_END,
        jobs.c.found.is_(None),
        jobs.c.finished > bindparam("since", type_=jobs.c.finished.type),
    )
    .order_by(jobs.c.finished)
)
_UNREAD = (
    select(
        *(jobs.c.id, jobs.c.run, jobs.c.wave, jobs.c.unit, jobs.c.round, jobs.c.station, jobs.c.detail, jobs.c.found),
        *(jobs.c.outcome, runs.c.plan, _OF_PLAYBOOK.label("of_playbook")),
    )
    .join(runs, runs.c.id == jobs.c.run)
    .where(or_(and_(_IS_OPEN, ~_OF_PLAYBOOK), _CAME), ~jobs.c.beyond)
)
_JOURNAL = select(journal.c.job, journal.c.transaction, journal.c.step, journal.c.deadline, journal.c.carried).order_by(
    journal.c.job, journal.c.at, journal.c.seq
)
_FREE = (
    select(leases.c.station)
    .where(leases.c.transaction.is_(None), leases.c.incarnation.is_(None))
    .order_by(leases.c.station)
    .with_for_update()
)
_OPEN = (
    select(jobs, runs.c.plan, runs.c.network_digest, _OF_PLAYBOOK.label("of_playbook"))
    .join(runs, runs.c.id == jobs.c.run)
    .where(or_(_IS_OPEN, _CAME, and_(_IN_VAIN, _KNOWN_END, jobs.c.found.is_(None))))
)
_STEPS = select(steps).where(steps.c.job == bindparam("of")).order_by(steps.c.started, steps.c.position, steps.c.undo)
_ENDED_SINCE = select(jobs.c.id).where(
    jobs.c.station == bindparam("device"), jobs.c.finished > bindparam("since", type_=jobs.c.finished.type)
)
_CHANGE = select(changes.c.content).where(changes.c.plan == bindparam("of"), changes.c.station == bindparam("device"))
#: The transaction of a job of which nothing showed last.
_VAIN = (
    select(journal.c.transaction)
    .where(
        journal.c.job == bindparam("of"),
        journal.c.step.in_([JournalStep.UNSEEN.value, JournalStep.UNANSWERED.value]),
    )
    .order_by(journal.c.at.desc(), journal.c.seq.desc())
    .limit(1)
)
_FOUND = update(jobs).where(jobs.c.id == bindparam("job"))


def touched_words(cells: Sequence[str]) -> str:
    """Which cells a job may have touched, in words."""
    return f"it may have touched {first_names(cells)}" if cells else "it is not known which cells it touched"


def unread_jobs(tx: Tx, stations: Iterable[str]) -> list[UnreadJob]:
    """Do what ``Claims.unread`` does, as part of a transaction."""
    names = list(stations)
    return [*_unseen_jobs(tx, names), *_diverged_jobs(tx, names)]


def _unseen_jobs(tx: Tx, stations: Sequence[str]) -> list[UnreadJob]:
    """Jobs that sent something of which nothing showed, the last of each station, if none changed it since."""
    last = {row.station: row for row in tx.rows(_UNSEEN, jobs.c.station, stations, since=tx.now - _WATCHED)}
    if not last:
        return []
    ended = ended_jobs(tx, last, min(row.finished for row in last.values()))
    changed = {job.station for job in ended if job.as_found().changed and job.known > last[job.station].finished}
    found = [job for job in ended if job.job == last[job.station].id and job.station not in changed]
    began = _began(tx, found)
    may = frozenset([FoundState.LATE])
    return [
        UnreadJob(replace(job, changes=(), unsure=_sent(tx, last[job.station])), one.carried, one.counts, may)
        for job in found
        if (one := began.get(job.job)) is not None
    ]


def _diverged_jobs(tx: Tx, stations: Iterable[str]) -> list[UnreadJob]:
    since = {row.station: row.raised for row in tx.rows(STANDING, alarms.c.station, stations)}
    open_jobs = {row.id: row for row in tx.rows(_UNREAD, jobs.c.station, since)} if since else {}
    if not open_jobs:
        return []
    done: dict[str, list[EndedJob]] = defaultdict(list)
    for job in ended_jobs(tx, {row.station for row in open_jobs.values()}, min(since.values())):
        if job.known >= since[job.station]:
            done[job.station].append(job.as_found())
    left = (unresolved(found) for found in done.values())
    alone = [jobs_left[0] for jobs_left in left if len(jobs_left) == 1 and jobs_left[0].job in open_jobs]
    may = _may(tx, [open_jobs[job.job] for job in alone])
    began = _began(tx, alone)
    came = {job for job, row in open_jobs.items() if row.found is not None}
    alone = [
        replace(job, changes=(), unsure=_sent(tx, open_jobs[job.job])) if job.job in came else job for job in alone
    ]
    return [
        UnreadJob(job, began[job.job].carried, began[job.job].counts, may[job.job])
        for job in alone
        if job.job in began and not job.beyond
    ]


def _may(tx: Tx, rows: Sequence[Row[Any]]) -> dict[str, frozenset[FoundState]]:
    """The states in which the devices of jobs may be, by job."""
    of = {run.id: run for run in load_runs(tx, {row.run for row in rows})} if rows else {}
    decided = load_decisions(tx, {(row.run, row.wave) for row in rows})
    return {row.id: _agreed(of[row.run], row, decided) for row in rows}


def _agreed(run: Run, row: Row[Any], decided: Iterable[Decision]) -> frozenset[FoundState]:
    if row.found is not None:
        return frozenset([FoundState.PLANNED if Outcome(row.outcome).good else FoundState.BEFORE])
    if run.strategy.policy is Policy.STATION:
        return frozenset([FoundState.PLANNED, FoundState.BEFORE])
    group = (row.run, row.wave, row.round)
    mine = [one.choice for one in decided if (one.run, one.wave, one.round) == group and one.unit in ("", row.unit)]
    if GateChoice.CONFIRM in mine:
        return frozenset([FoundState.PLANNED])
    return frozenset([FoundState.BEFORE] if mine or run.state.terminal else [])


@dataclass(frozen=True, slots=True)
class _Beginning:
    """What a device carried when its last transaction began, and when that can have no effect any more."""

    carried: tuple[Path, ...]
    counts: Any


def _began(tx: Tx, ended: Sequence[EndedJob]) -> dict[str, _Beginning]:
    finished = {job.job: job.finished for job in ended}
    found = {}
    rows = tx.rows(_JOURNAL, journal.c.job, finished) if finished else ()
    for job, group in groupby(rows, lambda row: row.job):
        of_job = list(group)
        last = [row for row in of_job if row.transaction == of_job[-1].transaction]
        read = next((row for row in last if row.step == JournalStep.READ.value), None)
        ends = [row.deadline + timedelta(seconds=TIMER_LAG) for row in last if row.deadline is not None]
        if read is not None:
            found[job] = _Beginning(unpacked_names(read.carried), max((finished[job], *ends)))
    return found


def take_readings(tx: Tx, readings: Sequence[Reading]) -> None:
    """Do what ``Claims.found`` does, as part of a transaction."""
    if doubted(tx):
        return
    stations = {one.station for one in readings}
    free = {row.station for row in tx.rows(_FREE, leases.c.station, stations)}
    standing = {row.station: as_alarm(row) for row in tx.rows(STANDING, alarms.c.station, free)} if free else {}
    rows = {row.id: row for row in tx.rows(_OPEN, jobs.c.id, [one.job for one in readings])} if free else {}
    news = [one for one in readings if one.station in free and one.job in rows and not _ended_since(tx, one)]
    take_reports(
        tx,
        [
            report
            for one in news
            if one.found is not FoundState.LATE and one.station in standing
            if (report := _taken(tx, one, rows[one.job], standing[one.station])) is not None
        ],
    )
    _take_late(tx, [(one, rows[one.job]) for one in news if one.found is FoundState.LATE])


def _take_late(tx: Tx, found: Sequence[tuple[Reading, Row[Any]]]) -> None:
    """Raise an alarm for each station that carries by now what a job had sent in vain, and call people."""
    network = current[1] if found and (current := current_network(tx)) else None
    reports = []
    for one, row in found:
        tx.execute(_FOUND.values(found=FoundState.LATE.value, found_at=one.at), {"job": row.id})
        _note(tx, one, row)
        device = ObjectClass.STATION if network is None else ObjectClass.of_device(network.kind_of(one.station))
        cells = () if network is None else reached(network, one.station, _sent(tx, row))
        said = f"it ended {row.outcome}, and a reading found {FoundState.LATE.words} on the device"
        report = AlarmReport(
            station=one.station,
            object=device.value,
            object_class=device,
            probable_cause=DIVERGED,
            severity=PerceivedSeverity.MAJOR,
            text=f"run {row.run}: {touched_words(cells)}; {said}; {row.detail}",
            source=AlarmSource.CHECK,
            at=one.at,
            cells=cells,
        )
        reports.append(report)
    for alarm, (one, row) in zip(take_reports(tx, reports), found, strict=True):
        back = (
            f"bring it back: minka playbook run repair-drift where=device={one.station}, and unlock-cell for each cell "
            "that it locked"
            if Outcome(row.outcome).good or row.of_playbook
            else f"take it back: minka undo {row.run}"
        )
        call = (
            f"run {row.run} ended {row.outcome}, and {one.station} carries {FoundState.LATE.words} by now (the next "
            f"health check that finds it gone ends this alarm); see minka device show {one.station}; {back}"
        )
        escalate(tx, alarm, call, AlarmSource.CHECK.value)


def _change(tx: Tx, row: Row[Any]) -> Change:
    """What a job's plan changes on its station."""
    return unpacked(Change, tx.execute(_CHANGE, {"of": row.plan, "device": row.station}).scalar_one())


def _sent(tx: Tx, row: Row[Any]) -> tuple[Change, ...]:
    """What a job sent of which nothing showed, and what it changed after that, in order.

    Steps of playbooks change one after another: what the last leaves is what counts.
    """
    if not row.of_playbook:
        return (_change(tx, row),)
    vain = str(tx.execute(_VAIN, {"of": row.id}).scalar_one()).rpartition(".")[0]
    made = [(one, one.change) for one in map(as_step, tx.execute(_STEPS, {"of": row.id})) if one.change is not None]
    sent = (n for n, (one, _) in enumerate(made) if vain.endswith(f".{one.transaction.rpartition('.')[0]}"))
    if (first := next(sent, None)) is None:
        return ()
    return tuple(change for n, (one, change) in enumerate(made) if n == first or (n > first and one.changed))


def _ended_since(tx: Tx, reading: Reading) -> bool:
    return tx.execute(_ENDED_SINCE, {"device": reading.station, "since": reading.at}).first() is not None


def _taken(tx: Tx, reading: Reading, row: Row[Any], alarm: Alarm) -> AlarmReport | None:
    """Put one reading on record; returns what the alarm says now, None if that is what it said before."""
    if reading.found is None:
        text = f"run {row.run}: {touched_words(alarm.cells)}; {row.detail} Read since: {reading.differs}"
        if text == alarm.text:
            return None
        _note(tx, reading, row)
        return _report(alarm, reading, text, alarm.severity)
    made = _ledger_changes(tx, reading.found, row)
    if news_in(tx, made) & changed_later(tx, row.station, row.id, row.finished):
        return None
    tx.execute(_FOUND.values(found=reading.found.value, found_at=reading.at), {"job": row.id})
    change_ledger(tx, made)
    if reading.found is FoundState.PLANNED and row.found is None:
        note_applied(tx, {row.station: row.network_digest})
    _note(tx, reading, row)
    text = f"run {row.run}: a reading at {reading.at:%Y-%m-%d %H:%M:%S} UTC found {reading.found.words} on the device"
    return _report(alarm, reading, text, PerceivedSeverity.CLEARED)


def _ledger_changes(tx: Tx, found: FoundState, row: Row[Any]) -> list[LedgerChange]:
    """What the ledger lacks: what the change brought, or that what entered it in doubt leaves it again."""
    if row.found is not None:
        return []  # what came late and went again was never in it
    if found is FoundState.PLANNED:
        change = _change(tx, row)
        return [LedgerChange(row.station, change.gained, change.lost, job=row.id, plan=row.plan)]
    before: Mapping[str, LedgerBefore] = ledger_before(tx, [row.id])
    if row.id not in before:
        return []
    back = [LedgerChange(row.station, [entry.node], job=row.id, plan=entry.plan) for entry in before[row.id].entries]
    return [LedgerChange(row.station, (), before[row.id].absent, job=row.id), *back]


def _note(tx: Tx, reading: Reading, row: Row[Any]) -> None:
    tx.note(
        AlarmSource.CHECK.value,
        "job.found",
        row.id,
        station=row.station,
        state=reading.found.value if reading.found else "neither",
        read=reading.at.isoformat(),
        ended=row.outcome,
        detail=reading.differs,
    )


def _report(alarm: Alarm, reading: Reading, text: str, severity: PerceivedSeverity) -> AlarmReport:
    return AlarmReport(
        station=alarm.station,
        object=alarm.object,
        object_class=alarm.object_class,
        probable_cause=DIVERGED,
        severity=severity,
        text=text,
        source=AlarmSource.CHECK,
        at=reading.at,
        cells=alarm.cells,
    )
