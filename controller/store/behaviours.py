"""What was learned of servers' behaviour, by software version."""

from __future__ import annotations

from sqlalchemy import Engine, select

from controller.models.behaviour import Behaviour
from controller.ports.clock import Clock
from controller.ports.store import Claim
from controller.store.custody import Custody
from controller.store.journals import check_lease
from controller.store.tables import behaviours
from controller.store.transaction import Transactions, Tx, reads, writes


class BehaviourRecords(Transactions):
    """Behaviours are never changed, so each process keeps those that it has read."""

    def __init__(self, engine: Engine, clock: Clock, custody: Custody | None = None) -> None:
        super().__init__(engine, clock, custody)
        self._behaviours: dict[str, Behaviour] = {}

    def behaviour(self, software: str) -> Behaviour | None:
        """See ``Store.behaviour``."""
        found = self._behaviours.get(software) or self._read_behaviour(software)
        if found is not None:
            self._behaviours[software] = found
        return found

    @reads
    def _read_behaviour(self, tx: Tx, software: str) -> Behaviour | None:
        query = select(behaviours.c.follow_up, behaviours.c.cancels, behaviours.c.reason)
        row = tx.execute(query.where(behaviours.c.software == software)).one_or_none()
        return None if row is None else Behaviour(**row._mapping)

    @writes
    def learn(self, tx: Tx, software: str, behaviour: Behaviour, claim: Claim) -> None:
        """See ``Store.learn``."""
        check_lease(tx, claim)
        row = tx.insert(behaviours).values(
            software=software, station=claim.job.station, learned=tx.now, **behaviour.model_dump()
        )
        if tx.execute(row.on_conflict_do_nothing(index_elements=["software"])).rowcount:
            told = behaviour.model_dump(exclude_defaults=False)
            tx.note(claim.incarnation, "behaviour.learned", software, station=claim.job.station, **told)
