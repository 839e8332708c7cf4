"""How much people use cells: a seeded model of demand, and what carriers and radio shares let through (pure).

People of a place carry phones of the network's operators, each operator's part drawn from the seed.
How many of them are active follows the hour of the day and the day of the week; a cell has its part
of the people of its station. What they ask for is compared with what the carrier can carry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from statistics import NormalDist

from simulators.datastore import Config, Instance
from simulators.equipment.configuration import ConfiguredCell
from simulators.equipment.fault_kinds import Service
from simulators.equipment.radio import CellStatus, CorePaths

#: Part of the people with a phone, and of the phones active in the busiest hour.
PHONES, ACTIVE = 0.6, 0.04
#: Test users of an operator, access classes 11 and 15: active ones in a cell that is reserved for operator use.
TEST_USERS = 0.5
#: What an active user fetches, in Mbit/s, and sends as a part of that.
RATE, UPLINK = 0.15, 0.12
#: Connections that an active user sets up per hour.
ATTEMPTS = 12.0
#: What a carrier carries per MHz, in Mbit/s, by technology.
EFFICIENCY: Mapping[str, float] = {"LTE": 1.7, "NR": 4.0}
#: Activity in each hour of a day in the country, where the evening is busiest.
_DAY = (
    *(0.18, 0.12, 0.08, 0.07, 0.10, 0.20, 0.35, 0.48, 0.55, 0.58, 0.60, 0.64),
    *(0.70, 0.68, 0.62, 0.60, 0.64, 0.72, 0.85, 0.96, 1.00, 0.90, 0.62, 0.35),
)
_WEEKEND = 0.9
#: Parts of the volume by QCI: voice, signalling, video, everything else (TS 23.203).
QCI_PARTS: Mapping[int, float] = {1: 0.03, 5: 0.01, 8: 0.26, 9: 0.70}
#: By what the users of a period differ from what the hour lets expect.
_NOISE = NormalDist(1.0, 0.08)


@dataclass(frozen=True, slots=True)
class Share:
    """A radio share in percent (TS 28.541 RRMPolicyRatio): dedicated is never lent, minimum is given on demand."""

    dedicated: float = 0.0
    minimum: float = 0.0
    maximum: float = 100.0


@dataclass(frozen=True, slots=True)
class Place:
    """What the model must know of a station: its people, the number of its cells, and all PLMNs of the network."""

    seed: str
    station: str
    population: int
    cells: int
    plmns: tuple[str, ...]


def day_curve(local: datetime) -> float:
    """Activity at a local time, 1 in the busiest hour of a weekday."""
    hour = local.hour
    part = (local.minute * 60 + local.second) / 3600
    between = _DAY[hour] * (1 - part) + _DAY[(hour + 1) % 24] * part
    return between * (_WEEKEND if local.weekday() >= 5 else 1.0)


def market(seed: str, plmns: tuple[str, ...]) -> Mapping[str, float]:
    """Part of the people that each PLMN's operator has."""
    return parts(f"{seed}/market", plmns)


@lru_cache(maxsize=4096)
def parts(seed: str, names: tuple[str, ...]) -> Mapping[str, float]:
    """Parts of a whole drawn from a seed, between which the largest is at most three times the smallest."""
    weights = {name: 0.5 + _drawn(seed, name) for name in names}
    whole = sum(weights.values()) or 1.0
    return {name: weight / whole for name, weight in weights.items()}


def users(place: Place, cell: str, plmn: str, begin: datetime) -> float:
    """Mean number of active users that an operator has in a cell in the period that begins then, local time."""
    people = place.population / max(place.cells, 1)
    part = market(place.seed, place.plmns).get(plmn, 0.0)
    noise = _NOISE.inv_cdf(_drawn(place.seed, place.station, cell, plmn, begin.isoformat()))
    return people * PHONES * ACTIVE * part * day_curve(begin) * min(max(noise, 0.7), 1.3)


def capacity(technology: str, megahertz: float) -> float:
    """What a carrier carries downwards, in Mbit/s."""
    return EFFICIENCY[technology] * megahertz


def allot(wanted: Sequence[float], shares: Sequence[Share]) -> list[float]:
    """What each of several users of a carrier gets of what it wants, all in percent of the carrier.

    Everybody first gets its minimum, as far as it wants it; what is left and not dedicated to others is
    divided in proportion to what is still wanted, up to each maximum.
    """
    floors = [max(share.minimum, share.dedicated) for share in shares]
    given = [min(want, floor, share.maximum) for want, floor, share in zip(wanted, floors, shares, strict=True)]
    kept = sum(max(share.dedicated - got, 0.0) for share, got in zip(shares, given, strict=True))
    left = max(100.0 - kept - sum(given), 0.0)
    while left > 1e-9:
        lacking = [
            max(min(want, share.maximum) - got, 0.0) for want, share, got in zip(wanted, shares, given, strict=True)
        ]
        whole = sum(lacking)
        if whole <= 1e-9:
            break
        part = min(1.0, left / whole)
        given = [got + lack * part for got, lack in zip(given, lacking, strict=True)]
        left -= whole * part
    return given


def _drawn(*names: str) -> float:
    """A number between 0 and 1, neither of them included, that follows from the names."""
    digest = blake2b("/".join(names).encode(), digest_size=8).digest()
    return ((int.from_bytes(digest) >> 12) + 0.5) / 2**52


#: Part of its capacity that a cell keeps when it is degraded.
DEGRADED = 0.6
#: Names of the leaves of a share: dedicated, minimum, maximum.
_LTE_SHARE = ("dedicatedRatio", "minRatio", "maxRatio")
_NR_SHARE = ("rRMPolicyDedicatedRatio", "rRMPolicyMinRatio", "rRMPolicyMaxRatio")
_PRB = ("PRB", "PRB_DL")
#: Lists of the PLMNs of an LTE cell: with its TAC and identity, and with their own.
_LTE_PLMNS = ("plmnIdList", "cellAccessInfoList")


@dataclass(frozen=True, slots=True)
class Flow:
    """The users of one PLMN, on NR of one slice of it; ``slice`` is as in 1-0000A1.

    ``wanted`` and ``given`` are in percent of the carrier. Who is not ``connected`` to its core wants nothing of it;
    whose user plane carries a part only wants no more than that.
    """

    plmn: str
    slice: str
    users: float
    connected: bool
    wanted: float
    given: float


@dataclass(frozen=True, slots=True)
class Load:
    """A cell in use; ``capacity`` is in Mbit/s downwards, ``megahertz`` the carrier's width."""

    flows: tuple[Flow, ...]
    capacity: float
    megahertz: float

    @property
    def users(self) -> float:
        """How many people use it."""
        return sum(flow.users for flow in self.flows)

    @property
    def used(self) -> float:
        """Percent of the carrier in use."""
        return sum(flow.given for flow in self.flows)

    @property
    def wanted(self) -> float:
        """Percent of the carrier that is wanted, perhaps above 100."""
        return sum(flow.wanted for flow in self.flows)

    @property
    def lacking(self) -> float:
        """Percent of the demand that is not served."""
        return 100.0 * (1 - self.used / self.wanted) if self.wanted > 1e-9 else 0.0


def load_of(
    config: Config, status: CellStatus, place: Place, tenants: Mapping[str, str], paths: CorePaths, begin: datetime
) -> Load:
    """The load of a cell in the period that begins then, local time.

    ``tenants`` says whose each PLMN is, ``paths`` what of them reaches their cores.
    """
    demand = demand_of(config, status, place, tenants, paths, begin)
    return replace(demand, flows=tuple(_served(demand.flows, dict(_shares(config, status)))))


def demand_of(
    config: Config, status: CellStatus, place: Place, tenants: Mapping[str, str], paths: CorePaths, begin: datetime
) -> Load:
    """As ``load_of``, before anything is given to anybody: quicker, where only what is wanted matters."""
    attributes = config.get(status.configured.path)
    assert attributes is not None
    technology = _technology(status)
    megahertz = _megahertz(attributes)
    carries = capacity(technology, megahertz) * (DEGRADED if status.service is Service.DEGRADED else 1.0)
    names = list(_flows(attributes, technology))
    if technology == "NR":
        names += _own_flows(config, status.configured)
    refused = _not_in_user_plane(config, status.configured, names) if technology == "NR" else frozenset()
    asleep = status.service is Service.SLEEPING or not status.on_air
    reserved = frozenset(_reserved(attributes, technology))
    flows = []
    for plmn, slice_ in names:
        siblings = tuple(other for owner, other in names if owner == plmn)
        part = parts(f"{place.seed}/{plmn}", siblings)[slice_]
        admitted = TEST_USERS if plmn in reserved else users(place, status.configured.id, plmn, begin)
        people = 0.0 if asleep else part * admitted
        tenant = tenants.get(plmn, "")
        connected = paths.attaches(technology, tenant)
        carried = connected and (plmn, slice_) not in refused
        part = paths.carried(technology, tenant, slice_) if carried else 0.0
        flows.append(Flow(plmn, slice_, people, connected, part * _percent(people, carries), 0.0))
    return Load(tuple(flows), carries, megahertz)


def _technology(status: CellStatus) -> str:
    return "NR" if status.configured.cell_class == "NRCellDU" else "LTE"


def _percent(people: float, carries: float) -> float:
    return 100.0 * people * RATE / carries


def _served(flows: Sequence[Flow], shares: Mapping[tuple[str, str], tuple[str, Share]]) -> Iterator[Flow]:
    """The flows with what they get: members of one policy share what it grants."""
    groups: dict[str, list[Flow]] = {}
    terms: dict[str, Share] = {}
    for flow in flows:
        name, share = shares.get((flow.plmn, flow.slice), ("", Share()))
        groups.setdefault(name, []).append(flow)
        terms[name] = share
    wanted = [sum(flow.wanted for flow in members) for members in groups.values()]
    for members, want, got in zip(
        groups.values(), wanted, allot(wanted, [terms[name] for name in groups]), strict=True
    ):
        part = got / want if want > 0 else 0.0
        for flow in members:
            yield Flow(flow.plmn, flow.slice, flow.users, flow.connected, flow.wanted, flow.wanted * part)


def _megahertz(attributes: Instance) -> float:
    for name in ("bSChannelBwDL", "dlChannelBandwidth", "channelBandwidth"):
        if name in attributes.node.by_name and (value := attributes.leaf(name)):
            return float(value)
    return 10.0


def _flows(attributes: Instance, technology: str) -> Iterator[tuple[str, str]]:
    if technology == "NR":
        for entry in attributes.entries("pLMNInfoList"):
            yield _plmn(entry), f"{entry.leaf('sst')}-{entry.leaf('sd')}"
        return
    for name in _LTE_PLMNS:
        for entry in attributes.entries(name):
            yield _plmn(entry), ""


def _reserved(attributes: Instance, technology: str) -> Iterator[str]:
    """PLMNs whose ordinary users are kept out of the cell (cellReservedForOperatorUse, TS 36.331)."""
    for name in _LTE_PLMNS if technology == "LTE" else ():
        for entry in attributes.entries(name):
            if entry.leaf("cellReservedForOperatorUse") == "true":
                yield _plmn(entry)


def _own_flows(config: Config, cell: ConfiguredCell) -> Iterator[tuple[str, str]]:
    """Those of tenants with an own cell on this one, which serves while it is unlocked."""
    unit = config.get(cell.path[:-2])
    for operator in () if unit is None else unit.entries("OperatorDU"):
        for own in operator.entries("NROperatorCellDU"):
            attributes = own.child("attributes")
            if attributes is None or attributes.leaf("administrativeState") != "UNLOCKED":
                continue
            if cell.distinguished_name in attributes.leaves("nRCellDURef"):
                yield from _flows(attributes, "NR")


def _not_in_user_plane(
    config: Config, cell: ConfiguredCell, flows: Sequence[tuple[str, str]]
) -> frozenset[tuple[str, str]]:
    """Those that no user plane of the station serves; one that names nobody serves all (TS 28.541, pLMNInfoList)."""
    element = config.get(cell.path[:1])
    known = element is not None and "GNBCUUPFunction" in element.node.by_name
    planes = [unit.child("attributes") for unit in element.entries("GNBCUUPFunction")] if element and known else []
    served = [set(_flows(plane, "NR")) for plane in planes if plane is not None]
    return frozenset(flow for flow in flows if served and not any(not one or flow in one for one in served))


def _plmn(entry: Instance) -> str:
    return f"{entry.leaf('mcc')}-{entry.leaf('mnc')}"


def _shares(config: Config, status: CellStatus) -> Iterator[tuple[tuple[str, str], tuple[str, Share]]]:
    """For each member the policy that it is under; those of the cell come last, so that they win."""
    path = status.configured.path
    if _technology(status) == "LTE":
        attributes = config.get(path)
        for entry in () if attributes is None else attributes.entries("plmnRadioShareList"):
            yield (_plmn(entry), ""), (_plmn(entry), _share(entry, _LTE_SHARE))
        return
    for where in (path[:-2], path[:-1]):
        holder = config.get(where)
        for policy in () if holder is None else holder.entries("RRMPolicyRatio"):
            attributes = policy.child("attributes")
            if attributes is None or attributes.leaf("resourceType") not in _PRB:
                continue
            for member in attributes.entries("rRMPolicyMemberList"):
                key = _plmn(member), f"{member.leaf('sst')}-{member.leaf('sd')}"
                yield key, (f"{len(where)}/{policy.keys[0]}", _share(attributes, _NR_SHARE))


def _share(entry: Instance, names: tuple[str, str, str]) -> Share:
    dedicated, minimum, maximum = (entry.leaf(name) for name in names)
    return Share(float(dedicated or 0), float(minimum or 0), float(100 if maximum is None else maximum))
