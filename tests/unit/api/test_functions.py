"""Functions and pools by the API: what the host sees, what a tenant sees of its own, and what lost nodes cost."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from controller.cli import functions as commands
from controller.cli import plan as plans
from controller.cli import playbook
from controller.cli.listed import Listed
from controller.models.alarm import UNREACHABLE
from controller.models.cloud import ClusterState, NodeReady, NodeState, Resources
from controller.models.errors import AuthenticationError, HostKeyError, NotPermittedError
from controller.models.health import Health
from controller.models.network import network_digest
from controller.models.people import Permission, Role
from controller.models.plan import LedgerNode
from controller.models.sharing import Scope
from controller.nrm.profiles.function import deployment_path
from tests.support.callers import admit
from tests.unit.api.bench import ApiBench
from tests.unit.intent.clouds import VALID, cloud, function, nodes

_STATIONS = {"S1": ("DU-1", "CP", "UP"), "S2": ("DU-2", "CP", "UP", "UP-B"), "S3": ()}
_FUNCTIONS = [
    *(function(f"DU-{n}", max_latency_us=100) for n in (1, 2)),
    function("CP", "vcu-cp", replicas=2),
    function("UP", "vcu-up"),
    function("UP-B", "vcu-up", owner="beta"),
]
_ALL = dict.fromkeys(_STATIONS, 50)
NETWORK = cloud(
    {"edge": _ALL, "far": dict.fromkeys(_STATIONS, 900)},
    _FUNCTIONS,
    _STATIONS,
    servers=[*nodes("edge", 2), *nodes("far", 1)],
    agreements=[
        {"id": "alfa-all", "tenant": "alfa", "scope": {"everywhere": True}, "validity": VALID},
        {"id": "beta-all", "tenant": "beta", "scope": {"everywhere": True}, "validity": VALID}
        | {"capacity": [{"pool": "far", "cores": 10}]},
    ],
)


@pytest.fixture
def virtual(bench: ApiBench) -> ApiBench:
    """Of the functions, CP runs on the far pool, and UP-B where it should."""
    digest = network_digest(NETWORK)
    bench.store.networks.save(NETWORK, digest, "ana")
    for name, owner in (("CP", "host"), ("UP-B", "beta")):
        node = LedgerNode(path=deployment_path(name, "far"), owners=(owner,))
        bench.store.devices.adopt(name, [node], digest, "ana")
    return bench


async def _get(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_functions_are_listed_with_where_they_run_and_why(virtual: ApiBench) -> None:
    found = {one["function"]: one for one in (await _get(virtual.client, "/v1/functions"))["results"]}
    assert {name: (one["running"], one["pool"], one["adopted"]) for name, one in found.items()} == {
        "CP": (["far"], "far", True),
        "DU-1": ([], "edge", False),
        "DU-2": ([], "edge", False),
        "UP": ([], "edge", False),
        "UP-B": (["far"], "far", True),
    }
    assert found["CP"]["reason"].startswith(
        "runs there and may stay: 950 µs away of 1000 that it bears, though edge is"
    )
    assert found["UP"]["carries"] == {"716-01": ["1-000001"], "716-02": ["1-000002"]}
    assert found["UP-B"]["carries"] == {"716-02": ["1-000002"]}
    some = await _get(virtual.client, "/v1/functions?selector=function=UP*&limit=1")
    assert (some["count"], some["next"], [one["function"] for one in some["results"]]) == (2, 1, ["UP"])
    missing = await virtual.client.get("/v1/functions/UP-C")
    assert (missing.status_code, missing.json()["detail"]) == (404, "there is no function UP-C; did you mean 'UP-B'?")


@pytest.mark.parametrize("selector", ["region=r", "pool=*", "device=*", "device=far", "*"])
async def test_what_is_no_function_is_not_listed_among_them(virtual: ApiBench, selector: str) -> None:
    admit(virtual.store, "token-of-eva", "eva", Role.TENANT_APPROVER, "beta")
    async with virtual.with_token("token-of-eva") as beta:
        for client in (virtual.client, beta):
            answer = await client.get("/v1/functions", params={"selector": selector})
            assert answer.status_code == 422 or answer.json()["count"] == 0, answer.text
    assert (await virtual.client.get("/v1/functions", params={"selector": "device=UP-B"})).json()["count"] == 1


async def test_a_tenant_sees_its_own_functions_and_nothing_of_others_or_of_pools(virtual: ApiBench) -> None:
    admit(virtual.store, "token-of-eva", "eva", Role.TENANT_APPROVER, "beta")
    admit(virtual.store, "token-of-al", "al", Role.TENANT_APPROVER, "alfa")
    async with virtual.with_token("token-of-eva") as beta, virtual.with_token("token-of-al") as alfa:
        listed = await _get(beta, "/v1/functions")
        assert listed["count"] == 1
        assert listed["results"] == [await _get(beta, "/v1/functions/UP-B")]
        assert listed["results"][0] == {
            "function": "UP-B",
            "kind": "vcu-up",
            "package": "vcu-up",
            "version": "1",
            "replicas": 1,
            "applied_replicas": 1,
            "stations": 1,
            "carries": {"716-02": ["1-000002"]},
            "endpoints": [],
            "running": ["far"],
            "placed": {},
            "wrong": [],
            "seen": None,
        }
        assert (await _get(alfa, "/v1/functions"))["count"] == 0
        unknown = await alfa.get("/v1/functions/nobodys")
        others = await alfa.get("/v1/functions/UP-B")
        assert others.status_code == unknown.status_code == 404
        assert others.json()["detail"].replace("UP-B", "nobodys") == unknown.json()["detail"]
        for path in ("/v1/pools", "/v1/pools/far", "/v1/placement"):
            assert (await beta.get(path)).status_code == 404


async def test_a_tenants_own_function_is_among_its_devices(virtual: ApiBench) -> None:
    """With what a tenant sees of a device, before and after it was checked; those of others are not there."""
    shown = {"station": "UP-B", "site": "", "region": "", "profiles": ["function"], "health": None, "indicators": None}
    admit(virtual.store, "token-of-eva", "eva", Role.TENANT_VIEWER, "beta")
    admit(virtual.store, "token-of-al", "al", Role.TENANT_VIEWER, "alfa")
    async with virtual.with_token("token-of-eva") as beta, virtual.with_token("token-of-al") as alfa:
        assert await _get(beta, "/v1/devices/UP-B") == shown
        assert (await _get(beta, "/v1/devices?selector=function=*"))["results"] == [shown]
        health = {"station": "UP-B", "at": "2026-06-15T12:00:00Z", "reachable": True, "device": "function"}
        virtual.store.healths.save([Health.model_validate(health | {"cells": {}, "links": ()})])
        assert (await _get(beta, "/v1/devices/UP-B"))["health"]["reachable"] is True
        assert (await _get(alfa, "/v1/devices?selector=function=*"))["results"] == []
        assert (await alfa.get("/v1/devices/UP-B")).status_code == 404


async def test_what_is_wrong_with_a_function_is_told(virtual: ApiBench) -> None:
    health = Health.model_validate(
        {"station": "UP-B", "at": "2026-06-15T12:00:00Z", "reachable": True, "device": "function", "cells": {}}
        | {"links": (), "function": {"function-down": "UP-B is ready nowhere; far: no node is free"}}
    )
    virtual.store.healths.save([health])
    admit(virtual.store, "token-of-eva", "eva", Role.TENANT_APPROVER, "beta")
    found = await _get(virtual.client, "/v1/functions/UP-B")
    assert (found["wrong"], found["faults"]) == (["function-down"], ["UP-B is ready nowhere; far: no node is free"])
    async with virtual.with_token("token-of-eva") as beta:
        told = await _get(beta, "/v1/functions/UP-B")
    assert (told["wrong"], "no node" in str(told)) == (["function-down"], False)


async def test_of_what_can_not_be_read_now_that_is_told_and_nothing_older(
    virtual: ApiBench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _read(virtual)
    pool = virtual.store.healths.find(["far"])["far"].model_copy(update={"reachable": False, "reason": "unreachable"})
    health = Health.model_validate(
        {"station": "UP-B", "at": "2026-06-15T12:00:00Z", "reachable": False, "reason": AuthenticationError.code}
        | {"device": "function", "function": {"function-twice": "UP-B runs on edge, far"}}
    )
    virtual.store.healths.save([health, pool])
    found = await _get(virtual.client, "/v1/functions/UP-B")
    assert (found["wrong"], found["faults"]) == ([UNREACHABLE], ["it refuses the login"])
    admit(virtual.store, "token-of-eva", "eva", Role.TENANT_APPROVER, "beta")
    async with virtual.with_token("token-of-eva") as beta:
        told = await _get(beta, "/v1/functions/UP-B")
    assert (told["wrong"], "login" in str(told)) == ([UNREACHABLE], False)
    far = await _get(virtual.client, "/v1/pools/far")
    assert (far["answers"], far["wrong"]) == (False, [UNREACHABLE])
    api = SimpleNamespace(get=lambda _: far, all=lambda _: Listed([far]))
    monkeypatch.setattr(commands, "client", lambda: api)
    commands.show_pool("far")
    shown = capsys.readouterr().out
    assert "; now it does not answer\n" in shown
    assert f"wrong: {UNREACHABLE}\n" in shown
    commands.list_pools()
    assert capsys.readouterr().out.splitlines()[1].endswith(f"{UNREACHABLE}  it does not answer")
    for error, words in (
        (AuthenticationError, "it refuses the login"),
        (HostKeyError, "it shows a certificate that is not accepted"),
        (NotPermittedError, "it does not permit what Minka needs"),
    ):
        virtual.store.healths.save(
            [pool.model_copy(update={"reason": error.code, "said": f"far: {error.code}: a role"})]
        )
        far.update(await _get(virtual.client, "/v1/pools/far"))
        commands.show_pool("far")
        shown = capsys.readouterr().out
        assert f"; now {words}\n" in shown
        assert f"wrong: {error.code}\nfar: {error.code}: a role\n" in shown
        commands.list_pools()
        assert capsys.readouterr().out.splitlines()[1].endswith(f"{error.code}  {words}")


async def test_a_tenant_counts_no_stations_that_it_does_not_see(virtual: ApiBench) -> None:
    (alfa, beta) = NETWORK.agreements
    less = beta.model_copy(update={"scope": Scope(stations=("S1",))})
    network = NETWORK.model_copy(update={"agreements": (alfa, less)})
    virtual.store.networks.save(network, network_digest(network), "ana")
    admit(virtual.store, "token-of-eva", "eva", Role.TENANT_APPROVER, "beta")
    async with virtual.with_token("token-of-eva") as client:
        told = await _get(client, "/v1/functions/UP-B")
    assert (told["stations"], told["endpoints"]) == (0, [])
    assert (await _get(virtual.client, "/v1/functions/UP-B"))["stations"] == 1


def _cores(pool: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    parts = ("bought_cores", "kept_cores", "used_cores")
    return {side: tuple(has[part] for part in parts) for side, has in pool["sides"].items()}


async def test_pools_are_listed_with_what_is_taken_sold_and_free(virtual: ApiBench) -> None:
    edge, far = (await _get(virtual.client, "/v1/pools"))["results"]
    assert (edge["pool"], edge["used"][0], edge["capacity"][0], _cores(edge)) == ("edge", 22, 64, {"host": (0, 0, 22)})
    assert _cores(far) == {"beta": (10, 10, 6), "host": (0, 0, 8)}
    assert far["functions"] == ["CP", "UP-B"]
    assert await _get(virtual.client, "/v1/pools/far") == far
    assert (await virtual.client.get("/v1/pools/near")).status_code == 404


def _read(virtual: ApiBench) -> None:
    """The far pool was read: its node is lost, and one that the files don't name is cordoned."""
    cluster = ClusterState(
        nodes=(
            NodeState(
                id="n1", ready=NodeReady.UNKNOWN, reason="silent", functions=("CP",), requested=Resources(cpus=8)
            ),
            NodeState(id="other", ready=NodeReady.READY, cordoned=True, functions=("UP-B",)),
        ),
        waiting={"UP-B": "Insufficient cpu"},
    )
    health = {"station": "far", "at": "2026-06-15T12:00:00Z", "read": "2026-06-15T12:00:00Z", "reachable": True}
    virtual.store.healths.save([Health.model_validate(health | {"device": "pool", "cluster": cluster})])


async def test_a_pool_shows_its_nodes_as_they_were_seen(
    virtual: ApiBench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await _get(virtual.client, "/v1/pools/far"))["cluster"] is None
    _read(virtual)
    far = await _get(virtual.client, "/v1/pools/far")
    assert far["wrong"] == ["node-lost", "pool-full"]
    assert far["closed"] == "1 of its 1 nodes take no pods: takes only what has no other place"
    assert [node["ready"] for node in far["cluster"]["nodes"]] == ["unknown", "ready"]
    page = (await virtual.client.get("/metrics")).text
    for sample in ('pool="far",state="lost"} 1', 'pool="far",state="cordoned"} 1', 'pool="edge",state="unknown"} 2'):
        assert f"minka_pool_nodes{{{sample}" in page

    class Api:
        def get(self, path: str) -> Any:
            return far

    monkeypatch.setattr(commands, "client", Api)
    commands.show_pool("far")
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(re.match(r"n1 8/32 .*unknown CP$", line) for line in lines), lines
    assert any(re.match(r"other .*cordoned UP-B$", line) for line in lines), lines
    assert "UP-B: Insufficient cpu" in lines
    assert f"closed to new functions: {far['closed']}" in lines


async def test_placement_tells_moves_starts_and_losses(virtual: ApiBench) -> None:
    found = await _get(virtual.client, "/v1/placement?fail=1&bound=true")
    assert (found["functions"], found["moves"], found["unplaced"]) == (5, [], [])
    assert [one["function"] for one in found["starts"]] == ["DU-1", "DU-2", "UP"]
    assert 0 <= found["bound_us"] <= found["cost_us"]
    losses = {one["pool"]: one for one in found["losses"]}
    assert losses["far"]["down"] == ["UP-B"]  # the other pool has room, and beta bought nothing there
    assert losses["far"]["moving"] == {"CP": "edge"}
    assert losses["far"]["tenants"] == ["alfa", "beta"]
    assert not losses["edge"]["down"]
    balanced = await _get(virtual.client, "/v1/placement?rebalance=true")
    assert [(one["function"], one["was"], one["pool"]) for one in balanced["moves"]] == [("CP", ["far"], "edge")]
    assert balanced["bound_us"] is None
    assert (await virtual.client.get("/v1/placement?fail=4")).status_code == 422


async def test_metrics_count_functions_and_what_they_take(virtual: ApiBench) -> None:
    page = (await virtual.client.get("/metrics")).text
    samples = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in page.splitlines() if "{" in line}
    for sample, value in {
        'minka_functions{kind="vdu",state="planned"}': 2,
        'minka_functions{kind="vcu-up",state="up"}': 1,
        'minka_pool_cores{pool="edge",part="all"}': 64,
        'minka_pool_cores{pool="far",part="used"}': 14,
        'minka_pool_cores{pool="far",part="committed"}': 18,
        'minka_pool_side_cores{pool="far",side="beta",part="bought"}': 10,
        'minka_pool_side_cores{pool="far",side="beta",part="used"}': 6,
        'minka_pool_side_cores{pool="far",side="host",part="used"}': 8,
        'minka_pool_side_bits_per_second{pool="far",side="beta",part="kept"}': 0,
    }.items():
        assert float(samples[sample]) == value, sample
    virtual.store.holds.add("edge", "rosa", "new servers", None)
    assert 'minka_functions{kind="vdu",state="unplaced"} 2' in (await virtual.client.get("/metrics")).text
    health = {"station": "UP-B", "at": "2026-06-15T12:00:00Z", "reachable": True, "device": "function", "cells": {}}
    health |= {"links": (), "function": {"function-down": "no"}, "placed": {"far": "2026-06-15T10:00:00Z"}}
    pool = {
        "station": "far",
        "at": "2026-06-15T12:00:00Z",
        "reachable": True,
        "device": "pool",
        "cells": {},
        "links": (),
    }
    pool |= {"cluster": {"restarts": {"UP-B": 3}}}
    virtual.store.healths.save([Health.model_validate(one) for one in (health, pool)])
    page = (await virtual.client.get("/metrics?region=r")).text
    assert 'minka_functions{kind="vcu-up",state="down"} 1' in page
    fewer = {**health, "function": {"function-degraded": "1 of 2"}}
    virtual.store.healths.save([Health.model_validate(fewer)])
    degraded = (await virtual.client.get("/metrics?region=r")).text
    assert 'minka_functions{kind="vcu-up",state="degraded"} 1' in degraded
    virtual.store.healths.save([Health.model_validate({**fewer, "reachable": False})])
    assert 'minka_functions{kind="vcu-up",state="unknown"} 1' in (await virtual.client.get("/metrics?region=r")).text
    assert 'minka_function_placed_timestamp_seconds{function="UP-B",pool="far"} 1781517600' in page
    assert 'minka_function_restarts_total{function="UP-B",pool="far"} 3' in page
    assert (await _get(virtual.client, "/v1/functions/UP-B"))["placed"] == {"far": "2026-06-15T10:00:00Z"}
    admit(virtual.store, "token-of-eva", "eva", Role.TENANT_VIEWER, "beta", scopes=(Permission.METRICS,))
    async with virtual.with_token("token-of-eva") as beta:
        assert not re.search("^minka_(pool|functions)", (await beta.get("/metrics")).text, re.MULTILINE)


async def test_the_terminal_shows_the_same(
    virtual: ApiBench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = ("/v1/functions", "/v1/functions/UP-B", "/v1/functions/DU-1", "/v1/pools", "/v1/pools/far", "/v1/placement")
    answers = {path: await _get(virtual.client, path) for path in paths}
    placement = await _get(virtual.client, "/v1/placement?fail=1&bound=true")

    class Api:
        def all(self, path: str, **_: object) -> Listed:
            return Listed(answers[path]["results"])

        def get(self, path: str, **asked: object) -> Any:
            return placement if asked.get("fail") else answers[path]

    monkeypatch.setattr(commands, "client", Api)

    def said(command: Callable[[], None]) -> list[str]:
        command()
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    listed = said(commands.list_functions)
    assert "DU-1 vdu vdu 1 host 1 edge not read yet" in listed
    assert "CP vcu-cp vcu-cp 1 host 2 far not read yet" in listed
    assert said(lambda: commands.show_function("UP-B")) == [
        "UP-B (vcu-up, vcu-up 1, beta's)",
        "1 replica for 1 station",
        "carries 716-02 (1-000002)",
        "runs on far",
        "is to run on far: runs there and may stay: 950 µs away of 1000 that it bears",
        "not read yet: it is not known whether it runs",
    ]
    assert said(lambda: commands.show_function("DU-1"))[3:] == [
        "NETCONF endpoint of S1",
        "runs on no pool (not adopted)",
        "is to run on edge: the only pool near enough: 50 µs away of 100 that it bears",
        "not read yet: it is not known whether it runs",
    ]
    answers["/v1/functions/CP"] = answers["/v1/functions"]["results"][0] | {
        "faults": ["CP is ready nowhere; far: no node is free"],
        "seen": "2026-06-15T12:00:00Z",
        "outdated": True,
    }
    assert said(lambda: commands.show_function("CP"))[-1].endswith("no node is free; changed by a run since")
    assert "far edge r 1 0 14/32 28/128 0/0 10 2 not read yet" in said(commands.list_pools)
    pool = said(lambda: commands.show_pool("far"))
    assert pool[0] == "far (edge, region r), reserve: 0 nodes"
    assert {"cores 14 32", "beta 6 10 10 0", "host 8 0", "n1 32 128 0 0 no not read", "functions: CP, UP-B"} <= set(
        pool
    )
    lost = said(lambda: commands.place(fail=1, bound=True))
    assert lost[0].startswith("5 of 5 functions have a place; ways count as 7900 µs in all, ")
    assert "far n1 0 CP to edge UP-B 2 60 alfa, beta" in lost
    assert said(commands.place)[0] == "5 of 5 functions have a place; ways count as 7900 µs in all"


async def test_replicas_beyond_the_files_are_told_and_take_room(
    virtual: ApiBench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after ``scale-function``, until a plan brings the number of the network files."""
    scaled = LedgerNode(path=deployment_path("CP", "far"), owners=("host",), leaves={"replicas": "3"})
    virtual.store.devices.adopt("CP", [scaled], network_digest(NETWORK), "ana")
    found = await _get(virtual.client, "/v1/functions/CP")
    assert (found["replicas"], found["applied_replicas"]) == (2, 3)
    monkeypatch.setattr(commands, "client", lambda: SimpleNamespace(get=lambda _: found))
    commands.show_function("CP")
    assert "2 replicas by the network files, 3 as applied, for 2 stations" in capsys.readouterr().out
    far = await _get(virtual.client, "/v1/pools/far")
    assert (far["used"][0], far["sides"]["host"]["used_cores"]) == (18, 12)
    assert 'minka_pool_cores{pool="far",part="used"} 18' in (await virtual.client.get("/metrics")).text


async def test_a_move_is_the_playbook_and_a_plan_is_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[object, ...]] = []
    monkeypatch.setattr(playbook, "run", lambda *words, **more: called.append((*words, more["reason"])))
    monkeypatch.setattr(playbook, "dry_run", lambda *words, **_: called.append(words))
    monkeypatch.setattr(plans, "plan", lambda *words, **_: called.append(words))
    commands.move_function("UP-B", to="far", reason="CHG-1")
    commands.move_function("UP-B", dry_run=True)
    commands.plan_function("UP-*")
    commands.plan_pool()
    assert called == [
        ("move-function", ["function=UP-B", "pool=far"], "CHG-1"),
        ("move-function", ["function=UP-B"]),
        ("function=UP-*",),
        ("pool=*",),
    ]
