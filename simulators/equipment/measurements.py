"""Measurement jobs (PerfMetricJob, TS 28.622) and their results in ``<get>`` and files (TS 28.532, TS 32.435)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from lxml import etree

from simulators.datastore import Config
from simulators.elements import leaf, node, root, timestamp
from simulators.equipment.managed_element import jobs_of
from simulators.equipment.performance import PERIOD, Performance, Period, Values

PERFORMANCE_NS = "urn:minka:performance"


@dataclass(frozen=True, slots=True)
class Job:
    """A measurement job: families, measurements or subcounters, of some objects or all.

    Attributes:
        seconds: Length of a period (granularityPeriod).
        reporting: Seconds that one file covers (fileReportingPeriod).
    """

    id: str
    metrics: tuple[str, ...] = ()
    seconds: int = PERIOD
    reporting: int = PERIOD
    objects: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()

    def selected(self, values: Values) -> Values:
        """The values that the job selects."""
        found = {}
        for name, counters in values.items():
            chosen = {counter: value for counter, value in counters.items() if self._wants(counter)}
            if chosen and self._measures(name):
                found[name] = chosen
        return found

    def _wants(self, counter: str) -> bool:
        return not self.metrics or any(f"{counter}.".startswith(f"{metric}.") for metric in self.metrics)

    def _measures(self, name: str) -> bool:
        if not self.objects and not self.roots:
            return True
        return name in self.objects or any(f"{name},".startswith(f"{top},") for top in self.roots)


#: All measurements of a station.
EVERYTHING = Job("all")


def jobs(running: Config, station: str) -> Iterator[Job]:
    """The unlocked measurement jobs of a station."""
    for path in jobs_of(running, station):
        attributes = running.get((*path, "attributes"))
        assert attributes is not None
        yield Job(
            str(path[-1][1]),
            attributes.leaves("performanceMetrics"),
            int(attributes.leaf("granularityPeriod") or PERIOD),
            60 * int(attributes.leaf("fileReportingPeriod") or PERIOD // 60),
            attributes.leaves("objectInstances"),
            attributes.leaves("rootObjectInstances"),
        )


def performance_state(running: Config, station: str, measured: Performance) -> etree._Element:
    """The ``performance`` container: each job's latest period."""
    top = root(PERFORMANCE_NS, "performance")
    for job in jobs(running, station):
        period = measured.measure(job.seconds)
        entry = node(top, "job")
        leaf(entry, "id", job.id)
        leaf(entry, "begin-time", timestamp(period.begin))
        leaf(entry, "end-time", timestamp(period.end))
        leaf(entry, "suspect", str(period.suspect).lower())
        for name, counters in job.selected(period.values).items():
            item = node(entry, "object")
            leaf(item, "name", name)
            for counter, value in counters.items():
                pair = node(item, "counter")
                leaf(pair, "name", counter)
                leaf(pair, "value", number(value))
    return top


def number(value: float) -> str:
    """A value as text, without a fraction if it is whole."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class FileForm:
    """How a measurement file is written.

    Attributes:
        root: Its outermost element.
        namespace: Of all its elements.
        version: Version of the format in its header.
        sender: The attribute with the sender's name.
        entity: The element of the measured entity.
        times: The element of header and footer that holds a time.
        positions: Whether values refer to their names by number, and not by order.
        relative: Whether names of measured objects begin below the entity.
        nothing: The text for a missing value.
    """

    root: str
    namespace: str
    version: str
    sender: str
    entity: str
    times: str
    positions: bool
    relative: bool
    nothing: str


#: TS 28.532, measData.xsd.
MEAS_DATA = FileForm(
    *("measDataFile", "http://www.3gpp.org/ftp/specs/archive/28_series/28.532#measData", "28.532 V16.0"),
    *("senderName", "measEntity", "measData"),
    positions=True,
    relative=False,
    nothing="NULL",
)
#: TS 32.435 §4.2.2, measCollec.xsd, without the optional positions (annex A.1).
MEAS_COLLEC = FileForm(
    *("measCollecFile", "http://www.3gpp.org/ftp/specs/archive/32_series/32.435#measCollec", "32.435 V16.0"),
    *("localDn", "managedElement", "measCollec"),
    positions=False,
    relative=True,
    nothing="NIL",
)


def measurement_file(
    station: str, version: str, periods: Sequence[Period], job: Job = EVERYTHING, form: FileForm = MEAS_DATA
) -> bytes:
    """A measurement file of one or more periods."""
    element = f"ManagedElement={station}"
    begin, end = min(period.begin for period in periods), max(period.end for period in periods)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<{form.root} xmlns="{form.namespace}">',
        f'<fileHeader fileFormatVersion="{form.version}" vendorName="Minka" dnPrefix="">',
        f"<fileSender {form.sender}={quoteattr(element)}/>",
        f'<{form.times} beginTime="{timestamp(begin)}"/>',
        "</fileHeader>",
        "<measData>",
        f"<{form.entity} localDn={quoteattr(element)} swVersion={quoteattr(version)}/>",
    ]
    for period in periods:
        for kind, members in _by_class(job.selected(period.values)).items():
            lines += _info(kind, members, period, job, form)
    lines += ["</measData>", "<fileFooter>", f'<{form.times} endTime="{timestamp(end)}"/>', "</fileFooter>"]
    return "\n".join([*lines, f"</{form.root}>", ""]).encode()


def _by_class(values: Values) -> Mapping[str, Values]:
    """The measured objects by class, as in NRCellDU."""
    found: dict[str, Values] = {}
    for name, counters in values.items():
        kind = name.rpartition(",")[2].partition("=")[0]
        found.setdefault(kind, {})[name] = counters
    return found


def _info(kind: str, members: Values, period: Period, job: Job, form: FileForm) -> Iterator[str]:
    seconds = int((period.end - period.begin).total_seconds())
    names = sorted({name for counters in members.values() for name in counters})
    yield f"<measInfo measInfoId={quoteattr(kind)}>"
    yield f"<job jobId={quoteattr(job.id)}/>"
    yield f'<granPeriod duration="PT{seconds}S" endTime="{timestamp(period.end)}"/>'
    yield f'<repPeriod duration="PT{job.reporting}S"/>'
    if form.positions:
        yield from (f'<measType p="{position}">{name}</measType>' for position, name in enumerate(names, start=1))
    else:
        yield f"<measTypes>{' '.join(names)}</measTypes>"
    for measured, counters in sorted(members.items()):
        name = measured.partition(",")[2] if form.relative else measured
        yield f"<measValue measObjLdn={quoteattr(name)}>"
        given = [counters.get(name, math.nan) for name in names]
        texts = [form.nothing if math.isnan(value) else number(value) for value in given]
        if form.positions:
            yield from (f'<r p="{position}">{text}</r>' for position, text in enumerate(texts, start=1))
        else:
            yield f"<measResults>{' '.join(texts)}</measResults>"
        yield f"<suspect>{str(period.suspect).lower()}</suspect>"
        yield "</measValue>"
    yield "</measInfo>"


def file_name(station: str, job: Job, begin: datetime, end: datetime) -> str:
    """Name of a measurement file (TS 32.432): type A has one period, C several and the date of its end."""
    several = job.reporting > job.seconds
    last = f"{end:%Y%m%d.%H%M}" if several else f"{end:%H%M}"
    unique = "_".join(quote(name, safe="") for name in (job.id, station))
    return f"{'C' if several else 'A'}{begin:%Y%m%d.%H%M}+0000-{last}+0000_-{unique}.xml"
