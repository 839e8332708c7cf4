"""Reads playbooks from files, and reports all problems of a file at once, each with its line."""

from __future__ import annotations

import copy
import hashlib
import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from controller.inventory.definitions import read_folder
from controller.inventory.parse import FORMS, fields_at, forms_in, model_at, report_error
from controller.inventory.source import Entry, FieldPath, Report, nearest, suggest
from controller.inventory.yaml_tree import read_yaml
from controller.models.definitions import DefinitionKind, Definitions
from controller.models.errors import InputError, NotFoundError
from controller.models.network import Noun
from controller.playbook.language import parameters, playbook
from controller.playbook.language.check import check, check_actions
from controller.playbook.language.playbook import Playbook, PlaybookName
from controller.playbook.language.registry import Registry

N = TypeVar("N", bound=Noun)

_NAME: TypeAdapter[str] = TypeAdapter(PlaybookName)
_FORMS = {**FORMS, **forms_in(vars(parameters)), **forms_in(vars(playbook))}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A playbook with the exact text that it was read from."""

    playbook: Playbook
    text: str
    digest: str


def parse(text: str, file: str, registry: Registry, report: Report, called: str = "") -> Loaded | None:
    """The playbook of a text; None after reporting its errors.

    Args:
        text: What the file says.
        file: Its path, for people.
        registry: The actions that there are.
        report: Collects problems.
        called: The name by the file; empty for a text that is no file.
    """
    before = len(report.problems)
    node = read_yaml(text, file, report, whole=False)
    if node is None:
        if len(report.problems) == before:
            report.file(file, 0, "the file is empty")
        return None
    entry = Entry("playbook", file, node.line, "playbook", node.plain(), node)
    if called:
        _check_name(entry, called, report)
    try:
        playbook = Playbook.model_validate(entry.data)
    except ValidationError as error:
        _report_all(entry, error, registry, report)
        return None
    check(playbook, registry, entry, report)
    if len(report.problems) > before:
        return None
    return Loaded(playbook, text, hashlib.sha256(text.encode()).hexdigest())


def _check_name(entry: Entry, called: str, report: Report) -> None:
    """Report a name that is not that of the file, whatever else is wrong; one that is no name is reported as such."""
    try:
        name = _NAME.validate_python(entry.data["name"])
    except (LookupError, TypeError, ValidationError):
        return
    if name != called:
        report.entry(
            entry, ("name",), "not as its file", value=name, expected=f"{called!r}, or call the file {name}.yaml"
        )


def _report_all(entry: Entry, error: ValidationError, registry: Registry, report: Report) -> None:
    """Report errors of the form, and all others that can be seen once misspelt fields are read as they are meant."""
    found = report_form(Playbook, entry, error, report, _FORMS)
    if found.meant is not None:
        check(found.meant, registry, found.entry, report)
    elif (rest := _without_mistakes(found.entry)) is not None:
        check(rest.playbook, registry, found.entry, report, rest.left_out)
    else:
        check_actions(found.entry, found.wrong, registry, report)


#: A step in the place of one that can't be read.
_STAND_IN = {"action": "read-state"}
#: Values in the place of fields that a playbook can't do without.
_NEEDED = {"name": "a", "description": "a", "targets": "*"}
#: How often what is wrong is left out: an error may hide others of the same object.
_ROUNDS = 5
#: What helps whoever names a playbook that is not in force.
_IN_FORCE = "minka playbook list says which there are, and minka definitions load puts files in force"


class _Rest(NamedTuple):
    """What a playbook with errors of its form says otherwise, and what of it was left out."""

    playbook: Playbook
    left_out: frozenset[FieldPath]


def _without_mistakes(entry: Entry) -> _Rest | None:
    """The playbook without what is not of the right form; None if too little is left to read."""
    data, left_out = copy.deepcopy(entry.data), set[FieldPath]()
    for _ in range(_ROUNDS):
        try:
            return _Rest(Playbook.model_validate(data), frozenset(left_out))
        except ValidationError as error:
            try:
                left_out |= {_leave_out(data, one) for one in reversed(reported(error))}
            except (LookupError, TypeError, AttributeError):
                return None
    return None


def _leave_out(data: Any, one: ErrorDetails) -> FieldPath:
    """Take what is wrong out of a playbook's content; returns the field that is missing there now."""
    place, is_missing = one["loc"], one["type"] == "missing"
    match place:
        case ("steps" | "soak_checks" as section, int(number), *inner):
            return section, number, *_leave_out_of_step(data[section], number, inner, is_missing=is_missing)
        case ("parameters", name, *inner) if isinstance(data["parameters"], dict):
            parameter = data["parameters"][name]
            if isinstance(parameter, dict) and inner and inner[0] in parameter and inner[0] != "description":
                del parameter[inner[0]]
            else:
                data["parameters"][name] = {"description": "a"}
            return "parameters", name
        case (field,) if field in _NEEDED:
            data[field] = _NEEDED[str(field)]
        case (section, field, *_) if isinstance(data[section], dict) and field in data[section] and not is_missing:
            del data[section][field]
            return section, field
        case _:
            del data[place[0]]
    return (place[0],)


def _leave_out_of_step(steps: Any, number: int, inner: Sequence[str | int], *, is_missing: bool) -> FieldPath:
    """Take what is wrong out of a step, or put another one in its place; returns the field inside of it."""
    step = steps[number]
    if inner and isinstance(step, dict) and not (is_missing and len(inner) == 1):
        field = inner[0]
        if field in step and field not in ("name", "action"):
            del step[field]
            return (field,)
    if inner[:1] == ["name"]:
        step["name"] = f"step {number}"
        return ("name",)
    known = step.get("register") if isinstance(step, dict) else None
    steps[number] = {**_STAND_IN, "name": f"step {number}", **({} if known is None else {"register": known})}
    return ()


class AsMeant(NamedTuple, Generic[N]):
    """What a file with errors of its form means.

    Attributes:
        entry: Its content without the fields that don't exist; where one is only misspelt, it has the right name.
        meant: That as an object; None if more than names of fields is wrong.
        wrong: Paths of the errors.
    """

    entry: Entry
    meant: N | None
    wrong: list[tuple[str | int, ...]]


def report_form(
    model: type[N], entry: Entry, error: ValidationError, report: Report, forms: Mapping[str, str]
) -> AsMeant[N]:
    """Report errors of the form of a definition, also those that show once misspelt fields are read as they are meant.

    Args:
        model: What the definition was to be.
        entry: Where it stands, with its content.
        error: Why it is none.
        report: Collects problems.
        forms: Meaning of patterns, for people.
    """
    found = reported(error)
    meant, spelt = _as_meant(model, entry, found)
    for one in found:
        if one["type"] != "missing" or one["loc"] not in spelt:
            report_error(entry, one, report, model, forms)
    try:
        return AsMeant(meant, model.model_validate(meant.data), [one["loc"] for one in found])
    except ValidationError as again:
        further = reported(again)
    known = {one["loc"] for one in found}
    for one in further:
        if one["loc"] not in known:
            report_error(meant, one, report, model, forms)
    return AsMeant(meant, None, [one["loc"] for one in (*found, *further)])


def _as_meant(
    model: type[Noun], entry: Entry, errors: Iterable[ErrorDetails]
) -> tuple[Entry, set[tuple[str | int, ...]]]:
    """A definition without the fields that don't exist; where one is only misspelt, it has the right name."""
    meant, spelt = copy.deepcopy(entry), set[tuple[str | int, ...]]()
    for one in errors:
        if one["type"] != "extra_forbidden":
            continue
        *above, wrong = one["loc"]
        around = reduce(operator.getitem, above, meant.data)
        value, right = around.pop(wrong), nearest(str(wrong), fields_at(model, tuple(above)))
        if wrong in model_at(model, tuple(above)).ELSEWHERE:
            continue
        if right and right not in around:
            around[right] = value
            spelt.add((*above, right))
            lines: Any = reduce(lambda node, part: node.value[part], above, cast("Any", meant.node))
            lines.value[right] = lines.value[wrong]
    return meant, spelt


def reported(error: ValidationError) -> list[ErrorDetails]:
    """The errors; a list is not too short because its items are invalid."""
    found = error.errors()
    within = Counter(one["loc"][:length] for one in found for length in range(len(one["loc"]) + 1))
    return [one for one in found if one["type"] != "too_short" or within[one["loc"]] == 1]


class Library:
    """Playbooks, each in a file ``NAME.yaml``.

    Args:
        files: Their content by path.
        registry: The actions that there are.
        unread: Files that could not be read, by path, with the line (0 for the whole file) and the reason.
        in_force: Whether they are those in force: then a name that is missing can be put in force.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        registry: Registry,
        unread: Mapping[str, tuple[int, str]] = MappingProxyType({}),
        *,
        in_force: bool = False,
    ) -> None:
        self.registry = registry
        self._paths = {PurePosixPath(path).stem: path for path in (*files, *unread)}
        self._texts = files
        self._unread = unread
        self._in_force = in_force

    @classmethod
    def in_folder(cls, folder: Path, registry: Registry) -> Library:
        """The playbooks of a folder. Raises InputError if it is missing."""
        if not folder.is_dir():
            raise InputError(f"the playbooks folder {folder} does not exist: set MINKA_PLAYBOOKS")
        found = read_folder(folder)
        return cls(found.texts, registry, found.unread)

    @classmethod
    def of(cls, definitions: Definitions, registry: Registry) -> Library:
        """The playbooks of the version of the definitions that is in force."""
        kind, files = DefinitionKind.PLAYBOOK, definitions.files
        return cls(files.of(kind), registry, files.unread_of(kind), in_force=True)

    def names(self) -> tuple[str, ...]:
        """Names of the playbooks, whether or not they can be read."""
        return tuple(sorted(self._paths))

    def text(self, name: str) -> str | None:
        """The content of a playbook's file; None if there is none that can be read."""
        return self._texts.get(self._paths.get(name, ""))

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
        path = self._paths.get(name)
        if path is None:
            hint = suggest(name[:64], self._paths) or (_IN_FORCE if self._in_force else "")
            raise NotFoundError(f"there is no playbook {name[:64]!r}{'; ' * bool(hint)}{hint}")
        if path in self._unread:
            report.file(path, *self._unread[path])
            return None
        return parse(self._texts[path], path, self.registry, report, name)

    def all(self, report: Report) -> Iterator[Loaded]:
        """All valid playbooks; errors of the others are reported."""
        for name in self.names():
            loaded = self.read(name, report)
            if loaded is not None:
                yield loaded
