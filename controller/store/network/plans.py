"""Plans, which never change. Their changes are rows of their own, so that a claim loads only those of its stations."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, func, select

from controller.models.errors import ConflictError, NotFoundError
from controller.models.packing import packed
from controller.models.plan import Changes, Plan
from controller.store.database.columns import metadata, string
from controller.store.database.repository import M_co, Page, Repository, reads, writes
from controller.store.database.transaction import Tx, WorkedOut
from controller.store.network.planned import Involved, involved_in, note_plan
from controller.store.network.versions import load_networks


@dataclass(frozen=True, slots=True)
class PlanHead:
    """A plan in a list: what it is about, and its numbers of stations and findings."""

    id: str
    created: datetime
    network_digest: str
    selector: str
    stations: int
    unchanged: int
    unplanned: int
    findings: int


plans = Table(
    "plans",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    string("digest"),
    Column("head", LargeBinary, nullable=False),
)

changes = Table(
    "changes",
    metadata,
    Column("plan", String, ForeignKey("plans.id"), primary_key=True),
    Column("station", String, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    # JSON list: tenants that the change touches or interrupts, sorted.
    Column("tenants", Text, nullable=False, server_default="[]"),
    Index("ix_changes_station", "station", "plan"),
)

#: Whom plans concern that are about to go on record, by their digests: to work out what each tenant sees takes seconds.
_involved = WorkedOut[str, Involved](kept=4)


class Plans(Repository[M_co]):
    """Plans, which never change."""

    @writes
    def save(self, tx: Tx, plan: Plan, actor: str) -> None:
        """Keep a plan; an equal plan changes nothing."""
        # Without its network on record, the plan equals no other.
        network = load_networks(tx, [plan.network_digest]).get(plan.network_digest)
        key = f"{plan.digest} {network is None}"
        _save(tx, plan, actor, _involved.get(tx, key, lambda: involved_in(plan, network)))

    @reads
    def get(self, tx: Tx, plan_id: str) -> Plan:
        """A plan by id. Raises NotFoundError."""
        return load_plan(tx, plan_id)

    @reads
    def page(self, tx: Tx, page: Page) -> tuple[int, list[PlanHead]]:
        """Total and one page of plans without their changes, newest first."""
        total = tx.execute(select(func.count()).select_from(plans)).scalar_one()
        of_plan = select(func.count()).where(changes.c.plan == plans.c.id).scalar_subquery()
        newest = select(plans.c.head, of_plan.label("stations")).order_by(plans.c.number.desc())
        rows = tx.execute(newest.limit(page.limit).offset(page.offset))
        return total, [_head(row.head, row.stations) for row in rows]


def _save(tx: Tx, plan: Plan, actor: str, found: Involved) -> None:
    tx.guard(f"plan {plan.id}")
    kept = tx.execute(select(plans.c.digest).where(plans.c.id == plan.id)).scalar()
    if kept == plan.digest:
        return
    if kept is not None:
        raise ConflictError(f"another plan has the id {plan.id}")
    tx.execute(plans.insert().values(id=plan.id, digest=plan.digest, head=packed(plan, exclude={"changes"})))
    rows = [
        {"plan": plan.id, "station": station, "position": position, "content": content, "tenants": tenants}
        for position, (station, content) in enumerate(plan.changes.packed.items())
        for tenants in (orjson.dumps(found.tenants.get(station, ())).decode(),)
    ]
    if rows:
        tx.execute(changes.insert(), rows)
    note_plan(tx, plan, found.parts)
    tx.note(actor, "plan.saved", plan.id, network=plan.network_digest, changes=len(rows))


def _head(packed_head: bytes, stations: int) -> PlanHead:
    head = orjson.loads(zlib.decompress(packed_head))
    return PlanHead(
        id=head["id"],
        created=datetime.fromisoformat(head["created"]),
        network_digest=head["network_digest"],
        selector=head["selector"],
        stations=stations,
        unchanged=len(head["unchanged"]),
        unplanned=len(head["unplanned"]),
        findings=len(head["findings"]),
    )


def load_plan(tx: Tx, plan_id: str) -> Plan:
    """A whole plan. Raises NotFoundError."""
    head = tx.execute(select(plans.c.head).where(plans.c.id == plan_id)).scalar()
    if head is None:
        raise NotFoundError.of("plan", plan_id)
    query = select(changes.c.station, changes.c.content).where(changes.c.plan == plan_id).order_by(changes.c.position)
    found = Changes({row.station: row.content for row in tx.execute(query)})
    return Plan.model_validate({**orjson.loads(zlib.decompress(head)), "changes": found})
