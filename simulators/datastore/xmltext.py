"""Reads and writes documents: top-level elements, bare or in a wrapper."""

from __future__ import annotations

from copy import deepcopy

from lxml import etree

from simulators.datastore.errors import NETCONF_NS, RpcError

_WRAPPERS = (f"{{{NETCONF_NS}}}config", f"{{{NETCONF_NS}}}data")
#: Never fetches or expands anything.
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)


def document_of(xml: etree._Element | bytes) -> etree._Element:
    """Return an element whose children are top-level data nodes.

    Takes a ``<config>`` or ``<data>`` element, or a single top-level element; as text or parsed.

    Raises:
        RpcError: malformed-message, the text is not XML.
    """
    element = _parse(xml) if isinstance(xml, bytes) else xml
    if element.tag in _WRAPPERS:
        return element
    wrapper = etree.Element(_WRAPPERS[0])
    # A copy, since lxml would move the element out of the caller's document.
    wrapper.append(deepcopy(element))
    return wrapper


def parse_top_level(text: str) -> list[etree._Element]:
    """Parse rendered text into its top-level elements."""
    return list(etree.fromstring(f"<data>{text}</data>", _PARSER))


def _parse(text: bytes) -> etree._Element:
    try:
        return etree.fromstring(text, _PARSER)
    except etree.XMLSyntaxError as error:
        raise RpcError("malformed-message", f"not XML: {error}", type="rpc") from error
