"""The processes of a controller, with their heartbeats."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ProcessRole(StrEnum):
    """Role of a process, in the order of the call-home ports, counted from the first."""

    API = "api"
    WORKER = "worker"
    LISTENER = "listener"
    SCHEDULER = "scheduler"


@dataclass(frozen=True, slots=True)
class Process:
    """One process, as of now.

    Attributes:
        instance: Its name among those of its role.
        up: Whether its heartbeats go on.
        late: Names of its overdue rounds, separated by commas.
        sessions: Open sessions to devices, when it last reported.
    """

    role: ProcessRole
    instance: str
    up: bool
    late: str = ""
    sessions: int = 0

    @property
    def ready(self) -> bool:
        """Whether it is up and its rounds succeed."""
        return self.up and not self.late
