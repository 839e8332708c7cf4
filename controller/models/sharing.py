"""Sharing: tenants, their cores and slices, and the agreements with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from ipaddress import ip_address, ip_network
from itertools import pairwise
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator, model_validator

from controller.models.cloud import FunctionId
from controller.models.scalars import (
    HOST,
    Band,
    Credential,
    Currency,
    Day,
    EmailAddress,
    Identifier,
    IpAddress,
    Name,
    Noun,
    Percent,
    Plmn,
    Prefix,
    ProbableCause,
    Rat,
    SliceDifferentiator,
    StationId,
    TimeOfDay,
    WebhookUrl,
)


class SharingKind(StrEnum):
    """Kind of active sharing (TS 32.130): MOCN shares the carrier, MORAN only the equipment."""

    MOCN = "MOCN"
    MORAN = "MORAN"


class ResourceType(StrEnum):
    """Radio resource that a share divides (TS 28.541 §4.4.1, resourceType)."""

    PRB = "PRB"
    PRB_UL = "PRB_UL"
    PRB_DL = "PRB_DL"
    RRC = "RRC"
    DRB = "DRB"


class Snssai(Noun):
    """Single network slice selection assistance information (TS 23.003 §28.4.2)."""

    sst: Annotated[int, Field(ge=0, le=255)]
    sd: SliceDifferentiator = "FFFFFF"

    def __str__(self) -> str:
        return f"{self.sst}" if self.sd == "FFFFFF" else f"{self.sst}-{self.sd}"


def in_slice_order(slices: Iterable[Snssai]) -> tuple[Snssai, ...]:
    """Distinct slices, ordered by SST and SD."""
    return tuple(sorted(set(slices), key=lambda one: (one.sst, one.sd)))


class CoreNode(Noun):
    """One MME or AMF of a tenant."""

    id: Identifier
    address: IpAddress


class Gateways(Noun):
    """S-GWs of a tenant in one network: the MME assigns one of them to each session (TS 23.401 §5.3.2)."""

    id: Identifier
    prefix: Prefix = Field(description="Network that holds their S1-U addresses, as in 10.64.0.0/28, or one address.")
    shared: bool = Field(False, description="Whether another tenant uses the same addresses; both then say so.")


class UserPlaneFunction(CoreNode):
    """One UPF of a tenant, or several in one network: the SMF assigns one of them to each session."""

    prefix: Prefix | None = Field(
        None, description="Network that holds its N3 addresses, where it has more than `address`."
    )
    shared: bool = Field(False, description="Whether another tenant uses the same addresses; both then say so.")
    slices: tuple[Snssai, ...] = Field(default=(), description="Slices of the tenant that it serves; none given: all.")

    @property
    def network(self) -> Prefix:
        """The destination network of packets to it."""
        return self.prefix or ip_network(self.address)

    @model_validator(mode="after")
    def _holds_its_address(self) -> UserPlaneFunction:
        if self.prefix is not None and self.address not in self.prefix:
            raise ValueError(f"address {self.address} lies outside of prefix {self.prefix}")
        return self


class Plane(StrEnum):
    """Plane of a core link: signalling, or user traffic."""

    CONTROL = "control"
    USER = "user"


class SecurityGateway(Noun):
    """Where the IPsec tunnels of stations to a tenant's core end (TS 33.401 §12).

    Stations and gateway agree on keys, certificates and proposals; Minka only knows the routes of packets.
    """

    address: IpAddress
    protects: tuple[Plane, ...] = Field(
        default=tuple(Plane), min_length=1, description="Planes whose core links go through it; none given: both."
    )
    shared: bool = Field(False, description="Whether another tenant uses the same address; both then say so.")


class Core(Noun):
    """A tenant's core network as the shared RAN sees it.

    A tenant's VRF has routes to these nodes and to nothing else.
    """

    vlan: Annotated[int, Field(ge=1, le=4094)]
    mme_pool: tuple[CoreNode, ...] = ()
    sgw_pool: tuple[Gateways, ...] = ()
    amf_pool: tuple[CoreNode, ...] = ()
    upf_pool: tuple[UserPlaneFunction, ...] = ()
    security_gateway: SecurityGateway | None = Field(
        None, description="Gateway that core links go through; routes then lead to it and not to what is behind."
    )

    def tunnel_of(self, plane: Plane) -> str:
        """Address of the security gateway for links of a plane; empty if there is none."""
        gateway = self.security_gateway
        return str(gateway.address) if gateway is not None and plane in gateway.protects else ""

    def first_hop(self, plane: Plane, network: Prefix) -> Prefix:
        """Destination of packets to a network of a plane: the security gateway, or the network itself."""
        gateway = self.tunnel_of(plane)
        return ip_network(gateway) if gateway else network

    def behind(self, plane: Plane) -> tuple[Prefix, ...]:
        """The networks of core nodes that links of a plane lead to, in the order of the files."""
        if plane is Plane.CONTROL:
            return tuple(ip_network(node.address) for node in (*self.mme_pool, *self.amf_pool))
        return (*(node.prefix for node in self.sgw_pool), *(node.network for node in self.upf_pool))

    @model_validator(mode="after")
    def _gateway_is_outside(self) -> Core:
        for plane in Plane:
            if (gateway := self.tunnel_of(plane)) and any(ip_address(gateway) in one for one in self.behind(plane)):
                raise ValueError(f"security_gateway {gateway} lies among the {plane} plane nodes that it protects")
        return self


class Contact(Noun):
    """Where a side's NOC is notified: by e-mail, or by a webhook with signed messages.

    Only the host and that side see it.
    """

    id: Identifier
    name: Name
    email: EmailAddress | None = None
    webhook: WebhookUrl | None = None
    credential: Credential | None = Field(
        None, description="Name of the secret that messages to the webhook are signed with (HMAC-SHA256)."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Contact:
        if (self.email is None) == (self.webhook is None):
            raise ValueError("a contact has an email or a webhook")
        if (self.webhook is None) != (self.credential is None):
            raise ValueError("credential signs messages to a webhook: give both, or neither")
        return self


class Tenant(Noun):
    """A mobile operator that uses the shared RAN."""

    id: Identifier
    name: Name
    plmns: tuple[Plmn, ...] = Field(min_length=1)
    slices: tuple[Snssai, ...] = ()
    core: Core
    contacts: tuple[Contact, ...] = Field(
        default=(), max_length=20, description="Where its NOC is notified of incidents."
    )

    def link_id(self, node: str) -> str:
        """Id of the core link to a node of its core."""
        return f"{self.id}-{node}"

    @property
    def user_link_id(self) -> str:
        """Id of the one link to all of its S-GWs."""
        return self.link_id("s1u")

    @property
    def far_ends(self) -> Mapping[str, frozenset[Prefix]]:
        """Destinations of its core links by link id: the security gateway, if there is one."""
        core = self.core
        found: dict[str, set[Prefix]] = {}
        for node in (*core.mme_pool, *core.amf_pool):
            found.setdefault(self.link_id(node.id), set()).add(core.first_hop(Plane.CONTROL, ip_network(node.address)))
        for function in core.upf_pool:
            found.setdefault(self.link_id(function.id), set()).add(core.first_hop(Plane.USER, function.network))
        for gateways in core.sgw_pool:
            found.setdefault(self.user_link_id, set()).add(core.first_hop(Plane.USER, gateways.prefix))
        return {link: frozenset(ends) for link, ends in found.items()}

    @property
    def link_by_node(self) -> Mapping[str, str]:
        """Ids of the core links by id of their core node."""
        core = self.core
        found = {node.id: self.link_id(node.id) for node in (*core.mme_pool, *core.amf_pool, *core.upf_pool)}
        return {**dict.fromkeys((gateways.id for gateways in core.sgw_pool), self.user_link_id), **found}

    @model_validator(mode="after")
    def _not_host(self) -> Tenant:
        if re.fullmatch(rf"{HOST}(-\d+)?", self.id):
            raise ValueError(f"the id '{self.id}' is taken by the neutral host itself")
        if len({one.id for one in self.contacts}) != len(self.contacts):
            raise ValueError("two contacts have the same id")
        return self


class Scope(Noun):
    """Which cells an agreement covers.

    Places (``everywhere``, ``regions``, ``sites``, ``stations``, ``cells``) are alternatives: a cell is in the scope if
    one of them names it. If given, ``bands`` and ``rats`` restrict that.
    """

    everywhere: bool = False
    regions: tuple[Identifier, ...] = ()
    sites: tuple[Identifier, ...] = ()
    stations: tuple[StationId, ...] = ()
    cells: tuple[str, ...] = Field(default=(), description="Cells as station/cell.")
    bands: tuple[Band, ...] = ()
    rats: tuple[Rat, ...] = ()

    @model_validator(mode="after")
    def _says_where(self) -> Scope:
        if not (self.everywhere or self.regions or self.sites or self.stations or self.cells):
            raise ValueError("a scope names regions, sites, stations or cells, or says everywhere: true")
        return self

    @cached_property
    def _named(self) -> tuple[frozenset[str], ...]:
        return tuple(map(frozenset, (self.regions, self.sites, self.stations, self.cells)))

    def covers(self, *, region: str, site: str, station: str, cell: str, band: str, rat: Rat) -> bool:
        """Whether a cell is in the scope, by its name and place."""
        regions, sites, stations, cells = self._named
        placed = self.everywhere or region in regions or site in sites or station in stations or cell in cells
        return placed and (not self.bands or band in self.bands) and (not self.rats or rat in self.rats)


class RadioShare(Noun):
    """Share of one radio resource in percent (TS 28.541 §4.3.36 RRMPolicyRatio).

    Dedicated is never lent, min − dedicated is guaranteed on demand, max − min is best effort.
    The order dedicated ≤ min ≤ max is a contract check, so that it can name the cell.
    """

    resource: ResourceType = ResourceType.PRB
    dedicated: Percent = 0
    min: Percent = 0
    max: Percent = 100


class Validity(Noun):
    """Days on which an agreement holds, first and last included, in the network's time zone."""

    start: Day
    end: Day | None = None

    def holds_on(self, day: date) -> bool:
        """Whether a day of the network's time zone is one of them."""
        return self.holds_within(day, day)

    def holds_within(self, first: date, last: date) -> bool:
        """Whether one of several days of the network's time zone is one of them."""
        return self.start <= last and (self.end is None or first <= self.end)

    @model_validator(mode="after")
    def _ordered(self) -> Validity:
        if self.end is not None and self.end < self.start:
            raise ValueError("end is before start")
        return self


class Weekday(StrEnum):
    """Day of the week of a maintenance window."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class MaintenanceWindow(Noun):
    """A weekly window in local time.

    Attributes:
        days: Days on which it begins; at least one.
        start: Time of day, as in ``"01:00"``.
        end: Time of day; on the next day if it is before ``start``. It is never ``start``: a whole day is two windows.
    """

    days: Annotated[tuple[Weekday, ...], Field(min_length=1)] = tuple(Weekday)
    start: TimeOfDay
    end: TimeOfDay

    @field_validator("end")
    @classmethod
    def _differs_from_start(cls, end: time, info: ValidationInfo) -> time:
        # Read as no time it would never open, read as a whole day each night would leave it open for ever.
        if info.data.get("start") == end:
            raise ValueError(
                "must differ from start; for a whole day write two windows, from 00:00 to 12:00 and from 12:00 to 00:00"
            )
        return end


class Consent(StrEnum):
    """How an owner agrees to a class of action on a shared node."""

    STANDING = "standing"
    NOTICE = "notice"
    APPROVAL = "approval"


class ActionClass(StrEnum):
    """Classes of action that agreements give consent to."""

    RESTORE = "restore"
    CONFIGURE = "configure"
    INTERRUPT = "interrupt"
    REDUCE = "reduce"


#: Consents of an agreement that does not state any: taking service away needs the tenant's approval.
DEFAULT_CONSENTS = {
    ActionClass.RESTORE: Consent.STANDING,
    ActionClass.CONFIGURE: Consent.STANDING,
    ActionClass.INTERRUPT: Consent.NOTICE,
    ActionClass.REDUCE: Consent.APPROVAL,
}


def exactly(percent: float) -> Fraction:
    """A percentage as its file writes it: 99.7 is no binary fraction, and who loses just 0.3 % keeps it."""
    return Fraction(str(percent))


class Penalty(Noun):
    """Credit of a tenant for a month whose availability is below a percentage."""

    below_percent: Annotated[float, Field(gt=0, le=100)]
    credit_percent: Annotated[float, Field(gt=0, le=100, description="Of the month's charges under the agreement.")]


class Bearer(StrEnum):
    """Who bears time of which nobody knows whether there was service."""

    HOST = "host"
    """It counts as lost."""
    TENANT = "tenant"
    """It counts as served."""


class Sla(Noun):
    """What the host owes the tenant.

    Attributes:
        outside_causes: Probable causes outside of the contract, such as the mains: the host does not owe the time
            in which such a root of an incident stood.
        unproved_percent: Largest part of the shared time, in percent, that may be unseen, unobserved or not applied in
            a month whose promise is called kept.
        unseen_borne_by: Who bears the time in which Minka looked, got no answer, and nothing else proves service or
            its loss.
        restored_minutes: Service that lasts for less than that between two outages of a cell does not end the first:
            to be restored takes both and what lies between them.
        penalties: Of those that a month's availability falls below, the one with the lowest percentage counts.
    """

    availability_percent: Annotated[float, Field(gt=0, le=100)] = 99.0
    restore_hours: Annotated[float, Field(gt=0)] = 24.0
    outside_causes: tuple[ProbableCause, ...] = Field(default=(), max_length=100)
    unproved_percent: Annotated[float, Field(ge=0, le=100)] = 1.0
    unseen_borne_by: Bearer = Bearer.HOST
    restored_minutes: Annotated[float, Field(ge=0, le=1440)] = 30.0
    penalties: tuple[Penalty, ...] = Field(default=(), max_length=20)

    @property
    def left_out(self) -> frozenset[str]:
        """The causes outside of the contract."""
        return frozenset(self.outside_causes)

    def allowance(self, seconds: float) -> float:
        """The part of a time that may be lost."""
        return seconds * (100 - self.availability_percent) / 100

    def penalty(self, availability_percent: Fraction | float) -> Penalty | None:
        """The penalty for a month's availability; None if there is none."""
        due = (one for one in self.penalties if availability_percent < exactly(one.below_percent))
        return min(due, key=lambda one: one.below_percent, default=None)

    @model_validator(mode="after")
    def _steps_down(self) -> Sla:
        for one in self.penalties:
            if one.below_percent > self.availability_percent:
                raise ValueError(
                    f"a penalty below {one.below_percent:g} % applies to a month that keeps the promise: "
                    f"availability_percent is {self.availability_percent:g}"
                )
        ordered = sorted(self.penalties, key=lambda one: -one.below_percent)
        for higher, lower in pairwise(ordered):
            if lower.below_percent == higher.below_percent:
                raise ValueError(f"two penalties are below {lower.below_percent:g} %")
            if lower.credit_percent <= higher.credit_percent:
                raise ValueError(
                    f"the penalty below {lower.below_percent:g} % is not higher than that below "
                    f"{higher.below_percent:g} %"
                )
        return self


class Charge(StrEnum):
    """Basis of a price: ``cell-month`` and ``percent-cell-month`` by the part of the month in which cells were shared.

    ``percent-cell-month`` counts each percent of PRBs that the agreement guarantees (``min`` of its share) and that
    runs have applied. ``core-month`` and ``gbps-month`` are for its ``capacity`` of pools, ``function-month`` for each
    of its ``functions``, by the part of the month in which it held; it does not matter whether they were used.
    """

    MONTH = "month"
    CELL_MONTH = "cell-month"
    PERCENT_CELL_MONTH = "percent-cell-month"
    CORE_MONTH = "core-month"
    GBPS_MONTH = "gbps-month"
    FUNCTION_MONTH = "function-month"
    GIGABYTE = "gigabyte"


class Direction(StrEnum):
    """Direction of the volume that counts."""

    BOTH = "both"
    DOWN = "down"
    UP = "up"


class RoundingRule(StrEnum):
    """How an amount exactly in the middle is rounded: to the even digit, or away from zero."""

    HALF_EVEN = "half-even"
    HALF_UP = "half-up"


Amount = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6, allow_inf_nan=False)]


#: Lines of a settlement that are no price of an agreement.
CORRECTION, CREDIT = "correction", "credit"


class PriceLine(Noun):
    """A price of an agreement.

    Attributes:
        included: Free gigabytes (of 10^9 bytes) in a month.
        qos: QCIs or 5QIs whose volume counts; none means all.
        pools: Pools whose cores or Gbit/s it is for; none means all.
    """

    id: Identifier
    per: Charge
    amount: Amount
    direction: Direction = Direction.BOTH
    included: Amount = Decimal(0)
    qos: tuple[Annotated[int, Field(ge=1, le=255)], ...] = ()
    pools: tuple[StationId, ...] = ()

    @field_validator("id")
    @classmethod
    def _is_a_name_of_its_own(cls, name: str) -> str:
        if name in (CORRECTION, CREDIT):
            raise ValueError("the name of a line that each settlement may have; another name")
        return name

    @model_validator(mode="after")
    def _of_its_charge(self) -> PriceLine:
        if self.per is not Charge.GIGABYTE and (self.direction is not Direction.BOTH or self.included or self.qos):
            raise ValueError(
                f"direction, included and qos are about volume: leave them out, or say per: {Charge.GIGABYTE}"
            )
        if self.pools and self.per not in (Charge.CORE_MONTH, Charge.GBPS_MONTH):
            raise ValueError(
                f"pools are about capacity: leave them out, or say per: {Charge.CORE_MONTH} or {Charge.GBPS_MONTH}"
            )
        return self


class PriceChange(StrEnum):
    """When prices count that replace others of the same agreement."""

    AT_ONCE = "at-once"
    NEXT_MONTH = "next-month"


class Prices(Noun):
    """Prices of an agreement. Each line is rounded by itself, and their sum is due.

    Attributes:
        change: When these prices count if others were in force before, in the month in which they come.
    """

    currency: Currency
    change: PriceChange = PriceChange.AT_ONCE
    decimals: Annotated[int, Field(ge=0, le=4)] = 2
    rounding: RoundingRule = RoundingRule.HALF_EVEN
    lines: tuple[PriceLine, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _ids_differ(self) -> Prices:
        if len({line.id for line in self.lines}) < len(self.lines):
            raise ValueError("two price lines have the same id")
        return self


class PoolCapacity(Noun):
    """Capacity of a pool that a tenant buys for functions of its own.

    ``overbooking_percent`` is the part that the host may sell again while the tenant does not use it.
    """

    pool: StationId
    cores: Annotated[int, Field(ge=1, le=100_000)]
    gbps: Annotated[float, Field(ge=0, le=100_000)] = 0
    overbooking_percent: Percent = 0

    @property
    def kept_percent(self) -> int:
        """Percent of it that is reserved for the tenant, used or not."""
        return 100 - self.overbooking_percent


class Agreement(Noun):
    """A sharing agreement of one tenant.

    Attributes:
        windows: When work that interrupts the tenant may be done, in local time; none means at any time.
        consents: How the tenant agrees, by class of action; ``DEFAULT_CONSENTS`` for classes left out.
        notice_hours: Hours between a notice of planned work and its beginning, if consent is by notice.
        approvals_needed: Number of the tenant's people who have to approve, if consent is by approval.
        approvers: People who may approve; none means all of the tenant's approvers.
        reduce_clauses: Numbers of the contract's clauses by which the host may take service away without the tenant's
            approval; none means that there is no such right.
        sign_in_to_approve: Whether a yes counts only from people who signed in at the identity provider. A yes with an
            API token then does not count, since the maker of the token may know it.
        capacity: Capacity of pools for functions of the tenant's own.
        functions: The tenant's own functions that are paid as such, for example a CU-UP: they use no ``capacity``.
    """

    id: Identifier
    tenant: Identifier
    sharing: SharingKind = SharingKind.MOCN
    scope: Scope
    plmns: tuple[Plmn, ...] = Field(default=(), description="Subset of the tenant's PLMNs; none given means all.")
    slices: tuple[Snssai, ...] = Field(default=(), description="Subset of the tenant's slices; none given means all.")
    shares: tuple[RadioShare, ...] = ()
    validity: Validity
    windows: tuple[MaintenanceWindow, ...] = ()
    consents: dict[ActionClass, Consent] = {}
    notice_hours: Annotated[int, Field(ge=0, le=8760)] = 0
    approvals_needed: Annotated[int, Field(ge=1, le=20)] = 1
    approvers: tuple[Name, ...] = ()
    reduce_clauses: tuple[Name, ...] = ()
    sign_in_to_approve: bool = False
    capacity: tuple[PoolCapacity, ...] = ()
    functions: tuple[FunctionId, ...] = ()
    sla: Sla = Sla()
    prices: Prices | None = Field(None, description="What its tenant pays; none given: that is not Minka's matter.")

    def plmns_of(self, tenant: Tenant) -> tuple[Plmn, ...]:
        """Sorted PLMNs that it gives its tenant: the named ones, or all of the tenant's; never another tenant's."""
        return tuple(sorted({plmn for plmn in self.plmns or tenant.plmns if plmn in tenant.plmns}))

    def slices_of(self, tenant: Tenant) -> tuple[Snssai, ...]:
        """Slices that it gives its tenant, in the same way, ordered by SST and SD."""
        return in_slice_order(one for one in self.slices or tenant.slices if one in tenant.slices)

    def not_of(self, tenant: Tenant) -> tuple[tuple[Plmn, ...], tuple[Snssai, ...]]:
        """PLMNs and slices that it names although they are not its tenant's."""
        return (
            tuple(sorted({plmn for plmn in self.plmns if plmn not in tenant.plmns})),
            in_slice_order(one for one in self.slices if one not in tenant.slices),
        )

    @property
    def guaranteed_prbs(self) -> int:
        """Percent of PRBs of both directions that it guarantees."""
        return max((share.min for share in self.shares if share.resource is ResourceType.PRB), default=0)

    def consent_to(self, action: ActionClass) -> Consent:
        """How the tenant agrees to a class of action."""
        return self.consents.get(action, DEFAULT_CONSENTS[action])

    @model_validator(mode="after")
    def _enough_approvers(self) -> Agreement:
        if self.approvers and len(set(self.approvers)) < self.approvals_needed:
            raise ValueError(f"approvals_needed is {self.approvals_needed}, but approvers names fewer people")
        return self
