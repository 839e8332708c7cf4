"""The audit chain: each row holds the hash of the one before, so that changed or removed rows are found.

Hashes are keyed (HMAC-SHA-256, RFC 2104) with a key outside of the database: somebody who can only write to the
database can't make a valid row or hash. Rows that were written before there were keys have plain hashes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Row,
    RowMapping,
    String,
    Table,
    func,
    literal_column,
    select,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.sql.expression import ColumnCollection

from controller.models.audit import AuditAnchor, AuditBreak
from controller.models.run import AuditRow
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.evidence import AuditKeys, Evidence, Head
from controller.store.database.failures import is_away, is_passing
from controller.store.database.queries import INSERTS, chunks


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which rows of the audit trail are wanted; None for any.

    Attributes:
        actor: Who did it.
        action: What was done; a ``*`` at the end stands for any ending.
        object: To what; likewise.
        device: Which device they concern: by itself, by its runs, jobs, alarms, plans and notices, or by what binds it.
        places: Targets of holds and freezes that bind the device beside its id, as in ``site:cusco-12``.
        since: Not before.
        until: Before.
    """

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    device: str | None = None
    places: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


#: All rows.
EVERYTHING = AuditQuery()


#: The audit trail. Each row holds the hash of the row before, so that none can be changed or removed unnoticed.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    string("actor"),
    string("action"),
    string("object"),
    long_text("detail"),
    string("previous"),
    string("hash"),
    # Id of the key of this hash; empty for a plain hash.
    Column("key", String, nullable=False, server_default=""),
    Index("ix_audit_object", "object", "id"),
)

#: Devices that a row concerns, as far as neither its object nor another record says so. They find the row, and are no
#: evidence: it outlives them and they outlive it.
audit_devices = Table(
    "audit_devices",
    metadata,
    Column("device", String, primary_key=True),
    Column("row", BigInteger, primary_key=True, autoincrement=False),
)

#: The end of the chain (one row), which reveals a chain that was cut short.
audit_head = Table(
    "audit_head",
    metadata,
    Column("chain", String, primary_key=True),
    Column("last", BigInteger, nullable=False),
    string("hash"),
)

#: The previous hash of the first row.
GENESIS = "0" * 64
#: Action of the row for a person's decision which of two records is right.
DECIDED = "record.decided"
#: Object of that row: the record itself.
RECORD = "record"
_CHAIN = "audit"
#: Number of the newest row by the head of the chain. Other rows of the table count for nothing.
LAST = select(audit_head.c.last).where(audit_head.c.chain == literal_column(f"'{_CHAIN}'"))
_HEAD = LAST.add_columns(audit_head.c.hash)
_HEADS = select(func.count()).select_from(audit_head)
_DECISIONS = select(audit.c.id).where(audit.c.object == RECORD, audit.c.action == DECIDED).order_by(audit.c.id.desc())
#: What databases, their drivers and our types raise at a value that nobody here can have written.
_UNREADABLE = (SQLAlchemyError, ValueError, AttributeError, OverflowError)
UNREAD = "it can't be read: it was changed"
#: The greatest number of a row that a database takes.
_MOST = 2**63 - 1
#: Rows whose number is one. SQLite keeps texts there too, and they are greater than any number.
NUMBERED = audit.c.id <= _MOST
_TEXTS = ("actor", "action", "object", "detail", "previous", "hash", "key")
_NEW, _NEW_ABOUT = audit.insert(), audit_devices.insert()
_NEW_HEAD = {
    dialect: (row := insert(audit_head)).on_conflict_do_update(
        index_elements=["chain"], set_={"last": row.excluded.last, "hash": row.excluded.hash}
    )
    for dialect, insert in INSERTS.items()
}


@dataclass(frozen=True, slots=True)
class Note:
    """An audit row to be written; ``about`` has devices that it concerns beside its target."""

    at: datetime
    actor: str
    action: str
    target: str
    detail: dict[str, str]
    about: tuple[str, ...] = ()


def newest(connection: Connection) -> tuple[int, str]:
    """Number and hash of the newest row."""
    head = connection.execute(_HEAD).one_or_none()
    return (head.last, head.hash) if head else (0, GENESIS)


def append(connection: Connection, notes: Sequence[Note], keys: AuditKeys) -> tuple[int, str]:
    """Write rows at the end of the chain. The caller makes sure that nobody else does.

    Returns:
        Number and hash of the last row.
    """
    last, previous = newest(connection)
    key = keys.newest.id if keys.newest else ""
    rows, about = [], []
    for number, note in enumerate(notes, start=last + 1):
        row = {"id": number, "at": note.at, "actor": note.actor, "action": note.action, "object": note.target}
        row |= {"detail": orjson.dumps(note.detail, option=orjson.OPT_SORT_KEYS).decode()}
        row |= {"previous": previous, "key": key}
        last, previous = number, _digest(row, keys)
        rows.append({**row, "hash": previous})
        about += [{"device": device, "row": number} for device in dict.fromkeys(note.about)]
    connection.execute(_NEW, rows)
    if about:
        connection.execute(_NEW_ABOUT, about)
    head = {"chain": _CHAIN, "last": last, "hash": previous}
    connection.execute(_NEW_HEAD[connection.dialect.name], head)
    return last, previous


def matching(columns: ColumnCollection[str, Any], wanted: AuditQuery) -> list[ColumnElement[bool]]:
    """Conditions on rows of the trail, or on a query with its columns."""
    found = [] if wanted.actor is None else [columns.actor == wanted.actor]
    named = ((columns.action, wanted.action), (columns.object, wanted.object))
    found += [is_named(column, text) for column, text in named if text is not None]
    found += [] if wanted.since is None else [columns.at >= wanted.since]
    return found if wanted.until is None else [*found, columns.at < wanted.until]


def is_named(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """The condition that a column has this text, or begins with it where the text ends with ``*``."""
    begins = column.startswith(text.removesuffix("*"), autoescape=True)
    return begins if text.endswith("*") else column == text


def first_broken(connection: Connection, keys: AuditKeys) -> AuditBreak | None:
    """The first row that was changed, removed or cut off, or None."""
    expected, previous = 1, GENESIS
    query = select(audit).order_by(audit.c.id)
    try:
        with connection.execute(query.execution_options(yield_per=1000)) as rows:
            for row in rows:
                if wrong := _wrong(row, expected, previous, keys):
                    return AuditBreak(number=expected, reason=wrong)
                expected, previous = expected + 1, row.hash
    except _UNREADABLE as error:
        _pass_on(error)
        return _broken_one_by_one(connection, expected, previous, keys)
    return _broken_end(connection, expected, previous)


def last_decision(connection: Connection, evidence: Evidence) -> Head:
    """The row of a person's last decision which of two records is right, by rows that are proved; else an empty one."""
    row = _last_decision(connection, evidence)
    return Head() if row is None else Head(_epoch_in(row.detail), row.id, row.hash)


def decided_at(connection: Connection, evidence: Evidence) -> datetime | None:
    """When a person last decided so, by the same row; None if never. A row of ``doubts`` proves nothing."""
    row = _last_decision(connection, evidence)
    at: datetime | None = row and row.at
    return at


def _last_decision(connection: Connection, evidence: Evidence) -> Row[Any] | None:
    """The row of the last decision that is proved.

    Where there are keys, a row without a signature proves nothing: anybody who can write to the database can make one.
    """
    for number in connection.execute(_DECISIONS).scalars().all():
        row = _read(connection, number)
        if isinstance(row, str) or not _is_typed(row):
            continue
        keys = evidence.keys_for(row.key)
        if (row.key or keys.newest is None) and not _wrong(row, row.id, row.previous, keys):
            return row
    return None


def wrong_in(connection: Connection, row: Row[Any], keys: AuditKeys) -> str:
    """What is wrong with one row between its two neighbours; empty if nothing is."""
    return _wrong_among(row, _near(connection, [row.id]), _end(connection), keys)


def intact(connection: Connection, numbers: Sequence[int], keys: AuditKeys) -> list[Row[Any]]:
    """Rows by their numbers, in that order, as far as they are as they were written, between their two neighbours.

    Decisions rest on such rows alone: anybody who can write to the database can make others.
    """
    near, end = _near(connection, numbers), _end(connection)
    found = (near[number] for number in numbers if number in near)
    return [row for row in found if not _wrong_among(row, near, end, keys)]


def _near(connection: Connection, numbers: Iterable[int]) -> dict[int, Row[Any]]:
    """Rows by number, with their neighbours."""
    return rows_of(connection, (beside for number in numbers for beside in (number - 1, number, number + 1)))


def _end(connection: Connection) -> tuple[int, str]:
    """Number and hash of the newest row; those of no row if they can't be read."""
    try:
        return newest(connection)
    except _UNREADABLE as error:
        _pass_on(error)
        return 0, GENESIS


def _wrong_among(row: Row[Any], near: Mapping[int, Row[Any]], end: tuple[int, str], keys: AuditKeys) -> str:
    before, after, (last, digest) = near.get(row.id - 1), near.get(row.id + 1), end
    expected = GENESIS if row.id == 1 else before.hash if before else ""
    # Rows behind the end of the chain count for nothing.
    following = digest if row.id == last else after.previous if after else ""
    return _wrong(row, row.id, expected, keys) or ("" if following == row.hash else "no row follows from it")


def first_unanchored(connection: Connection, anchors: Iterable[AuditAnchor], evidence: Evidence) -> AuditBreak | None:
    """The first anchored row that is not on the trail as it was anchored, or None.

    Anchors from before a person's decision that an older record is right are passed over, if its row is proved.
    """
    epoch = last_decision(connection, evidence).epoch
    for part in chunks(sorted((anchor for anchor in anchors if anchor.number), key=lambda anchor: anchor.number)):
        query = select(audit.c.id, audit.c.hash).where(audit.c.id.in_([anchor.number for anchor in part]))
        hashes = {row.id: row.hash for row in connection.execute(query)}
        for anchor in part:
            if hashes.get(anchor.number) != anchor.hash and anchor.epoch >= epoch:
                wrong = "it is another one than" if anchor.number in hashes else "it is missing, and"
                return AuditBreak(number=anchor.number, reason=f"{wrong} was anchored")
    return None


def hashes_of(connection: Connection, behind: int, most: int) -> dict[int, str]:
    """Hashes of the next rows of the chain by number, from behind a row on; empty for one that can't be read."""
    following = select(audit.c.id).where(NUMBERED, audit.c.id > behind, audit.c.id <= LAST.scalar_subquery())
    query = following.order_by(audit.c.id).limit(most)
    try:
        return {row.id: row.hash for row in connection.execute(query.add_columns(audit.c.hash))}
    except _UNREADABLE as error:
        _pass_on(error)
        numbers = connection.execute(query).scalars().all()
        found = rows_of(connection, numbers)
        return {number: found[number].hash if number in found else "" for number in numbers}


def rows_of(connection: Connection, numbers: Iterable[int]) -> dict[int, Row[Any]]:
    """Rows by number; none for those that are missing or can't be read, so that one of them hides no other."""
    found: dict[int, Row[Any]] = {}
    for part in chunks(sorted({number for number in numbers if 0 < number <= _MOST})):
        try:
            rows = connection.execute(select(audit).where(audit.c.id.in_(part))).all()
        except _UNREADABLE as error:
            _pass_on(error)
            read = [_read(connection, number) for number in part]
            rows = [row for row in read if not isinstance(row, str)]
        found |= {row.id: row for row in rows if _is_typed(row)}
    return found


def nouns(connection: Connection, numbers: Sequence[int]) -> list[AuditRow]:
    """Rows by their numbers, in that order. One that can't be read says nothing but its number."""
    found = rows_of(connection, numbers)
    return [as_noun(found[number]) if number in found else _unreadable(number) for number in numbers]


def as_noun(row: Row[Any]) -> AuditRow:
    """Make an ``AuditRow`` of a row of ``rows_of``."""
    detail = _detail_in(row.detail)
    if detail is None:
        return _unreadable(row.id)
    return AuditRow(id=row.id, at=row.at, actor=row.actor, action=row.action, object=row.object, detail=detail)


def _unreadable(number: int) -> AuditRow:
    return AuditRow(id=number, at=None, actor="", action="", object="")


def _detail_in(text: str) -> dict[str, str] | None:
    """Details of a row; None for a text that nobody here can have written."""
    try:
        detail = orjson.loads(text)
    except ValueError:
        return None
    if not isinstance(detail, dict) or not all(isinstance(value, str) for value in detail.values()):
        return None
    return detail


def _pass_on(error: Exception) -> None:
    """Raise an error that says nothing of what is on record: the database is away, or has to be asked again."""
    if isinstance(error, DBAPIError) and (is_away(error) or is_passing(error)):
        raise error


def _read(connection: Connection, number: int) -> Row[Any] | str:
    """A row, or why there is none."""
    try:
        return connection.execute(select(audit).where(audit.c.id == number)).one_or_none() or "it is missing"
    except _UNREADABLE as error:
        _pass_on(error)
        # This fails too where the database could not do any statement, and then says nothing about the row.
        connection.execute(select(audit.c.id).where(audit.c.id == number)).all()
        return UNREAD


def _broken_one_by_one(connection: Connection, number: int, previous: str, keys: AuditKeys) -> AuditBreak:
    """The first row from ``number`` on that was changed, where one of them can't be read."""
    while True:
        row = _read(connection, number)
        wrong = row if isinstance(row, str) else _wrong(row, number, previous, keys)
        if isinstance(row, str) or wrong:
            return AuditBreak(number=number, reason=wrong)
        number, previous = number + 1, row.hash


def _broken_end(connection: Connection, following: int, previous: str) -> AuditBreak | None:
    """What is wrong with the head of the chain, by the row that would follow from its end; None if nothing is."""
    try:
        last, digest = newest(connection)
    except _UNREADABLE as error:
        _pass_on(error)
        return AuditBreak(number=following, reason="the head of the chain can't be read: it was changed")
    if (last, digest) != (following - 1, previous):
        number = min(following, last + 1) if isinstance(last, int) else following
        return AuditBreak(number=number, reason="the chain does not end where its head says")
    if connection.execute(_HEADS).scalar_one() > 1:
        return AuditBreak(number=following, reason="the chain has more than one head")
    return None


def _epoch_in(detail: str) -> int:
    """The epoch that a decision began, by the detail of its row; 0 if that names none, as without keys anybody can."""
    try:
        return int(orjson.loads(detail)["epoch"])
    except (ValueError, KeyError, TypeError):
        return 0


def _is_typed(row: Row[Any]) -> bool:
    """Whether a row holds values of the types that were written; SQLite keeps others too."""
    values = row._mapping
    return (
        isinstance(values["id"], int)
        and isinstance(values["at"], datetime)
        and all(isinstance(values[name], str) for name in _TEXTS)
    )


def _wrong(row: Row[Any], expected: int, previous: str, keys: AuditKeys) -> str:
    """What is wrong with a row after the one before; empty if nothing is."""
    if row.id != expected:
        return "it is missing"
    if not _is_typed(row):
        return UNREAD
    if not row.key and keys.sign(row.id):
        return "it is not signed, and rows before it were"
    if row.key and keys.secret(row.key) is None:
        return f"its key {row.key} is not among those that are known here"
    if row.previous != previous:
        return "it does not follow the row before it"
    # As bytes: of texts, it takes only such as are ASCII.
    digest = _digest(row._mapping, keys)
    return "" if hmac.compare_digest(row.hash.encode(), digest.encode()) else "it was changed"


def _digest(row: Mapping[str, Any] | RowMapping, keys: AuditKeys) -> str:
    parts = [row["previous"], row["id"], row["at"].astimezone(UTC).isoformat()]
    content = orjson.dumps([*parts, *(row[name] for name in ("actor", "action", "object", "detail"))])
    secret = keys.secret(row["key"])
    if secret is None:
        return hashlib.sha256(content).hexdigest()
    return hmac.digest(secret, content + row["key"].encode(), "sha256").hex()
