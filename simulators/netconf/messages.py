"""NETCONF messages as XML: parses requests, builds replies and notifications (RFC 6241 §4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import quoteattr

from lxml import etree

from simulators import elements
from simulators.datastore import RpcError
from simulators.elements import timestamp

BASE_NS = "urn:ietf:params:xml:ns:netconf:base:1.0"
NOTIFICATION_NS = "urn:ietf:params:xml:ns:netconf:notification:1.0"

_XML_NS = "http://www.w3.org/XML/1998/namespace"
_HELLO = f"{{{BASE_NS}}}hello"
_RPC = f"{{{BASE_NS}}}rpc"
_DECLARATION = "<?xml version='1.0' encoding='UTF-8'?>\n"
_PARSER = etree.XMLParser(
    encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
)


class MalformedMessageError(Exception):
    """The message is not XML that a station accepts: not well-formed, or with a document type."""


@dataclass(frozen=True, slots=True)
class Request:
    """An ``<rpc>``: its attributes, which the reply must carry too, and the operation in it."""

    rpc: etree._Element
    operation: etree._Element

    @property
    def name(self) -> str:
        """Local name of the operation."""
        return etree.QName(self.operation).localname


def parse(message: bytes) -> etree._Element:
    """Parse one message; external entities and references are never followed.

    Raises:
        MalformedMessageError: not well-formed UTF-8 XML, or with a document type (RFC 6241 §3 forbids one).
    """
    try:
        root = etree.fromstring(message.strip(), _PARSER)
    except etree.XMLSyntaxError as error:
        raise MalformedMessageError(str(error)) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise MalformedMessageError("a document type is not allowed")
    return root


def read_hello(root: etree._Element) -> frozenset[str]:
    """Return the capabilities of a client's ``<hello>``.

    Raises:
        MalformedMessageError: it is not a hello, or carries a session id (RFC 6241 §8.1).
    """
    if root.tag != _HELLO:
        raise MalformedMessageError(f"want hello, got {root.tag!r:.80}")
    if root.find(f"{{{BASE_NS}}}session-id") is not None:
        raise MalformedMessageError("a client's hello carries no session-id")
    return frozenset((element.text or "").strip() for element in root.iter(f"{{{BASE_NS}}}capability"))


def read_request(root: etree._Element) -> Request:
    """Parse an ``<rpc>``.

    Raises:
        MalformedMessageError: it is not an rpc.
        RpcError: missing-attribute without message-id, malformed-message without exactly one operation.
    """
    if root.tag != _RPC:
        raise MalformedMessageError(f"want rpc, got {root.tag!r:.80}")
    if "message-id" not in root.attrib:
        info = {"bad-attribute": "message-id", "bad-element": "rpc"}
        raise RpcError("missing-attribute", "an rpc needs a message-id", type="rpc", info=info)
    operations = [child for child in root if isinstance(child.tag, str)]
    if len(operations) != 1:
        raise RpcError("malformed-message", f"{len(operations)} operations in one rpc, want one", type="rpc")
    return Request(root, operations[0])


def hello(session: int, capabilities: Iterable[str]) -> bytes:
    """The station's ``<hello>``."""
    root = elements.root(BASE_NS, "hello")
    container = elements.node(root, "capabilities")
    for capability in capabilities:
        elements.leaf(container, "capability", capability)
    elements.leaf(root, "session-id", str(session))
    return _serialise(root)


def reply_ok(rpc: etree._Element) -> bytes:
    """The reply of an operation without a result."""
    return _reply(rpc, "<ok/>")


def reply_data(rpc: etree._Element, content: str) -> bytes:
    """A reply whose ``<data>`` holds what was rendered already."""
    return _reply(rpc, f"<data>{content}</data>")


def reply_errors(rpc: etree._Element | None, errors: Sequence[RpcError]) -> bytes:
    """The reply of a failed operation; without an rpc if none could be read."""
    return reply(rpc, [error.to_element() for error in errors])


def reply(rpc: etree._Element | None, content: Iterable[etree._Element]) -> bytes:
    """A reply with the attributes of its rpc."""
    # Put together as text: lxml would drop a declaration whose namespace the rpc has under another prefix, and prefixes
    # in values, as in an error-path, would be left without one.
    return _reply(rpc, "".join(etree.tostring(element, encoding="unicode", with_tail=False) for element in content))


def _reply(rpc: etree._Element | None, content: str) -> bytes:
    words = [f'xmlns="{BASE_NS}"']
    if rpc is not None:
        words += [f"xmlns:{prefix}={quoteattr(uri)}" for prefix, uri in rpc.nsmap.items() if prefix is not None]
        words += [f"{_attribute(rpc, str(name))}={quoteattr(str(value))}" for name, value in rpc.attrib.items()]
    return f"{_DECLARATION}<rpc-reply {' '.join(words)}>{content}</rpc-reply>".encode()


def _attribute(rpc: etree._Element, name: str) -> str:
    """The name of an attribute, with a prefix that the rpc declares for its namespace."""
    if not name.startswith("{"):
        return name
    namespace, _, local = name[1:].partition("}")
    if namespace == _XML_NS:
        return f"xml:{local}"
    return next(f"{prefix}:{local}" for prefix, uri in rpc.nsmap.items() if prefix is not None and uri == namespace)


def notification(when: datetime, content: etree._Element) -> bytes:
    """A ``<notification>`` (RFC 5277 §4)."""
    root = elements.root(NOTIFICATION_NS, "notification")
    elements.leaf(root, "eventTime", timestamp(when))
    root.append(deepcopy(content))
    return _serialise(root)


def child(element: etree._Element, name: str) -> etree._Element | None:
    """The parameter of an operation, in the namespace of the operation itself."""
    return element.find(f"{{{etree.QName(element).namespace}}}{name}")


def text(element: etree._Element, name: str) -> str | None:
    """The text of a parameter of type string, in which blanks count; none if it is absent."""
    found = child(element, name)
    return None if found is None else (found.text or "")


def word(element: etree._Element, name: str) -> str | None:
    """The text of a parameter of another type, without the blanks around it; none if it is absent."""
    found = text(element, name)
    return None if found is None else found.strip()


_DIGITS = re.compile(r"[0-9]{1,10}")


def number(element: etree._Element, name: str, low: int, high: int) -> int | None:
    """A whole-number parameter within its range, none if it is absent.

    Raises:
        RpcError: invalid-value.
    """
    value = word(element, name)
    if value is None:
        return None
    if not _DIGITS.fullmatch(value) or not low <= int(value) <= high:
        message = f"{name} {value!r:.40} is not within {low}..{high}"
        raise RpcError("invalid-value", message, type="protocol", info={"bad-element": name})
    return int(value)


def _serialise(root: etree._Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
