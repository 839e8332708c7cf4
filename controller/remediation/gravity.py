"""How grave an alarm is with all that follows from it, for people who are to be told of it, or told again.

A source that says of its alarm what it said before may still lose its station: a battery is empty, and what tells is an
alarm that follows from it.
"""

from __future__ import annotations

from controller.models.alarm import SUPPLY_CAUSES, Alarm, PerceivedSeverity
from controller.models.incident import DARK, gravest, is_dark
from controller.store import Store


def gravity(store: Store, alarm: Alarm) -> PerceivedSeverity:
    """Severity of an alarm together with all that follows from it, as of its incident."""
    return gravest(store.alarms.with_symptoms(alarm))


def growth(store: Store, alarm: Alarm) -> str:
    """How an alarm became critical since people were notified of it, in words; empty if it did not."""
    told = store.escalations.worst(alarm.id)
    if told in (None, PerceivedSeverity.CRITICAL):
        return ""
    found = store.alarms.with_symptoms(alarm)
    severity = gravest(found)
    if severity is not PerceivedSeverity.CRITICAL:
        return ""
    why = f"{DARK}; " if is_dark(cause for cause, _ in found) else ""
    with_all = "" if alarm.severity is severity else " with what follows from it"
    return f"{why}it is {severity}{with_all} by now, and was {told} when people were notified"


def darkness(store: Store, alarm: Alarm) -> str:
    """That the station of an alarm on its supply has nothing left to serve on, in words; empty if it may serve."""
    if alarm.probable_cause not in SUPPLY_CAUSES:
        return ""
    return DARK if is_dark(cause for cause, _ in store.alarms.with_symptoms(alarm)) else ""
