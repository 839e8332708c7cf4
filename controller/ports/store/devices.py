"""Networks, devices, their health, and how their software behaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controller.models.behaviour import Behaviour, Server
from controller.models.health import Health
from controller.models.measurement import ListedPlmns
from controller.models.network import Network
from controller.models.plan import LedgerNode
from controller.ports.store.claims import Claim
from controller.ports.store.repository import M_co, Repository, method


@dataclass(frozen=True, slots=True)
class Device:
    """What the record says of a station.

    Attributes:
        adopted: When it was adopted, or None while it is observe-only.
        network_digest: Digest of the network that was last applied or adopted on it, perhaps in part.
        applied: When that was.
        retired: Since when it is out of service; None if it is in service.
        beside: Ids of managed elements of which a person said that they may stand beside the station's own.
    """

    station: str
    adopted: datetime | None
    network_digest: str
    applied: datetime | None
    retired: datetime | None = None
    beside: tuple[str, ...] = ()


class Networks(Repository[M_co], Protocol[M_co]):
    """Versions of the network."""

    @method
    def save(self, network: Network, digest: str, actor: str) -> bool:
        """Keep a network version and make it the current one; False if it was current already.

        In the same transaction it is worked out again whom standing alarms concern.
        """
        ...

    @method
    def get(self, digest: str | None = None) -> tuple[str, Network]:
        """Digest and network of a version, the current one by default. Raises NotFoundError."""
        ...


class Devices(Repository[M_co], Protocol[M_co]):
    """Devices that are, or were, adopted."""

    @method
    def find(self, stations: Iterable[str] | None = None) -> dict[str, Device]:
        """Records of stations, without those that are not on record."""
        ...

    @method
    def adopt(
        self,
        station: str,
        nodes: Sequence[LedgerNode],
        network_digest: str,
        actor: str,
        generation: int = 0,
        beside: Sequence[str] | None = None,
    ) -> None:
        """Adopt a station: its nodes enter the ledger. Repeating it adds nodes, and removes none.

        ``generation`` is the one that the station carries from another record; fences continue after it. ``beside``
        are ids of managed elements that may stand beside the station's own; None leaves what is on record.
        """
        ...

    @method
    def retire(self, station: str, actor: str) -> None:
        """Take a station out of service: it is observe-only until it is adopted again. Repeating it changes nothing."""
        ...


class Healths(Repository[M_co], Protocol[M_co]):
    """The latest health of each station."""

    @method
    def save(self, healths: Sequence[Health]) -> None:
        """Keep the latest health of stations, and drop older ones."""
        ...

    @method
    def find(self, stations: Iterable[str] | None = None) -> dict[str, Health]:
        """Latest health by station, without those that another version wrote and this one can't read."""
        ...

    @method
    def ask(self, stations: Iterable[str]) -> None:
        """Have stations read as soon as possible, since they reported a change. Stations never read are read anyway."""
        ...

    @method
    def listed_plmns(self, station: str, since: datetime) -> tuple[ListedPlmns, ...]:
        """In which order a station had the PLMNs of its LTE cells, as checks read it since then, the newest last."""
        ...

    @method
    def asked(self) -> dict[str, datetime]:
        """Stations to be read as soon as possible, with the time of their latest health check."""
        ...


class Behaviours(Repository[M_co], Protocol[M_co]):
    """Behaviour of servers that Minka has learned: one for each station, for the identity and software it had then."""

    @method
    def get(self, server: Server) -> Behaviour | None:
        """The known behaviour of a server; None if there is none, or if it is about another identity or software."""
        ...

    @method
    def learn(self, server: Server, behaviour: Behaviour, claim: Claim) -> None:
        """Keep what a transaction learned at its station, in place of what was known of it. Raises LeaseLostError."""
        ...

    @method
    def forget(self, claim: Claim) -> None:
        """Forget what is known of a claim's station, since its software is about to change. Raises LeaseLostError."""
        ...
