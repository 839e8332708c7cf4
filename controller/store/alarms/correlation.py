"""Roots and incidents of alarms: what follows from what, worked out as alarms come and go."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from typing import Any

from sqlalchemy import Column, ForeignKey, Integer, Row, Table, bindparam, case, delete, select, update

from controller.intent.folding import OPEN, takes_in
from controller.intent.impact import Sharing, is_told_with
from controller.intent.incidents import WAS_FED, Outcome, kept_apart, root_beside, split_off
from controller.intent.roots import NETWORK_WIDE, Fed, Roots, explained, fed_at, may_be_root, no_root_of, reach
from controller.models.alarm import POWER_CAUSES, Alarm
from controller.models.enums import APART
from controller.models.network import Network
from controller.store.alarms.alarm_rows import OLDEST, SPREADING, STANDING, UNCLEARED, alarms, as_alarm
from controller.store.alarms.concerns import GUARD, part_from_ended, reassess, sharing_on
from controller.store.alarms.incident_rows import follow, known_of, put_down, write
from controller.store.database.audit_chain import NUMBERED, as_noun, audit, intact
from controller.store.database.columns import metadata
from controller.store.database.queries import chunks
from controller.store.database.transaction import Tx
from controller.store.network.devices import healths_of
from controller.store.network.versions import current_network

#: Alarms whose root is still to be worked out, because a root with many symptoms was raised or cleared.
uncorrelated = Table(
    "uncorrelated",
    metadata,
    Column("alarm", Integer, ForeignKey("alarms.number"), primary_key=True, autoincrement=False),
)


#: Alarms whose roots are worked out in the transaction that raises or clears a root, while other reports wait.
_PIECE = 25
#: Those of a station together, since what they may follow from is read for each piece.
_LEFT = (
    select(alarms)
    .join(uncorrelated, uncorrelated.c.alarm == alarms.c.number)
    .order_by(alarms.c.station, alarms.c.number)
)
_IS_LEFT = select(alarms.c.id).join(uncorrelated, uncorrelated.c.alarm == alarms.c.number)
_ROOTS = select(alarms).where(SPREADING)
_NEW_ROOT = (
    update(alarms)
    .where(alarms.c.id == bindparam("of"))
    .values(
        root=bindparam("new_root"),
        released=bindparam("new_released"),
        followed=case((alarms.c.root != "", alarms.c.root), else_=alarms.c.followed),
    )
)
#: Notes that a fault stood before a root (``controller.intent.incidents.kept_apart``).
_APART = select(audit.c.id).where(NUMBERED, audit.c.action == APART)
_JOINED = update(alarms).where(alarms.c.id == bindparam("of")).values(incident=bindparam("new_incident"))
_MERGED = update(alarms).where(alarms.c.incident == bindparam("of")).values(incident=bindparam("new_incident"))


def sharing_of(tx: Tx) -> Sharing | None:
    """Who shares which cell today; None while no network is loaded."""
    current = current_network(tx)
    if current is None:
        return None
    digest, network = current
    return sharing_on(digest, network, network.day(tx.now))


def reassessed(tx: Tx, found: Collection[Alarm]) -> list[Alarm]:
    """Alarms that take in reports, once it is worked out whom they concern now: before they change otherwise."""
    sharing = sharing_of(tx) if found else None
    return list(found) if sharing is None else reassess(tx, sharing, found)


def correlate(tx: Tx, news: Collection[Alarm], renewed: Collection[Alarm] = ()) -> dict[str, Alarm]:
    """Work out roots and incidents after alarms were raised, cleared or renewed.

    If more than a few other alarms may follow from these, or did, only these are placed now. The others are noted, to
    be placed soon.

    Args:
        tx: The transaction, which holds the guard.
        news: Alarms that were raised or cleared, as they are now.
        renewed: Alarms that name other functions than before, as they were and as they are.

    Returns:
        Those alarms, and all whose root or incident changed, by id.
    """
    if not news and not renewed:
        return {}
    current = current_network(tx)
    others = _whose_root_may_be_another(tx, current[1], news, renewed) if current else []
    return _place(tx, news, others)


def _place(tx: Tx, news: Collection[Alarm], others: Collection[Alarm]) -> dict[str, Alarm]:
    """Place alarms as ``correlate`` does; ``others`` are all whose root may change, including those in the news."""
    sharing = sharing_of(tx)
    roots = _roots_for(tx, sharing.network, [*news, *others]) if sharing else {}
    found, apart, parted = _find_roots(tx, sharing, others, roots.values()) if sharing else ({}, [], {})
    changed = {alarm.id: alarm for alarm in news} | found
    if not changed:
        _keep_apart(tx, apart, {})
        return {}
    outcome = follow(tx, changed, roots | {name: one for name, one in changed.items() if name in roots})
    put_into(tx, outcome)
    joined = {part.alarm: part.incident for part in outcome.joined}
    placed = {
        name: one.model_copy(update={"incident": joined.get(name) or outcome.merged.get(one.incident, one.incident)})
        for name, one in changed.items()
    }
    placed |= _part(tx, {name: (one.incident, placed[name]) for name, one in parted.items()}, roots)
    _keep_apart(tx, apart, {name: one.incident for name, one in placed.items()})
    return placed


def _part(tx: Tx, parted: Mapping[str, tuple[str, Alarm]], roots: Mapping[str, Alarm]) -> dict[str, Alarm]:
    """Give alarms that were put down to lost power, and do not follow from it, their own incident from their beginning.

    Args:
        tx: The transaction, which holds the guard.
        parted: Each such alarm as it is now, and the incident that it was part of, by id.
        roots: Standing alarms from which these may follow, by id.

    Returns:
        Those alarms, and what follows from them, as they are now.
    """
    put_down(tx, ((name, before, one.incident) for name, (before, one) in parted.items()))
    here = (one for before, one in parted.values() if one.incident == before != "")
    alone = [one for one in here if root_beside(one, roots) is None]
    if not alone:
        return {}
    symptoms = [as_alarm(row) for row in tx.rows(UNCLEARED, alarms.c.root, [one.id for one in alone])]
    reassessed(tx, [*alone, *symptoms])
    known = known_of(tx, [*alone, *symptoms], {one.id: one for one in alone})
    outcome = write(tx, split_off(alone, symptoms, known, tx.now, WAS_FED), known)
    put_into(tx, outcome)
    there = {one.id: one for one in (*symptoms, *alone)}
    put_down(tx, ((part.alarm, there[part.alarm].incident, part.incident) for part in outcome.joined))
    return {part.alarm: there[part.alarm].model_copy(update={"incident": part.incident}) for part in outcome.joined}


def _keep_apart(tx: Tx, apart: Iterable[tuple[Alarm, Alarm]], incident_of: Mapping[str, str]) -> None:
    """Note once at both incidents that a fault is no part of the incident of a root (``kept_apart``).

    Args:
        tx: The transaction, which holds the guard.
        apart: Such faults, each with the root.
        incident_of: Incidents that changed just now, by alarm.
    """
    pairs = [[incident_of.get(one.id, one.incident) for one in pair] for pair in apart]
    if not pairs:
        return
    noted = [row.id for row in tx.rows(_APART, audit.c.object, {own for own, _ in pairs})]
    rows = intact(tx.connection, noted, tx.evidence.keys)
    known = {(row.object, as_noun(row).detail.get("root")) for row in rows}
    for (alarm, root), (own, other) in zip(apart, pairs, strict=True):
        if own != other and (own, root.id) not in known:
            known.add((own, root.id))
            for decision in kept_apart(alarm, root, own, other):
                tx.note("correlation", decision.action, decision.incident, **decision.detail)


def put_into(tx: Tx, outcome: Outcome) -> None:
    """Put on record which incident each alarm is part of now."""
    if outcome.merged:
        parts = [as_alarm(row) for row in tx.rows(OLDEST, alarms.c.incident, outcome.merged)]
        reassessed(tx, [one for one in parts if takes_in(one)])
        if (sharing := sharing_of(tx)) is not None:
            part_from_ended(tx, sharing, [one for one in parts if not takes_in(one)])
        tx.execute(_MERGED, [{"of": one, "new_incident": target} for one, target in outcome.merged.items()])
    if outcome.joined:
        tx.execute(_JOINED, [{"of": part.alarm, "new_incident": part.incident} for part in outcome.joined])


def _roots_for(tx: Tx, network: Network, asked: Collection[Alarm]) -> dict[str, Alarm]:
    """Standing alarms from which any of these may follow, and those from which these follow in turn, by id.

    Only those that stand where they may reach these are read: thousands may stand elsewhere.
    """
    stations = {alarm.station for alarm in asked}
    stations = stations.union(network.pool_by_id, *(network.in_front_of.get(one, ()) for one in stations))
    wider = _ROOTS.where(alarms.c.probable_cause.not_in(no_root_of(asked)))
    found = {row.id: as_alarm(row) for row in tx.rows(wider, alarms.c.station, stations)}
    wide = tx.execute(wider.where(alarms.c.probable_cause.in_(NETWORK_WIDE)))
    found |= {row.id: as_alarm(row) for row in wide}
    above = {alarm.root for alarm in (*asked, *found.values())} - found.keys() - {""}
    while above:
        more = {row.id: as_alarm(row) for row in tx.rows(_ROOTS, alarms.c.id, above)}
        found |= more
        above = {alarm.root for alarm in more.values()} - found.keys() - {""}
    return found


def _find_roots(
    tx: Tx, sharing: Sharing, others: Collection[Alarm], roots: Collection[Alarm]
) -> tuple[dict[str, Alarm], list[tuple[Alarm, Alarm]], dict[str, Alarm]]:
    """Work out what alarms follow from, and put changed roots on record.

    Returns:
        Alarms whose root changed, as they are now, by id; those that are no part of the incident of a root which
        explains alarms like them, each with that root; and those that were put down to lost power so far and do not
        follow from it, as they were.
    """
    found: dict[str, Alarm] = {}
    apart: list[tuple[Alarm, Alarm]] = []
    parted: dict[str, Alarm] = {}
    known = Roots(sharing.network, roots, (alarm.station for alarm in others), _fed(tx, others, roots))
    for before in others:
        # An agreement may have begun or ended since the alarm changed.
        alarm = before.model_copy(update={"tenants": tuple(sharing.impact_now(before).tenants)})
        root, too_late = explained(sharing.network, alarm, known)
        beside = root is not None and is_told_with(alarm, root)
        if (root.id if root else "") != alarm.root:
            # A root with another incident neither keeps it in its incident nor takes it from there.
            released = None if beside else tx.now if alarm.root else alarm.released
            found[alarm.id] = alarm.model_copy(update={"root": root.id if root else "", "released": released})
            if known.is_parted(alarm, root):
                parted[alarm.id] = alarm
            why = {"root": root.id, "cause": root.probable_cause} if root else {"root": "", "before": alarm.root}
            tx.note("correlation", "alarm.follows", alarm.id, **why)
        if not beside:
            apart += [(found.get(alarm.id, alarm), one) for one in ([root] if root else too_late[:1])]
    if found:
        reassessed(tx, [alarm for alarm in others if alarm.id in found and takes_in(alarm)])
        rows = ({"of": name, "new_root": one.root, "new_released": one.released} for name, one in found.items())
        tx.execute(_NEW_ROOT, list(rows))
    return found, apart, parted


def _whose_root_may_be_another(
    tx: Tx, network: Network, news: Collection[Alarm], renewed: Collection[Alarm]
) -> list[Alarm]:
    """Standing alarms whose root may change: those in the news, and all within reach of roots, unless too many."""
    wide = [reach(network, alarm) for alarm in filter(may_be_root, (*news, *renewed))]
    within = (
        (alarms.c.station, {device for one in wide for device in one.devices}),
        (alarms.c.tenant, {tenant for one in wide for tenant in one.tenants}),
        (alarms.c.probable_cause, {cause for one in wide for cause in one.causes}),
    )
    standing = [alarm for alarm in news if alarm.cleared is None]
    rows = dict[str, Row[Any]]()
    for column, where in within:
        rows |= {row.id: row for row in tx.rows(UNCLEARED.limit(_PIECE + 1), column, where)} if where else {}
        if len(rows) > _PIECE:
            _leave(tx, within)
            return standing
    return [as_alarm(row) for row in rows.values()] + [alarm for alarm in standing if alarm.id not in rows]


def correlate_all(tx: Tx) -> None:
    """Do what ``Alarms.correlate`` does, as part of a transaction that holds the guard."""
    standing = [as_alarm(row) for row in tx.execute(UNCLEARED)]
    _place(tx, standing, standing)


def correlate_left(tx: Tx) -> bool:
    """Do what ``Alarms.correlate_more`` does, as part of a transaction that holds the guard."""
    found = [(row.number, as_alarm(row)) for row in tx.execute(_LEFT.limit(_PIECE))]
    if found:
        _place(tx, [], [alarm for _, alarm in found if alarm.state in OPEN or alarm.cleared is None])
        tx.execute(delete(uncorrelated).where(uncorrelated.c.alarm.in_([number for number, _ in found])))
    return len(found) == _PIECE


def is_left(tx: Tx, alarm_id: str) -> bool:
    """Whether the root of an alarm is still to be worked out."""
    return tx.execute(_IS_LEFT.where(alarms.c.id == alarm_id)).first() is not None


def _leave(tx: Tx, within: Iterable[tuple[Column[str], Set[str]]]) -> None:
    """Note alarms within reach of roots, for ``correlate_more``."""
    for column, where in within:
        for part in chunks(sorted(where)):
            left = select(alarms.c.number).where(STANDING, column.in_(part))
            tx.execute(tx.insert(uncorrelated).from_select(["alarm"], left).on_conflict_do_nothing())


def part_from_power(tx: Tx, standing: Collection[Alarm]) -> None:
    """Place alarms anew that follow from lost power, after a check.

    Others tell of a fault before a check says whether the station is still fed.
    """
    supply = {one.id for one in standing if one.probable_cause in POWER_CAUSES}
    symptoms = [one for one in standing if one.root in supply]
    if symptoms:
        tx.guard(GUARD)
        _place(tx, (), symptoms)


def _fed(tx: Tx, others: Collection[Alarm], roots: Collection[Alarm]) -> dict[str, Fed]:
    """When the last check saw that a station without power is still fed, where alarms may follow from that."""
    without = {root.station for root in roots if root.probable_cause in POWER_CAUSES}
    asked = sorted(without.intersection(alarm.station for alarm in others))
    seen = healths_of(tx, asked) if asked else {}
    return {name: fed_at(health) for name, health in seen.items()}
