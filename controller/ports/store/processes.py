"""Processes of Minka, and the state of the record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from controller.models.metrics import Figures, Spreads
from controller.models.process import Process, ProcessRole
from controller.ports.store.repository import M_co, Repository, method


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One life of a worker process; ``counter`` grows while it lives."""

    id: str
    name: str
    counter: int
    alive: bool


class Processes(Repository[M_co], Protocol[M_co]):
    """Workers and other processes."""

    @method
    def register(self, name: str, role: ProcessRole = ProcessRole.WORKER) -> str:
        """A new incarnation of a process; returns its id. It takes the place of what ended under its role and name."""
        ...

    @method
    def heartbeat(self, incarnation: str, sessions: int = 0, late: str = "", observed: bytes = b"") -> None:
        """Count up; note the open sessions to devices, and the rounds that are late (``Process.late``).

        ``observed`` is what the process measured since it was registered (``Observations.encoded``); empty: as before.

        Raises LeaseLostError if the incarnation was declared dead.
        """
        ...

    @method
    def end(self, incarnation: str) -> None:
        """Note that a process ended in good order; what it still holds is given back, as by ``declare_dead``."""
        ...

    @method
    def find(self) -> list[Process]:
        """Processes that live, and for a day those that ended otherwise than by ``end_worker`` unless replaced."""
        ...

    @method
    def alive(self) -> list[Incarnation]:
        """Incarnations that are alive on record."""
        ...

    @method
    def declare_dead(self, incarnation: str, counter: int) -> bool:
        """Declare an incarnation dead if its counter still stands at ``counter``; False if it moved on.

        Its claimed jobs become claimable again (to recover their transactions), its leases lose their holder.
        """
        ...


class Status(Repository[M_co], Protocol[M_co]):
    """How the record stands."""

    @method
    def figures(self) -> dict[str, Figures]:
        """Gauges and counters over the record, by metric and label values (``controller.models.metrics``).

        Outcomes, ended runs, roles and other closed sets are there as 0 where they did not occur.
        """
        ...

    @method
    def spreads(self) -> dict[str, Spreads]:
        """Histograms, and counters of what processes counted: by metric and label values.

        Of what is on record, as times of runs, they are worked out from it. What processes measured themselves is
        added up over all that live and all that ended.
        """
        ...

    @method
    def check_writable(self) -> None:
        """Return if a write would be committed now; it changes nothing that counts. Raises StoreError."""
        ...
