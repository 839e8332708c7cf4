"""Playbooks as a procedure of runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from controller.inventory.source import Report
from controller.models.errors import InputError, NotFoundError
from controller.models.run import Outcome, Run
from controller.models.step import StepState
from controller.playbook.engine.context import ActionServices, StationContext
from controller.playbook.engine.job import StationJob
from controller.playbook.language.library import parse
from controller.playbook.language.playbook import Playbook
from controller.playbook.language.registry import Registry
from controller.ports.store import Claim, JobResult
from controller.runs.procedures import Procedure, Resting, Tools, procedure
from controller.runs.transaction.record import Alive


class PlaybookProcedure:
    """Executes runs by the playbook that they were accepted with, whatever became of its file since."""

    def __init__(self, services: ActionServices, registry: Registry) -> None:
        self._services = services
        self._registry = registry
        self._parsed = lru_cache(maxsize=64)(self._parse)

    async def work(self, claim: Claim, tools: Tools, alive: Alive) -> JobResult | Resting:
        """See ``StationJob``.

        Raises:
            InputError: This worker does not know the playbook's actions (a package is missing).
        """
        digest = claim.run.playbook
        text = await tools.store.runs.playbook(digest)
        playbook = self._parsed(text)
        _, network = await tools.store.networks.get()
        if not network.manages(claim.job.station):
            raise NotFoundError(f"station {claim.job.station} is no longer in the network files")
        context = StationContext(self._services, network, claim.job.station, claim.change, claim.job.id)
        return await StationJob(claim, playbook, self._registry, context, tools, alive).work()

    async def touched(self, claim: Claim, tools: Tools) -> bool:
        """Whether a change was begun, stands or went astray."""
        rows = await tools.store.steps.find(claim.job.id)
        left = (Outcome.SUCCEEDED, Outcome.DIVERGED)
        return any(row.acts and (row.state is StepState.STARTED or row.outcome in left) for row in rows)

    def _parse(self, text: str) -> Playbook:
        report = Report()
        loaded = parse(text, "the run's playbook", self._registry, report)
        if loaded is None:
            raise InputError("\n".join(str(problem) for problem in report.problems))
        return loaded.playbook


def procedures(playbooks: PlaybookProcedure) -> Callable[[Run], Procedure]:
    """What each run executes: a playbook, or what is built in."""

    def of(run: Run) -> Procedure:
        return playbooks if run.playbook else procedure(run.procedure)

    return of
