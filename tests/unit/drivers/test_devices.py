"""Each target goes to the adapter of its kind, and a kind that the product does not ship needs one line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar, cast

import pytest

from controller.drivers.cli.target import CliTarget
from controller.drivers.devices import AllDevices, DevicesByKind
from controller.drivers.kubernetes.target import KubernetesTarget
from controller.drivers.protocols import DeviceSession
from controller.drivers.target import Addressed, DeviceTarget
from controller.models.errors import DeviceRefusedError, UnreachableError
from controller.ports.secrets import FakeSecrets


@dataclass(frozen=True, slots=True)
class LampTarget(DeviceTarget):
    """How to reach a lamp on a mast: a kind of its own."""

    speaks: ClassVar[str] = "Morse code"

    colour: str

    @property
    def addresses(self) -> tuple[Addressed, ...]:
        """A lamp is seen, not addressed."""
        return ()


class Lamps:
    """Sessions to lamps, which have no files and notify nothing."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.closed = False

    @asynccontextmanager
    async def session(self, target: LampTarget) -> AsyncIterator[DeviceSession]:
        """See ``Devices.session``."""
        self.opened.append(f"{target.device} {target.colour}")
        yield cast("DeviceSession", self)

    @asynccontextmanager
    async def aside(self, target: LampTarget) -> AsyncIterator[DeviceSession]:
        """See ``Devices.aside``."""
        async with self.session(target) as session:
            yield session

    async def close(self) -> None:
        """See ``Devices.close``."""
        self.closed = True


RED = LampTarget("LAMP-1", (), "red")


async def test_a_further_kind_is_its_target_its_adapter_and_one_line() -> None:
    made: list[Lamps] = []

    def lamps() -> Lamps:
        made.append(Lamps())
        return made[-1]

    devices = AllDevices(FakeSecrets({}), others={LampTarget: lamps})
    assert made == [], "no adapter before a device of its kind is reached"
    async with devices.session(RED) as session, devices.aside(LampTarget("LAMP-2", (), "green")):
        assert cast("object", session) is made[0]
    assert [one.opened for one in made] == [["LAMP-1 red", "LAMP-2 green"]]
    await devices.close()
    assert made[0].closed


async def test_files_and_notifications_are_refused_where_the_kind_has_none() -> None:
    devices = DevicesByKind({LampTarget: Lamps()}, {})
    with pytest.raises(DeviceRefusedError, match=r"^LAMP-1 serves no measurement files: Morse code has none\.$"):
        async with devices.files(RED):
            pass
    with pytest.raises(DeviceRefusedError, match=r"^LAMP-1 notifies nothing: Morse code has no notifications\.$"):
        async for _ in devices.notifications(RED):
            pass


async def test_routers_notify_nothing_and_serve_no_files() -> None:
    devices = AllDevices(FakeSecrets({}))
    router = CliTarget("RT-1", ("cisco_ios",), "192.0.2.1", 22, "", "minka", "device")
    with pytest.raises(DeviceRefusedError, match="RT-1 serves no measurement files"):
        async with devices.files(router):
            pass
    with pytest.raises(DeviceRefusedError, match="RT-1 notifies nothing"):
        async for _ in devices.notifications(router):
            pass
    await devices.close()


async def test_a_process_without_the_adapter_says_which_protocol_it_does_not_speak() -> None:
    devices = AllDevices(FakeSecrets({}))
    said = "UP-1 is reached over Kubernetes, which this process does not speak."
    with pytest.raises(UnreachableError, match=said):
        async with devices.session(KubernetesTarget("UP-1", ("function",), ())):
            pass
    await devices.close()
