"""An hour as indicators judge it: stations, cells, regions, the network and tenants say what ``minka kpi`` would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.access.disclosure import tenant_kpis
from controller.models.measurement import HOUR, Measured, Subject
from controller.models.network import Network
from controller.performance.comparison import Figure, NotJudged, VerdictKind
from controller.performance.kpi_evaluation import Hour, IndicatorValues, KpiEvaluation, Sums, _compared
from controller.performance.kpis import EVERYBODY, Kpi, KpiCategory, Level, Statistic, subscribers_where_shared
from controller.performance.series import parts_at, series_of
from tests.support.definitions import load_kpis
from tests.unit.plan import samples

KPIS = load_kpis(Path(__file__).parents[3] / "playbooks" / "kpis")
TENANT_KPIS = [kpi.name for kpi in tenant_kpis(KPIS)]
END = datetime(2026, 10, 8, 12, tzinfo=UTC)
NETWORK = samples.network()


def measured(station: str, back: timedelta, alfa: float, beta: float, attempts: float = 400) -> Measured:
    """An hour in which so many per cent of the bearers of two tenants were set up, and some of them lost."""
    plmns = {"716-01": alfa, "716-02": beta}
    counts = {
        "ERAB.EstabInitAttNbr": {Subject(plmn): attempts for plmn in plmns},
        "ERAB.EstabInitSuccNbr": {Subject(plmn): attempts * good / 100 for plmn, good in plmns.items()},
        "ERAB.RelActNbr": {Subject(plmn): (100 - good) * attempts / 400 for plmn, good in plmns.items()},
        "ERAB.SessionTimeQCI": {Subject(plmn): attempts * 100 for plmn in plmns},
        "DRB.PdcpSduVolumeDL": {Subject(plmn): attempts * 20.0 for plmn in plmns},
        "RRC.ConnMean": {Subject(): 12.5},
        "RRU.PrbTotDl": {Subject(): 40.0 if station == "S1" else 20.0},
    }
    cells = {"L1": counts, "gone": counts}
    return Measured(station=station, begin=END - back, seconds=HOUR, covered=3500.0, cells=cells)


def judged(hours: dict[str, list[Measured]]) -> dict[tuple[Level, str], KpiEvaluation]:
    hour = Hour(KPIS, TENANT_KPIS, NETWORK, END)
    stations = [hour.take(station, of)[0] for station, of in hours.items()]
    return {(one.level, one.of): one for one in (*stations, *hour.areas())}


def week(station: str, alfa: float, **last: float) -> list[Measured]:
    """The same hour of a week before, and the last one."""
    before = [measured(station, timedelta(days=day, hours=1), 99, 98) for day in range(1, 8)]
    return [*before, measured(station, timedelta(hours=1), alfa, 98, **last)]


def test_every_level_says_what_the_same_sums_come_to_elsewhere() -> None:
    hours = {"S1": week("S1", 99), "S2": week("S2", 97)}
    found = judged(hours)
    last = [of[-1] for of in hours.values()]
    tenants = {name: subscribers_where_shared(NETWORK, name) for name in NETWORK.tenant_by_id}
    for kpi in KPIS:
        for level in (Level.STATION, Level.REGION, Level.NETWORK):
            names = [of for at, of in found if at is level]
            for one in series_of(kpi, last, parts_at(level, NETWORK, tenants, EVERYBODY), names, END, END):
                value = None if one.figure.why else one.figure.value
                said = found[level, one.of].whole.values.get(kpi.name)
                assert said == (value and pytest.approx(value)), (kpi.name, level)
        if kpi.name in TENANT_KPIS:
            names = list(NETWORK.tenant_by_id)
            for own in series_of(kpi, last, parts_at(Level.TENANT, NETWORK, tenants), names, END, END):
                value = None if own.figure.why else own.figure.value
                said = found[Level.NETWORK, "*"].tenants.get(own.of, IndicatorValues()).values.get(kpi.name)
                assert said == (value and pytest.approx(value)), (kpi.name, own.of)
    whole = found[Level.NETWORK, "*"]
    assert whole.whole.values["users"] == 25, "a cell that the network files do not name counts for nothing"
    assert whole.whole.values["prb-use-down"] == 30
    assert whole.tenants.keys() == {"alfa", "beta"}, "gamma has no agreement"
    assert "users" not in whole.tenants["alfa"].values
    assert found[Level.REGION, "r"].tenants == whole.tenants


def test_a_loss_is_told_against_the_same_hours_of_the_days_before_and_to_whom_it_happened() -> None:
    found = judged({"S1": week("S1", 95), "S2": week("S2", 95)})
    alfa, beta = (found[Level.REGION, "r"].tenants[name] for name in ("alfa", "beta"))
    # 5 lost per 40,000 s of use instead of 1; what is surely lost of these 0.36 per hour is less than is tolerated.
    assert alfa.values["retainability"] == pytest.approx(3600 * 5 / 40_000)
    assert 0 < alfa.degradations["retainability"] < 0.72
    assert beta.degradations["retainability"] == 0
    worse = judged({"S1": week("S1", 60), "S2": week("S2", 60)})
    assert worse[Level.NETWORK, "*"].tenants["alfa"].degradations["retainability"] > 1
    assert worse[Level.NETWORK, "*"].tenants["beta"].degradations["retainability"] == 0
    station = worse[Level.STATION, "S1"]
    assert station.whole.degradations["retainability"] > 1
    assert station.tenants["alfa"].values["retainability"] > 3
    assert station.cells["L1"].values["retainability"] > 1.5
    assert "gone" not in station.cells


def test_an_indicator_is_told_at_its_levels_only() -> None:
    (kpi,) = (one for one in KPIS if one.name == "retainability")
    for level in (Level.CELL, Level.STATION, Level.REGION, Level.NETWORK):
        hour = Hour([kpi.model_copy(update={"levels": (level,)})], [], NETWORK, END)
        station, compared = hour.take("S1", week("S1", 99))
        places = {one.level: one for one in (station, *hour.areas())}
        told = {at for at, one in places.items() if one.whole.values} | {Level.CELL for _ in station.cells}
        assert told == {level}
        assert compared.keys() == {"retainability"}, "whether it is an alarm is another matter"


def test_without_a_past_there_is_a_value_and_no_loss() -> None:
    found = judged({"S1": [measured("S1", timedelta(hours=1), 99, 99)]})
    said = found[Level.NETWORK, "*"].whole
    assert said.values["retainability"] == pytest.approx(3600 * 2 / 80_000)
    assert not said.degradations


def test_a_small_sample_takes_more_hours_and_verdicts_are_counted() -> None:
    hours = [measured("S1", timedelta(hours=back), 99, 99, attempts=30) for back in (1, 2, 3, 4)]
    found = judged({"S1": hours, "S2": []})
    # 60 attempts of an hour are too few of 100, those of two hours are not.
    assert found[Level.STATION, "S1"].whole.values["bearer-setup-success"] == pytest.approx(99)
    whole = found[Level.NETWORK, "*"]
    assert "bearer-setup-success" not in whole.whole.values, "of regions and the network no hour before is known here"
    assert whole.verdicts["bearer-setup-success"] == {"judged": 1, "too-few": 0, "unmeasured": 1}
    assert whole.verdicts["retainability"] == {"judged": 0, "too-few": 1, "unmeasured": 1}
    assert whole.verdicts["latency-nr"] == {"judged": 0, "too-few": 0, "unmeasured": 2}
    assert not found[Level.STATION, "S2"].whole.values


def test_regions_and_tenants_take_more_hours_that_were_judged_before() -> None:
    def of(end: datetime, earlier: Sequence[Sums], network: Network = NETWORK) -> tuple[Sums, KpiEvaluation]:
        hour = Hour(KPIS, TENANT_KPIS, network, end, earlier)
        week = [measured("S1", END - end + timedelta(days=day, hours=1), 99, 99, attempts=30) for day in range(8)]
        hour.take("S1", week)
        return hour.sums, next(one for one in hour.areas() if one.level is Level.REGION)

    first, _ = of(END - timedelta(hours=1), [])
    _, alone = of(END, [])
    _, together = of(END, [first])
    assert "bearer-setup-success" not in alone.whole.values
    assert together.whole.values["bearer-setup-success"] == pytest.approx(99)
    assert together.whole.values["users"] == alone.whole.values["users"] == 12.5, (
        "what adds up over cells is not pooled"
    )
    assert "retainability" not in together.whole.degradations, "its sample is too small all the same"
    for hours in ([first._replace(end=END - timedelta(hours=2))], [first._replace(network=NETWORK.model_copy())]):
        assert of(END, hours)[1] == alone, "one between is missing, or the network was another one"


def test_nothing_of_another_tenant_changes_what_is_said_of_one() -> None:
    def others(beta: float) -> list[dict[str, IndicatorValues]]:
        hours = {name: [measured(name, timedelta(hours=1), 99, beta)] for name in ("S1", "S2")}
        return [one.tenants for one in judged(hours).values()]

    usual, other = others(98), others(40)
    assert [one.get("alfa") for one in usual] == [one.get("alfa") for one in other]
    assert [one.get("beta") for one in usual] != [one.get("beta") for one in other]


@pytest.mark.parametrize(("attempts", "hours"), [(360, 1), (180, 2), (90, 4)])
def test_a_tenant_with_a_small_sample_is_told_its_own_figures_of_as_many_hours_as_it_needs(
    attempts: float, hours: int
) -> None:
    """36,000 s of use are enough, 100 s an attempt. Earlier hours were worse, and all of beta's were."""
    good = {"alfa": (96, 92, 88, 84), "beta": (56, 52, 48, 44)}
    counted = [
        measured("S1", timedelta(hours=back), alfa, beta, attempts=attempts)
        for back, (alfa, beta) in enumerate(zip(*good.values(), strict=True), 1)
    ]
    told = judged({"S1": counted})[Level.STATION, "S1"].tenants
    for tenant, percent in good.items():
        lost = [3600 * (100 - each) / 400 / 100 for each in percent[:hours]]
        assert told[tenant].values["retainability"] == pytest.approx(sum(lost) / hours)
    fewer = [measured("S1", timedelta(hours=back), 96, 56, attempts=89) for back in (1, 2, 3, 4, 5)]
    assert not judged({"S1": fewer})[Level.STATION, "S1"].tenants, "35,600 s of each are too few"


def test_tenants_are_told_the_indicators_that_they_may_see_and_no_others() -> None:
    for seen in (["retainability"], []):
        hour = Hour(KPIS, seen, NETWORK, END)
        places = [hour.take(station, week(station, 99))[0] for station in ("S1", "S2")] + hour.areas()
        assert {name for one in places for own in one.tenants.values() for name in own.values} == set(seen)
        assert all("bearer-setup-success" in one.whole.values for one in places)


def test_before_any_station_was_judged_the_network_has_nothing() -> None:
    (whole,) = Hour(KPIS, TENANT_KPIS, NETWORK, END).areas()
    assert (whole.level, whole.whole, whole.tenants) == (Level.NETWORK, IndicatorValues(), {})


def figure(value: float | None, why: str = "", hours: str = "") -> Figure:
    """A share of many attempts, or of too few, with 1 % to both sides."""
    low, high = (None, None) if value is None else (value - 1, value + 1)
    end = END - timedelta(minutes=len(hours))
    return Figure(
        kpi="one",
        unit="%",
        value=value,
        low=low,
        high=high,
        begin=end - timedelta(seconds=HOUR),
        end=end,
        pooled=hours,
        unjudged=NotJudged.TOO_FEW if why else None,
        why=why,
    )


def test_more_hours_are_compared_only_until_fewer_settle_it_and_the_first_that_suffice_are_the_latest() -> None:
    """What is told as the latest value is of the fewest hours whose sample suffices, whatever settles the verdict."""
    share = Kpi(
        name="one",
        title="t",
        category=KpiCategory.ACCESSIBILITY,
        description="d",
        source="s",
        unit="%",
        better="higher",
        minimum=100,
        tolerance=1,
        levels=tuple(Level),
        formula="100 * RRC.ConnEstabSucc / RRC.ConnEstabAtt",
        statistic=Statistic.SHARE,
    )
    usual = figure(99)
    few, chance, worse = figure(90, "only 9 attempts", "h"), figure(97.5, hours="hh"), figure(50, hours="hhh")
    asked: list[Figure] = []

    def compared(*windows: Figure) -> tuple[VerdictKind, Figure, str]:
        def each() -> Iterator[tuple[Figure, Figure]]:
            for one in windows:
                asked.append(one)
                yield usual, one

        asked.clear()
        found = _compared(share, each())
        assert found.usual == usual
        assert found.begin == asked[-1].begin, "the hours of the verdict"
        return found.verdict.kind, found.latest, found.hours

    assert compared(worse, chance) == (VerdictKind.WORSE, worse, "hhh")
    assert asked == [worse], "one hour settles it"
    assert compared(chance, worse) == (VerdictKind.WORSE, chance, "hhh")
    assert compared(few, chance, worse) == (VerdictKind.WORSE, chance, "hhh")
    assert compared(few, worse, chance) == (VerdictKind.WORSE, worse, "hhh")
    assert compared(few, chance) == (VerdictKind.UNJUDGED, chance, "hh")
    assert compared(few) == (VerdictKind.UNJUDGED, few, "h")
