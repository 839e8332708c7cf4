"""Devices and their health."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from pydantic import ValidationError
from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
    text,
    update,
)

from controller.intent.delivery import Carried, Delivery
from controller.intent.times import Times, union
from controller.models.health import OBSERVED_AFTER, Health
from controller.models.many import first_names
from controller.models.measurement import GRANULARITIES, ListedPlmns
from controller.models.plan import LedgerNode
from controller.nrm.tree import Path
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.repository import M_co, Repository, reads, writes
from controller.store.database.transaction import Tx
from controller.store.network.behaviours import forget_behaviour
from controller.store.network.leases import leases
from controller.store.network.ledger import LedgerChange, carried_during, change_ledger, note_carried


@dataclass(frozen=True, slots=True)
class Device:
    """What the record says of a station.

    Attributes:
        adopted: When it was adopted, or None while it is observe-only.
        network_digest: Digest of the network that was last applied or adopted on it, perhaps in part.
        applied: When that was.
        retired: Since when it is out of service; None if it is in service.
        beside: Ids of managed elements of which a person said that they may stand beside the station's own.
    """

    station: str
    adopted: datetime | None
    network_digest: str
    applied: datetime | None
    retired: datetime | None = None
    beside: tuple[str, ...] = ()


_CURRENT = text("until IS NULL")

devices = Table(
    "devices",
    metadata,
    Column("station", String, primary_key=True),
    Column("adopted", Instant),
    string("network_digest"),
    Column("applied", Instant),
    Column("retired", Instant),
    # Ids of managed elements that may stand beside the station's own: a JSON list, or empty.
    long_text("beside"),
)

healths = Table(
    "healths",
    metadata,
    Column("station", String, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("content", Text, nullable=False),
    # Since when the station is to be read again; NULL once it was read.
    Column("asked", Instant),
    # Since when no two checks were further apart than ``OBSERVED_AFTER``.
    Column("since", Instant, nullable=False),
)

#: Earlier times in which a station was checked, of which each ended with a check that had no other soon after it.
observed_times = Table(
    "observed_times",
    metadata,
    Column("number", Integer, primary_key=True),
    string("station"),
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Index("ix_observed_times_until", "until"),
)

#: Times between two reads in which a fault of a cell or core link stood by the station's own list.
lasted_times = Table(
    "lasted_times",
    metadata,
    Column("number", Integer, primary_key=True),
    string("station"),
    string("object"),
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Index("ix_lasted_times_until", "until"),
)

#: When stations were adopted, until they were taken out of service.
adoptions = Table(
    "adoptions",
    metadata,
    Column("number", Integer, primary_key=True),
    string("station"),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Index("ix_adoptions_until", "until"),
    Index("ix_adoptions_current", "station", unique=True, sqlite_where=_CURRENT, postgresql_where=_CURRENT),
)

_ASKED = select(healths.c.station, healths.c.at).where(healths.c.asked.is_not(None))
_ASK = update(healths).where(healths.c.station == bindparam("of")).values(asked=bindparam("now", type_=Instant()))

#: Since when, and until when, a cell was locked or shutting down, as seen by checks of its station.
locks = Table(
    "locks",
    metadata,
    Column("number", Integer, primary_key=True),
    string("station"),
    string("cell"),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Index("ix_locks_until", "until"),
    Index("ix_locks_current", "station", "cell", unique=True, sqlite_where=_CURRENT, postgresql_where=_CURRENT),
)

#: Since when, and until when, each check read the same PLMNs of a station's LTE cells in the same order.
plmn_lists = Table(
    "plmn_lists",
    metadata,
    Column("number", Integer, primary_key=True),
    string("station"),
    Column("since", Instant, nullable=False),
    # The last of these checks; NULL while that is the latest one of the station.
    Column("until", Instant),
    long_text("content"),
    Index("ix_plmn_lists_until", "station", "until"),
    Index("ix_plmn_lists_current", "station", unique=True, sqlite_where=_CURRENT, postgresql_where=_CURRENT),
)

#: Since when, and until when, checks saw that a cell lacked a tenant's PLMN that the ledger has there.
missing_times = Table(
    "missing_times",
    metadata,
    Column("number", Integer, primary_key=True),
    string("station"),
    string("cell"),
    string("plmn"),
    string("tenant"),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    # Whether the time ends since the station did not answer, and nothing was read of it since.
    Column("silent", Boolean, nullable=False, default=False),
    Index("ix_missing_times_until", "until"),
    Index("ix_missing_times_silent", "station", sqlite_where=text("silent"), postgresql_where=text("silent")),
    Index(
        "ix_missing_times_current",
        *("station", "cell", "plmn", "tenant"),
        unique=True,
        sqlite_where=_CURRENT,
        postgresql_where=_CURRENT,
    ),
)

_DEVICES = select(devices)
_HEALTHS = select(healths)
CHECKED = select(healths.c.station, healths.c.at, healths.c.since)
_LOCKED = select(locks).where(locks.c.until.is_(None))
_MISSING = select(missing_times).where(or_(missing_times.c.until.is_(None), missing_times.c.silent))
_ENDS = (
    update(missing_times)
    .where(missing_times.c.number == bindparam("of"))
    .values(until=bindparam("at"), silent=bindparam("unanswered"))
)
#: A list that lasted less serves no granularity period.
_SHORTEST = timedelta(seconds=min(GRANULARITIES))
#: Lists of a station that end within a day, and characters of one: 256 cells (TS 36.413 §9.2.1.38) of 6 PLMNs each.
#: What a station has beyond is not noted, and its values by position are unread.
_MOST_LISTS, _LONGEST_LISTS = 48, 1 << 15
_LISTED = select(plmn_lists).where(plmn_lists.c.until.is_(None))
_LIST_ENDS = update(plmn_lists).where(plmn_lists.c.number == bindparam("of")).values(until=bindparam("at"))
_UNLOCK = update(locks).where(locks.c.number == bindparam("of")).values(until=bindparam("at"))


class Devices(Repository[M_co]):
    """Devices that are, or were, adopted."""

    @reads
    def find(self, tx: Tx, stations: Iterable[str] | None = None) -> dict[str, Device]:
        """Records of stations, without those that are not on record."""
        rows = tx.rows(_DEVICES, devices.c.station, stations)
        return {
            row.station: Device(
                row.station,
                row.adopted,
                row.network_digest,
                row.applied,
                row.retired,
                tuple(orjson.loads(row.beside)) if row.beside else (),
            )
            for row in rows
        }

    @writes
    def adopt(
        self,
        tx: Tx,
        station: str,
        nodes: Sequence[LedgerNode],
        network_digest: str,
        actor: str,
        generation: int = 0,
        beside: Sequence[str] | None = None,
    ) -> None:
        """Adopt a station: its nodes enter the ledger. Repeating it adds nodes, and removes none.

        ``generation`` is the one that the station carries from another record; fences continue after it. ``beside``
        are ids of managed elements that may stand beside the station's own; None leaves what is on record.
        """
        if generation:
            lease = tx.insert(leases).values(station=station, fence=generation)
            newer = leases.c.fence < lease.excluded.fence
            tx.execute(
                lease.on_conflict_do_update(
                    index_elements=["station"], set_={"fence": lease.excluded.fence}, where=newer
                )
            )
        row = tx.insert(devices).values(station=station, adopted=tx.now, network_digest=network_digest, applied=tx.now)
        values = {"adopted": row.excluded.adopted, "network_digest": network_digest, "applied": tx.now, "retired": None}
        tx.execute(
            row.on_conflict_do_update(index_elements=["station"], set_=values, where=devices.c.adopted.is_(None))
        )
        if beside is not None:
            agreed = orjson.dumps(beside).decode() if beside else ""
            tx.execute(update(devices).where(devices.c.station == station).values(beside=agreed))
        served = tx.insert(adoptions).values(station=station, since=tx.now)
        tx.execute(served.on_conflict_do_nothing(index_elements=["station"], index_where=_CURRENT))
        change_ledger(tx, [LedgerChange(station, nodes)])
        note_carried(tx, [station])  # also of a station that comes back with the ledger that it had
        others = ", ".join(beside or ())
        tx.note(actor, "station.adopted", station, nodes=len(nodes), network=network_digest, beside=others)

    @writes
    def retire(self, tx: Tx, station: str, actor: str, staying: Collection[Path] = ()) -> None:
        """Take a station out of service: it is observe-only until it is adopted again. Repeating it changes nothing.

        Nodes of ours that stay on it because of others leave the ledger with it.
        """
        served = and_(devices.c.station == station, devices.c.retired.is_(None))
        if tx.execute(update(devices).where(served).values(adopted=None, retired=tx.now, beside="")).rowcount:
            forget_behaviour(tx, station)
            current = and_(adoptions.c.station == station, adoptions.c.until.is_(None))
            tx.execute(update(adoptions).where(current).values(until=tx.now))
            change_ledger(tx, [LedgerChange(station, (), sorted(staying))])
            note_carried(tx, [station])
            kept = {"kept": first_names(sorted(staying))} if staying else {}
            tx.note(actor, "station.retired", station, **kept)


class Healths(Repository[M_co]):
    """The latest health of each station."""

    @writes
    def save(self, tx: Tx, seen: Sequence[Health]) -> None:
        """Keep the latest health of stations, and drop older ones."""
        if not seen:
            return
        ordered = sorted(seen, key=lambda health: health.station)  # the same order of locks in every process
        _note_lists(tx, ordered)
        since = _note_gaps(tx, ordered)
        row = tx.insert(healths)
        update_newer = row.on_conflict_do_update(
            index_elements=["station"],
            set_={
                "at": row.excluded.at,
                "content": row.excluded.content,
                "since": row.excluded.since,
                "asked": case((healths.c.asked > row.excluded.at, healths.c.asked)),
            },
            where=healths.c.at <= row.excluded.at,
        )
        tx.execute(
            update_newer,
            [
                {"station": one.station, "at": one.at, "content": one.model_dump_json(), "since": since[one.station]}
                for one in ordered
            ],
        )
        _note_lasted(tx, ordered)
        # A read that comes after a later one says nothing of now: what it saw locked or missing may be over.
        latest = {row.station: row.at for row in tx.rows(CHECKED, healths.c.station, [one.station for one in ordered])}
        taken = [one for one in ordered if latest[one.station] <= one.at]
        _note_locks(tx, {health.station: health for health in taken if health.was_read})
        _note_missing(tx, {health.station: health for health in taken})

    @reads
    def find(self, tx: Tx, stations: Iterable[str] | None = None) -> dict[str, Health]:
        """Latest health by station, without those that another version wrote and this one can't read."""
        return healths_of(tx, stations)

    @writes
    def ask(self, tx: Tx, stations: Iterable[str]) -> None:
        """Have stations read as soon as possible, since they reported a change. Stations never read are read anyway."""
        if wanted := [{"of": station, "now": tx.now} for station in sorted(set(stations))]:
            tx.execute(_ASK, wanted)

    @reads
    def listed_plmns(self, tx: Tx, station: str, since: datetime) -> tuple[ListedPlmns, ...]:
        """In which order a station had the PLMNs of its LTE cells, as checks read it since then, the newest last."""
        latest = tx.execute(CHECKED.where(healths.c.station == station)).one_or_none()
        lasted = or_(plmn_lists.c.until.is_(None), plmn_lists.c.until >= since)
        rows = tx.execute(
            select(plmn_lists).where(plmn_lists.c.station == station, lasted).order_by(plmn_lists.c.since)
        )
        return tuple(
            ListedPlmns(
                row.since,
                row.until or (row.since if latest is None else latest.at),
                row.until is None,
                {cell: tuple(plmns) for cell, plmns in orjson.loads(row.content).items()},
            )
            for row in rows
        )

    @reads
    def asked(self, tx: Tx) -> dict[str, datetime]:
        """Stations to be read as soon as possible, with the time of their latest health check."""
        return {row.station: row.at for row in tx.execute(_ASKED)}


def note_applied(tx: Tx, digests: Mapping[str, str]) -> None:
    """Put on record which version of the network devices carry from now on."""
    if not digests:
        return
    row = tx.insert(devices)
    values = {name: row.excluded[name] for name in ("network_digest", "applied")}
    tx.execute(
        row.on_conflict_do_update(index_elements=["station"], set_=values),
        [
            {"station": station, "network_digest": digest, "applied": tx.now}
            for station, digest in sorted(digests.items())
        ],
    )


def _note_gaps(tx: Tx, seen: Sequence[Health]) -> dict[str, datetime]:
    """Since when each station is checked without a gap; what was observed before a gap goes on record."""
    known = {row.station: row for row in tx.rows(CHECKED, healths.c.station, [one.station for one in seen])}
    since, over = {}, []
    for one in seen:
        before = known.get(one.station)
        since[one.station] = before.since if before is not None else one.at
        if before is not None and one.at - before.at > OBSERVED_AFTER:
            over.append({"station": one.station, "since": before.since, "until": before.at})
            since[one.station] = one.at
    if over:
        tx.execute(observed_times.insert(), over)
    return since


def _note_lists(tx: Tx, seen: Sequence[Health]) -> None:
    """Put on record in which order stations have the PLMNs of their cells, where that is not what was read before.

    It is called before the checks themselves are on record. A list that did not last for any granularity period is of
    no use and does not stay; the ones before and after it are two, also where they are the same.
    """
    names = [one.station for one in seen]
    known = {row.station: row for row in tx.rows(_LISTED, plmn_lists.c.station, names)}
    listed = {name for name in names if name in known}
    latest = {row.station: row.at for row in tx.rows(CHECKED, healths.c.station, sorted(listed))}
    over, short, begun = [], [], []
    for one in seen:
        row, before = known.get(one.station), latest.get(one.station)
        content = _plmns_of(one)
        late = before is not None and one.at <= before
        lasts = row is not None and before is not None and one.at - before <= OBSERVED_AFTER
        if late or (lasts and row is not None and row.content == content) or (row is None and not content):
            continue
        if row is not None and (before or row.since) - row.since < _SHORTEST:
            short.append(row.number)
        elif row is not None:
            over.append({"of": row.number, "at": before or row.since})
        if content:
            begun.append({"station": one.station, "since": one.at, "content": content})
    if short:
        tx.execute(delete(plmn_lists).where(plmn_lists.c.number.in_(short)))
    if over:
        tx.execute(_LIST_ENDS, over)
    if begun := _few_a_day(tx, begun):
        tx.execute(plmn_lists.insert(), begun)


def _few_a_day(tx: Tx, begun: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lists without those of stations that had too many in the day before."""
    if not begun:
        return []
    day = plmn_lists.c.until >= min(one["since"] for one in begun) - timedelta(days=1)
    counted = select(plmn_lists.c.station, func.count().label("number")).where(day).group_by(plmn_lists.c.station)
    rows = tx.rows(counted, plmn_lists.c.station, [one["station"] for one in begun])
    many = {row.station for row in rows if row.number >= _MOST_LISTS}
    return [one for one in begun if one["station"] not in many]


def _plmns_of(one: Health) -> str:
    """The lists as they go on record; empty where they are not known, or longer than those of any station."""
    found = orjson.dumps(one.plmns, option=orjson.OPT_SORT_KEYS).decode() if one.was_read and one.plmns else ""
    return found if len(found) <= _LONGEST_LISTS else ""


def _note_lasted(tx: Tx, seen: Iterable[Health]) -> None:
    """Put on record which faults stood while nobody could read their stations, by these stations' own lists."""
    rows = [
        {"station": one.station, "object": what, "since": since, "until": one.at}
        for one in seen
        for what, since in sorted(one.lasted.items())
    ]
    if rows:
        tx.execute(lasted_times.insert(), rows)


def _note_locks(tx: Tx, seen: Mapping[str, Health]) -> None:
    """Put on record which cells became locked, and which no longer are."""
    known = {(row.station, row.cell): row.number for row in tx.rows(_LOCKED, locks.c.station, seen)}
    now = {(name, cell) for name, health in seen.items() for cell in health.locked}
    over = [{"of": known[key], "at": seen[key[0]].at} for key in sorted(known.keys() - now)]
    begun = [{"station": name, "cell": cell, "since": seen[name].at} for name, cell in sorted(now - known.keys())]
    if over:
        tx.execute(_UNLOCK, over)
    if begun:
        tx.execute(locks.insert(), begun)


def _note_missing(tx: Tx, seen: Mapping[str, Health]) -> None:
    """Put on record which PLMNs cells lack, and which no longer, or not as far as is known: nobody got an answer.

    What a cell lacks by the last read before a silence, and by the first one after it, it lacked in between.
    """
    rows = tx.rows(_MISSING, missing_times.c.station, seen)
    known = {(row.station, row.cell, row.plmn, row.tenant): row for row in rows}
    now = {(name, *one[:3]) for name, health in seen.items() if health.was_read for one in health.missing}
    ends = []
    for key, row in sorted(known.items()):
        answered = seen[key[0]].was_read
        until = None if key in now else row.until or seen[key[0]].at
        if (until, not answered) != (row.until, row.silent):
            ends.append({"of": row.number, "at": until, "unanswered": not answered})
    names = "station", "cell", "plmn", "tenant"
    begun = [{**dict(zip(names, key, strict=True)), "since": seen[key[0]].at} for key in sorted(now - known.keys())]
    if ends:
        tx.execute(_ENDS, ends)
    if begun:
        tx.execute(missing_times.insert(), begun)


def delivery_during(tx: Tx, begin: datetime, end: datetime) -> Delivery:
    """Which PLMNs cells carried between two times, and which of these they were seen to lack."""
    return Delivery(carried_during(tx, begin, end), _missing_during(tx, begin, end))


def _missing_during(tx: Tx, begin: datetime, end: datetime) -> tuple[Carried, ...]:
    """Which PLMNs cells were seen to lack between two times; those that they lack now, until now."""
    lasted = or_(missing_times.c.until.is_(None), missing_times.c.until > begin)
    return tuple(
        sorted(
            Carried(row.station, (row.cell,), row.plmn, row.tenant, since, until)
            for row in tx.execute(select(missing_times).where(lasted, missing_times.c.since < end))
            if (since := max(row.since, begin)) < (until := min(row.until or tx.now, end))
        )
    )


def locks_during(tx: Tx, begin: datetime, end: datetime, stations: Collection[str] | None = None) -> dict[str, Times]:
    """When cells (``station/cell``) were locked between two times; locks that are still in force end now."""
    found: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    lasted = or_(locks.c.until.is_(None), locks.c.until > begin)
    for row in tx.rows(select(locks).where(lasted, locks.c.since < end), locks.c.station, stations):
        found[f"{row.station}/{row.cell}"].append((row.since, row.until or tx.now))
    return {cell: union(times) for cell, times in found.items()}


def healths_of(tx: Tx, stations: Iterable[str] | None) -> dict[str, Health]:
    """Do what ``Healths.find`` does, as part of a transaction."""
    rows = tx.rows(_HEALTHS, healths.c.station, stations)
    return {row.station: health for row in rows if (health := _as_health(row.content)) is not None}


def _as_health(content: str) -> Health | None:
    """The health of a row; None where another version wrote it, since the next check replaces it."""
    try:
        return Health.model_validate_json(content)
    except ValidationError:
        return None
