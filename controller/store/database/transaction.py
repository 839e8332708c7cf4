"""Transactions of the database: every method of a repository is one, or joins the one that its caller opened."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Engine,
    Executable,
    Row,
    Select,
    String,
    bindparam,
    func,
    select,
)
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.schema import Table

from controller.models.errors import InputError, MinkaError, StoreAwayError, StoreError
from controller.models.metrics import DAMAGED_ROWS, Observations
from controller.ports.clock import Clock
from controller.store.database import audit_chain, epochs
from controller.store.database.engine import BEGIN, BRIEFLY, PATIENCE, WAITS, impatient, limit_locks
from controller.store.database.evidence import Evidence, Head
from controller.store.database.failures import is_away, is_locked, is_passing, is_silent
from controller.store.database.pulses import Pulses
from controller.store.database.queries import INSERTS, Insert, chunks

R = TypeVar("R")
K = TypeVar("K")
V = TypeVar("V")
Mode = Literal["IMMEDIATE", "DEFERRED"]
_GUARD = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name", type_=String), 0)))
#: Attempts of a transaction that meets a deadlock, a serialization failure, a race for a row or a lost connection.
ATTEMPTS = 4
#: How often a transaction is left for something that has to be worked out first; after that it is worked out inside.
DEPARTURES = 8
_WANTED = "wanted"
#: Seconds of pause after the first attempt; doubles each time.
PAUSE = 0.05
#: Seconds of a statement that waited for nobody, even on a busy machine.
_QUICK = 0.5


class Patience:
    """How long one call still waits for locks of others: in all its attempts, and for all locks of one together.

    Statements that take long are taken to have waited. Work of many quick ones uses up nothing.

    Args:
        seconds: As long as connections wait for a lock by themselves.
        clock: Source of time.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = self._left = self._told = seconds
        self._quick = min(_QUICK, seconds / 2)
        self._clock = clock

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left: locks are then waited for briefly, so that work goes on that needs none."""
        return self._left <= 0

    def take_along(self, connection: Connection) -> None:
        """Prepare a connection, which may know of other calls, for a transaction."""
        self._told = self._seconds
        if connection.dialect.name == "sqlite" and self._left < self._seconds:
            connection.info[WAITS] = self._at_most

    def limit(self, connection: Connection) -> None:
        """Tell PostgreSQL what is left, if that became less: its time-out counts anew for each lock."""
        if self._left < self._told:
            limit_locks(connection, self._at_most)
            self._told = self._left

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Count what the block waits."""
        begun = self._clock.monotonic()
        try:
            yield
        finally:
            took = self._clock.monotonic() - begun
            if took >= self._quick:
                self._left -= took

    def forget(self) -> None:
        """Know that the server forgot what it was told since a savepoint."""
        self._told = self._seconds

    @property
    def _at_most(self) -> float:
        return min(self._seconds, max(BRIEFLY, self._left))


class Unready(Exception):  # noqa: N818  # it is no error: the work is repeated
    """Work needs something that takes long to work out: its transaction ends, and begins anew once that is known.

    Args:
        prepare: Works it out, outside of any transaction, and keeps it.
    """

    def __init__(self, prepare: Callable[[], object]) -> None:
        super().__init__()
        self.prepare = prepare


class WorkedOut(Generic[K, V]):
    """Results that take long to work out, which is never done inside a transaction; those used last are kept.

    A transaction that computes keeps its locks meanwhile, and PostgreSQL ends it (``idle-in-transaction``).

    Args:
        kept: How many are kept in memory.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._known: dict[K, V] = {}

    def keys(self) -> list[K]:
        """Keys of the results in memory."""
        with self._lock:
            return list(self._known)

    def peek(self, key: K) -> V | None:
        """The result for a key if it is in memory."""
        with self._lock:
            if key not in self._known:
                return None
            found = self._known[key] = self._known.pop(key)  # now the one that was used last
            return found

    def get(self, tx: Tx, key: K, work_out: Callable[[], V]) -> V:
        """The result for a key.

        Raises:
            Unready: It is not known; ``Database`` has it worked out and repeats the transaction.
        """
        found = self.peek(key)
        if found is None and not tx.insists:
            raise Unready(lambda: self.find(key, work_out))
        return self.find(key, work_out) if found is None else found

    def take_all(self, tx: Tx, works: Mapping[K, Callable[[], V]]) -> dict[K, V]:
        """The results for several keys, which leave the memory; those that are not known are worked out together.

        Raises:
            Unready: One is not known.
        """
        missing = [key for key in works if self.peek(key) is None]
        if missing and not tx.insists:
            raise Unready(lambda: [self.find(key, works[key]) for key in missing])
        found = {key: self.find(key, work_out) for key, work_out in works.items()}
        with self._lock:
            for key in works:
                self._known.pop(key, None)
        return found

    def find(self, key: K, work_out: Callable[[], V]) -> V:
        """The result for a key, outside of transactions."""
        known = self.peek(key)
        if known is not None:
            return known
        found = work_out()
        with self._lock:
            self._known[key] = found
            while len(self._known) > self._kept:
                del self._known[next(iter(self._known))]
        return found


@dataclass(slots=True)
class Tx:
    """A transaction under way.

    Audit rows wait in ``notes`` until just before the commit: the chain's head is the last lock that a transaction
    takes, so audited transactions cannot deadlock on it. One that ``insists`` works out what it needs by itself.
    ``patience`` is that of its call, where single statements wait for locks.
    ``results`` are those of its statements: of SQLite, one that was not read to its end keeps the connection at what it
    saw then, also after the transaction and for all others that use the connection.
    """

    connection: Connection
    clock: Clock
    evidence: Evidence = field(default_factory=Evidence)
    observations: Observations = field(default_factory=Observations)
    pulses: Pulses = field(default_factory=Pulses)
    notes: list[audit_chain.Note] = field(default_factory=list)
    head: Head | None = None
    insists: bool = False
    patience: Patience | None = None
    results: list[CursorResult[Any]] = field(default_factory=list)
    _now: datetime = field(init=False)
    _told: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        """Read the time."""
        self._now = self.clock.now()

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.connection.dialect.name

    @property
    def now(self) -> datetime:
        """Time of day: one for all that the transaction puts on record, that of its begin.

        A time that moved meanwhile would tell how much it did for others.
        """
        self._told = True
        return self._now

    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Execute one statement, once for each element if ``parameters`` is a list, which must not be empty."""
        if self.patience is None:
            result = self.connection.execute(statement, parameters)
        else:
            self.patience.limit(self.connection)
            with self.patience.spent():
                result = self.connection.execute(statement, parameters)
        if result.returns_rows:
            self.results.append(result)
        return result

    def rows(
        self, query: Select[Any], column: ColumnElement[str], wanted: Iterable[str] | None, **parameters: object
    ) -> Iterator[Row[Any]]:
        """Rows of ``query`` whose ``column`` is in ``wanted``, however many; all rows if it is None.

        Args:
            query: The query; a constant of a module is quicker.
            column: A column of the query.
            wanted: Values of the column.
            parameters: Parameters of the query.
        """
        if wanted is None:
            yield from self.execute(query, parameters)
            return
        values = sorted(set(wanted))
        if len(values) == 1:  # By far the most frequent case; the statement then needs no list.
            yield from self.execute(_is(query, column), {**parameters, _WANTED: values[0]})
            return
        among = _among(query, column)
        for keys in chunks(values):
            yield from self.execute(among, {**parameters, _WANTED: keys})

    def insert(self, table: Table) -> Insert:
        """An INSERT of the dialect, with ``on_conflict_do_…``, which both databases have."""
        return INSERTS[self.dialect](table)

    def guard(self, name: str) -> None:
        """Let only one transaction at a time pass for ``name``, until it ends (SQLite has one writer anyway)."""
        if self.dialect == "postgresql":
            self.execute(_GUARD, {"name": name})
            if not self._told:  # Whom it waited for put later times on record.
                self._now = self.clock.now()

    def note(self, actor: str, action: str, target: str, **detail: object) -> None:
        """Put an act on the audit trail; the row commits with the transaction."""
        self.note_about((), actor, action, target, **detail)

    def note_about(self, devices: Iterable[str], /, actor: str, action: str, target: str, **detail: object) -> None:
        """Do so, and have the row found by devices that it concerns, as far as no other record says so."""
        texts = {key: str(value) for key, value in detail.items() if value not in (None, "")}
        self.notes.append(audit_chain.Note(self.now, actor, action, target, texts, tuple(devices)))

    def seal(self) -> None:
        """Write the audit rows."""
        if self.notes:
            self.guard("audit")
            # Rows after an older record than the known one must never look like its continuation.
            epoch = epochs.epoch_of(self.connection, self.evidence, self.notes)
            number, digest = audit_chain.append(self.connection, self.notes, self.evidence.keys)
            self.head = Head(epoch, number, digest)


@lru_cache(maxsize=1 << 8)
def _among(query: Select[Any], column: ColumnElement[str]) -> Select[Any]:
    """A query of a module, limited to some values. Cached, since to build it takes longer than to execute it."""
    return query.where(column.in_(bindparam(_WANTED, expanding=True)))


@lru_cache(maxsize=1 << 8)
def _is(query: Select[Any], column: ColumnElement[str]) -> Select[Any]:
    """As ``_among``, for one value."""
    return query.where(column == bindparam(_WANTED))


class Database:
    """Opens transactions, repeats them, and translates their failures.

    Args:
        engine: From ``make_engine``.
        clock: Source of time for rows, and for pauses between attempts.
        evidence: Evidence outside of the database; without it rows are not signed, and older records are not noticed.
        observations: Counts what is found damaged.
        patience: Seconds for which one call waits for locks of others; the same that ``make_engine`` was told.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        evidence: Evidence | None = None,
        observations: Observations | None = None,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self.engine = engine
        self._patience = patience
        self.clock = clock
        self.evidence = evidence or Evidence()
        self.observations = observations or Observations()
        self.observations.begin(DAMAGED_ROWS)
        self._pulses = Pulses()
        self._joined = threading.local()

    @property
    def is_joined(self) -> bool:
        """Whether this thread is in a transaction that its caller opened."""
        return getattr(self._joined, "tx", None) is not None

    def run(self, work: Callable[[Tx], R], mode: Mode = "IMMEDIATE") -> R:
        """Run ``work`` in this thread's transaction, or in one of its own, which is repeated while that may help.

        Raises:
            StoreAwayError: The database is down or does not answer. If the connection was lost during the commit, the
                transaction may or may not have happened.
            StoreError: The database is full, or stays locked.
            InputError: The database can't keep a value, such as a text with NUL.
        """
        joined: Tx | None = getattr(self._joined, "tx", None)
        if joined is not None:
            return work(joined)
        for _ in range(DEPARTURES):
            try:
                return self._attempted(work, mode, self.patience())
            except Unready as need:
                need.prepare()
        return self._attempted(work, mode, self.patience(), insists=True)

    def run_unless_locked(self, work: Callable[[Tx], object]) -> None:
        """Run work that is for information only, once, in a transaction of its own; not at all if that fails.

        Nobody waits long for it where somebody else keeps a lock.
        """
        with suppress(SQLAlchemyError, StoreError), self._begin("DEFERRED") as tx, impatient(tx.connection):
            work(tx)

    def patience(self) -> Patience:
        """That of a call which begins now."""
        return Patience(self._patience, self.clock)

    def _attempted(self, work: Callable[[Tx], R], mode: Mode, patience: Patience, *, insists: bool = False) -> R:
        for attempt in range(ATTEMPTS):
            try:
                with self._begin(mode, patience) as tx:
                    tx.insists = insists
                    return work(tx)
            except DBAPIError as error:
                ended = attempt == ATTEMPTS - 1 or (is_locked(error) and patience.is_over)
                if ended or not is_passing(error):
                    raise _translated(error) from error
                self.clock.pause(PAUSE * 2**attempt)
            except SQLAlchemyError as error:
                raise _translated(error) from error
        raise AssertionError  # The last attempt returned or raised.

    def together(
        self, works: Sequence[Callable[[], R]], mode: Mode = "IMMEDIATE", patience: Patience | None = None
    ) -> list[R | Exception]:
        """Run several pieces of work, committed together; each is all or nothing on its own.

        A piece that raises is rolled back alone; one that raises ``Unready`` can be run again once that is worked out.
        If the group as a whole can't be committed, each piece gets a transaction of its own, so pieces must be
        repeatable. If the database turns out to be away, the remaining pieces are not tried. All that has its turn
        together has one ``patience``: once that is over, pieces that need no lock of others still go on.
        """
        patience = patience or self.patience()
        if len(works) > 1:
            try:
                with self._begin(mode, patience) as tx:
                    return [self._saved(tx, work) for work in works]
            except SQLAlchemyError as error:
                if isinstance(error, DBAPIError) and is_silent(error):
                    return [_translated(error)] * len(works)
                # Whatever the error was, it occurs again for the piece that caused it.
                return self._one_by_one(works, mode, patience)
            except StoreError as error:
                return [error] * len(works)
        return self._one_by_one(works, mode, patience)

    def _one_by_one(self, works: Sequence[Callable[[], R]], mode: Mode, patience: Patience) -> list[R | Exception]:
        results: list[R | Exception] = []
        for work in works:
            last = results[-1] if results else None
            results.append(last if isinstance(last, StoreAwayError) else self._alone(work, mode, patience))
        return results

    def _alone(self, work: Callable[[], R], mode: Mode, patience: Patience) -> R | Exception:
        try:
            return self._attempted(lambda tx: self.join(tx, work), mode, patience)
        except Exception as error:  # noqa: BLE001  # it belongs to the caller of this piece
            return error

    def _saved(self, tx: Tx, work: Callable[[], R]) -> R | Exception:
        notes = len(tx.notes)
        # Not begin_nested(), which compiles these two statements each time.
        tx.connection.exec_driver_sql("SAVEPOINT piece")
        try:
            result = self.join(tx, work)
            tx.connection.exec_driver_sql("RELEASE SAVEPOINT piece")
            return result
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001  # it belongs to the caller of this piece
            tx.connection.exec_driver_sql("ROLLBACK TO SAVEPOINT piece")
            tx.connection.exec_driver_sql("RELEASE SAVEPOINT piece")
            if tx.patience is not None:
                tx.patience.forget()
            del tx.notes[notes:]
            return error

    def join(self, tx: Tx, work: Callable[[], R]) -> R:
        """Let all that ``work`` does in this thread be part of the transaction."""
        before = getattr(self._joined, "tx", None)
        self._joined.tx = tx
        try:
            return work()
        finally:
            self._joined.tx = before

    @contextmanager
    def _begin(self, mode: Mode, patience: Patience | None = None) -> Iterator[Tx]:
        with self.engine.connect() as connection:
            connection.info[BEGIN] = mode
            if patience is None:
                connection.begin()
            else:
                patience.take_along(connection)
                with patience.spent():
                    connection.begin()
            tx = Tx(connection, self.clock, self.evidence, self.observations, self._pulses)
            if tx.dialect == "postgresql":
                tx.patience = patience
            try:
                yield tx
                tx.seal()
                _commit(connection)
            finally:
                # Whoever keeps an error also keeps what was being read when it was raised.
                for result in tx.results:
                    result.close()
            if tx.head is not None:
                self.evidence.saw(tx.head)


def _commit(connection: Connection) -> None:
    try:
        connection.commit()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreAwayError("the database went away during a commit, which may or may not count") from error
        raise


def _translated(error: SQLAlchemyError) -> MinkaError:
    cause = error.orig if isinstance(error, StatementError) else error
    if isinstance(error, DataError) or isinstance(cause, OverflowError | ValueError):
        # Waiting for the database would not help.
        return InputError(f"the database has no room for one of the values: {cause}")
    if not isinstance(error, DBAPIError):
        return StoreError(f"the database could not be used: {cause}")
    kind = StoreAwayError if is_away(error) else StoreError
    return kind(f"the database refused or is unreachable: {str(error.orig).strip()}")
