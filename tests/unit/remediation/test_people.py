"""Rungs that only tell people are no repairs, and no critical alarm waits without anybody knowing of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.models.alarm import (
    BACKHAUL_DOWN,
    CORE_LINK_DOWN,
    PAGE,
    TICKET,
    UNREACHABLE,
    Alarm,
    AlarmReport,
    AlarmSource,
    AlarmState,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.health import Health
from controller.models.incident import DARK
from controller.models.rule import EVERYWHERE, ProposalState, RuleMode
from controller.models.run import RunState
from controller.remediation.remediator import Remediator
from controller.remediation.rules import Match, Rule, RuleGuards, Rung, Trust
from controller.remediation.trust import demote
from controller.store import Transition
from tests.unit.remediation.bench import RULES, Bench

(LINK_RULE, _) = RULES
CRITICAL, MAJOR = PerceivedSeverity.CRITICAL, PerceivedSeverity.MAJOR
#: The node of the backhaul at which the station's site hangs, and another station behind it.
NODE, NEIGHBOUR = "hub", "T-NR-1"
TELLS = LINK_RULE.model_copy(
    update={
        "ladder": (Rung(playbook="tell-the-noc"),),
        "guards": RuleGuards(settle_seconds=0, attempts=9),
        "trust": Trust(failures=3, sample=3, threshold=0.5),
    }
)


def report(bench: Bench, severity: PerceivedSeverity, path: str = "/EP_S1C[one]") -> Alarm:
    return bench.report(path, CORE_LINK_DOWN, severity)


def states(bench: Bench, alarm: Alarm) -> list[ProposalState]:
    return [one.state for one in bench.store.rules.of_alarm(alarm.id)]


def told(bench: Bench, alarm: Alarm) -> list[str]:
    """Why people were notified of an alarm."""
    return [reason for one, reason in bench.people.sent if one.id == alarm.id]


@pytest.mark.parametrize("end", [RunState.SUCCEEDED, RunState.FAILED])
async def test_a_rung_that_only_tells_people_is_no_repair_and_demotes_no_rule(bench: Bench, end: RunState) -> None:
    bench.launcher.repairs = False
    scheduler = bench.scheduler(rules=(TELLS,))
    for number in range(4):
        path = f"/EP_S1C[{number}]"
        link = bench.breaks(path=path)
        await bench.round(scheduler)
        assert bench.alarm(link).state is AlarmState.REPAIRING
        assert bench.store.alarms.under_repair() == frozenset(), "it takes nobody's share"
        for run in bench.store.runs.active():
            bench.store.runs.advance(run, lambda _run, _jobs: Transition(end, cancel_rest=True))
        for _ in range(3):
            await bench.round(scheduler)
        assert states(bench, link) == [ProposalState.TOLD]
        assert bench.alarm(link).state is AlarmState.ESCALATED
        assert len(told(bench, link)) == 1
        bench.heals(link)
        await bench.round(scheduler)
    assert [one.mode for one in bench.store.rules.grants() if one.rule == TELLS.name] == [RuleMode.AUTO]
    figures = bench.store.rules.figures(TELLS.name)
    assert (figures.sample, figures.in_a_row) == (0, 0)
    assert bench.store.repairs.since(bench.store.alarms.get(link.id).raised.replace(year=2000)) == []


async def test_the_next_rung_follows_one_that_only_tells_people(bench: Bench) -> None:
    rule = TELLS.model_copy(update={"ladder": (*TELLS.ladder, *LINK_RULE.ladder)})
    bench.launcher.repairs = False
    scheduler, link = bench.scheduler(rules=(rule,)), bench.breaks()
    await bench.round(scheduler)
    bench.launcher.repairs = True
    bench.work(incurable=[link.id])
    for _ in range(3):
        await bench.round(scheduler)
    assert [run.procedure for run in bench.runs()] == ["apply"] * 2
    assert [one.playbook for one in bench.store.rules.of_alarm(link.id)] == ["tell-the-noc", "recreate-core-endpoint"]
    bench.work()
    for _ in range(3):
        await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRED
    figures = bench.store.rules.figures(rule.name)
    assert (figures.successes, figures.failures) == (1, 0)


async def test_an_alarm_that_clears_while_people_are_told_is_no_success_of_the_rule(bench: Bench) -> None:
    bench.launcher.repairs = False
    scheduler, link = bench.scheduler(rules=(TELLS,)), bench.breaks()
    await bench.round(scheduler)
    bench.work()
    for _ in range(3):
        await bench.round(scheduler)
    assert (bench.alarm(link).state, states(bench, link)) == (AlarmState.CLEARED, [ProposalState.TOLD])
    assert bench.store.rules.figures(TELLS.name).sample == 0


@pytest.mark.parametrize(("severity", "pages"), [(CRITICAL, 1), (MAJOR, 0)])
async def test_a_demotion_leaves_no_critical_alarm_that_calls_nobody(
    bench: Bench, severity: PerceivedSeverity, pages: int
) -> None:
    scheduler = bench.scheduler(rules=(LINK_RULE,), mode=RuleMode.ASK)
    bench.breaks()
    stood = report(bench, severity)
    await bench.round(scheduler)
    assert states(bench, stood) == [ProposalState.ASKED]
    bench.store.transaction(demote, LINK_RULE, "3 repairs in a row did not help", bench.clock.now(), EVERYWHERE)
    bench.checker.down.add((stood.station, "/EP_S1C[two]"))
    later = report(bench, severity, "/EP_S1C[two]")
    for _ in range(6):
        await bench.round(scheduler)
    assert bench.runs() == []
    for alarm in (stood, later):
        assert len(told(bench, alarm)) == pages
        assert bench.alarm(alarm).state is (AlarmState.ESCALATED if pages else AlarmState.RAISED)
    assert all("only observes" in reason for reason in told(bench, later))


async def test_a_rule_that_nobody_promoted_there_goes_on_observing(bench: Bench) -> None:
    scheduler = bench.scheduler(rules=(LINK_RULE,), mode=None)
    bench.breaks()
    stood = report(bench, CRITICAL)
    for _ in range(4):
        await bench.round(scheduler)
    assert (states(bench, stood), told(bench, stood)) == ([ProposalState.OBSERVED], [])


async def test_an_alarm_that_becomes_critical_is_judged_anew_and_people_are_called_once_more(bench: Bench) -> None:
    rule = LINK_RULE.model_copy(
        update={
            "ladder": (*LINK_RULE.ladder, Rung(ticket="go there")),
            "guards": RuleGuards(settle_seconds=0, attempts=9),
        }
    )
    scheduler, link = bench.scheduler(rules=(rule,)), bench.breaks()

    async def goes_wrong() -> None:
        """The repair of the first rung does not help."""
        for _ in range(5):
            await bench.round(scheduler)
            for run in bench.store.runs.active():
                bench.store.runs.advance(run, lambda _run, _jobs: Transition(RunState.FAILED, cancel_rest=True))

    await goes_wrong()
    assert (len(bench.runs()), len(told(bench, link))) == (1, 1)
    report(bench, CRITICAL)
    await goes_wrong()
    assert len(bench.runs()) == 2, "its ladder begins again"
    assert (bench.alarm(link).state, len(told(bench, link))) == (AlarmState.ESCALATED, 2)
    for severity in (MAJOR, CRITICAL, MAJOR, CRITICAL):
        report(bench, severity)
        await goes_wrong()
    assert (len(bench.runs()), len(told(bench, link))) == (2, 2), "a source that says both in turn calls nobody again"


MAINS = Rule(
    name="mains",
    description="",
    match=Match(causes=("mains-lost", "on-battery")),
    guards=RuleGuards(settle_seconds=1800, cool_down_seconds=43200),
    ladder=(Rung(ticket="bring a generator"),),
)


async def rounds(bench: Bench, scheduler: Remediator, seconds: float = 5) -> None:
    """A round, and some more for what it changed."""
    for _ in range(8):
        await bench.round(scheduler, seconds=seconds)


async def lose(bench: Bench) -> Alarm:
    """The station can't be reached any more, and a neighbour was read since: no cut explains it."""
    lost = bench.report("station", UNREACHABLE)
    await bench.clock.advance(1)
    bench.store.healths.save([Health(station=NEIGHBOUR, at=bench.clock.now(), reachable=True)])
    return lost


def kinds(bench: Bench, alarm: Alarm) -> list[str]:
    """How people were notified of an alarm."""
    return [kind for (one, _), kind in zip(bench.people.sent, bench.people.kinds, strict=True) if one.id == alarm.id]


@pytest.mark.parametrize("cause", ["mains-lost", "on-battery"])
async def test_people_are_paged_once_when_a_station_on_its_battery_goes_dark(bench: Bench, cause: str) -> None:
    scheduler = bench.scheduler(rules=(MAINS,))
    mains = bench.report("station", cause)
    await rounds(bench, scheduler, seconds=400)
    assert (bench.alarm(mains).state, told(bench, mains)) == (AlarmState.ESCALATED, ["bring a generator"])
    dark = await lose(bench)
    await rounds(bench, scheduler)
    assert bench.alarm(dark).root == mains.id
    assert bench.alarm(mains).severity is MAJOR, "its source says what it said before"
    assert [DARK in reason for reason in told(bench, mains)] == [False, True]
    assert kinds(bench, mains) == [TICKET, PAGE]
    lines = [str(row.detail) for row in bench.store.incidents.timeline(bench.alarm(mains).incident)]
    assert [line for line in lines if DARK in line and "CRITICAL" in line]
    for severity in (PerceivedSeverity.CLEARED, MAJOR) * 2:
        bench.report("station", UNREACHABLE, severity)
        await rounds(bench, scheduler)
    assert len(told(bench, mains)) == 2, "it is told once"
    bench.report("station", UNREACHABLE, PerceivedSeverity.CLEARED)
    await rounds(bench, scheduler, seconds=100)
    await lose(bench)
    await rounds(bench, scheduler)
    assert kinds(bench, mains) == [TICKET, PAGE, PAGE], "it had come back for long"
    assert told(bench, mains)[-1].startswith(f"{DARK} again")


async def test_a_station_that_is_dark_is_told_of_without_waiting(bench: Bench) -> None:
    scheduler = bench.scheduler(rules=(MAINS,))
    mains = bench.report("station", "mains-lost")
    await rounds(bench, scheduler)
    assert told(bench, mains) == []
    await lose(bench)
    await rounds(bench, scheduler)
    assert (kinds(bench, mains), [DARK in reason for reason in told(bench, mains)]) == ([PAGE], [True])


@pytest.mark.parametrize("settled", [False, True])
async def test_nobody_is_told_that_a_station_on_its_battery_is_dark_which_a_cut_explains(
    bench: Bench, *, settled: bool
) -> None:
    """The cut is found when the last station behind it was read."""
    scheduler = bench.scheduler(rules=(MAINS,))
    mains = bench.report("station", "mains-lost")
    await rounds(bench, scheduler, seconds=400 if settled else 5)
    before = kinds(bench, mains)
    lost = bench.report("station", UNREACHABLE)
    await rounds(bench, scheduler)
    cut = bench.store.alarms.report(
        AlarmReport(
            station="",
            object=NODE,
            object_class=ObjectClass.BACKHAUL,
            tenant="",
            probable_cause=BACKHAUL_DOWN,
            severity=CRITICAL,
            source=AlarmSource.CHECK,
            at=bench.clock.now(),
        )
    )
    await rounds(bench, scheduler, seconds=60)
    assert bench.alarm(lost).root == cut.id
    assert not [reason for reason in told(bench, mains) if DARK in reason]
    assert PAGE not in kinds(bench, mains)
    assert kinds(bench, mains)[: len(before)] == before


async def test_a_station_whose_neighbours_say_nothing_is_dark_after_two_rounds_of_checks(bench: Bench) -> None:
    scheduler = bench.scheduler(rules=(MAINS,))
    mains = bench.report("station", "mains-lost")
    bench.report("station", UNREACHABLE)
    await rounds(bench, scheduler)
    assert kinds(bench, mains) == []
    await rounds(bench, scheduler)
    assert (kinds(bench, mains), [DARK in reason for reason in told(bench, mains)]) == ([PAGE], [True])


async def test_critical_alarms_that_follow_from_one_people_know_of_page_them_once(bench: Bench) -> None:
    match = Match(causes=("all-core-links-down",))
    rule = MAINS.model_copy(update={"match": match, "guards": RuleGuards(settle_seconds=0)})
    scheduler = bench.scheduler(rules=(rule,))
    cut = bench.report("station", "all-core-links-down")
    for severity, kinds_so_far in ((MAJOR, [TICKET]), (CRITICAL, [TICKET, PAGE]), (MAJOR, None), (CRITICAL, None)):
        link = report(bench, severity)
        await rounds(bench, scheduler)
        assert bench.alarm(link).root == cut.id
        assert kinds(bench, cut) == (kinds_so_far or [TICKET, PAGE])
    assert "with what follows from it" in told(bench, cut)[1]


async def test_nobody_is_called_again_who_knows_that_it_is_critical(bench: Bench) -> None:
    rule = MAINS.model_copy(update={"match": Match(causes=("mains-lost",)), "guards": RuleGuards(settle_seconds=0)})
    scheduler = bench.scheduler(rules=(rule,))
    mains = bench.report("station", "mains-lost", CRITICAL)
    await rounds(bench, scheduler)
    await lose(bench)
    await rounds(bench, scheduler)
    assert kinds(bench, mains) == [TICKET]


async def test_a_rule_that_only_observes_since_its_demotion_calls_people_to_a_dark_station(bench: Bench) -> None:
    scheduler = bench.scheduler(rules=(MAINS,))
    mains = bench.report("station", "mains-lost")
    bench.store.transaction(demote, MAINS, "3 repairs in a row did not help", bench.clock.now(), EVERYWHERE)
    await rounds(bench, scheduler)
    assert told(bench, mains) == []
    await lose(bench)
    await rounds(bench, scheduler)
    assert len(told(bench, mains)) == 1


async def chatters(bench: Bench, scheduler: Remediator, times: int, cause: str = "mains-lost") -> list[Alarm]:
    """A sensor that says each four seconds that something is wrong, and two seconds later that it is not."""
    found = []
    for _ in range(times):
        found.append(bench.report("station", cause, MAJOR))
        await bench.round(scheduler, seconds=2)
        bench.report("station", cause, PerceivedSeverity.CLEARED)
        await bench.round(scheduler, seconds=2)
    return found


@pytest.mark.parametrize("cause", ["mains-lost", "no-rule-answers-this"])
async def test_a_sensor_that_says_yes_and_no_in_turn_is_one_incident_with_one_ticket(bench: Bench, cause: str) -> None:
    scheduler = bench.scheduler(rules=(MAINS,))
    alarms = await chatters(bench, scheduler, 30, cause)
    assert len({one.id for one in alarms}) == 30
    (incident,) = {bench.alarm(one).incident for one in alarms}
    ((alarm, reason),) = bench.people.sent
    assert (bench.people.kinds, bench.alarm(alarm).incident) == ([TICKET], incident)
    assert f"incident {incident} chatters: the same fault came again 10 times" in reason
    assert bench.runs() == []


async def test_what_comes_again_a_few_times_calls_nobody(bench: Bench) -> None:
    scheduler = bench.scheduler(rules=(MAINS,))
    await chatters(bench, scheduler, 10)
    assert bench.people.sent == []


async def test_a_sensor_that_chatters_again_another_day_is_told_of_again_and_nothing_of_a_shelved_one(
    bench: Bench,
) -> None:
    scheduler = bench.scheduler(rules=(MAINS,))
    await chatters(bench, scheduler, 13)
    await bench.clock.advance(86_400)
    await chatters(bench, scheduler, 13)
    assert len(bench.people.sent) == 2
    await bench.clock.advance(86_400)
    await chatters(bench, scheduler, 10)
    last = bench.report("station", "mains-lost", MAJOR)
    bench.store.alarms.shelve(last.id, bench.clock.now() + timedelta(hours=1), "rosa", "the sensor is known")
    await rounds(bench, scheduler, seconds=2)
    assert (len(bench.people.sent), bench.alarm(last).state) == (2, AlarmState.RAISED)


async def test_a_station_that_goes_dark_after_its_sensor_chattered_pages_people(bench: Bench) -> None:
    scheduler = bench.scheduler(rules=(MAINS,))
    await chatters(bench, scheduler, 13)
    assert bench.people.kinds == [TICKET]
    mains = bench.report("station", "mains-lost", MAJOR)
    await rounds(bench, scheduler)
    await lose(bench)
    await rounds(bench, scheduler)
    assert (kinds(bench, mains), [DARK in reason for reason in told(bench, mains)]) == ([PAGE], [True])
    assert bench.people.kinds == [TICKET, PAGE]


@pytest.mark.parametrize(("severity", "pages"), [(MAJOR, 1), (CRITICAL, 2)])
async def test_a_return_of_what_flaps_calls_people_once_more_where_it_is_graver(
    bench: Bench, severity: PerceivedSeverity, pages: int
) -> None:
    scheduler = bench.scheduler(rules=(LINK_RULE,))
    for _ in range(3):
        bench.heals(bench.breaks())
        await bench.round(scheduler)
    bench.breaks()
    await rounds(bench, scheduler)
    assert len(bench.people.sent) == 1
    bench.report("/EP_S1C[one]", CORE_LINK_DOWN, PerceivedSeverity.CLEARED)
    for _ in range(2):
        again = report(bench, severity)
        await rounds(bench, scheduler)
        bench.report("/EP_S1C[one]", CORE_LINK_DOWN, PerceivedSeverity.CLEARED)
        await bench.round(scheduler)
    assert len(bench.people.sent) == pages
    assert bench.runs() == []
    assert again.incident
