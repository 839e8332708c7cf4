"""Reports of alarms as they came: append-only, and the same body once, with how often it came.

Alarms are folded from them (``controller.intent.folding``), so the effect of a report can be shown, and repeated with
other rules. Their age and number are limited.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Boolean, Column, Index, Integer, Row, String, Table, bindparam, delete, func, select, update

from controller.intent.folding import Received
from controller.models.alarm import (
    LONGEST_BODY,
    Alarm,
    AlarmReport,
    AlarmSource,
    RecordedReport,
)
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.repository import M_co, Repository, reads, writes
from controller.store.database.transaction import Tx

reports = Table(
    "reports",
    metadata,
    # The order in which reports were taken in.
    Column("number", Integer, primary_key=True),
    Column("digest", String, nullable=False, unique=True),
    string("alarm"),
    string("source"),
    string("station"),
    Column("source_time", Instant),
    Column("received", Instant, nullable=False),
    Column("last", Instant, nullable=False),
    Column("count", Integer, nullable=False),
    Column("skewed", Boolean, nullable=False),
    # The normalised report as JSON, and the body that its source sent, shortened.
    long_text("report"),
    long_text("body"),
    Index("ix_reports_alarm", "alarm"),
    Index("ix_reports_last", "last"),
)

#: Rows that are deleted at once.
_AT_ONCE = 10_000
_OF_SOURCE = select(reports).where(reports.c.source == bindparam("source"))
#: A report as JSON.
_JSON = AlarmReport.__pydantic_serializer__.to_json
_AGAIN = (
    update(reports)
    .where(reports.c.digest == bindparam("of"))
    .values(count=reports.c.count + bindparam("more"), last=bindparam("now"))
)


class Reports(Repository[M_co]):
    """Reports of alarms as they came; ``Alarms.report_all`` puts them here."""

    @reads
    def after(
        self, tx: Tx, number: int, limit: int, since: datetime | None = None, until: datetime | None = None
    ) -> list[RecordedReport]:
        """Reports after a number, in the order in which they were taken in, that were received between two times."""
        chosen = [reports.c.number > number]
        if since is not None:
            chosen.append(reports.c.received >= since)
        if until is not None:
            chosen.append(reports.c.received < until)
        found = select(reports).where(*chosen).order_by(reports.c.number).limit(limit)
        return [_as_report(row) for row in tx.execute(found)]

    @reads
    def of_alarm(self, tx: Tx, alarm_id: str, limit: int) -> list[RecordedReport]:
        """The newest reports of an alarm, oldest first."""
        newest = select(reports).where(reports.c.alarm == alarm_id).order_by(reports.c.number.desc()).limit(limit)
        return [_as_report(row) for row in tx.execute(newest)][::-1]

    @reads
    def latest(self, tx: Tx, alarms: Iterable[str], source: AlarmSource) -> dict[str, RecordedReport]:
        """The newest report of a source for each of these alarms."""
        rows = tx.rows(_OF_SOURCE, reports.c.alarm, alarms, source=source.value)
        return {row.alarm: _as_report(row) for row in sorted(rows, key=lambda row: row.number)}

    @writes
    def prune(self, tx: Tx, age: timedelta, most: int) -> int:
        """Delete some reports that were not received again for ``age``, and the oldest ones above the number ``most``.

        Returns:
            The number of deleted reports. Call it again until it is 0.
        """
        newest = tx.execute(select(func.max(reports.c.number))).scalar_one()
        if newest is None:
            return 0
        old = reports.c.last < tx.now - age
        due = select(reports.c.number).where(old | (reports.c.number <= newest - most)).limit(_AT_ONCE)
        return tx.execute(delete(reports).where(reports.c.number.in_(due))).rowcount


def repeated(tx: Tx, digests: Collection[str]) -> dict[str, str]:
    """Alarms of reports that are on record already, by the reports' digests."""
    if not digests:
        return {}
    rows = tx.execute(select(reports.c.digest, reports.c.alarm).where(reports.c.digest.in_(sorted(set(digests)))))
    return {row.digest: row.alarm for row in rows}


def keep(tx: Tx, batch: Sequence[Received], known: Mapping[str, str], after: Mapping[str, Alarm]) -> None:
    """Put a batch on record, in its order; those that are there already are counted."""
    new, again, now = [], [], tx.now
    for one in batch:
        if one.digest in known:
            again.append({"of": one.digest, "more": one.count, "now": now})
            continue
        report = one.report
        new.append(
            {
                "digest": one.digest,
                "alarm": after[one.digest].id,
                "source": report.source.value,
                "station": report.station,
                "source_time": report.source_time,
                "received": now,
                "last": now,
                "count": one.count,
                "skewed": report.skewed,
                "report": _JSON(report, exclude_defaults=True).decode(),
                "body": report.body[:LONGEST_BODY],
            }
        )
    if again:
        tx.execute(_AGAIN, again)
    if new:
        tx.execute(reports.insert(), new)


def _as_report(row: Row[tuple[object, ...]]) -> RecordedReport:
    report = AlarmReport.model_validate_json(row.report).model_copy(
        update={"source_time": row.source_time, "body": row.body}
    )
    values = {name: value for name, value in row._mapping.items() if name in RecordedReport.model_fields}
    return RecordedReport(**values | {"report": report})
