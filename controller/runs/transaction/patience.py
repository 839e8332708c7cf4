"""How long and how often a device is tried, and the outcome when further tries do not help."""

from __future__ import annotations

from dataclasses import dataclass

from controller.models.errors import (
    AuthenticationError,
    DeviceError,
    DeviceRefusedError,
    HostKeyError,
    HostKeyUnreadableError,
    SessionLostError,
)
from controller.models.run import Outcome
from controller.store import JobResult


@dataclass(frozen=True, slots=True)
class Patience:
    """Times of a transaction's tries, in seconds.

    Attributes:
        confirm_budget: Left on the device's timer at least when a confirm is sent.
        busy: Trying for a lock that another session holds.
        load: After a lost session, for a device whose software restarts to load what it carries.
        retry: Between attempts to reach a device that carries something of ours.
        unresolved: After the device's own deadline, or since it stopped answering where that was later, before such a
            device is given up as diverged.
        beginnings: Fresh attempts of a transaction, each only after read-back proved nothing happened.
        effect: After which an operation, edit or commit that was not answered, and of which nothing shows, was not
            carried out. What an edit or commit does later all the same is found by health checks.
    """

    confirm_budget: float = 5.0
    busy: float = 10.0
    load: float = 5.0
    retry: float = 1.0
    unresolved: float = 120.0
    beginnings: int = 3
    effect: float = 30.0

    def given_up(self, error: DeviceError, tries: int, *, unknown: str, late: bool) -> JobResult | None:
        """The result after a session failed, if further tries do not help; None if they may.

        A device that something was sent to is not left alone before it was read back: all that ends this early is a
        host key or a credential that it does not know any more.

        Args:
            error: How the last session ended, or why none was opened.
            tries: Sessions that ended by an error so far.
            unknown: What is not known of the device, as something was sent to it; empty where nothing was.
            late: Whether it was tried for long enough.
        """
        denied = isinstance(error, HostKeyError | HostKeyUnreadableError | AuthenticationError)
        if unknown:
            return JobResult(Outcome.DIVERGED, f"{error.message} {unknown}", unread=True) if late or denied else None
        if denied or isinstance(error, DeviceRefusedError):
            return JobResult(Outcome.FAILED_SAFE, error.message)
        if not isinstance(error, SessionLostError):
            return JobResult(Outcome.DEFERRED, error.message)
        if tries < self.beginnings:
            return None
        return JobResult(Outcome.FAILED_SAFE, f"{error.message} Nothing was changed.")


class Trouble:
    """For how long a transaction has been failing to reach its device.

    A session with a silent device fails long before ``Patience.unresolved`` is over. So where none failed for that
    long, the device answered meanwhile, as while a function was waited for. Then the time begins anew, up to
    ``Patience.beginnings`` times.

    Args:
        begun: When the transaction began, in seconds of a monotonic clock.
        timer: Seconds of the device's own deadline.
    """

    def __init__(self, patience: Patience, begun: float, timer: float) -> None:
        self._patience = patience
        self._since = self._latest = begun
        self._deadline = begun + timer
        self._anew = 0

    def lasts(self, now: float) -> bool:
        """Note that a session failed; whether the device was tried for long enough."""
        if now - self._latest > self._patience.unresolved and self._anew < self._patience.beginnings:
            self._since, self._anew = now, self._anew + 1
        self._latest = now
        return now > max(self._since, self._deadline) + self._patience.unresolved
