"""Measurement files of stations: those collected or refused, and counters in them that the vocabulary does not have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import AwareDatetime
from sqlalchemy import BigInteger, Column, Integer, String, Table, bindparam, delete, func, select

from controller.models.network import Noun
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.queries import as_noun
from controller.store.database.repository import M_co, Repository, Sync, method, reads, writes
from controller.store.database.transaction import Tx


class CollectedFile(Noun):
    """A measurement file that was collected from a station, or refused.

    Attributes:
        name: As the station names it (TS 32.432 §5.2).
        digest: Digest of its content as it was fetched.
        at: When it was collected; now if None.
        periods: Periods in it.
        error: Why it was refused; empty if it was accepted.
    """

    station: str
    name: str
    digest: str
    at: AwareDatetime | None = None
    periods: int = 0
    error: str = ""


class UnknownCounter(Noun):
    """A counter that the vocabulary does not have: counted and named once, and not kept.

    Attributes:
        name: Its name without subcounters.
        count: Number of its values so far.
        station: The station that had it first.
    """

    name: str
    count: int
    station: str
    since: AwareDatetime
    last: AwareDatetime


files = Table(
    "measurement_files",
    metadata,
    Column("station", String, primary_key=True),
    Column("name", String, primary_key=True),
    string("digest"),
    Column("at", Instant, nullable=False, index=True),
    Column("periods", Integer, nullable=False),
    long_text("error"),
)

unknown_counters = Table(
    "unknown_counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("count", BigInteger, nullable=False),
    string("station"),
    Column("since", Instant, nullable=False),
    Column("last", Instant, nullable=False),
)

#: The longest time for which names of collected files are kept. Each station has a hundred files a day, and few
#: stations keep them longer. A file that stays longer is read again, and changes nothing.
_FILES_KEPT = timedelta(days=7)

#: How many names of unknown counters are kept, and how long each may be: a station may send anything.
_MOST_UNKNOWN, _LONGEST_NAME = 2_000, 120

#: The name under which all other unknown counters are counted.
_OTHERS = "(others)"

_UNKNOWN = select(unknown_counters.c.name)
_FILES = select(files).where(files.c.station == bindparam("of"))


class CollectedFiles(Repository[M_co]):
    """Measurement files, and counters of theirs that are not kept."""

    @method
    def put(self: CollectedFiles[Sync], collected: Iterable[CollectedFile]) -> None:
        """Put files on record as collected, in the transaction that puts their periods."""
        self._put(tuple(collected))

    @writes
    def _put(self, tx: Tx, collected: Sequence[CollectedFile]) -> None:
        rows = [one.model_dump() | {"at": one.at or tx.now} for one in collected]
        if rows:
            new = tx.insert(files)
            changed = {name: new.excluded[name] for name in ("digest", "at", "periods", "error")}
            tx.execute(new.on_conflict_do_update(index_elements=["station", "name"], set_=changed), rows)

    @reads
    def known(self, tx: Tx, station: str, names: Collection[str]) -> dict[str, CollectedFile]:
        """Those of these files of a station that were collected already, by name."""
        return {row.name: as_noun(CollectedFile, row) for row in tx.rows(_FILES, files.c.name, names, of=station)}

    @reads
    def newest(self, tx: Tx, station: str, limit: int) -> list[CollectedFile]:
        """The newest files of a station, collected or refused, newest first."""
        newest = _FILES.order_by(files.c.at.desc(), files.c.name.desc()).limit(limit)
        return [as_noun(CollectedFile, row) for row in tx.execute(newest, {"of": station})]

    @writes
    def miss(self, tx: Tx, station: str, unknown: Mapping[str, int]) -> list[str]:
        """Count values of unknown counters by name; returns the names that are new."""
        counts: dict[str, int] = defaultdict(int)
        for name, count in unknown.items():
            counts[name[:_LONGEST_NAME]] += count
        tx.guard("unknown-counters")  # Stations that are read at once share the room.
        known = {row.name for row in tx.rows(_UNKNOWN, unknown_counters.c.name, counts)}
        room = _MOST_UNKNOWN - tx.execute(select(func.count()).select_from(unknown_counters)).scalar_one()
        new = sorted(counts.keys() - known)[: max(room, 0)]
        for name in counts.keys() - known - set(new):
            counts[_OTHERS] += counts.pop(name)
        rows = [
            {"name": name, "count": count, "station": station, "since": tx.now, "last": tx.now}
            for name, count in sorted(counts.items())
        ]
        if rows:
            row = tx.insert(unknown_counters)
            more = {"count": unknown_counters.c.count + row.excluded.count, "last": row.excluded.last}
            tx.execute(row.on_conflict_do_update(index_elements=["name"], set_=more), rows)
        return new

    @reads
    def unknown(self, tx: Tx) -> list[UnknownCounter]:
        """Counters of stations that the vocabulary does not have, by name."""
        return [as_noun(UnknownCounter, row) for row in tx.execute(select(unknown_counters).order_by("name"))]


def retire_files(tx: Tx, now: datetime, before: datetime) -> None:
    """Forget files and unknown counters of before a time; files after a week at most."""
    tx.execute(delete(files).where(files.c.at < max(before, now - _FILES_KEPT)))
    tx.execute(delete(unknown_counters).where(unknown_counters.c.last < before))
