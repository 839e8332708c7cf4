"""Running and candidate of one station: locks, edits, commits and the confirmed commit (RFC 6241 §7, §8.3, §8.4).

Knows sessions only by their id. What follows from a changed running configuration is the business
of whoever gave ``changed``; it is called once per accepted change, after it took effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from lxml import etree

from simulators.clock import Clock, Timer
from simulators.datastore import Config, RpcError

#: Seconds until an unconfirmed commit reverts when the client names none (RFC 6241 §8.4.5.1).
DEFAULT_CONFIRM_TIMEOUT = 600
#: Session id of a holder that is no NETCONF session (RFC 6241 §7.5).
NO_SESSION = 0


class Cause(StrEnum):
    """Why a running configuration changed."""

    COMMIT = "commit"
    CONFIRMED_COMMIT = "confirmed-commit"
    TIMEOUT = "timeout"
    CANCEL = "cancel"
    DISCONNECT = "disconnect"
    RESTART = "restart"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks: a session and its user."""

    session: int
    user: str


#: The station itself, as when a timer fires.
ITSELF = Origin(NO_SESSION, "station")


@dataclass(frozen=True, slots=True)
class RunningChange:
    """One accepted change of the running configuration."""

    before: Config
    after: Config
    cause: Cause
    origin: Origin
    edits: tuple[etree._Element, ...] = ()
    stages: tuple[Config, ...] = ()


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """The parameters of a ``<commit>``; the time-out is in seconds."""

    confirmed: bool = False
    timeout: int = DEFAULT_CONFIRM_TIMEOUT
    persist: str | None = None
    persist_id: str | None = None


@dataclass(slots=True)
class _Pending:
    """A confirmed commit that waits for its confirming commit."""

    backup: Config
    session: int
    persist: str | None
    timer: Timer


@dataclass(slots=True)
class _Draft:
    """What the candidate holds beyond running, and how it got there."""

    config: Config
    edits: list[etree._Element] = field(default_factory=list)
    stages: list[Config] = field(default_factory=list)


class Datastores:
    """The two datastores of a station and everything that guards them."""

    def __init__(self, factory: Config, clock: Clock, changed: Callable[[RunningChange], None]) -> None:
        self._running = factory
        self._draft: _Draft | None = None
        self._clock = clock
        self._changed = changed
        self._pending: _Pending | None = None
        self.locks: dict[str, int] = {}

    # ---------------------------------------------------------------- reading

    @property
    def running(self) -> Config:
        """The configuration in force."""
        return self._running

    @property
    def candidate(self) -> Config:
        """The configuration being prepared; equal to running while nobody edits."""
        return self._running if self._draft is None else self._draft.config

    @property
    def dirty(self) -> bool:
        """Whether the candidate holds edits that were neither committed nor discarded."""
        return self._draft is not None

    @property
    def awaiting_confirmation(self) -> bool:
        """Whether an unconfirmed commit is pending."""
        return self._pending is not None

    # ------------------------------------------------------------------ locks

    def lock(self, origin: Origin, datastore: str) -> None:
        """Lock a datastore for a session.

        Raises:
            RpcError: lock-denied with the holder's session id (RFC 6241 §7.5).
        """
        holder = self.locks.get(datastore)
        if holder is not None:
            raise _lock_denied(datastore, holder, "it is locked already")
        if datastore == "candidate" and self.dirty:
            raise _lock_denied(datastore, NO_SESSION, "it holds edits that were not committed")
        pending = self._pending
        if datastore == "running" and pending is not None and pending.session not in (NO_SESSION, origin.session):
            raise _lock_denied(datastore, pending.session, "a confirmed commit of another session is pending")
        self.locks[datastore] = origin.session

    def unlock(self, origin: Origin, datastore: str) -> None:
        """Unlock a datastore; edits left in the candidate are discarded (RFC 6241 §8.3.5.2).

        Raises:
            RpcError: operation-failed when the session does not hold the lock.
        """
        if self.locks.get(datastore) != origin.session:
            raise RpcError("operation-failed", f"this session does not hold the lock on {datastore}", type="protocol")
        self._release(datastore)

    def _release(self, datastore: str) -> None:
        del self.locks[datastore]
        if datastore == "candidate":
            self._draft = None

    def require_unlocked(self, origin: Origin, *datastores: str) -> None:
        """Refuse to touch a datastore that another session has locked.

        Raises:
            RpcError: in-use.
        """
        for datastore in datastores:
            holder = self.locks.get(datastore, origin.session)
            if holder != origin.session:
                message = f"{datastore} is locked by session {holder}"
                raise RpcError("in-use", message, type="protocol", info={"session-id": str(holder)})

    # -------------------------------------------------------------- candidate

    def edit(self, origin: Origin, config: etree._Element, default_operation: str, *, keep: bool = True) -> None:
        """Edit the candidate, all or nothing; ``keep=False`` only tries (test-option test-only).

        Raises:
            RpcError, RpcErrors: the edit is refused; the candidate is unchanged.
        """
        self.require_unlocked(origin, "candidate")
        edited = self.candidate.edit(config, default_operation)
        if not keep:
            edited.validate()
            return
        draft = self._draft = self._draft or _Draft(self._running)
        draft.config = edited
        draft.edits.append(config)
        draft.stages.append(edited)

    def replace_candidate(self, origin: Origin, config: Config) -> None:
        """Put a whole configuration into the candidate (copy-config).

        Raises:
            RpcError: in-use.
        """
        self.require_unlocked(origin, "candidate")
        self._draft = None if config is self._running else _Draft(config, stages=[config])

    def discard(self, origin: Origin) -> None:
        """Make the candidate equal to running again.

        Raises:
            RpcError: in-use.
        """
        self.require_unlocked(origin, "candidate")
        self._draft = None

    # ----------------------------------------------------------------- commit

    def commit(self, origin: Origin, request: CommitRequest) -> None:
        """Make the candidate the running configuration, for good or until confirmed.

        Raises:
            RpcError, RpcErrors: refused; nothing has changed and a pending commit is still pending.
        """
        self.require_unlocked(origin, "candidate", "running")
        self._require_claim(origin, request.persist_id)
        candidate = self.candidate
        candidate.validate()
        draft, self._draft = self._draft, None
        if request.confirmed:
            self._await_confirmation(origin, request)
        else:
            self._settle()
        if draft is not None:
            cause = Cause.CONFIRMED_COMMIT if request.confirmed else Cause.COMMIT
            self._replace_running(candidate, cause, origin, draft)

    def cancel(self, origin: Origin, persist_id: str | None) -> None:
        """Take a pending confirmed commit back at once.

        Raises:
            RpcError: nothing is pending, or it is not this session's to cancel.
        """
        self.require_unlocked(origin, "running")
        self._require_claim(origin, persist_id)
        if self._pending is None:
            raise RpcError("operation-failed", "no confirmed commit is pending", type="protocol")
        self._roll_back(Cause.CANCEL, origin)

    def _require_claim(self, origin: Origin, persist_id: str | None) -> None:
        """Refuse whoever may not speak for the pending commit (RFC 6241 §8.4.5.1)."""
        pending = self._pending
        if pending is None:
            if persist_id is not None:
                raise _wrong_persist_id("no confirmed commit is pending")
        elif persist_id is not None:
            if persist_id != pending.persist:
                raise _wrong_persist_id("it is not the token of the pending confirmed commit")
        elif pending.persist is not None:
            raise _wrong_persist_id("the pending confirmed commit was given a token, and none is named")
        elif pending.session != origin.session:
            message = f"a confirmed commit of session {pending.session} is pending"
            raise RpcError("in-use", message, type="protocol", info={"session-id": str(pending.session)})

    def _await_confirmation(self, origin: Origin, request: CommitRequest) -> None:
        backup, persist = self._running, request.persist
        if self._pending is not None:
            # A follow-up restarts the timer; what it falls back to is what was there before the first.
            backup, persist = self._pending.backup, request.persist or self._pending.persist
            self._pending.timer.cancel()
        timer = self._clock.call_later(request.timeout, lambda: self._roll_back(Cause.TIMEOUT, ITSELF))
        session = NO_SESSION if persist is not None else origin.session
        self._pending = _Pending(backup, session, persist, timer)

    def _settle(self) -> None:
        if self._pending is not None:
            self._pending.timer.cancel()
            self._pending = None

    def _roll_back(self, cause: Cause, origin: Origin) -> None:
        pending = self._pending
        if pending is None:
            return
        self._settle()
        self._replace_running(pending.backup, cause, origin)

    # ------------------------------------------------- what sessions don't ask

    def session_ended(self, session: int) -> None:
        """Release a session's locks and take back its confirmed commit, unless it was given a token."""
        for datastore in [name for name, holder in self.locks.items() if holder == session]:
            self._release(datastore)
        if self._pending is not None and self._pending.session == session:
            self._roll_back(Cause.DISCONNECT, ITSELF)

    def restart(self) -> None:
        """Come up again as after a power cut: an unconfirmed commit is lost (RFC 6241 §8.4.1)."""
        self.locks.clear()
        self._draft = None
        self._roll_back(Cause.RESTART, ITSELF)

    def overwrite(self, config: Config, origin: Origin) -> None:
        """Change running behind everybody's back, as somebody on the local console would."""
        self._replace_running(config, Cause.FOREIGN, origin)

    def _replace_running(self, config: Config, cause: Cause, origin: Origin, draft: _Draft | None = None) -> None:
        before, self._running = self._running, config
        edits, stages = ((), ()) if draft is None else (tuple(draft.edits), tuple(draft.stages))
        self._changed(RunningChange(before, config, cause, origin, edits, stages))


def _lock_denied(datastore: str, holder: int, reason: str) -> RpcError:
    info = {"session-id": str(holder)}
    return RpcError("lock-denied", f"{datastore} can't be locked: {reason}", type="protocol", info=info)


def _wrong_persist_id(reason: str) -> RpcError:
    return RpcError("invalid-value", f"persist-id: {reason}", type="protocol", info={"bad-element": "persist-id"})
