"""Configurations as values: in and out of XML, with-defaults, state, reading without XML, sharing."""

from __future__ import annotations

import pytest
from lxml import etree

from simulators.datastore import Config, Instance, RpcError, RpcErrors, State, load_schema
from tests.unit.simulators.datastore.documents import (
    CELL_PATH,
    ELEMENT,
    ENB,
    FM,
    GNB,
    LTE_PATH,
    NETCONF,
    cell_edit,
    edit,
    element,
    enb,
    gnb,
)

WD = "urn:ietf:params:xml:ns:netconf:default:1.0"


def tree(text: str) -> etree._Element:
    return etree.fromstring(f"<data>{text}</data>")


class TestXml:
    def test_round_trip(self) -> None:
        for config in (gnb(), enb()):
            assert Config.from_xml(config.schema, config.to_text().encode()) == config
            assert Config.from_xml(config.schema, config.to_xml()[0]) == config

    @pytest.mark.parametrize("wrapper", ["config", "data"])
    def test_wrappers(self, wrapper: str) -> None:
        document = element(f'<{wrapper} xmlns="{NETCONF}">{GNB}{ENB}</{wrapper}>')
        both = Config.from_xml(load_schema(), document)
        assert [item.keys for item in both.root.entries("ManagedElement")] == [("PE-1",), ("PE-2",)]
        assert len(both.to_xml()) == 2

    def test_the_callers_document_stays_whole(self) -> None:
        document = element(f"<reply>{GNB}</reply>")
        Config.from_xml(load_schema(), document[0])
        assert len(document) == 1

    def test_text_is_escaped(self) -> None:
        config = gnb().edit(cell_edit("<userLabel>a &lt; b &amp; c&#13;</userLabel>"))
        cell = config.get((*CELL_PATH, "attributes"))
        assert cell is not None
        assert cell.leaf("userLabel") == "a < b & c\r"
        assert Config.from_xml(config.schema, config.to_text().encode()) == config

    def test_keys_come_first_and_nodes_stand_in_schema_order(self) -> None:
        cell = gnb().to_xml()[0].find(".//{*}NRCellDU")
        assert cell is not None
        assert [etree.QName(child).localname for child in cell][:2] == ["id", "attributes"]

    def test_malformed(self) -> None:
        with pytest.raises(RpcError, match="malformed-message"):
            Config.from_xml(load_schema(), b"<ManagedElement>")


class TestDefaults:
    def states(self, mode: str, config: Config | None = None) -> list[str | None]:
        shown = (config or enb()).to_text(with_defaults=mode)  # type: ignore[arg-type]
        return [item.text for item in tree(shown).iter("{*}administrativeState")]

    def test_explicit_shows_what_was_set(self) -> None:
        assert self.states("explicit") == ["UNLOCKED"]
        locked = enb().to_text().replace("UNLOCKED", "LOCKED")
        assert self.states("explicit", Config.from_xml(load_schema(), locked.encode())) == ["LOCKED"]

    def test_report_all_shows_all(self) -> None:
        assert self.states("report-all") == ["UNLOCKED", "UNLOCKED"]
        shown = tree(enb().to_text(with_defaults="report-all"))
        assert [item.text for item in shown.iter("{*}maxRatio")] == ["100"]
        assert [item.text for item in shown.iter("{*}eNBIdLength")] == ["20"]

    def test_trim_leaves_defaults_out_even_when_set(self) -> None:
        locked = enb().to_text().replace("UNLOCKED", "LOCKED")
        assert self.states("trim", Config.from_xml(load_schema(), locked.encode())) == []
        assert self.states("trim") == ["UNLOCKED"]

    def test_tagged(self) -> None:
        shown = tree(enb().to_text(with_defaults="report-all-tagged"))
        tags = [(item.text, item.get(f"{{{WD}}}default")) for item in shown.iter("{*}administrativeState")]
        assert tags == [("UNLOCKED", None), ("UNLOCKED", "true")]

    def test_what_was_set_to_its_default_is_not_tagged(self) -> None:
        locked = Config.from_xml(load_schema(), enb().to_text().replace("UNLOCKED", "LOCKED").encode())
        shown = tree(locked.to_text(with_defaults="report-all-tagged"))
        tags = [(item.text, item.get(f"{{{WD}}}default")) for item in shown.iter("{*}administrativeState")]
        assert tags == [("LOCKED", None), ("UNLOCKED", "true")]

    def test_what_was_tagged_can_be_sent_back(self) -> None:
        shown = enb().to_text(with_defaults="report-all-tagged").encode()
        assert Config.from_xml(load_schema(), shown) == enb()

    def test_an_empty_container_with_defaults_appears(self) -> None:
        bare = Config.from_xml(
            load_schema(),
            f'<ManagedElement xmlns="{ELEMENT}"><id>X</id><ENBFunction xmlns="urn:minka:eutran-nrm"><id>1</id>'
            "</ENBFunction></ManagedElement>".encode(),
        )
        assert "eNBIdLength" in bare.to_text(with_defaults="report-all")
        assert "attributes" not in bare.to_text()


class TestState:
    def shown(self, state: State, config: Config | None = None) -> etree._Element:
        return tree((config or gnb()).to_text(state=state))

    def test_laid_over_the_configuration(self) -> None:
        schema = load_schema()
        link = (("ManagedElement", "PE-1"), ("GNBCUCPFunction", "1"), ("EP_NgC", "claro"), "attributes")
        state = State.of(
            schema,
            {
                (*CELL_PATH, "attributes", "cellState"): "ACTIVE",
                (*CELL_PATH, "attributes", "operationalState"): "ENABLED",
                (*link, "operationalState"): "DISABLED",
                (("ManagedElement", "PE-1"), "attributes", "managedElementTypeList"): ["GNBDU", "GNBCUCP"],
            },
        )
        shown = self.shown(state)
        assert [item.text for item in shown.iter("{*}cellState")] == ["ACTIVE"]
        assert [item.text for item in shown.iter("{urn:minka:ep-state}operationalState")] == ["DISABLED"]
        assert [item.text for item in shown.iter("{*}managedElementTypeList")] == ["GNBDU", "GNBCUCP"]
        assert "cellState" not in gnb().to_text()

    def test_state_of_what_is_not_configured_is_left_out(self) -> None:
        gone = gnb().edit(cell_edit("", attributes='nc:operation="delete"'), "none")
        state = State.of(load_schema(), {(*CELL_PATH, "attributes", "cellState"): "ACTIVE"})
        assert list(self.shown(state, gone).iter("{*}cellState")) == []

        assert len(self.shown(state, Config.empty(load_schema()))) == 0

    def test_lists_without_keys(self) -> None:
        alarm = {
            "fault-id": "1001",
            "fault-source": "EP_NgC=claro",
            "affected-objects": [{"name": "a"}, {"name": "b"}],
            "fault-severity": "MAJOR",
            "is-cleared": "false",
            "event-time": "2026-06-01T12:00:00Z",
        }
        state = State.of(load_schema(), {("active-alarm-list", "active-alarms"): [alarm, alarm]})
        alarms = self.shown(state).findall(f"{{{FM}}}active-alarm-list/{{{FM}}}active-alarms")
        assert [len(alarm) for alarm in alarms] == [7, 7]

    def test_from_xml_and_merged(self) -> None:
        schema = load_schema()
        library = b"""<yang-library xmlns="urn:ietf:params:xml:ns:yang:ietf-yang-library"><module-set><name>m</name>
          <module><name>a</name><namespace>urn:a</namespace></module></module-set>
          <content-id>1</content-id></yang-library>"""
        first = State.from_xml(schema, library)
        second = State.of(schema, {("yang-library", "content-id"): "2", (*LTE_PATH, "attributes", "cellState"): "IDLE"})
        shown = self.shown(first.merged(second), enb())
        assert [item.text for item in shown.iter("{*}content-id")] == ["2"]
        assert [item.text for item in shown.iter("{*}namespace")] == ["urn:a"]
        assert [item.text for item in shown.iter("{*}cellState")] == ["IDLE"]
        more = State.of(schema, {(*LTE_PATH, "attributes", "operationalState"): "ENABLED"})
        assert len(list(self.shown(second.merged(more), enb()).iter("{*}cellState", "{*}operationalState"))) == 2

    def test_keyed_lists_that_are_state(self) -> None:
        schema = load_schema()
        path = ("yang-library", ("module-set", "m"), ("module", "a"), "namespace")
        state = State.of(schema, {path: "urn:a"}).merged(State.of(schema, {(*path[:2], ("module", "b"), "name"): "b"}))
        assert [item.text for item in self.shown(state).iter("{*}name")] == ["m", "a", "b"]

    def test_faults_of_the_caller(self) -> None:
        schema = load_schema()
        for path, value, error in (
            (("nothing",), "x", KeyError),
            ((*CELL_PATH, "attributes", "cellState"), "ON", ValueError),
            ((*CELL_PATH, "attributes", "cellState"), ["ACTIVE"], TypeError),
            (("active-alarm-list", "active-alarms"), "x", TypeError),
            (("active-alarm-list", "active-alarms"), ["x"], TypeError),
            (("active-alarm-list", "active-alarms"), [{"x": "y"}], KeyError),
            ((("ManagedElement",), "attributes", "swVersion"), "1", KeyError),
            (("ManagedElement", "attributes", "swVersion"), "1", KeyError),
        ):
            with pytest.raises(error):
                State.of(schema, {path: value})


class TestReading:
    def cell(self) -> Instance:
        cell = gnb().get(CELL_PATH)
        assert cell is not None
        return cell

    def test_keys_leaves_and_entries(self) -> None:
        assert self.cell().keys == ("n78-1",)
        attributes = self.cell().child("attributes")
        assert attributes is not None
        assert (attributes.leaf("nRPCI"), attributes.leaf("arfcnSUL")) == ("101", None)
        assert len(attributes.leaves("nRSectorCarrierRef")) == 1
        assert attributes.leaves("nRSectorCarrierRef")[0].startswith("ManagedElement=PE-1")
        assert [entry.keys for entry in self.cell().entries("RRMPolicyRatio")] == [("claro",), ("movistar",)]

    def test_a_leaf_that_is_not_set_has_its_default(self) -> None:
        policy = self.cell().find((("RRMPolicyRatio", "claro"), "attributes"))
        assert policy is not None
        assert (policy.leaf("rRMPolicyMinRatio"), policy.leaf("rRMPolicyMaxRatio")) == ("40", "100")

    def test_absent(self) -> None:
        assert gnb().get((("ManagedElement", "PE-9"), "attributes")) is None
        empty = Config.empty(load_schema()).root
        assert list(empty.entries("ManagedElement")) == []

    def test_faults_of_the_caller(self) -> None:
        with pytest.raises(KeyError, match="NRCellDU has no child nothing"):
            self.cell().leaf("nothing")
        with pytest.raises(KeyError, match="takes 1 keys, not 2"):
            gnb().get((("ManagedElement", "PE-1", "2"),))


class TestValues:
    def test_equality_and_hash(self) -> None:
        assert gnb() == gnb()
        assert hash(gnb()) == hash(gnb())
        assert gnb() != enb()
        assert gnb() != "gnb"
        assert len({gnb(), gnb(), enb()}) == 2

    def test_order_of_users_counts_and_that_of_the_system_does_not(self) -> None:
        document = cell_edit(
            '<pLMNInfoList yang:insert="first"><mcc>716</mcc><mnc>06</mnc><sd>FFFFFF</sd><sst>1</sst></pLMNInfoList>'
        )
        assert gnb().edit(document) != gnb()
        one = edit(f'<ManagedElement xmlns="{ELEMENT}"><id>{{}}</id></ManagedElement>'.format("A"))
        other = edit(f'<ManagedElement xmlns="{ELEMENT}"><id>{{}}</id></ManagedElement>'.format("B"))
        empty = Config.empty(load_schema())
        assert empty.edit(one).edit(other) == empty.edit(other).edit(one)

    def test_repr_shows_the_content(self) -> None:
        assert "PE-1" in repr(gnb())


def test_several_errors_are_one_exception() -> None:
    error = RpcErrors([RpcError("a", "first"), RpcError("b", "second", path="/x")])
    assert str(error) == "a: first; b: second (/x)"
    shown = RpcError("lock-denied", "taken", type="protocol", info={"session-id": "4"}).to_element()
    assert shown.findtext(f"{{{NETCONF}}}error-info/{{{NETCONF}}}session-id") == "4"
