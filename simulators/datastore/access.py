"""Who may read and write what, and do what: a subset of NACM (RFC 8341).

Left out: rules by module, notifications as a kind of access, and the configuration of the rules over NETCONF.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from simulators.datastore.changes import NodeChange
from simulators.datastore.errorpaths import Place
from simulators.datastore.errors import RpcError
from simulators.datastore.schema import Branch, Kind, Node, Value

AccessOperation = Literal["read", "create", "update", "delete", "exec"]
#: Every kind of access.
ANY_ACCESS: frozenset[AccessOperation] = frozenset({"read", "create", "update", "delete", "exec"})
#: Operations that only a rule permits (nacm:default-deny-all in RFC 6241's module).
_DENIED_BY_DEFAULT = frozenset({"kill-session", "delete-config"})
#: Operations that nobody is denied (RFC 8341 §3.4.4).
_ALWAYS = frozenset({"close-session"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; the first that fits decides.

    Attributes:
        permit: Whether it permits or denies.
        operations: The kinds of access that it covers.
        path: Names of the nodes down to a subtree; none given means all data.
        rpc: Name of an RPC operation instead of data.
    """

    permit: bool
    operations: frozenset[AccessOperation] = ANY_ACCESS
    path: tuple[str, ...] = ()
    rpc: str | None = None

    def covers(self, operation: AccessOperation, names: tuple[str, ...]) -> bool:
        """Whether the rule covers this access to this data."""
        return self.rpc is None and operation in self.operations and names[: len(self.path)] == self.path


@dataclass(frozen=True, slots=True)
class Access:
    """What a group of users may do; where no rule fits, the defaults decide (RFC 8341 §3.4.5)."""

    rules: tuple[Rule, ...] = ()
    read_default: bool = True
    write_default: bool = False
    exec_default: bool = True

    def executes(self, operation: str) -> bool:
        """Whether the user may call an RPC operation."""
        if operation in _ALWAYS:
            return True
        for rule in self.rules:
            if rule.rpc == operation and "exec" in rule.operations:
                return rule.permit
        return self.exec_default and operation not in _DENIED_BY_DEFAULT

    def check_writes(self, changes: Iterable[NodeChange]) -> None:
        """Refuse changes that the user may not make.

        Raises:
            RpcError: access-denied with the path of the first.
        """
        for change in changes:
            names = tuple(node.name for node, _ in change.places)
            if not self._permits(change.kind, names, self.write_default):
                raise denied(f"{change.kind} is not permitted here", change.places)

    def reads(self, names: tuple[str, ...]) -> bool:
        """Whether the user may read a node, given by the names from the root."""
        return self._permits("read", names, self.read_default)

    def readable(self, root: Node, branch: Branch) -> Branch:
        """The part of a tree that the user may read; the rest looks as if it were not there."""
        return self._children(root, branch, ())

    def _children(self, node: Node, branch: Branch, names: tuple[str, ...]) -> Branch:
        return tuple(
            # Keys go with their entry, whatever a rule says (RFC 8341 §3.2.4).
            value if value is None or child.is_key else self._value(child, value, (*names, child.name))
            for child, value in zip(node.children, branch, strict=True)
        )

    def _value(self, node: Node, value: Value, names: tuple[str, ...]) -> Value:
        if not self.reads(names):
            return None
        if node.kind is Kind.CONTAINER:
            return self._children(node, value, names)
        if node.kind is Kind.LIST:
            return tuple(self._children(node, entry, names) for entry in value)
        return value

    def _permits(self, operation: AccessOperation, names: tuple[str, ...], default: bool) -> bool:
        for rule in self.rules:
            if rule.covers(operation, names):
                return rule.permit
        return default


def denied(message: str, places: Iterable[Place] = ()) -> RpcError:
    """The error of RFC 8341 §3.4.4 and §3.4.5."""
    change = NodeChange("update", tuple(places))
    return RpcError("access-denied", message, path=change.path or None, namespaces=change.namespaces)


#: May read all and write nothing.
READ_ONLY = Access()
#: May do everything, as the recovery session of RFC 8341 §3.2.
UNRESTRICTED = Access(
    (Rule(permit=True, rpc="kill-session"), Rule(permit=True, rpc="delete-config")), write_default=True
)
