"""Injected faults of a NETCONF server: their kinds, and how each changes a correct answer."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lxml import etree

from simulators.datastore import RpcError
from simulators.faults import InjectedFault, InjectedFaults
from simulators.history import NO_SESSION
from simulators.netconf.framing import MAX_CHUNK
from simulators.netconf.messages import BASE_NS, Request

#: Matches every operation.
ANY = "any"


class FaultKind(StrEnum):
    """Kinds of faults: of an operation, bad habits seen on real servers, or of the station as a whole.

    ``operation`` of a fault is the name of the RPC (``get``, ``edit-config``, ``lock`` …); a commit that
    confirms a pending one is called ``confirm``.
    """

    DROP_BEFORE = "drop-before"
    """The session drops before the operation is carried out."""
    DROP_AFTER = "drop-after"
    """The session drops after the operation was carried out, without a reply."""
    LOSE_REPLY = "lose-reply"
    """The operation is carried out, its reply never arrives, the session stays."""
    DELAY = "delay"
    """The operation takes ``seconds`` longer."""
    OK_WITHOUT_EFFECT = "ok-without-effect"
    """The reply is ok and nothing was done."""
    LATE_EFFECT = "late-effect"
    """The reply is ok and the operation is carried out ``seconds`` later, a commit with the candidate as it was."""
    DROP_LATE = "drop-late"
    """The session drops without a reply, and the operation is carried out ``seconds`` later, as ``late-effect``."""
    GARBAGE_FRAME = "garbage-frame"
    """The reply is not NETCONF."""
    TRUNCATED_FRAME = "truncated-frame"
    """The reply ends in the middle, then the session drops."""
    OVERSIZED_CHUNK = "oversized-chunk"
    """The reply claims a chunk beyond what RFC 6242 allows."""
    WARNING_BEFORE_ERROR = "warning-before-error"
    """The operation fails; its reply lists a warning first and the error behind it."""
    FAIL = "fail"
    """The operation fails with operation-failed."""
    LOCK_DENIED = "lock-denied"
    """A lock is denied, as if a forgotten session held it."""
    FOREIGN_EDIT = "foreign-edit"
    """Another client changes running (``config``) just before the operation is carried out."""
    HALF_APPLIED_EDIT = "half-applied-edit"
    """An edit of the candidate or of running fails half way, and what was applied stays."""
    MANY_ERRORS = "many-errors"
    """The operation fails with twenty errors and more in one reply."""
    NOTIFICATION_STORM = "notification-storm"
    """Subscribers get a thousand notifications before the operation is carried out."""

    VALIDATE_SPOILS_COMMIT = "validate-spoils-commit"
    """A commit after a validate is answered ok, changes nothing and empties the candidate (Yuma123)."""
    PLACES_UNKNOWN = "places-unknown"
    """An entry of a list in order is appended: ``first`` is ignored, ``after`` and ``before`` refused (Yuma123)."""
    KEYLESS_IGNORED = "keyless-ignored"
    """List entries without their keys are accepted and ignored (netopeer2)."""
    ROLLBACK_EMPTIES_RUNNING = "rollback-empties-running"
    """Another session's commit is taken while one waits for confirmation; the timer then empties running (clixon)."""
    CANDIDATE_KEPT = "candidate-kept"
    """Edits stay in the candidate when its lock ends, with its session too (clixon)."""
    DIRTY_LOCK_FAILS = "dirty-lock-fails"
    """A lock of a modified candidate gives operation-failed, where others give lock-denied by session 0 (netopeer2)."""
    SECOND_COMMIT_OVERWRITES_BACKUP = "second-commit-overwrites-backup"
    """A second confirmed commit makes the first one's result what a rollback goes back to."""
    SUBSCRIPTION_REFUSED = "subscription-refused"
    """Notifications are advertised and create-subscription is refused (clixon)."""
    STUCK_LOCK = "stuck-lock"
    """The locks of a session outlive it, until the station restarts."""
    REVERT_EARLY = "revert-early"
    """A confirmed commit is taken back after ``seconds``, before the time-out that was asked for."""

    REFUSE_SESSIONS = "refuse-sessions"
    """Connections are closed as they come in."""
    CHANGED_HOST_KEY = "changed-host-key"
    """The station shows a host key that is not the known one."""


#: Bad habits: each strikes at its own moment, so they name no operation.
HABITS = frozenset(
    {
        FaultKind.VALIDATE_SPOILS_COMMIT,
        FaultKind.PLACES_UNKNOWN,
        FaultKind.KEYLESS_IGNORED,
        FaultKind.ROLLBACK_EMPTIES_RUNNING,
        FaultKind.CANDIDATE_KEPT,
        FaultKind.DIRTY_LOCK_FAILS,
        FaultKind.SECOND_COMMIT_OVERWRITES_BACKUP,
        FaultKind.SUBSCRIPTION_REFUSED,
        FaultKind.STUCK_LOCK,
        FaultKind.REVERT_EARLY,
    }
)
#: Faults of the station as a whole, which name no operation.
STATION_FAULTS = frozenset({FaultKind.REFUSE_SESSIONS, FaultKind.CHANGED_HOST_KEY}) | HABITS


@dataclass(slots=True)
class Fault(InjectedFault):
    """One injected fault of a station.

    Attributes:
        config: XML text of the ``<config>`` content of a foreign edit.
    """

    kind: FaultKind
    operation: str = ANY
    config: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fault as JSON carries it."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "operation": self.operation,
            "count": self.count,
            "probability": self.probability,
            "seconds": self.seconds,
            "struck": self.struck,
        }


class Faults(InjectedFaults[Fault]):
    """The injected faults of one station."""

    __slots__ = ()

    def remove(self, kind: FaultKind) -> None:
        """Remove the faults of a kind."""
        self._keep(lambda fault: fault.kind is not kind)

    def take(self, kinds: Iterable[FaultKind], operation: str = ANY) -> tuple[Fault, ...]:
        """Return the faults of these kinds that strike this operation now, each counted down by one."""
        if not self._faults:
            return ()
        wanted = frozenset(kinds)
        return self.strike(lambda fault: fault.kind in wanted and fault.operation in (ANY, operation))

    def strikes(self, kind: FaultKind) -> bool:
        """Whether a fault of this kind strikes now."""
        return bool(self.take((kind,)))

    def strike_operation(self, operation: str) -> StrikingFaults:
        """The faults that strike an operation now."""
        faults = self.take(_OPERATION_FAULTS, operation)
        return StrikingFaults(faults) if faults else _NO_STRIKE


_OPERATION_FAULTS = frozenset(FaultKind) - STATION_FAULTS
#: A node of no module, at which an edit fails.
_NO_ELEMENT = "{urn:minka:simulators}no-such-element"
#: Number of errors in a reply with many.
MANY = 25
#: Garbage from a broken server.
GARBAGE = b"\x00\xff\xfe<<<not netconf>>>\r\n\x1b[2J"


@dataclass(frozen=True, slots=True)
class StrikingFaults:
    """The faults that strike one operation, perhaps none."""

    faults: tuple[Fault, ...]

    def __contains__(self, kind: FaultKind) -> bool:
        return any(fault.kind is kind for fault in self.faults)

    @property
    def seconds(self) -> float:
        """Extra seconds of the operation."""
        return sum(fault.seconds for fault in self.faults if fault.kind is FaultKind.DELAY)

    @property
    def later(self) -> float | None:
        """Seconds from the reply, or its loss, until the operation is carried out; None where it is not late."""
        late = [fault.seconds for fault in self.faults if fault.kind in (FaultKind.LATE_EFFECT, FaultKind.DROP_LATE)]
        return sum(late) if late else None

    @property
    def foreign_edits(self) -> list[str]:
        """Foreign edits just before the operation, as XML text."""
        return [fault.config for fault in self.faults if fault.kind is FaultKind.FOREIGN_EDIT]

    @property
    def errors(self) -> list[RpcError]:
        """The errors that are sent instead of carrying out the operation."""
        found = []
        if FaultKind.LOCK_DENIED in self:
            info = {"session-id": str(NO_SESSION)}
            found.append(RpcError("lock-denied", "held by an operator at the console", type="protocol", info=info))
        if FaultKind.WARNING_BEFORE_ERROR in self:
            found.append(RpcError("operation-failed", "licence usage above 90 percent", severity="warning"))
            found.append(RpcError("operation-failed", "the radio software refused the change"))
        if FaultKind.MANY_ERRORS in self:
            found += [RpcError("operation-failed", f"the radio software refused value {n}") for n in range(MANY)]
        if FaultKind.FAIL in self:
            found.append(RpcError("operation-failed", "the radio software refused the operation"))
        return found

    def spoil(self, frame: bytes, *, chunked: bool) -> bytes:
        """The frame of the reply after the faults."""
        if FaultKind.GARBAGE_FRAME in self:
            return GARBAGE
        if FaultKind.TRUNCATED_FRAME in self:
            return frame[: len(frame) // 2]
        if FaultKind.OVERSIZED_CHUNK in self and chunked:
            return b"\n#%d\n%b" % (MAX_CHUNK + 1, frame)
        return frame


_NO_STRIKE = StrikingFaults(())


def half_an_edit(request: Request) -> Request:
    """An edit that fails in the middle and keeps its first part."""
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
