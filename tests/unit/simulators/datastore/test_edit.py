"""edit-config: what each operation does, and what each error says."""

from __future__ import annotations

import pytest
from lxml import etree

from simulators.datastore import Config, RpcError
from tests.unit.simulators.datastore.documents import (
    CELL_DU,
    CELL_PATH,
    DU,
    ELEMENT,
    ENB,
    EUTRAN,
    GNB_PATH,
    NETCONF,
    cell_edit,
    edit,
    enb,
    gnb,
    lte_edit,
    plmns,
    slice_info,
)

PREDICATES = "[nrcelldu3gpp:mcc='716'][nrcelldu3gpp:mnc='{}'][nrcelldu3gpp:sd='FFFFFF'][nrcelldu3gpp:sst='1']"
CELL_XPATH = (
    "/me3gpp:ManagedElement[me3gpp:id='PE-1']/gnbdu3gpp:GNBDUFunction[gnbdu3gpp:id='1']"
    "/nrcelldu3gpp:NRCellDU[nrcelldu3gpp:id='n78-1']/nrcelldu3gpp:attributes"
)


def leaf(config: Config, name: str) -> str | None:
    cell = config.get((*CELL_PATH, "attributes"))
    assert cell is not None
    return cell.leaf(name)


def refused(config: Config, document: etree._Element, default_operation: str = "merge") -> RpcError:
    before = config.to_text()
    with pytest.raises(RpcError) as caught:
        config.edit(document, default_operation)
    assert config.to_text() == before
    return caught.value


class TestOperations:
    def test_merge_sets_and_keeps(self) -> None:
        after = gnb().edit(cell_edit("<nRPCI>7</nRPCI>"))
        assert (leaf(after, "nRPCI"), leaf(after, "nRTAC")) == ("7", "4201")

    def test_merge_of_what_is_there_is_the_same_configuration(self) -> None:
        config = gnb()
        assert config.edit(cell_edit("<nRPCI>0101</nRPCI>")) is config

    def test_unchanged_parts_are_shared(self) -> None:
        before = gnb()
        after = before.edit(cell_edit("<nRPCI>7</nRPCI>"))
        other = (*GNB_PATH, ("NRCellDU", "n78-2"))
        a, b = before.get(other), after.get(other)
        assert a is not None
        assert b is not None
        assert a.branch is b.branch

    def test_replace_of_a_list_entry_drops_the_rest_of_it(self) -> None:
        after = gnb().edit(cell_edit("<nRPCI>7</nRPCI>", attributes='nc:operation="replace"'), "none")
        cell = after.get(CELL_PATH)
        assert cell is not None
        assert cell.leaf("id") == "n78-1"
        assert (leaf(after, "nRPCI"), leaf(after, "nRTAC")) == ("7", None)
        assert list(cell.entries("RRMPolicyRatio")) == []

    def test_replace_of_a_container_drops_its_children(self) -> None:
        content = f"""<ManagedElement xmlns="{ELEMENT}"><id>PE-1</id>
          <attributes nc:operation="replace"><priorityLabel>3</priorityLabel></attributes></ManagedElement>"""
        top = gnb().edit(edit(content), "none").get((("ManagedElement", "PE-1"), "attributes"))
        assert top is not None
        assert (top.leaf("priorityLabel"), top.leaf("dnPrefix")) == ("3", None)

    def test_default_replace_replaces_everything(self) -> None:
        assert gnb().edit(edit(ENB), "replace") == enb()
        assert gnb().edit(edit(""), "replace") == Config.empty(gnb().schema)

    def test_create_and_delete_of_an_entry(self) -> None:
        created = gnb().edit(cell_edit(slice_info("pLMNInfoList", "15", "0000d1", 'nc:operation="create"')), "none")
        assert plmns(created) == ["10", "06", "15"]
        document = cell_edit(slice_info("pLMNInfoList", "15", "0000d1", 'nc:operation="delete"'))
        assert created.edit(document, "none") == gnb()

    def test_sd_is_text_so_case_matters(self) -> None:
        created = gnb().edit(cell_edit(slice_info("pLMNInfoList", "15", "0000d1", 'nc:operation="create"')), "none")
        document = cell_edit(slice_info("pLMNInfoList", "15", "0000D1", 'nc:operation="delete"'))
        assert refused(created, document, "none").tag == "data-missing"

    def test_delete_of_a_leaf_returns_it_to_its_default(self) -> None:
        after = gnb().edit(cell_edit('<administrativeState nc:operation="delete"/>'), "none")
        assert leaf(after, "administrativeState") == "LOCKED"
        assert "<administrativeState>" not in after.to_text().split("n78-2")[0]

    def test_remove_of_what_is_absent_is_no_error(self) -> None:
        config = gnb()
        document = cell_edit(slice_info("pLMNInfoList", "99", attributes='nc:operation="remove"'))
        assert config.edit(document, "none") is config
        assert leaf(config.edit(cell_edit('<nRTAC nc:operation="remove"/>'), "none"), "nRTAC") is None

    def test_delete_of_a_whole_cell(self) -> None:
        after = gnb().edit(cell_edit("", attributes='nc:operation="delete"'), "none")
        assert after.get(CELL_PATH) is None
        assert after.get((*GNB_PATH, ("NRCellDU", "n78-2"))) is not None

    def test_none_changes_nothing_by_itself(self) -> None:
        config = gnb()
        assert config.edit(cell_edit("<nRPCI>7</nRPCI>"), "none") is config

    def test_an_inner_operation_overrides_the_outer_one(self) -> None:
        document = cell_edit('<nRPCI>7</nRPCI><nRTAC nc:operation="remove"/>', attributes='nc:operation="merge"')
        after = gnb().edit(document, "none")
        assert (leaf(after, "nRPCI"), leaf(after, "nRTAC")) == ("7", None)

    def test_the_system_keeps_its_lists_sorted(self) -> None:
        document = """<NRCellCU xmlns="urn:3gpp:sa5:_3gpp-nr-nrm-nrcellcu"><id>{}</id></NRCellCU>"""
        wrap = """<ManagedElement xmlns="urn:3gpp:sa5:_3gpp-common-managed-element"><id>PE-1</id>
          <GNBCUCPFunction xmlns="urn:3gpp:sa5:_3gpp-nr-nrm-gnbcucpfunction"><id>1</id>{}</GNBCUCPFunction>
          </ManagedElement>"""
        config = gnb()
        for name in ("n78-3", "n28-1", "n78-11"):
            config = config.edit(edit(wrap.format(document.format(name))))
        function = config.get((("ManagedElement", "PE-1"), ("GNBCUCPFunction", "1")))
        assert function is not None
        assert [cell.keys[0] for cell in function.entries("NRCellCU")] == ["n28-1", "n78-1", "n78-11", "n78-2", "n78-3"]

    def test_leaf_list_values(self) -> None:
        dn = "ManagedElement=PE-1,GNBDUFunction=1,NRSectorCarrier="
        both = gnb().edit(cell_edit(f"<nRSectorCarrierRef>{dn}0</nRSectorCarrierRef>"))
        cell = both.get((*CELL_PATH, "attributes"))
        assert cell is not None
        assert cell.leaves("nRSectorCarrierRef") == (f"{dn}0", f"{dn}1")
        document = cell_edit(f'<nRSectorCarrierRef nc:operation="delete">{dn}0</nRSectorCarrierRef>')
        assert both.edit(document, "none") == gnb()
        assert refused(gnb(), document, "none").tag == "data-missing"
        again = cell_edit(f'<nRSectorCarrierRef nc:operation="create">{dn}1</nRSectorCarrierRef>')
        assert refused(gnb(), again, "none").tag == "data-exists"

    def test_a_container_that_holds_nothing_is_none(self) -> None:
        bare = Config.from_xml(gnb().schema, f'<ManagedElement xmlns="{ELEMENT}"><id>X</id></ManagedElement>'.encode())
        document = edit(f'<ManagedElement xmlns="{ELEMENT}"><id>X</id><attributes/></ManagedElement>')
        assert bare.edit(document) == bare

    def test_none_passes_through_a_container_that_holds_nothing(self) -> None:
        bare = Config.from_xml(gnb().schema, f'<ManagedElement xmlns="{ELEMENT}"><id>X</id></ManagedElement>'.encode())
        label = '<attributes><userLabel nc:operation="create">a</userLabel></attributes>'
        after = bare.edit(edit(f'<ManagedElement xmlns="{ELEMENT}"><id>X</id>{label}</ManagedElement>'), "none")
        assert "<attributes><userLabel>a</userLabel></attributes>" in after.to_text()

    def test_a_value_tagged_as_default_is_not_set(self) -> None:
        after = gnb().edit(cell_edit('<administrativeState wd:default="true">LOCKED</administrativeState>'))
        assert "<administrativeState>" not in after.to_text().split("n78-2")[0]
        for value in ("maybe", "", "TRUE"):
            error = refused(gnb(), cell_edit(f'<administrativeState wd:default="{value}">LOCKED</administrativeState>'))
            assert (error.tag, error.info["bad-attribute"]) == ("bad-attribute", "default")
        error = refused(gnb(), cell_edit('<administrativeState wd:default="true">UNLOCKED</administrativeState>'))
        assert error.tag == "invalid-value"

    def test_comments_are_nothing(self) -> None:
        after = gnb().edit(cell_edit("<!-- why --><nRPCI><!-- a -->7<!-- b --></nRPCI>"))
        assert leaf(after, "nRPCI") == "7"


class TestErrors:
    def test_data_exists(self) -> None:
        document = cell_edit(slice_info("pLMNInfoList", "06", attributes='nc:operation="create"'))
        error = refused(gnb(), document, "none")
        assert (error.tag, error.type, error.severity) == ("data-exists", "application", "error")
        assert error.path == CELL_XPATH + "/nrcelldu3gpp:pLMNInfoList" + PREDICATES.format("06")
        assert error.namespaces["nrcelldu3gpp"] == CELL_DU

    @pytest.mark.parametrize(
        "content",
        [
            '<nRTAC nc:operation="create">1</nRTAC>',
            '<nRTAC nc:operation="create">4201</nRTAC>',
        ],
    )
    def test_data_exists_for_a_leaf(self, content: str) -> None:
        assert refused(gnb(), cell_edit(content), "none").path == CELL_XPATH + "/nrcelldu3gpp:nRTAC"

    def test_data_exists_for_a_container(self) -> None:
        content = '<attributes nc:operation="create"><priorityLabel>1</priorityLabel></attributes>'
        document = edit(f'<ManagedElement xmlns="{ELEMENT}"><id>PE-1</id>{content}</ManagedElement>')
        assert refused(gnb(), document, "none").tag == "data-exists"

    @pytest.mark.parametrize(
        ("content", "tail"),
        [
            ('<arfcnSUL nc:operation="delete"/>', "/nrcelldu3gpp:arfcnSUL"),
            ("<arfcnSUL>1</arfcnSUL>", "/nrcelldu3gpp:arfcnSUL"),
            (
                slice_info("pLMNInfoList", "99", attributes='nc:operation="delete"'),
                "/nrcelldu3gpp:pLMNInfoList" + PREDICATES.format("99"),
            ),
            (slice_info("pLMNInfoList", "99"), "/nrcelldu3gpp:pLMNInfoList" + PREDICATES.format("99")),
        ],
    )
    def test_data_missing(self, content: str, tail: str) -> None:
        error = refused(gnb(), cell_edit(content), "none")
        assert (error.tag, error.path) == ("data-missing", CELL_XPATH + tail)

    def test_data_missing_for_a_container(self) -> None:
        content = '<attributes nc:operation="delete"/>'
        document = edit(f'<ManagedElement xmlns="{ELEMENT}"><id>PE-1</id>{content}</ManagedElement>')
        after = gnb().edit(document, "none")
        assert refused(after, document, "none").tag == "data-missing"

    def test_keys_with_quotes_in_paths(self) -> None:
        document = edit(f'<ManagedElement xmlns="{ELEMENT}" nc:operation="delete"><id>it\'s</id></ManagedElement>')
        assert refused(gnb(), document).path == '/me3gpp:ManagedElement[me3gpp:id="it\'s"]'

    def test_unknown_element(self) -> None:
        error = refused(gnb(), cell_edit("<pLMNInfolist/>"))
        assert (error.tag, error.info, error.path) == ("unknown-element", {"bad-element": "pLMNInfolist"}, CELL_XPATH)

    def test_unknown_element_where_the_namespace_is_that_of_another_module(self) -> None:
        error = refused(gnb(), cell_edit(f'<nRPCI xmlns="{DU}">7</nRPCI>'))
        assert (error.tag, error.info) == ("unknown-element", {"bad-element": "nRPCI"})

    def test_unknown_element_within_what_is_deleted(self) -> None:
        assert refused(gnb(), cell_edit("<x/>", attributes='nc:operation="delete"'), "none").tag == "unknown-element"

    def test_state_can_not_be_configured(self) -> None:
        error = refused(gnb(), cell_edit("<cellState>ACTIVE</cellState>"))
        assert (error.tag, error.info) == ("unknown-element", {"bad-element": "cellState"})
        assert "state" in error.message

    def test_unknown_namespace(self) -> None:
        error = refused(gnb(), edit('<ManagedElement xmlns="urn:nobody"><id>1</id></ManagedElement>'))
        assert (error.tag, error.info, error.path) == (
            "unknown-namespace",
            {"bad-element": "ManagedElement", "bad-namespace": "urn:nobody"},
            None,
        )

    def test_missing_key(self) -> None:
        error = refused(gnb(), cell_edit("<pLMNInfoList><mcc>716</mcc><mnc>10</mnc><sst>1</sst></pLMNInfoList>"))
        assert (error.tag, error.info) == ("missing-element", {"bad-element": "sd"})
        assert error.path == CELL_XPATH + "/nrcelldu3gpp:pLMNInfoList"

    @pytest.mark.parametrize(
        ("content", "name"),
        [
            ("<nRPCI>1008</nRPCI>", "nRPCI"),
            ("<nRPCI>-1</nRPCI>", "nRPCI"),
            ("<nRPCI/>", "nRPCI"),
            ("<nRPCI>x</nRPCI>", "nRPCI"),
            ("<administrativeState>unlocked</administrativeState>", "administrativeState"),
            ("<ssbPeriodicity>21</ssbPeriodicity>", "ssbPeriodicity"),
            ("<nRSectorCarrierRef>nonsense</nRSectorCarrierRef>", "nRSectorCarrierRef"),
            (slice_info("pLMNInfoList", "1"), "mnc"),
            (slice_info("pLMNInfoList", "10", "FFFFF"), "sd"),
            (slice_info("pLMNInfoList", "10", "GGGGGG"), "sd"),
        ],
    )
    def test_invalid_value(self, content: str, name: str) -> None:
        error = refused(gnb(), cell_edit(content))
        assert (error.tag, error.info) == ("invalid-value", {"bad-element": name})
        assert error.path is not None
        assert error.path.endswith(f":{name}")

    def test_bad_element_where_a_leaf_holds_elements(self) -> None:
        error = refused(gnb(), cell_edit("<nRPCI><value>7</value></nRPCI>"))
        assert (error.tag, error.info) == ("bad-element", {"bad-element": "nRPCI"})

    def test_bad_element_where_a_container_holds_text(self) -> None:
        error = refused(gnb(), cell_edit("locked"))
        assert (error.tag, error.info, error.path) == ("bad-element", {"bad-element": "attributes"}, CELL_XPATH)

    @pytest.mark.parametrize("operation", ["none", "update", ""])
    def test_bad_attribute(self, operation: str) -> None:
        error = refused(gnb(), cell_edit(f'<nRPCI nc:operation="{operation}">7</nRPCI>'))
        assert (error.tag, error.type) == ("bad-attribute", "protocol")
        assert error.info == {"bad-attribute": "operation", "bad-element": "nRPCI"}

    @pytest.mark.parametrize("attribute", ['operation="delete"', 'yang:insert="first"', 'colour="red"'])
    def test_unknown_attribute(self, attribute: str) -> None:
        error = refused(gnb(), cell_edit(f"<nRPCI {attribute}>7</nRPCI>"))
        assert (error.tag, error.type) == ("unknown-attribute", "protocol")
        assert error.info["bad-element"] == "nRPCI"

    def test_unknown_default_operation(self) -> None:
        assert refused(gnb(), edit(""), "create").tag == "invalid-value"

    def test_the_element_has_the_order_of_the_standard(self) -> None:
        error = refused(gnb(), cell_edit("<nRPCI>1008</nRPCI>")).to_element()
        names = [etree.QName(child).localname for child in error]
        assert names == ["error-type", "error-tag", "error-severity", "error-path", "error-message", "error-info"]
        path = error.find(f"{{{NETCONF}}}error-path")
        assert path is not None
        tree = etree.fromstring(f"<data>{gnb().to_text()}</data>")
        namespaces = {str(prefix): uri for prefix, uri in path.nsmap.items() if prefix}
        assert tree.xpath(f"string(.{path.text})", namespaces=namespaces) == "101"

    def test_a_key_can_not_be_taken_from_its_entry(self) -> None:
        content = slice_info("pLMNInfoList", "10").replace("<sst>", '<sst nc:operation="delete">')
        error = refused(gnb(), cell_edit(content))
        assert (error.tag, error.info) == ("bad-attribute", {"bad-attribute": "operation", "bad-element": "sst"})
        content = slice_info("pLMNInfoList", "10").replace("<sst>", '<sst colour="red">')
        assert refused(gnb(), cell_edit(content)).tag == "unknown-attribute"


class TestOrderOfUsers:
    def insert(self, mnc: str, attributes: str) -> etree._Element:
        return cell_edit(slice_info("pLMNInfoList", mnc, attributes=attributes))

    KEY = "[d:mcc='716'][d:mnc='{}'][d:sd=&quot;FFFFFF&quot;][d:sst='1']"

    @pytest.mark.parametrize(
        ("where", "order"),
        [
            ('yang:insert="first"', ["15", "10", "06"]),
            ('yang:insert="last"', ["10", "06", "15"]),
            (f'yang:insert="before" yang:key="{KEY.format("06")}"', ["10", "15", "06"]),
            (f'yang:insert="after" yang:key="{KEY.format("10")}"', ["10", "15", "06"]),
            (f'yang:insert="after" yang:key="{KEY.format("06")}"', ["10", "06", "15"]),
            ("", ["10", "06", "15"]),
        ],
    )
    def test_a_new_entry(self, where: str, order: list[str]) -> None:
        document = self.insert("15", f'xmlns:d="{CELL_DU}" nc:operation="create" {where}')
        assert plmns(gnb().edit(document, "none")) == order

    def test_none_moves_nothing(self) -> None:
        config = gnb()
        assert config.edit(self.insert("06", 'yang:insert="first"'), "none") is config

    @pytest.mark.parametrize("operation", ["merge", "replace"])
    def test_a_known_entry_moves(self, operation: str) -> None:
        first = f'nc:operation="{operation}" yang:insert="first"'
        assert plmns(gnb().edit(self.insert("06", first), "none")) == ["06", "10"]
        stays = gnb().edit(self.insert("10", f'nc:operation="{operation}"'), "none")
        assert plmns(stays) == ["10", "06"]

    @pytest.mark.parametrize(
        ("attributes", "bad", "app_tag"),
        [
            ('yang:insert="middle"', "insert", None),
            ('yang:insert="before"', "key", None),
            ('yang:insert="before" yang:key="[mnc=\'10\']"', "key", None),
            ('yang:insert="before" yang:key="10"', "key", None),
            (f'yang:insert="before" yang:key="{KEY.format("x")}"', "key", None),
            (f'yang:insert="before" yang:key="{KEY.format("99")}"', "key", "missing-instance"),
            (f'yang:insert="after" yang:key="{KEY.format("15")}"', "key", "missing-instance"),
        ],
    )
    def test_bad_references(self, attributes: str, bad: str, app_tag: str | None) -> None:
        error = refused(gnb(), self.insert("15", attributes))
        tag = "missing-attribute" if attributes.endswith('before"') else "bad-attribute"
        assert (error.tag, error.app_tag) == (tag, app_tag)
        assert error.info == {"bad-attribute": bad, "bad-element": "pLMNInfoList"}

    def test_a_list_of_the_system_takes_no_insert(self) -> None:
        content = '<cellAccessInfoList yang:insert="first"><mcc>716</mcc><mnc>17</mnc></cellAccessInfoList>'
        assert refused(enb(), lte_edit(content)).tag == "unknown-attribute"

    def test_lte(self) -> None:
        content = '<plmnIdList yang:insert="first"><mcc>716</mcc><mnc>06</mnc></plmnIdList>'
        cell = enb().edit(lte_edit(content)).get((("ManagedElement", "PE-2"), ("ENBFunction", "1")))
        assert cell is not None
        assert cell.node.namespace == EUTRAN
        attributes = cell.find((("EUtranCellFDD", "1"), "attributes"))
        assert attributes is not None
        assert [entry.keys[1] for entry in attributes.entries("plmnIdList")] == ["06", "10"]
