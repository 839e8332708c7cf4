"""What rules may do: observe, ask, act; and their ladders."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.models.alarm import CORE_LINK_DOWN, Alarm, AlarmState, PerceivedSeverity
from controller.models.errors import ConflictError
from controller.models.rule import ProposalState, RuleMode, grant_for, wilson
from controller.playbook.actions.shipped import registry
from controller.playbook.language.library import Library
from controller.remediation.remediator import Remediator
from controller.remediation.rules import Rule, Rung
from controller.store import Page
from tests.support.rules import promote
from tests.unit.remediation.bench import LINK, RULES, STATION_ID, Bench

(LINK_RULE, _) = RULES
LADDER = LINK_RULE.model_copy(
    update={"ladder": (*LINK_RULE.ladder, Rung(playbook="restart-station"), Rung(ticket="send somebody"))}
)


def proposed(bench: Bench, alarm: Alarm) -> list[tuple[int, ProposalState]]:
    """What was proposed for an alarm: rung and what became of it."""
    return [(one.rung, one.state) for one in bench.store.rules.of_alarm(alarm.id)]


def acts(bench: Bench, alarm: Alarm) -> list[str]:
    """What the trail says of an alarm, oldest first."""
    rows = bench.store.audit.page(Page(limit=1000))[1]
    return [row.action for row in reversed(rows) if row.object == alarm.id]


async def test_a_rule_as_it_comes_observes_and_says_once_what_it_would_have_done(bench: Bench) -> None:
    link, scheduler = bench.breaks(), bench.scheduler(mode=None)
    for _ in range(3):
        await bench.round(scheduler)
    assert bench.runs() == []
    (one,) = bench.store.rules.of_alarm(link.id)
    assert (one.state, one.mode, one.playbook) == (ProposalState.OBSERVED, RuleMode.OBSERVE, "recreate-core-endpoint")
    assert (one.parameters, one.obstacle) == ({"object": LINK}, "")
    assert bench.alarm(link).note == "observed: rule core-link-down would run recreate-core-endpoint"
    assert acts(bench, link).count("repair.observed") == 1
    bench.heals(link)
    figures = bench.store.rules.figures("core-link-down")
    assert (figures.observed, figures.refused, figures.healed, figures.sample) == (1, 0, 1, 0)


async def test_nothing_waits_for_a_rule_that_only_observes(bench: Bench) -> None:
    patient = LINK_RULE.model_copy(update={"guards": LINK_RULE.guards.model_copy(update={"settle_seconds": 600})})
    link, scheduler = bench.breaks(), bench.scheduler(rules=(patient,), mode=None)
    await bench.round(scheduler)
    alarm = bench.alarm(link)
    assert (alarm.waits, alarm.note) == (
        (),
        "observed: rule core-link-down would run recreate-core-endpoint, but not yet: it has to stand for 600 s",
    )
    assert bench.store.rules.of_alarm(link.id) == [], "it is no proposal yet"


async def test_a_rule_that_observes_says_which_guard_would_have_said_no(bench: Bench) -> None:
    hold = bench.store.holds.add(STATION_ID, "ana", "rigger on the mast", None)
    link, scheduler = bench.breaks(), bench.scheduler(mode=None)
    for _ in range(2):
        await bench.round(scheduler)
    (one,) = bench.store.rules.of_alarm(link.id)
    assert one.obstacle == f"hold on {STATION_ID} by ana"
    assert bench.store.rules.figures("core-link-down").refused == 1
    bench.store.holds.end(hold.id, "ana")
    await bench.round(scheduler)
    (one,) = bench.store.rules.of_alarm(link.id)
    assert one.obstacle == ""
    assert bench.runs() == []


async def test_a_rule_that_is_promoted_acts_on_alarms_that_stand(bench: Bench) -> None:
    link, scheduler = bench.breaks(), bench.scheduler(mode=None)
    for _ in range(2):
        await bench.round(scheduler)
    promote(bench.store, RULES)
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRING
    bench.work()
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRED
    assert proposed(bench, link) == [(0, ProposalState.OBSERVED), (0, ProposalState.SUCCEEDED)]
    assert bench.store.rules.figures("core-link-down").successes == 1


@pytest.mark.parametrize(
    ("scope", "acts_there"),
    [("region:cusco", True), ("region:lima", False), ("tenant:andes", False)],
)
async def test_a_mode_counts_in_its_region_or_for_its_tenant(bench: Bench, scope: str, acts_there: bool) -> None:
    promote(bench.store, RULES, RuleMode.AUTO, scope)
    link = bench.breaks()
    await bench.round(bench.scheduler(mode=None))
    assert (bench.alarm(link).state is AlarmState.REPAIRING) is acts_there


@pytest.mark.parametrize(
    ("tenants", "region", "mode"),
    [
        (("andes",), "lima", RuleMode.ASK),
        (("andes", "condor"), "lima", RuleMode.OBSERVE),
        ((), "lima", RuleMode.OBSERVE),
        (("andes", "condor"), "cusco", RuleMode.AUTO),
        (("andes",), "cusco", RuleMode.ASK),
        (("condor",), "cusco", RuleMode.AUTO),
        (("condor",), "lima", RuleMode.AUTO),
    ],
)
def test_what_is_narrower_decides_and_of_region_and_tenant_what_lets_the_rule_do_less(
    bench: Bench, tenants: tuple[str, ...], region: str, mode: RuleMode
) -> None:
    for scope, given in (
        ("", RuleMode.OBSERVE),
        ("region:cusco", RuleMode.AUTO),
        ("tenant:andes", RuleMode.ASK),
        ("tenant:condor", RuleMode.AUTO),
    ):
        promote(bench.store, RULES[:1], given, scope)
    alarm = bench.breaks().model_copy(update={"tenants": tenants})
    grant = grant_for(bench.store.rules.grants(), LINK_RULE.name, alarm, region)
    assert grant is not None
    assert grant.mode is mode


async def test_what_holds_for_a_region_outdoes_what_holds_everywhere(bench: Bench) -> None:
    promote(bench.store, RULES)
    promote(bench.store, RULES, RuleMode.OBSERVE, "region:cusco")
    link = bench.breaks()
    await bench.round(bench.scheduler(mode=None))
    assert bench.runs() == []
    assert proposed(bench, link) == [(0, ProposalState.OBSERVED)]


async def test_a_rule_that_is_not_as_it_was_promoted_only_observes(bench: Bench) -> None:
    promote(bench.store, RULES)
    other = LINK_RULE.model_copy(update={"description": "written again"})
    bench.breaks()
    await bench.round(bench.scheduler(rules=(other,), mode=None))
    assert bench.runs() == []


# ---------------------------------------------------------------------------- ask


async def _asked(bench: Bench, scheduler: Remediator) -> Alarm:
    link = bench.breaks()
    for _ in range(2):
        await bench.round(scheduler)
    assert proposed(bench, link) == [(0, ProposalState.ASKED)]
    assert bench.runs() == []
    return link


def _answer(bench: Bench, alarm: Alarm, *, yes: bool) -> None:
    (one,) = bench.store.rules.page(Page(), [ProposalState.ASKED])[1]
    assert one.alarm == alarm.id
    bench.store.rules.answer(one.id, yes=yes, by="ana", reason="INC-77")


async def test_a_rule_that_asks_acts_after_a_yes(bench: Bench) -> None:
    scheduler = bench.scheduler(mode=RuleMode.ASK)
    link = await _asked(bench, scheduler)
    (one,) = bench.store.rules.of_alarm(link.id)
    assert bench.alarm(link).note == f"waits: a yes to {one.id}: rule core-link-down would run recreate-core-endpoint"
    _answer(bench, link, yes=True)
    await bench.round(scheduler)
    (one,) = bench.store.rules.of_alarm(link.id)
    assert (bench.alarm(link).state, one.state, one.by, one.run) == (
        AlarmState.REPAIRING,
        ProposalState.RUNNING,
        "ana",
        bench.alarm(link).run,
    )


@pytest.mark.parametrize(("severity", "pages"), [(PerceivedSeverity.CRITICAL, 1), (PerceivedSeverity.MAJOR, 0)])
async def test_people_are_paged_once_to_a_critical_alarm_that_waits_for_a_yes(
    bench: Bench, severity: PerceivedSeverity, pages: int
) -> None:
    scheduler = bench.scheduler(mode=RuleMode.ASK)
    bench.breaks()
    link = bench.report(LINK, CORE_LINK_DOWN, severity)
    for _ in range(3):
        await bench.round(scheduler)
    (one,) = bench.store.rules.of_alarm(link.id)
    said = f"rule core-link-down waits: a yes to {one.id}: rule core-link-down would run recreate-core-endpoint"
    assert [(alarm.id, why) for alarm, why in bench.people.sent] == [(link.id, said)] * pages
    assert bench.alarm(link).state is AlarmState.RAISED
    _answer(bench, link, yes=True)
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRING
    assert len(bench.people.sent) == pages


async def test_after_a_no_people_see_to_it(bench: Bench) -> None:
    scheduler = bench.scheduler(mode=RuleMode.ASK)
    link = await _asked(bench, scheduler)
    _answer(bench, link, yes=False)
    await bench.round(scheduler)
    assert (bench.alarm(link).state, bench.alarm(link).note) == (
        AlarmState.ESCALATED,
        "ana denied the repair: INC-77",
    )
    assert bench.runs() == []


async def test_a_yes_is_void_when_it_is_old_or_the_alarm_is_another(bench: Bench) -> None:
    scheduler = bench.scheduler(mode=RuleMode.ASK)
    link = await _asked(bench, scheduler)
    hold = bench.store.holds.add(STATION_ID, "ana", "rigger on the mast", None)
    _answer(bench, link, yes=True)
    await bench.round(scheduler, seconds=timedelta(minutes=31).total_seconds())
    bench.store.holds.end(hold.id, "ana")
    for _ in range(2):
        await bench.round(scheduler)
    assert proposed(bench, link) == [(0, ProposalState.VOID), (0, ProposalState.ASKED)]
    bench.report(LINK, link.probable_cause, PerceivedSeverity.CRITICAL)
    with pytest.raises(ConflictError, match="changed since"):
        _answer(bench, link, yes=True)
    for _ in range(2):
        await bench.round(scheduler)
    assert proposed(bench, link)[1:] == [(0, ProposalState.VOID), (0, ProposalState.ASKED)]
    assert bench.runs() == []


async def test_a_rung_that_asks_asks_whatever_the_mode(bench: Bench) -> None:
    ladder = (Rung(ask="Is nobody at the site?"), *LINK_RULE.ladder)
    scheduler = bench.scheduler(rules=(LINK_RULE.model_copy(update={"ladder": ladder}),))
    link = await _asked(bench, scheduler)
    _answer(bench, link, yes=True)
    await bench.round(scheduler)
    await bench.round(scheduler)
    assert proposed(bench, link) == [(0, ProposalState.APPROVED), (1, ProposalState.RUNNING)]


async def test_a_yes_to_a_rung_that_asks_leads_on_for_half_an_hour_only(bench: Bench) -> None:
    ladder = (Rung(ask="Is nobody at the site?"), *LINK_RULE.ladder)
    scheduler = bench.scheduler(rules=(LINK_RULE.model_copy(update={"ladder": ladder}),))
    link = await _asked(bench, scheduler)
    hold = bench.store.holds.add(STATION_ID, "ana", "rigger on the mast", None)
    _answer(bench, link, yes=True)
    await bench.round(scheduler, seconds=timedelta(minutes=31).total_seconds())
    bench.store.holds.end(hold.id, "ana")
    for _ in range(3):
        await bench.round(scheduler)
    assert proposed(bench, link) == [(0, ProposalState.VOID), (0, ProposalState.ASKED)]
    _answer(bench, link, yes=True)
    for _ in range(2):
        await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRING


# -------------------------------------------------------------------------- ladder


def _playbooks(bench: Bench) -> list[str]:
    return [asked.playbook for asked in bench.launcher.asked]


async def test_the_next_rung_follows_one_that_did_not_help_and_people_the_last(bench: Bench) -> None:
    link, scheduler = bench.breaks(), bench.scheduler(rules=(LADDER,))
    for _ in range(2):
        await bench.round(scheduler)
        bench.work({link.id})
        await bench.round(scheduler, seconds=61)
        await bench.round(scheduler)
    await bench.round(scheduler)
    await bench.round(scheduler)
    assert _playbooks(bench) == ["recreate-core-endpoint", "restart-station"]
    first, second = (run.id for run in bench.runs())
    assert bench.alarm(link).state is AlarmState.ESCALATED
    outlived = "succeeded, yet the alarm stands"
    ((_, reason),) = bench.people.sent
    assert reason == f"send somebody; repair run {first} {outlived}; repair run {second} {outlived}"
    assert proposed(bench, link) == [(0, ProposalState.FAILED), (1, ProposalState.FAILED)]


async def test_a_rung_that_is_refused_leads_to_the_next(bench: Bench) -> None:
    bench.launcher.refusal = "there is no such endpoint"
    link, scheduler = bench.breaks(), bench.scheduler(rules=(LADDER,))
    await bench.round(scheduler)
    bench.launcher.refusal = ""
    await bench.round(scheduler)
    assert proposed(bench, link) == [(0, ProposalState.REFUSED), (1, ProposalState.RUNNING)]
    assert bench.store.repairs.count("core-link-down", f"{STATION_ID}:{LINK}", bench.clock.now() - timedelta(1)) == 1


async def test_parameters_that_an_alarm_can_not_fill_lead_to_the_next_rung(bench: Bench) -> None:
    given = {"object": "{{ alarm.tenant | int }}"}
    ladder = (Rung(playbook="recreate-core-endpoint", parameters=given), Rung(ticket="send somebody"))
    rule = LINK_RULE.model_copy(update={"ladder": ladder})
    hold = bench.store.holds.add(STATION_ID, "ana", "rigger on the mast", None)
    link, scheduler = bench.breaks(), bench.scheduler(rules=(rule,))
    await bench.round(scheduler)
    assert bench.alarm(link).note == f"waits: hold on {STATION_ID} by ana"
    bench.store.holds.end(hold.id, "ana")
    for _ in range(4):
        await bench.round(scheduler)
    assert (bench.launcher.asked, proposed(bench, link)) == ([], [(0, ProposalState.REFUSED)])
    ((_, reason),) = bench.people.sent
    assert reason.startswith("send somebody; no repair could be planned: {{ alarm.tenant | int }}: ")


async def test_a_ladder_of_a_ticket_alone_hands_the_alarm_over(bench: Bench) -> None:
    rule = LINK_RULE.model_copy(update={"ladder": (Rung(ticket="send somebody"),)})
    observes, link = bench.scheduler(rules=(rule,), mode=None), bench.breaks()
    for _ in range(2):
        await bench.round(observes)
    assert bench.people.sent == []
    acts_now = bench.scheduler(rules=(rule,))
    for _ in range(2):
        await bench.round(acts_now)
    assert bench.alarm(link).note == "send somebody"
    assert bench.people.kinds == ["ticket"]


def test_the_lower_bound_of_a_share() -> None:
    assert wilson(0, 0) == 0
    assert wilson(10, 10) == pytest.approx(0.7225, abs=1e-4)
    assert wilson(9, 10) == pytest.approx(0.5958, abs=1e-4)
    assert wilson(0, 10) == pytest.approx(0, abs=1e-9)


def test_rules_are_told_apart_by_their_content() -> None:
    assert LINK_RULE.digest != LADDER.digest
    assert LINK_RULE.digest == Rule.model_validate(LINK_RULE.model_dump()).digest


def test_a_promotion_is_void_once_a_playbook_of_the_rule_is_another() -> None:
    def digest(**texts: str) -> str:
        files = {f"playbooks/{name.replace('_', '-')}.yaml": text for name, text in texts.items()}
        return LINK_RULE.with_playbooks(Library(files, registry())).digest

    one, other = "name: recreate-core-endpoint", "name: recreate-core-endpoint # changed"
    digests = {LINK_RULE.digest, digest(), digest(recreate_core_endpoint=one), digest(recreate_core_endpoint=other)}
    assert len(digests) == 4
    assert digest(recreate_core_endpoint=one, repair_drift="name: repair-drift") in digests, "it runs no such playbook"
