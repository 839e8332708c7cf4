"""Configured stations to try things on."""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from simulators.clock import VirtualClock
from simulators.network import Surroundings, read_network
from simulators.station import Station, StationSettings
from tests.unit.simulators.netconf.bench import TINY, cell, enb, link, s1u, within_enb

NR_CELL = "urn:3gpp:sa5:_3gpp-nr-nrm-nrcelldu"
NR_CU_CELL = "urn:3gpp:sa5:_3gpp-nr-nrm-nrcellcu"
GNBDU = "urn:3gpp:sa5:_3gpp-nr-nrm-gnbdufunction"
GNBCUCP = "urn:3gpp:sa5:_3gpp-nr-nrm-gnbcucpfunction"
GNBCUUP = "urn:3gpp:sa5:_3gpp-nr-nrm-gnbcuupfunction"
OPERATOR_DU = "urn:3gpp:sa5:_3gpp-nr-nrm-operatordu"
OPERATOR_CELL = "urn:3gpp:sa5:_3gpp-nr-nrm-nroperatorcelldu"
EP = "urn:3gpp:sa5:_3gpp-nr-nrm-ep"
RRM = "urn:3gpp:sa5:_3gpp-nr-nrm-rrmpolicy"
ME = "urn:3gpp:sa5:_3gpp-common-managed-element"
ANDES, CONDOR = "999-01", "999-02"
#: Long enough for everything to settle.
SETTLED = 2.0


def bare(
    clock: VirtualClock, name: str = "T-LTE-1", settings: StationSettings | None = None, seed: str | None = None
) -> Station:
    network = read_network(TINY)
    record = next(record for record in network.stations if record.id == name)
    return Station(record, network.cores, clock, settings or StationSettings(), Surroundings.of(network, seed))


def configure(station: Station, *configs: str) -> None:
    for config in configs:
        station.datastores.foreign_edit(etree.fromstring(config))


def lively(clock: VirtualClock, settings: StationSettings | None = None, seed: str | None = None) -> Station:
    """An LTE station with one cell for two tenants, and for each a link to its MME and one of its user plane."""
    station = bare(clock, settings=settings, seed=seed)
    both = cell().replace("</plmnIdList>", "</plmnIdList><plmnIdList><mcc>999</mcc><mnc>02</mnc></plmnIdList>", 1)
    user_plane = s1u() + s1u("condor-s1u", 102)
    configure(station, enb(both + link() + link("condor-mme-1", "10.42.0.1", 102) + user_plane))
    clock.advance(SETTLED)
    assert station.summary()["cells_on_air"] == 1
    assert station.summary()["links_up"] == 4
    return station


def set_cell(station: Station, **leaves: str) -> None:
    content = "".join(f"<{name}>{value}</{name}>" for name, value in leaves.items())
    configure(
        station,
        within_enb(f"<EUtranCellFDD><id>1</id><attributes>{content}</attributes></EUtranCellFDD>", station.id),
    )


def cell_states(station: Station) -> Mapping[str, str | None]:
    """State leaves of the first cell."""
    text = station.datastores.running.to_text(state=station.equipment.state())
    (found,) = etree.fromstring(f"<data>{text}</data>").iterfind(".//{*}EUtranCellFDD/{*}attributes")
    names = ("administrativeState", "operationalState", "cellState", "usageState", "availabilityStatus")
    return {name: found.findtext(f"{{*}}{name}") for name in names}


def alarm_ids(station: Station) -> list[int]:
    return sorted(alarm.fault_id for alarm in station.equipment.alarms.active)


def nr_station(clock: VirtualClock, policies: str = "", served: str = "") -> Station:
    """An NR station with one cell, two slices of two tenants, and their links; ``served`` by the user plane."""
    station = bare(clock, "T-NR-1")
    configure_nr(station, policies, served)
    clock.advance(SETTLED)
    return station


def beside_lte(clock: VirtualClock) -> Station:
    """T-BOTH-1: an LTE cell of one tenant with its core links, and an NR cell of two without any (EN-DC)."""
    station = bare(clock, "T-BOTH-1")
    configure(station, enb(cell() + link(local="10.99.0.4") + s1u(local="10.99.0.4"), station.id))
    configure_nr(station, linked=False)
    clock.advance(SETTLED)
    return station


def anchor(station: Station, allowed: str = "true") -> None:
    """List the NR cell among the neighbours of the LTE cell of T-BOTH-1."""
    there = f"ManagedElement={station.id},GNBCUCPFunction=1,NRCellCU=n78-1"
    relation = (
        f"<NRCellRelation><id>n78-1</id><attributes><adjacentNRCellRef>{there}</adjacentNRCellRef>"
        f"<isENDCAllowed>{allowed}</isENDCAllowed></attributes></NRCellRelation>"
    )
    configure(station, within_enb(f"<EUtranCellFDD><id>1</id>{relation}</EUtranCellFDD>", station.id))


def x2(station: Station, *planes: str) -> None:
    """Give the NR functions of a station an end of X2 in each plane (C, U) to an anchor of another one."""
    for plane in planes:
        _end_point(station, f"EP_X2{plane}", "T-LTE-1", 900, "10.99.0.1")


def s1u_of_gnb(station: Station) -> None:
    """Give the CU-UP of a station a user plane to the S-GWs of the first tenant (EN-DC, options 3a and 3x)."""
    _end_point(station, "EP_S1U", "andes-s1u", 101, "10.41.9.1")


def _end_point(station: Station, end: str, name: str, vlan: int, far: str) -> None:
    function, namespace = ("GNBCUCPFunction", GNBCUCP) if end.endswith("C") else ("GNBCUUPFunction", GNBCUUP)
    near = f"<localAddress><ipAddress>10.99.0.4</ipAddress><vlanId>{vlan}</vlanId></localAddress>"
    inside = f"<id>{name}</id><attributes>{near}<remoteAddress>{far}</remoteAddress></attributes>"
    text = f'<{function} xmlns="{namespace}"><id>1</id><{end} xmlns="{EP}">{inside}</{end}></{function}>'
    configure(station, f'<ManagedElement xmlns="{ME}"><id>{station.id}</id>{text}</ManagedElement>')


def configure_nr(station: Station, policies: str = "", served: str = "", *, linked: bool = True) -> None:
    """Configure the NR functions of a station so, with core links as T-NR-1 has them or without."""
    slices = "".join(
        f"<pLMNInfoList><mcc>999</mcc><mnc>{mnc}</mnc><sd>{sd}</sd><sst>1</sst></pLMNInfoList>"
        for mnc, sd in (("01", "0000A1"), ("02", "0000B1"))
    )
    leaves = {
        "priorityLabel": "1",
        "cellLocalId": "1",
        "administrativeState": "UNLOCKED",
        "nRPCI": "31",
        "arfcnDL": "640000",
        "bSChannelBwDL": "50",
        "ssbFrequency": "640000",
        "ssbPeriodicity": "20",
        "ssbSubCarrierSpacing": "30",
        "ssbOffset": "0",
        "ssbDuration": "1",
        "nRSectorCarrierRef": f"ManagedElement={station.id},GNBDUFunction=1,NRSectorCarrier=1",
    }
    attributes = "".join(f"<{name}>{value}</{name}>" for name, value in leaves.items())
    links, user_plane = (_ng("EP_NgC", "amf", 1), _ng("EP_NgU", "upf", 2)) if linked else ("", "")
    configure(
        station,
        f'<ManagedElement xmlns="{ME}"><id>{station.id}</id>'
        f'<GNBCUCPFunction xmlns="{GNBCUCP}"><id>1</id><attributes><priorityLabel>1</priorityLabel>'
        "<gNBCUName>cu</gNBCUName><gNBId>5003</gNBId><gNBIdLength>24</gNBIdLength><pLMNId><mcc>999</mcc><mnc>01</mnc></pLMNId></attributes>"
        f'<NRCellCU xmlns="{NR_CU_CELL}"><id>n78-1</id><attributes><priorityLabel>1</priorityLabel>'
        f"<cellLocalId>1</cellLocalId>{slices}</attributes></NRCellCU>{links}</GNBCUCPFunction>"
        f'<GNBCUUPFunction xmlns="{GNBCUUP}"><id>1</id><attributes><priorityLabel>1</priorityLabel><gNBId>5003</gNBId>'
        f"<gNBIdLength>24</gNBIdLength>{served}</attributes>{user_plane}</GNBCUUPFunction>"
        f'<GNBDUFunction xmlns="{GNBDU}"><id>1</id><attributes><priorityLabel>1</priorityLabel><gNBId>5003</gNBId>'
        "<gNBIdLength>24</gNBIdLength><gNBDUId>1</gNBDUId></attributes>"
        f'<NRCellDU xmlns="{NR_CELL}"><id>n78-1</id><attributes>{attributes}{slices}</attributes>{policies}</NRCellDU>'
        "</GNBDUFunction></ManagedElement>",
    )


def _ng(name: str, node: str, part: int) -> str:
    return "".join(
        f'<{name} xmlns="{EP}"><id>{tenant}-{node}-1</id><attributes><localAddress><ipAddress>10.99.0.3</ipAddress>'
        f"<vlanId>{60 + net}</vlanId></localAddress><remoteAddress>10.{net}.{part}.1</remoteAddress>"
        f"</attributes></{name}>"
        for tenant, net in (("andes", 41), ("condor", 42))
    )


def own_cell(station: Station, mnc: str, sd: str, state: str = "UNLOCKED") -> None:
    """Put a PLMN with its slice into its tenant's own cell on the NR cell, and not among those that share that."""
    plmn = f"<mcc>999</mcc><mnc>{mnc}</mnc><sd>{sd}</sd><sst>1</sst>"
    identity = "<priorityLabel>1</priorityLabel><gNBId>70</gNBId><gNBIdLength>24</gNBIdLength><gNBDUId>1</gNBDUId>"
    configure(
        station,
        f'<ManagedElement xmlns="{ME}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"><id>{station.id}</id>'
        f'<GNBDUFunction xmlns="{GNBDU}"><id>1</id><NRCellDU xmlns="{NR_CELL}"><id>n78-1</id><attributes>'
        f'<pLMNInfoList nc:operation="remove">{plmn}</pLMNInfoList></attributes></NRCellDU>'
        f'<OperatorDU xmlns="{OPERATOR_DU}"><id>condor</id><attributes>{identity}</attributes>{identity}'
        f'<NROperatorCellDU xmlns="{OPERATOR_CELL}"><id>n78-1</id><attributes>{identity}<cellLocalId>5</cellLocalId>'
        f"<administrativeState>{state}</administrativeState><pLMNInfoList>{plmn}</pLMNInfoList><nRTAC>900</nRTAC>"
        f"<nRCellDURef>ManagedElement={station.id},GNBDUFunction=1,NRCellDU=n78-1</nRCellDURef></attributes>"
        f"{identity}</NROperatorCellDU></OperatorDU></GNBDUFunction></ManagedElement>",
    )


def divide(station: Station, resource: str, *policies: str) -> None:
    """Divide connected users (RRC) of the NR cell, or bearers (DRB) of the station's user plane."""
    inside = "".join(policies)
    function = f'<GNBCUUPFunction xmlns="{GNBCUUP}"><id>1</id>{inside}</GNBCUUPFunction>'
    if resource == "RRC":
        cell_ = f'<NRCellCU xmlns="{NR_CU_CELL}"><id>n78-1</id>{inside}</NRCellCU>'
        function = f'<GNBCUCPFunction xmlns="{GNBCUCP}"><id>1</id>{cell_}</GNBCUCPFunction>'
    configure(station, f'<ManagedElement xmlns="{ME}"><id>{station.id}</id>{function}</ManagedElement>')


def policy(name: str, mnc: str, sd: str, minimum: int, maximum: int, resource: str = "PRB") -> str:
    return (
        f'<RRMPolicyRatio xmlns="{RRM}"><id>{name}</id><attributes><resourceType>{resource}</resourceType>'
        f"<rRMPolicyMemberList><mcc>999</mcc><mnc>{mnc}</mnc><sd>{sd}</sd><sst>1</sst></rRMPolicyMemberList>"
        f"<rRMPolicyMaxRatio>{maximum}</rRMPolicyMaxRatio><rRMPolicyMinRatio>{minimum}</rRMPolicyMinRatio>"
        "</attributes></RRMPolicyRatio>"
    )
