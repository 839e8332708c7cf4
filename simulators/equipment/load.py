"""What goes on in one cell for a while: who wants how much, and what the configured shares let through (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from simulators.datastore import Config, Instance
from simulators.equipment import traffic
from simulators.equipment.fault_kinds import Service
from simulators.equipment.radio import CellStatus
from simulators.equipment.traffic import Place, Share

#: Part of its capacity that a cell keeps when it is degraded.
DEGRADED = 0.6
#: Names of the leaves of a share: dedicated, minimum, maximum.
_LTE_SHARE = ("dedicatedRatio", "minRatio", "maxRatio")
_NR_SHARE = ("rRMPolicyDedicatedRatio", "rRMPolicyMinRatio", "rRMPolicyMaxRatio")
_PRB = ("PRB", "PRB_DL")


@dataclass(frozen=True, slots=True)
class Flow:
    """The users of one PLMN, on NR of one slice of it; ``slice`` is as in 1-0000A1.

    ``wanted`` and ``given`` are in percent of the carrier; who has no way to its core gets nothing.
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
    config: Config, status: CellStatus, place: Place, tenants: Mapping[str, str], up: frozenset[str], begin: datetime
) -> Load:
    """The load of a cell in the period that begins then, local time.

    ``tenants`` says whose each PLMN is, ``up`` which of them reach their core.
    """
    demand = demand_of(config, status, place, tenants, up, begin)
    return replace(demand, flows=tuple(_served(demand.flows, dict(_shares(config, status)))))


def demand_of(
    config: Config, status: CellStatus, place: Place, tenants: Mapping[str, str], up: frozenset[str], begin: datetime
) -> Load:
    """As ``load_of``, before anything is given to anybody: quicker, where only what is wanted matters."""
    attributes = config.get(status.survey.path)
    assert attributes is not None
    technology = _technology(status)
    megahertz = _megahertz(attributes)
    carries = traffic.capacity(technology, megahertz) * (DEGRADED if status.service is Service.DEGRADED else 1.0)
    names = list(_flows(attributes, technology))
    asleep = status.service is Service.SLEEPING or not status.on_air
    flows = []
    for plmn, slice_ in names:
        siblings = tuple(other for owner, other in names if owner == plmn)
        part = traffic.parts(f"{place.seed}/{plmn}", siblings)[slice_]
        people = 0.0 if asleep else part * traffic.users(place, status.survey.id, plmn, begin)
        connected = tenants.get(plmn, "") in up
        flows.append(Flow(plmn, slice_, people, connected, _percent(people, carries) if connected else 0.0, 0.0))
    return Load(tuple(flows), carries, megahertz)


def _technology(status: CellStatus) -> str:
    return "NR" if status.survey.cell_class == "NRCellDU" else "LTE"


def _percent(people: float, carries: float) -> float:
    return 100.0 * people * traffic.RATE / carries


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
        groups.values(), wanted, traffic.allot(wanted, [terms[name] for name in groups]), strict=True
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
    for name in ("plmnIdList", "cellAccessInfoList"):
        for entry in attributes.entries(name):
            yield _plmn(entry), ""


def _plmn(entry: Instance) -> str:
    return f"{entry.leaf('mcc')}-{entry.leaf('mnc')}"


def _shares(config: Config, status: CellStatus) -> Iterator[tuple[tuple[str, str], tuple[str, Share]]]:
    """For each member the policy that it is under; those of the cell come last, so that they win."""
    path = status.survey.path
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
