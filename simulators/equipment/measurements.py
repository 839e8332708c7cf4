"""Measurement jobs (PerfMetricJob, TS 28.622): what they select, in ``<get>`` and in files (TS 28.532 measData)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from lxml import etree

from simulators.datastore import Config
from simulators.elements import leaf, node, root, timestamp
from simulators.equipment.managed_element import jobs_of
from simulators.equipment.performance import PERIOD, Performance, Period, Values

PERFORMANCE_NS = "urn:minka:performance"
MEASUREMENT_NS = "http://www.3gpp.org/ftp/specs/archive/28_series/28.532#measData"
FORMAT_VERSION = "28.532 V16.0"


@dataclass(frozen=True, slots=True)
class Job:
    """What a manager wants measured: families, measurements or subcounters, of some objects or all.

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
        """Those of the values that the job wants."""
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


#: All that a station can measure.
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
    """A value as text, with as much of a fraction as it has."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def measurement_file(station: str, version: str, periods: Sequence[Period], job: Job = EVERYTHING) -> bytes:
    """A measurement file of one or more periods, oldest first (TS 28.532 annex, measData.xsd)."""
    top = root(MEASUREMENT_NS, "measDataFile")
    header = node(top, "fileHeader")
    header.set("fileFormatVersion", FORMAT_VERSION)
    header.set("vendorName", "Minka")
    header.set("dnPrefix", "")
    node(header, "fileSender").set("senderName", f"ManagedElement={station}")
    node(header, "measData").set("beginTime", timestamp(periods[0].begin))
    data = node(top, "measData")
    entity = node(data, "measEntity")
    entity.set("localDn", f"ManagedElement={station}")
    entity.set("swVersion", version)
    for period in periods:
        for kind, members in _by_class(job.selected(period.values)).items():
            _info(data, kind, members, period, job)
    footer = node(top, "fileFooter")
    node(footer, "measData").set("endTime", timestamp(periods[-1].end))
    text: bytes = etree.tostring(top, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return text


def _by_class(values: Values) -> Mapping[str, Values]:
    """The measured objects by class, as in NRCellDU."""
    found: dict[str, Values] = {}
    for name, counters in values.items():
        kind = name.rpartition(",")[2].partition("=")[0]
        found.setdefault(kind, {})[name] = counters
    return found


def _info(data: etree._Element, kind: str, members: Values, period: Period, job: Job) -> None:
    seconds = int((period.end - period.begin).total_seconds())
    info = node(data, "measInfo")
    info.set("measInfoId", kind)
    node(info, "job").set("jobId", job.id)
    granularity = node(info, "granPeriod")
    granularity.set("duration", f"PT{seconds}S")
    granularity.set("endTime", timestamp(period.end))
    node(info, "repPeriod").set("duration", f"PT{job.reporting}S")
    names = sorted({name for counters in members.values() for name in counters})
    for position, name in enumerate(names, start=1):
        kind_of = node(info, "measType")
        kind_of.set("p", str(position))
        kind_of.text = name
    for measured, counters in sorted(members.items()):
        value = node(info, "measValue")
        value.set("measObjLdn", measured)
        for position, name in enumerate(names, start=1):
            if name in counters:
                result = node(value, "r")
                result.set("p", str(position))
                result.text = number(counters[name])
        leaf(value, "suspect", str(period.suspect).lower())


def file_name(station: str, job: Job, begin: datetime, end: datetime) -> str:
    """Name of a measurement file (TS 32.432): type A has one period, C several and the date of its end."""
    several = job.reporting > job.seconds
    last = f"{end:%Y%m%d.%H%M}" if several else f"{end:%H%M}"
    unique = "_".join(quote(name, safe="") for name in (job.id, station))
    return f"{'C' if several else 'A'}{begin:%Y%m%d.%H%M}+0000-{last}+0000_-{unique}.xml"
