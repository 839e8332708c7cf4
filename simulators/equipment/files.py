"""The measurement files of a station: one per job and reporting period (TS 28.622 PerfMetricJob, TS 32.432).

Nothing is written. Which files there are, and what is in them, follows from the timeline whenever somebody asks, and is
the same each time. A station without power at the end of a reporting period has no file of it.
"""

from __future__ import annotations

import gzip
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from simulators.clock import Clock
from simulators.datastore import Config
from simulators.equipment.measurements import MEAS_DATA, FileForm, Job, file_name, jobs, measurement_file
from simulators.equipment.performance import Epoch, Performance

#: How long a station keeps its files.
KEPT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class FileHabits:
    """How a vendor's stations write files; ``compressed`` with gzip."""

    form: FileForm = MEAS_DATA
    compressed: bool = False


@dataclass(frozen=True, slots=True)
class MeasurementFile:
    """A file that a station has, from the begin of its first period on."""

    name: str
    job: Job
    begin: datetime
    end: datetime


class MeasurementFiles:
    """The folder of measurement files of a station."""

    def __init__(self, station: str, clock: Clock, performance: Performance, habits: FileHabits | None = None) -> None:
        self._station = station
        self._clock = clock
        self._performance = performance
        self._habits = habits or FileHabits()

    def __iter__(self) -> Iterator[MeasurementFile]:
        """The files, newest first for each job."""
        now = self._clock.now()
        epochs = self._performance.epochs()
        begins = [begin for begin, _ in epochs]
        for job, since, until in reversed(list(_unlocked(epochs, self._station, now))):
            first = _next(since, job.seconds)
            for end in _ends(job.reporting, max(first + timedelta(seconds=job.seconds), now - KEPT), until):
                if epochs[bisect_left(begins, end) - 1][1].powered:
                    begin = max(end - timedelta(seconds=job.reporting), first)
                    name = file_name(self._station, job, begin, end) + (".gz" if self._habits.compressed else "")
                    yield MeasurementFile(name, job, begin, end)

    def find(self, name: str) -> MeasurementFile | None:
        """The file of this name; None where there is none."""
        return next((file for file in self if file.name == name), None)

    def content(self, file: MeasurementFile) -> bytes:
        """What is in a file: the whole periods of its job, but for those at whose end the station had no power."""
        epochs = self._performance.epochs()
        begins = [begin for begin, _ in epochs]
        step = timedelta(seconds=file.job.seconds)
        found, version, end = [], "", file.begin + step
        while end <= file.end:
            epoch = epochs[max(bisect_left(begins, end) - 1, 0)][1]
            if epoch.powered:
                found.append(self._performance.measure(file.job.seconds, end))
                version = epoch.version
            end += step
        content = measurement_file(self._station, version, found, file.job, self._habits.form)
        return gzip.compress(content, mtime=int(file.end.timestamp())) if self._habits.compressed else content


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


def _next(moment: datetime, seconds: int) -> datetime:
    """When the next period of so many seconds begins, or one that begins just then."""
    stamp = moment.timestamp()
    return datetime.fromtimestamp(stamp + -stamp % seconds, UTC)


def _ends(reporting: int, first: datetime, last: datetime) -> Iterator[datetime]:
    """When reporting periods of so many seconds end in a span, the latest first."""
    stamp = last.timestamp()
    end = datetime.fromtimestamp(stamp - stamp % reporting, UTC)
    while end >= first:
        yield end
        end -= timedelta(seconds=reporting)
