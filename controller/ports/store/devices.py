"""Networks, devices, their health, and how their software behaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controller.models.behaviour import Behaviour
from controller.models.health import Health
from controller.models.network import Network
from controller.models.plan import LedgerNode
from controller.ports.store.claims import Claim
from controller.ports.store.repository import M_co, Repository, method


@dataclass(frozen=True, slots=True)
class Device:
    """What the record says of a station.

    Attributes:
        adopted: When it was adopted, or None while it is observe-only.
        network_digest: Digest of the network that was last applied (or adopted) on it, perhaps in part.
        applied: When that was.
        retired: Since when it is out of service, None while it is not.
    """

    station: str
    adopted: datetime | None
    network_digest: str
    applied: datetime | None
    retired: datetime | None = None


class Networks(Repository[M_co], Protocol[M_co]):
    """Versions of the network."""

    @method
    def save(self, network: Network, digest: str, actor: str) -> bool:
        """Keep a network version and make it the current one; False if it was current already."""
        ...

    @method
    def get(self, digest: str | None = None) -> tuple[str, Network]:
        """Digest and network of a version, the current one by default. Raises NotFoundError."""
        ...


class Devices(Repository[M_co], Protocol[M_co]):
    """Devices that are, or were, in our care."""

    @method
    def find(self, stations: Iterable[str] | None = None) -> dict[str, Device]:
        """Records of stations; stations never seen are absent."""
        ...

    @method
    def adopt(
        self, station: str, nodes: Sequence[LedgerNode], network_digest: str, actor: str, generation: int = 0
    ) -> None:
        """Make a station ours: its nodes enter the ledger. Repeating it adds nodes, removes none.

        ``generation`` is what the station carries of another record; fences of this one go on from there.
        """
        ...

    @method
    def retire(self, station: str, actor: str) -> None:
        """Put a station out of service: it is observe-only until it is adopted again. Repeating it changes nothing."""
        ...


class Healths(Repository[M_co], Protocol[M_co]):
    """The latest health of each station."""

    @method
    def save(self, healths: Sequence[Health]) -> None:
        """Keep the latest health of stations (older ones are dropped)."""
        ...

    @method
    def find(self, stations: Iterable[str] | None = None) -> dict[str, Health]:
        """Latest health by station, without what another version wrote and this one can't read."""
        ...

    @method
    def ask(self, stations: Iterable[str]) -> None:
        """Have stations read as soon as possible, since they say that something changed; one never read will be."""
        ...

    @method
    def asked(self) -> dict[str, datetime]:
        """Stations that are to be read as soon as possible, with the time of their latest health, which is older."""
        ...


class Behaviours(Repository[M_co], Protocol[M_co]):
    """What was learned of servers, by software version."""

    @method
    def get(self, software: str) -> Behaviour | None:
        """What was learned of a software version; None where nothing was."""
        ...

    @method
    def learn(self, software: str, behaviour: Behaviour, claim: Claim) -> None:
        """Keep what a transaction learned; what was known before stays. Raises LeaseLostError."""
        ...
