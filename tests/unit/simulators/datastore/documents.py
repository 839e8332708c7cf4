"""Documents that the tests of the datastore share: one gNB, one eNB, and ways to write edits."""

from __future__ import annotations

from lxml import etree

from simulators.datastore import Config, Path, load_schema

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
ELEMENT = "urn:3gpp:sa5:_3gpp-common-managed-element"
CUCP = "urn:3gpp:sa5:_3gpp-nr-nrm-gnbcucpfunction"
CUUP = "urn:3gpp:sa5:_3gpp-nr-nrm-gnbcuupfunction"
DU = "urn:3gpp:sa5:_3gpp-nr-nrm-gnbdufunction"
CELL_CU = "urn:3gpp:sa5:_3gpp-nr-nrm-nrcellcu"
CELL_DU = "urn:3gpp:sa5:_3gpp-nr-nrm-nrcelldu"
POLICY = "urn:3gpp:sa5:_3gpp-nr-nrm-rrmpolicy"
EP = "urn:3gpp:sa5:_3gpp-nr-nrm-ep"
EUTRAN = "urn:minka:eutran-nrm"
FM = "urn:o-ran:fm:1.0"

GNB_PATH: Path = (("ManagedElement", "PE-1"), ("GNBDUFunction", "1"))
CELL_PATH: Path = (*GNB_PATH, ("NRCellDU", "n78-1"))
LTE_PATH: Path = (("ManagedElement", "PE-2"), ("ENBFunction", "1"), ("EUtranCellFDD", "1"))


def slice_info(tag: str, mnc: str, sd: str = "FFFFFF", attributes: str = "") -> str:
    return f"<{tag} {attributes}><mcc>716</mcc><mnc>{mnc}</mnc><sd>{sd}</sd><sst>1</sst></{tag}>"


def link(name: str, tag: str, vlan: int, remote: str) -> str:
    return f"""<{tag} xmlns="{EP}"><id>{name}</id><attributes>
      <localAddress><ipAddress>10.99.1.1</ipAddress><vlanId>{vlan}</vlanId></localAddress>
      <remoteAddress>{remote}</remoteAddress></attributes></{tag}>"""


def policy(name: str, mnc: str, least: int) -> str:
    return f"""<RRMPolicyRatio xmlns="{POLICY}"><id>{name}</id><attributes><resourceType>PRB</resourceType>
      {slice_info("rRMPolicyMemberList", mnc)}<rRMPolicyMinRatio>{least}</rRMPolicyMinRatio>
      </attributes></RRMPolicyRatio>"""


def nr_cell_du(name: str, local_id: int) -> str:
    return f"""<NRCellDU xmlns="{CELL_DU}"><id>{name}</id><attributes>
      <priorityLabel>1</priorityLabel><cellLocalId>{local_id}</cellLocalId>
      <administrativeState>UNLOCKED</administrativeState>
      {slice_info("pLMNInfoList", "10")}{slice_info("pLMNInfoList", "06")}
      <nRPCI>101</nRPCI><nRTAC>4201</nRTAC><arfcnDL>636666</arfcnDL><arfcnUL>636666</arfcnUL>
      <bSChannelBwDL>40</bSChannelBwDL><ssbFrequency>636000</ssbFrequency><ssbPeriodicity>20</ssbPeriodicity>
      <ssbSubCarrierSpacing>30</ssbSubCarrierSpacing><ssbOffset>0</ssbOffset><ssbDuration>1</ssbDuration>
      <bSChannelBwUL>40</bSChannelBwUL>
      <nRSectorCarrierRef>ManagedElement=PE-1,GNBDUFunction=1,NRSectorCarrier=1</nRSectorCarrierRef>
      </attributes>{policy("claro", "10", 40)}{policy("movistar", "06", 30)}</NRCellDU>"""


def nr_cell_cu(name: str, local_id: int) -> str:
    return f"""<NRCellCU xmlns="{CELL_CU}"><id>{name}</id><attributes>
      <priorityLabel>1</priorityLabel><cellLocalId>{local_id}</cellLocalId>
      {slice_info("pLMNInfoList", "06")}{slice_info("pLMNInfoList", "10")}</attributes></NRCellCU>"""


GNB = f"""<ManagedElement xmlns="{ELEMENT}"><id>PE-1</id>
  <attributes><dnPrefix>DC=example,SubNetwork=Cusco</dnPrefix><priorityLabel>1</priorityLabel></attributes>
  <GNBCUCPFunction xmlns="{CUCP}"><id>1</id><attributes><priorityLabel>1</priorityLabel><gNBId>42</gNBId>
    <gNBIdLength>24</gNBIdLength><gNBCUName>cu-1</gNBCUName><pLMNId><mcc>716</mcc><mnc>10</mnc></pLMNId>
    </attributes>{nr_cell_cu("n78-1", 1)}{nr_cell_cu("n78-2", 2)}
    {link("claro", "EP_NgC", 100, "10.10.1.10")}{link("movistar", "EP_NgC", 101, "10.20.1.10")}</GNBCUCPFunction>
  <GNBCUUPFunction xmlns="{CUUP}"><id>1</id><attributes><priorityLabel>1</priorityLabel><gNBId>42</gNBId>
    <gNBIdLength>24</gNBIdLength>{slice_info("pLMNInfoList", "10")}</attributes>
    {link("claro", "EP_NgU", 100, "10.10.3.10")}</GNBCUUPFunction>
  <GNBDUFunction xmlns="{DU}"><id>1</id><attributes><priorityLabel>1</priorityLabel><gNBId>42</gNBId>
    <gNBIdLength>24</gNBIdLength><gNBDUId>42</gNBDUId></attributes>
    {nr_cell_du("n78-1", 1)}{nr_cell_du("n78-2", 2)}</GNBDUFunction>
</ManagedElement>"""

ENB = f"""<ManagedElement xmlns="{ELEMENT}"><id>PE-2</id><attributes><priorityLabel>1</priorityLabel></attributes>
  <ENBFunction xmlns="{EUTRAN}"><id>1</id><attributes><priorityLabel>1</priorityLabel><eNBId>43</eNBId>
    <eNBName>enb-2</eNBName><pLMNId><mcc>716</mcc><mnc>10</mnc></pLMNId></attributes>
    <EUtranCellFDD><id>1</id><attributes><priorityLabel>1</priorityLabel><cellLocalId>1</cellLocalId>
      <administrativeState>UNLOCKED</administrativeState>
      <plmnIdList><mcc>716</mcc><mnc>10</mnc></plmnIdList><plmnIdList><mcc>716</mcc><mnc>06</mnc></plmnIdList>
      <cellAccessInfoList><mcc>716</mcc><mnc>15</mnc><tac>901</tac><cellId>11009</cellId></cellAccessInfoList>
      <plmnRadioShareList><mcc>716</mcc><mnc>06</mnc><minRatio>20</minRatio></plmnRadioShareList>
      <tac>4201</tac><pci>101</pci><earfcnDl>9360</earfcnDl><earfcnUl>27360</earfcnUl>
      <dlChannelBandwidth>10.0</dlChannelBandwidth></attributes></EUtranCellFDD>
    <EP_S1C><id>claro-mme1</id><attributes>
      <localAddress><ipAddress>10.99.2.1</ipAddress><vlanId>100</vlanId></localAddress>
      <remoteAddress>10.10.2.10</remoteAddress><servedPlmnList><mcc>716</mcc><mnc>10</mnc></servedPlmnList>
      </attributes></EP_S1C></ENBFunction>
</ManagedElement>"""


def element(xml: str) -> etree._Element:
    return etree.fromstring(xml)


def edit(content: str) -> etree._Element:
    """A ``<config>`` element with the prefixes nc and yang declared."""
    return element(
        f'<config xmlns="{NETCONF}" xmlns:nc="{NETCONF}" xmlns:yang="urn:ietf:params:xml:ns:yang:1" '
        f'xmlns:wd="urn:ietf:params:xml:ns:netconf:default:1.0">{content}</config>'
    )


def cell_edit(content: str, *, attributes: str = "", cell: str = "n78-1") -> etree._Element:
    """An edit within the attributes of an NR cell's distributed part."""
    return edit(
        f"""<ManagedElement xmlns="{ELEMENT}"><id>PE-1</id><GNBDUFunction xmlns="{DU}"><id>1</id>
        <NRCellDU xmlns="{CELL_DU}" {attributes}><id>{cell}</id><attributes>{content}</attributes></NRCellDU>
        </GNBDUFunction></ManagedElement>"""
    )


def lte_edit(content: str) -> etree._Element:
    """An edit within the attributes of the LTE cell."""
    return edit(
        f"""<ManagedElement xmlns="{ELEMENT}"><id>PE-2</id><ENBFunction xmlns="{EUTRAN}"><id>1</id>
        <EUtranCellFDD><id>1</id><attributes>{content}</attributes></EUtranCellFDD></ENBFunction></ManagedElement>"""
    )


def gnb() -> Config:
    return Config.from_xml(load_schema(), GNB.encode())


def enb() -> Config:
    return Config.from_xml(load_schema(), ENB.encode())


def plmns(config: Config, cell: Path = CELL_PATH) -> list[str]:
    """MNCs of an NR cell in their order."""
    found = config.get((*cell, "attributes"))
    assert found is not None
    return [str(entry.leaf("mnc")) for entry in found.entries("pLMNInfoList")]
