"""The remediation loop: takes a standing alarm through guards and a repair run to repaired or escalated."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import structlog

from controller.assurance.checker import Checker
from controller.assurance.health import OWN_CAUSES, wrongs
from controller.models.alarm import (
    WAITS,
    Alarm,
    AlarmSource,
    AlarmState,
    PerceivedSeverity,
)
from controller.models.errors import ConflictError, InputError, MinkaError, PlanRefusedError
from controller.models.health import Health
from controller.models.run import Run, RunState
from controller.ports.clock import Clock
from controller.ports.notifier import Notifier
from controller.ports.store import AsyncStore, PreparedRun, RunRequest, Store
from controller.remediation.breaker import Breaker
from controller.remediation.escalations import Escalations
from controller.remediation.guards import Limits, Refusal, Repair, refusal
from controller.remediation.rules import Rule, rule_for
from controller.runs.launch import Launcher

log = structlog.get_logger()

#: Alarms worked on at once.
_AT_ONCE = 50
#: Seconds until an alarm is looked at again: while its run works, while something stands in the way.
_SOON, _LATER = 1.0, 5.0
#: Seconds until the next try after the first failed one; doubles up to the second.
_RETRY = (1.0, 60.0)
#: Seconds that an alarm has to clear after its repair where its rule is gone meanwhile.
_VERIFY = 300.0
#: Notified warnings are never cleared by their station (o-ran-fm): they expire.
_WARNINGS_EXPIRE = timedelta(hours=24)
#: Begins what people are told where a rule's playbook can't be run.
_NO_PLAN = "no repair could be planned"


class Remediator:
    """Looks at alarms that change or are due; every decision is on record before the next one.

    Success is the alarm cleared and its object healthy; anything else is escalated to people. Each alarm
    is worked on by a task of its own, so that a slow station delays no other's repair.
    """

    def __init__(
        self,
        store: AsyncStore,
        checker: Checker,
        launcher: Launcher,
        notifier: Notifier,
        clock: Clock,
        rules: Sequence[Rule],
        breaker: Breaker | None = None,
        limits: Limits = Limits(),  # noqa: B008  # a frozen value
    ) -> None:
        self._store = store
        self._checker = checker
        self._launcher = launcher
        self._escalations = Escalations(store, notifier, clock)
        self._clock = clock
        self._rules = tuple(rules)
        self._breaker = breaker or Breaker()
        self._limits = limits
        self._places = asyncio.Semaphore(_AT_ONCE)
        #: Row of the audit trail up to which changes of alarms are known.
        self._seen: int | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._well_since: dict[str, float] = {}

    async def step(self) -> None:
        """One round: begins work on alarms that changed or are due, and tells people of escalations.

        Only what changed since the last round is asked for: there may be 100,000 alarms that stand.

        Raises:
            StoreError: The database is away; the next round looks again.
        """
        seen = self._seen
        self._seen, changed = await self._store.alarms.changes(seen)
        now = self._clock.monotonic()
        self._due |= dict.fromkeys(changed, now)
        for alarm_id in [one for one, at in self._due.items() if at <= now and one not in self._tasks]:
            del self._due[alarm_id]
            self._tasks[alarm_id] = asyncio.create_task(self._attend(alarm_id))
        await self._escalations.step()

    async def settle(self) -> None:
        """Wait for the work that was begun."""
        await asyncio.gather(*self._tasks.values())
        await self._escalations.settle()

    async def _attend(self, alarm_id: str) -> None:
        """Take one alarm as far as it goes now, and note when to look at it again."""
        try:
            async with self._places:
                wait = await self._advance(await self._store.alarms.get(alarm_id))
            self._failures.pop(alarm_id, None)
        except MinkaError as error:
            wait = self._wait_after_failure(alarm_id)
            log.warning("remediation.failed", alarm=alarm_id, code=error.code, reason=error.message)
        except Exception:
            wait = self._wait_after_failure(alarm_id)
            log.exception("remediation.bug", alarm=alarm_id)
        finally:
            del self._tasks[alarm_id]
        if wait is None:
            self._well_since.pop(alarm_id, None)
        else:  # unless it changed meanwhile
            self._due.setdefault(alarm_id, self._clock.monotonic() + wait)

    def _wait_after_failure(self, alarm_id: str) -> float:
        failures = self._failures[alarm_id] = self._failures.get(alarm_id, 0) + 1
        return min(_RETRY[1], _RETRY[0] * 2.0 ** (failures - 1))

    async def _advance(self, alarm: Alarm) -> float | None:
        """Returns seconds until the next look; None for none before the alarm changes."""
        rule = rule_for(self._rules, alarm)
        if alarm.state is AlarmState.REPAIRING:
            return await self._verify(alarm, rule.verify_seconds if rule else _VERIFY)
        if alarm.state is AlarmState.ESCALATED:
            return await self._reconsider(alarm, rule)
        if alarm.state.terminal:
            return None
        if rule is None:
            return await self._expire(alarm)
        return await self._repair(alarm, rule)

    async def _reconsider(self, alarm: Alarm, rule: Rule | None) -> float | None:
        """An escalated alarm that stands is repaired again once its cool-down is over; people were told already."""
        if rule is None or alarm.cleared is not None:
            return None
        cool_down = timedelta(seconds=rule.guards.cool_down_seconds)
        left = cool_down - (self._clock.now() - (alarm.escalated or alarm.changed))
        if left > timedelta():
            return left.total_seconds()
        return await self._repair(alarm, rule)

    # -------------------------------------------------------------------- act

    async def _repair(self, alarm: Alarm, rule: Rule) -> float:
        repair = Repair(alarm, rule, self._limits)
        if no := await self._refusal(repair):
            return await self._refuse(alarm, no)
        try:
            repair = replace(repair, health=await self._checker.health(alarm.station))
        except InputError as error:
            return await self._escalate(alarm, f"{_NO_PLAN}: {error.message}")
        if no := await self._refusal(repair):
            return await self._refuse(alarm, no)
        assert repair.health is not None
        if alarm.probable_cause in OWN_CAUSES and not _is_wrong(alarm, repair.health):
            return await self._nothing_to_do(alarm, rule)
        return await self._start(repair)

    async def _start(self, repair: Repair) -> float:
        """Run the rule's playbook, unless something refuses that."""
        alarm, rule = repair.alarm, repair.rule
        try:
            new = await self._launcher.prepare(
                RunRequest(
                    playbook=rule.playbook,
                    parameters=rule.given(alarm),
                    actor=_actor(rule),
                    cause=f"alarm:{alarm.id}",
                    reason=alarm.text,
                    key=_run_key(alarm),
                )
            )
        except (InputError, PlanRefusedError) as error:
            repair = replace(repair, health=await self._checker.health(alarm.station))
            if no := await self._refusal(repair):  # it came while the repair was planned
                return await self._refuse(alarm, no)
            return await self._escalate(alarm, f"{_NO_PLAN}: {error.message}")
        if new.idle:
            return await self._nothing_to_do(alarm, rule)
        repair = replace(repair, run=new)
        if no := await self._refusal(repair):
            return await self._refuse(alarm, no)
        self._well_since.pop(alarm.id, None)
        run = await self._launcher.accept(new, partial(self._begin, repair))
        if run is not None:
            log.info("remediation.started", alarm=alarm.id, rule=rule.name, run=run.id, station=alarm.station)
        return _SOON

    def _begin(self, repair: Repair, store: Store, new: PreparedRun) -> Run | None:
        """Run, cool-down's record and alarm state in one transaction: none without the others.

        The guards are asked once more in it, since planning took its time. None where the breaker lets none begin.
        """
        alarm, rule = repair.alarm, repair.rule
        if no := refusal(store, repair, self._clock.now()):
            raise ConflictError(f"no repair was started: {no.reason}")
        if not self._breaker.lets(store, self._clock.now()):
            return None
        run = store.runs.create(new)
        store.repairs.record(rule.name, repair.key, alarm.id, run.id)
        moved = store.alarms.move(alarm, AlarmState.REPAIRING, actor=_actor(rule), run=run.id, note=rule.name)
        if moved is None:
            raise ConflictError(f"alarm {alarm.id} changed in the meantime")
        return run

    async def _refusal(self, repair: Repair) -> Refusal | None:
        return await self._store.transaction(refusal, repair, self._clock.now())

    async def _refuse(self, alarm: Alarm, no: Refusal) -> float:
        """Ask people, or say in the alarm why nothing happens and look again later."""
        if no.final:
            return await self._escalate(alarm, no.reason)
        await self._say(alarm, f"{WAITS}{no.reason}")
        left = _later(alarm) if no.until is None else (no.until - self._clock.now()).total_seconds()
        return min(max(left, 0.0), _later(alarm))

    async def _say(self, alarm: Alarm, note: str) -> None:
        """Note it in an alarm of which people were not told."""
        if alarm.note != note and alarm.state is AlarmState.RAISED:
            await self._store.alarms.move(alarm, AlarmState.RAISED, actor="remediation", note=note)

    async def _nothing_to_do(self, alarm: Alarm, rule: Rule) -> float:
        """Healed already, then the source says so soon."""
        now = self._clock.monotonic()
        if now - self._well_since.setdefault(alarm.id, now) > rule.verify_seconds:
            return await self._escalate(alarm, "the station reports no fault, but the alarm stands")
        return _later(alarm)

    async def _expire(self, alarm: Alarm) -> float | None:
        if alarm.severity is not PerceivedSeverity.WARNING or alarm.source is AlarmSource.ALARM_LIST:
            await self._say(alarm, "no rule answers it: it stands until its source clears it")
            return None
        left = _WARNINGS_EXPIRE - (self._clock.now() - alarm.changed)
        if left > timedelta():
            await self._say(alarm, "no rule answers it: it stands until its source clears it")
            return left.total_seconds()
        await self._store.alarms.move(alarm, AlarmState.CLEARED, actor="remediation", note="expired")
        return None

    # ----------------------------------------------------------------- verify

    async def _verify(self, alarm: Alarm, seconds: float) -> float:
        """After the run: the alarm must clear and the object be healthy in time."""
        run = await self._store.runs.get(alarm.run)
        if not run.state.terminal:
            return _SOON
        if run.state is not RunState.SUCCEEDED:
            return await self._escalate(alarm, f"repair run {run.id} ended {run.state}")
        if alarm.cleared is not None:
            health = await self._checker.health(alarm.station)
            if health.reachable and not _is_wrong(alarm, health):
                return await self._close(alarm, run)
        if self._clock.now() - (run.finished or alarm.changed) > timedelta(seconds=seconds):
            state = "stands" if alarm.cleared is None else "is cleared, but its object is not healthy"
            return await self._escalate(alarm, f"repair run {run.id} succeeded, yet the alarm {state}")
        return _SOON

    async def _close(self, alarm: Alarm, run: Run) -> float:
        repaired = await self._store.alarms.move(alarm, AlarmState.REPAIRED, actor="remediation", note=f"by {run.id}")
        if repaired is not None:
            log.info("remediation.repaired", alarm=alarm.id, run=run.id, station=alarm.station)
        return _SOON

    async def _escalate(self, alarm: Alarm, reason: str) -> float:
        """Decide that people are to see to it, unless the alarm moved on since it was looked at; they are told next.

        The decision is on record before anybody is told, so that two schedulers tell people once, and so that
        what one of them is repairing is not escalated by the other. What they were told of already is not told again.
        """
        if alarm.state is AlarmState.ESCALATED:
            return _RETRY[1]
        if await self._store.alarms.escalate(alarm, reason, actor="remediation"):
            log.warning("remediation.escalated", alarm=alarm.id, station=alarm.station, reason=reason)
        return _SOON


def _later(alarm: Alarm) -> float:
    """Seconds until something that stands in the way is looked at again; people know of what was escalated."""
    return _RETRY[1] if alarm.state is AlarmState.ESCALATED else _LATER


def _run_key(alarm: Alarm) -> str:
    """Idempotency key of an alarm's next repair run: one for each that went before."""
    return f"alarm:{alarm.id}:{alarm.run}".rstrip(":")


def _is_wrong(alarm: Alarm, health: Health) -> bool:
    """Whether the station itself finds the alarm's object at fault."""
    return any(what == alarm.object for what, _ in wrongs(health))


def _actor(rule: Rule) -> str:
    return f"rule:{rule.name}"
