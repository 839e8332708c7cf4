"""What a pool says it serves: versions, groups and resources, group by group or all in one document."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson

from simulators.cloud.language import openapi, protobuf
from simulators.cloud.language.kinds import Kind
from simulators.cloud.server.registry import Registry
from simulators.cloud.server.tokens import ISSUER

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

#: Kinds that a cluster stores in an older version than it serves.
_STORED = {"customresourcedefinitions": "v1beta1"}


def version(text: str) -> dict[str, Any]:
    """``/version``."""
    major, minor = text.removeprefix("v").split(".")[:2]
    oldest = str(int(minor) - 1)
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": oldest,
        "gitVersion": f"{text}+simulated",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def paths(registry: Registry) -> list[str]:
    """Paths that the root of the API lists."""
    found = ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/healthz", "/livez"]
    found += ["/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version"]
    for group in registry.groups():
        found += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in registry.versions(group))]
    return sorted(found)


def issuer(address: str) -> dict[str, Any]:
    """Who signs tokens of service accounts, and where the keys are (OpenID Connect Discovery 1.0 §3)."""
    return {
        "issuer": ISSUER,
        "jwks_uri": f"https://{address}/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }


def versions(address: str) -> dict[str, Any]:
    """``/api``."""
    servers = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": servers}


def groups(registry: Registry) -> dict[str, Any]:
    """``/apis``."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(registry, name) for name in registry.groups()],
    }


def group(registry: Registry, name: str) -> dict[str, Any] | None:
    """``/apis/<group>``; None where there is no such group."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(registry, name)} if name in registry.groups() else None


def resources(registry: Registry, group: str, version: str) -> dict[str, Any] | None:
    """``/apis/<group>/<version>``; None where it is not served."""
    kinds = list(registry.of_group(group, version))
    if not kinds:
        return None
    listed = [entry for kind in _in_order(kinds) for entry in _entries(kind)]
    head: dict[str, Any] = {"kind": "APIResourceList"}
    if group:
        head["apiVersion"] = "v1"
    return {**head, "groupVersion": f"{group}/{version}" if group else version, "resources": listed}


def aggregated(registry: Registry, *, core: bool) -> dict[str, Any]:
    """``/api`` or ``/apis`` in one document."""
    items = []
    for name in [""] if core else registry.groups():
        documents = [
            {
                "version": version,
                "resources": [_aggregated(kind) for kind in _in_order(registry.of_group(name, version))],
                "freshness": "Current",
            }
            for version in registry.versions(name)
        ]
        items.append({"metadata": {"name": name} if name else {}, "versions": documents})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def openapi_index(registry: Registry) -> dict[str, Any]:
    """``/openapi/v3``: a document for each version of each group."""
    paths = {}
    for group_name in ("", *registry.groups()):
        for version in registry.versions(group_name):
            path = f"apis/{group_name}/{version}" if group_name else f"api/{version}"
            kinds = tuple(registry.of_group(group_name, version))
            digest = hashlib.sha256(openapi_v3(kinds)).hexdigest()[:32]
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


@lru_cache(maxsize=128)
def openapi_v3(kinds: tuple[Kind, ...]) -> bytes:
    """The document of the kinds of one version of a group; pools that serve the same share it."""
    return orjson.dumps(openapi.v3(kinds))


@lru_cache(maxsize=8)
def openapi_v2(kinds: tuple[Kind, ...], *, binary: bool = False) -> bytes:
    """``/openapi/v2``; ``binary``: as a protocol buffer."""
    document = openapi.v2(kinds)
    return protobuf.openapi_2(document) if binary else orjson.dumps(document)


def _group(registry: Registry, name: str) -> dict[str, Any]:
    served = [{"groupVersion": f"{name}/{version}", "version": version} for version in registry.versions(name)]
    return {"name": name, "versions": served, "preferredVersion": served[0]}


def _in_order(kinds: Iterable[Kind]) -> list[Kind]:
    return sorted(kinds, key=lambda kind: kind.plural)


def _entries(kind: Kind) -> Iterable[dict[str, Any]]:
    entry: dict[str, Any] = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if "watch" in kind.verbs:
        stored = f"{kind.group}/{_STORED.get(kind.plural, kind.storage_version)}/{kind.kind}"
        entry["storageVersionHash"] = base64.b64encode(hashlib.sha256(stored.encode()).digest()[:8]).decode()
    yield entry
    for name, part in kind.subresources.items():
        entry = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
        if part.group:
            entry |= {"group": part.group, "version": part.version}
        yield {**entry, "kind": part.kind, "verbs": list(part.verbs)}


def _aggregated(kind: Kind) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": kind.plural,
        "responseKind": {"group": "", "version": "", "kind": kind.kind}
        if not kind.custom
        else {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        entry["subresources"] = [
            {
                "subresource": name,
                "responseKind": {"group": part.group, "version": part.version, "kind": part.kind},
                "verbs": list(part.verbs),
            }
            for name, part in kind.subresources.items()
        ]
    return entry
