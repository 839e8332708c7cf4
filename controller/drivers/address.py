"""The address of a device, to which its credentials may be sent, and why a device was not reached."""

from __future__ import annotations

import asyncio
import socket

from pydantic import SecretStr

from controller.drivers.target import Addressed, DeviceTarget
from controller.models.credentials import literal
from controller.models.errors import AuthenticationError, InputError, SessionLostError, UnreachableError, in_words
from controller.ports.secrets import Secrets

#: Most letters that are shown of what another side said.
_LETTERS = 200


async def address_of(target: Addressed, secrets: Secrets) -> str:
    """The first of ``addresses_of``; raises as it does."""
    return (await addresses_of(target, secrets))[0]


async def addresses_of(target: Addressed, secrets: Secrets) -> tuple[str, ...]:
    """IP addresses to connect to: the target's own, or those of its host name that its credentials allow.

    Callers connect to these very addresses: a second look-up of the name may give others.

    Raises:
        AuthenticationError: The credentials allow none of its addresses; nothing was sent.
        OSError: The name is unknown.
    """
    found = await _looked_up(target)
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


async def secret_for(secrets: Secrets, target: DeviceTarget, name: str) -> SecretStr:
    """A secret that is used for a device; for a function, all its pools may get it.

    Raises:
        InputError: There is no such secret, it is not for all addresses of the device, or does not resolve.
    """
    try:
        addresses = [address for one in target.addresses for address in await _looked_up(one)]
    except OSError as error:
        raise InputError(f"the address of {target.device} is not known: {in_words(error)}") from error
    if not addresses:
        raise InputError(f"the address of {target.device} is not known: it is on no pool")
    for address in addresses:
        secrets.check(name, address)
    return secrets.resolve(name, addresses[0])


async def _looked_up(target: Addressed) -> list[str]:
    if literal(target.address) is not None:
        return [target.address]
    loop = asyncio.get_running_loop()
    entries = await loop.getaddrinfo(target.address, target.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


def check(target: Addressed, address: str, secrets: Secrets) -> None:
    """Check that a target's credentials may be sent to an IP address.

    Raises:
        AuthenticationError: They may not.
    """
    try:
        for name in target.credentials:
            secrets.check(name, address)
    except InputError as error:
        refusal = f"{target.device}: {error.message}"
    else:
        return
    raise AuthenticationError(refusal)


def quoted(words: str) -> str:
    """The beginning of what another side said, as it may be shown: 200 printable letters at most."""
    return "".join(letter if letter.isprintable() else "?" for letter in words[:_LETTERS])


def not_reached(target: Addressed, error: Exception) -> UnreachableError:
    """The error where no session was opened, for a reason other than host key and credentials."""
    where = f"{target.device} ({target.address} port {target.port})"
    match error:
        case TimeoutError():
            return UnreachableError(f"{where} did not open a session in time.")
        case SessionLostError():
            return UnreachableError(f"{where} opened no session: {error.message}")
        case _:
            # The texts of SSH and TLS say what did not fit; those of the operating system repeat the address.
            # They may be the other side's own words, which may be anything and of any length.
            reason = in_words(error) if isinstance(error, OSError) else quoted(str(error)) or in_words(error)
            return UnreachableError(f"{where} can't be reached: {reason}")
