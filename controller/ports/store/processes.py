"""Processes of Minka, and the state of the record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
    def heartbeat(self, incarnation: str, sessions: int = 0, late: str = "") -> None:
        """Count up; note the open sessions to devices, and the rounds that are late (``Process.late``).

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
    def figures(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Gauge values for the metrics door, by name and label values.

        ``runs`` by state; ``jobs`` by state; ``outcomes`` (ended jobs) by outcome; ``jobs_away`` (to be tried again);
        ``sessions`` by role and instance; ``oldest_claimable_seconds``; ``alarms`` by state, severity and
        probable cause; ``escalated`` (alarms); ``repairs`` by rule; ``devices_adopted``; ``record_in_doubt``;
        ``process_up`` and ``process_ready`` by role and instance; ``processes_ready`` by role. Outcomes, ended runs
        and roles that did not occur are there as 0.
        """
        ...

    @method
    def check_writable(self) -> None:
        """Return if a write would be committed now; it changes nothing that counts. Raises StoreError."""
        ...
