from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest
from hypothesis import given

from controller.models.errors import NotFoundError
from controller.models.facts import BroadcastFact, CellFact, Fact, LinkKind
from controller.models.network import Rat, ResourceType
from controller.nrm.profiles import Rendered, cell_of, cell_path, is_carrier, render, root_spec
from controller.nrm.profiles.readings import read_station
from controller.nrm.schema import Mutability, NodeSpec, spec_of
from controller.nrm.tree import name_of, parent, path_of, step
from tests.unit.nrm import samples
from tests.unit.nrm.samples import BOTH, LTE_CELLS, NR_CELLS, STATION

FDD = f"/ManagedElement[{STATION}]/ENBFunction[1]/EUtranCellFDD[B28-1]"
TDD = f"/ManagedElement[{STATION}]/ENBFunction[1]/EUtranCellTDD[B40-1]"
DU = f"/ManagedElement[{STATION}]/GNBDUFunction[1]/NRCellDU[n78-1]"
CU = f"/ManagedElement[{STATION}]/GNBCUCPFunction[1]/NRCellCU[n78-1]"


def rendered_nr(cell: CellFact) -> Rendered:
    return render(("nr-28541",), samples.station_facts((cell,)))


def children(tree: object, path: str, name: str) -> list[str]:
    assert isinstance(tree, dict)
    return [each.removeprefix(f"{path}/{name}") for each in tree if each.startswith(f"{path}/{name}[")]


def test_lte_cell_with_its_carrier_plmns_and_shares() -> None:
    rendered = render(("lte-28658",), samples.station_facts(LTE_CELLS))
    assert rendered.tree[FDD] == {
        "cellLocalId": "1",
        "tac": "4201",
        "pci": "101",
        "earfcnDl": "9285",
        "earfcnUl": "27285",
        "dlChannelBandwidth": "10.0",
        "ulChannelBandwidth": "10.0",
    }
    assert rendered.tree[TDD]["earfcn"] == "38950"
    assert rendered.tree[TDD]["channelBandwidth"] == "10.0"
    # The primary PLMN stands first, the others by tenant.
    assert children(rendered.tree, FDD, "plmnIdList") == ["[716,06]", "[716,15]", "[716,10]", "[716,17]"]
    assert rendered.tree[f"{FDD}/plmnRadioShareList[716,15]"] == {
        "dedicatedRatio": "5",
        "minRatio": "20",
        "maxRatio": "80",
    }
    assert rendered.owners[f"{FDD}/plmnRadioShareList[716,15]"] == ("bitel",)
    assert rendered.owners[FDD] == ("host",)
    assert rendered.findings == ()


def test_lte_core_link() -> None:
    tree = render(("lte-28658",), samples.station_facts(LTE_CELLS)).tree
    path = f"/ManagedElement[{STATION}]/ENBFunction[1]/EP_S1C[claro-s1c-lima]"
    assert tree[path] == {"remoteAddress": "10.2.1.11"}
    assert children(tree, path, "localAddress") == ["[10.64.4.76,1002]"]
    assert children(tree, path, "servedPlmnList") == ["[716,10]"]


def test_the_user_plane_of_lte_has_a_near_end_only() -> None:
    rendered = render(("lte-28658",), samples.station_facts(LTE_CELLS))
    path = f"/ManagedElement[{STATION}]/ENBFunction[1]/EP_S1U[claro-s1u-lima]"
    assert rendered.tree[path] == {}
    assert children(rendered.tree, path, "localAddress") == ["[10.64.4.76,1002]"]
    assert rendered.owners[path] == ("claro",)


@pytest.mark.parametrize("arfcn", [151600, 151720, 151790, 500000, 599999, 600000, 623334, 640049, 653333])
def test_the_ssb_is_on_the_nearest_point_of_the_synchronisation_raster(arfcn: int) -> None:
    """TS 38.104 §5.4.3.1: 150 kHz above multiples of 1.2 MHz below 3 GHz, from there each 1.44 MHz."""
    carrier = replace(NR_CELLS[0], arfcn_dl=arfcn, arfcn_ul=arfcn)
    (cell,) = (edit for edit in samples.creates(("nr-28541",), rendered_nr(carrier)) if edit.path == DU)
    found = int(str(cell.after["ssbFrequency"]))
    start, raster = (600000, 96) if arfcn >= 600000 else (30, 240)
    assert (found - start) % raster == 0
    assert abs(found - arfcn) <= raster / 2


def test_nr_cell_in_both_units() -> None:
    rendered = render(("nr-28541",), samples.station_facts(NR_CELLS, ("movistar", "bitel")))
    assert rendered.tree[DU] == {
        "cellLocalId": "1",
        "nRPCI": "101",
        "nRTAC": "4201",
        "arfcnDL": "623334",
        "arfcnUL": "623334",
        "bSChannelBwDL": "20",
        "bSChannelBwUL": "20",
    }
    assert rendered.tree[CU] == {"cellLocalId": "1"}
    infos = ["[716,06,0000D1,1]", "[716,06,FFFFFF,2]", "[716,15,0000D1,1]", "[716,15,FFFFFF,2]"]
    assert children(rendered.tree, DU, "pLMNInfoList") == infos
    assert children(rendered.tree, CU, "pLMNInfoList") == infos
    assert children(rendered.tree, f"/ManagedElement[{STATION}]/GNBCUUPFunction[1]", "pLMNInfoList") == infos
    policy = f"{DU}/RRMPolicyRatio[bitel-prb]"
    assert rendered.tree[policy] == {
        "resourceType": "PRB",
        "rRMPolicyMaxRatio": "80",
        "rRMPolicyMinRatio": "20",
        "rRMPolicyDedicatedRatio": "5",
    }
    assert children(rendered.tree, policy, "rRMPolicyMemberList") == infos[2:]
    assert rendered.owners[policy] == ("bitel",)
    assert rendered.findings == ()


@pytest.mark.parametrize(
    ("resource", "divides"),
    [
        (ResourceType.PRB, DU),
        (ResourceType.PRB_UL, DU),
        (ResourceType.PRB_DL, DU),
        (ResourceType.RRC, CU),
        (ResourceType.DRB, f"/ManagedElement[{STATION}]/GNBCUUPFunction[1]"),
    ],
)
def test_nr_shares_stand_below_what_divides_the_resource(resource: ResourceType, divides: str) -> None:
    cell = NR_CELLS[0]
    facts: list[Fact] = [
        samples.station(),
        cell,
        samples.broadcast(cell, "bitel"),
        samples.share(cell, "bitel", resource),
    ]
    tree = render(("nr-28541",), facts).tree
    assert [path for path in tree if path.endswith(f"RRMPolicyRatio[bitel-{resource.lower()}]")] == [
        f"{divides}/RRMPolicyRatio[bitel-{resource.lower()}]"
    ]


def test_nr_shares_of_some_slices_are_policies_of_their_own() -> None:
    """TS 28.541 §4.3.36: a policy has one ratio for all its members."""
    cell = NR_CELLS[0]
    whole = samples.share(cell, "bitel")
    parts = [replace(whole, slices=(one,), min=10 * n, part=str(one)) for n, one in enumerate(samples.SLICES, 1)]
    tree = render(("nr-28541",), [samples.station(), cell, samples.broadcast(cell, "bitel"), *parts]).tree
    found = {
        name: tree[f"{DU}/RRMPolicyRatio[{name}]"]["rRMPolicyMinRatio"]
        for name in ("bitel-prb-1-0000D1", "bitel-prb-2")
    }
    assert found == {"bitel-prb-1-0000D1": "10", "bitel-prb-2": "20"}
    assert children(tree, f"{DU}/RRMPolicyRatio[bitel-prb-2]", "rRMPolicyMemberList") == ["[716,15,FFFFFF,2]"]


def begun(rendered: Rendered, path: str) -> dict[str, object]:
    """What a new entry begins with beside what is wanted of it."""
    spec = spec_of(root_spec(BOTH), path)
    assert spec is not None
    return {name: value for name, value in spec.begun(path, rendered.tree).items() if name not in rendered.tree[path]}


def test_a_new_nr_cell_begins_with_what_no_network_file_says() -> None:
    assert begun(rendered_nr(NR_CELLS[0]), DU) == {
        "priorityLabel": "1",
        "ssbFrequency": "623328",
        "ssbPeriodicity": "20",
        "ssbSubCarrierSpacing": "30",
        "ssbOffset": "0",
        "ssbDuration": "1",
        "nRSectorCarrierRef": (f"ManagedElement={STATION},GNBDUFunction=1,NRSectorCarrier=n78-1",),
        "nPNIdentityList": ('["0",["716-06"],["",""]]',),
        "rimRSMonitoringStartTime": "2000-01-01T00:00:00Z",
        "rimRSMonitoringStopTime": "2000-01-01T00:00:00Z",
        "rimRSMonitoringWindowDuration": "1",
        "rimRSMonitoringWindowStartingOffset": "0",
        "rimRSMonitoringWindowPeriodicity": "24",
        "rimRSMonitoringOccasionInterval": "1",
        "rimRSMonitoringOccasionStartingOffset": "0",
        "victimSetRef": f"ManagedElement={STATION},RimRSSet=none",
        "aggressorSetRef": f"ManagedElement={STATION},RimRSSet=none",
    }


def test_a_cell_names_a_sector_carrier_that_is_rendered_and_has_its_channels() -> None:
    rendered = rendered_nr(NR_CELLS[0])
    named = begun(rendered, DU)["nRSectorCarrierRef"]
    assert isinstance(named, tuple)
    (path,) = map(path_of, named)
    channels = ("arfcnDL", "arfcnUL", "bSChannelBwDL", "bSChannelBwUL")
    assert rendered.tree[path] == {name: rendered.tree[DU][name] for name in channels}
    assert begun(rendered, path) == {
        "priorityLabel": "1",
        "txDirection": "DL_AND_UL",
        "configuredMaxTxPower": "20000",
        "configuredMaxTxEIRP": "73",
        "sectorEquipmentFunctionRef": f"ManagedElement={STATION},SectorEquipmentFunction=n78-1",
    }


def test_power_prach_and_ssb_are_written_where_network_files_give_them() -> None:
    cell = replace(LTE_CELLS[0], max_tx_power_dbm=46.5, prach_root=120)
    tree = render(("lte-28658",), samples.station_facts([cell])).tree
    assert (tree[FDD]["maximumTransmissionPower"], tree[FDD]["rootSequenceIndex"]) == ("465", "120")
    rendered = rendered_nr(replace(NR_CELLS[0], max_tx_power_dbm=46.5, prach_root=120, ssb_arfcn=623424))
    assert rendered.tree[DU]["ssbFrequency"] == "623424"
    carrier = rendered.tree[f"{parent(DU)}/NRSectorCarrier[n78-1]"]
    assert carrier["configuredMaxTxPower"] == "44668"
    assert "configuredMaxTxEIRP" not in carrier, "the licence says nothing"
    limited = rendered_nr(replace(NR_CELLS[0], max_tx_power_dbm=46.5, max_eirp_dbm=62.9))
    assert limited.tree[f"{parent(DU)}/NRSectorCarrier[n78-1]"]["configuredMaxTxEIRP"] == "62", "never above it"
    (finding,) = rendered.findings
    assert (finding.code, finding.cell) == ("unenforceable", "n78-1")
    assert "PRACH root 120" in finding.message


def test_nr_core_links_stand_in_their_functions() -> None:
    tree = render(("nr-28541",), samples.station_facts(NR_CELLS, ("entel",))).tree
    element = f"/ManagedElement[{STATION}]"
    assert tree[f"{element}/GNBCUCPFunction[1]/EP_NgC[entel-ngc-lima]"] == {"remoteAddress": "10.4.1.11"}
    assert f"{element}/GNBCUUPFunction[1]/EP_NgU[entel-ngu-lima]/localAddress[10.64.4.76,1004]" in tree


@pytest.mark.parametrize("own", [(), ("bitel",)])
def test_the_user_plane_serves_what_is_on_air_in_any_cell_for_whom_it_is(own: tuple[str, ...]) -> None:
    one, other = NR_CELLS
    facts: list[Fact] = [samples.station(), one, other, samples.broadcast(one, "movistar")]
    facts += (samples.broadcast(cell, "bitel", own="bitel" in own) for cell in NR_CELLS)
    facts.append(replace(samples.broadcast(other, "movistar"), owners=("claro",)))
    rendered = render(("nr-28541",), facts)
    plane = f"/ManagedElement[{STATION}]/GNBCUUPFunction[1]"
    served = children(rendered.tree, plane, "pLMNInfoList")
    assert sorted(served) == [f"[716,{mnc},{slice_}]" for mnc in ("06", "15") for slice_ in ("0000D1,1", "FFFFFF,2")]
    assert rendered.owners[f"{plane}/pLMNInfoList[716,06,FFFFFF,2]"] == ("claro", "movistar")
    assert rendered.owners[f"{plane}/pLMNInfoList[716,15,FFFFFF,2]"] == ("bitel",)


def test_a_tenant_without_slices_gets_embb() -> None:
    cell = NR_CELLS[0]
    facts: list[Fact] = [samples.station(), cell, replace(samples.broadcast(cell, "movistar"), slices=())]
    assert children(render(("nr-28541",), facts).tree, DU, "pLMNInfoList") == ["[716,06,FFFFFF,1]"]


def test_ratios_at_their_default_are_left_out() -> None:
    cell = LTE_CELLS[0]
    everything = replace(samples.share(cell, "movistar"), dedicated=0, min=0, max=100)
    facts: list[Fact] = [samples.station(), cell, samples.broadcast(cell, "movistar"), everything]
    assert render(("lte-28658",), facts).tree[f"{FDD}/plmnRadioShareList[716,06]"] == {}


def test_a_plmn_of_two_tenants_is_owned_by_both() -> None:
    cell = LTE_CELLS[0]
    one = samples.broadcast(cell, "movistar")
    facts: list[Fact] = [samples.station(), cell, one, replace(one, owners=("claro",))]
    assert render(("lte-28658",), facts).owners[f"{FDD}/plmnIdList[716,06]"] == ("claro", "movistar")


def test_lte_cannot_share_what_is_not_prb() -> None:
    cell = LTE_CELLS[0]
    facts = [*samples.station_facts((cell,), ("movistar",)), samples.share(cell, "movistar", ResourceType.RRC)]
    (finding,) = render(("lte-28658",), facts).findings
    assert (finding.code, finding.tenant, finding.station, finding.cell) == (
        "unenforceable",
        "movistar",
        STATION,
        "B28-1",
    )
    assert "RRC" in finding.message


def test_lte_gives_the_guarantees_of_several_plmns_to_one() -> None:
    cell = LTE_CELLS[0]
    shared = samples.share(cell, "claro", ResourceType.PRB, "716-99", "716-06")
    rendered = render(("lte-28658",), [samples.station(), cell, samples.broadcast(cell, "movistar"), shared])
    assert rendered.tree[f"{FDD}/plmnRadioShareList[716,06]"]["minRatio"] == "20"
    assert rendered.tree[f"{FDD}/plmnRadioShareList[716,10]"] == {"maxRatio": "80"}
    assert rendered.tree[f"{FDD}/plmnRadioShareList[716,99]"] == {"maxRatio": "80"}
    assert [finding.code for finding in rendered.findings] == ["unenforceable"]


def test_what_no_profile_expresses_is_found() -> None:
    facts: list[Fact] = [*samples.station_facts(LTE_CELLS[:1], ("claro",)), NR_CELLS[0]]
    facts.append(samples.link(LinkKind.NGC, "claro"))
    findings = render(("lte-28658",), facts).findings
    assert [(finding.code, finding.cell, finding.tenant) for finding in findings] == [
        ("unenforceable", "", "claro"),
        ("unenforceable", "n78-1", ""),
    ]


def test_a_cell_without_plmn_is_left_out_and_found() -> None:
    rendered = render(("lte-28658",), [samples.station(), LTE_CELLS[0]])
    assert FDD not in rendered.tree
    assert [finding.code for finding in rendered.findings] == ["cell-without-plmn"]


@pytest.mark.parametrize(
    "facts",
    [
        [],
        [LTE_CELLS[0]],
        [samples.station(), replace(LTE_CELLS[0], station="PE-CUS-0043")],
        [samples.station(), samples.broadcast(LTE_CELLS[0], "claro")],
    ],
)
def test_facts_of_other_than_one_station_are_refused(facts: list[Fact]) -> None:
    with pytest.raises(ValueError, match="facts"):
        render(BOTH, facts)


def test_unknown_profiles_are_refused() -> None:
    with pytest.raises(NotFoundError, match="huawei"):
        root_spec(("huawei",))
    with pytest.raises(NotFoundError, match="NR cells"):
        cell_path(("lte-28658",), STATION, "n78-1", Rat.NR, "n78")


@given(samples.facts())
def test_neither_the_order_of_facts_nor_of_profiles_matters(facts: list[Fact]) -> None:
    once = render(BOTH, facts)
    again = render(BOTH[::-1], sorted(facts, key=repr))
    assert list(once.tree.items()) == list(again.tree.items())
    assert once == again


@given(samples.facts())
def test_every_entry_is_known_has_its_parent_and_owners(facts: list[Fact]) -> None:
    rendered = render(BOTH, facts)
    root = root_spec(BOTH)
    assert rendered.owners.keys() == rendered.tree.keys()
    seen = {""}
    for path, leaves in rendered.tree.items():
        spec = spec_of(root, path)
        assert spec is not None
        assert parent(path) in seen
        seen.add(path)
        for name, value in leaves.items():
            leaf = spec.leaf_by_name[name]
            assert value != leaf.default
            assert leaf.compared or leaf.initial
            assert isinstance(value, tuple) == leaf.leaf_list


def _holds(path: str, holders: Collection[str]) -> bool:
    """Whether an entry beside the managed element is one of those without which it would not be there."""
    return path in holders or (
        step(path)[0] not in ("NRNetwork", "EUtraNetwork") and not step(path)[0].endswith("Function")
    )


@given(samples.facts())
def test_a_tenants_facts_make_only_entries_of_that_tenant(facts: list[Fact]) -> None:
    without = [fact for fact in facts if fact.owners != ("bitel",)]
    on_air = {fact.cell for fact in without if isinstance(fact, BroadcastFact)}
    # A cell that only this tenant puts on air goes with it, and with the cell the others' shares.
    lost = {fact.cell for fact in facts if isinstance(fact, CellFact)} - on_air
    before, after = render(BOTH, without), render(BOTH, facts)
    kept = {path for path in after.tree if "bitel" not in after.owners[path] and cell_of(path) not in lost}
    kept -= {path for path in kept if is_carrier(path) and step(path)[1][0] in lost}
    # What only relations of such cells lead to goes with them: external cells, and frequencies.
    for leaf in ("adjacentCell", "adjacentNRCellRef"), ("nRFrequencyRef",):
        named = {str(after.tree[path].get(name, "")) for path in kept for name in leaf}
        kinds = ("ExternalNRCellCU", "ExternalEUtranCell") if len(leaf) > 1 else ("NRFrequency",)
        kept -= {path for path in kept if step(path)[0].startswith(kinds) and name_of(path) not in named}
    for _ in range(2):  # base stations without cells, and then networks without base stations
        holders = {parent(path) for path in kept}
        kept -= {path for path in kept if path.startswith(("/NRN", "/EUtraN")) and not _holds(path, holders)}
    assert before.tree == {path: after.tree[path] for path in kept}


def test_cell_paths_are_those_that_render_makes() -> None:
    tree = render(BOTH, samples.station_facts(LTE_CELLS + NR_CELLS)).tree
    for cell in LTE_CELLS + NR_CELLS:
        assert "cellLocalId" in tree[cell_path(BOTH, STATION, cell.cell, cell.rat, cell.band)]


def test_the_power_of_lte_cells_is_in_the_unit_of_the_station_and_never_more_than_planned() -> None:
    def rendered(in_a_db: int, dbm: float) -> Rendered:
        facts = samples.station_facts(LTE_CELLS[:1])
        facts[0] = replace(samples.station(), lte_power_in_a_db=in_a_db)
        facts[1] = replace(LTE_CELLS[0], max_tx_power_dbm=dbm)
        return render(("lte-28658",), facts)

    for in_a_db, dbm, written in ((10, 43.5, "435"), (1, 43, "43"), (1, 43.5, "43")):
        made = rendered(in_a_db, dbm)
        assert made.tree[FDD]["maximumTransmissionPower"] == written
        (cell,) = read_station(made.tree, in_a_db).cells
        assert float(cell.fields["max_tx_power_dbm"]) <= dbm
        told = [one.message for one in made.findings if "dBm" in one.message]
        assert bool(told) is (dbm != float(cell.fields["max_tx_power_dbm"]))


def test_mutabilities_of_what_is_dangerous() -> None:
    root = root_spec(BOTH)

    def mutability(path: str, leaf: str) -> Mutability:
        spec = spec_of(root, path)
        assert isinstance(spec, NodeSpec)
        return spec.leaf_by_name[leaf].mutability

    locked = [(FDD, "pci"), (FDD, "tac"), (FDD, "earfcnDl"), (FDD, "dlChannelBandwidth"), (TDD, "earfcn")]
    locked += [(FDD, "maximumTransmissionPower"), (FDD, "rootSequenceIndex"), (TDD, "rootSequenceIndex")]
    locked += [(DU, "ssbFrequency"), (f"{parent(DU)}/NRSectorCarrier[n78-1]", "configuredMaxTxPower")]
    locked += [(DU, "nRPCI"), (DU, "nRTAC"), (DU, "arfcnDL"), (DU, "bSChannelBwDL")]
    assert {mutability(*each) for each in locked} == {Mutability.LOCKED}
    identities = [(FDD, "cellLocalId"), (DU, "cellLocalId"), (parent(FDD), "eNBId"), (parent(DU), "gNBId")]
    assert {mutability(*each) for each in identities} == {Mutability.CREATE_ONLY}


def test_only_leaves_that_we_answer_for_are_compared() -> None:
    spec = spec_of(root_spec(BOTH), DU)
    assert spec is not None
    ignored = {leaf.name for leaf in spec.leaves if not leaf.compared}
    assert {"administrativeState", "operationalState", "cellState"} <= ignored
    assert not {"nRPCI", "cellLocalId", "arfcnDL"} & ignored


def test_an_nr_cell_may_hand_over_to_lte_and_says_which_lte_cell_anchors_it() -> None:
    both = samples.anchored(NR_CELLS[0], LTE_CELLS[0])
    plain = replace(both, neighbour_cell="B40-1", neighbour_band="B40", handover=False, anchored=False)
    tree = render(BOTH, samples.station_facts(NR_CELLS, tenants=("claro",))[:1] + _on_air() + [both, plain]).tree
    relations = {step(path)[1][0]: leaves for path, leaves in tree.items() if step(path)[0] == "EUtranCellRelation"}
    assert relations == {
        "PE-CUS-0003.B28-1": {
            "adjacentCell": "EUtraNetwork=minka,ExternalENBFunction=PE-CUS-0003,ExternalEUtranCellFDD=B28-1",
            "isRemoveAllowed": "NO",
            "isHOAllowed": "YES",
            "isENDCAllowed": "YES",
            "tCI": str((160003 << 17) + 101),
        },
        "PE-CUS-0003.B40-1": {
            "adjacentCell": "EUtraNetwork=minka,ExternalENBFunction=PE-CUS-0003,ExternalEUtranCellTDD=B40-1",
            "isRemoveAllowed": "NO",
            "isHOAllowed": "NO",
            "isENDCAllowed": "NO",
            "tCI": str((160003 << 17) + 101),
        },
    }


def _on_air() -> list[Fact]:
    return [NR_CELLS[0], samples.broadcast(NR_CELLS[0], "claro")]


@pytest.mark.parametrize(("anr", "said"), [(True, "true"), (False, "false"), (None, None)])
def test_anr_is_switched_as_files_say_and_left_alone_where_they_say_nothing(anr: bool | None, said: str | None) -> None:
    tree = render(BOTH, [samples.station(anr=anr), *LTE_CELLS, *NR_CELLS]).tree
    element = f"/ManagedElement[{STATION}]"
    switches = {
        "ENBFunction": ("intraANRSwitch", "iRATANRSwitch"),
        "GNBCUCPFunction": ("intrasystemANRManagementSwitch", "intersystemANRManagementSwitch"),
    }
    for function, names in switches.items():
        assert [tree[f"{element}/{function}[1]"].get(name) for name in names] == [said, said]


def test_x2_and_xn_have_an_end_in_each_plane_for_each_node_at_the_other_end() -> None:
    tree = render(BOTH, [samples.station(), *LTE_CELLS, *NR_CELLS, *samples.PEERS]).tree
    element = f"/ManagedElement[{STATION}]"
    ends = (
        *(f"ENBFunction[1]/EP_X2{plane}[PE-CUS-0003.{rat}]" for plane in "CU" for rat in Rat),
        *("GNBCUCPFunction[1]/EP_X2C[PE-CUS-0003.LTE]", "GNBCUUPFunction[1]/EP_X2U[PE-CUS-0003.LTE]"),
        *("GNBCUCPFunction[1]/EP_XnC[PE-CUS-0003.NR]", "GNBCUUPFunction[1]/EP_XnU[PE-CUS-0003.NR]"),
    )
    for end in ends:
        assert tree[f"{element}/{end}"] == {"remoteAddress": "10.64.4.77"}
        assert f"{element}/{end}/localAddress[10.64.4.76,999]" in tree
    assert len([path for path in tree if step(path)[0].startswith(("EP_X2", "EP_Xn"))]) == len(ends)
