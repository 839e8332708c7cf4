"""Routers in plans: what a router gets, in which order, and the switch to the standby."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from controller.drivers.cli.codec import command_lines
from controller.intent import compile_intent
from controller.inventory.load import load_network
from controller.inventory.selectors import select, select_with_ways
from controller.models.errors import InputError, NotFoundError, PlanRefusedError
from controller.models.network import Network, network_digest
from controller.models.plan import Change, Edit, Op, Phase, PhaseKind, Plan
from controller.models.run import LedgerEntry, Strategy
from controller.nrm.apply import apply_edits
from controller.nrm.profiles import ROUTER_PROFILES, Rendered, links
from controller.nrm.profiles.router import ROUTER
from controller.nrm.tree import Observed, Tree
from controller.plan import Planning, PlanOptions, StationView, make_plan, switch_router_change, wanted_by
from controller.plan.routers import watched
from controller.runs.rollout.waves import cut_waves
from controller.runs.transaction.effects import cuts_the_way

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
NAME, STATION = "R-OLLANTA", "T-LTE-1"
NOW, TODAY = datetime(2026, 6, 15, tzinfo=UTC), date(2026, 6, 15)
#: What a router comes with.
BARE: Tree = {
    f"/Router[{NAME}]": {},
    f"/Router[{NAME}]/Port[GigabitEthernet0%2F0%2F0]": {"address": "10.98.0.1/30"},
    f"/Router[{NAME}]/Route[0.0.0.0%2F0,10.98.0.2]": {},
}


def tiny(*gone: str, **changes: object) -> Network:
    """The tiny network with its router managed, without the agreements named."""
    network = load_network(TINY)
    router = network.routers[0].model_copy(update={"host_key": "ssh-ed25519 AAAA", **changes})
    agreements = tuple(one for one in network.agreements if one.id not in gone)
    return network.model_copy(update={"routers": (router,), "agreements": agreements})


def wanted(network: Network, device: str) -> Rendered:
    return wanted_by(compile_intent(network, TODAY), network, device)


def view(rendered: Rendered, tree: Tree) -> StationView:
    """An adopted device that carries a tree, whose ledger says what is rendered."""
    ledger = {
        path: LedgerEntry(station="", path=path, owners=owners, leaves=rendered.tree[path])
        for path, owners in rendered.owners.items()
        if path in tree
    }
    return StationView(Observed(tree), adopted=True, ledger=ledger)


def planned(network: Network, views: dict[str, StationView], **remove: int) -> Plan:
    intent = compile_intent(network, TODAY, list(views))
    options = PlanOptions(remove=remove, expect_stations=None, max_share=1.0)
    return make_plan(network, network_digest(network), intent, views, options, NOW)


def after(network: Network, view: StationView, change: Change) -> Tree:
    assert view.observed is not None
    tree = view.observed.tree
    for phase in change.phases:
        tree = apply_edits(ROUTER, tree, phase.edits)
    return tree


def test_a_bare_router_gets_its_tenants_and_keeps_its_own() -> None:
    network = tiny()
    bare = view(Rendered({}, {}, ()), BARE)
    plan = planned(network, {NAME: bare})
    (change,) = plan.changes
    assert after(network, bare, change) == {**BARE, **wanted(network, NAME).tree}
    assert change.touched == ("andes", "condor")
    assert not cuts_the_way(ROUTER, change.phases)
    assert not plan.findings
    assert {row.what for row in change.diff} >= {"VRF andes", "interface GigabitEthernet0/0/1.101"}
    full = view(wanted(network, NAME), after(network, bare, change))
    assert planned(network, {NAME: full}).unchanged == (NAME,)


def test_an_adopted_router_keeps_its_wider_route_until_its_removal_is_named() -> None:
    """It carried the smallest network around the control plane; what is exact comes beside it, and that is told."""
    network = tiny()
    wide = f"/Router[{NAME}]/Vrf[andes]/Route[10.41.0.0%2F22,169.254.0.1]"
    rendered = wanted(network, NAME)
    exact = [path for path in rendered.tree if "Vrf[andes]/Route[" in path]
    carried: Tree = {**BARE, **{path: leaves for path, leaves in rendered.tree.items() if path not in exact}, wide: {}}
    adopted = view(Rendered({**rendered.tree, wide: {}}, {**rendered.owners, wide: ("andes",)}, ()), carried)
    plan = planned(network, {NAME: adopted})
    (change,) = plan.changes
    assert set(after(network, adopted, change)) == {*carried, *exact}
    assert [found.code for found in plan.findings] == ["orphan"]
    full = view(
        Rendered({**rendered.tree, wide: {}}, {**rendered.owners, wide: ("andes",)}, ()), {**carried, **rendered.tree}
    )
    (gone,) = planned(network, {NAME: full}, andes=1).changes
    assert wide not in after(network, full, gone)


def test_the_way_of_a_tenant_that_leaves_goes_with_all_its_routes_and_no_others() -> None:
    network, rest = tiny(), tiny("condor-all")
    carried: Tree = {**BARE, **wanted(network, NAME).tree}
    here = view(wanted(network, NAME), carried)
    theirs = [path for path, owners in wanted(network, NAME).owners.items() if owners == ("condor",)]
    assert len([path for path in theirs if "/Route[" in path]) == 2
    (change,) = planned(rest, {NAME: here}, condor=len(theirs)).changes
    assert after(rest, here, change) == {**BARE, **wanted(rest, NAME).tree}


def test_routers_count_as_stations_and_this_is_reported() -> None:
    network = tiny()
    views = {
        NAME: view(Rendered({}, {}, ()), BARE),
        STATION: view(Rendered({}, {}, ()), wanted(tiny("condor-all"), STATION).tree),
    }
    options = PlanOptions(expect_stations=1)
    with pytest.raises(PlanRefusedError, match=r"touches 2 devices \(1 of them routers\), but 1 were expected"):
        make_plan(network, "", compile_intent(network, TODAY, list(views)), views, options, NOW)


PORT, ROUTE = f"/Router[{NAME}]/Port[GigabitEthernet0%2F0%2F0]", f"/Router[{NAME}]/Route[0.0.0.0%2F0,10.98.0.2]"


@pytest.mark.parametrize(
    ("path", "leaf", "cuts"),
    [
        (PORT, "shutdown", True),
        (PORT, "address", True),
        (PORT, "accessIn", True),
        (PORT, "accessOut", True),
        (ROUTE, "distance", True),
        (f"/Router[{NAME}]/Vrf[andes]/Route[10.41.0.1%2F32,169.254.0.1]", "distance", False),
        (f"/Router[{NAME}]/SubInterface[GigabitEthernet0%2F0%2F1.101]", "address", False),
    ],
)
def test_what_could_cut_the_way_to_the_router(path: str, leaf: str, cuts: bool) -> None:
    edit = Edit(op=Op.MERGE, path=path, after={leaf: "1"}, owners=("host",))
    assert cuts_the_way(ROUTER, [Phase(kind=PhaseKind.EDIT, edits=(edit,), inverse=())]) is cuts


def test_foreign_vlans_are_left_alone_and_reported() -> None:
    network = tiny()
    foreign = f"/Router[{NAME}]/SubInterface[GigabitEthernet0%2F0%2F1.7]"
    carried = {**BARE, **wanted(network, NAME).tree, foreign: {"vlan": "7", "vrf": "andes", "shutdown": "true"}}
    plan = planned(network, {NAME: view(wanted(network, NAME), carried)})
    assert plan.unchanged == (NAME,)
    (finding,) = plan.findings
    assert finding.code == "unknown-node"
    assert "GigabitEthernet0/0/1.7" in finding.message


def test_the_router_goes_first_where_a_tenant_comes_and_last_where_it_goes() -> None:
    less, more = tiny("condor-all"), tiny()
    views = {
        device: view(wanted(less, device), {**(BARE if device == NAME else {}), **wanted(less, device).tree})
        for device in (NAME, STATION)
    }
    comes = planned(more, views)
    assert [(job.station, job.unit, job.rank) for job in cut_waves(comes, more, Strategy(canary=0))] == [
        (NAME, NAME, 0),
        (STATION, NAME, 1),
    ]
    assert all(change.touched == ("condor",) for change in comes.changes)
    views = {
        device: view(wanted(more, device), {**(BARE if device == NAME else {}), **wanted(more, device).tree})
        for device in (NAME, STATION)
    }
    count = sum(len(wanted(more, device).tree) - len(wanted(less, device).tree) for device in views)
    goes = planned(less, views, condor=count)
    assert [(job.station, job.unit, job.rank) for job in cut_waves(goes, less, Strategy(canary=0))] == [
        (NAME, NAME, 1),
        (STATION, NAME, 0),
    ]
    router = next(change for change in goes.changes if change.station == NAME)
    assert after(less, views[NAME], router) == {**BARE, **wanted(less, NAME).tree}


def test_a_way_is_not_taken_from_under_links_that_stay() -> None:
    less, more = tiny("condor-all"), tiny()
    router = view(wanted(more, NAME), {**BARE, **wanted(more, NAME).tree})
    station = view(wanted(more, STATION), wanted(more, STATION).tree)
    away = replace(station, observed=None, unreachable="no route to it")
    count = len(wanted(more, NAME).tree) - len(wanted(less, NAME).tree)
    with pytest.raises(PlanRefusedError, match=r"core links of condor on T-LTE-1 need .* and stay: unreachable: no"):
        planned(less, {NAME: router, STATION: away}, condor=count)
    intent = compile_intent(less, TODAY, [NAME, STATION])
    planning = Planning(less, intent, PlanOptions(remove={"condor": count}, max_share=1.0))
    planning.add(NAME, view(wanted(less, NAME), {**BARE, **wanted(less, NAME).tree}))
    assert planning.behind == frozenset()
    planning.add(NAME, router)
    assert planning.behind == {STATION}
    planning.add(STATION, away)
    assert planning.behind == {STATION}
    planning.withhold({STATION: frozenset({"andes"})})
    assert planning.plan("", NOW).removals == {"condor": count}
    # Once its links are gone the way may go, be the station there or not.
    gone = view(wanted(less, STATION), wanted(less, STATION).tree)
    for there in (gone, replace(gone, observed=None, unreachable="no route to it")):
        assert [change.station for change in planned(less, {NAME: router, STATION: there}, condor=count).changes] == [
            NAME
        ]


def test_a_router_is_left_out_once_however_many_stations_need_it() -> None:
    less, more = tiny("condor-all"), tiny()
    beside = less.station_by_id[STATION].model_copy(update={"id": "T-LTE-9"})
    less = Network.model_validate(less.model_copy(update={"stations": (*less.stations, beside)}).model_dump())
    count = len(wanted(more, NAME).tree) - len(wanted(less, NAME).tree)
    planning = Planning(less, compile_intent(less, TODAY, [NAME]), PlanOptions(remove={"condor": count}))
    planning.add(NAME, view(wanted(more, NAME), {**BARE, **wanted(more, NAME).tree}))
    planning.withhold(dict.fromkeys((STATION, "T-LTE-9"), frozenset({"condor"})))
    with pytest.raises(PlanRefusedError) as refused:
        planning.plan("", NOW)
    assert refused.value.message.count("is left out") == 1
    assert f"core links of condor on {STATION} need" in refused.value.message


def test_what_takes_something_from_a_router_watches_the_links_behind_it() -> None:
    """Only deletions do: what brings a way, or is of a station, breaks no link that is up."""
    less, more = tiny("condor-all"), tiny()
    station = view(wanted(more, STATION), wanted(more, STATION).tree)
    ledgers = {STATION: station.ledger}
    links = {(f"{STATION}{path}", tenant) for path, tenant in _links(station).items()}

    def checks(change: Change) -> set[tuple[str, str]]:
        return {(check.path, check.tenant) for check in watched(change, more, ledgers).checks} & links

    (brings,) = planned(more, {NAME: view(wanted(less, NAME), {**BARE, **wanted(less, NAME).tree})}).changes
    takes = brings.model_copy(
        update={"phases": tuple(phase.model_copy(update={"edits": _deleted(phase)}) for phase in brings.phases)}
    )
    assert checks(takes) == links
    assert checks(brings) == set()
    assert checks(takes.model_copy(update={"station": STATION})) == set()


def _links(station: StationView) -> dict[str, str]:
    """Core links of a station by path, with their tenant."""
    return {link.path: station.ledger[link.path].owners[0] for link in links({path: {} for path in station.ledger})}


def _deleted(phase: Phase) -> tuple[Edit, ...]:
    return tuple(edit.model_copy(update={"op": Op.DELETE}) for edit in phase.edits)


@pytest.mark.parametrize("foreign", [True, False])
def test_a_vrf_does_not_go_from_under_an_interface_that_stays(foreign: bool) -> None:
    """Somebody's own interface in it, or one of ours with a line that we don't know."""
    less, more = tiny("condor-all"), tiny()
    rendered = wanted(more, NAME)
    carried: Tree = {**BARE, **rendered.tree}
    ours = f"/Router[{NAME}]/SubInterface[GigabitEthernet0%2F0%2F1.102]"
    if foreign:
        theirs = f"/Router[{NAME}]/SubInterface[GigabitEthernet0%2F0%2F1.7]"
        carried = {**carried, theirs: {"vlan": "7", "vrf": "condor", "address": "10.7.0.1/30"}}
    here = view(rendered, carried)
    unknown = () if foreign else (f"{ours}/ip mtu 1400",)
    here = replace(here, observed=Observed(carried, unknown=unknown))
    count = len(rendered.tree) - len(wanted(less, NAME).tree) - (1 if foreign else 2)
    plan = planned(less, {NAME: here}, condor=count)
    left = after(less, here, plan.changes[0])
    assert f"/Router[{NAME}]/Vrf[condor]" in left
    assert command_lines(ROUTER_PROFILES["cisco_ios"], carried, left)
    blocked = [one.message for one in plan.findings if one.code == "removal-blocked"]
    assert len(blocked) == (1 if foreign else 2)
    assert any("VRF condor was not removed" in message for message in blocked)


def test_orphans_that_hold_what_stays_are_told_without_a_command() -> None:
    """Somebody's own interface in a VRF that nothing asks for: the VRF can't go, whatever is named."""
    less, more = tiny("condor-all"), tiny()
    vrf = f"/Router[{NAME}]/Vrf[condor]"
    only = Rendered({vrf: wanted(more, NAME).tree[vrf]}, {vrf: ("condor",)}, ())
    rest = wanted(less, NAME)
    ours = Rendered({**rest.tree, **only.tree}, {**rest.owners, **only.owners}, ())
    theirs = f"/Router[{NAME}]/SubInterface[GigabitEthernet0%2F0%2F1.7]"
    carried = {**BARE, **ours.tree, theirs: {"vlan": "7", "vrf": "condor", "address": "10.7.0.1/30"}}
    made = planned(less, {NAME: view(ours, carried)})
    assert made.orphans is not None
    assert (made.orphans.nodes, made.orphans.remove) == ({"condor": 1}, {})


def test_the_command_that_removes_orphans_leaves_out_ways_that_links_still_need() -> None:
    less, more = tiny("condor-all"), tiny()
    router = view(wanted(more, NAME), {**BARE, **wanted(more, NAME).tree})
    station = view(wanted(more, STATION), wanted(more, STATION).tree)
    on_router, on_station = (
        sum(owners == ("condor",) for owners in wanted(more, one).owners.values()) for one in (NAME, STATION)
    )
    both = planned(less, {NAME: router, STATION: station})
    assert both.orphans is not None
    assert both.orphans.remove == both.orphans.nodes == {"condor": on_router + on_station}
    away = planned(less, {NAME: router, STATION: replace(station, observed=None, unreachable="no route to it")})
    assert away.orphans is not None
    assert (away.orphans.nodes, away.orphans.remove) == ({"condor": on_router}, {})


def test_orphans_of_a_router_that_gets_something_go_afterwards() -> None:
    andes, condor = tiny("condor-all"), tiny("andes-all")
    here = view(wanted(andes, NAME), {**BARE, **wanted(andes, NAME).tree})
    made = planned(condor, {NAME: here})
    assert made.orphans is not None
    assert made.orphans.afterwards
    (change,) = made.changes
    then = after(condor, here, change)
    ours = Rendered(
        {**wanted(andes, NAME).tree, **wanted(condor, NAME).tree},
        {**wanted(andes, NAME).owners, **wanted(condor, NAME).owners},
        (),
    )
    assert planned(condor, {NAME: view(ours, then)}, **made.orphans.remove).removals == made.orphans.remove


def test_a_plan_that_brings_one_tenant_and_removes_another_is_split() -> None:
    andes, condor = tiny("condor-all"), tiny("andes-all")
    views = {NAME: view(wanted(andes, NAME), {**BARE, **wanted(andes, NAME).tree})}
    with pytest.raises(PlanRefusedError, match="apply one after the other"):
        planned(condor, views, andes=len(wanted(andes, NAME).tree) - 1)


def test_selectors_know_routers() -> None:
    network = tiny()
    assert select(network, "*") == ("T-BOTH-1", STATION, "T-LTE-2", "T-NR-1")
    assert select(network, "region=cusco,router=*") == (NAME,)
    assert select_with_ways(network, STATION) == (NAME, STATION)
    assert select_with_ways(network, "router=R-*") == (NAME,)
    assert select_with_ways(network, "T-NR-1") == ("T-NR-1",)
    with pytest.raises(InputError, match="did you mean 'R-OLLANTA'"):
        select(network, "router=R-OLANTA")


SPARE = {"standby": "GigabitEthernet0/0/2", "gateway": "10.98.0.2", "standby_gateway": "10.98.1.2"}


def spare() -> Network:
    network = tiny()
    router = network.routers[0].model_dump() | SPARE
    return network.model_copy(update={"routers": (type(network.routers[0]).model_validate(router),)})


def test_a_switch_raises_the_standby_and_lowers_the_uplink_and_back() -> None:
    network = spare()
    rendered = wanted(network, NAME)
    here = view(rendered, {**BARE, **rendered.tree})
    assert here.observed is not None
    there = switch_router_change(NAME, here.observed, here.ledger, standby=True)
    assert there is not None
    assert cuts_the_way(ROUTER, there.phases)
    assert {edit.op for edit in there.phases[0].edits} == {Op.MERGE}
    switched = after(network, here, there)
    vrf = f"/Router[{NAME}]/Vrf[andes]/Route[10.41.0.1%2F32,169.254.0."
    assert switched[f"{vrf}1]"] == {"distance": "250"}
    assert switched[f"{vrf}5]"] == {}
    assert switched[f"/Router[{NAME}]/Route[0.0.0.0%2F0,10.98.0.2]"] == {"distance": "250"}
    assert switch_router_change(NAME, Observed(switched), here.ledger, standby=True) is None
    back = switch_router_change(NAME, Observed(switched), here.ledger, standby=False)
    assert back is not None
    assert after(network, view(rendered, switched), back) == here.observed.tree
    # Which way counts is people's own switch: no plan repairs it.
    assert planned(network, {NAME: view(rendered, switched)}).unchanged == (NAME,)


def test_a_router_without_a_standby_has_nothing_to_switch() -> None:
    here = view(wanted(tiny(), NAME), {**BARE, **wanted(tiny(), NAME).tree})
    assert here.observed is not None
    with pytest.raises(NotFoundError, match="no standby port"):
        switch_router_change(NAME, here.observed, here.ledger, standby=True)
