"""Whatever decides by the kind of a device knows all kinds: a new one shows here where it is missing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli.plan_view import KINDS
from controller.inventory.selectors import select
from controller.models.alarm import ObjectClass
from controller.models.network import NAMED_KINDS, DeviceKind, Network
from controller.nrm.profiles import root_spec
from controller.playbook.language.playbook import target_names
from tests.unit.plan import samples
from tests.unit.plan.test_routers import tiny


@pytest.fixture(scope="module")
def network() -> Network:
    """A network with devices of each kind."""
    (router,) = tiny().routers
    moved = router.model_copy(update={"id": "R1", "site": "site-1"})
    return samples.virtual().model_copy(update={"routers": (moved,)})


@pytest.mark.parametrize("kind", DeviceKind)
def test_a_device_of_each_kind_is_known_for_what_it_is(network: Network, kind: DeviceKind) -> None:
    devices = [one for one, known in network.device_kinds.items() if known is kind]
    assert devices
    for device in devices:
        assert network.manages(device)
        root = root_spec(network.profiles_of(device))
        assert KINDS.get(root.name, DeviceKind.STATION.value) == kind.value
        assert network.region_of(device)
        assert {*network.stations_behind(device)} <= network.station_by_id.keys()
        told = target_names(network, device)
        assert [one.value for one in DeviceKind if told[one.value] is True] == [kind.value] * (
            kind is not DeviceKind.STATION
        )


@pytest.mark.parametrize("kind", DeviceKind)
def test_each_kind_can_be_selected_and_fails_as_a_whole(network: Network, kind: DeviceKind) -> None:
    named = "device" if kind is DeviceKind.STATION else kind.value
    devices = [one for one, known in network.device_kinds.items() if known is kind]
    assert select(network, f"{named}={devices[0]}") == (devices[0],)
    assert ObjectClass.of_device(kind).value == kind.value


def test_a_device_stands_at_its_own_site_only(network: Network) -> None:
    (station, *_), (pool, *_) = network.stations_at["site-1"], network.pool_by_id
    assert {"R1", station} <= {*network.devices_at["site-1"]}
    at_sites = {device for devices in network.devices_at.values() for device in devices}
    assert pool in at_sites
    assert at_sites.isdisjoint({*network.function_by_id, *network.central_units})


def test_one_kind_is_meant_where_none_is_named() -> None:
    assert [kind for kind in DeviceKind if kind not in NAMED_KINDS] == [DeviceKind.STATION]


_ROOT = Path(__file__).parents[3]


def _of_kind(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "DeviceKind"


def _is_whole(case: ast.match_case) -> bool:
    """Whether a case takes all that is left, and mypy proves that nothing is."""
    last = case.body[-1]
    called = last.value.func if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) else None
    return isinstance(case.pattern, ast.MatchAs) and isinstance(called, ast.Name) and called.id == "assert_never"


def _silent(tree: ast.AST) -> Iterator[int]:
    """Lines that decide by members of DeviceKind in a way that a new member would not show."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others):
                if any(_of_kind(part) for one in (left, *others) for part in ast.walk(one)):
                    yield node.lineno
            case ast.Tuple(elts=members) | ast.List(elts=members) | ast.Set(elts=members):
                if any(map(_of_kind, members)):
                    yield node.lineno
            case ast.Dict(keys=keys):
                if any(_of_kind(key) for key in keys if key is not None):
                    yield node.lineno
            case ast.Match(cases=cases):
                named = any(_of_kind(part) for case in cases for part in ast.walk(case.pattern))
                if named and not _is_whole(cases[-1]):
                    yield node.lineno
            case _:
                pass


@pytest.mark.parametrize(
    "text",
    [
        "found = kind is DeviceKind.ROUTER",
        "found = kind not in (a, DeviceKind.POOL)",
        "WAYS = frozenset({DeviceKind.ROUTER})",
        "NAMES = {DeviceKind.ROUTER: 1}",
        "match kind:\n  case DeviceKind.ROUTER:\n    pass",
        "match kind:\n  case DeviceKind.ROUTER:\n    pass\n  case _:\n    found = 1",
    ],
)
def test_a_silent_decision_by_the_kind_is_found(text: str) -> None:
    assert [*_silent(ast.parse(text))]


def test_a_decision_that_mypy_proves_whole_is_fine() -> None:
    text = "match kind:\n  case DeviceKind.ROUTER:\n    pass\n  case _:\n    assert_never(kind)"
    assert not [*_silent(ast.parse(text))]


def test_nothing_decides_by_the_kind_so_that_a_new_one_would_not_show() -> None:
    """A yes or no is a field of KindRules, anything else a match; Network.device_kinds names the nouns of all kinds."""
    found = [
        f"{path.relative_to(_ROOT)}:{line}"
        for folder in ("controller", "simulators")
        for path in sorted((_ROOT / folder).rglob("*.py"))
        if "DeviceKind" in (text := path.read_text(encoding="utf-8"))
        for line in _silent(ast.parse(text))
    ]
    nouns = ast.parse((_ROOT / "controller/models/network.py").read_text(encoding="utf-8"))
    (table,) = (one for one in ast.walk(nouns) if isinstance(one, ast.FunctionDef) and one.name == "device_kinds")
    in_table = {f"controller/models/network.py:{line}" for line in range(table.lineno, (table.end_lineno or 0) + 1)}
    assert [one for one in found if one not in in_table] == []
