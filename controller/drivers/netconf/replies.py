"""Classifies the rpc-errors of replies.

ncclient judges a reply by its first error only, so that a warning in front hides an error. Some devices also prefix or
misplace ``rpc-error``. Here every rpc-error counts, wherever it stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import structlog
from lxml import etree

from controller.models.errors import DeviceBusyError, DeviceRefusedError, SessionLostError
from controller.models.many import first_names

BASE = "{urn:ietf:params:xml:ns:netconf:base:1.0}"
REPLY = f"{BASE}rpc-reply"
_OK = f"{BASE}ok"

#: Error-tags that mean that another session works on the device (RFC 6241 appendix A).
_BUSY = frozenset({"lock-denied", "in-use"})
#: How much of a device's errors goes into our message.
_MOST_ERRORS = 10
_LONGEST_TEXT = 300
_MOST_INFOS = 3
#: Most rpc-errors of a reply that are read, and most nodes of an error-info that are searched for its first leaves.
_MOST_READ, _MOST_SEARCHED = 1000, 100
#: Leaves of an error-info that are reported elsewhere, or are numbers from a vendor's list.
_NO_NEWS = frozenset({"session-id", "error-number"})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RpcError:
    """One rpc-error (RFC 6241 §4.3).

    Attributes:
        info: Content of its error-info, such as ``bad-element priorityLabel``.
        holder: The session id in its error-info, else ``0``.
    """

    severity: str
    tag: str
    app_tag: str
    path: str
    message: str
    info: str
    holder: str

    @property
    def node(self) -> str:
        """Name of the last node in its path, without prefix and keys."""
        return self.path.rpartition("/")[2].partition("[")[0].rpartition(":")[2]

    def __str__(self) -> str:
        tag = f"{self.tag} ({self.app_tag})" if self.app_tag else self.tag
        where = f" at {self.path}" if self.path else ""
        named = f" [{self.info}]" if self.info else ""
        return f"{tag}{where}{named}: {self.message}" if self.message else f"{tag}{where}{named}"


def errors_of(reply: etree._Element) -> tuple[RpcError, ...]:
    """The first 1000 rpc-errors of a reply, in any namespace and at any depth, in order."""
    return tuple(_error(element) for element in islice(reply.iter("{*}rpc-error"), _MOST_READ))


def check(reply: etree._Element, station: str, operation: str) -> etree._Element:
    """Return the reply if it reports no error; warnings are logged.

    Raises:
        DeviceBusyError: All its errors are lock-denied or in-use.
        DeviceRefusedError: It reports any other error.
        SessionLostError: It reports so many warnings that they are not all read: there may be an error among them.
    """
    reported = errors_of(reply)
    for warning in (error for error in reported if error.severity == "warning"):
        log.warning("device.warning", station=station, operation=operation, text=str(warning))
    errors = [error for error in reported if error.severity != "warning"]
    if not errors and len(reported) == _MOST_READ:
        raise SessionLostError(f"{station} answered {operation} with {_MOST_READ} warnings or more.")
    if not errors:
        return reply
    text = f"{station} refused {operation}: {_in_words(errors)}"
    if all(error.tag in _BUSY for error in errors):
        raise DeviceBusyError(text, holder=errors[0].holder)
    raise DeviceRefusedError(text, tag=errors[0].tag, node=errors[0].node)


def _in_words(errors: Iterable[RpcError]) -> str:
    """The errors as text; equal ones are listed once, with their number."""
    times = Counter(str(error) for error in errors)
    words = [f"{text} ({count} times)" if count > 1 else text for text, count in times.items()]
    return first_names(words, _MOST_ERRORS, "; ")


def check_done(reply: etree._Element, station: str, operation: str) -> None:
    """Like ``check``, for operations that answer ``<ok/>``.

    Raises:
        SessionLostError: The reply has neither ok nor an error, so nobody knows what happened.
    """
    if len(reply) == 1 and reply[0].tag == _OK:  # nearly always
        return
    check(reply, station, operation)
    if reply.find(_OK) is None and not errors_of(reply):
        raise SessionLostError(f"{station} answered {operation} with neither ok nor an error.")


def data_of(reply: etree._Element, station: str, operation: str) -> etree._Element:
    """The data of a reply to get or get-config; raises as ``check`` does, and without data SessionLostError."""
    data = check(reply, station, operation).find(f"{BASE}data")
    if data is None:
        raise SessionLostError(f"{station} answered {operation} without data.")
    return data


def _error(element: etree._Element) -> RpcError:
    # By local name, the first of each: some devices put them into their own namespaces.
    said = {etree.QName(part).localname: part for part in reversed(element) if isinstance(part.tag, str)}
    texts = {name: _short(part.text) for name, part in said.items()}
    info = said.get("error-info")
    return RpcError(
        severity=texts.get("error-severity") or "error",
        tag=texts.get("error-tag") or "unknown",
        app_tag=texts.get("error-app-tag", ""),
        path=texts.get("error-path", ""),
        message=texts.get("error-message", ""),
        info="" if info is None else "; ".join(_infos(info)),
        holder="0" if info is None else _short(info.findtext("{*}session-id")) or "0",
    )


def _infos(info: etree._Element) -> Iterator[str]:
    """The first leaves of an error-info, without those that are reported elsewhere or mean nothing to people."""
    searched = islice(info.iterdescendants(), _MOST_SEARCHED)
    named = (leaf for leaf in searched if not len(leaf) and isinstance(leaf.tag, str))
    worthy = (leaf for leaf in named if etree.QName(leaf).localname not in _NO_NEWS)
    for leaf in islice(worthy, _MOST_INFOS):
        text = _short(leaf.text)
        yield f"{etree.QName(leaf).localname} {text}" if text else etree.QName(leaf).localname


def _short(said: str | None) -> str:
    """A text on one line, shortened."""
    text = " ".join((said or "")[: 2 * _LONGEST_TEXT].split())
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
