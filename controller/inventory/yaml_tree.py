"""YAML for network files: a small, safe part of the language, with line numbers.

Anchors, aliases, tags, several documents and duplicate keys are errors, so that a file means what it seems to say and
can't grow in memory. Words stay as written: the models decide which are numbers, dates or truth values, so ``NO`` stays
a country, ``000601`` a slice and ``22:00`` a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import yaml

from controller.inventory.source import Node, Report, show

_DEEPEST = 32
_MOST_VALUES = 500_000
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS = frozenset({"true", "True", "TRUE", "false", "False", "FALSE"})
#: Words without quotes that mean no text in YAML 1.2 (§10.3).
_ODD = dict.fromkeys(_TRUTHS, "a truth value") | dict.fromkeys(_NOTHING, "nothing")


class _StopError(Exception):
    """The file can't be read any further."""

    def __init__(self, line: int, message: str, expected: str = "") -> None:
        super().__init__(message)
        self.line, self.message, self.expected = line, message, expected


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being filled; ``key`` waits for its value."""

    node: Node
    key: tuple[str, int] | None = None


def read_yaml(text: str, file: str, report: Report, *, whole: bool = True) -> Node | None:
    """Read a document; None if it is empty, or after reporting a problem.

    Args:
        text: The document.
        file: Its name.
        report: Collects problems.
        whole: Whether any problem counts. If not, one that loses no value of the document hides none in the values.
    """
    builder = _Builder(file, report)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except _StopError as stop:
        report.file(file, stop.line, stop.message, stop.expected)
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        expected = _hint(text, mark.line) if mark is not None else ""
        report.file(file, mark.line + 1 if mark else 0, f"not YAML: {error.problem or error.context}", expected)
        return None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        report.file(file, line, f"not YAML: {error.reason}")
        return None
    return None if builder.lost or (whole and builder.broken) else builder.root


def _hint(text: str, number: int) -> str:
    """What would be right in a line that is not YAML; empty if that is not known."""
    line = next(islice(text.splitlines(), number, None), "")
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with blanks, not with tabs"
    return "there are no blocks {% %}, so neither loops nor includes" if "{%" in line else ""


class _Builder:
    """Builds nodes from parser events without recursion, so that deep nesting can't exhaust the stack."""

    def __init__(self, file: str, report: Report) -> None:
        self.root: Node | None = None
        self.broken = self.lost = False
        self._file = file
        self._report = report
        self._open: list[_Open] = []
        self._documents = 0
        self._values = 0

    def take(self, event: yaml.Event) -> None:
        """Process the next event of the parser."""
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_extras(event, line)
            nothing = event.style is None and event.value in _NOTHING
            # The parser in C gives an empty style to what is not quoted, the one in Python none.
            odd = "" if event.style else _ODD.get(event.value, "")
            self._scalar(None if nothing else event.value, line, odd)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._refuse_extras(event, line)
            self._begin(Node({} if isinstance(event, yaml.MappingStartEvent) else [], line))
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
        elif isinstance(event, yaml.AliasEvent):
            self.lost = True
            self._problem(line, f"aliases (*{show(event.anchor)}) are not supported", "write the value out")
            self._scalar(None, line)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _StopError(line, "a second document begins here", "write one document per file")

    def _refuse_extras(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, line: int) -> None:
        if event.anchor is not None:
            self._problem(line, f"anchors (&{show(event.anchor)}) are not supported", "write the value out")
        if event.tag is not None:
            self._problem(line, f"tags ({show(event.tag)!r}) are not supported", "leave the tag out")
        self._values += 1
        if self._values > _MOST_VALUES:
            raise _StopError(line, f"more than {_MOST_VALUES} values in one file", "write bulk rows as CSV")

    def _scalar(self, value: str | None, line: int, odd: str = "") -> None:
        top = self._open[-1] if self._open else None
        if top is not None and isinstance(top.node.value, dict) and top.key is None:
            top.key = (value or "", line)
            if value is not None and value in top.node.value:
                first = top.node.value[value].line
                self._problem(line, f"the key {show(value)!r} is given twice; first on line {first}")
        else:
            self._place(Node(value, line, odd))

    def _begin(self, node: Node) -> None:
        if len(self._open) >= _DEEPEST:
            raise _StopError(node.line, f"nested deeper than {_DEEPEST} levels")
        top = self._open[-1] if self._open else None
        if top is not None and isinstance(top.node.value, dict) and top.key is None:
            template = isinstance(top.node.value, dict) and not top.node.value and isinstance(node.value, dict)
            hint = 'a text with {{ … }} needs quotes, as in "{{ cell }}"' if template else ""
            raise _StopError(node.line, "a key must be a single word", hint)
        self._place(node)
        self._open.append(_Open(node))

    def _place(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        top = self._open[-1]
        if isinstance(top.node.value, list):
            top.node.value.append(node)
        elif isinstance(top.node.value, dict) and top.key is not None:
            key, line = top.key
            node.line = line
            top.node.value.setdefault(key, node)
            top.key = None

    def _problem(self, line: int, message: str, expected: str = "") -> None:
        self.broken = True
        self._report.file(self._file, line, message, expected)
