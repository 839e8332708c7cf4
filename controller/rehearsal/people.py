"""When people know of each fault that no repair ended: the first alarm there, and the first call to somebody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from controller.models.alarm import BACKHAUL_DOWN, CORE_NODE_DOWN, UNREACHABLE, Alarm
from controller.rehearsal.truth import CUT, LOST_CORE, StruckFault
from simulators.network import SimulatedNetwork


@dataclass(frozen=True, slots=True)
class Word:
    """Something that was said of an alarm.

    Attributes:
        at: When, in seconds of the stage's clock.
        calls: Whether people were called, with a page or a ticket; else the alarm was raised.
    """

    at: float
    alarm: Alarm
    calls: bool


@dataclass(frozen=True, slots=True)
class Told:
    """How long it took until people knew of a fault, in seconds since it struck.

    Attributes:
        alarm: Until the first alarm at its place; None if none came while it stood.
        called: Until somebody was called about an alarm there; None if nobody was.
    """

    alarm: float | None
    called: float | None


def told_of(members: Sequence[StruckFault], words: Iterable[Word], network: SimulatedNetwork, end: float) -> Told:
    """When people were told of a cause, at any of the places that it struck.

    The place counts, and not what the alarm says: two faults that stand at one station at a time are not told apart.

    Args:
        members: The faults of the cause.
        words: All that was said, the earliest first.
        network: Where.
        end: When the day is over; what is said then or later does not count.
    """
    since = min(one.since for one in members)
    spans = [(one.since, min(end, end if one.ended is None else one.ended), _place(one, network)) for one in members]
    there = [word for word in words if any(begin <= word.at < over and at(word.alarm) for begin, over, at in spans)]
    alarm = next((word.at - since for word in there if not word.calls), None)
    called = next((word.at - since for word in there if word.calls), None)
    return Told(alarm, called)


def _place(one: StruckFault, network: SimulatedNetwork) -> Callable[[Alarm], bool]:
    """Whether an alarm is about the place of a fault."""
    if one.kind == LOST_CORE:
        return lambda alarm: alarm.probable_cause == CORE_NODE_DOWN and alarm.tenant == one.target
    if one.kind != CUT:
        return lambda alarm: alarm.station == one.station
    below = network.below(one.target)
    stations = {record.id for record in network.stations if record.backhaul in below}
    return lambda alarm: (
        alarm.object in below
        if alarm.probable_cause == BACKHAUL_DOWN
        else alarm.probable_cause == UNREACHABLE and alarm.station in stations
    )
