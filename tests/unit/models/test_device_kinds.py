"""Whatever decides by the kind of a device knows all kinds: a new one shows here where it is missing."""

from __future__ import annotations

import pytest

from controller.inventory.selectors import select
from controller.models.alarm import ObjectClass
from controller.models.network import DeviceKind, Network
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
        root_spec(network.profiles_of(device))
        assert network.region_of(device)
        assert {*network.stations_behind(device)} <= network.station_by_id.keys()
        told = target_names(network, device)
        assert [one.value for one in DeviceKind if told[one.value] is True] == [kind.value] * (
            kind is not DeviceKind.STATION
        )


@pytest.mark.parametrize("kind", DeviceKind)
def test_each_kind_can_be_selected_fails_as_a_whole_and_notifies_or_not(network: Network, kind: DeviceKind) -> None:
    named = "device" if kind is DeviceKind.STATION else kind.value
    devices = [one for one, known in network.device_kinds.items() if known is kind]
    assert select(network, f"{named}={devices[0]}") == (devices[0],)
    assert ObjectClass.of_device(kind).value == kind.value
    assert kind.notifies in (True, False)
