"""Processes of Minka: their heartbeats, and how the work of dead ones is given back."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    and_,
    bindparam,
    delete,
    false,
    func,
    or_,
    select,
    update,
)

from controller.models.errors import LeaseLostError
from controller.models.metrics import added_up, encoded_sums
from controller.models.process import Process, ProcessRole
from controller.models.run import JobState
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.queries import INSERTS, Insert
from controller.store.database.repository import M_co, Repository, reads, writes, writes_first
from controller.store.database.transaction import Tx
from controller.store.jobs.run_rows import jobs
from controller.store.network.leases import leases


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One life of a worker process; ``counter`` grows while it lives."""

    id: str
    name: str
    counter: int
    alive: bool


workers = Table(
    "workers",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    string("name"),
    Column("counter", BigInteger, nullable=False),
    # Open sessions to devices.
    Column("sessions", Integer, nullable=False, server_default="0"),
    Column("alive", Boolean, nullable=False),
    Column("role", String, nullable=False, server_default="worker"),
    # When it began.
    Column("begun", Instant),
    # Last heartbeat by the process's own clock, for people: it is compared with no other clock to see who lives.
    Column("seen", Instant),
    # Rounds of the process that are overdue, separated by commas.
    long_text("late"),
    # Whether the process is listed: it did not end in good order, and no other has taken its name since.
    Column("listed", Boolean, nullable=False, server_default=false()),
)

#: What processes measured (``Observations.encoded``), by incarnation; under ``ENDED`` the sum of all that ended.
observations = Table(
    "observations",
    metadata,
    Column("incarnation", String, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
ENDED = ""

_BEATEN = ("sessions", "seen", "late")
#: Time after which one that ended and that nobody replaced is forgotten.
_FORGOTTEN = timedelta(days=1)
_COUNTERS = select(workers.c.id, workers.c.counter).where(workers.c.alive)
_LIVING = select(workers).where(workers.c.alive).order_by(workers.c.number)
_BEAT = (
    update(workers)
    .where(workers.c.id == bindparam("incarnation"), workers.c.alive)
    .values({"counter": workers.c.counter + 1, "listed": True} | {name: bindparam(name) for name in _BEATEN})
)
_NEW = workers.insert()
_REPLACED = (
    update(workers)
    .where(workers.c.role == bindparam("of"), workers.c.name == bindparam("called"), workers.c.listed)
    .values(listed=False)
)
_DEAD = (
    update(workers)
    .where(workers.c.id == bindparam("incarnation"), workers.c.alive, workers.c.counter == bindparam("beats"))
    .values(alive=False)
)
_LET_GO = update(leases).where(leases.c.incarnation == bindparam("of")).values(incarnation=None)
_GIVEN_BACK = (
    update(jobs)
    .where(jobs.c.incarnation == bindparam("of"), jobs.c.state == JobState.CLAIMED.value)
    .values(state=JobState.READY.value, ready=bindparam("now"), incarnation=None)
)


class Processes(Repository[M_co]):
    """Workers and other processes."""

    @writes
    def register(self, tx: Tx, name: str, role: ProcessRole = ProcessRole.WORKER) -> str:
        """Register a new incarnation of a process, in place of an ended one with its role and name; returns its id."""
        incarnation = f"{name}.{secrets.token_hex(4)}"
        # It replaces the ended one of this name; one that lives is listed again with its next heartbeat.
        tx.execute(_REPLACED, {"of": role.value, "called": name})
        row = {"id": incarnation, "name": name, "counter": 0, "alive": True}
        tx.execute(_NEW, row | {"role": role.value, "begun": tx.now, "seen": tx.now, "listed": True})
        tx.note(incarnation, "worker.started", incarnation)
        return incarnation

    @writes_first
    def heartbeat(self, tx: Tx, incarnation: str, sessions: int = 0, late: str = "", observed: bytes = b"") -> None:
        """Count up, and note the open sessions to devices, and the rounds that are late (``Process.late``).

        ``observed`` is all that the process measured since it registered (``Observations.encoded``); empty means no
        change.

        Raises LeaseLostError if the incarnation was declared dead.
        """
        beat = {"incarnation": incarnation, "sessions": sessions, "seen": tx.now, "late": late}
        if tx.execute(_BEAT, beat).rowcount != 1:
            raise declared_dead(incarnation)
        if observed:
            _keep(tx, incarnation, observed)

    @writes
    def end(self, tx: Tx, incarnation: str) -> None:
        """Note that a process ended in good order; its jobs are given back as by ``declare_dead``."""
        living = and_(workers.c.id == incarnation, workers.c.alive)
        if tx.execute(update(workers).where(living).values(alive=False, listed=False)).rowcount == 1:
            tx.note(incarnation, "worker.stopped", incarnation, jobs=_give_back(tx, incarnation) or "")
            _add_up(tx, incarnation)

    @reads
    def find(self, tx: Tx) -> list[Process]:
        """Processes that live, and for a day those that ended in another way than by ``end`` and were not replaced."""
        return listed(tx)

    @reads
    def alive(self, tx: Tx) -> list[Incarnation]:
        """Incarnations of workers that are alive on record."""
        rows = tx.execute(_LIVING)
        return [Incarnation(row.id, row.name, row.counter, row.alive) for row in rows]

    @writes
    def declare_dead(self, tx: Tx, incarnation: str, counter: int) -> bool:
        """Declare an incarnation dead if its counter is still ``counter``; False if it moved on.

        Its jobs become claimable again (to recover their transactions), and its leases lose their holder.
        """
        if tx.execute(_DEAD, {"incarnation": incarnation, "beats": counter}).rowcount != 1:
            return False
        tx.note("engine", "worker.declared_dead", incarnation, counter=counter, jobs=_give_back(tx, incarnation))
        _add_up(tx, incarnation)
        return True


def listed(tx: Tx) -> list[Process]:
    """Do what ``Processes.find`` does, as part of a transaction."""
    heard = _heard(tx)
    query = select(workers).where(workers.c.listed, or_(workers.c.alive, workers.c.seen > tx.now - _FORGOTTEN))
    rows = tx.execute(query.order_by(workers.c.role, workers.c.name, workers.c.number))
    return [
        Process(
            role=ProcessRole(row.role),
            instance=row.name,
            up=row.id in heard,
            late=row.late,
            sessions=row.sessions,
        )
        for row in rows
    ]


def worker_seen(tx: Tx) -> tuple[bool, datetime | None]:
    """Whether a worker sends heartbeats, and when one was heard of last; None if never."""
    of_workers = workers.c.role == ProcessRole.WORKER.value
    last: datetime | None = tx.execute(select(func.max(workers.c.seen, type_=Instant())).where(of_workers)).scalar()
    living = tx.execute(select(workers.c.id).where(of_workers, workers.c.alive)).scalars().all()
    return not _heard(tx).isdisjoint(living), last


def _heard(tx: Tx) -> set[str]:
    """Incarnations that send heartbeats."""
    return tx.pulses.heard({row.id: row.counter for row in tx.execute(_COUNTERS)}, tx.clock.monotonic())


def _give_back(tx: Tx, incarnation: str) -> int:
    """Let others take over the jobs of an incarnation; returns their number."""
    # The transaction stays in the lease: the device is reserved for the job that recovers it.
    tx.execute(_LET_GO, {"of": incarnation})
    return tx.execute(_GIVEN_BACK, {"of": incarnation, "now": tx.now}).rowcount


def _keep(tx: Tx, incarnation: str, content: bytes) -> None:
    tx.execute(_kept(tx.dialect), {"incarnation": incarnation, "content": content})


@cache  # with each heartbeat
def _kept(dialect: str) -> Insert:
    row = INSERTS[dialect](observations)
    return row.on_conflict_do_update(index_elements=["incarnation"], set_={"content": row.excluded.content})


def _add_up(tx: Tx, incarnation: str) -> None:
    """Add what a process measured to the sum of all that ended."""
    tx.guard("observations")
    both = [ENDED, incarnation]
    contents = tx.execute(select(observations.c.content).where(observations.c.incarnation.in_(both))).scalars().all()
    if contents:
        tx.execute(delete(observations).where(observations.c.incarnation == incarnation))
        _keep(tx, ENDED, encoded_sums(added_up(contents)))


def declared_dead(incarnation: str) -> LeaseLostError:
    """The error for a worker that was declared dead."""
    return LeaseLostError(f"the incarnation {incarnation} was declared dead; its devices belong to others now")
