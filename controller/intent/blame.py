"""To which roots the time of an alarm in an incident is put down. Pure.

An incident has all that came of its fault: also what stood before its root did, as where a fault that comes back within
minutes reopens an incident, which then turns out to follow from another root. What excuses a second is a root that
stood in it: a time of an alarm is put down to a root only if both stood at once and it began no earlier than a symptom
may be seen before its root (``controller.intent.roots.lead``), and for as long as symptoms may outlive one
(``SETTLES``). In all other time the alarm stood by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from controller.intent.incidents import BLAMED, SETTLES, is_at_end
from controller.intent.roots import began, lead, unheard_until
from controller.models.alarm import Alarm


class RootTime(NamedTuple):
    """A time in which a root stood.

    Attributes:
        present: Whether it is the root of the incident; otherwise it was that of one that became part of it.
    """

    alarm: Alarm
    since: datetime
    until: datetime
    present: bool

    @property
    def is_at_station(self) -> bool:
        """Whether it explains alarms of its own station alone: nothing else tells which were part of its incident."""
        return not self.present and self.alarm.probable_cause not in BLAMED


class Blame(NamedTuple):
    """A time in which an alarm stood because of a root with this probable cause."""

    cause: str
    since: datetime
    until: datetime


def blames(alarm: Alarm, since: datetime, roots: Iterable[RootTime], at: datetime) -> tuple[Blame, ...]:
    """To which roots of its incident a time of an alarm is put down; where several hold, the first.

    Args:
        alarm: The alarm.
        since: Since when it stood as part of the incident.
        roots: Times of roots of the incident.
        at: Now: until then it stood if it still does.
    """
    since, until = max(since, unheard_until(alarm) or since), alarm.ended or alarm.cleared or at
    found: list[tuple[RootTime, Blame]] = []
    for root in sorted(roots, key=lambda one: one.since):
        if not _explains(root, alarm) or root.since >= until or root.until <= began(alarm):
            continue
        noticed = root.since - since <= lead(root.alarm, alarm)
        goes_on = any(blame.until >= root.since for _, blame in found)  # its root came again, as where a fibre flaps
        if noticed or goes_on:
            first = since if noticed else root.since
            found.append((root, Blame(root.alarm.probable_cause, first, root.until + SETTLES)))
    return tuple(blame for _, blame in sorted(found, key=lambda one: not one[0].present))


def _explains(root: RootTime, alarm: Alarm) -> bool:
    if root.alarm.probable_cause in BLAMED:
        return is_at_end(root.alarm, alarm)
    return root.alarm.id != alarm.id and (root.present or root.alarm.station == alarm.station)
