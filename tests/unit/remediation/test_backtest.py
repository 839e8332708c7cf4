"""Recorded reports are played against rules: what they would have done, when, and what guards would have said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta

import pytest

from controller.models.alarm import AlarmReport, AlarmState, PerceivedSeverity
from controller.models.network import network_digest
from controller.ports.clock import VirtualClock
from controller.remediation.backtest import Backtest, Backtested, Verdict, summed_up
from controller.remediation.breaker import Breaker
from controller.remediation.guards import Limits
from controller.remediation.rules import Match, Rule, RuleGuards, Rung, Verify
from controller.store import Page, Store, open_store
from tests.support.records import START
from tests.unit.plan import samples

NETWORK = samples.network(("alfa", "beta"))
MAJOR, CLEARED = PerceivedSeverity.MAJOR, PerceivedSeverity.CLEARED


def rule(name: str = "link", *, causes: tuple[str, ...] = ("core-link-down",), **more: object) -> Rule:
    said = {"ladder": (Rung(playbook="recreate-core-endpoint"),), "guards": RuleGuards(settle_seconds=30)} | more
    return Rule.model_validate(
        {"name": name, "description": "", "match": Match(causes=causes), "verify": Verify(within_seconds=300)} | said
    )


class Bench:
    """The true record, in which reports come as time goes by."""

    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        self.store: Store = open_store("sqlite://", self.clock)
        self.store.networks.save(NETWORK, network_digest(NETWORK), "ana")
        self.runs: Mapping[tuple[str, str], int] = {}
        self.served: Mapping[str, int] = {}

    def report(
        self,
        severity: PerceivedSeverity,
        after: float,
        *stations: str,
        cause: str = "core-link-down",
        tenant: str = "alfa",
        object: str = "link",
    ) -> list[str]:
        """Reports after a while; ids of their alarms."""
        self.clock.pause(after)
        one = {"object": object, "probable_cause": cause, "severity": severity, "source": "check", "tenant": tenant}
        reports = [AlarmReport.model_validate(one | {"station": name, "at": self.clock.now()}) for name in stations]
        return [alarm.id for alarm in self.store.alarms.report_all(reports)]

    def play(self, *rules: Rule, limits: Limits = Limits(), breaker: Breaker = Breaker()) -> list[Backtested]:  # noqa: B008
        clock = VirtualClock(START)
        with closing(open_store("sqlite://", clock)) as shadow:
            test = Backtest(shadow, clock, self.store.networks.get(), rules, limits, breaker)
            reports, really = self.store.reports.after(-1, 1000), self.store.repairs.since(START)
            repaired = [one.id for one in self.store.alarms.page(Page())[1] if one.state is AlarmState.REPAIRED]
            found = test.play(reports, really, self.clock.now(), repaired)
            self.runs, self.served = test.runs, test.served
            return found


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    with closing(made.store):
        yield made


def seconds(one: Backtested) -> float | None:
    return None if one.at is None else (one.at - START).total_seconds()


def test_what_stands_is_acted_on_once_it_settled_and_what_heals_is_not(bench: Bench) -> None:
    (lasting,) = bench.report(MAJOR, 10, "S1")
    (passing,) = bench.report(MAJOR, 10, "S2")
    bench.report(CLEARED, 15, "S2")
    bench.report(CLEARED, 400, "S1")
    first, second = bench.play(rule())
    assert (first.alarm, first.verdict, seconds(first), first.playbook) == (
        lasting,
        Verdict.ACTED,
        40,
        "recreate-core-endpoint",
    )
    assert first.cleared == START + timedelta(seconds=435)
    (then,) = first.later
    assert first.at is not None
    assert (then.rung, then.verdict, then.at) == (2, Verdict.PEOPLE, first.at + timedelta(seconds=300))
    assert (second.alarm, second.verdict, seconds(second)) == (passing, Verdict.HEALED, 35)
    # With more patience another rule would have waited for both.
    patient = rule(guards=RuleGuards(settle_seconds=600))
    assert [one.verdict for one in bench.play(patient)] == [Verdict.HEALED] * 2


def test_guards_that_the_record_decides_say_no(bench: Bench) -> None:
    for _ in range(2):
        bench.report(MAJOR, 10, "S1")
        bench.report(CLEARED, 100, "S1")
    bench.report(MAJOR, 10, "S2")
    bench.report(MAJOR, 10, "S2", object="other")
    bench.report(MAJOR, 120, "S1", cause="answered-by-nobody")
    once, again, first, rated = bench.play(rule(), limits=Limits(per_device=1))
    assert (once.verdict, again.verdict, list(again.refusals)) == (
        Verdict.ACTED,
        Verdict.PEOPLE,
        ["attempts", "flapping"],
    )
    assert (first.verdict, rated.verdict, list(rated.refusals)) == (Verdict.ACTED, Verdict.KEPT, ["rate"])
    (summary,) = summed_up([rule()], [once, again, first, rated], bench.runs, bench.served)
    assert summary.verdicts == {Verdict.ACTED: 2, Verdict.PEOPLE: 1, Verdict.KEPT: 1}
    assert (summary.refusals, summary.both, summary.only_here) == ({"attempts": 1, "flapping": 1, "rate": 1}, 0, 2)


def test_a_symptom_waits_for_its_root_and_settles_anew(bench: Bench) -> None:
    bench.report(MAJOR, 10, "S1", cause="all-core-links-down", tenant="", object="station")
    bench.report(MAJOR, 1, "S1")
    bench.report(CLEARED, 100, "S1", cause="all-core-links-down", tenant="", object="station")
    bench.report(CLEARED, 100, "S1")
    (one,) = bench.play(rule())
    assert (one.verdict, seconds(one), list(one.refusals)) == (Verdict.ACTED, 141, ["symptom"])


def test_the_breaker_stops_what_is_too_much_at_once(bench: Bench) -> None:
    for number in range(4):
        bench.report(MAJOR, 1, "S1", object=f"link-{number}")
    bench.clock.pause(300)
    generous = Limits(per_device=9, per_site=9, per_region=9, per_tenant=9, share=100)
    found = bench.play(rule(), limits=generous, breaker=Breaker(2, 10))
    assert [one.verdict for one in found] == [Verdict.ACTED] * 2 + [Verdict.KEPT] * 2
    assert [list(one.refusals) for one in found[2:]] == [["breaker"]] * 2


def test_rules_that_ask_or_send_a_ticket_say_so_and_the_first_rung_counts(bench: Bench) -> None:
    bench.report(MAJOR, 10, "S1")
    bench.clock.pause(60)
    playbook = Rung(playbook="recreate-core-endpoint")
    for ladder, verdict in (((Rung(ask="may I?"), playbook), "asked"), ((Rung(ticket="go there"),), "people")):
        (one,) = bench.play(rule(ladder=ladder))
        assert (one.verdict, one.playbook) == (verdict, "")


def test_what_was_really_done_stands_beside_it(bench: Bench) -> None:
    for station, settled in (("S1", True), ("S2", False)):
        (alarm_id,) = bench.report(MAJOR, 10, station)
        alarm = bench.store.alarms.get(alarm_id)
        bench.store.repairs.record("old-rule", f"{station}:link", alarm_id, f"w-{station}")
        assert bench.store.alarms.move(alarm, AlarmState.REPAIRING, actor="x", run=f"w-{station}") is not None
        bench.report(CLEARED, 40 if settled else 20, station)
        if settled:
            cleared = bench.store.alarms.get(alarm_id)
            assert bench.store.alarms.move(cleared, AlarmState.REPAIRED, actor="x") is not None
    found = bench.play(rule())
    assert [(one.verdict, one.really, one.run) for one in found] == [
        (Verdict.ACTED, "old-rule", "w-S1"),
        (Verdict.HEALED, "old-rule", "w-S2"),
    ]
    (summary,) = summed_up([rule()], found, bench.runs, bench.served)
    assert (summary.both, summary.cured, summary.only_here, summary.only_really) == (1, 1, 0, 1)


def test_it_says_how_much_a_cure_would_have_saved_at_most_and_how_many_cells_were_in_service(bench: Bench) -> None:
    everything = len(NETWORK.cells_by_station["S1"])
    bench.report(MAJOR, 10, "S2", cause="all-core-links-down", tenant="", object="station")
    bench.report(MAJOR, 10, "S1")
    bench.report(CLEARED, 150, "S1")
    bench.clock.pause(60)
    both = rule(causes=("core-link-down", "all-core-links-down"), ladder=(Rung(playbook="restart-station"),))
    dead, alive = found = bench.play(both, limits=Limits(share=100))
    assert (dead.served, alive.served) == (0, everything)
    stood = [round(one.stood * 60) for one in found]
    assert stood == [190, 120], "to the end of what is played, and to the end of the alarm"
    (summary,) = summed_up([both], found, bench.runs, bench.served)
    assert (round(summary.stood * 60), summary.served) == (310, everything)


def test_reports_of_before_are_no_cases_and_a_change_of_rules_changes_the_answer(bench: Bench) -> None:
    bench.report(CLEARED, 10, "S1")
    bench.report(MAJOR, 10, "S2", cause="x")
    bench.clock.pause(60)
    assert bench.play(rule()) == []
    (one,) = bench.play(rule(causes=("x",)))
    assert one.verdict is Verdict.ACTED


def test_all_links_of_one_fault_would_have_been_repaired_together(bench: Bench) -> None:
    for name in ("one", "two", "three"):
        bench.report(MAJOR, 10, "S1", object=name)
    bench.report(MAJOR, 0, "S1", object="four", tenant="beta")
    bench.report(CLEARED, 120, "S1", object="one")
    given = {"endpoint": "{{ alarm.objects }}"}
    together = rule(ladder=(Rung(playbook="recreate-core-endpoint", parameters=given),))
    found = bench.play(together)
    assert {one.verdict for one in found} == {Verdict.ACTED}
    assert {seconds(one) for one in found} == {60}, "once the last of them had settled"
    (summary,) = summed_up([together], found, bench.runs, bench.served)
    assert summary.runs == {"recreate-core-endpoint": 2}, "one for each tenant"


def test_rungs_follow_one_another_while_the_alarm_stands_on(bench: Bench) -> None:
    playbooks = ("cycle-cell", "reset-radio-unit", "restart-station")
    ladder = (*(Rung(playbook=name) for name in playbooks), Rung(ticket="go there"))
    for station in ("S1", "S2"):
        bench.report(MAJOR, 10, station)
    bench.report(CLEARED, 500, "S2")
    bench.clock.pause(600)
    tried = rule(ladder=ladder)
    through, cured = found = bench.play(tried, limits=Limits(share=100))
    assert [(one.rung, one.verdict, one.playbook) for one in through.later] == [
        (2, Verdict.ACTED, "reset-radio-unit"),
        (3, Verdict.ACTED, "restart-station"),
        (4, Verdict.PEOPLE, ""),
    ]
    assert through.at is not None
    assert [one.at - through.at for one in through.later] == [timedelta(seconds=300 * n) for n in (1, 2, 3)]
    assert [one.playbook for one in cured.later] == ["reset-radio-unit"], "its alarm was over before the third"
    (summary,) = summed_up([tried], found, bench.runs, bench.served)
    assert summary.runs == {"cycle-cell": 2, "reset-radio-unit": 2, "restart-station": 1}
    asks = rule(ladder=(ladder[0], Rung(ask="may I?"), *ladder[1:]))
    assert [(one.rung, one.verdict) for one in bench.play(asks)[0].later] == [(2, Verdict.ASKED)], "nobody answers"


def test_guards_are_asked_of_later_rungs_too(bench: Bench) -> None:
    bench.report(MAJOR, 10, "S1")
    bench.clock.pause(900)
    two = rule(ladder=(Rung(playbook="cycle-cell"), Rung(playbook="restart-station"), Rung(page="see to it")))
    (one,) = bench.play(two, limits=Limits(per_device=1))
    assert (one.verdict, one.later, list(one.refusals)) == (Verdict.ACTED, (), ["rate"])


def test_people_come_again_when_a_station_on_its_battery_goes_dark_and_at_once_when_it_is(bench: Bench) -> None:
    for name in ("S1", "S2"):
        bench.report(MAJOR, 10, name, cause="mains-lost", tenant="", object="station")
    bench.report(MAJOR, 50, "S2", cause="station-unreachable", tenant="", object="station")
    bench.report(MAJOR, 4000, "S1", cause="station-unreachable", tenant="", object="station")
    bench.report(MAJOR, 100, "S1", cause="core-link-down", tenant="alfa")
    mains = rule(causes=("mains-lost",), ladder=(Rung(ticket="go"),), guards=RuleGuards(settle_seconds=1800))
    first, second = bench.play(mains)
    assert (first.verdict, seconds(first), second.verdict, seconds(second)) == (
        *(Verdict.PEOPLE, 1810),
        *(Verdict.PEOPLE, 70),
    )
    (again,) = first.later
    assert (again.verdict, again.at, second.later) == (Verdict.PEOPLE, START + timedelta(seconds=4070), ())
