"""Selectors: what they match and what they say when they can't."""

from __future__ import annotations

import gc
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.inventory import selectors
from controller.inventory.load import load_network
from controller.inventory.selectors import Condition, parse_selector, select
from controller.models.errors import InputError
from controller.models.network import Network
from tests.unit.inventory.files import write

_BOTH = ("PE-CUS-0001", "PE-PUN-0001")


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return load_network(write(tmp_path))


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("*", _BOTH),
        ("PE-CUS-*", _BOTH[:1]),
        ("station=PE-???-0001", _BOTH),
        ("region=cusco", _BOTH[:1]),
        ("!PE-CUS-0001", _BOTH[1:]),
        ("*,!region=cusco", _BOTH[1:]),
        ("region=cusco, ! PE-CUS-0001", ()),
        ("!region=cusco|puno", ()),
        ("PE-*,!PE-PUN-*", _BOTH[:1]),
        ("region=cusco|puno", _BOTH),
        ("region=cusco,region=puno", ()),
        ("site=puno-1", _BOTH[1:]),
        ("rat=NR", _BOTH[:1]),
        ("rat=LTE, band=B40", _BOTH[1:]),
        ("profile=nr-28541", _BOTH[:1]),
        ("profile=lte*", _BOTH),
        ("tenant=bitel", _BOTH[:1]),
        ("tenant=movistar", _BOTH),
        ("tenant=movistar,rat=NR|LTE,PE-PUN-0001", _BOTH[1:]),
        ("band=n7*", _BOTH[:1]),
        ("region=lima*", ()),
    ],
)
def test_selects(network: Network, selector: str, expected: tuple[str, ...]) -> None:
    assert select(network, selector) == expected


def test_own_stations_are_reached_by_their_owner_only(network: Network) -> None:
    own = _BOTH[0]
    stations = [one.model_copy(update={"owner": "movistar"}) if one.id == own else one for one in network.stations]
    changed = network.model_copy(update={"stations": tuple(stations)})
    assert select(changed, "owner=movistar") == (own,)
    assert select(changed, "owner=bitel") == ()
    assert select(changed, "tenant=movistar") == _BOTH
    assert select(changed, "tenant=bitel") == ()


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("regoin=cusco", "selector 'regoin=cusco': no such key: 'regoin'; did you mean 'region'?"),
        (
            "colour=red",
            "no such key: 'colour'; keys are region, site, tenant, owner, rat, band, profile, station",
        ),
        ("region=", "selector 'region=': a value is missing in 'region='; as in region=cusco,rat=NR"),
        ("region=cusco,", "selector 'region=cusco,': a value is missing in ''; as in region=cusco,rat=NR"),
        ("region=cusco||puno", "a value is missing in 'region=cusco||puno'; as in region=cusco,rat=NR"),
        ("", "selector '': a value is missing in ''; as in region=cusco,rat=NR"),
        ("PE-CUS-000[12]", "'PE-CUS-000[12]' has '[' in it, which no name has"),
        ("band=n7]", "'n7]' has ']' in it, which no name has"),
        ("PE-CUS-000[12]", "wildcards are * and ?"),
        ("region=cuzco", "selector 'region=cuzco': no such region: 'cuzco'; did you mean 'cusco'?"),
        ("PE-CUS-0002", "selector 'PE-CUS-0002': no such station: 'PE-CUS-0002'; did you mean 'PE-CUS-0001'?"),
        ("rat=5G", "selector 'rat=5G': no such rat: '5G'; it is one of LTE, NR"),
        ("router=RT-1", "no such router: 'RT-1'; it is in the network files, but not managed, as its host_key is not"),
    ],
)
def test_says_what_is_wrong(network: Network, selector: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        select(network, selector)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("|".join(["PE-*"] * 101), "504 characters long, at most 500 are taken"),
        (",".join(["*"] * 21), "21 conditions, at most 20 are taken"),
    ],
)
def test_says_what_is_too_much(network: Network, selector: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        select(network, selector)


def test_facets_of_a_network_are_worked_out_once(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    again = network.model_copy()
    asked: list[Network] = []
    by_tenant = selectors._FACETS["tenant"]

    def counted(one: Network) -> tuple[set[str], dict[str, set[str]]]:
        asked.append(one)
        return by_tenant(one)

    monkeypatch.setitem(selectors._FACETS, "tenant", counted)
    for _ in range(3):
        select(again, ",".join(["tenant=*"] * 20))
    assert len(asked) == 1
    smaller = network.model_copy(update={"agreements": ()})
    assert select(smaller, "tenant=*") == ()
    number = id(smaller)
    assert number in selectors._KEPT
    asked.clear()
    del smaller
    gc.collect()
    assert number not in selectors._KEPT


@given(st.data())
def test_patterns_match_as_those_of_a_shell_without_its_sets(data: st.DataObject) -> None:
    texts = st.text(alphabet="ab*?[]-", min_size=1, max_size=5)
    patterns, values = data.draw(st.lists(texts, min_size=1, max_size=4)), data.draw(st.sets(texts))
    found = Condition("station", tuple(patterns)).among(values)
    assert found == {value for value in values if any(fnmatchcase(value, one.replace("[", "[[]")) for one in patterns)}


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ("rat=5G", "no such rat: '5G'; it is one of LTE, NR"),
        ("rat=LTE|5G", "no such rat: '5G'; it is one of LTE, NR"),
        ("rat=X*", "no such rat: 'X*'; it is one of LTE, NR"),
        ("profile=nr-2854", "no such profile: 'nr-2854'; did you mean 'nr-28541'?"),
        ("!*", "it selects nothing: !station=* leaves out all"),
        ("region=cusco,!site=*", "it selects nothing: !site=* leaves out all"),
        ("rat=LTE,!rat=LTE|NR", "it selects nothing: rat=LTE is selected and left out"),
        ("router=*,function=*", "it selects nothing: no function is a router"),
    ],
)
def test_what_no_network_has_or_selects_nothing_in_any_is_refused_without_one(selector: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"selector '{selector}': {said}")):
        parse_selector(selector)


@pytest.mark.parametrize(
    "selector",
    ["*", "!PE-*", "rat=N*", "!rat=LTE", "!tenant=*", "!owner=*", "device=*", "region=a,!region=b", "router=*"],
)
def test_what_may_select_something_is_taken(selector: str) -> None:
    assert parse_selector(selector)


def test_a_placeholder_may_be_any_value_or_condition() -> None:
    assert parse_selector("rat=EXPRESSION0", ["EXPRESSION0"])
    assert parse_selector("function=*,EXPRESSION0", ["EXPRESSION0"])
    with pytest.raises(InputError, match="no such rat: '5G'"):
        parse_selector("region=EXPRESSION0,rat=5G", ["EXPRESSION0"])
