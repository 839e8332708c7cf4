"""A custom kind for tests, with every sort of list and map that has owners."""

from __future__ import annotations

from typing import Any

from simulators.cloud.language.kinds import BUILT_IN, Kind

Object = dict[str, Any]

_TEXT = {"type": "string"}
SCHEMA: Object = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["provider"],
            "properties": {
                "provider": {"type": "string", "minLength": 1},
                "image": _TEXT,
                "replicas": {"type": "integer", "format": "int32", "default": 1, "minimum": 0, "maximum": 10},
                "limits": {"type": "object", "additionalProperties": {"x-kubernetes-int-or-string": True}},
                "interfaces": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string", "pattern": "^[a-z0-9]+$"},
                            "vlan": {"type": "integer", "minimum": 1, "maximum": 4094},
                            "address": {"type": "object", "properties": {"ip": _TEXT, "gateway": _TEXT}},
                        },
                    },
                },
                "slices": {"type": "array", "x-kubernetes-list-type": "set", "items": _TEXT},
                "arguments": {"type": "array", "items": _TEXT},
                "kind": {"type": "string", "enum": ["DU", "CU"]},
            },
        },
        "status": {
            "type": "object",
            "properties": {
                "replicas": {"type": "integer"},
                "since": {"type": "string", "format": "date-time"},
            },
        },
    },
}
CRD: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "functions.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"kind": "Function", "plural": "functions"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": SCHEMA},
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
                },
            }
        ],
    },
}
FUNCTION = Kind.of_crd(CRD)[0]


def built_in(name: str) -> Kind:
    """A built-in kind by its id."""
    return next(kind for kind in BUILT_IN if kind.id == name)


def function(spec: Object | None, **metadata: Any) -> Object:
    """A function as a client sends it."""
    obj = {"apiVersion": "example.org/v1", "kind": "Function", "metadata": {"name": "f", "namespace": "n", **metadata}}
    return obj if spec is None else {**obj, "spec": spec}
