"""Pools of servers, packages, and the virtualised functions that run on these pools.

A base station may consist of functions (network functions of TS 28.541: a gNB-DU, gNB-CU-CP, gNB-CU-UP, or a whole
base station in one). They run as pods on small pools of servers, each pool with a Kubernetes API of its own. A station
names its functions (``Station.functions``); a physical station names none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from controller.models.credentials import ManagementDefaults
from controller.models.scalars import (
    HOST,
    Credential,
    Fingerprint,
    HostAddress,
    Identifier,
    Name,
    Noun,
    Profile,
    StationId,
    words,
)

FunctionId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9-]{0,50}[A-Za-z0-9])?$"),
    Field(
        description="Letters, digits and inner hyphens, at most 52, as in DU-CUS-0042: objects in Kubernetes get it."
    ),
]
NodeName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$"),
    Field(description="Name of a Kubernetes node: lower-case letters, digits, inner hyphens and dots, at most 63."),
]
#: An image by the digest of its content, since a tag could mean another image tomorrow.
Image = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9._:/-]{0,190}@sha256:[0-9a-f]{64}$"),
    Field(description="Repository and digest, as in registry.example/acme/du@sha256: and 64 lower-case hex digits."),
]
Version = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9._+-]{0,62}[A-Za-z0-9])?$"),
    Field(description="Letters, digits, dots, hyphens, underscores and plus signs, at most 64, as in 24.2.1."),
]
UrlPath = Annotated[
    str,
    StringConstraints(pattern=r"^(?:/[A-Za-z0-9][A-Za-z0-9._~-]*)+$", max_length=200),
    Field(description="Path of a URL without a slash at its end, as in /k8s/clusters/c-m-x7k2q, at most 200 letters."),
]
Cores = Annotated[int, Field(ge=1, le=10_000, description="Physical cores.")]
Memory = Annotated[int, Field(ge=1, le=100_000, description="GiB, without hugepages.")]
Gibibytes = Annotated[int, Field(ge=0, le=100_000, description="GiB.")]
Count = Annotated[int, Field(ge=0, le=1_000)]


#: The longest id of an owner of functions: after ``minka-`` it forms a namespace (RFC 1123 label, 63 characters).
NAMESPACE_LONGEST = 57


class FunctionKind(StrEnum):
    """Kind of a function; ``vbbu`` is a whole base station without its radios, ``gateway`` only carries packets."""

    VBBU = "vbbu"
    VDU = "vdu"
    VCU_CP = "vcu-cp"
    VCU_UP = "vcu-up"
    GATEWAY = "gateway"

    @property
    def is_endpoint(self) -> bool:
        """Whether it is the management endpoint of the stations that name it."""
        return self in (FunctionKind.VBBU, FunctionKind.VDU)

    @property
    def is_central(self) -> bool:
        """Whether it is a part of a gNB's central unit, which may have a management endpoint of its own."""
        return self in (FunctionKind.VCU_CP, FunctionKind.VCU_UP)

    @property
    def is_radio(self) -> bool:
        """Whether it serves cells, so that its distance to them must be short."""
        return self is not FunctionKind.GATEWAY


class PoolPlace(StrEnum):
    """Place of a pool: at one site, at the edge of the transport network, or in the centre of a region."""

    SITE = "site"
    EDGE = "edge"
    REGIONAL = "regional"

    @property
    def scarcity(self) -> int:
        """How scarce its room is for functions that have to be near cells; higher is scarcer."""
        return (PoolPlace.REGIONAL, PoolPlace.EDGE, PoolPlace.SITE).index(self)


_HTTPS = 443


class Pool(Noun):
    """Servers under one Kubernetes API; ``authority`` signed the certificate of that API for its ``address``.

    Minka authenticates with the bearer token that ``credential`` names, or with ``client_certificate``.
    """

    id: StationId
    where: PoolPlace
    region: Identifier
    site: Identifier | None = Field(None, description="Site that it stands at, or next to.")
    address: HostAddress
    port: Annotated[int, Field(ge=1, le=65535)] = 6443
    path: UrlPath | None = Field(
        None, description="Path below which its API is, where one proxy stands before several clusters."
    )
    authority: Credential = Field(description="Name of the certificates of an authority, PEM.")
    certificate: Fingerprint | None = Field(None, description="Fingerprint of its certificate, where pinned as well.")
    credential: Credential | None = Field(None, description="Name of a bearer token.")
    client_certificate: Credential | None = Field(
        None, description="Name of our certificate and its private key, PEM, one after the other."
    )
    ims_address: HostAddress | None = Field(
        None, description="Address of the O2 IMS that knows its servers (O-RAN.WG6.O2IMS-INTERFACE), if there is one."
    )
    ims_port: Annotated[int, Field(ge=1, le=65535)] = _HTTPS
    ims_credential: Credential | None = Field(None, description="Name of the bearer token for its O2 IMS.")
    ims_authority: Credential | None = Field(
        None, description="Name of the certificates of the authority of its O2 IMS; none: those of authority."
    )
    spare_nodes: Annotated[int, Field(ge=0, le=100)] = Field(
        1, description="Nodes that may fail without a function staying down; those of a failure domain count as one."
    )
    uplink_gbps: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        None, description="Gbit/s of its links to the transport network; none: not known, so none are sold."
    )

    def credentials(self, _: ManagementDefaults) -> dict[str, str]:
        """Names of the credentials that a session needs, by field."""
        ours = {"credential": self.credential, "client_certificate": self.client_certificate}
        return {"authority": self.authority, **{field: name for field, name in ours.items() if name is not None}}

    @property
    def ims_credentials(self) -> dict[str, str]:
        """Names of the credentials that a session to its O2 IMS needs, by field; empty if it has no O2 IMS."""
        if self.ims_address is None or self.ims_credential is None:
            return {}
        authority = "authority" if self.ims_authority is None else "ims_authority"
        return {authority: self.ims_authority or self.authority, "ims_credential": self.ims_credential}

    @model_validator(mode="after")
    def _one_way_in(self) -> Pool:
        if (self.credential is None) == (self.client_certificate is None):
            raise ValueError("a pool has a credential (bearer token) or a client_certificate")
        if self.where is PoolPlace.SITE and self.site is None:
            raise ValueError("site is missing: a pool with where: site stands at one")
        if (self.ims_address is None) != (self.ims_credential is None):
            raise ValueError("ims_address and ims_credential go together")
        if self.ims_address is None and (self.ims_authority is not None or self.ims_port != _HTTPS):
            raise ValueError("ims_address is missing: ims_port and ims_authority are of its O2 IMS")
        return self


class Node(Noun):
    """A server of a pool, with its resources for functions (allocatable, in the words of Kubernetes).

    Nodes of a ``failure_domain`` fail together, as in a rack with one power supply. A node without one fails alone.
    """

    pool: StationId
    id: NodeName
    cpus: Cores
    memory_gb: Memory
    hugepages_gb: Gibibytes = 0
    accelerators: Count = 0
    ptp: bool = Field(False, description="Whether its clock follows PTP, as a DU needs.")
    failure_domain: Identifier | None = None

    @property
    def domain(self) -> str:
        """Its failure domain within its pool, or the node itself (``/`` and its id)."""
        return self.failure_domain or f"/{self.id}"


class NodeReady(StrEnum):
    """Whether a node takes part in its cluster, by its condition ``Ready``; ``absent`` if there is no such node."""

    READY = "ready"
    NOT_READY = "not-ready"
    UNKNOWN = "unknown"
    ABSENT = "absent"


class Resources(Noun):
    """Resources that a node has or pods request; fractions of cores and GiB are possible."""

    cpus: float = 0
    memory_gb: float = 0
    hugepages_gb: float = 0
    accelerators: float = 0

    def __add__(self, other: Resources) -> Resources:
        """The sum of both."""
        return Resources(**{name: getattr(self, name) + getattr(other, name) for name in Resources.model_fields})

    def __sub__(self, other: Resources) -> Resources:
        """The difference; negative values where there is not enough."""
        return Resources(**{name: getattr(self, name) - getattr(other, name) for name in Resources.model_fields})

    @property
    def lacking(self) -> tuple[str, ...]:
        """Names of the resources that are negative."""
        return tuple(name for name in Resources.model_fields if getattr(self, name) < 0)


class NodeState(Noun):
    """A node of a pool as its cluster reports it.

    Attributes:
        id: Its name.
        reason: Why it is not ready, as its kubelet or the cluster says; empty if it is ready.
        cordoned: Whether somebody excluded it from new pods (``spec.unschedulable``).
        pressures: Its conditions of type ``…Pressure`` and ``NetworkUnavailable`` that hold, sorted.
        clock: Whether its clock follows PTP (condition ``ClockSynchronized``); None if that is not reported.
        allocatable: Resources for pods.
        requested: Resources that pods of functions request there.
        functions: Functions with a pod on it, sorted; on a node that is not ready, also those that had one before, and
            without those that moved.
        moved: Functions that were on it before it was lost, and run on another node of the pool by now, sorted.
        timed: Those of them that need its clock to follow PTP.
    """

    id: str
    ready: NodeReady
    reason: str = ""
    cordoned: bool = False
    pressures: tuple[str, ...] = ()
    clock: bool | None = None
    allocatable: Resources = Resources()
    requested: Resources = Resources()
    functions: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    timed: tuple[str, ...] = ()

    @property
    def takes_pods(self) -> bool:
        """Whether pods can be scheduled on it."""
        return self.ready is NodeReady.READY and not self.cordoned

    @property
    def state(self) -> str:
        """The most severe state in a word: ``lost``, ``cordoned``, ``clock-lost``, ``pressure`` or ``ready``."""
        signs = {
            "lost": self.ready is not NodeReady.READY,
            "cordoned": self.cordoned,
            "clock-lost": self.clock is False,
            "pressure": bool(self.pressures),
        }
        return next((word for word, holds in signs.items() if holds), "ready")

    @property
    def free(self) -> Resources:
        """Resources that pods of functions leave free."""
        return self.allocatable - self.requested


class HardwareAlarm(Noun):
    """An active alarm in the O2 IMS of a pool.

    Attributes:
        node: The node that it is about; empty if it names none of the pool.
        severity: X.733 perceived severity.
        text: Its text.
    """

    node: str
    severity: str
    text: str


#: How long a container has to run until its kubelet forgets that it crashed, and starts its back-off anew.
FORGIVEN = timedelta(minutes=10)


class ClusterState(Noun):
    """Nodes of a pool, and the state of functions' pods there.

    Attributes:
        nodes: Nodes by name.
        waiting: Functions with a pod that fits on no node, and the scheduler's reason.
        crashing: Functions with a container that crashes again and again, and the kubelet's reason.
        crashed: Those of them whose container runs just now, and when it crashed last.
        down: Functions that have pods there, but none that is ready, sorted.
        elsewhere: Functions on lost nodes, or of a pool that does not answer, that count as on another pool by now,
            sorted.
        restarts: Restarts of containers by their kubelet, by function, over all present pods.
        hardware: Alarms in its O2 IMS; None if that did not answer.
        ims: Why the O2 IMS did not answer.
    """

    nodes: tuple[NodeState, ...] = ()
    waiting: dict[str, str] = {}
    crashing: dict[str, str] = {}
    crashed: dict[str, datetime] = {}
    restarts: dict[str, int] = {}
    down: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    hardware: tuple[HardwareAlarm, ...] | None = ()
    ims: str = ""

    @property
    def functions(self) -> tuple[str, ...]:
        """Functions that are there, or wait to be, sorted."""
        return tuple(sorted({*self.waiting, *(one for node in self.nodes for one in node.functions)}))

    @property
    def in_doubt(self) -> tuple[str, ...]:
        """Functions on nodes that are lost, of which pods may be listed long after they went elsewhere, sorted."""
        lost = (node for node in self.nodes if node.ready is not NodeReady.READY)
        return tuple(sorted({name for node in lost for name in node.functions}))

    def crashing_at(self, now: datetime) -> dict[str, str]:
        """Functions that crash again and again, without those that have run for long enough since."""
        return {
            name: said
            for name, said in self.crashing.items()
            if name not in self.crashed or now - self.crashed[name] < FORGIVEN
        }


class Latency(Noun):
    """One-way delay of packets from a pool to a site. A pool can't reach a site that it does not list."""

    pool: StationId
    site: Identifier
    microseconds: Annotated[int, Field(ge=0, le=1_000_000)]


class Package(Noun):
    """A release of a function: its image, the resources of one replica, and its interfaces.

    ``f1`` and ``e1`` are the releases of F1AP and E1AP (TS 38.473, TS 38.463) that it accepts. Two functions can work
    together if they share one.
    """

    id: StationId
    kind: FunctionKind
    vendor: Name
    version: Version
    image: Image
    cpus: Cores
    memory_gb: Memory
    hugepages_gb: Gibibytes = 0
    accelerators: Count = 0
    ptp: bool = Field(False, description="Whether it runs only on nodes whose clock follows PTP.")
    gbps: Annotated[float, Field(gt=0, le=10_000)] | None = Field(
        None, description="Gbit/s of users' packets that one replica carries; none: none to speak of."
    )
    start_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    profiles: Annotated[tuple[Profile, ...], BeforeValidator(words)] = Field(
        (), description="NETCONF profiles that it speaks, where it is the endpoint of stations."
    )
    f1: Annotated[tuple[Version, ...], BeforeValidator(words)] = ()
    e1: Annotated[tuple[Version, ...], BeforeValidator(words)] = ()

    @model_validator(mode="after")
    def _speaks(self) -> Package:
        if self.kind.is_endpoint and not self.profiles:
            raise ValueError(f"profiles is missing: a {self.kind} is the endpoint of stations")
        if self.profiles and not (self.kind.is_endpoint or self.kind.is_central):
            raise ValueError(f"a {self.kind} is no endpoint of stations: leave profiles out")
        spoken = {
            FunctionKind.VDU: ("f1",),
            FunctionKind.VCU_CP: ("f1", "e1"),
            FunctionKind.VCU_UP: ("e1",),
        }.get(self.kind, ())
        for field in ("f1", "e1"):
            if bool(getattr(self, field)) != (field in spoken):
                raise ValueError(f"{field} is missing" if field in spoken else f"a {self.kind} has no {field}")
        return self


class Function(Noun):
    """A function: its package, its owner, and where it may run.

    A function with an ``owner`` is that tenant's own, and carries only that tenant's PLMNs and slices. Without ``pool``
    Minka chooses one (``controller.intent.placement``).
    """

    id: FunctionId
    package: StationId
    owner: Identifier | None = Field(None, description="Tenant whose own it is; none where it is the host's.")
    replicas: Annotated[int, Field(ge=1, le=100)] = 1
    pool: StationId | None = Field(None, description="Pool that it must run on; none: any that fits.")
    max_latency_us: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None,
        description="Longest that packets may take from its pool to each of its stations, one way: to its site "
        "(fronthaul of a vdu or vbbu), or to the pool of its DU (midhaul of a vcu-cp or vcu-up). Only a gateway may "
        "leave it out.",
    )
    apart_from: Annotated[tuple[FunctionId, ...], BeforeValidator(words)] = Field(
        (), description="Functions that may not run on the same pool."
    )
    address: HostAddress | None = Field(None, description="Address of its OAM interface, the same on any pool.")

    @property
    def side(self) -> str:
        """Its owner: the host or a tenant."""
        return self.owner or HOST

    def near(self, ways_us: Mapping[str, Sequence[int]]) -> tuple[str, ...]:
        """Pools that are near enough, sorted; given the delays from each pool to all of its stations."""
        limit = self.max_latency_us
        return tuple(sorted(pool for pool, us in ways_us.items() if limit is None or max(us) <= limit))
