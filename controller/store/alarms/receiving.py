"""Reports become alarms."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import Row, bindparam, func, select, update

from controller.access.disclosure import shows
from controller.intent.batches import RecordedAlarms, links_of, take_in
from controller.intent.folding import (
    TOLD_WITHIN,
    Folded,
    Received,
    Room,
    digest,
    identity,
    in_order,
    takes_in,
)
from controller.intent.roots import may_be_root
from controller.models.alarm import Alarm, AlarmReport, AlarmSource
from controller.store.alarms import reports as report_rows
from controller.store.alarms.alarm_rows import LISTS, alarm_tenants, alarms, as_alarm
from controller.store.alarms.concerns import CONCERNS, GUARD, Concern, assess, begin
from controller.store.alarms.correlation import correlate, reassessed, sharing_of
from controller.store.alarms.incident_rows import touch
from controller.store.database.columns import Instant
from controller.store.database.transaction import Tx
from controller.store.network.ledger import ledger_nodes

#: The number of alarms that went on record, by station and source.
_MADE = (
    select(alarms.c.station, alarms.c.source, func.count().label("number"))
    .where(alarms.c.recorded >= bindparam("since", type_=Instant()))
    .group_by(alarms.c.station, alarms.c.source)
)
#: Columns that a report may change.
_CHANGED = (
    *("severity", "text", "state", "seen", "changed", "cleared", "ended", "count", "shelved_until", "cleared_by"),
    *("cells", "functions", "degraded", "source", "unread"),
)
#: Reports that are folded at once: SQLite takes 32,766 parameters in a statement.
_AT_ONCE = 10_000
_UPDATE = (
    update(alarms)
    .where(alarms.c.id == bindparam("of"))
    .values({name: bindparam(f"new_{name}") for name in (*_CHANGED, "reported")})
)
_SHOWS = (
    update(alarm_tenants)
    .where(alarm_tenants.c.alarm == bindparam("of"), alarm_tenants.c.tenant == bindparam("to"), CONCERNS)
    .values(changed=bindparam("new_changed"), noted=bindparam("new_noted"))
)


def take_reports(tx: Tx, reports: Sequence[AlarmReport]) -> list[Alarm]:
    """Do what ``Alarms.report_all`` does, as part of a transaction."""
    taken: list[Alarm] = []
    for start in range(0, len(reports), _AT_ONCE):
        taken += _take(tx, reports[start : start + _AT_ONCE])
    return taken


def _take(tx: Tx, reports: Sequence[AlarmReport]) -> list[Alarm]:
    tx.guard(GUARD)
    digests = [digest(report) for report in reports]
    batch = in_order(digests, reports)
    repeated = report_rows.repeated(tx, digests)
    known = _load_for(tx, batch, repeated)
    taken = take_in(batch, known, _new_id)
    for act in taken.acts:
        tx.note(act.source, act.action, act.alarm, **act.detail)
    _write(tx, taken.alarms.values())
    note_what_shows(tx, taken.changes)
    begin(tx, known.sharing, taken.begun)
    if known.sharing is not None:
        assess(tx, known.sharing, [Concern(*one) for one in taken.renewed])
    report_rows.keep(tx, batch, repeated, taken.after)
    placed = correlate(tx, taken.news, taken.reached)
    touch(tx, taken.regraded)
    return taken.answers(digests, placed)


def _load_for(tx: Tx, batch: Sequence[Received], repeated: Mapping[str, str]) -> RecordedAlarms:
    """Load what a batch needs; alarms that take in reports, once it is worked out whom they concern now."""
    newest = _newest(tx, {one.fault for one in batch if one.digest not in repeated})
    by_id = {one.alarm.id: one for one in newest.values()}
    by_id |= _with_ids(tx, set(repeated.values()) - by_id.keys())
    for alarm in reassessed(tx, [one.alarm for one in by_id.values() if takes_in(one.alarm)]):
        by_id[alarm.id] = replace(by_id[alarm.id], alarm=alarm)
    room, sharing = _room(tx, batch, newest), sharing_of(tx)
    links = links_of(batch) if sharing is not None else ()
    owners = {link: entry.owners for link, entry in ledger_nodes(tx, links).items()} if links else {}
    names = {fault: one.alarm.id for fault, one in newest.items()}
    return RecordedAlarms(by_id, names, repeated, room, sharing, owners)


def _room(tx: Tx, batch: Sequence[Received], newest: Mapping[str, Folded]) -> Room:
    """Room for alarms of faults that return, where any may."""
    number = Counter(one.fault for one in batch)
    over = {name for name, one in newest.items() if not one.stands}
    asked = {one.report.station for one in batch if one.fault in over or number[one.fault] > 1} - {""}
    since = tx.now - TOLD_WITHIN
    rows = tx.rows(_MADE, alarms.c.station, asked, since=since) if asked else ()
    return Room(since, Counter({(row.station, AlarmSource(row.source)): row.number for row in rows}))


def _new_id() -> str:
    return f"a-{secrets.token_hex(5)}"


def note_what_shows(tx: Tx, changes: Iterable[tuple[Alarm, Alarm]]) -> None:
    """Note of alarms, as they were and as they are, which tenants are told otherwise of them from now on."""
    rows = [
        {"of": now.id, "to": tenant, "new_changed": now.changed, "new_noted": tx.now}
        for was, now in changes
        for tenant in now.tenants
        if tenant in was.tenants and shows(was, now)
    ]
    if rows:
        tx.execute(_SHOWS, rows)


def _as_json(names: tuple[str, ...]) -> str:
    return orjson.dumps(names).decode()


def _newest(tx: Tx, keys: set[str]) -> dict[str, Folded]:
    """The newest alarm of each identity, with its row locked."""
    if not keys:
        return {}
    newest = select(func.max(alarms.c.number)).where(alarms.c.identity.in_(sorted(keys))).group_by(alarms.c.identity)
    rows = tx.execute(select(alarms).where(alarms.c.number.in_(newest)).order_by(alarms.c.number).with_for_update())
    return {row.identity: _as_folded(row) for row in rows}


def _with_ids(tx: Tx, ids: set[str]) -> dict[str, Folded]:
    """Alarms by id, with their rows locked."""
    rows = tx.execute(select(alarms).where(alarms.c.id.in_(sorted(ids))).with_for_update()) if ids else ()
    return {row.id: _as_folded(row) for row in rows}


def _as_folded(row: Row[Any]) -> Folded:
    return Folded(as_alarm(row), row.reported, recorded=row.recorded)


def _write(tx: Tx, touched: Collection[Folded]) -> None:
    new, old = [], []
    for one in touched:
        if one.new:
            lists = {name: _as_json(getattr(one.alarm, name)) for name in LISTS}
            row = one.alarm.model_dump(mode="python") | {"identity": identity(one.alarm), "reported": one.reported}
            row |= {"recorded": tx.now, "spreads": may_be_root(one.alarm)}
            new.append({name: getattr(value, "value", value) for name, value in (row | lists).items()})
        else:
            values = {name: getattr(one.alarm, name) for name in _CHANGED} | {"reported": one.reported}
            values |= {name: _as_json(values[name]) for name in LISTS if name in values}
            change = {f"new_{name}": getattr(value, "value", value) for name, value in values.items()}
            old.append({"of": one.alarm.id, **change})
    # Old alarms first: at most one alarm of an identity stands.
    if old:
        tx.execute(_UPDATE, old)
    if new:
        tx.execute(alarms.insert(), new)
