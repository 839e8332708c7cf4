"""Schemas of objects: what fields there are, their defaults, and how their lists and maps are merged.

Both the structural schema of a custom resource and the struct of a built-in kind are a tree of `Schema`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar


class _Absent:
    """A value that is not there, as distinct from null."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "ABSENT"

    def __deepcopy__(self, memo: object) -> _Absent:
        return self


ABSENT: Final = _Absent()

Json = Any


_Copied = TypeVar("_Copied")


def copied(value: _Copied) -> _Copied:
    """A JSON value of its own; quicker than a deep copy of anything."""
    if isinstance(value, dict):
        return {name: copied(each) for name, each in value.items()}  # type: ignore[return-value]
    return [copied(each) for each in value] if isinstance(value, list) else value  # type: ignore[return-value]


@dataclass(slots=True, eq=False)
class Schema:
    """One value.

    Attributes:
        type: `object`, `array`, `string`, `integer`, `number`, `boolean`; empty where anything may stand.
        properties: The named fields of an object.
        values: What a map from any name holds; none where only `properties` may stand.
        items: What a list holds.
        atomic: A list or map that has one owner as a whole.
        keys: What names an item of a list; such lists are merged item by item.
        is_set: A list of distinct scalars.
        default: What stands where nothing was given.
        preserves: Fields that the schema doesn't know stay.
        embedded: A whole object with metadata of its own.
        rules: Further constraints, by their names in OpenAPI.
        struct: Name of the Go type, of a built-in kind only.
        zero: What the server shows where nothing is set, since Go has no absent value there.
        pointer: An empty value is one, and not the same as none.
        merges, merge_key, retains_keys: How a strategic merge patch treats it.
    """

    type: str = ""
    format: str = ""
    description: str = ""
    properties: dict[str, Schema] = field(default_factory=dict)
    values: Schema | None = None
    items: Schema | None = None
    required: tuple[str, ...] = ()
    atomic: bool = False
    keys: tuple[str, ...] = ()
    is_set: bool = False
    default: Json = ABSENT
    nullable: bool = False
    preserves: bool = False
    int_or_string: bool = False
    embedded: bool = False
    rules: Mapping[str, Json] = field(default_factory=dict)
    struct: str = ""
    zero: Json = ABSENT
    pointer: bool = True
    merges: bool = False
    merge_key: str = ""
    retains_keys: bool = False
    _shows: bool | None = None

    @classmethod
    def of_openapi(cls, raw: Mapping[str, Json]) -> Schema:
        """The schema of a CRD's `openAPIV3Schema`."""
        values = raw.get("additionalProperties")
        list_type = raw.get("x-kubernetes-list-type", "atomic" if "items" in raw else "")
        schema = cls(
            type=raw.get("type", ""),
            format=raw.get("format", ""),
            description=raw.get("description", ""),
            properties={name: cls.of_openapi(each) for name, each in raw.get("properties", {}).items()},
            values=cls.of_openapi(values) if isinstance(values, Mapping) else cls() if values else None,
            items=cls.of_openapi(raw["items"]) if "items" in raw else None,
            required=tuple(raw.get("required", ())),
            atomic=list_type == "atomic" or raw.get("x-kubernetes-map-type") == "atomic",
            keys=tuple(raw.get("x-kubernetes-list-map-keys", ())) if list_type == "map" else (),
            is_set=list_type == "set",
            default=raw.get("default", ABSENT),
            nullable=bool(raw.get("nullable")),
            preserves=bool(raw.get("x-kubernetes-preserve-unknown-fields")),
            int_or_string=bool(raw.get("x-kubernetes-int-or-string")),
            embedded=bool(raw.get("x-kubernetes-embedded-resource")),
            rules=raw,
        )
        if schema.embedded:
            schema.properties = {"apiVersion": cls(type="string"), "kind": cls(type="string"), **schema.properties}
            schema.properties.setdefault("metadata", cls(type="object", preserves=True))
        return schema

    def field(self, name: str) -> Schema | None:
        """The schema of a field; none where it may not stand here."""
        if name in self.properties:
            return self.properties[name]
        if self.values is not None:
            return self.values
        return ANYTHING if self.preserves or self.is_open else None

    @property
    def is_open(self) -> bool:
        """Whether nothing is known of this value."""
        return not self.type and not self.properties and self.items is None and not self.int_or_string

    @property
    def is_associative(self) -> bool:
        """Whether a list's items have owners of their own."""
        return self.is_set or bool(self.keys)

    def default_in(self, value: Json) -> None:
        """Put defaults into an object or a list, and take out nulls that may not stay."""
        if isinstance(value, dict):
            self._default_fields(value)
            for name, each in value.items():
                inner = self.field(name)
                if inner is not None:
                    inner.default_in(each)
        elif isinstance(value, list) and self.items is not None:
            for each in value:
                self.items.default_in(each)

    def _default_fields(self, value: dict[str, Json]) -> None:
        for name in [name for name, each in value.items() if each is None]:
            known = self.properties.get(name, self.values)
            if known is not None and not known.nullable:
                del value[name]
        for name, inner in self.properties.items():
            if name not in value and inner.default is not ABSENT:
                value[name] = copied(inner.default)

    def _has(self, word: str, seen: frozenset[int] = frozenset()) -> bool:
        """Whether anything in such a value has a default, or is shown where nothing is set."""
        inner = [*self.properties.values(), *filter(None, (self.values, self.items))]
        return any(
            getattr(each, word) is not ABSENT or (id(each) not in seen and each._has(word, seen | {id(each)}))
            for each in inner
        )

    def zeroes_in(self, value: Json) -> None:
        """Show what Go shows of fields that are not set."""
        if self._shows is None:
            self._shows = self._has("zero")
        if not self._shows:
            return
        if isinstance(value, dict):
            for name, inner in self.properties.items():
                if name not in value and inner.zero is not ABSENT and inner.default is ABSENT:
                    value[name] = copied(inner.zero)
            for name, each in value.items():
                known = self.field(name)
                if known is not None:
                    known.zeroes_in(each)
        elif isinstance(value, list) and self.items is not None:
            for each in value:
                self.items.zeroes_in(each)

    def prune(self, value: Json, path: str = "") -> list[str]:
        """Take out the fields that the schema doesn't know; return their paths, in order."""
        return sorted(self._prune(value, path))

    def _prune(self, value: Json, path: str) -> Iterator[str]:
        if isinstance(value, dict) and not self.is_open:
            for name in list(value):
                inner = self.field(name)
                child = f"{path}.{name}" if path else name
                if inner is None:
                    del value[name]
                    yield child
                else:
                    yield from inner._prune(value[name], child)
        elif isinstance(value, list) and not self.is_open:
            items = self.items or Schema(type="object")
            for index, each in enumerate(value):
                yield from items._prune(each, f"{path}[{index}]")


ANYTHING: Final = Schema()
