"""Shipped actions that change a station. Each proposes a Change; the engine carries it out as a device transaction."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from controller.assurance.health import health_of
from controller.models.errors import NotFoundError
from controller.models.network import HOST, CellId, Identifier, Noun
from controller.models.outage import UNTIL_UNLOCKED, Outage
from controller.models.sharing import ActionClass
from controller.nrm.profiles import administrative_state, cell_of, cells
from controller.nrm.tree import Observed
from controller.plan import (
    CYCLE_SECONDS,
    AdministrativeState,
    administrative_state_change,
    cycle_change,
    open_plmns_change,
)
from controller.playbook.language.registry import (
    ALL,
    CellNames,
    Context,
    DeviceAccess,
    Proposal,
    ServiceLoss,
    Within,
    action,
)


class NoInputs(Noun):
    """No inputs."""


class ChangeOutput(Noun):
    """Whether anything was changed."""

    changed: bool = Field(description="Whether the station had to be changed.")


class SwitchedCells(Noun):
    """Cells that were switched."""

    changed: bool = Field(description="Whether the state of a cell had to be changed.")
    cells: Annotated[tuple[CellId, ...], Within("cells")] = Field(description="Cells whose state was changed.")


@action("apply-intent", DeviceAccess.CHANGES, consent=None)
async def apply_intent(context: Context, _: NoInputs) -> Proposal[ChangeOutput]:
    """Carry out the run's plan on the station.

    The plan was made when the run was accepted (section `plan`) and is bound to it; a station that changed since
    is refused. One that comes back with its function is left to `configure-station`.
    """
    planned = context.planned if context.planned is not None and not context.planned.comes_back else None
    return Proposal(planned, ChangeOutput(changed=planned is not None))


async def _switch(context: Context, given: CellNames, final: AdministrativeState) -> Proposal[SwitchedCells]:
    owners = {path: entry.owners for path, entry in (await context.ledger()).items()}
    observed = await context.read()
    names = None if given.cells == ALL else given.cells
    ours = {edit.path for change in context.applied for phase in change.phases for edit in phase.edits}
    holders = await _holders(context, observed, names) if final == "UNLOCKED" else {}
    change = administrative_state_change(
        context.station, context.profiles, observed, names, owners, final, ours, holders
    )
    edits = change.phases[-1].edits if change else ()
    return Proposal(change, SwitchedCells(changed=bool(edits), cells=tuple(cell_of(edit.path) for edit in edits)))


async def _holders(context: Context, seen: Observed, names: Collection[str] | None) -> dict[str, str]:
    """Who locked cells, in words by cell, as far as this playbook or a run of ours did; None stands for all cells."""
    there = [entry for entry in cells(seen.tree) if names is None or entry.cell in names]
    locked = sorted({entry.cell for entry in there if administrative_state(seen.tree, entry.path) != "UNLOCKED"})
    found = {cell: await context.lock_holder(cell) for cell in locked}
    return {cell: holder for cell, holder in found.items() if holder}


@action("lock-cell", DeviceAccess.CHANGES, outage=UNTIL_UNLOCKED)
async def lock_cell(context: Context, given: CellNames) -> Proposal[SwitchedCells]:
    """Lock cells at once: calls in them are dropped. The cells must be off the air before the change is confirmed."""
    return await _switch(context, given, "LOCKED")


@action("soft-lock-cell", DeviceAccess.CHANGES, outage=UNTIL_UNLOCKED)
async def soft_lock_cell(context: Context, given: CellNames) -> Proposal[SwitchedCells]:
    """Shut cells down: they take no new users, serve those they have, and lock themselves when the last has left.

    The change is done when the cells are shutting down; `wait-until` with `cells-locked` waits until they are locked.
    """
    return await _switch(context, given, "SHUTTINGDOWN")


@action("unlock-cell", DeviceAccess.CHANGES, consent=ActionClass.RESTORE, unlocks=True)
async def unlock_cell(context: Context, given: CellNames) -> Proposal[SwitchedCells]:
    """Unlock cells. They must be on air before the change is confirmed, else they are locked again."""
    return await _switch(context, given, "UNLOCKED")


async def taken_with(context: Context, names: Collection[str] | None) -> ServiceLoss | None:
    """The service lost if these cells, or all of a station, go off the air; None if none of them is known here."""
    ledger = await context.ledger()
    health = health_of(context.station, await context.read(), ledger, 0, context.clock.now())
    health = health.with_sleepers(await context.alarms())
    nodes = ((cell_of(path), entry.owners) for path, entry in ledger.items())
    inside = [(cell, owners) for cell, owners in nodes if cell and (names is None or cell in names)]
    pairs = {(cell, owner) for cell, owners in inside for owner in owners if owner != HOST}
    return ServiceLoss.of(pairs, health, names) if inside else None


class CycledCell(Noun):
    """One cell of the station."""

    cell: CellId = Field(description="The cell by its name.")
    on_air: bool = Field(default=True, description="Whether it must be on air before the change is confirmed.")


class LockedAndUnlocked(Noun):
    """The cell that was locked and unlocked."""

    changed: bool = Field(description="Always true.")
    cells: Annotated[tuple[CellId, ...], Within("cell")] = Field(description="The cell.")


async def _with_cell(context: Context, given: CycledCell) -> ServiceLoss | None:
    known = await taken_with(context, [given.cell])
    if known is None and given.cell not in {entry.cell for entry in cells((await context.read()).tree)}:
        raise NotFoundError(f"{context.station} has no cell {given.cell}")
    return known


@action("cycle-cell", DeviceAccess.CHANGES, takes=_with_cell, outage=Outage.timed(CYCLE_SECONDS))
async def cycle_cell(context: Context, given: CycledCell) -> Proposal[LockedAndUnlocked]:
    """Lock a cell and unlock it again, as one change. If it does not come on air then, it is unlocked as before.

    One that comes on air only later, as when its radio unit has cooled down, is not waited for with `on_air: false`.
    """
    owners = {path: entry.owners for path, entry in (await context.ledger()).items()}
    seen = await context.read()
    holders = await _holders(context, seen, [given.cell])
    change = cycle_change(
        context.station, context.profiles, seen, [given.cell], owners, on_air=given.on_air, holders=holders
    )
    return Proposal(change, LockedAndUnlocked(changed=True, cells=(given.cell,)))


class OneTenant(Noun):
    """A tenant."""

    tenant: Identifier = Field(description="The tenant.")


@action("open-plmns", DeviceAccess.CHANGES, consent=None)
async def open_plmns(context: Context, given: OneTenant) -> Proposal[ChangeOutput]:
    """Let all users of a tenant in: its PLMNs that are reserved for operator use are so no longer.

    A plan with `reserved` put them on air so. Only PLMNs of ours are opened. On NR no PLMN can be reserved, since
    TS 28.541 has no attribute for it: nothing is changed there.
    """
    ledger, observed = await context.ledger(), await context.read()
    change = open_plmns_change(context.station, context.profiles, observed, given.tenant, ledger)
    return Proposal(change, ChangeOutput(changed=change is not None))


CONFIGURATION = (apply_intent, lock_cell, soft_lock_cell, unlock_cell, cycle_cell, open_plmns)
