"""Sessions to base stations and routers: NETCONF over asyncssh and TLS on one asyncio loop, command lines over netmiko.

``SshDevices`` implements the ``Devices`` port: it opens sessions with pinned host keys, keeps them open and hands each
to one caller at a time.
"""

from controller.device.pool import SshDevices

__all__ = ["SshDevices"]
