"""Sources of the objects in network files: files and lines, and their problems."""

from __future__ import annotations

import difflib
import errno
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.models.errors import InputError, Problem

#: Largest file in bytes: a larger one is a mistake or an attack.
YAML_LIMIT = 10 * 2**20
CSV_LIMIT = 64 * 2**20

FieldPath = Sequence[str | int]

# Fields in which somebody might have written the secret itself.
_HIDDEN = frozenset(
    {
        "authority",
        "certificate",
        "client_certificate",
        "credential",
        "host_key",
        "management",
        "password",
        "reference",
        "secret",
        "token",
    }
)
_LONGEST_VALUE = 60
#: Most candidates that are all compared.
_MANY = 500


@dataclass(slots=True)
class Node:
    """A node of a YAML document: text, nothing, a list or a mapping, and its line.

    Attributes:
        odd: What a text without quotes is in YAML 1.2, in words: a truth value, or nothing; empty for others.
    """

    value: str | list[Node] | dict[str, Node] | None
    line: int
    odd: str = ""

    def plain(self) -> Any:
        """The value without lines, and without keys that have no value."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items() if node.value is not None}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a file, before and after it became a model."""

    kind: str
    file: str
    line: int
    label: str
    data: Any
    node: Node | None = None

    def odd_in(self, path: FieldPath) -> list[tuple[FieldPath, str]]:
        """Places in a field whose text means something else in YAML (``Node.odd``), each with what that is."""
        node = self.node
        for part in path:
            inner = node.value if node is not None else None
            if isinstance(inner, dict) and isinstance(part, str):
                node = inner.get(part)
            elif isinstance(inner, list) and isinstance(part, int) and part < len(inner):
                node = inner[part]
            else:
                return []
        if node is None or isinstance(node.value, dict):
            return []
        items = enumerate(node.value) if isinstance(node.value, list) else ()
        found = [(path, node.odd), *(((*path, index), one.odd) for index, one in items)]
        return [(place, odd) for place, odd in found if odd]

    def line_of(self, path: FieldPath) -> int:
        """The line of a field, or of the nearest object around it."""
        node, line = self.node, self.line
        for part in path:
            inner: Node | None = None
            if node is not None and isinstance(node.value, dict) and isinstance(part, str):
                inner = node.value.get(part)
            elif node is not None and isinstance(node.value, list) and isinstance(part, int):
                inner = node.value[part] if part < len(node.value) else None
            if inner is None:
                return line
            node, line = inner, inner.line
        return line


@dataclass
class Report:
    """Collects the problems of all files."""

    problems: list[Problem] = field(default_factory=list)
    #: What is no error, since it may be meant so.
    warnings: list[Problem] = field(default_factory=list)
    #: Whether every file could be read: if not, referenced objects may be missing.
    complete: bool = True
    _asked: int = 0

    def file(self, file: str, line: int, message: str, expected: str = "") -> None:
        """Report a problem with a file that makes it or a part of it unreadable."""
        self.complete = False
        self.problems.append(Problem(file, line, "", "", message, expected))

    def entry(self, entry: Entry, path: FieldPath, message: str, *, value: Any = "", expected: str = "") -> None:
        """Report a problem with a field of an object, or with the whole object if the path is empty."""
        self.problems.append(_problem(entry, path, message, value, expected))

    def warn(self, entry: Entry, path: FieldPath, message: str, *, expected: str = "") -> None:
        """Report what is probably wrong with a field of an object, but may be meant so."""
        self.warnings.append(_problem(entry, path, message, "", expected))

    def did_you_mean(self, value: str, candidates: Iterable[str]) -> str:
        """A suggestion for a misspelt word; empty if there is none."""
        found = self.nearest(value, candidates)
        return f"did you mean {found!r}?" if found else ""

    def nearest(self, value: str, candidates: Iterable[str], likeness: float = 0.6) -> str:
        """The candidate that a misspelt word may mean, as ``nearest`` of this module."""
        self._asked += 1
        # Comparing is slow; a hundred misspellings have another cause.
        return nearest(value, candidates, likeness) if self._asked <= 100 else ""


def _problem(entry: Entry, path: FieldPath, message: str, value: Any, expected: str) -> Problem:
    shown = "" if any(part in _HIDDEN for part in path) else show(value)
    name = entry.label + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return Problem(entry.file, entry.line_of(path), name, shown, message, expected)


def suggest(value: str, candidates: Iterable[str], likeness: float = 0.6) -> str:
    """``did you mean 'cusco'?`` for the nearest candidate; empty if none is similar.

    Args:
        value: The word.
        candidates: Words that it may be.
        likeness: Similarity that is needed, from 0 to 1.
    """
    found = nearest(value, candidates, likeness)
    return f"did you mean {found!r}?" if found else ""


def nearest(value: str, candidates: Iterable[str], likeness: float = 0.6) -> str:
    """The nearest candidate to a word, as ``suggest``; empty if none is similar."""
    word = value[:_LONGEST_VALUE].lower()
    spelling = {candidate.lower(): candidate for candidate in sorted(candidates)}
    if len(spelling) > _MANY:
        # Comparing is slow; of thousands, only those with an equal beginning or end are compared.
        half = len(word) // 2
        spelling = {
            key: one for key, one in spelling.items() if key.startswith(word[:half]) or key.endswith(word[half:])
        }
    near = difflib.get_close_matches(word, spelling, n=1, cutoff=likeness)
    return spelling[near[0]] if near else ""


def unknown(what: str, value: str, candidates: Iterable[str], where: str = "") -> str:
    """A message that an object is unknown, and which one may be meant."""
    hint = suggest(value, candidates)
    return f"there is no {what} {show(value)}{where and ' '}{where}{'; ' if hint else ''}{hint}"


def show(value: Any) -> str:
    """A value in the form for messages: shortened, a single word or number, and no login such as user:word@host."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if value is None or isinstance(value, (list, tuple, dict)) or "@" in text:
        return ""
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def read_regular(path: Path, most: int) -> bytes:
    """Content of a regular file; of one that is longer than ``most`` bytes, one byte more than that.

    Raises:
        OSError: It can't be read, or it is another kind of file: a FIFO waits for its writer, a device may never end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    with path.open("rb") as stream:
        return stream.read(most + 1)


def content_of(path: Path, most: int = CSV_LIMIT) -> bytes:
    """Content of a file that a person names, of at most so many bytes.

    Raises:
        InputError: It can't be read, is no regular file, or is too large.
    """
    try:
        content = read_regular(path, most)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > most:
        raise InputError(f"{path} is larger than {most // 2**20} MB")
    return content


def read_text(
    path: Path, file: str, limit: int, report: Report, instead: str = "split it, or write bulk rows as CSV"
) -> str | None:
    """Read a UTF-8 file of at most ``limit`` bytes; report the problem and return None if that fails.

    Args:
        path: The file.
        file: Its name in reports.
        limit: Largest size in bytes.
        report: Collects what is wrong.
        instead: What to do about a file that is too large.
    """
    try:
        content = read_regular(path, limit)
    except OSError as error:
        report.file(file, 0, f"cannot be read: {error.strerror}")
        return None
    if len(content) > limit:
        line = content.count(b"\n") + 1
        size = f"{limit // 2**20} MB" if limit >= 2**20 else f"{limit // 2**10} kB"
        report.file(file, line, f"the file is larger than {size}", instead)
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        report.file(file, line, f"byte 0x{content[error.start]:02x} is not UTF-8", "save the file as UTF-8")
        return None
