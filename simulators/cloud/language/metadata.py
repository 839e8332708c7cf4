"""What metadata may say: names, labels, annotations, finalizers and owners, and what of it may change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from simulators.cloud.language.status import Cause

Object = dict[str, Any]

_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SERVICE = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME_PART = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = rf"({_NAME_PART})?"
_CONFIG_KEY = r"[-._a-zA-Z0-9]+"
_MOST_ANNOTATIONS: Final = 256 * 1024

NameRule = Callable[[str], Iterable[str]]


def _explained(text: str, pattern: str, *examples: str) -> str:
    shown = ",  or ".join(f"'{example}'" for example in examples)
    return f"{text} (e.g. {shown}, regex used for validation is '{pattern}')"


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} characters"


def subdomain(name: str) -> Iterator[str]:
    """What is wrong with a name of most kinds."""
    if len(name) > 253:
        yield _too_long(253)
    if not re.fullmatch(_SUBDOMAIN, name):
        text = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character"
        )
        yield _explained(text, _SUBDOMAIN, "example.com")


def dns_label(name: str) -> Iterator[str]:
    """What is wrong with a name that is one label of DNS: namespaces, containers."""
    if len(name) > 63:
        yield _too_long(63)
    if not re.fullmatch(_LABEL, name):
        if re.fullmatch(_SUBDOMAIN, name):
            yield "must not contain dots"
            return
        text = (
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
            "and must start and end with an alphanumeric character"
        )
        yield _explained(text, _LABEL, "my-name", "123-abc")


def service_name(name: str) -> Iterator[str]:
    """What is wrong with the name of a service."""
    if len(name) > 63:
        yield _too_long(63)
    if not re.fullmatch(_SERVICE, name):
        text = (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character"
        )
        yield _explained(text, _SERVICE, "my-name", "abc-123")


def path_segment(name: str) -> Iterator[str]:
    """What is wrong with a name that may be anything that a path can hold: roles and bindings."""
    if name in {".", ".."}:
        yield f"may not be '{name}'"
        return
    for part in "/%":
        if part in name:
            yield f"may not contain '{part}'"


def qualified_name(name: str) -> Iterator[str]:
    """What is wrong with the key of a label."""
    prefix, slash, local = name.rpartition("/")
    if "/" in prefix:
        text = (
            "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character"
        )
        yield _explained(text, _NAME_PART, "MyName", "my.name", "123-abc") + (
            " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        )
        return
    if slash:
        if not prefix:
            yield "prefix part must be non-empty"
        else:
            yield from (f"prefix part {text}" for text in subdomain(prefix))
    if not local:
        yield "name part must be non-empty"
    elif len(local) > 63:
        yield f"name part {_too_long(63)}"
    if not re.fullmatch(_NAME_PART, local):
        text = (
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character"
        )
        yield _explained(text, _NAME_PART, "MyName", "my.name", "123-abc")


def label_value(value: str) -> Iterator[str]:
    """What is wrong with the value of a label."""
    if len(value) > 63:
        yield _too_long(63)
    if not re.fullmatch(_VALUE, value):
        text = (
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character"
        )
        yield _explained(text, _VALUE, "MyValue", "my_value", "12345")


def config_key(key: str) -> Iterator[str]:
    """What is wrong with a key of a ConfigMap or Secret."""
    if len(key) > 253:
        yield _too_long(253)
    if not re.fullmatch(_CONFIG_KEY, key):
        text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        yield _explained(text, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name")
    if key in {".", ".."}:
        yield f"must not be '{key}'"
    elif key.startswith(".."):
        yield "must not start with '..'"


def labels(found: Mapping[str, str], path: str) -> Iterator[Cause]:
    """What is wrong with labels."""
    for key, value in found.items():
        yield from (Cause.invalid(path, key, text) for text in qualified_name(key))
        yield from (Cause.invalid(path, value, text) for text in label_value(value))


def problems(metadata: Object, *, namespaced: bool, name: NameRule = subdomain) -> Iterator[Cause]:
    """What is wrong with the metadata of an object."""
    generated = metadata.get("generateName", "")
    if generated:
        yield from (
            Cause.invalid("metadata.generateName", generated, text)
            for text in name(generated.rstrip("-.") or generated)
        )
    given = metadata.get("name", "")
    if not given:
        yield Cause.required("metadata.name", "name or generateName is required")
    else:
        yield from (Cause.invalid("metadata.name", given, text) for text in name(given))
    if namespaced and not metadata.get("namespace"):
        yield Cause.required("metadata.namespace")
    yield from labels(metadata.get("labels") or {}, "metadata.labels")
    yield from _annotations(metadata.get("annotations") or {})
    yield from _owners(metadata.get("ownerReferences") or [])
    yield from _finalizers(metadata.get("finalizers") or [])
    yield from _managed(metadata.get("managedFields") or [])


def _annotations(found: Mapping[str, str]) -> Iterator[Cause]:
    for key in found:
        yield from (Cause.invalid("metadata.annotations", key, text) for text in qualified_name(key.lower()))
    if sum(len(key.encode()) + len(value.encode()) for key, value in found.items()) > _MOST_ANNOTATIONS:
        yield Cause.too_long("metadata.annotations", _MOST_ANNOTATIONS)


def _owners(found: list[Object]) -> Iterator[Cause]:
    path, controller = "metadata.ownerReferences", ""
    for owner in found:
        version = str(owner.get("apiVersion", "")).rpartition("/")[2]
        for field, value, what in (
            ("apiVersion", version, "version "),
            ("kind", owner.get("kind"), ""),
            ("name", owner.get("name"), ""),
            ("uid", owner.get("uid"), ""),
        ):
            if not value:
                yield Cause.invalid(f"{path}.{field}", owner.get(field, ""), f"{what}must not be empty")
        if (owner.get("apiVersion"), owner.get("kind")) == ("v1", "Event"):
            yield Cause.invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner")
        if owner.get("controller"):
            called = f"{owner.get('kind', '')}/{owner.get('name', '')}"
            if controller:
                text = (
                    'Only one reference can have Controller set to true. Found "true" in references for '
                    f"{controller} and {called}"
                )
                yield Cause.invalid(path, found, text)
            controller = controller or called


_BARE = frozenset({"orphan", "foregroundDeletion", "kubernetes"})


def _finalizers(found: list[str]) -> Iterator[Cause]:
    path = "metadata.finalizers"
    for finalizer in found:
        yield from (Cause.invalid(path, finalizer, text) for text in qualified_name(finalizer))
    if {"orphan", "foregroundDeletion"} <= set(found):
        text = "finalizer orphan and foregroundDeletion cannot be both set"
        yield Cause.invalid(path, found, text)


def warnings(metadata: Object) -> list[str]:
    """What is allowed and better done otherwise."""
    return [
        f'metadata.finalizers: "{finalizer}": prefer a domain-qualified finalizer name to avoid accidental conflicts '
        "with other finalizer writers"
        for finalizer in metadata.get("finalizers") or ()
        if "/" not in finalizer and finalizer not in _BARE
    ]


def _managed(found: list[Object]) -> Iterator[Cause]:
    for index, entry in enumerate(found):
        path = f"metadata.managedFields[{index}]"
        if entry.get("operation") not in {"Apply", "Update"}:
            text = "must be `Apply` or `Update`"
            yield Cause.invalid(f"{path}.operation", entry.get("operation", ""), text)
        if entry.get("fieldsType") not in {None, "", "FieldsV1"}:
            yield Cause.invalid(f"{path}.fieldsType", entry["fieldsType"], "must be `FieldsV1`")


def update_problems(metadata: Object, old: Object, *, namespaced: bool) -> Iterator[Cause]:
    """What is wrong with metadata after an update; the real server tells some of it more than once, and so do we."""
    yield from problems(metadata, namespaced=namespaced, name=path_segment)
    for _ in range(2):
        yield from changes(metadata, old)


def changes(metadata: Object, old: Object) -> Iterator[Cause]:
    """What of metadata may not change, or has changed into something wrong."""
    if old.get("deletionTimestamp"):
        extra = sorted(set(metadata.get("finalizers") or ()) - set(old.get("finalizers") or ()))
        if extra:
            listed = "[]string{" + ", ".join(f'"{each}"' for each in extra) + "}"
            text = f"no new finalizers can be added if the object is being deleted, found new finalizers {listed}"
            yield Cause.forbidden("metadata.finalizers", text)
    for name in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if metadata.get(name) != old.get(name):
            yield Cause.invalid(f"metadata.{name}", metadata.get(name), "field is immutable")
    if metadata.get("generation", 0) < old.get("generation", 0):
        yield Cause.invalid("metadata.generation", metadata.get("generation", 0), "must not be decremented")
    yield from labels(metadata.get("labels") or {}, "metadata.labels")
    yield from _annotations(metadata.get("annotations") or {})
    yield from _owners(metadata.get("ownerReferences") or [])
    yield from _managed(metadata.get("managedFields") or [])
