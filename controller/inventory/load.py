"""Load a directory of network files into one checked Network."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from controller.inventory.access import Device, check_access, check_contacts
from controller.inventory.check import (
    Objects,
    check_agreements,
    check_cells,
    check_functions,
    check_header,
    check_neighbours,
    check_own_cells,
    check_places,
    check_pools,
    check_stations,
    check_tenants,
)
from controller.inventory.parse import declared, read_file, read_rows, validate
from controller.inventory.source import CSV_LIMIT, Entry, Report, read_text
from controller.models.credentials import Credentials, ManagementDefaults
from controller.models.errors import NetworkFilesError, Problem
from controller.models.many import first_names
from controller.models.network import Endpoint, Latency, Network, NetworkHeader, Node, Noun, Pool, Router, Tenant

_CHECKS: tuple[Callable[[Objects], None], ...] = (
    check_places,
    check_stations,
    check_cells,
    check_own_cells,
    check_neighbours,
    check_tenants,
    check_agreements,
    check_pools,
    check_functions,
)


def load_network(
    directory: Path,
    *,
    endpoints: Path | None = None,
    routers: Path | None = None,
    pools: Path | None = None,
    added: Sequence[Path] = (),
    credentials: Credentials | None = None,
) -> Network:
    """Read, validate and check all network files under a directory.

    Args:
        directory: holds ``*.yaml`` and ``*.csv`` at any depth; hidden files and folders are left out.
        endpoints: a CSV or YAML file of endpoints that replaces those of the directory.
        routers: the same for routers.
        pools: a CSV file with ``id``, ``address`` and ``port`` of pools that answer elsewhere than the directory says.
        added: files that are read in addition to those of the directory.
        credentials: credentials of the server, which devices must name; None if they are not known.

    Returns:
        The network in canonical order: equal content is equal, however it is spread over files and rows.

    Raises:
        NetworkFilesError: with every problem of every file.
    """
    report = Report()
    replaced = {kind: path for kind, path in (("endpoints", endpoints), ("routers", routers)) if path is not None}
    entries = list(_entries(directory, replaced, report, added))
    _check_one_network(entries)
    if pools is not None:
        entries = _moved(entries, pools, report)
    found: dict[str, list[tuple[Entry, Noun]]] = {}
    for entry in entries:
        if (item := validate(entry, report)) is not None:
            found.setdefault(entry.kind, []).append((entry, item))
    objects = Objects(found, declared(entries), report)
    for check in _CHECKS:
        check(objects)
    objects.report_unknown()
    header = check_header(objects)
    if credentials is not None:
        _check_access(objects, header, credentials)
    if report.problems or header is None:
        problems = sorted(report.problems, key=lambda p: (p.file, p.line, p.field, p.message))
        raise NetworkFilesError(tuple(problems))
    return _network(header, found)


def _check_one_network(entries: Iterable[Entry]) -> None:
    """Check that a directory is that of one network, instead of one above several: then all else is a wrong problem.

    Raises:
        NetworkFilesError: It has networks in several folders.
    """
    folders = sorted({Path(one.file).parent.as_posix() for one in entries if one.kind == "network"})
    if len(folders) > 1:
        message = f"{len(folders)} networks are in it, in {first_names(folders)}"
        raise NetworkFilesError((Problem("the directory", 0, "", "", message, "name the folder of one of them"),))


def sources(
    directory: Path, kinds: Collection[str] = ("agreements", "stations"), added: Sequence[Path] = ()
) -> dict[str, str]:
    """File and line of each object of some kinds, by id, for messages about it."""
    found = {}
    for entry in _entries(directory, {}, Report(), added):
        if entry.kind in kinds and isinstance(entry.data, dict):
            found[str(entry.data.get("id", ""))] = f"{entry.file}:{entry.line}"
    return found


def _check_access(objects: Objects, header: NetworkHeader | None, credentials: Credentials) -> None:
    managed = [(entry, router) for entry, router in objects.all("routers", Router) if router.host_key is not None]
    defaults = header.management if header else ManagementDefaults()
    devices: list[Device] = [*objects.all("endpoints", Endpoint), *managed, *objects.all("pools", Pool)]
    check_access(devices, defaults, credentials, objects.report)
    check_contacts(objects.all("network", NetworkHeader), credentials, objects.report)
    check_contacts(objects.all("tenants", Tenant), credentials, objects.report)


def _entries(
    directory: Path, replaced: Mapping[str, Path], report: Report, added: Sequence[Path] = ()
) -> Iterator[Entry]:
    if not directory.is_dir():
        report.file(str(directory), 0, "no such directory")
        return
    for path in (*_files(directory), *added):
        file = path.relative_to(directory).as_posix() if path.is_relative_to(directory) else path.name
        if path.suffix not in {".yaml", ".csv"}:
            report.file(file, 0, "would not be read", "network files end in .yaml or .csv")
        else:
            for entry in read_file(path, file, report):
                if entry.kind not in replaced:
                    yield entry
    for kind, path in replaced.items():
        yield from _replacement(path, kind, report)


def _replacement(path: Path, kind: str, report: Report) -> Iterator[Entry]:
    """The entries of a file of one kind outside the directory, whatever its name."""
    for entry in read_file(path, path.name, report, kind=kind):
        if entry.kind == kind:
            yield entry
        else:
            report.file(path.name, entry.line, f"{entry.kind} in a file of {kind}")


def _moved(entries: Iterable[Entry], path: Path, report: Report) -> list[Entry]:
    """Entries of which the pools answer at the addresses and ports that a file names."""
    text, columns = read_text(path, path.name, CSV_LIMIT, report), ("id", "address", "port")
    rows = [] if text is None else list(read_rows(text, path.name, columns, columns, report))
    places = {row.get("id", ""): row for _, row in rows}
    found, known = [], set()
    for entry in entries:
        name = str(entry.data.get("id", "")) if entry.kind == "pools" and isinstance(entry.data, dict) else ""
        known.add(name)
        found.append(replace(entry, data={**entry.data, **places[name]}) if name and name in places else entry)
    for line, row in rows:
        if row.get("id", "") not in known:
            report.file(path.name, line, f"no such pool: {row.get('id', '')!r}", "an id of pools of the network files")
    return found


def _files(directory: Path) -> list[Path]:
    """Files to read, in a fixed order, including names that people use by mistake."""
    found = []
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(folder, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in {".yaml", ".yml", ".csv"}
        ]
    return sorted(found)


def _network(header: NetworkHeader, found: dict[str, list[tuple[Entry, Noun]]]) -> Network:
    parts: dict[str, Any] = {
        kind: tuple(sorted((item for _, item in items), key=_canonical))
        for kind, items in found.items()
        if kind != "network"
    }
    return Network(header=header, **parts)


def _canonical(item: Any) -> tuple[str, str]:
    if isinstance(item, Node | Latency):
        return item.pool, item.id if isinstance(item, Node) else item.site
    return getattr(item, "station", ""), getattr(item, "id", "")
