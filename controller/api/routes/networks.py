"""The network: load a version, show the current one, import live stations."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import Field
from starlette.concurrency import run_in_threadpool

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Listing, Paging, Services, cut
from controller.api.views import CallerView
from controller.drivers.registry import target_of
from controller.inventory.differences import Difference, differences
from controller.inventory.frame import Frame, load_frame
from controller.inventory.load import load_network
from controller.inventory.selectors import select
from controller.inventory.source import unknown
from controller.inventory.write import render_network
from controller.models.credentials import Credentials
from controller.models.errors import InputError, NotFoundError, in_words
from controller.models.many import first_names
from controller.models.network import HOST, Network, Plmn, Rat, network_digest
from controller.models.people import Permission, Person
from controller.plan import CellTenant, SharedCell, shared_cells
from controller.ports.webhook import Webhook
from controller.store import Store

router = Router(prefix="/v1/network", tags=["network"])

#: Most folders above an uploaded file.
_DEEPEST = 32


class NetworkUpload(Body):
    """Network files by name, as in ``{"agreements.yaml": "agreements: …"}``.

    ``endpoints`` and ``routers`` replace those of the files, as ``--endpoints`` and ``--routers`` do; ``pools`` names
    other addresses of pools, as ``--pools`` does.
    """

    files: dict[str, str] = Field(min_length=1, max_length=10_000)
    endpoints: str | None = None
    routers: str | None = None
    pools: str | None = None


class ImportUpload(Body):
    """What stations can't say: network files with header, regions, sites and tenants, and the stations' endpoints.

    ``places`` is CSV with the columns ``station`` and ``site``.
    """

    files: dict[str, str] = Field(min_length=1, max_length=10_000)
    endpoints: str
    places: str | None = None


class ImportedFiles(Body):
    """Network files by name, and notes on what they lack."""

    files: dict[str, str]
    notes: tuple[str, ...]


class SharedCellView(Body):
    """A cell with the tenants that share it: by the agreements in force today, and by what Minka has configured.

    If ``agreed`` and ``configured`` PLMNs of a tenant differ, the tenant still has to be added or removed.
    """

    station: str
    cell: str
    rat: Rat
    band: str
    primary_plmn: Plmn
    tenants: tuple[CellTenant, ...]


class NetworkSummary(Body):
    """The current network in numbers."""

    id: str
    name: str
    digest: str
    counts: dict[str, int]


class LoadedNetwork(NetworkSummary):
    """What was loaded.

    ``changed`` says whether it is a new version. ``abandoned`` are devices with nodes of ours that the files no longer
    have: they can't be changed or watched, and routers keep no routes for them. ``out_of_reach`` are stations and
    routers that the version before could reach, and that these files have without an endpoint or a host key: they can't
    be changed or watched either. ``warnings`` name credentials without a secret, and
    contacts that no message can reach by the settings. ``differences`` are the objects that these files add, change and
    remove against the version before, by kind; none where there was no version before.
    """

    changed: bool
    abandoned: tuple[str, ...]
    out_of_reach: tuple[str, ...]
    warnings: tuple[str, ...]
    differences: tuple[Difference, ...]


def _summary(digest: str, network: Network) -> NetworkSummary:
    kinds = (
        "regions",
        "sites",
        "stations",
        "cells",
        "own_cells",
        "neighbours",
        "endpoints",
        "routers",
        "pools",
        "nodes",
        "packages",
        "functions",
        "tenants",
        "agreements",
    )
    counts = {kind: len(getattr(network, kind)) for kind in kinds}
    return NetworkSummary(id=network.header.id, name=network.header.name, digest=digest, counts=counts)


def _abandoned(store: Store, network: Network) -> tuple[str, ...]:
    missing = [name for name, record in store.devices.find().items() if record.adopted and not network.manages(name)]
    return tuple(sorted(name for name, nodes in store.ledger.find(missing).items() if nodes))


def _out_of_reach(before: Network | None, now: Network, abandoned: Collection[str]) -> tuple[str, ...]:
    """Devices of both networks that only the one before could reach, without those that are abandoned."""
    if before is None:
        return ()
    still = now.station_by_id.keys() | {one.id for one in now.routers}
    return tuple(sorted((before.addressed - now.addressed) & still - set(abandoned)))


def _warnings(network: Network, backend: Services) -> tuple[str, ...]:
    """Settings that are missing for this network: devices can't be reached by us, or people."""
    unreached = _unreached(network, backend.channels.get("e-mail"), backend.missing_secret)
    return (*_secretless(network, backend.missing_secret), *unreached)


def _secretless(network: Network, missing: Callable[[str], str]) -> tuple[str, ...]:
    """Warnings about credentials without a secret: which device needs it, and what to do."""
    devices: dict[str, list[str]] = {}
    for device in sorted(filter(network.manages, {*network.endpoint_by_station, *network.router_by_id})):
        for name in target_of(network, device).credentials:
            devices.setdefault(name, []).append(device)
    reasons = {name: missing(name) for name in sorted(devices)}
    processes = "the API, workers, listener and scheduler"
    return tuple(
        f"credential {name!r} of {first_names(devices[name], 1)}: {reason}, for {processes}"
        for name, reason in reasons.items()
        if reason
    )


def _unreached(network: Network, mail: Webhook | None, missing: Callable[[str], str]) -> Iterator[str]:
    """Warnings about contacts that no message can reach by these settings."""
    sides = {HOST: network.header.contacts} | {one.id: one.contacts for one in network.tenants}
    by_reason: dict[str, list[str]] = {}
    for side, contact in ((side, contact) for side, contacts in sides.items() for contact in contacts):
        if contact.email is not None:
            reason = "" if mail is None else mail.lacks({"to": [contact.email]})
        else:
            reason = missing(contact.credential or "")
        if reason:
            by_reason.setdefault(reason, []).append(f"{contact.id} of {side}")
    for reason, names in by_reason.items():
        yield f"notices and calls don't reach {first_names(names)}: {reason}"


def _write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write uploaded files to a directory.

    Raises:
        InputError: A name leads out of the directory, or is not a valid name.
    """
    root = folder / "files"
    root.mkdir()
    for name, text in files.items():
        path = PurePosixPath(name)
        if len(path.parts) > _DEEPEST:
            raise InputError(f"{name[:60]!r}… is a file more than {_DEEPEST} folders deep: put it into fewer")
        if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name:
            raise InputError(f"{name!r} is not a file name within a network directory")
        target = root.joinpath(*path.parts)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode())
        except (FileExistsError, NotADirectoryError, IsADirectoryError, UnicodeError) as error:
            raise InputError(f"the file {name!r} can't be accepted: {in_words(error)}") from error
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise InputError("a file name is too long") from error
    return root


def _beside(folder: Path, name: str, text: str | None) -> Path | None:
    """Write a file that is uploaded beside the directory."""
    if text is None:
        return None
    path = folder / name
    path.write_text(text, encoding="utf-8", errors="replace")
    return path


def _load(upload: NetworkUpload, credentials: Credentials) -> Network:
    with tempfile.TemporaryDirectory(prefix="minka-network-") as name:
        folder = Path(name)
        return load_network(
            _write(folder, upload.files),
            endpoints=_beside(folder, "endpoints.csv", upload.endpoints),
            routers=_beside(folder, "routers.csv", upload.routers),
            pools=_beside(folder, "pools.csv", upload.pools),
            credentials=credentials,
        )


def _frame(upload: ImportUpload, credentials: Credentials) -> Frame:
    with tempfile.TemporaryDirectory(prefix="minka-import-") as name:
        folder = Path(name)
        endpoints, places = folder / "endpoints.csv", _beside(folder, "places.csv", upload.places)
        endpoints.write_text(upload.endpoints, encoding="utf-8", errors="replace")
        return load_frame(_write(folder, upload.files), endpoints, places, credentials)


def _save(store: Store, network: Network, digest: str, actor: str) -> tuple[bool, Network | None]:
    """Make a network the current one, and judge at once by it which alarm follows from which.

    Returns:
        Whether it is a new version; and the version before, if there was one.
    """
    try:
        before = store.networks.get()[1]
    except NotFoundError:
        before = None
    changed = store.networks.save(network, digest, actor)
    if changed:
        store.alarms.correlate()
    return changed, before


@router.put("")
async def load(
    upload: NetworkUpload, backend: Backend, who: Annotated[Person, needs(Permission.NETWORK)]
) -> LoadedNetwork:
    """Check network files and make them the current version. Changes nothing on stations.

    If anything is wrong, answers 422 with every problem of every file, and keeps the old version.
    """
    network = await run_in_threadpool(_load, upload, backend.credentials)
    digest = await run_in_threadpool(network_digest, network)
    changed, before = await run_in_threadpool(backend.store.transaction, _save, network, digest, who.name)
    abandoned = await run_in_threadpool(_abandoned, backend.store, network)
    out_of_reach = await run_in_threadpool(_out_of_reach, before, network, abandoned)
    warnings = await run_in_threadpool(_warnings, network, backend)
    different = () if before is None else await run_in_threadpool(differences, before, network)
    return LoadedNetwork(
        **_summary(digest, network).model_dump(),
        changed=changed,
        abandoned=abandoned,
        out_of_reach=out_of_reach,
        warnings=warnings,
        differences=different,
    )


@router.get("")
def show(seen: CallerView, _: Annotated[Person, needs(Permission.READ)]) -> NetworkSummary:
    """How many objects of each kind the current network has."""
    return _summary(*seen.listed())


@router.post("/import")
async def import_(
    upload: ImportUpload, backend: Backend, who: Annotated[Person, needs(Permission.NETWORK)]
) -> ImportedFiles:
    """Make network files from the configuration of live stations. The current network stays as it is.

    Stations are only read, but they receive our credentials: the audit trail first gets which ones, and for which
    addresses. Sharing that is found becomes agreements, valid from today. Notes name what network files can't express,
    and stations that could not be read.
    """
    frame = await run_in_threadpool(_frame, upload, backend.credentials)
    made = await backend.importer.import_network(frame, who.name)
    return ImportedFiles(files=await run_in_threadpool(render_network, made.network), notes=made.notes)


@router.get("/sharing")
def sharing(
    seen: CallerView, paging: Paging, _: Annotated[Person, needs(Permission.READ)], selector: str = "*"
) -> Listing[SharedCellView]:
    """Which tenants share each cell of the selected stations (TS 32.130); a tenant sees only itself."""
    _digest, network = seen.listed()
    chosen = set(select(network, selector))
    asked = cut([cell for cell in network.cells if cell.station in chosen], paging)
    stations = sorted({cell.station for cell in asked.results})
    found = shared_cells(network, network.day(seen.clock.now()), stations, seen.ledgers(stations))
    known = {one.cell.name: one for one in found}
    return Listing(count=asked.count, next=asked.next, results=[_shared(known[cell.name]) for cell in asked.results])


def _shared(known: SharedCell) -> SharedCellView:
    cell = known.cell
    return SharedCellView(
        station=cell.station,
        cell=cell.id,
        rat=cell.rat,
        band=cell.band,
        primary_plmn=cell.primary_plmn,
        tenants=known.tenants,
    )


@router.get("/{kind}")
def items(
    kind: str, seen: CallerView, paging: Paging, _: Annotated[Person, needs(Permission.READ)]
) -> Listing[dict[str, Any]]:
    """Objects of one kind of the current network (stations, cells, tenants, agreements …), by id."""
    _digest, network = seen.listed()
    if kind not in seen.kinds():
        raise NotFoundError(f"{unknown('kind', kind, seen.kinds())} (kinds are {', '.join(seen.kinds())})")
    found = cut(getattr(network, kind), paging)
    return Listing(count=found.count, next=found.next, results=[item.model_dump(mode="json") for item in found.results])
