"""Groups at gates: decided once, confirmed only whole and in time, whatever their members come to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.models.errors import InputError
from controller.models.run import Decision, GateChoice, Job, JobState, Outcome, Policy, Run, RunState, Strategy
from controller.models.waiting import WaitCode, WaitReason
from controller.runs.rollout.group_decisions import LAST, ROUNDS, decisions
from controller.runs.rollout.timers import confirm_budget, timed
from controller.runs.rollout.transitions import decide
from controller.store import NewJob, Transition, decision_for

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOON = NOW + timedelta(seconds=5)
LATER = NOW + timedelta(seconds=100)
HELD = WaitReason(code=WaitCode.HOLD, subject="B", by="rosa", because="on the mast")
SHUT = WaitReason(code=WaitCode.WINDOW, until=LATER)


def run_of(policy: Policy, state: RunState = RunState.RUNNING, **strategy: Any) -> Run:
    return Run(
        id="r", procedure="apply", plan="p", state=state, strategy=Strategy(policy=policy, **strategy), cause="person",
        requested_by="ana", created=NOW, waves=1, started=NOW,
    )  # fmt: skip


def job(station: str, unit: str = "", **values: Any) -> Job:
    known: dict[str, Any] = {"state": JobState.CLAIMED, "attempts": 1, "started": NOW}
    return Job(**{"id": station, "run": "r", "wave": 0, "station": station, "unit": unit or station} | known | values)


def gated(station: str, unit: str = "", until: datetime | None = LATER, **values: Any) -> Job:
    return job(station, unit, gate=0, gate_until=until, **values)


def done(station: str, outcome: Outcome, unit: str = "", **values: Any) -> Job:
    return job(station, unit, state=JobState.DONE, outcome=outcome, **values)


def away(station: str, unit: str = "") -> Job:
    """One that was away, and is tried again in the next round."""
    return job(station, unit, state=JobState.WAITING, attempts=0, started=None, round=1, deferred=NOW)


def said(run: Run, *jobs: Job) -> dict[str, tuple[GateChoice, str]]:
    return {new.unit: (new.choice, new.reason) for new in decisions(run, jobs, NOW)}


def test_a_wave_is_confirmed_when_all_stand_and_not_before() -> None:
    run = run_of(Policy.WAVE)
    assert said(run, gated("A"), job("B")) == {}
    assert said(run, gated("A"), job("B", state=JobState.READY, attempts=0)) == {}
    assert said(run, gated("A"), gated("B")) == {"": (GateChoice.CONFIRM, "2 prepared and verified")}
    assert said(run, gated("A"), done("B", Outcome.UNCHANGED))[""][0] is GateChoice.CONFIRM
    # Whose worker died stands there all the same: its device holds what was verified.
    assert said(run, gated("A", state=JobState.READY), gated("B"))[""][0] is GateChoice.CONFIRM


def test_nothing_is_decided_twice_nor_where_nobody_waits() -> None:
    run = run_of(Policy.WAVE)
    assert said(run, gated("A", choice=GateChoice.CONFIRM), gated("B", choice=GateChoice.CONFIRM)) == {}
    assert said(run, done("A", Outcome.SUCCEEDED), done("B", Outcome.DIVERGED)) == {}
    assert said(run_of(Policy.STATION), gated("A"), gated("B")) == {}


@pytest.mark.parametrize("policy", [Policy.UNIT, Policy.WAVE])
def test_a_member_whose_ok_had_no_effect_cancels_its_group_while_it_waits_for_it(policy: Policy) -> None:
    unit = "U" if policy is Policy.UNIT else ""
    found = said(run_of(policy), gated("A", "U"), job("B", "U", unseen=True))
    assert found == {unit: (GateChoice.CANCEL, "B answered ok without effect")}


@pytest.mark.parametrize("outcome", [o for o in Outcome if not o.good and o is not Outcome.WITHDRAWN])
def test_a_member_that_failed_cancels_its_unit(outcome: Outcome) -> None:
    run = run_of(Policy.UNIT)
    found = said(run, gated("A", "U"), done("B", outcome, "U"), gated("C", "V"))
    assert found == {
        "U": (GateChoice.CANCEL, f"B ended {outcome}"),
        "V": (GateChoice.CONFIRM, "1 prepared and verified"),
    }


@pytest.mark.parametrize("outcome", [o for o in Outcome if not o.good and o is not Outcome.WITHDRAWN])
def test_of_a_wave_only_what_is_away_may_be_missing(outcome: Outcome) -> None:
    found = said(run_of(Policy.WAVE), gated("A"), done("B", outcome), job("C"))
    if outcome is Outcome.DEFERRED:
        assert found == {}
        assert said(run_of(Policy.WAVE), gated("A"), done("B", outcome))[""][0] is GateChoice.CONFIRM
    else:
        assert found == {"": (GateChoice.CANCEL, f"B ended {outcome}")}


def test_a_unit_is_cut_from_its_wave_where_one_of_it_is_away() -> None:
    """A tracking area that changes by half is worse than one that changes tomorrow."""
    run = run_of(Policy.WAVE)
    found = said(run, gated("A", "U"), done("B", Outcome.DEFERRED, "U"), gated("C"), gated("D"))
    assert found == {
        "U": (GateChoice.CANCEL, "B of its unit was deferred"),
        "": (GateChoice.CONFIRM, "2 prepared and verified"),
    }


def test_who_is_tried_again_is_waited_for_by_its_unit_and_by_nobody_else() -> None:
    wave, unit = run_of(Policy.WAVE), run_of(Policy.UNIT)
    assert said(wave, gated("A"), away("B"))[""] == (GateChoice.CONFIRM, "1 prepared and verified")
    assert said(wave, gated("A", "U"), away("B", "U"), gated("C")) == {
        "U": (GateChoice.POSTPONE, "B of its unit was deferred"),
        "": (GateChoice.CONFIRM, "1 prepared and verified"),
    }
    assert said(unit, gated("A", "U"), away("B", "U")) == {"U": (GateChoice.POSTPONE, "B was away")}
    # That is decided once: not for who comes later anyway, nor again for who is on the way back.
    assert said(wave, gated("A", "U", choice=GateChoice.POSTPONE), away("B", "U")) == {}
    # Who is not tried again any more, though it was, failed.
    over = done("B", Outcome.CANCELLED, "U", round=1)
    assert said(wave, gated("A", "U"), over) == {"": (GateChoice.CANCEL, "B ended cancelled")}


def test_what_is_taken_back_already_keeps_nobody_else_from_being_confirmed() -> None:
    run = run_of(Policy.WAVE)
    back = (job("B", "U", choice=GateChoice.CANCEL), done("C", Outcome.DEFERRED, "U"))
    assert said(run, gated("A"), *back) == {"": (GateChoice.CONFIRM, "1 prepared and verified")}


def test_a_timer_that_leaves_too_little_cancels() -> None:
    just = NOW + timedelta(seconds=confirm_budget(1))
    assert said(run_of(Policy.WAVE), gated("A", until=just))[""][0] is GateChoice.CANCEL
    more = just + timedelta(seconds=1)
    assert said(run_of(Policy.WAVE), gated("A", until=more))[""][0] is GateChoice.CONFIRM
    # One that has no timer tells nothing of the others.
    assert said(run_of(Policy.WAVE), gated("A", until=None), gated("B", until=SOON))[""][0] is GateChoice.CANCEL
    for policy in (Policy.UNIT, Policy.WAVE):
        run = run_of(policy)
        (choice, reason) = said(run, gated("A", "U", SOON), gated("B", "U"))["U" if policy is Policy.UNIT else ""]
        assert choice is GateChoice.CANCEL
        assert "timer of A leaves 5 s" in reason
    assert said(run_of(Policy.WAVE), gated("A", until=None), gated("B", until=None))[""][0] is GateChoice.CONFIRM


def test_a_wall_clock_that_was_set_back_makes_no_timer_longer() -> None:
    run = run_of(Policy.WAVE, confirm_timeout=9)
    assert said(run, gated("A", until=LATER))[""][0] is GateChoice.CANCEL


def test_people_cancel_and_windows_postpone_what_is_undecided_and_begun() -> None:
    cancelling = run_of(Policy.WAVE, RunState.CANCELLING)
    assert said(cancelling, gated("A"), gated("B")) == {"": (GateChoice.CANCEL, "cancelled by a person")}
    closed = said(run_of(Policy.WAVE), gated("A", closes=NOW), job("B"))
    assert closed == {"": (GateChoice.POSTPONE, "the window of A closed")}
    unbegun: dict[str, Any] = {"state": JobState.READY, "attempts": 0, "started": None}
    held = said(run_of(Policy.WAVE), gated("A"), job("B", **unbegun, reasons=(HELD,)))
    assert held == {"": (GateChoice.POSTPONE, "B may not be worked on: hold on B by rosa: on the mast")}
    # A hold on what is under way stops nothing half-way.
    assert said(run_of(Policy.WAVE), gated("A", reasons=(HELD,)), job("B")) == {}
    # A window that is still open, and what waits for its turn, stop nothing.
    assert said(run_of(Policy.WAVE), gated("A", closes=LATER), job("B", **unbegun)) == {}
    # What was not begun is cancelled as any job is.
    assert said(cancelling, job("A", **unbegun)) == {}
    # Who rests (for a person's answer, say) was begun all the same: its device is reserved, and may carry something.
    assert said(run_of(Policy.WAVE), job("A", state=JobState.READY, attempts=0, closes=NOW))[""][0] is (
        GateChoice.POSTPONE
    )


def test_what_failed_is_cancelled_although_its_window_closed_as_well() -> None:
    run = run_of(Policy.UNIT)
    found = said(run, done("A", Outcome.ROLLED_BACK, "U"), gated("B", "U", closes=NOW))
    assert found == {"U": (GateChoice.CANCEL, "A ended rolled-back")}
    found = said(run, gated("A", "U", SOON), gated("B", "U", closes=NOW))
    assert found["U"][0] is GateChoice.CANCEL
    cancelling = run_of(Policy.UNIT, RunState.CANCELLING)
    assert said(cancelling, done("A", Outcome.ROLLED_BACK, "U"), gated("B", "U"))["U"][1] == "A ended rolled-back"


def test_what_was_postponed_is_decided_anew_and_not_for_ever() -> None:
    run = run_of(Policy.WAVE)
    (found,) = decisions(run, [gated("A", closes=NOW, round=1), job("B", round=1)], NOW)
    assert (found.choice, found.round) == (GateChoice.POSTPONE, 1)
    (found,) = decisions(run, [gated("A", round=2), gated("B", round=2)], NOW)
    assert (found.choice, found.round) == (GateChoice.CONFIRM, 2)
    (found,) = decisions(run, [gated("A", closes=NOW, round=ROUNDS - 1), job("B", round=ROUNDS - 1)], NOW)
    assert (found.choice, found.reason) == (GateChoice.CANCEL, "the window of A closed; it was begun 5 times")
    (found,) = decisions(run, [gated("A", closes=NOW, round=ROUNDS - 2)], NOW)
    assert found.choice is GateChoice.POSTPONE
    # Who was away is waited for as long as the run's patience lasts, however often the others are begun.
    patient = run_of(Policy.WAVE, patience=60)
    for since, choice in ((NOW, GateChoice.POSTPONE), (NOW - timedelta(seconds=60), GateChoice.CANCEL)):
        (found,) = decisions(patient, [gated("A", closes=NOW, round=ROUNDS, deferred=since)], NOW)
        assert found.choice is choice


def test_none_begins_anew_before_all_of_its_group_are_taken_back() -> None:
    run = run_of(Policy.WAVE)
    back: dict[str, Any] = {"state": JobState.WAITING, "attempts": 0, "started": None, "round": 1}
    going = gated("B", choice=GateChoice.POSTPONE)
    assert decide(run, [job("A", **back), going], NOW) is None
    unbegun = job("C", state=JobState.READY, attempts=0, started=None, choice=GateChoice.POSTPONE)
    moved = decide(run, [job("A", **back), going, unbegun], NOW)
    assert moved == Transition(run.state, postponed=("C",), reason="its unit or wave was postponed")
    # One that has ended meanwhile is waited for no more, and begins nothing either.
    over = [job("A", **back, reasons=(SHUT,)), done("D", Outcome.DEFERRED), job("B", **back)]
    assert decide(run, over, NOW) is None
    moved = decide(run, [job("A", **back), *over[1:]], NOW)
    assert moved is not None
    assert moved.ready == ("A", "B")


def test_all_gates_of_a_playbook_are_passed_together() -> None:
    run = run_of(Policy.WAVE)
    ahead = job("A", gate=3)
    assert said(run, ahead, job("B", gate=1, choice=GateChoice.CONFIRM)) == {}
    (found,) = decisions(run, [ahead, job("B", gate=3)], NOW)
    assert (found.gate, found.choice) == (3, GateChoice.CONFIRM)
    # What takes all back is said at the gate that was reached, and at the first where none was.
    for gates, told in (((1, 3), 3), ((None, None), 0)):
        members = [job(station, gate=gate) for station, gate in zip("AB", gates, strict=True)]
        (found,) = decisions(run, [*members, done("C", Outcome.REFUSED)], NOW)
        assert (found.gate, found.choice) == (told, GateChoice.CANCEL)


def _decision(choice: GateChoice, gate: int = 0, unit: str = "", round: int = 0) -> Decision:
    return Decision(run="r", wave=0, unit=unit, gate=gate, round=round, choice=choice, at=NOW, by="w")


def test_what_a_job_hears_at_its_gate() -> None:
    confirmed, cancelled = _decision(GateChoice.CONFIRM), _decision(GateChoice.CANCEL, 2)
    assert decision_for("U", 0, 0, [confirmed, cancelled]) is confirmed
    assert decision_for("U", 0, 1, [confirmed]) is None
    assert decision_for("U", 0, 1, [confirmed, cancelled]) is cancelled
    assert decision_for("U", 0, None, [confirmed]) is None
    assert decision_for("U", 0, None, [cancelled]) is cancelled
    cut = _decision(GateChoice.CANCEL, unit="U")
    assert decision_for("U", 0, 0, [confirmed, cut]) is cut
    assert decision_for("V", 0, 0, [confirmed, cut]) is confirmed
    # Each round is decided for itself; a unit that was cut from its wave is not begun again with it.
    postponed, again = _decision(GateChoice.POSTPONE), _decision(GateChoice.CONFIRM, round=1)
    assert decision_for("V", 0, None, [postponed, again, cut]) is postponed
    assert decision_for("V", 1, 0, [postponed, again, cut]) is again
    assert decision_for("V", 2, None, [postponed, again, cut]) is None
    assert decision_for("U", 0, 0, [postponed, cut]) is cut
    # Who was away follows in a later round, unless all was cancelled meanwhile.
    assert decision_for("U", 1, 0, [cut, again]) is cut
    assert decision_for("V", 1, None, [_decision(GateChoice.CONFIRM)]) is None


def test_the_timer_grows_with_the_group() -> None:
    assert Strategy().timer() == 120
    jobs = [NewJob(0, f"S{n}", "U" if n < 4 else f"S{n}", 0) for n in range(10)]
    assert timed(Strategy(), jobs) == Strategy()
    assert timed(Strategy(policy=Policy.UNIT), jobs).confirm_timeout == 120
    assert timed(Strategy(policy=Policy.UNIT), []).confirm_timeout == 120
    assert timed(Strategy(policy=Policy.WAVE, parallel=4), jobs).confirm_timeout == 3 * 60 + 60
    ranked = [NewJob(0, "R", "U", 0), NewJob(0, "S", "U", 1)]
    assert timed(Strategy(policy=Policy.UNIT), ranked).confirm_timeout == 2 * 60 + 60
    assert timed(Strategy(policy=Policy.UNIT, patience=60), ranked).confirm_timeout == 4 * 60 + 60
    assert timed(Strategy(policy=Policy.WAVE, confirm_timeout=90), jobs).confirm_timeout == 90
    with pytest.raises(InputError, match=r"10 rounds, and 18360 s .* smaller waves"):
        timed(Strategy(policy=Policy.WAVE, parallel=1, check_timeout=1800), jobs)


def test_a_budget_is_less_than_a_timer() -> None:
    for members in (1, 50, 500, 2500):
        strategy = timed(Strategy(policy=Policy.WAVE), [NewJob(0, f"S{n}") for n in range(members)])
        assert strategy.confirm_timeout is not None
        assert confirm_budget(members) < strategy.confirm_timeout - 60


def test_a_group_is_begun_only_when_all_of_it_may_be() -> None:
    run = run_of(Policy.UNIT)
    waiting: dict[str, Any] = {"state": JobState.WAITING, "attempts": 0, "started": None}
    held = [job("A", "U", **waiting), job("B", "U", reasons=(SHUT,), **waiting)]
    assert decide(run, held, NOW) is None
    moved = decide(run, [*held, job("C", **waiting)], NOW)
    assert moved is not None
    assert moved.ready == ("C",)
    # Each has to be open still; one that closes just now is closed.
    for closes, begins in ((NOW, False), (LATER, True)):
        moved = decide(run, [job("A", "U", **waiting), job("B", "U", closes=closes, **waiting)], NOW)
        assert (moved is not None) is begins
    # Who is done, and may not be worked on any more, keeps nobody from it.
    over = job("C", "U", state=JobState.DONE, outcome=Outcome.UNCHANGED, started=None, reasons=(HELD,))
    free = [job("A", "U", **waiting), job("B", "U", **waiting), over]
    moved = decide(run, free, NOW)
    assert moved is not None
    assert moved.ready == ("A", "B")


def test_only_what_nobody_has_begun_is_put_back() -> None:
    """What was begun takes itself back; of what has ended only who was away is tried again with its group."""
    run = run_of(Policy.WAVE)
    for choice in (GateChoice.CANCEL, GateChoice.POSTPONE):
        unbegun = job("A", state=JobState.WAITING, attempts=0, started=None, choice=choice)
        others = (
            job("B", started=None, choice=choice),
            job("C", state=JobState.READY, choice=choice),
            done("D", Outcome.UNCHANGED, started=None, choice=choice),
            done("E", Outcome.DEFERRED, choice=choice),
        )
        moved = decide(run, [unbegun, *others], NOW)
        assert moved is not None
        assert (moved.withdrawn, moved.postponed) == ((("A",), ()) if choice is GateChoice.CANCEL else ((), ("A", "E")))


def test_a_decision_goes_before_all_else() -> None:
    moved = decide(run_of(Policy.UNIT, RunState.CANCELLING), [gated("A"), gated("B")], NOW)
    assert moved is not None
    assert [(found.unit, found.reason) for found in moved.decisions] == [
        ("A", "cancelled by a person"),
        ("B", "cancelled by a person"),
    ]
    assert moved.reason == "cancelled by a person"


@pytest.mark.parametrize("policy", list(Policy))
def test_a_later_rank_begins_when_all_before_it_are_prepared_or_done(policy: Policy) -> None:
    run = run_of(policy)
    last = job("R", "U", rank=1, state=JobState.WAITING, attempts=0, started=None)
    prepared = {"gate": 0} if policy is not Policy.STATION else {"state": JobState.DONE, "outcome": Outcome.SUCCEEDED}
    for first, begins in ((job("S", "U"), False), (job("S", "U", **prepared), True)):
        # Those of its own rank and of other units tell it nothing.
        beside = (job("T", "U", rank=1), job("O", "V"))
        moved = decide(run, [first, last, *beside], NOW)
        assert (moved is not None and moved.ready == ("R",)) is begins
    # Who goes last waits for all units that are decided with it.
    very_last = last.model_copy(update={"rank": LAST})
    moved = decide(run, [job("S", "U", **prepared), very_last, job("O", "V")], NOW)
    assert (moved is None) is (policy is Policy.WAVE)


def test_alone_a_later_rank_never_begins_after_one_that_failed() -> None:
    run = run_of(Policy.STATION, stop_after=9)
    last = job("R", "U", rank=1, state=JobState.WAITING, attempts=0, started=None)
    for rank, outcome, withdrawn in (
        (0, Outcome.REFUSED, True),
        (0, Outcome.DEFERRED, True),
        (0, Outcome.UNCHANGED, False),
        (1, Outcome.REFUSED, False),
    ):
        moved = decide(run, [job("S", "U", rank=rank, state=JobState.DONE, outcome=outcome), last], NOW)
        assert moved is not None
        assert (moved.withdrawn, moved.ready) == ((("R",), ()) if withdrawn else ((), ("R",)))
        assert (moved.reason == f"S ended {outcome}") is withdrawn


@pytest.mark.parametrize("policy", list(Policy))
def test_a_paused_run_begins_nothing_that_was_not_begun(policy: Policy) -> None:
    run = run_of(policy, RunState.PAUSED)
    waiting: dict[str, Any] = {"state": JobState.WAITING, "attempts": 0, "started": None}
    assert decide(run, [job("A", "U", **waiting)], NOW) is None
    # The rest of what is decided together follows what was begun.
    moved = decide(run, [job("A", "U"), job("B", "U", **waiting)], NOW)
    assert moved is not None
    assert moved.ready == ("B",)
    next_wave = job("C", wave=1, **waiting)
    ended = done("A", Outcome.SUCCEEDED)
    assert decide(run, [ended, next_wave], NOW) is None
    moved = decide(run_of(policy), [ended, next_wave], NOW)
    assert moved is not None
    assert moved.wave == 1
