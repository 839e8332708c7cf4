"""The neutral vocabulary: what is counted, in which unit, how it adds up, and where it is defined. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Adds(StrEnum):
    """How values of a counter become one."""

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter of the neutral vocabulary.

    Attributes:
        name: As the standard has it, without subcounters.
        unit: Of its values.
        over_time: How values of spans become that of a longer one; a mean is weighted with time.
        over_cells: How values of cells become that of a station or region.
        source: Where it is defined.
    """

    name: str
    unit: str
    over_time: Adds
    over_cells: Adds
    source: str


_SUM, _MEAN, _MAX = (Adds.SUM, Adds.SUM), (Adds.MEAN, Adds.MEAN), (Adds.MAX, Adds.MAX)
#: A number of users: at each time that of all cells together.
_USERS = (Adds.MEAN, Adds.SUM)

COUNTERS: tuple[Counter, ...] = (
    Counter("RRC.ConnEstabAtt", "1", *_SUM, "TS 28.552 §5.1.1.15.1, TS 32.425 §4.1.1.1"),
    Counter("RRC.ConnEstabSucc", "1", *_SUM, "TS 28.552 §5.1.1.15.2, TS 32.425 §4.1.1.2"),
    Counter("RRC.ConnMean", "1", *_USERS, "TS 28.552 §5.1.1.4.1"),
    Counter("RRC.ConnMax", "1", *_MAX, "TS 28.552 §5.1.1.4.2"),
    Counter("RRU.PrbTotDl", "%", *_MEAN, "TS 28.552 §5.1.1.2.1"),
    Counter("DRB.PdcpSduVolumeDL", "Mbit", *_SUM, "TS 28.552 §5.1.2.1.1"),
    Counter("DRB.PdcpSduVolumeUL", "Mbit", *_SUM, "TS 28.552 §5.1.2.1.2"),
)
_BY_NAME = {counter.name: counter for counter in COUNTERS}


def counter_named(name: str) -> Counter | None:
    """The counter of the vocabulary that has this name."""
    return _BY_NAME.get(name)
