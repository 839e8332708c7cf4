"""Versions of the definitions: rules, playbooks and KPIs."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from controller.models.definitions import DefinitionFiles, Definitions
from controller.ports.store.repository import M_co, Repository, method


class DefinitionVersions(Repository[M_co], Protocol[M_co]):
    """Versions of rules, playbooks and KPIs. The newest is in force: all processes act by it, and by nothing else."""

    @method
    def get(self, at: datetime | None = None) -> Definitions:
        """The version in force, now or at a time; the first one for a time before it.

        Raises:
            NotFoundError: None was ever put in force.
        """
        ...

    @method
    def put(self, files: DefinitionFiles, *, by: str, reason: str, first: bool = False) -> Definitions:
        """Put a version in force, on the audit trail with its digest; returns the version that is in force then.

        Does nothing if the same files are in force already, or, with ``first``, any version is.
        """
        ...
