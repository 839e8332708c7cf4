"""Whom alarms concern, from when to when, and what each tenant is told of them.

An alarm ceases to concern a tenant that shares none of its cells any more, or that nothing of it affects any more. From
then on the tenant is told of it as it was last. So every transaction that changes alarms first works out whom these
concern (``reassess``), and a new version of the network files does so for all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, Select, bindparam, case, select, update

from controller.access.disclosure import part_of
from controller.intent.agreed_terms import agreed_terms
from controller.intent.impact import Impact, Sharing, in_force
from controller.models.alarm import Alarm, AlarmPart, ToldAlarm
from controller.models.network import Network
from controller.store.alarms.alarm_rows import AS_TOLD, alarm_tenants, alarms, as_alarm, takes_reports
from controller.store.alarms.incident_rows import touch
from controller.store.database.transaction import Tx

#: Guard: only one transaction at a time raises or clears alarms. It is taken before any row. Otherwise a root and its
#: symptoms could miss each other, or wait for each other.
GUARD = "alarms"
#: Rows of tenants whom an alarm concerns, or did when it was over.
CONCERNS = alarm_tenants.c.until.is_(None)
_KNOWN = select(alarm_tenants)
_TAKING = select(alarms).where(takes_reports(alarms.c)).order_by(alarms.c.number)
_TENANTS = update(alarms).where(alarms.c.id == bindparam("of")).values(tenants=bindparam("new_tenants"))
_CELLS = update(alarms).where(alarms.c.id == bindparam("of")).values(cells=bindparam("new_cells"))
_ROW = ("there", "named", "part", "changed", "noted", "until", *AS_TOLD)
_CHANGE = (
    update(alarm_tenants)
    .where(alarm_tenants.c.alarm == bindparam("of"), alarm_tenants.c.tenant == bindparam("to"))
    .values({name: bindparam(f"new_{name}", type_=alarm_tenants.c[name].type) for name in _ROW})
)

#: Who shares which cell, by digest of the network and agreements in force: the results used most recently.
_SHARINGS = 8
_sharings: dict[tuple[str, tuple[str, ...]], Sharing] = {}


def sharing_on(digest: str, network: Network, day: date) -> Sharing:
    """Who shares which cell in a network version on a day; recent results are cached."""
    global _sharings  # noqa: PLW0603  # replaced as a whole, since other threads may be reading the old one
    version = digest, tuple(one.id for one in in_force(network, day))
    found = _sharings.get(version)
    if found is None:
        found = Sharing(network, day)
        _sharings = {**dict(list(_sharings.items())[1 - _SHARINGS :]), version: found}
    return found


class Concern(NamedTuple):
    """An alarm as it was told so far, as it is now, and whom it concerns now."""

    was: Alarm
    now: Alarm
    impact: Impact

    @property
    def tenants(self) -> tuple[str, ...]:
        """Tenants to notify now, sorted."""
        return tuple(self.impact.tenants)

    @property
    def moves(self) -> bool:
        """Whether it concerns other tenants than before."""
        return self.tenants != self.was.tenants

    def sides(self, known: Iterable[str]) -> list[str]:
        """Tenants whom it concerns now, and those that are known, whom it concerns or concerned, sorted."""
        return sorted({*self.impact.tenants, *known})


def reassess_all(tx: Tx, sharing: Sharing) -> None:
    """Work out again whom alarms concern that take in reports, in a transaction that has the guard of alarms."""
    reassess(tx, sharing, [as_alarm(row) for row in tx.execute(_TAKING)])


def reassess(tx: Tx, sharing: Sharing, found: Iterable[Alarm]) -> list[Alarm]:
    """Work out again whom these alarms concern, which take in reports; returns them as they are now."""
    impacts = [(one, sharing.impact_now(one)) for one in found]
    concerns = [Concern(one, one.model_copy(update={"cells": now.cells}), now) for one, now in impacts]
    _put_cells(tx, concerns)
    assess(tx, sharing, concerns)
    return [one.now.model_copy(update={"tenants": tuple(one.impact.tenants)}) for one in concerns]


def _put_cells(tx: Tx, concerns: Iterable[Concern]) -> None:
    """Put on record the cells of alarms that came into the network after their faults."""
    grown = (one.now for one in concerns if one.now.cells != one.was.cells)
    if rows := [{"of": one.id, "new_cells": orjson.dumps(one.cells).decode()} for one in grown]:
        tx.execute(_CELLS, rows)


def assess(tx: Tx, sharing: Sharing, concerns: Sequence[Concern]) -> None:
    """Put on record whom alarms concern now, and have all sides notified for whom that changed."""
    known = _known_of(tx, (one.now.id for one in concerns))
    new, old, moved = list[dict[str, Any]](), list[dict[str, Any]](), list[Concern]()
    for one in concerns:
        before = known.get(one.now.id, {})
        found = ((tenant, _row_of(tx, sharing, one, tenant, before.get(tenant))) for tenant in one.sides(before))
        rows = {tenant: row for tenant, row in found if row is not None}
        new += [row for tenant, row in rows.items() if tenant not in before]
        old += [row for tenant, row in rows.items() if tenant in before]
        if rows or one.moves:
            moved.append(one)
    if new:
        tx.execute(alarm_tenants.insert(), new)
    _change(tx, old)
    _note_tenants(tx, [one for one in moved if one.moves])
    touch(tx, (one.now.incident for one in moved))


def _note_tenants(tx: Tx, moved: Collection[Concern]) -> None:
    """Put on record that alarms concern other tenants than before."""
    if moved:
        rows = [{"of": one.now.id, "new_tenants": orjson.dumps(one.tenants).decode()} for one in moved]
        tx.execute(_TENANTS, rows)
    for one in moved:
        tx.note("engine", "alarm.concerns", one.now.id, tenants=", ".join(one.tenants))


def _change(tx: Tx, rows: Collection[Mapping[str, Any]]) -> None:
    """Change rows of tenants."""
    keys = {"alarm": "of", "tenant": "to"}
    if rows:
        tx.execute(_CHANGE, [{keys.get(key, f"new_{key}"): value for key, value in row.items()} for row in rows])


def part_from_ended(tx: Tx, sharing: Sharing, found: Collection[Alarm]) -> None:
    """Keep alarms that are over as tenants were told of them who share nothing of them any more, before they change."""
    known = _known_of(tx, (one.id for one in found))
    rows = []
    for alarm in found:
        tenants = sharing.impact_now(alarm).tenants
        for tenant, row in known.get(alarm.id, {}).items():
            if row.until is None and _part_now(sharing, alarm, tenant, tenants.get(tenant, ()), _part(row)) is None:
                kept = _left(alarm, tenant, row, alarm.cleared or tx.now)
                rows.append(kept | {"changed": row.changed, "noted": row.noted})
    _change(tx, rows)


def begin(tx: Tx, sharing: Sharing | None, found: Iterable[tuple[Alarm, Impact]]) -> None:
    """Put on record whom new alarms concern; without a network, the tenants of their own objects."""
    rows = [
        _told(alarm, tenant, part, alarm.changed, tx.now)
        for alarm, impact in found
        for tenant, own in impact.tenants.items()
        if (part := _first_part(sharing, alarm, tenant, own)) is not None
    ]
    if rows:
        tx.execute(alarm_tenants.insert(), rows)


def _first_part(sharing: Sharing | None, alarm: Alarm, tenant: str, own: Sequence[str]) -> AlarmPart | None:
    return AlarmPart(there=False, named=True) if sharing is None else _part_now(sharing, alarm, tenant, own)


def _part_now(
    sharing: Sharing, alarm: Alarm, tenant: str, own: Sequence[str], before: AlarmPart | None = None
) -> AlarmPart | None:
    """A tenant's part of an alarm on the day; None if the alarm does not concern it.

    What fails of its own where no agreement of it is in force would tell it of states there.
    """
    if not own and not sharing.is_shared(alarm.station, tenant):
        return None
    return part_of(sharing.network, alarm, tenant, own, before)


@lru_cache(maxsize=64)
def told_alarms(tenant: str) -> Select[Any]:
    """Alarms as a tenant is told of them, with the columns of alarms and those of ``alarm_tenants`` about them."""
    row = alarm_tenants.c
    told = {name: case((CONCERNS, alarms.c[name]), else_=row[name]).label(name) for name in AS_TOLD}
    columns = [told.get(column.name, column) for column in alarms.c if column.name != "changed"]
    more = (row.changed, row.until, row.there, row.named, row.part, row.tenant.label("told_to"))
    query = select(*columns, *more).join(alarm_tenants, row.alarm == alarms.c.id)
    return query.where(row.tenant == tenant)


def as_told(row: Row[Any]) -> ToldAlarm:
    """Make an alarm of a row of ``told_alarms``."""
    part, alarm = _part(row), as_alarm(row)
    cells = part.cells if alarm.cleared is None else part.ever
    return ToldAlarm(**dict(alarm) | {"cells": cells}, told_to=row.told_to, part=part, until=_until(row, alarm))


def _until(row: Row[Any], alarm: Alarm) -> datetime | None:
    """When an alarm ceased to concern a tenant; None if it was over before."""
    until: datetime | None = row.until
    return until if alarm.cleared is None else None


def _known_of(tx: Tx, ids: Iterable[str]) -> Mapping[str, Mapping[str, Row[Any]]]:
    found: dict[str, dict[str, Row[Any]]] = {}
    names = set(ids)
    for row in tx.rows(_KNOWN, alarm_tenants.c.alarm, names) if names else ():
        found.setdefault(row.alarm, {})[row.tenant] = row
    return found


def _row_of(tx: Tx, sharing: Sharing, one: Concern, tenant: str, row: Row[Any] | None) -> dict[str, Any] | None:
    """A tenant's row as it has to be now; None if it stays as it is."""
    concerned = row is not None and row.until is None
    if not concerned and one.now.cleared is not None:  # it was over before it could concern the tenant
        return None
    own = one.impact.tenants.get(tenant)
    # Who left is told anew only by cells that it shares, from the beginning: its station or link alone is none.
    before = _part(row) if row is not None and (concerned or not own) else None
    part = None if own is None else _part_now(sharing, one.now, tenant, own, before)
    if part is None:
        if row is None or not concerned:
            return None
        return _left(one.was, tenant, row, _left_at(tx, sharing, tenant, row))
    return None if concerned and part == before else _told(one.now, tenant, part, tx.now, tx.now)


def _told(alarm: Alarm, tenant: str, part: AlarmPart, changed: datetime, noted: datetime) -> dict[str, Any]:
    """The row of a tenant whom an alarm concerns."""
    content = orjson.dumps([part.cells, part.sites, part.left_cells, part.left_sites]).decode()
    told = {"there": part.there, "named": part.named, "part": content, "changed": changed, "noted": noted}
    return {"alarm": alarm.id, "tenant": tenant, **told, **dict.fromkeys(("until", *AS_TOLD))}


def _left(alarm: Alarm, tenant: str, row: Row[Any], at: datetime) -> dict[str, Any]:
    """The row of a tenant whom an alarm concerns no more: the alarm as it is now."""
    told = {name: getattr(value := getattr(alarm, name), "value", value) for name in AS_TOLD}
    same = {name: getattr(row, name) for name in ("there", "named", "part")}
    return {"alarm": alarm.id, "tenant": tenant, **same, **told, "changed": at, "noted": at, "until": at}


def _left_at(tx: Tx, sharing: Sharing, tenant: str, row: Row[Any]) -> datetime:
    """When an alarm ceased to concern a tenant: when its agreement ended, or else now.

    It does not depend on when somebody looked, which would tell of others.
    """
    network, names = sharing.network, [one.partition("/") for one in _part(row).ever]
    known = (network.cell_by_name.get((station, cell)) for station, _, cell in names)
    cells = [cell for cell in known if cell is not None]
    until = {terms.agreement: terms.until for terms in agreed_terms(network, count=False)}
    ended = [
        until[agreement.id]
        for agreement in network.agreements_of(tenant)
        if until.get(agreement.id, tx.now) < tx.now
        and (not cells or any(network.reaches(agreement, cell) for cell in cells))
    ]
    return max(row.changed, *ended) if ended else tx.now


def _part(row: Row[Any]) -> AlarmPart:
    cells, sites, left_cells, left_sites = orjson.loads(row.part)
    return AlarmPart(
        there=row.there,
        named=row.named,
        cells=tuple(cells),
        sites=sites,
        left_cells=tuple(left_cells),
        left_sites=left_sites,
    )
