"""For which part of the time that an alarm stood it is known that its fault did. Pure.

An alarm stands until something clears it. While nobody looks, or nobody gets an answer, nothing can: so what a check
raised proves its fault only for the time between reads. Beyond that, the station's own list may: by an event in that
time, or by a fault that it has kept since before.

Readings go before what others tell (``AlarmSource.is_told``): anybody with a token may send that. It proves nothing of
time in which checks read its object, whatever they read, and never that a device can't be reached; elsewhere no more
than that the far end says so, while Minka takes reports. Once a reading finds the same fault, the alarm is its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from controller.intent.observation import Observation, Proof
from controller.intent.outages import Spell
from controller.intent.times import Times, both, union, without
from controller.models.alarm import HIDES, AlarmSource


def proved(spells: Iterable[Spell], observation: Observation, hidden: Iterable[Spell] = ()) -> list[Spell]:
    """The parts of times of alarms in which their faults are known to have stood, each with its proof.

    Args:
        spells: Times in which alarms stood.
        observation: When Minka looked.
        hidden: Further times of alarms that hide whether there is service (``HIDES``), such as those of other
            incidents.
    """
    known, unread = list(spells), defaultdict[str, list[tuple[datetime, datetime]]](list)
    for one in (*known, *hidden):
        if one.alarm.probable_cause in HIDES and one.alarm.source is AlarmSource.CHECK:
            unread[one.alarm.station].append((one.since, one.until))
    away = {station: union(times) for station, times in unread.items()}
    return [part for one in known for part in _parts_of(one, observation, away)]


def _parts_of(spell: Spell, observation: Observation, away: Mapping[str, Times]) -> Iterator[Spell]:
    left: Times = ((spell.since, spell.until),)
    for proof, times in _proofs(spell, observation, away):
        yield from (spell._replace(since=since, until=until, proof=proof) for since, until in both(left, times))
        left = without(left, times)


def _proofs(spell: Spell, observation: Observation, away: Mapping[str, Times]) -> Iterator[tuple[Proof, Times]]:
    """What proves a fault, the strongest first, and for which times."""
    alarm = spell.alarm
    read = observation.looked_at(alarm.station) if alarm.station else observation.running
    if alarm.probable_cause not in HIDES:
        read = without(read, away.get(alarm.station, ()))
        if alarm.source is not AlarmSource.CHECK:
            yield _told(spell, read, observation.taking)
            return
        yield Proof.READING, read
        events = _by_events(spell, read, observation.edges.get(alarm.station, frozenset()))
        yield Proof.STATION, union([*observation.lasted.get((alarm.station, alarm.object), ()), *events])
        return
    if not alarm.source.is_told:
        yield Proof.READING, read


def _told(spell: Spell, read: Times, taking: Times) -> tuple[Proof, Times]:
    """What an alarm of another source than our own checks proves: without what checks read, where others sent it."""
    if not spell.alarm.source.is_told:
        return Proof.STATION, taking
    return Proof.FAR_END, taking if spell.alarm.unread or not spell.alarm.station else without(taking, read)


def _by_events(spell: Spell, read: Times, checks: Collection[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """Times in which nobody read the station, from its own time of the begin on, or until its own time of the end.

    A time of the begin is the station's where it is that of no check.
    """
    for since, until in without(((spell.since, spell.until),), read):
        if since == spell.since == spell.alarm.seen and since not in checks:
            yield since, until
        if until == spell.until == spell.alarm.ended:
            yield since, until
