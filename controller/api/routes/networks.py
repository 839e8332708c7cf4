"""The network: load a version, look at the current one, import live stations."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from fastapi import APIRouter
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from controller.api.auth import Caller
from controller.api.services import Backend, Body
from controller.inventory.load import load_network
from controller.models.errors import InputError
from controller.models.network import Network
from controller.plan import network_digest

router = APIRouter(prefix="/v1/network", tags=["network"])


class NetworkUpload(Body):
    """Network files by name, as in ``{"agreements.yaml": "agreements: …"}``.

    ``endpoints`` replaces the endpoints of the files, as ``--endpoints`` does.
    """

    files: dict[str, str] = Field(min_length=1, max_length=10_000)
    endpoints: str | None = None


class NetworkSummary(Body):
    """What the current network holds."""

    id: str
    name: str
    digest: str
    counts: dict[str, int]
    changed: bool = False


def _summary(digest: str, network: Network, *, changed: bool = False) -> NetworkSummary:
    kinds = ("regions", "sites", "stations", "cells", "endpoints", "routers", "tenants", "agreements")
    counts = {kind: len(getattr(network, kind)) for kind in kinds}
    return NetworkSummary(id=network.header.id, name=network.header.name, digest=digest, counts=counts, changed=changed)


def _load(upload: NetworkUpload) -> Network:
    with tempfile.TemporaryDirectory(prefix="minka-network-") as folder:
        root = Path(folder, "files")
        for name, text in upload.files.items():
            path = PurePosixPath(name)
            if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name:
                raise InputError(f"{name!r} is no file name within a network directory")
            target = root.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        endpoints = None
        if upload.endpoints is not None:
            endpoints = Path(folder, "endpoints.csv")
            endpoints.write_text(upload.endpoints, encoding="utf-8")
        return load_network(root, endpoints=endpoints)


@router.put("")
async def load(upload: NetworkUpload, backend: Backend, who: Caller) -> NetworkSummary:
    """Check network files and make them the current version; nothing is changed on any station.

    Answers 422 with every problem of every file, and keeps the old version, if anything is wrong.
    """
    network = await run_in_threadpool(_load, upload)
    digest = await run_in_threadpool(network_digest, network)
    changed = await run_in_threadpool(backend.store.save_network, network, digest, who)
    return _summary(digest, network, changed=changed)


@router.get("")
def show(backend: Backend, _: Caller) -> NetworkSummary:
    """The current network in figures."""
    digest, network = backend.store.network()
    return _summary(digest, network)


@router.get("/{kind}")
def items(kind: str, backend: Backend, _: Caller) -> list[dict[str, Any]]:
    """All objects of one kind of the current network (stations, cells, tenants, agreements …)."""
    _, network = backend.store.network()
    if kind not in Network.model_fields or kind == "header":
        kinds = ", ".join(name for name in Network.model_fields if name != "header")
        raise InputError(f"there is no kind {kind!r} of network objects; kinds are {kinds}")
    return [item.model_dump(mode="json") for item in getattr(network, kind)]
