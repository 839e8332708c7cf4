"""An action that says the wrong class of consent takes nothing from anybody whom the run has not asked.

Actions may come from packages of others: what counts is what their change does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from controller.models.equipment import Operation, OperationKind
from controller.models.network import Noun
from controller.models.plan import Change, LedgerNode
from controller.models.run import PERSON, Outcome
from controller.models.sharing import ActionClass
from controller.nrm.profiles import administrative_state, cells
from controller.plan import AdministrativeState, administrative_state_change, cycle_change
from controller.plan.maintenance import removal_plan
from controller.playbook.actions.shipped import SHIPPED
from controller.playbook.language.registry import (
    Action,
    CellNames,
    Context,
    DeviceAccess,
    Proposal,
    Registry,
    ServiceLoss,
    action,
)
from tests.unit.plan.samples import LTE_CELL
from tests.unit.playbook.test_dry_run import preview
from tests.unit.playbook.test_takeover import LOOK, PlaybookBench

ALARM = "alarm:a-1"
INTERRUPT, REDUCE, RESTORE = ActionClass.INTERRUPT, ActionClass.REDUCE, ActionClass.RESTORE
CLASSES = [None, RESTORE, ActionClass.CONFIGURE]
QUIET = "  - {name: quiet, action: quiet, with: {cells: ['L1']}}\n"
#: Classes by which nobody loses service, asked of both.
HARMLESS = tuple((who, one) for who in ("alfa", "beta") for one in CLASSES if one)
THEIRS = [LedgerNode(path=LTE_CELL, owners=("alfa", "beta"))]


class Nothing(Noun):
    """Nothing to say."""


async def _switched(context: Context, names: Sequence[str] | None, state: AdministrativeState) -> Change | None:
    owners = {path: entry.owners for path, entry in (await context.ledger()).items()}
    return administrative_state_change(context.station, context.profiles, await context.read(), names, owners, state)


def locking(
    consent: ActionClass | None,
    state: AdministrativeState = "LOCKED",
    *,
    names: Sequence[str] | None = ("L1",),
    denies: bool = False,
    takes: ServiceLoss | None = None,
) -> Action:
    """An action that locks these cells, whatever its inputs are; with ``denies`` its change names nobody either."""

    async def loss(_context: Context, _given: CellNames) -> ServiceLoss | None:
        return takes

    @action("quiet", DeviceAccess.CHANGES, consent=consent, takes=loss if takes else None)
    async def quiet(context: Context, _: CellNames) -> Proposal[Nothing]:
        """Lock cells."""
        change = await _switched(context, names, state)
        if denies and change is not None:
            change = change.model_copy(update={"interrupted": (), "outage": type(change.outage)()})
        return Proposal(change, Nothing())

    return quiet


def cycling(consent: ActionClass | None) -> Action:
    @action("quiet", DeviceAccess.CHANGES, consent=consent)
    async def quiet(context: Context, _: CellNames) -> Proposal[Nothing]:
        """Lock a cell and unlock it."""
        owners = {path: entry.owners for path, entry in (await context.ledger()).items()}
        change = cycle_change(context.station, context.profiles, await context.read(), ["L1"], owners)
        return Proposal(change, Nothing())

    return quiet


def resetting(consent: ActionClass | None) -> Action:
    @action("quiet", DeviceAccess.CHANGES, consent=consent)
    async def quiet(context: Context, _: CellNames) -> Proposal[Nothing]:
        """Restart the station."""
        seen = await context.equipment()
        assert seen.restarted is not None
        return Proposal(None, Nothing(), (Operation(kind=OperationKind.RESET, since=seen.restarted, seconds=100),))

    return quiet


def removing(consent: ActionClass | None) -> Action:
    @action("quiet", DeviceAccess.CHANGES, consent=consent)
    async def quiet(context: Context, _: CellNames) -> Proposal[Nothing]:
        """Remove all of ours."""
        made = removal_plan(context.station, context.profiles, await context.read(), await context.ledger())
        return Proposal(made.change, Nothing())

    return quiet


def bench_with(
    made: Action, steps: str = QUIET, asks: tuple[tuple[str, ActionClass], ...] = (), cause: str = PERSON
) -> PlaybookBench:
    """A run with this action on a station with a cell that two tenants share."""
    bench = PlaybookBench(steps, Registry({**SHIPPED, "quiet": made}), asks=asks, cause=cause)
    bench.clock.pause(5)
    bench.store.devices.adopt(bench.device.station, THEIRS, "", "ana")
    return bench


async def refused(bench: PlaybookBench, *words: str) -> None:
    """Nothing was written, and the error names the action and its class."""
    before = dict(bench.device.running)
    job = await bench.work()
    assert job.outcome is not None
    assert not job.outcome.good
    assert dict(bench.device.running) == before
    assert bench.device.equipment.sent == []
    assert all(word in job.detail for word in ("action quiet (consent=", "whose consent was not asked", *words))


@pytest.mark.parametrize("cause", [PERSON, ALARM])
@pytest.mark.parametrize("consent", CLASSES)
async def test_a_lock_that_nobody_was_asked_about_is_refused(consent: ActionClass | None, cause: str) -> None:
    bench = bench_with(locking(consent), asks=HARMLESS, cause=cause)
    await refused(bench, f"(consent={consent or None})", "interrupt alfa at cell L1", "interrupt beta at cell L1")
    assert bench.job.outcome is (Outcome.CANCELLED if cause == ALARM else Outcome.REFUSED)


@pytest.mark.parametrize("state", ["LOCKED", "SHUTTINGDOWN"])
async def test_a_change_that_says_itself_that_it_interrupts_nobody_is_judged_by_its_edits(
    state: AdministrativeState,
) -> None:
    await refused(bench_with(locking(None, state, denies=True)), "interrupt alfa at cell L1")


@pytest.mark.parametrize("made", [cycling, resetting, removing])
@pytest.mark.parametrize("consent", CLASSES)
async def test_other_outages_and_reductions_are_refused_likewise(
    made: Callable[[ActionClass | None], Action], consent: ActionClass | None
) -> None:
    await refused(bench_with(made(consent), asks=HARMLESS), "alfa")


async def test_consent_to_an_interruption_is_none_to_a_removal() -> None:
    bench = bench_with(removing(INTERRUPT), asks=(("alfa", INTERRUPT), ("beta", INTERRUPT)))
    await refused(bench, "reduce alfa")


async def test_more_cells_than_its_inputs_or_its_loss_name_are_refused() -> None:
    asks = (("alfa", INTERRUPT), ("beta", INTERRUPT))
    bench = PlaybookBench(
        QUIET.replace("L1", "N1"), Registry({**SHIPPED, "quiet": locking(INTERRUPT)}), asks=asks, about=("N1",)
    )
    bench.store.devices.adopt(bench.device.station, THEIRS, "", "ana")
    await refused(bench, "interrupt alfa at cell L1")
    for loss in (ServiceLoss(cells=frozenset({"N1"})), ServiceLoss()):
        await refused(bench_with(locking(INTERRUPT, takes=loss)), "alfa at cell L1")


async def test_what_was_asked_for_by_another_step_too_is_carried_out() -> None:
    bench = bench_with(locking(None), asks=(("alfa", INTERRUPT), ("beta", REDUCE)))
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    alone = PlaybookBench(QUIET, Registry({**SHIPPED, "quiet": locking(None)}), asks=())
    alone.clock.pause(5)
    assert (await alone.work()).outcome is Outcome.SUCCEEDED, "the cells are the host's alone"


async def test_an_undo_that_locks_is_refused_likewise() -> None:
    opens = (
        "  - {name: open, action: unlock-cell, with: {cells: ['L1']}, undo: {action: quiet, with: {cells: ['L1']}}}\n"
    )
    fails = "  - {name: fail, action: read-state, checks: ['{{ output.cells_on_air > 90 }}']}\n"
    for made, locked in ((locking(None), False), (locking(INTERRUPT), True)):
        bench = bench_with(made, opens + fails, HARMLESS)
        (cell,) = [entry.path for entry in cells(bench.device.running) if entry.cell == "L1"]
        running = cast("dict[str, Any]", bench.device.running)
        running[cell] = {**running[cell], "administrativeState": "LOCKED"}
        job = await bench.work()
        assert (administrative_state(bench.device.running, cell) == "LOCKED") is locked
        assert ("action quiet (consent=None) would interrupt alfa at cell L1" in job.detail) is not locked


@pytest.mark.parametrize("consent", [*CLASSES, INTERRUPT])
async def test_a_dry_run_says_so_before(consent: ActionClass | None) -> None:
    found = await preview(LOOK + QUIET, actions=Registry({**SHIPPED, "quiet": locking(consent)}), theirs=THEIRS)
    assert found[-1].fails is (consent is not INTERRUPT)
    said = f"would fail: action quiet (consent={consent or None}) would interrupt alfa at cell L1"
    assert (said in found[-1].says) is (consent is not INTERRUPT)
