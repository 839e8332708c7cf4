"""Virtualised functions and what they run on: pools of servers, packages, functions.

A base station may be made of functions (network functions of TS 28.541: a gNB-DU, gNB-CU-CP, gNB-CU-UP, or all of a
base station in one) that run as pods on small pools of servers, each pool with a Kubernetes API of its own. Which
station is made of which functions stands with the station (``Station.functions``); a physical station names none.
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
#: An image by the digest of its content: a tag could mean something else tomorrow.
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
Cores = Annotated[int, Field(ge=1, le=10_000, description="Physical cores.")]
Gibibytes = Annotated[int, Field(ge=0, le=100_000, description="GiB.")]
Count = Annotated[int, Field(ge=0, le=1_000)]


#: Longest id of an owner of functions: with ``minka-`` before it, it is a namespace (RFC 1123 label, 63 characters).
NAMESPACE_LONGEST = 57


class FunctionKind(StrEnum):
    """What a function does; ``vbbu`` is a whole base station but for its radios, ``gateway`` carries packets only."""

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
        """Whether it serves cells, so that its way to them must be short enough."""
        return self is not FunctionKind.GATEWAY


class PoolPlace(StrEnum):
    """Where a pool stands: at one site, at the edge of the transport network, or in the centre of a region."""

    SITE = "site"
    EDGE = "edge"
    REGIONAL = "regional"

    @property
    def scarcity(self) -> int:
        """How much its room is needed for functions that have to be near to cells: the higher, the more."""
        return (PoolPlace.REGIONAL, PoolPlace.EDGE, PoolPlace.SITE).index(self)


class Pool(Noun):
    """Servers under one Kubernetes API; ``authority`` signed the certificate of that API for its ``address``.

    Minka signs in with the bearer token that ``credential`` names or with ``client_certificate``.
    """

    id: StationId
    where: PoolPlace
    region: Identifier
    site: Identifier | None = Field(None, description="Site that it stands at, or next to.")
    address: HostAddress
    port: Annotated[int, Field(ge=1, le=65535)] = 6443
    authority: Credential = Field(description="Name of the certificates of an authority, PEM.")
    certificate: Fingerprint | None = Field(None, description="Fingerprint of its certificate, where pinned as well.")
    credential: Credential | None = Field(None, description="Name of a bearer token.")
    client_certificate: Credential | None = Field(
        None, description="Name of our certificate and its private key, PEM, one after the other."
    )
    ims_address: HostAddress | None = Field(
        None, description="Address of the O2 IMS that knows its servers (O-RAN.WG6.O2IMS-INTERFACE), if there is one."
    )
    ims_port: Annotated[int, Field(ge=1, le=65535)] = 443
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
        """Names of the credentials that a session takes, by field."""
        ours = {"credential": self.credential, "client_certificate": self.client_certificate}
        return {"authority": self.authority, **{field: name for field, name in ours.items() if name is not None}}

    @property
    def ims_credentials(self) -> dict[str, str]:
        """Names of the credentials that a session to its O2 IMS takes, by field; none where it has none."""
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
        return self


class Node(Noun):
    """A server of a pool, and what of it is there for functions (allocatable, in the words of Kubernetes).

    Nodes of a ``failure_domain`` fail together, as in a rack with one power supply; one without fails alone.
    """

    pool: StationId
    id: NodeName
    cpus: Cores
    memory_gb: Gibibytes
    hugepages_gb: Gibibytes = 0
    accelerators: Count = 0
    ptp: bool = Field(False, description="Whether its clock follows PTP, as a DU needs.")
    failure_domain: Identifier | None = None

    @property
    def domain(self) -> str:
        """What fails with it, among the nodes of its pool: its failure domain, or itself (``/`` and its id)."""
        return self.failure_domain or f"/{self.id}"


class NodeReady(StrEnum):
    """Whether a node takes part in its cluster: the status of its condition ``Ready``, or there is no such node."""

    READY = "ready"
    NOT_READY = "not-ready"
    UNKNOWN = "unknown"
    ABSENT = "absent"


class Resources(Noun):
    """What a node has for pods, or pods ask for; fractions of cores and GiB are possible."""

    cpus: float = 0
    memory_gb: float = 0
    hugepages_gb: float = 0
    accelerators: float = 0

    def __add__(self, other: Resources) -> Resources:
        """Both together."""
        return Resources(**{name: getattr(self, name) + getattr(other, name) for name in Resources.model_fields})

    def __sub__(self, other: Resources) -> Resources:
        """What is left; less than nothing where there is not enough."""
        return Resources(**{name: getattr(self, name) - getattr(other, name) for name in Resources.model_fields})

    @property
    def lacking(self) -> tuple[str, ...]:
        """Names of what there is less than nothing of."""
        return tuple(name for name in Resources.model_fields if getattr(self, name) < 0)


class NodeState(Noun):
    """A node of a pool as its cluster tells it.

    Attributes:
        id: Its name.
        reason: What its kubelet, or the cluster, says of its readiness; empty where it is ready.
        cordoned: Whether it takes no further pods because somebody said so (``spec.unschedulable``).
        pressures: Its conditions of type ``…Pressure`` and ``NetworkUnavailable`` that hold, sorted.
        clock: Whether its clock follows PTP (condition ``ClockSynchronized``); None where nothing tells.
        allocatable: What it has for pods.
        requested: What pods of functions on it ask for.
        functions: Functions with a pod on it, sorted; of one that is not ready, those that had one before too.
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
    timed: tuple[str, ...] = ()

    @property
    def takes_pods(self) -> bool:
        """Whether pods can come to it."""
        return self.ready is NodeReady.READY and not self.cordoned

    @property
    def state(self) -> str:
        """The worst of it in a word: ``lost``, ``cordoned``, ``clock-lost``, ``pressure`` or ``ready``."""
        signs = {
            "lost": self.ready is not NodeReady.READY,
            "cordoned": self.cordoned,
            "clock-lost": self.clock is False,
            "pressure": bool(self.pressures),
        }
        return next((word for word, holds in signs.items() if holds), "ready")

    @property
    def free(self) -> Resources:
        """What pods of functions leave."""
        return self.allocatable - self.requested


class HardwareAlarm(Noun):
    """An alarm that stands, as the O2 IMS of a pool lists it.

    Attributes:
        node: The node that it is about; empty where none of the pool's is named.
        severity: X.733 perceived severity.
        text: What it says.
    """

    node: str
    severity: str
    text: str


#: How long a container has to run until its kubelet forgets that it crashed, and begins its back-off anew.
FORGIVEN = timedelta(minutes=10)


class ClusterState(Noun):
    """Nodes of a pool and what becomes of the pods of functions there.

    Attributes:
        nodes: By name.
        waiting: Functions with a pod that no node takes, and what the scheduler says of it.
        crashing: Functions with a container that crashes again and again, and what the kubelet says of it.
        crashed: Those of them whose container runs just now, and when it crashed last.
        down: Functions that have pods there and none that is ready, sorted.
        restarts: How often containers were started again by their kubelet, by function, of all pods that there are.
        hardware: What its O2 IMS lists; None where that did not answer.
        ims: Why it did not.
    """

    nodes: tuple[NodeState, ...] = ()
    waiting: dict[str, str] = {}
    crashing: dict[str, str] = {}
    crashed: dict[str, datetime] = {}
    restarts: dict[str, int] = {}
    down: tuple[str, ...] = ()
    hardware: tuple[HardwareAlarm, ...] | None = ()
    ims: str = ""

    @property
    def functions(self) -> tuple[str, ...]:
        """Functions that are there, or wait to be, sorted."""
        return tuple(sorted({*self.waiting, *(one for node in self.nodes for one in node.functions)}))

    def crashing_at(self, now: datetime) -> dict[str, str]:
        """Functions that crash again and again; those that have run for long enough since are left out."""
        return {
            name: said
            for name, said in self.crashing.items()
            if name not in self.crashed or now - self.crashed[name] < FORGIVEN
        }


class Latency(Noun):
    """How long packets take from a pool to a site, one way; a site that is not listed is out of the pool's reach."""

    pool: StationId
    site: Identifier
    microseconds: Annotated[int, Field(ge=0, le=1_000_000)]


class Package(Noun):
    """A release of a function: its image, what one replica takes, and what it speaks.

    ``f1`` and ``e1`` are the releases of F1AP and E1AP (TS 38.473, TS 38.463) that it accepts; two functions work
    together if they have one in common.
    """

    id: StationId
    kind: FunctionKind
    vendor: Name
    version: Version
    image: Image
    cpus: Cores
    memory_gb: Annotated[int, Field(ge=1, le=100_000, description="GiB, without hugepages.")]
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
    """A function: which package, whose it is, and where it may run.

    One with an ``owner`` is that tenant's own and carries only that tenant's PLMNs and slices. Without ``pool`` Minka
    chooses one (``controller.intent.placement``).
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
        """Whose it is: the host or a tenant."""
        return self.owner or HOST

    def near(self, ways_us: Mapping[str, Sequence[int]]) -> tuple[str, ...]:
        """Pools that are near enough, sorted, of some from which packets take so long to each of its stations."""
        limit = self.max_latency_us
        return tuple(sorted(pool for pool, us in ways_us.items() if limit is None or max(us) <= limit))
