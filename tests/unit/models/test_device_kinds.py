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
_MEMBERS = {kind.name for kind in DeviceKind}
_VALUES = {kind.value for kind in DeviceKind}
#: The nouns of the kinds: whoever asks for the class of a device asks for its kind.
_NOUNS = ("Station", "Router", "Function", "Pool")
#: The devices of one kind: whoever asks whether a device is among them asks for its kind.
_TABLES = frozenset(f"{kind.value}_by_id" for kind in DeviceKind)
#: Modules that ask whether a device that network files name, as the station of a cell, stands in them.
_REFERENCES = frozenset(
    f"controller/{name}.py"
    for name in (
        "intent/central_units",
        "intent/functions",
        "intent/identities",
        "intent/neighbours",
        "intent/placement",
        "models/network",
    )
)
#: Where a member is only passed on, as the kind of devices that an action of playbooks is for.
_GIVEN = "devices"


def _names(tree: ast.AST) -> set[str]:
    """Names of DeviceKind in a module, however it is imported."""
    found = (one for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for one in node.names)
    return {"DeviceKind", *(one.asname for one in found if one.name == "DeviceKind" and one.asname)}


def _is_enum(node: ast.AST, names: set[str]) -> bool:
    """Whether it is DeviceKind itself, also by its module."""
    return (isinstance(node, ast.Name) and node.id in names) or (
        isinstance(node, ast.Attribute) and node.attr == "DeviceKind"
    )


def _is_member(node: ast.AST, names: set[str]) -> bool:
    """Whether it is a certain kind, or one by its name or value."""
    match node:
        case ast.Attribute(value=of, attr=name):
            return _is_enum(of, names) and name in _MEMBERS
        case ast.Subscript(value=of):
            return _is_enum(of, names)
        case ast.Call(func=ast.Name(id="getattr"), args=[of, *_]):
            return _is_enum(of, names)
        case ast.Call(func=of, args=[ast.Constant()]):
            return _is_enum(of, names)
        case _:
            return False


def _is_whole(case: ast.match_case) -> bool:
    """Whether a case takes all that is left, and mypy proves that nothing is."""
    last = case.body[-1]
    called = last.value.func if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) else None
    bare = isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None and case.guard is None
    return bare and isinstance(called, ast.Name) and called.id == "assert_never"


def _is_fine(tree: ast.AST) -> set[ast.AST]:
    """Nodes that may name a kind: patterns of a whole ``match``, and arguments that only pass a kind on."""
    fine: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Match(cases=cases) if _is_whole(cases[-1]):
                fine.update(part for case in cases for part in ast.walk(case.pattern))
            case ast.keyword(arg=name, value=given) if name == _GIVEN:
                fine.add(given)
            case _:
                pass
    return fine


def _speaks_of_kinds(node: ast.AST) -> bool:
    """Whether an expression is called a kind: a name, an attribute or a call, or a look-up in one."""
    called = [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
    called += [part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)]
    return any(name in ("kind", "kinds", "kind_of", "device_kind", "device_kinds") for name in called)


def _in_words(node: ast.AST) -> set[str]:
    """Kinds that are written as texts, as their values or names."""
    texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
    return {text for text in texts if isinstance(text, str) and text in _VALUES | _MEMBERS}


def _classes(node: ast.AST) -> bool:
    """Whether nouns of devices are named, as in the second argument of ``isinstance``."""
    return any(isinstance(part, ast.Name) and part.id in _NOUNS for part in ast.walk(node))


def _by_text_or_class(node: ast.AST) -> bool:
    match node:
        case ast.Compare(left=ast.Call(func=ast.Name(id="type")), comparators=others):
            return any(map(_classes, others))
        case ast.Compare(left=left, comparators=others):
            parts = (left, *others)
            return any(map(_speaks_of_kinds, parts)) and any(map(_in_words, parts))
        case ast.Match(subject=subject, cases=cases):
            patterns = [case.pattern for case in cases]
            by_class = any(map(_classes, patterns)) and not _is_whole(cases[-1])
            return by_class or (_speaks_of_kinds(subject) and any(map(_in_words, patterns)))
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, classes]):
            return _classes(classes)
        case ast.Call(func=ast.Attribute(value=ast.Dict(keys=keys)), args=[asked, *_]):
            return _speaks_of_kinds(asked) and any(map(_in_words, filter(None, keys)))
        case ast.Subscript(value=ast.Dict(keys=keys), slice=asked):
            return _speaks_of_kinds(asked) and any(map(_in_words, filter(None, keys)))
        case ast.Call(func=ast.Attribute(value=said, attr="startswith" | "endswith" | "__eq__" | "__ne__"), args=args):
            return _speaks_of_kinds(said) and any(map(_in_words, args))
        case _:
            return False


def _by_table(node: ast.AST) -> bool:
    """Whether it asks if a device is among those of one kind."""
    match node:
        case ast.Compare(ops=ops, comparators=others):
            pairs = zip(ops, others, strict=True)
            return any(isinstance(op, ast.In | ast.NotIn) and _is_table(other) for op, other in pairs)
        case _:
            return False


def _is_table(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr=name):
            return name in _TABLES
        case ast.Call(func=ast.Attribute(value=of, attr="keys")):
            return _is_table(of)
        case _:
            return False


def _silent(tree: ast.AST) -> Iterator[int]:
    """Lines that decide by the kind of a device in a way that a new kind would not show."""
    names, fine = _names(tree), _is_fine(tree)
    for node in ast.walk(tree):
        if (_is_member(node, names) and node not in fine) or _by_text_or_class(node) or _by_table(node):
            yield getattr(node, "lineno", 0)


@pytest.mark.parametrize(
    "text",
    [
        "found = kind is DeviceKind.ROUTER",
        "found = kind != DeviceKind.ROUTER",
        "found = kind not in (a, DeviceKind.POOL)",
        "found = kind in {DeviceKind.POOL}",
        "found = kind in [DeviceKind.POOL]",
        "WAYS = frozenset({DeviceKind.ROUTER})",
        "NAMES = {DeviceKind.ROUTER: 1}",
        "NAMES = dict([(DeviceKind.ROUTER, 1)])",
        "NAMES = {**others, **{DeviceKind.ROUTER: 1}}",
        "ROUTER = DeviceKind.ROUTER",
        "found = eq(kind, DeviceKind.ROUTER)",
        "found = DeviceKind.ROUTER.__eq__(kind)",
        "found = kind.value == DeviceKind.ROUTER.value",
        "found = kind.name != DeviceKind.ROUTER.name",
        'found = kind is DeviceKind["ROUTER"]',
        'found = kind is DeviceKind("router")',
        'found = kind is getattr(DeviceKind, "ROUTER")',
        "found = kind is network.DeviceKind.ROUTER",
        "from controller.models.network import DeviceKind as Kind\nfound = kind is Kind.ROUTER",
        "def act(kind=DeviceKind.ROUTER): pass",
        "found = lambda kind: kind is DeviceKind.ROUTER",
        "match kind:\n  case DeviceKind.ROUTER:\n    pass",
        "match kind:\n  case DeviceKind.ROUTER:\n    pass\n  case _:\n    found = 1",
        "match kind:\n  case DeviceKind.ROUTER:\n    pass\n  case _ if new:\n    assert_never(kind)",
        "match (kind, here):\n  case (DeviceKind.ROUTER | DeviceKind.POOL, True):\n    pass",
        'found = kind == "router"',
        'found = network.kind_of(device) != "pool"',
        'found = network.device_kinds[device].value in ("router", "pool")',
        'found = kind.name == "ROUTER"',
        'found = str(kind) == "router"',
        'found = kind.startswith("router")',
        'match kind.value:\n  case "router":\n    pass\n  case _:\n    assert_never(kind)',
        'found = {"router": 1, "pool": 2}[kind]',
        'found = {"router": 1}.get(kind.value, 0)',
        "found = isinstance(device, Pool)",
        "found = isinstance(device, (Station, Router))",
        "found = isinstance(device, network.Router | Router)",
        "found = type(device) is Router",
        "match device:\n  case Router():\n    pass",
        "found = device in network.router_by_id",
        "found = one.station not in self._network.function_by_id",
        "found = [one for one in devices if one in network.pool_by_id.keys()]",
        "found = adopted and a in b in seen.network.station_by_id",
    ],
)
def test_a_silent_decision_by_the_kind_is_found(text: str) -> None:
    assert [*_silent(ast.parse(text))]


@pytest.mark.parametrize(
    "text",
    [
        "match kind:\n  case DeviceKind.ROUTER:\n    pass\n  case _:\n    assert_never(kind)",
        "match device:\n  case Router():\n    pass\n  case _:\n    assert_never(device)",
        '@action("scale-function", devices=DeviceKind.FUNCTION)\ndef scale(): pass',
        "found = kind.rules.has_cells",
        "found = [one for one in DeviceKind if one.rules.has_cells]",
        "found = kind in NAMED_KINDS",
        "found = network.has_cells(device)",
        "found = network.kind_of(device).rules.placed",
        "found = site in network.site_by_id",
        "found = NAMES[kind]",
        'found = entry.kind == "network"',
        "found = isinstance(fact, StationFact)",
    ],
)
def test_a_decision_that_a_new_kind_would_show_is_fine(text: str) -> None:
    assert not [*_silent(ast.parse(text))]


def _found() -> Iterator[str]:
    for path in sorted((_ROOT / "controller").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "kind" in text or any(name in text for name in (*_NOUNS, *_TABLES)):
            yield from (f"{path.relative_to(_ROOT)}:{line}" for line in _silent(ast.parse(text)))


def _referring() -> Iterator[str]:
    for name in _REFERENCES:
        for node in ast.walk(ast.parse((_ROOT / name).read_text(encoding="utf-8"))):
            if _by_table(node):
                yield f"{name}:{getattr(node, 'lineno', 0)}"


def test_nothing_decides_by_the_kind_so_that_a_new_one_would_not_show() -> None:
    """A yes or no is a field of KindRules, anything else a match; Network.device_kinds names the nouns of all kinds."""
    nouns = ast.parse((_ROOT / "controller/models/network.py").read_text(encoding="utf-8"))
    (table,) = (one for one in ast.walk(nouns) if isinstance(one, ast.FunctionDef) and one.name == "device_kinds")
    in_table = {f"controller/models/network.py:{line}" for line in range(table.lineno, (table.end_lineno or 0) + 1)}
    assert [one for one in _found() if one not in {*in_table, *_referring()}] == []
    assert {one.partition(":")[0] for one in _referring()} == _REFERENCES, "a module that no longer asks is listed"


@pytest.mark.parametrize("kind", DeviceKind)
def test_a_network_answers_for_its_devices_what_follows_from_their_kind(network: Network, kind: DeviceKind) -> None:
    """A device that the network files do not have is of no kind: nothing is served there."""
    devices = [one for one, known in network.device_kinds.items() if known is kind]
    for device in devices:
        assert network.has_cells(device) is kind.rules.has_cells
        own = network.station_by_id.get(device)
        assert network.functions_of(device) == (() if own is None else own.functions)
        assert network.holdover_of(device) == (None if own is None else own.holdover_hours)
    assert not network.has_cells("gone")
    assert (network.functions_of("gone"), network.holdover_of("gone")) == ((), None)
