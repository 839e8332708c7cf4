"""The store for an asyncio loop. In each process one thread writes, in groups of calls, and another one reads."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from controller.models.errors import StoreAwayError, StoreError
from controller.store.database.repository import Deferrable, Grouped, Invocation, Method, Urgent
from controller.store.database.transaction import DEPARTURES, Mode, Patience, Unready
from controller.store.store import AsyncStore, Read, Store

T = TypeVar("T")
#: The most calls in one commit, so that the first of them does not wait long.
GROUP = 500
#: Calls in one commit that count as a crowd, and seconds for which the next commit then waits for more calls: a commit
#: costs as much CPU as ten calls.
_CROWD, _LINGER = 4, 0.025


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that waits for its turn; ``turns`` counts those that ended early for something to be worked out."""

    work: Callable[[Store], Any]
    answer: asyncio.Future[Any]
    turns: int = 0


class LoopStore(AsyncStore):
    """``AsyncStore`` over a ``Store``.

    Calls that come during a commit share the next one, which waits a moment for more calls if many write. A call
    returns when it is committed. A call may still take effect although its caller was cancelled. Heartbeats go first:
    a busy process must not look dead.

    Calls that only read do not wait for calls that write, which may wait for locks of other processes. They see the
    effects of all calls that returned before. No call waits for one that is known to wait for other processes.

    Args:
        store: The store. It stays open when the loop store is closed.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._closing = False
        self._lock = threading.Lock()
        self._writer = _Lane(store, "IMMEDIATE", "store-writer")
        self._aside = _Lane(store, "IMMEDIATE", "store-aside")
        self._reader = _Lane(store, "DEFERRED", "store-reader")

    async def call(self, work: Callable[[Store], T]) -> T:
        """Run ``work`` on the writing or the reading thread; its effects are committed when this returns.

        Waiting calls of the same grouped method are carried out as one.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        method = _method(work)
        lane = self._aside if isinstance(method, Deferrable) else self._writer
        if isinstance(work, Read) or (method is not None and method.reads):
            lane = self._reader
        with self._lock:
            if self._closing:
                raise StoreError("the store is being closed")
            put = lane.put_first if isinstance(method, Urgent) else lane.put
            put(_Call(work, answer))
        return await answer

    async def close(self) -> None:
        """Commit all calls so far, then stop the threads."""
        with self._lock:
            if not self._closing:
                self._closing = True
                for lane in self._lanes:
                    lane.close()
        for lane in self._lanes:
            await asyncio.to_thread(lane.join)

    @property
    def _lanes(self) -> tuple[_Lane, ...]:
        return self._writer, self._aside, self._reader


class _Lane:
    """A thread that carries out calls in the order of their arrival, all waiting ones in one transaction.

    Args:
        mode: Mode of its transactions. A thread that writes may wait for more calls.
        name: Name of the thread.
    """

    def __init__(self, store: Store, mode: Mode, name: str) -> None:
        self._store = store
        self._mode: Mode = mode
        #: Calls in order; None where there is something else to look at: an urgent call, or the end.
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._urgent: deque[_Call] = deque()
        #: Calls for which something is being worked out.
        self._unready = 0
        self._counting = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def put(self, call: _Call) -> None:
        """Let a call wait for its turn."""
        self._calls.put(call)

    def put_first(self, call: _Call) -> None:
        """Let a call wait for the commit under way, and for no other."""
        self._urgent.append(call)
        self._calls.put(None)

    def close(self) -> None:
        """End once all waiting calls are carried out; nothing may be put any more."""
        self._ending.set()
        self._calls.put(None)

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def _work(self) -> None:
        crowded = False
        while True:
            call = self._calls.get()
            while self._urgent:
                self._commit([self._urgent.popleft()])
            if call is None:
                if self._ending.is_set() and self._calls.empty() and not self._unready:
                    return
                continue
            if crowded:
                self._ending.wait(_LINGER)
            group = [call]
            while len(group) < GROUP and (another := self._another()) is not None:
                group.append(another)
            crowded = len(group) >= _CROWD and self._mode == "IMMEDIATE"
            self._commit([call for call in group if not call.answer.cancelled()])

    def _another(self) -> _Call | None:
        """One more that shares the commit, if one waits."""
        try:
            call = self._calls.get_nowait()
        except queue.Empty:
            return None
        if call is None:
            self._calls.put(None)
        return call

    def _commit(self, group: list[_Call]) -> None:
        """Carry out a group of calls, and give each loop all its answers at once."""
        answers: dict[asyncio.AbstractEventLoop, list[tuple[_Call, Any]]] = {}
        for call, result in self._results(group, self._store.database.patience()):
            if isinstance(result, Unready):
                self._make_ready(call, result)
            else:
                answers.setdefault(call.answer.get_loop(), []).append((call, result))
        for loop, of_loop in answers.items():
            with suppress(RuntimeError):  # It was closed meanwhile: nobody waits any more.
                loop.call_soon_threadsafe(_answer, of_loop)

    def _make_ready(self, call: _Call, need: Unready) -> None:
        """Work out what a call needs, on a thread of its own, so that other calls go on; then it has its turn again."""

        def work_out() -> None:
            # What goes wrong here goes wrong again in the call's own turn, which then tells it.
            with suppress(Exception):
                need.prepare()
            if call.turns < DEPARTURES:
                self.put(replace(call, turns=call.turns + 1))
            else:
                self._insist(call)
            with self._counting:
                self._unready -= 1
            self._calls.put(None)  # the lane may be ending

        with self._counting:
            self._unready += 1
        threading.Thread(target=work_out, name="store-preparation", daemon=True).start()

    def _insist(self, call: _Call) -> None:
        """Carry out a call here, as the results that it needs leave the memory too fast."""
        database, work = self._store.database, partial(_carried_out, self._store, [call])
        try:
            (result,) = database.run(lambda tx: database.join(tx, work), self._mode)
        except Exception as error:  # noqa: BLE001  # it belongs to the caller
            result = error
        with suppress(RuntimeError):  # The loop was closed meanwhile: nobody waits any more.
            call.answer.get_loop().call_soon_threadsafe(_answer, [(call, result)])

    def _results(self, group: list[_Call], patience: Patience) -> Iterator[tuple[_Call, Any]]:
        pieces = list(_pieces(group))
        results: list[Any]
        try:
            results = self._store.database.together(
                [partial(_carried_out, self._store, piece) for piece in pieces], self._mode, patience
            )
        except Exception as error:  # noqa: BLE001  # the thread must go on, and every caller must learn of it
            results = [error] * len(pieces)
        for piece, result in zip(pieces, results, strict=True):
            if not isinstance(result, Exception):
                yield from zip(piece, result, strict=True)
            elif len(piece) == 1 or isinstance(result, StoreAwayError):
                yield from ((call, result) for call in piece)
            else:
                # Whatever the error was, it occurs again for the call that caused it.
                for call in piece:
                    yield from self._results([call], patience)


def _pieces(group: list[_Call]) -> Iterator[list[_Call]]:
    """Split calls into groups that are carried out as one."""
    alike: dict[Grouped[..., Any], list[_Call]] = {}
    for call in group:
        method = _method(call.work)
        if isinstance(method, Grouped):
            alike.setdefault(method, []).append(call)
        else:
            yield [call]
    yield from alike.values()


def _carried_out(store: Store, piece: list[_Call]) -> Sequence[Any]:
    first = piece[0].work
    method = _method(first)
    if len(piece) == 1 or not isinstance(method, Grouped):
        return [first(store)]
    return method.together([call.work for call in piece if isinstance(call.work, Invocation)])


def _method(work: Callable[[Store], Any]) -> Method[..., Any] | None:
    return work.method if isinstance(work, Invocation) else None


def _answer(answers: list[tuple[_Call, Any]]) -> None:
    for call, result in answers:
        if call.answer.done():  # The caller was cancelled.
            continue
        if isinstance(result, Exception):
            call.answer.set_exception(result)
        else:
            call.answer.set_result(result)
