"""Profile ``lte-28658``: LTE stations modelled like TS 28.658, with a radio share per PLMN as vendors have it.

Decisions:
    - TS 28.658 has no cellState: where a station has one as a vendor's extension, it counts; elsewhere a cell
      serves that is UNLOCKED and ENABLED.
    - Radio shares are per PLMN and cover PRBs of both directions only. A share of several PLMNs can't
      be written as one pot: the guarantees go to the first PLMN of the share (the cell's primary, else
      the lowest), the others get the same ceiling without guarantee, and a finding says so.
    - Shares of PRB_UL, PRB_DL, RRC and DRB are findings ``unenforceable``.
    - The MME names the S-GW of each session, so that EP_S1U has a near end only, one for each tenant; its state is that
      of the GTP-U paths (TS 29.281 §7.2, echo).
    - ANR may not remove a neighbour relation of ours. What is known of cells elsewhere stands beside ManagedElement
      (``controller.nrm.profiles.externals``).
    - Power is written as maximumTransmissionPower, in the station's unit: tenths of a dBm, if files say nothing else
      (``lte_power_unit``), since no text of TS 28.658 that we found says it; referenceSignalPower is left as it is. The
      PRACH root sequence is rootSequenceIndex (TS 28.658 §4.3.21, EUtranCellNMCentralizedSON).
    - TDD cells are those in bands 33 to 53 (TS 36.101 §5.5); their frame configuration starts as
      2/7 and is then left as it is.
"""

from __future__ import annotations

import math

from controller.inventory.radio import BANDS, joined_identity
from controller.models.facts import BroadcastFact, CellFact, CoreLinkFact, Interface, LinkKind, NeighbourFact, ShareFact
from controller.models.network import Plmn, Rat, ResourceType, mcc_mnc
from controller.nrm import namespaces as ns
from controller.nrm.profiles.base import (
    CONTROL_PLANE,
    FUNCTION_ID,
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
from controller.nrm.profiles.externals import AROUND, render_adjacent
from controller.nrm.profiles.values import address, decimal1
from controller.nrm.schema import LeafRole, LeafSpec, Mutability, NodeRole, NodeSpec
from controller.nrm.tree import LeafName, Path, Value, child

_PLMN_KEYS = ("mcc", "mnc")
_LOCKED = Mutability.LOCKED

_GLOBAL_PLMN = NodeSpec(
    "pLMNId",
    ns.EUTRAN,
    keys=_PLMN_KEYS,
    role=NodeRole.NODE_PLMN,
    key_roles=PLMN_KEYS,
    attributes=False,
    in_attributes=True,
    mutability=Mutability.RESTART,
    single=True,
    minimum=1,
    label="PLMN of the global eNB id",
)
#: SIB1 has it in each list of PLMNs (TS 36.331); no attribute of TS 28.658, but one that base stations have (TR-196).
_RESERVED = LeafSpec(
    "cellReservedForOperatorUse", default="false", label="reserved for operator use", roles=(LeafRole.RESERVED,)
)
_BROADCAST = NodeSpec(
    "plmnIdList",
    ns.EUTRAN,
    keys=_PLMN_KEYS,
    role=NodeRole.BROADCAST,
    key_roles=PLMN_KEYS,
    leaves=(_RESERVED,),
    attributes=False,
    in_attributes=True,
    user_ordered=True,
    minimum=1,
    label="PLMN",
)
_OWN_IDENTITY = NodeSpec(
    "cellAccessInfoList",
    ns.EUTRAN,
    keys=_PLMN_KEYS,
    role=NodeRole.BROADCAST,
    key_roles=PLMN_KEYS,
    leaves=(
        number("tac", "TAC", roles=(LeafRole.TAC,)),
        number("cellId", "cell identity", mutability=Mutability.CREATE_ONLY, roles=(LeafRole.CELL_IDENTITY,)),
        _RESERVED,
    ),
    attributes=False,
    in_attributes=True,
    label="PLMN with its own TAC",
)
_SHARE = NodeSpec(
    "plmnRadioShareList",
    ns.EUTRAN,
    keys=_PLMN_KEYS,
    role=NodeRole.SHARE,
    key_roles=PLMN_KEYS,
    leaves=(
        number("dedicatedRatio", "dedicated %", default="0", roles=(LeafRole.SHARE_DEDICATED,)),
        number("minRatio", "minimum %", default="0", roles=(LeafRole.SHARE_MIN,)),
        number("maxRatio", "maximum %", default="100", roles=(LeafRole.SHARE_MAX,)),
    ),
    attributes=False,
    in_attributes=True,
    label="radio share",
)
_SERVED = NodeSpec(
    "servedPlmnList",
    ns.EUTRAN,
    keys=_PLMN_KEYS,
    role=NodeRole.SERVED_PLMN,
    key_roles=PLMN_KEYS,
    attributes=False,
    in_attributes=True,
    minimum=1,
    label="served PLMN",
)
_LOCAL = local_address(ns.EUTRAN)
_ADJACENT = "adjacentCell"
_RELATION = relation("EUtranRelation", ns.EUTRAN, _ADJACENT)
_ADJACENT_NR = "adjacentNRCellRef"
_ANCHOR_RELATION = relation(
    "NRCellRelation", ns.EUTRAN, _ADJACENT_NR, LeafSpec("isENDCAllowed", default="false", label="EN-DC")
)


def _cell(name: str, *carrier: LeafSpec, tdd: bool) -> NodeSpec:
    return NodeSpec(
        name,
        ns.EUTRAN,
        leaves=(
            USER_LABEL,
            PRIORITY_LABEL,
            number("cellLocalId", "local id", mutability=Mutability.CREATE_ONLY, roles=(LeafRole.LOCAL_ID,)),
            administrative_state("LOCKED"),
            operational_state(),
            cell_state(extension=True),
            state("usageState"),
            availability_status(),
            number("tac", "TAC", mutability=_LOCKED, roles=(LeafRole.TAC,)),
            number("pci", "PCI", mutability=_LOCKED, roles=(LeafRole.PCI,)),
            number(
                "maximumTransmissionPower",
                "transmission power",
                mutability=_LOCKED,
                roles=(LeafRole.POWER_DBM,),
            ),
            number("referenceSignalPower", "reference signal power"),
            number("rootSequenceIndex", "PRACH root", mutability=_LOCKED, roles=(LeafRole.PRACH_ROOT,)),
            *carrier,
        ),
        children=(_BROADCAST, _OWN_IDENTITY, _SHARE, _RELATION, _ANCHOR_RELATION),
        role=NodeRole.CELL,
        tdd=tdd,
        label="cell",
    )


def _bandwidth(name: str, label: str, *roles: LeafRole) -> LeafSpec:
    return LeafSpec(name, mutability=_LOCKED, normalise=decimal1, label=label, roles=roles)


_FDD = _cell(
    "EUtranCellFDD",
    number("earfcnDl", "downlink EARFCN", mutability=_LOCKED, roles=(LeafRole.ARFCN_DL,)),
    number("earfcnUl", "uplink EARFCN", mutability=_LOCKED, roles=(LeafRole.ARFCN_UL,)),
    _bandwidth("dlChannelBandwidth", "downlink bandwidth MHz", LeafRole.BANDWIDTH),
    _bandwidth("ulChannelBandwidth", "uplink bandwidth MHz"),
    tdd=False,
)
_TDD = _cell(
    "EUtranCellTDD",
    number("earfcn", "EARFCN", mutability=_LOCKED, roles=(LeafRole.ARFCN_DL, LeafRole.ARFCN_UL)),
    _bandwidth("channelBandwidth", "bandwidth MHz", LeafRole.BANDWIDTH),
    number("sfAssignment", "subframe assignment", mutability=_LOCKED, start="2"),
    number("specialSfPatterns", "special subframe pattern", mutability=_LOCKED, start="7"),
    tdd=True,
)
_S1C = NodeSpec(
    "EP_S1C",
    ns.EUTRAN,
    leaves=(
        USER_LABEL,
        state("farEndEntity"),
        LeafSpec("remoteAddress", normalise=address, label="MME address", roles=(LeafRole.REMOTE_ADDRESS,)),
        administrative_state("UNLOCKED"),
        operational_state(),
        number("mmeGroupId", "MME group"),
        number("mmeCode", "MME code"),
        state("relativeMmeCapacity"),
    ),
    children=(_LOCAL, _SERVED),
    link=LinkKind.S1C,
    label="S1 link",
)
_S1U = NodeSpec(
    "EP_S1U",
    ns.EUTRAN,
    leaves=(USER_LABEL, state("farEndEntity"), operational_state()),
    children=(_LOCAL,),
    link=LinkKind.S1U,
    label="S1-U end point",
)
_X2 = tuple(peer_end_points(ns.EUTRAN, plane, Interface.X2)[0] for plane in (CONTROL_PLANE, USER_PLANE))
#: TS 28.658 §4.3.1.2, where the eNB supports ANR.
_ANR = anr_switches("ANRFunction", "intraANRSwitch", "iRATANRSwitch")
_ENB = NodeSpec(
    "ENBFunction",
    ns.EUTRAN,
    leaves=(
        USER_LABEL,
        PRIORITY_LABEL,
        number("eNBId", "eNB id", mutability=Mutability.CREATE_ONLY, roles=(LeafRole.NODE_ID,)),
        number("eNBIdLength", default="20", mutability=Mutability.CREATE_ONLY, roles=(LeafRole.NODE_ID_LENGTH,)),
        LeafSpec("eNBName", label="name"),
        *_ANR,
    ),
    children=(_GLOBAL_PLMN, _FDD, _TDD, _S1C, _S1U, *_X2),
    label="eNB",
)


def _render(facts: StationFacts, element: Path, out: Output) -> None:
    station = facts.station
    enb = out.add(
        _ENB,
        element,
        (FUNCTION_ID,),
        {
            "eNBId": str(station.enb_id),
            "eNBIdLength": str(station.enb_id_length),
            "eNBName": station.name,
            **switched(_ANR, station.anr),
        },
        station.owners,
    )
    if station.enb_plmn:
        out.add(_GLOBAL_PLMN, enb, mcc_mnc(station.enb_plmn), owners=station.owners)
    for cell in facts.on_air(Rat.LTE):
        _render_cell(facts, cell, enb, out)
    for link in (one for one in facts.links if one.rat is Rat.LTE):
        if link.kind is LinkKind.S1C:
            _render_link(link, enb, out)
        elif link.kind is LinkKind.S1U:
            end = out.add(_S1U, enb, (link.id,), owners=link.owners)
            out.add(_LOCAL, end, (address(link.local_address), str(link.vlan)), owners=link.owners)
    for peer in (one for one in facts.peers if one.rat is Rat.LTE):
        for plane in (CONTROL_PLANE, USER_PLANE):
            render_peer(peer, _ENB, plane, enb, out)


def _render_cell(facts: StationFacts, cell: CellFact, enb: Path, out: Output) -> None:
    tdd = BANDS[cell.band].tdd
    leaves: dict[LeafName, Value] = {
        "cellLocalId": str(cell.local_id),
        "tac": str(cell.tac),
        "pci": str(cell.pci),
        **(_tdd_carrier(cell) if tdd else _fdd_carrier(cell)),
        **_planned(cell, facts.station.lte_power_in_a_db, out),
    }
    path = out.add(_cell_spec(cell.band), enb, (cell.cell,), leaves, cell.owners)
    for broadcast in facts.broadcasts[cell.cell]:
        _render_broadcast(broadcast, path, out)
    for share in facts.shares.get(cell.cell, ()):
        _render_share(share, cell, path, out)
    for neighbour in facts.neighbours.get(cell.cell, ()):
        _render_neighbour(neighbour, path, out)


def _render_neighbour(neighbour: NeighbourFact, cell: Path, out: Output) -> None:
    """A neighbour; of an NR cell the cell is an anchor (EN-DC)."""
    other = render_adjacent(neighbour, out)
    if neighbour.neighbour_rat is Rat.NR:
        leaves = {**relation_leaves(neighbour, _ADJACENT_NR, other), "isENDCAllowed": "true"}
        out.add(_ANCHOR_RELATION, cell, (relation_id(neighbour),), leaves, neighbour.owners)
        return
    out.add(_RELATION, cell, (relation_id(neighbour),), relation_leaves(neighbour, _ADJACENT, other), neighbour.owners)


def _render_broadcast(broadcast: BroadcastFact, cell: Path, out: Output) -> None:
    """Put a PLMN among those that share the cell's TAC and identity, or in a list of its own."""
    keys, own = mcc_mnc(broadcast.plmn), broadcast.own
    if own is None:
        out.add(_BROADCAST, cell, keys, owners=broadcast.owners)
        return
    identity = joined_identity(Rat.LTE, own.node_id, own.node_id_length, own.local_id)
    out.add(_OWN_IDENTITY, cell, keys, {"tac": str(own.tac), "cellId": str(identity)}, broadcast.owners)


def _fdd_carrier(cell: CellFact) -> dict[LeafName, Value]:
    bandwidth = f"{cell.bandwidth_mhz:.1f}"
    return {
        "earfcnDl": str(cell.arfcn_dl),
        "earfcnUl": str(cell.arfcn_ul),
        "dlChannelBandwidth": bandwidth,
        "ulChannelBandwidth": bandwidth,
    }


def _tdd_carrier(cell: CellFact) -> dict[LeafName, Value]:
    return {
        "earfcn": str(cell.arfcn_dl),
        "channelBandwidth": f"{cell.bandwidth_mhz:.1f}",
    }


def _planned(cell: CellFact, in_a_db: int, out: Output) -> dict[LeafName, Value]:
    """Values that network files may leave out; power in the station's unit, never more than planned."""
    power, root = cell.max_tx_power_dbm, cell.prach_root
    written = 0 if power is None else math.floor(round(power * in_a_db, 3))
    if power is not None and written < round(power * in_a_db, 3):
        text = f"cell {cell.station}/{cell.cell} gets {written / in_a_db:g} dBm of {power:g}: its station takes no less"
        out.find("unenforceable", f"{text} than {1 / in_a_db:g} dB", cell=cell.cell)
    return {
        **({} if power is None else {"maximumTransmissionPower": str(written)}),
        **({} if root is None else {"rootSequenceIndex": str(root)}),
    }


def _render_share(share: ShareFact, cell: CellFact, path: Path, out: Output) -> None:
    tenant = tenant_of(share.owners)
    if share.resource is not ResourceType.PRB:
        out.find(
            "unenforceable",
            f"{tenant}'s share of {share.resource} on cell {cell.station}/{cell.cell} can't be enforced: "
            "LTE stations divide PRBs of both directions only",
            cell=cell.cell,
            tenant=tenant,
        )
        return
    first, *others = _primary_first(share.plmns, cell.primary_plmn)
    guarantees = {"dedicatedRatio": str(share.dedicated), "minRatio": str(share.min)}
    ceiling = {"maxRatio": str(share.max)}
    out.add(_SHARE, path, mcc_mnc(first), {**guarantees, **ceiling}, share.owners)
    for plmn in others:
        out.add(_SHARE, path, mcc_mnc(plmn), ceiling, share.owners)
    if others:
        out.find(
            "unenforceable",
            f"{tenant}'s share of PRB on cell {cell.station}/{cell.cell} can't be one pot of {len(share.plmns)} PLMNs: "
            f"{first} gets the guarantees, {', '.join(others)} only the ceiling of {share.max} %",
            cell=cell.cell,
            tenant=tenant,
        )


def _primary_first(plmns: tuple[Plmn, ...], primary: Plmn) -> list[Plmn]:
    return sorted(plmns, key=lambda plmn: (plmn != primary, plmn))


def _render_link(link: CoreLinkFact, enb: Path, out: Output) -> None:
    path = out.add(_S1C, enb, (link.id,), {"remoteAddress": address(link.remote_address)}, link.owners)
    out.add(_LOCAL, path, (address(link.local_address), str(link.vlan)), owners=link.owners)
    for plmn in sorted(link.plmns):
        out.add(_SERVED, path, mcc_mnc(plmn), owners=link.owners)


def _cell_spec(band: str) -> NodeSpec:
    return _TDD if BANDS[band].tdd else _FDD


def _cell_path(element: Path, cell: str, band: str) -> Path:
    return child(child(element, _ENB.name, FUNCTION_ID), _cell_spec(band).name, cell)


PROFILE = Profile(
    name="lte-28658",
    rat=Rat.LTE,
    functions=(_ENB,),
    beside=AROUND,
    links=(LinkKind.S1C, LinkKind.S1U),
    families=("DRB", "ERAB", "HO", "RRC", "RRU", "S1SIG", "UECNTX"),
    render=_render,
    cell_path=_cell_path,
)
