"""What several devices have in common and has failed, as it shows in checks at them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.assurance.common_faults import CommonFaults, _reached
from controller.inventory.load import load_network
from controller.models.alarm import Alarm, AlarmSource, AlarmState, ObjectClass, PerceivedSeverity
from controller.models.health import Health, LinkHealth, ServiceState
from controller.models.network import Network
from tests.support.roots import root_of
from tests.unit.intent.backhaul_tree import HANGS, network
from tests.unit.plan import samples

PERU = Path(__file__).parents[3] / "deploy" / "networks" / "peru"
MINI = PERU.parent / "peru-mini"
AT = datetime(2026, 6, 15, tzinfo=UTC)
UP, DOWN, UNKNOWN = ServiceState.UP, ServiceState.DOWN, ServiceState.UNKNOWN
CORE, REMOTE, BACKHAUL = "core-node-down", "remote-end-down", "backhaul-down"


class Checks:
    """Checks of the stations of a small network, one second apart, and the alarms that come of them."""

    def __init__(self, followed: Iterable[str] = HANGS, of: Network | None = None) -> None:
        self._network = of or network()
        self._faults = CommonFaults()
        self._faults.follow(list(followed))
        self._last: dict[str, Health] = {}
        self._at = AT
        self.standing: dict[tuple[str, str], Alarm] = {}

    def restart(self) -> None:
        """The process begins again; alarms stand."""
        self._faults = CommonFaults()
        self._faults.follow(list(HANGS))
        self._last = {}

    def follow(self, *stations: str) -> None:
        self._faults.follow(stations)

    def check(self, station: str, *, dark: bool = False, **states: ServiceState) -> list[tuple[str, str, str]]:
        """Check a station: whether its link to each tenant's ``mme`` works, or to another node (``entel_s1u``)."""
        self._at += timedelta(seconds=1)
        ends = {end: (*end.split("_"), "mme")[:2] for end in states}
        links = tuple(
            LinkHealth(
                path=f"/ManagedElement[{station}]/EP_S1C[{'-'.join(ends[end])}]",
                tenant=ends[end][0],
                kind="S1C",
                state=state,
            )
            for end, state in states.items()
        )
        now = Health(station=station, at=self._at, reachable=not dark, links=links)
        self._faults.take(self._network, self._last.get(station), now)
        self._last[station] = now
        return self.said()

    def changing(self, station: str, *, answers: bool) -> list[tuple[str, str, str]]:
        """Look at a station that a job just changes or restarts."""
        self._at += timedelta(seconds=1)
        self._faults.take_changing(self._network, station, self._at, answers=answers)
        return self.said()

    def twice(
        self, stations: Iterable[str], *, dark: bool = False, **states: ServiceState
    ) -> list[tuple[str, str, str]]:
        """Check each of them two times in a row."""
        found = []
        for station in stations:
            found += self.check(station, dark=dark, **states)
            found += self.check(station, dark=dark, **states)
        return found

    def wait(self, *, minutes: int) -> None:
        """Let time pass without checks."""
        self._at += timedelta(minutes=minutes)

    @property
    def at(self) -> datetime:
        """The time of the last check."""
        return self._at

    def asked(self) -> set[str]:
        """Stations that should be checked at once."""
        return set(self._faults.to_ask())

    def said(self) -> list[tuple[str, str, str]]:
        """What is said to the alarm list now: cause, object, severity."""
        found = []
        for report in self._faults.reports(self._network, self.standing.values(), self._at):
            key = report.probable_cause, report.object
            if report.severity is PerceivedSeverity.CLEARED:
                del self.standing[key]
            else:
                assert report.tenant == (report.object.partition("-")[0] if report.probable_cause == CORE else "")
                fields = report.model_dump(exclude={"at"})
                times = {"raised": report.at, "changed": report.at}
                self.standing[key] = Alarm(**fields, **times, id=report.object, state=AlarmState.RAISED)
            found.append((*key, report.severity.value))
        return found


def well(checks: Checks) -> None:
    assert checks.twice(HANGS, claro=UP, entel=UP) == []


def test_most_stations_without_a_core_node_are_one_fault_of_the_core() -> None:
    checks = Checks()
    well(checks)
    assert checks.twice(("S4", "S5"), claro=DOWN, entel=UP) == []  # one site is not enough
    assert checks.check("S3", claro=DOWN, entel=UP) == []  # nor is one check
    assert checks.check("S3", claro=DOWN, entel=UP) == []  # nor are two that may have lost their own links
    assert checks.asked() == {"S1", "S2", "S6"}
    assert checks.twice(("S1",), claro=DOWN, entel=UP) == []
    assert checks.check("S6", claro=DOWN, entel=UP) == []
    assert checks.check("S6", claro=DOWN, entel=UP) == [(CORE, "claro-mme", "CRITICAL")]
    (alarm,) = checks.standing.values()
    assert (alarm.station, alarm.tenant, alarm.object_class) == ("", "claro", ObjectClass.CORE_NODE)
    assert "5 stations have lost claro-mme of claro" in alarm.text
    assert checks.twice(("S1", "S2", "S6"), claro=DOWN, entel=UP) == []  # it is said once
    assert checks.asked() == set()


def test_a_core_node_that_most_stations_still_reach_is_not_lost() -> None:
    checks = Checks()
    well(checks)
    assert checks.twice(("S1",), claro=DOWN, entel=UP) == []
    assert checks.twice(("S4", "S5", "S6"), claro=UP, entel=UP) == []  # checked since
    assert checks.twice(("S2", "S3"), claro=DOWN, entel=UP) == []  # as many have it as have lost it


def test_stations_of_one_site_prove_nothing_about_the_core() -> None:
    checks = Checks(("S4", "S5"))
    assert checks.twice(("S4", "S5"), claro=DOWN, entel=UP) == []


@pytest.mark.parametrize("state", [UNKNOWN, None])
def test_what_is_unknown_or_not_there_is_not_down(state: ServiceState | None) -> None:
    checks = Checks()
    for _ in range(2):
        for station in HANGS:
            assert (checks.check(station, entel=UP, claro=state) if state else checks.check(station, entel=UP)) == []


def test_stations_that_are_cut_off_from_every_tenant_say_nothing_of_a_core() -> None:
    checks = Checks()
    well(checks)
    assert checks.twice(HANGS, claro=DOWN, entel=DOWN) == []
    # Where there is one tenant only, its core may be what failed.
    checks = Checks()
    assert (CORE, "claro-mme", "CRITICAL") in checks.twice(HANGS, claro=DOWN)


def test_a_station_whose_links_of_all_tenants_vanished_says_nothing_of_any() -> None:
    links = tuple(
        LinkHealth(path=f"/ManagedElement[S1]/EP_S1C[{one}-mme]", tenant=one, kind="S1C", state=DOWN, missing=True)
        for one in ("claro", "entel")
    )
    now = Health(station="S1", at=AT, reachable=True, links=links)
    assert _reached(network(), now, now) == {}


def test_what_several_tenants_lead_to_and_lose_is_one_remote_end() -> None:
    checks = Checks(of=network(tenants=True))
    works: dict[str, Any] = {"claro": UP, "entel": UP, "claro_s1u": UP, "entel_s1u": UP}
    assert checks.twice(HANGS, **works) == []
    lost: dict[str, Any] = works | {"claro_s1u": DOWN, "entel_s1u": DOWN}
    said = checks.twice(("S1", "S3", *sorted(set(HANGS) - {"S1", "S3"})), **lost)
    ends = [(CORE, "claro-s1u", "CRITICAL"), (CORE, "entel-s1u", "CRITICAL"), (REMOTE, "10.9.0.0/29", "CRITICAL")]
    assert sorted(said) == ends
    assert "5 stations have lost what lies at or behind 10.9.0.0/29, most" in checks.standing[ends[2][:2]].text
    # One tenant's users get through: it is the other one's S-GWs.
    said = checks.twice(HANGS, **lost | {"entel_s1u": UP})
    assert sorted(said) == [(CORE, "entel-s1u", "CLEARED"), (REMOTE, "10.9.0.0/29", "CLEARED")]


def test_stations_whose_links_all_lead_to_one_gateway_tell_of_it() -> None:
    through = Checks(("S1", "S3"), of=network(gateway=True))
    down: dict[str, Any] = {"claro": DOWN, "entel": DOWN, "entel_s1u": DOWN}
    assert (REMOTE, "10.8.0.1", "CRITICAL") in through.twice(("S1", "S3"), **down)
    # The same, where some links lead elsewhere: their transport failed.
    assert Checks(("S1", "S3"), of=network(tenants=True)).twice(("S1", "S3"), **down) == []
    # One node behind the gateway is that node, and no more.
    one = Checks(("S1", "S3"), of=network(gateway=True))
    assert one.twice(("S1", "S3"), claro=DOWN) == [(CORE, "claro-mme", "CRITICAL")]


def test_a_core_node_works_again_once_most_stations_reach_it() -> None:
    checks = Checks()
    checks.twice(HANGS, claro=DOWN, entel=UP)
    assert list(checks.standing) == [(CORE, "claro-mme")]
    assert checks.check("S1", claro=UP, entel=UP) == []
    assert checks.check("S2", claro=UP, entel=UP) == []
    assert checks.check("S3", claro=UP, entel=UP) == [(CORE, "claro-mme", "CLEARED")]


def test_after_a_restart_nothing_is_held_for_well_before_all_were_checked() -> None:
    checks = Checks()
    checks.twice(HANGS, claro=DOWN, entel=UP)
    checks.restart()
    for station in ("S1", "S2", "S3", "S4", "S5"):
        assert checks.check(station, claro=DOWN, entel=UP) == []
    for station in ("S1", "S2", "S3"):
        assert checks.check(station, claro=DOWN, entel=UP) == []
    assert checks.check("S6", claro=UP, entel=UP) == []  # lost all the same
    checks.restart()
    for station in ("S1", "S2", "S3", "S4", "S5"):
        assert checks.check(station, claro=UP, entel=UP) == []
    assert checks.check("S6", claro=UP, entel=UP) == [(CORE, "claro-mme", "CLEARED")]


def test_stations_that_nobody_follows_any_more_do_not_count() -> None:
    checks = Checks()
    checks.twice(("S1", "S2"), claro=DOWN, entel=UP)
    checks.follow("S3", "S4")
    assert checks.twice(("S3",), claro=DOWN, entel=UP) == []


def test_a_cut_is_the_node_below_which_nothing_can_be_reached() -> None:
    checks = Checks()
    well(checks)
    assert checks.twice(("S3", "S4"), dark=True) == []
    assert checks.check("S5", dark=True) == []  # one check is not enough
    # Not `hop` and not `core`: nothing tells that more is cut.
    assert checks.check("S5", dark=True) == [(BACKHAUL, "radio", "CRITICAL")]
    (alarm,) = checks.standing.values()
    assert alarm.object_class is ObjectClass.BACKHAUL
    assert alarm.text == "none of the 3 devices below radio can be reached"
    # More is dark: it is the trunk that failed.
    assert checks.twice(("S1",), dark=True) == []
    assert checks.check("S2", dark=True) == []
    assert checks.check("S2", dark=True) == [(BACKHAUL, "trunk", "CRITICAL")]  # of which the other follows
    # A device answers: what is above it works.
    over = [(BACKHAUL, "radio", "CLEARED"), (BACKHAUL, "trunk", "CLEARED")]
    assert checks.check("S3", claro=UP) == [(BACKHAUL, "fibre", "CRITICAL"), *over]
    assert checks.check("S1", claro=UP) == [(BACKHAUL, "fibre", "CLEARED")]


def test_a_station_that_a_job_restarts_hides_no_cut_and_makes_none() -> None:
    checks = Checks()
    well(checks)
    assert checks.changing("S3", answers=False) == []
    assert checks.twice(("S4",), dark=True) == []
    assert checks.twice(("S5",), dark=True) == [], "of one site only"
    assert checks.twice(("S1",), dark=True) == []
    assert checks.twice(("S2",), dark=True) == [(BACKHAUL, "trunk", "CRITICAL")], "all of which something is known"
    assert checks.changing("S3", answers=False) == [], "it says nothing of whether the cut is over"
    assert checks.changing("S3", answers=True) == [(BACKHAUL, "fibre", "CRITICAL"), (BACKHAUL, "trunk", "CLEARED")]


def test_stations_that_a_job_restarts_one_and_all_are_no_cut() -> None:
    checks = Checks()
    well(checks)
    for _ in range(3):
        for station in HANGS:
            assert checks.changing(station, answers=False) == []
    assert checks.twice(HANGS, claro=UP, entel=UP) == []
    assert checks.twice(("S3", "S4"), dark=True) == []
    assert checks.changing("S5", answers=True) == []
    assert checks.changing("S5", answers=True) == [], "it answers, so nothing is cut"


def test_a_witness_that_a_job_changes_is_replaced() -> None:
    checks = Checks(("S1", "S2", "S3", "S6"))
    assert checks.twice(("S1", "S2", "S3", "S6"), claro=UP, entel=UP) == []
    assert checks.twice(("S1", "S3"), claro=DOWN, entel=UP) == []
    assert checks.asked() == {"S2", "S6"}
    assert checks.changing("S2", answers=True) == []
    assert checks.asked() == {"S6"}, "one that is just being changed can't be asked"
    assert checks.twice(("S6",), claro=DOWN, entel=UP) == [(CORE, "claro-mme", "CRITICAL")]


def test_one_dark_site_is_no_cut() -> None:
    checks = Checks(("S4", "S5", "S6"))
    well(checks)
    assert checks.twice(("S4", "S5"), dark=True) == []


def test_a_cut_stands_over_a_restart_until_something_below_it_answers() -> None:
    checks = Checks()
    checks.twice(("S1", "S2"), dark=True)
    assert list(checks.standing) == [(BACKHAUL, "fibre")]
    checks.restart()
    assert checks.check("S1", dark=True) == []
    assert checks.check("S3", claro=UP) == []
    assert checks.check("S2", claro=UP) == [(BACKHAUL, "fibre", "CLEARED")]


def test_a_cut_fibre_is_one_root_in_whatever_order_devices_are_checked() -> None:
    of, chance = load_network(PERU), random.Random(7)
    below = of.devices_below["fibre-ancash"]
    order = [station for station in of.station_by_id if station in below or chance.random() < 0.03]
    for _ in range(2):
        checks = Checks(of.station_by_id, of)
        for _ in range(2):
            chance.shuffle(order)
            for station in order:
                checks.check(station, dark=station in below, claro=UP)
        found = list(checks.standing.values())
        (root,) = [one for one in found if root_of(of, one, found) is None]
        assert (root.probable_cause, root.object) == (BACKHAUL, "fibre-ancash")
    alarms = [_unreachable(station) for station in order if station in below]
    assert len(alarms) == 216
    assert all(root_of(of, alarm, [*alarms, root]) is root for alarm in alarms)


def test_a_station_that_was_dark_before_does_not_widen_a_cut_below_which_others_still_answered() -> None:
    checks = Checks()
    well(checks)
    assert checks.twice(("S1",), dark=True) == []
    checks.wait(minutes=10)
    assert checks.twice(("S2", "S3", "S4", "S5", "S6"), claro=UP, entel=UP) == []
    # All below the trunk is dark now, and what went dark lately is below its fibre and its hop.
    assert checks.twice(("S2",), dark=True) == []
    assert checks.twice(("S3", "S4", "S5"), dark=True) == [(BACKHAUL, "trunk", "CRITICAL")]
    (cut,) = checks.standing.values()
    assert cut.seen is not None
    assert timedelta(seconds=1) <= checks.at - cut.seen <= timedelta(seconds=30)

    other = Checks()
    well(other)
    assert other.twice(("S1", "S2"), dark=True) == [(BACKHAUL, "fibre", "CRITICAL")]
    other.wait(minutes=10)
    assert other.twice(("S3", "S4", "S5", "S6"), claro=UP, entel=UP) == []
    assert other.twice(("S3", "S4", "S5"), dark=True) == [(BACKHAUL, "radio", "CRITICAL")], "not the trunk"
    assert len(other.standing) == 2, "the earlier cut stands by itself"


def test_stations_that_went_dark_one_after_the_other_are_no_cut() -> None:
    checks = Checks()
    well(checks)
    assert checks.twice(("S1",), dark=True) == []
    checks.wait(minutes=10)
    assert checks.twice(("S2",), claro=UP, entel=UP) == []
    assert checks.twice(("S2",), dark=True) == [], "the fibre was seen to work after S1 had gone dark"


@pytest.mark.parametrize("tenants", [("claro",), ("claro", "entel")])
def test_two_stations_that_lose_their_own_links_at_once_are_no_lost_core(tenants: tuple[str, ...]) -> None:
    """Healthy stations are asked first; they have not been checked since, and say that the core works."""
    lost: dict[str, Any] = {"claro": UP, "entel": UP} | dict.fromkeys(tenants, DOWN)
    lost["claro_s1u" if len(tenants) == 1 else "other"] = UP
    checks = Checks()
    well(checks)
    assert checks.twice(("S1", "S3"), **lost) == []
    assert checks.asked() == {"S2", "S4", "S5", "S6"}
    for station in sorted(checks.asked()):
        assert checks.check(station, claro=UP, entel=UP) == []
    assert checks.asked() == set()
    assert checks.twice(("S1", "S3"), **lost) == []


def test_a_witness_that_can_not_be_asked_is_replaced() -> None:
    checks = Checks()
    well(checks)
    assert checks.twice(("S1", "S3"), claro=DOWN, entel=UP) == []
    assert checks.twice(("S2", "S4", "S5"), dark=True) == []
    assert checks.asked() == {"S6"}
    assert checks.twice(("S6",), claro=DOWN, entel=UP) == [(CORE, "claro-mme", "CRITICAL")]


def test_an_older_loss_proves_nothing_about_a_core() -> None:
    checks = Checks()
    well(checks)
    assert checks.twice(("S1",), claro=DOWN, entel=UP) == []
    checks.wait(minutes=10)
    assert checks.twice(("S3",), claro=DOWN, entel=UP) == []
    assert checks.asked() == set()


def test_a_core_that_nobody_can_ask_about_any_more_is_not_back() -> None:
    checks = Checks(of=network(tenants=True))
    checks.twice(HANGS, claro=DOWN, entel=UP)
    assert list(checks.standing) == [(CORE, "claro-mme")]
    said = checks.twice(("S1", "S2", "S3", "S4", "S5"), dark=True)
    assert {one[0] for one in said} == {BACKHAUL}
    # All tenants' links are down at the last one: it is cut off, and says nothing of the core either.
    assert checks.twice(("S6",), claro=DOWN, entel=DOWN) == []
    said = checks.twice(("S6",), dark=True)
    assert [one for one in said if one[0] == CORE] == []
    # They are back, most without a link to the core; then most have it again.
    checks.twice(HANGS, claro=DOWN, entel=UP)
    assert (CORE, "claro-mme") in checks.standing
    assert (CORE, "claro-mme", "CLEARED") in checks.twice(HANGS, claro=UP, entel=UP)


def test_a_core_to_which_no_station_has_a_link_any_more_is_over() -> None:
    checks = Checks(of=network(tenants=True))
    checks.twice(HANGS, claro=DOWN, entel=UP)
    assert checks.twice(HANGS, entel=UP) == [(CORE, "claro-mme", "CLEARED")]


def _unreachable(station: str) -> Alarm:
    return Alarm(
        id=station,
        station=station,
        object="station",
        tenant="",
        probable_cause="station-unreachable",
        specific_problem="",
        severity=PerceivedSeverity.CRITICAL,
        text="",
        source=AlarmSource.CHECK,
        state=AlarmState.RAISED,
        raised=AT,
        changed=AT,
    )


def test_the_whole_network_dark_is_one_fault() -> None:
    checks = Checks()
    checks.twice(HANGS, dark=True)
    assert (BACKHAUL, "core") in checks.standing


def test_stations_that_live_in_functions_say_nothing_of_the_backhaul() -> None:
    """They are reached at the pool of their function, wherever their cells are."""
    plain, du = network(), samples.virtual()
    living = tuple(one.model_copy(update={"functions": ("DU-1",)}) for one in plain.stations)
    of = plain.model_copy(update={"stations": living, "functions": du.functions, "packages": du.packages})
    assert [said for said in Checks().twice(HANGS, dark=True) if said[0] == BACKHAUL]
    assert not [said for said in Checks(of=of).twice(HANGS, dark=True) if said[0] == BACKHAUL]


@pytest.mark.parametrize("others", [UP, UNKNOWN])
def test_links_that_vanished_from_stations_are_no_failed_core_node(others: ServiceState) -> None:
    """Somebody deleted them; where no states are reported, this is the only way in which a link is down."""
    faults, net, at = CommonFaults(), network(), AT
    faults.follow(list(HANGS))
    gone = set(list(HANGS)[:3])
    last: dict[str, Health] = {}
    for _ in range(3):
        for station in HANGS:
            at += timedelta(seconds=1)
            path = f"/ManagedElement[{station}]/EP_S1C[entel-mme]"
            state = DOWN if station in gone else others
            link = LinkHealth(path=path, tenant="entel", kind="S1C", state=state, missing=station in gone)
            now = Health(station=station, at=at, reachable=True, links=(link,))
            faults.take(net, last.get(station), now)
            last[station] = now
            assert not list(faults.reports(net, (), at))


def test_stations_that_report_no_state_have_not_lost_the_core() -> None:
    checks = Checks()
    first, second, *rest = HANGS
    checks.twice(rest, entel=UNKNOWN)
    for _ in range(2):
        checks.twice([first, second], entel=DOWN)
        checks.twice(rest, entel=UNKNOWN)
    checks.twice([first, second], entel=DOWN)
    assert checks.standing == {}


def _mini() -> tuple[Network, list[str]]:
    """A network with many sites, and a station of each."""
    of = load_network(MINI)
    return of, list({of.site_of(one.id): one.id for one in of.stations if not one.functions}.values())


def test_what_goes_dark_after_others_had_the_core_does_not_blame_it() -> None:
    of, stations = _mini()
    lost, others = stations[:6], stations[6:]
    checks = Checks(stations, of)
    assert checks.twice(stations, claro=UP, entel=UP) == []
    assert checks.twice(lost, claro=DOWN, entel=UP) == []
    assert checks.twice(others, claro=UP, entel=UP) == []
    assert checks.asked() == set(), "they had it: nobody need be asked any more"
    said = checks.twice(others[3:], dark=True) + checks.twice(lost, claro=DOWN, entel=UP)
    said += checks.twice(others[:3], claro=UP, entel=UP)
    assert [one for one in said if one[0] == CORE] == []
    # One more loses its own link; two are left that have the core.
    said = checks.twice(others[:1], claro=DOWN, entel=UP) + checks.twice(others[1:3], claro=UP, entel=UP)
    assert [one for one in said if one[0] == CORE] == []
    # They lose it too: all that answer have lost it now, and those that were asked.
    said = checks.twice(others[1:3], claro=DOWN, entel=UP)
    assert (CORE, "claro-mme", "CRITICAL") in said


def test_a_core_that_nobody_can_be_asked_about_is_not_lost() -> None:
    checks = Checks()
    well(checks)
    assert checks.twice(("S1", "S3"), claro=DOWN, entel=UP) == []
    assert checks.twice(("S2", "S4", "S5", "S6"), dark=True) == []
    assert checks.asked() == set()
    assert checks.twice(("S1", "S3"), claro=DOWN, entel=UP) == [], "unknown"


def test_what_another_station_says_counts_while_a_witness_has_not_answered() -> None:
    of, stations = _mini()
    checks = Checks(stations, of)
    checks.twice(stations, claro=UP, entel=UP)
    checks.twice(stations[:2], claro=DOWN, entel=UP)
    witnesses = checks.asked()
    assert len(witnesses) == 5
    others = [one for one in stations[2:] if one not in witnesses]
    said = checks.twice(others[:3], claro=UP, entel=UP) + checks.twice(sorted(witnesses), dark=True)
    assert [one for one in said if one[0] == CORE] == []
    assert checks.asked() == set()


def test_a_witness_whose_link_was_deleted_is_replaced() -> None:
    of, stations = _mini()
    checks = Checks(stations, of)
    checks.twice(stations, claro=UP, entel=UP)
    checks.twice(stations[:2], claro=DOWN, entel=UP)
    gone = min(checks.asked())
    assert checks.check(gone, entel=UP) == []
    assert gone not in checks.asked()
    assert len(checks.asked()) == 5


def test_a_lost_core_works_again_once_most_of_those_that_answer_reach_it() -> None:
    of, stations = _mini()
    checks = Checks(stations, of)
    checks.twice(stations, claro=UP, entel=UP)
    checks.twice(stations, claro=DOWN, entel=UP)
    assert (CORE, "claro-mme") in checks.standing
    checks.twice(stations[4:], dark=True)
    assert (CORE, "claro-mme", "CLEARED") not in checks.check(stations[0], claro=UP, entel=UP)
    assert (CORE, "claro-mme", "CLEARED") in checks.check(stations[1], claro=UP, entel=UP), "two of four"


def test_an_old_loss_of_another_node_makes_no_lost_remote_end() -> None:
    checks = Checks(of=network(gateway=True))
    works: dict[str, Any] = {"claro": UP, "entel": UP}
    assert checks.twice(HANGS, **works) == []
    assert checks.twice(("S1",), claro=UP, entel=DOWN) == []
    checks.wait(minutes=60)
    assert checks.twice(HANGS, claro=UP, entel=DOWN)[0] == (CORE, "entel-mme", "CRITICAL")


@pytest.mark.parametrize("seed", range(12))
def test_a_core_that_answering_stations_have_is_never_blamed_in_whatever_order_they_are_checked(seed: int) -> None:
    """A second account of the last readings judges each alarm; own losses, regional cuts and lost cores mix."""
    of, stations = _mini()
    chance, checks = random.Random(seed), Checks(stations, of)
    has: dict[str, datetime] = {}
    lost: dict[str, datetime] = {}
    once: set[str] = set()
    dark: set[str] = set()
    own: set[str] = set()
    core, blamed = UP, 0
    for turn in range(900):
        if turn % 30 == 0:
            own = set(chance.sample(stations, chance.choice([0, 2, 6])))
            dark = set(chance.sample(stations, chance.choice([0, 0, 4, len(stations) - 4])))
            core = chance.choice([UP, UP, DOWN])
        asked = sorted(checks.asked())
        station = chance.choice(asked if asked and chance.random() < 0.5 else stations)
        link = DOWN if station in own else core
        said = checks.check(station, claro=link, entel=UP) if station not in dark else checks.check(station, dark=True)
        has.pop(station, None)
        if station in dark:
            once.discard(station)
        elif link is UP:
            lost.pop(station, None)
            once.discard(station)
            has[station] = checks.at
        elif station in once:
            lost.setdefault(station, checks.at)
        else:
            once.add(station)
        if (CORE, "claro-mme", "CRITICAL") in said:
            blamed += 1
            heard = [one for one in lost if one in once]
            since = [one for one, at in has.items() if at > max(lost.values())]
            assert heard, "nobody who answers has lost it"
            assert not since or len(heard) > len(has), f"{since} have it"
    assert blamed, "a lost core is found"
