"""Texts about many objects: names that are cut after a few, and equal texts that stand once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

#: Most objects that a text names before it only counts.
FEW = 3
#: Stands for what differs between texts that are alike otherwise.
VARIES = "…"

#: Address and port of a device in brackets after its name, as errors about its connection begin.
_CONTACT = re.compile(r"^ \([^()\s]+(?: port \d+)?\)")
#: Addresses, which differ by device where the reason is the same.
ADDRESS = re.compile(r"\b\d+\.\d+\.\d+\.\d+\b|\b[0-9a-f]*:[0-9a-f:]+\b")
#: Numbers that do so too.
_NUMBER = re.compile(r"\b(port|session|session-id) \d+\b")


def first_names(names: Sequence[str], most: int = FEW, between: str = ", ", of: int = 0) -> str:
    """The first few of many names or texts, and how many more there are, as in ``a, b, c and 21 more``.

    ``of`` is the number of all, where ``names`` has only the first of them.
    """
    left = max(of, len(names)) - most
    joined = between.join(names[:most])
    return joined if left <= 0 else f"{joined}{'; ' if between == '; ' else ' '}and {left} more"


@dataclass(frozen=True, slots=True)
class Alike:
    """A text that is the same for some objects, but for what is each one's own.

    Attributes:
        names: The objects, in the order in which they were given.
        text: The text; where it is of several objects, without their names and addresses.
    """

    names: tuple[str, ...]
    text: str

    def line(self, noun: str = "device", most: int = FEW) -> str:
        """All in one line, as in ``24 stations: connection refused (A, B, C and 21 more)``."""
        if len(self.names) == 1:
            own = self.text.startswith(self.names[0])
            return self.text if own else f"{self.names[0]}{self._said}"
        return f"{len(self.names)} {noun}s{self._said} ({first_names(self.names, most)})"

    @property
    def _said(self) -> str:
        """The text after its objects; nothing where nothing is said of them, as of devices that were cancelled."""
        return f": {self.text}" if self.text else ""


def alike(texts: Iterable[tuple[str, str]] | Mapping[str, str]) -> list[Alike]:
    """Texts by what they say, each once, in the order of the first.

    Two are alike if they differ in the object's own name, in addresses, and in numbers of ports and sessions only.

    Args:
        texts: Names of objects, and what is said of each.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    shapes: dict[str, str] = {}
    for name, text in texts.items() if isinstance(texts, Mapping) else texts:
        shape = shapes.setdefault(text, shape_of(name, text))
        groups.setdefault(shape, []).append((name, text))
    return [
        Alike(tuple(name for name, _ in group), group[0][1] if len({text for _, text in group}) == 1 else shape)
        for shape, group in groups.items()
    ]


def lines_of(texts: Iterable[tuple[str, str]] | Mapping[str, str], noun: str = "device", most: int = FEW) -> list[str]:
    """A line for each text that differs from the others, with the number and a few names of its objects."""
    return [one.line(noun, most) for one in alike(texts)]


def shape_of(name: str, text: str) -> str:
    """A text without what is its object's own: equal for texts that are alike."""
    own = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    shape = own.sub(VARIES, text)
    if shape.startswith(VARIES):
        shape = _CONTACT.sub("", shape.removeprefix(VARIES)).lstrip(": ")
    return _NUMBER.sub(rf"\1 {VARIES}", ADDRESS.sub(VARIES, shape))
