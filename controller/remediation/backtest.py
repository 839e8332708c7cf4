"""What rules would have done about alarms on record: reports come in again, in virtual time, on a record of its own.

The same folding, roots and guards decide as ever. What the record does not tell can't be asked: whether a station could
be read then and what it said, holds, freezes, windows, consents, announced work, shelving, runs of people, and what a
run would have reached. So where a guard says no here it would have said no, and where none does another might have. No
device is touched, and nothing is planned: what came after is what really came.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby

from pydantic import AwareDatetime

from controller.models.alarm import Alarm, AlarmState, RecordedReport
from controller.models.network import Network, Noun
from controller.models.rule import RuleMode
from controller.ports.clock import VirtualClock
from controller.ports.store import StartedRepair, Store
from controller.remediation.breaker import Breaker
from controller.remediation.guards import Limits, Repair, of_fault, refusal, settle_seconds
from controller.remediation.rules import Rule, rule_for

#: How long after a guard's no that ends at no known time it is asked again.
_AGAIN = timedelta(minutes=5)

_BROKEN = "too many repairs began at once"


class Verdict(StrEnum):
    """What would have become of an alarm."""

    ACTED = "acted"
    """The rule would have run a playbook, if nothing that is not on record had said no."""
    ASKED = "asked"
    """It would have asked a person."""
    PEOPLE = "people"
    """It would have gone to people: by a rung, after the last one, or by a guard whose no waiting does not end."""
    HEALED = "healed"
    """It was over before that."""
    KEPT = "kept"
    """A guard's no kept it to the end."""


class LaterRung(Noun):
    """A rung of the ladder after the first one, which would have been taken since the alarm stood on.

    Attributes:
        rung: Its place on the ladder, from 2; one more than the ladder has where people come after its last rung.
        verdict: ``acted``, ``asked`` or ``people``.
    """

    rung: int
    verdict: Verdict
    playbook: str = ""
    at: AwareDatetime


class Backtested(Noun):
    """An alarm of the record, and what a rule would have done about it.

    Attributes:
        alarm: Its id on record.
        at: When the verdict fell; None where it is still kept.
        refusals: Guards that said no on the way, each with what it said first.
        cleared: When the alarm was over; None where it stood at the end.
        later: Rungs that would have followed, each since the alarm stood on when the one before had had its time (what
            a playbook would have changed of that, nobody knows).
        really: The rule that really began a repair for it, and the run; empty where none did.
    """

    alarm: str
    rule: str
    station: str
    object: str
    probable_cause: str
    raised: AwareDatetime
    verdict: Verdict = Verdict.KEPT
    playbook: str = ""
    at: AwareDatetime | None = None
    refusals: dict[str, str] = {}
    cleared: AwareDatetime | None = None
    later: tuple[LaterRung, ...] = ()
    really: str = ""
    run: str = ""


class RuleTested(Noun):
    """What a rule would have done in all.

    Attributes:
        verdicts: Alarms by verdict.
        refusals: Alarms by guards that said no on the way.
        runs: Runs of playbooks by their names, on all rungs: what it would have cost the stations.
        both: Alarms for which it would have acted, and a repair was really begun.
        only_here: Those for which none was begun.
        only_really: Those for which one was begun, and it would not have acted.
    """

    rule: str
    verdicts: dict[Verdict, int]
    refusals: dict[str, int]
    runs: dict[str, int]
    both: int
    only_here: int
    only_really: int


class Backtest:
    """Plays reports against rules.

    Args:
        store: An empty record, which keeps time by ``clock``; the current network is put there.
        clock: Virtual time, from before the first report.
        network: Network files of today, also for reports from when they were others.
        rules: The rules to be tried; each as if it were promoted to act everywhere.

    Attributes:
        runs: Runs that would have begun, by rule and playbook; one repairs all alarms of a fault.
    """

    def __init__(
        self,
        store: Store,
        clock: VirtualClock,
        network: tuple[str, Network],
        rules: Sequence[Rule],
        limits: Limits,
        breaker: Breaker,
    ) -> None:
        digest, self._network = network
        store.networks.save(self._network, digest, "backtest")
        self._store, self._clock = store, clock
        self._rules, self._limits, self._breaker = rules, limits, breaker
        self.runs: Counter[tuple[str, str]] = Counter()
        self._seen, _ = store.alarms.changes(None)
        #: Whether too many repairs began at once: nobody is there to let them begin again.
        self._broken = False
        #: Times at which alarms are due, and by alarm the one that counts.
        self._due: list[tuple[datetime, str]] = []
        self._next: dict[str, datetime] = {}
        #: By alarm, the rung that is next, where that is not the first.
        self._rung: dict[str, int] = {}
        #: Ids on the true record, and what was found, by ids on ours.
        self._true: dict[str, str] = {}
        self._found: dict[str, Backtested] = {}

    def play(
        self, reports: Iterable[RecordedReport], really: Iterable[StartedRepair], end: datetime
    ) -> list[Backtested]:
        """Play reports, in the order of their numbers, and go on to an end.

        Returns:
            All alarms that rules answer, in the order of their raising.
        """
        for at, batch in groupby(reports, key=lambda one: one.received):
            self._replay_until(at)
            self._take(list(batch))
        self._replay_until(end)
        began = {one.alarm: one for one in really}
        for name, one in self._found.items():
            if repair := began.get(one.alarm):
                self._found[name] = one.model_copy(update={"really": repair.rule, "run": repair.run})
        return sorted(self._found.values(), key=lambda one: (one.raised, one.alarm))

    def _take(self, batch: Sequence[RecordedReport]) -> None:
        # The digest stands for the body, which was cut.
        reports = [one.report.model_copy(update={"body": one.digest}) for one in batch]
        for one, alarm in zip(batch, self._store.alarms.report_all(reports), strict=True):
            self._true.setdefault(alarm.id, one.alarm)
        while self._store.alarms.correlate_more():
            pass
        self._note_changes()
        self._replay_until(self._clock.now())

    def _note_changes(self) -> None:
        self._seen, changed = self._store.alarms.changes(self._seen)
        for alarm_id in changed:
            self._due_at(alarm_id, self._clock.now())

    def _due_at(self, alarm_id: str, at: datetime) -> None:
        self._next[alarm_id] = at
        heapq.heappush(self._due, (at, alarm_id))

    def _replay_until(self, end: datetime) -> None:
        """Take up what is due until then, and let it be then."""
        while self._due and self._due[0][0] <= end:
            at, alarm_id = heapq.heappop(self._due)
            if self._next.get(alarm_id) == at:
                self._pass_to(at)
                del self._next[alarm_id]
                self._decide(self._store.alarms.get(alarm_id))
                self._note_changes()
        self._pass_to(end)

    def _pass_to(self, at: datetime) -> None:
        self._clock.pause((at - self._clock.now()).total_seconds())

    def _decide(self, alarm: Alarm) -> None:
        rule = rule_for(self._rules, alarm, self._network)
        if rule is None or alarm.id not in self._true:
            return
        if alarm.id not in self._found and alarm.raised == alarm.cleared:
            return  # it was raised before the first report
        found = self._found.setdefault(alarm.id, self._begun(alarm, rule))
        if alarm.cleared is not None:
            self._end(alarm, found)
        elif alarm.state is AlarmState.REPAIRING:
            self._wait_for_end(alarm, rule, found)
        elif alarm.state is AlarmState.RAISED and (found.verdict is Verdict.KEPT or alarm.id in self._rung):
            self._consider(alarm, rule)

    def _begun(self, alarm: Alarm, rule: Rule) -> Backtested:
        return Backtested(
            alarm=self._true[alarm.id],
            rule=rule.name,
            station=alarm.station,
            object=alarm.object,
            probable_cause=alarm.probable_cause,
            raised=alarm.raised,
        )

    def _note(self, alarm: Alarm, **said: object) -> None:
        self._found[alarm.id] = self._found[alarm.id].model_copy(update=said)

    def _end(self, alarm: Alarm, found: Backtested) -> None:
        self._note(alarm, cleared=alarm.cleared)
        if found.verdict is Verdict.KEPT:
            self._note(alarm, verdict=Verdict.HEALED, at=alarm.cleared)
        if alarm.state is AlarmState.REPAIRING:
            self._store.alarms.move(alarm, AlarmState.REPAIRED, actor="backtest")

    def _wait_for_end(self, alarm: Alarm, rule: Rule, found: Backtested) -> None:
        """Take the next rung once the playbook has had its time; after the last one it is people's."""
        began = found.later[-1].at if found.later else found.at
        assert began is not None
        over = began + timedelta(seconds=rule.verify.within_seconds)
        if self._clock.now() < over:
            self._due_at(alarm.id, over)
            return
        rung = self._rung[alarm.id] = self._rung.get(alarm.id, 0) + 1
        if rung == len(rule.ladder):
            self._hand_over(alarm, Verdict.PEOPLE, self._clock.now())
        else:
            self._store.alarms.move(alarm, AlarmState.RAISED, actor="backtest")

    def _consider(self, alarm: Alarm, rule: Rule) -> None:
        now = self._clock.now()
        seconds = settle_seconds(rule, alarm, self._network)
        settled = max(filter(None, (alarm.raised, alarm.released))) + timedelta(seconds=seconds)
        if now < settled:  # the guard would say so, at the price of asking all before it
            self._due_at(alarm.id, settled)
            return
        repair = Repair(alarm, rule, self._rung.get(alarm.id, 0), RuleMode.AUTO, limits=self._limits)
        no = refusal(self._store, repair, now)
        if no is None:
            self._act(repair, now)
            return
        self._refuse(alarm, no.guard, no.reason)
        if no.final:
            self._hand_over(alarm, Verdict.PEOPLE, now)
        elif no.guard != "symptom":  # of which a change tells that it is none any more
            self._due_at(alarm.id, max(now + timedelta(seconds=1), no.until) if no.until else now + _AGAIN)

    def _refuse(self, alarm: Alarm, guard: str, reason: str) -> None:
        self._note(alarm, refusals={guard: reason} | self._found[alarm.id].refusals)

    def _act(self, repair: Repair, now: datetime) -> None:
        alarm, rung = repair.alarm, repair.rule.ladder[repair.rung]
        if not rung.playbook:
            self._hand_over(alarm, Verdict.ASKED if rung.ask else Verdict.PEOPLE, now)
        elif self._breaker.began(self._store, now) >= self._breaker.limit:
            self._broken = True
            self._refuse(alarm, "breaker", _BROKEN)
        else:
            run = f"{alarm.id}:{repair.rung}"
            self.runs[repair.rule.name, rung.playbook] += 1
            self._store.repairs.record(repair.rule.name, repair.key, alarm.id, run)
            for one in (alarm, *of_fault(self._store, repair.rule, alarm, self._network, now)):
                self._found.setdefault(one.id, self._begun(one, repair.rule))
                if repair.rung:
                    self._rung[one.id] = repair.rung
                self._took(one, Verdict.ACTED, now, rung.playbook)
                self._store.alarms.move(one, AlarmState.REPAIRING, actor="backtest", run=run)

    def _hand_over(self, alarm: Alarm, verdict: Verdict, now: datetime) -> None:
        self._took(alarm, verdict, now)
        self._store.alarms.escalate(alarm, verdict.value, actor="backtest")

    def _took(self, alarm: Alarm, verdict: Verdict, at: datetime, playbook: str = "") -> None:
        """Note which rung would have been taken."""
        found = self._found[alarm.id]
        if found.verdict is Verdict.KEPT:
            self._note(alarm, verdict=verdict, at=at, playbook=playbook)
            return
        later = LaterRung(rung=self._rung.get(alarm.id, 0) + 1, verdict=verdict, playbook=playbook, at=at)
        self._note(alarm, later=(*found.later, later))


def summed_up(
    rules: Sequence[Rule], found: Sequence[Backtested], runs: Mapping[tuple[str, str], int]
) -> list[RuleTested]:
    """What each rule would have done in all, also those that answered nothing."""
    made = []
    for rule in rules:
        own = [one for one in found if one.rule == rule.name]
        acted = [one for one in own if one.verdict is Verdict.ACTED]
        made.append(
            RuleTested(
                rule=rule.name,
                verdicts=Counter(one.verdict for one in own),
                refusals=Counter(guard for one in own for guard in one.refusals),
                runs={playbook: number for (name, playbook), number in runs.items() if name == rule.name},
                both=sum(bool(one.run) for one in acted),
                only_here=sum(not one.run for one in acted),
                only_really=sum(bool(one.run) for one in own if one.verdict is not Verdict.ACTED),
            )
        )
    return made
