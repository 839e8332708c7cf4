"""TS 32.130 (network sharing; concepts and requirements), one case a requirement, on simulated stations.

The numbers are those of Release 17; docs/reference/ts-32-130.md has all requirements with their clauses.
POP, MOP: participating and master operator, here tenant and host.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.conformance.ts_32_130.conftest import Command, nodes
from tests.support.minka import Embedded

#: PLMNs by tenant.
PLMNS = {"andes": "999-01", "condor": "999-02", "vicuna": "999-03"}


def shared(up: Embedded, selector: str = "*") -> dict[str, dict[str, list[str]]]:
    """What the controller says of each cell: PLMNs by tenant that are agreed and configured."""
    return {
        f"{cell['station']}/{cell['cell']}": {
            one["tenant"]: one["configured"] for one in cell["tenants"] if one["agreed"] == one["configured"]
        }
        for cell in up("network", "sharing", selector, "--json").json
    }


def on_air(up: Embedded, station: str) -> set[str]:
    """PLMNs that a station broadcasts in any of its cells, as it says itself."""
    paths = [*nodes(up, station, "plmnIdList["), *nodes(up, station, "cellAccessInfoList[")]
    paths += [path for path in nodes(up, station, "/pLMNInfoList[") if "CellDU[" in path]
    return {plmn_of(path) for path in paths}


def plmn_of(path: str) -> str:
    """The PLMN in the keys of a node."""
    return "-".join(path.rpartition("[")[2].rstrip("]").split(",")[:2])


def far_ends(up: Embedded, station: str, kind: str) -> dict[str, str]:
    """Addresses of the core nodes that end points of a class lead to, by path."""
    found = nodes(up, station, f"/{kind}[").items()
    return {path: leaves["remoteAddress"] for path, leaves in found if "remoteAddress" in leaves}


def test_gen_con_1_lte_and_nr_are_managed(host: Embedded) -> None:
    """REQ-NS_GEN-CON-1 (5.1.1), E-UTRAN and NG-RAN; GERAN and UTRAN are not."""
    cells = {(cell["station"], cell["rat"]) for cell in host("network", "sharing", "--json").json}
    assert {rat for _, rat in cells} == {"LTE", "NR"}
    assert on_air(host, "T-LTE-1")
    assert on_air(host, "T-NR-1")


def test_gen_con_2_several_core_networks_share_a_carrier(host: Embedded) -> None:
    """REQ-NS_GEN-CON-2 (5.1.1), MOCN: one cell broadcasts the PLMNs of its POPs, each linked to its own core."""
    assert on_air(host, "T-LTE-1") == {PLMNS["andes"], PLMNS["condor"]}
    assert set(far_ends(host, "T-LTE-1", "EP_S1C").values()) == {"10.41.0.1", "10.41.0.2", "10.42.0.1"}


def test_gen_con_3_whose_the_resources_are_is_known(host: Embedded) -> None:
    """REQ-NS_GEN-CON-3 (5.1.1), REQ-NS_GEN-FUN-2 (6.1): who shares each cell is told, and is what the stations say."""
    puno, cusco = PLMNS, {tenant: plmn for tenant, plmn in PLMNS.items() if tenant != "vicuna"}
    listed = shared(host)
    assert {cell: sorted(tenants) for cell, tenants in listed.items()} == {
        **dict.fromkeys(("T-LTE-1/1", "T-LTE-1/2", "T-LTE-2/1"), sorted(cusco)),
        **dict.fromkeys(("T-NR-1/n78-1", "T-BOTH-1/1", "T-BOTH-1/n78-1"), sorted(puno)),
    }
    for station in ("T-LTE-1", "T-LTE-2", "T-NR-1", "T-BOTH-1"):
        said = {
            plmn
            for cell, tenants in listed.items()
            if cell.startswith(f"{station}/")
            for plmns in tenants.values()
            for plmn in plmns
        }
        assert said == on_air(host, station)


def test_gen_con_4_who_shares_each_cell_is_configured(host: Embedded, network: Path) -> None:
    """REQ-NS_GEN-CON-4 (5.1.1), REQ-NS_GEN-FUN-1 (6.1): a POP joins the cells of its agreement, and no others."""
    agreements = network / "agreements.yaml"
    agreements.write_text(agreements.read_text().replace("regions: [puno]", "regions: [puno], sites: [ollanta, pisac]"))
    host("network", "load", str(network), "--endpoints", str(host.endpoints))
    others = nodes(host, "T-BOTH-1", "/"), nodes(host, "T-NR-1", "/")
    plan = host("plan", "--json", "--expect", "2").json
    assert host("apply", plan["id"], "--reason", "vicuna comes to Cusco", "--json").json["state"] == "succeeded"
    for station in ("T-LTE-1", "T-LTE-2"):
        assert shared(host)[f"{station}/1"] == {tenant: [plmn] for tenant, plmn in PLMNS.items()}
        assert on_air(host, station) == set(PLMNS.values())
    assert (nodes(host, "T-BOTH-1", "/"), nodes(host, "T-NR-1", "/")) == others


def test_gen_con_4_a_participant_sees_itself_alone(participant: Callable[[str], Command]) -> None:
    """Annex A, and 4.2: what each POP is told is its own; who else shares a cell is the MOP's to know."""
    cells = participant("condor")("network", "sharing", "--json").json
    assert {one["tenant"] for cell in cells for one in cell["tenants"]} == {"condor"}
    assert len(cells) == 6


def test_mocn_same_cell_id_cfg_1_each_participant_has_its_own_end_points(host: Embedded) -> None:
    """Req-MOCN_SameCellId_Cfg-CON-1 (5.1.4, 7.1): EP_NgC and EP_NgU of each POP below the shared functions."""
    for kind, third in (("EP_NgC", 1), ("EP_NgU", 2)):
        ends = far_ends(host, "T-NR-1", kind)
        assert sorted(ends.values()) == [f"10.4{n}.{third}.1" for n in (1, 2, 3)]
        assert len({path.rpartition("/")[0] for path in ends}) == 1


def test_mocn_same_cell_id_cfg_2_both_halves_of_the_cell_carry_each_plmn(host: Embedded) -> None:
    """Req-MOCN_SameCellId_Cfg-CON-2 (5.1.4, 7.1): pLMNInfoList of NRCellDU and NRCellCU has the PLMNs of all POPs.

    The POP with an identity of its own has its PLMN in a cell of its own at the DU.
    """
    entries = nodes(host, "T-NR-1", "/pLMNInfoList[")
    found = {half: {plmn_of(path) for path in entries if f"/{half}[" in path} for half in ("NRCellDU", "NRCellCU")}
    assert found == {"NRCellDU": {PLMNS["andes"], PLMNS["condor"]}, "NRCellCU": set(PLMNS.values())}


def test_mocn_multiple_cell_ids_a_participant_has_its_own_tac_and_identity(host: Embedded) -> None:
    """5.1.5, 7.2: OperatorDU and NROperatorCellDU of a POP on NR; cellAccessInfoList on LTE (TS 28.658)."""
    cells = {
        path: leaves for path, leaves in nodes(host, "T-BOTH-1", "/NROperatorCellDU[").items() if "nRTAC" in leaves
    }
    ((path, leaves),) = cells.items()
    assert "/OperatorDU[vicuna]/" in path
    assert (leaves["nRTAC"], leaves["gNBId"], leaves["cellLocalId"]) == ("7002", "9004", "1")
    assert {plmn_of(one) for one in nodes(host, "T-BOTH-1", f"{path}/pLMNInfoList[")} == {PLMNS["vicuna"]}
    (lte,) = nodes(host, "T-BOTH-1", "/cellAccessInfoList[").items()
    assert (plmn_of(lte[0]), lte[1]["tac"], lte[1]["cellId"]) == (PLMNS["vicuna"], "702", str((9004 << 8) + 1))


def test_mocn_multiple_cell_ids_are_reported_to_the_participant_alone(participant: Callable[[str], Command]) -> None:
    """5.1.5: a POP's plan of tracking areas and node ids is its own."""
    own = participant("vicuna")("network", "show", "own_cells", "--json").json
    assert {(one["tac"], one["node_id"]) for one in own} == {(7001, 9003), (702, 9004), (7002, 9004)}
    assert participant("condor")("network", "show", "own_cells", "--json").json == []
