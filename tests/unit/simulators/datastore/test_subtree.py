"""Subtree filters: each kind of RFC 6241 §6.2, and their union."""

from __future__ import annotations

from lxml import etree

from simulators.datastore import Config, State, load_schema
from tests.unit.simulators.datastore.documents import (
    CELL_DU,
    CELL_PATH,
    CUCP,
    DU,
    ELEMENT,
    ENB,
    EUTRAN,
    GNB,
    NETCONF,
    edit,
    element,
    gnb,
)


def both() -> Config:
    return gnb().edit(edit(ENB))


def selected(config: Config, content: str) -> etree._Element:
    document = element(f'<filter xmlns="{NETCONF}" type="subtree">{content}</filter>')
    return etree.fromstring(f"<data>{config.to_text(filter=document)}</data>")


def names(tree: etree._Element) -> list[str]:
    return [etree.QName(item).localname for item in tree.iter() if item is not tree]


def cells(content: str, function: str = "<id/>") -> str:
    return f"""<ManagedElement xmlns="{ELEMENT}"><GNBDUFunction xmlns="{DU}">{function}
      {content}</GNBDUFunction></ManagedElement>"""


def texts(tree: etree._Element, name: str) -> list[str | None]:
    return [item.text for item in tree.iter(f"{{*}}{name}")]


def test_no_filter_selects_all_and_an_empty_one_nothing() -> None:
    assert both().to_xml()[0].tag == f"{{{ELEMENT}}}ManagedElement"
    assert len(both().to_xml()) == 2
    assert names(selected(both(), "")) == []


def test_selection_of_a_whole_subtree() -> None:
    assert (
        Config.from_xml(load_schema(), etree.tostring(selected(gnb(), f'<ManagedElement xmlns="{ELEMENT}"/>')[0]))
        == gnb()
    )


def test_namespace_selection() -> None:
    assert names(selected(both(), '<ManagedElement xmlns="urn:nobody"/>')) == []
    tree = selected(both(), f'<ManagedElement xmlns="{ELEMENT}"><ENBFunction xmlns="{CUCP}"/></ManagedElement>')
    assert names(tree) == []
    tree = selected(
        both(), f'<ManagedElement xmlns="{ELEMENT}"><ENBFunction xmlns="{EUTRAN}"><id/></ENBFunction></ManagedElement>'
    )
    assert names(tree) == ["ManagedElement", "id", "ENBFunction", "id"]


def test_no_namespace_means_any() -> None:
    tree = selected(both(), '<ManagedElement xmlns=""><ENBFunction><id/></ENBFunction></ManagedElement>')
    assert names(tree) == ["ManagedElement", "id", "ENBFunction", "id"]


def test_attribute_match_never_holds_since_no_data_has_attributes() -> None:
    assert names(selected(gnb(), f'<ManagedElement xmlns="{ELEMENT}" colour="red"/>')) == []
    assert (
        texts(selected(gnb(), cells(f'<NRCellDU xmlns="{CELL_DU}"><id colour="red">n78-1</id></NRCellDU>')), "NRCellDU")
        == []
    )


def test_containment_and_selection_bring_keys_along() -> None:
    tree = selected(gnb(), cells(f'<NRCellDU xmlns="{CELL_DU}"><attributes><nRPCI/></attributes></NRCellDU>'))
    assert names(tree) == [
        *("ManagedElement", "id", "GNBDUFunction", "id"),
        *(["NRCellDU", "id", "attributes", "nRPCI"] * 2),
    ]


def test_containment_without_output_is_left_out() -> None:
    tree = selected(gnb(), cells(f'<NRCellDU xmlns="{CELL_DU}"><attributes><arfcnSUL/></attributes></NRCellDU>', ""))
    assert names(tree) == []


def test_content_match_on_a_key_selects_the_entry() -> None:
    tree = selected(gnb(), cells(f'<NRCellDU xmlns="{CELL_DU}"><id> n78-2 </id></NRCellDU>'))
    assert texts(tree, "cellLocalId") == ["2"]
    assert len(texts(tree, "RRMPolicyRatio")) == 2


def test_content_match_with_selection_returns_only_what_is_selected() -> None:
    content = f'<NRCellDU xmlns="{CELL_DU}"><id>n78-2</id><attributes><nRTAC/></attributes></NRCellDU>'
    tree = selected(gnb(), cells(content))
    assert names(tree)[-4:] == ["NRCellDU", "id", "attributes", "nRTAC"]
    assert texts(tree, "NRCellDU") == [None]


def test_content_match_on_another_leaf() -> None:
    content = '<NRCellDU xmlns="{}"><attributes><cellLocalId>{}</cellLocalId></attributes></NRCellDU>'
    tree = selected(gnb(), cells(content.format(CELL_DU, "02"), ""))
    assert texts(tree, "cellLocalId") == ["2"]
    assert texts(tree, "nRPCI") == ["101"]  # nothing but content matches: all siblings are wanted
    assert names(selected(gnb(), cells(content.format(CELL_DU, "3"), ""))) == []
    assert names(selected(gnb(), cells(content.format(CELL_DU, "none"), ""))) == []


def test_all_content_matches_must_hold() -> None:
    content = """<NRCellDU xmlns="{}"><attributes><cellLocalId>1</cellLocalId><nRTAC>{}</nRTAC><nRPCI/></attributes>
      </NRCellDU>"""
    assert texts(selected(gnb(), cells(content.format(CELL_DU, "4201"))), "nRPCI") == ["101"]
    assert names(selected(gnb(), cells(content.format(CELL_DU, "4202"), ""))) == []


def test_content_match_within_lists_of_lists() -> None:
    content = """<NRCellDU xmlns="{}"><id>n78-1</id><attributes><pLMNInfoList><mcc>716</mcc><mnc>{}</mnc>
      </pLMNInfoList></attributes></NRCellDU>"""
    tree = selected(gnb(), cells(content.format(CELL_DU, "06")))
    assert texts(tree, "mnc") == ["06"]
    assert texts(tree, "nRPCI") == []
    # A content match that holds is part of the output, even alone.
    tree = selected(gnb(), cells(content.format(CELL_DU, "99"), ""))
    assert names(tree) == ["ManagedElement", "id", "GNBDUFunction", "id", "NRCellDU", "id"]


def test_content_match_on_a_leaf_list() -> None:
    dn = "ManagedElement=PE-1,GNBDUFunction=1,NRSectorCarrier="
    content = (
        '<NRCellDU xmlns="{}"><attributes><nRSectorCarrierRef>{}</nRSectorCarrierRef><nRPCI/></attributes></NRCellDU>'
    )
    tree = selected(gnb(), cells(content.format(CELL_DU, dn + "1")))
    assert texts(tree, "nRSectorCarrierRef") == [dn + "1"] * 2
    assert texts(tree, "nRPCI") == ["101"] * 2
    assert texts(selected(gnb(), cells(content.format(CELL_DU, dn + "2"))), "NRCellDU") == []


def test_text_in_a_container_matches_nothing() -> None:
    assert names(selected(gnb(), f'<ManagedElement xmlns="{ELEMENT}">PE-1</ManagedElement>')) == []


def test_elements_in_a_leaf_match_nothing() -> None:
    content = f'<NRCellDU xmlns="{CELL_DU}"><attributes><nRPCI><x/></nRPCI></attributes></NRCellDU>'
    assert names(selected(gnb(), cells(content, ""))) == []


def test_siblings_of_one_name_are_united() -> None:
    content = f"""<NRCellDU xmlns="{CELL_DU}"><id>n78-1</id><attributes><nRPCI/></attributes></NRCellDU>
      <NRCellDU xmlns="{CELL_DU}"><id>n78-2</id><attributes><nRTAC/></attributes></NRCellDU>
      <NRCellDU xmlns="{CELL_DU}"><id>n78-1</id><attributes><nRTAC/></attributes></NRCellDU>"""
    tree = selected(gnb(), cells(content))
    assert len(texts(tree, "NRCellDU")) == 2
    assert texts(tree, "nRPCI") == ["101"]
    assert texts(tree, "nRTAC") == ["4201", "4201"]


def test_users_order_is_kept() -> None:
    tree = selected(
        gnb(), cells(f'<NRCellDU xmlns="{CELL_DU}"><id>n78-1</id><attributes><pLMNInfoList/></attributes></NRCellDU>')
    )
    assert texts(tree, "mnc") == ["10", "06"]


def test_state_and_defaults_are_filtered_too() -> None:
    schema = load_schema()
    config = Config.from_xml(schema, GNB.replace("<administrativeState>UNLOCKED</administrativeState>", "").encode())
    state = State.of(schema, {(*CELL_PATH, "attributes", "cellState"): "ACTIVE"})
    inner = "<attributes><administrativeState/><cellState/></attributes>"
    document = element(
        f'<filter xmlns="{NETCONF}">{cells(f"""<NRCellDU xmlns="{CELL_DU}">{inner}</NRCellDU>""", "")}</filter>'
    )
    text = config.to_text(filter=document, state=state, with_defaults="report-all")
    assert texts(etree.fromstring(f"<data>{text}</data>"), "administrativeState") == ["LOCKED", "LOCKED"]
    assert texts(etree.fromstring(f"<data>{text}</data>"), "cellState") == ["ACTIVE"]
    text = config.to_text(filter=document, state=state)
    assert texts(etree.fromstring(f"<data>{text}</data>"), "NRCellDU") == [None]
