"""Access to devices: credentials that the server has, and addresses for which they may be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, assert_never
from urllib.parse import urlsplit

from controller.inventory.source import Entry, FieldPath, Report
from controller.models.credentials import Credentials, ManagementDefaults, literal, words
from controller.models.network import Endpoint, Network, NetworkHeader, Pool, Router, Tenant

#: A device, or a pool of functions, as written in a file.
Device = tuple[Entry, Endpoint | Router | Pool]


def check_access(
    devices: Iterable[Device], defaults: ManagementDefaults, credentials: Credentials, report: Report
) -> None:
    """Report unknown credentials, and addresses for which they may not be used.

    Host names are resolved and checked when connecting.

    Args:
        devices: Endpoints, managed routers and pools.
        defaults: The network's credentials for devices that name none.
        credentials: The server's credentials.
        report: Collects what is wrong.
    """
    missing: set[str] = set()
    for entry, device in devices:
        if (pool := pool_of(device)) is not None:
            _check_ims(entry, pool, credentials, report)
        for field, name in device.credentials(defaults).items():
            if name in credentials.credentials:
                _check_address(entry, device, name, credentials, report)
            elif getattr(device, field) is not None:
                report.entry(entry, (field,), "the server has no such credential", expected=credentials.choices)
            elif name not in missing:
                missing.add(name)
                said = f"the server has no such credential as network.management.{field}"
                report.entry(entry, (field,), said, expected=credentials.choices)


def pool_of(device: Endpoint | Router | Pool) -> Pool | None:
    """The device if it is a pool, which alone has a path of its API, and an O2 IMS beside it."""
    match device:
        case Pool():
            return device
        case Endpoint() | Router():
            return None
        case _:
            assert_never(device)


def _check_ims(entry: Entry, pool: Pool, credentials: Credentials, report: Report) -> None:
    at = literal(pool.ims_address or "")
    for field, name in pool.ims_credentials.items():
        if name not in credentials.credentials:
            report.entry(entry, (field,), "the server has no such credential", expected=credentials.choices)
        elif at is not None and not (credential := credentials.named(name)).serves(at):
            said = f"outside of the networks of credential {name}"
            report.entry(entry, ("ims_address",), said, value=at, expected=f"networks are {words(credential.networks)}")


def check_contacts(
    sides: Sequence[tuple[Entry, NetworkHeader]] | Sequence[tuple[Entry, Tenant]],
    credentials: Credentials,
    report: Report,
) -> None:
    """Report contacts with a signing secret that the server does not have, or that is not for them.

    Args:
        sides: The header, for the host, and tenants.
        credentials: The server's credentials.
        report: Collects what is wrong.
    """
    for entry, side in sides:
        for number, contact in enumerate(side.contacts):
            name, said = contact.credential, "the server has no such credential"
            if name is not None and name not in credentials.credentials:
                where = ("contacts", number, "credential")
                report.entry(entry, where, said, expected=credentials.choices)
            elif name is not None and contact.webhook is not None:
                _check_webhook(entry, ("contacts", number, "webhook"), contact.webhook, name, credentials, report)


def _check_webhook(
    entry: Entry, where: FieldPath, url: str, name: str, credentials: Credentials, report: Report
) -> None:
    at, credential = literal(urlsplit(url).hostname or ""), credentials.named(name)
    if at is not None and not credential.serves(at):
        said = f"outside of the networks of credential {name}"
        report.entry(entry, where, said, value=str(at), expected=f"networks are {words(credential.networks)}")


def _check_address(
    entry: Entry, device: Endpoint | Router | Pool, name: str, credentials: Credentials, report: Report
) -> None:
    at, credential = literal(device.address or ""), credentials.named(name)
    if at is not None and not credential.serves(at):
        said = f"outside of the networks of credential {name}"
        report.entry(entry, ("address",), said, value=at, expected=f"networks are {words(credential.networks)}")


# ----------------------------------------------------------------- audit trail


#: Devices in one row of the trail.
_AT_ONCE = 100


def ways(devices: Iterable[Endpoint | Router | Pool], defaults: ManagementDefaults) -> dict[str, str]:
    """Address and names of credentials by device, as in ``10.0.0.1:830 device``."""
    return {
        device.station if isinstance(device, Endpoint) else device.id: _words(device, defaults) for device in devices
    }


def changed_ways(before: Network | None, after: Network) -> dict[str, str]:
    """Ways of a network that differ from an earlier one."""
    known = set(_of(before).items()) if before is not None else set()
    return {device: way for device, way in _of(after).items() if (device, way) not in known}


class WaysRow(NamedTuple):
    """An audit row about the ways to some devices: its detail for people, and these devices."""

    detail: dict[str, str]
    about: tuple[str, ...]


def in_rows(found: Mapping[str, str]) -> Iterator[WaysRow]:
    """Audit rows, as many as needed."""
    names = sorted(found)
    for first in range(0, len(names), _AT_ONCE):
        some = tuple(names[first : first + _AT_ONCE])
        yield WaysRow({"devices": "; ".join(f"{device} {found[device]}" for device in some)}, some)


def _of(network: Network) -> dict[str, str]:
    return ways((*network.endpoints, *network.router_by_id.values(), *network.pools), network.header.management)


def _words(device: Endpoint | Router | Pool, defaults: ManagementDefaults) -> str:
    names = " ".join(device.credentials(defaults).values())
    path = ""
    if (pool := pool_of(device)) is not None:
        path = pool.path or ""
        if pool.ims_address is not None:
            names += f" and {pool.ims_address}:{pool.ims_port} {' '.join(pool.ims_credentials.values())}"
    return f"{device.address}:{device.port}{path} {names}" if device.address else f"calls home {names}"
