"""A plan as plain rows, for any door that shows it."""

from __future__ import annotations

from dataclasses import dataclass

from controller.models.plan import Plan


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One row of a plan as people read it; ``tenant`` is empty where nobody owns the node."""

    station: str
    cell: str
    tenant: str
    what: str
    before: str
    after: str


def render_text(plan: Plan) -> tuple[PlanRow, ...]:
    """All rows of all changes, by station; none for an empty plan."""
    return tuple(
        PlanRow(change.station, row.cell, row.tenant, row.what, row.before, row.after)
        for change in plan.changes
        for row in change.diff
    )


def headline(plan: Plan) -> str:
    """The plan in one sentence."""
    left_out = f"; {len(plan.unplanned)} left out" if plan.unplanned else ""
    if plan.is_empty:
        return f"Nothing to do: {len(plan.unchanged)} stations carry what they should{left_out}."
    touched: set[str] = set()
    outages, removed = [], 0
    for change in plan.changes:
        touched.update(change.touched)
        removed += sum(change.removes.values())
        if change.outage_seconds:
            outages.append(change.outage_seconds)
    parts = [f"{len(plan.changes)} stations change for {', '.join(sorted(touched)) or 'the host'}"]
    if outages:
        parts.append(f"{len(outages)} with an interruption of up to {max(outages)} s")
    if removed:
        parts.append(f"{removed} nodes are removed")
    return f"{', '.join(parts)}; {len(plan.unchanged)} stay as they are{left_out}."
