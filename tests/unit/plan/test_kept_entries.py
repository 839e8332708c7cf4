"""What of ours has to stay because of others keeps what it can't be without: judged by the twin's YANG modules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from lxml import etree

from controller.models.plan import Change
from controller.nrm.apply import apply_edits
from controller.nrm.namespaces import NETCONF
from controller.nrm.profiles import Rendered, root_spec
from controller.nrm.schema import NodeSpec, list_of, spec_of
from controller.nrm.tree import Leaves, Path, Tree, name_of, parent
from controller.plan import StationView
from controller.plan.maintenance import removal_plan
from simulators.datastore import Config
from simulators.datastore.compiler import load_schema
from simulators.datastore.schema import Node
from tests.unit.nrm.lint import configuration
from tests.unit.plan.samples import (
    FREELY,
    LTE,
    LTE_CELL,
    NR_CELL,
    PROFILES,
    apply,
    ledger,
    network,
    only_change,
    plan,
    view,
)

ROOT = root_spec(PROFILES)
TWO, THREE = network(), network(("alfa", "beta", "gamma"))
ME = "/ManagedElement[S1]"
CU, UP = f"{ME}/GNBCUCPFunction[1]", f"{ME}/GNBCUUPFunction[1]"
CU_CELL = f"{CU}/NRCellCU[N1]"
CARRIER = f"{ME}/GNBDUFunction[1]/NRSectorCarrier[N1]"
LINK = f"{LTE}/EP_S1C[gamma-mme]"
PEERS: dict[Path, Leaves] = {
    path: leaves
    for end in (f"{LTE}/EP_X2C[S2.LTE]", f"{LTE}/EP_X2U[S2.LTE]", f"{CU}/EP_XnC[S2.NR]", f"{UP}/EP_XnU[S2.NR]")
    for path, leaves in ((end, {"remoteAddress": "10.0.0.2"}), (f"{end}/localAddress[10.0.0.1,7]", {}))
}


def _with_peers() -> StationView:
    """A station with ends of X2 and Xn, too, all of them ours."""
    before = view(THREE, edit=PEERS)
    host = next(entry for entry in before.ledger.values() if entry.owners == ("host",))
    known = {path: host.model_copy(update={"path": path, "leaves": leaves}) for path, leaves in PEERS.items()}
    return replace(before, ledger={**before.ledger, **known})


def _left(change: Change | None, before: StationView) -> Tree:
    assert change is not None
    assert before.observed
    tree = before.observed.tree
    for phase in change.phases:
        tree = apply_edits(ROOT, tree, phase.edits)
    return tree


def _check_by_modules(tree: Tree) -> None:
    """Have the twin check a tree as it checks what is committed, ``min-elements`` among the rest."""
    config = etree.Element(f"{{{NETCONF}}}config")
    config.append(
        configuration(
            PROFILES,
            Rendered({path: dict(leaves) for path, leaves in tree.items()}, dict.fromkeys(tree, ("host",)), ()),
        )
    )
    Config.from_xml(load_schema(), config).validate()


@pytest.mark.parametrize(
    "kept",
    [
        LTE,
        LTE_CELL,
        LINK,
        CU,
        CU_CELL,
        NR_CELL,
        f"{CU}/EP_NgC[gamma-amf]",
        f"{UP}/EP_NgU[gamma-upf]",
        f"{NR_CELL}/RRMPolicyRatio[gamma-prb]",
        *(path for path in PEERS if "localAddress" not in path),
    ],
)
def test_a_station_out_of_service_stays_valid_whatever_holds_something_of_others(kept: Path) -> None:
    before = _with_peers()
    assert before.observed
    seen = replace(before.observed, unknown=(f"{kept}/{{urn:vendor}}extra",))
    _check_by_modules(seen.tree)
    made = removal_plan("S1", PROFILES, seen, before.ledger)
    tree = _left(made.change, before)
    assert kept in tree
    _check_by_modules(tree)
    below = [path for path in tree if parent(path) == kept]
    assert len(below) == len({list_of(path) for path in below}), "no more than it needs"
    needed = [one.message for one in made.findings if " stays and has to have a " in one.message]
    assert len(needed) == sum(1 for path in tree if (spec := spec_of(ROOT, path)) and spec.minimum)


def test_a_link_that_holds_a_plmn_of_others_keeps_its_address_and_not_our_plmn() -> None:
    foreign, address = f"{LINK}/servedPlmnList[716,09]", f"{LINK}/localAddress[10.0.0.1,103]"
    before = view(THREE, edit={foreign: {}})
    count = sum("gamma" in entry.owners for entry in before.ledger.values()) - len((LINK, address))
    made = plan(TWO, {"S1": before}, replace(FREELY, remove={"gamma": count}))
    change = only_change(made)
    after = apply(TWO, change, before)
    assert after.observed
    _check_by_modules(after.observed.tree)
    assert [path for path in after.observed.tree if path.startswith(LINK)] == [LINK, address, foreign]
    assert {path for path, entry in after.ledger.items() if "gamma" in entry.owners} == {LINK, address}
    name = "local address and VLAN"
    assert [one.message for one in made.findings if one.code == "removal-blocked"] == [
        "S1: S1 link gamma-mme was not removed, since it holds 1 node that is not ours: served PLMN 716-09",
        f"S1: {name} 10.0.0.1 103 was not removed, since S1 link gamma-mme stays and has to have a {name}",
    ]
    assert "S1 link gamma-mme: served PLMN 716-03" in [row.what for row in change.diff]
    # Once the other PLMN is gone, all of it goes by name.
    assert after.observed
    alone = {path: leaves for path, leaves in after.observed.tree.items() if path != foreign}
    left = replace(after, observed=replace(after.observed, tree=alone))
    gone = apply(TWO, only_change(plan(TWO, {"S1": left}, replace(FREELY, remove={"gamma": 2}))), left)
    assert gone.observed
    assert LINK not in gone.observed.tree
    assert gone.ledger == ledger(TWO)


def test_a_share_with_a_member_of_others_loses_ours() -> None:
    share = f"{NR_CELL}/RRMPolicyRatio[gamma-prb]"
    foreign = f"{share}/rRMPolicyMemberList[716,09,FFFFFF,1]"
    before = view(THREE, edit={foreign: {}})
    count = sum("gamma" in entry.owners for entry in before.ledger.values()) - 1
    after = apply(TWO, only_change(plan(TWO, {"S1": before}, replace(FREELY, remove={"gamma": count}))), before)
    assert after.observed
    assert [path for path in after.observed.tree if path.startswith(share)] == [share, foreign]
    _check_by_modules(after.observed.tree)


def test_of_plmns_that_could_all_go_the_first_stays_in_a_cell_that_stays() -> None:
    before = _with_peers()
    assert before.observed
    seen = replace(before.observed, unknown=(f"{LTE_CELL}/{{urn:vendor}}extra",))
    tree = _left(removal_plan("S1", PROFILES, seen, before.ledger).change, before)
    assert [path for path in tree if parent(path) == LTE_CELL] == [f"{LTE_CELL}/plmnIdList[716,01]"]


def test_a_carrier_stays_with_a_cell_that_stays() -> None:
    names_it = {NR_CELL: {"nRSectorCarrierRef": (name_of(CARRIER),)}}
    foreign = f"{NR_CELL}/pLMNInfoList[716,09,FFFFFF,1]"
    before = view(THREE, edit={**names_it, foreign: {}})
    assert before.observed
    tree = _left(removal_plan("S1", PROFILES, before.observed, before.ledger).change, before)
    assert {NR_CELL, CARRIER, foreign} <= tree.keys()
    assert CU_CELL not in tree
    alone = view(THREE, edit=names_it)
    assert alone.observed
    assert CARRIER not in _left(removal_plan("S1", PROFILES, alone.observed, alone.ledger).change, alone)


def _nodes(spec: NodeSpec, node: Node) -> Iterator[tuple[NodeSpec, Node]]:
    yield spec, node
    attributes = node.by_name.get("attributes", node)
    for child in spec.children:
        yield from _nodes(child, (attributes if child.in_attributes else node).by_name[child.name])


def test_profiles_and_the_twins_modules_say_alike_how_many_entries_a_list_needs() -> None:
    top = load_schema().root.by_name
    found = [pair for one in (ROOT, *ROOT.beside) for pair in _nodes(one, top[one.name])]
    assert {node.tag: spec.minimum for spec, node in found} == {node.tag: node.min_elements for spec, node in found}
    assert any(spec.minimum for spec, _ in found)
