"""Outages of core links that no two reads in a row see, found in the records of a station's AlarmList. Pure.

A list keeps a record of what is over, with the times at which the station raised and cleared it. Such a record tells of
an outage where both times lie between two reads; or where the read before saw the link down, and the record was cleared
since. A record that is over has lost its severity, so its probable cause has to say that the link was lost.

Whatever a station lists, no time outside of the two reads counts, no link that is not ours, and only so much of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice

from controller.assurance.health import ROUNDED, reported_between
from controller.assurance.station_alarms import ListReports, tells_of_lost_link
from controller.intent.brief_outages import BriefOutage, ListRead
from controller.intent.times import union
from controller.models.alarm import AlarmRecord, AlarmReport, PerceivedSeverity
from controller.models.health import Health, LinkHealth, ServiceState
from controller.models.network import HOST
from controller.models.run import LedgerEntry
from controller.nrm.tree import Path

#: Outages of which one read may tell: more do not fit between two reads, or tell of a station that makes them up.
_MOST = 200


def list_read(
    reports: ListReports, before: Health | None, now: Health, read: datetime, ledger: Mapping[Path, LedgerEntry]
) -> ListRead:
    """What a read of a station's list tells of outages that are over.

    Args:
        reports: Of all that the station lists.
        before: Its health as it was read before.
        now: Its health by this read.
        read: When this read ended, by our own clock: what the station cleared until then it may tell.
        ledger: Its nodes on record.
    """
    if reports.records is None:
        return ListRead(now.station, now.at, kept=False)
    outages = _outages(reports.records, before, now, read, ledger) if before and before.read else ()
    return ListRead(now.station, now.at, kept=True, outages=tuple(islice(outages, _MOST)))


def _outages(
    records: Iterable[tuple[AlarmRecord, AlarmReport]],
    before: Health,
    now: Health,
    read: datetime,
    ledger: Mapping[Path, LedgerEntry],
) -> Iterator[BriefOutage]:
    """Outages that are over, by link and time."""
    links = {link.path: (known, link) for known, link in _links_of(before, now)}
    found = defaultdict[Path, list[tuple[datetime, datetime]]](list)
    for record, made in records:
        if record.severity is not PerceivedSeverity.CLEARED or made.object not in links:
            continue
        since = _since(record, before, links[made.object][0])
        until = reported_between(before, record.cleared, read)
        if since is not None and until is not None:
            found[made.object].append((since, until))
    for path, times in sorted(found.items()):
        tenants = tuple(owner for owner in ledger[path].owners if owner != HOST)
        for since, until in union(times) if tenants else ():
            yield BriefOutage(now.station, path, tenants, since, until)


def _links_of(before: Health, now: Health) -> Iterator[tuple[LinkHealth, LinkHealth]]:
    """Our links that the station had at both reads, whose state it tells and that nobody had locked."""
    known = {link.path: link for link in before.links}
    for link in now.links:
        earlier = known.get(link.path)
        if earlier is None or link.state is ServiceState.UNKNOWN:
            continue
        if not (link.locked or link.missing or earlier.locked or earlier.missing):
            yield earlier, link


def _since(record: AlarmRecord, before: Health, link: LinkHealth) -> datetime | None:
    """When an outage of a link began, by a record; where the read before saw the link down, as it is known by that."""
    if record.raised is None or before.read is None or not tells_of_lost_link(record):
        return None
    if link.since is not None and record.raised <= before.read:
        return link.since
    return max(record.raised, before.read) if record.raised > before.read - ROUNDED else None
