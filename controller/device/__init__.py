"""Sessions to base stations: ncclient's operations over asyncssh on one asyncio loop, without threads.

``SshDevices`` implements the ``Devices`` port: it opens sessions with pinned host keys, keeps them
warm and hands each to one caller at a time. ``target_of`` says how a station of a network is reached.
"""

from controller.device.pool import SshDevices
from controller.device.target import target_of

__all__ = ["SshDevices", "target_of"]
