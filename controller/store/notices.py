"""What tenants are told of runs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
from sqlalchemy import Row, exists, func, or_, select, update

from controller.models.approval import Notice, NoticeKind
from controller.models.run import RunState
from controller.ports.store import Page
from controller.store.approval_tables import notices, run_terms
from controller.store.tables import jobs, runs
from controller.store.terms import stations_of, tell, terms_from
from controller.store.transaction import Transactions, Tx, reads, writes

_TERMINAL = tuple(state.value for state in RunState if state.terminal)


class NoticeRecords(Transactions):
    """See ``controller.ports.approvals.ApprovalRecords``."""

    @reads
    def notices(self, tx: Tx, page: Page, tenant: str | None = None) -> tuple[int, list[Notice]]:
        """See ``ApprovalRecords.notices``."""
        chosen = [] if tenant is None else [notices.c.tenant == tenant]
        total = tx.execute(select(func.count()).select_from(notices).where(*chosen)).scalar_one()
        newest = select(notices).where(*chosen).order_by(notices.c.number.desc())
        return total, [_as_notice(row) for row in tx.execute(newest.limit(page.limit).offset(page.offset))]

    @writes
    def write_notices(self, tx: Tx) -> None:
        """See ``ApprovalRecords.write_notices``."""
        begun = exists().where(jobs.c.run == run_terms.c.run, jobs.c.started.is_not(None))
        untold = select(run_terms, runs.c.state, begun.label("begun")).join(runs, runs.c.id == run_terms.c.run)
        ended = runs.c.state.in_(_TERMINAL) & run_terms.c.told.in_([NoticeKind.PLANNED, NoticeKind.STARTED])
        for row in tx.execute(untold.where(or_(ended, (run_terms.c.told == NoticeKind.PLANNED) & begun))).all():
            self._write(tx, row)

    def _write(self, tx: Tx, row: Row[Any]) -> None:
        """Tell the tenants of a run that began or ended, unless another process does."""
        ended = row.state in _TERMINAL
        kind = NoticeKind.ENDED if ended else NoticeKind.STARTED
        # A run may begin and end between two looks.
        unsaid = row.begun and row.told == NoticeKind.PLANNED
        same = (run_terms.c.run == row.run) & (run_terms.c.told == row.told)
        if tx.execute(update(run_terms).where(same).values(told=kind.value)).rowcount != 1:
            return
        terms = terms_from(row.content)
        outcomes = {}
        if ended:
            query = select(jobs.c.station, jobs.c.outcome).where(jobs.c.run == row.run)
            outcomes = {job.station: job.outcome for job in tx.execute(query)}
        for tenant in terms.tenants:
            mine = stations_of(terms, tenant)
            if unsaid:
                begun = f"work has begun on {len(mine)} of your stations"
                tell(tx, row.run, tenant, NoticeKind.STARTED, mine, begun)
            if ended:
                counts = Counter(outcomes.get(station) for station in mine)
                text = "work has ended: " + ", ".join(f"{counts[key]} {key}" for key in sorted(counts, key=str))
                tell(tx, row.run, tenant, NoticeKind.ENDED, mine, text)

    @reads
    def unsent_notices(self, tx: Tx, limit: int) -> list[Notice]:
        """See ``ApprovalRecords.unsent_notices``."""
        oldest = select(notices).where(notices.c.sent.is_(None)).order_by(notices.c.number).limit(limit)
        return [_as_notice(row) for row in tx.execute(oldest)]

    @writes
    def notice_sent(self, tx: Tx, notice_id: str) -> None:
        """See ``ApprovalRecords.notice_sent``."""
        unsent = (notices.c.id == notice_id) & notices.c.sent.is_(None)
        if tx.execute(update(notices).where(unsent).values(sent=tx.now)).rowcount:
            tx.note("engine", "notice.sent", notice_id)


def _as_notice(row: Row[Any]) -> Notice:
    values = {name: value for name, value in row._mapping.items() if name in Notice.model_fields}
    return Notice(**values | {"stations": tuple(orjson.loads(row.stations))})
