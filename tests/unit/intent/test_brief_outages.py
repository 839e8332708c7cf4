"""Whose an outage is that no two reads in a row saw: of the link, its station, a core node, or what cores share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.intent.agreed_service import Parts
from controller.intent.brief_outages import BriefOutage, Listed, brief_spells, tenants_to_ask
from controller.intent.delivery import CarriedLink
from controller.intent.observation import Proof
from controller.intent.outages import ExcusedTimes, Known, Outages, Spell
from controller.intent.times import seconds
from controller.models.announced_work import AnnouncedWork
from controller.models.network import Network
from tests.unit.intent.test_outages import AT, BEGIN, END, era
from tests.unit.intent.test_outages import link as alarmed
from tests.unit.plan import samples

LINK, STATION, CORE, REMOTE = "core-link-down", "all-core-links-down", "core-node-down", "remote-end-down"
STATIONS = range(1, 6)


def network(shared: Iterable[str] = (), together: int = 0) -> Network:
    """Five stations, each at a site of its own but for the first ones; alfa, beta and gamma share all.

    Args:
        shared: Tenants whose control plane goes through the same security gateway.
        together: How many of the first stations are at one site.
    """
    content = samples.network(("alfa", "beta", "gamma")).model_dump(mode="json")
    station, cell, site = content["stations"][0], content["cells"][0], content["sites"][0]
    content["sites"] = [site | {"id": f"site-{n}"} for n in STATIONS]
    at = {n: f"site-{1 if n <= together else n}" for n in STATIONS}
    content["stations"] = [
        station | {"id": f"S{n}", "site": at[n], "transport_address": f"10.0.0.{n}", "enb_id": n, "gnb_id": n}
        for n in STATIONS
    ]
    content["cells"] = [cell | {"station": f"S{n}", "pci": n} for n in STATIONS]
    for tenant in content["tenants"]:
        if tenant["id"] in shared:
            tenant["core"]["security_gateway"] = {"address": "10.9.9.9", "protects": ["control"]}
    return Network.model_validate(content)


def path(station: int, tenant: str = "beta", node: str = "mme") -> str:
    return f"/ManagedElement[S{station}]/ENBFunction[1]/EP_S1C[{tenant}-{node}]"


def out(station: int, since: float, until: float, tenant: str = "beta", node: str = "mme") -> BriefOutage:
    """A link that was down, in seconds after AT."""
    times = (AT + timedelta(seconds=one) for one in (since, until))
    return BriefOutage(f"S{station}", path(station, tenant, node), (tenant,), *times)


def listed(
    outages: Iterable[BriefOutage],
    kept: Iterable[int] = STATIONS,
    others: Mapping[str, list[CarriedLink]] = MappingProxyType({}),
) -> Listed:
    """What stations listed that have links of all tenants, but for some others."""
    links = {
        f"S{n}": [CarriedLink(one, path(n, one), BEGIN, END) for one in ("alfa", "beta", "gamma")] for n in STATIONS
    }
    return Listed(tuple(outages), {f"S{n}": ((BEGIN, END),) for n in kept}, {**links, **others})


def causes(found: Listed, made: Network | None = None, known: Iterable[Spell] = ()) -> dict[str, dict[str, float]]:
    """For how many seconds links were down by each cause, by station."""
    lasted: dict[str, dict[str, float]] = {}
    current = made or network()
    for one in brief_spells(found, known, lambda _: current):
        of = lasted.setdefault(one.alarm.station, {})
        of[one.cause] = of.get(one.cause, 0) + (one.until - one.since).total_seconds()
        assert (one.proof, one.incident) == (Proof.STATION, "")
    return lasted


def test_a_link_of_one_station_is_lost_by_itself() -> None:
    assert causes(listed([out(1, 0, 40)])) == {"S1": {LINK: 40}}


def test_nothing_listed_is_nothing_lost() -> None:
    assert brief_spells(Listed(), [], lambda _: network()) == []


def test_what_most_stations_lost_one_after_the_other_is_the_core_of_the_tenant() -> None:
    """Each as long as its own link was down: they see it fail and work again one after the other."""
    found = listed([out(1, 0, 40), out(2, 2, 41), out(3, 3.5, 65)])
    assert causes(found) == {"S1": {CORE: 40}, "S2": {CORE: 39}, "S3": {CORE: 61.5}}


def test_two_of_five_stations_lost_links_of_their_own() -> None:
    assert causes(listed([out(1, 0, 40), out(2, 1, 40)])) == {"S1": {LINK: 40}, "S2": {LINK: 39}}


def test_stations_without_a_list_say_neither_yes_nor_no() -> None:
    found = listed([out(1, 0, 40), out(2, 1, 40)], kept=(1, 2, 3))
    assert causes(found) == {"S1": {CORE: 40}, "S2": {CORE: 39}}


def test_stations_without_a_link_to_it_are_not_asked() -> None:
    others = {f"S{n}": [CarriedLink("alfa", path(n, "alfa"), BEGIN, END)] for n in (4, 5)}
    gone = {"S3": [CarriedLink("beta", path(3), BEGIN, AT - timedelta(hours=1))]}
    assert causes(listed([out(1, 0, 40), out(2, 0, 40)], others=others | gone)) == {"S1": {CORE: 40}, "S2": {CORE: 40}}


def test_what_one_site_lost_is_no_core() -> None:
    assert causes(listed([out(n, 0, 40) for n in (1, 2, 3)]), network(together=3)) == {
        f"S{n}": {LINK: 40} for n in (1, 2, 3)
    }


def test_a_station_that_loses_all_links_of_all_tenants_is_cut_off() -> None:
    """Also where all are: then nothing says that a core was lost."""
    every = [out(n, 0, 40, tenant) for n in STATIONS for tenant in ("alfa", "beta", "gamma")]
    assert causes(listed(every)) == {f"S{n}": {STATION: 120} for n in STATIONS}


def test_a_station_that_is_cut_off_while_a_core_is_lost_has_lost_that_too() -> None:
    core = [out(n, 0, 40) for n in (1, 2, 3)]
    found = causes(listed([*core, *(out(5, 10, 30, tenant) for tenant in ("alfa", "beta", "gamma"))]))
    assert found["S5"] == {CORE: 20, STATION: 40}


def test_one_of_two_links_to_a_node_that_works_says_that_the_node_does() -> None:
    s1u = {
        f"S{n}": [CarriedLink("beta", one, BEGIN, END) for one in (path(n), path(n).replace("S1C", "S1U"))]
        for n in STATIONS
    }
    assert causes(listed([out(n, 0, 40) for n in STATIONS], others=s1u))["S1"] == {LINK: 40}


@pytest.mark.parametrize(("shared", "cause"), [(("alfa", "beta"), REMOTE), ((), CORE)])
def test_what_several_lost_core_nodes_share_was_lost(shared: tuple[str, ...], cause: str) -> None:
    both = [out(n, 0, 40, tenant) for n in STATIONS for tenant in ("alfa", "beta")]
    assert causes(listed(both), network(shared)) == {f"S{n}": {cause: 80} for n in STATIONS}


def test_one_core_node_of_several_behind_a_gateway_failed_by_itself() -> None:
    assert causes(listed([out(n, 0, 40) for n in STATIONS]), network(("alfa", "beta")))["S1"] == {CORE: 40}


def test_a_link_that_was_down_well_before_the_core_has_a_cause_of_its_own() -> None:
    core = [out(n, 300, 340) for n in (1, 2, 3)]
    assert causes(listed([*core, out(5, 200, 340)]))["S5"] == {LINK: 140}
    assert causes(listed([*core, out(5, 270, 340)]))["S5"] == {CORE: 70}


def test_a_link_that_stays_down_when_the_core_works_is_lost_by_itself_from_then_on() -> None:
    assert causes(listed([*(out(n, 0, 40) for n in (1, 2, 3)), out(5, 0, 400)]))["S5"] == {CORE: 100, LINK: 300}


def test_a_link_that_fails_once_the_core_works_again_has_not_lost_the_core() -> None:
    assert causes(listed([*(out(n, 0, 40) for n in (1, 2, 3)), out(5, 40, 50)]))["S5"] == {LINK: 10}


def test_older_losses_of_other_causes_blame_no_core() -> None:
    """Three links that fail for long one after the other, some time apart: never one soon after the other."""
    slow = [out(n, 400 * n, 1900) for n in (1, 2, 3)]
    assert {cause for of in causes(listed(slow)).values() for cause in of} == {LINK}


def test_alarms_tell_of_links_and_of_the_core_that_they_follow_from() -> None:
    """Two reads in a row saw the links of two stations down; those of the others came up in time."""

    def alarm(station: int, cause: str) -> Spell:
        of = {"station": f"S{station}", "tenant": "beta", "tenants": ("beta",)}
        one = alarmed(0, 2, path(station))
        return one._replace(alarm=one.alarm.model_copy(update=of), cause=cause)

    own = [alarm(1, LINK), alarm(2, LINK)]
    assert causes(listed([out(3, 0, 40)]), known=own) == {"S3": {CORE: 40}}
    assert causes(listed([out(3, 0, 40)]), known=own[:1]) == {"S3": {LINK: 40}}
    assert causes(listed([out(3, 0, 40)]), known=[alarm(1, CORE)]) == {"S3": {CORE: 40}}
    assert causes(listed([out(3, 0, 40)]), known=[alarm(1, REMOTE)]) == {"S3": {REMOTE: 40}}


@given(st.permutations([*(out(n, n, 40 + n) for n in (1, 2, 3)), out(4, 0, 20, "alfa"), out(5, 90, 95)]))
def test_the_order_in_which_stations_were_read_changes_nothing(order: list[BriefOutage]) -> None:
    assert causes(listed(order)) == {
        **{f"S{n}": {CORE: 40} for n in (1, 2, 3)},
        "S4": {LINK: 20},
        "S5": {LINK: 5},
    }


@given(st.lists(st.tuples(st.sampled_from(STATIONS), st.integers(0, 60), st.integers(1, 40)), max_size=12))
def test_a_core_is_lost_just_in_the_seconds_in_which_most_are_without_it(drawn: list[tuple[int, int, int]]) -> None:
    """Against a count second by second."""
    outages = [out(n, since, since + length) for n, since, length in drawn]
    made = network()
    spells = brief_spells(listed(outages), [], lambda _: made)
    down = {n: {t for m, since, length in drawn if m == n for t in range(since, since + length)} for n in STATIONS}
    lost = [t for t in range(101) if sum(t in of for of in down.values()) > 2]
    begins, ends = [t for t in lost if t - 1 not in lost], [t + 1 for t in lost if t + 1 not in lost]
    for (_, since, length), one in zip(drawn, outages, strict=True):
        of_core = any(a - 60 <= since < b and a < since + length for a, b in zip(begins, ends, strict=True))
        own = [
            spell.cause
            for spell in spells
            if (spell.alarm.object, spell.alarm.raised, spell.alarm.cleared) == (one.path, one.since, one.until)
        ]
        assert (CORE in own) is of_core


def test_tenants_are_asked_about_where_several_stations_were_without_them() -> None:
    found = [out(1, 0, 4), out(1, 9, 10, "alfa"), out(2, 900, 904), out(1, 20, 21, "alfa")]
    assert tenants_to_ask(found) == {"beta"}


def parts(outages: Iterable[BriefOutage], left_out: tuple[str, ...] = (), **known: Any) -> Mapping[str, Parts]:
    """What beta's agreement says of each of its cells."""
    content = network().model_dump(mode="json")
    for agreement in content["agreements"]:
        agreement["sla"] = {"outside_causes": left_out} if left_out else {}
    made, found = Network.model_validate(content), listed(outages)
    spells = brief_spells(found, [], lambda _: made)
    service = Outages(spells, [era(made)], found.links, Known(ExcusedTimes(**known)))
    (beta,) = (one for one in made.agreements if one.tenant == "beta")
    return service.agreed_service(beta, BEGIN, END, END).parts


def lengths(of: Parts) -> dict[str, float]:
    return {name: length for name, times in of._asdict().items() if (length := seconds(times))}


def test_a_tenants_own_core_is_not_the_hosts() -> None:
    assert {cell: lengths(one) for cell, one in parts([out(n, 0, 40) for n in (1, 2, 3)]).items()} == {
        f"S{n}/L1": {"own_core": 40} for n in (1, 2, 3)
    }
    assert {cell: lengths(one) for cell, one in parts([out(1, 0, 40)]).items()} == {"S1/L1": {"lost": 40}}


def test_announced_work_of_the_tenant_explains_links_that_it_takes() -> None:
    begins, ends = (AT + timedelta(seconds=one) for one in (-10, 30))
    work = AnnouncedWork(id="w", tenant="beta", begins=begins, ends=ends, by="b", reason="r", created=BEGIN)
    assert lengths(parts([out(1, 0, 40)], works=[work])["S1/L1"]) == {"own_work": 30, "lost": 10}


def test_what_a_run_took_after_a_notice_is_planned() -> None:
    took = {("S1/L1", "beta"): ((AT, AT + timedelta(seconds=30)),)}
    assert lengths(parts([out(1, 0, 40)], planned=took)["S1/L1"]) == {"planned": 30, "lost": 10}


def test_a_month_in_which_a_core_fails_each_hour_is_judged_in_time() -> None:
    def at(hour: int, second: float) -> datetime:
        return BEGIN + timedelta(hours=hour, seconds=second)

    outages = [
        BriefOutage(f"S{n}", path(n), ("beta",), at(hour, n / 9), at(hour, 40)) for hour in range(700) for n in STATIONS
    ]
    found = causes(listed(outages))
    assert set(found["S1"]) == {CORE}
