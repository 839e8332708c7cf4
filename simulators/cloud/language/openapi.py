"""OpenAPI documents of kinds: version 2 of all, version 3 of the kinds of one group and version.

Clients find in them which fields there are, how lists merge, and which parameters a request takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

from simulators.cloud.language import structs
from simulators.cloud.language.kinds import Kind, Subresource
from simulators.cloud.language.schema import ABSENT, Schema

Document = dict[str, Any]

_PACKAGES: Final = {
    "meta": "io.k8s.apimachinery.pkg.apis.meta.v1",
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
}
_LEAVES: Final[Mapping[str, tuple[str, Document]]] = {
    "date-time": ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", {"type": "string", "format": "date-time"}),
    "micro-time": ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", {"type": "string", "format": "date-time"}),
    "quantity": (
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        {"oneOf": [{"type": "string"}, {"type": "number"}]},
    ),
    "int-or-string": (
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    ),
}
_PATCHES: Final = (
    "application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)  # fmt: skip
_ANSWERS: Final = ("application/json", "application/yaml")
_NUMBERS: Final = frozenset({"limit", "timeoutSeconds", "gracePeriodSeconds"})
_FLAGS: Final = frozenset({
    "allowWatchBookmarks", "sendInitialEvents", "watch", "force", "orphanDependents",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
})  # fmt: skip
_LIST: Final = (
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
    "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch",
)  # fmt: skip
_WRITE: Final = ("dryRun", "fieldManager", "fieldValidation")
_DELETE: Final = (
    "dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential", "orphanDependents",
    "propagationPolicy",
)  # fmt: skip


@cache
def _texts() -> Mapping[str, str]:
    """What the parameters of requests mean, in the words of the public Kubernetes API documents (Apache-2.0)."""
    found: Mapping[str, str] = json.loads(
        resources.files("simulators.cloud.language").joinpath("options.json").read_text("utf-8")
    )
    return found


def _struct_id(name: str) -> str:
    package, _, short = name.rpartition(".")
    version = "v1"
    if package == "autoscaling2":
        package, version = "autoscaling", "v2"
    known = _PACKAGES.get(package) or f"io.k8s.api.{package or 'core'}.{version}"
    return f"{known}.{short}"


def schema_id(kind: Kind) -> str:
    """The name of a kind's schema: `io.k8s.api.core.v1.Pod`, `org.nephio.workload.v1alpha1.NFDeployment`."""
    if not kind.custom and kind.schema.preserves:
        return f"io.k8s.api.{kind.group.partition('.')[0]}.{kind.version}.{kind.kind}"
    if not kind.custom:
        return _struct_id(kind.schema.struct)
    return f"{'.'.join(reversed(kind.group.split('.')))}.{kind.version}.{kind.kind}"


def _gvk(kind: Kind, name: str = "") -> Document:
    return {"group": kind.group, "kind": name or kind.kind, "version": kind.version}


class _Schemas:
    """Schemas of kinds and all that they refer to, in the notation of one OpenAPI version."""

    def __init__(self, prefix: str, *, strict: bool) -> None:
        self.found: dict[str, Document] = {}
        self._prefix = prefix
        self._strict = strict  # version 2 has no alternatives

    def refer(self, name: str) -> Document:
        return {"$ref": f"{self._prefix}{name}"}

    def add(self, kind: Kind) -> None:
        name = schema_id(kind)
        document = self._custom(kind) if kind.custom else self._struct(kind.schema)
        self.found[name] = {**document, "x-kubernetes-group-version-kind": [_gvk(kind)]}
        self.found[f"{name}List"] = {
            "type": "object",
            "description": f"{kind.kind}List is a list of {kind.kind}",
            "required": ["items"],
            "properties": {
                **_HEAD,
                "items": {"type": "array", "items": self.refer(name)},
                "metadata": self.value(Schema(type="object", preserves=True)),
            },
            "x-kubernetes-group-version-kind": [_gvk(kind, kind.list_kind)],
        }

    def _custom(self, kind: Kind) -> Document:
        document = {**kind.schema.rules}
        document["properties"] = {
            **document.get("properties", {}),
            **_HEAD,
            "metadata": self.value(kind.metadata_schema),
        }
        return document

    def _struct(self, schema: Schema) -> Document:
        properties = {name: self._field(inner) for name, inner in schema.properties.items()}
        if "metadata" in properties and schema.struct not in {"meta.ObjectMeta", "PodTemplateSpec"}:
            properties = {**_HEAD, **properties}
        document: Document = {"type": "object", "properties": properties}
        required = [name for name, inner in schema.properties.items() if inner.zero in ("", 0)]
        if required:
            document["required"] = required
        if schema.atomic:
            document["x-kubernetes-map-type"] = "atomic"
        return document

    def _field(self, schema: Schema) -> Document:
        document = self.value(schema)
        more: Document = {}
        if schema.default is not ABSENT:
            more["default"] = schema.default
        if schema.type == "array":
            more |= _list_words(schema)
        if schema.merges:
            strategies = ["merge", "retainKeys"] if schema.retains_keys else ["merge"]
            more["x-kubernetes-patch-strategy"] = ",".join(strategies)
            if schema.merge_key:
                more["x-kubernetes-patch-merge-key"] = schema.merge_key
        if not more:
            return document
        if "$ref" in document:
            return {"allOf": [document], **more} if not self._strict else document
        return {**document, **more}

    def value(self, schema: Schema) -> Document:
        if schema.format in _LEAVES:
            name, document = _LEAVES[schema.format]
            self.found.setdefault(name, {"type": "string"} if self._strict and "oneOf" in document else document)
            return self.refer(name)
        if schema.struct:
            name = _struct_id(schema.struct)
            if name not in self.found:
                self.found[name] = {}
                self.found[name] = self._struct(structs.struct(schema.struct))
            return self.refer(name)
        if schema.type == "array":
            return {"type": "array", "items": self.value(schema.items or Schema())}
        if schema.type == "object":
            return {"type": "object", **({"additionalProperties": self.value(schema.values)} if schema.values else {})}
        if not schema.type:
            # kubectl explain takes a schema that says nothing for none.
            return {"description": "Any value."}
        return {key: each for key, each in (("type", schema.type), ("format", schema.format)) if each}


_HEAD: Final = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}


def _list_words(schema: Schema) -> Document:
    if schema.keys:
        return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(schema.keys)}
    return {"x-kubernetes-list-type": "set" if schema.is_set else "atomic"}


_ACTIONS: Final = {
    "get": ("get", "read"),
    "list": ("list", "list"),
    "create": ("post", "create"),
    "update": ("put", "replace"),
    "patch": ("patch", "patch"),
    "delete": ("delete", "delete"),
    "deletecollection": ("deletecollection", "deletecollection"),
}
_ON_COLLECTION: Final = ("list", "create", "deletecollection")
_ON_OBJECT: Final = ("get", "update", "delete", "patch")


class _Paths:
    """The paths of kinds, in the notation of one OpenAPI version."""

    def __init__(self, schemas: _Schemas, *, strict: bool) -> None:
        self._schemas = schemas
        self._strict = strict

    def of(self, kind: Kind) -> Iterator[tuple[str, Document]]:
        root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
        space = "/namespaces/{namespace}" if kind.namespaced else ""
        collection, one = f"{root}{space}/{kind.plural}", f"{root}{space}/{kind.plural}/{{name}}"
        yield collection, self._item(kind, _ON_COLLECTION, kind.verbs, named=False)
        yield one, self._item(kind, _ON_OBJECT, kind.verbs, named=True)
        for name, part in kind.subresources.items():
            yield f"{one}/{name}", self._item(kind, _ON_OBJECT, part.verbs, named=True, part=(name, part))
        if kind.namespaced:
            item = self._item(kind, ("list",), kind.verbs, named=False, everywhere=True)
            yield f"{root}/{kind.plural}", item

    def _item(
        self,
        kind: Kind,
        known: Iterable[str],
        verbs: Iterable[str],
        *,
        named: bool,
        part: tuple[str, Subresource] | None = None,
        everywhere: bool = False,
    ) -> Document:
        item: Document = {}
        for verb in known:
            if verb in verbs:
                method = {"list": "get", "deletecollection": "delete"}.get(verb, _ACTIONS[verb][0])
                item[method] = self._operation(kind, verb, part, everywhere=everywhere)
        common = [_in_path("namespace")] if kind.namespaced and not everywhere else []
        if named:
            common.append(_in_path("name"))
        parameters = [self._parameter(each) for each in (*common, _query("pretty"))]
        return {**item, "parameters": parameters} if item else item

    def _operation(self, kind: Kind, verb: str, part: tuple[str, Subresource] | None, *, everywhere: bool) -> Document:
        words = [word.capitalize() for word in (kind.group.removesuffix(".k8s.io") or "core").split(".")]
        tag = "".join([words[0].lower(), *words[1:]])
        scope = "Namespaced" if kind.namespaced and not everywhere else ""
        suffix = "ForAllNamespaces" if everywhere else part[0].capitalize() if part else ""
        action, collection = _ACTIONS[verb][1], ""
        if verb == "deletecollection":
            action, collection = "delete", "Collection"
        subject = f"{part[0]} of the specified {kind.kind}" if part else kind.kind
        operation: Document = {
            "tags": [f"{tag}_{kind.version}"],
            "description": f"{_SAID[verb]} {subject}",
            "operationId": f"{action}{''.join(words)}{kind.version.capitalize()}{collection}{scope}{kind.kind}{suffix}",
            "parameters": [self._parameter(_query(name)) for name in _parameters(verb)],
        }
        if verb in {"create", "update", "patch"}:
            operation |= self._body(kind, verb, part)
        operation["responses"] = self._responses(kind, verb, part)
        operation["x-kubernetes-action"] = _ACTIONS[verb][0]
        shown = _gvk(kind)
        if part and part[1].group:
            shown = {"group": part[1].group, "kind": part[1].kind, "version": part[1].version}
        operation["x-kubernetes-group-version-kind"] = shown
        return operation

    def _parameter(self, parameter: Document) -> Document:
        if not self._strict:
            return parameter
        schema = parameter["schema"]
        return {**{key: each for key, each in parameter.items() if key != "schema"}, **schema}

    def _shown(self, kind: Kind, verb: str, part: tuple[str, Subresource] | None) -> Document:
        if part and part[1].group == "autoscaling":
            return self._schemas.value(structs.struct("autoscaling.Scale"))
        return self._schemas.refer(schema_id(kind) + ("List" if verb == "list" else ""))

    def _body(self, kind: Kind, verb: str, part: tuple[str, Subresource] | None) -> Document:
        schema: Document = {"type": "object"} if verb == "patch" else self._shown(kind, verb, part)
        media = _ANSWERS if verb != "patch" else _PATCHES[:3] if kind.custom else _PATCHES
        if self._strict:
            body = {"name": "body", "in": "body", "required": True, "schema": schema}
            others = [self._parameter(_query(each)) for each in _parameters(verb)]
            return {"consumes": list(media), "parameters": [body, *others]}
        return {"requestBody": {"content": {each: {"schema": schema} for each in media}, "required": True}}

    def _responses(self, kind: Kind, verb: str, part: tuple[str, Subresource] | None) -> Document:
        gone = verb in {"delete", "deletecollection"}
        schema: Document = {"type": "object"} if gone else self._shown(kind, verb, part)
        ok: Document = {"description": "OK"}
        if self._strict:
            ok["schema"] = schema
        else:
            ok["content"] = {each: {"schema": schema} for each in _ANSWERS}
        created = {"201": ok} if verb in {"create", "update", "patch"} else {}
        return {"200": ok, **created, "401": {"description": "Unauthorized"}}


_SAID: Final = {
    "list": "list objects of kind",
    "get": "read the specified",
    "create": "create a",
    "update": "replace the specified",
    "patch": "partially update the specified",
    "delete": "delete a",
    "deletecollection": "delete collection of",
}


def _parameters(verb: str) -> tuple[str, ...]:
    return {
        "list": _LIST,
        "create": _WRITE,
        "update": _WRITE,
        "patch": (*_WRITE, "force"),
        "delete": _DELETE,
        "deletecollection": tuple(sorted({*_LIST, *_DELETE} - {"allowWatchBookmarks", "watch"})),
    }.get(verb, ())


def _query(name: str) -> Document:
    kind = "integer" if name in _NUMBERS else "boolean" if name in _FLAGS else "string"
    text = _texts().get(name, "If 'true', then the output is pretty printed.")
    return {"name": name, "in": "query", "description": text, "schema": {"type": kind, "uniqueItems": True}}


def _in_path(name: str) -> Document:
    text = "name of the object" if name == "name" else "object name and auth scope, such as for teams and projects"
    schema = {"type": "string", "uniqueItems": True}
    return {"name": name, "in": "path", "description": text, "required": True, "schema": schema}


def v3(kinds: Iterable[Kind]) -> Document:
    """The OpenAPI 3 document of the kinds of one group and version."""
    served = list(kinds)
    schemas = _Schemas("#/components/schemas/", strict=False)
    for kind in served:
        schemas.add(kind)
    paths = _Paths(schemas, strict=False)
    custom = any(kind.custom for kind in served)
    found = {path: item for kind in served for path, item in paths.of(kind) if item}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}
        if custom
        else {"title": "Kubernetes", "version": "v1.36.0"},
        "paths": found,
        "components": {"schemas": dict(sorted(schemas.found.items()))},
    }


def v2(kinds: Iterable[Kind]) -> Document:
    """The OpenAPI 2 document of all kinds."""
    served = list(kinds)
    schemas = _Schemas("#/definitions/", strict=True)
    for kind in served:
        schemas.add(kind)
    paths = _Paths(schemas, strict=True)
    found = {path: item for kind in served for path, item in paths.of(kind) if item}
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.36.0"},
        "paths": found,
        "definitions": dict(sorted(schemas.found.items())),
    }
