"""The constraints under which runs are accepted, on record, with votes and notices as rows."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    and_,
    false,
    select,
    text,
)

from controller.access.disclosure import DECIDED, OVERRIDDEN
from controller.access.votes import unanswered
from controller.models.approval import (
    Freeze,
    Notice,
    NoticeKind,
    NoticeOutage,
    Override,
    Requirement,
    RunConstraints,
    Vote,
    VoteChoice,
)
from controller.models.outage import NO_OUTAGE
from controller.models.packing import unpacked
from controller.models.run import JobState
from controller.models.scalars import HOST
from controller.models.sharing import ActionClass
from controller.store.database.columns import Instant, long_text, metadata
from controller.store.database.transaction import Tx
from controller.store.jobs.involvement import note_notified
from controller.store.jobs.requests import RunRequest
from controller.store.jobs.run_rows import jobs
from controller.store.runs.votes import cast_vote, spend_votes, votes_on

_UNADDRESSED = text("NOT addressed")

#: The constraints under which each run was accepted.
run_constraints = Table(
    "run_constraints",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("subject", String, nullable=False, index=True),
    # Digest of the plan that people may have voted on beforehand; empty where there is none, as of a playbook.
    Column("plan", String, nullable=False, server_default="", index=True),
    Column("content", LargeBinary, nullable=False),
    # ``ended`` after all tenants were notified of its end, ``planned`` before; empty where no tenant is concerned.
    Column("notified", String, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    # What it is about: either a run or an incident.
    Column("run", String, ForeignKey("runs.id")),
    Column("incident", String),
    Column("tenant", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("stations", Text, nullable=False),
    Column("begins", Instant),
    Column("text", Text, nullable=False, server_default=""),
    Column("sent", Instant),
    # Whether its recipients are settled, which may be nobody.
    Column("addressed", Boolean, nullable=False, server_default=false()),
    Column("cells", Text, nullable=False, server_default="[]"),
    Column("since", Instant),
    long_text("what"),
    Column("severity", String),
    long_text("doing"),
    # JSON; empty if there is none.
    long_text("outage"),
    Column("tenants", Text, nullable=False, server_default="[]"),
    Index("ix_notices_run_tenant_kind", "run", "tenant", "kind", unique=True),
    Index("ix_notices_incident_tenant", "incident", "tenant", "number"),
    Index("ix_notices_unaddressed", "number", sqlite_where=_UNADDRESSED, postgresql_where=_UNADDRESSED),
    Index("ix_notices_tenant_number", "tenant", "number"),
    Index("ix_notices_begins", "begins"),
)


def keep_constraints(
    tx: Tx,
    run_id: str,
    constraints: RunConstraints,
    content: bytes,
    request: RunRequest,
    begins: Mapping[str, datetime],
) -> None:
    """Record a new run's constraints, notify the tenants concerned, and count each yes to its plan and the requester's.

    People approve this one run, and not each run of the same content.

    Args:
        tx: The transaction.
        run_id: The run.
        constraints: The constraints under which it is accepted.
        content: The same, packed.
        request: Who asks, and why.
        begins: See ``PreparedRun.begins``.
    """
    subject = hashlib.sha256(f"{constraints.subject} {run_id}".encode()).hexdigest()
    plan = "" if request.plan is None else constraints.subject
    notified = NoticeKind.PLANNED.value if constraints.tenants else ""
    row = {"run": run_id, "subject": subject, "plan": plan, "content": content, "notified": notified}
    tx.execute(run_constraints.insert().values(row))
    for station, spared in sorted(constraints.spared.items()):
        unserved = ", ".join(f"{cell} {tenant}" for cell, tenant in spared)
        tx.note_about((station,), "engine", "run.unserved_not_asked", run_id, station=station, unserved=unserved)
    for tenant in constraints.tenants:
        mine = constraints.concerning(tenant)
        words = f"work is planned on {serving(mine)}{outage_words(constraints, tenant)}"
        first = max(begins.get(tenant, tx.now), tx.now + constraints.lead_of(tenant))
        outage = outage_to_come(constraints, tenant, first)
        notify(tx, run_id, tenant, NoticeKind.PLANNED, mine, words, outage, first, constraints.named_off(tenant))
        note_notified(tx, run_id, tenant, mine)
    if plan:
        spend_votes(tx, plan, subject)
    if request.approver is not None:
        cast_vote(tx, subject, request.approver, VoteChoice.APPROVE, request.reason, run_id, request.contracts)
    if any(one.action is ActionClass.REDUCE for one in constraints.requirements):
        for vote in votes_on(tx, subject):
            tell_decided(tx, run_id, constraints, vote)


def tell_decided(tx: Tx, run_id: str, constraints: RunConstraints, vote: Vote) -> None:
    """Tell each tenant in whose place the host decides by this vote, once for a run, and put it on its audit trail."""
    for tenant in constraints.tenants:
        told = vote.in_place_of(tenant, constraints.requirements)
        if told is None:
            continue
        by = ", ".join(f"{one.agreement} {one.clause}" for one in told.contracts)
        # The object names the tenant, since the run's other tenants do not see it.
        tx.note(vote.person, DECIDED, f"{run_id} {tenant}", contracts=by, reason=told.reason)
        if not _was_told(tx, run_id, tenant, NoticeKind.DECIDED):
            words = f"the host approved work in your place by a clause of the contract: {by}"
            words += f": {told.reason}" if told.reason else ""
            notify(tx, run_id, tenant, NoticeKind.DECIDED, constraints.concerning(tenant), words, None)


def tell_overridden(
    tx: Tx,
    run_id: str,
    constraints: RunConstraints,
    override: Override,
    freezes: Iterable[Freeze],
    tenants: Iterable[str],
) -> None:
    """Tell each of these tenants whose own windows or freezes an override beats, and put it on its audit trail.

    It is told once for a run, since an override is for all that is to come of it, and of stations that are to come.
    """
    open_jobs = select(jobs.c.station, jobs.c.id).where(jobs.c.run == run_id, jobs.c.state != JobState.DONE.value)
    to_come = {row.station for row in tx.execute(open_jobs)}
    frozen = {freeze.target: freeze for freeze in freezes}
    for tenant in tenants:
        windows = {name: own for name, own in constraints.windows_of(tenant).items() if name in to_come}
        freeze = frozen.get(f"tenant:{tenant}")
        mine = sorted(to_come.intersection(constraints.concerning(tenant) if freeze is not None else windows))
        if not mine:
            continue
        agreements = ", ".join(sorted({one for own in windows.values() for one in own}))
        in_spite = [f"your maintenance windows ({agreements})"] if agreements else []
        in_spite += [f"the freeze of your network until {freeze.ends:%Y-%m-%d %H:%M} UTC"] if freeze is not None else []
        detail = {"agreements": agreements, "freeze": freeze.id if freeze is not None else "", "stations": len(mine)}
        # The object names the tenant, since the run's other tenants do not see it.
        tx.note(override.by, OVERRIDDEN, f"{run_id} {tenant}", **detail, reason=override.reason)
        if not _was_told(tx, run_id, tenant, NoticeKind.OVERRIDDEN):
            words = f"the host lets work begin on {serving(mine)} in spite of {' and '.join(in_spite)}"
            words += f"{outage_words(constraints, tenant)}: {override.reason}"
            first = max(tx.now, _planned_at(tx, run_id, tenant) + constraints.lead_of(tenant))
            outage, named = outage_to_come(constraints, tenant, first), constraints.named_off(tenant)
            notify(tx, run_id, tenant, NoticeKind.OVERRIDDEN, mine, words, outage, first, named)


def tell_unanswered(tx: Tx, run_id: str, constraints: RunConstraints, asked: Collection[Requirement]) -> None:
    """Tell each side, and the host, once for a run of approvals that fewer users may give now than are needed."""
    for side in sorted({HOST, *(one.side for one in asked)}):
        if not _was_told(tx, run_id, side, NoticeKind.UNANSWERED):
            mine = sorted(constraints.stations) if side == HOST else constraints.concerning(side)
            number = "1 device" if len(mine) == 1 else f"{len(mine)} devices"
            where = number if side == HOST else serving(mine)
            said = "; ".join(unanswered(one for one in asked if side in (HOST, one.side)))
            words = f"work on {where} waits: {said}. The host can enable a user, or give one the role that approves"
            notify(tx, run_id, side, NoticeKind.UNANSWERED, mine, words, None)


def _was_told(tx: Tx, run_id: str, tenant: str, kind: NoticeKind) -> bool:
    known = and_(notices.c.run == run_id, notices.c.tenant == tenant, notices.c.kind == kind.value)
    return tx.execute(select(notices.c.id).where(known)).first() is not None


def _planned_at(tx: Tx, run_id: str, tenant: str) -> datetime:
    """When a tenant was notified of planned work: its lead time counts from then."""
    planned = and_(notices.c.tenant == tenant, notices.c.kind == NoticeKind.PLANNED.value)
    return tx.execute(select(notices.c.at).where(notices.c.run == run_id, planned)).scalar() or tx.now


def serving(devices: Collection[str]) -> str:
    """How many devices, in words to a tenant: its functions, and routers and pools with nodes of its own, count too."""
    return f"{len(devices)} devices that serve you" if len(devices) != 1 else "1 device that serves you"


def outage_to_come(constraints: RunConstraints, tenant: str, begins: datetime) -> NoticeOutage | None:
    """The outage of a tenant's service by work that begins then; None if it causes none."""
    outage = constraints.outages.get(tenant, NO_OUTAGE)
    return NoticeOutage.of(outage, begins, off_air=constraints.off_air.get(tenant))


def outage_words(constraints: RunConstraints, tenant: str) -> str:
    """How long a tenant's service is away, and in which of its cells, for its notices; empty if it is not."""
    outage, lost = constraints.outages.get(tenant), constraints.withdrawn.get(tenant)
    if outage is None:
        return ""
    off = constraints.off_air.get(tenant)
    where = f", off the air: {off}" if off is not None else ""
    where += f": you lose service in {lost}" if lost is not None else ""
    return f", outage {outage}{where}"


@lru_cache(maxsize=256)
def constraints_from(content: bytes) -> RunConstraints:
    """Parse constraints as they were kept. Cached, since they never change."""
    return unpacked(RunConstraints, content)


def notify(
    tx: Tx,
    run_id: str | None,
    tenant: str,
    kind: NoticeKind,
    stations: list[str],
    words: str,
    outage: NoticeOutage | None,
    begins: datetime | None = None,
    cells: Collection[str] = (),
) -> None:
    """Put one notice on record; without a run it is about the tenant as a whole."""
    notice_id = f"n-{secrets.token_hex(5)}"
    row = {"id": notice_id, "run": run_id, "tenant": tenant, "kind": kind.value, "at": tx.now, "begins": begins}
    row |= {"stations": orjson.dumps(stations).decode(), "cells": orjson.dumps(sorted(cells)).decode(), "text": words}
    tx.execute(notices.insert().values(row | {"outage": "" if outage is None else outage.model_dump_json()}))
    tx.note("engine", f"notice.{kind.value}", run_id or f"tenant:{tenant}", tenant=tenant, stations=len(stations))


def as_notice(row: Row[Any]) -> Notice:
    """Make a notice of a row."""
    values = {name: value for name, value in row._mapping.items() if name in Notice.model_fields}
    lists = {name: tuple(orjson.loads(values[name])) for name in ("stations", "cells", "tenants")}
    outage = NoticeOutage.model_validate_json(row.outage) if row.outage else None
    return Notice(**values | {"run": row.run or "", "incident": row.incident or "", "outage": outage} | lists)
