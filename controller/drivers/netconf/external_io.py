"""External inputs of stations on the wire: dry contacts to what is beside the station (O-RAN.WG4.MP §11.6). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from lxml import etree

from controller.nrm import namespaces as ns

#: Most inputs that are read, and most characters of a name (module o-ran-externalio): stations are not trusted.
_MOST_INPUTS, _MOST_LETTERS = 256, 255
_IO = f"{{{ns.ORAN_EXTERNALIO}}}"
#: Values of ``line-in``, and its default in the module: an open circuit.
_LINES, _DEFAULT = {"true": True, "false": False}, True


def inputs_filter() -> etree._Element:
    """Content of a subtree filter (RFC 6241 §6) for the external inputs."""
    top = etree.Element(f"{_IO}external-io", nsmap=ns.as_default(ns.ORAN_EXTERNALIO))
    etree.SubElement(top, f"{_IO}input")
    return top


def decode_inputs(data: etree._Element, *, trims: bool = False) -> Mapping[str, bool]:
    """External inputs in a reply's ``<data>``: whether the circuit is open (``line-in``), by name.

    ``line-in`` is state: only a server that trims defaults leaves it out where the circuit is open (RFC 6243 §2.2.1);
    all others have to report it (§2.1.1, §2.3.1), so that a missing one tells nothing.

    An input without a name, with a longer one than the module allows, or with a value that is no boolean is left out:
    its state is unknown. So is that of a name that comes twice with both values.

    Args:
        data: The data.
        trims: Whether the server announces the basic mode ``trim`` of with-defaults.
    """
    found: dict[str, bool] = {}
    doubted: set[str] = set()
    for entry in islice(data.iterfind(f"{_IO}external-io/{_IO}input"), _MOST_INPUTS):
        name = (entry.findtext(f"{_IO}name") or "").strip()
        line = _line(entry.find(f"{_IO}line-in"), trims)
        if not name or len(name) > _MOST_LETTERS or line is None:
            continue
        if found.setdefault(name, line) is not line:
            doubted.add(name)
    return {name: line for name, line in found.items() if name not in doubted}


def _line(leaf: etree._Element | None, trims: bool) -> bool | None:
    """Whether the circuit is open; None if the server does not tell."""
    if leaf is None:
        return _DEFAULT if trims else None
    return _LINES.get((leaf.text or "").strip())
