"""Custom resource definitions: defaults, what the server decides of them, and whether their schemas are structural."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from simulators.cloud.language import metadata, validation
from simulators.cloud.language.schema import Schema, copied
from simulators.cloud.language.status import Cause

Object = dict[str, Any]

_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")


def default(obj: Object) -> None:
    """Names that follow from others."""
    names = (obj.get("spec") or {}).get("names") or {}
    if names.get("kind"):
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", f"{names['kind']}List")


def create(obj: Object) -> None:
    """A new definition is not served yet."""
    stored = [each["name"] for each in obj["spec"].get("versions") or () if each.get("storage")]
    obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}


def update(obj: Object, old: Object, subresource: str) -> None:
    """A version that becomes the stored one counts among those stored."""
    if subresource:
        return
    versions = list((old.get("status") or {}).get("storedVersions") or ())
    stored = [each["name"] for each in obj["spec"].get("versions") or () if each.get("storage")]
    if len(stored) == 1 and stored[0] not in versions:
        obj["status"] = {**(old.get("status") or {}), "storedVersions": [*versions, *stored]}


def accepted(obj: Object, now: str) -> Object:
    """The definition as the server that serves it marks it: names accepted, established."""
    marks = (
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    )
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": now, "reason": reason, "message": text}
        for kind, reason, text in marks
    ]
    status = {**obj["status"], "conditions": conditions, "acceptedNames": obj["spec"]["names"]}
    return {**obj, "status": status}


def problems(obj: Object) -> Iterator[Cause]:
    """What is wrong with a definition."""
    spec = obj.get("spec") or {}
    names = spec.get("names") or {}
    wanted = f"{names.get('plural', '')}.{spec.get('group', '')}"
    if obj["metadata"].get("name") and obj["metadata"]["name"] != wanted:
        yield Cause.invalid("metadata.name", obj["metadata"]["name"], 'must be spec.names.plural+"."+spec.group')
    if not spec.get("group"):
        yield Cause.required("spec.group")
    else:
        yield from (Cause.invalid("spec.group", spec["group"], text) for text in metadata.subdomain(spec["group"]))
        if "." not in spec["group"]:
            yield Cause.invalid("spec.group", spec["group"], "should be a domain with at least one dot")
    if spec.get("scope") not in {"Cluster", "Namespaced"}:
        yield Cause.unsupported("spec.scope", spec.get("scope", ""), ("Cluster", "Namespaced"))
    for name in ("plural", "singular", "kind", "listKind"):
        value = names.get(name, "")
        if not value:
            yield Cause.required(f"spec.names.{name}")
            continue
        yield from (Cause.invalid(f"spec.names.{name}", value, text) for text in metadata.service_name(value.lower()))
    if spec.get("preserveUnknownFields"):
        text = "set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield Cause.invalid("spec.preserveUnknownFields", True, f"cannot set to true, {text}")
    yield from _approval_problems(spec.get("group", ""), obj["metadata"].get("annotations") or {})
    if (spec.get("conversion") or {}).get("strategy") not in (None, "None"):
        yield Cause.unsupported("spec.conversion.strategy", spec["conversion"]["strategy"], ("None",))
    yield from _version_problems(obj, spec.get("versions") or [])


_APPROVED: Final = "api-approved.kubernetes.io"


def _approval_problems(group: str, annotations: Mapping[str, str]) -> Iterator[Cause]:
    """Groups of Kubernetes itself are approved of by it, or say that they are not."""
    if not f".{group}".endswith((".k8s.io", ".kubernetes.io")):
        return
    field, said = f"metadata.annotations[{_APPROVED}]", annotations.get(_APPROVED, "")
    start = f'protected groups must have approval annotation "{_APPROVED}"'
    where = "see https://github.com/kubernetes/enhancements/pull/1111"
    if not said:
        yield Cause.required(field, f"{start}, {where}")
    elif not re.match(r"[a-z]+://[^/]|unapproved", said):
        yield Cause.invalid(field, said, f'{start} with either a URL or a reason starting with "unapproved", {where}')


#: Parts of versions that the real server keeps beside them where they are the same in all, and what it calls them.
_PARTS: Final = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}


def _version_problems(obj: Object, versions: list[Object]) -> Iterator[Cause]:
    if not versions:
        yield Cause.required("spec.versions", "must have at least one version")
        return
    seen: set[str] = set()
    shared = {part for part in _PARTS if all(each.get(part) == versions[0].get(part) for each in versions)}
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        name = version.get("name", "")
        yield from (Cause.invalid(f"{path}.name", name, text) for text in metadata.service_name(name))
        if name in seen:
            yield Cause.invalid("spec.versions", _internal(versions), "must contain unique version names")
        seen.add(name)
        if "deprecationWarning" in version and not version.get("deprecated"):
            warning, text = version["deprecationWarning"], "can only be set for deprecated versions"
            yield Cause.invalid(f"{path}.deprecationWarning", warning, text)
        if (version.get("schema") or {}).get("openAPIV3Schema") is None:
            yield Cause.required(f"{path}.schema.openAPIV3Schema", "schemas are required")
        for part, called in _PARTS.items():
            if part not in shared or index == 0:
                at = f"spec.{called}" if part in shared else f"{path}.{part}"
                yield from _part_problems(part, version, at)
    stored = [each["name"] for each in versions if each.get("storage")]
    if len(stored) != 1:
        text = "must have exactly one version marked as storage version"
        yield Cause.invalid("spec.versions", _internal(versions), text)
    yield from _stored_problems((obj.get("status") or {}).get("storedVersions") or [], stored, seen)


def _part_problems(part: str, version: Object, at: str) -> Iterator[Cause]:
    raw = (version.get("schema") or {}).get("openAPIV3Schema")
    match part:
        case "schema" if raw is not None:
            yield from _schema_problems(raw, f"{at}.openAPIV3Schema", root=True)
            yield from _expression_problems(raw, f"{at}.openAPIV3Schema")
        case "subresources":
            yield from _scale_problems((version.get(part) or {}).get("scale"), f"{at}.scale")
        case "additionalPrinterColumns":
            for index, column in enumerate(version.get(part) or ()):
                yield from _column_problems(column, f"{at}[{index}]")
        case "selectableFields" if raw is not None:
            yield from _selectable_problems([one.get("jsonPath", "") for one in version.get(part) or ()], raw, at)


def _stored_problems(kept: list[str], stored: list[str], versions: set[str]) -> Iterator[Cause]:
    if kept and stored and stored[-1] not in kept:
        yield Cause.invalid("status.storedVersions", kept, f"must have the storage version {stored[-1]}")
    for index, name in enumerate(kept):
        if name not in versions:
            text = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and removes "
                f"{name} from status.storedVersions"
            )
            yield Cause.invalid(f"status.storedVersions[{index}]", name, text)


def _internal(versions: list[Object]) -> list[Object]:
    """Versions as the real server names them: by the struct that it keeps."""
    return [
        {
            "Name": version.get("name", ""),
            "Served": bool(version.get("served")),
            "Storage": bool(version.get("storage")),
            "Deprecated": bool(version.get("deprecated")),
            "DeprecationWarning": version.get("deprecationWarning"),
            "Schema": None,
            "Subresources": None,
            "AdditionalPrinterColumns": None,
            "SelectableFields": None,
        }
        for version in versions
    ]


def _column_problems(column: Object, at: str) -> Iterator[Cause]:
    kinds = ("boolean", "date", "integer", "number", "string")
    said = f"must be one of {','.join(kinds)}"
    if not column.get("name"):
        yield Cause.required(f"{at}.name")
    if not column.get("type"):
        yield Cause.required(f"{at}.type", said)
    elif column["type"] not in kinds:
        yield Cause.invalid(f"{at}.type", column["type"], said)
    if not column.get("jsonPath"):
        yield Cause.required(f"{at}.JSONPath")
    else:
        yield from _path_problems(column["jsonPath"], f"{at}.JSONPath")


def _path_problems(text: str, at: str) -> Iterator[Cause]:
    if not text.startswith("."):
        yield Cause.invalid(at, text, "must be a simple json path starting with .")


def _scale_problems(scale: Object | None, at: str) -> Iterator[Cause]:
    if scale is None:
        return
    for name, root in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        value = scale.get(name)
        if not value:
            yield Cause.required(f"{at}.{name}")
        elif not value.startswith("."):
            yield from _path_problems(value, f"{at}.{name}")
        elif not value.startswith(root):
            yield Cause.invalid(f"{at}.{name}", value, f"should be a json path under {root[:-1]}")
    selector = scale.get("labelSelectorPath")
    if selector and not selector.startswith("."):
        yield from _path_problems(selector, f"{at}.labelSelectorPath")
    elif selector and not selector.startswith((".spec.", ".status.")):
        yield Cause.invalid(f"{at}.labelSelectorPath", selector, "should be a json path under either .spec or .status")


def _selectable_problems(paths: list[str], raw: Mapping[str, Any], at: str) -> Iterator[Cause]:
    """Objects are chosen by fields of one value, which the schema has."""
    for index, path in enumerate(paths):
        where = f"{at}[{index}].jsonPath"
        if not path:
            yield Cause.required(where)
            continue
        found: Any = raw
        for name in path.removeprefix(".").split("."):
            found = (found.get("properties") or {}).get(name) if isinstance(found, Mapping) else None
        if path.startswith(".metadata."):
            yield Cause.invalid(where, path, "must not point to fields in metadata")
        elif found is None:
            yield Cause.invalid(where, path, "is an invalid path: does not refer to a valid field")
        elif found.get("type") not in {"string", "boolean", "integer"}:
            text = (
                "must point to a field of type string, boolean or integer. Enum string fields and strings with formats"
            )
            yield Cause.invalid(where, path, f"{text} are allowed.")
        if path in paths[:index]:
            yield Cause.duplicate(where, path)


_RULES: Final = "x-kubernetes-validations"


def _expression_problems(raw: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """Rules in CEL: nothing here evaluates them, and objects that break them must not pass for right."""
    if raw.get(_RULES):
        text = "a simulated pool does not evaluate rules in CEL: take them out of the definition to try it here"
        yield Cause.forbidden(f"{path}.{_RULES}", text)
    for name, inner in (raw.get("properties") or {}).items():
        yield from _expression_problems(inner, f"{path}.properties[{name}]")
    for name in ("items", "additionalProperties"):
        if isinstance(raw.get(name), Mapping):
            yield from _expression_problems(raw[name], f"{path}.{name}")


def _schema_problems(raw: Mapping[str, Any], path: str, *, root: bool = False) -> Iterator[Cause]:
    """Whether a schema is structural: each value has a type, and constraints add no fields.

    Args:
        raw: The schema.
        path: Its field.
        root: It is that of the whole object.
    """
    yield from _type_problems(raw, path, root=root)
    yield from _unsupported(raw, path)
    if root:
        yield from _head_problems(raw.get("properties") or {}, f"{path}.properties")
    if raw.get("default") is not None:
        yield from _default_problems(raw, f"{path}.default")
    if isinstance(raw.get("items"), bool):
        yield Cause.forbidden(f"{path}.items", "items must be a schema object and not an array")
    if raw.get("type") == "array" and "items" not in raw and not raw.get("x-kubernetes-preserve-unknown-fields"):
        yield Cause.required(f"{path}.items", "must be specified")
    yield from _list_problems(raw, path)
    yield from _constraint_problems(raw, path)
    if raw.get("x-kubernetes-embedded-resource"):
        yield from _embedded_problems(raw, path)
    for name, inner in (raw.get("properties") or {}).items():
        if not (root and name in {"apiVersion", "kind", "metadata"}):
            yield from _schema_problems(inner, f"{path}.properties[{name}]")
    for name in ("items", "additionalProperties"):
        if isinstance(raw.get(name), Mapping):
            yield from _schema_problems(raw[name], f"{path}.{name}")


def _default_problems(raw: Mapping[str, Any], path: str) -> Iterator[Cause]:
    schema = Schema.of_openapi(raw)
    if schema.prune(copied(raw["default"])):
        yield Cause.invalid(path, raw["default"], "must not have unknown fields")
    yield from validation.problems(schema, raw["default"], path)


def _unsupported(raw: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """What may not stand in a schema, on a real server or here."""
    if raw.get("properties") and raw.get("additionalProperties") not in (None, False):
        yield Cause.forbidden(
            f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive"
        )
    if raw.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield Cause.forbidden(f"{path}.uniqueItems", text)
    if raw.get("additionalProperties") is False:
        yield Cause.forbidden(f"{path}.additionalProperties", "additionalProperties cannot be set to false")
    for name in ("$ref", "id", "additionalItems", "patternProperties", "definitions", "dependencies"):
        if raw.get(name):
            yield Cause.forbidden(f"{path}.{name}", f"{name} is not supported")
    if (whole := raw.get("x-kubernetes-map-type")) not in {None, "atomic", "granular"}:
        yield Cause.unsupported(f"{path}.x-kubernetes-map-type", whole, ("atomic", "granular"))
    if raw.get("x-kubernetes-preserve-unknown-fields") is False:
        yield Cause.invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")


#: What constraints within `allOf`, `anyOf`, `oneOf` and `not` may not say, and what they would have to be.
_ONLY_OUTSIDE: Final = {
    "type": "empty", "additionalProperties": "undefined", "default": "undefined", "title": "empty",
    "description": "empty", "nullable": "false", "x-kubernetes-preserve-unknown-fields": "false",
    "x-kubernetes-embedded-resource": "false", "x-kubernetes-int-or-string": "false",
    "x-kubernetes-list-map-keys": "empty", "x-kubernetes-list-type": "undefined", "x-kubernetes-map-type": "undefined",
    _RULES: "empty",
}  # fmt: skip
_INTEGER_OR_STRING: Final = [{"type": "integer"}, {"type": "string"}]


def _constraint_problems(raw: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """Constraints, also those within `allOf`, `anyOf`, `oneOf` and `not`: they add nothing to a value's structure."""
    if pattern := raw.get("pattern"):
        try:
            re.compile(validation.python_pattern(pattern))
        except re.error as error:
            text = f"must be a valid regular expression, but isn't: error parsing regexp: {error}"
            yield Cause.invalid(f"{path}.pattern", pattern, text)
    either = bool(raw.get("x-kubernetes-int-or-string"))
    for name in ("allOf", "anyOf", "oneOf"):
        for index, inner in enumerate(raw.get(name) or ()):
            if either and name == "anyOf" and raw[name] == _INTEGER_OR_STRING:
                continue
            first = either and name == "allOf" and index == 0 and inner.get("anyOf") == _INTEGER_OR_STRING
            plain = {key: value for key, value in inner.items() if not (first and key == "anyOf")}
            yield from _nested_problems(plain, f"{path}.{name}[{index}]")
    if raw.get("not"):
        yield from _nested_problems(raw["not"], f"{path}.not")


def _nested_problems(raw: Mapping[str, Any], path: str) -> Iterator[Cause]:
    for name, empty in _ONLY_OUTSIDE.items():
        if raw.get(name) not in (None, "", False, []):
            yield Cause.forbidden(f"{path}.{name}", f"must be {empty} to be structural")
    yield from _constraint_problems(raw, path)
    if isinstance(raw.get("items"), Mapping):
        yield from _nested_problems(raw["items"], f"{path}.items")
    for name, inner in (raw.get("properties") or {}).items():
        yield from _nested_problems(inner, f"{path}.properties[{name}]")


def _embedded_problems(raw: Mapping[str, Any], path: str) -> Iterator[Cause]:
    kind = raw.get("type", "")
    if not kind:
        yield Cause.required(f"{path}.type", "must be object if x-kubernetes-embedded-resource is true")
    elif kind != "object":
        yield Cause.invalid(f"{path}.type", kind, "must be object if x-kubernetes-embedded-resource is true")
    if not raw.get("x-kubernetes-preserve-unknown-fields") and not raw.get("properties"):
        where = "x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        yield Cause.required(f"{path}.properties", f"must not be empty if {where}")


def _head_problems(properties: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """What a schema may not say of the fields that every object has."""
    for name, wanted in (("apiVersion", "string"), ("kind", "string"), ("metadata", "object")):
        if name in properties and properties[name].get("type") != wanted:
            yield Cause.invalid(f"{path}[{name}].type", properties[name].get("type", ""), f"must be {wanted}")
    if (properties.get("metadata", {}).get("properties") or {}).keys() - {"name", "generateName"}:
        text = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield Cause.forbidden(f"{path}[metadata]", text)


def _type_problems(raw: Mapping[str, Any], path: str, *, root: bool) -> Iterator[Cause]:
    open_ = raw.get("x-kubernetes-int-or-string") or raw.get("x-kubernetes-preserve-unknown-fields")
    kind = raw.get("type", "")
    if not kind and (root or not open_):
        where = "at the root" if root else "for specified object fields"
        if not root and path.endswith((".items", "]")) is False:
            where = "for specified object fields"
        yield Cause.required(f"{path}.type", f"must not be empty {where}")
    elif root and kind != "object":
        yield Cause.invalid(f"{path}.type", kind, "must be object at the root")
    elif kind and kind not in _TYPES:
        yield Cause.unsupported(f"{path}.type", kind, _TYPES)
    if raw.get("x-kubernetes-int-or-string") and kind:
        text = "must be empty if x-kubernetes-int-or-string is true"
        yield Cause.invalid(f"{path}.type", kind, text)


def _list_problems(raw: Mapping[str, Any], path: str) -> Iterator[Cause]:
    kind, keys = raw.get("x-kubernetes-list-type"), raw.get("x-kubernetes-list-map-keys") or []
    if kind is None:
        if keys:
            text = "must be map if x-kubernetes-list-map-keys is non-empty"
            yield Cause.required(f"{path}.x-kubernetes-list-type", text)
        return
    if kind not in {"atomic", "set", "map"}:
        yield Cause.unsupported(f"{path}.x-kubernetes-list-type", kind, ("atomic", "set", "map"))
    if raw.get("type") != "array":
        yield Cause.invalid(f"{path}.type", raw.get("type", ""), "must be array if x-kubernetes-list-type is specified")
    if kind == "map" and not keys:
        text = "must not be empty if x-kubernetes-list-type is map"
        yield Cause.required(f"{path}.x-kubernetes-list-map-keys", text)
    items = raw.get("items") or {}
    if kind == "set" and items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        text = "must be atomic as item of a list with x-kubernetes-list-type=set"
        yield Cause.invalid(f"{path}.items.x-kubernetes-map-type", None, text)
    for key in keys:
        inner = (items.get("properties") or {}).get(key)
        if inner is None:
            text = "entries must all be names of item properties"
            yield Cause.invalid(f"{path}.x-kubernetes-list-map-keys", keys, text)
        elif key not in items.get("required", ()) and "default" not in inner:
            text = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield Cause.required(f"{path}.items.properties[{key}].default", text)


def changes(obj: Object, old: Object) -> Iterator[Cause]:
    """What of a definition may not change once it is served."""
    for names in (("scope",), ("group",), ("names", "plural"), ("names", "kind")):
        before: Any = old["spec"]
        after: Any = obj["spec"]
        for name in names:
            before, after = (before or {}).get(name), (after or {}).get(name)
        if before != after:
            yield Cause.invalid(f"spec.{'.'.join(names)}", after, "field is immutable")
