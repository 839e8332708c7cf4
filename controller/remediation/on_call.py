"""Calls who is on call about escalations: again and again, and then somebody else, until somebody acknowledges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from controller.access.disclosure import TenantAlarm
from controller.access.messages import CallsContent, HostCallContent, MessageContent, TenantCallContent
from controller.intent.gathering import gather_calls
from controller.models.alarm import Alarm, Escalation
from controller.models.errors import MessageRefusedError, MinkaError, NotFoundError
from controller.models.network import Network
from controller.models.on_call import Call, CalledAlarm, CallMessage, ToldCall
from controller.models.scalars import HOST
from controller.ports.clock import Clock
from controller.ports.webhook import Contacts
from controller.remediation.dispatch import dispatch_pack
from controller.remediation.schedule import OnCall, follow, schedules_in_force
from controller.runs.approval.deliveries import Deliveries
from controller.store import AsyncStore, Store

log = structlog.get_logger()

#: Until somebody is asked for again on a side that has nobody on call at this hour.
_NOBODY = timedelta(minutes=1)
#: Calls that are made in one transaction, and how often a round asks for more that are due.
_AT_ONCE, _ROUNDS = 50, 25
#: Why nobody else is called.
_ALL_CALLED = "all of the schedule were called"
_NO_SCHEDULE = "the side has no schedule any more"


def on_call(store: Store, at: datetime) -> Mapping[str, OnCall]:
    """Who can be called at a time, by side; none before a network and definitions are in force."""
    try:
        schedules, (_, network) = schedules_in_force(store), store.networks.get()
    except NotFoundError:
        return {}
    return {side: _of(store, side, network, at) for side in schedules} if schedules else {}


def _of(store: Store, side: str, network: Network, at: datetime) -> OnCall:
    return OnCall(
        schedule=schedules_in_force(store)[side],
        contacts=frozenset(one.id for one in network.contacts_of(side)),
        hand_overs={one.contact: one for one in store.calls.hand_overs(at) if one.side == side},
        local=lambda time: time.astimezone(network.zone),
    )


class Caller:
    """Makes the calls of escalations, each by one of all schedulers, and sends them.

    Args:
        store: The record.
        contacts: How contacts of the network files are told.
        clock: Source of time.
    """

    def __init__(self, store: AsyncStore, contacts: Contacts, clock: Clock) -> None:
        self._store = store
        self._contacts = contacts
        self._clock = clock
        self._deliveries: Deliveries[CallMessage] = Deliveries(store.calls, self._post, clock)

    async def take(self, one: Escalation) -> bool:
        """Make the first calls of an escalation; whether the host has somebody on call for it.

        Where it has, the escalation is told by its calls from now on. A repetition makes no second ones.
        """
        return await self._store.transaction(self._begin, one)

    async def step(self) -> None:
        """One round: makes the calls that are due, gathers them, and sends all that is not sent.

        Raises:
            StoreError: The database is away; the next round tries again.
        """
        # What is due together is on record before it is gathered, so that it is one message.
        for _ in range(_ROUNDS):
            due = await self._store.calls.due()
            for start in range(0, len(due), _AT_ONCE):
                await self._store.transaction(self._go_on_with, due[start : start + _AT_ONCE])
            if not due:
                break
        await self._store.calls.gather()
        await self._deliveries.step()

    async def settle(self) -> None:
        """Wait for calls that are being sent."""
        await self._deliveries.settle()

    def _begin(self, store: Store, one: Escalation) -> bool:
        now, first = self._clock.now(), []
        sides = on_call(store, now)
        for side in (HOST, *sorted(sides.keys() - {HOST})):
            if side in sides and _concerns(store, one.alarm, side):
                call = follow(sides[side], one.severity, _about(one, side, now), None, now)
                first += [call] if call is not None else []
        if first:
            store.calls.begin(one, first)
        return any(call.side == HOST for call in first)

    def _go_on_with(self, store: Store, due: Sequence[Call]) -> None:
        """Make the calls that follow others, or decide that none does."""
        who = on_call(store, self._clock.now())
        for call in due:
            self._go_on(store, call, who.get(call.side))

    def _go_on(self, store: Store, before: Call, who: OnCall | None) -> None:
        now, alarm = self._clock.now(), store.alarms.get(before.alarm)
        if alarm.cleared is not None or not _concerns(store, alarm.id, before.side):
            store.calls.follow(before, None)
        elif alarm.shelved_until is not None and alarm.shelved_until > now:
            store.calls.postpone(before, alarm.shelved_until)
        else:
            self._repeat(store, before, alarm, who)

    def _repeat(self, store: Store, before: Call, alarm: Alarm, who: OnCall | None) -> None:
        now, one = self._clock.now(), store.escalations.get(alarm.id, before.escalation)
        if who is not None and who.duty(now, one.severity, one.kind) is None:
            store.calls.postpone(before, now + _NOBODY)
            return
        after = None if who is None else follow(who, one.severity, _about(one, before.side, now), before, now)
        why = "" if after is not None else _NO_SCHEDULE if who is None else _ALL_CALLED
        if store.calls.follow(before, after, why) and why:
            log.error("call.nobody_acknowledged", alarm=alarm.id, side=before.side, calls=before.number, reason=why)

    async def _post(self, message: CallMessage) -> None:
        try:
            await self._tell(message)
        except MessageRefusedError as error:
            await self._store.calls.refuse(message, error.message)
            raise
        except MinkaError:
            raise
        except Exception:
            # A bug at one call keeps no others from their receiver.
            await self._store.calls.refuse(message, "it can't be made")
            raise

    async def _tell(self, message: CallMessage) -> None:
        call, (_, network) = message.call, await self._store.networks.get()
        contact = next((one for one in network.contacts_of(call.side) if one.id == call.contact), None)
        if contact is None:
            raise MinkaError(f"the network files have no contact {call.contact} of {call.side}")
        if message.lists:
            made = gather_calls(message, await self._store.transaction(_called, message), network)
            content: MessageContent = CallsContent(kind=call.kind, calls=made, text=made.text)
        else:
            content = await self._store.transaction(self._content, call)
        await self._contacts.notify(contact, content, message.key)

    def _content(self, store: Store, call: Call) -> HostCallContent | TenantCallContent:
        """The message of a call. A tenant gets its own part of the alarm, and nothing of what the host does."""
        told = ToldCall.of(call)
        if call.side == HOST:
            why = store.escalations.get(call.alarm, call.escalation).reason
            pack = dispatch_pack(store, call.alarm, self._clock.now())
            return HostCallContent(
                kind=call.kind,
                call=told,
                alarm=store.alarms.get(call.alarm),
                reason=why,
                dispatch=pack,
                text=_words(call, [why, *pack.lines]),
            )
        alarm = TenantAlarm.of(store.tenants.alarm(call.side, call.alarm))
        lines = [
            f"{alarm.probable_cause} ({alarm.severity.value}) of {alarm.object} since {alarm.raised.isoformat()}",
            *([f"station {alarm.station}"] if alarm.station else []),
            *([f"cells: {', '.join(alarm.cells)}"] if alarm.cells else []),
        ]
        return TenantCallContent(kind=call.kind, call=told, alarm=alarm, text=_words(call, lines))


def _called(store: Store, message: CallMessage) -> list[CalledAlarm]:
    """The alarms of a message that lists several calls, each once; for a tenant as it is told of them."""
    calls: dict[str, Call] = {}
    for one in store.calls.listed(message):
        calls.setdefault(one.alarm, one)
    side = message.call.side
    if side != HOST:
        told = {one.id: one for one in store.tenants.find(side, calls)}
        if not told:
            raise NotFoundError(f"no alarm of message {message.message} concerns {side} any more")
        return [
            _listed(TenantAlarm.of(told[id_]), told[id_].incident, call) for id_, call in calls.items() if id_ in told
        ]
    made = []
    for alarm in store.alarms.find(calls):
        why = store.escalations.get(alarm.id, calls[alarm.id].escalation)
        said = {"severity": why.severity, "reason": why.reason, "tenants": alarm.tenants}
        made.append(_listed(alarm, alarm.incident, calls[alarm.id]).model_copy(update=said))
    return made


def _listed(alarm: Alarm | TenantAlarm, incident: str, call: Call) -> CalledAlarm:
    return CalledAlarm(
        alarm=alarm.id,
        incident=incident,
        what=alarm.probable_cause,
        severity=alarm.severity,
        station=alarm.station,
        object=alarm.object,
        cells=alarm.cells,
        since=alarm.raised,
        number=call.number,
        duty=call.duty,
        instead_of=call.instead_of,
    )


def _about(one: Escalation, side: str, now: datetime) -> Call:
    """A call of an escalation on a side, to nobody yet."""
    return Call(
        alarm=one.alarm,
        escalation=one.number,
        side=side,
        number=0,
        kind=one.kind,
        duty="",
        place=0,
        nth=0,
        contact="",
        at=now,
    )


def _concerns(store: Store, alarm_id: str, side: str) -> bool:
    """Whether people of a side are called about an alarm: the host's always, a tenant's while it concerns it."""
    if side == HOST:
        return True
    try:
        return store.tenants.alarm(side, alarm_id).stands
    except NotFoundError:
        return False


def _words(call: Call, lines: list[str]) -> str:
    """A call as plain text: its subject in the first line."""
    first = f"{call.kind} {call.alarm}, call {call.number} of {call.side} ({call.duty})"
    return "\n".join([f"{first}: {lines[0]}", "", *lines[1:], f"to acknowledge: minka oncall acknowledge {call.alarm}"])
