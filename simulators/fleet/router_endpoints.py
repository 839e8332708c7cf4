"""Where the routers of a fleet listen, as a controller wants to read it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

from simulators.network import RouterRecord


@dataclass(frozen=True, slots=True)
class RouterEndpoint:
    """A row of ``routers.csv``: where a router listens, and the host key it shows there."""

    id: str
    site: str
    address: str
    port: int
    platform: str
    host_key: str


def routers_csv(endpoints: Iterable[RouterEndpoint]) -> str:
    """The endpoints as ``routers.csv``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(RouterEndpoint)])
    writer.writerows(astuple(endpoint) for endpoint in endpoints)
    return text.getvalue()


def as_in_files(_index: int, record: RouterRecord) -> tuple[str, int]:
    """The address of the network files if it is this machine's own; a router of the field gets a free port."""
    return (record.address, record.port) if record.address.startswith("127.") else ("127.0.0.1", 0)
