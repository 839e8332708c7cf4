"""Runs on record: acceptance, progress, requests of people, and questions to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controller.models.plan import Change
from controller.models.question import Question
from controller.models.run import GateChoice, Job, Run, RunState, Wait
from controller.models.step import StepRecord
from controller.ports.store.claims import Claim
from controller.ports.store.repository import M_co, Page, Repository, method
from controller.ports.store.requests import PreparedRun


@dataclass(frozen=True, slots=True)
class NewDecision:
    """A decision to be put on record; see ``controller.models.run.Decision``.

    A group that was confirmed at an earlier gate is not postponed but cancelled.
    """

    wave: int
    unit: str
    gate: int
    choice: GateChoice
    reason: str = ""
    round: int = 0


@dataclass(frozen=True, slots=True)
class Transition:
    """The next change of a run, all in one transaction.

    Attributes:
        wave: Wave that opens, or None. If each station is decided on its own, its jobs of rank 0 become claimable.
        cancel_rest: Whether unclaimed jobs end ``cancelled``.
        spared: Ids of jobs that do not: they may still begin.
        reason: Why, for the record.
        decisions: New decisions at gates.
        ready: Ids of waiting jobs that become claimable.
        withdrawn: Ids of jobs not begun that end ``withdrawn``.
        postponed: Ids of jobs not begun, or ended ``deferred``, whose unit or wave was postponed.
        outdated: Ids of jobs not begun that end ``cancelled``, since what they should do does not follow any more from
            the network files in force.
    """

    state: RunState
    wave: int | None = None
    cancel_rest: bool = False
    spared: tuple[str, ...] = ()
    reason: str = ""
    decisions: tuple[NewDecision, ...] = ()
    ready: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    postponed: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()


Decide = Callable[[Run, Sequence[Job]], Transition | None]


class Runs(Repository[M_co], Protocol[M_co]):
    """Executions of procedures."""

    @method
    def create(self, new: PreparedRun) -> Run:
        """Accept a run (state ``queued``) with its jobs (``waiting``), and keep its constraints.

        If the same person (or alarm, if that is the cause) used the key before, returns that run, provided that the
        request is the same: plan, procedure and strategy (or playbook and parameters), and the person's reason.
        The request counts as a yes of an asker who may approve, with the contractual reasons of the request.

        Raises:
            ConflictError: The key was used for something else.
        """
        ...

    @method
    def get(self, run_id: str) -> Run:
        """A run with its counts. Raises NotFoundError."""
        ...

    @method
    def page(self, page: Page, states: Iterable[RunState] | None = None) -> tuple[int, list[Run]]:
        """Total and one page of runs, newest first."""
        ...

    @method
    def jobs(self, run_id: str) -> list[Job]:
        """All jobs of a run, by wave and station."""
        ...

    @method
    def mates(self, job: Job) -> list[Job]:
        """All jobs of a job's wave and unit."""
        ...

    @method
    def advance(self, run_id: str, decide: Decide, by: str = "engine") -> Transition | None:
        """Let ``decide`` judge a run and its jobs, and carry out the result, in one transaction.

        The run stays locked meanwhile, so ``decide`` must be quick and pure; it may be called again when the
        transaction is repeated. It is not called for a terminal run. ``cancel_rest`` spares jobs that must still
        recover a transaction: they stay claimable until they are done. ``by`` is who decides, for the record.

        Raises:
            NotFoundError: There is no such run.
            ConflictError: A terminal state was asked for while jobs are not done.
        """
        ...

    @method
    def unjudged(self) -> list[Run]:
        """Runs under way that begin nothing more before their plans are judged by what is in force, oldest first."""
        ...

    @method
    def judge(self, run_id: str, digest: str, void: Collection[str], judge_from: datetime | None) -> bool:
        """Put on record what of a run's plan does not follow from the network files in force, and let the rest begin.

        Args:
            run_id: The run.
            digest: The network files that it was judged by; if others are in force by now, nothing is recorded.
            void: Ids of jobs that must not begin any more. Those that began already are completed.
            judge_from: From when it has to be judged again; None for not before other files are loaded.

        Returns:
            Whether it is on record.
        """
        ...

    @method
    def active(self) -> list[str]:
        """Ids of runs that are not terminal, oldest first."""
        ...

    @method
    def under_way(self, device: str, now: datetime) -> str:
        """Id of the run that works on a device, or may begin there in a window that is open now; empty if none."""
        ...

    @method
    def left(self, device: str) -> datetime | None:
        """When a run last ended at a device after it changed it, or was stopped before it could; None if none did."""
        ...

    @method
    def cancel(self, run_id: str, actor: str) -> Run:
        """Turn a run that is not terminal into ``cancelling``; terminal runs stay as they are."""
        ...

    @method
    def cancelling(self, run_ids: Iterable[str]) -> frozenset[str]:
        """Those of the runs that a person has cancelled and that have not ended."""
        ...

    @method
    def pause(self, run_id: str, actor: str) -> Run:
        """Turn ``queued``/``running`` into ``paused``, and put back claimable jobs of units not begun."""
        ...

    @method
    def resume(self, run_id: str, actor: str) -> Run:
        """Turn ``paused`` back into the state before; other runs stay as they are."""
        ...

    @method
    def find_by_key(self, idempotency_key: str, person: str) -> Run | None:
        """The run that was accepted with this key of this person, or None; equal keys of other people do not count."""
        ...

    @method
    def waits(self, run_ids: Collection[str]) -> dict[str, tuple[Wait, ...]]:
        """What each of these runs waits for, a pause first; runs that have ended or wait for nothing are left out."""
        ...

    @method
    def unworked(self, run_ids: Collection[str]) -> dict[str, Wait]:
        """The wait of each of these runs of which jobs could go on if a worker lived; none while one does."""
        ...

    @method
    def playbook(self, digest: str) -> str:
        """Text of a playbook that a run was accepted with. Raises NotFoundError."""
        ...


class Steps(Repository[M_co], Protocol[M_co]):
    """Steps of jobs that execute playbooks."""

    @method
    def write(self, step: StepRecord, claim: Claim) -> None:
        """Keep a step in its current state; an equal step changes nothing.

        Raises:
            LeaseLostError: The claim's fence is no longer the newest, or its incarnation was declared dead.
        """
        ...

    @method
    def find(self, job: str) -> list[StepRecord]:
        """Steps of a job in order, each followed by its undoing."""
        ...

    @method
    def carried(self, stations: Iterable[str]) -> dict[str, tuple[Change, ...]]:
        """Changes that stations carry by jobs that have not ended, in order; they are not in the ledger yet."""
        ...


class Questions(Repository[M_co], Protocol[M_co]):
    """Questions of runs to people."""

    @method
    def ask(self, question: Question, claim: Claim) -> Question:
        """Ask a question, unless it was asked before; returns it as it is now. Raises LeaseLostError."""
        ...

    @method
    def answer(self, run: str, answer: str, *, actor: str, reason: str = "", question: str = "") -> Question:
        """Answer the open question of a run, or one of several by its id; jobs that wait for it go on.

        Raises:
            NotFoundError: The run has no such open question.
            ConflictError: It has several, and none was named.
            InputError: The answer is not among the choices.
        """
        ...

    @method
    def take_default(self, question: str) -> Question:
        """Answer a question by its default, since nobody did; an answer that came meanwhile stays."""
        ...

    @method
    def find(self, run: str = "", *, unanswered: bool = True) -> list[Question]:
        """Questions of active runs, or of one run in any state, oldest first.

        Raises:
            NotFoundError: There is no such run.
        """
        ...
