"""Profile ``nr-28541``: NR stations in the names and namespaces of TS 28.541, Release 17.

Decisions:
    - A tenant without slices is broadcast with S-NSSAI SST 1 (eMBB) and no SD, since an entry of
      pLMNInfoList can't be without one.
    - The user plane serves the PLMNs and slices of all cells, those of tenants with own cells too.
    - One RRMPolicyRatio per share, below what divides the resource, of the places that TS 28.541 §4.3.36 names: PRBs
      below NRCellDU, RRC connected users below NRCellCU, data radio bearers below GNBCUUPFunction.
    - The parts of a gNB may be at several endpoints: then each has the functions of its parts only. A central unit has
      the cells of many stations, each by the names of station and cell with a dot between, which no id has. F1 and E1
      have an end point at both ends, called like the station at the other end.
    - In EN-DC (options 3a and 3x) the user plane of LTE ends at the gNB too: EP_S1U has the remote address that the
      official YANG wants, the first of the tenant's S-GWs, though the MME names the S-GW of each session.
    - ANR may not remove a neighbour relation of ours. One to an NR cell starts with a relation to the frequency of that
      cell's SSB: that which the cell has, else one of ours, whose thresholds are start values, since they are planned
      apart. It names a frequency in an NRNetwork of ours, beside what is known of cells elsewhere
      (``controller.nrm.profiles.externals``).
    - A relation to an LTE cell names no relation to its frequency (EUtranFreqRelation): TS 28.541 has none there. tCI,
      which the official YANG wants, starts as ECI and PCI in one number, and is the station's to keep up.
    - The official YANG wants a non-public network and remote interference management (RIM) of every cell, though
      TS 28.541 makes both conditional: a new cell gets an entry without identities, and a monitoring that ends when it
      begins, with sets that nobody made. Cells that exist keep what they have.
    - What a cell needs and no network file says is a start value: the SSB stands on the raster point next to the
      carrier's centre (TS 38.104 §5.4.3), and moves there where a retuned carrier would no longer hold it.
    - A cell has one sector carrier, beside it and of its name. A cell on air that names another keeps it.
    - A sector carrier starts with 20 W at the antenna port, and where no file names the licensed EIRP with one that no
      antenna reaches with its power, so that the power alone limits it. The official YANG wants both; TS 28.541 lets a
      station support one of them.
    - nRFrequencyRef is left alone: of NRCellCU it is the station's to set, of NRCellDU it is optional, and NRFrequency
      stands above the managed element, in SubNetwork or NRNetwork.
    - TS 28.541 has no PRACH root sequence, in NRCellDU or elsewhere: one that network files give is a finding
      ``unenforceable``. DRACHOptimizationFunction only says whether the gNB chooses one itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from controller.inventory.radio import dbm_of, milliwatts, ssb_khz, ssb_next_to, ssb_problem
from controller.models.facts import (
    BroadcastFact,
    CellFact,
    CoreLinkFact,
    GnbPart,
    Interface,
    LinkKind,
    Midhaul,
    MidhaulFact,
    NeighbourFact,
    Owners,
    OwnIdentity,
    ShareFact,
    StationFact,
)
from controller.models.network import Plmn, Rat, ResourceType, Snssai, mcc_mnc
from controller.models.untrusted import natural
from controller.nrm import namespaces as ns
from controller.nrm.profiles import npn
from controller.nrm.profiles.base import (
    CONTROL_PLANE,
    FUNCTION_ID,
    PLMN_AND_SLICE_KEYS,
    PLMN_KEYS,
    PRIORITY_LABEL,
    USER_LABEL,
    USER_PLANE,
    Output,
    Profile,
    StationFacts,
    administrative_state,
    anr_switches,
    availability_status,
    cell_state,
    local_address,
    number,
    operational_state,
    peer_end_points,
    relation,
    relation_id,
    relation_leaves,
    render_peer,
    state,
    switched,
    tenant_of,
)
from controller.nrm.profiles.externals import AROUND, cell_name, render_adjacent, render_frequency
from controller.nrm.profiles.values import address, instant, integer, slice_differentiator
from controller.nrm.schema import LeafRole, LeafSpec, Mutability, NodeRole, NodeSpec, Start
from controller.nrm.tree import LeafName, Leaves, Path, Tree, Value, child, parent, step, steps

_LOCKED = Mutability.LOCKED
_CREATE_ONLY = Mutability.CREATE_ONLY
_EMBB = (Snssai(sst=1),)
#: Most power of a new sector carrier in mW, at the antenna port.
_START_POWER = "20000"
#: Decibels by which the EIRP of a new sector carrier exceeds its power: more than an antenna gains.
_NO_ANTENNA_GAINS = 30
#: No monitoring of remote interference: it ends when it begins, long ago.
_RIM_TIMES = dict.fromkeys(("rimRSMonitoringStartTime", "rimRSMonitoringStopTime"), "2000-01-01T00:00:00Z")
#: The smallest values that TS 28.541 allows; they have no effect then.
_RIM_NUMBERS = {
    "rimRSMonitoringWindowDuration": "1",
    "rimRSMonitoringWindowStartingOffset": "0",
    "rimRSMonitoringWindowPeriodicity": "24",
    "rimRSMonitoringOccasionInterval": "1",
    "rimRSMonitoringOccasionStartingOffset": "0",
}
_RIM_SETS = ("victimSetRef", "aggressorSetRef")


def _beside(kind: str, levels: int) -> Start:
    """Name of an object with the entry's own id, in the object that is ``levels`` above the entry."""

    def name(path: Path, _leaves: Leaves, _wanted: Tree) -> str:
        above = [f"{name}={keys[0]}" for name, keys in steps(path)]
        return ",".join((*above[:-levels], f"{kind}={step(path)[1][0]}"))

    return name


def _no_rim_set(path: Path, _leaves: Leaves, _wanted: Tree) -> Value:
    name, (station,) = next(steps(path))
    return f"{name}={station},RimRSSet=none"


def _its_carrier(path: Path, leaves: Leaves, wanted: Tree) -> Value:
    return (str(_beside("NRSectorCarrier", 1)(path, leaves, wanted)),)


def _no_network(path: Path, _leaves: Leaves, wanted: Tree) -> Value:
    """An entry of nPNIdentityList with the primary PLMN, which is first among those on air."""
    first = next((one for one in wanted if one.startswith(f"{path}/{_DU_INFO.name}[")), None)
    return () if first is None else (npn.of_nobody(_DU_INFO.plmn_of(first)),)


def _ssb(_path: Path, leaves: Leaves, _wanted: Tree) -> Value:
    """Place of the SSB, if the carrier contains it; otherwise the raster point nearest to the carrier's centre."""
    carrier = int(str(leaves["arfcnDL"]))
    now = str(leaves.get("ssbFrequency", ""))
    place = natural(now)
    holds = place is not None and ssb_problem(place, carrier, float(str(leaves["bSChannelBwDL"]))) is None
    return now if holds else str(ssb_next_to(carrier))


def _ssb_spacing(_path: Path, leaves: Leaves, _wanted: Tree) -> Value:
    return str(ssb_khz(int(str(leaves["ssbFrequency"]))))


def _unlimiting_eirp(_path: Path, leaves: Leaves, _wanted: Tree) -> Value:
    return str(round(dbm_of(int(str(leaves["configuredMaxTxPower"])))) + _NO_ANTENNA_GAINS)


_INFO_KEYS = ("mcc", "mnc", "sd", "sst")
_INFO_NORMALISERS: dict[str, Callable[[str], str]] = {"sd": slice_differentiator, "sst": integer}


def _info_list(name: str, namespace: str, label: str, role: NodeRole | None = None) -> NodeSpec:
    return NodeSpec(
        name,
        namespace,
        keys=_INFO_KEYS,
        role=role,
        key_roles=PLMN_AND_SLICE_KEYS,
        key_normalisers=_INFO_NORMALISERS,
        attributes=False,
        in_attributes=True,
        minimum=1,
        label=label,
    )


_GLOBAL_PLMN = NodeSpec(
    "pLMNId",
    ns.GNBCUCP_FUNCTION,
    keys=("mcc", "mnc"),
    role=NodeRole.NODE_PLMN,
    key_roles=PLMN_KEYS,
    attributes=False,
    in_attributes=True,
    mutability=Mutability.RESTART,
    single=True,
    minimum=1,
    label="PLMN of the global gNB id",
)
_CU_INFO = _info_list("pLMNInfoList", ns.NR_CELL_CU, "PLMN and slice (CU)", NodeRole.BROADCAST)
_DU_INFO = replace(_info_list("pLMNInfoList", ns.NR_CELL_DU, "PLMN and slice", NodeRole.BROADCAST), user_ordered=True)
_MEMBER = _info_list("rRMPolicyMemberList", ns.RRM_POLICY, "member of the radio share")
_UP_INFO = replace(_info_list("pLMNInfoList", ns.GNBCUUP_FUNCTION, "PLMN and slice (user plane)"), minimum=0)
_LOCAL = local_address(ns.NR_EP)
_ADJACENT = "adjacentNRCellRef"
_RELATION = relation(
    "NRCellRelation",
    ns.NR_CELL_RELATION,
    _ADJACENT,
    LeafSpec("nRTCI"),
    LeafSpec("nRFreqRelationRef", initial=True, roles=(LeafRole.FREQUENCY_RELATION,)),
)
_ADJACENT_LTE = "adjacentCell"
#: YES and NO, where other relations have true and false.
_LTE_RELATION = relation(
    "EUtranCellRelation",
    ns.EUTRAN_CELL_RELATION,
    _ADJACENT_LTE,
    USER_LABEL,
    PRIORITY_LABEL,
    number("tCI", initial=True),
    LeafSpec("isENDCAllowed", label="EN-DC"),
    *(LeafSpec(name, start="NO") for name in ("isICICInformationSendAllowed", "isLBAllowed", "isESCoveredBy")),
    number("qOffset", start="0"),
    allowed=None,
)
#: Thresholds of a new relation to a frequency: idle users stay where they are, and no cell is too weak for them.
_THRESHOLDS = {
    "qRxLevMin": "-140",
    "threshXHighP": "62",
    "threshXHighQ": "31",
    "threshXLowP": "62",
    "threshXLowQ": "31",
    "tReselectionNR": "1",
    "tReselectionNRSfHigh": "100",
    "tReselectionNRSfMedium": "100",
}
_FREQ_RELATION = NodeSpec(
    "NRFreqRelation",
    ns.NR_FREQ_RELATION,
    leaves=(
        *(number(name, initial=True, start=value) for name, value in _THRESHOLDS.items()),
        LeafSpec("nRFrequencyRef", initial=True, roles=(LeafRole.FREQUENCY,)),
    ),
    self_made=True,
    label="relation to a frequency",
)
_GNB_IDENTITY = (
    USER_LABEL,
    PRIORITY_LABEL,
    number("gNBId", "gNB id", mutability=_CREATE_ONLY, roles=(LeafRole.NODE_ID,)),
    number("gNBIdLength", "length of the gNB id", mutability=_CREATE_ONLY, roles=(LeafRole.NODE_ID_LENGTH,)),
)


def _own_identity() -> tuple[LeafSpec, ...]:
    """Leaves of the gNB id that a tenant has for itself; they are not the station's."""
    return (
        number("gNBId", "gNB id", mutability=_CREATE_ONLY, roles=(LeafRole.OWN_NODE_ID,)),
        number("gNBIdLength", "length of the gNB id", mutability=_CREATE_ONLY, roles=(LeafRole.OWN_NODE_ID_LENGTH,)),
        number("gNBDUId", "gNB-DU id", start=FUNCTION_ID),
    )


def _endpoint(name: str, kind: LinkKind, far_end: str, label: str, *roles: LeafRole) -> NodeSpec:
    return NodeSpec(
        name,
        ns.NR_EP,
        leaves=(
            USER_LABEL,
            state("farEndEntity"),
            LeafSpec("remoteAddress", normalise=address, label=far_end, roles=roles),
            operational_state(ns.EP_STATE),
        ),
        children=(_LOCAL,),
        link=kind,
        label=label,
    )


_NGC = _endpoint("EP_NgC", LinkKind.NGC, "AMF address", "NG-C link", LeafRole.REMOTE_ADDRESS)
_NGU = _endpoint("EP_NgU", LinkKind.NGU, "UPF address", "NG-U link", LeafRole.REMOTE_ADDRESS)
_S1U = _endpoint("EP_S1U", LinkKind.S1U, "S-GW address", "S1-U end point")


def _midhaul(interface: Midhaul) -> NodeSpec:
    leaves = (USER_LABEL, LeafSpec("remoteAddress", normalise=address, label="far end"))
    name, label = f"EP_{interface}", f"end point of {interface[:2]}{'-' * (len(interface) > 2)}{interface[2:]}"
    return NodeSpec(name, ns.NR_EP, leaves=leaves, children=(_LOCAL,), role=NodeRole.MIDHAUL, label=label)


_F1C, _F1U, _E1 = (_midhaul(interface) for interface in (Midhaul.F1C, Midhaul.F1U, Midhaul.E1))
_MIDHAUL = {Midhaul.F1C: _F1C, Midhaul.F1U: _F1U, Midhaul.E1: _E1}
_POLICY = NodeSpec(
    "RRMPolicyRatio",
    ns.RRM_POLICY,
    leaves=(
        LeafSpec("resourceType", label="resource", roles=(LeafRole.SHARE_RESOURCE,)),
        number("rRMPolicyMaxRatio", "maximum %", default="100", roles=(LeafRole.SHARE_MAX,)),
        number("rRMPolicyMinRatio", "minimum %", default="0", roles=(LeafRole.SHARE_MIN,)),
        number("rRMPolicyDedicatedRatio", "dedicated %", default="0", roles=(LeafRole.SHARE_DEDICATED,)),
    ),
    role=NodeRole.SHARE,
    children=(_MEMBER,),
    label="radio share",
)
_CELL_CU = NodeSpec(
    "NRCellCU",
    ns.NR_CELL_CU,
    leaves=(
        USER_LABEL,
        PRIORITY_LABEL,
        number("cellLocalId", "local id", mutability=_CREATE_ONLY),
        state("nRFrequencyRef"),
    ),
    children=(_CU_INFO, _POLICY, _RELATION, _FREQ_RELATION, _LTE_RELATION),
    role=NodeRole.CELL_PART,
    label="cell (CU)",
)
#: Of a cell, and of the sector carrier that transmits it.
_CARRIER = (
    number("arfcnDL", "downlink ARFCN", mutability=_LOCKED, roles=(LeafRole.ARFCN_DL,)),
    number("arfcnUL", "uplink ARFCN", mutability=_LOCKED, roles=(LeafRole.ARFCN_UL,)),
    number("bSChannelBwDL", "downlink bandwidth MHz", mutability=_LOCKED, roles=(LeafRole.BANDWIDTH,)),
    number("bSChannelBwUL", "uplink bandwidth MHz", mutability=_LOCKED),
)
_CELL_DU = NodeSpec(
    "NRCellDU",
    ns.NR_CELL_DU,
    leaves=(
        USER_LABEL,
        PRIORITY_LABEL,
        number("cellLocalId", "local id", mutability=_CREATE_ONLY, roles=(LeafRole.LOCAL_ID,)),
        administrative_state("LOCKED"),
        operational_state(),
        cell_state(),
        state("usageState", namespace=ns.EP_STATE),
        availability_status(ns.EP_STATE),
        number("nRPCI", "PCI", mutability=_LOCKED, roles=(LeafRole.PCI,)),
        number("nRTAC", "TAC", mutability=_LOCKED, roles=(LeafRole.TAC,)),
        *_CARRIER,
        LeafSpec(
            "ssbFrequency",
            mutability=_LOCKED,
            normalise=integer,
            label="SSB ARFCN",
            start=_ssb,
            follows=("arfcnDL", "bSChannelBwDL"),
            roles=(LeafRole.SSB,),
        ),
        number("ssbPeriodicity", mutability=_LOCKED, start="20"),
        number("ssbSubCarrierSpacing", mutability=_LOCKED, start=_ssb_spacing),
        number("ssbOffset", mutability=_LOCKED, start="0"),
        number("ssbDuration", mutability=_LOCKED, start="1"),
        LeafSpec(
            "nRSectorCarrierRef", leaf_list=True, mutability=_LOCKED, start=_its_carrier, roles=(LeafRole.CARRIERS,)
        ),
        LeafSpec("nPNIdentityList", leaf_list=True, mutability=_LOCKED, start=_no_network, entry=npn.ENTRY),
        *(LeafSpec(name, normalise=instant, start=value) for name, value in _RIM_TIMES.items()),
        *(number(name, start=value) for name, value in _RIM_NUMBERS.items()),
        *(LeafSpec(name, start=_no_rim_set) for name in _RIM_SETS),
    ),
    children=(_DU_INFO, _POLICY),
    role=NodeRole.CELL,
    label="cell",
)
_SECTOR_CARRIER = NodeSpec(
    "NRSectorCarrier",
    ns.NR_SECTOR_CARRIER,
    leaves=(
        USER_LABEL,
        PRIORITY_LABEL,
        LeafSpec("txDirection", mutability=_LOCKED, start="DL_AND_UL"),
        number(
            "configuredMaxTxPower",
            "transmission power mW",
            mutability=_LOCKED,
            start=_START_POWER,
            roles=(LeafRole.POWER_MILLIWATTS,),
        ),
        number("configuredMaxTxEIRP", "EIRP dBm", mutability=_LOCKED, start=_unlimiting_eirp),
        *_CARRIER,
        LeafSpec("sectorEquipmentFunctionRef", start=_beside("SectorEquipmentFunction", 2)),
    ),
    role=NodeRole.CARRIER,
    label="sector carrier",
)
#: Of DANRManagementFunction (TS 28.541), whose attributes the official YANG has in the function itself.
_ANR = anr_switches(
    "DANRManagementFunction",
    "intrasystemANRManagementSwitch",
    "intersystemANRManagementSwitch",
    namespace=ns.DANR_MANAGEMENT_FUNCTION,
    beside=True,
)
_CUCP = NodeSpec(
    "GNBCUCPFunction",
    ns.GNBCUCP_FUNCTION,
    leaves=(*_GNB_IDENTITY, LeafSpec("gNBCUName", label="name"), *_ANR),
    children=(_GLOBAL_PLMN, _CELL_CU, _E1, _F1C, _NGC, *peer_end_points(ns.NR_EP, CONTROL_PLANE, *Interface)),
    label="gNB-CU-CP",
)
_CUUP = NodeSpec(
    "GNBCUUPFunction",
    ns.GNBCUUP_FUNCTION,
    role=NodeRole.USER_PLANE,
    leaves=(*_GNB_IDENTITY, state("gNBCUUPId")),
    children=(
        _UP_INFO,
        _POLICY,
        _E1,
        _F1U,
        _NGU,
        _S1U,
        *peer_end_points(ns.NR_EP, USER_PLANE, *Interface),
    ),
    label="gNB-CU-UP",
)
#: What the official YANG has twice in a tenant's own DU and cells: among the attributes, and beside them.
_OWN_GNB_IDENTITY = tuple(replace(leaf, doubled=True) for leaf in (PRIORITY_LABEL, *_own_identity()))
_OWN_INFO = _info_list("pLMNInfoList", ns.NR_OPERATOR_CELL_DU, "PLMN and slice of its own cell", NodeRole.BROADCAST)
_OWN_CELL = NodeSpec(
    "NROperatorCellDU",
    ns.NR_OPERATOR_CELL_DU,
    leaves=(
        *_OWN_GNB_IDENTITY,
        number("cellLocalId", "local id", mutability=_CREATE_ONLY, roles=(LeafRole.LOCAL_ID,)),
        administrative_state("LOCKED"),
        number("nRTAC", "TAC", roles=(LeafRole.TAC,)),
        LeafSpec("nRCellDURef", leaf_list=True, mutability=_CREATE_ONLY, roles=(LeafRole.HOST_CELLS,)),
    ),
    children=(_OWN_INFO,),
    role=NodeRole.CELL_PART,
    label="own cell",
)
_OWN_DU = NodeSpec(
    "OperatorDU",
    ns.NR_OPERATOR_DU,
    leaves=_OWN_GNB_IDENTITY,
    children=(_OWN_CELL,),
    label="own gNB-DU",
)
_DU = NodeSpec(
    "GNBDUFunction",
    ns.GNBDU_FUNCTION,
    leaves=(*_GNB_IDENTITY, number("gNBDUId", "gNB-DU id", start=FUNCTION_ID), LeafSpec("gNBDUName", label="name")),
    children=(_SECTOR_CARRIER, _CELL_DU, _OWN_DU, _F1C, _F1U),
    label="gNB-DU",
)


def _render(facts: StationFacts, element: Path, out: Output) -> None:
    functions = _render_functions(facts.station, element, out)
    for cell in facts.on_air(Rat.NR):
        _render_cell(facts, cell, functions, out)
    for share in facts.shares.get("", ()):
        _render_share(share, functions.cuup, out)
    for link in (one for one in facts.links if one.rat is Rat.NR):
        if link.kind is LinkKind.NGC:
            _render_link(_NGC, link, functions.cucp, out)
        elif link.kind is LinkKind.NGU:
            _render_link(_NGU, link, functions.cuup, out)
        elif link.kind is LinkKind.S1U:
            _render_link(_S1U, link, functions.cuup, out)
    for peer in (one for one in facts.peers if one.rat is Rat.NR):
        render_peer(peer, _CUCP, CONTROL_PLANE, functions.cucp, out)
        render_peer(peer, _CUUP, USER_PLANE, functions.cuup, out)
    for end in facts.midhaul:
        _render_midhaul(end, next(filter(None, (functions.du, functions.cucp, functions.cuup))), out)


class _Functions(NamedTuple):
    """Paths of the functions at an endpoint, empty for functions elsewhere."""

    cucp: Path
    cuup: Path
    du: Path


def _render_functions(station: StationFact, element: Path, out: Output) -> _Functions:
    identity: dict[LeafName, Value] = {"gNBId": str(station.gnb_id), "gNBIdLength": str(station.gnb_id_length)}
    unit: dict[LeafName, Value] = {} if station.gnb_du_id is None else {"gNBDUId": str(station.gnb_du_id)}
    known: dict[GnbPart, tuple[NodeSpec, dict[LeafName, Value]]] = {
        GnbPart.CU_CP: (_CUCP, {**identity, "gNBCUName": station.name, **switched(_ANR, station.anr)}),
        GnbPart.CU_UP: (_CUUP, identity),
        GnbPart.DU: (_DU, {**identity, **unit, "gNBDUName": station.name}),
    }
    paths = {
        part: out.add(spec, element, (FUNCTION_ID,), leaves, station.owners)
        for part, (spec, leaves) in known.items()
        if part in station.parts
    }
    functions = _Functions(*(paths.get(part, "") for part in known))
    if station.gnb_plmn and functions.cucp:
        out.add(_GLOBAL_PLMN, functions.cucp, mcc_mnc(station.gnb_plmn), owners=station.owners)
    return functions


def _render_cell(facts: StationFacts, cell: CellFact, functions: _Functions, out: Output) -> None:
    identity: dict[LeafName, Value] = {"cellLocalId": str(cell.local_id)}
    cu_path = out.add(_CELL_CU, functions.cucp, (cell.cell,), identity, cell.owners) if functions.cucp else ""
    du_path = _render_du_cell(cell, identity, functions.du, out) if functions.du else ""
    for broadcast in facts.broadcasts[cell.cell]:
        for keys in _infos((broadcast.plmn,), broadcast.slices):
            if functions.cuup:
                out.add(_UP_INFO, functions.cuup, keys, owners=broadcast.owners)
            if cu_path:
                out.add(_CU_INFO, cu_path, keys, owners=broadcast.owners)
        if du_path:
            _render_on_air(cell, broadcast, du_path, out)
    for share in facts.shares.get(cell.cell, ()):
        _render_share(share, cu_path if share.resource is ResourceType.RRC else du_path, out)
    for neighbour in facts.neighbours.get(cell.cell, ()):
        _render_neighbour(neighbour, cu_path, out)


def _render_du_cell(cell: CellFact, identity: dict[LeafName, Value], du: Path, out: Output) -> Path:
    """The DU's half of a cell, with its sector carrier."""
    carrier = _carrier(cell)
    out.add(_SECTOR_CARRIER, du, (cell.cell,), {**carrier, **_power(cell)}, cell.owners)
    if cell.prach_root is not None:
        where = f"cell {cell.station}/{cell.cell}"
        message = f"the PRACH root {cell.prach_root} of {where} can't be written: TS 28.541 has no attribute for it"
        out.find("unenforceable", message, cell=cell.cell)
    return out.add(_CELL_DU, du, (cell.cell,), {**identity, **carrier, **_codes(cell)}, cell.owners)


def _render_on_air(cell: CellFact, broadcast: BroadcastFact, path: Path, out: Output) -> None:
    own = broadcast.own
    place = path if own is None else _render_own(cell, broadcast.owners, own, parent(path), out)
    for keys in _infos((broadcast.plmn,), broadcast.slices):
        out.add(_DU_INFO if own is None else _OWN_INFO, place, keys, owners=broadcast.owners)


def _render_neighbour(neighbour: NeighbourFact, cell: Path, out: Output) -> None:
    other = render_adjacent(neighbour, out)
    if neighbour.neighbour_ssb is None:
        _render_lte_neighbour(neighbour, other, cell, out)
        return
    ssb = str(neighbour.neighbour_ssb)
    here = cell_name(neighbour.station, _CUCP.name, _CELL_CU.name, neighbour.cell)
    leaves = {**relation_leaves(neighbour, _ADJACENT, other), "nRFreqRelationRef": f"{here},NRFreqRelation={ssb}"}
    its = {"nRFrequencyRef": render_frequency(neighbour.neighbour_ssb, neighbour.owners, out)}
    out.add(_FREQ_RELATION, cell, (ssb,), its, neighbour.owners)
    out.add(_RELATION, cell, (relation_id(neighbour),), leaves, neighbour.owners)


def _render_lte_neighbour(neighbour: NeighbourFact, other: str, cell: Path, out: Output) -> None:
    """A neighbour that is LTE; where it is an anchor of this cell, users have both (EN-DC)."""
    leaves: dict[LeafName, Value] = {
        _ADJACENT_LTE: other,
        "isRemoveAllowed": "NO",
        "isHOAllowed": "YES" if neighbour.handover else "NO",
        "isENDCAllowed": "YES" if neighbour.anchored else "NO",
        "tCI": str(neighbour.neighbour_tci or 0),
    }
    out.add(_LTE_RELATION, cell, (relation_id(neighbour),), leaves, neighbour.owners)


def _render_own(cell: CellFact, owners: Owners, own: OwnIdentity, du: Path, out: Output) -> Path:
    """The tenant's own cell on a cell of the host, in a DU of its own."""
    identity: dict[LeafName, Value] = {"gNBId": str(own.node_id), "gNBIdLength": str(own.node_id_length)}
    operator = out.add(_OWN_DU, du, (tenant_of(owners),), identity, owners)
    hosts = f"ManagedElement={cell.station},GNBDUFunction={FUNCTION_ID},NRCellDU={cell.cell}"
    leaves = {**identity, "cellLocalId": str(own.local_id), "nRTAC": str(own.tac), "nRCellDURef": (hosts,)}
    return out.add(_OWN_CELL, operator, (cell.cell,), leaves, owners)


def _carrier(cell: CellFact) -> dict[LeafName, Value]:
    bandwidth = str(round(cell.bandwidth_mhz))
    return {
        "arfcnDL": str(cell.arfcn_dl),
        "arfcnUL": str(cell.arfcn_ul),
        "bSChannelBwDL": bandwidth,
        "bSChannelBwUL": bandwidth,
    }


def _power(cell: CellFact) -> dict[LeafName, Value]:
    power, eirp = cell.max_tx_power_dbm, cell.max_eirp_dbm
    return {
        **({} if power is None else {"configuredMaxTxPower": str(milliwatts(power))}),
        **({} if eirp is None else {"configuredMaxTxEIRP": str(math.floor(eirp))}),
    }


def _codes(cell: CellFact) -> dict[LeafName, Value]:
    ssb = {} if cell.ssb_arfcn is None else {"ssbFrequency": str(cell.ssb_arfcn)}
    return {"nRPCI": str(cell.pci), "nRTAC": str(cell.tac), **ssb}


def _infos(plmns: tuple[Plmn, ...], slices: tuple[Snssai, ...]) -> list[tuple[str, str, str, str]]:
    ordered = sorted((one.sst, one.sd) for one in slices or _EMBB)
    return [(*mcc_mnc(plmn), sd, str(sst)) for plmn in plmns for sst, sd in ordered]


def _render_share(share: ShareFact, divides: Path, out: Output) -> None:
    policy = out.add(
        _POLICY,
        divides,
        ("-".join(filter(None, (tenant_of(share.owners), share.resource.lower(), share.part))),),
        {
            "resourceType": str(share.resource),
            "rRMPolicyMaxRatio": str(share.max),
            "rRMPolicyMinRatio": str(share.min),
            "rRMPolicyDedicatedRatio": str(share.dedicated),
        },
        share.owners,
    )
    for keys in _infos(tuple(sorted(share.plmns)), share.slices):
        out.add(_MEMBER, policy, keys, owners=share.owners)


def _render_link(spec: NodeSpec, link: CoreLinkFact, function: Path, out: Output) -> None:
    owners: Owners = link.owners
    path = out.add(spec, function, (link.id,), {"remoteAddress": address(link.remote_address)}, owners)
    out.add(_LOCAL, path, (address(link.local_address), str(link.vlan)), owners=owners)


def _render_midhaul(end: MidhaulFact, function: Path, out: Output) -> None:
    spec, leaves = _MIDHAUL[end.interface], {"remoteAddress": address(end.remote_address)}
    path = out.add(spec, function, (end.peer,), leaves, end.owners)
    out.add(_LOCAL, path, (address(end.local_address), str(end.vlan)), owners=end.owners)


def _cell_path(element: Path, cell: str, _band: str) -> Path:
    return child(child(element, _DU.name, FUNCTION_ID), _CELL_DU.name, cell)


PROFILE = Profile(
    name="nr-28541",
    rat=Rat.NR,
    functions=(_CUCP, _CUUP, _DU),
    beside=AROUND,
    links=(LinkKind.NGC, LinkKind.NGU, LinkKind.S1U),
    families=("CARR", "DRB", "MM", "QF", "QosFlow", "RRC", "RRU", "SM", "UECNTX"),
    render=_render,
    cell_path=_cell_path,
)
