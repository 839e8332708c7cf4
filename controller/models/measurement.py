"""Measurements of stations (TS 28.552, TS 32.425), as they were counted in one granularity period."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import AwareDatetime

from controller.models.network import Noun

#: Levels of measurements on record, in seconds: a period, an hour, a day and a month in the network's time zone. The
#: last two name the level, and are not always as long.
QUARTER, HOUR, DAY, MONTH = 900, 3600, 86400, 31 * 86400


class Period(Noun):
    """One full granularity period.

    Attributes:
        job: Id of the measurement job (PerfMetricJob of TS 28.623) that it belongs to.
        begin: By the station's clock, as is ``end``.
        suspect: Whether the station did not run all the time.
        values: Counters by measured object and name, as in ``RRC.ConnEstabAtt.mo-Data``.
    """

    job: str
    begin: AwareDatetime
    end: AwareDatetime
    suspect: bool = False
    values: dict[str, dict[str, float]] = {}


class Subject(NamedTuple):
    """Whom or what a value of a counter is about; ``Subject()`` is the cell's total.

    Attributes:
        plmn: As in the network files (716-06), empty where it is not by PLMN.
        qos: QCI, or the 5QI of the same number (TS 23.501 §5.7.4); 0 where it is not by it.
        slice: S-NSSAI as SST-SD, as in 1-00000A; empty where it is not by slice.
    """

    plmn: str = ""
    qos: int = 0
    slice: str = ""


#: Values of one counter of one cell.
Values = dict[Subject, float]


class Measured(Noun):
    """What a station counted in a span of time, in the neutral vocabulary (``controller.performance.vocabulary``).

    Attributes:
        seconds: Length of the span: of the period, of an hour, or of a day or month, which are not always as long.
        covered: Seconds of it that were measured; less with gaps.
        suspect: Whether the station did not run all the time in some period of it.
        cells: Values by cell, as health names it, counter and subject. What a station counts for itself, and for no
            cell, is under an empty cell id.
    """

    station: str
    begin: AwareDatetime
    seconds: int
    covered: float
    suspect: bool = False
    cells: dict[str, dict[str, Values]] = {}


def parts(values: Mapping[Subject, float], plmn: str = "", qos: int = 0, slice_: str = "") -> list[float]:
    """Values of a counter that together are all of what is asked for, each part once; empty where it is not counted.

    A station may count a cell's total beside values by PLMN, and by PLMN and QCI: they contain each other and are never
    mixed. The coarsest that answer are taken. Counters that add up are summed by the caller.
    """
    asked = Subject(plmn, qos, slice_)
    if asked in values:
        return [values[asked]]
    found: dict[tuple[bool, ...], list[float]] = {}
    for subject, value in values.items():
        if all(not wanted or wanted == own for wanted, own in zip(asked, subject, strict=True)):
            found.setdefault(tuple(map(bool, subject)), []).append(value)
    return found[min(found, key=lambda shape: (sum(shape), shape))] if found else []
