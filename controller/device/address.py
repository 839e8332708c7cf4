"""Where a device is reached, at an address to which its secrets may go, and why it was not."""

from __future__ import annotations

import asyncio
import socket

from controller.models.credentials import literal
from controller.models.errors import AuthenticationError, InputError, SessionLostError, UnreachableError
from controller.ports.devices import DeviceTarget, PoolTarget
from controller.ports.secrets import Secrets


async def address_of(target: DeviceTarget | PoolTarget, secrets: Secrets) -> str:
    """The IP address to connect to: the target's own, or the first of its host name that its credentials serve.

    Whoever connects takes this very address: a name that is resolved again may lead elsewhere.

    Raises:
        AuthenticationError: The credentials serve none of its addresses; nothing was sent to any.
        OSError: The name is not known.
    """
    if literal(target.address) is not None:
        found = [target.address]
    else:
        loop = asyncio.get_running_loop()
        entries = await loop.getaddrinfo(target.address, target.port, type=socket.SOCK_STREAM)
        found = [str(entry[4][0]) for entry in entries]
    refusal = f"{target.address} has no address"
    for address in found:
        try:
            check(target, address, secrets)
        except AuthenticationError as error:
            refusal = error.message
        else:
            return address
    raise AuthenticationError(refusal)


def check(target: DeviceTarget | PoolTarget, address: str, secrets: Secrets) -> None:
    """See to it that a target's credentials serve an IP address.

    Raises:
        AuthenticationError: They do not.
    """
    try:
        for name in target.credentials:
            secrets.check(name, address)
    except InputError as error:
        refusal = f"{target.station}: {error.message}"
    else:
        return
    raise AuthenticationError(refusal)


def not_reached(target: DeviceTarget | PoolTarget, error: Exception) -> UnreachableError:
    """Why no session was opened, where neither host key nor credentials are the reason."""
    where = f"{target.station} ({target.address} port {target.port})"
    match error:
        case TimeoutError():
            return UnreachableError(f"{where} did not open a session in time.")
        case SessionLostError():
            return UnreachableError(f"{where} opened no session: {error.message}")
        case _:
            return UnreachableError(f"{where} can't be reached: {type(error).__name__}: {error}")
