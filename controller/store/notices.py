"""Notices to tenants about runs, and tenants' alarms."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Row, Select, and_, case, exists, func, not_, or_, select, update

from controller.models.approval import Notice, NoticeKind
from controller.models.run import JobState, RunState
from controller.ports.store import Notices, Page, Sync, method
from controller.store.involvement import run_tenants
from controller.store.repository import SqlRepository, reads, writes
from controller.store.run_constraints import constraints_from, notices, run_constraints, tell
from controller.store.run_rows import jobs, runs
from controller.store.transaction import Tx

_TERMINAL = tuple(state.value for state in RunState if state.terminal)
_DUE = notices.c.sent.is_(None) & not_(notices.c.withheld)


class SqlNotices(SqlRepository, Notices[Sync]):
    """What tenants are told."""

    @reads
    def page(self, tx: Tx, page: Page, tenant: str | None = None) -> tuple[int, list[Notice]]:
        chosen = [] if tenant is None else [notices.c.tenant == tenant]
        total = tx.execute(select(func.count()).select_from(notices).where(*chosen)).scalar_one()
        newest = select(notices).where(*chosen).order_by(notices.c.number.desc())
        return total, [_as_notice(row) for row in tx.execute(newest.limit(page.limit).offset(page.offset))]

    @method
    def write(self) -> None:
        if self._database.run(_due, "DEFERRED"):
            self._database.run(_write)

    @reads
    def unsent(self, tx: Tx, limit: int) -> list[Notice]:
        oldest = select(notices).where(_DUE).order_by(notices.c.number).limit(limit)
        return [_as_notice(row) for row in tx.execute(oldest)]

    @writes
    def withhold(self, tx: Tx) -> None:
        tx.execute(update(notices).where(_DUE).values(withheld=True))

    @writes
    def mark_sent(self, tx: Tx, notice_id: str) -> None:
        unsent = (notices.c.id == notice_id) & notices.c.sent.is_(None)
        if tx.execute(update(notices).where(unsent).values(sent=tx.now)).rowcount:
            tx.note("engine", "notice.sent", notice_id)


def _due(tx: Tx) -> bool:
    return bool(tx.execute(_news()).first() or tx.execute(_over()).first())


def _write(tx: Tx) -> None:
    """Tell each tenant when work began and ended on stations of its own, whatever goes on elsewhere in the run."""
    tx.guard("notices")
    for row in tx.execute(_news()).all():
        _write_about(tx, row, row.tenant, ended=bool(row.done))
    for row in tx.execute(_over()).all():
        sent = and_(notices.c.run == row.run, notices.c.kind == NoticeKind.ENDED.value)
        known = set(tx.execute(select(notices.c.tenant).where(sent)).scalars())
        for tenant in constraints_from(row.content).tenants:
            if tenant not in known:
                _write_about(tx, row, tenant, ended=True)
        tx.execute(
            update(run_constraints).where(run_constraints.c.run == row.run).values(notified=NoticeKind.ENDED.value)
        )


def _write_about(tx: Tx, row: Row[Any], tenant: str, *, ended: bool) -> None:
    """Tell a tenant what it was not told yet: a run may begin and end between two looks."""
    mine = constraints_from(row.content).concerning(tenant)
    about = and_(notices.c.run == row.run, notices.c.tenant == tenant)
    known = set(tx.execute(select(notices.c.kind).where(about)).scalars())
    work = [
        job
        for job in tx.execute(select(jobs.c.station, jobs.c.outcome, jobs.c.started).where(jobs.c.run == row.run))
        if job.station in set(mine)
    ]
    if NoticeKind.STARTED.value not in known and any(job.started is not None for job in work):
        tell(tx, row.run, tenant, NoticeKind.STARTED, mine, f"work has begun on {len(mine)} of your stations")
    if ended:
        counts = Counter(job.outcome for job in work)
        text = "work has ended: " + ", ".join(f"{counts[key]} {key}" for key in sorted(counts, key=str))
        tell(tx, row.run, tenant, NoticeKind.ENDED, mine, text)


def _news() -> Select[Any]:
    """Runs and tenants on whose own stations work began or ended, and who were not told."""
    begun = func.max(case((jobs.c.started.is_not(None), 1), else_=0))
    done = func.min(case((jobs.c.state == JobState.DONE.value, 1), else_=0))
    there = and_(run_tenants.c.run == jobs.c.run, run_tenants.c.station == jobs.c.station)
    query = select(run_constraints.c.run, run_constraints.c.content, run_tenants.c.tenant, done.label("done"))
    query = query.join(run_tenants, run_tenants.c.run == run_constraints.c.run).join(jobs, there)
    query = query.where(run_constraints.c.notified.in_([NoticeKind.PLANNED.value, NoticeKind.STARTED.value]))
    query = query.where(_sent(NoticeKind.PLANNED)).group_by(
        run_constraints.c.run, run_constraints.c.content, run_tenants.c.tenant
    )
    unsaid = [and_(known == 1, ~_sent(kind)) for known, kind in ((begun, NoticeKind.STARTED), (done, NoticeKind.ENDED))]
    return query.having(or_(*unsaid)).order_by(run_constraints.c.run, run_tenants.c.tenant)


def _sent(kind: NoticeKind) -> ColumnElement[bool]:
    """Whether a tenant was told this of a run."""
    same = and_(notices.c.run == run_constraints.c.run, notices.c.tenant == run_tenants.c.tenant)
    return exists().where(same, notices.c.kind == kind.value)


def _over() -> Select[Any]:
    """Runs that ended, of which not everybody may have been told so."""
    query = select(run_constraints.c.run, run_constraints.c.content).join(runs, runs.c.id == run_constraints.c.run)
    unfinished = run_constraints.c.notified.in_([NoticeKind.PLANNED.value, NoticeKind.STARTED.value])
    return query.where(runs.c.state.in_(_TERMINAL), unfinished).order_by(runs.c.number)


def _as_notice(row: Row[Any]) -> Notice:
    values = {name: value for name, value in row._mapping.items() if name in Notice.model_fields}
    about = {"run": row.run or "", "alarm": row.alarm or "", "stations": tuple(orjson.loads(row.stations))}
    return Notice(**values | about)
