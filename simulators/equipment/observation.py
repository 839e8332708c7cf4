"""What a station knows of its own traffic: a timeline of what held when, and what was measured in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from simulators.clock import Clock
from simulators.datastore import Config
from simulators.equipment.configuration import CellSurvey
from simulators.equipment.load import Load
from simulators.equipment.performance import PERIOD, Epoch, Observer, Period, Timeline
from simulators.equipment.radio import Radio
from simulators.equipment.surroundings import Surroundings
from simulators.equipment.traffic import Place
from simulators.network import StationRecord

#: Users below which a cell counts as idle.
_NOBODY = 0.5
#: The timeline of a station without cells.
_EMPTY = Timeline()


class Observation:
    """The traffic of one station; costs nothing until there is a cell."""

    __slots__ = ("_around", "_clock", "_radio", "_record", "_timeline")

    def __init__(self, record: StationRecord, around: Surroundings, clock: Clock, radio: Radio) -> None:
        self._record = record
        self._around = around
        self._clock = clock
        self._radio = radio
        self._timeline: Timeline | None = None

    def note(self, config: Config) -> None:
        """Note what holds from now on."""
        cells = tuple(self._radio.cells)
        if self._timeline is None:
            if not cells:
                return
            self._timeline = Timeline()
        now = self._clock.monotonic()
        self._timeline.note(Epoch(now, config, cells, self._radio.tenants_connected, self._radio.powered))

    @property
    def _place(self) -> Place:
        cells = sum(1 for _ in self._radio.cells)
        around, record = self._around, self._record
        return Place(around.seed, record.id, record.population, cells, around.plmns)

    def period_begin(self, seconds: int = PERIOD) -> datetime:
        """When the present period began; periods are aligned to the hour."""
        now = self._clock.now().timestamp()
        return datetime.fromtimestamp(now - now % seconds, UTC)

    def _local(self) -> datetime:
        return self.period_begin().astimezone(self._around.timezone)

    def users(self, cell: CellSurvey) -> float:
        """Users in a cell now."""
        demand = self._demand(cell)
        return 0.0 if demand is None else demand.users

    def usage(self, cell: CellSurvey) -> str:
        """IDLE, ACTIVE or BUSY (X.731)."""
        demand = self._demand(cell)
        if demand is None or demand.users < _NOBODY:
            return "IDLE"
        return "BUSY" if demand.wanted >= 100.0 else "ACTIVE"

    def _demand(self, cell: CellSurvey) -> Load | None:
        return (self._timeline or _EMPTY).demand(self._place, self._around.tenants, cell.id, self._local())

    def measure(self, seconds: int = PERIOD, end: datetime | None = None) -> Period:
        """The counters of the period that ends then; of the latest that ended if no end is named."""
        begin = (end or self.period_begin(seconds)) - timedelta(seconds=seconds)
        offset = self._clock.monotonic() - (self._clock.now() - begin).total_seconds()
        observer = Observer(self._place, self._around.tenants, self._around.timezone)
        return observer.measure(self._timeline or _EMPTY, begin, seconds, offset)
