"""Worker incarnations: their lives, and what happens to their work when one is buried."""

from __future__ import annotations

import secrets

from sqlalchemy import and_, select, update

from controller.models.errors import LeaseLostError
from controller.models.run import JobState
from controller.ports.store import Incarnation
from controller.store.tables import jobs, leases, workers
from controller.store.transaction import Transactions, Tx, reads, writes


class WorkerRecords(Transactions):
    """Who is at work."""

    @writes
    def register_worker(self, tx: Tx, name: str) -> str:
        """See ``Store.register_worker``."""
        incarnation = f"{name}.{secrets.token_hex(4)}"
        tx.execute(workers.insert().values(id=incarnation, name=name, counter=0, alive=True))
        tx.note(incarnation, "worker.started", incarnation)
        return incarnation

    @writes
    def heartbeat(self, tx: Tx, incarnation: str, sessions: int = 0) -> None:
        """See ``Store.heartbeat``."""
        living = and_(workers.c.id == incarnation, workers.c.alive)
        beat = {"counter": workers.c.counter + 1, "sessions": sessions}
        if tx.execute(update(workers).where(living).values(beat)).rowcount != 1:
            raise buried(incarnation)

    @reads
    def incarnations(self, tx: Tx) -> list[Incarnation]:
        """See ``Store.incarnations``."""
        rows = tx.execute(select(workers).where(workers.c.alive).order_by(workers.c.number))
        return [Incarnation(row.id, row.name, row.counter, row.alive) for row in rows]

    @writes
    def bury(self, tx: Tx, incarnation: str, counter: int) -> bool:
        """See ``Store.bury``."""
        silent = and_(workers.c.id == incarnation, workers.c.alive, workers.c.counter == counter)
        if tx.execute(update(workers).where(silent).values(alive=False)).rowcount != 1:
            return False
        # The transaction stays on the lease: the device waits for the job that recovers it.
        tx.execute(update(leases).where(leases.c.incarnation == incarnation).values(incarnation=None))
        claimed = and_(jobs.c.incarnation == incarnation, jobs.c.state == JobState.CLAIMED.value)
        ready = {"state": JobState.READY.value, "ready": tx.now, "incarnation": None}
        given_back = tx.execute(update(jobs).where(claimed).values(ready)).rowcount
        tx.note("engine", "worker.buried", incarnation, counter=counter, jobs=given_back)
        return True


def buried(incarnation: str) -> LeaseLostError:
    """What a worker hears that was declared dead."""
    return LeaseLostError(f"the incarnation {incarnation} was declared dead; its devices belong to others now")
