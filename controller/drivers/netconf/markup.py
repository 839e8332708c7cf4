"""XML of devices, parsed within bounds on its size, its elements and their depth. Pure.

The bounds hold before a tree is built: of a tree, an element takes thirty times what it takes in a message.
"""

from __future__ import annotations

from lxml import etree

#: Most elements and attributes of a document, counted by their marks (``<`` and ``=``), of which an element with text
#: has two. A fully configured station has 12,000.
MOST_MARKS = 250_000
#: Bytes up to which documents share a parser.
_SHORT = 1 << 18


class MalformedXmlError(Exception):
    """A document is not well-formed, or exceeds a bound."""


def _parser() -> etree.XMLParser:
    # RFC 6241 §3: UTF-8 only, and in another encoding marks could not be counted. Without huge_tree, libxml2 refuses
    # elements that are nested more than 256 levels deep, and texts of more than 10 MB.
    return etree.XMLParser(
        encoding="UTF-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


#: Shared, since making one costs as much as parsing an ok. A parser is locked while it parses, so a large document,
#: which may be parsed in a thread, has its own.
_SHARED = _parser()


def parse_xml(raw: bytes) -> etree._Element:
    """Parse a document; entities are never resolved, and nothing is loaded.

    Raises:
        MalformedXmlError: It is not well-formed UTF-8, has a document type, has more than ``MOST_MARKS`` elements and
            attributes, or is nested more than 256 levels deep.
    """
    if raw.count(b"<") + raw.count(b"=") > MOST_MARKS:
        raise MalformedXmlError(f"it has more than {MOST_MARKS} marks of elements and attributes")
    try:
        root = etree.fromstring(raw, _SHARED if len(raw) <= _SHORT else _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedXmlError("it is not well-formed XML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise MalformedXmlError("it has a document type declaration")
    return root
