"""Tracking areas: in LTE all cells of one must broadcast the same PLMNs (TS 23.251 §4.2.2)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from controller.intent.findings import Check, finding
from controller.intent.grants import Grant
from controller.intent.sharing import Terms
from controller.models.facts import Finding
from controller.models.network import Cell, Plmn, Rat

#: A cell, what it carries, and the positions of the grants covering it.
Placed = tuple[Cell, Terms, tuple[int, ...]]


def tracking_area_findings(cells: Sequence[Placed], grants: Sequence[Grant]) -> Iterator[Finding]:
    """One finding, worded alike, for each station of a tracking area whose LTE cells differ in PLMNs."""
    areas: dict[int, list[Placed]] = defaultdict(list)
    for placed in cells:
        if placed[0].rat is Rat.LTE:
            areas[placed[0].tac].append(placed)
    for tac, members in sorted(areas.items()):
        first = members[0][1].plmns
        if any(terms.plmns != first for _, terms, _ in members):
            yield from _findings(tac, members, grants)


def _findings(tac: int, members: Sequence[Placed], grants: Sequence[Grant]) -> Iterator[Finding]:
    partial = _partial(members, grants)
    message = f"tracking area {tac}: LTE cells differ in PLMNs, {_sets(members)}"
    if partial:
        named = ", ".join(grant.agreement for grant in partial)
        message += f"; {'agreement' if len(partial) == 1 else 'agreements'} {named} covering only a part"
    if any(grant.exclusive for grant in partial):
        message += "; a MORAN carrier needs a tracking area code of its own"
    agreement, tenant = (partial[0].agreement, partial[0].tenant) if len(partial) == 1 else ("", "")
    for station in sorted({cell.station for cell, _, _ in members}):
        yield finding(Check.TRACKING_AREA_PLMNS, message, station=station, tenant=tenant, agreement=agreement)


def _partial(members: Sequence[Placed], grants: Sequence[Grant]) -> list[Grant]:
    """Grants that cover some cells of a tracking area and not all."""
    covered = Counter(number for _, _, numbers in members for number in numbers)
    return [grants[number] for number in sorted(covered) if covered[number] < len(members)]


def _sets(members: Sequence[Placed]) -> str:
    """PLMN sets with their cells, the most frequent first: ``716-06 716-10 on PE-1/B28-1 and 7 more``."""
    by_set: dict[tuple[Plmn, ...], list[str]] = defaultdict(list)
    for cell, terms, _ in members:
        by_set[tuple(sorted(terms.plmns))].append(cell.name)
    ordered = sorted(by_set.items(), key=lambda item: (-len(item[1]), item[0]))
    return "; ".join(f"{' '.join(plmns) or 'none'} on {_cells(sorted(names))}" for plmns, names in ordered)


def _cells(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
