"""Reads playbooks from files, and reports all problems of a file at once, each with its line."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from controller.inventory.parse import FORMS, forms_in, report_error
from controller.inventory.source import Entry, Report, read_text, suggest
from controller.inventory.yaml_tree import read_yaml
from controller.models.errors import InputError, NotFoundError
from controller.playbook.language import parameters, playbook
from controller.playbook.language.check import check, check_actions
from controller.playbook.language.playbook import Playbook
from controller.playbook.language.registry import Registry

#: Largest playbook in bytes.
LIMIT = 256 * 1024
_FORMS = {**FORMS, **forms_in(vars(parameters)), **forms_in(vars(playbook))}
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A playbook with the exact text that it was read from."""

    playbook: Playbook
    text: str
    digest: str


def parse(text: str, file: str, registry: Registry, report: Report) -> Loaded | None:
    """The playbook of a text; None after reporting its errors."""
    before = len(report.problems)
    node = read_yaml(text, file, report)
    if node is None:
        if len(report.problems) == before:
            report.file(file, 0, "the file is empty")
        return None
    entry = Entry("playbook", file, node.line, "playbook", node.plain(), node)
    try:
        playbook = Playbook.model_validate(entry.data)
    except ValidationError as error:
        found = reported(error)
        for one in found:
            report_error(entry, one, report, Playbook, _FORMS)
        check_actions(entry, [one["loc"] for one in found], registry, report)
        return None
    check(playbook, registry, entry, report)
    if len(report.problems) > before:
        return None
    return Loaded(playbook, text, hashlib.sha256(text.encode()).hexdigest())


def reported(error: ValidationError) -> list[ErrorDetails]:
    """The errors; a list is not too short because its items are invalid."""
    found = error.errors()
    within = Counter(one["loc"][:length] for one in found for length in range(len(one["loc"]) + 1))
    return [one for one in found if one["type"] != "too_short" or within[one["loc"]] == 1]


class Library:
    """The playbooks of a folder: regular files ``NAME.yaml`` directly in it."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.folder = folder
        self.registry = registry

    def names(self) -> tuple[str, ...]:
        """Names of the playbooks, whether or not they can be read."""
        if not self.folder.is_dir():
            raise InputError(f"the playbooks folder {self.folder} does not exist: set MINKA_PLAYBOOKS")
        found = (path.stem for path in self.folder.glob("*.yaml"))
        return tuple(sorted(name for name in found if self._file(name) is not None))

    def load(self, name: str) -> Loaded:
        """A playbook by name.

        Raises:
            NotFoundError: There is none of that name.
            InputError: It is wrong; every problem, one a line.
        """
        report = Report()
        loaded = self.read(name, report)
        if report.problems:
            raise InputError("\n".join(str(problem) for problem in report.problems))
        if loaded is None:
            raise NotFoundError(f"playbook {name} can't be read")
        return loaded

    def read(self, name: str, report: Report) -> Loaded | None:
        """A playbook by name; None after reporting its errors. Raises NotFoundError."""
        path = self._file(name)
        if path is None:
            hint = suggest(name[:64], self.names()) if self.folder.is_dir() else ""
            raise NotFoundError(f"there is no playbook {name[:64]!r}{'; ' * bool(hint)}{hint}")
        text = read_text(path, path.name, LIMIT, report, "write it shorter, or as two")
        loaded = parse(text, path.name, self.registry, report) if text is not None else None
        if loaded is not None and loaded.playbook.name != name:
            report.file(path.name, 1, f"the playbook is called {loaded.playbook.name!r}, not as its file")
            return None
        return loaded

    def all(self, report: Report) -> Iterator[Loaded]:
        """All valid playbooks; errors of the others are reported."""
        for name in self.names():
            loaded = self.read(name, report)
            if loaded is not None:
                yield loaded

    def _file(self, name: str) -> Path | None:
        """The file of a name; None if it is no regular file directly in the folder."""
        if len(name) > 64 or not _NAME.fullmatch(name):
            return None
        path = self.folder / f"{name}.yaml"
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            return None
        inside = path.resolve().parent == self.folder.resolve()
        return path if stat.S_ISREG(mode) and inside else None
