"""Notices of incidents to each side, on record in order of time, one for each incident that changed."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row, bindparam, func, select, update

from controller.intent.impact import Sharing
from controller.intent.incident_news import HOLD_OFF, TELLING, SideNews, news, not_before, of_side
from controller.models.alarm import Alarm, AlarmState, PerceivedSeverity
from controller.models.approval import Notice, NoticeKind
from controller.models.incident import Incident
from controller.models.rule import ProposalState
from controller.models.scalars import HOST
from controller.store.alarms.alarm_rows import STANDING, alarm_tenants, alarms, as_alarm
from controller.store.alarms.concerns import GUARD, sharing_on
from controller.store.alarms.incident_rows import incident_alarms, incidents
from controller.store.alarms.rules import proposals
from controller.store.alarms.works import work_on
from controller.store.database.columns import Instant
from controller.store.database.outbox import gravity
from controller.store.database.queries import as_noun
from controller.store.database.transaction import Tx
from controller.store.network.versions import current_network
from controller.store.runs.run_constraints import as_notice, notices

#: Incidents of one round.
_AT_ONCE = 200
_IS_DUE = incidents.c.notify_at <= bindparam("now", type_=Instant())
_ANY_DUE = select(incidents.c.number).where(_IS_DUE).limit(1)
#: Incidents of a round: the gravest first, by what stands of them; then those of which nothing does.
_WORST = select(func.min(gravity(alarms.c.severity))).where(alarms.c.incident == incidents.c.id, STANDING)
_HASTE = func.coalesce(_WORST.correlate(incidents).scalar_subquery(), len(PerceivedSeverity))
DUE = select(incidents).where(_IS_DUE).order_by(_HASTE, incidents.c.notify_at, incidents.c.number).limit(_AT_ONCE)
#: When something of incidents changed for tenants.
_CHANGES = (
    select(alarms.c.incident, alarm_tenants.c.tenant, alarm_tenants.c.noted)
    .join(alarms, alarms.c.id == alarm_tenants.c.alarm)
    .distinct()
)
_STANDING = select(alarms).where(STANDING).order_by(alarms.c.number)
_OVER = select(alarms).where(alarms.c.cleared.is_not(None)).order_by(alarms.c.number)
#: Alarms that stand and were part of an incident, by itself or before it was merged, and are part of another one now.
_ELSEWHERE = tuple(
    select(alarms, was.label("was"), incident_alarms.c.until.label("moved"))
    .join(incident_alarms, incident_alarms.c.alarm == alarms.c.id)
    .where(STANDING, was != alarms.c.incident)
    for was in (incident_alarms.c.incident, incident_alarms.c.merged_from)
)
_TRIED = select(proposals.c.alarm).where(proposals.c.state == ProposalState.FAILED.value).distinct()
_WHEN = select(incidents.c.id, incidents.c.notify_at)
_NOTICES = select(notices).order_by(notices.c.number)
_SCHEDULE = update(incidents).where(incidents.c.id == bindparam("of")).values(notify_at=bindparam("again"))


def due(tx: Tx) -> bool:
    """Whether somebody is to be notified of an incident now."""
    return tx.execute(_ANY_DUE, {"now": tx.now}).first() is not None


def write(tx: Tx) -> None:
    """Put notices about changed incidents on record, for each side."""
    # Alarms come and go before or after this transaction, so that no change is missed.
    tx.guard(GUARD)
    rows = tx.execute(DUE.with_for_update(), {"now": tx.now}).all()
    current = current_network(tx) if rows else None
    if current is None:
        if rows:
            tx.execute(_SCHEDULE, [{"of": row.id, "again": None} for row in rows])
        return
    digest, network = current
    sharing = sharing_on(digest, network, network.day(tx.now))
    round_ = _Round(tx, rows, sharing)
    again, told = [], []
    # What goes on in another incident comes last: first that one is told of.
    for row in sorted(rows, key=lambda row: bool(round_.elsewhere[row.id])):
        incident, standing, latest = as_noun(Incident, row), round_.standing[row.id], round_.latest[row.id]
        sides = {tenant for alarm in standing for tenant in alarm.tenants} | latest.keys()
        sides |= {HOST} if network.header.contacts else set()
        times = []
        for side in sorted(sides):
            last, elsewhere = latest.get(side), round_.gone_on(row.id, side)
            found = news(incident, standing, sharing, side, last, elsewhere, round_.over[row.id], round_.tried)
            if found is None:
                continue
            later = _not_before(tx, of_side(standing, side, sharing), found, last) or round_.after_others(
                row.id, side, found
            )
            held = round_.held_back(row.id, side)
            if later is not None or held > tx.now:
                times.append(max(later or held, held))
                continue
            told.append(_notice(tx, incident.id, side, found))
            round_.telling[row.id, side] = found.kind in TELLING
            tx.note("engine", f"notice.{found.kind.value}", incident.id, tenant=side, cells=len(found.cells))
        again.append({"of": row.id, "again": min(times, default=None)})
    tx.execute(_SCHEDULE, again)
    if told:  # In one statement: no alarm is taken in before this transaction ends.
        tx.execute(notices.insert(), told)


class _Round:
    """What is on record of incidents whose sides are to be notified.

    Attributes:
        standing: Alarms that stand, by incident.
        elsewhere: Alarms that stand and were part of an incident, and are part of another one now; and when they left
            that one by themselves.
        over: Alarms that were part of an incident when they ended, of incidents with some elsewhere.
        tried: Those of alarms that stand of which a repair ended without curing them, between two rungs of a rule.
        latest: The last notice to each side, by incident.
        telling: Whether a side expects more news of an incident: of these, and of those that they go on in.
    """

    def __init__(self, tx: Tx, rows: Sequence[Row[Any]], sharing: Sharing) -> None:
        self._now = tx.now
        self._sharing = sharing
        ids = [row.id for row in rows]
        self.standing: dict[str, list[Alarm]] = defaultdict(list)
        for row in tx.rows(_STANDING, alarms.c.incident, ids):
            self.standing[row.incident].append(as_alarm(row))
        raised = [one.id for found in self.standing.values() for one in found if one.state is AlarmState.RAISED]
        self.tried = {row.alarm for row in tx.rows(_TRIED, proposals.c.alarm, raised)} if raised else set()
        self.elsewhere: dict[str, list[tuple[Alarm, datetime | None]]] = defaultdict(list)
        for query, was in zip(_ELSEWHERE, (incident_alarms.c.incident, incident_alarms.c.merged_from), strict=True):
            for row in tx.rows(query, was, ids):
                self.elsewhere[row.was].append((as_alarm(row), row.moved))
        self.over: dict[str, list[Alarm]] = defaultdict(list)
        for row in tx.rows(_OVER, alarms.c.incident, [one for one in ids if self.elsewhere[one]]):
            self.over[row.incident].append(as_alarm(row))
        others = {alarm.incident for found in self.elsewhere.values() for alarm, _ in found}
        self._when = {row.id: row.notify_at for row in tx.rows(_WHEN, incidents.c.id, others)} if others else {}
        self.latest: dict[str, dict[str, Notice]] = defaultdict(dict)
        self._ended: dict[tuple[str, str], datetime] = {}
        for row in tx.rows(_NOTICES, notices.c.incident, {*ids, *others}):
            said = self.latest[row.incident][row.tenant] = as_notice(row)
            if said.kind not in TELLING:
                self._ended[row.incident, row.tenant] = said.at
        self._changes: dict[tuple[str, str], list[datetime]] = defaultdict(list)
        for row in tx.rows(_CHANGES, alarms.c.incident, ids):
            self._changes[row.incident, row.tenant].append(row.noted)
        self.telling = {
            (incident, side): last.kind in TELLING
            for incident, sides in self.latest.items()
            for side, last in sides.items()
        }

    def gone_on(self, incident: str, side: str) -> list[Alarm]:
        """Alarms of an incident that go on elsewhere, except those that left before a side was last told of its end.

        If the same incident opens again, these had not come with it.
        """
        ended = self._ended.get((incident, side))
        return [alarm for alarm, moved in self.elsewhere[incident] if ended is None or moved is None or moved > ended]

    def after_others(self, incident: str, side: str, found: SideNews) -> datetime | None:
        """When a side is told that an incident goes on in others: after it was told of these; None for now."""
        if found.kind is not NoticeKind.INCIDENT_CONTINUED:
            return None
        others = {alarm.incident for alarm in of_side(self.gone_on(incident, side), side, self._sharing)}
        untold = [one for one in others if not self.telling.get((one, side))]
        return max((self._when.get(one) or self._now + HOLD_OFF for one in untold), default=None)

    def held_back(self, incident: str, side: str) -> datetime:
        """Until when news is held back from a tenant: by its own changes, so that no notice tells when others' were."""
        last = self.latest[incident].get(side)
        changes = [at for at in self._changes[incident, side] if last is None or at > last.at]
        return min(changes) + HOLD_OFF if changes else self._now


def _not_before(tx: Tx, mine: Sequence[Alarm], found: SideNews, last: Notice | None) -> datetime | None:
    """The earliest time of a notice, None for now. It waits while an incident keeps growing, or for announced work."""
    after = not_before(found, last)
    if after is not None and tx.now < after:
        return after
    if found.kind is NoticeKind.INCIDENT_RAISED:
        works = [work_on(tx, alarm) for alarm in mine]
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
        "stations": orjson.dumps(found.stations).decode(),
        "cells": orjson.dumps(found.cells).decode(),
        "since": found.since,
        "what": found.what,
        "severity": found.severity.value,
        "doing": found.doing,
        "text": found.text,
        "tenants": orjson.dumps(found.tenants).decode(),
    }
