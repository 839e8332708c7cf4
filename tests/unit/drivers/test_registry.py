"""Each device of the network files has a target of its kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.drivers.cli.target import CliTarget
from controller.drivers.kubernetes.target import KubernetesTarget
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.registry import target_at, target_of
from controller.drivers.target import DeviceTarget
from controller.inventory.load import load_network
from controller.models.errors import NotFoundError
from controller.models.network import DeviceKind, Endpoint
from tests.unit.plan import samples

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBYv2B6jWVgPqkUIEW3tisvC5RAZh5hGhOUvlKq6xGCe"
TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"


def test_all_kinds_of_devices_have_a_target_that_names_them() -> None:
    kinds: dict[DeviceKind, type[DeviceTarget]] = {}
    endpoint = Endpoint(station="T-LTE-1", address="192.0.2.1", host_key=KEY)
    files = load_network(TINY)
    router = files.routers[0].model_copy(update={"host_key": KEY})
    tiny = files.model_copy(update={"endpoints": (endpoint,), "routers": (router,)})
    for network, devices in ((tiny, ("T-LTE-1", router.id)), (samples.virtual(), ("edge-1", "UP-ALFA"))):
        for device in devices:
            target = target_of(network, device)
            assert (target.device, target.profiles) == (device, network.profiles_of(device))
            assert len(target.addresses) >= 1
            kinds[network.kind_of(device)] = type(target)
    assert kinds == {
        DeviceKind.STATION: NetconfTarget,
        DeviceKind.ROUTER: CliTarget,
        DeviceKind.POOL: KubernetesTarget,
        DeviceKind.FUNCTION: KubernetesTarget,
    }


def test_a_station_that_the_files_do_not_have_yet_is_reached_at_its_endpoint() -> None:
    network = load_network(TINY)
    endpoint = Endpoint(station="NEW-1", address="192.0.2.1", host_key=KEY)
    with pytest.raises(NotFoundError, match="NEW-1"):
        target_of(network, "NEW-1")
    target = target_at(endpoint, network.header.management, ("nr-28541",))
    assert (target.device, target.profiles, target.serves_files) == ("NEW-1", ("nr-28541",), False)
