"""Doubts about the record itself, and how people end them; see ``controller.store.database.epochs``."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, literal, select, update

from controller.models.alarm import RECORD_DOUBTED
from controller.models.enums import RecordChoice
from controller.models.errors import ConflictError
from controller.models.many import first_names
from controller.models.record import SURPRISING, CarriedNodes, RecordState
from controller.models.run import LONGEST_TIMER
from controller.store.alarms.alarm_rows import STANDING, alarms
from controller.store.alarms.alarms import clear_alarm
from controller.store.alarms.doubts import doubt, doubted
from controller.store.database import epochs
from controller.store.database.audit_chain import DECIDED, RECORD, decided_at
from controller.store.database.columns import Instant
from controller.store.database.epochs import doubts
from controller.store.database.repository import M_co, Repository, reads, writes
from controller.store.database.transaction import Tx
from controller.store.jobs.journal import journal
from controller.store.network.devices import devices, healths, missing_times, observed_times
from controller.store.network.holds import holds
from controller.store.network.leases import leases
from controller.store.network.ledger import LedgerChange, change_ledger, end_carried

#: By how much fences grow with each epoch: more than a lost record can have issued in one.
_LEAP = 1_000_000

_ALARMS = select(alarms.c.id).where(alarms.c.probable_cause == RECORD_DOUBTED, STANDING).order_by(alarms.c.number)
_LAST_DEADLINE = select(func.max(journal.c.deadline, type_=Instant()))
_OPEN = select(doubts).where(doubts.c.decided.is_(None)).order_by(doubts.c.number).limit(1)


class Integrity(Repository[M_co]):
    """Doubts about the record. During a doubt no run is accepted, no wave opens, and no job is claimed or begun."""

    @reads
    def look(self, tx: Tx) -> RecordState:
        """What ``check`` finds, without putting it on record. The call is a transaction of its own."""
        epoch, doubt = epochs.shown(tx.connection, tx.evidence, tx.notes)
        return _state(tx, epoch, doubt)

    @writes
    def check(self, tx: Tx) -> RecordState:
        """Compare the record with what is known outside of the database; a doubt goes on record, with an alarm."""
        doubted(tx)
        return _known_state(tx)

    @writes
    def check_fences(self, tx: Tx, carried: Mapping[str, int]) -> RecordState:
        """Compare the record with adopted stations: the fence under which each was last changed.

        A station with a later fence was changed by a newer record than this one.
        """
        query = select(devices.c.station, (leases.c.fence + leases.c.owed).label("fence")).join(
            leases, leases.c.station == devices.c.station, isouter=True
        )
        rows = tx.rows(query.where(devices.c.adopted.is_not(None)), devices.c.station, carried)
        newer = sorted(row.station for row in rows if carried[row.station] > (row.fence or 0))
        if newer:
            who = f"{newer[0]} carries" if len(newer) == 1 else f"{newer[0]} and {len(newer) - 1} more carry"
            doubt(tx, f"{who} changes that the record does not know of: the database is older")
        return _known_state(tx)

    @writes
    def check_drift(self, tx: Tx, matched: Mapping[str, datetime]) -> RecordState:
        """Doubt the record if many stations that matched it at their last check suddenly differ.

        A few of them are foreign edits; ``SURPRISING`` or more are changes of a newer record. What came about before
        a person's last decision is decided: a station whose last check is older does not count.

        Args:
            matched: When each was last checked, by the record.
        """
        decided = decided_at(tx.connection, tx.evidence)
        stations = [name for name, at in matched.items() if decided is None or at > decided]
        if len(stations) >= SURPRISING:
            who = f"{min(stations)} and {len(stations) - 1} more"
            doubt(tx, f"{who} differ from their last read: the record may be older")
        return _known_state(tx)

    @writes
    def decide(
        self,
        tx: Tx,
        choice: RecordChoice,
        actor: str,
        reason: str,
        carried: Sequence[CarriedNodes] = (),
        unread: Sequence[str] = (),
        read: datetime | None = None,
    ) -> RecordState:
        """End all doubts by a person's decision.

        Args:
            choice: Which record is right.
            actor: Who decides.
            reason: Why, for the audit trail.
            carried: Nodes that stations carry, for the ledger.
            unread: Stations that could not be read: each gets a hold, so that nothing is repaired there meanwhile.
            read: When the first station was read; now by default.

        Raises:
            ConflictError: Nothing is in doubt; or a station that differs was read before the record ``settles``, and so
                may carry a commit that nobody confirms.
        """
        doubt = doubted(tx)
        if not doubt:
            raise ConflictError("the record is not in doubt: there is nothing to decide")
        if choice is RecordChoice.DEVICES:
            _check_settled(carried, read or tx.now, _known_state(tx).settles)
        before = epochs.epoch_of(tx.connection, tx.evidence, tx.notes)
        since = tx.execute(select(func.min(doubts.c.since)).where(doubts.c.decided.is_(None))).scalar_one()
        tx.execute(delete(doubts).where(epochs.made_up(tx.evidence)))
        number = epochs.new_doubt(tx.connection, tx.evidence, tx.notes)
        if number is not None:  # Only such was open.
            tx.execute(doubts.insert().values(number=number, reason=doubt, since=since))
        tx.execute(update(doubts).where(doubts.c.decided.is_(None)).values(decided=tx.now, choice=choice.value))
        change_ledger(tx, [LedgerChange(one.station, one.nodes, one.lost) for one in carried])
        end_carried(tx, _last_known(tx, [one.station for one in carried if one.lost], since))
        for station in unread:
            _hold(tx, station, actor)
        epoch = tx.execute(select(func.max(doubts.c.number))).scalar_one()
        _leap(tx, epoch - before)
        for alarm in tx.execute(_ALARMS).scalars():
            clear_alarm(tx, alarm, actor, reason)
        tx.note(
            actor,
            DECIDED,
            RECORD,
            choice=choice.value,
            reason=reason,
            doubt=doubt,
            epoch=epoch,
            stations=len(carried) or None,
            held=" ".join(unread),
        )
        return _known_state(tx)


def _last_known(tx: Tx, stations: Collection[str], doubted: datetime) -> dict[str, datetime]:
    """Until when stations are known to have carried what the record says, before runs that it does not know.

    That is the last check before the one that first saw that a PLMN is missing, or else before the doubt. What stations
    did not carry any more is not delivered from then on: nobody knows when the run ended that took it away.
    """
    ends = dict.fromkeys(stations, doubted)
    for row in tx.rows(select(missing_times).where(missing_times.c.until.is_(None)), missing_times.c.station, stations):
        ends[row.station] = min(ends[row.station], row.since)
    known: dict[str, datetime] = {}
    for checks, last in ((observed_times, observed_times.c.until), (healths, healths.c.at)):
        query = select(checks.c.station, checks.c.since, last.label("last"))
        for row in tx.rows(query, checks.c.station, stations):
            if row.since < (end := ends[row.station]):
                known[row.station] = max(known.get(row.station, row.since), min(row.last, end))
    return ends | known


def _check_settled(carried: Sequence[CarriedNodes], read: datetime, settles: datetime | None) -> None:
    """Check that stations were read when no commit that the record does not know could still be taken back.

    Raises:
        ConflictError: Some differ from the record, and were read earlier.
    """
    if carried and settles is not None and read < settles:
        names = first_names(sorted(one.station for one in carried))
        raise ConflictError(
            f"{names} may carry a commit that nobody confirmed, and take it back by a timer until "
            f"{settles:%Y-%m-%d %H:%M:%S} UTC: accept devices after that"
        )


def _leap(tx: Tx, epochs_on: int) -> None:
    """Raise fences above any that an adopted station can carry from a lost record of one of so many epochs.

    A lease that a worker holds keeps its fence, so that a living worker does not lose it in mid-transaction; it grows
    with the next claim, also where that worker is dead.
    """
    adopted = select(devices.c.station, literal(0)).where(devices.c.adopted.is_not(None))
    row = tx.insert(leases).from_select(["station", "fence"], adopted)
    tx.execute(row.on_conflict_do_nothing(index_elements=["station"]))
    leap = epochs_on * _LEAP
    tx.execute(update(leases).where(leases.c.incarnation.is_not(None)).values(owed=leases.c.owed + leap))
    tx.execute(update(leases).where(leases.c.incarnation.is_(None)).values(fence=leases.c.fence + leap))


def _hold(tx: Tx, station: str, actor: str) -> None:
    reason = "it could not be read when what stations carry was taken for applied"
    hold = f"h-{secrets.token_hex(4)}"
    tx.execute(holds.insert().values(id=hold, target=station, by=actor, reason=reason, created=tx.now))
    tx.note(actor, "hold.put", station, hold=hold, reason=reason)


def _known_state(tx: Tx) -> RecordState:
    """The state by what is on record."""
    return _state(tx, epochs.epoch_of(tx.connection, tx.evidence, tx.notes), "")


def _state(tx: Tx, epoch: int, doubt: str) -> RecordState:
    """The state by the doubt on record; or by one that is found just now."""
    row = tx.execute(_OPEN).one_or_none()
    doubt, since = (doubt, tx.now) if row is None else (row.reason, row.since)
    if not doubt:
        return RecordState(epoch=epoch)
    # A lost record can have begun a commit until the doubt; what went on since is on this record.
    known = tx.execute(_LAST_DEADLINE).scalar()
    settles = max(since + timedelta(seconds=LONGEST_TIMER), known or since)
    return RecordState(epoch=epoch, doubt=doubt, since=since, settles=settles)
