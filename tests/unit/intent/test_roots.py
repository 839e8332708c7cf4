"""Which alarm follows from which."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.intent import roots
from controller.intent.roots import WINDOW, Fed, Reach, Roots, explained, fed_at, may_be_root, reach
from controller.models.alarm import SPREADING_CAUSES, Alarm, AlarmSource, AlarmState, ObjectClass, PerceivedSeverity
from controller.models.health import Health
from tests.support.roots import root_of
from tests.unit.intent.backhaul_tree import HANGS, network
from tests.unit.intent.clouds import split_gnb
from tests.unit.plan import samples

AT = datetime(2026, 6, 15, tzinfo=UTC)
UNREACHABLE = {"object": "station", "probable_cause": "station-unreachable"}
ALL_LINKS = {"object": "station", "probable_cause": "all-core-links-down"}
MAINS = {"object": "station", "probable_cause": "mains-lost"}


def alarm(station: str, **fields: Any) -> Alarm:
    known: dict[str, Any] = {"tenant": "", "specific_problem": "", "severity": PerceivedSeverity.MAJOR, "text": ""}
    known |= {"source": "check", "state": AlarmState.RAISED, "raised": AT, "changed": AT, "station": station}
    name = "/".join((station, *map(str, fields.values())))
    return Alarm(**known | {"id": name} | fields)


def link(station: str, tenant: str = "claro", name: str = "mme-1", cause: str = "core-link-down") -> Alarm:
    path = f"/ManagedElement[{station}]/ENBFunction[1]/EP_S1C[{tenant}-{name}]"
    return alarm(station, object=path, tenant=tenant, probable_cause=cause, object_class=ObjectClass.CORE_LINK)


def cell(station: str, name: str = "1") -> Alarm:
    path = f"/ManagedElement[{station}]/ENBFunction[1]/EUtranCellFDD[{name}]"
    off: dict[str, Any] = {"object_class": ObjectClass.CELL, "probable_cause": "cell-off-air"}
    return alarm(station, object=path, cells=(f"{station}/{name}",), **off)


def cut(node: str) -> Alarm:
    return alarm("", object=node, probable_cause="backhaul-down", object_class=ObjectClass.BACKHAUL)


def lost(tenant: str, name: str) -> Alarm:
    core: dict[str, Any] = {"probable_cause": "core-node-down", "object_class": ObjectClass.CORE_NODE}
    return alarm("", object=f"{tenant}-{name}", tenant=tenant, **core)


def remote(end: str) -> Alarm:
    return alarm("", object=end, probable_cause="remote-end-down", object_class=ObjectClass.CORE_NODE)


def within(where: Reach, symptom: Alarm) -> bool:
    here = symptom.station in where.devices or symptom.tenant in where.tenants - {""}
    return here or symptom.probable_cause in where.causes


def unit(station: str, *cells: str) -> Alarm:
    of_unit: dict[str, Any] = {"object_class": ObjectClass.RADIO_UNIT, "probable_cause": "o-ran-fault-30"}
    return alarm(station, object="station", specific_problem="ru-1", cells=cells, **of_unit)


def fronthaul(station: str, *cells: str, fault: int = 29) -> Alarm:
    """The transceiver of the port to a radio unit failed (o-ran-fm)."""
    of_port: dict[str, Any] = {"object_class": ObjectClass.PORT, "probable_cause": f"o-ran-fault-{fault}"}
    return alarm(station, object="ru-1", specific_problem="ru-1", cells=cells, **of_port)


def silent(station: str, *cells: str) -> Alarm:
    of_unit: dict[str, Any] = {"object_class": ObjectClass.RADIO_UNIT, "probable_cause": "radio-unit-lost"}
    return alarm(station, object="ru-1", cells=cells, **of_unit)


ROUTER = alarm("R1", object="router", probable_cause="station-unreachable", object_class=ObjectClass.ROUTER)
PORT = alarm("R1", object="/Router[R1]/Port[up0]", probable_cause="port-down", object_class=ObjectClass.PORT)
DRIFT = alarm("S1", object="station", probable_cause="configuration-drift")


@pytest.mark.parametrize(
    ("symptom", "root"),
    [
        (alarm("S3", **UNREACHABLE), cut("radio")),
        (alarm("S3", **UNREACHABLE), cut("trunk")),
        (ROUTER, cut("fibre")),
        (link("S3"), cut("hop")),
        (alarm("S3", **ALL_LINKS), cut("hop")),
        (link("S3"), lost("claro", "mme-1")),
        (link("S3", name="s1u", cause="user-plane-down"), lost("claro", "s1u")),
        (link("S3"), alarm("S3", **ALL_LINKS)),
        (link("S3"), alarm("S3", **MAINS)),
        (cell("S3"), alarm("S3", **MAINS)),
        (cell("S3"), alarm("S3", **MAINS | {"probable_cause": "3gpp-power-problem"})),
        (unit("S3", "S3/1"), alarm("S3", **MAINS)),
        (alarm("S3", **UNREACHABLE), alarm("S3", **MAINS)),
        (alarm("S1", **UNREACHABLE), ROUTER),
        (alarm("S1", **ALL_LINKS), PORT),
        (cell("S3"), unit("S3", "S3/1", "S3/2")),
        (cell("S3"), fronthaul("S3", "S3/1", "S3/2")),
        (silent("S3", "S3/1"), fronthaul("S3", "S3/1", "S3/2")),
        (cut("fibre"), cut("trunk")),
        (cut("radio"), cut("core")),
    ],
    ids=lambda one: f"{one.object.rpartition('/')[2]}-{one.probable_cause}",
)
def test_a_symptom_follows_from_its_root(symptom: Alarm, root: Alarm) -> None:
    assert root_of(network(), symptom, [root]) is root
    assert root_of(network(), root, [symptom]) is None
    assert may_be_root(root)
    assert within(reach(network(), root), symptom)


@pytest.mark.parametrize(
    ("symptom", "other"),
    [
        (alarm("S6", **UNREACHABLE), cut("trunk")),  # elsewhere in the tree
        (cell("S3"), cut("trunk")),  # lost management and transport are no lost cell
        (DRIFT, cut("trunk")),
        (DRIFT, alarm("S1", **MAINS)),
        (link("S3", "entel"), lost("claro", "mme-1")),
        (link("S3", name="mme-2"), lost("claro", "mme-1")),
        (cell("S3"), lost("claro", "mme-1")),
        (link("S4"), alarm("S3", **ALL_LINKS)),
        (cell("S3"), alarm("S3", **ALL_LINKS)),
        (link("S4"), alarm("S3", **MAINS)),
        (alarm("S2", **UNREACHABLE), ROUTER),  # another site
        (alarm("S2", **ALL_LINKS), PORT),
        (link("S1"), PORT),  # one link alone has another cause
        (alarm("S1", **UNREACHABLE), PORT),
        (cell("S3", "3"), unit("S3", "S3/1", "S3/2")),
        (cell("S4"), unit("S3", "S3/1")),
        (cell("S3"), unit("S3")),  # the unit names no cells
        (cell("S3"), fronthaul("S3")),
        (cell("S3", "3"), fronthaul("S3", "S3/1")),
        (silent("S3", "S3/1", "S3/3"), fronthaul("S3", "S3/1")),
        (cell("S3"), fronthaul("S3", "S3/1", fault=21)),  # more bit errors take no cell away
        (link("S3"), link("S3", name="mme-2")),
        (cut("spur"), cut("trunk")),  # elsewhere in the tree
        (cut("trunk"), cut("trunk").model_copy(update={"id": "the same node"})),
        (alarm("S1", **ALL_LINKS), lost("claro", "mme-1")),
        (alarm("S1", **UNREACHABLE), cut("gone-from-the-files")),
    ],
    ids=lambda one: f"{one.object.rpartition('/')[2]}-{one.probable_cause}",
)
def test_what_has_another_cause_follows_from_nothing(symptom: Alarm, other: Alarm) -> None:
    assert root_of(network(), symptom, [other]) is None


def test_what_lies_behind_a_remote_end_follows_from_it() -> None:
    shared, gateway = network(tenants=True), network(gateway=True)
    both: dict[str, Any] = {**ALL_LINKS, "tenants": ("claro", "entel")}
    for of, end, symptoms in (
        (shared, "10.9.0.0/29", [link("S3", name="s1u", cause="user-plane-down"), lost("entel", "s1u")]),
        (gateway, "10.8.0.1", [link("S3", name="mme"), lost("entel", "mme"), alarm("S3", **both)]),
    ):
        for symptom in symptoms:
            assert root_of(of, symptom, [remote(end), lost("claro", "mme")]) == remote(end)
            assert within(reach(of, remote(end)), symptom)
            assert root_of(of, remote(end), symptoms) is None
    # The control plane does not go there; a station's transport is not all of the S-GWs; nobody leads there.
    for other in (link("S3", name="mme"), lost("claro", "mme"), alarm("S3", **both), alarm("S3", **ALL_LINKS)):
        assert root_of(shared, other, [remote("10.9.0.0/29")]) is None
    assert root_of(gateway, alarm("S3", **ALL_LINKS), [remote("10.8.0.1")]) is None
    assert root_of(network(), link("S3", name="mme"), [remote("10.8.0.1")]) is None


def test_a_node_of_another_tenant_that_has_the_same_id_is_another_node() -> None:
    claros, entels = ({"id": f"{tenant}s", "tenant": tenant} for tenant in ("claro", "entel"))
    links = [link("S3").model_copy(update=whose) for whose in (claros, entels)]
    nodes = [lost("claro", "mme-1").model_copy(update=whose | {"id": whose["tenant"]}) for whose in (claros, entels)]
    assert [root_of(network(), one, nodes) for one in links] == nodes
    assert [root_of(network(), one, nodes[:1]) for one in links] == [nodes[0], None]
    # Links of both tenants lead to the gateway, under ids of their own: one of Entel named like Claro's does not.
    behind = link("S3", name="s1u", cause="user-plane-down")
    end, made = remote("10.9.0.0/29"), network(tenants=True)
    assert [root_of(made, behind.model_copy(update=whose), [end]) for whose in (claros, entels)] == [end, None]


def test_of_several_roots_the_widest_counts_and_of_equals_the_first() -> None:
    both = [alarm("S3", **MAINS), lost("claro", "mme-1"), cut("radio"), alarm("S3", **ALL_LINKS)]
    found = root_of(network(), link("S3"), both)
    assert found is both[2]
    again = cut("radio").model_copy(update={"id": "0", "raised": AT + timedelta(seconds=1)})
    assert root_of(network(), link("S3"), [again, *both]) is both[2]


def at(one: Alarm, seconds: float, **more: Any) -> Alarm:
    """An alarm that began so many seconds later."""
    return one.model_copy(update={"raised": AT + timedelta(seconds=seconds), **more})


ON_BATTERY = alarm("S3", **MAINS | {"probable_cause": "on-battery"})


@pytest.mark.parametrize("supply", [alarm("S3", **MAINS), ON_BATTERY], ids=lambda one: one.probable_cause)
@pytest.mark.parametrize("symptom", [cell("S3"), unit("S3", "S3/1"), silent("S3", "S3/1")], ids=lambda one: one.id)
def test_a_unit_that_fails_while_its_station_serves_on_its_battery_fails_by_itself(
    symptom: Alarm, supply: Alarm
) -> None:
    failed = at(symptom, 3600)
    for served, follows in ((3600, False), (3660, False), (3599, True)):
        then = AT + timedelta(seconds=served)
        when = {"S3": Fed(then, then)}
        assert root_of(network(), failed, [supply], when) is (supply if follows else None), served
    assert root_of(network(), failed, [supply], {"S4": Fed(failed.raised, failed.raised)}) is supply, "another serves"
    assert root_of(network(), failed, [supply], {"S3": Fed(None, failed.raised)}) is supply, "only links work"
    assert root_of(network(), failed, [supply]) is supply, "nothing serves, or nobody knows"


def test_what_failed_by_itself_stays_so_when_the_battery_is_empty() -> None:
    failed = at(cell("S3"), 3600, incident="i-1")
    assert root_of(network(), failed, [alarm("S3", **MAINS)]) is None
    before = at(cell("S3"), -60, incident="i-1")
    assert root_of(network(), before, [alarm("S3", **MAINS)]) is not None, "sources look one after the other"


POWER_UNIT = alarm("S3", object="station", probable_cause="o-ran-fault-26")


@pytest.mark.parametrize("supply", [alarm("S3", **MAINS), ON_BATTERY, POWER_UNIT], ids=lambda one: one.probable_cause)
@pytest.mark.parametrize(
    "symptom",
    [link("S3"), link("S3", name="s1u", cause="user-plane-down"), alarm("S3", **ALL_LINKS)],
    ids=lambda one: one.probable_cause,
)
def test_a_core_link_that_fails_while_its_station_is_still_fed_fails_by_itself(symptom: Alarm, supply: Alarm) -> None:
    failed = at(symptom, 3600)
    for seen, follows in ((3600, False), (3660, False), (3599, True)):
        when = {"S3": Fed(None, AT + timedelta(seconds=seen))}
        assert root_of(network(), failed, [supply], when) is (supply if follows else None), seen
    assert root_of(network(), failed, [supply], {"S4": Fed(failed.raised, failed.raised)}) is supply, "another station"
    assert root_of(network(), failed, [supply]) is supply, "the station is dark, or nobody knows"
    known = failed.model_copy(update={"incident": "i-1"})
    assert root_of(network(), known, [supply]) is None, "it stays so when the battery is empty"


def test_links_below_a_transport_that_failed_on_battery_stay_with_it_when_the_battery_is_empty() -> None:
    supply, transport = alarm("S3", **MAINS), at(alarm("S3", **ALL_LINKS), 3600, incident="i-1")
    below = at(link("S3"), 3600, incident="i-1", root=transport.id)
    assert root_of(network(), below, [supply, transport]) is transport
    darker = at(cell("S3"), 3600, incident="i-2", root=supply.id)
    assert root_of(network(), darker, [supply, transport]) is supply


def test_what_a_check_says_of_the_power_of_a_station() -> None:
    def seen(*, cell: str = "down", link: str = "down", **more: Any) -> Fed:
        links = ({"path": "/1", "tenant": "claro", "kind": "s1c", "state": link},)
        read: dict[str, Any] = {"station": "S3", "at": AT, "reachable": True, "cells": {"S3/1": cell}, "links": links}
        return fed_at(Health(**read | more))

    assert seen() == seen(cell="unknown", link="unknown") == Fed()
    assert seen(link="up") == Fed(None, AT)
    assert seen(cell="up") == Fed(AT, AT)
    assert seen(cell="up", link="up", reachable=False) == Fed(), "a read of the past"


def test_serving_on_battery_says_nothing_of_reachability_or_of_a_failed_power_unit() -> None:
    later = AT + timedelta(hours=1)
    when = {"S3": Fed(later, later)}
    without_power = unit("S3", "S3/1").model_copy(update={"probable_cause": "o-ran-fault-26"})
    for symptom in (alarm("S3", **UNREACHABLE), without_power):
        assert root_of(network(), symptom, [alarm("S3", **MAINS)], when) is not None
    assert root_of(network(), cell("S3"), [POWER_UNIT], when) is POWER_UNIT


EDGE = WINDOW.total_seconds()


@pytest.mark.parametrize(
    ("symptom", "root", "follows"),
    [
        # Below a cut of our own checks, the time is known at which something there still answered.
        (alarm("S3", **UNREACHABLE), at(cut("radio"), 60), True),
        (alarm("S3", **UNREACHABLE), at(cut("radio"), 61), False),
        (link("S3"), at(cut("hop"), 61), False),
        # Of a cut that somebody else reports it is not, nor of other roots.
        (alarm("S3", **UNREACHABLE), at(cut("radio"), 61, source=AlarmSource.ALERTMANAGER), True),
        (alarm("S3", **UNREACHABLE), at(cut("radio"), EDGE + 1, source=AlarmSource.ALERTMANAGER), False),
        (link("S3"), at(lost("claro", "mme-1"), EDGE), True),
        (link("S3"), at(lost("claro", "mme-1"), EDGE + 1), False),
        (alarm("S1", **UNREACHABLE), at(ROUTER, EDGE), True),
        (alarm("S1", **UNREACHABLE), at(ROUTER, EDGE + 1), False),
        (cut("fibre"), at(cut("trunk"), EDGE), True),
        (cut("fibre"), at(cut("trunk"), EDGE + 1), False),
        # When it began counts, and not when it was reported.
        (alarm("S3", **UNREACHABLE), at(cut("radio"), 3600, seen=AT + timedelta(seconds=60)), True),
        (at(alarm("S3", **UNREACHABLE), 3600, seen=AT), at(cut("radio"), 3600), False),
        # A link that was down all the time that its station was cut off, and is heard of when the cut is over, stays
        # down because of a core that was lost meanwhile.
        (at(link("S3"), 7200, seen=AT), at(lost("claro", "mme-1"), 7100), True),
        (at(link("S3"), 7200, seen=AT), at(lost("claro", "mme-1"), 7200 + EDGE), True),
        (at(link("S3"), 7200, seen=AT), at(lost("claro", "mme-1"), 7200 + EDGE + 1), False),
        # One that was heard of as soon as it went down stood before.
        (at(link("S3"), EDGE, seen=AT), at(lost("claro", "mme-1"), EDGE + 1), False),
        (at(cell("S3"), 7200, seen=AT), at(alarm("S3", **MAINS), 7100), False),
        # A symptom may come as late as it likes: a battery lasts for hours.
        (at(cell("S3"), 9 * 3600), alarm("S3", **MAINS), True),
    ],
    ids=lambda one: one if isinstance(one, bool) else f"{one.probable_cause}-{one.raised:%H%M%S}",
)
def test_a_fault_that_stood_before_a_root_began_does_not_follow_from_it(
    symptom: Alarm, root: Alarm, follows: bool
) -> None:
    found = explained(network(), symptom, Roots(network(), [root], [symptom.station]))
    assert (found.root, found.late) == ((root, ()) if follows else (None, (root,)))


def test_what_follows_already_stays_and_what_outlived_its_root_stands_by_itself_since_then() -> None:
    late = at(cut("radio"), 3600)
    dark = alarm("S3", **UNREACHABLE)
    assert root_of(network(), dark.model_copy(update={"root": late.id}), [late]) == late
    # Its root stands, and explains it; then that is over while the later one stands.
    narrow = alarm("S3", **MAINS)
    of_narrow = dark.model_copy(update={"root": narrow.id})
    assert root_of(network(), of_narrow, [late, narrow]) == narrow
    assert root_of(network(), of_narrow, [late]) == late
    # It was over for so long that the next has nothing to do with it.
    for seconds, follows in ((60, True), (61, False)):
        outlived = dark.model_copy(update={"released": late.raised - timedelta(seconds=seconds)})
        assert (root_of(network(), outlived, [late]) == late) is follows


def test_of_two_roots_that_are_as_wide_the_one_counts_that_began_nearest_to_the_symptom() -> None:
    first, second = at(alarm("S3", **MAINS), -7200), at(alarm("S3", **MAINS), 20, id="again")
    assert root_of(network(), cell("S3"), [first, second]) == second
    assert root_of(network(), at(cell("S3"), -7100), [first, second]) == first


_ANY = st.sampled_from(
    [
        *(cut(node) for node in ("core", "trunk", "fibre", "radio")),
        *(lost("claro", name) for name in ("mme", "mme-1", "s1u")),
        *(remote(end) for end in ("10.8.0.1", "10.9.0.0/29")),
        *(link(station, tenant, "mme") for station in HANGS for tenant in ("claro", "entel")),
        *(alarm(station, **ALL_LINKS, tenants=("claro", "entel")) for station in HANGS),
        *(make for station in HANGS for make in (link(station), cell(station), unit(station, f"{station}/1"))),
        *(alarm(station, **what) for station in HANGS for what in (UNREACHABLE, ALL_LINKS, MAINS)),
        *(ROUTER, DRIFT),
    ]
)


@given(st.lists(_ANY, unique_by=lambda one: one.id, max_size=12), st.randoms(use_true_random=False))
def test_order_means_nothing_and_whatever_follows_is_within_reach_and_leads_to_a_root(
    found: list[Alarm], dice: Any
) -> None:
    roots = {one.id: root_of(network(gateway=True), one, found) for one in found}
    mixed = found.copy()
    dice.shuffle(mixed)
    assert {one.id: root_of(network(gateway=True), one, mixed) for one in mixed} == roots
    for one in found:
        above, steps = roots[one.id], 0
        while above is not None:
            assert may_be_root(above)
            steps += 1
            assert steps <= len(found), "alarms follow from each other"
            above = roots[above.id]
        root = roots[one.id]
        if root is not None:
            assert within(reach(network(gateway=True), root), one)


def test_cells_follow_from_what_a_station_says_of_itself_if_it_is_critical() -> None:
    told: dict[str, Any] = {"object": "station", "probable_cause": "3gpp-licence-missing", "source": "alarm-list"}
    critical = alarm("PE-1", severity=PerceivedSeverity.CRITICAL, **told)
    assert root_of(network(), cell("PE-1"), [critical]) == critical
    assert root_of(network(), cell("PE-2"), [critical]) is None
    assert not may_be_root(alarm("PE-1", **told))
    assert not may_be_root(critical.model_copy(update={"source": AlarmSource.CHECK}))


def test_what_goes_with_the_configuration_of_a_virtual_station_follows_from_its_loss() -> None:
    """Its drift, cells and links do; itself it follows from the function, or from what that ran on."""
    net = samples.virtual()
    lost = alarm("S1", object="station", probable_cause="configuration-lost")
    assert may_be_root(lost)
    assert reach(net, lost).devices == {"S1"}
    assert {root_of(net, one, [lost]) for one in (DRIFT, cell("S1"), link("S1"), alarm("S1", **ALL_LINKS))} == {lost}
    assert {root_of(net, one, [lost]) for one in (cell("S2"), alarm("S1", **UNREACHABLE))} == {None}
    down = alarm("DU-1", object="function", probable_cause="function-down", object_class=ObjectClass.FUNCTION)
    node: dict[str, Any] = {"object": "node-1", "probable_cause": "node-lost", "object_class": ObjectClass.NODE}
    on_it = alarm("edge-1", functions=("DU-1",), **node)
    assert [root_of(net, lost, [one]) for one in (down, on_it)] == [down, on_it]
    of_unit = alarm("CP-E", object="station", probable_cause="configuration-lost")
    assert root_of(split_gnb(), cell("S1"), [of_unit]) == of_unit
    below = alarm("edge-1", functions=(split_gnb().central_units["CP-E"],), **node)
    assert root_of(split_gnb(), of_unit, [below]) == below


@pytest.mark.parametrize("cause", ["function-down", "station-unreachable"])
def test_what_stations_lose_with_a_function_follows_from_it(cause: str) -> None:
    net = samples.virtual()
    down = alarm("DU-1", object="function", probable_cause=cause, object_class=ObjectClass.FUNCTION)
    assert may_be_root(down)
    assert reach(net, down).devices == {"S1"}
    symptoms = [alarm("S1", **UNREACHABLE), DRIFT, cell("S1"), link("S1"), alarm("S1", **ALL_LINKS)]
    assert {root_of(net, one, [down]) for one in symptoms} == {down}
    assert root_of(net, alarm("S2", **UNREACHABLE), [down]) is None
    assert root_of(net, alarm("S1", object="station", probable_cause="o-ran-fault-2"), [down]) is None


def test_an_alarm_follows_rather_from_a_root_that_its_tenants_are_told_of() -> None:
    cut_off = alarm("S1", **ALL_LINKS, tenants=("alfa",), cells=("S1/1",))
    told = alarm("S1", object="station", probable_cause="configuration-lost", tenants=("alfa",), cells=("S1/1",))
    assert root_of(network(), cut_off, [PORT]) == PORT
    assert root_of(network(), cut_off, [PORT, told]) == told


def test_a_missing_plmn_follows_from_the_drift_of_its_station_and_nothing_else_does() -> None:
    drift = alarm("S1", object="station", probable_cause="configuration-drift")
    of_cell: dict[str, Any] = {"object_class": ObjectClass.CELL, "probable_cause": "plmn-missing"}
    here, there = (
        alarm(one, object=f"{cell(one).object}/plmnIdList[716,02]", cells=(f"{one}/1",), **of_cell)
        for one in ("S1", "S2")
    )
    for one, root in ((here, drift), (there, None), (cell("S1"), None), (link("S1"), None)):
        assert root_of(network(), one, [drift, one]) == root
    for other in (alarm("S1", **MAINS), unit("S1", "S1/1"), silent("S1", "S1/1"), fronthaul("S1", "S1/1")):
        assert root_of(network(), cell("S1"), [other, drift, cell("S1")]) == other
        assert root_of(network(), here, [other, drift, here]) == drift, "it took nothing out of the configuration"


def test_every_cause_that_makes_a_root_by_itself_is_known_as_one_that_spreads() -> None:
    assert roots._CAUSES.keys() <= SPREADING_CAUSES
