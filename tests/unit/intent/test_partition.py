"""Each second of a shared cell is in exactly one column: against a count minute by minute that shares no code."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.intent.agreed_service import AgreedService
from controller.intent.counted import CountedPeriod
from controller.intent.delivery import Carried, Delivery
from controller.intent.observation import Observation, Proof, Unobserved
from controller.intent.outages import ExcusedTimes, Known, Outages, Spell
from controller.intent.proofs import proved
from controller.intent.times import Times, both, union
from controller.models.alarm import AlarmSource, ObjectClass
from controller.models.network import Network
from controller.models.sharing import MaintenanceWindow
from tests.unit.intent.test_outages import AT, era, link, network, off_air, spell, times

WHOLE = 120
MINUTE = timedelta(minutes=1)
MAINS = "o-ran-fault-26"
CELLS = {"S1": ("S1/L1", "S1/N1"), "S2": ("S2/L1", "S2/N1")}

_Span = tuple[int, int]
_spans = st.lists(st.tuples(st.integers(0, WHOLE), st.integers(0, WHOLE)), max_size=3)
_of_stations = st.fixed_dictionaries(dict.fromkeys(CELLS, _spans))


def _set(spans: list[_Span]) -> set[int]:
    return {minute for since, until in spans for minute in range(since, until)}


def _times(spans: list[_Span]) -> Times:
    return union(times(*(one for one in spans if one[0] < one[1])))


def _minutes(of: Times) -> set[int]:
    return {m for since, until in of for m in range(round((since - AT) / MINUTE), round((until - AT) / MINUTE))}


def _spells(station: str, cause: str, spans: list[_Span], root: str = "", **fields: Any) -> list[Spell]:
    cell = {"cells": CELLS[station][:1], "tenants": ("alfa", "beta")} if cause == "cell-off-air" else {}
    what = CELLS[station][0] if cell else "station"
    return [
        spell(cause, since, until, what, station=station, **cell, **fields)._replace(cause=root)
        for since, until in spans
        if since < until
    ]


@given(
    looked=_of_stations,
    off=_of_stations,
    by_mains=_of_stations,
    unreachable=_of_stations,
    told=_of_stations,
    locked=_of_stations,
    left=_of_stations,
    planned=_of_stations,
    adopted=_of_stations,
    carried=_of_stations,
    missing=_of_stations,
    running=_spans,
    loaded=st.integers(0, WHOLE),
    windows=st.booleans(),
)
def test_each_minute_is_in_one_column_with_its_reason(
    looked: dict[str, list[_Span]],
    off: dict[str, list[_Span]],
    by_mains: dict[str, list[_Span]],
    unreachable: dict[str, list[_Span]],
    told: dict[str, list[_Span]],
    locked: dict[str, list[_Span]],
    left: dict[str, list[_Span]],
    planned: dict[str, list[_Span]],
    adopted: dict[str, list[_Span]],
    carried: dict[str, list[_Span]],
    missing: dict[str, list[_Span]],
    running: list[_Span],
    loaded: int,
    *,
    windows: bool,
) -> None:
    """AT is seven in the morning in Lima; where there are windows, the first hour is in one."""
    made = network(outside_causes=[MAINS])
    alfa = made.agreements[0]
    if windows:
        open_ = MaintenanceWindow.model_validate({"start": "07:00", "end": "08:00"})
        alfa = alfa.model_copy(update={"windows": (open_,)})
        made = made.model_copy(update={"agreements": (alfa, *made.agreements[1:])})
    spells = [
        one
        for station in CELLS
        for one in (
            *_spells(station, "cell-off-air", off[station]),
            *_spells(station, "cell-off-air", by_mains[station], MAINS),
            *_spells(station, "cell-off-air", told[station], source=AlarmSource.VES),
            *_spells(station, "station-unreachable", unreachable[station]),
        )
    ]
    first = {one: AT + min(_set(looked[one])) * MINUTE for one in CELLS if _set(looked[one])}
    seen = Observation(
        checked={one: _times(looked[one]) for one in CELLS},
        first=first,
        adopted={one: _times(adopted[one]) for one in CELLS},
        running=_times(running),
        taking=_times(running),
        loaded=AT + loaded * MINUTE,
    )
    excused = ExcusedTimes({(CELLS[one][0], "alfa"): _times(planned[one]) for one in CELLS})
    locks = {CELLS[one][0]: _times(locked[one]) for one in CELLS}
    left_locked = {CELLS[one][0]: both(_times(locked[one]), _times(left[one])) for one in CELLS}
    end = AT + WHOLE * MINUTE
    rows = [
        Carried(station, tuple(one.partition("/")[2] for one in CELLS[station]), "716-01", tenant, since, until)
        for station, spans in carried.items()
        for since, until in _times(spans)
        for tenant in ("alfa", "other")
    ]
    lacked = [
        Carried(station, (CELLS[station][0].partition("/")[2],), "716-01", "alfa", since, until)
        for station, spans in missing.items()
        for since, until in _times(spans)
    ]
    delivery = Delivery(tuple(rows), tuple(lacked))
    known = Known(excused, locks, left_locked, seen, delivery)
    outages = Outages(proved(spells, seen), [era(made, AT, end)], {}, known)
    owed = outages.agreed_service(alfa, AT, end, end)
    facts = looked, off, by_mains, unreachable, told, locked, planned, adopted, carried, missing, left
    for station, cells in CELLS.items():
        on_first = [_set(one[station]) for one in facts]
        on_other = [
            *(on_first[0], set[int](), set[int](), on_first[3]),
            *([set[int]()] * 3),
            *on_first[7:9],
            *([set[int]()] * 2),
        ]
        for name, minutes in zip(cells, (on_first, on_other), strict=True):
            expected: dict[str, int] = {}
            reasons: dict[str, int] = {}
            for minute in range(WHOLE):
                column, reason = _column(minute, minutes, _set(running), loaded, windows=windows)
                expected[column] = expected.get(column, 0) + 1
                if reason:
                    reasons[reason] = reasons.get(reason, 0) + 1
            found = owed.lengths(name)
            assert {one: length / 60 for one, length in found._asdict().items() if length} == expected
            assert sum(found) == owed.seconds[name] == WHOLE * 60
            assert owed.carried[name] == len(minutes[8]) * 60
            assert _minutes(owed.left_locked.get(name, ())) == _minutes(owed.locked.get(name, ())) & minutes[10]
            assert len(_minutes(owed.not_applied.get(name, ()))) == expected.get("not_applied", 0)
            by_reason = {reason: len(_minutes(of)) for reason, of in owed.unobserved.get(name, {}).items()}
            assert {reason.value: count for reason, count in by_reason.items() if count} == reasons
    assert owed.lost == sum(
        owed.lengths(name).lost + owed.lengths(name).locked + owed.lengths(name).unseen
        for cells in CELLS.values()
        for name in cells
    ), "the host bears what is unseen"
    assert sum(owed.total) == 4 * WHOLE * 60
    assert owed.held == len(_set(carried["S1"]) | _set(carried["S2"])) * 60
    undelivered = owed.total.not_applied + owed.reasons[Unobserved.NO_NETWORK] + owed.reasons[Unobserved.NOT_ADOPTED]
    assert owed.forgone == pytest.approx(undelivered / 100), "of 99 % that were promised"
    assert sum(map(owed.undelivered, owed.seconds)) == undelivered


def _column(minute: int, minutes: list[set[int]], running: set[int], loaded: int, *, windows: bool) -> tuple[str, str]:
    """Column of a minute of a cell, and why nobody looked."""
    looked, off, by_mains, unreachable, told, locked, planned, adopted, carried, missing, left = minutes
    unknown = minute not in looked and (minute < loaded or minute not in adopted)
    if unknown:
        return "unobserved", "no-network" if minute < loaded else "not-adopted"
    if minute not in carried:
        return "not_applied", ""
    read = minute in looked and minute not in unreachable
    if read and minute in by_mains:
        return "outside", ""
    if (read and minute in off) or (not read and minute in told and minute in running):
        return ("planned" if minute in planned else "lost"), ""
    if minute in missing & looked and (minute in planned or minute not in locked):
        return ("planned" if minute in planned else "lost"), ""
    if minute not in looked:
        known = minute in running, bool(looked) and minute > min(looked)
        names = ("not-running", "never-read", "checks-apart")
        return "unobserved", names[[*known, False].index(False)]
    if minute in unreachable:
        return "unseen", ""
    free = minute in planned or (minute not in left and (not windows or minute < 60))
    return ("served" if minute not in locked else "in_window" if free else "locked"), ""


def _service(spells: list[Spell], seen: Observation, **sla: Any) -> AgreedService:
    made = network(**sla)
    end = AT + WHOLE * MINUTE
    outages = Outages(proved(spells, seen), [era(made, AT, end)], {}, Known(observation=seen))
    return outages.agreed_service(made.agreements[0], AT, end, end)


def _looked(*spans: _Span, **more: Any) -> Observation:
    every = {"S1": times(*spans), "S2": times((0, WHOLE))}
    edges = {name: frozenset(at for one in of for at in one) for name, of in every.items()}
    known: dict[str, Any] = {"running": times((0, WHOLE)), "adopted": dict.fromkeys(every, times((0, WHOLE)))}
    known |= {"loaded": AT - MINUTE, "first": dict.fromkeys(every, AT)}
    return Observation(checked=every, edges=edges, **known | more)


@pytest.mark.parametrize(("bearer", "lost"), [("host", 30), ("tenant", 0)])
def test_the_agreement_says_who_bears_what_nobody_could_see(bearer: str, lost: int) -> None:
    spells = [spell("station-unreachable", 10, 40)]
    owed = _service(spells, _looked((0, WHOLE)), unseen_borne_by=bearer)
    assert (owed.lengths("S1/L1").unseen, owed.lengths("S1/L1").lost) == (30 * 60, 0)
    assert owed.lost == 2 * lost * 60, "two cells"


def test_an_alarm_that_stands_while_its_station_cannot_be_reached_proves_nothing_of_that_time() -> None:
    owed = _service([off_air(0, 60), spell("station-unreachable", 10, 40)], _looked((0, WHOLE)))
    found = owed.lengths("S1/L1")
    assert (found.lost / 60, found.unseen / 60) == (30, 30)


def test_what_the_stations_own_list_says_of_a_time_in_which_nobody_looked_is_proof() -> None:
    """Nobody looked from 20 to 80: a cell went off air at 50 by its list, and another came back at 60."""
    begun = off_air(50, 90)
    begun = begun._replace(alarm=begun.alarm.model_copy(update={"seen": AT + 50 * MINUTE}))
    ended = off_air(5, 60, "S1/N1")
    ended = ended._replace(alarm=ended.alarm.model_copy(update={"ended": AT + 60 * MINUTE}))
    owed = _service([begun, ended], _looked((0, 20), (80, WHOLE)))
    assert _minutes(owed.parts["S1/L1"].lost) == set(range(50, 90))
    assert _minutes(owed.proofs["S1/L1"][Proof.STATION]) == set(range(50, 80))
    assert _minutes(owed.parts["S1/N1"].lost) == set(range(5, 60))
    assert owed.lengths("S1/L1").unobserved == 30 * 60


@pytest.mark.parametrize("at", [20, 80])
def test_a_time_that_is_that_of_a_check_is_no_event(at: int) -> None:
    """The last check before the gap, or the first one after it, saw the fault first."""
    one = off_air(at, 90)
    one = one._replace(alarm=one.alarm.model_copy(update={"seen": AT + at * MINUTE}))
    owed = _service([one], _looked((0, 20), (80, WHOLE)))
    assert _minutes(owed.parts["S1/L1"].lost) == set(range(80, 90))


def test_a_fault_that_the_list_kept_is_proved_for_the_time_in_which_nobody_read_it() -> None:
    seen = _looked((0, 20), (80, WHOLE), lasted={("S1", "S1/L1"): times((20, 80))})
    owed = _service([off_air(10, 100)], seen)
    assert _minutes(owed.parts["S1/L1"].lost) == set(range(10, 100))
    assert _minutes(owed.proofs["S1/L1"][Proof.STATION]) == set(range(20, 80))
    assert owed.unobserved["S1/L1"] == {}


def test_core_links_that_the_far_end_sees_down_are_lost_while_the_station_cannot_be_reached() -> None:
    by_tenant = link(10, 50)
    by_tenant = by_tenant._replace(alarm=by_tenant.alarm.model_copy(update={"source": AlarmSource.ALERTMANAGER}))
    seen = _looked((0, WHOLE), taking=times((0, WHOLE)))
    owed = _service([by_tenant, spell("station-unreachable", 5, 60)], seen)
    assert _minutes(owed.parts["S1/L1"].lost) == set(range(10, 50))
    assert _minutes(owed.proofs["S1/L1"][Proof.FAR_END]) == set(range(10, 50))
    assert owed.lengths("S1/L1").unseen == 15 * 60
    assert owed.lengths("S1/N1").unseen == 55 * 60, "its links are others"


@pytest.mark.parametrize("source", [AlarmSource.VES, AlarmSource.ALERTMANAGER])
@pytest.mark.parametrize(("unread", "lost"), [(False, {*range(30, 50)}), (True, {*range(10, 50)})])
def test_what_others_tell_counts_only_where_no_check_read_the_object(
    source: AlarmSource, lost: set[int], *, unread: bool
) -> None:
    """Nobody looked from 20 to 30, when no process took reports, and got no answer from 30 to 60."""
    told = off_air(10, 70)
    told = told._replace(
        alarm=told.alarm.model_copy(update={"source": source, "unread": unread}), until=AT + 50 * MINUTE
    )
    seen = _looked((0, 20), (30, WHOLE), taking=times((0, 20), (30, WHOLE)))
    owed = _service([told, spell("station-unreachable", 30, 60)], seen)
    assert _minutes(owed.parts["S1/L1"].lost) == lost - set(range(20, 30))
    assert _minutes(owed.proofs["S1/L1"][Proof.FAR_END]) == lost - set(range(20, 30))


def test_no_other_system_makes_a_station_unreachable_for_minka() -> None:
    told = spell("station-unreachable", 10, 50, source=AlarmSource.ALERTMANAGER, unread=True)
    owed = _service([told], _looked((0, 20), (30, WHOLE), taking=times((0, WHOLE))))
    assert (owed.lengths("S1/L1").unseen, owed.lengths("S1/L1").unobserved) == (0, 10 * 60)


def test_reasons_have_the_order_in_which_they_exclude_each_other() -> None:
    assert [one.value for one in Unobserved] == [
        "no-network",
        "not-adopted",
        "not-running",
        "never-read",
        "checks-apart",
    ]


def _cut(*counted: CountedPeriod, counters_of: str = "alfa") -> AgreedService:
    """S1 hangs below a fibre that is cut from 20 to 50, and can't be reached from 10 to 60, like S2, which does not."""
    content = network().model_dump(mode="json")
    content["backhaul"] = [
        {"id": "core", "kind": "fibre", "parent": None},
        *({"id": one, "kind": "fibre", "parent": "core"} for one in ("north", "south")),
    ]
    for site, node in zip(content["sites"], ("north", "south"), strict=False):
        site["backhaul"] = node
    made = Network.model_validate(content)
    assert ("S1" in made.devices_below["north"], "S2" in made.devices_below["north"]) == (True, False)
    fibre = spell("backhaul-down", 20, 50, "north", station="", object_class=ObjectClass.BACKHAUL)
    away = [spell("station-unreachable", 10, 60, station=station) for station in CELLS]
    seen, end = _looked((0, WHOLE)), AT + WHOLE * MINUTE
    outages = Outages(proved([fibre, *away], seen), [era(made, AT, end)], {}, Known(observation=seen))
    outages = outages.with_counters({("S1/L1", counters_of): counted}) if counted else outages
    return outages.agreed_service(made.agreements[0], AT, end, end)


def test_a_known_cut_above_all_paths_of_a_station_is_lost_service() -> None:
    owed = _cut()
    assert _minutes(owed.parts["S1/L1"].lost) == set(range(20, 50))
    assert _minutes(owed.proofs["S1/L1"][Proof.CUT]) == set(range(20, 50))
    assert _minutes(owed.parts["S1/L1"].unseen) == {*range(10, 20), *range(50, 60)}
    assert (owed.lengths("S2/L1").lost, owed.lengths("S2/L1").unseen) == (0, 50 * 60), "another way"


def test_counters_go_before_a_cut_that_was_inferred() -> None:
    """Below the fibre nothing could be reached, but users were served from 30 to 45: only management was lost."""
    served = CountedPeriod(AT + 30 * MINUTE, AT + 45 * MINUTE, 0.0, carried=True)
    owed = _cut(served)
    assert _minutes(owed.parts["S1/L1"].lost) == {*range(20, 30), *range(45, 50)}
    assert _minutes(owed.served["S1/L1"]) == set(range(30, 45))
    assert sum(owed.lengths("S1/L1")) == WHOLE * 60
    assert owed.lengths("S1/N1").lost == 30 * 60, "another cell counts for itself"
    assert _cut(served, counters_of="beta").lengths("S1/L1").lost == 30 * 60, "another tenant's"


def test_a_plmn_that_is_gone_is_lost_but_for_planned_time() -> None:
    """Gone from 10 to 40, planned work from 20 to 30, and no answer from 15 to 25, between two reads."""
    made, end = network(), AT + WHOLE * MINUTE
    carried = tuple(Carried(station, ("L1", "N1"), "716-01", "alfa", AT, end) for station in CELLS)
    missing = (Carried("S1", ("L1",), "716-01", "alfa", AT + 10 * MINUTE, AT + 40 * MINUTE),)
    seen, excused = _looked((0, WHOLE)), ExcusedTimes({("S1/L1", "alfa"): times((20, 30))})
    spells, delivery = proved([spell("station-unreachable", 15, 25)], seen), Delivery(carried, missing)
    outages = Outages(spells, [era(made, AT, end)], {}, Known(excused, observation=seen, delivery=delivery))
    owed = outages.agreed_service(made.agreements[0], AT, end, end)
    assert _minutes(owed.parts["S1/L1"].planned) == set(range(20, 30))
    assert _minutes(owed.parts["S1/L1"].lost) == {*range(10, 20), *range(30, 40)}
    assert (owed.lengths("S1/L1").unseen, owed.lengths("S1/N1").unseen) == (0, 600)
    assert sum(owed.lengths("S1/L1")) == WHOLE * 60
