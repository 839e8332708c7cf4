"""A post-incident report as Markdown, made from its JSON: it discloses nothing that the JSON does not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from controller.access.timeline import TimelineEntry, neighbours_of, parts_of, timeline_of
from controller.models.many import first_names
from controller.models.untrusted import visible

Json = Mapping[str, Any]
#: Rows of a table that a report shows; further rows are only counted.
_MOST = 200


def markdown(report: Json) -> str:
    """The report of an incident, for the host or for a tenant."""
    root = report["root"] if isinstance(report["root"], dict) else report
    parts = [
        [f"# Incident {report['id']}: {as_text(root['probable_cause'])}", ""],
        as_table(("", ""), _facts(report, root)),
        _section("Topology", [" > ".join(map(as_text, report["path"]))] if report.get("path") else []),
        _section("Minutes without service", _minutes(report)),
        _section("Decisions", _decisions(report)),
        _section("Repairs", _runs(report)),
        _section("Alarms", _alarms(report)),
        _section("Notices", _notices(report)),
        _section("Comments", _comments(report)),
        _section("Timeline", _timeline(report)),
    ]
    lines = [line for part in parts for line in part]
    return "\n".join(line for line, before in zip(lines, ["", *lines], strict=False) if line or before).rstrip() + "\n"


def _facts(report: Json, root: Json) -> Iterator[tuple[str, str]]:
    yield "Root", f"{root['probable_cause']} of {root['station']} {root['object']}".strip()
    if report.get("timeline"):
        yield (
            "Why this root",
            next(
                (row["detail"]["why"] for row in report["timeline"] if row["detail"].get("why")), "no alarm explains it"
            ),
        )
    yield "State", f"{report['state']}, still correlating" if report.get("correlating") else report["state"]
    yield "Severity", report["severity"]
    yield "Opened", _time(report["opened"])
    yield "Closed", _time(report["closed"]) or "not yet"
    yield from _around(report)
    if report.get("flaps"):
        yield "Came again", str(report["flaps"])
    yield "Cells", f"{len(report['cells'])}: {_some(report['cells'])}" if report["cells"] else "none"
    yield "People", f"{report['people']:,}"
    if report.get("tenants"):
        yield "Tenants", ", ".join(report["tenants"])
    if report.get("acknowledged"):
        yield "Acknowledged", f"{report['acknowledged_by']}, {_time(report['acknowledged'])}"
    if report.get("owner"):
        yield "Taken over", f"{report['owner']}, {_time(report['taken'])}"
    if report.get("health"):
        health = report["health"]
        on_air = sum(state == "up" for state in health["cells"].values())
        up = sum(link["state"] == "up" for link in health["links"])
        said = f"{on_air} of {len(health['cells'])} cells on air, {up} of {len(health['links'])} core links up"
        yield "Device now", f"{said}, checked {_time(health['at'])}"


def _around(report: Json) -> Iterator[tuple[str, str]]:
    """What other incidents it has to do with, and where its fault may be."""
    if report.get("merged_into"):
        yield "Part of incident", report["merged_into"]
    if parts := parts_of(report):
        yield "Includes", ", ".join(parts)
    if beside := neighbours_of(report):
        yield "Beside", "; ".join(beside)
    for place in report.get("suspects", ()):
        yield "May be", place["line"]


def _minutes(report: Json) -> list[str]:
    found = report["minutes"]
    rows = found if isinstance(found, list) else [found] if found else []
    names = ("lost", "planned", "own_work", "own_core", "outside", "unseen")
    lines = as_table(
        (
            "Tenant",
            "Lost",
            "Planned work",
            "Own core work",
            "Own core lost",
            "Outside the contract",
            "Not seen",
            "People-minutes",
        ),
        ((one["tenant"], *(f"{one[name]:,.1f}" for name in names), f"{one['people']:,}") for one in rows),
    )
    used = (
        (one["agreement"], f"{one['availability_percent']:g} %", f"{one['used']:,.1f}", f"{one['allowed']:,.1f}")
        for one in report["agreements"]
    )
    return [*lines, *as_table(("Agreement", "Availability", "Used this month", "Allowed"), used)]


def _decisions(report: Json) -> list[str]:
    rows = (
        (_time(one["at"]), one["alarm"], one["rule"], one["mode"], one["what"], one["state"], one["by"], one["reason"])
        for one in report.get("decisions", ())
    )
    return as_table(("When", "Alarm", "Rule", "Mode", "What", "State", "By", "Reason"), rows)


def _runs(report: Json) -> list[str]:
    lines: list[str] = []
    for run in report["runs"]:
        lines += [f"### {run['id']}: {as_text(run['procedure'])}, {run['state']}", ""]
        lines += [f"From {_time(run['started']) or 'never'} to {_time(run['finished']) or 'now'}.", ""]
        if run.get("before"):
            lines += [f"In service before: {as_text(_some(run['before']))}", ""]
        if run.get("after") is not None:
            lost = sorted(set(run["before"]) - set(run["after"]))
            gone = f"; not any more: {as_text(_some(lost))}" if lost else ""
            lines += [f"In service after: {as_text(_some(run['after'])) or 'nothing'}{gone}", ""]
        for device in run.get("devices", ()):
            said = f": {device['detail']}" if device["detail"] else ""
            lines += [as_text(f"{device['station']} {device['outcome'] or 'not done'}{said}"), ""]
            rows = [*device["diff"], *(row for step in device["steps"] for row in step["diff"])]
            diff = ((row["cell"], row["tenant"], row["what"], row["before"], row["after"]) for row in rows)
            lines += as_table(("Cell", "Tenant", "What", "Before", "After"), diff)
            steps = ((one["name"], one["state"], one["outcome"] or "", one["detail"]) for one in device["steps"])
            lines += as_table(("Step", "State", "Outcome", "Detail"), steps)
    return lines


def _alarms(report: Json) -> list[str]:
    names = ("id", "station", "object", "probable_cause", "severity", "state")
    rows = ((*(one[name] for name in names), _time(one["raised"]), _time(one["cleared"])) for one in report["alarms"])
    lines = as_table(("Alarm", "Station", "Object", "Cause", "Severity", "State", "Raised", "Cleared"), rows)
    left = report.get("alarms_in_all", 0) - len(report["alarms"])
    return [*lines, f"… and {left} more, which the time line leaves out too", ""] if left > 0 else lines


def _notices(report: Json) -> list[str]:
    rows = ((_time(one["at"]), one["kind"], one["text"]) for one in report.get("notices", ()))
    return as_table(("When", "What", "Text"), rows)


def _comments(report: Json) -> list[str]:
    rows = ((_time(one["at"]), one["by"], one["text"]) for one in report["comments"])
    return as_table(("When", "Who", "Said"), rows)


def _timeline(report: Json) -> list[str]:
    rows = (
        (_span(entry), entry.actor, entry.action, entry.what, _detail(entry.detail) or entry.words)
        for entry in timeline_of(report)
    )
    return as_table(("When", "Who", "What", "Of", "Detail"), rows)


def _span(entry: TimelineEntry) -> str:
    """The second, or the first and the last one, of an entry."""
    begin, end = _time(entry.at), _time(entry.until)
    return begin if begin == end else f"{begin[:19]} to {end}"


def _detail(detail: Json) -> str:
    return ", ".join(f"{name}={value}" for name, value in detail.items())


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""] if lines else []


def as_table(header: Sequence[str], rows: Iterable[Sequence[str]], most: int = _MOST) -> list[str]:
    """A table of Markdown with a blank line behind it, or nothing where there are no rows."""
    every = list(rows)
    if not every:
        return []
    lines = [_row(header), _row(["---"] * len(header)), *(_row(row) for row in every[:most])]
    left = len(every) - most
    return [*lines, "", *([f"… and {left} more", ""] if left > 0 else [])]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(as_text, cells))} |"


def as_text(value: object) -> str:
    """A value on one line with its markup escaped, so that it can't change the report's format."""
    text = visible(" ".join(str(value).split()))
    for letter, instead in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("`", "\\`"), ("[", "\\["), ("*", "\\*")):
        text = text.replace(letter, instead)
    return text


def _some(names: Sequence[str]) -> str:
    return first_names(names, 20)


def _time(value: str | None) -> str:
    """A time of JSON to the second, UTC."""
    return f"{value[:19].replace('T', ' ')} UTC" if value else ""
