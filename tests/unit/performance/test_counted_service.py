"""Counters that are collected later settle what no check read: against a count second by second, and in a statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.statements import draft
from controller.intent.agreed_service import CellSeconds
from controller.intent.brief_outages import BriefOutage, ListRead
from controller.intent.counted import CountedPeriod, settled
from controller.intent.times import Times, union
from controller.models.alarm import AlarmReport, AlarmSource, ObjectClass
from controller.models.health import Health
from controller.models.measurement import HOUR, QUARTER, Measured, Subject
from controller.models.network import Network, PerformanceData, network_digest
from controller.models.plan import LedgerNode
from controller.models.statement import StatementKind, Value
from controller.performance.availability import finest
from controller.performance.statements import local
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from tests.contract.store.test_roots import CLEARED, MAJOR, mains
from tests.support.observed import deliver, observe
from tests.unit.api.test_statements import off_air
from tests.unit.intent.test_outages import BEGIN, END, network
from tests.unit.performance.test_volume import rows
from tests.unit.plan import samples

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
_LIMA = ZoneInfo("America/Lima")
_points = st.lists(st.integers(0, 60), max_size=6)


def _times(points: list[int]) -> Times:
    ordered = sorted(points)
    return union((BEGIN + a * SECOND, BEGIN + b * SECOND) for a, b in zip(ordered[::2], ordered[1::2], strict=False))


def _seconds(times: Times) -> set[int]:
    return {n for since, until in times for n in range((since - BEGIN) // SECOND, (until - BEGIN) // SECOND)}


@given(
    _points, _points, _points, _points, st.lists(st.tuples(st.integers(0, 25), st.booleans()), min_size=3, max_size=3)
)
def test_a_period_says_how_long_a_cell_was_off_air_and_whether_somebody_was_served(
    unread: list[int],
    read_lost: list[int],
    by_hand: list[int],
    by_list: list[int],
    counted: list[tuple[int, bool]],
) -> None:
    nobody, locked = _seconds(_times(unread)), _seconds(_times(by_hand))
    lost = _seconds(_times(read_lost)) - nobody
    lost_times = union((BEGIN + n * SECOND, BEGIN + (n + 1) * SECOND) for n in lost)
    edges = [0, 20, 40, 60]
    periods = [
        CountedPeriod(BEGIN + a * SECOND, BEGIN + b * SECOND, off, carried)
        for (a, b), (off, carried) in zip(pairwise(edges), counted, strict=True)
    ]
    listed = _seconds(_times(by_list))
    found = settled(_times(unread), lost_times, _times(by_hand), periods, _times(by_list))
    gone, served = _seconds(found.lost), _seconds(found.served)
    assert not gone & served
    assert served <= nobody - listed, "what the station timed itself stays lost"
    assert not gone & (lost | listed | locked)
    for (a, b), (off, carried) in zip(pairwise(edges), counted, strict=True):
        span = set(range(a, b))
        more = min(len(span - lost - listed - locked), max(0, off - len((lost - locked) & span)))
        assert len(gone & span) == more
        free = (nobody - locked - listed) & span
        assert len(gone & span & nobody) == min(more, len(free)), "what nobody read comes first"
        whole = carried and span <= nobody
        assert len(served & span) == (len(span - listed) - more if whole else 0)


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as made:
        yield made


def _at(hour: float) -> datetime:
    return BEGIN + timedelta(hours=hour)


def _report(hour: float, cause: str, *, over: bool = False) -> AlarmReport:
    made = mains(CLEARED if over else MAJOR, 0, "S1")
    return made.model_copy(update={"probable_cause": cause, "source": AlarmSource.CHECK, "at": _at(hour)})


def _period(hour: float, off: float, volume: float, *, suspect: bool = False) -> Measured:
    counters = {
        "RRU.CellUnavailableTime.fault": {Subject(): off},
        "DRB.PdcpSduVolumeDL": {Subject("716-01"): volume, Subject("716-02"): 5.0},
    }
    return Measured(
        station="S1", begin=_at(hour), seconds=QUARTER, covered=QUARTER, suspect=suspect, cells={"L1": counters}
    )


def _put(store: Store, *periods: Measured) -> None:
    store.database.clock = VirtualClock(start=END + timedelta(days=2))
    store.measurements.put(periods)


def _cell(store: Store, tenant: str = "alfa", **sla: Any) -> dict[str, Value]:
    said = draft(store, END + timedelta(days=2), StatementKind.SLA, tenant, "2026-06")
    return next(row for row in rows(said, "cells") if row["cell"] == "S1/L1")


def _load(store: Store, observed: float = 720) -> None:
    """S1 can't be reached from 10:00 to 11:00 of the first day."""
    made = network()
    made = made.model_copy(update={"header": made.header.model_copy(update={"performance": PerformanceData()})})
    store.networks.save(made, network_digest(made), "ana")
    store.devices.adopt("S1", [], "n", "ana")
    listener = store.processes.register("l")
    observe(store, ("S1", "S2"), BEGIN, _at(observed))
    deliver(store, ("S1", "S2"), _at(observed), END)
    for hour, over in ((10, False), (11, True)):
        store.database.clock = VirtualClock(start=_at(hour))
        store.alarms.report(_report(hour, "station-unreachable", over=over))
    store.database.clock = VirtualClock(start=END + timedelta(days=2))
    store.processes.heartbeat(listener)


def test_what_nobody_could_reach_is_settled_by_what_the_station_counted(store: Store) -> None:
    _load(store)
    assert _cell(store)["unseen"] == 3600
    # Off air; on air and in use; on air and not used by alfa; off air for a part, in use for the rest.
    _put(store, _period(10, 900, 0), _period(10.25, 0, 7), _period(10.5, 0, 0), _period(10.75, 300, 1))
    cell = _cell(store)
    assert (cell["lost"], cell["unseen"], cell["unobserved"]) == (900 + 300, 900, 0)
    beta = _cell(store, "beta")
    assert (beta["lost"], beta["unseen"]) == (1200, 0), "beta's users were served in all of these periods"
    said = draft(store, END + timedelta(days=2), StatementKind.SLA, "alfa", "2026-06")
    found = [(row["part"], row["known_by"], row["seconds"]) for row in rows(said, "outages") if row["cell"] == "S1/L1"]
    assert found == [
        ("lost", "counters", 900),
        ("served", "counters", 900),
        ("unseen", "", 900),
        ("lost", "counters", 300),
        ("served", "counters", 600),
    ]
    other = next(row for row in rows(said, "cells") if row["cell"] == "S1/N1")
    assert other["unseen"] == 3600, "it counted nothing"


def test_an_incident_has_of_what_counters_say_its_own_times_alone(store: Store) -> None:
    """Of a cell of the one counters say more than it lasted; of the other they say nothing."""
    _load(store)
    store.database.clock = VirtualClock(start=_at(14))
    store.alarms.report(_report(14, "station-unreachable", over=False).model_copy(update={"station": "S2"}))
    store.database.clock = VirtualClock(start=_at(15))
    store.alarms.report(_report(15, "station-unreachable", over=True).model_copy(update={"station": "S2"}))
    store.database.clock = VirtualClock(start=END + timedelta(days=2))
    _put(store, _period(10, 900, 0), _period(10.25, 0, 7), _period(12, 600, 5))
    said = draft(store, END + timedelta(days=2), StatementKind.SLA, "alfa", "2026-06")
    found = sorted((row["lost"], row["unseen"]) for row in rows(said, "incidents"))
    # S1/L1: 15 min lost, 15 served, 30 unseen; S1/N1 and both cells of S2: an hour each unseen.
    assert found == [(0, 120), (15, 90)]


def test_suspect_periods_prove_nothing(store: Store) -> None:
    _load(store)
    _put(store, _period(10, 900, 0, suspect=True))
    assert _cell(store)["unseen"] == 3600


def test_counters_settle_what_nobody_looked_at_too(store: Store) -> None:
    """Checks ended an hour before the month did; the files came."""
    _load(store, observed=719)
    assert _cell(store)["unobserved"] == 3600
    _put(store, _period(719, 0, 3), _period(719.25, 900, 0), _period(719.5, 0, 0))
    cell = _cell(store)
    assert (cell["lost"], cell["unobserved"], cell["unseen"]) == (900, 1800, 3600)
    said = draft(store, END + timedelta(days=2), StatementKind.SLA, "alfa", "2026-06")
    (agreement,) = rows(said, "agreements")
    assert agreement["lost"] == 15


def test_short_outages_between_checks_count_by_the_stations_own_counters(store: Store) -> None:
    """A cell is off air for 55 of each 70 seconds for 14 minutes: no check sees it twice, so there is no alarm."""
    _load(store)
    times = [(70 * n, 70 * n + 55) for n in range(12)]
    truth = sum(until - since for since, until in times)
    begin = 12.0
    others = [_period(hour, 0, 5) for hour in (11.75, 12.25)]
    _put(store, *others, _period(begin, truth, 3))
    store.measurements.roll_up(END + timedelta(days=2))
    while store.measurements.roll_up(END + timedelta(days=2)):
        pass
    cell = _cell(store)
    assert (cell["lost"], cell["unseen"]) == (truth, 3600)
    said = draft(store, END + timedelta(days=2), StatementKind.SLA, "alfa", "2026-06")
    (row,) = [one for one in rows(said, "outages") if one["cell"] == "S1/L1" and one["part"] == "lost"]
    assert (row["known_by"], row["seconds"]) == ("counters", truth)


@pytest.mark.parametrize(("since", "until"), [(60, 1740), (960, 1020)])
def test_a_core_link_that_the_station_says_was_down_is_lost_although_its_users_moved_something_then(
    store: Store, since: int, until: int
) -> None:
    """Nobody reads the station in the first hour; its list has the outage, each of its periods some volume."""
    made = network()
    made = made.model_copy(update={"header": made.header.model_copy(update={"performance": PerformanceData()})})
    store.networks.save(made, network_digest(made), "ana")
    nodes = [
        LedgerNode(**entry.model_dump(exclude={"station", "plan"})) for entry in samples.ledger(made, "S1").values()
    ]
    store.devices.adopt("S1", nodes, "n", "ana")
    (link,) = (one.path for one in nodes if one.path.endswith("/EP_S1C[beta-mme]"))
    times = (BEGIN + since * SECOND, BEGIN + until * SECOND)
    for hour, outages in ((0, ()), (1, (BriefOutage("S1", link, ("beta",), *times),))):
        store.database.clock = VirtualClock(start=_at(hour))
        store.incidents.note_listed([ListRead("S1", _at(hour), True, outages)])
    _put(store, *(_period(quarter / 4, 0, 0.008) for quarter in range(4)))
    said = draft(store, END + timedelta(days=2), StatementKind.SLA, "beta", "2026-06")
    first = [one for one in rows(said, "outages") if one["cell"] == "S1/L1" and float(str(one["seconds"])) < 4000]
    assert [(one["part"], one["known_by"], one["seconds"]) for one in first] == [
        ("served", "counters", since),
        ("lost", "station", until - since),
        ("served", "counters", 3600 - until),
    ]


@pytest.mark.parametrize("counted", [0, 200, 900])
@pytest.mark.parametrize("known_by", ["list", "checks", "core"])
def test_what_a_cell_counts_off_air_is_lost_beside_time_in_which_its_core_links_were_down(
    store: Store, known_by: str, counted: int
) -> None:
    """It counts nothing of links: nobody knows whether both were at once, unless the period has no other time."""
    _load(store)
    link = f"{samples.LTE}/EP_S1C[alfa-mme]"
    down = _at(12) + 5 * MINUTE, _at(12) + 10 * MINUTE
    if known_by == "list":
        for hour, outages in ((12.0, ()), (12.2, (BriefOutage("S1", link, ("alfa",), *down),))):
            store.incidents.note_listed([ListRead("S1", _at(hour), True, outages)])
    else:
        told = {"object": link, "object_class": ObjectClass.CORE_LINK, "tenant": "alfa"}
        core = {"station": "", "object": "alfa-mme", "object_class": ObjectClass.CORE_NODE}
        for at, over in zip(down, (False, True), strict=True):
            failed = _report(12, "core-link-down", over=over).model_copy(update=told | {"at": at})
            lost = failed.model_copy(update=core | {"probable_cause": "core-node-down"})
            store.alarms.report_all([failed, *([lost] if known_by == "core" else [])])
    _put(store, *(_period(12 + n / 4, 0 if n else counted, 7) for n in range(4)))
    _settle_days(store)
    cell = _cell(store)
    owed, own = (0, 300) if known_by == "core" else (300, 0)
    assert (cell["lost"], cell["own_core"]) == (owed + min(counted, 900 - 300), own)


def test_what_checks_saw_is_not_lost_again_by_counters(store: Store) -> None:
    _load(store)
    for at, over in ((12, False), (12 + 300 / 3600, True)):
        store.alarms.report(_report(at, "all-core-links-down", over=over))
    _put(store, _period(12, 310, 3))
    while store.measurements.roll_up(END + timedelta(days=2)):
        pass
    assert _cell(store)["lost"] == 310, "300 s by checks, 10 s more by counters"


@pytest.mark.parametrize(
    ("seen", "column", "lost"),
    [
        ({"missing": (("L1", "716-01", "alfa", "/PLMN[716-01]"),)}, "lost", 7200 + 600),
        ({"locked": ("L1",)}, "in_window", 600),
    ],
    ids=["PLMN", "lock"],
)
def test_what_a_cell_counts_is_not_hidden_by_time_in_which_it_was_not_off_air_by_a_fault(
    store: Store, seen: dict[str, Any], column: str, lost: int
) -> None:
    """On the second day it counts 600 seconds off air at ten, between checks; for two hours at noon, the rest."""
    _load(store)
    for hour, now in ((30.0, {}), (36.0, seen), (38.0, {})):
        store.database.clock = VirtualClock(start=_at(hour))
        store.healths.save([Health(station="S1", at=_at(hour), reachable=True, **now)])
    _put(store, *(_period(24 + n / 4, 600 if n == 40 else 0, 7) for n in range(96)))
    while store.measurements.roll_up(END + timedelta(days=2)):
        pass
    cell = _cell(store)
    assert (cell["lost"], cell[column]) == (lost, 7200 if column != "lost" else lost)


@pytest.mark.parametrize(("fault", "lost"), [(420, 420), (480, 480), (600, 480)])
def test_a_lock_by_hand_takes_nothing_from_the_fault_that_the_cell_counted_beside_it(
    store: Store, fault: int, lost: int
) -> None:
    """Locked for seven of fifteen minutes, which the cell counts as manual; it can have failed in the other eight."""
    _load(store)
    for hour, locked in ((36.0, ("L1",)), (36 + 7 / 60, ())):
        store.database.clock = VirtualClock(start=_at(hour))
        store.healths.save([Health(station="S1", at=_at(hour), reachable=True, locked=locked)])
    _put(store, *(_period(24 + n / 4, fault if n == 48 else 0, 7) for n in range(96)))
    _settle_days(store)
    cell = _cell(store)
    assert (cell["lost"], cell["in_window"]) == (lost, 420)


@pytest.mark.parametrize(("off", "lost"), [(450, 7200), (500, 7200 + 50), (900, 7200 + 450)])
def test_what_a_cell_counts_while_it_lacks_a_plmn_is_not_lost_twice(store: Store, off: int, lost: int) -> None:
    """The PLMN is gone from the middle of a period on: the cell may have been off air in that half."""
    _load(store)
    for hour, missing in ((30.0, ()), (36.125, (("L1", "716-01", "alfa", "/PLMN[716-01]"),)), (38.125, ())):
        store.database.clock = VirtualClock(start=_at(hour))
        store.healths.save([Health(station="S1", at=_at(hour), reachable=True, missing=missing)])
    _put(store, *(_period(24 + n / 4, off if n == 48 else 0, 7) for n in range(96)))
    while store.measurements.roll_up(END + timedelta(days=2)):
        pass
    assert _cell(store)["lost"] == lost


def _change(store: Store, hour: float, change: Callable[[dict[str, Any]], None]) -> None:
    content = store.networks.get()[1].model_dump(mode="json")
    change(content)
    made = Network.model_validate(content)
    store.database.clock = VirtualClock(start=_at(hour))
    store.networks.save(made, network_digest(made), "ana")


def _restore_later(content: dict[str, Any]) -> None:
    """Beta's agreements change; alfa's do not."""
    for one in content["agreements"]:
        if one["tenant"] == "beta":
            one["sla"]["restore_hours"] += 1


def _settle_days(store: Store) -> None:
    while store.measurements.roll_up(END + timedelta(days=2)):
        pass


@pytest.mark.parametrize("changes", [[], [10.1], [10.05, 10.1, 10.2], [12.1], [12.18]])
def test_a_period_counts_once_whatever_another_tenant_changes_in_it(store: Store, changes: list[float]) -> None:
    """300 s off air in an hour without answer; 310 s two hours later, of which checks read 300."""
    _load(store)
    for at, over in ((12.15, False), (12.15 + 300 / 3600, True)):
        store.database.clock = VirtualClock(start=_at(at))
        store.alarms.report(_report(at, "all-core-links-down", over=over))
    for hour in changes:
        _change(store, hour, _restore_later)
    _put(store, _period(10, 300, 5), *(_period(hour, 0, 5) for hour in (10.25, 10.5, 10.75)), _period(12, 310, 3))
    _settle_days(store)
    cell = _cell(store)
    assert (cell["lost"], cell["unseen"]) == (300 + 310, 0)
    said = draft(store, END + timedelta(days=2), StatementKind.SLA, "alfa", "2026-06")
    found = [
        (row["part"], row["known_by"], str(row["since"])[11:19], row["seconds"])
        for row in rows(said, "outages")
        if row["cell"] == "S1/L1"
    ]
    assert found == [
        ("lost", "counters", "10:00:00", 300),
        ("served", "counters", "10:05:00", 3300),
        ("lost", "counters", "12:00:00", 10),
        ("lost", "reading", "12:09:00", 300),
    ]


def _swap(content: dict[str, Any]) -> None:
    alfa, beta = content["tenants"][:2]
    alfa["plmns"], beta["plmns"] = beta["plmns"], alfa["plmns"]


@pytest.mark.parametrize(("hour", "alfa", "beta"), [(None, 3600, 0), (480.0, 3600, 0), (10.3, 1800, 2700)])
def test_only_a_tenants_own_plmns_in_a_time_show_that_it_was_served(
    store: Store, hour: float | None, alfa: int, beta: int
) -> None:
    """Only 716-02 is in use, which is beta's until it becomes alfa's; a period of both proves nothing of either."""
    _load(store)
    deliver(store, ("S1", "S2"), BEGIN, None)
    if hour is not None:
        _change(store, hour, _swap)
        deliver(store, ("S1", "S2"), BEGIN, END)
    _put(store, *(_period(10 + n / 4, 0, 0) for n in range(4)))
    assert [_cell(store, tenant)["unseen"] for tenant in ("alfa", "beta")] == [alfa, beta]


def _work_on_sundays(content: dict[str, Any]) -> None:
    for one in content["agreements"]:
        one["windows"] = [{"days": ["sun"], "start": "02:00", "end": "04:00"}]


def test_a_cell_that_carried_something_was_not_locked_then(store: Store) -> None:
    """A check reads the lock at 9:30, the next answer comes at 11:00: the cell serves in the hour between."""
    _load(store)
    _change(store, 0.5, _work_on_sundays)
    for hour, locked in ((9.5, ("L1",)), (11.0, ())):
        store.database.clock = VirtualClock(start=_at(hour))
        store.healths.save([Health(station="S1", at=_at(hour), reachable=True, locked=locked)])
    _put(store, *(_period(10 + n / 4, 0, 5) for n in range(4)))
    cell = _cell(store)
    assert (cell["locked"], cell["unseen"]) == (1800, 0)
    assert sum(float(cell[name] or 0) for name in CellSeconds._fields) == cell["shared"]
    said = draft(store, END + timedelta(days=2), StatementKind.SLA, "alfa", "2026-06")
    found = [(row["part"], row["since"], row["until"]) for row in rows(said, "outages") if row["cell"] == "S1/L1"]
    assert found == [
        ("locked", local(_at(9.5), _LIMA), local(_at(10), _LIMA)),
        ("served", local(_at(10), _LIMA), local(_at(11), _LIMA)),
    ]


def test_a_longer_alarm_hides_nothing_that_another_period_of_its_day_counted(store: Store) -> None:
    """Off air for 20 minutes by an alarm of which the cell counts nothing; 600 s between checks, before."""
    _load(store)
    for hour, over in ((15, False), (15 + 1 / 3, True)):
        store.database.clock = VirtualClock(start=_at(hour))
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": _at(hour)}))
    _put(store, _period(12, 600, 3), _period(15, 0, 5), _period(15.25, 0, 5))
    _settle_days(store)
    assert _cell(store)["lost"] == 1200 + 600


def test_longer_periods_count_only_where_no_shorter_one_tells_anything() -> None:
    def one(begin: int, minutes: int) -> CountedPeriod:
        return CountedPeriod(BEGIN + begin * MINUTE, BEGIN + (begin + minutes) * MINUTE, 0.0, carried=True)

    given = [one(0, 60), one(60, 60), one(0, 15), one(60, 30), one(15, 5), one(10, 5), one(15, 15), one(30, 15)]
    expected = [one(10, 5), one(15, 5), one(30, 15), one(60, 30)]
    assert finest(reversed(given)) == finest([*given, *given]) == expected


@pytest.mark.parametrize("minutes", [5, 30, 60])
def test_other_periods_in_the_network_files_take_no_proof_away(store: Store, minutes: int) -> None:
    """They come in the last minute of the month; the station counted by quarters of an hour."""
    _load(store)
    content = store.networks.get()[1].model_dump(mode="json")
    content["header"]["performance"]["granularity_minutes"] = minutes
    changed = Network.model_validate(content)
    store.database.clock = VirtualClock(start=END - MINUTE)
    store.networks.save(changed, network_digest(changed), "ana")
    _put(store, *(_period(10 + n / 4, 900, 0) for n in range(4)), _period(12, 800, 3))
    while store.measurements.roll_up(END + timedelta(days=2)):
        pass
    cell = _cell(store)
    assert (cell["lost"], cell["unseen"]) == (3600 + 800, 0)


@pytest.mark.parametrize(("first", "last"), [(40, 70), (-18, 12), (-23.5, 6.5)])
def test_an_outage_that_only_counters_prove_is_late_once_also_over_the_end_of_a_month(
    store: Store, first: float, last: float
) -> None:
    """S1 can't be reached for 30 hours, in which its cell was off air; 24 hours were left to restore it."""
    begin = BEGIN - timedelta(days=5)
    store.database.clock = VirtualClock(start=begin)
    content = network().model_dump(mode="json")
    content["header"]["performance"] = {}
    for one in content["agreements"]:
        one["sla"]["unseen_borne_by"] = "tenant"
    made = Network.model_validate(content)
    store.networks.save(made, network_digest(made), "ana")
    observe(store, ("S1", "S2"), begin, END)
    for hour, over in ((first, False), (last, True)):
        store.database.clock = VirtualClock(start=_at(hour))
        store.alarms.report(_report(hour, "station-unreachable", over=over))
    _put(store, *(_period(first + n / 4, 900, 0) for n in range(30 * 4)))
    late = {}
    for month in ("2026-05", "2026-06"):
        said = draft(store, END + timedelta(days=2), StatementKind.SLA, "alfa", month)
        late[month] = sum(int(str(row["restored_late"])) for row in rows(said, "agreements"))
    assert late == {"2026-05": 0, "2026-06": 1}


def _first_of_june(zone: str) -> datetime:
    return datetime(2026, 6, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _hour(begin: datetime, off: float) -> Measured:
    counters = {"RRU.CellUnavailableTime.fault": {Subject(): off}, "DRB.PdcpSduVolumeDL": {Subject("716-01"): 5.0}}
    return Measured(station="S1", begin=begin, seconds=HOUR, covered=HOUR, cells={"L1": counters})


@pytest.mark.parametrize(
    ("zone", "unread_from", "lost"),
    [
        ("Asia/Kolkata", -60, (1500, 0)),
        ("Asia/Kolkata", -20, (1200, 300)),
        ("Asia/Kolkata", 5, (0, 1500)),
        ("Asia/Kolkata", None, (1500, 0)),
        ("Asia/Kathmandu", -60, (900, 600)),
    ],
)
def test_a_period_over_the_end_of_a_month_is_put_into_its_times_alike_in_all_statements_of_both(
    zone: str, unread_from: int | None, lost: tuple[int, int]
) -> None:
    """25 minutes off air in an hour of UTC that the zone's midnight divides; unread from some minutes after that on."""
    border = _first_of_june(zone)
    begin, end = border - timedelta(days=40), border + timedelta(days=40)
    with closing(open_store("sqlite://", VirtualClock(start=begin))) as store:
        content = network().model_dump(mode="json")
        content["header"] |= {"timezone": zone, "performance": {}}
        for one in content["agreements"]:
            one["sla"] |= {"availability_percent": 99.999, "unseen_borne_by": "tenant"}
            one["sla"]["penalties"] = [{"below_percent": 99.999, "credit_percent": 10}]
            one["prices"] = {"currency": "PEN", "lines": [{"id": "net", "per": "month", "amount": "1000"}]}
        made = Network.model_validate(content)
        store.networks.save(made, network_digest(made), "ana")
        store.devices.adopt("S1", [], "n", "ana")
        unread = border if unread_from is None else border + unread_from * MINUTE
        observe(store, ("S1", "S2"), begin, unread)
        observe(store, ("S1", "S2"), border if unread_from is None else border + 90 * MINUTE, end)
        deliver(store, ("S1", "S2"), unread, end)
        hour = border.replace(minute=0)
        store.database.clock = VirtualClock(start=end)
        store.measurements.put([_hour(hour + n * timedelta(hours=1), 1500 if n == 0 else 0) for n in range(-2, 3)])
        while store.measurements.roll_up(end):
            pass
        for month, seconds in zip(("2026-05", "2026-06"), lost, strict=True):
            said = draft(store, end, StatementKind.SLA, "alfa", month)
            cell = next(row for row in rows(said, "cells") if row["cell"] == "S1/L1")
            assert cell["lost"] == seconds, month
            settled_then = draft(store, end, StatementKind.SETTLEMENT, "alfa", month)
            credits = [row["line"] for row in rows(settled_then, "lines") if row["line"] == "credit"]
            assert bool(credits) == bool(seconds), month


@pytest.mark.parametrize("hour", [39, 63])
def test_a_tenant_is_owed_what_only_counters_tell_on_the_day_it_joins_too(store: Store, hour: float) -> None:
    """Alfa joins at 10:00 of the second day; ten minutes off air between two checks that day, or the next one."""
    whole = network()
    tenants = tuple(one for one in whole.tenants if one.id == "beta")
    agreements = tuple(one for one in whole.agreements if one.tenant == "beta")
    alone = whole.model_dump(mode="json") | {
        "tenants": [one.model_dump(mode="json") for one in tenants],
        "agreements": [one.model_dump(mode="json") for one in agreements],
    }
    alone["endpoints"] = [one for one in alone["endpoints"] if one.get("tenant") != "alfa"]
    first = Network.model_validate(alone)
    store.networks.save(first, network_digest(first), "ana")
    store.devices.adopt("S1", [], "n", "ana")
    store.database.clock = VirtualClock(start=_at(34))
    store.networks.save(whole, network_digest(whole), "ana")
    observe(store, ("S1", "S2"), BEGIN, END)
    _put(store, _period(hour, 600, 5))
    _settle_days(store)
    assert [_cell(store, tenant)["lost"] for tenant in ("alfa", "beta")] == [600, 600]
