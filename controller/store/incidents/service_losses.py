"""Service that alarms take away now, read from the record; worked out outside of the transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Row, exists, select

from controller.intent.delivery import CarriedLink
from controller.intent.lost_service import StandingAlarm, losses
from controller.models.alarm import BACKHAUL_DOWN, LINK_CAUSES, UNREACHABLE
from controller.models.incident import Loss
from controller.store.alarms.alarm_rows import SPREADING, STANDING, alarm_tenants, alarms
from controller.store.alarms.concerns import CONCERNS, sharing_on
from controller.store.alarms.incident_rows import incident_alarms
from controller.store.database.transaction import Tx
from controller.store.network.ledger import links_now
from controller.store.network.versions import PackedNetwork, kept, packed_current

#: What it depends on of an alarm which service it takes away.
TAKING = tuple(alarms.c[name] for name in ("id", "station", "object", "probable_cause", "raised", "cells", "tenants"))
_STANDING = select(*TAKING).where(STANDING)
_PARTS = select(alarms.c.incident, *TAKING).where(STANDING)
_EVER = select(incident_alarms.c.incident, *TAKING).join(alarms, alarms.c.id == incident_alarms.c.alarm)
#: Core links that are down, and cuts of the backhaul.
_LINKS = _STANDING.where(alarms.c.probable_cause.in_(sorted(LINK_CAUSES)))
_CUTS = _STANDING.where(alarms.c.station == "", alarms.c.probable_cause == BACKHAUL_DOWN, SPREADING)


class ServiceLosses(NamedTuple):
    """Alarms, with all on which it depends what they take away; of all tenants or of one.

    Its methods are to be called outside of transactions.

    Attributes:
        standing: Alarms that stand.
        past: All alarms that incidents had which are over, by incident.
        version: The network; None while none is loaded. It is unpacked after the transaction: one that begins anew
            would tell a tenant by its statements what was in memory.
        at: When this was read.
        links: Core links that stations carry, by station.
        tenant: The tenant; empty for all.
    """

    standing: Collection[StandingAlarm]
    past: Mapping[str, Collection[StandingAlarm]]
    version: PackedNetwork | None
    at: datetime
    links: Mapping[str, tuple[CarriedLink, ...]]
    tenant: str = ""

    def by_alarm(self) -> dict[str, dict[str, Loss]]:
        """What each alarm that stands takes away, by tenant."""
        return self._by(self.standing)

    def by_past(self) -> dict[str, dict[str, Loss]]:
        """What all alarms of each incident that is over took away together, by tenant."""
        return {name: joined(self._by(alarms).values()) for name, alarms in self.past.items()}

    def _by(self, alarms: Iterable[StandingAlarm]) -> dict[str, dict[str, Loss]]:
        if self.version is None:
            return {}
        network = kept(self.version)
        found = losses(alarms, self.links, sharing_on(self.version.digest, network, network.day(self.at)))
        if not self.tenant:
            return found
        return {name: {self.tenant: by[self.tenant]} for name, by in found.items() if self.tenant in by}


def joined(every: Iterable[Mapping[str, Loss]]) -> dict[str, Loss]:
    """Losses of several alarms, each by tenant or incident, together."""
    found: dict[str, list[Loss]] = defaultdict(list)
    for one in every:
        for name, loss in one.items():
            found[name].append(loss)
    together = {name: Loss.together(taken) for name, taken in sorted(found.items())}
    return {name: loss for name, loss in together.items() if loss is not None}


def losses_of(tx: Tx, ids: Iterable[str]) -> ServiceLosses:
    """What these alarms take away; those of them that stand."""
    return losses_by(tx, tx.rows(_STANDING, alarms.c.id, ids))


def losses_in(tx: Tx, incidents: Collection[str], tenant: str) -> tuple[ServiceLosses, dict[str, str]]:
    """What alarms of incidents take away from a tenant, by those that concern it alone; and incidents of alarms."""
    rows = list(tx.rows(_PARTS.where(_of(tenant, CONCERNS)), alarms.c.incident, incidents)) if incidents else []
    over = set(incidents) - {row.incident for row in rows}
    past = tx.rows(_EVER.where(_of(tenant)), incident_alarms.c.incident, over) if over else ()
    return losses_by(tx, rows, past, tenant), {row.id: row.incident for row in rows}


def losses_by(tx: Tx, rows: Iterable[Row[Any]], over: Iterable[Row[Any]] = (), tenant: str = "") -> ServiceLosses:
    """What alarms take away.

    Args:
        tx: A transaction.
        rows: Rows of alarms that stand, with the columns of ``TAKING``.
        over: The same of incidents that are over, with ``incident``.
        tenant: From whom; empty for all. No statement then depends on what others suffer.
    """
    known = {row.id: _as_standing(row) for row in rows}
    past = defaultdict[str, dict[str, StandingAlarm]](dict)
    for row in over:
        past[row.incident][row.id] = _as_standing(row)
    concerned = [_of(tenant, CONCERNS)] if tenant else []
    if linked := _linked(known.values()):
        others = tx.rows(_LINKS.where(*concerned), alarms.c.station, linked)
        known |= {row.id: _as_standing(row) for row in others}
    if any(one.probable_cause == UNREACHABLE for one in known.values()):
        known |= {row.id: _as_standing(row) for row in tx.execute(_CUTS.where(*concerned))}
    carrying = linked | _linked(one for parts in past.values() for one in parts.values())
    return ServiceLosses(
        tuple(known.values()),
        {name: tuple(parts.values()) for name, parts in past.items()},
        packed_current(tx) if known or past else None,
        tx.now,
        links_now(tx, carrying) if carrying else {},
        tenant,
    )


def _linked(found: Iterable[StandingAlarm]) -> set[str]:
    """Stations of core links that are down."""
    return {one.station for one in found if one.probable_cause in LINK_CAUSES}


def _of(tenant: str, *more: ColumnElement[bool]) -> ColumnElement[bool]:
    """Alarms that concern or concerned a tenant."""
    return exists().where(alarm_tenants.c.alarm == alarms.c.id, alarm_tenants.c.tenant == tenant, *more)


def _as_standing(row: Row[Any]) -> StandingAlarm:
    cells, tenants = orjson.loads(row.cells), orjson.loads(row.tenants)
    return StandingAlarm(row.id, row.station, row.object, row.probable_cause, row.raised, cells, tenants)
