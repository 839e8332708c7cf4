from __future__ import annotations

import pytest
from lxml import etree

from controller.drivers.netconf.codec import encode_edit
from controller.models.plan import Edit, Op
from controller.nrm import namespaces as ns
from controller.nrm.profiles import root_spec
from tests.unit.nrm.samples import BOTH, STATION

ROOT = root_spec(BOTH)
ELEMENT = f"/ManagedElement[{STATION}]"
ENB = f"{ELEMENT}/ENBFunction[1]"
FDD = f"{ENB}/EUtranCellFDD[B28-1]"
DU = f"{ELEMENT}/GNBDUFunction[1]/NRCellDU[n78-1]"
OPERATION = f"{{{ns.NETCONF}}}operation"


def edit(op: Op, path: str, *, after_sibling: str | None = None, **leaves: dict[str, str | tuple[str, ...]]) -> Edit:
    return Edit(op=op, path=path, owners=("host",), after_sibling=after_sibling, **leaves)


def operations(*edits: Edit) -> list[tuple[str, str, str | None]]:
    """Operation, element and text of every node that carries an operation."""
    config = encode_edit(ROOT, edits)
    marked = [node for node in config.iter() if OPERATION in node.attrib]
    return [(str(node.get(OPERATION)), etree.QName(node).localname, node.text) for node in marked]


def test_operations_stand_on_the_smallest_nodes_only() -> None:
    assert operations(
        edit(Op.MERGE, FDD, before={"tac": "1", "userLabel": "x"}, after={"tac": "2"}),
        edit(Op.CREATE, f"{FDD}/plmnIdList[716,15]"),
        edit(Op.DELETE, f"{FDD}/plmnRadioShareList[716,10]", before={"minRatio": "20"}),
    ) == [
        ("delete", "userLabel", "x"),
        ("merge", "tac", "2"),
        ("create", "plmnIdList", None),
        ("delete", "plmnRadioShareList", None),
    ]


def test_below_a_created_entry_everything_is_created_with_it() -> None:
    link = f"{ENB}/EP_S1C[x]"
    below = edit(Op.CREATE, f"{link}/localAddress[10.0.0.1,15]")
    assert operations(edit(Op.CREATE, link, after={"remoteAddress": "10.0.0.2"}), below) == [("create", "EP_S1C", None)]
    # The order of the edits does not matter for that.
    assert operations(below, edit(Op.CREATE, link)) == [("create", "EP_S1C", None)]


def test_below_a_deleted_entry_everything_is_gone() -> None:
    config = encode_edit(ROOT, [edit(Op.DELETE, f"{FDD}/plmnIdList[716,10]"), edit(Op.DELETE, FDD)])
    (cell,) = config.iter(f"{{{ns.EUTRAN}}}EUtranCellFDD")
    assert cell.get(OPERATION) == "delete"
    assert [etree.QName(node).localname for node in cell] == ["id"]


def test_leaf_lists_change_by_value() -> None:
    name = "nRSectorCarrierRef"
    assert operations(edit(Op.MERGE, DU, before={name: ("a", "b")}, after={name: ("b", "c")})) == [
        ("delete", name, "a"),
        ("merge", name, "c"),
    ]


def test_siblings_are_named_by_prefixed_keys_that_resolve() -> None:
    above = f"{DU}/pLMNInfoList[716,06,FFFFFF,1]"
    config = encode_edit(ROOT, [edit(Op.CREATE, f"{DU}/pLMNInfoList[716,15,0000D1,1]", after_sibling=above)])
    (entry,) = config.iter(f"{{{ns.NR_CELL_DU}}}pLMNInfoList")
    key = str(entry.get(f"{{{ns.YANG}}}key"))
    prefix = key[1 : key.index(":")]
    assert key == "".join(
        f"[{prefix}:{k}='{v}']" for k, v in zip(("mcc", "mnc", "sd", "sst"), ("716", "06", "FFFFFF", "1"), strict=True)
    )
    assert entry.nsmap[prefix] == ns.NR_CELL_DU
    assert entry.get(f"{{{ns.YANG}}}insert") == "after"


def test_a_key_with_an_apostrophe_is_quoted_otherwise() -> None:
    new, above = f"{FDD}/plmnIdList[716,15]", f"{FDD}/plmnIdList[716,10]"
    for written, quoted in (("10", "'10'"), ("'10", '"\'10"')):
        made = edit(Op.CREATE, new, after_sibling=above)
        (entry,) = encode_edit(ROOT, [made], {above: ("716", written)}).iter(f"{{{ns.EUTRAN}}}plmnIdList")
        assert str(entry.get(f"{{{ns.YANG}}}key")).endswith(f":mnc={quoted}]")


def test_first_place() -> None:
    config = encode_edit(ROOT, [edit(Op.CREATE, f"{FDD}/plmnIdList[716,15]", after_sibling="")])
    (entry,) = config.iter(f"{{{ns.EUTRAN}}}plmnIdList")
    assert entry.get(f"{{{ns.YANG}}}insert") == "first"


@pytest.mark.parametrize(
    "edits",
    [
        [edit(Op.MERGE, FDD, after={"tac": "1"}), edit(Op.MERGE, FDD, after={"pci": "1"})],
        [edit(Op.DELETE, FDD), edit(Op.CREATE, f"{FDD}/plmnIdList[716,15]")],
        [edit(Op.CREATE, FDD), edit(Op.DELETE, f"{FDD}/plmnIdList[716,15]")],
        [edit(Op.CREATE, FDD), edit(Op.MERGE, f"{FDD}/plmnRadioShareList[716,15]", after={"minRatio": "1"})],
        [edit(Op.MERGE, FDD, after={"nRPCI": "1"})],
        [edit(Op.CREATE, f"{FDD}/pLMNInfoList[716,15,FFFFFF,1]")],
        [edit(Op.CREATE, f"{FDD}/plmnIdList[716]")],
        [edit(Op.CREATE, "/SubNetwork[1]")],
        [edit(Op.CREATE, f"{FDD}/plmnRadioShareList[716,15]", after_sibling="")],
        [edit(Op.DELETE, f"{FDD}/plmnIdList[716,15]", after_sibling="")],
        [edit(Op.CREATE, f"{FDD}/plmnIdList[716,15]", after_sibling=f"{ENB}/EUtranCellFDD[2]/plmnIdList[716,10]")],
        [edit(Op.CREATE, f"{FDD}/plmnIdList[716,15]", after_sibling=f"{FDD}/plmnRadioShareList[716,10]")],
        [edit(Op.CREATE, f"{FDD}/plmnIdList[716,15]", after_sibling=f"{FDD}/aList[716,10]")],
    ],
)
def test_contradictions_and_what_no_schema_knows_are_refused(edits: list[Edit]) -> None:
    with pytest.raises(ValueError):
        encode_edit(ROOT, edits)
