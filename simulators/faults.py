"""Faults on request: what a station does wrong, on which operation and how often."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: Matches every operation.
ANY = "any"


class FaultKind(StrEnum):
    """What goes wrong: to an operation, by a bad habit seen on real servers, or to the station as a whole.

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
    """Somebody else changes running (``config``) just before the operation is carried out."""
    HALF_APPLIED_EDIT = "half-applied-edit"
    """An edit of the candidate or of running fails half way, and what was applied stays."""
    MANY_ERRORS = "many-errors"
    """The operation fails with twenty errors and more in one reply."""
    NOTIFICATION_STORM = "notification-storm"
    """Subscribers get a thousand notifications before the operation is carried out."""

    VALIDATE_SPOILS_COMMIT = "validate-spoils-commit"
    """A commit after a validate is answered ok, changes nothing and empties the candidate (Yuma123)."""
    KEYLESS_IGNORED = "keyless-ignored"
    """List entries without their keys are accepted and ignored (netopeer2)."""
    ROLLBACK_EMPTIES_RUNNING = "rollback-empties-running"
    """Another session's commit is taken while one waits for confirmation; the timer then empties running (clixon)."""
    SECOND_COMMIT_OVERWRITES_BACKUP = "second-commit-overwrites-backup"
    """A second confirmed commit makes the first one's result what a rollback goes back to."""
    SUBSCRIPTION_REFUSED = "subscription-refused"
    """Notifications are advertised and create-subscription is refused (clixon)."""
    STUCK_LOCK = "stuck-lock"
    """The locks of a session outlive it, until the station restarts."""

    REFUSE_SESSIONS = "refuse-sessions"
    """Connections are closed as they come in."""
    CHANGED_HOST_KEY = "changed-host-key"
    """The station shows a host key that is not the known one."""


#: Bad habits: each has its own moment, so that they name no operation.
HABITS = frozenset(
    {
        FaultKind.VALIDATE_SPOILS_COMMIT,
        FaultKind.KEYLESS_IGNORED,
        FaultKind.ROLLBACK_EMPTIES_RUNNING,
        FaultKind.SECOND_COMMIT_OVERWRITES_BACKUP,
        FaultKind.SUBSCRIPTION_REFUSED,
        FaultKind.STUCK_LOCK,
    }
)
#: Faults of the station as a whole, which name no operation.
STATION_FAULTS = frozenset({FaultKind.REFUSE_SESSIONS, FaultKind.CHANGED_HOST_KEY}) | HABITS


@dataclass(slots=True)
class Fault:
    """One fault in wait.

    Attributes:
        count: How many times it still strikes; none means until it is cleared.
        seconds: Length of a delay.
        config: XML text of the ``<config>`` content of a foreign edit.
    """

    kind: FaultKind
    operation: str = ANY
    count: int | None = 1
    seconds: float = 0.0
    config: str = ""
    id: int = 0
    struck: int = 0

    def to_json(self) -> dict[str, Any]:
        """The fault as JSON carries it."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "operation": self.operation,
            "count": self.count,
            "seconds": self.seconds,
            "struck": self.struck,
        }


@dataclass(slots=True)
class Faults:
    """The faults of one station."""

    _waiting: list[Fault] = field(default_factory=list)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def inject(self, fault: Fault) -> Fault:
        """Put a fault in wait and give it an id."""
        fault.id = next(self._ids)
        self._waiting.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> int:
        """Forget one fault, or all; return how many."""
        kept = [fault for fault in self._waiting if fault_id is not None and fault.id != fault_id]
        cleared = len(self._waiting) - len(kept)
        self._waiting = kept
        return cleared

    def forget(self, kind: FaultKind) -> None:
        """Forget the faults of a kind."""
        self._waiting = [fault for fault in self._waiting if fault.kind is not kind]

    def list(self) -> tuple[Fault, ...]:
        """The faults that may still strike."""
        return tuple(self._waiting)

    def take(self, kinds: Iterable[FaultKind], operation: str = ANY) -> tuple[Fault, ...]:
        """Return the faults of these kinds that strike this operation now, each counted down by one."""
        if not self._waiting:
            return ()
        wanted = frozenset(kinds)
        striking = [f for f in self._waiting if f.kind in wanted and f.operation in (ANY, operation)]
        for fault in striking:
            fault.struck += 1
            if fault.count is not None:
                fault.count -= 1
        self._waiting = [fault for fault in self._waiting if fault.count is None or fault.count > 0]
        return tuple(striking)
