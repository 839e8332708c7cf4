"""Locks on the datastores of a station (RFC 6241 §7.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from simulators.clock import Clock
from simulators.datastore import RpcError


@dataclass(frozen=True, slots=True)
class Lock:
    """Who holds a lock, and since when."""

    session: int
    since: datetime


class Locks:
    """At most one lock for each datastore."""

    __slots__ = ("_clock", "_held")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, Lock] = {}

    def __iter__(self) -> Iterator[tuple[str, Lock]]:
        return iter(self._held.items())

    def of(self, session: int) -> list[str]:
        """The datastores that a session has locked."""
        return [name for name, lock in self._held.items() if lock.session == session]

    def get(self, datastore: str) -> Lock | None:
        """The lock on a datastore."""
        return self._held.get(datastore)

    def take(self, datastore: str, session: int) -> None:
        """Lock a datastore.

        Raises:
            RpcError: lock-denied with the holder's session id.
        """
        held = self._held.get(datastore)
        if held is not None:
            raise lock_denied(datastore, held.session, "it is locked already")
        self._held[datastore] = Lock(session, self._clock.now())

    def release(self, datastore: str, session: int) -> None:
        """Unlock a datastore.

        Raises:
            RpcError: operation-failed when the session does not hold the lock.
        """
        held = self._held.get(datastore)
        if held is None or held.session != session:
            message = f"this session does not hold the lock on {datastore}"
            raise RpcError("operation-failed", message, type="protocol")
        del self._held[datastore]

    def release_all(self) -> None:
        """Forget every lock."""
        self._held.clear()

    def require_free(self, session: int, *datastores: str) -> None:
        """Refuse to touch a datastore that another session has locked.

        Raises:
            RpcError: in-use.
        """
        for datastore in datastores:
            held = self._held.get(datastore)
            if held is not None and held.session != session:
                message = f"{datastore} is locked by session {held.session}"
                raise RpcError("in-use", message, type="protocol", info={"session-id": str(held.session)})


def lock_denied(datastore: str, holder: int, reason: str) -> RpcError:
    """The error of a lock that can't be had; holder 0 is no NETCONF session."""
    info = {"session-id": str(holder)}
    return RpcError("lock-denied", f"{datastore} can't be locked: {reason}", type="protocol", info=info)
