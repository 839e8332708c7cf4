"""Targets: endpoints first, the network's defaults behind them."""

from __future__ import annotations

import pytest

from controller.drivers.netconf.target import station_target
from controller.models.errors import NotFoundError
from controller.models.network import Endpoint, ManagementDefaults, Network, NetworkHeader, PerformanceData, Station

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBYv2B6jWVgPqkUIEW3tisvC5RAZh5hGhOUvlKq6xGCe"


def network(*endpoints: Endpoint) -> Network:
    return Network(
        header=NetworkHeader(
            id="n",
            name="N",
            country="PE",
            timezone="America/Lima",
            management=ManagementDefaults(username="minka", credential="core"),
        ),
        stations=tuple(
            Station.model_validate(
                {"id": name, "site": "s", "profiles": "lte-28658", "transport_address": "10.0.0.1", "enb_id": 1}
            )
            for name in ("A", "B")
        ),
        endpoints=endpoints,
    )


def test_defaults_fill_what_the_endpoint_leaves_out() -> None:
    target = station_target(network(Endpoint(station="A", address="10.1.1.1", host_key=KEY)), "A")
    assert (target.address, target.port, target.username, target.credential) == ("10.1.1.1", 830, "minka", "core")
    assert target.profiles == ("lte-28658",)


def test_the_endpoint_wins() -> None:
    endpoint = Endpoint(station="A", address="a", port=8300, host_key=KEY, username="u", credential="lab-key")
    target = station_target(network(endpoint), "A")
    assert (target.username, target.credential, target.port) == ("u", "lab-key", 8300)


def test_files_are_where_the_network_says_unless_the_endpoint_knows_better() -> None:
    def place(performance: PerformanceData | None, **fields: object) -> tuple[int, str]:
        known = Endpoint.model_validate({"station": "A", "address": "a", "host_key": KEY, **fields})
        plain = network(known)
        with_data = plain.model_copy(update={"header": plain.header.model_copy(update={"performance": performance})})
        target = station_target(with_data, "A")
        return target.file_port, target.folder

    assert place(None, file_port=22) == (0, "")
    assert place(PerformanceData()) == (830, "/pm")
    assert place(PerformanceData(file_port=22, folder="/var/pm")) == (22, "/var/pm")
    assert place(PerformanceData(file_port=22), file_port=2222, folder="/data") == (2222, "/data")
    over_tls = {"host_key": None, "transport": "tls", "certificate": f"sha256:{'0a' * 32}"}
    assert place(PerformanceData(), **over_tls) == (0, "")


@pytest.mark.parametrize("station", ["B", "C"])
def test_without_endpoint_or_station_there_is_no_target(station: str) -> None:
    stray = Endpoint(station="C", address="a", host_key=KEY)
    with pytest.raises(NotFoundError, match=station):
        station_target(network(Endpoint(station="A", address="a", host_key=KEY), stray), station)
