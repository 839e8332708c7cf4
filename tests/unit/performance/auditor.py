"""A tenant's auditor: recomputes a month from the rows on record by the rules of docs/explanation/evidence.md.

A second program on purpose. It has the standard library alone, reads the tables of a database file, and knows the terms
of agreements as JSON: it shares no code with what it checks. It divides the month at each time at which anything on
record begins or ends, decides for each piece and cell which column it belongs to, and adds up.
"""

from __future__ import annotations

import json
import math
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

#: Lost mains, how long before them a symptom may be seen, and for how long it may outlive them.
_MAINS, _SEEN_BEFORE, _SETTLES = "mains-lost", timedelta(minutes=5), timedelta(minutes=5)
_MILLIONTH, _MEGABYTE, _CENT = Decimal("0.000001"), Decimal("0.001"), Decimal("0.01")


class Span(NamedTuple):
    """A time, in which something of a name was so."""

    name: tuple[str, ...]
    since: datetime
    until: datetime


class Counted(NamedTuple):
    """What a cell counted of a PLMN on a day, in megabits."""

    cell: str
    day: datetime
    plmn: str
    down: float
    up: float


class Version(NamedTuple):
    """Network files, and since when they were in force."""

    since: datetime
    content: Any


@dataclass
class Record:
    """The rows on record."""

    versions: list[Version]
    looked: list[Span]
    adopted: list[Span]
    carried: list[Span]
    guaranteed: list[Span]
    alarms: list[Span]
    counted: list[Counted]

    def version_at(self, at: datetime) -> Any:
        """The files in force; before the first ones were loaded, these."""
        known = [one.content for one in self.versions if one.since <= at]
        return known[-1] if known else self.versions[0].content

    def times(self) -> set[datetime]:
        """All times at which anything begins or ends."""
        spans = [*self.looked, *self.adopted, *self.carried, *self.guaranteed, *self.alarms]
        ends = {at for one in spans for at in (one.since, one.until)}
        outlived = {one.until + _SETTLES for one in self.alarms if one.name[0] == _MAINS}
        return ends | outlived | {one.since for one in self.versions}


def read(path: Path, counted: Iterable[Counted], until: datetime) -> Record:
    """The record in a database file; what lasts is there until a time."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        ask = database.execute
        networks = {digest: json.loads(zlib.decompress(content)) for digest, content in ask(_NETWORKS)}
        return Record(
            [Version(_time(since), networks[digest]) for since, digest in ask(_HISTORY)],
            [_span(row, until) for row in ask(_LOOKED)],
            [_span(row, until) for row in ask(_ADOPTED)],
            [_span(row, until) for row in ask(_CARRIED)],
            [_span(row, until) for row in ask(_GUARANTEED)],
            [_span(row, until) for row in ask(_ALARMS)],
            list(counted),
        )


_NETWORKS = "select digest, content from networks"
_HISTORY = "select since, digest from network_history order by since, number"
_LOOKED = "select station, since, until from observed_times"
_ADOPTED = "select station, since, until from adoptions"
_CARRIED = "select station || '/' || cell, plmn, tenant, since, until from carried_times"
_GUARANTEED = "select station || '/' || cell, plmn, slice, tenant, percent, since, until from carried_shares"
_ALARMS = "select probable_cause, station, object, coalesce(seen, raised), coalesce(ended, cleared) from alarms"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _span(row: tuple[Any, ...], until: datetime) -> Span:
    *name, since, end = row
    return Span(tuple(map(str, name)), _time(since), until if end is None else _time(end))


# ------------------------------------------------------------------------------------------------- service levels


#: Seconds by column.
Lengths = defaultdict[str, float]


def _nothing() -> Lengths:
    return defaultdict(float)


def added(some: Iterable[Lengths]) -> Lengths:
    """Their sum."""
    found = _nothing()
    for one in some:
        for name, length in one.items():
            found[name] += length
    return found


@dataclass
class Promise:
    """What an agreement promised with the same terms; seconds by column, of each cell and in all."""

    agreement: str
    sla: Any
    begin: datetime
    until: datetime
    cells: defaultdict[str, Lengths] = field(default_factory=lambda: defaultdict(_nothing))

    @property
    def total(self) -> Lengths:
        """Of all cells."""
        return added(self.cells.values())

    @property
    def shared(self) -> float:
        """Cell-seconds."""
        return sum(self.total.values())

    @property
    def delivered(self) -> float:
        """Those of them in which there was something that could be lost."""
        return self.shared - self.total["unknown"] - self.total["not_applied"]

    @property
    def owed(self) -> float:
        """What counts as lost."""
        borne = self.total["unseen"] if self.sla["unseen_borne_by"] == "host" else 0.0
        return self.total["lost"] + borne

    @property
    def availability(self) -> float:
        """In percent; 100 where nothing was delivered."""
        return 100 * (1 - self.owed / self.delivered) if self.delivered > 0 else 100.0

    @property
    def kept(self) -> str:
        """Without late restoration, which is not recomputed here."""
        if self.availability < self.sla["availability_percent"]:
            return "no"
        doubtful = sum(self.total[name] for name in ("unseen", "unknown", "unobserved", "not_applied"))
        enough = doubtful * 100 <= self.sla["unproved_percent"] * self.shared
        return "yes" if enough and self.delivered > 0 else "unproved"

    @property
    def credit(self) -> float:
        """The percentage of charges that is given back."""
        due = [one for one in self.sla["penalties"] if self.availability < one["below_percent"]]
        return float(min(due, key=lambda one: float(one["below_percent"]))["credit_percent"]) if due else 0.0


def promises(record: Record, tenant: str, begin: datetime, end: datetime) -> list[Promise]:
    """What a tenant's agreements promised in a month, and where its time belongs."""
    found: list[Promise] = []
    for since, until in _pieces(record, begin, end):
        version = record.version_at(since)
        for agreement in _agreements(version, tenant):
            known = [one for one in found if one.agreement == agreement["id"]]
            if not known or known[-1].sla != agreement["sla"] or known[-1].until != since:
                known.append(Promise(agreement["id"], agreement["sla"], since, since))
                found.append(known[-1])
            known[-1].until = until
            for cell in _cells(version, agreement):
                column = _column(record, version, agreement, cell, since)
                known[-1].cells[cell][column] += (until - since).total_seconds()
    return found


def _pieces(record: Record, begin: datetime, end: datetime, *more: datetime) -> Iterator[tuple[datetime, datetime]]:
    times = sorted({begin, end, *(at for at in (*record.times(), *more) if begin < at < end)})
    yield from pairwise(times)


def _agreements(version: Any, tenant: str) -> list[Any]:
    return sorted((one for one in version["agreements"] if one["tenant"] == tenant), key=lambda one: str(one["id"]))


def _cells(version: Any, agreement: Any) -> list[str]:
    scope = agreement["scope"]
    every = [(one["station"], f"{one['station']}/{one['id']}") for one in version["cells"]]
    return [name for station, name in every if scope["everywhere"] or station in scope["stations"]]


def _column(record: Record, version: Any, agreement: Any, cell: str, at: datetime) -> str:
    """Where a moment of a cell belongs; the first that holds."""
    station = cell.partition("/")[0]
    looked = _holds(record.looked, (station,), at)
    known = at >= record.versions[0].since and _holds(record.adopted, (station,), at)
    if not known and not looked:
        return "unknown"
    if not _carries(record, version, agreement["tenant"], cell, at):
        return "not_applied"
    if not looked:
        return "unobserved"
    if _holds(record.alarms, ("station-unreachable", station, "station"), at):
        return "unseen"
    if not _holds(record.alarms, ("cell-off-air", station, cell), at):
        return "served"
    outside = _MAINS in agreement["sla"]["outside_causes"] and _by_mains(record, station, cell, at)
    return "outside" if outside else "lost"


def _by_mains(record: Record, station: str, cell: str, at: datetime) -> bool:
    """Whether a cell is off air because its station has no mains: it failed with them, and both stood at once."""
    off = [one for one in record.alarms if one.name == ("cell-off-air", station, cell) and one.since <= at < one.until]
    mains = [one for one in record.alarms if one.name == (_MAINS, station, "station")]
    return any(
        one.since < root.until and root.since < one.until
        for one in off
        for root in mains
        if root.since - one.since <= _SEEN_BEFORE and at < root.until + _SETTLES
    )


def _carries(record: Record, version: Any, tenant: str, cell: str, at: datetime) -> bool:
    """Whether a cell carried all PLMNs that the tenant had then."""
    (plmns,) = (one["plmns"] for one in version["tenants"] if one["id"] == tenant)
    return all(_holds(record.carried, (cell, plmn, tenant), at) for plmn in plmns)


def _holds(spans: Iterable[Span], name: tuple[str, ...], at: datetime) -> bool:
    return any(one.name == name and one.since <= at < one.until for one in spans)


# ------------------------------------------------------------------------------------------------------ settlement


class Line(NamedTuple):
    """A line of a bill."""

    agreement: str
    line: str
    since: datetime
    until: datetime
    quantity: Decimal
    amount: Decimal


class _Terms(NamedTuple):
    """What the amount of a line depends on."""

    price: str
    share: int
    missed: tuple[datetime, float] | None


def bill(record: Record, tenant: str, begin: datetime, end: datetime) -> list[Line]:
    """The lines of a tenant's month, with credits."""
    judged = promises(record, tenant, begin, end)
    terms: dict[tuple[str, str], list[tuple[_Terms, datetime, datetime]]] = {}
    for since, until in _pieces(record, max(begin, record.versions[0].since), end):
        for agreement in _agreements(record.version_at(since), tenant):
            promise = next(one for one in judged if one.agreement == agreement["id"] and one.begin <= since < one.until)
            missed = (promise.begin, promise.credit) if promise.credit else None
            for line in (agreement["prices"] or {"lines": []})["lines"]:
                share = _guaranteed(agreement) if line["per"] == "percent-cell-month" else 0
                now = _Terms(json.dumps(line, sort_keys=True), share, missed)
                held = terms.setdefault((agreement["id"], line["id"]), [])
                goes_on = bool(held) and held[-1][0] == now and held[-1][2] == since
                held.append((now, held.pop()[1] if goes_on else since, until))
    lines = [
        found
        for (agreement, _), held in terms.items()
        for same in _same_price(held)
        for found in _lines(record, tenant, agreement, same, (begin, end))
    ]
    return [*(line for _, line in lines), *_credits(lines)]


_Held = tuple[_Terms, datetime, datetime]


def _same_price(held: Iterable[_Held]) -> list[list[_Held]]:
    """Times of a line without a break between them, in which its price and share stayed: a credit divides no price."""
    found: list[list[_Held]] = []
    for one in held:
        before = found[-1][-1] if found else None
        if before is not None and before[2] == one[1] and before[0][:2] == one[0][:2]:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def _lines(
    record: Record, tenant: str, agreement: str, same: Sequence[_Held], span: tuple[datetime, datetime]
) -> Iterator[tuple[_Terms, Line]]:
    """The lines of one price: what it includes for their whole time is shared out by quantity.

    Volume is counted by days, of 24 hours from the month's begin on, and so is what is included of it.
    """
    line, month, since, until = json.loads(same[0][0].price), span[1] - span[0], same[0][1], same[-1][2]
    used = [_used(record, tenant, agreement, *one, month) for one in same]
    time = until - since
    if line["per"] == "gigabyte":
        midnights = [span[0] + timedelta(days=day) for day in range(math.ceil(month / timedelta(days=1)))]
        time = timedelta(days=len([one for one in midnights if since <= one < until]))
    free = (Decimal(str(line["included"])) * _part(time, month)).quantize(_MILLIONTH)
    for (terms, since, until), quantity in zip(same, used, strict=True):
        mine = quantity if free >= sum(used) else (free * quantity / sum(used)).quantize(_MILLIONTH)
        amount = _money((quantity - mine) * Decimal(str(line["amount"])))
        yield terms, Line(agreement, line["id"], since, until, quantity, amount)


def _guaranteed(agreement: Any) -> int:
    return max((int(one["min"]) for one in agreement["shares"] if one["resource"] == "PRB"), default=0)


def _used(
    record: Record, tenant: str, agreement: str, terms: _Terms, since: datetime, until: datetime, month: timedelta
) -> Decimal:
    """The quantity of a line in a time."""
    per = json.loads(terms.price)["per"]
    if per == "gigabyte":
        return _gigabytes(record, tenant, agreement, since, until)
    return _part(_held(record, tenant, agreement, per, since, until), month)


def _held(record: Record, tenant: str, agreement: str, per: str, since: datetime, until: datetime) -> timedelta:
    """How long cells carried all PLMNs of the agreement, each times its share, or for a month, how long any did."""
    found = timedelta()
    for begin, end in _pieces(record, since, until):
        version = record.version_at(begin)
        (one,) = (one for one in _agreements(version, tenant) if one["id"] == agreement)
        cells = [cell for cell in _cells(version, one) if _carries(record, version, tenant, cell, begin)]
        if per == "percent-cell-month":
            applied = sum(min(_guaranteed(one), _applied(record, version, tenant, cell, begin)) for cell in cells)
            found += (end - begin) * applied
        else:
            found += (end - begin) * (bool(cells) if per == "month" else len(cells))
    return found


def _applied(record: Record, version: Any, tenant: str, cell: str, at: datetime) -> int:
    """The highest share that a cell guaranteed one of the tenant's PLMNs of then, on NR for one of its slices."""
    (own,) = (one for one in version["tenants"] if one["id"] == tenant)
    slices = {"", *(f"{one['sst']}-{one['sd']}" for one in own["slices"])}
    there = [one for one in record.guaranteed if one.since <= at < one.until]
    named = [one.name for one in there if (one.name[0], one.name[3]) == (cell, tenant)]
    return max((int(one[4]) for one in named if one[1] in own["plmns"] and one[2] in slices), default=0)


def _gigabytes(record: Record, tenant: str, agreement: str, since: datetime, until: datetime) -> Decimal:
    """What cells of the agreement counted for the tenant's PLMNs on days that began in a time."""
    down = up = 0.0
    for one in record.counted:
        if since <= one.day < until:
            version = record.version_at(one.day)
            (own,) = (each for each in version["tenants"] if each["id"] == tenant)
            (agreed,) = (each for each in _agreements(version, tenant) if each["id"] == agreement)
            if one.plmn in own["plmns"] and one.cell in _cells(version, agreed):
                down, up = down + one.down / 8, up + one.up / 8
    return (Decimal(str(round(down + up, 3))) / 1000).quantize(_MEGABYTE, ROUND_HALF_EVEN)


class Volume(NamedTuple):
    """Megabytes of a cell, and for which part of its time it was measured, in seconds."""

    down: float = 0.0
    up: float = 0.0
    measured: float = 0.0
    seconds: float = 0.0

    def plus(self, other: Volume) -> Volume:
        """Both together."""
        return Volume(*(one + more for one, more in zip(self, other, strict=True)))


def volumes(record: Record, tenant: str, begin: datetime, end: datetime) -> dict[str, Volume]:
    """What was counted for a tenant in each cell, by the files in force when each day began."""
    found: defaultdict[str, Volume] = defaultdict(Volume)
    day = begin
    while day < end:
        version = record.version_at(day)
        (own,) = (one for one in version["tenants"] if one["id"] == tenant)
        for cell in {cell for one in _agreements(version, tenant) for cell in _cells(version, one)}:
            rows = [one for one in record.counted if (one.cell, one.day) == (cell, day)]
            mine = [one for one in rows if one.plmn in own["plmns"]]
            down, up = sum(one.down for one in mine) / 8, sum(one.up for one in mine) / 8
            found[cell] = found[cell].plus(Volume(down, up, 86400.0 * bool(rows), 86400.0))
        day += timedelta(days=1)
    return found


def _credits(lines: Iterable[tuple[_Terms, Line]]) -> Iterator[Line]:
    missed: dict[tuple[str, tuple[datetime, float]], list[Line]] = {}
    for terms, line in lines:
        if terms.missed is not None:
            missed.setdefault((line.agreement, terms.missed), []).append(line)
    for (agreement, (_, percent)), some in missed.items():
        due = _money(-sum((one.amount for one in some), Decimal(0)) * Decimal(str(percent)) / 100)
        begin, until = min(one.since for one in some), max(one.until for one in some)
        yield Line(agreement, "credit", begin, until, Decimal(str(percent)), due)


def _part(time: timedelta, month: timedelta) -> Decimal:
    microsecond = timedelta(microseconds=1)
    return (Decimal(time // microsecond) / Decimal(month // microsecond)).quantize(_MILLIONTH)


def _money(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_EVEN) or Decimal("0.00")
