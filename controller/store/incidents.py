"""Incidents: what people see of them, and what they do about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Row, and_, func, or_, select, update

from controller.intent.incidents import SETTLES, split_off
from controller.models.alarm import Alarm, PerceivedSeverity
from controller.models.errors import NotFoundError
from controller.models.incident import Incident, IncidentFilter
from controller.models.network import Network
from controller.models.run import AuditRow
from controller.models.words import IncidentState
from controller.ports.store import Incidents, Page, Sync
from controller.store import audit_chain
from controller.store.alarms import GUARD, STANDING, alarm_tenants, alarms, as_alarm, put_into
from controller.store.audit_chain import audit
from controller.store.incident_rows import incident_alarms, incidents, known_of, write
from controller.store.networks import current_digest, load_network
from controller.store.queries import as_noun
from controller.store.repository import SqlRepository, reads, writes
from controller.store.transaction import Tx

#: Alarms of which a timeline has all that was done.
_TOLD = 50
_BY_ID = select(incidents)
_OPEN = and_(incidents.c.closed.is_(None), incidents.c.merged_into == "")
_STATES = {
    IncidentState.OPEN: _OPEN,
    IncidentState.CLOSED: and_(incidents.c.closed.is_not(None), incidents.c.merged_into == ""),
    IncidentState.MERGED: incidents.c.merged_into != "",
}
_TOLD_OF = (alarms.c.severity, alarms.c.cells, alarms.c.tenants)
#: What alarms tell of incidents: those that stand, of one that is open; all that were part of it, where it is over.
_NOW = select(alarms.c.incident, *_TOLD_OF).where(STANDING)
_EVER = select(incident_alarms.c.incident, *_TOLD_OF).join(alarms, alarms.c.id == incident_alarms.c.alarm)
_PARTS = select(alarms).join(incident_alarms, incident_alarms.c.alarm == alarms.c.id).order_by(incident_alarms.c.number)
_SYMPTOMS = select(alarms).where(STANDING)
_UNSETTLED = (
    select(alarms)
    .join(incidents, incidents.c.id == alarms.c.incident)
    .where(alarms.c.released.is_not(None), STANDING, alarms.c.root == "", incidents.c.root != alarms.c.id)
)
_SEVERITIES = list(PerceivedSeverity)


class SqlIncidents(SqlRepository, Incidents[Sync]):
    """Faults with what follows from them."""

    @reads
    def get(self, tx: Tx, incident_id: str) -> Incident:
        return _filled(tx, [_load(tx, incident_id)])[0]

    @reads
    def page(self, tx: Tx, page: Page, like: IncidentFilter | None = None) -> tuple[int, list[Incident]]:
        chosen = conditions(like or IncidentFilter())
        total = tx.execute(select(func.count()).select_from(incidents).where(*chosen)).scalar_one()
        newest = _BY_ID.where(*chosen).order_by(incidents.c.number.desc()).limit(page.limit).offset(page.offset)
        return total, _filled(tx, tx.execute(newest).all())

    @reads
    def open(self, tx: Tx) -> list[Incident]:
        return _filled(tx, tx.execute(_BY_ID.where(_OPEN).order_by(incidents.c.number)).all())

    @reads
    def alarms(self, tx: Tx, incident_id: str) -> list[Alarm]:
        _load(tx, incident_id)
        return _parts(tx, incident_id)

    @reads
    def timeline(self, tx: Tx, incident_id: str) -> list[AuditRow]:
        _load(tx, incident_id)
        merged = select(incidents.c.id).where(incidents.c.merged_into == incident_id)
        parts = _parts(tx, incident_id)
        runs = {alarm.run for alarm in parts} - {""}
        about = {incident_id, *tx.execute(merged).scalars(), *(alarm.id for alarm in parts[:_TOLD]), *runs}
        rows = tx.rows(select(audit), audit.c.object, about)
        return sorted((audit_chain.as_noun(row) for row in rows), key=lambda row: row.id)

    @writes
    def acknowledge(self, tx: Tx, incident_id: str, by: str) -> Incident:
        row = _load(tx, incident_id)
        if row.acknowledged is None:
            _set(tx, incident_id, acknowledged=tx.now, acknowledged_by=by)
            tx.note(by, "incident.acknowledged", incident_id)
        return _filled(tx, [_load(tx, incident_id)])[0]

    @writes
    def take(self, tx: Tx, incident_id: str, by: str) -> Incident:
        before = _load(tx, incident_id).owner
        if before != by:
            _set(tx, incident_id, owner=by, taken=tx.now)
            tx.note(by, "incident.taken", incident_id, before=before)
        return _filled(tx, [_load(tx, incident_id)])[0]

    @writes
    def hand_back(self, tx: Tx, incident_id: str, by: str) -> Incident:
        before = _load(tx, incident_id).owner
        if before:
            _set(tx, incident_id, owner="", taken=None)
            tx.note(by, "incident.handed-back", incident_id, before=before)
        return _filled(tx, [_load(tx, incident_id)])[0]

    @writes
    def comment(self, tx: Tx, incident_id: str, text: str, by: str) -> None:
        _load(tx, incident_id)
        tx.note(by, "incident.commented", incident_id, text=text)

    @reads
    def unsettled(self, tx: Tx) -> list[str]:
        return [alarm.id for alarm in _unsettled(tx)]

    @writes
    def settle(self, tx: Tx) -> None:
        tx.guard(GUARD)
        due = _unsettled(tx)
        if not due:
            return
        symptoms = [as_alarm(row) for row in tx.rows(_SYMPTOMS, alarms.c.root, [alarm.id for alarm in due])]
        known = known_of(tx, [*due, *symptoms], {alarm.id: alarm for alarm in due})
        put_into(tx, write(tx, split_off(due, symptoms, known, tx.now), known))


def conditions(like: IncidentFilter) -> list[ColumnElement[bool]]:
    """What incidents of a filter have in common."""
    found = [or_(*(_STATES[state] for state in like.states)) if like.states else incidents.c.merged_into == ""]
    if like.causes:
        found.append(incidents.c.probable_cause.in_(like.causes))
    if like.stations:
        found.append(incidents.c.id.in_(select(alarms.c.incident).where(alarms.c.station.in_(like.stations))))
    if like.tenants:
        of = select(alarms.c.incident).join(alarm_tenants, alarm_tenants.c.alarm == alarms.c.id)
        found.append(incidents.c.id.in_(of.where(alarm_tenants.c.tenant.in_(like.tenants))))
    if like.owner:
        found.append(incidents.c.owner == like.owner)
    return found if like.since is None else [*found, incidents.c.changed >= like.since]


def _load(tx: Tx, incident_id: str) -> Row[Any]:
    row = tx.execute(_BY_ID.where(incidents.c.id == incident_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no incident {incident_id}")
    return row


def _set(tx: Tx, incident_id: str, **values: object) -> None:
    tx.execute(update(incidents).where(incidents.c.id == incident_id).values(values))


def _parts(tx: Tx, incident_id: str) -> list[Alarm]:
    rows = tx.execute(_PARTS.where(incident_alarms.c.incident == incident_id))
    return list({row.id: as_alarm(row) for row in rows}.values())


def _unsettled(tx: Tx) -> list[Alarm]:
    return [as_alarm(row) for row in tx.execute(_UNSETTLED.where(alarms.c.released <= tx.now - SETTLES))]


def _filled(tx: Tx, rows: Sequence[Row[Any]]) -> list[Incident]:
    """Incidents with what their alarms tell."""
    found = [as_noun(Incident, row) for row in rows]
    live = [one.id for one in found if one.state is IncidentState.OPEN]
    over = [one.id for one in found if one.state is IncidentState.CLOSED]
    told: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in tx.rows(_NOW, alarms.c.incident, live) if live else ():
        told[row.incident].append(row)
    for row in tx.rows(_EVER, incident_alarms.c.incident, over) if over else ():
        told[row.incident].append(row)
    digest = current_digest(tx) if told else ""
    network = load_network(tx, digest) if digest else None
    return [_with(one, told.get(one.id, ()), network) for one in found]


def _with(one: Incident, told: Iterable[Row[Any]], network: Network | None) -> Incident:
    severities, cells, tenants = set[str](), set[str](), set[str]()
    for row in told:
        severities.add(row.severity)
        cells.update(orjson.loads(row.cells))
        tenants.update(orjson.loads(row.tenants))
    worst = next((severity for severity in _SEVERITIES if severity in severities), one.severity)
    people = 0 if network is None else people_at(network, cells)
    fields = {"severity": worst, "cells": tuple(sorted(cells)), "tenants": tuple(sorted(tenants)), "people": people}
    return one.model_copy(update=fields)


def people_at(network: Network, cells: Iterable[str]) -> int:
    """Population of the sites of cells (``station/cell``)."""
    stations = {cell.partition("/")[0] for cell in cells}
    sites = {network.site_of(station) for station in stations if network.manages(station)}
    return sum(network.site_by_id[site].population for site in sites)
