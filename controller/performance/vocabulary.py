"""The neutral vocabulary: counters with their unit, aggregation and definition. Pure.

Names are those of TS 28.552 (NR) and TS 32.425 (LTE) without subcounters. What a subcounter says of whom a value is
about becomes its ``Subject``. Causes are added up, but for those by which a counter is kept (``Counter.causes``).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache, partial
from heapq import heappop, heappush
from typing import Any, NamedTuple

from controller.models.measurement import ListedPlmns, Measured, Period, Subject, Unread, Values, aligned, is_possible
from controller.models.remembered import remembered
from controller.nrm.profiles import cell_of, is_user_plane
from controller.nrm.tree import is_too_long, path_of, steps


class Aggregation(StrEnum):
    """How several values of a counter become one."""

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter of the neutral vocabulary.

    Attributes:
        name: As the standard has it, without subcounters; where both have it in other letters, as TS 28.552 has it.
        unit: Of its values.
        over_time: How values of spans become that of a longer one; a mean is weighted with time.
        over_cells: How values of cells become that of a station or region.
        source: Where it is defined.
        causes: Causes that are counters of their own, behind a point; its total is the counter itself.
        negative: Whether values may be below zero.
    """

    name: str
    unit: str
    over_time: Aggregation
    over_cells: Aggregation
    source: str
    causes: tuple[str, ...] = ()
    negative: bool = False


_SUM, _MEAN, _MAX = (
    (Aggregation.SUM, Aggregation.SUM),
    (Aggregation.MEAN, Aggregation.MEAN),
    (Aggregation.MAX, Aggregation.MAX),
)
#: Quantities at a moment: over time a mean, over cells a sum.
_AT_A_TIME = (Aggregation.MEAN, Aggregation.SUM)

COUNTERS: tuple[Counter, ...] = (
    # Connections between phones and the station.
    Counter("RRC.ConnEstabAtt", "1", *_SUM, "TS 28.552 §5.1.1.15.1, TS 32.425 §4.1.1.1"),
    Counter("RRC.ConnEstabSucc", "1", *_SUM, "TS 28.552 §5.1.1.15.2, TS 32.425 §4.1.1.2"),
    Counter("RRC.ConnEstabFail", "1", *_SUM, "TS 32.425 §4.1.1.3"),
    Counter("RRC.ConnReEstabAtt", "1", *_SUM, "TS 32.425 §4.1.2.1"),
    Counter("RRC.ConnReEstabSucc", "1", *_SUM, "TS 32.425 §4.1.2.2"),
    Counter("RRC.ReEstabAtt", "1", *_SUM, "TS 28.552 §5.1.1.17.1"),
    Counter("RRC.ReEstabSuccWithUeContext", "1", *_SUM, "TS 28.552 §5.1.1.17.2"),
    Counter("RRC.ReEstabSuccWithoutUeContext", "1", *_SUM, "TS 28.552 §5.1.1.17.3"),
    Counter("RRC.ConnMean", "1", *_AT_A_TIME, "TS 28.552 §5.1.1.4.1, TS 32.425 §4.1.3.1"),
    Counter("RRC.ConnMax", "1", *_MAX, "TS 28.552 §5.1.1.4.2, TS 32.425 §4.1.3.2"),
    Counter("DRB.MeanActiveUeDl", "1", *_AT_A_TIME, "TS 28.552 §5.1.1.23.1"),
    Counter("DRB.MaxActiveUeDl", "1", *_MAX, "TS 28.552 §5.1.1.23.2"),
    Counter("DRB.MeanActiveUeUl", "1", *_AT_A_TIME, "TS 28.552 §5.1.1.23.3"),
    Counter("DRB.MaxActiveUeUl", "1", *_MAX, "TS 28.552 §5.1.1.23.4"),
    Counter("DRB.UEActiveUl", "1", *_AT_A_TIME, "TS 32.425 §4.4.2.2"),
    Counter("DRB.UEActive", "1", *_AT_A_TIME, "TS 32.425 §4.4.2.3, §4.4.2.4"),
    # Connections through to the core.
    Counter("S1SIG.ConnEstabAtt", "1", *_SUM, "TS 32.425 §4.6.1.1"),
    Counter("S1SIG.ConnEstabSucc", "1", *_SUM, "TS 32.425 §4.6.1.2"),
    Counter("UECNTX.ConnEstabAtt", "1", *_SUM, "TS 28.552 §5.1.1.16.1"),
    Counter("UECNTX.ConnEstabSucc", "1", *_SUM, "TS 28.552 §5.1.1.16.2"),
    Counter("UECNTX.RelReq", "1", *_SUM, "TS 32.425 §4.1.5.1"),
    Counter("UEContext.RelSuccNbr", "1", *_SUM, "TS 32.425 §4.1.5.2"),
    # Bearers of LTE.
    Counter("ERAB.EstabInitAttNbr", "1", *_SUM, "TS 32.425 §4.2.1.1"),
    Counter("ERAB.EstabInitSuccNbr", "1", *_SUM, "TS 32.425 §4.2.1.2"),
    Counter("ERAB.EstabInitFailNbr", "1", *_SUM, "TS 32.425 §4.2.1.3"),
    Counter("ERAB.EstabAddAttNbr", "1", *_SUM, "TS 32.425 §4.2.1.4"),
    Counter("ERAB.EstabAddSuccNbr", "1", *_SUM, "TS 32.425 §4.2.1.5"),
    Counter("ERAB.EstabAddFailNbr", "1", *_SUM, "TS 32.425 §4.2.1.6"),
    Counter("ERAB.EstabIncHoAttNbr", "1", *_SUM, "TS 32.425 §4.2.1.9"),
    Counter("ERAB.EstabIncHoSuccNbr", "1", *_SUM, "TS 32.425 §4.2.1.10"),
    Counter("ERAB.RelEnbNbr", "1", *_SUM, "TS 32.425 §4.2.2.1, §4.2.2.2"),
    Counter("ERAB.RelAttNbr", "1", *_SUM, "TS 32.425 §4.2.2.3"),
    Counter("ERAB.RelSuccNbr", "1", *_SUM, "TS 32.425 §4.2.2.4"),
    Counter("ERAB.RelActNbr", "1", *_SUM, "TS 32.425 §4.2.2.6"),
    Counter("ERAB.SessionTimeUE", "s", *_SUM, "TS 32.425 §4.2.4.1"),
    Counter("ERAB.SessionTimeQCI", "s", *_SUM, "TS 32.425 §4.2.4.2"),
    Counter("ERAB.UsageNbrMean", "1", *_AT_A_TIME, "TS 32.425 §4.2.5.1"),
    Counter("ERAB.UsageNbrMax", "1", *_MAX, "TS 32.425 §4.2.5.2"),
    # Sessions, bearers and QoS flows of NR.
    Counter("SM.PDUSessionSetupReq", "1", *_SUM, "TS 28.552 §5.1.1.5.1"),
    Counter("SM.PDUSessionSetupSucc", "1", *_SUM, "TS 28.552 §5.1.1.5.2"),
    Counter("SM.PDUSessionSetupFail", "1", *_SUM, "TS 28.552 §5.1.1.5.3"),
    Counter("DRB.EstabAtt", "1", *_SUM, "TS 28.552 §5.1.1.10.1"),
    Counter("DRB.EstabSucc", "1", *_SUM, "TS 28.552 §5.1.1.10.2"),
    Counter("DRB.RelActNbr", "1", *_SUM, "TS 28.552 §5.1.1.10.3"),
    Counter("DRB.SessionTime", "s", *_SUM, "TS 28.552 §5.1.1.10.4"),
    Counter("DRB.InitialEstabAtt", "1", *_SUM, "TS 28.552 §5.1.1.10.5"),
    Counter("DRB.InitialEstabSucc", "1", *_SUM, "TS 28.552 §5.1.1.10.6"),
    Counter("QF.EstabAttNbr", "1", *_SUM, "TS 28.552 §5.1.1.13.3.1"),
    Counter("QF.EstabSuccNbr", "1", *_SUM, "TS 28.552 §5.1.1.13.3.2"),
    Counter("QF.EstabFailNbr", "1", *_SUM, "TS 28.552 §5.1.1.13.3.3"),
    Counter("QF.InitialEstabAttNbr", "1", *_SUM, "TS 28.552 §5.1.1.13.3.4"),
    Counter("QF.InitialEstabSuccNbr", "1", *_SUM, "TS 28.552 §5.1.1.13.3.5"),
    Counter("QF.InitialEstabFailNbr", "1", *_SUM, "TS 28.552 §5.1.1.13.3.6"),
    Counter("QF.RelActNbr", "1", *_SUM, "TS 28.552 §5.1.1.13.1.1"),
    Counter("QF.ReleaseAttNbr", "1", *_SUM, "TS 28.552 §5.1.1.13.1.2"),
    Counter("QF.SessionTimeQoS", "s", *_SUM, "TS 28.552 §5.1.1.13.2.1"),
    Counter("QF.SessionTimeUE", "s", *_SUM, "TS 28.552 §5.1.1.13.2.2"),
    # Handovers.
    Counter("HO.IntraEnbOutAtt", "1", *_SUM, "TS 32.425 §4.3.1.1.1"),
    Counter("HO.IntraEnbOutSucc", "1", *_SUM, "TS 32.425 §4.3.1.1.2"),
    Counter("HO.InterEnbOutPrepAtt", "1", *_SUM, "TS 32.425 §4.3.1.2.1"),
    Counter("HO.InterEnbOutAtt", "1", *_SUM, "TS 32.425 §4.3.1.2.2"),
    Counter("HO.InterEnbOutSucc", "1", *_SUM, "TS 32.425 §4.3.1.2.3"),
    Counter("HO.OutAttTarget", "1", *_SUM, "TS 32.425 §4.3.1.3.1"),
    Counter("HO.OutSuccTarget", "1", *_SUM, "TS 32.425 §4.3.1.3.2"),
    Counter("MM.HoPrepInterReq", "1", *_SUM, "TS 28.552 §5.1.1.6.1.1"),
    Counter("MM.HoPrepInterSucc", "1", *_SUM, "TS 28.552 §5.1.1.6.1.2"),
    Counter("MM.HoResAlloInterReq", "1", *_SUM, "TS 28.552 §5.1.1.6.1.4"),
    Counter("MM.HoResAlloInterSucc", "1", *_SUM, "TS 28.552 §5.1.1.6.1.5"),
    Counter("MM.HoExeInterReq", "1", *_SUM, "TS 28.552 §5.1.1.6.1.7"),
    Counter("MM.HoExeInterSucc", "1", *_SUM, "TS 28.552 §5.1.1.6.1.8"),
    Counter("MM.HoExeIntraReq", "1", *_SUM, "TS 28.552 §5.1.1.6.2.1"),
    Counter("MM.HoExeIntraSucc", "1", *_SUM, "TS 28.552 §5.1.1.6.2.2"),
    # Radio resources: in percent of the carrier, and in PRBs.
    Counter("RRU.PrbTotDl", "%", *_MEAN, "TS 28.552 §5.1.1.2.1, TS 32.425 §4.5.3"),
    Counter("RRU.PrbTotUl", "%", *_MEAN, "TS 28.552 §5.1.1.2.2, TS 32.425 §4.5.4"),
    Counter("RRU.PrbDl", "%", *_MEAN, "TS 32.425 §4.5.1"),
    Counter("RRU.PrbUl", "%", *_MEAN, "TS 32.425 §4.5.2"),
    Counter("RRU.PrbUsedDl", "PRB", *_AT_A_TIME, "TS 28.552 §5.1.1.2.5"),
    Counter("RRU.PrbAvailDl", "PRB", *_AT_A_TIME, "TS 28.552 §5.1.1.2.6"),
    Counter("RRU.PrbUsedUl", "PRB", *_AT_A_TIME, "TS 28.552 §5.1.1.2.7"),
    Counter("RRU.PrbAvailUl", "PRB", *_AT_A_TIME, "TS 28.552 §5.1.1.2.8"),
    Counter("RRU.PrbCongestionDl", "%", *_MEAN, "TS 32.425 §4.5.9.1"),
    Counter("RRU.PrbCongestionUl", "%", *_MEAN, "TS 32.425 §4.5.9.2"),
    # Volume for users, by tenant.
    Counter("DRB.PdcpSduVolumeDL", "Mbit", *_SUM, "TS 28.552 §5.1.2.1.1.1, TS 32.425 §4.4.7.1"),
    Counter("DRB.PdcpSduVolumeUL", "Mbit", *_SUM, "TS 28.552 §5.1.2.1.2.1, TS 32.425 §4.4.7.2"),
    # The same of a gNB that is split into units, where the user plane counts it: of the whole unit, not by cell.
    Counter("QosFlow.PdcpSduVolumeDL", "Mbit", *_SUM, "TS 28.552 §5.1.3.6.2.1"),
    Counter("QosFlow.PdcpSduVolumeUL", "Mbit", *_SUM, "TS 28.552 §5.1.3.6.2.2"),
    # Throughput and delay.
    Counter("DRB.UEThpDl", "kbit/s", *_MEAN, "TS 28.552 §5.1.1.3.1"),
    Counter("DRB.UEThpUl", "kbit/s", *_MEAN, "TS 28.552 §5.1.1.3.3"),
    Counter("DRB.IPThpDl", "kbit/s", *_MEAN, "TS 32.425 §4.4.6.1"),
    Counter("DRB.IPThpUl", "kbit/s", *_MEAN, "TS 32.425 §4.4.6.2"),
    Counter("DRB.IPVolDl", "kbit", *_SUM, "TS 32.425 §4.4.6.3"),
    Counter("DRB.IPVolUl", "kbit", *_SUM, "TS 32.425 §4.4.6.4"),
    Counter("DRB.IPTimeDl", "ms", *_SUM, "TS 32.425 §4.4.6.5"),
    Counter("DRB.IPTimeUl", "ms", *_SUM, "TS 32.425 §4.4.6.6"),
    Counter("DRB.IpLateDl", "ms", *_MEAN, "TS 32.425 §4.4.5.1"),
    Counter("DRB.PdcpSduDelayDl", "ms", *_MEAN, "TS 32.425 §4.4.3.1"),
    Counter("DRB.AirIfDelayDl", "0.1 ms", *_MEAN, "TS 28.552 §5.1.1.1.1"),
    Counter("DRB.AirIfDelayUl", "0.1 ms", *_MEAN, "TS 28.552 §5.1.1.1.3"),
    # Availability, power, energy.
    Counter("RRU.CellUnavailableTime", "s", *_SUM, "TS 32.425 §4.5.6", ("fault", "manual", "energySaving")),
    Counter("CARR.MaxTxPwr", "dBm", *_MAX, "TS 28.552 §5.1.1.29.1, TS 32.425 §4.5.8.1", negative=True),
    Counter("CARR.MeanTxPwr", "dBm", *_MEAN, "TS 28.552 §5.1.1.29.2", negative=True),
    Counter("CARR.AvgTxPwr", "dBm", *_MEAN, "TS 32.425 §4.5.8.2", negative=True),
    Counter("PEE.Energy", "kWh", *_SUM, "TS 28.552 §5.1.1.19.3"),
)

#: How long volumes were unread, since it was not known whose they are; no station counts it.
UNREAD_TIME = Counter("minka.VolumeUnreadTime", "s", *_SUM, "Minka")

_BY_PLMN = ("ERAB.", "S1SIG.", "RRU.PrbTot", "DRB.IPThp")
#: Vendors' counters and their equivalents in the vocabulary. TS 28.552 has no counter for the time that an NR cell is
#: off air, and TS 32.425 has no bearers, connections, PRBs or throughput by PLMN: vendors add them.
ALIASES: Mapping[str, str] = {
    "minka-CellUnavailableTime": "RRU.CellUnavailableTime",
    **{f"minka-{one.name}": one.name for one in COUNTERS if one.name.startswith(_BY_PLMN)},
}

_BY_NAME = {counter.name: counter for counter in (*COUNTERS, UNREAD_TIME)}
_BY_NAME |= {f"{one.name}.{cause}": one for one in COUNTERS for cause in one.causes}
#: Longest first: ``ERAB.RelActNbr`` is not ``ERAB.RelAct`` with something else.
_RAW = {one.name.lower(): one for one in COUNTERS} | {raw.lower(): _BY_NAME[name] for raw, name in ALIASES.items()}


def counter_named(name: str) -> Counter | None:
    """The vocabulary's counter of a name, which may include a cause if the counter is kept by causes."""
    return _BY_NAME.get(name)


# ---------------------------------------------------------------------------- mapping


class MappedPeriods(NamedTuple):
    """A station's periods in counters of the vocabulary.

    Attributes:
        periods: One for each granularity period, of all jobs together.
        others: What it counted of cells of other stations, one for each of these and period.
        unknown: Values of counters that the vocabulary does not know, by name without subcounters.
        foreign: Measured objects that belong to another managed element, or whose name is too long, and are left out.
        unread: What is left out, by reason (``Unread``): values, and for ``GRANULARITY`` periods.
    """

    periods: tuple[Measured, ...]
    others: tuple[Measured, ...]
    unknown: Counts[str]
    foreign: int
    unread: Counts[str]


def measured(
    station: str,
    periods: Iterable[Period],
    others: Mapping[str, tuple[str, str]] | None = None,
    listed: Sequence[ListedPlmns] = (),
) -> MappedPeriods:
    """Counters of a station, by cell, counter and subject.

    ``others`` are its cells that are halves of cells of other stations, with station and id of these: what a control
    plane counts is theirs. That covers no time: a station was measured when it was itself.

    ``listed`` says in which order it had PLMNs when, the newest last. A value for a PLMN that is named by its position
    counts where the same order was read before the period, after it and each time in between; else it is left out,
    since a guess would bill another tenant.

    Both halves of an NR cell (NRCellDU, NRCellCU) are one cell, as in ``Health.cells``. Counters of objects inside of
    a cell, such as neighbour relations, are added up where the cell itself does not have them. A value that can't be,
    such as a negative volume or a sum beyond ``LARGEST``, is left out and makes its period suspect. A period that
    ends before it begins is left out as a whole; one that begins a few seconds off its grid is put on it.
    """
    unread: Counts[str] = Counts()
    grouped: dict[tuple[datetime, int], list[Period]] = {}
    for period in periods:
        seconds = round((period.end - period.begin).total_seconds())
        if seconds > 0:
            begin = aligned(period.begin, seconds) or period.begin.astimezone(UTC)
            grouped.setdefault((begin, seconds), []).append(period)
            unread.update(period.unread)
        else:
            unread[Unread.GRANULARITY.value] += 1
    unknown: Counts[str] = Counts()
    found: list[Measured] = []
    of_others: list[Measured] = []
    foreign = 0
    for (begin, seconds), together in sorted(grouped.items()):
        objects: dict[str, dict[str, float]] = {}
        for period in together:
            for name, values in period.values.items():
                objects[name] = values if name not in objects else {**values, **objects[name]}
        order = _order_in(listed, min(one.begin for one in together), max(one.end for one in together))
        cells = _Cells(unknown, seconds, partial(_plmn_at, order))
        for name, values in sorted(objects.items()):
            place = _place(station, name)
            if place is None:
                foreign += 1
            else:
                cells.add(*place, values)
        own: dict[str, dict[str, Values]] = {}
        by_station: dict[str, dict[str, dict[str, Values]]] = {}
        for name, counters in cells.finished().items():
            of, cell = (others or {}).get(name, (station, name))
            (own if of == station else by_station.setdefault(of, {}))[cell] = counters
        unread[Unread.IMPOSSIBLE.value] += cells.wrong
        unread[Unread.PLMN_POSITION.value] += cells.by_position
        unread[Unread.FILTERS_OVERLAP.value] += cells.overlapping
        suspect = cells.wrong > 0 or any(period.suspect for period in together)
        length: dict[str, Any] = {"begin": begin, "seconds": seconds, "suspect": suspect}
        found.append(Measured.model_construct(station=station, covered=float(seconds), cells=own, **length))
        of_others += [
            Measured.model_construct(station=of, covered=0.0, cells=theirs, **length)
            for of, theirs in by_station.items()
        ]
    return MappedPeriods(tuple(found), tuple(of_others), unknown, foreign, +unread)


#: Volumes for users, of which the unread time is known.
_VOLUMES = tuple(one.name for one in COUNTERS if ".PdcpSduVolume" in one.name)
#: A check reads a list of PLMNs so long after it began at most.
_READ_IN = timedelta(minutes=1)


@remembered(1 << 17)
def _place(station: str, name: str) -> tuple[str, bool] | None:
    """Cell of a measured object, and whether the object is a part of it; None for another station's, or none's."""
    if is_too_long(name):
        return None
    path = path_of(name) or path_of(f"ManagedElement={station},{name}")
    if not path:
        return "", False
    if next(steps(path))[1] != (station,):
        return None
    cell = cell_of(path)
    # A station may have several user planes, each of which counts its own part.
    return cell, is_user_plane(path) or (bool(cell) and cell_of(path[: path.rindex("/")]) == cell)


def _order_in(listed: Sequence[ListedPlmns], begin: datetime, end: datetime) -> Mapping[str, Sequence[str]]:
    """PLMNs by cell, in the order that they had throughout a time; empty where that is not known."""
    place = bisect_right(listed, begin - _READ_IN, key=lambda one: one.since)
    return listed[place - 1].cells if place and end <= listed[place - 1].until else {}


def _plmn_at(order: Mapping[str, Sequence[str]], cell: str, position: int) -> str:
    """The PLMN of a cell at a position of its list; empty where that is not known."""
    plmns = order.get(cell, ())
    return plmns[position - 1] if 0 < position <= len(plmns) else ""


def lists_to_come(periods: Iterable[Period], listed: Sequence[ListedPlmns]) -> bool:
    """Whether a later check may tell whose values in these periods are that name a PLMN by its position."""
    going = next((one for one in listed if one.goes_on), None)
    return going is not None and any(
        going.since + _READ_IN <= one.begin and going.until < one.end for one in periods if names_positions([one])
    )


def names_positions(periods: Iterable[Period]) -> bool:
    """Whether values name PLMNs by their position in a list of the station."""
    return any(_names_position(raw) for one in periods for counters in one.values.values() for raw in counters)


class _Cells:
    """Values of one granularity period under construction.

    Args:
        unknown: Where values of counters are counted that the vocabulary does not know.
        seconds: Length of the period.
        plmn_at: The PLMN of a cell at a position of its list; empty where it is not known.
    """

    def __init__(self, unknown: Counts[str], seconds: int, plmn_at: Callable[[str, int], str]) -> None:
        self._unknown = unknown
        self._seconds = seconds
        self._plmn_at = plmn_at
        self._own: dict[str, dict[str, Values]] = {}
        self._inside: dict[str, dict[str, Values]] = {}
        #: Values that can't be.
        self.wrong = 0
        #: Values for a PLMN that is named by its position in a list that is not known.
        self.by_position = 0
        #: Values for parts of a PLMN's traffic that overlap.
        self.overlapping = 0
        self._without_volume: set[str] = set()

    def add(self, cell: str, inside: bool, values: Mapping[str, float]) -> None:
        """Add the values of one object. Of a cell's own objects the first counts; objects inside it are summed."""
        new = self._counted(cell, values)
        if not inside:
            own = self._own.setdefault(cell, {})
            for name, by_subject in new.items():
                own[name] = by_subject | own.get(name, {})
            return
        within = self._inside.setdefault(cell, {})
        for name, by_subject in new.items():
            known = within.setdefault(name, {})
            for subject, value in by_subject.items():
                _combine(known, _BY_NAME[name], subject, value)

    def _counted(self, cell: str, values: Mapping[str, float]) -> dict[str, Values]:
        """Values of an object by counter: the total if it exists, otherwise the sum of its parts."""
        wholes: dict[str, Values] = {}
        sums: dict[str, Values] = {}
        filtered: dict[tuple[str, str], list[tuple[Filter, float]]] = {}
        for raw, value in values.items():
            filter_ = filter_of(raw)
            read = _read(raw)
            if filter_ is None and not read:
                self._unknown[_family(raw)] += 1
            elif not is_possible(value) or (value < 0 and not _family_of(raw).negative):
                self.wrong += 1
            elif filter_ is not None:
                plmn = filter_.plmn or self._plmn_at(cell, filter_.position)
                filtered.setdefault((filter_.counter, plmn), []).append((filter_, value))
            else:
                for one in read:
                    if one.part:
                        _combine(sums.setdefault(one.name, {}), one.counter, one.subject, value)
                    else:
                        wholes.setdefault(one.name, {})[one.subject] = value
        for (name, plmn), some in filtered.items():
            for subject, value in self._of_plmn(cell, name, plmn, some).items():
                wholes.setdefault(name, {}).setdefault(subject, value)
        return {name: sums.get(name, {}) | wholes.get(name, {}) for name in dict.fromkeys((*wholes, *sums))}

    def _of_plmn(self, cell: str, name: str, plmn: str, some: Sequence[tuple[Filter, float]]) -> Values:
        """Values of a PLMN for filters: by QCI where that is all they say, else their sum too if they don't overlap."""
        found = values_of_filters(plmn, some) if plmn else None
        if found is not None:
            return found
        if plmn:
            self.overlapping += len(some)
        else:
            self.by_position += len(some)
        if name in _VOLUMES:
            self._without_volume.add(cell)
        return {}

    def finished(self) -> dict[str, dict[str, Values]]:
        """Values by cell and counter, without sums that can't be."""
        cells = dict.fromkeys((*self._own, *self._inside))
        found = {cell: self._inside.get(cell, {}) | self._own.get(cell, {}) for cell in cells}
        for cell in self._without_volume:
            found[cell][UNREAD_TIME.name] = {Subject(): float(self._seconds)}
        for counters in found.values():
            for values in counters.values():
                for subject in [one for one, value in values.items() if not is_possible(value)]:
                    del values[subject]
                    self.wrong += 1
        return found


def _combine(values: Values, counter: Counter, subject: Subject, value: float) -> None:
    """Add a part to the value so far."""
    if counter.over_time is Aggregation.MAX:
        values[subject] = max(values.get(subject, value), value)
    else:
        values[subject] = values.get(subject, 0.0) + value


class _Read(NamedTuple):
    """Meaning of a raw counter: the value of a counter, or its part for a cause."""

    counter: Counter
    name: str
    subject: Subject
    part: bool


_PLMN = re.compile(r"^(?:plmn)?([0-9]{3})-?([0-9]{2,3})$", re.IGNORECASE)
_POSITION = re.compile(r"^plmn", re.IGNORECASE)
_SLICE = re.compile(r"^(?:snssai)?([0-9]{1,3})-([0-9a-f]{6})$", re.IGNORECASE)
_QOS = re.compile(r"^(?:qci|5qi|qos)?([0-9]{1,3})$", re.IGNORECASE)
#: Counters that are split by QCI or 5QI. In others a number is a cause.
_BY_QOS = ("ERAB.", "DRB.", "QF.", "QosFlow.", "RRU.Prb")
#: Subcounters without meaning: the sum of all causes or levels (TS 32.425).
_WHOLE = ("", "sum")


@remembered(1 << 16)
def _read(raw: str) -> tuple[_Read, ...]:
    """Meaning of a raw counter in the vocabulary; empty if there is none.

    Subcounters follow a point or, for volumes, an underscore (``DRB.PdcpSduVolumeDL_Filter``).
    """
    counter, words = _split(raw)
    return () if counter is None else _read_as(counter, words)


def _read_as(counter: Counter, subcounters: Iterable[str]) -> tuple[_Read, ...]:
    """Subject and cause of a value; empty if they are given in an unknown form."""
    plmn, qos, slice_, causes = "", 0, "", []
    for word in subcounters:
        if match := _PLMN.match(word):
            plmn = f"{match[1]}-{match[2]}"
        elif match := _SLICE.match(word):
            slice_ = f"{int(match[1])}-{match[2].upper()}"
        elif (match := _QOS.match(word)) and counter.name.startswith(_BY_QOS):
            qos = int(match[1])
        elif word.lower() not in _WHOLE:
            causes.append(word.lower())
    subject = Subject(plmn, qos, slice_)
    whole = _Read(counter, counter.name, subject, bool(causes))
    kept = [cause for cause in counter.causes if causes and causes[0].replace("-", "").startswith(cause.lower())]
    return (whole, *(_Read(counter, f"{counter.name}.{cause}", subject, part=False) for cause in kept))


# ---------------------------------------------------------------------------- filters


class Filter(NamedTuple):
    """The part of a PLMN's traffic that a value is about (TS 32.425 §4.4.7), as ``DRB.PdcpSduVolumeDl_Plmn2Qci2-4``.

    Attributes:
        counter: Its name in the vocabulary.
        plmn: The PLMN; empty if it is named by its position.
        position: Of the PLMN in the station's list, from 1.
        bounds: First and last QCI, ARP and GBR class; None where all are meant.
    """

    counter: str
    plmn: str
    position: int
    bounds: tuple[tuple[int, int] | None, ...]

    @property
    def qci(self) -> int:
        """The QCI, if nothing else is said; 0 if all of the PLMN is meant."""
        return 0 if self.bounds[0] is None else self.bounds[0][0]

    @property
    def simple(self) -> bool:
        """Whether it is for one QCI, or all of the PLMN."""
        qci, *others = self.bounds
        return not any(others) and (qci is None or qci[0] == qci[1])

    @property
    def possible(self) -> bool:
        """Whether each range begins before it ends, and that of ARP has priorities of TS 36.413 §9.2.1.60 only."""
        arp = self.bounds[1]
        return all(one is None or one[0] <= one[1] for one in self.bounds) and (arp is None or arp[1] < _PRIORITIES)


#: Priorities of ARP, from 0 (TS 36.413 §9.2.1.60), and numbers that a range may have.
_PRIORITIES, _NUMBERS = 16, 1000


def _apart(filters: Sequence[Filter]) -> bool:
    """Whether no traffic is part of two filters. The time that it takes grows with their number, not with its square.

    It goes through the filters by their first QCI, and has a bit for each ARP and GBR of those that last.
    """
    taken, lasting = 0, list[tuple[int, int]]()
    for (first, last), arp, gbr in sorted(
        (one.bounds[0] or (0, _NUMBERS), one.bounds[1] or (0, _PRIORITIES - 1), one.bounds[2] or (0, _NUMBERS - 1))
        for one in filters
    ):
        while lasting and lasting[0][0] < first:
            taken ^= heappop(lasting)[1]
        bits = _bits(arp, gbr)
        if taken & bits:
            return False
        taken |= bits
        heappush(lasting, (last, bits))
    return True


@lru_cache(maxsize=1 << 10)
def _bits(arp: tuple[int, int], gbr: tuple[int, int]) -> int:
    """A bit for each ARP and GBR of two ranges."""
    row = (1 << gbr[1] + 1) - (1 << gbr[0])
    return sum(row << _NUMBERS * one for one in range(arp[0], arp[1] + 1))


_RANGE = r"([0-9]{1,3})(?:-([0-9]{1,3}))?"
_FILTER = re.compile(
    rf"^plmn(?:(?P<mcc>[0-9]{{3}})-?(?P<mnc>[0-9]{{2,3}})|(?P<position>[0-9]{{1,2}}))"
    rf"(?:qci{_RANGE})?(?:arp{_RANGE})?(?:gbr{_RANGE})?$",
    re.IGNORECASE,
)
#: In a pattern of ``_FILTER``, groups of the bounds by QCI, ARP and GBR.
_BOUNDS = ((4, 5), (6, 7), (8, 9))


@remembered(1 << 16)
def filter_of(raw: str) -> Filter | None:
    """The filter that a raw counter has as its subcounters; None if it has another form.

    A counter of a PLMN by its position whose further words mean nothing is one of no position.
    """
    counter, words = _split(raw)
    match = _FILTER.match(words[0]) if counter is not None and words else None
    if counter is None:
        return None
    if match is None:
        odd = any(_POSITION.match(word) and not _PLMN.match(word) for word in words)
        return Filter(counter.name, "", 0, (None, None, None)) if odd else None
    bounds: list[tuple[int, int] | None] = [_bounds(match[low], match[high]) for low, high in _BOUNDS]
    plmn = f"{match['mcc']}-{match['mnc']}" if match["mcc"] else ""
    for word in words[1:]:
        qos = _QOS.match(word) if bounds[0] is None and counter.name.startswith(_BY_QOS) else None
        if qos is None:
            return None if plmn else Filter(counter.name, "", 0, (None, None, None))
        bounds[0] = int(qos[1]), int(qos[1])
    if plmn and words[1:]:
        return None  # the usual form, with each subcounter for itself
    return Filter(counter.name, plmn, int(match["position"] or 0), tuple(bounds))


def _bounds(low: str | None, high: str | None) -> tuple[int, int] | None:
    return None if low is None else (int(low), int(high or low))


def values_of_filters(plmn: str, some: Sequence[tuple[Filter, float]]) -> Values | None:
    """Values of a PLMN, by QCI and as a whole, for filters; None if nobody knows their sum."""
    simple = {Subject(plmn, one.qci): value for one, value in some if one.simple}
    if len(simple) == len(some):
        return simple
    filters = [one for one, _ in some]
    if Subject(plmn) in simple:
        return simple
    if not all(one.possible for one in filters) or not _apart(filters):
        return None
    return {**simple, Subject(plmn): sum(value for _, value in some)}


@remembered(1 << 16)
def _names_position(raw: str) -> bool:
    """Whether a counter of the vocabulary is about a PLMN by its position in the station's list (TS 32.425 §4.4.7)."""
    found = filter_of(raw)
    return found is not None and found.position > 0


def _split(raw: str) -> tuple[Counter | None, list[str]]:
    """The counter of the vocabulary that a raw counter is, and the rest of its name."""
    words = re.split(r"[._]", raw)
    for length in (2, 1):
        if (counter := _RAW.get(".".join(words[:length]).lower())) is not None:
            return counter, words[length:]
    return None, words


def _family_of(raw: str) -> Counter:
    counter, _ = _split(raw)
    assert counter is not None
    return counter


def _family(raw: str) -> str:
    """Name of an unknown counter, without its apparent subcounters."""
    return ".".join(re.split(r"[._]", raw)[:2]) if "." in raw else raw
