from __future__ import annotations

import pytest

from controller.models.facts import LinkKind
from controller.models.network import Rat
from controller.nrm.profiles import (
    CellEntry,
    administrative_state,
    broadcast_plmn,
    cell_of,
    cells,
    link_of,
    link_up,
    links,
    on_air,
    render,
)
from controller.nrm.tree import Observed
from tests.unit.nrm import samples
from tests.unit.nrm.samples import BOTH, LTE_CELLS, NR_CELLS, STATION

ELEMENT = f"/ManagedElement[{STATION}]"
FDD = f"{ELEMENT}/ENBFunction[1]/EUtranCellFDD[B28-1]"
DU = f"{ELEMENT}/GNBDUFunction[1]/NRCellDU[n78-1]"
CU = f"{ELEMENT}/GNBCUCPFunction[1]/NRCellCU[n78-1]"
S1C = f"{ELEMENT}/ENBFunction[1]/EP_S1C[claro-s1c-lima]"


def test_cells_of_a_tree() -> None:
    tree = render(BOTH, samples.station_facts(LTE_CELLS[:1] + NR_CELLS[:1])).tree
    assert cells(tree) == (CellEntry(FDD, "B28-1", Rat.LTE), CellEntry(DU, "n78-1", Rat.NR))


def test_links_of_a_tree() -> None:
    tree = render(BOTH, samples.station_facts(LTE_CELLS[:1] + NR_CELLS[:1], ("claro",))).tree
    found = {(link.kind, link.id, link.plmns) for link in links(tree)}
    assert found == {
        (LinkKind.S1C, "claro-s1c-lima", ("716-10",)),
        (LinkKind.NGC, "claro-ngc-lima", ()),
        (LinkKind.NGU, "claro-ngu-lima", ()),
    }
    assert all(link_of(link.path) == link.path for link in links(tree))


@pytest.mark.parametrize(
    ("path", "cell"),
    [
        (FDD, "B28-1"),
        (f"{FDD}/plmnIdList[716,15]", "B28-1"),
        (f"{DU}/RRMPolicyRatio[bitel-prb]/rRMPolicyMemberList[716,15,FFFFFF,1]", "n78-1"),
        (f"{CU}/pLMNInfoList[716,15,FFFFFF,1]", "n78-1"),
        (S1C, ""),
        (ELEMENT, ""),
    ],
)
def test_cell_that_an_entry_concerns(path: str, cell: str) -> None:
    assert cell_of(path) == cell


def test_link_that_an_entry_belongs_to() -> None:
    assert link_of(f"{S1C}/servedPlmnList[716,10]") == S1C
    assert link_of(f"{FDD}/plmnIdList[716,10]") == ""


@pytest.mark.parametrize(
    ("path", "plmn"),
    [
        (f"{FDD}/plmnIdList[716,15]", "716-15"),
        (f"{FDD}/cellAccessInfoList[716,15]", "716-15"),
        (f"{DU}/pLMNInfoList[716,15,FFFFFF,1]", "716-15"),
        (f"{ELEMENT}/GNBCUUPFunction[1]/pLMNInfoList[716,15,FFFFFF,1]", ""),
        (f"{FDD}/plmnRadioShareList[716,15]", ""),
        (f"{S1C}/servedPlmnList[716,15]", ""),
        (FDD, ""),
    ],
)
def test_plmn_that_an_entry_puts_on_air(path: str, plmn: str) -> None:
    assert broadcast_plmn(path) == plmn


SERVING = {"operationalState": "ENABLED", "cellState": "ACTIVE"}


@pytest.mark.parametrize(
    ("leaves", "state", "expected"),
    [
        ({"administrativeState": "UNLOCKED"}, SERVING, True),
        ({}, SERVING, False),
        ({"administrativeState": "SHUTTINGDOWN"}, SERVING, False),
        ({"administrativeState": "UNLOCKED"}, {**SERVING, "operationalState": "DISABLED"}, False),
        ({"administrativeState": "UNLOCKED"}, {**SERVING, "cellState": "INACTIVE"}, False),
        ({"administrativeState": "UNLOCKED"}, {}, False),
    ],
)
def test_on_air_is_unlocked_enabled_and_active(leaves: dict[str, str], state: dict[str, str], expected: bool) -> None:
    assert on_air(Observed({DU: leaves}, {DU: state}), DU) is expected
    assert on_air(Observed({}, {DU: state}), DU) is False


def test_a_cell_without_administrative_state_is_locked() -> None:
    assert administrative_state({DU: {}}, DU) == "LOCKED"
    assert administrative_state({DU: {"administrativeState": "UNLOCKED"}}, DU) == "UNLOCKED"


def test_link_is_up_when_enabled() -> None:
    assert link_up(Observed({}, {S1C: {"operationalState": "ENABLED"}}), S1C)
    assert not link_up(Observed({}, {S1C: {"operationalState": "DISABLED"}}), S1C)
    assert not link_up(Observed({}), S1C)
