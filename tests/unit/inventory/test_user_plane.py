"""User planes in network files: networks that are disjoint or said to be shared, and lie within the tenant's VRF."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.inventory.load import load_network
from controller.models.sharing import Plane
from tests.support.network_files import write_network
from tests.unit.inventory.files import FILES, problems, write

MOVISTAR = "    - {id: amf-lima, address: 10.6.2.11}\n"
BITEL = "    - {id: mme-lima, address: 10.15.1.11}\n"


def tenants(movistar: str = "", bitel: str = "") -> dict[str, str]:
    """The tenants with more in their cores: movistar's stands from line 13 on, bitel's after all else."""
    text = FILES["tenants.yaml"]
    text = text.replace(MOVISTAR, f"{MOVISTAR}{movistar}").replace(BITEL, f"{BITEL}{bitel}")
    return {"tenants.yaml": text}


def sgw(*prefixes: str, more: str = "") -> str:
    rows = "".join(f"    - {{id: sgw-{number}, prefix: {prefix}{more}}}\n" for number, prefix in enumerate(prefixes))
    return f"    sgw_pool:\n{rows}"


def test_a_user_plane_is_read_and_written_back(tmp_path: Path) -> None:
    upf = "    upf_pool:\n    - {id: upf, address: 10.6.9.1, prefix: 10.6.9.0/28, slices: [{sst: 1, sd: 000601}]}\n"
    network = load_network(write(tmp_path / "in", tenants(sgw("10.6.8.0/29", "10.6.8.8") + upf, sgw("10.15.8.0/29"))))
    core = network.tenant_by_id["movistar"].core
    assert [str(gateways.prefix) for gateways in core.sgw_pool] == ["10.6.8.0/29", "10.6.8.8/32"]
    assert [str(function.network) for function in core.upf_pool] == ["10.6.9.0/28"]
    write_network(network, tmp_path / "out")
    assert load_network(tmp_path / "out") == network


@pytest.mark.parametrize(
    ("movistar", "bitel", "says"),
    [
        (
            sgw("10.6.8.1/29"),
            "",
            (
                "tenants.yaml:14: tenants[movistar].core.sgw_pool[0].prefix = '10.6.8.1/29': "
                "has bits beyond its length; right is 10.6.8.0/29"
            ),
        ),
        (
            sgw("10.6.8"),
            "",
            (
                "tenants.yaml:14: tenants[movistar].core.sgw_pool[0].prefix = '10.6.8': "
                "not a network or an address, as in 10.64.0.0/24 or 10.64.0.1"
            ),
        ),
        (
            sgw("0.0.0.0/0"),
            "",
            (
                "tenants.yaml:14: tenants[movistar].core.sgw_pool[0].prefix = '0.0.0.0/0': "
                "overlaps 0.0.0.0/8, where no core has its nodes"
            ),
        ),
        (
            sgw("169.254.0.0/30"),
            "",
            (
                "tenants.yaml:14: tenants[movistar].core.sgw_pool[0].prefix = '169.254.0.0/30': "
                "overlaps 169.254.0.0/16, where no core has its nodes"
            ),
        ),
        (
            sgw("10.6.8.0/24", "10.6.8.8/29"),
            "",
            (
                "tenants.yaml:15: tenants[movistar].core.sgw_pool[1].prefix = '10.6.8.8/29': "
                "overlaps 10.6.8.0/24 of tenants[movistar], tenants.yaml line 2; disjoint networks"
            ),
        ),
        (
            sgw("10.6.8.0/24"),
            sgw("10.6.0.0/16"),
            (
                "tenants.yaml:14: tenants[movistar].core.sgw_pool[0].prefix = '10.6.8.0/24': "
                "overlaps 10.6.0.0/16 of tenants[bitel], tenants.yaml line 15; "
                "disjoint networks, or shared: true in both"
            ),
        ),
        (
            sgw("10.6.8.0/24"),
            sgw("10.6.8.0/24", more=", shared: true"),
            (
                "tenants.yaml:23: tenants[bitel].core.sgw_pool[0].prefix = '10.6.8.0/24': "
                "overlaps 10.6.8.0/24 of tenants[movistar], tenants.yaml line 2; "
                "disjoint networks, or shared: true in both"
            ),
        ),
        (
            sgw("10.64.0.0/24"),
            "",
            (
                "tenants.yaml:14: tenants[movistar].core.sgw_pool[0].prefix = '10.64.0.0/24': "
                "holds the transport address of stations[PE-CUS-0001], stations.csv line 2"
            ),
        ),
        (
            "    upf_pool:\n    - {id: upf, address: 10.6.9.17, prefix: 10.6.9.0/28}\n",
            "",
            (
                "tenants.yaml:14: tenants[movistar].core.upf_pool[0]: "
                "address 10.6.9.17 lies outside of prefix 10.6.9.0/28"
            ),
        ),
        (
            "    upf_pool:\n    - {id: upf, address: 10.6.9.1, slices: [{sst: 2}]}\n",
            "",
            (
                "tenants.yaml:14: tenants[movistar].core.upf_pool[0].slices[0]: 2 is not a slice of the tenant; "
                "movistar has 1-000601"
            ),
        ),
    ],
)
def test_what_can_not_be_routed_is_reported_with_its_line(tmp_path: Path, movistar: str, bitel: str, says: str) -> None:
    assert problems(tmp_path, tenants(movistar, bitel)) == [says]


def test_networks_that_both_say_are_shared_are_no_clash_nor_is_one_node_that_is_s_gw_and_upf(tmp_path: Path) -> None:
    both = sgw("10.6.8.0/24", more=", shared: true")
    upf = "    upf_pool:\n    - {id: upf, address: 10.6.8.1, shared: true}\n"
    load_network(write(tmp_path, tenants(both + upf, both)))


def gateway(address: str, more: str = "") -> str:
    return f"    security_gateway: {{address: {address}{more}}}\n"


def test_a_security_gateway_is_read_and_written_back_and_protects_both_planes_by_default(tmp_path: Path) -> None:
    network = load_network(
        write(tmp_path / "in", tenants(gateway("10.6.7.1"), gateway("10.15.7.1", ", protects: [user]")))
    )
    movistar, bitel = (network.tenant_by_id[name].core for name in ("movistar", "bitel"))
    assert [movistar.tunnel_of(plane) for plane in Plane] == ["10.6.7.1", "10.6.7.1"]
    assert [bitel.tunnel_of(plane) for plane in Plane] == ["", "10.15.7.1"]
    write_network(network, tmp_path / "out")
    assert load_network(tmp_path / "out") == network


@pytest.mark.parametrize(
    ("movistar", "bitel", "says"),
    [
        (
            sgw("10.6.8.0/29") + gateway("10.6.8.1"),
            "",
            "security_gateway 10.6.8.1 lies among the user plane nodes that it protects",
        ),
        (gateway("10.6.2.11"), "", "security_gateway 10.6.2.11 lies among the control plane nodes that it protects"),
        (gateway("10.6.7.1", ", protects: []"), "", "tenants[movistar].core.security_gateway.protects"),
        (
            sgw("10.6.8.0/29"),
            gateway("10.6.8.1"),
            "tenants[bitel].core.security_gateway.address = '10.6.8.1': overlaps 10.6.8.0/29 of tenants[movistar]",
        ),
    ],
)
def test_wrong_security_gateways_are_refused(movistar: str, bitel: str, says: str, tmp_path: Path) -> None:
    assert says in "\n".join(problems(tmp_path, tenants(movistar, bitel)))


def test_a_gateway_may_be_a_node_of_the_plane_that_it_does_not_protect(tmp_path: Path) -> None:
    load_network(write(tmp_path, tenants(sgw("10.6.8.0/29") + gateway("10.6.8.1", ", protects: [control]"))))
