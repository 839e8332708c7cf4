"""The frame of an import from live stations: the parts of a network that stations can't report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.inventory.access import check_access
from controller.inventory.load import load_network
from controller.inventory.parse import read_file, read_rows, validate
from controller.inventory.source import CSV_LIMIT, Entry, Report, read_text
from controller.models.credentials import Credentials
from controller.models.errors import InputError, NetworkFilesError
from controller.models.network import Endpoint, Network


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of an import.

    Attributes:
        network: Header, regions, backhaul, sites, routers and tenants; no stations, no agreements.
        endpoints: Endpoints of the stations.
        places: Site of each station whose site is known.
    """

    network: Network
    endpoints: tuple[Endpoint, ...]
    places: Mapping[str, str] = field(default_factory=dict)


def load_frame(
    directory: Path, endpoints: Path, places: Path | None = None, credentials: Credentials | None = None
) -> Frame:
    """Read the frame of an import.

    Args:
        directory: Network files without stations, cells, own cells, neighbours, endpoints and agreements, which the
            import will find.
        endpoints: A CSV file of endpoints.
        places: A CSV file with the columns ``station`` and ``site``.
        credentials: Credentials of the server, which endpoints must name; None if they are not known.

    Raises:
        NetworkFilesError: With every problem of every file.
        InputError: The files contain objects that the import has to find.
    """
    network = load_network(directory)
    kinds = ("stations", "cells", "own_cells", "neighbours", "endpoints", "agreements")
    given = [kind for kind in kinds if getattr(network, kind)]
    if given:
        raise InputError(f"the files hold {', '.join(given)} already: an import finds these on the stations")
    report = Report()
    found = _endpoints(endpoints, report)
    if credentials is not None:
        check_access(found.values(), network.header.management, credentials, report)
    where = _places(places, report) if places else {}
    for station, (line, site) in where.items():
        if site not in network.site_by_id:
            expected = report.did_you_mean(site, network.site_by_id)
            report.file("places.csv", line, f"station {station} stands on no site of the files: {site!r}", expected)
    if report.problems:
        raise NetworkFilesError(tuple(report.problems))
    if not found:
        raise InputError("the file of endpoints names no station")
    sites = {station: site for station, (_, site) in where.items()}
    return Frame(network, tuple(found[station][1] for station in sorted(found)), sites)


def _endpoints(path: Path, report: Report) -> dict[str, tuple[Entry, Endpoint]]:
    found: dict[str, tuple[Entry, Endpoint]] = {}
    for entry in read_file(path, path.name, report, kind="endpoints"):
        item = validate(entry, report)
        if isinstance(item, Endpoint):
            if item.station in found:
                report.entry(entry, ("station",), "the same station twice", value=item.station)
            found[item.station] = (entry, item)
    return found


def _places(path: Path, report: Report) -> dict[str, tuple[int, str]]:
    """Line and site of each station."""
    text = read_text(path, path.name, CSV_LIMIT, report)
    columns = ("station", "site")
    rows = read_rows(text or "", path.name, columns, columns, report)
    return {row["station"]: (line, row["site"]) for line, row in rows if len(row) == len(columns)}
