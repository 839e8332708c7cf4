"""The behaviour of servers as Minka learned it, at each station for itself."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, String, Table, bindparam, delete, select

from controller.models.behaviour import Behaviour, Server
from controller.models.claim import Claim
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.repository import M_co, Repository, method, writes
from controller.store.database.transaction import Tx
from controller.store.network.leases import check_lease

#: The behaviour of each station's server, and the identity and software that the station had when it was learned.
behaviours = Table(
    "behaviours",
    metadata,
    Column("station", String, primary_key=True),
    string("identity"),
    string("software"),
    Column("follow_up", String),
    Column("cancels", Boolean, nullable=False),
    long_text("reason"),
    Column("places", Boolean, nullable=False),
    Column("learned", Instant, nullable=False),
)
_FIND = select(behaviours.c.follow_up, behaviours.c.cancels, behaviours.c.reason, behaviours.c.places).where(
    behaviours.c.station == bindparam("station"),
    behaviours.c.identity == bindparam("identity"),
    behaviours.c.software == bindparam("software"),
)


class Behaviours(Repository[M_co]):
    """Behaviour of servers that Minka has learned: one for each station, for the identity and software it had then."""

    @method
    def get(self, server: Server) -> Behaviour | None:
        """The known behaviour of a server; None if there is none, or if it is about another identity or software."""
        return self._database.run(lambda tx: _load(tx, server), "DEFERRED")

    @writes
    def learn(self, tx: Tx, server: Server, behaviour: Behaviour, claim: Claim) -> None:
        """Keep what a transaction learned at its station, in place of what was known of it. Raises LeaseLostError."""
        check_lease(tx, claim)
        values = {**server._asdict(), **behaviour.model_dump(), "learned": tx.now}
        row = tx.insert(behaviours).values(values)
        tx.execute(row.on_conflict_do_update(index_elements=["station"], set_=values))
        detail = behaviour.model_dump(exclude_defaults=False)
        tx.note_about(
            (server.station,),
            claim.incarnation,
            "behaviour.learned",
            server.software,
            station=server.station,
            identity=server.identity,
            **detail,
        )

    @writes
    def forget(self, tx: Tx, claim: Claim) -> None:
        """Forget what is known of a claim's station, since its software is about to change. Raises LeaseLostError."""
        check_lease(tx, claim)
        forget_behaviour(tx, claim.job.station)


def forget_behaviour(tx: Tx, station: str) -> None:
    """Forget how a station's server behaves; the next transaction there learns it anew."""
    tx.execute(delete(behaviours).where(behaviours.c.station == station))


def _load(tx: Tx, server: Server) -> Behaviour | None:
    row = tx.execute(_FIND, server._asdict()).one_or_none()
    return None if row is None else Behaviour(**row._mapping)
