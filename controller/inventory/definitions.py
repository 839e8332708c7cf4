"""Reads the files of rules, playbooks and KPIs, as they are, from their folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from controller.inventory.source import Report, read_text
from controller.models.definitions import (
    FILE_NAME,
    LARGEST_DEFINITION,
    MOST_DEFINITIONS,
    NAME_FORM,
    DefinitionFiles,
    DefinitionKind,
)
from controller.models.errors import InputError

#: Settings that name the folders.
_SETTING = {
    DefinitionKind.RULE: "MINKA_RULES",
    DefinitionKind.PLAYBOOK: "MINKA_PLAYBOOKS",
    DefinitionKind.KPI: "MINKA_KPIS",
}


def read_definitions(rules: Path, playbooks: Path, kpis: Path) -> DefinitionFiles:
    """All files of three folders; a file that can't be read is in ``unread``.

    Args:
        rules: Folder of rules, which may have a folder ``oncall`` with schedules of who is on call.
        playbooks: Folder of playbooks.
        kpis: Folder of KPIs, which may have a folder ``regulators`` with those of regulators.

    Raises:
        InputError: A folder is missing, or there are too many files.
    """
    folders = {DefinitionKind.RULE: rules, DefinitionKind.PLAYBOOK: playbooks, DefinitionKind.KPI: kpis}
    for kind, folder in folders.items():
        if not folder.is_dir():
            raise InputError(f"the folder {folder} of {kind} does not exist: set {_SETTING[kind]}")
    found = [read_folder(folder, f"{kind}/") for kind, folder in folders.items()]
    within = ((rules / "oncall", DefinitionKind.ON_CALL), (kpis / "regulators", DefinitionKind.REGULATOR_KPI))
    found += [read_folder(folder, f"{kind}/") for folder, kind in within if folder.is_dir()]
    texts = {path: text for one in found for path, text in one.texts.items()}
    unread = {path: why for one in found for path, why in one.unread.items()}
    return DefinitionFiles(texts, unread)


def read_folder(folder: Path, prefix: str = "") -> DefinitionFiles:
    """The files ``NAME.yaml`` directly in a folder, by the prefix and their name.

    Raises:
        InputError: There are too many.
    """
    paths = sorted(path for path in folder.glob("*.yaml") if not path.name.startswith("."))
    if len(paths) > MOST_DEFINITIONS:
        raise InputError(f"{folder} has {len(paths)} files: {MOST_DEFINITIONS} definitions are the most")
    texts: dict[str, str] = {}
    unread: dict[str, tuple[int, str]] = {}
    for path in paths:
        report = Report()
        text = _text_of(path, folder, report)
        if text is None:
            (problem,) = report.problems
            unread[f"{prefix}{path.name}"] = problem.line, "; ".join(filter(None, (problem.message, problem.expected)))
        else:
            texts[f"{prefix}{path.name}"] = text
    return DefinitionFiles(texts, unread)


def _text_of(path: Path, folder: Path, report: Report) -> str | None:
    """The content of a file; None after reporting why it can't be read. Links may lead to files in the folder only."""
    name = path.name
    if not FILE_NAME.fullmatch(name):
        report.file(name, 0, "the name is none of a definition", NAME_FORM)
        return None
    if not path.resolve().is_relative_to(folder.resolve()):
        report.file(name, 0, "the link leads out of the folder", "put the file itself there")
        return None
    return read_text(path, name, LARGEST_DEFINITION, report, "write it shorter, or as two")


def uploaded(files: Mapping[str, str]) -> DefinitionFiles:
    """Definitions that somebody sent.

    Raises:
        InputError: A path is none of a definition, or a file is too large; every problem, one a line.
    """
    problems = [f"{path[:100]!r}: {wrong}" for path, text in files.items() if (wrong := _wrong(path, text))]
    if problems:
        raise InputError("\n".join(problems))
    return DefinitionFiles(dict(files))


def _wrong(path: str, text: str) -> str:
    kind, _, name = path.rpartition("/")
    if kind not in set(DefinitionKind):
        return f"the folders are {', '.join(DefinitionKind)}"
    if not FILE_NAME.fullmatch(name):
        return NAME_FORM
    return f"the file is larger than {LARGEST_DEFINITION // 1024} kB" if len(text.encode()) > LARGEST_DEFINITION else ""
