"""The behaviour of servers as Minka learned it, by software version."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, String, Table, bindparam, select

from controller.models.behaviour import Behaviour
from controller.ports.store import Behaviours, Claim, Sync, method
from controller.store.columns import Instant, long_text, metadata, string
from controller.store.leases import check_lease
from controller.store.repository import SqlRepository, writes
from controller.store.transaction import Database, Tx

#: Behaviour of servers, by the name of their software.
behaviours = Table(
    "behaviours",
    metadata,
    Column("software", String, primary_key=True),
    Column("follow_up", String),
    Column("cancels", Boolean, nullable=False),
    long_text("reason"),
    # Station and time of the transaction that learned it.
    string("station"),
    Column("learned", Instant, nullable=False),
)
#: Read at each check of a station whose software was not probed yet.
_FIND = select(behaviours.c.follow_up, behaviours.c.cancels, behaviours.c.reason).where(
    behaviours.c.software == bindparam("software")
)


class SqlBehaviours(SqlRepository, Behaviours[Sync]):
    """Repository of behaviours. They never change, so each process caches those that it has read."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._behaviours: dict[str, Behaviour] = {}

    @method
    def get(self, software: str) -> Behaviour | None:
        found = self._behaviours.get(software) or self._database.run(lambda tx: _load(tx, software), "DEFERRED")
        if found is not None:
            self._behaviours[software] = found
        return found

    @writes
    def learn(self, tx: Tx, software: str, behaviour: Behaviour, claim: Claim) -> None:
        check_lease(tx, claim)
        row = tx.insert(behaviours).values(
            software=software, station=claim.job.station, learned=tx.now, **behaviour.model_dump()
        )
        if tx.execute(row.on_conflict_do_nothing(index_elements=["software"])).rowcount:
            detail = behaviour.model_dump(exclude_defaults=False)
            tx.note(claim.incarnation, "behaviour.learned", software, station=claim.job.station, **detail)


def _load(tx: Tx, software: str) -> Behaviour | None:
    row = tx.execute(_FIND, {"software": software}).one_or_none()
    return None if row is None else Behaviour(**row._mapping)
