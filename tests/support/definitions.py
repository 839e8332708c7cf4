"""Definitions of tests: rules, playbooks and KPIs of folders, and those in force on a record."""

from __future__ import annotations

from pathlib import Path

from controller.inventory.definitions import read_definitions, read_folder
from controller.inventory.source import Report
from controller.models.definitions import DefinitionFiles, Definitions
from controller.models.errors import InputError
from controller.models.settings import Settings
from controller.performance.kpis import Kpi, parse_kpis
from controller.playbook.language.library import Library
from controller.remediation.rules import Rule, read_rules
from controller.store import Store


def shipped_files(
    rules: Path | None = None, playbooks: Path | None = None, kpis: Path | None = None
) -> DefinitionFiles:
    """The files of folders; by default those that come with Minka."""
    known = Settings.model_fields
    return read_definitions(
        rules or known["rules"].default, playbooks or known["playbooks"].default, kpis or known["kpis"].default
    )


def load_rules(folder: Path, library: Library | None = None) -> tuple[Rule, ...]:
    """All rules of a folder, by name; see ``read_rules``."""
    return tuple(rule for rule, _ in read_rules(folder, library))


def load_kpis(folder: Path) -> tuple[Kpi, ...]:
    """All KPIs of a folder, by name; one YAML file each.

    Raises:
        InputError: Every problem of every file, one a line.
    """
    files, report = read_folder(folder), Report()
    for path, why in files.unread.items():
        report.file(path, *why)
    found = parse_kpis(files.texts, report)
    if report.problems:
        raise InputError("\n".join(str(problem) for problem in report.problems))
    return found


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
