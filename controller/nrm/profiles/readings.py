"""Device trees read back: what a station carries, in the words of network files; the reverse of ``render``.

Only what tenants can't be told from is here; who a PLMN belongs to, the caller knows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from controller.models.network import Plmn, Rat, Snssai
from controller.nrm.profiles.values import NO_SD
from controller.nrm.tree import Leaves, Path, Tree, parent, step


@dataclass(frozen=True, slots=True)
class ShareReading:
    """A radio share as a station has it: the PLMNs it is for, its resource and percentages."""

    plmns: tuple[Plmn, ...]
    resource: str
    dedicated: str
    min: str
    max: str


@dataclass(frozen=True, slots=True)
class CellReading:
    """A cell as a station has it.

    Attributes:
        fields: Fields of ``controller.models.network.Cell`` by name, as text; those not found are absent.
        tdd: Whether up- and downlink take turns; None where the model does not tell (NR).
        broadcasts: PLMNs in the order on the device, on NR with their slices.
    """

    cell: str
    rat: Rat
    fields: Mapping[str, str]
    tdd: bool | None
    broadcasts: Mapping[Plmn, tuple[Snssai, ...]]
    shares: tuple[ShareReading, ...]


@dataclass(frozen=True, slots=True)
class StationReading:
    """A station as it describes itself.

    Attributes:
        profiles: The profiles whose functions it has.
        fields: Identities, as fields of ``controller.models.network.Station``, as text.
        addresses: Local addresses of its core links, without repetition, in device order.
    """

    profiles: tuple[str, ...]
    fields: Mapping[str, str]
    addresses: tuple[str, ...]
    cells: tuple[CellReading, ...]


_CARRIER = {
    "EUtranCellFDD": {
        "local_id": "cellLocalId",
        "tac": "tac",
        "pci": "pci",
        "arfcn_dl": "earfcnDl",
        "arfcn_ul": "earfcnUl",
        "bandwidth_mhz": "dlChannelBandwidth",
    },
    "EUtranCellTDD": {
        "local_id": "cellLocalId",
        "tac": "tac",
        "pci": "pci",
        "arfcn_dl": "earfcn",
        "arfcn_ul": "earfcn",
        "bandwidth_mhz": "channelBandwidth",
    },
    "NRCellDU": {
        "local_id": "cellLocalId",
        "tac": "nRTAC",
        "pci": "nRPCI",
        "arfcn_dl": "arfcnDL",
        "arfcn_ul": "arfcnUL",
        "bandwidth_mhz": "bSChannelBwDL",
    },
}
_IDENTITY = {
    "ENBFunction": ("lte-28658", {"enb_id": "eNBId", "enb_id_length": "eNBIdLength"}),
    "GNBDUFunction": ("nr-28541", {"gnb_id": "gNBId", "gnb_id_length": "gNBIdLength"}),
}


def read_station(tree: Tree) -> StationReading:
    """What one station's tree says, in canonical values."""
    below: dict[Path, list[Path]] = defaultdict(list)
    for path in tree:
        below[parent(path)].append(path)
    profiles: list[str] = []
    fields: dict[str, str] = {}
    addresses: dict[str, None] = {}
    cells: list[CellReading] = []
    for path, leaves in tree.items():
        name, keys = step(path)
        if name in _IDENTITY:
            profile, wanted = _IDENTITY[name]
            profiles.append(profile)
            fields |= _fields(leaves, wanted)
        elif name == "localAddress":
            addresses[keys[0]] = None
        elif name in _CARRIER:
            cells.append(_cell(name, path, tree, below))
    return StationReading(tuple(sorted(set(profiles))), fields, tuple(addresses), tuple(cells))


def _fields(leaves: Leaves, wanted: Mapping[str, str]) -> dict[str, str]:
    return {field: str(leaves[leaf]) for field, leaf in wanted.items() if leaf in leaves}


def _cell(name: str, path: Path, tree: Tree, below: Mapping[Path, Sequence[Path]]) -> CellReading:
    rat = Rat.NR if name == "NRCellDU" else Rat.LTE
    broadcasts: dict[Plmn, tuple[Snssai, ...]] = {}
    shares: list[ShareReading] = []
    for entry in below.get(path, ()):
        kind, keys = step(entry)
        if kind in ("plmnIdList", "pLMNInfoList"):
            plmn = "-".join(keys[:2])
            broadcasts[plmn] = (*broadcasts.get(plmn, ()), *_slices(keys[2:]))
        elif kind == "plmnRadioShareList":
            shares.append(_lte_share("-".join(keys), tree[entry]))
        elif kind == "RRMPolicyRatio":
            shares.append(_nr_share(tree[entry], below.get(entry, ())))
    return CellReading(
        cell=step(path)[1][0],
        rat=rat,
        fields=_fields(tree[path], _CARRIER[name]),
        tdd=None if rat is Rat.NR else name == "EUtranCellTDD",
        broadcasts=broadcasts,
        shares=tuple(shares),
    )


def _slices(keys: Sequence[str]) -> Iterator[Snssai]:
    """The slice behind the keys ``sd`` and ``sst``; none on LTE, and none for what is no slice."""
    if len(keys) == 2 and keys[1].isdigit() and int(keys[1]) <= 255 and len(keys[0]) == len(NO_SD):
        yield Snssai(sst=int(keys[1]), sd=keys[0])


def _lte_share(plmn: Plmn, leaves: Leaves) -> ShareReading:
    return ShareReading(
        plmns=(plmn,),
        resource="PRB",
        dedicated=str(leaves.get("dedicatedRatio", "0")),
        min=str(leaves.get("minRatio", "0")),
        max=str(leaves.get("maxRatio", "100")),
    )


def _nr_share(leaves: Leaves, members: Sequence[Path]) -> ShareReading:
    plmns = dict.fromkeys("-".join(step(member)[1][:2]) for member in members)
    return ShareReading(
        plmns=tuple(plmns),
        resource=str(leaves.get("resourceType", "PRB")),
        dedicated=str(leaves.get("rRMPolicyDedicatedRatio", "0")),
        min=str(leaves.get("rRMPolicyMinRatio", "0")),
        max=str(leaves.get("rRMPolicyMaxRatio", "100")),
    )
