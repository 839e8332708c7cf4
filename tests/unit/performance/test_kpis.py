"""Indicators from what cells counted: sums first, then the formula; whose part; what can be said, and how surely."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.models.errors import InputError
from controller.models.measurement import Measured, Subject
from controller.performance import kpis
from controller.performance.comparison import Figure, VerdictKind, compare, figure, poisson, pooled, surely_lost, wilson
from controller.performance.kpis import EVERYBODY, Kpi, KpiCategory, Level, Statistic, Subscribers, Tally, amount, tally
from tests.support.definitions import load_kpis

SHIPPED = Path(__file__).parents[3] / "playbooks" / "kpis"
BEGIN = datetime(2026, 10, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
GOOD = """\
name: rrc
title: RRC setups
category: accessibility
description: d
formula: 100 * RRC.ConnEstabSucc / RRC.ConnEstabAtt
source: s
unit: "%"
better: higher
statistic: share
minimum: 100
levels: [cell, station]
"""


def kpi(formula: str, statistic: Statistic = Statistic.SHARE, **other: Any) -> Kpi:
    fields: dict[str, Any] = {"name": "one", "title": "t", "category": KpiCategory.ACCESSIBILITY, "description": "d"}
    fields |= {"source": "s", "unit": "%", "better": "higher", "minimum": 100, "levels": tuple(Level)}
    return Kpi(**fields | {"formula": formula, "statistic": statistic} | other)


RRC = kpi("100 * RRC.ConnEstabSucc / RRC.ConnEstabAtt")
MEAN = kpi("RRU.PrbTotDl", Statistic.MEAN, minimum=2, better="lower")


def measured(station: str = "A", at: int = 0, *, suspect: bool = False, covered: float = 900, **cells: Any) -> Measured:
    """A period; counters of cell ``1`` as ``c1={name: total or values by subject}``."""
    values = {
        cell.removeprefix("c"): {
            name: value if isinstance(value, dict) else {Subject(): float(value)} for name, value in counters.items()
        }
        for cell, counters in cells.items()
    }
    begin = BEGIN + at * QUARTER
    return Measured(station=station, begin=begin, seconds=900, covered=covered, suspect=suspect, cells=values)


def setups(good: float, total: float) -> dict[str, float]:
    return {"RRC.ConnEstabSucc": good, "RRC.ConnEstabAtt": total}


def now(of: Kpi, *periods: Measured, who: Subscribers = EVERYBODY) -> Figure:
    return figure(of, tally(of, periods, who), BEGIN, BEGIN + QUARTER)


# ---------------------------------------------------------------------- values


def test_counts_are_added_up_before_the_formula_is_applied() -> None:
    found = now(RRC, measured(c1=setups(10, 10), c2=setups(495, 990)), measured("B", 1, c1=setups(500, 1000)))
    assert found.value == pytest.approx(100 * 1005 / 2000)
    assert (found.sample, found.cells, found.why) == (2000, 3, "")


def test_a_cell_that_lacks_a_counter_is_left_out_as_a_whole() -> None:
    found = now(RRC, measured(c1=setups(90, 100), c2={"RRC.ConnEstabAtt": 1000}))
    assert found.value == pytest.approx(90)
    assert found.cells == 1
    assert now(RRC, measured(c1={"RRC.ConnEstabAtt": 1000})).words == "not judged: it is not measured"


def test_each_technology_counts_by_its_own_name() -> None:
    both = kpi("100 * (ERAB.EstabInitSuccNbr | DRB.EstabSucc) / (ERAB.EstabInitAttNbr | DRB.EstabAtt)")
    lte = {"ERAB.EstabInitSuccNbr": 90, "ERAB.EstabInitAttNbr": 100}
    assert now(both, measured(c1=lte, c2={"DRB.EstabSucc": 300, "DRB.EstabAtt": 300})).value == pytest.approx(97.5)


def test_a_counter_that_a_cell_need_not_have_is_nothing_there_and_unknown_where_it_is_counted_for_others() -> None:
    all_of_it = kpi("100 * ERAB.RelActNbr / (ERAB.EstabInitSuccNbr + (ERAB.EstabAddSuccNbr | 0))", better="lower")
    base = {"ERAB.RelActNbr": 5, "ERAB.EstabInitSuccNbr": 100}
    assert now(all_of_it, measured(c1=base)).value == pytest.approx(5)
    assert now(all_of_it, measured(c1={**base, "ERAB.EstabAddSuccNbr": 150})).value == pytest.approx(2)
    # Of the tenant the cell counts no added bearers by themselves: they are not taken for none.
    mine = {name: {Subject("716-06"): float(value)} for name, value in base.items()}
    others = {"ERAB.EstabAddSuccNbr": {Subject("716-15"): 150.0}}
    who = Subscribers(frozenset({"716-06"}))
    assert now(all_of_it, measured(c1=mine), who=who).value == pytest.approx(5)
    assert now(all_of_it, measured(c1={**mine, **others}), who=who).value is None


def shipped(name: str) -> Kpi:
    every = (*load_kpis(SHIPPED), *load_kpis(SHIPPED / "regulators"))
    return next(one for one in every if one.name == name)


@pytest.mark.parametrize(
    ("more", "value"),
    [
        ({}, 10.0),
        ({"ERAB.EstabAddSuccNbr": 100}, 5.0),
        ({"ERAB.EstabAddSuccNbr": 100, "ERAB.EstabIncHoSuccNbr": 200}, 2.5),
    ],
)
def test_dropped_bearers_are_judged_by_all_that_were_set_up(more: dict[str, int], value: float) -> None:
    lte = {"ERAB.RelActNbr": 10, "ERAB.EstabInitSuccNbr": 100, **more}
    assert now(shipped("bearer-drops"), measured(c1=lte)).value == pytest.approx(value)
    nr = {"DRB.RelActNbr": 10, "DRB.EstabSucc": 100}
    assert now(shipped("bearer-drops"), measured(c1=nr)).value == pytest.approx(10)


@pytest.mark.parametrize(
    ("more", "value"),
    [
        ({}, 10.0),
        ({"ERAB.EstabInitSuccNbr": 100}, 5.0),
        ({"ERAB.EstabInitSuccNbr": 100, "ERAB.EstabIncHoSuccNbr": 200}, 2.5),
    ],
)
def test_interrupted_calls_are_judged_by_all_that_were_set_up(more: dict[str, int], value: float) -> None:
    counts = {"ERAB.RelActNbr": 10, "ERAB.EstabAddSuccNbr": 100, **more}
    voice = {name: {Subject(qos=1): float(one), Subject(qos=9): 5000.0} for name, one in counts.items()}
    assert now(shipped("osiptel-tlli"), measured(c1=voice)).value == pytest.approx(value)


def test_means_are_weighted_with_time_and_totals_add_up_over_cells() -> None:
    periods = [
        measured(covered=900, c1={"RRU.PrbTotDl": 10, "RRC.ConnMean": 4}, c2={"RRU.PrbTotDl": 50, "RRC.ConnMean": 7}),
        measured(at=1, covered=300, c1={"RRU.PrbTotDl": 30, "RRC.ConnMean": 8}),
    ]
    found = now(MEAN, *periods)
    assert found.value == pytest.approx((900 * 10 + 900 * 50 + 300 * 30) / 2100)
    assert found.sample == 3
    users = kpi("RRC.ConnMean", Statistic.EXACT, better="neither")
    assert now(users, *periods).value == pytest.approx((900 * 4 + 300 * 8) / 1200 + 7)


def test_nothing_is_divided_by_nothing() -> None:
    found = figure(RRC, tally(RRC, [measured(c1=setups(0, 0))]), BEGIN, BEGIN + QUARTER, minimum=0)
    assert (found.value, found.why) == (None, "nothing was tried")


def test_suspect_periods_are_no_sample_but_count_as_volume() -> None:
    periods = [measured(suspect=True, c1={**setups(1, 2), "DRB.PdcpSduVolumeDL": 5})]
    assert now(RRC, *periods).why == "the station did not run all the time"
    volume = kpi("DRB.PdcpSduVolumeDL", Statistic.EXACT, minimum=1, better="neither")
    assert now(volume, *periods).value == 5


# -------------------------------------------------------------------- subjects

MINE, OTHER = Subject(plmn="716-10"), Subject(plmn="716-06")
TENANT = Subscribers(frozenset({"716-10"}), frozenset({"1-00000A"}))


@pytest.mark.parametrize(
    ("values", "who", "qos", "expected"),
    [
        ({Subject(): 9.0, MINE: 4.0}, EVERYBODY, 0, 9),
        ({MINE: 4.0, OTHER: 5.0}, EVERYBODY, 0, 9),
        ({MINE: 4.0, MINE._replace(qos=1): 1.0, MINE._replace(qos=9): 3.0}, TENANT, 0, 4),
        ({MINE._replace(qos=1): 1.0, MINE._replace(qos=9): 3.0, OTHER._replace(qos=1): 7.0}, TENANT, 0, 4),
        ({MINE._replace(qos=1): 1.0, MINE._replace(qos=9): 3.0, OTHER._replace(qos=1): 7.0}, TENANT, 1, 1),
        ({Subject(qos=1): 6.0, Subject(slice="1-00000A"): 2.0}, EVERYBODY, 1, 6),
        ({Subject(qos=1): 6.0, Subject(slice="1-00000A"): 2.0}, TENANT, 0, 2),
        ({Subject(qos=1): 6.0, Subject(slice="1-00000A"): 2.0}, TENANT, 1, None),
        ({Subject(): 9.0}, EVERYBODY, 1, None),
        ({Subject(): 9.0, OTHER: 5.0}, TENANT, 0, None),
        ({MINE._replace(qos=9): 3.0}, TENANT, 1, 0),
    ],
)
def test_a_subject_counts_once_by_whatever_tells_it_apart(
    values: dict[Subject, float], who: Subscribers, qos: int, expected: float | None
) -> None:
    found = amount(values, who, qos)
    assert (None if found is None else sum(found)) == expected


@given(
    st.dictionaries(
        st.builds(
            Subject, plmn=st.just("716-06"), qos=st.sampled_from([0, 1, 9]), slice=st.sampled_from(["", "1-00000B"])
        ),
        st.floats(0, 1e6),
    ),
    st.floats(0, 1e6) | st.none(),
    st.sampled_from([0, 1]),
)
def test_nothing_that_others_count_changes_what_a_tenant_is_told(
    others: dict[Subject, float], total: float | None, qos: int
) -> None:
    mine: dict[Subject, float] = {MINE._replace(qos=1): 1.0, MINE._replace(qos=9): 3.0}
    more = others | ({} if total is None else {Subject(): total})
    assert amount(mine | more, TENANT, qos) == amount(mine, TENANT, qos)
    assert amount(more, TENANT, qos) is None


def test_what_is_the_same_for_all_counts_for_a_tenant_on_its_cells_only() -> None:
    air = kpi("100 * (seconds - RRU.CellUnavailableTime.fault[cell]) / seconds", Statistic.EXACT)
    period = measured(c1={"RRU.CellUnavailableTime.fault": 90}, c2={"RRU.CellUnavailableTime.fault": 900})
    mine = Subscribers(TENANT.plmns, TENANT.slices, frozenset({"A/1"}))
    assert now(air, period, who=mine).value == pytest.approx(90)
    assert now(air, period).value == pytest.approx(45)


# ------------------------------------------------------------------ confidence


def test_intervals_are_those_of_the_books() -> None:
    # Newcombe 1998, table I: 81 of 263 and 15 of 148, method 3; 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert wilson(0, 0) == (0, 1)
    low, high = poisson(10, 2)
    # The rates whose score test just fails: |10 - 2r| = z * sqrt(2r).
    assert [abs(10 - 2 * rate) / math.sqrt(2 * rate) for rate in (low, high)] == pytest.approx([1.959964] * 2)


@given(st.integers(0, 500), st.integers(1, 500))
def test_an_interval_holds_its_value(good: int, more: int) -> None:
    low, high = wilson(good, good + more)
    assert 0 <= low <= good / (good + more) <= high <= 1
    low, high = poisson(good, more)
    assert 0 <= low <= good / more <= high


def test_a_product_has_the_product_of_the_intervals() -> None:
    both = kpi("100 * RRC.ConnEstabSucc / RRC.ConnEstabAtt * S1SIG.ConnEstabSucc / S1SIG.ConnEstabAtt")
    found = now(both, measured(c1={**setups(90, 100), "S1SIG.ConnEstabSucc": 380, "S1SIG.ConnEstabAtt": 400}))
    assert found.value == pytest.approx(90 * 0.95)
    assert found.low == pytest.approx(100 * wilson(90, 100)[0] * wilson(380, 400)[0])
    assert found.high == pytest.approx(100 * wilson(90, 100)[1] * wilson(380, 400)[1])
    assert found.sample == 100


def test_a_mean_is_as_sure_as_its_periods_agree() -> None:
    alike = now(MEAN, *(measured(at=at, c1={"RRU.PrbTotDl": 20}) for at in range(4)))
    assert (alike.low, alike.high) == (20, 20)
    apart = now(MEAN, *(measured(at=at, c1={"RRU.PrbTotDl": value}) for at, value in enumerate((10, 20, 30, 40))))
    error = 1.959964 * math.sqrt(sum((x - 25) ** 2 for x in (10, 20, 30, 40)) / 3 / 4)
    assert (apart.low, apart.high) == pytest.approx((25 - error, 25 + error))
    assert now(MEAN, measured(c1={"RRU.PrbTotDl": 20})).why == "only 1 periods, and 2 are needed"


# --------------------------------------------------------------- pooling, words


def test_more_is_taken_until_the_sample_suffices() -> None:
    quiet = [measured(at=at, c1=setups(19, 20)) for at in range(10)]
    looked: list[int] = []

    def attempts() -> Any:
        for count in (1, 4, 8, 10):
            looked.append(count)
            yield f"{count} periods", BEGIN, BEGIN + count * QUARTER, tally(RRC, quiet[:count])

    found = pooled(RRC, attempts())
    assert (found.pooled, found.sample, found.why) == ("8 periods", 160, "")
    assert looked == [1, 4, 8], "no more than needed"
    few = pooled(RRC, [("all", BEGIN, BEGIN + QUARTER, tally(RRC, quiet[:3]))])
    assert few.why == "only 60 attempts, and 100 are needed"
    assert few.value == pytest.approx(95)


@pytest.mark.parametrize(
    ("before", "after", "word", "said"),
    [
        ((990, 1000), (985, 1000), VerdictKind.NO_WORSE, "99.00 % before, 98.50 % after"),
        ((990, 1000), (960, 1000), VerdictKind.WORSE, "99.00 % before, 96.00 % after"),
        ((99, 100), (96, 100), VerdictKind.UNJUDGED, "99.00 % before, 96.00 % after, which may be chance"),
        ((960, 1000), (990, 1000), VerdictKind.NO_WORSE, "96.00 % before, 99.00 % after"),
        ((990, 1000), (9, 10), VerdictKind.UNJUDGED, "only 10 attempts, and 100 are needed"),
    ],
)
def test_worse_is_what_exceeds_tolerance_and_chance(
    before: tuple[int, int], after: tuple[int, int], word: VerdictKind, said: str
) -> None:
    found = compare(RRC, now(RRC, measured(c1=setups(*before))), now(RRC, measured(c1=setups(*after))))
    assert (found.kind, found.words) == (word, said)


def test_where_less_is_better_more_is_worse() -> None:
    low, high = (now(MEAN, *(measured(at=at, c1={"RRU.PrbTotDl": value}) for at in range(3))) for value in (20, 30))
    assert compare(MEAN, low, high).kind is VerdictKind.WORSE
    assert compare(MEAN, high, low).kind is VerdictKind.NO_WORSE
    assert compare(MEAN, low, high, tolerance=10).kind is VerdictKind.NO_WORSE


def test_tallies_of_parts_put_together_are_that_of_all() -> None:
    periods = [measured(s, at, c1=setups(10 + at, 20), c2=setups(5, 7)) for s in "AB" for at in range(3)]
    one = Tally(RRC)
    for period in periods:
        one.merge(tally(RRC, [period]))
    assert one == tally(RRC, periods)


USERS = kpi("RRC.ConnMean", Statistic.EXACT, better="neither", minimum=900)


@pytest.mark.parametrize("of", [RRC, MEAN, USERS], ids=["share", "mean", "total"])
def test_cells_of_which_no_more_comes_are_folded_and_count_as_before(of: Kpi) -> None:
    def counters(number: float) -> dict[str, float]:
        return {**setups(90 + number, 100 + number), "RRU.PrbTotDl": 10 * number, "RRC.ConnMean": 3 * number}

    periods = [
        measured(s, at, covered=900 - 100 * at, c1=counters(at + 1), c2=counters(2)) for s in "ABC" for at in range(3)
    ]
    whole = Tally(of)
    for station in "ABC":
        whole.merge(tally(of, (one for one in periods if one.station == station)).fold())
    assert not whole.cells
    assert whole.fold() is whole
    one, other = (figure(of, each, BEGIN, BEGIN) for each in (whole, tally(of, periods)))
    assert (one.cells, one.sample, one.why) == (6, other.sample, "")
    assert (one.value, one.low, one.high) == tuple(
        None if value is None else pytest.approx(value) for value in (other.value, other.low, other.high)
    )


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        ((99_000, 100_000), (95_000, 100_000), 2.0),  # 4 of the 2 that are tolerated
        ((99_000, 100_000), (99_500, 100_000), 0.0),
        ((99, 100), (98, 100), 0.0),  # may be chance
        ((99, 100), (9, 10), None),
    ],
)
def test_what_is_surely_lost_is_told_in_tolerances(
    before: tuple[int, int], after: tuple[int, int], lost: float | None
) -> None:
    found = surely_lost(RRC, now(RRC, measured(c1=setups(*before))), now(RRC, measured(c1=setups(*after))))
    assert found == (None if lost is None else pytest.approx(lost, abs=0.1))
    verdict = compare(RRC, now(RRC, measured(c1=setups(*before))), now(RRC, measured(c1=setups(*after))))
    assert (verdict.kind is VerdictKind.WORSE) == bool(found and found > 1)


# ----------------------------------------------------------------------- files


def written(folder: Path, text: str, name: str = "rrc.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_file_is_read(tmp_path: Path) -> None:
    (found,) = load_kpis(written(tmp_path, GOOD))
    assert (found.name, found.levels) == ("rrc", (Level.CELL, Level.STATION))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "RRC.ConnEstabAtt",
            "RRC.ConEstabAtt",
            "rrc.yaml:5: kpi.formula: there is no counter RRC.ConEstabAtt; did you mean",
        ),
        ("RRC.ConnEstabAtt", "", "rrc.yaml:5: kpi.formula: it ends too early"),
        ("100 * ", "RRU.PrbTotDl * ", "rrc.yaml:5: kpi.formula: it is not a product of numbers and ratios of counts"),
        ("100 * RRC.ConnEstabSucc / RRC.ConnEstabAtt", "12", "rrc.yaml:5: kpi.formula: there is no counter in it"),
        ("RRC.ConnEstabAtt", "RRC.ConnMax", "RRC.ConnMax is a maximum: formulas have sums and means"),
        (
            "RRC.ConnEstabAtt",
            "(RRC.ConnEstabAtt | RRC.ConnMean)",
            "RRC.ConnEstabAtt and RRC.ConnMean differ in unit or aggregation",
        ),
        ("share", "mean", "a mean is one counter that is a mean over time and cells"),
        ("share", "guess", "rrc.yaml:9: kpi.statistic"),
        ("minimum: 100", "minimum: 0", "rrc.yaml:10: kpi.minimum"),
        ("unit:", "units:", "rrc.yaml:7: kpi.units"),
        ("[cell, station]", "&a [cell]", "rrc.yaml:11: anchors (&a) are not supported"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        load_kpis(written(tmp_path, GOOD.replace(old, new)))
    assert said in refused.value.message


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    written(tmp_path, GOOD, "a.yaml")
    with pytest.raises(InputError, match=r"b\.yaml:1: kpi\.name: another KPI is called 'rrc'"):
        load_kpis(written(tmp_path, GOOD, "b.yaml"))


def test_the_shipped_ones_cover_what_they_should() -> None:
    shipped = load_kpis(SHIPPED)
    assert {kpi.category for kpi in shipped} == set(KpiCategory)
    assert all((SHIPPED / f"{kpi.name}.yaml").is_file() for kpi in shipped)
    assert all(kpi.source.count("§") or "no standard" in kpi.source for kpi in shipped)


@pytest.mark.parametrize(("subjects", "kept"), [(kpis.MOST_SUBJECTS, 1), (kpis.MOST_SUBJECTS + 1, 0)])
def test_of_very_many_subjects_nothing_is_kept(subjects: int, kept: int) -> None:
    kpis._chosen.cache_clear()
    counted = {Subject("999-01", number): 1.0 for number in range(1, subjects + 1)}
    assert amount(counted, Subscribers(frozenset({"999-01"})), 9) == [1.0]
    assert kpis._chosen.cache_info().currsize == kept


def test_which_values_are_a_tenants_is_looked_up_whatever_cells_it_has() -> None:
    """Else the sets of cells of two hours would be compared for each value: the larger the network the longer."""
    counted = {Subject("999-01", 9): 1.0, Subject("999-02", 9): 2.0}
    one, other = (Subscribers(frozenset({"999-01"}), cells=frozenset({cell})) for cell in ("A/1", "A/2"))
    assert amount(counted, one, 9) == [1.0]
    known = kpis._chosen.cache_info()
    assert amount(counted, other, 9) == [1.0]
    assert kpis._chosen.cache_info() == known._replace(hits=known.hits + 1)


TWO_RATIOS = "100 * RRC.ConnEstabSucc / RRC.ConnEstabAtt * ERAB.EstabInitSuccNbr / ERAB.EstabInitAttNbr"


@pytest.mark.parametrize(
    ("formula", "statistic", "said"),
    [
        ("RRC.ConnEstabSucc / RRC.ConnEstabAtt", Statistic.RATE, ""),
        ("RRC.ConnEstabSucc / RRC.ConnEstabAtt", Statistic.SHARE, ""),
        (TWO_RATIOS, Statistic.SHARE, ""),
        (TWO_RATIOS, Statistic.RATE, "a rate has one ratio of counts"),
        ("2 * RRC.ConnEstabAtt", Statistic.RATE, "it is not a product of numbers and ratios of counts"),
        ("2 * RRC.ConnEstabAtt", Statistic.SHARE, "it is not a product of numbers and ratios of counts"),
    ],
)
def test_a_rate_has_exactly_one_ratio_and_a_share_at_least_one(formula: str, statistic: Statistic, said: str) -> None:
    if not said:
        assert len(kpi(formula, statistic).ratios) == formula.count("/")
        return
    with pytest.raises((InputError, ValueError), match=said):
        kpi(formula, statistic)
