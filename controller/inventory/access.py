"""Checks of how devices are reached: by credentials that the server has, at addresses that these are for."""

from __future__ import annotations

from collections.abc import Iterable

from controller.inventory.source import Entry, Report
from controller.models.credentials import Credentials, ManagementDefaults, literal, words
from controller.models.network import Endpoint, Router

#: A device as it stands in a file.
Device = tuple[Entry, Endpoint | Router]


def check_access(
    devices: Iterable[Device], defaults: ManagementDefaults, credentials: Credentials, report: Report
) -> None:
    """Report credentials that the server does not have, and addresses that they are not for.

    Names of hosts are looked up, and checked, when they are connected to.

    Args:
        devices: Endpoints and managed routers.
        defaults: The network's credentials for those that name none.
        credentials: The server's.
        report: Collects what is wrong.
    """
    missing: set[str] = set()
    for entry, device in devices:
        for field, name in device.credentials(defaults).items():
            if name in credentials.credentials:
                _check_address(entry, device, name, credentials, report)
            elif getattr(device, field) is not None:
                report.entry(entry, (field,), "the server has no such credential", expected=credentials.choices)
            elif name not in missing:
                missing.add(name)
                said = f"the server has no such credential as network.management.{field}"
                report.entry(entry, (field,), said, expected=credentials.choices)


def _check_address(
    entry: Entry, device: Endpoint | Router, name: str, credentials: Credentials, report: Report
) -> None:
    at, credential = literal(device.address or ""), credentials.named(name)
    if at is not None and not credential.serves(at):
        said = f"outside of the networks of credential {name}"
        report.entry(entry, ("address",), said, value=at, expected=f"networks are {words(credential.networks)}")
