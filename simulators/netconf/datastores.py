"""The datastores of one station: locks, edits, commits and the confirmed commit (RFC 6241 §7, §8.2 to §8.7).

Knows sessions only by their id. The owner is given each accepted change of running once, after it took effect, and acts
on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from lxml import etree

from simulators.clock import Clock, Timer
from simulators.datastore import Config, EditRules, ErrorOption, RpcError, RpcErrors
from simulators.datastore.xmltext import document_of
from simulators.history import ITSELF, NO_SESSION, Origin
from simulators.netconf.faults import FaultKind, Faults
from simulators.netconf.profiles import Profile

#: Seconds until an unconfirmed commit reverts when the client names none (RFC 6241 §8.4.5.1).
DEFAULT_CONFIRM_TIMEOUT = 600
_OPERATION = "{urn:ietf:params:xml:ns:netconf:base:1.0}operation"


class Cause(StrEnum):
    """The cause of a change of running."""

    COMMIT = "commit"
    CONFIRMED_COMMIT = "confirmed-commit"
    EDIT = "edit"
    COPY = "copy"
    TIMEOUT = "timeout"
    CANCEL = "cancel"
    DISCONNECT = "disconnect"
    RESTART = "restart"
    FOREIGN = "foreign"
    STATION = "station"


class Confirmation(StrEnum):
    """Events of a confirmed commit (RFC 6470, confirm-event)."""

    START = "start"
    EXTEND = "extend"
    COMPLETE = "complete"
    CANCEL = "cancel"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class RunningChange:
    """One accepted change of the running configuration."""

    before: Config
    after: Config
    cause: Cause
    origin: Origin
    edits: tuple[etree._Element, ...] = ()
    stages: tuple[Config, ...] = ()


TestOption = Literal["test-then-set", "set", "test-only"]


@dataclass(frozen=True, slots=True)
class EditRequest:
    """The parameters of an ``<edit-config>``; ``config`` is the element of that name."""

    target: str
    config: etree._Element
    default_operation: str = "merge"
    test: TestOption = "test-then-set"
    on_error: ErrorOption = ErrorOption.STOP


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """The parameters of a ``<commit>``; the time-out is in seconds."""

    confirmed: bool = False
    timeout: int = DEFAULT_CONFIRM_TIMEOUT
    persist: str | None = None
    persist_id: str | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """The holder of a lock, and since when."""

    session: int
    since: datetime


class Locks:
    """At most one lock for each datastore."""

    __slots__ = ("_clock", "_locks")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._locks: dict[str, Lock] = {}

    def __iter__(self) -> Iterator[tuple[str, Lock]]:
        return iter(self._locks.items())

    def of(self, session: int) -> list[str]:
        """The datastores that a session has locked."""
        return [name for name, lock in self._locks.items() if lock.session == session]

    def get(self, datastore: str) -> Lock | None:
        """The lock on a datastore."""
        return self._locks.get(datastore)

    def take(self, datastore: str, session: int) -> None:
        """Lock a datastore.

        Raises:
            RpcError: lock-denied with the holder's session id.
        """
        lock = self._locks.get(datastore)
        if lock is not None:
            raise lock_denied(datastore, lock.session, "it is locked already")
        self._locks[datastore] = Lock(session, self._clock.now())

    def release(self, datastore: str, session: int) -> None:
        """Unlock a datastore.

        Raises:
            RpcError: operation-failed when the session does not hold the lock.
        """
        lock = self._locks.get(datastore)
        if lock is None or lock.session != session:
            message = f"this session does not hold the lock on {datastore}"
            raise RpcError("operation-failed", message, type="protocol")
        del self._locks[datastore]

    def release_all(self) -> None:
        """Forget every lock."""
        self._locks.clear()

    def require_free(self, session: int, *datastores: str) -> None:
        """Check that no other session has locked a datastore.

        Raises:
            RpcError: in-use.
        """
        for datastore in datastores:
            lock = self._locks.get(datastore)
            if lock is not None and lock.session != session:
                message = f"{datastore} is locked by session {lock.session}"
                raise RpcError("in-use", message, type="protocol", info={"session-id": str(lock.session)})


def lock_denied(datastore: str, holder: int, reason: str) -> RpcError:
    """The error of a denied lock; holder 0 is not a NETCONF session."""
    info = {"session-id": str(holder)}
    return RpcError("lock-denied", f"{datastore} can't be locked: {reason}", type="protocol", info=info)


class DatastoreHost(Protocol):
    """The server that owns the datastores."""

    def running_changed(self, change: RunningChange) -> None:
        """Note a change of running."""

    def confirmation(self, event: Confirmation, origin: Origin, timeout: int | None) -> None:
        """Note an event of a confirmed commit; the time-out is in seconds."""

    def check_writes(self, origin: Origin, before: Config, after: Config) -> None:
        """Refuse a change that the user may not make, with access-denied."""


@dataclass(slots=True)
class _Pending:
    """A confirmed commit that waits for its confirming commit.

    Attributes:
        origin: The last sender.
        holder: The session of the last sender, which alone may lock running; NO_SESSION once it ended.
        session: The session whose end takes it back; NO_SESSION if it has a token.
    """

    backup: Config
    origin: Origin
    holder: int
    session: int
    persist: str | None
    timer: Timer


@dataclass(slots=True)
class _Draft:
    """The edits of the candidate, and how it got them."""

    config: Config
    edits: list[etree._Element] = field(default_factory=list)
    stages: list[Config] = field(default_factory=list)


class Datastores:
    """The datastores of a station, with locks and the confirmed commit."""

    def __init__(self, factory: Config, clock: Clock, profile: Profile, faults: Faults, owner: DatastoreHost) -> None:
        self._factory = factory
        self._running = factory
        self._startup: Config | None = factory if profile.startup else None
        self._draft: _Draft | None = None
        self._spoilt = False
        self._clock = clock
        self._profile = profile
        self._faults = faults
        self._owner = owner
        self._pending: _Pending | None = None
        self.locks = Locks(clock)

    # ---------------------------------------------------------------- reading

    @property
    def running(self) -> Config:
        """The configuration in force."""
        return self._running

    @property
    def candidate(self) -> Config:
        """The candidate configuration; equal to running without edits."""
        return self._running if self._draft is None else self._draft.config

    @property
    def startup(self) -> Config:
        """The configuration of the next start; empty once it was deleted."""
        return Config.empty(self._running.schema) if self._startup is None else self._startup

    @property
    def dirty(self) -> bool:
        """Whether the candidate holds edits that were neither committed nor discarded."""
        return self._draft is not None

    @property
    def awaiting_confirmation(self) -> bool:
        """Whether an unconfirmed commit is pending."""
        return self._pending is not None

    def waits_under(self, token: str) -> bool:
        """Whether an unconfirmed commit is pending under this token."""
        return self._pending is not None and self._pending.persist == token

    def named(self, datastore: str) -> Config:
        """The content of a datastore by name."""
        contents = {"running": self._running, "candidate": self.candidate, "startup": self.startup}
        return contents[datastore]

    # ------------------------------------------------------------------ locks

    def lock(self, origin: Origin, datastore: str) -> None:
        """Lock a datastore for a session.

        Raises:
            RpcError: lock-denied with the holder's session id, 0 for a modified candidate (RFC 6241 §7.5).
        """
        if datastore == "candidate" and self.dirty and self.locks.get(datastore) is None:
            if self._faults.strikes(FaultKind.DIRTY_LOCK_FAILS):
                raise RpcError("operation-failed", "the candidate was modified", type="protocol")
            raise lock_denied(datastore, NO_SESSION, "it holds edits that were not committed")
        pending = self._pending
        if datastore == "running" and pending is not None and pending.holder != origin.session:
            raise lock_denied(datastore, pending.holder, "a confirmed commit of another session is pending")
        self.locks.take(datastore, origin.session)

    def unlock(self, origin: Origin, datastore: str) -> None:
        """Unlock a datastore; edits left in the candidate are discarded (RFC 6241 §8.3.5.2).

        Raises:
            RpcError: operation-failed when the session does not hold the lock.
        """
        self.locks.release(datastore, origin.session)
        if datastore == "candidate" and not (self.dirty and self._faults.strikes(FaultKind.CANDIDATE_KEPT)):
            self._forget_draft()

    # ---------------------------------------------------------------- writing

    def edit(self, origin: Origin, request: EditRequest) -> None:
        """Edit the candidate or running.

        Raises:
            RpcError, RpcErrors: the edit is refused. Unless its error option says otherwise, nothing has changed.
        """
        self.locks.require_free(origin.session, request.target)
        before = self.named(request.target)
        edited, errors = self._edited(before, request)
        if request.test != "set" or request.target == "running":
            edited.validate()
        self._owner.check_writes(origin, before, edited)
        if request.test != "test-only":
            self._keep(origin, request, edited)
        if errors:
            raise RpcErrors(errors)

    def _edited(self, before: Config, request: EditRequest) -> tuple[Config, tuple[RpcError, ...]]:
        """The edited configuration, with the errors of those parts that were left out."""
        keyless, placeless = map(self._faults.strikes, (FaultKind.KEYLESS_IGNORED, FaultKind.PLACES_UNKNOWN))
        rules = EditRules(self._profile.basic_mode or "explicit", keyless, placeless)
        tested = request.test != "set"
        if request.on_error is ErrorOption.ROLLBACK or (tested and request.on_error is ErrorOption.STOP):
            return before.edit(request.config, request.default_operation, rules), ()
        edited, errors = before.edit_partly(request.config, request.default_operation, rules, request.on_error)
        if tested and errors:
            raise RpcErrors(errors)
        return edited, errors

    def _keep(self, origin: Origin, request: EditRequest, edited: Config) -> None:
        if request.target == "running":
            self._replace_running(edited, Cause.EDIT, origin, _Draft(edited, [request.config], [edited]))
            return
        draft = self._draft = self._draft or _Draft(self._running)
        draft.config = edited
        draft.edits.append(request.config)
        draft.stages.append(edited)

    def copy(self, origin: Origin, target: str, config: Config) -> None:
        """Put a whole configuration into a datastore (copy-config).

        Raises:
            RpcError: in-use, or access-denied.
            RpcErrors: it is not complete, and the target is not the candidate.
        """
        self.locks.require_free(origin.session, target)
        if target != "candidate":
            config.validate()
        self._owner.check_writes(origin, self.named(target), config)
        if target == "running":
            self._replace_running(config, Cause.COPY, origin, _Draft(config, stages=[config]))
        elif target == "startup":
            self._startup = config
        else:
            self._draft = _Draft(config, stages=[config])

    def delete_startup(self, origin: Origin) -> None:
        """Empty the startup configuration: the next start is one with factory configuration.

        Raises:
            RpcError: in-use, or access-denied.
        """
        self.locks.require_free(origin.session, "startup")
        self._owner.check_writes(origin, self.startup, Config.empty(self._running.schema))
        self._startup = None

    def discard(self, origin: Origin) -> None:
        """Make the candidate equal to running again.

        Raises:
            RpcError: in-use.
        """
        self.locks.require_free(origin.session, "candidate")
        self._forget_draft()

    def with_draft(self, act: Callable[[], object]) -> Callable[[], None]:
        """An act that finds the candidate as it is now, and leaves it as it is then; past all locks."""
        draft, locks = self._draft, Locks(self._clock)

        def acts() -> None:
            kept = self._draft, self.locks
            self._draft, self.locks = draft, locks
            try:
                act()
            finally:
                self._draft, self.locks = kept

        return acts

    def validated(self) -> None:
        """Note that the candidate was validated, after which some stations misbehave."""
        self._spoilt = self._faults.strikes(FaultKind.VALIDATE_SPOILS_COMMIT)

    def _forget_draft(self) -> None:
        self._draft = None
        self._spoilt = False

    # ----------------------------------------------------------------- commit

    def commit(self, origin: Origin, request: CommitRequest) -> None:
        """Make the candidate the running configuration, permanently or until confirmed.

        Raises:
            RpcError, RpcErrors: refused; nothing has changed and a pending commit is still pending.
        """
        self.locks.require_free(origin.session, "candidate", "running")
        trespass = self._trespasses(origin, request)
        if not trespass:
            self._require_claim(origin, request.persist_id)
        if self._spoilt:
            self._forget_draft()
        candidate = self.candidate
        candidate.validate()
        self._owner.check_writes(origin, self._running, candidate)
        draft, self._draft = self._draft, None
        event = None if trespass else self._take_confirmation(origin, request)
        if draft is not None:
            cause = Cause.CONFIRMED_COMMIT if request.confirmed else Cause.COMMIT
            self._replace_running(candidate, cause, origin, draft)
        if event is not None:
            self._owner.confirmation(event, origin, request.timeout if request.confirmed else None)

    def cancel(self, origin: Origin, persist_id: str | None) -> None:
        """Take a pending confirmed commit back at once.

        Raises:
            RpcError: nothing is pending, or it is not this session's to cancel.
        """
        self.locks.require_free(origin.session, "running")
        self._require_claim(origin, persist_id)
        if self._pending is None:
            raise RpcError("operation-failed", "no confirmed commit is pending", type="protocol")
        self._roll_back(Cause.CANCEL, origin)

    def _trespasses(self, origin: Origin, request: CommitRequest) -> bool:
        """Whether a commit by a session without the right to it is accepted, and so destroys the backup."""
        pending = self._pending
        if pending is None or request.persist_id is not None or pending.session == origin.session:
            return False
        if not self._faults.strikes(FaultKind.ROLLBACK_EMPTIES_RUNNING):
            return False
        pending.backup = Config.empty(self._running.schema)
        return True

    def _require_claim(self, origin: Origin, persist_id: str | None) -> None:
        """Refuse a session that may not act on the pending commit (RFC 6241 §8.4.5.1)."""
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

    def _take_confirmation(self, origin: Origin, request: CommitRequest) -> Confirmation | None:
        """Begin, extend or end the wait for a confirming commit; running is still the old one."""
        if request.confirmed:
            event = Confirmation.START if self._pending is None else Confirmation.EXTEND
            self._await_confirmation(origin, request)
            return event
        if self._pending is None:
            return None
        self._settle()
        return Confirmation.COMPLETE

    def _await_confirmation(self, origin: Origin, request: CommitRequest) -> None:
        backup, persist = self._running, request.persist
        if self._pending is not None:
            # A follow-up restarts the timer; a rollback restores what was there before the first commit.
            persist = request.persist or self._pending.persist
            if not self._faults.strikes(FaultKind.SECOND_COMMIT_OVERWRITES_BACKUP):
                backup = self._pending.backup
            self._pending.timer.cancel()
        early = self._faults.take((FaultKind.REVERT_EARLY,))
        seconds = min((request.timeout, *(fault.seconds for fault in early)))
        timer = self._clock.call_later(seconds, lambda: self._roll_back(Cause.TIMEOUT, ITSELF))
        session = NO_SESSION if persist is not None else origin.session
        self._pending = _Pending(backup, origin, origin.session, session, persist, timer)

    def _settle(self) -> None:
        if self._pending is not None:
            self._pending.timer.cancel()
            self._pending = None

    def _roll_back(self, cause: Cause, origin: Origin) -> None:
        pending = self._pending
        if pending is None:
            return
        self._settle()
        event = Confirmation.TIMEOUT if cause is Cause.TIMEOUT else Confirmation.CANCEL
        # A cancel names the session, even after its loss or a restart of the station (RFC 6470 §2.2).
        named = pending.origin if event is Confirmation.CANCEL and origin == ITSELF else origin
        # First the act, then the word about it.
        self._replace_running(pending.backup, cause, origin)
        self._owner.confirmation(event, named, None)

    # ------------------------------------------------- what sessions don't ask

    def session_ended(self, session: int) -> None:
        """Release a session's locks and take back its confirmed commit, unless it was given a token."""
        locked = self.locks.of(session)
        if locked and not self._faults.strikes(FaultKind.STUCK_LOCK):
            for datastore in locked:
                self.unlock(Origin(session, ""), datastore)
        if self._pending is None or self._pending.holder != session:
            return
        self._pending.holder = NO_SESSION
        if self._pending.session == session:
            self._roll_back(Cause.DISCONNECT, ITSELF)

    def restart(self) -> None:
        """Start as after a power cut: an unconfirmed commit is lost (RFC 6241 §8.4.1).

        A station with a startup configuration starts with it, one without with what was running.
        """
        self.locks.release_all()
        self._forget_draft()
        self._roll_back(Cause.RESTART, ITSELF)
        if self._profile.startup:
            start = self._factory if self._startup is None else self._startup
            if start != self._running:
                self._replace_running(start, Cause.RESTART, ITSELF)

    def reset(self, factory: Config) -> None:
        """Start with the factory configuration."""
        self.locks.release_all()
        self._forget_draft()
        self._settle()
        self._factory = factory
        self._startup = factory if self._profile.startup else None
        if factory != self._running:
            self._replace_running(factory, Cause.RESTART, ITSELF)

    @property
    def saved(self) -> Config:
        """The configuration after a power cut: startup if there is one, else running without an unconfirmed commit."""
        if self._profile.startup:
            return self._factory if self._startup is None else self._startup
        return self._running if self._pending is None else self._pending.backup

    def load_saved(self, config: Config) -> None:
        """Start with the configuration of an earlier run."""
        if self._profile.startup:
            self._startup = config
        self._replace_running(config, Cause.RESTART, ITSELF)

    def change_profile(self, profile: Profile) -> None:
        """Use another profile from now on; a startup datastore begins as a copy of running."""
        self._profile = profile
        self._startup = self._running if profile.startup else None

    def foreign_edit(self, config: etree._Element, user: str = "technician") -> None:
        """Change running without a session: with a ``<config>`` element, or a single top-level one.

        Raises:
            RpcError, RpcErrors: the edit does not fit.
        """
        edited = self._running.edit(document_of(config), "merge")
        edited.validate()
        self.overwrite(edited, Origin(NO_SESSION, user))

    def overwrite(self, config: Config, origin: Origin, cause: Cause = Cause.FOREIGN) -> None:
        """Change running without a session, as the local console or the station itself would."""
        self._replace_running(config, cause, origin)

    def _replace_running(self, config: Config, cause: Cause, origin: Origin, draft: _Draft | None = None) -> None:
        before, self._running = self._running, config
        edits, stages = ((), ()) if draft is None else (tuple(draft.edits), tuple(draft.stages))
        self._owner.running_changed(RunningChange(before, config, cause, origin, edits, stages))


def named_operations(edits: Iterable[etree._Element]) -> Counter[str]:
    """How often edits name each operation."""
    return Counter(
        str(operation) for edit in edits for element in edit.iter() if (operation := element.get(_OPERATION))
    )


def _wrong_persist_id(reason: str) -> RpcError:
    return RpcError("invalid-value", f"persist-id: {reason}", type="protocol", info={"bad-element": "persist-id"})
