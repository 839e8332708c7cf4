"""Checks of network files and playbooks, without a controller."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from controller.intent import compile_intent
from controller.inventory.load import load_network, sources
from controller.inventory.source import Report
from controller.models.errors import InputError
from controller.models.facts import Finding
from controller.models.network import Network
from controller.playbook.actions.shipped import registry
from controller.playbook.language.library import Library
from controller.ports.clock import SystemClock


def check_files(
    directory: Path,
    endpoints: Path | None,
    routers: Path | None,
    pools: Path | None = None,
    added: Sequence[Path] = (),
) -> tuple[Network, tuple[Finding, ...], dict[str, str]]:
    """The network, its contract findings as of today, and the file and line of agreements and stations by id.

    Functions are placed as if none ran yet, to find those without room.

    Raises:
        NetworkFilesError: Every problem of every file.
    """
    network = load_network(directory, endpoints=endpoints, routers=routers, pools=pools, added=added)
    findings = compile_intent(network, network.day(SystemClock().now()), running={}).findings
    if not findings:
        return network, findings, {}
    of_pools = {f"pool {name}": at for name, at in sources(directory, ("pools",), added).items()}
    return network, findings, of_pools | sources(directory, ("agreements", "stations", "functions"), added)


class PlaybookCheck(NamedTuple):
    """What a check of playbook files found.

    Attributes:
        names: Names of the valid ones.
        problems: Errors of all others, one a line.
        warnings: What may be wrong in valid ones, one a line.
    """

    names: list[str]
    problems: list[str]
    warnings: list[str]


def check_playbooks(path: Path) -> PlaybookCheck:
    """Check the playbooks of a file or folder.

    Raises:
        InputError: It is neither a playbook file (``NAME.yaml``, and not a link) nor a folder with one.
    """
    library = Library.in_folder(path if path.is_dir() else path.parent, registry())
    report = Report()
    if path.is_dir():
        names = [loaded.playbook.name for loaded in library.all(report)]
        if not names and not report.problems:
            raise InputError(f"there is no playbook in {path}: playbooks are files NAME.yaml directly in the folder")
    elif path.suffix != ".yaml" or path.stem not in library.names():
        raise InputError(
            f"{path} is not a playbook: a playbook is a file NAME.yaml, with lower-case words joined by hyphens in NAME"
        )
    else:
        loaded = library.read(path.stem, report)
        names = [loaded.playbook.name] if loaded else []
    return PlaybookCheck(names, [*map(str, report.problems)], [*map(str, report.warnings)])
