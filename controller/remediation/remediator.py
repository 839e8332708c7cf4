"""The remediation loop: takes a standing alarm up the ladder of its rule, until it is repaired or escalated."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from controller.assurance.checker import Checker
from controller.assurance.health import OWN_CAUSES, wrongs
from controller.models.alarm import (
    LOSES,
    PAGE,
    REMEDIATION_STOPPED,
    SUPPLY_CAUSES,
    TICKET,
    Alarm,
    AlarmNote,
    AlarmSource,
    AlarmState,
    Escalation,
    PerceivedSeverity,
)
from controller.models.errors import ConflictError, InputError, MinkaError, NotFoundError, PlanRefusedError
from controller.models.health import Health
from controller.models.network import Network
from controller.models.rule import EVERYWHERE, Proposal, ProposalState, RuleGrant, RuleMode, grant_for, likeness
from controller.models.run import Outcome, Run, RunState
from controller.models.waiting import WaitCode
from controller.ports.clock import Clock
from controller.ports.notifier import Notifier
from controller.remediation.breaker import Breaker
from controller.remediation.dispatch import dispatch_pack
from controller.remediation.gravity import dark_at, darkness, gravity, growth, ranks
from controller.remediation.guards import (
    CORRELATION,
    ENDS_WITH_ALARM,
    IN_HAND,
    OF_RUNG,
    PLAN,
    SETTLE,
    Limits,
    Refusal,
    Repair,
    follows_from,
    has_to_stand,
    in_line,
    of_fault,
    refusal,
    settle_seconds,
)
from controller.remediation.on_call import Caller
from controller.remediation.rules import Match, Rule, RuleGuards, Rung, Verify, rule_for, rules_in_force
from controller.remediation.trust import NOT_AS_PROMOTED, demote, judge, mode_for, region_of
from controller.remediation.turns import Turns
from controller.runs.approval.deliveries import Deliveries
from controller.runs.launch import Launcher
from controller.store import AsyncStore, PreparedRun, RunRequest, Store

log = structlog.get_logger()

#: Alarms that are handled at once, and whose notes are written in one transaction.
_AT_ONCE = 100
_NO_RULE = "no rule answers it: it stands until its source clears it"
#: Seconds until an alarm is considered again: while its run works, and while something prevents a repair.
_SOON, _LATER = 1.0, 5.0
#: Alarms of a region that are considered again at once when a repair ends: the first may be prevented otherwise.
_NEXT = 10
#: Fractions of the time that a repair has to last, after each of which its station is read.
_LOOKS = 10
#: Seconds until the next try after the first failed one; doubles up to the second.
_RETRY = (1.0, 60.0)
#: How a repair is verified if its rule is gone meanwhile.
_VERIFY = Verify()
#: How long a person's yes remains valid.
_YES_HOLDS = timedelta(minutes=30)
#: Notified warnings are never cleared by their station (o-ran-fm): they expire.
_WARNINGS_EXPIRE = timedelta(hours=24)
#: A rung may be taken.
_GO = -1.0
#: Rungs that ended without success, or were no repair.
_ENDED = (ProposalState.FAILED, ProposalState.REFUSED, ProposalState.TOLD)
#: What people are told of is a ticket that waits for nothing, for the guards of all that comes and goes.
_CHATTERS, _AT_LAST = RuleGuards(settle_seconds=0), (Rung(ticket="it comes and goes"),)


@dataclass(frozen=True, slots=True)
class _Stand:
    """Position of an alarm on the ladder of its rule.

    Attributes:
        scope: The scope of the mode that holds for the alarm.
        rung: The rung that is next; after the last one that number is the ladder's length.
        latest: What was proposed last for this rung, since people were last notified of the alarm.
        tried: How the rungs before ended since then, in words.
        same_fault: Other alarms of the same fault.
        urgent: Why people have to act now, whatever the rung says, in words; empty if nothing says so.
    """

    mode: RuleMode
    scope: str
    rung: int
    latest: Proposal | None
    tried: tuple[str, ...]
    same_fault: tuple[Alarm, ...]
    urgent: str


class _RefusedError(ConflictError):
    """A guard says no to a repair that was about to begin."""

    def __init__(self, no: Refusal) -> None:
        super().__init__(f"no repair was started: {no.reason}")
        self.refusal = no


class Remediator:
    """Takes up alarms that change or are due; every decision is on record before the next one.

    A rule that observes only notes what it would do, one that asks waits for a person's yes. Success is the alarm
    cleared and its object healthy; anything else leads to the next rung of the rule's ladder, and in the end to people.
    Each alarm is worked on by a task of its own, so that a slow station delays no other's repair.

    Args:
        store: The record.
        checker: Reads the health of stations.
        launcher: Starts runs.
        notifier: Tells people of escalations.
        clock: Source of time.
        rules: The rules that are in force: asked in each transaction that decides something.
        breaker: Stops all when too many repairs begin at once.
        limits: Of rates and shares.
        caller: Calls who is on call, where a schedule says who that is; with None all escalations go to ``notifier``.
    """

    def __init__(
        self,
        store: AsyncStore,
        checker: Checker,
        launcher: Launcher,
        notifier: Notifier,
        clock: Clock,
        rules: Callable[[Store], tuple[Rule, ...]] = rules_in_force,
        breaker: Breaker | None = None,
        limits: Limits = Limits(),  # noqa: B008  # a frozen value
        caller: Caller | None = None,
    ) -> None:
        self._store = store
        self._checker = checker
        self._launcher = launcher
        self._notifier = notifier
        self._caller = caller
        self._escalations: Deliveries[Escalation] = Deliveries(store.escalations, self._notify_people, clock)
        self._clock = clock
        self._rules = rules
        self._breaker = breaker or Breaker()
        self._limits = limits
        self._turns = Turns(self._attend)
        #: Notes for alarms of which it is obvious that nothing begins now, by alarm.
        self._notes: dict[str, tuple[Alarm, AlarmNote]] = {}
        self._noting: asyncio.Task[None] | None = None
        #: Whether the roots of some alarms may still have to be worked out.
        self._uncorrelated = True
        self._correlating: asyncio.Task[None] | None = None
        #: Row of the audit trail up to which changes of alarms are known.
        self._seen: int | None = None
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._well_since: dict[str, float] = {}
        #: Alarms that are about to be told of since their incident chatters.
        self._chattering: set[str] = set()
        #: The guard that last refused the repair of an alarm that was escalated.
        self._refused_by: dict[str, str] = {}

    async def step(self) -> None:
        """One round: begins work on alarms that changed or are due, and notifies people of escalations.

        It reads only what changed since the last round, since 100,000 alarms may stand.

        Raises:
            StoreError: The database is away; the next round tries again.
        """
        seen = self._seen
        self._seen, changed = await self._store.alarms.changes(seen)
        now = self._clock.monotonic()
        self._due |= dict.fromkeys(changed, now)
        self._uncorrelated |= bool(changed)
        if self._uncorrelated and (self._correlating is None or self._correlating.done()):
            self._correlating = asyncio.create_task(self._correlate())
        due = [one for one, at in self._due.items() if at <= now and not self._turns.works_on(one)]
        for start in range(0, len(due), _AT_ONCE):
            await self._sort(due[start : start + _AT_ONCE])
        await self._escalations.step()
        if self._caller is not None:
            await self._caller.step()

    @property
    def next_round(self) -> float:
        """When the next alarm is due, on the clock: now while work is under way, infinity if none is."""
        works = self._turns.busy or self._notes or self._uncorrelated
        return self._clock.monotonic() if works else min(self._due.values(), default=math.inf)

    async def settle(self) -> None:
        """Wait for work under way."""
        await self._turns.settle()
        for task in (self._noting, self._correlating):
            if task is not None:
                await task
        await self._escalations.settle()
        if self._caller is not None:
            await self._caller.settle()

    async def _correlate(self) -> None:
        """Work out the remaining roots of alarms; the results come as changes of alarms.

        After each piece the record is left to others for as long as the piece took.
        """
        self._uncorrelated = False
        try:
            began = self._clock.monotonic()
            while await self._store.alarms.correlate_more():
                await self._clock.sleep(self._clock.monotonic() - began)
                began = self._clock.monotonic()
        except MinkaError as error:
            self._uncorrelated = True
            log.warning("remediation.uncorrelated", code=error.code, reason=error.message)

    async def _notify_people(self, one: Escalation) -> None:
        if self._caller is not None and await self._caller.take(one):
            return
        alarm = await self._store.alarms.get(one.alarm)
        pack = await self._store.read(dispatch_pack, one.alarm, self._clock.now())
        await self._notifier.escalate(alarm, one.reason, one.key, pack, one.kind)

    async def _sort(self, due: Sequence[str]) -> None:
        """Give alarms their turns. Where obviously nothing begins now, only note why: there may be thousands."""
        found, rules, network, grants = await self._store.read(self._find, due)
        await self._wake_roots(found)
        await self._wake_next(found, network)
        chattering = await self._chattering_of(found)
        self._chattering |= chattering
        dark = await self._dark_of(found)
        urgent = chattering | dark.keys()
        digests = {rule.name: rule.digest for rule in rules}
        for alarm_id in due:
            del self._due[alarm_id]
        some = []
        for alarm in found:
            plain = self._plain(alarm, rules, network, grants, digests, urgent) if network else None
            if plain is None:
                some.append(alarm)
                continue
            note, wait = plain
            if note != alarm.noted:
                self._notes[alarm.id] = alarm, note
            if wait is not None:
                self._due[alarm.id] = self._clock.monotonic() + wait
        await self._queue(some, network)
        for alarm_id, left in dark.items():
            if left > 0:
                self._due[alarm_id] = self._clock.monotonic() + min(left, _LATER)
        self._turns.begin()
        if self._notes and (self._noting is None or self._noting.done()):
            self._noting = asyncio.create_task(self._note_all())

    async def _queue(self, found: Sequence[Alarm], network: Network | None) -> None:
        """Let alarms wait for their turns, the gravest in front; one that waits already may be graver by now."""
        places = await self._store.read(ranks, found, network) if found else {}
        for alarm in found:
            if self._turns.works_on(alarm.id):
                self._due[alarm.id] = self._clock.monotonic()
            else:
                self._turns.add(alarm.id, alarm.tenants, places[alarm.id])

    async def _wake_roots(self, found: Sequence[Alarm]) -> None:
        """Take up again what alarms follow from, since it is graver with them; a repair under way is left alone."""
        roots = {alarm.root for alarm in found if alarm.root and alarm.cleared is None}
        for root in await self._store.alarms.find(sorted(roots)) if roots else ():
            if root.cleared is None and root.state in (AlarmState.RAISED, AlarmState.ESCALATED):
                self._due[root.id] = self._clock.monotonic()

    async def _dark_of(self, found: Sequence[Alarm]) -> dict[str, float]:
        """Alarms on the supply of stations that can't be reached any more: seconds until that is known to be no cut."""
        on_supply = [one for one in found if one.probable_cause in SUPPLY_CAUSES and one.cleared is None]
        now = self._clock.now()

        def dark(store: Store) -> dict[str, float]:
            known = {one.id: dark_at(store, one, now) for one in on_supply}
            return {name: (at - now).total_seconds() for name, at in known.items() if at is not None}

        return await self._store.read(dark) if on_supply else {}

    async def _wake_next(self, found: Sequence[Alarm], network: Network | None) -> None:
        """Where repairs ended, take up again what waits for a share of a region: nothing else tells of that."""
        if network is None or not any(one.run and one.state is not AlarmState.REPAIRING for one in found):
            return
        for line in (await self._store.read(in_line, network, self._clock.now())).values():
            self._due |= dict.fromkeys((one.id for one in line[:_NEXT]), self._clock.monotonic())

    async def _chattering_of(self, found: Sequence[Alarm]) -> frozenset[str]:
        """Those of standing alarms whose incident chatters while nobody knows of it, by id."""
        standing = [one for one in found if _may_chatter(one)]
        if not standing:
            return frozenset()
        often = set(await self._store.incidents.chattering({one.incident for one in standing}))
        return frozenset(one.id for one in standing if one.incident in often)

    def _plain(
        self,
        alarm: Alarm,
        rules: Sequence[Rule],
        network: Network,
        grants: Sequence[RuleGrant],
        digests: Mapping[str, str],
        urgent: Collection[str],
    ) -> tuple[AlarmNote, float | None] | None:
        """Why obviously nothing begins now, and for how long, if the alarm alone shows it."""
        if alarm.state is not AlarmState.RAISED or alarm.cleared is not None:
            return None
        if alarm.id in urgent:
            return None
        rule = rule_for(rules, alarm, network)
        if rule is None:
            return None if _expires(alarm) else (AlarmNote(_NO_RULE), None)
        grant = grant_for(grants, rule.name, alarm, region_of(alarm, network))
        mode = rule.mode if grant is None else grant.mode
        if mode == RuleMode.OBSERVE or (grant is not None and grant.digest != digests[rule.name]):
            return None
        if alarm.root and not rule.match.follows:
            return AlarmNote.waiting(follows_from(alarm.root)), None
        since = max(alarm.raised, alarm.released or alarm.raised)
        seconds = settle_seconds(rule, alarm, network)
        left = seconds - (self._clock.now() - since).total_seconds()
        return (AlarmNote.waiting(has_to_stand(seconds)), left) if left > 0 else None

    async def _note_all(self) -> None:
        """Write the notes in parts, so that others get their turn at the record."""
        while self._notes:
            part = [self._notes.popitem()[1] for _ in range(min(_AT_ONCE, len(self._notes)))]
            try:
                again = await self._store.alarms.note(part, actor="remediation", patient=False)
            except MinkaError as error:
                log.warning("remediation.failed", alarms=len(part), code=error.code, reason=error.message)
                again = [alarm.id for alarm, _ in part]
            for alarm_id in again:
                self._due.setdefault(alarm_id, self._clock.monotonic() + _RETRY[0])

    async def _attend(self, alarm_id: str) -> None:
        """Handle one alarm as far as possible now, and note when to take it up again."""
        try:
            (alarm,), rules, network, _ = await self._store.read(self._find, [alarm_id])
            wait = await self._advance(alarm, rules, network)
            self._failures.pop(alarm_id, None)
        except MinkaError as error:
            wait = await self._wait_after_failure(alarm_id, error.message)
            log.warning("remediation.failed", alarm=alarm_id, code=error.code, reason=error.message)
        except Exception:
            wait = await self._wait_after_failure(alarm_id, "an error in Minka, which the log of the scheduler has")
            log.exception("remediation.bug", alarm=alarm_id)
        if wait is None:
            self._well_since.pop(alarm_id, None)
            self._refused_by.pop(alarm_id, None)
            self._chattering.discard(alarm_id)
        else:  # unless it changed meanwhile
            self._due.setdefault(alarm_id, self._clock.monotonic() + wait)

    async def _wait_after_failure(self, alarm_id: str, reason: str) -> float:
        """Seconds until the next try; the alarm says why tries fail, and not what it waited for before.

        One failure tells nothing: something else may have changed in the meantime.
        """
        failures = self._failures[alarm_id] = self._failures.get(alarm_id, 0) + 1
        if failures > 1:
            with suppress(MinkaError):  # the database may be what fails
                note = AlarmNote.waiting(f"the last try failed: {reason}")
                await self._say(await self._store.alarms.get(alarm_id), note)
        return min(_RETRY[1], _RETRY[0] * 2.0 ** (failures - 1))

    def _find(
        self, store: Store, ids: Sequence[str]
    ) -> tuple[list[Alarm], tuple[Rule, ...], Network | None, list[RuleGrant]]:
        """Alarms, with the rules, network and modes that are in force at the same time."""
        try:
            network = store.networks.get()[1]
        except NotFoundError:
            network = None
        return store.alarms.find(ids), self._rules(store), network, store.rules.grants()

    async def _advance(self, alarm: Alarm, rules: Sequence[Rule], network: Network | None) -> float | None:
        """Returns seconds until it is taken up again; None means when the alarm changes."""
        if alarm.state.terminal and (alarm.state is not AlarmState.ESCALATED or alarm.cleared is not None):
            return None
        if network is None:
            raise NotFoundError("no network is loaded yet")
        if _may_chatter(alarm) and alarm.id in self._chattering:
            self._chattering.discard(alarm.id)
            if reason := await self._store.transaction(self._chatter, alarm):
                return await self._escalate(alarm, reason, TICKET)
        rule = rule_for(rules, alarm, network)
        if alarm.state is AlarmState.REPAIRING:
            return await self._verify(alarm, rule)
        if rule is None:
            return await self._expire(alarm) if alarm.state is AlarmState.RAISED else None
        if alarm.state is AlarmState.ESCALATED:
            return await self._reconsider(alarm, rule, network)
        return await self._climb(alarm, rule, network)

    def _chatter(self, store: Store, alarm: Alarm) -> str:
        """Why people are told of an alarm that comes and goes, however shortly; empty while a guard says no."""
        causes = Match(causes=(alarm.probable_cause,))
        rule = Rule(name="chatter", description="", match=causes, guards=_CHATTERS, ladder=_AT_LAST)
        if refusal(store, Repair(alarm, rule, limits=self._limits), self._clock.now()) is not None:
            return ""
        incident = store.incidents.get(alarm.incident)
        return (
            f"incident {incident.id} chatters: the same fault came again {incident.flaps} times, each time soon after "
            "it was over; its returns call nobody any more: is its source, a sensor or a contact, broken?"
        )

    def _judge_anew(self, store: Store, alarm: Alarm) -> bool:
        """Let an escalated alarm begin its ladder again if it is critical, and was not when people were notified."""
        grown = growth(store, alarm, self._clock.now())
        return bool(grown) and store.alarms.move(alarm, AlarmState.RAISED, actor="remediation", note=grown) is not None

    async def _reconsider(self, alarm: Alarm, rule: Rule, network: Network) -> float | None:
        """Repair a standing escalated alarm again after its cool-down; people were notified already."""
        if await self._store.transaction(self._judge_anew, alarm):
            return 0.0
        cool_down = timedelta(seconds=rule.guards.cool_down_seconds)
        left = cool_down - (self._clock.now() - (alarm.escalated or alarm.changed))
        if left > timedelta():
            return left.total_seconds()
        return await self._climb(alarm, rule, network)

    # ------------------------------------------------------------------- climb

    async def _climb(self, alarm: Alarm, rule: Rule, network: Network) -> float | None:
        """Take the next rung of the ladder, as far as the rule's mode allows it."""
        stand, repair, no = await self._store.transaction(self._next, alarm, rule, network)
        if repair is None:
            return await self._escalate(alarm, "; ".join(filter(None, (stand.urgent, *stand.tried))))
        rung = rule.ladder[stand.rung]
        kind = TICKET if rung.ticket and not stand.urgent else PAGE
        if stand.latest is not None and (waits := await self._answered(repair, stand.latest, no)) is not _GO:
            return waits
        if no:
            return await self._refuse(repair, no, kind)
        if rung.playbook:
            return await self._repair(repair, stand.latest, network)
        if stand.mode is RuleMode.OBSERVE:
            return await self._observe(repair)
        if rung.ask:
            return await self._ask(repair)
        reason = "; ".join(filter(None, (stand.urgent, rung.ticket or rung.page, *stand.tried)))
        return await self._escalate(alarm, reason, kind)

    def _next(
        self, store: Store, alarm: Alarm, rule: Rule, network: Network
    ) -> tuple[_Stand, Repair | None, Refusal | None]:
        """The position of an alarm, the repair of the next rung (None after the last one), and the first no to it."""
        _void_others(store, alarm, rule)
        stand = self._stand(store, alarm, rule, network)
        if stand.rung == len(rule.ladder):
            return stand, None, None
        given: Mapping[str, Any] = {}
        wrong: Refusal | None = None
        try:
            given = rule.ladder[stand.rung].given(alarm, network, stand.same_fault)
        except InputError as error:
            wrong = _no_plan(error.message)
        repair = Repair(alarm, rule, stand.rung, stand.mode, stand.scope, given, self._limits, stand.same_fault)
        return stand, repair, refusal(store, repair, self._clock.now()) or wrong

    def _stand(self, store: Store, alarm: Alarm, rule: Rule, network: Network) -> _Stand:
        # Another version of the rule has another ladder: nothing that was tried, asked or allowed there counts here.
        found = [one for one in _of_round(store, alarm, rule.name) if one.digest == rule.digest]
        over = [one for one in found if one.state in _ENDED]
        # A yes to a rung that only asks leads on while it is valid, and what it led to stays.
        led = max((one.rung for one in found), default=0)
        yes = [one for one in found if one.state is ProposalState.APPROVED and not one.playbook]
        over += [one for one in yes if one.rung < led or self._holds(one, alarm)]
        rung = max((one.rung + 1 for one in over), default=0)
        latest = next((one for one in reversed(found) if one.rung == rung), None)
        tried = tuple(one.reason for one in over)
        same_fault = tuple(of_fault(store, rule, alarm, network, self._clock.now()))
        now = self._clock.now()
        urgent = growth(store, alarm, now) or darkness(store, alarm, now)
        return _Stand(*self._mode(store, alarm, rule, network), rung, latest, tried, same_fault, urgent)

    def _mode(self, store: Store, alarm: Alarm, rule: Rule, network: Network) -> tuple[RuleMode, str]:
        """The mode of a rule for an alarm, and the scope in which it was set."""
        mode, grant = mode_for(store.rules.grants(), rule, alarm, network)
        if grant is None:
            return mode, EVERYWHERE
        if grant.mode is not mode:
            demote(store, rule, NOT_AS_PROMOTED, self._clock.now())
        return mode, grant.scope

    async def _answered(self, repair: Repair, latest: Proposal, no: Refusal | None) -> float | None:
        """``_GO``, unless an earlier proposal for this rung prevents it."""
        alarm = repair.alarm
        if latest.state is ProposalState.OBSERVED and repair.mode is RuleMode.OBSERVE and not latest.obstacle:
            return await self._page_for_demoted(repair, no)
        if latest.state is ProposalState.DENIED:
            return await self._escalate(alarm, f"{latest.by} denied the repair{latest.reason and ': '}{latest.reason}")
        if latest.state not in (ProposalState.ASKED, ProposalState.APPROVED):
            return _GO
        if repair.mode is RuleMode.OBSERVE or not self._holds(latest, alarm):
            await self._store.rules.move(latest, ProposalState.VOID, reason="too late, or the alarm or mode changed")
            return 0.0
        if latest.state is ProposalState.APPROVED:
            return _GO
        return await self._wait_for_yes(repair, latest, no)

    def _holds(self, asked: Proposal, alarm: Alarm) -> bool:
        """Whether a question, or the yes to it, is about the alarm as it is, and the yes is recent enough."""
        late = asked.decided is not None and self._clock.now() - asked.decided > _YES_HOLDS
        return not late and asked.seen == likeness(alarm)

    async def _observe(self, repair: Repair, no: Refusal | None = None) -> float | None:
        """Note once what the rule would have done, or what would have prevented it."""
        await self._store.transaction(self._note_observed, repair, no.reason if no else "")
        but = f", but {no.reason}" if no else ""
        await self._say(repair.alarm, AlarmNote(f"observed: {_would(repair)}{but}"))
        return await self._page_for_demoted(repair, no)

    async def _page_for_demoted(self, repair: Repair, no: Refusal | None) -> float | None:
        """Call people to a critical alarm whose rule acted or asked before, and only observes since its demotion."""
        alarm, rule = repair.alarm, repair.rule
        if not await self._lacks_people(alarm, no) or not await self._store.read(_was_promoted, alarm, rule):
            return None
        return await self._escalate(alarm, f"rule {rule.name}, which acted before, only observes: {_would(repair)}")

    async def _lacks_people(self, alarm: Alarm, no: Refusal | None) -> bool:
        """Whether an alarm is critical, and neither people nor anything else act on it while no repair begins."""
        if alarm.state is not AlarmState.RAISED or (no is not None and no.guard in IN_HAND):
            return False
        return await self._store.read(gravity, alarm, self._clock.now()) is PerceivedSeverity.CRITICAL

    def _note_observed(self, store: Store, repair: Repair, obstacle: str) -> None:
        noted = [one for one in store.rules.of_alarm(repair.alarm.id) if one.state is ProposalState.OBSERVED]
        known = next((one for one in reversed(noted) if one.rule == repair.rule.name and one.rung == repair.rung), None)
        if known is None:
            store.rules.propose(self._proposal(repair, ProposalState.OBSERVED, obstacle=obstacle))
        elif known.obstacle and not obstacle:
            store.rules.move(known, ProposalState.OBSERVED)

    async def _ask(self, repair: Repair) -> float:
        """Ask a person whether to go on."""
        asked = await self._store.rules.propose(self._proposal(repair, ProposalState.ASKED))
        return await self._wait_for_yes(repair, asked)

    async def _wait_for_yes(self, repair: Repair, asked: Proposal, no: Refusal | None = None) -> float:
        """Note that the repair waits for a person's yes; without one, nobody acts on the alarm."""
        note = _asks(repair, asked)
        await self._say(repair.alarm, note)
        await self._call(repair, note.awaits, no)
        return self._later(repair.alarm)

    async def _call(self, repair: Repair, why: str, no: Refusal | None) -> None:
        """Page people once to an alarm that lacks them while its repair waits; the alarm stays ``raised``."""
        alarm, why = repair.alarm, f"rule {repair.rule.name} waits: {why}"
        if await self._lacks_people(alarm, no) and await self._store.alarms.call(alarm, why, actor="remediation"):
            log.warning("remediation.called", alarm=alarm.id, station=alarm.station, reason=why)

    def _proposal(
        self,
        repair: Repair,
        state: ProposalState,
        *,
        obstacle: str = "",
        reason: str = "",
        run: str = "",
    ) -> Proposal:
        alarm, rung = repair.alarm, repair.rule.ladder[repair.rung]
        return Proposal(
            id="",
            alarm=alarm.id,
            station=alarm.station,
            rule=repair.rule.name,
            digest=repair.rule.digest,
            rung=repair.rung,
            mode=repair.mode,
            scope=repair.scope,
            playbook=rung.playbook or "",
            parameters=dict(repair.given),
            state=state,
            seen=likeness(alarm),
            obstacle=obstacle,
            at=self._clock.now(),
            reason=reason,
            run=run,
            before=_serving(repair.health) if run else (),
            holds=repair.rule.verify.holds_seconds,
        )

    # -------------------------------------------------------------------- act

    async def _repair(self, repair: Repair, latest: Proposal | None, network: Network) -> float | None:
        alarm = repair.alarm
        try:
            repair = replace(repair, health=await self._checker.health(alarm.station))
        except InputError as error:
            return await self._refuse(repair, _no_plan(error.message))
        if no := await self._refusal(repair):
            return await self._refuse(repair, no)
        assert repair.health is not None
        if alarm.probable_cause in OWN_CAUSES and not _is_wrong(alarm, repair.health):
            return await self._nothing_to_do(repair)
        return await self._start(_narrowed(repair, latest, network), latest)

    async def _start(self, repair: Repair, latest: Proposal | None) -> float | None:
        """Run the rung's playbook, unless something refuses that."""
        alarm, rule = repair.alarm, repair.rule
        rung = rule.ladder[repair.rung]
        try:
            rung.check(alarm, repair.given)
            new = await self._launcher.prepare(
                RunRequest(
                    playbook=rung.playbook or "",
                    parameters=dict(repair.given),
                    actor=_actor(rule),
                    cause=f"alarm:{alarm.id}",
                    reason=alarm.text,
                    key=_run_key(alarm),
                )
            )
        except (InputError, PlanRefusedError) as error:
            repair = replace(repair, health=await self._checker.health(alarm.station))
            no = await self._refusal(repair)  # it came while the repair was planned
            return await self._refuse(repair, no or _no_plan(error.message))
        if new.idle:
            return await self._nothing_to_do(repair)
        repair = replace(repair, run=new)
        if repair.restarts:
            repair = replace(repair, on_battery=await self._checker.on_battery(alarm.station))
        approved = latest if latest is not None and latest.state is ProposalState.APPROVED else None
        acts = repair.mode is RuleMode.AUTO or (repair.mode is RuleMode.ASK and approved is not None)
        # Otherwise the transaction that begins it asks.
        if (not acts or new.adopts) and (no := await self._refusal(repair)):
            return await self._refuse(repair, no)
        if not acts:
            return await (self._observe(repair) if repair.mode is RuleMode.OBSERVE else self._ask(repair))
        self._well_since.pop(alarm.id, None)
        try:
            run = await self._launcher.accept(new, partial(self._begin, repair, approved))
        except _RefusedError as error:
            return await self._refuse(repair, error.refusal)
        if run is not None:
            log.info("remediation.started", alarm=alarm.id, rule=rule.name, run=run.id, station=alarm.station)
        return _SOON

    def _begin(self, repair: Repair, approved: Proposal | None, store: Store, new: PreparedRun) -> Run | None:
        """Begin a repair in one transaction: run, proposal, cool-down and state of the alarm.

        It asks the guards again, since planning took time. None if the breaker allows no repair.
        """
        alarm, rule = repair.alarm, repair.rule
        if rule not in self._rules(store):
            raise ConflictError(f"no repair was started: rule {rule.name} is not in force as it was")
        if no := refusal(store, repair, self._clock.now()):
            raise _RefusedError(no)
        mode, _ = self._mode(store, alarm, rule, store.networks.get()[1])
        if mode is not repair.mode:
            raise ConflictError(f"no repair was started: rule {rule.name} is in the mode {mode} now")
        if new.repairs and not self._breaker.lets(store, self._clock.now()):
            return None
        run = store.runs.create(new)
        if new.repairs:
            store.repairs.record(rule.name, repair.key, alarm.id, run.id)
        for one in (alarm, *repair.same_fault):
            if approved is None or one is not alarm:
                store.rules.propose(self._proposal(replace(repair, alarm=one), ProposalState.RUNNING, run=run.id))
            elif store.rules.move(approved, ProposalState.RUNNING, run=run.id, before=_serving(repair.health)) is None:
                raise ConflictError(f"{approved.id} was decided in the meantime")
            if store.alarms.move(one, AlarmState.REPAIRING, actor=_actor(rule), run=run.id, note=rule.name) is None:
                raise ConflictError(f"alarm {one.id} changed in the meantime")
        return run

    async def _pass_over(self, repair: Repair, reason: str) -> float:
        """Go on to the next rung, since this one is impossible; after the last one, people take over."""
        if repair.alarm.state is AlarmState.ESCALATED and repair.rung + 1 == len(repair.rule.ladder):
            return _RETRY[1]  # they know already
        await self._store.transaction(self._end_refused, repair, reason)
        return _SOON

    def _end_refused(self, store: Store, repair: Repair, reason: str) -> None:
        alarm = repair.alarm
        if repair.rung + 1 < len(repair.rule.ladder) or self._hand_over(store, alarm, repair.rule, reason):
            store.rules.propose(self._proposal(repair, ProposalState.REFUSED, reason=reason))

    def _hand_over(self, store: Store, alarm: Alarm, rule: Rule | None, reason: str) -> Alarm | None:
        """Escalate, with how all rungs ended; None if the alarm changed meanwhile."""
        ended = [one for one in _of_round(store, alarm, rule.name) if one.state in _ENDED] if rule else []
        return store.alarms.escalate(alarm, "; ".join((*(one.reason for one in ended), reason)), actor="remediation")

    async def _refusal(self, repair: Repair) -> Refusal | None:
        return await self._store.transaction(refusal, repair, self._clock.now())

    async def _refuse(self, repair: Repair, no: Refusal, kind: str = PAGE) -> float | None:
        """Tell people, or note in the alarm why nothing happens and take it up again later."""
        alarm = repair.alarm
        left = self._left(alarm, no)
        if repair.mode is RuleMode.OBSERVE:
            if no.guard in (SETTLE, CORRELATION):  # nothing waits for that: nothing would follow
                await self._say(alarm, AlarmNote(f"observed: {_would(repair)}, but not yet: {no.reason}"))
                return left
            await self._observe(repair, no)
            return None if no.final else left
        if alarm.state is AlarmState.ESCALATED and self._refused_by.get(alarm.id) != no.guard:
            # Its note says what people were notified of.
            self._refused_by[alarm.id] = no.guard
            said = {"guard": no.guard, "reason": no.reason}
            await self._store.audit.append("remediation", "repair.refused", alarm.id, said)
        if no.final:
            rung = no.guard in OF_RUNG and repair.rule.ladder[repair.rung].playbook
            return await self._pass_over(repair, no.reason) if rung else await self._escalate(alarm, no.reason, kind)
        await self._say(alarm, AlarmNote.waiting(no.reason, *no.waits))
        await self._call(repair, no.reason, no)
        return left

    def _later(self, alarm: Alarm, least: float = _LATER) -> float:
        """Seconds until the obstacle is checked again; the longer an alarm has waited, the longer.

        People know of what was escalated.
        """
        waited = (self._clock.now() - alarm.changed).total_seconds()
        return _RETRY[1] if alarm.state is AlarmState.ESCALATED else min(max(least, waited / 20), _RETRY[1])

    def _left(self, alarm: Alarm, no: Refusal) -> float | None:
        """Seconds until the refusing guard is asked again; None if the alarm changes when the reason ends."""
        if no.guard in ENDS_WITH_ALARM:
            return None
        left = self._later(alarm) if no.until is None else max(0.0, (no.until - self._clock.now()).total_seconds())
        return left if no.guard == SETTLE else min(left, self._later(alarm))

    async def _say(self, alarm: Alarm, note: AlarmNote) -> None:
        """Set the note of an alarm, unless people were notified of it."""
        if alarm.noted != note and alarm.state is AlarmState.RAISED:
            await self._store.alarms.note([(alarm, note)], actor="remediation")

    async def _nothing_to_do(self, repair: Repair) -> float | None:
        """Nothing is left to repair: the source will clear the alarm soon; the alarm says so, and no earlier reason."""
        alarm, now = repair.alarm, self._clock.monotonic()
        if now - self._well_since.setdefault(alarm.id, now) > repair.rule.verify.within_seconds:
            no = Refusal("fault", "the station reports no fault, but the alarm stands", final=True)
            return await self._refuse(repair, no)
        note = AlarmNote.waiting("nothing is left to repair, and its source has not cleared it yet")
        await self._say(alarm, note)
        return self._later(alarm)

    async def _expire(self, alarm: Alarm) -> float | None:
        if not _expires(alarm):
            await self._say(alarm, AlarmNote(_NO_RULE))
            return None
        left = _WARNINGS_EXPIRE - (self._clock.now() - alarm.changed)
        if left > timedelta():
            await self._say(alarm, AlarmNote(_NO_RULE))
            return left.total_seconds()
        await self._store.alarms.move(alarm, AlarmState.CLEARED, actor="remediation", note="expired")
        return None

    # ----------------------------------------------------------------- verify

    async def _verify(self, alarm: Alarm, rule: Rule | None) -> float:
        """After the run: check that the alarm clears, its object is healthy, nobody is worse off, and this lasts."""
        run, verify = await self._store.runs.get(alarm.run), rule.verify if rule else _VERIFY
        if not run.state.terminal:
            return self._later(alarm, _SOON)
        if run.state is RunState.STOPPED and await self._store.transaction(_put_back, alarm, run):
            return _SOON
        if await self._store.repairs.of_run(run.id) is None:
            await self._store.transaction(self._end_told, alarm, rule, run)
            return _SOON
        if run.state is not RunState.SUCCEEDED:
            return await self._fail(alarm, rule, f"repair run {run.id} ended {run.state}")
        now = self._clock.monotonic()
        wrong, health = await self._what_is_wrong(alarm)
        if not wrong:
            left = verify.settle_seconds - (now - self._well_since.setdefault(alarm.id, now))
            # It is read again and again while the repair has to last.
            return await self._close(alarm, rule, run, health) if left <= 0 else min(left, max(_SOON, left / _LOOKS))
        self._well_since.pop(alarm.id, None)
        late = self._clock.now() - (run.finished or alarm.changed) - timedelta(seconds=verify.within_seconds)
        if late > timedelta():
            return await self._fail(alarm, rule, f"repair run {run.id} succeeded, yet {wrong}")
        # The clearing of the alarm comes as a change of it.
        return _SOON if alarm.cleared else max(_SOON, min(-late.total_seconds(), _LATER))

    async def _what_is_wrong(self, alarm: Alarm) -> tuple[str, Health | None]:
        """Why a repair is no success yet, in words, empty if it is one; and the health of its device."""
        if alarm.cleared is None:
            return "the alarm stands", None
        health = await self._checker.health(alarm.station)
        if not health.was_read or _is_wrong(alarm, health):
            return "the alarm is cleared, but its object is not healthy", health
        return await self._store.transaction(_worse_off, alarm, health), health

    async def _close(self, alarm: Alarm, rule: Rule | None, run: Run, health: Health | None) -> float:
        if await self._store.transaction(self._end_repaired, alarm, rule, run, _after(health)):
            log.info("remediation.repaired", alarm=alarm.id, run=run.id, station=alarm.station)
        return _SOON

    def _end_repaired(
        self, store: Store, alarm: Alarm, rule: Rule | None, run: Run, after: tuple[str, ...] | None
    ) -> bool:
        moved = store.alarms.move(alarm, AlarmState.REPAIRED, actor="remediation", note=f"by {run.id}")
        if moved is not None and (proposal := _running(store, alarm)):
            store.rules.move(proposal, ProposalState.SUCCEEDED, after=after)
            self._judge(store, rule, proposal)
        return moved is not None

    def _judge(self, store: Store, rule: Rule | None, ended: Proposal) -> None:
        if rule is not None:
            judge(store, rule, ended.scope, self._clock.now())

    def _end_told(self, store: Store, alarm: Alarm, rule: Rule | None, run: Run) -> None:
        """A run that changes nothing on devices is no repair, whatever becomes of the alarm: go on to the next rung."""
        proposal, reason = (
            _running(store, alarm),
            f"run {run.id} ({run.procedure}) changes nothing, and ended {run.state}",
        )
        more = rule is not None and proposal is not None and proposal.rung + 1 < len(rule.ladder)
        if alarm.cleared is not None:
            moved = store.alarms.move(alarm, AlarmState.CLEARED, actor="remediation", note=reason)
        elif more:
            moved = store.alarms.move(alarm, AlarmState.RAISED, actor="remediation", note=reason)
        else:
            moved = self._hand_over(store, alarm, rule, reason)
        if moved is not None and proposal is not None:
            store.rules.move(proposal, ProposalState.TOLD, reason=reason)

    async def _fail(self, alarm: Alarm, rule: Rule | None, reason: str) -> float:
        """The repair did not help: go on to the next rung; after the last, or if the alarm cleared, ask people."""
        try:
            health = await self._checker.health(alarm.station)
        except NotFoundError:  # it went out of service meanwhile
            health = None
        if await self._store.transaction(self._end_failed, alarm, rule, reason, health):
            log.warning("remediation.failed_repair", alarm=alarm.id, station=alarm.station, reason=reason)
        return _SOON

    def _end_failed(self, store: Store, alarm: Alarm, rule: Rule | None, reason: str, health: Health | None) -> bool:
        proposal = _running(store, alarm)
        more = rule is not None and proposal is not None and proposal.rung + 1 < len(rule.ladder)
        left = _left_out(store, alarm, health)
        reason = "; ".join(filter(None, (reason, left)))
        if more and alarm.cleared is None:
            moved = store.alarms.move(alarm, AlarmState.RAISED, actor="remediation", note=reason)
        elif _is_well(alarm, health) and (
            _others_stand(store, alarm) or self._is_told_by_another(store, alarm, health)
        ):
            moved = store.alarms.move(alarm, AlarmState.CLEARED, actor="remediation", note=f"over; {reason}")
        else:
            moved = self._hand_over(store, alarm, rule, reason)
        if moved is not None and proposal is not None:
            store.rules.move(proposal, ProposalState.FAILED, reason=reason, after=_after(health))
            self._judge(store, rule, proposal)
        return moved is not None

    def _is_told_by_another(self, store: Store, alarm: Alarm, health: Health | None) -> bool:
        """Whether an alarm is over, and all that is worse off since its repair has an alarm that people are told of.

        That alarm calls them by its own rule; one that nobody answers, or that is only observed, would call nobody.
        """
        if alarm.cleared is None or health is None or _no_longer_serves(store, alarm, health):
            return False
        network, rules = store.networks.get()[1], self._rules(store)
        others = _raised_meanwhile(store, alarm)
        answers = [(one, rule_for(rules, one, network)) for one in others]
        return bool(others) and all(
            rule is not None and self._mode(store, one, rule, network)[0] is not RuleMode.OBSERVE
            for one, rule in answers
        )

    async def _escalate(self, alarm: Alarm, reason: str, kind: str = PAGE) -> float:
        """Escalate the alarm to people, unless it changed meanwhile; they are notified afterwards.

        The decision is on record before anybody is notified, so that two schedulers notify people once, and one does
        not escalate what the other repairs. People get no second notification of the same alarm.
        """
        if alarm.state is AlarmState.ESCALATED:
            return _RETRY[1]
        if await self._store.alarms.escalate(alarm, reason, actor="remediation", kind=kind):
            log.warning("remediation.escalated", alarm=alarm.id, station=alarm.station, reason=reason)
        return _SOON


def _may_chatter(alarm: Alarm) -> bool:
    """Whether an alarm stands as the root of an incident, and nothing works on it."""
    return alarm.state is AlarmState.RAISED and alarm.cleared is None and not alarm.root and bool(alarm.incident)


def _put_back(store: Store, alarm: Alarm, run: Run) -> bool:
    """Let an alarm wait again whose run was stopped before it acted, which counts as no attempt."""
    (job, *others) = store.runs.jobs(run.id)
    if others or job.outcome is not Outcome.CANCELLED:
        return False
    state = AlarmState.RAISED if alarm.cleared is None else AlarmState.CLEARED
    stopped = store.switches.get(REMEDIATION_STOPPED).on
    note = AlarmNote.waiting(job.detail, WaitCode.STOP if stopped else WaitCode.OTHER)
    if store.alarms.move(alarm, state, actor="remediation", note=note) is None:
        return False
    store.repairs.withdraw(run.id)
    if proposal := _running(store, alarm):
        store.rules.move(proposal, ProposalState.VOID, reason=job.detail)
    return True


def _others_stand(store: Store, alarm: Alarm) -> bool:
    """Whether an alarm is over while others that the same run was to repair are not: then those go on."""
    others = [one for one in store.alarms.standing([alarm.station]) if one.run == alarm.run and one.id != alarm.id]
    return alarm.cleared is not None and any(one.cleared is None for one in others)


def _no_plan(message: str) -> Refusal:
    """The refusal if a rung's playbook can't be run: the next rung follows."""
    return Refusal(PLAN, f"no repair could be planned: {message}", final=True)


def _expires(alarm: Alarm) -> bool:
    """Whether it is a warning that its source never clears."""
    return alarm.severity is PerceivedSeverity.WARNING and alarm.source is not AlarmSource.ALARM_LIST


def _was_promoted(store: Store, alarm: Alarm, rule: Rule) -> bool:
    """Whether somebody decided on the mode of a rule for such alarms: else nobody ever relied on it."""
    return grant_for(store.rules.grants(), rule.name, alarm, region_of(alarm, store.networks.get()[1])) is not None


def _run_key(alarm: Alarm) -> str:
    """Idempotency key of an alarm's next repair run: a new one for each run."""
    return f"alarm:{alarm.id}:{alarm.run}".rstrip(":")


def _is_wrong(alarm: Alarm, health: Health) -> bool:
    """Whether the station itself reports a fault of the alarm's object."""
    return any(what == alarm.object for what, _ in wrongs(health))


def _of_round(store: Store, alarm: Alarm, rule: str) -> list[Proposal]:
    """Proposals of a rule for an alarm since people were last notified of it."""
    since = alarm.escalated or alarm.raised
    return [one for one in store.rules.of_alarm(alarm.id) if one.rule == rule and one.at >= since]


#: Why a question is void whose rule is another by now.
_OTHER_RULE = "its rule changed since, or another rule answers the alarm"


def _void_others(store: Store, alarm: Alarm, rule: Rule) -> None:
    """End what another rule, or another version of this one, asked about an alarm; a yes to it counts no more."""
    for one in store.rules.of_alarm(alarm.id):
        if one.state in (ProposalState.ASKED, ProposalState.APPROVED) and one.digest != rule.digest:
            store.rules.move(one, ProposalState.VOID, reason=_OTHER_RULE)


def _narrowed(repair: Repair, latest: Proposal | None, network: Network) -> Repair:
    """The repair, limited to what is still wrong, and to what a person was asked about."""
    if not repair.same_fault or repair.health is None:
        return repair
    asked = latest if latest is not None and latest.state is ProposalState.APPROVED else None
    named = {word for value in asked.parameters.values() for word in str(value).split()} if asked else None
    same_fault = tuple(
        one for one in repair.same_fault if _is_wrong(one, repair.health) and (named is None or one.object in named)
    )
    given = repair.rule.ladder[repair.rung].given(repair.alarm, network, same_fault)
    return replace(repair, same_fault=same_fault, given=given)


def _serving(health: Health | None) -> tuple[str, ...]:
    """Cells on air and core links up, by cell id and device path."""
    if health is None:
        return ()
    return (*(name for name, state in health.cells.items() if state), *(link.path for link in health.links if link.up))


def _after(health: Health | None) -> tuple[str, ...] | None:
    """What serves after a repair; None if the device could not be read."""
    return _serving(health) if health is not None and health.was_read else None


def _worse_off(store: Store, alarm: Alarm, health: Health) -> str:
    """Other objects on the device or site that are worse off than before a repair; empty if there are none."""
    if lost := _no_longer_serves(store, alarm, health):
        return f"{', '.join(lost)} served before it, and not any more"
    for one in _raised_meanwhile(store, alarm):
        return f"alarm {one.id} ({one.probable_cause}) was raised at its site meanwhile"
    return ""


def _no_longer_serves(store: Store, alarm: Alarm, health: Health) -> list[str]:
    """Other objects that served before a repair and do not now; what people locked meanwhile is their will."""
    proposal = _running(store, alarm)
    locked = {*health.locked, *(link.path for link in health.links if link.locked)}
    return sorted(set(proposal.before) - {*_serving(health), *locked, alarm.object}) if proposal else []


def _raised_meanwhile(store: Store, alarm: Alarm) -> list[Alarm]:
    """Standing alarms at the site of a repair that were raised since it began.

    What follows from another root is no doing of the repair. A new alarm counts if it takes service away; all else
    (a fan, the mains, drift) stands for itself.
    """
    proposal = _running(store, alarm)
    if proposal is None:
        return []
    _, network = store.networks.get()
    site = network.site_of(alarm.station) if network.manages(alarm.station) else ""
    there = {alarm.station, *network.routers_at.get(site, ()), *network.stations_at.get(site, ())}
    begun = proposal.decided or proposal.at
    return [
        one
        for one in store.alarms.standing(sorted(there))
        if one.raised >= begun and one.cleared is None and not one.root and one.id != alarm.id
        if one.probable_cause in LOSES
    ]


def _is_well(alarm: Alarm, health: Health | None) -> bool:
    """Whether the object of an alarm is known to be healthy."""
    return health is not None and health.was_read and not _is_wrong(alarm, health)


def _left_out(store: Store, alarm: Alarm, health: Health | None) -> str:
    """What a repair left: after a run that ended well, its job's remarks; else what is worse off, as far as known."""
    if store.runs.get(alarm.run).state is RunState.SUCCEEDED:
        return "; ".join(
            job.detail for job in store.runs.jobs(alarm.run) if job.station == alarm.station and job.detail
        )
    if health is None or not health.was_read:
        return ""
    return _worse_off(store, alarm, health)


def _running(store: Store, alarm: Alarm) -> Proposal | None:
    """The proposal whose run works for an alarm, or is being verified."""
    return next((one for one in store.rules.of_alarm(alarm.id) if one.run and one.run == alarm.run), None)


def _would(repair: Repair) -> str:
    """The action of a repair's rung, in words."""
    rung = repair.rule.ladder[repair.rung]
    act = f"run {rung.playbook}" if rung.playbook else rung.ask or f"hand over to people ({rung.ticket or rung.page})"
    return f"rule {repair.rule.name} would {act}" if not rung.ask else act


def _asks(repair: Repair, asked: Proposal) -> AlarmNote:
    """The note of an alarm whose repair needs a person's yes."""
    return AlarmNote.waiting(f"a yes to {asked.id}: {_would(repair)}", WaitCode.ANSWER)


def _actor(rule: Rule) -> str:
    return f"rule:{rule.name}"
