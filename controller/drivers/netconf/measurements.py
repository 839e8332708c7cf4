"""Measurements on the wire: the latest period of each job of a station (``urn:minka:performance``). Pure.

3GPP models jobs only (PerfMetricJob of TS 28.623) and reports their values by file or stream.
"""

from __future__ import annotations

from collections import Counter

from lxml import etree

from controller.models.measurement import Period, Unread, value_of
from controller.models.untrusted import moment
from controller.nrm import namespaces as ns

_PREFIX = f"{{{ns.PERFORMANCE}}}"
_LONGEST_NAME = 512


def measurements_filter() -> etree._Element:
    """Content of a subtree filter (RFC 6241 §6) for all that ``decode_measurements`` reads."""
    return etree.Element(f"{_PREFIX}performance", nsmap=ns.as_default(ns.PERFORMANCE))


def decode_measurements(data: etree._Element) -> tuple[Period, ...]:
    """The latest complete period of each job; without jobs that have no times.

    Values that can't be read are counted (``Period.unread``), and so are all of a period that ends before it begins.
    Names are cut at 512 characters, which no name of an object or counter has.
    """
    found = []
    for job in data.iterfind(f"{_PREFIX}performance/{_PREFIX}job"):
        begin, end = moment(job.findtext(f"{_PREFIX}begin-time")), moment(job.findtext(f"{_PREFIX}end-time"))
        if begin is None or end is None:
            continue
        unread: Counter[str] = Counter()
        values = {_name(measured, "name"): _counters(measured, unread) for measured in job.iterfind(f"{_PREFIX}object")}
        if begin >= end:
            values, unread = {}, Counter({Unread.GRANULARITY.value: sum(map(len, values.values()))})
        suspect = (job.findtext(f"{_PREFIX}suspect") or "").strip() == "true" or Unread.IMPOSSIBLE in unread
        found.append(
            Period(job=_name(job, "id"), begin=begin, end=end, suspect=suspect, values=values, unread=dict(unread))
        )
    return tuple(found)


def _counters(measured: etree._Element, unread: Counter[str]) -> dict[str, float]:
    found = {}
    for counter in measured.iterfind(f"{_PREFIX}counter"):
        value = value_of(counter.findtext(f"{_PREFIX}value") or "")
        if isinstance(value, Unread):
            unread[value.value] += 1
        elif value is not None:
            found[_name(counter, "name")] = value
    return found


def _name(element: etree._Element, leaf: str) -> str:
    return (element.findtext(f"{_PREFIX}{leaf}") or "").strip()[:_LONGEST_NAME]
