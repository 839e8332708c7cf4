"""The twin: all stations of a network in memory, and connections to their NETCONF servers without sockets.

Hello, framing, XML, locks, candidates, confirmed commits and notifications are those of the simulated stations and of
the controller; only what carries the bytes is replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any

from lxml import etree

from controller.drivers.devices import AllDevices
from controller.drivers.netconf.codec import encode_edit
from controller.drivers.netconf.connect import Connector
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.netconf.transport import Connection, Transport
from controller.drivers.protocols import DeviceFiles, RemoteFile
from controller.drivers.target import DeviceTarget
from controller.intent import compile_intent
from controller.models.errors import FileGoneError, OversizedError, SessionLostError, UnreachableError
from controller.models.network import Network
from controller.models.plan import Edit, Op
from controller.nrm.profiles import Rendered, render, root_spec
from controller.nrm.schema import LeafRole, NodeSpec, spec_of
from controller.nrm.tree import child
from controller.ports.secrets import FakeSecrets
from simulators.clock import VirtualClock
from simulators.connections import Outage
from simulators.datastore import Config
from simulators.equipment.files import MeasurementFiles
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.netconf.server import Server
from simulators.netconf.session import Session
from simulators.network import SimulatedNetwork
from simulators.station import StationSettings

#: Name of the controller at the stations.
MANAGER = "minka"
#: Seconds until an unlocked cell is on air or a new link is up, and seconds of a restart.
SETTLE, BOOT = 1.0, 60.0
#: Seconds to wait for the answer of a request.
_PATIENCE = 60.0


def make_fleet(network: SimulatedNetwork, clock: VirtualClock, *configs: Mapping[str, Config]) -> Fleet:
    """All stations, with these configurations applied one after the other to new devices.

    Pools do not run: stations made of functions behave like physical ones.
    """
    stations = StationSettings(settle_seconds=SETTLE, boot_seconds=BOOT)
    fleet = Fleet(network, FleetSettings(stations=stations, pools=False), clock)
    for name, config in chain.from_iterable(each.items() for each in configs):
        fleet.stations[name].datastores.load_saved(config)
    return fleet


def provisioned(network: Network, simulated: SimulatedNetwork, day: date) -> dict[str, Config]:
    """Configuration of each station if it carried exactly what the network files say."""
    intent = compile_intent(network, day, [station.id for station in network.stations])
    fleet = make_fleet(simulated, VirtualClock())
    configs = {}
    for station in network.stations:
        root, rendered = root_spec(station.profiles), render(station.profiles, intent.facts[station.id])
        edits = [_create(root, rendered, path) for path in rendered.tree]
        element = next(iter(rendered.tree))  # what comes with the device, as adoption would have it
        edits += [
            Edit(
                op=Op.MERGE,
                path=child(element, node.name, "1"),
                after=dict(node.given),
                owners=rendered.owners[element],
            )
            for node in root.children
            if node.given
        ]
        datastores = fleet.stations[station.id].datastores
        datastores.foreign_edit(etree.fromstring(etree.tostring(encode_edit(root, edits))))
        configs[station.id] = datastores.running
    return configs


def _create(root: NodeSpec, rendered: Rendered, path: str) -> Edit:
    spec = spec_of(root, path)
    after: dict[str, Any] = dict(rendered.tree[path]) if spec is None else dict(spec.begun(path, rendered.tree))
    state = None if spec is None else spec.leaf_by_role.get(LeafRole.ADMINISTRATIVE_STATE)
    if spec is not None and state is not None and (spec.is_cell or state.default == "LOCKED"):
        after[state.name] = "UNLOCKED"
    return Edit(op=Op.MERGE, path=path, after=after, owners=rendered.owners[path])


# ------------------------------------------------------------------------- the way there


class MemoryConnector(Connector):
    """Opens sessions to the stations of a fleet in this process."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(FakeSecrets({}), timeout=20.0, keepalive=30.0, patience=_PATIENCE)
        self._fleet = fleet

    async def open(self, target: NetconfTarget) -> tuple[Connection, Transport]:
        """See ``Connector.open``. Raises UnreachableError."""
        server = self._fleet.stations[target.device].server
        reach = self._fleet.transport.connections[target.device]
        if reach.outage is Outage.SILENCE:
            await asyncio.sleep(self.timeout)
            raise UnreachableError(f"{target.device} did not answer within {self.timeout:g} s.")
        if reach.outage is Outage.REFUSAL or server.equipment.down:
            raise UnreachableError(f"{target.device} refused the connection.")
        transport = Transport(target.device, _PATIENCE)
        wire = _Wire(transport)
        wire.connect(reach.accept(lambda: _Login(server)))
        try:
            async with asyncio.timeout(self.timeout):
                await transport.greet()
        except (SessionLostError, TimeoutError) as error:
            wire.abort()
            raise UnreachableError(f"{target.device} said no hello: {error}") from None
        return wire, transport


class MemoryDevices(AllDevices):
    """Sessions with the stations of a fleet, and their measurement files, without sockets."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(FakeSecrets({}), connector=MemoryConnector(fleet))
        self._fleet = fleet

    @asynccontextmanager
    async def files(self, target: DeviceTarget) -> AsyncIterator[DeviceFiles]:
        """See ``Devices.files``."""
        async with self.session(target):  # raises if it can't be reached
            station = self._fleet.stations[target.device]
            yield _Folder(station.equipment.files(station.server.profile.files))


@dataclass(frozen=True, slots=True)
class _Folder:
    """The folder of measurement files of a station."""

    files: MeasurementFiles

    async def list(self, most: int) -> tuple[RemoteFile, ...]:
        """See ``DeviceFiles.list``. Sizes are not known without writing the files, and nobody needs them."""
        found = tuple(RemoteFile(one.name, 0, int(one.written.timestamp())) for one in self.files)
        if len(found) > most:
            raise OversizedError(f"the folder holds more than {most} files")
        return tuple(sorted(found))

    async def fetch(self, name: str, most: int) -> bytes:
        """See ``DeviceFiles.fetch``."""
        file = self.files.find(name)
        if file is None:
            raise FileGoneError(f"{name} is not there any more")
        content = self.files.content(file)
        if len(content) > most:
            raise OversizedError(f"{name} holds more than {most} bytes")
        return content[:most]


class _Wire(asyncio.Transport):
    """Both ends of a connection: the controller's session and the station's protocol."""

    def __init__(self, client: Transport) -> None:
        super().__init__()
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._device: asyncio.Protocol | None = None
        self._open = True

    def connect(self, device: asyncio.Protocol) -> None:
        """Start both sides of the connection."""
        self._device = device
        self._client.connection_made(_ToDevice(self))
        device.connection_made(self)

    def from_client(self, data: bytes) -> None:
        """Data from the controller."""
        self._loop.call_soon(self._to_device, data)

    def _to_device(self, data: bytes) -> None:
        if self._open and self._device is not None:
            self._device.data_received(data)

    # ------------------------------------------------ what the station does with it

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Data from the station."""
        if self._open:
            self._loop.call_soon(self._client.data_received, bytes(data), None)

    def is_closing(self) -> bool:
        """Whether the connection is closing."""
        return not self._open

    def close(self) -> None:
        """Close after all data is sent."""
        self._loop.call_soon(self.abort)

    def abort(self) -> None:
        """Abort both sides."""
        if not self._open:
            return
        self._open = False
        self._loop.call_soon(self._client.connection_lost, None)
        if self._device is not None:
            self._loop.call_soon(self._device.connection_lost, None)

    def pause_reading(self) -> None:
        """Not needed: the controller never sends so much."""

    def resume_reading(self) -> None:
        """As ``pause_reading``."""

    # --------------------------------------------- what the controller does with it

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""


@dataclass(frozen=True, slots=True)
class _ToDevice:
    """The channel of the controller's session."""

    wire: _Wire

    def write(self, data: bytes) -> None:
        """Send."""
        self.wire.from_client(data)

    def abort(self) -> None:
        """End it."""
        self.wire.abort()


class _Login(asyncio.Protocol):
    """A station's side of a connection: a session of the manager."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._session: Session | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the session."""
        assert isinstance(transport, asyncio.Transport)
        self._session = Session(self._server, MANAGER, transport)
        self._session.open()

    def data_received(self, data: bytes) -> None:
        """Pass data to the station."""
        assert self._session is not None
        self._session.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the session."""
        assert self._session is not None
        self._session.lost()
