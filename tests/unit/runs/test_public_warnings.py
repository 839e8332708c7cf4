"""Public warnings: while one runs, nothing in its area takes cells off the air, and everything else goes on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from controller.drivers.fake import Fault
from controller.models.approval import Freeze, Override, RunConstraints, StationConstraints
from controller.models.equipment import Operation, OperationKind
from controller.models.people import Role
from controller.models.run import JournalStep, Outcome, RunState
from controller.models.waiting import codes_of, ways
from controller.playbook.actions.shipped import registry
from controller.playbook.language.registry import Context, DeviceAccess, Proposal, Registry, action
from controller.runs.approval.clearance import clearances, reassess
from controller.runs.approval.consent import RunOccasion, effect_of, run_constraints
from controller.store import NewJob, Page
from tests.support.callers import admit
from tests.support.launch import prepared
from tests.unit.plan import samples
from tests.unit.playbook.test_groups import NOT_B, group_of, locks
from tests.unit.playbook.test_takeover import LOCK, PlaybookBench, Rests
from tests.unit.playbook.test_undoing import Nothing
from tests.unit.playbook.test_waiting import ASK, to_the_end
from tests.unit.runs.group_bench import Mortal, kills
from tests.unit.runs.test_clearance import CONSTRAINTS, FREE, NOW, blocked, freeze
from tests.unit.runs.test_consent import THREE, TWO, change, retuned
from tests.unit.runs.test_window_closes import ALONE, TwoStations
from tests.unit.runs.transaction_bench import Killed

#: Of both groups of stations, only those of the first interrupt service.
INTERRUPTING = replace(
    FREE,
    constraints=CONSTRAINTS.model_copy(
        update={
            "groups": tuple(
                group.model_copy(update={"interrupts": group.region == "cusco", "windows": ()})
                for group in CONSTRAINTS.groups
            )
        }
    ),
)


def warning(target: str, hours: int = 3) -> Freeze:
    return freeze(target, 0, hours).model_copy(update={"warning": "tsunami-17", "reason": "Tsunami"})


@pytest.mark.parametrize(
    ("target", "binds"),
    [("network", "A"), ("region:cusco", "A"), ("site:a", "A"), ("site:b", ""), ("region:puno", ""), ("site:c", "")],
)
def test_a_warning_binds_what_interrupts_service_in_its_area(target: str, binds: str) -> None:
    standing = replace(INTERRUPTING, freezes=(warning(target),))
    found = blocked(standing)
    assert "".join(name for name, why in found.items() if why) == binds
    if binds:
        assert found["A"] == f"public warning tsunami-17 in {target} until 2026-11-29 01:00 (America/Lima): Tsunami"
        assert clearances(standing, NOW)["A"].until == NOW + timedelta(hours=3)
        assert (
            ways(codes_of(clearances(standing, NOW)["A"].reasons))
            == "whoever may lift or override it: minka freeze lift, minka override"
        )


def test_a_warning_binds_a_restart_though_no_tenant_is_served_there() -> None:
    groups = tuple(
        group.model_copy(update={"interrupts": False, "restarts": group.region == "cusco"})
        for group in INTERRUPTING.constraints.groups
    )
    constraints = INTERRUPTING.constraints.model_copy(update={"groups": groups})
    standing = replace(INTERRUPTING, constraints=constraints, freezes=(warning("network"),))
    assert [name for name, why in blocked(standing).items() if why] == ["A"]


def test_a_warning_ends_by_itself_and_is_overridden_as_a_freeze_is() -> None:
    standing = replace(INTERRUPTING, freezes=(warning("network"), warning("site:a")))
    assert blocked(standing, NOW + timedelta(hours=3)) == {"A": "", "B": ""}
    assert blocked(replace(standing, override=Override(run="r", by="eva", reason="INC-7", at=NOW))) == {
        "A": "",
        "B": "",
    }


def test_a_freeze_of_a_site_binds_whatever_is_done_there() -> None:
    assert [bool(why) for why in blocked(replace(INTERRUPTING, freezes=(freeze("site:b"),))).values()] == [False, True]


def test_what_locks_cells_interrupts_and_what_only_adds_a_tenant_does_not() -> None:
    def interrupts(*changes: object) -> set[bool]:
        effects = [effect_of(one) for one in changes]  # type: ignore[arg-type]
        return {group.interrupts for group in run_constraints(THREE, effects, RunOccasion("s", samples.NOW)).groups}

    assert interrupts(change(TWO, THREE)) == {False}
    assert interrupts(change(THREE, retuned(THREE))) == {True}


# ------------------------------------------------------------------- jobs under way


def warn(bench: PlaybookBench, *targets: str, hours: float = 2) -> datetime:
    now = bench.clock.now()
    ends = now + timedelta(hours=hours)
    bench.store.freezes.warn("tsunami-17", targets, now, ends, "cbe", "Tsunami")
    return ends


@pytest.mark.parametrize("target", ["network", "region:r", "site:site-1"])
async def test_a_job_under_way_locks_no_cell_while_a_warning_runs(target: str) -> None:
    bench = PlaybookBench(ASK + LOCK)
    with pytest.raises(Rests, match="waits for an answer"):
        await bench.work()
    warn(bench, target)
    bench.store.questions.answer(bench.run, "yes", actor="eva")
    for _ in range(3):
        with pytest.raises(Rests, match=f"public warning tsunami-17 in {target}: Tsunami"):
            await bench.work()
        assert bench.lock == "UNLOCKED"
        bench.clock.pause(61)
    bench.clock.pause(2 * 3600)
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "LOCKED")


@pytest.mark.parametrize(
    ("operations", "waits"),
    [
        ((OperationKind.DOWNLOAD, OperationKind.INSTALL, OperationKind.ACTIVATE), False),
        ((OperationKind.ACTIVATE, OperationKind.RESET), True),
        ((OperationKind.RESET_UNIT,), True),
    ],
)
async def test_an_operation_that_restarts_something_waits_and_no_other(
    operations: tuple[OperationKind, ...], waits: bool
) -> None:
    @action("operations", DeviceAccess.CHANGES)
    async def ask(_context: Context, _given: Nothing) -> Proposal[Nothing]:
        """Ask for these."""
        return Proposal(None, Nothing(), tuple(Operation(kind=kind, since=NOW, seconds=1) for kind in operations))

    bench = PlaybookBench(
        "  - {name: ask, action: operations, with: {}}\n", Registry({**registry().actions, "operations": ask})
    )
    warn(bench, "network")
    if waits:
        with pytest.raises(Rests, match="public warning"):
            await bench.work()
        assert bench.journal() == []
    else:
        await bench.work()
        assert bench.journal() != []


async def test_an_all_clear_lets_it_go_on_and_an_override_does_not_wait() -> None:
    for calm in (True, False):
        bench = PlaybookBench(ASK + LOCK, bound=True)
        admit(bench.store, "t", "eva", Role.APPROVER)
        with pytest.raises(Rests):
            await bench.work()
        warn(bench, "network")
        bench.store.questions.answer(bench.run, "yes", actor="eva")
        with pytest.raises(Rests, match="public warning"):
            await bench.work()
        if calm:
            bench.store.freezes.end_warning("tsunami-17", "cbe")
        else:
            bench.store.approvals.override(bench.run, "eva", "INC-7")
        bench.clock.pause(61)
        bench.settled(await bench.work(), Outcome.SUCCEEDED, "LOCKED")


async def test_a_warning_elsewhere_keeps_nobody() -> None:
    bench = PlaybookBench(LOCK)
    warn(bench, "site:site-2", "region:elsewhere")
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "LOCKED")


# ----------------------------------------------------------------- waves, last moments


class Interrupting(TwoStations):
    """Two stations whose cells are locked, one wave each."""

    def submit_locking(self) -> str:
        group = StationConstraints(region="r", timezone="America/Lima", tenants=("gamma",), interrupts=True)
        constraints = RunConstraints(subject="s", groups=(group,), stations={"S1": ("site-1", 0), "S2": ("site-2", 0)})
        jobs = (NewJob(0, "S1"), NewJob(1, "S2"))
        run = self.store.runs.create(prepared(self.made, "apply", ALONE, jobs, actor="ana", constraints=constraints))
        return run.id

    def warn(self, *targets: str) -> None:
        now = self.clock.now()
        self.store.freezes.warn("tsunami-17", targets, now, now + timedelta(seconds=200), "cbe", "Tsunami")
        reassess(self.store, self.clock, self.wakeups)


async def test_a_wave_that_runs_ends_and_no_other_is_begun_until_the_warning_is_over() -> None:
    bench = Interrupting()
    async with bench.working(bench.worker()):
        run = bench.submit_locking()
        await bench.advance(30)
        assert bench.jobs(run)[0].outcome is Outcome.SUCCEEDED
        bench.warn("region:r")
        await bench.advance(100)
        second = bench.jobs(run)[1]
        assert (second.outcome, second.attempts) == (None, 0)
        assert second.blocked.startswith("public warning tsunami-17 in region:r until")
        assert bench.carried() == [True, False]
        await bench.advance(150)
        assert bench.store.runs.get(run).state is RunState.SUCCEEDED
    assert bench.carried() == [True, True]
    bench.store.close()


async def test_a_warning_that_comes_just_before_the_first_edit_keeps_the_station_as_it_is() -> None:
    bench = Interrupting()
    bench.devices["S1"].faults.append(Fault("read", None, lambda: bench.warn("site:site-1")))
    async with bench.working(bench.worker()):
        run = bench.submit_locking()
        await bench.advance(40)
        first = bench.jobs(run)[0]
        assert first.blocked.startswith("public warning tsunami-17 in site:site-1")
        assert not any(step.step is JournalStep.COMMITTING for step in bench.store.journal.find(f"{first.id}.1"))
        assert bench.carried() == [False, False]
        assert len(bench.devices["S1"].history) == 1
    bench.store.close()


# ------------------------------------------------------------ between a lock and its unlock

UNLOCK = "  - {name: unlock, action: unlock-cell, with: {cells: ['L1']}}\n"
OTHER = "  - {name: other, action: lock-cell, with: {cells: ['N1']}}\n"


async def between(steps: str) -> PlaybookBench:
    """A job whose step before an interrupting one is over when a warning comes."""
    bench = PlaybookBench(steps)
    with pytest.raises(Rests, match="waits for an answer"):
        await bench.work()
    warn(bench, "network")
    bench.store.questions.answer(bench.run, "yes", actor="eva")
    return bench


async def test_a_warning_keeps_no_cell_off_the_air_that_the_run_locked() -> None:
    bench = await between(LOCK + ASK + OTHER + UNLOCK)
    assert bench.lock == "LOCKED"
    with pytest.raises(Rests, match="public warning"):  # it begins again, and its first step waits
        await bench.work()
    assert bench.lock == "UNLOCKED"
    assert [row.name for row in bench.rows()] == ["lock"]
    assert not bench.device.pending
    _, rows = bench.store.audit.page(Page(limit=1000))
    (back,) = [row for row in rows if row.action == "job.postponed"]
    assert back.detail["detail"] == (
        "step 'other': public warning tsunami-17 in network: Tsunami; until then, cell L1 may not stay off the "
        "air; what was done before was undone"
    )
    bench.store.freezes.end_warning("tsunami-17", "cbe")
    bench.clock.pause(61)
    job = await to_the_end(bench)
    assert (job.outcome, bench.lock) == (Outcome.SUCCEEDED, "UNLOCKED")


async def test_a_warning_lets_a_run_unlock() -> None:
    bench = await between(LOCK + ASK + UNLOCK)
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "UNLOCKED")


async def test_a_job_that_keeps_nothing_off_the_air_waits_and_is_not_taken_back() -> None:
    bench = await between(LOCK + UNLOCK + ASK + OTHER)
    for _ in range(2):
        with pytest.raises(Rests, match="public warning"):
            await bench.work()
        assert [row.name for row in bench.rows()] == ["lock", "unlock", "ask", "other"]
        bench.clock.pause(61)


@pytest.mark.parametrize("steps", [ASK + LOCK, UNLOCK + ASK + LOCK, LOCK + UNLOCK + ASK + OTHER])
async def test_a_cancel_ends_the_wait_for_the_end_of_a_warning_at_once(steps: str) -> None:
    bench = await between(steps)
    with pytest.raises(Rests, match="public warning"):
        await bench.work()
    bench.store.runs.cancel(bench.run, "eva")
    before = bench.clock.now()
    job = await bench.work()
    assert bench.clock.now() - before < timedelta(seconds=60)  # the next look at the warning
    assert "cancelled by a person" in job.detail
    await bench.group.shift(Mortal())
    assert bench.group.state() is RunState.CANCELLED
    bench.settled(job, Outcome.WITHDRAWN if steps.startswith("  - {name: lock") else Outcome.CANCELLED, "UNLOCKED")
    bench.store.freezes.end_warning("tsunami-17", "cbe")
    bench.clock.pause(61)
    assert bench.group.state() is RunState.CANCELLED


async def test_a_worker_that_dies_while_it_takes_the_lock_back_leaves_nothing_off_the_air() -> None:
    async def play(life: Mortal) -> PlaybookBench:
        bench = await between(LOCK + ASK + OTHER + UNLOCK)
        with pytest.raises(Rests if not life.at else (Rests, Killed)):
            await bench.work(life)
        return bench

    played = await kills(play)
    for death in played:
        bench = await play(death)
        with suppress(Rests):
            await bench.work()
        assert bench.lock == "UNLOCKED"
        assert [row.name for row in bench.rows()] == ["lock"]
        bench.store.freezes.end_warning("tsunami-17", "cbe")
        bench.settled(await to_the_end(bench), Outcome.SUCCEEDED, "UNLOCKED")
    assert len(played) > 8


async def test_who_waits_for_the_end_of_a_warning_is_cancelled_with_its_group() -> None:
    bench = group_of(NOT_B + LOCK)
    now = bench.clock.now()
    bench.store.freezes.warn("tsunami-17", ["network"], now, now + timedelta(days=1), "cbe", "Tsunami")
    await bench.work()
    assert bench.clock.now() < now + timedelta(hours=1)
    assert bench.outcomes() == {"A": Outcome.WITHDRAWN, "B": Outcome.FAILED_SAFE}
    assert locks(bench) == {"A": "UNLOCKED", "B": "UNLOCKED"}
