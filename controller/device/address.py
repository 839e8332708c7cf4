"""The address of a device, to which its credentials may be sent, and why a device was not reached."""

from __future__ import annotations

import asyncio
import socket

from controller.models.credentials import literal
from controller.models.errors import AuthenticationError, InputError, SessionLostError, UnreachableError
from controller.ports.devices import DeviceTarget, PoolTarget
from controller.ports.secrets import Secrets


async def address_of(target: DeviceTarget | PoolTarget, secrets: Secrets) -> str:
    """The IP address to connect to: the target's own, or the first address of its host name that its credentials allow.

    Callers connect to this very address: a second look-up of the name may give another one.

    Raises:
        AuthenticationError: The credentials allow none of its addresses; nothing was sent.
        OSError: The name is unknown.
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
    """Check that a target's credentials may be sent to an IP address.

    Raises:
        AuthenticationError: They may not.
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
    """The error where no session was opened, for a reason other than host key and credentials."""
    where = f"{target.station} ({target.address} port {target.port})"
    match error:
        case TimeoutError():
            return UnreachableError(f"{where} did not open a session in time.")
        case SessionLostError():
            return UnreachableError(f"{where} opened no session: {error.message}")
        case _:
            return UnreachableError(f"{where} can't be reached: {type(error).__name__}: {error}")
