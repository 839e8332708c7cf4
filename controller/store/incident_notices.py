"""Notices of incidents to each side, on record in order of time, one for each incident that changed."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import bindparam, select, update

from controller.intent.incident_news import PAUSE, SideNews, news
from controller.models.alarm import Alarm
from controller.models.approval import Notice, NoticeKind
from controller.models.incident import Incident
from controller.models.scalars import HOST
from controller.store.alarms import GUARD, STANDING, alarms, as_alarm, sharing_on
from controller.store.columns import Instant
from controller.store.incident_rows import incidents
from controller.store.networks import current_network
from controller.store.queries import as_noun
from controller.store.run_constraints import as_notice, notices
from controller.store.transaction import Tx
from controller.store.works import work_on

#: Incidents of one round.
_AT_ONCE = 200
_DUE = (
    select(incidents)
    .where(incidents.c.notify_at <= bindparam("now", type_=Instant()))
    .order_by(incidents.c.notify_at, incidents.c.number)
    .limit(_AT_ONCE)
)
_STANDING = select(alarms).where(STANDING).order_by(alarms.c.number)
_NOTICES = select(notices).order_by(notices.c.number)
_SCHEDULE = update(incidents).where(incidents.c.id == bindparam("of")).values(notify_at=bindparam("again"))


def due(tx: Tx) -> bool:
    """Whether somebody is to be notified of an incident now."""
    return tx.execute(_DUE, {"now": tx.now}).first() is not None


def write(tx: Tx) -> None:
    """Put notices about changed incidents on record, for each side."""
    # Alarms come and go before or after this transaction, so that no change is missed.
    tx.guard(GUARD)
    rows = tx.execute(_DUE.with_for_update(), {"now": tx.now}).all()
    current = current_network(tx) if rows else None
    if current is None:
        if rows:
            tx.execute(_SCHEDULE, [{"of": row.id, "again": None} for row in rows])
        return
    digest, network = current
    sharing = sharing_on(digest, network, network.day(tx.now))
    ids = [row.id for row in rows]
    standing: dict[str, list[Alarm]] = defaultdict(list)
    for row in tx.rows(_STANDING, alarms.c.incident, ids):
        standing[row.incident].append(as_alarm(row))
    last: dict[str, dict[str, Notice]] = defaultdict(dict)
    for row in tx.rows(_NOTICES, notices.c.incident, ids):
        last[row.incident][row.tenant] = as_notice(row)
    again, told = [], []
    for row in rows:
        incident, latest = as_noun(Incident, row), last[row.id]
        sides = {tenant for alarm in standing[row.id] for tenant in alarm.tenants} | latest.keys()
        sides |= {HOST} if network.header.contacts else set()
        times = []
        for side in sorted(sides):
            found = news(incident, standing[row.id], sharing.tenants_at, side, latest.get(side))
            if found is None:
                continue
            if (later := _not_before(tx, standing[row.id], side, found, latest.get(side))) is not None:
                times.append(later)
                continue
            told.append(_notice(tx, incident.id, side, found))
            tx.note("engine", f"notice.{found.kind.value}", incident.id, tenant=side, cells=len(found.cells))
        again.append({"of": row.id, "again": min(times, default=None)})
    tx.execute(_SCHEDULE, again)
    if told:  # In one statement: no alarm is taken in before this transaction ends.
        tx.execute(notices.insert(), told)


def _not_before(tx: Tx, standing: Sequence[Alarm], side: str, found: SideNews, last: Notice | None) -> datetime | None:
    """The earliest time of a notice, None for now. It waits while an incident keeps growing, or for announced work."""
    if found.kind is NoticeKind.INCIDENT_UPDATED and last is not None and tx.now < last.at + PAUSE:
        return last.at + PAUSE
    if found.kind is NoticeKind.INCIDENT_RAISED:
        works = [work_on(tx, alarm) for alarm in standing if side in (HOST, *alarm.tenants)]
        if all(works):
            return min(work.over for work in works if work is not None)
    return None


def _notice(tx: Tx, incident: str, side: str, found: SideNews) -> dict[str, Any]:
    return {
        "id": f"n-{secrets.token_hex(5)}",
        "incident": incident,
        "tenant": side,
        "kind": found.kind.value,
        "at": tx.now,
        "stations": orjson.dumps(sorted({cell.partition("/")[0] for cell in found.cells})).decode(),
        "cells": orjson.dumps(found.cells).decode(),
        "since": found.since,
        "what": found.what,
        "severity": found.severity.value,
        "doing": found.doing,
        "text": found.text,
    }
