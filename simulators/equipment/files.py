"""The measurement files of a station: one per job and reporting period (TS 28.622 PerfMetricJob, TS 32.432).

Nothing is written. Which files there are, and what is in them, follows from the timeline whenever somebody asks, and is
the same each time. A station without power at the end of a reporting period has no file of it.
"""

from __future__ import annotations

import gzip
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from simulators.clock import Clock
from simulators.datastore import Config
from simulators.equipment.file_faults import FileFault, FileFaultKind, FileFaults
from simulators.equipment.measurements import MEAS_DATA, FileForm, Job, file_name, jobs, measurement_file
from simulators.equipment.performance import Performance, Period
from simulators.equipment.traffic import Epoch

#: How long a station keeps its files.
KEPT = timedelta(hours=24)
#: Bytes of garbage, and of what a bomb unpacks to.
GARBAGE = 100_000_000


@dataclass(frozen=True, slots=True)
class FileHabits:
    """How a vendor's stations count, and write files: ``compressed`` with gzip, and ``served`` by SFTP.

    With ``by_position`` an LTE cell names PLMNs in volumes by their positions in its list (TS 32.425 §4.4.7).
    """

    form: FileForm = MEAS_DATA
    compressed: bool = False
    served: bool = True
    by_position: bool = False


@dataclass(frozen=True, slots=True)
class MeasurementFile:
    """A file that a station has.

    Attributes:
        begin: When the first of its periods begins, by the station's clock, as is ``end``.
        written: When it appears in the folder.
        faults: Its faults.
    """

    name: str
    job: Job
    begin: datetime
    end: datetime
    written: datetime
    faults: Mapping[FileFaultKind, FileFault]


class Garbage:
    """A large file of garbage, whose parts are made when they are read."""

    _BLOCK = bytes(range(256)) * 256

    def __len__(self) -> int:
        return GARBAGE

    def __getitem__(self, part: slice) -> bytes:
        begin, end, _ = part.indices(GARBAGE)
        offset = begin % len(self._BLOCK)
        blocks = (offset + end - begin) // len(self._BLOCK) + 1
        return (self._BLOCK * blocks)[offset : offset + max(end - begin, 0)]


class MeasurementFiles:
    """The folder of a station's measurement files; ``faults`` are its file faults."""

    def __init__(
        self, station: str, clock: Clock, performance: Performance, habits: FileHabits, faults: FileFaults
    ) -> None:
        self._station = station
        self._clock = clock
        self._performance = performance
        self._habits = habits
        self._faults = faults

    def __iter__(self) -> Iterator[MeasurementFile]:
        """The files in the folder."""
        return self.since(self._clock.now() - KEPT)

    def since(self, moment: datetime) -> Iterator[MeasurementFile]:
        """The files that appeared at this time or later."""
        now = self._clock.now()
        for file in self._due(now, moment - timedelta(seconds=self._faults.latest)):
            for one in self._as_it_comes(file):
                if moment <= one.written <= now:
                    yield one

    def find(self, name: str) -> MeasurementFile | None:
        """The file of this name; None if there is none, or no longer."""
        found = next((file for file in self if file.name == name), None)
        return None if found is None or FileFaultKind.GONE in found.faults else found

    def _due(self, now: datetime, since_when: datetime) -> Iterator[MeasurementFile]:
        """The files due since a time, newest first for each job."""
        epochs, shown = self._performance.epochs(), self._faults.clock
        begins = [begin for begin, _ in epochs]
        for asked, since, until in reversed(list(_unlocked(epochs, self._station, now))):
            oldest = shown.shown(since_when.timestamp())
            end = _floor(shown.furthest(until.timestamp()), asked.reporting)
            while end >= oldest:
                written = _moment(shown.reached(end))
                job, faults = self._struck(asked, written, end)
                first = _ceiling(shown.shown(since.timestamp()), job.seconds)
                if end < first + job.seconds:
                    break
                counted = shown.spans(end - job.seconds, end, now.timestamp())
                if counted and epochs[bisect_left(begins, written) - 1][1].powered:
                    begin = _moment(max(end - job.reporting, first))
                    name = file_name(self._station, job, begin, _moment(end)) + self._suffix
                    yield MeasurementFile(name, job, begin, _moment(end), written, faults)
                end -= asked.reporting

    @property
    def _suffix(self) -> str:
        return ".gz" if self._habits.compressed else ""

    def _struck(self, job: Job, written: datetime, end: float) -> tuple[Job, Mapping[FileFaultKind, FileFault]]:
        """The job as the station carries it out for a file, and what is wrong with that."""
        faults = self._faults.striking(f"{job.id}/{end:.0f}", written, job.reporting)
        changed = faults.get(FileFaultKind.GRANULARITY_CHANGED)
        return (job if changed is None else replace(job, seconds=int(changed.seconds))), faults

    def _as_it_comes(self, file: MeasurementFile) -> Iterator[MeasurementFile]:
        """A due file, as often as it appears and when."""
        faults = file.faults
        if FileFaultKind.MISSING in faults:
            return
        late = sum(fault.late(file.job.reporting) for fault in faults.values())
        file = replace(file, written=file.written + timedelta(seconds=late))
        yield file
        again = replace(file, name=file.name.replace(".xml", "_-_2.xml"))
        if FileFaultKind.DOUBLED in faults:
            yield again
        suspect = faults.get(FileFaultKind.SUSPECT)
        if suspect is not None and suspect.seconds:
            whole = {kind: fault for kind, fault in faults.items() if fault is not suspect}
            yield replace(again, written=file.written + timedelta(seconds=suspect.seconds), faults=whole)

    def content(self, file: MeasurementFile) -> bytes | Garbage:
        """Content of a file: the periods of its job, except those that ended while the station had no power."""
        if FileFaultKind.GARBAGE in file.faults:
            return Garbage()
        if FileFaultKind.BOMB in file.faults:
            return _bomb()
        version, periods = self._counted(file)
        if FileFaultKind.COUNTERS_UNKNOWN in file.faults:
            periods = [_with_unknown(period, self._station) for period in periods]
        if FileFaultKind.OUT_OF_ORDER in file.faults:
            periods.reverse()
        content = measurement_file(self._station, version, periods, file.job, self._habits.form)
        if self._habits.compressed:
            content = gzip.compress(content, mtime=int(file.end.timestamp()))
        return content[: len(content) // 2] if FileFaultKind.TRUNCATED in file.faults else content

    def _counted(self, file: MeasurementFile) -> tuple[str, list[Period]]:
        """The version of the software that wrote a file, and its periods."""
        epochs, shown, now = self._performance.epochs(), self._faults.clock, self._clock.now().timestamp()
        begins = [begin for begin, _ in epochs]
        found, version, begin = [], "", file.begin.timestamp()
        while begin < file.end.timestamp():
            end = begin + file.job.seconds
            epoch = epochs[max(bisect_left(begins, _moment(shown.reached(end))) - 1, 0)][1]
            spans = shown.spans(begin, end, now)
            if epoch.powered and spans:
                if FileFaultKind.SUSPECT in file.faults:
                    spans = [(since, (since + until) / 2) for since, until in spans]
                moments = [(_moment(since), _moment(until)) for since, until in spans]
                found.append(self._performance.counted(_moment(begin), _moment(end), moments))
                version = epoch.version
            begin = end
        return version, found


def _unlocked(
    epochs: list[tuple[datetime, Epoch]], station: str, now: datetime
) -> Iterator[tuple[Job, datetime, datetime]]:
    """The jobs, each with the time in which it was unlocked and did not change, in order of their ends."""
    running: dict[Job, datetime] = {}
    known: Config | None = None
    for begin, epoch in epochs:
        if epoch.config is known:
            continue
        known = epoch.config
        wanted = dict.fromkeys(jobs(known, station), begin)
        yield from ((job, since, begin) for job, since in running.items() if job not in wanted)
        running = {job: running.get(job, begin) for job in wanted}
    yield from ((job, since, now) for job, since in running.items())


def _moment(stamp: float) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)


def _floor(stamp: float, seconds: int) -> float:
    return stamp - stamp % seconds


def _ceiling(stamp: float, seconds: int) -> float:
    return stamp + -stamp % seconds


def _with_unknown(period: Period, station: str) -> Period:
    """A period with unknown counters and objects, and without an expected value."""
    values = {
        name: {**counters, "minka-Wombat.Rate": 17.0, "pmX2Foo.Bar.7": 1e15, "RRC.ConnMax": float("nan")}
        for name, counters in period.values.items()
    }
    return replace(period, values={**values, f"ManagedElement={station},Wombat=1": {"minka-Wombat.Rate": -1.0}})


@cache
def _bomb() -> bytes:
    """A gzip file of many members that unpacks to a hundred thousand times its size, in effect."""
    return gzip.compress(bytes(GARBAGE // 100), mtime=0) * 100
