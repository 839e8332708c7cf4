"""Findings and problems of network files, with one line for objects that share one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from controller.cli.output import counted
from controller.models.device_kinds import DEFAULT_KIND
from controller.models.errors import Problem
from controller.models.many import VARIES

if TYPE_CHECKING:
    from controller.models.facts import Finding

#: Most groups to show; further ones are only counted.
_MOST = 40
_SEVERITIES = ("error", "warning", "info")
#: Findings that name another cell each time, such as one with the same PCI: the first stands for all.
_PAIRED = ("pci-collision", "pci-confusion", "pci-mod-3", "pci-mod-4", "pci-mod-30", "prach-clash")


def finding_lines(findings: Iterable[Finding], sources: Mapping[str, str]) -> list[str]:
    """Findings, the gravest first; one line for a finding about many cells, with the file and line of its source.

    Args:
        findings: What was found.
        sources: File and line of agreements and stations, by id.
    """
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for one in findings:
        shape = "" if one.code in _PAIRED else one.message
        for name in filter(None, (one.station, one.cell)):
            shape = shape.replace(name, VARIES)
        groups.setdefault((one.severity, one.code, one.kind or "", *one.agreements, shape), []).append(one)
    ordered = sorted(groups.values(), key=lambda alike: _SEVERITIES.index(alike[0].severity))
    return _cut([_finding_line(alike, sources) for alike in ordered])


def _finding_line(alike: Sequence[Finding], sources: Mapping[str, str]) -> str:
    first = alike[0]
    source = source_of(first, sources)
    where = f"{source}: " if source else ""
    stations = len({one.station for one in alike})
    cells = len({(one.station, one.cell) for one in alike if one.cell})
    devices = counted(stations, (first.kind or DEFAULT_KIND).value)
    places = f"{counted(cells, 'cell')} of {devices}" if cells else devices
    same = "such findings" if first.code in _PAIRED else "the same"
    more = f"; {same} on {places} in all" if len(alike) > 1 else ""
    return f"{first.severity}: {where}{first.message}{more} ({first.code})"


def source_of(one: Finding, sources: Mapping[str, str]) -> str:
    """File and line of the agreements that a finding is about, else of its device or subject, else empty."""
    found = dict.fromkeys(sources[name] for name in one.agreements if name in sources)
    about = one.station or one.subject
    return ", ".join(found) or sources.get(about) or sources.get(f"{one.kind} {about}", "")


def problem_lines(problems: Iterable[Problem | Mapping[str, Any]]) -> list[str]:
    """Problems of files; one line for the same problem in a field of many objects: that of the first object."""
    groups: dict[tuple[str, ...], list[Problem]] = {}
    for said in problems:
        one = said if isinstance(said, Problem) else Problem(**said)
        field = one.field.rpartition("].")[2]
        groups.setdefault((one.file, field, one.message, one.expected), []).append(one)
    return _cut(
        [str(alike[0]) + (f" (and {len(alike) - 1} more like it)" if alike[1:] else "") for alike in groups.values()]
    )


def _cut(lines: list[str]) -> list[str]:
    left = len(lines) - _MOST
    return lines if left <= 0 else [*lines[:_MOST], f"… and {left} more of other kinds; all of them: --json"]
