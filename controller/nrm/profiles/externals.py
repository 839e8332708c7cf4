"""What a base station knows of others around it: frequencies, and base stations with cells (TS 28.541, TS 28.658).

Decisions:
    - A relation to a cell of the same managed element names that cell. One to a cell elsewhere names an external cell
      (ExternalNRCellCU, ExternalEUtranCellFDD, ExternalEUtranCellTDD) in NRNetwork or EUtraNetwork, which stand beside
      ManagedElement. Ours are called ``minka``; in them a base station and its cells have the names of the files.
    - Identity, PCI and channel of an external cell are those of the files: with an old PCI users are handed over to
      nobody. Its PLMNs start with the primary one, and are the station's to keep up: it learns them by X2 or Xn (TS
      36.423 §9.2.8, TS 38.423 §9.2.2.11) or by ANR, as the definition of pLMNIdList says (TS 28.541).
    - LTE stations have the same classes: 3GPP has no YANG of their own for them.
"""

from __future__ import annotations

from lxml import etree

from controller.inventory.radio import BANDS, ssb_khz
from controller.models.facts import ExternalCell, NeighbourFact, Owners
from controller.models.network import Plmn, Rat, mcc_mnc
from controller.nrm import namespaces as ns
from controller.nrm.profiles.base import FUNCTION_ID, PRIORITY_LABEL, USER_LABEL, Output, number, state
from controller.nrm.schema import EntryText, LeafRole, LeafSpec, NodeSpec
from controller.nrm.tree import LeafName, Path, Value, child, class_of, is_too_long, name_of, names_in

#: Id of the networks of ours.
OURS = "minka"
#: Steps of the path of an external cell: network, base station, cell.
_DEPTH = 3
#: Functions of base stations, and the lists of cells in them that relations lead to.
_GNB, _NR_CELL, _ENB = "GNBCUCPFunction", "NRCellCU", "ENBFunction"


def _read_plmn(element: etree._Element) -> str:
    prefix = str(element.tag).rpartition("}")[0] + "}"
    return "-".join((element.findtext(f"{prefix}{name}") or "").strip() for name in ("mcc", "mnc"))


def _write_plmn(element: etree._Element, text: str) -> None:
    prefix = str(element.tag).rpartition("}")[0] + "}"
    for name, value in zip(("mcc", "mnc"), text.split("-"), strict=True):
        etree.SubElement(element, f"{prefix}{name}").text = value


def _plmns(name: str, label: str, *, initial: bool = False) -> LeafSpec:
    """Spec of a list of PLMNs that is kept as one value."""
    entry = EntryText(_read_plmn, _write_plmn)
    return LeafSpec(name, leaf_list=True, unordered=True, initial=initial, label=label, entry=entry)


def _network(name: str, namespace: str, feature: str, label: str, *children: NodeSpec) -> NodeSpec:
    leaves = (USER_LABEL, PRIORITY_LABEL)
    return NodeSpec(name, namespace, leaves=leaves, children=children, self_made=True, feature=feature, label=label)


_FREQUENCY = NodeSpec(
    "NRFrequency",
    ns.NR_FREQUENCY,
    leaves=(
        USER_LABEL,
        PRIORITY_LABEL,
        number("absoluteFrequencySSB", "SSB ARFCN", roles=(LeafRole.SSB,)),
        number("sSBSubCarrierSpacing", "subcarrier spacing of the SSB"),
        state("multiFrequencyBandListNR", leaf_list=True),
    ),
    self_made=True,
    label="frequency",
)
_EXTERNAL_NR_CELL = NodeSpec(
    "ExternalNRCellCU",
    ns.EXTERNAL_NR_CELL_CU,
    leaves=(
        USER_LABEL,
        PRIORITY_LABEL,
        number("cellLocalId", "local id"),
        number("nRPCI", "PCI"),
        _plmns("pLMNIdList", "PLMNs", initial=True),
        LeafSpec("nRFrequencyRef", label="frequency", roles=(LeafRole.FREQUENCY,)),
    ),
    self_made=True,
    external=_NR_CELL,
    identity=("cellLocalId",),
    label="external cell",
)
_EXTERNAL_GNB = NodeSpec(
    "ExternalGNBCUCPFunction",
    ns.EXTERNAL_GNBCUCP_FUNCTION,
    leaves=(
        USER_LABEL,
        PRIORITY_LABEL,
        number("gNBId", "gNB id"),
        number("gNBIdLength", "length of the gNB id"),
        _plmns("pLMNId", "PLMN of the global gNB id"),
    ),
    children=(_EXTERNAL_NR_CELL,),
    self_made=True,
    external=_GNB,
    identity=("gNBId", "gNBIdLength", "pLMNId"),
    label="external gNB",
)


def _external_lte_cell(kind: str, *channels: str) -> NodeSpec:
    return NodeSpec(
        f"ExternalEUtranCell{kind}",
        ns.EXTERNAL_EUTRAN_CELL,
        leaves=(
            USER_LABEL,
            PRIORITY_LABEL,
            number("pci", "PCI"),
            _plmns("plmnIdList", "PLMNs", initial=True),
            number("cellLocalId", "local id"),
            number("eNBId", "eNB id"),
            *(number(channel, "EARFCN") for channel in channels),
        ),
        self_made=True,
        external=f"EUtranCell{kind}",
        identity=("cellLocalId",),
        label="external cell",
    )


_EXTERNAL_FDD = _external_lte_cell("FDD", "earfcnDL", "earfcnUL")
_EXTERNAL_TDD = _external_lte_cell("TDD", "earfcn")
_EXTERNAL_ENB = NodeSpec(
    "ExternalENBFunction",
    ns.EXTERNAL_ENB_FUNCTION,
    leaves=(USER_LABEL, PRIORITY_LABEL, number("eNBId", "eNB id")),
    children=(_EXTERNAL_FDD, _EXTERNAL_TDD),
    self_made=True,
    external=_ENB,
    identity=("eNBId",),
    label="external eNB",
)
_NR_NETWORK = _network(
    "NRNetwork",
    ns.NR_NETWORK,
    "ExternalsUnderNRNetwork",
    "NR network around it",
    _FREQUENCY,
    _EXTERNAL_GNB,
)
_LTE_NETWORK = _network(
    "EUtraNetwork", ns.EUTRA_NETWORK, "ExternalsUnderEUtraNetwork", "LTE network around it", _EXTERNAL_ENB
)
#: What base stations of all technologies have beside ManagedElement.
AROUND = (_NR_NETWORK, _LTE_NETWORK)


def render_adjacent(fact: NeighbourFact, out: Output) -> str:
    """The distinguished name of the cell that a relation leads to; adds what is known of a cell elsewhere."""
    function, cell = (_GNB, _NR_CELL) if fact.neighbour_rat is Rat.NR else (_ENB, _lte_cell(fact.neighbour_band))
    if fact.external is not None:
        return name_of(_render_external(fact, fact.external, out))
    return cell_name(fact.neighbour_station, function, cell, fact.neighbour_cell)


def cell_name(station: str, function: str, cell: str, name: str) -> str:
    """The distinguished name of a cell in its own station, by the classes of its function and of itself."""
    return name_of(child(child(child("", "ManagedElement", station), function, FUNCTION_ID), cell, name))


#: Objects of other stations, by class.
_EXTERNALS = {node.name: node for top in AROUND for node in top.walk() if node.external}


def external_path(distinguished_name: str) -> Path:
    """Path of the external cell with a distinguished name, which may begin above its network; empty if it is none."""
    objects = () if is_too_long(distinguished_name) else names_in(distinguished_name)
    tops = [node.name for node in AROUND]
    start = next((at for at, (kind, _) in enumerate(objects) if kind in tops), len(objects))
    below = objects[start:]
    if len(below) != _DEPTH or not all(key and kind in _EXTERNALS for kind, key in below[1:]):
        return ""
    path = ""
    for kind, key in below:
        path = child(path, kind, key)
    return path


def external_rat(path: Path) -> Rat:
    """Technology of the external base station at a path."""
    return Rat.NR if _EXTERNALS[class_of(path)].external == _GNB else Rat.LTE


def identifying(path: Path) -> LeafName:
    """The leaf with the id of the external base station or cell at a path."""
    return _EXTERNALS[class_of(path)].identity[0]


def render_frequency(ssb: int, owners: Owners, out: Output) -> str:
    """Add a frequency; returns its distinguished name."""
    network = out.add(_NR_NETWORK, "", (OURS,), owners=owners)
    described: dict[LeafName, Value] = {"absoluteFrequencySSB": str(ssb), "sSBSubCarrierSpacing": str(ssb_khz(ssb))}
    return name_of(out.add(_FREQUENCY, network, (str(ssb),), described, owners))


def _render_external(fact: NeighbourFact, known: ExternalCell, out: Output) -> Path:
    if fact.neighbour_ssb is None:
        return _render_external_lte(fact, known, out)
    frequency = render_frequency(fact.neighbour_ssb, fact.owners, out)
    node: dict[LeafName, Value] = {
        "gNBId": str(known.node_id),
        "gNBIdLength": str(known.node_id_length),
        "pLMNId": (_keys(known.node_plmn),),
    }
    leaves: dict[LeafName, Value] = {
        "cellLocalId": str(known.local_id),
        "nRPCI": str(known.pci),
        "pLMNIdList": (_keys(known.primary_plmn),),
        "nRFrequencyRef": frequency,
    }
    network = out.add(_NR_NETWORK, "", (OURS,), owners=fact.owners)
    gnb = out.add(_EXTERNAL_GNB, network, (fact.neighbour_station,), node, fact.owners)
    return out.add(_EXTERNAL_NR_CELL, gnb, (fact.neighbour_cell,), leaves, fact.owners)


def _render_external_lte(fact: NeighbourFact, known: ExternalCell, out: Output) -> Path:
    tdd = BANDS[fact.neighbour_band].tdd
    node: dict[LeafName, Value] = {"eNBId": str(known.node_id)}
    down, up = str(known.arfcn_dl), str(known.arfcn_ul)
    leaves: dict[LeafName, Value] = {
        **node,
        "cellLocalId": str(known.local_id),
        "pci": str(known.pci),
        "plmnIdList": (_keys(known.primary_plmn),),
        **({"earfcn": down} if tdd else {"earfcnDL": down, "earfcnUL": up}),
    }
    network = out.add(_LTE_NETWORK, "", (OURS,), owners=fact.owners)
    enb = out.add(_EXTERNAL_ENB, network, (fact.neighbour_station,), node, fact.owners)
    spec = _EXTERNAL_TDD if tdd else _EXTERNAL_FDD
    return out.add(spec, enb, (fact.neighbour_cell,), leaves, fact.owners)


def _lte_cell(band: str) -> str:
    return "EUtranCellTDD" if BANDS[band].tdd else "EUtranCellFDD"


def _keys(plmn: Plmn) -> str:
    return "-".join(mcc_mnc(plmn))
