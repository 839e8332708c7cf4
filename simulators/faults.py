"""Faults on request: what a station does wrong, on which operation and how often; again so for one seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

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
    REVERT_EARLY = "revert-early"
    """A confirmed commit is taken back after ``seconds``, before the time-out that was asked for."""

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
        FaultKind.REVERT_EARLY,
    }
)
#: Faults of the station as a whole, which name no operation.
STATION_FAULTS = frozenset({FaultKind.REFUSE_SESSIONS, FaultKind.CHANGED_HOST_KEY}) | HABITS


@dataclass(slots=True, kw_only=True)
class Waiting:
    """What a fault in wait has in common with all others.

    Attributes:
        count: How many times it still strikes; none means until it is cleared.
        probability: How probable a strike is each time it could be; drawn from the fleet's seed.
        seconds: Length of a delay, or of the time until a confirmed commit is taken back.
    """

    count: int | None = 1
    probability: float = 1.0
    seconds: float = 0.0
    id: int = 0
    struck: int = 0


@dataclass(slots=True)
class Fault(Waiting):
    """One fault of a station in wait.

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


_Waiting = TypeVar("_Waiting", bound=Waiting)


class FaultQueue(Generic[_Waiting]):
    """The faults of one device. Whether one strikes that need not is drawn by dice of the seed."""

    __slots__ = ("_dice", "_ids", "_seed", "_waiting")

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._waiting: tuple[_Waiting, ...] = ()
        self._dice: dict[int, random.Random] = {}
        self._ids = 0

    def inject(self, fault: _Waiting) -> _Waiting:
        """Put a fault in wait and give it an id."""
        self._ids += 1
        fault.id = self._ids
        self._waiting = (*self._waiting, fault)
        if fault.probability < 1:
            self._dice[fault.id] = random.Random(f"{self._seed}:{fault.id}")  # noqa: S311 (replayed on purpose)
        return fault

    def clear(self, fault_id: int | None = None) -> int:
        """Forget one fault, or all; return how many."""
        before = len(self._waiting)
        self._keep(lambda fault: fault_id is not None and fault.id != fault_id)
        return before - len(self._waiting)

    def list(self) -> tuple[_Waiting, ...]:
        """The faults that may still strike."""
        return self._waiting

    def strike(self, fits: Callable[[_Waiting], bool]) -> tuple[_Waiting, ...]:
        """Return those of the fitting faults that strike now, each counted down by one."""
        striking = tuple(fault for fault in self._waiting if fits(fault) and self._drawn(fault))
        for fault in striking:
            fault.struck += 1
            if fault.count is not None:
                fault.count -= 1
        if striking:
            self._keep(lambda fault: fault.count is None or fault.count > 0)
        return striking

    def _drawn(self, fault: _Waiting) -> bool:
        dice = self._dice.get(fault.id)
        return dice is None or dice.random() < fault.probability

    def _keep(self, stays: Callable[[_Waiting], bool]) -> None:
        self._waiting = tuple(fault for fault in self._waiting if stays(fault))
        ids = {fault.id for fault in self._waiting}
        self._dice = {number: dice for number, dice in self._dice.items() if number in ids}


class Faults(FaultQueue[Fault]):
    """The faults of one station."""

    __slots__ = ()

    def forget(self, kind: FaultKind) -> None:
        """Forget the faults of a kind."""
        self._keep(lambda fault: fault.kind is not kind)

    def take(self, kinds: Iterable[FaultKind], operation: str = ANY) -> tuple[Fault, ...]:
        """Return the faults of these kinds that strike this operation now, each counted down by one."""
        if not self._waiting:
            return ()
        wanted = frozenset(kinds)
        return self.strike(lambda fault: fault.kind in wanted and fault.operation in (ANY, operation))
