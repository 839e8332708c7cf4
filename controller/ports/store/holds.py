"""Holds and switches, which people set."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from controller.models.alarm import SwitchState
from controller.models.run import Hold
from controller.ports.store.repository import M_co, Repository, method


class Holds(Repository[M_co], Protocol[M_co]):
    """Holds that people put on stations."""

    @method
    def add(self, target: str, by: str, reason: str, until: datetime | None) -> Hold:
        """Put a hold."""
        ...

    @method
    def end(self, hold_id: str, actor: str) -> None:
        """End a hold now. Raises NotFoundError."""
        ...

    @method
    def find(self, at: datetime) -> list[Hold]:
        """Holds that are in force at a time, those that were put later too, as long as they last."""
        ...


class Switches(Repository[M_co], Protocol[M_co]):
    """Switches. They are off until somebody sets them. ``remediation-stopped`` is the kill switch."""

    @method
    def is_on(self, name: str) -> bool:
        """Whether a switch is on."""
        ...

    @method
    def get(self, name: str) -> SwitchState:
        """A switch as it was last set: since when, by whom and why."""
        ...

    @method
    def set(self, name: str, on: bool, actor: str, reason: str = "") -> None:
        """Set a switch."""
        ...
