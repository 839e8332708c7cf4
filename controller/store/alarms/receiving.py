"""Reports become alarms."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import Row, bindparam, func, select, update

from controller.access.disclosure import shows
from controller.intent.folding import (
    NAMED,
    RENEWED,
    TOLD_WITHIN,
    Folded,
    Received,
    Room,
    digest,
    fold,
    identity,
    in_order,
    takes_in,
)
from controller.intent.impact import OF_MANAGEMENT, Impact, Sharing, link_in
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
    known = report_rows.repeated(tx, digests)
    newest = _newest(tx, {one.fault for one in batch if one.digest not in known})
    by_id = {one.alarm.id: one for one in newest.values()}
    by_id |= _with_ids(tx, set(known.values()) - by_id.keys())
    taking = [one.alarm for one in by_id.values() if takes_in(one.alarm)]
    for alarm in reassessed(tx, taking):
        by_id[alarm.id] = replace(by_id[alarm.id], alarm=alarm)
    newest = {key: by_id[one.alarm.id] for key, one in newest.items()}
    before = {name: one.alarm for name, one in by_id.items()}
    again = {one: by_id[name] for one, name in known.items() if name in by_id}
    fold_of = fold(batch, newest, again, _new_id, _room(tx, batch, newest))
    touched = fold_of.touched
    renewed = {name: was for name, was in before.items() if name in touched and _is_renewed(was, touched[name].alarm)}
    for source, action, alarm, report in fold_of.acts:
        tx.note(source, action, alarm.id, **_detail(report, alarm, action))
    sharing = sharing_of(tx) if renewed or any(one.new for one in touched.values()) else None
    impacts = _find_impact(tx, sharing, touched, renewed)
    _write(tx, touched.values())
    note_what_shows(tx, [(was, touched[name].alarm) for name, was in before.items() if name in touched])
    begin(tx, sharing, [(one.alarm, impacts[name]) for name, one in touched.items() if one.new and name in impacts])
    if sharing is not None:
        changed = [(was, touched[name].alarm, impacts[name]) for name, was in renewed.items() if name in impacts]
        assess(tx, sharing, [Concern(was, now, impact) for was, now, impact in changed])
    report_rows.keep(tx, batch, known, fold_of.after)
    reached = [alarm for name, was in renewed.items() for alarm in (was, touched[name].alarm)]
    found = correlate(tx, list(_news(before, touched)), reached)
    worse = (one for name, one in touched.items() if name in before and before[name].severity is not one.alarm.severity)
    touch(tx, (one.alarm.incident for one in worse))
    after = (fold_of.after[one] for one in digests)
    return [_as_recorded(found.get(one.id, touched[one.id].alarm), one) for one in after]


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


def _is_renewed(was: Alarm, now: Alarm) -> bool:
    """Whether an alarm names other functions or cells than before, or came back without any cell that is known."""
    returned = was.cleared is not None and now.cleared is None and not now.cells
    return returned or any(getattr(was, name) != getattr(now, name) for name in (*NAMED, "cells"))


def _find_impact(
    tx: Tx, sharing: Sharing | None, touched: dict[str, Folded], renewed: Collection[str]
) -> dict[str, Impact]:
    """Work out whom alarms concern that are new, or name other functions than before; by id, if they may concern any.

    Without a network, and for a fault of management, it is the tenant that the alarm names.
    """
    asked = {name: one for name, one in touched.items() if one.new or name in renewed}
    found = {name: Impact((), {one.alarm.tenant: ()}) for name, one in asked.items() if one.new and one.alarm.tenant}
    if sharing is None:
        return found
    new = {name: one for name, one in asked.items() if one.alarm.probable_cause not in OF_MANAGEMENT}
    owners = _owners(tx, [one.alarm for one in new.values()])
    for name, one in new.items():
        impact = found[name] = sharing.impact_of(one.alarm, owners.get(name, ()))
        alarm = one.alarm.model_copy(update={"cells": impact.cells, "tenants": tuple(impact.tenants)})
        touched[name] = replace(one, alarm=alarm)
    return found


def _as_recorded(known: Alarm, said: Alarm) -> Alarm:
    """The state of an alarm after one of several reports, with the impact, root and incident that are on record."""
    now = {name: getattr(known, name) for name in ("cells", "tenants", "root", "incident")}
    return said if all(getattr(said, name) == value for name, value in now.items()) else said.model_copy(update=now)


def _owners(tx: Tx, new: Sequence[Alarm]) -> dict[str, tuple[str, ...]]:
    """Owners of core links, by alarm, for alarms about links that name no single tenant."""
    links = {one.id: (one.station, link) for one in new if not one.tenant and (link := link_in(one.object))}
    known = ledger_nodes(tx, set(links.values())) if links else {}
    return {alarm: known[link].owners for alarm, link in links.items() if link in known}


def _news(before: Mapping[str, Alarm], touched: Mapping[str, Folded]) -> Iterator[Alarm]:
    """Alarms that were raised, and alarms that were cleared, by these reports."""
    for name, one in touched.items():
        stood = name in before and before[name].cleared is None
        if (one.alarm.cleared is None) is not stood:
            yield one.alarm


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


def _detail(report: AlarmReport, alarm: Alarm, action: str) -> dict[str, object]:
    if action == RENEWED:
        return {name: ", ".join(getattr(alarm, name)) for name in NAMED}
    if alarm.raised == report.at and action in ("alarm.raised", "alarm.cleared"):
        return {"object": report.object, "cause": report.probable_cause}
    return {"severity": report.severity.value, "at": report.at.isoformat()}


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
