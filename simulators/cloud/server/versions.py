"""Versions of one kind: an object is kept in one of them, and shown in the one that is asked for."""

from __future__ import annotations

from collections.abc import Mapping

from simulators.cloud.language.kinds import Kind
from simulators.cloud.server.store import Object

_NEW_EVENTS = "events.k8s.io"
#: Fields of an event that have another name in the newer group.
_EVENT_FIELDS = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_CORE_FIELDS = {new: old for old, new in _EVENT_FIELDS.items()}


def outward(kind: Kind, stored: Object) -> Object:
    """A stored object in this version."""
    if stored.get("apiVersion") == kind.api_version:
        return stored
    shown = {**stored, "apiVersion": kind.api_version}
    if kind.group == _NEW_EVENTS:
        shown = _renamed(shown, _EVENT_FIELDS)
        kind.schema.zeroes_in(shown)
    return shown


def inward(kind: Kind, core: Kind, obj: Object) -> Object:
    """An object of this version as it is stored; ``core`` is the version that is."""
    if obj.get("apiVersion") == core.api_version:
        return obj
    kept = {**obj, "apiVersion": core.api_version}
    if kind.group == _NEW_EVENTS:
        kept = _renamed(kept, _CORE_FIELDS)
        core.schema.zeroes_in(kept)
    return kept


def _renamed(obj: Object, names: Mapping[str, str]) -> Object:
    return {names.get(name, name): value for name, value in obj.items() if value not in ("", None)}
