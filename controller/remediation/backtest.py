"""Backtests: what rules would have done about alarms on record; reports are played again in virtual time.

The same folding, roots and guards decide as ever. What the record does not tell can't be asked: whether a station could
be read then and what it said, holds, freezes, windows, consents, announced work, shelving, runs of people, and what a
run would have reached. So where a guard says no here it would have said no, and where none does another might have. No
device is touched, and nothing is planned: what came after is what really came.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby

from pydantic import AwareDatetime

from controller.models.alarm import LOSES, Alarm, AlarmState, RecordedReport
from controller.models.network import Network, Noun
from controller.models.rule import RuleMode
from controller.ports.clock import VirtualClock
from controller.remediation.breaker import Breaker
from controller.remediation.gravity import dark_at, growth
from controller.remediation.guards import Limits, Repair, of_fault, refusal, settle_seconds
from controller.remediation.rules import Rule, rule_for
from controller.store import StartedRepair, Store

#: How long after a guard's no without a known end the guard is asked again.
_AGAIN = timedelta(minutes=5)

_BROKEN = "too many repairs began at once"


class Verdict(StrEnum):
    """The result for an alarm."""

    ACTED = "acted"
    """The rule would have run a playbook, unless something that is not on record had forbidden it."""
    ASKED = "asked"
    """It would have asked a person."""
    PEOPLE = "people"
    """It would have gone to people: by a rung, after the last one, or by a guard's final no."""
    HEALED = "healed"
    """It had cleared before that."""
    KEPT = "kept"
    """A guard said no until the end."""


class RungVerdict(Noun):
    """The result for an alarm on a later rung of the ladder, because it remained active.

    Attributes:
        rung: Its place on the ladder, from 2; one more than the ladder has where people come after its last rung.
        verdict: ``acted``, ``asked`` or ``people``.
    """

    rung: int
    verdict: Verdict
    playbook: str = ""
    at: AwareDatetime


class Backtested(Noun):
    """An alarm on record, and what a rule would have done about it.

    Attributes:
        alarm: Its id on record.
        at: When the verdict fell; None where it is still kept.
        refusals: Guards that said no on the way, each with what it said first.
        cleared: When the alarm was over; None where it stood at the end.
        later: Rungs that would have followed, each since the alarm stood on when the one before had had its time (what
            a playbook would have changed of that, nobody knows).
        stood: Minutes that it stood on since its first playbook would have run: no cure would have saved more.
        served: Cells behind its device that were in service then, by what is on record: its first playbook could have
            interrupted no more.
        really: The rule that really began a repair for it, and the run; empty where none did.
        cured: Whether that repair was verified.
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
    later: tuple[RungVerdict, ...] = ()
    stood: float = 0
    served: int = 0
    really: str = ""
    run: str = ""
    cured: bool = False


class RuleSummary(Noun):
    """Totals of what a rule would have done.

    Attributes:
        verdicts: Alarms by verdict.
        refusals: Alarms by guards that said no on the way.
        runs: Runs of playbooks by their names, on all rungs: what it would have cost the stations.
        stood: Minutes that alarms stood on since it would have acted, added up: at most so much it would have saved.
        served: Cells in service on devices when runs would have begun there, added up over all runs: at most so many
            it would have interrupted.
        both: Alarms for which it would have acted, and a repair was really begun.
        cured: Those of them whose repair was verified.
        only_here: Those for which none was begun.
        only_really: Those for which one was begun, and it would not have acted.
    """

    rule: str
    verdicts: dict[Verdict, int]
    refusals: dict[str, int]
    runs: dict[str, int]
    stood: float
    served: int
    both: int
    cured: int
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
        served: By rule, cells in service on their devices when these began.
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
        self.served: Counter[str] = Counter()
        self._seen, _ = store.alarms.changes(None)
        #: Whether too many repairs began at once: nobody is there to allow further ones.
        self._broken = False
        #: Times at which alarms are due, and the valid one by alarm.
        self._due: list[tuple[datetime, str]] = []
        self._next: dict[str, datetime] = {}
        #: The next rung by alarm, if it is not the first.
        self._rung: dict[str, int] = {}
        #: Ids on the true record, and results, by ids on ours.
        self._true: dict[str, str] = {}
        self._found: dict[str, Backtested] = {}

    def play(
        self,
        reports: Iterable[RecordedReport],
        really: Iterable[StartedRepair],
        end: datetime,
        repaired: Collection[str] = (),
    ) -> list[Backtested]:
        """Play reports in the order of their numbers, and go on until an end.

        Args:
            reports: What came in, on the true record.
            end: The end of what is played.
            really: Repairs that were begun.
            repaired: Alarms whose repair was verified.

        Returns:
            All alarms that rules answer, in the order of their raising.
        """
        for at, batch in groupby(reports, key=lambda one: one.received):
            self._replay_until(at)
            self._take(list(batch))
        self._replay_until(end)
        began = {one.alarm: one for one in really}
        for name, one in self._found.items():
            said: dict[str, object] = {}
            if one.verdict is Verdict.ACTED and one.at is not None:
                said["stood"] = ((one.cleared or end) - one.at).total_seconds() / 60
            if repair := began.get(one.alarm):
                said |= {"really": repair.rule, "run": repair.run, "cured": one.alarm in repaired}
            self._found[name] = one.model_copy(update=said)
        return sorted(self._found.values(), key=lambda one: (one.raised, one.alarm))

    def _take(self, batch: Sequence[RecordedReport]) -> None:
        # The digest replaces the body, which was shortened.
        reports = [one.report.model_copy(update={"body": one.digest}) for one in batch]
        for one, alarm in zip(batch, self._store.alarms.report_all(reports), strict=True):
            self._true.setdefault(alarm.id, one.alarm)
        while self._store.alarms.correlate_more():
            pass
        self._note_changes()
        self._replay_until(self._clock.now())

    def _note_changes(self) -> None:
        self._seen, changed = self._store.alarms.changes(self._seen)
        # With what follows from it, a root is graver.
        roots = {one.root for one in self._store.alarms.find(changed) if one.root and one.cleared is None}
        for alarm_id in (*changed, *sorted(roots.difference(changed))):
            self._due_at(alarm_id, self._clock.now())

    def _due_at(self, alarm_id: str, at: datetime) -> None:
        self._next[alarm_id] = at
        heapq.heappush(self._due, (at, alarm_id))

    def _replay_until(self, end: datetime) -> None:
        """Handle what is due until a time, and move the clock there."""
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
        elif alarm.state is AlarmState.ESCALATED:
            self._judge_anew(alarm)
        elif alarm.state is AlarmState.RAISED and (found.verdict is Verdict.KEPT or alarm.id in self._rung):
            self._consider(alarm, rule)

    def _judge_anew(self, alarm: Alarm) -> None:
        """Let its ladder begin again where it became critical since people were told of it."""
        now = self._clock.now()
        if grown := growth(self._store, alarm, now):
            self._rung[alarm.id] = 0
            self._store.alarms.move(alarm, AlarmState.RAISED, actor="backtest", note=grown)
        elif (dark := dark_at(self._store, alarm, now)) is not None and now < dark:
            self._due_at(alarm.id, dark)

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
        """Take the next rung after the playbook has had its time; after the last rung, people take over."""
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
        # The guard would say so, after all guards before it.
        settled = dark_at(self._store, alarm, now) or settled
        if now < settled:
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
        elif no.guard != "symptom":  # a change of the alarm shows when it is none any more
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
            run, served = f"{alarm.id}:{repair.rung}", self._serving(alarm)
            self.runs[repair.rule.name, rung.playbook] += 1
            self.served[repair.rule.name] += served
            self._store.repairs.record(repair.rule.name, repair.key, alarm.id, run)
            for one in (alarm, *of_fault(self._store, repair.rule, alarm, self._network, now)):
                self._found.setdefault(one.id, self._begun(one, repair.rule))
                if repair.rung:
                    self._rung[one.id] = repair.rung
                self._took(one, Verdict.ACTED, now, rung.playbook, served)
                self._store.alarms.move(one, AlarmState.REPAIRING, actor="backtest", run=run)

    def _serving(self, alarm: Alarm) -> int:
        """Number of cells behind an alarm's device that no alarm on record has taken off the air."""
        network, device = self._network, alarm.station
        behind = {device, *(cell.partition("/")[0] for cell in alarm.cells)}
        if network.manages(device):
            behind.update(network.stations_behind(device))
        stations = behind.intersection(network.station_by_id)
        standing = self._store.alarms.standing(sorted(stations))
        off = {cell for one in standing if one.probable_cause in LOSES and not one.tenant for cell in one.cells}
        return len({cell.name for station in stations for cell in network.cells_by_station[station]} - off)

    def _hand_over(self, alarm: Alarm, verdict: Verdict, now: datetime) -> None:
        self._took(alarm, verdict, now)
        self._store.alarms.escalate(alarm, verdict.value, actor="backtest")

    def _took(self, alarm: Alarm, verdict: Verdict, at: datetime, playbook: str = "", served: int = 0) -> None:
        """Note which rung would have been taken."""
        found = self._found[alarm.id]
        if found.verdict is Verdict.KEPT:
            self._note(alarm, verdict=verdict, at=at, playbook=playbook, served=served)
            return
        later = RungVerdict(rung=self._rung.get(alarm.id, 0) + 1, verdict=verdict, playbook=playbook, at=at)
        self._note(alarm, later=(*found.later, later))


def summed_up(
    rules: Sequence[Rule],
    found: Sequence[Backtested],
    runs: Mapping[tuple[str, str], int],
    served: Mapping[str, int],
) -> list[RuleSummary]:
    """Totals for each rule, including rules that answered nothing."""
    made = []
    for rule in rules:
        own = [one for one in found if one.rule == rule.name]
        acted = [one for one in own if one.verdict is Verdict.ACTED]
        made.append(
            RuleSummary(
                rule=rule.name,
                verdicts=Counter(one.verdict for one in own),
                refusals=Counter(guard for one in own for guard in one.refusals),
                runs={playbook: number for (name, playbook), number in runs.items() if name == rule.name},
                stood=sum(one.stood for one in acted),
                served=served.get(rule.name, 0),
                both=sum(bool(one.run) for one in acted),
                cured=sum(one.cured for one in acted),
                only_here=sum(not one.run for one in acted),
                only_really=sum(bool(one.run) for one in own if one.verdict is not Verdict.ACTED),
            )
        )
    return made
