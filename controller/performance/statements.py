"""Statements as files: JSON and CSV for programs, HTML for people, who may print and sign it. Pure.

The same statement is the same bytes, of which the digest goes on record. In none of them is anything of what people,
stations or tenants wrote more than text: HTML has no scripts and loads nothing, and no field of CSV is a formula.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from pydantic import ValidationError

from controller.models.errors import InputError
from controller.models.statement import Sheet, Statement, StatementForm, Value
from controller.models.untrusted import visible

#: Rows of a sheet in HTML; JSON and CSV have all rows.
_MOST = 500
#: Beginnings of a text that spreadsheets interpret as a formula.
_FORMULA = ("=", "+", "-", "@")

#: What the JSON of a sheet has besides its rows.
_SHEET = ("title", "columns")

_TITLES = {
    "sla": "Service levels",
    "volume": "Volume",
    "quality": "Quality",
    "capacity": "Capacity",
    "settlement": "Settlement",
}

_STYLE = """
@page { size: A4 landscape; margin: 14mm }
body { font: 10pt/1.4 "Liberation Sans", Arial, sans-serif; color: #111; margin: 2em auto; max-width: 75em }
h1 { font-size: 18pt; margin: 0 } h2 { font-size: 12pt; margin: 1.6em 0 .4em }
p.draft { border: 2px solid #a00; color: #a00; padding: .4em; font-weight: bold }
table { border-collapse: collapse; width: 100% } thead { display: table-header-group }
th, td { border-bottom: 1px solid #bbb; padding: .15em .5em; text-align: left; vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums } tr { break-inside: avoid }
th small { font-weight: normal; color: #555 } .facts th { width: 14em } code { font-size: 8.5pt; word-break: break-all }
.sign { display: flex; gap: 4em; margin-top: 4em; break-inside: avoid }
.sign div { flex: 1; border-top: 1px solid #111; padding-top: .3em }
@media print { body { margin: 0; max-width: none } h2 { break-after: avoid } }
"""


def files_of(statement: Statement) -> dict[StatementForm, bytes]:
    """A statement in all formats."""
    as_json = _json(statement)
    return {
        StatementForm.JSON: as_json,
        StatementForm.CSV: _csv(statement),
        StatementForm.HTML: _html(statement, digest_of(as_json)),
    }


def digest_of(content: bytes) -> str:
    """Digest of a file, for the audit trail."""
    return sha256(content).hexdigest()


def figures_of(statement: Statement) -> str:
    """Digest of what a statement says, equal for a draft and the statement that is issued from it."""
    return digest_of(orjson.dumps(statement.bare.model_dump(mode="json")))


def local(at: datetime | None, zone: ZoneInfo) -> str:
    """A moment in the form of statements: local time with its offset, to the second."""
    return "" if at is None else at.astimezone(zone).isoformat(timespec="seconds")


def _json(statement: Statement) -> bytes:
    content: dict[str, Any] = {"id": statement.id, "figures": figures_of(statement)}
    content |= statement.model_dump(mode="json", exclude={"sheets"})
    content["sheets"] = {
        sheet.name: {
            "title": sheet.title,
            "columns": [column.model_dump() for column in sheet.columns],
            "rows": list(_rows(sheet)),
        }
        for sheet in statement.sheets
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def statement_of(content: bytes) -> Statement:
    """The statement of a JSON file that was made here.

    Raises:
        InputError: It is no such file.
    """
    try:
        found = orjson.loads(content)
        sheets = [
            {"name": name, "rows": [list(row.values()) for row in sheet["rows"]]} | {key: sheet[key] for key in _SHEET}
            for name, sheet in found.pop("sheets").items()
        ]
        del found["id"], found["figures"]
        return Statement.model_validate(found | {"sheets": sheets})
    except (orjson.JSONDecodeError, ValidationError, AttributeError, KeyError, TypeError) as error:
        raise InputError("the file is no statement as JSON, as `minka report … --format json` writes it") from error


def _rows(sheet: Sheet) -> Iterator[dict[str, Value]]:
    names = [column.name for column in sheet.columns]
    return (dict(zip(names, row, strict=True)) for row in sheet.rows)


def _csv(statement: Statement) -> bytes:
    """One header for all sheets; the first column says which sheet a row is of (RFC 4180)."""
    head: dict[str, Value] = {
        "statement": statement.id,
        "kind": statement.kind.value,
        "tenant": statement.tenant,
        "month": statement.month,
        "timezone": statement.timezone,
        "version": statement.version,
        "reason": statement.reason,
    }
    columns = dict.fromkeys(["sheet", *head, *(c.name for sheet in statement.sheets for c in sheet.columns)])
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerow({"sheet": "statement"} | {name: _field(value) for name, value in head.items()})
    for sheet in statement.sheets:
        for row in _rows(sheet):
            writer.writerow({"sheet": sheet.name} | {name: _field(value) for name, value in row.items()})
    return text.getvalue().encode()


def _field(value: Value) -> Value:
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    return text.lstrip("+-").replace(".", "", 1).isdigit()


def _html(statement: Statement, digest: str) -> bytes:
    title = f"{_TITLES[statement.kind]} of {statement.tenant_name}, {statement.month}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_text(title)}</h1>",
        *_head(statement, digest),
        *(part for sheet in statement.sheets for part in _table(sheet)),
        "<h2>How the figures came about</h2><ul>",
        *(f"<li>{_text(rule)}</li>" for rule in statement.rules),
        "</ul>",
        '<div class="sign"><div>For the host: name, date, signature</div>',
        f"<div>For {_text(statement.tenant_name)}: name, date, signature</div></div>",
        "</body></html>",
    ]
    return ("\n".join(parts) + "\n").encode()


def _head(statement: Statement, digest: str) -> Iterator[str]:
    zone = ZoneInfo(statement.timezone)
    if not statement.version:
        known = f" of {local(statement.drafted, zone)}" if statement.drafted else ""
        yield f'<p class="draft">DRAFT{known}: on no record, and not to be signed</p>'
    facts = {
        "Statement": statement.id if statement.version else "draft",
        "Network": f"{statement.network_name} ({statement.network})",
        "Tenant": f"{statement.tenant_name} ({statement.tenant})",
        "Time": f"{local(statement.begin, zone)} to {local(statement.end, zone)} ({statement.timezone})",
        "Issued": local(statement.issued, zone),
        "Why another version": statement.reason,
    }
    yield '<table class="facts">'
    for name, value in facts.items():
        if value:
            yield f"<tr><th>{name}</th><td>{_text(value)}</td></tr>"
    yield f"<tr><th>SHA-256 of its JSON</th><td><code>{digest}</code></td></tr></table>"


def _table(sheet: Sheet) -> Iterator[str]:
    yield f"<h2>{_text(sheet.title)}</h2>"
    if not sheet.rows:
        yield "<p>none</p>"
        return
    numbers = [any(isinstance(row[i], int | float) for row in sheet.rows) for i in range(len(sheet.columns))]
    yield "<table><thead><tr>"
    for column, is_number in zip(sheet.columns, numbers, strict=True):
        unit = f" <small>{_text(column.unit)}</small>" if column.unit else ""
        title = f' title="{_text(column.meaning)}"' if column.meaning else ""
        yield f"<th{_class(is_number)}{title}>{_text(column.name.replace('_', ' '))}{unit}</th>"
    yield "</tr></thead><tbody>"
    for row in sheet.rows[:_MOST]:
        cells = (f"<td{_class(n)}>{_text(_shown(value))}</td>" for value, n in zip(row, numbers, strict=True))
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table>"
    if len(sheet.rows) > _MOST:
        yield f"<p>{len(sheet.rows) - _MOST:,} more rows are in the CSV and JSON of this statement.</p>"
    yield from _meanings(sheet)


def _meanings(sheet: Sheet) -> Iterable[str]:
    meanings = [f"{_text(one.name.replace('_', ' '))}: {_text(one.meaning)}" for one in sheet.columns if one.meaning]
    return [f"<p><small>{'. '.join(meanings)}.</small></p>"] if meanings else []


def _class(is_number: bool) -> str:
    return ' class="n"' if is_number else ""


def _shown(value: Value) -> str:
    if isinstance(value, int | float):
        return f"{value:,}"
    return value or ""


def _text(text: str) -> str:
    return escape(visible(text))
