"""Dispatch packs: place, unit, part, what was tried, who has no service, and what to hold before anybody climbs."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from controller.models.alarm import (
    ALL_LINKS_DOWN,
    BACKHAUL_DOWN,
    CORE_LINK_DOWN,
    UNREACHABLE,
    Alarm,
    AlarmReport,
    AlarmSource,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.dispatch import DispatchLink, LinkEnd
from controller.models.errors import NotFoundError
from controller.models.health import Health, LinkHealth, ServiceState
from controller.models.network import BackhaulKind, BackhaulNode, Network, Validity, network_digest
from controller.remediation.dispatch import _link, dispatch_pack
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
    for cause, hours in (("mains-lost", 3), ("3gpp-timing-problem", 24)):
        alarm = bench.report("station", cause, source=AlarmSource.ALARM_LIST)
        pack = dispatch_pack(bench.store, alarm.id, bench.clock.now())
        assert pack.until == alarm.raised + timedelta(hours=hours)
        local = pack.until.astimezone(ZoneInfo("America/Lima")).isoformat(" ", "minutes")
        assert f"the station serves until about {local} all the same" in pack.lines
        worse = bench.report("station", cause, PerceivedSeverity.CRITICAL, source=AlarmSource.ALARM_LIST)
        assert dispatch_pack(bench.store, worse.id, bench.clock.now()).until is None, "it is over"


def test_a_pack_promises_no_battery_to_a_station_that_is_dark(bench: Bench) -> None:
    made = tiny()
    sites = tuple(one.model_copy(update={"battery_hours": 3.0}) for one in made.sites)
    network = made.model_copy(update={"sites": sites})
    bench.store.networks.save(network, network_digest(network), "ana")
    mains = [bench.report("station", "mains-lost", station=name) for name in ("T-LTE-1", "T-BOTH-1")]

    def until() -> list[bool]:
        return [dispatch_pack(bench.store, one.id, bench.clock.now()).until is not None for one in mains]

    assert until() == [True, True]
    first, *others = network.cells_by_station["T-BOTH-1"]
    bench.report(first.name, "cell-off-air", station="T-BOTH-1")
    assert others
    assert until() == [True, True], "the other cells serve on"
    for cell in others:
        bench.report(cell.name, "cell-off-air", station="T-BOTH-1")
    assert until() == [True, False]
    over = dispatch_pack(bench.store, mains[0].id, bench.clock.now() + timedelta(hours=3))
    assert [line for line in over.lines if "was to last until about" in line]
    assert not [line for line in over.lines if "serves until" in line], "that time is over"
    bench.report("station", UNREACHABLE, station="T-LTE-1")
    assert until() == [False, False]
    for one in mains:
        pack = dispatch_pack(bench.store, one.id, bench.clock.now())
        assert pack.dark
        assert "the station is dark: it can't be reached any more, or all of its cells are off air" in pack.lines


def test_people_hear_of_a_battery_before_it_is_empty(bench: Bench) -> None:
    made = tiny()
    sites = tuple(one.model_copy(update={"battery_hours": 0.5}) for one in made.sites)
    network = made.model_copy(update={"sites": sites})
    alarm = bench.report("station", "mains-lost")
    mains = Rule(name="m", description="", match=Match(causes=("mains-lost",)), ladder=(Rung(ticket="Go."),))
    mains = mains.model_copy(update={"guards": RuleGuards(settle_seconds=1800)})
    assert (settle_seconds(mains, alarm, network), settle_seconds(mains, alarm, made)) == (900, 1800)


def cut_backhaul(bench: Bench, timezone: str | None = None, **of_node: Any) -> tuple[Network, Alarm]:
    """A node of the backhaul is lost, and with it a hundred stations; some of it is known of the place."""
    made = tiny()
    nodes = (
        BackhaulNode.model_validate({"id": "fibre", "kind": "fibre", "parent": "hub"} | of_node),
        BackhaulNode(id="hub", kind=BackhaulKind.FIBRE, latitude=-12.0464, longitude=-77.0428),
    )
    regions = tuple(one.model_copy(update={"timezone": timezone}) for one in made.regions)
    sites = tuple(one.model_copy(update={"backhaul": "fibre"}) for one in made.sites)
    template, endpoints = made.stations[0], made.endpoints
    many = tuple(template.model_copy(update={"id": f"S-{n:03}", "enb_id": 5000 + n}) for n in range(100))
    network = made.model_copy(
        update={
            "backhaul": nodes,
            "regions": regions,
            "sites": sites,
            "stations": (*made.stations, *many),
            "endpoints": endpoints,
        }
    )
    bench.store.networks.save(network, network_digest(network), "ana")
    root = bench.store.alarms.report(
        AlarmReport(
            station="",
            object="fibre",
            object_class=ObjectClass.BACKHAUL,
            probable_cause=BACKHAUL_DOWN,
            severity=PerceivedSeverity.CRITICAL,
            source=AlarmSource.CHECK,
            at=bench.clock.now(),
        )
    )
    for station in many:
        bench.report("station", UNREACHABLE, PerceivedSeverity.MAJOR, station=station.id)
    while bench.store.alarms.correlate_more():
        pass
    return network, bench.store.alarms.get(root.id)


def test_a_cut_link_has_both_ends_its_route_and_the_hundred_stations_behind_it_in_a_line(bench: Bench) -> None:
    place: dict[str, Any] = {"latitude": -13.5, "longitude": -71.9, "route": "poles of the railway, km 40 to 77"}
    _, root = cut_backhaul(bench, **place)
    pack = dispatch_pack(bench.store, root.id, bench.clock.now())
    assert pack.link is not None
    assert [(end.name, end.latitude, end.longitude) for end in pack.link.ends] == [
        *(("fibre", -13.5, -71.9), ("hub", -12.0464, -77.0428)),
    ]
    for line in (
        "may be cut: fibre between fibre and hub",
        "end fibre at -13.50000, -71.90000",
        "end hub at -12.04640, -77.04280",
        "route: poles of the railway, km 40 to 77",
    ):
        assert line in pack.lines
    (behind,) = [line for line in pack.lines if UNREACHABLE in line]
    assert behind.startswith("stands there: 100 alarms station-unreachable MAJOR (S-000, S-001,")
    assert behind.endswith(" and 90 more)")


def test_what_is_not_known_of_a_link_is_said_and_sites_at_its_ends_are_named(bench: Bench) -> None:
    network, root = cut_backhaul(bench)
    pack = dispatch_pack(bench.store, root.id, bench.clock.now())
    site = network.sites[0]
    (end,) = [line for line in pack.lines if line.startswith("end fibre")]
    assert end.startswith("end fibre: the network files have no position of it; sites there: ")
    assert f"{site.id} ({site.name}, {site.region}) at {site.latitude:.5f}, {site.longitude:.5f}" in end
    assert "route: the network files do not say" in pack.lines
    top = root.model_copy(update={"object": "hub"})
    assert _link(network, top, "") == DispatchLink(
        kind=BackhaulKind.FIBRE, ends=(LinkEnd(name="hub", latitude=-12.0464, longitude=-77.0428),)
    )
    gone = root.model_copy(update={"object": "a node of an older network"})
    assert _link(network, gone, "") is None


def test_a_site_that_lost_all_its_links_has_its_way_to_the_backhaul(bench: Bench) -> None:
    network, root = cut_backhaul(bench)
    site = network.site_by_id[network.site_of(STATION_ID)]
    dark = root.model_copy(update={"station": STATION_ID, "object": "station", "probable_cause": ALL_LINKS_DOWN})
    link = _link(network, dark, site.id)
    assert link is not None
    assert [one.name for one in link.ends] == [site.id, "fibre"]
    assert _link(network, dark.model_copy(update={"probable_cause": "o-ran-fault-9"}), site.id) is None


def seen(bench: Bench, station: str, *, up: bool = True) -> None:
    """A station answers now, with a core link."""
    state = ServiceState.UP if up else ServiceState.DOWN
    link = LinkHealth(path=f"/ManagedElement[{station}]/EP_S1C[a]", tenant="andes", kind="S1C", state=state)
    bench.store.healths.save([Health(station=station, at=bench.clock.now(), reachable=True, links=(link,))])


async def test_a_pack_says_where_the_fault_may_be_and_what_tells_the_places_apart(bench: Bench) -> None:
    """Two stations at sites of their own hang on the hill; nothing else does."""
    made = tiny()
    bench.store.networks.save(made, network_digest(made), "ana")
    seen(bench, "T-BOTH-1")
    seen(bench, "T-LTE-1")
    await bench.clock.advance(60)
    alarm = bench.report("station", UNREACHABLE, station="T-LTE-2")

    def places() -> list[str]:
        return [one.name for one in dispatch_pack(bench.store, alarm.id, bench.clock.now()).suspects]

    assert places() == ["T-LTE-2", "pisac", "hill", "hub"], "that others answered before proves nothing"
    await bench.clock.advance(30)
    seen(bench, "T-LTE-1")
    pack = dispatch_pack(bench.store, alarm.id, bench.clock.now())
    assert places() == ["T-LTE-2", "pisac", "hill"]
    assert "may be cut: microwave between pisac and hill" in pack.lines
    (first,) = [number for number, line in enumerate(pack.lines) if "find out before you drive" in line]
    said = pack.lines[first + 1 : first + 4]
    assert [line.partition(": ")[0] for line in said] == [
        "may be the equipment of T-LTE-2",
        "may be the link between pisac and hill",
        "may be the link between hill and hub",
    ]
    seen(bench, "T-BOTH-1")
    assert places() == ["T-LTE-2", "pisac"]
    answered = bench.clock.now()
    await bench.clock.advance(30)
    lost = Health(station="T-BOTH-1", at=bench.clock.now(), reachable=False, read=answered)
    bench.store.healths.save([lost])
    assert places() == ["T-LTE-2", "pisac"], "what was seen to work since then is no suspect again"
    bench.store.healths.save([lost.model_copy(update={"read": alarm.raised})])
    assert places() == ["T-LTE-2", "pisac", "hill"], "that it answered before says nothing"


async def test_a_link_over_which_another_station_of_the_site_is_reached_is_not_blamed(bench: Bench) -> None:
    made = tiny()
    stations = (*made.stations, made.station_by_id["T-LTE-2"].model_copy(update={"id": "T-LTE-9", "enb_id": 1009}))
    network = made.model_copy(update={"stations": stations})
    bench.store.networks.save(network, network_digest(network), "ana")
    alarm = bench.report("station", ALL_LINKS_DOWN, station="T-LTE-2")
    await bench.clock.advance(30)
    seen(bench, "T-LTE-9", up=False)
    pack = dispatch_pack(bench.store, alarm.id, bench.clock.now())
    assert pack.link is not None, "it answers, and has no core link either"
    seen(bench, "T-LTE-9")
    pack = dispatch_pack(bench.store, alarm.id, bench.clock.now())
    assert (pack.link, [one.name for one in pack.suspects]) == (None, ["T-LTE-2"])
    assert not [line for line in pack.lines if line.startswith("may be")]


@pytest.mark.parametrize(
    ("timezone", "offset"),
    [("Asia/Kathmandu", "+05:45"), ("Pacific/Kiritimati", "+14:00"), (None, "-05:00"), ("Africa/Monrovia", "+00:00")],
)
def test_times_of_a_pack_are_those_of_the_place(bench: Bench, timezone: str | None, offset: str) -> None:
    """The region's time zone, or the network's where it has none; with the offset, so that nobody has to guess."""
    _, root = cut_backhaul(bench, timezone)
    pack = dispatch_pack(bench.store, root.id, bench.clock.now())
    since = pack.lines[0].rpartition(" since ")[2]
    assert since.endswith(offset)
    assert datetime.fromisoformat(since) == pack.since.replace(second=0, microsecond=0)
    assert f"times are local: {timezone or 'America/Lima'}" in pack.lines


def test_half_a_position_is_refused_with_what_is_missing() -> None:
    with pytest.raises(ValueError, match="a position needs both latitude and longitude"):
        BackhaulNode(id="fibre", kind=BackhaulKind.FIBRE, latitude=1.0)
