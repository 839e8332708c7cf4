"""How grave an alarm is with all that follows from it: whether people are told of it, or again, and its turn.

A source that says of its alarm what it said before may still lose its station: a battery is empty, and what tells is an
alarm that follows from it. A cut above the station looks the same until its neighbours were read: until then people are
told nothing, since a cut is another fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from controller.models.alarm import SUPPLY_CAUSES, UNREACHABLE, Alarm, AlarmState, PerceivedSeverity
from controller.models.incident import DARK, gravest
from controller.models.network import Network
from controller.remediation.dispatch import suspects_of
from controller.store import Store

#: How long a station that lost its mains and can't be reached may be behind a cut that was not found yet: two rounds of
#: health checks by default.
_CUT_WITHIN = timedelta(seconds=60)
#: Places of a fault that are the site's own: the station, and its link.
_OF_ITS_SITE = 2
#: How long after people were told that a station is dark they are told so again, when it comes back and is lost anew.
_AGAIN_AFTER = timedelta(minutes=10)
_PLACES = {severity: place for place, severity in enumerate(PerceivedSeverity)}


class Rank(NamedTuple):
    """The place of an alarm among those that wait for the same; the lowest goes first.

    Attributes:
        severity: Place of its severity with all that follows from it; 0 is the worst.
        told: Whether people have it in hand, since it was escalated.
        people: Population of the sites of the cells that it and all that follows from it affect, negative.
        cells: Number of these cells, negative.
        order: Its place by age (``Alarm.order``).
    """

    severity: int
    told: bool
    people: int
    cells: int
    order: tuple[datetime | str, ...]


def ranks(store: Store, alarms: Sequence[Alarm], network: Network | None) -> dict[str, Rank]:
    """The rank of each alarm, by id."""
    known = store.alarms.effects([one.id for one in alarms])
    found = {}
    for one in alarms:
        what, cells = known.get(one.id, (frozenset(), frozenset()))
        severity = gravest([(one.probable_cause, one.severity), *what])
        affected = {*one.cells, *cells}
        people = network.people_at(affected) if network is not None else 0
        told = one.state is AlarmState.ESCALATED
        found[one.id] = Rank(_PLACES[severity], told, -people, -len(affected), one.order)
    return found


def gravity(store: Store, alarm: Alarm, now: datetime) -> PerceivedSeverity:
    """Severity of an alarm together with all that follows from it, as of its incident."""
    return gravest(_sure(store, alarm, now))


def growth(store: Store, alarm: Alarm, now: datetime) -> str:
    """How an alarm became critical since people were notified of it, in words; empty if it did not."""
    told = store.escalations.worst(alarm.id)
    severity = gravest(_sure(store, alarm, now))
    if told is None or severity is not PerceivedSeverity.CRITICAL:
        return ""
    dark = darkness(store, alarm, now)
    if told is PerceivedSeverity.CRITICAL:
        return f"{dark} again" if dark and _is_lost_anew(store, alarm) else ""
    with_all = "" if alarm.severity is severity else " with what follows from it"
    return f"{dark and f'{dark}; '}it is {severity}{with_all} by now, and was {told} when people were notified"


def darkness(store: Store, alarm: Alarm, now: datetime) -> str:
    """That the station of an alarm on its supply may have nothing left to serve on, in words; empty if it may serve."""
    at = dark_at(store, alarm, now)
    return DARK if at is not None and at <= now else ""


def dark_at(store: Store, alarm: Alarm, now: datetime) -> datetime | None:
    """When it is known of a station that lost its mains that no cut above it explains its silence; None if it answers.

    That is at once where another device behind the same node of the backhaul was seen to work since then.
    """
    lost = _lost(store, alarm)
    if lost is None:
        return None
    if now - lost.raised >= _CUT_WITHIN:
        return lost.raised
    # The station itself, the link of its site, and then the links above, of which one may be cut.
    places = suspects_of(store, store.networks.get()[1], lost)
    return lost.raised + _CUT_WITHIN if len(places) > _OF_ITS_SITE else lost.raised


def _lost(store: Store, alarm: Alarm) -> Alarm | None:
    """The alarm by which the station of an alarm on its supply can't be reached, and which follows from that alarm."""
    if alarm.probable_cause not in SUPPLY_CAUSES:
        return None
    there = store.alarms.standing([alarm.station])
    return next(
        (one for one in there if one.probable_cause == UNREACHABLE and one.root == alarm.id and one.cleared is None),
        None,
    )


def _sure(store: Store, alarm: Alarm, now: datetime) -> frozenset[tuple[str, PerceivedSeverity]]:
    """Causes and severities of an alarm and all that follows from it, but a silence that a cut may explain."""
    found = store.alarms.with_symptoms(alarm)
    doubtful = alarm.probable_cause in SUPPLY_CAUSES and not darkness(store, alarm, now)
    return frozenset(one for one in found if not (doubtful and one[0] == UNREACHABLE))


def _is_lost_anew(store: Store, alarm: Alarm) -> bool:
    """Whether a station was lost so long after people were last told that they do not expect it any more."""
    lost, told = _lost(store, alarm), store.escalations.last(alarm.id)
    return lost is not None and told is not None and lost.raised - told >= _AGAIN_AFTER
