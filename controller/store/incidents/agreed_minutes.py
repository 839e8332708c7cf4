"""Minutes that agreements lost in the month: counted by a scheduler, and on record for all who read them.

To count them takes longer with each version of the network in the month, and with each alarm. So they are counted
outside of transactions, one version of the network in memory at a time. What was lost under a past version is counted
once: again only if something that it depends on changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import pairwise

import orjson
from sqlalchemy import Column, String, Table, Text, bindparam, delete, func, select

from controller.intent.agreed_service import AgreedFigures, agreement_minutes
from controller.intent.agreed_terms import Era, spans_of
from controller.intent.delivery import CarriedLink
from controller.intent.impact import Sharing, in_force
from controller.intent.outages import Known, Outages, Spell
from controller.models.incident import AgreementMinutes
from controller.models.network import Network
from controller.store.database.columns import Instant, metadata
from controller.store.database.transaction import Tx
from controller.store.network.versions import HeldVersion

#: What agreements lost and may lose in the month, as it was counted last.
minutes_of_agreements = Table(
    "agreement_minutes",
    metadata,
    Column("agreement", String, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("counted", Instant, nullable=False),
    # End of the month that they are about.
    Column("until", Instant, nullable=False),
    Column("content", Text, nullable=False),
)

_OF_THIS_MONTH = (
    select(minutes_of_agreements.c.content)
    .where(minutes_of_agreements.c.until > bindparam("now", type_=Instant()))
    .order_by(minutes_of_agreements.c.agreement)
)


@dataclass(frozen=True, slots=True)
class MonthOnRecord:
    """What counts in a month until now, as it is on record.

    Attributes:
        digest: Digest of the current network.
        held: Versions of the network in the month.
        spells: Times in which alarms stood that take service away.
        links: Core links of stations with such alarms of links.
        known: What is on record beside alarms.
    """

    now: datetime
    begin: datetime
    end: datetime
    digest: str
    network: Network
    held: Sequence[HeldVersion]
    spells: Sequence[Spell]
    links: Mapping[str, Sequence[CarriedLink]]
    known: Known


#: Id and tenant of an agreement: an id may move to another tenant within the month.
_Name = tuple[str, str]


class Counter:
    """Counts what agreements lost.

    Args:
        network_of: Reads a version of the network by its digest; it is not kept.
    """

    def __init__(self, network_of: Callable[[str], Network]) -> None:
        self._network_of = network_of
        #: What was counted of agreements, by all that it depends on.
        self._counted: dict[str, Mapping[_Name, AgreedFigures]] = {}

    def count(self, month: MonthOnRecord) -> tuple[AgreementMinutes, ...]:
        """What agreements in force lost, and may lose in the whole month; by agreement."""
        counted: dict[_Name, AgreedFigures] = {}
        allowed: dict[_Name, float] = {}
        known: dict[str, Mapping[_Name, AgreedFigures]] = {}
        last: tuple[str, Network] | None = None
        ends = [(one.since, one) for one in month.held]
        for (since, version), (until, _) in pairwise([*ends, (month.end, None)]):
            assert version is not None
            for terms in version.agreements:
                agreed = terms.agreement, terms.tenant
                allowed[agreed] = allowed.get(agreed, 0.0) + terms.allowed(since, until)
            part = _part_of(month, version.digest, since, until)
            if part.is_empty:
                continue
            key = part.key
            found_before = self._counted.get(key)
            if found_before is None:
                last = self._network(month, version.digest, last)
                found_before = part.counted(last[1])
            known[key] = found_before
            for name, more in known[key].items():
                counted[name] = counted.get(name, AgreedFigures()).plus(more)
        self._counted = known
        elapsed = (month.now - month.begin) / (month.end - month.begin)
        found = []
        for one in in_force(month.network, month.network.day(month.now)):
            so_far = counted.get((one.id, one.tenant), AgreedFigures())
            may_lose = allowed.get((one.id, one.tenant), 0.0)
            found.append(agreement_minutes(one, so_far, may_lose, elapsed))
        return tuple(found)

    def _network(self, month: MonthOnRecord, digest: str, last: tuple[str, Network] | None) -> tuple[str, Network]:
        """A version of the network; the ``last`` one may be it again, as the first one is after the time before it."""
        if digest == month.digest:
            return digest, month.network
        return last if last is not None and last[0] == digest else (digest, self._network_of(digest))


@dataclass(frozen=True, slots=True)
class _Part:
    """What was counted under one version of the network."""

    digest: str
    since: datetime
    until: datetime
    spells: Sequence[Spell]
    links: Mapping[str, Sequence[CarriedLink]]
    known: Known

    @property
    def is_empty(self) -> bool:
        """Whether the version was never current for a time."""
        return self.until <= self.since

    @property
    def key(self) -> str:
        """Hash of all that it depends on."""
        spells = [
            (
                *(one.alarm.station, one.alarm.object, one.alarm.object_class, one.alarm.tenant),
                *(one.alarm.probable_cause, one.alarm.cells, one.alarm.tenants, one.alarm.functions),
                *(one.since, one.until, one.cause, one.proof, [tuple(blame) for blame in one.blames]),
            )
            for one in self.spells
        ]
        links = {name: [tuple(one) for one in there] for name, there in self.links.items()}
        known, seen, delivery = self.known, self.known.observation, self.known.delivery
        excused = [
            sorted(known.excused.planned.items()),
            [one.model_dump(mode="json") for one in known.excused.works],
        ]
        locked = [sorted(times.items()) for times in (known.locks, known.left_locked)]
        carried = [[tuple(one) for one in of] for of in (delivery.carried, delivery.missing)] if delivery else []
        looked = (
            (*(sorted(times.items()) for times in (seen.checked, seen.first, seen.adopted)), seen.running, seen.loaded)
            if seen
            else ()
        )
        content = (self.digest, self.since, self.until, spells, links, excused, locked, carried, looked)
        return sha256(orjson.dumps(content)).hexdigest()

    def counted(self, network: Network) -> Mapping[_Name, AgreedFigures]:
        """What was counted of each agreement."""
        eras = [
            Era(first, last, network, Sharing(network, network.day(first)))
            for first, last in spans_of(network, self.since, self.until)
        ]
        outages = Outages(self.spells, eras, self.links, self.known)
        agreements = {(one.id, one.tenant): one for era in eras for one in era.sharing.in_force}
        owed = {
            name: outages.agreed_service(one, self.since, self.until, self.until) for name, one in agreements.items()
        }
        return {name: AgreedFigures.of(one) for name, one in owed.items()}


def _part_of(month: MonthOnRecord, digest: str, since: datetime, until: datetime) -> _Part:
    until = min(until, month.now)
    spells = [
        one._replace(since=max(one.since, since), until=min(one.until, until))
        for one in month.spells
        if max(one.since, since) < min(one.until, until)
    ]
    stations = {one.alarm.station for one in spells}
    links = {
        name: [
            one._replace(since=max(one.since, since), until=min(one.until, until))
            for one in there
            if max(one.since, since) < min(one.until, until)
        ]
        for name, there in month.links.items()
        if name in stations
    }
    return _Part(digest, since, until, spells, links, month.known.between(since, until))


def counted_minutes(tx: Tx, tenant: str | None) -> tuple[AgreementMinutes, ...]:
    """What agreements lost in this month, as it was counted last; of all tenants or of one."""
    query = _OF_THIS_MONTH if tenant is None else _OF_THIS_MONTH.where(minutes_of_agreements.c.tenant == tenant)
    return tuple(AgreementMinutes.model_validate_json(one) for one in tx.execute(query, {"now": tx.now}).scalars())


def put_minutes(tx: Tx, month: MonthOnRecord, found: Iterable[AgreementMinutes]) -> None:
    """Put on record what was counted, unless somebody counted later."""
    tx.guard("agreement minutes")
    latest = tx.execute(select(func.max(minutes_of_agreements.c.counted, type_=Instant()))).scalar()
    if latest is not None and latest > month.now:
        return
    tx.execute(delete(minutes_of_agreements))
    rows = [
        {
            "agreement": one.agreement,
            "tenant": one.tenant,
            "counted": month.now,
            "until": month.end,
            "content": one.model_dump_json(),
        }
        for one in found
    ]
    if rows:
        tx.execute(minutes_of_agreements.insert(), rows)
