"""The ledger: its changes, its earlier content, what ended jobs left on their stations, and when that was carried."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    Row,
    Select,
    String,
    Table,
    bindparam,
    case,
    column,
    false,
    func,
    or_,
    select,
    table,
    text,
    tuple_,
    update,
)

from controller.intent.delivery import Carried, CarriedLink, CarriedShare, Guarantees
from controller.models.network import HOST
from controller.models.packing import packed, unpacked
from controller.models.plan import LedgerNode
from controller.models.run import LedgerBefore, LedgerEntry
from controller.nrm.profiles import broadcast_plmn, cell_of, link_kind, share_parts
from controller.nrm.profiles.readings import read_shares
from controller.nrm.tree import Path, parent
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.queries import chunks
from controller.store.database.repository import M_co, Repository, reads
from controller.store.database.transaction import Tx


@dataclass(frozen=True, slots=True)
class LedgerState:
    """An earlier ledger of one station; ``missing`` says why it is not known."""

    ledger: Mapping[str, LedgerEntry]
    missing: str = ""


ledger = Table(
    "ledger",
    metadata,
    Column("station", String, primary_key=True),
    Column("path", String, primary_key=True),
    string("owners"),
    # Leaves of the node that the ledger guards, as JSON; empty where only the existence of the node matters.
    long_text("leaves"),
    Column("first", Boolean, nullable=False, server_default=false()),
    Column("plan", String, nullable=False, server_default=""),
)

#: What the ledger said before each job or adoption that changed it; changed nodes only.
ledger_history = Table(
    "ledger_history",
    metadata,
    Column("number", Integer, primary_key=True),
    string("station"),
    # Empty for an adoption.
    string("job"),
    Column("at", Instant, nullable=False),
    Column("before", LargeBinary, nullable=False),
    Index("ix_ledger_history_station_number", "station", "number"),
)

_CURRENT = text("until IS NULL")

#: Since when, and until when, the ledger of an adopted station had a tenant's PLMN in a cell. Statements of any month
#: depend on it, so nothing of it is ever deleted, unlike ``ledger_history``.
carried_times = Table(
    "carried_times",
    metadata,
    Column("number", Integer, primary_key=True),
    string("station"),
    string("cell"),
    string("plmn"),
    string("tenant"),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Index("ix_carried_times_until", "until"),
    Index(
        "ix_carried_times_current",
        *("station", "cell", "plmn", "tenant"),
        unique=True,
        sqlite_where=_CURRENT,
        postgresql_where=_CURRENT,
    ),
)

#: The same of a tenant's core links: a past outage of one is judged by the others that were there then.
carried_links = Table(
    "carried_links",
    metadata,
    Column("number", Integer, primary_key=True),
    string("station"),
    string("path"),
    string("tenant"),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Index("ix_carried_links_station", "station"),
    Index(
        "ix_carried_links_current",
        *("station", "path", "tenant"),
        unique=True,
        sqlite_where=_CURRENT,
        postgresql_where=_CURRENT,
    ),
)

#: The same of the share of PRBs that a cell guarantees a tenant's PLMN, on NR a slice of it: what is charged for.
carried_shares = Table(
    "carried_shares",
    metadata,
    Column("number", Integer, primary_key=True),
    string("station"),
    string("cell"),
    string("plmn"),
    # Empty on LTE.
    string("slice"),
    string("tenant"),
    Column("percent", Integer, nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Index("ix_carried_shares_tenant", "tenant"),
    Index(
        "ix_carried_shares_current",
        *("station", "cell", "plmn", "slice", "tenant", "percent"),
        unique=True,
        sqlite_where=_CURRENT,
        postgresql_where=_CURRENT,
    ),
)

#: The newest changes of each station's ledger, which are kept.
KEPT = 100
_LEDGER = select(ledger)
_CARRIED = select(carried_links).where(carried_links.c.until.is_(None))
_NODES = _LEDGER.where(tuple_(ledger.c.station, ledger.c.path).in_(bindparam("nodes", expanding=True)))
_LEAVE = ledger.delete().where(ledger.c.station == bindparam("device"), ledger.c.path == bindparam("node"))
_PATHS = select(ledger.c.station, ledger.c.path)
_HISTORY = select(ledger_history).order_by(ledger_history.c.station, ledger_history.c.number.desc())
_VERSIONS = select(ledger_history.c.station, func.max(ledger_history.c.number).label("number")).group_by(
    ledger_history.c.station
)
_OF_DEVICE = ledger_history.c.station == bindparam("device")
_NEWEST = select(ledger_history.c.number).where(_OF_DEVICE).order_by(ledger_history.c.number.desc())
_SPARE = ledger_history.delete().where(
    _OF_DEVICE, ledger_history.c.number <= _NEWEST.offset(KEPT).limit(1).scalar_subquery()
)
#: ``controller.store.network.devices`` itself imports this module.
_ADOPTED: Select[Any] = select(column("station")).select_from(table("adoptions")).where(column("until").is_(None))
_OWNED = _LEDGER.where(ledger.c.station.in_(_ADOPTED))
#: Cells of a station with the same times come as one row: a network has a hundred thousand of them.
_SAME = [carried_times.c[name] for name in ("station", "plmn", "tenant", "since", "until")]
_TIMES = select(*_SAME, func.aggregate_strings(carried_times.c.cell, " ").label("cells")).group_by(*_SAME)
_ALIKE = [carried_shares.c[name] for name in ("station", "plmn", "slice", "percent", "since", "until")]
_SHARES = select(*_ALIKE, func.aggregate_strings(carried_shares.c.cell, " ").label("cells")).group_by(*_ALIKE)


class Ledger(Repository[M_co]):
    """Entries of nodes that are ours."""

    @reads
    def find(self, tx: Tx, stations: Iterable[str] | None = None) -> dict[str, dict[str, LedgerEntry]]:
        """Ledger entries by station and path."""
        entries: dict[str, dict[str, LedgerEntry]] = {}
        for row in tx.rows(_LEDGER, ledger.c.station, stations):
            entries.setdefault(row.station, {})[row.path] = as_entry(row)
        return entries

    @reads
    def paths(self, tx: Tx, stations: Iterable[str]) -> dict[str, list[str]]:
        """Paths of ledger entries by station, without their content, which is much larger."""
        found: dict[str, list[str]] = {}
        for row in tx.rows(_PATHS, ledger.c.station, stations):
            found.setdefault(row.station, []).append(row.path)
        return found

    @reads
    def nodes(self, tx: Tx, nodes: Collection[tuple[str, str]]) -> dict[tuple[str, str], LedgerEntry]:
        """Ledger entries of nodes, by station and path, with one statement; unknown nodes are absent."""
        return ledger_nodes(tx, nodes)

    @reads
    def saying(self, tx: Tx, value: str) -> dict[str, dict[str, LedgerEntry]]:
        """Ledger entries with a leaf of this value, of all stations, by station and path."""
        entries: dict[str, dict[str, LedgerEntry]] = {}
        for row in tx.execute(_LEDGER.where(ledger.c.leaves.contains(orjson.dumps(value).decode(), autoescape=True))):
            entry = as_entry(row)
            if value in entry.leaves.values():
                entries.setdefault(row.station, {})[row.path] = entry
        return entries

    @reads
    def versions(self, tx: Tx, stations: Iterable[str]) -> dict[str, int]:
        """A number by station that grows with each change of its ledger; stations without entries are absent."""
        rows = tx.rows(_VERSIONS, ledger_history.c.station, stations)
        return {row.station: row.number for row in rows}

    @reads
    def as_of(
        self, tx: Tx, stations: Iterable[str], *, run: str = "", at: datetime | None = None
    ) -> dict[str, LedgerState]:
        """Each station's ledger as it was before a run's job there, or at a time. The last 100 changes are kept."""
        wanted = sorted(set(stations))
        now: dict[str, dict[Path, LedgerEntry]] = {station: {} for station in wanted}
        for row in tx.rows(_LEDGER, ledger.c.station, wanted):
            now[row.station][row.path] = as_entry(row)
        history: dict[str, list[Row[Any]]] = {station: [] for station in wanted}
        for row in tx.rows(_HISTORY, ledger_history.c.station, wanted):
            history[row.station].append(row)
        return {station: _back(now[station], history[station], run, at) for station in wanted}

    @reads
    def guarantees(self, tx: Tx, tenant: str, begin: datetime, end: datetime) -> Guarantees:
        """Which shares cells guaranteed a tenant at any time between two; those that they still do, until now."""
        lasted = or_(carried_shares.c.until.is_(None), carried_shares.c.until > begin)
        there = _SHARES.where(carried_shares.c.tenant == tenant, lasted, carried_shares.c.since < end)
        return Guarantees(
            tuple(
                CarriedShare(
                    *(row.station, tuple(row.cells.split(" ")), row.plmn, row.slice, row.percent),
                    since=row.since,
                    until=row.until or tx.now,
                )
                for row in tx.execute(there)
            )
        )


def ledger_nodes(tx: Tx, nodes: Collection[tuple[str, str]]) -> dict[tuple[str, str], LedgerEntry]:
    """Do what ``Ledger.nodes`` does, as part of a transaction."""
    stations, paths = {station for station, _ in nodes}, {path for _, path in nodes}
    found = select(ledger).where(ledger.c.station.in_(sorted(stations)), ledger.c.path.in_(sorted(paths)))
    return {(row.station, row.path): as_entry(row) for row in tx.execute(found)}


def as_entry(row: Row[Any]) -> LedgerEntry:
    """Make an entry of a row. Our own rows need no validation, and a network has a hundred thousand of them."""
    return LedgerEntry.model_construct(
        station=row.station,
        path=row.path,
        owners=tuple(row.owners.split(" ")),
        leaves=_leaves(row.leaves) if row.leaves else {},
        first=row.first,
        plan=row.plan,
    )


def _leaves(text: str) -> dict[str, str | tuple[str, ...]]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in orjson.loads(text).items()}


@dataclass(frozen=True, slots=True)
class LedgerChange:
    """Nodes of a station that leave the ledger, and nodes that enter it, by a job or an adoption."""

    station: str
    gained: Sequence[LedgerNode]
    lost: Sequence[Path] = ()
    job: str = ""
    plan: str = ""


def change_ledger(tx: Tx, made: Sequence[LedgerChange]) -> None:
    """Remove and add nodes, replacing the content of known ones, and keep the state before.

    Content that the ledger has already is no change: it leaves no history, and does not conflict with other changes.
    """
    there = _entries(tx, made)
    made = [_news(change, there[change.station]) for change in made]
    made = [change for change in made if change.gained or change.lost]
    if not made:
        return
    _remember(tx, made, there)
    lost = [{"device": change.station, "node": path} for change in made for path in change.lost]
    if lost:
        tx.execute(_LEAVE, lost)
    row = tx.insert(ledger)
    values = {name: row.excluded[name] for name in ("owners", "leaves", "first", "plan")}
    gained = [
        {
            "station": change.station,
            "path": node.path,
            "owners": " ".join(node.owners),
            "leaves": orjson.dumps(node.leaves, option=orjson.OPT_SORT_KEYS).decode() if node.leaves else "",
            "first": node.first,
            "plan": change.plan,
        }
        for change in made
        for node in sorted(change.gained, key=lambda node: node.path)
    ]
    if gained:
        tx.execute(row.on_conflict_do_update(index_elements=["station", "path"], set_=values), gained)
    note_carried(tx, {change.station for change in made if any(map(_is_carried, _paths(change)))})


def note_carried(tx: Tx, stations: Collection[str]) -> None:
    """Put on record which tenants' PLMNs, shares and core links stations carry from now on, and which no longer.

    They do by the ledger of a station that is adopted. So a run counts from its end on, when it is known to hold; and a
    station without adoption carries nothing of which Minka knows.
    """
    if not stations:
        return
    plmns, links, shares = set[tuple[str, ...]](), set[tuple[str, ...]](), set[tuple[str | int, ...]]()
    in_cells = defaultdict[str, dict[Path, LedgerEntry]](dict)
    for row in tx.rows(_OWNED, ledger.c.station, stations):
        if cell := cell_of(row.path):
            in_cells[row.station][row.path] = entry = as_entry(row)
            plmn = broadcast_plmn(row.path)
            plmns.update((row.station, cell, plmn, owner) for owner in _tenants(entry.owners) if plmn)
        elif _is_link(row.path):
            links.update((row.station, row.path, owner) for owner in _tenants(row.owners.split(" ")))
    for station, entries in in_cells.items():
        for path, share in read_shares({path: entry.leaves for path, entry in entries.items()}).items():
            for owner in _tenants(entries[path].owners) if share.guaranteed_prbs else ():
                of = station, cell_of(path), owner, share.guaranteed_prbs
                shares.update((*of, *member) for member in share.members)
    _note(tx, carried_times, ("station", "cell", "plmn", "tenant"), stations, plmns)
    _note(tx, carried_links, ("station", "path", "tenant"), stations, links)
    _note(tx, carried_shares, ("station", "cell", "tenant", "percent", "plmn", "slice"), stations, shares)


def _note(
    tx: Tx, times: Table, names: Sequence[str], stations: Collection[str], carried: Collection[tuple[Any, ...]]
) -> None:
    """End the times of what these stations no longer carry, and begin those of what is new."""
    current = tx.rows(select(times).where(times.c.until.is_(None)), times.c.station, stations)
    known = {tuple(getattr(row, name) for name in names): row.number for row in current}
    over = [{"of": known[one], "at": tx.now} for one in sorted(known.keys() - carried)]
    if over:
        tx.execute(update(times).where(times.c.number == bindparam("of")).values(until=bindparam("at")), over)
    begun = [{**dict(zip(names, one, strict=True)), "since": tx.now} for one in sorted(set(carried) - known.keys())]
    if begun:
        row = tx.insert(times)
        tx.execute(row.on_conflict_do_nothing(index_elements=list(names), index_where=_CURRENT), begun)


def end_carried(tx: Tx, ended: Mapping[str, datetime]) -> None:
    """Let what this transaction took out of ledgers end earlier, by station, where nobody knows what came since."""
    rows = [{"device": station, "last": at, "now": tx.now} for station, at in sorted(ended.items())]
    now, last = (bindparam(name, type_=Instant()) for name in ("now", "last"))
    for times in (carried_times, carried_links) if rows else ():
        over = update(times).where(times.c.station == bindparam("device"), times.c.until == now)
        tx.execute(over.values(until=case((times.c.since > last, times.c.since), else_=last)), rows)


def _is_carried(path: Path) -> bool:
    """Whether it is on record when a station carried a node."""
    if cell_of(path):
        return bool(broadcast_plmn(path) or share_parts(path) or share_parts(parent(path)))
    return _is_link(path)


def _is_link(path: Path) -> bool:
    """Whether a node is a core link; nodes of routers and pools need not be list entries."""
    return path.endswith("]") and link_kind(path) is not None


def _tenants(owners: Iterable[str]) -> Iterator[str]:
    return (owner for owner in owners if owner not in ("", HOST))


def carried_during(tx: Tx, begin: datetime, end: datetime) -> tuple[Carried, ...]:
    """Which PLMNs cells carried between two times; what is still carried, until now."""
    lasted = or_(carried_times.c.until.is_(None), carried_times.c.until > begin)
    return tuple(
        sorted(
            Carried(row.station, tuple(sorted(row.cells.split(" "))), row.plmn, row.tenant, since, until)
            for row in tx.execute(_TIMES.where(lasted, carried_times.c.since < end))
            if (since := max(row.since, begin)) < (until := min(row.until or tx.now, end))
        )
    )


def links_during(tx: Tx, stations: Iterable[str], begin: datetime, end: datetime) -> dict[str, tuple[CarriedLink, ...]]:
    """Which core links of tenants stations carried between two times; those that they still carry, until now."""
    return _links_during(tx, carried_links.c.station, stations, begin, end)


def _links_during(
    tx: Tx, column: Column[str], among: Iterable[str], begin: datetime, end: datetime
) -> dict[str, tuple[CarriedLink, ...]]:
    lasted = or_(carried_links.c.until.is_(None), carried_links.c.until > begin)
    query = select(carried_links).where(lasted, carried_links.c.since < end)
    found = defaultdict[str, list[CarriedLink]](list)
    for row in tx.rows(query, column, among):
        found[row.station].append(CarriedLink(row.tenant, row.path, row.since, row.until or tx.now))
    return {station: tuple(sorted(there)) for station, there in found.items()}


def carriers_during(
    tx: Tx, tenants: Iterable[str], begin: datetime, end: datetime
) -> dict[str, tuple[CarriedLink, ...]]:
    """The same of tenants: their core links at all stations."""
    return _links_during(tx, carried_links.c.tenant, tenants, begin, end)


def links_now(tx: Tx, stations: Iterable[str]) -> dict[str, tuple[CarriedLink, ...]]:
    """Which core links of tenants stations carry, by station."""
    found = defaultdict[str, list[CarriedLink]](list)
    for row in tx.rows(_CARRIED, carried_links.c.station, stations):
        found[row.station].append(CarriedLink(row.tenant, row.path, row.since, tx.now))
    return {station: tuple(there) for station, there in found.items()}


def news_in(tx: Tx, made: Sequence[LedgerChange]) -> set[Path]:
    """Nodes of which changes would make something else of the ledger."""
    there = _entries(tx, made)
    return {path for change in made for path in _paths(_news(change, there[change.station]))}


def changed_later(tx: Tx, station: str, job: str, finished: datetime) -> set[Path]:
    """Nodes of a station's ledger that other jobs or adoptions changed after a job had ended."""
    others = (ledger_history.c.job != job, ledger_history.c.at >= finished)
    found: set[Path] = set()
    for row in tx.execute(_HISTORY.where(ledger_history.c.station == station, *others)):
        before = unpacked(LedgerBefore, row.before)
        found.update(before.absent, (entry.path for entry in before.entries))
    return found


def _paths(change: LedgerChange) -> set[Path]:
    return {*change.lost, *(node.path for node in change.gained)}


def _entries(tx: Tx, made: Sequence[LedgerChange]) -> dict[str, dict[Path, LedgerEntry]]:
    """Current ledger entries of the nodes in these changes, a small part of each station's ledger."""
    there: dict[str, dict[Path, LedgerEntry]] = {change.station: {} for change in made}
    for nodes in chunks(sorted({(change.station, path) for change in made for path in _paths(change)})):
        for row in tx.execute(_NODES, {"nodes": nodes}):
            there[row.station][row.path] = as_entry(row)
    return there


def _news(change: LedgerChange, known: Mapping[Path, LedgerEntry]) -> LedgerChange:
    """The part of a change that the ledger does not have yet."""
    gained = [node for node in change.gained if node.path not in known or known[node.path].node != node]
    return replace(change, gained=gained, lost=[path for path in change.lost if path in known])


def _remember(tx: Tx, made: Sequence[LedgerChange], there: Mapping[str, Mapping[Path, LedgerEntry]]) -> None:
    """Keep the entries of nodes before they change, and delete the oldest row of a station that has too many."""
    rows = []
    for change in made:
        known, paths = there[change.station], _paths(change)
        entries = tuple(entry for path, entry in known.items() if path in paths)
        before = packed(LedgerBefore(entries=entries, absent=tuple(sorted(paths - known.keys()))))
        rows.append({"station": change.station, "job": change.job, "at": tx.now, "before": before})
    tx.execute(ledger_history.insert(), rows)
    tx.execute(_SPARE, [{"device": change.station} for change in made])


def _back(now: Mapping[Path, LedgerEntry], history: Sequence[Row[Any]], run: str, at: datetime | None) -> LedgerState:
    """The ledger before a run's job or at a time, made by taking back changes from the newest on."""
    then = dict(now)
    of_run = [row.number for row in history if run and row.job.partition(".")[0] == run]
    for row in history:
        if at is not None and row.at < at:
            return LedgerState(then)
        before = unpacked(LedgerBefore, row.before)
        for path in before.absent:
            then.pop(path, None)
        then |= {entry.path: entry for entry in before.entries}
        if of_run and row.number == of_run[-1]:
            return LedgerState(then)
    if run:
        return LedgerState({}, f"run {run} changed nothing of ours here, or that is no longer on record")
    if len(history) >= KEPT:
        return LedgerState({}, f"the record goes back to {history[-1].at:%Y-%m-%d %H:%M} only")
    return LedgerState(then, "" if then else "nothing was ours here then")
