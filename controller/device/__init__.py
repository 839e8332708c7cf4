"""Sessions to base stations and routers: NETCONF over asyncssh and TLS on one asyncio loop, command lines over netmiko.

``AllDevices`` implements the ``Devices`` port: it gives each target to the adapter of its kind. They open sessions with
pinned host keys, and hand each to one caller at a time.
"""

from controller.device.kinds import AllDevices

__all__ = ["AllDevices"]
