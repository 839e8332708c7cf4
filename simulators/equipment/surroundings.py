"""What the stations of a network have around them: operators' cores and subscribers, the time of day, the seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from types import MappingProxyType
from typing import Protocol
from zoneinfo import ZoneInfo

from simulators.network import Core, SimulatedNetwork, StationRecord

#: Seed of stations that belong to no network.
NO_SEED = "minka"


class Ground(Protocol):
    """What lies between a station and the cores of the tenants."""

    def carries(self, station: StationRecord, tenant: str, remote: str) -> bool:
        """Whether packets of a station reach a node of a tenant's core."""


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """Shared by all stations of a network.

    Attributes:
        ground: What carries packets to the cores; none means that all arrive.
        tenants: Whose each PLMN is.
        plmns: All PLMNs of the network, in order of the tenants.
    """

    cores: tuple[Core, ...]
    seed: str = NO_SEED
    timezone: tzinfo = UTC
    ground: Ground | None = None
    tenants: Mapping[str, str] = field(init=False)
    plmns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Derive who owns which PLMN."""
        tenants = {plmn: core.tenant for core in self.cores for plmn in core.plmns}
        object.__setattr__(self, "tenants", MappingProxyType(tenants))
        object.__setattr__(self, "plmns", tuple(tenants))

    @classmethod
    def of(cls, network: SimulatedNetwork, seed: str | None = None, ground: Ground | None = None) -> Surroundings:
        """The surroundings in a network; its id is the seed unless another is given."""
        return cls(network.cores, seed or network.id, ZoneInfo(network.timezone), ground)
