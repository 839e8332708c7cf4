"""Dispatch packs: place, unit, part, what was tried, who has no service, and what to hold before anybody climbs."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from controller.models.alarm import CORE_LINK_DOWN, Alarm, AlarmReport, AlarmSource, ObjectClass, PerceivedSeverity
from controller.models.errors import NotFoundError
from controller.models.network import Validity, network_digest
from controller.remediation.dispatch import dispatch_pack
from controller.remediation.guards import settle_seconds
from controller.remediation.rules import Match, Rule, RuleGuards, Rung
from tests.unit.remediation.bench import STATION_ID, Bench, tiny

CELL = f"{STATION_ID}/L1"


def known_site(bench: Bench) -> str:
    """The site of the station, with the way there on file, and agreements in force."""
    made = tiny()
    site = made.site_of(STATION_ID)
    said = {"access": "4x4, key at the school", "power": "mains and 8 h of batteries"}
    sites = tuple(one.model_copy(update=said) if one.id == site else one for one in made.sites)
    always = tuple(one.model_copy(update={"validity": Validity(start=date(2020, 1, 1))}) for one in made.agreements)
    network = made.model_copy(update={"sites": sites, "agreements": always})
    bench.store.networks.save(network, network_digest(network), "ana")
    return site


def vswr(bench: Bench) -> Alarm:
    return bench.store.alarms.report(
        AlarmReport(
            station=STATION_ID,
            object="ru-1",
            object_class=ObjectClass.RADIO_UNIT,
            probable_cause="o-ran-fault-9",
            specific_problem="ru-1",
            severity=PerceivedSeverity.MAJOR,
            text="VSWR above limit",
            source=AlarmSource.ORAN_FM,
            at=bench.clock.now(),
        )
    )


def test_a_pack_has_all_that_a_person_needs_who_goes_there(bench: Bench) -> None:
    site = known_site(bench)
    alarm = vswr(bench)
    cell = next(one for one in bench.store.networks.get()[1].cells_by_station[STATION_ID])
    off = bench.report(cell.name, "cell-off-air", PerceivedSeverity.CRITICAL)
    pack = dispatch_pack(bench.store, alarm.id, bench.clock.now())
    assert pack.place is not None
    assert (pack.place.site, pack.place.access, pack.place.power) == (
        site,
        "4x4, key at the school",
        "mains and 8 h of batteries",
    )
    assert (pack.unit, pack.object_class, pack.slot) == ("ru-1", ObjectClass.RADIO_UNIT, "ru-1")
    assert "VSWR" in pack.part
    assert [one.id for one in pack.standing] == [alarm.id, off.id]
    assert pack.without_service == {"andes": (cell.name,), "condor": (cell.name,)}
    assert pack.holds == (f"minka hold put site:{site} --reason '{alarm.id}: a person is on site'",)
    assert (pack.tried, pack.in_force) == ((), ())
    text = "\n".join(pack.lines)
    for words in (
        "4x4, key at the school",
        "VSWR above limit",
        "nothing was tried",
        "without service: andes in",
        "before",
    ):
        assert words in text


async def test_a_pack_says_what_was_tried_and_how_it_ended_and_goes_with_the_escalation(bench: Bench) -> None:
    known_site(bench)
    link = bench.breaks()
    scheduler = bench.scheduler()
    await bench.round(scheduler)
    bench.work(incurable=[link.id])
    for _ in range(4):
        await bench.round(scheduler, seconds=60)
    (run,) = bench.runs()
    ((told, _),) = bench.people.sent
    (pack,) = bench.people.packs
    assert (told.id, pack.alarm) == (link.id, link.id)
    assert [(one.run, one.playbook) for one in pack.tried] == [(run.id, "recreate-core-endpoint")]
    assert pack.probable_cause == CORE_LINK_DOWN


def test_holds_in_force_are_named_and_not_put_again(bench: Bench) -> None:
    site = known_site(bench)
    bench.store.holds.add(f"site:{site}", "ana", "rigger on the mast", None)
    bench.store.holds.add("T-NR-1", "ana", "elsewhere", None)
    pack = dispatch_pack(bench.store, vswr(bench).id, bench.clock.now())
    assert pack.in_force == (f"site:{site} by ana: rigger on the mast",)
    assert pack.holds == ()


def test_what_is_not_known_is_said(bench: Bench) -> None:
    away = bench.report("station", "other", station="S-gone")
    pack = dispatch_pack(bench.store, away.id, bench.clock.now())
    assert (pack.place, pack.part) == (None, "")
    assert "likely part: not known" in pack.lines
    with pytest.raises(NotFoundError):
        dispatch_pack(bench.store, "a-none", bench.clock.now())


def test_a_station_on_its_battery_has_a_deadline_where_the_network_files_say_how_long_that_lasts(bench: Bench) -> None:
    made = tiny()
    sites = tuple(one.model_copy(update={"battery_hours": 3.0}) for one in made.sites)
    stations = tuple(one.model_copy(update={"holdover_hours": 24.0}) for one in made.stations)
    network = made.model_copy(update={"sites": sites, "stations": stations})
    bench.store.networks.save(network, network_digest(network), "ana")
    for cause, hours in (("3gpp-power-problem", 3), ("3gpp-timing-problem", 24)):
        alarm = bench.report("station", cause, source=AlarmSource.ALARM_LIST)
        pack = dispatch_pack(bench.store, alarm.id, bench.clock.now())
        assert pack.until == alarm.raised + timedelta(hours=hours)
        assert f"the station serves until about {pack.until:%Y-%m-%d %H:%M} UTC all the same" in pack.lines
        worse = bench.report("station", cause, PerceivedSeverity.CRITICAL, source=AlarmSource.ALARM_LIST)
        assert dispatch_pack(bench.store, worse.id, bench.clock.now()).until is None, "it is over"


def test_people_hear_of_a_battery_before_it_is_empty(bench: Bench) -> None:
    made = tiny()
    sites = tuple(one.model_copy(update={"battery_hours": 0.5}) for one in made.sites)
    network = made.model_copy(update={"sites": sites})
    alarm = bench.report("station", "o-ran-fault-26")
    mains = Rule(name="m", description="", match=Match(causes=("o-ran-fault-26",)), ladder=(Rung(ticket="Go."),))
    mains = mains.model_copy(update={"guards": RuleGuards(settle_seconds=1800)})
    assert (settle_seconds(mains, alarm, network), settle_seconds(mains, alarm, made)) == (900, 1800)
