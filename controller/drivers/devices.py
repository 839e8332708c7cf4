"""Devices of all kinds: each target goes to the adapter of its kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal

from controller.drivers.cli.devices import CliDevices
from controller.drivers.cli.target import CliTarget
from controller.drivers.netconf.callhome import Callers
from controller.drivers.netconf.connect import Connector
from controller.drivers.netconf.devices import LIMIT, NetconfDevices
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.protocols import DeviceFiles, DeviceSession, DevicesOf, FileServing, Notification, Notifying
from controller.drivers.target import DeviceTarget
from controller.models.errors import DeviceRefusedError, UnreachableError
from controller.models.metrics import Observations
from controller.ports.secrets import Secrets

#: Makes the adapter of a kind.
Adapter = Callable[[], DevicesOf[Any]]


class DevicesByKind:
    """Gives each target to the adapter of its type; implements ``controller.drivers.protocols.Devices``.

    Args:
        adapters: By type of target.
        later: Makes the adapters of further types, when a device of such a type is reached for the first time.
    """

    def __init__(
        self, adapters: Mapping[type[DeviceTarget], DevicesOf[Any]], later: Mapping[type[DeviceTarget], Adapter]
    ) -> None:
        self._adapters = dict(adapters)
        self._later = later

    def session(self, target: DeviceTarget) -> AbstractAsyncContextManager[DeviceSession]:
        """See ``Devices.session``."""
        return self._of(target).session(target)

    def aside(self, target: DeviceTarget) -> AbstractAsyncContextManager[DeviceSession]:
        """See ``Devices.aside``."""
        return self._of(target).aside(target)

    def files(self, target: DeviceTarget) -> AbstractAsyncContextManager[DeviceFiles]:
        """See ``Devices.files``."""
        adapter = self._of(target)
        if not isinstance(adapter, FileServing):
            raise DeviceRefusedError(f"{target.device} serves no measurement files: {target.speaks} has none.")
        return adapter.files(target)

    def notifications(
        self, target: DeviceTarget, since: datetime | None = None, listening: Callable[[], None] | None = None
    ) -> AsyncIterator[Notification]:
        """See ``Devices.notifications``."""
        adapter = self._of(target)
        if not isinstance(adapter, Notifying):
            raise DeviceRefusedError(f"{target.device} notifies nothing: {target.speaks} has no notifications.")
        return adapter.notifications(target, since, listening)

    async def close(self) -> None:
        """See ``Devices.close``."""
        await asyncio.gather(*(adapter.close() for adapter in self._adapters.values()))

    def _of(self, target: DeviceTarget) -> DevicesOf[Any]:
        kind = type(target)
        if kind not in self._adapters:
            if kind not in self._later:
                raise UnreachableError(
                    f"{target.device} is reached over {target.speaks}, which this process does not speak."
                )
            self._adapters[kind] = self._later[kind]()
        return self._adapters[kind]


class AllDevices(DevicesByKind):
    """NETCONF and command lines over the network, and further kinds. Belongs to one loop.

    Args:
        secrets: Resolves credentials, at each connect.
        limit: Sessions to stations at once, in use and idle together; notification sessions are not counted.
        rpc_timeout: Seconds to wait for a reply, and for a file.
        connect_timeout: Seconds for opening a session.
        keepalive: Seconds of silence after which a connection is probed.
        call_timeout: Seconds to wait for a station that calls home; O-RAN stations try every 60 s.
        routers: Sessions to routers at once; each needs a thread.
        connector: Replaces the network to stations, for example in a rehearsal.
        observations: Gets the response times of devices, and the failures to open a session.
        others: Makes the adapters of further types of targets.
        untrusted: Software whose confirmed commit is not used, see ``Capabilities.software``.
    """

    def __init__(
        self,
        secrets: Secrets,
        *,
        limit: int = LIMIT,
        rpc_timeout: float = 60.0,
        connect_timeout: float = 20.0,
        keepalive: float = 30.0,
        call_timeout: float = 90.0,
        routers: int = 32,
        connector: Connector | None = None,
        observations: Observations | None = None,
        others: Mapping[type[DeviceTarget], Adapter] | None = None,
        untrusted: frozenset[str] = frozenset(),
    ) -> None:
        seen = observations or Observations()
        self.stations = NetconfDevices(
            secrets,
            limit=limit,
            rpc_timeout=rpc_timeout,
            connect_timeout=connect_timeout,
            keepalive=keepalive,
            call_timeout=call_timeout,
            connector=connector,
            observations=seen,
            untrusted=untrusted,
        )
        self._routers = CliDevices(secrets, seen, limit=routers, timeout=rpc_timeout, connect_timeout=connect_timeout)
        super().__init__({NetconfTarget: self.stations, CliTarget: self._routers}, others or {})

    def listen(
        self, address: str, port: int, may_call: Callers | None = None, transport: Literal["ssh", "tls"] = "ssh"
    ) -> int:
        """See ``NetconfDevices.listen``."""
        return self.stations.listen(address, port, may_call, transport)

    def expect(self, targets: Iterable[NetconfTarget]) -> None:
        """See ``NetconfDevices.expect``."""
        self.stations.expect(targets)

    @property
    def counts(self) -> dict[str, int]:
        """Number of sessions to stations and routers by state, see ``NetconfDevices.counts``."""
        counts = self.stations.counts
        return counts | {"in-use": counts["in-use"] + self._routers.count}
