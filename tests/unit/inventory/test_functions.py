"""Pools and functions in network files: what is read, what is refused, and that the twin reads the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.cli.checks import check_files
from controller.cli.groups import finding_lines as lines
from controller.drivers.kubernetes.target import pool_target
from controller.inventory.load import load_network
from controller.inventory.write import render_network
from controller.models.cloud import FunctionKind, PoolPlace
from controller.models.credentials import Credentials
from controller.models.errors import NetworkFilesError
from controller.models.network import Network
from simulators.network import SimulatedNetwork, read_network
from tests.unit.inventory.files import CLOUD, problems, write


@pytest.fixture(scope="module")
def virtual(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, SimulatedNetwork]:
    """The network as the controller reads it and as the twin does."""
    folder = write(tmp_path_factory.mktemp("virtual"), CLOUD)
    return load_network(folder), read_network(folder)


def test_reads_pools_and_functions(virtual: tuple[Network, SimulatedNetwork]) -> None:
    network, _ = virtual
    edge, site = network.pools
    assert (edge.id, edge.where, edge.port, edge.spare_nodes) == ("edge-1", PoolPlace.EDGE, 6443, 1)
    assert (site.site, site.port, site.spare_nodes) == ("cusco-1", 16443, 0)
    assert [(node.id, node.domain) for node in network.nodes_of["edge-1"]] == [
        ("node-a", "rack-1"),
        ("node-b", "/node-b"),
    ]
    package = network.package_by_id["du-24"]
    assert (package.kind, package.f1, package.profiles) == (FunctionKind.VDU, ("17.4", "17.5"), ("nr-28541",))
    assert network.station_by_id["PE-CUS-0001"].functions == ("DU-1", "CP-1", "UP-1")
    assert network.stations_served == dict.fromkeys(("DU-1", "CP-1", "UP-1"), ("PE-CUS-0001",))
    assert [network.function_by_id[one].side for one in ("DU-1", "UP-1")] == ["host", "movistar"]


def test_a_function_may_run_where_its_stations_are_near_enough(virtual: tuple[Network, SimulatedNetwork]) -> None:
    network, _ = virtual
    assert network.delays.latency_us == {"cusco-1": {"site-1": 0, "edge-1": 80}, "puno-1": {"edge-1": 900}}
    assert network.delays.pools_for == {"DU-1": ("edge-1", "site-1"), "CP-1": ("edge-1", "site-1"), "UP-1": ("edge-1",)}
    functions = [one.model_copy(update={"max_latency_us": 79, "pool": None}) for one in network.functions]
    assert set(network.model_copy(update={"functions": tuple(functions)}).delays.pools_for.values()) == {("site-1",)}
    puno = network.station_by_id["PE-PUN-0001"].model_copy(update={"functions": ("DU-1",)})
    assert network.model_copy(update={"stations": (network.stations[0], puno)}).delays.pools_for["DU-1"] == ()
    assert network.model_copy(update={"stations": ()}).delays.pools_for["DU-1"] == ()


def test_files_written_back_are_read_as_the_same_network(
    virtual: tuple[Network, SimulatedNetwork], tmp_path: Path
) -> None:
    network, _ = virtual
    for name, text in render_network(network).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert load_network(tmp_path) == network


def test_the_twin_reads_the_same(virtual: tuple[Network, SimulatedNetwork]) -> None:
    network, twin = virtual
    for pool, record in zip(network.pools, twin.pools, strict=True):
        for field in ("id", "address", "port", "where", "region"):
            assert getattr(record, field) == getattr(pool, field), field
        assert record.site == (pool.site or "")
        for node, server in zip(network.nodes_of[pool.id], record.nodes, strict=True):
            said = node.model_dump(exclude={"pool"}) | {"failure_domain": node.failure_domain or ""}
            assert {name: getattr(server, name) for name in said} == said
    for package in network.packages:
        said = package.model_dump(exclude={"f1", "e1", "gbps"})
        assert {name: getattr(twin.packages[package.id], name) for name in said} == said
    for function, run in zip(network.functions, twin.functions, strict=True):
        assert (run.id, run.package, run.replicas) == (function.id, function.package, function.replicas)
        assert (run.owner, run.pool, run.address) == (function.owner or "", function.pool or "", function.address or "")
        assert run.stations == network.stations_served[function.id]
    assert [one.functions for one in twin.stations] == [one.functions for one in network.stations]


def test_pools_name_credentials_that_the_server_has_and_that_are_for_their_addresses(tmp_path: Path) -> None:
    held = {name: {"reference": "env:X", "networks": ["10.9.0.0/31"]} for name in ("pool-authority", "test-password")}
    credentials = Credentials.model_validate({"credentials": held})
    endpoints = {"endpoints.csv": "station,address,port,host_key\n"}
    has = "MINKA_CREDENTIALS has pool-authority, test-password"
    missing = f"the server has no such credential; {has}"
    outside = "outside of the networks of credential pool-authority; networks are 10.9.0.0/31"
    assert problems(tmp_path, {**CLOUD, **endpoints}, credentials) == [
        f"pools.csv:2: pools[edge-1].credential: {missing}",
        f"pools.csv:3: pools[site-1].address = '10.9.0.2': {outside}",
        f"pools.csv:3: pools[site-1].credential: {missing}",
    ]


def test_pools_may_answer_elsewhere_than_the_files_say(tmp_path: Path) -> None:
    folder, elsewhere = write(tmp_path / "network", CLOUD), tmp_path / "elsewhere.csv"
    elsewhere.write_text("id,address,port\nedge-1,127.0.0.1,9001\n")
    files, moved = load_network(folder), load_network(folder, pools=elsewhere)
    found = moved.pool_by_id["edge-1"]
    assert (str(found.address), found.port) == ("127.0.0.1", 9001)
    assert {one.id for one in moved.pools if one != files.pool_by_id[one.id]} == {"edge-1"}
    elsewhere.write_text("id,address,port\nedge-nowhere,127.0.0.1,9001\n")
    with pytest.raises(NetworkFilesError, match=r"elsewhere.csv:2: no such pool: 'edge-nowhere'"):
        load_network(folder, pools=elsewhere)


def test_a_proxy_may_stand_before_several_pools(tmp_path: Path) -> None:
    pools = [line.replace("10.9.0.2,16443", "10.9.0.1,6443") for line in CLOUD["pools.csv"].splitlines()]
    paths = ("path", "/k8s/clusters/c-1", "/k8s/clusters/c-2")
    files = {**CLOUD, "pools.csv": "\n".join(f"{line},{path}" for line, path in zip(pools, paths, strict=True)) + "\n"}
    network = load_network(write(tmp_path / "good", files))
    assert [pool_target(network, pool.id).pools[0].path for pool in network.pools] == [*paths[1:]]
    same = {**files, "pools.csv": files["pools.csv"].replace("c-2", "c-1")}
    assert problems(tmp_path / "same", same) == [
        "pools.csv:3: pools[site-1].address: the same address and port as pools[edge-1], pools.csv line 2"
    ]
    above = {**files, "pools.csv": files["pools.csv"].replace("/c-2", "/../c-2")}
    assert "pools.csv:3: pools[site-1].path = '/k8s/clusters/../c-2'" in str(problems(tmp_path / "above", above))


def test_an_o2_ims_has_a_credential_of_its_own(tmp_path: Path) -> None:
    pools = CLOUD["pools.csv"].splitlines()
    pools = [f"{pools[0]},ims_address,ims_credential", f"{pools[1]},10.9.9.1,ims-token", f"{pools[2]},,"]
    files = {**CLOUD, "pools.csv": "\n".join(pools) + "\n"}
    edge, site = load_network(write(tmp_path / "good", files)).pools
    assert (edge.ims_address, edge.ims_port, edge.ims_credential) == ("10.9.9.1", 443, "ims-token")
    assert (edge.ims_credentials["ims_credential"], site.ims_credentials) == ("ims-token", {})
    assert read_network(tmp_path / "good").pools
    alone = {**files, "pools.csv": files["pools.csv"].replace("ims-token", "")}
    assert problems(tmp_path / "alone", alone) == [
        "pools.csv:2: pools[edge-1]: ims_address and ims_credential go together"
    ]
    networks = {"pool-authority": "10.0.0.0/8", "pool-token": "10.0.0.0/8", "ims-token": "10.8.0.0/16"}
    named = {name: {"reference": "env:X", "networks": [where]} for name, where in networks.items()}
    said = problems(tmp_path / "away", files, Credentials.model_validate({"credentials": named}))
    assert (
        "pools.csv:2: pools[edge-1].ims_address = '10.9.9.1': outside of the networks of credential ims-token"
        in str(said)
    )


def test_the_check_of_files_says_what_has_no_place_and_where_it_stands(tmp_path: Path) -> None:
    nodes = CLOUD["nodes.csv"].replace(",32,128,", ",7,128,").replace(",16,64,", ",7,64,")
    _, findings, where = check_files(write(tmp_path, {**CLOUD, "nodes.csv": nodes}), None, None)
    (unplaced,) = (one for one in findings if one.station == "DU-1")
    assert unplaced.message == (
        "function DU-1 has no place: no room: site-1: 7 cores are free and it takes 8, "
        "edge-1: 7 cores are free beside its reserve and it takes 8"
    )
    assert any(line.startswith("error: functions.csv:3: function CP-1 has no place") for line in lines(findings, where))


def test_the_check_of_files_says_which_pool_is_of_no_use_and_where_it_stands(tmp_path: Path) -> None:
    """And names no pool beside it that a reason mentions."""
    nodes = CLOUD["nodes.csv"].replace("site-1,node-a,16,64,32,1,true,\n", "").replace(",32,128,", ",7,128,")
    _, findings, where = check_files(write(tmp_path, {**CLOUD, "nodes.csv": nodes}), None, None)
    said = lines(findings, where)
    assert "warning: pools.csv:3: pool site-1: nothing can run there: of nodes it has none (pool-without-room)" in said
    assert any(line.startswith("error: functions.csv:2: function DU-1 has no place") for line in said)


def test_alike_findings_of_pools_are_counted_as_pools(tmp_path: Path) -> None:
    nodes = CLOUD["nodes.csv"].splitlines()[0] + "\n"
    _, findings, where = check_files(write(tmp_path, {**CLOUD, "nodes.csv": nodes}), None, None)
    line = "warning: pools.csv:2: pool edge-1: nothing can run there: of nodes it has none; the same on 2 pools in all"
    assert f"{line} (pool-without-room)" in lines(findings, where)


def test_packages_of_one_release_in_two_sizes_have_the_same_image(tmp_path: Path) -> None:
    (du,) = (line for line in CLOUD["packages.csv"].splitlines() if line.startswith("du-24,"))
    more = CLOUD["packages.csv"] + du.replace("du-24,", "du-24-large,").replace(",8,16,8,", ",16,32,16,") + "\n"
    network = load_network(write(tmp_path, {**CLOUD, "packages.csv": more}))
    assert network.package_by_id["du-24-large"].image == network.package_by_id["du-24"].image
