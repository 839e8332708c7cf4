"""Raw counters of stations in the neutral vocabulary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.models.measurement import LARGEST, ListedPlmns, Measured, Period, Subject, Unread, parts
from controller.performance.vocabulary import ALIASES, COUNTERS, Aggregation, MappedPeriods, counter_named, measured

BEGIN = datetime(2026, 10, 1, tzinfo=UTC)
LTE = "ManagedElement=A,ENBFunction=1,EUtranCellFDD=1"
DU, CU = "ManagedElement=A,GNBDUFunction=1,NRCellDU=2", "ManagedElement=A,GNBCUCPFunction=1,NRCellCU=2"


def period(values: dict[str, dict[str, float]], job: str = "1", minutes: int = 15, *, suspect: bool = False) -> Period:
    return Period(job=job, begin=BEGIN, end=BEGIN + timedelta(minutes=minutes), suspect=suspect, values=values)


def mapped(*periods: Period) -> tuple[Measured, MappedPeriods]:
    found = measured("A", periods)
    (one,) = found.periods
    return one, found


def only(raw: str, value: float = 3.0, name: str = LTE) -> dict[str, dict[Subject, float]]:
    one, _ = mapped(period({name: {raw: value}}))
    (counters,) = one.cells.values()
    return counters


def test_each_counter_has_a_name_of_its_own_and_a_source() -> None:
    assert len({counter.name.lower() for counter in COUNTERS}) == len(COUNTERS)
    assert all(counter.source.startswith(("TS 28.552 §5.1.", "TS 32.425 §4.")) for counter in COUNTERS)
    assert all(counter_named(name) is not None for name in ALIASES.values())
    cause = counter_named("RRU.CellUnavailableTime.fault")
    assert cause is not None
    assert (cause.unit, cause.over_time) == ("s", Aggregation.SUM)
    assert counter_named("RRC.ConnEstabAtt.mo-Data") is None


@pytest.mark.parametrize(
    ("raw", "name", "subject"),
    [
        ("RRC.ConnMean", "RRC.ConnMean", Subject()),
        ("RRC.ConnEstabAtt.mo-Data", "RRC.ConnEstabAtt", Subject()),
        ("RRC.ConnEstabFail.3", "RRC.ConnEstabFail", Subject()),  # a cause, and no QoS level
        ("ERAB.RelActNbr.1", "ERAB.RelActNbr", Subject(qos=1)),
        ("ERAB.RelActNbr.sum", "ERAB.RelActNbr", Subject()),
        ("RRU.PrbUsedDl.1-00000a", "RRU.PrbUsedDl", Subject(slice="1-00000A")),
        ("DRB.PdcpSduVolumeDl.716-06.9", "DRB.PdcpSduVolumeDL", Subject("716-06", 9)),
        ("DRB.PdcpSduVolumeUL.716-006.9.1-00000A", "DRB.PdcpSduVolumeUL", Subject("716-006", 9, "1-00000A")),
        ("DRB.PdcpSduVolumeUL_71606.5QI9.SNSSAI001-00000A", "DRB.PdcpSduVolumeUL", Subject("716-06", 9, "1-00000A")),
        ("DRB.PdcpSduVolumeUL_716006", "DRB.PdcpSduVolumeUL", Subject("716-006")),
        ("minka-ERAB.RelActNbr.716-06.1", "ERAB.RelActNbr", Subject("716-06", 1)),
        ("drb.estabatt.9", "DRB.EstabAtt", Subject(qos=9)),
    ],
)
def test_subcounters_say_what_a_value_is_about(raw: str, name: str, subject: Subject) -> None:
    assert only(raw) == {name: {subject: 3.0}}


def test_causes_add_up_unless_the_whole_is_there() -> None:
    counters = {"RRC.ConnEstabAtt.mo-Data": 4.0, "RRC.ConnEstabAtt.mt-Access": 5.0}
    one, _ = mapped(period({LTE: counters}))
    assert one.cells["1"]["RRC.ConnEstabAtt"] == {Subject(): 9.0}
    one, _ = mapped(period({LTE: counters | {"RRC.ConnEstabAtt.sum": 11.0}}))
    assert one.cells["1"]["RRC.ConnEstabAtt"] == {Subject(): 11.0}


@pytest.mark.parametrize("name", ["RRU.CellUnavailableTime", "minka-CellUnavailableTime"])
def test_time_off_air_is_kept_by_cause(name: str) -> None:
    causes = {"fault": 60.0, "manual intervention": 20.0, "energySaving": 10.0, "other": 1.0}
    one, found = mapped(period({DU: {f"{name}.{cause}": value for cause, value in causes.items()}}))
    assert one.cells["2"] == {
        "RRU.CellUnavailableTime": {Subject(): 91.0},
        "RRU.CellUnavailableTime.fault": {Subject(): 60.0},
        "RRU.CellUnavailableTime.manual": {Subject(): 20.0},
        "RRU.CellUnavailableTime.energySaving": {Subject(): 10.0},
    }
    assert not found.unknown


def test_both_halves_of_a_cell_are_one_cell() -> None:
    one, _ = mapped(period({DU: {"RRU.PrbTotDl": 50.0}, CU: {"RRC.ConnMean": 7.0}}))
    assert one.cells == {"2": {"RRU.PrbTotDl": {Subject(): 50.0}, "RRC.ConnMean": {Subject(): 7.0}}}


def test_neighbour_relations_add_up_where_the_cell_has_nothing_itself() -> None:
    relations = {f"{CU},NRCellRelation={n}": {"MM.HoExeInterReq": 2.0, "MM.HoExeInterSucc": 1.0} for n in (1, 2)}
    one, _ = mapped(period({CU: {"MM.HoExeInterReq": 5.0}} | relations))
    assert one.cells["2"] == {"MM.HoExeInterReq": {Subject(): 5.0}, "MM.HoExeInterSucc": {Subject(): 2.0}}


def test_jobs_of_a_period_are_one_period_and_count_once() -> None:
    relation = f"{CU},NRCellRelation=1"
    first = period({DU: {"RRU.PrbTotDl": 50.0}, relation: {"MM.HoExeInterReq": 2.0}}, "1")
    second = period({DU: {"RRU.PrbTotUl": 20.0}, relation: {"MM.HoExeInterReq": 2.0}}, "2", suspect=True)
    one, _ = mapped(first, second)
    assert one.suspect
    assert one.cells["2"] == {
        "RRU.PrbTotDl": {Subject(): 50.0},
        "RRU.PrbTotUl": {Subject(): 20.0},
        "MM.HoExeInterReq": {Subject(): 2.0},
    }
    hour = period({DU: {"RRU.PrbTotDl": 40.0}}, minutes=60)
    assert [one.seconds for one in measured("A", [hour, first]).periods] == [900, 3600]


def test_what_is_not_known_is_counted_by_name() -> None:
    counters = {"VS.Odd.a": 1.0, "VS.Odd.b": 2.0, "pmRrcConn": 1.0}
    one, found = mapped(period({LTE: {"RRC.ConnMean": 1.0} | counters}))
    assert one.cells == {"1": {"RRC.ConnMean": {Subject(): 1.0}}}
    assert found.unknown == {"VS.Odd": 2, "pmRrcConn": 1}


@pytest.mark.parametrize(
    "raw",
    ["DRB.PdcpSduVolumeDl_Plmn2Qci2-4Arp1-10Gbr3", "DRB.PdcpSduVolumeUl_plmn1", "DRB.PdcpSduVolumeDL.PLMN3.9"],
)
def test_a_plmn_that_is_named_by_its_position_is_unread_for_that_reason_and_no_guess(raw: str) -> None:
    one, found = mapped(period({LTE: {"DRB.PdcpSduVolumeDL": 5.0, "DRB.PdcpSduVolumeUL": 4.0, raw: 1.0}}))
    volumes = {"DRB.PdcpSduVolumeDL": {Subject(): 5.0}, "DRB.PdcpSduVolumeUL": {Subject(): 4.0}}
    assert one.cells == {"1": {**volumes, "minka.VolumeUnreadTime": {Subject(): 900.0}}}
    assert (found.unknown, found.unread) == ({}, {"plmn-position": 1})
    assert not one.suspect


def listed(*plmns: str, begin: int = -5, until: int = 16, goes_on: bool = True) -> ListedPlmns:
    """Read each time from so many minutes after the period's begin, until so many."""
    minute = timedelta(minutes=1)
    return ListedPlmns(BEGIN + begin * minute, BEGIN + until * minute, goes_on, {"1": plmns})


TWO = ("716-06", "716-15")


@pytest.mark.parametrize(
    ("lists", "plmns"),
    [
        ([listed(*TWO)], TWO),
        ([listed(*TWO, begin=-1, until=15)], TWO),
        ([listed("716-15", begin=-90, until=-6, goes_on=False), listed(*TWO)], TWO),
        ([listed(*TWO, until=16, goes_on=False), listed(*reversed(TWO), begin=20, until=25)], TWO),
        ([], ()),
        ([listed(*TWO, begin=1)], ()),  # first read when the period had begun
        ([listed(*TWO, begin=0)], ()),  # perhaps changed while it was read
        ([listed(*TWO, until=14)], ()),  # not read since the period's end
        ([listed(*TWO, until=5, goes_on=False), listed(*reversed(TWO), begin=10)], ()),
    ],
)
def test_a_position_is_that_of_the_list_that_was_read_throughout_the_period(
    lists: list[ListedPlmns], plmns: tuple[str, ...]
) -> None:
    counters = {f"DRB.PdcpSduVolume{way}_Plmn{n}Qci9": float(n) for way in ("Dl", "Ul") for n in (1, 2)}
    (one,), *_ = found = measured("A", [period({LTE: counters})], None, lists)
    values = {Subject(plmn, 9): float(n) for n, plmn in enumerate(plmns, 1)}
    if plmns:
        assert one.cells == {"1": {"DRB.PdcpSduVolumeDL": values, "DRB.PdcpSduVolumeUL": values}}
        assert not found.unread
    else:
        assert one.cells == {"1": {"minka.VolumeUnreadTime": {Subject(): 900.0}}}
        assert found.unread == {"plmn-position": 4}


def test_a_list_is_found_in_few_looks_at_many_for_all_values_of_a_period() -> None:
    class Many(Sequence[ListedPlmns]):
        looks = 0

        def __len__(self) -> int:
            return 1 << 20

        def __getitem__(self, place: Any) -> Any:
            self.looks += 1
            before = len(self) // 2 - place
            return listed(*TWO, begin=-5 - 30 * before, until=16 - 30 * before)

    many = Many()
    counters = {f"DRB.PdcpSduVolumeDl_Plmn{n}Qci{qci}": 1.0 for n in (1, 2) for qci in range(1, 256)}
    (one,), *_ = found = measured("A", [period({LTE: counters})], None, many)
    assert {len(values) for values in one.cells["1"].values()} == {len(counters)}
    assert not found.unread
    assert many.looks < 50


def test_a_position_beyond_the_list_and_one_of_another_cell_are_nobodys() -> None:
    other = LTE.replace("EUtranCellFDD=1", "EUtranCellFDD=3")
    values = {
        LTE: {"DRB.PdcpSduVolumeDl_Plmn3": 1.0, "DRB.PdcpSduVolumeDl_Plmn0": 1.0},
        other: {"DRB.PdcpSduVolumeDl_Plmn1": 1.0},
    }
    found = measured("A", [period(values)], None, [listed(*TWO)])
    assert found.unread == {"plmn-position": 3}
    assert {name for cell in found.periods[0].cells.values() for name in cell} == {"minka.VolumeUnreadTime"}


@pytest.mark.parametrize(
    ("filters", "values"),
    [
        ({"": 9.0, "Qci1": 2.0}, {0: 9.0, 1: 2.0}),
        ({"Qci1": 2.0, "Qci9": 7.0}, {1: 2.0, 9: 7.0}),
        ({"Qci1": 2.0, "Qci2-4": 1.0, "Qci5-9": 6.0}, {0: 9.0, 1: 2.0}),
        ({"Qci9Arp1-10": 6.0, "Qci9Arp11-15": 1.0, "Qci1": 2.0}, {0: 9.0, 1: 2.0}),
        ({"Qci1-4Gbr1": 2.0, "Qci1-4Gbr2-3": 1.0, "Qci5-9": 6.0}, {0: 9.0}),
        ({"": 9.0, "Qci1-4": 2.0, "Arp1": 3.0}, {0: 9.0}),
        ({"Qci1-5": 2.0, "Qci5-9": 6.0}, None),
        ({"Qci1-5": 2.0, "Arp1-3": 6.0}, None),
        ({"Qci1-5": 2.0, "Qci6-5": 6.0}, None),
        ({"Qci1-5": 2.0, "Qci6Arp16": 6.0}, None),
    ],
)
@pytest.mark.parametrize("name", ["Plmn2", "Plmn71615"])
def test_filters_of_a_plmn_count_once_or_not_at_all(
    name: str, filters: dict[str, float], values: dict[int, float] | None
) -> None:
    raw = {f"DRB.PdcpSduVolumeDl_{name}{one}": value for one, value in filters.items()}
    (one,), *_ = found = measured("A", [period({LTE: raw})], None, [listed(*TWO)])
    if values is None:
        assert found.unread == {"filters-overlap": len(raw)}
        assert one.cells == {"1": {"minka.VolumeUnreadTime": {Subject(): 900.0}}}
    else:
        assert one.cells == {"1": {"DRB.PdcpSduVolumeDL": {Subject("716-15", qci): of for qci, of in values.items()}}}
        assert not found.unread


@given(st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=2, max_size=6))
def test_filters_overlap_if_some_traffic_is_part_of_two(some: list[list[int]]) -> None:
    """Judged by each QCI, ARP and GBR that there is; a range from 3 to 3 stands for one that is not given."""
    covered: Counter[tuple[int, ...]] = Counter()
    raw: dict[str, float] = {}
    for numbers in some:
        ranges = [sorted(numbers[place : place + 2]) for place in (0, 2, 4)]
        words = [
            "" if low == 3 else f"{name}{low}-{high}"
            for name, (low, high) in zip(("Qci", "Arp", "Gbr"), ranges, strict=True)
        ]
        if (counter := f"DRB.PdcpSduVolumeDl_Plmn716-06{''.join(words)}") not in raw:
            raw[counter] = 1.0
            covered.update(product(*(range(0 if low == 3 else low, high + 1) for low, high in ranges)))
    _, found = mapped(period({LTE: raw}))
    by_qci = all("Arp" not in one and "Gbr" not in one and _is_one_qci(one) for one in raw)
    whole = "DRB.PdcpSduVolumeDl_Plmn716-06" in raw
    assert bool(found.unread) == (max(covered.values()) > 1 and not by_qci and not whole)


def _is_one_qci(raw: str) -> bool:
    first, _, last = raw.partition("Qci")[2].partition("-")
    return first == last


def test_no_station_says_itself_how_long_its_volumes_were_unread() -> None:
    one, found = mapped(period({LTE: {"minka.VolumeUnreadTime": 900.0}}))
    assert one.cells == {"1": {}}
    assert found.unknown == {"minka.VolumeUnreadTime": 1}


@pytest.mark.parametrize("raw", ["DRB.PdcpSduVolumeDL.PLMN71606.9", "DRB.PdcpSduVolumeDL.716-06.9"])
def test_a_plmn_that_is_named_by_its_digits_is_read(raw: str) -> None:
    one, found = mapped(period({LTE: {raw: 1.0}}))
    assert one.cells == {"1": {"DRB.PdcpSduVolumeDL": {Subject("716-06", 9): 1.0}}}
    assert not found.unread


@pytest.mark.parametrize("name", ["PdcpSduVolumeDL", "PdcpSduVolumeDl", "PdcpSduVolumeUL"])
def test_a_user_plane_unit_counts_volumes_of_qos_flows_without_a_cell(name: str) -> None:
    unit = "ManagedElement=A,GNBCUUPFunction=1"
    one, found = mapped(period({unit: {f"QosFlow.{name}.716-06.9.1-00000A": 3.0}}))
    counter = "QosFlow.PdcpSduVolumeUL" if name.endswith("UL") else "QosFlow.PdcpSduVolumeDL"
    assert one.cells == {"": {counter: {Subject("716-06", 9, "1-00000A"): 3.0}}}
    assert not found.unknown


@pytest.mark.parametrize("filters", [["Plmn1"], ["Plmn716-01Qci1-4", "Plmn716-01Qci3-6"]])
@pytest.mark.parametrize("way", ["DL", "UL"])
def test_a_user_planes_volume_that_is_nobodys_is_unread_as_a_cells_is(filters: list[str], way: str) -> None:
    raw = {f"QosFlow.PdcpSduVolume{way}_{one}": 3.0 for one in filters}
    one, found = mapped(period({"ManagedElement=A,GNBCUUPFunction=1": raw}))
    assert one.cells == {"": {"minka.VolumeUnreadTime": {Subject(): 900.0}}}
    assert sum(found.unread.values()) == len(filters)


def test_user_planes_of_one_station_count_a_part_each() -> None:
    name = "QosFlow.PdcpSduVolumeDL.716-06.9.1-00000A"
    one, _ = mapped(period({f"ManagedElement=A,GNBCUUPFunction={n}": {name: float(n)} for n in (1, 2)}))
    assert one.cells == {"": {"QosFlow.PdcpSduVolumeDL": {Subject("716-06", 9, "1-00000A"): 3.0}}}


def test_objects_of_other_stations_are_left_out() -> None:
    one, found = mapped(
        period({LTE: {"RRC.ConnMean": 1.0}, LTE.replace("=A", "=B"): {"RRC.ConnMean": 9.0}}),
        period(
            {
                "ENBFunction=1,EUtranCellFDD=3": {"RRC.ConnMean": 3.0},
                "SubNetwork=1,ManagedElement=A": {"PEE.Energy": 2.0},
            }
        ),
    )
    assert found.foreign == 1
    assert one.cells == {
        "": {"PEE.Energy": {Subject(): 2.0}},
        "1": {"RRC.ConnMean": {Subject(): 1.0}},
        "3": {"RRC.ConnMean": {Subject(): 3.0}},
    }


def test_a_value_that_can_not_be_makes_the_period_suspect() -> None:
    one, _ = mapped(period({LTE: {"DRB.PdcpSduVolumeDl.716-06.9": -5.0, "CARR.AvgTxPwr": -5.0}}))
    assert one.suspect
    assert one.cells == {"1": {"CARR.AvgTxPwr": {Subject(): -5.0}}}


@pytest.mark.parametrize("value", [1e308, LARGEST * 1.1, LARGEST * 0.6, float("inf"), float("nan")])
def test_causes_never_add_up_to_more_than_there_can_be(value: float) -> None:
    causes = {"RRC.ConnEstabAtt.mo-Data": value, "RRC.ConnEstabAtt.mt-Access": value, "RRC.ConnMean": 2.0}
    whole = period({LTE: {}})
    one, found = mapped(whole.model_copy(update={"values": {LTE: causes}}))
    assert one.suspect
    counters = {name: values for name, values in one.cells["1"].items() if values}
    assert counters == {"RRC.ConnMean": {Subject(): 2.0}}
    assert found.unread[Unread.IMPOSSIBLE] >= 1


def test_a_period_that_ends_before_it_begins_is_left_out() -> None:
    values = {LTE: {"RRC.ConnMean": 2.0}}
    found = measured("A", [period(values), *(period(values, minutes=minutes) for minutes in (0, -15))])
    assert [one.seconds for one in found.periods] == [900]
    assert found.unread == {Unread.GRANULARITY: 2}


def test_parts_are_never_counted_twice() -> None:
    values = {Subject("a", 1): 1.0, Subject("a", 9): 2.0, Subject("b", 9): 4.0, Subject("a"): 3.5}
    assert parts(values) == [3.5, 4.0]  # by PLMN is coarser than by PLMN and QoS level; b is counted by that only
    assert parts(values, plmn="a") == [3.5]
    assert parts(values, qos=9) == [2.0, 4.0]
    assert parts(values, plmn="c") == parts({}, plmn="a") == []
    assert parts(values | {Subject(): 8.0}) == [8.0]
    # Each PLMN at the coarsest level that it has, and each slice of it.
    apart = {Subject("a"): 3.5, Subject("a", 9): 2.0, Subject("b", 5): 1.0, Subject("b", 9): 4.0}
    assert parts(apart) == [3.5, 1.0, 4.0]
    sliced = {Subject("a", 0, "1-1"): 3.0, Subject("a", 9, "1-1"): 2.0, Subject("a", 9, "1-2"): 4.0}
    assert parts(sliced) == parts(sliced, plmn="a") == [3.0, 4.0]
    assert parts(sliced, slice_="1-2") == [4.0]


def test_the_largest_of_the_objects_in_a_cell_is_the_cells_largest_and_counts_are_added() -> None:
    """In whatever order they come."""
    parts = ({"RRC.ConnMax": 4.0, "RRC.ConnEstabAtt": 1.0}, {"RRC.ConnMax": 9.0}, {"RRC.ConnMax": 2.0})
    for order in permutations(parts):
        one, _ = mapped(period({f"{LTE},EUtranRelation={n}": part for n, part in enumerate(order)}))
        (counters,) = one.cells.values()
        assert counters == {"RRC.ConnMax": {Subject(): 9.0}, "RRC.ConnEstabAtt": {Subject(): 1.0}}
    doubled = {f"{LTE},EUtranRelation={n}": {"RRC.ConnEstabAtt": 3.0} for n in range(2)}
    (added,) = mapped(period(doubled))[0].cells.values()
    assert added == {"RRC.ConnEstabAtt": {Subject(): 6.0}}
