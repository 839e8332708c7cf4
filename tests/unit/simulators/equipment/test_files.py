"""Which measurement files a station has, and what is in them."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta

from lxml import etree

from simulators.clock import VirtualClock
from simulators.equipment.files import KEPT, FileHabits, MeasurementFile, MeasurementFiles
from simulators.equipment.measurements import MEAS_COLLEC, MEAS_DATA
from simulators.station import Station
from tests.unit.simulators.equipment.stations import ANDES, ME, configure

QUARTER = 900.0
MD = f"{{{MEAS_DATA.namespace}}}"
#: The first volume of a cell, in a file of all its counters.
VOLUME = f"DRB.PdcpSduVolumeDl.{ANDES}.9"


def job(seconds: int = 900, minutes: int = 15, state: str = "UNLOCKED", name: str = "pm") -> str:
    return (
        f'<ManagedElement xmlns="{ME}"><id>T-LTE-1</id><PerfMetricJob><id>{name}</id><attributes>'
        f"<administrativeState>{state}</administrativeState><performanceMetrics>DRB</performanceMetrics>"
        f"<performanceMetrics>RRU</performanceMetrics><granularityPeriod>{seconds}</granularityPeriod>"
        f"<fileReportingPeriod>{minutes}</fileReportingPeriod></attributes></PerfMetricJob></ManagedElement>"
    )


def files_of(station: Station, habits: FileHabits | None = None) -> MeasurementFiles:
    return station.equipment.files(habits or FileHabits())


def content_of(station: Station, file: MeasurementFile, habits: FileHabits | None = None) -> bytes:
    content = files_of(station, habits).content(file)
    assert isinstance(content, bytes)
    return content


def hours(station: Station) -> list[str]:
    """Type and hours of the files of a station, as in A0015-0030, oldest first."""
    found = [(file.begin, file.end, file.name[0]) for file in files_of(station)]
    return [f"{kind}{begin:%H%M}-{end:%H%M}" for begin, end, kind in sorted(found)]


def periods(station: Station, name_begins: str) -> list[tuple[str, str, bool, float]]:
    """Duration, end, whether suspect and volume of the periods of the one file whose name begins so."""
    (file,) = [file for file in files_of(station) if file.name.startswith(name_begins)]
    found = []
    for info in etree.fromstring(content_of(station, file)).iter(f"{MD}measInfo"):
        granularity, value = info.find(f"{MD}granPeriod"), info.find(f"{MD}measValue")
        assert granularity is not None
        assert value is not None
        position = {str(kind.text): kind.get("p") for kind in info.iter(f"{MD}measType")}[VOLUME]
        (volume,) = [float(r.text or 0) for r in value.iter(f"{MD}r") if r.get("p") == position]
        times = str(granularity.get("duration")), str(granularity.get("endTime"))
        found.append((*times, value.findtext(f"{MD}suspect") == "true", volume))
    return found


def test_a_station_without_jobs_has_no_files(station: Station, clock: VirtualClock) -> None:
    clock.advance(2 * QUARTER)
    assert not list(files_of(station))


def test_each_reporting_period_since_the_job_has_a_file(station: Station, clock: VirtualClock) -> None:
    configure(station, job())
    clock.advance(QUARTER * 3)  # the job came two seconds after the first period had begun
    assert hours(station) == ["A0015-0030", "A0030-0045"]
    assert next(file.name for file in files_of(station)) == "A20260101.0030+0000-0045+0000_-pm_T-LTE-1.xml"
    ((duration, end, suspect, volume),) = periods(station, "A20260101.0030")
    assert (duration, end, suspect) == ("PT900S", "2026-01-01T00:45:00Z", False)
    measured = station.equipment.performance.measure(end=datetime(2026, 1, 1, 0, 45, tzinfo=UTC))
    (counters,) = measured.values.values()
    assert volume == counters[VOLUME] > 0


def test_a_file_holds_all_periods_of_its_reporting_period(station: Station, clock: VirtualClock) -> None:
    configure(station, job(seconds=300))
    configure(station, job(name="long"))
    clock.advance(QUARTER * 2)
    assert hours(station) == ["C0005-0015", "A0015-0030", "C0015-0030"]
    short, (whole,) = periods(station, "C20260101.0015"), periods(station, "A20260101.0015")
    assert [(duration, end[11:16]) for duration, end, _, _ in short] == [
        ("PT300S", end) for end in ("00:20", "00:25", "00:30")
    ]
    assert abs(sum(volume for *_, volume in short) - whole[-1]) < 0.001
    # The job was not there yet when the first five minutes began.
    assert [end[11:16] for _, end, _, _ in periods(station, "C20260101.0005")] == ["00:10", "00:15"]


def test_a_change_of_granularity_leaves_out_the_period_in_which_it_happens(
    station: Station, clock: VirtualClock
) -> None:
    configure(station, job())
    clock.advance(QUARTER * 2 + 398)  # 00:36:40
    configure(station, job(seconds=300))
    clock.advance(QUARTER)
    assert hours(station) == ["A0015-0030", "C0040-0045"]
    assert [end[11:16] for _, end, _, _ in periods(station, "C20260101.0040")] == ["00:45"]


def test_a_locked_job_has_no_files_of_that_time(station: Station, clock: VirtualClock) -> None:
    configure(station, job())
    clock.advance(QUARTER * 2)
    configure(station, job(state="LOCKED"))
    clock.advance(QUARTER * 2)
    configure(station, job())
    clock.advance(QUARTER * 2)
    assert hours(station) == ["A0015-0030", "A0115-0130"]


def test_without_power_there_is_a_gap_and_then_a_suspect_period(station: Station, clock: VirtualClock) -> None:
    configure(station, job())
    clock.advance(QUARTER * 2)
    station.lose_power()
    clock.advance(QUARTER * 2)
    station.restart()
    clock.advance(QUARTER * 2)
    assert hours(station) == ["A0015-0030", "A0100-0115", "A0115-0130"]
    assert [periods(station, f"A20260101.{begin}")[0][2] for begin in ("0015", "0100", "0115")] == [False, True, False]


def test_a_file_is_the_same_each_time_until_it_is_deleted(station: Station, clock: VirtualClock) -> None:
    configure(station, job())
    clock.advance(QUARTER * 2)
    (file,) = files_of(station)
    content = content_of(station, file)
    station.equipment.software.leave_wrong_build()
    station.equipment.begin_fault("cell-down")
    clock.advance(KEPT.total_seconds() - 2 * QUARTER)
    assert content_of(station, file) == content
    assert files_of(station).find(file.name) == file
    clock.advance(2 * QUARTER)
    assert files_of(station).find(file.name) is None
    assert len(list(files_of(station))) == KEPT / timedelta(seconds=QUARTER)


def test_files_may_be_compressed(station: Station, clock: VirtualClock) -> None:
    configure(station, job())
    clock.advance(QUARTER * 2)
    habits = FileHabits(compressed=True)
    (file,), (plain,) = files_of(station, habits), files_of(station)
    assert file.name == f"{plain.name}.gz"
    assert gzip.decompress(content_of(station, file, habits)) == content_of(station, plain)
    assert content_of(station, file, habits) == content_of(station, file, habits)


def results(content: bytes) -> dict[tuple[str, str], str]:
    """The values of a file by object and counter, whichever form it has."""
    found: dict[tuple[str, str], str] = {}
    for data in etree.fromstring(content).findall("{*}measData"):
        entity = next(element for element in data if element.get("localDn"))
        for info in data.findall("{*}measInfo"):
            names = info.findtext("{*}measTypes", "").split() or [str(one.text) for one in info.iter("{*}measType")]
            for value in info.findall("{*}measValue"):
                local = str(value.get("measObjLdn"))
                above = "" if local.startswith("ManagedElement=") else f"{entity.get('localDn')},"
                texts = value.findtext("{*}measResults", "").split() or [str(r.text) for r in value.findall("{*}r")]
                found |= {(above + local, name): text for name, text in zip(names, texts, strict=True)}
    return found


def test_both_forms_say_the_same(station: Station, clock: VirtualClock) -> None:
    configure(station, job())
    clock.advance(QUARTER * 2)
    (file,) = files_of(station)
    plain, other = content_of(station, file), content_of(station, file, FileHabits(MEAS_COLLEC))
    root = etree.fromstring(other)
    assert root.tag == "{http://www.3gpp.org/ftp/specs/archive/32_series/32.435#measCollec}measCollecFile"
    assert root.find("{*}fileHeader/{*}measCollec").get("beginTime") == "2026-01-01T00:15:00Z"  # type: ignore[union-attr]
    assert b"measType " not in other
    assert results(plain) == results(other)
    assert results(other)["ManagedElement=T-LTE-1,ENBFunction=1,EUtranCellFDD=1", VOLUME] != "0"
