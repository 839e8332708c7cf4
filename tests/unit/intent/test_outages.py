"""How long alarms took service away from tenants, what does not count, and which incident comes first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.intent.agreed_terms import Era, month_of
from controller.intent.delivery import CarriedLink
from controller.intent.impact import Sharing
from controller.intent.incidents import ranked
from controller.intent.outages import ExcusedTimes, Known, Outages, Spell
from controller.intent.times import Times, both, union, without
from controller.models.alarm import Alarm, AlarmState, ObjectClass, PerceivedSeverity
from controller.models.announced_work import AnnouncedWork
from controller.models.incident import AgreementMinutes, Incident, Loss, TenantMinutes
from controller.models.network import Network
from controller.models.sharing import MaintenanceWindow, Penalty, Scope, Sla
from tests.unit.plan import samples

AT = datetime(2026, 6, 15, 12, tzinfo=UTC)
BEGIN, END = datetime(2026, 6, 1, 5, tzinfo=UTC), datetime(2026, 7, 1, 5, tzinfo=UTC)
MME = f"{samples.LTE}/EP_S1C[alfa-mme]"
OTHER_MME = f"{samples.LTE}/EP_S1C[alfa-mme-2]"


def network(**sla: Any) -> Network:
    """Alfa and beta share all: an LTE and an NR cell at each of two sites, where 100 people live."""
    content = samples.network(("alfa", "beta")).model_dump(mode="json")
    for site in content["sites"]:
        site["population"] = 100
    for agreement in content["agreements"]:
        agreement["sla"] = {"availability_percent": 99.0, "restore_hours": 24} | sla
    return Network.model_validate(content)


def spell(cause: str, since: int, until: int, managed_object: str = "station", **fields: Any) -> Spell:
    """An alarm of S1 that stood, in minutes after AT."""
    known: dict[str, Any] = {
        "id": "a",
        "station": "S1",
        "tenant": "",
        "specific_problem": "",
        "text": "",
        "source": "check",
    }
    known |= {"severity": PerceivedSeverity.MAJOR, "state": AlarmState.RAISED, "raised": AT, "changed": AT}
    alarm = Alarm(**known | {"object": managed_object, "probable_cause": cause} | fields)
    return Spell(alarm, AT + timedelta(minutes=since), AT + timedelta(minutes=until))


def off_air(since: int, until: int, cell: str = "S1/L1") -> Spell:
    return spell("cell-off-air", since, until, cell, cells=(cell,), tenants=("alfa", "beta"))


def link(since: int, until: int, path: str = MME, cause: str = "core-link-down") -> Spell:
    return spell(cause, since, until, path, object_class=ObjectClass.CORE_LINK, tenant="alfa", tenants=("alfa",))


def times(*minutes: tuple[int, int]) -> Times:
    return tuple((AT + timedelta(minutes=since), AT + timedelta(minutes=until)) for since, until in minutes)


def era(made: Network, begin: datetime = BEGIN, until: datetime = END) -> Era:
    return Era(begin, until, made, Sharing(made, made.day(begin)))


def minutes(spells: Sequence[Spell], links: Sequence[str] = (), **excused: Any) -> dict[str, TenantMinutes]:
    made = network()
    outages = Outages(
        spells,
        [era(made)],
        {"S1": [CarriedLink("alfa", path, BEGIN, END) for path in links]},
        Known(ExcusedTimes(**excused)),
    )
    return {one.tenant: one for one in outages.minutes()}


def test_networks_that_came_at_once_hide_no_outage() -> None:
    """Each makes an era of no length, which begins when the last one does."""
    eras = [era(network(), until=AT), era(network(), AT, AT), era(network(), AT)]
    assert [one.lost for one in Outages([off_air(0, 30)], eras, {}).minutes()] == [30, 30]


def test_a_cell_off_air_costs_each_tenant_that_shares_it_its_minutes_and_a_part_of_the_people() -> None:
    found = minutes([off_air(0, 30)])
    assert found == {
        "alfa": TenantMinutes(tenant="alfa", lost=30, people=1500),
        "beta": TenantMinutes(tenant="beta", lost=30, people=1500),
    }


def test_what_two_alarms_take_away_at_once_is_lost_once() -> None:
    assert minutes([off_air(0, 30), off_air(20, 40), spell("all-core-links-down", 30, 50)])["beta"].lost == 50 + 20


def test_a_link_takes_away_the_cells_of_its_technology_where_no_other_one_works() -> None:
    assert minutes([link(0, 30)]) == {"alfa": TenantMinutes(tenant="alfa", lost=30, people=1500)}
    assert minutes([link(0, 30)], [MME, OTHER_MME]) == {}
    both_down = [link(0, 30), link(20, 60, OTHER_MME)]
    assert minutes(both_down, [MME, OTHER_MME])["alfa"].lost == 10
    # Links of another kind are no other path.
    assert minutes([link(0, 30)], [MME, f"{samples.LTE}/EP_S1U[alfa-s1u]"])["alfa"].lost == 30


def test_lost_management_is_no_lost_service_and_is_counted_by_itself() -> None:
    found = minutes([spell("station-unreachable", 0, 30), off_air(10, 20)])
    assert found["beta"] == TenantMinutes(tenant="beta", lost=10, unseen=2 * 30 - 10, people=500)


def test_a_function_takes_the_cells_of_the_stations_that_live_in_it_and_a_cu_none_by_itself() -> None:
    made = samples.virtual()
    down = [spell("function-down", 0, 30, "function", station=name) for name in ("DU-1", "CU-1", "gone")]
    found = Outages([*down, spell("station-unreachable", 0, 40)], [era(made)], {}).minutes()
    cells = len(made.cells_by_station["S1"])
    assert {one.tenant: (one.lost, one.unseen) for one in found} == dict.fromkeys(
        ("alfa", "beta"), (cells * 30, cells * 10)
    )


@pytest.mark.parametrize("cause", ["configuration-drift", "backhaul-down", "core-node-down", "mains-lost"])
def test_what_takes_no_service_away_by_itself_costs_nothing(cause: str) -> None:
    assert minutes([spell(cause, 0, 30)]) == {}


def test_planned_work_of_a_tenants_run_counts_by_itself_and_for_that_tenant_only() -> None:
    found = minutes(
        [off_air(0, 30)],
        planned={
            ("S1/L1", "alfa"): times((10, 20), (25, 100)),
            ("S1/N1", "beta"): times((0, 9)),
            ("S2/L1", "beta"): times((0, 9)),
        },
    )
    assert (found["alfa"].lost, found["alfa"].planned) == (15, 15)
    assert (found["beta"].lost, found["beta"].planned) == (30, 0)


def test_a_tenants_work_on_its_own_core_excuses_its_links_and_no_cell() -> None:
    known: dict[str, Any] = {"id": "w", "tenant": "alfa", "by": "tom", "reason": "", "created": AT}
    work = AnnouncedWork(**known, begins=AT, ends=AT + timedelta(minutes=20))
    found = minutes([link(0, 30), off_air(15, 25)], works=[work])
    assert (found["alfa"].lost, found["alfa"].own_work) == (10, 20)
    assert found["beta"].lost == 10


@pytest.mark.parametrize(
    ("announced", "own_work"),
    [
        ([("alfa", ("alfa-mme",), 20)], 0),
        ([("alfa", ("alfa-mme-2",), 20)], 0),
        ([("alfa", ("alfa-mme", "alfa-mme-2"), 20)], 20),
        ([("alfa", (), 20)], 20),
        ([("alfa", ("alfa-mme",), 20), ("alfa", ("alfa-mme-2",), 10)], 10),
        ([("alfa", ("alfa-mme",), 20), ("beta", ("alfa-mme-2",), 10)], 0),
        ([("beta", (), 20)], 0),
    ],
)
def test_announced_work_excuses_an_outage_only_while_it_is_on_all_ends_of_the_links_that_are_down(
    announced: list[tuple[str, tuple[str, ...], int]], own_work: int
) -> None:
    """Both links of alfa are down for half an hour: with work on one end the other one is a path."""
    works = [
        AnnouncedWork(
            id=f"w-{number}",
            tenant=tenant,
            nodes=nodes,
            links=nodes,
            begins=AT,
            ends=AT + timedelta(minutes=ends),
            by="tom",
            reason="",
            created=AT,
        )
        for number, (tenant, nodes, ends) in enumerate(announced)
    ]
    (alfa,) = minutes([link(0, 30), link(0, 30, OTHER_MME)], [MME, OTHER_MME], works=works).values()
    assert (alfa.tenant, alfa.lost, alfa.own_work) == ("alfa", 30 - own_work, own_work)


def test_a_lost_core_of_the_tenants_own_is_neither_lost_by_the_host_nor_its_work_nor_outside() -> None:
    """Both core nodes are lost from 0 to 30, with work on both until 10; from 20 on the cell is off air as well."""
    known: dict[str, Any] = {"id": "w", "tenant": "alfa", "by": "tom", "reason": "", "created": AT}
    work = AnnouncedWork(**known, begins=AT, ends=AT + timedelta(minutes=10))
    down = [link(0, 30, path)._replace(cause="core-node-down") for path in (MME, OTHER_MME)]
    alfa = minutes(down, [MME, OTHER_MME], works=[work])["alfa"]
    assert (alfa.lost, alfa.own_work, alfa.own_core, alfa.outside) == (0, 10, 20, 0)
    one_lost = minutes([down[0], link(0, 30, OTHER_MME)], [MME, OTHER_MME], works=[work])["alfa"]
    assert (one_lost.lost, one_lost.own_work, one_lost.own_core) == (20, 10, 0), "the other link is the host's"
    also_off = minutes([*down, off_air(20, 40)], [MME, OTHER_MME])
    assert (also_off["alfa"].lost + also_off["alfa"].own_core, also_off["beta"].lost) == (40, 20)


@pytest.mark.parametrize(("heard", "own"), [(20, 10), (5, 30), (6, 24)])
def test_a_link_that_was_down_before_its_station_was_heard_is_lost_by_its_core_from_then_on(
    heard: int, own: int
) -> None:
    """A cut took both links down from 0 on, and a core was lost before it was over: only the time after it is own."""
    at = AT + timedelta(minutes=heard)
    down = [
        one._replace(cause="core-node-down", alarm=one.alarm.model_copy(update={"raised": at, "seen": AT}))
        for one in (link(0, 30), link(0, 30, OTHER_MME))
    ]
    alfa = minutes(down, [MME, OTHER_MME])["alfa"]
    assert (alfa.lost, alfa.own_core) == (30 - own, own)
    outside = minutes([one._replace(cause="core-link-down") for one in down], [MME, OTHER_MME])["alfa"]
    assert (outside.lost, outside.own_core) == (30, 0), "it stays the host's where no core was lost"


def test_an_agreement_says_what_is_used_up_of_the_month() -> None:
    made = network(availability_percent=99.0)
    assert month_of(made, AT) == (BEGIN, END)
    # It began in May: what counts is June's.
    long = Spell(off_air(0, 1).alarm, BEGIN - timedelta(days=3), BEGIN + timedelta(minutes=864))
    alfa, beta = Outages([long], [era(made)], {}).agreements(BEGIN + timedelta(days=3))
    assert (alfa.tenant, beta.tenant) == ("alfa", "beta")
    # One percent of 30 days of four cells.
    assert (alfa.allowed, alfa.used, alfa.left, alfa.share) == (1728, 864, 864, 0.5)
    assert alfa.burn_rate == 5, "half of it in a tenth of the month"


def test_an_agreement_that_allows_nothing_is_used_up_by_the_first_loss() -> None:
    made = network(availability_percent=100)
    at = BEGIN + timedelta(days=3)
    lost, _ = Outages([off_air(0, 1)], [era(made)], {}).agreements(at)
    assert (lost.allowed, lost.share, lost.burn_rate) == (0, 1, 10)
    well, _ = Outages([], [era(made)], {}).agreements(at)
    assert (well.allowed, well.share, well.burn_rate) == (0, 0, 0)


def test_what_follows_from_a_cause_outside_of_the_contract_is_not_owed() -> None:
    made = network(outside_causes=["mains-lost"])
    known = [
        off_air(0, 30)._replace(cause="mains-lost"),
        off_air(20, 40),
        link(0, 10)._replace(cause="mains-lost"),
        link(5, 50, OTHER_MME),
    ]
    links = {"S1": [CarriedLink("alfa", MME, BEGIN, END), CarriedLink("alfa", OTHER_MME, BEGIN, END)]}
    outages = Outages(known, [era(made)], links)
    alfa, beta = outages.minutes()
    assert (alfa.lost, alfa.outside, beta.lost, beta.outside) == (10, 30, 10, 30)
    # Both links were down from 5 to 10, but only one of them for want of power.
    only_links = Outages(known[2:], [era(made)], links).minutes()[0]
    assert (only_links.lost, only_links.outside) == (5, 0)
    strict = made.model_copy(update={"agreements": (made.agreements[0], network().agreements[1])})
    assert [one.lost for one in Outages(known[:1], [era(strict)], {}).minutes()] == [0, 30]


def test_past_days_count_by_what_was_shared_then() -> None:
    before, after = network(), network()
    now_alone = after.model_copy(update={"agreements": after.agreements[:1]})
    change = AT + timedelta(minutes=10)
    eras = [era(before, until=change), era(now_alone, change)]
    alfa, beta = Outages([off_air(0, 30)], eras, {}).minutes()
    assert (alfa.lost, beta.lost) == (30, 10)
    owed = Outages([off_air(0, 30)], eras, {}).agreed_service(before.agreements[1], BEGIN, AT + timedelta(hours=1), END)
    assert set(owed.seconds.values()) == {(change - BEGIN).total_seconds()}
    assert owed.allowed == pytest.approx(4 * (change - BEGIN).total_seconds() / 100)
    assert owed.lost == 600


@pytest.mark.parametrize(
    ("first", "second", "lost"),
    [
        ((0, 60), (10, 60), 10),  # it came later, whatever the files said
        ((0, 60), (0, 20), 10),  # it is gone since
        ((0, 60), (40, 60), 30),  # nobody takes back what was lost
        ((0, 60), (0, 60), 0),
        ((0, 30), (30, 60), 30),
    ],
)
def test_only_a_link_that_the_station_carried_then_was_another_path(
    first: tuple[int, int], second: tuple[int, int], lost: int
) -> None:
    """The first link is down for half an hour, in two versions of the network."""
    made, change = network(), AT + timedelta(minutes=15)
    carried = [
        CarriedLink("alfa", path, *(AT + timedelta(minutes=minute) for minute in times))
        for path, times in ((MME, first), (OTHER_MME, second))
    ]
    eras = [era(made, until=change), era(made, change)]
    assert [one.lost for one in Outages([link(0, 30)], eras, {"S1": carried}).minutes()] == ([lost] if lost else [])


def test_links_that_follow_each_other_are_one_outage_where_each_is_down() -> None:
    carried = [
        CarriedLink("alfa", MME, BEGIN, AT + timedelta(minutes=20)),
        CarriedLink("alfa", OTHER_MME, AT + timedelta(minutes=20), END),
    ]
    down = [link(10, 25), link(20, 30, OTHER_MME)]
    assert [one.lost for one in Outages(down, [era(network())], {"S1": carried}).minutes()] == [20]


def test_an_agreement_that_was_away_for_a_while_was_in_force_twice() -> None:
    made = network()
    without_alfa = made.model_copy(update={"agreements": made.agreements[1:]})
    noon, evening = AT, AT + timedelta(hours=8)
    eras = [era(made, until=noon), era(without_alfa, noon, evening), era(made, evening)]
    spans = {
        tenant: [(one.begin, one.until) for one in Outages([], eras, {}).agreed(tenant, BEGIN, END)]
        for tenant in ("alfa", "beta")
    }
    assert spans == {"alfa": [(BEGIN, noon), (evening, END)], "beta": [(BEGIN, END)]}


@pytest.mark.parametrize(
    ("penalties", "says"),
    [
        ([(99.5, 5)], "a penalty below 99.5 % applies to a month that keeps the promise: availability_percent is 99"),
        ([(98, 5), (98, 6)], "two penalties are below 98 %"),
        ([(97, 5), (98, 6)], "the penalty below 97 % is not higher than that below 98 %"),
    ],
)
def test_penalties_rise_as_availability_falls(penalties: list[tuple[float, float]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Sla(penalties=tuple(Penalty(below_percent=below, credit_percent=credit) for below, credit in penalties))


def test_the_lowest_percentage_that_a_month_is_below_gives_its_penalty() -> None:
    sla = Sla(penalties=(Penalty(below_percent=99, credit_percent=5), Penalty(below_percent=98, credit_percent=10)))
    found = [sla.penalty(percent) for percent in (99.0, 98.99, 98.0, 97.9)]
    assert [one and one.credit_percent for one in found] == [None, 5, 5, 10]


_MINUTES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6)


@given(_MINUTES, _MINUTES)
def test_times_are_joined_met_and_taken_away_minute_by_minute(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    def points(found: Times) -> set[int]:
        edges = [(since - AT, until - AT) for since, until in found]
        for (_, until), (since, _) in pairwise(edges):
            assert until < since, "times touch"
        return {m for since, until in edges for m in range(since.seconds // 60, until.seconds // 60)}

    def plain(given_: list[tuple[int, int]]) -> set[int]:
        return {m for since, until in given_ for m in range(since, until)}

    first, second = union(times(*one)), union(times(*other))
    assert points(first) == plain(one)
    assert points(both(first, second)) == plain(one) & plain(other)
    assert points(without(first, second)) == plain(one) - plain(other)


# ------------------------------------------------------------------------------------------------------------- rank


def incident(name: str, people: int = 0, tenants: tuple[str, ...] = (), hours: float = 1, **fields: Any) -> Incident:
    known: dict[str, Any] = {
        "root": "a",
        "station": "",
        "object": "",
        "object_class": ObjectClass.STATION,
        "tenant": "",
    }
    known |= {"probable_cause": "x", "specific_problem": "", "changed": AT, "opened": AT - timedelta(hours=hours)}
    return Incident(
        **known,
        id=name,
        people=people,
        tenants=tenants,
        losing={one: Loss(since=AT - timedelta(hours=hours), cells=()) for one in tenants},
        **fields,
    )


def agreement(tenant: str, share: float) -> AgreementMinutes:
    terms: dict[str, Any] = {"availability_percent": 99, "restore_hours": 10, "used": share, "allowed": 1}
    terms |= {"left": 1 - share, "burn_rate": share}
    return AgreementMinutes(agreement=f"{tenant}-all", tenant=tenant, share=share, **terms)


def _people(cells: Iterable[str]) -> int:
    """A hundred at each cell."""
    return 100 * len(set(cells))


def _everywhere(_agreement: str, _cells: Iterable[str]) -> bool:
    return True


def test_service_that_is_lost_comes_before_severity_and_severity_before_people_at_risk() -> None:
    critical, major = PerceivedSeverity.CRITICAL, PerceivedSeverity.MAJOR

    def losing(*cells: str) -> dict[str, Any]:
        return {"losing": {name: Loss(since=AT, cells=cells) for name in ("andes", "bitel")}}

    found = [
        incident("on-battery", 14200, ("andes", "bitel"), severity=major),
        incident("grave", 7, ("andes", "bitel"), severity=critical),
        incident("one-dark", 300, ("andes", "bitel"), severity=major).model_copy(update=losing("S1/1")),
        incident("two-dark", 200, ("andes", "bitel"), severity=major).model_copy(update=losing("S2/1", "S2/2")),
        incident("dark-and-grave", 100, ("andes", "bitel"), severity=critical).model_copy(update=losing("S3/1")),
        incident("silent", 150, ("andes", "bitel"), severity=critical, silent=("S4/1", "S4/2", "S5/1")),
    ]
    ranks = ranked(found, [], AT, _people, _everywhere)
    order = ["silent", "two-dark", "dark-and-grave", "one-dark", "grave", "on-battery"]
    assert sorted(ranks, key=lambda name: ranks[name].rank) == order
    assert ranks["two-dark"].why == "rank 2: 200 people, 200 without service, 2 tenants"
    assert ranks["silent"].why == "rank 1: 150 people, 300 may be without service, 2 tenants"


def test_contracts_at_risk_come_first_then_people_then_tenants_then_age() -> None:
    found = [
        incident("few", 10, ("andes",)),
        incident("many", 14200, ("bitel", "claro")),
        incident("as-many", 14200, ("bitel", "claro"), hours=2),
        incident("more-tenants", 14200, ("bitel", "claro", "entel")),
        incident("late", 1, ("entel",), hours=9),
        incident("nobody"),
    ]
    ranks = ranked(
        found, [agreement("andes", 0.82), agreement("bitel", 0.4), agreement("entel", 0.0)], AT, _people, _everywhere
    )
    assert ranks == ranked(
        found[::-1],
        [agreement("entel", 0.0), agreement("bitel", 0.4), agreement("andes", 0.82)],
        AT,
        _people,
        _everywhere,
    )
    assert [one.why for one in sorted(ranks.values())] == [
        "rank 1: 1 person, 1 tenant, 9 of 10 h in which to restore entel",
        "rank 2: 10 people, 1 tenant, SLA of andes at 82 %",
        "rank 3: 14,200 people, 3 tenants, SLA of bitel at 40 %",
        "rank 4: 14,200 people, 2 tenants, SLA of bitel at 40 %",
        "rank 5: 14,200 people, 2 tenants, SLA of bitel at 40 %",
        "rank 6: 0 people, 0 tenants",
    ]
    assert ranks["as-many"].rank == 4


def test_the_time_to_restore_service_counts_since_it_was_lost_and_not_since_the_fault_began() -> None:
    """A station runs on its battery for 30 hours, and goes dark then; one tenant lost its service before the other."""
    lost = {name: Loss(since=AT - timedelta(hours=ago), cells=("S1/1",)) for name, ago in (("andes", 1), ("bitel", 9))}
    dark = incident("dark", 5, ("andes", "bitel"), hours=30)

    def why(*tenants: str) -> str:
        losing = {name: lost[name] for name in tenants}
        lost_by = dark.model_copy(update={"losing": losing})
        found = ranked([lost_by], map(agreement, tenants, (0.0, 0.0)), AT, _people, _everywhere)
        return found["dark"].why

    assert why("andes") == "rank 1: 5 people, 100 without service, 2 tenants, SLA of andes at 0 %"
    assert why("andes", "bitel").endswith(", 9 of 10 h in which to restore bitel")


def test_a_contract_that_reaches_none_of_the_lost_cells_puts_nothing_first() -> None:
    """alfa has a contract for S1 and one for S2, of which the latter is nearly used up."""
    made = network()
    alfa, *others = made.agreements
    parts = tuple(
        alfa.model_copy(update={"id": f"alfa-{station}", "scope": Scope.model_validate({"stations": [station]})})
        for station in ("S1", "S2")
    )
    made = made.model_copy(update={"agreements": (*parts, *others)})
    used = [
        agreement("alfa", share).model_copy(update={"agreement": one.id})
        for one, share in zip(parts, (0.1, 0.95), strict=True)
    ]
    lost = {"alfa": Loss(since=AT, cells=("S1/L1",))}
    ranks = ranked(
        [incident("dark", 5, ("alfa",)).model_copy(update={"losing": lost})], used, AT, _people, made.reaches_any
    )
    assert ranks["dark"].why == "rank 1: 5 people, 100 without service, 1 tenant, SLA of alfa at 10 %"
    for agreement_id, cells in (("gone", ("S1/L1",)), ("alfa-S2", ("S9/L1",)), ("alfa-S2", ())):
        assert made.reaches_any(agreement_id, cells), "nobody can tell"


def test_a_contract_of_whom_nothing_is_taken_away_puts_nothing_first() -> None:
    silent = incident("silent", 5, ("andes",)).model_copy(update={"losing": {}})
    ranks = ranked([silent, incident("loud", 6, ("bitel",))], [agreement("andes", 2.0)], AT, _people, _everywhere)
    assert (ranks["silent"].rank, ranks["silent"].why) == (2, "rank 2: 5 people, 1 tenant")


def test_locks_count_against_the_budget_outside_of_windows_and_of_all_that_counts_otherwise() -> None:
    """Noon in UTC is seven in the morning in Lima."""
    made = network(availability_percent=99.9)
    windows = (MaintenanceWindow(start=time(7), end=time(8)),)
    alfa, *others = made.agreements
    made = made.model_copy(update={"agreements": (alfa.model_copy(update={"windows": windows}), *others)})
    planned = {("S1/L1", "alfa"): times((70, 80))}
    locks = {"S1/L1": times((30, 100)), "S2/N1": times((50, 61)), "S1/other": times((0, 100))}
    outages = Outages([off_air(95, 110)], [era(made)], {}, Known(ExcusedTimes(planned), locks))
    owed = outages.agreed_service(alfa, BEGIN, END, END)
    assert owed.locked == {"S1/L1": times((60, 70), (80, 95)), "S2/N1": times((60, 61))}
    lost = (15 + 25 + 1) * 60.0
    assert owed.lost == lost
    first, second = outages.agreements(AT + timedelta(days=1))
    assert (first.used, first.left) == (lost / 60, round(first.allowed - lost / 60, 1))
    assert second.used == 15, "without windows the host may lock at any time"


def test_no_window_allows_a_lock_that_a_diverged_run_left_behind() -> None:
    """Alfa has a window until eight, which is minute 60, and was told of a run from 70 to 80; beta has no window."""
    made = network(availability_percent=99.9)
    windows = (MaintenanceWindow(start=time(7), end=time(8)),)
    alfa, beta = made.agreements
    made = made.model_copy(update={"agreements": (alfa.model_copy(update={"windows": windows}), beta)})
    locks, left = {"S1/L1": times((20, 100))}, {"S1/L1": times((30, 90))}
    excused = ExcusedTimes({("S1/L1", "alfa"): times((70, 80))})
    outages = Outages([off_air(85, 88)], [era(made)], {}, Known(excused, locks, left))
    for agreement_of, locked, in_window in (
        (alfa, times((30, 70), (80, 85), (88, 100)), times((20, 30), (70, 80))),
        (beta, times((30, 85), (88, 90)), times((20, 30), (90, 100))),
    ):
        owed = outages.agreed_service(agreement_of, BEGIN, END, END)
        assert (owed.locked, owed.in_window) == ({"S1/L1": locked}, {"S1/L1": in_window})
        assert owed.left_locked == {"S1/L1": both(locked, left["S1/L1"])}
        assert outages.owed_times(agreement_of, BEGIN, END, unseen=False)["S1/L1"] == union([*locked, *times((85, 88))])


def test_times_under_another_agreement_of_the_tenant_are_owed_only_where_this_one_did_not_hold() -> None:
    """Alfa has a window from noon to one under its first agreement, and one in the evening under the second."""
    made = network()
    alfa, beta = made.agreements
    noon, evening = ((MaintenanceWindow(start=time(hour), end=time(hour + 1)),) for hour in (7, 20))
    first = alfa.model_copy(update={"windows": noon})
    second = alfa.model_copy(update={"id": "alfa-next", "windows": evening})
    both_hold, later = (made.model_copy(update={"agreements": (*ones, beta)}) for ones in ((first, second), (second,)))
    first_alone = made.model_copy(update={"agreements": (first, beta)})
    half = AT + timedelta(minutes=30)
    locks = Known(ExcusedTimes({}), {"S1/L1": times((10, 50))})

    def owed(*eras: Era) -> Times:
        return Outages([], eras, {}, locks).owed_times(first, BEGIN, END, unseen=False).get("S1/L1", ())

    assert owed(era(first_alone)) == (), "its window allows the lock"
    assert owed(era(both_hold)) == (), "what the second owes is owed under the second"
    assert owed(era(first_alone, until=half), era(later, half)) == times((30, 50)), "it goes on under the next one"
