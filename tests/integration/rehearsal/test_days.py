"""Rehearsed days: the whole controller on the twin of a small network, in virtual time."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from controller.models.alarm import SLEEPING_CELL, AlarmReport, AlarmSource, ObjectClass, PerceivedSeverity
from controller.models.settings import Settings
from controller.rehearsal.day import Cause, Day, Restriction, draw_day
from controller.rehearsal.judge import judged, sum_of
from controller.rehearsal.minka import Minka
from controller.rehearsal.play import BEGINS, DAY_BEGINS, Stage, begin
from controller.rehearsal.report import Baseline, lines_of, play_five_ways, prepare
from controller.rehearsal.script import GuardedScript
from controller.store import Page
from controller.store.alarms.incident_rows import incidents
from simulators.equipment.fault_kinds import Remedy

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
LTE = "T-LTE-1"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    return prepare(TINY, Settings(home=tmp_path_factory.mktemp("home")))


def _day(*causes: Cause, stops: tuple[Restriction, ...] = (), hours: float = 0.5) -> Day:
    return Day("7", hours, causes, stops)


def _link_down(at: float = 60.0) -> Cause:
    return Cause("0", at, "core-link-down", (LTE,), "condor", visit=1500.0)


def test_a_fault_costs_minutes_until_somebody_comes_or_it_is_cured(ground: Baseline) -> None:
    done = play_five_ways(ground, _day(_link_down()))
    nothing, script, guarded, minka, best = done.ways
    cells = len(ground.simulated.stations[0].cells)
    assert nothing.minutes["condor"] == pytest.approx(cells * 25, rel=0.02)
    assert (nothing.visits, minka.visits) == (1, 0)
    assert (minka.incidents, minka.curable, minka.cured) == (1, 1, 1)
    assert [sum(one.by_cause.get("core-link-down", {}).values()) for one in done.ways] == [
        one.lost for one in done.ways
    ]
    assert minka.rules == {"core-link-down": (1, 0)}, "one run for all links of the tenant"
    assert minka.minutes["condor"] < nothing.minutes["condor"] / 5
    assert minka.wrong == ()
    assert minka.acts > 0 == nothing.acts
    assert script.minutes["condor"] <= minka.minutes["condor"], "it waits for nothing"
    assert guarded.minutes["condor"] == pytest.approx(cells * 1.5, abs=0.5), "it waits for 90 s"
    assert minka.told == {}, "people are called for nothing that is cured"
    assert best.cured == 1
    assert best.lost == pytest.approx(0, abs=0.2), "nobody does better"
    assert max(map(len, lines_of(done))) <= 80


def test_the_script_works_under_a_hold_and_minka_does_not(ground: Baseline) -> None:
    done = play_five_ways(ground, _day(_link_down(), stops=(Restriction("hold", LTE, 0.0, 1800.0),)))
    assert done.minka.attempts == 0
    assert done.minka.minutes == done.nothing.minutes
    assert {one.why for one in done.script.wrong} <= {
        ("under a hold",),
        ("under a hold", "repeated within the cool-down"),
    }
    assert done.script.wrong


def test_who_is_served_in_other_cells_need_not_agree_that_a_dead_cell_is_locked(ground: Baseline) -> None:
    done = play_five_ways(ground, _day(Cause("0", 60.0, "cell-down", (LTE,), visit=1500.0)))
    assert done.minka.attempts > 0
    assert done.minka.wrong == ()


def test_stations_tell_what_they_keep_in_their_lists_of_alarms(ground: Baseline) -> None:
    """The mains, the licence, the software: without these a reset on battery would be tried again and again."""
    stations = ground.stage().fleet.stations.values()
    assert all(station.equipment.alarms.listed for station in stations)


def test_a_lost_core_touches_no_station(ground: Baseline) -> None:
    done = play_five_ways(ground, _day(Cause("0", 60.0, "lost-core", target="condor", lasts=900.0)))
    assert done.minka.acts == 0
    ((known,),) = done.minka.told.values()
    assert known.alarm is not None
    assert known.alarm <= 60
    assert done.script.wrong
    assert {why for one in done.script.wrong for why in one.why if "elsewhere" in why}


def test_looks_at_stations_where_nothing_happened_change_nothing(ground: Baseline) -> None:
    # Of two alarms at one station that are due at once, either may be first: these are at two.
    causes = (
        Cause("0", 30.0, "radio-unit-lost", (LTE,), visit=1500.0),
        Cause("1", 60.0, "configuration-reverted", ("T-BOTH-1",), visit=200.0),
    )
    played = []
    for every_check in (False, True):
        stage, day = ground.stage(), _day(*causes, hours=0.08)
        Minka(stage, ground.record, ground.settings, every_check=every_check).play(day)
        played.append(judged("minka", stage, day, ground.network).to_json())
    assert played[0] == played[1]
    assert played[0]["attempts"] > 1


def _played_by_nobody(ground: Baseline, *causes: Cause, hours: float = 1.0) -> Stage:
    stage = ground.stage()
    stage.clock.advance(DAY_BEGINS - stage.clock.monotonic())
    begin(stage, _day(*causes, hours=hours))
    stage.clock.advance(hours * 3600)
    return stage


def test_each_lost_minute_has_the_cause_that_took_the_service_first(ground: Baseline) -> None:
    """By hand: the demand of a cell does not count, so a cell that is lost to a tenant is lost for as long as it is."""
    stage = _played_by_nobody(
        ground,
        Cause("0", 600.0, "cell-down", ("T-LTE-2",), target="1", visit=3000.0),  # alone from minute 10
        Cause("1", 1200.0, "lost-core", target="vicuna", lasts=600.0),  # 20 to 30: not at this cell, in puno alone
        Cause("2", 1500.0, "cut", target="hill", lasts=900.0),  # 25 to 40: T-LTE-2 was off before, T-BOTH-1 was not
        Cause("3", 2000.0, "core-link-down", (LTE,), target="condor", visit=700.0),
    )
    found = stage.outages.causes()
    by_tenant = {tenant for _, tenant in found}
    assert by_tenant == {"andes", "condor", "vicuna"}
    assert {cause for cause, _ in found} == {"cell-down", "lost-core", "cut", "core-link-down"}
    assert found["cell-down", "andes"] == found["cell-down", "condor"] == pytest.approx(50, abs=0.1)
    assert found["core-link-down", "condor"] == pytest.approx(2 * 700 / 60, abs=0.1), "two cells"
    # T-NR-1 for ten minutes and T-BOTH-1 with two cells, whose core was lost before its fibre was cut: after that core
    # is back the cut is what keeps it away.
    assert found["lost-core", "vicuna"] == pytest.approx(3 * 10, abs=0.1)
    assert found["cut", "vicuna"] == pytest.approx(2 * 10, abs=0.1)
    assert found["cut", "andes"] == pytest.approx(2 * 15, abs=0.1)
    total = sum(stage.outages.minutes().values())
    assert sum(found.values()) == pytest.approx(total)


def test_what_a_fault_or_an_act_leaves_behind_has_that_as_its_cause(ground: Baseline) -> None:
    """A station boots for a minute after its power came back; a restart that nobody needed is work."""
    stage = ground.stage()
    equipment = stage.fleet.stations[LTE].equipment
    fault = equipment.begin_fault("mains-failure", seed="2")
    assert fault.lasts is not None
    assert fault.lasts > max(fault.begins) + 60, "its battery is empty before the mains are back"
    stage.clock.advance(max(fault.begins) + 60)
    equipment.faults.end(fault)
    stage.clock.advance(600)
    assert stage.outages.causes().keys() == {("mains-failure", "andes"), ("mains-failure", "condor")}
    assert stage.outages.causes()["mains-failure", "andes"] == pytest.approx(2 * 2, abs=0.2)
    equipment.reset_later()
    stage.clock.advance(600)
    assert stage.outages.causes()["work", "andes"] == pytest.approx(2, abs=0.2)


def test_service_that_an_older_configuration_takes_is_lost_by_that(ground: Baseline) -> None:
    stage = _played_by_nobody(ground, Cause("0", 60.0, "configuration-reverted", ("T-BOTH-1",), visit=3600.0))
    assert {cause for cause, _ in stage.outages.causes()} == {"configuration-reverted"}


def _guarded(ground: Baseline, *causes: Cause, stops: tuple[Restriction, ...] = ()) -> Stage:
    stage = ground.stage()
    GuardedScript(stage, ground.network).play(_day(*causes, stops=stops))
    return stage


def test_the_guarded_script_waits_and_leaves_alone_what_does_not_stand_any_more(ground: Baseline) -> None:
    stage = _guarded(ground, _link_down())
    (attempt,) = stage.watch.attempts
    assert attempt.at - DAY_BEGINS == pytest.approx(60 + 90, abs=2)
    assert [one.how for one in stage.watch.struck] == ["remedy"]
    flaps = _guarded(ground, Cause("0", 60.0, "flapping", (LTE,), lasts=1200.0))
    assert flaps.watch.attempts == [], "a link that is down for 40 s each time"


def test_the_guarded_script_respects_holds_and_no_other_restriction(ground: Baseline) -> None:
    held = _guarded(ground, _link_down(), stops=(Restriction("hold", LTE, 0.0, 1800.0),))
    assert held.watch.attempts == []
    over = _guarded(ground, _link_down(), stops=(Restriction("hold", LTE, 0.0, 100.0),))
    assert len(over.watch.attempts) == 1
    elsewhere = _guarded(ground, _link_down(), stops=(Restriction("hold", "T-LTE-2", 0.0, 1800.0),))
    assert len(elsewhere.watch.attempts) == 1
    frozen = _guarded(ground, _link_down(), stops=(Restriction("freeze", "region:cusco", 0.0, 1800.0),))
    assert len(frozen.watch.attempts) == 1, "the judge counts that as wrong"


def test_the_guarded_script_leaves_alone_what_is_common_to_more_than_three_stations(ground: Baseline) -> None:
    common = _guarded(ground, Cause("0", 60.0, "lost-core", target="condor", lasts=900.0))
    assert common.watch.attempts == [], "four stations"
    three = _guarded(ground, Cause("0", 60.0, "cut", target="hill", lasts=900.0), _link_down(70.0))
    assert {one.station for one in three.watch.attempts} == {LTE}, "both below the cut can't be reached"


def test_the_guarded_script_restarts_no_station(ground: Baseline) -> None:
    stage = _guarded(ground, Cause("0", 60.0, "wrong-software", (LTE,), visit=1500.0))
    assert stage.watch.attempts == []


def test_at_best_each_fault_that_a_remedy_cures_is_cured_as_it_begins_and_no_other(ground: Baseline) -> None:
    causes = (
        Cause("4", 60.0, "sfp", (LTE,), target="ru-1", visit=1500.0),
        Cause("1", 60.0, "licence-gone", ("T-LTE-2",), visit=1500.0),
        Cause("2", 60.0, "configuration-reverted", ("T-BOTH-1",), visit=1500.0),
        Cause("3", 60.0, "power-supply", ("T-NR-1",), visit=1500.0),
    )
    stage, day = ground.stage(), _day(*causes)
    stage.at_best = True
    stage.clock.advance(DAY_BEGINS - stage.clock.monotonic())
    begin(stage, day)
    stage.clock.advance(1600)
    remedies = {one.kind: one.remote for one in stage.watch.struck}
    assert not remedies["sfp"], "nothing but a visit cures this one, as drawn"
    assert remedies["licence-gone"]
    by = {one.kind: one.how for one in stage.watch.struck}
    assert by.pop("sfp") == by.pop("power-supply") == "visit"
    assert by == {"licence-gone": "remedy", "configuration-reverted": "remedy"}
    found = stage.outages.causes()
    assert sum(minutes for (cause, _), minutes in found.items() if cause == "sfp") == pytest.approx(2 * 25, abs=1)
    assert sum(minutes for (cause, _), minutes in found.items() if cause != "sfp") < 0.5
    played = judged("best", stage, day, ground.network)
    assert (played.curable, played.cured, played.acts) == (2, 2, 0)


def test_days_of_several_seeds_add_up(ground: Baseline) -> None:
    stage = _played_by_nobody(ground, _link_down(), hours=0.5)
    day = judged("nothing", stage, _day(_link_down()), ground.network)
    both = sum_of([day, day])
    assert both.minutes == {tenant: 2 * minutes for tenant, minutes in day.minutes.items()}
    assert both.by_kind == {"core-link-down": (2, 2, 0)}
    assert both.lost == pytest.approx(sum(sum(of.values()) for of in both.by_cause.values()))
    assert (both.incidents, both.visits) == (2, 2)


def test_the_same_seed_is_the_same_day(ground: Baseline) -> None:
    one, other = (draw_day(ground.simulated, ["condor"], "3", 24.0) for _ in range(2))
    assert one == other
    assert draw_day(ground.simulated, ["condor"], "4", 24.0) != one


def test_minutes_end_with_the_day_however_long_a_run_goes_on(ground: Baseline) -> None:
    """Else whoever has a run under way then would have more minutes of each fault that stands, wherever it is."""
    stage, day = ground.stage(), _day(_link_down(), hours=0.1)
    stage.clock.advance(DAY_BEGINS)
    begin(stage, day)
    stage.clock.advance(360.0)
    at_its_end = stage.outages.minutes()
    assert sum(at_its_end.values()) > 0
    stage.clock.advance(300.0)
    assert stage.outages.minutes() == at_its_end


def test_a_visit_ends_what_still_stands(ground: Baseline) -> None:
    stage = ground.stage()
    stage.clock.advance(540)
    begin(stage, _day(_link_down()))
    stage.clock.advance(1600)
    assert [one.how for one in stage.watch.struck] == ["visit"]


@pytest.mark.parametrize(
    ("seed", "kind", "station", "unit", "hours"),
    [
        ("61", "high-temperature", LTE, "ru-1", 1.5),  # its second stage, off, begins after 32 min; it ends after 144
        ("181", "sync-lost", "T-NR-1", "", 1.6),  # all of its cells are TDD, and off after a holdover of 65 min
    ],
)
def test_what_takes_its_time_is_cured_by_its_rule(
    ground: Baseline, seed: str, kind: str, station: str, unit: str, hours: float
) -> None:
    cause = Cause("0", 10.0, kind, (station,), target=unit, visit=hours * 3600)
    stage, day = ground.stage(), Day(seed, hours, (cause,), ())
    Minka(stage, ground.record, ground.settings).play(day)
    played = judged("minka", stage, day, ground.network)
    assert (played.curable, played.cured, played.wrong) == (1, 1, ())
    assert list(played.rules.values()) == [(1, 0)]


def test_a_cell_that_sleeps_is_locked_and_unlocked_by_itself_though_its_station_says_that_it_serves(
    ground: Baseline,
) -> None:
    """Its alarm comes from measurements, which a rehearsal does not play: here it comes and goes as the check would."""
    cause = Cause("0", 10.0, "sleeping-cell", (LTE,), target="1", visit=3600.0)
    stage, day = ground.stage(), _day(cause, hours=0.6)
    minka = Minka(stage, ground.record, ground.settings)

    def tell(severity: PerceivedSeverity) -> None:
        asleep: dict[str, Any] = {"station": LTE, "object": f"{LTE}/1", "object_class": ObjectClass.CELL}
        asleep |= {"probable_cause": SLEEPING_CELL, "severity": severity, "source": AlarmSource.CHECK}
        minka.store.alarms.report(AlarmReport(**asleep, at=stage.clock.now()))

    begins = DAY_BEGINS - stage.clock.monotonic()
    stage.clock.call_later(begins + 60, partial(tell, PerceivedSeverity.MAJOR))
    stage.clock.call_later(begins + 1200, partial(tell, PerceivedSeverity.CLEARED))
    minka.play(day)
    played = judged("minka", stage, day, ground.network)
    assert (played.cured, played.wrong, played.rules["sleeping-cell"]) == (1, (), (1, 0))
    (attempt,) = stage.watch.attempts
    assert attempt.remedies == {Remedy.LOCK_UNLOCK}
    assert not attempt.serving, "nobody was interrupted"


def test_minutes_without_service_are_those_of_the_twin(ground: Baseline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each outage to the minute, where it was seen at all; what nobody could see is said to be unseen."""
    stage = ground.stage()
    causes = (
        _link_down(),
        Cause("1", 120.0, "cell-down", ("T-BOTH-1",), visit=900.0),
        Cause("2", 300.0, "mains-failure", ("T-LTE-2",), visit=1500.0),
        Cause("3", 900.0, "lost-core", target="andes", lasts=600.0),
    )
    minka = Minka(stage, ground.record, ground.settings)
    monkeypatch.setattr(minka.store, "close", lambda: None)
    minka.play(_day(*causes))
    outages = minka.store.incidents.outages(BEGINS, minka.clock.now())
    assert outages is not None
    truth: dict[str, float] = {}
    for (_, tenant), minutes in stage.outages.minutes().items():
        truth[tenant] = truth.get(tenant, 0.0) + minutes
    told = {one.tenant: one for one in outages.minutes()}
    assert truth.keys() == told.keys()
    for tenant, minutes in truth.items():
        (span,) = outages.agreed(tenant, BEGINS, minka.clock.now())
        owed = outages.agreed_service(span.agreement, BEGINS, minka.clock.now(), minka.clock.now())
        many = sum(len(times) for parts in owed.parts.values() for times in (parts.lost, parts.own_core, parts.unseen))
        found = told[tenant].lost + told[tenant].own_core + told[tenant].unseen
        assert found == pytest.approx(minutes, abs=max(many, 1)), tenant
    minka.store.database.engine.dispose()


def test_a_tenant_whose_core_is_lost_is_to_be_notified_within_a_minute(
    ground: Baseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody takes notices in a rehearsal, so the time at which they became due is still on record at the end."""
    minka = Minka(ground.stage(), ground.record, ground.settings)
    monkeypatch.setattr(minka.store, "close", lambda: None)
    minka.play(_day(Cause("0", 60.0, "lost-core", target="condor", lasts=400.0), hours=0.1))
    open_ones = select(incidents.c.notify_at).where(incidents.c.merged_into == "")
    with minka.store.database.engine.connect() as connection:
        due = connection.execute(open_ones.where(incidents.c.probable_cause == "core-node-down")).all()
    minka.store.notices.write()
    notices = minka.store.notices.page(Page(), "condor")[1]
    minka.store.database.engine.dispose()
    began = BEGINS + timedelta(seconds=DAY_BEGINS + 60)
    assert due
    assert max(row.notify_at for row in due) - began <= timedelta(seconds=60)
    assert {one.what for one in notices} == {"core-node-down"}
