"""What network files may leave to the field: power, PRACH roots, SSBs, and the carriers that cells on air name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from controller.models.network import Network
from controller.models.plan import Change, Op, PhaseKind
from controller.nrm.profiles import Rendered, root_spec
from controller.nrm.schema import spec_of
from controller.nrm.tree import LeafName, Leaves, Observed, Path, Value
from controller.plan import StationView, adopted_nodes, applied, drift, drifted_nodes
from controller.plan.inputs import at_carriers
from tests.unit.plan.samples import (
    LTE_CELL,
    NR_CELL,
    PROFILES,
    apply,
    carrying,
    factory,
    ledger,
    network,
    only_change,
    plan,
    rendered,
)

SILENT = network()
CARRIER = "/ManagedElement[S1]/GNBDUFunction[1]/NRSectorCarrier[N1]"
OTHER = "/ManagedElement[S1]/GNBDUFunction[1]/NRSectorCarrier[7]"
REF = "nRSectorCarrierRef"
ROOT = root_spec(PROFILES)


def saying(**fields: Any) -> Network:
    """The network with fields of the cells of S1, by technology: ``lte_pci`` is the PCI of the LTE cell."""
    cells = [
        cell.model_copy(update={name[len(rat) + 1 :]: value for name, value in fields.items() if name.startswith(rat)})
        if cell.station == "S1" and (rat := cell.rat.lower())
        else cell
        for cell in SILENT.cells
    ]
    return SILENT.model_copy(update={"cells": tuple(cells)})


def dn(path: Path) -> str:
    return path[1:].replace("/", ",").replace("[", "=").replace("]", "")


def on_air(edit: Mapping[Path, Leaves | None] | None = None, *, ours: bool = True) -> StationView:
    """S1 as Minka made it, with start values, and as somebody edited it since."""
    made = rendered(SILENT).tree
    begun = {path: spec.begun(path, made) for path in made if (spec := spec_of(ROOT, path)) is not None}
    seen = carrying(SILENT, edit={**begun, **{path: None for path in edit or {} if edit and edit[path] is None}})
    tree = {path: {**seen.tree.get(path, {}), **leaves} for path, leaves in (edit or {}).items() if leaves is not None}
    return StationView(Observed({**seen.tree, **tree}, seen.state), adopted=True, ledger=ledger(SILENT) if ours else {})


def edits(change: Change) -> dict[Path, tuple[Leaves, Leaves]]:
    """What changes of existing entries but their locks, before and after."""
    found = [edit for phase in change.phases if phase.kind is PhaseKind.EDIT for edit in phase.edits]
    assert {edit.op for edit in found} <= {Op.MERGE}
    return {edit.path: (edit.before, edit.after) for edit in found}


def locked(change: Change) -> set[Path]:
    return {edit.path for phase in change.phases if phase.kind is PhaseKind.LOCK for edit in phase.edits}


def test_a_new_cell_gets_a_carrier_that_it_names_with_a_power() -> None:
    created = {edit.path: edit.after for edit in only_change(plan(SILENT, {"S1": factory()})).phases[0].edits}
    assert created[NR_CELL][REF] == (dn(CARRIER),)
    assert created[CARRIER]["configuredMaxTxPower"] == "20000"
    assert "maximumTransmissionPower" not in created[LTE_CELL]
    planned = saying(nr_max_tx_power_dbm=46.0, nr_ssb_arfcn=630048, lte_max_tx_power_dbm=43.5, lte_prach_root=30)
    created = {edit.path: edit.after for edit in only_change(plan(planned, {"S1": factory()})).phases[0].edits}
    assert (created[CARRIER]["configuredMaxTxPower"], created[CARRIER]["configuredMaxTxEIRP"]) == ("39811", "76")
    assert created[NR_CELL]["ssbFrequency"] == "630048"
    assert (created[LTE_CELL]["maximumTransmissionPower"], created[LTE_CELL]["rootSequenceIndex"]) == ("435", "30")


FIELDS_OWN: dict[Path, Leaves | None] = {
    LTE_CELL: {"maximumTransmissionPower": "400", "rootSequenceIndex": "77"},
    NR_CELL: {"ssbFrequency": "630144", "ssbPeriodicity": "40"},
    CARRIER: {"configuredMaxTxPower": "5000", "configuredMaxTxEIRP": "50", "txDirection": "DL"},
}


@pytest.mark.parametrize("ours", [True, False], ids=["made by us", "adopted"])
def test_what_the_field_planned_stays_where_files_say_nothing(*, ours: bool) -> None:
    view = on_air(FIELDS_OWN, ours=ours)
    assert plan(SILENT, {"S1": view}).changes == ()
    assert view.observed is not None
    nodes = {node.path: node.leaves for node in adopted_nodes(ROOT, rendered(SILENT), view.observed)}
    assert nodes.keys() == rendered(SILENT).tree.keys()
    assert not nodes[LTE_CELL].keys() & FIELDS_OWN[LTE_CELL].keys()  # type: ignore[union-attr]
    assert not nodes[NR_CELL].keys() & FIELDS_OWN[NR_CELL].keys()  # type: ignore[union-attr]
    assert drifted_nodes(ROOT, applied(view.ledger), view.observed) == ()


def test_what_files_say_is_an_edit_of_a_locked_cell_and_then_held() -> None:
    planned = saying(nr_max_tx_power_dbm=46.0, nr_ssb_arfcn=630048, lte_max_tx_power_dbm=43.5, lte_prach_root=30)
    view = on_air(FIELDS_OWN)
    change = only_change(plan(planned, {"S1": view}))
    assert edits(change) == {
        LTE_CELL: (
            {"maximumTransmissionPower": "400", "rootSequenceIndex": "77"},
            {"maximumTransmissionPower": "435", "rootSequenceIndex": "30"},
        ),
        NR_CELL: ({"ssbFrequency": "630144"}, {"ssbFrequency": "630048"}),
        CARRIER: ({"configuredMaxTxPower": "5000"}, {"configuredMaxTxPower": "39811"}),
    }
    assert locked(change) == {LTE_CELL, NR_CELL}
    after = apply(planned, change, view)
    assert plan(planned, {"S1": after}).changes == ()
    assert after.observed is not None
    tampered = Observed({**after.observed.tree, CARRIER: {**after.observed.tree[CARRIER], "configuredMaxTxPower": "1"}})
    assert drifted_nodes(ROOT, applied(after.ledger), tampered) == (CARRIER,)


def test_power_alone_locks_the_cell_that_the_carrier_transmits() -> None:
    change = only_change(plan(saying(nr_max_tx_power_dbm=46.0), {"S1": on_air()}))
    assert locked(change) == {NR_CELL}


def test_a_retuned_carrier_takes_its_ssb_along_only_if_it_no_longer_holds_it() -> None:
    far = saying(nr_arfcn_dl=640000, nr_arfcn_ul=640000)
    change = only_change(plan(far, {"S1": on_air(FIELDS_OWN)}))
    assert edits(change)[NR_CELL][1] == {"arfcnDL": "640000", "arfcnUL": "640000", "ssbFrequency": "640032"}
    assert edits(change)[CARRIER][1] == {"arfcnDL": "640000", "arfcnUL": "640000"}
    near = saying(nr_arfcn_dl=630500, nr_arfcn_ul=630500)
    assert "ssbFrequency" not in edits(only_change(plan(near, {"S1": on_air(FIELDS_OWN)})))[NR_CELL][1]
    said = saying(nr_arfcn_dl=640000, nr_arfcn_ul=640000, nr_ssb_arfcn=640992)
    assert edits(only_change(plan(said, {"S1": on_air(FIELDS_OWN)})))[NR_CELL][1]["ssbFrequency"] == "640992"
    pci = saying(nr_pci=9)
    off_raster: dict[Path, Leaves | None] = {NR_CELL: {"ssbFrequency": "630001"}}
    assert edits(only_change(plan(pci, {"S1": on_air(off_raster)})))[NR_CELL][1] == {"nRPCI": "9"}


def brownfield(*refs: Path, **leaves: str) -> dict[Path, Leaves | None]:
    """A cell on air that names carriers of the field's: none is called like the cell."""
    channels = {"arfcnDL": "630000", "arfcnUL": "630000", "bSChannelBwDL": "100", "bSChannelBwUL": "100"}
    made = {ref: {**channels, "configuredMaxTxPower": "8000", **leaves} for ref in refs}
    return {CARRIER: None, NR_CELL: {REF: tuple(map(dn, refs))}, **made}


def test_a_cell_that_names_another_carrier_keeps_it_and_is_powered_there() -> None:
    view = on_air(brownfield(OTHER), ours=False)
    assert view.observed is not None
    assert plan(SILENT, {"S1": view}).changes == ()
    assert drift(ROOT, at_carriers(ROOT, rendered(SILENT), view.observed.tree, {}), view) == ()
    paths = {node.path for node in adopted_nodes(ROOT, rendered(SILENT), view.observed)}
    assert OTHER in paths
    assert CARRIER not in paths
    change = only_change(plan(saying(nr_max_tx_power_dbm=40.0), {"S1": view}))
    assert edits(change) == {OTHER: ({"configuredMaxTxPower": "8000"}, {"configuredMaxTxPower": "10000"})}
    assert locked(change) == {NR_CELL}


def test_a_carrier_that_the_field_tuned_apart_from_its_cell_stays_so() -> None:
    view = on_air(brownfield(OTHER, arfcnDL="629000", bSChannelBwDL="50"), ours=False)
    assert plan(SILENT, {"S1": view}).changes == ()
    moved = only_change(plan(saying(nr_arfcn_dl=640000, nr_arfcn_ul=640000), {"S1": view}))
    assert edits(moved)[OTHER][1] == {"arfcnUL": "640000"}


def test_of_several_carriers_of_a_cell_nothing_is_wanted() -> None:
    third = OTHER.replace("[7]", "[8]")
    view = on_air(brownfield(OTHER, third), ours=False)
    assert plan(saying(nr_max_tx_power_dbm=40.0), {"S1": view}).changes == ()


def test_a_name_that_leads_nowhere_gets_the_carrier_that_it_names() -> None:
    view = on_air({CARRIER: None})
    change = only_change(plan(SILENT, {"S1": view}))
    (edit,) = change.phases[0].edits
    assert (edit.op, edit.path) == (Op.CREATE, CARRIER)
    elsewhere = on_air({CARRIER: None, NR_CELL: {REF: ("ManagedElement=S9,GNBDUFunction=1,NRSectorCarrier=1",)}})
    assert plan(SILENT, {"S1": elsewhere}).changes == ()


def test_of_a_carrier_that_two_cells_share_nothing_is_wanted() -> None:
    second, beside = NR_CELL.replace("[N1]", "[N2]"), CARRIER.replace("[N1]", "[N2]")
    tree: dict[Path, dict[LeafName, Value]] = {
        NR_CELL: {},
        CARRIER: {"txDirection": "DL"},
        second: {},
        beside: {"txDirection": "DL"},
    }
    wanted = Rendered(tree, dict.fromkeys(tree, ("host",)), ())
    for named, place in ((OTHER, None), (beside, None), ("", CARRIER)):
        observed = {
            NR_CELL: {REF: dn(named)} if named else {},
            second: {REF: dn(named or beside)},
            OTHER: {},
            beside: {},
        }
        found = at_carriers(ROOT, wanted, observed, {})
        carriers = {path for path in found.tree if "Carrier[" in path}
        assert carriers == ({place, beside} if place else set())
        assert found.tree.keys() == found.owners.keys()
