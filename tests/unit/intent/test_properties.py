"""Properties of intent over generated networks; the oracles are written without the code under test."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.intent import compile_intent
from controller.intent.findings import Check
from controller.intent.grants import cover, grants_in_force
from controller.models.facts import (
    BroadcastFact,
    CoreLinkFact,
    Fact,
    Finding,
    Intent,
    LinkKind,
    NeighbourFact,
    PeerFact,
    Severity,
    ShareFact,
)
from controller.models.network import HOST, Agreement, Cell, Network, Rat
from tests.strategies.networks import TODAY, networks, sound_networks


def _in_force(agreement: Agreement, day: date) -> bool:
    return agreement.validity.start <= day and (agreement.validity.end is None or day <= agreement.validity.end)


def _in_scope(agreement: Agreement, network: Network, cell: Cell) -> bool:
    scope, station = agreement.scope, network.station_by_id[cell.station]
    placed = (
        scope.everywhere
        or network.region_of(cell.station) in scope.regions
        or station.site in scope.sites
        or station.id in scope.stations
        or cell.name in scope.cells
    )
    return placed and (not scope.bands or cell.band in scope.bands) and (not scope.rats or cell.rat in scope.rats)


def _covering(network: Network, cell: Cell) -> list[Agreement]:
    return [a for a in network.agreements if _in_force(a, TODAY) and _in_scope(a, network, cell)]


def _not_of(intent: Intent, tenant: str) -> dict[str, list[Fact]]:
    return {station: [f for f in facts if tenant not in f.owners] for station, facts in intent.facts.items()}


def _of(findings: tuple[Finding, ...], check: Check) -> set[tuple[str, str]]:
    return {(finding.station, finding.cell) for finding in findings if finding.code == check}


@given(st.data(), networks())
def test_an_agreement_changes_no_facts_of_others(data: st.DataObject, network: Network) -> None:
    if not network.agreements:
        return
    agreement = data.draw(st.sampled_from(network.agreements))
    others = tuple(a for a in network.agreements if a is not agreement)
    without = network.model_copy(update={"agreements": others})
    assert _not_of(compile_intent(network, TODAY), agreement.tenant) == _not_of(
        compile_intent(without, TODAY), agreement.tenant
    )


@given(st.data(), st.one_of(networks(), sound_networks()), st.booleans())
def test_removing_a_tenant_leaves_the_rest_and_is_refused_where_it_owns_the_primary(
    data: st.DataObject, network: Network, keeps_agreements: bool
) -> None:
    leaver = data.draw(st.sampled_from(network.tenants))
    without = Network.model_validate(
        {
            **dict(network),
            "tenants": tuple(t for t in network.tenants if t is not leaver),
            "agreements": tuple(a for a in network.agreements if keeps_agreements or a.tenant != leaver.id),
        }
    )
    before, after = compile_intent(network, TODAY), compile_intent(without, TODAY)
    assert _not_of(before, leaver.id) == {station: list(facts) for station, facts in after.facts.items()}
    owned = {(cell.station, cell.id) for cell in network.cells if cell.primary_plmn in leaver.plmns}
    assert owned <= _of(after.findings, Check.PRIMARY_WITHOUT_AGREEMENT)


@given(networks(), st.one_of(st.none(), st.randoms(use_true_random=False)))
def test_order_of_input_does_not_matter(network: Network, random: Random | None) -> None:
    def shuffle(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shuffle(item) for name, item in value.items()}
        if not isinstance(value, tuple):
            return value
        items = [shuffle(item) for item in value]
        return random.sample(items, len(items)) if random else items[::-1]

    shuffled = Network.model_validate(shuffle(network.model_dump()))
    one, other = compile_intent(network, TODAY), compile_intent(shuffled, TODAY)
    assert list(one.facts.items()) == list(other.facts.items())
    assert one.findings == other.findings


@given(networks())
def test_every_violated_share_sum_is_found_and_no_other(network: Network) -> None:
    intent = compile_intent(network, TODAY)
    totals: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for facts in intent.facts.values():
        # The user plane has one policy a tenant, whose members several facts name.
        shares = [fact for fact in facts if isinstance(fact, ShareFact)]
        of_user_plane = {fact.owners: fact for fact in shares if not fact.cell}
        for fact in (*of_user_plane.values(), *(fact for fact in shares if fact.cell)):
            for resource in {"PRB": ("PRB_DL", "PRB_UL")}.get(fact.resource, (fact.resource.value,)):
                totals[fact.station, fact.cell, resource, "min"] += fact.min
                totals[fact.station, fact.cell, resource, "dedicated"] += fact.dedicated
    violated = {(station, cell) for (station, cell, _, _), total in totals.items() if total > 100}
    assert _of(intent.findings, Check.SHARE_SUM) == violated


@given(networks())
def test_facts_belong_to_the_host_or_to_tenants_with_an_agreement_in_force_there(network: Network) -> None:
    cells = {(cell.station, cell.id): cell for cell in network.cells}
    intent = compile_intent(network, TODAY)
    for station, facts in intent.facts.items():
        for fact in facts:
            if isinstance(fact, (BroadcastFact, ShareFact)) and fact.cell:
                tenants = {a.tenant for a in _covering(network, cells[station, fact.cell])}
            elif isinstance(fact, (CoreLinkFact, ShareFact)):
                tenants = {a.tenant for cell in network.cells_by_station[station] for a in _covering(network, cell)}
            else:
                tenants = {HOST}
            assert len(fact.owners) == 1
            assert set(fact.owners) <= tenants


@given(networks())
def test_tenants_get_exactly_their_agreed_plmns(network: Network) -> None:
    intent = compile_intent(network, TODAY)
    on_air = {
        (f.station, f.cell, f.owners[0], f.plmn)
        for facts in intent.facts.values()
        for f in facts
        if isinstance(f, BroadcastFact)
    }
    expected = {
        (cell.station, cell.id, agreement.tenant, plmn)
        for cell in network.cells
        for agreement in _covering(network, cell)
        for plmn in (agreement.plmns or network.tenant_by_id[agreement.tenant].plmns)
        if plmn in network.tenant_by_id[agreement.tenant].plmns
    }
    assert on_air == expected


@given(networks())
def test_members_of_shares_are_on_air_in_their_cell_or_station(network: Network) -> None:
    for facts in compile_intent(network, TODAY).facts.values():
        broadcasts = [f for f in facts if isinstance(f, BroadcastFact)]
        assert all(list(f.slices) == sorted(f.slices, key=lambda s: (s.sst, s.sd)) for f in broadcasts)
        on_air = {(f.cell, f.plmn): set(f.slices) for f in broadcasts}
        everywhere = {f.cell for f in broadcasts}
        for share in (f for f in facts if isinstance(f, ShareFact)):
            cells = {share.cell} if share.cell else everywhere
            for plmn in share.plmns:
                there = [on_air[cell, plmn] for cell in cells if (cell, plmn) in on_air]
                assert any(set(share.slices) <= slices for slices in there)


@given(networks())
def test_tracking_areas_with_different_plmn_sets_are_found(network: Network) -> None:
    intent = compile_intent(network, TODAY)
    tacs = {(cell.station, cell.id): cell.tac for cell in network.cells}
    areas: dict[int, dict[tuple[str, str], set[str]]] = defaultdict(lambda: defaultdict(set))
    for fact in (fact for facts in intent.facts.values() for fact in facts):
        if isinstance(fact, BroadcastFact) and fact.rat == "LTE":
            where = fact.station, fact.cell
            areas[fact.own.tac if fact.own else tacs[where]][where].add(fact.plmn)
    broken: set[tuple[str, str]] = set()
    for on_air in areas.values():
        for station, cell in on_air:
            # Cells that share a PLMN, directly or by way of others.
            near = {(station, cell)}
            for _ in on_air:
                plmns: set[str] = set().union(*(on_air[name] for name in near))
                near |= {name for name, found in on_air.items() if found & plmns}
            if len({frozenset(on_air[name]) for name in near}) > 1:
                broken.add((station, ""))
    assert _of(intent.findings, Check.TRACKING_AREA_PLMNS) == broken


@given(networks())
def test_nr_tracking_areas_with_different_slices_are_found(network: Network) -> None:
    intent = compile_intent(network, TODAY)
    tacs = {(cell.station, cell.id): cell.tac for cell in network.cells if cell.rat == "NR"}
    served: dict[tuple[str, int], dict[tuple[str, str], tuple[object, ...]]] = defaultdict(dict)
    for fact in (fact for facts in intent.facts.values() for fact in facts):
        if isinstance(fact, BroadcastFact) and fact.rat == "NR":
            # Two tenants that claim one PLMN are an error of its own.
            where = fact.station, fact.cell
            served[fact.plmn, fact.own.tac if fact.own else tacs[where]][where] = fact.slices
    broken = {(station, "") for cells in served.values() if len(set(cells.values())) > 1 for station, _ in cells}
    assert _of(intent.findings, Check.TRACKING_AREA_SLICES) == broken


@given(st.data(), networks())
def test_some_stations_get_what_they_get_among_all(data: st.DataObject, network: Network) -> None:
    some = data.draw(st.sets(st.sampled_from(sorted(network.station_by_id))))
    whole, part = compile_intent(network, TODAY), compile_intent(network, TODAY, some)
    assert part.facts == {station: facts for station, facts in whole.facts.items() if station in some}
    about = tuple(f for f in whole.findings if f.station in some or not f.station)
    left = [f for f in about if f not in part.findings]
    assert part.findings == tuple(f for f in about if f not in left)
    assert {(f.station, f.severity) for f in left} <= {("", Severity.WARNING)}
    assert (len(left), compile_intent(network, TODAY, network.station_by_id).elsewhere) == (part.elsewhere, 0)


@given(sound_networks())
def test_sound_networks_have_no_errors(network: Network) -> None:
    errors = [f.message for f in compile_intent(network, TODAY).findings if f.severity is Severity.ERROR]
    assert errors == []


@given(sound_networks())
def test_nr_beside_lte_has_an_anchor_and_no_cores_and_x2_has_two_ends(network: Network) -> None:
    intent = compile_intent(network, TODAY)
    assert not _of(intent.findings, Check.NR_WITHOUT_ANCHOR) | _of(intent.findings, Check.NEIGHBOUR_PLMNS)
    dependent = {station.id for station in network.stations if station.standalone is False}
    anchored = {one.neighbour_station for one in network.neighbours if not one.handover}
    assert dependent == anchored
    facts = [fact for found in intent.facts.values() for fact in found]
    cores = {
        fact.station for fact in facts if isinstance(fact, CoreLinkFact) and fact.kind in (LinkKind.NGC, LinkKind.NGU)
    }
    on_nr = {fact.station for fact in facts if isinstance(fact, BroadcastFact) and fact.rat is Rat.NR}
    assert cores == on_nr - dependent
    ends = {(fact.station, fact.rat, fact.peer, fact.peer_rat) for fact in facts if isinstance(fact, PeerFact)}
    assert ends == {(peer, peer_rat, station, rat) for station, rat, peer, peer_rat in ends}
    across = {
        (one.station, Rat.LTE, one.neighbour_station, Rat.NR)
        for one in network.neighbours
        if not one.handover and one.station != one.neighbour_station and network.header.x2_vlan is not None
    }
    assert {end for end in ends if end[1] is Rat.LTE and end[3] is Rat.NR} == across


@given(networks())
def test_errors_name_a_station_of_the_network(network: Network) -> None:
    for finding in compile_intent(network, TODAY).findings:
        if finding.severity is Severity.ERROR:
            assert finding.station in network.station_by_id
            assert finding.station in finding.message or finding.code.startswith("tracking-area")


@given(networks())
def test_an_agreement_covers_what_its_scope_names(network: Network) -> None:
    grants, _ = grants_in_force(network, TODAY)
    for cell, numbers in zip(network.cells, cover(network, network.cells, grants), strict=True):
        station = network.station_by_id[cell.station]
        for number, grant in enumerate(grants):
            reached = _in_scope(grant.source, network, cell) and station.owner in (None, grant.tenant)
            assert (number in numbers) is reached


@given(networks())
def test_a_tenants_own_stations_carry_nothing_of_others(network: Network) -> None:
    for tenant in network.tenants:
        stations = tuple(station.model_copy(update={"owner": tenant.id}) for station in network.stations)
        facts = compile_intent(network.model_copy(update={"stations": stations}), TODAY).facts.values()
        assert {owner for found in facts for fact in found for owner in fact.owners} <= {HOST, tenant.id}


@given(networks())
def test_relations_are_those_that_are_listed_between_different_cells(network: Network) -> None:
    listed = {
        (f"{row.station}/{row.cell}", f"{row.neighbour_station}/{row.neighbour_cell}") for row in network.neighbours
    }
    made = {
        (f"{fact.station}/{fact.cell}", f"{fact.neighbour_station}/{fact.neighbour_cell}")
        for facts in compile_intent(network, TODAY).facts.values()
        for fact in facts
        if isinstance(fact, NeighbourFact)
    }
    assert made == {(one, other) for one, other in listed if one != other}
