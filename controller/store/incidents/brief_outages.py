"""Outages of core links that no two reads in a row saw, as their stations listed them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Index, Integer, Table, bindparam, func, or_, select, text, update

from controller.intent.brief_outages import NOTHING_LISTED, BriefOutage, Listed, ListRead, tenants_to_ask
from controller.intent.times import Times, union, without
from controller.store.database.columns import Instant, metadata, string
from controller.store.database.transaction import Tx
from controller.store.jobs.work_done import times_changed
from controller.store.network.ledger import carriers_during, links_during

_CURRENT = text("until IS NULL")

#: Times in which core links were down that no two reads in a row saw; never pruned, as the links that were carried.
brief_outages = Table(
    "brief_outages",
    metadata,
    Column("number", Integer, primary_key=True),
    string("station"),
    string("path"),
    string("tenant"),
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Index("ix_brief_outages_until", "until"),
    Index("ix_brief_outages_station_until", "station", "until"),
)

#: Since when, and until when, each check of a station read an AlarmList that it keeps.
kept_lists = Table(
    "kept_lists",
    metadata,
    Column("number", Integer, primary_key=True),
    string("station"),
    Column("since", Instant, nullable=False),
    # The first check that found that it keeps none; NULL while it keeps one.
    Column("until", Instant),
    Index("ix_kept_lists_until", "until"),
    Index("ix_kept_lists_current", "station", unique=True, sqlite_where=_CURRENT, postgresql_where=_CURRENT),
)

#: Outages of a station that end within a day. What it tells beyond these is not kept.
_MOST_A_DAY = 2000
_KEPT = select(kept_lists).where(kept_lists.c.until.is_(None))
_ENDS = update(kept_lists).where(kept_lists.c.number == bindparam("of")).values(until=bindparam("at"))
_COUNTED = (
    select(brief_outages.c.station, func.count().label("number"))
    .where(brief_outages.c.until > bindparam("since", type_=Instant()))
    .group_by(brief_outages.c.station)
)


def note_listed(tx: Tx, reads: Sequence[ListRead]) -> None:
    """Do what ``Incidents.note_listed`` does, as part of a transaction."""
    if not reads:
        return
    _note_kept(tx, {one.station: one for one in reads})
    outages = [outage for one in reads for outage in one.outages]
    if not outages:
        return
    changed = times_changed(tx, {one.station for one in outages}, min(one.since for one in outages))
    rows = [
        {"station": one.station, "path": one.path, "tenant": tenant, "since": since, "until": until}
        for one in outages
        for since, until in without(((one.since, one.until),), changed.get(one.station, ()))
        for tenant in one.tenants
    ]
    if few := _few_a_day(tx, rows):
        tx.execute(brief_outages.insert(), few)


def _note_kept(tx: Tx, reads: dict[str, ListRead]) -> None:
    known = {row.station: row.number for row in tx.rows(_KEPT, kept_lists.c.station, sorted(reads))}
    ends = [{"of": known[name], "at": one.at} for name, one in sorted(reads.items()) if name in known and not one.kept]
    begun = [
        {"station": name, "since": one.at} for name, one in sorted(reads.items()) if name not in known and one.kept
    ]
    if ends:
        tx.execute(_ENDS, ends)
    if begun:
        row = tx.insert(kept_lists)
        tx.execute(row.on_conflict_do_nothing(index_elements=["station"], index_where=_CURRENT), begun)


def _few_a_day(tx: Tx, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without those of stations that had too many in the day before."""
    if not rows:
        return []
    day = max(row["until"] for row in rows) - timedelta(days=1)
    counted = tx.rows(_COUNTED, brief_outages.c.station, {row["station"] for row in rows}, since=day)
    number = Counter({row.station: row.number for row in counted})
    found = []
    for row in rows:
        number[row["station"]] += 1
        if number[row["station"]] <= _MOST_A_DAY:
            found.append(row)
    return found


def listed_during(tx: Tx, begin: datetime, end: datetime) -> Listed:
    """What stations listed between two times, and what else says whose outages these were."""
    rows = tx.execute(select(brief_outages).where(brief_outages.c.until > begin, brief_outages.c.since < end))
    outages = tuple(
        sorted(
            BriefOutage(row.station, row.path, (row.tenant,), max(row.since, begin), min(row.until, end))
            for row in rows
        )
    )
    if not outages:
        return NOTHING_LISTED
    links = carriers_during(tx, tenants_to_ask(outages), begin, end)
    links |= links_during(tx, {one.station for one in outages}, begin, end)
    return Listed(outages, _kept_during(tx, links, begin, end), links)


def _kept_during(tx: Tx, stations: Iterable[str], begin: datetime, end: datetime) -> dict[str, Times]:
    lasted = or_(kept_lists.c.until.is_(None), kept_lists.c.until > begin)
    found = defaultdict[str, list[tuple[datetime, datetime]]](list)
    for row in tx.rows(select(kept_lists).where(lasted, kept_lists.c.since < end), kept_lists.c.station, stations):
        found[row.station].append((row.since, row.until or tx.now))
    return {station: union(times) for station, times in found.items()}
