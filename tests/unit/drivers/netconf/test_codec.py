from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from controller.drivers.netconf.active_alarms import MOST_ALARMS, decode_alarms
from controller.drivers.netconf.codec import decode, encode_edit, read_filter
from controller.models.alarm import ActiveAlarm, PerceivedSeverity
from controller.models.errors import DeviceRefusedError
from controller.models.facts import Fact
from controller.models.plan import Edit, Op
from controller.nrm import namespaces as ns
from controller.nrm.profiles import render, root_spec
from controller.nrm.schema import lasting, self_made, spec_of
from controller.nrm.tree import (
    LONGEST_KEY,
    MOST_LETTERS,
    MOST_NODES,
    LeafName,
    Path,
    Tree,
    Value,
    child,
    parent,
    step,
)
from tests.unit.nrm import samples
from tests.unit.nrm.samples import BOTH, STATION

ROOT = root_spec(BOTH)
ELEMENT = f"/ManagedElement[{STATION}]"
FDD = f"{ELEMENT}/ENBFunction[1]/EUtranCellFDD[B28-1]"
DU = f"{ELEMENT}/GNBDUFunction[1]/NRCellDU[n78-1]"
HOST = ("host",)


def creates(tree: Tree) -> list[Edit]:
    return [Edit(op=Op.CREATE, path=path, after=dict(leaves), owners=HOST) for path, leaves in tree.items()]


def lte(cell: str, function: str = "") -> bytes:
    """A reply with one LTE cell."""
    return f"""
      <rpc-reply xmlns="{ns.NETCONF}" message-id="1"><data>
        <ManagedElement xmlns="{ns.MANAGED_ELEMENT}">
          <id>{STATION}</id>
          <attributes><priorityLabel>1</priorityLabel></attributes>
          <ENBFunction xmlns="{ns.EUTRAN}">
            <id> 1 </id>
            <attributes><eNBId>42</eNBId></attributes>
            <EUtranCellFDD><id>B28-1</id><attributes>{cell}</attributes></EUtranCellFDD>
            {function}
          </ENBFunction>
        </ManagedElement>
      </data></rpc-reply>""".encode()


def nr(cell: str) -> bytes:
    """Data with one NR cell."""
    return f"""
      <data xmlns="{ns.NETCONF}">
        <ManagedElement xmlns="{ns.MANAGED_ELEMENT}"><id>{STATION}</id>
          <du:GNBDUFunction xmlns:du="{ns.GNBDU_FUNCTION}"><du:id>1</du:id>
            <NRCellDU xmlns="{ns.NR_CELL_DU}"><id>n78-1</id><attributes>{cell}</attributes></NRCellDU>
          </du:GNBDUFunction>
        </ManagedElement>
      </data>""".encode()


def info(mcc: str = "716", mnc: str = "15", sd: str = "<sd>0000D1</sd>", sst: str = "1") -> str:
    return f"<pLMNInfoList><mcc>{mcc}</mcc><mnc>{mnc}</mnc>{sd}<sst>{sst}</sst></pLMNInfoList>"


def test_filter_names_the_station_and_its_functions() -> None:
    (element,) = read_filter(ROOT, STATION)
    assert etree.QName(element).namespace == ns.MANAGED_ELEMENT
    assert [(etree.QName(node).localname, node.text) for node in element] == [
        ("id", STATION),
        ("attributes", None),
        ("ENBFunction", None),
        ("GNBCUCPFunction", None),
        ("GNBCUUPFunction", None),
        ("GNBDUFunction", None),
    ]


def test_a_list_of_alarms_is_asked_for_where_it_is_announced() -> None:
    def offers(namespace: str, feature: str = "") -> bool:
        return (namespace, feature) in {(ns.MANAGED_ELEMENT, ""), (ns.MANAGED_ELEMENT, "FmUnderManagedElement")}

    names = [etree.QName(node).localname for node in read_filter(ROOT, STATION, offers)[0]]
    assert names == ["id", "attributes", "AlarmList"]


def test_a_station_that_denies_even_its_element_is_asked_for_everything_that_all_have() -> None:
    (asked,) = read_filter(ROOT, STATION, lambda _namespace, _feature="": False)
    assert etree.tostring(asked) == etree.tostring(read_filter(ROOT, STATION)[0])


def test_a_list_of_alarms_is_configuration_and_its_records_are_not() -> None:
    data = f"""
      <ManagedElement xmlns="{ns.MANAGED_ELEMENT}"><id>{STATION}</id><AlarmList><id>al</id><attributes>
        <administrativeState>UNLOCKED</administrativeState><operationalState>ENABLED</operationalState>
        <numOfAlarmRecords>1</numOfAlarmRecords><lastModification>2026-11-26T00:00:00Z</lastModification>
        <alarmRecords><alarmId>a-1</alarmId><objectInstance>fan</objectInstance><ackState>ACKNOWLEDGED</ackState>
        </alarmRecords></attributes></AlarmList></ManagedElement>"""
    observed = decode(ROOT, data.encode(), STATION)
    path = f"/ManagedElement[{STATION}]/AlarmList[al]"
    assert observed.tree[path] == {"administrativeState": "UNLOCKED"}
    assert observed.state[path]["numOfAlarmRecords"] == "1"
    assert (observed.unknown, list(observed.tree)) == ((), [f"/ManagedElement[{STATION}]", path])
    assert [record.acknowledged_by for record in observed.records or ()] == ["somebody"]
    assert decode(ROOT, data.replace("UNLOCKED", "LOCKED").encode(), STATION).records is None


def test_objects_of_other_classes_around_the_station_are_listed_and_their_attributes_are_not() -> None:
    data = f"""
      <data><EUtraNetwork xmlns="{ns.EUTRA_NETWORK}"><id>minka</id><attributes><vendors>1</vendors></attributes>
        <EUtranFrequency xmlns="urn:v"><id xmlns="urn:v">1800</id></EUtranFrequency>
        <ExternalENBFunction xmlns="{ns.EXTERNAL_ENB_FUNCTION}"><id>X</id><attributes><more>1</more></attributes>
          <ExternalPlant xmlns="urn:v"/></ExternalENBFunction></EUtraNetwork></data>"""
    observed = decode(ROOT, data.encode(), STATION)
    network = "/EUtraNetwork[minka]"
    assert len(observed.unknown) == 2
    assert all(path.startswith(network) for path in observed.unknown)
    assert [path.rpartition("}")[2] for path in observed.unknown] == ["EUtranFrequency[1800]", "ExternalPlant"]


def test_configuration_and_state_are_distinguished() -> None:
    observed = decode(
        ROOT,
        lte(
            "<tac>4201</tac><administrativeState>UNLOCKED</administrativeState>"
            "<operationalState>ENABLED</operationalState><cellState>ACTIVE</cellState>"
            "<availabilityStatus>DEGRADED</availabilityStatus><availabilityStatus>LOG_FULL</availabilityStatus>"
        ),
        STATION,
    )
    assert observed.tree[FDD] == {"tac": "4201", "administrativeState": "UNLOCKED"}
    assert observed.state == {
        FDD: {
            "operationalState": "ENABLED",
            "cellState": "ACTIVE",
            "availabilityStatus": ("DEGRADED", "LOG_FULL"),
        }
    }
    assert observed.unknown == ()


def test_state_of_an_augmenting_module_is_read() -> None:
    data = f"""
      <ManagedElement xmlns="{ns.MANAGED_ELEMENT}"><id>{STATION}</id>
        <GNBCUCPFunction xmlns="{ns.GNBCUCP_FUNCTION}"><id>1</id>
          <EP_NgC xmlns="{ns.NR_EP}"><id>x</id><attributes>
            <localAddress><ipAddress>2001:DB8::0:1</ipAddress><vlanId>0103</vlanId></localAddress>
            <remoteAddress> 10.4.1.11 </remoteAddress>
            <operationalState xmlns="{ns.EP_STATE}">ENABLED</operationalState>
            <operationalState>DISABLED</operationalState>
          </attributes></EP_NgC>
        </GNBCUCPFunction>
      </ManagedElement>"""
    observed = decode(ROOT, data.encode(), STATION)
    link = f"{ELEMENT}/GNBCUCPFunction[1]/EP_NgC[x]"
    assert observed.tree[link] == {"remoteAddress": "10.4.1.11"}
    assert f"{link}/localAddress[2001:db8::1,103]" in observed.tree
    assert observed.state == {link: {"operationalState": "ENABLED"}}
    assert observed.unknown == (f"{link}/{{{ns.NR_EP}}}operationalState",)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        (info(sd="<sd>0000d1</sd>"), "[716,15,0000D1,1]"),
        (info(sd="<sd>00:00:d1</sd>"), "[716,15,0000D1,1]"),
        (info(sd="<sd> 0000D1\n</sd>"), "[716,15,0000D1,1]"),
        (info(sd=""), "[716,15,FFFFFF,1]"),
        (info(sd="<sd/>"), "[716,15,FFFFFF,1]"),
        (info(sst="001"), "[716,15,0000D1,1]"),
        (info(mnc="015"), "[716,015,0000D1,1]"),
        ("<pLMNInfoList><sst>1</sst><sd>0000D1</sd><mnc>15</mnc><mcc>716</mcc></pLMNInfoList>", "[716,15,0000D1,1]"),
        ("<!-- a comment --><pLMNInfoList><mcc>716</mcc><mnc>15</mnc><sst>1</sst></pLMNInfoList>", "[716,15,FFFFFF,1]"),
    ],
)
def test_spellings_of_one_slice_are_one(written: str, canonical: str) -> None:
    assert list(decode(ROOT, nr(written), STATION).tree)[-1] == f"{DU}/pLMNInfoList{canonical}"


@pytest.mark.parametrize(
    ("leaf", "written", "canonical"),
    [
        ("dlChannelBandwidth", "10", "10.0"),
        ("dlChannelBandwidth", "10.00", "10.0"),
        ("dlChannelBandwidth", "1.4", "1.4"),
        ("dlChannelBandwidth", "wide", "wide"),
        ("dlChannelBandwidth", "1E99999999", "1E99999999"),
        ("pci", "0" * 64 + "7", "0" * 64 + "7"),
        ("pci", " 007 ", "7"),
        ("pci", "seven", "seven"),
        ("userLabel", "\n Cusco 1 ", "Cusco 1"),
    ],
)
def test_values_are_canonical(leaf: str, written: str, canonical: str) -> None:
    assert decode(ROOT, lte(f"<{leaf}>{written}</{leaf}>"), STATION).tree[FDD] == {leaf: canonical}


def test_active_alarms_stand_beside_the_managed_element() -> None:
    listed = f"""<active-alarm-list xmlns="{ns.ORAN_FM}">
        <active-alarms><fault-id>30</fault-id><fault-source>ru-1</fault-source><fault-severity>CRITICAL</fault-severity>
          <is-cleared>false</is-cleared><fault-text>no answer
            from radio unit</fault-text></active-alarms>
        <active-alarms><fault-id>77</fault-id><fault-source>x</fault-source><fault-severity>odd</fault-severity>
        </active-alarms></active-alarm-list>"""
    reply = lte("").replace(b"</data>", listed.encode() + b"</data>")
    seen = decode(ROOT, reply, STATION)
    assert (seen.tree, seen.unknown) == (decode(ROOT, lte(""), STATION).tree, ())
    assert seen.alarms == (
        ActiveAlarm(
            "30", "ru-1", PerceivedSeverity.CRITICAL, "no answer from radio unit", stated=PerceivedSeverity.CRITICAL
        ),
        ActiveAlarm("77", "x", PerceivedSeverity.INDETERMINATE, ""),
    )
    assert [alarm.grave for alarm in seen.alarms] == [True, False]


def test_unknown_nodes_are_listed_and_left_out() -> None:
    vendor = '<boost xmlns="urn:vendor">9</boost>'
    function = '<EUtranRelation><id>7</id></EUtranRelation><X xmlns="urn:vendor"><id>8</id></X>'
    observed = decode(
        ROOT, lte(f"<tac>1</tac>{vendor}{vendor}<plmnIdList><mcc>716</mcc></plmnIdList>", function), STATION
    )
    assert observed.tree[FDD] == {"tac": "1"}
    enb = f"{ELEMENT}/ENBFunction[1]"
    assert observed.unknown == (
        f"{FDD}/{{urn:vendor}}boost",
        f"{FDD}/{{{ns.EUTRAN}}}plmnIdList",
        f"{enb}/{{{ns.EUTRAN}}}EUtranRelation[7]",
        f"{enb}/{{urn:vendor}}X[8]",
    )


def test_what_a_device_says_more_of_relations_that_it_made_itself_is_not_unknown() -> None:
    relation = f"""
      <data xmlns="{ns.NETCONF}">
        <ManagedElement xmlns="{ns.MANAGED_ELEMENT}"><id>{STATION}</id>
          <GNBCUCPFunction xmlns="{ns.GNBCUCP_FUNCTION}"><id>1</id>
            <NRCellCU xmlns="{ns.NR_CELL_CU}"><id>n78-1</id>
              <NRCellRelation xmlns="{ns.NR_CELL_RELATION}"><id>17</id><attributes>
                <nRTCI>4711</nRTCI><cellIndividualOffset><rsrpOffsetSsb>2</rsrpOffsetSsb></cellIndividualOffset>
                <nRFreqRelationRef>F</nRFreqRelationRef><adjacentNRCellRef>C</adjacentNRCellRef>
                <isRemoveAllowed>true</isRemoveAllowed>
              </attributes></NRCellRelation>
            </NRCellCU>
          </GNBCUCPFunction>
        </ManagedElement>
      </data>"""
    observed = decode(ROOT, relation.encode(), STATION)
    path = f"{ELEMENT}/GNBCUCPFunction[1]/NRCellCU[n78-1]/NRCellRelation[17]"
    assert observed.tree[path] == {"nRTCI": "4711", "nRFreqRelationRef": "F", "adjacentNRCellRef": "C"}
    assert observed.unknown == ()


def test_nodes_in_the_wrong_place_are_unknown() -> None:
    observed = decode(ROOT, lte("<tac>1</tac>", "<eNBName>outside of attributes</eNBName>"), STATION)
    assert observed.unknown == (f"{ELEMENT}/ENBFunction[1]/{{{ns.EUTRAN}}}eNBName",)


def test_what_a_device_makes_itself_does_not_last_with_all_below_it() -> None:
    end = f"{ELEMENT}/ENBFunction[1]/EP_X2C[7]"
    tree: Tree = {
        **render(BOTH, samples.station_facts(samples.NR_CELLS)).tree,
        end: {},
        f"{end}/localAddress[192.0.2.1,7]": {},
        f"{FDD}/EUtranRelation[7]": {},
        f"{FDD}/unheardOf[1]": {},
        f"{FDD}/unheardOf[1]/below[1]": {},
    }
    found = list(lasting(ROOT, tree))
    assert found == [path for path in tree if not self_made(ROOT, path)]
    assert end not in found
    assert list(lasting(ROOT, {f"{end}/localAddress[192.0.2.1,7]": {}})) == []


@pytest.mark.parametrize("place", range(4))
def test_keys_are_read_in_any_order(place: int) -> None:
    keys = ["<mcc>716</mcc>", "<mnc>15</mnc>", "<sd>0000D1</sd>", "<sst>1</sst>"]
    keys.insert(0, keys.pop(place))
    observed = decode(ROOT, nr(f"<pLMNInfoList>{''.join(keys)}</pLMNInfoList>"), STATION)
    assert list(observed.tree)[-1] == f"{DU}/pLMNInfoList[716,15,0000D1,1]"
    assert observed.unknown == ()


def test_a_second_spelling_of_a_key_is_unknown() -> None:
    observed = decode(ROOT, nr(info() + info(sd="<sd>0000d1</sd>")), STATION)
    assert list(observed.tree)[-1] == f"{DU}/pLMNInfoList[716,15,0000D1,1]"
    assert observed.unknown == (f"{DU}/{{{ns.NR_CELL_DU}}}pLMNInfoList",)


def test_other_elements_are_unknown_and_none_is_empty() -> None:
    other = f'<data><ManagedElement xmlns="{ns.MANAGED_ELEMENT}"><id>other</id></ManagedElement></data>'
    observed = decode(ROOT, other.encode(), STATION)
    assert observed.tree == {}
    assert observed.unknown == (f"/{{{ns.MANAGED_ELEMENT}}}ManagedElement[other]",)
    assert decode(ROOT, f'<rpc-reply xmlns="{ns.NETCONF}"/>'.encode(), STATION).tree == {}


def test_malformed_and_dangerous_xml() -> None:
    with pytest.raises(DeviceRefusedError, match="malformed"):
        decode(ROOT, b"<data><ManagedElement>", STATION)
    bomb = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + lte("<userLabel>&x;</userLabel>").strip()
    with pytest.raises(DeviceRefusedError, match="document type"):
        decode(ROOT, bomb, STATION)


def test_a_key_that_is_too_long_is_unknown_since_all_paths_below_would_repeat_it() -> None:
    long = f"<mcc>{'7' * (LONGEST_KEY + 1)}</mcc><mnc>06</mnc>"
    observed = decode(ROOT, lte(f"<plmnIdList>{long}</plmnIdList>"), STATION)
    assert observed.unknown == (f"{FDD}/{{{ns.EUTRAN}}}plmnIdList",)
    named = f"<vendorNode xmlns='urn:v'><id>{'x' * 1_000_000}</id></vendorNode>"
    (unknown,) = decode(ROOT, lte(named), STATION).unknown
    assert unknown == f"{FDD}/{{urn:v}}vendorNode[{'x' * LONGEST_KEY}…]"


def test_a_station_that_lists_too_many_nodes_is_refused_by_name() -> None:
    with pytest.raises(DeviceRefusedError, match=f"{STATION} lists more than {MOST_NODES} nodes"):
        decode(ROOT, lte("<strange/>" * (MOST_NODES + 1)), STATION)
    with pytest.raises(DeviceRefusedError, match=f"or {MOST_LETTERS} characters of their names"):
        decode(ROOT, lte(f"<{'n' * 250}/>" * (MOST_LETTERS // 250)), STATION)


def test_of_very_many_alarms_the_worst_are_read_in_the_stations_order() -> None:
    many = [*["MINOR"] * MOST_ALARMS, "CRITICAL"]
    listed = "".join(
        f"<active-alarms><fault-id>{at}</fault-id><fault-severity>{one}</fault-severity></active-alarms>"
        for at, one in enumerate(many)
    )
    data = f"<data><active-alarm-list xmlns='{ns.ORAN_FM}'>{listed}</active-alarm-list></data>"
    alarms = decode_alarms(etree.fromstring(data))
    assert [alarm.fault for alarm in alarms] == [*map(str, range(MOST_ALARMS - 1)), str(MOST_ALARMS)]


def lists(tree: Tree) -> dict[tuple[Path, str], list[Path]]:
    """The entries of every list, in order."""
    found: dict[tuple[Path, str], list[Path]] = {}
    for path in tree:
        found.setdefault((parent(path), step(path)[0]), []).append(path)
    return found


@given(samples.facts())
def test_what_is_written_is_read_back(facts: list[Fact]) -> None:
    tree = render(BOTH, facts).tree
    observed = decode(ROOT, etree.tostring(encode_edit(ROOT, creates(tree))), STATION)
    assert observed.tree == tree
    assert lists(observed.tree) == lists(tree)
    assert observed.state == {}
    assert observed.unknown == ()


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1).map(str.strip).filter(bool)


@given(TEXT, TEXT)
def test_any_id_and_label_survives_the_wire(name: str, label: str) -> None:
    tree: dict[Path, dict[LeafName, Value]] = {ELEMENT: {}}
    enb = child(ELEMENT, "ENBFunction", "1")
    tree[enb] = {"eNBName": label}
    tree[child(enb, "EP_S1C", name)] = {"userLabel": label}
    assert decode(ROOT, etree.tostring(encode_edit(ROOT, creates(tree))), STATION).tree == tree


@given(samples.facts(), st.data())
def test_defaults_reported_or_not_are_equal(facts: list[Fact], data: st.DataObject) -> None:
    tree = render(BOTH, facts).tree
    verbose: dict[Path, dict[LeafName, Value]] = {}
    for path, leaves in tree.items():
        spec = spec_of(ROOT, path)
        assert spec is not None
        defaults = {leaf.name: leaf.default for leaf in spec.leaves if leaf.default is not None}
        reported = {name: value for name, value in defaults.items() if data.draw(st.booleans())}
        verbose[path] = {**reported, **leaves}
    assert decode(ROOT, etree.tostring(encode_edit(ROOT, creates(verbose))), STATION).tree == tree


WHOLE = etree.tostring(encode_edit(ROOT, creates(render(BOTH, samples.station_facts(samples.NR_CELLS)).tree)))


@given(st.integers(0, len(WHOLE)), st.integers(0, 200), st.binary(max_size=3))
def test_garbled_replies_are_read_or_refused(start: int, length: int, garbage: bytes) -> None:
    data = WHOLE[:start] + garbage + WHOLE[start + length :]
    try:
        observed = decode(ROOT, data, STATION)
    except DeviceRefusedError:
        return
    assert all(spec_of(ROOT, path) for path in observed.tree)
    assert observed.state.keys() <= observed.tree.keys()
