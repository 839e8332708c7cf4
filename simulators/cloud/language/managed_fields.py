"""Who owns which field: Server-Side Apply, and what other writes do to ownership.

An applier owns what it applies; another applier that wants another value gets a conflict, or takes the field by force.
What an applier owned alone and no longer applies goes. A write of another kind takes what it changes, unasked.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from simulators.cloud.language import decoding, fieldsets, status, typed
from simulators.cloud.language.fieldsets import NOTHING, FieldSet, Path, path_of
from simulators.cloud.language.schema import copied
from simulators.cloud.language.status import Cause, StatusError
from simulators.cloud.language.typed import Comparison

if TYPE_CHECKING:
    from simulators.cloud.language.kinds import Kind

Object = dict[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MOST_UPDATERS: Final = 10
_OF_METADATA: Final = (
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
    "resourceVersion",
)  # fmt: skip
_NEVER_OWNED: Final = frozenset(
    {
        *(path_of(name) for name in ("apiVersion", "kind", "metadata")),
        *(path_of("metadata", name) for name in _OF_METADATA),
    }
)


@dataclass(frozen=True, slots=True)
class _Manager:
    """One who owns fields; an applier is the same whatever version it applies."""

    name: str
    applies: bool
    api_version: str
    subresource: str

    @property
    def identity(self) -> tuple[str, bool, str, str]:
        return self.name, self.applies, "" if self.applies else self.api_version, self.subresource

    def in_words(self) -> str:
        text = f'"{self.name}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return text if self.applies else f"{text} using {self.api_version}"


@dataclass(frozen=True, slots=True)
class _Share:
    """What a manager owns, and since when."""

    manager: _Manager
    fields: FieldSet
    time: str = ""


_Identity = tuple[str, bool, str, str]
_Shares = dict[_Identity, _Share]


def _decode(entries: Any) -> _Shares:
    """Entries of `metadata.managedFields`.

    Raises:
        ValueError: They can't be read.
    """
    shares: _Shares = {}
    for entry in entries or ():
        if not isinstance(entry, Mapping) or entry.get("operation") not in {"Apply", "Update"}:
            raise ValueError("operation of a managedFields entry must be Apply or Update")
        manager = _Manager(
            entry.get("manager") or "unknown",
            entry["operation"] == "Apply",
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
        )
        fields = fieldsets.decode(entry.get("fieldsV1") or {})
        shares[manager.identity] = _Share(manager, fields, entry.get("time") or "")
    return shares


def _encode(shares: _Shares) -> list[Object]:
    def order(share: _Share) -> tuple[bool, str, str, str, str]:
        manager = share.manager
        return not manager.applies, share.time, manager.name, manager.api_version, manager.subresource

    entries = []
    for share in sorted(shares.values(), key=order):
        entry = {
            "manager": share.manager.name,
            "operation": "Apply" if share.manager.applies else "Update",
            "apiVersion": share.manager.api_version,
            "time": share.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fieldsets.encode(share.fields),
            "subresource": share.manager.subresource,
        }
        entries.append({name: value for name, value in entry.items() if value != ""})
    return entries


def _put(obj: Object, shares: _Shares) -> None:
    entries = _encode(shares)
    if entries:
        obj.setdefault("metadata", {})["managedFields"] = entries
    else:
        obj.get("metadata", {}).pop("managedFields", None)


def _bare(obj: Object) -> Object:
    """The object without its managed fields; the rest is shared."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}


def _shares_of(new: Object, live: Object, subresource: str) -> _Shares | None:
    """What is on record before a write; none if the writer clears it by `[{}]`."""
    before = _readable(live.get("metadata", {}).get("managedFields"))
    given = new.get("metadata", {}).get("managedFields")
    if subresource or not given:
        return before
    if given == [{}]:
        return None
    return _readable(given) or before


def _readable(entries: Any) -> _Shares:
    try:
        return _decode(entries)
    except (ValueError, TypeError):
        return {}


def updated(
    kind: Kind, live: Object | None, new: Object, manager: str, *, subresource: str = "", now: str = ""
) -> Object:
    """The new object with its managed fields after a create, an update or a patch.

    Args:
        kind: What it is.
        live: What was there; none for a create.
        new: What was written, with defaults.
        manager: Who wrote it.
        subresource: Through which subresource, or empty.
        now: Time of the write, as RFC 3339 has it.
    """
    before = live if live is not None else kind.empty()
    shares = _shares_of(new, before, subresource)
    bare = copy.copy(_bare(new))
    if shares is None or (not shares and before.get("metadata", {}).get("uid")):
        _put(bare, {})
        return bare
    writer = _Manager(manager, applies=False, api_version=kind.api_version, subresource=subresource)
    if typed.mismatches(kind.typed_schema, bare, duplicates=True):  # an invalid object: validation will say so
        return new
    change = _without_reset(typed.compare(kind.typed_schema, _bare(before), bare), kind.reset_fields(subresource))
    _take(shares, change, writer.identity)
    taken = frozenset(change.modified | change.added) - _NEVER_OWNED
    if taken:
        owned = shares[writer.identity].fields if writer.identity in shares else NOTHING
        shares[writer.identity] = _Share(writer, owned | taken, now)
    _cap(shares)
    bare["metadata"] = dict(bare.get("metadata") or {})
    _put(bare, shares)
    return bare


def _without_reset(change: Comparison, reset: FieldSet) -> Comparison:
    return Comparison(
        set(fieldsets.without_below(frozenset(change.added), reset)),
        set(fieldsets.without_below(frozenset(change.modified), reset)),
        set(fieldsets.without_below(frozenset(change.removed), reset)),
    )


def _take(shares: _Shares, change: Comparison, writer: _Identity) -> None:
    """What others lose by a change: what it sets goes to the writer, what it removes to nobody."""
    for identity, share in list(shares.items()):
        lost = change.removed if identity == writer else change.removed | change.modified | change.added
        left = share.fields - lost
        if left:
            shares[identity] = replace(share, fields=left)
        else:
            del shares[identity]


def _cap(shares: _Shares) -> None:
    """Put the oldest of too many writers together as `ancient-changes`, by version."""
    updaters = [share for share in shares.values() if not share.manager.applies]
    updaters.sort(key=lambda share: (share.time, share.manager.name))
    over = len(updaters) - MOST_UPDATERS
    first: dict[str, _Share] = {}
    for share in updaters:
        if over <= 0:
            return
        version = share.manager.api_version
        bucket = _Manager("ancient-changes", applies=False, api_version=version, subresource="")
        if version not in first:
            first[version] = share
            continue
        if bucket.identity not in shares:
            oldest = shares.pop(first[version].manager.identity)
            shares[bucket.identity] = replace(oldest, manager=bucket)
        if share.manager.identity != bucket.identity:
            del shares[share.manager.identity]
            fields = shares[bucket.identity].fields | share.fields
            shares[bucket.identity] = _Share(bucket, fields, share.time)
        over -= 1


def applied(
    kind: Kind,
    live: Object | None,
    sent: Object,
    manager: str,
    *,
    force: bool = False,
    subresource: str = "",
    now: str = "",
) -> Object:
    """The live object after a Server-Side Apply, with defaults and managed fields.

    Args:
        kind: What it is.
        live: What is there; none if the apply creates it.
        sent: What was applied.
        manager: Who applies.
        force: Take fields that others own.
        subresource: Through which subresource, or empty.
        now: Time of the apply, as RFC 3339 has it.

    Raises:
        StatusError: Another owns a field with another value (409); or what was sent is nothing to apply (400, 500).
    """
    _check_sent(kind, sent)
    before = live if live is not None else kind.empty()
    shares = _readable(before.get("metadata", {}).get("managedFields"))
    bare = _bare(before)
    if not shares:
        shares = _before_first_apply(kind, bare, now)
    applier = _Manager(manager, applies=True, api_version=kind.api_version, subresource=subresource)
    take = force or _may_take(kind, bare, sent, shares, applier)
    merged, shares = _apply(kind, bare, sent, shares, applier, force=take)
    unchanged = live is not None and typed.same(merged, bare)
    if applier.identity in shares and not unchanged:
        shares[applier.identity] = replace(shares[applier.identity], time=now)
    result = copied(bare if unchanged else merged)
    if manager == "kubectl" and _last_applied(result):
        result["metadata"]["annotations"][LAST_APPLIED] = _as_last_applied(sent)
    try:
        decoding.settle(kind, result)
    except ValueError as error:
        raise status.internal(f"failed to convert to {kind.api_version}, Kind={kind.kind}: {error}") from None
    kind.default(result)
    _put(result, shares)
    return result


def _check_sent(kind: Kind, sent: Object) -> None:
    if sent.get("apiVersion") != kind.api_version or sent.get("kind") != kind.kind:
        group, _, version = str(sent.get("apiVersion") or "").rpartition("/")
        name = sent.get("kind") or ""
        raise status.bad_request(f"invalid object type: {group}/{version}, Kind={name}")
    if (sent.get("metadata") or {}).get("managedFields") is not None:
        raise status.bad_request("metadata.managedFields must be nil")
    wrong = typed.mismatches(kind.typed_schema, sent)
    if wrong:
        metadata = sent.get("metadata") or {}
        group, _, version = kind.api_version.rpartition("/")
        subject = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {group}/{version}, Kind={kind.kind}"
        listed = wrong[0] if len(wrong) == 1 else "\n".join(["errors:", *(f"  {each}" for each in wrong)])
        raise status.internal(f"failed to create typed patch object ({subject}): {listed}")


def _before_first_apply(kind: Kind, live: Object, now: str) -> _Shares:
    """Fields that nobody owned belong to `before-first-apply`, so that an apply doesn't take them unasked."""
    manager = _Manager("before-first-apply", applies=False, api_version=kind.api_version, subresource="")
    change = typed.compare(kind.typed_schema, kind.empty(), live)
    fields = frozenset(change.added | change.modified) - _NEVER_OWNED
    fields = fieldsets.without_below(fields, kind.reset_fields(""))
    return {manager.identity: _Share(manager, fields, now)} if fields else {}


def _apply(
    kind: Kind, live: Object, sent: Object, shares: _Shares, applier: _Manager, *, force: bool
) -> tuple[Object, _Shares]:
    schema = kind.typed_schema
    reset = kind.reset_fields(applier.subresource)
    shares = dict(shares)
    last = shares.get(applier.identity)
    merged = typed.merge(schema, live, sent)
    fields = fieldsets.without_below(typed.field_set(schema, sent), reset)
    shares[applier.identity] = _Share(applier, fields, last.time if last else "")
    if last and last.fields - fields - _NEVER_OWNED:  # something is no longer applied
        merged = _pruned(kind, merged, shares, last.fields)
    change = _without_reset(typed.compare(schema, live, merged), reset)
    if not force:
        _refuse_conflicts(shares, change, applier)
    _take_all(shares, change, applier.identity)
    own = shares.get(applier.identity)
    if own is not None:
        left = own.fields - _NEVER_OWNED
        if left:
            shares[applier.identity] = replace(own, fields=left)
        else:
            del shares[applier.identity]
    return merged, shares


def _take_all(shares: _Shares, change: Comparison, applier: _Identity) -> None:
    own = shares.pop(applier)
    _take(shares, change, applier)
    if own.fields:
        shares[applier] = own


def _pruned(kind: Kind, merged: Object, shares: _Shares, last: FieldSet) -> Object:
    """The merged object without what the applier owned, no longer applies, and nobody else owns."""
    schema = kind.typed_schema
    named = fieldsets.with_named_fields(last, schema)
    pruned = typed.remove(schema, merged, named) or {}
    owned = fieldsets.with_named_fields(frozenset[Path]().union(*(each.fields for each in shares.values())), schema)
    everything = fieldsets.with_named_fields(typed.field_set(schema, merged), schema)
    kept = fieldsets.with_named_fields(typed.field_set(schema, pruned), schema)
    pruned = typed.remove(schema, merged, everything - (kept | owned)) or {}
    kept = fieldsets.with_named_fields(typed.field_set(schema, pruned), schema)
    result: Object = typed.remove(schema, merged, (everything - kept) & named) or {}
    return result


def _conflicts(shares: _Shares, change: Comparison, applier: _Manager) -> list[tuple[_Manager, Path]]:
    wanted = frozenset(change.modified | change.added)
    found = []
    for identity, share in shares.items():
        if identity != applier.identity:
            found += [(share.manager, path) for path in sorted(fieldsets.leaves(share.fields & wanted))]
    return sorted(found, key=lambda each: (each[0].in_words(), each[1]))


def _refuse_conflicts(shares: _Shares, change: Comparison, applier: _Manager) -> None:
    found = _conflicts(shares, change, applier)
    if not found:
        return
    causes = [
        Cause("FieldManagerConflict", f"conflict with {manager.in_words()}", fieldsets.shown(path))
        for manager, path in found
    ]
    if len(found) == 1:
        text = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    else:
        text = f"Apply failed with {len(found)} conflicts: {_listed(found)}"
    raise StatusError(409, "Conflict", text, {"causes": [cause.body() for cause in causes]})


def _listed(found: Sequence[tuple[_Manager, Path]]) -> str:
    lines: list[str] = []
    for manager, path in found:
        heading = f"conflicts with {manager.in_words()}:"
        if heading not in lines:
            lines.append(heading)
        lines.append(f"- {fieldsets.shown(path)}")
    return "\n".join(lines)


def _last_applied(obj: Object) -> str:
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    text: str = annotations.get(LAST_APPLIED, "")
    return text


def _as_last_applied(sent: Object) -> str:
    applied_before = copied(sent)
    (applied_before.get("metadata", {}).get("annotations") or {}).pop(LAST_APPLIED, None)
    return json.dumps(applied_before, separators=(",", ":"), sort_keys=True) + "\n"


def _may_take(kind: Kind, live: Object, sent: Object, shares: _Shares, applier: _Manager) -> bool:
    """Whether all conflicts are with what `kubectl apply` itself wrote before it applied on the server."""
    text = _last_applied(live)
    if applier.name != "kubectl" or not text:
        return False
    try:
        before = json.loads(text)
    except ValueError:
        return False
    if not isinstance(before, dict) or before.get("apiVersion") != kind.api_version:
        return False
    schema = kind.typed_schema
    if typed.mismatches(schema, before):
        return False
    differs = typed.compare(schema, before, live)
    own = typed.field_set(schema, before) - differs.modified - differs.added - differs.removed
    merged, _ = _apply(kind, live, sent, shares, applier, force=True)
    found = _conflicts(shares, typed.compare(schema, live, merged), applier)
    return bool(found) and all(path in own for _, path in found)


def without_new_times(live: Object, new: Object) -> Object:
    """The new object; with the old times of its managed fields if nothing else changed, so that nothing is written."""
    before, after = (each.get("metadata", {}).get("managedFields") or [] for each in (live, new))
    timeless = [
        [{name: value for name, value in entry.items() if name != "time"} for entry in entries]
        for entries in (before, after)
    ]
    if not before or timeless[0] != timeless[1] or not typed.same(_bare(live), _bare(new)):
        return new
    return {**new, "metadata": {**new["metadata"], "managedFields": before}}


REPLICAS_IN_SCALE: Final = path_of("spec", "replicas")
SCALE_VERSION: Final = "autoscaling/v1"


def to_scale(entries: Sequence[Object], replicas: Path) -> list[Object]:
    """The managed fields that the scale of an object has: those of the number of replicas."""
    shares = {
        identity: _Share(replace(share.manager, api_version=SCALE_VERSION), frozenset({REPLICAS_IN_SCALE}), share.time)
        for identity, share in _readable(entries).items()
        if replicas in share.fields
    }
    return _encode(shares)


def from_scale(kind: Kind, entries: Sequence[Object], scaled: Sequence[Object], replicas: Path) -> list[Object]:
    """The managed fields of an object after its scale was written: `scaled` are those of the scale."""
    by_scale = {
        (share.manager.name, share.manager.applies, share.manager.subresource): share
        for share in _readable(scaled).values()
        if REPLICAS_IN_SCALE in share.fields
    }
    shares: _Shares = {}
    for identity, share in _readable(entries).items():
        key = (share.manager.name, share.manager.applies, share.manager.subresource)
        if replicas not in share.fields:
            shares[identity] = share
        elif key in by_scale:
            shares[identity] = share
            del by_scale[key]
        elif left := share.fields - {replicas}:
            shares[identity] = replace(share, fields=left)
    for share in by_scale.values():
        manager = replace(share.manager, api_version=kind.api_version)
        shares[manager.identity] = _Share(manager, frozenset({replicas}))
    return _encode(shares)
