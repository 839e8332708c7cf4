"""A dry run for people: how far it reaches, in what order, what each step would do, and who has to agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from controller.cli.approvals import show_outlook
from controller.cli.output import counted, out, styled
from controller.cli.pager import paged
from controller.cli.plan_view import SHORT, VARIES, alike, common, show_findings, some
from controller.cli.tables import Column, table

#: Changes of one step that are named.
_NAMED = 5


#: Waves that are named one by one.
_WAVES = 40


@dataclass
class _Line:
    """What a step would do, the same on some stations."""

    step: Mapping[str, Any]
    stations: list[str] = field(default_factory=list)
    says: list[str] = field(default_factory=list)


@paged()
def show_rehearsal(said: Mapping[str, Any], *, every: bool = False) -> None:
    """Show a dry run; what is the same on many stations is one line, unless ``every`` is wanted."""
    reach = said["reach"]
    places = ", ".join((counted(reach["stations"], "station"), counted(reach["cells"], "cell")))
    tenants = ", ".join(reach["tenants"]) or "no tenant"
    out.print(f"{said['playbook']} reaches {places}, {reach['people']} people; {tenants}")
    if said["plan"]:
        out.print(f"plan {said['plan']}; all of it: minka plans show {said['plan']}")
    waves = _waves(said["stations"])
    _show_order(waves, said["strategy"])
    lines = [line for members in waves.values() for line in _each(members)]
    alike_ones = lines if every or len(lines) <= SHORT else _grouped(list(chain(*waves.values())))
    columns = (Column("station"), Column("step"), Column("action", 1), Column("what", prose=True))
    table(columns, map(_row, alike_ones))
    if len(alike_ones) < len(lines):
        out.print("what is the same on many stations is one line here; each of them: --all")
    for station, reason in said["left_out"].items():
        out.print(styled("left out", "yellow"), f"{station}: {reason}")
    show_findings(said["findings"])
    show_outlook(said["outlook"], before=not said["refused"])
    for reason in said["refused"]:
        out.print(styled("would be refused:", "red"), reason)


def _waves(stations: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """What would be done on each station, by the names of waves, in order; what comes behind in one is apart."""
    found: dict[tuple[int, bool], list[Mapping[str, Any]]] = {}
    for one in sorted(stations, key=lambda one: (one["wave"], one["rank"], one["station"])):
        found.setdefault((one["wave"], one["rank"] > 0), []).append(one)
    several = len({wave for wave, _ in found}) > 1
    return {
        ("canary" if wave == 0 and several else f"wave {wave}") + (", then" if behind else ""): members
        for (wave, behind), members in found.items()
    }


def _show_order(waves: Mapping[str, Sequence[Mapping[str, Any]]], strategy: Mapping[str, Any]) -> None:
    together = {"station": "each station on its own", "unit": "unit by unit", "wave": "wave by wave, all or nothing"}
    soak = f"; each wave stands for {strategy['soak']} s" if strategy["soak"] else ""
    most = sum(map(len, waves.values()))
    ends = 0 < most <= strategy["stop_after"] and most > 1
    stop = "no failure stops it" if ends else f"stops after {counted(strategy['stop_after'], 'failure')}"
    out.print(f"order: {together[strategy['policy']]}; {stop}{soak}")
    for wave, members in islice(waves.items(), _WAVES):
        named = some([one["station"] for one in members])
        out.print(f"  {wave}: {named}")
    if len(waves) > _WAVES:
        out.print(f"  … and {counted(len(waves) - _WAVES, 'more wave')}")


def _each(members: Sequence[Mapping[str, Any]]) -> list[_Line]:
    return [_Line(step, [one["station"]], [_what(step)]) for one in members for step in one["steps"]]


def _grouped(members: Sequence[Mapping[str, Any]]) -> list[_Line]:
    """Lines that say the same, step by step."""
    found: list[_Line] = []
    for index in range(max(len(one["steps"]) for one in members)):
        groups: dict[tuple[str, ...], _Line] = {}
        for one in members:
            if index < len(one["steps"]):
                step, station = one["steps"][index], one["station"]
                says = _what(step).replace(station, VARIES)
                line = groups.setdefault((step["step"], alike(says)), _Line(step))
                line.stations.append(station)
                line.says.append(says)
        found += groups.values()
    return found


def _row(line: _Line) -> tuple[str, ...]:
    says = _what(line.step) if len(line.stations) == 1 else common(line.says)
    return (some(line.stations), line.step["step"], line.step["action"], says)


def _what(step: Mapping[str, Any]) -> str:
    rows = [f"{row['what']}: {row['before']} → {row['after']}" for row in step["diff"]]
    more = [f"and {len(rows) - _NAMED} more"] if len(rows) > _NAMED else []
    return "; ".join([*rows[:_NAMED], *more, step["says"]])
