"""How the faults in wait turn a well-behaved answer into a bad one."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

from lxml import etree

from simulators.datastore import RpcError
from simulators.faults import STATION_FAULTS, Fault, FaultKind
from simulators.history import EventKind
from simulators.netconf.datastores import NO_SESSION, Origin
from simulators.netconf.framing import MAX_CHUNK
from simulators.netconf.messages import BASE_NS, Request
from simulators.station import Station

_OPERATION_FAULTS = frozenset(FaultKind) - STATION_FAULTS
#: No module of a station has it, so that an edit ends where it stands.
_NO_ELEMENT = "{urn:minka:simulators}no-such-element"
#: Errors of a reply that has many.
MANY = 25
#: What a station that lost its mind sends.
GARBAGE = b"\x00\xff\xfe<<<not netconf>>>\r\n\x1b[2J"


@dataclass(frozen=True, slots=True)
class Strike:
    """The faults that hit one operation."""

    faults: tuple[Fault, ...]

    def __contains__(self, kind: FaultKind) -> bool:
        return any(fault.kind is kind for fault in self.faults)

    @property
    def seconds(self) -> float:
        """How much longer the operation takes."""
        return sum(fault.seconds for fault in self.faults if fault.kind is FaultKind.DELAY)

    @property
    def foreign_edits(self) -> tuple[str, ...]:
        """What somebody else writes just before the operation."""
        return tuple(fault.config for fault in self.faults if fault.kind is FaultKind.FOREIGN_EDIT)


_NOTHING = Strike(())


def strike(station: Station, origin: Origin, operation: str) -> Strike:
    """Take the faults that hit this operation and record them."""
    faults = station.faults.take(_OPERATION_FAULTS, operation)
    if not faults:
        return _NOTHING
    for fault in faults:
        station.record(EventKind.FAULT_STRUCK, origin, fault=fault.kind.value, operation=operation)
    return Strike(faults)


def errors(strike: Strike) -> list[RpcError]:
    """The errors that an operation is answered with instead of being carried out."""
    found = []
    if FaultKind.LOCK_DENIED in strike:
        info = {"session-id": str(NO_SESSION)}
        found.append(RpcError("lock-denied", "held by an operator at the console", type="protocol", info=info))
    if FaultKind.WARNING_BEFORE_ERROR in strike:
        found.append(RpcError("operation-failed", "licence usage above 90 percent", severity="warning"))
        found.append(RpcError("operation-failed", "the radio software refused the change"))
    if FaultKind.MANY_ERRORS in strike:
        found += [RpcError("operation-failed", f"the radio software refused value {n}") for n in range(MANY)]
    if FaultKind.FAIL in strike:
        found.append(RpcError("operation-failed", "the radio software refused the operation"))
    return found


def half_an_edit(request: Request) -> Request:
    """An edit that meets something impossible in its middle and keeps what it has done until then."""
    rpc = deepcopy(request.rpc)
    edit = next(rpc.iterchildren(tag=etree.Element))
    config = edit.find(f"{{{BASE_NS}}}config")
    if config is None:
        return request
    branches = [element for element in config.iterdescendants(tag=etree.Element) if len(element)]
    if branches:
        middle = branches[-1]
        middle.insert(max(1, len(middle) // 2), etree.Element(_NO_ELEMENT))
    for name in ("test-option", "error-option"):
        for element in edit.findall(f"{{{BASE_NS}}}{name}"):
            edit.remove(element)
    for name, value in (("test-option", "set"), ("error-option", "stop-on-error")):
        option = etree.Element(f"{{{BASE_NS}}}{name}")
        option.text = value
        config.addprevious(option)
    return Request(request.rpc, edit)


def spoil(frame: bytes, strike: Strike, *, chunked: bool) -> bytes:
    """The frame as it goes out."""
    if FaultKind.GARBAGE_FRAME in strike:
        return GARBAGE
    if FaultKind.TRUNCATED_FRAME in strike:
        return frame[: len(frame) // 2]
    if FaultKind.OVERSIZED_CHUNK in strike and chunked:
        return b"\n#%d\n%b" % (MAX_CHUNK + 1, frame)
    return frame
