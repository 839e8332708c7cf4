"""What a station's tree says in the words of network files."""

from __future__ import annotations

from controller.models.network import Snssai
from controller.nrm.profiles.readings import read_station
from controller.nrm.tree import Tree

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
