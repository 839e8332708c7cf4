"""Measured periods of the same time become a single one."""

from __future__ import annotations

from collections.abc import Sequence

from controller.models.many import first_names
from controller.models.measurement import Measured, Values

#: Differing values of two periods that the audit trail shows.
_SHOWN = 3


def merged(first: Measured | None, second: Measured) -> tuple[Measured, str]:
    """Merge two periods of the same time; returns the result, and what became of the second.

    Where both have a counter, the first wins, unless it is suspect and the second is not.
    """
    if first is None:
        return second, "new"
    better = first.suspect and not second.suspect
    older, newer = _counters(first), _counters(second)
    common = older.keys() & newer.keys()
    differs = any(older[key] != newer[key] for key in common)
    if newer.keys() <= older.keys() and not better:
        return first, "conflicting" if differs and first.suspect == second.suspect else "repeated"
    both = older | newer if better else newer | older
    cells: dict[str, dict[str, Values]] = {}
    for (cell, name), values in both.items():
        cells.setdefault(cell, {})[name] = values
    suspect = second.suspect or (first.suspect and not older.keys() <= newer.keys())
    covered = second.covered if better else max(first.covered, second.covered)
    merged = first.model_copy(update={"cells": cells, "covered": covered, "suspect": suspect})
    return merged, "conflicting" if differs and not better and first.suspect == second.suspect else "replaced"


def difference(first: Measured, second: Measured) -> str:
    """The first values that differ, as kept and as received, and how many more there are."""
    older, newer = _counters(first), _counters(second)
    found = [
        f"{cell}/{name}{list(subject) if any(subject) else ''} {older[cell, name].get(subject)}, not {value}"
        for cell, name in sorted(older.keys() & newer.keys())
        for subject, value in sorted(newer[cell, name].items())
        if older[cell, name].get(subject) != value
    ]
    return first_names(found, _SHOWN, "; ") or "some subjects are missing"


def _counters(measured: Measured) -> dict[tuple[str, str], Values]:
    return {(cell, name): values for cell, counters in measured.cells.items() for name, values in counters.items()}


def together(found: Sequence[Measured]) -> Measured:
    """Merge periods of the same span: all counters of the first, then those that only later ones have."""
    one = found[0]
    for other in found[1:]:
        one, _ = merged(one.model_copy(update={"suspect": False}), other)
    return one.model_copy(update={"suspect": any(each.suspect for each in found)}) if len(found) > 1 else one
