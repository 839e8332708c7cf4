"""Networks come back from what their stations carry, and what can't come back is said."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from controller.intent import compile_intent
from controller.inventory.frame import Frame
from controller.inventory.load import load_network
from controller.models.network import Cell, Neighbour, Network, OwnCell, Rat, Scope, SharingKind, Snssai
from controller.nrm.profiles import render, root_spec
from controller.nrm.schema import spec_of
from controller.nrm.tree import Leaves, Observed, Tree, child
from controller.nrm.tree import Path as NodePath
from controller.plan.network_import import UNPLACED, ImportedNetwork, import_network
from tests.strategies.networks import sound_networks
from tests.support.network_files import write_network
from tests.support.soak import rounds

SHIPPED = Path(__file__).parents[3] / "deploy" / "networks" / "peru-mini"
DAY = date(2026, 6, 15)
Trees = dict[str, dict[NodePath, Leaves]]
STATION = "PE-CUS-0145"
CELL = f"/ManagedElement[{STATION}]/ENBFunction[1]/EUtranCellFDD[B28-1]"


@pytest.fixture(scope="module")
def shipped() -> Network:
    """The shipped network but for facts that no station tells: its antennas, and how long it holds its time."""
    network = load_network(SHIPPED)
    facts = ("prach_zcz", "antenna_gain_dbi", "antenna_height_m", "antenna_azimuth_deg")
    untold = dict.fromkeys(facts)
    stations = tuple(one.model_copy(update={"holdover_hours": None}) for one in network.stations)
    cells = tuple(one.model_copy(update=untold) for one in network.cells)
    return network.model_copy(update={"stations": stations, "cells": cells})


def carried(network: Network) -> Trees:
    """What stations carry when everything was applied."""
    facts = compile_intent(network, DAY).facts
    return {s.id: begun(s.profiles, render(s.profiles, facts[s.id]).tree) for s in network.stations if facts[s.id]}


def begun(profiles: tuple[str, ...], wanted: Tree) -> dict[NodePath, Leaves]:
    """What a station carries that was made so: start values too."""
    root = root_spec(profiles)
    return {path: spec.begun(path, wanted) for path in wanted if (spec := spec_of(root, path)) is not None}


def frame(network: Network, **changes: Any) -> Frame:
    bare = network.model_copy(update={"stations": (), "cells": (), "endpoints": (), "agreements": (), **changes})
    return Frame(bare, network.endpoints, {station.id: station.site for station in network.stations})


def imported(network: Network, trees: Trees, **changes: Any) -> ImportedNetwork:
    return import_network(frame(network, **changes), {name: Observed(tree) for name, tree in trees.items()}, DAY)


def test_the_network_that_comes_back_asks_for_what_is_there(shipped: Network) -> None:
    trees = carried(shipped)
    made = imported(shipped, trees)
    assert made.notes == ()
    assert carried(made.network) == trees
    assert made.network.stations == shipped.stations
    assert made.network.cells == shipped.cells
    assert made.network.neighbours == shipped.neighbours
    assert made.network.endpoints == shipped.endpoints
    assert not [f for f in compile_intent(made.network, DAY).findings if f.severity == "error"]


def test_what_comes_back_are_valid_files(shipped: Network, tmp_path: Path) -> None:
    made = imported(shipped, carried(shipped)).network
    write_network(made, tmp_path)
    assert load_network(tmp_path) == made


def test_agreements_are_few_and_start_today(shipped: Network) -> None:
    agreements = imported(shipped, carried(shipped)).network.agreements
    assert {agreement.tenant for agreement in agreements} == {"movistar", "claro", "bitel"}
    assert {agreement.validity.start for agreement in agreements} == {DAY}
    assert {agreement.sharing for agreement in agreements} == {SharingKind.MOCN}
    assert len(agreements) <= 7
    # They are numbered by tenant, the one of the most cells first.
    for tenant in ("movistar", "claro", "bitel"):
        own = sorted((one for one in agreements if one.tenant == tenant), key=lambda one: one.id)
        assert [one.id for one in own] == [f"{tenant}-{number}" for number in range(1, len(own) + 1)]
        sizes = [len(list(shipped.cells_of(one, [station.id for station in shipped.stations]))) for one in own]
        assert sizes == sorted(sizes, reverse=True)
    # Where all of a tenant is on air, its agreement needs to name nothing.
    assert not any(agreement.plmns or agreement.slices for agreement in agreements)
    by_shares = {(a.tenant, a.shares[0].max) for a in agreements if a.shares}
    assert by_shares == {("movistar", 100), ("claro", 80), ("claro", 60), ("bitel", 90)}


def test_an_agreement_names_stations_their_bands_or_cells_whichever_is_shortest(shipped: Network) -> None:
    def scopes(gone: str) -> list[Scope]:
        trees = {
            station: {path: leaves for path, leaves in tree.items() if not ("[716,10" in path and gone in path)}
            for station, tree in carried(shipped).items()
        }
        return [one.scope for one in imported(shipped, trees).network.agreements if one.tenant == "claro"]

    def said(gone: str) -> set[tuple[bool, tuple[str, ...], bool]]:
        return {(bool(scope.stations), scope.bands, bool(scope.cells)) for scope in scopes(gone)}

    of_one_band = (True, ("B2",), False)
    assert said("nothing") == {(True, ("B28", "B4", "n78"), False), (True, (), False), of_one_band}
    assert said("/EUtranCellFDD[B28-") == {
        (True, ("B4", "n78"), False),
        (True, ("B4", "B8", "n78"), False),
        of_one_band,
    }
    assert said("/EUtranCellFDD[B28-1]") == {(False, (), True), of_one_band}


def test_slices_that_are_not_all_of_a_tenants_are_named(shipped: Network) -> None:
    trees = carried(shipped)
    station = next(name for name, tree in trees.items() if any("[716,10,001002,2]" in path for path in tree))
    trees[station] = {path: leaves for path, leaves in trees[station].items() if "[716,10,001002,2]" not in path}
    found = {one.slices for one in imported(shipped, trees).network.agreements if one.tenant == "claro"}
    assert (Snssai(sst=1, sd="001001"),) in found


def test_a_plmn_of_nobody_is_said_and_leaves_the_rest(shipped: Network) -> None:
    trees = carried(shipped)
    trees[STATION][f"{CELL}/plmnIdList[716,99]"] = {}
    made = imported(shipped, trees)
    assert made.notes == (f"{STATION}/B28-1: PLMN 716-99: has broadcast, by these files: unknown, left alone",)
    assert made.network.cells == shipped.cells


def test_a_plmn_that_the_field_reserved_for_operator_use_is_said_and_stays_so(shipped: Network) -> None:
    trees = carried(shipped)
    trees[STATION][f"{CELL}/plmnIdList[716,15]"] = {"cellReservedForOperatorUse": "true"}
    made = imported(shipped, trees)
    assert made.notes == (
        f"{STATION}/B28-1: PLMN 716-15 is reserved for operator use, which no file says; it stays so",
    )
    assert made.network.cells == shipped.cells


def test_a_cell_whose_primary_is_nobodys_is_left_out(shipped: Network) -> None:
    trees = carried(shipped)
    tenants = tuple(tenant for tenant in shipped.tenants if tenant.id != "movistar")
    made = imported(shipped, {STATION: trees[STATION]}, tenants=tenants)
    assert made.network.cells == ()
    assert "left out: its primary PLMN 716-06 is no tenant's" in made.notes[0]


def test_another_core_node_is_said_once_for_all_stations(shipped: Network) -> None:
    trees = carried(shipped)
    for tree in trees.values():
        for path in tree:
            if path.endswith("EP_S1C[claro-mme-lima]"):
                tree[path] = {**tree[path], "remoteAddress": "10.99.0.1"}
    made = imported(shipped, trees)
    assert len(made.notes) == 1
    assert "S1 link claro-mme-lima: MME address: has 10.99.0.1, by these files: 10.10.1.11" in made.notes[0]
    assert " and " in made.notes[0]
    assert "more:" in made.notes[0]


def test_a_share_of_another_name_is_said(shipped: Network) -> None:
    trees = carried(shipped)
    station, policy = next((s, p) for s, tree in trees.items() for p in tree if p.endswith("[claro-prb]"))
    trees[station] = {
        path.replace("RRMPolicyRatio[claro-prb]", "RRMPolicyRatio[7]") if path.startswith(policy) else path: leaves
        for path, leaves in trees[station].items()
    }
    notes = imported(shipped, trees).notes
    assert any("radio share 7" in note and "unknown, left alone" in note for note in notes)
    assert any("radio share claro-prb" in note for note in notes)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ("no answer within 20 s", "left out, not read: no answer within 20 s"),
        (Observed({f"/ManagedElement[{STATION}]": {}}), "left out: it has no eNB and no gNB function yet"),
        (
            Observed({f"/ManagedElement[{STATION}]": {}, f"/ManagedElement[{STATION}]/ENBFunction[1]": {"eNBId": "1"}}),
            "left out: it has neither core links nor X2, which would tell its transport address",
        ),
    ],
)
def test_stations_that_tell_too_little_are_left_out(shipped: Network, seen: Observed | str, said: str) -> None:
    made = import_network(frame(shipped), {STATION: seen}, DAY)
    assert made.notes == (f"{STATION}: {said}",)
    assert made.network.stations == ()
    assert made.network.endpoints == ()


def test_stations_that_can_not_be_read_for_one_reason_are_one_note(shipped: Network) -> None:
    names = sorted(one.id for one in shipped.stations)
    away = {name: f"{name} (10.0.0.{n} port 830) can't be reached: refused" for n, name in enumerate(names)}
    assert import_network(frame(shipped), away, DAY).notes == (
        f"{', '.join(names[:3])} and {len(names) - 3} more: left out, not read: can't be reached: refused",
    )


@pytest.mark.parametrize(
    ("leaf", "value", "said"),
    [
        ("tac", None, "missing or out of range: tac"),
        ("pci", "9999", "missing or out of range: pci"),
        ("earfcnDl", "1", "no known band has its carrier (channel 1)"),
    ],
)
def test_cells_out_of_range_are_left_out(shipped: Network, leaf: str, value: str | None, said: str) -> None:
    trees = carried(shipped)
    leaves = {name: text for name, text in trees[STATION][CELL].items() if name != leaf}
    trees[STATION][CELL] = leaves if value is None else {**leaves, leaf: value}
    made = imported(shipped, {STATION: trees[STATION]})
    assert f"{STATION}/B28-1: left out: {said}" in made.notes
    assert "B28-1" not in {cell.id for cell in made.network.cells}


def test_a_carrier_named_without_its_element_is_a_note_and_the_import_goes_on(shipped: Network) -> None:
    """No power is known of that cell; all else comes back."""
    trees = carried(shipped)
    nr = next(cell for cell in shipped.cells if cell.rat is Rat.NR)
    seen, path = trees[nr.station], f"/ManagedElement[{nr.station}]/GNBDUFunction[1]/NRCellDU[{nr.id}]"
    seen[path] = {**seen[path], "nRSectorCarrierRef": ("Tuf=Jy",)}
    made = imported(shipped, trees)
    cells = {cell.name: cell for cell in made.network.cells}
    known = {cell.name: cell for cell in shipped.cells}
    assert cells == {**known, nr.name: known[nr.name].model_copy(update={"max_tx_power_dbm": None})}
    said = "its power is not known: 'Tuf=Jy', its carrier, names no object of a ManagedElement"
    assert f"{nr.name}: {said}" in made.notes


def test_an_own_cell_with_an_identity_that_is_no_number_is_left_out(shipped: Network) -> None:
    tenant = shipped.tenant_by_id["claro"]
    lte = next(
        cell
        for one in shipped.agreements_of(tenant.id)
        for cell in shipped.cells_of(one)
        if cell.rat is Rat.LTE and cell.primary_plmn not in tenant.plmns
    )
    own = OwnCell(tenant=tenant.id, station=lte.station, cell=lte.id, tac=7, node_id=1, node_id_length=20, local_id=9)
    trees = carried(shipped.model_copy(update={"own_cells": (own,)}))
    seen = trees[lte.station]
    (path,) = (path for path in seen if "/cellAccessInfoList[" in path)
    seen[path] = {**seen[path], "cellId": "x"}
    made = imported(shipped, trees)
    assert f"{lte.name}/{tenant.id}: left out: missing or out of range: local_id, node_id" in made.notes
    assert made.network.own_cells == ()


def test_stations_without_a_place_get_one(shipped: Network) -> None:
    bare = Frame(frame(shipped).network.model_copy(update={"sites": (), "routers": ()}), shipped.endpoints)
    made = import_network(bare, {STATION: Observed(carried(shipped)[STATION])}, DAY)
    (site,) = made.network.sites
    assert (site.id, site.region, site.latitude, site.longitude) == ("pe-cus-0145", UNPLACED, 0, 0)
    assert made.network.region_of(STATION) == UNPLACED
    assert sorted(region.id for region in made.network.regions) == sorted(
        [*(region.id for region in shipped.regions), UNPLACED]
    )
    assert any("has no site given" in note for note in made.notes)


def test_all_stations_without_a_place_share_one_region(shipped: Network) -> None:
    """It is made once, and never where the files have it already, as from an earlier import."""
    two = {name: Observed(tree) for name, tree in list(carried(shipped).items())[:2]}
    places = {"sites": (), "routers": ()}
    bare = frame(shipped).network.model_copy(update=places)
    made = import_network(Frame(bare, shipped.endpoints), two, DAY).network
    again = made.model_copy(update={"stations": (), "cells": (), "endpoints": (), "agreements": (), **places})
    for network in (made, import_network(Frame(again, shipped.endpoints), two, DAY).network):
        assert [region.id for region in network.regions].count(UNPLACED) == 1
        assert {network.region_of(station) for station in two} == {UNPLACED}


def test_one_region_takes_stations_without_a_place(shipped: Network) -> None:
    bare = frame(shipped).network.model_copy(update={"sites": (), "routers": (), "regions": shipped.regions[:1]})
    made = import_network(Frame(bare, shipped.endpoints), {STATION: Observed(carried(shipped)[STATION])}, DAY)
    assert made.network.region_of(STATION) == "cusco"


@settings(max_examples=rounds(20), deadline=None)
@given(sound_networks())
def test_any_sound_network_comes_back_with_what_tenants_plan_for_themselves(network: Network) -> None:
    """On LTE a station tells node and local id of an own cell as one number, which is taken apart as its own is."""
    trees = carried(network)
    made = imported(network, trees, own_cells=(), routers=())
    assert made.notes == ()
    assert carried(made.network) == trees
    assert set(made.network.own_cells) == {own for own in network.own_cells if agreed(network, own)}


def agreed(network: Network, own: OwnCell) -> bool:
    """Whether the tenant of an own cell is on air in it."""
    cells = {cell for one in network.agreements_of(own.tenant) for cell in network.cells_of(one, [own.station])}
    return any((cell.station, cell.id) == (own.station, own.cell) for cell in cells)


def test_power_prach_and_ssb_come_back_as_files_can_say_them(shipped: Network) -> None:
    trees = carried(shipped)
    cells = {cell.name: cell for cell in shipped.cells}
    nr = next(cell for cell in shipped.cells if cell.rat is Rat.NR)
    du = f"/ManagedElement[{nr.station}]/GNBDUFunction[1]"
    carrier, nr_cell = f"{du}/NRSectorCarrier[{nr.id}]", f"{du}/NRCellDU[{nr.id}]"
    seen = trees[nr.station]
    seen[f"{du}/NRSectorCarrier[7]"] = {**seen.pop(carrier), "configuredMaxTxPower": "20000"}
    named = (f"SubNetwork=1,ManagedElement={nr.station},GNBDUFunction=1,NRSectorCarrier=7",)
    seen[nr_cell] = {**seen[nr_cell], "ssbFrequency": "629953", "nRSectorCarrierRef": named}
    lte = trees[STATION]
    lte[CELL] = {**lte[CELL], "maximumTransmissionPower": "-5", "rootSequenceIndex": "12"}
    made = imported(shipped, trees)
    assert made.notes == (
        f"{STATION}/B28-1: left to the field: files can't say max_tx_power_dbm -0.5",
        f"{nr.name}: left to the field: files can't say ssb_arfcn 629953",
    )
    found = {cell.name: cell for cell in made.network.cells}
    assert found[nr.name] == cells[nr.name].model_copy(update={"max_tx_power_dbm": 43.0103, "ssb_arfcn": None})
    left = cells[f"{STATION}/B28-1"].model_copy(update={"max_tx_power_dbm": None, "prach_root": 12})
    assert found[f"{STATION}/B28-1"] == left


def test_listed_relations_come_back_and_what_stations_found_themselves_does_not(shipped: Network) -> None:
    lte = next(cell for cell in shipped.cells if cell.rat is Rat.LTE)
    nr = next(cell for cell in shipped.cells if cell.rat is Rat.NR)
    other = next(cell for cell in shipped.cells if cell.rat is Rat.NR and cell.station != nr.station)
    ours = {(lte.station, nr.station), (nr.station, other.station)}
    kept = tuple(one for one in shipped.neighbours if (one.station, one.neighbour_station) not in ours)
    listed = (*kept, _relation(lte, nr, handover=False), _relation(nr, other))
    trees = carried(shipped.model_copy(update={"neighbours": listed}))
    (path,) = (path for path in trees[nr.station] if f"/NRCellRelation[{other.station}.{other.id}]" in path)
    found = {**trees[nr.station][path], "isRemoveAllowed": "true"}
    trees[nr.station][path.replace(f"[{other.station}.", f"[found-{other.station}.")] = found
    made = imported(shipped, trees)
    assert made.network.neighbours == tuple(sorted(listed, key=lambda one: (one.station, one.id)))
    assert made.notes == ()
    del trees[other.station]
    without = imported(shipped, trees)
    led_to = {one.neighbour_station for one in without.network.neighbours}
    assert nr.station in led_to
    assert other.station not in led_to
    assert any(f"its relation to {other.name}, which is not there" in note for note in without.notes)


def test_an_external_cell_is_known_by_its_identity_whatever_its_name(shipped: Network) -> None:
    """An element manager names external cells as it likes, and its network may stand below another object."""
    trees = carried(shipped)
    changed = []
    for tree in trees.values():
        for path in [one for one in tree if one.startswith(("/NRNetwork", "/EUtraNetwork"))]:
            tree[re.sub(r"(External\w+)\[([^]]*)]", r"\1[x-\2]", path)] = tree.pop(path)
        for path, leaves in tree.items():
            for leaf in ("adjacentCell", "adjacentNRCellRef"):
                if str(leaves.get(leaf, "")).startswith(("NRNetwork", "EUtraNetwork")):
                    named = re.sub(r"(External\w+)=", r"\1=x-", str(leaves[leaf]))
                    assert path_below(named) in tree
                    tree[path] = {**leaves, leaf: f"SubNetwork=peru,{named}"}
                    changed.append(path)
    assert len(changed) > 10
    assert imported(shipped, trees).network.neighbours == shipped.neighbours


def path_below(distinguished_name: str) -> str:
    path = ""
    for one in distinguished_name.split(","):
        path = child(path, *one.split("="))
    return path


def _relation(cell: Cell, other: Cell, *, handover: bool = True) -> Neighbour:
    there = {"neighbour_station": other.station, "neighbour_cell": other.id}
    return Neighbour(station=cell.station, cell=cell.id, handover=handover, **there)
