"""Runs on record: acceptance, progress, what people ask of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from controller.models.run import Job, Run, RunState
from controller.ports.requests import PreparedRun

if TYPE_CHECKING:
    from controller.ports.store import Decide, Page, Transition


class RunRecords(Protocol):
    """Part of ``Store``: executions of procedures."""

    def create_run(self, new: PreparedRun) -> Run:
        """Accept a run (state ``queued``) with its jobs (``waiting``) under terms that are kept with it.

        With a key that the same person (or alarm, where that is the cause) used before, returns that run if the same
        was asked for: plan, procedure and strategy (or playbook and parameters), and the person's reason.
        Who asks for it and may approve says yes by that, with the contractual reasons of the request.

        Raises:
            ConflictError: The key was used for something else.
        """
        ...

    def run(self, run_id: str) -> Run:
        """A run with its counts. Raises NotFoundError."""
        ...

    def runs(self, page: Page, states: Iterable[RunState] | None = None) -> tuple[int, list[Run]]:
        """Total and one page of runs, newest first."""
        ...

    def jobs(self, run_id: str) -> list[Job]:
        """All jobs of a run, by wave and station."""
        ...

    def request_cancel(self, run_id: str, actor: str) -> Run:
        """Turn a run that is not terminal into ``cancelling``; terminal runs stay as they are."""
        ...

    def cancelling(self, run_ids: Iterable[str]) -> frozenset[str]:
        """Those of the runs that a person has cancelled and that have not ended."""
        ...

    def request_pause(self, run_id: str, actor: str) -> Run:
        """Turn ``queued``/``running`` into ``paused``, and put back what is claimable of units not begun."""
        ...

    def request_resume(self, run_id: str, actor: str) -> Run:
        """Turn ``paused`` back into what it was; other runs stay as they are."""
        ...

    def advance(self, run_id: str, decide: Decide, by: str = "engine") -> Transition | None:
        """Let ``decide`` look at a run and its jobs and carry out what it says, in one transaction.

        The run stays locked meanwhile, so ``decide`` must be quick and pure; it may be called again
        when the transaction is repeated. It is not called for a terminal run. ``cancel_rest`` spares
        jobs that must still recover a transaction: they stay claimable until they are done. ``by`` is
        who decides, for the record.

        Raises:
            NotFoundError: There is no such run.
            ConflictError: A terminal state was asked for while jobs are not done.
        """
        ...

    def active_runs(self) -> list[str]:
        """Ids of runs that are not terminal, oldest first."""
        ...
