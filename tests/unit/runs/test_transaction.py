"""One job, step by step, and everything that goes wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from controller.drivers.fake import (
    RUNNING_ONLY,
    SAFE,
    FakeEquippedSession,
    FakeGuardedSession,
    FakeSession,
    FakeStationSession,
    Fault,
    FaultKind,
)
from controller.drivers.protocols import Capabilities
from controller.models.alarm import DIVERGED, ActiveAlarm, PerceivedSeverity
from controller.models.errors import DeviceRefusedError
from controller.models.plan import Edit, Op
from controller.models.run import JournalStep, Outcome, Strategy
from controller.nrm.profiles import root_spec
from controller.nrm.schema import spec_of
from tests.unit.plan import samples
from tests.unit.plan.samples import LTE_CELL, NR_CELL
from tests.unit.plan.test_station import EXTERNAL_GNB, LISTED, NR_NETWORK
from tests.unit.runs.transaction_bench import (
    QUICK,
    STARTING,
    STATION,
    UNSAFE,
    Interrupter,
    Killed,
    Scenario,
    TransactionBench,
    add_tenant,
    retune,
)

#: Somebody else changes the identity of the cell that the plan works on.
FOREIGN = (Edit(op=Op.MERGE, path=LTE_CELL, before={"pci": "1"}, after={"pci": "99"}, owners=("host",)),)


# ------------------------------------------------------------------- as it should be


@pytest.mark.parametrize("scenario", [add_tenant(), retune()], ids=["one-phase", "three-phases"])
async def test_success(scenario: Scenario) -> None:
    bench = TransactionBench(scenario)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert result.applied
    assert bench.changes == len(scenario.change.phases)
    phases = [JournalStep.EDITING, JournalStep.COMMITTING, JournalStep.PREPARED] * len(scenario.change.phases)
    assert bench.steps == [
        JournalStep.OPENED,
        JournalStep.LOCKED,
        JournalStep.READ,
        *phases,
        JournalStep.CONFIRMING,
        JournalStep.FINISHED,
    ]
    bench.assert_settled(result)


async def test_the_journal_names_token_deadline_and_session_before_the_act() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    seen: list[tuple[JournalStep, str]] = []
    for operation in ("lock", "commit_confirmed", "confirm"):
        bench.act(operation, lambda: seen.append((bench.journal[-1].step, bench.journal[-1].persist)))
    await bench.work()
    token = f"minka-{bench.journal[0].transaction}-1"
    assert seen == [(JournalStep.OPENED, ""), (JournalStep.COMMITTING, token), (JournalStep.CONFIRMING, token)]
    committing = next(row for row in bench.journal if row.step is JournalStep.COMMITTING)
    assert committing.deadline is not None
    assert (committing.deadline - bench.journal[0].at).total_seconds() == pytest.approx(60, abs=1)
    assert bench.journal[0].session


async def test_one_deadline_for_all_phases() -> None:
    """Follow-up commits shorten the timer by what has passed; nothing extends it."""
    bench = TransactionBench(retune(), QUICK)
    bench.device.latency = 0.7
    deadlines: list[float] = []

    def note() -> None:
        if bench.device._pending is not None:
            deadlines.append(bench.device._pending.deadline)

    bench.device.faults.append(Fault("read", act=note, times=99))
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    assert len(set(deadlines)) > 1
    # A timer is a number of whole seconds.
    assert max(deadlines) <= deadlines[0] + 1


@pytest.mark.parametrize("scenario", [add_tenant(UNSAFE), retune(UNSAFE), retune(RUNNING_ONLY)])
async def test_success_with_the_stored_inverse(scenario: Scenario) -> None:
    bench = TransactionBench(scenario, QUICK)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert JournalStep.CONFIRMING not in bench.steps
    if scenario.capabilities.startup:
        assert bench.device.startup == scenario.after
    bench.assert_settled(result)


@pytest.mark.parametrize("kind", [FakeSession, FakeEquippedSession, FakeGuardedSession])
async def test_a_kind_without_locks_has_the_lease_and_is_asked_for_nothing_that_it_has_not(
    kind: type[FakeSession],
) -> None:
    rows = []
    for sessions_of in (FakeStationSession, kind):
        bench = TransactionBench(retune(RUNNING_ONLY), QUICK)
        bench.device.sessions_of = sessions_of
        result = await bench.work()
        assert result.outcome is Outcome.SUCCEEDED
        bench.assert_settled(result)
        rows.append([(row.step, row.phase, bool(row.session)) for row in bench.journal])
    asked = {line.partition(" ")[2] for line in bench.device.log}
    assert asked == {"discard", "read", "edit", "commit"} | ({"copy_to_startup"} & set(dir(kind)))
    # The record goes the same way, and names no session by which others could be locked out.
    named, unnamed = rows
    assert [row[:2] for row in named] == [row[:2] for row in unnamed]
    assert {step for step, _, session in named if session} == {JournalStep.OPENED, JournalStep.LOCKED}
    assert not any(session for _, _, session in unnamed)


async def test_a_kind_that_takes_nothing_back_by_itself_is_edited_by_no_job_that_relies_on_it() -> None:
    """Whatever it claims to be capable of."""
    bench = TransactionBench(add_tenant(SAFE), QUICK)
    bench.device.sessions_of = FakeSession
    result = await bench.work()
    assert result.outcome is Outcome.FAILED_SAFE
    assert "the device has no confirmed commit" in result.detail
    assert not any("edit" in line for line in bench.device.log)
    bench.assert_settled(result)


async def test_a_release_that_is_not_trusted_runs_with_the_stored_inverse() -> None:
    bench = TransactionBench(add_tenant(replace(SAFE, trustworthy=False)), QUICK)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    assert not any("commit_confirmed" in line for line in bench.device.log)


async def test_unchanged_and_adopted_into_the_ledger() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.device.history.append(dict(bench.scenario.after))
    result = await bench.work()
    assert result.outcome is Outcome.UNCHANGED
    assert bench.changes == 1
    bench.assert_settled(result)


# ---------------------------------------------------------------- what is refused


async def test_a_stale_fingerprint_is_refused_before_any_edit() -> None:
    bench = TransactionBench(retune(), QUICK)
    bench.device.foreign_edit(FOREIGN)
    result = await bench.work()
    assert result.outcome is Outcome.REFUSED
    assert "make a new plan" in result.detail
    assert not any(" edit" in line for line in bench.device.log)
    assert not bench.device.lock_holder


async def test_a_change_elsewhere_stales_nothing() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.device.foreign_edit(FOREIGN)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("skip", [0, 1, 2])
async def test_a_refused_edit_leaves_the_station_as_it_was(skip: int) -> None:
    bench = TransactionBench(retune(), QUICK)
    bench.fault("edit", FaultKind.REFUSE, skip=skip)
    result = await bench.work()
    assert result.outcome is (Outcome.ROLLED_BACK if skip else Outcome.FAILED_SAFE)
    assert "refuses edit" in result.detail
    bench.assert_settled(result)


@pytest.mark.parametrize("skip", [0, 1, 2])
async def test_a_refused_commit_leaves_the_station_as_it_was(skip: int) -> None:
    bench = TransactionBench(retune(), QUICK)
    bench.fault("commit_confirmed", FaultKind.REFUSE, skip=skip)
    result = await bench.work()
    assert result.outcome is (Outcome.ROLLED_BACK if skip else Outcome.FAILED_SAFE)
    bench.assert_settled(result)


@pytest.mark.parametrize("operation", ["discard", "read", "lock"])
async def test_a_station_that_refuses_to_begin(operation: str) -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.fault(operation, FaultKind.REFUSE)
    result = await bench.work()
    assert result.outcome is Outcome.FAILED_SAFE
    bench.assert_settled(result)


@pytest.mark.parametrize("operation", ["unlock", "copy_to_startup"])
async def test_what_is_refused_after_the_confirm_changes_no_outcome(operation: str) -> None:
    bench = TransactionBench(add_tenant(STARTING), QUICK)
    bench.fault(operation, FaultKind.REFUSE)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert ("restart" in result.detail) is (operation == "copy_to_startup")
    bench.assert_settled(result)


# ------------------------------------------------------------------------- lies


async def test_an_ok_to_a_commit_that_did_nothing() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.fault("commit_confirmed", FaultKind.LIE)
    result = await bench.work()
    assert result.outcome is Outcome.FAILED_SAFE
    assert "answered ok and carries nothing of it" in result.detail
    bench.assert_settled(result)


async def test_an_ok_to_an_edit_that_did_nothing() -> None:
    bench = TransactionBench(retune(), QUICK)
    bench.fault("edit", FaultKind.LIE, skip=1)
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    bench.assert_settled(result)


BETA_SHARE = f"{LTE_CELL}/plmnRadioShareList[716,02]"
#: A policy of a tenant that the change does not concern, and a link of it.
BETA_POLICY = f"{NR_CELL}/RRMPolicyRatio[beta-prb]"
BETA_LINK = "/ManagedElement[S1]/GNBCUCPFunction[1]/EP_NgC[beta-amf]"


def also(bench: TransactionBench, path: str, edit: Edit | None = None, **leaves: str) -> None:
    """With the commit, the server changes something beside it: before the read that follows it."""
    before = {leaf: value for leaf, value in bench.device.running.get(path, {}).items() if leaf in leaves}
    merge = Edit(op=Op.MERGE, path=path, before=before, after=leaves, owners=("host",))

    def act() -> None:
        bench.device.foreign_edit([edit or merge])
        bench.device.candidate = dict(bench.device.running)

    bench.device.faults.append(Fault("read", act=act, skip=1))


@pytest.mark.parametrize(
    ("path", "leaf", "value"),
    [
        (BETA_SHARE, "maxRatio", "50"),
        (BETA_POLICY, "rRMPolicyMaxRatio", "50"),
        (BETA_LINK, "remoteAddress", "10.9.9.9"),
        (LTE_CELL, "pci", "318"),
        (LTE_CELL, "tac", "1"),
        (NR_CELL, "nRPCI", "318"),
    ],
)
async def test_a_commit_that_also_changes_the_service_of_others_is_taken_back(path: str, leaf: str, value: str) -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    was = bench.device.running[path][leaf]
    also(bench, path, None, **{leaf: value})
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result.detail
    assert f"{path} {leaf}: {value} instead of {was}" in result.detail
    assert JournalStep.CONFIRMING not in bench.steps
    bench.assert_settled(result)


@pytest.mark.parametrize(
    "path", [f"{LTE_CELL}/plmnIdList[716,77]", f"{BETA_POLICY}/rRMPolicyMemberList[716,77,000001,1]"]
)
async def test_a_commit_that_brings_a_stranger_with_it_is_taken_back(path: str) -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    also(bench, path, Edit(op=Op.CREATE, path=path, owners=("host",)))
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result.detail
    assert f"{path}: unexpected" in result.detail
    bench.assert_settled(result)


async def test_service_of_others_that_stays_changed_is_told_to_its_tenants() -> None:
    """The cancel takes back what was asked for, and not what the server did beside it."""
    bench = TransactionBench(add_tenant(), QUICK)
    also(bench, BETA_SHARE, maxRatio="50")

    def keep() -> None:
        pending = bench.device._pending
        assert pending is not None
        share = {**pending.backup[BETA_SHARE], "maxRatio": "50"}
        pending.backup = {**pending.backup, BETA_SHARE: share}

    bench.act("cancel", keep)
    result = await bench.work()
    assert result.outcome is Outcome.DIVERGED
    assert f"not taken back with it: {BETA_SHARE} maxRatio: 50 instead of 80" in result.detail
    (alarm,) = bench.store.alarms.standing()
    assert (alarm.probable_cause, "beta" in alarm.tenants) == (DIVERGED, True)


async def test_what_is_no_service_and_changes_with_a_commit_is_told_and_takes_nothing_back() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    also(bench, LTE_CELL, referenceSignalPower="10")
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert (
        f"changed beside it, by nobody's plan: {LTE_CELL} referenceSignalPower: 10 instead of nothing" in result.detail
    )


async def test_service_of_others_that_changes_with_the_confirm_is_told() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    edit = Edit(op=Op.MERGE, path=BETA_SHARE, before={"maxRatio": "80"}, after={"maxRatio": "50"}, owners=("host",))
    bench.device.faults.append(Fault("confirm", act=lambda: bench.device.foreign_edit([edit]), skip=1))
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert f"{BETA_SHARE} maxRatio: 50 instead of 80" in result.detail


async def test_a_lock_that_a_person_sets_meanwhile_is_no_service_of_others() -> None:
    spec = spec_of(root_spec(samples.PROFILES), LTE_CELL)
    assert spec is not None
    assert spec.service is not None
    assert {"pci", "tac", "earfcnDl"} <= spec.service
    assert not {"administrativeState", "userLabel", "operationalState"} & spec.service


async def test_a_confirm_that_did_nothing_is_repeated() -> None:
    """Running looks the same before and after a confirm: only a second one tells whether the first counted."""
    bench = TransactionBench(add_tenant(), QUICK)
    bench.fault("confirm", FaultKind.LIE)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    bench.assert_settled(result)


@pytest.mark.parametrize(
    ("said", "waits"),
    [
        ({"tag": "invalid-value"}, False),
        ({"tag": "operation-failed", "node": "persist-id"}, False),  # netconfd's words
        ({"tag": "operation-failed", "node": "commit"}, True),
        ({"tag": "operation-failed"}, True),
    ],
)
async def test_after_a_takeover_a_refusal_of_the_token_ends_the_job_at_once(
    said: dict[str, str], waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dead worker's confirm took effect, so that the next worker's is the second one."""
    first, calls = TransactionBench(add_tenant(), QUICK), Interrupter()
    await first.transaction(first.claim(), calls).run()
    bench = TransactionBench(add_tenant(), QUICK)
    claim = bench.claim()
    with pytest.raises(Killed):
        await bench.transaction(claim, Interrupter(calls.calls.index("confirm") + 1, after=True)).run()
    assert bench.device.pending == ""
    bench.declare_dead(claim)

    def refused(_session: str, _persist: str) -> None:
        raise DeviceRefusedError("persistent confirmed commit not active", **said)

    monkeypatch.setattr(bench.device, "confirm", refused)
    started = bench.clock.monotonic()
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert (bench.clock.monotonic() - started > 50) is waits


async def test_a_station_that_never_confirms_is_read_after_its_timer() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.fault("confirm", FaultKind.LIE, times=10)
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    bench.assert_settled(result)


async def test_a_cancel_that_did_nothing_is_repeated() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.break_link()
    bench.fault("cancel", FaultKind.LIE)
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    bench.assert_settled(result)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (FaultKind.LIE, "answers ok to the cancel and still carries the change"),
        (FaultKind.REFUSE, "refused the cancel (operation-failed: S1 refuses cancel) and still carries the change"),
    ],
)
async def test_a_station_that_never_cancels_is_left_to_its_timer_as_people_are_told(wrong: FaultKind, why: str) -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.break_link()
    bench.fault("cancel", wrong, times=10)
    started = bench.clock.monotonic()
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert 55 < bench.clock.monotonic() - started < 70
    assert f"; S1 {why}: its own timer takes it back by 20" in result.detail
    told = [row.detail for row in bench.journal if row.step is JournalStep.CANCELLING]
    assert told[-1] == result.detail
    assert told[0] == result.detail.partition("; S1 ")[0]
    bench.assert_settled(result)


async def test_an_inverse_that_did_nothing_ends_diverged() -> None:
    bench = TransactionBench(add_tenant(UNSAFE), QUICK)
    bench.break_link()
    bench.fault("commit", FaultKind.LIE, skip=1)
    result = await bench.work()
    assert result.outcome is Outcome.DIVERGED
    assert "could not be brought back" in result.detail
    assert not result.gained


async def test_an_inverse_that_is_refused_ends_diverged() -> None:
    bench = TransactionBench(add_tenant(UNSAFE), QUICK)
    bench.break_link()
    bench.fault("edit", FaultKind.REFUSE, skip=1)
    result = await bench.work()
    assert result.outcome is Outcome.DIVERGED
    assert "refused" in result.detail


# ------------------------------------------------------------ others at the device


def _lock_running(bench: TransactionBench) -> None:
    """Somebody else locks running alone: the candidate can be locked and edited, and nothing can be committed."""
    bench.device.running_lock = "77"


def _begin_a_commit(bench: TransactionBench) -> None:
    """Somebody else has a confirmed commit pending for longer than we try."""
    bench.device.commit_confirmed(bench.device.open(), "theirs", 600)


@pytest.mark.parametrize("capabilities", [SAFE, UNSAFE], ids=["timer", "stored-inverse"])
@pytest.mark.parametrize(
    ("keeps_out", "said"), [(_lock_running, "session 77 holds running"), (_begin_a_commit, "in-use: a confirmed")]
)
async def test_a_station_on_which_others_keep_us_from_committing_is_deferred(
    keeps_out: Callable[[TransactionBench], None], said: str, capabilities: Capabilities
) -> None:
    bench = TransactionBench(add_tenant(capabilities), QUICK)
    bench.device.capabilities = SAFE
    keeps_out(bench)
    bench.device.capabilities = capabilities
    before = bench.device.running
    result = await bench.work()
    assert result.outcome is Outcome.DEFERRED
    assert said in result.detail
    assert bench.device.running == before
    assert bench.device.candidate == before
    assert not any((result.applied, result.gained, result.lost))


async def test_a_lock_of_running_that_ends_soon_is_waited_for() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    _lock_running(bench)
    bench.device.faults.append(Fault("commit_confirmed", act=lambda: setattr(bench.device, "running_lock", ""), skip=1))
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    bench.assert_settled(result)


async def test_a_refusal_after_others_kept_us_out_is_what_ends_the_job() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    _lock_running(bench)
    bench.device.faults.append(Fault("edit", act=lambda: setattr(bench.device, "running_lock", ""), skip=1, times=1))
    bench.fault("commit_confirmed", FaultKind.REFUSE, skip=1)
    result = await bench.work()
    assert result.outcome is Outcome.FAILED_SAFE
    assert "refuses commit_confirmed" in result.detail
    bench.assert_settled(result)


async def test_a_lock_of_running_that_keeps_us_from_taking_back_is_outlived_by_the_timer() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.break_link()
    bench.device.faults.append(Fault("cancel", act=lambda: _lock_running(bench)))
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "session 77 holds running" in result.detail
    bench.assert_settled(result)


# ------------------------------------------------------------ the confirm window


async def test_a_restart_in_the_window_fails_the_job() -> None:
    """Fault 6: the old configuration is seen, and what made a station restart is not sent again."""
    bench = TransactionBench(add_tenant(), QUICK)
    bench.device.on_air_after = 0.05
    bench.device.faults.append(Fault("read", act=bench.device.reboot, skip=2))
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "restart" in result.detail
    assert bench.changes == 2
    bench.assert_settled(result)


async def test_a_station_that_drops_the_commit_silently() -> None:
    """Its timer is wrong: it reverts early, and keeps the session."""
    bench = TransactionBench(add_tenant(), QUICK)
    bench.device.on_air_after = 0.05

    def revert() -> None:
        assert bench.device._pending is not None
        bench.device._pending.deadline = 0

    bench.device.faults.append(Fault("read", act=revert, skip=2))
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    bench.assert_settled(result)


async def test_a_foreign_edit_before_the_confirm_is_named_and_takes_all_back() -> None:
    bench = TransactionBench(retune(), QUICK)
    bench.device.on_air_after = 0.05
    edit = (Edit(op=Op.MERGE, path=LTE_CELL, before={"pci": "7"}, after={"pci": "99"}, owners=("host",)),)
    # After the last phase: reads are 1 begin, 2 lock, 3 edit, 4 unlock, 5 on air again, the last before the confirm.
    bench.device.faults.append(Fault("read", act=lambda: bench.device.foreign_edit(edit), skip=4))
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "99" in result.detail
    assert "pci" in result.detail
    assert JournalStep.CONFIRMING not in bench.steps
    bench.assert_settled(result)


async def test_too_little_time_left_takes_back() -> None:
    bench = TransactionBench(add_tenant(), Strategy(check_timeout=100, confirm_timeout=20))
    bench.device.on_air_after = 17
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "left to confirm" in result.detail
    bench.assert_settled(result)


async def test_checks_that_outlast_the_timer() -> None:
    bench = TransactionBench(add_tenant(), Strategy(check_timeout=100, confirm_timeout=20))
    bench.break_link()
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    bench.assert_settled(result)


@pytest.mark.parametrize("scenario", [add_tenant(), add_tenant(UNSAFE)], ids=["confirmed", "inverse"])
async def test_failing_checks_take_back_and_say_what_failed(scenario: Scenario) -> None:
    bench = TransactionBench(scenario, QUICK)
    bench.break_link()
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "link-up" in result.detail
    assert "gamma" in result.detail
    bench.assert_settled(result)


@pytest.mark.parametrize("taken_over", [False, True])
async def test_links_that_were_down_before_are_not_this_change_s_fault(taken_over: bool) -> None:
    bench = TransactionBench(retune(), QUICK)
    bench.device.broken_links = _links_of_alfa(bench)
    if taken_over:
        bench.fault("read", FaultKind.DROP_BEFORE, skip=7)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert bench.steps.count(JournalStep.READ) == 1
    bench.assert_settled(result)


VSWR = ActiveAlarm("9", "ru-1", PerceivedSeverity.MAJOR, "VSWR above limit")


@pytest.mark.parametrize("scenario", [add_tenant(), add_tenant(UNSAFE)], ids=["confirmed", "inverse"])
async def test_a_new_alarm_takes_back_and_is_named(scenario: Scenario) -> None:
    bench = TransactionBench(scenario, QUICK)
    bench.act(
        "commit_confirmed" if scenario.capabilities.safe_commit else "edit", lambda: bench.device.alarms.append(VSWR)
    )
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "alarm 9 ru-1: VSWR above limit" in result.detail
    bench.assert_settled(result)


@pytest.mark.parametrize("taken_over", [False, True])
async def test_alarms_that_stood_before_are_not_this_change_s_fault(taken_over: bool) -> None:
    bench = TransactionBench(retune(), QUICK)
    bench.device.alarms.append(VSWR)
    if taken_over:
        bench.fault("read", FaultKind.DROP_BEFORE, skip=7)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert bench.steps.count(JournalStep.READ) == 1
    bench.assert_settled(result)


async def test_links_that_an_earlier_attempt_brought_down_are_not_excused() -> None:
    bench = TransactionBench(retune(), QUICK)
    bench.act("commit_confirmed", lambda: bench.device.broken_links.update(_links_of_alfa(bench)))
    bench.fault("commit_confirmed", FaultKind.DROP_AFTER)
    result = await bench.work()
    assert bench.steps.count(JournalStep.READ) == 2
    assert result.outcome is Outcome.ROLLED_BACK
    assert "link-up" in result.detail
    bench.assert_settled(result)


def _links_of_alfa(bench: TransactionBench) -> set[str]:
    found = {path for path in bench.device.running if "EP_S1C[alfa" in path and path.count("/") == 3}
    assert found
    return found


async def test_only_what_was_carried_out_is_taken_back() -> None:
    """The inverse of a phase is for a station that carries the phase."""
    bench = TransactionBench(retune(UNSAFE), QUICK)
    bench.fault("commit", FaultKind.LIE, skip=1)
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert [row.phase for row in bench.journal if row.step is JournalStep.REVERTING] == [0]
    bench.assert_settled(result)


async def test_a_wall_clock_that_is_set_back_extends_no_timer() -> None:
    bench = TransactionBench(retune(), QUICK)
    asked: list[float] = []
    bench.act("commit_confirmed", lambda: setattr(bench.clock, "_start", bench.clock._start - timedelta(hours=1)))
    bench.device.faults.append(
        Fault("read", act=lambda: asked.append(bench.device._pending.deadline - bench.clock.monotonic()), skip=3)  # type: ignore[union-attr]
    )
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert asked
    assert asked[0] <= 60
    bench.clock._start += timedelta(hours=1)


THEIRS = Edit(op=Op.CREATE, path=f"{EXTERNAL_GNB}/ExternalNRCellCU[field]", after={"nRPCI": "7"}, owners=())


def fields_bench() -> TransactionBench:
    """A change that can't stay, on a station that reverts nothing by itself; somebody adds to what it made there."""
    old, new = samples.network(), samples.network(("alfa", "beta", "gamma"), neighbours=LISTED)
    made = samples.plan(new, {STATION: samples.view(old)}, samples.FREELY)
    bench = TransactionBench(Scenario(samples.carrying(old), made, UNSAFE), QUICK)
    bench.break_link()

    def put() -> None:
        if EXTERNAL_GNB in bench.device.running and THEIRS.path not in bench.device.running:
            bench.device.foreign_edit([THEIRS])

    bench.device.faults += [Fault("read", None, put, skip) for skip in range(9)]
    return bench


def assert_spared(bench: TransactionBench) -> None:
    kept = {NR_NETWORK, EXTERNAL_GNB, THEIRS.path}
    assert bench.device.running.keys() - bench.scenario.before.tree.keys() == kept
    assert bench.device.running[THEIRS.path] == {"nRPCI": "7"}


async def test_what_others_put_into_our_containers_survives_the_stored_inverse() -> None:
    """Minka deletes what it made there, and no more than that."""
    bench = fields_bench()
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result.detail
    assert_spared(bench)


async def test_so_it_does_where_the_worker_dies_while_it_takes_the_change_back() -> None:
    first, calls = fields_bench(), Interrupter()
    await first.transaction(first.claim(), calls).run()
    begin = [at for at, name in enumerate(calls.calls) if name == "edit"][-1]
    for at in range(begin, len(calls.calls)):
        bench = fields_bench()
        claim = bench.claim()
        with pytest.raises(Killed):
            await bench.transaction(claim, Interrupter(at, after=True, hung=at % 2 == 0)).run()
        bench.declare_dead(claim)
        result = await bench.work()
        assert result.outcome is Outcome.ROLLED_BACK, (at, calls.calls[at - 1], result.detail)
        assert_spared(bench)
