"""What comes after the steps of a wave: it stands for a while, is looked at again, and stays or is undone as a whole.

Each station soaks in its own job, without a worker, and puts its verdict on record as a step of its own. Whoever
writes the last verdict of the wave, or a failure, wakes the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from controller.models.errors import InputError
from controller.models.run import Outcome, RunState
from controller.models.step import StepRecord, StepState
from controller.playbook.language.expressions import evaluate, may_hold
from controller.playbook.language.playbook import LONGEST_SOAK, Playbook, Step
from controller.ports.store import Claim
from controller.ports.waiting import Resting, Soak
from controller.runs.procedures import Tools

#: Seconds after which a station that waits for the others of its wave looks by itself.
_LOOK = 60.0
SOAK, VERDICT = "soak", "verdict"


def soak_seconds(playbook: Playbook, parameters: Mapping[str, Any]) -> int:
    """How long each wave of a playbook stands.

    Raises:
        InputError: The expression results in no such number.
    """
    seconds = evaluate(playbook.strategy.soak, parameters)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds <= LONGEST_SOAK:
        raise InputError(f"strategy.soak is {seconds!r}, and no number of seconds from 0 to {LONGEST_SOAK}")
    return seconds


class End(Protocol):
    """Puts the end of a step on record."""

    async def __call__(
        self, row: StepRecord, state: StepState, detail: str = "", *, outcome: Outcome | None = None
    ) -> StepRecord:
        """The step as it ended."""
        ...


@dataclass(frozen=True, slots=True)
class Soaking:
    """The soak of one station whose steps are done.

    Attributes:
        names: What expressions know on it.
        rows: Its steps on record.
        make: A new step that is to be put on record, by position, name and action.
        write: Puts it there.
        end: Puts its end there.
        step: Brings a check to its end.
    """

    claim: Claim
    playbook: Playbook
    tools: Tools
    names: Mapping[str, Any]
    rows: Mapping[tuple[int, bool], StepRecord]
    make: Callable[[int, str, str], StepRecord]
    write: Callable[[StepRecord], Awaitable[None]]
    end: End
    step: Callable[[int, Step, StepRecord | None], Awaitable[StepRecord]]

    async def verdict(self) -> Resting | str:
        """What is wrong with the wave, in words, an empty string if nothing is, or until when to wait."""
        first = len(self.playbook.steps)
        last = first + 1 + len(self.playbook.soak_checks)
        said = self.rows.get((last, False))
        if said is None:
            wave = await self._wave(last)
            rest = None if wave.failed else await self._stand(first)
            if rest is not None:
                return rest
            said = await self._judge(first + 1, last, wave.failed)
        wave = await self._wave(last)
        if wave.failed:
            return wave.failed
        return self._rest(_LOOK, f"waits for {wave.pending} of its wave") if wave.pending else ""

    async def _wave(self, position: int) -> Soak:
        return await self.tools.store.call(lambda store: store.soaked(self.claim, position))

    async def _stand(self, position: int) -> Resting | None:
        """Stand for as long as the soak lasts; less if somebody cancelled the run, or no check concerns the station."""
        row = self.rows.get((position, False))
        if row is None:
            row = self.make(position, SOAK, SOAK)
            await self.write(row)
        looks = any(may_hold(check.when, self.names) for check in self.playbook.soak_checks)
        seconds = soak_seconds(self.playbook, self.claim.run.parameters) if looks else 0
        left = row.started + timedelta(seconds=seconds) - self.tools.clock.now()
        if row.state is StepState.STARTED:
            if left > timedelta() and self.claim.run.state is not RunState.CANCELLING:
                return self._rest(left.total_seconds(), "soaks")
            await self.end(row, StepState.DONE)
        return None

    async def _judge(self, position: int, last: int, elsewhere: str) -> StepRecord:
        """Look at the station, and put the verdict on record; where another one failed there is nothing to look at."""
        wrong = ""
        for index, check in enumerate(() if elsewhere else self.playbook.soak_checks):
            row = self.rows.get((position + index, False))
            if row is None or row.state is StepState.STARTED:
                row = await self.step(position + index, check, row)
            if row.state is StepState.FAILED:
                wrong = f"check {check.name!r} after the soak: {row.detail}"
                break
        row = self.make(last, VERDICT, VERDICT)
        if elsewhere:
            return await self.end(row, StepState.SKIPPED, elsewhere)
        if wrong:
            return await self.end(row, StepState.FAILED, wrong, outcome=Outcome.FAILED_SAFE)
        return await self.end(row, StepState.DONE)

    def _rest(self, seconds: float, reason: str) -> Resting:
        return Resting(self.tools.clock.now() + timedelta(seconds=seconds), reason)
