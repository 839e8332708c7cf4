"""The connections of a device, and their state when the path to it is cut.

In a real outage packets are lost, and neither side learns that the other can't be reached. So here: a device that is
cut off drops its sessions at once, while clients see open connections on which nothing comes. When the path is
restored, those connections are reset, as by a device that does not know them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Any


class Outage(StrEnum):
    """What a client sees of an unreachable device."""

    SILENCE = "silence"
    """Nothing comes, on old connections and on new ones."""
    REFUSAL = "refusal"
    """Connections are reset, old ones and new ones."""


class Refusal(asyncio.Protocol):
    """A connection that is reset as it comes in."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Break it."""
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


class Connections:
    """The connections of one device; ``outage`` is None while it is reachable."""

    __slots__ = ("_open", "outage")

    def __init__(self) -> None:
        self.outage: Outage | None = None
        self._open: set[_Connection] | None = None

    def accept(self, make: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        """The protocol of a connection that comes in; ``make`` makes the device's own."""
        if self.outage is Outage.REFUSAL:
            return Refusal()
        return _Connection(self, None if self.outage is Outage.SILENCE else make())

    def cut(self, outage: Outage) -> None:
        """Make the device unreachable. It loses its connections first, so that it sends nothing more."""
        self.outage = outage
        for connection in list(self._open or ()):
            connection.fall_silent()
            if outage is Outage.REFUSAL:
                connection.reset()

    def restore(self) -> None:
        """Make the device reachable again, and reset connections from before the cut."""
        self.outage = None
        self.reset_silent()

    def reset_silent(self) -> None:
        """Reset the connections that fell silent."""
        for connection in list(self._open or ()):
            if connection.silent:
                connection.reset()

    def opened(self, connection: _Connection) -> None:
        """A connection was made."""
        self._open = self._open or set()
        self._open.add(connection)

    def closed(self, connection: _Connection) -> None:
        """A connection has ended."""
        if self._open is not None:
            self._open.discard(connection)


class _Connection(asyncio.Protocol):
    """A connection: the device's protocol on one side, the transport on the other, unless it fell silent.

    To the device it is the transport. Without a device it is silent from its beginning.
    """

    def __init__(self, connections: Connections, device: asyncio.Protocol | None) -> None:
        self._connections = connections
        self._device = device
        self._transport: asyncio.Transport | None = None

    @property
    def silent(self) -> bool:
        """Whether the device has lost the connection."""
        return self._device is None

    def fall_silent(self) -> None:
        """Let the device lose the connection, unnoticed by the client."""
        device, self._device = self._device, None
        if device is not None:
            device.connection_lost(ConnectionResetError("the way to the client is cut"))

    def reset(self) -> None:
        """Reset the connection for the client."""
        if self._transport is not None:
            self._transport.abort()

    # ---------------------------------------------------- from the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note that the connection is open."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.opened(self)
        if self._device is not None:
            self._device.connection_made(_DeviceTransport(self, transport))

    def data_received(self, data: bytes) -> None:
        """The client sent something."""
        if self._device is not None:
            self._device.data_received(data)

    def eof_received(self) -> bool | None:
        """The client sends no more."""
        return None if self._device is None else self._device.eof_received()

    def pause_writing(self) -> None:
        """The client does not read."""
        if self._device is not None:
            self._device.pause_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._device is not None:
            self._device.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection ended."""
        self._connections.closed(self)
        device, self._device = self._device, None
        if device is not None:
            device.connection_lost(exc)


class _DeviceTransport(asyncio.Transport):
    """The transport that the device sees: it drops everything once the connection is silent."""

    def __init__(self, connection: _Connection, transport: asyncio.Transport) -> None:
        super().__init__()
        self._connection = connection
        self._transport = transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, unless silent."""
        if not self._connection.silent:
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether writing is useless."""
        return self._connection.silent or self._transport.is_closing()

    def close(self) -> None:
        """Close in good order, unless silent."""
        if not self._connection.silent:
            self._transport.close()

    def abort(self) -> None:
        """Reset, unless silent."""
        if not self._connection.silent:
            self._transport.abort()

    def pause_reading(self) -> None:
        """Pause reading."""
        if not self._connection.silent:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take data again."""
        if not self._connection.silent:
            self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of the transport."""
        return self._transport.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As of the transport."""
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """As of the transport."""
        return self._transport.get_write_buffer_size()
