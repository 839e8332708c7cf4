"""How long service is interrupted: for an expected time, until somebody else ends it, or for a time nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from controller.models.many import first_names
from controller.models.scalars import Noun


class OutageKind(StrEnum):
    """How an outage ends, the least first.

    Attributes:
        NONE: There is none.
        TIMED: What causes it ends it, after an expected time.
        UNTIL_STEP: It leaves cells locked, until a later step of the same run unlocks them.
        UNKNOWN: What causes it ends it, but nobody knows when.
        UNTIL_UNLOCKED: It leaves cells locked, until a person or another run unlocks them.
        FOR_GOOD: It removes cells that were on air.
    """

    NONE = "none"
    TIMED = "timed"
    UNTIL_STEP = "until-step"
    UNKNOWN = "unknown"
    UNTIL_UNLOCKED = "until-unlocked"
    FOR_GOOD = "for-good"


#: Most cells that a text names before it only counts.
NAMED_CELLS = 8

_GRAVITY = tuple(OutageKind)
_WORDS = {
    OutageKind.NONE: "none",
    OutageKind.UNTIL_STEP: "until a later step of the same run unlocks",
    OutageKind.UNKNOWN: "for a time that is not known",
    OutageKind.UNTIL_UNLOCKED: "until unlocked",
    OutageKind.FOR_GOOD: "for good",
}


class Outage(Noun):
    """The outage of the worst cell, or of the worst core link where no cell is off the air.

    Attributes:
        kind: How it ends.
        seconds: Expected seconds, an estimate for people, if it is ``timed``; the most that is waited before the step
            that ends it if it is ``until-step``, 0 where there are no waits or nobody knows. 0 for all others.
    """

    kind: OutageKind = OutageKind.NONE
    seconds: int = 0

    @classmethod
    def timed(cls, seconds: int) -> Outage:
        """One that is expected to last so long; none for 0 seconds."""
        return cls(kind=OutageKind.TIMED, seconds=seconds) if seconds else cls()

    @classmethod
    def worst(cls, outages: Iterable[Outage]) -> Outage:
        """The worst of several that happen at the same time; none if there are none."""
        return max(outages, key=lambda one: (_GRAVITY.index(one.kind), one.seconds), default=cls())

    @property
    def interrupts(self) -> bool:
        """Whether there is one."""
        return self.kind is not OutageKind.NONE

    @property
    def is_open(self) -> bool:
        """Whether what causes it does not end it."""
        return self.kind in (OutageKind.UNTIL_UNLOCKED, OutageKind.FOR_GOOD)

    def __str__(self) -> str:
        """Its length in words."""
        if self.kind is OutageKind.TIMED:
            return f"about {self.seconds} s"
        waits = f", after waits of at most {self.seconds} s" if self.seconds else ""
        return f"{_WORDS[self.kind]}{waits}"


class OffAir(Noun):
    """A side's own cells that a run takes off the air, apart from those that it loses for good.

    Attributes:
        cells: As ``station/cell``, sorted: those at stations where ``count`` is not about all of its cells.
        count: Number of its cells that go off the air.
        of: Number of its cells at these stations; all of them go where that is ``count``.
        open: Whether a step says which of them only once the run is under way: these are all that it may name.
    """

    cells: tuple[str, ...] = ()
    count: int
    of: int
    open: bool = False

    def __str__(self) -> str:
        """Which cells, in words."""
        named, others = first_names(self.cells, NAMED_CELLS), self.count - len(self.cells)
        if self.count == self.of:
            said = f"all {self.count} cells" if self.count != 1 else "the only cell there"
        else:
            more = f", and all {others} at other stations" if others else ""
            said = f"{self.count} of {self.of} cells: {named}{more}"
        return f"{said} (which of them is known only when an earlier step has run)" if self.open else said


NO_OUTAGE = Outage()
UNKNOWN_OUTAGE = Outage(kind=OutageKind.UNKNOWN)
UNTIL_UNLOCKED = Outage(kind=OutageKind.UNTIL_UNLOCKED)
FOR_GOOD = Outage(kind=OutageKind.FOR_GOOD)
