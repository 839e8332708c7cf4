"""Definitions: the rules, schedules of who is on call, playbooks and KPIs by which Minka acts, as one version."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class DefinitionKind(StrEnum):
    """Kind of a definition; its value is the folder of its files in a version."""

    RULE = "rules"
    ON_CALL = "rules/oncall"
    PLAYBOOK = "playbooks"
    KPI = "kpis"
    REGULATOR_KPI = "kpis/regulators"


#: Largest file of a definition in bytes, and most files of a version.
LARGEST_DEFINITION, MOST_DEFINITIONS = 256 * 1024, 2000
#: Names of files, and their form in words.
FILE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\.yaml", re.ASCII)
NAME_FORM = "a file is called NAME.yaml, with lower-case letters, digits and hyphens in NAME"


@dataclass(frozen=True, slots=True)
class DefinitionFiles:
    """Files of definitions by path, as in ``rules/core-link-down.yaml``.

    Attributes:
        texts: Content by path.
        unread: Files that could not be read, by path, with the line (0 for the whole file) and the reason; nothing acts
            by these.
    """

    texts: Mapping[str, str]
    unread: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of all paths with their content, which names a version."""
        found = hashlib.sha256()
        for path, text in sorted(self.texts.items()):
            found.update(f"{path}\0{hashlib.sha256(text.encode()).hexdigest()}\0".encode())
        for path, (line, reason) in sorted(self.unread.items()):
            found.update(f"{path}\0unread\0{line}\0{reason}\0".encode())
        return found.hexdigest()

    def of(self, kind: DefinitionKind) -> dict[str, str]:
        """Content of all readable files of a kind, by path, in the order of their paths."""
        return {path: text for path, text in sorted(self.texts.items()) if path.rpartition("/")[0] == kind}

    def unread_of(self, kind: DefinitionKind) -> dict[str, tuple[int, str]]:
        """The files of a kind that could not be read."""
        return {path: why for path, why in sorted(self.unread.items()) if path.rpartition("/")[0] == kind}

    def differences(self, other: DefinitionFiles) -> tuple[str, ...]:
        """Paths that only one of the two has, or that differ."""
        paths = {*self.texts, *self.unread, *other.texts, *other.unread}
        return tuple(sorted(path for path in paths if self._content(path) != other._content(path)))

    def _content(self, path: str) -> tuple[str | None, tuple[int, str] | None]:
        return self.texts.get(path), self.unread.get(path)


@dataclass(frozen=True, slots=True)
class Definitions:
    """The version of the definitions that is, or was, in force.

    Attributes:
        number: Its number in the order in which versions came into force.
        digest: Digest of its files.
        by: Who put it in force.
        reason: That person's reason.
        at: When that was.
    """

    number: int
    digest: str
    by: str
    reason: str
    at: datetime
    files: DefinitionFiles = field(compare=False, repr=False)
