"""The address of a device, to which its credentials may be sent, and why a device was not reached."""

from __future__ import annotations

import asyncio
import socket

from controller.models.credentials import literal
from controller.models.errors import AuthenticationError, InputError, SessionLostError, UnreachableError
from controller.ports.devices import DeviceTarget, PoolTarget
from controller.ports.secrets import Secrets


async def address_of(target: DeviceTarget | PoolTarget, secrets: Secrets) -> str:
    """The first of ``addresses_of``; raises as it does."""
    return (await addresses_of(target, secrets))[0]


async def addresses_of(target: DeviceTarget | PoolTarget, secrets: Secrets) -> tuple[str, ...]:
    """IP addresses to connect to: the target's own, or those of its host name that its credentials allow.

    Callers connect to these very addresses: a second look-up of the name may give others.

    Raises:
        AuthenticationError: The credentials allow none of its addresses; nothing was sent.
        OSError: The name is unknown.
    """
    if literal(target.address) is not None:
        found = [target.address]
    else:
        loop = asyncio.get_running_loop()
        entries = await loop.getaddrinfo(target.address, target.port, type=socket.SOCK_STREAM)
        found = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    served, refusal = [], f"{target.address} has no address"
    for address in found:
        try:
            check(target, address, secrets)
        except AuthenticationError as error:
            refusal = error.message
        else:
            served.append(address)
    if served:
        return tuple(served)
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
