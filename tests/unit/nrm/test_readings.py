"""What a station's tree says in the words of network files."""

from __future__ import annotations

import pytest

from controller.models.facts import Fact
from controller.models.network import ResourceType, Snssai
from controller.nrm.profiles import render
from controller.nrm.profiles.readings import OwnReading, read_shares, read_station
from controller.nrm.tree import Tree
from tests.unit.nrm import samples
from tests.unit.nrm.samples import NR_CELLS

DU = "/ManagedElement[S1]/GNBDUFunction[1]"
CELL = f"{DU}/NRCellDU[N1]"


def test_slices_are_those_that_are_slices() -> None:
    """An SST has eight bits, an SD six digits; FFFFFF is none (TS 23.003 §28.4)."""
    keys = ("0000A1,1", "FFFFFF,255", "0000A1,256", "A1,1", "0000A1,x")
    tree: Tree = {
        "/ManagedElement[S1]": {},
        DU: {},
        CELL: {},
        **{f"{CELL}/pLMNInfoList[716,06,{key}]": {} for key in keys},
    }
    (cell,) = read_station(tree).cells
    assert cell.broadcasts == {"716-06": (Snssai(sst=1, sd="0000A1"), Snssai(sst=255, sd="FFFFFF"))}


def test_the_plmn_of_a_global_node_id_is_that_of_its_technology() -> None:
    tree: Tree = {
        "/ManagedElement[S1]": {},
        "/ManagedElement[S1]/ENBFunction[1]": {},
        "/ManagedElement[S1]/ENBFunction[1]/pLMNId[716,06]": {},
        "/ManagedElement[S1]/GNBCUCPFunction[1]": {},
        "/ManagedElement[S1]/GNBCUCPFunction[1]/pLMNId[716,10]": {},
    }
    fields = read_station(tree).fields
    assert (fields["enb_plmn"], fields["gnb_plmn"]) == ("716-06", "716-10")


def test_each_cell_has_the_shares_of_its_two_halves_and_those_of_its_plmns_in_the_user_plane() -> None:
    cell, other = NR_CELLS
    facts: list[Fact] = [
        samples.station(),
        cell,
        other,
        samples.broadcast(cell, "bitel"),
        samples.broadcast(other, "claro"),
    ]
    facts += [samples.share(cell, "bitel", resource) for resource in ResourceType]
    facts += [samples.share(other, "claro", resource) for resource in (ResourceType.RRC, ResourceType.DRB)]
    read = read_station(render(("nr-28541",), facts).tree)
    shares = {one.cell: {(share.plmns, share.resource) for share in one.shares} for one in read.cells}
    assert shares == {
        cell.cell: {(("716-15",), resource) for resource in ResourceType},
        other.cell: {(("716-10",), "RRC"), (("716-10",), "DRB")},
    }


LTE = "/ManagedElement[S1]/ENBFunction[1]"


@pytest.mark.parametrize(
    ("name", "leads_to"),
    [
        ("ManagedElement=S2,ENBFunction=1,EUtranCellFDD=7", ("S2", "7")),
        ("SubNetwork=N,ManagedElement=S2,ENBFunction=1,EUtranCellFDD=a=7", ("S2", "a=7")),
        (r"ManagedElement=S\,2,ENBFunction=1,EUtranCellFDD=a\,b", ("S,2", "a,b")),
        ('ManagedElement=S2,ENBFunction=1,EUtranCellFDD="a,X=7"', ("S2", "a,X=7")),
        ('ManagedElement=S2,ENBFunction=1,EUtranCellFDD="a,X=7', None),
        (r"EUtraNetwork=minka,ExternalENBFunction=b\,c,ExternalEUtranCellFDD=7", ("b,c", "7")),
        (r"N=a\,EUtraNetwork=minka,ExternalENBFunction=b,ExternalEUtranCellFDD=7", None),
        ("ManagedElement=S2", None),
        ("", None),
    ],
)
def test_a_relation_leads_to_the_cell_that_its_distinguished_name_means(
    name: str, leads_to: tuple[str, str] | None
) -> None:
    relation = {"adjacentCell": name, "isRemoveAllowed": "false"}
    tree = lte({}, {f"{LTE}/EUtranCellFDD[L1]/EUtranRelation[r]": relation})
    (cell,) = read_station(tree).cells
    assert [(one.station, one.cell) for one in cell.relations] == ([leads_to] if leads_to else [])


def lte(leaves: dict[str, str], rest: Tree | None = None) -> Tree:
    return {"/ManagedElement[S1]": {}, LTE: {}, f"{LTE}/EUtranCellFDD[L1]": leaves, **(rest or {})}


@pytest.mark.parametrize(
    ("said", "dbm"), [("435", "43.5"), ("0", "0.0"), ("-15", "-1.5"), ("--15", None), ("", None), ("low", None)]
)
def test_the_power_of_a_cell_of_lte_is_its_own(said: str, dbm: str | None) -> None:
    """In tenths of a dBm (TS 28.658, maximumTransmissionPower)."""
    (cell,) = read_station(lte({"maximumTransmissionPower": said})).cells
    assert cell.fields.get("max_tx_power_dbm") == dbm
    assert cell.tdd is False


def carriers(*powers: str) -> Tree:
    names = [f"ManagedElement=S1,GNBDUFunction=1,NRSectorCarrier={number}" for number in range(len(powers))]
    sectors = {
        f"{DU}/NRSectorCarrier[{number}]": {"configuredMaxTxPower": power} for number, power in enumerate(powers)
    }
    return {"/ManagedElement[S1]": {}, DU: {}, CELL: {"nRSectorCarrierRef": tuple(names)}, **sectors}


@pytest.mark.parametrize(
    ("powers", "dbm"),
    [
        (("1000",), "30.0"),
        (("1",), "0.0"),
        (("0",), None),
        (("",), None),
        (("much",), None),
        (("1000", "1000"), None),
        ((), None),
    ],
)
def test_the_power_of_a_cell_of_nr_is_that_of_its_only_carrier(powers: tuple[str, ...], dbm: str | None) -> None:
    (cell,) = read_station(carriers(*powers)).cells
    assert cell.fields.get("max_tx_power_dbm") == dbm


@pytest.mark.parametrize("named", ["Tuf=Jy", "", ("",), ("ManagedElement=",), ("GNBDUFunction=1,NRSectorCarrier=0",)])
def test_no_power_is_known_of_a_carrier_that_is_named_without_its_element(named: str | tuple[str, ...]) -> None:
    """Stations write such references, and the rest of what they say counts all the same."""
    tree = {**carriers("1000"), CELL: {"nRSectorCarrierRef": named, "nRPCI": "7"}}
    (cell,) = read_station(tree).cells
    assert "max_tx_power_dbm" not in cell.fields
    assert cell.fields["pci"] == "7"


def test_an_operators_cell_that_names_no_host_is_in_no_cell() -> None:
    tree = {**carriers("1000"), f"{DU}/NROperatorCellDU[9]": {"cellLocalId": "9"}}
    assert [cell.own for cell in read_station(tree).cells] == [{}]


def test_no_power_is_that_of_a_carrier_that_is_not_there() -> None:
    tree = {path: leaves for path, leaves in carriers("1000").items() if "Carrier[" not in path}
    assert "max_tx_power_dbm" not in read_station(tree).cells[0].fields


def test_shares_of_lte_are_of_the_plmn_in_their_keys_with_defaults_where_they_say_nothing() -> None:
    cell = f"{LTE}/EUtranCellFDD[L1]"
    parts = {"minRatio": "20", "maxRatio": "60"}
    rest: Tree = {f"{cell}/plmnRadioShareList[716,15]": parts, f"{cell}/plmnRadioShareList[716,10]": {}}
    (read,) = read_station(lte({}, rest)).cells
    assert [(share.plmns, share.min, share.max) for share in read.shares] == [
        (("716-15",), "20", "60"),
        (("716-10",), "0", "100"),
    ]
    assert {share.resource for share in read.shares} == {ResourceType.PRB}
    assert [share.guaranteed_prbs for share in read.shares] == [20, 0]


def test_a_share_of_nr_is_of_the_plmns_and_slices_of_its_members() -> None:
    both_ways, one_way = f"{CELL}/RRMPolicyRatio[a]", f"{CELL}/RRMPolicyRatio[b]"
    tree: Tree = {
        both_ways: {"resourceType": "PRB", "rRMPolicyMinRatio": "30"},
        f"{both_ways}/rRMPolicyMemberList[716,06,0000A1,1]": {},
        f"{both_ways}/rRMPolicyMemberList[716,06,FFFFFF,2]": {},
        f"{both_ways}/rRMPolicyMemberList[716,15,0000A1,1]": {},
        one_way: {"resourceType": "PRB_DL", "rRMPolicyMinRatio": "30"},
    }
    both, down = (read_shares(tree)[path] for path in (both_ways, one_way))
    assert both.members == (("716-06", "1-0000A1"), ("716-06", "2"), ("716-15", "1-0000A1"))
    assert (both.plmns, both.guaranteed_prbs) == (("716-06", "716-15"), 30)
    assert (down.members, down.guaranteed_prbs) == ((), 0), "a share of one direction guarantees none of both"


def test_a_plmn_with_an_identity_of_its_own_is_no_broadcast_of_the_cells() -> None:
    cell = f"{LTE}/EUtranCellFDD[L1]"
    own = {"tac": "7", "cellId": "9"}
    rest: Tree = {f"{cell}/plmnIdList[716,10]": {}, f"{cell}/cellAccessInfoList[716,15]": own}
    (read,) = read_station(lte({}, rest)).cells
    assert list(read.broadcasts) == ["716-10"]
    assert read.own == {"716-15": OwnReading({"tac": "7", "cell_identity": "9"})}
    assert list(read.on_air) == ["716-10", "716-15"]


@pytest.mark.parametrize("odd", ["²", "9" * 400, "9" * 5000, "-" + "9" * 5000])
def test_a_number_that_can_not_be_read_hides_nothing_else(odd: str) -> None:
    lte, lte_cell = "/ManagedElement[S1]/ENBFunction[1]", "/ManagedElement[S1]/ENBFunction[1]/EUtranCellFDD[1]"
    sector = "/ManagedElement[S1]/GNBDUFunction[1]/NRSectorCarrier[1]"
    tree: Tree = {
        "/ManagedElement[S1]": {},
        lte: {},
        lte_cell: {"maximumTransmissionPower": odd, "partOfSectorPower": odd},
        DU: {},
        sector: {"configuredMaxTxPower": odd},
        CELL: {"nRSectorCarrierRef": "ManagedElement=S1,GNBDUFunction=1,NRSectorCarrier=1"},
        f"{CELL}/pLMNInfoList[716,06,0000A1,{odd}]": {},
        f"{CELL}/pLMNInfoList[716,06,0000A1,1]": {},
    }
    cells = {one.cell: one for one in read_station(tree).cells}
    assert cells["N1"].broadcasts == {"716-06": (Snssai(sst=1, sd="0000A1"),)}
    assert not any("max_tx_power_dbm" in one.fields for one in cells.values())
