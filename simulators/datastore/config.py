"""A configuration: immutable, compact, and sharing equal parts with others."""

from __future__ import annotations

from lxml import etree

from simulators.datastore.access import Access
from simulators.datastore.changes import NodeChange, node_changes
from simulators.datastore.edit import STRICT, Edit, EditRules, ErrorOption, Operation
from simulators.datastore.errors import NETCONF_NS, RpcError, RpcErrors
from simulators.datastore.instance import Instance, Path
from simulators.datastore.render import WithDefaults, fill_defaults, render
from simulators.datastore.schema import Branch, Schema
from simulators.datastore.state import State, overlay
from simulators.datastore.subtree import select
from simulators.datastore.validation import violations
from simulators.datastore.xmltext import document_of, parse_top_level


class Config:
    """The content of a datastore; two are equal when they hold the same nodes in the same order."""

    __slots__ = ("_branch", "_valid", "schema")

    def __init__(self, schema: Schema, branch: Branch) -> None:
        self.schema = schema
        self._branch = branch
        self._valid = False

    @classmethod
    def empty(cls, schema: Schema) -> Config:
        """The configuration without any node."""
        return cls(schema, schema.root.blank)

    @classmethod
    def from_xml(cls, schema: Schema, xml: etree._Element | bytes) -> Config:
        """Read a document: ``<config>``, ``<data>`` or a single top-level element.

        Raises:
            RpcError: the document does not fit the schema. Completeness is left to ``validate``.
        """
        return cls(schema, Edit(schema, document_of(xml)).apply(schema.root.blank, Operation.MERGE))

    def edit(self, edit: etree._Element, default_operation: str = "merge", rules: EditRules = STRICT) -> Config:
        """Apply the ``<config>`` element of an edit-config (RFC 6241 §7.2) and return the result.

        This configuration stays as it is. An edit that changes nothing returns an equal configuration.

        Raises:
            RpcError: the first error in the order of the document.
        """
        operation = Operation.as_default(default_operation)
        return self._with(Edit(self.schema, edit, rules=rules).apply(self._branch, operation))

    def edit_partly(
        self, edit: etree._Element, default_operation: str, rules: EditRules, on_error: ErrorOption
    ) -> tuple[Config, tuple[RpcError, ...]]:
        """Apply what can be applied, up to the first error or beyond it; return it with the errors."""
        document = Edit(self.schema, edit, rules=rules, on_error=on_error)
        branch = document.apply(self._branch, Operation.as_default(default_operation))
        return self._with(branch), tuple(document.errors)

    def with_leaf(self, path: Path, name: str, value: str) -> Config:
        """This configuration with one leaf of the container or list entry at a path set."""
        top, element = self._edit_at(path)
        etree.SubElement(element, f"{{{etree.QName(element).namespace}}}{name}").text = value
        return self.edit(top)

    def without_entry(self, path: Path) -> Config:
        """This configuration without the list entry at a path."""
        top, element = self._edit_at(path)
        element.set(f"{{{NETCONF_NS}}}operation", "remove")
        return self.edit(top)

    def _edit_at(self, path: Path) -> tuple[etree._Element, etree._Element]:
        """A ``<config>`` with the elements down to a path, and the last of them."""
        top = element = etree.Element(f"{{{NETCONF_NS}}}config")
        node = self.schema.root
        for step in path:
            node = node.by_name[step if isinstance(step, str) else step[0]]
            element = etree.SubElement(element, node.tag)
            keys = () if isinstance(step, str) else step[1:]
            for index, key in zip(node.keys, keys, strict=True):
                etree.SubElement(element, node.children[index].tag).text = key
        return top, element

    def _with(self, branch: Branch) -> Config:
        return self if branch == self._branch else Config(self.schema, branch)

    def validate(self) -> None:
        """Check the configuration as a whole: mandatory nodes, numbers of entries, must statements.

        Types, keys and unknown nodes were checked when the configuration was made. What was found
        valid once is not checked again.

        Raises:
            RpcErrors: everything that is wrong.
        """
        if self._valid:
            return
        errors = violations(self.schema, self._branch)
        if errors:
            raise RpcErrors(errors)
        self._valid = True

    def changes(self, after: Config, *, deep: bool = False) -> list[NodeChange]:
        """Changes to another configuration of the same schema; with ``deep`` also each node below a change."""
        return list(node_changes(self.schema.root, self._branch, after._branch, deep=deep))

    @property
    def root(self) -> Instance:
        """The root, to read configuration without XML."""
        return Instance(self.schema.root, self._branch)

    def get(self, path: Path) -> Instance | None:
        """The container or list entry at a path, None when it is absent."""
        return self.root.find(path)

    def to_text(
        self,
        *,
        filter: etree._Element | None = None,
        with_defaults: WithDefaults = "explicit",
        state: State | None = None,
        access: Access | None = None,
    ) -> str:
        """Return the top-level elements as XML text.

        Args:
            filter: a ``<filter type="subtree">`` element; None selects everything.
            with_defaults: mode of RFC 6243. In ``trim`` the filter still sees what is left out.
            state: state to lay over the configuration, for ``<get>``.
            access: rights of the reader; nodes that it hides look absent.
        """
        root, branch = self.schema.root, self._branch
        if state is not None:
            branch = overlay(root, branch, state.root)
        if access is not None:
            branch = access.readable(root, branch)
        if with_defaults in ("report-all", "report-all-tagged"):
            branch = fill_defaults(root, branch)
        if filter is not None:
            branch = select(root, branch, filter)
        return render(root, branch, with_defaults)

    def to_xml(self) -> list[etree._Element]:
        """Return the top-level elements."""
        return parse_top_level(self.to_text())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Config):
            return NotImplemented
        return self.schema is other.schema and self._branch == other._branch

    def __hash__(self) -> int:
        return hash(self._branch)

    def __repr__(self) -> str:
        return f"<Config {self.to_text()!r}>"
