"""Modes of rules on record, and what rules propose."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from controller.models.alarm import CELL_UNSTABLE, Alarm, AlarmState
from controller.models.errors import ConflictError, NotFoundError
from controller.models.rule import EVERYWHERE, Proposal, ProposalState, RuleMode, likeness
from controller.ports.clock import VirtualClock
from controller.store import Page, Store
from tests.contract.store.test_alarms import CLEARED, CRITICAL, MAJOR, report

STATES = ProposalState


def promote(store: Store, mode: RuleMode, scope: str = EVERYWHERE, rule: str = "one") -> None:
    store.rules.set_mode(rule, scope, mode, by="ana", reason="CHG-7", digest="d")


def propose(store: Store, alarm: Alarm, state: ProposalState, **fields: object) -> Proposal:
    known: dict[str, object] = {"id": "", "alarm": alarm.id, "station": alarm.station, "rule": "one", "digest": "d"}
    known |= {"rung": 0, "mode": RuleMode.AUTO, "playbook": "restart", "parameters": {"station": "A"}, "state": state}
    return store.rules.propose(Proposal.model_validate(known | {"seen": likeness(alarm), "at": alarm.raised} | fields))


def later(clock: VirtualClock, seconds: float) -> None:
    asyncio.run(clock.advance(seconds))


def test_the_newest_mode_of_a_scope_is_in_force(store: Store) -> None:
    assert store.rules.grants() == []
    for mode, scope in (
        (RuleMode.ASK, ""),
        (RuleMode.AUTO, "region:cusco"),
        (RuleMode.AUTO, ""),
        (RuleMode.OBSERVE, ""),
    ):
        promote(store, mode, scope)
    promote(store, RuleMode.ASK, rule="two")
    assert [(one.rule, one.scope, one.mode) for one in store.rules.grants()] == [
        ("one", "", RuleMode.OBSERVE),
        ("one", "region:cusco", RuleMode.AUTO),
        ("two", "", RuleMode.ASK),
    ]
    row = next(row for row in store.audit.page(Page())[1] if row.object == "two")
    assert (row.actor, row.action, row.detail["mode"], row.detail["successes"]) == ("ana", "rule.mode-set", "ask", "0")


def test_a_mode_that_was_taken_back_with_its_transaction_was_never_in_force(store: Store) -> None:
    def fail(tx: Store) -> None:
        tx.rules.set_mode("one", EVERYWHERE, RuleMode.AUTO, by="ana", reason="CHG-7", digest="d")
        assert [one.mode for one in tx.rules.grants()] == [RuleMode.AUTO]
        raise ConflictError("another was faster")

    with pytest.raises(ConflictError):
        store.transaction(fail)
    assert store.rules.grants() == []
    promote(store, RuleMode.ASK, "region:cusco")
    assert [(one.scope, one.mode) for one in store.rules.grants()] == [("region:cusco", RuleMode.ASK)]


def test_a_mode_that_is_set_lets_all_alarms_be_looked_at_again(store: Store) -> None:
    alarm = store.alarms.report(report(MAJOR, 1))
    seen, _ = store.alarms.changes(None)
    assert store.alarms.changes(seen) == (seen, [])
    promote(store, RuleMode.AUTO)
    assert store.alarms.changes(seen)[1] == [alarm.id]


def test_a_proposal_is_kept_moved_and_listed(store: Store) -> None:
    alarm, other = (store.alarms.report(report(MAJOR, 1, station)) for station in "AB")
    first = propose(store, alarm, STATES.ASKED, before=("/x",))
    second = propose(store, other, STATES.RUNNING, run="r-1", rule="two")
    assert store.rules.get(first.id) == first
    assert store.rules.page(Page()) == (2, [second, first])
    assert store.rules.page(Page(), [STATES.RUNNING]) == (1, [second])
    assert store.rules.page(Page(), rule="one") == (1, [first])
    assert store.rules.page(Page(), alarm=other.id) == (1, [second])
    assert store.rules.of_alarm(alarm.id) == [first]
    moved = store.rules.move(first, STATES.RUNNING, run="r-2", before=("/y",))
    assert moved is not None
    assert (moved.state, moved.run, moved.before, moved.ended) == (STATES.RUNNING, "r-2", ("/y",), None)
    assert store.rules.move(first, STATES.VOID) is None, "it is not as it was seen any more"
    failed = store.rules.move(moved, STATES.FAILED, reason="it stands", after=())
    assert failed is not None
    assert (failed.reason, failed.after, failed.ended is None) == ("it stands", (), False)
    assert store.rules.get(second.id).after is None, "nobody looked yet"
    with pytest.raises(NotFoundError, match="no proposal p-0"):
        store.rules.get("p-0")


def test_the_first_answer_counts_while_the_alarm_is_as_it_was(store: Store) -> None:
    alarm = store.alarms.report(report(MAJOR, 1))
    asked, again, late = (propose(store, alarm, STATES.ASKED) for _ in range(3))
    yes = store.rules.answer(asked.id, yes=True, by="ana", reason="INC-7")
    assert (yes.state, yes.by, yes.reason, yes.decided is None) == (STATES.APPROVED, "ana", "INC-7", False)
    with pytest.raises(ConflictError, match="it is approved"):
        store.rules.answer(asked.id, yes=False, by="ben", reason="")
    assert store.rules.answer(again.id, yes=False, by="ben", reason="").state is STATES.DENIED
    store.alarms.report(report(CRITICAL, 2))
    with pytest.raises(ConflictError, match="changed since"):
        store.rules.answer(late.id, yes=True, by="ana", reason="")
    store.alarms.report(report(MAJOR, 3))
    store.alarms.report(report(CLEARED, 4))
    with pytest.raises(ConflictError, match="changed since"):
        store.rules.answer(late.id, yes=True, by="ana", reason="")
    acts = [row.action for row in store.audit.page(Page(limit=100))[1] if row.object == alarm.id]
    assert acts.count("alarm.repair-approved") == acts.count("alarm.repair-denied") == 1


def test_a_repair_of_another_alarm_is_known_while_it_works_or_is_verified(store: Store, clock: VirtualClock) -> None:
    begun = int((clock.now() - store.alarms.report(report(MAJOR, 0)).raised).total_seconds())
    first = store.alarms.report(report(MAJOR, 0))
    running = propose(store, first, STATES.RUNNING, run="r-1")
    later(clock, 10)

    def raised(at: int, station: str = "A") -> Alarm:
        new = report(MAJOR, begun + at, station).model_copy(update={"object": f"/{station}{at}"})
        return store.alarms.report(new)

    assert store.rules.during(raised(-1)) is None
    assert store.rules.during(raised(5)) == running
    assert store.rules.during(raised(5, "B")) is None
    assert store.rules.during(first) is None, "its own"
    ended = store.rules.move(running, STATES.SUCCEEDED)
    later(clock, 10)
    assert store.rules.during(raised(6)) == ended
    assert store.rules.during(raised(15)) is None


def test_figures_count_alarms_since_the_last_promotion(store: Store, clock: VirtualClock) -> None:
    def repaired(number: int, state: ProposalState, end: AlarmState) -> None:
        alarm = store.alarms.report(report(MAJOR, number).model_copy(update={"object": f"/{number}"}))
        ran = propose(store, alarm, STATES.RUNNING, run=f"r-{number}")
        store.rules.move(ran, state)
        store.alarms.move(alarm, end, actor="minka")

    seen = [store.alarms.report(report(MAJOR, 1, station)) for station in "ABC"]
    propose(store, seen[0], STATES.OBSERVED)
    propose(store, seen[1], STATES.OBSERVED, obstacle="a hold")
    propose(store, seen[2], STATES.OBSERVED)
    store.alarms.report(report(CLEARED, 2, "C"))
    repaired(11, STATES.SUCCEEDED, AlarmState.REPAIRED)
    figures = store.rules.figures("one")
    assert (figures.observed, figures.refused, figures.healed, figures.successes) == (3, 1, 1, 1)
    later(clock, timedelta(minutes=1).total_seconds())
    promote(store, RuleMode.AUTO)
    ends = ((STATES.FAILED, AlarmState.ESCALATED), (STATES.SUCCEEDED, AlarmState.REPAIRED))
    for number, (state, end) in enumerate((*ends, ends[0], ends[0]), 20):
        repaired(number, state, end)
    repaired(30, STATES.FAILED, AlarmState.RAISED)  # its ladder goes on
    figures = store.rules.figures("one")
    assert (figures.successes, figures.failures, figures.in_a_row) == (1, 3, 2)
    assert store.rules.figures("two").sample == 0


@pytest.mark.parametrize(
    ("after", "what", "helped"),
    [
        (240, {}, False),
        (1800, {}, False),
        (1801, {}, True),
        (240, {"probable_cause": CELL_UNSTABLE}, False),
        (240, {"object": "/other"}, True),
        (240, {"station": "B"}, True),
        (240, {"probable_cause": "another"}, True),
        (None, {}, True),
    ],
)
def test_a_fault_that_comes_again_within_the_time_that_its_rule_names_was_not_cured(
    store: Store, clock: VirtualClock, after: int | None, what: dict[str, str], helped: bool
) -> None:
    fault = report(MAJOR, 1).model_copy(update={"object": "/cell", "probable_cause": "cell-off-air"})
    alarm = store.alarms.report(fault)
    ran = propose(store, alarm, STATES.RUNNING, run="r-1", holds=1800)
    store.alarms.report(fault.model_copy(update={"severity": CLEARED, "at": clock.now()}))
    later(clock, 60)
    store.rules.move(ran, STATES.SUCCEEDED)
    store.alarms.move(store.alarms.get(alarm.id), AlarmState.REPAIRED, actor="minka")
    if after is not None:
        later(clock, after)
        store.alarms.report(fault.model_copy(update=what | {"at": clock.now()}))
    figures = store.rules.figures("one")
    assert (figures.successes, figures.failures) == ((1, 0) if helped else (0, 1))
    assert figures.in_a_row == (0 if helped else 1)


def test_figures_are_those_of_a_scope_and_since_a_time(store: Store, clock: VirtualClock) -> None:
    begun = clock.now()
    for number, scope in enumerate(("", "region:cusco", "", "region:lima")):
        later(clock, 60)
        alarm = store.alarms.report(report(MAJOR, number).model_copy(update={"object": f"/{number}"}))
        ran = propose(store, alarm, STATES.RUNNING, run=f"r-{number}", scope=scope)
        store.rules.move(ran, STATES.FAILED)
        store.alarms.move(alarm, AlarmState.ESCALATED, actor="minka")
    counts = [store.rules.figures("one", scope).in_a_row for scope in (None, "", "region:cusco", "region:puno")]
    assert counts == [4, 2, 1, 0]
    assert store.rules.figures("one", since=begun + timedelta(seconds=150)).failures == 2
    later(clock, 1)
    promote(store, RuleMode.AUTO, "region:lima")
    assert store.rules.figures("one").failures == 3, "a promotion begins the record of its scope again"
