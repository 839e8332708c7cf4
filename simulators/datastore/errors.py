"""rpc-errors as exceptions (RFC 6241 §4.3 and appendix A; RFC 7950 §15 for the app-tags)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from lxml import etree

#: Namespace of rpc-errors and of the ``operation`` attribute.
NETCONF_NS = "urn:ietf:params:xml:ns:netconf:base:1.0"
#: Namespace of the attributes ``insert``, ``key`` and ``value`` (RFC 7950 §7.8.6).
YANG_NS = "urn:ietf:params:xml:ns:yang:1"
#: Namespace of the ``default`` attribute (RFC 6243 §6).
DEFAULT_NS = "urn:ietf:params:xml:ns:netconf:default:1.0"

ErrorType = Literal["transport", "rpc", "protocol", "application"]


class RpcError(Exception):
    """One ``<rpc-error>``.

    ``path`` is an XPath that uses the prefixes in ``namespaces``; ``info`` becomes the children of
    ``<error-info>`` (bad-element, bad-attribute, bad-namespace, session-id).
    """

    def __init__(
        self,
        tag: str,
        message: str,
        *,
        type: ErrorType = "application",
        severity: Literal["error", "warning"] = "error",
        path: str | None = None,
        app_tag: str | None = None,
        info: Mapping[str, str] = MappingProxyType({}),
        namespaces: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(f"{tag}: {message}" + (f" ({path})" if path else ""))
        self.tag = tag
        self.message = message
        self.type = type
        self.severity = severity
        self.path = path
        self.app_tag = app_tag
        self.info = dict(info)
        self.namespaces = dict(namespaces)

    def to_element(self) -> etree._Element:
        """The ``<rpc-error>`` element, its children in the order of RFC 6241 §4.3."""
        error = etree.XML(f'<rpc-error xmlns="{NETCONF_NS}"/>')
        _leaf(error, "error-type", self.type)
        _leaf(error, "error-tag", self.tag)
        _leaf(error, "error-severity", self.severity)
        if self.app_tag is not None:
            _leaf(error, "error-app-tag", self.app_tag)
        if self.path is not None:
            path = etree.SubElement(error, f"{{{NETCONF_NS}}}error-path", nsmap=dict(self.namespaces))
            path.text = self.path
        message = _leaf(error, "error-message", self.message)
        message.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
        if self.info:
            info = etree.SubElement(error, f"{{{NETCONF_NS}}}error-info")
            for name, value in self.info.items():
                _leaf(info, name, value)
        return error


class RpcErrors(Exception):  # noqa: N818 - the plural of RpcError
    """Several ``<rpc-error>`` of one reply."""

    def __init__(self, errors: Iterable[RpcError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(str(error) for error in self.errors))


def _leaf(parent: etree._Element, name: str, text: str) -> etree._Element:
    leaf = etree.SubElement(parent, f"{{{NETCONF_NS}}}{name}")
    leaf.text = text
    return leaf
