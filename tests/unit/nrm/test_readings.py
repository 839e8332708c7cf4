"""What a station's tree says in the words of network files."""

from __future__ import annotations

from controller.models.facts import Fact
from controller.models.network import ResourceType, Snssai
from controller.nrm.profiles import render
from controller.nrm.profiles.readings import read_station
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
