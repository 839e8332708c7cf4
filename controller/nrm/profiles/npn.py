"""Entries of nPNIdentityList (TS 28.541), which the official YANG requires in each NR cell, as one text each.

The profile does not manage non-public networks. An entry is a start value, so its content need not be in the tree.
"""

from __future__ import annotations

import orjson
from lxml import etree

from controller.models.network import Plmn, mcc_mnc
from controller.nrm.schema import EntryText

_STRINGS = ("cAGIdList", "nIDList")


def of_nobody(plmn: Plmn) -> str:
    """The entry of a cell that serves no non-public network: its PLMN, without any identity."""
    return _text("0", ["-".join(mcc_mnc(plmn))], ["", ""])


def _read(element: etree._Element) -> str:
    prefix = str(element.tag).rpartition("}")[0] + "}"
    plmns = [
        "-".join((plmn.findtext(f"{prefix}{name}") or "").strip() for name in ("mcc", "mnc"))
        for plmn in element.iterfind(f"{prefix}plmnid")
    ]
    strings = [(element.findtext(f"{prefix}{name}") or "").strip() for name in _STRINGS]
    return _text((element.findtext(f"{prefix}idx") or "").strip(), sorted(plmns), strings)


def _write(element: etree._Element, text: str) -> None:
    prefix = str(element.tag).rpartition("}")[0] + "}"
    idx, plmns, strings = orjson.loads(text)
    etree.SubElement(element, f"{prefix}idx").text = idx
    for plmn in plmns:
        entry = etree.SubElement(element, f"{prefix}plmnid")
        for name, value in zip(("mcc", "mnc"), plmn.split("-"), strict=True):
            etree.SubElement(entry, f"{prefix}{name}").text = value
    for name, value in zip(_STRINGS, strings, strict=True):
        etree.SubElement(element, f"{prefix}{name}").text = value


def _text(idx: str, plmns: list[str], strings: list[str]) -> str:
    return orjson.dumps([idx, plmns, strings]).decode()


ENTRY = EntryText(_read, _write)
