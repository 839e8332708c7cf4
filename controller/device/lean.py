"""Less work per SSH packet than asyncssh does and can't be told to leave out.

Before each packet asyncssh sends an SSH_MSG_IGNORE, against an attack on ciphers in CBC mode (RFC 4251
§9.3.1). We offer none of those (``connect``). And it writes each packet into a log that nobody keeps.
"""

from __future__ import annotations

import asyncssh
from asyncssh.constants import MSG_IGNORE
from asyncssh.packet import SSHPacket, SSHPacketLogger


class _Connection(asyncssh.SSHClientConnection):
    """A connection that sends nothing that says nothing."""

    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        """Send it, if it says something."""
        if pkttype != MSG_IGNORE:
            super().send_packet(pkttype, *args, handler=handler)


def lighten(connection: asyncssh.SSHClientConnection, channel: asyncssh.SSHClientChannel[bytes]) -> None:
    """Spare a connection and its channel the work."""
    connection.__class__ = _Connection
    for one in (connection, channel):
        one.log_sent_packet = one.log_received_packet = _unlogged  # type: ignore[assignment,method-assign]


def _unlogged(_type: int, _id: int | None, _packet: bytes | SSHPacket, _note: str = "") -> None:
    """Say nothing."""
