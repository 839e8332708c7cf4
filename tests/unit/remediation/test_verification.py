"""What proves a repair, what its failures cost a rule, and how loops of repairs are cut."""

from __future__ import annotations

import pytest

from controller.models.alarm import (
    CELL_OFF_AIR,
    CORE_LINK_DOWN,
    PAGE,
    RULE_DEMOTED,
    TICKET,
    Alarm,
    AlarmNote,
    AlarmState,
    PerceivedSeverity,
)
from controller.models.errors import DeviceBusyError
from controller.models.rule import ProposalState, RuleMode
from controller.models.run import RunState
from controller.remediation.remediator import Remediator
from controller.remediation.rules import Match, Rule, RuleGuards, Rung, Trust, Verify
from controller.remediation.trust import promote
from controller.store import Page, PreparedRun, Transition
from tests.support import rules as kit
from tests.unit.remediation.bench import LINK, RULES, STATION_ID, Bench

(LINK_RULE, _) = RULES
OTHER = "/EP_S1C[two]"


async def _repaired_run(bench: Bench, scheduler: Remediator) -> Alarm:
    """A link whose repair run has ended well, and whose source cleared it."""
    link = bench.breaks()
    await bench.round(scheduler)
    bench.work()
    return link


# ------------------------------------------------------------------------- verified


async def test_a_repair_is_a_success_once_it_held_for_its_time(bench: Bench) -> None:
    rule = LINK_RULE.model_copy(update={"verify": Verify(within_seconds=60, settle_seconds=30)})
    scheduler = bench.scheduler(rules=(rule,))
    link = await _repaired_run(bench, scheduler)
    await bench.round(scheduler, seconds=29)
    await bench.round(scheduler, seconds=1)
    assert bench.alarm(link).state is AlarmState.REPAIRING
    bench.checker.up.add((STATION_ID, OTHER))
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRED
    (proposal,) = bench.store.rules.of_alarm(link.id)
    assert proposal.after is not None
    assert OTHER in proposal.after, "it is what serves when the repair is verified"


async def test_what_breaks_again_while_it_has_to_hold_has_to_hold_anew(bench: Bench) -> None:
    rule = LINK_RULE.model_copy(update={"verify": Verify(within_seconds=120, settle_seconds=30)})
    scheduler = bench.scheduler(rules=(rule,))
    link = await _repaired_run(bench, scheduler)
    await bench.round(scheduler, seconds=20)
    bench.checker.down.add((STATION_ID, LINK))
    await bench.round(scheduler, seconds=20)
    bench.checker.down.clear()
    for _ in range(2):
        await bench.round(scheduler, seconds=15)
    assert bench.alarm(link).state is AlarmState.REPAIRING
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRED


async def test_a_repair_that_took_another_link_along_is_none(bench: Bench) -> None:
    """The other link was up when the repair began, and is down now; nobody reported it yet."""
    bench.checker.up.add((STATION_ID, OTHER))
    scheduler = bench.scheduler()
    link = await _repaired_run(bench, scheduler)
    bench.checker.up.clear()
    await bench.round(scheduler, seconds=61)
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.ESCALATED
    assert bench.alarm(link).note.endswith(f"succeeded, yet {OTHER} served before it, and not any more")
    (proposal,) = bench.store.rules.of_alarm(link.id)
    assert OTHER in proposal.before
    assert proposal.after is not None
    assert OTHER not in proposal.after


async def test_a_repair_that_failed_says_what_it_left_out_of_service(bench: Bench) -> None:
    """Its run did not end well, and what served before it does not any more: people hear of that, too."""
    bench.checker.up.add((STATION_ID, OTHER))
    scheduler = bench.scheduler()
    link = bench.breaks()
    await bench.round(scheduler)
    for run in bench.store.runs.active():
        bench.store.runs.advance(run, lambda *_: Transition(RunState.FAILED, cancel_rest=True))
    bench.checker.up.clear()
    await bench.round(scheduler)
    await bench.round(scheduler)
    (proposal,) = bench.store.rules.of_alarm(link.id)[:1]
    assert f"{OTHER} served before it, and not any more" in proposal.reason
    assert "ended failed" in proposal.reason


async def test_an_alarm_does_not_wait_for_what_is_over_while_its_source_is_late(bench: Bench) -> None:
    """Its device shows no fault any more: the reason that it waited for before is gone from its note."""
    scheduler = bench.scheduler()
    link = bench.breaks()
    bench.store.alarms.note([(link, AlarmNote.waiting("it has to stand for 30 s"))], actor="remediation")
    bench.checker.down.clear()
    await bench.round(scheduler)
    assert bench.alarm(link).note == "waits: nothing is left to repair, and its source has not cleared it yet"


async def test_an_alarm_whose_tries_fail_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = bench.scheduler()
    link = bench.breaks()
    bench.store.alarms.note([(link, AlarmNote.waiting("it has to stand for 30 s"))], actor="remediation")

    async def prepare(_request: object) -> PreparedRun:
        raise DeviceBusyError("another session holds the lock")

    with monkeypatch.context() as broken:
        broken.setattr(bench.launcher, "prepare", prepare)
        await bench.round(scheduler)
        assert bench.alarm(link).note == "waits: it has to stand for 30 s", "once is nothing"
        await bench.round(scheduler)
        await bench.round(scheduler)
        assert bench.alarm(link).note == "waits: the last try failed: another session holds the lock"
    await bench.round(scheduler, seconds=60)
    await bench.round(scheduler, seconds=60)
    assert bench.alarm(link).state is AlarmState.REPAIRING


async def test_a_repair_after_which_its_site_has_another_alarm_is_none(bench: Bench) -> None:
    scheduler = bench.scheduler()
    link = await _repaired_run(bench, scheduler)
    other = bench.report("/x", CELL_OFF_AIR)
    await bench.round(scheduler, seconds=61)
    await bench.round(scheduler)
    assert bench.alarm(link).note.endswith(f"alarm {other.id} ({CELL_OFF_AIR}) was raised at its site meanwhile")
    (one,) = bench.store.rules.of_alarm(link.id)
    assert one.state is ProposalState.FAILED


async def test_what_passes_by_before_the_time_is_over_spoils_no_repair(bench: Bench) -> None:
    scheduler = bench.scheduler()
    link = await _repaired_run(bench, scheduler)
    other = bench.report("/x", CELL_OFF_AIR)
    await bench.round(scheduler, seconds=30)
    bench.heals(other)
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRED


# ---------------------------------------------------------------------------- loops


async def test_what_a_repair_may_have_caused_starts_no_repair(bench: Bench) -> None:
    scheduler = bench.scheduler()
    first = bench.breaks()
    await bench.round(scheduler)
    second = bench.breaks(OTHER)
    await bench.round(scheduler)
    (run,) = bench.runs()
    assert bench.alarm(second).note == (
        f"waits: it was raised while run {run.id} of rule core-link-down worked there, or was being verified"
    )
    bench.work()
    await bench.round(scheduler, seconds=61)
    for _ in range(2):
        await bench.round(scheduler)
    assert bench.alarm(first).state is AlarmState.CLEARED
    assert bench.alarm(second).state is AlarmState.ESCALATED
    assert bench.alarm(second).note.endswith("no repair follows from a repair")
    assert len(bench.runs()) == 1


async def test_people_are_paged_at_once_and_once_to_a_critical_fault_during_a_repair(bench: Bench) -> None:
    scheduler = bench.scheduler()
    bench.breaks()
    await bench.round(scheduler)
    bench.breaks(OTHER)
    second = bench.report(OTHER, CORE_LINK_DOWN, PerceivedSeverity.CRITICAL)
    for _ in range(3):
        await bench.round(scheduler)
    (run,) = bench.runs()
    reason = f"it was raised while run {run.id} of rule core-link-down worked there, or was being verified"
    assert (bench.alarm(second).state, bench.alarm(second).note) == (AlarmState.RAISED, f"waits: {reason}")
    assert [(one.id, why) for one, why in bench.people.sent] == [(second.id, f"rule core-link-down waits: {reason}")]
    bench.work()
    for seconds in (61, 5, 5, 5):
        await bench.round(scheduler, seconds=seconds)
    assert bench.alarm(second).state is AlarmState.ESCALATED
    assert len(bench.people.sent) == 1, "the page stands"


def _telling(cause: str, rung: Rung) -> Rule:
    return Rule(
        name=cause, description="", match=Match(causes=(cause,)), ladder=(rung,), guards=RuleGuards(settle_seconds=0)
    )


async def test_a_second_fault_during_a_repair_calls_nobody_about_what_is_over(bench: Bench) -> None:
    """The cell's alarm is told by its own rule; the link is repaired as far as its own alarm goes."""
    scheduler = bench.scheduler(rules=(*RULES, _telling(CELL_OFF_AIR, Rung(page="A cell is off air."))))
    link = await _repaired_run(bench, scheduler)
    cell = bench.report("/x", CELL_OFF_AIR)
    for seconds in (61, 5, 5, 5):
        await bench.round(scheduler, seconds=seconds)
    assert bench.alarm(link).state is AlarmState.CLEARED
    assert bench.alarm(cell).state is AlarmState.ESCALATED
    assert [one.id for one, _ in bench.people.sent] == [cell.id]


@pytest.mark.parametrize(("rung", "kind"), [(Rung(ticket="Look."), TICKET), (Rung(page="Look."), PAGE)])
async def test_what_only_people_are_told_of_is_told_as_its_rung_says_while_a_repair_is_verified(
    bench: Bench, rung: Rung, kind: str
) -> None:
    rule = LINK_RULE.model_copy(update={"verify": Verify(within_seconds=300, settle_seconds=200)})
    scheduler = bench.scheduler(rules=(rule, _telling("o-ran-fault-5", rung)))
    link = await _repaired_run(bench, scheduler)
    fan = bench.report("/fan", "o-ran-fault-5")
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRING
    assert (bench.alarm(fan).state, bench.alarm(fan).note) == (AlarmState.ESCALATED, "Look.")
    await bench.round(scheduler)
    assert bench.people.kinds == [kind]


# ------------------------------------------------------------------------- demotion


async def _try(bench: Bench, scheduler: Remediator, number: int, *, helps: bool) -> None:
    """One link breaks and is repaired, in vain or not."""
    link = bench.breaks(f"/EP_S1C[{number}]")
    await bench.round(scheduler)
    bench.work(() if helps else {link.id})
    await bench.round(scheduler, seconds=61)
    await bench.round(scheduler)
    if not helps:
        bench.heals(link)


def _mode(bench: Bench) -> RuleMode:
    (mode,) = _modes(bench).values()
    return mode


def _modes(bench: Bench) -> dict[str, RuleMode]:
    return {one.scope: one.mode for one in bench.store.rules.grants() if one.rule == "core-link-down"}


def _demotion(bench: Bench) -> Alarm:
    (alarm,) = (one for one in bench.store.alarms.page(Page(limit=100))[1] if one.probable_cause == RULE_DEMOTED)
    return alarm


async def test_a_rule_demotes_itself_after_three_failures_in_a_row(bench: Bench) -> None:
    scheduler = bench.scheduler()
    for number, helps in enumerate((False, False, True, False, False)):
        await _try(bench, scheduler, number, helps=helps)
    assert _mode(bench) is RuleMode.AUTO
    await _try(bench, scheduler, 9, helps=False)
    assert _mode(bench) is RuleMode.OBSERVE
    alarm = _demotion(bench)
    assert (alarm.state, alarm.object, alarm.note) == (
        AlarmState.ESCALATED,
        "core-link-down",
        "3 repairs in a row did not help",
    )
    runs = len(bench.runs())
    bench.breaks("/EP_S1C[again]")
    await bench.round(scheduler)
    assert len(bench.runs()) == runs


async def test_a_rule_demotes_itself_where_it_helps_too_rarely(bench: Bench) -> None:
    rule = LINK_RULE.model_copy(update={"trust": Trust(threshold=0.5, sample=6, failures=9)})
    scheduler = bench.scheduler(rules=(rule,))
    for number, helps in enumerate((True, False, True, True, False)):
        await _try(bench, scheduler, number, helps=helps)
    assert _mode(bench) is RuleMode.AUTO
    await _try(bench, scheduler, 9, helps=True)
    assert _mode(bench) is RuleMode.OBSERVE
    alarm = _demotion(bench)
    assert alarm.note == "4 of 6 repairs helped, so 30% at least; 50% were wanted"


async def test_a_person_who_promotes_it_again_clears_the_alarm_and_begins_its_record_anew(bench: Bench) -> None:
    scheduler = bench.scheduler()
    for number in range(3):
        await _try(bench, scheduler, number, helps=False)
    assert _mode(bench) is RuleMode.OBSERVE
    words = {"by": "ana", "reason": "the firmware was repaired"}
    promote(bench.store, LINK_RULE, "", RuleMode.AUTO, bench.clock.now(), **words)
    alarm = _demotion(bench)
    assert alarm.cleared is not None
    assert bench.store.rules.figures("core-link-down").sample == 0
    await _try(bench, scheduler, 9, helps=True)
    assert (_mode(bench), bench.store.rules.figures("core-link-down").successes) == (RuleMode.AUTO, 1)


async def test_three_failures_in_a_row_in_a_region_demote_a_rule_there(bench: Bench) -> None:
    scheduler = bench.scheduler()
    await _try(bench, scheduler, 1, helps=False)
    kit.promote(bench.store, RULES, RuleMode.AUTO, "region:cusco")
    for number in (2, 3):
        await _try(bench, scheduler, number, helps=False)
    assert _modes(bench) == {"": RuleMode.AUTO, "region:cusco": RuleMode.AUTO}, (
        "one failure was not of the region's mode"
    )
    await _try(bench, scheduler, 4, helps=False)
    assert _modes(bench) == {"": RuleMode.AUTO, "region:cusco": RuleMode.OBSERVE}
    alarm = _demotion(bench)
    assert (alarm.object, alarm.note) == ("core-link-down/region:cusco", "3 repairs in a row did not help")
    assert alarm.text.endswith("minka rules promote core-link-down --region cusco")
    words = {"by": "ana", "reason": "the firmware was repaired"}
    promote(bench.store, LINK_RULE, "region:lima", RuleMode.AUTO, bench.clock.now(), **words)
    assert _demotion(bench).cleared is None
    promote(bench.store, LINK_RULE, "region:cusco", RuleMode.AUTO, bench.clock.now(), **words)
    assert _demotion(bench).cleared is not None


async def test_a_rule_that_helps_too_rarely_in_all_regions_together_is_demoted_in_all(bench: Bench) -> None:
    rule = LINK_RULE.model_copy(update={"trust": Trust(threshold=0.5, sample=6, failures=9)})
    scheduler = bench.scheduler(rules=(rule,))
    for number in range(2):
        await _try(bench, scheduler, number, helps=False)
    kit.promote(bench.store, (rule,), RuleMode.AUTO, "region:cusco")
    for number in (2, 3, 4):
        await _try(bench, scheduler, number, helps=True)
    assert _modes(bench) == {"": RuleMode.AUTO, "region:cusco": RuleMode.AUTO}
    await _try(bench, scheduler, 5, helps=True)
    assert _modes(bench) == {"": RuleMode.OBSERVE, "region:cusco": RuleMode.OBSERVE}
    assert _demotion(bench).note == "4 of 6 repairs helped, so 30% at least; 50% were wanted"
    bench.store.rules.set_mode(rule.name, "region:cusco", RuleMode.AUTO, by="ana", reason="-", digest=rule.digest)
    await _try(bench, scheduler, 6, helps=False)
    assert _modes(bench)["region:cusco"] is RuleMode.AUTO, "what was before counts no more"


async def test_a_rule_that_is_not_as_it_was_promoted_demotes_itself(bench: Bench) -> None:
    bench.scheduler()
    other = LINK_RULE.model_copy(update={"description": "written again"})
    bench.breaks()
    scheduler = bench.scheduler(rules=(other,), mode=None)
    await bench.round(scheduler)
    assert (_mode(bench), bench.runs()) == (RuleMode.OBSERVE, [])
    alarm = _demotion(bench)
    assert alarm.note == "it, or one of its playbooks, is not as it was promoted"


@pytest.mark.parametrize("mode", [RuleMode.ASK, RuleMode.OBSERVE])
def test_a_mode_that_is_put_on_record_names_who_and_the_record_then(bench: Bench, mode: RuleMode) -> None:
    words = {"by": "ana", "reason": "CHG-7"}
    promote(bench.store, LINK_RULE, "region:cusco", mode, bench.clock.now(), **words)
    row = next(row for row in bench.store.audit.page(Page())[1] if row.action == "rule.mode-set")
    assert (row.actor, row.object) == ("ana", "core-link-down")
    assert row.detail.items() >= {"mode": mode.value, "scope": "region:cusco", "successes": "0"}.items()
