"""Makes entries of YAML and CSV files, models of entries, and helpful problems of pydantic's errors."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import StringConstraints, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from controller.inventory.explain import explain
from controller.inventory.source import CSV_LIMIT, YAML_LIMIT, Entry, Node, Report, read_text, show
from controller.inventory.yaml_tree import read_yaml
from controller.models import cloud, scalars
from controller.models import network as nouns
from controller.models.network import Noun

#: Model for each key or file stem that network files may have.
KINDS: dict[str, type[Noun]] = {
    "network": nouns.NetworkHeader,
    "regions": nouns.Region,
    "backhaul": nouns.BackhaulNode,
    "sites": nouns.Site,
    "stations": nouns.Station,
    "endpoints": nouns.Endpoint,
    "cells": nouns.Cell,
    "own_cells": nouns.OwnCell,
    "neighbours": nouns.Neighbour,
    "routers": nouns.Router,
    "pools": nouns.Pool,
    "nodes": nouns.Node,
    "latencies": nouns.Latency,
    "packages": nouns.Package,
    "functions": nouns.Function,
    "tenants": nouns.Tenant,
    "agreements": nouns.Agreement,
}
BULK_KINDS = tuple(kind for kind in KINDS if kind not in ("network", "tenants", "agreements"))

#: Fields that identify entries without a network-wide id.
NAMED_BY = {
    "cells": ("station", "id"),
    "own_cells": ("station", "cell", "tenant"),
    "neighbours": ("station", "cell", "neighbour_station", "neighbour_cell"),
    "endpoints": ("station",),
    "nodes": ("pool", "id"),
    "latencies": ("pool", "site"),
}


def forms_in(types: Mapping[str, Any]) -> dict[str, str]:
    """Meaning of each pattern in a module's types, from the types' descriptions."""
    found = {}
    for alias in types.values():
        parts = get_args(alias)[1:]
        patterns = [part.pattern for part in parts if isinstance(part, StringConstraints)]
        texts = [part.description for part in parts if isinstance(part, FieldInfo) and part.description]
        found.update({str(pattern): text.rstrip(".") for pattern in patterns for text in texts})
    return found


FORMS = forms_in({**vars(scalars), **vars(cloud)})


def read_file(path: Path, file: str, report: Report, kind: str | None = None) -> Iterator[Entry]:
    """The entries of a YAML or CSV file; ``kind`` is the content of a CSV file, if not its name."""
    if path.suffix == ".csv":
        yield from _read_csv(path, file, report, kind or path.stem)
        return
    text = read_text(path, file, YAML_LIMIT, report)
    root = read_yaml(text, file, report) if text is not None else None
    if root is None or root.value is None:
        return
    if not isinstance(root.value, dict):
        report.file(file, root.line, "the top level must be a mapping", f"with keys of {', '.join(KINDS)}")
        return
    for key, node in root.value.items():
        yield from _read_key(key, node, file, report)


def _read_csv(path: Path, file: str, report: Report, kind: str) -> Iterator[Entry]:
    if kind not in BULK_KINDS:
        expected = report.did_you_mean(kind, BULK_KINDS) or f"names are {', '.join(f'{k}.csv' for k in BULK_KINDS)}"
        report.file(file, 0, "no such kind of CSV file", expected)
        return
    text = read_text(path, file, CSV_LIMIT, report)
    if text is None:
        return
    model = KINDS[kind]
    required = [name for name, info in model.model_fields.items() if info.is_required()]
    for line, row in read_rows(text, file, tuple(model.model_fields), required, report):
        yield Entry(kind, file, line, f"{kind}[{_name(kind, row) or f'line {line}'}]", row)


def _read_key(key: str, node: Node, file: str, report: Report) -> Iterator[Entry]:
    if key not in KINDS:
        expected = report.did_you_mean(key, KINDS) or f"keys are {', '.join(KINDS)}"
        report.file(file, node.line, f"no such key: {show(key)!r}", expected)
    elif node.value is None:
        return
    elif key == "network":
        yield Entry(key, file, node.line, key, node.plain(), node)
    elif not isinstance(node.value, list):
        report.file(file, node.line, f"{key} must be a list")
    else:
        for index, item in enumerate(node.value, 1):
            data = item.plain()
            yield Entry(key, file, item.line, f"{key}[{_name(key, data) or f'#{index}'}]", data, item)


def _name(kind: str, data: Any) -> str:
    """The name of an entry: its id, or the fields that identify it."""
    if not isinstance(data, dict):
        return ""
    keys = NAMED_BY.get(kind, ("id",))
    words = [show(data.get(key, "")) for key in keys]
    return "/".join(words) if all(words) else ""


def validate(entry: Entry, report: Report) -> Noun | None:
    """The model of an entry; None after reporting that it is not valid."""
    try:
        return KINDS[entry.kind].model_validate(entry.data)
    except ValidationError as failure:
        errors = failure.errors(include_url=False)
        within = {error["loc"][:length] for error in errors for length in range(len(error["loc"]))}
        for error in errors:
            # A list with invalid items is not empty, although pydantic says so.
            if error["type"] != "too_short" or error["loc"] not in within:
                report_error(entry, error, report, KINDS[entry.kind], FORMS)
        return None


def report_error(
    entry: Entry, error: ErrorDetails, report: Report, model: type[Noun], forms: Mapping[str, str]
) -> None:
    """Report pydantic's error about an entry, and what would be right.

    Args:
        entry: The entry.
        error: The error.
        report: Collects problems.
        model: The model that the entry should match.
        forms: Meaning of patterns, for people.
    """
    path = tuple(part for part in error["loc"] if part != "[key]")
    value = error["input"]
    if error["type"] == "extra_forbidden":
        # Never the value: somebody may have put a password into the unknown field.
        name, fields = str(path[-1]), fields_at(model, path[:-1])
        expected = model_at(model, path[:-1]).ELSEWHERE.get(name) or report.did_you_mean(name, fields)
        report.entry(entry, path, "no such field", expected=expected or f"fields are {', '.join(fields)}")
        return
    message, expected = explain(error, forms, report.did_you_mean)
    report.entry(entry, path, message, value=None if error["type"] == "missing" else value, expected=expected)


def fields_at(model: type[Noun], path: tuple[str | int, ...]) -> tuple[str, ...]:
    """Field names of the model at a path."""
    return tuple(info.alias or name for name, info in model_at(model, path).model_fields.items())


def model_at(model: type[Noun], path: tuple[str | int, ...]) -> type[Noun]:
    """The model at a path in a model."""
    for part in path:
        field = next((info for name, info in model.model_fields.items() if part in (name, info.alias)), None)
        if field is not None:  # otherwise a key of a mapping, or the index of an item
            model = next(_models_in(field.annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[Noun]]:
    if isinstance(annotation, type) and issubclass(annotation, Noun):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def declared(entries: Iterable[Entry]) -> dict[str, dict[str, Entry]]:
    """First entries by kind and name, valid or not, since others may refer to them."""
    names: dict[str, dict[str, Entry]] = {kind: {} for kind in KINDS}
    for entry in entries:
        if name := _name(entry.kind, entry.data):
            names[entry.kind].setdefault(name, entry)
    return names


# ------------------------------------------------------------------------- CSV


def read_rows(
    text: str, file: str, fields: Sequence[str], required: Sequence[str], report: Report
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, given fields) for each row; reports problems with the header and the shape of rows.

    Args:
        text: the content of the file.
        file: its name in problems.
        fields: columns that may be there.
        required: columns that must be there.
        report: takes the problems.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not _check_header(header, file, fields, required, report):
            return
        line = reader.line_num + 1
        for row in reader:
            if len(row) == len(header):
                yield line, {name: word for name, raw in zip(header, row, strict=True) if (word := raw.strip())}
            elif row:
                report.file(file, line, f"{len(row)} fields in a row where the header has {len(header)}")
            line = reader.line_num + 1
    except csv.Error as error:
        report.file(file, reader.line_num, f"not CSV: {error}")


def _check_header(header: list[str], file: str, fields: Sequence[str], required: Sequence[str], report: Report) -> bool:
    """Whether the rows can be read: all columns known, none twice, none missing."""
    before = len(report.problems)
    known, seen = frozenset(fields), set[str]()
    for name in header:
        if name not in known:
            expected = report.did_you_mean(name, fields) or f"columns are {', '.join(fields)}"
            report.file(file, 1, f"no such column: {name!r}", expected)
        elif name in seen:
            report.file(file, 1, f"the column {name!r} is given twice")
        seen.add(name)
    for name in required:
        if name not in seen:
            report.file(file, 1, f"the column {name!r} is missing")
    return len(report.problems) == before
