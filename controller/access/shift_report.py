"""The report of a shift for people: Markdown and HTML, made from its JSON. Pure.

Nothing in it that people, stations or tenants wrote is more than text: HTML has no scripts and loads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from controller.access.report import as_table, as_text
from controller.models.untrusted import visible

Json = Mapping[str, Any]


class ShiftColumn(StrEnum):
    """The columns of its parts, by the names that they have in it."""

    ABOUT = "about"
    ALARM = "alarm"
    AT = "at"
    BY = "by"
    CAUSE = "cause"
    CELLS = "cells"
    CLOSED = "closed"
    DEVICES = "devices"
    INCIDENT = "incident"
    LAST = "last"
    MINUTES = "minutes"
    OF = "of"
    OPENED = "opened"
    OWNER = "owner"
    PEOPLE = "people"
    REASON = "reason"
    SET = "set"
    SEVERITY = "severity"
    SINCE = "since"
    STATE = "state"
    TENANTS = "tenants"
    TO = "to"
    UNTIL = "until"
    WAY_OUT = "who can end it"
    WHAT = "what"
    WHEN = "when"
    WHERE = "where"
    WHO = "who"
    WHY = "why"

    @classmethod
    def is_prose(cls, name: str) -> bool:
        """Whether cells of a column are sentences; those of a column that only a newer server has are not."""
        return name in _PROSE


#: Columns with sentences.
_PROSE = frozenset(
    {ShiftColumn.WHAT, ShiftColumn.WHY, ShiftColumn.REASON, ShiftColumn.WAY_OUT}
    | {ShiftColumn.CAUSE, ShiftColumn.SET, ShiftColumn.OF}
)

_HTML = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title><style>
@page { size: A4 landscape; margin: 14mm }
body { font: 10pt/1.4 "Liberation Sans", Arial, sans-serif; color: #111; margin: 2em auto; max-width: 80em }
h1 { font-size: 18pt; margin: 0 } h2 { font-size: 12pt; margin: 1.6em 0 .4em }
table { border-collapse: collapse; width: 100% } thead { display: table-header-group } tr { break-inside: avoid }
th, td { border-bottom: 1px solid #bbb; padding: .15em .5em; text-align: left; vertical-align: top }
</style></head><body>
<h1>{{ title }}</h1>
<p>{{ span }}</p>
<p>{{ counts }}</p>
{% for sheet in sheets %}<h2>{{ sheet.title }}</h2>
{% if sheet.rows %}<table><thead><tr>{% for name in sheet.columns %}<th>{{ name }}</th>{% endfor %}</tr></thead><tbody>
{% for row in sheet.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table>
{% if sheet.more %}<p>and {{ sheet.more }} more</p>
{% endif %}{% else %}<p>none</p>
{% endif %}{% endfor %}</body></html>
"""


def title(report: Json) -> str:
    """Its headline."""
    side = "" if report["side"] == "host" else f", {report['side']}"
    return f"Shift report of {report['network']}{side}"


def span(report: Json) -> str:
    """The time that it covers, in words."""
    begin, end = (one.replace("T", " ") for one in report["local"])
    return f"{begin} to {end}; times are local: {report['timezone']}"


def counts(report: Json) -> str:
    """How much is in each of its parts, also what is not shown, and how grave that is."""
    return "; ".join(
        f"{sheet['title'].lower()}: {len(sheet['rows']) + sheet['more'] + sheet['grouped']}{_severities(sheet)}"
        for sheet in report["sheets"].values()
    )


def _severities(sheet: Json) -> str:
    found = ", ".join(f"{number} {severity}" for severity, number in sheet["severities"].items())
    return f" ({found})" if found else ""


def markdown(report: Json) -> str:
    """The report as Markdown."""
    lines = [f"# {as_text(title(report))}", "", as_text(span(report)), "", as_text(counts(report)), ""]
    for sheet in report["sheets"].values():
        rows = ([_shown(cell) for cell in row] for row in sheet["rows"])
        lines += [f"## {sheet['title']}", "", *(as_table(sheet["columns"], rows, len(sheet["rows"])) or ["none", ""])]
        lines += [f"and {sheet['more']} more", ""] if sheet["more"] else []
    return "\n".join(lines).rstrip() + "\n"


def html(report: Json) -> str:
    """The report as a page that can be printed."""
    sheets = [
        {
            "title": sheet["title"],
            "columns": sheet["columns"],
            "rows": [[visible(_shown(cell)) for cell in row] for row in sheet["rows"]],
            "more": sheet["more"],
        }
        for sheet in report["sheets"].values()
    ]
    words = {"title": visible(title(report)), "span": visible(span(report)), "counts": counts(report)}
    return _template().render(sheets=sheets, **words)


@cache
def _template() -> Template:
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(_HTML)


def _shown(cell: Any) -> str:
    if isinstance(cell, int | float):
        return f"{cell:,}"
    return "" if cell is None else str(cell)
