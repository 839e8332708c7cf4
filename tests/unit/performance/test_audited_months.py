"""Random months in which anything changes: each figure against a second program, and lost time against what was drawn.

Network files come in mid-month with other prices, shares, promises, PLMNs, scopes and time zones, and runs bring them
to stations later, or never; stations are adopted late or never; nobody looks for a while; stations can't be reached;
cells are off air, some again and again before their station loses its mains. The auditor reads what that left on
record, and agrees to the cent, to a second of a cell, and in minutes and percent to what rounding leaves.
``MINKA_SEED`` replays months; a soak plays more.
"""

from __future__ import annotations

import ast
import os
import random
import secrets
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Table

from controller.api.statements import draft
from controller.models.alarm import AlarmReport, PerceivedSeverity
from controller.models.measurement import DAY, Measured, Subject
from controller.models.network import Network, Rat, network_digest
from controller.models.statement import Statement, StatementKind, Value
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from controller.store.database.transaction import Tx
from controller.store.network.devices import adoptions, observed_times
from controller.store.network.ledger import carried_shares, carried_times
from tests.support.soak import SOAK
from tests.unit.intent.test_outages import network
from tests.unit.performance import auditor

SEED = int(os.environ.get("MINKA_SEED", str(secrets.randbits(32)) if SOAK else "56"))
MONTHS = 60 if SOAK else 3
MONTH = "2026-06"
#: Far ahead of UTC and far behind it; none moves its clocks in the month.
ZONES = ("America/Lima", "Asia/Kathmandu", "Pacific/Auckland")
STATIONS = ("S1", "S2")
CELLS = ("S1/L1", "S1/N1", "S2/L1", "S2/N1")
TENANTS = ("alfa", "beta")
COLUMNS = ("lost", "outside", "unseen", "unobserved", "not_applied", "served")

Times = list[tuple[datetime, datetime]]


def changed(content: Any, chance: random.Random) -> Any:
    """Network files with other terms."""
    for agreement in content["agreements"]:
        lines = [
            {"id": "base", "per": "month", "amount": str(chance.choice((1000, 2000)))},
            {"id": "cells", "per": "cell-month", "amount": f"{chance.choice((10, 12.5))}"},
            {"id": "share", "per": "percent-cell-month", "amount": "1.5"},
            {"id": "volume", "per": "gigabyte", "amount": "2.00", "included": str(chance.choice((0, 6)))},
        ]
        agreement["prices"] = {"currency": "PEN", "lines": lines}
        agreement["shares"] = [{"resource": "PRB", "dedicated": 0, "min": chance.choice((10, 20)), "max": 90}]
        agreement["scope"] = {"everywhere": True} if chance.random() < 0.7 else {"stations": ["S1"]}
        agreement["sla"] = {
            "availability_percent": chance.choice((99.0, 99.5)),
            "restore_hours": 720,
            "unproved_percent": chance.choice((1.0, 40.0)),
            "unseen_borne_by": chance.choice(("host", "tenant")),
            "outside_causes": chance.choice(([], ["mains-lost"])),
            "penalties": [{"below_percent": 99.0, "credit_percent": 5}, {"below_percent": 97.5, "credit_percent": 20}],
        }
    if chance.random() < 0.4:
        alfa, beta, *_ = content["tenants"]
        alfa["plmns"], beta["plmns"] = beta["plmns"], alfa["plmns"]
    return content


@dataclass
class Drawn:
    """What happens in a month.

    Attributes:
        moves: Whether files may change the time zone; nothing is counted then, since a day is of no fixed length.
        versions: Network files, and when they are loaded.
        adopted: When each station was.
        looked: When each was checked.
        reports: Alarms of a cell or station, by object.
    """

    begin: datetime
    end: datetime
    moves: bool
    versions: list[tuple[datetime, Network]] = field(default_factory=list)
    adopted: dict[str, Times] = field(default_factory=dict)
    looked: dict[str, Times] = field(default_factory=dict)
    alarms: dict[tuple[str, str], Times] = field(default_factory=dict)


def drawn(seed: int) -> Drawn:
    """A month of a seed."""
    chance = random.Random(seed)
    zone = chance.choice(ZONES)
    begin, end = (first_of(month, zone) for month in (6, 7))
    moves = chance.random() < 0.3
    if moves:
        end = min(first_of(7, one) for one in ZONES)
    made = Drawn(begin, end, moves)

    def moment(first: datetime, last: datetime) -> datetime:
        return first + timedelta(seconds=chance.randrange(1, int((last - first).total_seconds()) - 1))

    before = begin - timedelta(days=1)
    quiet = chance.random() < 0.5  # outages and gaps of minutes
    loaded = before if chance.random() < 0.7 else moment(begin, begin + timedelta(days=5))
    content = network().model_dump(mode="json")
    content["header"]["timezone"] = zone
    for at in (loaded, *sorted(moment(loaded + timedelta(hours=1), end) for _ in range(chance.randrange(4)))):
        content = changed(content, chance)
        if moves and made.versions:
            content["header"]["timezone"] = chance.choice(ZONES)
        made.versions.append((at, Network.model_validate(content)))
    away = moment(loaded, end)
    outage = away, away + timedelta(hours=chance.uniform(0.2, 3 if quiet else 60))  # of the controller
    for station in STATIONS:
        never = station == "S2" and chance.random() < 0.2
        since = loaded if chance.random() < 0.6 else moment(loaded, end)
        made.adopted[station] = [] if never else [(since, end + timedelta(days=40))]
        gaps = [outage]
        if not quiet and chance.random() < 0.5:
            apart = moment(since, end)
            gaps.append((apart, apart + timedelta(hours=chance.uniform(0.3, 20))))
        made.looked[station] = without(made.adopted[station], gaps)
    for object_, cause in [
        *((cell, "cell-off-air") for cell in CELLS),
        *((s, "station-unreachable") for s in STATIONS),
    ]:
        times = sorted(moment(loaded, end) for _ in range(2 * chance.randrange(4)))
        pairs = [pair for number, pair in enumerate(pairwise(times)) if number % 2 == 0]
        short = timedelta(hours=chance.uniform(0.1, 3))
        made.alarms[object_, cause] = [(since, min(until, since + short) if quiet else until) for since, until in pairs]
    for station in STATIONS * 3:
        lose_mains(made, station, moment(loaded + timedelta(hours=2), end - timedelta(hours=2)), chance)
    made.begin, made.end = edge(made, 6), edge(made, 7)
    return made


def lose_mains(made: Drawn, station: str, at: datetime, chance: random.Random) -> None:
    """A cell fails some times, each within ten minutes, and then with the mains, unless something fails already."""
    cell = f"{station}/L1"
    mains = at, at + timedelta(seconds=chance.randrange(300, 2400))
    begins = at + timedelta(seconds=chance.choice((-480, -240, -30, 30, 180)))
    faults = [(begins, mains[1] + timedelta(seconds=chance.choice((-60, 60, 480))))]
    for _ in range(chance.randrange(1, 6)):
        until = faults[0][0] - timedelta(seconds=chance.randrange(30, 570))
        faults.insert(0, (until - timedelta(seconds=chance.randrange(60, 540)), until))
    apart = timedelta(hours=1)
    known = made.alarms[cell, "cell-off-air"]
    if all(until + apart < faults[0][0] or faults[-1][1] + apart < since for since, until in known):
        made.alarms[cell, "cell-off-air"] = sorted([*known, *faults])
        made.alarms[station, "mains-lost"] = sorted([*made.alarms.get((station, "mains-lost"), ()), mains])


def first_of(month: int, zone: str) -> datetime:
    """When a month begins in a time zone."""
    return datetime(2026, month, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def edge(made: Drawn, month: int) -> datetime:
    """When a month begins: in the time zone of the first files under which it has begun."""
    later = [at for at, _ in made.versions[1:]]
    zones = [version.header.timezone for _, version in made.versions]
    edges = [first_of(month, zone) for zone in zones]
    return next(at for at, until in zip(edges, [*later, datetime.max.replace(tzinfo=UTC)], strict=True) if at <= until)


def without(times: Times, gaps: Times) -> Times:
    """Times less gaps in them."""
    for begin, until in gaps:
        left = [((since, min(last, begin)), (max(since, until), last)) for since, last in times]
        times = [one for both in left for one in both if one[0] < one[1]]
    return times


def put(store: Store, made: Drawn, counted: list[auditor.Counted]) -> None:
    """Put a month on record in the order in which it happened."""
    acts: list[tuple[datetime, Any]] = [(at, version) for at, version in made.versions]
    for (name, cause), times in made.alarms.items():
        station = name.partition("/")[0]
        known = {"station": station, "object": name if "/" in name else "station", "probable_cause": cause}
        known |= {"source": "check", "object_class": "cell" if "/" in name else "station"}
        for since, until in times:
            for at, severity in ((since, PerceivedSeverity.MAJOR), (until, PerceivedSeverity.CLEARED)):
                acts.append((at, AlarmReport.model_validate({**known, "at": at, "severity": severity})))
    for at, act in sorted(acts, key=lambda one: one[0]):
        store.database.clock = VirtualClock(start=at)
        if isinstance(act, Network):
            store.networks.save(act, network_digest(act), "ana")
        else:
            store.alarms.report(act)
    store.database.clock = VirtualClock(start=made.end + timedelta(days=2))
    rows = [(one, *time) for one, times in made.looked.items() for time in times]
    known_at = [(one, *time) for one, times in made.adopted.items() for time in times]
    names = "station", "since", "until"
    for table, found in ((observed_times, rows), (adoptions, known_at)):
        if found:
            values = [dict(zip(names, one, strict=True)) for one in found]
            store.database.run(partial(insert, table, values))
    chance = random.Random(str(made.begin))
    for table, delivered in ((carried_times, list(carries(made, chance))), (carried_shares, guarantees(made, chance))):
        if delivered:
            store.database.run(partial(insert, table, delivered))
    store.measurements.put(days(counted))


def insert(table: Table, values: list[dict[str, Any]], tx: Tx) -> None:
    """Put rows on record."""
    tx.execute(table.insert(), values)


def carries(made: Drawn, chance: random.Random) -> Iterator[dict[str, Any]]:
    """What cells carried: each version comes to adopted stations up to two days after it was loaded."""
    ends = [*(at for at, _ in made.versions[1:]), made.end + timedelta(days=40)]
    for (at, version), until in zip(made.versions, ends, strict=True):
        for cell in version.cells:
            for tenant in version.tenants:
                since = max(
                    at + timedelta(hours=chance.choice((0, 0, 0, 7, 48))),
                    *(t for t, _ in made.adopted[cell.station]),
                    at,
                )
                for plmn in tenant.plmns if since < until and made.adopted[cell.station] else ():
                    row = {"station": cell.station, "cell": cell.id, "plmn": plmn, "tenant": tenant.id}
                    yield row | {"since": since, "until": until}


def guarantees(made: Drawn, chance: random.Random) -> list[dict[str, Any]]:
    """Which shares cells guaranteed: each until a run applies those of a later version, and some runs do not."""
    found = []
    end = made.end + timedelta(days=40)
    known = {(cell.station, cell.id): cell for _, version in made.versions for cell in version.cells}
    for (station, cell), tenant in product(sorted(known), TENANTS):
        nr = known[station, cell].rat is Rat.NR
        applied: list[tuple[datetime, dict[str, Any]]] = []
        for at, version in made.versions:
            (agreement,) = (one for one in version.agreements if one.tenant == tenant)
            if made.adopted[station] and chance.random() < 0.8:
                (own,) = (one for one in version.tenants if one.id == tenant)
                row = {"station": station, "cell": cell, "tenant": tenant, "percent": agreement.shares[0].min}
                row |= {"plmn": own.plmns[0], "slice": str(own.slices[0]) if nr else ""}
                since = max(made.adopted[station][0][0], at + timedelta(hours=chance.choice((0, 7, 48, 200))))
                applied = [*(one for one in applied if one[0] < since), (since, row)]
        for (since, row), (until, _) in pairwise([*applied, (end, {})]):
            found.append(row | {"since": since, "until": until})
    return found


def counts(made: Drawn, chance: random.Random) -> list[auditor.Counted]:
    """What cells counted on each day, of each PLMN; some days are missing."""
    found = []
    for number in range(30):
        day = made.begin + timedelta(days=number)
        for station in STATIONS:
            for cell in CELLS if chance.random() < 0.9 else ():
                plmns = ("716-01", "716-02") if cell.startswith(station) else ()
                found += [auditor.Counted(cell, day, p, chance.uniform(0, 9000), chance.uniform(0, 900)) for p in plmns]
    return found


def days(counted: list[auditor.Counted]) -> Iterator[Measured]:
    """The same as stations' days on record."""
    keys = sorted({(one.cell.partition("/")[0], one.day) for one in counted})
    for station, day in keys:
        cells: dict[str, dict[str, dict[Subject, float]]] = {}
        for one in counted:
            of, _, cell = one.cell.partition("/")
            if (of, one.day) == (station, day):
                values = cells.setdefault(cell, {"DRB.PdcpSduVolumeDL": {}, "DRB.PdcpSduVolumeUL": {}})
                values["DRB.PdcpSduVolumeDL"][Subject(one.plmn)] = one.down
                values["DRB.PdcpSduVolumeUL"][Subject(one.plmn)] = one.up
        yield Measured(station=station, begin=day, seconds=DAY, covered=DAY, cells=cells)


def rows(statement: Statement, name: str) -> list[dict[str, Value]]:
    (sheet,) = (one for one in statement.sheets if one.name == name)
    return [dict(zip((column.name for column in sheet.columns), row, strict=True)) for row in sheet.rows]


class Case:
    """A month on record, and the auditor's copy of it."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.made = made = drawn(seed)
        self.counted = [] if made.moves else counts(made, random.Random(seed + 1))
        self.now = made.end + timedelta(days=2)
        self.store = open_store(f"sqlite:///{folder}/month.db", VirtualClock(start=made.versions[0][0]))
        put(self.store, made, self.counted)
        self.record = auditor.read(folder / "month.db", self.counted, self.now + timedelta(days=400))

    def said(self, kind: StatementKind, tenant: str) -> Statement:
        return draft(self.store, self.now, kind, tenant, MONTH)


@pytest.fixture(params=range(MONTHS), ids=lambda number: f"seed-{SEED + 1000 * number}")
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    found = Case(SEED + 1000 * request.param, tmp_path)
    with closing(found.store):
        yield found


def test_the_auditor_shares_no_code_with_what_it_checks() -> None:
    tree = ast.parse(Path(auditor.__file__).read_text())
    names = {one.module or "" for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)}
    names |= {name.name for one in ast.walk(tree) if isinstance(one, ast.Import) for name in one.names}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_the_record_has_the_outages_that_were_drawn(case: Case) -> None:
    """So what agrees with the record agrees with what happened."""
    really = {
        ((cause, name.partition("/")[0], name if "/" in name else "station"), *time)
        for (name, cause), times in case.made.alarms.items()
        for time in times
    }
    assert {tuple(one) for one in case.record.alarms} == really


@pytest.mark.parametrize("tenant", TENANTS)
def test_each_volume_is_that_of_the_auditor(case: Case, tenant: str) -> None:
    statement = case.said(StatementKind.VOLUME, tenant)
    wanted = auditor.volumes(case.record, tenant, case.made.begin, case.made.end)
    said = {row["cell"]: row for row in rows(statement, "cells")}
    assert said.keys() == wanted.keys()
    whole = auditor.Volume()
    for cell, one in wanted.items():
        assert (said[cell]["down"], said[cell]["up"]) == pytest.approx((one.down, one.up), abs=0.001)
        assert said[cell]["measured"] == pytest.approx(100 * one.measured / one.seconds, abs=0.001)
        whole = whole.plus(one)
    (total,) = rows(statement, "total")
    assert (total["down"], total["up"]) == pytest.approx((whole.down, whole.up), abs=0.001)
    assert total["measured"] == pytest.approx(100 * whole.measured / whole.seconds, abs=0.001)


@pytest.mark.parametrize("tenant", TENANTS)
def test_each_figure_of_service_levels_and_settlement_is_that_of_the_auditor(case: Case, tenant: str) -> None:
    statement = case.said(StatementKind.SLA, tenant)
    wanted = sorted(
        auditor.promises(case.record, tenant, case.made.begin, case.made.end),
        key=lambda one: (one.agreement, one.begin),
    )
    said = rows(statement, "agreements")
    assert len(said) == len(wanted)
    for row, one in zip(said, wanted, strict=True):
        assert row["shared"] == pytest.approx(one.shared / 3600, abs=0.006)
        total = one.total
        total["unobserved"] += total.pop("unknown", 0)
        assert {name: row[name] for name in COLUMNS} == {
            name: pytest.approx(total[name] / 60, abs=0.011) for name in COLUMNS
        }
        if one.delivered > 0:
            assert row["availability"] == pytest.approx(one.availability, abs=0.0002)
        assert (row["kept"], row["credit"]) == (one.kept, one.credit)
    cells: dict[tuple[str, str], Counter[str]] = {}
    for row in rows(statement, "cells"):
        key = str(row["agreement"]), str(row["cell"])
        cells.setdefault(key, Counter()).update({name: int(str(row[name])) for name in COLUMNS})
    for (agreement, cell), found in cells.items():
        total = auditor.added(one.cells[cell] for one in wanted if one.agreement == agreement)
        total["unobserved"] += total.pop("unknown", 0)
        assert found == pytest.approx({name: total[name] for name in COLUMNS}, abs=len(wanted))
    lines = [
        (row["agreement"], row["line"], Decimal(str(row["quantity"])), Decimal(str(row["amount"])))
        for row in rows(case.said(StatementKind.SETTLEMENT, tenant), "lines")
    ]
    due = auditor.bill(case.record, tenant, case.made.begin, case.made.end)
    assert sorted(lines) == sorted((one.agreement, one.line, one.quantity, one.amount) for one in due)
