"""How much people use cells: a seeded model of demand, limited by carriers and radio shares (pure).

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

from simulators.datastore import Config, Instance, Path
from simulators.equipment.configuration import ConfiguredCell, distinguished_name, has_end, user_planes
from simulators.equipment.fault_kinds import Service
from simulators.equipment.radio import CellStatus, CentralUnitState, CorePaths

#: Part of the people with a phone, and of the phones active in the busiest hour.
PHONES, ACTIVE = 0.6, 0.04
#: Test users of an operator, access classes 11 and 15: active ones in a cell that is reserved for operator use.
TEST_USERS = 0.5
#: What an active user fetches, in Mbit/s, and sends as a part of that.
RATE, UPLINK = 0.15, 0.12
#: Connections that an active user sets up per hour.
ATTEMPTS = 12.0
#: Users that an NR cell keeps connected per MHz of its carrier.
CONNECTED = 12.0
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
#: PLMN and, on NR, slice as in 1-0000A1.
Member = tuple[str, str]
#: Random variation of the users of a period around the mean of the hour.
_NOISE = NormalDist(1.0, 0.08)


@dataclass(frozen=True, slots=True)
class Share:
    """A radio share in percent (TS 28.541 RRMPolicyRatio): dedicated is never lent, minimum is given on demand."""

    dedicated: float = 0.0
    minimum: float = 0.0
    maximum: float = 100.0


@dataclass(frozen=True, slots=True)
class Place:
    """A station's data for the model: its people, the number of its cells, and all PLMNs of the network."""

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
    """Divide a carrier among several users by their demand; all in percent of the carrier.

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
class Epoch:
    """What held from a moment on, in seconds of the clock, until the next epoch; ``version`` is the software's.

    ``above`` is the central unit of a DU, where that has endpoints of its own.
    """

    since: float
    config: Config
    cells: tuple[CellStatus, ...]
    paths: CorePaths
    powered: bool
    version: str = ""
    above: CentralUnitState | None = None

    def central(self, cell: ConfiguredCell) -> tuple[Config, Path] | None:
        """Configuration that has the central half of an NR cell, and where; None where nothing has it."""
        if self.above is None:
            return self.config, cell.central
        path = self.above.cells.get(cell.local_id or "")
        return None if path is None or self.above.control is None else (self.above.control, path)

    def carriers(self, flow: Flow) -> list[Path]:
        """The user planes of a DU's central unit that carry a flow: those that name its slice, else its PLMN."""
        planes = [
            (config, path)
            for config in (() if self.above is None else self.above.users)
            for path in user_planes(config)
        ]
        named = [(path, set(_members(config, path))) for config, path in planes]
        exact = [path for path, members in named if (flow.plmn, flow.slice) in members]
        return exact or [path for path, members in named if any(plmn == flow.plmn for plmn, _ in members)]


@dataclass(frozen=True, slots=True)
class Flow:
    """The users of one PLMN, on NR of one slice of it; ``slice`` is as in 1-0000A1.

    ``wanted`` and ``given`` are in percent of the carrier. Who is not ``connected`` to its core wants nothing of it;
    whose user plane carries a part only wants no more than that. ``refused`` are users to whom a share of RRC leaves no
    connection, ``borne`` is the part of the bearers for which a share of DRB leaves room.
    """

    plmn: str
    slice: str
    users: float
    connected: bool
    wanted: float
    given: float
    refused: float = 0.0
    borne: float = 1.0


@dataclass(frozen=True, slots=True)
class Load:
    """A cell in use; ``capacity`` is in Mbit/s downwards, ``megahertz`` the carrier's width."""

    flows: tuple[Flow, ...]
    capacity: float
    megahertz: float

    @property
    def users(self) -> float:
        """Number of users."""
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


def load_of(epoch: Epoch, status: CellStatus, place: Place, tenants: Mapping[str, str], begin: datetime) -> Load:
    """The load of a cell in the period that begins then, local time; ``tenants`` says whose each PLMN is."""
    demand = demand_of(epoch, status, place, tenants, begin)
    given = _granted({(flow.plmn, flow.slice): flow.wanted for flow in demand.flows}, dict(_shares(epoch, status)))
    flows = (replace(flow, given=flow.wanted * given[flow.plmn, flow.slice]) for flow in demand.flows)
    return replace(demand, flows=tuple(flows))


def demand_of(epoch: Epoch, status: CellStatus, place: Place, tenants: Mapping[str, str], begin: datetime) -> Load:
    """As ``load_of``, before PRBs are given to anybody: quicker, where only what is wanted matters."""
    attributes = epoch.config.get(status.configured.path)
    assert attributes is not None
    technology, megahertz = _technology(status), _megahertz(attributes)
    carries = capacity(technology, megahertz) * (DEGRADED if status.service is Service.DEGRADED else 1.0)
    asking = _asking(epoch, status, place, begin)
    nr = technology == "NR"
    admitted = _admitted(epoch, status, asking) if nr else {}
    borne = _borne(epoch, place, begin) if nr else {}
    unserved = _not_in_user_plane(epoch.config, status.configured, list(asking)) if nr else frozenset()
    anchored = _anchored(epoch, status) if nr else {}
    flows = []
    for member, people in asking.items():
        plmn, slice_ = member
        tenant = tenants.get(plmn, "")
        over = technology if epoch.paths.attaches(technology, tenant) else anchored.get(plmn, "")
        connected = epoch.paths.stations if over in _OVER_X2 else epoch.paths.attaches(over, tenant)
        carried = (
            _carried(epoch.paths, over, technology, tenant, slice_) if connected and member not in unserved else 0.0
        )
        users_there, part = people * admitted.get(member, 1.0), borne.get(member, 1.0)
        wanted = carried * part * _percent(users_there, carries)
        flows.append(Flow(plmn, slice_, users_there, connected, wanted, 0.0, people - users_there, part))
    return Load(tuple(flows), carries, megahertz)


def _asking(epoch: Epoch, status: CellStatus, place: Place, begin: datetime) -> dict[Member, float]:
    """Number of users that request a cell, by PLMN and slice."""
    attributes, technology = epoch.config.get(status.configured.path), _technology(status)
    assert attributes is not None
    names = list(_flows(attributes, technology))
    if technology == "NR":
        names += _own_flows(epoch.config, status.configured)
    asleep = status.service is Service.SLEEPING or not status.on_air
    reserved = frozenset(_reserved(attributes, technology))
    found = {}
    for plmn, slice_ in names:
        siblings = tuple(other for owner, other in names if owner == plmn)
        part = parts(f"{place.seed}/{plmn}", siblings)[slice_]
        let_in = TEST_USERS if plmn in reserved else users(place, status.configured.id, plmn, begin)
        found[plmn, slice_] = 0.0 if asleep else part * let_in
    return found


# ------------------------------------------------ NR beside LTE (EN-DC), shares of RRC and DRB

#: What users attach over who came from an anchor of another station, whose core links are that station's: with a user
#: plane between the two, or (EN-DC option 3a) signalling alone.
_X2, _X2_C = _OVER_X2 = ("X2", "X2-C")


def _anchored(epoch: Epoch, status: CellStatus) -> dict[str, str]:
    """What users of an NR cell attach over whom an anchor gives it beside its own carrier (EN-DC), by PLMN.

    Anchors of the station itself are LTE cells on air with a relation to the cell that allows it. Those of other
    stations are known here by the ends of X2 only, so they count as anchors of all PLMNs.
    """
    found: dict[str, str] = {}
    half = epoch.central(status.configured)
    name = "" if half is None else distinguished_name(half[1])
    for anchor in epoch.cells:
        cell = epoch.config.get(anchor.configured.path[:-1]) if anchor.on_air and _technology(anchor) == "LTE" else None
        attributes = None if cell is None else cell.child("attributes")
        if cell is None or attributes is None or "NRCellRelation" not in cell.node.by_name:
            continue
        relations = [relation.child("attributes") for relation in cell.entries("NRCellRelation")]
        if any(_allows_en_dc(relation, name) for relation in relations if relation is not None):
            found |= {plmn: "LTE" for plmn, _ in _flows(attributes, "LTE")}
    users = (epoch.config,) if epoch.above is None else epoch.above.users
    signalled = half is not None and has_end(half[0], "GNBCUCPFunction", "EP_X2C")
    if signalled:
        attributes = epoch.config.get(status.configured.path)
        beside = () if attributes is None else _flows(attributes, "NR")
        over = _X2 if any(has_end(one, "GNBCUUPFunction", "EP_X2U") for one in users) else _X2_C
        found = {plmn: over for plmn, _ in beside} | found
    return found


def _allows_en_dc(relation: Instance, name: str) -> bool:
    return relation.leaf("adjacentNRCellRef") == name and relation.leaf("isENDCAllowed") == "true"


def _carried(paths: CorePaths, over: str, technology: str, tenant: str, slice_: str) -> float:
    """The part of users' packets that gets through to the core over which they attach; an EPC knows no slices.

    Packets of NR cells beside LTE cells go over the gNB's own S1-U where it has one, else over X2 to the anchor.
    """
    if over in ("NR", technology):
        return paths.carried(over, tenant, slice_ if over == "NR" else "")
    if paths.ends_at_gnb(tenant):
        return paths.carried("NR", tenant, "")
    return float(over == _X2) if over in _OVER_X2 else paths.carried(over, tenant, "")


def _admitted(epoch: Epoch, status: CellStatus, asking: Mapping[Member, float]) -> Mapping[Member, float]:
    """The part of the users of an NR cell that shares of RRC let in; none given: all of them."""
    half = epoch.central(status.configured)
    terms = {} if half is None else dict(_policies(half[0], [half[1]], ("RRC",)))
    room = CONNECTED * _megahertz_of(epoch, status)
    return _granted({one: 100 * people / room for one, people in asking.items()}, terms) if terms else {}


def _borne(epoch: Epoch, place: Place, begin: datetime) -> Mapping[Member, float]:
    """The part of the bearers that shares of DRB leave room for, of all NR cells of the station together.

    Each connected user has as many bearers as another, and there is room for those of as many as the cells connect.
    A central unit gives each of its DUs such a part of its room as that has of the spectrum.
    """
    cells = [one for one in epoch.cells if _technology(one) == "NR"]
    borne: dict[Member, float] = {}
    for config in (epoch.config,) if epoch.above is None else epoch.above.users:
        terms = dict(_policies(config, list(user_planes(config)), ("DRB",)))
        if not cells or not terms:
            continue
        named = frozenset() if epoch.above is None else _named(config)
        wanted: dict[Member, float] = {}
        for one in cells:
            asking = _asking(epoch, one, place, begin)
            admitted = _admitted(epoch, one, asking)
            for member, people in asking.items():
                if not named or member in named:
                    wanted[member] = wanted.get(member, 0.0) + people * admitted.get(member, 1.0)
        room = CONNECTED * sum(_megahertz_of(epoch, one) for one in cells)
        borne |= _granted({one: 100 * people / room for one, people in wanted.items()}, terms)
    return borne


def _granted(wanted: Mapping[Member, float], terms: Mapping[Member, tuple[str, Share]]) -> dict[Member, float]:
    """The part that each member gets of what it wants, in percent: members of one policy share what that grants."""
    groups: dict[str, float] = {}
    shares: dict[str, Share] = {}
    of = {member: terms.get(member, ("", Share())) for member in wanted}
    for member, (name, share) in of.items():
        groups[name] = groups.get(name, 0.0) + wanted[member]
        shares[name] = share
    given = dict(zip(groups, allot(list(groups.values()), list(shares.values())), strict=True))
    return {member: given[name] / groups[name] if groups[name] > 0 else 0.0 for member, (name, _) in of.items()}


def _megahertz_of(epoch: Epoch, status: CellStatus) -> float:
    attributes = epoch.config.get(status.configured.path)
    return 0.0 if attributes is None else _megahertz(attributes)


def _technology(status: CellStatus) -> str:
    return "NR" if status.configured.cell_class == "NRCellDU" else "LTE"


def _percent(people: float, carries: float) -> float:
    return 100.0 * people * RATE / carries


def _megahertz(attributes: Instance) -> float:
    for name in ("bSChannelBwDL", "dlChannelBandwidth", "channelBandwidth"):
        if name in attributes.node.by_name and (value := attributes.leaf(name)):
            return float(value)
    return 10.0


def plmns_in_order(epoch: Epoch, status: CellStatus) -> list[str]:
    """PLMNs of an LTE cell, in the order in which it broadcasts them."""
    attributes = epoch.config.get(status.configured.path)
    return [] if attributes is None else [plmn for plmn, _ in _flows(attributes, "LTE")]


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


def _named(config: Config) -> frozenset[Member]:
    """PLMNs and slices that user planes name."""
    return frozenset(one for path in user_planes(config) for one in _members(config, path))


def _members(config: Config, path: Path) -> Iterator[Member]:
    """PLMNs and slices that a user plane names."""
    plane = config.get((*path, "attributes"))
    yield from () if plane is None else _flows(plane, "NR")


def _plmn(entry: Instance) -> str:
    return f"{entry.leaf('mcc')}-{entry.leaf('mnc')}"


def _shares(epoch: Epoch, status: CellStatus) -> Iterator[tuple[Member, tuple[str, Share]]]:
    """For each member the policy of PRBs that it is under; those of the cell come last, so that they win."""
    path = status.configured.path
    if _technology(status) == "LTE":
        attributes = epoch.config.get(path)
        for entry in () if attributes is None else attributes.entries("plmnRadioShareList"):
            yield (_plmn(entry), ""), (_plmn(entry), _share(entry, _LTE_SHARE))
        return
    yield from _policies(epoch.config, (path[:-2], path[:-1]), _PRB)


def _policies(
    config: Config, holders: Sequence[Path], resources: Sequence[str]
) -> Iterator[tuple[Member, tuple[str, Share]]]:
    """The policies (RRMPolicyRatio) of some resources below objects, by member."""
    for number, where in enumerate(holders):
        holder = config.get(where)
        known = holder is not None and "RRMPolicyRatio" in holder.node.by_name
        for policy in holder.entries("RRMPolicyRatio") if holder is not None and known else ():
            attributes = policy.child("attributes")
            if attributes is None or attributes.leaf("resourceType") not in resources:
                continue
            for member in attributes.entries("rRMPolicyMemberList"):
                key = _plmn(member), f"{member.leaf('sst')}-{member.leaf('sd')}"
                yield key, (f"{number}/{policy.keys[0]}", _share(attributes, _NR_SHARE))


def _share(entry: Instance, names: tuple[str, str, str]) -> Share:
    dedicated, minimum, maximum = (entry.leaf(name) for name in names)
    return Share(float(dedicated or 0), float(minimum or 0), float(100 if maximum is None else maximum))
