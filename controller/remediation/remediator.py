"""The remediation loop: from a standing alarm over guards and a repair run to repaired or escalated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import structlog

from controller.assurance.health import CONFIGURATION_DRIFT
from controller.models.alarm import Alarm, AlarmState
from controller.models.errors import ConflictError, InputError, MinkaError, StoreError
from controller.models.plan import Plan
from controller.models.run import Run, RunState, Strategy
from controller.nrm.profiles import cell_of, link_up
from controller.ports.clock import Clock
from controller.ports.notifier import Notifier
from controller.ports.queue import Doorbell
from controller.ports.store import Page, Store, StoreLoop
from controller.remediation.rules import Repair, Rule, rule_for
from controller.runs.planner import Planner
from controller.runs.submit import submit

log = structlog.get_logger()

#: Name of the kill switch (docs/remediation.md).
KILL_SWITCH = "remediation-stopped"
_LOOK = Page(limit=1000)


class Remediator:
    """Looks at open alarms again and again; every decision is on record before the next one.

    Success is the alarm cleared and the object healthy; anything else is escalated to people.
    """

    def __init__(
        self,
        store: StoreLoop,
        planner: Planner,
        doorbell: Doorbell,
        notifier: Notifier,
        clock: Clock,
        rules: Sequence[Rule],
    ) -> None:
        self._store = store
        self._planner = planner
        self._doorbell = doorbell
        self._notifier = notifier
        self._clock = clock
        self._rules = tuple(rules)

    async def step(self) -> None:
        """One round over all open alarms; one that fails is logged and met again next round."""
        open_states = (AlarmState.RAISED, AlarmState.REPAIRING)
        _, alarms = await self._store.call(lambda store: store.alarms(_LOOK, open_states))
        stopped = await self._store.call(lambda store: store.switch(KILL_SWITCH))
        for alarm in alarms:
            rule = rule_for(self._rules, alarm)
            if rule is None:
                continue
            try:
                if alarm.state is AlarmState.REPAIRING:
                    await self._verify(alarm, rule)
                elif not stopped:
                    await self._repair(alarm, rule)
            except StoreError as error:
                log.warning("remediation.store_unavailable", reason=error.message)
                return
            except MinkaError as error:
                log.warning("remediation.failed", alarm=alarm.id, reason=error.message)

    # -------------------------------------------------------------------- act

    async def _repair(self, alarm: Alarm, rule: Rule) -> None:
        now = self._clock.now()
        if now - alarm.raised < timedelta(seconds=rule.guards.settle_seconds) or await self._held(alarm):
            return
        since = now - timedelta(seconds=rule.guards.cool_down_seconds)
        earlier = await self._store.call(lambda store: store.repairs_since(rule.name, _key(alarm), since))
        if earlier >= rule.guards.attempts:
            await self._escalate(alarm, f"it came back after {earlier} repairs; something else may be writing here")
            return
        try:
            plan = await self._plan(alarm, rule)
        except InputError as error:
            await self._escalate(alarm, f"no repair could be planned: {error.message}")
            return
        if plan.is_empty:
            await self._nothing_to_do(alarm, plan)
            return
        run = await self._store.call(lambda store: self._begin(store, alarm, rule, plan))
        log.info("remediation.started", alarm=alarm.id, rule=rule.name, run=run.id, station=alarm.station)

    async def _plan(self, alarm: Alarm, rule: Rule) -> Plan:
        if rule.repair is Repair.RECREATE_ENDPOINT:
            return await self._planner.recreate_plan(alarm.station, alarm.object, _actor(rule))
        return await self._planner.repair_plan(alarm.station, _actor(rule))

    def _begin(self, store: Store, alarm: Alarm, rule: Rule, plan: Plan) -> Run:
        """Run, guard's record and alarm state in one transaction: none without the others."""
        run = submit(
            store,
            self._doorbell,
            plan,
            actor=_actor(rule),
            strategy=Strategy(canary=0),
            cause=f"alarm:{alarm.id}",
            reason=alarm.text,
            idempotency_key=f"alarm:{alarm.id}",
        )
        store.record_repair(rule.name, _key(alarm), alarm.id, run.id)
        moved = store.move_alarm(
            alarm.id, (AlarmState.RAISED,), AlarmState.REPAIRING, actor=_actor(rule), run=run.id, note=rule.name
        )
        if moved is None:
            raise ConflictError(f"alarm {alarm.id} moved on meanwhile")
        return run

    async def _nothing_to_do(self, alarm: Alarm, plan: Plan) -> None:
        """The repair finds nothing to change: healed already, or kept out of plans (hold, not adopted)."""
        if alarm.station in plan.unplanned:
            log.info("remediation.held", alarm=alarm.id, reason=plan.unplanned[alarm.station])
        elif alarm.probable_cause == CONFIGURATION_DRIFT:
            log.info("remediation.healed", alarm=alarm.id, station=alarm.station)

    async def _held(self, alarm: Alarm) -> bool:
        """Whether a person's hold covers the alarm's station, cell or site."""
        now = self._clock.now()
        holds, (_, network) = await self._store.call(lambda store: (store.holds(now), store.network()))
        station = network.station_by_id.get(alarm.station)
        names = {alarm.station, f"site:{station.site}" if station else ""}
        if cell := cell_of(alarm.object):
            names.add(f"{alarm.station}/{cell}")
        return any(hold.target in names for hold in holds)

    # ----------------------------------------------------------------- verify

    async def _verify(self, alarm: Alarm, rule: Rule) -> None:
        """After the run: the alarm must clear and the object be healthy in time."""
        run = await self._store.call(lambda store: store.run(alarm.run))
        if not run.state.terminal:
            return
        if run.state is not RunState.SUCCEEDED:
            await self._escalate(alarm, f"repair run {run.id} ended {run.state}")
            return
        if alarm.cleared is not None and await self._healthy(alarm):
            await self._store.call(
                lambda store: store.move_alarm(
                    alarm.id, (AlarmState.REPAIRING,), AlarmState.REPAIRED, actor=_actor(rule), note=f"by {run.id}"
                )
            )
            log.info("remediation.repaired", alarm=alarm.id, run=run.id)
            return
        ended = run.finished or alarm.changed
        if self._clock.now() - ended > timedelta(seconds=rule.verify_seconds):
            state = "is still open" if alarm.cleared is None else "is cleared, but its object is not healthy"
            await self._escalate(alarm, f"repair run {run.id} succeeded, yet the alarm {state}")

    async def _healthy(self, alarm: Alarm) -> bool:
        """What the station itself says of the alarm's object, read just now."""
        if alarm.probable_cause == CONFIGURATION_DRIFT:
            return not (await self._planner.drift([alarm.station])).get(alarm.station)
        _, network = await self._store.call(lambda store: store.network())
        return link_up(await self._planner.read(network, alarm.station), alarm.object)

    async def _escalate(self, alarm: Alarm, reason: str) -> None:
        """Tell people, then close the alarm as escalated; a notifier that is away is tried again next round."""
        await self._notifier.escalate(alarm, reason)
        open_states = (AlarmState.RAISED, AlarmState.REPAIRING)
        await self._store.call(
            lambda store: store.move_alarm(
                alarm.id, open_states, AlarmState.ESCALATED, actor="remediation", note=reason
            )
        )
        log.warning("remediation.escalated", alarm=alarm.id, station=alarm.station, reason=reason)


def _actor(rule: Rule) -> str:
    return f"rule:{rule.name}"


def _key(alarm: Alarm) -> str:
    """The object that cool-downs are counted for."""
    return f"{alarm.station}:{alarm.object}"
