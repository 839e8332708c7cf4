"""Definitions of tests: rules, playbooks and KPIs in force on a record."""

from __future__ import annotations

from pathlib import Path

from controller.inventory.definitions import read_definitions
from controller.models.definitions import DefinitionFiles, Definitions
from controller.models.settings import Settings
from controller.ports.store import Store


def shipped_files(
    rules: Path | None = None, playbooks: Path | None = None, kpis: Path | None = None
) -> DefinitionFiles:
    """The files of folders; by default those that come with Minka."""
    known = Settings.model_fields
    return read_definitions(
        rules or known["rules"].default, playbooks or known["playbooks"].default, kpis or known["kpis"].default
    )


def put_in_force(
    store: Store,
    rules: Path | None = None,
    playbooks: Path | None = None,
    kpis: Path | None = None,
    files: DefinitionFiles | None = None,
) -> Definitions:
    """Put files in force, or those of folders."""
    chosen = files or shipped_files(rules, playbooks, kpis)
    return store.definitions.put(chosen, by="ana", reason="a test")
