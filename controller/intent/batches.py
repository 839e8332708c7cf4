"""A batch of reports: the alarms that it makes and changes, whom these concern, and what is news of them. Pure.

The record loads what a batch needs (``RecordedAlarms``), asks ``take_in`` what follows, and stores that. How much it
loads depends on the reports and on the newest alarms of their faults alone, never on what ``take_in`` decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from controller.intent.folding import NAMED, RENEWED, Folded, Received, Room, fold
from controller.intent.impact import OF_MANAGEMENT, Impact, Sharing, link_in
from controller.models.alarm import Alarm, AlarmReport

#: A core link: its station, and its path there.
Link = tuple[str, str]


class AlarmAct(NamedTuple):
    """A row for the audit trail about an alarm."""

    source: str
    action: str
    alarm: str
    detail: dict[str, object]


class RenewedAlarm(NamedTuple):
    """An alarm that names other functions or cells than before, as it was and is, and whom it concerns now."""

    was: Alarm
    now: Alarm
    impact: Impact


@dataclass(frozen=True, slots=True)
class RecordedAlarms:
    """The part of the record that a batch of reports needs.

    Attributes:
        alarms: By id, the newest alarm of each fault of the batch and those of reports received before.
        newest: The id of the newest alarm of each fault that has one.
        repeated: By digest, the id of the alarm of each report received before.
        room: Room for alarms of faults that return.
        sharing: Who shares which cell today; None while no network is loaded.
        owners: Owners of core links by the ledger, at least of those in ``links_of`` the batch.
    """

    alarms: Mapping[str, Folded]
    newest: Mapping[str, str]
    repeated: Mapping[str, str]
    room: Room
    sharing: Sharing | None = None
    owners: Mapping[Link, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TakenIn:
    """The effect of a batch of reports on alarms, for the record.

    Attributes:
        alarms: New and changed alarms, by id.
        after: By digest, the alarm of each report as it was after it.
        acts: Rows for the audit trail, in order.
        changes: Alarms that were on record, as they were and as they are.
        begun: New alarms, each with whom it concerns.
        renewed: Alarms whose tenants have to be worked out again.
        news: Alarms that were raised, and alarms that were cleared.
        reached: Alarms that name other functions or cells than before, as they were and as they are.
        regraded: Incidents of alarms whose severity changed.
    """

    alarms: dict[str, Folded]
    after: dict[str, Alarm]
    acts: list[AlarmAct]
    changes: list[tuple[Alarm, Alarm]]
    begun: list[tuple[Alarm, Impact]]
    renewed: list[RenewedAlarm]
    news: list[Alarm]
    reached: list[Alarm]
    regraded: list[str]

    def answers(self, digests: Iterable[str], placed: Mapping[str, Alarm]) -> list[Alarm]:
        """The alarm of each report as it was after it, with the impact, root and incident that are on record now.

        Args:
            digests: Of the reports.
            placed: Alarms whose root or incident changed, by id.
        """
        after = (self.after[one] for one in digests)
        return [_as_recorded(placed.get(one.id, self.alarms[one.id].alarm), one) for one in after]


def links_of(batch: Iterable[Received]) -> set[Link]:
    """Core links in the reports of a batch that name no single tenant: their owners say whom they concern."""
    about = (one.report for one in batch if not one.report.tenant and one.report.probable_cause not in OF_MANAGEMENT)
    return {(one.station, link) for one in about if (link := link_in(one.object))}


def take_in(batch: Sequence[Received], known: RecordedAlarms, new_id: Callable[[], str]) -> TakenIn:
    """Work out what follows from a batch of reports for alarms; changes nothing.

    Args:
        batch: From ``folding.in_order``.
        known: The record before.
        new_id: Makes the id of a new alarm.
    """
    newest = {fault: known.alarms[name] for fault, name in known.newest.items()}
    again = {one: known.alarms[name] for one, name in known.repeated.items() if name in known.alarms}
    made = fold(batch, newest, again, new_id, Room(known.room.since, Counter(known.room.made)))
    changed = [(one.alarm, name) for name, one in known.alarms.items() if name in made.touched]
    renewed = {name: was for was, name in changed if _is_renewed(was, made.touched[name].alarm)}
    impacts = _impacts(known, made.touched, renewed)
    now = {name: _concerning(one, known.sharing, impacts.get(name)) for name, one in made.touched.items()}
    changes = [(was, now[name].alarm) for was, name in changed]
    return TakenIn(
        alarms=now,
        after=made.after,
        acts=[
            AlarmAct(source, action, one.id, _detail(report, one, action)) for source, action, one, report in made.acts
        ],
        changes=changes,
        begun=[(one.alarm, impacts[name]) for name, one in now.items() if one.new and name in impacts],
        renewed=[RenewedAlarm(was, now[name].alarm, impacts[name]) for name, was in renewed.items() if name in impacts],
        news=list(_news(known.alarms, now)),
        reached=[alarm for name, was in renewed.items() for alarm in (was, now[name].alarm)],
        regraded=[after.incident for before, after in changes if before.severity is not after.severity],
    )


def _is_renewed(was: Alarm, now: Alarm) -> bool:
    """Whether an alarm names other functions or cells than before, or came back without any cell that is known."""
    returned = was.cleared is not None and now.cleared is None and not now.cells
    return returned or any(getattr(was, name) != getattr(now, name) for name in (*NAMED, "cells"))


def _impacts(known: RecordedAlarms, touched: Mapping[str, Folded], renewed: Collection[str]) -> dict[str, Impact]:
    """Whom alarms concern that are new, or name other functions than before; by id, if they may concern any.

    Without a network, and for a fault of management, it is the tenant that the alarm names.
    """
    asked = {name: one.alarm for name, one in touched.items() if one.new or name in renewed}
    found = {name: Impact((), {one.tenant: ()}) for name, one in asked.items() if touched[name].new and one.tenant}
    if known.sharing is not None:
        for name, one in asked.items():
            if one.probable_cause not in OF_MANAGEMENT:
                owners = () if one.tenant else known.owners.get((one.station, link_in(one.object)), ())
                found[name] = known.sharing.impact_of(one, owners)
    return found


def _concerning(one: Folded, sharing: Sharing | None, impact: Impact | None) -> Folded:
    """An alarm with the cells and tenants of its impact, where a network says them."""
    if sharing is None or impact is None or one.alarm.probable_cause in OF_MANAGEMENT:
        return one
    alarm = one.alarm.model_copy(update={"cells": impact.cells, "tenants": tuple(impact.tenants)})
    return replace(one, alarm=alarm)


def _news(before: Mapping[str, Folded], now: Mapping[str, Folded]) -> Iterator[Alarm]:
    """Alarms that were raised, and alarms that were cleared, by a batch."""
    for name, one in now.items():
        stood = name in before and before[name].alarm.cleared is None
        if (one.alarm.cleared is None) is not stood:
            yield one.alarm


def _detail(report: AlarmReport, alarm: Alarm, action: str) -> dict[str, object]:
    if action == RENEWED:
        return {name: ", ".join(getattr(alarm, name)) for name in NAMED}
    if alarm.raised == report.at and action in ("alarm.raised", "alarm.cleared"):
        return {"object": report.object, "cause": report.probable_cause}
    return {"severity": report.severity.value, "at": report.at.isoformat()}


def _as_recorded(known: Alarm, said: Alarm) -> Alarm:
    now = {name: getattr(known, name) for name in ("cells", "tenants", "root", "incident")}
    return said if all(getattr(said, name) == value for name, value in now.items()) else said.model_copy(update=now)
