"""Scripts that answer each alarm with its cure, for comparison: one at once, and one that looks around first.

Neither of them knows anything of Minka's guards, rules or records.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial

from controller.drivers.protocols import DeviceSession, Equipped, equipped
from controller.drivers.registry import target_of
from controller.models.equipment import Operation, OperationKind
from controller.models.errors import MinkaError
from controller.models.network import Network
from controller.models.plan import Edit, Op
from controller.nrm.profiles import administrative_leaf
from controller.nrm.tree import Observed, Path, is_below, path_of
from controller.rehearsal.day import Day
from controller.rehearsal.play import DAY_BEGINS, Stage, begin
from controller.rehearsal.timeline import VirtualLoop
from controller.rehearsal.twin import MemoryDevices
from simulators.equipment.alarms import Alarm
from simulators.equipment.fault_kinds import (
    CELL_OUT_OF_SERVICE,
    CORE_LINK_DOWN,
    LICENCE_MISSING,
    USER_PLANE_DOWN,
    WRONG_SOFTWARE,
)

#: Seconds in which the same alarm is answered once: locking and unlocking a broken cell raises its alarm again.
_AGAIN = 900.0
#: Seconds that the guarded script waits, and the number of stations from which on it takes an alarm for a common one.
WAITS, COMMON = 90.0, 4
_Cure = Callable[[DeviceSession, Alarm], Awaitable[None]]


class Script:
    """Answers alarms on a stage: each at once, and asks nobody."""

    def __init__(self, stage: Stage, network: Network) -> None:
        self._stage = stage
        self._network = network
        self._loop = VirtualLoop(stage.clock)
        self._tasks: set[asyncio.Task[None]] = set()
        #: By station and alarm, when it was last answered.
        self._answered: dict[tuple[str, int, str], float] = {}

    def play(self, day: Day) -> None:
        """Play a day."""
        self._loop.run(self._day(day))

    async def _day(self, day: Day) -> None:
        self._devices = MemoryDevices(self._stage.fleet)
        await self._loop.sleep(DAY_BEGINS - self._loop.time())
        begin(self._stage, day)
        self._stage.fleet.listen(alarms=self._take)
        await self._loop.sleep(day.hours * 3600)

    def _take(self, station: str, alarm: Alarm, raised: bool, _at: datetime) -> None:
        if raised and alarm.fault_id in _CURES:
            self._begin(station, alarm)

    def _begin(self, station: str, alarm: Alarm) -> None:
        """Answer an alarm, unless the same one was answered a short while ago."""
        key, now = (station, *alarm.key), self._loop.time()
        if now - self._answered.get(key, -_AGAIN) >= _AGAIN:
            self._answered[key] = now
            task = self._loop.create_task(self._answer(station, alarm, _CURES[alarm.fault_id]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, station: str, alarm: Alarm, cure: _Cure) -> None:
        try:
            async with self._devices.session(target_of(self._network, station)) as session:
                await cure(session, alarm)
        except MinkaError:
            return  # it does not check whether it worked either


class GuardedScript(Script):
    """A script as a careful engineer writes it.

    It waits before it answers, and answers what still stands then. What is common to more than three stations it leaves
    to people, and stations under a hold too. It never restarts a station.
    """

    async def _day(self, day: Day) -> None:
        self._holds = [one for one in day.stops if one.kind == "hold"]
        await super()._day(day)

    def _take(self, station: str, alarm: Alarm, raised: bool, _at: datetime) -> None:
        if raised and alarm.fault_id in _CURES.keys() - _RESTARTS:
            self._loop.call_later(WAITS, partial(self._look, station, alarm))

    def _look(self, station: str, alarm: Alarm) -> None:
        stands = alarm in self._stage.fleet.stations[station].equipment.alarms.active
        if stands and not self._held(station) and self._at(alarm) < COMMON:
            self._begin(station, alarm)

    def _held(self, station: str) -> bool:
        now = self._stage.now()
        return any(one.target == station and one.begins <= now < one.ends for one in self._holds)

    def _at(self, alarm: Alarm) -> int:
        """The number of stations at which an alarm of this kind stands now."""
        alarms = (one.equipment.alarms.active for one in self._stage.fleet.stations.values())
        return sum(any(one.fault_id == alarm.fault_id for one in active) for active in alarms)


# ------------------------------------------------------------------------------ cures


def _equipped(session: DeviceSession) -> Equipped:
    """A session to a station of the twin: all of them have equipment."""
    known = equipped(session)
    assert known is not None
    return known


def _send(kind: OperationKind, *, on_unit: bool = False) -> _Cure:
    async def cure(session: DeviceSession, alarm: Alarm) -> None:
        await _equipped(session).operate(
            Operation(kind=kind, subject=alarm.source if on_unit else "", seconds=_PATIENCE)
        )

    return cure


async def _recreate(session: DeviceSession, alarm: Alarm) -> None:
    seen = await session.read()
    path = path_of(alarm.affected[0])
    nodes = [one for one in seen.tree if one == path or is_below(one, path)]
    await _committed(session, [Edit(op=Op.DELETE, path=path, before=dict(seen.tree[path]), owners=_NOBODY)])
    await _committed(
        session, [Edit(op=Op.CREATE, path=one, after=dict(seen.tree[one]), owners=_NOBODY) for one in nodes]
    )


async def _lock_and_unlock(session: DeviceSession, alarm: Alarm) -> None:
    seen = await session.read()
    cells = [path for name in alarm.affected if (path := path_of(name)) in seen.tree]
    for state in ("LOCKED", "UNLOCKED"):
        await _committed(session, [_in_state(seen, path, state) for path in cells])


def _in_state(seen: Observed, path: Path, state: str) -> Edit:
    return Edit(op=Op.MERGE, path=path, after={administrative_leaf(path): state}, owners=_NOBODY)


async def _other_software(session: DeviceSession, _alarm: Alarm) -> None:
    slots = (await _equipped(session).equipment()).slots
    other = next((slot.name for slot in slots if slot.status == "VALID" and not slot.running), "")
    if other:
        await _equipped(session).operate(Operation(kind=OperationKind.ACTIVATE, subject=other, seconds=_PATIENCE))
        await _equipped(session).operate(Operation(kind=OperationKind.RESET, seconds=_PATIENCE))


async def _committed(session: DeviceSession, edits: list[Edit]) -> None:
    await session.edit(edits)
    await session.commit()


#: Owners for an edit on the wire (none), and how long an operation may take.
_NOBODY, _PATIENCE = (), 60.0
#: Cures by fault id of the alarm; faults that need a visit have none.
_CURES: Mapping[int, _Cure] = {
    1: _lock_and_unlock,
    2: _lock_and_unlock,
    17: _send(OperationKind.RESET),
    18: _send(OperationKind.RESET),
    29: _send(OperationKind.RESET_UNIT, on_unit=True),
    30: _send(OperationKind.RESET_UNIT, on_unit=True),
    CORE_LINK_DOWN: _recreate,
    USER_PLANE_DOWN: _recreate,
    CELL_OUT_OF_SERVICE: _lock_and_unlock,
    LICENCE_MISSING: _send(OperationKind.RELOAD_LICENCE),
    WRONG_SOFTWARE: _other_software,
}
#: Those of them that restart a station.
_RESTARTS = frozenset((17, 18, WRONG_SOFTWARE))
