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
        """Register a new incarnation of a process, in place of an ended one with its role and name; returns its id."""
        ...

    @method
    def heartbeat(self, incarnation: str, sessions: int = 0, late: str = "", observed: bytes = b"") -> None:
        """Count up, and note the open sessions to devices, and the rounds that are late (``Process.late``).

        ``observed`` is all that the process measured since it registered (``Observations.encoded``); empty means no
        change.

        Raises LeaseLostError if the incarnation was declared dead.
        """
        ...

    @method
    def end(self, incarnation: str) -> None:
        """Note that a process ended in good order; its jobs are given back as by ``declare_dead``."""
        ...

    @method
    def find(self) -> list[Process]:
        """Processes that live, and for a day those that ended in another way than by ``end`` and were not replaced."""
        ...

    @method
    def alive(self) -> list[Incarnation]:
        """Incarnations of workers that are alive on record."""
        ...

    @method
    def declare_dead(self, incarnation: str, counter: int) -> bool:
        """Declare an incarnation dead if its counter is still ``counter``; False if it moved on.

        Its jobs become claimable again (to recover their transactions), and its leases lose their holder.
        """
        ...


class Status(Repository[M_co], Protocol[M_co]):
    """Figures over the record, and whether it accepts writes."""

    @method
    def figures(self) -> dict[str, Figures]:
        """Gauges and counters over the record, by metric and label values (``controller.models.metrics``).

        Outcomes, ended runs, roles and other closed sets are 0 if they did not occur.
        """
        ...

    @method
    def spreads(self) -> dict[str, Spreads]:
        """Histograms, and counters of what processes counted: by metric and label values.

        Durations of runs and the like are worked out from the record. Measurements of processes are added up over all
        that live and all that ended.
        """
        ...

    @method
    def check_writable(self) -> None:
        """Return if a write would be committed now; leaves no change. Raises StoreError."""
        ...
