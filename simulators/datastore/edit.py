"""edit-config on values: a new tree that shares all unchanged parts (RFC 6241 §7.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from lxml import etree

from simulators.datastore.entries import Entries, Identity
from simulators.datastore.errorpaths import path_namespaces, path_text, places_of
from simulators.datastore.errors import DEFAULT_NS, NETCONF_NS, YANG_NS, ErrorType, RpcError
from simulators.datastore.render import WithDefaults
from simulators.datastore.schema import Branch, Kind, Node, Schema, Value

INSERT = f"{{{YANG_NS}}}insert"
KEY = f"{{{YANG_NS}}}key"
VALUE = f"{{{YANG_NS}}}value"

_PREDICATE = re.compile(r"""\[\s*(?:[\w.-]+:)?([\w.-]+)\s*=\s*(?:'([^']*)'|"([^"]*)")\s*\]""")


class InsertionError(Exception):
    """An attribute that is missing or can't be followed; ``attribute`` is its name in Clark notation."""

    def __init__(self, attribute: str, message: str, app_tag: str | None = None, *, tag: str = "bad-attribute") -> None:
        super().__init__(message)
        self.attribute = attribute
        self.app_tag = app_tag
        self.tag = tag


def insert(node: Node, entries: Entries, identity: Identity, item: Value, element: etree._Element) -> None:
    """Put an entry where the attributes of its element say (RFC 7950 §7.7.9, §7.8.6).

    Raises:
        InsertionError: an unknown word, a malformed reference, or one to an entry that is absent.
    """
    where = element.get(INSERT)
    if where == "first":
        entries.place(identity, item)
    elif where == "last":
        entries.remove(identity)
        entries.put(identity, item)
    elif where in ("before", "after"):
        beside = _keys_beside(node, element) if node.kind is Kind.LIST else _value_beside(node, element)
        if beside == identity or beside not in entries:
            attribute, kind = (KEY, "entry") if node.kind is Kind.LIST else (VALUE, "value")
            raise InsertionError(attribute, f"there is no other {kind} {element.get(attribute)!r}", "missing-instance")
        entries.place(identity, item, **{where: beside})
    else:
        raise InsertionError(INSERT, f"{where!r} is none of first, last, before, after")


def _append(entries: Entries, identity: Identity, item: Value, element: etree._Element) -> None:
    if element.get(INSERT) in ("before", "after"):
        raise InsertionError(KEY, "missing index component")
    entries.put(identity, item)


def _keys_beside(node: Node, element: etree._Element) -> Identity:
    text = element.get(KEY)
    if text is None:
        raise InsertionError(KEY, "insert before or after needs the attribute key", tag="missing-attribute")
    given = {name: single or double for name, single, double in _PREDICATE.findall(text)}
    keys = [node.children[index] for index in node.keys]
    if _PREDICATE.sub("", text).strip() or set(given) != {key.name for key in keys}:
        raise InsertionError(KEY, f"{text!r} does not name the keys {', '.join(key.name for key in keys)}")
    return tuple(_canonical(key, given[key.name], KEY) for key in keys)


def _value_beside(node: Node, element: etree._Element) -> Identity:
    text = element.get(VALUE)
    if text is None:
        raise InsertionError(VALUE, "insert before or after needs the attribute value", tag="missing-attribute")
    return _canonical(node, text, VALUE)


def _canonical(node: Node, text: str, attribute: str) -> str:
    assert node.type is not None
    try:
        return node.type.canonical(text)
    except ValueError as error:
        raise InsertionError(attribute, f"{node.name}: {error}") from error


_OPERATION = f"{{{NETCONF_NS}}}operation"
_DEFAULT = f"{{{DEFAULT_NS}}}default"
#: How the attribute may be written, an xs:boolean.
_TRUE, _FALSE = ("true", "1"), ("false", "0")
_NAMES = {_OPERATION: "operation", _DEFAULT: "default", INSERT: "insert", KEY: "key", VALUE: "value"}


class Operation(Enum):
    """The operation of an element in an edit."""

    MERGE = "merge"
    REPLACE = "replace"
    CREATE = "create"
    DELETE = "delete"
    REMOVE = "remove"
    NONE = "none"

    @classmethod
    def as_default(cls, name: str) -> Operation:
        """Return the default operation of that name.

        Raises:
            RpcError: invalid-value, none of merge, replace and none.
        """
        if name not in ("merge", "replace", "none"):
            message = f"default-operation {name!r} is none of merge, replace, none"
            raise RpcError("invalid-value", message, type="protocol", info={"bad-element": "default-operation"})
        return cls(name)


#: Operations that the attribute may name; ``none`` is for the default operation only.
_ATTRIBUTE_OPERATIONS = {operation.value: operation for operation in Operation if operation is not Operation.NONE}
_TAKING_AWAY = (Operation.DELETE, Operation.REMOVE)


class ErrorOption(Enum):
    """What happens to an edit with an error (RFC 6241 §7.2)."""

    ROLLBACK = "rollback-on-error"
    STOP = "stop-on-error"
    CONTINUE = "continue-on-error"


@dataclass(frozen=True, slots=True)
class EditRules:
    """How a device handles edits.

    Attributes:
        basic_mode: Its basic mode of with-defaults, which says whether a default value exists (RFC 6243 §2).
        keyless_ignored: Whether it accepts list entries without keys, and ignores them.
        places_unknown: Whether it appends new entries of lists in order, and refuses those that go beside others.
    """

    basic_mode: WithDefaults = "explicit"
    keyless_ignored: bool = False
    places_unknown: bool = False


#: The instances of one parent in the edit so far: index of the node, then keys or value.
_Seen = set[tuple[int | str, ...]]

#: The rules of RFC 7950, in basic mode explicit.
STRICT = EditRules()


class Edit:
    """One document laid upon trees. With ``allow_state`` it may hold config-false nodes, for State.

    Unless ``on_error`` is ROLLBACK, errors are gathered in ``errors`` and what was applied stays.
    """

    def __init__(
        self,
        schema: Schema,
        document: etree._Element,
        *,
        allow_state: bool = False,
        rules: EditRules = STRICT,
        on_error: ErrorOption = ErrorOption.ROLLBACK,
    ) -> None:
        self._schema = schema
        self._document = document
        self._allow_state = allow_state
        self._rules = rules
        self._on_error = on_error
        self.errors: list[RpcError] = []

    def apply(self, root: Branch, operation: Operation) -> Branch:
        """Return the edited root.

        Raises:
            RpcError: the first error in the order of the document, when errors are not gathered.
        """
        base = self._schema.root.blank if operation is Operation.REPLACE else root
        return self._children(self._schema.root, base, self._document, operation)

    # ------------------------------------------------------------------ kinds of node

    def _children(self, parent: Node, base: Branch, element: etree._Element, operation: Operation) -> Branch:
        if element.text and element.text.strip():
            raise self._error("bad-element", "text where only elements may stand", element, element)
        values = list(base)
        lists: dict[int, Entries] = {}
        seen: _Seen = set()
        for child in element.iterchildren(tag=etree.Element):
            try:
                node = self._resolve(parent, child)
                if node.is_key:
                    self._once(seen, child, node.index)
                elif node.kind in (Kind.LIST, Kind.LEAF_LIST):
                    if node.index not in lists:
                        lists[node.index] = Entries(node, values[node.index] or ())
                    self._entry(node, lists[node.index], child, operation, seen)
                else:
                    values[node.index] = self._child(node, values[node.index], child, operation, seen)
            except RpcError as error:
                if self._on_error is ErrorOption.ROLLBACK:
                    raise
                self.errors.append(error)
            if self.errors and self._on_error is ErrorOption.STOP:
                break
        for index, entries in lists.items():
            values[index] = entries.items() or None
        return tuple(values)

    def _entry(self, node: Node, entries: Entries, element: etree._Element, inherited: Operation, seen: _Seen) -> None:
        operation = self._operation(node, element, inherited)
        if node.kind is Kind.LIST:
            self._list(node, entries, element, operation, seen)
        else:
            self._leaf_list(node, entries, element, operation, seen)

    def _child(self, node: Node, old: Value, element: etree._Element, inherited: Operation, seen: _Seen) -> Value:
        operation = self._operation(node, element, inherited)
        self._once(seen, element, node.index)
        if node.kind is Kind.LEAF:
            return self._leaf(node, old, element, operation, created=inherited is Operation.CREATE)
        return self._container(node, old, element, operation)

    def _container(self, node: Node, old: Branch | None, element: etree._Element, operation: Operation) -> Value:
        if node.presence or operation is not Operation.NONE:
            self._check_existence(operation, old is not None, element)
        if operation in _TAKING_AWAY:
            self._check_described(node, element)
            return None
        base = node.blank if old is None or operation is Operation.REPLACE else old
        branch = self._children(node, base, element, operation)
        # A container without presence that holds nothing is the same as none (RFC 7950 §7.5.1).
        return branch if node.presence or branch != node.blank else None

    def _list(self, node: Node, entries: Entries, element: etree._Element, operation: Operation, seen: _Seen) -> None:
        if not node.keys:
            entries.put(len(entries), self._children(node, node.blank, element, operation))
            return
        if self._rules.keyless_ignored and any(element.find(node.children[index].tag) is None for index in node.keys):
            return
        keys = self._key_values(node, element)
        self._once(seen, element, node.index, *keys)
        old = entries.get(keys)
        self._check_existence(operation, old is not None, element)
        if operation in _TAKING_AWAY:
            self._check_described(node, element)
            entries.remove(keys)
            return
        fresh = keys + node.blank[len(keys) :]
        base = fresh if old is None or operation is Operation.REPLACE else old
        self._place(node, entries, keys, self._children(node, base, element, operation), element, operation)

    def _leaf(
        self, node: Node, old: str | None, element: etree._Element, operation: Operation, *, created: bool
    ) -> str | None:
        mode = self._rules.basic_mode
        # To a device that reports all, a default value is there like any other (RFC 6243 §2.1.2), though not in an
        # entry that is created just now.
        there = old is not None or (mode == "report-all" and node.default is not None and not created)
        self._check_existence(operation, there, element)
        if operation in _TAKING_AWAY:
            self._check_value(node, element)
            return None
        value = self._text(node, element)
        if operation is Operation.NONE:
            return old
        if element.get(_DEFAULT) in _TRUE:
            if value != node.default:
                raise self._error("invalid-value", f"{value!r} is not the default of {node.name}", element)
            return None
        # To a device that trims, it never is (§2.2.2).
        return None if mode == "trim" and value == node.default else value

    def _leaf_list(
        self, node: Node, values: Entries, element: etree._Element, operation: Operation, seen: _Seen
    ) -> None:
        value = self._text(node, element)
        if node.config:  # values of state may repeat (RFC 7950 §7.7)
            self._once(seen, element, node.index, value)
        self._check_existence(operation, value in values, element)
        if operation in _TAKING_AWAY:
            values.remove(value)
        else:
            self._place(node, values, value, value, element, operation)

    # ---------------------------------------------------------------------- helpers

    def _place(
        self,
        node: Node,
        entries: Entries,
        identity: Identity,
        item: Value,
        element: etree._Element,
        operation: Operation,
    ) -> None:
        """Put a list entry, or a value of a leaf-list, where it belongs."""
        if element.get(INSERT) is None or operation is Operation.NONE:
            entries.put(identity, item)
            return
        try:
            if self._rules.places_unknown:
                _append(entries, identity, item, element)
            else:
                insert(node, entries, identity, item, element)
        except InsertionError as error:
            raise self._bad_attribute(error.attribute, str(error), element, error.app_tag, error.tag) from error

    def _resolve(self, parent: Node, element: etree._Element) -> Node:
        node = parent.by_tag.get(str(element.tag))
        if node is not None and (node.config or self._allow_state):
            return node
        name = etree.QName(element)
        if node is not None:
            raise self._error("unknown-element", f"{name.localname} is state and can't be configured", element, element)
        if (name.namespace or "") not in self._schema.namespaces:
            raise self._error(
                "unknown-namespace",
                f"no module has namespace {name.namespace or 'none'}",
                element,
                info={"bad-element": name.localname, "bad-namespace": name.namespace or ""},
            )
        where = parent.name or "the configuration"
        raise self._error("unknown-element", f"{where} has no {name.localname} of that namespace", element, element)

    def _once(self, seen: _Seen, element: etree._Element, index: int, *identity: str) -> None:
        """One parent holds a leaf, a container, a list entry or a leaf-list value only once (RFC 7950 §7.5 to §7.8)."""
        if (index, *identity) in seen:
            name = etree.QName(element).localname
            raise self._error("unknown-element", f"duplicate instance of {name}", element, element)
        seen.add((index, *identity))

    def _check_described(self, parent: Node, element: etree._Element) -> None:
        """Check the content of an element to delete: known nodes with valid values (RFC 7950 §8.3.1)."""
        seen: _Seen = set()
        for child in element.iterchildren(tag=etree.Element):
            node = self._resolve(parent, child)
            self._operation(node, child, Operation.NONE)
            if node.kind is Kind.LIST:
                self._once(seen, child, node.index, *self._key_values(node, child))
            elif node.kind is Kind.LEAF_LIST:
                self._once(seen, child, node.index, self._text(node, child))
            else:
                self._once(seen, child, node.index)
            if node.is_branch:
                self._check_described(node, child)
            elif node.kind is Kind.LEAF:
                self._check_value(node, child)

    def _check_value(self, node: Node, element: etree._Element) -> None:
        """Check the value of a leaf to delete: it needs none, but a given one must be valid."""
        if len(element) or (element.text or "").strip():
            self._text(node, element)

    def _operation(self, node: Node, element: etree._Element, inherited: Operation) -> Operation:
        allowed = {_OPERATION}
        if node.user_ordered:
            allowed |= {INSERT, KEY, VALUE}
        if node.kind is Kind.LEAF:
            allowed.add(_DEFAULT)
        for name in map(str, element.attrib):
            if name not in allowed:
                bad = {"bad-attribute": etree.QName(name).localname, "bad-element": node.name}
                raise self._error("unknown-attribute", f"{name} has no meaning here", element, info=bad)
        if (given := element.get(_DEFAULT)) not in (None, *_TRUE, *_FALSE):
            raise self._bad_attribute(_DEFAULT, f"{given!r:.40} is neither true nor false", element)
        asked = element.get(_OPERATION)
        if asked is None:
            return inherited
        if asked not in _ATTRIBUTE_OPERATIONS:
            raise self._bad_attribute(_OPERATION, f"{asked!r} is not an operation", element)
        return _ATTRIBUTE_OPERATIONS[asked]

    def _check_existence(self, operation: Operation, exists: bool, element: etree._Element) -> None:
        if operation is Operation.CREATE and exists:
            raise self._error("data-exists", "can't create what is there already", element)
        if operation in (Operation.DELETE, Operation.NONE) and not exists:
            raise self._error("data-missing", "not there", element)

    def _key_values(self, node: Node, element: etree._Element) -> tuple[str, ...]:
        values = []
        for key in (node.children[index] for index in node.keys):
            leaf = element.find(key.tag)
            if leaf is None:
                message = f"{node.name} needs its key {key.name}"
                raise self._error("missing-element", message, element, info={"bad-element": key.name})
            if self._operation(key, leaf, Operation.NONE) in _TAKING_AWAY:
                raise self._bad_attribute(_OPERATION, "a key goes with its entry only", leaf)
            values.append(self._text(key, leaf))
        return tuple(values)

    def _text(self, node: Node, element: etree._Element) -> str:
        if next(element.iterchildren(tag=etree.Element), None) is not None:
            raise self._error("bad-element", f"{node.name} holds a value, not elements", element, element)
        assert node.type is not None
        text = (element.text or "") + "".join(comment.tail or "" for comment in element)
        try:
            return node.type.canonical(text)
        except ValueError as error:
            info = {"bad-element": node.name}
            raise self._error("invalid-value", f"{node.name}: {error}", element, info=info) from error

    def _bad_attribute(
        self,
        attribute: str,
        message: str,
        element: etree._Element,
        app_tag: str | None = None,
        tag: str = "bad-attribute",
    ) -> RpcError:
        info = {"bad-attribute": _NAMES[attribute], "bad-element": etree.QName(element).localname}
        return self._error(tag, message, element, info=info, app_tag=app_tag)

    def _error(
        self,
        tag: str,
        message: str,
        element: etree._Element,
        bad_element: etree._Element | None = None,
        *,
        info: Mapping[str, str] | None = None,
        app_tag: str | None = None,
    ) -> RpcError:
        if bad_element is not None:
            info = {"bad-element": etree.QName(bad_element).localname}
        places = places_of(self._schema.root, self._document, element)
        kind: ErrorType = "protocol" if tag.endswith("-attribute") else "application"
        return RpcError(
            tag,
            message,
            type=kind,
            path=path_text(places) or None,
            namespaces=path_namespaces(places),
            info=info or {},
            app_tag=app_tag,
        )
